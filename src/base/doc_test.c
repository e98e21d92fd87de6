/* SPDX-License-Identifier: Apache-2.0 */
#include "base/doc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"

typedef int reader(struct arena *a, struct str text, struct doc **ret, struct doc_error *ret_error);

struct row {
    const char *name;
    const char *text;
    const char *want; /* the tree, or the error */
};

/* A call is formatted better than a row of long texts. */
#define ROW(name, text, want)                                                                      \
    {                                                                                              \
        (name), (text), (want)                                                                     \
    }

#define CHECK_ROW(name, got, want)                                                                 \
    do {                                                                                           \
        if (strcmp((got), (want)))                                                                 \
            fail_msg("%s\n   found %s\n  wanted %s", (name), (got), (want));                       \
    } while (0)

static void print(struct buf *b, const struct doc *d) /* NOLINT(misc-no-recursion) */
{
    static const char *const tags[] = {"null", "bool", "int", "real", ""};
    const char *comma = "";

    if (d->again)
        buf_add(b, STR("again "));
    if (d->kind == DOC_TEXT)
        buf_json(b, d->text);
    if (d->kind < DOC_TEXT)
        buf_printf(b, "%s(" STR_FMT ")", tags[d->kind], STR_ARG(d->text));
    if (d->kind < DOC_LIST)
        return;
    buf_byte(b, d->kind == DOC_LIST ? '[' : '{');
    for (const struct doc *c = d->first; c; c = c->next) {
        buf_printf(b, "%s", comma);
        comma = " ";
        if (d->kind == DOC_MAP)
            buf_printf(b, STR_FMT ": ", STR_ARG(c->key));
        print(b, c);
    }
    buf_byte(b, d->kind == DOC_LIST ? ']' : '}');
}

/* The tree in one line, or "line:column: sentence". */
static void show(struct buf *b, reader *read, struct str text)
{
    struct arena a = {0};
    struct doc *d = NULL;
    struct doc_error e;

    buf_clear(b);
    if (read(&a, text, &d, &e) == 0)
        print(b, d);
    else
        buf_printf(b, "%u:%u: " STR_FMT, e.line, e.column, STR_ARG(e.text));
    arena_deinit(&a);
}

static void check_rows(reader *read, const struct row *rows, size_t n)
{
    struct buf b;
    size_t wrong = 0;

    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        show(&b, read, str_of(rows[i].text));
        if (!strcmp(b.p, rows[i].want))
            continue;
        print_error("%s\n   found %s\n  wanted %s\n", rows[i].name, b.p, rows[i].want);
        wrong++;
    }
    buf_deinit(&b);
    assert_int_equal(wrong, 0);
}
#define CHECK_ROWS(read, rows) check_rows((read), (rows), sizeof(rows) / sizeof((rows)[0]))

