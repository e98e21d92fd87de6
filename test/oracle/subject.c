/* SPDX-License-Identifier: Apache-2.0 */
/* Requests run on the oracle or on the engine, and their replies as text. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/memory.h"
#include "dump.h"
#include "history.h"

#define REPLY_BYTES_MAX (16u << 20)
#define UNKNOWN         999999999999999

#define CALL(s, function, ...)                                                                     \
    ((s)->oracle ? oracle_##function((s)->oracle, __VA_ARGS__) : function(&(s)->tx, __VA_ARGS__))

void subject_clear(struct subject *s)
{
    s->labels_n = 0;
    arena_reset(&s->arena);
    if (s->oracle) {
        oracle_free(s->oracle);
        s->oracle = oracle_new();
    }
}

void subject_deinit(struct subject *s)
{
    oracle_free(s->oracle);
    store_free(s->store);
    arena_deinit(&s->arena);
    free(s->labels);
}

struct ref subject_ref(const struct subject *s, enum space space, int64_t id)
{
    for (size_t i = s->labels_n; id && i-- > 0;)
        if (s->labels[i].space == space && s->labels[i].id == id)
            return s->labels[i].ref;
    return (struct ref){0, id != 0};
}

static int64_t id_of(const struct subject *s, struct ref ref)
{
    for (size_t i = s->labels_n; ref.request && i-- > 0;)
        if (s->labels[i].ref.request == ref.request && s->labels[i].ref.place == ref.place)
            return s->labels[i].id;
    return ref.request || ref.place ? UNKNOWN : 0;
}

/* Put the name of each id in its place; those that are new are told here first. */
static struct str name_ids(struct subject *s, uint32_t request, struct str text, struct arena *a)
{
    uint32_t place = 0;
    struct str named;
    struct buf b;

    buf_init(&b, REPLY_BYTES_MAX);
    for (size_t at = 0, end; at < text.n; at = end) {
        enum space space = (enum space)text.p[at];
        struct ref ref;
        int64_t id;

        for (end = at + 1; end < text.n && text.p[end] >= '0' && text.p[end] <= '9'; end++)
            ;
        if ((space != SPACE_ID && space != SPACE_RUN) ||
            !str_int64(str_sub(text, at + 1, end - at - 1), &id) || !id) {
            end = at + 1;
            buf_byte(&b, text.p[at]);
            continue;
        }
        ref = subject_ref(s, space, id);
        if (!ref.request) {
            if (s->labels_n == s->labels_cap) {
                s->labels_cap = s->labels_cap ? 2 * s->labels_cap : 256;
                s->labels = memory_grow(s->labels, s->labels_cap * sizeof(*s->labels));
            }
            ref = (struct ref){request, ++place};
            s->labels[s->labels_n++] = (struct label){space, id, ref};
        }
        buf_printf(&b, "%c%u.%u", (char)space, ref.request, ref.place);
    }
    named = str_copy(a, buf_str(&b));
    buf_deinit(&b);
    return named;
}

#define I PRId64

static void say_counts(struct buf *b, const int64_t *counts)
{
    buf_add(b, STR(" ["));
    for (int i = 0; i < TASK_STATE_N; i++)
        buf_printf(b, "%s%" I, i ? " " : "", counts[i]);
    buf_byte(b, ']');
}

static void say_queue(struct buf *b, const struct queue_status *q)
{
    buf_printf(b, STR_FMT " paused %d max %" I, STR_ARG(q->name), q->paused, q->tasks_max);
    say_counts(b, q->counts);
}

static void say_run(struct buf *b, const struct run_row *r)
{
    buf_printf(b,
               "run @%" I " " STR_FMT " %" I " %s " STR_FMT " (" STR_FMT ") " STR_FMT " " STR_FMT
               " parallel %" I " tasks %" I " open %" I " held %" I " failed %" I " %" I " %" I,
               r->id, STR_ARG(r->workflow), r->version, run_state_text(r->state).p,
               STR_ARG(r->reason), STR_ARG(r->detail), STR_ARG(r->params), STR_ARG(r->dir),
               r->max_parallel, r->tasks, r->open, r->held, r->failed, r->created_at, r->ended_at);
    say_counts(b, r->counts);
}

