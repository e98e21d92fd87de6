/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn_floor: what starting and reaping processes costs when nothing else is done.
 *
 *     spawn_floor [-j N] COUNT PROGRAM [ARGUMENT]...
 *
 * Starts PROGRAM COUNT times, N (the number of processors) at once, each with /dev/null as stdin, a
 * pipe each for stdout and stderr, a session of its own and no other descriptor; reads the pipes to
 * their end with epoll and reaps with wait4. Prints one line: count, seconds, microseconds each.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "spawn_floor: %s: %s\n", what, strerror(error));
    exit(1);
}

struct child {
    pid_t pid;
    int fds[2]; /* the reading ends; -1 once at their end */
};

/* What every child is given: /dev/null, and the writing ends `to` of its pipes. */
static void spawn(struct child *c, char **argv, const posix_spawnattr_t *attr, int null,
                  const int to[2])
{
    posix_spawn_file_actions_t actions;
    int r;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, null, 0);
    posix_spawn_file_actions_adddup2(&actions, to[0], 1);
    posix_spawn_file_actions_adddup2(&actions, to[1], 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    r = posix_spawn(&c->pid, argv[0], &actions, attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (r)
        die(argv[0], r);
}

static void start(struct child *c, unsigned index, char **argv, const posix_spawnattr_t *attr,
                  int null, int epoll)
{
    int to[2];

    for (unsigned i = 0; i < 2; i++) {
        int p[2];
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = index * 2 + i};

        if (pipe2(p, O_CLOEXEC) || fcntl(p[0], F_SETFL, O_NONBLOCK))
            die("pipe", errno);
        c->fds[i] = p[0];
        to[i] = p[1];
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &event))
            die("epoll", errno);
    }
    spawn(c, argv, attr, null, to);
    close(to[0]);
    close(to[1]);
}

/* True once both pipes are at their end and the child is reaped. */
static int ended(struct child *c, unsigned which)
{
    static char bytes[65536];
    struct rusage used;
    ssize_t n = read(c->fds[which], bytes, sizeof(bytes));

    if (n > 0 || (n < 0 && errno == EAGAIN))
        return 0;
    close(c->fds[which]);
    c->fds[which] = -1;
    if (c->fds[0] >= 0 || c->fds[1] >= 0)
        return 0;
    if (wait4(c->pid, NULL, 0, &used) != c->pid)
        die("wait4", errno);
    return 1;
}

int main(int argc, char **argv)
{
    long at_once = sysconf(_SC_NPROCESSORS_ONLN);
    long count, started = 0, done = 0;
    struct timespec from, to;
    posix_spawnattr_t attr;
    struct child *children;
    sigset_t all, none;
    int null, epoll, option;

    while ((option = getopt(argc, argv, "+j:")) != -1)
        if (option != 'j' || sscanf(optarg, "%ld", &at_once) != 1)
            at_once = 0;
    if (argc - optind < 2 || at_once < 1 || sscanf(argv[optind], "%ld", &count) != 1 || count < 1) {
        fprintf(stderr, "usage: spawn_floor [-j N] COUNT PROGRAM [ARGUMENT]...\n");
        return 2;
    }
    argv += optind + 1;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    children = calloc((size_t)at_once, sizeof(*children));
    if (null < 0 || epoll < 0 || !children)
        die("start", errno);
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setsigmask(&attr, &none);

    clock_gettime(CLOCK_MONOTONIC, &from);
    for (; started < at_once && started < count; started++)
        start(&children[started], (unsigned)started, argv, &attr, null, epoll);
    while (done < count) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, -1);

        for (int i = 0; i < n; i++) {
            unsigned index = events[i].data.u32 / 2;

            if (!ended(&children[index], events[i].data.u32 % 2))
                continue;
            done++;
            if (started < count) {
                start(&children[index], index, argv, &attr, null, epoll);
                started++;
            }
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &to);

    double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    printf("%ld processes in %.3f s, %.1f us each\n", count, seconds,
           seconds * 1e6 / (double)count);
    free(children);
    return 0;
}
