/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/format.h"

#include "base/test.h"

static void durations_are_short(void **state)
{
    static const struct {
        int64_t us;
        const char *want;
    } rows[] = {
        {-5,                  "0.00s"  },
        {0,                   "0.00s"  },
        {120000,              "0.12s"  },
        {9999999,             "9.99s"  },
        {10000000,            "10.0s"  },
        {59990000,            "59.9s"  },
        {60000000,            "1m00s"  },
        {3599000000,          "59m59s" },
        {3600000000,          "1h00m"  },
        {90061000000,         "1d01h"  },
        {366LL * 86400000000, "366d00h"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        char out[FORMAT_DURATION_BYTES];

        CHECK_TEXT(format_duration(rows[i].us, out), rows[i].want);
    }
}

static void endings_are_words(void **state)
{
    static const struct {
        const char *attempt;
        const char *want;
    } rows[] = {
        {"{}",                                                            ""                   },
        {"{\"outcome\": null}",                                           ""                   },
        {"{\"outcome\": \"succeeded\", \"exit_code\": 0}",                ""                   },
        {"{\"outcome\": \"failed\", \"exit_code\": 3, \"signal\": null}", "exit code 3"        },
        {"{\"outcome\": \"failed\", \"exit_code\": null, \"signal\": 9}", "killed by SIGKILL"  },
        {"{\"outcome\": \"failed\", \"signal\": 35}",                     "killed by signal 35"},
        {"{\"outcome\": \"failed\"}",                                     "failed"             },
        {"{\"outcome\": \"timed_out\", \"signal\": 15}",                  "timed out"          },
        {"{\"outcome\": \"lost\"}",                                       "lost"               },
    };
    struct arena a = {NULL, 0, 0};

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        json_t *attempt = json_loads(rows[i].attempt, 0, NULL);

        CHECK_TEXT(format_ending(&a, attempt), rows[i].want);
        json_decref(attempt);
    }
    arena_deinit(&a);
}

static void counts_are_named_and_summed(void **state)
{
    json_t *counts =
        json_loads("{\"blocked\": 2, \"failed\": 1, \"succeeded\": 3, \"ready\": 0}", 0, NULL);
    struct arena a = {NULL, 0, 0};
    int64_t final;

    (void)state;
    CHECK_TEXT(format_counts(&a, counts), "3 succeeded, 1 failed, 2 waiting");
    assert_int_equal(format_counts_total(counts, &final), 6);
    assert_int_equal(final, 4);
    CHECK_TEXT(format_counts(&a, NULL), "");
    json_decref(counts);
    arena_deinit(&a);
}

static void missing_fields_are_nothing(void **state)
{
    json_t *o = json_loads("{\"id\": \"12\", \"n\": 3, \"s\": 1.5, \"null\": null, \"bad\": \"x\"}",
                           0, NULL);
    struct arena a = {NULL, 0, 0};

    (void)state;
    assert_int_equal(format_id(o, "id"), 12);
    assert_int_equal(format_id(o, "bad"), 0);
    assert_int_equal(format_id(o, "none"), 0);
    assert_int_equal(format_number(o, "n", -1), 3);
    assert_int_equal(format_number(o, "null", -1), -1);
    assert_int_equal(format_us(o, "s"), 1500000);
    assert_int_equal(format_us(o, "null"), -1);
    CHECK_TEXT(format_span(&a, o, "s"), "1.50s");
    CHECK_TEXT(format_span(&a, o, "null"), "");
    CHECK_TEXT(format_time(&a, STR("2026-03-08T07:30:00.000000Z")), "2026-03-08 07:30:00");
    CHECK_TEXT(format_clock(&a, STR("2026-03-08T07:30:00.000000Z")), "07:30:00Z");
    CHECK_TEXT(format_time(&a, STR("")), "");
    CHECK_TEXT(format_bytes(&a, 1023), "1023 B");
    CHECK_TEXT(format_bytes(&a, 1572864), "1.5 MiB");
    CHECK_TEXT(format_n(&a, 1, "task"), "1 task");
    CHECK_TEXT(format_n(&a, 0, "task"), "0 tasks");
    json_decref(o);
    arena_deinit(&a);
}

static void text_that_is_no_utf8_still_becomes_json(void **state)
{
    json_t *v = format_json((struct str){"a\xff"
                                         "b",
                                         3});

    (void)state;
    assert_string_equal(json_string_value(v), "a\uFFFDb");
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_short),
        cmocka_unit_test(endings_are_words),
        cmocka_unit_test(counts_are_named_and_summed),
        cmocka_unit_test(missing_fields_are_nothing),
        cmocka_unit_test(text_that_is_no_utf8_still_becomes_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
