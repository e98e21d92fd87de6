/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result: how a job ended, in words and numbers.
 */
#ifndef WORK_RESULT_H
#define WORK_RESULT_H

#include <sys/resource.h>

#include "base/arena.h"
#include "base/buf.h"
#include "work/executor.h"
#include "work/slot.h"

/* What the texts of a result live in, until the next one. */
struct result {
    struct arena arena;
    struct buf raw; /* the message with what others wrote as they wrote it */
    struct buf message;
    struct buf err;
};

void result_init(struct result *r);
void result_deinit(struct result *r);

/* Of a job that could not be started. */
void result_refused(struct result *r, const struct slot *s, struct job_result *ret);

/* Of a job whose processes are dead; takes the files that it leaves. */
void result_ended(struct result *r, const struct slot *s, int status, const struct rusage *used,
                  struct job_result *ret);

#endif
