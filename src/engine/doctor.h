/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor: the invariants of the whole, checked against the store, with advice; and the counts that
 * `status` shows.
 */
#ifndef ENGINE_DOCTOR_H
#define ENGINE_DOCTOR_H

#include "core/run.h"
#include "engine/tx.h"
#include "engine/worker.h"

struct doctor_check {
    struct str id;      /* snake_case, stable */
    struct str text;    /* what must hold */
    int64_t found;      /* rows that break it */
    struct str example; /* the first of them */
    struct str advice;
};

struct doctor_report {
    struct doctor_check *checks;
    size_t n;
};

struct doctor_status {
    int64_t runs[RUN_STATE_N];
    int64_t tasks[TASK_STATE_N];
    int64_t ended_runs_hour, failed_runs_hour; /* of the last hour, for health */
    struct worker_rows workers;
};

/* In a transaction of its own: it reads what has been written, not what other requests of the
 * transaction have gathered. */
int doctor_check(struct tx *tx, const void *unused, struct doctor_report *reply);
int doctor_status(struct tx *tx, const void *unused, struct doctor_status *reply);

#endif
