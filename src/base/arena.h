/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena: memory that is given back as a whole.
 *
 * For a request, a loop turn or a document: pieces are carved from blocks and freed together.
 * Memory is zeroed. An allocation cannot fail (a machine without memory ends the process); limits
 * on what others choose are checked before.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first */
    size_t used;                /* bytes handed out of the newest */
    size_t bytes;               /* handed out in all, for limits and metrics */
};

void arena_deinit(struct arena *a);

/* Forget everything that was handed out, keep one block for reuse. */
void arena_reset(struct arena *a);

/* Take over what `from` has handed out: it lives as long as `a` from now on, and `from` is empty.
 */
void arena_adopt(struct arena *a, struct arena *from);

/* `size` zeroed bytes, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size);

/* A piece grown to `new_size` bytes, the new ones zero: a copy in the arena, or `old` itself when
 * it is the newest piece and there is room. NULL is nothing yet. */
void *arena_grow(struct arena *a, void *old, size_t old_size, size_t new_size);

/* Room for one more in a list of which `n` are used: where it is full, it grows by doubling, from
 * `first` entries. `list` and `cap` are variables. */
#define ARENA_ROOM(a, list, n, cap, first)                                                         \
    do {                                                                                           \
        if ((n) == (cap)) {                                                                        \
            size_t cap_ = (cap) ? 2 * (cap) : (first);                                             \
            (list) = arena_grow((a), (list), (cap) * sizeof(*(list)), cap_ * sizeof(*(list)));     \
            (cap) = cap_;                                                                          \
        }                                                                                          \
    } while (0)

#define ARENA_NEW(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (n)))

#endif
