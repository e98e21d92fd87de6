/* SPDX-License-Identifier: Apache-2.0 */
#include "core/definition.h"

#include "base/clock.h"
#include "base/sentence.h"
#include "core/definition_reader.h"
#include "core/template.h"

#define GUESSES_MAX 1000000u /* each costs up to a microsecond */

#define RESERVED_PREFIX "WEFT_"

/* The keys of a task; those from KEY_TIMEOUT on are the keys of `defaults` too. */
enum {
    KEY_RUN,
    KEY_SH,
    KEY_DESCRIPTION,
    KEY_NEEDS,
    KEY_NOT_BEFORE,
    KEY_TIMEOUT,
    KEY_GRACE,
    KEY_RETRY,
    KEY_CWD,
    KEY_ENV,
    KEY_PRIORITY,
    KEY_N
};

static const struct str task_keys[] = {
    [KEY_RUN] = {"run",        3 },
    [KEY_SH] = {"sh",         2 },
    [KEY_DESCRIPTION] = DEFINITION_KEY("description"),
    [KEY_NEEDS] = {"needs",      5 },
    [KEY_NOT_BEFORE] = {"not_before", 10},
    [KEY_TIMEOUT] = {"timeout",    7 },
    [KEY_GRACE] = {"grace",      5 },
    [KEY_RETRY] = {"retry",      5 },
    [KEY_CWD] = {"cwd",        3 },
    [KEY_ENV] = {"env",        3 },
    [KEY_PRIORITY] = {"priority",   8 },
};

enum {
    TOP_WEFT,
    TOP_NAME,
    TOP_DESCRIPTION,
    TOP_PARAMS,
    TOP_ENV,
    TOP_DEFAULTS,
    TOP_MAX_PARALLEL,
    TOP_TASKS,
    TOP_SCHEMA,
    TOP_N
};

static const struct str top_keys[] = {
    [TOP_WEFT] = {"weft",        4 },
    [TOP_NAME] = {"name",        4 },
    [TOP_DESCRIPTION] = {"description", 11},
    [TOP_PARAMS] = {"params",      6 },
    [TOP_ENV] = {"env",         3 },
    [TOP_DEFAULTS] = {"defaults",    8 },
    [TOP_MAX_PARALLEL] = DEFINITION_KEY("max_parallel"),
    [TOP_TASKS] = {"tasks",       5 },
    [TOP_SCHEMA] = {"$schema",     7 }, /* for editors */
};

/* What tasks start from: the workflow's `env` and `defaults`. */
struct base {
    struct definition_task task;
    struct map *env; /* where its entries are, by name */
    bool env_refers; /* some hold a reference that only an attempt can resolve */
    bool cwd_refers;
};

static bool good_env_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return s.n > 0;
}

static bool check_env_name(struct definition_reader *r, const struct doc *d)
{
    struct str quoted;

    if (good_env_name(d->key) && !str_starts(d->key, STR(RESERVED_PREFIX)))
        return true;
    if (definition_skips(r, d->key_line, d->key_column))
        return false;
    quoted = sentence_quote(&r->scratch, d->key);
    if (good_env_name(d->key))
        definition_bad(r, d->key_line, d->key_column,
                       "the name " STR_FMT " in \"env\" is reserved: weft itself sets names that "
                       "begin with " RESERVED_PREFIX,
                       STR_ARG(quoted));
    else
        definition_bad(r, d->key_line, d->key_column,
                       "a name in \"env\" is a letter or \"_\", then letters, digits and \"_\"; "
                       "found " STR_FMT,
                       STR_ARG(quoted));
    return false;
}

/* Room for `more` entries behind a copy of what a task starts from. */
static bool copy_env(struct definition_reader *r, const struct doc *d, const struct base *base,
                     struct definition_task *t)
{
    const struct env_entry *start = base->task.env; /* t may be the base itself */
    size_t n = base->task.env_n + d->n;

    r->env_n += n;
    if (r->env_n > DEFINITION_ENV_MAX) {
        if (r->env_n - n <= DEFINITION_ENV_MAX)
            definition_bad(r, d->line, d->column,
                           "the tasks have more than %u variables in all, with those that they "
                           "take from the workflow",
                           DEFINITION_ENV_MAX);
        return false;
    }
    t->env = ARENA_ARRAY(r->arena, struct env_entry, n);
    t->env_n = base->task.env_n;
    if (t->env_n)
        memcpy(t->env, start, t->env_n * sizeof(*t->env));
    return true;
}

