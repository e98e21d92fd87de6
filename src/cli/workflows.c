/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/workflows.h"

#include <inttypes.h>

#include "base/buf.h"
#include "cli/format.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"

#define TABLE_BYTES_MAX (1u << 30)

/* ---- put ---- */

/* Text that JSON cannot carry as it is would be judged as something else: it is judged here, where
 * its places are right. */
static int refuse_bytes(struct cli *c, const struct source *s)
{
    struct definition *definition;
    struct definition_errors errors;

    if (source_definition(&c->arena, s, &definition, &errors))
        return source_refuse(c, s, &errors);
    return cli_refuse(c, CODE_WORKFLOW_INVALID, "%s is not UTF-8", s->name);
}

int workflows_store(struct cli *c, const struct source *s, json_t **ret_reply)
{
    struct client_problem problem = {.code = CODE_OK};
    json_t *request;
    size_t at;

    if (!str_utf8(s->text, &at) || str_find(s->text, '\0', &at))
        return refuse_bytes(c, s);
    if (!str_trim(s->text).n)
        return cli_refuse(c, CODE_WORKFLOW_INVALID, "%s is empty, and no workflow", s->name);
    request =
        json_pack("{s:o, s:s, s:o, s:o}", "source", format_json(s->text), "format", s->format,
                  "path", format_json(str_of(s->path)), "fallback_name", format_json(s->stem));
    if (!client_call(&c->client, "workflows.put", request, ret_reply, &problem))
        return 0;
    if (problem.code == CODE_WORKFLOW_INVALID && json_array_size(problem.details))
        source_sum(&c->arena, s, json_array_size(problem.details), &problem);
    return cli_problem(c, &problem, s->name);
}

static int put_file(struct cli *c, const char *path, json_t *all)
{
    struct arena a = {NULL, 0, 0};
    struct source source;
    struct str error;
    json_t *reply = NULL;
    int status;

    if (source_read(&a, path, &source, &error))
        status = cli_refuse(c, CODE_INVALID, "%s: " STR_FMT, source.name, STR_ARG(error));
    else
        status = workflows_store(c, &source, &reply);
    if (!status) {
        json_object_set_new(reply, "path", format_json(str_of(source.name)));
        json_array_append_new(all, reply);
    }
    arena_deinit(&a);
    return status;
}

static void put_table(struct cli *c, const json_t *all)
{
    static const char *const titles[] = {"WORKFLOW", "VERSION", "", "KIND", "TASKS", "FILE"};
    const json_t *w;
    struct table t;
    size_t i;

    table_init(&t, &c->arena, titles, 6);
    json_array_foreach(all, i, w)
    {
        table_add(&t, format_text(w, "name"));
        table_number(&t, format_number(w, "version", 0));
        table_add(&t, json_is_true(json_object_get(w, "created")) ? STR("new") : STR("unchanged"));
        table_add(&t, format_text(w, "kind"));
        table_number(&t, format_number(w, "tasks", 0));
        table_add(&t, format_text(w, "path"));
    }
    if (json_array_size(all))
        report_table(c, &t);
}

int workflows_put_command(struct cli *c)
{
    struct source_list list = {NULL, 0, 0};
    json_t *all;
    struct str error;
    int status;

    for (size_t i = 0; i < c->args_n; i++) {
        size_t before = list.n;

        if (source_find(&c->arena, c->args[i], &list, &error))
            return cli_refuse(c, CODE_INVALID, STR_FMT, STR_ARG(error));
        if (list.n == before)
            return cli_refuse(c, CODE_INVALID, "there is no workflow file below %s", c->args[i]);
    }
    status = cli_connect(c, CLI_CREATE);
    if (status)
        return status;
    all = json_array();
    for (size_t i = 0; i < list.n; i++) {
        int failed = put_file(c, list.paths[i], all);

        /* A faulty file stops no other; a store that is gone stops them all. */
        status = failed ? failed : status;
        if (failed && failed != code_exit(CODE_WORKFLOW_INVALID))
            break;
    }
    if (!cli_wants_table(c))
        cli_json_list(c, "workflows", all);
    else if (!c->options.quiet)
        put_table(c, all);
    json_decref(all);
    return status;
}

/* ---- list ---- */

