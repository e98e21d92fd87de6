/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf: text that grows up to a limit.
 *
 * What would pass `max` is not added and sets `full`, which the writer looks at once, at the end.
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
};

void buf_init(struct buf *b, size_t max);
void buf_deinit(struct buf *b);
void buf_clear(struct buf *b);
void buf_add(struct buf *b, struct str s);
void buf_byte(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list args);

/* The text as a JSON string with its quotes (RFC 8259); the input is UTF-8. */
void buf_json(struct buf *b, struct str s);

/* What is in it, borrowed until the next change. */
static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->p, b->n};
}

#endif
