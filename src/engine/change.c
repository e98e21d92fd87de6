/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/change.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "engine/check.h"
#include "engine/grant.h"
#include "engine/plan.h"
#include "engine/sets.h"

static const struct str task_kinds[] = {
#define TASK_KIND(name) [TASK_##name] = {"task_" #name, sizeof("task_" #name) - 1},
    TASK_STATES(TASK_KIND)};

static const struct str run_kinds[] = {
#define RUN_KIND(name) [RUN_##name] = {"run_" #name, sizeof("run_" #name) - 1},
    RUN_STATES(RUN_KIND)};

void change_init(struct change *c, struct tx *tx)
{
    *c = (struct change){.tx = tx};
}

static struct change_run *run_of(struct change *c, int64_t run)
{
    for (size_t i = c->runs_n; i-- > 0;)
        if (c->runs[i].run == run)
            return &c->runs[i];
    ARENA_ROOM(c->tx->arena, c->runs, c->runs_n, c->runs_cap, 4);
    c->runs[c->runs_n] = (struct change_run){.run = run};
    return &c->runs[c->runs_n++];
}

void change_look(struct change *c, int64_t check)
{
    ARENA_ROOM(c->tx->arena, c->checks, c->checks_n, c->checks_cap, 16);
    c->checks[c->checks_n++] = check;
}

static void add_end(struct change *c, const struct task_row *row)
{
    ARENA_ROOM(c->tx->arena, c->ends, c->ends_n, c->ends_cap, 32);
    c->ends[c->ends_n++] = (struct change_end){
        .task = row->id,
        .succeeded = row->task.state == TASK_SUCCEEDED,
        .name = row->name,
        .state = row->task.state,
    };
}

void change_count(struct change *c, int64_t run, enum task_state state, int64_t n)
{
    struct change_run *r = run_of(c, run);

    r->open += task_final(state) ? 0 : n;
    r->held += task_held(state) ? n : 0;
    r->failed += state == TASK_FAILED ? n : 0;
}

/* What follows from every move: tallies, the run's counters, and dependants that now may go. */
static void note_move(struct change *c, const struct task_row *row, enum task_state from)
{
    enum task_state to = row->task.state;

    if (from == to)
        return;
    tx_count(c->tx, row->run, row->queue, from, -1);
    tx_count(c->tx, row->run, row->queue, to, 1);
    if (row->run == 0)
        return;
    change_count(c, row->run, from, -1);
    change_count(c, row->run, to, 1);
    if (task_final(to))
        add_end(c, row);
}

/* What a task's move means for others of its queue: of its key, or with its unique key. */
static void note_queue(struct change *c, struct task_row *row)
{
    struct arena *a = c->tx->arena;
    bool final = task_final(row->task.state);
    bool leaves = final || (BROKEN(AWAY) && row->task.state == TASK_DELAYED);
    const struct lane_entry e = {row->id,       row->queue, row->key,
                                 row->priority, row->turn,  LANE_FREE};

    if (final && row->unique_key.n)
        SETS_ADD(&c->uniques, a, TEXT(row->queue), TEXT(row->unique_key), INT(row->id));
    if (leaves && row->gate == LANE_PLACE) {
        ARENA_ROOM(a, c->leaves, c->leaves_n, c->leaves_cap, 32);
        c->leaves[c->leaves_n++] = e;
    }
    if (leaves)
        row->gate = LANE_FREE;
    if (row->task.state == TASK_READY && row->gate == LANE_FREE && (row->key.n || !row->turn)) {
        ARENA_ROOM(a, c->enters, c->enters_n, c->enters_cap, 32);
        c->enters[c->enters_n++] = e;
    }
}

/* The row of a task that nobody holds now. A finished task of a queue leaves, unless it is a dead
 * letter. */
static void note_put(struct change *c, struct task_row *row, struct str detail, int64_t last_token)
{
    const struct task *t = &row->task;
    bool final = task_final(t->state);

    if (row->run == 0)
        note_queue(c, row);
    if (row->run == 0 && (t->state == TASK_SUCCEEDED || t->state == TASK_CANCELLED)) {
        SETS_ADD(&c->drops, c->tx->arena, INT(row->id));
        return;
    }
    if (t->state == TASK_READY)
        row->ready_at = c->tx->now;
    if (t->state == TASK_READY && row->gate == GATE_CHECK)
        change_look(c, row->id);
    row->token = row->worker = 0;
    SETS_ADD(&c->puts, c->tx->arena, INT(row->id), TEXT(task_state_text(t->state)),
             TEXT(task_reason_text(t->reason)), TEXT(detail), INT(t->attempts), INT(t->budget_from),
             INT(t->due_at), INT(final ? 0 : t->cancel), INT(last_token), INT(row->ready_at),
             INT(final ? c->tx->now : 0), INT(row->groups_open), INT(row->gate));
}

