/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <inttypes.h>
#include <time.h>

#include "base/prng.h"
#include "base/test.h"

static void times(void **state)
{
    static const struct {
        const char *given;
        const char *expected; /* NULL: refused */
    } rows[] = {
        {"1970-01-01T00:00:00Z",            "1970-01-01T00:00:00.000000Z"},
        {"2026-03-08T07:30:00.000000Z",     "2026-03-08T07:30:00.000000Z"},
        {"2026-03-08t07:30:00z",            "2026-03-08T07:30:00.000000Z"},
        {"2026-03-08 07:30:00Z",            "2026-03-08T07:30:00.000000Z"},
        {"2026-03-08T02:30:00-05:00",       "2026-03-08T07:30:00.000000Z"},
        {"2026-03-08T13:15:00+05:45",       "2026-03-08T07:30:00.000000Z"},
        {"2026-01-01T00:00:00+00:01",       "2025-12-31T23:59:00.000000Z"},
        {"2025-12-31T23:59:59-00:00",       "2025-12-31T23:59:59.000000Z"},
        {"2025-12-31T00:00:00-23:59",       "2025-12-31T23:59:00.000000Z"},
        {"1969-12-31T23:59:59.999999Z",     "1969-12-31T23:59:59.999999Z"},
        {"2026-03-08T07:30:00.5Z",          "2026-03-08T07:30:00.500000Z"},
        {"2026-03-08T07:30:00.000001Z",     "2026-03-08T07:30:00.000001Z"},
        {"2026-03-08T07:30:00.1234567891Z", "2026-03-08T07:30:00.123456Z"},
        {"2024-02-29T12:00:00Z",            "2024-02-29T12:00:00.000000Z"},
        {"2000-02-29T12:00:00Z",            "2000-02-29T12:00:00.000000Z"},
        {"2038-01-19T03:14:08Z",            "2038-01-19T03:14:08.000000Z"},
        {"0000-01-01T00:00:00Z",            "0000-01-01T00:00:00.000000Z"},
        {"9999-12-31T23:59:59.999999Z",     "9999-12-31T23:59:59.999999Z"},
        {"2016-12-31T23:59:60Z",            "2017-01-01T00:00:00.000000Z"}, /* a leap second */
        {"2016-12-31T18:59:60.5-05:00",     "2017-01-01T00:00:00.500000Z"},

        {"",                                NULL                         },
        {"2026-03-08",                      NULL                         },
        {"2026-03-08T07:30:00",             NULL                         }, /* which zone? */
        {"2026-03-08T07:30Z",               NULL                         },
        {"20260308T073000Z",                NULL                         },
        {"2026-3-8T07:30:00Z",              NULL                         },
        {"26-03-08T07:30:00Z",              NULL                         },
        {"+2026-03-08T07:30:00Z",           NULL                         },
        {"-001-03-08T07:30:00Z",            NULL                         },
        {"12026-03-08T07:30:00Z",           NULL                         },
        {"2026-00-08T07:30:00Z",            NULL                         },
        {"2026-13-08T07:30:00Z",            NULL                         },
        {"2026-03-00T07:30:00Z",            NULL                         },
        {"2026-03-32T07:30:00Z",            NULL                         },
        {"2026-04-31T07:30:00Z",            NULL                         },
        {"2026-02-29T07:30:00Z",            NULL                         },
        {"1900-02-29T07:30:00Z",            NULL                         },
        {"2100-02-29T07:30:00Z",            NULL                         },
        {"2026-03-08T24:00:00Z",            NULL                         },
        {"2026-03-08T07:60:00Z",            NULL                         },
        {"2026-03-08T07:30:61Z",            NULL                         },
        {"2026-03-08T07:30:60Z",            NULL                         }, /* no end of a day */
        {"2016-12-31T23:59:60-05:00",       NULL                         },
        {"2026-03-08T07:30:00.Z",           NULL                         },
        {"2026-03-08T07:30:00,5Z",          NULL                         },
        {"2026-03-08T07:30:00+0500",        NULL                         },
        {"2026-03-08T07:30:00+5:00",        NULL                         },
        {"2026-03-08T07:30:00+24:00",       NULL                         },
        {"2026-03-08T07:30:00+05:60",       NULL                         },
        {"2026-03-08T07:30:00 +05:00",      NULL                         },
        {"2026-03-08T07:30:00ZZ",           NULL                         },
        {"2026-03-08T07:30:00Z ",           NULL                         },
        {" 2026-03-08T07:30:00Z",           NULL                         },
        {"2026-03-08T 7:30:00Z",            NULL                         },
        {"2026/03/08T07:30:00Z",            NULL                         },
        {"0000-01-01T00:00:00+00:01",       NULL                         }, /* in the year -1 */
        {"9999-12-31T23:59:59-00:01",       NULL                         }, /* in the year 10000 */
        {"9999-12-31T23:59:60Z",            NULL                         },
        {"tomorrow",                        NULL                         },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        char text[CLOCK_TEXT_BYTES];
        int64_t at = 4711;
        bool good = clock_parse(str_of(rows[i].given), &at);

        CHECK_ROW(rows[i].given, good == (rows[i].expected != NULL));
        if (good)
            CHECK_TEXT(clock_text(at, text), rows[i].expected);
        else
            assert_int_equal(at, 4711);
    }
    assert_false(clock_parse((struct str){"2026-03-08\0T07:30:00Z", 21}, &(int64_t){0}));
}

