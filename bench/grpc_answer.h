/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc_answer: the least that answers unary calls over gRPC: nghttp2 and libuv on one loop, no
 * limits, no deadlines, no methods. What fails ends the program: a benchmark measures what works.
 */
#ifndef BENCH_GRPC_ANSWER_H
#define BENCH_GRPC_ANSWER_H

#include <uv.h>

#include "base/buf.h"

#define GRPC_ANSWER_ADDRESS 24 /* "127.0.0.1:65535" and its NUL */

/* A call of `path` ("/weft.v1.Runner/Run"); append the reply's message to `out`. False: it is never
 * answered. */
typedef bool grpc_answer(void *context, struct str path, struct str message, struct buf *out);

/* Listen at a free port of this machine until the program ends. Fills in "127.0.0.1:40123". */
void grpc_answer_listen(uv_loop_t *loop, grpc_answer *answer, void *context, char *ret_address);

#endif
