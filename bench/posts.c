/* SPDX-License-Identifier: Apache-2.0 */
/*
 * posts: how many single requests of many callers a batcher carries, each durable before its
 * answer.
 *
 *     posts STORE CALLERS SECONDS
 *
 * Each caller is a thread that enqueues one task, waits for the answer, and enqueues the next.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/task.h"
#include "measure.h"
#include "serve/batcher.h"

#define USAGE       "usage: posts STORE CALLERS SECONDS\n"
#define CALLERS_MAX 1024

BATCHER_FUNCTION(enqueue, task_enqueue)
BATCHER_MANY(enqueue_many, task_enqueue_many)

struct posts {
    struct batcher *batcher;
    atomic_bool over;
    atomic_llong done, us, worst_us;
};

static void post_one(struct posts *p)
{
    const struct task_new task = {.payload = STR(MEASURE_PAYLOAD)};
    const struct task_enqueue request = {.queue = STR("bench"), .list = &task, .n = 1};
    struct task_ids ids;
    struct batcher_request q = {
        .function = enqueue,
        .many = enqueue_many,
        .request = &request,
        .reply = &ids,
        .reply_size = sizeof(ids),
        .bytes = 200,
        .patience_us = BATCHER_CALL_US,
    };
    int64_t took = clock_monotonic();

    batcher_call(p->batcher, &q);
    took = clock_monotonic() - took;
    if (q.answer.code != CODE_OK)
        measure_die("enqueue: " STR_FMT, STR_ARG(q.answer.text));
    batcher_release(&q);
    atomic_fetch_add(&p->done, 1);
    atomic_fetch_add(&p->us, took);
    if (took > atomic_load(&p->worst_us))
        atomic_store(&p->worst_us, took);
}

static void *caller(void *context)
{
    struct posts *p = context;

    while (!atomic_load(&p->over))
        post_one(p);
    return NULL;
}

int main(int argc, char **argv)
{
    struct posts p = {.over = false};
    struct batcher_options o = {.name = "writer", .store = {.mode = STORE_WRITE}};
    struct batcher_stats stats;
    pthread_t threads[CALLERS_MAX];
    int64_t callers, seconds;
    double begun, took;

    if (argc != 4)
        measure_die(USAGE);
    o.store.url = str_of(argv[1]);
    callers = measure_number(argv[2], 1, USAGE);
    seconds = measure_number(argv[3], 1, USAGE);
    if (callers > CALLERS_MAX || batcher_new(&o, &p.batcher))
        measure_die(USAGE);
    post_one(&p); /* the store is made and open */
    atomic_store(&p.done, 0);
    begun = measure_seconds();
    for (int64_t i = 0; i < callers; i++)
        pthread_create(&threads[i], NULL, caller, &p);
    sleep((unsigned)seconds);
    atomic_store(&p.over, true);
    took = measure_seconds() - begun;
    for (int64_t i = 0; i < callers; i++)
        pthread_join(threads[i], NULL);
    batcher_stats(p.batcher, &stats);
    printf("{\"requests\": %lld, \"seconds\": %.3f, \"per_s\": %.0f, \"commits\": %llu, "
           "\"mean_us\": %lld, \"worst_us\": %lld}\n",
           (long long)p.done, took, (double)p.done / took, (unsigned long long)stats.commits,
           (long long)(p.us / (p.done ? p.done : 1)), (long long)p.worst_us);
    batcher_free(p.batcher);
    return 0;
}
