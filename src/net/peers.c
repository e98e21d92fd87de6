/* SPDX-License-Identifier: Apache-2.0 */
#include "net/peers.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"

#define PEERS_SWEEP_MIN 1024u

struct peer {
    struct list link;
    uint64_t key;
    unsigned connections;
    double tokens;
    int64_t filled_at; /* when `tokens` was right */
};

struct peers {
    struct map *by_key;
    struct list all;
    size_t sweep_at; /* so many make it look for those that need not be remembered */
};

struct peers *peers_new(void)
{
    struct peers *p = memory_new(sizeof(*p));

    p->by_key = map_new();
    p->sweep_at = PEERS_SWEEP_MIN;
    list_init(&p->all);
    return p;
}

static void forget(struct peers *p, struct peer *peer)
{
    map_del(p->by_key, map_key(&peer->key));
    list_del(&peer->link);
    free(peer);
}

struct peers *peers_free(struct peers *p)
{
    if (!p)
        return NULL;
    LIST_EACH_SAFE(it, &p->all)
    forget(p, LIST_OF(it, struct peer, link));
    map_free(p->by_key);
    free(p);
    return NULL;
}

uint64_t peers_key(const struct sockaddr *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint64_t key = 0;

    if (address->sa_family == AF_INET) {
        memcpy(&key, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        const uint8_t *ip = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr;

        /* An IPv4 client of a socket for both is the same peer. */
        if (memcmp(ip, mapped, sizeof(mapped)) == 0)
            memcpy(&key, ip + 12, 4);
        else
            memcpy(&key, ip, 8);
    }
    return key;
}

static double burst(const struct net_limits *l)
{
    return l->requests_burst ? l->requests_burst : l->requests_per_s;
}

static void fill(struct peer *peer, const struct net_limits *l, int64_t now)
{
    double more = (double)(now - peer->filled_at) * l->requests_per_s / (double)CLOCK_S;

    peer->tokens = peer->tokens + more < burst(l) ? peer->tokens + more : burst(l);
    peer->filled_at = now;
}

static void sweep(struct peers *p, const struct net_limits *l, int64_t now)
{
    LIST_EACH_SAFE(it, &p->all)
    {
        struct peer *peer = LIST_OF(it, struct peer, link);

        if (peer->connections > 0)
            continue;
        fill(peer, l, now);
        if (peer->tokens >= burst(l))
            forget(p, peer);
    }
    p->sweep_at = 2 * map_count(p->by_key) + PEERS_SWEEP_MIN;
}

static struct peer *add(struct peers *p, uint64_t key, const struct net_limits *l, int64_t now)
{
    struct peer *peer = memory_new(sizeof(*peer));

    if (map_count(p->by_key) >= p->sweep_at)
        sweep(p, l, now);
    peer->key = key;
    peer->tokens = burst(l);
    peer->filled_at = now;
    list_add(&p->all, &peer->link);
    map_add(p->by_key, map_key(&peer->key), (uint64_t)(uintptr_t)peer);
    return peer;
}

struct peer *peers_enter(struct peers *p, uint64_t key, const struct net_limits *l, int64_t now)
{
    struct peer *peer;
    uint64_t found;

    if (map_get(p->by_key, map_key(&key), &found))
        peer = (struct peer *)(uintptr_t)found;
    else
        peer = add(p, key, l, now);
    if (l->connections_per_peer && peer->connections >= l->connections_per_peer)
        return NULL;
    peer->connections++;
    return peer;
}

void peers_leave(struct peers *p, struct peer *peer)
{
    (void)p;
    peer->connections--;
}

bool peers_admit(struct peer *peer, const struct net_limits *l, int64_t now,
                 int64_t *ret_retry_after_us)
{
    if (l->requests_per_s == 0)
        return true;
    fill(peer, l, now);
    if (peer->tokens >= 1) {
        peer->tokens -= 1;
        return true;
    }
    *ret_retry_after_us = (int64_t)((1 - peer->tokens) * (double)CLOCK_S / l->requests_per_s) + 1;
    return false;
}

size_t peers_count(const struct peers *p)
{
    return map_count(p->by_key);
}
