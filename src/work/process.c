/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child shares our memory (CLONE_VM) and we do not wait for its exec (no CLONE_VFORK): with
 * the wait, the loop sleeps through half of each start, and a machine with two processors starts
 * a third fewer processes (docs/performance.md). The price is a rule: until exec the child runs
 * beside us on the same memory, and on the same thread-local storage. So it calls nothing of libc,
 * not even what sets errno, only the kernel; and what it reads does not change until it is dead.
 *
 * Born into a cgroup is a feature of clone3, which has no wrapper in glibc that takes a stack.
 * Where no cgroup is asked for, glibc's clone() does, on every machine, and also where a container
 * forbids clone3.
 */
#include "work/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROOM_STACK_BYTES (32u << 10) /* the child uses a few hundred */
#define ROOM_GUARD_BYTES (64u << 10) /* a page of any machine */

#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"

/* At the upper end of its mapping; the stack grows down from it, towards the guard. */
struct process_room {
    struct process_spec spec;
    char path[PATH_MAX];
    void *mapping;
    size_t mapping_bytes;
    volatile int step;
    volatile int error;
};

int process_room_new(struct process_room **ret)
{
    size_t bytes = ROOM_GUARD_BYTES + ROOM_STACK_BYTES + sizeof(struct process_room);
    struct process_room *room;
    /* cppcheck-suppress invalidFunctionArg; -1 is what belongs there */
    char *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (mapping == MAP_FAILED)
        return -errno;
    if (mprotect(mapping, ROOM_GUARD_BYTES, PROT_NONE)) {
        int error = errno;

        munmap(mapping, bytes);
        return -error;
    }
    room = (struct process_room *)(void *)(mapping + ROOM_GUARD_BYTES + ROOM_STACK_BYTES);
    room->mapping = mapping;
    room->mapping_bytes = bytes;
    *ret = room;
    return 0;
}

struct process_room *process_room_free(struct process_room *room)
{
    if (room)
        munmap(room->mapping, room->mapping_bytes);
    return NULL;
}

/* Sanitizers keep their books in thread-local storage, which the child shares with its parent. */
#define IN_CHILD                                                                                   \
    __attribute__((no_sanitize("address"), no_sanitize("undefined"), no_sanitize("thread")))

/* A system call that leaves errno alone. */
IN_CHILD static inline long kernel(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    long r;

    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return r;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;

    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#else
    /* errno is the parent's, too: see the flags in start_plain(). */
    long r = syscall(number, a, b, c, d);

    return r == -1 ? -errno : r;
#endif
}

/* What the kernel calls a sigaction, all of it zero, and a set of 64 signals. */
struct kernel_action {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

IN_CHILD static _Noreturn void fail(struct process_room *room, enum process_step step, long r)
{
    room->error = (int)-r;
    room->step = step;
    for (;;)
        kernel(SYS_exit_group, 127, 0, 0, 0);
}

IN_CHILD static void signals_default(void)
{
    const struct kernel_action action = {0};
    const uint64_t none = 0;

    /* Handlers end with exec by themselves; what is ignored would stay so. */
    for (int s = 1; s <= 64; s++)
        if (s != SIGKILL && s != SIGSTOP)
            kernel(SYS_rt_sigaction, s, (long)&action, 0, sizeof(action.mask));
    kernel(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof(none));
}

/* The life of the child before exec. */
IN_CHILD static int child(void *context)
{
    struct process_room *room = context;
    const struct process_spec *spec = &room->spec;
    long r;

    if (spec->pid_at)
        *spec->pid_at = (pid_t)kernel(SYS_getpid, 0, 0, 0, 0);
    kernel(SYS_setsid, 0, 0, 0, 0);
    signals_default();
    r = kernel(SYS_chdir, (long)spec->cwd, 0, 0, 0);
    if (r < 0)
        fail(room, PROCESS_CWD, r);
    for (int i = 0; i < 3; i++) {
        r = kernel(SYS_dup3, spec->fds[i], i, 0, 0);
        if (r < 0)
            fail(room, PROCESS_FDS, r);
    }
    /* Ours close by themselves; a library may have opened one that does not. Linux before 5.9 has
     * no such call, and then ours are all there are. */
    kernel(SYS_close_range, 3, ~0U, 0, 0);
    r = kernel(SYS_execve, (long)spec->path, (long)spec->argv, (long)spec->env, 0);
    fail(room, PROCESS_EXEC, r);
}

/* clone3 with a stack: the child calls child(room) there and never comes back. Returns -ENOSYS
 * where nobody has written the instructions. */
static long clone3_child(struct clone_args *args, struct process_room *room)
{
#if defined(__x86_64__)
    register int (*r8)(void *) __asm__("r8") = child;
    register void *r9 __asm__("r9") = room;
    long r;

    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r9, %%rdi\n\t"
                     "call *%%r8\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(r)
                     : "a"(SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory", "cc");
    return r;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = (long)args;
    register long x1 __asm__("x1") = sizeof(*args);
    register int (*x2)(void *) __asm__("x2") = child;
    register void *x3 __asm__("x3") = room;

    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x30, xzr\n\t"
                     "mov x0, x3\n\t"
                     "blr x2\n\t"
                     "brk #0\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3)
                     : "memory", "cc");
    return x0;
#else
    (void)args, (void)room;
    return -ENOSYS;
#endif
}

static long start_in_cgroup(struct process_room *room, int *ret_pidfd)
{
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP,
        .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)room - ROOM_STACK_BYTES,
        .stack_size = ROOM_STACK_BYTES,
        .cgroup = (uint64_t)room->spec.cgroup,
    };

    return clone3_child(&args, room);
}

