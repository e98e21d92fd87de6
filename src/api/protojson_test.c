/* SPDX-License-Identifier: Apache-2.0 */
#include "api/protojson.h"

#include "api/api_testing.h"
#include "base/json_scan.h"
#include "base/test.h"

#define ROUNDS 200u

#define ENQUEUE  &weft__v1__enqueue_request__descriptor
#define QUEUE    &weft__v1__put_queue_request__descriptor
#define START    &weft__v1__start_run_request__descriptor
#define COMPLETE &weft__v1__complete_request__descriptor

static struct buf encoded(const ProtobufCMessage *m)
{
    struct buf b;

    buf_init(&b, SIZE_MAX / 8);
    protojson_encode(m, &b);
    return b;
}

static void every_message_comes_back(void **state)
{
    struct prng prng;

    (void)state;
    prng_seed(&prng, 5);
    for (size_t i = 0; i < api_testing_messages_n * ROUNDS; i++) {
        const ProtobufCMessageDescriptor *d = api_testing_messages[i / ROUNDS];
        struct arena a = {0};
        struct doc_error error = {0};
        ProtobufCMessage *m = api_testing_message(&a, d, &prng), *again;
        struct buf b = encoded(m);
        size_t offset;

        if (protojson_decode(&a, d, buf_str(&b), &again, &error))
            fail_msg("%s: " STR_FMT ": " STR_FMT, d->name, STR_ARG(error.text),
                     STR_ARG(buf_str(&b)));
        CHECK_ROW(d->name, api_testing_equal(m, again));
        CHECK_ROW(d->name, json_scan_check(buf_str(&b), 64, &offset) == 0);
        CHECK_ROW(d->name, !str_find(buf_str(&b), '\n', NULL));
        buf_deinit(&b);
        arena_deinit(&a);
    }
}

static void every_prefix_is_refused(void **state)
{
    struct prng prng;

    (void)state;
    prng_seed(&prng, 6);
    for (size_t i = 0; i < api_testing_messages_n; i++) {
        const ProtobufCMessageDescriptor *d = api_testing_messages[i];
        struct arena a = {0};
        struct buf b = encoded(api_testing_message(&a, d, &prng));

        for (size_t n = 1; n < b.n; n++) {
            /* In memory of its own, so that valgrind and the sanitizers see each byte beyond. */
            char *copy = test_malloc(n);
            struct doc_error error = {0};
            ProtobufCMessage *m;
            size_t offset;

            memcpy(copy, b.p, n);
            CHECK_ROW(d->name, protojson_decode(&a, d, (struct str){copy, n}, &m, &error));
            CHECK_ROW(d->name, error.text.n > 0 && error.line == 1 && error.column >= 1);
            CHECK_ROW(d->name, json_scan_check((struct str){copy, n}, 64, &offset));
            assert_true(offset <= n);
            test_free(copy);
        }
        buf_deinit(&b);
        arena_deinit(&a);
    }
}

