/* SPDX-License-Identifier: Apache-2.0 */
/* How the nodes of a plan move: leases, ends, and what follows from them. */
#include <inttypes.h>

#include "sim/model_plan.h"

static bool final(const struct model_plan_node *n)
{
    return n->state == TASK_SUCCEEDED || n->state == TASK_FAILED || n->state == TASK_CANCELLED ||
           n->state == TASK_SKIPPED;
}

static bool held(const struct model_plan_node *n)
{
    return n->state == TASK_LEASED || n->state == TASK_RUNNING;
}

static void to(struct model_plan_node *n, enum task_state state, enum task_reason reason)
{
    n->state = state;
    n->reason = reason;
    n->put_off = false;
    if (held(n))
        return;
    n->token = n->worker = n->deadline_at = 0;
    n->cancel = false;
    if (state != TASK_DELAYED)
        n->due_at = 0;
}

static void to_ready(struct model_plan_node *n)
{
    to(n, TASK_READY,
       n->check    ? TASK_REASON_RESULTS
       : n->type.n ? TASK_REASON_RUNNER
                   : TASK_REASON_WORKER);
}

/* Views. */

bool model_plan_final_result(const struct model_plan_node *n)
{
    for (size_t i = 0; i < n->results_n; i++)
        if (n->results[i].final)
            return true;
    return false;
}

enum plan_check_state model_plan_check_state(const struct model_plan_node *n)
{
    return model_plan_planning(n)     ? PLAN_PLANNING
           : n->state == TASK_BLOCKED ? PLAN_PLANNED
           : n->state == TASK_READY   ? PLAN_WAITING
                                      : PLAN_FINAL;
}

static void count(struct model_plan_count *c, const struct model_plan_node *n)
{
    c->total++;
    c->done += n->counted;
    c->succeeded += n->counted && n->state == TASK_SUCCEEDED;
}

struct model_plan_count model_plan_assigned(const struct model_plan *p, struct str check,
                                            bool planned)
{
    struct model_plan_count c = {0};

    for (size_t i = 0; i < p->nodes_n; i++)
        for (size_t j = 0; j < p->nodes[i].assignments_n; j++)
            if (str_eq(p->nodes[i].assignments[j].check, check) &&
                p->nodes[i].assignments[j].planned == planned)
                count(&c, &p->nodes[i]);
    return c;
}

struct model_plan_count model_plan_spawned(const struct model_plan *p, struct str stage)
{
    struct model_plan_count c = {0};

    for (size_t i = 0; i < p->nodes_n; i++)
        if (p->nodes[i].parent.n && str_eq(p->nodes[i].parent, stage))
            count(&c, &p->nodes[i]);
    return c;
}

/* A name that nobody has written is open, until the run is sealed: then it never ends. */
enum model_plan_verdict model_plan_judge(const struct model_plan *p,
                                         const struct model_plan_group *g)
{
    int64_t open = 0, good = 0, bad = 0, missing = 0, need = 1;

    for (size_t i = 0; i < g->asked.from_n; i++) {
        const struct model_plan_node *n = model_plan_node(p, g->asked.from[i]);

        if (!n && p->judged)
            missing++;
        else if (!n || !n->counted)
            open++;
        else if (n->state == TASK_SUCCEEDED)
            good++;
        else
            bad++;
    }
    switch (g->asked.rule) {
    case GROUP_ALL_SUCCESS:
        return bad || missing ? MODEL_PLAN_IMPOSSIBLE : open ? MODEL_PLAN_WAITING : MODEL_PLAN_MET;
    case GROUP_ALL_DONE:
        return missing ? MODEL_PLAN_IMPOSSIBLE : open ? MODEL_PLAN_WAITING : MODEL_PLAN_MET;
    case GROUP_ONE_DONE:
        return good || bad ? MODEL_PLAN_MET : open ? MODEL_PLAN_WAITING : MODEL_PLAN_IMPOSSIBLE;
    case GROUP_AT_LEAST:
        need = g->asked.need;
        break;
    default:
        break;
    }
    return good >= need         ? MODEL_PLAN_MET
           : good + open < need ? MODEL_PLAN_IMPOSSIBLE
                                : MODEL_PLAN_WAITING;
}

/* What follows. */

static void cancel(struct model_plan_node *n)
{
    if (held(n))
        n->cancel = true;
    else if (!final(n))
        to(n, TASK_CANCELLED, TASK_REASON_CANCELLED);
}

static bool suffices(enum group_rule rule)
{
    return rule == GROUP_ONE_SUCCESS || rule == GROUP_ONE_DONE || rule == GROUP_AT_LEAST;
}

