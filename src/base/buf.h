/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf: text that grows up to a limit.
 *
 * What would pass `max` is not added and sets `full`, which the writer looks at once, at the end.
 * From then on nothing is added, so that what is there is a beginning without gaps. A NUL stands
 * behind the text as soon as there was any.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/str.h"

struct buf {
    char *p;
    size_t n;
    size_t cap;
    size_t max;
    bool full;
    bool fixed; /* p is the caller's */
};

void buf_init(struct buf *b, size_t max);

/* Write into the caller's `size` bytes (at least 1, the last is for the NUL); nothing is allocated,
 * and buf_deinit() is not needed. */
void buf_fixed(struct buf *b, char *out, size_t size);

void buf_deinit(struct buf *b);
void buf_clear(struct buf *b);
void buf_add(struct buf *b, struct str s);
void buf_byte(struct buf *b, char c);
/* `n` more bytes, which the caller fills at once; NULL, and full, where that passes the limit. */
char *buf_extend(struct buf *b, size_t n);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list args);

/* The text as a JSON string with its quotes (RFC 8259). Bytes that are no UTF-8 become U+FFFD;
 * control characters, those of Unicode included, are escaped, so that the result may be shown on a
 * terminal. */
void buf_json(struct buf *b, struct str s);

/* What is in it, borrowed until the next change. */
static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->p, b->n};
}

#endif