/* Put the entries of a map over those that the task starts from. Where `own` is set, they are noted
 * there by name. */
static void read_env(struct definition_reader *r, const struct doc *d, const struct base *base,
                     struct map *own, struct definition_task *t)
{
    static const char allowed[] = "a map of texts by name";

    if (d->kind != DOC_MAP) {
        definition_wrong(r, d, "env", allowed);
        return;
    }
    if (!copy_env(r, d, base, t))
        return;
    for (const struct doc *c = d->first; c; c = c->next) {
        struct env_entry e = {.name = c->key};
        uint64_t at = t->env_n;

        if (c->again) {
            definition_again(r, d, c);
            continue;
        }
        if (!check_env_name(r, c) ||
            !definition_spelling(r, c, c->key.p, "text, a number or a boolean", &e.value))
            continue;
        definition_refs(r, c, c->key.p, e.value);
        if (!map_get(base->env, e.name, &at)) {
            if (own)
                map_set(own, e.name, at);
            t->env_n++;
        }
        t->env[at] = e;
    }
}

static void read_on(struct definition_reader *r, const struct doc *d, struct retry_policy *p)
{
    static const char allowed[] =
        "a list of outcomes (failed, timed_out, lost, rejected) and exit codes (1 to 255)";
    bool codes = false;
    uint32_t outcomes = 0;
    enum outcome o;

    if (d->kind != DOC_LIST || !d->n) {
        definition_wrong(r, d, "on", allowed);
        return;
    }
    for (const struct doc *c = d->first; c; c = c->next) {
        if (c->kind == DOC_TEXT && retry_outcome_parse(c->text, &o) &&
            (o == OUTCOME_FAILED || o == OUTCOME_TIMED_OUT || o == OUTCOME_LOST ||
             o == OUTCOME_REJECTED)) {
            outcomes |= 1u << o;
        } else if (c->kind == DOC_INT && c->integer >= 1 && c->integer <= 255) {
            codes = true;
            if (p->exit_codes_n < RETRY_EXIT_CODES_MAX)
                p->exit_codes[p->exit_codes_n++] = (uint8_t)c->integer;
            else
                definition_bad(r, c->line, c->column, "\"on\" has more than %u exit codes",
                               RETRY_EXIT_CODES_MAX);
        } else {
            definition_wrong(r, c, "on", allowed);
        }
    }
    if (codes && outcomes & 1u << OUTCOME_FAILED)
        definition_bad(
            r, d->line, d->column,
            "\"on\" has exit codes and \"failed\", which means all of them; leave one out");
    p->outcomes = outcomes | (codes ? 1u << OUTCOME_FAILED : 0);
}

static void read_backoff(struct definition_reader *r, const struct doc *d, struct retry_policy *p)
{
    enum { BASE, FACTOR, CAP, JITTER, N };
    static const struct str names[] = {
        [BASE] = {"base", 4},
        [FACTOR] = DEFINITION_KEY("factor"),
        [CAP] = {"cap",  3},
        [JITTER] = DEFINITION_KEY("jitter")
    };
    const struct doc *slots[N];

    if (!definition_keys(r, d, "backoff",
                         "a map such as {base: 1s, factor: 2, cap: 1m, jitter: 0.5}", names, N,
                         slots))
        return;
    if (slots[BASE])
        definition_duration(r, slots[BASE], "base", &p->base_us);
    if (slots[FACTOR])
        definition_number(r, slots[FACTOR], "factor", 1, 100, &p->factor);
    if (slots[JITTER])
        definition_number(r, slots[JITTER], "jitter", 0, 1, &p->jitter);
    if (!slots[CAP]) {
        p->cap_us = p->cap_us > p->base_us ? p->cap_us : p->base_us;
        return;
    }
    if (definition_duration(r, slots[CAP], "cap", &p->cap_us) && p->cap_us < p->base_us)
        definition_bad(r, slots[CAP]->line, slots[CAP]->column, "\"cap\" is less than \"base\"");
}

