/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

#define BUF_CAP_MIN 64u

void buf_init(struct buf *b, size_t max)
{
    assert(max < SIZE_MAX / 4);
    *b = (struct buf){.max = max};
}

void buf_fixed(struct buf *b, char *out, size_t size)
{
    assert(size > 0);
    *b = (struct buf){.p = out, .cap = size, .max = size - 1, .fixed = true};
    out[0] = '\0';
}

void buf_deinit(struct buf *b)
{
    if (!b->fixed)
        free(b->p);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->full = false;
    if (b->p)
        b->p[0] = '\0';
}

/* Room for `n` more bytes and the NUL; false, and full, where that passes the limit. */
static bool reserve(struct buf *b, size_t n)
{
    size_t cap;

    if (b->full || n > b->max - b->n) {
        b->full = true;
        return false;
    }
    if (b->n + n < b->cap)
        return true;
    assert(!b->fixed);
    cap = b->cap * 2 > BUF_CAP_MIN ? b->cap * 2 : BUF_CAP_MIN;
    if (cap <= b->n + n)
        cap = b->n + n + 1;
    if (cap > b->max + 1)
        cap = b->max + 1;
    b->p = memory_grow(b->p, cap);
    b->cap = cap;
    return true;
}

void buf_add(struct buf *b, struct str s)
{
    if (!reserve(b, s.n))
        return;
    if (s.n)
        memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
    b->p[b->n] = '\0';
}

void buf_byte(struct buf *b, char c)
{
    buf_add(b, (struct str){&c, 1});
}

char *buf_extend(struct buf *b, size_t n)
{
    char *p;

    if (!reserve(b, n))
        return NULL;
    p = b->p + b->n;
    b->n += n;
    b->p[b->n] = '\0';
    return p;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
    size_t room = b->full ? 0 : b->cap - b->n;
    va_list again;
    int n;

    va_copy(again, args);
    n = vsnprintf(room ? b->p + b->n : NULL, room, format, args);
    assert(n >= 0);
    if (reserve(b, (size_t)n)) {
        if ((size_t)n >= room)
            vsnprintf(b->p + b->n, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    } else if (room) {
        b->p[b->n] = '\0'; /* what did fit is no part of the text */
    }
    va_end(again);
}

/* How a control character, a quote or a backslash is written. */
static void json_escape(struct buf *b, unsigned c)
{
    static const char *const names[128] = {
        ['"'] = "\\\"", ['\\'] = "\\\\", ['\b'] = "\\b", ['\f'] = "\\f",
        ['\n'] = "\\n", ['\r'] = "\\r",  ['\t'] = "\\t",
    };

    if (c < 128 && names[c])
        buf_add(b, str_of(names[c]));
    else
        buf_printf(b, "\\u%04x", c);
}

/* Bytes that stand for themselves. 0xc2 is left out since U+0080 … U+009F begin with it. */
static bool json_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && c != 0xc2;
}

/* Write the start of well-formed text: a run of plain bytes or one other character. Returns the
 * bytes that were read. */
static size_t json_some(struct buf *b, const unsigned char *p, size_t n)
{
    size_t run = 0;

    while (run < n && json_plain(p[run]))
        run++;
    if (run) {
        buf_add(b, (struct str){(const char *)p, run});
        return run;
    }
    if (p[0] != 0xc2) {
        json_escape(b, p[0]);
        return 1;
    }
    if (p[1] < 0xa0)
        json_escape(b, p[1]);
    else
        buf_add(b, (struct str){(const char *)p, 2});
    return 2;
}

void buf_json(struct buf *b, struct str s)
{
    size_t good_to = 0;
    size_t at = 0;

    buf_byte(b, '"');
    while (at < s.n) {
        if (at >= good_to) {
            size_t bad;

            good_to = str_utf8(str_sub(s, at, s.n), &bad) ? s.n : at + bad;
        }
        if (at < good_to) {
            at += json_some(b, (const unsigned char *)s.p + at, good_to - at);
        } else {
            buf_add(b, STR("\xef\xbf\xbd"));
            at++;
        }
    }
    buf_byte(b, '"');
}
