/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lines.h"

#include <inttypes.h>

#include "cli/format.h"
#include "cli/text.h"
#include "core/task.h"

/* A task that a write of a plan has made. */
static bool is_new(const json_t *data)
{
    const json_t *from = json_object_get(data, "from");

    return json_is_string(from) && json_string_length(from) == 0;
}

/* Whether a state is worth a line: a task that is handed out will run at once, unless its runner
 * has to accept it, and one that becomes ready for the first time was waiting for that. */
static bool worth_telling(struct str state, const json_t *data)
{
    if (is_new(data) || format_text(data, "check").n)
        return true;
    if (str_eq(state, STR("LEASED")))
        return format_text(data, "runner").n;
    if (str_eq(state, STR("BLOCKED")))
        return false;
    if (!str_eq(state, STR("READY")))
        return true;
    return format_text(data, "outcome").n || str_eq(format_text(data, "reason"), STR("requeued"));
}

/* A word that says no more than the state does: "CANCELLED (cancelled)". */
static bool says_more(struct str word, struct str state)
{
    return word.n && !(str_eq(state, STR("CANCELLED")) && str_eq(word, STR("cancelled")));
}

static void add_task(struct buf *out, struct arena *a, const json_t *event, struct str state)
{
    const json_t *data = json_object_get(event, "data");
    struct str ending = format_ending(a, data), span = format_span(a, data, "run_s");
    struct str reason = format_text(data, "reason"), due = format_text(data, "due_at");
    struct str check = format_text(data, "check"), runner = format_text(data, "runner");
    int64_t attempt = format_number(data, "attempt", 0);
    enum task_state s;
    /* What moves on has no reason of its own, but that of waiting, which its state says. */
    bool waits = (check.n || is_new(data)) && task_state_parse(state, &s) && !task_final(s);

    text_safe(out, format_text(event, "name"));
    buf_printf(out, " " STR_FMT, STR_ARG(state));
    if (check.n)
        buf_printf(out, "/" STR_FMT, STR_ARG(check));
    if (attempt > 0 && !str_eq(state, STR("SUCCEEDED")))
        buf_printf(out, " attempt %" PRId64, attempt);
    if (runner.n) {
        buf_add(out, STR(" on "));
        text_safe(out, runner);
    }
    if (says_more(ending, state))
        buf_printf(out, " " STR_FMT, STR_ARG(ending));
    if (span.n)
        buf_printf(out, " " STR_FMT, STR_ARG(span));
    if (str_eq(state, STR("DELAYED")) && due.n)
        buf_printf(out, " until " STR_FMT, STR_ARG(format_clock(a, due)));
    if (!str_eq(state, STR("RUNNING")) && !runner.n && !waits && says_more(reason, state) &&
        !str_eq(reason, format_text(data, "outcome"))) {
        buf_add(out, STR(" ("));
        text_safe(out, reason);
        buf_byte(out, ')');
    }
}

/* "compile 40% linking" */
static void add_progress(struct buf *out, const json_t *event)
{
    const json_t *data = json_object_get(event, "data");
    int64_t percent = format_number(data, "percent", -1);
    struct str message = format_text(data, "message");

    text_safe(out, format_text(event, "name"));
    if (percent >= 0)
        buf_printf(out, " %" PRId64 "%%", percent);
    if (message.n)
        buf_byte(out, ' ');
    text_plain(out, message);
}

static void add_result(struct buf *out, const json_t *event)
{
    const json_t *data = json_object_get(event, "data");

    text_safe(out, format_text(event, "name"));
    buf_printf(out, " has a%s result%s",
               json_is_true(json_object_get(data, "final")) ? " final" : "",
               json_is_true(json_object_get(data, "failed")) ? ", with a failure" : "");
}

void lines_event(struct buf *out, const json_t *event)
{
    struct arena a = {NULL, 0, 0};
    struct str kind = format_text(event, "kind");
    size_t at;

    if (str_find(kind, '_', &at)) {
        struct str noun = str_sub(kind, 0, at), state = str_sub(kind, at + 1, kind.n);
        struct str time = format_clock(&a, format_text(event, "at"));
        bool task = str_eq(noun, STR("task"));

        if (str_eq(kind, STR("task_PROGRESS"))) {
            buf_printf(out, STR_FMT " ", STR_ARG(time));
            add_progress(out, event);
            buf_byte(out, '\n');
        } else if (str_eq(kind, STR("check_result"))) {
            buf_printf(out, STR_FMT " ", STR_ARG(time));
            add_result(out, event);
            buf_byte(out, '\n');
        } else if (task && worth_telling(state, json_object_get(event, "data"))) {
            buf_printf(out, STR_FMT " ", STR_ARG(time));
            add_task(out, &a, event, state);
            buf_byte(out, '\n');
        } else if (str_eq(noun, STR("run"))) {
            buf_printf(out, STR_FMT " run " STR_FMT " " STR_FMT "\n", STR_ARG(time),
                       STR_ARG(format_text(event, "run")), STR_ARG(state));
        }
    }
    arena_deinit(&a);
}
