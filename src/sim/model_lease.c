/* SPDX-License-Identifier: Apache-2.0 */
/* The model's leases, from their grant to their end. */
#include <inttypes.h>

#include "engine/lease.h"
#include "sim/model_rows.h"

void model_grant(struct model *m, struct m_task *t, int64_t worker, const struct task_lease *l)
{
    if (m->grants_n && l->token <= m->grants[m->grants_n - 1].token) {
        model_fail(m, "token_order", "task %" PRId64 " got token %" PRId64 " after %" PRId64, t->id,
                   l->token, m->grants[m->grants_n - 1].token);
        return;
    }
    ARENA_ROOM(&m->memory, m->grants, m->grants_n, m->grants_cap, 128);
    m->grants[m->grants_n++] = (struct m_grant){.token = l->token, .task = t->id};
    t->attempts++;
    if (l->attempt != t->attempts)
        model_fail(m, "attempts",
                   "task %" PRId64 " was given as attempt %" PRId64
                   ", and it is its attempt %" PRId64,
                   t->id, l->attempt, t->attempts);
    model_check_time(m);
    t->token = l->token;
    t->worker = worker;
    t->deadline_at = t->timeout_us ? m->now + t->timeout_us : 0;
    t->expires_at = 0;
    /* Both moves at once: nobody ever finds it LEASED. */
    m->sim->result->coverage.tasks[TASK_READY][TASK_CLAIM][TASK_LEASED]++;
    t->state = TASK_LEASED;
    model_move(m, t, TASK_START, TASK_RUNNING);
}

static int64_t backoff(const struct m_task *t, int64_t used)
{
    int64_t wait = t->backoff_us;

    for (int64_t i = 1; i < used && wait < t->cap_us; i++)
        wait *= 2;
    return wait < t->cap_us ? wait : t->cap_us;
}

/* An attempt that did not succeed: again, later, or never. */
static void end_badly(struct model *m, struct m_task *t, enum task_event event)
{
    int64_t used = t->attempts - t->budget_from;
    int64_t wait = backoff(t, used);

    if (t->cancel) {
        model_move(m, t, event, TASK_CANCELLED);
    } else if (used >= t->max_attempts) {
        model_move(m, t, event, TASK_FAILED);
    } else if (wait) {
        t->due_at = m->now + wait;
        model_move(m, t, event, TASK_DELAYED);
    } else {
        model_move(m, t, event, TASK_READY);
    }
}

void model_end(struct model *m, struct m_task *t, enum outcome o, bool told, uint64_t content)
{
    struct m_grant *g = model_grant_of(m, t->token);

    g->state = told ? GRANT_TOLD : GRANT_TAKEN;
    g->outcome = o;
    g->content = content;
    switch (t->push ? OUTCOME_N : o) {
    case OUTCOME_N: /* what becomes of a stage the model does not know */
        t->state = TASK_BLOCKED;
        break;
    case OUTCOME_SUCCEEDED:
        model_move(m, t, TASK_SUCCEED, TASK_SUCCEEDED);
        break;
    case OUTCOME_CANCELLED:
        model_move(m, t, TASK_STOP, TASK_CANCELLED);
        break;
    case OUTCOME_REJECTED:
        t->budget_from++;
        model_move(m, t, TASK_RELEASE, t->cancel ? TASK_CANCELLED : TASK_READY);
        break;
    case OUTCOME_FAILED:
        end_badly(m, t, TASK_FAIL);
        break;
    case OUTCOME_TIMED_OUT:
        end_badly(m, t, TASK_TIME_OUT);
        break;
    default:
        end_badly(m, t, TASK_LOSE);
        break;
    }
    t->token = t->worker = t->expires_at = t->deadline_at = 0;
    t->cancel = false;
    if (t->push && !told)
        model_graph_ended(m, t, o);
    else if (t->node && !t->push)
        model_node_ended(m, t);
}

void model_lose(struct model *m, int64_t incarnation)
{
    for (size_t i = m->open_from; i < m->tasks_n; i++)
        if (model_held(m->tasks[i]) && m->tasks[i]->worker == incarnation)
            model_end(m, m->tasks[i], OUTCOME_LOST, false, 0);
}

static uint64_t hash_text(uint64_t h, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3ULL;
    return h;
}

uint64_t model_content(struct str message, struct str output)
{
    return hash_text(hash_text(1, message), output);
}

/* With what it tells of checks. */
static uint64_t content_of(const struct task_result *t)
{
    uint64_t h = model_content(t->message, t->output);

    for (size_t i = 0; i < t->checks_n; i++) {
        h = hash_text(hash_text(h, t->checks[i].check), t->checks[i].message);
        h = (h ^ (unsigned)(t->checks[i].finalize + 2 * t->checks[i].failed)) * 0x100000001b3ULL;
    }
    return h;
}

