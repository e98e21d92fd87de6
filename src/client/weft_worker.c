/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "client/outbox.h"
#include "client/raw.h"
#include "client/weft_within.h"

#define SLOTS_DEFAULT  100
#define SLOTS_MAX      100000
#define TTL_MS_DEFAULT 60000
#define TTL_MS_MIN     1000
#define TTL_MS_MAX     86400000
#define LABELS_MAX     (64u << 10)

#define REPORT_ITEMS_MAX 1000
#define REPORT_BYTES_MAX (4u << 20)
#define OUTBOX_MAX       100000 /* beyond so many unreported ends nothing is claimed */
#define LEAVE_MS         5000   /* for the last call of a worker */

/* A signal handler cannot wake a thread that waits for a condition: so often it looks by itself. */
#define LOOK_MS 100

struct weft_worker {
    struct weft *client;
    char *name, *labels;
    unsigned slots;
    int64_t ttl_ms;
    bool takeover;
    void (*log)(void *context, const char *text);
    void *log_context;

    atomic_bool stopping, local;
    pthread_mutex_t joining; /* one thread registers at a time; taken before `lock` */

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    struct weft_id id; /* of the incarnation; empty before the first */
    int64_t every_ms;
    struct list held;  /* leases that have not ended */
    struct list ended; /* those that have, in the order of their lines in the outbox */
    size_t leases_n;   /* of both lists */
    size_t claiming;   /* slots of claims under way */
    struct outbox *outbox;
    bool closed; /* the threads end */
    bool news;   /* for the reporter: do not wait any longer */
    pthread_t beating, reporting;
};

static void say(const struct weft_worker *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct weft_worker *k, const char *format, ...)
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

static void lock(struct weft_worker *k)
{
    pthread_mutex_lock(&k->lock);
}

static void unlock(struct weft_worker *k)
{
    pthread_mutex_unlock(&k->lock);
}

/* Wait for a change, at most until `at` (clock_monotonic() is CLOCK_BOOTTIME, which conditions do
 * not know; the difference is good for both). The lock is held. */
static void wait_until(struct weft_worker *k, int64_t at)
{
    int64_t us = at - clock_monotonic();
    struct timespec t;

    if (us <= 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &t);
    us += t.tv_nsec / 1000;
    t.tv_sec += us / CLOCK_S;
    t.tv_nsec = us % CLOCK_S * 1000;
    pthread_cond_timedwait(&k->changed, &k->lock, &t);
}

static int64_t in_ms(int64_t ms)
{
    return clock_monotonic() + ms * CLOCK_MS;
}

/* Leases. */

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

/* The worker has no more to do with it. The lock is held. */
static void let_go(struct weft_worker *k, struct weft_lease *lease)
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
    let_go(k, lease);
}

/* Others have these tasks now. */
static void forget(struct weft_worker *k, struct str tokens)
{
    struct str token;

    lock(k);
    while (raw_next(&tokens, &token)) {
        struct weft_lease *lease = find(k, str_sub(token, 1, token.n - 2));

        if (lease)
            lose(k, lease);
    }
    unlock(k);
}

/* The lock is held. */
static void add_line(struct weft_worker *k, struct weft_lease *lease, struct str line)
{
    int r;

    list_del(&lease->link);
    list_add(&k->ended, &lease->link);
    r = outbox_add(k->outbox, line);
    k->news = true;
    pthread_cond_broadcast(&k->changed);
    if (r)
        say(k, "the outbox cannot be written, ends are kept in memory: %s", strerror(-r));
}

bool weft_worker_ended(struct weft_worker *worker, struct weft_lease *lease, struct str line)
{
    bool held;

    lock(worker);
    held = !list_empty(&lease->link);
    if (held)
        add_line(worker, lease, line);
    unlock(worker);
    return held;
}

void weft_worker_lost(struct weft_worker *worker, struct weft_lease *lease)
{
    lock(worker);
    if (!list_empty(&lease->link))
        lose(worker, lease);
    unlock(worker);
}

int weft_worker_ask(struct weft_worker *worker, const struct asker_call *call,
                    struct buf *ret_reply, struct weft_error *ret_error)
{
    return asker_ask(worker->client->asker, call, ret_reply, ret_error);
}

/* Registering. */

