/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/local.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/local_state.h"
#include "serve/logs.h"

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

/* Phases. */

static void forget_news(struct local *l)
{
    if (l->o.seat)
        hub_forget(&l->wait, 0);
}

/* Give up: stop what runs, and say why when it is dead. The first reason counts. */
static void stop_all(struct local *l, enum executor_stop how)
{
    LIST_EACH(link, &l->all)
    {
        struct local_held *h = LIST_OF(link, struct local_held, among);

        if (h->state == HELD_RUNNING)
            executor_stop(l->o.executor, h->lease.token, how);
    }
}

void local_fail(struct local *l, enum code code, struct str text)
{
    if (l->phase == PHASE_FAILED || l->phase == PHASE_OVER)
        return;
    l->phase = PHASE_FAILED;
    forget_news(l);
    l->code = code;
    buf_add(&l->text, str_sub(text, 0, LOCAL_TEXT_BYTES));
    local_queue_drop(l);
    stop_all(l, l->killed ? EXECUTOR_KILL : EXECUTOR_TERM);
}

void local_over(struct local *l)
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

/* The store no longer counts us in: whatever we do now is not ours to do. */
void local_lost(struct local *l)
{
    if (l->phase != PHASE_WORKING)
        return;
    log_say(LOG_WARNING, "worker_lost", LOG_NUMBER("worker", l->incarnation),
            LOG_NUMBER("tasks", local_held_n(l)));
    l->phase = PHASE_LOST;
    forget_news(l);
    local_results_clear(&l->results);
    stop_all(l, EXECUTOR_KILL);
    local_queue_drop(l);
    logs_scratch_remove(l->o.data, l->incarnation);
}

/* The loop. */

static bool may_start(const struct local *l)
{
    return l->phase == PHASE_WORKING && !list_empty(&l->queue) && l->running_n < l->o.slots;
}

static void go_round(uv_idle_t *idle)
{
    (void)idle; /* an idle handle keeps the loop from sleeping */
}

