/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include <wchar.h>

#define REPLACEMENT 0xFFFDu

uint32_t text_char(struct str s, size_t *ret_bytes)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)s.p;
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xC2 ? 0
               : p[0] < 0xE0 ? 2
               : p[0] < 0xF0 ? 3
               : p[0] < 0xF5 ? 4
                             : 0;
    uint32_t c;

    *ret_bytes = 1;
    if (n == 1)
        return p[0];
    if (n == 0 || n > s.n)
        return REPLACEMENT;
    c = p[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return REPLACEMENT;
        c = c << 6 | (p[i] & 0x3F);
    }
    if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return REPLACEMENT;
    *ret_bytes = n;
    return c;
}

bool text_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x61C || (c >= 0x200E && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

static void add_escape(struct buf *out, uint32_t c)
{
    switch (c) {
    case '\n':
        buf_add(out, STR("\\n"));
        break;
    case '\r':
        buf_add(out, STR("\\r"));
        break;
    case '\t':
        buf_add(out, STR("\\t"));
        break;
    default:
        buf_printf(out, c < 0x100 ? "\\x%02x" : "\\u{%x}", c);
    }
}

static void add_char(struct buf *out, struct str s, uint32_t c, size_t bytes)
{
    if (c == REPLACEMENT)
        buf_add(out, STR("\uFFFD"));
    else
        buf_add(out, str_sub(s, 0, bytes));
}

void text_safe(struct buf *out, struct str s)
{
    for (size_t bytes; s.n; s = str_sub(s, bytes, s.n)) {
        uint32_t c = text_char(s, &bytes);

        if (text_unsafe(c))
            add_escape(out, c);
        else
            add_char(out, s, c, bytes);
    }
}

/* The length of the escape sequence (ECMA-48) at the front of `s`, which begins with ESC. */
static size_t escape_length(struct str s)
{
    size_t i = 2;

    if (s.n < 2)
        return s.n;
    if (s.p[1] == '[') { /* CSI: parameters and intermediates, then one final byte */
        while (i < s.n && s.p[i] >= 0x20 && s.p[i] < 0x40)
            i++;
        return i < s.n ? i + 1 : s.n;
    }
    if (s.p[1] == ']' || s.p[1] == 'P' || s.p[1] == 'X' || s.p[1] == '^' || s.p[1] == '_') {
        /* A string: to BEL or ESC \. */
        for (; i < s.n; i++) {
            if (s.p[i] == '\a')
                return i + 1;
            if (s.p[i] == '\x1b')
                return i + 1 < s.n && s.p[i + 1] == '\\' ? i + 2 : i;
        }
        return s.n;
    }
    for (i = 1; i < s.n && s.p[i] >= 0x20 && s.p[i] < 0x30;)
        i++;
    return i < s.n && (unsigned char)s.p[i] < 0x80 ? i + 1 : i;
}

/* What stands behind the last carriage return that is not at the end. */
static struct str after_return(struct str s)
{
    while (s.n && (s.p[s.n - 1] == '\r' || s.p[s.n - 1] == '\n'))
        s.n--;
    for (size_t i = s.n; i > 0; i--)
        if (s.p[i - 1] == '\r')
            return str_sub(s, i, s.n);
    return s;
}

void text_plain(struct buf *out, struct str s)
{
    size_t bytes;

    for (s = after_return(s); s.n; s = str_sub(s, bytes, s.n)) {
        uint32_t c = text_char(s, &bytes);

        if (c == 0x1B)
            bytes = escape_length(s);
        else if (text_unsafe(c))
            buf_byte(out, ' ');
        else
            add_char(out, s, c, bytes);
    }
}

/* Whether the escape sequence only sets colours. */
static bool is_color(struct str escape)
{
    if (escape.n < 3 || escape.p[1] != '[' || escape.p[escape.n - 1] != 'm')
        return false;
    for (size_t i = 2; i + 1 < escape.n; i++)
        if (escape.p[i] != ';' && escape.p[i] != ':' && (escape.p[i] < '0' || escape.p[i] > '9'))
            return false;
    return true;
}

void text_log(struct buf *out, struct str s)
{
    for (size_t bytes; s.n; s = str_sub(s, bytes, s.n)) {
        uint32_t c = text_char(s, &bytes);
        struct str escape = c == 0x1B ? str_sub(s, 0, escape_length(s)) : STR("");

        if (is_color(escape)) {
            buf_add(out, escape);
            bytes = escape.n;
        } else if (c == '\r' && s.n > 1 && s.p[1] == '\n') {
            continue;
        } else if (text_unsafe(c) && c != '\n' && c != '\t') {
            add_escape(out, c);
        } else {
            add_char(out, s, c, bytes);
        }
    }
}

static size_t char_width(uint32_t c)
{
    int w = wcwidth((wchar_t)c);

    return w < 0 ? 1 : (size_t)w;
}

size_t text_width(struct str s)
{
    size_t width = 0;

    for (size_t bytes; s.n; s = str_sub(s, bytes, s.n))
        width += char_width(text_char(s, &bytes));
    return width;
}

void text_cut(struct buf *out, struct str s, size_t columns, bool utf8)
{
    size_t width = 0, keep = 0;

    if (text_width(s) <= columns) {
        buf_add(out, s);
        return;
    }
    if (columns == 0)
        return;
    while (keep < s.n) {
        size_t bytes;
        size_t w = char_width(text_char(str_sub(s, keep, s.n), &bytes));

        if (width + w > columns - 1)
            break;
        width += w;
        keep += bytes;
    }
    buf_add(out, str_sub(s, 0, keep));
    buf_add(out, utf8 ? STR("…") : STR("~"));
}

/* One paragraph; the first line is begun by the caller's indent too. */
static void wrap_line(struct buf *out, struct str s, size_t columns, size_t indent)
{
    size_t at = 0;

    while (s.n) {
        size_t n = 0, width;

        while (n < s.n && s.p[n] != ' ')
            n++;
        width = text_width(str_sub(s, 0, n));
        if (at > 0 && at + 1 + width > columns) {
            buf_byte(out, '\n');
            at = 0;
        }
        if (at > 0)
            buf_byte(out, ' ');
        else
            buf_printf(out, "%*s", (int)indent, "");
        at = at > 0 ? at + 1 + width : indent + width;
        buf_add(out, str_sub(s, 0, n));
        while (n < s.n && s.p[n] == ' ')
            n++;
        s = str_sub(s, n, s.n);
    }
    buf_byte(out, '\n');
}

void text_wrap(struct buf *out, struct str s, size_t columns, size_t indent)
{
    while (s.n) {
        size_t end;
        bool more = str_find(s, '\n', &end);

        if (!more)
            end = s.n;
        if (end == 0)
            buf_byte(out, '\n');
        else
            wrap_line(out, str_sub(s, 0, end), columns, indent);
        s = str_sub(s, more ? end + 1 : end, s.n);
    }
}
