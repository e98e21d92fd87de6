/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle's rows as text, and something of them for who makes up requests. */
#include "dump.h"
#include "oracle_rows.h"

static void dump_work(const struct oracle *o, struct buf *b)
{
    for (size_t i = 0; i < o->s.worker_n; i++) {
        const struct o_worker *w = &o->s.worker[i];
        const struct worker_row *r = &w->row;

        buf_printf(b,
                   "worker #%" PRId64 " " STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT "|%" PRId64
                   "|%" PRId64 "|" STR_FMT " slots %" PRId64 " run @%" PRId64 " %s " STR_FMT
                   " ttl %" PRId64 " beat %" PRId64 " joined %" PRId64 " ended %" PRId64 "\n",
                   r->incarnation, STR_ARG(r->name), STR_ARG(r->kind), STR_ARG(r->host),
                   STR_ARG(r->boot), r->pid, r->pid_start, STR_ARG(r->site), r->slots, r->run,
                   worker_state_text(r->state).p, STR_ARG(w->reason), r->ttl_us, r->beat_at,
                   r->joined_at, w->ended_at);
    }
    for (size_t i = 0; i < o->s.queue_n; i++) {
        const struct o_queue *q = &o->s.queue[i];

        buf_printf(b, "queue " STR_FMT " paused %d max %" PRId64 " created %" PRId64 "\n",
                   STR_ARG(q->name), q->paused, q->tasks_max, q->created_at);
    }
    for (size_t i = 0; i < o->s.workflow_n; i++) {
        const struct workflow_row *w = &o->s.workflow[i].row;

        buf_printf(b,
                   "workflow " STR_FMT " %" PRId64 " " STR_FMT " " STR_FMT " " STR_FMT
                   " tasks %" PRId64 " created %" PRId64 " " STR_FMT "\n",
                   STR_ARG(w->name), w->version, STR_ARG(w->kind), STR_ARG(w->format),
                   STR_ARG(w->path), w->tasks, w->created_at, STR_ARG(w->source));
    }
}

static int64_t groups_open(const struct oracle *o, int64_t task)
{
    int64_t n = 0;

    for (size_t i = 0; i < o->s.group_n; i++)
        n += o->s.group[i].task == task && o->s.group[i].verdict != GROUP_MET;
    return n;
}

static void dump_task(const struct oracle *o, const struct o_task *t, struct buf *b)
{
    char text[RETRY_TEXT_BYTES];
    struct str retry = t->retry_said ? retry_format(&t->retry, text) : STR("");
    bool held = t->state == TASK_RUNNING;

    buf_printf(b,
               "task #%" PRId64 " run @%" PRId64 " " STR_FMT "|" STR_FMT " %s " STR_FMT " (" STR_FMT
               ") priority %" PRId64 " attempts %" PRId64 " budget %" PRId64 " retry " STR_FMT
               " due %" PRId64 " cancel %d groups %" PRId64 " token #%" PRId64 " worker #%" PRId64
               " timeout %" PRId64,
               t->id, t->run, STR_ARG(t->queue), STR_ARG(t->name), task_state_text(t->state).p,
               STR_ARG(t->reason), STR_ARG(t->detail), t->priority, t->attempts, t->budget_from,
               STR_ARG(retry), t->due_at, t->cancel, groups_open(o, t->id), t->token, t->worker,
               t->timeout_us);
    buf_printf(b,
               " ready %" PRId64 " leased %" PRId64 " started %" PRId64 " deadline %" PRId64
               " last #%" PRId64 " created %" PRId64 " ended %" PRId64 " " STR_FMT "\n",
               held || t->state == TASK_READY ? t->ready_at : 0, held ? t->leased_at : 0,
               held ? t->leased_at : 0, held ? t->deadline_at : 0, t->last_token, t->created_at,
               t->ended_at, STR_ARG(t->payload));
}

static void dump_run(const struct oracle *o, const struct o_run *r, struct buf *b)
{
    int64_t tasks = 0;

    for (int s = 0; s < TASK_STATE_N; s++)
        tasks += oracle_count(o, r->id, STR(""), (enum task_state)s);
    buf_printf(b,
               "run @%" PRId64 " " STR_FMT " %" PRId64 " %s " STR_FMT " (" STR_FMT
               ") params {} dir " STR_FMT " parallel %" PRId64 " tasks %" PRId64 " open %" PRId64
               " held %" PRId64 " failed %" PRId64 " created %" PRId64 " ended %" PRId64 "\n",
               r->id, STR_ARG(r->workflow), r->version, run_state_text(r->state).p,
               STR_ARG(r->reason), STR_ARG(r->detail), STR_ARG(r->dir), r->max_parallel, tasks,
               oracle_open(o, r->id, STR("")), oracle_held(o, r->id, 0),
               oracle_count(o, r->id, STR(""), TASK_FAILED), r->created_at, r->ended_at);
}

