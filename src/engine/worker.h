/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: who may hold leases.
 *
 * Registering makes a new incarnation; its heartbeat keeps all of its leases alive and brings back
 * which of them to stop. There are three kinds:
 *   local    inside a weft program. It is lost only after proof that its processes are dead, so
 *            whoever calls worker_lose() for one has that proof.
 *   remote   it joins under a name that only one incarnation has at a time, and is lost by silence.
 *   guest    it claims by a name without having joined. It has no heartbeat and is never silent:
 *            each of its leases has an end of its own (task.expires_at).
 */
#ifndef ENGINE_WORKER_H
#define ENGINE_WORKER_H

#include "core/worker.h"
#include "engine/tx.h"

#define WORKER_NAME_BYTES_MAX 200u
#define WORKER_SLOTS_MAX      100000
#define WORKER_TTL_US_MIN     (1 * 1000000LL)
#define WORKER_TTL_US_MAX     (86400 * 1000000LL)

#define WORKER_SLOTS_DEFAULT     1000
#define WORKER_TTL_US_DEFAULT    (60 * 1000000LL)
#define WORKER_LABELS_MAX        64u
#define WORKER_LABEL_BYTES_MAX   200u
#define WORKER_TYPE_BYTES_MAX    200u
#define WORKER_ADDRESS_BYTES_MAX 300u
#define WORKER_VERSION_BYTES_MAX 200u
#define WORKER_METRICS_BYTES_MAX (16u << 10)
#define WORKER_LEASES_MAX        100000u
#define WORKER_BEATS_MAX         10000u
#define WORKER_PAGE_MAX          1000

#define WORKER_LOCAL  STR("local")
#define WORKER_REMOTE STR("remote")
#define WORKER_GUEST  STR("guest")

struct worker_label {
    struct str name, value;
};

struct worker_labels {
    const struct worker_label *list; /* each name once */
    size_t n;
};

struct worker_register {
    struct str name, kind, host, boot, site;
    int64_t pid, pid_start;
    int64_t slots;
    int64_t ttl_us;
    int64_t run; /* the run that it carries; 0: whatever comes */
    struct worker_labels labels, metadata;
    /* Of a runner, a remote worker that is called: all three, and slots of 0 are no limit. */
    struct str type, address;
    unsigned modes;     /* core/placement */
    struct str version; /* of its program */
};

struct worker_row {
    int64_t incarnation;
    struct str name, kind, host, boot, site;
    int64_t pid, pid_start, slots, ttl_us, beat_at, joined_at, run;
    int64_t busy; /* live leases */
    enum worker_state state;
};

struct worker_rows {
    struct worker_row *list;
    size_t n;
};

/* A lease, as its holder names it. */
struct lease_ref {
    int64_t task;
    int64_t token;
};

struct worker_beat_reply {
    enum worker_state state;
    struct lease_ref *stop; /* leases whose tasks are to be stopped */
    size_t stop_n;
};

/* Everything about a worker, for people. */
struct worker_view {
    struct worker_row worker;
    struct str reason;
    struct worker_labels labels, metadata;
    struct str metrics;                /* a JSON object, as last reported */
    int64_t ended_at;                  /* 0: it is not over */
    struct str type, address, version; /* empty: it is no runner */
    unsigned modes;
};

/* RUN_HELD where a worker that is not over carries that run: of two that come at once, one does. */
int worker_register(struct tx *tx, const struct worker_register *req, struct worker_row *reply);

struct worker_join {
    struct worker_register worker;  /* its kind is WORKER_REMOTE, whatever it says */
    const struct lease_ref *leases; /* that it still works on, each once */
    size_t leases_n;
    bool takeover; /* end an incarnation that still lives */
};

struct worker_joined {
    struct worker_view worker;
    bool reregistered;      /* there was an earlier incarnation of this name */
    struct lease_ref *kept; /* of those named: they go on, under the new incarnation */
    struct lease_ref *lost; /* of those named: to be stopped */
    size_t kept_n, lost_n;
    int64_t beat_every_us; /* a fifth of its TTL */
};

/* The new incarnation of the worker of that name. The one before it is over: of what it held, the
 * leases named go over to the new one (no more than its slots), the others are given back at once
 * as lost. WORKER_ALIVE, and nothing is changed, where the one before it is not late with its
 * heartbeat and `takeover` is not asked; a runner at the address of the one before it is that one,
 * started again, and need not ask. */
