/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guardian: a small process that outlives weft by a moment and leaves nothing of it alive.
 *
 * It is forked before weft has threads, holds one end of a pipe, and sleeps. When the pipe closes,
 * whatever killed weft, it kills every process of this instance and waits until they are dead. What
 * the instance is and where its processes are found is its *site*: a text that is stored with the
 * worker, so that the next program on this machine can end what is left even if the guardian died
 * too.
 */
#ifndef WORK_GUARDIAN_H
#define WORK_GUARDIAN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/str.h"
#include "work/executor.h"

struct guardian;
struct instance;

/* Before any thread is started. Probes the machine, makes the instance's cgroup where it can,
 * forks. */
int guardian_new(struct guardian **ret);
/* The ordinary end: nothing runs any more; the guardian and the cgroup go. */
struct guardian *guardian_free(struct guardian *g);

/* Borrowed; the same for the whole life. */
struct str guardian_site(const struct guardian *g);

/* Who this process is, for the worker's row: the machine's name, its boot with the pid namespace
 * ("<boot id>/<number>", in which alone a pid means something), this pid and its start time. */
struct guardian_self {
    struct str host, boot;
    int64_t pid, pid_start;
};
struct guardian_self guardian_self(struct arena *a);

/* Whether the process of that record still lives (same boot and pid namespace, same pid with the
 * same start time). */
bool guardian_alive(struct str boot, int64_t pid, int64_t pid_start);

/* Whether that record is of another boot than the present one, whatever its pid namespace. Where
 * either is unknown, it is not. */
bool guardian_rebooted(struct str boot);

/* End every process of a site of this machine's present boot and prove it; 0 also where nothing was
 * left. -ETIMEDOUT after wait_ms. */
int guardian_clean(struct str site, int wait_ms);

/* For the executor: the instance, and a descriptor that is readable once the guardian is dead. */
const struct instance *guardian_instance(const struct guardian *g);
int guardian_pidfd(const struct guardian *g);
pid_t guardian_pid(const struct guardian *g);

enum { GUARDIAN_E_SOON = 1 };

/* Fork another one in place of one that died; the descriptor changes. Returns 0, GUARDIAN_E_SOON
 * (the last one lived for less than a second, and there is none now) or a fault. */
int guardian_renew(struct guardian *g);

/* As guardian_new(), on no better rung than this one: for tests. */
int guardian_new_on(enum executor_rung best, struct guardian **ret);

#endif
