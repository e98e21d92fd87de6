/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change: the moves that one request makes, gathered and then written with a few statements.
 *
 * change_move() asks the core for the move and notes what follows from it: the task's new row,
 * counts, the event, an ended attempt, the run's counters. change_write() writes all of that, lets
 * go what waited for tasks that ended and concludes checks, in rounds until nothing ends any more,
 * and ends runs that have no open task and do not grow. Work per edge of the graph is constant:
 * counters per dependency group, no task is looked at again.
 */
#ifndef ENGINE_CHANGE_H
#define ENGINE_CHANGE_H

#include "engine/lane.h"
#include "engine/row.h"
#include "engine/sets.h"
#include "engine/task.h"

/* A task of a run that has ended. */
struct change_end {
    int64_t task;
    bool succeeded;
    struct str name;
    enum task_state state;
};

struct change_run {
    int64_t run, open, held, failed;
};

struct change {
    struct tx *tx;
    struct sets holds, starts, puts, stops, drops, attempts, uniques;
    struct lane_entry *enters, *leaves;
    size_t enters_n, enters_cap, leaves_n, leaves_cap;
    struct change_end *ends;
    size_t ends_n, ends_cap;
    struct change_run *runs;
    size_t runs_n, runs_cap;
    int64_t *checks; /* that may be concluded now */
    size_t checks_n, checks_cap;
};

void change_init(struct change *c, struct tx *tx);

/* Move a task that no attempt ends with: MET, SKIP, DUE, CANCEL, REQUEUE, REWIND. `detail` is
 * stored with the task. Returns 0 or TASK_E_REFUSED, and then nothing is noted. */
int change_move(struct change *c, struct task_row *row, enum task_event event, struct str detail);

/* Claim and start in one: the attempt begins now, with this token and worker. The lease ends at
 * expires_at, where that is not 0. */
int change_take(struct change *c, struct task_row *row, int64_t token, int64_t worker,
                int64_t expires_at);

/* Claim alone: who holds it has not started yet, and the lease ends at expires_at unless it does.
 */
int change_lease(struct change *c, struct task_row *row, int64_t token, int64_t worker,
                 int64_t expires_at);
/* Its holder starts the attempt now. The lease ends at expires_at, where that is not 0. */
int change_start(struct change *c, struct task_row *row, int64_t expires_at);

/* End the attempt that holds the row's token. */
int change_end_attempt(struct change *c, struct task_row *row, enum task_event event,
                       const struct task_result *result, struct str digest);

/* A check that waits for results comes out so: SUCCEEDED or FAILED, with the reason. */
int change_conclude(struct change *c, struct task_row *row, enum outcome outcome,
                    enum task_reason reason);
/* A check may have to be concluded: change_write() looks (check.h). */
void change_look(struct change *c, int64_t check);

/* When an attempt that was told of at `now` ended. What ended has waited a moment to be told of;
 * without a run time all that is known is now. */
static inline int64_t change_end_at(int64_t start, int64_t run_us, int64_t now)
{
    int64_t end = start + run_us;

    if (run_us == 0 || end > now)
        end = now > start ? now : start;
    return end;
}

/* A run gets tasks, or a task its first state: counts only. */
void change_count(struct change *c, int64_t run, enum task_state state, int64_t n);

int change_write(struct change *c);
/* Its parts: the rows that were noted; and what waited for the tasks that ended. */
int change_write_rows(struct change *c);
int change_release(struct change *c);

/* Groups of these tasks are met, each task as often as groups of it are: those with no open group
 * left move on. The list is sorted on the way. */
int change_met(struct change *c, int64_t *tasks, size_t n);

/* Of these tasks, gathered by id, those that still wait and have a group which can never be met are
 * skipped. The caller writes the rows. */
int change_skip_dead(struct change *c, struct sets *tasks);

/* Judge groups (rows of group_row's statements) and move the tasks that wait for them. */
int change_judge(struct change *c, const struct rows *groups);

/* Groups whose `missing` has grown, and what they wanted (rows of name, group; by group): tasks for
 * which nothing else suffices are skipped. */
int change_judge_missing(struct change *c, const struct rows *groups, const struct rows *wanted);

/* End a run that has no open task, `run` being its row. */
int change_settle_run(struct tx *tx, struct run_row *run);

/* Event of a run's move. */
void change_run_event(struct tx *tx, const struct run_row *run, enum run_state from);

#endif
