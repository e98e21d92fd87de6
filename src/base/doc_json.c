/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict reader of RFC 8259, since each value must know its place, which jansson's do not. The
 * tests hold it against jansson. Recursion ends at DOC_DEPTH_MAX, where doc_tree_open() refuses.
 */
#include "base/doc.h"

#include "base/doc_tree.h"

struct reader {
    struct doc_tree tree;
    struct str text;
    size_t at;
    size_t walked; /* `place` is that of this byte, so that all places together cost one walk */
    struct doc_place place;
};

static int read_value(struct reader *r);

static struct doc_place place_at(struct reader *r, size_t at)
{
    if (at < r->walked) {
        r->walked = 0;
        r->place = (struct doc_place){1, 1};
    }
    doc_tree_walk(r->text, r->walked, at, &r->place);
    r->walked = at;
    return r->place;
}

static bool at_end(const struct reader *r)
{
    return r->at == r->text.n;
}

/* The next byte, 0 at the end of the file. */
static char peek(const struct reader *r)
{
    return at_end(r) ? '\0' : r->text.p[r->at];
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+' || c == '.' || ((unsigned char)c & 0x80);
}

/* What stands here, for "… was expected; found X": a word, or one character. */
static struct str found(struct reader *r)
{
    struct str rest = str_sub(r->text, r->at, 40);
    size_t n = 0;

    if (at_end(r))
        return STR("the end of the file");
    while (n < rest.n && is_word(rest.p[n]))
        n++;
    /* A cut in the middle of a character takes that character away. */
    if (n == rest.n)
        while (n && !str_utf8(str_sub(rest, 0, n), NULL))
            n--;
    if (n)
        return str_printf(r->tree.arena, "'" STR_FMT "'", (int)n, rest.p);
    if ((unsigned char)rest.p[0] < 0x20)
        return str_printf(r->tree.arena, "the control character 0x%02x", (unsigned)rest.p[0]);
    return str_printf(r->tree.arena, "'%c'", rest.p[0]);
}

static int expected(struct reader *r, const char *what)
{
    struct str s = found(r);

    if (peek(r) == '/' || peek(r) == '#')
        return doc_tree_bad(&r->tree, place_at(r, r->at), "JSON has no comments");
    return doc_tree_bad(&r->tree, place_at(r, r->at), "%s was expected; found " STR_FMT, what,
                        STR_ARG(s));
}

