/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/buf.h"
#include "cli/format.h"
#include "cli/table.h"
#include "cli/text.h"
#include "client/dump.h"
#include "core/run.h"

#define REPORT_BYTES_MAX (1u << 30)
#define TAIL_LINES       12
#define WORKERS_MAX      1000 /* that are asked for by name */
#define PAGE_TASKS_MAX   1000

size_t report_columns(const struct cli *c)
{
    struct winsize size;

    if (!c->terminal || ioctl(fileno(c->out), TIOCGWINSZ, &size) || size.ws_col == 0)
        return 0;
    return size.ws_col;
}

void report_table(struct cli *c, const struct table *table)
{
    struct buf b;

    buf_init(&b, REPORT_BYTES_MAX);
    table_render(table, &b, report_columns(c), c->color, c->utf8);
    fwrite(b.p, 1, b.n, c->out);
    buf_deinit(&b);
}

bool report_ended(const json_t *run)
{
    enum run_state state;

    return run_state_parse(format_text(run, "state"), &state) && run_final(state);
}

int report_status(const json_t *run)
{
    return str_eq(format_text(run, "state"), STR("SUCCEEDED")) ? 0 : 1;
}

/* ---- reading ---- */

static json_t *run_request(int64_t run)
{
    return json_pack("{s:o}", "id", json_sprintf("%" PRId64, run));
}

int report_head(struct cli *c, int64_t run, json_t **ret_run)
{
    json_t *request = run_request(run);

    json_object_set_new(request, "tasks", json_false());
    return cli_call(c, "runs.get", request, ret_run);
}

bool report_is_plan(const json_t *run)
{
    return json_is_boolean(json_object_get(run, "growing"));
}

json_t *report_workers(struct cli *c, const json_t *run)
{
    json_t *request, *reply, *workers;

    if (!report_is_plan(run))
        return NULL;
    request = json_pack("{s:b, s:i}", "all", 1, "page_size", WORKERS_MAX);
    if (cli_call(c, "workers.list", request, &reply))
        return NULL;
    workers = json_incref(json_object_get(reply, "workers"));
    json_decref(reply);
    return workers;
}

/* The tasks of a plan, with what runs.get does not say of checks and stages; `run` is without. */
static int plan_pages(struct cli *c, json_t *run, report_page *page, void *context)
{
    json_t *token = json_string("");
    int status = 0;

    while (token) {
        json_t *request = json_pack("{s:O, s:i, s:o}", "id", json_object_get(run, "id"),
                                    "page_size", PAGE_TASKS_MAX, "page_token", token);
        json_t *reply;

        token = NULL;
        status = cli_call(c, "runs.query", request, &reply);
        if (status)
            break;
        json_object_del(run, "next_page_token");
        json_object_update(run, reply);
        json_decref(reply);
        if (page(context, run) && format_text(run, "next_page_token").n)
            token = json_incref(json_object_get(run, "next_page_token"));
    }
    return status;
}

int report_pages(struct cli *c, int64_t run, report_page *page, void *context)
{
    json_t *token = json_string("");
    int status = 0;

    while (token) {
        json_t *request = run_request(run);
        json_t *reply;
        bool on;

        json_object_set_new(request, "page_token", token);
        token = NULL;
        status = cli_call(c, "runs.get", request, &reply);
        if (status)
            break;
        if (report_is_plan(reply)) {
            status = plan_pages(c, reply, page, context);
        } else {
            on = page(context, reply) && format_text(reply, "next_page_token").n;
            token = on ? json_incref(json_object_get(reply, "next_page_token")) : NULL;
        }
        json_decref(reply);
    }
    return status;
}

/* ---- JSON ---- */

struct json_writer {
    FILE *out;
    bool lines; /* a task per line */
    bool begun;
    size_t tasks;
};

static void write_head(struct json_writer *w, const json_t *run)
{
    json_t *head = json_copy((json_t *)(uintptr_t)run);
    char *text;

    json_object_del(head, "tasks");
    json_object_del(head, "next_page_token");
    text = dump_text(head, DUMP_COMPACT);
    json_decref(head);
    /* All but the brace at its end. */
    cli_json_part(w->out, text, strlen(text) - 1);
    free(text);
    fputs(",\"tasks\":[", w->out);
    w->begun = true;
}

