/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_bench.h"

#include <stdio.h>

#include "base/buf.h"
#include "core/placement.h"
#include "engine/plan.h"

#define STAGES     10
#define CHECKS     5
#define NODES_MAX  3 /* in a write */
#define GROUPS_MAX 2
#define ENDS_MAX   4 /* in a completion */
#define FROM_MAX   3
#define AFTERWARDS 5 /* steps after the run has ended */
#define BEGINNING  (1000 * CLOCK_S)
#define STEP_US    (10 * CLOCK_MS)
/* Below what a runner has to accept a stage, and below the leases of sync calls. */
#define WAITED_US_MAX (8 * CLOCK_S)
#define SLOTS         100
#define TTL_US        (3600 * CLOCK_S)

/* One request while it is made up. */
struct draw {
    struct bench *b;
    struct arena *a;
    struct prng prng;
    struct buf line;
    unsigned checks, stages; /* that stand in the write, as bits */
};

static uint64_t below(struct draw *d, uint64_t n)
{
    return prng_below(&d->prng, n);
}

static bool percent(struct draw *d, uint64_t n)
{
    return below(d, 100) < n;
}

static void say(struct draw *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct draw *d, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buf_vprintf(&d->line, format, args);
    va_end(args);
}

static struct str name_of(struct draw *d, const char *kind, uint64_t n)
{
    return str_printf(d->a, "%s%" PRIu64, kind, n);
}

static struct str any_name(struct draw *d)
{
    return percent(d, 35) ? name_of(d, "k", below(d, CHECKS)) : name_of(d, "s", below(d, STAGES));
}

/* Mostly one that lies behind it, so that not every write is a cycle. */
static struct str name_before(struct draw *d, struct str name)
{
    uint64_t n = (uint64_t)(name.p[1] - '0');
    bool check = name.p[0] == 'k';

    if (percent(d, 12) || n == 0)
        return any_name(d);
    if (check)
        return percent(d, 40) ? name_of(d, "k", below(d, n)) : name_of(d, "s", below(d, 2 * n));
    return percent(d, 35) ? name_of(d, "k", below(d, (n + 1) / 2)) : name_of(d, "s", below(d, n));
}

