/* SPDX-License-Identifier: Apache-2.0 */
#include "work/tail.h"

#define REPLACEMENT STR("\xef\xbf\xbd") /* U+FFFD */

static void line_add(struct tail_line *line, struct str s)
{
    size_t room = sizeof(line->p) - line->n;

    s = str_sub(s, 0, room);
    if (s.n)
        memcpy(line->p + line->n, s.p, s.n);
    line->n += s.n;
}

static void take_line(struct tail *t, const struct tail_line *line)
{
    if (line->n == 0)
        return; /* an empty line tells nobody anything */
    t->newest = *line;
    t->fresh = true;
}

/* Only the last whole line that says anything counts, so that a flood is searched from its end. */
static void add_lines(struct tail *t, struct tail_line *begun, struct str bytes)
{
    const char *end = memrchr(bytes.p, '\n', bytes.n);
    const char *before;
    size_t n;

    if (!end) {
        line_add(begun, bytes);
        return;
    }
    n = (size_t)(end - bytes.p);
    while (n && bytes.p[n - 1] == '\n')
        n--;
    before = n ? memrchr(bytes.p, '\n', n) : NULL;
    if (before)
        begun->n = 0;
    line_add(begun, before ? str_sub(bytes, (size_t)(before + 1 - bytes.p),
                                     n - (size_t)(before + 1 - bytes.p))
                           : str_sub(bytes, 0, n));
    take_line(t, begun);
    begun->n = 0;
    line_add(begun, str_sub(bytes, (size_t)(end + 1 - bytes.p), bytes.n));
}

static void add_err(struct tail *t, struct str bytes)
{
    size_t keep;

    if (bytes.n > sizeof(t->err)) {
        bytes = str_sub(bytes, bytes.n - sizeof(t->err), bytes.n);
        t->cut = true;
    }
    keep = sizeof(t->err) - bytes.n;
    if (t->err_n > keep) {
        memmove(t->err, t->err + t->err_n - keep, keep);
        t->err_n = keep;
        t->cut = true;
    }
    memcpy(t->err + t->err_n, bytes.p, bytes.n);
    t->err_n += bytes.n;
}

void tail_add(struct tail *t, enum tail_stream from, struct str bytes)
{
    add_lines(t, &t->begun[from], bytes);
    if (from == TAIL_ERR)
        add_err(t, bytes);
}

void tail_end(struct tail *t)
{
    take_line(t, &t->begun[TAIL_OUT]);
    take_line(t, &t->begun[TAIL_ERR]);
}

void tail_newest(const struct tail *t, struct buf *out)
{
    struct str s = {t->newest.p, t->newest.n};
    size_t end = s.n;

    /* A bar that draws over itself: what stands there last. */
    while (end && s.p[end - 1] == '\r')
        end--;
    s = str_sub(s, 0, end);
    for (size_t i = s.n; i > 0; i--) {
        if (s.p[i - 1] == '\r') {
            s = str_sub(s, i, s.n);
            break;
        }
    }
    tail_clean(s, TAIL_LINE, out);
}

void tail_err(const struct tail *t, struct buf *out)
{
    struct str s = {t->err, t->err_n};

    /* A cut in the middle of a character takes the rest of it away. */
    for (int i = 0; t->cut && i < 3 && s.n && ((unsigned char)s.p[0] & 0xc0) == 0x80; i++)
        s = str_sub(s, 1, s.n);
    tail_clean(s, TAIL_TEXT, out);
}

/* How many bytes a terminal sequence (ESC [ … letter) at the start of `s` has; 0: there is none. */
static size_t sequence_bytes(struct str s)
{
    size_t n = 2;

    if (s.n < 2 || s.p[0] != '\x1b' || s.p[1] != '[')
        return 0;
    while (n < s.n && (s.p[n] < 0x40 || s.p[n] > 0x7e))
        n++;
    return n < s.n ? n + 1 : n;
}

static void add_valid(struct str s, enum tail_clean how, struct buf *out)
{
    while (s.n) {
        size_t skip = how == TAIL_LINE ? sequence_bytes(s) : 0;
        unsigned char c = (unsigned char)s.p[0];

        if (skip) {
            s = str_sub(s, skip, s.n);
            continue;
        }
        if (c == 0)
            buf_add(out, REPLACEMENT);
        else
            buf_byte(out, how == TAIL_LINE && (c < ' ' || c == 0x7f) ? ' ' : (char)c);
        s = str_sub(s, 1, s.n);
    }
}

void tail_clean(struct str s, enum tail_clean how, struct buf *out)
{
    size_t bad;

    while (!str_utf8(s, &bad)) {
        add_valid(str_sub(s, 0, bad), how, out);
        buf_add(out, REPLACEMENT);
        s = str_sub(s, bad + 1, s.n);
    }
    add_valid(s, how, out);
}
