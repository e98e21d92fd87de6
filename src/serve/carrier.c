/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/carrier.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/local.h"
#include "serve/recover.h"

struct carrier {
    struct carrier_options o;
    pthread_t thread;
    uv_loop_t loop;
    struct batcher_home *home;
    struct hub_seat *seat;
    struct executor *executor; /* NULL: it could not be made */
    bool nursing;              /* the nursery has it */
    struct local *local;       /* NULL: paused, or over */
    uv_timer_t pause;
    uv_async_t call;          /* drain, or end */
    _Atomic int64_t grace_us; /* -1: no drain was asked for */
    atomic_bool freed;        /* the end of the thread was */
    bool given_up; /* the worker is over, and its memory is to be freed outside of its call */
    bool over;
};

static void end(struct carrier *c)
{
    if (c->over)
        return;
    c->over = true;
    uv_timer_stop(&c->pause);
    c->o.over(c->o.context);
}

static void gave_up(void *context, enum code code, struct str text)
{
    struct carrier *c = context;

    if (code != CODE_OK)
        log_say(LOG_ERROR, "executor_gave_up", LOG_TEXT("code", code_text(code)),
                LOG_TEXT("text", text));
    c->given_up = true;
}

/* Without an executor, whoever asks for a process is told that there is no place for it. */
static void nurse(struct carrier *c)
{
    if (c->o.nursery && !c->nursing)
        nursery_open(c->o.nursery, &c->loop, c->executor, c->executor ? c->o.pool_slots : 0);
    c->nursing = c->o.nursery != NULL;
}

static int make_executor(struct carrier *c)
{
    struct executor_options o = {
        .loop = &c->loop,
        .slots = c->o.slots + c->o.pool_slots,
        .guardian = c->o.guardian,
    };
    int r = c->executor ? 0 : executor_new(&o, &c->executor);

    if (!r)
        nurse(c);
    return r;
}

static void begin(struct carrier *c)
{
    int r = make_executor(c);
    struct local_options o = {
        .loop = &c->loop,
        .executor = c->executor,
        .writer = c->o.writer,
        .reader = c->o.reader,
        .home = c->home,
        .guardian = c->o.guardian,
        .self = c->o.self,
        .data = c->o.data,
        .dir = c->o.here,
        .env = c->o.env,
        .seat = c->seat,
        .slots = c->o.slots,
        .shared = c->o.shared,
        .events = {.context = c, .over = gave_up},
    };

    if (!r) {
        c->local = c->o.slots ? local_new(&o) : NULL;
        return;
    }
    log_say(LOG_ERROR, "executor_failed", LOG_NUMBER("errno", -r),
            LOG_TEXT("way", str_of(fault_take())));
    c->given_up = true;
}

static void pause_over(uv_timer_t *timer)
{
    begin(timer->data);
}

static void called(uv_async_t *async)
{
    struct carrier *c = async->data;
    int64_t grace_us = atomic_load(&c->grace_us);

    if (grace_us >= 0)
        nurse(c); /* or pools would wait for their processes for ever */
    if (grace_us >= 0 && c->local)
        local_drain(c->local, grace_us);
    else if (grace_us >= 0)
        end(c);
}

/* The tasks of programs that died are taken back with the proof of their death. One that cannot be
 * had is looked for again by the worker's own scans. */
static void recover(struct carrier *c)
{
    struct recover r = {.batcher = c->o.writer, .data = c->o.data, .self = c->o.self};
    struct batcher_answer problem;
    struct recover_reply reply;
    struct arena a = {0};

    if (recover_all(&r, &a, 0, &reply, &problem))
        log_say(LOG_WARNING, "recovery_failed", LOG_TEXT("code", code_text(problem.code)),
                LOG_TEXT("text", problem.text));
    else if (reply.n)
        log_say(LOG_INFO, "recovered", LOG_NUMBER("tasks", reply.n));
    arena_deinit(&a);
}

/* Where it gave up, its requests that the store never answers are answered when the batchers go. */
static void settle(struct carrier *c)
{
    if (!c->given_up || (c->local && local_busy(c->local)))
        return;
    c->given_up = false;
    c->local = local_free(c->local);
    if (atomic_load(&c->grace_us) >= 0)
        end(c);
    else
        uv_timer_start(&c->pause, pause_over, CARRIER_PAUSE_MS, 0);
}

static void run(struct carrier *c)
{
    while (!atomic_load(&c->freed)) {
        uv_run(&c->loop, UV_RUN_ONCE);
        /* A worker that has ended but waits for answers is over for everybody else. */
        if (c->given_up && atomic_load(&c->grace_us) >= 0)
            end(c);
        settle(c);
    }
    while (c->local && local_busy(c->local))
        uv_run(&c->loop, UV_RUN_ONCE);
    c->local = local_free(c->local);
    if (c->nursing)
        nursery_close(c->o.nursery);
    c->executor = executor_free(c->executor);
}

static void *work(void *context)
{
    struct carrier *c = context;
    int r;

    recover(c);
    if (atomic_load(&c->grace_us) < 0)
        begin(c);
    run(c);
    c->seat = hub_seat_free(c->seat);
    c->home = batcher_home_free(c->home);
    uv_close((uv_handle_t *)&c->pause, NULL);
    uv_close((uv_handle_t *)&c->call, NULL);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    r = uv_loop_close(&c->loop);
    assert(r == 0);
    return NULL;
}

int carrier_new(const struct carrier_options *options, struct carrier **ret)
{
    struct carrier *c = memory_new(sizeof(*c));
    int r;

    c->o = *options;
    atomic_store(&c->grace_us, -1);
    r = uv_loop_init(&c->loop);
    assert(r == 0);
    r = batcher_home_new(&c->loop, &c->home);
    assert(r == 0);
    r = hub_seat_new(c->o.hub, &c->loop, &c->seat);
    assert(r == 0);
    uv_timer_init(&c->loop, &c->pause);
    uv_async_init(&c->loop, &c->call, called);
    c->pause.data = c->call.data = c;
    r = pthread_create(&c->thread, NULL, work, c);
    assert(r == 0);
    pthread_setname_np(c->thread, "weft-executor");
    *ret = c;
    return 0;
}

void carrier_drain(struct carrier *c, int64_t grace_us)
{
    atomic_store(&c->grace_us, grace_us);
    uv_async_send(&c->call);
}

struct carrier *carrier_free(struct carrier *c)
{
    if (!c)
        return NULL;
    atomic_store(&c->freed, true);
    uv_async_send(&c->call);
    pthread_join(c->thread, NULL);
    free(c);
    return NULL;
}
