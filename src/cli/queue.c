/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/queue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/sentence.h"
#include "cli/format.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"
#include "client/dump.h"

json_t *queue_request(struct cli *c)
{
    return json_pack("{s:o}", "queue", format_json(str_of(c->args[0])));
}

int queue_json(struct cli *c, const char *what, struct str text, json_t **ret)
{
    json_error_t error;

    *ret =
        json_loadb(text.p ? text.p : "", text.n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (*ret)
        return 0;
    return cli_refuse(c, CODE_INVALID, "%s is no JSON: " STR_FMT " (%s)", what,
                      STR_ARG(sentence_quote(&c->arena, text)), error.text);
}

int queue_pages(struct cli *c, const char *method, json_t *request, const char *key, int64_t limit,
                json_t **ret)
{
    json_t *all = json_array(), *token = json_string("");
    int status = 0;

    while (token && !status) {
        int64_t left = limit ? limit - (int64_t)json_array_size(all) : QUEUE_PAGE;
        json_t *page = json_copy(request), *reply;

        json_object_set_new(page, "page_size", json_integer(left < QUEUE_PAGE ? left : QUEUE_PAGE));
        if (json_string_length(token))
            json_object_set(page, "page_token", token);
        json_decref(token);
        token = NULL;
        status = cli_call(c, method, page, &reply);
        if (status)
            break;
        json_array_extend(all, json_object_get(reply, key));
        if (format_text(reply, "next_page_token").n &&
            (!limit || (int64_t)json_array_size(all) < limit))
            token = json_incref(json_object_get(reply, "next_page_token"));
        json_decref(reply);
    }
    json_decref(request);
    if (status)
        json_decref(all);
    else
        *ret = all;
    return status;
}

/* ---- settings ---- */

enum value_kind { VALUE_NUMBER, VALUE_REAL, VALUE_BOOL, VALUE_TEXT, VALUE_LIST };

static const struct setting {
    const char *name; /* as in the JSON; what stands behind a point is within an object */
    enum value_kind kind;
} settings[] = {
    {"paused",               VALUE_BOOL  },
    {"tasks_max",            VALUE_NUMBER},
    {"concurrency_max",      VALUE_NUMBER},
    {"key_concurrency",      VALUE_NUMBER},
    {"rate",                 VALUE_REAL  },
    {"rate_burst",           VALUE_NUMBER},
    {"fair",                 VALUE_BOOL  },
    {"claim_ttl",            VALUE_TEXT  },
    {"retention",            VALUE_TEXT  },
    {"task_timeout",         VALUE_TEXT  },
    {"retry.max_attempts",   VALUE_NUMBER},
    {"retry.backoff_base",   VALUE_TEXT  },
    {"retry.backoff_factor", VALUE_REAL  },
    {"retry.backoff_cap",    VALUE_TEXT  },
    {"retry.jitter",         VALUE_REAL  },
    {"retry.retry_on",       VALUE_LIST  },
};
#define SETTINGS_N (sizeof(settings) / sizeof(*settings))

static const struct setting *find_setting(struct str name)
{
    for (size_t i = 0; i < SETTINGS_N; i++)
        if (str_eq(str_of(settings[i].name), name))
            return &settings[i];
    return NULL;
}

static json_t *list_value(struct str text)
{
    json_t *list = json_array();

    while (text.n) {
        size_t end = text.n;

        str_find(text, ',', &end);
        json_array_append_new(list, format_json(str_trim(str_sub(text, 0, end))));
        text = str_sub(text, end + 1, text.n);
    }
    return list;
}

/* NULL where the text is none of that kind. */
static json_t *setting_value(enum value_kind kind, struct str text)
{
    json_t *v;
    bool good;

    if (kind == VALUE_TEXT)
        return format_json(text);
    if (kind == VALUE_LIST)
        return list_value(text);
    v = json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL);
    good = kind == VALUE_BOOL     ? json_is_boolean(v)
           : kind == VALUE_NUMBER ? json_is_integer(v)
                                  : json_is_number(v);
    if (good)
        return v;
    json_decref(v);
    return NULL;
}

