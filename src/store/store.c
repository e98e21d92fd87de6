/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/memory.h"
#include "store/backend.h"

#define ERROR_BYTES_MAX 4096u
#define BACKOFF_MS_MIN  20
#define BACKOFF_MS_MAX  1000
/* How often whoever sleeps looks whether the program stops. */
#define STOP_LOOK_US (100 * CLOCK_MS)

int store_say(struct store *s, int r, const char *format, ...)
{
    va_list args;

    buf_clear(&s->error);
    if (s->place.n)
        buf_printf(&s->error, STR_FMT ": ", STR_ARG(s->place));
    va_start(args, format);
    buf_vprintf(&s->error, format, args);
    va_end(args);
    if (s->error.full) {
        buf_clear(&s->error);
        buf_add(&s->error, STR("the store failed, with a message that is too long to show"));
    }
    return r;
}

int store_ended(struct store *s, int r)
{
    if (s->state == STORE_OPEN || s->state == STORE_FAILED) {
        s->state = STORE_ENDED;
        s->ended = r;
    }
    return r;
}

void store_cell(struct store *s, struct arena *a, struct cell c)
{
    if (s->cells_n == s->cells_max) {
        s->cells_max = s->cells_max ? s->cells_max * 2 : 64;
        s->cells = memory_grow(s->cells, s->cells_max * sizeof(*s->cells));
    }
    if (c.kind == CELL_TEXT)
        c.s = str_copy(a, c.s);
    s->cells[s->cells_n++] = c;
}