static void say_attempt(struct buf *b, const struct task_attempt *a)
{
    buf_printf(b, "\n      attempt %" I " #%" I " by #%" I " started %" I, a->number, a->token,
               a->worker, a->started_at);
    if (a->running)
        return;
    buf_printf(b,
               " %s " STR_FMT " (" STR_FMT ") exit %d %d signal %d ended %" I " waited %" I
               " ran %" I " cpu %" I " rss %" I " (" STR_FMT ")",
               retry_outcome_text(a->outcome).p, STR_ARG(a->reason), STR_ARG(a->message),
               a->has_exit_code, a->exit_code, a->signal, a->ended_at, a->queue_wait_us, a->run_us,
               a->cpu_us, a->max_rss_bytes, STR_ARG(a->stderr_tail));
}

static void say_task(struct buf *b, const struct task_view *t)
{
    buf_printf(b,
               "\n    task #%" I " run @%" I " " STR_FMT "|" STR_FMT " %s " STR_FMT " (" STR_FMT
               ") priority %" I " due %" I " created %" I " ended %" I " cancel %d output " STR_FMT,
               t->id, t->run, STR_ARG(t->queue), STR_ARG(t->name), task_state_text(t->state).p,
               STR_ARG(t->reason), STR_ARG(t->detail), t->priority, t->due_at, t->created_at,
               t->ended_at, t->cancel, STR_ARG(t->output));
    for (size_t i = 0; i < t->attempts_n; i++)
        say_attempt(b, &t->attempts[i]);
}

static void say_details(struct buf *b, const struct task_details *d)
{
    say_task(b, &d->task);
    for (size_t i = 0; i < d->groups_n; i++) {
        const struct task_group *g = &d->groups[i];

        buf_printf(b, "\n      %s %" I " of %" I ", %" I " ended, %" I " succeeded, " STR_FMT ":",
                   group_rule_text(g->rule).p, g->need, g->total, g->done, g->succeeded,
                   STR_ARG(g->verdict));
        for (size_t j = 0; j < g->from_n; j++)
            buf_printf(b, " " STR_FMT " is %s", STR_ARG(g->from[j]),
                       task_state_text(g->from_states[j]).p);
    }
}

static void say_worker(struct buf *b, const struct worker_row *w)
{
    buf_printf(b,
               "\n    worker #%" I " " STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT "|%" I "|%" I
               "|" STR_FMT " slots %" I " run @%" I " %s ttl %" I " beat %" I " joined %" I
               " busy %" I,
               w->incarnation, STR_ARG(w->name), STR_ARG(w->kind), STR_ARG(w->host),
               STR_ARG(w->boot), w->pid, w->pid_start, STR_ARG(w->site), w->slots, w->run,
               worker_state_text(w->state).p, w->ttl_us, w->beat_at, w->joined_at, w->busy);
}

static void say_codes(struct buf *b, const struct task_codes *codes)
{
    for (size_t i = 0; i < codes->n; i++)
        buf_printf(b, " %s", code_text(codes->list[i]).p);
}

static int do_queue_put(struct subject *s, const struct request *q, struct buf *b)
{
    const struct queue_put req = {
        .name = q->name,
        .given = 1u << QUEUE_SET_TASKS_MAX | 1u << QUEUE_SET_PAUSED,
        .set = {.tasks_max = q->max, .paused = q->paused},
    };
    struct queue_status reply;
    int r = CALL(s, queue_put, &req, &reply);

    if (!r)
        say_queue(b, &reply);
    return r;
}

static int do_queue_get(struct subject *s, const struct request *q, struct buf *b)
{
    struct queue_status reply;
    int r = CALL(s, queue_get, &q->name, &reply);

    if (!r)
        say_queue(b, &reply);
    return r;
}

static int do_task_enqueue(struct subject *s, const struct request *q, struct buf *b)
{
    const struct task_enqueue req = {.queue = q->name, .list = q->tasks, .n = q->tasks_n};
    struct task_ids reply;
    int r = CALL(s, task_enqueue, &req, &reply);

    for (size_t i = 0; !r && i < reply.n; i++)
        buf_printf(b, " #%" I, reply.list[i]);
    return r;
}

