/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run moves as a whole: it is cancelled, or gives its unsuccessful tasks back.
 */
#include <assert.h>
#include <inttypes.h>

#include "base/fault.h"
#include "engine/change.h"
#include "engine/run.h"
#include "engine/sets.h"

static int lock(struct tx *tx, int64_t id, struct run_row *ret)
{
    struct rows rows;
    int r;

    *ret = (struct run_row){0};
    r = STORE_DO(tx->store, STMT_run_lock, tx->arena, &rows, INT(id));

    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_RUN_NOT_FOUND, "run %" PRId64 " does not exist", id);
    r = row_run(tx, &rows, 0, ret);
    return r ? fault(r) : 0;
}

/* A plan goes on by what is written to it: conclusions and stages that others were built on are not
 * taken back. */
static int refuse_plan(struct tx *tx, const struct run_row *run)
{
    if (run->version)
        return 0;
    return tx_refuse(tx, CODE_INVALID,
                     "run %" PRId64
                     " is a plan, and what has ended in it stays: write what is to be "
                     "done again as new stages",
                     run->id);
}

static int put(struct tx *tx, struct run_row *run, enum run_event event, const char *detail)
{
    struct run core = {.state = run->state, .open = run->open, .failed = run->failed};
    enum run_state from = run->state;
    int r = run_move(&core, event, NULL);

    if (r)
        return r;
    run->state = core.state;
    run->reason = run_reason_text(core.reason);
    run->detail = str_of(detail);
    run->ended_at = 0;
    r = STORE_DO(tx->store, STMT_run_put, tx->arena, NULL, INT(run->id),
                 TEXT(run_state_text(run->state)), TEXT(run->reason), TEXT(run->detail), INT(0));
    if (r)
        return fault(r);
    change_run_event(tx, run, from);
    return 0;
}

/* Make one move with every task that a statement finds in the run. */
static int move_all(struct change *c, enum statement_id statement, int64_t run,
                    enum task_event event, int64_t *ret_n)
{
    struct rows rows;
    int r = STORE_DO(c->tx->store, statement, c->tx->arena, &rows, INT(run));

    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++) {
        struct task_row row;

        r = row_task(c->tx, &rows, i, &row);
        if (r)
            return fault(r);
        if (!change_move(c, &row, event, STR("")) && ret_n)
            ++*ret_n;
    }
    return 0;
}

int run_cancel(struct tx *tx, const int64_t *id, struct run_row *reply)
{
    struct change c;
    int r = lock(tx, *id, reply);

    if (r)
        return r;
    if (reply->state == RUN_CANCELLING)
        return run_read(tx, *id, reply);
    if (run_final(reply->state))
        return tx_refuse(tx, CODE_RUN_ENDED, "run %" PRId64 " has ended already: %s", *id,
                         run_state_text(reply->state).p);
    r = put(tx, reply, RUN_EVENT_CANCEL, "");
    if (!r && reply->growing)
        r = STORE_PUT(tx->store, STMT_run_seal, INT(*id));
    if (r)
        return fault(r);
    reply->growing = false;
    change_init(&c, tx);
    r = move_all(&c, STMT_run_idle, *id, TASK_CANCEL, NULL);
    if (!r)
        r = move_all(&c, STMT_run_held, *id, TASK_CANCEL, NULL);
    if (!r)
        r = reply->open ? change_write(&c) : change_settle_run(tx, reply);
    if (r)
        return fault(r);
    return run_read(tx, *id, reply);
}

/* Tasks that wait get their number of open groups from the groups' fresh counts, and move on where
 * nothing is open or nothing can be met any more. */
