/* SPDX-License-Identifier: Apache-2.0 */
#include "net/grpc_frame.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/test.h"

static void messages_are_cut_out_at_every_split(void **state)
{
    const struct str bytes = STR("\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\1d");

    (void)state;
    for (size_t piece = 1; piece <= bytes.n; piece++) {
        char text[32];
        struct buf got;
        struct grpc_frame f;

        buf_fixed(&got, text, sizeof(text));
        grpc_frame_init(&f, 100);
        for (size_t at = 0; at < bytes.n; at += piece) {
            struct str rest = str_sub(bytes, at, piece);

            while (rest.n && grpc_frame_feed(&f, &rest) == 0) {
                buf_add(&got, buf_str(&f.body));
                buf_byte(&got, '|');
                grpc_frame_clear(&f);
            }
        }
        assert_string_equal(text, "abc||d|");
        assert_true(grpc_frame_empty(&f));
        grpc_frame_deinit(&f);
    }
}

static void what_is_no_message_is_told_early(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t n;
        int outcome;
    } rows[] = {
        {"nothing",                  "",                   0, GRPC_FRAME_E_MORE      },
        {"half a head",              "\0\0\0",             3, GRPC_FRAME_E_MORE      },
        {"as much as is allowed",    "\0\0\0\0\12",        5, GRPC_FRAME_E_MORE      },
        {"one byte too much",        "\0\0\0\0\13",        5, GRPC_FRAME_E_TOO_LARGE },
        {"four gigabytes",           "\0\377\377\377\377", 5, GRPC_FRAME_E_TOO_LARGE },
        {"compressed",               "\1",                 1, GRPC_FRAME_E_COMPRESSED},
        {"a flag that is not known", "\2",                 1, GRPC_FRAME_E_BAD       },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct str bytes = {rows[i].bytes, rows[i].n};
        struct grpc_frame f;

        grpc_frame_init(&f, 10);
        CHECK_ROW(rows[i].name, grpc_frame_feed(&f, &bytes) == rows[i].outcome);
        grpc_frame_deinit(&f);
    }
}

static void timeouts(void **state)
{
    static const struct {
        const char *text;
        int64_t us; /* -1: refused */
    } rows[] = {
        {"1H",         3600000000LL         },
        {"2M",         120000000            },
        {"3S",         3000000              },
        {"4m",         4000                 },
        {"5u",         5                    },
        {"1n",         1                    },
        {"1001n",      2                    },
        {"0S",         0                    },
        {"99999999H",  99999999 * 3600000000},
        {"",           -1                   },
        {"S",          -1                   },
        {"1",          -1                   },
        {"1s",         -1                   },
        {"-1S",        -1                   },
        {"+1S",        -1                   },
        {"1.5S",       -1                   },
        {" 1S",        -1                   },
        {"123456789n", -1                   },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        int64_t us = -1;
        bool good = grpc_frame_timeout(str_of(rows[i].text), &us);

        CHECK_ROW(rows[i].text, good == (rows[i].us >= 0) && us == rows[i].us);
    }
}

static void texts_are_percent_encoded(void **state)
{
    struct arena a = {0};

    (void)state;
    CHECK_TEXT(grpc_frame_percent(&a, STR("")), "");
    CHECK_TEXT(grpc_frame_percent(&a, STR("plain ~ text")), "plain ~ text");
    CHECK_TEXT(grpc_frame_percent(&a, STR("100 %\n\177\303\237")), "100 %25%0A%7F%C3%9F");
    arena_deinit(&a);
}

static void percent_encoding_is_undone(void **state)
{
    static const struct {
        const char *name, *in, *out;
        size_t room;
    } rows[] = {
        {"nothing",         "",                "",           9},
        {"plain",           "plain",           "plain",      9},
        {"both cases",      "%c3%9F %25",      "\303\237 %", 9},
        {"not hexadecimal", "%zz%4",           "%zz%4",      9},
        {"a lone one",      "100%",            "100%",       9},
        {"no more room",    "%41%42%43%44%45", "ABC",        3},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        char out[9];
        struct str found = {out, grpc_frame_unpercent(str_of(rows[i].in), out, rows[i].room)};

        CHECK_ROW(rows[i].name, str_eq(found, str_of(rows[i].out)));
    }
}

static void timeouts_are_written(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {-5,               "0u"       },
        {0,                "0u"       },
        {1500000,          "1500000u" },
        {99999998,         "99999998u"},
        {100000001,        "100001m"  },
        {5400 * CLOCK_S,   "5400000m" },
        {864000 * CLOCK_S, "864000S"  },
        {INT64_MAX,        "99999999M"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        char out[GRPC_FRAME_TIMEOUT_BYTES];
        struct str text = grpc_frame_timeout_text(rows[i].us, out);
        int64_t back;

        CHECK_TEXT(text, rows[i].text);
        CHECK_ROW(rows[i].text, grpc_frame_timeout(text, &back));
        CHECK_ROW(rows[i].text, rows[i].us < 0 || back >= rows[i].us || rows[i].us == INT64_MAX);
    }
}

static void content_types(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"application/grpc",               true },
        {"application/grpc+proto",         true },
        {"application/grpc;charset=utf-8", true },
        {"application/grpc+proto ;x",      true },
        {"application/grpc+json",          false},
        {"application/grpc-web",           false},
        {"application/grpcx",              false},
        {"application/json",               false},
        {"",                               false},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        CHECK_ROW(rows[i].text, grpc_frame_content_type(str_of(rows[i].text)) == rows[i].good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_cut_out_at_every_split),
        cmocka_unit_test(what_is_no_message_is_told_early),
        cmocka_unit_test(timeouts),
        cmocka_unit_test(texts_are_percent_encoded),
        cmocka_unit_test(percent_encoding_is_undone),
        cmocka_unit_test(timeouts_are_written),
        cmocka_unit_test(content_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
