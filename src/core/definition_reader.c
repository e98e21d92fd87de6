/* SPDX-License-Identifier: Apache-2.0 */
#include "core/definition_reader.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/sentence.h"
#include "core/template.h"

#define SENTENCE_BYTES_MAX 4096u

static bool before(unsigned line, unsigned column, const struct doc_error *e)
{
    return line < e->line || (line == e->line && column < e->column);
}

static bool keeps(const struct definition_errors *errors, unsigned line, unsigned column)
{
    return errors->n < DEFINITION_ERRORS_MAX || before(line, column, &errors->list[errors->n - 1]);
}

bool definition_skips(struct definition_reader *r, unsigned line, unsigned column)
{
    if (keeps(r->errors, line, column))
        return false;
    r->errors->n_total++;
    return true;
}

/* `task "extract", retry: ` */
static void say_where(struct definition_reader *r, struct buf *b)
{
    struct str name;

    if (r->thing) {
        name = sentence_quote(&r->scratch, r->thing_name);
        buf_printf(b, "%s " STR_FMT, r->thing, STR_ARG(name));
    }
    if (r->section)
        buf_printf(b, "%s%s", r->thing ? ", " : "", r->section);
    if (r->thing || r->section)
        buf_add(b, STR(": "));
}

void definition_bad(struct definition_reader *r, unsigned line, unsigned column, const char *format,
                    ...)
{
    struct definition_errors *errors = r->errors;
    struct buf b;
    va_list args;
    size_t at;

    if (definition_skips(r, line, column))
        return;
    errors->n_total++;
    if (!errors->list)
        errors->list = ARENA_ARRAY(r->arena, struct doc_error, DEFINITION_ERRORS_MAX);
    if (errors->n < DEFINITION_ERRORS_MAX)
        errors->n++;
    for (at = errors->n - 1; at > 0 && before(line, column, &errors->list[at - 1]); at--)
        errors->list[at] = errors->list[at - 1];
    buf_init(&b, SENTENCE_BYTES_MAX);
    say_where(r, &b);
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    errors->list[at] = (struct doc_error){line, column, str_copy(r->arena, buf_str(&b))};
    buf_deinit(&b);
}

/* What a value is, in a sentence: a text in quotes, a number as it is spelled, a list. */
static struct str found(struct definition_reader *r, const struct doc *d)
{
    if (d->kind == DOC_TEXT)
        return sentence_quote(&r->scratch, d->text);
    if (d->kind == DOC_BOOL || d->kind == DOC_INT || d->kind == DOC_REAL)
        return str_sub(d->text, 0, SENTENCE_QUOTE_BYTES_MAX);
    if (d->kind != DOC_NULL && !d->n)
        return d->kind == DOC_LIST ? STR("an empty list") : STR("an empty map");
    return str_of(doc_kind_text(d->kind));
}

void definition_wrong(struct definition_reader *r, const struct doc *at, const char *key,
                      const char *allowed)
{
    struct str what;

    if (definition_skips(r, at->line, at->column))
        return;
    what = found(r, at);
    if (key)
        definition_bad(r, at->line, at->column, "\"%s\" is %s; found " STR_FMT, key, allowed,
                       STR_ARG(what));
    else
        definition_bad(r, at->line, at->column, "%s was expected; found " STR_FMT, allowed,
                       STR_ARG(what));
}

struct str definition_guess(struct definition_reader *r, struct str wrong, const struct str *names,
                            size_t n)
{
    struct sentence_nearest nearest;
    struct str quoted;

    sentence_nearest_init(&nearest, wrong);
    for (size_t i = 0; i < n && r->guess_left; i++, r->guess_left--)
        sentence_nearest_try(&nearest, names[i]);
    if (!nearest.best.p)
        return STR("");
    quoted = sentence_quote(&r->scratch, nearest.best);
    return str_printf(&r->scratch, "; did you mean " STR_FMT "?", STR_ARG(quoted));
}