/* What is read, as it is written again. */
static void good_requests(void **state)
{
    static const struct {
        const char *name;
        const ProtobufCMessageDescriptor *d;
        const char *text, *again;
    } rows[] = {
        {"nothing",               ENQUEUE,  "",                                                        "{\"tasks\":[]}"                                                                     },
        {"empty",                 ENQUEUE,  " {\n} ",                                                  "{\"tasks\":[]}"                                                                     },
        {"the contract",          ENQUEUE,
         "{\"tasks\":[{\"payload\":{\"to\":\"a\"},\"priority\":0,\"delay\":\"5s\","
         "\"unique_key\":\"u\",\"key\":\"k\"}]}",                                                      "{\"tasks\":[{\"payload\":{\"to\":\"a\"},\"priority\":0,\"delay\":\"5s\","
         "\"unique_key\":\"u\",\"key\":\"k\"}]}"                                                                                           },
        {"completions",           COMPLETE,
         "{\"results\":[{\"token\":\"7\",\"outcome\":\"failed\",\"error\":{\"code\":\"E\"}}]}",        "{\"results\":[{\"token\":\"7\",\"outcome\":\"failed\",\"error\":{\"code\":\"E\"}}]}"},
        {"JSON byte for byte",    ENQUEUE,
         "{\"tasks\":[{\"payload\": { \"b\" : 1.00, \"a\":1e2 ,\"a\":\"\\u0041\\u0000\"} }]}",         "{\"tasks\":[{\"payload\":{ \"b\" : 1.00, \"a\":1e2 ,\"a\":\"\\u0041\\u0000\"}}]}"   },
        {"line breaks in JSON",   ENQUEUE,  "{\"tasks\":[{\"payload\":[1,\r\n2]}]}",
         "{\"tasks\":[{\"payload\":[1,  2]}]}"                                                                                                                                              },
        {"null is absent",        ENQUEUE,  "{\"queue\":null,\"tasks\":null}",                         "{\"tasks\":[]}"                                                                     },
        {"a null payload",        ENQUEUE,  "{\"tasks\":[{\"payload\":null}]}",
         "{\"tasks\":[{\"payload\":null}]}"                                                                                                                                                 },
        {"escapes",               ENQUEUE,
         "{\"qu\\u0065ue\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"}",                      "{\"queue\":\"\\\"\\\\/\\b\\f\\n\\r\\té😀\",\"tasks\":[]}"                        },
        {"whole numbers",         QUEUE,    "{\"tasks_max\":\"12\",\"rate_burst\":-0}",
         "{\"tasks_max\":12,\"rate_burst\":0}"                                                                                                                                              },
        {"64 bits",               QUEUE,    "{\"tasks_max\":9223372036854775807}",
         "{\"tasks_max\":9223372036854775807}"                                                                                                                                              },
        {"fractions",             QUEUE,    "{\"rate\":0.1}",                                          "{\"rate\":0.1}"                                                                     },
        {"an exponent",           QUEUE,    "{\"rate\":1e3}",                                          "{\"rate\":1000}"                                                                    },
        {"words",                 QUEUE,    "{\"paused\":true,\"fair\":false}",                        "{\"paused\":true,\"fair\":false}"                                                   },
        {"durations",             QUEUE,    "{\"claim_ttl\":\"1h30m\",\"retention\":\"0.25s\"}",
         "{\"claim_ttl\":\"5400s\",\"retention\":\"0.250s\"}"                                                                                                                               },
        {"a time with an offset", ENQUEUE,
         "{\"tasks\":[{\"not_before\":\"2026-01-31T13:00:00.5+01:00\"}]}",                             "{\"tasks\":[{\"not_before\":\"2026-01-31T12:00:00.500Z\"}]}"                        },
        {"1970",                  ENQUEUE,  "{\"tasks\":[{\"not_before\":\"1970-01-01T00:00:00Z\"}]}",
         "{\"tasks\":[{\"not_before\":\"1970-01-01T00:00:00Z\"}]}"                                                                                                                          },
        {"a map",                 START,    "{\"params\":{\"b\":\"1\",\"a\":\"\"}}",
         "{\"params\":{\"b\":\"1\",\"a\":\"\"}}"                                                                                                                                            },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct arena a = {0};
        struct doc_error error = {0};
        ProtobufCMessage *m;
        struct buf b;

        if (protojson_decode(&a, rows[i].d, str_of(rows[i].text), &m, &error))
            fail_msg("row \"%s\": " STR_FMT, rows[i].name, STR_ARG(error.text));
        b = encoded(m);
        CHECK_TEXT(buf_str(&b), rows[i].again);
        buf_deinit(&b);
        arena_deinit(&a);
    }
}

