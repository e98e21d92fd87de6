/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/sentence.h"
#include "net/limits.h"
#include "serve/methods.h"
#include "work/executor.h"

enum kind {
    KIND_TEXT,
    KIND_ADDRESS,
    KIND_PATH,
    KIND_STORE,
    KIND_COUNT,
    KIND_BYTES,
    KIND_DURATION,
    KIND_CHOICE
};

static const struct str levels[] = {
    [LOG_DEBUG] = {"debug",   5},
    [LOG_INFO] = {"info",    4},
    [LOG_WARNING] = {"warning", 7},
    [LOG_ERROR] = {"error",   5},
};
static const struct str formats[] = {
    [LOG_PLAIN] = {"plain", 5},
    [LOG_JSON] = {"json",  4},
};

enum reload { RESTART, RELOAD };

struct row {
    const char *key;
    const char *variable;
    enum kind kind;
    size_t offset;        /* of its field: a struct str, else an int64_t */
    const char *fallback; /* as it would stand in the file; NULL: worked out at the start */
    int64_t min, max;     /* of what is a number: microseconds, bytes */
    const struct str *choices;
    size_t choices_n;
    enum reload reload;
    const char *help;
};

#define COMMON(key_, variable_, kind_, field, fallback_, reload_, help_)                           \
    .key = (key_), .variable = (variable_), .kind = KIND_##kind_,                                  \
    .offset = offsetof(struct config, field), .fallback = (fallback_), .reload = (reload_),        \
    .help = (help_)
#define TEXT_ROW(name, key, variable, kind, field, fallback, help)                                 \
    [name] = {COMMON(key, variable, kind, field, fallback, RESTART, help)}
#define NUMBER_ROW(name, key, variable, kind, field, fallback, reload, least, most, help)          \
    [name] = {COMMON(key, variable, kind, field, fallback, reload, help), .min = (least),          \
              .max = (most)}
#define CHOICE_ROW(name, key, variable, field, fallback, reload, list, help)                       \
    [name] = {COMMON(key, variable, CHOICE, field, fallback, reload, help), .choices = (list),     \
              .choices_n = sizeof(list) / sizeof(*(list))}

/* A number as the file would have it. */
#define TEXT_OF_(number) #number
#define TEXT_OF(number)  TEXT_OF_(number)