static int judge_anew(struct tx *tx, int64_t run)
{
    struct sets sets = {0};
    struct rows groups, blocked;
    struct change c;
    int r = STORE_DO(tx->store, STMT_group_recount, tx->arena, NULL, INT(run));

    if (!r)
        r = STORE_DO(tx->store, STMT_group_of_run, tx->arena, &groups, INT(run));
    if (r)
        return fault(r);
    for (size_t i = 0, j; i < groups.n; i = j) {
        for (j = i; j < groups.n && row_int(&groups, j, 1) == row_int(&groups, i, 1); j++)
            ;
        SETS_ADD(&sets, tx->arena, INT(row_int(&groups, i, 1)), INT(j - i));
    }
    r = sets_run(&sets, tx, STMT_task_groups_open, 2, NULL);
    if (r)
        return fault(r);
    change_init(&c, tx);
    r = change_judge(&c, &groups);
    if (!r)
        r = change_write(&c);
    if (!r)
        r = STORE_DO(tx->store, STMT_run_blocked, tx->arena, &blocked, INT(run));
    for (size_t i = 0; !r && i < blocked.n; i++) {
        struct task_row row;

        r = row_task(tx, &blocked, i, &row);
        if (!r && row.groups_open == 0)
            change_move(&c, &row, TASK_MET, STR(""));
    }
    if (!r)
        r = change_write(&c);
    return r ? fault(r) : 0;
}

static int rewind_one(struct tx *tx, struct change *c, int64_t id, int64_t *ret_n)
{
    struct task_row row;
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_task_lock, tx->arena, &rows, INT(id));

    if (r)
        return fault(r);
    assert(rows.n == 1);
    r = row_task(tx, &rows, 0, &row);
    if (r)
        return fault(r);
    if (change_move(c, &row, TASK_REWIND, STR("")))
        return tx_refuse(tx, CODE_TASK_STATE,
                         "task \"%.*s\" is %s; only a task that is FAILED, CANCELLED or SKIPPED "
                         "can be given back",
                         STR_ARG(row.name), task_state_text(row.task.state).p);
    ++*ret_n;
    return 0;
}

int run_rewind(struct tx *tx, int64_t id, int64_t task, int64_t *ret_n)
{
    struct run_row run;
    struct change c;
    int64_t n = 0;
    int r = lock(tx, id, &run);

    if (!r)
        r = refuse_plan(tx, &run);
    if (r)
        return r;
    if (run.state == RUN_CANCELLING)
        return tx_refuse(
            tx, CODE_RUN_ACTIVE,
            "run %" PRId64 " is being cancelled; give its tasks back when it has ended", id);
    change_init(&c, tx);
    if (task) {
        r = rewind_one(tx, &c, task, &n);
        if (r)
            return r;
        r = change_write(&c); /* it may be a skipped one itself, and is not to be found again */
        if (!r)
            r = move_all(&c, STMT_run_skipped, id, TASK_REWIND, &n);
    } else {
        r = move_all(&c, STMT_run_undone, id, TASK_REWIND, &n);
    }
    if (!r && run_final(run.state) && n)
        r = put(tx, &run, RUN_EVENT_RETRY, "");
    if (!r)
        r = change_write(&c);
    if (!r && n)
        r = judge_anew(tx, id);
    if (ret_n)
        *ret_n = n;
    return r ? fault(r) : 0;
}

int run_retry(struct tx *tx, const int64_t *id, struct run_retry_reply *reply)
{
    int r = lock(tx, *id, &reply->run);

    if (!r)
        r = refuse_plan(tx, &reply->run);
    if (r)
        return r;
    if (!run_final(reply->run.state))
        return tx_refuse(tx, CODE_RUN_ACTIVE,
                         "run %" PRId64 " has not ended; `weft runs resume %" PRId64
                         "` carries it on",
                         *id, *id);
    if (reply->run.state == RUN_SUCCEEDED)
        return tx_refuse(tx, CODE_RUN_ENDED, "run %" PRId64 " succeeded; there is nothing to retry",
                         *id);
    r = run_rewind(tx, *id, 0, &reply->tasks);
    return r ? r : run_read(tx, *id, &reply->run);
}
