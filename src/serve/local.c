/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/local.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"
#include "engine/reaper.h"
#include "engine/run.h"
#include "engine/task.h"
#include "serve/launch.h"
#include "serve/logs.h"
#include "serve/rescue.h"

#define LOCAL_TEXT_BYTES   1024u
#define LOCAL_KILL_WAIT_US (3 * CLOCK_S) /* after the last process is dead */

/* Taking tasks ahead: as many as are likely to start within AHEAD_US, so that processes need not
 * wait for commits, and a commit brings many. One that has waited for AHEAD_RELEASE_US while no
 * task ended is given back, in any case after AHEAD_MOST_US. While enough wait, results are
 * gathered for FLUSH_US. */
#define AHEAD_US         (20 * CLOCK_MS)
#define AHEAD_RELEASE_US (100 * CLOCK_MS)
#define AHEAD_MOST_US    CLOCK_S
#define FLUSH_US         (10 * CLOCK_MS)
#define AHEAD_UNKNOWN_US CLOCK_S /* what a task takes, before one has ended */

enum phase { PHASE_JOINING, PHASE_WORKING, PHASE_LOST, PHASE_FAILED, PHASE_LEAVING, PHASE_OVER };

/* What is asked of the store, each at most once at a time, in the order in which a post brings it.
 */
enum op { OP_JOIN, OP_CANCEL, OP_COMPLETE, OP_BEAT, OP_SCAN, OP_CLAIM, OP_LOOK, OP_LEAVE, OP_N };

/* A lease that we hold. */
enum held_state {
    HELD_RESOLVING, /* the outputs that it refers to are being read */
    HELD_QUEUED,    /* to be started */
    HELD_RUNNING,   /* with the executor */
};

struct held {
    struct list link;  /* QUEUED: in the order of starting; in the pool */
    struct list among; /* all that are held */
    struct local *local;
    enum held_state state;
    int64_t claimed_us, started_us; /* monotonic */
    bool stop;                      /* asked for while RESOLVING */
    bool fenced;                    /* stopped by ourselves, since the store might take it away */
    struct arena arena;
    struct task_lease lease;
    struct launch launch;
    struct run_outputs names;
    struct run_outputs_reply outputs;
    struct batcher_request request;
};

/* Attempts that ended, until the store has them. */
struct results {
    struct arena arena;
    struct task_result *list;
    size_t n, cap;
};

struct scan_reply {
    struct reaper_reply reaper;
    enum store_backend store;
    int64_t now;
};

struct claim_reply {
    struct task_leases leases;
    int64_t now;
};

struct local {
    struct local_options o;
    struct executor *executor;
    struct launch_base base;
    enum phase phase;
    int64_t incarnation;

    struct batcher_request requests[OP_N];
    bool busy[OP_N];
    unsigned held_requests; /* of leases, under way */
    struct worker_register join;
    struct worker_row joined;
    struct task_complete complete;
    struct task_codes completed;
    struct worker_beat_reply beat;
    struct scan_reply scan;
    struct task_claim claim;
    struct claim_reply claimed;
    struct run_get look;
    struct run_view seen;
    struct run_row cancelled;
    struct worker_row left;

    struct map *held; /* token -> struct held */
    struct list all;
    struct list queue;
    size_t queue_n;
    struct list pool; /* of struct held, for reuse */
    struct rescue rescue;
    struct results results, sent;
    bool want_scan, want_claim, want_look, want_cancel, want_beat;
    int64_t task_us;    /* what a task takes: a running mean */
    int64_t last_done;  /* when one ended */
    int64_t results_us; /* since when the oldest result waits */
    bool killed;
    int64_t idle_since; /* killed and nothing left: since when the store has not answered */
    int64_t beat_posted, beat_good;

    uv_prepare_t prepare; /* posts what a loop turn has gathered */
    uv_idle_t idle;       /* while there is more to start */
    uv_timer_t tick;
    uv_timer_t due;
    uv_timer_t flush;  /* the oldest result, or the oldest task taken ahead, has waited enough */
    unsigned closed_n; /* of these */

    enum code code; /* why it failed */
    struct buf text;
};

/* Requests. */

static int run_scan(struct tx *tx, const void *request, void *reply)
{
    struct scan_reply *s = reply;

    s->now = tx->now;
    s->store = store_backend(tx->store);
    return reaper_scan(tx, request, &s->reaper);
}