static void yaml_good(void **state)
{
    static const struct row rows[] = {
        ROW("map", "a: 1\nb: x", "{a: int(1) b: \"x\"}"),
        ROW("list", "- a\n- [b, c]\n- {d: e}", "[\"a\" [\"b\" \"c\"] {d: \"e\"}]"),
        ROW("words of YAML 1.1 stay text", "[yes, no, on, off, y, n]",
            "[\"yes\" \"no\" \"on\" \"off\" \"y\" \"n\"]"),
        ROW("booleans", "[true, True, TRUE, false, False, FALSE, tRue]",
            "[bool(true) bool(True) bool(TRUE) bool(false) bool(False) bool(FALSE) \"tRue\"]"),
        ROW("nothing", "[~, null, Null, NULL, '', nULL]",
            "[null(~) null(null) null(Null) null(NULL) \"\" \"nULL\"]"),
        ROW("a key without a value", "a:\nb:", "{a: null() b: null()}"),
        ROW("integers", "[0, -1, +2, 007, 0o17, 0x1F, 9223372036854775807, -9223372036854775808]",
            "[int(0) int(-1) int(+2) int(007) int(0o17) int(0x1F) int(9223372036854775807) "
            "int(-9223372036854775808)]"),
        ROW("beyond 64 bits", "[9223372036854775808, -9223372036854775809, 0xffffffffffffffffff]",
            "[real(9223372036854775808) real(-9223372036854775809) real(0xffffffffffffffffff)]"),
        ROW("no integers", "[0o8, 0xg, 0b1, 1_000, 0x, -0x1, '12', 12a, 1:30, -, +]",
            "[\"0o8\" \"0xg\" \"0b1\" \"1_000\" \"0x\" \"-0x1\" \"12\" \"12a\" \"1:30\" \"-\" "
            "\"+\"]"),
        ROW("reals", "[1.5, -.5, 2., 1e3, 1.E-3, .inf, -.INF, .nan]",
            "[real(1.5) real(-.5) real(2.) real(1e3) real(1.E-3) real(.inf) real(-.INF) "
            "real(.nan)]"),
        ROW("no reals", "[., 1e, e5, .e3, 1.2.3, inf, nan, +.nan]",
            "[\".\" \"1e\" \"e5\" \".e3\" \"1.2.3\" \"inf\" \"nan\" \"+.nan\"]"),
        ROW("dates and durations are text", "[2026-03-08, 2026-03-08T07:30:00Z, 90s]",
            "[\"2026-03-08\" \"2026-03-08T07:30:00Z\" \"90s\"]"),
        ROW("blocks", "a: |\n  x\n   y\nb: >-\n  x\n  y\n", "{a: \"x\\n y\\n\" b: \"x y\"}"),
        ROW("quotes", "[\"a\\tb\\u00e9\\x41\", 'it''s']", "[\"a\\tb\u00e9A\" \"it's\"]"),
        ROW("a merge key is a key", "<<: a", "{<<: \"a\"}"),
        ROW("keys are text", "1: a\ntrue: b\n~: c", "{1: \"a\" true: \"b\" ~: \"c\"}"),
        ROW("a key twice", "a: 1\nb: 2\na: 3", "{a: int(1) b: int(2) a: again int(3)}"),
        ROW("byte order mark",
            "\xef\xbb\xbf"
            "a: 1",
            "{a: int(1)}"),
        ROW("a scalar alone", "hello", "\"hello\""),
        ROW("CR LF", "a: 1\r\nb: 2\r\n", "{a: int(1) b: int(2)}"),
        ROW("directive and markers", "%YAML 1.2\n---\na: 1\n...\n", "{a: int(1)}"),
        ROW("empty document", "---\n", "null()"),
        ROW("Unicode", "größe: 雪 ☃ 😀", "{größe: \"雪 ☃ 😀\"}"),
        ROW("hostile text is text", "- $(rm -rf /)\n- \"'; DROP TABLE task; --\"\n- ${params.x}",
            "[\"$(rm -rf /)\" \"'; DROP TABLE task; --\" \"${params.x}\"]"),
    };

    (void)state;
    CHECK_ROWS(doc_yaml, rows);
}

