/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulator: the simulator of this program, as the command line sees it.
 */
#ifndef CLIENT_SIMULATOR_H
#define CLIENT_SIMULATOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client/client.h"

struct simulator_flags {
    uint64_t seed;       /* the first; 0: 1 */
    int64_t runs;        /* so many seeds from there on; 0: 1 */
    int64_t steps;       /* of a history at most; 0: until it rests */
    int64_t jobs;        /* processes; 0: as many as there are processors */
    const char *profile; /* NULL: "storm"; "all": all of them in turns */
    const char *file;    /* a history that was saved, in place of all of the above; NULL: none */
    const char *save;    /* the file that a history is written to, as a test; NULL: none */
    bool trace, minimize, progress;
    FILE *out; /* what is told; NULL: nothing is, the report says it */
    FILE *err;
};

enum { SIMULATOR_E_FAILED = 1, SIMULATOR_E_REFUSED };

/* Returns 0 where every check held, SIMULATOR_E_FAILED where one failed, both with a report, and
 * SIMULATOR_E_REFUSED and a problem for what could not be done. The report is owned by the caller:
 * one history is {seed, profile, outcome, steps, duration, faults, …}, a sweep that none fails
 * {seed, histories, outcome, rows: [{row, met, can_be}], …}. */
typedef int simulate(const struct simulator_flags *flags, json_t **ret_report,
                     struct client_problem *ret_problem);

#endif
