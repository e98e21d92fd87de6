/* SPDX-License-Identifier: Apache-2.0 */
#include "work/tree.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "work/procfs.h"

#define DEPTH_MAX  64u  /* of descent: who goes deeper is killed, not asked */
#define CHASES_MAX 100u /* in one go, after those that fork faster than they die */

static bool in_cgroup(const struct slot *s)
{
    return s->cgroup.folder >= 0;
}

static bool of_slot(const struct slot *s, const struct orphan *o)
{
    return s->pid > 0 && (o->session == s->pid || o->token == s->token);
}

/* Whether an orphan dies with this job. */
static bool dies_with(const struct tree_keeper *k, const struct slot *s, const struct orphan *o)
{
    if (of_slot(s, o))
        return true;
    for (unsigned i = 0; i < k->slots_n; i++)
        if (of_slot(&k->slots[i], o))
            return false;
    return true;
}

struct walk {
    pid_t asked; /* the group that had its signal as a whole */
    unsigned depth;
    unsigned count;
};

static void ask(pid_t pid, void *context)
{
    struct walk *w = context;

    if (getpgid(pid) != w->asked && kill(pid, SIGTERM) == 0) {
        kill(pid, SIGCONT);
        w->count++;
    }
    if (w->depth == DEPTH_MAX)
        return;
    w->depth++;
    procfs_children(pid, ask, w);
    w->depth--;
}

/* A process that is stopped cannot answer, so SIGCONT goes with it. */
static unsigned terminate_by_descent(const struct tree_keeper *k, const struct slot *s)
{
    struct walk w = {.asked = s->pid};

    /* One that was born just now leads no group yet. */
    if (kill(-s->pid, SIGTERM) == 0 || kill(s->pid, SIGTERM) == 0) {
        kill(-s->pid, SIGCONT);
        w.count++;
    }
    if (!s->dead)
        procfs_children(s->pid, ask, &w);
    orphans_look(k->orphans, k->found, k->context);
    for (unsigned i = 0; i < orphans_count(k->orphans); i++) {
        const struct orphan *o = orphans_at(k->orphans, i);

        if (dies_with(k, s, o))
            ask(o->pid, &w);
    }
    return w.count;
}

unsigned tree_terminate(const struct tree_keeper *k, const struct slot *s)
{
    int n;

    if (!in_cgroup(s))
        return terminate_by_descent(k, s);
    n = cgroup_signal(&s->cgroup, SIGTERM);
    cgroup_signal(&s->cgroup, SIGCONT);
    if (n < 0) /* no descriptor is left, for instance; a group needs none */
        return kill(-s->pid, SIGTERM) == 0;
    return (unsigned)n;
}

/* A group lies within a session, and the session of an orphan began in its job: all of the group
 * is the job's, and dies in one step, however fast it forks. */
static void kill_orphan(const struct orphan *o)
{
    pid_t group = getpgid(o->pid);

    kill(o->pid, SIGKILL);
    if (group > 1)
        kill(-group, SIGKILL);
}

static void kill_by_descent(const struct tree_keeper *k, const struct slot *s)
{
    unsigned killed = 0;

    kill(s->pid, SIGKILL); /* it may be too young to lead a group */
    kill(-s->pid, SIGKILL);
    for (unsigned round = 0; round < CHASES_MAX; round++) {
        unsigned n = 0;

        orphans_look(k->orphans, k->found, k->context);
        for (unsigned i = 0; i < orphans_count(k->orphans); i++) {
            const struct orphan *o = orphans_at(k->orphans, i);

            if (!dies_with(k, s, o))
                continue;
            kill_orphan(o);
            n++;
        }
        if (n <= killed)
            break; /* nobody new; the rest is theirs, to die */
        killed = n;
    }
}

void tree_kill(const struct tree_keeper *k, struct slot *s)
{
    int r;

    if (!in_cgroup(s)) {
        kill_by_descent(k, s);
        return;
    }
    r = cgroup_kill(&s->cgroup);
    if (r) {
        log_say(LOG_ERROR, "cgroup_kill_failed", LOG_NUMBER("token", s->token),
                LOG_TEXT("error", str_of(strerror(-r))));
        kill(-s->pid, SIGKILL);
    }
}

bool tree_killed(const struct slot *s)
{
    return in_cgroup(s) && s->cgroup.killed;
}

bool tree_alive(const struct tree_keeper *k, const struct slot *s)
{
    if (in_cgroup(s))
        return cgroup_populated(&s->cgroup);
    orphans_look(k->orphans, k->found, k->context);
    for (unsigned i = 0; i < orphans_count(k->orphans); i++)
        if (dies_with(k, s, orphans_at(k->orphans, i)))
            return true;
    return false;
}

struct peak {
    unsigned n;
    int64_t bytes;
};

static void look_at_peak(pid_t pid, void *context)
{
    struct peak *p = context;
    int64_t bytes;

    if (p->n >= TREE_PEAK_MAX)
        return;
    p->n++;
    bytes = procfs_peak_bytes(pid);
    if (bytes > p->bytes)
        p->bytes = bytes;
    procfs_children(pid, look_at_peak, p);
}

int64_t tree_peak_bytes(const struct slot *s)
{
    struct peak p = {0};

    look_at_peak(s->pid, &p);
    return p.bytes;
}
