/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orphans: processes of jobs whose parents died, and which the kernel gave to us.
 *
 * weft is a subreaper: whatever a job leaves behind becomes a child of weft, and is waited for
 * here. Where jobs have no cgroup, this is also how the rest of a tree is found: as long as one
 * process of it lives, either the main process lives, or one of its descendants is our child.
 *
 * Not ours are the children in weft's own session: somebody else forked them, and waits for them.
 */
#ifndef WORK_ORPHANS_H
#define WORK_ORPHANS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct orphans;

struct orphan {
    pid_t pid;
    pid_t session;
    int64_t token; /* in its mark, or -1 */
    int pidfd;     /* readable once it is dead; -1 where there was no descriptor for it */
};

/* `instance` is its name, borrowed. Returns 0 or a fault. */
int orphans_new(const char *instance, struct orphans **ret);
struct orphans *orphans_free(struct orphans *o);

/* A child that is no orphan, and is waited for by others. */
void orphans_except(struct orphans *o, pid_t pid);
void orphans_except_end(struct orphans *o, pid_t pid);
bool orphans_excepted(const struct orphans *o, pid_t pid);

/* Wait for those that are dead, and find those that are new, calling `found` for each. */
void orphans_look(struct orphans *o, void (*found)(void *context, const struct orphan *orphan),
                  void *context);

/* Those that lived at the last look, or died in the middle of it. None: nobody was left then. */
unsigned orphans_count(const struct orphans *o);
const struct orphan *orphans_at(const struct orphans *o, unsigned i);

#endif
