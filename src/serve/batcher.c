/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/batcher.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/batcher_home.h"
#include "serve/batcher_state.h"

/* A deadlock or a serialisation failure is run again so often, and for so long, before it counts as
 * a lock. */
#define RERUNS_MAX  20u
#define RERUNS_US   (10 * CLOCK_S)
#define WAIT_US_MIN (10 * CLOCK_MS)
#define WAIT_US_MAX (1 * CLOCK_S)

/* What a caller is told to wait where the store is away. */
#define RETRY_US_STORE (1 * CLOCK_S)

enum code batcher_code(int fault)
{
    const struct batcher_remedy *row = batcher_run_remedy(fault);

    return row ? row->code : CODE_INTERNAL;
}

/* Batches. */

static void batch_add(struct batch *batch, struct batcher_request *q)
{
    list_add(&batch->requests, &q->link);
    batch->n++;
    batch->bytes += q->bytes;
}

static void batch_del(struct batch *batch, struct batcher_request *q)
{
    list_del(&q->link);
    batch->n--;
    batch->bytes -= q->bytes;
}

/* What waits. Under the lock. */

static bool nothing_waits(const struct batcher *b)
{
    return b->waiting_n == 0;
}

static bool late(const struct batcher_request *q, int64_t now)
{
    return q->deadline_us && q->deadline_us <= now;
}

static void take_lane(struct batcher *b, enum batcher_lane lane, struct batch *batch, size_t max)
{
    while (!list_empty(&b->waiting[lane]) && batch->n < max) {
        struct batcher_request *q = batcher_request_of(b->waiting[lane].next);

        if (batch->n && batch->bytes + q->bytes > BATCHER_BYTES_MAX)
            break;
        batcher_wait_del(b, q);
        batch_add(batch, q);
    }
}

/* Take as far as one transaction goes, and leave their share to threads that have nothing to do. */
static void take_more(struct batcher *b, struct batch *batch)
{
    size_t others = b->connections - b->busy;
    size_t max = batch->n + (b->waiting_n + others) / (others + 1);

    max = max < b->batch_max ? max : b->batch_max;
    take_lane(b, BATCHER_OWN, batch, max);
    take_lane(b, BATCHER_CALLS, batch, max);
}

/* Wait until there are requests, or the batcher stops. */
static void await_post(struct batcher *b)
{
    pthread_mutex_lock(&b->lock);
    while (nothing_waits(b) && !b->stop) {
        b->idle++;
        pthread_cond_wait(&b->posted, &b->lock);
        b->idle--;
    }
    pthread_mutex_unlock(&b->lock);
}

/* Take what waits; false where nothing does. */
static bool take(struct batcher_worker *w)
{
    struct batcher *b = w->batcher;

    pthread_mutex_lock(&b->lock);
    b->busy++;
    w->busy = true;
    atomic_store(&w->watch.alive_us, clock_monotonic());
    take_more(b, &w->batch);
    if (!w->batch.n) {
        b->busy--;
        w->busy = false;
    }
    /* There may be more than one takes, and others to take it. */
    if (!nothing_waits(b) && b->idle)
        pthread_cond_signal(&b->posted);
    pthread_mutex_unlock(&b->lock);
    w->since = clock_monotonic();
    w->wait_us = WAIT_US_MIN;
    w->tries = w->reruns = 0;
    return w->batch.n > 0;
}

/* One whose waits end by the monotonic clock. */
static void cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

static void until_in(int64_t wait_us, struct timespec *ret)
{
    clock_gettime(CLOCK_MONOTONIC, ret);
    ret->tv_nsec += wait_us % CLOCK_S * 1000;
    ret->tv_sec += wait_us / CLOCK_S + ret->tv_nsec / 1000000000;
    ret->tv_nsec %= 1000000000;
}

static bool stopped(struct batcher *b)
{
    bool stop;

    pthread_mutex_lock(&b->lock);
    stop = b->stop && nothing_waits(b);
    pthread_mutex_unlock(&b->lock);
    return stop;
}

