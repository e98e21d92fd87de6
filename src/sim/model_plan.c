/* SPDX-License-Identifier: Apache-2.0 */
/* What is written to a plan, and why it may be refused. */
#include "sim/model_plan.h"

#include <inttypes.h>
#include <string.h>

struct model_plan *model_plan_new(struct arena *memory, int64_t run)
{
    struct model_plan *p = ARENA_NEW(memory, struct model_plan);

    *p = (struct model_plan){.memory = memory, .run = run, .state = RUN_RUNNING, .growing = true};
    return p;
}

struct model_plan_node *model_plan_node(const struct model_plan *p, struct str name)
{
    for (size_t i = 0; i < p->nodes_n; i++)
        if (str_eq(p->nodes[i].name, name))
            return &p->nodes[i];
    return NULL;
}

struct model_plan_node *model_plan_by_id(const struct model_plan *p, int64_t id)
{
    for (size_t i = 0; id && i < p->nodes_n; i++)
        if (p->nodes[i].id == id)
            return &p->nodes[i];
    return NULL;
}

/* Lists that grow begin anew in the copy, so that neither writes into the other's. */
struct model_plan model_plan_copy(const struct model_plan *p)
{
    struct model_plan copy = *p;

    copy.nodes = ARENA_ARRAY(p->memory, struct model_plan_node, p->nodes_n);
    if (p->nodes_n)
        memcpy(copy.nodes, p->nodes, p->nodes_n * sizeof(*p->nodes));
    for (size_t i = 0; i < p->nodes_n; i++) {
        struct model_plan_node *n = &copy.nodes[i];
        const struct model_plan_node *o = &p->nodes[i];

        n->groups = ARENA_ARRAY(p->memory, struct model_plan_group, n->groups_n);
        n->results = ARENA_ARRAY(p->memory, struct check_result, n->results_n);
        n->ended = ARENA_ARRAY(p->memory, struct model_plan_attempt, n->ended_n);
        n->results_cap = n->results_n;
        n->ended_cap = n->ended_n;
        if (n->groups_n)
            memcpy(n->groups, o->groups, n->groups_n * sizeof(*n->groups));
        if (n->results_n)
            memcpy(n->results, o->results, n->results_n * sizeof(*n->results));
        if (n->ended_n)
            memcpy(n->ended, o->ended, n->ended_n * sizeof(*n->ended));
    }
    return copy;
}

static void refuse(struct model_plan_refusal *ret, enum code code)
{
    ret->any = ret->may[code] = true;
}

static bool final(const struct model_plan_node *n)
{
    return n->state == TASK_SUCCEEDED || n->state == TASK_FAILED || n->state == TASK_CANCELLED ||
           n->state == TASK_SKIPPED;
}

/* What cannot be meant. */

static bool in_write(const struct plan_write *req, struct str name)
{
    for (size_t i = 0; i < req->checks_n; i++)
        if (str_eq(req->checks[i].name, name))
            return true;
    for (size_t i = 0; i < req->stages_n; i++)
        if (str_eq(req->stages[i].name, name))
            return true;
    return false;
}

static bool check_in_write(const struct plan_write *req, struct str name)
{
    for (size_t i = 0; i < req->checks_n; i++)
        if (str_eq(req->checks[i].name, name))
            return true;
    return false;
}

static bool named_twice(const struct plan_group *g)
{
    for (size_t i = 0; i < g->from_n; i++)
        for (size_t j = 0; j < i; j++)
            if (str_eq(g->from[i], g->from[j]))
                return true;
    return false;
}

static void judge_groups(const struct plan_group *groups, size_t n, struct model_plan_refusal *ret)
{
    for (size_t i = 0; i < n; i++) {
        const struct plan_group *g = &groups[i];

        if (g->from_n == 0 || named_twice(g) ||
            (g->rule == GROUP_AT_LEAST && (g->need < 1 || g->need > (int64_t)g->from_n)))
            refuse(ret, CODE_INVALID);
    }
}

static void judge_names(const struct plan_write *req, struct model_plan_refusal *ret)
{
    struct plan_write before = *req;

    for (size_t i = 0; i < req->checks_n; i++) {
        before.checks_n = i;
        before.stages_n = 0;
        if (in_write(&before, req->checks[i].name))
            refuse(ret, CODE_INVALID);
    }
    for (size_t i = 0; i < req->stages_n; i++) {
        before.checks_n = req->checks_n;
        before.stages_n = i;
        if (in_write(&before, req->stages[i].name))
            refuse(ret, CODE_INVALID);
    }
}

