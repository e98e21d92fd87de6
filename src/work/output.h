/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output: what a job hands on through the files $WEFT_OUTPUT and $WEFT_PROGRESS.
 *
 * The job's processes may do anything with those paths: leave them alone, write rubbish, put a pipe
 * or a link there. Only ordinary files are read, never more than the limit, and never waited for.
 */
#ifndef WORK_OUTPUT_H
#define WORK_OUTPUT_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum { OUTPUT_E_LARGE = 1, OUTPUT_E_INVALID = 2 };

/* The JSON object in the file, which is removed; an empty text where there is no file. Returns 0,
 * or OUTPUT_E_LARGE or OUTPUT_E_INVALID with a sentence in *why. Everything lives in the arena. */
int output_take(struct arena *a, const char *path, struct str *ret, struct str *ret_why);

/* Where somebody stands who follows a progress file. Zeros at first. */
struct output_progress {
    struct timespec changed;
    off_t size;
    int percent;
    size_t text_hash;
    bool told; /* the two above */
    bool seen; /* there is a file */
};

/* The last line "PERCENT text" of the file, if it is another one than at the last call. While the
 * job lives (OUTPUT_LIVE), a line without its end is not one yet. */
enum output_when { OUTPUT_LIVE, OUTPUT_ENDED };
bool output_progress(struct output_progress *p, const char *path, enum output_when when,
                     int *ret_percent, struct buf *text);

#endif
