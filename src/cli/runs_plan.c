/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs_plan: work plans from the command line: begun, written to, sealed. Looking, watching and
 * cancelling are those of any run (runs.c).
 */
#include <inttypes.h>
#include <string.h>

#include "base/doc.h"
#include "cli/format.h"
#include "cli/report.h"
#include "cli/runs.h"
#include "cli/source.h"
#include "cli/table.h"

int runs_create_command(struct cli *c)
{
    json_t *request = json_object(), *reply;
    int status = cli_connect(c, CLI_CREATE);

    if (c->args_n)
        json_object_set_new(request, "name", format_json(str_of(c->args[0])));
    if (status) {
        json_decref(request);
        return status;
    }
    status = cli_call(c, "runs.create", request, &reply);
    if (status)
        return status;
    if (!cli_wants_table(c))
        cli_json(c, reply);
    else
        fprintf(c->out, "%" PRId64 "\n", format_id(reply, "id"));
    json_decref(reply);
    return 0;
}

/* ---- write ---- */

static json_t *json_of(const struct doc *d);

static json_t *list_of(const struct doc *d)
{
    json_t *list = json_array();

    for (const struct doc *item = d->first; item; item = item->next)
        json_array_append_new(list, json_of(item));
    return list;
}

static json_t *map_of(const struct doc *d)
{
    json_t *map = json_object();

    for (const struct doc *item = d->first; item; item = item->next)
        json_object_setn_new(map, item->key.p, item->key.n, json_of(item));
    return map;
}

static json_t *json_of(const struct doc *d)
{
    switch (d->kind) {
    case DOC_BOOL:
        return json_boolean(d->boolean);
    case DOC_INT:
        return json_integer(d->integer);
    case DOC_REAL:
        return json_real(d->real);
    case DOC_TEXT:
        return format_json(d->text);
    case DOC_LIST:
        return list_of(d);
    case DOC_MAP:
        return map_of(d);
    default:
        return json_null();
    }
}

static int read_tasks(struct cli *c, const char *path, json_t **ret)
{
    struct doc_error error;
    struct source source;
    struct str problem;
    struct doc *doc;
    bool json;

    if (source_read(&c->arena, path, &source, &problem))
        return cli_refuse(c, CODE_INVALID, "%s: " STR_FMT, source.name, STR_ARG(problem));
    json = strcmp(source.format, "json") == 0;
    if (json ? doc_json(&c->arena, source.text, &doc, &error)
             : doc_yaml(&c->arena, source.text, &doc, &error))
        return cli_refuse(c, CODE_INVALID, "%s:%u:%u: " STR_FMT, source.name, error.line,
                          error.column, STR_ARG(error.text));
    if (doc->kind != DOC_MAP)
        return cli_refuse(c, CODE_INVALID,
                          "%s: it is a map with the lists `checks` and `stages`, one or both",
                          source.name);
    *ret = json_of(doc);
    return 0;
}

static void written_rows(struct table *t, const json_t *reply, const char *key)
{
    const json_t *task;
    size_t i;

    json_array_foreach(json_object_get(reply, key), i, task)
    {
        const json_t *check = json_object_get(task, "check");

        table_add(t, format_text(task, "name"));
        table_add(t, check ? STR("check") : STR("stage"));
        table_add(t, format_text(task, "state"));
        table_add(t, check ? format_text(check, "state") : STR(""));
        table_number(t, format_number(task, "version", 0));
    }
}

static void written_table(struct cli *c, const json_t *reply)
{
    static const char *const titles[] = {"NAME", "", "STATE", "CHECK", "VERSION"};
    struct table t;

    table_init(&t, &c->arena, titles, 5);
    written_rows(&t, reply, "checks");
    written_rows(&t, reply, "stages");
    report_table(c, &t);
}

int runs_write_command(struct cli *c)
{
    json_t *request = NULL, *reply;
    int64_t run;
    int status = cli_id(c, "run", c->args[0], &run);

    if (!status)
        status = read_tasks(c, c->args[1], &request);
    if (!status)
        status = cli_connect(c, CLI_EXISTING);
    if (status) {
        json_decref(request);
        return status;
    }
    json_object_set_new(request, "id", json_sprintf("%" PRId64, run));
    status = cli_call(c, "runs.write", request, &reply);
    if (status)
        return status;
    if (!cli_wants_table(c))
        cli_json(c, reply);
    else if (!c->options.quiet)
        written_table(c, reply);
    json_decref(reply);
    return 0;
}

/* ---- seal ---- */

int runs_seal_command(struct cli *c)
{
    json_t *reply;
    int64_t run;
    int status = runs_open(c, CLI_EXISTING, &run);

    if (!status)
        status = cli_call(c, "runs.seal", runs_request(run), &reply);
    if (status)
        return status;
    if (!cli_wants_table(c))
        cli_json(c, reply);
    else if (!c->options.quiet)
        fprintf(c->out, "run %" PRId64 " is sealed, and " STR_FMT "\n", run,
                STR_ARG(format_text(reply, "state")));
    json_decref(reply);
    return 0;
}
