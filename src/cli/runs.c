/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/runs.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "cli/format.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/task.h"
#include "cli/tell.h"
#include "cli/text.h"
#include "client/dump.h"

#define LIST_LIMIT     50
#define PAGE_SIZE_MAX  1000
#define RUNS_BYTES_MAX (1u << 30)

json_t *runs_request(int64_t run)
{
    return json_pack("{s:o}", "id", json_sprintf("%" PRId64, run));
}

int runs_open(struct cli *c, enum cli_need need, int64_t *ret_run)
{
    int status = cli_id(c, "run", c->args[0], ret_run);

    return status ? status : cli_connect(c, need);
}

/* ---- list ---- */

static int read_list(struct cli *c, json_t *all)
{
    int64_t left = c->options.limit ? c->options.limit : LIST_LIMIT;
    json_t *token = json_string("");
    int status = 0;

    while (token && !status) {
        json_t *request = json_pack("{s:I, s:o}", "page_size",
                                    (json_int_t)(left < PAGE_SIZE_MAX ? left : PAGE_SIZE_MAX),
                                    "page_token", token);
        json_t *reply, *runs;

        token = NULL;
        if (c->options.state)
            json_object_set_new(request, "state", format_json(str_of(c->options.state)));
        if (c->options.workflow)
            json_object_set_new(request, "workflow", format_json(str_of(c->options.workflow)));
        status = cli_call(c, "runs.list", request, &reply);
        if (status)
            break;
        runs = json_object_get(reply, "runs");
        json_array_extend(all, runs);
        left -= (int64_t)json_array_size(runs);
        if (left > 0 && json_array_size(runs) && format_text(reply, "next_page_token").n)
            token = json_incref(json_object_get(reply, "next_page_token"));
        json_decref(reply);
    }
    return status;
}

static void list_table(struct cli *c, const json_t *all)
{
    static const char *const titles[] = {"",      "RUN",           "WORKFLOW", "VERSION", "STATE",
                                         "TASKS", "STARTED (UTC)", "TIME",     "COUNTS"};
    const json_t *run;
    struct table t;
    size_t i;

    table_init(&t, &c->arena, titles, 9);
    json_array_foreach(all, i, run)
    {
        const json_t *counts = json_object_get(run, "counts");
        struct str state = format_text(run, "state");
        int64_t final, total = format_counts_total(counts, &final);

        table_color(&t, str_of(format_glyph(state, c->utf8)), format_color(state));
        table_add(&t, format_text(run, "id"));
        table_add(&t, format_text(run, "workflow"));
        table_number(&t, format_number(run, "version", 0));
        table_color(&t, state, format_color(state));
        table_add(&t, str_printf(&c->arena, "%" PRId64 "/%" PRId64, final, total));
        table_add(&t, format_time(&c->arena, format_text(run, "created_at")));
        table_add(&t, format_span(&c->arena, run, "duration"));
        table_add(&t, format_counts(&c->arena, counts));
    }
    report_table(c, &t);
}

