/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sets: parameters gathered for one statement over many rows.
 */
#ifndef ENGINE_SETS_H
#define ENGINE_SETS_H

#include "engine/tx.h"

/* Where what is gathered has no end of its own, it is run whenever there are so many sets, so that
 * memory does not grow with it. */
#define SETS_CHUNK 1000u

/* Sets of parameters, gathered in the arena for one statement. */
struct sets {
    struct cell *cells;
    size_t n; /* cells */
    size_t cap;
};

void sets_add(struct sets *s, struct arena *a, const struct cell *cells, size_t n);
#define SETS_ADD(s, a, ...)                                                                        \
    sets_add((s), (a), (struct cell[]){__VA_ARGS__},                                               \
             sizeof((struct cell[]){__VA_ARGS__}) / sizeof(struct cell))

/* Run a statement over what was gathered, `width` parameters a set, and forget it. Nothing
 * gathered: nothing run. */
int sets_run(struct sets *s, struct tx *tx, enum statement_id id, size_t width, struct rows *ret);

/* The same as one of several questions that are asked together (store_ask); it is read then. */
struct store_ask sets_ask(struct sets *s, enum statement_id id, size_t width, struct rows *ret);

/* For qsort() and bsearch() of int64_t: ids in their order, which is that of locks. */
int sets_by_number(const void *a, const void *b);

#endif
