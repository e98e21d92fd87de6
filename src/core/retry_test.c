/* SPDX-License-Identifier: Apache-2.0 */
#include "core/retry.h"

#include <locale.h>

#include "base/test.h"

#define S    1000000LL
#define HOUR (3600 * S)

static void decisions(void **state)
{
    enum { NO = -1 };
    static const struct {
        const char *name;
        struct retry_policy p;
        int64_t attempt;
        enum outcome o;
        int exit_code;
        int64_t wait_us; /* NO: not again */
    } rows[] = {
  /* clang-format off */
#define ON(outcome) (1u << OUTCOME_##outcome)
        {"first of one",                {1, 0, HOUR, 2, 0, ON(FAILED), 0, {0}},                     1,   OUTCOME_FAILED,    1,  NO},
        {"first of two",                {2, 0, HOUR, 2, 0, ON(FAILED), 0, {0}},                     1,   OUTCOME_FAILED,    1,  0},
        {"second of two",               {2, 0, HOUR, 2, 0, ON(FAILED), 0, {0}},                     2,   OUTCOME_FAILED,    1,  NO},
        {"beyond the last",             {2, 0, HOUR, 2, 0, ON(FAILED), 0, {0}},                     99,  OUTCOME_FAILED,    1,  NO},
        {"another outcome",             {3, 0, HOUR, 2, 0, ON(FAILED), 0, {0}},                     1,   OUTCOME_LOST,      -1, NO},
        {"no outcome at all",           {3, 0, HOUR, 2, 0, 0, 0, {0}},                              1,   OUTCOME_FAILED,    1,  NO},
        {"a cancelled one where asked", {3, 0, HOUR, 2, 0, ON(CANCELLED), 0, {0}},                  1,   OUTCOME_CANCELLED, -1, 0},
        {"the exit code is listed",     {3, 0, HOUR, 2, 0, ON(FAILED), 2, {1, 75}},                 1,   OUTCOME_FAILED,    75, 0},
        {"the exit code is not listed", {3, 0, HOUR, 2, 0, ON(FAILED), 2, {1, 75}},                 1,   OUTCOME_FAILED,    2,  NO},
        {"0 stands behind the list",    {3, 0, HOUR, 2, 0, ON(FAILED), 1, {1}},                     1,   OUTCOME_FAILED,    0,  NO},
        {"killed, without exit code",   {3, 0, HOUR, 2, 0, ON(FAILED), 1, {255}},                   1,   OUTCOME_FAILED,    -1, NO},
        {"codes are of failed only",    {3, 0, HOUR, 2, 0, ON(LOST), 1, {75}},                      1,   OUTCOME_LOST,      -1, 0},
        {"the base",                    {9, S, HOUR, 2, 0, ON(FAILED), 0, {0}},                     1,   OUTCOME_FAILED,    1,  S},
        {"twice the base",              {9, S, HOUR, 2, 0, ON(FAILED), 0, {0}},                     2,   OUTCOME_FAILED,    1,  2 * S},
        {"128 times the base",          {9, S, HOUR, 2, 0, ON(FAILED), 0, {0}},                     8,   OUTCOME_FAILED,    1,  128 * S},
        {"factor 1 stays",              {9, S, HOUR, 1, 0, ON(FAILED), 0, {0}},                     8,   OUTCOME_FAILED,    1,  S},
        {"factor 1.5",                  {9, S, HOUR, 1.5, 0, ON(FAILED), 0, {0}},                   3,   OUTCOME_FAILED,    1,  2250000},
        {"the cap",                     {9, S, 100 * S, 10, 0, ON(FAILED), 0, {0}},                 3,   OUTCOME_FAILED,    1,  100 * S},
        {"beyond the cap",              {9, S, 100 * S, 10, 0, ON(FAILED), 0, {0}},                 4,   OUTCOME_FAILED,    1,  100 * S},
        {"a base beyond the cap",       {9, S, 10, 2, 0, ON(FAILED), 0, {0}},                       1,   OUTCOME_FAILED,    1,  10},
        {"no cap, no wait",             {9, S, 0, 2, 0, ON(FAILED), 0, {0}},                        1,   OUTCOME_FAILED,    1,  0},
        {"a power beyond 64 bits",      {1000, S, HOUR, 100, 0, ON(FAILED), 0, {0}},                20,  OUTCOME_FAILED,    1,  HOUR},
        {"an infinite power",           {1000, S, HOUR, 100, 0, ON(FAILED), 0, {0}},                999, OUTCOME_FAILED,    1,  HOUR},
        {"nothing times infinity",      {1000, 0, HOUR, 100, 0, ON(FAILED), 0, {0}},                999, OUTCOME_FAILED,    1,  0},
        {"the longest of all",          {9, INT64_MAX, INT64_MAX, 100, 0, ON(FAILED), 0, {0}},      8,   OUTCOME_FAILED,    1,  INT64_MAX},
        {"just under 63 bits",          {9, INT64_MAX - 1024, INT64_MAX, 1, 0, ON(FAILED), 0, {0}}, 1,   OUTCOME_FAILED,    1,  INT64_MAX - 1023},
#undef ON
  /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        int64_t wait_us = 4711;
        bool again =
            retry_decide(&rows[i].p, rows[i].attempt, rows[i].o, rows[i].exit_code, NULL, &wait_us);

        CHECK_ROW(rows[i].name, again == (rows[i].wait_us != NO));
        CHECK_ROW(rows[i].name, wait_us == (again ? rows[i].wait_us : 4711));
    }
}