static void bad_requests(void **state)
{
    static const struct {
        const char *name;
        const ProtobufCMessageDescriptor *d;
        const char *text;
        unsigned line, column;
        const char *error;
    } rows[] = {
        {"blank",                         ENQUEUE, " ",                                               1, 2,  "the end of the text was found where an object is allowed"},
        {"a list",                        ENQUEUE, "[]",                                              1, 1,  "a list was found where an object is allowed"             },
        {"a byte order mark",             ENQUEUE, "\xef\xbb\xbf{}",                                  1, 1,
         "\"\xef\xbf\xbd\" was found where an object is allowed"                                                                                                       },
        {"more behind it",                ENQUEUE, "{} {}",                                           1, 4,
         "the object ended before this, and nothing may follow it"                                                                                                     },
        {"a comma too many",              ENQUEUE, "{\"queue\":\"q\",}",                              1, 14,
         "a key in double quotes was expected; found \"}\""                                                                                                            },
        {"no comma",                      ENQUEUE, "{\"queue\":\"q\" \"tasks\":[]}",                  1, 14,
         "',' or '}' was expected; found text"                                                                                                                         },
        {"no colon",                      ENQUEUE, "{\"queue\" \"q\"}",                               1, 10,
         "':' after the key was expected; found text"                                                                                                                  },
        {"single quotes",                 ENQUEUE, "{'queue':1}",                                     1, 2,
         "a key in double quotes was expected; found \"'\""                                                                                                            },
        {"an unknown key",                ENQUEUE, "{\n  \"tsks\": []}",                              2, 3,
         "the request takes no \"tsks\"; is tasks meant?"                                                                                                              },
        {"an unknown key within",         ENQUEUE, "{\"tasks\":[{},{\"dealy\":1}]}",                  1, 15,
         "tasks[1] takes no \"dealy\"; is delay meant?"                                                                                                                },
        {"an unknown key, nothing near",  ENQUEUE, "{\"Zebra crossing\":1}",                          1, 2,
         "the request takes no \"Zebra crossing\""                                                                                                                     },
        {"camelCase",                     ENQUEUE, "{\"tasks\":[{\"uniqueKey\":\"\"}]}",              1, 12,
         "tasks[0] takes no \"uniqueKey\"; is unique_key meant?"                                                                                                       },
        {"a key twice",                   ENQUEUE, "{\"queue\":\"a\",\"queue\":\"a\"}",               1, 14,
         "queue: the key stands there twice"                                                                                                                           },
        {"a key twice, null",             ENQUEUE, "{\"queue\":null,\"queue\":\"a\"}",                1, 15,
         "queue: the key stands there twice"                                                                                                                           },
        {"a map's key twice",             START,   "{\"params\":{\"a\":\"\",\"b\":\"\",\"a\":\"\"}}", 1, 11,
         "params: the key \"a\" stands there twice"                                                                                                                    },
        {"a number for text",             ENQUEUE, "{\"queue\":1}",                                   1, 10,
         "queue: a number was found where text is allowed"                                                                                                             },
        {"text for a list",               ENQUEUE, "{\"tasks\":\"\"}",                                1, 10,
         "tasks: text was found where a list is allowed"                                                                                                               },
        {"a list for an object",          ENQUEUE, "{\"tasks\":[[]]}",                                1, 11,
         "tasks[0]: a list was found where an object is allowed"                                                                                                       },
        {"a null item",                   ENQUEUE, "{\"tasks\":[null]}",                              1, 11,
         "tasks[0]: null was found where an object is allowed"                                                                                                         },
        {"a duration as number",          ENQUEUE, "{\"tasks\":[{},{},{},{\"delay\":5}]}",            1, 29,
         "tasks[3].delay: a number was found where a duration such as \"1.5s\" is allowed"                                                                             },
        {"no duration",                   ENQUEUE, "{\"tasks\":[{\"delay\":\"5\"}]}",                 1, 20,
         "tasks[0].delay: \"5\" is not a duration such as \"1.5s\""                                                                                                    },
        {"a negative duration",           ENQUEUE, "{\"tasks\":[{\"delay\":\"-5s\"}]}",               1, 20,
         "tasks[0].delay: \"-5s\" is not a duration such as \"1.5s\""                                                                                                  },
        {"no time",                       ENQUEUE, "{\"tasks\":[{\"not_before\":\"now\"}]}",          1, 25,
         "tasks[0].not_before: \"now\" is not a time such as \"2026-01-31T12:00:00Z\""                                                                                 },
        {"a fraction for a whole number", QUEUE,   "{\"tasks_max\":1.5}",                             1, 14,
         "tasks_max: 1.5 is no whole number within -9223372036854775808 … 9223372036854775807"                                                                       },
        {"beyond 64 bits",                QUEUE,   "{\"tasks_max\":9223372036854775808}",             1, 14,
         "tasks_max: 9223372036854775808 is no whole number within -9223372036854775808 … "
         "9223372036854775807"                                                                                                                                         },
        {"beyond 32 bits",                ENQUEUE, "{\"tasks\":[{\"priority\":\"2147483648\"}]}",     1, 23,
         "tasks[0].priority: \"2147483648\" is no whole number within -2147483648 … 2147483647"                                                                      },
        {"a number too large",            QUEUE,   "{\"rate\":1e999}",                                1, 9,  "rate: the number is too large"                           },
        {"a number no number",            QUEUE,   "{\"rate\":01}",                                   1, 10,
         "',' or '}' was expected; found a number"                                                                                                                     },
        {"a word",                        QUEUE,   "{\"fair\":yes}",                                  1, 9,
         "fair: \"y\" was found where true or false is allowed"                                                                                                        },
        {"half a word",                   QUEUE,   "{\"fair\":tru}",                                  1, 9,  "fair: true was expected"                                 },
        {"NUL",                           ENQUEUE, "{\"queue\":\"\\u0000\"}",                         1, 10, "queue: it holds a NUL character"                         },
        {"half a pair",                   ENQUEUE, "{\"queue\":\"\\ud800\"}",                         1, 17,
         "queue: \"\\\"\" cannot stand here"                                                                                                                           },
        {"no UTF-8",                      ENQUEUE, "{\"queue\":\"é\xff\"}",                          1, 12, "queue: this is not UTF-8"                                },
        {"a tab",                         ENQUEUE, "{\"queue\":\"a\tb\"}",                            1, 12, "queue: \"\\t\" cannot stand here"                        },
        {"no end",                        ENQUEUE, "{\"queue\":\"a",                                  1, 10,
         "queue: the text that begins here has no closing quote"                                                                                                       },
        {"bad JSON within",               ENQUEUE, "{\"tasks\":[{\"payload\":{1:2}}]}",               1, 23,
         "tasks[0].payload: \"1\" cannot stand here"                                                                                                                   },
        {"a map's value",                 START,   "{\"params\":{\"n\":1}}",                          1, 16,
         "params.n: a number was found where text is allowed"                                                                                                          },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct arena a = {0};
        struct doc_error error = {0};
        ProtobufCMessage *m;

        CHECK_ROW(rows[i].name, protojson_decode(&a, rows[i].d, str_of(rows[i].text), &m, &error) ==
                                    PROTOJSON_E_BAD);
        CHECK_TEXT(error.text, rows[i].error);
        if (error.line != rows[i].line || error.column != rows[i].column)
            fail_msg("row \"%s\": at %u:%u", rows[i].name, error.line, error.column);
        arena_deinit(&a);
    }
}

