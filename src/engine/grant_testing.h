/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grant_testing: plans of stages that are alike, runners, rounds and answers of a test.
 *
 * For tests only; on top of engine_testing.h.
 */
#ifndef ENGINE_GRANT_TESTING_H
#define ENGINE_GRANT_TESTING_H

#include "engine/engine_testing.h"
#include "engine/grant.h"

#define S 1000000LL
#define T (1000 * S) /* when the tests begin */

#define BUILD     STR("{\"labels\":{},\"mode\":\"sync\",\"type\":\"build\"}")
#define NO_DEMAND STR("no demand")
#define ASYNC     STR("{\"labels\":{},\"mode\":\"async\",\"type\":\"build\"}")

/* A plan with n READY stages that are alike. */
struct grants_plan {
    struct str demand; /* empty: BUILD */
    size_t n;
    int64_t timeout_us, priority, max_parallel;
    const struct retry_policy *retry;
    int64_t accept_us, progress_us;
};
int64_t grants_plan(struct world *w, const struct grants_plan *p);
#define PLAN(w, ...) grants_plan((w), &(const struct grants_plan){__VA_ARGS__})

struct grants_runner {
    const char *name, *type; /* NULL: build */
    unsigned modes;          /* 0: sync */
    int64_t slots;           /* 0: 10; -1: no limit */
    struct worker_labels labels;
};
int64_t grants_runner(struct world *w, const struct grants_runner *r);
#define RUNNER(w, id, ...)                                                                         \
    grants_runner((w), &(const struct grants_runner){.name = (id), ##__VA_ARGS__})

struct grant_leases grants_round(struct world *w, const struct grant_round *req);
#define ROUND(w) grants_round((w), &(const struct grant_round){.max = GRANT_MAX})
/* A round that grants this one. */
struct grant_lease grants_one(struct world *w);

enum code grants_complete(struct world *w, struct lease_ref l, enum outcome o);
enum code grants_accept(struct world *w, struct lease_ref l);
enum code grants_refuse(struct world *w, struct lease_ref l);
struct grant_kept grants_keep(struct world *w, struct lease_ref l);

struct grant_why grants_why(struct world *w, int64_t task);
/* Leases of a worker. */
int64_t grants_busy(struct world *w, int64_t incarnation);
struct task_attempt grants_last(struct world *w, int64_t run, const char *name);

#define FILE_AND_POSTGRES(name) ENGINE_FILE_TEST(name), ENGINE_TEST(name, postgres, postgres)

#endif
