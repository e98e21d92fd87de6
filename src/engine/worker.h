/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: who may hold leases.
 *
 * Registering makes a new incarnation; its heartbeat keeps all of its leases alive and brings back
 * which of them to stop. A local worker is lost only after proof that its processes are dead, so
 * whoever calls worker_lose() for one has that proof.
 */
#ifndef ENGINE_WORKER_H
#define ENGINE_WORKER_H

#include "core/worker.h"
#include "engine/tx.h"

#define WORKER_NAME_BYTES_MAX 200u
#define WORKER_SLOTS_MAX      100000
#define WORKER_TTL_US_MIN     (1 * 1000000LL)
#define WORKER_TTL_US_MAX     (86400 * 1000000LL)

struct worker_register {
    struct str name, kind, host, boot, site;
    int64_t pid, pid_start;
    int64_t slots;
    int64_t ttl_us;
    int64_t run; /* the run that it carries; 0: whatever comes */
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

/* RUN_HELD where a worker that is not over carries that run: of two that come at once, one does. */
int worker_register(struct tx *tx, const struct worker_register *req, struct worker_row *reply);
/* WORKER_LOST where the incarnation is over: its leases are gone, everything must be stopped, and a
 * new registration is needed. */
int worker_beat(struct tx *tx, const int64_t *incarnation, struct worker_beat_reply *reply);
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

/* Those that are not LOST or GONE. `unused` is NULL. */
int worker_list(struct tx *tx, const void *unused, struct worker_rows *reply);

#endif