static int run_take(struct tx *tx, const void *request, void *reply)
{
    struct claim_reply *c = reply;

    c->now = tx->now;
    return task_claim(tx, request, &c->leases);
}

BATCHER_FUNCTION(run_join, worker_register)
BATCHER_FUNCTION(run_cancel_call, run_cancel)
BATCHER_FUNCTION(run_complete, task_complete)
BATCHER_FUNCTION(run_beat, worker_beat)
BATCHER_FUNCTION(run_look, run_get)
BATCHER_FUNCTION(run_leave, worker_leave)
BATCHER_FUNCTION(run_outputs_call, run_outputs)

static void join_done(struct local *l, const struct batcher_answer *answer);
static void cancel_done(struct local *l, const struct batcher_answer *answer);
static void complete_done(struct local *l, const struct batcher_answer *answer);
static void beat_done(struct local *l, const struct batcher_answer *answer);
static void scan_done(struct local *l, const struct batcher_answer *answer);
static void claim_done(struct local *l, const struct batcher_answer *answer);
static void look_done(struct local *l, const struct batcher_answer *answer);
static void leave_done(struct local *l, const struct batcher_answer *answer);

#define OP_FIELDS(request_, reply_)                                                                \
    .request = offsetof(struct local, request_), .reply = offsetof(struct local, reply_),          \
    .reply_size = sizeof(((struct local *)NULL)->reply_)

static const struct op_row {
    batcher_function *function;
    void (*done)(struct local *l, const struct batcher_answer *answer);
    size_t request, reply, reply_size;
} op_rows[OP_N] = {
    [OP_JOIN] = {run_join,        join_done,     OP_FIELDS(join,        joined)   },
    [OP_CANCEL] = {run_cancel_call, cancel_done,   OP_FIELDS(o.run,       cancelled)},
    [OP_COMPLETE] = {run_complete,    complete_done, OP_FIELDS(complete,    completed)},
    [OP_BEAT] = {run_beat,        beat_done,     OP_FIELDS(incarnation, beat)     },
    [OP_SCAN] = {run_scan,        scan_done,     OP_FIELDS(incarnation, scan)     },
    [OP_CLAIM] = {run_take,        claim_done,    OP_FIELDS(claim,       claimed)  },
    [OP_LOOK] = {run_look,        look_done,     OP_FIELDS(look,        seen)     },
    [OP_LEAVE] = {run_leave,       leave_done,    OP_FIELDS(incarnation, left)     },
};

static void op_answered(struct batcher_request *q)
{
    struct local *l = q->context;
    enum op op = (enum op)(q - l->requests);

    l->busy[op] = false;
    op_rows[op].done(l, &q->answer);
}

static bool ops_busy(const struct local *l)
{
    bool busy = false;

    for (size_t i = 0; i < OP_N; i++)
        busy = busy || l->busy[i];
    return busy;
}

/* What a loop turn posts together. */
struct post {
    struct batcher_request *list[OP_N];
    size_t n;
};

static void post_add(struct local *l, struct post *post, enum op op)
{
    const struct op_row *row = &op_rows[op];
    struct batcher_request *q = &l->requests[op];

    assert(!l->busy[op]);
    l->busy[op] = true;
    q->function = row->function;
    q->request = (char *)l + row->request;
    q->reply = (char *)l + row->reply;
    q->reply_size = row->reply_size;
    q->patience_us = BATCHER_FOR_EVER;
    q->home = l->o.home;
    q->done = op_answered;
    q->context = l;
    post->list[post->n++] = q;
}

static void post_send(struct local *l, struct post *post)
{
    if (post->n)
        batcher_post(l->o.writer, post->list, post->n);
}

/* Phases. */

static size_t held_n(const struct local *l)
{
    return map_count(l->held);
}

static void drop_queue(struct local *l);

/* Give up: stop what runs, and say why when it is dead. The first reason counts. */
static void fail(struct local *l, enum code code, struct str text)
{
    if (l->phase == PHASE_FAILED || l->phase == PHASE_OVER)
        return;
    l->phase = PHASE_FAILED;
    l->code = code;
    buf_add(&l->text, str_sub(text, 0, LOCAL_TEXT_BYTES));
    drop_queue(l);
    executor_stop_all(l->executor, l->killed ? EXECUTOR_KILL : EXECUTOR_TERM);
}

