/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/batcher.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"

/* A deadlock or a serialisation failure is run again so often before it counts as a lock. */
#define RERUNS_MAX  20u
#define WAIT_US_MIN (10 * CLOCK_MS)
#define WAIT_US_MAX (1 * CLOCK_S)

struct batcher {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t posted;
    /* Under the lock. */
    struct list waiting;
    bool stop;
    enum code trouble;
    char trouble_text[BATCHER_TROUBLE_BYTES];
    /* The store thread's. */
    struct store_options options;
    struct store *store; /* one that could not be opened is kept for its error */
    bool open;
    struct tx tx;
    struct prng prng;
    struct arena arena; /* of the transaction itself, outside the requests */
    struct arena url;
};

struct batcher_home {
    uv_async_t async;
    pthread_mutex_t lock;
    struct list arrived;
};

/* Requests that share a transaction. */
struct batch {
    struct list requests;
    size_t n;
    size_t bytes;
    bool in_doubt; /* they ran, and nobody knows yet whether they were committed */
};

/* What the edge does about a fault of the store. */
enum remedy {
    REMEDY_NONE,  /* waiting does not cure it */
    REMEDY_RERUN, /* at once, with jitter */
    REMEDY_WAIT,  /* it comes back by itself: whoever has patience waits */
    REMEDY_ROOM,  /* somebody has to make room or let go: who waits for ever waits */
};

static const struct remedy_row {
    int fault;
    enum code code;
    enum remedy remedy;
} remedies[] = {
    {-EAGAIN,       CODE_STORE_LOCKED,      REMEDY_RERUN},
    {-ENOENT,       CODE_STORE_NOT_FOUND,   REMEDY_NONE },
    {-ECONNRESET,   CODE_STORE_UNAVAILABLE, REMEDY_WAIT },
    {-EHOSTUNREACH, CODE_STORE_UNAVAILABLE, REMEDY_WAIT },
    {-EBUSY,        CODE_STORE_LOCKED,      REMEDY_ROOM },
    {-ENOSPC,       CODE_STORE_FULL,        REMEDY_ROOM },
    {-EIO,          CODE_STORE_UNAVAILABLE, REMEDY_NONE },
    {-EROFS,        CODE_STORE_READ_ONLY,   REMEDY_NONE },
    {-EUCLEAN,      CODE_STORE_CORRUPT,     REMEDY_NONE },
    {-EACCES,       CODE_PERMISSION_DENIED, REMEDY_NONE },
    {-EPROTO,       CODE_STORE_NEWER,       REMEDY_NONE },
    {-EINVAL,       CODE_INVALID,           REMEDY_NONE },
};

/* NULL: a fault that is not the store's condition but somebody's bug. */
static const struct remedy_row *remedy_of(int fault)
{
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
        if (remedies[i].fault == fault)
            return &remedies[i];
    }
    return NULL;
}

enum code batcher_code(int fault)
{
    const struct remedy_row *row = remedy_of(fault);

    return row ? row->code : CODE_INTERNAL;
}

static struct batcher_request *request_of(struct list *link)
{
    return LIST_OF(link, struct batcher_request, link);
}

/* Homes. */

static void home_arrived(uv_async_t *async)
{
    struct batcher_home *h = async->data;
    struct list mine;

    list_init(&mine);
    pthread_mutex_lock(&h->lock);
    while (!list_empty(&h->arrived)) {
        struct list *link = h->arrived.next;

        list_del(link);
        list_add(&mine, link);
    }
    pthread_mutex_unlock(&h->lock);
    while (!list_empty(&mine)) {
        struct batcher_request *q = request_of(mine.next);

        list_del(&q->link);
        q->done(q);
    }
}

static void home_closed(uv_handle_t *handle)
{
    struct batcher_home *h = handle->data;

    pthread_mutex_destroy(&h->lock);
    free(h);
}

int batcher_home_new(uv_loop_t *loop, struct batcher_home **ret)
{
    struct batcher_home *h = memory_new(sizeof(*h));
    int r = uv_async_init(loop, &h->async, home_arrived);

    if (r) {
        free(h);
        return fault(r);
    }
    h->async.data = h;
    pthread_mutex_init(&h->lock, NULL);
    list_init(&h->arrived);
    *ret = h;
    return 0;
}

struct batcher_home *batcher_home_free(struct batcher_home *h)
{
    if (h) {
        assert(list_empty(&h->arrived));
        uv_close((uv_handle_t *)&h->async, home_closed);
    }
    return NULL;
}