static const struct row rows[CONFIG_N] = {
    TEXT_ROW(CONFIG_LISTEN, "listen", "WEFT_LISTEN", ADDRESS, listen, "127.0.0.1:7411",
             "address for HTTP and gRPC; port 0 takes a free one"),
    TEXT_ROW(CONFIG_GRPC, "grpc", "WEFT_GRPC", ADDRESS, grpc, "",
             "a second address, for those who want gRPC on a port of its own"),
    TEXT_ROW(CONFIG_HOST, "host", "WEFT_HOST", TEXT, host, "",
             "the name of a proxy before a server of this machine alone, which otherwise takes "
             "requests for localhost and addresses only"),
    TEXT_ROW(
        CONFIG_STORE, "store", "WEFT_STORE", STORE, store, NULL,
        "sqlite:PATH or postgres://…, with ?pooler=transaction behind pgbouncer's transactions; "
        "default sqlite:DATA/weft.db"),
    TEXT_ROW(CONFIG_STORE_DIRECT, "store_direct", "WEFT_STORE_DIRECT", STORE, store_direct, NULL,
             "where store is a pooler (pgbouncer): the Postgres behind it, which tells of news"),
    TEXT_ROW(CONFIG_DATA, "data", "WEFT_DATA", PATH, data, ".weft",
             "the folder of the store and the logs"),
    NUMBER_ROW(
        CONFIG_SLOTS, "slots", "WEFT_SLOTS", COUNT, slots, NULL, RESTART, 0, EXECUTOR_SLOTS_MAX,
        "tasks of runs at once on this machine; 0: none; default: as many as there are processors"),
    NUMBER_ROW(CONFIG_DRAIN, "drain", "WEFT_DRAIN", DURATION, drain_us, "30s", RELOAD, 0,
               CLOCK_S * 86400, "how long what is under way may take after SIGTERM"),
    CHOICE_ROW(CONFIG_LOG_LEVEL, "log.level", "WEFT_LOG_LEVEL", log_level, "info", RELOAD, levels,
               "debug, info, warning or error"),
    CHOICE_ROW(CONFIG_LOG_FORMAT, "log.format", "WEFT_LOG_FORMAT", log_format, NULL, RELOAD,
               formats, "plain or json; default: plain on a terminal"),
    TEXT_ROW(CONFIG_TLS_CERT, "tls.cert", "WEFT_TLS_CERT", PATH, tls_cert, "",
             "file of the certificate chain (PEM)"),
    TEXT_ROW(CONFIG_TLS_KEY, "tls.key", "WEFT_TLS_KEY", PATH, tls_key, "",
             "file of its private key (PEM)"),
    TEXT_ROW(CONFIG_TLS_CLIENT_CA, "tls.client_ca", "WEFT_TLS_CLIENT_CA", PATH, tls_client_ca, "",
             "file of the authorities (PEM) that clients' certificates come from; each client must "
             "have one"),
    TEXT_ROW(CONFIG_CALLBACK, "callback", "WEFT_CALLBACK", ADDRESS, callback, "",
             "where runners reach this server; default: where it listens for gRPC"),
    TEXT_ROW(CONFIG_RUNNER_CA, "runner.ca", "WEFT_RUNNER_CA", PATH, runner_ca, "",
             "file of the authorities (PEM) that certificates of https:// runners come from; "
             "default: those of the machine"),
    TEXT_ROW(CONFIG_RUNNER_CERT, "runner.cert", "WEFT_RUNNER_CERT", PATH, runner_cert, "",
             "file of the certificate chain (PEM) that runners are shown"),
    TEXT_ROW(CONFIG_RUNNER_KEY, "runner.key", "WEFT_RUNNER_KEY", PATH, runner_key, "",
             "file of its private key (PEM)"),
    NUMBER_ROW(CONFIG_CONNECTIONS, "limits.connections", "WEFT_LIMITS_CONNECTIONS", COUNT,
               connections, TEXT_OF(NET_CONNECTIONS_DEFAULT), RELOAD, 1, 1000000,
               "connections at once, in all"),
    NUMBER_ROW(CONFIG_CONNECTIONS_PER_ADDRESS, "limits.connections_per_address",
               "WEFT_LIMITS_CONNECTIONS_PER_ADDRESS", COUNT, connections_per_address,
               TEXT_OF(NET_CONNECTIONS_PER_PEER_DEFAULT), RELOAD, 1, 1000000,
               "connections at once of one address"),
    NUMBER_ROW(CONFIG_REQUESTS_PER_SECOND, "limits.requests_per_second",
               "WEFT_LIMITS_REQUESTS_PER_SECOND", COUNT, requests_per_second,
               TEXT_OF(NET_REQUESTS_PER_S_DEFAULT), RELOAD, 0, 1000000000,
               "requests of one address in a second; 0: no limit"),
    NUMBER_ROW(CONFIG_HEAD, "limits.head", "WEFT_LIMITS_HEAD", BYTES, head_bytes,
               TEXT_OF(NET_HEAD_KIB_DEFAULT) "KiB", RELOAD, 1024, 1 << 20,
               "bytes of a request's line and fields"),
    NUMBER_ROW(CONFIG_BODY, "limits.body", "WEFT_LIMITS_BODY", BYTES, body_bytes,
               TEXT_OF(NET_BODY_MIB_DEFAULT) "MiB", RELOAD, 1024, 1 << 30,
               "bytes of a request; a larger workflow file needs more"),
    NUMBER_ROW(CONFIG_WAITING, "limits.waiting", "WEFT_LIMITS_WAITING", COUNT, waiting, "65536",
               RESTART, 1, 10000000,
               "requests that wait for one of the store's threads, before others are told to come "
               "again"),
    NUMBER_ROW(CONFIG_WAITING_BYTES, "limits.waiting_bytes", "WEFT_LIMITS_WAITING_BYTES", BYTES,
               waiting_bytes, "64MiB", RESTART, 1 << 20, 16LL << 30, "what they may weigh"),
    NUMBER_ROW(CONFIG_DUTIES, "duties", "WEFT_DUTIES", DURATION, duties_us, "3s", RESTART,
               100 * CLOCK_MS, 60 * CLOCK_S,
               "how often the server that looks after lost workers and time limits does so; "
               "another takes over after a bit more than three times that"),
};

