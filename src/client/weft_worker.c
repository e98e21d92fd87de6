/* SPDX-License-Identifier: Apache-2.0 */
#include "client/weft_held.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/memory.h"
#include "client/raw.h"

#define SLOTS_DEFAULT  100
#define SLOTS_MAX      100000
#define TTL_MS_DEFAULT 60000
#define TTL_MS_MIN     1000
#define TTL_MS_MAX     86400000
#define LABELS_MAX     (64u << 10)

char *weft_worker_name_new(void)
{
    char host[151] = "", name[200];
    uint32_t number;

    if (gethostname(host, sizeof(host) - 1) || !host[0])
        snprintf(host, sizeof(host), "unknown");
    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        number = (uint32_t)(clock_utc() ^ getpid());
    snprintf(name, sizeof(name), "%s-%08x", host, number);
    return memory_text(name);
}

static int check_options(const struct weft_worker_options *o, struct weft_error *ret_error)
{
    struct str labels;
    size_t at;

    if (o->name && (!*o->name || strlen(o->name) > WEFT_NAME_BYTES_MAX))
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "the name of a worker has 1 to %d bytes", WEFT_NAME_BYTES_MAX);
    if (o->slots > SLOTS_MAX)
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument", "slots: 1 to %d, not %u",
                            SLOTS_MAX, o->slots);
    if (o->ttl_ms && (o->ttl_ms < TTL_MS_MIN || o->ttl_ms > TTL_MS_MAX))
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "ttl_ms: %d to %d, not %" PRId64, TTL_MS_MIN, TTL_MS_MAX, o->ttl_ms);
    if (o->labels &&
        (o->labels_n > LABELS_MAX ||
         !raw_check((struct str){o->labels, o->labels_n}, &labels, &at) || *labels.p != '{'))
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "the labels are no JSON object");
    return WEFT_OK;
}

struct weft_worker *weft_worker_free(struct weft_worker *k)
{
    if (!k)
        return NULL;
    LIST_EACH_SAFE(it, &k->asked)
    {
        weft_asked_free(LIST_OF(it, struct weft_asked, link));
    }
    outbox_free(k->outbox);
    pthread_cond_destroy(&k->changed);
    pthread_mutex_destroy(&k->lock);
    pthread_mutex_destroy(&k->joining);
    free(k->name);
    free(k->labels);
    free(k->more);
    free(k);
    return NULL;
}

static struct weft_worker *make(struct weft *w, const struct weft_worker_options *o)
{
    struct weft_worker *k = memory_new(sizeof(*k));

    k->client = w;
    k->name = o->name ? memory_text(o->name) : weft_worker_name_new();
    if (o->labels) {
        k->labels = memory_new(o->labels_n + 1);
        memcpy(k->labels, o->labels, o->labels_n);
    }
    k->slots = o->slots ? o->slots : SLOTS_DEFAULT;
    k->ttl_ms = o->ttl_ms ? o->ttl_ms : TTL_MS_DEFAULT;
    k->every_ms = k->ttl_ms / 5;
    k->takeover = o->takeover;
    k->log = o->log;
    k->log_context = o->log_context;
    list_init(&k->held);
    list_init(&k->ended);
    list_init(&k->asked);
    pthread_mutex_init(&k->joining, NULL);
    pthread_mutex_init(&k->lock, NULL);
    weft_held_cond_init(&k->changed);
    return k;
}