static void yaml_bad(void **state)
{
    static const struct row rows[] = {
        ROW("empty", "", "1:1: the file is empty"),
        ROW("only a byte order mark", "\xef\xbb\xbf", "1:1: the file is empty"),
        ROW("only comments", "# a\n\n# b\n",
            "1:1: the file is empty: it holds nothing but comments"),
        ROW("UTF-16",
            "\xff\xfe"
            "a",
            "1:1: the file is UTF-16; save it as UTF-8"),
        ROW("Latin-1",
            "name: gr\xf6\xdf"
            "e\n",
            "1:9: the byte 0xf6 here is not UTF-8; save the file as UTF-8"),
        ROW("bad byte on a later line, after other characters", "a: 1\nb: \u00e9\u2603 \xff",
            "2:7: the byte 0xff here is not UTF-8; save the file as UTF-8"),
        ROW("control character", "a: 1\nb: x\x1b[0m",
            "2:5: there is a control character here; write it as an escape (\"\\x1b\") in double "
            "quotes"),
        ROW("DEL", "a: \x7f",
            "1:4: there is a control character here; write it as an escape (\"\\x1b\") in double "
            "quotes"),
        ROW("NEL", "a: x\xc2\x85y",
            "1:5: there is a control character here; write it as an escape (\"\\x1b\") in double "
            "quotes"),
        ROW("line separator", "a: x\u2028y",
            "1:5: there is a Unicode line separator here; write it as an escape (\"\\u2028\") in "
            "double quotes"),
        ROW("a second byte order mark", "a: \ufeff",
            "1:4: there is a byte order mark or non-character here; only the start of a file may "
            "have "
            "one"),
        ROW("NUL by escape", "a: \"x\\0y\"",
            "1:4: this text holds a NUL byte (\"\\0\"), which nothing can take"),
        ROW("anchor", "a: &x 1\nb: *x",
            "1:4: anchors (&x) are not read; write the value out where it is needed"),
        ROW("anchor of a list", "a: &x [1]",
            "1:4: anchors (&x) are not read; write the value out where it is needed"),
        ROW("alias", "a: *x", "1:4: aliases (*x) are not read; write the value out"),
        ROW("alias bomb", "a: &a [lol, lol]\nb: &b [*a, *a]\nc: [*b, *b]",
            "1:4: anchors (&a) are not read; write the value out where it is needed"),
        ROW("tag", "a: !!str 1",
            "1:4: tags (a value that begins with '!') are not read; put a text that begins so in "
            "quotes"),
        ROW("tag of a map", "a: !x {b: c}",
            "1:4: tags (a value that begins with '!') are not read; put a text that begins so in "
            "quotes"),
        ROW("unknown tag handle", "a: !e!x 1",
            "1:4: tags (a value that begins with '!') are not read; put a text that begins so in "
            "quotes"),
        ROW("tag directive", "%YAML 1.2\n%TAG ! tag:x,2000:\n---\na: 1",
            "2:1: %TAG directives are not read"),
        ROW("two documents", "a: 1\n---\nb: 2",
            "2:1: a second document begins here; a file holds one"),
        ROW("a list as a key", "? [a, b]\n: c",
            "1:3: a key of a map is text; found a list (a text that begins with { or [ needs "
            "quotes)"),
        ROW("unquoted template", "a: {b: 1}\nc: {{x}}",
            "2:5: a key of a map is text; found a map (a text that begins with { or [ needs "
            "quotes)"),
        ROW("reference within a list without quotes", "run: [echo, ${params.x}]",
            "1:14: a ',' or ']' was expected here; a text that holds any of { } [ ] , needs quotes "
            "within [ ]"),
        ROW("list that is not closed", "a: [1, 2\nb: 3\n",
            "2:2: a ',' or ']' was expected here; a text that holds any of { } [ ] , needs quotes "
            "within [ ] (in the list that begins at line 1, column 4)"),
        ROW("tab", "a:\n\tb: 1", "2:1: a tab cannot indent; use spaces"),
        ROW("at sign", "a: @b", "1:4: a value cannot begin with this character; put it in quotes"),
        ROW("colon within a text", "a: b: c",
            "1:5: a ':' cannot stand here; a text that holds ': ' needs quotes, and the keys of a "
            "map "
            "begin in the same column"),
        ROW("no colon", "a: 1\nbcd\n",
            "2:1: a ':' is missing after this key; keys of a map begin in the same column, and a "
            "text "
            "of several lines needs quotes or '|'"),
        ROW("indentation", "a:\n  b: 1\n c: 2",
            "3:2: a key of the map was expected here; look at the indentation and the quotes of "
            "this "
            "line and the one before (in the map that begins at line 1, column 1)"),
        ROW("open quote", "a: 'b\nc: d", "1:4: the quote that opens here is not closed"),
        ROW("open quote at a document marker", "a: 'b\n---\nc: d",
            "1:4: the quote that opens here is not closed"),
        ROW("bad escape", "a: \"\\q\"",
            "1:5: this escape is not known; in double quotes, write a backslash twice"),
        ROW("half a character", "a: \"\\ud800\"", "1:7: this escape is no Unicode character"),
    };

    (void)state;
    CHECK_ROWS(doc_yaml, rows);
}