static int do_task_claim(struct subject *s, const struct request *q, struct buf *b)
{
    const struct task_claim req = {
        .worker = id_of(s, q->id), .run = id_of(s, q->run), .queue = q->name, .max = q->max};
    struct task_leases reply;
    int r = CALL(s, task_claim, &req, &reply);

    for (size_t i = 0; !r && i < reply.n; i++) {
        const struct task_lease *l = &reply.list[i];

        buf_printf(b,
                   "\n    task #%" I " run @%" I " " STR_FMT " lease #%" I " attempt %" I
                   " timeout %" I " deadline %" I " started %" I " waited %" I " " STR_FMT,
                   l->task, l->run, STR_ARG(l->name), l->token, l->attempt, l->timeout_us,
                   l->deadline_at, l->started_at, l->queue_wait_us, STR_ARG(l->payload));
    }
    if (!r && reply.n == 0)
        buf_printf(b, "nothing, next due %" I, reply.next_due_at);
    return r;
}

static int do_task_complete(struct subject *s, const struct request *q, struct buf *b)
{
    struct task_result *list = ARENA_ARRAY(&s->arena, struct task_result, q->results_n);
    struct task_codes reply;
    int r;

    for (size_t i = 0; i < q->results_n; i++) {
        list[i] = q->results[i].result;
        list[i].lease =
            (struct lease_ref){id_of(s, q->results[i].task), id_of(s, q->results[i].token)};
    }
    r = CALL(s, task_complete, &(struct task_complete){list, q->results_n}, &reply);
    if (!r)
        say_codes(b, &reply);
    return r;
}

static int do_task_release(struct subject *s, const struct request *q, struct buf *b)
{
    struct lease_ref *list = ARENA_ARRAY(&s->arena, struct lease_ref, q->results_n);
    struct task_codes reply;
    int r;

    for (size_t i = 0; i < q->results_n; i++)
        list[i] = (struct lease_ref){id_of(s, q->results[i].task), id_of(s, q->results[i].token)};
    r = CALL(s, task_release, &(struct task_release){list, q->results_n}, &reply);
    if (!r)
        say_codes(b, &reply);
    return r;
}

static struct task_which which(struct subject *s, const struct request *q)
{
    return (struct task_which){.id = id_of(s, q->id), .run = id_of(s, q->run), .name = q->name};
}

static int do_task_get(struct subject *s, const struct request *q, struct buf *b)
{
    struct task_which req = which(s, q);
    struct task_details reply;
    int r = CALL(s, task_get, &req, &reply);

    if (!r)
        say_details(b, &reply);
    return r;
}

static int do_task_requeue(struct subject *s, const struct request *q, struct buf *b)
{
    struct task_which req = which(s, q);
    struct task_details reply;
    int r = CALL(s, task_requeue, &req, &reply);

    if (!r)
        say_details(b, &reply);
    return r;
}

static int do_worker_register(struct subject *s, const struct request *q, struct buf *b)
{
    const struct worker_register req = {.name = q->name,
                                        .kind = q->kind_of,
                                        .host = STR("host"),
                                        .boot = STR("boot"),
                                        .site = STR("site"),
                                        .pid = 17,
                                        .pid_start = 23,
                                        .slots = q->slots,
                                        .ttl_us = q->ttl,
                                        .run = id_of(s, q->run)};
    struct worker_row reply;
    int r = CALL(s, worker_register, &req, &reply);

    if (!r)
        say_worker(b, &reply);
    return r;
}

static int do_worker_beat(struct subject *s, const struct request *q, struct buf *b)
{
    int64_t id = id_of(s, q->id);
    struct worker_beat_reply reply;
    int r = CALL(s, worker_beat, &id, &reply);

    if (!r)
        buf_printf(b, "%s", worker_state_text(reply.state).p);
    for (size_t i = 0; !r && i < reply.stop_n; i++)
        buf_printf(b, " stop #%" I " #%" I, reply.stop[i].task, reply.stop[i].token);
    return r;
}

static int do_worker_drain(struct subject *s, const struct request *q, struct buf *b)
{
    int64_t id = id_of(s, q->id);
    struct worker_row reply;
    int r = CALL(s, worker_drain, &id, &reply);

    if (!r)
        say_worker(b, &reply);
    return r;
}

static int do_worker_leave(struct subject *s, const struct request *q, struct buf *b)
{
    int64_t id = id_of(s, q->id);
    struct worker_row reply;
    int r = CALL(s, worker_leave, &id, &reply);

    if (!r)
        say_worker(b, &reply);
    return r;
}

static int do_worker_lose(struct subject *s, const struct request *q, struct buf *b)
{
    const struct worker_lose req = {
        .incarnation = id_of(s, q->id), .reason = q->name, .beat_at = q->max};
    struct worker_lose_reply reply;
    int r = CALL(s, worker_lose, &req, &reply);

    for (size_t i = 0; !r && i < reply.n; i++)
        buf_printf(b, " #%" I " " STR_FMT, reply.tasks[i], STR_ARG(reply.names[i]));
    return r;
}