static void jitter_draws_its_share(void **state)
{
    static const double shares[] = {0.1, 0.5, 1};
    struct prng prng;

    (void)state;
    prng_seed(&prng, 1);
    for (size_t i = 0; i < ROWS_N(shares); i++) {
        struct retry_policy p = retry_asked();
        int64_t least = INT64_MAX, most = 0, floor_us = (int64_t)(100 * S * (1 - shares[i]));
        double sum = 0;

        p.base_us = 100 * S;
        p.jitter = shares[i];
        for (int draw = 0; draw < 10000; draw++) {
            int64_t wait_us;

            assert_true(retry_decide(&p, 1, OUTCOME_FAILED, 1, &prng, &wait_us));
            assert_true(wait_us >= floor_us && wait_us <= 100 * S);
            least = wait_us < least ? wait_us : least;
            most = wait_us > most ? wait_us : most;
            sum += (double)wait_us;
        }
        /* it fills the whole range, evenly */
        assert_true((double)(least - floor_us) < 0.01 * 100 * S);
        assert_true((double)(100 * S - most) < 0.01 * 100 * S);
        sum /= 10000.0 * 100 * S;
        assert_true(sum > 1 - shares[i] / 2 - 0.02 && sum < 1 - shares[i] / 2 + 0.02);
    }
}

/* Rounding to a double never carries a wait beyond its bounds, the longest ones included. */
static void jitter_of_the_longest_wait_stays_inside(void **state)
{
    struct retry_policy p = retry_asked();
    struct prng prng;

    (void)state;
    p.base_us = p.cap_us = INT64_MAX;
    p.jitter = 1;
    prng_seed(&prng, 1);
    for (int i = 0; i < 10000; i++) {
        int64_t wait_us;

        assert_true(retry_decide(&p, 2, OUTCOME_FAILED, 1, &prng, &wait_us));
        assert_true(wait_us >= 0);
    }
}

static void defaults(void **state)
{
    struct retry_policy rest = retry_default(), asked = retry_asked();
    int64_t wait_us;

    (void)state;
    assert_true(retry_decide(&rest, 1, OUTCOME_LOST, -1, NULL, &wait_us));
    assert_int_equal(wait_us, 0);
    assert_true(retry_decide(&rest, 2, OUTCOME_LOST, -1, NULL, &wait_us));
    assert_false(retry_decide(&rest, 3, OUTCOME_LOST, -1, NULL, &wait_us));
    assert_false(retry_decide(&rest, 1, OUTCOME_FAILED, 1, NULL, &wait_us));
    assert_false(retry_decide(&rest, 1, OUTCOME_TIMED_OUT, -1, NULL, &wait_us));
    assert_true(retry_decide(&asked, 2, OUTCOME_FAILED, 1, NULL, &wait_us));
    assert_true(retry_decide(&asked, 2, OUTCOME_TIMED_OUT, -1, NULL, &wait_us));
    assert_true(retry_decide(&asked, 2, OUTCOME_LOST, -1, NULL, &wait_us));
    assert_false(retry_decide(&asked, 3, OUTCOME_LOST, -1, NULL, &wait_us));
    assert_false(retry_decide(&asked, 1, OUTCOME_CANCELLED, -1, NULL, &wait_us));
}

