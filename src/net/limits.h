/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits: what a client may take of the server, and for how long.
 *
 * All times are total and begin once: a byte a second lengthens none of them. 0 of a number of
 * connections, requests or bytes is no limit.
 */
#ifndef NET_LIMITS_H
#define NET_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct net_limits {
    unsigned connections;
    unsigned connections_per_peer; /* a peer is an IPv4 address or the /64 of an IPv6 address */
    unsigned requests_per_s;       /* of a peer */
    unsigned requests_burst;       /* at once, where there were few before; 0: one second's worth */
    unsigned calls_per_connection; /* under way at once; HTTP/1.1 has one by nature */

    size_t head_bytes;  /* of a request: its line and fields */
    size_t head_fields; /* their number */
    size_t body_bytes;
    size_t bodies_bytes; /* of all requests that are being read or answered, and of what their
                            clients have not taken of the replies */

    int64_t first_byte_us; /* of a new connection; with TLS the handshake is within it */
    int64_t head_us;       /* from the first byte of a head to its last */
    int64_t idle_us;       /* between two requests */
    int64_t body_us;       /* a body's start is slow for so long; from then on ... */
    size_t body_rate;      /* ... so many bytes a second since its beginning must have come */
    int64_t write_us;      /* the client has so long to take NET_OUT_BYTES */
    int64_t linger_us;     /* what still comes behind a refusal is thrown away for so long */
    int64_t gone_us; /* a call of a client that closed its side is given up so long after its start
                      */
    int64_t beat_us; /* a stream without messages shows that it lives */
};

#define NET_OUT_BYTES ((size_t)64 << 10) /* drained and written at once */

/* Those that the settings of a server name (serve/config.c), which has their texts from here. */
#define NET_CONNECTIONS_DEFAULT          10000
#define NET_CONNECTIONS_PER_PEER_DEFAULT 1000
#define NET_REQUESTS_PER_S_DEFAULT       0
#define NET_HEAD_KIB_DEFAULT             16
#define NET_BODY_MIB_DEFAULT             16

#define NET_LIMITS_DEFAULT                                                                         \
    {                                                                                              \
        .connections = NET_CONNECTIONS_DEFAULT,                                                    \
        .connections_per_peer = NET_CONNECTIONS_PER_PEER_DEFAULT,                                  \
        .requests_per_s = NET_REQUESTS_PER_S_DEFAULT, .requests_burst = 0,                         \
        .calls_per_connection = 1000, .head_bytes = (size_t)NET_HEAD_KIB_DEFAULT << 10,            \
        .head_fields = 100, .body_bytes = (size_t)NET_BODY_MIB_DEFAULT << 20,                      \
        .bodies_bytes = 256u << 20, .first_byte_us = 5 * CLOCK_S, .head_us = 10 * CLOCK_S,         \
        .idle_us = 75 * CLOCK_S, .body_us = 10 * CLOCK_S, .body_rate = 8u << 10,                   \
        .write_us = 30 * CLOCK_S, .linger_us = 2 * CLOCK_S, .gone_us = 1 * CLOCK_S,                \
        .beat_us = 15 * CLOCK_S,                                                                   \
    }

#endif
