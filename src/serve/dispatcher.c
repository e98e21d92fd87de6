/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/dispatcher.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/memory.h"

struct dispatcher {
    struct dispatcher_options o;
    struct arena arena;
    pthread_t thread;
    uv_loop_t loop;
    struct batcher_home *home;
    struct hub_seat *seat;
    struct caller *caller;
    struct dispatch *dispatch;
    uv_async_t call;          /* drain, reload or end */
    _Atomic int64_t grace_us; /* -1: no drain was asked for */
    atomic_bool reload, freed;
    bool draining, dispatch_over, caller_over;
    pthread_mutex_t lock; /* of `dispatch`, for what others ask, and of `last` */
    struct dispatch_stats last;
};

static int wire_peer(void *context, struct str address, struct caller_peer **ret,
                     const char **ret_why)
{
    return caller_peer(context, address, ret, ret_why);
}

/* It is freed behind this. */
static void dispatch_ended(void *context)
{
    struct dispatcher *d = context;

    pthread_mutex_lock(&d->lock);
    dispatch_stats(d->dispatch, &d->last);
    d->dispatch = NULL;
    pthread_mutex_unlock(&d->lock);
    d->dispatch_over = true;
    d->o.over(d->o.context);
}

static void drain(struct dispatcher *d, int64_t grace_us)
{
    if (d->draining)
        return;
    d->draining = true;
    dispatch_drain(d->dispatch, grace_us, dispatch_ended, d);
}

static void reload(struct dispatcher *d)
{
    struct arena a = {0};
    struct str error;

    if (caller_reload(d->caller, &a, &error))
        log_say(LOG_ERROR, "tls_refused", LOG_TEXT("text", error));
    arena_deinit(&a);
}

static void called(uv_async_t *async)
{
    struct dispatcher *d = async->data;
    int64_t grace_us = atomic_load(&d->grace_us);

    if (atomic_exchange(&d->reload, false))
        reload(d);
    if (grace_us >= 0)
        drain(d, grace_us);
    if (atomic_load(&d->freed))
        drain(d, 0);
}

static void caller_ended(void *context)
{
    ((struct dispatcher *)context)->caller_over = true;
}

static void *work(void *context)
{
    struct dispatcher *d = context;
    int r;

    while (!d->dispatch_over || !atomic_load(&d->freed))
        uv_run(&d->loop, UV_RUN_ONCE);
    caller_close(d->caller, caller_ended, d);
    while (!d->caller_over)
        uv_run(&d->loop, UV_RUN_ONCE);
    d->seat = hub_seat_free(d->seat);
    d->home = batcher_home_free(d->home);
    uv_close((uv_handle_t *)&d->call, NULL);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    r = uv_loop_close(&d->loop);
    assert(r == 0);
    return NULL;
}

static int caller_begin(struct dispatcher *d, struct arena *a, struct str *ret_error)
{
    struct caller_options o = {.loop = &d->loop, .files = &d->o.files};
    ssize_t n = getrandom(&o.seed, sizeof(o.seed), 0);

    assert(n == sizeof(o.seed));
    return caller_new(&o, a, &d->caller, ret_error);
}

static void dispatch_begin(struct dispatcher *d)
{
    struct dispatch_options o = {
        .loop = &d->loop,
        .seat = d->seat,
        .writer = d->o.writer,
        .home = d->home,
        .wire = {d->caller, wire_peer, caller_leave, caller_start, caller_cancel},
        .callback = str_copy(&d->arena, d->o.callback),
    };

    dispatch_new(&o, &d->dispatch);
}

int dispatcher_new(const struct dispatcher_options *options, struct arena *a,
                   struct dispatcher **ret, struct str *ret_error)
{
    struct dispatcher *d = memory_new(sizeof(*d));
    int r;

    d->o = *options;
    atomic_store(&d->grace_us, -1);
    pthread_mutex_init(&d->lock, NULL);
    r = uv_loop_init(&d->loop);
    assert(r == 0);
    if (caller_begin(d, a, ret_error)) {
        uv_loop_close(&d->loop);
        free(d);
        return DISPATCHER_E_BAD;
    }
    r = batcher_home_new(&d->loop, &d->home);
    assert(r == 0);
    r = hub_seat_new(d->o.hub, &d->loop, &d->seat);
    assert(r == 0);
    uv_async_init(&d->loop, &d->call, called);
    d->call.data = d;
    dispatch_begin(d);
    r = pthread_create(&d->thread, NULL, work, d);
    assert(r == 0);
    pthread_setname_np(d->thread, "weft-dispatch");
    *ret = d;
    return 0;
}

void dispatcher_drain(struct dispatcher *d, int64_t grace_us)
{
    atomic_store(&d->grace_us, grace_us);
    uv_async_send(&d->call);
}

void dispatcher_reload(struct dispatcher *d)
{
    atomic_store(&d->reload, true);
    uv_async_send(&d->call);
}

void dispatcher_stats(struct dispatcher *d, struct dispatch_stats *ret)
{
    pthread_mutex_lock(&d->lock);
    if (d->dispatch)
        dispatch_stats(d->dispatch, &d->last);
    *ret = d->last;
    pthread_mutex_unlock(&d->lock);
}

size_t dispatcher_left_alone(struct dispatcher *d, struct arena *a, const int64_t **ret)
{
    size_t n = 0;

    pthread_mutex_lock(&d->lock);
    if (d->dispatch)
        n = dispatch_left_alone(d->dispatch, a, ret);
    pthread_mutex_unlock(&d->lock);
    return n;
}

struct dispatcher *dispatcher_free(struct dispatcher *d)
{
    if (!d)
        return NULL;
    atomic_store(&d->freed, true);
    uv_async_send(&d->call);
    pthread_join(d->thread, NULL);
    pthread_mutex_destroy(&d->lock);
    arena_deinit(&d->arena);
    free(d);
    return NULL;
}
