/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool: processes that stay warm, and the calls that borrow them (docs/pools.md).
 *
 * It reads no clock, touches no descriptor and starts no process: it is told what happened and
 * when, and says to its wire what is to be done. One thread. Times are monotonic microseconds.
 *
 * A call that was taken is answered by `done` exactly once, or given back by pool_cancel(). `done`
 * and `chunk` come from pool_bytes(), pool_ended() and pool_tick(), never from within pool_call(),
 * and may make and cancel calls.
 *
 * A process that is lost is not replaced before the wire has told of its death.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include "base/heap.h"
#include "base/list.h"
#include "base/str.h"
#include "core/code.h"
#include "core/recycle.h"
#include "core/worker.h"
#include "pool/lend.h"

#define POOL_SIZE_MAX          1000u /* of size and overflow together */
#define POOL_IN_FLIGHT_MAX     1024u
#define POOL_SESSIONS_MAX      100000u /* of a process, and of a pool */
#define POOL_WAITING_MAX       100000u
#define POOL_NAME_BYTES_MAX    200u
#define POOL_COMMAND_BYTES_MAX 256u
#define POOL_SESSION_BYTES_MAX 256u

struct pool_settings {
    struct str name;
    unsigned size;
    unsigned overflow;
    unsigned start_batch; /* so many start at once, and so many are replaced at once */
    unsigned in_flight;   /* calls of a process at once, where it can */
    unsigned sessions;    /* of a process, where it can */
    unsigned waiting_max;
    size_t message_bytes_max;
    int64_t queue_wait_us; /* 0: nobody waits */
    int64_t call_us;
    int64_t checkout_us;     /* 0: none */
    int64_t session_idle_us; /* 0: none */
    int64_t start_us;
    int64_t ping_us;   /* until a ping is answered */
    int64_t health_us; /* between pings */
    int64_t suspect_us;
    int64_t overflow_idle_us;
    int64_t drain_us;
    struct recycle_limits recycle;
    int64_t memory_limit_bytes; /* 0: none */
};

/* What a pool is where nothing is said, on a machine with so many processors. */
struct pool_settings pool_default(unsigned cpus);

enum pool_stop {
    POOL_TERM, /* stdin is closed; SIGTERM, the grace time, SIGKILL */
    POOL_KILL,
};

/* None of them calls back into the pool. */
struct pool_wire {
    void *context;
    /* pool_started() or pool_ended() tells how it went. */
    void (*start)(void *context, uint64_t process);
    /* Behind what was sent before. What a process does not read is kept. */
    void (*send)(void *context, uint64_t process, struct str bytes);
    void (*stop)(void *context, uint64_t process, enum pool_stop how);
    /* Whether its replies are wanted now. Where they are again, pool_bytes() comes, with 0 where
     * nothing was read. */
    void (*read)(void *context, uint64_t process, bool wanted);
    /* A session ended without being asked, or its process was lost. */
    void (*session)(void *context, struct str session, enum code code, const char *reason);
};

/* How a call came out. The texts are borrowed for the call of `done`. */
struct pool_answer {
    enum code code;
    struct str text;  /* one sentence; empty for CODE_OK */
    bool failed;      /* CODE_OK, and the worker answered with an error */
    struct str value; /* CODE_OK: the result or error, as JSON */
};

#define POOL_TEXT_BYTES 200u

/* Something that a process owes an answer to. */
struct pool_flight {
    enum pool_flight_kind {
        POOL_FLIGHT_CALL,
        POOL_FLIGHT_LATE, /* a call that nobody waits for any more */
        POOL_FLIGHT_PING,
        POOL_FLIGHT_END, /* of a session */
    } kind;
    int64_t id;
    struct list link;
};

struct pool_call {
    /* The caller's, who keeps all of it until `done`. */
    struct str session; /* empty: none */
    struct str command;
    struct str args; /* JSON that was checked; empty: none */
    enum lend_affinity affinity;
    bool create;                                          /* a session that is not there begins */
    int64_t deadline_us;                                  /* INT64_MAX: none */
    void (*chunk)(struct pool_call *c, struct str value); /* NULL: they are dropped */
    void (*done)(struct pool_call *c, const struct pool_answer *answer);
    void *context;

