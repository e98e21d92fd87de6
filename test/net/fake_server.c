/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_server: the network of weft with a service that has no store (src/net/fake_testing.h), for
 * foreign clients and for benchmarks of what lies before the store.
 *
 *     fake_server [--cert FILE --key FILE [--ca FILE]] [--grpc-only]
 *
 * Says on the first line where it listens. Then each line of stdin is an order, answered by a line:
 * `finish` answers what is "later", `status` tells the counts, `health on` and `health off`,
 * `reload` reads the certificates again, `drain` ends it as SIGTERM ends the daemon. It also ends
 * with stdin.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/fake_testing.h"
#include "net/grpc.h"
#include "net/server.h"
#include "net/tls.h"

#define GRACE_US        (10 * CLOCK_S)
#define ORDER_BYTES_MAX 256

static struct fake fake;
static struct tls *tls;
static struct server *server;
static uv_loop_t *loop;
static uv_pipe_t in;
static char line[ORDER_BYTES_MAX];
static size_t line_n;

static _Noreturn void die(const char *what, struct str why)
{
    fprintf(stderr, "fake_server: %s: " STR_FMT "\n", what, STR_ARG(why));
    exit(2);
}

static void say(const char *text)
{
    puts(text);
    fflush(stdout);
}

static void drained(void *context)
{
    (void)context;
    server = server_free(server);
    uv_close((uv_handle_t *)&in, NULL);
    say("drained");
}

static void reload(void)
{
    struct arena a = {0};
    struct str error = STR("");

    if (tls && tls_reload(tls, &a, &error))
        printf("refused " STR_FMT "\n", STR_ARG(error));
    else
        puts("reloaded");
    fflush(stdout);
    arena_deinit(&a);
}

static void order(const char *text)
{
    if (strcmp(text, "finish") == 0) {
        fake_finish(&fake);
        say("finished");
    } else if (strcmp(text, "status") == 0) {
        printf("{\"started\": %u, \"done\": %u, \"cancelled\": %u, \"messages\": %" PRIu64
               ", \"key\": \"%s\"}\n",
               fake.started, fake.done, fake.cancelled, fake.messages, fake.key);
        fflush(stdout);
    } else if (strcmp(text, "health on") == 0 || strcmp(text, "health off") == 0) {
        server_serving(server, strcmp(text, "health on") == 0);
        say("told");
    } else if (strcmp(text, "reload") == 0) {
        reload();
    } else if (strcmp(text, "drain") == 0) {
        server_drain(server, GRACE_US, drained, NULL);
        say("draining");
    } else {
        die("unknown order", str_of(text));
    }
}

static void alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    (void)handle;
    (void)wanted;
    *buf = uv_buf_init(line + line_n, (unsigned)(sizeof(line) - line_n));
}

static void on_in(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    char *end;

    (void)stream;
    (void)buf;
    if (n <= 0 || line_n + (size_t)n == sizeof(line))
        exit(0);
    line_n += (size_t)n;
    while ((end = memchr(line, '\n', line_n))) {
        size_t used = (size_t)(end - line) + 1;

        *end = '\0';
        order(line);
        line_n -= used;
        memmove(line, line + used, line_n);
    }
}

static void listen_at(struct arena *a, enum conn_speaks speaks)
{
    struct server_listen l = {.address = "127.0.0.1:0", .tls = tls, .speaks = speaks};
    struct str address, error;

    if (server_listen(server, &l, a, &address, &error))
        die("cannot listen", error);
    printf(STR_FMT "\n", STR_ARG(address));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct net_limits limits = NET_LIMITS_DEFAULT;
    struct tls_files files = {0};
    enum conn_speaks speaks = CONN_ANY;
    struct server_options options = {.limits = limits};
    struct arena a = {0};
    struct str error;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--grpc-only") == 0)
            speaks = CONN_HTTP2;
        else if (value && strcmp(argv[i++], "--cert") == 0)
            files.certificate = value;
        else if (value && strcmp(argv[i - 1], "--key") == 0)
            files.key = value;
        else if (value && strcmp(argv[i - 1], "--ca") == 0)
            files.client_ca = value;
        else
            die("unknown option", str_of(argv[i]));
    }
    if (files.certificate && tls_new(&files, &a, &tls, &error))
        die("TLS", error);
    signal(SIGPIPE, SIG_IGN); /* a client that goes while it is written to ends nothing */
    loop = uv_default_loop();
    fake_init(&fake);
    options.loop = loop;
    options.service = &fake.service;
    server = server_new(&options);
    listen_at(&a, speaks);
    uv_pipe_init(loop, &in, 0);
    uv_pipe_open(&in, 0);
    uv_read_start((uv_stream_t *)&in, alloc, on_in);
    uv_run(loop, UV_RUN_DEFAULT);
    tls_free(tls);
    arena_deinit(&a);
    return 0;
}