static void set_value(json_t *request, struct str name, json_t *value)
{
    const struct str retry = STR("retry.");
    json_t *object = request;

    if (str_starts(name, retry)) {
        object = json_object_get(request, "retry");
        if (!object) {
            object = json_object();
            json_object_set_new(request, "retry", object);
        }
        name = str_sub(name, retry.n, name.n);
    }
    json_object_setn_new(object, name.p, name.n, value);
}

static struct str list_settings(struct cli *c)
{
    struct str list = {0};

    for (size_t i = 0; i < SETTINGS_N; i++)
        list = str_printf(&c->arena, STR_FMT "%s%s", STR_ARG(list),
                          !i                    ? ""
                          : i + 1 == SETTINGS_N ? " and "
                                                : ", ",
                          settings[i].name);
    return list;
}

static int refuse_setting(struct cli *c, const char *given, struct str name)
{
    struct sentence_nearest nearest;

    sentence_nearest_init(&nearest, name);
    for (size_t i = 0; i < SETTINGS_N; i++)
        sentence_nearest_try(&nearest, str_of(settings[i].name));
    if (name.n == strlen(given))
        return cli_refuse(c, CODE_INVALID, "a setting is NAME=VALUE, not " STR_FMT,
                          STR_ARG(sentence_quote(&c->arena, name)));
    if (nearest.best.p)
        return cli_refuse(c, CODE_INVALID,
                          "a queue has no setting " STR_FMT "; did you mean " STR_FMT "?",
                          STR_ARG(sentence_quote(&c->arena, name)), STR_ARG(nearest.best));
    return cli_refuse(c, CODE_INVALID, "a queue has no setting " STR_FMT "; it has " STR_FMT,
                      STR_ARG(sentence_quote(&c->arena, name)), STR_ARG(list_settings(c)));
}

static int read_setting(struct cli *c, const char *given, json_t *request)
{
    const char *equals = strchr(given, '=');
    struct str name = {given, equals ? (size_t)(equals - given) : strlen(given)};
    const struct setting *s = equals ? find_setting(name) : NULL;
    json_t *value;

    if (!s)
        return refuse_setting(c, given, name);
    value = setting_value(s->kind, str_of(equals + 1));
    if (!value)
        return cli_refuse(c, CODE_INVALID, "%s is %s, not " STR_FMT, s->name,
                          s->kind == VALUE_BOOL     ? "true or false"
                          : s->kind == VALUE_NUMBER ? "a whole number"
                                                    : "a number",
                          STR_ARG(sentence_quote(&c->arena, str_of(equals + 1))));
    set_value(request, name, value);
    return 0;
}

/* ---- showing ---- */

static int64_t count(const json_t *queue, const char *state)
{
    return format_number(json_object_get(queue, "counts"), state, 0);
}

static struct str remark(const json_t *q)
{
    return json_is_true(json_object_get(q, "paused")) ? STR("paused") : STR("");
}

void queue_table(struct cli *c, const json_t *queues)
{
    static const char *const titles[] = {"QUEUE",     "READY",  "DELAYED", "RUNNING",
                                         "SUCCEEDED", "FAILED", "STATE"};
    const json_t *q;
    struct table t;
    size_t i;

    table_init(&t, &c->arena, titles, 7);
    json_array_foreach(queues, i, q)
    {
        table_add(&t, format_text(q, "name"));
        table_number(&t, count(q, "ready"));
        table_number(&t, count(q, "delayed"));
        table_number(&t, count(q, "leased") + count(q, "running"));
        table_number(&t, count(q, "succeeded"));
        table_number(&t, count(q, "failed"));
        table_add(&t, remark(q));
    }
    report_table(c, &t);
}

