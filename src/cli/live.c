/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/live.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"
#include "cli/format.h"
#include "cli/text.h"

#define NAME_BYTES_MAX (16u << 10)
#define LINE_BYTES_MAX (64u << 10)
#define BAR_COLUMNS    10
#define COLOR_DIM      "\x1b[2m"
#define COLOR_END      "\x1b[0m"

static char *safe_text(struct str s)
{
    struct buf b;
    char *text;

    buf_init(&b, NAME_BYTES_MAX);
    text_safe(&b, s);
    text = memory_text(b.n ? b.p : "");
    buf_deinit(&b);
    return text;
}

static enum live_class class_of(enum task_state s)
{
    if (task_held(s))
        return LIVE_ACTIVE;
    if (s == TASK_FAILED)
        return LIVE_FAILED;
    return task_final(s) ? LIVE_DONE : LIVE_WAITING;
}

/* ---- rows ---- */

static struct live_row *row_find(const struct live *v, int64_t id)
{
    uint64_t number = (uint64_t)id, at;

    return map_get(v->by_id, map_key(&number), &at) ? (struct live_row *)(uintptr_t)at : NULL;
}

static void row_drop(struct live *v, struct live_row *row)
{
    uint64_t number = (uint64_t)row->id;

    map_del(v->by_id, map_key(&number));
    list_del(&row->link);
    v->rows_n[class_of(row->state)]--;
    free(row->name);
    free(row);
}

/* Make room for one more of its class by forgetting the oldest. */
static void row_enter(struct live *v, struct live_row *row)
{
    enum live_class class = class_of(row->state);

    list_add(&v->rows[class], &row->link);
    v->rows_n[class]++;
    if (class != LIVE_ACTIVE && v->rows_n[class] > LIVE_KEEP)
        row_drop(v, LIST_OF(v->rows[class].next, struct live_row, link));
}

static struct live_row *row_new(struct live *v, int64_t id, struct str name, enum task_state state)
{
    struct live_row *row = memory_new(sizeof(*row));
    uint64_t number = (uint64_t)id;

    row->id = id;
    row->name = safe_text(name);
    row->state = state;
    row->took_us = -1;
    row->percent = -1;
    map_set(v->by_id, map_key(&number), (uint64_t)(uintptr_t)row);
    row_enter(v, row);
    return row;
}

static void row_move(struct live *v, struct live_row *row, enum task_state to)
{
    list_del(&row->link);
    v->rows_n[class_of(row->state)]--;
    row->state = to;
    row_enter(v, row);
}

static void set_text(struct live_row *row, struct str s)
{
    struct buf b;

    buf_fixed(&b, row->text, sizeof(row->text));
    text_plain(&b, s);
    /* The cut may have gone through a character: what is left of it is shown as U+FFFD. */
}

/* ---- what comes in ---- */

static void add_task(struct live *v, const json_t *task, int64_t now, int64_t utc)
{
    const json_t *attempts = json_object_get(task, "attempts");
    size_t n = json_array_size(attempts);
    const json_t *last = n ? json_array_get(attempts, n - 1) : NULL;
    enum task_state state;
    struct live_row *row;
    int64_t started;

    if (!task_state_parse(format_text(task, "state"), &state))
        return;
    row = row_new(v, format_id(task, "id"), format_text(task, "name"), state);
    row->attempt = (int64_t)n;
    row->begun = now;
    if (state == TASK_RUNNING && clock_parse(format_text(last, "started_at"), &started))
        row->begun -= utc > started ? utc - started : 0;
    row->took_us = format_us(last, "run_time");
    if (state == TASK_FAILED || state == TASK_SKIPPED)
        set_text(row, format_text(task, "detail"));
}

void live_init(struct live *v, const json_t *run, bool color, bool utf8, int64_t now, int64_t utc)
{
    const json_t *counts = json_object_get(run, "counts"), *task;
    int64_t created;
    size_t i;

    *v = (struct live){.color = color, .utf8 = utf8, .begun = now, .by_id = map_new()};
    if (clock_parse(format_text(run, "created_at"), &created) && utc > created)
        v->begun -= utc - created;
    v->run = format_id(run, "id");
    v->title = safe_text(format_text(run, "workflow"));
    for (int class = 0; class < LIVE_CLASS_N; class ++)
        list_init(&v->rows[class]);
    for (int s = 0; s < TASK_STATE_N; s++) {
        v->counts[s] = format_count(counts, task_state_text((enum task_state)s).p);
        v->total += v->counts[s];
    }
    json_array_foreach(json_object_get(run, "tasks"), i, task)
    {
        add_task(v, task, now, utc);
    }
}

void live_deinit(struct live *v)
{
    for (int class = 0; class < LIVE_CLASS_N; class ++)
        LIST_EACH_SAFE(link, &v->rows[class])
    row_drop(v, LIST_OF(link, struct live_row, link));
    v->by_id = map_free(v->by_id);
    free(v->title);
    v->title = NULL;
}

