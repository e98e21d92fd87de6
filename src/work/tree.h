/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree: the processes of one job: asked to end, killed, and proven dead.
 *
 * In a cgroup the kernel keeps the list, and nothing escapes. Without one a tree is held together
 * by descent: as long as a process of it lives, the main process does, or an orphan is our child
 * (orphans.h). Whose an orphan is tells its session or its mark; one that hides both is
 * everybody's, and ends with the next job that ends.
 */
#ifndef WORK_TREE_H
#define WORK_TREE_H

#include <stdbool.h>

#include "work/instance.h"
#include "work/orphans.h"
#include "work/slot.h"

struct tree_keeper {
    const struct instance *in;
    struct orphans *orphans;
    const struct slot *slots;
    unsigned slots_n;
    void (*found)(void *context, const struct orphan *orphan); /* an orphan that is new */
    void *context;
};

/* Ask every process of it to end; returns how many could be asked. */
unsigned tree_terminate(const struct tree_keeper *k, const struct slot *s);

/* Kill every process of it. In a cgroup once is enough, if it worked (tree_killed()); else again
 * whenever one has died. */
void tree_kill(const struct tree_keeper *k, struct slot *s);

bool tree_killed(const struct slot *s);

/* Whether any lives besides the main process, which is dead. */
bool tree_alive(const struct tree_keeper *k, const struct slot *s);

/* The most memory that one of its processes ever had in use, of the first TREE_PEAK_MAX that
 * descend from the main one. */
#define TREE_PEAK_MAX 32u
int64_t tree_peak_bytes(const struct slot *s);

#endif