static void dump_groups(const struct oracle *o, struct buf *b)
{
    static const char *const verdicts[] = {"WAITING", "MET", "IMPOSSIBLE"};

    for (size_t i = 0; i < o->s.group_n; i++) {
        const struct o_group *g = &o->s.group[i];
        struct group now = oracle_group_now(o, g);

        buf_printf(b,
                   "group #%" PRId64 " run @%" PRId64 " task #%" PRId64 " %s need %" PRId64
                   " total %" PRId64 " done %" PRId64 " succeeded %" PRId64 " %s\n",
                   g->id, g->run, g->task, group_rule_text(g->rule).p, g->need, now.total, now.done,
                   now.succeeded, verdicts[g->verdict]);
        for (size_t e = 0; e < g->from_n; e++)
            buf_printf(b, "edge #%" PRId64 " #%" PRId64 "\n", g->from[e], g->id);
    }
}

static void dump_attempt(const struct o_attempt *a, struct buf *b)
{
    const struct task_result *r = &a->result;

    buf_printf(b,
               "attempt #%" PRId64 " task #%" PRId64 " run @%" PRId64 " " STR_FMT " %" PRId64
               " worker #%" PRId64 " %s %s (" STR_FMT ") exit %d signal %d leased %" PRId64
               " started %" PRId64 " ended %" PRId64 " waited %" PRId64 " ran %" PRId64
               " cpu %" PRId64 " rss %" PRId64 " (" STR_FMT ") told %d " STR_FMT "\n",
               a->token, a->task, a->run, STR_ARG(a->queue), a->number, a->worker,
               retry_outcome_text(r->outcome).p, task_reason_text(r->reason).p, STR_ARG(r->message),
               r->exit_code < 0 ? -1 : r->exit_code, r->signal, a->leased_at, a->started_at,
               a->ended_at, a->queue_wait_us, r->run_us, r->cpu_us, r->max_rss_bytes,
               STR_ARG(r->stderr_tail), a->told, STR_ARG(r->output.n ? r->output : STR("-")));
}

static void dump_tally(const struct oracle *o, int64_t run, struct str queue, struct buf *b)
{
    for (int s = 0; s < TASK_STATE_N; s++) {
        int64_t n = oracle_count(o, run, queue, (enum task_state)s);

        if (n)
            buf_printf(b, "tally @%" PRId64 " " STR_FMT "|%s %" PRId64 "\n", run, STR_ARG(queue),
                       task_state_text((enum task_state)s).p, n);
    }
}

void oracle_dump(const struct oracle *o, struct buf *b)
{
    dump_work(o, b);
    for (size_t i = 0; i < o->s.run_n; i++) {
        dump_run(o, &o->s.run[i], b);
        dump_tally(o, o->s.run[i].id, STR(""), b);
    }
    for (size_t i = 0; i < o->s.queue_n; i++)
        dump_tally(o, 0, o->s.queue[i].name, b);
    for (size_t i = 0; i < o->s.task_n; i++)
        if (!o->s.task[i].gone)
            dump_task(o, &o->s.task[i], b);
    dump_groups(o, b);
    for (size_t i = 0; i < o->s.attempt_n; i++)
        dump_attempt(&o->s.attempt[i], b);
    for (size_t i = 0; i < o->s.event_n; i++) {
        const struct event *e = &o->s.event[i];

        buf_printf(b, "event %06zu %" PRId64 " run @%" PRId64 " task #%" PRId64 " " STR_FMT " ",
                   i + 1, e->at, e->run, e->task, STR_ARG(e->kind));
        dump_event_data(b, e->data);
        buf_byte(b, '\n');
    }
}

int64_t oracle_any_worker(const struct oracle *o, struct prng *prng)
{
    size_t n = o->s.worker_n;

    /* The newest ones, most of which live. */
    if (n == 0)
        return 0;
    return o->s.worker[n - 1 - prng_below(prng, n < 4 ? n : 4)].row.incarnation;
}

int64_t oracle_beat_at(const struct oracle *o, int64_t worker)
{
    const struct o_worker *w = oracle_worker(o, worker);

    return w ? w->row.beat_at : 1;
}

int64_t oracle_any_run(const struct oracle *o, struct prng *prng)
{
    size_t n = o->s.run_n;

    if (n == 0)
        return 0;
    return o->s.run[n - 1 - prng_below(prng, n < 3 || prng_below(prng, 5) == 0 ? n : 3)].id;
}

bool oracle_any_held(const struct oracle *o, struct prng *prng, struct lease_ref *ret)
{
    uint64_t seen = 0;

    for (size_t i = 0; i < o->s.task_n; i++)
        if (o->s.task[i].token && prng_below(prng, ++seen) == 0)
            *ret = (struct lease_ref){o->s.task[i].id, o->s.task[i].token};
    return seen;
}

bool oracle_any_ended(const struct oracle *o, struct prng *prng, struct lease_ref *ret)
{
    const struct o_attempt *a;

    if (o->s.attempt_n == 0)
        return false;
    a = &o->s.attempt[prng_below(prng, o->s.attempt_n)];
    *ret = (struct lease_ref){a->task, a->token};
    return true;
}

int64_t oracle_any_task(const struct oracle *o, struct prng *prng, bool undone)
{
    uint64_t seen = 0;
    int64_t id = 0;

    for (size_t i = 0; i < o->s.task_n; i++) {
        const struct o_task *t = &o->s.task[i];

        if ((!undone || t->state == TASK_FAILED || t->state == TASK_CANCELLED ||
             t->state == TASK_SKIPPED) &&
            prng_below(prng, ++seen) == 0)
            id = t->id;
    }
    return id;
}
