/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup: a cgroup of version 2, as a fence around processes that none of them can leave.
 *
 * No controllers and no limits: only to be born in, killed in, and seen empty. Nothing here
 * allocates, so that the guardian may use it after a fork.
 */
#ifndef WORK_CGROUP_H
#define WORK_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

struct cgroup {
    int folder;
    int events; /* cgroup.events: has POLLPRI when it changed since it was read */
    /* Linux since 6.12 counts the kills of a cgroup and compares the count with that of the
     * parent's cgroup when a child is born into it: whoever is born into one that was killed is
     * killed. */
    bool killed;
};

#define CGROUP_NONE ((struct cgroup){.folder = -1, .events = -1})

#define CGROUP_PLACES_MAX 4u

/* The folders where a cgroup of ours may be allowed, the best first; in the arena. Returns how many
 * there are, none where no cgroup2 is mounted. */
unsigned cgroup_places(struct arena *a, const char *places[static CGROUP_PLACES_MAX]);

/* Make it below the folder `parent`, or take the one that is there. Returns 0 or -errno. */
int cgroup_make(int parent, const char *name, struct cgroup *ret);

/* Open it; a folder that is no cgroup is -EINVAL. */
int cgroup_open(int parent, const char *name, struct cgroup *ret);
void cgroup_close(struct cgroup *cg);

/* Whether a process lives in it or below. One that cannot be read any more is gone, and empty. */
bool cgroup_populated(const struct cgroup *cg);

/* SIGKILL to every process in it and below, those that fork meanwhile included. Returns 0 or
 * -errno. */
int cgroup_kill(struct cgroup *cg);

/* A signal to every process in it and below that can be seen now. Returns how many those were, or
 * -errno where none can be seen. */
int cgroup_signal(const struct cgroup *cg, int signal);

/* Wait until it is empty. Returns 0 or -ETIMEDOUT; wait_ms 0 only looks. */
int cgroup_wait(const struct cgroup *cg, int wait_ms);

/* Remove the cgroups below an empty one. */
void cgroup_clear(const struct cgroup *cg);

#endif
