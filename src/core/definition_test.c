/* SPDX-License-Identifier: Apache-2.0 */
#include "core/definition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"

#define ROWS_N(rows) (sizeof(rows) / sizeof((rows)[0]))

static void say_text(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            buf_add(b, STR("\\n"));
        else
            buf_byte(b, s.p[i]);
    }
}

static void say_quoted(struct buf *b, struct str s)
{
    if (!s.n)
        return;
    buf_add(b, STR(" \""));
    say_text(b, s);
    buf_byte(b, '"');
}

static void say_param(struct buf *b, const struct param *p)
{
    static const char *const types[] = {"string", "integer", "number", "boolean", "enum"};

    buf_printf(b, "param " STR_FMT ": %s", STR_ARG(p->name), types[p->type]);
    if (p->has_minimum || p->has_maximum)
        buf_printf(b, " %g … %g", p->minimum, p->maximum);
    say_quoted(b, p->pattern);
    for (size_t i = 0; i < p->choices_n; i++)
        buf_printf(b, "%s" STR_FMT, i ? "|" : " ", STR_ARG(p->choices[i]));
    if (p->has_default)
        buf_printf(b, " = " STR_FMT, STR_ARG(p->fallback));
    else
        buf_add(b, STR(" required"));
    say_quoted(b, p->description);
    buf_byte(b, '\n');
}

static void say_env(struct buf *b, const struct env_entry *env, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, " " STR_FMT "=", STR_ARG(env[i].name));
        say_text(b, env[i].value);
    }
}

static void say_needs(struct buf *b, const struct definition *d, const struct definition_task *t)
{
    for (size_t g = 0; g < t->groups_n; g++) {
        const struct definition_group *group = &t->groups[g];

        buf_printf(b, "%s " STR_FMT, g ? "" : " needs", STR_ARG(group_rule_text(group->rule)));
        if (group->rule == GROUP_AT_LEAST)
            buf_printf(b, " %d", (int)group->need);
        for (size_t i = 0; i < group->from_n; i++)
            buf_printf(b, "%c" STR_FMT, i ? ' ' : '(', STR_ARG(d->tasks[group->from[i]].name));
        buf_byte(b, ')');
    }
}

/* A task in one line; what is as it is without a word is left out. */
static void say_task(struct buf *b, const struct definition *d, const struct definition_task *t)
{
    struct retry_policy usual = retry_default();
    char text[RETRY_TEXT_BYTES], usual_text[RETRY_TEXT_BYTES];
    struct str retry = retry_format(&t->retry, text);

    buf_printf(b, "task " STR_FMT ": ", STR_ARG(t->name));
    for (size_t i = 0; i < t->argv_n; i++) {
        buf_add(b, i ? STR("|") : STR(""));
        say_text(b, t->argv[i]);
    }
    if (t->timeout_us)
        buf_printf(b, " timeout=%lld", (long long)t->timeout_us);
    if (t->grace_us != DEFINITION_GRACE_US)
        buf_printf(b, " grace=%lld", (long long)t->grace_us);
    if (t->priority)
        buf_printf(b, " priority=%lld", (long long)t->priority);
    if (t->not_before)
        buf_printf(b, " at=%lld", (long long)t->not_before);
    if (t->not_before_us)
        buf_printf(b, " after=%lld", (long long)t->not_before_us);
    if (t->cwd.n)
        buf_printf(b, " cwd=" STR_FMT, STR_ARG(t->cwd));
    say_env(b, t->env, t->env_n);
    if (t->refers)
        buf_add(b, STR(" refers"));
    say_needs(b, d, t);
    say_quoted(b, t->description);
    if (!str_eq(retry, retry_format(&usual, usual_text)))
        buf_printf(b, " retry " STR_FMT, STR_ARG(retry));
    buf_byte(b, '\n');
}

static void say_definition(struct buf *b, const struct definition *d)
{
    buf_add(b, STR("workflow "));
    say_text(b, d->name);
    if (d->max_parallel)
        buf_printf(b, ", at most %d at once", (int)d->max_parallel);
    if (d->description.n)
        buf_byte(b, ',');
    say_quoted(b, d->description);
    buf_byte(b, '\n');
    for (size_t i = 0; i < d->params_n; i++)
        say_param(b, &d->params[i]);
    if (d->env_n) {
        buf_add(b, STR("env"));
        say_env(b, d->env, d->env_n);
        buf_byte(b, '\n');
    }
    for (size_t i = 0; i < d->tasks_n; i++)
        say_task(b, d, &d->tasks[i]);
}

