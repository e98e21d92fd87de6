/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulator: the simulator of this program, as the command line sees it.
 */
#ifndef CLIENT_SIMULATOR_H
#define CLIENT_SIMULATOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct simulator_flags {
    uint64_t seed;       /* the first; 0: 1 */
    int64_t runs;        /* so many seeds from there on; 0: 1 */
    int64_t steps;       /* of a history at most; 0: until it rests */
    int64_t jobs;        /* processes; 0: 1 */
    const char *profile; /* NULL: "storm"; "all": all of them in turns */
    const char *save;    /* the file that a failure is written to, as a test; NULL: none */
    bool trace, minimize, progress;
    FILE *out, *err;
};

/* Returns the exit status: 0 where every check held, 1 where one failed, 2 for what cannot be
 * meant. */
typedef int simulate(const struct simulator_flags *flags);

#endif
