/* SPDX-License-Identifier: Apache-2.0 */
#include "client/raw.h"

#include "base/test.h"

static void a_text_is_one_value(void **state)
{
    static const struct {
        const char *text, *value; /* NULL: refused */
        size_t at;
    } rows[] = {
        {"1",                        "1",                      0},
        {" {\"a\": [1.10, 1e999]} ", "{\"a\": [1.10, 1e999]}", 0},
        {"",                         NULL,                     0},
        {"1 2",                      NULL,                     2},
        {"{\"a\":}",                 NULL,                     5},
        {"\"\xff\"",                 NULL,                     1},
        {"[1",                       NULL,                     2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str value = {0};
        size_t at = 0;
        bool good = raw_check(str_of(rows[i].text), &value, &at);

        CHECK_ROW(rows[i].text, good == (rows[i].value != NULL));
        CHECK_ROW(rows[i].text, !good || str_eq(value, str_of(rows[i].value)));
        CHECK_ROW(rows[i].text, good || at == rows[i].at);
    }
}

static void values_are_cut_out_as_they_stand(void **state)
{
    static const struct {
        const char *object, *key, *value;
    } rows[] = {
        {"{\"a\":1,\"b\":[{\"a\":2}]}",        "b", "[{\"a\":2}]"},
        {" { \"a\" : \"x,\\\"}\" , \"b\":2 }", "a", "\"x,\\\"}\""},
        {"{\"b\":{\"a\":1},\"a\":1.50}",       "a", "1.50"       },
        {"{\"aa\":1,\"a\":null}",              "a", "null"       },
        {"{\"a\":1}",                          "b", ""           },
        {"{}",                                 "a", ""           },
        {"[1]",                                "a", ""           },
        {"<html>",                             "a", ""           },
        {"",                                   "a", ""           },
        {"{\"a\":[1,2",                        "a", ""           },
        {"{\"a\"",                             "a", ""           },
        {"{\"a\":\"x",                         "a", ""           },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CHECK_ROW(rows[i].object, str_eq(raw_get(str_of(rows[i].object), str_of(rows[i].key)),
                                         str_of(rows[i].value)));
}

static void nothing_is_in_what_is_not_there(void **state)
{
    struct str nothing = raw_get(STR("{}"), STR("error")), value;
    size_t at = 1;

    (void)state;
    assert_int_equal(raw_get(nothing, STR("code")).n, 0);
    assert_false(raw_next(&nothing, &value));
    assert_false(raw_check(nothing, &value, &at));
    assert_int_equal(at, 0);
}

static void a_list_is_walked(void **state)
{
    struct str rest = STR("[1, \"a,b\" ,[], {\"x\":[2]}]"), item;
    const struct str items[] = {STR("1"), STR("\"a,b\""), STR("[]"), STR("{\"x\":[2]}")};
    size_t n = 0;

    (void)state;
    for (; raw_next(&rest, &item); n++)
        assert_true(n < 4 && str_eq(item, items[n]));
    assert_int_equal(n, 4);
    rest = STR("[]");
    assert_false(raw_next(&rest, &item));
    rest = STR("null");
    assert_false(raw_next(&rest, &item));
}

static void texts_are_read_and_lines_kept_whole(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    raw_text(STR("\"plain\""), &b);
    raw_text(STR("\" gr\\u00fcn\\n\""), &b);
    raw_text(STR("7"), &b);
    assert_true(str_eq(buf_str(&b), STR("plain gr\xc3\xbcn\n")));
    buf_clear(&b);
    raw_line(STR("[1,\r\n2\n]"), &b);
    assert_true(str_eq(buf_str(&b), STR("[1,  2 ]")));
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_one_value),
        cmocka_unit_test(values_are_cut_out_as_they_stand),
        cmocka_unit_test(nothing_is_in_what_is_not_there),
        cmocka_unit_test(a_list_is_walked),
        cmocka_unit_test(texts_are_read_and_lines_kept_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
