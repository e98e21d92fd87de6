/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "engine/row.h"
#include "engine/sets.h"
#include "engine/spec.h"
#include "engine/workflow.h"

#define CHUNK 1000 /* tasks written at once, so that memory does not grow with the run */

static int newest_first(const void *a, const void *b)
{
    const struct run_row *x = a, *y = b;

    return (x->id < y->id) - (x->id > y->id);
}

int run_counts(struct tx *tx, struct run_row *runs, size_t n)
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
        const struct run_row key = {.id = row_int(&rows, i, 0)};
        struct run_row *run = bsearch(&key, runs, n, sizeof(*runs), newest_first);
        enum task_state s;

        if (run && task_state_parse(row_text(&rows, i, 2), &s))
            run->counts[s] = row_int(&rows, i, 3);
    }
    for (size_t i = 0; i < n; i++)
        tx_counted(tx, runs[i].id, STR(""), runs[i].counts);
    return 0;
}

int run_read(struct tx *tx, int64_t id, struct run_row *ret)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_run_get, tx->arena, &rows, INT(id));

    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_RUN_NOT_FOUND, "run %" PRId64 " does not exist", id);
    r = row_run(tx, &rows, 0, ret);
    return r ? fault(r) : run_counts(tx, ret, 1);
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
    int r = sets_run(&m->tasks, m->tx, STMT_task_add, 18, NULL);

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
             INT(core.state == TASK_READY ? tx->now : 0), INT(tx->now), INT(0), INT(0),
             TEXT(STR("")), TEXT(STR("")), TEXT(payload));
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

int run_draw_id(struct tx *tx, struct run_row *ret)
{
    struct rows rows;
    int r = store_run(tx->store, STMT_run_next_lock, tx->arena, NULL, 1, &rows);

    if (!r)
        r = store_run(tx->store, STMT_run_next, tx->arena, NULL, 1, &rows);
    ret->id = r ? 0 : row_int(&rows, 0, 0);
    return r ? fault(r) : 0;
}

static int add(struct tx *tx, const struct run_row *run, bool local)
{
    int r =
        STORE_DO(tx->store, STMT_run_add, tx->arena, NULL, INT(run->id), TEXT(run->workflow),
                 INT(run->version), TEXT(run_state_text(run->state)), TEXT(run->params),
                 TEXT(run->dir), INT(run->max_parallel), INT(run->tasks), INT(tx->now), INT(local));

    /* A program that does not know the lock has started a run at the same moment: begin again. */
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
    r = run_draw_id(tx, reply);
    if (!r)
        r = spec_init(tx, &spec, w.definition, reply->id, req->params, req->params_n);
    if (r)
        return r == ENGINE_E_REFUSED ? r : fault(r);
    reply->params = spec.params_json;
    r = add(tx, reply, req->local);
    if (r)
        return fault(r);
    return make_tasks(tx, w.definition, &spec, reply);
}
