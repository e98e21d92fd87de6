/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls_testing: the methods on a store of a test's own, and calls of them. For tests only.
 */
#ifndef SERVE_CALLS_TESTING_H
#define SERVE_CALLS_TESTING_H

#include "client/client.h"
#include "serve/hub.h"
#include "serve/methods.h"
#include "store/store_testing.h"

struct calls_testing {
    struct store_testing *t;
    uv_loop_t loop;
    struct hub *hub;
    struct api_house house;
    struct methods *m;
    struct arena arena;
    struct client_problem problem;
};

/* Ready, on the backend of the test; ends the test where there is none. */
void calls_testing_init(struct calls_testing *c, void **state);
void calls_testing_deinit(struct calls_testing *c);

/* Make a call and wait: the reply as JSON text, which must not be a refusal; "{}" may be NULL. */
const char *calls_testing_ok(struct calls_testing *c, const char *method, const char *request);
/* It must be refused; c->problem says how. */
enum code calls_testing_refused(struct calls_testing *c, const char *method, const char *request);
/* The text of "key":"…" in a reply. */
const char *calls_testing_field(struct calls_testing *c, const char *reply, const char *key);

/* A call that is started and looked at later. */
struct calls_testing_call {
    struct call call;
    bool done;
    bool holds; /* messages are not pulled by themselves */
    size_t messages;
    const char *reply;  /* the newest message or the reply, as JSON text */
    struct buf history; /* of a stream: all messages, one a line */
    struct calls_testing *c;
};
void calls_testing_start(struct calls_testing *c, struct calls_testing_call *ret,
                         const char *method, const char *request);
/* As calls_testing_start(), with what the fields of `ret->call` above its line say. */
void calls_testing_begin(struct calls_testing *c, struct calls_testing_call *ret,
                         const char *method, const char *request);
/* Run the loop until it is over, or has had so many messages; for 10 s at most. */
void calls_testing_wait(struct calls_testing_call *call);
void calls_testing_wait_messages(struct calls_testing_call *call, size_t n);
/* Run the loop until what was posted to the writer before is answered. */
void calls_testing_settle(struct calls_testing *c);
void calls_testing_end(struct calls_testing_call *call);

/* The end of a lease: `more` are the other fields. The reply. */
const char *calls_testing_complete(struct calls_testing *c, const char *token, const char *more);

#define HAS(text, piece)                                                                           \
    do {                                                                                           \
        const char *text_ = (text);                                                                \
        if (!strstr(text_, (piece)))                                                               \
            fail_msg("%s is not in\n%s", (piece), text_);                                          \
    } while (0)

/* A request with texts of the test in it. */
#define REQUEST(c, ...) (str_printf(&(c)->arena, __VA_ARGS__).p)

#define PUT(c, settings) calls_testing_ok((c), "queues.put", "{\"queue\": \"mail\"" settings "}")
#define ENQUEUE(c, tasks)                                                                          \
    calls_testing_ok((c), "queues.enqueue", "{\"queue\": \"mail\", \"tasks\": [" tasks "]}")
#define CLAIM(c, more)                                                                             \
    calls_testing_ok((c), "queues.claim", "{\"queue\": \"mail\", \"worker\": \"me\"" more "}")

#endif
