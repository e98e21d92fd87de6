/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc_client.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/memory.h"
#include "measure.h"

#define IN_BYTES     ((size_t)256 << 10)
#define OUT_BYTES    ((size_t)256 << 10)
#define WINDOW_BYTES (16 << 20)
#define HEAD_BYTES   5u

struct call {
    grpc_client_done *done; /* NULL: it is watched */
    void *context;
    void (*begun)(void); /* of a watched one to which nothing has come */
    size_t sent;
    int status;
    struct buf reply;
    size_t message_n;
    char message[]; /* with its five bytes */
};

struct grpc_client {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    uv_write_t write;
    uv_prepare_t turn; /* before the loop waits: what has gathered leaves */
    nghttp2_session *session;
    const char *address;
    bool connected, writing;
    unsigned closing; /* handles that are not closed yet */
    char *in, *out;
};

static struct call *call_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct call *c = call_of(session, frame->hd.stream_id);
    int64_t status;

    (void)flags;
    (void)user;
    if (c && str_eq((struct str){(const char *)name, name_n}, STR("grpc-status")) &&
        str_int64((struct str){(const char *)value, value_n}, &status))
        c->status = (int)status;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t n, void *user)
{
    struct call *c = call_of(session, id);

    (void)flags;
    (void)user;
    if (c && c->begun)
        c->begun();
    if (c)
        c->begun = NULL;
    if (c && c->done)
        buf_add(&c->reply, (struct str){(const char *)data, n});
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct call *c = call_of(session, id);

    (void)user;
    if (!c)
        return 0;
    if (error)
        c->status = -(int)error;
    if (!c->done && c->status)
        measure_die("a stream ended with status %d", c->status);
    if (c->done)
        c->done(c->context, c->status, str_sub(buf_str(&c->reply), HEAD_BYTES, c->reply.n));
    buf_deinit(&c->reply);
    free(c);
    return 0;
}

static ssize_t read_message(nghttp2_session *session, int32_t id, uint8_t *into, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct call *c = source->ptr;
    size_t n = c->message_n - c->sent < room ? c->message_n - c->sent : room;

    (void)session;
    (void)id;
    (void)user;
    memcpy(into, c->message + c->sent, n);
    c->sent += n;
    if (c->sent == c->message_n)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static void on_written(uv_write_t *w, int status)
{
    struct grpc_client *c = w->data;

    if (status < 0 && !c->closing)
        measure_die("%s: write: %s", c->address, uv_strerror(status));
    c->writing = false;
}

/* Send what nghttp2 has, one buffer at a time. */
static void flush(struct grpc_client *c)
{
    while (c->connected && !c->writing) {
        size_t n = 0;
        uv_buf_t buf;
        ssize_t part = 1;
        int r;

        while (n + (32u << 10) <= OUT_BYTES && part > 0) {
            const uint8_t *bytes;

            part = nghttp2_session_mem_send(c->session, &bytes);
            if (part < 0)
                measure_die("%s: %s", c->address, nghttp2_strerror((int)part));
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

static void on_turn(uv_prepare_t *turn)
{
    flush(turn->data);
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct grpc_client *c = handle->data;

    (void)wanted;
    *buf = uv_buf_init(c->in, (unsigned)IN_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct grpc_client *c = stream->data;

    if (n < 0)
        measure_die("%s: the server has closed the connection: %s", c->address,
                    uv_strerror((int)n));
    if (nghttp2_session_mem_recv(c->session, (const uint8_t *)buf->base, (size_t)n) < 0)
        measure_die("%s: it does not speak HTTP/2", c->address);
}

static void on_connect(uv_connect_t *connecting, int status)
{
    struct grpc_client *c = connecting->data;

    if (status < 0)
        measure_die("%s: %s", c->address, uv_strerror(status));
    c->connected = true;
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static nghttp2_session *session_new(struct grpc_client *c)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
        {NGHTTP2_SETTINGS_ENABLE_PUSH,         0           },
    };
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;

    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_client_new(&session, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES);
    return session;
}

struct grpc_client *grpc_client_new(uv_loop_t *loop, const char *address)
{
    struct grpc_client *c = memory_new(sizeof(*c));
    const char *colon = strrchr(address, ':');
    char host[64] = "";
    struct sockaddr_in to;
    int64_t port = 0;

    if (colon && (size_t)(colon - address) < sizeof(host))
        memcpy(host, address, (size_t)(colon - address));
    if (!colon || !str_int64(str_of(colon + 1), &port) || uv_ip4_addr(host, (int)port, &to))
        measure_die("%s: no address as 127.0.0.1:7411", address);
    c->address = address;
    c->in = memory_new(IN_BYTES);
    c->out = memory_new(OUT_BYTES);
    c->session = session_new(c);
    c->tcp.data = c->turn.data = c->connecting.data = c;
    uv_tcp_init(loop, &c->tcp);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_prepare_init(loop, &c->turn);
    uv_prepare_start(&c->turn, on_turn);
    uv_tcp_connect(&c->connecting, &c->tcp, (const struct sockaddr *)&to, on_connect);
    return c;
}

static void on_closed(uv_handle_t *handle)
{
    struct grpc_client *c = handle->data;

    if (--c->closing)
        return;
    free(c->in);
    free(c->out);
    free(c);
}

void grpc_client_free(struct grpc_client *c)
{
    c->closing = 2;
    nghttp2_session_del(c->session);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    uv_close((uv_handle_t *)&c->turn, on_closed);
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static struct call *submit(struct grpc_client *c, const char *path, struct str message,
                           grpc_client_done *done, void *context)
{
    struct call *call = memory_new(sizeof(*call) + HEAD_BYTES + message.n);
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_message};
    const nghttp2_nv fields[] = {
        field(":method", "POST"), field(":scheme", "http"),
        field(":path", path),     field(":authority", "bench"),
        field("te", "trailers"),  field("content-type", "application/grpc"),
    };
    int32_t id;

    call->done = done;
    call->context = context;
    call->status = -1;
    call->message_n = HEAD_BYTES + message.n;
    for (unsigned i = 0; i < 4; i++)
        call->message[1 + i] = (char)(message.n >> (24 - 8 * i));
    if (message.n)
        memcpy(call->message + HEAD_BYTES, message.p, message.n);
    buf_init(&call->reply, SIZE_MAX / 8);
    id = nghttp2_submit_request(c->session, NULL, fields, sizeof(fields) / sizeof(*fields),
                                &provider, call);
    if (id < 0)
        measure_die("%s: %s", c->address, nghttp2_strerror(id));
    return call;
}

void grpc_client_call(struct grpc_client *c, const char *path, struct str message,
                      grpc_client_done *done, void *context)
{
    submit(c, path, message, done, context);
}

void grpc_client_watch(struct grpc_client *c, const char *path, struct str message,
                       void (*begun)(void))
{
    submit(c, path, message, NULL, NULL)->begun = begun;
}
