/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/row.h"

#include <assert.h>
#include <inttypes.h>

#include "base/broken.h"
#include "core/definition.h"
#include "engine/lane.h"

int row_task(struct tx *tx, const struct rows *rows, size_t i, struct task_row *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;

    assert(rows->columns >= ROW_TASK_COLUMNS);
    *ret = (struct task_row){
        .id = c[0].i,
        .run = c[1].i,
        .queue = c[2].s,
        .name = c[3].s,
        .task = {.attempts = c[6].i, .budget_from = c[7].i, .due_at = c[9].i, .cancel = c[10].i},
        .retry_text = c[8].s,
        .groups_open = c[11].i,
        .token = c[12].i,
        .worker = c[13].i,
        .timeout_us = c[14].i,
        .ready_at = c[15].i,
        .leased_at = c[16].i,
        .started_at = c[17].i,
        .priority = c[18].i,
        .key = c[19].s,
        .unique_key = c[20].s,
        .turn = c[21].i,
        .gate = c[22].i,
    };
    ret->task.taker = row_taker(ret->gate);
    if (!task_state_parse(c[4].s, &ret->task.state))
        return tx_damaged(tx, "task %" PRId64 " has the state \"%.*s\", which there is not",
                          ret->id, ROW_SHOWN(c[4].s));
    if (!task_reason_parse(c[5].s, &ret->task.reason))
        return tx_damaged(tx, "task %" PRId64 " has the reason \"%.*s\", which there is not",
                          ret->id, ROW_SHOWN(c[5].s));
    ret->task.awaits = task_held(ret->task.state) && ret->groups_open > 0 && !BROKEN(ORPHAN);
    if (!task_sound(&ret->task))
        return tx_damaged(tx,
                          "task %" PRId64 " is %s (%s) with %" PRId64 " attempts, %" PRId64
                          " of them not charged, which cannot be",
                          ret->id, task_state_text(ret->task.state).p,
                          task_reason_text(ret->task.reason).p, ret->task.attempts,
                          ret->task.budget_from);
    if (ret->timeout_us < 0 || ret->timeout_us > DEFINITION_TIMEOUT_US_MAX)
        return tx_damaged(tx, "task %" PRId64 " has a timeout of %" PRId64 " us, which cannot be",
                          ret->id, ret->timeout_us);
    return 0;
}

enum task_taker row_taker(int64_t gate)
{
    if (gate == GATE_CHECK)
        return TASK_FOR_RESULTS;
    return gate == GATE_PUSHED ? TASK_FOR_RUNNER : TASK_FOR_WORKER;
}

void row_retry(struct task_row *row)
{
    if (row->retry_text.n == 0 || !retry_parse(row->retry_text, &row->task.retry))
        row->task.retry = retry_default();
}

int row_run(struct tx *tx, const struct rows *rows, size_t i, struct run_row *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;

    *ret = (struct run_row){
        .id = c[0].i,
        .workflow = c[1].s,
        .version = c[2].i,
        .reason = c[4].s,
        .detail = c[5].s,
        .params = c[6].s,
        .dir = c[7].s,
        .max_parallel = c[8].i,
        .tasks = c[9].i,
        .open = c[10].i,
        .held = c[11].i,
        .failed = c[12].i,
        .created_at = c[13].i,
        .ended_at = c[14].i,
        .growing = c[15].i,
        .metadata = rows->columns > 16 ? c[16].s : STR(""),
    };
    if (!run_state_parse(c[3].s, &ret->state))
        return tx_damaged(tx, "run %" PRId64 " has the state \"%.*s\", which there is not", ret->id,
                          ROW_SHOWN(c[3].s));
    if (ret->tasks < 0 || ret->tasks > DEFINITION_TASKS_MAX || ret->open < 0 || ret->held < 0 ||
        ret->failed < 0)
        return tx_damaged(tx,
                          "run %" PRId64 " has %" PRId64 " tasks, %" PRId64 " open, %" PRId64
                          " held and %" PRId64 " failed, which cannot be",
                          ret->id, ret->tasks, ret->open, ret->held, ret->failed);
    return 0;
}

int row_worker(struct tx *tx, const struct rows *rows, size_t i, struct worker_row *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;

    *ret = (struct worker_row){
        .incarnation = c[0].i,
        .name = c[1].s,
        .kind = c[2].s,
        .host = c[3].s,
        .boot = c[4].s,
        .site = c[5].s,
        .pid = c[6].i,
        .pid_start = c[7].i,
        .slots = c[8].i,
        .ttl_us = c[9].i,
        .beat_at = c[10].i,
        .joined_at = c[11].i,
        .run = c[12].i,
        .busy = rows->columns > 14 ? c[14].i : 0,
    };
    if (!worker_state_parse(c[13].s, &ret->state))
        return tx_damaged(tx, "worker %" PRId64 " has the state \"%.*s\", which there is not",
                          ret->incarnation, ROW_SHOWN(c[13].s));
    if (ret->slots < 0 || ret->ttl_us < 1)
        return tx_damaged(tx,
                          "worker %" PRId64 " has %" PRId64 " slots and lives %" PRId64
                          " us, which cannot be",
                          ret->incarnation, ret->slots, ret->ttl_us);
    return 0;
}

int row_group_unsound(struct tx *tx, int64_t task, const struct group *g)
{
    return tx_damaged(tx,
                      "a group of task %" PRId64 " counts %" PRId64 " of %" PRId64
                      " ended, %" PRId64 " succeeded, and needs %" PRId64 ", which cannot be",
                      task, g->done, g->total, g->succeeded, g->need);
}

int row_group(struct tx *tx, const struct rows *rows, size_t i, struct group_row *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;

    *ret = (struct group_row){
        .id = c[0].i,
        .task = c[1].i,
        .group = {.need = c[3].i,
                  .total = c[4].i,
                  .done = c[5].i,
                  .succeeded = c[6].i,
                  .missing = c[9].i},
        .verdict = c[7].s,
        .waiting = str_eq(c[7].s, STR("WAITING")),
        .cancel_rest = c[10].i,
        .from = rows->columns > 12 ? c[11].i : 0,
        .succeeded = rows->columns > 12 && c[12].i,
    };
    if (!group_rule_parse(c[2].s, &ret->group.rule))
        return tx_damaged(tx,
                          "a group of task %" PRId64 " has the rule \"%.*s\", which there is not",
                          ret->task, ROW_SHOWN(c[2].s));
    if (!group_role_parse(c[8].s, &ret->role))
        return tx_damaged(tx,
                          "a group of task %" PRId64 " has the role \"%.*s\", which there is not",
                          ret->task, ROW_SHOWN(c[8].s));
    if (!ret->waiting && !str_eq(ret->verdict, STR("MET")) &&
        !str_eq(ret->verdict, STR("IMPOSSIBLE")))
        return tx_damaged(
            tx, "a group of task %" PRId64 " has the verdict \"%.*s\", which there is not",
            ret->task, ROW_SHOWN(ret->verdict));
    if (!group_sound(&ret->group))
        return row_group_unsound(tx, ret->task, &ret->group);
    return 0;
}
