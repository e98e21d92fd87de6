/* SPDX-License-Identifier: Apache-2.0 */
#include "net/grpc.h"

#include <assert.h>
#include <stdlib.h>

#include "api/codec.h"
#include "base/map.h"
#include "base/memory.h"
#include "net/grpc_frame.h"
#include "net/grpc_health.h"
#include "net/grpc_reflection.h"
#include "net/h2.h"
#include "net/request_id.h"

/* What a path leads to. */
struct route {
    const struct method *method;
    const struct call_service *service; /* NULL: reflection, a dialogue of messages in both ways */
};

struct grpc {
    struct net_shared *shared;
    struct grpc_health *health;
    struct route *routes;
    size_t routes_n;
    struct map *paths; /* place in routes */
};

struct connection {
    struct protocol p;
    struct grpc *grpc;
    struct h2 *h2; /* NULL when the connection has gone */
    char *peer;
    unsigned calls;   /* started and not yet done */
    unsigned streams; /* structs that are not freed */
};

struct stream {
    struct h2_stream h2;
    struct connection *connection;
    const struct route *route;
    struct call call;
    struct grpc_frame in;
    size_t received; /* bytes of the body */
    size_t held;     /* of them, or of the reply, counted in shared->bodies_bytes */
    int64_t begun_us;

    /* what the headers say */
    struct str path;
    bool post, typed, bad_timeout;

    bool has_message; /* `in` is whole */
    bool started, done, cancelled;
    bool wants_pull, pulling;
};

/* How a stream ends. */
struct ending {
    int status;
    enum code code;
    struct str text;
    int64_t retry_after_us;
};

static struct stream *stream_of(struct h2_stream *h)
{
    return (struct stream *)h;
}

static struct net_shared *shared_of(const struct stream *s)
{
    return s->connection->grpc->shared;
}

static int64_t now_us(const struct stream *s)
{
    return shared_of(s)->now();
}

/* ---- lifetime ---- */

static void connection_unref(struct connection *c)
{
    if (c->h2 || c->streams)
        return;
    free(c->peer);
    free(c);
}

static void release(struct stream *s)
{
    shared_of(s)->bodies_bytes -= s->held;
    s->held = 0;
    grpc_frame_deinit(&s->in);
}

static void stream_free(struct stream *s)
{
    struct connection *c = s->connection;

    release(s);
    arena_deinit(&s->call.arena);
    free(s);
    c->streams--;
    connection_unref(c);
}

/* `done` may come within, and free the stream if it has gone. */
static void cancel(struct stream *s)
{
    if (!s->started || s->done || s->cancelled)
        return;
    s->cancelled = true;
    s->call.cancel(&s->call);
}

static void on_gone(struct h2_stream *h)
{
    struct stream *s = stream_of(h);

    s->h2.h2 = NULL;
    if (s->started && !s->done)
        cancel(s);
    else
        stream_free(s);
}

/* ---- answers ---- */

/* The sentence, and behind it the first of the places that are wrong. */
static struct str message(struct stream *s, struct str text)
{
    const struct call *c = &s->call;
    struct str cut;
    size_t n = c->details_n < 10 ? c->details_n : 10;

    for (size_t i = 0; i < n && text.n < GRPC_TEXT_BYTES_MAX; i++)
        text = str_printf(&s->call.arena, STR_FMT "\n%u:%u: " STR_FMT, STR_ARG(text),
                          c->details[i].line, c->details[i].column, STR_ARG(c->details[i].text));
    cut = str_sub(text, 0, GRPC_TEXT_BYTES_MAX);
    return grpc_frame_percent(&s->call.arena, cut);
}

static size_t trailers(struct stream *s, const struct ending *e, nghttp2_nv out[static 4])
{
    struct arena *a = &s->call.arena;
    size_t n = 0;

    shared_of(s)->metrics.grpc[e->status]++;
    if (e->status == GRPC_OK) {
        out[n++] = H2_FIELD("grpc-status", STR("0"));
        return n;
    }
    out[n++] = H2_FIELD("grpc-status", str_printf(a, "%d", e->status));
    out[n++] = H2_FIELD("grpc-message", message(s, e->text));
    out[n++] = H2_FIELD("weft-code", code_text(e->code));
    if (e->retry_after_us)
        out[n++] = H2_FIELD("grpc-retry-pushback-ms",
                            str_printf(a, "%lld", (long long)(e->retry_after_us / CLOCK_MS)));
    return n;
}

