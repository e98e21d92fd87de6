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
#include "engine/sets.h"

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

struct change;

/* Checks of runs by name, as far as updates for them are asked about. */
struct check_names {
    struct check_known *list;
    size_t n;
    struct sets results, told; /* what was noted */
};
struct check_wanted {
    int64_t run;
    struct str name;
};
/* Their runs are locked. */
int check_find(struct tx *tx, const struct check_wanted *wanted, size_t n, struct check_names *ret);

/* Who tells. */
struct check_teller {
    int64_t run;
    struct str owner;
    int64_t token;
};
/* Whether these updates can be taken after those that were noted: 0 or ENGINE_E_REFUSED with
 * CHECK_FINAL, TASK_NOT_FOUND, TOO_LARGE or INVALID. Then note them, and write what was noted. */
int check_ask(struct tx *tx, struct check_names *names, int64_t run,
              const struct check_update *updates, size_t n);
void check_note(struct change *c, struct check_names *names, const struct check_teller *teller,
                const struct check_update *updates, size_t n);
int check_write(struct change *c, struct check_names *names);

/* Conclude those that change_look() noted, as far as nothing more will come for them. */
int check_conclude(struct change *c);

#endif
