/* SPDX-License-Identifier: Apache-2.0 */
#include "net/grpc_health.h"

#include <stdlib.h>

#include "api/codec.h"
#include "base/list.h"
#include "base/memory.h"
#include "health.pb-c.h"

typedef Grpc__Health__V1__HealthCheckRequest Request;
typedef Grpc__Health__V1__HealthCheckResponse Response;

/* As health.proto has them. */
enum status { UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN };

enum { METHODS_N = 2 };

struct grpc_health {
    struct call_service service;
    const struct call_service *services;
    bool serving;
    struct list watchers;
};

/* A Watch under way; lives in its call's arena. */
struct watcher {
    struct list link;
    struct call *call;
    struct grpc_health *health;
    bool known; /* there is such a service */
    Response reply;
    enum status told;
    bool ready; /* the transport takes a message */
};

static const struct method check = {
    .name = "health.check",
    .rpc = "grpc.health.v1.Health/Check",
    .request = &grpc__health__v1__health_check_request__descriptor,
    .reply = &grpc__health__v1__health_check_response__descriptor,
    .replies = METHOD_UNARY,
    .kind = METHOD_READ,
    .permission = METHOD_VIEW,
};

static const struct method watch = {
    .name = "health.watch",
    .rpc = "grpc.health.v1.Health/Watch",
    .request = &grpc__health__v1__health_check_request__descriptor,
    .reply = &grpc__health__v1__health_check_response__descriptor,
    .replies = METHOD_STREAM,
    .kind = METHOD_READ,
    .permission = METHOD_VIEW,
};

static const struct method *const methods[METHODS_N] = {&check, &watch};

static bool known(const struct grpc_health *h, struct str name)
{
    if (name.n == 0)
        return true;
    for (size_t i = 0; i < h->services->methods_n; i++) {
        struct str rpc = str_of(h->services->methods[i]->rpc);

        if (rpc.n > name.n && rpc.p[name.n] == '/' && str_starts(rpc, name))
            return true;
    }
    return false;
}

static enum status status(const struct grpc_health *h)
{
    return h->serving ? SERVING : NOT_SERVING;
}

static void start_check(struct grpc_health *h, struct call *c, struct str name)
{
    Response *reply = CODEC_NEW(&c->arena, Response, grpc__health__v1__health_check_response);

    if (known(h, name)) {
        reply->has_status = true;
        reply->status = (int32_t)status(h);
        c->reply = &reply->base;
    } else {
        c->code = CODE_SERVICE_NOT_FOUND;
        c->text = str_printf(&c->arena, "there is no service " STR_FMT, STR_ARG(name));
    }
    c->done(c);
}

/* Tell what the watcher does not know yet. */
static void tell(struct watcher *w)
{
    enum status now = w->known ? status(w->health) : SERVICE_UNKNOWN;

    if (!w->ready || w->told == now)
        return;
    w->ready = false;
    w->told = now;
    w->reply.status = (int32_t)now;
    w->reply.has_status = true;
    w->call->reply = &w->reply.base;
    w->call->message(w->call);
}

static void watch_pull(struct call *c)
{
    struct watcher *w = c->server;

    w->ready = true;
    tell(w);
}

static void watch_cancel(struct call *c)
{
    struct watcher *w = c->server;

    list_del(&w->link);
    c->code = CODE_CANCELLED;
    c->text = STR("the watch has ended");
    c->done(c);
}

static void start_watch(struct grpc_health *h, struct call *c, struct str name)
{
    struct watcher *w = ARENA_NEW(&c->arena, struct watcher);

    w->call = c;
    w->health = h;
    w->known = known(h, name);
    w->ready = true;
    w->told = UNKNOWN;
    grpc__health__v1__health_check_response__init(&w->reply);
    list_add(&h->watchers, &w->link);
    c->server = w;
    c->pull = watch_pull;
    c->cancel = watch_cancel;
    tell(w);
}

static void start(void *context, struct call *c)
{
    const Request *q = (const Request *)c->request;

    if (c->method == &check)
        start_check(context, c, str_of(q->service));
    else
        start_watch(context, c, str_of(q->service));
}

struct grpc_health *grpc_health_new(const struct call_service *services,
                                    const struct call_service **ret_service)
{
    struct grpc_health *h = memory_new(sizeof(*h));

    h->service = (struct call_service){methods, METHODS_N, start, h};
    h->services = services;
    h->serving = true;
    list_init(&h->watchers);
    *ret_service = &h->service;
    return h;
}

struct grpc_health *grpc_health_free(struct grpc_health *h)
{
    free(h);
    return NULL;
}

void grpc_health_set(struct grpc_health *h, bool serving)
{
    h->serving = serving;
    LIST_EACH_SAFE(it, &h->watchers)
    tell(LIST_OF(it, struct watcher, link));
}
