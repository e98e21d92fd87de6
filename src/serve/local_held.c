/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/memory.h"
#include "serve/local_state.h"

/* Leases. */

static struct local_held *local_held_new(struct local *l, const struct task_lease *lease)
{
    struct local_held *h;

    if (list_empty(&l->pool)) {
        h = memory_new(sizeof(*h));
    } else {
        struct arena arena;

        h = LIST_OF(l->pool.next, struct local_held, link);
        list_del(&h->link);
        arena = h->arena;
        *h = (struct local_held){.arena = arena};
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

static void local_held_free(struct local_held *h)
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

struct local_held *local_held_find(const struct local *l, int64_t token)
{
    uint64_t key = (uint64_t)token, value;

    return map_get(l->held, map_key(&key), &value) ? (struct local_held *)(uintptr_t)value : NULL;
}

static struct task_result *results_add(struct local_results *r)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;

        r->list = arena_grow(&r->arena, r->list, r->cap * sizeof(*r->list), cap * sizeof(*r->list));
        r->cap = cap;
    }
    return &r->list[r->n++];
}

void local_results_clear(struct local_results *r)
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
static void held_end(struct local_held *h, const struct task_result *result)
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
    local_held_free(h);
}

/* An attempt that never became a process. */
void local_held_refuse(struct local_held *h, enum outcome outcome, enum task_reason reason,
                       struct str message)
{
    struct task_result result = {
        .outcome = outcome, .reason = reason, .message = message, .exit_code = -1};

    held_end(h, &result);
}

void local_held_fence(struct local_held *h)
{
    local_held_refuse(
        h, h->state == HELD_RUNNING ? OUTCOME_LOST : OUTCOME_REJECTED, TASK_REASON_LOST,
        h->fence == FENCE_END
            ? STR("weft ended before the task did, and stopped it")
            : STR("weft could not reach the store, and stopped the task before another machine "
                  "could take it"));
}

static void held_queue(struct local_held *h)
{
    struct local *l = h->local;

    h->state = HELD_QUEUED;
    list_add(&l->queue, &h->link);
    l->queue_n++;
}

BATCHER_FUNCTION(run_outputs_call, run_outputs)

static void outputs_answered(struct batcher_request *q)
{
    struct local_held *h = q->context;
    struct local *l = h->local;

    l->held_requests--;
    if (l->phase != PHASE_WORKING) {
        local_held_free(h);
    } else if (h->fence) {
        local_held_fence(h);
    } else if (h->stop) {
        local_held_refuse(h, OUTCOME_CANCELLED, TASK_REASON_CANCELLED,
                          STR("it was cancelled before it started"));
    } else if (q->answer.code != CODE_OK) {
        local_held_refuse(h, OUTCOME_FAILED, TASK_REASON_REFERENCE,
                          str_printf(&h->arena,
                                     "the outputs that it refers to could not be read: " STR_FMT,
                                     STR_ARG(q->answer.text)));
    } else {
        launch_outputs(&h->arena, &h->launch, h->outputs.outputs);
        held_queue(h);
    }
}

/* Read the outputs that the task refers to. */
static void held_resolve(struct local_held *h)
{
    struct local *l = h->local;
    struct batcher_request *q = &h->request;

    h->state = HELD_RESOLVING;
    h->names =
        (struct run_outputs){.run = h->lease.run, .names = h->launch.names, .n = h->launch.names_n};
    q->function = run_outputs_call;
    q->request = &h->names;
    q->reply = &h->outputs;
    q->reply_size = sizeof(h->outputs);
    q->lane = BATCHER_OWN;
    q->patience_us = BATCHER_FOR_EVER;
    q->home = l->o.home;
    q->done = outputs_answered;
    q->context = h;
    l->held_requests++;
    batcher_post(l->o.reader, &q, 1);
}

void local_held_take(struct local *l, const struct task_lease *lease, struct str dir)
{
    struct local_held *h = local_held_new(l, lease);
    struct str error = {0};

    h->dir =
        str_starts(dir, STR("/"))
            ? str_cstr(&h->arena, dir)
            : str_printf(&h->arena, "%s%s" STR_FMT, l->o.dir, dir.n ? "/" : "", STR_ARG(dir)).p;
    if (launch_read(&h->arena, lease->payload, &h->launch, &error))
        local_held_refuse(h, OUTCOME_FAILED, TASK_REASON_SPAWN_FAILED, error);
    else if (h->launch.names_n)
        held_resolve(h);
    else
        held_queue(h);
}

void local_held_start(struct local_held *h)
{
    struct local *l = h->local;
    enum task_reason reason;
    struct str error = {0};
    struct job job;

    h->started_us = clock_monotonic();
    /* Its time begins now, not when it was claimed. */
    if (h->lease.deadline_at)
        h->lease.deadline_at += h->started_us - h->claimed_us;
    if (launch_job(&h->arena, &h->launch, &l->base, h->dir, &h->lease, &job, &reason, &error)) {
        local_held_refuse(h, OUTCOME_FAILED, reason, error);
        return;
    }
    list_del(&h->link);
    l->queue_n--;
    h->state = HELD_RUNNING;
    launch_base_scratch(&l->base);
    job.events = &l->jobs;
    l->running_n++;
    executor_start(l->o.executor, &job);
    /* The process has its arguments; they may be large. */
    launch_deinit(&h->launch);
}

void local_held_stop(struct local_held *h)
{
    if (h->state == HELD_RUNNING)
        executor_stop(h->local->o.executor, h->lease.token, EXECUTOR_TERM);
    else if (h->state == HELD_QUEUED)
        local_held_refuse(h, OUTCOME_CANCELLED, TASK_REASON_CANCELLED,
                          STR("it was cancelled before it started"));
    else
        h->stop = true;
}

struct local_held *local_queue_first(struct local *l)
{
    return LIST_OF(l->queue.next, struct local_held, link);
}

void local_queue_drop(struct local *l)
{
    while (!list_empty(&l->queue))
        local_held_free(local_queue_first(l));
}

void local_held_return(struct local *l)
{
    LIST_EACH_SAFE(link, &l->all)
    {
        struct local_held *h = LIST_OF(link, struct local_held, among);

        if (h->state == HELD_QUEUED)
            local_held_refuse(h, OUTCOME_REJECTED, TASK_REASON_NONE, STR(""));
        else if (h->state == HELD_RESOLVING)
            h->fence = FENCE_END;
    }
}

/* What the executor says. */

void local_job_done(void *context, int64_t token, const struct job_result *job)
{
    struct local *l = context;
    struct local_held *h = local_held_find(l, token);
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
    l->running_n--;
    l->last_done = clock_monotonic();
    l->task_us += (l->last_done - h->started_us - l->task_us) / 8;
    /* One that came to its end at the last moment did. */
    if (h->fence == FENCE_NONE || (h->fence == FENCE_END && job->outcome == OUTCOME_SUCCEEDED))
        held_end(h, &result);
    else
        local_held_fence(h);
}

void local_job_line(void *context, int64_t token, struct str line)
{
    struct local *l = context;
    struct local_held *h = local_held_find(l, token);

    if (h && l->o.events.line)
        l->o.events.line(l->o.events.context, h->lease.task, line);
}

void local_job_progress(void *context, int64_t token, int percent, struct str text)
{
    struct local *l = context;
    struct local_held *h = local_held_find(l, token);

    if (h && l->o.events.progress)
        l->o.events.progress(l->o.events.context, h->lease.task, percent, text);
}
