/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator does with one task. */
#include <inttypes.h>

#include "base/fault.h"
#include "engine/block.h"
#include "engine/change.h"
#include "engine/task.h"

int task_cancel(struct tx *tx, const struct task_which *req, struct task_now *reply)
{
    struct task_row row;
    struct rows rows;
    struct change c;
    int r;

    if (req->id == 0)
        return tx_refuse(tx, CODE_INVALID, "a task of a run is cancelled with its run, %" PRId64,
                         req->run);
    r = block_open(tx, &req->id, 1);
    if (!r)
        r = STORE_DO(tx->store, STMT_task_lock, tx->arena, &rows, INT(req->id));
    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_TASK_NOT_FOUND, "task %" PRId64 " does not exist, or has ended",
                         req->id);
    r = row_task(tx, &rows, 0, &row);
    if (r)
        return fault(r);
    if (row.run)
        return tx_refuse(tx, CODE_INVALID, "a task of a run is cancelled with its run, %" PRId64,
                         row.run);
    change_init(&c, tx);
    if (change_move(&c, &row, TASK_CANCEL, STR("")))
        return tx_refuse(tx, CODE_TASK_STATE, "task %" PRId64 " is %s and cannot be cancelled",
                         row.id, task_state_text(row.task.state).p);
    r = change_write(&c);
    if (r)
        return fault(r);
    *reply = (struct task_now){row.id, row.task.state};
    return 0;
}
