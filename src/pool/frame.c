/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/frame.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* One read of a pipe brings no more than what the kernel keeps for it. */
#define ROOM_BYTES (64u << 10)

void frame_reader_init(struct frame_reader *r, size_t bytes_max)
{
    assert(bytes_max > 0 && bytes_max <= FRAME_BYTES_MAX);
    *r = (struct frame_reader){.max = bytes_max};
}

void frame_reader_deinit(struct frame_reader *r)
{
    free(r->p);
    *r = (struct frame_reader){0};
}

static uint32_t length_at(const char *p)
{
    uint32_t n;

    memcpy(&n, p, sizeof(n));
    return be32toh(n);
}

/* How long the frame is that stands first, with its head; as long as its head where that has not
 * come, or is none that will be taken. */
static size_t first_bytes(const struct frame_reader *r)
{
    size_t length;

    if (r->to - r->from < FRAME_HEAD_BYTES)
        return FRAME_HEAD_BYTES;
    length = length_at(r->p + r->from);
    return FRAME_HEAD_BYTES + (length <= r->max ? length : 0);
}

/* A frame that outgrew the usual room gives it back when it was taken. */
static void fit(struct frame_reader *r, size_t wanted)
{
    if (wanted < ROOM_BYTES)
        wanted = ROOM_BYTES;
    if (wanted > r->cap || (r->cap > ROOM_BYTES && r->to == 0)) {
        r->p = memory_grow(r->p, wanted);
        r->cap = wanted;
    }
}

char *frame_room(struct frame_reader *r, size_t *ret_n)
{
    size_t n = r->to - r->from;

    if (n && r->from)
        memmove(r->p, r->p + r->from, n);
    r->from = 0;
    r->to = n;
    fit(r, first_bytes(r));
    *ret_n = r->cap - r->to;
    return r->p + r->to;
}

void frame_came(struct frame_reader *r, size_t n)
{
    assert(n <= r->cap - r->to);
    r->to += n;
}

int frame_next(struct frame_reader *r, struct str *ret, uint32_t *ret_length)
{
    size_t bytes = first_bytes(r);

    if (r->to - r->from < FRAME_HEAD_BYTES)
        return FRAME_E_MORE;
    *ret_length = length_at(r->p + r->from);
    if (bytes == FRAME_HEAD_BYTES)
        return FRAME_E_LENGTH;
    if (r->to - r->from < bytes)
        return FRAME_E_MORE;
    *ret = (struct str){r->p + r->from + FRAME_HEAD_BYTES, bytes - FRAME_HEAD_BYTES};
    r->from += bytes;
    return 0;
}

bool frame_begun(const struct frame_reader *r)
{
    return r->to > r->from;
}

struct str frame_rest(const struct frame_reader *r, size_t n)
{
    return str_sub((struct str){r->p, r->to}, r->from, n);
}

size_t frame_begin(struct buf *out)
{
    size_t begun = out->n;

    buf_add(out, (struct str){"\0\0\0\0", FRAME_HEAD_BYTES});
    return begun;
}

void frame_end(struct buf *out, size_t begun)
{
    uint32_t length;

    if (out->full)
        return;
    length = htobe32((uint32_t)(out->n - begun - FRAME_HEAD_BYTES));
    memcpy(out->p + begun, &length, sizeof(length));
}