struct reading {
    struct arena *a;
    const struct config_given *given;
    struct config *c;
    struct config_errors *errors;
    size_t errors_cap;
};

/* `at` NULL: it does not stand in the file. */
static void bad(struct reading *r, const struct doc *at, struct str text)
{
    struct config_errors *e = r->errors;

    if (e->n == CONFIG_ERRORS_MAX)
        return;
    ARENA_ROOM(r->a, e->list, e->n, r->errors_cap, 8);
    e->list[e->n++] =
        (struct doc_error){.line = at ? at->line : 0, .column = at ? at->column : 0, .text = text};
}

/* Values. */

bool config_address(struct arena *a, struct str text, const char **ret_host, int64_t *ret_port)
{
    size_t colon = text.n, end;

    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == ':')
            colon = i;
    if (colon == text.n || !str_int64(str_sub(text, colon + 1, text.n), ret_port) ||
        *ret_port < 0 || *ret_port > 65535)
        return false;
    end = colon;
    if (text.p[0] == '[' && colon > 2 && text.p[colon - 1] == ']') {
        text = str_sub(text, 1, text.n);
        end = colon - 2;
    } else if (str_find(str_sub(text, 0, colon), ':', NULL)) {
        return false;
    }
    if (end == 0)
        return false;
    *ret_host = str_cstr(a, str_sub(text, 0, end));
    return true;
}

bool config_bytes(struct str s, int64_t *ret)
{
    static const struct {
        const char *unit;
        int shift;
    } units[] = {
        {"KiB", 10},
        {"MiB", 20},
        {"GiB", 30},
        {"B",   0 },
    };
    int64_t n;

    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        struct str unit = str_of(units[i].unit);

        if (!str_ends(s, unit))
            continue;
        if (!str_int64(str_trim(str_sub(s, 0, s.n - unit.n)), &n) || n < 0 || n > 1 << 30)
            return false;
        *ret = n << units[i].shift;
        return true;
    }
    return str_int64(s, ret);
}

static struct str number_text(struct arena *a, const struct row *row, int64_t v)
{
    if (row->kind == KIND_DURATION)
        return v % CLOCK_S ? str_printf(a, "%lldms", (long long)(v / CLOCK_MS))
                           : str_printf(a, "%llds", (long long)(v / CLOCK_S));
    if (row->kind == KIND_BYTES && v && v % (1 << 10) == 0 && v < 1 << 20)
        return str_printf(a, "%" PRId64 "KiB", v >> 10);
    if (row->kind == KIND_BYTES && v && v % (1 << 20) == 0)
        return str_printf(a, "%" PRId64 "MiB", v >> 20);
    return str_printf(a, "%" PRId64, v);
}

static struct str choices_text(struct arena *a, const struct row *row)
{
    struct str text = row->choices[0];

    for (size_t i = 1; i < row->choices_n; i++)
        text = str_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(text),
                          i + 1 < row->choices_n ? ", " : " or ", STR_ARG(row->choices[i]));
    return text;
}

static struct str absolute(struct reading *r, struct str path)
{
    if (path.n == 0 || path.p[0] == '/')
        return path;
    return str_printf(r->a, "%s/" STR_FMT, r->given->here, STR_ARG(path));
}