static void differ(struct bench *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void differ(struct bench *b, const char *format, ...)
{
    va_list args;

    if (b->differs)
        return;
    b->differs = true;
    va_start(args, format);
    buf_vprintf(b->text, format, args);
    va_end(args);
}

static void compare(struct bench *b)
{
    struct plan_query q = {.run = b->plan->run, .max = PLAN_PAGE_MAX};
    struct plan_page page;
    struct run_row run;

    DO(b->w, plan_query(&b->w->tx, &q, &page));
    DO(b->w, run_read(&b->w->tx, b->plan->run, &run));
    model_plan_look(b->plan, &b->w->arena, page.list, page.n, &run, b->text);
    b->differs |= b->text->n > 0;
}

/* What a write asks for. */

static const char *const rules[] = {"all_success", "all_done", "one_success", "one_done",
                                    "at_least"};

static size_t draw_groups(struct draw *d, struct str name, const struct plan_group **ret)
{
    struct plan_group *groups = ARENA_ARRAY(d->a, struct plan_group, GROUPS_MAX);
    size_t n = percent(d, 40) ? 0 : 1 + below(d, GROUPS_MAX);

    for (size_t i = 0; i < n; i++) {
        struct str *from = ARENA_ARRAY(d->a, struct str, FROM_MAX);
        struct plan_group *g = &groups[i];

        g->from_n = percent(d, 2) ? 0 : 1 + below(d, FROM_MAX);
        g->rule = (enum group_rule)below(d, GROUP_RULE_N);
        if (g->rule == GROUP_AT_LEAST)
            g->need = 1 + (int64_t)below(d, g->from_n + (g->from_n == 0 || percent(d, 5)));
        g->cancel_rest = percent(d, 40);
        g->from = from;
        say(d, " %s%s(%" PRId64 ":", rules[g->rule], g->cancel_rest ? "!" : "", g->need);
        for (size_t j = 0; j < g->from_n; j++) {
            from[j] = name_before(d, name);
            for (size_t k = 0; k < j && !percent(d, 5); k++)
                if (str_eq(from[k], from[j])) {
                    from[j] = any_name(d);
                    k = (size_t)-1;
                }
            say(d, " " STR_FMT, STR_ARG(from[j]));
        }
        say(d, ")");
    }
    *ret = groups;
    return n;
}

static const struct check_update *draw_result(struct draw *d, struct str check)
{
    struct check_update *u = ARENA_NEW(d->a, struct check_update);

    u->check = check;
    u->data = percent(d, 50) ? STR("{\"n\":1}") : STR("");
    u->failed = percent(d, 30);
    u->finalize = percent(d, 40);
    u->message = u->failed ? STR("no") : STR("");
    say(d, " " STR_FMT "=%s%s", STR_ARG(check), u->failed ? "no" : "yes", u->finalize ? "!" : "");
    return u;
}

/* Mostly one that does not stand in the write yet. */
static struct str fresh_name(struct draw *d, const char *kind, uint64_t n)
{
    unsigned *used = kind[0] == 'k' ? &d->checks : &d->stages;
    uint64_t i = below(d, n);

    while (*used >> i & 1 && !percent(d, 3))
        i = below(d, n);
    *used |= 1u << i;
    return name_of(d, kind, i);
}

static struct plan_check draw_check(struct draw *d)
{
    struct plan_check c = {.name = fresh_name(d, "k", CHECKS)};
    bool there = model_plan_node(d->b->plan, c.name);

    if (percent(d, 2))
        c.name = any_name(d);
    say(d, " check " STR_FMT ":", STR_ARG(c.name));
    c.planning = percent(d, there ? 5 : 40);
    c.planned = !c.planning && percent(d, 40);
    c.has_kind = percent(d, 20);
    c.kind = percent(d, 50) ? STR("") : STR("build");
    c.options = percent(d, 10) ? STR("{\"o\":1}") : STR("");
    say(d, "%s%s%s", c.planning ? " PLANNING" : "", c.planned ? " PLANNED" : "",
        c.has_kind ? c.kind.n ? " kind build" : " no kind" : "");
    say(d, "%s", c.options.n ? " options" : "");
    c.has_groups = percent(d, there ? 30 : 100);
    if (c.has_groups)
        c.groups_n = draw_groups(d, c.name, &c.groups);
    else
        say(d, " ...");
    if (percent(d, 15))
        c.result = draw_result(d, c.name);
    if (c.result && percent(d, 30))
        c.owner = STR("somebody");
    return c;
}

/* A stage is written alike again and again, mostly, and then it is no edit. */
static void draw_content(struct draw *d, struct plan_stage *s)
{
    static const struct retry_policy policies[] = {
        {.max_attempts = 1,                                                               .factor = 1},
        { .max_attempts = 2,
         .factor = 1,
         .cap_us = CLOCK_S,
         .outcomes = 1u << OUTCOME_FAILED | 1u << OUTCOME_LOST},
        {                      .max_attempts = 3,
         .base_us = CLOCK_S,
         .factor = 2,
         .cap_us = 3 * CLOCK_S / 2,
         .outcomes = 1u << OUTCOME_FAILED | 1u << OUTCOME_TIMED_OUT | 1u << OUTCOME_LOST},
    };
    uint64_t variant = (uint64_t)s->name.p[1];
    bool other = percent(d, 15);

    s->args = other && percent(d, 30) ? STR("{\"a\":1}") : STR("");
    if (other)
        variant = below(d, 12);
    s->type = variant % 3 ? STR("build") : STR("");
    s->async = variant % 3 == 2;
    s->timeout_us = variant % 4 == 1 ? 2 * CLOCK_S : 0;
    s->priority = other && percent(d, 40) ? (int64_t)below(d, 3) - 1 : 0;
    s->retry = variant % 5 < 3 ? &policies[variant % 5] : NULL;
    if (percent(d, 1))
        s->async = true;
    say(d, "%s%s %s p%" PRId64 " t%" PRId64 " r%" PRIu64, s->type.n ? " pushed" : " pulled",
        s->async ? " async" : "", s->args.n ? "args" : "", s->priority,
        (int64_t)(s->timeout_us / CLOCK_S), variant % 5);
}

static struct plan_stage draw_stage(struct draw *d)
{
    struct plan_stage s = {.name = fresh_name(d, "s", STAGES)};
    struct plan_assignment *as = ARENA_ARRAY(d->a, struct plan_assignment, 2);
    bool there = model_plan_node(d->b->plan, s.name);

    if (percent(d, 2))
        s.name = any_name(d);
    say(d, " stage " STR_FMT ":", STR_ARG(s.name));
    draw_content(d, &s);
    s.has_groups = percent(d, there ? 25 : 100);
    if (s.has_groups)
        s.groups_n = draw_groups(d, s.name, &s.groups);
    else
        say(d, " ...");
    s.has_assignments = percent(d, there ? 10 : 100);
    s.assignments = as;
    s.assignments_n = s.has_assignments && percent(d, 70) ? 1 + percent(d, 30) : 0;
    for (size_t i = 0; i < s.assignments_n; i++) {
        as[i].check = name_of(d, "k", below(d, CHECKS));
        for (int tries = 0; tries < 8 && !model_plan_node(d->b->plan, as[i].check); tries++)
            as[i].check = name_of(d, "k", below(d, CHECKS));
        if (percent(d, 2))
            as[i].check = any_name(d);
        as[i].planned = percent(d, 25);
        say(d, " ->" STR_FMT "%s", STR_ARG(as[i].check), as[i].planned ? "(PLANNED)" : "");
    }
    return s;
}

static struct model_plan_node *draw_node(struct draw *d, bool (*is)(const struct model_plan_node *))
{
    const struct model_plan *p = d->b->plan;
    uint64_t from = p->nodes_n ? below(d, p->nodes_n) : 0;

    for (size_t i = 0; i < p->nodes_n; i++) {
        struct model_plan_node *n = &p->nodes[(from + i) % p->nodes_n];

        if (is(n))
            return n;
    }
    return NULL;
}

static bool is_running(const struct model_plan_node *n)
{
    return n->state == TASK_RUNNING;
}

static bool is_leased(const struct model_plan_node *n)
{
    return n->state == TASK_LEASED;
}

static bool is_held(const struct model_plan_node *n)
{
    return n->token;
}

static bool is_ended(const struct model_plan_node *n)
{
    return n->ended_n;
}

static void draw_writer(struct draw *d, struct plan_write *req)
{
    const struct model_plan_node *n = draw_node(d, is_held);

    if (percent(d, 2)) {
        req->writer = d->b->stranger;
        say(d, " by a stage of another run");
        return;
    }
    if (!n || !percent(d, 35))
        return;
    req->writer = (struct lease_ref){n->id, n->token + percent(d, 5)};
    say(d, " by " STR_FMT, STR_ARG(n->name));
    if (req->writer.token != n->token)
        say(d, " with another token");
}

static void draw_expectations(struct draw *d, struct plan_write *req)
{
    struct plan_expect *list = ARENA_ARRAY(d->a, struct plan_expect, 2);

    req->expect = list;
    req->expect_n = percent(d, 25) ? 1 + below(d, 2) : 0;
    for (size_t i = 0; i < req->expect_n; i++) {
        const struct model_plan_node *n;

        list[i].name = any_name(d);
        n = model_plan_node(d->b->plan, list[i].name);
        list[i].version = (n ? n->version : 0) + (percent(d, 10) ? 1 : 0);
        if (n && percent(d, 5))
            list[i].version = 0;
        say(d, " expects " STR_FMT " %" PRId64, STR_ARG(list[i].name), list[i].version);
    }
}

static struct plan_write draw_write(struct draw *d)
{
    struct plan_check *checks = ARENA_ARRAY(d->a, struct plan_check, NODES_MAX);
    struct plan_stage *stages = ARENA_ARRAY(d->a, struct plan_stage, NODES_MAX);
    struct plan_write req = {.run = d->b->plan->run, .checks = checks, .stages = stages};
    uint64_t n = 1 + below(d, NODES_MAX);

    say(d, "write");
    for (uint64_t i = 0; i < n; i++)
        if (percent(d, 35))
            checks[req.checks_n++] = draw_check(d);
        else
            stages[req.stages_n++] = draw_stage(d);
    draw_writer(d, &req);
    draw_expectations(d, &req);
    return req;
}

/* The requests. */

/* One that may be refused, in a transaction of its own. */
static enum code answer(struct bench *b, int r)
{
    enum code code = CODE_OK;

    if (r == ENGINE_E_REFUSED) {
        code = b->w->tx.problem.code;
        tx_rollback(&b->w->tx);
    } else if (r) {
        differ(b, "fault %d: " STR_FMT, r, STR_ARG(store_error(b->w->store)));
        tx_rollback(&b->w->tx);
        code = CODE_INTERNAL;
    } else {
        STORE_OK(b->w->store, tx_commit(&b->w->tx));
    }
    b->answers[code]++;
    return code;
}

static void begin(struct bench *b)
{
    STORE_OK(b->w->store, world_begin(b->w));
}

#define CALL(b, call) (begin(b), answer((b), (call)))

static void expect_code(struct bench *b, enum code expected, enum code given)
{
    if (expected != given)
        differ(b, "the answer should be " STR_FMT ", and is " STR_FMT, STR_ARG(code_text(expected)),
               STR_ARG(code_text(given)));
}

static void expect_refusal(struct bench *b, const struct model_plan_refusal *expected,
                           enum code given)
{
    if (given != CODE_OK ? expected->may[given] : !expected->any)
        return;
    differ(b, "the answer is " STR_FMT ", and should be %s", STR_ARG(code_text(given)),
           expected->any ? "" : "OK");
    for (int c = 0; c < CODE_N; c++)
        if (expected->may[c])
            buf_printf(b->text, " " STR_FMT, STR_ARG(code_text((enum code)c)));
}

/* The reply shows what has become of them. */
static void compare_written(struct bench *b, const struct task_view *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct model_plan_node *node = model_plan_node(b->plan, list[i].name);

        if (!node || node->state != list[i].state)
            differ(b, STR_FMT ": the reply says %s", STR_ARG(list[i].name),
                   task_state_text(list[i].state).p);
    }
}

