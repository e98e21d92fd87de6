/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/memory.h"

/* The key of the hash is the process's own: whoever chooses the keys of a map cannot know which of
 * them collide. */
static unsigned char hash_key[crypto_shorthash_KEYBYTES];

static void draw_hash_key(void)
{
    int r = sodium_init();

    assert(r >= 0);
    randombytes_buf(hash_key, sizeof(hash_key));
}

static unsigned hash(const void *key, size_t n)
{
    unsigned char out[crypto_shorthash_BYTES];
    unsigned h;

    crypto_shorthash(out, key, n, hash_key);
    memcpy(&h, out, sizeof(h));
    return h;
}

#define HASH_FUNCTION(key, n, ret) ((ret) = hash((key), (n)))
#define uthash_malloc(size)        memory_new(size)
#define uthash_free(p, size)       free(p)
#include <uthash.h>

struct entry {
    uint64_t value;
    UT_hash_handle hh;
    size_t n;
    char key[];
};

struct map {
    struct entry *entries;
};

struct map *map_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, draw_hash_key);
    return memory_new(sizeof(struct map));
}

struct map *map_free(struct map *m)
{
    struct entry *e, *next;

    if (!m)
        return NULL;
    e = m->entries;
    HASH_CLEAR(hh, m->entries);
    for (; e; e = next) {
        next = e->hh.next;
        free(e);
    }
    free(m);
    return NULL;
}

size_t map_count(const struct map *m)
{
    return HASH_COUNT(m->entries);
}

/* The hash reads the key even where it is empty. */
static const char *bytes_of(struct str key)
{
    return key.p ? key.p : "";
}

static struct entry *find(const struct map *m, struct str key)
{
    struct entry *e;

    HASH_FIND(hh, m->entries, bytes_of(key), key.n, e);
    return e;
}

static void insert(struct map *m, struct str key, uint64_t value)
{
    struct entry *e = memory_new(sizeof(*e) + key.n);

    e->value = value;
    e->n = key.n;
    if (key.n)
        memcpy(e->key, key.p, key.n);
    HASH_ADD_KEYPTR(hh, m->entries, e->key, e->n, e);
}

bool map_add(struct map *m, struct str key, uint64_t value)
{
    if (find(m, key))
        return false;
    insert(m, key, value);
    return true;
}

void map_set(struct map *m, struct str key, uint64_t value)
{
    struct entry *e = find(m, key);

    if (e)
        e->value = value;
    else
        insert(m, key, value);
}

bool map_get(const struct map *m, struct str key, uint64_t *ret_value)
{
    struct entry *e = find(m, key);

    if (e && ret_value)
        *ret_value = e->value;
    return e != NULL;
}

bool map_del(struct map *m, struct str key)
{
    struct entry *e = find(m, key);

    if (!e)
        return false;
    HASH_DEL(m->entries, e);
    free(e);
    return true;
}
