/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/message.h"

#include <string.h>

#include "base/test.h"
#include "pool/frame.h"

static void what_is_written_is_a_frame(void **state)
{
    static const struct {
        const char *name;
        struct message_call call;
        const char *text;
    } rows[] = {
        {"bare",      {.id = 1, .command = STR("ping")}, "{\"id\":1,\"command\":\"ping\"}"},
        {"all of it",
         {.id = 7,
          .command = STR("execute"),
          .args = STR("{\"a\": 1.10}"),
          .session = STR("u\"1"),
          .deadline_ms = 12000},
         "{\"id\":7,\"command\":\"execute\",\"session\":\"u\\\"1\",\"deadline\":12000,"
         "\"args\":{\"a\": 1.10}}"                                                        },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct buf b;

        buf_init(&b, 1000);
        message_call(&b, &rows[i].call);
        CHECK_ROW(rows[i].name, b.n == FRAME_HEAD_BYTES + strlen(rows[i].text));
        CHECK_ROW(rows[i].name, (unsigned char)b.p[3] == strlen(rows[i].text));
        CHECK_ROW(rows[i].name, str_eq(str_sub(buf_str(&b), 4, b.n), str_of(rows[i].text)));
        buf_deinit(&b);
    }
}

static void replies_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t id;
        enum message_kind kind;
        const char *value;
    } rows[] = {
        {"{\"id\":7,\"success\":true,\"result\":{\"a\":[1,2]}}",      7,  MESSAGE_RESULT,
         "{\"a\":[1,2]}"                                                                          },
        {" { \"result\" : null , \"success\" : true , \"id\" : 8 } ", 8,  MESSAGE_RESULT, "null"  },
        {"{\"id\":9,\"success\":true}",                               9,  MESSAGE_RESULT, "null"  },
        {"{\"id\":9,\"success\":false,\"error\":\"no\"}",             9,  MESSAGE_ERROR,  "\"no\""},
        {"{\"id\":9,\"success\":false}",                              9,  MESSAGE_ERROR,  "null"  },
        {"{\"id\":10,\"chunk\":\"x\"}",                               10, MESSAGE_CHUNK,  "\"x\"" },
        {"{\"id\":1,\"timestamp\":\"t\",\"success\":true}",           1,  MESSAGE_RESULT, "null"  },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct message_reply reply;
        const char *why;

        CHECK_ROW(rows[i].text, message_read(str_of(rows[i].text), &reply, &why) == 0);
        CHECK_ROW(rows[i].text, reply.id == rows[i].id && reply.kind == rows[i].kind);
        CHECK_ROW(rows[i].text, str_eq(reply.value, str_of(rows[i].value)));
    }
}

static void what_is_no_reply_is_told(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } rows[] = {
        {"",                                               "is no JSON object"                               },
        {"[]",                                             "is no JSON object"                               },
        {"\"x\"",                                          "is no JSON object"                               },
        {"{\"id\":1,\"success\":true",                     "is not JSON"                                     },
        {"{\"id\":1,\"success\":true}}",                   "is not JSON"                                     },
        {"{\"id\":1,\"success\":true,}",                   "is not JSON"                                     },
        {"{\"id\":1 \"success\":true}",                    "is not JSON"                                     },
        {"{,\"id\":1}",                                    "is not JSON"                                     },
        {"{\"id\":1,\"result\":\"\xff\"}",                 "is not JSON"                                     },
        {"{\"id\":NaN,\"success\":true}",                  "is not JSON"                                     },
        {"{\"success\":true}",                             "has no id, or one that is no whole number"       },
        {"{\"id\":\"1\",\"success\":true}",                "has no id, or one that is no whole number"       },
        {"{\"id\":1.5,\"success\":true}",                  "has no id, or one that is no whole number"       },
        {"{\"id\":99999999999999999999,\"success\":true}",
         "has no id, or one that is no whole number"                                                         },
        {"{\"id\":1,\"id\":2,\"success\":true}",           "has a key twice"                                 },
        {"{\"id\":1}",                                     "has neither a chunk nor success as true or false"},
        {"{\"id\":1,\"success\":1}",                       "has neither a chunk nor success as true or false"},
        {"{\"id\":1,\"success\":true,\"chunk\":1}",        "has both a chunk and success"                    },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct message_reply reply;
        const char *why;

        CHECK_ROW(rows[i].text, message_read(str_of(rows[i].text), &reply, &why) == MESSAGE_E_BAD);
        CHECK_ROW(rows[i].text, str_eq(str_of(why), str_of(rows[i].why)));
    }
}

static void deep_values_are_refused(void **state)
{
    (void)state;
    for (unsigned depth = MESSAGE_DEPTH_MAX; depth <= MESSAGE_DEPTH_MAX + 1; depth++) {
        struct message_reply reply;
        const char *why;
        struct buf b;

        buf_init(&b, 1000);
        buf_add(&b, STR("{\"id\":1,\"success\":true,\"result\":"));
        for (unsigned i = 0; i < depth; i++)
            buf_byte(&b, '[');
        for (unsigned i = 0; i < depth; i++)
            buf_byte(&b, ']');
        buf_byte(&b, '}');
        if (depth == MESSAGE_DEPTH_MAX) {
            assert_int_equal(message_read(buf_str(&b), &reply, &why), 0);
        } else {
            assert_int_equal(message_read(buf_str(&b), &reply, &why), MESSAGE_E_BAD);
            assert_string_equal(why, "is nested more than 64 deep");
        }
        buf_deinit(&b);
    }
}

static void a_worker_says_what_it_can(void **state)
{
    static const struct {
        const char *text;
        struct message_able able;
    } rows[] = {
        {"null",                                                              {0}           },
        {"\"pong\"",                                                          {0}           },
        {"{}",                                                                {0}           },
        {"{\"in_flight\":8,\"sessions\":100,\"snapshots\":true,\"more\":[]}", {8, 100, true}},
        {"{\"in_flight\":-1,\"sessions\":\"2\",\"snapshots\":1}",             {0}           },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct message_able able;

        message_able(str_of(rows[i].text), &able);
        CHECK_ROW(rows[i].text, able.in_flight == rows[i].able.in_flight);
        CHECK_ROW(rows[i].text, able.sessions == rows[i].able.sessions);
        CHECK_ROW(rows[i].text, able.snapshots == rows[i].able.snapshots);
    }
}

static void an_error_is_shown_as_text(void **state)
{
    static const struct {
        const char *error;
        const char *text;
    } rows[] = {
        {"\"no such program\"",                             "no such program"   },
        {"{\"kind\":\"ValueError\",\"message\":\"bad x\"}", "bad x"             },
        {"{\"kind\":\"ValueError\"}",                       ""                  },
        {"{\"message\":7}",                                 ""                  },
        {"null",                                            ""                  },
        {"\"\"",                                            ""                  },
        {"\"123456789012345678€\"",                       "123456789012345678"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct buf b;

        buf_init(&b, 100);
        message_error_text(str_of(rows[i].error), 20, &b);
        CHECK_ROW(rows[i].error, str_eq(buf_str(&b), str_of(rows[i].text)));
        buf_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_a_frame), cmocka_unit_test(replies_are_read),
        cmocka_unit_test(what_is_no_reply_is_told),   cmocka_unit_test(deep_values_are_refused),
        cmocka_unit_test(a_worker_says_what_it_can),  cmocka_unit_test(an_error_is_shown_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
