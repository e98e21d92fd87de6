/* SPDX-License-Identifier: Apache-2.0 */
#include "work/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "work/process.h"
#include "work/procfs.h"

#define ROUND_MS 50 /* between two looks at something that does not want to die */

int instance_boot(char out[static INSTANCE_BOOT_BYTES])
{
    CLEANUP(arena_deinit) struct arena a = {0};
    struct str text;
    int r = file_read(&a, "/proc/sys/kernel/random/boot_id", INSTANCE_BOOT_BYTES, &text);

    if (r)
        return fault(r);
    text = str_trim(text);
    snprintf(out, INSTANCE_BOOT_BYTES, STR_FMT, STR_ARG(text));
    return 0;
}

/* Whether a process can be born and live in it, and be killed in it: the only proof is to try. The
 * process that is born never becomes a program, since an empty name is none; where our own cgroup
 * was killed once, it dies before that (see struct cgroup). */
static int try_cgroup(struct cgroup *cg)
{
    const char *const nothing[] = {NULL};
    struct process_room *room = NULL;
    struct process_spec spec = {
        .path = "", .argv = nothing, .env = nothing, .cwd = "/", .cgroup = cg->folder};
    int pidfd = -1, error, r = process_room_new(&room);
    pid_t pid = -1;

    for (int i = 0; i < 3; i++)
        spec.fds[i] = cg->folder;
    if (!r)
        r = process_start(room, &spec, &pid, &pidfd);
    if (!r) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        close(pidfd);
        r = process_failure(room, &error) == PROCESS_EXEC ? cgroup_kill(cg) : -EPERM;
    }
    process_room_free(room);
    return r;
}

/* Make the cgroup below `place`. Returns 0, and the instance has it, or -errno. */
static int make_cgroup(struct instance *in, const char *place)
{
    CLEANUP(memory_fd_closep) int folder = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (folder < 0)
        return -errno;
    if ((size_t)snprintf(in->path, sizeof(in->path), "%s/%s", place, in->name) >= sizeof(in->path))
        return -ENAMETOOLONG;
    memcpy(in->shared->path, in->path, sizeof(in->path));
    r = cgroup_make(folder, in->name, &in->cgroup);
    if (!r)
        r = try_cgroup(&in->cgroup);
    if (r) {
        cgroup_close(&in->cgroup);
        unlinkat(folder, in->name, AT_REMOVEDIR);
    }
    return r;
}

void instance_settle(struct instance *in)
{
    CLEANUP(arena_deinit) struct arena a = {0};
    const char *places[CGROUP_PLACES_MAX];
    unsigned n = cgroup_places(&a, places);

    for (unsigned i = 0; i < n; i++)
        if (make_cgroup(in, places[i]) == 0)
            return;
    in->path[0] = in->shared->path[0] = '\0';
}

int instance_new(struct instance *ret)
{
    const size_t n = sizeof(*ret->shared);
    uint64_t random;
    void *shared;
    int r;

    *ret = (struct instance){.cgroup = CGROUP_NONE};
    r = instance_boot(ret->boot);
    if (r)
        return fault(r);
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return fault(-errno);
    snprintf(ret->name, sizeof(ret->name), "weft-%d-%016" PRIx64, (int)getpid(), random);
    /* cppcheck-suppress invalidFunctionArg; -1 is what belongs there */
    shared = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return fault(-errno);
    ret->shared = shared;
    return 0;
}

void instance_release(struct instance *in)
{
    cgroup_close(&in->cgroup);
    if (in->shared)
        munmap(in->shared, sizeof(*in->shared));
    in->shared = NULL;
}

/* Kill, wait, remove, until it is gone; others may be at the same work. */
static int end_cgroup(const struct instance *in, int64_t until)
{
    struct cgroup cg;
    int r = cgroup_open(AT_FDCWD, in->path, &cg);

    if (r)
        return r == -ENOENT ? 0 : r;
    for (;;) {
        int64_t left_ms = (until - clock_monotonic()) / CLOCK_MS;

        r = cgroup_kill(&cg);
        if (!r || r == -ENODEV)
            r = cgroup_wait(&cg, left_ms > ROUND_MS ? ROUND_MS : (int)left_ms);
        if (!r) {
            cgroup_clear(&cg);
            if (rmdir(in->path) == 0 || errno == ENOENT)
                break;
            r = -errno;
        }
        if ((r != -ETIMEDOUT && r != -EBUSY) || left_ms <= 0)
            break;
    }
    cgroup_close(&cg);
    return r;
}

