/* SPDX-License-Identifier: Apache-2.0 */
#include "net/fake_testing.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/codec.h"

struct waiting {
    struct list link;
    struct call *call;
};

struct watching {
    struct fake *fake;
    Weft__V1__Event event;
    char seq[24];
    int64_t told, last;
    bool endless;
};

static const struct method get = {
    .name = "queues.get",
    .rpc = "weft.v1.Queues/Get",
    .request = &weft__v1__queue_request__descriptor,
    .reply = &weft__v1__queue__descriptor,
    .path = "/v1/queues/{queue}",
};

static const struct method enqueue = {
    .name = "queues.enqueue",
    .rpc = "weft.v1.Queues/Enqueue",
    .request = &weft__v1__enqueue_request__descriptor,
    .reply = &weft__v1__enqueue_response__descriptor,
    .kind = METHOD_WRITE,
    .verb = METHOD_POST,
    .path = "/v1/queues/{queue}:enqueue",
};

static const struct method watch = {
    .name = "runs.watch",
    .rpc = "weft.v1.Runs/Watch",
    .request = &weft__v1__watch_request__descriptor,
    .reply = &weft__v1__event__descriptor,
    .replies = METHOD_STREAM,
    .path = "/v1/runs/{id}:watch",
};

enum { METHODS_N = 3 };

static const struct method *const methods[METHODS_N] = {&get, &enqueue, &watch};

static void done(struct fake *f, struct call *c)
{
    f->done++;
    c->done(c);
}

static void on_cancel(struct call *c)
{
    struct fake *f = c->server;

    f->cancelled++;
    c->code = CODE_CANCELLED;
    c->text = STR("cancelled");
    done(f, c);
}

static void wait_cancel(struct call *c)
{
    struct fake *f = c->server;

    LIST_EACH_SAFE(it, &f->later)
    {
        if (LIST_OF(it, struct waiting, link)->call == c)
            list_del(it);
    }
    on_cancel(c);
}

static void wait_later(struct fake *f, struct call *c)
{
    struct waiting *w = ARENA_NEW(&c->arena, struct waiting);

    w->call = c;
    list_add(&f->later, &w->link);
    c->cancel = wait_cancel;
}

static void refuse(struct call *c, enum code code)
{
    struct doc_error *d = ARENA_ARRAY(&c->arena, struct doc_error, 2);

    c->code = code;
    c->text = STR("50 % is too much: gr\u00f6\u00dfer");
    if (code == CODE_QUEUE_FULL) {
        c->retry_after_us = 1500000;
        return;
    }
    d[0] = (struct doc_error){1, 2, STR("the first place")};
    d[1] = (struct doc_error){3, 4, STR("the second place")};
    c->details = d;
    c->details_n = 2;
}

static void start_get(struct fake *f, struct call *c)
{
    const Weft__V1__QueueRequest *q = (const Weft__V1__QueueRequest *)c->request;
    struct str name = str_of(q->queue);
    Weft__V1__Queue *reply = CODEC_NEW(&c->arena, Weft__V1__Queue, weft__v1__queue);

    reply->name = q->queue;
    c->reply = &reply->base;
    if (str_eq(name, STR("hang")))
        return;
    if (str_eq(name, STR("later"))) {
        wait_later(f, c);
        return;
    }
    if (str_eq(name, STR("fail")))
        refuse(c, CODE_QUEUE_FULL);
    if (str_eq(name, STR("invalid")))
        refuse(c, CODE_INVALID);
    if (str_eq(name, STR("wide"))) {
        reply->name = arena_alloc(&c->arena, FAKE_WIDE_BYTES + 1);
        memset(reply->name, 'w', FAKE_WIDE_BYTES);
    }
    done(f, c);
}

static void start_enqueue(struct fake *f, struct call *c)
{
    const Weft__V1__EnqueueRequest *q = (const Weft__V1__EnqueueRequest *)c->request;
    Weft__V1__EnqueueResponse *reply =
        CODEC_NEW(&c->arena, Weft__V1__EnqueueResponse, weft__v1__enqueue_response);

    reply->ids = ARENA_ARRAY(&c->arena, char *, q->n_tasks);
    for (size_t i = 0; i < q->n_tasks; i++)
        reply->ids[i] = codec_id(&c->arena, (int64_t)i + 1);
    reply->n_ids = q->n_tasks;
    c->reply = &reply->base;
    done(f, c);
}

static void watch_cancel(struct call *c)
{
    struct watching *w = c->server;

    c->server = w->fake;
    on_cancel(c);
}

static void watch_pull(struct call *c)
{
    struct watching *w = c->server;

    if (w->told == w->last) {
        if (!w->endless)
            done(w->fake, c);
        return;
    }
    snprintf(w->seq, sizeof(w->seq), "%" PRId64, ++w->told);
    w->fake->messages++;
    c->message(c);
}

static void start_watch(struct fake *f, struct call *c)
{
    const Weft__V1__WatchRequest *q = (const Weft__V1__WatchRequest *)c->request;
    struct watching *w = ARENA_NEW(&c->arena, struct watching);

    weft__v1__event__init(&w->event);
    w->fake = f;
    w->event.seq = w->seq;
    w->endless = str_eq(str_of(q->id), STR("hang"));
    str_int64(str_of(q->after), &w->last);
    c->server = w;
    c->reply = &w->event.base;
    c->pull = watch_pull;
    c->cancel = watch_cancel;
    watch_pull(c);
}

static void start(void *context, struct call *c)
{
    struct fake *f = context;
    size_t n = c->idempotency_key.n;

    f->started++;
    f->deadline_us = c->deadline_us;
    if (n)
        memcpy(f->key, c->idempotency_key.p, n);
    f->key[n] = '\0';
    assert(c->id.n > 0 && c->id.n <= CALL_ID_BYTES_MAX);
    memcpy(f->id, c->id.p, c->id.n);
    f->id[c->id.n] = '\0';
    c->server = f;
    c->cancel = on_cancel;
    if (c->method == &get)
        start_get(f, c);
    else if (c->method == &enqueue)
        start_enqueue(f, c);
    else
        start_watch(f, c);
}

void fake_init(struct fake *f)
{
    *f = (struct fake){0};
    f->service = (struct call_service){methods, METHODS_N, start, f};
    list_init(&f->later);
}

void fake_finish(struct fake *f)
{
    while (!list_empty(&f->later)) {
        struct waiting *w = LIST_OF(f->later.next, struct waiting, link);

        list_del(&w->link);
        done(f, w->call);
    }
}
