/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics: what the network has counted, as Prometheus reads it.
 *
 * Belongs to the loop's thread.
 */
#ifndef NET_METRICS_H
#define NET_METRICS_H

#include <stdint.h>

#include "base/buf.h"

/* Why a client was refused or cut off. X(NAME, text) */
#define METRICS_REFUSALS(X)                                                                        \
    X(CONNECTIONS, "connections")                                                                  \
    X(CONNECTIONS_PER_PEER, "connections_per_peer")                                                \
    X(RATE, "request_rate")                                                                        \
    X(CALLS, "calls_per_connection")                                                               \
    X(HEAD, "head_size")                                                                           \
    X(BODY, "body_size")                                                                           \
    X(BODIES, "bodies_in_all")                                                                     \
    X(SILENT, "first_byte_time")                                                                   \
    X(HEAD_TIME, "head_time")                                                                      \
    X(BODY_RATE, "body_rate")                                                                      \
    X(WRITE_TIME, "write_time")                                                                    \
    X(MALFORMED, "malformed")                                                                      \
    X(FLOOD, "flood")                                                                              \
    X(TLS, "tls")

#define METRICS_ENUM(name, text) METRICS_##name,
enum metrics_refusal { METRICS_REFUSALS(METRICS_ENUM) METRICS_REFUSAL_N };

#define METRICS_STATUS_MAX 600
#define METRICS_GRPC_MAX   17

struct metrics {
    uint64_t connections; /* accepted */
    uint64_t open;        /* now */
    uint64_t calls;       /* under way now */
    uint64_t bytes_in, bytes_out;
    uint64_t http[METRICS_STATUS_MAX]; /* requests over HTTP/1.1, by status */
    uint64_t grpc[METRICS_GRPC_MAX];   /* calls over gRPC, by its status */
    uint64_t refused[METRICS_REFUSAL_N];
};

void metrics_text(const struct metrics *m, struct buf *out);

#endif
