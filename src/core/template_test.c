/* SPDX-License-Identifier: Apache-2.0 */
#include "core/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"

#define ROWS_N(rows) (sizeof(rows) / sizeof((rows)[0]))
#define BAD(quoted)                                                                                \
    quoted " is no reference; there are ${params.NAME}, ${tasks.NAME.output}, "                    \
           "${tasks.NAME.output.FIELD}, ${run.id} and ${task.attempt}, and a plain \"${\" is "     \
           "written \"$${\""
#define OPEN(quoted)                                                                               \
    "the reference " quoted " has no closing \"}\"; a plain \"${\" is written \"$${\""

static void check_row(const char *name, struct str found, const char *want)
{
    if (!str_eq(found, str_of(want)))
        fail_msg("%s\n   found " STR_FMT "\n  wanted %s", name, STR_ARG(found), want);
}

static void note(void *context, const struct template_ref *ref)
{
    static const char *const kinds[] = {
        [TEMPLATE_PARAM] = "param",
        [TEMPLATE_TASK_OUTPUT] = "output",
        [TEMPLATE_RUN_ID] = "run",
        [TEMPLATE_TASK_ATTEMPT] = "attempt",
    };

    buf_printf(context, "%s(" STR_FMT "|" STR_FMT ")", kinds[ref->kind], STR_ARG(ref->name),
               STR_ARG(ref->path));
}

static void references_are_seen(void **state)
{
    static const struct {
        const char *text;
        const char *want; /* the references, or the sentence */
    } rows[] = {
        {"",                                        ""                                },
        {"plain",                                   ""                                },
        {"a $ sign, $5, $x, $(rm), `x`, $",         ""                                },
        {"$${params.x}",                            ""                                },
        {"${$}",                                    ""                                },
        {"$$$${params.x}",                          ""                                },
        {"${params.day}",                           "param(day|)"                     },
        {"a-${params.day}-${params.x}b",            "param(day|)param(x|)"            },
        {"${$}${params.x}",                         "param(x|)"                       },
        {"${run.id}/${task.attempt}",               "run(|)attempt(|)"                },
        {"${tasks.extract.output}",                 "output(extract|)"                },
        {"${tasks.extract.output.rows}",            "output(extract|rows)"            },
        {"${tasks.extract.output.a.0.b}",           "output(extract|a.0.b)"           },
        {"${tasks.a.b.c.output.x}",                 "output(a.b.c|x)"                 },
        {"${tasks.a.output.output}",                "output(a.output|)"               },
        {"${tasks.a.outputs.output.x}",             "output(a.outputs|x)"             },
        {"${tasks.with space & \"quotes\".output}", "output(with space & \"quotes\"|)"},
        {"${tasks.雪.output.größe}",             "output(雪|größe)"             },
        {"${",                                      OPEN("\"${\"")                    },
        {"x ${params.a",                            OPEN("\"${params.a\"")            },
        {"${}",                                     BAD("\"${}\"")                    },
        {"${HOME}",                                 BAD("\"${HOME}\"")                },
        {"${params}",                               BAD("\"${params}\"")              },
        {"${params.}",                              BAD("\"${params.}\"")             },
        {"${ params.x }",                           BAD("\"${ params.x }\"")          },
        {"${tasks.x}",                              BAD("\"${tasks.x}\"")             },
        {"${tasks.output}",                         BAD("\"${tasks.output}\"")        },
        {"${tasks..output}",                        BAD("\"${tasks..output}\"")       },
        {"${tasks.x.output.}",                      BAD("\"${tasks.x.output.}\"")     },
        {"${tasks.x.output..a}",                    BAD("\"${tasks.x.output..a}\"")   },
        {"${tasks.x.outputs}",                      BAD("\"${tasks.x.outputs}\"")     },
        {"${run.id.x}",                             BAD("\"${run.id.x}\"")            },
        {"${task.name}",                            BAD("\"${task.name}\"")           },
        {"${params.a} ${x\ny}",                     BAD("\"${x\\ny}\"")               },
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct str error = {0};
        struct buf seen;
        int r;

        buf_init(&seen, 4096);
        r = template_scan(&a, str_of(rows[i].text), note, &seen, &error);
        if (r)
            assert_int_equal(r, TEMPLATE_E_BAD);
        check_row(rows[i].text, r ? error : buf_str(&seen), rows[i].want);
        buf_deinit(&seen);
    }
    arena_deinit(&a);
}

/* The values of the params a and b; a task's output is its path in angle brackets, and is kept
 * where `late` is set. */
struct values {
    struct str params[2];
    bool late;
};

static bool value_of(void *context, struct arena *a, const struct template_ref *ref,
                     struct str *ret_text, bool *ret_keep, struct str *ret_error)
{
    const struct values *v = context;

    if (ref->kind == TEMPLATE_PARAM && ref->name.n == 1 && ref->name.p[0] - 'a' < 2) {
        *ret_text = v->params[ref->name.p[0] - 'a'];
        return true;
    }
    if (ref->kind == TEMPLATE_PARAM) {
        *ret_error = str_printf(a, "no param " STR_FMT, STR_ARG(ref->name));
        return false;
    }
    *ret_keep = v->late;
    *ret_text = str_printf(a, "<" STR_FMT ">", STR_ARG(ref->path));
    return true;
}