static bool same(const struct retry_policy *a, const struct retry_policy *b)
{
    return a->max_attempts == b->max_attempts && a->base_us == b->base_us &&
           a->cap_us == b->cap_us && a->factor == b->factor && a->jitter == b->jitter &&
           a->outcomes == b->outcomes && a->exit_codes_n == b->exit_codes_n &&
           memcmp(a->exit_codes, b->exit_codes, a->exit_codes_n) == 0;
}

static void good_texts(void **state)
{
    static const char *const rows[] = {
        "attempts=3 base=0 cap=3600000000 factor=2 jitter=0 on=lost exit=",
        "attempts=3 base=1000000 cap=60000000 factor=1.5 jitter=0.5 on=failed,lost exit=1,75",
        "attempts=1 base=0 cap=0 factor=1 jitter=1 on= exit=",
        ("attempts=1000 base=9223372036854775807 cap=9223372036854775807 factor=99.999999 "
         "jitter=0.000001 "
         "on=succeeded,failed,timed_out,lost,cancelled,rejected "
         "exit=100,101,102,103,104,105,106,107,108,109,110,111,112,113,114,255"),
        "attempts=2 base=1 cap=2 factor=1.000001 jitter=0.1 on=failed exit=0",
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        char out[RETRY_TEXT_BYTES];
        struct retry_policy p;

        CHECK_ROW(rows[i], retry_parse(str_of(rows[i]), &p));
        CHECK_TEXT(retry_format(&p, out), rows[i]);
    }
}

static void bad_texts(void **state)
{
    static const char *const rows[] = {
        "",
        "attempts=3",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost exit",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost exit= ",
        " attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost exit=",
        "attempts=3  base=0 cap=0 factor=2 jitter=0 on=lost exit=",
        "base=0 attempts=3 cap=0 factor=2 jitter=0 on=lost exit=",
        "attempts=0 base=0 cap=0 factor=2 jitter=0 on=lost exit=",
        "attempts=1001 base=0 cap=0 factor=2 jitter=0 on=lost exit=",
        "attempts=-3 base=0 cap=0 factor=2 jitter=0 on=lost exit=",
        "attempts=03 base=0 cap=0 factor=2 jitter=0 on=lost exit=",
        "attempts= base=0 cap=0 factor=2 jitter=0 on=lost exit=",
        "attempts=3 base=-1 cap=0 factor=2 jitter=0 on=lost exit=",
        "attempts=3 base=9223372036854775808 cap=0 factor=2 jitter=0 on=lost exit=",
        "attempts=3 base=0 cap=1h factor=2 jitter=0 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=0.5 jitter=0 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=101 jitter=0 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=100.000001 jitter=0 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=2.0 jitter=0 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=2. jitter=0 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=1,5 jitter=0 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=nan jitter=0 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=inf jitter=0 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=1e1 jitter=0 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=2 jitter=1.000001 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=2 jitter=-0.5 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=2 jitter=0.-5 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=2 jitter=.5 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=2 jitter=0.0000001 on=lost exit=",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=late exit=",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=LOST exit=",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost,failed exit=",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost,lost exit=",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost, exit=",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=,lost exit=",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost exit=256",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost exit=-1",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost exit=1,",
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost exit=1,,2",
        ("attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost "
         "exit=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"),
        "attempts=3 base=0 cap=0 factor=2 jitter=0 on=lost exit=1 more",
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct retry_policy p = {.max_attempts = 4711};

        CHECK_ROW(rows[i], !retry_parse(str_of(rows[i]), &p));
        CHECK_ROW(rows[i], p.max_attempts == 4711);
    }
    assert_false(retry_parse((struct str){0}, &(struct retry_policy){0}));
}

/* Every beginning of a text is refused. */
static void a_cut_text_is_refused(void **state)
{
    static const char text[] = "attempts=3 base=1 cap=6 factor=1.5 jitter=0.5 on=failed,lost exit=";
    struct retry_policy p;

    (void)state;
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        assert_false(retry_parse((struct str){text, n}, &p));
    assert_true(retry_parse(str_of(text), &p));
}

