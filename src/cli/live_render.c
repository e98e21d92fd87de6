/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of a run. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/memory.h"
#include "cli/format.h"
#include "cli/live.h"
#include "cli/text.h"

#define NAME_BYTES_MAX (16u << 10)
#define BAR_COLUMNS    10
#define STATE_COLUMNS  (sizeof("CANCELLED/FINAL") + 2)
#define COLOR_DIM      "\x1b[2m"
#define COLOR_END      "\x1b[0m"

/* A line under construction: what is visible is counted, colours are not. */
struct pen {
    const struct live *v;
    struct buf *out;
    size_t left; /* columns */
    size_t owed; /* spaces that are due as soon as something follows */
};

static void pen_add(struct pen *p, struct str s)
{
    size_t width = text_width(s);

    for (; width > 0 && p->owed > 0 && p->left > 0; p->owed--, p->left--)
        buf_byte(p->out, ' ');
    text_cut(p->out, s, p->left, p->v->utf8);
    p->left -= width < p->left ? width : p->left;
}

static void pen_color(struct pen *p, const char *color)
{
    if (p->v->color && color)
        buf_add(p->out, str_of(color));
}

static void pen_pad(struct pen *p, size_t n)
{
    p->owed += n;
}

static void pen_bar(struct pen *p, int64_t part, int64_t whole, size_t columns)
{
    size_t full = whole > 0 ? (size_t)((int64_t)columns * part / whole) : 0;

    for (size_t i = 0; i < columns; i++)
        pen_add(p,
                i < full ? (p->v->utf8 ? STR("█") : STR("#")) : (p->v->utf8 ? STR("░") : STR(".")));
}

static void render_name(struct pen *p, const struct live_row *row, size_t columns)
{
    struct str state = task_state_text(row->state);
    struct buf name;

    pen_color(p, format_color(state));
    pen_add(p, str_of(format_glyph(state, p->v->utf8)));
    pen_color(p, format_color(state) ? COLOR_END : NULL);
    pen_pad(p, 1);

    buf_init(&name, NAME_BYTES_MAX);
    text_cut(&name, str_of(row->name), columns, p->v->utf8);
    pen_add(p, buf_str(&name));
    pen_pad(p, columns - text_width(buf_str(&name)));
    buf_deinit(&name);
}

static void render_time(struct pen *p, const struct live_row *row, int64_t now)
{
    char span[FORMAT_DURATION_BYTES];
    struct str time = STR("");

    if (row->state == TASK_RUNNING)
        time = format_duration(now - row->begun, span);
    else if (row->took_us >= 0)
        time = format_duration(row->took_us, span);
    pen_pad(p, time.n < 8 ? 9 - time.n : 1);
    pen_add(p, time);
    pen_pad(p, 2);
}

/* "READY/WAITING  2 results", "RUNNING on alpha" */
static void render_plan(struct pen *p, const struct live_row *row)
{
    struct str state = task_state_text(row->state);
    size_t width = state.n;

    pen_color(p, format_color(state));
    pen_add(p, state);
    if (row->kind == LIVE_CHECK) {
        pen_add(p, STR("/"));
        pen_add(p, str_of(row->check));
        width += 1 + text_width(str_of(row->check));
    }
    pen_color(p, format_color(state) ? COLOR_END : NULL);
    pen_pad(p, width < STATE_COLUMNS ? STATE_COLUMNS - width : 1);
    if (row->runner[0]) {
        pen_add(p, STR("on "));
        pen_add(p, str_of(row->runner));
        pen_pad(p, 2);
    }
}

static void render_row(const struct live *v, const struct live_row *row, size_t name_columns,
                       size_t columns, int64_t now, struct buf *out)
{
    struct pen p = {v, out, columns, 0};

    render_name(&p, row, name_columns);
    render_time(&p, row, now);
    if (row->kind != LIVE_TASK)
        render_plan(&p, row);
    if (task_held(row->state) && row->percent >= 0) {
        char percent[16];
        struct buf b;

        pen_bar(&p, row->percent, 100, BAR_COLUMNS);
        buf_fixed(&b, percent, sizeof(percent));
        buf_printf(&b, " %3d%%  ", row->percent);
        pen_add(&p, buf_str(&b));
    }
    if (row->attempt > 1 && row->state == TASK_RUNNING) {
        char text[40];
        struct buf b;

        buf_fixed(&b, text, sizeof(text));
        buf_printf(&b, "attempt %" PRId64 "  ", row->attempt);
        pen_add(&p, buf_str(&b));
    }
    if (row->text[0]) {
        pen_color(&p, COLOR_DIM);
        pen_add(&p, str_of(row->text));
        pen_color(&p, COLOR_END);
    } else if (row->kind == LIVE_TASK && live_class(row->state) == LIVE_WAITING) {
        pen_color(&p, COLOR_DIM);
        pen_add(&p, row->state == TASK_READY ? STR("ready") : STR("waiting"));
        pen_color(&p, COLOR_END);
    }
    buf_byte(out, '\n');
}

