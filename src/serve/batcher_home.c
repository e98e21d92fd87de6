/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/batcher_home.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/memory.h"
#include "serve/loop.h"

struct batcher_home {
    struct loop_handle wake;
    pthread_mutex_t lock;
    struct list arrived;
};

static struct batcher_request *request_of(struct list *link)
{
    return LIST_OF(link, struct batcher_request, link);
}

static void home_arrived(struct loop_handle *wake)
{
    struct batcher_home *h = LIST_OF(wake, struct batcher_home, wake);
    struct list mine;

    list_init(&mine);
    pthread_mutex_lock(&h->lock);
    list_move(&mine, &h->arrived);
    pthread_mutex_unlock(&h->lock);
    while (!list_empty(&mine)) {
        struct batcher_request *q = request_of(mine.next);

        list_del(&q->link);
        q->done(q);
    }
}

static void home_closed(struct loop_handle *wake)
{
    struct batcher_home *h = LIST_OF(wake, struct batcher_home, wake);

    pthread_mutex_destroy(&h->lock);
    free(h);
}

int batcher_home_new(uv_loop_t *loop, struct batcher_home **ret)
{
    struct batcher_home *h = memory_new(sizeof(*h));
    int r = loop_wake_init(loop, &h->wake, home_arrived);

    if (r) {
        free(h);
        return fault(r);
    }
    pthread_mutex_init(&h->lock, NULL);
    list_init(&h->arrived);
    *ret = h;
    return 0;
}

struct batcher_home *batcher_home_free(struct batcher_home *h)
{
    if (h) {
        assert(list_empty(&h->arrived));
        loop_close(&h->wake, home_closed);
    }
    return NULL;
}

/* All that share a home come to it at once. */
static void deliver_home(struct batcher_home *h, struct list *mine)
{
    bool first;

    pthread_mutex_lock(&h->lock);
    first = list_empty(&h->arrived);
    list_move(&h->arrived, mine);
    /* Under the lock, so that the loop cannot have closed the handle meanwhile. */
    if (first)
        loop_wake(&h->wake);
    pthread_mutex_unlock(&h->lock);
}

void batcher_home_deliver(struct list *requests)
{
    struct batcher_home *home = NULL;
    struct list mine;

    list_init(&mine);
    while (!list_empty(requests)) {
        struct batcher_request *q = request_of(requests->next);

        list_del(&q->link);
        if (!list_empty(&mine) && q->home != home)
            deliver_home(home, &mine);
        home = q->home;
        if (home)
            list_add(&mine, &q->link);
        else
            q->done(q);
    }
    if (!list_empty(&mine))
        deliver_home(home, &mine);
}
