/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages: what a server says of itself to those who watch it: /livez, /readyz, /metrics,
 * /openapi.json.
 *
 * All of them answer without waiting. The counts of tasks come from the store: a look at /metrics
 * shows those of the look before (the first has none) and asks for new ones, so that a server that
 * nobody watches asks nothing.
 */
#ifndef SERVE_PAGES_H
#define SERVE_PAGES_H

#include "engine/doctor.h"
#include "engine/queue.h"
#include "net/server.h"
#include "serve/batcher.h"
#include "serve/dispatcher.h"
#include "serve/methods.h"
#include "serve/pools.h"

#define PAGES_N          4u
#define PAGES_QUEUES_MAX 1000 /* with counts of their own in /metrics, by name */

struct pages {
    struct batcher *writer, *reader;
    struct batcher_home *home;
    struct methods *methods;
    const struct server *server;
    struct dispatcher *dispatcher; /* NULL: it has not been started */
    struct pools *pools;           /* NULL: it has none */
    int64_t begun_us;              /* monotonic */
    bool draining;

    struct net_page list[PAGES_N];
    struct batcher_request look;
    struct pages_seen {
        struct doctor_status all;
        struct queue_statuses queues;
    } reply, *seen; /* seen: of the newest look that was answered; NULL: there was none */
    struct arena seen_arena;
    bool looking;
    struct buf openapi; /* the document; empty: nobody has asked for it */
};

/* The fields above the empty line are set. The list is the pages'. */
const struct net_page *pages_list(struct pages *p, size_t *ret_n);
/* Its look is not under way (the batchers have answered). */
void pages_deinit(struct pages *p);

#endif
