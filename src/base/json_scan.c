/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_scan.h"

#include <assert.h>
#include <endian.h>
#include <stdint.h>
#include <string.h>

#define EACH_BYTE(x) (0x0101010101010101u * (x))

static const char *wrong(const char *at, const char **ret_bad)
{
    *ret_bad = at;
    return NULL;
}

/* A bit within each of eight bytes that is not ASCII, a control character, a quote or a backslash.
 * x - 1 borrows into the top bit of a byte that is 0, x - 32 of one below 32. A borrow from the
 * byte before happens only where that one is special, so that the lowest bit is always right. */
static uint64_t special(const char *p)
{
    uint64_t v, quote, slash;

    memcpy(&v, p, sizeof(v));
    v = le64toh(v);
    quote = v ^ EACH_BYTE('"');
    slash = v ^ EACH_BYTE('\\');
    return (v | (v - EACH_BYTE(32)) | (quote - EACH_BYTE(1)) | (slash - EACH_BYTE(1))) &
           EACH_BYTE(0x80);
}

const char *json_scan_plain(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t bits = special(p);

        if (bits)
            return p + __builtin_ctzll(bits) / 8;
        p += 8;
    }
    while (p < end && (signed char)*p >= ' ' && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* Four hexadecimal digits; -1 where they are not there, and *p is the first that is none. */
static int take_hex4(const char **p, const char *end)
{
    int v = 0;

    for (int i = 0; i < 4; i++, (*p)++) {
        char c = *p < end ? **p : '\0';

        if (c >= '0' && c <= '9')
            v = v * 16 + c - '0';
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            v = v * 16 + (c | 0x20) - 'a' + 10;
        else
            return -1;
    }
    return v;
}

/* From behind the backslash. Half a surrogate pair is no character. */
static const char *scan_escape(const char *p, const char *end, const char **ret_bad)
{
    const char *at = p;
    int high, low;

    if (p == end)
        return wrong(p, ret_bad);
    if (*p != 'u')
        return *p && strchr("\"\\/bfnrt", *p) ? p + 1 : wrong(p, ret_bad);
    p++;
    high = take_hex4(&p, end);
    if (high < 0)
        return wrong(p, ret_bad);
    if (high < 0xd800 || high > 0xdfff)
        return p;
    if (high > 0xdbff || end - p < 2 || p[0] != '\\' || p[1] != 'u')
        return wrong(high > 0xdbff ? at : p, ret_bad);
    p += 2;
    low = take_hex4(&p, end);
    return low >= 0xdc00 && low <= 0xdfff ? p : wrong(low < 0 ? p : p - 4, ret_bad);
}

/* A run of bytes that are not ASCII. */
static const char *scan_wide(const char *p, const char *end, const char **ret_bad)
{
    const char *begin = p;
    size_t at;

    while (p < end && (unsigned char)*p & 0x80)
        p++;
    if (!str_utf8((struct str){begin, (size_t)(p - begin)}, &at))
        return wrong(begin + at, ret_bad);
    return p;
}

const char *json_scan_text(const char *p, const char *end, bool *ret_plain, const char **ret_bad)
{
    *ret_plain = true;
    while (p) {
        p = json_scan_plain(p, end);
        if (p == end)
            return wrong(p, ret_bad);
        if (*p == '"')
            return p;
        if (*p == '\\') {
            *ret_plain = false;
            p = scan_escape(p + 1, end, ret_bad);
        } else if ((unsigned char)*p & 0x80) {
            p = scan_wide(p, end, ret_bad);
        } else {
            return wrong(p, ret_bad);
        }
    }
    return NULL;
}

/* One digit or more. */
static const char *scan_digits(const char *p, const char *end, const char **ret_bad)
{
    const char *begin = p;

    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p > begin ? p : wrong(p, ret_bad);
}

const char *json_scan_number(const char *p, const char *end, const char **ret_bad)
{
    if (p < end && *p == '-')
        p++;
    if (p < end && *p == '0')
        p++;
    else
        p = scan_digits(p, end, ret_bad);
    if (p && p < end && *p == '.')
        p = scan_digits(p + 1, end, ret_bad);
    if (p && p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = scan_digits(p, end, ret_bad);
    }
    return p;
}

static const char *scan_word(const char *p, const char *end, struct str word, const char **ret_bad)
{
    for (size_t i = 0; i < word.n; i++, p++)
        if (p == end || *p != word.p[i])
            return wrong(p, ret_bad);
    return p;
}

/* A value that holds no other. */
static const char *scan_scalar(const char *p, const char *end, const char **ret_bad)
{
    bool plain;

    switch (*p) {
    case '"':
        p = json_scan_text(p + 1, end, &plain, ret_bad);
        return p ? p + 1 : NULL;
    case 't':
        return scan_word(p, end, STR("true"), ret_bad);
    case 'f':
        return scan_word(p, end, STR("false"), ret_bad);
    case 'n':
        return scan_word(p, end, STR("null"), ret_bad);
    default:
        return json_scan_number(p, end, ret_bad);
    }
}

/* A key with its colon, and the blanks behind it. */
static const char *scan_key(const char *p, const char *end, const char **ret_bad)
{
    bool plain;

    if (p == end || *p != '"')
        return wrong(p, ret_bad);
    p = json_scan_text(p + 1, end, &plain, ret_bad);
    if (!p)
        return NULL;
    p = json_scan_blank(p + 1, end);
    return p < end && *p == ':' ? json_scan_blank(p + 1, end) : wrong(p, ret_bad);
}

/* The lists and objects that are open: a bit each, the innermost the lowest, 1 for an object. */
struct open {
    uint64_t objects;
    unsigned depth;
};

/* Behind a value: close what ends here, up to the comma. Returns where the next value begins, or
 * the end of the outermost one, with a depth of 0. */
static const char *scan_next(const char *p, const char *end, struct open *o, const char **ret_bad)
{
    while (o->depth) {
        p = json_scan_blank(p, end);
        if (p < end && *p == ',') {
            p = json_scan_blank(p + 1, end);
            return o->objects & 1 ? scan_key(p, end, ret_bad) : p;
        }
        if (p == end || *p != (o->objects & 1 ? '}' : ']'))
            return wrong(p, ret_bad);
        p++;
        o->objects >>= 1;
        o->depth--;
    }
    return p;
}

const char *json_scan_value(const char *p, const char *end, unsigned depth_max,
                            const char **ret_bad, bool *ret_deep)
{
    struct open o = {0};

    assert(depth_max <= 64);
    *ret_deep = false;
    do {
        if (p == end)
            return wrong(p, ret_bad);
        if (*p == '{' || *p == '[') {
            bool object = *p == '{';

            *ret_deep = o.depth == depth_max;
            if (*ret_deep)
                return wrong(p, ret_bad);
            o.depth++;
            o.objects = o.objects << 1 | object;
            p = json_scan_blank(p + 1, end);
            if (p < end && *p == (object ? '}' : ']'))
                p = scan_next(p, end, &o, ret_bad);
            else if (object)
                p = scan_key(p, end, ret_bad);
        } else {
            p = scan_scalar(p, end, ret_bad);
            if (p)
                p = scan_next(p, end, &o, ret_bad);
        }
    } while (p && o.depth);
    return p;
}

int json_scan_check(struct str text, unsigned depth_max, size_t *ret_offset)
{
    const char *begin = text.n ? text.p : "";
    const char *end = begin + text.n;
    const char *bad = NULL;
    bool deep;
    const char *p = json_scan_value(json_scan_blank(begin, end), end, depth_max, &bad, &deep);

    if (p) {
        p = json_scan_blank(p, end);
        if (p == end)
            return 0;
        bad = p;
    }
    *ret_offset = (size_t)(bad - begin);
    return deep ? JSON_SCAN_E_DEEP : JSON_SCAN_E_BAD;
}
