/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods: the service of the API on one loop.
 *
 * Transports make calls (api/call.h) of the methods of the table (table.h) and start them here. A
 * METHOD_WRITE of one transaction with an Idempotency-Key is done once: its reply is kept in the
 * same transaction, and given for the same request again.
 */
#ifndef SERVE_METHODS_H
#define SERVE_METHODS_H

#include <uv.h>

#include "api/call.h"
#include "base/buf.h"
#include "serve/api.h"

/* Claims, streams, and what works beside the store, under way at once; more are refused. Single
 * transactions are bounded by what waits at the batchers. */
#define METHODS_LONG_MAX 32768u

struct methods;

/* What the house points to stays the caller's. Returns 0 or a fault. */
int methods_new(uv_loop_t *loop, const struct api_house *house, struct methods **ret);
/* Run the loop until no call is under way: one may be whose caller was answered in the place of a
 * store that is silent. The batchers are stopped, so that it does not take long. */
void methods_settle(struct methods *m);
/* No call is under way. The loop must run once more, to close the handles. */
struct methods *methods_free(struct methods *m);

/* Start a call of a method of the table; the loop's thread. */
void methods_start(struct methods *m, struct call *c);
struct call_service methods_service(struct methods *m);
/* The server is about to end: calls that wait are answered now with what they have, streams end
 * with CODE_UNAVAILABLE, and what begins from now on does not wait. */
void methods_drain(struct methods *m);

/* Append counters in Prometheus' text format: weft_calls_total{method,code} and the histogram
 * weft_call_seconds{method}; only of methods that were called. The loop's thread. */
void methods_metrics(const struct methods *m, struct buf *out);

/* A store's URL as it may be shown: without a password. */
struct str methods_url(struct arena *a, struct str url);

#endif