static void put_tokens(struct weft_worker *k, struct buf *body)
{
    bool first = true;

    buf_add(body, STR(",\"tokens\":["));
    lock(k);
    LIST_EACH(it, &k->held)
    {
        buf_printf(body, "%s\"%s\"", first ? "" : ",",
                   LIST_OF(it, struct weft_lease, link)->token.text);
        first = false;
    }
    for (size_t i = 0; i < outbox_count(k->outbox); i++) {
        struct str token = raw_get(outbox_at(k->outbox, i), STR("token"));

        buf_printf(body, "%s" STR_FMT, first ? "" : ",", STR_ARG(token));
        first = false;
    }
    unlock(k);
    buf_byte(body, ']');
}

static void put_registration(struct weft_worker *k, struct buf *body)
{
    char host[256] = "";

    gethostname(host, sizeof(host) - 1);
    buf_byte(body, '{');
    weft_put_text(body, "name", str_of(k->name));
    buf_printf(body, ",\"slots\":%u", k->slots);
    weft_put_ms(body, "ttl", k->ttl_ms);
    if (k->labels)
        buf_printf(body, ",\"labels\":%s", k->labels);
    weft_put_text(body, "host", str_of(host));
    buf_printf(body, ",\"pid\":%d,\"takeover\":%s", (int)getpid(),
               k->takeover || k->id.text[0] ? "true" : "false");
    put_tokens(k, body);
    buf_byte(body, '}');
}

static void registered(struct weft_worker *k, struct str reply)
{
    char every[64];
    int64_t us;

    weft_get_text(reply, "heartbeat_every", every, sizeof(every));
    lock(k);
    weft_get_text(raw_get(reply, STR("worker")), "id", k->id.text, sizeof(k->id.text));
    if (clock_duration(str_of(every), &us) && us >= CLOCK_MS)
        k->every_ms = us / CLOCK_MS;
    unlock(k);
    forget(k, raw_get(reply, STR("lost")));
}

/* `joining` is held, or no thread runs yet. */
static int enrol(struct weft_worker *k, unsigned tries, struct weft_error *ret_error)
{
    struct buf body, reply;
    int r;

    buf_init(&body, WEFT_BODY_BYTES_MAX);
    put_registration(k, &body);
    r = weft_worker_ask(k,
                        &(struct asker_call){.verb = "POST",
                                             .path = "/v1/workers:register",
                                             .body = body.p,
                                             .once = true,
                                             .tries = tries},
                        &reply, ret_error);
    buf_deinit(&body);
    if (r)
        return r;
    registered(k, buf_str(&reply));
    buf_deinit(&reply);
    return WEFT_OK;
}

static bool is_over(const struct weft_error *e)
{
    return strcmp(e->code, "worker_lost") == 0 || strcmp(e->code, "worker_not_found") == 0;
}

static struct weft_id current(struct weft_worker *k)
{
    struct weft_id id;

    lock(k);
    id = k->id;
    unlock(k);
    return id;
}

/* The incarnation `was` is over; the next one asks for what it held. Several threads may find out
 * at once, and the first of them is enough. */
static void again(struct weft_worker *k, struct weft_id was)
{
    struct weft_error error;
    struct weft_id now;

    pthread_mutex_lock(&k->joining);
    now = current(k);
    if (strcmp(now.text, was.text) == 0 && enrol(k, 1, &error))
        say(k, "the worker could not register again: %s", error.text);
    pthread_mutex_unlock(&k->joining);
}

/* Heartbeats. */

static void put_worker_path(struct buf *out, struct weft_id id, const char *verb)
{
    buf_init(out, sizeof(id.text) + 64);
    buf_printf(out, "/v1/workers/%s:%s", id.text, verb);
}

static void stop_asked(struct weft_worker *k, struct str tokens)
{
    struct str token;

    lock(k);
    while (raw_next(&tokens, &token)) {
        struct weft_lease *lease = find(k, str_sub(token, 1, token.n - 2));

        if (lease)
            atomic_store(&lease->stop, true);
    }
    unlock(k);
}

static void server_is_back(struct weft_worker *k)
{
    say(k, "the server is back");
    lock(k);
    k->news = true;
    pthread_cond_broadcast(&k->changed);
    unlock(k);
}