static void json_good(void **state)
{
    static const struct row rows[] = {
        ROW("map", " {\"a\": 1, \"b\": [true, false, null]} ",
            "{a: int(1) b: [bool(true) bool(false) null(null)]}"),
        ROW("empty", "[{}, [], \"\"]", "[{} [] \"\"]"),
        ROW("numbers", "[0, -0, 10, 1.5, -1e5, 1E+2, 0.1, 9223372036854775807]",
            "[int(0) int(-0) int(10) real(1.5) real(-1e5) real(1E+2) real(0.1) "
            "int(9223372036854775807)]"),
        ROW("beyond 64 bits", "[9223372036854775808]", "[real(9223372036854775808)]"),
        ROW("escapes", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u2603\\ud83d\\ude00\"",
            "\"\\\"\\\\/\\b\\f\\n\\r\\t\u00e9\u2603\U0001f600\""),
        ROW("a key twice", "{\"a\": 1, \"a\": 2}", "{a: int(1) a: again int(2)}"),
        ROW("byte order mark", "\xef\xbb\xbf[]", "[]"),
        ROW("DEL and line separators are text", "\"\x7f\u2028\"", "\"\\u007f\u2028\""),
        ROW("a scalar alone", "\"x\"", "\"x\""),
    };

    (void)state;
    CHECK_ROWS(doc_json, rows);
}

static void json_bad(void **state)
{
    static const struct row rows[] = {
        ROW("empty", "", "1:1: the file is empty"),
        ROW("blank", " \n\t", "1:1: the file is empty"),
        ROW("not UTF-8", "[\"\xe9\"]",
            "1:3: the byte 0xe9 here is not UTF-8; save the file as UTF-8"),
        ROW("open list", "[1", "1:3: ',' or ']' was expected; found the end of the file"),
        ROW("open map", "{\"a\": 1", "1:8: ',' or '}' was expected; found the end of the file"),
        ROW("no value", "{\"a\": }", "1:7: a value was expected; found '}'"),
        ROW("no key", "{1: 2}", "1:2: a key in double quotes was expected; found '1'"),
        ROW("single quotes", "{'a': 2}", "1:2: a key in double quotes was expected; found '''"),
        ROW("no colon", "{\"a\" 1}", "1:6: ':' after the key was expected; found '1'"),
        ROW("no comma", "[1\n 2]", "2:2: ',' or ']' was expected; found '2'"),
        ROW("comma at the end of a list", "[1, ]", "1:5: JSON has no comma before the closing ']'"),
        ROW("comma at the end of a map", "{\"a\": 1,\n}",
            "2:1: JSON has no comma before the closing '}'"),
        ROW("two commas", "[1,,2]", "1:4: a value was expected; found ','"),
        ROW("comment", "[1, // one\n2]", "1:5: JSON has no comments"),
        ROW("comment at the end", "[1] # one",
            "1:5: the document ended before this; a file holds one value"),
        ROW("two values", "{} {}", "1:4: the document ended before this; a file holds one value"),
        ROW("bare word", "[yes]", "1:2: 'yes' is no value in JSON; a text needs double quotes"),
        ROW("capital", "[True]", "1:2: 'True' is no value in JSON; a text needs double quotes"),
        ROW("bare word of other letters", "[\u00fcber]",
            "1:2: '\u00fcber' is no value in JSON; a text needs double quotes"),
        ROW("leading zero", "[01]", "1:2: '01' is no number in JSON"),
        ROW("plus", "[+1]", "1:2: '+1' is no number in JSON"),
        ROW("no fraction", "[1.]", "1:2: '1.' is no number in JSON"),
        ROW("no digits", "[-]", "1:2: '-' is no number in JSON"),
        ROW("point first", "[.5]", "1:2: '.5' is no number in JSON"),
        ROW("no exponent", "[1e+]", "1:2: '1e+' is no number in JSON"),
        ROW("hexadecimal", "[0x10]", "1:2: '0x10' is no number in JSON"),
        ROW("NaN", "[NaN]", "1:2: 'NaN' is no value in JSON; a text needs double quotes"),
        ROW("open text", "[\"a]", "1:2: the text that begins here has no closing quote"),
        ROW("escape at the end", "\"\\", "1:2: JSON has no such escape; write a backslash twice"),
        ROW("line break in a text", "[\"a\nb\"]",
            "1:2: the text that begins here has no closing quote on its line; a line break within "
            "it "
            "is written \\n"),
        ROW("tab in a text", "[\"a\tb\"]",
            "1:4: a text cannot hold the control character 0x09; write \\u0009"),
        ROW("unknown escape", "[\"ab\\c\"]",
            "1:5: JSON has no such escape; write a backslash twice"),
        ROW("short \\u", "[\"\\u12\"]", "1:3: \\u needs four hexadecimal digits"),
        ROW("NUL", "[\"\\u0000\"]", "1:3: \\u0000 is a NUL byte, which nothing can take"),
        ROW("first half alone", "[\"\\ud83dx\"]",
            "1:3: \\ud83d is half of a character; both halves are needed"),
        ROW("second half alone", "[\"\\ude00\"]",
            "1:3: \\ude00 is half of a character; both halves are needed"),
        ROW("two first halves", "[\"\\ud83d\\ud83d\"]",
            "1:3: \\ud83d is half of a character; both halves are needed"),
        ROW("control character", "[\x01]",
            "1:2: a value was expected; found the control character 0x01"),
    };

    (void)state;
    CHECK_ROWS(doc_json, rows);
}