static const struct backend *backend_of(struct str url)
{
    static const struct {
        struct str prefix;
        const struct backend *backend;
    } rows[] = {
        {{"sqlite:", 7},        &sqlite_backend  },
        {{"postgres://", 11},   &postgres_backend},
        {{"postgresql://", 13}, &postgres_backend},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (str_starts(url, rows[i].prefix))
            return rows[i].backend;
    return NULL;
}

#define POOLED "pooler=transaction"

static const char *pooled_at(struct str url)
{
    const char *at = url.n ? memmem(url.p, url.n, POOLED, strlen(POOLED)) : NULL;

    return at && at > url.p && (at[-1] == '?' || at[-1] == '&') ? at : NULL;
}

bool store_pooled(struct str url)
{
    return str_starts(url, STR("postgres")) && pooled_at(url);
}

/* libpq does not know the parameter, so it goes. */
static void take_pooled(struct store *s)
{
    struct str *url = &s->options.url;
    const char *at = pooled_at(*url);
    size_t before, after, end;
    char *text;

    s->pooled = store_pooled(*url);
    if (!s->pooled)
        return;
    before = (size_t)(at - url->p);
    end = before + strlen(POOLED);
    after = end < url->n && url->p[end] == '&' ? end + 1 : end;
    text = arena_alloc(&s->memory, url->n + 1);
    memcpy(text, url->p, before);
    memcpy(text + before, url->p + after, url->n - after);
    *url = (struct str){text, url->n - (after - before)};
    if (url->n && (text[url->n - 1] == '?' || text[url->n - 1] == '&'))
        text[--url->n] = '\0';
}

static struct store *store_new(const struct store_options *o, const struct backend *b)
{
    struct store *s = memory_new(b ? b->size : sizeof(struct store));

    s->backend = b;
    s->options = *o;
    s->options.url = (struct str){str_cstr(&s->memory, o->url), o->url.n};
    take_pooled(s);
    if (!o->connect_ms)
        s->options.connect_ms = STORE_CONNECT_MS;
    if (!o->lock_ms)
        s->options.lock_ms = STORE_LOCK_MS;
    if (!o->statement_ms)
        s->options.statement_ms = STORE_STATEMENT_MS;
    buf_init(&s->error, ERROR_BYTES_MAX);
    prng_seed(&s->prng, (uint64_t)clock_monotonic() ^ (uint64_t)getpid() << 32);
    return s;
}

/* Only the scheme is shown: what follows may hold a password. */
static int url_refused(struct store *s)
{
    struct str url = s->options.url;
    size_t scheme = url.n;

    if (!str_find(url, ':', &scheme) || scheme > 32)
        return store_say(s, -EINVAL,
                         "the store is no URL; write sqlite:PATH or postgres://USER@HOST/DATABASE");
    return store_say(s, -EINVAL,
                     "the store \"" STR_FMT ":…\" is of no kind that weft knows; write sqlite:PATH "
                     "or postgres://USER@HOST/DATABASE",
                     (int)scheme, url.p);
}

/* A sign of life, for whoever watches. */
static void alive(struct store *s)
{
    if (s->options.watch)
        atomic_store_explicit(&s->options.watch->alive_us, clock_monotonic(), memory_order_relaxed);
}

bool store_stopped(const struct store *s, int64_t grace_ms)
{
    int64_t stop_us = s->options.watch ? atomic_load(&s->options.watch->stop_us) : 0;

    return stop_us && clock_monotonic() >= stop_us + grace_ms * CLOCK_MS;
}

static void sleep_us(int64_t us)
{
    struct timespec t = {.tv_sec = us / CLOCK_S, .tv_nsec = us % CLOCK_S * 1000};

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
        continue;
}

/* Half of the step at least and all of it at most: many programs that lost one server must not come
 * back in step. */
bool store_back_off(struct store *s, int64_t *step_ms, int64_t deadline)
{
    int64_t step_us, wait, left = deadline - clock_monotonic();

    if (left <= 0)
        return false;
    *step_ms = *step_ms ? *step_ms * 2 : BACKOFF_MS_MIN;
    if (*step_ms > BACKOFF_MS_MAX)
        *step_ms = BACKOFF_MS_MAX;
    step_us = *step_ms * CLOCK_MS;
    wait = step_us / 2 + (int64_t)prng_below(&s->prng, (uint64_t)step_us / 2 + 1);
    wait = wait < left ? wait : left;
    while (wait > 0 && !store_stopped(s, 0)) {
        int64_t piece = wait < STOP_LOOK_US ? wait : STOP_LOOK_US;

        sleep_us(piece);
        wait -= piece;
    }
    /* A try without time would say that nobody answered, in place of what was answered before. */
    return clock_monotonic() < deadline && !store_stopped(s, 0);
}

static int bring_up_once(struct store *s, int64_t deadline)
{
    int r = s->backend->connect(s, deadline);

    if (!r)
        r = migrate_forward(s);
    if (!r)
        r = s->backend->prepare(s);
    s->ready = !r;
    return r;
}

/* Connect, migrate and prepare; what may pass by itself is tried again until the deadline. */
static int bring_up(struct store *s, int64_t deadline)
{
    int64_t step_ms = 0;

    for (;;) {
        int r = bring_up_once(s, deadline);

        if (r != -EHOSTUNREACH && r != -ECONNRESET && r != -EAGAIN)
            return r;
        if (!store_back_off(s, &step_ms, deadline))
            return r == -EAGAIN ? -EBUSY : -EHOSTUNREACH;
        fault_take(); /* of these tries the last one is told */
    }
}

int store_open(const struct store_options *options, struct store **ret_store)
{
    size_t at;
    bool nul = str_find(options->url, '\0', &at);
    const struct backend *b = nul ? NULL : backend_of(options->url);
    struct store *s = store_new(options, b);
    int r;

    *ret_store = s;
    if (!b)
        return fault(url_refused(s));
    r = bring_up(s, clock_monotonic() + s->options.connect_ms * CLOCK_MS);
    return r ? fault(r) : 0;
}

struct store *store_free(struct store *s)
{
    if (!s)
        return NULL;
    if (s->backend)
        s->backend->close(s);
    buf_deinit(&s->error);
    arena_deinit(&s->memory);
    free(s->cells);
    free(s);
    return NULL;
}

struct str store_error(const struct store *s)
{
    return buf_str(&s->error);
}

enum store_backend store_backend(const struct store *s)
{
    return s->backend->kind;
}

int store_schema_version(const struct store *s)
{
    return s->version;
}

int store_schema_newest(enum store_backend b)
{
    return (int)(b == STORE_SQLITE ? migrations_sqlite_n : migrations_postgres_n);
}

/* A fault that was asked for. */
static int made(struct store *s, int (*what)(void *context))
{
    int r = what ? what(s->options.faults->context) : 0;

    return r ? store_say(s, r, "a fault that was asked for: %s", strerror(-r)) : 0;
}

int store_begin(struct store *s, int64_t *ret_now)
{
    int64_t deadline = clock_monotonic() + s->options.connect_ms * CLOCK_MS;
    int64_t now = 0;
    int r;

    assert(s->state == STORE_IDLE || s->state == STORE_ENDED);
    alive(s);
    s->state = STORE_IDLE;
    s->marked = s->in_doubt = s->made_doubt = false;
    s->written = 0;
    r = s->options.faults ? made(s, s->options.faults->begin) : 0;
    if (r)
        return fault(r);
    do {
        r = s->ready ? 0 : bring_up(s, deadline);
        if (r)
            return fault(r);
        /* A connection that died while it was idle is noticed only here, and nothing is lost with
         * it. */
        r = s->backend->begin(s, &now);
    } while (r == -ECONNRESET && clock_monotonic() < deadline);
    if (r)
        return fault(r);
    s->state = STORE_OPEN;
    s->until = s->options.transaction_ms ? clock_monotonic() + s->options.transaction_ms * CLOCK_MS
                                         : INT64_MAX;
    s->now = now > s->now ? now : s->now;
    if (ret_now)
        *ret_now = s->now;
    return 0;
}

/* A commit with faults: one that is said not to have taken place is rolled back. */
static int commit_made(struct store *s)
{
    const struct store_faults *f = s->options.faults;
    bool done = false;
    int made = f->commit(f->context, &done), r = 0;

    if (!made || (made == -EHOSTUNREACH && done))
        r = s->backend->commit(s);
    else
        s->backend->rollback(s);
    if (!made || r)
        return r;
    s->made_doubt = made == -EHOSTUNREACH;
    s->made_done = done;
    return store_say(s, made, "a fault that was asked for: %s", strerror(-made));
}

static int settle_made(struct store *s)
{
    int r = made(s, s->options.faults->settle);

    if (r)
        return -EHOSTUNREACH;
    return s->made_done ? 0 : store_say(s, -ECONNRESET, "the commit did not take place");
}

int store_commit(struct store *s)
{
    enum store_state state = s->state;
    int r;

    assert(state != STORE_IDLE);
    alive(s);
    s->state = STORE_IDLE;
    if (state == STORE_ENDED)
        return fault(s->ended);
    if (state == STORE_FAILED) {
        s->backend->rollback(s);
        return fault(store_say(s, -EBADMSG,
                               "a transaction was to be committed after a statement "
                               "of it had failed; it is rolled back"));
    }
    r = s->options.faults ? commit_made(s) : s->backend->commit(s);
    s->in_doubt = r == -EHOSTUNREACH;
    return r ? fault(r) : 0;
}

bool store_in_doubt(const struct store *s)
{
    return s->in_doubt;
}

int store_settle(struct store *s)
{
    int r;

    assert(s->in_doubt && s->state == STORE_IDLE);
    alive(s);
    r = s->made_doubt ? settle_made(s) : s->backend->settle(s);
    s->in_doubt = r == -EHOSTUNREACH;
    return r ? fault(r) : 0;
}

void store_rollback(struct store *s)
{
    if (s->state == STORE_OPEN || s->state == STORE_FAILED)
        s->backend->rollback(s);
    s->state = STORE_IDLE;
}

/* What a failure leaves of the transaction: a deadlock or a lost connection has ended it, all else
 * can be undone. */
static int failed(struct store *s, int r)
{
    if (s->state != STORE_OPEN && s->state != STORE_FAILED)
        return r;
    if (r == -EAGAIN)
        s->backend->rollback(s);
    if (r == -EAGAIN || r == -ECONNRESET)
        return store_ended(s, r);
    s->state = STORE_FAILED;
    return r;
}

int store_mark(struct store *s)
{
    int r;

    assert(s->state != STORE_IDLE);
    if (s->state == STORE_ENDED)
        return fault(s->ended);
    assert(s->state == STORE_OPEN);
    r = s->backend->mark(s);
    if (r)
        return fault(failed(s, r));
    s->marked = true;
    s->written_at_mark = s->written;
    return 0;
}

int store_undo(struct store *s)
{
    int r;

    assert(s->state != STORE_IDLE);
    if (s->state == STORE_ENDED)
        return fault(s->ended);
    assert(s->marked);
    r = s->backend->undo(s);
    if (r)
        return fault(failed(s, r));
    s->state = STORE_OPEN;
    s->written = s->written_at_mark;
    return 0;
}

int64_t store_written(const struct store *s)
{
    return s->written;
}

int store_ids(struct store *s, size_t n, int64_t *ret_ids)
{
    int r;

    assert(s->options.mode == STORE_WRITE && s->state != STORE_IDLE);
    alive(s);
    if (s->state == STORE_ENDED)
        return fault(s->ended);
    assert(s->state == STORE_OPEN);
    r = n ? s->backend->ids(s, n, ret_ids) : 0;
    return r ? fault(failed(s, r)) : 0;
}

/* Postgres refuses such texts and SQLite would keep them; here both are alike, and the sentence
 * names the statement. */
static int text_refused(struct store *s, enum statement_id id, const struct cell *params, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct cell *c = &params[i];
        size_t at;

        if (c->kind != CELL_TEXT || c->s.n == 0)
            continue;
        if (memchr(c->s.p, '\0', c->s.n))
            return store_say(s, -EBADMSG, "statement %s: parameter %zu holds a NUL byte",
                             s->backend->statements[id].name, i % s->shapes[id].params + 1);
        if (!str_utf8(c->s, &at))
            return store_say(s, -EBADMSG, "statement %s: parameter %zu is not UTF-8 at byte %zu",
                             s->backend->statements[id].name, i % s->shapes[id].params + 1, at);
    }
    return 0;
}

