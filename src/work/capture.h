/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture: a stream of unknown length in a file of bounded length.
 *
 * The first half of EXECUTOR_LOG_BYTES stays as it came. Behind it the file is a ring, so that a
 * flood costs no memory; capture_end() puts the ring in order, behind a line that says how much
 * was cut. A file that cannot be written costs the bytes, never the job: the line says that, too.
 */
#ifndef WORK_CAPTURE_H
#define WORK_CAPTURE_H

#include <stdint.h>

#include "base/str.h"

struct capture {
    const char *path; /* borrowed until the end */
    int fd;           /* -1: no byte has come yet */
    int error;        /* the first failure; from then on nothing is written */
    uint64_t bytes;   /* that came */
    uint64_t lost;    /* of them, since the failure */
};

void capture_init(struct capture *c, const char *path);
void capture_add(struct capture *c, struct str bytes);
void capture_end(struct capture *c);

#endif
