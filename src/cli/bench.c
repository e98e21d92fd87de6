/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench: how much a running server does, as its clients see it.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "cli/format.h"
#include "cli/queue.h"
#include "cli/report.h"
#include "cli/table.h"
#include "client/load.h"

#define CALLERS_DEFAULT 64
#define COUNT_DEFAULT   20000
#define START_COUNT     250 /* at 50 a second: five seconds */
#define RATE_DEFAULT    50
#define PAYLOAD_BYTES   80 /* with its keys about 100, as in docs/performance.md */
#define FILL_CALLERS    4
#define FILL_BATCH      1000

struct bench {
    struct cli *c;
    struct load_options load;
    struct table table;
    json_t *list;
};

static const struct kind {
    const char *name;
    enum load_kind kind;
} kinds[] = {
    {"enqueue", LOAD_ENQUEUE},
    {"work",    LOAD_LIVES  },
    {"start",   LOAD_START  },
};
#define KINDS_N (sizeof(kinds) / sizeof(*kinds))

/* HOST and PORT of http://HOST:PORT. */
static int parse_server(struct cli *c, struct load_options *load)
{
    struct str url = str_of(c->options.server ? c->options.server : ""), rest;
    size_t colon = 0, slash;

    if (str_starts(url, STR("https://")))
        return cli_refuse(c, CODE_INVALID,
                          "weft bench speaks plain HTTP: give it a server as "
                          "http://127.0.0.1:7411, not %s",
                          c->options.server);
    if (!str_starts(url, STR("http://")))
        return cli_refuse(c, CODE_INVALID,
                          "weft bench needs a server: --server http://127.0.0.1:7411 (or "
                          "WEFT_SERVER); `weft up` starts one");
    rest = str_sub(url, STR("http://").n, url.n);
    if (str_find(rest, '/', &slash))
        rest = str_sub(rest, 0, slash);
    for (size_t i = 0; i < rest.n; i++)
        colon = rest.p[i] == ':' ? i : colon;
    if (!colon)
        return cli_refuse(c, CODE_INVALID, "--server names no port: %s", c->options.server);
    load->port = str_cstr(&c->arena, str_sub(rest, colon + 1, rest.n));
    rest = str_sub(rest, 0, colon);
    if (str_starts(rest, STR("[")) && str_ends(rest, STR("]")))
        rest = str_sub(rest, 1, rest.n - 2);
    load->host = str_cstr(&c->arena, rest);
    return 0;
}

static int run_load(struct bench *b, const struct load_options *o, struct load_result *ret)
{
    struct str error = {0};
    int r = load_run(&b->c->arena, o, ret, &error);

    if (r == LOAD_E_FAILED)
        return cli_refuse(b->c, CODE_UNAVAILABLE, STR_FMT, STR_ARG(error));
    if (r)
        return cli_refuse(b->c, CODE_INTERNAL, "%s", strerror(-r));
    return 0;
}

/* What is to be taken must be there; this is not measured. */
static int fill(struct bench *b, const struct load_options *o, int64_t count)
{
    struct load_options add = *o;
    struct load_result unused;

    add.kind = LOAD_ENQUEUE;
    add.callers = FILL_CALLERS;
    add.batch = FILL_BATCH;
    add.count = count;
    return run_load(b, &add, &unused);
}

/* A queue that can be waited for is there once a task has gone through it. */
static int make(struct bench *b, const struct load_options *o)
{
    struct load_options one = *o;
    struct load_result unused;
    int status = fill(b, o, 1);

    one.kind = LOAD_LIVES;
    one.callers = 1;
    one.count = 1;
    return status ? status : run_load(b, &one, &unused);
}