static void references_are_replaced(void **state)
{
    static const struct {
        const char *text;
        const char *a;
        const char *first; /* tasks are left for later */
        const char *last;
    } rows[] = {
        {"plain",                           "",                         "plain",                       "plain"            },
        {"${params.a}",                     "x y",                      "x y",                         "x y"              },
        {"[${params.a}]",                   "",                         "[]",                          "[]"               },
        {"${params.a}/${params.a}",         "1",                        "1/1",                         "1/1"              },
        {"${params.a} ${tasks.t.output.n}", "x",                        "x ${tasks.t.output.n}",       "x <n>"            },
        {"$${params.a}",                    "x",                        "$${params.a}",                "${params.a}"      },
        {"${$}${params.a}",                 "x",                        "${$}x",                       "$x"               },
        {"$HOME $5 $",                      "",                         "$HOME $5 $",                  "$HOME $5 $"       },
 /* Values stay data. */
        {"${params.a}",                     "${params.a}",              "$${params.a}",                "${params.a}"      },
        {"${params.a}",                     "${tasks.t.output.secret}", "$${tasks.t.output.secret}",
         "${tasks.t.output.secret}"                                                                                       },
        {"${params.a}",                     "$${x}",                    "$$${x}",                      "$${x}"            },
        {"${params.a}{tasks.t.output}",     "$",                        "${$}{tasks.t.output}",        "${tasks.t.output}"},
        {"${params.a}${tasks.t.output.n}",  "$$",                       "${$}${$}${tasks.t.output.n}", "$$<n>"            },
        {"${params.a}",                     "$(rm -rf /); `x` \"' \n",  "$(rm -rf /); `x` \"' \n",
         "$(rm -rf /); `x` \"' \n"                                                                                        },
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct values v = {
            .params = {str_of(rows[i].a), STR("b")},
              .late = true
        };
        struct str first, last, error;

        assert_int_equal(template_fill(&a, str_of(rows[i].text), 4096, TEMPLATE_FIRST, value_of, &v,
                                       &first, &error),
                         0);
        check_row(rows[i].text, first, rows[i].first);
        v.late = false;
        assert_int_equal(template_fill(&a, first, 4096, TEMPLATE_LAST, value_of, &v, &last, &error),
                         0);
        check_row(rows[i].text, last, rows[i].last);
        assert_int_equal(template_fill(&a, str_of(rows[i].text), 4096, TEMPLATE_LAST, value_of, &v,
                                       &last, &error),
                         0);
        check_row("in one pass", last, rows[i].last);
    }
    arena_deinit(&a);
}

static void what_cannot_be_replaced(void **state)
{
    static const struct {
        struct str text;
        struct str a;
        size_t max;
        const char *want;
    } rows[] = {
        {{"${params.zz}", 12},  {"x", 1},    100, "no param zz"                                                 },
        {{"${x}", 4},           {"x", 1},    100, BAD("\"${x}\"")                                               },
        {{"ok ${params.a", 13}, {"x", 1},    100, OPEN("\"${params.a\"")                                        },
        {{"${params.a}", 11},   {"x\0y", 3}, 100, "the value of \"${params.a}\" holds a NUL byte"               },
        {{"-${params.a}", 12},
         {"12345", 5},
         5,                                       "the text is larger than 5 bytes with its references replaced"},
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct values v = {.params = {rows[i].a}};
        struct str text, error;

        assert_int_equal(template_fill(&a, rows[i].text, rows[i].max, TEMPLATE_LAST, value_of, &v,
                                       &text, &error),
                         TEMPLATE_E_UNRESOLVED);
        check_row(rows[i].want, error, rows[i].want);
    }
    arena_deinit(&a);
}

/* The text number `i` over `$`, `{`, `}` and `x`, of any length up to what fits. */
static struct str text_of(unsigned i, char out[16])
{
    size_t n = 0;

    for (; i; i = (i - 1) / 4)
        out[n++] = "${}x"[(i - 1) % 4];
    return (struct str){out, n};
}

/* All texts of up to five such characters, alone and in pairs: two passes give what was put in. */
static void any_value_comes_through(void **state)
{
    static const char *const forms[] = {"${params.a}${params.b}", "${params.a}{x}${params.b}",
                                        "x$${${params.a}${$}${params.b}"};
    static const struct str plain[][3] = {
        {{"", 0},    {"", 0},    {"", 0}},
        {{"", 0},    {"{x}", 3}, {"", 0}},
        {{"x${", 3}, {"$", 1},   {"", 0}},
    };
    struct arena a = {0};

    (void)state;
    for (unsigned i = 0; i < 1365; i++) {
        char first_text[16], second_text[16];
        struct str x = text_of(i, first_text);
        struct str y = text_of((i * 997 + 31) % 1365, second_text);
        struct values v = {
            .params = {x, y}
        };
        struct str s, error;

        assert_int_equal(
            template_fill(&a, template_quote(&a, x), 4096, TEMPLATE_LAST, value_of, &v, &s, &error),
            0);
        assert_true(str_eq(s, x));
        for (size_t f = 0; f < ROWS_N(forms); f++) {
            struct str want;

            assert_int_equal(
                template_fill(&a, str_of(forms[f]), 4096, TEMPLATE_FIRST, value_of, &v, &s, &error),
                0);
            assert_int_equal(template_fill(&a, s, 4096, TEMPLATE_LAST, value_of, &v, &s, &error),
                             0);
            want = str_printf(&a, STR_FMT STR_FMT STR_FMT STR_FMT STR_FMT, STR_ARG(plain[f][0]),
                              STR_ARG(x), STR_ARG(plain[f][1]), STR_ARG(y), STR_ARG(plain[f][2]));
            check_row(forms[f], s, want.p);
        }
        arena_reset(&a);
    }
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_seen),
        cmocka_unit_test(references_are_replaced),
        cmocka_unit_test(what_cannot_be_replaced),
        cmocka_unit_test(any_value_comes_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