static void add_line(struct buf *b, const char *name, const json_t *v)
{
    char *text;

    if (!v)
        return;
    buf_printf(b, "%-16s ", name);
    text = json_is_string(v) ? NULL : dump_text(v, DUMP_COMPACT);
    text_safe(b, text ? str_of(text) : (struct str){json_string_value(v), json_string_length(v)});
    buf_byte(b, '\n');
    free(text);
}

static void show_queue(struct cli *c, const json_t *q)
{
    struct str counts = format_counts(&c->arena, json_object_get(q, "counts"));
    struct buf b;

    if (!cli_wants_table(c)) {
        cli_json(c, q);
        return;
    }
    if (c->options.quiet)
        return;
    buf_init(&b, QUEUE_BYTES_MAX);
    add_line(&b, "queue", json_object_get(q, "name"));
    buf_printf(&b, "%-16s " STR_FMT "\n", "tasks", STR_ARG(counts.n ? counts : STR("none")));
    add_line(&b, "oldest_ready_at", json_object_get(q, "oldest_ready_at"));
    for (size_t i = 0; i < SETTINGS_N; i++)
        if (!strchr(settings[i].name, '.'))
            add_line(&b, settings[i].name, json_object_get(q, settings[i].name));
    add_line(&b, "retry", json_object_get(q, "retry"));
    fwrite(b.p, 1, b.n, c->out);
    buf_deinit(&b);
}

/* ---- commands ---- */

/* One call about a queue, whose reply is the queue. */
static int one(struct cli *c, const char *method, json_t *request, enum cli_need need)
{
    json_t *reply;
    int status = cli_connect(c, need);

    if (status) {
        json_decref(request);
        return status;
    }
    status = cli_call(c, method, request, &reply);
    if (status)
        return status;
    show_queue(c, reply);
    json_decref(reply);
    return 0;
}

int queue_put_command(struct cli *c)
{
    json_t *request = queue_request(c);
    int status = 0;

    for (size_t i = 1; i < c->args_n && !status; i++)
        status = read_setting(c, c->args[i], request);
    if (!status)
        return one(c, "queues.put", request, CLI_CREATE);
    json_decref(request);
    return status;
}

int queue_status_command(struct cli *c)
{
    return one(c, "queues.get", queue_request(c), CLI_EXISTING);
}

int queue_pause_command(struct cli *c)
{
    return one(c, "queues.pause", queue_request(c), CLI_EXISTING);
}

int queue_resume_command(struct cli *c)
{
    return one(c, "queues.resume", queue_request(c), CLI_EXISTING);
}

int queue_list_command(struct cli *c)
{
    json_t *all;
    int status = cli_connect(c, CLI_EXISTING);

    if (!status)
        status = queue_pages(c, "queues.list", json_object(), "queues", 0, &all);
    if (status)
        return status;
    if (cli_wants_table(c))
        queue_table(c, all);
    else
        cli_json_list(c, "queues", all);
    json_decref(all);
    return 0;
}

int queue_purge_command(struct cli *c)
{
    int64_t purged = 0;
    bool more = true;
    int status = cli_connect(c, CLI_EXISTING);

    while (!status && more) {
        json_t *request = queue_request(c), *reply;

        if (c->options.state)
            json_object_set_new(request, "states",
                                json_pack("[o]", format_json(str_of(c->options.state))));
        status = cli_call(c, "queues.purge", request, &reply);
        if (status)
            break;
        purged += format_number(reply, "purged", 0);
        more = json_is_true(json_object_get(reply, "more"));
        json_decref(reply);
    }
    if (!status && !cli_wants_table(c)) {
        json_t *o = json_pack("{s:I}", "purged", (json_int_t)purged);

        cli_json(c, o);
        json_decref(o);
    } else if (!status && !c->options.quiet) {
        fprintf(c->out, STR_FMT " purged\n", STR_ARG(format_n(&c->arena, purged, "task")));
    }
    return status;
}
