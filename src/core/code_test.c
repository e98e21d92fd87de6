/* SPDX-License-Identifier: Apache-2.0 */
#include "core/code.h"

#include "base/test.h"

/* Scripts ask for these: they never change. */
static void codes_and_statuses(void **state)
{
    static const struct {
        enum code code;
        const char *text;
        int exit, http, grpc;
    } rows[] = {
        {CODE_OK,                 "OK",                 0, 200, 0 },
        {CODE_INTERNAL,           "internal",           1, 500, 13},
        {CODE_INVALID,            "invalid_argument",   2, 400, 3 },
        {CODE_WORKFLOW_INVALID,   "workflow_invalid",   2, 400, 3 },
        {CODE_RUN_NOT_FOUND,      "run_not_found",      3, 404, 5 },
        {CODE_METHOD_NOT_FOUND,   "method_not_found",   3, 404, 12},
        {CODE_LEASE_LOST,         "lease_lost",         4, 409, 9 },
        {CODE_QUEUE_CHANGED,      "queue_changed",      4, 412, 10},
        {CODE_QUEUE_FULL,         "queue_full",         4, 429, 8 },
        {CODE_RESOURCE_EXHAUSTED, "resource_exhausted", 7, 429, 8 },
        {CODE_TIMEOUT,            "timeout",            5, 504, 4 },
        {CODE_CANCELLED,          "cancelled",          1, 499, 1 },
        {CODE_UNAUTHENTICATED,    "unauthenticated",    6, 401, 16},
        {CODE_PERMISSION_DENIED,  "permission_denied",  6, 403, 7 },
        {CODE_STORE_UNAVAILABLE,  "store_unavailable",  7, 503, 14},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        CHECK_TEXT(code_text(rows[i].code), rows[i].text);
        assert_int_equal(code_exit(rows[i].code), rows[i].exit);
        assert_int_equal(code_http(rows[i].code), rows[i].http);
        assert_int_equal(code_grpc(rows[i].code), rows[i].grpc);
    }
}

static void each_code_is_one_word_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < CODE_N; i++) {
        struct str text = code_text((enum code)i);

        assert_true(text.n > 0);
        for (size_t at = 0; i != CODE_OK && at < text.n; at++)
            assert_true((text.p[at] >= 'a' && text.p[at] <= 'z') || text.p[at] == '_');
        for (int j = 0; j < i; j++)
            assert_false(str_eq(text, code_text((enum code)j)));
        assert_in_range(code_exit((enum code)i), i == CODE_OK ? 0 : 1, 7);
        assert_in_range(code_http((enum code)i), i == CODE_OK ? 200 : 400,
                        i == CODE_OK ? 200 : 599);
        assert_in_range(code_grpc((enum code)i), i == CODE_OK ? 0 : 1, 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_and_statuses),
        cmocka_unit_test(each_code_is_one_word_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