/* States are written in capitals, and typed as one likes. */
static void upper(struct cli *c)
{
    char *state = str_cstr(&c->arena, str_of(c->options.state));

    for (char *p = state; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    c->options.state = state;
}

int runs_list_command(struct cli *c)
{
    json_t *all;
    int status = cli_connect(c, CLI_EXISTING);

    if (status)
        return status;
    if (c->options.state)
        upper(c);
    all = json_array();
    status = read_list(c, all);
    if (!status && cli_wants_table(c))
        list_table(c, all);
    else if (!status)
        cli_json_list(c, "runs", all);
    json_decref(all);
    return status;
}

/* ---- show ---- */

static void show_head(struct cli *c, const json_t *run)
{
    struct str state = format_text(run, "state"), detail = format_text(run, "detail");
    const json_t *params = json_object_get(run, "params"), *value;
    const char *color = c->color ? format_color(state) : NULL;
    bool plan = report_is_plan(run);
    const char *name;
    struct buf b;

    buf_init(&b, RUNS_BYTES_MAX);
    buf_printf(&b, "run       " STR_FMT " of ", STR_ARG(format_text(run, "id")));
    text_safe(&b, format_text(run, "workflow"));
    if (!plan)
        buf_printf(&b, ", version %" PRId64, format_number(run, "version", 0));
    else
        buf_add(&b, json_is_true(json_object_get(run, "growing")) ? STR(", a work plan that grows")
                                                                  : STR(", a work plan"));
    buf_printf(&b, "\nstate     %s" STR_FMT "%s", color ? color : "", STR_ARG(state),
               color ? "\x1b[0m" : "");
    if (detail.n) {
        buf_add(&b, STR(": "));
        text_safe(&b, detail);
    }
    buf_printf(&b, "\nstarted   " STR_FMT " UTC\n",
               STR_ARG(format_time(&c->arena, format_text(run, "created_at"))));
    if (format_text(run, "ended_at").n)
        buf_printf(&b, "ended     " STR_FMT " UTC, after " STR_FMT "\n",
                   STR_ARG(format_time(&c->arena, format_text(run, "ended_at"))),
                   STR_ARG(format_span(&c->arena, run, "duration")));
    if (!plan) {
        buf_add(&b, STR("folder    "));
        text_safe(&b, format_text(run, "dir"));
        buf_byte(&b, '\n');
    }
    json_object_foreach((json_t *)(uintptr_t)params, name, value)
    {
        char *text = dump_text(value, DUMP_COMPACT);

        buf_add(&b, STR("param     "));
        text_safe(&b, str_of(name));
        buf_add(&b, STR(" = "));
        text_safe(&b, str_of(text));
        buf_byte(&b, '\n');
        free(text);
    }
    buf_printf(&b, "tasks     " STR_FMT "\n\n",
               STR_ARG(format_counts(&c->arena, json_object_get(run, "counts"))));
    fwrite(b.p, 1, b.n, c->out);
    buf_deinit(&b);
}

int runs_show_command(struct cli *c)
{
    json_t *head;
    int64_t run;
    int status = runs_open(c, CLI_EXISTING, &run);

    if (status)
        return status;
    if (!cli_wants_table(c))
        return report_json(c, run, REPORT_RUN);
    status = report_head(c, run, &head);
    if (status)
        return status;
    show_head(c, head);
    json_decref(head);
    return report_tasks(c, run, REPORT_ALL);
}

/* ---- watch, resume, retry, cancel ---- */

int runs_watch_command(struct cli *c)
{
    int64_t run;
    int status = runs_open(c, CLI_EXISTING, &run);

    return status ? status : tell_run(c, run, CLIENT_WATCH, TELL_NEWS);
}

/* One call about the run that was named. */
static int ask(struct cli *c, enum cli_need need, const char *method, int64_t *ret_run,
               json_t **ret_reply)
{
    int status = runs_open(c, need, ret_run);

    return status ? status : cli_call(c, method, runs_request(*ret_run), ret_reply);
}

static void say_recovered(struct cli *c, const json_t *recovered)
{
    const json_t *task;
    struct buf b;
    size_t i;

    if (json_array_size(recovered) == 0 || c->options.quiet || !cli_wants_table(c))
        return;
    buf_init(&b, RUNS_BYTES_MAX);
    buf_add(&b, STR("taken back from a program that died: "));
    json_array_foreach(recovered, i, task)
    {
        if (i == 10) {
            buf_printf(&b, " and %zu more", json_array_size(recovered) - i);
            break;
        }
        buf_add(&b, i ? STR(", ") : STR(""));
        text_safe(&b, format_text(task, "name"));
    }
    fprintf(c->out, "%s\n", b.p);
    buf_deinit(&b);
}

int runs_resume_command(struct cli *c)
{
    json_t *request = NULL, *reply;
    int64_t run = 0;
    int status = c->args_n ? cli_id(c, "run", c->args[0], &run) : 0;

    if (!status)
        status = cli_connect(c, CLI_CARRY);
    if (status)
        return status;
    if (run)
        request = runs_request(run);
    status = cli_call(c, "runs.resume", request, &reply);
    if (status)
        return status;
    run = format_id(reply, "id");
    if (!c->args_n && !c->options.quiet && cli_wants_table(c))
        fprintf(c->out, "run %" PRId64 " goes on\n", run);
    say_recovered(c, json_object_get(reply, "recovered"));
    json_decref(reply);
    return tell_run(c, run, CLIENT_CARRY, TELL_NEWS);
}

int runs_retry_command(struct cli *c)
{
    json_t *reply;
    int64_t run;
    int status = ask(c, CLI_CARRY, "runs.retry", &run, &reply);

    if (status)
        return status;
    if (!c->options.quiet && cli_wants_table(c))
        fprintf(c->out, "run %" PRId64 ": " STR_FMT " given back\n", run,
                STR_ARG(format_n(&c->arena, format_number(reply, "tasks", 0), "task")));
    json_decref(reply);
    /* A run that a program carried is the server's from now on. */
    if (c->options.server) {
        status = cli_call(c, "runs.resume", runs_request(run), &reply);
        if (status)
            return status;
        json_decref(reply);
    }
    return tell_run(c, run, CLIENT_CARRY, TELL_NEWS);
}

static int wait_for_end(struct cli *c, int64_t run, json_t **ret_head)
{
    struct client_problem problem = {.code = CODE_OK};

    if (tell_nothing(c, run, &problem))
        return cli_problem(c, &problem, NULL);
    return report_head(c, run, ret_head);
}

int runs_cancel_command(struct cli *c)
{
    json_t *reply;
    int64_t run;
    int status = ask(c, CLI_EXISTING, "runs.cancel", &run, &reply);

    if (status)
        return status;
    if (c->options.wait && !report_ended(reply)) {
        json_decref(reply);
        status = wait_for_end(c, run, &reply);
        if (status)
            return status;
        if (!report_ended(reply))
            status = 1;
    }
    if (!cli_wants_table(c)) {
        json_t *short_ = json_pack("{s:O, s:O}", "id", json_object_get(reply, "id"), "state",
                                   json_object_get(reply, "state"));

        cli_json(c, short_);
        json_decref(short_);
    } else if (!c->options.quiet) {
        fprintf(c->out, "run %" PRId64 " is " STR_FMT "\n", run,
                STR_ARG(format_text(reply, "state")));
    }
    json_decref(reply);
    return status;
}

/* ---- why ---- */

int runs_why_command(struct cli *c)
{
    json_t *why;
    int64_t run;
    int status = ask(c, CLI_EXISTING, "runs.why", &run, &why);

    if (status)
        return status;
    task_print_run_why(c, why);
    json_decref(why);
    return 0;
}
