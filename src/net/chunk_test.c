/* SPDX-License-Identifier: Apache-2.0 */
#include "net/chunk.h"

#include "base/buf.h"
#include "base/test.h"

#define S(literal)                                                                                 \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

enum { WHOLE, MORE, BAD };

static const struct {
    const char *name;
    struct str bytes;
    int end;
    const char *data;
} rows[] = {
    {"empty body",                  S("0\r\n\r\n"),                           WHOLE, ""          },
    {"one chunk",                   S("5\r\nhello\r\n0\r\n\r\n"),             WHOLE, "hello"     },
    {"two chunks, digits",          S("2\r\nhe\r\n03\r\nllo\r\n000\r\n\r\n"), WHOLE, "hello"     },
    {"hexadecimal",                 S("A\r\n0123456789\r\n0\r\n\r\n"),        WHOLE, "0123456789"},
    {"CR LF as data",               S("2\r\n\r\n\r\n0\r\n\r\n"),              WHOLE, "\r\n"      },
    {"extension",                   S("1;a=\"b c\"\r\nx\r\n0;z\r\n\r\n"),     WHOLE, "x"         },
    {"trailers",                    S("0\r\nA: b\r\nC:\r\n\r\n"),             WHOLE, ""          },
    {"cut in the data",             S("5\r\nhel"),                            MORE,  "hel"       },
    {"cut behind the last size",    S("0\r\n"),                               MORE,  ""          },
    {"a sign",                      S("+5\r\nhello\r\n0\r\n\r\n"),            BAD,   ""          },
    {"0x",                          S("0x5\r\nhello\r\n0\r\n\r\n"),           BAD,   ""          },
    {"a blank behind",              S("5 \r\nhello\r\n0\r\n\r\n"),            BAD,   ""          },
    {"a blank before",              S(" 5\r\nhello\r\n0\r\n\r\n"),            BAD,   ""          },
    {"no size",                     S("\r\nhello\r\n0\r\n\r\n"),              BAD,   ""          },
    {"only an extension",           S(";a\r\n\r\n"),                          BAD,   ""          },
    {"nine digits",                 S("000000005\r\nhello\r\n"),              BAD,   ""          },
    {"a size of 64 bits and more",  S("FFFFFFFFFFFFFFFF1\r\n"),               BAD,   ""          },
    {"no CR LF behind the data",    S("5\r\nhello0\r\n\r\n"),                 BAD,   "hello"     },
    {"bare LF behind the data",     S("5\r\nhello\n0\r\n\r\n"),               BAD,   "hello"     },
    {"bare LF behind the size",     S("5\nhello\r\n0\r\n\r\n"),               BAD,   ""          },
    {"bare LF in an extension",     S("5;a\nhello\r\n0\r\n\r\n"),             BAD,   ""          },
    {"a CR in an extension",        S("5;a\rb\r\nhello\r\n0\r\n\r\n"),        BAD,   ""          },
    {"a folded trailer",            S("0\r\nA: b\r\n c\r\n\r\n"),             BAD,   ""          },
    {"a blank in a trailer's name", S("0\r\nA : b\r\n\r\n"),                  BAD,   ""          },
    {"bare LF at the end",          S("0\r\n\n"),                             BAD,   ""          },
};

/* Feed the bytes in pieces of `step`, and say how it ends; `rest` is what is left behind the end.
 */
static int feed(struct str bytes, size_t step, struct buf *data, size_t *ret_rest)
{
    struct chunk c = {0};
    const char *why = NULL;
    struct str in, piece;

    for (size_t at = 0; at < bytes.n; at += step) {
        in = str_sub(bytes, at, step);
        while (in.n > 0 && c.state != CHUNK_END) {
            if (chunk_take(&c, &in, &piece, &why)) {
                assert_non_null(why);
                return BAD;
            }
            buf_add(data, piece);
        }
        if (c.state == CHUNK_END) {
            *ret_rest = bytes.n - at - (str_sub(bytes, at, step).n - in.n);
            return WHOLE;
        }
    }
    return MORE;
}

static void bodies_in_pieces_of_every_size(void **state)
{
    struct buf data;
    size_t rest;

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        for (size_t step = 1; step <= rows[i].bytes.n; step++) {
            rest = 0;
            buf_init(&data, 100);
            CHECK_ROW(rows[i].name, feed(rows[i].bytes, step, &data, &rest) == rows[i].end);
            CHECK_ROW(rows[i].name, str_eq(buf_str(&data), str_of(rows[i].data)));
            CHECK_ROW(rows[i].name, rest == 0);
            buf_deinit(&data);
        }
}

static void what_follows_is_left(void **state)
{
    struct str bytes = STR("1\r\nx\r\n0\r\n\r\nGET /");
    struct buf data;
    size_t rest = 0;

    (void)state;
    buf_init(&data, 100);
    assert_int_equal(feed(bytes, bytes.n, &data, &rest), WHOLE);
    assert_int_equal(rest, 5);
    buf_deinit(&data);
}

static void extensions_have_a_limit(void **state)
{
    static char bytes[CHUNK_OVERHEAD_MAX + 8];
    struct buf data;
    size_t rest;

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes, "0;", 2);
    buf_init(&data, 100);
    assert_int_equal(feed((struct str){bytes, sizeof(bytes) - 8}, 1000, &data, &rest), MORE);
    assert_int_equal(feed((struct str){bytes, sizeof(bytes)}, 1000, &data, &rest), BAD);
    buf_deinit(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_in_pieces_of_every_size),
        cmocka_unit_test(what_follows_is_left),
        cmocka_unit_test(extensions_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
