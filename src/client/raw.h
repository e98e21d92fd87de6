/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw: pieces of JSON as they stand in a text, byte for byte.
 *
 * What people put into a task comes back to them as they wrote it, whatever its numbers. A text of
 * their own is checked; a server's reply is only cut, and what is no JSON there is simply not
 * found.
 */
#ifndef CLIENT_RAW_H
#define CLIENT_RAW_H

#include "base/buf.h"

#define RAW_DEPTH_MAX 64u

/* Whether the text is one value and nothing else, which goes to *ret without the blanks around it;
 * else *ret_at is the first byte that is wrong. */
bool raw_check(struct str text, struct str *ret, size_t *ret_at);

/* The value of a key of an object; nothing (n = 0) where there is none. */
struct str raw_get(struct str object, struct str key);

/* Each item of a list in turn: begin with *rest = the list; false at its end. */
bool raw_next(struct str *rest, struct str *ret);

/* What a text says is appended; nothing where it is none. */
void raw_text(struct str value, struct buf *out);

/* Append a value on one line. */
void raw_line(struct str value, struct buf *out);

#endif
