/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/pool_config.h"

#include <inttypes.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/sentence.h"
#include "pool/frame.h"
#include "serve/config.h"

#define GRACE_US     (5 * CLOCK_S)
#define DAY_US       (24 * 3600 * CLOCK_S)
#define TEXT_BYTES   (1u << 20) /* of what a process is started with */
#define MEMORY_BYTES (INT64_C(1) << 50)

enum kind { KIND_COUNT, KIND_SIZE, KIND_CALLS, KIND_BYTES, KIND_DURATION };

/* The settings that are a number each. KIND_COUNT is an unsigned, KIND_SIZE a size_t, all else an
 * int64_t. */
static const struct row {
    const char *key;
    enum kind kind;
    size_t offset;
    int64_t min, max;
} rows[] = {
#define ROW(key, kind, field, min, max)                                                            \
    {                                                                                              \
        key, KIND_##kind, offsetof(struct pool_config, field), min, max                            \
    }
    ROW("size", COUNT, settings.size, 1, POOL_SIZE_MAX),
    ROW("overflow", COUNT, settings.overflow, 0, POOL_SIZE_MAX),
    ROW("start_batch", COUNT, settings.start_batch, 1, POOL_SIZE_MAX),
    ROW("in_flight", COUNT, settings.in_flight, 1, POOL_IN_FLIGHT_MAX),
    ROW("sessions", COUNT, settings.sessions, 1, POOL_SESSIONS_MAX),
    ROW("queue_max", COUNT, settings.waiting_max, 0, POOL_WAITING_MAX),
    ROW("queue_wait", DURATION, settings.queue_wait_us, 0, DAY_US),
    ROW("call", DURATION, settings.call_us, CLOCK_MS, DAY_US),
    ROW("checkout", DURATION, settings.checkout_us, 0, 365 * DAY_US),
    ROW("session_idle", DURATION, settings.session_idle_us, 0, 365 * DAY_US),
    ROW("message_max", SIZE, settings.message_bytes_max, 1024, FRAME_BYTES_MAX),
    ROW("start", DURATION, settings.start_us, 10 * CLOCK_MS, DAY_US),
    ROW("ping", DURATION, settings.ping_us, 10 * CLOCK_MS, DAY_US),
    ROW("health", DURATION, settings.health_us, 100 * CLOCK_MS, DAY_US),
    ROW("suspect", DURATION, settings.suspect_us, 10 * CLOCK_MS, DAY_US),
    ROW("overflow_idle", DURATION, settings.overflow_idle_us, 0, DAY_US),
    ROW("drain", DURATION, settings.drain_us, 0, DAY_US),
    ROW("grace", DURATION, grace_us, 0, DAY_US),
    ROW("max_calls", CALLS, settings.recycle.calls, 0, INT64_MAX),
    ROW("max_age", DURATION, settings.recycle.age_us, 0, 365 * DAY_US),
    ROW("max_memory", BYTES, settings.recycle.memory_bytes, 0, MEMORY_BYTES),
    ROW("memory_limit", BYTES, settings.memory_limit_bytes, 0, MEMORY_BYTES),
};
#define ROWS_N (sizeof(rows) / sizeof(rows[0]))

/* And those that are more. */
static const char *const others[] = {"command", "cwd", "env"};
#define OTHERS_N (sizeof(others) / sizeof(others[0]))

struct pool_reading {
    const struct pool_config_reading *r;
    struct str name;
    struct pool_config *c;
};

__attribute__((format(printf, 3, 4))) static void bad(const struct pool_reading *p,
                                                      const struct doc *at, const char *format, ...)
{
    struct buf b;
    va_list args;

    buf_init(&b, CONFIG_TEXT_BYTES_MAX);
    buf_printf(&b, "pools." STR_FMT, STR_ARG(str_sub(p->name, 0, 100)));
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    p->r->bad(p->r->context, at, str_copy(p->r->arena, buf_str(&b)));
    buf_deinit(&b);
}

/* Numbers. */

static struct str bound_text(struct arena *a, const struct row *row, int64_t v)
{
    if (row->kind == KIND_DURATION)
        return v % CLOCK_S ? str_printf(a, "%" PRId64 "ms", (int64_t)(v / CLOCK_MS))
                           : str_printf(a, "%" PRId64 "s", (int64_t)(v / CLOCK_S));
    if ((row->kind == KIND_BYTES || row->kind == KIND_SIZE) && v && v % (1 << 20) == 0)
        return str_printf(a, "%" PRId64 "MiB", v >> 20);
    return str_printf(a, "%" PRId64, v);
}

