/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/run.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/fault.h"
#include "engine/change.h"
#include "engine/sets.h"
#include "engine/spec.h"
#include "engine/view.h"
#include "engine/why.h"
#include "engine/workflow.h"

#define CHUNK    1000 /* tasks written or read at once, so that memory does not grow with the run */
#define LIST_MAX 1000

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
    row_run(&rows, 0, ret);
    return 0;
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

static int read_counts(struct tx *tx, struct run_row *runs, size_t n)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, tx->arena, INT(runs[i].id), TEXT(STR("")));
    r = sets_run(&sets, tx, STMT_tally_of, 2, &rows);
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++) {
        enum task_state s;

        for (size_t j = 0; j < n && task_state_parse(row_text(&rows, i, 2), &s); j++)
            if (runs[j].id == row_int(&rows, i, 0))
                runs[j].counts[s] = row_int(&rows, i, 3);
    }
    for (size_t i = 0; i < n; i++)
        tx_counted(tx, runs[i].id, STR(""), runs[i].counts);
    return 0;
}

/* Rows of a run that is being made, gathered until there is a chunk of them. */
struct making {
    struct tx *tx;
    const struct definition *d;
    struct run_row *run;
    const struct spec *spec;
    const int64_t *task_ids;
    const int64_t *group_ids;
    size_t groups_n;
    struct sets tasks, groups, edges;
};

static int write_chunk(struct making *m)
{
    int r = sets_run(&m->tasks, m->tx, STMT_task_add, 14, NULL);

    if (!r)
        r = sets_run(&m->groups, m->tx, STMT_group_add, 6, NULL);
    if (!r)
        r = sets_run(&m->edges, m->tx, STMT_edge_add, 2, NULL);
    return r ? fault(r) : 0;
}

static void make_groups(struct making *m, size_t i)
{
    const struct definition_task *t = &m->d->tasks[i];

    for (size_t g = 0; g < t->groups_n; g++) {
        const struct definition_group *group = &t->groups[g];
        int64_t id = m->group_ids[m->groups_n++];

        SETS_ADD(&m->groups, m->tx->arena, INT(id), INT(m->run->id), INT(m->task_ids[i]),
                 TEXT(group_rule_text(group->rule)), INT(group->need), INT(group->from_n));
        for (size_t e = 0; e < group->from_n; e++)
            SETS_ADD(&m->edges, m->tx->arena, INT(m->task_ids[group->from[e]]), INT(id));
    }
}

static int make_task(struct making *m, size_t i)
{
    const struct definition_task *t = &m->d->tasks[i];
    struct tx *tx = m->tx;
    struct task core = {.state = TASK_BLOCKED, .reason = TASK_REASON_DEPENDENCIES};
    char text[RETRY_TEXT_BYTES];
    struct str payload;
    int r = spec_payload(tx, m->spec, t, &payload);

    if (r)
        return r;
    core.due_at = t->not_before_us ? tx->now + t->not_before_us : t->not_before;
    if (t->groups_n == 0)
        task_move(&core, TASK_MET, tx->now, NULL, tx->prng, NULL);
    tx_count(tx, m->run->id, STR(""), core.state, 1);
    m->run->counts[core.state]++;
    SETS_ADD(&m->tasks, tx->arena, INT(m->task_ids[i]), INT(m->run->id), TEXT(STR("")),
             TEXT(t->name), TEXT(task_state_text(core.state)), TEXT(task_reason_text(core.reason)),
             INT(t->priority), TEXT(str_copy(tx->arena, retry_format(&t->retry, text))),
             INT(core.due_at), INT(t->groups_n), INT(t->timeout_us),
             INT(core.state == TASK_READY ? tx->now : 0), INT(tx->now), TEXT(payload));
    if (core.state == TASK_READY)
        tx_event(tx, m->run->id, m->task_ids[i], t->name, STR("task_READY"),
                 STR("{\"from\":\"BLOCKED\",\"reason\":\"waiting_for_worker\"}"));
    if (core.state == TASK_DELAYED)
        tx_event(tx, m->run->id, m->task_ids[i], t->name, STR("task_DELAYED"),
                 str_printf(tx->arena,
                            "{\"from\":\"BLOCKED\",\"reason\":\"waiting_for_start_time\","
                            "\"due_at\":%" PRId64 "}",
                            core.due_at));
    make_groups(m, i);
    return (i + 1) % CHUNK == 0 ? write_chunk(m) : 0;
}

static int make_tasks(struct tx *tx, const struct definition *d, const struct spec *spec,
                      struct run_row *run)
{
    struct making m = {.tx = tx, .d = d, .run = run, .spec = spec};
    size_t groups_n = 0;
    int64_t *ids;
    int r;

