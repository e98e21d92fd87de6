/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diagram: a machine's table as a Mermaid state diagram, for the documentation.
 */
#ifndef CORE_DIAGRAM_H
#define CORE_DIAGRAM_H

#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

struct diagram_move {
    struct str from;
    struct str event;
    struct str to;
};

/* Moves between the same two states share one arrow; the machine begins in `initial`. */
void diagram_print(struct buf *out, struct str initial, const struct diagram_move *moves, size_t n);

#endif