static void reply_begin(struct stream *s)
{
    const nghttp2_nv fields[] = {
        H2_FIELD(":status", STR("200")),
        H2_FIELD("content-type", STR("application/grpc")),
        H2_FIELD(REQUEST_ID_FIELD, s->call.id),
    };

    if (!s->h2.replied)
        h2_reply(&s->h2, fields, 3);
}

/* An answered client has its time to read. One that still sends is told to stop (RFC 9113, 8.1),
 * but not at once: Node takes no answer from a stream that is reset while it sends. */
static void farewell(struct stream *s)
{
    int64_t us = s->h2.ended_in ? GRPC_REPLY_US_MAX : shared_of(s)->limits.linger_us;

    h2_stream_deadline(&s->h2, now_us(s) + us);
}

static void finish(struct stream *s, const struct ending *e)
{
    nghttp2_nv fields[8] = {
        H2_FIELD(":status", STR("200")),
        H2_FIELD("content-type", STR("application/grpc")),
        H2_FIELD("grpc-accept-encoding", STR("identity")),
        H2_FIELD(REQUEST_ID_FIELD, s->call.id),
    };

    release(s);
    if (s->h2.replied) {
        size_t n = trailers(s, e, fields);

        h2_end(&s->h2, fields, n);
        s->held = h2_ahead(&s->h2);
        shared_of(s)->bodies_bytes += s->held;
    } else {
        size_t n = trailers(s, e, fields + 4);

        h2_refuse(&s->h2, fields, 4 + n);
    }
    farewell(s);
}

static void refuse(struct stream *s, int status, enum code code, struct str text)
{
    finish(s, &(struct ending){.status = status, .code = code, .text = text});
}

static void refuse_for_limit(struct stream *s, enum metrics_refusal which, enum code code,
                             struct str text, int64_t retry_after_us)
{
    shared_of(s)->metrics.refused[which]++;
    finish(s, &(struct ending){GRPC_RESOURCE_EXHAUSTED, code, text, retry_after_us});
}

static void refuse_late(struct stream *s)
{
    refuse(s, GRPC_DEADLINE_EXCEEDED, CODE_DEADLINE_EXCEEDED,
           STR("the call's deadline has passed"));
}

/* What is no gRPC is answered in HTTP. */
static void refuse_http(struct stream *s, struct str status)
{
    const nghttp2_nv fields[] = {H2_FIELD(":status", status)};

    h2_refuse(&s->h2, fields, 1);
    farewell(s);
}

/* A message, or its bytes where others had them made. */
static void encode(const ProtobufCMessage *m, struct call_bytes *shared, struct buf *out)
{
    size_t at = out->n;

    if (shared && shared->protobuf.p) {
        buf_add(out, shared->protobuf);
        return;
    }
    codec_encode(m, out);
    if (shared && !out->full)
        shared->protobuf = str_copy(shared->arena, str_sub(buf_str(out), at, out->n));
}

/* Append a message; false, and nothing is there of it, where the answer is larger than we send. */
static bool send(struct stream *s, const ProtobufCMessage *m, struct call_bytes *shared)
{
    struct buf *out;
    size_t at;

    reply_begin(s);
    out = h2_out(&s->h2);
    at = out->n;
    grpc_frame_head(out, 0);
    encode(m, shared, out);
    if (out->full) {
        out->n = at;
        out->full = false;
        return false;
    }
    grpc_frame_length(out->p + at, out->n - at - GRPC_FRAME_HEAD_BYTES);
    return true;
}

static void reply_too_large(struct stream *s)
{
    refuse(s, GRPC_RESOURCE_EXHAUSTED, CODE_TOO_LARGE,
           STR("the reply is larger than the server sends; ask for less at once"));
}

/* ---- calls ---- */

static void pump(struct stream *s)
{
    if (s->pulling)
        return;
    s->pulling = true;
    while (s->wants_pull && !s->done && !s->h2.ended_out && h2_ahead(&s->h2) < H2_AHEAD_BYTES) {
        s->wants_pull = false;
        s->call.pull(&s->call);
    }
    s->pulling = false;
}