/* The program's signals are for the program's threads. */
static int begin_threads(struct weft_worker *k)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&k->beating, NULL, weft_join_beat, k);
    if (!r && (r = pthread_create(&k->reporting, NULL, weft_report_for_ever, k))) {
        weft_held_lock(k);
        k->closed = true;
        pthread_cond_broadcast(&k->changed);
        weft_held_unlock(k);
        pthread_join(k->beating, NULL);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int weft_worker_new(struct weft *w, const struct weft_worker_options *o, struct weft_worker **ret,
                    struct weft_error *ret_error)
{
    struct weft_worker *k;
    int r;

    if (check_options(o, ret_error))
        return WEFT_INVALID;
    k = make(w, o);
    r = outbox_new(o->outbox, &k->outbox);
    if (r) {
        weft_worker_free(k);
        asker_refuse(ret_error, WEFT_INVALID, "outbox", "the outbox %s cannot be used: %s",
                     o->outbox, r == OUTBOX_E_BUSY ? "another process has it" : strerror(-r));
        return WEFT_INVALID;
    }
    *ret = k;
    return WEFT_OK;
}

int weft_worker_enter(struct weft_worker *k, struct weft_error *ret_error)
{
    int r = weft_join(k, 0, ret_error);

    if (!r && begin_threads(k)) {
        weft_join_leave(k);
        r = asker_refuse(ret_error, WEFT_UNAVAILABLE, "threads", "no thread can be started");
    }
    return r;
}

int weft_worker_start(struct weft *w, const struct weft_worker_options *options,
                      struct weft_worker **ret, struct weft_error *ret_error)
{
    static const struct weft_worker_options none;
    struct weft_worker *k = NULL;
    int r;

    asker_clear(ret_error);
    r = weft_worker_new(w, options ? options : &none, &k, ret_error);
    if (!r)
        r = weft_worker_enter(k, ret_error);
    if (r)
        weft_worker_free(k);
    else
        *ret = k;
    return r;
}

const char *weft_worker_name(const struct weft_worker *worker)
{
    return worker->name;
}

int weft_worker_is_local(const struct weft_worker *worker)
{
    return atomic_load(&worker->local);
}

void weft_worker_stop(struct weft_worker *worker)
{
    atomic_store(&worker->stopping, true);
}

/* Give back what has not ended. The lock is held. */
static void give_back(struct weft_worker *k)
{
    char line[64];

    LIST_EACH_SAFE(it, &k->held)
    {
        struct weft_lease *lease = LIST_OF(it, struct weft_lease, link);

        snprintf(line, sizeof(line), "{\"token\":\"%s\",\"release\":true}", lease->token.text);
        atomic_store(&lease->ended, true);
        weft_held_add_line(k, lease, str_of(line));
    }
}

static bool drained(struct weft_worker *k, int64_t patience_ms)
{
    int64_t at = weft_held_in_ms(patience_ms);

    while ((outbox_count(k->outbox) || !list_empty(&k->ended)) && clock_monotonic() < at)
        weft_held_wait(k, at);
    return !outbox_count(k->outbox) && list_empty(&k->ended);
}

void weft_worker_leave(struct weft_worker *k, int64_t patience_ms)
{
    weft_worker_stop(k);
    weft_held_lock(k);
    give_back(k);
    drained(k, patience_ms);
    k->closed = true;
    pthread_cond_broadcast(&k->changed);
    weft_held_unlock(k);
    pthread_join(k->reporting, NULL);
    pthread_join(k->beating, NULL);
    weft_join_leave(k);
    weft_held_lock(k);
    while (!list_empty(&k->ended))
        weft_held_let_go(k, LIST_OF(k->ended.next, struct weft_lease, link));
    weft_held_unlock(k);
}

void weft_worker_close(struct weft_worker *worker, int64_t patience_ms)
{
    if (!worker)
        return;
    weft_worker_leave(worker, patience_ms);
    weft_worker_free(worker);
}

int weft_worker_drain(struct weft_worker *worker, int64_t patience_ms, struct weft_error *ret_error)
{
    size_t left;
    bool all;

    asker_clear(ret_error);
    weft_held_lock(worker);
    all = drained(worker, patience_ms);
    left = outbox_count(worker->outbox);
    weft_held_unlock(worker);
    return all ? WEFT_OK
               : asker_refuse(ret_error, WEFT_UNAVAILABLE, "not_reported",
                              "%zu ends are not known to the server yet", left);
}