static void bytes_that_no_c_string_holds(void **state)
{
    static const char nul[] = "weft: 1\nname: a\0b\n";
    static const char zeros[4096];
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    show(&b, doc_yaml, STR(nul));
    CHECK_ROW("NUL in YAML", b.p, "2:8: there is a NUL byte here; a workflow file is text");
    show(&b, doc_yaml, STR(zeros));
    CHECK_ROW("nothing but NUL", b.p, "1:1: there is a NUL byte here; a workflow file is text");
    show(&b, doc_json, STR("[\"a\0b\"]"));
    CHECK_ROW("NUL in JSON", b.p, "1:4: there is a NUL byte here; a workflow file is text");
    show(&b, doc_yaml, (struct str){zeros, DOC_BYTES_MAX + 1});
    CHECK_ROW("too large", b.p, "1:1: the file has 67108865 bytes; at most 67108864 are read");
    buf_deinit(&b);
}

/* Every value and key of this document, with its place: the same in both languages but for quotes.
 */
static void places(void **state)
{
    static const struct {
        const char *name;
        reader *read;
        const char *text;
    } rows[] = {
        {"YAML",    doc_yaml, "{\n  \"a\": 1,\n  \"\u00e9\u2603\": [x, {\"b\": c}], \"d\": \"\"\n}"},
        {"CR LF",   doc_yaml,
         "{\r\n  \"a\": 1,\r\n  \"\u00e9\u2603\": [x, {\"b\": c}], \"d\": \"\"\r\n}"               },
        {"JSON",    doc_json, "{\n  \"a\": 1,\n  \"\u00e9\u2603\": [0, {\"b\": 1}], \"d\": \"\"\n}"},
        {"CR LF 2", doc_json,
         "{\r\n  \"a\": 1,\r\n  \"\u00e9\u2603\": [0, {\"b\": 1}], \"d\": \"\"\r\n}"               },
        {"CR",      doc_json, "{\r  \"a\": 1,\r  \"\u00e9\u2603\": [0, {\"b\": 1}], \"d\": \"\"\r}"},
        {"BOM",     doc_json,
         "\xef\xbb\xbf{\n  \"a\": 1,\n  \"\u00e9\u2603\": [0, {\"b\": 1}], \"d\": \"\"\n}"         },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena a = {0};
        struct doc *root, *list, *map, *d;
        struct doc_error e;
        struct str s;

        assert_int_equal(rows[i].read(&a, str_of(rows[i].text), &root, &e), 0);
        list = doc_get(root, STR("\u00e9\u2603"));
        map = list->first->next;
        d = doc_get(root, STR("d"));
        s = str_printf(&a,
                       "root %u:%u, a %u:%u is %u:%u, list %u:%u is %u:%u, %u:%u, %u:%u, b %u:%u "
                       "is %u:%u, d %u:%u",
                       root->line, root->column, root->first->key_line, root->first->key_column,
                       root->first->line, root->first->column, list->key_line, list->key_column,
                       list->line, list->column, list->first->line, list->first->column, map->line,
                       map->column, map->first->key_line, map->first->key_column, map->first->line,
                       map->first->column, d->line, d->column);
        CHECK_ROW(rows[i].name, s.p,
                  "root 1:1, a 2:3 is 2:8, list 3:3 is 3:9, 3:10, 3:13, b 3:14 is 3:19, d 3:29");
        assert_int_equal(root->n, 3);
        assert_int_equal(list->n, 2);
        assert_null(doc_get(root, STR("e")));
        assert_null(doc_get(list, STR("d")));
        arena_deinit(&a);
    }
}

