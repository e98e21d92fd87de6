/* SPDX-License-Identifier: Apache-2.0 */
#include "net/request_id.h"

#include <string.h>

#include "base/test.h"

static void a_sound_id_is_kept_and_another_is_made(void **state)
{
    static const char long_one[CALL_ID_BYTES_MAX + 2] =
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefX";
    const struct {
        const char *name;
        struct str asked;
        bool kept;
    } rows[] = {
        {"none",           STR(""),                                 false},
        {"one byte",       STR("7"),                                true },
        {"a UUID",         STR("0b2f6f0e-2f3c-4f7e-9d5c-a1b2c3d4"), true },
        {"printable",      STR("!\"#/~"),                           true },
        {"a blank",        STR("a b"),                              false},
        {"a tab",          STR("a\tb"),                             false},
        {"a line",         STR("a\r\nset-cookie: b"),               false},
        {"NUL",            {"a\0b", 3},                             false},
        {"not ASCII",      STR("caf\xc3\xa9"),                      false},
        {"DEL",            STR("\x7f"),                             false},
        {"as long as may", {long_one, CALL_ID_BYTES_MAX},           true },
        {"longer",         {long_one, CALL_ID_BYTES_MAX + 1},       false},
    };
    uint64_t newest = 0xfe;

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        char out[CALL_ID_BYTES_MAX];
        struct str id = request_id_take(&newest, rows[i].asked, out);

        CHECK_ROW(rows[i].name, str_eq(id, rows[i].asked) == rows[i].kept);
        if (i == 0)
            CHECK_ROW(rows[i].name, str_eq(id, STR("00000000000000ff")));
        CHECK_ROW(rows[i].name, rows[i].kept || id.n == 16);
    }
}

static void seeds_differ(void **state)
{
    (void)state;
    assert_true(request_id_seed() != request_id_seed());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_id_is_kept_and_another_is_made),
        cmocka_unit_test(seeds_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