/* A relative path of SQLite starts from here too, wherever the server goes later. */
static struct str absolute_store(struct reading *r, struct str url)
{
    const struct str scheme = STR("sqlite:");
    struct str path = str_sub(url, scheme.n, url.n);

    if (!str_starts(url, scheme) || path.n == 0 || path.p[0] == ':' || path.p[0] == '/')
        return url;
    return str_printf(r->a, "sqlite:" STR_FMT, STR_ARG(absolute(r, path)));
}

/* What is wrong with a text, as the end of a sentence; empty: it was taken. */
static struct str put_text(struct reading *r, const struct row *row, struct str s)
{
    struct str *field = (struct str *)(void *)((char *)r->c + row->offset);
    const char *host;
    int64_t port;

    if (s.n > CONFIG_TEXT_BYTES_MAX || str_find(s, '\0', NULL))
        return str_printf(r->a, "a text of at most %u bytes without NUL", CONFIG_TEXT_BYTES_MAX);
    if (row->kind == KIND_ADDRESS && s.n && !config_address(r->a, s, &host, &port))
        return STR("an address with a port, like 127.0.0.1:7411 or [::1]:7411");
    if (row->kind == KIND_STORE && !str_starts(s, STR("sqlite:")) &&
        !str_starts(s, STR("postgres://")) && !str_starts(s, STR("postgresql://")))
        return STR("sqlite:PATH or postgres://…");
    s = str_copy(r->a, s);
    if (row->kind == KIND_PATH)
        s = absolute(r, s);
    else if (row->kind == KIND_STORE)
        s = absolute_store(r, s);
    *field = s;
    return STR("");
}

static struct str put_choice(struct reading *r, const struct row *row, struct str s)
{
    int64_t *field = (int64_t *)(void *)((char *)r->c + row->offset);
    size_t at;

    if (!str_index(s, row->choices, row->choices_n, &at))
        return choices_text(r->a, row);
    *field = (int64_t)at;
    return STR("");
}

static struct str put_number(struct reading *r, const struct row *row, struct str s)
{
    int64_t *field = (int64_t *)(void *)((char *)r->c + row->offset);
    const char *what = row->kind == KIND_DURATION ? "a duration like 30s"
                       : row->kind == KIND_BYTES  ? "a size like 1MiB"
                                                  : "a whole number";
    int64_t v;
    bool good = row->kind == KIND_DURATION ? clock_duration(s, &v)
                : row->kind == KIND_BYTES  ? config_bytes(s, &v)
                                           : str_int64(s, &v);

    if (!good || v < row->min || v > row->max)
        return str_printf(r->a, "%s from " STR_FMT " to " STR_FMT, what,
                          STR_ARG(number_text(r->a, row, row->min)),
                          STR_ARG(number_text(r->a, row, row->max)));
    *field = v;
    return STR("");
}

static void put(struct reading *r, enum config_key key, struct str value, struct config_from from,
                const struct doc *at)
{
    const struct row *row = &rows[key];
    struct str prefix = STR("");
    struct str wrong = row->kind == KIND_CHOICE  ? put_choice(r, row, value)
                       : row->kind >= KIND_COUNT ? put_number(r, row, value)
                                                 : put_text(r, row, value);

    r->c->from[key] = from;
    if (wrong.n == 0)
        return;
    if (!at && from.where.n)
        prefix = str_printf(r->a, STR_FMT ": ", STR_ARG(from.where));
    /* The address of a store may hold a password. */
    if (row->kind == KIND_STORE)
        bad(r, at,
            str_printf(r->a, STR_FMT "%s is " STR_FMT, STR_ARG(prefix), row->key, STR_ARG(wrong)));
    else
        bad(r, at,
            str_printf(r->a, STR_FMT "%s is " STR_FMT "; it should be " STR_FMT, STR_ARG(prefix),
                       row->key, STR_ARG(sentence_quote(r->a, value)), STR_ARG(wrong)));
}