static int do_worker_list(struct subject *s, const struct request *q, struct buf *b)
{
    struct worker_rows reply = {0};
    int r = CALL(s, worker_list, NULL, &reply);

    (void)q;
    for (size_t i = 0; !r && i < reply.n; i++)
        say_worker(b, &reply.list[i]);
    return r;
}

static struct str plan_text(struct arena *a, const struct plan *p);

static int do_workflow_put(struct subject *s, const struct request *q, struct buf *b)
{
    const struct workflow_put req = {.source = plan_text(&s->arena, q->plan),
                                     .format = STR("json"),
                                     .path = STR("plan.json"),
                                     .fallback_name = STR("plan")};
    struct workflow_row reply;
    int r = s->oracle ? oracle_workflow_put(s->oracle, &req, q->plan, &reply)
                      : workflow_put(&s->tx, &req, &reply);

    if (!r)
        buf_printf(b, STR_FMT " %" I " " STR_FMT " tasks %" I " new %d at %" I, STR_ARG(reply.name),
                   reply.version, STR_ARG(reply.kind), reply.tasks, reply.created,
                   reply.created_at);
    return r;
}

static int do_run_get(struct subject *s, const struct request *q, struct buf *b)
{
    const struct run_get req = {.id = id_of(s, q->id), .tasks = true, .max = q->max};
    struct run_view reply;
    int r = CALL(s, run_get, &req, &reply);

    if (!r)
        say_run(b, &reply.run);
    for (size_t i = 0; !r && i < reply.tasks_n; i++)
        say_task(b, &reply.tasks[i]);
    return r;
}

/* With a look at it, which tells the ids of its tasks. */
static int do_run_start(struct subject *s, const struct request *q, struct buf *b)
{
    const struct run_start req = {
        .workflow = q->name, .version = q->slots, .dir = STR("/tmp"), .max_parallel = q->max};
    struct run_row reply;
    struct run_view view;
    int r = CALL(s, run_start, &req, &reply);

    if (r)
        return r;
    say_run(b, &reply);
    r = CALL(s, run_get, &(struct run_get){.id = reply.id, .tasks = true}, &view);
    for (size_t i = 0; !r && i < view.tasks_n; i++)
        say_task(b, &view.tasks[i]);
    return r;
}

static int do_run_list(struct subject *s, const struct request *q, struct buf *b)
{
    const struct run_list req = {.state = q->name, .before = id_of(s, q->id), .max = q->max};
    struct run_rows reply;
    int r = CALL(s, run_list, &req, &reply);

    for (size_t i = 0; !r && i < reply.n; i++) {
        buf_add(b, STR("\n    "));
        say_run(b, &reply.list[i]);
    }
    return r;
}

static int do_run_newest_open(struct subject *s, const struct request *q, struct buf *b)
{
    struct run_row reply;
    int r = CALL(s, run_newest_open, NULL, &reply);

    (void)q;
    if (!r)
        say_run(b, &reply);
    return r;
}

static int do_run_cancel(struct subject *s, const struct request *q, struct buf *b)
{
    int64_t id = id_of(s, q->id);
    struct run_row reply;
    int r = CALL(s, run_cancel, &id, &reply);

    if (!r)
        say_run(b, &reply);
    return r;
}

static int do_run_retry(struct subject *s, const struct request *q, struct buf *b)
{
    int64_t id = id_of(s, q->id);
    struct run_retry_reply reply;
    int r = CALL(s, run_retry, &id, &reply);

    if (r)
        return r;
    say_run(b, &reply.run);
    buf_printf(b, " given back %" I, reply.tasks);
    return 0;
}

static int do_reaper_scan(struct subject *s, const struct request *q, struct buf *b)
{
    struct reaper_reply reply;
    int r = CALL(s, reaper_scan, NULL, &reply);

    (void)q;
    if (r)
        return r;
    buf_printf(b, "promoted %" I " lost %" I " timed out %" I " next due %" I " more %d",
               reply.promoted, reply.lost, reply.timed_out, reply.next_due_at, reply.more);
    for (size_t i = 0; i < reply.silent_local.n; i++)
        say_worker(b, &reply.silent_local.list[i]);
    return 0;
}