/* Only a new stage's assignments are looked at: those of one that is there stay. */
static void judge_assignments(const struct model_plan *p, const struct plan_write *req,
                              const struct plan_stage *s, struct model_plan_refusal *ret)
{
    for (size_t i = 0; i < s->assignments_n; i++) {
        const struct plan_assignment *as = &s->assignments[i];
        const struct model_plan_node *n = model_plan_node(p, as->check);

        if (!n && !in_write(req, as->check))
            refuse(ret, CODE_TASK_NOT_FOUND);
        else if (n ? !n->check : !check_in_write(req, as->check))
            refuse(ret, CODE_INVALID);
        for (size_t j = 0; j < i; j++)
            if (str_eq(s->assignments[j].check, as->check) &&
                s->assignments[j].planned == as->planned)
                refuse(ret, CODE_INVALID);
    }
}

/* What is there against what is asked. */

static bool same_groups(const struct model_plan_node *n, const struct plan_group *groups,
                        size_t len)
{
    if (n->groups_n != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        const struct plan_group *a = &n->groups[i].asked, *b = &groups[i];

        if (a->rule != b->rule || a->need != b->need || a->cancel_rest != b->cancel_rest ||
            a->from_n != b->from_n)
            return false;
        for (size_t j = 0; j < a->from_n; j++)
            if (!str_eq(a->from[j], b->from[j]))
                return false;
    }
    return true;
}

static bool same_assignments(const struct model_plan_node *n, const struct plan_stage *s)
{
    if (n->assignments_n != s->assignments_n)
        return false;
    for (size_t i = 0; i < n->assignments_n; i++)
        if (!str_eq(n->assignments[i].check, s->assignments[i].check) ||
            n->assignments[i].planned != s->assignments[i].planned)
            return false;
    return true;
}

static struct str labels_text(struct arena *a, const struct worker_labels *labels)
{
    struct str s = STR("");

    for (size_t i = 0; i < labels->n; i++)
        s = str_printf(a, STR_FMT STR_FMT "=" STR_FMT ",", STR_ARG(s),
                       STR_ARG(labels->list[i].name), STR_ARG(labels->list[i].value));
    return s;
}

static struct str retry_text(struct arena *a, const struct retry_policy *retry)
{
    char text[RETRY_TEXT_BYTES];

    return retry ? str_copy(a, retry_format(retry, text)) : STR("");
}

/* The stage as it is asked for, without groups and assignments. */
static void read_stage(struct model_plan *p, const struct plan_stage *s, struct model_plan_node *n)
{
    n->payload = s->args.n ? str_copy(p->memory, s->args) : STR("null");
    n->type = s->type.n ? str_copy(p->memory, s->type) : STR("");
    n->labels = labels_text(p->memory, &s->labels);
    n->async = s->async;
    n->timeout_us = s->timeout_us ? s->timeout_us : PLAN_TIMEOUT_US;
    n->accept_us = !s->async ? 0 : s->accept_us ? s->accept_us : PLAN_ACCEPT_US;
    n->progress_us = s->async ? s->progress_us : 0;
    n->priority = s->priority;
    n->retry = s->retry ? *s->retry : retry_default();
    n->retry_text = retry_text(p->memory, s->retry);
}

static bool same_stage(const struct model_plan_node *a, const struct model_plan_node *b)
{
    return str_eq(a->payload, b->payload) && str_eq(a->type, b->type) &&
           str_eq(a->labels, b->labels) && a->async == b->async && a->timeout_us == b->timeout_us &&
           a->accept_us == b->accept_us && a->progress_us == b->progress_us &&
           a->priority == b->priority && str_eq(a->retry_text, b->retry_text);
}

static void set_groups(struct model_plan *p, struct model_plan_node *n,
                       const struct plan_group *groups, size_t len)
{
    n->groups = ARENA_ARRAY(p->memory, struct model_plan_group, len);
    n->groups_n = len;
    for (size_t i = 0; i < len; i++) {
        struct str *from = ARENA_ARRAY(p->memory, struct str, groups[i].from_n);

        for (size_t j = 0; j < groups[i].from_n; j++)
            from[j] = str_copy(p->memory, groups[i].from[j]);
        n->groups[i] = (struct model_plan_group){.asked = groups[i]};
        n->groups[i].asked.from = from;
    }
}

static struct model_plan_node *add(struct model_plan *p, struct str name, bool check)
{
    struct model_plan_node *nodes = ARENA_ARRAY(p->memory, struct model_plan_node, p->nodes_n + 1);