/* All that is said of a file. */
static void say_file(struct buf *b, struct str text)
{
    struct arena a = {0};
    struct definition *d;
    struct definition_errors errors = {0};
    struct doc_error e;
    struct doc *doc;

    buf_clear(b);
    if (doc_yaml(&a, text, &doc, &e)) {
        buf_printf(b, "%u:%u: " STR_FMT "\n", e.line, e.column, STR_ARG(e.text));
    } else if (definition_read(&a, doc, STR("test"), &d, &errors)) {
        assert_true(errors.n > 0 && errors.n <= errors.n_total);
        for (size_t i = 0; i < errors.n; i++)
            buf_printf(b, "%u:%u: " STR_FMT "\n", errors.list[i].line, errors.list[i].column,
                       STR_ARG(errors.list[i].text));
    } else {
        say_definition(b, d);
    }
    arena_deinit(&a);
}

/* The lines up to the next one that begins with `end`, which is taken off too. */
static struct str take_lines(struct str *s, struct str end)
{
    struct str whole = *s;
    size_t at = 0, line;

    while (at < whole.n && !str_starts(str_sub(whole, at, whole.n), end))
        at += str_find(str_sub(whole, at, whole.n), '\n', &line) ? line + 1 : whole.n - at;
    *s = str_sub(whole, at + end.n, whole.n);
    return str_sub(whole, 0, at);
}

static struct str take_line(struct str *s)
{
    struct str whole = *s;
    size_t end = whole.n;

    str_find(whole, '\n', &end);
    *s = str_sub(whole, end + 1, whole.n);
    return str_sub(whole, 0, end);
}

static void read_source(struct arena *a, const char *name, struct str *ret)
{
    int r = file_read(a, str_printf(a, "%s/%s", getenv("WEFT_SOURCE"), name).p, 1 << 20, ret);

    if (r) {
        fprintf(stderr, "definition_test: %s cannot be read\n", name);
        exit(2);
    }
}

/* A case of definition_cases.txt, which says what it holds, as a test of its own. */
struct file_case {
    struct str file;
    struct str want;
};

static void check_case(void **state)
{
    const struct file_case *c = *state;
    struct buf b;
    bool good;

    buf_init(&b, 1 << 20);
    say_file(&b, c->file);
    good = str_eq(str_trim(buf_str(&b)), c->want);
    if (!good)
        fprintf(stderr, "---- found\n%s---- wanted\n" STR_FMT "\n", b.p, STR_ARG(c->want));
    buf_deinit(&b);
    assert_true(good);
}

/* "a cycle, and more [schema]" is the test a_cycle_and_more. */
static const char *test_name(struct arena *a, struct str s)
{
    size_t mark, n = 0;
    char *name;

    if (str_find(s, '[', &mark))
        s = str_sub(s, 0, mark);
    s = str_trim(s);
    name = str_cstr(a, s);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == ' ')
            name[n++] = '_';
        else if (s.p[i] != ',')
            name[n++] = s.p[i];
    }
    name[n] = '\0';
    return name;
}

#define CASES_MAX 200

static size_t read_cases(struct arena *a, struct CMUnitTest *ret)
{
    struct str rest;
    size_t n = 0;

    read_source(a, "src/core/definition_cases.txt", &rest);
    take_lines(&rest, STR("== "));
    while (rest.n && n < CASES_MAX) {
        struct file_case *c = ARENA_NEW(a, struct file_case);
        const char *name = test_name(a, take_line(&rest));

        c->file = take_lines(&rest, STR("--\n"));
        c->want = str_trim(take_lines(&rest, STR("== ")));
        ret[n++] = (struct CMUnitTest){name, check_case, NULL, NULL, c};
    }
    return n;
}