static void on_message(struct call *c)
{
    struct stream *s = c->transport;
    struct h2 *h2 = s->h2.h2;

    if (!h2 || s->h2.ended_out)
        return; /* it has been cancelled */
    h2_hold(h2);
    if (send(s, c->reply, c->bytes)) {
        h2_flush(&s->h2);
        s->wants_pull = true;
        pump(s);
    } else {
        reply_too_large(s);
        cancel(s);
    }
    h2_release(h2);
}

static void answer(struct stream *s)
{
    const struct call *c = &s->call;
    struct ending e = {code_grpc(c->code), c->code, c->text, c->retry_after_us};

    if (c->code == CODE_OK && c->method->replies == METHOD_UNARY && !send(s, c->reply, NULL)) {
        reply_too_large(s);
        return;
    }
    if (c->code == CODE_OK)
        reply_begin(s); /* a stream without a message */
    finish(s, &e);
}

static void on_done(struct call *c)
{
    struct stream *s = c->transport;
    struct h2 *h2 = s->h2.h2;
    struct net_shared *shared = shared_of(s);

    assert(!s->done);
    s->done = true;
    s->connection->calls--;
    if (h2) {
        h2_hold(h2);
        if (!s->h2.ended_out)
            answer(s);
        h2_release(h2);
    } else {
        stream_free(s);
    }
    protocol_call_ended(shared);
}

static void start(struct stream *s)
{
    struct call *c = &s->call;
    ProtobufCMessage *request;
    struct str error;

    if (now_us(s) >= c->deadline_us) {
        refuse_late(s);
        return;
    }
    if (codec_decode(&c->arena, s->route->method->request, buf_str(&s->in.body), &request,
                     &error)) {
        refuse(s, GRPC_INVALID_ARGUMENT, CODE_INVALID, error);
        return;
    }
    release(s);
    c->method = s->route->method;
    c->request = request;
    c->peer = str_of(s->connection->peer);
    c->message = on_message;
    c->done = on_done;
    c->transport = s;
    s->started = true;
    s->connection->calls++;
    protocol_call_begins(shared_of(s));
    h2_stream_deadline(&s->h2, c->deadline_us);
    s->route->service->start(s->route->service->context, c);
}

/* ---- what the client sends ---- */

static void on_begin(struct h2_stream *h)
{
    struct stream *s = stream_of(h);

    s->connection = h2_context(h->h2);
    s->connection->streams++;
    s->call.deadline_us = INT64_MAX;
    grpc_frame_init(&s->in, shared_of(s)->limits.body_bytes);
}

static void id_take(struct stream *s, struct str asked)
{
    char *id = arena_alloc(&s->call.arena, CALL_ID_BYTES_MAX);

    s->call.id = request_id_take(&shared_of(s)->request_id, asked, id);
}

static void header_path(struct stream *s, struct str value)
{
    uint64_t at;

    s->path = str_copy(&s->call.arena, value);
    if (value.n && map_get(s->connection->grpc->paths, str_sub(value, 1, value.n), &at))
        s->route = &s->connection->grpc->routes[at];
    /* A dialogue stays open, and what is read of it is counted nowhere. */
    if (s->route && !s->route->service)
        s->in.body.max = GRPC_QUESTION_BYTES_MAX;
}

static void on_header(struct h2_stream *h, struct str name, struct str value)
{
    struct stream *s = stream_of(h);
    int64_t timeout_us;

    if (str_eq(name, STR(":path"))) {
        header_path(s, value);
    } else if (str_eq(name, STR(":method"))) {
        s->post = str_eq(value, STR("POST"));
    } else if (str_eq(name, STR("content-type"))) {
        s->typed = grpc_frame_content_type(value);
    } else if (str_eq(name, STR("grpc-timeout"))) {
        s->bad_timeout = !grpc_frame_timeout(value, &timeout_us);
        if (!s->bad_timeout && timeout_us < GRPC_TIMEOUT_US_MAX)
            s->call.deadline_us = timeout_us; /* made absolute with the end of the head */
    } else if (str_eq(name, STR("idempotency-key"))) {
        s->call.idempotency_key = str_copy(&s->call.arena, value);
    } else if (str_eq(name, STR(REQUEST_ID_FIELD))) {
        id_take(s, value);
    }
}