static void note_event(struct change *c, const struct task_row *row, enum task_state from,
                       struct str more)
{
    const struct task *t = &row->task;
    struct str reason = task_reason_text(t->reason), was = task_state_text(from);

    if (row->run == 0)
        return;
    if (row->gate == GATE_CHECK)
        more = str_printf(c->tx->arena, STR_FMT ",\"check\":\"" STR_FMT "\"", STR_ARG(more),
                          STR_ARG(plan_check_state_text(
                              plan_check_state(t->state, t->reason == TASK_REASON_PLANNING))));
    tx_event(c->tx, row->run, row->id, row->name, task_kinds[t->state],
             str_printf(c->tx->arena,
                        "{\"from\":\"" STR_FMT "\",\"reason\":\"" STR_FMT "\"" STR_FMT "}",
                        STR_ARG(was), STR_ARG(reason), STR_ARG(more)));
}

/* Stages that runners are called for: dispatchers hear of what they can do now. */
static void note_push(struct change *c, const struct task_row *row, enum task_state from)
{
    enum task_state to = row->task.state;

    if (row->gate == GRANT_GATE && (task_held(from) || to == TASK_READY || to == TASK_DELAYED))
        tx_push(c->tx);
}

static int move(struct change *c, struct task_row *row, enum task_event event,
                const struct task_end *end, struct str detail)
{
    enum task_state from = row->task.state;
    bool cancel = row->task.cancel;
    struct str more = {0};
    int r = task_move(&row->task, event, c->tx->now, end, c->tx->prng, NULL);

    if (r)
        return r;
    note_move(c, row, from);
    note_push(c, row, from);
    if (task_held(row->task.state)) {
        if (row->task.cancel && !cancel && !BROKEN(CANCEL))
            SETS_ADD(&c->stops, c->tx->arena, INT(row->id));
        return 0;
    }
    note_put(c, row, detail, 0);
    if (row->task.state == TASK_DELAYED)
        more = str_printf(c->tx->arena, ",\"due_at\":%" PRId64, row->task.due_at);
    note_event(c, row, from, more);
    return 0;
}

int change_move(struct change *c, struct task_row *row, enum task_event event, struct str detail)
{
    return move(c, row, event, NULL, detail);
}

int change_conclude(struct change *c, struct task_row *row, enum outcome outcome,
                    enum task_reason reason)
{
    const struct task_end end = {.outcome = outcome, .reason = reason, .exit_code = -1};

    return move(c, row, TASK_CONCLUDE, &end, STR(""));
}

/* The row of a task that is held from now on, by `worker`. */
static void note_hold(struct change *c, struct task_row *row, enum task_state from, int64_t token,
                      int64_t worker, int64_t expires_at)
{
    const struct task *t = &row->task;
    int64_t now = c->tx->now;
    bool started = t->state == TASK_RUNNING;

    row->token = token;
    row->worker = worker;
    row->leased_at = now;
    row->started_at = started ? now : 0;
    note_move(c, row, from);
    SETS_ADD(&c->holds, c->tx->arena, INT(row->id), TEXT(task_state_text(t->state)),
             TEXT(task_reason_text(t->reason)), INT(t->attempts), INT(token), INT(worker), INT(now),
             INT(row->started_at), INT(row->timeout_us ? now + row->timeout_us : 0),
             INT(expires_at));
}

/* The number of an attempt that has not started is the one that it will have. */
static void note_hold_event(struct change *c, const struct task_row *row, enum task_state from)
{
    struct buf more;

    if (!row->run)
        return;
    buf_init(&more, 6 * row->runner.n + 200); /* a control character takes six bytes in JSON */
    buf_printf(&more,
               ",\"attempt\":%" PRId64 ",\"token\":\"%" PRId64 "\",\"worker\":\"%" PRId64 "\"",
               row->task.attempts + (row->task.state == TASK_LEASED), row->token, row->worker);
    if (row->runner.n) {
        buf_add(&more, STR(",\"runner\":"));
        buf_json(&more, row->runner);
    }
    note_event(c, row, from, buf_str(&more));
    buf_deinit(&more);
}

int change_take(struct change *c, struct task_row *row, int64_t token, int64_t worker,
                int64_t expires_at)
{
    enum task_state from = row->task.state;
    int r = task_move(&row->task, TASK_CLAIM, c->tx->now, NULL, c->tx->prng, NULL);

    if (r)
        return r;
    r = task_move(&row->task, TASK_START, c->tx->now, NULL, c->tx->prng, NULL);
    assert(r == 0);
    note_hold(c, row, from, token, worker, expires_at);
    note_hold_event(c, row, from);
    return 0;
}

