/* SPDX-License-Identifier: Apache-2.0 */
#include "core/code.h"

#include "base/test.h"

/* Scripts ask for these: they never change. */
static void codes_and_exits(void **state)
{
    static const struct {
        enum code code;
        const char *text;
        int exit;
    } rows[] = {
        {CODE_OK,                "ok",                0},
        {CODE_INTERNAL,          "internal",          1},
        {CODE_WORKFLOW_INVALID,  "workflow_invalid",  2},
        {CODE_RUN_NOT_FOUND,     "run_not_found",     3},
        {CODE_LEASE_LOST,        "lease_lost",        4},
        {CODE_TIMEOUT,           "timeout",           5},
        {CODE_PERMISSION_DENIED, "permission_denied", 6},
        {CODE_STORE_UNAVAILABLE, "store_unavailable", 7},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        CHECK_TEXT(code_text(rows[i].code), rows[i].text);
        assert_int_equal(code_exit(rows[i].code), rows[i].exit);
    }
}

static void each_code_is_one_word_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < CODE_N; i++) {
        struct str text = code_text((enum code)i);

        assert_true(text.n > 0);
        for (size_t at = 0; at < text.n; at++)
            assert_true((text.p[at] >= 'a' && text.p[at] <= 'z') || text.p[at] == '_');
        for (int j = 0; j < i; j++)
            assert_false(str_eq(text, code_text((enum code)j)));
        assert_in_range(code_exit((enum code)i), i == CODE_OK ? 0 : 1, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_and_exits),
        cmocka_unit_test(each_code_is_one_word_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