static void read_retry(struct definition_reader *r, const struct doc *d, struct retry_policy *ret)
{
    enum { MAX_ATTEMPTS, BACKOFF, ON, N };
    static const struct str names[] = {
        [MAX_ATTEMPTS] = DEFINITION_KEY("max_attempts"),
        [BACKOFF] = DEFINITION_KEY("backoff"),
        [ON] = DEFINITION_KEY("on"),
    };
    const char *section = r->section;
    const struct doc *slots[N];

    *ret = retry_asked();
    if (d->kind != DOC_MAP) {
        definition_wrong(r, d, "retry",
                         "a map such as {max_attempts: 3, backoff: {base: 1s}, on: [failed]}");
        return;
    }
    r->section = section ? "defaults, retry" : "retry";
    definition_keys(r, d, "retry", "a map", names, N, slots);
    if (slots[MAX_ATTEMPTS])
        definition_integer(r, slots[MAX_ATTEMPTS], "max_attempts", 1, RETRY_ATTEMPTS_MAX,
                           &ret->max_attempts);
    if (slots[BACKOFF])
        read_backoff(r, slots[BACKOFF], ret);
    if (slots[ON])
        read_on(r, slots[ON], ret);
    r->section = section;
}

/* The keys that tasks share with `defaults`, but `env`. */
static void read_common(struct definition_reader *r, const struct doc *const *slots,
                        struct definition_task *t)
{
    if (slots[KEY_TIMEOUT])
        definition_duration(r, slots[KEY_TIMEOUT], "timeout", &t->timeout_us);
    if (slots[KEY_GRACE])
        definition_duration(r, slots[KEY_GRACE], "grace", &t->grace_us);
    if (slots[KEY_RETRY])
        read_retry(r, slots[KEY_RETRY], &t->retry);
    if (slots[KEY_PRIORITY])
        definition_integer(r, slots[KEY_PRIORITY], "priority", -1000, 1000, &t->priority);
    if (slots[KEY_CWD] && definition_text(r, slots[KEY_CWD], "cwd", &t->cwd)) {
        if (!t->cwd.n)
            definition_wrong(r, slots[KEY_CWD], "cwd", "the path of a folder");
        definition_refs(r, slots[KEY_CWD], "cwd", t->cwd);
    }
}

static void read_argv(struct definition_reader *r, const struct doc *d, struct definition_task *t)
{
    static const char allowed[] = "a program and its arguments, such as [cp, a, b]";

    if (d->kind == DOC_TEXT) {
        definition_wrong(r, d, "run",
                         "a program and its arguments, such as [cp, a, b] (a script for the shell "
                         "goes under \"sh\")");
        return;
    }
    if (d->kind != DOC_LIST || !d->n) {
        definition_wrong(r, d, "run",
                         d->kind == DOC_LIST ? "a list of at least the program" : allowed);
        return;
    }
    if (d->n > DEFINITION_ARGS_MAX) {
        definition_bad(r, d->line, d->column, "\"run\" has %u arguments; at most %u are allowed",
                       d->n, DEFINITION_ARGS_MAX);
        return;
    }
    t->argv = ARENA_ARRAY(r->arena, struct str, d->n);
    for (const struct doc *c = d->first; c; c = c->next) {
        struct str *arg = &t->argv[t->argv_n++];

        if (!definition_spelling(r, c, "run", "a list of texts and numbers", arg))
            continue;
        if (!arg->n && t->argv_n == 1)
            definition_bad(r, c->line, c->column,
                           "\"run\" begins with the program, which is empty here");
        definition_refs(r, c, "run", *arg);
    }
}

/* The first reference of ours in a script; the shell's own ${NAME} is none. */
static bool find_reference(struct str script, struct str *ret)
{
    static const struct str starts[] = {
        {"${params.", 9},
        {"${tasks.",  8},
        {"${run.",    6},
        {"${task.",   7}
    };
    size_t at = 0, dollar, end;

    for (; str_find(str_sub(script, at, script.n), '$', &dollar); at += dollar + 1) {
        struct str rest = str_sub(script, at + dollar, script.n);

        for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
            if (!str_starts(rest, starts[i]))
                continue;
            *ret = str_sub(rest, 0, str_find(rest, '}', &end) ? end + 1 : rest.n);
            return true;
        }
    }
    return false;
}

static void read_script(struct definition_reader *r, const struct doc *d, struct definition_task *t)
{
    struct str script, ref;

    if (!definition_text(r, d, "sh", &script))
        return;
    if (!str_trim(script).n) {
        definition_wrong(r, d, "sh", "a script");
        return;
    }
    if (find_reference(script, &ref) && !definition_skips(r, d->line, d->column)) {
        ref = sentence_quote(&r->scratch, ref);
        definition_bad(r, d->line, d->column,
                       "\"sh\" cannot hold the reference " STR_FMT
                       ", since its value would be run as a part of the script; pass it through "
                       "\"env\" (VALUE: " STR_FMT ") and write \"$VALUE\" in the script",
                       STR_ARG(ref), STR_ARG(ref));
    }
    t->argv = ARENA_ARRAY(r->arena, struct str, 3);
    t->argv_n = 3;
    t->argv[0] = STR("/bin/sh");
    t->argv[1] = STR("-euc");
    t->argv[2] = template_quote(r->arena, script); /* ${NAME} is the shell's */
}