    /* The pool's; may be read after `done`. */
    enum { POOL_CALL_NEW, POOL_CALL_WAITING, POOL_CALL_SENT, POOL_CALL_ENDED } state;
    struct lend_call lent;
    struct pool_flight flight;
    struct heap_node due;
    struct list link; /* of those that have ended */
    enum code code;
    char text[POOL_TEXT_BYTES];
    int64_t asked_us, sent_us;
    bool opened; /* it began its session */
};

struct pool;

struct pool *pool_new(const struct pool_settings *settings, const struct pool_wire *wire,
                      uint64_t seed, int64_t now);
/* Its processes have ended, and it has no calls. */
struct pool *pool_free(struct pool *p);

/* Settings for what is started and called from now on; processes are replaced by and by where
 * `renew`. */
void pool_set(struct pool *p, const struct pool_settings *settings, bool renew, int64_t now);

/* Make a call. False: it was refused, with the sentence in ret->text (static, or the pool's until
 * the next call). */
bool pool_call(struct pool *p, struct pool_call *c, int64_t now, struct pool_answer *ret);
/* Nobody waits for it any more, and it is the caller's again. */
void pool_cancel(struct pool *p, struct pool_call *c, int64_t now);
/* Its chunks are taken again, or not for now. Where its process has other calls, nothing happens.
 */
void pool_hold(struct pool *p, struct pool_call *c, bool wanted);

/* Begin a session, or one that was lost anew. CODE_SESSION_MISMATCH: it is there. */
enum code pool_open(struct pool *p, struct str session, int64_t now);
/* End one, its calls that wait with it; what its process does at the moment may end. */
enum code pool_end(struct pool *p, struct str session, int64_t now);

/* Replace every process by and by. */
void pool_recycle(struct pool *p, int64_t now);
/* Take no more calls; answer those that there are, for `grace_us` at most, then end all processes.
 */
void pool_drain(struct pool *p, int64_t grace_us, int64_t now);
/* No process is left, and none will be started. */
bool pool_over(const struct pool *p);

/* What the wire tells. */
void pool_started(struct pool *p, uint64_t id, int64_t now);
/* All that it will ever say has been handed in; `how` is one sentence, for whoever waited for it.
 */
void pool_ended(struct pool *p, uint64_t id, struct str how, int64_t now);
/* Where its next bytes go (frame_room()), and that they came. NULL: it is not read any more. */
char *pool_room(struct pool *p, uint64_t id, size_t *ret_n);
void pool_bytes(struct pool *p, uint64_t id, size_t n, int64_t now);
/* Its resident size was looked at. */
void pool_memory(struct pool *p, uint64_t id, int64_t bytes, int64_t now);

/* When pool_tick() has something to do; INT64_MAX: never. */
int64_t pool_next_us(const struct pool *p);
void pool_tick(struct pool *p, int64_t now);

/* How it is. */

struct pool_counts {
    unsigned states[WORKER_STATE_N];
    unsigned busy;  /* processes with calls */
    unsigned calls; /* in flight */
    unsigned waiting;
    unsigned sessions;
    int64_t answered;
    int64_t failed; /* of them, by the worker's own word */
    int64_t refused[CODE_N];
    int64_t late; /* replies that nobody waited for */
    int64_t started, lost, recycled;
};

void pool_counts(const struct pool *p, struct pool_counts *ret);

struct pool_look {
    uint64_t id;
    enum worker_state state;
    const char *why; /* it came to it */
    int64_t age_us;
    int64_t calls;
    unsigned busy;
    unsigned sessions;
    int64_t memory_bytes;
};

/* Each process; in the order in which they were started. */
void pool_each(const struct pool *p, int64_t now,
               void (*look)(void *context, const struct pool_look *l), void *context);

struct pool_session_look {
    struct str id;
    bool lost;
    uint64_t process; /* 0: none */
    int64_t age_us, idle_us;
    int64_t calls;
};

/* False: there is none. */
bool pool_session(const struct pool *p, struct str session, int64_t now,
                  struct pool_session_look *ret);
void pool_each_session(const struct pool *p, int64_t now,
                       void (*look)(void *context, const struct pool_session_look *l),
                       void *context);

/* Asserts what must hold at every moment. */
void pool_check(const struct pool *p);

#endif
