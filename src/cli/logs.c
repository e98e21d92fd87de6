/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs: what the tasks of a run wrote, once or as it comes.
 *
 * A log is one stream of one attempt. Those that are wanted are collected from the run's tasks and
 * read to their end; to follow is to go on from there, with those that its events bring.
 */
#include <inttypes.h>

#include "base/buf.h"
#include "base/map.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/report.h"
#include "cli/text.h"

#define PIECE_BYTES    (256 << 10)
#define LOGS_BYTES_MAX (1u << 30)

struct log {
    struct client_log is; /* attempt 0: the newest */
    size_t at;            /* its index */
};

struct logs {
    struct cli *c;
    int64_t run;
    struct str only; /* the task that was asked for; empty: all */
    struct arena arena;
    struct log **list;
    size_t n, max;
    struct map *known; /* that are in the list: "STREAM ATTEMPT NAME" */
    size_t last_at;    /* index of the log whose text was printed last; SIZE_MAX: none */
    bool headings;
    bool newline; /* the text printed last ended a line */
    bool found;   /* the task that was asked for is one of the run */
    bool over;    /* nothing more will start */
    int64_t seq;
    json_t *all;                   /* of -o json */
    struct client_problem missing; /* why a log was not there */
};

static void add_log(struct logs *l, struct str name, int64_t attempt, const char *stream)
{
    struct log *log;
    struct buf key;
    bool is_new;

    buf_init(&key, LOGS_BYTES_MAX);
    buf_printf(&key, "%s %" PRId64 " " STR_FMT, stream, attempt, STR_ARG(name));
    is_new = map_add(l->known, buf_str(&key), 0);
    buf_deinit(&key);
    if (!is_new)
        return;
    if (l->n == l->max) {
        size_t max = l->max ? 2 * l->max : 64;

        l->list = arena_grow(&l->arena, l->list, l->max * sizeof(*l->list), max * sizeof(*l->list));
        l->max = max;
    }
    log = ARENA_NEW(&l->arena, struct log);
    log->is = (struct client_log){str_cstr(&l->arena, name), attempt, stream, 0, false};
    log->at = l->n;
    l->list[l->n++] = log;
}

/* The streams of an attempt that are wanted. */
static void add_logs(struct logs *l, struct str name, int64_t attempt)
{
    const struct options *o = &l->c->options;

    if (o->only_stdout || !o->only_stderr)
        add_log(l, name, attempt, "stdout");
    if (o->only_stderr || !o->only_stdout)
        add_log(l, name, attempt, "stderr");
}

static bool ended_state(struct str state)
{
    return str_eq(state, STR("SUCCEEDED")) || str_eq(state, STR("FAILED")) ||
           str_eq(state, STR("CANCELLED")) || str_eq(state, STR("SKIPPED"));
}

/* Its number; 0 where none was started. */
static int64_t newest_attempt(const json_t *attempts)
{
    const json_t *attempt;
    int64_t newest = 0;
    size_t i;

    json_array_foreach(attempts, i, attempt)
    {
        int64_t number = format_number(attempt, "number", 0);

        newest = number > newest ? number : newest;
    }
    return newest;
}

static bool add_page(void *context, const json_t *run)
{
    struct logs *l = context;
    const json_t *task;
    size_t i;

    if (!l->seq)
        l->seq = format_id(run, "seq");
    l->over |= report_ended(run);
    json_array_foreach(json_object_get(run, "tasks"), i, task)
    {
        struct str name = format_text(task, "name");
        int64_t attempt = l->c->options.attempt;

        if (l->only.n && !str_eq(name, l->only))
            continue;
        l->found = true;
        if (!attempt)
            attempt = newest_attempt(json_object_get(task, "attempts"));
        /* Of a task that was named and never started weft itself says so. */
        if (attempt || (l->only.n && !l->c->options.follow))
            add_logs(l, name, attempt);
        if (l->only.n) {
            l->over |= l->c->options.attempt || ended_state(format_text(task, "state"));
            return false;
        }
    }
    return true;
}

/* ---- printing ---- */