/* The names that met it are kept, and what has not ended is marked: it is not needed. */
static void meet(struct model_plan *p, struct model_plan_group *g, bool *rest)
{
    g->met = true;
    if (g->asked.from_n < 2 || !suffices(g->asked.rule))
        return;
    g->satisfied = ARENA_ARRAY(p->memory, struct str, g->asked.from_n);
    for (size_t i = 0; i < g->asked.from_n; i++) {
        const struct model_plan_node *n = model_plan_node(p, g->asked.from[i]);

        if (n && n->counted && (n->state == TASK_SUCCEEDED || g->asked.rule == GROUP_ONE_DONE))
            g->satisfied[g->satisfied_n++] = n->name;
        else if (n && !final(n) && g->asked.cancel_rest)
            rest[n - p->nodes] = true;
    }
}

static void meet_all(struct model_plan *p)
{
    bool *rest = ARENA_ARRAY(p->memory, bool, p->nodes_n);

    for (size_t i = 0; i < p->nodes_n; i++)
        for (size_t j = 0; j < p->nodes[i].groups_n; j++) {
            struct model_plan_group *g = &p->nodes[i].groups[j];

            if (!g->met && model_plan_judge(p, g) == MODEL_PLAN_MET)
                meet(p, g, rest);
        }
    for (size_t i = 0; i < p->nodes_n; i++)
        if (rest[i])
            cancel(&p->nodes[i]);
}

/* Checks whose planners have ended. */
static void plan_all(struct model_plan *p)
{
    for (size_t i = 0; i < p->nodes_n; i++) {
        struct model_plan_count c = model_plan_assigned(p, p->nodes[i].name, true);

        if (model_plan_planning(&p->nodes[i]) && c.total && c.done == c.total)
            p->nodes[i].reason = TASK_REASON_DEPENDENCIES;
    }
}

static enum model_plan_verdict verdict(const struct model_plan *p, const struct model_plan_node *n)
{
    enum model_plan_verdict v = MODEL_PLAN_MET, one;

    for (size_t i = 0; i < n->groups_n; i++) {
        one = model_plan_judge(p, &n->groups[i]);
        if (one == MODEL_PLAN_IMPOSSIBLE)
            return one;
        v = one == MODEL_PLAN_WAITING ? one : v;
    }
    return v;
}

static void let_go(struct model_plan *p)
{
    for (size_t i = 0; i < p->nodes_n; i++) {
        struct model_plan_node *n = &p->nodes[i];
        struct model_plan_count spawned = model_plan_spawned(p, n->name);
        enum model_plan_verdict v = verdict(p, n);
        bool planning = model_plan_planning(n);

        if (n->state == TASK_AWAITING && spawned.done == spawned.total)
            to(n, TASK_SUCCEEDED, TASK_REASON_NONE);
        if (n->state == TASK_BLOCKED && v == MODEL_PLAN_MET && !planning)
            to_ready(n);
        else if (n->state == TASK_BLOCKED && v == MODEL_PLAN_IMPOSSIBLE && !planning)
            to(n, TASK_SKIPPED, TASK_REASON_UPSTREAM);
    }
}

static void conclude(struct model_plan *p, struct model_plan_node *n)
{
    struct model_plan_count c = model_plan_assigned(p, n->name, false);
    bool over = c.done == c.total && (!p->growing || (c.total && c.succeeded == c.total));
    bool failed = false;

    if (!n->check || n->state != TASK_READY || !(over || model_plan_final_result(n)))
        return;
    for (size_t i = 0; i < n->results_n; i++)
        failed |= n->results[i].failed;
    to(n, failed || n->results_n == 0 ? TASK_FAILED : TASK_SUCCEEDED,
       failed              ? TASK_REASON_CHECK_FAILED
       : n->results_n == 0 ? TASK_REASON_NO_RESULT
                           : TASK_REASON_NONE);
}

static bool uncounted(const struct model_plan *p)
{
    for (size_t i = 0; i < p->nodes_n; i++)
        if (final(&p->nodes[i]) && !p->nodes[i].counted)
            return true;
    return false;
}

void model_plan_move(struct model_plan *p)
{
    meet_all(p);
    plan_all(p);
    let_go(p);
}

static void end_run(struct model_plan *p)
{
    bool failed = false;

    if (p->growing || run_final(p->state))
        return;
    for (size_t i = 0; i < p->nodes_n; i++) {
        if (!final(&p->nodes[i]))
            return;
        failed |= p->nodes[i].state == TASK_FAILED;
    }
    p->state = p->state == RUN_CANCELLING ? RUN_CANCELLED : failed ? RUN_FAILED : RUN_SUCCEEDED;
}

void model_plan_settle(struct model_plan *p)
{
    do {
        for (size_t i = 0; i < p->nodes_n; i++)
            p->nodes[i].counted = final(&p->nodes[i]);
        model_plan_move(p);
        for (size_t i = 0; i < p->nodes_n; i++)
            conclude(p, &p->nodes[i]);
    } while (uncounted(p));
    end_run(p);
}

