/* SPDX-License-Identifier: Apache-2.0 */
#include "work/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"

#define DEPTH_MAX      16u /* of cgroups that a job made below its own */
#define PROC_BYTES_MAX ((size_t)4 << 20)

static struct str next_line(struct str *text)
{
    struct str line;
    size_t n = text->n;

    str_find(*text, '\n', &n);
    line = str_sub(*text, 0, n);
    *text = str_sub(*text, n + 1, text->n);
    return line;
}

static struct str next_word(struct str *line)
{
    struct str word;
    size_t n = line->n;

    str_find(*line, ' ', &n);
    word = str_sub(*line, 0, n);
    *line = str_sub(*line, n + 1, line->n);
    return word;
}

/* mountinfo writes space, tab, newline and backslash as \040, \011, \012 and \134. */
static struct str unescape(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 3 < s.n) {
            p[n++] = (char)((s.p[i + 1] - '0') << 6 | (s.p[i + 2] - '0') << 3 | (s.p[i + 3] - '0'));
            i += 3;
        } else {
            p[n++] = s.p[i];
        }
    }
    return (struct str){p, n};
}

/* The cgroup2 that this process is in, "/user.slice/…", or an empty text. */
static struct str own_path(struct arena *a)
{
    struct str text;

    if (file_read(a, "/proc/self/cgroup", PROC_BYTES_MAX, &text))
        return (struct str){0};
    while (text.n) {
        struct str line = next_line(&text);

        if (str_starts(line, STR("0::")))
            return str_sub(line, 3, line.n);
    }
    return (struct str){0};
}

/* A mount of cgroup2: what it shows, and where. */
static bool mount_parse(struct arena *a, struct str line, struct str *ret_root, struct str *ret_at)
{
    struct str word;

    for (int i = 0; i < 3; i++) /* id, parent, device */
        next_word(&line);
    word = next_word(&line);
    *ret_root = unescape(a, word);
    word = next_word(&line);
    *ret_at = unescape(a, word);
    do { /* options, then any number of others up to a dash */
        word = next_word(&line);
    } while (line.n && !str_eq(word, STR("-")));
    return str_eq(next_word(&line), STR("cgroup2"));
}

unsigned cgroup_places(struct arena *a, const char *places[static CGROUP_PLACES_MAX])
{
    struct str own = own_path(a), text, root, at;
    unsigned n = 0;

    if (file_read(a, "/proc/self/mountinfo", PROC_BYTES_MAX, &text))
        return 0;
    while (text.n && n + 2 <= CGROUP_PLACES_MAX) {
        struct str line = next_line(&text), rest;

        if (!mount_parse(a, line, &root, &at))
            continue;
        /* Below our own first: where a service manager delegates, it delegates this one. */
        rest = str_eq(root, STR("/")) ? own : str_sub(own, root.n, own.n);
        if (rest.n > 1 && (str_eq(root, STR("/")) || str_starts(own, root)))
            places[n++] = str_printf(a, STR_FMT STR_FMT, STR_ARG(at), STR_ARG(rest)).p;
        places[n++] = str_cstr(a, at);
    }
    return n;
}

int cgroup_open(int parent, const char *name, struct cgroup *ret)
{
    struct cgroup cg = CGROUP_NONE;
    struct statfs fs;
    int r = 0;

    cg.folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (cg.folder < 0 || fstatfs(cg.folder, &fs))
        r = -errno;
    else if (fs.f_type != CGROUP2_SUPER_MAGIC)
        r = -EINVAL;
    if (!r)
        cg.events = openat(cg.folder, "cgroup.events", O_RDONLY | O_CLOEXEC);
    if (!r && cg.events < 0)
        r = -errno;
    if (r)
        cgroup_close(&cg);
    else
        *ret = cg;
    return r;
}

int cgroup_make(int parent, const char *name, struct cgroup *ret)
{
    if (mkdirat(parent, name, 0755) && errno != EEXIST)
        return -errno;
    return cgroup_open(parent, name, ret);
}

void cgroup_close(struct cgroup *cg)
{
    memory_fd_closep(&cg->folder);
    memory_fd_closep(&cg->events);
    *cg = CGROUP_NONE;
}

bool cgroup_populated(const struct cgroup *cg)
{
    char text[256];
    ssize_t n = pread(cg->events, text, sizeof(text) - 1, 0);

    if (n < 0)
        return errno != ENODEV;
    text[n] = '\0';
    return strstr(text, "populated 0") == NULL;
}

int cgroup_kill(struct cgroup *cg)
{
    CLEANUP(memory_fd_closep)
    int fd = openat(cg->folder, "cgroup.kill", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    cg->killed = true;
    return write(fd, "1", 1) == 1 ? 0 : -errno;
}

/* Call `each` with every cgroup directly below. */
static void each_below(int folder, unsigned depth,
                       void (*each)(int parent, const char *name, unsigned depth, void *context),
                       void *context)
{
    CLEANUP(memory_fd_closep) int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _Alignas(struct dirent64) char bytes[2048];
    ssize_t n;

    while (fd >= 0 && (n = getdents64(fd, bytes, sizeof(bytes))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *d = (const struct dirent64 *)(const void *)(bytes + at);

            if (d->d_type == DT_DIR && d->d_name[0] != '.')
                each(fd, d->d_name, depth, context);
            at += d->d_reclen;
        }
    }
}

struct signalling {
    int signal;
    int count;
    int error; /* of a list that could not be read */
};

static void signal_in(int folder, struct signalling *s)
{
    CLEANUP(memory_fd_closep) int fd = openat(folder, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    pid_t pid = 0; /* 0 is also what a process of a foreign pid namespace is shown as */
    char bytes[4096];
    ssize_t n;

    if (fd < 0)
        s->error = errno;
    while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] >= '0' && bytes[i] <= '9') {
                pid = pid * 10 + (bytes[i] - '0');
                continue;
            }
            if (pid > 1 && pid != getpid() && kill(pid, s->signal) == 0)
                s->count++;
            pid = 0;
        }
    }
}

static void signal_below(int parent, const char *name, unsigned depth, void *context)
{
    CLEANUP(memory_fd_closep)
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    struct signalling *s = context;

    if (folder < 0)
        s->error = errno;
    if (folder < 0 || depth > DEPTH_MAX)
        return;
    signal_in(folder, s);
    each_below(folder, depth + 1, signal_below, s);
}

int cgroup_signal(const struct cgroup *cg, int signal)
{
    struct signalling s = {.signal = signal};

    signal_below(cg->folder, ".", 0, &s);
    return s.count || !s.error ? s.count : -s.error;
}

int cgroup_wait(const struct cgroup *cg, int wait_ms)
{
    int64_t until = clock_monotonic() + wait_ms * CLOCK_MS;

    while (cgroup_populated(cg)) {
        struct pollfd p = {.fd = cg->events, .events = POLLPRI};
        int64_t left_ms = (until - clock_monotonic()) / CLOCK_MS;

        if (left_ms <= 0)
            return -ETIMEDOUT;
        /* The kernel tells; a look now and then costs nothing and needs no trust. */
        poll(&p, 1, left_ms < 100 ? (int)left_ms : 100);
    }
    return 0;
}

static void remove_below(int parent, const char *name, unsigned depth, void *context)
{
    CLEANUP(memory_fd_closep)
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (folder >= 0 && depth <= DEPTH_MAX)
        each_below(folder, depth + 1, remove_below, context);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void cgroup_clear(const struct cgroup *cg)
{
    each_below(cg->folder, 0, remove_below, NULL);
}