/* Sleep, or until the batcher stops. False when it stops. */
static bool wait_a_while(struct batcher *b, int64_t wait_us)
{
    struct timespec until;
    bool go_on;

    until_in(wait_us, &until);
    pthread_mutex_lock(&b->lock);
    while (!b->stop && pthread_cond_timedwait(&b->stopped, &b->lock, &until) != ETIMEDOUT) {
    }
    go_on = !b->stop;
    pthread_mutex_unlock(&b->lock);
    return go_on;
}

/* Failures. */

/* What keeps requests from going on. */
struct obstacle {
    enum code code;
    enum remedy remedy;
    struct str text;
    int64_t now;
};

static bool patient(const struct batcher_request *q, const struct obstacle *o)
{
    if (o->remedy == REMEDY_NONE || late(q, o->now))
        return false;
    if (o->remedy == REMEDY_ROOM)
        return q->patience_us == BATCHER_FOR_EVER;
    return o->now - q->posted_us < q->patience_us;
}

/* What may pass is worth another try. */
static void answer_obstacle(struct batcher_request *q, const struct obstacle *o)
{
    batcher_answer(q, o->code, o->text);
    q->answer.retry_after_us = o->remedy == REMEDY_NONE ? 0 : RETRY_US_STORE;
}

/* Answer those that do not wait for it to pass. */
static void answer_impatient(struct batch *batch, const struct obstacle *o)
{
    struct list answered;

    list_init(&answered);
    LIST_EACH_SAFE(link, &batch->requests)
    {
        struct batcher_request *q = batcher_request_of(link);

        if (patient(q, o))
            continue;
        batch_del(batch, q);
        answer_obstacle(q, o);
        list_add(&answered, &q->link);
    }
    batcher_home_deliver(&answered);
}

/* The same for what comes while a batch goes on that takes no more. */
static void answer_impatient_waiting(struct batcher *b, const struct obstacle *o)
{
    struct list answered;

    list_init(&answered);
    pthread_mutex_lock(&b->lock);
    for (size_t lane = 0; lane < BATCHER_LANE_N; lane++)
        LIST_EACH_SAFE(link, &b->waiting[lane])
        {
            struct batcher_request *q = batcher_request_of(link);

            if (patient(q, o))
                continue;
            batcher_wait_del(b, q);
            answer_obstacle(q, o);
            list_add(&answered, &q->link);
        }
    pthread_mutex_unlock(&b->lock);
    batcher_home_deliver(&answered);
}

static void answer_rest(struct batch *batch)
{
    answer_impatient(batch,
                     &(struct obstacle){CODE_STORE_UNAVAILABLE, REMEDY_NONE, BATCHER_ENDING, 0});
}

/* Whose deadline has passed is not begun, nor what was withdrawn. */
static void answer_late(struct batcher *b, struct batch *batch)
{
    int64_t now = clock_monotonic();
    struct list answered;
    uint64_t n = 0;

    list_init(&answered);
    pthread_mutex_lock(&b->lock);
    LIST_EACH_SAFE(link, &batch->requests)
    {
        struct batcher_request *q = batcher_request_of(link);

        if (!q->is_withdrawn && !late(q, now))
            continue;
        batch_del(batch, q);
        if (q->is_withdrawn)
            batcher_answer_withdrawn(q);
        else
            batcher_answer(q, CODE_DEADLINE_EXCEEDED, STR("its deadline passed while it waited"));
        list_add(&answered, &q->link);
        n++;
    }
    b->stats.late += n;
    pthread_mutex_unlock(&b->lock);
    batcher_home_deliver(&answered);
}

static int64_t jitter(struct prng *prng, int64_t us)
{
    return us / 2 + (int64_t)prng_below(prng, (uint64_t)us / 2 + 1);
}

static struct str store_says(const struct batcher_worker *w)
{
    return w->run.store ? store_error(w->run.store) : STR("the store cannot be opened");
}

