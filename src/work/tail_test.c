/* SPDX-License-Identifier: Apache-2.0 */
#include "work/tail.h"

#include "base/memory.h"
#include "base/test.h"

#define BAD "\xef\xbf\xbd"

static void newest_line_is_readable(void **state)
{
    static const struct {
        const char *name;
        const char *pieces[4]; /* of stdout */
        const char *line;      /* the newest, before the end */
        const char *last;      /* and after it */
    } rows[] = {
        {"a line",               {"one\n"},                     "one",          "one"         },
        {"three at once",        {"one\ntwo\nthree\n"},         "three",        "three"       },
        {"in pieces",            {"o", "n", "e\n"},             "one",          "one"         },
        {"one and a half",       {"one\ntwo"},                  "one",          "two"         },
        {"no end",               {"on", "e"},                   "",             "one"         },
        {"empty lines",          {"one\n\n", "\n"},             "one",          "one"         },
        {"a bar",                {"10%\r", "20%\r", "30%\r\n"}, "30%",          "30%"         },
        {"a bar without an end", {"10%\r20%\r"},                "",             "20%"         },
        {"colours",              {"\x1b[1;32mgreen\x1b[0m\n"},  "green",        "green"       },
        {"half a colour",        {"x\x1b[1\n"},                 "x",            "x"           },
        {"controls",
         {"a\tb\x07"
          "c\x7f\n"},
         "a b c ",                                                              "a b c "      },
        {"an escape alone",
         {"a\x1b"
          "b\n"},
         "a b",                                                                 "a b"         },
        {"no UTF-8",
         {"a\xff"
          "b\xc3\n"},
         "a" BAD "b" BAD,
         "a" BAD "b" BAD                                                                      },
        {"UTF-8 in pieces",      {"\xe2", "\x82", "\xac\n"},    "\xe2\x82\xac", "\xe2\x82\xac"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        CLEANUP(buf_deinit) struct buf line;
        CLEANUP(buf_deinit) struct buf last;
        struct tail t = {0};

        buf_init(&line, 1000);
        buf_init(&last, 1000);
        for (int j = 0; j < 4 && rows[i].pieces[j]; j++)
            tail_add(&t, TAIL_OUT, str_of(rows[i].pieces[j]));
        tail_newest(&t, &line);
        CHECK_ROW(rows[i].name, str_eq(buf_str(&line), str_of(rows[i].line)));
        CHECK_ROW(rows[i].name, t.fresh == (*rows[i].line != '\0'));
        tail_end(&t);
        tail_newest(&t, &last);
        CHECK_ROW(rows[i].name, str_eq(buf_str(&last), str_of(rows[i].last)));
        CHECK_ROW(rows[i].name, t.err_n == 0);
    }
}

static void streams_do_not_mix(void **state)
{
    CLEANUP(buf_deinit) struct buf line;
    struct tail t = {0};

    (void)state;
    buf_init(&line, 1000);
    tail_add(&t, TAIL_OUT, STR("from out"));
    tail_add(&t, TAIL_ERR, STR("from err\n"));
    tail_newest(&t, &line);
    CHECK_TEXT(buf_str(&line), "from err");
    tail_add(&t, TAIL_OUT, STR(", too\n"));
    buf_clear(&line);
    tail_newest(&t, &line);
    CHECK_TEXT(buf_str(&line), "from out, too");
}

static void long_line_is_cut(void **state)
{
    CLEANUP(buf_deinit) struct buf line;
    struct tail t = {0};
    char text[3 * TAIL_LINE_BYTES];

    (void)state;
    buf_init(&line, 1000);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\n';
    tail_add(&t, TAIL_OUT, (struct str){text, sizeof(text)});
    tail_newest(&t, &line);
    assert_int_equal(line.n, TAIL_LINE_BYTES);
}

/* For every length around the limit and every size of pieces, the last bytes, whole characters. */
static void end_of_stderr_is_exact(void **state)
{
    static const size_t pieces[] = {1, 7, 1000, EXECUTOR_TAIL_BYTES, 3 * EXECUTOR_TAIL_BYTES};
    static char text[2 * EXECUTOR_TAIL_BYTES + 100];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "\xe2\x82\xac"[i % 3];
    for (size_t n = EXECUTOR_TAIL_BYTES - 4; n < sizeof(text); n += 331) {
        for (size_t i = 0; i < ROWS_N(pieces); i++) {
            CLEANUP(buf_deinit) struct buf out;
            struct str rest = {text, n - n % 3};
            struct str all = rest;
            struct tail t = {0};
            size_t kept;

            buf_init(&out, 3 * EXECUTOR_TAIL_BYTES);
            for (; rest.n; rest = str_sub(rest, pieces[i], rest.n))
                tail_add(&t, TAIL_ERR, str_sub(rest, 0, pieces[i]));
            tail_err(&t, &out);
            kept =
                all.n < EXECUTOR_TAIL_BYTES ? all.n : EXECUTOR_TAIL_BYTES - EXECUTOR_TAIL_BYTES % 3;
            assert_true(str_eq(buf_str(&out), str_sub(all, all.n - kept, kept)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_line_is_readable),
        cmocka_unit_test(streams_do_not_mix),
        cmocka_unit_test(long_line_is_cut),
        cmocka_unit_test(end_of_stderr_is_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
