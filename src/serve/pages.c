/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/pages.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "api/openapi.h"
#include "base/clock.h"
#include "base/file.h"
#include "serve/table.h"

enum { HTTP_OK = 200, HTTP_UNAVAILABLE = 503 };

/* The process runs, and its loop turns. */
static int livez(void *context, struct buf *body)
{
    (void)context;
    buf_add(body, STR("ok\n"));
    return HTTP_OK;
}

/* It takes new work, and the store takes it down. */
static int readyz(void *context, struct buf *body)
{
    struct pages *p = context;
    char text[BATCHER_TROUBLE_BYTES];
    enum code trouble = batcher_trouble(p->writer, text);

    if (p->draining) {
        buf_add(body, STR("draining\n"));
        return HTTP_UNAVAILABLE;
    }
    if (trouble != CODE_OK) {
        buf_printf(body, STR_FMT ": %s\n", STR_ARG(code_text(trouble)), text);
        return HTTP_UNAVAILABLE;
    }
    buf_add(body, STR("ready\n"));
    return HTTP_OK;
}

/* Metrics. */

static void family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(struct buf *out, const char *name, const char *type, const char *help,
                   int64_t value)
{
    family(out, name, type, help);
    buf_printf(out, "%s %" PRId64 "\n", name, value);
}

/* The second number of /proc/self/statm: pages in memory. */
static int64_t resident_bytes(void)
{
    struct arena a = {0};
    int64_t n = 0;
    struct str text, rest;
    size_t at;

    if (file_read(&a, "/proc/self/statm", 4096, &text) == 0 && str_find(text, ' ', &at)) {
        rest = str_sub(text, at + 1, text.n);
        if (str_find(rest, ' ', &at) && !str_int64(str_sub(rest, 0, at), &n))
            n = 0;
    }
    arena_deinit(&a);
    return n * sysconf(_SC_PAGESIZE);
}

static void process_metrics(const struct pages *p, struct buf *out)
{
    int64_t up_us = clock_monotonic() - p->begun_us;

    family(out, "weft_info", "gauge", "The version that runs.");
    buf_add(out, STR("weft_info{version=\"" WEFT_VERSION "\"} 1\n"));
    family(out, "weft_uptime_seconds", "gauge", "Since the server started.");
    buf_printf(out, "weft_uptime_seconds %" PRId64 ".%03" PRId64 "\n", (int64_t)(up_us / CLOCK_S),
               (int64_t)(up_us % CLOCK_S / CLOCK_MS));
    single(out, "weft_resident_bytes", "gauge", "Memory of the process.", resident_bytes());
    single(out, "weft_ready", "gauge", "1: it takes new work.", !p->draining);
}

/* One family over the stores' threads: `field` of struct batcher_stats. */
#define EACH_BATCHER(out, name, type, help, field)                                                 \
    do {                                                                                           \
        family((out), (name), (type), (help));                                                     \
        buf_printf((out),                                                                          \
                   "%s{thread=\"writer\"} %" PRIu64 "\n%s{thread=\"reader\"} %" PRIu64 "\n",       \
                   (name), (uint64_t)writer.field, (name), (uint64_t)reader.field);                \
    } while (0)