static void do_write(struct draw *d)
{
    struct bench *b = d->b;
    const struct plan_write req = draw_write(d);
    struct model_plan_refusal refusal;
    struct plan_written reply;
    enum code code = CALL(b, plan_write(&b->w->tx, &req, &reply));

    model_plan_write(b->plan, &req, code, &refusal);
    expect_refusal(b, &refusal, code);
    say(d, " -> " STR_FMT, STR_ARG(code_text(code)));
    if (code != CODE_OK || b->differs)
        return;
    compare_written(b, reply.checks, req.checks_n);
    compare_written(b, reply.stages, req.stages_n);
}

/* Too small to end, mostly. */
static bool small(struct draw *d)
{
    return d->b->plan->nodes_n < STAGES && !percent(d, 10);
}

static void do_seal(struct draw *d)
{
    struct run_row reply;

    if (small(d))
        return;
    say(d, "seal");
    DO(d->b->w, plan_seal(&d->b->w->tx, &d->b->plan->run, &reply));
    model_plan_seal(d->b->plan);
}

static void do_cancel(struct draw *d)
{
    struct run_row reply;

    if (small(d) || percent(d, 50))
        return;
    say(d, "cancel");
    expect_code(d->b, model_plan_cancel(d->b->plan),
                CALL(d->b, run_cancel(&d->b->w->tx, &d->b->plan->run, &reply)));
}

