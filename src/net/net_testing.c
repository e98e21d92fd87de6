/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_testing.h"

#include <assert.h>
#include <stdio.h>

#include "api/codec.h"

static const struct method health = {
    .name = "admin.health",
    .request = &weft__v1__empty__descriptor,
    .reply = &weft__v1__health_response__descriptor,
    .verb = METHOD_GET,
    .path = "/v1/health",
};
static const struct method get = {
    .name = "queues.get",
    .request = &weft__v1__queue_request__descriptor,
    .reply = &weft__v1__queue__descriptor,
    .verb = METHOD_GET,
    .path = "/v1/queues/{queue}",
};
static const struct method put = {
    .name = "queues.put",
    .request = &weft__v1__put_queue_request__descriptor,
    .reply = &weft__v1__queue__descriptor,
    .kind = METHOD_WRITE,
    .verb = METHOD_PUT,
    .path = "/v1/queues/{queue}",
};
static const struct method enqueue = {
    .name = "queues.enqueue",
    .request = &weft__v1__enqueue_request__descriptor,
    .reply = &weft__v1__enqueue_response__descriptor,
    .kind = METHOD_WRITE,
    .verb = METHOD_POST,
    .path = "/v1/queues/{queue}:enqueue",
};
static const struct method claim = {
    .name = "queues.claim",
    .request = &weft__v1__claim_request__descriptor,
    .reply = &weft__v1__claim_response__descriptor,
    .kind = METHOD_WRITE,
    .verb = METHOD_POST,
    .path = "/v1/queues/{queue}:claim",
};
static const struct method watch = {
    .name = "runs.watch",
    .request = &weft__v1__watch_request__descriptor,
    .reply = &weft__v1__event__descriptor,
    .replies = METHOD_STREAM,
    .verb = METHOD_GET,
    .path = "/v1/runs/{id}:watch",
    .other_path = "/v1/events:watch",
};
static const struct method *const methods[] = {&health, &get, &put, &enqueue, &claim, &watch};

/* ---- the service ---- */

static void finish(struct call *c, enum code code, const char *text)
{
    struct fake_service *f = c->server;

    for (size_t i = 0; i < f->held_n; i++)
        if (f->held[i] == c)
            f->held[i--] = f->held[--f->held_n];
    f->done++;
    c->code = code;
    c->text = str_of(text);
    c->done(c);
}

static void cancel(struct call *c)
{
    struct fake_service *f = c->server;

    f->cancelled++;
    finish(c, CODE_CANCELLED, "the client has gone");
}

static void reply_queue(struct call *c, const char *name)
{
    Weft__V1__Queue *q = CODEC_NEW(&c->arena, Weft__V1__Queue, weft__v1__queue);

    q->name = codec_text(&c->arena, str_of(name));
    c->reply = &q->base;
    c->etag = STR("v1");
    finish(c, CODE_OK, "");
}

static void do_get(struct call *c)
{
    const Weft__V1__QueueRequest *q = (const void *)c->request;

    if (strcmp(q->queue, "missing") == 0)
        finish(c, CODE_QUEUE_NOT_FOUND, "there is no queue \"missing\"");
    else
        reply_queue(c, q->queue);
}

static void do_put(struct call *c)
{
    const Weft__V1__PutQueueRequest *q = (const void *)c->request;

    if (q->etag && strcmp(q->etag, "v1") != 0)
        finish(c, CODE_QUEUE_CHANGED, "the settings have changed");
    else
        reply_queue(c, q->queue);
}

static void do_enqueue(struct call *c)
{
    const Weft__V1__EnqueueRequest *q = (const void *)c->request;
    Weft__V1__EnqueueResponse *r =
        CODEC_NEW(&c->arena, Weft__V1__EnqueueResponse, weft__v1__enqueue_response);

    r->n_ids = q->n_tasks;
    r->ids = ARENA_ARRAY(&c->arena, char *, q->n_tasks + 1);
    for (size_t i = 0; i < q->n_tasks; i++)
        r->ids[i] = codec_id(&c->arena, (int64_t)i + 1);
    c->reply = &r->base;
    finish(c, CODE_OK, "");
}

static void hold(struct call *c)
{
    struct fake_service *f = c->server;

    if (f->held_n == FAKE_HELD_MAX)
        finish(c, CODE_RESOURCE_EXHAUSTED, "too many are held");
    else
        f->held[f->held_n++] = c;
}

static void next_event(struct call *c)
{
    struct fake_service *f = c->server;
    const Weft__V1__WatchRequest *q = (const void *)c->request;
    const Weft__V1__Event *last = (const void *)c->reply;
    Weft__V1__Event *e;
    int64_t seq = 0;

    if (last)
        str_int64(str_of(last->seq), &seq);
    else if (q->after)
        str_int64(str_of(q->after), &seq);
    if (seq >= f->events) {
        if (f->endless)
            hold(c);
        else
            finish(c, CODE_OK, "");
        return;
    }
    e = CODEC_NEW(&c->arena, Weft__V1__Event, weft__v1__event);
    e->seq = codec_id(&c->arena, seq + 1);
    e->kind = codec_text(&c->arena, STR("task_READY"));
    c->reply = &e->base;
    c->message(c);
}

