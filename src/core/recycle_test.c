/* SPDX-License-Identifier: Apache-2.0 */
#include "core/recycle.h"

#include "base/test.h"

static void a_limit_that_is_reached_is_the_reason(void **state)
{
    static const struct {
        const char *name;
        struct recycle_limits limits;
        struct recycle_use use;
        double share;
        enum recycle_reason reason;
    } rows[] = {
        {"no limits",      {0},          {1000, 1000, 1000}, 1.0, RECYCLE_NONE  },
        {"below",          {10, 20, 30}, {9, 19, 29},        1.0, RECYCLE_NONE  },
        {"calls",          {10, 20, 30}, {10, 0, 0},         1.0, RECYCLE_CALLS },
        {"age",            {10, 20, 30}, {9, 20, 0},         1.0, RECYCLE_AGE   },
        {"memory",         {10, 20, 30}, {9, 19, 30},        1.0, RECYCLE_MEMORY},
        {"all: the first", {10, 20, 30}, {10, 20, 30},       1.0, RECYCLE_CALLS },
        {"not known",      {0, 0, 30},   {0, 0, 0},          1.0, RECYCLE_NONE  },
        {"a small share",  {10, 0, 0},   {9, 0, 0},          0.9, RECYCLE_CALLS },
        {"a large share",  {10, 0, 0},   {10, 0, 0},         1.1, RECYCLE_NONE  },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        CHECK_ROW(rows[i].name,
                  recycle_due(&rows[i].limits, &rows[i].use, rows[i].share) == rows[i].reason);
}

static void shares_differ_by_a_tenth_at_most(void **state)
{
    struct prng prng;
    double least = 2, most = 0;

    (void)state;
    prng_seed(&prng, 7);
    for (unsigned i = 0; i < 1000; i++) {
        double share = recycle_share(&prng);

        least = share < least ? share : least;
        most = share > most ? share : most;
    }
    assert_true(least >= 0.9 && least < 0.92);
    assert_true(most <= 1.1 && most > 1.08);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_that_is_reached_is_the_reason),
        cmocka_unit_test(shares_differ_by_a_tenth_at_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