/* Each example of the reference is a workflow; what is left out for brevity is put around it. */
static void the_reference_holds(void **state)
{
    struct arena a = {0};
    size_t examples = 0;
    struct str rest;
    struct buf b;

    (void)state;
    read_source(&a, "docs/workflow-file.md", &rest);
    buf_init(&b, 1 << 20);
    take_lines(&rest, STR("```yaml\n"));
    while (rest.n) {
        struct str text = take_lines(&rest, STR("```\n"));
        bool whole = str_starts(text, STR("weft: 1\n"));
        bool tasks = whole || memmem(text.p, text.n, "tasks:\n", 7);

        text = str_printf(&a, "%s" STR_FMT "%s", whole ? "" : "weft: 1\n", STR_ARG(text),
                          tasks ? "" : "tasks: {a: {run: [x]}}\n");
        say_file(&b, text);
        if (!str_starts(buf_str(&b), STR("workflow ")))
            fail_msg(STR_FMT "\n%s", STR_ARG(text), b.p);
        examples++;
        take_lines(&rest, STR("```yaml\n"));
    }
    buf_deinit(&b);
    arena_deinit(&a);
    assert_true(examples > 10);
}

/* What stands in no text file, or is too large for one. */
static void odd_files_are_refused(void **state)
{
    struct arena a = {0};
    struct str long_text = {arena_alloc(&a, (1 << 20) + 1), (1 << 20) + 1};
    struct buf b, file;

    (void)state;
    memset((void *)(uintptr_t)long_text.p, 'x', long_text.n);
    buf_init(&b, 1 << 20);
    buf_init(&file, 64 << 20);
    say_file(&b, STR(""));
    assert_string_equal(b.p, "1:1: the file is empty\n");
    say_file(&b, STR("weft: 1\ntasks: {a: {run: [\"a\0b\"]}}"));
    assert_string_equal(b.p, "2:21: there is a NUL byte here; a workflow file is text\n");
    say_file(&b, STR("weft: 1\nname: caf\xe9\n"));
    assert_string_equal(b.p, "2:10: the byte 0xe9 here is not UTF-8; save the file as UTF-8\n");
    say_file(&b, STR("weft: 1\ntasks: {a: {run: [x], env: &e {A: 1}}, b: {run: [x], env: *e}}"));
    assert_string_equal(
        b.p, "2:28: anchors (&e) are not read; write the value out where it is needed\n");
    buf_printf(&file, "weft: 1\ntasks:\n  a: {run: [x, " STR_FMT "]}\n", STR_ARG(long_text));
    say_file(&b, buf_str(&file));
    assert_string_equal(b.p,
                        "3:16: task \"a\": \"run\" has a text of 1048577 bytes; at most 1048576 "
                        "are allowed\n");
    buf_clear(&file);
    buf_add(&file, STR("weft: 1\ntasks:\n  a:\n    run: [x"));
    for (unsigned i = 0; i < DEFINITION_ARGS_MAX; i++)
        buf_add(&file, STR(",x"));
    buf_add(&file, STR("]"));
    say_file(&b, buf_str(&file));
    assert_string_equal(
        b.p, "4:10: task \"a\": \"run\" has 10001 arguments; at most 10000 are allowed\n");
    buf_deinit(&file);
    buf_deinit(&b);
    arena_deinit(&a);
}

/* The name is that of the file where the file gives none. */
static void a_bad_fallback_name_is_said(void **state)
{
    struct arena a = {0};
    struct definition_errors errors;
    struct definition *d;
    struct doc_error e;
    struct doc *doc;

    (void)state;
    assert_int_equal(doc_yaml(&a, STR("weft: 1\ntasks: {a: {run: [x]}}"), &doc, &e), 0);
    assert_int_equal(definition_read(&a, doc, STR("a\nb"), &d, &errors), DEFINITION_E_BAD);
    assert_string_equal(errors.list[0].text.p,
                        "the name \"a\\nb\" of the workflow holds a control character; a name has "
                        "1 to 200 bytes, without \"/\" and control characters");
    arena_deinit(&a);
}

/* A call is formatted better than a row of long texts. */
#define ROW(param, given, value, error)                                                            \
    {                                                                                              \
        (param), (given), (value), (error)                                                         \
    }

