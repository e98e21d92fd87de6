/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map: from text or a number to a value, for keys that others choose.
 *
 * uthash inside, hashed with SipHash under a key drawn at start, so that nobody can choose keys
 * that collide.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct map; /* text keys are copied */

struct map *map_new(void);
struct map *map_free(struct map *m);
size_t map_count(const struct map *m);

/* False, and nothing changes, where the key is there already. */
bool map_add(struct map *m, struct str key, uint64_t value);
void map_set(struct map *m, struct str key, uint64_t value);
/* *ret_value is set where the key is there (NULL allowed). */
bool map_get(const struct map *m, struct str key, uint64_t *ret_value);
bool map_del(struct map *m, struct str key);

/* The key of a number, borrowed from `number`. */
static inline struct str map_key(const uint64_t *number)
{
    return (struct str){(const char *)number, sizeof(*number)};
}

#endif
