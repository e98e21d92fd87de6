/* SPDX-License-Identifier: Apache-2.0 */
/* The requests about queues, tasks and workers, and the reaper. */
#include <stdlib.h>

#include "base/clock.h"
#include "oracle_rows.h"

static bool bad_name(struct str s)
{
    return s.n < 1 || s.n > 200 || !str_utf8(s, NULL) || memchr(s.p, '\0', s.n);
}

int oracle_queue_put(struct oracle *o, const struct queue_put *req, struct queue_status *reply)
{
    int64_t max = req->set.tasks_max ? req->set.tasks_max : QUEUE_TASKS_DEFAULT;
    struct o_queue *q;

    if (bad_name(req->name) || max < 1 || max > QUEUE_TASKS_MAX)
        return oracle_refuse(o, CODE_INVALID);
    q = oracle_queue(o, req->name);
    if (!q) {
        q = O_ADD(o, queue);
        *q = (struct o_queue){.name = str_copy(&o->arena, req->name), .created_at = o->now};
    }
    q->tasks_max = max;
    q->paused = req->set.paused;
    return oracle_queue_get(o, &req->name, reply);
}

int oracle_queue_get(struct oracle *o, const struct str *name, struct queue_status *reply)
{
    const struct o_queue *q = oracle_queue(o, *name);

    *reply = (struct queue_status){0};
    if (!q)
        return oracle_refuse(o, CODE_QUEUE_NOT_FOUND);
    reply->name = q->name;
    reply->paused = q->paused;
    reply->tasks_max = q->tasks_max;
    for (int s = 0; s < TASK_STATE_N; s++)
        reply->counts[s] = oracle_count(o, 0, *name, (enum task_state)s);
    return 0;
}

int oracle_task_enqueue(struct oracle *o, const struct task_enqueue *req, struct task_ids *reply)
{
    const int64_t year = 366LL * 86400 * CLOCK_S;
    struct o_queue *q;

    if (bad_name(req->queue) || req->n < 1 || req->n > TASK_BATCH_MAX)
        return oracle_refuse(o, CODE_INVALID);
    for (size_t i = 0; i < req->n; i++) {
        const struct task_new *n = &req->list[i];

        if (n->payload.n > TASK_PAYLOAD_BYTES_MAX)
            return oracle_refuse(o, CODE_TOO_LARGE);
        if (llabs(n->priority) > TASK_PRIORITY_MAX || n->delay_us < 0 || n->delay_us > year ||
            n->timeout_us < 0 || n->timeout_us > year)
            return oracle_refuse(o, CODE_INVALID);
    }
    q = oracle_queue(o, req->queue);
    if (!q) {
        q = O_ADD(o, queue);
        *q = (struct o_queue){.name = str_copy(&o->arena, req->queue),
                              .tasks_max = QUEUE_TASKS_DEFAULT,
                              .created_at = o->now};
    }
    if (oracle_open(o, 0, req->queue) + (int64_t)req->n > q->tasks_max)
        return oracle_refuse(o, CODE_QUEUE_FULL);
    reply->n = req->n;
    reply->list = ARENA_ARRAY(&o->arena, int64_t, req->n);
    for (size_t i = 0; i < req->n; i++) {
        const struct task_new *n = &req->list[i];
        struct o_task *t = O_ADD(o, task);

        *t = (struct o_task){
            .id = reply->list[i] = oracle_id(o),
            .queue = q->name,
            .payload = str_copy(&o->arena, n->payload),
            .priority = n->priority,
            .due_at = n->delay_us ? o->now + n->delay_us : 0,
            .timeout_us = n->timeout_us,
            .created_at = o->now,
            .retry = n->retry ? *n->retry : retry_default(),
            .retry_said = n->retry != NULL,
        };
        oracle_met(o, t);
    }
    return 0;
}

static bool in_scope(const struct o_task *t, const struct task_claim *req)
{
    return !t->gone &&
           (req->run ? t->run == req->run : t->run == 0 && str_eq(t->queue, req->queue));
}

/* The higher priority first, then the smaller id. */
static struct o_task *next_ready(const struct oracle *o, const struct task_claim *req)
{
    struct o_task *best = NULL;

    for (size_t i = 0; i < o->s.task_n; i++) {
        struct o_task *t = &o->s.task[i];

        if (t->state == TASK_READY && in_scope(t, req) && (!best || t->priority > best->priority))
            best = t;
    }
    return best;
}

