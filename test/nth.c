/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nth: run a program whose n-th system call of a kind fails.
 *
 *     nth [-n N] [-e ERRNO] [-s] [-a CALL] [-p PART] [-l FILE] CALL[,CALL]... PROGRAM [ARGUMENT]...
 *
 * The calls are counted together, in all threads of the program and in none of its children; the
 * N-th returns ERRNO (a number) without being done, with -s each later one, too. N 0 fails none.
 * -a counts from the first call of another kind on. -p counts only calls on descriptors whose file
 * has PART in its path. FILE gets a line for each call that was counted: its name, and the file.
 * The kinds: see `calls`.
 *
 * The kernel asks us about each such call (seccomp user notifications), so that it does not matter
 * through which library a call comes, nor in which thread. The exit status is the program's, or 128
 * and its signal; it is waited for until all its children have ended, too.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS_MAX 16

static const struct call {
    const char *name;
    int number;
    bool on_file; /* its first argument is a descriptor */
} calls[] = {
    {"write",         SYS_write,         true },
    {"pwrite",        SYS_pwrite64,      true },
    {"ftruncate",     SYS_ftruncate,     true },
    {"fsync",         SYS_fsync,         true },
    {"fdatasync",     SYS_fdatasync,     true },
    {"connect",       SYS_connect,       false},
    {"socket",        SYS_socket,        false},
    {"pipe2",         SYS_pipe2,         false},
    {"openat",        SYS_openat,        false},
    {"clone",         SYS_clone,         false},
    {"clone3",        SYS_clone3,        false},
    {"mmap",          SYS_mmap,          false}, /* of memory, not of files */
    {"brk",           SYS_brk,           false},
    {"epoll_create1", SYS_epoll_create1, false},
    {"eventfd2",      SYS_eventfd2,      false},
};

static struct {
    long n, seen;
    int error;
    bool stays;
    const char *part;
    FILE *log;
    const struct call *after; /* it has not come yet; NULL: what comes counts */
    const struct call *chosen[CALLS_MAX];
    size_t chosen_n;
    pid_t program;
} asked = {.error = EIO};

static void usage(void)
{
    fprintf(
        stderr,
        "usage: nth [-n N] [-e ERRNO] [-s] [-a CALL] [-p PART] [-l FILE] CALL,... PROGRAM...\n");
    exit(2);
}

static const struct call *choose_one(const char *name)
{
    size_t i = 0;

    while (i < sizeof(calls) / sizeof(calls[0]) && strcmp(calls[i].name, name) != 0)
        i++;
    if (i == sizeof(calls) / sizeof(calls[0]) || asked.chosen_n == CALLS_MAX)
        usage();
    return asked.chosen[asked.chosen_n++] = &calls[i];
}

static void choose(char *list)
{
    for (char *comma; (comma = strchr(list, ',')); list = comma + 1) {
        *comma = '\0';
        choose_one(list);
    }
    choose_one(list);
}

/* A filter that hands the chosen calls over. Returns the descriptor on which they are asked about.
 */
static int filter(void)
{
    struct sock_filter code[CALLS_MAX + 3];
    struct sock_fprog program = {.filter = code};
    size_t n = 0;

    code[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < asked.chosen_n; i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                 (unsigned)asked.chosen[i]->number,
                                                 (unsigned char)(asked.chosen_n - i), 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    program.len = (unsigned short)n;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                        &program);
}

static void give(int to, int fd)
{
    char byte = 0, room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec v = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    if (sendmsg(to, &m, 0) < 0)
        _exit(126);
}

static int take(int from)
{
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec v = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    int fd = -1;

    if (recvmsg(from, &m, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&m))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    return fd;
}

/* Whether a thread belongs to the program itself. */
static bool is_program(pid_t thread)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/task/%d", asked.program, thread);
    return access(path, F_OK) == 0;
}

static const struct call *call_of(int number)
{
    for (size_t i = 0; i < asked.chosen_n; i++)
        if (asked.chosen[i]->number == number)
            return asked.chosen[i];
    return NULL;
}

/* What to answer: 0, go on; or an errno. */
static int judge(const struct seccomp_notif *q)
{
    const struct call *c = call_of(q->data.nr);
    char link[64], path[4096] = "";
    ssize_t n;

    if (!c || !is_program((pid_t)q->pid))
        return 0;
    if (asked.after) {
        if (asked.after == c)
            asked.after = NULL;
        return 0;
    }
    if (c->number == SYS_mmap && !(q->data.args[3] & MAP_ANONYMOUS))
        return 0;
    if (c->on_file) {
        snprintf(link, sizeof(link), "/proc/%d/fd/%d", asked.program, (int)q->data.args[0]);
        n = readlink(link, path, sizeof(path) - 1);
        path[n > 0 ? n : 0] = '\0';
    }
    if (asked.part && !strstr(path, asked.part))
        return 0;
    asked.seen++;
    if (asked.log)
        fprintf(asked.log, "%s %s\n", c->name, path);
    return asked.n && (asked.seen == asked.n || (asked.stays && asked.seen > asked.n)) ? asked.error
                                                                                       : 0;
}

static void answer(int listener)
{
    struct seccomp_notif q = {0};
    struct seccomp_notif_resp a = {0};

    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &q))
        return;
    a.id = q.id;
    a.error = -judge(&q);
    a.flags = a.error ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    if (q.data.nr == SYS_brk)
        a.error = 0; /* it has no errors: what it returns is the end, here one too low */
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &a);
}

static int start(char **argv)
{
    int ends[2], listener;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return -1;
    asked.program = fork();
    if (asked.program == 0) {
        /* The way to the other side must stay open to calls that are asked about. */
        listener = filter();
        if (listener < 0)
            _exit(126);
        give(ends[1], listener);
        close(listener);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(ends[1]);
    listener = take(ends[0]);
    close(ends[0]);
    return listener;
}

static long number(const char *text)
{
    long n = 0;

    while (*text >= '0' && *text <= '9')
        n = n * 10 + (*text++ - '0');
    if (*text)
        usage();
    return n;
}

int main(int argc, char **argv)
{
    int option, listener, status;
    struct pollfd p;

    while ((option = getopt(argc, argv, "+n:e:sa:p:l:")) != -1) {
        if (option == 'n')
            asked.n = number(optarg);
        else if (option == 'e')
            asked.error = (int)number(optarg);
        else if (option == 's')
            asked.stays = true;
        else if (option == 'a')
            asked.after = choose_one(optarg);
        else if (option == 'p')
            asked.part = optarg;
        else if (option == 'l')
            asked.log = fopen(optarg, "we");
        else
            usage();
    }
    if (argc - optind < 2)
        usage();
    choose(argv[optind]);
    listener = start(argv + optind + 1);
    if (listener < 0) {
        fprintf(stderr, "nth: this system hands no calls over\n");
        return 125;
    }
    p = (struct pollfd){.fd = listener, .events = POLLIN};
    while (poll(&p, 1, -1) >= 0 || errno == EINTR) {
        if (p.revents & POLLIN)
            answer(listener);
        else if (p.revents & POLLHUP)
            break;
    }
    if (asked.log)
        fclose(asked.log);
    waitpid(asked.program, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