static void beat(struct weft_worker *k)
{
    struct weft_id id = current(k);
    struct weft_error error;
    struct buf path, reply;
    int r;

    put_worker_path(&path, id, "heartbeat");
    r = weft_worker_ask(
        k,
        &(struct asker_call){.verb = "POST",
                             .path = path.p,
                             .body = "{}",
                             .probe = true,
                             .tries = 1,
                             .timeout_ms = k->ttl_ms / 5 > 1000 ? k->ttl_ms / 5 : 1000},
        &reply, &error);
    buf_deinit(&path);
    if (r == WEFT_OK) {
        stop_asked(k, raw_get(buf_str(&reply), STR("stop")));
        buf_deinit(&reply);
    }
    if (r == WEFT_REFUSED) {
        say(k, "the heartbeat was refused: %s", error.text);
        if (is_over(&error))
            again(k, id);
    }
    if (r == WEFT_UNAVAILABLE && !atomic_exchange(&k->local, true))
        say(k, "the server is away, working on without it: %s", error.text);
    if (r != WEFT_UNAVAILABLE && atomic_exchange(&k->local, false))
        server_is_back(k);
}

static void *beat_for_ever(void *context)
{
    struct weft_worker *k = context;

    lock(k);
    for (;;) {
        int64_t at = in_ms(k->every_ms);

        while (!k->closed && clock_monotonic() < at)
            wait_until(k, at);
        if (k->closed)
            break;
        unlock(k);
        beat(k);
        lock(k);
    }
    unlock(k);
    return NULL;
}

/* Reports. */

struct report {
    size_t n; /* the oldest items of the outbox */
    size_t results_n, tokens_n;
    struct buf results, tokens;
};

/* Whether the line goes into the report. The lock is held. */
static bool add_to(struct report *p, struct str line)
{
    if (p->n && p->results.n + line.n > REPORT_BYTES_MAX)
        return false;
    p->n++;
    if (raw_get(line, STR("release")).n) {
        buf_add(&p->tokens, p->tokens_n++ ? STR(",") : STR("{\"tokens\":["));
        buf_add(&p->tokens, raw_get(line, STR("token")));
    } else {
        buf_add(&p->results, p->results_n++ ? STR(",") : STR("{\"results\":["));
        buf_add(&p->results, line);
    }
    return true;
}

/* Up to `max` of the oldest. The lock is held. */
static void gather(struct weft_worker *k, size_t max, struct report *ret)
{
    size_t n = outbox_count(k->outbox);

    *ret = (struct report){0};
    buf_init(&ret->results, WEFT_BODY_BYTES_MAX);
    buf_init(&ret->tokens, WEFT_BODY_BYTES_MAX);
    for (size_t i = 0; i < n && i < max; i++)
        if (!add_to(ret, outbox_at(k->outbox, i)))
            break;
    buf_add(&ret->results, STR("]}"));
    buf_add(&ret->tokens, STR("]}"));
}

static void report_deinit(struct report *p)
{
    buf_deinit(&p->results);
    buf_deinit(&p->tokens);
}

static int tell(struct weft_worker *k, const char *path, const struct buf *body,
                struct weft_error *ret_error)
{
    struct buf reply;
    struct str list, item;
    int r = weft_worker_ask(
        k, &(struct asker_call){.verb = "POST", .path = path, .body = body->p, .tries = 1}, &reply,
        ret_error);

    if (r)
        return r;
    list = raw_get(buf_str(&reply), STR("results"));
    while (raw_next(&list, &item))
        if (!str_eq(raw_get(item, STR("code")), STR("\"OK\"")))
            say(k, "the end of a lease was not taken: " STR_FMT, STR_ARG(item));
    buf_deinit(&reply);
    return WEFT_OK;
}

static int tell_all(struct weft_worker *k, const struct report *p, struct weft_error *ret_error)
{
    int r = WEFT_OK;

    if (p->results_n)
        r = tell(k, "/v1/leases:complete", &p->results, ret_error);
    if (!r && p->tokens_n)
        r = tell(k, "/v1/leases:release", &p->tokens, ret_error);
    return r;
}

