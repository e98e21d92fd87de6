/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch_state: what the files of the dispatcher have in common.
 */
#ifndef SERVE_DISPATCH_STATE_H
#define SERVE_DISPATCH_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "core/breaker.h"
#include "serve/dispatch.h"
#include "serve/dispatch_call.h"
#include "serve/loop.h"

#define DISPATCH_FLIGHT_STATES(X)  X(CALLING) X(TELLING)
#define DISPATCH_FLIGHT_ENUM(name) DISPATCH_FLIGHT_##name,
enum dispatch_flight_state { DISPATCH_FLIGHT_STATES(DISPATCH_FLIGHT_ENUM) };

/* A runner that this server called not long ago. */
struct dispatch_runner {
    struct list link;
    struct dispatch *dispatch;
    int64_t worker; /* its key */
    struct caller_peer *peer;
    struct breaker breaker;
    size_t flights; /* whose runner it is */
    size_t errands; /* likewise */
    bool pinging;
    int64_t used_us; /* something was given to it */
    int64_t heard_us;
};

/* A lease that this server calls for. */
struct dispatch_flight {
    struct list link;  /* the dispatch's flights */
    struct list queue; /* what it is to be told with */
    struct dispatch *dispatch;
    struct dispatch_runner *runner; /* NULL: its address is none */
    enum dispatch_flight_state state;
    struct lease_ref lease;
    enum placement_mode mode;
    struct caller_call call;
    enum dispatch_cut cut;
    bool lost;       /* the lease is somebody else's or nobody's by now */
    int64_t stop_us; /* the runner was told to stop, and the call is cut then; 0: it was not */
    struct arena arena;

    /* TELLING */
    struct dispatch_end end;
    unsigned tries;
    struct task_complete complete;
    struct task_codes codes;
    struct batcher_request request;
};

/* A Cancel or a Ping. */
struct dispatch_errand {
    struct dispatch_runner *runner;
    struct caller_call call;
    struct arena arena;
    bool ping;
};

/* A request of which one at a time is under way. */
struct dispatch_post {
    struct batcher_request request;
    struct arena arena;  /* of what is asked */
    struct list flights; /* that it is about */
    bool busy;
};

/* A Cancel that was sent for a lease which is not this server's call. */
struct dispatch_told {
    int64_t token, at_us;
};
struct dispatch_tolds {
    struct dispatch_told *list; /* by token */
    size_t n, cap;
};

struct dispatch {
    struct dispatch_options o;
    struct hub_wait wait;
    struct loop_handle timer, soon;
    int64_t armed_us;

    struct map *by_worker; /* dispatch_runner */
    struct list runners;
    pthread_mutex_t alone_lock;
    int64_t *alone; /* incarnations whose breaker is not closed */
    size_t alone_n, alone_cap;
    struct map *by_token; /* dispatch_flight */
    struct list flights;
    size_t flights_n, errands_n;
    size_t completing; /* completions that the store has not answered */

    struct list accepted, refused, ended; /* flights, by their `queue`, that are to be told */

    struct dispatch_post round, accept, refuse, keep, cancels;
    struct grant_round round_asked;
    struct grant_leases round_found;
    struct arena after; /* of round_asked.after */
    struct grant_refs accept_asked, keep_asked;
    struct grant_refuse refuse_asked;
    struct task_codes accept_codes, refuse_codes;
    struct grant_keeps keep_found;
    int64_t cancels_after; /* 0: no walk goes on */
    struct grant_cancels cancels_found;
    bool wants_round, wants_cancels;
    int64_t round_us;                    /* not before: the store is away */
    int64_t keep_us;                     /* the next one, as what follows; INT64_MAX: none */
    int64_t cancels_us;                  /* not before */
    int64_t look_us;                     /* at runners, and for cancels as a net */
    struct dispatch_tolds told, telling; /* in the last walk; in the one that goes on */

    bool draining, closing;
    int64_t drain_us; /* calls are cut then */
    void (*over)(void *context);
    void *over_context;
    int handles;
    _Atomic int64_t counts[DISPATCH_COUNT_N];
};

static inline void dispatch_count(struct dispatch *d, enum dispatch_count what, int64_t n)
{
    atomic_fetch_add_explicit(&d->counts[what], n, memory_order_relaxed);
}

static inline struct dispatch_flight *dispatch_flight_of(struct list *link)
{
    return LIST_OF(link, struct dispatch_flight, link);
}

static inline struct dispatch_flight *dispatch_flight_queued(struct list *link)
{
    return LIST_OF(link, struct dispatch_flight, queue);
}

/* What the engine knows of time, on this machine's monotonic clock. */
static inline int64_t dispatch_monotonic(const struct batcher_request *q, int64_t at)
{
    return at ? q->begun_us + (at - q->now) : INT64_MAX;
}

/* dispatch_runner.c */

/* NULL: its address is none, and *ret_why says what is wrong with it. */
struct dispatch_runner *dispatch_runner_need(struct dispatch *d, int64_t worker, struct str address,
                                             const char **ret_why);
/* How a call to it came out. */
void dispatch_runner_told(struct dispatch_runner *r, bool healthy);
void dispatch_runner_cancel(struct dispatch_runner *r, struct lease_ref lease, const char *reason);
/* Pings that are due; forget who was not used for long. Returns when to look again. */
int64_t dispatch_runner_look(struct dispatch *d, int64_t now_us);
void dispatch_runner_free_all(struct dispatch *d);

/* dispatch_flight.c */

/* A lease was granted by this request, and its runner is called. */
void dispatch_flight_begin(struct dispatch *d, const struct batcher_request *q,
                           const struct grant_lease *l);
void dispatch_flight_free(struct dispatch_flight *f);
/* NULL: none has this token. */
struct dispatch_flight *dispatch_flight_find(struct dispatch *d, int64_t token);
/* What it came to waits to be told to the store. */
void dispatch_flight_tell(struct dispatch_flight *f);
/* The runner hears of it, and has some time to answer. */
void dispatch_flight_stop(struct dispatch_flight *f);
/* The lease is not ours any more; whoever works on it stops. */
void dispatch_flight_lose(struct dispatch_flight *f);
void dispatch_flight_cut(struct dispatch_flight *f, enum dispatch_cut why);

/* dispatch_tell.c: as far as something waits, and no such request is under way */

void dispatch_tell_accepted(struct dispatch *d);
void dispatch_tell_refused(struct dispatch *d);
void dispatch_tell_ended(struct dispatch *d);

/* dispatch_cancels.c */

/* The next page of a walk, or the first of one that is wanted and due. */
void dispatch_cancels_ask(struct dispatch *d, int64_t now);

/* dispatch.c */

/* Another round would find more than the last one. */
void dispatch_again(struct dispatch *d);
/* What is to be posted is, once for all that came in this turn of the loop. */
void dispatch_soon(struct dispatch *d);
void dispatch_want(struct dispatch *d, int64_t at_us);
/* `name`: NULL: it changes nothing. `done` ends with dispatch_answered(). */
void dispatch_ask(struct dispatch *d, struct dispatch_post *p, const char *name,
                  batcher_function *function, const void *asked, void *found, size_t found_size,
                  void (*done)(struct batcher_request *q));
void dispatch_answered(struct dispatch *d, struct dispatch_post *p);
/* After the end of whatever a drain waits for. */
void dispatch_close_if_over(struct dispatch *d);

#endif