static void read_not_before(struct definition_reader *r, const struct doc *d,
                            struct definition_task *t)
{
    static const char allowed[] =
        "a time such as 2026-03-08T07:30:00Z, or a wait after the start of "
        "the run such as 10m or a number of seconds";
    int64_t us;

    if (d->kind == DOC_TEXT && clock_parse(d->text, &t->not_before))
        return;
    if (d->kind == DOC_TEXT && !clock_duration(d->text, &us)) {
        definition_wrong(r, d, "not_before", allowed);
        return;
    }
    if (d->kind == DOC_TEXT || d->kind == DOC_INT || d->kind == DOC_REAL)
        definition_duration(r, d, "not_before", &t->not_before_us);
    else
        definition_wrong(r, d, "not_before", allowed);
}

static void read_program(struct definition_reader *r, const struct doc *map,
                         const struct doc *const *slots, struct definition_task *t)
{
    if (slots[KEY_RUN] && slots[KEY_SH])
        definition_bad(r, slots[KEY_SH]->key_line, slots[KEY_SH]->key_column,
                       "a task has \"run\" or \"sh\", not both");
    if (!slots[KEY_RUN] && !slots[KEY_SH])
        definition_bad(r, map->key_line, map->key_column,
                       "\"run\" (a program and its arguments) or \"sh\" (a script) is missing");
    if (slots[KEY_RUN])
        read_argv(r, slots[KEY_RUN], t);
    else if (slots[KEY_SH])
        read_script(r, slots[KEY_SH], t);
}

/* Read all of a task but its needs, which go to *ret_needs. */
static void read_task(struct definition_reader *r, const struct doc *d, const struct base *base,
                      struct definition_task *t, const struct doc **ret_needs)
{
    const struct doc *slots[KEY_N];

    *t = base->task;
    t->name = d->key;
    t->line = d->key_line;
    t->column = d->key_column;
    definition_name(r, d->key_line, d->key_column, "a task", d->key);
    r->thing = "task";
    r->thing_name = d->key;
    r->refers = false;
    if (definition_keys(r, d, NULL, "a map with the key \"run\" or \"sh\"", task_keys, KEY_N,
                        slots)) {
        read_program(r, d, slots, t);
        read_common(r, slots, t);
        if (slots[KEY_DESCRIPTION])
            definition_text(r, slots[KEY_DESCRIPTION], "description", &t->description);
        if (slots[KEY_NOT_BEFORE])
            read_not_before(r, slots[KEY_NOT_BEFORE], t);
        if (slots[KEY_ENV])
            read_env(r, slots[KEY_ENV], base, NULL, t);
        *ret_needs = slots[KEY_NEEDS];
        t->refers = r->refers || base->env_refers || (base->cwd_refers && !slots[KEY_CWD]);
    }
    r->thing = NULL;
}

/* Give each task its index, so that the others can refer to it. False where there are none. */
static bool index_tasks(struct definition_reader *r, const struct doc *d)
{
    if (d->kind != DOC_MAP || !d->n) {
        definition_wrong(r, d, "tasks",
                         d->kind == DOC_MAP ? "a map of at least one task"
                                            : "a map of tasks by name");
        return false;
    }
    if (d->n > DEFINITION_TASKS_MAX) {
        definition_bad(r, d->line, d->column, "\"tasks\" has %u tasks; at most %u are allowed",
                       d->n, DEFINITION_TASKS_MAX);
        return false;
    }
    r->d->tasks = ARENA_ARRAY(r->arena, struct definition_task, d->n);
    r->task_names = ARENA_ARRAY(&r->scratch, struct str, d->n);
    r->task_docs = ARENA_ARRAY(&r->scratch, const struct doc *, d->n);
    for (const struct doc *c = d->first; c; c = c->next) {
        if (c->again) {
            definition_again(r, d, c);
            continue;
        }
        map_add(r->tasks, c->key, r->d->tasks_n);
        r->task_docs[r->d->tasks_n] = c;
        r->task_names[r->d->tasks_n++] = c->key;
    }
    return true;
}

