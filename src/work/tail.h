/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tail: the newest of what a job says, for those who watch it, and for its record.
 *
 * The newest whole line of stdout and stderr together, and the last bytes of stderr. What others
 * read is UTF-8: bytes that are none, and NUL, become U+FFFD.
 */
#ifndef WORK_TAIL_H
#define WORK_TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "work/executor.h"

#define TAIL_LINE_BYTES 256u /* more of a line is not shown */

/* The beginning of a line. */
struct tail_line {
    char p[TAIL_LINE_BYTES];
    size_t n;
};

struct tail {
    struct tail_line begun[2]; /* of each stream: what came since its last newline */
    struct tail_line newest;
    bool fresh;      /* `newest` has not been told */
    int64_t told_us; /* when the last one was */
    bool cut;        /* there was more stderr than is kept */
    size_t err_n;
    char err[EXECUTOR_TAIL_BYTES];
};

enum tail_stream { TAIL_OUT, TAIL_ERR };

/* `t` of zeros is an empty one. */
void tail_add(struct tail *t, enum tail_stream from, struct str bytes);

/* Nothing more comes: lines without an end are lines, too. */
void tail_end(struct tail *t);

/* The newest line on one line: no control bytes, no colours. */
void tail_newest(const struct tail *t, struct buf *out);

/* The end of stderr. */
void tail_err(const struct tail *t, struct buf *out);

/* Text of others, made readable; with `line`, also control bytes and terminal sequences go. */
enum tail_clean { TAIL_TEXT, TAIL_LINE };
void tail_clean(struct str s, enum tail_clean how, struct buf *out);

#endif
