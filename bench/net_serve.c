/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_serve: the network without what lies behind it, for load generators.
 *
 *     net_serve ADDRESS            the server over a service that answers at once
 *     net_serve ADDRESS bare       the limit: a loop that reads, and writes the same reply
 *
 * Prints the address that it listens at, and serves until SIGINT or SIGTERM.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "net/fake_testing.h"
#include "net/server.h"

struct serve {
    uv_loop_t loop;
    struct server *server;
    uv_signal_t signals[2];
};

static void on_drained(void *context)
{
    struct serve *s = context;

    s->server = server_free(s->server);
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct serve *s = signal->data;

    (void)number;
    for (size_t i = 0; i < 2; i++)
        uv_signal_stop(&s->signals[i]);
    server_drain(s->server, CLOCK_S, on_drained, s);
}

static int serve(const char *address)
{
    struct server_listen listen = {.address = address};
    struct fake fake;
    struct serve s = {0};
    struct arena a = {0};
    struct str text, error;

    fake_init(&fake);
    uv_loop_init(&s.loop);
    s.server = server_new(&(struct server_options){
        .loop = &s.loop, .limits = NET_LIMITS_DEFAULT, .service = &fake.service});
    if (server_listen(s.server, &listen, &a, &text, &error)) {
        fprintf(stderr, STR_FMT "\n", STR_ARG(error));
        return 1;
    }
    printf(STR_FMT "\n", STR_ARG(text));
    fflush(stdout);
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&s.loop, &s.signals[i]);
        s.signals[i].data = &s;
        uv_signal_start(&s.signals[i], on_signal, i ? SIGINT : SIGTERM);
    }
    uv_run(&s.loop, UV_RUN_DEFAULT);
    arena_deinit(&a);
    return uv_loop_close(&s.loop) ? 1 : 0;
}

/* ---- the limit ---- */

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

static int serve_bare(const char *address)
{
    const char *colon = strrchr(address, ':');
    struct sockaddr_in a;
    char host[64] = "";
    uv_loop_t loop;
    uv_tcp_t tcp;
    int64_t port = 0;

    if (!colon || colon - address >= (ptrdiff_t)sizeof(host) ||
        !str_int64(str_of(colon + 1), &port))
        return 1;
    memcpy(host, address, (size_t)(colon - address));
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &tcp);
    if (uv_ip4_addr(host, (int)port, &a) ||
        uv_tcp_bind(&tcp, (const struct sockaddr *)(const void *)&a, 0) ||
        uv_listen((uv_stream_t *)&tcp, 1024, on_connection))
        return 1;
    printf("%s\n", address);
    fflush(stdout);
    return uv_run(&loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return serve(argv[1]);
    if (argc == 3 && strcmp(argv[2], "bare") == 0)
        return serve_bare(argv[1]);
    fprintf(stderr, "usage: net_serve ADDRESS [bare]\n");
    return 2;
}
