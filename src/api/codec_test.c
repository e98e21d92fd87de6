/* SPDX-License-Identifier: Apache-2.0 */
#include "api/codec.h"

#include "api/api_testing.h"
#include "base/clock.h"
#include "base/test.h"

#define ROUNDS 200u

/* Only entries of maps are no messages of their own: they need key and value. */
static bool is_entry(const ProtobufCMessageDescriptor *d)
{
    return str_ends(str_of(d->short_name), STR("Entry"));
}

static void every_message_comes_back(void **state)
{
    struct prng prng;

    (void)state;
    prng_seed(&prng, 3);
    assert_true(api_testing_messages_n > 70);
    for (size_t i = 0; i < api_testing_messages_n * ROUNDS; i++) {
        const ProtobufCMessageDescriptor *d = api_testing_messages[i / ROUNDS];
        struct arena a = {0};
        struct str error = {0};
        ProtobufCMessage *m, *again;
        struct buf b;

        if (is_entry(d))
            continue;
        buf_init(&b, SIZE_MAX / 8);
        m = api_testing_message(&a, d, &prng);
        codec_encode(m, &b);
        assert_int_equal(b.n, codec_size(m));
        CHECK_ROW(d->name, codec_decode(&a, d, buf_str(&b), &again, &error) == 0);
        CHECK_ROW(d->name, api_testing_equal(m, again));
        buf_deinit(&b);
        arena_deinit(&a);
    }
}

/* A prefix is a message or is refused with a sentence; what it does not hold is not read. */
static void every_prefix_is_handled(void **state)
{
    struct prng prng;
    size_t refused = 0;

    (void)state;
    prng_seed(&prng, 4);
    for (size_t i = 0; i < api_testing_messages_n; i++) {
        const ProtobufCMessageDescriptor *d = api_testing_messages[i];
        struct arena a = {0};
        struct buf b;

        buf_init(&b, SIZE_MAX / 8);
        codec_encode(api_testing_message(&a, d, &prng), &b);
        for (size_t n = 0; n < b.n; n++) {
            /* In memory of its own, so that valgrind and the sanitizers see each byte beyond. */
            char *copy = test_malloc(n + 1);
            struct str error = {0};
            ProtobufCMessage *m;

            memcpy(copy, b.p, n);
            if (codec_decode(&a, d, (struct str){copy, n}, &m, &error)) {
                CHECK_ROW(d->name, error.n > 0);
                refused++;
            }
            test_free(copy);
        }
        buf_deinit(&b);
        arena_deinit(&a);
    }
    assert_true(refused > 1000);
}

#define ENQUEUE &weft__v1__enqueue_request__descriptor

static void what_is_refused_and_why(void **state)
{
    static const struct {
        const char *name;
        const ProtobufCMessageDescriptor *d;
        struct str bytes;
        const char *error; /* NULL: it is taken */
    } rows[] = {
        {"empty",                 ENQUEUE,                                  {"", 0},                                             NULL                                       },
        {"queue",                 ENQUEUE,                                  STR("\x0a\x01q"),                                    NULL                                       },
        {"an unknown field",      ENQUEUE,                                  STR("\x0a\x01q\x78\x01"),                            NULL                                       },
        {"the last of two texts", ENQUEUE,                                  STR("\x0a\x01q\x0a\x01r"),                           NULL                                       },
        {"payload",               ENQUEUE,                                  STR("\x12\x06\x0a\x04true"),                         NULL                                       },
        {"a text with NUL",       ENQUEUE,                                  STR("\x0a\x01\0"),                                   "queue: it holds a NUL character"          },
        {"no UTF-8",              ENQUEUE,                                  STR("\x0a\x01\xff"),                                 "queue: it is not UTF-8"                   },
        {"no JSON",               ENQUEUE,                                  STR("\x12\x06\x0a\x04truf"),
         "tasks[0].payload: it is no JSON, from its byte 3 on"                                                                                                              },
        {"half a JSON",           ENQUEUE,                                  STR("\x12\0\x12\x03\x0a\x01["),
         "tasks[1].payload: it is no JSON: it ends too early"                                                                                                               },
        {"empty JSON",            ENQUEUE,                                  STR("\x12\x02\x0a\0"),
         "tasks[0].payload: it is no JSON: it ends too early"                                                                                                               },
        {"a number as text",      ENQUEUE,                                  STR("\x08\x01"),
         "queue: it is encoded as another type than the API's"                                                                                                              },
        {"a text that goes on",   ENQUEUE,                                  STR("\x0a\x05q"),
         "queue: the message ends in the middle of this field"                                                                                                              },
        {"a length beyond all",   ENQUEUE,                                  STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
         "queue: the message ends in the middle of this field"                                                                                                              },
        {"a length without end",  ENQUEUE,
         STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
         "queue: the message ends in the middle of this field"                                                                                                              },
        {"half a tag",            ENQUEUE,                                  STR("\x80"),                                         "the message is malformed: a tag is no tag"},
        {"field 0",               ENQUEUE,                                  STR("\x02\x01q"),                                    "the message is malformed: a tag is no tag"},
        {"a tag beyond 32 bits",  ENQUEUE,                                  STR("\x8a\x80\x80\x80\x10\x01q"),
         "the message is malformed: a tag is no tag"                                                                                                                        },
        {"a tag of six bytes",    ENQUEUE,                                  STR("\x8a\x80\x80\x80\x80\x00\x01q"),
         "the message is malformed: a tag is no tag"                                                                                                                        },
        {"a group",               ENQUEUE,                                  STR("\x7b\x7c"),
         "the message is malformed: an unknown field does not end"                                                                                                          },
        {"a message twice",       ENQUEUE,                                  STR("\x12\x04\x1a\0\x1a\0"),
         "tasks[0].delay: it stands there twice"                                                                                                                            },
        {"packed",                &weft__v1__enqueue_response__descriptor,  STR("\x12\x03\0\1\1"),                               NULL                                       },
        {"packed, half",          &weft__v1__enqueue_response__descriptor,  STR("\x12\x03\0\1\x80"),
         "duplicates[0]: its list ends in the middle of a value"                                                                                                            },
        {"a map",                 &weft__v1__start_run_request__descriptor, STR("\x1a\x06\x0a\x01k\x12\x01v"),
         NULL                                                                                                                                                               },
        {"a map's key twice",     &weft__v1__start_run_request__descriptor,
         STR("\x1a\x06\x0a\x01k\x12\x01v\x1a\x06\x0a\x01k\x12\x01w"),
         "params: a key stands there twice"                                                                                                                                 },
        {"a map without value",   &weft__v1__start_run_request__descriptor, STR("\x1a\x03\x0a\x01k"),
         "params[0]: an entry of a map needs a key and a value"                                                                                                             },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct arena a = {0};
        struct str error = {0};
        ProtobufCMessage *m = NULL;
        int r = codec_decode(&a, rows[i].d, rows[i].bytes, &m, &error);

        CHECK_ROW(rows[i].name, r == (rows[i].error ? CODEC_E_BAD : 0));
        if (r)
            CHECK_TEXT(error, rows[i].error);
        else
            CHECK_ROW(rows[i].name, m->descriptor == rows[i].d);
        arena_deinit(&a);
    }
}

