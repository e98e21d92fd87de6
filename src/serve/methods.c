/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/methods.h"

#include <assert.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/feed.h"
#include "serve/hub.h"
#include "serve/loop.h"
#include "serve/methods_within.h"
#include "serve/pace.h"
#include "serve/table.h"

/* Upper bounds in microseconds: what a store's commit takes, and what a long poll takes. */
static const int64_t bounds_us[] = {100,     250,     500,     1000,     2500,     5000,
                                    10000,   25000,   50000,   100000,   250000,   500000,
                                    1000000, 2500000, 5000000, 10000000, 30000000, 60000000};
#define BOUNDS_N (sizeof(bounds_us) / sizeof(bounds_us[0]))

struct count {
    uint64_t codes[CODE_N];
    uint64_t buckets[BOUNDS_N + 1];
    int64_t sum_us;
};

struct methods {
    uv_loop_t *loop;
    struct api_house house;
    struct batcher_home *home;
    struct hub_seat *seat; /* NULL: nothing waits */
    struct feeds *feeds;
    struct pace *pace;
    struct loop_handle turn;
    struct loop_handle look; /* for calls whose store is silent, while any is with it */
    bool looks;              /* it is to come */
    bool paused;             /* nothing was posted or over since it came, or before */
    size_t posted;           /* calls that are with the store */
    size_t bytes;           /* of calls that are over since memory was given back in a pause, … */
    size_t bytes_given;     /* … and so far when it was given back under way */
    int64_t failed_second;  /* of the newest line of a call that failed, … */
    unsigned failed_lines;  /* … how many it had, … */
    uint64_t failed_unsaid; /* … and how many were too many since the last line */
    struct list soon;       /* calls that have something to do in the next turn */
    struct list calls;      /* under way */
    size_t running;
    size_t long_n; /* of those: no single transaction */
    bool draining;
    unsigned handles;     /* that are not closed */
    struct count *counts; /* by row */
    size_t rows_n;
};

uv_loop_t *methods_loop(const struct methods *m)
{
    return m->loop;
}

struct batcher_home *methods_home(const struct methods *m)
{
    return m->home;
}

const struct api_house *methods_house(const struct methods *m)
{
    return &m->house;
}

struct hub_seat *methods_seat(const struct methods *m)
{
    return m->seat;
}

struct feeds *methods_feeds(const struct methods *m)
{
    return m->feeds;
}

struct pace *methods_pace(const struct methods *m)
{
    return m->pace;
}

/* Calls. */

static bool is_long(const struct rpc *rpc)
{
    return rpc->row->action->begin || rpc->row->action->work;
}

void methods_begun(struct methods *m, struct rpc *rpc)
{
    list_add(&m->calls, &rpc->running);
    m->running++;
    m->long_n += is_long(rpc);
}

bool methods_full(const struct methods *m)
{
    return m->long_n > (m->house.long_max ? m->house.long_max : METHODS_LONG_MAX);
}

void methods_soon(struct methods *m, struct rpc *rpc)
{
    if (list_empty(&m->soon))
        loop_wake(&m->turn);
    list_add(&m->soon, &rpc->link);
}

/* Lines in a second; a store that is away fails every call. */
#define FAILED_LINES_MAX 10

/* It is nobody's mistake among the callers, nor their limit of time. */
static bool is_ours(enum code code)
{
    int status = code_http(code);

    return status >= 500 && status != 504;
}

/* A call that failed without a mistake of its caller's. What is not said in its second is counted
 * in the next one's first line. */
static void tell_failed(struct methods *m, const struct call *call, int64_t took)
{
    int64_t second = clock_monotonic() / CLOCK_S;

    if (second != m->failed_second) {
        m->failed_second = second;
        m->failed_lines = 0;
    }
    if (m->failed_lines++ >= FAILED_LINES_MAX) {
        m->failed_unsaid++;
        return;
    }
    log_say(call->code == CODE_INTERNAL ? LOG_ERROR : LOG_WARNING, "call_failed",
            LOG_TEXT("method", str_of(call->method->name)), LOG_TEXT("code", code_text(call->code)),
            LOG_TEXT("text", call->text), LOG_TEXT("peer", call->peer), LOG_TEXT("id", call->id),
            LOG_TEXT("key", call->idempotency_key), LOG_NUMBER("us", took),
            LOG_NUMBER("unsaid", m->failed_unsaid));
    m->failed_unsaid = 0;
}

void methods_answered(struct methods *m, const struct rpc *rpc, const struct call *call)
{
    struct count *c = &m->counts[table_index(&rpc->row->method)];
    int64_t took = clock_monotonic() - rpc->begun_us;
    size_t i = 0;

    while (i < BOUNDS_N && took > bounds_us[i])
        i++;
    c->buckets[i]++;
    c->codes[call->code]++;
    c->sum_us += took;
    if (is_ours(call->code) && !m->draining)
        tell_failed(m, call, took);
}

