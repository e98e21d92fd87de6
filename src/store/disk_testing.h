/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_testing: the disk and the memory below SQLite, as a test wants them.
 *
 * For tests only; one thread. It is a VFS that SQLite takes for its default one, below the store's
 * own, and an allocator around SQLite's. While nothing is asked of it, it passes on what it gets.
 */
#ifndef STORE_DISK_TESTING_H
#define STORE_DISK_TESTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Once, before the program uses SQLite. */
void disk_testing_begin(void);

enum disk_call {
    DISK_OPEN,
    DISK_READ,
    DISK_WRITE, /* half of it arrives */
    DISK_TRUNCATE,
    DISK_SYNC,
    DISK_DELETE,
    DISK_LOCK,
    DISK_INDEX, /* of the log, in shared memory */
    DISK_MEMORY,
    DISK_CALL_N
};

struct disk_fault {
    unsigned calls; /* bits 1 << DISK_x, which are counted together */
    int n;          /* the n-th of them fails, from 1 */
    bool full;      /* writes fail for want of room */
    bool stays;     /* and so do all that follow */
};

/* From now on, counted from 1. */
void disk_testing_fail(const struct disk_fault *fault);
/* End that, and tell whether anything has failed. */
bool disk_testing_mend(void);

/* How many calls of that kind there were since disk_testing_begin(). */
int64_t disk_testing_count(enum disk_call call);

/* What was done to files, in order; of a sync and a deletion only that it was. */
struct disk_step {
    enum disk_call call; /* DISK_WRITE, DISK_TRUNCATE, DISK_SYNC, DISK_DELETE */
    const char *path;
    int64_t at; /* of a truncation, the size that is left */
    const char *bytes;
    size_t n;
};

struct disk_tape {
    struct arena memory;
    struct disk_step *steps;
    size_t n, max;
};

/* Record what is done from here on; NULL: no more. */
void disk_testing_record(struct disk_tape *tape);
void disk_tape_deinit(struct disk_tape *tape);

#endif