/* Sources, from the weakest. */

static void read_defaults(struct reading *r)
{
    for (int key = 0; key < CONFIG_N; key++)
        if (rows[key].fallback)
            put(r, key, str_of(rows[key].fallback), (struct config_from){.source = CONFIG_DEFAULT},
                NULL);
    r->c->slots = r->given->cpus < EXECUTOR_SLOTS_MAX ? r->given->cpus : EXECUTOR_SLOTS_MAX;
    r->c->log_format = r->given->terminal ? LOG_PLAIN : LOG_JSON;
}

static bool find_key(struct str name, enum config_key *ret)
{
    for (int key = 0; key < CONFIG_N; key++) {
        if (str_eq(str_of(rows[key].key), name)) {
            *ret = key;
            return true;
        }
    }
    return false;
}

/* "limits" of "limits.body". */
static bool is_section(struct str name)
{
    for (int key = 0; key < CONFIG_N; key++) {
        struct str full = str_of(rows[key].key);

        if (full.n > name.n && str_starts(full, name) && full.p[name.n] == '.')
            return true;
    }
    return false;
}

static struct str known(struct reading *r)
{
    struct str list = {0};

    for (int key = 0; key < CONFIG_N; key++)
        list = str_printf(r->a, STR_FMT "%s%s", STR_ARG(list),
                          !key                  ? ""
                          : key + 1 == CONFIG_N ? " and "
                                                : ", ",
                          rows[key].key);
    return list;
}

static struct str unknown(struct reading *r, struct str name)
{
    struct sentence_nearest nearest;

    sentence_nearest_init(&nearest, name);
    for (int key = 0; key < CONFIG_N; key++)
        sentence_nearest_try(&nearest, str_of(rows[key].key));
    if (nearest.best.p)
        return str_printf(r->a, "there is no setting " STR_FMT "; did you mean " STR_FMT "?",
                          STR_ARG(sentence_quote(r->a, name)), STR_ARG(nearest.best));
    return str_printf(r->a, "there is no setting " STR_FMT "; there are " STR_FMT,
                      STR_ARG(sentence_quote(r->a, name)), STR_ARG(known(r)));
}

static void bad_pool(void *context, const struct doc *at, struct str text)
{
    bad(context, at, text);
}

static void read_pools(struct reading *r, const struct doc *d)
{
    const struct pool_config_reading reading = {
        .arena = r->a,
        .here = r->given->here,
        .cpus = r->given->cpus ? r->given->cpus : 1,
        .bad = bad_pool,
        .context = r,
    };

    pool_config_read(&reading, d, &r->c->pools);
}

static void read_map(struct reading *r, const char *file, const struct doc *map, struct str section)
{
    for (const struct doc *d = map->first; d; d = d->next) {
        struct doc at = {.line = d->key_line, .column = d->key_column};
        struct str name =
            section.n ? str_printf(r->a, STR_FMT "." STR_FMT, STR_ARG(section), STR_ARG(d->key))
                      : d->key;
        struct config_from from = {CONFIG_FILE, str_printf(r->a, "%s:%u", file, d->key_line)};
        enum config_key key;

        if (d->again)
            bad(r, &at, str_printf(r->a, STR_FMT " stands here a second time", STR_ARG(name)));
        else if (str_eq(name, STR("pools")))
            read_pools(r, d);
        else if (find_key(name, &key) && d->kind < DOC_LIST)
            put(r, key, d->kind == DOC_NULL ? STR("") : d->text, from, d);
        else if (find_key(name, &key))
            bad(r, d,
                str_printf(r->a, STR_FMT " is one value, not %s", STR_ARG(name),
                           doc_kind_text(d->kind)));
        else if (is_section(name) && d->kind == DOC_MAP)
            read_map(r, file, d, name);
        else if (is_section(name))
            bad(r, d,
                str_printf(r->a, STR_FMT " is a map of settings, not %s", STR_ARG(name),
                           doc_kind_text(d->kind)));
        else
            bad(r, &at, unknown(r, name));
    }
}