void definition_again(struct definition_reader *r, const struct doc *map, const struct doc *value)
{
    const struct doc *first;
    struct str key;

    if (definition_skips(r, value->key_line, value->key_column))
        return;
    first = doc_get(map, value->key);
    key = sentence_quote(&r->scratch, value->key);
    definition_bad(r, value->key_line, value->key_column,
                   "the key " STR_FMT " stands here twice; the first is at line %u, column %u",
                   STR_ARG(key), first->key_line, first->key_column);
}

/* What other programs call our keys. */
static const char *const synonyms[][2] = {
    {"cmd",          "run"         },
    {"command",      "run"         },
    {"args",         "run"         },
    {"exec",         "run"         },
    {"script",       "sh"          },
    {"shell",        "sh"          },
    {"depends_on",   "needs"       },
    {"dependencies", "needs"       },
    {"depends",      "needs"       },
    {"requires",     "needs"       },
    {"after",        "needs"       },
    {"dir",          "cwd"         },
    {"directory",    "cwd"         },
    {"working_dir",  "cwd"         },
    {"workdir",      "cwd"         },
    {"environment",  "env"         },
    {"variables",    "env"         },
    {"vars",         "env"         },
    {"retries",      "retry"       },
    {"max_retries",  "retry"       },
    {"attempts",     "max_attempts"},
    {"retries",      "max_attempts"},
    {"delay",        "backoff"     },
    {"parameters",   "params"      },
    {"inputs",       "params"      },
    {"jobs",         "tasks"       },
    {"steps",        "tasks"       },
    {"nodes",        "tasks"       },
    {"concurrency",  "max_parallel"},
    {"parallelism",  "max_parallel"},
    {"parallel",     "max_parallel"},
    {"version",      "weft"        },
    {"title",        "name"        },
    {"id",           "name"        },
    {"desc",         "description" },
    {"values",       "choices"     },
    {"enum",         "choices"     },
    {"min",          "minimum"     },
    {"max",          "maximum"     },
    {"regex",        "pattern"     },
    {"any",          "one_done"    },
    {"all",          "all_success" },
    {"start_at",     "not_before"  },
    {"time_limit",   "timeout"     },
};

static struct str guess_key(struct definition_reader *r, struct str wrong, const struct str *names,
                            size_t n)
{
    size_t at;

    for (size_t i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); i++)
        if (str_eq(wrong, str_of(synonyms[i][0])) &&
            str_index(str_of(synonyms[i][1]), names, n, &at))
            return str_printf(&r->scratch, "; did you mean \"%s\"?", synonyms[i][1]);
    return definition_guess(r, wrong, names, n);
}