/* Calls whose store is silent. */

#define LOOK_MS 500

/* How long the store is to have been silent. What asks it more than once may ask for much, and is
 * judged by the whole of its own patience. */
static bool is_silent(const struct rpc *rpc, int64_t reader_us, int64_t writer_us)
{
    if (rpc->pooled)
        return reader_us >= BATCHER_CALL_US || writer_us >= BATCHER_CALL_US;
    return (rpc->row->method.kind == METHOD_READ ? reader_us : writer_us) >= BATCHER_SILENT_US;
}

static struct rpc *waits_in_vain(struct methods *m, int64_t reader_us, int64_t writer_us)
{
    int64_t now = clock_monotonic();

    LIST_EACH(link, &m->calls)
    {
        struct rpc *rpc = LIST_OF(link, struct rpc, running);

        if (rpc->posted_us && !rpc->parted && now - rpc->posted_us >= BATCHER_CALL_US &&
            is_silent(rpc, reader_us, writer_us))
            return rpc;
    }
    return NULL;
}

/* malloc keeps what large requests took, in each thread's share of the heap. It is given back to
 * the system when there is a pause, and under way now and then. */
#define GIVE_BACK_BYTES      ((size_t)256 << 10)
#define GIVE_BACK_BYTES_BUSY ((size_t)64 << 20)

static void give_back(struct methods *m, bool pause)
{
    if (pause ? m->bytes < GIVE_BACK_BYTES : m->bytes - m->bytes_given < GIVE_BACK_BYTES_BUSY)
        return;
    /* What is under way is given back in the next pause. */
    m->bytes = pause ? 0 : m->bytes;
    m->bytes_given = m->bytes;
    malloc_trim(0);
}

/* What an answer leads to may change the list, which is looked at anew each time. */
static void look(struct loop_handle *timer)
{
    struct methods *m = LIST_OF(timer, struct methods, look);
    int64_t reader_us = batcher_silence_us(m->house.reader);
    int64_t writer_us = batcher_silence_us(m->house.writer);
    struct rpc *rpc;

    while ((reader_us >= BATCHER_SILENT_US || writer_us >= BATCHER_SILENT_US) &&
           (rpc = waits_in_vain(m, reader_us, writer_us)))
        rpc_give_up(rpc);
    give_back(m, m->posted == 0 && m->paused);
    m->looks = m->posted > 0 || !m->paused;
    m->paused = m->posted == 0;
    if (m->looks)
        loop_timer_start(&m->look, LOOK_MS);
}

/* A look is to come, and one more if nothing happens until then. */
static void look_soon(struct methods *m)
{
    m->paused = false;
    if (!m->looks)
        loop_timer_start(&m->look, LOOK_MS);
    m->looks = true;
}

void methods_posted(struct methods *m)
{
    m->posted++;
    look_soon(m);
}

void methods_unposted(struct methods *m)
{
    m->posted--;
}

/* From now on its memory is free. */
void methods_over(struct methods *m, struct rpc *rpc)
{
    list_del(&rpc->running);
    m->running--;
    m->long_n -= is_long(rpc);
    m->bytes += rpc->api.arena->bytes;
    look_soon(m);
}

bool methods_draining(const struct methods *m)
{
    return m->draining;
}

void methods_drain(struct methods *m)
{
    m->draining = true;
    LIST_EACH(link, &m->calls)
    {
        struct rpc *rpc = LIST_OF(link, struct rpc, running);

        if (rpc->on_drain && !rpc->cancelled && !rpc->ended)
            rpc->on_drain(rpc);
    }
}

static void turned(struct loop_handle *turn)
{
    struct methods *m = LIST_OF(turn, struct methods, turn);
    struct list mine;

    /* What comes meanwhile has the next turn, so that the loop is not held. */
    list_init(&mine);
    while (!list_empty(&m->soon)) {
        struct list *link = m->soon.next;

        list_del(link);
        list_add(&mine, link);
    }
    while (!list_empty(&mine)) {
        struct rpc *rpc = LIST_OF(mine.next, struct rpc, link);

        void (*soon)(struct rpc *) = rpc->soon;

        list_del(&rpc->link);
        rpc->soon = NULL;
        soon(rpc);
    }
}

void methods_start(struct methods *m, struct call *c)
{
    rpc_start(m, c);
}

static void start(void *context, struct call *c)
{
    rpc_start(context, c);
}

struct call_service methods_service(struct methods *m)
{
    struct call_service s = {.start = start, .context = m};

    s.methods = table_methods(&s.methods_n);
    return s;
}

/* Life. */

static void closed(struct methods *m)
{
    if (--m->handles)
        return;
    free(m->counts);
    free(m);
}

static void turn_closed(struct loop_handle *turn)
{
    closed(LIST_OF(turn, struct methods, turn));
}

