/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_testing: a service that answers from nothing, and a host without a socket, for the tests.
 */
#ifndef NET_NET_TESTING_H
#define NET_NET_TESTING_H

#include "net/protocol.h"
#include "net/route.h"

#define FAKE_HELD_MAX 8u

/*
 * GET  /v1/health                        done at once
 * GET  /v1/queues/{queue}                likewise, with an ETag "v1"; "missing" is not found
 * PUT  /v1/queues/{queue}                refused where it is to match another etag
 * POST /v1/queues/{queue}:enqueue        an id for each task
 * POST /v1/queues/{queue}:claim          held until fake_release()
 * GET  /v1/runs/{id}:watch               events behind `after` up to `events`, then the end, unless
 *                                        `endless`
 */
struct fake_service {
    struct call_service service;
    struct call *held[FAKE_HELD_MAX];
    size_t held_n;
    int64_t events;
    bool endless;
    unsigned started, cancelled, hastened, done;
    char last_key[64]; /* the newest Idempotency-Key */
};

void fake_service_init(struct fake_service *f);

/* End what is held. */
void fake_release(struct fake_service *f);

/* A host of one protocol: what it was sent is text, and its clock stands still. */
struct fake_host {
    struct net_shared shared;
    struct protocol_host host;
    struct route *routes;
    struct protocol *p;
    struct buf sent;
    bool busy, small;
    bool refuse; /* admit nothing */
    bool slow;   /* the client takes nothing */
};

void fake_host_init(struct fake_host *h, struct fake_service *f,
                    struct protocol *make(struct protocol_host *));
void fake_host_deinit(struct fake_host *h);
/* Feed, and drain all that comes of it. */
void fake_host_feed(struct fake_host *h, struct str bytes);
void fake_host_end(struct fake_host *h);
/* Let time pass; what is due expires. */
void fake_host_wait(struct fake_host *h, int64_t us);

#endif