struct round {
    const struct instance *in;
    unsigned count;
    int pidfd; /* of one that was killed, to wait for */
};

static bool is_main(const struct instance *in, pid_t pid)
{
    for (unsigned i = 0; in->shared && i < EXECUTOR_SLOTS_MAX; i++)
        if (in->shared->mains[i] == pid)
            return true;
    return false;
}

static bool belongs(const struct instance *in, pid_t pid)
{
    struct procfs_stat st;

    if (pid == getpid() || !procfs_stat(pid, &st) || st.state == 'Z' || st.state == 'X')
        return false;
    return is_main(in, pid) || (st.session && is_main(in, st.session)) ||
           procfs_token(pid, in->name) >= 0;
}

static void kill_if_ours(pid_t pid, void *context)
{
    struct round *round = context;
    int pidfd;

    if (!belongs(round->in, pid))
        return;
    round->count++;
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    /* Asked again with the pidfd in hand, so that no other process with that pid is hit. */
    if (pidfd < 0 || !belongs(round->in, pid)) {
        memory_fd_closep(&pidfd);
        return;
    }
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    memory_fd_closep(&round->pidfd);
    round->pidfd = pidfd;
}

/* Without a cgroup: round after round over all processes, until two of them in a row, at least a
 * round's time apart, have found nobody. */
static int end_marked(const struct instance *in, int64_t until)
{
    for (unsigned empty = 0; empty < 2;) {
        struct round round = {.in = in, .pidfd = -1};
        struct pollfd p;

        procfs_each(kill_if_ours, &round);
        empty = round.count ? 0 : empty + 1;
        p = (struct pollfd){.fd = round.pidfd, .events = POLLIN};
        if (clock_monotonic() < until && empty < 2)
            poll(&p, 1, ROUND_MS); /* until one is dead */
        memory_fd_closep(&round.pidfd);
        if (empty < 2 && clock_monotonic() >= until)
            return round.count ? -ETIMEDOUT : 0;
    }
    return 0;
}

int instance_end(const struct instance *in, int wait_ms)
{
    int64_t until = clock_monotonic() + wait_ms * CLOCK_MS;

    return in->path[0] ? end_cgroup(in, until) : end_marked(in, until);
}

struct str instance_site(const struct instance *in, struct arena *a)
{
    return str_printf(a, "%s:%s:%s", in->boot, in->name, in->path);
}

/* Only what weft writes: nothing of a stored text may lead to another folder than an instance's. */
static bool name_valid(const char *name)
{
    return strncmp(name, "weft-", 5) == 0 &&
           strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz-") == strlen(name);
}

bool instance_parse(struct str site, struct instance *ret)
{
    size_t first, second, path_n, name_n;
    struct str rest;

    *ret = (struct instance){.cgroup = CGROUP_NONE};
    if (!str_find(site, ':', &first) || first >= sizeof(ret->boot))
        return false;
    rest = str_sub(site, first + 1, site.n);
    if (!str_find(rest, ':', &second) || second >= sizeof(ret->name))
        return false;
    snprintf(ret->boot, sizeof(ret->boot), "%.*s", (int)first, site.p);
    snprintf(ret->name, sizeof(ret->name), "%.*s", (int)second, rest.p);
    rest = str_sub(rest, second + 1, rest.n);
    if (rest.n >= sizeof(ret->path) || str_find(rest, '\0', NULL))
        return false;
    snprintf(ret->path, sizeof(ret->path), STR_FMT, STR_ARG(rest));
    path_n = strlen(ret->path);
    name_n = strlen(ret->name);
    return name_valid(ret->name) &&
           (path_n == 0 ||
            (ret->path[0] == '/' && path_n > name_n + 1 && ret->path[path_n - name_n - 1] == '/' &&
             strcmp(ret->path + path_n - name_n, ret->name) == 0));
}
