/* SPDX-License-Identifier: Apache-2.0 */
#include "work/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

/* The mark is the first variable that a job is given; who moves it behind so many bytes of others
 * is found by its session instead. */
#define ENVIRON_BYTES_MAX (128u << 10)
#define NEEDLE_BYTES      128u

static int open_of(pid_t pid, const char *name)
{
    char path[96];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

bool procfs_stat(pid_t pid, struct procfs_stat *ret)
{
    CLEANUP(memory_fd_closep) int fd = open_of(pid, "stat");
    char text[1024], *rest;
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    int parent, group, session;
    int64_t start;

    if (n <= 0)
        return false;
    text[n] = '\0';
    /* The name before it is in parentheses and may hold any byte, parentheses too. */
    rest = strrchr(text, ')');
    if (!rest || sscanf(rest,
                        ") %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                        "%" SCNd64,
                        &ret->state, &parent, &group, &session, &start) != 5)
        return false;
    ret->parent = parent;
    ret->group = group;
    ret->session = session;
    ret->start = start;
    return true;
}

int64_t procfs_token(pid_t pid, const char *instance)
{
    CLEANUP(memory_fd_closep) int fd = open_of(pid, "environ");
    char bytes[ENVIRON_BYTES_MAX], needle[NEEDLE_BYTES];
    size_t needle_n = (size_t)snprintf(needle, sizeof(needle), "%s:", instance);
    size_t have = 0;
    ssize_t n;

    if (fd < 0 || needle_n >= sizeof(needle))
        return -1;
    while ((n = read(fd, bytes + have, sizeof(bytes) - 1 - have)) > 0)
        have += (size_t)n;
    bytes[have] = '\0';
    for (const char *at = bytes, *hit;
         (hit = memmem(at, have - (size_t)(at - bytes), needle, needle_n)); at = hit + 1) {
        int64_t token;

        if (hit > bytes && (hit[-1] == '=' || hit[-1] == ',') &&
            sscanf(hit + needle_n, "%" SCNd64, &token) == 1 && token >= 0)
            return token;
    }
    return -1;
}

int64_t procfs_peak_bytes(pid_t pid)
{
    CLEANUP(memory_fd_closep) int fd = open_of(pid, "status");
    char text[4096], *at;
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    int64_t kb;

    if (n <= 0)
        return 0;
    text[n] = '\0';
    at = strstr(text, "\nVmHWM:");
    return at && sscanf(at, "\nVmHWM: %" SCNd64, &kb) == 1 ? kb * 1024 : 0;
}

int64_t procfs_resident_bytes(pid_t pid)
{
    CLEANUP(memory_fd_closep) int fd = open_of(pid, "statm");
    char text[128];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    int64_t pages;

    if (n <= 0)
        return 0;
    text[n] = '\0';
    return sscanf(text, "%*d %" SCNd64, &pages) == 1 ? pages * sysconf(_SC_PAGESIZE) : 0;
}

/* Call `each` with every entry of a folder that is a number, while it has room for few: what is
 * read ahead is old when its turn comes. */
static void each_number(int fd, void (*each)(int number, void *context), void *context)
{
    _Alignas(struct dirent64) char bytes[512];
    ssize_t n;

    while (fd >= 0 && (n = getdents64(fd, bytes, sizeof(bytes))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *d = (const struct dirent64 *)(const void *)(bytes + at);
            int number;

            if (sscanf(d->d_name, "%d", &number) == 1)
                each(number, context);
            at += d->d_reclen;
        }
    }
}

struct children {
    pid_t parent;
    void (*each)(pid_t child, void *context);
    void *context;
};

static void children_of_thread(int thread, void *context)
{
    const struct children *c = context;
    char name[48], bytes[4096];
    pid_t pid = 0;
    ssize_t n;

    snprintf(name, sizeof(name), "task/%d/children", thread);
    CLEANUP(memory_fd_closep) int fd = open_of(c->parent, name);
    while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] >= '0' && bytes[i] <= '9') {
                pid = pid * 10 + (bytes[i] - '0');
                continue;
            }
            if (pid)
                c->each(pid, c->context);
            pid = 0;
        }
    }
}

void procfs_children(pid_t pid, void (*each)(pid_t child, void *context), void *context)
{
    struct children c = {pid, each, context};
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    CLEANUP(memory_fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    each_number(fd, children_of_thread, &c);
}

void procfs_each(void (*each)(pid_t pid, void *context), void *context)
{
    CLEANUP(memory_fd_closep) int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    each_number(fd, each, context);
}