/* The oldest `n` are told. Lines of an earlier process have no lease. The lock is held. */
static void delivered(struct weft_worker *k, size_t n)
{
    int r;

    for (size_t i = 0; i < n && !list_empty(&k->ended); i++) {
        struct weft_lease *lease = LIST_OF(k->ended.next, struct weft_lease, link);
        struct str token = raw_get(outbox_at(k->outbox, i), STR("token"));

        if (str_eq(str_of(lease->token.text), str_sub(token, 1, token.n - 2)))
            let_go(k, lease);
    }
    r = outbox_drop(k->outbox, n);
    pthread_cond_broadcast(&k->changed);
    if (r)
        say(k, "the outbox cannot be written: %s", strerror(-r));
}

/* What the server will never take is told as a failure, so that the task does not run for ever in
 * its eyes. The lock is held. */
static void tell_otherwise(struct weft_worker *k, const struct weft_error *why)
{
    struct str line = outbox_at(k->outbox, 0);
    struct weft_id token;
    struct buf fresh;

    weft_get_text(line, "token", token.text, sizeof(token.text));
    buf_init(&fresh, OUTBOX_LINE_BYTES_MAX);
    weft_end_line(&(struct weft_end){.token = token.text,
                                     .outcome = "failed",
                                     .error_code = "result_refused",
                                     .error_text = why->text},
                  &fresh, NULL);
    outbox_replace(k->outbox, buf_str(&fresh));
    buf_deinit(&fresh);
}

/* Whether it is the report's own fault; else it may be told later: who is locked out today may have
 * a right tomorrow. */
static bool is_bad(const struct weft_error *e)
{
    return strcmp(e->code, "invalid_argument") == 0 || strcmp(e->code, "too_large") == 0;
}

struct reporter {
    unsigned failures;
    size_t alone;   /* so many are told one by one: one of them was refused */
    bool otherwise; /* the oldest was refused once, and is told as a failure */
    int64_t at;     /* not before */
};

/* How a report came out. The lock is held. */
static void reported(struct weft_worker *k, struct reporter *p, const struct report *report, int r,
                     const struct weft_error *error)
{
    if (r == WEFT_OK) {
        delivered(k, report->n);
        p->alone -= p->alone > 0;
        p->failures = 0;
        p->otherwise = false;
        return;
    }
    if (r == WEFT_UNAVAILABLE || !is_bad(error)) {
        if (p->failures++ == 0)
            say(k, "ends are kept and told later: %s", error->text);
        k->news = false;
        p->at = in_ms(asker_pause_ms(k->client->asker, p->failures, error->retry_after_ms));
        return;
    }
    say(k, "the server refused a report: %s", error->text);
    if (report->n > 1) {
        p->alone = report->n;
    } else if (!p->otherwise) {
        tell_otherwise(k, error);
        p->otherwise = true;
    } else {
        delivered(k, 1);
        p->alone -= p->alone > 0;
        p->otherwise = false;
    }
}

static void report_once(struct weft_worker *k, struct reporter *p)
{
    struct weft_error error;
    struct report report;
    int r;

    gather(k, p->alone ? 1 : REPORT_ITEMS_MAX, &report);
    unlock(k);
    r = tell_all(k, &report, &error);
    lock(k);
    reported(k, p, &report, r, &error);
    report_deinit(&report);
}

static void *report_for_ever(void *context)
{
    struct weft_worker *k = context;
    struct reporter p = {0};

    lock(k);
    for (;;) {
        bool waits = clock_monotonic() < p.at && !k->news;

        if (k->closed && (waits || p.failures || !outbox_count(k->outbox)))
            break; /* what is left stays in the outbox's file, where there is one */
        if (waits)
            wait_until(k, p.at);
        else if (outbox_count(k->outbox))
            report_once(k, &p);
        else
            pthread_cond_wait(&k->changed, &k->lock);
    }
    unlock(k);
    return NULL;
}

/* Life. */

/* HOST-8hex. */
static char *instance_name(void)
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

static void free_worker(struct weft_worker *k)
{
    outbox_free(k->outbox);
    pthread_cond_destroy(&k->changed);
    pthread_mutex_destroy(&k->lock);
    pthread_mutex_destroy(&k->joining);
    free(k->name);
    free(k->labels);
    free(k);
}

static struct weft_worker *new_worker(struct weft *w, const struct weft_worker_options *o)
{
    struct weft_worker *k = memory_new(sizeof(*k));
    pthread_condattr_t attr;

