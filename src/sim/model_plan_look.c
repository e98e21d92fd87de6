/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as the store shows it, beside the model's. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "sim/model_plan.h"

/* Two readings of one node. */
struct pair {
    struct look *look;
    const struct model_plan_node *n;
    const struct task_details *d;
};

struct look {
    struct model_plan *plan;
    struct arena *scratch;
    struct buf *out;
    int64_t put_off; /* nodes that are DELAYED, and the model takes for READY */
};

/* The first difference is the one that counts. */
static void differ(struct look *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void differ(struct look *l, const char *format, ...)
{
    va_list args;

    if (l->out->n)
        return;
    va_start(args, format);
    buf_vprintf(l->out, format, args);
    va_end(args);
}

static void number(const struct pair *p, const char *what, int64_t expected, int64_t given)
{
    if (expected != given)
        differ(p->look, STR_FMT ": %s should be %" PRId64 ", and is %" PRId64, STR_ARG(p->n->name),
               what, expected, given);
}

static void text(const struct pair *p, const char *what, struct str expected, struct str given)
{
    if (!str_eq(expected, given))
        differ(p->look, STR_FMT ": %s should be \"" STR_FMT "\", and is \"" STR_FMT "\"",
               STR_ARG(p->n->name), what, STR_ARG(expected), STR_ARG(given));
}

static void compare_satisfied(const struct pair *p, const struct model_plan_group *g,
                              struct str given)
{
    struct arena *a = p->look->scratch;
    size_t names = 0;

    for (size_t i = 0; i < given.n; i++)
        names += given.p[i] == '"';
    number(p, "names that met a group", (int64_t)g->satisfied_n, (int64_t)names / 2);
    for (size_t i = 0; i < g->satisfied_n; i++) {
        struct str quoted = str_printf(a, "\"" STR_FMT "\"", STR_ARG(g->satisfied[i]));

        if (!memmem(given.p, given.n, quoted.p, quoted.n))
            differ(p->look, STR_FMT ": \"" STR_FMT "\" met a group, and is not in " STR_FMT,
                   STR_ARG(p->n->name), STR_ARG(g->satisfied[i]), STR_ARG(given));
    }
}

static void compare_group(const struct pair *p, const struct model_plan_group *g,
                          const struct task_group *given)
{
    static const char *const verdicts[] = {"WAITING", "MET", "IMPOSSIBLE"};
    const struct model_plan *plan = p->look->plan;
    struct model_plan_count c = {0};

    for (size_t i = 0; i < g->asked.from_n; i++) {
        const struct model_plan_node *n = model_plan_node(plan, g->asked.from[i]);

        c.done += n && n->counted;
        c.succeeded += n && n->counted && n->state == TASK_SUCCEEDED;
    }
    number(p, "the rule of a group", g->asked.rule, given->rule);
    number(p, "edges of a group", (int64_t)g->asked.from_n, given->total);
    number(p, "ends in a group", c.done, given->done);
    number(p, "successes in a group", c.succeeded, given->succeeded);
    number(p, "cancel_rest of a group", g->asked.cancel_rest, given->cancel_rest);
    text(p, "the verdict on a group", str_of(verdicts[model_plan_judge(plan, g)]), given->verdict);
    compare_satisfied(p, g, given->satisfied);
}

/* A group that nobody has asked for yet need not be there. */
static void compare_side(const struct pair *p, const char *what, enum group_role role,
                         struct model_plan_count expected)
{
    struct model_plan_count given = {0};

    for (size_t i = 0; i < p->d->groups_n; i++)
        if (p->d->groups[i].role == role)
            given = (struct model_plan_count){p->d->groups[i].total, p->d->groups[i].done,
                                              p->d->groups[i].succeeded};
    if (given.total != expected.total || given.done != expected.done ||
        given.succeeded != expected.succeeded)
        differ(p->look,
               STR_FMT ": of %s %" PRId64 "/%" PRId64 "/%" PRId64
                       " are there/ended/successful, and %" PRId64 "/%" PRId64 "/%" PRId64
                       " are told",
               STR_ARG(p->n->name), what, expected.total, expected.done, expected.succeeded,
               given.total, given.done, given.succeeded);
}

static void compare_groups(const struct pair *p)
{
    const struct model_plan *plan = p->look->plan;
    size_t at = 0;

    for (size_t i = 0; i < p->d->groups_n; i++)
        if (p->d->groups[i].role == GROUP_ROLE_START && at++ < p->n->groups_n)
            compare_group(p, &p->n->groups[at - 1], &p->d->groups[i]);
    number(p, "groups", (int64_t)p->n->groups_n, (int64_t)at);
    if (p->n->check) {
        compare_side(p, "its planners", GROUP_ROLE_PLAN,
                     model_plan_assigned(plan, p->n->name, true));
        compare_side(p, "the stages assigned to it", GROUP_ROLE_FINAL,
                     model_plan_assigned(plan, p->n->name, false));
    } else {
        compare_side(p, "the stages that it added", GROUP_ROLE_SPAWNED,
                     model_plan_spawned(plan, p->n->name));
    }
}

static void compare_results(const struct pair *p)
{
    const struct plan_view *v = p->d->task.plan;

    number(p, "results", (int64_t)p->n->results_n, v->results_n);
    for (size_t i = 0; i < p->n->results_n && (int64_t)i < v->results_n; i++) {
        const struct check_result *e = &p->n->results[i], *g = &v->results[i];

        text(p, "the owner of a result", e->owner, g->owner);
        text(p, "the data of a result", e->data, g->data);
        number(p, "the token of a result", e->token, g->token);
        number(p, "the failure of a result", e->failed, g->failed);
        number(p, "the end by a result", e->final, g->final);
    }
}

static void compare_content(const struct pair *p)
{
    const struct plan_view *v = p->d->task.plan;

    text(p, "its parent", p->n->parent, v->parent_name);
    if (p->n->check) {
        number(p, "the state of the check", model_plan_check_state(p->n), v->check_state);
        text(p, "kind", p->n->kind, v->kind);
        text(p, "options", p->n->payload, v->options);
        return;
    }
    text(p, "args", p->n->payload, v->args);
    text(p, "type", p->n->type, v->type);
    text(p, "retry", p->n->retry_text, v->retry);
    number(p, "mode", p->n->async, v->async);
    number(p, "timeout", p->n->timeout_us, v->timeout_us);
    number(p, "accept timeout", p->n->accept_us, v->accept_us);
    number(p, "assignments", (int64_t)p->n->assignments_n, (int64_t)v->assignments_n);
}

/* What who reads it may build upon: it changes with the version, and the version with it. */
static struct str shown(struct look *l, const struct task_details *d)
{
    const struct plan_view *v = d->task.plan;

    return str_printf(l->plan->memory,
                      "%d " STR_FMT " %d %" PRId64 " %" PRId64 " %" PRId64 " %zu " STR_FMT
                      " " STR_FMT " " STR_FMT " " STR_FMT " %d %" PRId64 " " STR_FMT,
                      (int)d->task.state, STR_ARG(d->task.reason), d->task.cancel, d->task.priority,
                      d->task.due_at, v->results_n, d->task.attempts_n, STR_ARG(v->kind),
                      STR_ARG(v->options), STR_ARG(v->args), STR_ARG(v->type), v->async,
                      v->timeout_us, STR_ARG(v->retry));
}

static void compare_version(const struct pair *p, struct model_plan_node *n)
{
    struct str now = shown(p->look, p->d);
    int64_t version = p->d->task.version;

    if (n->version && version < n->version)
        differ(p->look, STR_FMT ": its version went from %" PRId64 " to %" PRId64, STR_ARG(n->name),
               n->version, version);
    if (n->shown.n && version == n->version && !str_eq(now, n->shown))
        differ(p->look,
               STR_FMT ": it has changed from \"" STR_FMT "\" to \"" STR_FMT
                       "\", and its version has not",
               STR_ARG(n->name), STR_ARG(n->shown), STR_ARG(now));
    n->version = version;
    n->shown = now;
}

static void compare_node(struct look *l, struct model_plan_node *n, const struct task_details *d)
{
    const struct pair p = {l, n, d};
    const struct task_view *t = &d->task;

    if (!t->plan || t->plan->check != n->check) {
        differ(l, STR_FMT " is of another kind", STR_ARG(n->name));
        return;
    }
    if (n->put_off && t->state == TASK_DELAYED) {
        l->put_off++;
    } else {
        text(&p, "state", task_state_text(n->state), task_state_text(t->state));
        text(&p, "reason", task_reason_text(n->reason), t->reason);
    }
    number(&p, "attempts", (int64_t)n->ended_n + (n->state == TASK_LEASED || n->token),
           (int64_t)t->attempts_n);
    number(&p, "the cancel flag", n->cancel, t->cancel);
    number(&p, "priority", n->priority, t->priority);
    if (n->state == TASK_DELAYED)
        number(&p, "the time that it waits for", n->due_at, t->due_at);
    compare_content(&p);
    compare_results(&p);
    compare_groups(&p);
    n->id = t->id;
    compare_version(&p, n);
}

static void compare_run(struct look *l, const struct run_row *run)
{
    int64_t counts[TASK_STATE_N] = {0};

    if (run->state != l->plan->state || run->growing != l->plan->growing)
        differ(l, "the run should be %s%s, and is %s%s", run_state_text(l->plan->state).p,
               l->plan->growing ? " and grow" : "", run_state_text(run->state).p,
               run->growing ? " and grows" : "");
    for (size_t i = 0; i < l->plan->nodes_n; i++)
        counts[l->plan->nodes[i].state]++;
    counts[TASK_READY] -= l->put_off;
    counts[TASK_DELAYED] += l->put_off;
    for (int i = 0; i < TASK_STATE_N; i++)
        if (counts[i] != run->counts[i])
            differ(l, "the run counts %" PRId64 " %s tasks, and has %" PRId64, run->counts[i],
                   task_state_text((enum task_state)i).p, counts[i]);
}

void model_plan_look(struct model_plan *p, struct arena *scratch, const struct task_details *list,
                     size_t n, const struct run_row *run, struct buf *out)
{
    struct look l = {p, scratch, out, 0};

    if (n != p->nodes_n)
        differ(&l, "%zu nodes are there, and should be %zu", n, p->nodes_n);
    for (size_t i = 0; i < n && !out->n; i++) {
        struct model_plan_node *node = model_plan_node(p, list[i].task.name);

        if (node)
            compare_node(&l, node, &list[i]);
        else
            differ(&l, STR_FMT " is there, and was not written", STR_ARG(list[i].task.name));
    }
    compare_run(&l, run);
}