static struct retry_policy random_policy(struct prng *prng)
{
    struct retry_policy p = {
        .max_attempts = 1 + (int64_t)prng_below(prng, RETRY_ATTEMPTS_MAX),
        .base_us = (int64_t)(prng_next(prng) >> (1 + prng_below(prng, 63))),
        .cap_us = (int64_t)(prng_next(prng) >> (1 + prng_below(prng, 63))),
        .factor = (double)(1000000 + prng_below(prng, 99000001)) / 1e6,
        .jitter = (double)prng_below(prng, 1000001) / 1e6,
        .outcomes = (uint32_t)prng_below(prng, 1u << OUTCOME_N) & ~1u,
        .exit_codes_n = (unsigned)prng_below(prng, RETRY_EXIT_CODES_MAX + 1),
    };

    for (unsigned i = 0; i < p.exit_codes_n; i++)
        p.exit_codes[i] = (uint8_t)prng_next(prng);
    return p;
}

static void random_policies_are_read_back(void **state)
{
    struct prng prng;

    (void)state;
    prng_seed(&prng, 1);
    for (int i = 0; i < 100000; i++) {
        struct retry_policy p = random_policy(&prng), again;
        char out[RETRY_TEXT_BYTES];

        assert_true(retry_parse(retry_format(&p, out), &again));
        assert_true(same(&p, &again));
    }
}

/* What is finer than a millionth is rounded to one, and not refused. */
static void fine_numbers_are_rounded(void **state)
{
    struct retry_policy p = retry_asked();
    char out[RETRY_TEXT_BYTES];

    (void)state;
    p.factor = 1 + 1 / 3.0;
    p.jitter = 0.9999999;
    CHECK_TEXT(retry_format(&p, out), "attempts=3 base=0 cap=3600000000 factor=1.333333 jitter=1 "
                                      "on=failed,timed_out,lost exit=");
}

static void the_locale_changes_nothing(void **state)
{
    const char *const locales[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "C.UTF-8"};
    struct retry_policy p = retry_asked();
    char out[RETRY_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < ROWS_N(locales); i++) {
        if (!setlocale(LC_ALL, locales[i]))
            continue;
        p.factor = 1.5;
        p.base_us = 1234567890;
        CHECK_TEXT(retry_format(&p, out),
                   "attempts=3 base=1234567890 cap=3600000000 factor=1.5 jitter=0 "
                   "on=failed,timed_out,lost exit=");
        assert_true(retry_parse(str_of(out), &p));
    }
    setlocale(LC_ALL, "C");
}

static void outcomes_are_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < OUTCOME_N; i++) {
        enum outcome o = OUTCOME_N;

        assert_true(retry_outcome_parse(retry_outcome_text((enum outcome)i), &o));
        assert_int_equal(o, i);
    }
    assert_false(retry_outcome_parse(STR("timed out"), &(enum outcome){0}));
    assert_false(retry_outcome_parse(STR("FAILED"), &(enum outcome){0}));
}

/* B-07: contention is tried again after 0.1, 0.2 and 0.4 s, and then reported. */
static void calls_are_tried_again(void **state)
{
    const struct retry_policy p = retry_call();
    int64_t wait_us;
    struct prng prng;

    (void)state;
    prng_seed(&prng, 3);
    for (int64_t attempt = 1, most = 100000; attempt <= 3; attempt++, most *= 2) {
        assert_true(retry_decide(&p, attempt, OUTCOME_FAILED, -1, &prng, &wait_us));
        assert_true(wait_us <= most && wait_us >= most / 4 * 3);
    }
    assert_false(retry_decide(&p, 4, OUTCOME_FAILED, -1, &prng, &wait_us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions),
        cmocka_unit_test(calls_are_tried_again),
        cmocka_unit_test(jitter_draws_its_share),
        cmocka_unit_test(jitter_of_the_longest_wait_stays_inside),
        cmocka_unit_test(defaults),
        cmocka_unit_test(good_texts),
        cmocka_unit_test(bad_texts),
        cmocka_unit_test(a_cut_text_is_refused),
        cmocka_unit_test(random_policies_are_read_back),
        cmocka_unit_test(fine_numbers_are_rounded),
        cmocka_unit_test(the_locale_changes_nothing),
        cmocka_unit_test(outcomes_are_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
