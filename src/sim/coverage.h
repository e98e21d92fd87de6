/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coverage: which rows of the state tables and which faults a sweep has met.
 */
#ifndef SIM_COVERAGE_H
#define SIM_COVERAGE_H

#include <jansson.h>

#include "sim/sim.h"

void coverage_add(struct sim_coverage *sum, const struct sim_coverage *one);
/* A row a line, with how often (`out` may be NULL), and an object each in `rows`: {row, met,
 * can_be}. Returns how many were never met that could be. */
size_t coverage_tell(const struct sim_coverage *c, FILE *out, json_t *rows);

#endif