static void print_heading(struct logs *l, size_t at)
{
    const struct client_log *log = &l->list[at]->is;
    struct buf b;

    if (!l->newline)
        fputc('\n', l->c->out);
    buf_init(&b, LOGS_BYTES_MAX);
    buf_printf(&b, "%s==> ", l->c->color ? "\x1b[1m" : "");
    text_safe(&b, str_of(log->name));
    buf_printf(&b, ", attempt %" PRId64 ", %s <==%s\n", log->attempt, log->stream,
               l->c->color ? "\x1b[0m" : "");
    fwrite(b.p, 1, b.n, l->c->out);
    buf_deinit(&b);
}

static void print_text(struct logs *l, size_t at, struct str text)
{
    if (l->headings && l->last_at != at)
        print_heading(l, at);
    l->last_at = at;
    l->newline = text.p[text.n - 1] == '\n';
    if (l->c->terminal) {
        struct buf b;

        buf_init(&b, LOGS_BYTES_MAX);
        text_log(&b, text);
        fwrite(b.p, 1, b.n, l->c->out);
        buf_deinit(&b);
    } else {
        fwrite(text.p, 1, text.n, l->c->out);
    }
}

/* With the run's id, so that lines of several runs can be told apart where they are collected. */
static json_t *piece_json(const struct logs *l, const struct client_log *log, struct str text)
{
    return json_pack("{s:o, s:o, s:I, s:s, s:o}", "run", json_sprintf("%" PRId64, l->run), "task",
                     format_json(str_of(log->name)), "attempt", (json_int_t)log->attempt, "stream",
                     log->stream, "text", format_json(text));
}

static void tell_text(struct logs *l, size_t at, struct str text)
{
    json_t *piece;

    if (cli_wants_table(l->c)) {
        print_text(l, at, text);
        return;
    }
    piece = piece_json(l, &l->list[at]->is, text);
    cli_json_line(l->c->out, piece);
    json_decref(piece);
}

/* ---- reading ---- */

/* Read the next piece. 0, or the exit status after saying why not; a log that is not there is an
 * empty one. */
static int read_piece(struct logs *l, const struct client_log *log, json_t **ret)
{
    json_t *request =
        json_pack("{s:o, s:o, s:I, s:s, s:I, s:i}", "run", json_sprintf("%" PRId64, l->run), "name",
                  format_json(str_of(log->name)), "attempt", (json_int_t)log->attempt, "stream",
                  log->stream, "offset", (json_int_t)log->offset, "max", PIECE_BYTES);
    struct client_problem problem = {.code = CODE_OK};

    if (!client_call(&l->c->client, "logs.read", request, ret, &problem))
        return 0;
    if (problem.code != CODE_LOG_NOT_FOUND)
        return cli_problem(l->c, &problem, NULL);
    client_problem_clear(&l->missing);
    l->missing = problem;
    *ret = NULL;
    return 0;
}

/* All that there is of a log by now. */
static int read_log(struct logs *l, size_t at)
{
    struct client_log *log = &l->list[at]->is;
    struct buf whole;
    int status = 0;
    bool more = true;

    buf_init(&whole, LOGS_BYTES_MAX);
    while (more && !status) {
        json_t *reply = NULL;
        struct str text;

        status = read_piece(l, log, &reply);
        if (!reply) {
            /* Where it is not there yet it may come, unless all is over. */
            log->ended = l->over;
            break;
        }
        text = format_text(reply, "text");
        more = text.n > 0;
        log->offset = format_number(reply, "next_offset", log->offset);
        if (!more)
            log->ended = json_is_true(json_object_get(reply, "end"));
        if (l->c->options.output == OUTPUT_JSON)
            buf_add(&whole, text);
        else if (more)
            tell_text(l, at, text);
        json_decref(reply);
    }
    if (!status && l->c->options.output == OUTPUT_JSON)
        json_array_append_new(l->all, piece_json(l, log, buf_str(&whole)));
    buf_deinit(&whole);
    return status;
}

static int read_all(struct logs *l)
{
    int status = 0;

    for (size_t i = 0; i < l->n && !status; i++)
        if (!l->list[i]->is.ended)
            status = read_log(l, i);
    return status;
}

/* ---- following ---- */

