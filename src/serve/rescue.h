/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rescue: take back what a dead worker held, while this program carries a run.
 *
 * As recover.h has it, without stopping the loop: the proof of death takes up to seconds and is
 * found on a thread of the loop's pool; then the worker is lost through the store thread.
 */
#ifndef SERVE_RESCUE_H
#define SERVE_RESCUE_H

#include <uv.h>

#include "serve/batcher.h"
#include "serve/recover.h"

#define RESCUE_MAX 4u /* at once; the others are found again by the next scan */

struct rescue {
    uv_loop_t *loop;
    struct batcher *writer;
    struct batcher_home *home; /* of the loop */
    const char *data;
    void (*done)(void *context); /* tasks may have become ready */
    void *context;
    bool stopped; /* what is clean is left to the next program */
    struct list jobs;
    unsigned jobs_n; /* under way; 0 before this may go */
};

/* The fields above `stopped` are the caller's to set. */
void rescue_init(struct rescue *r);

/* One that is being rescued already is left alone. */
void rescue_begin(struct rescue *r, const struct worker_row *w, enum recover_verdict verdict);

#endif
