/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_head.h"

#include "base/test.h"

#define FIELDS_MAX 8u
#define GET        "GET / HTTP/1.1\r\n"
#define HOST       "Host: h\r\n"
#define END        "\r\n"
#define POST       "POST /v1/x HTTP/1.1\r\n" HOST

struct row {
    const char *name;
    struct str head;
    int r;
};
#define S(literal)                                                                                 \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static const struct row rows[] = {
    {"the least",                   S(GET HOST END),                                                            0                  },
    {"an empty host",               S(GET "Host:\r\n" END),                                                     0                  },
    {"an address as host",          S(GET "Host: [::1]:7411\r\n" END),                                          0                  },
    {"a port",                      S(GET "Host: a.b:80\r\n" END),                                              0                  },
    {"one empty line before",       S("\r\n" GET HOST END),                                                     0                  },
    {"HTTP/1.0 without host",       S("GET / HTTP/1.0\r\n" END),                                                0                  },
    {"a query",                     S("GET /a?b=c&d HTTP/1.1\r\n" HOST END),                                    0                  },
    {"percent",                     S("GET /%41%2f HTTP/1.1\r\n" HOST END),                                     0                  },
    {"with a host in the target",   S("GET http://h/a HTTP/1.1\r\n" HOST END),                                  0                  },
    {"OPTIONS *",                   S("OPTIONS * HTTP/1.1\r\n" HOST END),                                       0                  },
    {"no blank behind the colon",   S(GET "Host:h\r\n" END),                                                    0                  },
    {"blanks around a value",       S(GET HOST "X: \t a b \t\r\n" END),                                         0                  },
    {"an empty value",              S(GET HOST "X:\r\n" END),                                                   0                  },
    {"latin-1 in a value",          S(GET HOST "X: \xe9\r\n" END),                                              0                  },
    {"a length",                    S(POST "Content-Length: 5\r\n" END),                                        0                  },
    {"chunked",                     S(POST "Transfer-Encoding: Chunked\r\n" END),                               0                  },
    {"expects",                     S(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n" END),                0                  },
    {"as many fields as may be",    S(GET HOST "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\n" END),               0                  },
    {"length and chunked",          S(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END),
     HTTP_HEAD_E_BAD                                                                                                               },
    {"chunked and length",          S(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END),
     HTTP_HEAD_E_BAD                                                                                                               },
    {"two lengths",                 S(POST "Content-Length: 5\r\nContent-Length: 6\r\n" END),                   HTTP_HEAD_E_BAD    },
    {"the same length twice",       S(POST "Content-Length: 5\r\nContent-Length: 5\r\n" END),
     HTTP_HEAD_E_BAD                                                                                                               },
    {"a list of lengths",           S(POST "Content-Length: 5, 5\r\n" END),                                     HTTP_HEAD_E_BAD    },
    {"a length with a sign",        S(POST "Content-Length: +5\r\n" END),                                       HTTP_HEAD_E_BAD    },
    {"a negative length",           S(POST "Content-Length: -5\r\n" END),                                       HTTP_HEAD_E_BAD    },
    {"a hexadecimal length",        S(POST "Content-Length: 0x5\r\n" END),                                      HTTP_HEAD_E_BAD    },
    {"an empty length",             S(POST "Content-Length:\r\n" END),                                          HTTP_HEAD_E_BAD    },
    {"a length beyond 63 bits",     S(POST "Content-Length: 9999999999999999999\r\n" END),
     HTTP_HEAD_E_BAD                                                                                                               },
    {"chunked twice",               S(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END),
     HTTP_HEAD_E_BAD                                                                                                               },
    {"chunked, chunked",            S(POST "Transfer-Encoding: chunked, chunked\r\n" END),                      HTTP_HEAD_E_BAD    },
    {"xchunked",                    S(POST "Transfer-Encoding: xchunked\r\n" END),                              HTTP_HEAD_E_BAD    },
    {"gzip, chunked",               S(POST "Transfer-Encoding: gzip, chunked\r\n" END),                         HTTP_HEAD_E_BAD    },
    {"identity",                    S(POST "Transfer-Encoding: identity\r\n" END),                              HTTP_HEAD_E_BAD    },
    {"an empty transfer encoding",  S(POST "Transfer-Encoding:\r\n" END),                                       HTTP_HEAD_E_BAD    },
    {"vertical tab before chunked",
     S(POST "Transfer-Encoding: \x0b"
            "chunked\r\n" END),
     HTTP_HEAD_E_BAD                                                                                                               },
    {"chunked of HTTP/1.0",         S("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END),
     HTTP_HEAD_E_BAD                                                                                                               },
    {"a space before the colon",    S(POST "Content-Length : 5\r\n" END),                                       HTTP_HEAD_E_BAD    },
    {"a tab before the colon",      S(POST "Content-Length\t: 5\r\n" END),                                      HTTP_HEAD_E_BAD    },
    {"a folded field",              S(GET HOST "X: a\r\n b\r\n" END),                                           HTTP_HEAD_E_BAD    },
    {"a tab-folded field",          S(GET HOST "X: a\r\n\tb\r\n" END),                                          HTTP_HEAD_E_BAD    },
    {"folded before the first",     S(GET " Host: h\r\n" END),                                                  HTTP_HEAD_E_BAD    },
    {"bare LF behind the line",     S("GET / HTTP/1.1\nHost: h\r\n" END),                                       HTTP_HEAD_E_BAD    },
    {"bare LF behind a field",      S(GET "Host: h\n" END),                                                     HTTP_HEAD_E_BAD    },
    {"bare LF as the end",          S(GET HOST "\n"),                                                           HTTP_HEAD_E_BAD    },
    {"a lone CR in a value",        S(GET HOST "X: a\rb\r\n" END),                                              HTTP_HEAD_E_BAD    },
    {"a lone CR behind the line",   S("GET / HTTP/1.1\rHost: h\r\n" END),                                       HTTP_HEAD_E_BAD    },
    {"NUL in a value",              S(GET HOST "X: a\0b\r\n" END),                                              HTTP_HEAD_E_BAD    },
    {"NUL in a name",               S(GET HOST "X\0: a\r\n" END),                                               HTTP_HEAD_E_BAD    },
    {"NUL in the target",           S("GET /\0 HTTP/1.1\r\n" HOST END),                                         HTTP_HEAD_E_BAD    },
    {"DEL in a value",              S(GET HOST "X: \x7f\r\n" END),                                              HTTP_HEAD_E_BAD    },
    {"no host",                     S(GET END),                                                                 HTTP_HEAD_E_BAD    },
    {"two hosts",                   S(GET HOST "Host: h\r\n" END),                                              HTTP_HEAD_E_BAD    },
    {"a path as host",              S(GET "Host: h/x\r\n" END),                                                 HTTP_HEAD_E_BAD    },
    {"a host with a user",          S(GET "Host: a@h\r\n" END),                                                 HTTP_HEAD_E_BAD    },
    {"two hosts in one",            S(GET "Host: a b\r\n" END),                                                 HTTP_HEAD_E_BAD    },
    {"an open bracket",             S(GET "Host: [::1\r\n" END),                                                HTTP_HEAD_E_BAD    },
    {"words behind the bracket",    S(GET "Host: [::1]x\r\n" END),                                              HTTP_HEAD_E_BAD    },
    {"a port that is none",         S(GET "Host: h:8x\r\n" END),                                                HTTP_HEAD_E_BAD    },
    {"another host in the target",  S("GET http://g/ HTTP/1.1\r\n" HOST END),                                   HTTP_HEAD_E_BAD    },
    {"a host and no path",          S("GET http://h HTTP/1.1\r\n" HOST END),                                    HTTP_HEAD_E_BAD    },
    {"another scheme",              S("GET ftp://h/ HTTP/1.1\r\n" HOST END),                                    HTTP_HEAD_E_BAD    },
    {"a verb that is no token",     S("G@T / HTTP/1.1\r\n" HOST END),                                           HTTP_HEAD_E_BAD    },
    {"no verb",                     S(" / HTTP/1.1\r\n" HOST END),                                              HTTP_HEAD_E_BAD    },
    {"a verb without end",          S("GETGETGETGETGETGETGETGETGETGETGETGETGET"),                               HTTP_HEAD_E_BAD    },
    {"two spaces",                  S("GET  / HTTP/1.1\r\n" HOST END),                                          HTTP_HEAD_E_BAD    },
    {"two spaces behind",           S("GET /  HTTP/1.1\r\n" HOST END),                                          HTTP_HEAD_E_BAD    },
    {"a tab for a space",           S("GET\t/ HTTP/1.1\r\n" HOST END),                                          HTTP_HEAD_E_BAD    },
    {"a space at the end",          S("GET / HTTP/1.1 \r\n" HOST END),                                          HTTP_HEAD_E_BAD    },
    {"no version",                  S("GET /\r\n" HOST END),                                                    HTTP_HEAD_E_BAD    },
    {"a small version",             S("GET / http/1.1\r\n" HOST END),                                           HTTP_HEAD_E_BAD    },
    {"a version of three",          S("GET / HTTP/1.10\r\n" HOST END),                                          HTTP_HEAD_E_BAD    },
    {"HTTP/2",                      S("GET / HTTP/2.0\r\n" HOST END),                                           HTTP_HEAD_E_VERSION},
    {"HTTP/1.2",                    S("GET / HTTP/1.2\r\n" HOST END),                                           HTTP_HEAD_E_VERSION},
    {"a target without a slash",    S("GET x HTTP/1.1\r\n" HOST END),                                           HTTP_HEAD_E_BAD    },
    {"GET *",                       S("GET * HTTP/1.1\r\n" HOST END),                                           HTTP_HEAD_E_BAD    },
    {"a fragment",                  S("GET /#a HTTP/1.1\r\n" HOST END),                                         HTTP_HEAD_E_BAD    },
    {"a byte beyond ASCII",         S("GET /\xc3\xa9 HTTP/1.1\r\n" HOST END),                                   HTTP_HEAD_E_BAD    },
    {"a percent of one digit",      S("GET /%4 HTTP/1.1\r\n" HOST END),                                         HTTP_HEAD_E_BAD    },
    {"a percent of no digits",      S("GET /%zz HTTP/1.1\r\n" HOST END),                                        HTTP_HEAD_E_BAD    },
    {"an empty name",               S(GET HOST ": a\r\n" END),                                                  HTTP_HEAD_E_BAD    },
    {"a name without colon",        S(GET HOST "X\r\n" END),                                                    HTTP_HEAD_E_BAD    },
    {"two empty lines before",      S("\r\n\r\n" GET HOST END),                                                 HTTP_HEAD_E_BAD    },
    {"an LF before",                S("\n" GET HOST END),                                                       HTTP_HEAD_E_BAD    },
    {"another expectation",         S(POST "Expect: cake\r\n" END),                                             HTTP_HEAD_E_EXPECT },
    {"two content types",           S(POST "Content-Type: a\r\ncontent-type: b\r\n" END),                       HTTP_HEAD_E_BAD    },
    {"too many fields",             S(GET HOST "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\n" END),
     HTTP_HEAD_E_MANY                                                                                                              },
};

/* The bytes at the end of a page of their own, so that a sanitizer sees a step too far. */
static int parse(struct str head, struct http_head *ret, const char **ret_why)
{
    return http_head_parse(head, FIELDS_MAX, ret, ret_why);
}

static void each_head_is_taken_or_refused(void **state)
{
    struct http_head h;
    const char *why;

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        int r = parse(rows[i].head, &h, &why);

        CHECK_ROW(rows[i].name, r == rows[i].r);
        CHECK_ROW(rows[i].name, r == 0 ? h.bytes == rows[i].head.n : why != NULL);
    }
}

/* A refusal stays one, whatever comes behind; what is taken asks for more until it is whole. */
static void each_beginning_asks_for_more(void **state)
{
    struct http_head h;
    const char *why;
    int r, before;

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        before = HTTP_HEAD_E_MORE;
        for (size_t n = 0; n <= rows[i].head.n; n++) {
            r = parse(str_sub(rows[i].head, 0, n), &h, &why);
            CHECK_ROW(rows[i].name, before == HTTP_HEAD_E_MORE || r == before);
            CHECK_ROW(rows[i].name, rows[i].r || n == rows[i].head.n || r == HTTP_HEAD_E_MORE);
            before = r;
        }
    }
}