/* When a body that comes as slowly as we allow would be given up. */
static int64_t body_deadline(const struct stream *s)
{
    const struct net_limits *l = &shared_of(s)->limits;
    int64_t more_us = l->body_rate ? (int64_t)(s->received * CLOCK_S / l->body_rate) : 0;

    return s->begun_us + l->body_us + more_us;
}

static void wait_for_body(struct stream *s)
{
    int64_t body_us = body_deadline(s);

    if (s->route->service)
        h2_stream_deadline(&s->h2, body_us < s->call.deadline_us ? body_us : s->call.deadline_us);
}

/* What speaks against a request that is gRPC in its form. True where it was refused. */
static bool refuse_head(struct stream *s)
{
    struct connection *c = s->connection;
    struct protocol_host *host = c->p.host;
    unsigned calls_max = shared_of(s)->limits.calls_per_connection;
    int64_t retry_us = 0;

    if (!s->route)
        refuse(s, GRPC_UNIMPLEMENTED, CODE_METHOD_NOT_FOUND,
               str_printf(&s->call.arena, "there is no method " STR_FMT, STR_ARG(s->path)));
    else if (s->bad_timeout)
        refuse(s, GRPC_INVALID_ARGUMENT, CODE_INVALID,
               STR("grpc-timeout is 1 to 8 digits and one of H M S m u n"));
    else if (s->call.idempotency_key.n > CALL_KEY_BYTES_MAX)
        refuse(s, GRPC_INVALID_ARGUMENT, CODE_INVALID,
               STR("idempotency-key is longer than 200 bytes"));
    else if (shared_of(s)->retiring)
        h2_reset(&s->h2, NGHTTP2_REFUSED_STREAM); /* clients try it again elsewhere */
    else if (calls_max && c->calls >= calls_max)
        refuse_for_limit(s, METRICS_CALLS, CODE_RESOURCE_EXHAUSTED,
                         STR("too many calls of this connection are under way"), CLOCK_S);
    else if (!host->admit(host, &retry_us))
        refuse_for_limit(s, METRICS_RATE, CODE_RATE_LIMITED, STR("too many requests a second"),
                         retry_us);
    return s->h2.ended_out;
}

static void on_head(struct h2_stream *h)
{
    struct stream *s = stream_of(h);
    int64_t now = now_us(s);

    s->begun_us = now;
    if (s->call.id.n == 0)
        id_take(s, (struct str){0});
    if (s->call.deadline_us != INT64_MAX)
        s->call.deadline_us += now;
    if (h->head_over) {
        shared_of(s)->metrics.refused[METRICS_HEAD]++;
        refuse_http(s, STR("431"));
    } else if (!s->post) {
        refuse_http(s, STR("405"));
    } else if (!s->typed) {
        refuse_http(s, STR("415"));
    } else if (!refuse_head(s)) {
        wait_for_body(s);
    }
}

static void refuse_frame(struct stream *s, int outcome)
{
    if (outcome == GRPC_FRAME_E_COMPRESSED)
        refuse(s, GRPC_UNIMPLEMENTED, CODE_UNSUPPORTED_MEDIA_TYPE,
               STR("compressed messages are not accepted"));
    else if (outcome == GRPC_FRAME_E_TOO_LARGE)
        refuse_for_limit(s, METRICS_BODY, CODE_TOO_LARGE,
                         str_printf(&s->call.arena,
                                    "the message has %zu bytes, and the server takes %zu",
                                    s->in.bytes, s->in.body.max),
                         0);
    else
        refuse(s, GRPC_INTERNAL, CODE_INVALID, STR("a message begins with neither 0 nor 1"));
}

