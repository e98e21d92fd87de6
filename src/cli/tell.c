/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tell.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cli/format.h"
#include "cli/lines.h"
#include "cli/live.h"
#include "cli/report.h"
#include "cli/text.h"

#define SCREEN_BYTES_MAX (4u << 20)
#define LINES_BYTES_MAX  (1u << 30)

/* ---- a terminal: the picture is drawn over the last one ---- */

struct screen {
    struct cli *c;
    struct live live;
    struct buf picture;
    struct buf frame;
    size_t *widths; /* of the lines on the screen, for a window that became narrower since */
    size_t lines;
};

static void screen_size(const struct screen *s, size_t *ret_rows, size_t *ret_columns)
{
    struct winsize size = {.ws_row = 0};

    ioctl(fileno(s->c->out), TIOCGWINSZ, &size);
    *ret_rows = size.ws_row > 1 ? size.ws_row - 1u : 23;
    *ret_columns = size.ws_col > 1 ? size.ws_col - 1u : 79;
}

/* To the beginning of the last picture, whose lines may be wrapped by now. */
static void screen_home(struct screen *s, size_t columns)
{
    size_t up = 0;

    for (size_t i = 0; i < s->lines; i++)
        up += s->widths[i] > columns ? (s->widths[i] + columns) / (columns + 1) : 1;
    if (up)
        buf_printf(&s->frame, "\x1b[%zuA", up);
    buf_add(&s->frame, STR("\r"));
}

/* Lines of the picture may hold colours, which take no columns. */
static size_t shown_width(struct str line)
{
    struct buf b;
    size_t width;

    buf_init(&b, SCREEN_BYTES_MAX);
    text_plain(&b, line);
    width = text_width(buf_str(&b));
    buf_deinit(&b);
    return width;
}

/* One frame is one write; the cursor is hidden only within it, so that it is there however the
 * program ends. */
static void screen_draw(struct screen *s)
{
    size_t rows, columns, at = 0, n = 0;

    screen_size(s, &rows, &columns);
    buf_clear(&s->picture);
    live_render(&s->live, rows, columns, clock_monotonic(), &s->picture);

    buf_clear(&s->frame);
    buf_add(&s->frame, STR("\x1b[?25l"));
    screen_home(s, columns);
    s->widths = memory_grow(s->widths, (rows + 1) * sizeof(*s->widths));
    while (at < s->picture.n && n < rows) {
        struct str rest = str_sub(buf_str(&s->picture), at, s->picture.n);
        size_t end;

        if (!str_find(rest, '\n', &end))
            end = rest.n;
        buf_add(&s->frame, str_sub(rest, 0, end));
        buf_add(&s->frame, STR("\x1b[K\n"));
        s->widths[n++] = shown_width(str_sub(rest, 0, end));
        at += end + 1;
    }
    s->lines = n;
    buf_add(&s->frame, STR("\x1b[J\x1b[?25h"));
    fwrite(s->frame.p, 1, s->frame.n, s->c->out);
    fflush(s->c->out);
}

static void screen_clear(struct screen *s)
{
    size_t rows, columns;

    screen_size(s, &rows, &columns);
    buf_clear(&s->frame);
    screen_home(s, columns);
    buf_add(&s->frame, STR("\x1b[J"));
    fwrite(s->frame.p, 1, s->frame.n, s->c->out);
    fflush(s->c->out);
    s->lines = 0;
}

static void screen_event(void *context, const json_t *event)
{
    struct screen *s = context;

    live_event(&s->live, event, clock_monotonic());
}

static void screen_line(void *context, int64_t task, const char *text)
{
    struct screen *s = context;

    live_line(&s->live, task, text);
}

static void screen_progress(void *context, int64_t task, int percent, const char *text)
{
    struct screen *s = context;

    live_progress(&s->live, task, percent, text);
}

static void screen_tick(void *context)
{
    screen_draw(context);
}

static void screen_notice(void *context, const char *text)
{
    struct screen *s = context;

    live_notice(&s->live, text);
    screen_draw(s);
}

static int follow_screen(struct cli *c, int64_t run, enum client_follow how, const json_t *head,
                         struct client_problem *problem)
{
    struct screen s = {.c = c};
    struct client_listener listener = {
        .context = &s,
        .event = screen_event,
        .line = screen_line,
        .progress = screen_progress,
        .tick = screen_tick,
        .notice = screen_notice,
    };
    json_t *workers = report_workers(c, head);
    int r;

    live_init(&s.live, head, workers, c->color, c->utf8, clock_monotonic(), clock_utc());
    json_decref(workers);
    buf_init(&s.picture, SCREEN_BYTES_MAX);
    buf_init(&s.frame, SCREEN_BYTES_MAX);
    screen_draw(&s);
    r = client_follow(&c->client, run, how, format_id(head, "seq"), &listener, problem);
    screen_clear(&s);
    live_deinit(&s.live);
    buf_deinit(&s.picture);
    buf_deinit(&s.frame);
    free(s.widths);
    return r;
}

/* ---- a pipe or file: a line for each change ---- */

struct stream {
    struct cli *c;
    struct buf line;
};

/* "task_FAILED" is itself, "task_*" all that begin so; no filter lets all through. */
static bool fits(struct str text, const struct text_list *wanted, bool stars)
{
    for (size_t i = 0; i < wanted->n; i++) {
        struct str w = str_of(wanted->list[i]);

        if (stars && str_ends(w, STR("*")) ? str_starts(text, str_sub(w, 0, w.n - 1))
                                           : str_eq(text, w))
            return true;
    }
    return wanted->n == 0;
}

