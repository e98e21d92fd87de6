/* SPDX-License-Identifier: Apache-2.0 */
#include "client/weft_held.h"

#include <string.h>

#include "client/raw.h"

#define WAIT_US_MAX (86400 * CLOCK_S) /* at once: whoever waits for longer looks again */

void weft_held_say(const struct weft_worker *k, const char *format, ...)
{
    char text[WEFT_TEXT_BYTES + 200];
    struct buf b;
    va_list args;

    if (!k->log)
        return;
    buf_fixed(&b, text, sizeof(text));
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    k->log(k->log_context, text);
}

void weft_held_lock(struct weft_worker *k)
{
    pthread_mutex_lock(&k->lock);
}

void weft_held_unlock(struct weft_worker *k)
{
    pthread_mutex_unlock(&k->lock);
}

void weft_held_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

/* clock_monotonic() is CLOCK_BOOTTIME, which conditions do not know: the time is taken over as the
 * difference from now. */
void weft_held_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t at)
{
    int64_t us = at - clock_monotonic();
    struct timespec t;

    if (us <= 0)
        return;
    us = us < WAIT_US_MAX ? us : WAIT_US_MAX;
    clock_gettime(CLOCK_MONOTONIC, &t);
    us += t.tv_nsec / 1000;
    t.tv_sec += us / CLOCK_S;
    t.tv_nsec = us % CLOCK_S * 1000;
    pthread_cond_timedwait(cond, lock, &t);
}

void weft_held_wait(struct weft_worker *k, int64_t at)
{
    weft_held_cond_wait(&k->changed, &k->lock, at);
}

int64_t weft_held_in_ms(int64_t ms)
{
    int64_t now = clock_monotonic();

    if (ms <= 0)
        return now;
    return ms < (INT64_MAX - now) / CLOCK_MS ? now + ms * CLOCK_MS : INT64_MAX;
}

/* The lock is held. */
static struct weft_lease *find(const struct weft_worker *k, struct str token)
{
    LIST_EACH(it, &k->held)
    {
        struct weft_lease *lease = LIST_OF(it, struct weft_lease, link);

        if (str_eq(str_of(lease->token.text), token))
            return lease;
    }
    return NULL;
}

void weft_held_take(struct weft_worker *k, struct weft_lease *lease)
{
    atomic_fetch_add(&lease->references, 1);
    lease->worker = k;
    list_add(&k->held, &lease->link);
    k->leases_n++;
}

void weft_held_let_go(struct weft_worker *k, struct weft_lease *lease)
{
    list_del(&lease->link);
    k->leases_n--;
    pthread_cond_broadcast(&k->changed);
    weft_lease_drop(lease);
}

/* The lock is held. */
static void lose(struct weft_worker *k, struct weft_lease *lease)
{
    atomic_store(&lease->lost, true);
    atomic_store(&lease->stop, true);
    weft_held_let_go(k, lease);
}

void weft_held_forget(struct weft_worker *k, struct str tokens)
{
    struct str token;

    weft_held_lock(k);
    while (raw_next(&tokens, &token)) {
        struct weft_lease *lease = find(k, str_sub(token, 1, token.n - 2));

        if (lease)
            lose(k, lease);
    }
    weft_held_unlock(k);
}

void weft_held_add_line(struct weft_worker *k, struct weft_lease *lease, struct str line)
{
    int r;

    list_del(&lease->link);
    list_add(&k->ended, &lease->link);
    r = outbox_add(k->outbox, line);
    k->news = true;
    pthread_cond_broadcast(&k->changed);
    if (r)
        weft_held_say(k, "the outbox cannot be written, ends are kept in memory: %s", strerror(-r));
}

bool weft_worker_ended(struct weft_worker *worker, struct weft_lease *lease, struct str line)
{
    bool held;

    weft_held_lock(worker);
    held = !list_empty(&lease->link);
    if (held)
        weft_held_add_line(worker, lease, line);
    weft_held_unlock(worker);
    return held;
}

void weft_worker_lost(struct weft_worker *worker, struct weft_lease *lease)
{
    weft_held_lock(worker);
    if (!list_empty(&lease->link))
        lose(worker, lease);
    weft_held_unlock(worker);
}

int weft_worker_ask(struct weft_worker *worker, const struct asker_call *call,
                    struct buf *ret_reply, struct weft_error *ret_error)
{
    return asker_ask(worker->client->asker, call, ret_reply, ret_error);
}

void weft_held_stop(struct weft_worker *k, struct str tokens)
{
    struct str token;

    weft_held_lock(k);
    while (raw_next(&tokens, &token)) {
        struct weft_lease *lease = find(k, str_sub(token, 1, token.n - 2));

        if (lease)
            atomic_store(&lease->stop, true);
    }
    pthread_cond_broadcast(&k->changed);
    weft_held_unlock(k);
}