/* Requests to the whole. */

void model_plan_seal(struct model_plan *p)
{
    if (!p->growing)
        return;
    p->growing = false;
    p->judged = true;
    for (size_t i = 0; i < p->nodes_n; i++)
        if (model_plan_planning(&p->nodes[i]))
            p->nodes[i].reason = TASK_REASON_DEPENDENCIES;
    model_plan_move(p);
    model_plan_settle(p);
}

enum code model_plan_cancel(struct model_plan *p)
{
    if (run_final(p->state))
        return CODE_RUN_ENDED;
    if (p->state == RUN_CANCELLING)
        return CODE_OK;
    p->state = RUN_CANCELLING;
    p->growing = false;
    for (size_t i = 0; i < p->nodes_n; i++)
        cancel(&p->nodes[i]);
    model_plan_settle(p);
    return CODE_OK;
}

/* Leases. */

bool model_plan_lease(struct model_plan_node *n, int64_t now, int64_t token, int64_t worker)
{
    if (n->check || n->state != TASK_READY || token == 0)
        return false;
    to(n, TASK_LEASED, TASK_REASON_HELD);
    n->token = token;
    n->worker = worker;
    n->deadline_at = now + n->timeout_us;
    return true;
}

bool model_plan_start(struct model_plan_node *n)
{
    if (n->state != TASK_LEASED)
        return false;
    n->state = TASK_RUNNING;
    n->attempts++;
    n->charged++;
    return true;
}

struct model_plan_node *model_plan_next(const struct model_plan *p)
{
    struct model_plan_node *next = NULL;

    for (size_t i = 0; i < p->nodes_n; i++) {
        struct model_plan_node *n = &p->nodes[i];

        if (!n->check && !n->type.n && n->state == TASK_READY &&
            (!next || n->priority > next->priority))
            next = n;
    }
    return next;
}

/* Ends. */

static void keep(struct model_plan *p, struct model_plan_node *n, struct str told)
{
    ARENA_ROOM(p->memory, n->ended, n->ended_n, n->ended_cap, 4);
    n->ended[n->ended_n++] = (struct model_plan_attempt){n->token, told};
}

static int64_t backoff(const struct model_plan_node *n)
{
    double wait = (double)n->retry.base_us;

    for (int64_t i = 1; i < n->charged; i++)
        wait *= n->retry.factor;
    return wait > (double)n->retry.cap_us ? n->retry.cap_us : (int64_t)wait;
}

static void fail(struct model_plan_node *n, int64_t now, enum outcome o, enum task_reason reason,
                 bool final)
{
    int64_t wait = backoff(n);

    if (n->cancel) {
        to(n, TASK_CANCELLED, TASK_REASON_CANCELLED);
    } else if (final || n->charged >= n->retry.max_attempts || !(n->retry.outcomes >> o & 1)) {
        to(n, TASK_FAILED,
           reason == TASK_REASON_NO_PROGRESS || reason == TASK_REASON_BAD_REPORT ? reason
           : o == OUTCOME_FAILED    ? TASK_REASON_WORKER_ERROR
           : o == OUTCOME_TIMED_OUT ? TASK_REASON_TIMED_OUT
                                    : TASK_REASON_LOST);
    } else if (wait) {
        to(n, TASK_DELAYED, TASK_REASON_BACKOFF);
        n->due_at = now + wait;
    } else {
        to(n, TASK_READY, TASK_REASON_RETRYING);
    }
}

static void give_back(struct model_plan_node *n, int64_t due_at)
{
    if (n->state == TASK_RUNNING)
        n->charged--;
    if (n->cancel) {
        to(n, TASK_CANCELLED, TASK_REASON_CANCELLED);
    } else if (due_at > 0) {
        to(n, TASK_DELAYED, TASK_REASON_REFUSALS);
        n->due_at = due_at;
    } else {
        to_ready(n);
        n->put_off = due_at < 0;
    }
}

void model_plan_refuse(struct model_plan *p, struct model_plan_node *n, int64_t due_at)
{
    keep(p, n, STR(""));
    give_back(n, due_at);
}

void model_plan_end(struct model_plan *p, int64_t now, struct model_plan_node *n, enum outcome o,
                    enum task_reason reason)
{
    keep(p, n, STR(""));
    if (n->state == TASK_LEASED)
        give_back(n, 0);
    else
        fail(n, now, o, reason, false);
}

void model_plan_due(struct model_plan_node *n)
{
    if (n->state == TASK_DELAYED)
        to_ready(n);
}

