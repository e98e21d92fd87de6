/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: one execution of a workflow.
 *
 *     RUNNING --cancel--> CANCELLING --ended--> CANCELLED
 *        |                     (all its tasks final)
 *        +--ended--> FAILED (some task FAILED), CANCELLED (some task CANCELLED) or SUCCEEDED
 *     FAILED, CANCELLED --retry--> RUNNING
 *
 * It ends when its last open task ends, and never before.
 */
#ifndef CORE_RUN_H
#define CORE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define RUN_STATES(X)  X(RUNNING) X(CANCELLING) X(SUCCEEDED) X(FAILED) X(CANCELLED)
#define RUN_ENUM(name) RUN_##name,
enum run_state { RUN_STATES(RUN_ENUM) RUN_STATE_N };

#define RUN_EVENTS(X)        X(CANCEL) X(ENDED) X(RETRY)
#define RUN_EVENT_ENUM(name) RUN_EVENT_##name,
enum run_event { RUN_EVENTS(RUN_EVENT_ENUM) RUN_EVENT_N };

#define RUN_REASONS(X)                                                                             \
    X(NONE, "")                                                                                    \
    X(TASKS_FAILED, "tasks_failed")                                                                \
    X(CANCELLED, "cancelled")                                                                      \
    X(RETRIED, "retried")
#define RUN_REASON_ENUM(name, text) RUN_REASON_##name,
enum run_reason { RUN_REASONS(RUN_REASON_ENUM) RUN_REASON_N };

struct run {
    enum run_state state;
    enum run_reason reason;
    int64_t open;      /* tasks that are not final */
    int64_t failed;    /* tasks that are FAILED */
    int64_t cancelled; /* tasks that are CANCELLED; looked at where none is open */
};

enum { RUN_E_REFUSED = 1 };

/* Make the move of the first row that matches; RUN_E_REFUSED changes nothing. *ret_why is the row's
 * sentence (NULL allowed). */
int run_move(struct run *r, enum run_event event, const char **ret_why);
bool run_final(enum run_state s);

struct str run_state_text(enum run_state s);
bool run_state_parse(struct str s, enum run_state *ret);
struct str run_reason_text(enum run_reason r);

struct buf;
void run_diagram(struct buf *out);

#endif
