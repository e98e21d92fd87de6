/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/arena.h"
#include "base/test.h"

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static void texts_compare_by_bytes(void **state)
{
    static const struct {
        const char *name;
        struct str a, b;
        int order;
    } rows[] = {
        {"both empty",             {NULL, 0},   {"", 0},     0 },
        {"empty comes first",      {NULL, 0},   {"a", 1},    -1},
        {"the same",               {"abc", 3},  {"abc", 3},  0 },
        {"a beginning is smaller", {"ab", 2},   {"abc", 3},  -1},
        {"the first byte decides", {"b", 1},    {"abc", 3},  1 },
        {"bytes have no sign",     {"\xff", 1}, {"a", 1},    1 },
        {"NUL is a byte",          {"a\0b", 3}, {"a\0c", 3}, -1},
        {"NUL ends nothing",       {"a\0b", 3}, {"a", 1},    1 },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        CHECK_ROW(rows[i].name, sign(str_cmp(rows[i].a, rows[i].b)) == rows[i].order);
        CHECK_ROW(rows[i].name, sign(str_cmp(rows[i].b, rows[i].a)) == -rows[i].order);
        CHECK_ROW(rows[i].name, str_eq(rows[i].a, rows[i].b) == (rows[i].order == 0));
    }
}

static void beginnings_and_ends(void **state)
{
    static const struct {
        const char *name;
        struct str s, part;
        bool starts, ends;
    } rows[] = {
        {"the empty text is everywhere", {"abc", 3}, {NULL, 0},   true,  true },
        {"even in nothing",              {NULL, 0},  {"", 0},     true,  true },
        {"the whole",                    {"abc", 3}, {"abc", 3},  true,  true },
        {"the start",                    {"abc", 3}, {"ab", 2},   true,  false},
        {"the end",                      {"abc", 3}, {"bc", 2},   false, true },
        {"the middle",                   {"abc", 3}, {"b", 1},    false, false},
        {"longer than the text",         {"abc", 3}, {"abcd", 4}, false, false},
        {"something in nothing",         {NULL, 0},  {"a", 1},    false, false},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        CHECK_ROW(rows[i].name, str_starts(rows[i].s, rows[i].part) == rows[i].starts);
        CHECK_ROW(rows[i].name, str_ends(rows[i].s, rows[i].part) == rows[i].ends);
    }
}

static void find_gives_the_first_place(void **state)
{
    size_t at = 99;

    (void)state;
    assert_true(str_find(STR("a=b=c"), '=', &at));
    assert_int_equal(at, 1);
    assert_true(str_find(STR("a\0b"), '\0', &at));
    assert_int_equal(at, 1);
    assert_true(str_find(STR("x"), 'x', NULL));
    at = 99;
    assert_false(str_find(STR("abc"), '=', &at));
    assert_false(str_find((struct str){0}, '=', &at));
    assert_false(str_find(STR(""), '\0', &at));
    assert_int_equal(at, 99);
}

static void sub_stays_inside(void **state)
{
    (void)state;
    CHECK_TEXT(str_sub(STR("hello"), 1, 3), "ell");
    CHECK_TEXT(str_sub(STR("hello"), 0, 5), "hello");
    CHECK_TEXT(str_sub(STR("hello"), 3, 99), "lo");
    CHECK_TEXT(str_sub(STR("hello"), 3, SIZE_MAX), "lo");
    CHECK_TEXT(str_sub(STR("hello"), 5, 1), "");
    CHECK_TEXT(str_sub(STR("hello"), 6, 1), "");
    CHECK_TEXT(str_sub(STR("hello"), SIZE_MAX, SIZE_MAX), "");
    CHECK_TEXT(str_sub((struct str){0}, 1, 1), "");
}

static void trim_takes_blanks_of_both_ends(void **state)
{
    (void)state;
    CHECK_TEXT(str_trim(STR(" \t\n\v\f\ra b\r\n")), "a b");
    CHECK_TEXT(str_trim(STR("a")), "a");
    CHECK_TEXT(str_trim(STR(" \n ")), "");
    CHECK_TEXT(str_trim((struct str){0}), "");
    CHECK_TEXT(str_trim(STR("\xc2\xa0")), "\xc2\xa0");
}