/* Answer those that do not wait. Returns how long the others do, 0 where there are none. */
static int64_t overcome(struct batcher_worker *w, int r, enum remedy remedy)
{
    const struct batcher_remedy *row = batcher_run_remedy(r);
    struct batcher *b = w->batcher;
    struct batch *batch = &w->batch;
    struct obstacle o = {
        .code = row ? row->code : CODE_INTERNAL,
        .remedy = remedy,
        .text = row ? store_says(w) : STR("weft made a mistake; its log says where"),
        .now = clock_monotonic(),
    };
    int64_t step = w->wait_us;

    if (!row)
        log_say(LOG_ERROR, "transaction_failed", LOG_NUMBER("errno", -r),
                LOG_TEXT("text", store_says(w)), LOG_TEXT("way", str_of(fault_take())));
    fault_take();
    answer_impatient(batch, &o);
    if (batch->n || w->troubled)
        batcher_trouble_begins(w, o.code, store_says(w));
    if (!batch->n)
        return 0;
    if (batch->in_doubt || batch->n >= b->batch_max)
        answer_impatient_waiting(b, &o);
    w->wait_us = step * 2 < WAIT_US_MAX ? step * 2 : WAIT_US_MAX;
    return jitter(&w->run.prng, step);
}

static void more_while_waiting(struct batcher *b, struct batch *batch)
{
    if (batch->in_doubt) /* they would be counted to a transaction that has run */
        return;
    pthread_mutex_lock(&b->lock);
    take_more(b, batch);
    pthread_mutex_unlock(&b->lock);
}

static void count(struct batcher *b, uint64_t *what)
{
    pthread_mutex_lock(&b->lock);
    ++*what;
    pthread_mutex_unlock(&b->lock);
}

/* A deadlock is no trouble yet; it is run again after a moment, which is returned. 0: it is time to
 * call it one. */
static int64_t rerun(struct batcher_worker *w)
{
    struct batcher *b = w->batcher;

    if (w->reruns == RERUNS_MAX || clock_monotonic() - w->since > RERUNS_US)
        return 0;
    log_say(LOG_INFO, "store_rerun", LOG_NUMBER("again", w->reruns + 1),
            LOG_TEXT("text", store_says(w)), LOG_TEXT("way", str_of(fault_take())));
    count(b, &b->stats.reruns);
    return jitter(&w->run.prng, WAIT_US_MIN << (w->reruns++ / 4));
}

static size_t size_class(size_t n)
{
    size_t i = 0;

    while (i + 1 < BATCHER_SIZES_N && n > (size_t)1 << i)
        i++;
    return i;
}

static void answer_all(struct batcher_worker *w)
{
    struct batcher *b = w->batcher;
    struct batch *batch = &w->batch;
    int64_t took = clock_monotonic() - w->since;
    double rate = (double)batch->n / (double)(took > 0 ? took : 1);

    pthread_mutex_lock(&b->lock);
    b->per_us = b->per_us > 0 ? b->per_us * 0.9 + rate * 0.1 : rate;
    b->stats.requests += batch->n;
    b->stats.commits++;
    b->stats.sizes[size_class(batch->n)]++;
    pthread_mutex_unlock(&b->lock);
    batcher_trouble_ends(w);
    batch->n = batch->bytes = 0;
    batcher_home_deliver(&batch->requests);
}

/* Run the batch once. Returns how long to wait before it is tried again; 0: it is answered. */
static int64_t try_batch(struct batcher_worker *w)
{
    struct batcher *b = w->batcher;
    struct batch *batch = &w->batch;
    const struct batcher_remedy *row;
    enum remedy remedy;
    int64_t wait_us = 0;
    int r;

    if (w->tries++)
        more_while_waiting(b, batch);
    if (!batch->in_doubt)
        answer_late(b, batch);
    if (!batch->n)
        return 0;
    r = batcher_run(&w->run, batch);
    if (r == 0) {
        answer_all(w);
        return 0;
    }
    row = batcher_run_remedy(r);
    remedy = row ? row->remedy : REMEDY_NONE;
    if (remedy == REMEDY_RERUN)
        wait_us = rerun(w);
    if (wait_us)
        return wait_us;
    count(b, &b->stats.faults);
    return overcome(w, r, remedy == REMEDY_RERUN ? REMEDY_ROOM : remedy);
}

static void end_batch(struct batcher_worker *w)
{
    w->batch.in_doubt = false;
    pthread_mutex_lock(&w->batcher->lock);
    w->batcher->busy--;
    w->busy = false;
    pthread_mutex_unlock(&w->batcher->lock);
}

/* One go at the batch, or at what waits. False: there is nothing; else it may be gone on with in
 * *ret_wait_us. */
