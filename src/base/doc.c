/* SPDX-License-Identifier: Apache-2.0 */
#include "base/doc.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/doc_tree.h"
#include "base/map.h"

#define ERROR_BYTES_MAX 4096u

/* Up to so many keys are compared each with each, which is faster than a map. */
#define PAIRWISE_MAX 16u

struct doc *doc_get(const struct doc *map, struct str key)
{
    if (map->kind != DOC_MAP)
        return NULL;
    for (struct doc *d = map->first; d; d = d->next)
        if (str_eq(d->key, key))
            return d;
    return NULL;
}

const char *doc_kind_text(enum doc_kind kind)
{
    static const char *const names[] = {
        [DOC_NULL] = "nothing",  [DOC_BOOL] = "a boolean", [DOC_INT] = "an integer",
        [DOC_REAL] = "a number", [DOC_TEXT] = "text",      [DOC_LIST] = "a list",
        [DOC_MAP] = "a map",
    };

    return names[kind];
}

static bool one_of(struct str s, const char *const *words)
{
    for (; *words; words++)
        if (str_eq(s, str_of(*words)))
            return true;
    return false;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

/* [-+]?[0-9]+, 0o[0-7]+ or 0x[0-9a-fA-F]+. *ret_fits is false where it is beyond 64 bits. */
static bool scan_integer(struct str s, int64_t *ret, bool *ret_fits)
{
    bool minus = s.n && s.p[0] == '-';
    int base = 10;
    size_t at = s.n && (s.p[0] == '-' || s.p[0] == '+');
    int64_t v = 0;

    if (str_starts(s, STR("0o")) || str_starts(s, STR("0x"))) {
        base = s.p[1] == 'o' ? 8 : 16;
        at = 2;
    }
    if (at == s.n)
        return false;
    *ret_fits = true;
    for (; at < s.n; at++) {
        int digit = digit_of(s.p[at]);

        if (digit >= base)
            return false;
        if (__builtin_mul_overflow(v, base, &v) ||
            __builtin_add_overflow(v, minus ? -digit : digit, &v))
            *ret_fits = false;
    }
    *ret = v;
    return true;
}

static size_t skip_digits(struct str s, size_t at)
{
    while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9')
        at++;
    return at;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_decimal(struct str s)
{
    size_t at = s.n && (s.p[0] == '-' || s.p[0] == '+');
    size_t whole = skip_digits(s, at);
    size_t digits = whole - at;

    at = whole;
    if (at < s.n && s.p[at] == '.') {
        size_t end = skip_digits(s, at + 1);

        digits += end - at - 1;
        at = end;
    }
    if (!digits)
        return false;
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        at++;
        if (at < s.n && (s.p[at] == '-' || s.p[at] == '+'))
            at++;
        if (skip_digits(s, at) == at)
            return false;
        at = skip_digits(s, at);
    }
    return at == s.n;
}

static bool scan_real(struct str s, double *ret)
{
    static const char *const infinite[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", NULL};
    static const char *const minus_infinite[] = {"-.inf", "-.Inf", "-.INF", NULL};
    static const char *const none[] = {".nan", ".NaN", ".NAN", NULL};

    if (one_of(s, infinite))
        *ret = INFINITY;
    else if (one_of(s, minus_infinite))
        *ret = -INFINITY;
    else if (one_of(s, none))
        *ret = NAN;
    else if (is_decimal(s))
        *ret = strtod(s.p, NULL); /* the spelling is the arena's and has its NUL */
    else
        return false;
    return true;
}

void doc_scalar(struct arena *a, struct str spelling, struct doc *ret)
{
    static const char *const nothing[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    struct str s = str_copy(a, spelling);
    bool fits;

    ret->text = s;
    if (one_of(s, nothing)) {
        ret->kind = DOC_NULL;
    } else if (one_of(s, yes) || one_of(s, no)) {
        ret->kind = DOC_BOOL;
        ret->boolean = one_of(s, yes);
    } else if (scan_integer(s, &ret->integer, &fits)) {
        ret->kind = fits ? DOC_INT : DOC_REAL;
        if (!fits)
            ret->real = strtod(s.p, NULL);
    } else if (scan_real(s, &ret->real)) {
        ret->kind = DOC_REAL;
    } else {
        ret->kind = DOC_TEXT;
    }
}

struct str doc_real_text(struct arena *a, double real)
{
    struct str s;
    int digits = 15;

    if (!isfinite(real))
        return isnan(real) ? STR(".nan") : real > 0 ? STR(".inf") : STR("-.inf");
    do {
        s = str_printf(a, "%.*g", digits, real);
    } while (strtod(s.p, NULL) != real && ++digits <= 17);
    return s;
}

int doc_tree_bad(struct doc_tree *t, struct doc_place at, const char *format, ...)
{
    struct buf b;
    va_list args;

    buf_init(&b, ERROR_BYTES_MAX);
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    *t->error = (struct doc_error){at.line, at.column, str_copy(t->arena, buf_str(&b))};
    buf_deinit(&b);
    return DOC_E_BAD;
}

void doc_tree_walk(struct str text, size_t from, size_t to, struct doc_place *at)
{
    for (size_t i = from; i < to; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c == '\n' || (c == '\r' && (i + 1 == text.n || text.p[i + 1] != '\n'))) {
            at->line++;
            at->column = 1;
        } else if (c != '\r' && (c & 0xc0) != 0x80) {
            at->column++;
        }
    }
}

static int bad_at(struct doc_tree *t, struct str text, size_t offset, const char *sentence)
{
    struct doc_place at = {1, 1};

    doc_tree_walk(text, 0, offset, &at);
    return doc_tree_bad(t, at, "%s", sentence);
}

/* The first byte that cannot be in a text at all, or (in YAML) not unescaped; NULL where all is
 * well. In JSON the grammar itself finds control characters. */
static const char *odd_byte(struct str s, enum doc_tree_syntax syntax, size_t *ret_at)
{
    const unsigned char *p = (const unsigned char *)s.p;

    for (size_t i = 0; i < s.n; i++) {
        *ret_at = i;
        if (p[i] == 0)
            return "there is a NUL byte here; a workflow file is text";
        if (syntax == DOC_TREE_JSON || (p[i] >= 0x20 && p[i] < 0x7f) || p[i] == '\n' ||
            p[i] == '\r' || p[i] == '\t')
            continue;
        if (p[i] < 0x20 || p[i] == 0x7f || (p[i] == 0xc2 && p[i + 1] < 0xa0))
            return "there is a control character here; write it as an escape (\"\\x1b\") in double "
                   "quotes";
        /* U+2028 and U+2029 end a line in YAML 1.1, which libyaml reads, and not in YAML 1.2. */
        if (p[i] == 0xe2 && p[i + 1] == 0x80 && (p[i + 2] == 0xa8 || p[i + 2] == 0xa9))
            return "there is a Unicode line separator here; write it as an escape (\"\\u2028\") in "
                   "double quotes";
        if (p[i] == 0xef &&
            ((p[i + 1] == 0xbb && p[i + 2] == 0xbf) || (p[i + 1] == 0xbf && p[i + 2] >= 0xbe)))
            return "there is a byte order mark or non-character here; only the start of a file may "
                   "have one";
    }
    return NULL;
}

int doc_tree_check(struct doc_tree *t, enum doc_tree_syntax syntax, struct str *text)
{
    struct doc_place start = {1, 1};
    const char *wrong;
    size_t at;

    if (text->n > DOC_BYTES_MAX)
        return doc_tree_bad(t, start, "the file has %zu bytes; at most %u are read", text->n,
                            DOC_BYTES_MAX);
    if (str_starts(*text, STR("\xff\xfe")) || str_starts(*text, STR("\xfe\xff")))
        return doc_tree_bad(t, start, "the file is UTF-16; save it as UTF-8");
    if (str_starts(*text, STR("\xef\xbb\xbf")))
        *text = str_sub(*text, 3, text->n);
    if (text->n == 0)
        return doc_tree_bad(t, start, "the file is empty");
    if (!str_utf8(*text, &at)) {
        doc_tree_walk(*text, 0, at, &start);
        return doc_tree_bad(t, start, "the byte 0x%02x here is not UTF-8; save the file as UTF-8",
                            (unsigned char)text->p[at]);
    }
    wrong = odd_byte(*text, syntax, &at);
    return wrong ? bad_at(t, *text, at, wrong) : 0;
}

void doc_tree_key(struct doc_tree *t, struct doc_place at, struct str key)
{
    assert(doc_tree_wants_key(t) && key.p);
    t->key = key;
    t->key_at = at;
}

bool doc_tree_wants_key(const struct doc_tree *t)
{
    return t->depth && t->open[t->depth - 1].node->kind == DOC_MAP && !t->key.p;
}

struct doc *doc_tree_add(struct doc_tree *t, struct doc_place at, enum doc_kind kind)
{
    struct doc *d;

    assert(!doc_tree_wants_key(t));
    if (t->nodes >= DOC_NODES_MAX) {
        doc_tree_bad(t, at, "the file has more than %u values", DOC_NODES_MAX);
        return NULL;
    }
    t->nodes++;
    d = ARENA_NEW(t->arena, struct doc);
    d->kind = kind;
    d->line = at.line;
    d->column = at.column;
    d->key = t->key;
    d->key_line = t->key_at.line;
    d->key_column = t->key_at.column;
    t->key = (struct str){0};
    t->key_at = (struct doc_place){0};
    if (!t->depth) {
        assert(!t->root);
        t->root = d;
        return d;
    }
    if (t->open[t->depth - 1].last)
        t->open[t->depth - 1].last->next = d;
    else
        t->open[t->depth - 1].node->first = d;
    t->open[t->depth - 1].last = d;
    t->open[t->depth - 1].node->n++;
    return d;
}

int doc_tree_open(struct doc_tree *t, struct doc_place at, enum doc_kind kind)
{
    struct doc *d;

    if (t->depth == DOC_DEPTH_MAX)
        return doc_tree_bad(t, at, "lists and maps are nested deeper than %u levels here",
                            DOC_DEPTH_MAX);
    d = doc_tree_add(t, at, kind);
    if (!d)
        return DOC_E_BAD;
    t->open[t->depth].node = d;
    t->open[t->depth].last = NULL;
    t->depth++;
    return 0;
}

static void mark_pairwise(struct doc *map)
{
    for (struct doc *d = map->first; d; d = d->next)
        d->again = doc_get(map, d->key) != d;
}

static void mark_hashed(struct doc *map)
{
    struct map *seen = map_new();

    for (struct doc *d = map->first; d; d = d->next)
        d->again = !map_add(seen, d->key, 0);
    map_free(seen);
}

void doc_tree_close(struct doc_tree *t)
{
    struct doc *d;

    assert(t->depth && !t->key.p);
    d = t->open[--t->depth].node;
    if (d->kind == DOC_MAP && d->n <= PAIRWISE_MAX)
        mark_pairwise(d);
    else if (d->kind == DOC_MAP)
        mark_hashed(d);
}