/* "3/10  8.2s  3 succeeded, 2 running, 5 waiting  run 12 of etl" behind a bar. */
static void render_sum(const struct live *v, size_t columns, int64_t now, struct buf *out)
{
    struct pen p = {v, out, columns, 0};
    struct arena a = {NULL, 0, 0};
    json_t *counts = json_object();
    char span[FORMAT_DURATION_BYTES];
    int64_t final = 0;
    size_t bar = columns / 4 > 30 ? 30 : columns / 4;

    for (int s = 0; s < TASK_STATE_N; s++) {
        struct str name = task_state_text((enum task_state)s);

        json_object_setn_new(counts, name.p, name.n, json_integer(v->counts[s]));
        if (task_final((enum task_state)s))
            final += v->counts[s];
    }
    pen_color(&p, v->counts[TASK_FAILED] ? "\x1b[31m" : "\x1b[32m");
    pen_bar(&p, final, v->total, bar);
    pen_color(&p, COLOR_END);
    pen_add(&p, str_printf(&a,
                           " %" PRId64 "/%" PRId64 "  " STR_FMT "  " STR_FMT "  run %" PRId64
                           " of %s%s",
                           final, v->total, STR_ARG(format_duration(now - v->begun, span)),
                           STR_ARG(format_counts(&a, counts)), v->run, v->title,
                           v->growing ? ", growing" : ""));
    buf_byte(out, '\n');
    json_decref(counts);
    arena_deinit(&a);
}

/* The questions of a plan stand above the work that answers them. */
static int by_id(const void *a, const void *b)
{
    const struct live_row *const *x = a, *const *y = b;
    bool x_asks = (*x)->kind == LIVE_CHECK, y_asks = (*y)->kind == LIVE_CHECK;

    if (x_asks != y_asks)
        return x_asks ? -1 : 1;
    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

/* Choose at most `max` rows: those under way by age, then the newest failures, then what ended
 * last, then what waits. */
static size_t choose(const struct live *v, size_t max, const struct live_row **ret)
{
    static const enum live_class order[] = {LIVE_ACTIVE, LIVE_FAILED, LIVE_DONE, LIVE_WAITING};
    size_t n = 0;

    for (size_t o = 0; o < sizeof(order) / sizeof(order[0]); o++) {
        const struct list *head = &v->rows[order[o]];
        bool oldest_first = order[o] == LIVE_ACTIVE || order[o] == LIVE_WAITING;

        for (struct list *l = oldest_first ? head->next : head->prev; l != head && n < max;
             l = oldest_first ? l->next : l->prev)
            ret[n++] = LIST_OF(l, const struct live_row, link);
    }
    return n;
}

/* "… and 97 waiting, 3 succeeded" of the tasks that are not among the rows. */
static void render_rest(const struct live *v, const struct live_row **rows, size_t n,
                        size_t columns, struct buf *out)
{
    struct pen p = {v, out, columns, 0};
    struct arena a = {NULL, 0, 0};
    json_t *counts = json_object();

    for (int s = 0; s < TASK_STATE_N; s++) {
        struct str name = task_state_text((enum task_state)s);
        int64_t rest = v->counts[s];

        for (size_t i = 0; i < n; i++)
            rest -= rows[i]->state == (enum task_state)s;
        json_object_setn_new(counts, name.p, name.n, json_integer(rest));
    }
    pen_color(&p, COLOR_DIM);
    pen_add(&p, str_printf(&a, "%s and " STR_FMT, v->utf8 ? "…" : "...",
                           STR_ARG(format_counts(&a, counts))));
    pen_color(&p, COLOR_END);
    buf_byte(out, '\n');
    json_decref(counts);
    arena_deinit(&a);
}

void live_render(const struct live *v, size_t rows, size_t columns, int64_t now, struct buf *out)
{
    size_t fixed = 1 + (v->notice[0] != '\0');
    size_t room = rows > fixed ? rows - fixed : 0;
    bool all = v->total <= (int64_t)room && (int64_t)map_count(v->by_id) == v->total;
    const struct live_row **chosen = memory_new((room + 1) * sizeof(void *));
    size_t n = choose(v, all || room == 0 ? room : room - 1, chosen);
    size_t name_columns = 0;

    /* In the order of the file where there is room for all: rows that stay in place are easier to
     * watch. */
    if (all && n)
        qsort(chosen, n, sizeof(void *), by_id);
    for (size_t i = 0; i < n; i++) {
        size_t width = text_width(str_of(chosen[i]->name));

        name_columns = width > name_columns ? width : name_columns;
    }
    if (name_columns > columns / 3)
        name_columns = columns / 3;
    if (name_columns > LIVE_NAME_COLUMNS_MAX)
        name_columns = LIVE_NAME_COLUMNS_MAX;
    for (size_t i = 0; i < n; i++)
        render_row(v, chosen[i], name_columns, columns, now, out);
    if (!all && room > 0 && (int64_t)n < v->total)
        render_rest(v, chosen, n, columns, out);
    if (rows > 0)
        render_sum(v, columns, now, out);
    if (v->notice[0] && rows > 1) {
        struct pen p = {v, out, columns, 0};

        pen_add(&p, str_of(v->notice));
        buf_byte(out, '\n');
    }
    free(chosen);
}