static void sizes(struct buf *out, const char *thread, const struct batcher_stats *s)
{
    const char *name = "weft_store_batch_requests";
    uint64_t n = 0;

    for (size_t i = 0; i < BATCHER_SIZES_N; i++) {
        n += s->sizes[i];
        buf_printf(out, "%s_bucket{thread=\"%s\",le=\"%u\"} %" PRIu64 "\n", name, thread, 1u << i,
                   n);
    }
    buf_printf(out, "%s_bucket{thread=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, thread, n);
    buf_printf(out, "%s_sum{thread=\"%s\"} %" PRIu64 "\n", name, thread, s->requests);
    buf_printf(out, "%s_count{thread=\"%s\"} %" PRIu64 "\n", name, thread, n);
}

static void batcher_metrics(const struct pages *p, struct buf *out)
{
    struct batcher_stats writer, reader = {0};

    batcher_stats(p->writer, &writer);
    if (p->reader != p->writer)
        batcher_stats(p->reader, &reader);
    EACH_BATCHER(out, "weft_store_waiting", "gauge", "Requests that wait for the store.", waiting);
    EACH_BATCHER(out, "weft_store_waiting_bytes", "gauge", "What they weigh.", waiting_bytes);
    EACH_BATCHER(out, "weft_store_requests_total", "counter", "Requests that were run.", requests);
    EACH_BATCHER(out, "weft_store_commits_total", "counter", "Transactions that they were run in.",
                 commits);
    EACH_BATCHER(out, "weft_store_refused_total", "counter", "Requests that found no room.",
                 refused);
    EACH_BATCHER(out, "weft_store_late_total", "counter", "Requests whose deadline passed waiting.",
                 late);
    EACH_BATCHER(out, "weft_store_reruns_total", "counter", "Transactions run again.", reruns);
    EACH_BATCHER(out, "weft_store_faults_total", "counter", "Transactions that failed.", faults);
    family(out, "weft_store_batch_requests", "histogram", "Requests of one transaction.");
    sizes(out, "writer", &writer);
    sizes(out, "reader", &reader);
}

static void dispatch_metrics(const struct pages *p, struct buf *out)
{
    static const struct {
        const char *name, *type, *help;
        enum dispatch_count what;
    } rows[] = {
        {"weft_dispatch_rounds_total",      "counter", "Looks for stages to be given out.",
         DISPATCH_ROUNDS                                                                                           },
        {"weft_dispatch_grants_total",      "counter", "Stages that a runner was called for.",
         DISPATCH_GRANTS                                                                                           },
        {"weft_dispatch_accepted_total",    "counter", "Async stages that a runner took.",
         DISPATCH_ACCEPTED                                                                                         },
        {"weft_dispatch_completed_total",   "counter",
         "Sync calls that came to an end of the attempt.",                                       DISPATCH_COMPLETED},
        {"weft_dispatch_refused_total",     "counter", "Stages that a runner did not take.",
         DISPATCH_REFUSED                                                                                          },
        {"weft_dispatch_unreachable_total", "counter", "Calls that did not reach the runner.",
         DISPATCH_UNREACHABLE                                                                                      },
        {"weft_dispatch_broken_total",      "counter", "Calls that broke after they were sent.",
         DISPATCH_BROKEN                                                                                           },
        {"weft_dispatch_bad_reports_total", "counter", "Answers that could not be taken.",
         DISPATCH_BAD_REPORTS                                                                                      },
        {"weft_dispatch_taken_back_total",  "counter", "Calls whose lease was taken back.",
         DISPATCH_TAKEN_BACK                                                                                       },
        {"weft_dispatch_cancels_total",     "counter", "Runners told to stop a stage.",
         DISPATCH_CANCELS                                                                                          },
        {"weft_dispatch_pings_total",       "counter", "Runners asked for a sign of life.",
         DISPATCH_PINGS                                                                                            },
        {"weft_dispatch_calling",           "gauge",   "Calls under way.",                       DISPATCH_CALLING  },
        {"weft_dispatch_telling",           "gauge",   "Answers on their way to the store.",     DISPATCH_TELLING  },
        {"weft_dispatch_runners",           "gauge",   "Runners called not long ago.",           DISPATCH_RUNNERS  },
        {"weft_dispatch_breakers_open",     "gauge",   "Of these, those that are left alone.",
         DISPATCH_BREAKERS_OPEN                                                                                    },
    };
    struct dispatch_stats s;

    if (!p->dispatcher)
        return;
    dispatcher_stats(p->dispatcher, &s);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        single(out, rows[i].name, rows[i].type, rows[i].help, s.n[rows[i].what]);
}

/* Pools. Their names are of letters and digits. */

struct pool_metric {
    const char *name, *type, *help;
    size_t offset; /* in struct pool_counts */
    bool wide;     /* an int64_t; else an unsigned */
};

struct pool_metric_out {
    const struct pool_metric *metric;
    struct buf *out;
};

static void pool_number(void *context, struct str name, struct pool *pool)
{
    const struct pool_metric_out *o = context;
    const struct pool_metric *m = o->metric;
    struct pool_counts counts;
    const void *field = (const char *)&counts + m->offset;

    pool_counts(pool, &counts);
    buf_printf(o->out, "%s{pool=\"" STR_FMT "\"} %" PRId64 "\n", m->name, STR_ARG(name),
               m->wide ? *(const int64_t *)field : (int64_t) * (const unsigned *)field);
}

static void pool_states(void *context, struct str name, struct pool *pool)
{
    struct pool_counts counts;

    pool_counts(pool, &counts);
    for (int s = 0; s < WORKER_STATE_N; s++)
        buf_printf(context, "weft_pool_processes{pool=\"" STR_FMT "\",state=\"" STR_FMT "\"} %u\n",
                   STR_ARG(name), STR_ARG(worker_state_text((enum worker_state)s)),
                   counts.states[s]);
}

static void pool_metrics(const struct pages *p, struct buf *out)
{
#define COUNT(name, field, help)                                                                   \
    {                                                                                              \
        name, "gauge", help, offsetof(struct pool_counts, field), false                            \
    }
#define TOTAL(name, field, help)                                                                   \
    {                                                                                              \
        name, "counter", help, offsetof(struct pool_counts, field), true                           \
    }
    static const struct pool_metric metrics[] = {
        COUNT("weft_pool_busy", busy, "Processes that have calls."),
        COUNT("weft_pool_calls", calls, "Calls in flight."),
        COUNT("weft_pool_waiting", waiting, "Calls that wait for a process."),
        COUNT("weft_pool_sessions", sessions, "Sessions."),
        TOTAL("weft_pool_answered_total", answered, "Calls that were answered."),
        TOTAL("weft_pool_failed_total", failed, "Of these, by an error of the worker."),
        TOTAL("weft_pool_late_total", late, "Replies that nobody waited for any more."),
        TOTAL("weft_pool_started_total", started, "Processes that were started."),
        TOTAL("weft_pool_lost_total", lost, "Processes that died, hung or broke the protocol."),
        TOTAL("weft_pool_recycled_total", recycled, "Processes that were replaced in time."),
    };

    if (!p->pools)
        return;
    family(out, "weft_pool_processes", "gauge", "Processes of a pool, by state.");
    pools_each(p->pools, pool_states, out);
    for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++) {
        struct pool_metric_out o = {&metrics[i], out};

        family(out, metrics[i].name, metrics[i].type, metrics[i].help);
        pools_each(p->pools, pool_number, &o);
    }
}