static bool write_page(void *context, const json_t *run)
{
    struct json_writer *w = context;
    const json_t *task;
    size_t i;

    if (!w->begun)
        write_head(w, run);
    json_array_foreach(json_object_get(run, "tasks"), i, task)
    {
        char *text = dump_text(task, DUMP_COMPACT);

        if (w->tasks++)
            fputc(',', w->out);
        if (w->lines)
            fputc('\n', w->out);
        cli_json_part(w->out, text, strlen(text));
        free(text);
    }
    return true;
}

int report_json(struct cli *c, int64_t run, enum report_shape shape)
{
    struct json_writer w = {.out = c->out, .lines = c->options.output == OUTPUT_JSON};
    bool wrap = shape == REPORT_LAST_LINE && !w.lines;
    int status;

    if (wrap)
        fputs("{\"run\":", c->out);
    status = report_pages(c, run, write_page, &w);
    if (w.begun)
        fputs(w.lines && w.tasks ? "\n]}\n" : wrap ? "]}}\n" : "]}\n", c->out);
    return status;
}

/* ---- tables ---- */

struct table_writer {
    struct cli *c;
    struct table table;
    struct arena arena;
    enum report_tasks which;
    bool only_bad; /* too many tasks: those that succeeded are left out */
    bool plan;
    json_t *workers; /* of a plan */
    bool begun;
    size_t shown;
    size_t left_out;
};

/* Of a workflow, and of a plan: whether it is a check, or for which runners, and who has it. */
static const char *const task_titles[] = {"", "TASK", "STATE", "ATTEMPTS", "TIME", "REASON"};
static const char *const plan_titles[] = {"",         "TASK",   "KIND", "STATE",
                                          "ATTEMPTS", "RUNNER", "TIME", "REASON"};

/* NULL: there is none. */
static const json_t *last_attempt(const json_t *task)
{
    const json_t *attempts = json_object_get(task, "attempts");
    size_t n = json_array_size(attempts);

    return n ? json_array_get(attempts, n - 1) : NULL;
}

static struct str last_span(struct arena *a, const json_t *task)
{
    const json_t *last = last_attempt(task);

    return last ? format_span(a, last, "run_time") : STR("");
}

static struct str reason_of(const json_t *task)
{
    struct str detail = format_text(task, "detail");

    return detail.n ? detail : format_text(task, "reason");
}

static struct str plan_reason(struct table_writer *w, const json_t *task)
{
    const json_t *check = json_object_get(task, "check");
    struct str reason = reason_of(task);
    struct str told = format_results(&w->arena, format_number(check, "results_total", 0), 0);

    return !told.n ? reason
           : !reason.n
               ? told
               : str_printf(&w->arena, STR_FMT "; " STR_FMT, STR_ARG(told), STR_ARG(reason));
}

static void add_task(struct table_writer *w, const json_t *task)
{
    struct str state = format_text(task, "state");
    const char *color = format_color(state);
    const json_t *stage = json_object_get(task, "stage");

    table_color(&w->table, str_of(format_glyph(state, w->c->utf8)), color);
    table_add(&w->table, format_text(task, "name"));
    if (w->plan)
        table_add(&w->table, stage ? format_text(stage, "type") : STR("check"));
    table_color(&w->table, format_task_state(&w->arena, task), color);
    table_number(&w->table, (int64_t)json_array_size(json_object_get(task, "attempts")));
    if (w->plan)
        table_add(&w->table, format_worker(w->workers, format_text(last_attempt(task), "worker")));
    table_add(&w->table, last_span(&w->arena, task));
    table_add(&w->table, w->plan ? plan_reason(w, task) : reason_of(task));
    w->shown++;
}

static void begin_table(struct table_writer *w)
{
    const char *const *titles = w->plan ? plan_titles : task_titles;

    arena_reset(&w->arena);
    table_init(&w->table, &w->arena, w->begun ? NULL : titles, w->plan ? 8 : 6);
    w->table.right = w->plan ? 1u << 4 | 1u << 6 : 1u << 3 | 1u << 4;
}