/* The rows move from the scratch cells into the caller's arena. */
static void rows_take(struct store *s, struct arena *a, size_t columns, struct rows *ret)
{
    if (!a)
        return;
    ret->columns = columns;
    ret->n = columns ? s->cells_n / columns : 0;
    ret->cells = ARENA_ARRAY(a, struct cell, s->cells_n);
    if (s->cells_n)
        memcpy(ret->cells, s->cells, s->cells_n * sizeof(*s->cells));
}

/* The time of the whole transaction, whose statements may each be quick. */
static int over_time(struct store *s)
{
    if (s->until == INT64_MAX || clock_monotonic() <= s->until)
        return 0;
    return store_say(s, -EAGAIN,
                     "the transaction took longer than transaction_ms = %" PRId64
                     " ms; it is rolled back",
                     s->options.transaction_ms);
}

/* What must hold before a statement runs. */
static int run_check(struct store *s, enum statement_id id, const struct cell *params, size_t sets)
{
    int r;

    assert(s->state != STORE_IDLE && id < STMT_N);
    alive(s);
    assert(s->backend->statements[id].many || sets == 1);
    if (s->state == STORE_ENDED)
        return fault(s->ended);
    if (s->state == STORE_FAILED)
        return fault(store_say(s, -EBADMSG,
                               "statement %s: the one before it failed, which must "
                               "be undone or rolled back first",
                               s->backend->statements[id].name));
    r = over_time(s);
    if (!r && s->options.faults)
        r = made(s, s->options.faults->statement);
    if (!r && s->backend->need)
        r = s->backend->need(s, id);
    if (!r)
        r = text_refused(s, id, params, sets * s->shapes[id].params);
    return r ? fault(failed(s, r)) : 0;
}

