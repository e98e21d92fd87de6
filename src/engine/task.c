/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/task.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "core/lease.h"
#include "engine/block.h"
#include "engine/change.h"
#include "engine/plan_view.h"
#include "engine/progress.h"
#include "engine/queue.h"
#include "engine/run.h"
#include "engine/sets.h"
#include "engine/view.h"
#include "engine/why.h"

/* Room for n more open tasks. */
static int check_room(struct tx *tx, struct str queue, size_t n)
{
    struct queue_status q;
    int64_t open = 0;
    int r = queue_get(tx, &queue, &q);

    if (r)
        return r;
    for (int s = 0; s < TASK_STATE_N; s++)
        open += task_final(s) ? 0 : q.counts[s];
    if (open + (int64_t)n > q.tasks_max)
        return tx_refuse(tx, CODE_QUEUE_FULL,
                         "queue \"%.*s\" holds %" PRId64 " open tasks of at most %" PRId64
                         "; %zu more do not fit",
                         STR_ARG(queue), open, q.tasks_max, n);
    return 0;
}

static int find_id(struct tx *tx, const struct task_which *req, int64_t *ret)
{
    struct rows rows;
    int r;

    *ret = req->id;
    if (req->id)
        return 0;
    r = STORE_DO(tx->store, STMT_task_find, tx->arena, &rows, INT(req->run), TEXT(req->name));
    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_TASK_NOT_FOUND, "run %" PRId64 " has no task \"%.*s\"", req->run,
                         STR_ARG(req->name));
    *ret = row_int(&rows, 0, 0);
    return 0;
}

/* A task of a queue that has ended and left: what its newest attempt tells. */
static int read_gone(struct tx *tx, int64_t id, struct task_view *ret)
{
    struct rows rows;
    enum outcome o;
    int r = STORE_DO(tx->store, STMT_attempt_task, tx->arena, &rows, INT(id));

    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_TASK_NOT_FOUND, "task %" PRId64 " does not exist", id);
    *ret = (struct task_view){
        .id = id,
        .run = row_int(&rows, 0, 0),
        .queue = row_text(&rows, 0, 1),
        .ended_at = row_int(&rows, 0, 4),
        .state = TASK_CANCELLED,
    };
    if (retry_outcome_parse(row_text(&rows, 0, 2), &o) && o == OUTCOME_SUCCEEDED) {
        ret->state = TASK_SUCCEEDED;
        ret->output = row_text(&rows, 0, 5);
    }
    return 0;
}

/* A task without a row: in a block, or gone. */
static int read_other(struct tx *tx, int64_t id, struct task_view *ret,
                      struct task_attempt *ret_running)
{
    struct task_attempt attempt;
    bool found;
    int r = block_view(tx, id, ret, &attempt, &found);

    if (r)
        return fault(r);
    if (!found)
        return read_gone(tx, id, ret);
    *ret_running = attempt;
    if (ret->state != TASK_SUCCEEDED)
        return 0;
    ret->attempts = ARENA_NEW(tx->arena, struct task_attempt);
    ret->attempts[ret->attempts_n++] = attempt;
    return 0;
}

static int read_attempts(struct tx *tx, struct task_view *v, const struct task_attempt *running)
{
    struct rows rows;
    int r = 0;

    if (v->attempts_n) /* those of a block are known */
        return 0;
    r = STORE_DO(tx->store, STMT_attempt_of_task, tx->arena, &rows, INT(v->id));
    if (r)
        return fault(r);
    v->attempts = ARENA_ARRAY(tx->arena, struct task_attempt, rows.n + 1);
    for (size_t i = 0; !r && i < rows.n; i++)
        r = view_attempt(tx, &rows, i, &v->attempts[v->attempts_n++]);
    if (r)
        return fault(r);
    if (task_held(v->state))
        v->attempts[v->attempts_n++] = *running;
    return 0;
}

int task_get(struct tx *tx, const struct task_which *req, struct task_details *reply)
{
    struct task_attempt running = {0};
    struct rows rows;
    int64_t id;
    int r = find_id(tx, req, &id);

    *reply = (struct task_details){0};
    if (r)
        return r;
    r = STORE_DO(tx->store, STMT_task_view, tx->arena, &rows, INT(id));
    if (r)
        return fault(r);
    if (rows.n)
        r = view_task(tx, &rows, 0, &reply->task, &running);
    else
        r = read_other(tx, id, &reply->task, &running);
    if (r)
        return r;
    r = read_attempts(tx, &reply->task, &running);
    if (!r && reply->task.run)
        r = plan_view_one(tx, &reply->task);
    if (!r && reply->task.run)
        r = progress_read(tx, &reply->task);
    if (!r)
        r = why_groups(tx, reply);
    if (!r)
        r = why_task(tx, reply);
    return r ? fault(r) : 0;
}

/* A dead letter of a queue goes back to its queue, where there is room. */
static int requeue_one(struct tx *tx, struct task_row *row)
{
    struct task moved = row->task;
    struct change c;
    int r;

    if (task_move(&moved, TASK_REQUEUE, tx->now, NULL, tx->prng, NULL))
        return tx_refuse(tx, CODE_TASK_STATE,
                         "task %" PRId64 " is %s; only a task that is FAILED, CANCELLED or SKIPPED "
                         "can be given back",
                         row->id, task_state_text(row->task.state).p);
    r = check_room(tx, row->queue, 1);
    if (r)
        return r == ENGINE_E_REFUSED ? r : fault(r);
    change_init(&c, tx);
    change_move(&c, row, TASK_REQUEUE, STR(""));
    r = change_write(&c);
    return r ? fault(r) : 0;
}

int task_requeue(struct tx *tx, const struct task_which *req, struct task_details *reply)
{
    struct task_row row;
    struct rows rows;
    int64_t id;
    int r = find_id(tx, req, &id);

    if (r)
        return r;
    r = block_open(tx, &id, 1);
    if (!r)
        r = STORE_DO(tx->store, STMT_task_lock, tx->arena, &rows, INT(id));
    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_TASK_NOT_FOUND, "task %" PRId64 " does not exist, or has ended",
                         id);
    r = row_task(tx, &rows, 0, &row);
    if (r)
        return fault(r);
    r = row.run ? run_rewind(tx, row.run, id, NULL) : requeue_one(tx, &row);
    if (r)
        return r;
    return task_get(tx, &(struct task_which){.id = id}, reply);
}