/* Nothing but comments is no YAML document, and a fine file. */
static bool says_nothing(struct str text)
{
    while (text.n) {
        size_t end = text.n;
        struct str line;

        str_find(text, '\n', &end);
        line = str_trim(str_sub(text, 0, end));
        if (line.n && line.p[0] != '#')
            return false;
        text = str_sub(text, end + 1, text.n);
    }
    return true;
}

static void read_file(struct reading *r, const char *file)
{
    struct doc_error error;
    struct str text;
    struct doc *doc;
    int got = file_read(r->a, file, CONFIG_FILE_BYTES_MAX, &text);

    if (got == FILE_E_LARGE) {
        bad(r, NULL, str_printf(r->a, "%s has more than %u bytes", file, CONFIG_FILE_BYTES_MAX));
        return;
    }
    if (got) {
        fault_take();
        bad(r, NULL, str_printf(r->a, "%s cannot be read: %s", file, strerror(-got)));
        return;
    }
    r->errors->file = file;
    if (says_nothing(text))
        return;
    if (doc_yaml(r->a, text, &doc, &error)) {
        struct doc at = {.line = error.line, .column = error.column};

        bad(r, &at, error.text);
    } else if (doc->kind == DOC_MAP) {
        read_map(r, file, doc, STR(""));
    } else if (doc->kind != DOC_NULL) {
        bad(r, doc,
            str_printf(r->a, "the file is a map of settings, not %s", doc_kind_text(doc->kind)));
    }
}

/* An empty variable is none. */
static struct str variable(const struct reading *r, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; r->given->env[i]; i++)
        if (strncmp(r->given->env[i], name, n) == 0 && r->given->env[i][n] == '=')
            return str_of(r->given->env[i] + n + 1);
    return STR("");
}

static void read_environment(struct reading *r)
{
    for (int key = 0; key < CONFIG_N; key++) {
        struct str value = variable(r, rows[key].variable);

        if (value.n)
            put(r, key, value, (struct config_from){CONFIG_ENVIRONMENT, str_of(rows[key].variable)},
                NULL);
    }
}

static void read_flags(struct reading *r)
{
    for (size_t i = 0; i < r->given->flags->n; i++) {
        const struct server_flag *f = &r->given->flags->list[i];
        enum config_key key;

        if (find_key(str_of(f->key), &key))
            put(r, key, str_of(f->value),
                (struct config_from){CONFIG_FLAG, str_copy(r->a, str_of(f->flag))}, NULL);
        else
            bad(r, NULL,
                str_printf(r->a, "%s: " STR_FMT, f->flag, STR_ARG(unknown(r, str_of(f->key)))));
    }
}

/* What settings mean together. */

static bool loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;

    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static void check_address(struct reading *r, enum config_key key, struct str address)
{
    const char *host;
    int64_t port;

    if (address.n == 0 || !config_address(r->a, address, &host, &port) || loopback(host) ||
        r->c->tls_client_ca.n)
        return;
    bad(r, NULL,
        str_printf(r->a,
                   "%s is " STR_FMT ", which other machines reach; that needs certificates of the "
                   "clients (tls.client_ca), since everybody who reaches weft may run commands",
                   rows[key].key, STR_ARG(address)));
}

static void check_together(struct reading *r)
{
    struct config *c = r->c;

    if (c->listen.n == 0)
        bad(r, NULL, STR("listen is empty: a server has an address"));
    if (c->data.n == 0)
        bad(r, NULL, STR("data is empty: a server has a folder"));
    if (!c->tls_cert.n != !c->tls_key.n)
        bad(r, NULL, STR("tls.cert and tls.key are given together or not at all"));
    if (c->tls_client_ca.n && !c->tls_cert.n)
        bad(r, NULL, STR("tls.client_ca needs tls.cert and tls.key"));
    if (!c->runner_cert.n != !c->runner_key.n)
        bad(r, NULL, STR("runner.cert and runner.key are given together or not at all"));
    check_address(r, CONFIG_LISTEN, c->listen);
    check_address(r, CONFIG_GRPC, c->grpc);
    if (!c->store.n)
        c->store = str_printf(r->a, "sqlite:" STR_FMT "/weft.db", STR_ARG(c->data));
    if (!c->store_direct.n)
        c->store_direct = c->store;
}