static void lease(struct oracle *o, struct o_task *t, int64_t worker, int64_t token,
                  struct task_lease *ret)
{
    t->state = TASK_RUNNING;
    t->reason = STR("held_by_worker");
    t->detail = STR("");
    t->attempts++;
    t->token = token;
    t->worker = worker;
    t->leased_at = o->now;
    t->deadline_at = t->timeout_us ? o->now + t->timeout_us : 0;
    *ret = (struct task_lease){
        .task = t->id,
        .run = t->run,
        .token = token,
        .attempt = t->attempts,
        .timeout_us = t->timeout_us,
        .deadline_at = t->deadline_at,
        .started_at = o->now,
        .queue_wait_us = o->now > t->ready_at ? o->now - t->ready_at : 0,
        .name = t->name,
        .payload = t->payload,
    };
    if (t->run)
        oracle_event(
            o, t->run, t, STR("task_RUNNING"),
            str_printf(&o->arena,
                       "{\"from\":\"READY\",\"reason\":\"held_by_worker\",\"attempt\":%" PRId64
                       ",\"token\":\"%" PRId64 "\",\"worker\":\"%" PRId64 "\"}",
                       t->attempts, token, worker));
}

/* How many the scope allows; less than 0: refused. */
static int64_t scope_room(struct oracle *o, const struct task_claim *req)
{
    const struct o_queue *q = oracle_queue(o, req->queue);
    const struct o_run *run = oracle_run(o, req->run);

    if (req->run ? !run : !q) {
        oracle_refuse(o, req->run ? CODE_RUN_NOT_FOUND : CODE_QUEUE_NOT_FOUND);
        return -1;
    }
    if (!run)
        return q->paused ? 0 : req->max;
    return run->max_parallel ? run->max_parallel - oracle_held(o, run->id, 0) : req->max;
}

int oracle_task_claim(struct oracle *o, const struct task_claim *req, struct task_leases *reply)
{
    const struct o_worker *w = oracle_worker(o, req->worker);
    int64_t room, free_slots;
    struct o_task *t;

    *reply = (struct task_leases){0};
    if (req->max < 1 || req->max > TASK_BATCH_MAX || (!req->run && bad_name(req->queue)) ||
        (!req->worker && !req->guest.n))
        return oracle_refuse(o, CODE_INVALID);
    room = scope_room(o, req);
    if (room < 0)
        return ENGINE_E_REFUSED;
    if (!w)
        return oracle_refuse(o, CODE_WORKER_NOT_FOUND);
    if (w->row.state == WORKER_LOST || w->row.state == WORKER_GONE)
        return oracle_refuse(o, CODE_WORKER_LOST);
    free_slots = w->row.state == WORKER_READY ? w->row.slots - oracle_held(o, 0, req->worker) : 0;
    room = free_slots < room ? free_slots : room;
    room = req->max < room ? req->max : room;
    reply->list = ARENA_ARRAY(&o->arena, struct task_lease, (size_t)(room > 0 ? room : 0));
    while ((int64_t)reply->n < room && (t = next_ready(o, req)))
        lease(o, t, req->worker, oracle_id(o), &reply->list[reply->n++]);
    for (size_t i = 0; i < o->s.task_n && reply->n == 0; i++) {
        t = &o->s.task[i];
        if (t->state == TASK_DELAYED && in_scope(t, req) &&
            (!reply->next_due_at || t->due_at < reply->next_due_at))
            reply->next_due_at = t->due_at;
    }
    return 0;
}

/* A lease that is not live: the same completion again, another one, or none that was ever told. */
static enum code judge_ended(const struct oracle *o, const struct task_result *res)
{
    for (size_t i = 0; i < o->s.attempt_n; i++) {
        const struct o_attempt *a = &o->s.attempt[i];

        if (a->token != res->lease.token || a->task != res->lease.task || !a->told)
            continue;
        return a->result.outcome == res->outcome && a->result.reason == res->reason &&
                       str_eq(a->result.message, res->message) &&
                       str_eq(a->result.output, res->output)
                   ? CODE_OK
                   : CODE_COMPLETION_CONFLICT;
    }
    return CODE_LEASE_LOST;
}

static bool bad_duration(int64_t us)
{
    return us < 0 || us > 366LL * 86400 * CLOCK_S;
}

/* A request that names a token twice is taken one by one. */
/* Whether the lease of result `at` was named since `from`. */
static bool repeats(const struct task_complete *req, size_t from, size_t at)
{
    for (size_t j = from; j < at; j++)
        if (req->list[at].lease.token == req->list[j].lease.token)
            return true;
    return false;
}