static void deliver(struct batcher_request *q)
{
    struct batcher_home *h = q->home;
    bool first;

    if (!h) {
        q->done(q);
        return;
    }
    pthread_mutex_lock(&h->lock);
    first = list_empty(&h->arrived);
    list_add(&h->arrived, &q->link);
    /* Under the lock, so that the loop cannot have closed the handle meanwhile. */
    if (first)
        uv_async_send(&h->async);
    pthread_mutex_unlock(&h->lock);
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

/* Answer one for good. Its memory may be gone afterwards. */
static void finish(struct batch *batch, struct batcher_request *q)
{
    batch_del(batch, q);
    deliver(q);
}

static void answer_text(struct batcher_request *q, enum code code, struct str text)
{
    q->answer = (struct batcher_answer){.code = code, .text = str_copy(&q->arena, text)};
}

/* Take of what waits, as far as one transaction goes. Under the lock. */
static void take_more(struct batcher *b, struct batch *batch)
{
    while (!list_empty(&b->waiting) && batch->n < BATCHER_REQUESTS_MAX) {
        struct batcher_request *q = request_of(b->waiting.next);

        if (batch->n && batch->bytes + q->bytes > BATCHER_BYTES_MAX)
            break;
        list_del(&q->link);
        batch_add(batch, q);
    }
}

/* Wait for requests; false when the batcher stops and none is left. */
static bool take(struct batcher *b, struct batch *batch)
{
    pthread_mutex_lock(&b->lock);
    while (list_empty(&b->waiting) && !b->stop)
        pthread_cond_wait(&b->posted, &b->lock);
    take_more(b, batch);
    pthread_mutex_unlock(&b->lock);
    return batch->n > 0;
}

/* Sleep, or until the batcher stops; then take what came meanwhile, unless it would be counted to a
 * transaction that has run. False when it stops. */
static bool wait_and_take_more(struct batcher *b, struct batch *batch, int64_t wait_us)
{
    struct timespec until;
    bool go_on;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += wait_us % CLOCK_S * 1000;
    until.tv_sec += wait_us / CLOCK_S + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&b->lock);
    while (!b->stop && pthread_cond_timedwait(&b->posted, &b->lock, &until) != ETIMEDOUT) {
    }
    go_on = !b->stop;
    if (!batch->in_doubt)
        take_more(b, batch);
    pthread_mutex_unlock(&b->lock);
    return go_on;
}

static void set_trouble(struct batcher *b, enum code code, struct str text)
{
    struct buf out;
    bool changed;

    pthread_mutex_lock(&b->lock);
    changed = b->trouble != code;
    b->trouble = code;
    buf_fixed(&out, b->trouble_text, sizeof(b->trouble_text));
    buf_add(&out, str_sub(text, 0, sizeof(b->trouble_text) - 1));
    pthread_mutex_unlock(&b->lock);
    if (changed)
        log_say(LOG_DEBUG, "store_trouble", LOG_TEXT("code", code_text(code)),
                LOG_TEXT("text", text));
}

enum code batcher_trouble(struct batcher *b, char out[static BATCHER_TROUBLE_BYTES])
{
    enum code code;

    pthread_mutex_lock(&b->lock);
    code = b->trouble;
    memcpy(out, b->trouble_text, BATCHER_TROUBLE_BYTES);
    pthread_mutex_unlock(&b->lock);
    return code;
}

/* One transaction over a batch. */

enum { ATTEMPT_E_SPLIT = 1 }; /* one failed, and what it wrote has to be undone: use savepoints */

/* Damage that a row shows has its own sentence; the store knows those of its files. */
static struct str say_fault(struct tx *tx, int r)
{
    if (r == -EUCLEAN && tx->problem.code == CODE_STORE_CORRUPT)
        return tx->problem.text;
    return store_error(tx->store);
}

static void answer_refusal(struct tx *tx, struct batcher_request *q, int r)
{
    if (r == ENGINE_E_REFUSED) {
        q->answer = (struct batcher_answer){.code = tx->problem.code,
                                            .text = tx->problem.text,
                                            .details = tx->problem.details,
                                            .details_n = tx->problem.details_n};
        return;
    }
    answer_text(q, batcher_code(r),
                batcher_code(r) == CODE_INTERNAL ? STR("weft made a mistake; its log says where")
                                                 : say_fault(tx, r));
    log_say(LOG_ERROR, "request_failed", LOG_NUMBER("errno", -r),
            LOG_TEXT("text", say_fault(tx, r)), LOG_TEXT("way", str_of(fault_take())));
}