static void flush_table(struct table_writer *w)
{
    if (w->table.cells_n)
        report_table(w->c, &w->table);
    begin_table(w);
}

static void first_page(struct table_writer *w, const json_t *run)
{
    w->plan = report_is_plan(run);
    w->workers = report_workers(w->c, run);
    w->only_bad = w->which == REPORT_SOME &&
                  format_counts_total(json_object_get(run, "counts"), NULL) > REPORT_TASKS_SHOWN;
    begin_table(w);
    w->begun = true;
}

static bool table_page(void *context, const json_t *run)
{
    struct table_writer *w = context;
    const json_t *task;
    size_t i;

    if (!w->begun)
        first_page(w, run);
    json_array_foreach(json_object_get(run, "tasks"), i, task)
    {
        bool good = str_eq(format_text(task, "state"), STR("SUCCEEDED"));

        if (w->which == REPORT_SOME && (w->shown == REPORT_TASKS_SHOWN || (w->only_bad && good)))
            w->left_out++;
        else
            add_task(w, task);
    }
    /* All tasks of a huge run come as a table per page. */
    if (w->which == REPORT_ALL)
        flush_table(w);
    return true;
}

int report_tasks(struct cli *c, int64_t run, enum report_tasks which)
{
    struct table_writer w = {
        .c = c, .which = which, .arena = {NULL, 0, 0}
    };
    int status = report_pages(c, run, table_page, &w);

    if (w.begun)
        flush_table(&w);
    json_decref(w.workers);
    if (w.left_out)
        fprintf(c->out, "%s and %zu more: " STR_FMT "\n", c->utf8 ? "…" : "...", w.left_out,
                STR_ARG(report_hint(c, "runs show", run, STR(""))));
    arena_deinit(&w.arena);
    return status;
}

/* ---- what failed ---- */

struct failure_writer {
    struct cli *c;
    FILE *out;
    int64_t run;
    int64_t failed; /* tasks that failed, as counted */
    int64_t shown;
    bool begun;
};

/* The last lines of the tail, each behind a bar. */
static void write_tail(struct buf *b, struct str tail)
{
    size_t from, lines = 0;

    while (tail.n && (tail.p[tail.n - 1] == '\n' || tail.p[tail.n - 1] == '\r'))
        tail.n--;
    for (from = tail.n; from > 0; from--)
        if (tail.p[from - 1] == '\n' && ++lines == TAIL_LINES)
            break;
    tail = str_sub(tail, from, tail.n);
    while (tail.n) {
        size_t end;

        if (!str_find(tail, '\n', &end))
            end = tail.n;
        buf_add(b, STR("    | "));
        text_plain(b, str_sub(tail, 0, end));
        buf_byte(b, '\n');
        tail = str_sub(tail, end + 1, tail.n);
    }
}

static void write_failure(struct failure_writer *w, const json_t *task)
{
    const json_t *attempts = json_object_get(task, "attempts");
    size_t n = json_array_size(attempts);
    const json_t *last = n ? json_array_get(attempts, n - 1) : NULL;
    struct str detail = format_text(task, "detail"), ending = format_ending(&w->c->arena, last);
    struct buf b;

    if (!detail.n)
        detail = format_text(last, "message");
    buf_init(&b, REPORT_BYTES_MAX);
    if (w->c->color)
        buf_add(&b, STR("\x1b[31m"));
    text_safe(&b, format_text(task, "name"));
    buf_add(&b, STR(" failed"));
    if (w->c->color)
        buf_add(&b, STR("\x1b[0m"));
    if (n > 1)
        buf_printf(&b, " after %zu attempts", n);
    if (detail.n) {
        buf_add(&b, STR(": "));
        text_safe(&b, detail);
    } else if (ending.n) {
        buf_printf(&b, ": " STR_FMT, STR_ARG(ending));
    }
    buf_printf(&b, " [" STR_FMT "]\n", STR_ARG(format_text(task, "reason")));
    write_tail(&b, format_text(last, "stderr_tail"));
    if (n && !json_object_get(task, "stage"))
        buf_printf(&b, "    whole log: " STR_FMT "\n",
                   STR_ARG(report_hint(w->c, "runs logs", w->run, format_text(task, "name"))));
    fwrite(b.p, 1, b.n, w->out);
    buf_deinit(&b);
}