    if (p->nodes_n)
        memcpy(nodes, p->nodes, p->nodes_n * sizeof(*nodes));
    p->nodes = nodes;
    nodes[p->nodes_n] = (struct model_plan_node){
        .name = str_copy(p->memory, name),
        .check = check,
        .state = TASK_BLOCKED,
        .reason = TASK_REASON_DEPENDENCIES,
    };
    return &nodes[p->nodes_n++];
}

/* Nodes are made and edited in `p`, a copy; what is asked is judged on the way. */

static void edit_check(struct model_plan *p, const struct plan_check *c, struct model_plan_node *n,
                       struct model_plan_refusal *ret)
{
    bool regroups = c->has_groups && !same_groups(n, c->groups, c->groups_n);
    bool changes = regroups || (c->has_kind && !str_eq(c->kind, n->kind)) ||
                   (c->options.n && !str_eq(c->options, n->payload));

    if (c->planning && !model_plan_planning(n))
        refuse(ret, CODE_TASK_STARTED);
    if (changes && !model_plan_planning(n))
        refuse(ret, final(n) ? CODE_CHECK_FINAL : CODE_TASK_STARTED);
    if (!p->growing && changes)
        refuse(ret, CODE_RUN_SEALED);
    if (c->has_kind)
        n->kind = str_copy(p->memory, c->kind);
    if (c->options.n)
        n->payload = str_copy(p->memory, c->options);
    if (regroups)
        set_groups(p, n, c->groups, c->groups_n);
    if (c->planned && model_plan_planning(n))
        n->reason = TASK_REASON_DEPENDENCIES;
}

static void write_check(struct model_plan *p, const struct plan_check *c,
                        struct model_plan_refusal *ret)
{
    struct model_plan_node *n = model_plan_node(p, c->name);

    if (n && !n->check) {
        refuse(ret, CODE_INVALID);
        return;
    }
    if (n) {
        edit_check(p, c, n, ret);
        return;
    }
    if (!p->growing)
        refuse(ret, CODE_RUN_SEALED);
    n = add(p, c->name, true);
    n->kind = c->kind.n ? str_copy(p->memory, c->kind) : STR("");
    n->payload = c->options.n ? str_copy(p->memory, c->options) : STR("null");
    n->reason = c->planning ? TASK_REASON_PLANNING : TASK_REASON_DEPENDENCIES;
    set_groups(p, n, c->groups, c->groups_n);
}

static void edit_stage(struct model_plan *p, const struct plan_stage *s, struct model_plan_node *n,
                       struct model_plan_refusal *ret)
{
    struct model_plan_node asked = {0};
    bool regroups = s->has_groups && !same_groups(n, s->groups, s->groups_n);
    bool reassigns = s->has_assignments && !same_assignments(n, s);
    bool waits = n->state == TASK_BLOCKED || n->state == TASK_READY || n->state == TASK_DELAYED;

    read_stage(p, s, &asked);
    if (same_stage(n, &asked) && !regroups && !reassigns)
        return;
    if (!waits || n->attempts || reassigns || (regroups && n->state != TASK_BLOCKED))
        refuse(ret, CODE_TASK_STARTED);
    if (!p->growing)
        refuse(ret, CODE_RUN_SEALED);
    read_stage(p, s, n);
    if (n->state == TASK_READY)
        n->reason = n->type.n ? TASK_REASON_RUNNER : TASK_REASON_WORKER;
    if (regroups)
        set_groups(p, n, s->groups, s->groups_n);
}

static void write_stage(struct model_plan *p, const struct plan_write *req,
                        const struct plan_stage *s, struct str writer,
                        struct model_plan_refusal *ret)
{
    struct model_plan_node *n = model_plan_node(p, s->name);

    if (!s->type.n && (s->labels.n || s->async))
        refuse(ret, CODE_INVALID);
    if (n && n->check) {
        refuse(ret, CODE_INVALID);
        return;
    }
    if (n) {
        edit_stage(p, s, n, ret);
        return;
    }
    if (!p->growing)
        refuse(ret, CODE_RUN_SEALED);
    judge_assignments(p, req, s, ret);
    n = add(p, s->name, false);
    read_stage(p, s, n);
    set_groups(p, n, s->groups, s->groups_n);
    n->parent = writer;
    n->assignments = ARENA_ARRAY(p->memory, struct plan_assignment, s->assignments_n);
    n->assignments_n = s->assignments_n;
    for (size_t i = 0; i < s->assignments_n; i++)
        n->assignments[i] = (struct plan_assignment){str_copy(p->memory, s->assignments[i].check),
                                                     s->assignments[i].planned};
}

/* Who waits for whom: for what it depends on, a check for the stages assigned to it, a stage for
 * those that it added. */