    for (size_t i = 0; i < d->tasks_n; i++)
        groups_n += d->tasks[i].groups_n;
    ids = ARENA_ARRAY(tx->arena, int64_t, d->tasks_n + groups_n);
    r = store_ids(tx->store, d->tasks_n + groups_n, ids);
    m.task_ids = ids;
    m.group_ids = ids + d->tasks_n;
    for (size_t i = 0; !r && i < d->tasks_n; i++)
        r = make_task(&m, i);
    if (!r)
        r = write_chunk(&m);
    return r == ENGINE_E_REFUSED ? r : r ? fault(r) : 0;
}

static int draw_id(struct tx *tx, int64_t *ret)
{
    struct rows rows;
    int r = store_run(tx->store, STMT_run_next, tx->arena, NULL, 1, &rows);

    *ret = r ? 0 : row_int(&rows, 0, 0);
    return r ? fault(r) : 0;
}

static int add(struct tx *tx, const struct run_row *run)
{
    int r = STORE_DO(tx->store, STMT_run_add, tx->arena, NULL, INT(run->id), TEXT(run->workflow),
                     INT(run->version), TEXT(run_state_text(run->state)), TEXT(run->params),
                     TEXT(run->dir), INT(run->max_parallel), INT(run->tasks), INT(tx->now));

    /* Another program has started a run at the same moment: begin again, after it. */
    if (r == STORE_E_DUPLICATE)
        return fault(-EAGAIN);
    if (r)
        return fault(r);
    tx_event(tx, run->id, 0, STR(""), STR("run_RUNNING"), STR("{\"from\":\"\",\"reason\":\"\"}"));
    return 0;
}

int run_start(struct tx *tx, const struct run_start *req, struct run_row *reply)
{
    struct workflow_row w = {0};
    struct spec spec = {0};
    int r = workflow_get(tx, &(struct workflow_which){req->workflow, req->version}, &w);

    if (r)
        return r;
    if (req->max_parallel < 0 || req->max_parallel > DEFINITION_PARALLEL_MAX)
        return tx_refuse(tx, CODE_INVALID, "max_parallel lies between 1 and %d",
                         DEFINITION_PARALLEL_MAX);
    *reply = (struct run_row){
        .workflow = w.name,
        .version = w.version,
        .state = RUN_RUNNING,
        .dir = req->dir,
        .max_parallel = req->max_parallel ? req->max_parallel : w.definition->max_parallel,
        .tasks = w.tasks,
        .open = w.tasks,
        .created_at = tx->now,
    };
    r = draw_id(tx, &reply->id);
    if (!r)
        r = spec_init(tx, &spec, w.definition, reply->id, req->params, req->params_n);
    if (r)
        return r == ENGINE_E_REFUSED ? r : fault(r);
    reply->params = spec.params_json;
    r = add(tx, reply);
    if (r)
        return fault(r);
    return make_tasks(tx, w.definition, &spec, reply);
}

/* Attempts of tasks first … last of the views, given to each. */
static int read_attempts(struct tx *tx, struct task_view *views, const struct task_attempt *running,
                         size_t n)
{
    struct rows rows;
    size_t at = 0;
    int r;

    if (n == 0)
        return 0;
    r = STORE_DO(tx->store, STMT_attempt_of_tasks, tx->arena, &rows, INT(views[0].id),
                 INT(views[n - 1].id));
    if (r)
        return fault(r);
    for (size_t i = 0; i < n; i++) {
        struct task_view *v = &views[i];
        size_t from;

        while (at < rows.n && row_int(&rows, at, 0) < v->id)
            at++;
        for (from = at; at < rows.n && row_int(&rows, at, 0) == v->id; at++)
            ;
        v->attempts = ARENA_ARRAY(tx->arena, struct task_attempt, at - from + 1);
        for (; from < at; from++)
            view_attempt(&rows, from, &v->attempts[v->attempts_n++]);
        if (task_held(v->state))
            v->attempts[v->attempts_n++] = running[i];
    }
    return 0;
}

static int read_tasks(struct tx *tx, const struct run_get *req, struct run_view *reply)
{
    int64_t max = req->max ? req->max : reply->run.tasks, after = req->after;
    struct task_attempt *running = ARENA_ARRAY(tx->arena, struct task_attempt, CHUNK);

    reply->tasks = ARENA_ARRAY(tx->arena, struct task_view, (size_t)max);
    while ((int64_t)reply->tasks_n < max) {
        int64_t n = max - (int64_t)reply->tasks_n < CHUNK ? max - (int64_t)reply->tasks_n : CHUNK;
        struct task_view *views = reply->tasks + reply->tasks_n;
        struct rows rows;
        int r =
            STORE_DO(tx->store, STMT_run_views, tx->arena, &rows, INT(req->id), INT(after), INT(n));

        if (r)
            return fault(r);
        for (size_t i = 0; i < rows.n; i++)
            view_task(&rows, i, &views[i], &running[i]);
        r = read_attempts(tx, views, running, rows.n);
        if (r)
            return fault(r);
        reply->tasks_n += rows.n;
        if ((int64_t)rows.n < n)
            break;
        after = views[rows.n - 1].id;
    }
    return 0;
}