static void hear(struct logs *l, const json_t *event)
{
    struct str kind = format_text(event, "kind"), name = format_text(event, "name");
    int64_t attempt = format_number(json_object_get(event, "data"), "attempt", 0);
    struct str state;

    if (str_starts(kind, STR("run_"))) {
        l->over = ended_state(str_sub(kind, 4, kind.n));
        return;
    }
    if (!str_starts(kind, STR("task_")) || (l->only.n && !str_eq(name, l->only)))
        return;
    state = str_sub(kind, 5, kind.n);
    if (l->only.n)
        l->over = ended_state(state);
    if (str_eq(state, STR("RUNNING")) && attempt && !l->c->options.attempt)
        add_logs(l, name, attempt);
}

static void event_heard(void *context, const json_t *event)
{
    hear(context, event);
}

static struct client_log *wanted(void *context, size_t n)
{
    struct logs *l = context;

    return n < l->n ? &l->list[n]->is : NULL;
}

static void text_heard(void *context, const struct client_log *log, struct str text)
{
    struct logs *l = context;

    tell_text(l, ((const struct log *)log)->at, text);
    fflush(l->c->out);
}

static bool all_ended(const struct logs *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (!l->list[i]->is.ended)
            return false;
    return true;
}

/* The task that was asked for is told to its end, or nobody reads what is told. */
static bool enough(void *context)
{
    const struct logs *l = context;

    return (l->only.n && l->over && all_ended(l)) || ferror(l->c->out);
}

static void notice_heard(void *context, const char *text)
{
    const struct logs *l = context;

    fprintf(l->c->err, "weft: %s\n", text);
}

static int follow(struct logs *l)
{
    const struct client_listener listener = {
        .context = l,
        .event = event_heard,
        .notice = notice_heard,
        .log = wanted,
        .text = text_heard,
        .enough = enough,
    };
    struct client_problem problem = {.code = CODE_OK};

    fflush(l->c->out);
    if (client_follow(&l->c->client, l->run, CLIENT_WATCH, l->seq, &listener, &problem))
        return cli_problem(l->c, &problem, NULL);
    return 0;
}

/* On stderr, so that what is collected from stdout holds nothing but logs. */
static void say_empty(const struct logs *l)
{
    bool out = l->c->options.only_stdout, err = l->c->options.only_stderr;
    struct buf b;

    buf_init(&b, LOGS_BYTES_MAX);
    buf_add(&b, STR("weft: "));
    text_safe(&b, l->only);
    buf_printf(&b, " wrote nothing%s\n", out == err ? "" : out ? " to stdout" : " to stderr");
    fwrite(b.p, 1, b.n, l->c->err);
    buf_deinit(&b);
}

int logs_command(struct cli *c)
{
    struct logs l = {
        .c = c, .newline = true, .last_at = SIZE_MAX, .arena = {NULL, 0, 0}
    };
    bool one_stream = c->options.only_stdout != c->options.only_stderr;
    int status;

    if (c->options.follow && c->options.output == OUTPUT_JSON)
        return cli_refuse(c, CODE_INVALID, "--follow goes with -o jsonl, not with -o json");
    if (c->args_n > 1)
        l.only = str_of(c->args[1]);
    if (c->args_n > 1 && !l.only.n)
        return cli_refuse(c, CODE_INVALID, "the name of the task is empty");
    status = cli_id(c, "run", c->args[0], &l.run);
    if (!status)
        status = cli_connect(c, CLI_EXISTING);
    if (status)
        return status;
    l.headings = !(l.only.n && one_stream && !c->options.follow);
    l.all = json_array();
    l.known = map_new();
    status = report_pages(c, l.run, add_page, &l);
    if (!status && l.only.n && !l.found)
        status = cli_refuse(c, CODE_TASK_NOT_FOUND, "run %" PRId64 " has no task \"" STR_FMT "\"",
                            l.run, STR_ARG(l.only));
    if (!status)
        status = read_all(&l);
    if (!status && c->options.follow)
        status = follow(&l);
    if (!status && l.only.n && l.last_at == SIZE_MAX && l.missing.code != CODE_OK)
        status = cli_problem(c, &l.missing, NULL);
    else if (!status && l.only.n && l.last_at == SIZE_MAX && cli_wants_table(c))
        say_empty(&l);
    if (!status && c->options.output == OUTPUT_JSON)
        cli_json_list(c, "logs", l.all);
    client_problem_clear(&l.missing);
    json_decref(l.all);
    map_free(l.known);
    arena_deinit(&l.arena);
    return status;
}