static bool is_wanted(const struct stream *s, const json_t *event)
{
    const struct options *o = &s->c->options;

    return fits(format_text(event, "kind"), &o->kinds, true) &&
           fits(format_text(event, "name"), &o->tasks, false);
}

static void stream_lines(void *context, const json_t *event)
{
    struct stream *s = context;

    if (!is_wanted(s, event))
        return;
    buf_clear(&s->line);
    lines_event(&s->line, event);
    fwrite(s->line.p, 1, s->line.n, s->c->out);
}

static void stream_json(void *context, const json_t *event)
{
    struct stream *s = context;

    if (is_wanted(s, event))
        cli_json_line(s->c->out, event);
}

static void stream_nothing(void *context, const json_t *event)
{
    (void)context;
    (void)event;
}

static void stream_line(void *context, int64_t task, const char *text)
{
    (void)context;
    (void)task;
    (void)text;
}

static void stream_progress(void *context, int64_t task, int percent, const char *text)
{
    (void)context;
    (void)task;
    (void)percent;
    (void)text;
}

/* Whoever reads the pipe gets what there is ten times a second. */
static void stream_tick(void *context)
{
    struct stream *s = context;

    fflush(s->c->out);
}

static void stream_notice(void *context, const char *text)
{
    struct stream *s = context;

    fflush(s->c->out);
    fprintf(s->c->err, "weft: %s\n", text);
}

static struct client_listener stream_listener(struct stream *s)
{
    return (struct client_listener){
        .context = s,
        .event = stream_nothing,
        .line = stream_line,
        .progress = stream_progress,
        .tick = stream_tick,
        .notice = stream_notice,
    };
}

static int follow_stream(struct cli *c, int64_t run, enum client_follow how, int64_t after,
                         struct client_problem *problem)
{
    struct stream s = {.c = c};
    struct client_listener listener = stream_listener(&s);
    int r;

    if (c->options.output == OUTPUT_JSONL)
        listener.event = stream_json;
    else if (cli_wants_table(c) && !c->options.quiet)
        listener.event = stream_lines;
    buf_init(&s.line, LINES_BYTES_MAX);
    r = client_follow(&c->client, run, how, after, &listener, problem);
    buf_deinit(&s.line);
    fflush(c->out);
    return r;
}

int tell_nothing(struct cli *c, int64_t run, struct client_problem *ret_problem)
{
    struct stream s = {.c = c};
    struct client_listener listener = stream_listener(&s);

    return client_follow(&c->client, run, CLIENT_WATCH, 0, &listener, ret_problem);
}

/* ---- the end ---- */

static void say_going_on(struct cli *c, int64_t run)
{
    if (!c->options.quiet)
        fprintf(c->err, "weft: run %" PRId64 " goes on; look again with " STR_FMT "\n", run,
                STR_ARG(report_hint(c, "runs watch", run, STR(""))));
}

static int tell_end(struct cli *c, int64_t run, const json_t *head)
{
    FILE *out = c->options.quiet ? c->err : c->out;
    int status = 0;

    if (c->options.quiet && report_status(head) == 0)
        return 0;
    if (c->terminal && !c->options.quiet) {
        status = report_tasks(c, run, REPORT_SOME);
        fputc('\n', c->out);
    }
    if (!status && format_count(json_object_get(head, "counts"), "FAILED") > 0)
        status = report_failures(c, out, run);
    report_closing(c, out, head);
    if (c->terminal && !c->options.quiet)
        fprintf(c->out, "%s" STR_FMT "%s\n", c->color ? "\x1b[2m" : "",
                STR_ARG(report_hint(c, "runs show", run, STR(""))), c->color ? "\x1b[0m" : "");
    return status ? status : report_status(head);
}

static int report_end(struct cli *c, int64_t run)
{
    json_t *head;
    int status = report_head(c, run, &head);

    if (status)
        return status;
    if (!report_ended(head))
        say_going_on(c, run);
    if (!cli_wants_table(c)) {
        status = report_json(c, run, REPORT_LAST_LINE);
        if (!status)
            status = report_status(head);
    } else {
        status = report_ended(head) ? tell_end(c, run, head) : report_status(head);
    }
    json_decref(head);
    return status;
}

/* The run before it is followed, with its first page of tasks where there is a picture to be made
 * of it. */
static bool keep_first(void *context, const json_t *run)
{
    json_t **ret = context;

    *ret = json_incref((json_t *)(uintptr_t)run);
    return false;
}

int tell_run(struct cli *c, int64_t run, enum client_follow how, enum tell_from from)
{
    /* A part of the events makes no picture. */
    bool part = c->options.kinds.n || c->options.tasks.n;
    bool screen = c->terminal && cli_wants_table(c) && !c->options.quiet && !part;
    struct client_problem problem = {.code = CODE_OK};
    json_t *head = NULL;
    int status = 0, r = 0;

    if (screen)
        status = report_pages(c, run, keep_first, &head);
    else if (from == TELL_NEWS)
        status = report_head(c, run, &head);
    if (status)
        return status;
    /* What a person may wait for is announced; what has ended is told at once. */
    fflush(c->out);
    if (how == CLIENT_CARRY || !head || !report_ended(head))
        r = screen ? follow_screen(c, run, how, head, &problem)
                   : follow_stream(c, run, how, head ? format_id(head, "seq") : 0, &problem);
    json_decref(head);
    return r ? cli_problem(c, &problem, NULL) : report_end(c, run);
}
