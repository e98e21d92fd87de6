/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code: the stable names of what can go wrong with a request, and of the reasons why something
 * waits or failed.
 *
 * A code never changes its meaning. Its exit code is what the command line ends with (DESIGN: 2
 * usage, 3 not found, 4 conflict, 5 timeout, 6 denied, 7 unavailable, 1 other), its statuses are
 * what it travels under; 499 is nginx's "client closed request".
 */
#ifndef CORE_CODE_H
#define CORE_CODE_H

#include "base/str.h"

/* X(name, text, exit code, HTTP status, gRPC status) */
#define CODES(X)                                                                                   \
    X(OK, "OK", 0, 200, 0)                                                                         \
    X(INVALID, "invalid_argument", 2, 400, 3)                                                      \
    X(TOO_LARGE, "too_large", 2, 413, 8)                                                           \
    X(UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", 2, 415, 3)                                 \
    X(NOT_ACCEPTABLE, "not_acceptable", 2, 406, 3)                                                 \
    X(WORKFLOW_INVALID, "workflow_invalid", 2, 400, 3)                                             \
    X(PARAM_INVALID, "param_invalid", 2, 400, 3)                                                   \
    X(METHOD_NOT_FOUND, "method_not_found", 3, 404, 12)                                            \
    X(METHOD_NOT_ALLOWED, "method_not_allowed", 2, 405, 12)                                        \
    X(RUN_NOT_FOUND, "run_not_found", 3, 404, 5)                                                   \
    X(TASK_NOT_FOUND, "task_not_found", 3, 404, 5)                                                 \
    X(WORKFLOW_NOT_FOUND, "workflow_not_found", 3, 404, 5)                                         \
    X(WORKER_NOT_FOUND, "worker_not_found", 3, 404, 5)                                             \
    X(QUEUE_NOT_FOUND, "queue_not_found", 3, 404, 5)                                               \
    X(STORE_NOT_FOUND, "store_not_found", 3, 404, 5)                                               \
    X(LOG_NOT_FOUND, "log_not_found", 3, 404, 5)                                                   \
    X(SERVICE_NOT_FOUND, "service_not_found", 3, 404, 5)                                           \
    X(POOL_NOT_FOUND, "pool_not_found", 3, 404, 5)                                                 \
    X(SESSION_NOT_FOUND, "session_not_found", 3, 404, 5)                                           \
    X(SESSION_LOST, "session_lost", 4, 409, 9)                                                     \
    X(SESSION_MISMATCH, "session_mismatch", 4, 409, 9)                                             \
    X(LEASE_LOST, "lease_lost", 4, 409, 9)                                                         \
    X(COMPLETION_CONFLICT, "completion_conflict", 4, 409, 9)                                       \
    X(WORKER_LOST, "worker_lost", 4, 409, 9)                                                       \
    X(WORKER_ALIVE, "worker_alive", 4, 409, 9)                                                     \
    X(RUN_ENDED, "run_ended", 4, 409, 9)                                                           \
    X(RUN_ACTIVE, "run_active", 4, 409, 9)                                                         \
    X(RUN_HELD, "run_held", 4, 409, 9)                                                             \
    X(RUN_SEALED, "run_sealed", 4, 409, 9)                                                         \
    X(TASK_STATE, "task_state", 4, 409, 9)                                                         \
    X(TASK_STARTED, "task_started", 4, 409, 9)                                                     \
    X(CHECK_FINAL, "check_final", 4, 409, 9)                                                       \
    X(CYCLE, "cycle", 4, 409, 9)                                                                   \
    X(VERSION_CONFLICT, "version_conflict", 4, 409, 10)                                            \
    X(REQUEST_CONFLICT, "request_conflict", 4, 409, 10)                                            \
    X(QUEUE_CHANGED, "queue_changed", 4, 412, 10)                                                  \
    X(IDEMPOTENCY_CONFLICT, "idempotency_conflict", 4, 409, 10)                                    \
    X(QUEUE_FULL, "queue_full", 4, 429, 8)                                                         \
    X(POOL_FULL, "pool_full", 7, 429, 8)                                                           \
    X(POOL_TIMEOUT, "pool_timeout", 5, 503, 8)                                                     \
    X(CALL_TIMEOUT, "call_timeout", 5, 504, 4)                                                     \
    X(WORKER_INIT_FAILED, "worker_init_failed", 7, 503, 14)                                        \
    X(RESOURCE_EXHAUSTED, "resource_exhausted", 7, 429, 8)                                         \
    X(RATE_LIMITED, "rate_limited", 7, 429, 8)                                                     \
    X(TIMEOUT, "timeout", 5, 504, 4)                                                               \
    X(DEADLINE_EXCEEDED, "deadline_exceeded", 5, 504, 4)                                           \
    X(CANCELLED, "cancelled", 1, 499, 1)                                                           \
    X(UNAUTHENTICATED, "unauthenticated", 6, 401, 16)                                              \
    X(PERMISSION_DENIED, "permission_denied", 6, 403, 7)                                           \
    X(UNAVAILABLE, "unavailable", 7, 503, 14)                                                      \
    X(STORE_READ_ONLY, "store_read_only", 7, 503, 14)                                              \
    X(STORE_FULL, "store_full", 7, 503, 14)                                                        \
    X(STORE_LOCKED, "store_locked", 7, 503, 14)                                                    \
    X(STORE_CORRUPT, "store_corrupt", 7, 500, 15)                                                  \
    X(STORE_NEWER, "store_newer", 7, 503, 14)                                                      \
    X(STORE_UNAVAILABLE, "store_unavailable", 7, 503, 14)                                          \
    X(INTERNAL, "internal", 1, 500, 13)

#define CODE_ENUM(name, text, exit, http, grpc) CODE_##name,
enum code { CODES(CODE_ENUM) CODE_N };

struct str code_text(enum code c);
int code_exit(enum code c);
int code_http(enum code c);
int code_grpc(enum code c);

#endif
