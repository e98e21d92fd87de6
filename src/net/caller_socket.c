/* SPDX-License-Identifier: Apache-2.0 */
#include "net/caller_socket.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "net/caller_state.h"

#define KEEP_ALIVE_S   10u    /* a machine that is gone without a word is noticed ... */
#define UNHEARD_MS_MAX 30000u /* ... or what it does not acknowledge is given up */

struct caller_socket {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct buf pending; /* what `write` is writing */
    struct caller *caller;
    struct caller_link *link; /* NULL: it has gone on without */
};

struct caller_socket *caller_socket_new(struct caller_link *l)
{
    struct caller_socket *s = memory_new(sizeof(*s));

    s->caller = l->caller;
    s->link = l;
    uv_tcp_init(l->caller->o.loop, &s->tcp);
    s->tcp.data = s->connect.data = s;
    l->caller->sockets_n++;
    return s;
}

static void on_closed(uv_handle_t *handle)
{
    struct caller_socket *s = handle->data;
    struct caller *c = s->caller;

    buf_deinit(&s->pending);
    free(s);
    c->sockets_n--;
    caller_closed(c);
}

void caller_socket_drop(struct caller_socket *s)
{
    if (!s)
        return;
    s->link = NULL;
    uv_close((uv_handle_t *)&s->tcp, on_closed);
}

/* A dead machine is noticed by the kernel, since servers of gRPC allow few pings. */
static void set(struct caller_socket *s)
{
    unsigned ms = UNHEARD_MS_MAX;
    int fd;

    uv_tcp_nodelay(&s->tcp, 1);
    uv_tcp_keepalive(&s->tcp, 1, KEEP_ALIVE_S);
    if (uv_fileno((uv_handle_t *)&s->tcp, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct caller_socket *s = connect->data;

    if (!s->link)
        return;
    if (status == 0)
        set(s);
    caller_link_connected(s->link, status);
}

int caller_socket_connect(struct caller_socket *s, const struct sockaddr_storage *address)
{
    return uv_tcp_connect(&s->connect, &s->tcp, (const struct sockaddr *)(const void *)address,
                          on_connect);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
    struct caller_socket *s = handle->data;

    (void)size;
    *ret = uv_buf_init(s->caller->in, sizeof(s->caller->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct caller_socket *s = stream->data;

    if (s->link && n)
        caller_link_read(s->link, n, buf->base);
}

int caller_socket_read(struct caller_socket *s)
{
    return uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read);
}

static void on_written(uv_write_t *write, int status)
{
    struct caller_socket *s = write->data;

    buf_deinit(&s->pending);
    if (s->link)
        caller_link_written(s->link, status);
}

int caller_socket_write(struct caller_socket *s, struct str out, bool *ret_all)
{
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)out.p, (unsigned)out.n);
    int n = uv_try_write((uv_stream_t *)&s->tcp, &b, 1);

    *ret_all = false;
    if (n < 0 && n != UV_EAGAIN)
        return n;
    out = str_sub(out, n < 0 ? 0 : (size_t)n, out.n);
    *ret_all = out.n == 0;
    if (*ret_all)
        return 0;
    buf_init(&s->pending, NET_OUT_BYTES);
    buf_add(&s->pending, out);
    b = uv_buf_init(s->pending.p, (unsigned)s->pending.n);
    s->write.data = s;
    return uv_write(&s->write, (uv_stream_t *)&s->tcp, &b, 1, on_written);
}
