/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump: JSON values as text, each number in its shortest spelling that reads back the same.
 *
 * Jansson writes 0.1 as 0.10000000000000001; people read our durations.
 */
#ifndef CLIENT_DUMP_H
#define CLIENT_DUMP_H

#include <jansson.h>

enum dump_shape {
    DUMP_COMPACT, /* one line, no spaces */
    DUMP_INDENTED /* two spaces a level */
};

/* Any value; the caller frees the text. */
char *dump_text(const json_t *value, enum dump_shape shape);

#endif
