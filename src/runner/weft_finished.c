/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/weft_finished.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/memory.h"

struct end {
    struct list link;
    struct str token, report; /* behind it */
    char bytes[];
};

struct weft_finished {
    struct map *ends;  /* by token */
    struct list order; /* the oldest first */
    size_t bytes;      /* of their reports */
};

struct weft_finished *weft_finished_new(void)
{
    struct weft_finished *f = memory_new(sizeof(*f));

    f->ends = map_new();
    list_init(&f->order);
    return f;
}

struct weft_finished *weft_finished_free(struct weft_finished *f)
{
    if (!f)
        return NULL;
    LIST_EACH_SAFE(it, &f->order)
    {
        free(LIST_OF(it, struct end, link));
    }
    map_free(f->ends);
    free(f);
    return NULL;
}

static void forget(struct weft_finished *f, struct end *e)
{
    list_del(&e->link);
    map_del(f->ends, e->token);
    f->bytes -= e->report.n;
    free(e);
}

void weft_finished_add(struct weft_finished *f, struct str token, struct str report)
{
    struct end *e = memory_new(sizeof(*e) + token.n + report.n);

    assert(report.n <= WEFT_FINISHED_BYTES_MAX);
    memcpy(e->bytes, token.p, token.n);
    memcpy(e->bytes + token.n, report.p, report.n);
    e->token = (struct str){e->bytes, token.n};
    e->report = (struct str){e->bytes + token.n, report.n};
    LIST_EACH_SAFE(it, &f->order)
    {
        if (map_count(f->ends) < WEFT_FINISHED_MAX &&
            f->bytes + report.n <= WEFT_FINISHED_BYTES_MAX)
            break;
        forget(f, LIST_OF(it, struct end, link));
    }
    list_add(&f->order, &e->link);
    map_set(f->ends, e->token, (uintptr_t)e);
    f->bytes += report.n;
}

bool weft_finished_get(const struct weft_finished *f, struct str token, struct str *ret)
{
    uint64_t value;

    if (!map_get(f->ends, token, &value))
        return false;
    *ret = ((const struct end *)(uintptr_t)value)->report;
    return true;
}