static void over(struct local *l)
{
    struct str text = buf_str(&l->text);

    l->phase = PHASE_OVER;
    l->rescue.stopped = true;
    uv_prepare_stop(&l->prepare);
    uv_idle_stop(&l->idle);
    uv_timer_stop(&l->tick);
    uv_timer_stop(&l->due);
    uv_timer_stop(&l->flush);
    l->o.events.over(l->o.events.context, l->code, text);
}

/* Leases. */

static struct held *held_new(struct local *l, const struct task_lease *lease)
{
    struct held *h;

    if (list_empty(&l->pool)) {
        h = memory_new(sizeof(*h));
    } else {
        struct arena arena;

        h = LIST_OF(l->pool.next, struct held, link);
        list_del(&h->link);
        arena = h->arena;
        *h = (struct held){.arena = arena};
    }
    list_init(&h->link);
    list_add(&l->all, &h->among);
    h->local = l;
    h->claimed_us = l->requests[OP_CLAIM].begun_us;
    h->lease = *lease;
    h->lease.name = str_copy(&h->arena, lease->name);
    map_add(l->held, map_key((const uint64_t *)&h->lease.token), (uint64_t)(uintptr_t)h);
    return h;
}

static void held_free(struct held *h)
{
    struct local *l = h->local;

    if (h->state == HELD_QUEUED)
        l->queue_n--;
    map_del(l->held, map_key((const uint64_t *)&h->lease.token));
    launch_deinit(&h->launch);
    arena_deinit(&h->request.arena);
    arena_reset(&h->arena);
    list_del(&h->among);
    list_del(&h->link);
    list_add(&l->pool, &h->link);
}

static struct held *held_find(const struct local *l, int64_t token)
{
    uint64_t key = (uint64_t)token, value;

    return map_get(l->held, map_key(&key), &value) ? (struct held *)(uintptr_t)value : NULL;
}

static struct task_result *results_add(struct results *r)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;

        r->list = arena_grow(&r->arena, r->list, r->cap * sizeof(*r->list), cap * sizeof(*r->list));
        r->cap = cap;
    }
    return &r->list[r->n++];
}

static void results_clear(struct results *r)
{
    arena_reset(&r->arena);
    r->list = NULL;
    r->n = r->cap = 0;
}

/* A sentence may quote what has no limit of its own. */
static struct str message_copy(struct arena *a, struct str s)
{
    if (s.n > TASK_MESSAGE_BYTES_MAX) {
        s.n = TASK_MESSAGE_BYTES_MAX;
        while (!str_utf8(s, NULL))
            s.n--;
    }
    return str_copy(a, s);
}

/* The attempt has ended: keep the result for the next post, and let go of the lease. */
static void held_end(struct held *h, const struct task_result *result)
{
    struct local *l = h->local;

    if (l->phase == PHASE_WORKING) {
        struct task_result *kept = results_add(&l->results);

        if (l->results.n == 1)
            l->results_us = clock_monotonic();
        *kept = *result;
        kept->lease = (struct lease_ref){.task = h->lease.task, .token = h->lease.token};
        kept->start_wait_us = h->started_us ? h->started_us - h->claimed_us : 0;
        kept->message = message_copy(&l->results.arena, result->message);
        kept->stderr_tail = str_copy(&l->results.arena, result->stderr_tail);
        kept->output = str_copy(&l->results.arena, result->output);
    }
    l->want_claim = true;
    held_free(h);
}

/* An attempt that never became a process. */
static void held_refuse(struct held *h, enum outcome outcome, enum task_reason reason,
                        struct str message)
{
    struct task_result result = {
        .outcome = outcome, .reason = reason, .message = message, .exit_code = -1};

    held_end(h, &result);
}

/* One that ran has had its effects and counts; one that did not is given back. */
static void held_fence(struct held *h)
{
    held_refuse(h, h->state == HELD_RUNNING ? OUTCOME_LOST : OUTCOME_REJECTED, TASK_REASON_LOST,
                STR("weft could not reach the store, and stopped the task before another machine "
                    "could take it"));
}