/* The same in a message of bytes. */
static void check_payload(struct str value, bool good)
{
    struct arena a = {0};
    struct str error = {0};
    ProtobufCMessage *m;
    struct buf task, request;

    assert_true(value.n >= 128 && value.n < 256);
    buf_init(&task, 1000);
    buf_printf(&task, "\x0a%c\x01", (int)((value.n & 0x7f) | 0x80));
    buf_add(&task, value);
    buf_init(&request, 1000);
    buf_printf(&request, "\x12%c\x01", (int)((task.n & 0x7f) | 0x80));
    buf_add(&request, buf_str(&task));
    assert_int_equal(codec_decode(&a, ENQUEUE, buf_str(&request), &m, &error) == 0, good);
    if (!good)
        CHECK_TEXT(error, "tasks[0].payload: it is nested more than 64 deep");
    buf_deinit(&task);
    buf_deinit(&request);
    arena_deinit(&a);
}

static void json_as_deep_as_allowed(void **state)
{
    struct buf b;

    (void)state;
    /* A bracket in a wrong place is another matter. */
    assert_int_equal(json_scan_check(STR("{[1]:2}"), PROTOJSON_DEPTH_MAX, &(size_t){0}),
                     JSON_SCAN_E_BAD);
    for (unsigned depth = PROTOJSON_DEPTH_MAX; depth <= PROTOJSON_DEPTH_MAX + 1; depth++) {
        bool good = depth == PROTOJSON_DEPTH_MAX;
        struct arena a = {0};
        struct doc_error error = {0};
        ProtobufCMessage *m;
        struct str value;
        size_t offset;

        buf_init(&b, 10000);
        buf_add(&b, STR("{\"tasks\":[{\"payload\":"));
        for (unsigned i = 0; i < depth; i++)
            buf_byte(&b, '[');
        for (unsigned i = 0; i < depth; i++)
            buf_byte(&b, ']');
        value = str_copy(&a, str_sub(buf_str(&b), 21, b.n));
        assert_int_equal(json_scan_check(value, PROTOJSON_DEPTH_MAX, &offset),
                         good ? 0 : JSON_SCAN_E_DEEP);
        check_payload(value, good);
        buf_add(&b, STR("}]}"));
        assert_int_equal(protojson_decode(&a, ENQUEUE, buf_str(&b), &m, &error) == 0, good);
        if (!good)
            CHECK_TEXT(error.text, "tasks[0].payload: it is nested more than 64 deep");
        buf_deinit(&b);
        arena_deinit(&a);
    }
}

