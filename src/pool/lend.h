/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lend: who gets which process of a pool (docs/pools.md, "A call").
 *
 * A process has *places*, one for each call that it may have in flight, and room for sessions. A
 * call is lent a place, or waits: in the line of its session where only one process will do, else
 * in the line of all. Lines are served first come, first served, whatever they are: each call that
 * waits has a number, and a place that is free goes to the lowest that it can serve.
 *
 * Data only: no clock, no descriptor. What is linked in belongs to the caller. Every function costs
 * at most a look at each process and the logarithm of who waits.
 *
 * Invariants (lend_check): a process that is open and has a free place is waited for by nobody whom
 * it could serve; nobody has a place of a process with more calls than places; a session has one
 * process at most.
 */
#ifndef POOL_LEND_H
#define POOL_LEND_H

#include <stdbool.h>

#include "base/heap.h"
#include "base/list.h"

struct lend_process {
    bool open;       /* gives places; only changed by lend_open() and lend_close() */
    unsigned places; /* at least 1 */
    unsigned used;
    unsigned sessions_max; /* 0: none is bound to it */
    unsigned sessions_n;
    struct list sessions; /* bound to it */
    struct heap hungry;   /* of those, who waits, by the first of its line */
    struct list link;
};

struct lend_session {
    struct lend_process *process; /* NULL: not bound */
    unsigned calls;               /* that wait in its line, or have a place */
    struct list line;             /* calls that only its process may serve */
    struct heap_node waits;       /* while the line is not empty */
    struct list link;             /* of its process */
};

enum lend_affinity { LEND_STRICT, LEND_PREFERRED, LEND_NONE };

struct lend_call {
    struct lend_session *session; /* NULL: none */
    enum lend_affinity affinity;  /* of a call with a session */
    struct lend_process *process; /* that gave it a place; NULL: it waits, or is nowhere */
    int64_t number;               /* of one that waits, or did */
    struct list link;             /* in a line */
};

struct lend {
    struct list processes; /* the oldest first */
    struct list line;      /* calls that any process may serve */
    struct heap unbound;   /* sessions without a process whose lines are not empty */
    unsigned waiting;
    unsigned waiting_max;
    int64_t last_number;
};

void lend_init(struct lend *l, unsigned waiting_max);
/* Without processes and calls. */
void lend_deinit(struct lend *l);

/* A process that is not open yet, zero but for its places and sessions_max. */
void lend_add(struct lend *l, struct lend_process *p);
/* It has no sessions and no calls. */
void lend_remove(struct lend *l, struct lend_process *p);

/* From now on it gives places (lend_next() says to whom), or no more. */
void lend_open(struct lend_process *p);
void lend_close(struct lend_process *p);

void lend_session_init(struct lend_session *s);
/* It has no calls. */
void lend_session_deinit(struct lend_session *s);
/* Bind a session that is not bound, whether the process is open or not. */
void lend_bind(struct lend *l, struct lend_session *s, struct lend_process *p);
/* Who waits in its line waits for any process that takes the session. Nothing for one that is not
 * bound. */
void lend_unbind(struct lend *l, struct lend_session *s);

enum { LEND_E_WAITS = 1, LEND_E_FULL };

/* Ask for a place. Returns 0 and it has one (`process`), LEND_E_WAITS, or LEND_E_FULL and nothing
 * happened. */
int lend_ask(struct lend *l, struct lend_call *c);

/* The call that gets a place of the process now, or NULL. Asked again and again after a place
 * became free, a session left, the process was opened or grew. */
struct lend_call *lend_next(struct lend *l, struct lend_process *p);

/* It gives its place back, or leaves the line. */
void lend_return(struct lend_call *c);
void lend_leave(struct lend *l, struct lend_call *c);

/* Whether a call that waits does so since every open process has as many sessions of others as it
 * takes. */
bool lend_crowded(const struct lend *l, const struct lend_call *c);

/* Asserts the invariants; costs a look at everything. */
void lend_check(const struct lend *l);

#endif