static void tell(struct bench *b, const char *name, const struct load_options *o,
                 const struct load_result *r)
{
    double per_s = (double)r->tasks * CLOCK_S / (double)(r->us ? r->us : 1);
    const int64_t us[] = {r->p50_us, r->p95_us, r->p99_us, r->max_us};
    struct arena *a = &b->c->arena;

    json_array_append_new(
        b->list,
        json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "kind", name, "callers",
                  (json_int_t)o->callers, "batch", (json_int_t)o->batch, "tasks",
                  (json_int_t)r->tasks, "seconds", (double)r->us / CLOCK_S, "tasks_per_s", per_s,
                  "p50_ms", (double)r->p50_us / CLOCK_MS, "p95_ms", (double)r->p95_us / CLOCK_MS,
                  "p99_ms", (double)r->p99_us / CLOCK_MS, "max_ms", (double)r->max_us / CLOCK_MS));
    table_add(&b->table, str_of(name));
    table_number(&b->table, o->callers);
    table_number(&b->table, o->batch);
    table_number(&b->table, r->tasks);
    table_number(&b->table, (int64_t)per_s);
    for (size_t i = 0; i < sizeof(us) / sizeof(*us); i++)
        table_add(&b->table, str_printf(a, "%.2f", (double)us[i] / CLOCK_MS));
}

static int measure(struct bench *b, const struct kind *kind)
{
    struct load_options o = b->load;
    struct load_result result;
    int status = 0;

    o.kind = kind->kind;
    o.queue = str_printf(&b->c->arena, "weft-bench-%s", kind->name).p;
    if (o.kind == LOAD_START)
        o.batch = 1;
    /* So many at a steady rate may take hours: only who asks for `start` alone means it. */
    if (o.kind == LOAD_START && !b->c->args_n)
        o.count = 0;
    if (!o.count)
        o.count = o.kind == LOAD_START ? START_COUNT : COUNT_DEFAULT;
    if (o.kind == LOAD_LIVES)
        status = fill(b, &o, o.count);
    if (o.kind == LOAD_START)
        status = make(b, &o);
    if (!status)
        status = run_load(b, &o, &result);
    if (!status)
        tell(b, kind->name, &o, &result);
    return status;
}

static int within(struct cli *c, const char *option, int64_t *value, int64_t otherwise, int64_t max)
{
    *value = *value ? *value : otherwise;
    if (*value <= max)
        return 0;
    return cli_refuse(c, CODE_INVALID, "--%s is at most %" PRId64, option, max);
}

static int prepare(struct bench *b)
{
    struct options *o = &b->c->options;
    int status = parse_server(b->c, &b->load);

    if (!status)
        status = within(b->c, "callers", &o->callers, CALLERS_DEFAULT, LOAD_CALLERS_MAX);
    if (!status)
        status = within(b->c, "batch", &o->batch, 1, LOAD_BATCH_MAX);
    if (!status)
        status = within(b->c, "count", &o->count, 0, LOAD_COUNT_MAX);
    if (!status)
        status = within(b->c, "rate", &o->rate, RATE_DEFAULT, LOAD_RATE_MAX);
    b->load.callers = o->callers;
    b->load.batch = o->batch;
    b->load.count = o->count;
    b->load.rate = o->rate;
    b->load.payload_bytes = PAYLOAD_BYTES;
    return status;
}

static int measure_all(struct bench *b)
{
    struct cli *c = b->c;
    bool known = !c->args_n;
    int status = 0;

    for (size_t i = 0; !status && i < KINDS_N; i++) {
        if (c->args_n && strcmp(c->args[0], kinds[i].name) != 0)
            continue;
        known = true;
        status = measure(b, &kinds[i]);
    }
    if (!known)
        return cli_refuse(c, CODE_INVALID, "there is no benchmark \"%s\"; enqueue, work or start",
                          c->args[0]);
    return status;
}

static void show(struct bench *b)
{
    struct cli *c = b->c;

    if (!cli_wants_table(c) && c->args_n) {
        cli_json(c, json_array_get(b->list, 0));
        return;
    }
    if (!cli_wants_table(c)) {
        cli_json_list(c, "results", b->list);
        return;
    }
    report_table(c, &b->table);
}

int bench_command(struct cli *c)
{
    static const char *const titles[] = {"WHAT",   "CALLERS", "BATCH",  "TASKS", "TASKS/S",
                                         "P50 MS", "P95 MS",  "P99 MS", "MAX MS"};
    struct bench b = {.c = c};
    int status = prepare(&b);

    if (status)
        return status;
    table_init(&b.table, &c->arena, titles, sizeof(titles) / sizeof(*titles));
    b.table.right = ~1u;
    b.list = json_array();
    status = measure_all(&b);
    if (!status)
        show(&b);
    json_decref(b.list);
    return status;
}