static void read_tasks(struct definition_reader *r, const struct doc *d, const struct base *base)
{
    const struct doc **needs;

    if (!d) {
        definition_bad(r, 1, 1, "the key \"tasks\" is missing; it is the map of tasks by name");
        return;
    }
    if (!index_tasks(r, d))
        return;
    needs = ARENA_ARRAY(&r->scratch, const struct doc *, r->d->tasks_n);
    for (uint32_t i = 0; i < r->d->tasks_n; i++) {
        r->task = i;
        read_task(r, r->task_docs[i], base, &r->d->tasks[i], &needs[i]);
    }
    definition_needs(r, needs);
}

static void read_defaults(struct definition_reader *r, const struct doc *d, struct base *base)
{
    const struct doc *slots[KEY_N] = {0};
    struct definition_task *t = &base->task;

    r->section = "defaults";
    if (definition_keys(r, d, NULL, "a map with what tasks start from", task_keys + KEY_TIMEOUT,
                        KEY_N - KEY_TIMEOUT, slots + KEY_TIMEOUT)) {
        r->refers = false;
        read_common(r, slots, t);
        base->cwd_refers = r->refers;
        r->refers = base->env_refers;
        if (slots[KEY_ENV])
            read_env(r, slots[KEY_ENV], base, base->env, t);
        base->env_refers = r->refers;
    }
    r->section = NULL;
}

static void read_head(struct definition_reader *r, const struct doc *doc,
                      const struct doc *const *slots, struct str fallback_name)
{
    struct definition *d = r->d;

    if (!slots[TOP_WEFT])
        definition_bad(r, doc->line, doc->column,
                       "the key \"weft\" is missing; write \"weft: 1\", the version of the format");
    else if (slots[TOP_WEFT]->kind != DOC_INT || slots[TOP_WEFT]->integer != 1)
        definition_wrong(r, slots[TOP_WEFT], "weft", "the version of the format, which is 1");
    d->name = fallback_name;
    if (slots[TOP_NAME]) {
        if (definition_text(r, slots[TOP_NAME], "name", &d->name))
            definition_name(r, slots[TOP_NAME]->line, slots[TOP_NAME]->column, "the workflow",
                            d->name);
    } else {
        definition_name(r, doc->line, doc->column, "the workflow", d->name);
    }
    if (slots[TOP_DESCRIPTION])
        definition_text(r, slots[TOP_DESCRIPTION], "description", &d->description);
    if (slots[TOP_MAX_PARALLEL])
        definition_integer(r, slots[TOP_MAX_PARALLEL], "max_parallel", 1, DEFINITION_PARALLEL_MAX,
                           &d->max_parallel);
}

static void read_top(struct definition_reader *r, const struct doc *doc, struct str fallback_name)
{
    const struct doc *slots[TOP_N];
    struct base base = {
        .task = {.grace_us = DEFINITION_GRACE_US, .retry = retry_default()},
        .env = map_new(),
    };

    r->task = DEFINITION_SHARED;
    if (definition_keys(r, doc, NULL, "a map with the keys \"weft\" and \"tasks\"", top_keys, TOP_N,
                        slots)) {
        read_head(r, doc, slots, fallback_name);
        if (slots[TOP_PARAMS])
            definition_params(r, slots[TOP_PARAMS]);
        if (slots[TOP_ENV])
            read_env(r, slots[TOP_ENV], &base, base.env, &base.task);
        r->d->env = base.task.env;
        r->d->env_n = base.task.env_n;
        base.env_refers = r->refers;
        if (slots[TOP_DEFAULTS])
            read_defaults(r, slots[TOP_DEFAULTS], &base);
        read_tasks(r, slots[TOP_TASKS], &base);
    }
    map_free(base.env);
}

int definition_read(struct arena *a, const struct doc *doc, struct str fallback_name,
                    struct definition **ret, struct definition_errors *ret_errors)
{
    struct definition_reader r = {
        .arena = a,
        .d = ARENA_NEW(a, struct definition),
        .errors = ret_errors,
        .params = map_new(),
        .tasks = map_new(),
        .guess_left = GUESSES_MAX,
    };

    *ret_errors = (struct definition_errors){0};
    read_top(&r, doc, fallback_name);
    map_free(r.params);
    map_free(r.tasks);
    arena_deinit(&r.scratch);
    if (ret_errors->n_total)
        return DEFINITION_E_BAD;
    *ret = r.d;
    return 0;
}