/* What is to be said of a task that has just moved. */
static void describe(struct live_row *row, const json_t *data)
{
    struct arena a = {NULL, 0, 0};
    struct str ending = format_ending(&a, data);

    switch (row->state) {
    case TASK_FAILED:
    case TASK_CANCELLED:
        set_text(row, ending.n ? ending : format_text(data, "reason"));
        break;
    case TASK_DELAYED:
        set_text(row, str_printf(&a, STR_FMT "%sagain at " STR_FMT, STR_ARG(ending),
                                 ending.n ? "; " : "",
                                 STR_ARG(format_clock(&a, format_text(data, "due_at")))));
        break;
    case TASK_SKIPPED:
        set_text(row, format_text(data, "reason"));
        break;
    case TASK_READY:
        set_text(row, ending);
        break;
    case TASK_RUNNING:
    case TASK_SUCCEEDED:
        set_text(row, STR(""));
        break;
    default:
        break;
    }
    arena_deinit(&a);
}

void live_event(struct live *v, const json_t *event, int64_t now)
{
    const json_t *data = json_object_get(event, "data");
    struct str kind = format_text(event, "kind");
    int64_t id = format_id(event, "task");
    enum task_state to, from = TASK_BLOCKED;
    struct live_row *row;

    if (!id || !str_starts(kind, STR("task_")) || !task_state_parse(str_sub(kind, 5, kind.n), &to))
        return;
    row = row_find(v, id);
    if (row) {
        from = row->state;
        row_move(v, row, to);
    } else {
        bool known = task_state_parse(format_text(data, "from"), &from);

        /* The first move of a new task counts from the state that it was counted in when the run
         * was read. */
        if (!known)
            from = v->counts[TASK_BLOCKED] > 0 || to == TASK_READY ? TASK_BLOCKED : TASK_READY;
        row = row_new(v, id, format_text(event, "name"), to);
    }
    if (from != to && v->counts[from] > 0) {
        v->counts[from]--;
        v->counts[to]++;
    }
    if (to == TASK_RUNNING) {
        row->begun = now;
        row->attempt = format_number(data, "attempt", row->attempt + 1);
        row->percent = -1;
    }
    if (format_us(data, "run_s") >= 0)
        row->took_us = format_us(data, "run_s");
    describe(row, data);
}

void live_line(struct live *v, int64_t task, const char *text)
{
    struct live_row *row = row_find(v, task);

    if (row && row->state == TASK_RUNNING)
        set_text(row, str_of(text));
}

void live_progress(struct live *v, int64_t task, int percent, const char *text)
{
    struct live_row *row = row_find(v, task);

    if (!row || row->state != TASK_RUNNING)
        return;
    row->percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    if (*text)
        set_text(row, str_of(text));
}

void live_notice(struct live *v, const char *text)
{
    struct buf b;

    buf_fixed(&b, v->notice, sizeof(v->notice));
    text_plain(&b, str_of(text));
}

/* ---- the picture ---- */

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

static void render_row(const struct live *v, const struct live_row *row, size_t name_columns,
                       size_t columns, int64_t now, struct buf *out)
{
    struct str state = task_state_text(row->state);
    struct pen p = {v, out, columns, 0};
    struct buf name;
    char span[FORMAT_DURATION_BYTES];
    struct str time = STR("");

    pen_color(&p, format_color(state));
    pen_add(&p, str_of(format_glyph(state, v->utf8)));
    pen_color(&p, format_color(state) ? COLOR_END : NULL);
    pen_pad(&p, 1);

    buf_init(&name, NAME_BYTES_MAX);
    text_cut(&name, str_of(row->name), name_columns, v->utf8);
    pen_add(&p, buf_str(&name));
    pen_pad(&p, name_columns - text_width(buf_str(&name)));
    buf_deinit(&name);

    if (row->state == TASK_RUNNING)
        time = format_duration(now - row->begun, span);
    else if (row->took_us >= 0)
        time = format_duration(row->took_us, span);
    pen_pad(&p, time.n < 8 ? 9 - time.n : 1);
    pen_add(&p, time);
    pen_pad(&p, 2);

    if (row->state == TASK_RUNNING && row->percent >= 0) {
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
    } else if (class_of(row->state) == LIVE_WAITING) {
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
    pen_add(&p, str_printf(
                    &a, " %" PRId64 "/%" PRId64 "  " STR_FMT "  " STR_FMT "  run %" PRId64 " of %s",
                    final, v->total, STR_ARG(format_duration(now - v->begun, span)),
                    STR_ARG(format_counts(&a, counts)), v->run, v->title));
    buf_byte(out, '\n');
    json_decref(counts);
    arena_deinit(&a);
}

static int by_id(const void *a, const void *b)
{
    const struct live_row *const *x = a, *const *y = b;

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