static struct str repeat(const char *what, size_t n)
{
    struct buf b;
    struct str s;

    buf_init(&b, DOC_BYTES_MAX + 1024);
    while (n--)
        buf_add(&b, str_of(what));
    s = buf_str(&b);
    return s;
}

static void a_key_has_a_length(void **state)
{
    struct str name = repeat("k", 1025);
    struct buf b, text;

    (void)state;
    buf_init(&b, 1 << 20);
    buf_init(&text, 1 << 20);
    buf_add(&text, name);
    buf_add(&text, STR(": 1"));
    show(&b, doc_yaml, buf_str(&text));
    CHECK_ROW("1025", b.p,
              "1:1026: a ':' cannot stand here; a key of a map has at most 1024 characters, and a "
              "text that holds ': ' needs quotes");
    buf_deinit(&text);
    buf_deinit(&b);
    free((char *)(uintptr_t)name.p);
}

static void nesting(void **state)
{
    struct str open = repeat("[", DOC_DEPTH_MAX + 16);
    struct str deep = repeat("- ", DOC_DEPTH_MAX + 1);
    struct arena a = {0};
    struct str flat;
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    show(&b, doc_yaml, open);
    CHECK_ROW("64 levels", b.p, "1:49: lists and maps are nested deeper than 48 levels here");
    show(&b, doc_json, open);
    CHECK_ROW("64 levels", b.p, "1:49: lists and maps are nested deeper than 48 levels here");
    show(&b, doc_yaml, deep);
    CHECK_ROW("blocks", b.p, "1:97: lists and maps are nested deeper than 48 levels here");
    flat = str_printf(&a, "%.*s%.*s", (int)DOC_DEPTH_MAX, open.p, (int)DOC_DEPTH_MAX,
                      "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    show(&b, doc_yaml, flat);
    CHECK_ROW("as many as there may be", b.p, flat.p);
    show(&b, doc_json, flat);
    CHECK_ROW("as many as there may be", b.p, flat.p);
    arena_deinit(&a);
    buf_deinit(&b);
    free((void *)(uintptr_t)open.p);
    free((void *)(uintptr_t)deep.p);
}

static double cpu_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Files that are made to cost much: each ends soon, with an answer or a refusal. */
static void hostile_shapes_end_soon(void **state)
{
    static const struct {
        const char *name;
        reader *read;
        const char *piece;
        size_t n;
    } rows[] = {
        {"open lists",     doc_yaml, "[",            4000000},
        {"open maps",      doc_yaml, "{",            4000000},
        {"open on lines",  doc_yaml, "[\n",          2000000},
        {"dashes",         doc_yaml, "- ",           2000000},
        {"questions",      doc_yaml, "? ",           2000000},
        {"keys in a row",  doc_yaml, "a: ",          2000000},
        {"tag directives", doc_yaml, "%TAG !a! b\n", 400000 },
        {"directives",     doc_yaml, "%YAML 1.2\n",  400000 },
        {"documents",      doc_yaml, "--- a\n",      400000 },
        {"same keys",      doc_yaml, "a: 1\n",       400000 },
        {"comments",       doc_yaml, "# a\n",        2000000},
        {"blank lines",    doc_yaml, "\n",           8000000},
        {"one long word",  doc_yaml, "abcdefgh",     2000000},
        {"long text",      doc_yaml, "abc def\n",    2000000},
        {"open lists",     doc_json, "[",            4000000},
        {"open quotes",    doc_json, "\"",           4000000},
        {"backslashes",    doc_json, "\"\\",         4000000},
        {"maps in a row",  doc_json, "{\"a\":",      2000000},
    };
    struct buf b;

    (void)state;
    buf_init(&b, 64 << 20);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str s = repeat(rows[i].piece, rows[i].n);
        double begun = cpu_s();

        show(&b, rows[i].read, s);
        if (cpu_s() - begun > 10)
            fail_msg("%s took %.1f s", rows[i].name, cpu_s() - begun);
        free((void *)(uintptr_t)s.p);
    }
    buf_deinit(&b);
}

