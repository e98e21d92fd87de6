/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/view.h"

#include <inttypes.h>

#include "engine/lane.h"
#include "engine/row.h"

/* What is read of one task alone. */
static void view_more(const struct cell *c, struct task_view *ret, struct task_attempt *ret_running)
{
    if (ret->run == 0)
        ret->payload = c[0].s;
    ret->key = c[1].s;
    ret->behind = c[2].i == LANE_WAITS;
    ret->held_until = c[3].i ? c[3].i : c[7].i;
    ret->holder = c[6].s;
    ret_running->percent = (int)c[4].i;
    ret_running->message = c[5].s;
}

int view_task(struct tx *tx, const struct rows *rows, size_t i, struct task_view *ret,
              struct task_attempt *ret_running)
{
    return view_task_columns(tx, rows, i, rows->columns, ret, ret_running);
}

int view_task_columns(struct tx *tx, const struct rows *rows, size_t i, size_t columns,
                      struct task_view *ret, struct task_attempt *ret_running)
{
    const struct cell *c = rows->cells + i * rows->columns;

    *ret = (struct task_view){
        .id = c[0].i,
        .run = c[1].i,
        .queue = c[2].s,
        .name = c[3].s,
        .reason = c[5].s,
        .detail = c[6].s,
        .priority = c[7].i,
        .due_at = c[8].i,
        .cancel = c[9].i,
        .created_at = c[13].i,
        .ended_at = c[15].i,
        .output = c[16].s,
    };
    *ret_running = (struct task_attempt){
        .running = true,
        .number = c[10].i,
        .token = c[11].i,
        .worker = c[12].i,
        .started_at = c[14].i,
        .percent = -1,
    };
    if (columns > 17)
        view_more(c + 17, ret, ret_running);
    if (!task_state_parse(c[4].s, &ret->state))
        return tx_damaged(tx, "task %" PRId64 " has the state \"%.*s\", which there is not",
                          ret->id, ROW_SHOWN(c[4].s));
    return 0;
}

int view_attempt(struct tx *tx, const struct rows *rows, size_t i, struct task_attempt *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;

    *ret = (struct task_attempt){
        .number = c[1].i,
        .percent = -1,
        .token = c[2].i,
        .worker = c[3].i,
        .reason = c[5].s,
        .message = c[6].s,
        .stderr_tail = c[7].s,
        .has_exit_code = c[8].kind != CELL_NULL,
        .exit_code = (int)c[8].i,
        .signal = (int)c[9].i,
        .started_at = c[10].i,
        .ended_at = c[11].i,
        .queue_wait_us = c[12].i,
        .run_us = c[13].i,
        .cpu_us = c[14].i,
        .max_rss_bytes = c[15].i,
    };
    if (!retry_outcome_parse(c[4].s, &ret->outcome))
        return tx_damaged(tx,
                          "attempt %" PRId64 " of task %" PRId64
                          " has the outcome \"%.*s\", which there is not",
                          ret->number, c[0].i, ROW_SHOWN(c[4].s));
    return 0;
}
