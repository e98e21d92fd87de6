/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group: a dependency group, edges from tasks with one trigger rule over them.
 *
 * It counts what has ended and never looks at the tasks again, so that an edge costs constant work.
 * A task waits until all its groups are met; one group that cannot be met any more skips it.
 */
#ifndef CORE_GROUP_H
#define CORE_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define GROUP_RULES(X)                                                                             \
    X(ALL_SUCCESS, "all_success") /* every one succeeded */                                        \
    X(ALL_DONE, "all_done")       /* every one ended, however */                                   \
    X(ONE_SUCCESS, "one_success") /* at least one succeeded */                                     \
    X(ONE_DONE, "one_done")       /* at least one ended, however */                                \
    X(AT_LEAST, "at_least")       /* at least `need` succeeded */
#define GROUP_ENUM(name, text) GROUP_##name,
enum group_rule { GROUP_RULES(GROUP_ENUM) GROUP_RULE_N };

/* What follows when it is met. */
#define GROUP_ROLES(X)                                                                             \
    X(START, "start")     /* its task waits for it */                                              \
    X(PLAN, "plan")       /* its check is no longer edited */                                      \
    X(SPAWNED, "spawned") /* its stage added these while it ran, and awaits them */                \
    X(FINAL, "final")     /* its check has no stage left that would answer it */
#define GROUP_ROLE_ENUM(name, text) GROUP_ROLE_##name,
enum group_role { GROUP_ROLES(GROUP_ROLE_ENUM) GROUP_ROLE_N };

struct group {
    enum group_rule rule;
    int64_t need;      /* of AT_LEAST, 1 … total */
    int64_t total;     /* edges; 0 of ALL_DONE alone: it waits, nobody has said for whom */
    int64_t done;      /* of them ended, SKIPPED and CANCELLED included */
    int64_t succeeded; /* of those with success */
    int64_t missing;   /* edges to what will never be: they neither end nor succeed */
};

enum group_verdict { GROUP_WAITING, GROUP_MET, GROUP_IMPOSSIBLE };

/* The invariants of a group that is judged or explained. */
bool group_sound(const struct group *g);

enum group_verdict group_judge(const struct group *g);

struct str group_rule_text(enum group_rule r);
bool group_rule_parse(struct str s, enum group_rule *ret);
struct str group_role_text(enum group_role r);
bool group_role_parse(struct str s, enum group_role *ret);

/* "2 of 3 ended, 1 succeeded; needs every one to succeed": for `why`. Returns the text in `out`. */
#define GROUP_TEXT_BYTES 160
struct str group_explain(const struct group *g, char out[static GROUP_TEXT_BYTES]);

#endif
