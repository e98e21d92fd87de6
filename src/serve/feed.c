/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/feed.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/memory.h"
#include "serve/api_run.h"

struct feeds {
    struct map *by_run; /* to struct feed * */
};

/* Pages. */

static struct feed_page *page_of(struct list *link)
{
    return LIST_OF(link, struct feed_page, link);
}

struct feed_page *feed_page_unref(struct feed_page *p)
{
    if (p && --p->refs == 0) {
        arena_deinit(&p->arena);
        free(p);
    }
    return NULL;
}

static void drop(struct feed *f, struct feed_page *p)
{
    list_del(&p->link);
    f->pages_n--;
    feed_page_unref(p);
}

static void drop_all(struct feed *f)
{
    LIST_EACH_SAFE(it, &f->pages)
    {
        drop(f, page_of(it));
    }
}

struct feed_page *feed_found(struct feed *f, int64_t after, const struct feed_read *read,
                             struct arena *memory)
{
    struct feed_page *p = memory_new(sizeof(*p));
    size_t n = read->events.n;

    p->read = *read;
    p->after = after;
    p->seen = n ? read->events.list[n - 1].seq : after;
    p->refs = 1;
    list_init(&p->link);
    arena_adopt(&p->arena, memory);
    p->messages = ARENA_ARRAY(&p->arena, Weft__V1__Event *, n);
    p->bytes = ARENA_ARRAY(&p->arena, struct call_bytes, n);
    if (n == 0 || f->watchers < 2)
        return p;
    if (f->pages_n == FEED_PAGES_MAX)
        drop(f, page_of(f->pages.next));
    p->refs++;
    f->pages_n++;
    list_add(&f->pages, &p->link);
    return p;
}

Weft__V1__Event *feed_page_message(struct feed_page *p, size_t i)
{
    if (!p->messages[i]) {
        p->messages[i] = api_run_event(&p->arena, &p->read.events.list[i]);
        p->bytes[i].arena = &p->arena;
    }
    return p->messages[i];
}

/* A page that was not full may lack what came later: who has sent it looks once more. */
struct feed_page *feed_find(struct feed *f, int64_t after)
{
    for (struct list *it = f->pages.prev; it != &f->pages; it = it->prev) {
        struct feed_page *p = page_of(it);

        if (p->after <= after && after < p->seen) {
            p->refs++;
            return p;
        }
    }
    return NULL;
}

/* Reads. */

struct feed_reader *feed_reading(const struct feed *f, int64_t after)
{
    LIST_EACH(it, &f->reads)
    {
        struct feed_reader *r = LIST_OF(it, struct feed_reader, link);

        if (r->after == after)
            return r;
    }
    return NULL;
}

void feed_reading_begins(struct feed *f, struct feed_reader *r, int64_t after)
{
    r->after = after;
    list_init(&r->joined);
    list_add(&f->reads, &r->link);
}

/* Watchers. */

struct feed *feed_enter(struct feeds *feeds, int64_t run)
{
    uint64_t key = (uint64_t)run, found;
    struct feed *f;

    if (map_get(feeds->by_run, map_key(&key), &found)) {
        f = (struct feed *)(uintptr_t)found;
    } else {
        f = memory_new(sizeof(*f));
        f->run = run;
        f->feeds = feeds;
        list_init(&f->reads);
        list_init(&f->pages);
        map_add(feeds->by_run, map_key(&key), (uintptr_t)f);
    }
    f->watchers++;
    return f;
}

void feed_leave(struct feed *f)
{
    uint64_t key = (uint64_t)f->run;

    f->watchers--;
    if (f->idle == f->watchers)
        drop_all(f);
    if (f->watchers)
        return;
    assert(list_empty(&f->reads));
    map_del(f->feeds->by_run, map_key(&key));
    free(f);
}

void feed_idle(struct feed *f)
{
    if (++f->idle == f->watchers)
        drop_all(f);
}

void feed_busy(struct feed *f)
{
    f->idle--;
}

struct feeds *feed_all_new(void)
{
    struct feeds *f = memory_new(sizeof(*f));

    f->by_run = map_new();
    return f;
}

struct feeds *feed_all_free(struct feeds *f)
{
    if (f) {
        assert(map_count(f->by_run) == 0);
        map_free(f->by_run);
        free(f);
    }
    return NULL;
}
