/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap: what is first, of things that come and go in any order.
 *
 * A binary heap over nodes that live inside the things they order; the smallest key is first, and
 * of equal keys whichever. Adding, taking out and moving cost the logarithm of what is in it.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;
    size_t at; /* its place in the heap, from 1; 0: it is in none */
};

struct heap {
    struct heap_node **nodes; /* nodes[0] is not used */
    size_t n;
    size_t cap;
};

/* A heap of zeros is empty. */
void heap_deinit(struct heap *h);

/* The node is in no heap. */
void heap_add(struct heap *h, struct heap_node *node, int64_t key);
/* It is in this heap, or in none, and then nothing happens. */
void heap_del(struct heap *h, struct heap_node *node);
/* It is in this heap, or in none, and then it is added. */
void heap_set(struct heap *h, struct heap_node *node, int64_t key);

static inline struct heap_node *heap_first(const struct heap *h)
{
    return h->n ? h->nodes[1] : NULL;
}

#endif
