/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc_health: gRPC's health service (grpc.health.v1): whether the server takes requests.
 *
 * All services of a server share one state; the empty name is the server as a whole.
 */
#ifndef NET_GRPC_HEALTH_H
#define NET_GRPC_HEALTH_H

#include "api/call.h"

struct grpc_health;

/* *ret_service answers Check and Watch. `services` must outlive it. */
struct grpc_health *grpc_health_new(const struct call_service *services,
                                    const struct call_service **ret_service);
/* No call may be under way. */
struct grpc_health *grpc_health_free(struct grpc_health *h);

/* SERVING from the start. Whoever watches is told. */
void grpc_health_set(struct grpc_health *h, bool serving);

#endif