static void put(struct pool_config *c, const struct row *row, int64_t v)
{
    void *field = (char *)c + row->offset;

    if (row->kind == KIND_COUNT)
        *(unsigned *)field = (unsigned)v;
    else if (row->kind == KIND_SIZE)
        *(size_t *)field = (size_t)v;
    else
        *(int64_t *)field = v;
}

static void read_number(const struct pool_reading *p, const struct row *row, const struct doc *d)
{
    struct arena *a = p->r->arena;
    const char *what = row->kind == KIND_DURATION                          ? "a duration like 30s"
                       : row->kind == KIND_BYTES || row->kind == KIND_SIZE ? "a size like 1MiB"
                                                                           : "a whole number";
    int64_t v = 0;
    bool good = d->kind < DOC_LIST &&
                (row->kind == KIND_DURATION                          ? clock_duration(d->text, &v)
                 : row->kind >= KIND_BYTES || row->kind == KIND_SIZE ? config_bytes(d->text, &v)
                                                                     : str_int64(d->text, &v));

    if (good && v >= row->min && v <= row->max)
        put(p->c, row, v);
    else
        bad(p, d, ".%s is " STR_FMT "; it should be %s from " STR_FMT " to " STR_FMT, row->key,
            STR_ARG(d->kind < DOC_LIST ? sentence_quote(a, d->text)
                                       : str_of(doc_kind_text(d->kind))),
            what, STR_ARG(bound_text(a, row, row->min)), STR_ARG(bound_text(a, row, row->max)));
}

/* What is started. */

static bool is_text(const struct doc *d)
{
    return d->kind < DOC_LIST && d->kind != DOC_NULL && !str_find(d->text, '\0', NULL);
}

static void read_command(const struct pool_reading *p, const struct doc *d)
{
    const char **argv;
    size_t n = 0;

    if (d->kind != DOC_LIST || d->n == 0 || d->n > POOL_CONFIG_ARGS_MAX) {
        bad(p, d,
            ".command is a list of 1 to %u texts, like [python3, worker.py], not run by a shell",
            POOL_CONFIG_ARGS_MAX);
        return;
    }
    argv = ARENA_ARRAY(p->r->arena, const char *, d->n + 1);
    for (const struct doc *e = d->first; e; e = e->next) {
        if (!is_text(e))
            bad(p, e, ".command[%zu] is %s, not text", n, doc_kind_text(e->kind));
        argv[n++] = str_cstr(p->r->arena, e->text);
    }
    argv[n] = NULL;
    p->c->argv = argv;
}

static void read_env(const struct pool_reading *p, const struct doc *d)
{
    const char **env;
    size_t n = 0;

    if (d->kind != DOC_MAP || d->n > POOL_CONFIG_ENV_MAX) {
        bad(p, d, ".env is a map of at most %u texts", POOL_CONFIG_ENV_MAX);
        return;
    }
    env = ARENA_ARRAY(p->r->arena, const char *, d->n + 1);
    for (const struct doc *e = d->first; e; e = e->next) {
        if (!is_text(e) || e->again || e->key.n == 0 || str_find(e->key, '=', NULL))
            bad(p, e, ".env: a name without \"=\" has one value, a text");
        env[n++] = str_cstr(p->r->arena, str_printf(p->r->arena, STR_FMT "=" STR_FMT,
                                                    STR_ARG(e->key), STR_ARG(e->text)));
    }
    env[n] = NULL;
    p->c->env = env;
}

static void read_cwd(const struct pool_reading *p, const struct doc *d)
{
    if (!is_text(d) || d->text.n == 0 || d->text.n > CONFIG_TEXT_BYTES_MAX)
        bad(p, d, ".cwd is the path of a folder");
    else if (d->text.p[0] == '/')
        p->c->cwd = str_cstr(p->r->arena, d->text);
    else
        p->c->cwd = str_cstr(p->r->arena,
                             str_printf(p->r->arena, "%s/" STR_FMT, p->r->here, STR_ARG(d->text)));
}

