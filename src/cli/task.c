/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/task.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/sentence.h"
#include "cli/format.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"
#include "client/dump.h"

#define TASK_BYTES_MAX (1u << 30)

int task_request(struct cli *c, const char *text, json_t **ret)
{
    const char *slash = strchr(text, '/');
    struct str run = {text, slash ? (size_t)(slash - text) : strlen(text)};
    int64_t id;

    if (!str_int64(run, &id) || id < 1 || (slash && !slash[1]))
        return cli_refuse(c, CODE_INVALID, STR_FMT " is no task: it is an id, or RUN/NAME",
                          STR_ARG(sentence_quote(&c->arena, str_of(text))));
    if (slash)
        *ret = json_pack("{s:o, s:o}", "run", json_sprintf("%" PRId64, id), "name",
                         format_json(str_of(slash + 1)));
    else
        *ret = json_pack("{s:o}", "id", json_sprintf("%" PRId64, id));
    return 0;
}

/* Ask `method` about the task of the first argument. */
static int ask(struct cli *c, const char *method, json_t **ret)
{
    json_t *request = NULL;
    int status = task_request(c, c->args[0], &request);

    if (status)
        return status;
    status = cli_connect(c, CLI_EXISTING);
    if (status) {
        json_decref(request);
        return status;
    }
    return cli_call(c, method, request, ret);
}

static void print(struct cli *c, const struct buf *b)
{
    fwrite(b->p, 1, b->n, c->out);
}

/* ---- show ---- */

static void add_field(struct buf *b, const char *name, struct str value)
{
    if (!value.n)
        return;
    buf_printf(b, "%-9s ", name);
    text_safe(b, value);
    buf_byte(b, '\n');
}

static void add_attempts(struct cli *c, struct buf *b, const json_t *attempts)
{
    static const char *const titles[] = {"ATTEMPT", "OUTCOME", "STARTED (UTC)", "WAITED",
                                         "RAN",     "CPU",     "MEMORY",        "HOW IT ENDED"};
    const json_t *a;
    struct table t;
    size_t i;

    if (json_array_size(attempts) == 0)
        return;
    table_init(&t, &c->arena, titles, 8);
    json_array_foreach(attempts, i, a)
    {
        struct str message = format_text(a, "message"), ending = format_ending(&c->arena, a);
        int64_t memory = format_number(a, "max_rss_bytes", 0);

        table_number(&t, format_number(a, "number", 0));
        table_add(&t, format_text(a, "outcome"));
        table_add(&t, format_time(&c->arena, format_text(a, "started_at")));
        table_add(&t, format_span(&c->arena, a, "queue_wait"));
        table_add(&t, format_span(&c->arena, a, "run_time"));
        table_add(&t, format_span(&c->arena, a, "cpu_time"));
        table_add(&t, memory > 0 ? format_bytes(&c->arena, memory) : STR(""));
        table_add(&t, message.n ? message : ending);
    }
    buf_byte(b, '\n');
    table_render(&t, b, report_columns(c), c->color, c->utf8);
}

/* "all_success of extract, check: 1 of 2 ended, 1 succeeded (WAITING)" */
static void add_groups(struct buf *b, const json_t *groups)
{
    const json_t *g, *from;
    size_t i, j;

    json_array_foreach(groups, i, g)
    {
        buf_printf(b, "%-9s ", i ? "" : "needs");
        text_safe(b, format_text(g, "rule"));
        if (str_eq(format_text(g, "rule"), STR("at_least")))
            buf_printf(b, " %" PRId64, format_number(g, "need", 0));
        buf_add(b, STR(" of "));
        json_array_foreach(json_object_get(g, "from"), j, from)
        {
            buf_add(b, j ? STR(", ") : STR(""));
            text_safe(b, (struct str){json_string_value(from), json_string_length(from)});
        }
        buf_printf(b, ": %" PRId64 " of %" PRId64 " ended, %" PRId64 " succeeded (" STR_FMT ")\n",
                   format_number(g, "done", 0), format_number(g, "total", 0),
                   format_number(g, "succeeded", 0), STR_ARG(format_text(g, "verdict")));
    }
}

static void show_text(struct cli *c, const json_t *t)
{
    const json_t *output = json_object_get(t, "output"), *attempts = json_object_get(t, "attempts");
    struct buf b;

    buf_init(&b, TASK_BYTES_MAX);
    add_field(&b, "task", format_text(t, "name"));
    add_field(&b, "id", format_text(t, "id"));
    add_field(&b, "run", format_text(t, "run"));
    add_field(&b, "queue", format_text(t, "queue"));
    add_field(&b, "state", format_text(t, "state"));
    add_field(&b, "reason", format_text(t, "reason"));
    add_field(&b, "detail", format_text(t, "detail"));
    if (format_number(t, "priority", 0))
        buf_printf(&b, "%-9s %" PRId64 "\n", "priority", format_number(t, "priority", 0));
    add_groups(&b, json_object_get(t, "groups"));
    if (json_is_object(output)) {
        char *text = dump_text(output, DUMP_COMPACT);

        add_field(&b, "output", str_of(text));
        free(text);
    }
    add_attempts(c, &b, attempts);
    if (json_array_size(attempts)) {
        struct str tail =
            format_text(json_array_get(attempts, json_array_size(attempts) - 1), "stderr_tail");

        if (tail.n) {
            buf_add(&b, STR("\nthe end of its stderr:\n"));
            text_log(&b, str_trim(tail));
            buf_byte(&b, '\n');
        }
    }
    print(c, &b);
    buf_deinit(&b);
}

