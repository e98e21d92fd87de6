/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grant: stages that are ready go to runners.
 *
 * A round looks at the demands that have READY stages (task.key of gate GRANT_GATE), asks the core
 * for each stage which runner gets it, and writes leases; whoever called for it then calls the
 * runners, after the commit. Its answer ends in one of these:
 *
 *     sync:  RUNNING since the grant          task_complete()  the runner reported its end
 *     async: LEASED --grant_accept--> RUNNING task_complete()  by the runner's own completion
 *     both:                                   grant_refuse()   it was not taken: no attempt counts
 *                                             task_complete()  LOST: the call broke, it may be done
 *
 * What nobody ends the store ends: the lease of a sync call expires GRANT_KEEP_US after the grant
 * or the last grant_keep(), an async one that nobody accepted when its accept deadline passes (as
 * if it was refused), an accepted one when its worker is lost, or when progress was promised and
 * none came for twice the time (worker_lost, no_progress). All of that is task.expires_at. An
 * attempt's deadline (task.deadline_at) ends it as any.
 */
#ifndef ENGINE_GRANT_H
#define ENGINE_GRANT_H

#include "core/placement.h"
#include "engine/task.h"

#define GRANT_GATE             3 /* task.gate of stages that runners are called for */
#define GRANT_KEEP_US          (30 * 1000000LL)
#define GRANT_ACCEPT_US        (10 * 1000000LL) /* where the stage says nothing else */
#define GRANT_MAX              1000u            /* leases of a round */
#define GRANT_DEMANDS_MAX      256u             /* looked at in a round */
#define GRANT_RUNS_MAX         64u              /* of a demand, looked at in a round */
#define GRANT_LEASES_MAX       10000u           /* of one request to accept, refuse, keep */
#define GRANT_EXCLUDED_MAX     10000u
#define GRANT_CANCELS_MAX      1000u
#define GRANT_REASON_BYTES_MAX 4096u
/* What the leases of a round weigh, the first one apart. */
#define GRANT_BYTES_MAX (16u << 20)
/* What args and options of one lease weigh, so that a runner's library takes the message; options
 * that do not fit are left out, and the runner asks for them (Runs.QueryTasks). */
#define GRANT_REQUEST_BYTES_MAX (7u << 19)

/* Within a demand, runs take turns: the last one that was served, kept for the demands that were
 * served last. Plain data, begun with zeros, copied from each reply into the next request. */
#define GRANT_TURNS_MAX 128u
struct grant_turns {
    struct grant_turn {
        uint64_t demand; /* a digest of its text */
        int64_t run;
    } list[GRANT_TURNS_MAX];
    size_t n;
    bool cut; /* of the walk that goes on: a demand was left before all of it was given out */
};

struct grant_round {
    struct grant_turns turns;
    /* A walk over the demands takes several rounds where there are many: whoever is woken begins
     * one with an empty text, and goes on with that of each reply while there is `more`. */
    struct str after;
    const int64_t *excluded; /* incarnations that this server does not call now: open breakers */
    size_t excluded_n;
    int64_t max; /* leases, 1 … GRANT_MAX */
};

struct grant_check {
    struct str name, kind, options; /* options: JSON, or empty */
    struct str goal;                /* FINAL, PLANNED */
};

struct grant_lease {
    struct lease_ref lease;
    int64_t run;
    int64_t attempt; /* of an async one: that it will be */
    struct str name, type;
    enum placement_mode mode;
    struct str args; /* JSON */
    struct grant_check *checks;
    size_t checks_n;
    struct str runner, address; /* the worker's name */
    int64_t worker;             /* its incarnation */
    int64_t deadline_at;        /* of the attempt; 0: none */
    int64_t accept_by;          /* async: the lease goes back then; 0: sync */
    int64_t progress_us;        /* promised; 0: not */
    int64_t ready_at;           /* since when the stage was READY */
};

struct grant_leases {
    struct grant_lease *list; /* RUNNING (sync) or LEASED (async) */
    size_t n;
    struct grant_turns turns;
    struct str after; /* for the next round */
    bool more;        /* ask again at once */
    int64_t next_at;  /* ask again then, without being woken; 0: when something has changed */
};

/* One round. Nobody is called before its commit. */
int grant_round(struct tx *tx, const struct grant_round *req, struct grant_leases *reply);

/* Runners took these async stages. One answer per lease, in order: OK (also where it was RUNNING
 * already), LEASE_LOST where the lease has ended or was taken back: the runner must stop it. */
struct grant_refs {
    const struct lease_ref *list;
    size_t n; /* 1 … GRANT_LEASES_MAX */
};
int grant_accept(struct tx *tx, const struct grant_refs *req, struct task_codes *reply);

/* These were not taken: the runner said no, or could not be reached. The attempt is `rejected` and
 * costs no budget; the stage goes elsewhere, and when all that serve it have refused it waits, 1 s
 * and then twice as long each time, to 1 min. */
struct grant_refusal {
    struct lease_ref lease;
    enum task_reason reason; /* NONE, or one of core/task */
    struct str message;      /* why, for people */
};
struct grant_refuse {
    const struct grant_refusal *list;
    size_t n; /* 1 … GRANT_LEASES_MAX */
};
int grant_refuse(struct tx *tx, const struct grant_refuse *req, struct task_codes *reply);

/* This server still carries these sync calls: they expire GRANT_KEEP_US from now. */
struct grant_kept {
    enum code code; /* OK, LEASE_LOST: stop the call */
    bool stop;      /* the task is to be cancelled */
};
struct grant_keeps {
    struct grant_kept *list; /* in the order of the request */
    size_t n;
};
int grant_keep(struct tx *tx, const struct grant_refs *req, struct grant_keeps *reply);

/* Leases of pushed stages whose tasks are asked to end, of all servers, by token: those after
 * `after`. */
struct grant_cancel {
    struct lease_ref lease;
    int64_t run, worker;
    struct str runner, address;
};
struct grant_cancels {
    struct grant_cancel *list; /* at most GRANT_CANCELS_MAX; as many: there may be more */
    size_t n;
};
int grant_cancels(struct tx *tx, const int64_t *after, struct grant_cancels *reply);

/* Why a stage went where it went, and why it waits. */
struct grant_candidate {
    struct str runner; /* its name; empty: `more` others of one verdict */
    int64_t load, slots;
    int64_t more;
    enum placement_verdict verdict;
};
struct grant_trace {
    int64_t token, worker, at;
    struct str runner;
    struct grant_candidate *list;
    size_t n;
    /* The answer: the attempt of that token. */
    bool ended;
    enum outcome outcome;
    struct str reason, message;
    int64_t ended_at;
};
struct grant_why {
    struct grant_trace *traces; /* the newest first */
    size_t traces_n;
    struct placement_demand demand;
    struct grant_candidate *now; /* of a READY or DELAYED stage: what would be said now */
    size_t now_n;
    struct str sentence; /* of a READY stage: why nobody has it; else empty */
};
#define GRANT_TRACES_MAX     20u /* of a stage are kept, the newest */
#define GRANT_CANDIDATES_MAX 20u /* named in a trace; the others are counted by verdict */
/* Refused with TASK_NOT_FOUND where it is no stage that runners are called for. Breakers are each
 * server's own: those of `excluded` are shown. */
struct grant_which {
    int64_t task;
    const int64_t *excluded;
    size_t excluded_n;
};
int grant_why(struct tx *tx, const struct grant_which *req, struct grant_why *reply);

#endif