/* One message of a dialogue, and its answer. */
static void talk(struct stream *s)
{
    struct call *c = &s->call;
    ProtobufCMessage *reply = NULL;
    struct str error;

    if (!grpc_reflection_answer(&c->arena, buf_str(&s->in.body), &reply, &error))
        refuse(s, GRPC_INVALID_ARGUMENT, CODE_INVALID, error);
    else if (h2_ahead(&s->h2) > GRPC_DIALOGUE_BYTES_MAX || !send(s, reply, NULL))
        refuse(s, GRPC_RESOURCE_EXHAUSTED, CODE_RESOURCE_EXHAUSTED,
               STR("answers are not read as fast as is asked"));
    else
        h2_flush(&s->h2);
    if (s->h2.ended_out)
        return; /* the trailers' texts live in the arena */
    arena_reset(&c->arena);
    grpc_frame_clear(&s->in);
}

/* Count what is held of bodies; false, and refused, where it is too much. */
static bool hold(struct stream *s, size_t n)
{
    struct net_shared *shared = shared_of(s);
    size_t max = shared->limits.bodies_bytes;

    s->received += n;
    s->held += n;
    shared->bodies_bytes += n;
    if (!max || shared->bodies_bytes <= max)
        return true;
    refuse_for_limit(s, METRICS_BODIES, CODE_RESOURCE_EXHAUSTED,
                     STR("the server holds as many requests and replies as it may"), CLOCK_S);
    return false;
}

static void on_data(struct h2_stream *h, struct str bytes)
{
    struct stream *s = stream_of(h);

    if (s->route->service && !h->ended_out && !hold(s, bytes.n))
        return;
    while (bytes.n && !h->ended_out) {
        int r;

        if (s->has_message) {
            refuse(s, GRPC_UNIMPLEMENTED, CODE_INVALID,
                   STR("more than one message came, and this method takes one"));
            return;
        }
        r = grpc_frame_feed(&s->in, &bytes);
        if (r > GRPC_FRAME_E_MORE)
            refuse_frame(s, r);
        else if (r == 0 && !s->route->service)
            talk(s);
        else if (r == 0)
            s->has_message = true;
    }
}

static void on_end(struct h2_stream *h)
{
    struct stream *s = stream_of(h);

    if (s->has_message) {
        start(s);
    } else if (!grpc_frame_empty(&s->in)) {
        refuse(s, GRPC_INTERNAL, CODE_INVALID, STR("the stream ends within a message"));
    } else if (s->route->service) {
        refuse(s, GRPC_UNIMPLEMENTED, CODE_INVALID,
               STR("no message came, and this method takes one"));
    } else {
        reply_begin(s);
        finish(s, &(struct ending){.status = GRPC_OK});
    }
}

static void on_room(struct h2_stream *h)
{
    if (stream_of(h)->started)
        pump(stream_of(h));
}

static void deadline_passed(struct stream *s)
{
    int64_t now = now_us(s);

    if (s->h2.ended_out && !s->h2.ended_in) {
        h2_reset(&s->h2, NGHTTP2_NO_ERROR);
    } else if (s->h2.ended_out) {
        shared_of(s)->metrics.refused[METRICS_WRITE_TIME]++;
        h2_reset(&s->h2, NGHTTP2_CANCEL);
    } else if (now >= s->call.deadline_us) {
        refuse_late(s);
        cancel(s);
    } else if (now < body_deadline(s)) {
        wait_for_body(s);
    } else {
        shared_of(s)->metrics.refused[METRICS_BODY_RATE]++;
        refuse(s, GRPC_DEADLINE_EXCEEDED, CODE_TIMEOUT, STR("the request comes too slowly"));
    }
}

/* Streams end at once: they have no end of their own, and can be taken up again elsewhere. */
static void retire(struct stream *s)
{
    const struct route *r = s->route;
    bool endless = r && (!r->service || (s->started && r->method->replies == METHOD_STREAM));

    if (!endless || s->h2.ended_out || !s->begun_us)
        return;
    refuse(s, GRPC_UNAVAILABLE, CODE_UNAVAILABLE, STR("the server is going down"));
    cancel(s);
}

static void on_due(struct h2_stream *h, enum h2_due what)
{
    if (what == H2_DUE_DRAIN)
        retire(stream_of(h));
    else
        deadline_passed(stream_of(h));
}

static const struct h2_events events = {
    .stream_bytes = sizeof(struct stream),
    .begin = on_begin,
    .header = on_header,
    .head = on_head,
    .data = on_data,
    .end = on_end,
    .room = on_room,
    .due = on_due,
    .gone = on_gone,
};