int store_run(struct store *s, enum statement_id id, struct arena *a, const struct cell *params,
              size_t sets, struct rows *ret)
{
    struct rows rows = {0};
    int r = run_check(s, id, params, sets);

    assert(a || !ret);
    if (r)
        return fault(r);
    s->cells_n = 0;
    if (sets)
        r = s->backend->run(s, id, params, sets, ret ? a : NULL, &rows);
    if (r > 0)
        s->state = STORE_FAILED;
    if (r)
        return r > 0 ? r : fault(failed(s, r));
    s->written += rows.changed;
    rows_take(s, ret ? a : NULL, s->shapes[id].columns, &rows);
    if (ret)
        *ret = rows;
    return 0;
}

void store_keep(struct store *s, const struct store_ask *ask, struct arena *a, int64_t changed)
{
    struct rows rows = {.changed = changed};

    s->written += changed;
    rows_take(s, ask->ret ? a : NULL, s->shapes[ask->id].columns, &rows);
    if (ask->ret)
        *ask->ret = rows;
    s->cells_n = 0;
}

/* Where a round trip costs nothing. */
static int ask_one(struct store *s, struct arena *a, const struct store_ask *ask)
{
    int r;

    if (ask->ret_ids)
        return store_ids(s, ask->sets, ask->ret_ids);
    r = store_run(s, ask->id, a, ask->params, ask->sets, ask->ret);
    if (r > 0)
        r = store_say(s, -EBADMSG, "statement %s: a unique key exists already",
                      s->backend->statements[ask->id].name);
    return r ? fault(r) : 0;
}

