/* SPDX-License-Identifier: Apache-2.0 */
#include "core/bucket.h"

#include "base/test.h"

#define S 1000000LL

/* What is there after a while, out of an empty bucket. */
static void it_fills_at_its_rate(void **state)
{
    static const struct {
        const char *name;
        struct bucket_limit limit;
        int64_t passed_us, tokens, next_at;
    } rows[] = {
        {"nothing yet",            {1000, 10},                 0,         0,                1 * S    },
        {"half of one",            {1000, 10},                 S / 2,     0,                1 * S    },
        {"one a second",           {1000, 10},                 S,         1,                S        },
        {"not above the burst",    {1000, 10},                 99 * S,    10,               99 * S   },
        {"one second's worth",     {5000, 0},                  99 * S,    5,                99 * S   },
        {"at least one",           {1, 0},                     1000 * S,  1,                1000 * S },
        {"one in 1000 seconds",    {1, 0},                     999 * S,   0,                1000 * S },
        {"three in a second",      {3000, 9},                  S,         3,                S        },
        {"a third",                {3000, 9},                  333333,    0,                333334   },
        {"a clock that goes back", {1000, 10},                 -5 * S,    0,                S        },
        {"very fast",              {BUCKET_RATE_MILLI_MAX, 0}, 1,         1000,             1        },
        {"beyond 64 bits",         {BUCKET_RATE_MILLI_MAX, 7}, INT64_MAX, 7,                INT64_MAX},
        {"the largest of all",     {BUCKET_RATE_MILLI_MAX, 0}, 10 * S,    BUCKET_BURST_MAX, 10 * S   },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct bucket b = {0};

        CHECK_ROW(rows[i].name,
                  bucket_fill(&b, &rows[i].limit, rows[i].passed_us) == rows[i].tokens);
        CHECK_ROW(rows[i].name, bucket_next_at(&b, &rows[i].limit) <= rows[i].next_at);
        if (rows[i].tokens == 0)
            CHECK_ROW(rows[i].name, bucket_next_at(&b, &rows[i].limit) == rows[i].next_at);
    }
}

static void a_new_one_is_full(void **state)
{
    const struct bucket_limit limit = {2000, 3};
    struct bucket b = {.level = BUCKET_FULL};

    (void)state;
    assert_int_equal(bucket_fill(&b, &limit, 5), 3);
    bucket_take(&b, 3);
    assert_int_equal(bucket_fill(&b, &limit, 5), 0);
    assert_int_equal(bucket_next_at(&b, &limit), 5 + S / 2);
    assert_int_equal(bucket_fill(&b, &limit, 5 + S / 2), 1);
}

/* A smaller burst holds from the next look on. */
static void a_limit_that_shrinks(void **state)
{
    const struct bucket_limit large = {1000, 100}, small = {1000, 2};
    struct bucket b = {.level = BUCKET_FULL};

    (void)state;
    assert_int_equal(bucket_fill(&b, &large, 0), 100);
    assert_int_equal(bucket_fill(&b, &small, 0), 2);
}

/* Looking often loses no more than a thousandth of what came in between. */
static void looking_often_loses_little(void **state)
{
    static const int64_t rates[] = {1, 7, 333, 999, 1001, 3000, 999999, 12345678};
    static const int64_t steps[] = {1, 3, 17, 999, 1001, 54321};

    (void)state;
    for (size_t i = 0; i < ROWS_N(rates); i++) {
        for (size_t k = 0; k < ROWS_N(steps); k++) {
            const struct bucket_limit limit = {rates[i], BUCKET_BURST_MAX};
            int64_t end = 10000 * steps[k];
            struct bucket b = {0};

            for (int64_t now = 0; now <= end; now += steps[k])
                bucket_fill(&b, &limit, now);
            assert_true(b.level <= end * rates[i] / 1000);
            assert_true(b.level >= end * rates[i] / 1000 * 999 / 1000 - 1000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_fills_at_its_rate),
        cmocka_unit_test(a_new_one_is_full),
        cmocka_unit_test(a_limit_that_shrinks),
        cmocka_unit_test(looking_often_loses_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