/* Names of queues are their users' own. */
static void label(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n') {
            buf_add(out, STR("\\n"));
            continue;
        }
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_byte(out, '\\');
        buf_byte(out, s.p[i]);
    }
}

static void store_metrics(const struct pages_seen *seen, struct buf *out)
{
    family(out, "weft_runs", "gauge", "Runs, by state.");
    for (int s = 0; s < RUN_STATE_N; s++)
        buf_printf(out, "weft_runs{state=\"" STR_FMT "\"} %" PRId64 "\n",
                   STR_ARG(run_state_text((enum run_state)s)), seen->all.runs[s]);
    family(out, "weft_workers", "gauge", "Workers that live.");
    buf_printf(out, "weft_workers %zu\n", seen->all.workers.n);
    family(out, "weft_queue_tasks", "gauge", "Tasks of queues, by state.");
    for (size_t i = 0; i < seen->queues.n; i++) {
        const struct queue_status *q = &seen->queues.list[i];

        for (int s = 0; s < TASK_STATE_N; s++) {
            buf_add(out, STR("weft_queue_tasks{queue=\""));
            label(out, q->name);
            buf_printf(out, "\",state=\"" STR_FMT "\"} %" PRId64 "\n",
                       STR_ARG(task_state_text((enum task_state)s)), q->counts[s]);
        }
    }
}

static int look(struct tx *tx, const void *request, void *reply)
{
    struct pages_seen *seen = reply;
    struct queue_page page = {.max = PAGES_QUEUES_MAX};
    int r = doctor_status(tx, NULL, &seen->all);

    (void)request;
    return r ? r : queue_list(tx, &page, &seen->queues);
}

static void looked(struct batcher_request *q)
{
    struct pages *p = q->context;

    p->looking = false;
    if (q->answer.code != CODE_OK)
        return;
    /* The answer's memory is kept; the next look gets that of the one before. */
    arena_deinit(&p->seen_arena);
    p->seen_arena = q->arena;
    q->arena = (struct arena){0};
    p->seen = ARENA_NEW(&p->seen_arena, struct pages_seen);
    *p->seen = p->reply;
}

static void look_again(struct pages *p)
{
    struct batcher_request *q = &p->look;

    if (p->looking || p->draining)
        return;
    p->looking = true;
    *q = (struct batcher_request){
        .function = look,
        .reply = &p->reply,
        .reply_size = sizeof(p->reply),
        .patience_us = BATCHER_CALL_US,
        .home = p->home,
        .done = looked,
        .context = p,
        .arena = q->arena,
    };
    batcher_post(p->reader, &q, 1);
}

static int metrics(void *context, struct buf *body)
{
    struct pages *p = context;

    process_metrics(p, body);
    batcher_metrics(p, body);
    dispatch_metrics(p, body);
    pool_metrics(p, body);
    methods_metrics(p->methods, body);
    server_metrics(p->server, body);
    if (p->seen)
        store_metrics(p->seen, body);
    look_again(p);
    return HTTP_OK;
}

#define OPENAPI_BYTES_MAX ((size_t)16 << 20)

/* It never changes while a program runs: made for the first who wants it, and kept. */
static int openapi(void *context, struct buf *body)
{
    struct pages *p = context;
    size_t n;
    const struct method *const *methods = table_methods(&n);

    if (!p->openapi.n) {
        buf_init(&p->openapi, OPENAPI_BYTES_MAX);
        openapi_write(methods, n, &p->openapi);
    }
    buf_add(body, buf_str(&p->openapi));
    return HTTP_OK;
}

const struct net_page *pages_list(struct pages *p, size_t *ret_n)
{
    const struct net_page list[PAGES_N] = {
        {"/livez",        "text/plain; charset=utf-8",                livez,   p},
        {"/readyz",       "text/plain; charset=utf-8",                readyz,  p},
        {"/metrics",      "text/plain; version=0.0.4; charset=utf-8", metrics, p},
        {"/openapi.json", "application/json",                         openapi, p},
    };

    memcpy(p->list, list, sizeof(list));
    *ret_n = PAGES_N;
    return p->list;
}

void pages_deinit(struct pages *p)
{
    buf_deinit(&p->openapi);
    arena_deinit(&p->look.arena);
    arena_deinit(&p->seen_arena);
}