/* The shortest task is two bytes, and a message of 200 bytes in memory. */
static void too_many_messages_are_refused(void **state)
{
    struct arena a = {0};
    struct str error = {0};
    ProtobufCMessage *m;
    struct buf b;

    (void)state;
    buf_init(&b, SIZE_MAX / 8);
    for (size_t i = 0; i < CODEC_MESSAGES_MAX; i++)
        buf_add(&b, STR("\x12\0"));
    assert_int_equal(codec_decode(&a, ENQUEUE, buf_str(&b), &m, &error), CODEC_E_BAD);
    CHECK_TEXT(error, "tasks[159999]: the message holds too many messages");
    buf_deinit(&b);
    arena_deinit(&a);
}

static void ids_are_digits(void **state)
{
    static const struct {
        int64_t id;
        const char *text;
    } rows[] = {
        {1,         "1"                   },
        {42,        "42"                  },
        {INT64_MAX, "9223372036854775807" },
        {INT64_MIN, "-9223372036854775808"},
    };
    struct arena a = {0};

    (void)state;
    assert_null(codec_id(&a, 0));
    for (size_t i = 0; i < ROWS_N(rows); i++)
        assert_string_equal(codec_id(&a, rows[i].id), rows[i].text);
    assert_string_equal(codec_text(&a, STR("")), "");
    arena_deinit(&a);
}

static void times_and_durations_come_back(void **state)
{
    static const int64_t rows[] = {
        1,
        -1,
        1500000,
        -1500000,
        999999,
        -999999,
        CODEC_TIME_S_MIN * CLOCK_S,
        CODEC_TIME_S_MAX * CLOCK_S + 999999,
    };
    struct arena a = {0};
    int64_t us;

    (void)state;
    assert_null(codec_time(&a, 0));
    assert_true(codec_duration_us(codec_duration(&a, 0), &us) && us == 0);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        assert_true(codec_time_us(codec_time(&a, rows[i]), &us) && us == rows[i]);
        assert_true(codec_duration_us(codec_duration(&a, rows[i]), &us) && us == rows[i]);
    }
    arena_deinit(&a);
}

static void times_and_durations_out_of_range(void **state)
{
    static const struct {
        const char *name;
        int64_t seconds;
        int32_t nanos;
        bool time, duration;
    } rows[] = {
        {"zero",                     0,                        0,          true,  true },
        {"a negative fraction",      0,                        -1,         false, true },
        {"signs that differ",        1,                        -1,         false, false},
        {"signs that differ, below", -1,                       1,          true,  false},
        {"a whole second of nanos",  0,                        1000000000, false, false},
        {"the year 10000",           CODEC_TIME_S_MAX + 1,     0,          false, true },
        {"the year 0",               CODEC_TIME_S_MIN - 1,     0,          false, true },
        {"too long",                 CODEC_DURATION_S_MAX + 1, 0,          false, false},
        {"all there is",             INT64_MAX,                INT32_MAX,  false, false},
        {"the least there is",       INT64_MIN,                INT32_MIN,  false, false},
    };
    int64_t us;

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        Weft__V1__Timestamp t = WEFT__V1__TIMESTAMP__INIT;
        Weft__V1__Duration d = WEFT__V1__DURATION__INIT;

        t.has_seconds = d.has_seconds = t.has_nanos = d.has_nanos = true;
        t.seconds = d.seconds = rows[i].seconds;
        t.nanos = d.nanos = rows[i].nanos;
        CHECK_ROW(rows[i].name, codec_time_us(&t, &us) == rows[i].time);
        CHECK_ROW(rows[i].name, codec_duration_us(&d, &us) == rows[i].duration);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back),
        cmocka_unit_test(every_prefix_is_handled),
        cmocka_unit_test(what_is_refused_and_why),
        cmocka_unit_test(too_many_messages_are_refused),
        cmocka_unit_test(ids_are_digits),
        cmocka_unit_test(times_and_durations_come_back),
        cmocka_unit_test(times_and_durations_out_of_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
