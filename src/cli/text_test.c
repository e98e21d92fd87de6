/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include <locale.h>

#include "base/test.h"

/* As STR, for the initialisers of rows. */
#define S(literal)                                                                                 \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

struct row {
    const char *name;
    struct str text;
    const char *want;
};

static void check(const struct row *rows, size_t n, void (*make)(struct buf *out, struct str s))
{
    for (size_t i = 0; i < n; i++) {
        struct buf b;

        buf_init(&b, 4096);
        make(&b, rows[i].text);
        if (!str_eq(buf_str(&b), str_of(rows[i].want)))
            fail_msg("%s: found \"" STR_FMT "\", wanted \"%s\"", rows[i].name, STR_ARG(buf_str(&b)),
                     rows[i].want);
        buf_deinit(&b);
    }
}

static void names_cannot_act_on_a_terminal(void **state)
{
    static const struct row rows[] = {
        {"plain",           S("extract"),      "extract"           },
        {"empty",           S(""),             ""                  },
        {"unicode",         S("größe 数"),  "größe 数"       },
        {"newline",         S("a\nb\r\tc"),    "a\\nb\\r\\tc"      },
        {"escape",          S("\x1b[2J"),      "\\x1b[2J"          },
        {"nul",             S("a\0b"),         "a\\x00b"           },
        {"delete",          S("\x7f"),         "\\x7f"             },
        {"C1: CSI as one",
         S("\xc2\x9b"
           "2J"),
         "\\x9b2J"                                                 },
        {"right to left",
         S("a\u202e"
           "gpj"),
         "a\\u{202e}gpj"                                           },
        {"isolate",         S("\u2066x"),      "\\u{2066}x"        },
        {"line separator",  S("\u2028"),       "\\u{2028}"         },
        {"byte order mark", S("\ufeffx"),      "\\u{feff}x"        },
        {"no UTF-8",
         S("a\xff"
           "b"),
         "a\uFFFDb"                                                },
        {"cut short",       S("a\xe2\x82"),    "a\uFFFD\uFFFD"     },
        {"overlong",        S("\xc0\xaf"),     "\uFFFD\uFFFD"      },
        {"surrogate",       S("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD"},
    };

    (void)state;
    check(rows, ROWS_N(rows), text_safe);
}

static void output_becomes_plain_text(void **state)
{
    static const struct row rows[] = {
        {"plain",               S("done"),                  "done"},
        {"colours",             S("\x1b[1;31mred\x1b[0m!"), "red!"},
        {"clear",               S("\x1b[2J\x1b[Hx"),        "x"   },
        {"title to bell",       S("\x1b]0;evil\ax"),        "x"   },
        {"title to terminator", S("\x1b]0;evil\x1b\\x"),    "x"   },
        {"open title",          S("a\x1b]0;evil"),          "a"   },
        {"device control",      S("\x1bPq#0\x1b\\x"),       "x"   },
        {"charset",             S("\x1b(0x"),               "x"   },
        {"lone escape",         S("a\x1b"),                 "a"   },
        {"open sequence",       S("a\x1b[12"),              "a"   },
        {"tab",                 S("a\tb"),                  "a b" },
        {"progress",            S(" 10%\r 20%\r 30%"),      " 30%"},
        {"carriage at the end", S("abc\r\n"),               "abc" },
        {"C1",
         S("\xc2\x9b"
           "2Jx"),
         " 2Jx"                                                   },
    };

    (void)state;
    check(rows, ROWS_N(rows), text_plain);
}

static void logs_keep_their_colours_and_nothing_else(void **state)
{
    static const struct row rows[] = {
        {"lines",           S("a\n\tb\n"),          "a\n\tb\n"         },
        {"colours",         S("\x1b[31mred\x1b[m"), "\x1b[31mred\x1b[m"},
        {"true colour",     S("\x1b[38:2:1:2:3mx"), "\x1b[38:2:1:2:3mx"},
        {"clear",           S("\x1b[2Jx"),          "\\x1b[2Jx"        },
        {"private m",       S("\x1b[>4mx"),         "\\x1b[>4mx"       },
        {"title",           S("\x1b]0;x\a"),        "\\x1b]0;x\\x07"   },
        {"windows lines",   S("a\r\nb"),            "a\nb"             },
        {"carriage return", S("a\rb"),              "a\\rb"            },
    };

    (void)state;
    check(rows, ROWS_N(rows), text_log);
}

static void widths_are_columns(void **state)
{
    static const struct {
        const char *text;
        size_t width;
    } rows[] = {
        {"",        0},
        {"abc",     3},
        {"größe", 5},
        {"数据",  4},
        {"e\u0301", 1},
        {"🙂",    2},
        {"\xff",    1},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        CHECK_ROW(rows[i].text, text_width(str_of(rows[i].text)) == rows[i].width);
}

static void what_does_not_fit_is_cut(void **state)
{
    static const struct {
        const char *name, *text;
        size_t columns;
        const char *want;
    } rows[] = {
        {"fits",             "abc",             3, "abc"       },
        {"cut",              "abcd",            3, "ab…"     },
        {"one column",       "abcd",            1, "…"       },
        {"none",             "abcd",            0, ""          },
        {"wide at the edge", "数据数",       4, "数…"    },
        {"wide",             "数据",          4, "数据"    },
        {"combining",        "e\u0301e\u0301x", 2, "e\u0301…"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct buf b;

        buf_init(&b, 256);
        text_cut(&b, str_of(rows[i].text), rows[i].columns, true);
        CHECK_ROW(rows[i].name, str_eq(buf_str(&b), str_of(rows[i].want)));
        CHECK_ROW(rows[i].name, text_width(buf_str(&b)) <= rows[i].columns);
        buf_deinit(&b);
    }
}

static void paragraphs_are_wrapped(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 256);
    text_wrap(&b, STR("one two three\n\nfour averylongword x"), 10, 2);
    CHECK_TEXT(buf_str(&b), "  one two\n  three\n\n  four\n  averylongword\n  x\n");
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_cannot_act_on_a_terminal),
        cmocka_unit_test(output_becomes_plain_text),
        cmocka_unit_test(logs_keep_their_colours_and_nothing_else),
        cmocka_unit_test(widths_are_columns),
        cmocka_unit_test(what_does_not_fit_is_cut),
        cmocka_unit_test(paragraphs_are_wrapped),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