static void held_queue(struct held *h)
{
    struct local *l = h->local;

    h->state = HELD_QUEUED;
    list_add(&l->queue, &h->link);
    l->queue_n++;
}

static void outputs_answered(struct batcher_request *q)
{
    struct held *h = q->context;
    struct local *l = h->local;

    l->held_requests--;
    if (l->phase != PHASE_WORKING) {
        held_free(h);
    } else if (h->fenced) {
        held_fence(h);
    } else if (h->stop) {
        held_refuse(h, OUTCOME_CANCELLED, TASK_REASON_CANCELLED,
                    STR("it was cancelled before it started"));
    } else if (q->answer.code != CODE_OK) {
        held_refuse(h, OUTCOME_FAILED, TASK_REASON_REFERENCE,
                    str_printf(&h->arena,
                               "the outputs that it refers to could not be read: " STR_FMT,
                               STR_ARG(q->answer.text)));
    } else {
        launch_outputs(&h->arena, &h->launch, h->outputs.outputs);
        held_queue(h);
    }
}

/* Read the outputs that the task refers to. */
static void held_resolve(struct held *h)
{
    struct local *l = h->local;
    struct batcher_request *q = &h->request;

    h->state = HELD_RESOLVING;
    h->names =
        (struct run_outputs){.run = l->o.run, .names = h->launch.names, .n = h->launch.names_n};
    q->function = run_outputs_call;
    q->request = &h->names;
    q->reply = &h->outputs;
    q->reply_size = sizeof(h->outputs);
    q->patience_us = BATCHER_FOR_EVER;
    q->home = l->o.home;
    q->done = outputs_answered;
    q->context = h;
    l->held_requests++;
    batcher_post(l->o.reader, &q, 1);
}

static void held_take(struct local *l, const struct task_lease *lease)
{
    struct held *h = held_new(l, lease);
    struct str error = {0};

    if (launch_read(&h->arena, lease->payload, &h->launch, &error))
        held_refuse(h, OUTCOME_FAILED, TASK_REASON_SPAWN_FAILED, error);
    else if (h->launch.names_n)
        held_resolve(h);
    else
        held_queue(h);
}

static void held_start(struct held *h)
{
    struct local *l = h->local;
    enum task_reason reason;
    struct str error = {0};
    struct job job;

    h->started_us = clock_monotonic();
    /* Its time begins now, not when it was claimed. */
    if (h->lease.deadline_at)
        h->lease.deadline_at += h->started_us - h->claimed_us;
    if (launch_job(&h->arena, &h->launch, &l->base, &h->lease, &job, &reason, &error)) {
        held_refuse(h, OUTCOME_FAILED, reason, error);
        return;
    }
    list_del(&h->link);
    l->queue_n--;
    h->state = HELD_RUNNING;
    launch_base_scratch(&l->base);
    executor_start(l->executor, &job);
    /* The process has its arguments; they may be large. */
    launch_deinit(&h->launch);
}

static void held_stop(struct held *h)
{
    if (h->state == HELD_RUNNING)
        executor_stop(h->local->executor, h->lease.token, EXECUTOR_TERM);
    else if (h->state == HELD_QUEUED)
        held_refuse(h, OUTCOME_CANCELLED, TASK_REASON_CANCELLED,
                    STR("it was cancelled before it started"));
    else
        h->stop = true;
}

static struct held *queue_first(struct local *l)
{
    return LIST_OF(l->queue.next, struct held, link);
}

static void drop_queue(struct local *l)
{
    while (!list_empty(&l->queue))
        held_free(queue_first(l));
}

/* What the executor says. */

static void job_done(void *context, int64_t token, const struct job_result *job)
{
    struct local *l = context;
    struct held *h = held_find(l, token);
    struct task_result result = {
        .outcome = job->outcome,
        .reason = job->reason,
        .message = job->message,
        .exit_code = job->exit_code,
        .signal = job->signal,
        .run_us = job->run_us,
        .cpu_us = job->cpu_us,
        .max_rss_bytes = job->max_rss_bytes,
        .stderr_tail = job->stderr_tail,
        .output = job->output,
    };

    assert(h);
    l->last_done = clock_monotonic();
    l->task_us += (l->last_done - h->started_us - l->task_us) / 8;
    if (h->fenced)
        held_fence(h);
    else
        held_end(h, &result);
}