static void too_many_values(void **state)
{
    struct str s = repeat("1,", DOC_NODES_MAX + 1);
    struct arena a = {0};
    struct doc *d;
    struct doc_error e;

    (void)state;
    ((char *)(uintptr_t)s.p)[0] = '[';
    assert_int_equal(doc_json(&a, s, &d, &e), DOC_E_BAD);
    CHECK_ROW("values", e.text.p, "a value was expected; found ','");
    arena_reset(&a);
    ((char *)(uintptr_t)s.p)[1] = '1';
    assert_int_equal(doc_json(&a, s, &d, &e), DOC_E_BAD);
    CHECK_ROW("values", e.text.p, "the file has more than 4000000 values");
    arena_deinit(&a);
    free((void *)(uintptr_t)s.p);
}

/* Our tree as jansson would have it, for comparing. */
static json_t *to_jansson(const struct doc *d) /* NOLINT(misc-no-recursion) */
{
    json_t *j;

    switch (d->kind) {
    case DOC_BOOL:
        return json_boolean(d->boolean);
    case DOC_INT:
        return json_integer(d->integer);
    case DOC_REAL:
        return isfinite(d->real) ? json_real(d->real) : json_null();
    case DOC_TEXT:
        return json_stringn(d->text.p, d->text.n);
    case DOC_LIST:
        j = json_array();
        for (const struct doc *c = d->first; c; c = c->next)
            json_array_append_new(j, to_jansson(c));
        return j;
    case DOC_MAP:
        j = json_object();
        for (const struct doc *c = d->first; c; c = c->next)
            if (!c->again)
                json_object_set_new(j, str_of(c->key.p).p, to_jansson(c));
        return j;
    default:
        return json_null();
    }
}

static bool any_again(const struct doc *d) /* NOLINT(misc-no-recursion) */
{
    if (d->again)
        return true;
    for (const struct doc *c = d->first; c; c = c->next)
        if (any_again(c))
            return true;
    return false;
}

/* Both readers take the text and find the same in it, or both refuse it. What differs by intent: a
 * number that jansson finds too large is kept with its spelling. */
static void compare_with_jansson(const char *text, size_t n)
{
    struct arena a = {0};
    struct doc *d = NULL;
    struct doc_error e;
    json_error_t je;
    json_t *theirs = json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &je);
    bool good = doc_json(&a, (struct str){text, n}, &d, &e) == 0;
    json_t *ours = good ? to_jansson(d) : NULL;

    if (good && any_again(d))
        good = false;
    if (!good && theirs)
        fail_msg("%.*s\n  jansson reads it, and we do not: " STR_FMT, (int)n, text,
                 STR_ARG(e.text));
    if (good && !theirs && !strstr(je.text, "too big") && !strstr(je.text, "overflow"))
        fail_msg("%.*s\n  we read it, and jansson does not: %s", (int)n, text, je.text);
    if (good && theirs && !json_equal(ours, theirs))
        fail_msg("%.*s\n  jansson and we read it differently", (int)n, text);
    json_decref(ours);
    json_decref(theirs);
    arena_deinit(&a);
}

