/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batcher: group commit.
 *
 * A batcher is a store connection (a reader may have several), each with the thread that owns it.
 * Any thread posts requests; a store thread takes all that wait, runs them in one transaction,
 * commits once, tells the hub, and then answers them all. One that fails is undone alone:
 *
 *     waiting --taken--> running --committed--> answered
 *       |                  |  one failed after the batch had written: roll back, run the batch
 *       |                  |  again with a savepoint around each request (undone alone)
 *       |                  |  the store had a deadlock: roll back, run again with jitter
 *       |                  |  nobody knows whether it was committed: ask until it is known, then
 *       |                  |  answer, or run again
 *       |                  +- the store is away, locked or full: who is patient waits, with
 *       |                     backoff, beside what comes meanwhile; the others are answered
 *       +--too much waits, its deadline passed, or it is withdrawn--> answered, without having
 *          been run
 *
 * What one post brings runs in its order. Requests that came alone are independent of each other:
 * those of the same `many` are gathered and run as one, before the others, by their `turn`.
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
/* What waits beyond these is answered RESOURCE_EXHAUSTED at once, where the options say nothing. */
#define BATCHER_WAITING_MAX       65536u
#define BATCHER_WAITING_BYTES_MAX (64u << 20)
#define BATCHER_CONNECTIONS_MAX   8u
#define BATCHER_CALL_US           (10LL * 1000000)
/* A store that lets a request wait so long without a sign of life is in trouble. */
#define BATCHER_SILENT_US (5LL * 1000000)
#define BATCHER_FOR_EVER  INT64_MAX

/* An engine function behind one type; see BATCHER_FUNCTION. */
typedef int batcher_function(struct tx *tx, const void *request, void *reply);

/* static int NAME(tx, request, reply) which calls `function`, whose own types C converts to. */
#define BATCHER_FUNCTION(name, function)                                                           \
    static int name(struct tx *tx, const void *request, void *reply)                               \
    {                                                                                              \
        return function(tx, request, reply);                                                       \
    }

/* An engine function for requests of different callers at once (engine/task.h): one that is refused
 * has its problem set and has written nothing, a fault is all of theirs; see BATCHER_MANY. */
typedef int batcher_many(struct tx *tx, const void *const *requests, void *const *replies,
                         struct tx_problem *problems, size_t n);

#define BATCHER_MANY(name, function)                                                               \
    static int name(struct tx *tx, const void *const *requests, void *const *replies,              \
                    struct tx_problem *problems, size_t n)                                         \
    {                                                                                              \
        return function(tx, (void *)(uintptr_t)requests, (void *)(uintptr_t)replies, problems, n); \
    }

/* How a request came out; the texts live where its reply does. */
struct batcher_answer {
    enum code code; /* CODE_OK: it is durable, and the reply is set */
    struct str text;
    const struct doc_error *details;
    size_t details_n;
    int64_t retry_after_us; /* when there may be room, or a store, again; 0: nobody knows */
};

/* CALLS are refused when too much waits. OWN is never refused and goes first: for what is bounded
 * by its nature, as the reports of this program's own worker and heartbeats. */
enum batcher_lane { BATCHER_CALLS, BATCHER_OWN, BATCHER_LANE_N };

struct batcher_home;
struct batcher_shared;
struct hub;

/*
 * Filled by the poster, who also owns it and what it points to, until `done`. Between post and
 * `done` the store thread alone touches it. The reply is zeroed before each try, and what it points
 * to lives in `arena` or, where it ran together with others, in memory shared with them; the owner
 * gives back both with batcher_release().
 */
struct batcher_request {
    const char *name; /* what it is, for who is told of transactions; may be NULL */
    batcher_function *function;
    batcher_many *many; /* does the same for several; NULL: it runs alone */
    int turn;           /* among those that are gathered, the smaller first */
    enum batcher_lane lane;
    const void *request;
    void *reply;
    size_t reply_size;
    size_t bytes; /* about what the request's data weigh, with some 100 for each item */
    int64_t
        deadline_us; /* monotonic: it is not begun later, but answered DEADLINE_EXCEEDED; 0: none */
    int64_t patience_us; /* waits so long for a store that is away; BATCHER_FOR_EVER also for one
                            that is full or locked */
    struct batcher_home *home; /* the loop that `done` is called on; NULL: the store thread, or
                                  the poster's where it is refused at once */
    void (*done)(struct batcher_request *q);
    void *context; /* the poster's */

    struct batcher_answer answer;
    struct arena arena;
    int64_t begun_us; /* monotonic: when its transaction began, … */
    int64_t now;      /* … which is this time of the store */

    struct list link; /* the batcher's, as what follows */
    struct batcher_shared *shared;
    int64_t posted_us;
    bool in_order;       /* it came with others */
    bool waits;          /* nobody has taken it yet; under the batcher's lock, as what follows */
    bool is_withdrawn;   /* it is not to be begun … */
    enum code withdrawn; /* … but answered so */
};

