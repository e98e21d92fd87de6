/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs: what /proc tells about processes that are not ours to wait for.
 *
 * Every process of a job has in its environment, unless it took it out, the mark
 * WEFT_INSTANCE=<name of the instance>:<token>, and behind a comma the mark of the job that this
 * weft itself is in, if it is. Nothing here allocates, so that the guardian may use it after a
 * fork.
 */
#ifndef WORK_PROCFS_H
#define WORK_PROCFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCFS_MARK "WEFT_INSTANCE"

struct procfs_stat {
    char state; /* Z and X are dead */
    pid_t parent;
    pid_t group;
    pid_t session;
    int64_t start; /* in ticks since the machine started: with the pid, the name of a process */
};

/* False where there is no such process. */
bool procfs_stat(pid_t pid, struct procfs_stat *ret);

/* The token in the mark of an instance, or -1 where the process has none or may not be asked. */
int64_t procfs_token(pid_t pid, const char *instance);

/* The most memory that it ever had in use, or 0. */
int64_t procfs_peak_bytes(pid_t pid);

/* What it has in use now, or 0. */
int64_t procfs_resident_bytes(pid_t pid);

/* The children of a process, of all its threads. */
void procfs_children(pid_t pid, void (*each)(pid_t child, void *context), void *context);

/* Every process, in the order of pids, each as late as possible: one that was made meanwhile is
 * seen, too, unless the pids wrapped round. */
void procfs_each(void (*each)(pid_t pid, void *context), void *context);

#endif
