/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grant_runner: the runners of some types as the core places stages on them, and giving back what
 * was not taken. For the files of grant.h, and for the reaper.
 */
#ifndef ENGINE_GRANT_RUNNER_H
#define ENGINE_GRANT_RUNNER_H

#include "core/placement.h"
#include "engine/change.h"
#include "engine/row.h"

struct grant_runner {
    struct str name, address;
    int64_t given; /* in this round */
    int64_t token; /* of the newest of them */
};

/* By type and id; place[i] and info[i] are of the same one. */
struct grant_runners {
    struct placement_runner *place;
    struct grant_runner *info;
    size_t n;
};

/* Those of these types that are not over; `excluded` are those whose breaker is open. */
int grant_runners_read(struct tx *tx, const struct str *types, size_t types_n,
                       const int64_t *excluded, size_t excluded_n, struct grant_runners *ret);
/* The neighbours that are of a type. */
struct grant_runners grant_runners_of(const struct grant_runners *all, struct str type);
/* How many of them serve the demand and are well. */
int64_t grant_runners_count(const struct grant_runners *some, const struct placement_demand *d);

/* What a stage has beside its task row; `refusals` are those since it was last taken. */
struct grant_plan {
    int64_t task, accept_us, progress_us, refusals;
};
/* The same of tasks by id; those that are none of a plan have zeros. ret[i] is that of ids[i]. */
int grant_plans(struct tx *tx, const int64_t *ids, size_t n, struct grant_plan *ret);

/* A stage that was not taken, its row locked with its run. */
struct grant_back {
    struct task_row *row;
    enum task_reason reason;
    struct str message;
};
/* The leases end as rejected. The caller writes the change. *ret_n counts those that did (NULL
 * allowed). */
int grant_give_back(struct change *c, const struct grant_back *list, size_t n, int64_t *ret_n);

/* When the lease of an accepted stage ends by itself, unless progress is told before; 0: none was
 * promised, its worker's heartbeat keeps it. */
int64_t grant_progress_by(int64_t now, int64_t progress_us);

/* How a sync or async lease ends that was not renewed in time. */
struct task_result grant_expiry(struct tx *tx, const struct task_row *row);

#endif
