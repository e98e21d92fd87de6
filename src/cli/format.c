/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/format.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "cli/text.h"

struct str format_duration(int64_t us, char out[static FORMAT_DURATION_BYTES])
{
    int64_t s = us / CLOCK_S;
    struct buf b;

    buf_fixed(&b, out, FORMAT_DURATION_BYTES);
    if (us < 0)
        buf_add(&b, STR("0.00s"));
    else if (us < 10 * CLOCK_S)
        buf_printf(&b, "%" PRId64 ".%02" PRId64 "s", s, us / 10000 % 100);
    else if (s < 60)
        buf_printf(&b, "%" PRId64 ".%" PRId64 "s", s, us / 100000 % 10);
    else if (s < 3600)
        buf_printf(&b, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        buf_printf(&b, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    else
        buf_printf(&b, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
    return buf_str(&b);
}

struct str format_bytes(struct arena *a, int64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes / 1024;
    size_t u = 0;

    if (bytes < 1024)
        return str_printf(a, "%" PRId64 " B", bytes);
    while (v >= 1024 && u + 1 < sizeof(units) / sizeof(units[0])) {
        v /= 1024;
        u++;
    }
    return str_printf(a, "%.1f %s", v, units[u]);
}

struct str format_text(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    return (struct str){json_string_value(v), json_string_length(v)};
}

int64_t format_number(const json_t *object, const char *key, int64_t without)
{
    const json_t *v = json_object_get(object, key);

    return json_is_integer(v) ? json_integer_value(v) : without;
}

int64_t format_id(const json_t *object, const char *key)
{
    int64_t id;

    return str_int64(format_text(object, key), &id) ? id : 0;
}

int64_t format_us(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    int64_t us;

    if (json_is_number(v))
        return (int64_t)llround(json_number_value(v) * (double)CLOCK_S);
    return clock_duration(format_text(object, key), &us) ? us : -1;
}

struct str format_time(struct arena *a, struct str time)
{
    if (time.n < 19)
        return STR("");
    return str_printf(a, "%.10s %.8s", time.p, time.p + 11);
}

struct str format_clock(struct arena *a, struct str time)
{
    return time.n < 19 ? STR("") : str_printf(a, "%.8sZ", time.p + 11);
}

struct str format_span(struct arena *a, const json_t *object, const char *key)
{
    char text[FORMAT_DURATION_BYTES];
    int64_t us = format_us(object, key);

    return us < 0 ? STR("") : str_copy(a, format_duration(us, text));
}

struct str format_ending(struct arena *a, const json_t *attempt)
{
    struct str outcome = format_text(attempt, "outcome");
    int64_t signal = format_number(attempt, "signal", 0);
    int64_t code = format_number(attempt, "exit_code", -1);
    const char *name;

    if (str_eq(outcome, STR("timed_out")))
        return STR("timed out");
    if (!str_eq(outcome, STR("failed")))
        return str_eq(outcome, STR("succeeded")) ? STR("") : outcome;
    if (signal > 0) {
        name = sigabbrev_np((int)signal);
        return name ? str_printf(a, "killed by SIG%s", name)
                    : str_printf(a, "killed by signal %" PRId64, signal);
    }
    return code > 0 ? str_printf(a, "exit code %" PRId64, code) : outcome;
}

struct look {
    const char *state;
    const char *color;
    const char *glyph;
    const char *plain;
    const char *word;
    bool final; /* a task's state that it does not leave by itself */
};

/* In the order in which counts are named. */
static const struct look looks[] = {
    {"SUCCEEDED",  "\x1b[32m", "✓", "+", "succeeded",  true },
    {"FAILED",     "\x1b[31m", "✗", "x", "failed",     true },
    {"CANCELLED",  "\x1b[33m", "■", "#", "cancelled",  true },
    {"SKIPPED",    "\x1b[2m",  "⊘", "-", "skipped",    true },
    {"RUNNING",    "\x1b[36m", "●", "*", "running",    false},
    {"LEASED",     "\x1b[36m", "◌", "o", "starting",   false},
    {"READY",      NULL,       "◌", "o", "ready",      false},
    {"DELAYED",    "\x1b[33m", "◷", "~", "delayed",    false},
    {"BLOCKED",    "\x1b[2m",  "○", ".", "waiting",    false},
    {"CANCELLING", "\x1b[33m", "■", "#", "cancelling", false},
};
#define LOOKS_N (sizeof(looks) / sizeof(looks[0]))

static const struct look *look_of(struct str state)
{
    for (size_t i = 0; i < LOOKS_N; i++)
        if (str_eq(state, str_of(looks[i].state)))
            return &looks[i];
    return NULL;
}

const char *format_color(struct str state)
{
    const struct look *l = look_of(state);

    return l ? l->color : NULL;
}

const char *format_glyph(struct str state, bool utf8)
{
    const struct look *l = look_of(state);

    return !l ? "?" : utf8 ? l->glyph : l->plain;
}

/* Counts of tasks are named in small letters, those of runs by their states. */
int64_t format_count(const json_t *counts, const char *state)
{
    char name[32] = "";

    for (size_t i = 0; state[i] && i + 1 < sizeof(name); i++)
        name[i] = (char)tolower((unsigned char)state[i]);
    return format_number(counts, name, format_number(counts, state, 0));
}

struct str format_counts(struct arena *a, const json_t *counts)
{
    struct str all = STR("");

    for (size_t i = 0; i < LOOKS_N; i++) {
        int64_t n = format_count(counts, looks[i].state);

        if (n > 0)
            all = str_printf(a, STR_FMT "%s%" PRId64 " %s", STR_ARG(all), all.n ? ", " : "", n,
                             looks[i].word);
    }
    return all;
}

int64_t format_counts_total(const json_t *counts, int64_t *ret_final)
{
    int64_t total = 0, final = 0;

    for (size_t i = 0; i < LOOKS_N; i++) {
        int64_t n = format_count(counts, looks[i].state);

        total += n;
        if (looks[i].final)
            final += n;
    }
    if (ret_final)
        *ret_final = final;
    return total;
}

struct str format_n(struct arena *a, int64_t n, const char *noun)
{
    return str_printf(a, "%" PRId64 " %s%s", n, noun, n == 1 ? "" : "s");
}

json_t *format_json(struct str s)
{
    json_t *value = json_stringn(s.n ? s.p : "", s.n);
    struct buf b;

    if (value)
        return value;
    buf_init(&b, 3 * s.n + 1);
    for (size_t bytes; s.n; s = str_sub(s, bytes, s.n)) {
        uint32_t c = text_char(s, &bytes);

        buf_add(&b, c == 0xFFFD ? STR("\uFFFD") : str_sub(s, 0, bytes));
    }
    value = json_stringn(b.p, b.n);
    buf_deinit(&b);
    return value;
}

int64_t format_slots(const json_t *worker)
{
    return format_number(worker, "slots", 0) - format_number(worker, "ahead", 0);
}

struct str format_results(struct arena *a, int64_t results, int64_t failures)
{
    struct str n = results ? format_n(a, results, "result") : STR("");

    return failures ? str_printf(a, STR_FMT ", %" PRId64 " failed", STR_ARG(n), failures) : n;
}

struct str format_worker(const json_t *workers, struct str id)
{
    const json_t *worker;
    size_t i;

    json_array_foreach(workers, i, worker)
    {
        if (id.n && str_eq(format_text(worker, "id"), id))
            return format_text(worker, "name");
    }
    return STR("");
}

struct str format_task_state(struct arena *a, const json_t *task)
{
    struct str state = format_text(task, "state");
    struct str check = format_text(json_object_get(task, "check"), "state");

    return check.n ? str_printf(a, STR_FMT "/" STR_FMT, STR_ARG(state), STR_ARG(check)) : state;
}
