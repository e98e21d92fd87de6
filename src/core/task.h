/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task: one unit of work, and the only way in which its state moves.
 *
 *     BLOCKED --met--> READY --claim--> LEASED --start--> RUNNING --succeed--> SUCCEEDED
 *      |   |            ^ ^                |                 | |                  ^
 *      |  met       due | +----release-----+-----------------+ +-> AWAITING --met-+
 *      |   |            |                                    |
 *      |   +-------> DELAYED <--again, but later-------------+--fail, time_out, lose--> FAILED
 *      |                                                     |
 *      +--skip--> SKIPPED                                    +--stop--> CANCELLED
 *
 * A success is AWAITING while tasks that it added have not ended. A check, which nobody takes, goes
 * from READY to SUCCEEDED or FAILED by `conclude`.
 *
 * Every state that is not final can be cancelled: at once where nobody holds it, and by `stop` once
 * its holder has confirmed. FAILED, CANCELLED and SKIPPED can be given back by `requeue` (to READY)
 * and `rewind` (to BLOCKED), with a new budget of attempts. `timed_out` and `lost` are outcomes of
 * attempts, never states of tasks.
 */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "base/str.h"
#include "core/retry.h"

#define TASK_STATES(X)                                                                             \
    X(BLOCKED)                                                                                     \
    X(DELAYED)                                                                                     \
    X(READY)                                                                                       \
    X(LEASED)                                                                                      \
    X(RUNNING)                                                                                     \
    X(AWAITING)                                                                                    \
    X(SUCCEEDED)                                                                                   \
    X(FAILED)                                                                                      \
    X(CANCELLED)                                                                                   \
    X(SKIPPED)
#define TASK_ENUM(name) TASK_##name,
enum task_state { TASK_STATES(TASK_ENUM) TASK_STATE_N };

#define TASK_EVENTS(X)                                                                             \
    X(MET)     /* its dependency groups are met */                                                 \
    X(SKIP)    /* a dependency group can never be met */                                           \
    X(DUE)     /* the time it waited for has come */                                               \
    X(CLAIM)   /* a worker took a lease on it */                                                   \
    X(START)   /* the holder started an attempt: the attempt counts */                             \
    X(RELEASE) /* the holder gave it back, or went; an attempt that it started costs no budget */  \
    X(SUCCEED)                                                                                     \
    X(FAIL)                                                                                        \
    X(TIME_OUT)                                                                                    \
    X(LOSE)     /* the holder's heartbeat or the attempt's deadline passed */                      \
    X(STOP)     /* the holder confirmed that it is stopped */                                      \
    X(CONCLUDE) /* no more results will come */                                                    \
    X(CANCEL)   /* somebody asked for it to end */                                                 \
    X(REQUEUE)  /* somebody gave it back, and its groups are met */                                \
    X(REWIND)   /* somebody gave it back, and it waits for its groups anew */
#define TASK_EVENT_ENUM(name) TASK_##name,
enum task_event { TASK_EVENTS(TASK_EVENT_ENUM) TASK_EVENT_N };

/* The reasons that a task can have for being where it is; the text is stored and shown, and never
 * changes its meaning. */
