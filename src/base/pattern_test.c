/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#define ROWS_N(rows) (sizeof(rows) / sizeof((rows)[0]))

static void whole_values_match(void **state)
{
    static const struct {
        const char *pattern;
        const char *value;
        bool want;
    } rows[] = {
        {"[a-z]+",                     "abc",                 true },
        {"[a-z]+",                     "abc1",                false},
        {"[a-z]+",                     "",                    false},
        {"[a-z]*",                     "",                    true },
        {"a|b",                        "a",                   true },
        {"a|b",                        "ab",                  false},
        {"^a$",                        "a",                   true },
        {"[0-9]{4}-[0-9]{2}-[0-9]{2}", "2026-03-08",          true },
        {"[0-9]{4}-[0-9]{2}-[0-9]{2}", "2026-03-08\n",        false},
        {"[0-9]{4}-[0-9]{2}-[0-9]{2}", "x2026-03-08",         false},
        {"...",                        "äö☃",             true },
        {"..",                         "äö☃",             false},
        {"[äö]",                     "ö",                  true },
        {"a.c",                        "a\nc",                true },
        {"[^]]",                       "x",                   true },
        {"[[:alpha:]]+",               "abc",                 true },
        {"\\$\\{",                     "${",                  true },
        {"'; DROP TABLE x; --",        "'; DROP TABLE x; --", true },
    };
    struct arena a = {0};
    struct str error;

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        assert_int_equal(pattern_check(&a, str_of(rows[i].pattern), &error), 0);
        if (pattern_match(str_of(rows[i].pattern), str_of(rows[i].value)) != rows[i].want)
            fail_msg("%s and %s", rows[i].pattern, rows[i].value);
    }
    assert_false(pattern_match(STR(".*"), (struct str){"a\0b", 3}));
    arena_deinit(&a);
}

#define ERE           "is no POSIX extended regular expression: "
#define COSTLY        "repeats too much: written out it has more than 2000 characters"
#define EXTRA         "has a ) without a (; as a character it is written \\)"
#define TWELVE(open)  open open open open open open open open open open open open
#define NESTED_PLUS   TWELVE("(") "a" TWELVE("+)")
#define NESTED_BOUNDS TWELVE("(") "a" TWELVE("{2,})")
#define NESTED_STARS  TWELVE("(") "a" TWELVE("*)")

static void bad_patterns_are_refused(void **state)
{
    static const struct {
        const char *pattern;
        const char *want; /* NULL: it is good */
    } rows[] = {
        {"(a",                      ERE "Unmatched ( or \\("                            },
        {"a)",                      EXTRA                                               },
        {"a)|(b)",                  EXTRA                                               },
        {"[a)]\\)",                 NULL                                                },
        {"[a",                      ERE "Unmatched [, [^, [:, [., or [="                },
        {"[b-a]",                   ERE "Invalid range end"                             },
        {"a{2",                     ERE "Unmatched \\{"                                 },
        {"a{3,2}",                  ERE "Invalid content of \\{\\}"                     },
        {"a\\",                     ERE "Trailing backslash"                            },
        {"(a)\\1",                  "refers back to a group (\\1), which is not allowed"},
        {"\\\\1",                   NULL                                                },
        {"a{255}",                  NULL                                                },
        {"(ab){255}(cd){255}",      NULL                                                },
        {"((a{50}){50}){50}",       COSTLY                                              },
        {"((a{40}){40}){40}",       COSTLY                                              },
        {"a{2000}b",                COSTLY                                              },
        {"a{99999999999999999999}", COSTLY                                              },
        {NESTED_PLUS,               COSTLY                                              },
        {NESTED_BOUNDS,             COSTLY                                              },
        {NESTED_STARS,              NULL                                                },
        {"[(a+)+]+[[:digit:](]{5}", NULL                                                },
    };
    struct arena a = {0};
    char large[PATTERN_BYTES_MAX + 1];

    (void)state;
    memset(large, 'a', sizeof(large));
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct str error = {0};
        int r = pattern_check(&a, str_of(rows[i].pattern), &error);

        if (r != (rows[i].want ? PATTERN_E_BAD : 0) || !str_eq(error, str_of(rows[i].want)))
            fail_msg("%s gives %d, " STR_FMT, rows[i].pattern, r, STR_ARG(error));
    }
    for (size_t n = PATTERN_BYTES_MAX; n <= sizeof(large); n++) {
        struct str error;

        assert_int_equal(pattern_check(&a, (struct str){large, n}, &error), n > PATTERN_BYTES_MAX);
    }
    assert_int_equal(pattern_check(&a, (struct str){"a\0b", 3}, &(struct str){0}), PATTERN_E_BAD);
    arena_deinit(&a);
}

/* Patterns and values that are known to make matchers slow. */
static void matching_ends_soon(void **state)
{
    static const char *const patterns[] = {
        "(a*)*b",         "(a|aa)+b",         "(a|b)*a(a|b){150}", "(.*)(.*)(.*)(.*)(.*)b",
        "(x+x+)+y",       "([a-z]+)*[0-9]",   "(a?){300}a{300}",   "(a{1,30}){1,30}b",
        "((a*)*(a*)*)*b", "(.*a){20}.*b.*c$",
    };
    char value[PATTERN_VALUE_BYTES_MAX];
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = "aab"[i * i % 7 % 3];
    for (size_t i = 0; i < ROWS_N(patterns); i++) {
        clock_t begun = clock();
        struct str error;

        assert_int_equal(pattern_check(&a, str_of(patterns[i]), &error), 0);
        (void)pattern_match(str_of(patterns[i]), (struct str){value, sizeof(value)});
        if (clock() - begun > 2 * CLOCKS_PER_SEC)
            fail_msg("%s takes long", patterns[i]);
    }
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_values_match),
        cmocka_unit_test(bad_patterns_are_refused),
        cmocka_unit_test(matching_ends_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