static void do_claim(struct draw *d)
{
    struct bench *b = d->b;
    const struct task_claim req = {
        .worker = b->worker, .run = b->plan->run, .max = 1 + (int64_t)below(d, 3)};
    struct task_leases reply;
    int64_t n = 0;

    say(d, "claim %" PRId64, req.max);
    DO(b->w, plan_claim(&b->w->tx, &req, &reply));
    for (; n < (int64_t)reply.n; n++) {
        struct model_plan_node *node = model_plan_next(b->plan);

        if (!node || node->id != reply.list[n].task) {
            differ(b, "the claim gives " STR_FMT ", and should give " STR_FMT,
                   STR_ARG(reply.list[n].name), STR_ARG(node ? node->name : STR("none")));
            return;
        }
        say(d, " " STR_FMT, STR_ARG(node->name));
        model_plan_lease(node, b->w->now, reply.list[n].token, b->worker);
        model_plan_start(node);
    }
    if (n < req.max && model_plan_next(b->plan))
        differ(b, "the claim gives %" PRId64 ", and more are READY", n);
}

static int64_t load(const struct bench *b, int64_t worker)
{
    int64_t n = 0;

    for (size_t i = 0; i < b->plan->nodes_n; i++)
        n += b->plan->nodes[i].token && b->plan->nodes[i].worker == worker;
    return n;
}

