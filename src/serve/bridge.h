/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge: news between the programs that share a Postgres store.
 *
 * What batchers commit here goes, gathered over a few milliseconds, to the hubs of all others, and
 * theirs come to ours. A thread with a connection of its own does it. A connection that is lost is
 * made again, with backoff, and then everybody here looks once, since nobody knows what was missed;
 * until then there is the hub's net.
 */
#ifndef SERVE_BRIDGE_H
#define SERVE_BRIDGE_H

#include "serve/hub.h"

struct bridge_options {
    struct str url; /* postgres://…, of the server itself and not of a pooler; copied */
    struct hub *hub;
    int64_t gather_us; /* between two messages; 0: BRIDGE_GATHER_US */
};

#define BRIDGE_GATHER_US 3000
#define BRIDGE_NEWS_MAX  256u /* of one message; beyond, it says "everything" */

struct bridge;

/* Starts the thread, and takes the hub's outlet. Before the batchers of the hub, … */
int bridge_new(const struct bridge_options *options, struct bridge **ret);
/* … and after them. */
struct bridge *bridge_free(struct bridge *n);

struct bridge_stats {
    bool connected;
    uint64_t connects;
    uint64_t told, heard; /* messages */
};
void bridge_stats(struct bridge *n, struct bridge_stats *ret);

/*
 * The text of a message, and back; for tests and fuzzing. One news is the letter of its topic, a
 * number, and for a queue its length and name: "q12 4:mail", "r7", "t", "e", "d"; "*" is
 * everything. What is not understood counts as everything: another version may have told it.
 */
struct buf;
void bridge_write(struct buf *out, const struct hub_news *news);
bool bridge_read(struct str *text, struct hub_news *ret);

#endif
