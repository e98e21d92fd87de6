/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare: the least that a program can do with a store to keep the rows that the engine keeps for a
 * task of a queue: the task, its lease, one row for its attempt, and the counts per state.
 *
 * Prepared statements straight on the store's library, one transaction per call, the store's own
 * schema and settings. Tokens are the tasks' ids. It checks nothing and reports nothing.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stddef.h>
#include <stdint.h>

struct bare {
    void *(*open)(const char *url);
    /* Insert tasks first … first + n - 1. */
    void (*enqueue)(void *store, int64_t first, size_t n);
    /* Take up to n tasks; their ids. */
    size_t (*claim)(void *store, size_t n, int64_t *ret_ids);
    void (*complete)(void *store, const int64_t *ids, size_t n);
    void (*close)(void *store);
};

extern const struct bare bare_sqlite, bare_postgres;

#endif
