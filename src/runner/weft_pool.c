/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/weft_pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"

struct weft_pool {
    struct weft_pool_options options;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t news;
    struct list given; /* no more than there are threads without work */
    struct list done;
    unsigned idle; /* threads without work, for which nothing is given either */
    bool closed;
    pthread_t *threads;
    unsigned threads_n, threads_cap;
};

struct weft_pool *weft_pool_new(const struct weft_pool_options *options)
{
    struct weft_pool *p = memory_new(sizeof(*p));

    p->options = *options;
    list_init(&p->given);
    list_init(&p->done);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->news, NULL);
    return p;
}

static void *work_for_ever(void *context)
{
    struct weft_pool *p = context;

    pthread_sigmask(SIG_SETMASK, &p->options.mask, NULL);
    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct weft_job *job;

        while (list_empty(&p->given) && !p->closed)
            pthread_cond_wait(&p->news, &p->lock);
        if (list_empty(&p->given))
            break;
        job = LIST_OF(p->given.next, struct weft_job, link);
        list_del(&job->link);
        pthread_mutex_unlock(&p->lock);
        p->options.work(job);
        pthread_mutex_lock(&p->lock);
        list_add(&p->done, &job->link);
        p->idle++;
        p->options.done(p->options.context);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* One more thread; without the program's signals until it has its own mask. The lock is held. */
static bool begin_thread(struct weft_pool *p)
{
    sigset_t all, before;
    int r;

    if (p->threads_n == p->threads_cap) {
        p->threads_cap = p->threads_cap ? 2 * p->threads_cap : 16;
        p->threads = memory_grow(p->threads, p->threads_cap * sizeof(*p->threads));
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&p->threads[p->threads_n], NULL, work_for_ever, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    p->threads_n += r == 0;
    return r == 0;
}

int weft_pool_give(struct weft_pool *p, struct weft_job *job)
{
    int r = 0;

    pthread_mutex_lock(&p->lock);
    assert(!p->closed);
    if (p->idle)
        p->idle--;
    else if (p->threads_n >= p->options.threads_max || !begin_thread(p))
        r = p->threads_n ? WEFT_POOL_E_BUSY : WEFT_POOL_E_NONE;
    if (!r) {
        list_add(&p->given, &job->link);
        pthread_cond_signal(&p->news);
    }
    pthread_mutex_unlock(&p->lock);
    return r;
}

void weft_pool_take(struct weft_pool *p, struct list *ret)
{
    pthread_mutex_lock(&p->lock);
    list_move(ret, &p->done);
    pthread_mutex_unlock(&p->lock);
}

void weft_pool_join(struct weft_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->closed = true;
    pthread_cond_broadcast(&p->news);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->threads_n; i++)
        pthread_join(p->threads[i], NULL);
    p->threads_n = 0;
}

struct weft_pool *weft_pool_free(struct weft_pool *p)
{
    if (!p)
        return NULL;
    assert(p->threads_n == 0);
    pthread_cond_destroy(&p->news);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p);
    return NULL;
}