/* The task of a queue, or of a run. */
static struct m_task *lease_task(const struct model *m, int64_t id)
{
    struct m_task *t = model_task_of(m, id);

    return t ? t : model_node_of(m, id);
}

/* What an ended lease answers to a completion. */
static enum code stale_code(const struct m_grant *g, int64_t task, enum outcome o, uint64_t content)
{
    if (!g || g->task != task || g->state != GRANT_TOLD)
        return CODE_LEASE_LOST;
    return g->outcome == o && g->content == content ? CODE_OK : CODE_COMPLETION_CONFLICT;
}

static void end_one(struct model *m, struct lease_ref l, enum outcome o, uint64_t content,
                    enum code code)
{
    const struct m_grant *g = model_grant_of(m, l.token);
    bool live = g && g->state == GRANT_LIVE && g->task == l.task;
    enum code expected = live ? CODE_OK : stale_code(g, l.task, o, content);
    struct m_task *t = live ? lease_task(m, l.task) : NULL;

    /* What it tells of checks cannot be taken: it goes on. */
    if (t && t->push && (code == CODE_CHECK_FINAL || code == CODE_TASK_NOT_FOUND))
        return;
    if (code != expected) {
        model_fail(m, "fence",
                   "the end of task %" PRId64 " under token %" PRId64
                   " (%s) was answered %.*s, and "
                   "should have been %.*s",
                   l.task, l.token,
                   !g                       ? "never given"
                   : live                   ? "live"
                   : g->state == GRANT_TOLD ? "ended"
                                            : "lost",
                   STR_ARG(code_text(code)), STR_ARG(code_text(expected)));
        return;
    }
    if (!t)
        return;
    /* Whoever tells how it came out has begun it. */
    if (t->state == TASK_LEASED && o != OUTCOME_CANCELLED && o != OUTCOME_REJECTED)
        t->attempts++;
    model_end(m, t, o, true, content);
}

static void complete(struct model *m, const struct model_op *op)
{
    const struct task_complete *req = op->request;
    const struct task_codes *codes = op->reply;

    if (!model_code(m, op, CODE_OK))
        return;
    for (size_t i = 0; i < req->n && !m->sim->result->check; i++) {
        const struct task_result *t = &req->list[i];

        end_one(m, t->lease, t->outcome, content_of(t), codes->list[i]);
        model_graph_told(m, t, codes->list[i]);
    }
}

static void release(struct model *m, const struct model_op *op)
{
    const struct task_release *req = op->request;
    const struct task_codes *codes = op->reply;
    uint64_t nothing = model_content(STR(""), STR(""));

    if (!model_code(m, op, CODE_OK))
        return;
    for (size_t i = 0; i < req->n && !m->sim->result->check; i++) {
        const struct task_result t = {
            .lease = req->list[i], .outcome = OUTCOME_REJECTED, .exit_code = -1};

        end_one(m, req->list[i], OUTCOME_REJECTED, nothing, codes->list[i]);
        model_graph_told(m, &t, codes->list[i]);
    }
}

static void renew(struct model *m, const struct model_op *op)
{
    const struct lease_renew *req = op->request;
    const struct lease_renewals *reply = op->reply;

    if (!model_code(m, op, CODE_OK))
        return;
    for (size_t i = 0; i < req->n && !m->sim->result->check; i++) {
        struct lease_ref l = req->list[i].lease;
        const struct m_grant *g = model_grant_of(m, l.token);
        bool live = g && g->state == GRANT_LIVE && g->task == l.task;
        struct m_task *t = live ? lease_task(m, l.task) : NULL;

        if (reply->list[i].code != (live ? CODE_OK : CODE_LEASE_LOST))
            model_fail(m, "fence", "token %" PRId64 " was renewed, and it is %s", l.token,
                       live ? "live" : "not live");
        else if (t && t->push)
            model_push_renewed(m, t, &reply->list[i]);
        else if (t && reply->list[i].stop != t->cancel)
            model_fail(m, "cancel", "task %" PRId64 " is%s to be stopped", t->id,
                       t->cancel ? "" : " not");
        else if (t && t->expires_at) {
            int64_t until = m->now + (req->ttl_us ? req->ttl_us : t->queue->claim_ttl_us);

            t->expires_at = until > t->expires_at ? until : t->expires_at;
        }
        if (t && !t->push)
            model_told_renewed(m, t, reply->list[i].expires_at);
    }
}

void model_lease_op(struct model *m, const struct model_op *op)
{
    if (op->kind == ASK_COMPLETE || op->kind == MODEL_LOCAL_COMPLETE ||
        op->kind == MODEL_PUSH_COMPLETE)
        complete(m, op);
    else if (op->kind == ASK_RELEASE || op->kind == MODEL_GIVE_BACK)
        release(m, op);
    else if (op->kind == ASK_RENEW)
        renew(m, op);
}
