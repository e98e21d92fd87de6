/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define ARENA_ALIGN     _Alignof(max_align_t)
#define ARENA_BLOCK_MIN ((size_t)4 << 10)
#define ARENA_BLOCK_MAX ((size_t)1 << 20)

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    _Alignas(max_align_t) char data[];
};

static size_t round_up(size_t size)
{
    assert(size <= PTRDIFF_MAX / 2);
    return (size + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
}

static struct arena_block *block_new(size_t size)
{
    struct arena_block *b = memory_grow(NULL, sizeof(*b) + size);

    b->next = NULL;
    b->size = size;
    return b;
}

void arena_deinit(struct arena *a)
{
    struct arena_block *next;

    for (struct arena_block *b = a->blocks; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (struct arena){0};
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = a->blocks;

    /* A block that was made for one large piece would be held for ever. */
    if (!keep || keep->size > ARENA_BLOCK_MAX) {
        arena_deinit(a);
        return;
    }
    a->blocks = keep->next;
    arena_deinit(a);
    keep->next = NULL;
    a->blocks = keep;
}

void arena_adopt(struct arena *a, struct arena *from)
{
    struct arena_block *last = from->blocks;

    if (a->blocks && last) {
        while (last->next)
            last = last->next;
        last->next = a->blocks->next;
        a->blocks->next = from->blocks;
        a->bytes += from->bytes;
    } else if (last) {
        *a = *from;
    }
    *from = (struct arena){0};
}

/* A block of its own, behind the newest, so that what is left of that one is still used. */
static char *piece_large(struct arena *a, size_t size)
{
    struct arena_block *b = block_new(size);

    if (a->blocks) {
        b->next = a->blocks->next;
        a->blocks->next = b;
    } else {
        a->blocks = b;
        a->used = size;
    }
    return b->data;
}

static char *piece_small(struct arena *a, size_t size)
{
    char *p;

    if (!a->blocks || a->blocks->size - a->used < size) {
        size_t grown = a->blocks ? a->blocks->size * 2 : ARENA_BLOCK_MIN;
        struct arena_block *b;

        if (grown > ARENA_BLOCK_MAX)
            grown = ARENA_BLOCK_MAX;
        if (grown < size)
            grown = size;
        b = block_new(grown);
        b->next = a->blocks;
        a->blocks = b;
        a->used = 0;
    }
    p = a->blocks->data + a->used;
    a->used += size;
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t n = round_up(size ? size : 1);
    char *p = n > ARENA_BLOCK_MAX / 4 ? piece_large(a, n) : piece_small(a, n);

    a->bytes += n;
    return memset(p, 0, n);
}

void *arena_grow(struct arena *a, void *old, size_t old_size, size_t new_size)
{
    size_t had = round_up(old_size ? old_size : 1);
    size_t want = round_up(new_size ? new_size : 1);
    char *p;

    if (!old)
        return arena_alloc(a, new_size);
    if (want <= had)
        return old;
    if (a->blocks && (char *)old + had == a->blocks->data + a->used &&
        a->blocks->size - a->used >= want - had) {
        memset((char *)old + old_size, 0, want - old_size);
        a->used += want - had;
        a->bytes += want - had;
        return old;
    }
    p = arena_alloc(a, new_size);
    return memcpy(p, old, old_size);
}
