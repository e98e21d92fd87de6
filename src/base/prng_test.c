/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prng.h"

#include "base/test.h"

/* The numbers that the authors' own programs print. */
static void the_published_numbers_come(void **state)
{
    static const uint64_t splitmix[] = {6457827717110365317U, 3203168211198807973U,
                                        9817491932198370423U, 4593380528125082431U};
    static const uint64_t xoshiro[] = {11520U, 0U, 1509978240U, 1215971899390074240U};
    struct prng p;

    (void)state;
    prng_seed(&p, 1234567);
    for (int i = 0; i < 4; i++)
        assert_true(p.s[i] == splitmix[i]);
    p = (struct prng){
        {1, 2, 3, 4}
    };
    for (int i = 0; i < 4; i++)
        assert_true(prng_next(&p) == xoshiro[i]);
}

static void a_seed_repeats_itself(void **state)
{
    struct prng p, q, other;
    int same = 0;

    (void)state;
    prng_seed(&p, 7);
    prng_seed(&q, 7);
    prng_seed(&other, 8);
    for (int i = 0; i < 1000; i++) {
        uint64_t v = prng_next(&p);

        assert_true(v == prng_next(&q));
        same += v == prng_next(&other);
    }
    assert_int_equal(same, 0);
}

static void seed_zero_is_a_seed(void **state)
{
    struct prng p;

    (void)state;
    prng_seed(&p, 0);
    assert_true(p.s[0] && p.s[1] && p.s[2] && p.s[3]);
}

static void below_is_below_and_even(void **state)
{
    enum { N = 10, DRAWS = 100000 };
    int counts[N] = {0};
    double chi = 0;
    struct prng p;

    (void)state;
    prng_seed(&p, 1);
    for (int i = 0; i < DRAWS; i++)
        counts[prng_below(&p, N)]++;
    for (int i = 0; i < N; i++) {
        double off = counts[i] - DRAWS / (double)N;

        chi += off * off / (DRAWS / (double)N);
    }
    assert_true(chi < 27.9); /* nine degrees of freedom: one seed in a thousand is above */
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(prng_below(&p, 1), 0);
        assert_true(prng_below(&p, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
        assert_true(prng_below(&p, UINT64_MAX) < UINT64_MAX);
    }
}

static void unit_is_from_0_up_to_1(void **state)
{
    struct prng p;
    double sum = 0, least = 1, most = 0;

    (void)state;
    prng_seed(&p, 1);
    for (int i = 0; i < 100000; i++) {
        double v = prng_unit(&p);

        assert_true(v >= 0 && v < 1);
        sum += v;
        least = v < least ? v : least;
        most = v > most ? v : most;
    }
    assert_true(sum > 49500 && sum < 50500);
    assert_true(least < 0.001 && most > 0.999);
    p = (struct prng){
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}
    };
    for (int i = 0; i < 1000; i++)
        assert_true(prng_unit(&p) < 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_numbers_come), cmocka_unit_test(a_seed_repeats_itself),
        cmocka_unit_test(seed_zero_is_a_seed),        cmocka_unit_test(below_is_below_and_even),
        cmocka_unit_test(unit_is_from_0_up_to_1),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