int change_lease(struct change *c, struct task_row *row, int64_t token, int64_t worker,
                 int64_t expires_at)
{
    enum task_state from = row->task.state;
    int r = task_move(&row->task, TASK_CLAIM, c->tx->now, NULL, c->tx->prng, NULL);

    if (r)
        return r;
    note_hold(c, row, from, token, worker, expires_at);
    note_hold_event(c, row, from);
    return 0;
}

int change_start(struct change *c, struct task_row *row, int64_t expires_at)
{
    enum task_state from = row->task.state;
    int r = task_move(&row->task, TASK_START, c->tx->now, NULL, c->tx->prng, NULL);

    if (r)
        return r;
    row->started_at = c->tx->now;
    note_move(c, row, from);
    SETS_ADD(&c->starts, c->tx->arena, INT(row->id), TEXT(task_state_text(row->task.state)),
             TEXT(task_reason_text(row->task.reason)), INT(row->task.attempts),
             INT(row->started_at), INT(expires_at));
    note_hold_event(c, row, from);
    return 0;
}

/* The wait of the attempt for its worker; timestamps may have been stepped, a duration is never
 * negative. */
static int64_t queue_wait(const struct task_row *row)
{
    int64_t from = row->ready_at, to = row->leased_at;

    return to > from ? to - from : 0;
}

static void note_attempt(struct change *c, const struct task_row *row, enum task_state from,
                         const struct task_result *res, struct str digest)
{
    bool started = from == TASK_RUNNING;
    enum outcome outcome =
        BROKEN(OUTCOME) && res->outcome == OUTCOME_LOST ? OUTCOME_FAILED : res->outcome;
    int64_t start = (started ? row->started_at : row->leased_at) + res->start_wait_us;
    int64_t end = change_end_at(start, res->run_us, c->tx->now);

    SETS_ADD(&c->attempts, c->tx->arena, INT(row->token), INT(row->id), INT(row->run),
             TEXT(row->queue), INT(started ? row->task.attempts : 0), INT(row->worker),
             TEXT(retry_outcome_text(outcome)), TEXT(task_reason_text(res->reason)),
             TEXT(res->message), res->exit_code < 0 ? NIL : INT(res->exit_code),
             res->signal == 0 ? NIL : INT(res->signal), INT(row->leased_at), INT(start), INT(end),
             INT(queue_wait(row) + res->start_wait_us), INT(res->run_us), INT(res->cpu_us),
             INT(res->max_rss_bytes), TEXT(res->stderr_tail), TEXT(digest),
             res->output.n && !BROKEN(OUTPUT) ? TEXT(res->output) : NIL);
}

int change_end_attempt(struct change *c, struct task_row *row, enum task_event event,
                       const struct task_result *result, struct str digest)
{
    const struct task_end end = {result->outcome, result->reason, result->exit_code,
                                 result->put_off_us, result->final};
    enum task_state from = row->task.state;
    int64_t token = row->token;
    struct buf more;
    int r;

    row_retry(row);
    if (BROKEN(BUDGET) && event == TASK_LOSE && row->task.attempts > row->task.budget_from + 1)
        row->task.budget_from++;
    r = task_move(&row->task, event, c->tx->now, &end, c->tx->prng, NULL);
    if (r)
        return r;
    note_attempt(c, row, from, result, digest);
    note_move(c, row, from);
    note_push(c, row, from);
    note_put(c, row, result->message, token);
    if (row->run == 0)
        return 0;
    buf_init(&more, 400);
    buf_printf(&more, ",\"attempt\":%" PRId64 ",\"token\":\"%" PRId64 "\",\"outcome\":\"%s\"",
               row->task.attempts, token, retry_outcome_text(result->outcome).p);
    if (result->exit_code >= 0)
        buf_printf(&more, ",\"exit_code\":%d", result->exit_code);
    if (result->signal)
        buf_printf(&more, ",\"signal\":%d", result->signal);
    if (result->run_us) /* what runs elsewhere has told none */
        buf_printf(&more, ",\"run_s\":%.6f", (double)result->run_us / CLOCK_S);
    if (row->task.state == TASK_DELAYED)
        buf_printf(&more, ",\"due_at\":%" PRId64, row->task.due_at);
    note_event(c, row, from, buf_str(&more));
    buf_deinit(&more);
    return 0;
}

int change_write_rows(struct change *c)
{
    int r = sets_run(&c->attempts, c->tx, STMT_attempt_add, 21, NULL);

    if (!r)
        r = sets_run(&c->holds, c->tx, STMT_task_hold, 10, NULL);
    if (!r)
        r = sets_run(&c->starts, c->tx, STMT_task_start, 6, NULL);
    if (!r)
        r = sets_run(&c->puts, c->tx, STMT_task_put, 13, NULL);
    if (!r)
        r = sets_run(&c->stops, c->tx, STMT_task_stop, 1, NULL);
    if (!r)
        r = sets_run(&c->drops, c->tx, STMT_task_drop, 1, NULL);
    return r ? fault(r) : 0;
}

