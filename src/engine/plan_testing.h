/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_testing: plans of tests, from names in one text, by blanks.
 *
 * For tests only; on top of engine_testing.h.
 */
#ifndef ENGINE_PLAN_TESTING_H
#define ENGINE_PLAN_TESTING_H

#include "engine/engine_testing.h"
#include "engine/plan.h"

int64_t plans_create(struct world *w);
/* A list of names, at most PLANS_NAMES_MAX. */
#define PLANS_NAMES_MAX 8
size_t plans_names(struct world *w, const char *text, struct str **ret);
struct plan_group *plans_group(struct world *w, enum group_rule rule, int64_t need,
                               const char *from);
/* A stage that is claimed from the run, after these, for these checks. */
struct plan_stage plans_stage(struct world *w, const char *name, const char *after,
                              const char *checks);
struct plan_check plans_check(struct world *w, const char *name, const char *after);

struct plan_written plans_write(struct world *w, int64_t run, const struct plan_check *checks,
                                size_t checks_n, const struct plan_stage *stages, size_t stages_n);
void plans_write_stage(struct world *w, int64_t run, struct plan_stage s);
void plans_write_check(struct world *w, int64_t run, struct plan_check c);
/* As one request, that may be refused. */
int plans_try(struct world *w, int64_t run, const struct plan_stage *s);
enum run_state plans_seal(struct world *w, int64_t run);
enum run_state plans_state(struct world *w, int64_t run);
const char *plans_state_name(struct world *w, int64_t run, const char *name);

/* Take a READY stage and start it, as granting does. */
struct task_lease plans_take(struct world *w, int64_t run, const char *name);
enum code plans_end(struct world *w, const struct task_lease *l, enum outcome o,
                    const struct check_update *updates, size_t n);
/* Take it and end it. */
void plans_do(struct world *w, int64_t run, const char *name, enum outcome o);

#define CHECK_STATE(w, run, name, state) assert_string_equal(plans_state_name(w, run, name), state)

#endif
