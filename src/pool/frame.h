/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame: JSON texts one behind the other, each with its length before it (docs/pools.md).
 *
 *     | length: 4 bytes, big-endian | length bytes of UTF-8 | length | …
 *
 * A reader is given bytes in whatever pieces they come and gives back whole texts. What cannot be a
 * frame ends it: from there on nobody knows where the next one begins.
 */
#ifndef POOL_FRAME_H
#define POOL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FRAME_HEAD_BYTES    4u
#define FRAME_BYTES_DEFAULT (1u << 20)
#define FRAME_BYTES_MAX     (64u << 20) /* what a pool may set as its limit */

struct frame_reader {
    char *p;
    size_t cap;
    size_t from; /* what is before it was given out */
    size_t to;   /* what is behind it has not come yet */
    size_t max;  /* bytes of a text */
};

void frame_reader_init(struct frame_reader *r, size_t bytes_max);
void frame_reader_deinit(struct frame_reader *r);

/* Where the next bytes go, and how many fit: at least one, unless a whole frame waits to be taken.
 * What was given out before is gone. */
char *frame_room(struct frame_reader *r, size_t *ret_n);
void frame_came(struct frame_reader *r, size_t n);

enum { FRAME_E_MORE = 1, FRAME_E_LENGTH };

/* The next text, borrowed until frame_room(). FRAME_E_MORE: it is not whole yet. FRAME_E_LENGTH:
 * it has no bytes, or more than the limit; *ret_length says how many. */
int frame_next(struct frame_reader *r, struct str *ret, uint32_t *ret_length);

/* Whether a frame has begun and is not whole. */
bool frame_begun(const struct frame_reader *r);

/* What has come and was not given out, at most `n` bytes of it: for the log. */
struct str frame_rest(const struct frame_reader *r, size_t n);

/* Write the head of a frame whose text follows, and once it stands behind it, its length. */
size_t frame_begin(struct buf *out);
void frame_end(struct buf *out, size_t begun);

#endif