static void index_finds_whole_texts_only(void **state)
{
    static const struct str list[] = {
        {"red",    3},
        {"",       0},
        {"redder", 6},
    };
    size_t at = 99;

    (void)state;
    assert_true(str_index(STR("redder"), list, 3, &at));
    assert_int_equal(at, 2);
    assert_true(str_index((struct str){0}, list, 3, &at));
    assert_int_equal(at, 1);
    at = 99;
    assert_false(str_index(STR("redd"), list, 3, &at));
    assert_false(str_index(STR("red"), list, 0, &at));
    assert_int_equal(at, 99);
}

static void integers(void **state)
{
    static const struct {
        struct str s;
        bool good;
        int64_t v;
    } rows[] = {
        {{"0", 1},                     true,  0        },
        {{"-0", 2},                    true,  0        },
        {{"7", 1},                     true,  7        },
        {{"-7", 2},                    true,  -7       },
        {{"007", 3},                   true,  7        },
        {{"9223372036854775807", 19},  true,  INT64_MAX},
        {{"-9223372036854775808", 20}, true,  INT64_MIN},
        {{"9223372036854775808", 19},  false, 0        },
        {{"-9223372036854775809", 20}, false, 0        },
        {{"99999999999999999999", 20}, false, 0        },
        {{"", 0},                      false, 0        },
        {{NULL, 0},                    false, 0        },
        {{"-", 1},                     false, 0        },
        {{"--1", 3},                   false, 0        },
        {{"+1", 2},                    false, 0        },
        {{" 1", 2},                    false, 0        },
        {{"1 ", 2},                    false, 0        },
        {{"1.0", 3},                   false, 0        },
        {{"0x10", 4},                  false, 0        },
        {{"1e3", 3},                   false, 0        },
        {{"1\0", 2},                   false, 0        },
        {{"\xd9\xa1", 2},              false, 0        }, /* an Arabic one */
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        int64_t v = 4711;

        CHECK_ROW(rows[i].s.p, str_int64(rows[i].s, &v) == rows[i].good);
        CHECK_ROW(rows[i].s.p, v == (rows[i].good ? rows[i].v : 4711));
    }
}

static void utf8(void **state)
{
    static const struct {
        const char *name;
        struct str s;
        bool good;
        size_t bad_at;
    } rows[] = {
        {"nothing",                      {NULL, 0},                       true,  0},
        {"ASCII with NUL",               {"a\0b", 3},                     true,  0},
        {"two, three, four bytes",       {"é€😀", 9},                true,  0},
        {"the first of two bytes",       {"\xc2\x80", 2},                 true,  0},
        {"the last of two bytes",        {"\xdf\xbf", 2},                 true,  0},
        {"the first of three bytes",     {"\xe0\xa0\x80", 3},             true,  0},
        {"before the surrogates",        {"\xed\x9f\xbf", 3},             true,  0},
        {"behind the surrogates",        {"\xee\x80\x80", 3},             true,  0},
        {"U+FFFE, no character",         {"\xef\xbf\xbe", 3},             true,  0},
        {"the first of four bytes",      {"\xf0\x90\x80\x80", 4},         true,  0},
        {"U+10FFFF, the last",           {"\xf4\x8f\xbf\xbf", 4},         true,  0},
        {"a lone continuation",          {"ab\x80", 3},                   false, 2},
        {"overlong slash in two",        {"\xc0\xaf", 2},                 false, 0},
        {"overlong U+7F in two",         {"\xc1\xbf", 2},                 false, 0},
        {"overlong slash in three",      {"\xe0\x80\xaf", 3},             false, 0},
        {"overlong slash in four",       {"\xf0\x80\x80\xaf", 4},         false, 0},
        {"overlong NUL",                 {"a\xc0\x80", 3},                false, 1},
        {"the first surrogate",          {"\xed\xa0\x80", 3},             false, 0},
        {"the last surrogate",           {"\xed\xbf\xbf", 3},             false, 0},
        {"a pair of surrogates",         {"\xed\xa0\xbd\xed\xb8\x80", 6}, false, 0},
        {"U+110000",                     {"\xf4\x90\x80\x80", 4},         false, 0},
        {"lead byte 0xf5",               {"\xf5\x80\x80\x80", 4},         false, 0},
        {"five bytes",                   {"\xf8\x88\x80\x80\x80", 5},     false, 0},
        {"0xfe",                         {"\xfe", 1},                     false, 0},
        {"0xff",                         {"x\xff", 2},                    false, 1},
        {"two bytes cut",                {"a\xc3", 2},                    false, 1},
        {"three bytes cut",              {"a\xe2\x82", 3},                false, 1},
        {"four bytes cut",               {"a\xf0\x9f\x98", 4},            false, 1},
        {"a lead instead of the second", {"\xc3\xc3\xa9", 3},             false, 0},
        {"ASCII instead of the third",   {"\xe2\x82z", 3},                false, 0},
        {"Latin-1",                      {"caf\xe9!", 5},                 false, 3},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        size_t at = 99;

        CHECK_ROW(rows[i].name, str_utf8(rows[i].s, &at) == rows[i].good);
        CHECK_ROW(rows[i].name, at == (rows[i].good ? 99 : rows[i].bad_at));
        CHECK_ROW(rows[i].name, str_utf8(rows[i].s, NULL) == rows[i].good);
    }
}

