/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pattern.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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
        {"",                                            "",                    true },
        {"",                                            "a",                   false},
        {"[a-z]+",                                      "abc",                 true },
        {"[a-z]+",                                      "abc1",                false},
        {"[a-z]+",                                      "",                    false},
        {"[a-z]*",                                      "",                    true },
        {"a|b",                                         "a",                   true },
        {"a|b",                                         "b",                   true },
        {"a|b",                                         "ab",                  false},
        {"a|b|",                                        "",                    true },
        {"|a",                                          "a",                   true },
        {"ab|cd|ef",                                    "cd",                  true },
        {"ab|cd|ef",                                    "abef",                false},
        {"(ab|cd|ef)+",                                 "abefcd",              true },
        {"x(a|b|c)y",                                   "xby",                 true },
        {"x(a|b|c)y",                                   "xy",                  false},
        {"^a$",                                         "a",                   true },
        {"a^b",                                         "ab",                  false},
        {"(^a|b)*$",                                    "abb",                 true },
        {"(^a|b)*$",                                    "aba",                 false},
        {"a?b?c?",                                      "ac",                  true },
        {"a?b?c?",                                      "ca",                  false},
        {"a{0}",                                        "",                    true },
        {"a{0}",                                        "a",                   false},
        {"a{2}",                                        "a",                   false},
        {"a{2}",                                        "aa",                  true },
        {"a{2}",                                        "aaa",                 false},
        {"a{2,}",                                       "a",                   false},
        {"a{2,}",                                       "aaaaa",               true },
        {"a{2,3}",                                      "a",                   false},
        {"a{2,3}",                                      "aa",                  true },
        {"a{2,3}",                                      "aaa",                 true },
        {"a{2,3}",                                      "aaaa",                false},
        {"(a|bc){2,3}",                                 "abca",                true },
        {"[0-9]{4}-[0-9]{2}-[0-9]{2}",                  "2026-03-08",          true },
        {"[0-9]{4}-[0-9]{2}-[0-9]{2}",                  "2026-03-08\n",        false},
        {"[0-9]{4}-[0-9]{2}-[0-9]{2}",                  "x2026-03-08",         false},
        {"...",                                         "äö☃",             true },
        {"..",                                          "äö☃",             false},
        {"[äö]",                                      "ö",                  true },
        {"[ä-ü]+",                                    "äöü",              true },
        {"[^a]",                                        "☃",                 true },
        {"[^a-z]",                                      "b",                   false},
        {"😀+",                                       "😀😀",            true },
        {"a.c",                                         "a\nc",                true },
        {"[^]]",                                        "x",                   true },
        {"[^]]",                                        "]",                   false},
        {"[]a]+",                                       "]a]",                 true },
        {"[a-]+",                                       "-a",                  true },
        {"[-a]+",                                       "-a",                  true },
        {"[\\\\]",                                      "\\",                  true },
        {"[[:alpha:]]+",                                "abC",                 true },
        {"[[:alpha:]]+",                                "ab1",                 false},
        {"[[:digit:][:space:]_]+",                      "1 2\t_",              true },
        {"[^[:punct:]]+",                               "a b",                 true },
        {"[^[:punct:]]+",                               "a,b",                 false},
        {"[[:xdigit:]]{2}",                             "fF",                  true },
        {"\\$\\{\\.\\*\\+\\?\\|\\\\\\[\\]\\(\\)\\^\\}", "${.*+?|\\[]()^}",     true },
        {"'; DROP TABLE x; --",                         "'; DROP TABLE x; --", true },
        {"(a*)*",                                       "aaa",                 true },
        {"(a*)*b",                                      "aaa",                 false},
        {"((a|)+)*",                                    "",                    true },
        {"(()|a)+b",                                    "aab",                 true },
        {"a}",                                          "a}",                  true },
        {"a]",                                          "a]",                  true },
        {"a",                                           "\xff",                false},
    };
    struct arena a = {0};
    struct str error;

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        assert_int_equal(pattern_check(&a, str_of(rows[i].pattern), &error), 0);
        if (pattern_match(str_of(rows[i].pattern), str_of(rows[i].value)) != rows[i].want)
            fail_msg("%s and %s", rows[i].pattern, rows[i].value);
    }
    arena_deinit(&a);
}

#define COSTLY "repeats too much: written out it has more than 5000 steps"
#define EXTRA  "has a ) without a (; as a character it is written \\)"
#define BOUNDS "has a { } that is no repetition of at most 1000 times, such as {2}, {2,} or {2,5}"
#define TWICE  "repeats what is a repetition already"
#define ESCAPE                                                                                     \
    "has a backslash before a character that means nothing else; classes are written [0-9] or "    \
    "[[:space:]]"
#define SET_ESCAPE                                                                                 \
    "has a backslash within [ ]; write two for one, ] as the first and - as the last character, "  \
    "and classes as [:digit:]"
#define CLASS                                                                                      \
    "has a class that is not known; there are [:alpha:], [:digit:], [:alnum:], [:upper:], "        \
    "[:lower:], [:space:], [:blank:], [:punct:], [:print:], [:graph:], [:cntrl:] and [:xdigit:]"
#define TWELVE(text) text text text text text text text text text text text text

