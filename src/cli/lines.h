/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines: the events of a run as lines of text, for pipes and files.
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <jansson.h>

#include "base/buf.h"

/* "12:00:01Z extract RUNNING attempt 1\n"; nothing for what need not be told (a task became ready
 * for the first time, was handed out). */
void lines_event(struct buf *out, const json_t *event);

#endif
