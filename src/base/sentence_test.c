/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sentence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define X8  "xxxxxxxx"
#define X72 X8 X8 X8 X8 X8 X8 X8 X8 X8

static void texts_are_quoted(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {
        {"",                    "\"\""                       },
        {"extract",             "\"extract\""                },
        {"a \"b\" \\",          "\"a \\\"b\\\" \\\\\""       },
        {"two\nlines \x1b[31m", "\"two\\nlines \\u001b[31m\""},
        {"größe ☃",         "\"größe ☃\""            },
        {X72 X8,                "\"" X72 X8 "\""             },
        {X72 X8 "x",            "\"" X72 X8 "…\""          },
        {X72 "xxxxxxx☃",      "\"" X72 "xxxxxxx…\""      },
        {"\xff",                "\"\xef\xbf\xbd\""           },
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(sentence_quote(&a, str_of(rows[i].text)).p, rows[i].want);
    arena_deinit(&a);
}

static void the_nearest_name_is_found(void **state)
{
    static const char *const names[] = {"run", "sh", "needs", "timeout", "retry", "transform"};
    static const struct {
        const char *given;
        const char *want;
    } rows[] = {
        {"nedes",     "needs"    },
        {"Needs",     "needs"    },
        {"need",      "needs"    },
        {"timout",    "timeout"  },
        {"time_out",  "timeout"  },
        {"timeouts",  "timeout"  },
        {"rnu",       "run"      },
        {"runs",      "run"      },
        {"sh ",       "sh"       },
        {"sch",       "sh"       },
        {"retries",   NULL       },
        {"transfrom", "transform"},
        {"xform",     NULL       },
        {"command",   NULL       },
        {"x",         NULL       },
        {"",          NULL       },
        {"when",      NULL       },
        {X72,         NULL       },
        {"trnsfrom",  "transform"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sentence_nearest n;

        sentence_nearest_init(&n, str_of(rows[i].given));
        for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++)
            sentence_nearest_try(&n, str_of(names[j]));
        if (!str_eq(n.best, str_of(rows[i].want)))
            fail_msg("'%s' is taken for '" STR_FMT "'", rows[i].given, STR_ARG(n.best));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_quoted),
        cmocka_unit_test(the_nearest_name_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
