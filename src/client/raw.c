/* SPDX-License-Identifier: Apache-2.0 */
#include "client/raw.h"

#include <jansson.h>

#include "base/json_scan.h"

bool raw_check(struct str text, struct str *ret, size_t *ret_at)
{
    const char *begin, *end, *bad, *p;
    bool deep;

    *ret_at = 0;
    if (!text.n)
        return false; /* NULL, perhaps, of a program */
    bad = end = text.p + text.n;
    begin = json_scan_blank(text.p, end);
    p = json_scan_value(begin, end, RAW_DEPTH_MAX, &bad, &deep);
    if (p && json_scan_blank(p, end) == end) {
        *ret = (struct str){begin, (size_t)(p - begin)};
        return true;
    }
    *ret_at = (size_t)((p ? json_scan_blank(p, end) : bad) - text.p);
    return false;
}

/* From a quote to behind the other one; NULL where there is none. */
static const char *skip_text(const char *p, const char *end)
{
    const char *bad;
    bool plain;

    p = json_scan_text(p + 1, end, &plain, &bad);
    return p ? p + 1 : NULL;
}

/* From a bracket to behind its partner. */
static const char *skip_nested(const char *p, const char *end)
{
    size_t depth = 0;

    while (p && p < end) {
        if (*p == '"') {
            p = skip_text(p, end);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if (*p == '}' || *p == ']')
            depth--;
        p++;
        if (depth == 0)
            return p;
    }
    return NULL;
}

static const char *skip_value(const char *p, const char *end)
{
    const char *begin = p;

    if (p == end)
        return NULL;
    if (*p == '"')
        return skip_text(p, end);
    if (*p == '{' || *p == '[')
        return skip_nested(p, end);
    while (p < end && !strchr(",]} \t\r\n", *p))
        p++;
    return p > begin ? p : NULL;
}

/* The next value behind `open` or a comma, at which `rest` begins; it goes behind the value. */
static bool next(struct str *rest, char open, struct str *ret)
{
    const char *end, *p, *behind;

    if (!rest->n)
        return false; /* as what was looked for in vain, which stands nowhere */
    end = rest->p + rest->n;
    p = json_scan_blank(rest->p, end);
    if (p == end || (*p != open && *p != ',' && *p != ':'))
        return false;
    p = json_scan_blank(p + 1, end);
    behind = skip_value(p, end);
    if (!behind)
        return false;
    *ret = (struct str){p, (size_t)(behind - p)};
    *rest = (struct str){behind, (size_t)(end - behind)};
    return true;
}

struct str raw_get(struct str object, struct str key)
{
    struct str name, value;

    while (next(&object, '{', &name) && next(&object, ':', &value)) {
        if (name.n == key.n + 2 && memcmp(name.p + 1, key.p, key.n) == 0)
            return value;
    }
    return (struct str){0};
}

bool raw_next(struct str *rest, struct str *ret)
{
    return next(rest, '[', ret);
}

void raw_text(struct str value, struct buf *out)
{
    const char *end = value.p + value.n, *bad;
    json_t *v;
    bool plain;

    if (value.n < 2 || *value.p != '"')
        return;
    json_scan_text(value.p + 1, end, &plain, &bad);
    if (plain) {
        buf_add(out, (struct str){value.p + 1, value.n - 2});
        return;
    }
    v = json_loadb(value.p, value.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    buf_add(out, (struct str){json_string_value(v), json_string_length(v)});
    json_decref(v);
}

/* A line break stands between tokens only: within a text it is written \n. */
void raw_line(struct str value, struct buf *out)
{
    while (value.n) {
        size_t n = 0;

        while (n < value.n && value.p[n] != '\n' && value.p[n] != '\r')
            n++;
        buf_add(out, (struct str){value.p, n});
        if (n == value.n)
            return;
        buf_byte(out, ' ');
        value = str_sub(value, n + 1, value.n);
    }
}