static struct task_result keep(struct oracle *o, const struct task_result *res)
{
    struct task_result kept = *res;

    kept.message = str_copy(&o->arena, res->message);
    kept.output = str_copy(&o->arena, res->output);
    kept.stderr_tail = str_copy(&o->arena, res->stderr_tail);
    return kept;
}

int oracle_task_complete(struct oracle *o, const struct task_complete *req,
                         struct task_codes *reply)
{
    struct o_ids ends = {0};
    size_t from = 0;

    if (req->n < 1 || req->n > TASK_BATCH_MAX)
        return oracle_refuse(o, CODE_INVALID);
    for (size_t i = 0; i < req->n; i++) {
        const struct task_result *res = &req->list[i];

        if (res->outcome == OUTCOME_NONE || bad_duration(res->start_wait_us) ||
            bad_duration(res->run_us) || bad_duration(res->cpu_us) || res->max_rss_bytes < 0)
            return oracle_refuse(o, CODE_INVALID);
        if (res->output.n > TASK_RESULT_BYTES_MAX || res->message.n > TASK_MESSAGE_BYTES_MAX)
            return oracle_refuse(o, CODE_TOO_LARGE);
    }
    reply->n = req->n;
    reply->list = ARENA_ARRAY(&o->arena, enum code, req->n);
    for (size_t i = 0; i < req->n; i++) {
        struct task_result res = keep(o, &req->list[i]);
        struct o_task *t = oracle_task(o, res.lease.task);

        if (repeats(req, from, i)) {
            oracle_settle(o, &ends);
            from = i;
        }
        if (t && t->token && t->token == res.lease.token)
            oracle_end(o, t, &res, true, &ends);
        else
            reply->list[i] = judge_ended(o, &res);
    }
    oracle_settle(o, &ends);
    return 0;
}

int oracle_task_release(struct oracle *o, const struct task_release *req, struct task_codes *reply)
{
    struct task_result *list = ARENA_ARRAY(&o->arena, struct task_result, req->n);

    for (size_t i = 0; i < req->n; i++)
        list[i] = (struct task_result){
            .lease = req->list[i], .outcome = OUTCOME_REJECTED, .exit_code = -1};
    return oracle_task_complete(o, &(struct task_complete){list, req->n}, reply);
}

static bool over(const struct o_worker *w)
{
    return w->row.state == WORKER_LOST || w->row.state == WORKER_GONE;
}

int oracle_worker_register(struct oracle *o, const struct worker_register *req,
                           struct worker_row *reply)
{
    struct o_worker *w;

    if (bad_name(req->name) || req->slots < 1 || req->slots > WORKER_SLOTS_MAX ||
        req->ttl_us < WORKER_TTL_US_MIN || req->ttl_us > WORKER_TTL_US_MAX)
        return oracle_refuse(o, CODE_INVALID);
    if (req->run && !oracle_run(o, req->run))
        return oracle_refuse(o, CODE_RUN_NOT_FOUND);
    for (size_t i = 0; i < o->s.worker_n; i++) {
        if (req->run && o->s.worker[i].row.run == req->run && !over(&o->s.worker[i]))
            return oracle_refuse(o, CODE_RUN_HELD);
    }
    w = O_ADD(o, worker);
    w->row = (struct worker_row){
        .incarnation = oracle_id(o),
        .name = str_copy(&o->arena, req->name),
        .kind = str_copy(&o->arena, req->kind),
        .host = str_copy(&o->arena, req->host),
        .boot = str_copy(&o->arena, req->boot),
        .site = str_copy(&o->arena, req->site),
        .pid = req->pid,
        .pid_start = req->pid_start,
        .slots = req->slots,
        .ttl_us = req->ttl_us,
        .beat_at = o->now,
        .joined_at = o->now,
        .run = req->run,
        .state = WORKER_READY,
    };
    *reply = w->row;
    w->reason = STR("");
    oracle_event(
        o, req->run, NULL, STR("worker_READY"),
        str_printf(&o->arena, "{\"worker\":\"%" PRId64 "\",\"reason\":\"\"}", w->row.incarnation));
    return 0;
}

/* Put a worker into a state; an event where it is another one. */
static void put_worker(struct oracle *o, struct o_worker *w, enum worker_state to,
                       struct str reason)
{
    enum worker_state from = w->row.state;
    struct buf b;