/* The store as a whole is in the way, so that no request of the batch can go on. Damage is not:
 * other pages are sound. */
static bool ends_batch(int r)
{
    return remedy_of(r) && r != -EUCLEAN && r != -EINVAL && r != -ENOENT;
}

/* Run one request. Returns 0 when it is answered, ATTEMPT_E_SPLIT, or a fault that ends the batch.
 */
static int attempt_one(struct batcher *b, struct batcher_request *q, enum tx_savepoint how,
                       bool alone)
{
    struct tx *tx = &b->tx;
    struct tx_place place;
    int64_t written;
    int r;

    arena_reset(&q->arena);
    if (q->reply)
        memset(q->reply, 0, q->reply_size);
    q->answer = (struct batcher_answer){.code = CODE_OK};
    tx->arena = &q->arena;
    tx->problem = (struct tx_problem){.code = CODE_OK};
    r = tx_mark(tx, how, &place);
    if (r)
        return fault(r);
    written = store_written(b->store);
    r = q->function(tx, q->request, q->reply);
    if (r == 0)
        return 0;
    if (r > ENGINE_E_REFUSED)
        r = fault(r); /* an outcome that somebody forgot */
    if (ends_batch(r))
        return fault(r);
    if (how == TX_SAVEPOINT) {
        int undone = tx_undo(tx, &place);

        if (undone)
            return fault(undone);
    } else if (!alone && (r < 0 || store_written(b->store) != written ||
                          tx->events_n != place.events_n || tx->tallies_n != place.tallies_n)) {
        return ATTEMPT_E_SPLIT;
    }
    answer_refusal(tx, q, r);
    return 0;
}

static int attempt_all(struct batcher *b, struct batch *batch, enum tx_savepoint how)
{
    size_t good = 0;
    int r = tx_begin(&b->tx);
    int64_t begun_us = clock_monotonic();

    if (r)
        return fault(r);
    LIST_EACH(link, &batch->requests)
    {
        request_of(link)->begun_us = begun_us;
        r = attempt_one(b, request_of(link), how, batch->n == 1);
        if (r)
            return r;
        good += request_of(link)->answer.code == CODE_OK;
    }
    b->tx.arena = &b->arena;
    if (good == 0) {
        tx_rollback(&b->tx);
        return 0;
    }
    r = tx_commit(&b->tx);
    /* On Postgres a request that was refused by a unique key has broken the transaction. */
    if (r && !ends_batch(r) && how == TX_NO_SAVEPOINT && batch->n > 1)
        return ATTEMPT_E_SPLIT;
    return r ? fault(r) : 0;
}

static int attempt(struct batcher *b, struct batch *batch)
{
    int r;

    if (!b->open) {
        b->store = store_free(b->store);
        r = store_open(&b->options, &b->store);
        if (r)
            return fault(r);
        b->open = true;
    }
    b->tx.store = b->store;
    b->tx.prng = &b->prng;
    b->tx.arena = &b->arena;
    arena_reset(&b->arena);
    r = attempt_all(b, batch, TX_NO_SAVEPOINT);
    if (r)
        tx_rollback(&b->tx);
    if (r != ATTEMPT_E_SPLIT)
        return r;
    fault_take();
    arena_reset(&b->arena);
    b->tx.arena = &b->arena;
    r = attempt_all(b, batch, TX_SAVEPOINT);
    if (r)
        tx_rollback(&b->tx);
    return r;
}

/* A commit of which nobody knows is asked about until somebody does: run again, it might take
 * effect twice, and leases that were granted would never be heard of. */
static int attempt_or_settle(struct batcher *b, struct batch *batch)
{
    int r = batch->in_doubt ? store_settle(b->store) : attempt(b, batch);

    batch->in_doubt = r && b->open && store_in_doubt(b->store);
    return r;
}

/* Answer those that do not wait for the store's condition to pass, and say which code that was. */
static enum code answer_impatient(struct batcher *b, struct batch *batch, int r, enum remedy remedy)
{
    const struct remedy_row *row = remedy_of(r);
    enum code code = row ? row->code : CODE_INTERNAL;
    struct str text = b->store ? store_error(b->store) : STR("the store cannot be opened");
    int64_t now = clock_monotonic();