static void skip_blank(struct reader *r)
{
    while (!at_end(r) && (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n' || peek(r) == '\r'))
        r->at++;
}

/* Four hexadecimal digits from `at` on; -1 where they are not there. */
static int hex4(struct reader *r, size_t at)
{
    int v = 0;

    if (r->text.n - at < 4)
        return -1;
    for (size_t i = at; i < at + 4; i++) {
        char c = r->text.p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

static size_t utf8_put(char *out, unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* \uXXXX, or two of them for a character beyond U+FFFF; r->at is behind the `u`. */
static int read_unicode(struct reader *r, char *out, size_t *n)
{
    struct doc_place at = place_at(r, r->at - 2);
    int high = hex4(r, r->at);
    int low = -1;
    unsigned c = (unsigned)high;

    if (high < 0)
        return doc_tree_bad(&r->tree, at, "\\u needs four hexadecimal digits");
    if (high == 0)
        return doc_tree_bad(&r->tree, at, "\\u0000 is a NUL byte, which nothing can take");
    r->at += 4;
    if (high >= 0xd800 && high <= 0xdbff && str_starts(str_sub(r->text, r->at, 2), STR("\\u")))
        low = hex4(r, r->at + 2);
    if (low >= 0xdc00 && low <= 0xdfff) {
        c = 0x10000 + (((unsigned)high - 0xd800) << 10) + ((unsigned)low - 0xdc00);
        r->at += 6;
    } else if (high >= 0xd800 && high <= 0xdfff) {
        return doc_tree_bad(&r->tree, at, "\\u%04x is half of a character; both halves are needed",
                            (unsigned)high);
    }
    *n += utf8_put(out + *n, c);
    return 0;
}

static int read_escape(struct reader *r, char *out, size_t *n)
{
    static const char names[] = "\"\\/bfnrt";
    static const char bytes[] = "\"\\/\b\f\n\r\t";
    const char *hit;

    r->at++;
    hit = peek(r) ? strchr(names, peek(r)) : NULL;
    if (hit) {
        out[(*n)++] = bytes[hit - names];
        r->at++;
        return 0;
    }
    if (peek(r) == 'u') {
        r->at++;
        return read_unicode(r, out, n);
    }
    return doc_tree_bad(&r->tree, place_at(r, r->at - 1),
                        "JSON has no such escape; write a backslash twice");
}

/* The place where the text that begins at `begin` would end, to size it. */
static size_t closing_quote(const struct reader *r, size_t begin)
{
    size_t at = begin;

    while (at < r->text.n && r->text.p[at] != '"')
        at += r->text.p[at] == '\\' ? 2 : 1;
    return at < r->text.n ? at : r->text.n;
}

static int read_text(struct reader *r, struct str *ret)
{
    size_t begin = r->at++;
    /* No escape is shorter than what it stands for. */
    char *out = arena_alloc(r->tree.arena, closing_quote(r, r->at) - begin + 1);
    size_t n = 0;

    for (;;) {
        unsigned char c = (unsigned char)peek(r);

        if (at_end(r))
            return doc_tree_bad(&r->tree, place_at(r, begin),
                                "the text that begins here has no closing quote");
        if (c == '"')
            break;
        if (c == '\n' || c == '\r')
            return doc_tree_bad(&r->tree, place_at(r, begin),
                                "the text that begins here has no closing quote on its line; a "
                                "line break within it is written \\n");
        if (c < 0x20)
            return doc_tree_bad(&r->tree, place_at(r, r->at),
                                "a text cannot hold the control character 0x%02x; write \\u%04x", c,
                                c);
        if (c == '\\') {
            int bad = read_escape(r, out, &n);

            if (bad)
                return bad;
        } else {
            out[n++] = (char)c;
            r->at++;
        }
    }
    r->at++;
    *ret = (struct str){out, n};
    return 0;
}

static size_t skip_digits(struct str s, size_t at)
{
    while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9')
        at++;
    return at;
}

/* The length of -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)? at the start; 0 where it is none. */
static size_t number_length(struct str s)
{
    size_t from = s.n && s.p[0] == '-';
    size_t at = skip_digits(s, from);

    if (at == from || (s.p[from] == '0' && at > from + 1))
        return 0;
    if (at < s.n && s.p[at] == '.') {
        from = at + 1;
        at = skip_digits(s, from);
        if (at == from)
            return 0;
    }
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        from = at + 1;
        if (from < s.n && (s.p[from] == '-' || s.p[from] == '+'))
            from++;
        at = skip_digits(s, from);
        if (at == from)
            return 0;
    }
    return at;
}

/* A number, true, false or null. */
static int read_word(struct reader *r)
{
    struct str word = str_sub(r->text, r->at, r->text.n);
    struct doc_place at = place_at(r, r->at);
    size_t n = 0;
    struct doc *d;

    while (n < word.n && is_word(word.p[n]))
        n++;
    word.n = n;
    if (!n)
        return expected(r, "a value");
    if (!str_eq(word, STR("true")) && !str_eq(word, STR("false")) && !str_eq(word, STR("null")) &&
        number_length(word) != n) {
        struct str s = found(r);
        bool number = word.p[0] == '-' || word.p[0] == '+' || word.p[0] == '.' ||
                      (word.p[0] >= '0' && word.p[0] <= '9');

        return doc_tree_bad(&r->tree, at,
                            number ? STR_FMT " is no number in JSON"
                                   : STR_FMT " is no value in JSON; a text needs double quotes",
                            STR_ARG(s));
    }
    d = doc_tree_add(&r->tree, at, DOC_NULL);
    if (!d)
        return DOC_E_BAD;
    doc_scalar(r->tree.arena, word, d);
    r->at += n;
    return 0;
}

/* After a value: whether another one follows (*ret_more) or `close` ends the list or map. */
static int read_separator(struct reader *r, char close, bool *ret_more)
{
    skip_blank(r);
    *ret_more = peek(r) == ',';
    if (*ret_more) {
        r->at++;
        skip_blank(r);
        if (peek(r) == close)
            return doc_tree_bad(&r->tree, place_at(r, r->at),
                                "JSON has no comma before the closing '%c'", close);
        return 0;
    }
    if (peek(r) != close || at_end(r))
        return expected(r, close == ']' ? "',' or ']'" : "',' or '}'");
    r->at++;
    return 0;
}

static int read_key(struct reader *r)
{
    struct doc_place at = place_at(r, r->at);
    struct str key = {0};
    int bad;

    if (peek(r) != '"')
        return expected(r, "a key in double quotes");
    bad = read_text(r, &key);
    if (bad)
        return bad;
    doc_tree_key(&r->tree, at, key);
    skip_blank(r);
    if (peek(r) != ':')
        return expected(r, "':' after the key");
    r->at++;
    return 0;
}

static int read_inside(struct reader *r, enum doc_kind kind, char close)
{
    bool more = true;

    r->at++;
    skip_blank(r);
    if (peek(r) == close) {
        r->at++;
        return 0;
    }
    while (more) {
        int bad = kind == DOC_MAP ? read_key(r) : 0;

        if (!bad)
            bad = read_value(r);
        if (!bad)
            bad = read_separator(r, close, &more);
        if (bad)
            return bad;
    }
    return 0;
}

static int read_value(struct reader *r)
{
    struct doc_place at;
    struct doc *d;
    enum doc_kind kind;
    int bad;

    skip_blank(r);
    at = place_at(r, r->at);
    if (peek(r) == '"') {
        d = doc_tree_add(&r->tree, at, DOC_TEXT);
        return d ? read_text(r, &d->text) : DOC_E_BAD;
    }
    if (peek(r) != '[' && peek(r) != '{')
        return read_word(r);
    kind = peek(r) == '[' ? DOC_LIST : DOC_MAP;
    bad = doc_tree_open(&r->tree, at, kind);
    if (!bad)
        bad = read_inside(r, kind, kind == DOC_LIST ? ']' : '}');
    if (bad)
        return bad;
    doc_tree_close(&r->tree);
    return 0;
}

int doc_json(struct arena *a, struct str text, struct doc **ret, struct doc_error *ret_error)
{
    struct reader r = {
        .tree = {.arena = a, .error = ret_error},
          .place = {1,          1                 }
    };
    int bad = doc_tree_check(&r.tree, DOC_TREE_JSON, &text);

    if (bad)
        return bad;
    r.text = text;
    skip_blank(&r);
    if (at_end(&r))
        return doc_tree_bad(&r.tree, (struct doc_place){1, 1}, "the file is empty");
    bad = read_value(&r);
    if (bad)
        return bad;
    skip_blank(&r);
    if (!at_end(&r))
        return doc_tree_bad(&r.tree, place_at(&r, r.at),
                            "the document ended before this; a file holds one value");
    *ret = r.tree.root;
    return 0;
}