    w->row.state = to;
    w->reason = reason;
    if (to == WORKER_LOST || to == WORKER_GONE)
        w->ended_at = o->now;
    if (to == from)
        return;
    buf_init(&b, 10000);
    buf_printf(&b, "{\"worker\":\"%" PRId64 "\",\"reason\":", w->row.incarnation);
    buf_json(&b, reason);
    buf_byte(&b, '}');
    oracle_event(o, w->row.run, NULL,
                 str_printf(&o->arena, "worker_" STR_FMT, STR_ARG(worker_state_text(to))),
                 str_copy(&o->arena, buf_str(&b)));
    buf_deinit(&b);
}

int oracle_worker_beat(struct oracle *o, const int64_t *incarnation,
                       struct worker_beat_reply *reply)
{
    struct o_worker *w = oracle_worker(o, *incarnation);

    *reply = (struct worker_beat_reply){0};
    if (!w || over(w))
        return oracle_refuse(o, w ? CODE_WORKER_LOST : CODE_WORKER_NOT_FOUND);
    w->row.beat_at = o->now;
    put_worker(o, w, w->row.state == WORKER_DRAINING ? WORKER_DRAINING : WORKER_READY, STR(""));
    reply->state = w->row.state;
    reply->stop = ARENA_ARRAY(&o->arena, struct lease_ref, o->s.task_n);
    for (size_t i = 0; i < o->s.task_n; i++) {
        const struct o_task *t = &o->s.task[i];

        if (t->state == TASK_RUNNING && t->worker == *incarnation && t->cancel)
            reply->stop[reply->stop_n++] = (struct lease_ref){t->id, t->token};
    }
    return 0;
}

int oracle_worker_drain(struct oracle *o, const int64_t *incarnation, struct worker_row *reply)
{
    struct o_worker *w = oracle_worker(o, *incarnation);

    if (!w || over(w))
        return oracle_refuse(o, w ? CODE_WORKER_LOST : CODE_WORKER_NOT_FOUND);
    put_worker(o, w, WORKER_DRAINING, STR("drained"));
    *reply = w->row;
    return 0;
}

/* What a worker holds ends as lost. */
static void lose_held(struct oracle *o, const struct o_worker *w, struct str reason,
                      struct o_ids *ends, struct worker_lose_reply *reply)
{
    const struct task_result lost = {
        .outcome = OUTCOME_LOST, .reason = TASK_REASON_LOST, .message = reason, .exit_code = -1};

    reply->tasks = ARENA_ARRAY(&o->arena, int64_t, o->s.task_n);
    reply->names = ARENA_ARRAY(&o->arena, struct str, o->s.task_n);
    for (size_t i = 0; i < o->s.task_n; i++) {
        struct o_task *t = &o->s.task[i];

        if (t->state != TASK_RUNNING || t->worker != w->row.incarnation)
            continue;
        reply->tasks[reply->n] = t->id;
        reply->names[reply->n++] = t->name;
        oracle_end(o, t, &lost, false, ends);
    }
}

/* What it holds, and then the worker. */
static void lose(struct oracle *o, struct o_worker *w, enum worker_state to, struct str reason,
                 struct worker_lose_reply *reply)
{
    struct str kept = str_copy(&o->arena, reason);
    struct o_ids ends = {0};

    lose_held(o, w, kept, &ends, reply);
    oracle_settle(o, &ends);
    put_worker(o, w, to, kept);
}

int oracle_worker_leave(struct oracle *o, const int64_t *incarnation, struct worker_row *reply)
{
    struct o_worker *w = oracle_worker(o, *incarnation);
    struct worker_lose_reply lost = {0};

    if (!w)
        return oracle_refuse(o, CODE_WORKER_NOT_FOUND);
    if (!over(w))
        lose(o, w, WORKER_GONE, STR("the worker left"), &lost);
    *reply = w->row;
    return 0;
}

int oracle_worker_lose(struct oracle *o, const struct worker_lose *req,
                       struct worker_lose_reply *reply)
{
    struct o_worker *w = oracle_worker(o, req->incarnation);

    *reply = (struct worker_lose_reply){0};
    if (!w)
        return oracle_refuse(o, CODE_WORKER_NOT_FOUND);
    if (!over(w) && req->beat_at && req->beat_at != w->row.beat_at)
        return oracle_refuse(o, CODE_WORKER_ALIVE);
    if (!over(w))
        lose(o, w, WORKER_LOST, req->reason, reply);
    return 0;
}