static bool turn(struct batcher_worker *w, int64_t *ret_wait_us)
{
    *ret_wait_us = 0;
    if (!w->batch.n && !take(w))
        return false;
    *ret_wait_us = try_batch(w);
    if (!*ret_wait_us)
        end_batch(w);
    return true;
}

/* The batcher stops, and the store is in the way of what is left. */
static void give_up(struct batcher_worker *w)
{
    answer_rest(&w->batch);
    end_batch(w);
}

static void *work(void *context)
{
    struct batcher_worker *w = context;
    int64_t wait_us;

    do {
        await_post(w->batcher);
        while (turn(w, &wait_us))
            if (wait_us && !wait_a_while(w->batcher, wait_us))
                give_up(w);
    } while (!stopped(w->batcher));
    batcher_run_deinit(&w->run);
    return NULL;
}

bool batcher_turn(struct batcher *b, int64_t *ret_wait_us)
{
    assert(b->by_hand);
    return turn(&b->workers[0], ret_wait_us);
}

/* Life. */

/* What a thread does before it ends. */
static void finish_by_hand(struct batcher_worker *w)
{
    int64_t wait_us;

    while (turn(w, &wait_us))
        if (wait_us)
            give_up(w);
    batcher_run_deinit(&w->run);
}

void batcher_stop(struct batcher *b)
{
    for (unsigned i = 0; i < b->workers_n; i++)
        atomic_store(&b->workers[i].watch.stop_us, clock_monotonic());
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_broadcast(&b->posted);
    pthread_cond_broadcast(&b->stopped);
    pthread_mutex_unlock(&b->lock);
    if (b->by_hand && b->workers_n)
        finish_by_hand(&b->workers[0]);
    for (unsigned i = 0; i < b->workers_n && !b->by_hand; i++)
        pthread_join(b->workers[i].thread, NULL);
}

static int start(struct batcher *b, const struct batcher_options *options)
{
    struct batcher_worker *w = &b->workers[b->workers_n];
    uint64_t seed = options->seed;
    ssize_t n = seed ? (ssize_t)sizeof(seed) : getrandom(&seed, sizeof(seed), 0);
    int r = 0;

    assert(n == sizeof(seed));
    w->batcher = b;
    list_init(&w->batch.requests);
    w->run.options = options->store;
    w->run.options.url = str_copy(&b->memory, options->store.url);
    w->run.options.watch = &w->watch;
    w->run.hub = options->hub;
    w->run.ran = options->ran;
    w->run.ran_context = options->ran_context;
    prng_seed(&w->run.prng, seed);
    if (!b->by_hand)
        r = pthread_create(&w->thread, NULL, work, w);
    if (r)
        return fault(-r);
    if (!b->by_hand)
        pthread_setname_np(w->thread, options->name);
    b->workers_n++;
    return 0;
}

static size_t or_default(size_t value, size_t otherwise)
{
    return value ? value : otherwise;
}

int batcher_new(const struct batcher_options *options, struct batcher **ret)
{
    struct batcher *b = memory_new(sizeof(*b));
    int r = 0;

    b->connections = options->connections ? options->connections : 1;
    b->by_hand = options->by_hand;
    assert(b->connections <= (b->by_hand ? 1 : BATCHER_CONNECTIONS_MAX));
    b->says_trouble = options->says_trouble;
    b->batch_max = or_default(options->batch_max, BATCHER_REQUESTS_MAX);
    b->waiting_max = or_default(options->waiting_max, BATCHER_WAITING_MAX);
    b->waiting_bytes_max = or_default(options->waiting_bytes_max, BATCHER_WAITING_BYTES_MAX);
    for (size_t i = 0; i < BATCHER_LANE_N; i++)
        list_init(&b->waiting[i]);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->posted, NULL);
    cond_init(&b->stopped);
    while (!r && b->workers_n < b->connections)
        r = start(b, options);
    if (r) {
        batcher_free(b);
        return fault(r);
    }
    *ret = b;
    return 0;
}

struct batcher *batcher_free(struct batcher *b)
{
    if (!b)
        return NULL;
    if (!b->stop)
        batcher_stop(b);
    arena_deinit(&b->memory);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->posted);
    pthread_cond_destroy(&b->stopped);
    free(b);
    return NULL;
}
