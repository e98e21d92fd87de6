/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_floor: the limit of HTTP over one loop: read, and write the same reply, whatever it was.
 *
 *     http_floor ADDRESS           127.0.0.1:7599; serves until it is killed
 */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/memory.h"
#include "base/str.h"

static char in[64 << 10];

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
    (void)handle;
    (void)size;
    *ret = uv_buf_init(in, sizeof(in));
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    static char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                          "Content-Length: 12\r\n\r\n{\"name\":\"a\"}";
    uv_buf_t b = uv_buf_init(reply, sizeof(reply) - 1);

    (void)buf;
    if (n < 0 || (n > 0 && uv_try_write(stream, &b, 1) != (int)b.len))
        uv_close((uv_handle_t *)stream, on_closed);
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *tcp = memory_new(sizeof(*tcp));

    uv_tcp_init(listener->loop, tcp);
    if (status < 0 || uv_accept(listener, (uv_stream_t *)tcp) ||
        uv_read_start((uv_stream_t *)tcp, on_alloc, on_read))
        uv_close((uv_handle_t *)tcp, on_closed);
}

int main(int argc, char **argv)
{
    struct str given = str_of(argc == 2 ? argv[1] : "");
    struct sockaddr_in a;
    char host[64] = "";
    uv_loop_t loop;
    uv_tcp_t tcp;
    int64_t port;
    size_t colon;

    if (!str_find(given, ':', &colon) || colon >= sizeof(host) ||
        !str_int64(str_sub(given, colon + 1, given.n), &port)) {
        fprintf(stderr, "usage: http_floor ADDRESS\n");
        return 2;
    }
    memcpy(host, given.p, colon);
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &tcp);
    if (uv_ip4_addr(host, (int)port, &a) ||
        uv_tcp_bind(&tcp, (const struct sockaddr *)(const void *)&a, 0) ||
        uv_listen((uv_stream_t *)&tcp, 1024, on_connection)) {
        fprintf(stderr, "http_floor: cannot listen at %s\n", argv[1]);
        return 1;
    }
    return uv_run(&loop, UV_RUN_DEFAULT);
}
