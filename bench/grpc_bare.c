/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc_bare: the least that answers a unary call: nghttp2 and libuv, no limits, no deadlines, no
 * methods; the message goes back as it came. The limit that the network of weft is held against.
 *
 * Says where it listens, and ends with stdin.
 */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/buf.h"
#include "base/memory.h"
#include "measure.h"

#define IO_BYTES    ((size_t)64 << 10)
#define STREAMS_MAX 1000u
#define MESSAGE_MAX ((size_t)1 << 20)
#define FIELD(n, v)                                                                                \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), sizeof(n) - 1, sizeof(v) - 1,        \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                           \
    }

struct conn {
    uv_tcp_t tcp;
    uv_write_t write;
    nghttp2_session *session;
    char out[IO_BYTES];
    bool writing;
};

struct stream {
    struct buf body;
    size_t sent;
};

static char in[IO_BYTES];
static uv_pipe_t orders;

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct stream *s = memory_new(sizeof(*s));

    (void)user;
    buf_init(&s->body, MESSAGE_MAX);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
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
    size_t n = s->body.n - s->sent < room ? s->body.n - s->sent : room;

    (void)user;
    memcpy(into, s->body.p + s->sent, n);
    s->sent += n;
    if (s->sent == s->body.n) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, id, trailers, 1);
    }
    return (ssize_t)n;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    static const nghttp2_nv fields[] = {FIELD(":status", "200"),
                                        FIELD("content-type", "application/grpc")};
    nghttp2_data_provider provider = {.read_callback = read_body};

    (void)user;
    if (frame->hd.type != NGHTTP2_DATA || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    provider.source.ptr = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    return nghttp2_submit_response(session, frame->hd.stream_id, fields, 2, &provider);
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);

    (void)error;
    (void)user;
    if (s)
        buf_deinit(&s->body);
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
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
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

static void on_order(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)stream;
    (void)buf;
    if (n < 0)
        exit(0);
}

int main(void)
{
    uv_loop_t *loop = uv_default_loop();
    struct sockaddr_in address;
    int size = sizeof(address);
    uv_tcp_t listener;

    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(loop, &listener);
    uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0);
    if (uv_listen((uv_stream_t *)&listener, 128, on_connection))
        measure_die("cannot listen");
    uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &size);
    printf("127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    uv_pipe_init(loop, &orders, 0);
    uv_pipe_open(&orders, 0);
    uv_read_start((uv_stream_t *)&orders, on_alloc, on_order);
    return uv_run(loop, UV_RUN_DEFAULT);
}