struct str model_plan_told(struct arena *a, const struct task_result *res)
{
    struct str s =
        str_printf(a, "%d %d %d " STR_FMT "|" STR_FMT, (int)res->outcome, (int)res->reason,
                   res->final, STR_ARG(res->message), STR_ARG(res->output));

    for (size_t i = 0; i < res->checks_n; i++) {
        const struct check_update *u = &res->checks[i];

        s = str_printf(a, STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT " %d %d",
                       STR_ARG(s), STR_ARG(u->check), STR_ARG(u->data), STR_ARG(u->code),
                       STR_ARG(u->message), u->failed, u->finalize);
    }
    return s;
}

enum code model_plan_tell(struct model_plan *p, struct str owner, int64_t token,
                          const struct check_update *u)
{
    struct model_plan_node *n = model_plan_node(p, u->check);

    if (!n || !n->check)
        return CODE_TASK_NOT_FOUND;
    if (final(n) || model_plan_final_result(n))
        return CODE_CHECK_FINAL;
    ARENA_ROOM(p->memory, n->results, n->results_n, n->results_cap, 4);
    n->results[n->results_n++] = (struct check_result){
        .owner = str_copy(p->memory, owner),
        .token = token,
        .data = u->data.n ? str_copy(p->memory, u->data) : STR("null"),
        .failed = u->failed,
        .final = u->finalize,
        .code = u->failed ? str_copy(p->memory, u->code) : STR(""),
        .message = u->failed ? str_copy(p->memory, u->message) : STR(""),
    };
    return CODE_OK;
}

static struct model_plan_attempt *ended(const struct model_plan *p, struct lease_ref l)
{
    struct model_plan_node *n = model_plan_by_id(p, l.task);

    for (size_t i = 0; n && l.token && i < n->ended_n; i++)
        if (n->ended[i].token == l.token)
            return &n->ended[i];
    return NULL;
}

static void move_end(struct model_plan_node *n, int64_t now, const struct task_result *res)
{
    switch (res->outcome) {
    case OUTCOME_SUCCEEDED:
        to(n, TASK_AWAITING, TASK_REASON_SPAWNED);
        break;
    case OUTCOME_CANCELLED:
        to(n, TASK_CANCELLED, TASK_REASON_CANCELLED);
        break;
    case OUTCOME_REJECTED:
        give_back(n, res->put_off_us ? now + res->put_off_us : 0);
        break;
    default:
        fail(n, now, res->outcome, res->reason, res->final);
    }
}

/* A pushed stage that was stopped though nobody asked for its end was let go by whoever waited. */
static struct task_result stopped(const struct model_plan_node *n, const struct task_result *told)
{
    struct task_result r = *told;

    if (n->type.n && told->outcome == OUTCOME_CANCELLED && !n->cancel) {
        r.outcome = n->state == TASK_LEASED ? OUTCOME_REJECTED : OUTCOME_LOST;
        r.checks_n = 0;
    }
    return r;
}

/* All of it, or nothing. */
static enum code complete(struct model_plan *p, int64_t now, struct model_plan_node *n,
                          const struct task_result *given, struct str told)
{
    const struct task_result ended = stopped(n, given), *res = &ended;
    struct model_plan_count spawned;
    int64_t token = n->token;
    struct str owner;

    if (res->outcome != OUTCOME_REJECTED && res->outcome != OUTCOME_CANCELLED)
        model_plan_start(n); /* who tells how it ended has begun it */
    owner = str_printf(p->memory, STR_FMT ":%" PRId64, STR_ARG(n->name), n->attempts);
    keep(p, n, told);
    move_end(n, now, res);
    for (size_t i = 0; i < res->checks_n; i++) {
        enum code c = model_plan_tell(p, owner, token, &res->checks[i]);

        if (c != CODE_OK)
            return c;
    }
    spawned = model_plan_spawned(p, n->name);
    if (n->state == TASK_AWAITING && spawned.total == spawned.done)
        to(n, TASK_SUCCEEDED, TASK_REASON_NONE);
    return CODE_OK;
}

enum code model_plan_complete(struct model_plan *p, int64_t now, const struct task_result *res)
{
    struct model_plan_node *n = model_plan_by_id(p, res->lease.task);
    const struct model_plan_attempt *before = ended(p, res->lease);
    struct str told = model_plan_told(p->memory, res);
    struct model_plan copy;
    enum code c;

    if (!n || !held(n) || n->token != res->lease.token)
        return !before || !before->told.n   ? CODE_LEASE_LOST
               : str_eq(before->told, told) ? CODE_OK
                                            : CODE_COMPLETION_CONFLICT;
    copy = model_plan_copy(p);
    c = complete(&copy, now, model_plan_by_id(&copy, res->lease.task), res, told);
    if (c == CODE_OK)
        *p = copy;
    return c;
}
