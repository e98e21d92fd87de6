/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batcher: group commit.
 *
 * A batcher is one store connection and the thread that owns it. Any thread posts requests; the
 * store thread takes all that wait, runs them in one transaction in the order in which they came,
 * commits once, and then answers them all. One that fails is undone alone:
 *
 *     waiting --taken--> running --committed--> answered
 *                          |  one failed after the batch had written: roll back, run the batch
 *                          |  again with a savepoint around each request (undone alone)
 *                          |  the store had a deadlock: roll back, run again with jitter
 *                          |  nobody knows whether it was committed: ask until it is known, then
 *                          |  answer, or run again
 *                          +- the store is away, locked or full: who is patient waits, with
 *                             backoff, beside what comes meanwhile; the others are answered
 *
 * The connection is opened by the thread for the first request, and a store that cannot be opened
 * is a store that is away. Nothing is answered before the commit that holds its effect.
 */
#ifndef SERVE_BATCHER_H
#define SERVE_BATCHER_H

#include <uv.h>

#include "base/list.h"
#include "engine/tx.h"

#define BATCHER_REQUESTS_MAX 1024u      /* in one transaction */
#define BATCHER_BYTES_MAX    (8u << 20) /* likewise, of request data; a larger one comes alone */
#define BATCHER_CALL_US      (10LL * 1000000)
#define BATCHER_FOR_EVER     INT64_MAX

/* An engine function behind one type; see BATCHER_FUNCTION. */
typedef int batcher_function(struct tx *tx, const void *request, void *reply);

/* static int NAME(tx, request, reply) which calls `function`, whose own types C converts to. */
#define BATCHER_FUNCTION(name, function)                                                           \
    static int name(struct tx *tx, const void *request, void *reply)                               \
    {                                                                                              \
        return function(tx, request, reply);                                                       \
    }

/* How a request came out; the texts live in the request's arena. */
struct batcher_answer {
    enum code code; /* CODE_OK: it is durable, and the reply is set */
    struct str text;
    const struct doc_error *details;
    size_t details_n;
};

struct batcher_home;

/*
 * Filled by the poster, who also owns it and what it points to, until `done`. Between post and
 * `done` the store thread alone touches it. The reply is zeroed before each try, and what it points
 * to lives in `arena`, which the owner gives back.
 */
struct batcher_request {
    batcher_function *function;
    const void *request;
    void *reply;
    size_t reply_size;
    size_t bytes;        /* about what the request's data weigh */
    int64_t patience_us; /* waits so long for a store that is away; BATCHER_FOR_EVER also for one
                            that is full or locked */
    struct batcher_home *home; /* the loop that `done` is called on; NULL: the store thread */
    void (*done)(struct batcher_request *q);
    void *context; /* the poster's */

    struct batcher_answer answer;
    struct arena arena;
    int64_t begun_us; /* monotonic: when its transaction began, which is the `now` that it saw */

    struct list link; /* the batcher's, as what follows */
    int64_t posted_us;
};

/* The way back to a uv loop: many answers, one wakeup. It belongs to the loop's thread. */
int batcher_home_new(uv_loop_t *loop, struct batcher_home **ret);
/* Nothing that has this home may be under way. The loop must run once more, to close the handle. */
struct batcher_home *batcher_home_free(struct batcher_home *h);

struct batcher_options {
    struct store_options store; /* the URL is copied */
    const char *name;           /* of the thread, at most 15 bytes */
};

struct batcher;

/* Starts the thread. Returns 0 or a fault. */
int batcher_new(const struct batcher_options *options, struct batcher **ret);
/* What was posted is still run, or answered with STORE_UNAVAILABLE where the store is away; then
 * the thread ends. Nothing may be posted any more. */
struct batcher *batcher_free(struct batcher *b);

/* Post `n` requests that stay neighbours and in this order. Any thread. */
void batcher_post(struct batcher *b, struct batcher_request *const *list, size_t n);

/* Post one and wait for its answer; `home` and `done` are not used. Not from the store thread. */
void batcher_call(struct batcher *b, struct batcher_request *q);

/* What keeps requests waiting at this moment: a code and the store's sentence (cut to fit), or
 * CODE_OK and no text. Any thread. */
#define BATCHER_TROUBLE_BYTES 512
enum code batcher_trouble(struct batcher *b, char out[static BATCHER_TROUBLE_BYTES]);

/* The code that a store's fault is answered with; INTERNAL for one that is none of them. */
enum code batcher_code(int fault);

#endif