int store_ask(struct store *s, struct arena *a, const struct store_ask *asks, size_t n)
{
    struct store_ask list[STORE_ASK_MAX];
    size_t kept = 0;
    int r = 0;

    assert(n <= STORE_ASK_MAX);
    for (size_t i = 0; !r && i < n; i++) {
        if (asks[i].ret)
            *asks[i].ret = (struct rows){0};
        if (asks[i].sets == 0)
            continue;
        if (!s->backend->ask)
            r = ask_one(s, a, &asks[i]);
        else if (!asks[i].ret_ids)
            r = run_check(s, asks[i].id, asks[i].params, asks[i].sets);
        list[kept++] = asks[i];
    }
    if (r || kept == 0 || !s->backend->ask)
        return r ? fault(r) : 0;
    assert(s->state == STORE_OPEN || s->state == STORE_ENDED);
    if (s->state == STORE_ENDED)
        return fault(s->ended);
    s->cells_n = 0;
    r = s->backend->ask(s, list, kept, a);
    if (r > 0)
        r = store_say(s, -EBADMSG, "statement %s: a unique key exists already",
                      s->backend->statements[list[kept - 1].id].name);
    return r ? fault(failed(s, r)) : 0;
}

int store_put(struct store *s, enum statement_id id, const struct cell *params, size_t sets)
{
    struct rows rows = {0};
    int r = run_check(s, id, params, sets);

    if (r)
        return fault(r);
    if (!sets)
        return 0;
    if (s->backend->put)
        r = s->backend->put(s, id, params, sets);
    else
        r = s->backend->run(s, id, params, sets, NULL, &rows);
    if (r > 0)
        r = store_say(s, -EBADMSG, "statement %s: a unique key exists already",
                      s->backend->statements[id].name);
    if (r)
        return fault(failed(s, r));
    s->written += (int64_t)sets;
    return 0;
}