/* ---- the protocol ---- */

static struct connection *connection_of(struct protocol *p)
{
    return (struct connection *)p;
}

static void refresh(struct connection *c)
{
    c->p.deadline_us = h2_deadline(c->h2);
    c->p.closing = h2_over(c->h2);
}

static void on_wake(void *context)
{
    struct connection *c = context;

    refresh(c);
    c->p.host->wake(c->p.host);
}

static int64_t connection_now(const struct connection *c)
{
    return c->grpc->shared->now();
}

static void connection_feed(struct protocol *p, struct str bytes)
{
    h2_feed(connection_of(p)->h2, bytes, connection_now(connection_of(p)));
    refresh(connection_of(p));
}

/* A client that sends no more can acknowledge nothing, so it has gone. */
static void connection_end(struct protocol *p)
{
    p->closing = true;
}

static void connection_drain(struct protocol *p, struct buf *out)
{
    bool closing = p->closing;

    h2_drain(connection_of(p)->h2, out);
    refresh(connection_of(p));
    p->closing |= closing;
}

static void connection_expire(struct protocol *p)
{
    h2_tick(connection_of(p)->h2, connection_now(connection_of(p)));
    refresh(connection_of(p));
}

static void connection_retire(struct protocol *p)
{
    h2_shutdown(connection_of(p)->h2, connection_now(connection_of(p)));
    refresh(connection_of(p));
}

static void connection_free(struct protocol *p)
{
    struct connection *c = connection_of(p);
    struct h2 *h2 = c->h2;

    h2_free(h2);
    c->h2 = NULL;
    connection_unref(c);
}

static const struct protocol_type type = {
    .name = "h2",
    .feed = connection_feed,
    .end = connection_end,
    .drain = connection_drain,
    .expire = connection_expire,
    .retire = connection_retire,
    .free = connection_free,
};

struct protocol *grpc_connection(struct protocol_host *host)
{
    struct connection *c = memory_new(sizeof(*c));
    struct h2_options o = {
        .events = &events,
        .context = c,
        .limits = host->shared->limits,
        .metrics = &host->shared->metrics,
        .wake = on_wake,
        .wake_context = c,
        .now_us = host->shared->now(),
    };

    c->p.type = &type;
    c->p.host = host;
    c->grpc = host->shared->grpc;
    c->peer = memory_grow(NULL, host->peer.n + 1);
    if (host->peer.n)
        memcpy(c->peer, host->peer.p, host->peer.n);
    c->peer[host->peer.n] = '\0';
    c->h2 = h2_new(&o);
    refresh(c);
    return &c->p;
}

/* ---- what connections have in common ---- */

static void add_routes(struct grpc *g, const struct call_service *service)
{
    for (size_t i = 0; i < service->methods_n; i++) {
        g->routes[g->routes_n] = (struct route){service->methods[i], service};
        map_set(g->paths, str_of(service->methods[i]->rpc), g->routes_n++);
    }
}

static void add_reflection(struct grpc *g)
{
    g->routes[g->routes_n] = (struct route){0};
    map_set(g->paths, STR("grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), g->routes_n);
    map_set(g->paths, STR("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
            g->routes_n);
    g->routes_n++;
}

struct grpc *grpc_new(struct net_shared *shared)
{
    struct grpc *g = memory_new(sizeof(*g));
    const struct call_service *health;

    g->shared = shared;
    g->health = grpc_health_new(shared->service, &health);
    g->paths = map_new();
    g->routes =
        memory_new((shared->service->methods_n + health->methods_n + 1) * sizeof(*g->routes));
    add_routes(g, shared->service);
    add_routes(g, health);
    add_reflection(g);
    shared->grpc = g;
    return g;
}

struct grpc *grpc_free(struct grpc *g)
{
    if (!g)
        return NULL;
    g->shared->grpc = NULL;
    grpc_health_free(g->health);
    map_free(g->paths);
    free(g->routes);
    free(g);
    return NULL;
}

void grpc_serving(struct grpc *g, bool serving)
{
    grpc_health_set(g->health, serving);
}