    LIST_EACH_SAFE(link, &batch->requests)
    {
        struct batcher_request *q = request_of(link);
        bool patient = remedy == REMEDY_ROOM ? q->patience_us == BATCHER_FOR_EVER
                                             : now - q->posted_us < q->patience_us;

        if (remedy != REMEDY_NONE && patient)
            continue;
        arena_reset(&q->arena);
        if (row)
            answer_text(q, code, text);
        else
            answer_text(q, code, STR("weft made a mistake; its log says where"));
        finish(batch, q);
    }
    return code;
}

static void answer_rest(struct batch *batch)
{
    LIST_EACH_SAFE(link, &batch->requests)
    {
        struct batcher_request *q = request_of(link);

        arena_reset(&q->arena);
        answer_text(q, CODE_STORE_UNAVAILABLE, STR("weft is ending"));
        finish(batch, q);
    }
}

static int64_t jitter(struct prng *prng, int64_t us)
{
    return us / 2 + (int64_t)prng_below(prng, (uint64_t)us / 2 + 1);
}

/* Run a batch until every request in it is answered. */
static void run_batch(struct batcher *b, struct batch *batch)
{
    unsigned reruns = 0;
    int64_t wait_us = WAIT_US_MIN;

    while (batch->n) {
        int r = attempt_or_settle(b, batch);
        const struct remedy_row *row = remedy_of(r);
        enum remedy remedy = row ? row->remedy : REMEDY_NONE;
        enum code code;

        if (r == 0) {
            LIST_EACH_SAFE(link, &batch->requests) finish(batch, request_of(link));
            break;
        }
        if (remedy == REMEDY_RERUN && reruns < RERUNS_MAX) {
            log_say(LOG_INFO, "store_rerun", LOG_NUMBER("requests", batch->n),
                    LOG_NUMBER("again", reruns + 1),
                    LOG_TEXT("text", b->store ? store_error(b->store) : STR("")),
                    LOG_TEXT("way", str_of(fault_take())));
            wait_and_take_more(b, batch, jitter(&b->prng, WAIT_US_MIN << (reruns++ / 4)));
            continue;
        }
        if (remedy == REMEDY_RERUN)
            remedy = REMEDY_ROOM;
        if (!row)
            log_say(LOG_ERROR, "transaction_failed", LOG_NUMBER("errno", -r),
                    LOG_TEXT("way", str_of(fault_take())));
        code = answer_impatient(b, batch, r, remedy);
        if (batch->n)
            set_trouble(b, code, b->store ? store_error(b->store) : STR(""));
        fault_take();
        if (batch->n && !wait_and_take_more(b, batch, jitter(&b->prng, wait_us))) {
            answer_rest(batch);
            break;
        }
        wait_us = wait_us * 2 < WAIT_US_MAX ? wait_us * 2 : WAIT_US_MAX;
    }
    batch->in_doubt = false;
    if (b->trouble != CODE_OK)
        set_trouble(b, CODE_OK, STR(""));
}

static void *work(void *context)
{
    struct batcher *b = context;
    struct batch batch = {.n = 0};

    list_init(&batch.requests);
    while (take(b, &batch))
        run_batch(b, &batch);
    b->store = store_free(b->store);
    arena_deinit(&b->arena);
    return NULL;
}

static void destroy(struct batcher *b)
{
    arena_deinit(&b->url);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->posted);
    free(b);
}

int batcher_new(const struct batcher_options *options, struct batcher **ret)
{
    struct batcher *b = memory_new(sizeof(*b));
    pthread_condattr_t attr;
    uint64_t seed;
    ssize_t n = getrandom(&seed, sizeof(seed), 0);
    int r;

    assert(n == sizeof(seed));
    prng_seed(&b->prng, seed);
    b->options = options->store;
    b->options.url = str_copy(&b->url, options->store.url);
    list_init(&b->waiting);
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&b->posted, &attr);
    pthread_condattr_destroy(&attr);
    r = pthread_create(&b->thread, NULL, work, b);
    if (r) {
        destroy(b);
        return fault(-r);
    }
    pthread_setname_np(b->thread, options->name);
    *ret = b;
    return 0;
}

struct batcher *batcher_free(struct batcher *b)
{
    if (!b)
        return NULL;
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_signal(&b->posted);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    destroy(b);
    return NULL;
}

void batcher_post(struct batcher *b, struct batcher_request *const *list, size_t n)
{
    int64_t now = clock_monotonic();
    bool first;

    pthread_mutex_lock(&b->lock);
    assert(!b->stop);
    first = list_empty(&b->waiting);
    for (size_t i = 0; i < n; i++) {
        list[i]->posted_us = now;
        list_add(&b->waiting, &list[i]->link);
    }
    if (first)
        pthread_cond_signal(&b->posted);
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
