/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text: what others wrote, made fit for a terminal and a line.
 *
 * Names, sentences and output come from anywhere. Shown raw they could move the cursor, end a line
 * or turn the reading direction; here such characters are shown as what they are (`\n`, `\x1b`,
 * `\u{202e}`), and bytes that are no UTF-8 as U+FFFD.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "base/buf.h"
#include "base/str.h"

/* One character from the front of `s` (not empty); *ret_bytes of it. U+FFFD and one byte where it
 * is no UTF-8. */
uint32_t text_char(struct str s, size_t *ret_bytes);

/* Whether the character is a control character of ASCII, C1 or Unicode's line and direction
 * controls. */
bool text_unsafe(uint32_t c);

/* Add `s` with unsafe characters written as escapes. */
void text_safe(struct buf *out, struct str s);

/* Add `s` as people see it on a terminal: escape sequences taken away, every other unsafe character
 * a space. What follows a carriage return replaces what stood before it, as progress displays mean
 * it. */
void text_plain(struct buf *out, struct str s);

/* Add lines that a program wrote: newlines, tabs and colours pass, other unsafe characters are
 * written as escapes. */
void text_log(struct buf *out, struct str s);

/* Columns that `s` takes on a terminal. */
size_t text_width(struct str s);

/* Add as much of `s` as fits into `columns`; what is cut ends in `…` (or `~` without `utf8`). */
void text_cut(struct buf *out, struct str s, size_t columns, bool utf8);

/* `s` in lines of at most `columns`, broken between words, each behind `indent` spaces. */
void text_wrap(struct buf *out, struct str s, size_t columns, size_t indent);

#endif