static bool waits_for(const struct model_plan_node *a, const struct model_plan_node *b)
{
    for (size_t i = 0; i < a->groups_n; i++)
        for (size_t j = 0; j < a->groups[i].asked.from_n; j++)
            if (str_eq(a->groups[i].asked.from[j], b->name))
                return true;
    for (size_t i = 0; a->check && i < b->assignments_n; i++)
        if (str_eq(b->assignments[i].check, a->name))
            return true;
    return b->parent.n && str_eq(b->parent, a->name);
}

/* Take away what waits for nobody that is left, until all are gone or wait in a circle. */
static bool in_circles(const struct model_plan *p)
{
    bool *gone = ARENA_ARRAY(p->memory, bool, p->nodes_n), again = true;
    size_t left = p->nodes_n;

    while (again) {
        again = false;
        for (size_t i = 0; i < p->nodes_n; i++) {
            bool waits = gone[i];

            for (size_t j = 0; !waits && j < p->nodes_n; j++)
                waits = !gone[j] && waits_for(&p->nodes[i], &p->nodes[j]);
            if (waits)
                continue;
            again = gone[i] = true;
            left--;
        }
    }
    return left > 0;
}

static struct str judge_writer(const struct model_plan *p, const struct plan_write *req,
                               struct model_plan_refusal *ret)
{
    const struct model_plan_node *n = model_plan_by_id(p, req->writer.task);

    if (req->writer.token == 0)
        return STR("");
    if (!n || !task_held(n->state) || n->token != req->writer.token) {
        refuse(ret, CODE_LEASE_LOST);
        if (!n)
            refuse(ret, CODE_PERMISSION_DENIED); /* it may be of another run */
        return STR("");
    }
    return n->name;
}

static void judge_versions(const struct model_plan *p, const struct plan_write *req,
                           struct model_plan_refusal *ret)
{
    for (size_t i = 0; i < req->expect_n; i++) {
        const struct model_plan_node *n = model_plan_node(p, req->expect[i].name);

        if (p->blind && n && req->expect[i].version >= n->version)
            ret->may[CODE_VERSION_CONFLICT] = true;
        else if (req->expect[i].version != (n ? n->version : 0))
            refuse(ret, CODE_VERSION_CONFLICT);
    }
}

/* They come last: what the write itself ends takes none. */
static void tell(struct model_plan *p, const struct plan_write *req, struct str writer,
                 struct model_plan_refusal *ret)
{
    const struct model_plan_node *n = writer.n ? model_plan_node(p, writer) : NULL;

    for (size_t i = 0; i < req->checks_n; i++) {
        const struct plan_check *c = &req->checks[i];
        struct check_update u;
        struct str owner = c->owner;
        enum code code;

        if (!c->result)
            continue;
        u = *c->result;
        u.check = c->name;
        if (!owner.n && n)
            owner = str_printf(p->memory, STR_FMT ":%" PRId64, STR_ARG(n->name), n->attempts);
        code = model_plan_tell(p, owner, req->writer.token, &u);
        if (code != CODE_OK)
            refuse(ret, code);
    }
}

static void apply(struct model_plan *p, const struct plan_write *req,
                  struct model_plan_refusal *ret)
{
    struct str writer = judge_writer(p, req, ret);

    if (run_final(p->state))
        refuse(ret, CODE_RUN_ENDED);
    judge_versions(p, req, ret);
    judge_names(req, ret);
    for (size_t i = 0; i < req->checks_n; i++)
        judge_groups(req->checks[i].groups, req->checks[i].groups_n, ret);
    for (size_t i = 0; i < req->stages_n; i++)
        judge_groups(req->stages[i].groups, req->stages[i].groups_n, ret);
    for (size_t i = 0; i < req->checks_n; i++)
        write_check(p, &req->checks[i], ret);
    for (size_t i = 0; i < req->stages_n; i++)
        write_stage(p, req, &req->stages[i], writer, ret);
    if (ret->any)
        return;
    if (in_circles(p)) {
        refuse(ret, CODE_CYCLE);
        return;
    }
    if (writer.n) /* who writes has begun */
        model_plan_start(model_plan_node(p, writer));
    model_plan_move(p);
    tell(p, req, writer, ret);
    model_plan_settle(p);
}

void model_plan_write(struct model_plan *p, const struct plan_write *req, enum code answer,
                      struct model_plan_refusal *ret)
{
    struct model_plan copy = model_plan_copy(p);

    *ret = (struct model_plan_refusal){0};
    apply(&copy, req, ret);
    if (!ret->any && answer == CODE_OK)
        *p = copy;
}
