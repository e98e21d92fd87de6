/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan_testing.h"

#include "engine/change.h"

int64_t plans_create(struct world *w)
{
    struct run_row run;

    DO(w, plan_create(&w->tx, &(struct plan_create){0}, &run));
    return run.id;
}

size_t plans_names(struct world *w, const char *text, struct str **ret)
{
    struct str rest = str_of(text);
    size_t n = 0, end;

    *ret = ARENA_ARRAY(&w->arena, struct str, PLANS_NAMES_MAX);
    while (rest.n) {
        if (!str_find(rest, ' ', &end))
            end = rest.n;
        (*ret)[n++] = str_sub(rest, 0, end);
        rest = end < rest.n ? str_sub(rest, end + 1, rest.n) : STR("");
    }
    return n;
}

struct plan_group *plans_group(struct world *w, enum group_rule rule, int64_t need,
                               const char *from)
{
    struct plan_group *g = ARENA_NEW(&w->arena, struct plan_group);
    struct str *names;

    *g = (struct plan_group){.rule = rule, .need = need};
    g->from_n = plans_names(w, from, &names);
    g->from = names;
    return g;
}

struct plan_stage plans_stage(struct world *w, const char *name, const char *after,
                              const char *checks)
{
    struct plan_stage s = {.name = str_of(name), .has_groups = true, .has_assignments = true};
    struct plan_assignment *as = ARENA_ARRAY(&w->arena, struct plan_assignment, PLANS_NAMES_MAX);
    struct str *names;

    if (*after) {
        s.groups = plans_group(w, GROUP_ALL_SUCCESS, 0, after);
        s.groups_n = 1;
    }
    s.assignments_n = plans_names(w, checks, &names);
    for (size_t i = 0; i < s.assignments_n; i++)
        as[i] = (struct plan_assignment){.check = names[i]};
    s.assignments = as;
    return s;
}

struct plan_check plans_check(struct world *w, const char *name, const char *after)
{
    struct plan_check c = {.name = str_of(name), .has_groups = true};

    if (*after) {
        c.groups = plans_group(w, GROUP_ALL_SUCCESS, 0, after);
        c.groups_n = 1;
    }
    return c;
}

struct plan_written plans_write(struct world *w, int64_t run, const struct plan_check *checks,
                                size_t checks_n, const struct plan_stage *stages, size_t stages_n)
{
    const struct plan_write req = {
        .run = run,
        .checks = checks,
        .checks_n = checks_n,
        .stages = stages,
        .stages_n = stages_n,
    };
    struct plan_written reply;

    DO(w, plan_write(&w->tx, &req, &reply));
    return reply;
}

void plans_write_stage(struct world *w, int64_t run, struct plan_stage s)
{
    plans_write(w, run, NULL, 0, &s, 1);
}

void plans_write_check(struct world *w, int64_t run, struct plan_check c)
{
    plans_write(w, run, &c, 1, NULL, 0);
}

enum run_state plans_seal(struct world *w, int64_t run)
{
    struct run_row row;

    DO(w, plan_seal(&w->tx, &run, &row));
    return row.state;
}

enum run_state plans_state(struct world *w, int64_t run)
{
    return world_look(w, run).run.state;
}

const char *plans_state_name(struct world *w, int64_t run, const char *name)
{
    return task_state_text(world_task(w, run, name).task.state).p;
}

/* Take a READY stage and start it, as granting does. */
static int take(struct tx *tx, int64_t worker, const struct task_which *which,
                struct task_lease *ret)
{
    struct task_details d;
    struct task_row row;
    struct change c;
    struct rows rows;
    int64_t token;
    int r = task_get(tx, which, &d);

    if (!r)
        r = store_ids(tx->store, 1, &token);
    if (!r)
        r = STORE_DO(tx->store, STMT_task_lock, tx->arena, &rows, INT(d.task.id));
    if (!r)
        r = row_task(tx, &rows, 0, &row);
    if (r)
        return r;
    assert_int_equal(row.task.state, TASK_READY);
    change_init(&c, tx);
    assert_int_equal(change_take(&c, &row, token, worker, 0), 0);
    *ret = (struct task_lease){.task = row.id, .token = token, .attempt = row.task.attempts};
    return change_write(&c);
}

struct task_lease plans_take(struct world *w, int64_t run, const char *name)
{
    struct task_lease l;

    if (!w->worker)
        world_join(w, 100);
    DO(w, take(&w->tx, w->worker, &(struct task_which){.run = run, .name = str_of(name)}, &l));
    return l;
}

enum code plans_end(struct world *w, const struct task_lease *l, enum outcome o,
                    const struct check_update *updates, size_t n)
{
    const struct task_result result = {
        .lease = {l->task, l->token},
        .outcome = o,
        .reason = o == OUTCOME_FAILED ? TASK_REASON_WORKER_ERROR : TASK_REASON_NONE,
        .exit_code = -1,
        .checks = updates,
        .checks_n = n,
    };
    struct task_codes codes;

    DO(w, task_complete(&w->tx, &(struct task_complete){&result, 1}, &codes));
    return codes.list[0];
}

void plans_do(struct world *w, int64_t run, const char *name, enum outcome o)
{
    struct task_lease l = plans_take(w, run, name);

    assert_int_equal(plans_end(w, &l, o, NULL, 0), CODE_OK);
}

int plans_try(struct world *w, int64_t run, const struct plan_stage *s)
{
    struct plan_written reply;

    return plan_write(&w->tx, &(struct plan_write){.run = run, .stages = s, .stages_n = 1}, &reply);
}