void change_run_event(struct tx *tx, const struct run_row *run, enum run_state from)
{
    struct str was = run_state_text(from);

    tx_event(tx, run->id, 0, STR(""), run_kinds[run->state],
             str_printf(tx->arena, "{\"from\":\"" STR_FMT "\",\"reason\":\"" STR_FMT "\"}",
                        STR_ARG(was), STR_ARG(run->reason)));
}

static int count_cancelled(struct tx *tx, int64_t run, int64_t *ret)
{
    int64_t counts[TASK_STATE_N] = {0};
    struct rows rows;
    enum task_state s;
    int r = STORE_DO(tx->store, STMT_tally_of, tx->arena, &rows, INT(run), TEXT(STR("")));

    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++)
        if (task_state_parse(row_text(&rows, i, 2), &s))
            counts[s] = row_int(&rows, i, 3);
    tx_counted(tx, run, STR(""), counts);
    *ret = counts[TASK_CANCELLED];
    if (*ret < 0)
        return tx_damaged(tx, "run %" PRId64 " counts %" PRId64 " cancelled tasks, which cannot be",
                          run, *ret);
    return 0;
}

int change_settle_run(struct tx *tx, struct run_row *run)
{
    struct run core = {.state = run->state, .open = run->open, .failed = run->failed};
    int r;

    if (run->open > 0 || run->growing || run_final(run->state))
        return 0;
    /* Of a plan, what was cancelled without the run was not needed any more. */
    r = run->version == 0 ? 0 : count_cancelled(tx, run->id, &core.cancelled);
    if (r)
        return fault(r);
    r = run_move(&core, RUN_EVENT_ENDED, NULL);
    assert(r == 0);
    enum run_state from = run->state;
    run->state = core.state;
    run->reason = run_reason_text(core.reason);
    run->ended_at = tx->now;
    run->detail = core.state == RUN_FAILED
                      ? str_printf(tx->arena, "%" PRId64 " of %" PRId64 " tasks failed",
                                   run->failed, run->tasks)
                      : STR("");
    r = STORE_DO(tx->store, STMT_run_put, tx->arena, NULL, INT(run->id),
                 TEXT(run_state_text(run->state)), TEXT(run->reason), TEXT(run->detail),
                 INT(run->ended_at));
    if (r)
        return fault(r);
    change_run_event(tx, run, from);
    return 0;
}

static int by_run(const void *a, const void *b)
{
    const struct run_row *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

/* In the order of their ids, which Postgres does not keep, so that their events are in it too. */
static int settle_runs(struct change *c)
{
    struct sets sets = {0};
    struct run_row *runs;
    struct rows rows;
    int r;

    for (size_t i = 0; i < c->runs_n; i++) {
        const struct change_run *u = &c->runs[i];

        if (u->open || u->held || u->failed)
            SETS_ADD(&sets, c->tx->arena, INT(u->run), INT(u->open), INT(u->held), INT(u->failed));
    }
    c->runs_n = 0;
    r = sets_run(&sets, c->tx, STMT_run_count, 4, &rows);
    if (r)
        return fault(r);
    runs = ARENA_ARRAY(c->tx->arena, struct run_row, rows.n);
    for (size_t i = 0; !r && i < rows.n; i++)
        r = row_run(c->tx, &rows, i, &runs[i]);
    if (r)
        return fault(r);
    qsort(runs, rows.n, sizeof(*runs), by_run);
    for (size_t i = 0; !r && i < rows.n; i++)
        r = change_settle_run(c->tx, &runs[i]);
    return r ? fault(r) : 0;
}

/* Places of keys come after the tasks in the order of locks. */
static int settle_lanes(struct change *c)
{
    int r = sets_run(&c->uniques, c->tx, STMT_unique_end, 3, NULL);

    if (!r)
        r = lane_leave(c->tx, c->leaves, c->leaves_n);
    if (!r)
        r = lane_enter(c->tx, c->enters, c->enters_n);
    c->leaves = c->enters = NULL;
    c->leaves_n = c->leaves_cap = c->enters_n = c->enters_cap = 0;
    return r ? fault(r) : 0;
}

int change_write(struct change *c)
{
    int r = change_write_rows(c);

    while (!r && (c->ends_n || c->checks_n)) {
        r = change_release(c);
        if (!r)
            r = change_write_rows(c);
        if (!r)
            r = check_conclude(c);
        if (!r)
            r = change_write_rows(c);
    }
    if (!r)
        r = settle_lanes(c);
    if (!r)
        r = settle_runs(c);
    return r ? fault(r) : 0;
}
