/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

#define FIRST_CAP 16u

void heap_deinit(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}

static void put(struct heap *h, size_t at, struct heap_node *node)
{
    h->nodes[at] = node;
    node->at = at;
}

/* Towards the first, past all that are larger. */
static void rise(struct heap *h, size_t at, struct heap_node *node)
{
    while (at > 1 && h->nodes[at / 2]->key > node->key) {
        put(h, at, h->nodes[at / 2]);
        at /= 2;
    }
    put(h, at, node);
}

static void sink(struct heap *h, size_t at, struct heap_node *node)
{
    for (;;) {
        size_t child = 2 * at;

        if (child > h->n)
            break;
        if (child < h->n && h->nodes[child + 1]->key < h->nodes[child]->key)
            child++;
        if (h->nodes[child]->key >= node->key)
            break;
        put(h, at, h->nodes[child]);
        at = child;
    }
    put(h, at, node);
}

static void settle(struct heap *h, size_t at, struct heap_node *node)
{
    if (at > 1 && h->nodes[at / 2]->key > node->key)
        rise(h, at, node);
    else
        sink(h, at, node);
}

void heap_add(struct heap *h, struct heap_node *node, int64_t key)
{
    assert(!node->at);
    if (h->n + 1 >= h->cap) {
        h->cap = h->cap ? 2 * h->cap : FIRST_CAP;
        h->nodes = memory_grow(h->nodes, h->cap * sizeof(struct heap_node *));
    }
    node->key = key;
    rise(h, ++h->n, node);
}

void heap_del(struct heap *h, struct heap_node *node)
{
    size_t at = node->at;
    struct heap_node *last;

    if (!at)
        return;
    assert(at <= h->n && h->nodes[at] == node);
    last = h->nodes[h->n--];
    node->at = 0;
    if (last != node)
        settle(h, at, last);
}

void heap_set(struct heap *h, struct heap_node *node, int64_t key)
{
    if (!node->at) {
        heap_add(h, node, key);
        return;
    }
    node->key = key;
    settle(h, node->at, node);
}
