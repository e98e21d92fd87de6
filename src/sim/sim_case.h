/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_case: a history as a file, for whoever runs it again: `weft sim FILE`, and
 * the tests of test/sim.
 *
 *     # fence: the end of task 41 was answered OK
 *     seed 7
 *     profile storm
 *     servers 1
 *     …
 *     only
 *     occasion 201 17
 */
#ifndef SIM_SIM_CASE_H
#define SIM_SIM_CASE_H

#include "base/arena.h"
#include "sim/sim.h"

/* `text` stands in its first line, whatever is in it. */
void sim_case_write(FILE *out, const struct sim_options *o, const char *text);
/* Its occasions live in the arena. Returns 0, or the number of the line that is none of such a
 * file, or is beyond what a world can hold. A file without a profile leaves none in `ret`. */
size_t sim_case_read(FILE *in, struct arena *a, struct sim_options *ret);

#endif