static void take_grant(struct draw *d, const struct grant_lease *l)
{
    struct model_plan_node *n = model_plan_by_id(d->b->plan, l->lease.task);

    if (!n || !n->type.n || !model_plan_lease(n, d->b->w->now, l->lease.token, d->b->runner)) {
        differ(d->b, "the round gives " STR_FMT ", which is not READY for a runner",
               STR_ARG(l->name));
        return;
    }
    say(d, " " STR_FMT, STR_ARG(n->name));
    if (!n->async)
        model_plan_start(n);
}

static void do_grant(struct draw *d)
{
    struct bench *b = d->b;
    const struct grant_round req = {.max = 1 + (int64_t)below(d, 5)};
    struct grant_leases reply;
    int64_t now;

    say(d, "grant %" PRId64, req.max);
    DO(b->w, grant_round(&b->w->tx, &req, &reply));
    for (size_t i = 0; i < reply.n && !b->differs; i++)
        take_grant(d, &reply.list[i]);
    now = load(b, b->runner);
    if (b->slots && now > b->slots)
        differ(b, "the runner has %" PRId64 " leases", now);
    if ((int64_t)reply.n == req.max || (b->slots && now == b->slots))
        return;
    for (size_t i = 0; i < b->plan->nodes_n; i++)
        if (b->plan->nodes[i].state == TASK_READY && b->plan->nodes[i].type.n)
            differ(b, "the round leaves " STR_FMT " behind", STR_ARG(b->plan->nodes[i].name));
}

static void do_accept(struct draw *d)
{
    struct bench *b = d->b;
    struct model_plan_node *n = draw_node(d, is_leased);
    struct lease_ref l;
    struct task_codes reply;

    if (!n)
        return;
    l = (struct lease_ref){n->id, n->token + percent(d, 10)};
    say(d, "accept " STR_FMT, STR_ARG(n->name));
    DO(b->w, grant_accept(&b->w->tx, &(struct grant_refs){&l, 1}, &reply));
    expect_code(b, l.token == n->token ? CODE_OK : CODE_LEASE_LOST, reply.list[0]);
    if (l.token == n->token)
        model_plan_start(n);
}

