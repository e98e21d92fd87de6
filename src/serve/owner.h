/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owner: one server per SQLite file.
 *
 * Two servers on one file would both be its only writer and both answer for what is due. The lock
 * is on a file beside the store, is the process's own, and ends with it however it ends; commands
 * that use the store for a moment, and runs that they carry, do not take it.
 */
#ifndef SERVE_OWNER_H
#define SERVE_OWNER_H

#include "base/arena.h"
#include "base/str.h"

struct owner {
    int fd; /* -1: nothing to own */
};

enum { OWNER_E_TAKEN = 1 };

/* `url` of a store; others than a SQLite file have no owner. Returns 0, OWNER_E_TAKEN with the
 * process id of who has it (0: unknown), or a fault. */
int owner_take(struct owner *o, struct str url, int64_t *ret_pid);
void owner_drop(struct owner *o);

#endif