/* Give back the memory of the answer. It may be called again, and before a post. */
void batcher_release(struct batcher_request *q);

/* The way back to a uv loop: many answers, one wakeup. It belongs to the loop's thread. */
int batcher_home_new(uv_loop_t *loop, struct batcher_home **ret);
/* Nothing that has this home may be under way. The loop must run once more, to close the handle. */
struct batcher_home *batcher_home_free(struct batcher_home *h);

struct batcher_options {
    struct store_options store; /* the URL is copied */
    const char *name;           /* of the thread, at most 15 bytes */
    unsigned connections;       /* of a reader, or of a writer on Postgres; 0: 1 */
    size_t batch_max;         /* requests in a transaction; 0: BATCHER_REQUESTS_MAX. Few of them for
                                 readers, where a quick one would wait for a slow one before it */
    size_t waiting_max;       /* 0: BATCHER_WAITING_MAX */
    size_t waiting_bytes_max; /* 0: BATCHER_WAITING_BYTES_MAX */
    bool says_trouble;        /* requests that wait for the store are an error in the log: nobody
                                 else tells of them */
    struct hub *hub;          /* hears of every commit; NULL: nobody does */
    uint64_t seed;            /* of its random numbers; 0: any */
    bool by_hand;             /* no thread is started: batcher_turn() does its work */
    /* Hears of every transaction before it is answered: its requests as they ran, each with its
     * answer and reply, the store's time, and 0 where it was committed, else nobody knows whether.
     * NULL: nobody does. */
    void (*ran)(void *context, struct batcher_request *const *list, size_t n, int64_t now, int r);
    void *ran_context;
};

struct batcher;

/* Starts the thread. Returns 0 or a fault. */
int batcher_new(const struct batcher_options *options, struct batcher **ret);
/* What was posted is still run, or answered with STORE_UNAVAILABLE where the store is away; then
 * the thread ends. What is posted from now on is refused so, since an answer may lead to another
 * post. */
void batcher_stop(struct batcher *b);
/* Stops it, where it was not. Nothing may be posted any more. */
struct batcher *batcher_free(struct batcher *b);

/* Of one by hand: one go at what waits, as a thread takes it, or at the batch that waits for the
 * store. False: nothing waits. Else, where *ret_wait_us is not 0, a thread would wait so long now.
 */
bool batcher_turn(struct batcher *b, int64_t *ret_wait_us);

/* Post `n` requests that stay neighbours and in this order; if there is no room, all are refused.
 * Any thread. */
void batcher_post(struct batcher *b, struct batcher_request *const *list, size_t n);
/* Post `n` that are independent of each other. */
void batcher_post_each(struct batcher *b, struct batcher_request *const *list, size_t n);

/* Post one and wait for its answer; `home` and `done` are not used. Not from the store thread. */
void batcher_call(struct batcher *b, struct batcher_request *q);

/* Its poster does not want it any more: if it was not begun it never is, and is answered with
 * `code`, soon; else all is as if this had not been called. For one that was posted by itself and
 * has not been answered, on the thread that `done` is called on. Returns whether it still waited,
 * and had been tried by nobody. */
bool batcher_withdraw(struct batcher *b, struct batcher_request *q, enum code code);

#define BATCHER_TROUBLE_BYTES 512

/* How long the store has given no sign of life while a request of ours waits for it. Any thread. */
int64_t batcher_silence_us(struct batcher *b);

/* What keeps requests waiting, or kept the last of them until it gave up: a code and the store's
 * sentence (cut to fit), or CODE_OK and no text once the store has answered. Any thread. */
enum code batcher_trouble(struct batcher *b, char out[static BATCHER_TROUBLE_BYTES]);

#define BATCHER_SIZES_N 11 /* 1 … BATCHER_REQUESTS_MAX, doubled */

struct batcher_stats {
    size_t waiting, waiting_bytes; /* of BATCHER_CALLS, not yet taken */
    uint64_t requests; /* that were answered after a commit or a refusal of their own … */
    uint64_t commits;  /* … by so many transactions */
    uint64_t refused;  /* because too much waited */
    uint64_t late;     /* because their deadline had passed, or they were withdrawn */
    uint64_t reruns;   /* after a deadlock */
    uint64_t faults;   /* transactions that the store ended otherwise */
    /* Of the commits, those of at most 1, 2, 4 … requests that no smaller one counts. */
    uint64_t sizes[BATCHER_SIZES_N];
};
void batcher_stats(struct batcher *b, struct batcher_stats *ret);

/* The code that a store's fault is answered with; INTERNAL for one that is none of them. */
enum code batcher_code(int fault);

#endif