static int get(struct tx *tx, int64_t id, struct run_row *ret)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_run_get, tx->arena, &rows, INT(id));

    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_RUN_NOT_FOUND, "run %" PRId64 " does not exist", id);
    row_run(&rows, 0, ret);
    return read_counts(tx, ret, 1);
}

int run_get(struct tx *tx, const struct run_get *req, struct run_view *reply)
{
    int r = get(tx, req->id, &reply->run);

    reply->tasks_n = 0;
    if (!r && req->tasks)
        r = read_tasks(tx, req, reply);
    return r;
}

int run_list(struct tx *tx, const struct run_list *req, struct run_rows *reply)
{
    enum run_state s;
    struct rows rows;
    int r;

    if (req->max < 1 || req->max > LIST_MAX)
        return tx_refuse(tx, CODE_INVALID, "a page has 1 to %d runs", LIST_MAX);
    if (req->state.n && !run_state_parse(req->state, &s))
        return tx_refuse(tx, CODE_INVALID,
                         "\"%.*s\" is no state of a run; there are RUNNING, CANCELLING, SUCCEEDED, "
                         "FAILED and CANCELLED",
                         STR_ARG(req->state));
    r = STORE_DO(tx->store, STMT_run_list, tx->arena, &rows, TEXT(req->state), TEXT(req->workflow),
                 INT(req->before), INT(req->max));
    if (r)
        return fault(r);
    reply->list = ARENA_ARRAY(tx->arena, struct run_row, rows.n);
    for (reply->n = 0; reply->n < rows.n; reply->n++)
        row_run(&rows, reply->n, &reply->list[reply->n]);
    return read_counts(tx, reply->list, reply->n);
}

int run_newest_open(struct tx *tx, const void *unused, struct run_row *reply)
{
    struct rows rows;
    int r = store_run(tx->store, STMT_run_newest_open, tx->arena, NULL, 1, &rows);

    (void)unused;
    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_RUN_NOT_FOUND, "every run has ended");
    row_run(&rows, 0, reply);
    return read_counts(tx, reply, 1);
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

        row_task(&rows, i, &row);
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
        return get(tx, *id, reply);
    if (run_final(reply->state))
        return tx_refuse(tx, CODE_RUN_ENDED, "run %" PRId64 " has ended already: %s", *id,
                         run_state_text(reply->state).p);
    r = put(tx, reply, RUN_EVENT_CANCEL, "");
    if (r)
        return fault(r);
    change_init(&c, tx);
    r = move_all(&c, STMT_run_idle, *id, TASK_CANCEL, NULL);
    if (!r)
        r = move_all(&c, STMT_run_held, *id, TASK_CANCEL, NULL);
    if (!r)
        r = change_write(&c);
    if (r)
        return fault(r);
    return get(tx, *id, reply);
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

        row_task(&blocked, i, &row);
        if (row.groups_open == 0)
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
    row_task(&rows, 0, &row);
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
    return r ? r : get(tx, *id, &reply->run);
}

int run_outputs(struct tx *tx, const struct run_outputs *req, struct run_outputs_reply *reply)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < req->n; i++)
        SETS_ADD(&sets, tx->arena, INT(req->run), TEXT(req->names[i]));
    r = sets_run(&sets, tx, STMT_run_output, 2, &rows);
    if (r)
        return fault(r);
    reply->n = req->n;
    reply->outputs = ARENA_ARRAY(tx->arena, struct str, req->n);
    for (size_t i = 0; i < req->n; i++)
        for (size_t j = 0; j < rows.n; j++)
            if (str_eq(row_text(&rows, j, 0), req->names[i]))
                reply->outputs[i] = row_text(&rows, j, 1);
    return 0;
}

int run_why(struct tx *tx, const int64_t *id, struct run_why *reply)
{
    struct rows rows;
    int r;

    *reply = (struct run_why){0};
    r = get(tx, *id, &reply->run);
    if (r)
        return r;
    r = STORE_DO(tx->store, STMT_run_open_views, tx->arena, &rows, INT(*id), INT(WHY_NAMES_MAX));
    if (r)
        return fault(r);
    reply->tasks = ARENA_ARRAY(tx->arena, struct task_details, rows.n);
    for (size_t i = 0; !r && i < rows.n; i++) {
        r = task_get(tx, &(struct task_which){.id = row_int(&rows, i, 0)},
                     &reply->tasks[reply->tasks_n]);
        reply->tasks_n++;
    }
    if (!r)
        r = why_run(tx, reply);
    return r ? fault(r) : 0;
}
