/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc_answer.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "measure.h"

#define IO_BYTES    ((size_t)64 << 10)
#define STREAMS_MAX 1000u
#define MESSAGE_MAX ((size_t)32 << 20)
#define PATH_BYTES  64u
#define HEAD_BYTES  5u
#define FIELD(n, v)                                                                                \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), sizeof(n) - 1, sizeof(v) - 1,        \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                           \
    }

struct listener {
    uv_tcp_t tcp;
    grpc_answer *answer;
    void *context;
};

struct conn {
    const struct listener *listener;
    uv_tcp_t tcp;
    uv_write_t write;
    nghttp2_session *session;
    char out[IO_BYTES];
    bool writing;
};

struct stream {
    char path[PATH_BYTES];
    size_t path_n;
    struct buf body, answer;
    size_t sent;
};

static char in[IO_BYTES];

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct stream *s = memory_new(sizeof(*s));

    (void)user;
    buf_init(&s->body, MESSAGE_MAX);
    buf_init(&s->answer, MESSAGE_MAX);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)flags;
    (void)user;
    if (s && value_n <= PATH_BYTES &&
        str_eq((struct str){(const char *)name, name_n}, STR(":path"))) {
        memcpy(s->path, value, value_n);
        s->path_n = value_n;
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t n, void *user)
{
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);

    (void)flags;
    (void)user;
    buf_add(&s->body, (struct str){(const char *)data, n});
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *into, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    static const nghttp2_nv trailers[] = {FIELD("grpc-status", "0")};
    struct stream *s = source->ptr;
    size_t n = s->answer.n - s->sent < room ? s->answer.n - s->sent : room;

    (void)user;
    memcpy(into, s->answer.p + s->sent, n);
    s->sent += n;
    if (s->sent == s->answer.n) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, id, trailers, 1);
    }
    return (ssize_t)n;
}

/* The reply with its five bytes. */
static bool reply(const struct listener *l, struct stream *s)
{
    struct str body = buf_str(&s->body);
    size_t n;

    if (body.n < HEAD_BYTES)
        measure_die("a call without a message");
    buf_add(&s->answer, (struct str){"\0\0\0\0", HEAD_BYTES});
    if (!l->answer(l->context, (struct str){s->path, s->path_n}, str_sub(body, HEAD_BYTES, body.n),
                   &s->answer))
        return false;
    n = s->answer.n - HEAD_BYTES;
    for (unsigned i = 0; i < 4; i++)
        s->answer.p[1 + i] = (char)(n >> (24 - 8 * i));
    return true;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    static const nghttp2_nv fields[] = {FIELD(":status", "200"),
                                        FIELD("content-type", "application/grpc")};
    nghttp2_data_provider provider = {.read_callback = read_body};
    const struct conn *c = user;
    struct stream *s;

    if (frame->hd.type != NGHTTP2_DATA || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!reply(c->listener, s))
        return 0;
    provider.source.ptr = s;
    return nghttp2_submit_response(session, frame->hd.stream_id, fields, 2, &provider);
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);

    (void)error;
    (void)user;
    if (s) {
        buf_deinit(&s->body);
        buf_deinit(&s->answer);
    }
    free(s);
    return 0;
}

static void flush(struct conn *c);

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = write->data;

    c->writing = false;
    if (status == 0)
        flush(c);
}

static void flush(struct conn *c)
{
    while (!c->writing) {
        const uint8_t *bytes;
        size_t n = 0;
        ssize_t part;
        uv_buf_t buf;
        int r;

        while (n + (20u << 10) < IO_BYTES &&
               (part = nghttp2_session_mem_send(c->session, &bytes)) > 0) {
            memcpy(c->out + n, bytes, (size_t)part);
            n += (size_t)part;
        }
        if (n == 0)
            return;
        buf = uv_buf_init(c->out, (unsigned)n);
        r = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
        if (r == (int)n)
            continue;
        buf = uv_buf_init(c->out + (r > 0 ? r : 0), (unsigned)(n - (size_t)(r > 0 ? r : 0)));
        c->writing = true;
        c->write.data = c;
        uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written);
    }
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    (void)handle;
    (void)wanted;
    *buf = uv_buf_init(in, IO_BYTES);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;

    nghttp2_session_del(c->session);
    free(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;

    if (n < 0 || nghttp2_session_mem_recv(c->session, (const uint8_t *)buf->base, (size_t)n) < 0)
        uv_close((uv_handle_t *)&c->tcp, on_closed);
    else
        flush(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX}
    };
    struct conn *c = memory_new(sizeof(*c));
    nghttp2_session_callbacks *callbacks;

    if (status < 0)
        measure_die("accept: %s", uv_strerror(status));
    c->listener = listener->data;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_server_new(&c->session, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 1);
    uv_tcp_init(listener->loop, &c->tcp);
    uv_accept(listener, (uv_stream_t *)&c->tcp);
    uv_tcp_nodelay(&c->tcp, 1);
    c->tcp.data = c;
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

void grpc_answer_listen(uv_loop_t *loop, grpc_answer *answer, void *context, char *ret_address)
{
    struct listener *l = memory_new(sizeof(*l));
    struct sockaddr_in address;
    int size = sizeof(address);

    l->answer = answer;
    l->context = context;
    l->tcp.data = l;
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(loop, &l->tcp);
    uv_tcp_bind(&l->tcp, (const struct sockaddr *)&address, 0);
    if (uv_listen((uv_stream_t *)&l->tcp, 128, on_connection))
        measure_die("cannot listen");
    uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&address, &size);
    snprintf(ret_address, GRPC_ANSWER_ADDRESS, "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
}
