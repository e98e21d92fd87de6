/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a write asks for, held against what there is.
 */
#include <assert.h>
#include <inttypes.h>

#include "base/broken.h"
#include "base/fault.h"
#include "base/sentence.h"
#include "core/definition.h"
#include "core/lease.h"
#include "core/placement.h"
#include "engine/labels.h"
#include "engine/lane.h"
#include "engine/plan_edit.h"

static bool good_name(struct str s)
{
    if (s.n < 1 || s.n > CHECK_NAME_BYTES_MAX || !str_utf8(s, NULL))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

static bool bad_text(struct str s)
{
    return !str_utf8(s, NULL) || str_find(s, '\0', NULL);
}

static int check_name(struct plan_edit *e, struct str name, struct plan_node **ret)
{
    *ret = plan_node_of(&e->nodes, name);
    assert(*ret); /* all names of the write are there */
    if (!good_name(name))
        return tx_refuse(e->tx, CODE_INVALID,
                         "%.*s is no name, which has 1 to %u bytes of UTF-8 without control "
                         "characters",
                         STR_ARG(sentence_quote(e->tx->arena, name)), CHECK_NAME_BYTES_MAX);
    if ((*ret)->written)
        return tx_refuse(e->tx, CODE_INVALID, "\"%.*s\" stands twice in the write", STR_ARG(name));
    return 0;
}

static int check_group(struct plan_edit *e, struct str name, const struct plan_group *g)
{
    uint64_t mark = ++e->nodes.marks;

    if (g->from_n < 1 || g->from_n > PLAN_WRITE_TASKS_MAX)
        return tx_refuse(e->tx, CODE_INVALID,
                         "a group of \"%.*s\" waits for 1 to %u names, not %zu", STR_ARG(name),
                         PLAN_WRITE_TASKS_MAX, g->from_n);
    if (g->rule == GROUP_AT_LEAST && (g->need < 1 || g->need > (int64_t)g->from_n))
        return tx_refuse(e->tx, CODE_INVALID,
                         "at_least of \"%.*s\" needs 1 to %zu, as many as it names, not %" PRId64,
                         STR_ARG(name), g->from_n, g->need);
    for (size_t i = 0; i < g->from_n; i++) {
        struct plan_node *from = plan_node_of(&e->nodes, g->from[i]);

        if (!good_name(g->from[i]))
            return tx_refuse(
                e->tx, CODE_INVALID,
                "\"%.*s\" waits for a name that none can have: it has 1 to %u bytes of "
                "UTF-8 without control characters",
                STR_ARG(name), CHECK_NAME_BYTES_MAX);
        if (from->mark == mark)
            return tx_refuse(e->tx, CODE_INVALID, "a group of \"%.*s\" names \"%.*s\" twice",
                             STR_ARG(name), STR_ARG(from->name));
        from->mark = mark;
    }
    return 0;
}

static int check_groups(struct plan_edit *e, struct str name, const struct plan_group *groups,
                        size_t n)
{
    int r = 0;

    if (n > PLAN_GROUPS_MAX)
        return tx_refuse(e->tx, CODE_INVALID, "\"%.*s\" has at most %u groups, not %zu",
                         STR_ARG(name), PLAN_GROUPS_MAX, n);
    for (size_t i = 0; !r && i < n; i++)
        r = check_group(e, name, &groups[i]);
    return r;
}

/* '' of none, so that what was left out is what was never there. */
static struct str digest(struct tx *tx, const struct str *parts, size_t n)
{
    char text[LEASE_DIGEST_BYTES];

    return n ? str_copy(tx->arena, lease_digest(parts, n, text)) : STR("");
}

static struct str digest_groups(struct tx *tx, const struct plan_group *groups, size_t groups_n)
{
    size_t n = 0;
    struct str *parts;

    for (size_t i = 0; i < groups_n; i++)
        n += groups[i].from_n + 1;
    parts = ARENA_ARRAY(tx->arena, struct str, n);
    n = 0;
    for (size_t i = 0; i < groups_n; i++) {
        const struct plan_group *g = &groups[i];

        parts[n++] = str_printf(tx->arena, "%s %" PRId64 " %d %zu", group_rule_text(g->rule).p,
                                g->need, g->cancel_rest, g->from_n);
        for (size_t j = 0; j < g->from_n; j++)
            parts[n++] = g->from[j];
    }
    return digest(tx, parts, n);
}

static struct str digest_goals(struct tx *tx, const struct plan_stage *s)
{
    struct str *parts = ARENA_ARRAY(tx->arena, struct str, 2 * s->assignments_n);

    for (size_t i = 0; i < s->assignments_n; i++) {
        parts[2 * i] = s->assignments[i].check;
        parts[2 * i + 1] = s->assignments[i].planned ? STR("PLANNED") : STR("FINAL");
    }
    return digest(tx, parts, 2 * s->assignments_n);
}

/* What is there already, whatever it has come to, is no change. */
static bool same(const struct plan_wish *w)
{
    const struct plan_node *n = w->node;

    return str_eq(w->kind, n->kind) && (!w->payload.n || n->same_payload) &&
           str_eq(w->key, n->row.key) && str_eq(w->retry, n->row.retry_text) &&
           str_eq(w->needs, n->needs) && str_eq(w->goals, n->goals) && w->gate == n->row.gate &&
           w->timeout_us == n->row.timeout_us && w->accept_us == n->accept_us &&
           w->progress_us == n->progress_us && w->priority == n->row.priority;
}

static int check_edit(struct plan_edit *e, struct plan_wish *w)
{
    const struct plan_node *n = w->node;
    const struct task *t = &n->row.task;
    bool idle = t->state == TASK_BLOCKED || t->state == TASK_READY || t->state == TASK_DELAYED;

    w->regroups = !str_eq(w->needs, n->needs);
    if (same(w))
        return 0;
    if (w->check && task_final(t->state))
        return tx_refuse(e->tx, CODE_CHECK_FINAL, "check \"%.*s\" is %s and cannot be edited",
                         STR_ARG(n->name), task_state_text(t->state).p);
    if (w->check && t->reason != TASK_REASON_PLANNING)
        return tx_refuse(e->tx, CODE_TASK_STARTED,
                         "check \"%.*s\" is planned and can no longer be edited", STR_ARG(n->name));
    if (!w->check && (!idle || t->attempts > 0) && !BROKEN(STARTED))
        return tx_refuse(e->tx, CODE_TASK_STARTED,
                         "stage \"%.*s\" is %s and can no longer be edited", STR_ARG(n->name),
                         task_state_text(t->state).p);
    if (w->regroups && t->state != TASK_BLOCKED)
        return tx_refuse(e->tx, CODE_TASK_STARTED,
                         "the dependencies of \"%.*s\" are met and can no longer be edited",
                         STR_ARG(n->name));
    if (!str_eq(w->goals, n->goals))
        return tx_refuse(e->tx, CODE_TASK_STARTED,
                         "the assignments of \"%.*s\" stay as they were written first; write "
                         "another stage for other checks",
                         STR_ARG(n->name));
    return 0;
}

int plan_wish_check(struct plan_edit *e, const struct plan_check *c, struct plan_wish *ret)
{
    struct plan_node *node;
    bool now_planning;
    int r = check_name(e, c->name, &node);

    if (!r)
        r = check_groups(e, c->name, c->groups, c->groups_n);
    if (r)
        return r;
    if (c->kind.n > CHECK_KIND_BYTES_MAX || c->options.n > PLAN_ARGS_BYTES_MAX)
        return tx_refuse(e->tx, CODE_TOO_LARGE,
                         "check \"%.*s\": a kind has at most %u bytes, options %u",
                         STR_ARG(c->name), CHECK_KIND_BYTES_MAX, PLAN_ARGS_BYTES_MAX);
    if (bad_text(c->kind) || bad_text(c->options))
        return tx_refuse(e->tx, CODE_INVALID, "check \"%.*s\" is not UTF-8 without NUL",
                         STR_ARG(c->name));
    if (node->found && !node->check)
        return tx_refuse(e->tx, CODE_INVALID, "\"%.*s\" is a stage, and no check",
                         STR_ARG(c->name));
    *ret = (struct plan_wish){
        .node = node,
        .check = true,
        .kind = c->has_kind || !node->found ? c->kind : node->kind,
        .payload = c->options.n || node->found ? c->options : STR("null"),
        .needs = c->has_groups || !node->found ? digest_groups(e->tx, c->groups, c->groups_n)
                                               : node->needs,
        .gate = GATE_CHECK,
        .planning = c->planning,
        .planned = c->planned || (!c->planning && !node->found),
        .groups = c->groups,
        .groups_n = c->groups_n,
    };
    node->check = node->written = true;
    if (!node->found)
        return 0;
    now_planning = node->row.task.reason == TASK_REASON_PLANNING;
    if (c->planning && !now_planning)
        return tx_refuse(e->tx, CODE_TASK_STARTED, "check \"%.*s\" is planned already",
                         STR_ARG(c->name));
    return check_edit(e, ret);
}

static int check_stage_fields(struct plan_edit *e, const struct plan_stage *s)
{
    if (s->args.n > PLAN_ARGS_BYTES_MAX || s->type.n > CHECK_KIND_BYTES_MAX)
        return tx_refuse(e->tx, CODE_TOO_LARGE,
                         "stage \"%.*s\": args have at most %u bytes, a type %u", STR_ARG(s->name),
                         PLAN_ARGS_BYTES_MAX, CHECK_KIND_BYTES_MAX);
    if (bad_text(s->args) || bad_text(s->type))
        return tx_refuse(e->tx, CODE_INVALID, "stage \"%.*s\" is not UTF-8 without NUL",
                         STR_ARG(s->name));
    if (!s->type.n && (s->labels.n || s->async))
        return tx_refuse(e->tx, CODE_INVALID,
                         "stage \"%.*s\" has no type: labels and mode are for stages that runners "
                         "are called with",
                         STR_ARG(s->name));
    if (s->labels.n > PLAN_LABELS_MAX)
        return tx_refuse(e->tx, CODE_INVALID, "stage \"%.*s\" demands at most %u labels, not %zu",
                         STR_ARG(s->name), PLAN_LABELS_MAX, s->labels.n);
    if (s->timeout_us < 0 || s->timeout_us > DEFINITION_TIMEOUT_US_MAX || s->accept_us < 0 ||
        s->accept_us > PLAN_ACCEPT_US_MAX || s->progress_us < 0 ||
        s->progress_us > DEFINITION_TIMEOUT_US_MAX ||
        (s->progress_us && s->progress_us < PLAN_PROGRESS_US_MIN))
        return tx_refuse(e->tx, CODE_INVALID,
                         "stage \"%.*s\": a timeout lies between 0 and 366 days, accept_timeout "
                         "between 0 and 1 hour, progress_every between 0.1 s and 366 days",
                         STR_ARG(s->name));
    if (s->priority < -TASK_PRIORITY_MAX || s->priority > TASK_PRIORITY_MAX)
        return tx_refuse(e->tx, CODE_INVALID, "stage \"%.*s\": a priority lies between %d and %d",
                         STR_ARG(s->name), -TASK_PRIORITY_MAX, TASK_PRIORITY_MAX);
    if (s->assignments_n > PLAN_ASSIGNMENTS_MAX)
        return tx_refuse(e->tx, CODE_INVALID, "stage \"%.*s\" has at most %u assignments, not %zu",
                         STR_ARG(s->name), PLAN_ASSIGNMENTS_MAX, s->assignments_n);
    return labels_check(e->tx, &s->labels, "labels");
}

static struct str demand_of(struct tx *tx, const struct plan_stage *s)
{
    struct placement_label *labels = ARENA_ARRAY(tx->arena, struct placement_label, s->labels.n);
    const struct placement_demand demand = {
        .type = s->type,
        .mode = s->async ? PLACEMENT_ASYNC : PLACEMENT_SYNC,
        .labels = {labels, s->labels.n},
    };

    for (size_t i = 0; i < s->labels.n; i++)
        labels[i] = (struct placement_label){s->labels.list[i].name, s->labels.list[i].value};
    return s->type.n ? placement_demand_text(tx->arena, &demand) : STR("");
}

int plan_wish_stage(struct plan_edit *e, const struct plan_stage *s, struct plan_wish *ret)
{
    char text[RETRY_TEXT_BYTES];
    struct plan_node *node;
    int r = check_name(e, s->name, &node);

    if (!r)
        r = check_groups(e, s->name, s->groups, s->groups_n);
    if (!r)
        r = check_stage_fields(e, s);
    if (r)
        return r;
    if (node->found && node->check)
        return tx_refuse(e->tx, CODE_INVALID, "\"%.*s\" is a check, and no stage",
                         STR_ARG(s->name));
    *ret = (struct plan_wish){
        .node = node,
        .payload = s->args.n ? s->args : STR("null"),
        .key = demand_of(e->tx, s),
        .retry = s->retry ? str_copy(e->tx->arena, retry_format(s->retry, text)) : STR(""),
        .needs = s->has_groups || !node->found ? digest_groups(e->tx, s->groups, s->groups_n)
                                               : node->needs,
        .goals = s->has_assignments || !node->found ? digest_goals(e->tx, s) : node->goals,
        .gate = s->type.n ? GATE_PUSHED : GATE_PULLED,
        .timeout_us = s->timeout_us ? s->timeout_us : PLAN_TIMEOUT_US,
        .accept_us = !s->async      ? 0
                     : s->accept_us ? s->accept_us
                                    : PLAN_ACCEPT_US,
        .progress_us = s->async ? s->progress_us : 0,
        .priority = s->priority,
        .groups = s->groups,
        .groups_n = s->groups_n,
        .assignments = s->assignments,
        .assignments_n = s->assignments_n,
    };
    if (ret->key.n > PLAN_DEMAND_BYTES_MAX)
        return tx_refuse(e->tx, CODE_TOO_LARGE,
                         "stage \"%.*s\": its type, mode and labels have %zu bytes as JSON; %u are "
                         "allowed",
                         STR_ARG(s->name), ret->key.n, PLAN_DEMAND_BYTES_MAX);
    node->written = true;
    return node->found ? check_edit(e, ret) : 0;
}