static void job_line(void *context, int64_t token, struct str line)
{
    struct local *l = context;
    struct held *h = held_find(l, token);

    if (h && l->o.events.line)
        l->o.events.line(l->o.events.context, h->lease.task, line);
}

static void job_progress(void *context, int64_t token, int percent, struct str text)
{
    struct local *l = context;
    struct held *h = held_find(l, token);

    if (h && l->o.events.progress)
        l->o.events.progress(l->o.events.context, h->lease.task, percent, text);
}

/* The store no longer counts us in: whatever we do now is not ours to do. */
static void lost(struct local *l)
{
    if (l->phase != PHASE_WORKING)
        return;
    log_say(LOG_WARNING, "worker_lost", LOG_NUMBER("worker", l->incarnation),
            LOG_NUMBER("tasks", held_n(l)));
    l->phase = PHASE_LOST;
    results_clear(&l->results);
    executor_stop_all(l->executor, EXECUTOR_KILL);
    drop_queue(l);
    logs_scratch_remove(l->o.data, l->incarnation);
}

/* Answers. Whatever waiting could cure has been waited for, so that a refusal is for good. */

static void refused(struct local *l, const struct batcher_answer *answer)
{
    if (answer->code == CODE_WORKER_LOST)
        lost(l);
    else
        fail(l, answer->code, answer->text);
}

static void join_done(struct local *l, const struct batcher_answer *answer)
{
    int r;

    if (l->phase != PHASE_JOINING)
        return;
    if (answer->code != CODE_OK) {
        fail(l, answer->code, answer->text);
        return;
    }
    l->incarnation = l->joined.incarnation;
    l->beat_good = clock_monotonic();
    r = launch_base_folders(&l->base, l->o.run, l->incarnation);
    if (r) {
        fault_take();
        fail(l, batcher_code(r),
             str_printf(&l->requests[OP_JOIN].arena,
                        "the folders for logs below %s cannot be made: %s", l->o.data,
                        strerror(-r)));
        return;
    }
    l->phase = PHASE_WORKING;
    l->want_claim = l->want_scan = true;
}

static void cancel_done(struct local *l, const struct batcher_answer *answer)
{
    if (answer->code != CODE_OK && answer->code != CODE_RUN_ENDED) {
        refused(l, answer);
        return;
    }
    l->want_beat = l->want_look = true; /* which tasks to stop; and perhaps none was left */
}

static void complete_done(struct local *l, const struct batcher_answer *answer)
{
    if (answer->code != CODE_OK)
        refused(l, answer);
    else if (l->killed && held_n(l) == 0)
        l->want_look = true;
    for (size_t i = 0; answer->code == CODE_OK && i < l->completed.n; i++) {
        if (l->completed.list[i] != CODE_OK)
            log_say(LOG_WARNING, "completion_refused",
                    LOG_NUMBER("task", l->sent.list[i].lease.task),
                    LOG_NUMBER("token", l->sent.list[i].lease.token),
                    LOG_TEXT("code", code_text(l->completed.list[i])));
    }
    results_clear(&l->sent);
}

static void beat_done(struct local *l, const struct batcher_answer *answer)
{
    if (answer->code == CODE_WORKER_LOST) {
        lost(l);
        return;
    }
    if (answer->code != CODE_OK)
        return; /* the fence is what counts the silence */
    l->beat_good = l->beat_posted;
    for (size_t i = 0; i < l->beat.stop_n; i++) {
        struct held *h = held_find(l, l->beat.stop[i].token);

        if (h)
            held_stop(h);
    }
}

static void due_now(uv_timer_t *timer)
{
    struct local *l = timer->data;

    l->want_scan = l->want_claim = true;
}

/* Look again when a task that waits for its time can go. One whose time has come and that the scan
 * left is in somebody else's hands, and the next tick finds it: looking at once would not help. */
static void wake_at(struct local *l, int64_t due_at, int64_t now)
{
    int64_t wait_us = due_at - now;

    if (!due_at || wait_us <= 0)
        return;
    if (uv_is_active((uv_handle_t *)&l->due) &&
        (int64_t)uv_timer_get_due_in(&l->due) * CLOCK_MS <= wait_us)
        return;
    uv_timer_start(&l->due, due_now, (uint64_t)(wait_us / CLOCK_MS + 1), 0);
}