    k->client = w;
    k->name = o->name ? memory_text(o->name) : instance_name();
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
    pthread_mutex_init(&k->joining, NULL);
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&k->changed, &attr);
    pthread_condattr_destroy(&attr);
    return k;
}

/* The program's signals are for the program's threads. */
static int begin_threads(struct weft_worker *k)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&k->beating, NULL, beat_for_ever, k);
    if (!r && (r = pthread_create(&k->reporting, NULL, report_for_ever, k))) {
        lock(k);
        k->closed = true;
        pthread_cond_broadcast(&k->changed);
        unlock(k);
        pthread_join(k->beating, NULL);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static void leave(struct weft_worker *k)
{
    struct weft_error error;
    struct buf path, reply;

    put_worker_path(&path, k->id, "deregister");
    if (weft_worker_ask(
            k,
            &(struct asker_call){
                .verb = "POST", .path = path.p, .body = "{}", .tries = 1, .timeout_ms = LEAVE_MS},
            &reply, &error))
        say(k, "the worker could not take its leave: %s", error.text);
    else
        buf_deinit(&reply);
    buf_deinit(&path);
}

int weft_worker_start(struct weft *w, const struct weft_worker_options *options,
                      struct weft_worker **ret, struct weft_error *ret_error)
{
    static const struct weft_worker_options none;
    const struct weft_worker_options *o = options ? options : &none;
    struct weft_worker *k;
    int r;

    asker_clear(ret_error);
    if (check_options(o, ret_error))
        return WEFT_INVALID;
    k = new_worker(w, o);
    r = outbox_new(o->outbox, &k->outbox);
    if (r)
        r = asker_refuse(ret_error, WEFT_INVALID, "outbox", "the outbox %s cannot be used: %s",
                         o->outbox, r == OUTBOX_E_BUSY ? "another process has it" : strerror(-r));
    if (!r)
        r = enrol(k, 0, ret_error);
    if (!r && begin_threads(k)) {
        leave(k);
        r = asker_refuse(ret_error, WEFT_UNAVAILABLE, "threads", "no thread can be started");
    }
    if (r)
        free_worker(k);
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
        add_line(k, lease, str_of(line));
    }
}

static bool drained(struct weft_worker *k, int64_t patience_ms)
{
    int64_t at = in_ms(patience_ms);

    while ((outbox_count(k->outbox) || !list_empty(&k->ended)) && clock_monotonic() < at)
        wait_until(k, at);
    return !outbox_count(k->outbox) && list_empty(&k->ended);
}

void weft_worker_close(struct weft_worker *worker, int64_t patience_ms)
{
    struct weft_worker *k = worker;

    if (!k)
        return;
    weft_worker_stop(k);
    lock(k);
    give_back(k);
    drained(k, patience_ms);
    k->closed = true;
    pthread_cond_broadcast(&k->changed);
    unlock(k);
    pthread_join(k->reporting, NULL);
    pthread_join(k->beating, NULL);
    leave(k);
    lock(k);
    while (!list_empty(&k->ended))
        let_go(k, LIST_OF(k->ended.next, struct weft_lease, link));
    unlock(k);
    free_worker(k);
}

int weft_worker_drain(struct weft_worker *worker, int64_t patience_ms, struct weft_error *ret_error)
{
    size_t left;
    bool all;

    asker_clear(ret_error);
    lock(worker);
    all = drained(worker, patience_ms);
    left = outbox_count(worker->outbox);
    unlock(worker);
    return all ? WEFT_OK
               : asker_refuse(ret_error, WEFT_UNAVAILABLE, "not_reported",
                              "%zu ends are not known to the server yet", left);
}

/* Work. */

/* Slots for at most `max` leases, which are taken. The lock is held. */
static size_t take_slots(struct weft_worker *k, size_t max)
{
    size_t taken = k->leases_n + k->claiming;
    size_t n = taken < k->slots ? k->slots - taken : 0;

    if (atomic_load(&k->stopping) || outbox_count(k->outbox) >= OUTBOX_MAX)
        n = 0;
    n = n < max ? n : max;
    k->claiming += n;
    return n;
}