static void hasten(struct call *c)
{
    struct fake_service *f = c->server;

    f->hastened++;
}

static void start(void *context, struct call *c)
{
    struct fake_service *f = context;

    c->server = f;
    c->cancel = cancel;
    c->hasten = hasten;
    c->pull = next_event;
    f->started++;
    snprintf(f->last_key, sizeof(f->last_key), STR_FMT, STR_ARG(c->idempotency_key));
    if (c->method == &health) {
        Weft__V1__HealthResponse *r =
            CODEC_NEW(&c->arena, Weft__V1__HealthResponse, weft__v1__health_response);

        r->health = codec_text(&c->arena, STR("healthy"));
        c->reply = &r->base;
        finish(c, CODE_OK, "");
    } else if (c->method == &get) {
        do_get(c);
    } else if (c->method == &put) {
        do_put(c);
    } else if (c->method == &enqueue) {
        do_enqueue(c);
    } else if (c->method == &watch) {
        if (strcmp(((const Weft__V1__WatchRequest *)(const void *)c->request)->id
                       ? ((const Weft__V1__WatchRequest *)(const void *)c->request)->id
                       : "",
                   "missing") == 0)
            finish(c, CODE_RUN_NOT_FOUND, "there is no run \"missing\"");
        else
            next_event(c);
    } else {
        hold(c);
    }
}

void fake_service_init(struct fake_service *f)
{
    *f = (struct fake_service){.events = 3};
    f->service = (struct call_service){methods, sizeof(methods) / sizeof(methods[0]), start, f};
}

void fake_release(struct fake_service *f)
{
    while (f->held_n > 0) {
        struct call *c = f->held[0];

        if (c->method == &claim)
            c->reply = codec_new(&c->arena, sizeof(Weft__V1__ClaimResponse),
                                 &weft__v1__claim_response__descriptor);
        finish(c, CODE_OK, "");
    }
}

/* ---- the host ---- */

static int64_t fake_now;

static int64_t now(void)
{
    return fake_now;
}

static void drain(struct fake_host *h)
{
    struct buf out;
    size_t n;

    if (h->slow)
        return;
    buf_init(&out, NET_OUT_BYTES);
    do {
        buf_clear(&out);
        h->busy = true;
        h->p->type->drain(h->p, &out);
        h->busy = false;
        n = out.n;
        assert(!out.full);
        buf_add(&h->sent, buf_str(&out));
    } while (n > 0);
    buf_deinit(&out);
}

static void wake(struct protocol_host *host)
{
    struct fake_host *h = (void *)((char *)host - offsetof(struct fake_host, host));

    if (!h->busy)
        drain(h);
}

static bool admit(struct protocol_host *host, int64_t *ret_retry_after_us)
{
    struct fake_host *h = (void *)((char *)host - offsetof(struct fake_host, host));

    *ret_retry_after_us = 1500 * CLOCK_MS;
    return !h->refuse;
}

static void small_buffer(struct protocol_host *host)
{
    struct fake_host *h = (void *)((char *)host - offsetof(struct fake_host, host));

    h->small = true;
}

void fake_host_init(struct fake_host *h, struct fake_service *f,
                    struct protocol *make(struct protocol_host *))
{
    *h = (struct fake_host){.shared = {.limits = NET_LIMITS_DEFAULT}};
    h->routes = route_new(f->service.methods, f->service.methods_n);
    h->shared.service = &f->service;
    h->shared.routes = h->routes;
    h->shared.now = now;
    buf_init(&h->shared.scratch, (size_t)1 << 30);
    buf_init(&h->sent, (size_t)1 << 30);
    h->host.shared = &h->shared;
    h->host.peer = STR("192.0.2.1");
    h->host.wake = wake;
    h->host.admit = admit;
    h->host.small_buffer = small_buffer;
    h->p = make(&h->host);
}

void fake_host_deinit(struct fake_host *h)
{
    h->busy = true;
    if (h->p)
        h->p->type->free(h->p);
    assert(h->shared.bodies_bytes == 0 && h->shared.metrics.calls == 0);
    route_free(h->routes);
    buf_deinit(&h->shared.scratch);
    buf_deinit(&h->sent);
}

void fake_host_feed(struct fake_host *h, struct str bytes)
{
    h->busy = true;
    h->p->type->feed(h->p, bytes);
    h->busy = false;
    drain(h);
}

void fake_host_end(struct fake_host *h)
{
    h->busy = true;
    h->p->type->end(h->p);
    h->busy = false;
    drain(h);
}

void fake_host_wait(struct fake_host *h, int64_t us)
{
    int64_t until = fake_now + us;

    while (!h->p->closing && h->p->deadline_us <= until) {
        fake_now = h->p->deadline_us > fake_now ? h->p->deadline_us : fake_now;
        h->busy = true;
        h->p->type->expire(h->p);
        h->busy = false;
        drain(h);
    }
    fake_now = until;
}
