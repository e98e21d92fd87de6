/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_config: the pools of a server as its file has them, a map by their names (docs/pools.md).
 *
 * What is said of a pool stands over pool_default(). All mistakes are told, each with its place.
 */
#ifndef SERVE_POOL_CONFIG_H
#define SERVE_POOL_CONFIG_H

#include "base/arena.h"
#include "base/doc.h"
#include "pool/pool.h"

#define POOL_CONFIG_POOLS_MAX 64u
#define POOL_CONFIG_ARGS_MAX  1000u
#define POOL_CONFIG_ENV_MAX   1000u

struct pool_config {
    struct pool_settings settings; /* and its name */
    const char *const *argv;       /* ends with NULL */
    const char *const *env;        /* "NAME=value" beside the server's own; ends with NULL */
    const char *cwd;
    int64_t grace_us;
    struct str command; /* all of what it is started with: where it differs, so do the processes */
};

struct pool_configs {
    struct pool_config *list; /* in the order of the file */
    size_t n;
};

struct pool_config_reading {
    struct arena *arena;
    const char *here; /* that relative folders start from */
    unsigned cpus;
    void (*bad)(void *context, const struct doc *at, struct str text);
    void *context;
};

/* `pools` is the value of the key in the file. */
void pool_config_read(const struct pool_config_reading *r, const struct doc *pools,
                      struct pool_configs *ret);

/* How many processes they have at most, with those that are being replaced. */
size_t pool_config_processes(const struct pool_configs *c);

#endif
