/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: workflow files against what a workflow may be, without a store.
 */
#include <inttypes.h>

#include "base/buf.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/source.h"
#include "cli/text.h"

#define LINE_BYTES_MAX (64u << 10)

/* What was found in one file. */
struct finding {
    const char *name;
    const struct definition *definition; /* NULL: it is faulty */
    struct definition_errors errors;
};

static void say_text(struct cli *c, const struct finding *f)
{
    struct buf b;

    buf_init(&b, LINE_BYTES_MAX);
    for (size_t i = 0; i < f->errors.n; i++) {
        const struct doc_error *e = &f->errors.list[i];

        buf_clear(&b);
        text_safe(&b, str_of(f->name));
        if (e->line)
            buf_printf(&b, ":%u:%u", e->line, e->column);
        buf_add(&b, STR(": "));
        text_safe(&b, e->text);
        fprintf(c->out, "%s\n", b.p);
    }
    if (f->errors.n_total > f->errors.n) {
        buf_clear(&b);
        text_safe(&b, str_of(f->name));
        fprintf(c->out, "%s: %zu more errors are not shown\n", b.p,
                f->errors.n_total - f->errors.n);
    }
    if (f->definition && !c->options.quiet) {
        text_safe(&b, str_of(f->name));
        buf_add(&b, STR(": ok, workflow "));
        text_safe(&b, f->definition->name);
        fprintf(c->out, "%s, " STR_FMT "\n", b.p,
                STR_ARG(format_n(&c->arena, (int64_t)f->definition->tasks_n, "task")));
    }
    buf_deinit(&b);
}

/* What is wrong with the file as a whole has no place. */
static json_t *place_json(unsigned number)
{
    return number ? json_integer((json_int_t)number) : json_null();
}

static json_t *finding_json(const struct finding *f)
{
    const struct definition *d = f->definition;
    json_t *errors = json_array();

    for (size_t i = 0; i < f->errors.n; i++) {
        const struct doc_error *e = &f->errors.list[i];

        json_array_append_new(errors,
                              json_pack("{s:o, s:o, s:o}", "line", place_json(e->line), "column",
                                        place_json(e->column), "detail", format_json(e->text)));
    }
    return json_pack("{s:o, s:b, s:o, s:o, s:I, s:o}", "file", format_json(str_of(f->name)), "ok",
                     d != NULL, "workflow", d ? format_json(d->name) : json_null(), "tasks",
                     d ? json_integer((json_int_t)d->tasks_n) : json_null(), "errors_total",
                     (json_int_t)f->errors.n_total, "errors", errors);
}

/* Read and check one file; what it took is given back before the next one. */
static bool check_file(struct cli *c, const char *path, json_t *all)
{
    struct arena a = {NULL, 0, 0};
    struct source source;
    struct definition *definition = NULL;
    struct finding f = {.name = NULL};
    struct str error;

    if (source_read(&a, path, &source, &error)) {
        f.errors.list = ARENA_NEW(&a, struct doc_error);
        f.errors.list->text = error;
        f.errors.n = f.errors.n_total = 1;
    } else if (!source_definition(&a, &source, &definition, &f.errors)) {
        f.definition = definition;
        f.errors = (struct definition_errors){NULL, 0, 0};
    }
    f.name = source.name;
    if (cli_wants_table(c))
        say_text(c, &f);
    else
        json_array_append_new(all, finding_json(&f));
    arena_deinit(&a);
    return f.definition != NULL;
}

int check_command(struct cli *c)
{
    struct source_list list = {NULL, 0, 0};
    json_t *all = json_array();
    bool ok = true;
    struct str error;

    for (size_t i = 0; i < c->args_n; i++) {
        size_t before = list.n;
        int status = 0;

        if (source_find(&c->arena, c->args[i], &list, &error))
            status = cli_refuse(c, CODE_INVALID, STR_FMT, STR_ARG(error));
        else if (list.n == before)
            status = cli_refuse(c, CODE_INVALID, "there is no workflow file below %s", c->args[i]);
        if (status) {
            json_decref(all);
            return status;
        }
    }
    for (size_t i = 0; i < list.n; i++)
        ok &= check_file(c, list.paths[i], all);
    if (c->options.output == OUTPUT_JSONL) {
        cli_json_list(c, "files", all);
    } else if (c->options.output == OUTPUT_JSON) {
        json_t *result = json_pack("{s:b, s:O}", "ok", ok, "files", all);

        cli_json(c, result);
        json_decref(result);
    }
    json_decref(all);
    return ok ? 0 : code_exit(CODE_WORKFLOW_INVALID);
}
