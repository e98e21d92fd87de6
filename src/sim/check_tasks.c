/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks as the store shows them, beside those of the model: where each is, what it was added with,
 * and every attempt of it with how that came out. */
#include <inttypes.h>

#include "base/fault.h"
#include "sim/check_tasks.h"
#include "sim/model_rows.h"

static void differ(struct sim *s, const struct m_task *t, const char *what, int64_t has, int64_t is)
{
    if (has != is)
        world_fail(s, "rows",
                   "task %" PRId64 " has %" PRId64
                   " in the store as its %s, and should have %" PRId64,
                   t->id, has, what, is);
}

static void differ_text(struct sim *s, const struct m_task *t, const char *what, struct str has,
                        struct str is)
{
    if (!str_eq(has, is))
        world_fail(s, "rows",
                   "task %" PRId64 " has \"" STR_FMT
                   "\" in the store as its %s, and should have \"" STR_FMT "\"",
                   t->id, STR_ARG(has), what, STR_ARG(is));
}

/* The next grant of the task after that one. */
static const struct m_grant *next_grant(const struct model *m, const struct m_task *t,
                                        const struct m_grant *after)
{
    for (const struct m_grant *g = after ? after + 1 : m->grants; g < m->grants + m->grants_n; g++)
        if (g->task == t->id)
            return g;
    return NULL;
}

static void check_attempt(struct sim *s, const struct m_task *t, const struct m_grant *g,
                          const struct task_view *view, const struct task_attempt *a)
{
    struct str output =
        view->state == TASK_SUCCEEDED && g->outcome == OUTCOME_SUCCEEDED ? view->output : STR("");

    differ(s, t, "attempt under way", a->running, g->state == GRANT_LIVE);
    if (g->state == GRANT_LIVE)
        return;
    differ_text(s, t, "outcome", retry_outcome_text(a->outcome), retry_outcome_text(g->outcome));
    if (g->state == GRANT_TOLD && model_content(a->message, output) != g->content)
        world_fail(s, "rows",
                   "what was told of task %" PRId64 " under token %" PRId64
                   " is not what the store has: \"" STR_FMT "\", \"" STR_FMT "\"",
                   t->id, g->token, STR_ARG(a->message), STR_ARG(output));
}

static void check_attempts(struct sim *s, const struct m_task *t, const struct task_view *view)
{
    const struct m_grant *g = NULL;

    for (size_t i = 0; i < view->attempts_n; i++) {
        const struct task_attempt *a = &view->attempts[i];

        g = next_grant(s->model, t, g);
        differ(s, t, "token", a->token, g ? g->token : 0);
        differ(s, t, "attempt", a->number, (int64_t)i + 1);
        if (!g || s->result->check)
            return;
        check_attempt(s, t, g, view, a);
    }
    differ(s, t, "attempts", (int64_t)view->attempts_n, t->attempts);
}

/* Of one that has not ended. */
static void check_row(struct sim *s, const struct m_task *t, const struct task_view *view)
{
    differ(s, t, "priority", view->priority, t->priority);
    differ(s, t, "request to stop", view->cancel, t->cancel);
    differ_text(s, t, "key", view->key, t->key);
    if (!t->node)
        differ_text(s, t, "payload", view->payload, t->payload);
    if (t->state == TASK_DELAYED)
        differ(s, t, "time to start", view->due_at, t->due_at);
    if (t->expires_at)
        differ(s, t, "end of the lease", view->held_until, t->expires_at);
}

static void check_task(struct sim *s, struct tx *tx, const struct m_task *t)
{
    const struct task_which which = {.id = t->id};
    struct task_details found;
    int r = task_get(tx, &which, &found);

    /* Of one that was cancelled before anybody took it nothing is left. */
    if (r == ENGINE_E_REFUSED && t->state == TASK_CANCELLED && !t->attempts)
        return;
    if (r) {
        world_fail(s, "rows", "task %" PRId64 ", which is %s, cannot be read: %s", t->id,
                   task_state_text(t->state).p,
                   r == ENGINE_E_REFUSED ? "it is not there" : fault_take());
        return;
    }
    differ_text(s, t, "state", task_state_text(found.task.state), task_state_text(t->state));
    if (!task_final(t->state))
        check_row(s, t, &found.task);
    check_attempts(s, t, &found.task);
}

void check_tasks(struct sim *s, struct tx *tx, bool all)
{
    const struct model *m = s->model;

    for (size_t i = all ? 0 : m->open_from; i < m->tasks_n && !s->result->check; i++)
        check_task(s, tx, m->tasks[i]);
    for (size_t i = 0; i < m->runs_n; i++)
        for (size_t j = 0; j < MODEL_NODES && !s->result->check; j++)
            if (m->runs[i]->nodes[j].id && (all || !run_final(m->runs[i]->state)))
                check_task(s, tx, &m->runs[i]->nodes[j]);
}