/* A call is formatted better than a row of long texts. */
#define ROW(pattern, want)                                                                         \
    {                                                                                              \
        (pattern), (want)                                                                          \
    }

static void bad_patterns_are_refused(void **state)
{
    static const struct {
        const char *pattern;
        const char *want; /* NULL: it is good */
    } rows[] = {
        ROW("(a", "has a ( without a )"),
        ROW("a)", EXTRA),
        ROW("a)|(b)", EXTRA),
        ROW("a)(b", EXTRA),
        ROW("[a)]\\)", NULL),
        ROW("[a", "has a [ without a ]"),
        ROW("[]", "has a [ without a ]"),
        ROW("[^", "has a [ without a ]"),
        ROW("[]]", NULL),
        ROW("[b-a]", "has a range within [ ] that ends before it begins"),
        ROW("[a-]", NULL),
        ROW("[[:digits:]]", CLASS),
        ROW("[[.a.]]", CLASS),
        ROW("[\\d]", SET_ESCAPE),
        ROW("[\\]]", SET_ESCAPE),
        ROW("[\\\\]", NULL),
        ROW("a{2", BOUNDS),
        ROW("a{,2}", BOUNDS),
        ROW("a{3,2}", BOUNDS),
        ROW("a{1001}", BOUNDS),
        ROW("a{99999999999999999999}", BOUNDS),
        ROW("a{x}", BOUNDS),
        ROW("{2}", "has a { that repeats nothing; as a character it is written \\{"),
        ROW("*a", "has a * that repeats nothing; as a character it is written \\*"),
        ROW("^*", "has a * that repeats nothing; as a character it is written \\*"),
        ROW("(|+)", "has a + that repeats nothing; as a character it is written \\+"),
        ROW("a**", TWICE),
        ROW("a+?", TWICE),
        ROW("a{2}{2}", TWICE),
        ROW("a\\", "ends in a backslash"),
        ROW("(a)\\1", "refers back to a group (\\1), which is not allowed"),
        ROW("\\d+", ESCAPE),
        ROW("\\\\1", NULL),
        ROW("a{1000}", NULL),
        ROW("(ab){1000}(cd){1000}", NULL),
        ROW("((a{50}){50}){50}", COSTLY),
        ROW("(ab){1000}(cd){1000}(ef){600}", COSTLY),
        ROW("((((()){1000}){1000}){1000}){1000}", COSTLY),
        ROW(TWELVE("(") "a" TWELVE("+)"), NULL),
        ROW(TWELVE("(") "a" TWELVE("{2,})"), COSTLY),
        ROW(TWELVE(TWELVE("(")) "a" TWELVE(TWELVE("*)")), "has groups that are nested too deep"),
        ROW("[(a+)+]+[[:digit:](]{5}", NULL),
        ROW("\xff", "is no UTF-8 text without NUL"),
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

/* The text number `i` over some characters, in `out`. */
static struct str text_of(unsigned i, const char *over, char out[16])
{
    unsigned base = (unsigned)strlen(over);
    size_t n = 0;

    for (; i; i = (i - 1) / base)
        out[n++] = over[(i - 1) % base];
    out[n] = '\0';
    return (struct str){out, n};
}

/* All patterns of up to six of these characters that are good, and all short values: as the C
 * library has it, which goes wrong with anchors that are repeated only. */
static void short_patterns_match_as_in_the_c_library(void **state)
{
    unsigned compared = 0;

    (void)state;
    for (unsigned i = 0; i < 299593; i++) {
        char pattern_text[16], whole[32], value_text[16];
        struct str pattern = text_of(i, "ab(|)*+?", pattern_text);
        struct arena a = {0};
        struct str error;
        regex_t re;

        if (pattern_check(&a, pattern, &error) == 0) {
            snprintf(whole, sizeof(whole), "^(%s)$", pattern.p);
            assert_int_equal(regcomp(&re, whole, REG_EXTENDED | REG_NOSUB), 0);
            for (unsigned v = 0; v < 31; v++) {
                struct str value = text_of(v, "ab", value_text);

                if (pattern_match(pattern, value) != (regexec(&re, value.p, 0, NULL, 0) == 0))
                    fail_msg("%s and '%s'", pattern.p, value.p);
                compared++;
            }
            regfree(&re);
        }
        arena_deinit(&a);
    }
    assert_true(compared > 300000);
}

/* Patterns and values that are known to make matchers slow. */
static void matching_ends_soon(void **state)
{
    static const char *const patterns[] = {
        "(a*)*b",
        "(a|aa)+b",
        "(a|b)*a(a|b){150}",
        "(.*)(.*)(.*)(.*)(.*)b",
        "(x+x+)+y",
        "([a-z]+)*[0-9]",
        "(a?){300}a{300}",
        "(a{1,30}){1,30}b",
        "((a*)*(a*)*)*b",
        "(.*a){20}.*b.*c$",
        "(a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?)*b",
        "((a*|b*)(a*|b*)(a*|b*)(a*|b*)(a*|b*)(a*|b*)(a*|b*)(a*|b*))*c",
        "(a|b){1000}(a|b){200}",
        "((a?){1000}b?){2}",
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
        cmocka_unit_test(short_patterns_match_as_in_the_c_library),
        cmocka_unit_test(matching_ends_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
