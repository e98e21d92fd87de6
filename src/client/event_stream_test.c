/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events, cut at every place. */
#include "client/event_stream.h"

#include "base/test.h"

static const struct {
    const char *name;
    const char *stream;
    const char *wanted; /* "NAME=DATA;" of each */
} rows[] = {
    {"one event",                "id: 7\nevent: run_RUNNING\ndata: {}\n\n",          "run_RUNNING={};"      },
    {"without a name",           "data: 1\n\n",                                      "message=1;"           },
    {"data of several lines",    "data: {\ndata:  \"a\"\ndata: }\n\n",               "message={\n \"a\"\n};"},
    {"all ends of lines",        "event: a\rdata: 1\r\n\r\nevent: b\r\ndata: 2\n\n", "a=1;b=2;"             },
    {"comments are passed over", ":\n\n: beat\n\ndata: 1\n\n:\n\n",                  "message=1;"           },
    {"no blank is needed",       "event:a\ndata:1\n\n",                              "a=1;"                 },
    {"empty data is data",       "event: end\ndata\n\n",                             "end=;"                },
    {"no data, no event",        "event: a\n\ndata: 2\n\n",                          "message=2;"           },
    {"the last is not whole",    "data: 1\n\ndata: 2\n",                             "message=1;"           },
    {"unknown fields",           "retry: 3\nother\ndata: 1\n\n",                     "message=1;"           },
};

static void heard(void *context, struct str name, struct str data)
{
    buf_printf(context, STR_FMT "=" STR_FMT ";", STR_ARG(name), STR_ARG(data));
}

static void events_are_told_wherever_the_stream_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str all = str_of(rows[i].stream);

        for (size_t cut = 0; cut <= all.n; cut++) {
            struct event_stream s;
            struct buf out;

            buf_init(&out, 1 << 10);
            event_stream_init(&s, heard, &out);
            CHECK_ROW(rows[i].name, event_stream_feed(&s, str_sub(all, 0, cut)));
            CHECK_ROW(rows[i].name, event_stream_feed(&s, str_sub(all, cut, all.n)));
            CHECK_ROW(rows[i].name, str_eq(buf_str(&out), str_of(rows[i].wanted)));
            event_stream_deinit(&s);
            buf_deinit(&out);
        }
    }
}

static void a_name_that_is_too_long_ends_it(void **state)
{
    struct event_stream s;
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 10);
    event_stream_init(&s, heard, &out);
    assert_true(event_stream_feed(&s, STR("event: ")));
    for (int i = 0; i < 300; i++)
        assert_true(event_stream_feed(&s, STR("x")));
    assert_false(event_stream_feed(&s, STR("\n")));
    event_stream_clear(&s);
    event_stream_deinit(&s);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_told_wherever_the_stream_is_cut),
        cmocka_unit_test(a_name_that_is_too_long_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