static void unknown(const struct pool_reading *p, const struct doc *at, struct str key)
{
    struct sentence_nearest nearest;

    sentence_nearest_init(&nearest, key);
    for (size_t i = 0; i < ROWS_N; i++)
        sentence_nearest_try(&nearest, str_of(rows[i].key));
    for (size_t i = 0; i < OTHERS_N; i++)
        sentence_nearest_try(&nearest, str_of(others[i]));
    if (nearest.best.p)
        bad(p, at, ": a pool has no setting " STR_FMT "; did you mean " STR_FMT "?",
            STR_ARG(sentence_quote(p->r->arena, key)), STR_ARG(nearest.best));
    else
        bad(p, at, ": a pool has no setting " STR_FMT, STR_ARG(sentence_quote(p->r->arena, key)));
}

static void read_setting(const struct pool_reading *p, const struct doc *d)
{
    const struct doc at = {.line = d->key_line, .column = d->key_column};

    if (d->again) {
        bad(p, &at, "." STR_FMT " stands here a second time", STR_ARG(d->key));
        return;
    }
    for (size_t i = 0; i < ROWS_N; i++) {
        if (str_eq(d->key, str_of(rows[i].key))) {
            read_number(p, &rows[i], d);
            return;
        }
    }
    if (str_eq(d->key, STR("command")))
        read_command(p, d);
    else if (str_eq(d->key, STR("env")))
        read_env(p, d);
    else if (str_eq(d->key, STR("cwd")))
        read_cwd(p, d);
    else
        unknown(p, &at, d->key);
}

/* Names stand in paths of the API and of files. */
static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            (i == 0 || (c != '-' && c != '_' && c != '.')))
            return false;
    }
    return s.n > 0 && s.n <= POOL_NAME_BYTES_MAX;
}

static struct str command_text(struct arena *a, const struct pool_config *c)
{
    const char *const *lists[] = {c->argv, c->env};
    struct str text;
    struct buf b;

    buf_init(&b, TEXT_BYTES);
    for (size_t i = 0; i < 2; i++) {
        for (const char *const *it = lists[i]; *it; it++)
            buf_json(&b, str_of(*it));
        buf_byte(&b, '\n');
    }
    buf_json(&b, str_of(c->cwd));
    text = str_copy(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

static void read_pool(const struct pool_config_reading *r, const struct doc *d,
                      struct pool_config *ret)
{
    static const char *const nothing[] = {NULL};
    const struct doc at = {.line = d->key_line, .column = d->key_column};
    struct pool_reading p = {.r = r, .name = d->key, .c = ret};

    *ret = (struct pool_config){
        .settings = pool_default(r->cpus), .env = nothing, .cwd = r->here, .grace_us = GRACE_US};
    ret->settings.name = d->key;
    if (!is_name(d->key))
        bad(&p, &at, ": a name has 1 to %u letters, digits, \"-\", \"_\" and \".\"",
            POOL_NAME_BYTES_MAX);
    if (d->again)
        bad(&p, &at, " stands here a second time");
    if (d->kind != DOC_MAP) {
        bad(&p, d, " is a map of settings, not %s", doc_kind_text(d->kind));
        return;
    }
    for (const struct doc *e = d->first; e; e = e->next)
        read_setting(&p, e);
    if (!doc_get(d, STR("command")))
        bad(&p, &at, " has no command");
    if (ret->settings.size + ret->settings.overflow > POOL_SIZE_MAX)
        bad(&p, &at, ": size and overflow together are at most %u", POOL_SIZE_MAX);
    if (ret->argv)
        ret->command = command_text(r->arena, ret);
}

void pool_config_read(const struct pool_config_reading *r, const struct doc *pools,
                      struct pool_configs *ret)
{
    *ret = (struct pool_configs){0};
    if (pools->kind == DOC_NULL)
        return;
    if (pools->kind != DOC_MAP || pools->n > POOL_CONFIG_POOLS_MAX) {
        r->bad(r->context, pools,
               str_printf(r->arena, "pools is a map of at most %u pools by their names",
                          POOL_CONFIG_POOLS_MAX));
        return;
    }
    ret->list = ARENA_ARRAY(r->arena, struct pool_config, pools->n);
    for (const struct doc *d = pools->first; d; d = d->next)
        read_pool(r, d, &ret->list[ret->n++]);
}

size_t pool_config_processes(const struct pool_configs *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++) {
        const struct pool_settings *s = &c->list[i].settings;

        n += s->size + s->overflow + s->start_batch;
    }
    return n;
}