static void look_closed(struct loop_handle *look)
{
    closed(LIST_OF(look, struct methods, look));
}

int methods_new(uv_loop_t *loop, const struct api_house *house, struct methods **ret)
{
    struct methods *m = memory_new(sizeof(*m));
    int r = batcher_home_new(loop, &m->home);

    if (!r && house->hub)
        r = hub_seat_new(house->hub, loop, &m->seat);
    if (!r)
        r = pace_new(loop, &m->pace);
    if (!r)
        r = loop_wake_init(loop, &m->turn, turned);
    if (r) {
        pace_free(m->pace);
        hub_seat_free(m->seat);
        batcher_home_free(m->home);
        free(m);
        return fault(r);
    }
    loop_timer_init(loop, &m->look, look);
    m->handles = 2;
    m->feeds = feed_all_new();
    m->loop = loop;
    m->house = *house;
    list_init(&m->soon);
    list_init(&m->calls);
    table_methods(&m->rows_n);
    m->counts = memory_new(m->rows_n * sizeof(*m->counts));
    *ret = m;
    return 0;
}

void methods_settle(struct methods *m)
{
    while (m && m->running)
        uv_run(m->loop, UV_RUN_ONCE);
    if (m)
        uv_run(m->loop, UV_RUN_NOWAIT);
}

struct methods *methods_free(struct methods *m)
{
    if (m) {
        assert(m->running == 0);
        m->home = batcher_home_free(m->home);
        m->seat = hub_seat_free(m->seat);
        m->pace = pace_free(m->pace);
        m->feeds = feed_all_free(m->feeds);
        loop_close(&m->turn, turn_closed);
        loop_close(&m->look, look_closed);
    }
    return NULL;
}

struct str methods_url(struct arena *a, struct str url)
{
    size_t scheme, colon, end, at = 0;
    struct str user;

    if (!str_starts(url, STR("postgres")) || !str_find(url, ':', &scheme))
        return url;
    /* postgres://USER:PASSWORD@HOST…; what stands behind "?" may hold a password, too. */
    if (str_find(url, '?', &end))
        url = str_sub(url, 0, end);
    for (size_t i = scheme; i < url.n; i++)
        at = url.p[i] == '@' ? i : at;
    scheme += STR("://").n;
    if (at < scheme)
        return url;
    user = str_sub(url, scheme, at - scheme);
    if (!str_find(user, ':', &colon))
        return url;
    return str_printf(a, STR_FMT STR_FMT, STR_ARG(str_sub(url, 0, scheme + colon)),
                      STR_ARG(str_sub(url, at, url.n)));
}

/* Metrics. */

static uint64_t calls(const struct count *c)
{
    uint64_t n = 0;

    for (size_t i = 0; i < CODE_N; i++)
        n += c->codes[i];
    return n;
}

static void write_seconds(struct buf *out, const char *method, const struct count *c)
{
    uint64_t n = 0;

    for (size_t i = 0; i < BOUNDS_N; i++) {
        n += c->buckets[i];
        buf_printf(out, "weft_call_seconds_bucket{method=\"%s\",le=\"%g\"} %" PRIu64 "\n", method,
                   (double)bounds_us[i] / CLOCK_S, n);
    }
    n += c->buckets[BOUNDS_N];
    buf_printf(out, "weft_call_seconds_bucket{method=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", method, n);
    buf_printf(out, "weft_call_seconds_sum{method=\"%s\"} %.6f\n", method,
               (double)c->sum_us / CLOCK_S);
    buf_printf(out, "weft_call_seconds_count{method=\"%s\"} %" PRIu64 "\n", method, n);
}

void methods_metrics(const struct methods *m, struct buf *out)
{
    const struct method *const *methods;
    size_t n;

    methods = table_methods(&n);
    buf_add(out, STR("# HELP weft_calls_total Calls that have ended, by their code.\n"
                     "# TYPE weft_calls_total counter\n"));
    for (size_t i = 0; i < n; i++) {
        for (size_t code = 0; code < CODE_N; code++) {
            if (m->counts[i].codes[code])
                buf_printf(out,
                           "weft_calls_total{method=\"%s\",code=\"" STR_FMT "\"} %" PRIu64 "\n",
                           methods[i]->name, STR_ARG(code_text((enum code)code)),
                           m->counts[i].codes[code]);
        }
    }
    buf_add(out, STR("# HELP weft_call_seconds How long calls took, waiting included.\n"
                     "# TYPE weft_call_seconds histogram\n"));
    for (size_t i = 0; i < n; i++) {
        if (calls(&m->counts[i]))
            write_seconds(out, methods[i]->name, &m->counts[i]);
    }
    buf_add(out, STR("# HELP weft_calls_running Calls under way, waiting ones included.\n"
                     "# TYPE weft_calls_running gauge\n"));
    buf_printf(out, "weft_calls_running %zu\n", m->running);
}