int oracle_worker_list(struct oracle *o, const void *unused, struct worker_rows *reply)
{
    (void)unused;
    *reply = (struct worker_rows){.list = ARENA_ARRAY(&o->arena, struct worker_row, o->s.worker_n)};
    for (size_t i = 0; i < o->s.worker_n; i++) {
        if (over(&o->s.worker[i]))
            continue;
        reply->list[reply->n] = o->s.worker[i].row;
        reply->list[reply->n].busy = oracle_held(o, 0, o->s.worker[i].row.incarnation);
        reply->n++;
    }
    return 0;
}

int64_t oracle_silent(const struct oracle *o)
{
    int64_t n = 0;

    for (size_t i = 0; i < o->s.worker_n; i++) {
        const struct worker_row *w = &o->s.worker[i].row;

        n += !over(&o->s.worker[i]) && w->beat_at + w->ttl_us < o->now;
    }
    return n;
}

static struct o_task *next_due(const struct oracle *o)
{
    struct o_task *next = NULL;

    for (size_t i = 0; i < o->s.task_n; i++) {
        struct o_task *t = &o->s.task[i];

        if (t->state == TASK_DELAYED && (!next || t->due_at < next->due_at))
            next = t;
    }
    return next;
}

/* One that is late is suspected; of one that is silent it is told whether it is to be lost. */
static bool watch(struct oracle *o, struct o_worker *w, struct reaper_reply *reply)
{
    int64_t silent_us = o->now - w->row.beat_at;
    bool local = str_eq(w->row.kind, STR("local"));

    if (over(w) || silent_us <= 0)
        return false;
    if (silent_us >= w->row.ttl_us && local) {
        reply->silent_local.list[reply->silent_local.n] = w->row;
        reply->silent_local.list[reply->silent_local.n++].busy =
            oracle_held(o, 0, w->row.incarnation);
    } else if (silent_us >= w->row.ttl_us) {
        return true;
    } else if (silent_us * 5 >= w->row.ttl_us * 2 && w->row.state == WORKER_READY) {
        put_worker(o, w, WORKER_SUSPECT, STR("quiet"));
    }
    return false;
}

/* The silent are lost together: all that they hold, and then they. */
static void watch_all(struct oracle *o, struct reaper_reply *reply)
{
    struct o_worker **silent = ARENA_ARRAY(&o->arena, struct o_worker *, o->s.worker_n);
    struct str reason = STR("its heartbeat stopped");
    struct worker_lose_reply lost;
    struct o_ids ends = {0};

    for (size_t i = 0; i < o->s.worker_n; i++)
        if (watch(o, &o->s.worker[i], reply))
            silent[reply->lost++] = &o->s.worker[i];
    for (int64_t i = 0; i < reply->lost; i++) {
        lost = (struct worker_lose_reply){0};
        lose_held(o, silent[i], reason, &ends, &lost);
    }
    oracle_settle(o, &ends);
    for (int64_t i = 0; i < reply->lost; i++)
        put_worker(o, silent[i], WORKER_LOST, reason);
}

int oracle_reaper_scan(struct oracle *o, const void *unused, struct reaper_reply *reply)
{
    const struct task_result late = {.outcome = OUTCOME_TIMED_OUT,
                                     .reason = TASK_REASON_TIMED_OUT,
                                     .message = STR("the deadline of the attempt passed"),
                                     .exit_code = -1};
    struct o_ids ends = {0};
    struct o_task *t;

    (void)unused;
    *reply = (struct reaper_reply){0};
    while ((t = next_due(o)) && t->due_at <= o->now) {
        oracle_put(o, t, TASK_READY, STR("waiting_for_worker"), STR(""), NULL);
        reply->promoted++;
    }
    for (size_t i = 0; i < o->s.task_n; i++) {
        t = &o->s.task[i];
        if (t->state != TASK_RUNNING || !t->deadline_at || t->deadline_at > o->now ||
            str_eq(oracle_worker(o, t->worker)->row.kind, STR("local")))
            continue;
        oracle_end(o, t, &late, false, &ends);
        reply->timed_out++;
    }
    oracle_settle(o, &ends);
    reply->silent_local.list = ARENA_ARRAY(&o->arena, struct worker_row, o->s.worker_n);
    watch_all(o, reply);
    t = next_due(o);
    reply->next_due_at = t ? t->due_at : 0;
    return 0;
}