/* Every beginning of a good text is refused, and so is one with a byte more. */
static void every_part_of_a_time_is_needed(void **state)
{
    static const char text[] = "2026-03-08T07:30:00.25+05:45";
    int64_t at;

    (void)state;
    assert_true(clock_parse(str_of(text), &at));
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        assert_false(clock_parse((struct str){text, n}, &at));
    assert_false(clock_parse((struct str){text, sizeof(text)}, &at));
}

static int number_at(const char *text, size_t n)
{
    int v = 0;

    for (size_t i = 0; i < n; i++)
        v = v * 10 + (text[i] - '0');
    return v;
}

/* Each of the 3 652 425 days, as the C library counts them. */
static void every_day_of_ten_thousand_years(void **state)
{
    char text[CLOCK_TEXT_BYTES];
    int64_t at;

    (void)state;
    for (int64_t day = -719528; day < 2932897; day++) {
        time_t t = (time_t)(day * 86400 + (day & 0xffff));
        struct tm tm;

        gmtime_r(&t, &tm);
        clock_text((int64_t)t * CLOCK_S, text);
        if (number_at(text, 4) != tm.tm_year + 1900 || number_at(text + 5, 2) != tm.tm_mon + 1 ||
            number_at(text + 8, 2) != tm.tm_mday || number_at(text + 11, 2) != tm.tm_hour ||
            number_at(text + 14, 2) != tm.tm_min || number_at(text + 17, 2) != tm.tm_sec)
            fail_msg("day %" PRId64 " is not %s", day, text);
        if (!clock_parse(str_of(text), &at) || at != (int64_t)t * CLOCK_S)
            fail_msg("%s is not read back", text);
    }
}

static void times_beyond_four_digits_are_written_as_the_nearest(void **state)
{
    char text[CLOCK_TEXT_BYTES];

    (void)state;
    CHECK_TEXT(clock_text(INT64_MAX, text), "9999-12-31T23:59:59.999999Z");
    CHECK_TEXT(clock_text(INT64_MIN, text), "0000-01-01T00:00:00.000000Z");
    assert_int_equal(strlen(text), CLOCK_TEXT_BYTES - 1);
}

static void random_times_are_read_back(void **state)
{
    struct prng prng;
    char text[CLOCK_TEXT_BYTES];

    (void)state;
    prng_seed(&prng, 1);
    for (int i = 0; i < 100000; i++) {
        int64_t at = (int64_t)prng_below(&prng, 315569520000ULL * CLOCK_S) - 62167219200 * CLOCK_S;
        int64_t again;

        assert_true(clock_parse(clock_text(at, text), &again));
        assert_true(again == at);
    }
}