static void values_of_params(void **state)
{
    static struct str choices[] = {
        {"fast", 4},
        {"full", 4},
        {"2",    1}
    };
    static const struct param integer = {
        .name = {"n", 1},
        .type = PARAM_INTEGER,
        .has_minimum = true,
        .minimum = -5,
        .has_maximum = true,
        .maximum = 9007199254740992.0
    };
    static const struct param any_integer = {
        .name = {"n", 1},
          .type = PARAM_INTEGER
    };
    static const struct param number = {
        .name = {"x", 1},
          .type = PARAM_NUMBER, .has_maximum = true, .maximum = 1e300
    };
    static const struct param boolean = {
        .name = {"b", 1},
          .type = PARAM_BOOLEAN
    };
    static const struct param text = {
        .name = {"s", 1},
        .type = PARAM_STRING,
        .has_minimum = true,
        .minimum = 1,
        .has_maximum = true,
        .maximum = 4
    };
    static const struct param day = {
        .name = {"day",               3 },
          .type = PARAM_STRING, .pattern = {"[0-9]{4}-[0-9]{2}", 17}
    };
    static const struct param choice = {
        .name = {"mode", 4},
          .type = PARAM_ENUM, .choices = choices, .choices_n = 3
    };
    static const struct {
        const struct param *param;
        const char *given;
        const char *value; /* NULL: refused */
        const char *error;
    } rows[] = {
        ROW(&integer, "0", "0", NULL),
        ROW(&integer, "-5", "-5", NULL),
        ROW(&integer, "+7", "7", NULL),
        ROW(&integer, "007", "7", NULL),
        ROW(&integer, "-0", "0", NULL),
        ROW(&integer, "9007199254740992", "9007199254740992", NULL),
        ROW(&integer, "9007199254740993", NULL,
            "the param \"n\" is an integer from -5 to 9007199254740992; found "
            "\"9007199254740993\""),
        ROW(&integer, "-6", NULL,
            "the param \"n\" is an integer from -5 to 9007199254740992; found \"-6\""),
        ROW(&any_integer, "-9223372036854775808", "-9223372036854775808", NULL),
        ROW(&any_integer, "9223372036854775808", NULL,
            "the param \"n\" is an integer of at most 64 bits; found \"9223372036854775808\""),
        ROW(&any_integer, "1.0", NULL,
            "the param \"n\" is an integer of at most 64 bits; found \"1.0\""),
        ROW(&any_integer, "", NULL, "the param \"n\" is an integer of at most 64 bits; found \"\""),
        ROW(&any_integer, " 1", NULL,
            "the param \"n\" is an integer of at most 64 bits; found \" 1\""),
        ROW(&any_integer, "1\n", NULL,
            "the param \"n\" is an integer of at most 64 bits; found \"1\\n\""),
        ROW(&number, "1", "1", NULL),
        ROW(&number, "1e3", "1000", NULL),
        ROW(&number, "-0.10", "-0.1", NULL),
        ROW(&number, "9007199254740993", "9007199254740993", NULL),
        ROW(&number, "1e301", NULL,
            "the param \"x\" is a number of at most 1e+300; found \"1e301\""),
        ROW(&number, "1e999", NULL,
            "the param \"x\" is a number of at most 1e+300; found \"1e999\""),
        ROW(&number, ".inf", NULL, "the param \"x\" is a number of at most 1e+300; found \".inf\""),
        ROW(&number, "nan", NULL, "the param \"x\" is a number of at most 1e+300; found \"nan\""),
        ROW(&boolean, "true", "true", NULL),
        ROW(&boolean, "False", "false", NULL),
        ROW(&boolean, "yes", NULL, "the param \"b\" is true or false; found \"yes\""),
        ROW(&text, "äöü☃", "äöü☃", NULL),
        ROW(&text, "$(x)", "$(x)", NULL),
        ROW(&text, "", NULL, "the param \"s\" is text from 1 to 4 characters; found \"\""),
        ROW(&text, "äöü☃x", NULL,
            "the param \"s\" is text from 1 to 4 characters; found \"äöü☃x\""),
        ROW(&text, "\xff", NULL,
            "the param \"s\" is UTF-8 text of at most 1048576 bytes without NUL"),
        ROW(&day, "2026-03", "2026-03", NULL),
        ROW(&day, "2026-03-08", NULL,
            "the param \"day\" is text that matches the pattern \"[0-9]{4}-[0-9]{2}\"; found "
            "\"2026-03-08\""),
        ROW(&choice, "2", "2", NULL),
        ROW(&choice, "ful", NULL,
            "the param \"mode\" is one of \"fast\", \"full\", \"2\"; found \"ful\"; did you mean "
            "\"full\"?"),
        ROW(&choice, "", NULL,
            "the param \"mode\" is one of \"fast\", \"full\", \"2\"; found \"\""),
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct str value = {0}, error = {0};
        int r = definition_param(&a, rows[i].param, str_of(rows[i].given), &value, &error);

        assert_int_equal(r, rows[i].value ? 0 : DEFINITION_E_BAD);
        if (r == 0 && !str_eq(value, str_of(rows[i].value)))
            fail_msg("%s is read as " STR_FMT, rows[i].given, STR_ARG(value));
        if (r && !str_eq(error, str_of(rows[i].error)))
            fail_msg("%s\n   found " STR_FMT "\n  wanted %s", rows[i].given, STR_ARG(error),
                     rows[i].error);
    }
    arena_deinit(&a);
}

