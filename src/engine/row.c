/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/row.h"

#include <assert.h>

void row_task(const struct rows *rows, size_t i, struct task_row *ret)
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
    };
    if (!task_state_parse(c[4].s, &ret->task.state) ||
        !task_reason_parse(c[5].s, &ret->task.reason))
        assert(!"the store holds a task state or reason that this program does not know");
}

void row_retry(struct task_row *row)
{
    if (row->retry_text.n == 0 || !retry_parse(row->retry_text, &row->task.retry))
        row->task.retry = retry_default();
}

void row_run(const struct rows *rows, size_t i, struct run_row *ret)
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
    };
    if (!run_state_parse(c[3].s, &ret->state))
        assert(!"the store holds a run state that this program does not know");
}

void row_worker(const struct rows *rows, size_t i, struct worker_row *ret)
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
        assert(!"the store holds a worker state that this program does not know");
}

void row_group(const struct rows *rows, size_t i, struct group_row *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;

    *ret = (struct group_row){
        .id = c[0].i,
        .task = c[1].i,
        .group = {.need = c[3].i, .total = c[4].i, .done = c[5].i, .succeeded = c[6].i},
        .verdict = c[7].s,
        .waiting = str_eq(c[7].s, STR("WAITING")),
        .from = rows->columns > 8 ? c[8].i : 0,
        .succeeded = rows->columns > 9 && c[9].i,
    };
    if (!group_rule_parse(c[2].s, &ret->group.rule))
        assert(!"the store holds a trigger rule that this program does not know");
}