static int do_event_list(struct subject *s, const struct request *q, struct buf *b)
{
    const struct event_list req = {.run = id_of(s, q->id), .max = q->max};
    struct event_rows reply;
    int r = CALL(s, event_list, &req, &reply);

    for (size_t i = 0; !r && i < reply.n; i++) {
        const struct event *e = &reply.list[i];

        buf_printf(b, "\n    %" I " run @%" I " task #%" I " " STR_FMT " " STR_FMT " ", e->at,
                   e->run, e->task, STR_ARG(e->name), STR_ARG(e->kind));
        dump_event_data(b, e->data);
    }
    return r;
}

static int do_doctor_status(struct subject *s, const struct request *q, struct buf *b)
{
    struct doctor_status reply;
    int r = CALL(s, doctor_status, NULL, &reply);

    (void)q;
    if (r)
        return r;
    for (int i = 0; i < RUN_STATE_N; i++)
        buf_printf(b, " %s %" I, run_state_text((enum run_state)i).p, reply.runs[i]);
    buf_printf(b, " of the last hour %" I " %" I, reply.ended_runs_hour, reply.failed_runs_hour);
    say_counts(b, reply.tasks);
    for (size_t i = 0; i < reply.workers.n; i++)
        say_worker(b, &reply.workers.list[i]);
    return 0;
}

static int (*const calls[KIND_N])(struct subject *s, const struct request *q, struct buf *b) = {
#define HISTORY_CALL(name) [KIND_##name] = do_##name,
    HISTORY_KINDS(HISTORY_CALL)
#undef HISTORY_CALL
};

static void say_needs(struct buf *b, const struct plan *p, const struct plan_group *g)
{
    buf_byte(b, '[');
    for (size_t i = 0; i < g->from_n; i++) {
        buf_add(b, i ? STR(",") : STR(""));
        buf_json(b, p->tasks[g->from[i]].name);
    }
    buf_byte(b, ']');
}

static void say_group(struct buf *b, const struct plan *p, const struct plan_group *g)
{
    if (g->rule == GROUP_AT_LEAST)
        buf_printf(b, "{\"at_least\":%" I ",\"of\":", g->need);
    else
        buf_printf(b, "{\"%s\":", group_rule_text(g->rule).p);
    say_needs(b, p, g);
    buf_byte(b, '}');
}

static void say_retry(struct buf *b, const struct retry_policy *p)
{
    const char *comma = "";

    buf_printf(b,
               ",\"retry\":{\"max_attempts\":%" I
               ",\"backoff\":{\"base\":%.6f,\"factor\":%.3f,\"cap\":%.6f,\"jitter\":%.3f},\"on\":[",
               p->max_attempts, (double)p->base_us / 1e6, p->factor, (double)p->cap_us / 1e6,
               p->jitter);
    for (int o = 0; o < OUTCOME_N; o++) {
        if (!(p->outcomes >> o & 1) || (o == OUTCOME_FAILED && p->exit_codes_n))
            continue;
        buf_printf(b, "%s\"%s\"", comma, retry_outcome_text((enum outcome)o).p);
        comma = ",";
    }
    for (unsigned i = 0; i < p->exit_codes_n; i++, comma = ",")
        buf_printf(b, "%s%u", comma, p->exit_codes[i]);
    buf_add(b, STR("]}"));
}

static void say_plan_task(struct buf *b, const struct plan *p, const struct plan_task *t)
{
    buf_json(b, t->name);
    buf_printf(b, ":{\"run\":[\"true\"],\"priority\":%" I, t->priority);
    if (t->timeout_us)
        buf_printf(b, ",\"timeout\":%.6f", (double)t->timeout_us / 1e6);
    if (t->not_before_us)
        buf_printf(b, ",\"not_before\":%.6f", (double)t->not_before_us / 1e6);
    if (t->retry_said)
        say_retry(b, &t->retry);
    if (t->groups_n) {
        buf_add(b, STR(",\"needs\":["));
        for (size_t i = 0; i < t->groups_n; i++) {
            buf_add(b, i ? STR(",") : STR(""));
            say_group(b, p, &t->groups[i]);
        }
        buf_byte(b, ']');
    }
    buf_byte(b, '}');
}

static struct str plan_text(struct arena *a, const struct plan *p)
{
    struct str text;
    struct buf b;

