/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods_within: what the calls under way need of the service.
 */
#ifndef SERVE_METHODS_WITHIN_H
#define SERVE_METHODS_WITHIN_H

#include "serve/methods.h"
#include "serve/rpc.h"

struct feeds;
struct pace;

uv_loop_t *methods_loop(const struct methods *m);
struct batcher_home *methods_home(const struct methods *m);
const struct api_house *methods_house(const struct methods *m);
/* Where calls wait for commits; NULL: nothing waits. */
struct hub_seat *methods_seat(const struct methods *m);
/* What watchers share (feed.h), and the time that they may take (pace.h). */
struct feeds *methods_feeds(const struct methods *m);
struct pace *methods_pace(const struct methods *m);

/* Nothing waits any more. */
bool methods_draining(const struct methods *m);

void methods_begun(struct methods *m, struct rpc *rpc);
/* Whether more calls that are no single transaction are under way than may be. */
bool methods_full(const struct methods *m);
/* rpc->soon is called in a turn of the loop of its own. */
void methods_soon(struct methods *m, struct rpc *rpc);
/* A call goes to the store, and has come back. */
void methods_posted(struct methods *m);
void methods_unposted(struct methods *m);
/* The caller is told the outcome now. */
void methods_answered(struct methods *m, const struct rpc *rpc, const struct call *call);
/* Nothing of the call is under way, and its memory is about to be freed. */
void methods_over(struct methods *m, struct rpc *rpc);

#endif
