/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake: a weft that plays back what a test has written down.
 *
 * A script is a list of steps: calls with their requests and replies, and what a follower hears.
 * The command line is run against it as a whole, and what it printed is kept.
 */
#ifndef CLI_FAKE_TESTING_H
#define CLI_FAKE_TESTING_H

#include "cli/cli.h"

enum fake_kind {
    FAKE_CALL,   /* name is the method, request the JSON expected (NULL: any), text the reply's JSON
                  */
    FAKE_REFUSE, /* the same, refused with `code` and the sentence `text` */
    FAKE_FOLLOW, /* follow begins; what comes next is heard until FAKE_ENDED */
    FAKE_EVENT,  /* text is the event's JSON */
    FAKE_LINE,   /* of task `number` */
    FAKE_PROGRESS, /* of task `number`: `percent`, text */
    FAKE_TEXT,     /* of the log `number` that the listener wants */
    FAKE_TICK,
    FAKE_NOTICE,
    FAKE_ENDED,
};

struct fake_step {
    enum fake_kind kind;
    const char *name;
    const char *request;
    const char *text;
    enum code code;
    int64_t number; /* task; of FAKE_FOLLOW: `after` */
    int percent;
};

struct fake_result {
    int status;
    char *out;
    char *err;
};

/* Run `weft ARGS…` (args end with NULL) against the script; fails the test where the calls are
 * others than those of the script. */
struct fake_result fake_run(const struct fake_step *steps, const char *const *args);
void fake_result_deinit(struct fake_result *r);

#define FAKE_ARGS(...) ((const char *const[]){"weft", __VA_ARGS__, NULL})

/* The same, and what it must come to. */
void fake_check(const char *name, const struct fake_step *steps, const char *const *args,
                int status, const char *out, const char *err);

#define CALL(method, request_, reply)                                                              \
    {                                                                                              \
        .kind = FAKE_CALL, .name = (method), .request = (request_), .text = (reply)                \
    }
#define REFUSE(method, code_, sentence)                                                            \
    {                                                                                              \
        .kind = FAKE_REFUSE, .name = (method), .code = (code_), .text = (sentence)                 \
    }

#endif
