/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller_tool: src/net/caller.h by orders, for tests with foreign servers.
 *
 *     caller_tool [--ca FILE] [--cert FILE --key FILE] [--connect-ms N] [--ping-ms N] [--idle-ms N]
 *                 [--max-bytes N] [--max-calls N]
 *
 * Each line of stdin is an order:
 *
 *     call N ADDRESS PATH MILLISECONDS BYTES     of BYTES times 'x'; 0 ms: without a deadline
 *     cancel N
 *     counts
 *     leave ADDRESS
 *
 * Each end of a call is a line {"call": N, "status", "text", "sent", "bytes"}, and so is the answer
 * to `counts`. It ends with stdin, when every call has ended.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"
#include "net/caller.h"

#define LINE_BYTES_MAX 512
#define CALLS_MAX      20000u

struct one {
    struct caller_call call;
    unsigned number;
    char path[CALLER_PATH_BYTES_MAX + 1];
    char *bytes;
};

static struct caller *caller;
static struct map *peers;
static struct one *calls[CALLS_MAX];
static uv_pipe_t in;
static char line[LINE_BYTES_MAX];
static size_t line_n;

static _Noreturn void die(const char *what, struct str why)
{
    fprintf(stderr, "caller_tool: %s: " STR_FMT "\n", what, STR_ARG(why));
    exit(2);
}

static void on_done(struct caller_call *c)
{
    struct one *o = c->context;
    struct buf out;

    buf_init(&out, 16 << 10);
    buf_printf(&out,
               "{\"call\": %u, \"status\": %d, \"sent\": %s, \"bytes\": %zu, \"text\": ", o->number,
               c->status, c->sent ? "true" : "false", c->reply.n);
    buf_json(&out, c->status ? c->text : STR(""));
    printf(STR_FMT "}\n", STR_ARG(buf_str(&out)));
    fflush(stdout);
    buf_deinit(&out);
    calls[o->number] = NULL;
    free(o->bytes);
    free(o);
}

static struct caller_peer *peer(struct str address)
{
    struct caller_peer *p;
    const char *why;
    uint64_t known;

    if (map_get(peers, address, &known))
        return (struct caller_peer *)(uintptr_t)known;
    if (caller_peer(caller, address, &p, &why))
        die("the address", str_of(why));
    map_add(peers, address, (uintptr_t)p);
    return p;
}

static void call(const char *words)
{
    struct one *o = memory_new(sizeof(*o));
    char address[300];
    unsigned ms, bytes;

    if (sscanf(words, "%u %299s %200s %u %u", &o->number, address, o->path, &ms, &bytes) != 5 ||
        o->number >= CALLS_MAX || calls[o->number])
        die("no call", str_of(words));
    o->bytes = memory_new(bytes + 1);
    memset(o->bytes, 'x', bytes);
    o->call = (struct caller_call){
        .path = o->path,
        .message = {o->bytes, bytes},
        .deadline_us = ms ? clock_monotonic() + ms * CLOCK_MS : INT64_MAX,
        .done = on_done,
        .context = o,
    };
    calls[o->number] = o;
    caller_start(peer(str_of(address)), &o->call);
}

static void counts(void)
{
    const struct caller_counts *n = caller_counts(caller);

    printf("{\"connected\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"calls\": %" PRIu64
           ", \"links\": %zu, \"open\": %zu}\n",
           n->connected, n->failed, n->calls, n->links, n->open);
    fflush(stdout);
}

static void leave(const char *address)
{
    caller_leave(peer(str_of(address)));
    map_del(peers, str_of(address));
}

static void order(const char *text)
{
    if (strncmp(text, "call ", 5) == 0)
        call(text + 5);
    else if (strncmp(text, "cancel ", 7) == 0) {
        struct one *o = calls[strtoul(text + 7, NULL, 10)];

        if (o)
            caller_cancel(&o->call);
    } else if (strncmp(text, "leave ", 6) == 0)
        leave(text + 6);
    else if (strcmp(text, "counts") == 0)
        counts();
    else
        die("no order", str_of(text));
}

static void on_over(void *context)
{
    (void)context;
    puts("{\"over\": true}");
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
    static char bytes[4096];

    (void)handle;
    (void)size;
    *ret = uv_buf_init(bytes, sizeof(bytes));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    if (n < 0) {
        uv_close((uv_handle_t *)stream, NULL);
        caller_close(caller, on_over, NULL);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (buf->base[i] == '\n') {
            line[line_n] = '\0';
            line_n = 0;
            order(line);
        } else if (line_n + 1 < sizeof(line)) {
            line[line_n++] = buf->base[i];
        }
    }
}

int main(int argc, char **argv)
{
    struct caller_files files = {0};
    struct caller_options o = {.loop = uv_default_loop(), .files = &files, .seed = 1};
    struct arena a = {0};
    struct str error;

    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        int64_t n = 0;

        str_int64(str_of(value), &n);
        if (strcmp(name, "--ca") == 0)
            files.ca = value;
        else if (strcmp(name, "--cert") == 0)
            files.certificate = value;
        else if (strcmp(name, "--key") == 0)
            files.key = value;
        else if (strcmp(name, "--connect-ms") == 0)
            o.connect_us = n * CLOCK_MS;
        else if (strcmp(name, "--ping-ms") == 0)
            o.ping_us = o.pong_us = n * CLOCK_MS;
        else if (strcmp(name, "--idle-ms") == 0)
            o.idle_us = n * CLOCK_MS;
        else if (strcmp(name, "--max-bytes") == 0)
            o.message_bytes_max = (size_t)n;
        else if (strcmp(name, "--max-calls") == 0)
            o.calls_max = (size_t)n;
        else
            die("no option", str_of(name));
    }
    if (caller_new(&o, &a, &caller, &error))
        die("TLS", error);
    peers = map_new();
    uv_pipe_init(o.loop, &in, 0);
    uv_pipe_open(&in, 0);
    uv_read_start((uv_stream_t *)&in, on_alloc, on_read);
    uv_run(o.loop, UV_RUN_DEFAULT);
    map_free(peers);
    arena_deinit(&a);
    return uv_loop_close(o.loop) ? 1 : 0;
}