/* When it goes on after a refusal is not the model's business: it is asked. */
static int64_t due_at(struct bench *b, const struct model_plan_node *n)
{
    struct task_details t;

    DO(b->w, task_get(&b->w->tx, &(struct task_which){.id = n->id}, &t));
    return t.task.state == TASK_DELAYED ? t.task.due_at : 0;
}

static void do_refuse(struct draw *d)
{
    struct bench *b = d->b;
    struct model_plan_node *n = draw_node(d, percent(d, 70) ? is_leased : is_running);
    struct grant_refusal refusal = {.reason = TASK_REASON_REFUSED, .message = STR("busy")};
    struct task_codes reply;

    if (!n || !n->type.n)
        return;
    refusal.lease = (struct lease_ref){n->id, n->token};
    say(d, "refuse " STR_FMT, STR_ARG(n->name));
    DO(b->w, grant_refuse(&b->w->tx, &(struct grant_refuse){&refusal, 1}, &reply));
    expect_code(b, CODE_OK, reply.list[0]);
    model_plan_refuse(b->plan, n, due_at(b, n));
    model_plan_settle(b->plan);
}

static void draw_end(struct draw *d, struct task_result *res)
{
    static const enum outcome outcomes[] = {OUTCOME_SUCCEEDED, OUTCOME_SUCCEEDED, OUTCOME_SUCCEEDED,
                                            OUTCOME_SUCCEEDED, OUTCOME_FAILED,    OUTCOME_FAILED,
                                            OUTCOME_LOST,      OUTCOME_CANCELLED, OUTCOME_REJECTED};
    struct check_update *updates = ARENA_ARRAY(d->a, struct check_update, 2);

    res->outcome = outcomes[below(d, sizeof(outcomes) / sizeof(*outcomes))];
    if (res->outcome == OUTCOME_CANCELLED && percent(d, 60))
        res->outcome = OUTCOME_SUCCEEDED;
    res->reason = res->outcome == OUTCOME_FAILED ? TASK_REASON_WORKER_ERROR : TASK_REASON_NONE;
    res->final = res->outcome == OUTCOME_FAILED && percent(d, 20);
    res->exit_code = -1;
    say(d, " %s%s", retry_outcome_text(res->outcome).p, res->final ? " for good" : "");
    res->checks = updates;
    res->checks_n = percent(d, 60) ? 1 + percent(d, 25) : 0;
    for (size_t i = 0; i < res->checks_n; i++) {
        struct str check = name_of(d, "k", below(d, CHECKS));

        for (int tries = 0; tries < 2 && !model_plan_node(d->b->plan, check); tries++)
            check = name_of(d, "k", below(d, CHECKS));
        updates[i] = *draw_result(d, percent(d, 2) ? STR("s1") : check);
    }
}

static void do_complete(struct draw *d)
{
    struct bench *b = d->b;
    bool again = percent(d, 12);
    struct model_plan_node *n = draw_node(d, again ? is_ended : is_held);
    struct task_result res = {0};
    struct task_codes reply;

    if (!n)
        return;
    res.lease = (struct lease_ref){n->id, again ? n->ended[below(d, n->ended_n)].token : n->token};
    say(d, "complete " STR_FMT, STR_ARG(n->name));
    draw_end(d, &res);
    DO(b->w, task_complete(&b->w->tx, &(struct task_complete){&res, 1}, &reply));
    say(d, " -> " STR_FMT, STR_ARG(code_text(reply.list[0])));
    expect_code(b, model_plan_complete(b->plan, b->w->now, &res), reply.list[0]);
    model_plan_settle(b->plan);
    b->answers[reply.list[0]]++;
    if (reply.list[0] != CODE_OK || !percent(d, 20))
        return;
    say(d, ", and again");
    DO(b->w, task_complete(&b->w->tx, &(struct task_complete){&res, 1}, &reply));
    expect_code(b, model_plan_complete(b->plan, b->w->now, &res), reply.list[0]);
}

