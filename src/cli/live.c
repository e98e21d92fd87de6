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

enum live_class live_class(enum task_state s)
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
    v->rows_n[live_class(row->state)]--;
    free(row->name);
    free(row);
}

/* Make room for one more of its class by forgetting the oldest. */
static void row_enter(struct live *v, struct live_row *row)
{
    enum live_class class = live_class(row->state);

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
    v->rows_n[live_class(row->state)]--;
    row->state = to;
    row_enter(v, row);
}

static void set_plain(char *to, size_t size, struct str s)
{
    struct buf b;

    buf_fixed(&b, to, size);
    text_plain(&b, s);
    /* The cut may have gone through a character: what is left of it is shown as U+FFFD. */
}

static void set_text(struct live_row *row, struct str s)
{
    set_plain(row->text, sizeof(row->text), s);
}

/* Where a check is in TurboCI's words; only checks have it. */
static void set_check(struct live_row *row, struct str state)
{
    if (!state.n)
        return;
    row->kind = LIVE_CHECK;
    set_plain(row->check, sizeof(row->check), state);
}

static void set_runner(struct live_row *row, struct str name)
{
    if (!name.n)
        return;
    row->kind = LIVE_STAGE;
    set_plain(row->runner, sizeof(row->runner), name);
}

static void say_results(struct live_row *row)
{
    struct arena a = {NULL, 0, 0};

    set_text(row, format_results(&a, row->results, row->failures));
    arena_deinit(&a);
}

/* ---- what comes in ---- */

static void add_results(struct live_row *row, const json_t *check)
{
    const json_t *result;
    size_t i;

    row->results = format_number(check, "results_total", 0);
    json_array_foreach(json_object_get(check, "results"), i, result)
    {
        row->failures += json_object_get(result, "failure") != NULL;
        clock_parse(format_text(result, "at"), &row->told_at);
    }
    say_results(row);
}

static void add_plan(struct live_row *row, const json_t *task, const json_t *last,
                     const json_t *workers)
{
    const json_t *check = json_object_get(task, "check");

    if (json_object_get(task, "stage"))
        row->kind = LIVE_STAGE;
    set_check(row, format_text(check, "state"));
    if (last)
        set_runner(row, format_worker(workers, format_text(last, "worker")));
    if (check)
        add_results(row, check);
}

static void add_task(struct live *v, const json_t *task, const json_t *workers, int64_t now,
                     int64_t utc)
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
    add_plan(row, task, last, workers);
    if (state == TASK_FAILED || state == TASK_SKIPPED)
        set_text(row, format_text(task, "detail"));
}

void live_init(struct live *v, const json_t *run, const json_t *workers, bool color, bool utf8,
               int64_t now, int64_t utc)
{
    const json_t *counts = json_object_get(run, "counts"), *task;
    int64_t created;
    size_t i;

    *v = (struct live){.color = color, .utf8 = utf8, .begun = now, .by_id = map_new()};
    if (clock_parse(format_text(run, "created_at"), &created) && utc > created)
        v->begun -= utc - created;
    v->run = format_id(run, "id");
    v->title = safe_text(format_text(run, "workflow"));
    v->growing = json_is_true(json_object_get(run, "growing"));
    for (int class = 0; class < LIVE_CLASS_N; class ++)
        list_init(&v->rows[class]);
    for (int s = 0; s < TASK_STATE_N; s++) {
        v->counts[s] = format_count(counts, task_state_text((enum task_state)s).p);
        v->total += v->counts[s];
    }
    json_array_foreach(json_object_get(run, "tasks"), i, task)
    {
        add_task(v, task, workers, now, utc);
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

/* Where a move is counted from. Those of a plan were read later than the counts, so that its events
 * say it. False: it is new, and was counted nowhere. */
static bool counted_in(const struct live *v, const struct live_row *row, const json_t *data,
                       enum task_state to, enum task_state *ret)
{
    const json_t *from = json_object_get(data, "from");

    if (row && row->kind == LIVE_TASK) {
        *ret = row->state;
        return true;
    }
    if (task_state_parse(format_text(data, "from"), ret))
        return true;
    /* The first move of a new task counts from the state that it had when the run was read. */
    *ret = v->counts[TASK_BLOCKED] > 0 || to == TASK_READY ? TASK_BLOCKED : TASK_READY;
    return !json_is_string(from) || json_string_length(from);
}

static void count_move(struct live *v, enum task_state from, enum task_state to)
{
    if (from == to || v->counts[from] <= 0)
        return;
    v->counts[from]--;
    v->counts[to]++;
}

static struct live_row *moved(struct live *v, const json_t *event, int64_t id, enum task_state to)
{
    struct live_row *row = row_find(v, id);
    enum task_state from;

    if (counted_in(v, row, json_object_get(event, "data"), to, &from)) {
        count_move(v, from, to);
    } else {
        v->counts[to]++;
        v->total++;
    }
    if (!row)
        return row_new(v, id, format_text(event, "name"), to);
    row_move(v, row, to);
    return row;
}

static void hear_state(struct live *v, const json_t *event, int64_t id, enum task_state to,
                       int64_t now)
{
    const json_t *data = json_object_get(event, "data");
    struct live_row *row = moved(v, event, id, to);

    if (to == TASK_RUNNING) {
        row->begun = now;
        row->attempt = format_number(data, "attempt", row->attempt + 1);
        row->percent = -1;
    }
    if (format_us(data, "run_s") >= 0)
        row->took_us = format_us(data, "run_s");
    else if (str_eq(format_text(data, "from"), STR("RUNNING")) && row->begun)
        row->took_us = now - row->begun; /* it ran elsewhere */
    describe(row, data);
    set_check(row, format_text(data, "check"));
    set_runner(row, format_text(data, "runner"));
    if (!format_text(data, "from").n && v->growing && row->kind == LIVE_TASK)
        row->kind = LIVE_STAGE;
    if (row->kind == LIVE_CHECK && row->results)
        say_results(row);
}

static void hear_progress(struct live_row *row, const json_t *data)
{
    int64_t percent = format_number(data, "percent", -1);
    struct str message = format_text(data, "message");

    if (!task_held(row->state))
        return;
    if (percent >= 0)
        row->percent = percent > 100 ? 100 : (int)percent;
    if (message.n)
        set_text(row, message);
}

/* One that was there when the check was read is counted. */
static void hear_result(struct live_row *row, const json_t *data, struct str time)
{
    int64_t at;

    if (clock_parse(time, &at) && at <= row->told_at)
        return;
    row->kind = LIVE_CHECK;
    row->results++;
    row->failures += json_is_true(json_object_get(data, "failed"));
    say_results(row);
}

void live_event(struct live *v, const json_t *event, int64_t now)
{
    const json_t *data = json_object_get(event, "data");
    struct str kind = format_text(event, "kind");
    int64_t id = format_id(event, "task");
    struct live_row *row = id ? row_find(v, id) : NULL;
    enum task_state to;

    if (str_eq(kind, STR("run_sealed")))
        v->growing = false;
    else if (row && str_eq(kind, STR("task_PROGRESS")))
        hear_progress(row, data);
    else if (row && str_eq(kind, STR("check_result")))
        hear_result(row, data, format_text(event, "at"));
    else if (id && str_starts(kind, STR("task_")) &&
             task_state_parse(str_sub(kind, 5, kind.n), &to))
        hear_state(v, event, id, to, now);
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