static void too_many_objects_are_refused(void **state)
{
    struct arena a = {0};
    struct doc_error error = {0};
    ProtobufCMessage *m;
    struct buf b;

    (void)state;
    buf_init(&b, SIZE_MAX / 8);
    buf_add(&b, STR("{\"tasks\":[{}"));
    for (size_t i = 0; i < CODEC_MESSAGES_MAX; i++)
        buf_add(&b, STR(",{}"));
    buf_add(&b, STR("]}"));
    assert_int_equal(protojson_decode(&a, ENQUEUE, buf_str(&b), &m, &error), PROTOJSON_E_BAD);
    CHECK_TEXT(error.text, "tasks[159999]: there are too many objects");
    buf_deinit(&b);
    arena_deinit(&a);
}

static void too_many_items_are_refused(void **state)
{
    struct arena a = {0};
    struct doc_error error = {0};
    ProtobufCMessage *m;
    struct buf b;

    (void)state;
    buf_init(&b, SIZE_MAX / 8);
    buf_add(&b, STR("{\"tokens\":[\"\""));
    for (size_t i = 0; i < CODEC_FIELDS_MAX; i++)
        buf_add(&b, STR(",\"\""));
    buf_add(&b, STR("]}"));
    assert_int_equal(
        protojson_decode(&a, &weft__v1__release_request__descriptor, buf_str(&b), &m, &error),
        PROTOJSON_E_BAD);
    CHECK_TEXT(error.text, "tokens[2000000]: there are too many items");
    buf_deinit(&b);
    arena_deinit(&a);
}

