/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sets.h"

#include <assert.h>

void sets_add(struct sets *s, struct arena *a, const struct cell *cells, size_t n)
{
    if (s->n + n > s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 32 * n;

        s->cells = arena_grow(a, s->cells, s->cap * sizeof(*s->cells), cap * sizeof(*s->cells));
        s->cap = cap;
    }
    memcpy(s->cells + s->n, cells, n * sizeof(*cells));
    s->n += n;
}

int sets_run(struct sets *s, struct tx *tx, enum statement_id id, size_t width, struct rows *ret)
{
    size_t n = s->n / width;

    assert(s->n % width == 0);
    s->n = 0;
    if (n == 0) {
        if (ret)
            *ret = (struct rows){0};
        return 0;
    }
    if (!ret) /* nobody waits for it */
        return store_put(tx->store, id, s->cells, n);
    return store_run(tx->store, id, tx->arena, s->cells, n, ret);
}

struct store_ask sets_ask(struct sets *s, enum statement_id id, size_t width, struct rows *ret)
{
    const struct store_ask ask = {.id = id, .params = s->cells, .sets = s->n / width, .ret = ret};

    assert(s->n % width == 0);
    s->n = 0;
    return ask;
}

int sets_by_number(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}
