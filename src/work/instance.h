/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance: one life of weft on a machine, as the place of all its processes.
 *
 * Where the machine allows, that is a cgroup; elsewhere a mark in the environment of every process
 * and the list of their sessions, in memory shared with the guardian. Its *site* says in one text
 * how it is found by others.
 */
#ifndef WORK_INSTANCE_H
#define WORK_INSTANCE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "work/cgroup.h"
#include "work/executor.h"

#define INSTANCE_NAME_BYTES 48u /* "weft-4194304-0123456789abcdef" */
#define INSTANCE_BOOT_BYTES 40u

/* Shared with the guardian, which was forked before much of it was known. */
struct instance_shared {
    char path[PATH_MAX]; /* of its cgroup; set before that is made */
    /* The main process of the job in each slot, 0 for none: so that whoever comes after us finds
     * those that left no other trace. */
    volatile pid_t mains[EXECUTOR_SLOTS_MAX];
};

struct instance {
    char name[INSTANCE_NAME_BYTES];
    char boot[INSTANCE_BOOT_BYTES]; /* which start of the machine: pids mean nothing in another */
    char path[PATH_MAX];            /* of its cgroup; empty where it has none */
    struct cgroup cgroup;
    struct instance_shared *shared; /* NULL in an instance of others */
};

/* Make one without a cgroup. Returns 0 or a fault. */
int instance_new(struct instance *ret);

/* Give it a cgroup, where the machine allows. Whatever kills us meanwhile, the guardian knows. */
void instance_settle(struct instance *in);

/* Give back what it holds here. */
void instance_release(struct instance *in);

/* Kill every process of it, wait until the last one is dead, and remove its cgroup. Returns 0, also
 * where nothing was left, -ETIMEDOUT, or -errno. Allocates nothing. */
int instance_end(const struct instance *in, int wait_ms);

/* Its site, and what is behind a site. A text that no weft wrote is refused with false. */
struct str instance_site(const struct instance *in, struct arena *a);
bool instance_parse(struct str site, struct instance *ret);

/* The machine's boot id. Returns 0 or a fault. */
int instance_boot(char out[static INSTANCE_BOOT_BYTES]);

#endif
