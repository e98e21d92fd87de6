/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: many callers at once against a running server, and how long each call took.
 *
 * Each caller is a connection of HTTP/1.1 that makes one call after the other and waits for each
 * reply (a closed loop), so that what is measured is what as many clients would see together.
 */
#ifndef CLIENT_LOAD_H
#define CLIENT_LOAD_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

#define LOAD_CALLERS_MAX 4096
#define LOAD_BATCH_MAX   10000
#define LOAD_BYTES_MAX   (64 << 10) /* of a payload */
#define LOAD_RATE_MAX    100000
#define LOAD_COUNT_MAX   100000000LL

/* ENQUEUE adds tasks. LIVES takes and completes what is there. START adds `rate` tasks a second,
 * one by one, while callers wait for them: how long until one has it. */
enum load_kind { LOAD_ENQUEUE, LOAD_LIVES, LOAD_START };

struct load_options {
    const char *host, *port;
    const char *queue; /* letters, digits, '-' and '_': it is put into the path as it is */
    enum load_kind kind;
    int64_t callers;
    int64_t batch; /* tasks a call */
    int64_t count; /* tasks in all */
    int64_t rate;
    int64_t payload_bytes; /* about */
};

struct load_result {
    int64_t tasks;
    int64_t calls;
    int64_t us;
    /* Of a call; for LOAD_START from the adding of a task until somebody has it. */
    int64_t p50_us, p95_us, p99_us, max_us;
};

enum { LOAD_E_FAILED = 1 };

/* Blocks. Returns 0, LOAD_E_FAILED with one sentence (the server does not answer, or refuses), or a
 * fault. */
int load_run(struct arena *a, const struct load_options *options, struct load_result *ret,
             struct str *ret_error);

#endif
