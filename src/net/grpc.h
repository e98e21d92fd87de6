/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc: gRPC over HTTP/2, as a protocol over a connection.
 *
 * Methods are those of the server's call_service, and beside them health (grpc.health.v1) and
 * reflection (grpc.reflection.v1, v1alpha). A reply's trailers have, beside grpc-status and
 * grpc-message, our stable code as `weft-code` and, where waiting helps, `grpc-retry-pushback-ms`.
 * Messages are not compressed in either direction.
 *
 *     HEAD --a method--> BODY --one message, the end--> CALL --done, deadline--> ENDED
 *       +--refused---------+--refused------------------------------------------^
 *
 * A stream that the client resets, or whose connection goes, leaves its call to be cancelled; it is
 * freed with `done`.
 */
#ifndef NET_GRPC_H
#define NET_GRPC_H

#include "net/protocol.h"

/* The numbers of the gRPC statuses that have no code of ours, or not always. */
enum {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16,
};

#define GRPC_TEXT_BYTES_MAX     2048u      /* of a message in the trailers, before it is encoded */
#define GRPC_REPLY_US_MAX       60000000LL /* a client has so long to take a reply */
#define GRPC_DIALOGUE_BYTES_MAX (1u << 20) /* of answers in a dialogue that are not yet sent */
#define GRPC_QUESTION_BYTES_MAX (4u << 10) /* of a message in a dialogue: it names a symbol */
#define GRPC_TIMEOUT_US_MAX     (86400000000LL * 365)

struct grpc;

/* What the connections of a server have in common. Goes to shared->grpc; must outlive all calls. */
struct grpc *grpc_new(struct net_shared *shared);
struct grpc *grpc_free(struct grpc *g);

/* What health says, SERVING from the start; whoever watches is told. */
void grpc_serving(struct grpc *g, bool serving);

struct protocol *grpc_connection(struct protocol_host *host);

#endif