static void hold(struct weft_worker *k, struct weft_lease **leases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        atomic_fetch_add(&leases[i]->references, 1);
        leases[i]->worker = k;
        list_add(&k->held, &leases[i]->link);
    }
    k->leases_n += n;
}

/* As weft_worker_claim(); *ret_full: there was no slot, or the worker stops. */
static int claim(struct weft_worker *k, const char *queue, size_t max, int64_t wait_ms,
                 struct weft_lease **leases, size_t *ret_n, bool *ret_full,
                 struct weft_error *error)
{
    struct weft_id id;
    size_t n;
    int r;

    *ret_n = 0;
    lock(k);
    n = take_slots(k, max);
    id = k->id;
    unlock(k);
    *ret_full = n == 0;
    if (!n)
        return WEFT_OK;
    r = weft_claim_as(k->client, queue, id.text, n, wait_ms, 0, leases, ret_n, error);
    lock(k);
    k->claiming -= n;
    if (!r)
        hold(k, leases, *ret_n);
    pthread_cond_broadcast(&k->changed);
    unlock(k);
    if (r != WEFT_REFUSED || !is_over(error))
        return r;
    again(k, id);
    asker_clear(error);
    return WEFT_OK;
}

static int check_claim(const char *queue, size_t max, int64_t wait_ms, struct weft_error *ret_error)
{
    asker_clear(ret_error);
    if (weft_queue_check(queue, ret_error))
        return WEFT_INVALID;
    if (max < 1 || max > WEFT_BATCH_MAX)
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "leases to claim: 1 to %d, not %zu", WEFT_BATCH_MAX, max);
    if (wait_ms < 0 || wait_ms > WEFT_WAIT_MS_MAX)
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "wait_ms: 0 to %d, not %" PRId64, WEFT_WAIT_MS_MAX, wait_ms);
    return WEFT_OK;
}

int weft_worker_claim(struct weft_worker *worker, const char *queue, size_t max, int64_t wait_ms,
                      struct weft_lease **leases, size_t *ret_n, struct weft_error *ret_error)
{
    struct weft_error own;
    bool full;
    int r = check_claim(queue, max, wait_ms, ret_error);

    return r ? r
             : claim(worker, queue, max, wait_ms, leases, ret_n, &full,
                     ret_error ? ret_error : &own);
}

/* Pause, or until a slot may be free, or until the worker stops. */
static void rest(struct weft_worker *k, int64_t ms, bool for_slots)
{
    int64_t at = in_ms(ms);

    lock(k);
    while (!atomic_load(&k->stopping) && clock_monotonic() < at) {
        int64_t look = in_ms(LOOK_MS);

        if (for_slots && k->leases_n + k->claiming < k->slots &&
            outbox_count(k->outbox) < OUTBOX_MAX)
            break;
        wait_until(k, at < look ? at : look);
    }
    unlock(k);
}

/* Call the handler, and end what it left. */
static void handle_one(struct weft_worker *k, struct weft_lease *lease, weft_handler *handle,
                       void *context)
{
    int r = handle(context, lease);
    struct weft_error error;
    char text[64];

    if (atomic_load(&lease->ended))
        return;
    snprintf(text, sizeof(text), "the handler returned %d", r);
    if (r == 0)
        r = weft_lease_complete(lease, NULL, 0, &error);
    else if (weft_lease_stop_asked(lease))
        r = weft_lease_cancelled(lease, NULL, &error);
    else
        r = weft_lease_fail(lease, "error", text, &error);
    if (r)
        say(k, "%s", error.text);
}

/* One round of a run: *ret_idle says that there was nothing. */
static int run_batch(struct weft_worker *k, const char *queue, const struct weft_run_options *o,
                     struct weft_lease **leases, weft_handler *handle, void *context,
                     bool *ret_idle, struct weft_error *error)
{
    size_t n;
    bool full;
    int r = claim(k, queue, o->batch, o->wait_ms, leases, &n, &full, error);

    *ret_idle = false;
    if (r)
        return r;
    if (full)
        rest(k, INT64_C(1000), true);
    *ret_idle = !full && n == 0;
    for (size_t i = 0; i < n; i++) {
        if (!atomic_load(&k->stopping))
            handle_one(k, leases[i], handle, context);
        weft_lease_free(leases[i]);
    }
    return WEFT_OK;
}