static void unknown_key(struct definition_reader *r, const struct doc *value,
                        const struct str *names, size_t n)
{
    struct str guess, key;
    struct buf list;

    if (definition_skips(r, value->key_line, value->key_column))
        return;
    guess = guess_key(r, value->key, names, n);
    key = sentence_quote(&r->scratch, value->key);
    buf_init(&list, SENTENCE_BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        if (names[i].p[0] != '$') /* that is for editors */
            buf_printf(&list, "%s" STR_FMT, i ? ", " : "", STR_ARG(names[i]));
    definition_bad(r, value->key_line, value->key_column,
                   "unknown key " STR_FMT STR_FMT " (allowed: " STR_FMT ")", STR_ARG(key),
                   STR_ARG(guess), STR_ARG(buf_str(&list)));
    buf_deinit(&list);
}

bool definition_keys(struct definition_reader *r, const struct doc *map, const char *key,
                     const char *allowed, const struct str *names, size_t n,
                     const struct doc **slots)
{
    for (size_t i = 0; i < n; i++)
        slots[i] = NULL;
    if (map->kind != DOC_MAP) {
        definition_wrong(r, map, key, allowed);
        return false;
    }
    for (const struct doc *d = map->first; d; d = d->next) {
        size_t i;

        if (d->again)
            definition_again(r, map, d);
        else if (str_index(d->key, names, n, &i))
            slots[i] = d;
        else
            unknown_key(r, d, names, n);
    }
    return true;
}

static bool fits(struct definition_reader *r, const struct doc *d, const char *key)
{
    if (d->text.n <= DEFINITION_TEXT_BYTES_MAX)
        return true;
    definition_bad(r, d->line, d->column, "\"%s\" has a text of %zu bytes; at most %u are allowed",
                   key, d->text.n, DEFINITION_TEXT_BYTES_MAX);
    return false;
}

bool definition_text(struct definition_reader *r, const struct doc *d, const char *key,
                     struct str *ret)
{
    struct str what;

    if (d->kind == DOC_BOOL || d->kind == DOC_INT || d->kind == DOC_REAL) {
        what = found(r, d);
        definition_bad(r, d->line, d->column,
                       "\"%s\" is text; found " STR_FMT " (text that looks like that needs quotes)",
                       key, STR_ARG(what));
        return false;
    }
    if (d->kind != DOC_TEXT) {
        definition_wrong(r, d, key, "text");
        return false;
    }
    *ret = d->text;
    return fits(r, d, key);
}

bool definition_spelling(struct definition_reader *r, const struct doc *d, const char *key,
                         const char *allowed, struct str *ret)
{
    if (d->kind == DOC_NULL || d->kind == DOC_LIST || d->kind == DOC_MAP) {
        definition_wrong(r, d, key, allowed);
        return false;
    }
    *ret = d->text;
    return fits(r, d, key);
}

bool definition_integer(struct definition_reader *r, const struct doc *d, const char *key,
                        int64_t least, int64_t most, int64_t *ret)
{
    struct str allowed;

    if (d->kind == DOC_INT && d->integer >= least && d->integer <= most) {
        *ret = d->integer;
        return true;
    }
    allowed = str_printf(&r->scratch, "an integer from %" PRId64 " to %" PRId64, least, most);
    definition_wrong(r, d, key, allowed.p);
    return false;
}

bool definition_number(struct definition_reader *r, const struct doc *d, const char *key,
                       double least, double most, double *ret)
{
    double v = d->kind == DOC_INT ? (double)d->integer : d->kind == DOC_REAL ? d->real : most + 1;
    struct str low, high;

    if (v >= least && v <= most) {
        *ret = v;
        return true;
    }
    low = doc_real_text(&r->scratch, least);
    high = doc_real_text(&r->scratch, most);
    definition_wrong(r, d, key,
                     str_printf(&r->scratch, "a number from " STR_FMT " to " STR_FMT, STR_ARG(low),
                                STR_ARG(high))
                         .p);
    return false;
}

/* Less than 0 where it is no duration. */
static double seconds_of(const struct doc *d)
{
    int64_t us;

    if (d->kind == DOC_INT)
        return (double)d->integer;
    if (d->kind == DOC_REAL)
        return d->real;
    if (d->kind == DOC_TEXT && clock_duration(d->text, &us))
        return (double)us / (double)CLOCK_S;
    return -1;
}

bool definition_duration(struct definition_reader *r, const struct doc *d, const char *key,
                         int64_t *ret_us)
{
    double seconds = seconds_of(d);

    if (!(seconds >= 0)) {
        definition_wrong(r, d, key, "a duration such as 90s, 5m or 1h30m, or a number of seconds");
        return false;
    }
    if (seconds > (double)DEFINITION_TIMEOUT_US_MAX / (double)CLOCK_S) {
        definition_wrong(r, d, key, "at most 366 days");
        return false;
    }
    *ret_us = (int64_t)(seconds * (double)CLOCK_S + 0.5);
    return true;
}

/* What is wrong with a name; NULL where it is good. */
static const char *name_problem(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (s.n == 0)
        return "is empty";
    if (s.n > DEFINITION_NAME_BYTES_MAX)
        return "is longer than 200 bytes";
    if (str_eq(s, STR(".")) || str_eq(s, STR("..")))
        return "is that of a folder";
    for (size_t i = 0; i < s.n; i++) {
        if (p[i] == '/')
            return "holds a \"/\"";
        if (p[i] < 0x20 || p[i] == 0x7f || (p[i] == 0xc2 && i + 1 < s.n && p[i + 1] < 0xa0))
            return "holds a control character";
    }
    return NULL;
}

bool definition_name(struct definition_reader *r, unsigned line, unsigned column, const char *what,
                     struct str name)
{
    const char *problem = name_problem(name);
    struct str quoted;

    if (!problem)
        return true;
    quoted = sentence_quote(&r->scratch, name);
    definition_bad(r, line, column,
                   "the name " STR_FMT " of %s %s; a name has 1 to %u bytes, without \"/\" and "
                   "control characters",
                   STR_ARG(quoted), what, problem, DEFINITION_NAME_BYTES_MAX);
    return false;
}

/* A text whose references are looked at. */
struct scan {
    struct definition_reader *r;
    const struct doc *at;
    const char *key;
};

static void check_param(const struct scan *s, struct str name)
{
    struct definition_reader *r = s->r;
    struct str quoted, guess;

    if (map_get(r->params, name, NULL) || definition_skips(r, s->at->line, s->at->column))
        return;
    quoted = sentence_quote(&r->scratch, name);
    guess = definition_guess(r, name, r->param_names, r->d->params_n);
    definition_bad(r, s->at->line, s->at->column,
                   "\"%s\" refers to the param " STR_FMT ", which is not defined" STR_FMT, s->key,
                   STR_ARG(quoted), STR_ARG(guess));
}

static void add_ref(const struct scan *s, uint32_t target)
{
    struct definition_reader *r = s->r;

    if (r->refs_n == r->refs_cap) {
        size_t cap = r->refs_cap ? r->refs_cap * 2 : 64;

        r->refs = arena_grow(&r->scratch, r->refs, r->refs_cap * sizeof(*r->refs),
                             cap * sizeof(*r->refs));
        r->refs_cap = cap;
    }
    r->refs[r->refs_n++] = (struct definition_ref){r->task, target, s->at, s->key};
}

static void check_output(const struct scan *s, struct str name)
{
    struct definition_reader *r = s->r;
    struct str quoted, guess;
    uint64_t target;

    if (r->task == DEFINITION_SHARED) {
        definition_bad(r, s->at->line, s->at->column,
                       "\"%s\" is shared by all tasks here and cannot refer to the output of one; "
                       "write it in the tasks that need it",
                       s->key);
        return;
    }
    if (map_get(r->tasks, name, &target)) {
        add_ref(s, (uint32_t)target);
        return;
    }
    if (definition_skips(r, s->at->line, s->at->column))
        return;
    quoted = sentence_quote(&r->scratch, name);
    guess = definition_guess(r, name, r->task_names, r->d->tasks_n);
    definition_bad(r, s->at->line, s->at->column,
                   "\"%s\" refers to the output of the task " STR_FMT
                   ", which is not defined" STR_FMT,
                   s->key, STR_ARG(quoted), STR_ARG(guess));
}

static void check_ref(void *context, const struct template_ref *ref)
{
    const struct scan *s = context;

    if (ref->kind == TEMPLATE_PARAM)
        check_param(s, ref->name);
    if (ref->kind == TEMPLATE_TASK_OUTPUT)
        check_output(s, ref->name);
    s->r->refers |= ref->kind == TEMPLATE_TASK_OUTPUT || ref->kind == TEMPLATE_TASK_ATTEMPT;
}

void definition_refs(struct definition_reader *r, const struct doc *d, const char *key,
                     struct str text)
{
    struct scan s = {r, d, key};
    struct str error;

    if (!str_find(text, '$', NULL))
        return;
    if (template_scan(&r->scratch, text, check_ref, &s, &error))
        definition_bad(r, d->line, d->column, "\"%s\": " STR_FMT, key, STR_ARG(error));
}
