/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pools: the pools of a server, by their names, on the loop of the network (docs/pools.md).
 *
 * What the settings name is there; a pool that they do not name any more ends once its calls have
 * been answered, and is not found meanwhile.
 */
#ifndef SERVE_POOLS_H
#define SERVE_POOLS_H

#include <uv.h>

#include "pool/pipes.h"
#include "serve/pool_config.h"

struct pools;

struct pools_options {
    uv_loop_t *loop;
    const char *data;            /* the folder of the logs, absolute */
    const char *const *env;      /* the server's own */
    void (*over)(void *context); /* once, after a drain: nothing of them runs any more */
    void *context;
};

struct pools *pools_new(const struct pools_options *options);
/* After `over`, or without any pool; and once no executor has the nursery. */
struct pools *pools_free(struct pools *p);

/* Of whoever has the executor. */
struct nursery *pools_nursery(struct pools *p);

/* Begin with settings, or go on with others: new pools start, those that are started in another way
 * are renewed, those that are not named are drained. Returns how many are there. */
size_t pools_set(struct pools *p, const struct pool_configs *configs);

/* `over` comes, maybe from within. What has not been answered in time is ended. */
void pools_drain(struct pools *p, int64_t grace_us);

/* NULL: there is none. */
struct pool *pools_find(const struct pools *p, struct str name);
/* In the order of the settings. */
void pools_each(const struct pools *p,
                void (*each)(void *context, struct str name, struct pool *pool), void *context);

#endif
