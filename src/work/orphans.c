/* SPDX-License-Identifier: Apache-2.0 */
#include "work/orphans.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/map.h"
#include "base/memory.h"
#include "work/procfs.h"

#define CHILDREN_BYTES ((size_t)4096)

struct orphans {
    const char *instance;
    struct map *excepted;
    int children; /* /proc/…/children, -1 where the kernel has no such file */
    pid_t self;
    pid_t session;
    struct orphan *list;
    unsigned n, cap;
    char *text; /* what was read of `children` */
    size_t text_cap;
    void (*found)(void *context, const struct orphan *orphan); /* of the look that is under way */
    void *context;
};

static struct str key_of(pid_t pid, uint64_t *number)
{
    *number = (uint64_t)pid;
    return map_key(number);
}

int orphans_new(const char *instance, struct orphans **ret)
{
    struct orphans *o;
    char path[64];

    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
        return fault(-errno);
    o = memory_new(sizeof(*o));
    o->instance = instance;
    o->excepted = map_new();
    o->self = getpid();
    o->session = getsid(0);
    /* Orphans go to the main thread; those of other threads are children that we started. */
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)o->self);
    o->children = open(path, O_RDONLY | O_CLOEXEC);
    *ret = o;
    return 0;
}

struct orphans *orphans_free(struct orphans *o)
{
    if (!o)
        return NULL;
    for (unsigned i = 0; i < o->n; i++)
        memory_fd_closep(&o->list[i].pidfd);
    memory_fd_closep(&o->children);
    map_free(o->excepted);
    free(o->list);
    free(o->text);
    free(o);
    return NULL;
}

void orphans_except(struct orphans *o, pid_t pid)
{
    uint64_t number;

    map_set(o->excepted, key_of(pid, &number), 1);
}

void orphans_except_end(struct orphans *o, pid_t pid)
{
    uint64_t number;

    map_del(o->excepted, key_of(pid, &number));
}

bool orphans_excepted(const struct orphans *o, pid_t pid)
{
    uint64_t number;

    return map_get(o->excepted, key_of(pid, &number), NULL);
}

static bool known(const struct orphans *o, pid_t pid)
{
    for (unsigned i = 0; i < o->n; i++)
        if (o->list[i].pid == pid)
            return true;
    return false;
}

static bool dead(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG | __WALL) == pid;
}

/* A child that we may not have seen before. One that has died since the children were listed may
 * have left others, who are in no list yet: so it stands for them, and is waited for by the next
 * look, before that one lists. */
static void look_at(struct orphans *o, pid_t pid)
{
    struct orphan orphan = {.pid = pid};

    if (orphans_excepted(o, pid) || known(o, pid))
        return;
    orphan.session = getsid(pid);
    if (orphan.session < 0 || orphan.session == o->session)
        return;
    /* Where no descriptor is left, nobody is told of its death, and the next look finds it. */
    orphan.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    orphan.token = procfs_token(pid, o->instance);
    if (o->n == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 16;
        o->list = memory_grow(o->list, o->cap * sizeof(*o->list));
    }
    o->list[o->n++] = orphan;
    if (o->found && orphan.pidfd >= 0)
        o->found(o->context, &orphan);
}

static void look_at_child(pid_t pid, void *context)
{
    struct orphans *o = context;
    struct procfs_stat st;

    if (procfs_stat(pid, &st) && st.parent == o->self)
        look_at(o, pid);
}

/* "12 345 …". Read whole before anybody is waited for: as long as we do not, pids only come, at its
 * end, and a file that is read in pieces skips nobody. */
static void look_at_children(struct orphans *o)
{
    size_t have = 0;
    pid_t pid = 0;
    ssize_t n;

    do {
        if (o->text_cap - have < CHILDREN_BYTES) {
            o->text_cap += CHILDREN_BYTES;
            o->text = memory_grow(o->text, o->text_cap);
        }
        n = pread(o->children, o->text + have, o->text_cap - have, (off_t)have);
        have += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    for (size_t i = 0; i < have; i++) {
        if (o->text[i] >= '0' && o->text[i] <= '9') {
            pid = pid * 10 + (o->text[i] - '0');
            continue;
        }
        if (pid)
            look_at(o, pid);
        pid = 0;
    }
}

void orphans_look(struct orphans *o, void (*found)(void *context, const struct orphan *orphan),
                  void *context)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < o->n; i++) {
        if (dead(o->list[i].pid))
            memory_fd_closep(&o->list[i].pidfd);
        else
            o->list[kept++] = o->list[i];
    }
    o->n = kept;
    o->found = found;
    o->context = context;
    if (o->children >= 0)
        look_at_children(o);
    else
        procfs_each(look_at_child, o);
}

unsigned orphans_count(const struct orphans *o)
{
    return o->n;
}

const struct orphan *orphans_at(const struct orphans *o, unsigned i)
{
    assert(i < o->n);
    return &o->list[i];
}