/* Another way to the same answer: encode each code point, and whatever is no encoding of one is
 * bad. */
static size_t encode(uint32_t c, unsigned char out[static 4])
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (unsigned char)(0xc0 | c >> 6);
        out[1] = (unsigned char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (unsigned char)(0xe0 | c >> 12);
        out[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (unsigned char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (unsigned char)(0xf0 | c >> 18);
    out[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (unsigned char)(0x80 | (c & 0x3f));
    return 4;
}

static bool is_surrogate(uint32_t c)
{
    return c >= 0xd800 && c <= 0xdfff;
}

/* Every number of 21 bits, as its bits fall into the form of four bytes at most. */
static void every_code_point(void **state)
{
    unsigned char bytes[4];

    (void)state;
    for (uint32_t c = 0; c < 0x200000; c++) {
        size_t n = encode(c, bytes);
        bool good = c <= 0x10ffff && !is_surrogate(c);

        if (str_utf8((struct str){(char *)bytes, n}, NULL) != good)
            fail_msg("U+%04X", c);
    }
}

/* Every text of three bytes is good exactly if it is put together of encoded code points; counting
 * them needs no decoder. */
static void every_three_bytes(void **state)
{
    /* ASCII³; a pair and ASCII in both orders; three bytes: 0x800 … 0xffff without the surrogates
     */
    const unsigned expected =
        128 * 128 * 128 + 2 * 128 * (0x800 - 0x80) + (0x10000 - 0x800 - 0x800);
    unsigned good = 0;

    (void)state;
    for (uint32_t v = 0; v < 1u << 24; v++) {
        char bytes[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};

        good += str_utf8((struct str){bytes, 3}, NULL);
    }
    assert_int_equal(good, expected);
}

static void copies_belong_to_the_arena(void **state)
{
    struct arena a = {0};
    char mine[] = "mine";
    struct str copy = str_copy(&a, str_of(mine));
    struct str made = str_printf(&a, "%d of %s", 3, mine);
    char *empty = str_cstr(&a, (struct str){0});

    (void)state;
    mine[0] = 'f';
    CHECK_TEXT(copy, "mine");
    CHECK_TEXT(made, "3 of mine");
    assert_string_equal(copy.p, "mine");
    assert_string_equal(made.p, "3 of mine");
    assert_string_equal(empty, "");
    CHECK_TEXT(str_printf(&a, "%5000d", 1), str_printf(&a, "%5000d", 1).p);
    assert_int_equal(str_printf(&a, "%5000d", 1).n, 5000);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_compare_by_bytes),
        cmocka_unit_test(beginnings_and_ends),
        cmocka_unit_test(find_gives_the_first_place),
        cmocka_unit_test(sub_stays_inside),
        cmocka_unit_test(trim_takes_blanks_of_both_ends),
        cmocka_unit_test(index_finds_whole_texts_only),
        cmocka_unit_test(integers),
        cmocka_unit_test(utf8),
        cmocka_unit_test(every_code_point),
        cmocka_unit_test(every_three_bytes),
        cmocka_unit_test(copies_belong_to_the_arena),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