static void scan_done(struct local *l, const struct batcher_answer *answer)
{
    const struct reaper_reply *s = &l->scan.reaper;

    if (answer->code != CODE_OK || l->phase != PHASE_WORKING)
        return;
    if (s->more)
        l->want_scan = true;
    if (s->promoted || s->timed_out || s->lost)
        l->want_claim = true;
    wake_at(l, s->next_due_at, l->scan.now);
    for (size_t i = 0; i < s->silent_local.n; i++) {
        const struct worker_row *w = &s->silent_local.list[i];
        enum recover_verdict verdict = recover_judge(w, &l->o.self, l->scan.store, l->scan.now);

        if (verdict != RECOVER_ALIVE && w->incarnation != l->incarnation)
            rescue_begin(&l->rescue, w, verdict);
    }
}

static void claim_done(struct local *l, const struct batcher_answer *answer)
{
    const struct task_leases *leases = &l->claimed.leases;

    if (answer->code != CODE_OK) {
        refused(l, answer);
        return;
    }
    if (l->phase != PHASE_WORKING)
        return; /* taken while we gave up: the next program gets them */
    for (size_t i = 0; i < leases->n; i++)
        held_take(l, &leases->list[i]);
    if (leases->n == (size_t)l->claim.max)
        return;
    wake_at(l, leases->next_due_at, l->claimed.now);
    if (held_n(l) == 0)
        l->want_look = true;
}

static void look_done(struct local *l, const struct batcher_answer *answer)
{
    if (answer->code != CODE_OK) {
        refused(l, answer);
        return;
    }
    if (l->phase == PHASE_WORKING && run_final(l->seen.run.state) && held_n(l) == 0 &&
        l->results.n == 0 && !l->busy[OP_COMPLETE])
        l->phase = PHASE_LEAVING;
}

static void leave_done(struct local *l, const struct batcher_answer *answer)
{
    if (l->phase != PHASE_LEAVING)
        return;
    /* One that did not get through is found dead by the next program; the run has ended all the
     * same. */
    if (answer->code != CODE_OK)
        log_say(LOG_WARNING, "worker_left_unheard", LOG_TEXT("text", answer->text));
    logs_scratch_remove(l->o.data, l->incarnation);
    over(l);
}

/* The loop. */

static size_t running_n(const struct local *l)
{
    return executor_busy(l->executor);
}

static bool may_start(const struct local *l)
{
    return l->phase == PHASE_WORKING && !list_empty(&l->queue) && running_n(l) < l->o.slots;
}

static void go_round(uv_idle_t *idle)
{
    (void)idle; /* an idle handle keeps the loop from sleeping */
}

/* One process a turn, so that the ends of others are seen between. */
static void start_one(struct local *l)
{
    if (may_start(l))
        held_start(queue_first(l));
    if (may_start(l))
        uv_idle_start(&l->idle, go_round);
    else
        uv_idle_stop(&l->idle);
}

/* Tasks end and others start, even if not as fast as they did. */
static bool flows(const struct local *l)
{
    return clock_monotonic() - l->last_done < AHEAD_RELEASE_US / 2;
}

/* How many tasks to hold beyond those that can run: none where tasks are not short. */
static size_t ahead_n(const struct local *l)
{
    int64_t n = l->o.slots * AHEAD_US / (l->task_us + 1);

    if (!flows(l))
        return 0;
    return n < LOCAL_AHEAD_MAX ? (size_t)n : LOCAL_AHEAD_MAX;
}

/* Give back what was taken ahead and does not get its turn: other tasks take longer than it seemed.
 */
static void release_late(struct local *l)
{
    int64_t now = clock_monotonic();
    size_t may_run = l->o.slots - running_n(l);

    while (l->queue_n > may_run) {
        struct held *last = LIST_OF(l->queue.prev, struct held, link);

        if (now - last->claimed_us < (flows(l) ? AHEAD_MOST_US : AHEAD_RELEASE_US))
            break;
        held_refuse(last, OUTCOME_REJECTED, TASK_REASON_NONE, STR(""));
        l->task_us = AHEAD_UNKNOWN_US;
        l->want_claim = false;
    }
}

