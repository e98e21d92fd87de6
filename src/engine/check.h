/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: results of checks, and how they are concluded (docs/plans.md).
 *
 * A check is a passive task of a plan: nobody executes it, others tell its results. A result may
 * finalize its check: the last one that it takes. Results come with a write (plan.h) or with the
 * completion of an attempt (task.h).
 */
#ifndef ENGINE_CHECK_H
#define ENGINE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define CHECK_NAME_BYTES_MAX  200u
#define CHECK_KIND_BYTES_MAX  200u
#define CHECK_OWNER_BYTES_MAX 300u
#define CHECK_CODE_BYTES_MAX  200u
#define CHECK_TEXT_BYTES_MAX  4096u
#define CHECK_DATA_BYTES_MAX  (1u << 20)
#define CHECK_RESULTS_MAX     1000  /* of a check */
#define CHECK_UPDATES_MAX     1000u /* in a completion */

/* What is told of a check of the same run. */
struct check_update {
    struct str check;         /* its name */
    struct str data;          /* JSON; empty: null */
    bool failed;              /* with a failure: */
    struct str code, message; /* of it, either may be empty */
    bool finalize;            /* the check ends with it, FAILED where any of its results failed */
};

/* A result as it is kept. */
struct check_result {
    int64_t id;
    struct str owner; /* "STAGE:ATTEMPT", or who wrote it */
    int64_t token;    /* of that attempt; 0: none */
    struct str data;
    bool failed, final;
    struct str code, message;
    int64_t at;
};

#endif
