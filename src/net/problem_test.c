/* SPDX-License-Identifier: Apache-2.0 */
#include "net/problem.h"

#include "base/test.h"

static void a_refusal_as_json(void **state)
{
    static const struct doc_error details[] = {
        {1, 7, {"a \"b\"", 5}},
        {2, 1, {"c", 1}      },
    };
    struct problem p = {404, CODE_QUEUE_NOT_FOUND, STR("no \"mail\"\n"), NULL, 0};
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    problem_json(&p, &b);
    CHECK_TEXT(buf_str(&b), "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
                            "\"code\":\"queue_not_found\",\"detail\":\"no \\\"mail\\\"\\n\"}");
    buf_clear(&b);
    p.details = details;
    p.details_n = 2;
    problem_json(&p, &b);
    CHECK_TEXT(buf_str(&b),
               "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
               "\"code\":\"queue_not_found\",\"detail\":\"no \\\"mail\\\"\\n\",\"details\":["
               "{\"line\":1,\"column\":7,\"text\":\"a \\\"b\\\"\"},"
               "{\"line\":2,\"column\":1,\"text\":\"c\"}]}");
    buf_deinit(&b);
}

static void each_code_has_words_of_its_status(void **state)
{
    (void)state;
    for (int c = 0; c < CODE_N; c++) {
        int status = code_http((enum code)c);

        assert_true(status == 400 || strcmp(problem_title(status), "Bad Request") != 0);
        assert_true(status == 500 || strcmp(problem_title(status), "Internal Server Error") != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_as_json),
        cmocka_unit_test(each_code_has_words_of_its_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