static double cpu_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* What definition_read() makes of a file, and the CPU time that it takes for it without the reader
 * of YAML. */
static int read_large(const struct buf *file, struct arena *a, struct definition **ret,
                      struct definition_errors *errors, double *ret_s)
{
    struct doc_error e;
    struct doc *doc;
    double begun;
    int r;

    assert_false(file->full);
    if (doc_yaml(a, buf_str(file), &doc, &e))
        fail_msg("%u:%u: " STR_FMT, e.line, e.column, STR_ARG(e.text));
    begun = cpu_s();
    r = definition_read(a, doc, STR("large"), ret, errors);
    *ret_s = cpu_s() - begun;
    return r;
}

static void head(struct buf *file)
{
    buf_init(file, DOC_BYTES_MAX);
    buf_add(file, STR("weft: 1\nparams: {day: {type: string}}\ntasks:\n"));
}

/* 100 000 tasks as people would write them. */
static void a_large_file_is_read_soon(void **state)
{
    struct arena a = {0};
    struct definition_errors errors;
    struct definition *d;
    struct buf file;
    double s;

    (void)state;
    head(&file);
    for (int i = 0; i < 100000; i++) {
        buf_printf(&file, "  t%d:\n    run: [/bin/echo, \"${params.day}\", \"%d\"]\n", i, i);
        if (i > 1)
            buf_printf(&file, "    needs: [t%d, t%d]\n    timeout: 90s\n", i - 1, (i - 1) / 2);
        if (i > 2)
            buf_printf(&file, "    env: {A: \"${tasks.t%d.output.rows}\"}\n", i - 1);
    }
    assert_int_equal(read_large(&file, &a, &d, &errors, &s), 0);
    assert_int_equal(d->tasks_n, 100000);
    assert_int_equal(d->edges_n, 199996);
    print_message("100 000 tasks: %.2f s, %zu MB with the document\n", s, a.bytes >> 20);
    assert_true(s < 5);
    assert_true(a.bytes < (size_t)400 << 20);
    arena_deinit(&a);
    buf_deinit(&file);
}

/* A chain in which each task refers to one that is far above it; then to one far below. */
static void far_references_cost_little(void **state)
{
    struct arena a = {0};
    struct definition_errors errors;
    struct definition *d;
    struct buf file;
    double s;

    (void)state;
    for (int below = 0; below < 2; below++) {
        head(&file);
        for (int i = 0; i < 50000; i++)
            buf_printf(&file, "  t%d: {run: [\"${tasks.t%d.output}\"]%s%d}\n", i,
                       below ? 50000 - i - (i == 25000) : i * 2 / 3,
                       i ? ", needs: t" : ", grace: ", i ? i - 1 : 5);
        if (below)
            buf_add(&file, STR("  t50000: {run: [x]}\n"));
        assert_int_equal(read_large(&file, &a, &d, &errors, &s), DEFINITION_E_BAD);
        /* The first task refers to itself; half of the tasks refer to one below them. */
        assert_int_equal(errors.n_total, below ? 25000 : 1);
        assert_true(s < 10);
        arena_reset(&a);
        buf_deinit(&file);
    }
    arena_deinit(&a);
}

/* Many wrong names, each of which is compared with many tasks; many errors of which few are kept.
 */
