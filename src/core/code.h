/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code: the stable names of what can go wrong with a request, and of the reasons why something
 * waits or failed.
 *
 * A code never changes its meaning. Its exit code is what the command line ends with (DESIGN: 2
 * usage, 3 not found, 4 conflict, 5 timeout, 6 denied, 7 unavailable, 1 other).
 */
#ifndef CORE_CODE_H
#define CORE_CODE_H

#include "base/str.h"

/* X(name, text, exit code) */
#define CODES(X)                                                                                   \
    X(OK, "ok", 0)                                                                                 \
    X(INVALID, "invalid_argument", 2)                                                              \
    X(TOO_LARGE, "too_large", 2)                                                                   \
    X(WORKFLOW_INVALID, "workflow_invalid", 2)                                                     \
    X(PARAM_INVALID, "param_invalid", 2)                                                           \
    X(RUN_NOT_FOUND, "run_not_found", 3)                                                           \
    X(TASK_NOT_FOUND, "task_not_found", 3)                                                         \
    X(WORKFLOW_NOT_FOUND, "workflow_not_found", 3)                                                 \
    X(WORKER_NOT_FOUND, "worker_not_found", 3)                                                     \
    X(QUEUE_NOT_FOUND, "queue_not_found", 3)                                                       \
    X(STORE_NOT_FOUND, "store_not_found", 3)                                                       \
    X(LOG_NOT_FOUND, "log_not_found", 3)                                                           \
    X(LEASE_LOST, "lease_lost", 4)                                                                 \
    X(COMPLETION_CONFLICT, "completion_conflict", 4)                                               \
    X(WORKER_LOST, "worker_lost", 4)                                                               \
    X(WORKER_ALIVE, "worker_alive", 4)                                                             \
    X(RUN_ENDED, "run_ended", 4)                                                                   \
    X(RUN_ACTIVE, "run_active", 4)                                                                 \
    X(RUN_HELD, "run_held", 4)                                                                     \
    X(TASK_STATE, "task_state", 4)                                                                 \
    X(QUEUE_FULL, "queue_full", 4)                                                                 \
    X(TIMEOUT, "timeout", 5)                                                                       \
    X(PERMISSION_DENIED, "permission_denied", 6)                                                   \
    X(STORE_READ_ONLY, "store_read_only", 7)                                                       \
    X(STORE_FULL, "store_full", 7)                                                                 \
    X(STORE_LOCKED, "store_locked", 7)                                                             \
    X(STORE_CORRUPT, "store_corrupt", 7)                                                           \
    X(STORE_NEWER, "store_newer", 7)                                                               \
    X(STORE_UNAVAILABLE, "store_unavailable", 7)                                                   \
    X(INTERNAL, "internal", 1)

#define CODE_ENUM(name, text, exit) CODE_##name,
enum code { CODES(CODE_ENUM) CODE_N };

struct str code_text(enum code c);
int code_exit(enum code c);

#endif
