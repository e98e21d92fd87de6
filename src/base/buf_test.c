/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/test.h"

static void text_grows_and_has_a_nul_behind_it(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000000);
    for (int i = 0; i < 10000; i++) {
        buf_add(&b, STR("ab"));
        buf_byte(&b, 'c');
        buf_printf(&b, "%d", i % 10);
        assert_int_equal(b.p[b.n], '\0');
    }
    assert_int_equal(b.n, 40000);
    for (size_t i = 0; i < 10000; i++) {
        char expected[] = {'a', 'b', 'c', (char)('0' + i % 10)};

        assert_memory_equal(b.p + i * 4, expected, 4);
    }
    assert_false(b.full);
    buf_deinit(&b);
    assert_null(b.p);
}

/* Every limit up to 40, by pieces of every length up to 5: what is there is a beginning of what was
 * written. */
static void the_limit_cuts_between_pieces(void **state)
{
    static const char text[] =
        "0123456789012345678901234567890123456789012345678901234567890123456789";

    (void)state;
    for (size_t max = 0; max <= 40; max++) {
        for (size_t piece = 1; piece <= 5; piece++) {
            struct buf b;

            buf_init(&b, max);
            for (size_t at = 0; at < 50; at += piece)
                buf_add(&b, (struct str){text + at, piece});
            assert_int_equal(b.n, max / piece * piece);
            assert_true(b.full);
            assert_true(b.n == 0 || memcmp(b.p, text, b.n) == 0);
            buf_deinit(&b);
        }
    }
}

static void full_stays_full_until_it_is_cleared(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 3);
    buf_add(&b, STR("ab"));
    buf_printf(&b, "%d", 42);
    assert_true(b.full);
    buf_byte(&b, 'c');
    CHECK_TEXT(buf_str(&b), "ab");
    buf_clear(&b);
    assert_false(b.full);
    CHECK_TEXT(buf_str(&b), "");
    buf_add(&b, STR("xyz"));
    CHECK_TEXT(buf_str(&b), "xyz");
    assert_false(b.full);
    buf_deinit(&b);
}

static void nothing_is_added_as_nothing(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 0);
    buf_clear(&b);
    buf_add(&b, (struct str){0});
    buf_printf(&b, "%s", "");
    assert_false(b.full);
    CHECK_TEXT(buf_str(&b), "");
    buf_deinit(&b);
    buf_deinit(&b);
}

static void fixed_writes_into_the_callers_bytes(void **state)
{
    char out[6] = {'x', 'x', 'x', 'x', 'x', 'x'};
    struct buf b;

    (void)state;
    buf_fixed(&b, out, 5);
    assert_string_equal(out, "");
    buf_printf(&b, "%s", "abcd");
    assert_false(b.full);
    assert_string_equal(out, "abcd");
    buf_byte(&b, 'e');
    assert_true(b.full);
    assert_string_equal(out, "abcd");
    assert_int_equal(out[5], 'x');
    buf_clear(&b);
    assert_string_equal(out, "");
    buf_deinit(&b);
    buf_fixed(&b, out, 1);
    buf_byte(&b, 'a');
    assert_true(b.full);
    assert_string_equal(out, "");
}

static void a_long_printf_is_one_piece(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5000);
    buf_byte(&b, '>');
    buf_printf(&b, "%4999s", "end");
    assert_int_equal(b.n, 5000);
    assert_memory_equal(b.p + 4997, "end", 4);
    assert_false(b.full);
    buf_deinit(&b);
}

static void json(void **state)
{
    static const struct {
        const char *name;
        struct str s;
        const char *expected;
    } rows[] = {
        {"nothing",                {NULL, 0},            "\"\""                                     },
        {"plain",                  {"plain text", 10},   "\"plain text\""                           },
        {"quote and backslash",    {"a\"b\\c", 5},       "\"a\\\"b\\\\c\""                          },
        {"short names",            {"\b\f\n\r\t", 5},    "\"\\b\\f\\n\\r\\t\""                      },
        {"NUL",                    {"a\0b", 3},          "\"a\\u0000b\""                            },
        {"escape and 0x1f",        {"\x1b[31m\x1f", 6},  "\"\\u001b[31m\\u001f\""                   },
        {"delete",                 {"\x7f", 1},          "\"\\u007f\""                              },
        {"the first C1 control",   {"\xc2\x80", 2},      "\"\\u0080\""                              },
        {"the last C1 control",
         {"a\xc2\x9f"
          "b",
          4},
         "\"a\\u009fb\""                                                                            },
        {"U+00A0 is none",         {"\xc2\xa0", 2},      "\"\xc2\xa0\""                             },
        {"a slash stays",          {"</script>", 9},     "\"</script>\""                            },
        {"two, three, four bytes", {"é€😀", 9},     "\"é€😀\""                            },
        {"a bad byte",
         {"a\xff"
          "b",
          3},
         "\"a\xef\xbf\xbd"
         "b\""                                                                                      },
        {"only bad bytes",         {"\x80\x81", 2},      "\"\xef\xbf\xbd\xef\xbf\xbd\""             },
        {"a cut character",        {"a\xe2\x82", 3},     "\"a\xef\xbf\xbd\xef\xbf\xbd\""            },
        {"0xc2 at the end",        {"a\xc2", 2},         "\"a\xef\xbf\xbd\""                        },
        {"0xc2 before ASCII",
         {"\xc2"
          "b",
          2},
         "\"\xef\xbf\xbd"
         "b\""                                                                                      },
        {"a surrogate",            {"\xed\xa0\x80!", 4}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!\""},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct buf b;

        buf_init(&b, 1000);
        buf_json(&b, rows[i].s);
        CHECK_ROW(rows[i].name, str_eq(buf_str(&b), str_of(rows[i].expected)));
        buf_deinit(&b);
    }
}

/* Whatever the bytes are, what comes out is UTF-8 without control characters. */
static void json_of_every_two_bytes(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    for (unsigned v = 0; v < 1u << 16; v++) {
        char bytes[2] = {(char)(v >> 8), (char)v};

        buf_clear(&b);
        buf_json(&b, (struct str){bytes, 2});
        assert_true(str_utf8(buf_str(&b), NULL));
        assert_true(b.p[0] == '"' && b.p[b.n - 1] == '"');
        for (size_t i = 0; i < b.n; i++)
            assert_true((unsigned char)b.p[i] >= 0x20 && b.p[i] != 0x7f);
    }
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_and_has_a_nul_behind_it),
        cmocka_unit_test(the_limit_cuts_between_pieces),
        cmocka_unit_test(full_stays_full_until_it_is_cleared),
        cmocka_unit_test(nothing_is_added_as_nothing),
        cmocka_unit_test(fixed_writes_into_the_callers_bytes),
        cmocka_unit_test(a_long_printf_is_one_piece),
        cmocka_unit_test(json),
        cmocka_unit_test(json_of_every_two_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