static void many_errors_are_counted(void **state)
{
    struct arena a = {0};
    struct definition_errors errors;
    struct definition *d;
    struct buf file;
    double s;

    (void)state;
    head(&file);
    for (int i = 0; i < 50000; i++)
        buf_printf(&file, "  task_%05d: {run: [x], needs: tusk_%05d, timeut: 5}\n", i, i);
    assert_int_equal(read_large(&file, &a, &d, &errors, &s), DEFINITION_E_BAD);
    assert_int_equal(errors.n_total, 100000);
    assert_int_equal(errors.n, DEFINITION_ERRORS_MAX);
    assert_int_equal(errors.list[0].line, 4);
    assert_int_equal(errors.list[DEFINITION_ERRORS_MAX - 1].line, 53);
    assert_true(s < 10);
    arena_deinit(&a);
    buf_deinit(&file);
}

static void limits_are_kept(void **state)
{
    struct arena a = {0};
    struct definition_errors errors;
    struct definition *d;
    struct buf file;
    double s;

    (void)state;
    head(&file);
    for (unsigned i = 0; i <= DEFINITION_TASKS_MAX; i++)
        buf_printf(&file, "  t%u: {run: [x]}\n", i);
    assert_int_equal(read_large(&file, &a, &d, &errors, &s), DEFINITION_E_BAD);
    assert_string_equal(errors.list[0].text.p,
                        "\"tasks\" has 200001 tasks; at most 200000 are allowed");
    arena_reset(&a);
    buf_deinit(&file);

    /* 1500 tasks that need 1500 each. */
    head(&file);
    for (unsigned i = 0; i < 3000; i++) {
        buf_printf(&file, "  t%u:\n    run: [x]\n", i);
        if (i < 1500)
            continue;
        buf_add(&file, STR("    needs: [t0"));
        for (unsigned k = 1; k < 1500; k++)
            buf_printf(&file, ",t%u", k);
        buf_add(&file, STR("]\n"));
    }
    assert_int_equal(read_large(&file, &a, &d, &errors, &s), DEFINITION_E_BAD);
    assert_string_equal(errors.list[0].text.p,
                        "the tasks have 2250000 dependencies; at most 2000000 are allowed");
    arena_reset(&a);
    buf_deinit(&file);

    /* 100 variables of the workflow, which 30 000 tasks add one to. */
    buf_init(&file, DOC_BYTES_MAX);
    buf_add(&file, STR("weft: 1\nenv:\n"));
    for (unsigned i = 0; i < 100; i++)
        buf_printf(&file, "  V%u: x\n", i);
    buf_add(&file, STR("tasks:\n"));
    for (unsigned i = 0; i < 30000; i++)
        buf_printf(&file, "  t%u: {run: [x], env: {A: b}}\n", i);
    assert_int_equal(read_large(&file, &a, &d, &errors, &s), DEFINITION_E_BAD);
    assert_int_equal(errors.n_total, 1);
    assert_string_equal(errors.list[0].text.p,
                        "task \"t19800\": the tasks have more than 2000000 variables in all, with "
                        "those that they take from the workflow");
    arena_deinit(&a);
    buf_deinit(&file);
}

int main(void)
{
    static const struct CMUnitTest more[] = {
        cmocka_unit_test(the_reference_holds),         cmocka_unit_test(odd_files_are_refused),
        cmocka_unit_test(a_bad_fallback_name_is_said), cmocka_unit_test(values_of_params),
        cmocka_unit_test(a_large_file_is_read_soon),   cmocka_unit_test(far_references_cost_little),
        cmocka_unit_test(many_errors_are_counted),     cmocka_unit_test(limits_are_kept),
    };
    struct CMUnitTest tests[CASES_MAX + ROWS_N(more)];
    struct arena a = {0};
    size_t n;
    int failed;

    if (!getenv("WEFT_SOURCE")) {
        fprintf(stderr, "definition_test: WEFT_SOURCE is to name the source folder\n");
        return 2;
    }
    n = read_cases(&a, tests);
    memcpy(tests + n, more, sizeof(more));
    failed = _cmocka_run_group_tests("definition", tests, n + ROWS_N(more), NULL, NULL);
    arena_deinit(&a);
    return failed;
}
