/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_edit: what one write does, task by task: made, edited or left as it is; the rows of all that
 * are gathered and written with a few statements.
 */
#ifndef ENGINE_PLAN_EDIT_H
#define ENGINE_PLAN_EDIT_H

#include "engine/change.h"
#include "engine/plan_follow.h"
#include "engine/plan_nodes.h"

/* A check or stage as a write wants it. */
struct plan_wish {
    struct plan_node *node;
    bool check;
    struct str payload; /* empty: as it is */
    /* All of these are the node's own where they were left out. */
    struct str kind, key, retry, needs, goals;
    int64_t gate, timeout_us, accept_us, progress_us, priority;
    bool planning, planned; /* of a check, as asked for */
    bool regroups;          /* its dependencies are others */
    const struct plan_group *groups;
    size_t groups_n;
    const struct plan_assignment *assignments;
    size_t assignments_n;
};

/* A task that was there and may move on, once all is written. */
struct plan_turn {
    int64_t task;
    bool met; /* else it is to be skipped, for this reason: */
    struct str detail;
};

struct plan_edit {
    struct tx *tx;
    const struct plan_write *req;
    struct run_row *run;
    struct plan_nodes nodes;
    struct change change;
    int64_t *ids;           /* drawn, the next one first */
    struct task_row writer; /* id 0: none */
    int64_t made_n;
    bool edited;
    struct sets tasks, extras, groups, edges, wanted, planned;
    struct sets edits, extra_edits, drops, side_puts;
    struct plan_some *some; /* groups that are met as they are written, by id */
    size_t some_n, some_cap;
    struct plan_turn *turns;
    size_t turns_n, turns_cap;
};

/* A plan, locked; RUN_NOT_FOUND, INVALID where it is none. */
int plan_lock(struct tx *tx, int64_t id, struct run_row *ret);

/* INVALID, TOO_LARGE, TASK_STARTED, CHECK_FINAL. */
int plan_wish_check(struct plan_edit *e, const struct plan_check *c, struct plan_wish *ret);
int plan_wish_stage(struct plan_edit *e, const struct plan_stage *s, struct plan_wish *ret);
/* How many ids it takes at most. */
size_t plan_wish_ids(const struct plan_wish *w);
/* Gather what it takes; the node has its id already. */
int plan_wish_apply(struct plan_edit *e, const struct plan_wish *w);
/* The edges of its assignments, after all checks of the write have their groups. */
int plan_wish_assign(struct plan_edit *e, const struct plan_wish *w);
/* What tasks that are edited waited for leaves, before others look at what waits for what. */
int plan_edit_drop(struct plan_edit *e);
/* Write what was gathered, and make the moves that follow. */
int plan_edit_write(struct plan_edit *e);

#endif