int config_read(struct arena *a, const struct config_given *given, struct config *ret,
                struct config_errors *ret_errors)
{
    struct reading r = {.a = a, .given = given, .c = ret, .errors = ret_errors};
    struct str file = str_of(given->flags->file);

    *ret = (struct config){0};
    *ret_errors = (struct config_errors){0};
    if (!file.n)
        file = variable(&r, "WEFT_CONFIG");
    read_defaults(&r);
    if (file.n)
        read_file(&r, str_cstr(a, file));
    read_environment(&r);
    read_flags(&r);
    if (ret_errors->n == 0)
        check_together(&r);
    return ret_errors->n ? CONFIG_E_BAD : 0;
}

/* Looking at it. */

bool config_reloadable(enum config_key key)
{
    return rows[key].reload == RELOAD;
}

const char *config_name(enum config_key key)
{
    return rows[key].key;
}

static bool is_text(const struct row *row)
{
    return row->kind < KIND_COUNT;
}

static struct str text_of(const struct config *c, enum config_key key)
{
    return *(const struct str *)(const void *)((const char *)c + rows[key].offset);
}

static int64_t number_of(const struct config *c, enum config_key key)
{
    return *(const int64_t *)(const void *)((const char *)c + rows[key].offset);
}

bool config_same(const struct config *a, const struct config *b, enum config_key key)
{
    return is_text(&rows[key]) ? str_eq(text_of(a, key), text_of(b, key))
                               : number_of(a, key) == number_of(b, key);
}

void config_keep(struct config *c, const struct config *old, struct arena *a)
{
    for (int key = 0; key < CONFIG_N; key++) {
        const char *from = (const char *)old + rows[key].offset;
        char *to = (char *)c + rows[key].offset;

        if (rows[key].reload == RELOAD)
            continue;
        c->from[key] = old->from[key];
        c->from[key].where = str_copy(a, old->from[key].where);
        if (is_text(&rows[key]))
            *(struct str *)(void *)to = str_copy(a, text_of(old, key));
        else
            memcpy(to, from, sizeof(int64_t));
    }
}

/* A value as the file would have it; what is secret in it is left out. */
static struct str value_text(struct arena *a, const struct config *c, enum config_key key)
{
    const struct row *row = &rows[key];

    if (row->kind == KIND_STORE)
        return methods_url(a, text_of(c, key));
    if (is_text(row))
        return text_of(c, key);
    if (row->kind == KIND_CHOICE)
        return row->choices[number_of(c, key)];
    return number_text(a, row, number_of(c, key));
}

static json_t *text_json(struct str s)
{
    return json_stringn(s.p ? s.p : "", s.n);
}

json_t *config_show(const struct config *c, const char *file)
{
    static const char *const sources[] = {"default", "file", "environment", "flag"};
    json_t *list = json_array();
    struct arena a = {0};

    for (int key = 0; key < CONFIG_N; key++) {
        const struct row *row = &rows[key];

        json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:o, s:s?, s:s, s:b, s:s}", "key",
                                              row->key, "value", text_json(value_text(&a, c, key)),
                                              "from", sources[c->from[key].source], "where",
                                              text_json(c->from[key].where), "default",
                                              row->fallback, "variable", row->variable, "reload",
                                              row->reload == RELOAD, "help", row->help));
    }
    arena_deinit(&a);
    return json_pack("{s:s?, s:o}", "file", file, "settings", list);
}
