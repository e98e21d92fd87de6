/* SPDX-License-Identifier: Apache-2.0 */
/* What the model expects of the details of answers: what a holder acts on, and when a server looks
 * again. */
#include <inttypes.h>

#include "sim/model_rows.h"

static void expect(struct model *m, const struct m_task *t, const char *what, int64_t told,
                   int64_t is)
{
    if (told != is)
        model_fail(m, "told",
                   "of task %" PRId64 " %" PRId64 " was told as its %s, which is %" PRId64, t->id,
                   told, what, is);
}

static void expect_text(struct model *m, const struct m_task *t, const char *what, struct str told,
                        struct str is)
{
    if (!str_eq(told, is))
        model_fail(m, "told",
                   "of task %" PRId64 " \"" STR_FMT "\" was told as its %s, which is \"" STR_FMT
                   "\"",
                   t->id, STR_ARG(told), what, STR_ARG(is));
}

void model_told_lease(struct model *m, const struct m_task *t, const struct task_lease *l)
{
    struct m_grant *grant;

    expect(m, t, "end of the lease", l->expires_at, t->expires_at);
    expect(m, t, "deadline", l->deadline_at, t->deadline_at);
    expect(m, t, "timeout", l->timeout_us, t->timeout_us);
    expect(m, t, "start", l->started_at, m->now);
    expect(m, t, "priority", l->priority, t->priority);
    if (t->node)
        return;
    expect_text(m, t, "queue", l->queue, t->queue->name);
    expect_text(m, t, "key", l->key, t->key);
    expect_text(m, t, "payload", l->payload, t->payload);
    grant = model_grant_of(m, l->token);
    grant->attempt = l->attempt;
    grant->expires_at = l->expires_at;
    grant->deadline_at = l->deadline_at;
}

void model_told_renewed(struct model *m, const struct m_task *t, int64_t expires_at)
{
    const struct m_worker *w = model_worker_of(m, t->worker);

    expect(m, t, "end of the lease", expires_at,
           t->expires_at || !w ? t->expires_at : w->beat_at + w->ttl_us);
}

void model_told_state(struct model *m, const struct m_worker *w, enum worker_state told)
{
    if (told != w->state)
        model_fail(m, "told", "worker %" PRId64 " was told that it is %s, and is %s",
                   w->incarnation, worker_state_text(told).p, worker_state_text(w->state).p);
}

/* Whoever looks again only then finds it. It may be told to look earlier. */
static void expect_due(struct model *m, const struct m_task *t, int64_t next_due_at)
{
    if (t->state == TASK_DELAYED && (!next_due_at || next_due_at > t->due_at))
        model_fail(m, "told", "task %" PRId64 " is due %" PRId64 " us before the next look", t->id,
                   next_due_at ? next_due_at - t->due_at : 0);
}

void model_told_due(struct model *m, const struct m_queue *q, int64_t next_due_at)
{
    for (size_t i = m->open_from; i < m->tasks_n; i++)
        if (!q || m->tasks[i]->queue == q)
            expect_due(m, m->tasks[i], next_due_at);
}

/* By then the task may have gone on. */
static void heard_lease(struct model *m, const struct given *g)
{
    const struct m_grant *grant = model_grant_of(m, g->lease.token);
    const struct m_task *t = grant ? model_task_of(m, grant->task) : NULL;

    if (!t || t->id != g->lease.task) {
        model_fail(m, "told",
                   "a lease of task %" PRId64 " under token %" PRId64
                   " was heard of, and not given",
                   g->lease.task, g->lease.token);
        return;
    }
    expect(m, t, "attempt", g->attempt, grant->attempt);
    expect(m, t, "end of the lease", g->expires_at, grant->expires_at);
    expect(m, t, "deadline", g->deadline_at, grant->deadline_at);
    expect_text(m, t, "payload", g->payload, t->payload);
}

void model_heard_claim(struct model *m, const struct answer *answer)
{
    for (size_t i = 0; i < answer->n && !m->sim->result->check; i++)
        heard_lease(m, &answer->given[i]);
}

void model_heard_ids(struct model *m, const struct ask *a, const struct answer *answer)
{
    if (answer->n != a->tasks_n)
        model_fail(m, "told", "%zu tasks were enqueued, and %zu ids heard of", a->tasks_n,
                   answer->n);
    for (size_t i = 0; i < answer->n && !m->sim->result->check; i++) {
        const struct ask_task *asked = &a->tasks[i];
        const struct m_task *t = model_task_of(m, answer->ids[i]);
        char room[ASK_PAYLOAD_BYTES];

        if (!t)
            model_fail(m, "told", "task %" PRId64 " was heard of, and not added", answer->ids[i]);
        else if (asked->unique)
            expect_text(m, t, "unique key", str_of(asked->unique), t->unique);
        else
            expect_text(m, t, "payload", ask_payload(a, i, room), t->payload);
    }
}