/* Several ends at once: what follows is judged from all of them. */
static void do_complete_many(struct draw *d)
{
    struct bench *b = d->b;
    struct task_result results[ENDS_MAX] = {0};
    struct task_complete req = {.list = results};
    struct task_codes reply;

    say(d, "complete at once");
    for (size_t i = 0; i < b->plan->nodes_n && req.n < ENDS_MAX; i++) {
        const struct model_plan_node *n = &b->plan->nodes[i];

        if (!n->token || percent(d, 20))
            continue;
        say(d, " " STR_FMT, STR_ARG(n->name));
        results[req.n].lease = (struct lease_ref){n->id, n->token};
        draw_end(d, &results[req.n++]);
    }
    if (req.n == 0)
        return;
    DO(b->w, task_complete(&b->w->tx, &req, &reply));
    for (size_t i = 0; i < req.n; i++)
        expect_code(b, model_plan_complete(b->plan, b->w->now, &results[i]), reply.list[i]);
    model_plan_settle(b->plan);
}

static int64_t join(struct bench *b, bool runner)
{
    struct worker_joined j;
    const struct worker_join req = {
        .worker = {.name = runner ? STR("r") : STR("w"),
                   .type = runner ? STR("build") : STR(""),
                   .address = runner ? STR("r:1") : STR(""),
                   .modes = runner ? PLACEMENT_SYNC | PLACEMENT_ASYNC : 0,
                   .slots = runner ? b->slots : SLOTS,
                   .ttl_us = TTL_US},
        .takeover = true,
    };

    DO(b->w, worker_join(&b->w->tx, &req, &j));
    return j.worker.worker.incarnation;
}

static void do_lose(struct draw *d)
{
    struct bench *b = d->b;
    bool runner = percent(d, 50);
    int64_t lost = runner ? b->runner : b->worker;
    struct worker_lose_reply reply;

    say(d, "lose the %s", runner ? "runner" : "worker");
    if (percent(d, 50))
        DO(b->w, worker_lose(&b->w->tx, &(struct worker_lose){.incarnation = lost}, &reply));
    *(runner ? &b->runner : &b->worker) = join(b, runner);
    for (size_t i = 0; i < b->plan->nodes_n; i++)
        if (b->plan->nodes[i].token && b->plan->nodes[i].worker == lost)
            model_plan_end(b->plan, b->w->now, &b->plan->nodes[i], OUTCOME_LOST, TASK_REASON_NONE);
    model_plan_settle(b->plan);
}

static void do_wait(struct draw *d)
{
    struct bench *b = d->b;
    int64_t us = (int64_t)(1 + below(d, 20)) * 100 * CLOCK_MS;

    if (b->waited_us + us > WAITED_US_MAX)
        return;
    b->waited_us += us;
    b->w->now += us;
    say(d, "wait %" PRId64 " ms", (int64_t)(us / CLOCK_MS));
    world_reap(b->w);
    for (size_t i = 0; i < b->plan->nodes_n; i++) {
        struct model_plan_node *n = &b->plan->nodes[i];

        if (n->state == TASK_DELAYED && n->due_at <= b->w->now)
            model_plan_due(n);
        else if (n->state == TASK_RUNNING && n->deadline_at <= b->w->now)
            model_plan_end(b->plan, b->w->now, n, OUTCOME_TIMED_OUT, TASK_REASON_NONE);
        else if (n->state == TASK_LEASED && n->deadline_at <= b->w->now)
            model_plan_refuse(b->plan, n, due_at(b, n));
    }
    model_plan_settle(b->plan);
}

