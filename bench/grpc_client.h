/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc_client: calls over gRPC for benchmarks, on nghttp2 and libuv: one loop, any number of
 * connections, plain text. What fails ends the program: a benchmark measures what works.
 */
#ifndef BENCH_GRPC_CLIENT_H
#define BENCH_GRPC_CLIENT_H

#include <uv.h>

#include "base/buf.h"

struct grpc_client;

/* A reply: the status (0: OK), and the message without its five bytes, borrowed. */
typedef void grpc_client_done(void *context, int status, struct str message);

/* Connect to "127.0.0.1:7411". */
struct grpc_client *grpc_client_new(uv_loop_t *loop, const char *address);

/* Close it; the loop must run on until its handle is closed. Calls under way are forgotten. */
void grpc_client_free(struct grpc_client *c);

/* Start a call of "/weft.v1.Queues/Enqueue" with a message, which is copied. Calls of one turn of
 * the loop leave in one write. */
void grpc_client_call(struct grpc_client *c, const char *path, struct str message,
                      grpc_client_done *done, void *context);

/* The same of a stream that goes on: what comes is forgotten, but `begun` is called when something
 * has come for the first time. */
void grpc_client_watch(struct grpc_client *c, const char *path, struct str message,
                       void (*begun)(void));

#endif