static int list_all(struct cli *c, json_t *all)
{
    json_t *token = json_string("");
    int status = 0;

    while (token && !status) {
        json_t *reply;

        status = cli_call(c, "workflows.list",
                          json_pack("{s:i, s:o}", "page_size", 1000, "page_token", token), &reply);
        token = NULL;
        if (status)
            break;
        json_array_extend(all, json_object_get(reply, "workflows"));
        if (format_text(reply, "next_page_token").n)
            token = json_incref(json_object_get(reply, "next_page_token"));
        json_decref(reply);
    }
    return status;
}

int workflows_list_command(struct cli *c)
{
    static const char *const titles[] = {"WORKFLOW", "VERSION",      "KIND",
                                         "TASKS",    "STORED (UTC)", "FILE"};
    json_t *all;
    const json_t *w;
    struct table t;
    size_t i;
    int status = cli_connect(c, CLI_EXISTING);

    if (status)
        return status;
    all = json_array();
    status = list_all(c, all);
    if (!status && !cli_wants_table(c)) {
        cli_json_list(c, "workflows", all);
    } else if (!status) {
        table_init(&t, &c->arena, titles, 6);
        json_array_foreach(all, i, w)
        {
            table_add(&t, format_text(w, "name"));
            table_number(&t, format_number(w, "version", 0));
            table_add(&t, format_text(w, "kind"));
            table_number(&t, format_number(w, "tasks", 0));
            table_add(&t, format_time(&c->arena, format_text(w, "created_at")));
            table_add(&t, format_text(w, "path"));
        }
        report_table(c, &t);
    }
    json_decref(all);
    return status;
}

/* ---- show ---- */

static void show_params(struct cli *c, const json_t *params)
{
    static const char *const titles[] = {"PARAMETER", "TYPE", "DEFAULT", "DESCRIPTION"};
    const json_t *p;
    struct table t;
    size_t i;

    if (json_array_size(params) == 0)
        return;
    table_init(&t, &c->arena, titles, 4);
    json_array_foreach(params, i, p)
    {
        bool required = json_is_true(json_object_get(p, "required"));

        table_add(&t, format_text(p, "name"));
        table_add(&t, format_text(p, "type"));
        table_add(&t, required ? STR("(required)") : format_text(p, "default"));
        table_add(&t, format_text(p, "description"));
    }
    fputc('\n', c->out);
    report_table(c, &t);
}

static void show_text(struct cli *c, const json_t *w)
{
    struct str description = format_text(w, "description");
    const json_t *name;
    struct buf b;
    size_t i;

    buf_init(&b, TABLE_BYTES_MAX);
    text_safe(&b, format_text(w, "name"));
    buf_printf(&b, ", version %" PRId64 " (" STR_FMT ", " STR_FMT "), stored " STR_FMT " UTC from ",
               format_number(w, "version", 0), STR_ARG(format_text(w, "kind")),
               STR_ARG(format_n(&c->arena, format_number(w, "tasks", 0), "task")),
               STR_ARG(format_time(&c->arena, format_text(w, "created_at"))));
    text_safe(&b, format_text(w, "path"));
    buf_byte(&b, '\n');
    if (description.n) {
        /* A description may have paragraphs of its own. */
        text_log(&b, str_trim(description));
        buf_byte(&b, '\n');
    }
    fwrite(b.p, 1, b.n, c->out);
    show_params(c, json_object_get(w, "params"));
    buf_clear(&b);
    json_array_foreach(json_object_get(w, "task_names"), i, name)
    {
        buf_add(&b, i ? STR("\n  ") : STR("\nTASKS\n  "));
        text_safe(&b, (struct str){json_string_value(name), json_string_length(name)});
    }
    fwrite(b.p, 1, b.n, c->out);
    fputc('\n', c->out);
    buf_deinit(&b);
}

int workflows_show_command(struct cli *c)
{
    json_t *request, *w;
    struct str source;
    int status = cli_connect(c, CLI_EXISTING);

    if (status)
        return status;
    request = json_pack("{s:o}", "name", format_json(str_of(c->args[0])));
    if (c->options.at)
        json_object_set_new(request, "version", json_integer(c->options.at));
    status = cli_call(c, "workflows.get", request, &w);
    if (status)
        return status;
    source = format_text(w, "source");
    if (!cli_wants_table(c))
        cli_json(c, w);
    else if (c->options.source)
        fwrite(source.p, 1, source.n, c->out);
    else
        show_text(c, w);
    json_decref(w);
    return 0;
}