    buf_init(&b, REPLY_BYTES_MAX);
    buf_add(&b, STR("{\"weft\":1,\"name\":"));
    buf_json(&b, p->name);
    if (p->max_parallel)
        buf_printf(&b, ",\"max_parallel\":%" I, p->max_parallel);
    buf_add(&b, STR(",\"tasks\":{"));
    for (size_t i = 0; i < p->tasks_n; i++) {
        buf_add(&b, i ? STR(",") : STR(""));
        say_plan_task(&b, p, &p->tasks[i]);
    }
    buf_add(&b, STR("}}"));
    text = str_copy(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

static int begin(struct subject *s, const struct step *step)
{
    int r = 0;

    if (s->oracle) {
        oracle_begin(s->oracle, step->now, step->seed);
        return 0;
    }
    prng_seed(&s->prng, step->seed);
    r = tx_begin(&s->tx);
    s->tx.now = step->now;
    return r;
}

static int mark(struct subject *s, struct tx_place *place)
{
    if (!s->oracle)
        return tx_mark(&s->tx, TX_SAVEPOINT, place);
    oracle_mark(s->oracle);
    return 0;
}

static int undo(struct subject *s, const struct tx_place *place)
{
    if (!s->oracle)
        return tx_undo(&s->tx, place);
    oracle_undo(s->oracle);
    return 0;
}

static int end(struct subject *s, const struct step *step)
{
    if (s->oracle && step->rolled_back)
        oracle_rollback(s->oracle);
    else if (s->oracle)
        oracle_commit(s->oracle);
    else if (step->rolled_back)
        tx_rollback(&s->tx);
    else
        return tx_commit(&s->tx);
    return 0;
}

/* One request; what it told is forgotten with it where it is taken back. */
static int run_request(struct subject *s, const struct request *q, struct arena *a, struct str *ret)
{
    size_t told = s->labels_n;
    struct tx_place place;
    struct str refused;
    struct buf b;
    int r = mark(s, &place);

    if (r)
        return r;
    buf_init(&b, REPLY_BYTES_MAX);
    r = calls[q->kind](s, q, &b);
    refused = code_text(s->oracle ? oracle_code(s->oracle) : s->tx.problem.code);
    *ret = r ? str_printf(a, "refused: " STR_FMT, STR_ARG(refused))
             : name_ids(s, q->number, buf_str(&b), a);
    buf_deinit(&b);
    if (r < 0)
        return r;
    if (r || q->undone) {
        s->labels_n = told;
        return undo(s, &place);
    }
    return 0;
}

bool subject_step(struct subject *s, const struct step *step, struct arena *a, struct str *replies,
                  struct str *ret_fault)
{
    size_t told = s->labels_n;
    int r = begin(s, step);

    for (size_t i = 0; i < step->n && !r; i++)
        r = run_request(s, &step->list[i], a, &replies[i]);
    if (!r)
        r = end(s, step);
    if (step->rolled_back || r)
        s->labels_n = told;
    s->fault = r;
    if (!r)
        return true;
    *ret_fault = str_printf(a, "fault %d: " STR_FMT " (%s)", r, STR_ARG(store_error(s->store)),
                            fault_take());
    tx_rollback(&s->tx);
    return false;
}

struct str subject_doctor(struct subject *s, int64_t now, struct arena *a)
{
    struct doctor_report report = {0};
    struct str found = STR("");
    int r;

    if (s->oracle) {
        int64_t silent = oracle_silent(s->oracle);

        return silent ? str_printf(a, " worker_silent %" I, silent) : found;
    }
    r = tx_begin(&s->tx);
    s->tx.now = now;
    if (!r)
        r = doctor_check(&s->tx, NULL, &report);
    for (size_t i = 0; i < report.n; i++)
        if (report.checks[i].found)
            found = str_printf(a, STR_FMT " " STR_FMT " %" I, STR_ARG(found),
                               STR_ARG(report.checks[i].id), report.checks[i].found);
    if (!r)
        r = tx_commit(&s->tx);
    return r ? str_printf(a, "fault %d", r) : found;
}

struct str subject_dump(struct subject *s, struct arena *a)
{
    struct str dumped;
    struct buf b;

    if (!s->oracle && !s->place)
        return STR("");
    buf_init(&b, DUMP_BYTES_MAX);
    if (s->oracle)
        oracle_dump(s->oracle, &b);
    else
        dump_store(s->place, &b);
    dump_rank(a, &b);
    dumped = str_copy(a, buf_str(&b));
    buf_deinit(&b);
    return dumped;
}