int worker_join(struct tx *tx, const struct worker_join *req, struct worker_joined *reply);

/* WORKER_LOST where the incarnation is over: its leases are gone, everything must be stopped, and a
 * new registration is needed. */
int worker_beat(struct tx *tx, const int64_t *incarnation, struct worker_beat_reply *reply);

struct worker_beat {
    int64_t incarnation;
    struct str metrics; /* a JSON object; empty: as they were */
};
struct worker_beats {
    const struct worker_beat *list;
    size_t n; /* 1 … WORKER_BEATS_MAX */
};
struct worker_beat_answer {
    enum code code;  /* OK, WORKER_LOST, WORKER_NOT_FOUND, INVALID */
    struct str text; /* one sentence, where it is not OK */
    struct worker_beat_reply reply;
};
struct worker_beat_answers {
    struct worker_beat_answer *list; /* in the order of the request */
    size_t n;
};
/* Heartbeats of many incarnations with three statements; each is answered for itself. */
int worker_beat_many(struct tx *tx, const struct worker_beats *req,
                     struct worker_beat_answers *reply);

/* A heartbeat that is late makes it SUSPECT; one that has come in the meantime makes this nothing.
 */
int worker_quiet(struct tx *tx, const int64_t *incarnation, struct worker_row *reply);
int worker_drain(struct tx *tx, const int64_t *incarnation, struct worker_row *reply);
/* The ordinary end. Attempts that it still holds end as lost. */
int worker_leave(struct tx *tx, const int64_t *incarnation, struct worker_row *reply);

struct worker_lose {
    int64_t incarnation;
    struct str reason;
    int64_t beat_at; /* the newest heartbeat that its silence was judged from; 0: it is proven dead
                        and its heartbeat does not matter */
};
struct worker_lose_reply {
    int64_t *tasks; /* that it held */
    struct str *names;
    size_t n;
};
/* WORKER_ALIVE, and nothing is changed, where a heartbeat has come since beat_at. */
int worker_lose(struct tx *tx, const struct worker_lose *req, struct worker_lose_reply *reply);

/* The same for many that were silent, in bounded steps: at most `tasks_max` of what they hold is
 * taken back. One that holds more lives on until another call finds it silent still. One whose
 * heartbeat has come meanwhile is left as it is. */
struct worker_lose_many {
    const struct worker_lose *list; /* by incarnation */
    size_t n;
    size_t tasks_max;
};
struct worker_lost {
    int64_t workers; /* that are lost now */
    bool more;       /* of what they hold was left */
};
int worker_lose_many(struct tx *tx, const struct worker_lose_many *req, struct worker_lost *reply);
/* Lock what they hold, with its runs, for a worker_lose_many() that comes later in the transaction:
 * who locks other runs in between passes over those that somebody else has. */
int worker_lose_lock(struct tx *tx, const struct worker_lose_many *req);

/* Those that are not LOST or GONE. `unused` is NULL. */
int worker_list(struct tx *tx, const void *unused, struct worker_rows *reply);

int worker_get(struct tx *tx, const int64_t *incarnation, struct worker_view *reply);

struct worker_page {
    bool all;        /* with those that are over; else none whose TTL has passed, either */
    struct str name; /* empty: any */
    struct str type; /* of runners; empty: any */
    int64_t after;   /* the incarnation that the page before ended with; 0: the first page */
    int64_t max;     /* 1 … WORKER_PAGE_MAX */
};
struct worker_views {
    struct worker_view *list; /* by incarnation */
    size_t n;
    int64_t next; /* `after` of the next page; 0: this is the last */
};
int worker_page(struct tx *tx, const struct worker_page *req, struct worker_views *reply);

/* The incarnation under which a guest of this name claims; it is made where there is none. The name
 * is one that a worker may have and no number, since a number is the id of an incarnation. */
int worker_guest(struct tx *tx, const struct str *name, int64_t *reply);
/* Of several names, each once; one that is refused has its problem set. */
int worker_guest_many(struct tx *tx, const struct str *names, int64_t *ret,
                      struct tx_problem *problems, size_t n);

#endif
