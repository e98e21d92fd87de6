/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers: how many connections and requests each client address has.
 *
 * A peer that left is remembered until its bucket is full again, so that a new connection for each
 * request gains nothing.
 */
#ifndef NET_PEERS_H
#define NET_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "net/limits.h"

struct peers;
struct peer;

struct peers *peers_new(void);
struct peers *peers_free(struct peers *p);

/* The address that limits count by: all of IPv4, the first 64 bits of IPv6. */
uint64_t peers_key(const struct sockaddr *address);

/* One more connection of `key`; NULL where it has as many as may be. */
struct peer *peers_enter(struct peers *p, uint64_t key, const struct net_limits *l, int64_t now);
void peers_leave(struct peers *p, struct peer *peer);

/* Take a token for one request. False: none is left before *ret_retry_after_us has passed. */
bool peers_admit(struct peer *peer, const struct net_limits *l, int64_t now,
                 int64_t *ret_retry_after_us);

/* Those that are remembered. */
size_t peers_count(const struct peers *p);

#endif