static void what_a_head_says(void **state)
{
    struct str text =
        STR("\r\nPOST /a%20b:c?x=1&y HTTP/1.1\r\nHOST: h:1\r\nContent-Length: 0042\r\n"
            "ACCEPT: a\r\nIf-Match:  \"e\" \r\nX-Other: 1\r\n\r\nGET / HTTP/1.1\r\n");
    struct http_head h;
    const char *why;

    (void)state;
    assert_int_equal(parse(text, &h, &why), 0);
    CHECK_TEXT(h.verb, "POST");
    CHECK_TEXT(h.target, "/a%20b:c?x=1&y");
    CHECK_TEXT(h.path, "/a%20b:c");
    CHECK_TEXT(h.query, "x=1&y");
    CHECK_TEXT(h.fields[HTTP_HOST], "h:1");
    CHECK_TEXT(h.fields[HTTP_ACCEPT], "a");
    CHECK_TEXT(h.fields[HTTP_IF_MATCH], "\"e\"");
    assert_null(h.fields[HTTP_ORIGIN].p);
    assert_int_equal(h.length, 42);
    assert_false(h.chunked);
    assert_true(h.keep);
    CHECK_TEXT(str_sub(text, h.bytes, 5), "GET /");
}

static void when_a_connection_goes_on(void **state)
{
    static const struct {
        const char *name;
        struct str head;
        bool keep;
    } cases[] = {
        {"1.1",                 S(GET HOST END),                                          true },
        {"1.1 close",           S(GET HOST "Connection: Close\r\n" END),                  false},
        {"close in a list",     S(GET HOST "Connection: x, close\r\n" END),               false},
        {"close in a 2nd line", S(GET HOST "Connection: x\r\nConnection: close\r\n" END), false},
        {"1.0",                 S("GET / HTTP/1.0\r\n" END),                              false},
        {"1.0 keep-alive",      S("GET / HTTP/1.0\r\nConnection: keep-alive\r\n" END),    true },
        {"both",                S(GET HOST "Connection: keep-alive, close\r\n" END),      false},
    };
    struct http_head h;
    const char *why;

    (void)state;
    for (size_t i = 0; i < ROWS_N(cases); i++) {
        CHECK_ROW(cases[i].name, parse(cases[i].head, &h, &why) == 0);
        CHECK_ROW(cases[i].name, h.keep == cases[i].keep);
    }
}

/* A list in two lines is not taken for one of them. */
static void a_list_in_two_lines_is_unknown(void **state)
{
    struct http_head h;
    const char *why;

    (void)state;
    assert_int_equal(parse(STR(GET HOST "Accept: a\r\nAccept: b\r\n" END), &h, &why), 0);
    assert_null(h.fields[HTTP_ACCEPT].p);
}

static void items_of_a_list(void **state)
{
    struct str rest = STR(" a , ,b;q=1,"), item;

    (void)state;
    assert_true(http_head_item(&rest, &item));
    CHECK_TEXT(item, "a");
    assert_true(http_head_item(&rest, &item));
    CHECK_TEXT(item, "b;q=1");
    assert_false(http_head_item(&rest, &item));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_head_is_taken_or_refused),
        cmocka_unit_test(each_beginning_asks_for_more),
        cmocka_unit_test(what_a_head_says),
        cmocka_unit_test(when_a_connection_goes_on),
        cmocka_unit_test(a_list_in_two_lines_is_unknown),
        cmocka_unit_test(items_of_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