int weft_worker_run(struct weft_worker *worker, const char *queue,
                    const struct weft_run_options *options, weft_handler *handle, void *context,
                    struct weft_error *ret_error)
{
    struct weft_run_options o = options ? *options : (struct weft_run_options){0};
    struct weft_error own, *error = ret_error ? ret_error : &own;
    struct weft_lease **leases;
    unsigned failures = 0;
    int r;

    o.batch = o.batch ? o.batch : worker->slots < 10 ? worker->slots : 10;
    o.wait_ms = o.wait_ms || o.until_empty ? o.wait_ms : 5000;
    r = check_claim(queue, o.batch, o.wait_ms, error);
    if (r)
        return r;
    leases = memory_new(o.batch * sizeof(struct weft_lease *));
    while (!r && !atomic_load(&worker->stopping)) {
        bool idle;

        r = run_batch(worker, queue, &o, leases, handle, context, &idle, error);
        failures = r == WEFT_UNAVAILABLE ? failures + 1 : 0;
        if (r == WEFT_UNAVAILABLE) {
            rest(worker, asker_pause_ms(worker->client->asker, failures, error->retry_after_ms),
                 false);
            r = WEFT_OK;
        }
        if (idle && o.until_empty)
            break;
    }
    free(leases);
    if (!r)
        asker_clear(error);
    return r;
}

/* The flow template. */

static int look_at_health(struct weft_worker *k, struct weft_error *ret_error)
{
    struct weft_error error;
    char health[32], reason[1024];
    struct buf reply;
    int r = weft_worker_ask(
        k,
        &(struct asker_call){.verb = "GET", .path = "/v1/health", .tries = 1, .timeout_ms = 5000},
        &reply, &error);

    if (r)
        return asker_refuse(ret_error, WEFT_REFUSED, "unhealthy",
                            "the server is unhealthy: %.1000s", error.text);
    weft_get_text(buf_str(&reply), "health", health, sizeof(health));
    weft_get_text(buf_str(&reply), "reason", reason, sizeof(reason));
    buf_deinit(&reply);
    return strcmp(health, "unhealthy") != 0 ? WEFT_OK
                                            : asker_refuse(ret_error, WEFT_REFUSED, "unhealthy",
                                                           "the server is unhealthy: %s", reason);
}

static void sum_up(struct weft_summary *s, const struct weft_lease *lease)
{
    const char *why = lease->failure           ? lease->failure
                      : weft_lease_lost(lease) ? "the task was given to another worker"
                                               : "it was given back";
    struct buf b;

    s->processed++;
    if (lease->how == WEFT_ENDED_WELL) {
        s->succeeded++;
        return;
    }
    s->failed++;
    if (s->error_count++ >= WEFT_FLOW_ERRORS_MAX)
        return;
    s->errors[s->error_count - 1].id = lease->id;
    buf_fixed(&b, s->errors[s->error_count - 1].text, WEFT_FLOW_TEXT_BYTES);
    buf_add(&b, weft_cut(why, WEFT_FLOW_TEXT_BYTES - 1));
}

int weft_worker_flow(struct weft_worker *worker, const char *queue, size_t batch,
                     weft_handler *handle, void *context, int64_t patience_ms,
                     struct weft_summary *ret, struct weft_error *ret_error)
{
    struct weft_lease **leases;
    struct weft_error own, *error = ret_error ? ret_error : &own;
    size_t n = 0;
    bool full;
    int r = check_claim(queue, batch, 0, error);

    *ret = (struct weft_summary){0};
    if (!r)
        r = look_at_health(worker, error);
    if (r)
        return r;
    leases = memory_new(batch * sizeof(struct weft_lease *));
    r = claim(worker, queue, batch, 0, leases, &n, &full, error);
    ret->claimed = n;
    for (size_t i = 0; i < n; i++) {
        handle_one(worker, leases[i], handle, context);
        sum_up(ret, leases[i]);
        weft_lease_free(leases[i]);
    }
    free(leases);
    if (n)
        ret->success_rate_percent =
            (double)((ret->succeeded * 10000 + ret->processed / 2) / ret->processed) / 100;
    if (n)
        weft_worker_drain(worker, patience_ms, NULL);
    return r;
}
