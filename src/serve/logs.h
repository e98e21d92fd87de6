/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs: where an attempt's files are, and reading what it wrote.
 *
 *     DATA/logs/<run>/<task>.<attempt>.out, .err       kept beside the store
 *     DATA/tmp/<incarnation>/<token>.output, .progress  $WEFT_OUTPUT and $WEFT_PROGRESS, while it
 * runs
 */
#ifndef SERVE_LOGS_H
#define SERVE_LOGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

#define LOGS_READ_BYTES     (64u << 10)
#define LOGS_READ_BYTES_MAX (1u << 20)

enum logs_stream { LOGS_STDOUT, LOGS_STDERR };

/* The paths are C strings too. */
struct str logs_folder(struct arena *a, const char *data, int64_t run);
struct str logs_path(struct arena *a, const char *data, int64_t run, int64_t task, int64_t attempt,
                     enum logs_stream stream);
struct str logs_scratch(struct arena *a, const char *data, int64_t incarnation);

/* Delete an incarnation's scratch folder with its files; none is fine. */
void logs_scratch_remove(const char *data, int64_t incarnation);

struct logs_chunk {
    struct str
        text; /* the bytes as they are; while the attempt may still write, whole characters only */
    int64_t next_offset;
    bool at_end; /* there is nothing behind it for now */
};

/* At most `max` bytes from `offset` on. A file that is not there is an empty one: it is made with
 * its first byte. Returns 0 or a fault. */
int logs_read(struct arena *a, const char *path, int64_t offset, int64_t max,
              struct logs_chunk *ret);

#endif
