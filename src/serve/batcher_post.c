/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <pthread.h>

#include "base/clock.h"
#include "serve/batcher_home.h"
#include "serve/batcher_state.h"

/* What a refused caller is told to wait. */
#define RETRY_US_MIN (50 * CLOCK_MS)
#define RETRY_US_MAX (30 * CLOCK_S)

void batcher_answer(struct batcher_request *q, enum code code, struct str text)
{
    arena_reset(&q->arena);
    q->answer = (struct batcher_answer){.code = code, .text = str_copy(&q->arena, text)};
}

/* What waits. Under the lock. */

void batcher_wait_add(struct batcher *b, struct batcher_request *q)
{
    list_add(&b->waiting[q->lane], &q->link);
    q->waits = true;
    b->waiting_n++;
    if (q->lane == BATCHER_CALLS) {
        b->stats.waiting++;
        b->stats.waiting_bytes += q->bytes;
    }
}

void batcher_wait_del(struct batcher *b, struct batcher_request *q)
{
    list_del(&q->link);
    q->waits = false;
    b->waiting_n--;
    if (q->lane == BATCHER_CALLS) {
        b->stats.waiting--;
        b->stats.waiting_bytes -= q->bytes;
    }
}

void batcher_answer_withdrawn(struct batcher_request *q)
{
    batcher_answer(q, q->withdrawn,
                   STR("it was not begun, since its caller did not wait any longer"));
}

/* Posting. */

/* How long what waits will take, by what was answered lately; under the lock. */
static int64_t retry_after(const struct batcher *b)
{
    double us = b->per_us > 0 ? (double)b->stats.waiting / b->per_us : (double)CLOCK_S;

    if (b->trouble != CODE_OK && us < (double)CLOCK_S)
        us = (double)CLOCK_S;
    if (us < (double)RETRY_US_MIN)
        return RETRY_US_MIN;
    return us < (double)RETRY_US_MAX ? (int64_t)us : RETRY_US_MAX;
}

/* Room for all of them, or for none. One that is larger than all room is let in where nothing
 * waits. */
static bool has_room(const struct batcher *b, struct batcher_request *const *list, size_t n)
{
    size_t calls = 0, bytes = 0;

    for (size_t i = 0; i < n; i++)
        if (list[i]->lane == BATCHER_CALLS) {
            calls++;
            bytes += list[i]->bytes;
        }
    return !calls || !b->stats.waiting ||
           (b->stats.waiting + calls <= b->waiting_max &&
            b->stats.waiting_bytes + bytes <= b->waiting_bytes_max);
}

static void refuse(struct batcher_request *const *list, size_t n, enum code code, struct str text,
                   int64_t retry_after_us)
{
    struct list refused;

    list_init(&refused);
    for (size_t i = 0; i < n; i++) {
        batcher_answer(list[i], code, text);
        list[i]->answer.retry_after_us = retry_after_us;
        list_add(&refused, &list[i]->link);
    }
    batcher_home_deliver(&refused);
}

static void post(struct batcher *b, struct batcher_request *const *list, size_t n, bool in_order)
{
    int64_t now = clock_monotonic(), retry_us = 0;
    bool stop;

    for (size_t i = 0; i < n; i++) {
        list[i]->posted_us = now;
        list[i]->in_order = in_order;
        list[i]->waits = list[i]->is_withdrawn = false;
    }
    pthread_mutex_lock(&b->lock);
    stop = b->stop;
    if (stop) {
        b->stats.refused += n;
    } else if (has_room(b, list, n)) {
        for (size_t i = 0; i < n; i++)
            batcher_wait_add(b, list[i]);
        if (b->idle)
            pthread_cond_signal(&b->posted);
    } else {
        retry_us = retry_after(b);
        b->stats.refused += n;
    }
    pthread_mutex_unlock(&b->lock);
    if (stop)
        refuse(list, n, CODE_STORE_UNAVAILABLE, BATCHER_ENDING, 0);
    else if (retry_us)
        refuse(list, n, CODE_RESOURCE_EXHAUSTED,
               STR("too many requests wait for the store; try again later"), retry_us);
}

void batcher_post(struct batcher *b, struct batcher_request *const *list, size_t n)
{
    post(b, list, n, n > 1);
}

void batcher_post_each(struct batcher *b, struct batcher_request *const *list, size_t n)
{
    post(b, list, n, false);
}

bool batcher_withdraw(struct batcher *b, struct batcher_request *q, enum code code)
{
    struct list answered;
    bool waits;

    assert(!q->in_order);
    list_init(&answered);
    pthread_mutex_lock(&b->lock);
    waits = q->waits;
    q->is_withdrawn = true;
    q->withdrawn = code;
    if (waits) {
        batcher_wait_del(b, q);
        batcher_answer_withdrawn(q);
        list_add(&answered, &q->link);
        b->stats.late++;
    }
    pthread_mutex_unlock(&b->lock);
    batcher_home_deliver(&answered);
    return waits;
}

void batcher_stats(struct batcher *b, struct batcher_stats *ret)
{
    pthread_mutex_lock(&b->lock);
    *ret = b->stats;
    pthread_mutex_unlock(&b->lock);
}

/* A thread that waits for one answer. */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool is_answered;
};

static void wake(struct batcher_request *q)
{
    struct waiter *w = q->context;

    pthread_mutex_lock(&w->lock);
    w->is_answered = true;
    /* Under the lock: afterwards the waiter may be gone. */
    pthread_cond_signal(&w->answered);
    pthread_mutex_unlock(&w->lock);
}

void batcher_call(struct batcher *b, struct batcher_request *q)
{
    struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};

    q->home = NULL;
    q->done = wake;
    /* It is answered before this returns. */
    /* cppcheck-suppress autoVariables */
    q->context = &w;
    batcher_post(b, &q, 1);
    pthread_mutex_lock(&w.lock);
    while (!w.is_answered)
        pthread_cond_wait(&w.answered, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_mutex_destroy(&w.lock);
    pthread_cond_destroy(&w.answered);
}
