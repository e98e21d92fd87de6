/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc_bare: the least that answers a unary call: nghttp2 and libuv, no limits, no deadlines, no
 * methods; the message goes back as it came. The limit that the network of weft is held against.
 *
 * Says where it listens, and ends with stdin.
 */
#include <stdio.h>
#include <stdlib.h>

#include "grpc_answer.h"

static uv_pipe_t orders;
static char in[64];

static bool echo(void *context, struct str path, struct str message, struct buf *out)
{
    (void)context;
    (void)path;
    buf_add(out, message);
    return true;
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    (void)handle;
    (void)wanted;
    *buf = uv_buf_init(in, sizeof(in));
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
    char address[GRPC_ANSWER_ADDRESS];

    grpc_answer_listen(loop, echo, NULL, address);
    puts(address);
    fflush(stdout);
    uv_pipe_init(loop, &orders, 0);
    uv_pipe_open(&orders, 0);
    uv_read_start((uv_stream_t *)&orders, on_alloc, on_order);
    return uv_run(loop, UV_RUN_DEFAULT);
}
