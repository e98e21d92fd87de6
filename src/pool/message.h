/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message: what weft says to a process of a pool, and what it answers (docs/pools.md, "The
 * protocol").
 *
 * Arguments, results and errors pass through as they are: what is written has been checked by
 * whoever hands it in, what is read is checked here, and no tree of either is made.
 */
#ifndef POOL_MESSAGE_H
#define POOL_MESSAGE_H

#include <stdint.h>

#include "base/buf.h"

#define MESSAGE_DEPTH_MAX 64u /* lists and objects within each other */

#define MESSAGE_PING        "weft.ping"
#define MESSAGE_END_SESSION "weft.end_session"
#define MESSAGE_SNAPSHOT    "weft.snapshot"
#define MESSAGE_RESTORE     "weft.restore"
#define MESSAGE_SHUTDOWN    "weft.shutdown"

struct message_call {
    int64_t id;
    struct str command;
    struct str args;     /* JSON; empty: none */
    struct str session;  /* empty: none */
    int64_t deadline_ms; /* from now; 0: none */
};

/* Each adds a frame. */
void message_call(struct buf *out, const struct message_call *c);
void message_cancel(struct buf *out, int64_t id);
void message_shutdown(struct buf *out);

enum message_kind { MESSAGE_RESULT, MESSAGE_ERROR, MESSAGE_CHUNK };

/* Parts of the frame, as JSON. A result or error that is absent is "null". */
struct message_reply {
    int64_t id;
    enum message_kind kind;
    struct str value;
};

enum { MESSAGE_E_BAD = 1 };

/* Read a frame's text. MESSAGE_E_BAD: it is no such message, and *ret_why says why, as the end of a
 * sentence that begins with "a frame that". */
int message_read(struct str text, struct message_reply *ret, const char **ret_why);

/* What a worker says of itself in its answer to a ping; 0 or false where it says nothing, or what
 * is none. */
struct message_able {
    int64_t in_flight;
    int64_t sessions;
    bool snapshots;
};

void message_able(struct str result, struct message_able *ret);

/* The text of an error, as a person reads it: the text itself, or the `message` of an object. It is
 * added as a JSON text without its quotes, and so at most `max` bytes of it. */
void message_error_text(struct str error, size_t max, struct buf *out);

#endif
