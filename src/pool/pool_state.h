/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_state: what a pool keeps, for its own files.
 *
 * pool.c is what others call, pool_call.c the way of a call, pool_process.c the states of a
 * process, pool_keep.c how many there are, pool_session.c sessions.
 */
#ifndef POOL_POOL_STATE_H
#define POOL_POOL_STATE_H

#include "base/buf.h"
#include "base/map.h"
#include "base/prng.h"
#include "pool/frame.h"
#include "pool/message.h"
#include "pool/pool.h"

#define POOL_START_FAILURES_MAX 5u /* in a row, until nobody waits for the next one */

struct pool_process {
    struct lend_process lent;
    struct list link; /* of all, the oldest first */
    uint64_t id;
    enum worker_state state;
    const char *why;
    double share; /* of the limits of recycling */
    enum recycle_reason recycle;
    int64_t asked_us; /* when it was asked for */
    int64_t due_us;   /* what it has to do by then depends on its state */
    int64_t idle_us;  /* since when it has no call */
    int64_t calls;
    int64_t memory_bytes;
    int64_t last_id;
    unsigned ends;       /* POOL_FLIGHT_END among its flights */
    unsigned late;       /* POOL_FLIGHT_LATE */
    bool pinged;         /* a POOL_FLIGHT_PING is */
    bool stopping;       /* it was told to end */
    bool deaf;           /* what it says is not read any more */
    bool held;           /* nor for now */
    struct list flights; /* in the order of their ids */
    struct frame_reader reader;
    struct heap_node due;
};

struct pool_session_state {
    struct lend_session lent;
    struct str id;
    struct list link; /* of all */
    bool lost;
    const char *ending; /* why it ends once its calls have; NULL: it does not */
    int64_t opened_us, used_us;
    int64_t calls;
    struct heap_node due;
};

struct pool {
    struct pool_settings settings;
    char *name;
    struct pool_wire wire;
    struct prng prng;
    struct lend lend;
    struct list processes;
    unsigned states[WORKER_STATE_N];
    uint64_t last_process;
    struct map *by_id;    /* of processes, by their number */
    struct map *sessions; /* by their id */
    struct list session_list;
    unsigned sessions_n;
    struct heap calls_due, processes_due, sessions_due;
    struct list ended; /* calls whose `done` is to come */
    struct buf out;
    unsigned failures;   /* of starts, in a row */
    int64_t start_at_us; /* no start before */
    bool failing;        /* as many as nobody waits for */
    bool draining;
    int64_t drain_us; /* when what is left is ended */
    struct pool_counts counts;
    char start_text[POOL_TEXT_BYTES]; /* why the last start failed */
};

#define POOL_PROCESS_OF(it) LIST_OF(it, struct pool_process, link)

/* pool_call.c */
void pool_call_serve(struct pool *p, struct pool_process *w, int64_t now);
void pool_call_end(struct pool *p, struct pool_call *c, enum code code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void pool_call_due(struct pool *p, struct pool_call *c, int64_t now);
/* Of a flight of this process, which is one of its own. */
void pool_call_reply(struct pool *p, struct pool_process *w, struct pool_call *c,
                     const struct message_reply *reply, int64_t now);
/* `done` of all that have ended. */
void pool_call_tell(struct pool *p);
/* All that wait for a process, whichever. */
void pool_call_refuse_waiting(struct pool *p, enum code code, const char *text);

/* pool_process.c */
struct pool_process *pool_process_find(const struct pool *p, uint64_t id);
struct pool_process *pool_process_start(struct pool *p, int64_t now);
void pool_process_send(struct pool *p, struct pool_process *w);
void pool_process_drain(struct pool *p, struct pool_process *w, const char *why, int64_t now);
/* Its deadline has passed. */
void pool_process_due(struct pool *p, struct pool_process *w, int64_t now);
/* Something that it did not do in time, or did wrong: what it was lent for is lost. */
void pool_process_lose(struct pool *p, struct pool_process *w, struct str why, int64_t now);
/* A call of it is not waited for any more. */
void pool_process_suspect(struct pool *p, struct pool_process *w, const char *why, int64_t now);
void pool_process_heard(struct pool *p, struct pool_process *w, const struct message_reply *reply,
                        int64_t now);
/* It may have nothing more to do. */
void pool_process_rest(struct pool *p, struct pool_process *w, int64_t now);
/* When it is to be looked at next. */
void pool_process_wake(struct pool *p, struct pool_process *w, int64_t now);
void pool_process_end_session(struct pool *p, struct pool_process *w, struct str session,
                              int64_t now);
void pool_process_gone(struct pool *p, struct pool_process *w, int64_t now);

/* pool_keep.c */
void pool_keep(struct pool *p, int64_t now);
void pool_keep_failed(struct pool *p, struct str why, int64_t now);
void pool_keep_joined(struct pool *p);

/* pool_session.c */
struct pool_session_state *pool_session_find(const struct pool *p, struct str id);
struct pool_session_state *pool_session_begin(struct pool *p, struct str id, int64_t now);
void pool_session_use(struct pool *p, struct pool_session_state *s, int64_t now);
/* A call of it has ended. */
void pool_session_rest(struct pool *p, struct pool_session_state *s, int64_t now);
/* Of all that are bound to the process. */
void pool_session_lose(struct pool *p, struct pool_process *w, int64_t now);
void pool_session_due(struct pool *p, struct pool_session_state *s, int64_t now);
void pool_session_finish(struct pool *p, struct pool_session_state *s, const char *why,
                         int64_t now);
void pool_session_free_all(struct pool *p);

#endif