/* One process a turn, so that the ends of others are seen between. */
static void start_one(struct local *l)
{
    if (may_start(l))
        local_held_start(local_queue_first(l));
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
    size_t may_run = l->o.slots - l->running_n;

    while (l->queue_n > may_run) {
        struct local_held *last = LIST_OF(l->queue.prev, struct local_held, link);

        if (now - last->claimed_us < (flows(l) ? AHEAD_MOST_US : AHEAD_RELEASE_US))
            break;
        local_held_refuse(last, OUTCOME_REJECTED, TASK_REASON_NONE, STR(""));
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

static void add_claim(struct local *l, struct local_post *post, size_t free_n)
{
    l->claim = (struct local_claim){
        .run = l->o.run,
        .any = {.worker = l->incarnation, .after = l->after, .max = (int64_t)free_n},
    };
    if (l->o.seat) {
        hub_forget(&l->wait, 0);
        hub_look(&l->wait);
    }
    local_post_add(l, post, OP_CLAIM);
}

/* What ended goes first, so that the claim behind it finds the slots free and the next tasks ready.
 */
static void post_work(struct local *l)
{
    struct local_post post = {.n = 0};
    size_t room = l->o.slots + ahead_n(l);
    size_t free_n = room > local_held_n(l) ? room - local_held_n(l) : 0;

    if (l->want_cancel && !l->busy[OP_CANCEL]) {
        local_post_add(l, &post, OP_CANCEL);
        l->want_cancel = false;
    }
    if (!l->busy[OP_COMPLETE] && !l->busy[OP_CLAIM] && !l->busy[OP_SCAN] && post_due(l)) {
        if (l->results.n) {
            struct local_results sent = l->results;

            l->results = l->sent;
            l->sent = sent;
            l->complete = (struct task_complete){.list = l->sent.list, .n = l->sent.n};
            local_post_add(l, &post, OP_COMPLETE);
        }
        if (l->want_scan)
            local_post_add(l, &post, OP_SCAN);
        if (l->want_claim && free_n && !l->killed && !l->draining)
            add_claim(l, &post, free_n);
        l->want_scan = l->want_claim = false;
    }
    if (l->want_look && !l->busy[OP_LOOK] && local_held_n(l) == 0) {
        l->look = (struct run_get){.id = l->o.run};
        local_post_add(l, &post, OP_LOOK);
        l->want_look = false;
    }
    if (l->want_drain && !l->busy[OP_DRAIN]) {
        local_post_add(l, &post, OP_DRAIN);
        l->want_drain = false;
    }
    if (l->want_beat && !l->busy[OP_BEAT]) {
        local_post_add(l, &post, OP_BEAT);
        l->beat_posted = clock_monotonic();
        l->want_beat = false;
    }
    local_post_send(l, &post);
}

static void post_one(struct local *l, enum local_op op)
{
    struct local_post post = {.n = 0};

    if (l->busy[op])
        return;
    local_post_add(l, &post, op);
    local_post_send(l, &post);
}

/* Stop them all ourselves; what has been is not stopped again unless it is to be killed now. */
static void fence(struct local *l, enum local_fence why, enum executor_stop how)
{
    LIST_EACH_SAFE(link, &l->all)
    {
        struct local_held *h = LIST_OF(link, struct local_held, among);

        if (h->fence == FENCE_NONE)
            h->fence = why;
        if (h->state == HELD_RUNNING)
            executor_stop(l->o.executor, h->lease.token, how);
        else if (h->state == HELD_QUEUED)
            local_held_fence(h);
    }
}

/* Killed, nothing is left, and the store does not take it down: do not wait for ever. */
static void judge_kill(struct local *l)
{
    int64_t now = clock_monotonic();

    if (!l->killed || local_held_n(l)) {
        l->idle_since = 0;
        return;
    }
    l->want_look = true;
    if (!l->idle_since)
        l->idle_since = now;
    if (now - l->idle_since > LOCAL_KILL_WAIT_US)
        local_fail(
            l, CODE_STORE_UNAVAILABLE,
            STR("the tasks were killed, but the store does not answer; `weft runs resume` goes on "
                "from what it knows"));
}

/* What runs longer than a drain may take. */
static void judge_drain(struct local *l)
{
    int64_t left = l->drained_at - clock_monotonic();

    if (!l->draining || left > LOCAL_GRACE_US)
        return;
    fence(l, FENCE_END, left > 0 ? EXECUTOR_TERM : EXECUTOR_KILL);
    if (left < -LOCAL_KILL_WAIT_US)
        local_fail(l, CODE_STORE_UNAVAILABLE,
                   STR("the tasks were stopped, but the store does not answer; what they held is "
                       "taken back by the next server"));
}

static bool is_drained(const struct local *l)
{
    return l->draining && local_held_n(l) == 0 && l->results.n == 0 && !l->busy[OP_COMPLETE] &&
           !l->busy[OP_CLAIM];
}

static void leave(struct local *l)
{
    l->phase = PHASE_LEAVING;
    forget_news(l);
}

static void turn(uv_prepare_t *prepare)
{
    struct local *l = prepare->data;

    switch (l->phase) {
    case PHASE_JOINING:
        if (l->draining)
            local_over(l);
        else
            post_one(l, OP_JOIN);
        break;
    case PHASE_WORKING:
        post_work(l);
        if (is_drained(l))
            leave(l);
        break;
    case PHASE_LOST:
        if (local_held_n(l) == 0 && !local_post_busy(l))
            l->phase = PHASE_JOINING;
        break;
    case PHASE_FAILED:
        if (l->running_n == 0)
            local_over(l);
        break;
    case PHASE_LEAVING:
        post_one(l, OP_LEAVE);
        break;
    case PHASE_OVER:
        break;
    }
    start_one(l);
}

/* Heartbeats bring what is to be stopped; who holds nothing only shows that it lives. */
static bool wants_beat(const struct local *l)
{
    return l->o.run || local_held_n(l) ||
           clock_monotonic() - l->beat_posted >= LOCAL_REST_US - LOCAL_BEAT_US / 2;
}

/* Whether others of this machine have died, once in a while. */
static bool wants_look_around(struct local *l)
{
    int64_t now = clock_monotonic();

    if (now - l->looked_around < LOCAL_REST_US - LOCAL_BEAT_US / 2)
        return false;
    l->looked_around = now;
    return true;
}

static void tick(uv_timer_t *timer)
{
    struct local *l = timer->data;

    judge_kill(l);
    judge_drain(l);
    if (l->phase != PHASE_WORKING)
        return;
    if (wants_beat(l))
        l->want_beat = true;
    if (l->o.scans)
        l->want_scan = true;
    if (!l->o.seat)
        l->want_claim = true;
    /* All of it at once, so that an idle worker makes one transaction of it. */
    if (!l->o.scans && wants_look_around(l))
        l->want_beat = l->want_scan = l->want_claim = true;
    if (l->o.shared && clock_monotonic() - l->beat_good > LOCAL_FENCE_US)
        fence(l, FENCE_STORE, EXECUTOR_KILL);
}

static void woken(struct hub_wait *wait)
{
    struct local *l = wait->context;

    l->want_claim = true;
}

static void rescued(void *context)
{
    struct local *l = context;

    l->want_claim = true;
}

struct local *local_new(const struct local_options *o)
{
    struct local *l = memory_new(sizeof(*l));

    l->o = *o;
    l->jobs = (struct executor_events){.context = l,
                                       .done = local_job_done,
                                       .line = local_job_line,
                                       .progress = local_job_progress};
    launch_base_init(&l->base, o->env, o->data);
    l->o.dir = str_cstr(&l->base.arena, str_of(o->dir));
    l->wait = (struct hub_wait){.seat = o->seat,
                                .topic = HUB_RUNS,
                                .looks_us = LOCAL_REST_US,
                                .woken = woken,
                                .context = l,
                                .want = HUB_ALL};
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
    return l;
}

void local_cancel(struct local *l)
{
    l->want_cancel = true;
}

void local_drain(struct local *l, int64_t grace_us)
{
    if (l->draining)
        return;
    l->draining = true;
    l->want_drain = l->phase == PHASE_WORKING;
    l->drained_at = clock_monotonic() + grace_us;
    forget_news(l);
    if (l->phase == PHASE_WORKING)
        local_held_return(l);
}

void local_kill(struct local *l)
{
    l->killed = true;
    LIST_EACH_SAFE(link, &l->all)
    {
        struct local_held *h = LIST_OF(link, struct local_held, among);

        if (h->state != HELD_RUNNING)
            local_held_stop(h);
    }
    stop_all(l, EXECUTOR_KILL);
}

bool local_busy(const struct local *l)
{
    return l->held_requests > 0 || l->rescue.jobs_n > 0 || local_post_busy(l);
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
    assert(l->phase == PHASE_OVER && !local_busy(l) && local_held_n(l) == 0);
    launch_base_deinit(&l->base);
    for (size_t i = 0; i < OP_N; i++)
        arena_deinit(&l->requests[i].arena);
    LIST_EACH_SAFE(link, &l->pool)
    {
        struct local_held *h = LIST_OF(link, struct local_held, link);

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