static void durations(void **state)
{
    static const struct {
        const char *given;
        int64_t us; /* -1: refused */
    } rows[] = {
        {"1s",                      CLOCK_S                      },
        {"1.5s",                    1500000                      },
        {"300ms",                   300000                       },
        {"2m",                      120 * CLOCK_S                },
        {"1h30m",                   5400 * CLOCK_S               },
        {"1d",                      86400 * CLOCK_S              },
        {"7us",                     7                            },
        {"1d2h3m4s5ms6us",          93784005006                  },
        {"0s",                      0                            },
        {"0.000001s",               1                            },
        {"0.0000019s",              1                            }, /* finer is cut */
        {"0.25h",                   900 * CLOCK_S                },
        {"1.5h15m",                 6300 * CLOCK_S               },
        {"90m",                     5400 * CLOCK_S               },
        {"007s",                    7 * CLOCK_S                  },
        {"106751991d",              106751991LL * 86400 * CLOCK_S},
        {"9223372036854775807us",   INT64_MAX                    },
        {"0.99999999999999999999d", 86399999913                  },

        {"",                        -1                           },
        {"1",                       -1                           },
        {"s",                       -1                           },
        {"-1s",                     -1                           },
        {"+1s",                     -1                           },
        {" 1s",                     -1                           },
        {"1s ",                     -1                           },
        {"1 s",                     -1                           },
        {"1h 30m",                  -1                           },
        {"1sec",                    -1                           },
        {"1S",                      -1                           },
        {"1w",                      -1                           },
        {"1µs",                    -1                           },
        {"1ns",                     -1                           },
        {".5s",                     -1                           },
        {"1.s",                     -1                           },
        {"1..5s",                   -1                           },
        {"1,5s",                    -1                           },
        {"1e3s",                    -1                           },
        {"0x1s",                    -1                           },
        {"1h30",                    -1                           },
        {"30m1h",                   -1                           },
        {"1m1m",                    -1                           },
        {"1s1s",                    -1                           },
        {"1ms1s",                   -1                           },
        {"9223372036854775808us",   -1                           },
        {"106751992d",              -1                           },
        {"106751991d9h",            -1                           },
        {"106751991.9d",            -1                           },
        {"99999999999999999999s",   -1                           },
        {"inf",                     -1                           },
        {"PT5M",                    -1                           },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        int64_t us = 4711;

        CHECK_ROW(rows[i].given, clock_duration(str_of(rows[i].given), &us) == (rows[i].us >= 0));
        CHECK_ROW(rows[i].given, us == (rows[i].us >= 0 ? rows[i].us : 4711));
    }
    assert_false(clock_duration((struct str){"1s\0", 3}, &(int64_t){0}));
    assert_false(clock_duration((struct str){0}, &(int64_t){0}));
}

static void the_clocks_run(void **state)
{
    int64_t before = clock_monotonic(), utc = clock_utc();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_monotonic();

        assert_true(now >= before);
        before = now;
    }
    /* Between 2024 and 2100: in microseconds since 1970. */
    assert_true(utc > 1704067200 * CLOCK_S && utc < 4102444800 * CLOCK_S);
}

static void a_simulated_clock_is_this_threads(void **state)
{
    struct clock_simulated c = {.utc = 5, .monotonic = 7};

    (void)state;
    clock_simulate(&c);
    assert_int_equal(clock_utc(), 5);
    c.monotonic = 8;
    assert_int_equal(clock_monotonic(), 8);
    clock_simulate(NULL);
    assert_true(clock_utc() > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times),
        cmocka_unit_test(every_part_of_a_time_is_needed),
        cmocka_unit_test(every_day_of_ten_thousand_years),
        cmocka_unit_test(times_beyond_four_digits_are_written_as_the_nearest),
        cmocka_unit_test(random_times_are_read_back),
        cmocka_unit_test(durations),
        cmocka_unit_test(the_clocks_run),
        cmocka_unit_test(a_simulated_clock_is_this_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
