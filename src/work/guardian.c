/* SPDX-License-Identifier: Apache-2.0 */
#include "work/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "work/instance.h"
#include "work/procfs.h"

#define END_WAIT_MS   60000 /* for processes that hang in the kernel; the next start tries again */
#define LEAVE_WAIT_MS 2000
#define RENEW_US      CLOCK_S
#define PIPE_FD       3
#define BOOT_BYTES    (INSTANCE_BOOT_BYTES + 21u) /* a slash and a number of 64 bits */
#define LEAVE         'q'                         /* what weft writes when it ends in order */

struct guardian {
    struct instance in;
    struct arena arena;
    struct str site;
    int pipe; /* our end; nobody else has it */
    pid_t pid;
    int pidfd;
    int64_t born_us;
};

/* The guardian's life. It is forked, maybe from a program with threads: it allocates nothing and
 * takes no lock. */
static _Noreturn void guard(struct instance *in, int pipe)
{
    sigset_t all;
    char byte;
    ssize_t n;
    int null;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    prctl(PR_SET_NAME, "weft-guardian");
    /* Nothing of weft's may stay open here: not the pipe behind `weft run | less`, not a lock. */
    if (pipe != PIPE_FD)
        dup2(pipe, PIPE_FD);
    null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    syscall(SYS_close_range, PIPE_FD + 1, ~0U, 0);
    if (chdir("/"))
        _exit(1);

    do {
        n = read(PIPE_FD, &byte, 1);
    } while (n < 0 && errno == EINTR);
    if (n == 1 && byte == LEAVE)
        _exit(0);
    memcpy(in->path, in->shared->path, sizeof(in->path));
    _exit(instance_end(in, END_WAIT_MS) ? 1 : 0);
}

static int start(struct guardian *g)
{
    int ends[2];

    /* A pipe, but one that raises no SIGPIPE. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return fault(-errno);
    g->pid = fork();
    if (g->pid == 0)
        guard(&g->in, ends[0]);
    close(ends[0]);
    if (g->pid < 0) {
        close(ends[1]);
        return fault(-errno);
    }
    g->pipe = ends[1];
    g->born_us = clock_monotonic();
    g->pidfd = (int)syscall(SYS_pidfd_open, g->pid, 0);
    return g->pidfd < 0 ? fault(-errno) : 0;
}

/* Wait for one that is dead or about to be; one that hangs is killed. */
static void reap(struct guardian *g)
{
    struct pollfd p = {.fd = g->pidfd, .events = POLLIN};

    memory_fd_closep(&g->pipe);
    if (g->pid <= 0)
        return;
    if (g->pidfd < 0 || poll(&p, 1, LEAVE_WAIT_MS) == 0)
        kill(g->pid, SIGKILL);
    while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    memory_fd_closep(&g->pidfd);
    g->pid = g->pidfd = g->pipe = -1;
}

int guardian_new_on(enum executor_rung best, struct guardian **ret)
{
    struct guardian *g = memory_new(sizeof(*g));
    int r;

    g->pipe = g->pidfd = g->pid = -1;
    r = instance_new(&g->in);
    if (!r)
        r = start(g);
    if (r) {
        guardian_free(g);
        return fault(r);
    }
    /* With the guardian there already, no moment is left in which a cgroup has nobody to end it. */
    if (best == EXECUTOR_CGROUP)
        instance_settle(&g->in);
    g->site = instance_site(&g->in, &g->arena);
    *ret = g;
    return 0;
}

int guardian_new(struct guardian **ret)
{
    return fault(guardian_new_on(EXECUTOR_CGROUP, ret));
}

struct guardian *guardian_free(struct guardian *g)
{
    const char leave = LEAVE;
    int r = 0;

    if (!g)
        return NULL;
    /* While the guardian is still there. Without a cgroup there is nothing to give back. */
    if (g->in.path[0])
        r = instance_end(&g->in, LEAVE_WAIT_MS);
    if (r)
        log_say(LOG_WARNING, "cgroup_left", LOG_TEXT("path", str_of(g->in.path)),
                LOG_TEXT("error", str_of(strerror(-r))));
    if (g->pipe >= 0 && send(g->pipe, &leave, 1, MSG_NOSIGNAL) != 1)
        log_say(LOG_DEBUG, "guardian_gone", LOG_NUMBER("pid", g->pid));
    reap(g);
    instance_release(&g->in);
    arena_deinit(&g->arena);
    free(g);
    return NULL;
}

struct str guardian_site(const struct guardian *g)
{
    return g->site;
}

const struct instance *guardian_instance(const struct guardian *g)
{
    return &g->in;
}

int guardian_pidfd(const struct guardian *g)
{
    return g->pidfd;
}

pid_t guardian_pid(const struct guardian *g)
{
    return g->pid;
}

int guardian_renew(struct guardian *g)
{
    int64_t lived_us = clock_monotonic() - g->born_us;
    int r;

    reap(g);
    if (lived_us < RENEW_US)
        return GUARDIAN_E_SOON;
    r = start(g);
    return fault(r);
}

/* The boot of the machine with the pid namespace. Returns 0 or a fault. */
static int boot_of(char out[static BOOT_BYTES])
{
    char boot[INSTANCE_BOOT_BYTES];
    struct stat st;
    int r = instance_boot(boot);

    if (!r && stat("/proc/self/ns/pid", &st))
        r = -errno;
    if (r)
        return fault(r);
    snprintf(out, BOOT_BYTES, "%s/%" PRIu64, boot, (uint64_t)st.st_ino);
    return 0;
}

struct guardian_self guardian_self(struct arena *a)
{
    char boot[BOOT_BYTES] = "", host[256] = "";
    struct procfs_stat st = {0};

    /* Where /proc tells nothing, the boot is unknown, and no record is ever taken for ours. */
    if (boot_of(boot) || !procfs_stat(getpid(), &st))
        boot[0] = '\0';
    if (gethostname(host, sizeof(host) - 1))
        host[0] = '\0';
    return (struct guardian_self){
        .host = str_copy(a, str_of(host)),
        .boot = str_copy(a, str_of(boot)),
        .pid = getpid(),
        .pid_start = st.start,
    };
}

bool guardian_alive(struct str boot, int64_t pid, int64_t pid_start)
{
    char ours[BOOT_BYTES];
    struct procfs_stat st;

    return pid > 0 && pid <= INT32_MAX && boot_of(ours) == 0 && str_eq(boot, str_of(ours)) &&
           procfs_stat((pid_t)pid, &st) && st.state != 'Z' && st.state != 'X' &&
           st.start == pid_start;
}

bool guardian_rebooted(struct str boot)
{
    char ours[INSTANCE_BOOT_BYTES];
    size_t end;

    if (!str_find(boot, '/', &end))
        end = boot.n;
    return end > 0 && instance_boot(ours) == 0 && !str_eq(str_sub(boot, 0, end), str_of(ours));
}

int guardian_clean(struct str site, int wait_ms)
{
    char boot[INSTANCE_BOOT_BYTES];
    struct instance in;
    int r;

    if (!instance_parse(site, &in))
        return fault(-EINVAL);
    r = instance_boot(boot);
    if (!r && strcmp(boot, in.boot) == 0)
        r = instance_end(&in, wait_ms);
    return fault(r);
}
