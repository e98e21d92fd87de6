/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http1_reply.h"

#include "base/clock.h"
#include "base/test.h"

static void dates_are_those_of_rfc_9110(void **state)
{
    static const struct {
        const char *at;
        const char *date;
    } rows[] = {
        {"1994-11-06T08:49:37.999Z", "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"},
        {"1970-01-01T00:00:00Z",     "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"},
        {"2024-02-29T23:59:59Z",     "Date: Thu, 29 Feb 2024 23:59:59 GMT\r\n"},
        {"2100-03-01T12:00:00Z",     "Date: Mon, 01 Mar 2100 12:00:00 GMT\r\n"},
    };
    struct http1_reply r = {.status = 200, .minor = 1, .keep = true};
    struct buf b;
    int64_t at;

    (void)state;
    buf_init(&b, 1000);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        assert_true(clock_parse(str_of(rows[i].at), &at));
        buf_clear(&b);
        http1_reply_head(&r, at, &b);
        CHECK_ROW(rows[i].at, strstr(b.p, rows[i].date));
    }
    buf_deinit(&b);
}

static void heads_of_replies(void **state)
{
    static const struct {
        const char *name;
        struct http1_reply r;
        const char *rest; /* behind Cache-Control */
    } rows[] = {
        {"a body",
         {.status = 200, .minor = 1, .keep = true, .type = "a/b", .length = 7},
         "Content-Type: a/b\r\nContent-Length: 7\r\n\r\n"                                       },
        {"no content",
         {.status = 204, .minor = 1, .keep = true, .allow = 1u << METHOD_POST},
         "Allow: OPTIONS, POST\r\n\r\n"                                                         },
        {"with an id",
         {.status = 200, .minor = 1, .keep = true, .type = "a/b", .id = {"r1", 2}},
         "Content-Type: a/b\r\nContent-Length: 0\r\nX-Request-Id: r1\r\n\r\n"                   },
        {"not modified",
         {.status = 304, .minor = 1, .keep = true, .etag = {"x", 1}},
         "ETag: \"x\"\r\n\r\n"                                                                  },
        {"a stream",
         {.status = 200, .minor = 1, .keep = true, .type = "a/b", .stream = true},
         "Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n"                              },
        {"a stream of 1.0",
         {.status = 200, .minor = 0, .type = "a/b", .stream = true},
         "Content-Type: a/b\r\nConnection: close\r\n\r\n"                                       },
        {"later",
         {.status = 429, .minor = 1, .type = "a/b", .retry_after_us = 1},
         "Content-Type: a/b\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"},
        {"who are you",
         {.status = 401, .minor = 1, .keep = true},
         "Content-Length: 0\r\nWWW-Authenticate: Bearer\r\n\r\n"                                },
    };
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        buf_clear(&b);
        http1_reply_head(&rows[i].r, 0, &b);
        CHECK_ROW(rows[i].name, str_ends(buf_str(&b), str_of(rows[i].rest)));
        CHECK_ROW(rows[i].name,
                  strstr(b.p, "Cache-Control: no-cache\r\n") + 25 + strlen(rows[i].rest) ==
                      b.p + b.n);
    }
    buf_deinit(&b);
}

static void what_is_accepted(void **state)
{
    static const struct {
        const char *accept;
        bool json;
    } rows[] = {
        {"",                                  true },
        {"*/*",                               true },
        {"application/*",                     true },
        {"Application/JSON",                  true },
        {"text/html, application/json;q=0.9", true },
        {"text/html,*/*;q=0.8",               true },
        {"text/html",                         false},
        {"text/*",                            false},
        {"application/json;q=0",              false},
        {"application/json; q=0.000, */*",    false},
        {"*/*, application/json;q=0",         false},
        {"*/*;q=0, application/json",         true },
        {"application/jsonl",                 false},
        {"nonsense",                          false},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        CHECK_ROW(rows[i].accept, http1_reply_accepts(str_of(rows[i].accept),
                                                      STR("application/json")) == rows[i].json);
}

static void which_etags_match(void **state)
{
    struct str tag;

    (void)state;
    assert_true(http1_reply_has_etag(STR("*"), STR("a")));
    assert_true(http1_reply_has_etag(STR("\"b\", W/\"a\""), STR("a")));
    assert_false(http1_reply_has_etag(STR("\"b\", \"c\""), STR("a")));
    assert_false(http1_reply_has_etag(STR("a"), STR("a")));
    assert_true(http1_reply_etag(STR("\"a b\""), &tag));
    CHECK_TEXT(tag, "a b");
    assert_false(http1_reply_etag(STR("W/\"a\""), &tag));
    assert_false(http1_reply_etag(STR("\"a\", \"b\""), &tag));
    assert_false(http1_reply_etag(STR("\""), &tag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_those_of_rfc_9110),
        cmocka_unit_test(heads_of_replies),
        cmocka_unit_test(what_is_accepted),
        cmocka_unit_test(which_etags_match),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