static const struct kind {
    const char *name;
    uint64_t weight;
    void (*run)(struct draw *d);
} kinds[] = {
    {"write",         38, do_write        },
    {"claim",         9,  do_claim        },
    {"grant",         9,  do_grant        },
    {"accept",        6,  do_accept       },
    {"refuse",        2,  do_refuse       },
    {"complete",      21, do_complete     },
    {"complete_many", 5,  do_complete_many},
    {"lose",          2,  do_lose         },
    {"wait",          4,  do_wait         },
    {"seal",          3,  do_seal         },
    {"cancel",        1,  do_cancel       },
};
#define KINDS_N (sizeof(kinds) / sizeof(*kinds))

/* Of another run, which ends with what it holds. */
static void begin_stranger(struct bench *b)
{
    const struct plan_stage stage = {.name = STR("s1")};
    struct plan_write req = {.stages = &stage, .stages_n = 1};
    struct task_claim claim = {.worker = b->worker, .max = 1};
    struct plan_written written;
    struct task_leases leases;
    struct run_row run;

    DO(b->w, plan_create(&b->w->tx, &(struct plan_create){0}, &run));
    claim.run = req.run = run.id;
    DO(b->w, plan_write(&b->w->tx, &req, &written));
    DO(b->w, plan_claim(&b->w->tx, &claim, &leases));
    DO(b->w, run_cancel(&b->w->tx, &run.id, &run));
    b->stranger = (struct lease_ref){leases.list[0].task, leases.list[0].token};
}

static void begin_history(struct bench *b, uint64_t seed)
{
    struct run_row run;

    arena_reset(&b->memory);
    b->w->now = b->w->now ? b->w->now : BEGINNING;
    b->differs = false;
    b->waited_us = 0;
    b->slots = (int64_t)(seed % 3);
    b->text->n = 0;
    b->worker = join(b, false);
    b->runner = join(b, true);
    begin_stranger(b);
    DO(b->w, plan_create(&b->w->tx, &(struct plan_create){0}, &run));
    b->plan = model_plan_new(&b->memory, run.id);
    arena_reset(&b->w->arena);
}

static void end_history(struct bench *b)
{
    struct worker_lose_reply lost;
    struct run_row run;

    b->w->now += STEP_US;
    STORE_OK(b->w->store, world_begin(b->w));
    answer(b, run_cancel(&b->w->tx, &b->plan->run, &run));
    DO(b->w, worker_lose(&b->w->tx, &(struct worker_lose){.incarnation = b->worker}, &lost));
    DO(b->w, worker_lose(&b->w->tx, &(struct worker_lose){.incarnation = b->runner}, &lost));
    arena_reset(&b->w->arena);
}

static bool step(struct bench *b, uint64_t number)
{
    struct draw d = {.b = b, .a = &b->memory};
    uint64_t at;
    size_t k = 0;

    prng_seed(&d.prng, number);
    buf_init(&d.line, BENCH_TEXT_BYTES);
    for (at = below(&d, 100); k + 1 < KINDS_N && at >= kinds[k].weight; k++)
        at -= kinds[k].weight;
    b->w->now += STEP_US;
    kinds[k].run(&d);
    if (!b->differs)
        compare(b);
    if (b->said && d.line.n)
        fprintf(stderr, "  " STR_FMT "\n", STR_ARG(buf_str(&d.line)));
    buf_deinit(&d.line);
    arena_reset(&b->w->arena);
    return !b->differs;
}

void bench_numbers(uint64_t seed, uint64_t numbers[static BENCH_STEPS])
{
    struct prng prng;

    prng_seed(&prng, seed);
    for (size_t i = 0; i < BENCH_STEPS; i++)
        numbers[i] = prng_next(&prng);
}

size_t bench_run(struct bench *b, uint64_t seed, const uint64_t *numbers, size_t n)
{
    size_t i = 0, ended = 0;

    begin_history(b, seed);
    while (i < n && ended < AFTERWARDS && step(b, numbers[i])) {
        ended += run_final(b->plan->state);
        i++;
    }
    end_history(b);
    return b->differs ? i + 1 : n;
}