static void flush_now(uv_timer_t *timer)
{
    release_late(timer->data); /* and the loop turns, which posts */
}

/* Whether to post now what has ended, or to gather more of it: nobody waits for it while there is
 * enough to start. */
static bool post_due(struct local *l)
{
    if (l->queue_n <= ahead_n(l) / 2)
        return true;
    if (l->results.n && clock_monotonic() - l->results_us >= FLUSH_US)
        return true;
    if (!uv_is_active((uv_handle_t *)&l->flush))
        uv_timer_start(&l->flush, flush_now, FLUSH_US / CLOCK_MS, 0);
    return false;
}

/* What ended goes first, so that the claim behind it finds the slots free and the next tasks ready.
 */
static void post_work(struct local *l)
{
    struct post post = {.n = 0};
    size_t room = l->o.slots + ahead_n(l);
    size_t free_n = room > held_n(l) ? room - held_n(l) : 0;

    if (l->want_cancel && !l->busy[OP_CANCEL]) {
        post_add(l, &post, OP_CANCEL);
        l->want_cancel = false;
    }
    if (!l->busy[OP_COMPLETE] && !l->busy[OP_CLAIM] && !l->busy[OP_SCAN] && post_due(l)) {
        if (l->results.n) {
            struct results sent = l->results;

            l->results = l->sent;
            l->sent = sent;
            l->complete = (struct task_complete){.list = l->sent.list, .n = l->sent.n};
            post_add(l, &post, OP_COMPLETE);
        }
        if (l->want_scan)
            post_add(l, &post, OP_SCAN);
        if (l->want_claim && free_n && !l->killed) {
            l->claim = (struct task_claim){
                .worker = l->incarnation, .run = l->o.run, .max = (int64_t)free_n};
            post_add(l, &post, OP_CLAIM);
        }
        l->want_scan = l->want_claim = false;
    }
    if (l->want_look && !l->busy[OP_LOOK] && held_n(l) == 0) {
        l->look = (struct run_get){.id = l->o.run};
        post_add(l, &post, OP_LOOK);
        l->want_look = false;
    }
    if (l->want_beat && !l->busy[OP_BEAT]) {
        post_add(l, &post, OP_BEAT);
        l->beat_posted = clock_monotonic();
        l->want_beat = false;
    }
    post_send(l, &post);
}

static void post_one(struct local *l, enum op op)
{
    struct post post = {.n = 0};

    if (l->busy[op])
        return;
    post_add(l, &post, op);
    post_send(l, &post);
}

/* Nobody may take our tasks before this: stop them all ourselves. */
static void fence(struct local *l)
{
    LIST_EACH_SAFE(link, &l->all)
    {
        struct held *h = LIST_OF(link, struct held, among);

        if (h->fenced)
            continue;
        h->fenced = true;
        if (h->state == HELD_RUNNING)
            executor_stop(l->executor, h->lease.token, EXECUTOR_KILL);
        else if (h->state == HELD_QUEUED)
            held_fence(h);
    }
}

/* Killed, nothing is left, and the store does not take it down: do not wait for ever. */
static void judge_kill(struct local *l)
{
    int64_t now = clock_monotonic();

    if (!l->killed || held_n(l)) {
        l->idle_since = 0;
        return;
    }
    l->want_look = true;
    if (!l->idle_since)
        l->idle_since = now;
    if (now - l->idle_since > LOCAL_KILL_WAIT_US)
        fail(l, CODE_STORE_UNAVAILABLE,
             STR("the tasks were killed, but the store does not answer; `weft runs resume` goes on "
                 "from what it knows"));
}

static void turn(uv_prepare_t *prepare)
{
    struct local *l = prepare->data;

    switch (l->phase) {
    case PHASE_JOINING:
        post_one(l, OP_JOIN);
        break;
    case PHASE_WORKING:
        post_work(l);
        break;
    case PHASE_LOST:
        if (held_n(l) == 0 && !ops_busy(l))
            l->phase = PHASE_JOINING;
        break;
    case PHASE_FAILED:
        if (executor_busy(l->executor) == 0)
            over(l);
        break;
    case PHASE_LEAVING:
        post_one(l, OP_LEAVE);
        break;
    case PHASE_OVER:
        break;
    }
    start_one(l);
}

