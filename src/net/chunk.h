/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk: a chunked body (RFC 9112 §7.1) as it comes, byte by byte if need be.
 *
 *     SIZE → [EXTENSION →] SIZE_LF → DATA → DATA_CR → DATA_LF → SIZE …
 *                             | a size of 0
 *                             +-→ LINE → NAME → VALUE → VALUE_LF → LINE … → LAST_LF → END
 *
 * Sizes are hexadecimal digits and nothing else; extensions and trailers are checked and dropped.
 */
#ifndef NET_CHUNK_H
#define NET_CHUNK_H

#include "base/str.h"

#define CHUNK_DIGITS_MAX   8u
#define CHUNK_OVERHEAD_MAX (16u << 10) /* of extensions and trailers, in all */

enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_LINE,
    CHUNK_NAME,
    CHUNK_VALUE,
    CHUNK_VALUE_LF,
    CHUNK_LAST_LF,
    CHUNK_END,
};

/* Zero before the first byte. */
struct chunk {
    enum chunk_state state;
    unsigned digits;
    uint64_t left; /* of the chunk's data */
    size_t overhead;
};

enum { CHUNK_E_BAD = 1 };

/*
 * Take bytes from *in: up to the end of the next piece of data, which is *ret_data and may be
 * empty, or to the end of the body (the state is CHUNK_END, and *in is what follows). Returns 0, or
 * CHUNK_E_BAD with a sentence.
 */
int chunk_take(struct chunk *c, struct str *in, struct str *ret_data, const char **ret_why);

#endif
