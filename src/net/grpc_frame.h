/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc_frame: messages cut out of the bytes of a gRPC stream, and the texts of its headers.
 *
 * A message is one byte (1: compressed), four bytes of length, the most significant first, and the
 * message; it comes in pieces of any size.
 */
#ifndef NET_GRPC_FRAME_H
#define NET_GRPC_FRAME_H

#include "base/arena.h"
#include "base/buf.h"

#define GRPC_FRAME_HEAD_BYTES 5u

struct grpc_frame {
    unsigned char head[GRPC_FRAME_HEAD_BYTES];
    size_t head_n;
    size_t bytes; /* that the head says; known when head_n is whole */
    struct buf body;
};

enum {
    GRPC_FRAME_E_MORE = 1,
    GRPC_FRAME_E_TOO_LARGE,  /* the head says more than the maximum */
    GRPC_FRAME_E_COMPRESSED, /* the flag is set */
    GRPC_FRAME_E_BAD,        /* the flag is neither 0 nor 1 */
};

void grpc_frame_init(struct grpc_frame *f, size_t message_bytes_max);
void grpc_frame_deinit(struct grpc_frame *f);
void grpc_frame_clear(struct grpc_frame *f);

/* Takes bytes from the front of *bytes. Returns 0 when `body` is a whole message, to be followed by
 * grpc_frame_clear(); else an outcome. */
int grpc_frame_feed(struct grpc_frame *f, struct str *bytes);

/* Whether there is nothing of a message that has begun. */
bool grpc_frame_empty(const struct grpc_frame *f);

void grpc_frame_head(struct buf *out, size_t message_bytes);
/* Set the length in a head that stands already. */
void grpc_frame_length(char *head, size_t message_bytes);

/* "100m": 1 to 8 digits and one of H M S m u n; what is finer than a microsecond counts as one. */
bool grpc_frame_timeout(struct str text, int64_t *ret_us);

/* The same of a duration, rounded up to what eight digits can say; what is over already is "0u". */
#define GRPC_FRAME_TIMEOUT_BYTES 10
struct str grpc_frame_timeout_text(int64_t us, char out[static GRPC_FRAME_TIMEOUT_BYTES]);

/* As grpc-message wants it: what is no printable ASCII, and '%', as %XX. */
struct str grpc_frame_percent(struct arena *a, struct str text);

/* Back, as far as there is room; a '%' that is none stays one. Returns the number of bytes. */
size_t grpc_frame_unpercent(struct str text, char *out, size_t room);

/* "application/grpc", "application/grpc+proto", and with parameters. */
bool grpc_frame_content_type(struct str text);

#endif