static void tick(uv_timer_t *timer)
{
    struct local *l = timer->data;

    judge_kill(l);
    if (l->phase != PHASE_WORKING)
        return;
    l->want_beat = l->want_scan = l->want_claim = true;
    if (l->o.shared && clock_monotonic() - l->beat_good > LOCAL_FENCE_US)
        fence(l);
}

static void rescued(void *context)
{
    struct local *l = context;

    l->want_claim = true;
}

int local_new(const struct local_options *o, struct local **ret)
{
    struct local *l = memory_new(sizeof(*l));
    struct executor_options executor = {
        .loop = o->loop,
        .slots = o->slots,
        .guardian = o->guardian,
        .events = {.context = l, .done = job_done, .line = job_line, .progress = job_progress},
    };
    int r = executor_new(&executor, &l->executor);

    if (r) {
        free(l);
        return fault(r);
    }
    l->o = *o;
    launch_base_init(&l->base, o->env, o->data, o->dir);
    l->join = (struct worker_register){
        .name = str_printf(&l->base.arena, "weft-%" PRId64, o->self.pid),
        .kind = STR("local"),
        .host = o->self.host,
        .boot = o->self.boot,
        .site = guardian_site(o->guardian),
        .pid = o->self.pid,
        .pid_start = o->self.pid_start,
        .slots = o->slots + LOCAL_AHEAD_MAX,
        .ttl_us = LOCAL_TTL_US,
        .run = o->run,
    };
    l->held = map_new();
    list_init(&l->all);
    list_init(&l->queue);
    list_init(&l->pool);
    l->rescue = (struct rescue){
        .loop = o->loop,
        .writer = o->writer,
        .home = o->home,
        .data = o->data,
        .done = rescued,
        .context = l,
    };
    rescue_init(&l->rescue);
    buf_init(&l->text, LOCAL_TEXT_BYTES);
    uv_prepare_init(o->loop, &l->prepare);
    uv_idle_init(o->loop, &l->idle);
    uv_timer_init(o->loop, &l->tick);
    uv_timer_init(o->loop, &l->due);
    uv_timer_init(o->loop, &l->flush);
    l->prepare.data = l->idle.data = l->tick.data = l->due.data = l->flush.data = l;
    l->task_us = AHEAD_UNKNOWN_US;
    uv_prepare_start(&l->prepare, turn);
    uv_timer_start(&l->tick, tick, LOCAL_BEAT_US / CLOCK_MS, LOCAL_BEAT_US / CLOCK_MS);
    *ret = l;
    return 0;
}

void local_cancel(struct local *l)
{
    l->want_cancel = true;
}

void local_kill(struct local *l)
{
    l->killed = true;
    LIST_EACH_SAFE(link, &l->all)
    {
        struct held *h = LIST_OF(link, struct held, among);

        if (h->state != HELD_RUNNING)
            held_stop(h);
    }
    executor_stop_all(l->executor, EXECUTOR_KILL);
}

bool local_busy(const struct local *l)
{
    return l->held_requests > 0 || l->rescue.jobs_n > 0 || ops_busy(l);
}

static void closed(uv_handle_t *handle)
{
    struct local *l = handle->data;

    if (++l->closed_n == 5)
        free(l);
}

struct local *local_free(struct local *l)
{
    if (!l)
        return NULL;
    assert(l->phase == PHASE_OVER && !local_busy(l) && held_n(l) == 0);
    l->executor = executor_free(l->executor);
    launch_base_deinit(&l->base);
    for (size_t i = 0; i < OP_N; i++)
        arena_deinit(&l->requests[i].arena);
    LIST_EACH_SAFE(link, &l->pool)
    {
        struct held *h = LIST_OF(link, struct held, link);

        arena_deinit(&h->arena);
        free(h);
    }
    arena_deinit(&l->results.arena);
    arena_deinit(&l->sent.arena);
    l->held = map_free(l->held);
    buf_deinit(&l->text);
    uv_close((uv_handle_t *)&l->prepare, closed);
    uv_close((uv_handle_t *)&l->idle, closed);
    uv_close((uv_handle_t *)&l->tick, closed);
    uv_close((uv_handle_t *)&l->due, closed);
    uv_close((uv_handle_t *)&l->flush, closed);
    return NULL;
}