/* A text and its neighbours: each prefix, and each byte left out, or another put in its place. */
static void json_as_jansson_reads_it(void **state)
{
    static const char *const seeds[] = {
        "{\"a\": [1, -2.5e+3, true, false, null, \"x\\n\\u00e9\\ud83d\\ude00\"], \"b\": {}}",
        "[[], {}, [[{\"a\": {\"b\": []}}]], 0, -0.0, 1E5, \"\\\\\\\"\\/\"]",
        " [ 9223372036854775807 , -9223372036854775808 , 9223372036854775808 , 1e400 ] ",
        "[\"\u00e9\u2603\U0001f600\", \"\\u0041\", \"\\uD834\\uDD1E\", 1.0, 10, 0.1e-7]",
    };
    static const char others[] = "[]{}:,\"\\ 0-+.eEu1atn/\x01\x7f\x80\xc3\xff";

    (void)state;
    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        size_t n = strlen(seeds[i]);
        char text[128];

        assert_true(n < sizeof(text));
        for (size_t at = 0; at <= n; at++) {
            compare_with_jansson(seeds[i], at);
            if (at == n)
                break;
            memcpy(text, seeds[i], at);
            memcpy(text + at, seeds[i] + at + 1, n - at - 1);
            compare_with_jansson(text, n - 1);
            memcpy(text, seeds[i], n);
            for (size_t o = 0; o < sizeof(others) - 1; o++) {
                text[at] = others[o];
                compare_with_jansson(text, n);
            }
        }
    }
}

/* A JSON document is read the same as YAML. */
static void json_is_yaml(void **state)
{
    static const char *const texts[] = {
        "{\"a\": [1, -2.5e+3, true, false, null, \"x\\n\\u00e9\"], \"b\": {}}",
        "[[], {}, [[{\"a\": {\"b\": []}}]], 0, 1E5, \"\\\\\\\"\\/\"]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct buf yaml, json;

        buf_init(&yaml, 4096);
        buf_init(&json, 4096);
        show(&yaml, doc_yaml, str_of(texts[i]));
        show(&json, doc_json, str_of(texts[i]));
        assert_string_equal(yaml.p, json.p);
        buf_deinit(&yaml);
        buf_deinit(&json);
    }
}

static void reals_read_back(void **state)
{
    static const struct {
        double real;
        const char *text;
    } rows[] = {
        {0,                      "0"                      },
        {0.1,                    "0.1"                    },
        {1.0 / 3,                "0.3333333333333333"     },
        {1e22,                   "1e+22"                  },
        {-2.5,                   "-2.5"                   },
        {123456789012345678.0,   "1.2345678901234568e+17" },
        {5e-324,                 "4.94065645841247e-324"  },
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {INFINITY,               ".inf"                   },
        {-INFINITY,              "-.inf"                  },
        {NAN,                    ".nan"                   },
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CHECK_ROW(rows[i].text, doc_real_text(&a, rows[i].real).p, rows[i].text);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_good),
        cmocka_unit_test(yaml_bad),
        cmocka_unit_test(json_good),
        cmocka_unit_test(json_bad),
        cmocka_unit_test(bytes_that_no_c_string_holds),
        cmocka_unit_test(places),
        cmocka_unit_test(a_key_has_a_length),
        cmocka_unit_test(nesting),
        cmocka_unit_test(hostile_shapes_end_soon),
        cmocka_unit_test(too_many_values),
        cmocka_unit_test(json_as_jansson_reads_it),
        cmocka_unit_test(json_is_yaml),
        cmocka_unit_test(reals_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
