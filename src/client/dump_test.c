/* SPDX-License-Identifier: Apache-2.0 */
#include "client/dump.h"

#include "base/test.h"

static void numbers_are_short_and_exact(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"[0.1]",                                                                   "[0.1]"                    },
        {"[0.000956]",                                                              "[0.000956]"               },
        {"[1.0]",                                                                   "[1.0]"                    },
        {"[-0.0]",                                                                  "[-0.0]"                   },
        {"[1e300]",                                                                 "[1e+300]"                 },
        {"[0.30000000000000004]",                                                   "[0.30000000000000004]"    },
        {"[1.7976931348623157e308]",                                                "[1.7976931348623157e+308]"},
        {"[9007199254740993]",                                                      "[9007199254740993]"       },
        {"[-9223372036854775808]",                                                  "[-9223372036854775808]"   },
        {"{\"b\":[],\"a\":{\"x\":null,\"y\":[true,false]},\"\":\"\\u0001\\\"é\"}",
         "{\"b\":[],\"a\":{\"x\":null,\"y\":[true,false]},\"\":\"\\u0001\\\"é\"}"                             },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *v = json_loads(rows[i].in, 0, NULL), *again;
        char *text = dump_text(v, DUMP_COMPACT);

        assert_string_equal(text, rows[i].out);
        again = json_loads(text, 0, NULL);
        assert_true(json_equal(v, again));
        free(text);
        json_decref(v);
        json_decref(again);
    }
}

static void indented_has_a_line_per_value(void **state)
{
    json_t *v = json_loads("{\"a\":[1,{}],\"b\":[]}", 0, NULL);
    char *text = dump_text(v, DUMP_INDENTED);

    (void)state;
    assert_string_equal(text, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
    free(text);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_short_and_exact),
        cmocka_unit_test(indented_has_a_line_per_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