static bool failure_page(void *context, const json_t *run)
{
    struct failure_writer *w = context;
    const json_t *task;
    size_t i;

    if (!w->begun)
        w->failed = format_count(json_object_get(run, "counts"), "FAILED");
    w->begun = true;
    json_array_foreach(json_object_get(run, "tasks"), i, task)
    {
        if (w->shown == w->failed || w->shown == REPORT_FAILURES_SHOWN)
            break;
        if (str_eq(format_text(task, "state"), STR("FAILED"))) {
            write_failure(w, task);
            w->shown++;
        }
    }
    return w->shown < w->failed && w->shown < REPORT_FAILURES_SHOWN;
}

int report_failures(struct cli *c, FILE *out, int64_t run)
{
    struct failure_writer w = {.c = c, .out = out, .run = run};
    int status = report_pages(c, run, failure_page, &w);

    if (w.shown < w.failed)
        fprintf(out, "%s and %" PRId64 " more failed: " STR_FMT "\n", c->utf8 ? "…" : "...",
                w.failed - w.shown, STR_ARG(report_hint(c, "runs why", run, STR(""))));
    return status;
}

void report_closing(struct cli *c, FILE *out, const json_t *run)
{
    struct str state = format_text(run, "state");
    struct str span = format_span(&c->arena, run, "duration");
    const char *color = c->color ? format_color(state) : NULL;
    struct buf b;

    buf_init(&b, 4096);
    buf_printf(&b, "run " STR_FMT " of ", STR_ARG(format_text(run, "id")));
    text_safe(&b, format_text(run, "workflow"));
    buf_printf(&b, " %s" STR_FMT "%s", color ? color : "", STR_ARG(state), color ? "\x1b[0m" : "");
    if (span.n)
        buf_printf(&b, " in " STR_FMT, STR_ARG(span));
    buf_printf(&b, ": " STR_FMT "\n",
               STR_ARG(format_counts(&c->arena, json_object_get(run, "counts"))));
    fwrite(b.p, 1, b.n, out);
    buf_deinit(&b);
}

/* ---- commands to type ---- */

static void shell_word(struct buf *out, struct str word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./:@%+=-,";
    bool quote = word.n == 0;
    struct buf safe;

    for (size_t i = 0; i < word.n; i++)
        quote |= !memchr(plain, word.p[i], sizeof(plain) - 1);
    buf_init(&safe, REPORT_BYTES_MAX);
    text_safe(&safe, word);
    if (quote)
        buf_byte(out, '\'');
    for (size_t i = 0; i < safe.n; i++) {
        if (safe.p[i] == '\'')
            buf_add(out, STR("'\\''"));
        else
            buf_byte(out, safe.p[i]);
    }
    if (quote)
        buf_byte(out, '\'');
    buf_deinit(&safe);
}

struct str report_hint(struct cli *c, const char *command, int64_t run, struct str task)
{
    struct str hint;
    struct buf b;

    buf_init(&b, 64u << 10);
    buf_printf(&b, "weft %s", command);
    if (c->server_given) {
        buf_add(&b, STR(" --server "));
        shell_word(&b, str_of(c->options.server));
    }
    if (c->data_given) {
        buf_add(&b, STR(" --data "));
        shell_word(&b, str_of(c->options.data));
    }
    /* A server's URL may hold a password, which is not repeated. */
    if (c->store_given && str_starts(str_of(c->options.store), STR("sqlite:"))) {
        buf_add(&b, STR(" --store "));
        shell_word(&b, str_of(c->options.store));
    } else if (c->store_given) {
        buf_add(&b, STR(" --store URL"));
    }
    buf_printf(&b, " %" PRId64, run);
    if (task.n) {
        buf_add(&b, str_starts(task, STR("-")) ? STR(" -- ") : STR(" "));
        shell_word(&b, task);
    }
    hint = str_copy(&c->arena, buf_str(&b));
    buf_deinit(&b);
    return hint;
}
