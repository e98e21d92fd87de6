/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft_finished: the ends of the stages that a runner did last, so that a token which comes again
 * is not run again. Bounded by number and by bytes; the oldest are forgotten first.
 */
#ifndef RUNNER_WEFT_FINISHED_H
#define RUNNER_WEFT_FINISHED_H

#include "client/weft_within.h"

#define WEFT_FINISHED_MAX       1000u
#define WEFT_FINISHED_BYTES_MAX ((size_t)32 << 20) /* of reports; one has less than that */

struct weft_finished;

WEFT_WITHIN struct weft_finished *weft_finished_new(void);
WEFT_WITHIN struct weft_finished *weft_finished_free(struct weft_finished *f);

/* The report is copied. A token ends once. */
WEFT_WITHIN void weft_finished_add(struct weft_finished *f, struct str token, struct str report);

/* Whether it is known; the report goes to *ret, borrowed until the next one is added. */
WEFT_WITHIN bool weft_finished_get(const struct weft_finished *f, struct str token,
                                   struct str *ret);

#endif
