/* SPDX-License-Identifier: Apache-2.0 */
#include "net/peer_testing.h"

#include <assert.h>
#include <stdlib.h>

#include "api/codec.h"
#include "base/memory.h"
#include "net/grpc_frame.h"

int64_t peer_now_us = 1000000;

static int64_t now(void)
{
    return peer_now_us;
}

static struct peer *peer_of(struct protocol_host *h)
{
    return LIST_OF(h, struct peer, host);
}

static void wake(struct protocol_host *h)
{
    peer_of(h)->wakes++;
}

static bool admit(struct protocol_host *h, int64_t *ret_retry_after_us)
{
    *ret_retry_after_us = 2000000;
    return peer_of(h)->admits;
}

/* ---- the client ---- */

static struct peer_call *call_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct peer_call *c = call_of(session, frame->hd.stream_id);

    (void)flags;
    (void)user;
    if (c)
        buf_printf(&c->head, "%.*s: %.*s\n", (int)name_n, name, (int)value_n, value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t n, void *user)
{
    struct peer_call *c = call_of(session, id);

    (void)flags;
    (void)user;
    if (c)
        buf_add(&c->data, (struct str){(const char *)data, n});
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct peer *p = user;
    struct peer_call *c = call_of(session, frame->hd.stream_id);

    if (frame->hd.type == NGHTTP2_GOAWAY) {
        p->goaways++;
        p->goaway_error = frame->goaway.error_code;
        p->goaway_last = frame->goaway.last_stream_id;
    }
    if (frame->hd.type == NGHTTP2_PING && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
        p->pings++;
    if (c && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        c->ended = true;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct peer_call *c = call_of(session, id);

    (void)user;
    if (c) {
        c->closed = true;
        c->error = error;
    }
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *into, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct peer_call *c = source->ptr;
    size_t n = c->send.n - c->sent < room ? c->send.n - c->sent : room;

    (void)session;
    (void)id;
    (void)user;
    if (n == 0 && c->open) {
        c->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n)
        memcpy(into, c->send.p + c->sent, n);
    c->sent += n;
    if (c->sent == c->send.n && !c->open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static void client_new(struct peer *p, uint32_t window)
{
    nghttp2_session_callbacks *c;
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}
    };

    nghttp2_session_callbacks_new(&c);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
    nghttp2_session_client_new(&p->client, c, p);
    nghttp2_session_callbacks_del(c);
    nghttp2_submit_settings(p->client, NGHTTP2_FLAG_NONE, settings, window ? 1 : 0);
}

/* ---- both sides ---- */

void peer_init(struct peer *p, uint32_t window)
{
    *p = (struct peer){.piece = SIZE_MAX, .admits = true};
    fake_init(&p->fake);
    p->shared.limits = (struct net_limits)NET_LIMITS_DEFAULT;
    p->shared.service = &p->fake.service;
    p->shared.now = now;
    grpc_new(&p->shared);
    p->host = (struct protocol_host){
        .shared = &p->shared, .peer = STR("192.0.2.7"), .wake = wake, .admit = admit};
    p->p = grpc_connection(&p->host);
    p->calls = memory_new(PEER_CALLS_MAX * sizeof(*p->calls));
    client_new(p, window);
}

void peer_deinit(struct peer *p)
{
    for (size_t i = 0; i < p->calls_n; i++) {
        buf_deinit(&p->calls[i].send);
        buf_deinit(&p->calls[i].head);
        buf_deinit(&p->calls[i].data);
    }
    nghttp2_session_del(p->client);
    if (p->p)
        p->p->type->free(p->p);
    assert(p->shared.metrics.calls == 0);
    assert(p->shared.bodies_bytes == 0);
    grpc_free(p->shared.grpc);
    free(p->calls);
}

static void feed(struct peer *p, const uint8_t *bytes, size_t n)
{
    while (n) {
        size_t part = n < p->piece ? n : p->piece;
        /* A copy of its own, so that reading beyond its end is found. */
        char *copy = memory_grow(NULL, part);

        memcpy(copy, bytes, part);
        p->p->type->feed(p->p, (struct str){copy, part});
        free(copy);
        bytes += part;
        n -= part;
    }
}

/* Returns whether anything came. */
static bool drain(struct peer *p, bool to_client)
{
    struct buf out;
    bool any;

    buf_init(&out, NET_OUT_BYTES);
    p->p->type->drain(p->p, &out);
    any = out.n != 0;
    p->drained += out.n;
    for (size_t at = 0; to_client && at < out.n;) {
        size_t part = out.n - at < p->piece ? out.n - at : p->piece;

        if (nghttp2_session_mem_recv(p->client, (const uint8_t *)out.p + at, part) < 0)
            break;
        at += part;
    }
    buf_deinit(&out);
    return any;
}

void peer_exchange(struct peer *p)
{
    bool more = true;

    while (more) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(p->client, &bytes);

        if (n > 0)
            feed(p, bytes, (size_t)n);
        more = drain(p, true) || n > 0;
    }
}

void peer_raw(struct peer *p, struct str bytes)
{
    feed(p, (const uint8_t *)bytes.p, bytes.n);
    while (drain(p, false))
        ;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

struct peer_call *peer_call(struct peer *p, const char *path, struct str body,
                            const char *const *headers)
{
    struct peer_call *c = &p->calls[p->calls_n++];
    nghttp2_data_provider provider = {.source.ptr = c, .read_callback = read_body};
    const char *usual[][2] = {
        {":method",      "POST"            },
        {":scheme",      "http"            },
        {":path",        path              },
        {":authority",   "test"            },
        {"te",           "trailers"        },
        {"content-type", "application/grpc"},
    };
    nghttp2_nv fields[256];
    size_t n = 0;

    assert(p->calls_n <= PEER_CALLS_MAX);
    for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++) {
        const char *value = usual[i][1];

        for (const char *const *h = headers; h && h[0]; h += 2)
            if (strcmp(h[0], usual[i][0]) == 0)
                value = h[1];
        fields[n++] = field(usual[i][0], value);
    }
    for (const char *const *h = headers; h && h[0]; h += 2)
        if (h[0][0] != ':' && strcmp(h[0], "content-type") != 0)
            fields[n++] = field(h[0], h[1]);
    buf_init(&c->send, SIZE_MAX / 8);
    buf_init(&c->head, SIZE_MAX / 8);
    buf_init(&c->data, SIZE_MAX / 8);
    buf_add(&c->send, body);
    c->id = nghttp2_submit_request(p->client, NULL, fields, n, &provider, c);
    return c;
}

void peer_frame(struct buf *out, struct str message)
{
    grpc_frame_head(out, message.n);
    buf_add(out, message);
}

static struct peer_call *call_message(struct peer *p, const char *path, const ProtobufCMessage *m,
                                      const char *const *headers)
{
    struct peer_call *c;
    struct buf message, body;

    buf_init(&message, SIZE_MAX / 8);
    buf_init(&body, SIZE_MAX / 8);
    codec_encode(m, &message);
    peer_frame(&body, buf_str(&message));
    c = peer_call(p, path, buf_str(&body), headers);
    buf_deinit(&message);
    buf_deinit(&body);
    return c;
}

struct peer_call *peer_get(struct peer *p, const char *queue, const char *const *headers)
{
    Weft__V1__QueueRequest q;

    weft__v1__queue_request__init(&q);
    q.queue = (char *)(uintptr_t)queue;
    return call_message(p, "/weft.v1.Queues/Get", &q.base, headers);
}

struct peer_call *peer_watch(struct peer *p, const char *id, const char *after)
{
    Weft__V1__WatchRequest q;

    weft__v1__watch_request__init(&q);
    q.id = (char *)(uintptr_t)id;
    q.after = (char *)(uintptr_t)after;
    return call_message(p, "/weft.v1.Runs/Watch", &q.base, NULL);
}

struct str peer_field(const struct peer_call *c, const char *name)
{
    struct str rest = buf_str(&c->head);

    while (rest.n) {
        struct str line;
        size_t end = rest.n;

        str_find(rest, '\n', &end);
        line = str_sub(rest, 0, end);
        rest = str_sub(rest, end + 1, rest.n);
        if (str_starts(line, str_of(name)) && line.p[strlen(name)] == ':')
            return str_sub(line, strlen(name) + 2, line.n);
    }
    return (struct str){0};
}

int peer_status(const struct peer_call *c)
{
    int64_t status;

    return str_int64(peer_field(c, "grpc-status"), &status) ? (int)status : -1;
}