static long start_plain(struct process_room *room, int *ret_pidfd)
{
    int flags = CLONE_VM | CLONE_PIDFD | SIGCHLD;
    int r;

#if !defined(__x86_64__) && !defined(__aarch64__)
    flags |= CLONE_VFORK; /* kernel() sets errno there: the parent must not run meanwhile */
#endif
    r = clone(child, room, flags, room, ret_pidfd);
    return r < 0 ? -errno : r;
}

int process_start(struct process_room *room, const struct process_spec *spec, pid_t *ret_pid,
                  int *ret_pidfd)
{
    const uint64_t all = ~UINT64_C(0);
    uint64_t before;
    int pidfd = -1;
    long r;

    if ((size_t)snprintf(room->path, sizeof(room->path), "%s", spec->path) >= sizeof(room->path))
        return -ENAMETOOLONG;
    room->spec = *spec;
    room->spec.path = room->path;
    room->step = PROCESS_RAN;
    room->error = 0;
    /* No handler of ours may run in the child. The kernel's own call, since libc's leaves its
     * private signals open. */
    kernel(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof(all));
    r = spec->cgroup >= 0 ? start_in_cgroup(room, &pidfd) : start_plain(room, &pidfd);
    kernel(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before));
    if (r < 0)
        return (int)r;
    *ret_pid = (pid_t)r;
    *ret_pidfd = pidfd;
    return 0;
}

enum process_step process_failure(const struct process_room *room, int *ret_error)
{
    *ret_error = room->error;
    return (enum process_step)room->step;
}

const char *process_program(const struct process_room *room)
{
    return room->path;
}

const char *process_path(const char *const *env)
{
    for (; *env; env++)
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    return PATH_DEFAULT;
}

/* Whether this is a program; `error` is kept when it is none. */
static bool executable(const char *path, int *error)
{
    struct stat st;

    if (stat(path, &st))
        return false;
    if (S_ISREG(st.st_mode) && access(path, X_OK) == 0)
        return true;
    *error = PROCESS_E_DENIED;
    return false;
}

int process_find(const char *command, const char *const *env, const char *cwd, char *out,
                 size_t out_bytes)
{
    const char *path = process_path(env);
    int error = PROCESS_E_MISSING;

    if (strchr(command, '/')) {
        int n = snprintf(out, out_bytes, "%s", command);

        return (size_t)n < out_bytes ? 0 : -ENAMETOOLONG;
    }
    if (!*command || strlen(command) > NAME_MAX)
        return PROCESS_E_MISSING;
    for (;;) {
        size_t n = strcspn(path, ":");
        char full[PATH_MAX];
        int full_n, out_n;

        /* As everywhere, an empty folder is the present one. */
        out_n = snprintf(out, out_bytes, "%.*s%s%s", (int)n, path, n ? "/" : "./", command);
        full_n = snprintf(full, sizeof(full), "%s%s%s", *out == '/' ? "" : cwd,
                          *out == '/' ? "" : "/", out);
        if ((size_t)out_n < out_bytes && (size_t)full_n < sizeof(full) && executable(full, &error))
            return 0;
        if (!path[n])
            return error;
        path += n + 1;
    }
}