#define TASK_REASONS(X)                                                                            \
    X(NONE, "")                                                                                    \
    X(DEPENDENCIES, "waiting_for_dependencies")                                                    \
    X(PLANNING, "being_planned")                                                                   \
    X(NOT_BEFORE, "waiting_for_start_time")                                                        \
    X(BACKOFF, "waiting_for_backoff")                                                              \
    X(REFUSALS, "waiting_after_refusals")                                                          \
    X(WORKER, "waiting_for_worker")                                                                \
    X(RUNNER, "waiting_for_runner")                                                                \
    X(RESULTS, "waiting_for_results")                                                              \
    X(SPAWNED, "waiting_for_spawned_stages")                                                       \
    X(RUN_LIMIT, "waiting_for_run_limit")                                                          \
    X(PAUSED, "queue_paused")                                                                      \
    X(HELD, "held_by_worker")                                                                      \
    X(RETRYING, "retrying")                                                                        \
    X(UPSTREAM, "upstream_not_satisfied")                                                          \
    X(COMMAND_FAILED, "command_failed")                                                            \
    X(COMMAND_KILLED, "command_killed")                                                            \
    X(COMMAND_MISSING, "command_not_found")                                                        \
    X(COMMAND_DENIED, "command_not_executable")                                                    \
    X(CWD_MISSING, "cwd_not_found")                                                                \
    X(SPAWN_FAILED, "spawn_failed")                                                                \
    X(OUTPUT_INVALID, "output_invalid")                                                            \
    X(OUTPUT_LARGE, "output_too_large")                                                            \
    X(REFERENCE, "reference_unresolved")                                                           \
    X(LOG_WRITE, "log_write_failed")                                                               \
    X(BAD_REPORT, "bad_report")                                                                    \
    X(NO_PROGRESS, "no_progress")                                                                  \
    X(TIMED_OUT, "timed_out")                                                                      \
    X(LOST, "worker_lost")                                                                         \
    X(CHECK_FAILED, "check_failed")                                                                \
    X(NO_RESULT, "no_result")                                                                      \
    X(CANCELLED, "cancelled")                                                                      \
    X(REQUEUED, "requeued")                                                                        \
    X(WORKER_ERROR, "worker_reported_error")                                                       \
    X(REFUSED, "runner_refused")                                                                   \
    X(UNREACHABLE, "runner_unreachable")                                                           \
    X(NOT_ACCEPTED, "not_accepted_in_time")
#define TASK_REASON_ENUM(name, text) TASK_REASON_##name,
enum task_reason { TASK_REASONS(TASK_REASON_ENUM) TASK_REASON_N };

/* Whom a task waits for when it is READY. */
enum task_taker { TASK_FOR_WORKER, TASK_FOR_RUNNER, TASK_FOR_RESULTS };

/* What a move reads and writes. */
struct task {
    enum task_state state;
    enum task_reason reason;
    enum task_taker taker;
    bool awaits;      /* tasks that it added have not ended */
    int64_t attempts; /* started */
    /* Attempts that are not charged to the policy: those before the last REQUEUE or REWIND, and one
     * more for each that was released. */
    int64_t budget_from;
    int64_t due_at; /* DELAYED: not before then; else the start time that was asked for; 0: none */
    bool cancel;    /* somebody asked for it to end, and the holder has not confirmed */
    struct retry_policy retry; /* looked at where a started attempt ends, and by no other move */
};

/* How an attempt ended, for the moves that end one; or, for CONCLUDE, how the check came out. */
struct task_end {
    enum outcome outcome;
    enum task_reason reason; /* NONE, or one that explains no failure: the outcome's own */
    int exit_code;           /* -1 where there is none */
    int64_t put_off_us;      /* of RELEASE: not given out again before so long; 0: at once */
    bool final;              /* it would fail again: no retry, whatever the policy says */
};

enum { TASK_E_REFUSED = 1 }; /* the machine has no such move */

/*
 * Make the move of the first row that matches. Returns 0 or TASK_E_REFUSED, and then nothing has
 * changed. `end` is read by CONCLUDE and the events that end an attempt and may be NULL else;
 * `prng` gives the jitter of a backoff. *ret_why is the row's sentence (NULL allowed).
 */
int task_move(struct task *t, enum task_event event, int64_t now, const struct task_end *end,
              struct prng *prng, const char **ret_why);

bool task_final(enum task_state s);
/* The invariants: what every move leaves, and what a stored task is held against before one. */
bool task_sound(const struct task *t);
/* LEASED or RUNNING: somebody holds a lease on it. */
bool task_held(enum task_state s);
enum task_event task_event_of(enum outcome o);

struct str task_state_text(enum task_state s);
bool task_state_parse(struct str s, enum task_state *ret);
struct str task_reason_text(enum task_reason r);
bool task_reason_parse(struct str s, enum task_reason *ret);

/* The table as a Mermaid state diagram, for the documentation. */
struct buf;
void task_diagram(struct buf *out);

#endif