int task_show_command(struct cli *c)
{
    json_t *t;
    int status = ask(c, "tasks.get", &t);

    if (status)
        return status;
    if (cli_wants_table(c))
        show_text(c, t);
    else
        cli_json(c, t);
    json_decref(t);
    return 0;
}

/* ---- why ---- */

/* ": it waits for …  [reason]", the end of a line. */
static void add_reason(struct buf *b, const json_t *why)
{
    if (format_text(why, "text").n) {
        buf_add(b, STR(": "));
        text_safe(b, format_text(why, "text"));
    }
    if (format_text(why, "reason").n) {
        buf_add(b, STR(" ["));
        text_safe(b, format_text(why, "reason"));
        buf_byte(b, ']');
    }
    buf_byte(b, '\n');
}

static void add_candidates(struct buf *b, const json_t *candidates)
{
    const json_t *one;
    size_t i;

    json_array_foreach(candidates, i, one)
    {
        int64_t more = format_number(one, "more", 0);

        buf_add(b, STR("    "));
        if (more)
            buf_printf(b, "%" PRId64 " more", more);
        else
            text_safe(b, format_text(one, "runner"));
        buf_printf(b, ": " STR_FMT, STR_ARG(format_text(one, "verdict")));
        if (!more)
            buf_printf(b, ", %" PRId64 " of %" PRId64 " slots", format_number(one, "load", 0),
                       format_number(one, "slots", 0));
        buf_add(b, STR("\n"));
    }
}

/* Whom the dispatchers called for a stage, and what each runner's chances were. */
static void add_dispatches(struct cli *c, struct buf *b, const json_t *why)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(why, "dispatches"), i, one)
    {
        buf_add(b, STR("  "));
        buf_add(b, format_time(&c->arena, format_text(one, "at")));
        buf_add(b, STR(" to "));
        text_safe(b, format_text(one, "runner"));
        buf_printf(b, ": " STR_FMT " ", STR_ARG(format_text(one, "outcome")));
        text_safe(b, format_text(one, "message"));
        buf_add(b, STR("\n"));
        add_candidates(b, json_object_get(one, "candidates"));
    }
    if (json_array_size(json_object_get(why, "candidates")))
        buf_add(b, STR("  runners now:\n"));
    add_candidates(b, json_object_get(why, "candidates"));
}

void task_print_why(struct cli *c, const json_t *why)
{
    struct buf b;

    if (!cli_wants_table(c)) {
        cli_json(c, why);
        return;
    }
    buf_init(&b, TASK_BYTES_MAX);
    text_safe(&b, format_text(why, "name"));
    buf_printf(&b, " is " STR_FMT, STR_ARG(format_text(why, "state")));
    add_reason(&b, why);
    add_groups(&b, json_object_get(why, "groups"));
    add_dispatches(c, &b, why);
    print(c, &b);
    buf_deinit(&b);
}

void task_print_run_why(struct cli *c, const json_t *why)
{
    const json_t *tasks = json_object_get(why, "tasks"), *task;
    struct table t;
    struct buf b;
    size_t i;

    if (!cli_wants_table(c)) {
        cli_json(c, why);
        return;
    }
    buf_init(&b, TASK_BYTES_MAX);
    buf_printf(&b, "run " STR_FMT " is " STR_FMT, STR_ARG(format_text(why, "id")),
               STR_ARG(format_text(why, "state")));
    add_reason(&b, why);
    if (json_array_size(tasks)) {
        table_init(&t, &c->arena, NULL, 4);
        json_array_foreach(tasks, i, task)
        {
            struct str state = format_text(task, "state"), text = format_text(task, "text");

            table_color(&t, str_of(format_glyph(state, c->utf8)), format_color(state));
            table_add(&t, format_text(task, "name"));
            table_color(&t, state, format_color(state));
            table_add(&t, text.n ? text : format_text(task, "reason"));
        }
        table_render(&t, &b, report_columns(c), c->color, c->utf8);
    }
    print(c, &b);
    buf_deinit(&b);
}

int task_why_command(struct cli *c)
{
    json_t *why;
    int status = ask(c, "tasks.why", &why);

    if (status)
        return status;
    task_print_why(c, why);
    json_decref(why);
    return 0;
}

/* ---- requeue ---- */

int task_requeue_command(struct cli *c)
{
    json_t *t;
    int status = ask(c, "tasks.requeue", &t);

    if (status)
        return status;
    if (!cli_wants_table(c))
        cli_json(c, t);
    else if (!c->options.quiet)
        fprintf(c->out, "task " STR_FMT " is " STR_FMT "\n", STR_ARG(format_text(t, "id")),
                STR_ARG(format_text(t, "state")));
    json_decref(t);
    return 0;
}