/* Fields of paths and queries, one behind the other; the last one tells. */
static void fields_are_set_from_text(void **state)
{
    static const struct {
        const char *name;
        const ProtobufCMessageDescriptor *d;
        const char *fields[2][2];
        const char *json, *error;
    } rows[] = {
        {"text",              QUEUE,                 {{"queue", "a/b"}},                                         "{\"queue\":\"a/b\"}",      NULL                                                                                      },
        {"empty text",        QUEUE,                 {{"queue", ""}},                                            "{\"queue\":\"\"}",         NULL                                                                                      },
        {"the same twice",    QUEUE,                 {{"queue", "a"}, {"queue", "a"}},                           "{\"queue\":\"a\"}",        NULL                                                                                      },
        {"another",
         QUEUE,                                      {{"queue", "a"}, {"queue", "b"}},
         NULL,                                                                                                                               "queue: it is given twice, as \"a\" and as \"b\""                                         },
        {"a number",          QUEUE,                 {{"tasks_max", "7"}},                                       "{\"tasks_max\":7}",        NULL                                                                                      },
        {"a number twice",
         QUEUE,                                      {{"tasks_max", "7"}, {"tasks_max", "7"}},
         NULL,                                                                                                                               "tasks_max: it is given twice"                                                            },
        {"no number",
         QUEUE,                                      {{"tasks_max", "7a"}},
         NULL,                                                                                                                               "tasks_max: \"7a\" is no whole number within -9223372036854775808 … 9223372036854775807"},
        {"no small number",
         &weft__v1__list_queues_request__descriptor,
         {{"page_size", "3000000000"}},
         NULL,                                                                                                                               "page_size: \"3000000000\" is no whole number within -2147483648 … 2147483647"          },
        {"a fraction",        QUEUE,                 {{"rate", "0.5"}},                                          "{\"rate\":0.5}",           NULL                                                                                      },
        {"no fraction",       QUEUE,                 {{"rate", ".5"}},                                           NULL,                       "rate: \".5\" is no number"                                                               },
        {"infinity",          QUEUE,                 {{"rate", "1e999"}},                                        NULL,                       "rate: \"1e999\" is no number"                                                            },
        {"true",              QUEUE,                 {{"fair", "true"}},                                         "{\"fair\":true}",          NULL                                                                                      },
        {"yes",               QUEUE,                 {{"fair", "yes"}},                                          NULL,                       "fair: \"yes\" is neither true nor false"                                                 },
        {"a duration",        QUEUE,                 {{"retention", "2m"}},                                      "{\"retention\":\"120s\"}", NULL                                                                                      },
        {"no duration",
         QUEUE,                                      {{"retention", "2"}},
         NULL,                                                                                                                               "retention: \"2\" is not a duration such as \"1.5s\""                                     },
        {"within a duration",
         QUEUE,                                      {{"retention.seconds", "2"}},
         NULL,                                                                                                                               "retention.seconds: it is a duration such as \"1.5s\" and has no fields"                  },
        {"within a message",
         QUEUE,                                      {{"retry.max_attempts", "2"}, {"retry.backoff_cap", "1s"}},
         "{\"retry\":{\"max_attempts\":2,\"backoff_cap\":\"1s\"}}",                                                                          NULL                                                                                      },
        {"a list",
         QUEUE,                                      {{"retry.retry_on", "a"}, {"retry.retry_on", "b"}},
         "{\"retry\":{\"retry_on\":[\"a\",\"b\"]}}",                                                                                         NULL                                                                                      },
        {"a map",
         START,                                      {{"params.a.b", "x"}, {"params.", "y"}},
         "{\"params\":{\"a.b\":\"x\",\"\":\"y\"}}",                                                                                          NULL                                                                                      },
        {"a map's key twice",
         START,                                      {{"params.a", "x"}, {"params.a", "x"}},
         NULL,                                                                                                                               "params.a: it is given twice"                                                             },
        {"a message",
         QUEUE,                                      {{"retry", "x"}},
         NULL,                                                                                                                               "retry: it is an object; name one of its fields behind a dot"                             },
        {"a list of objects",
         ENQUEUE,                                    {{"tasks", "x"}},
         NULL,                                                                                                                               "tasks: a list of objects cannot be given here"                                           },
        {"within a list",
         ENQUEUE,                                    {{"tasks.key", "x"}},
         NULL,                                                                                                                               "tasks.key: a list of objects cannot be given here"                                       },
        {"JSON",
         &weft__v1__requeue_task__descriptor,
         {{"payload", "[1]"}},
         "{\"payload\":[1]}",                                                                                                                NULL                                                                                      },
        {"no JSON",
         &weft__v1__requeue_task__descriptor,
         {{"payload", "[1"}},
         NULL,                                                                                                                               "payload: it is no JSON, from its byte 2 on"                                              },
        {"no UTF-8",          QUEUE,                 {{"queue", "\xff"}},                                        NULL,                       "queue: it is not UTF-8"                                                                  },
        {"unknown",           QUEUE,                 {{"qeue", "x"}},                                            NULL,                       "the request takes no \"qeue\"; is queue meant?"                                          },
        {"within text",       QUEUE,                 {{"queue.name", "x"}},                                      NULL,                       "the request takes no \"queue.name\""                                                     },
        {"no name",           QUEUE,                 {{"", "x"}},                                                NULL,                       "the request takes no \"\""                                                               },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct arena a = {0};
        struct str error = {0};
        ProtobufCMessage *m = codec_new(&a, rows[i].d->sizeof_message, rows[i].d);
        struct buf b;
        int r = 0;

        for (size_t f = 0; !r && f < 2 && rows[i].fields[f][0]; f++)
            r = protojson_set(&a, m, str_of(rows[i].fields[f][0]), str_of(rows[i].fields[f][1]),
                              &error);
        CHECK_ROW(rows[i].name, r == (rows[i].error ? PROTOJSON_E_BAD : 0));
        b = encoded(m);
        if (r)
            CHECK_TEXT(error, rows[i].error);
        else
            CHECK_TEXT(buf_str(&b), rows[i].json);
        buf_deinit(&b);
        arena_deinit(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(good_requests),
        cmocka_unit_test(bad_requests),
        cmocka_unit_test(json_as_deep_as_allowed),
        cmocka_unit_test(too_many_objects_are_refused),
        cmocka_unit_test(too_many_items_are_refused),
        cmocka_unit_test(fields_are_set_from_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
