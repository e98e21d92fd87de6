/* SPDX-License-Identifier: Apache-2.0 */
#include "work/slot.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "work/procfs.h"

#define MARK_BYTES     512u
#define MESSAGE_BYTES  1024u
#define SHOWN_BYTES    200        /* of a text of the job, in a sentence */
#define PIPE_BYTES_MAX (1u << 20) /* what an ordinary user's pipe can hold */
#define FIRST_LOOK_US  (200 * CLOCK_MS)

void slot_init(struct slot *s, const struct slot_shared *shared, unsigned index)
{
    *s = (struct slot){
        .shared = shared,
        .index = index,
        .cgroup = CGROUP_NONE,
        .pid = -1,
        .pidfd = -1,
        .pipes = {-1,         -1        },
        .logs = {{.fd = -1}, {.fd = -1}}
    };
    list_init(&s->link);
    buf_init(&s->message, MESSAGE_BYTES);
}

static void remove_cgroup(struct slot *s)
{
    char name[16];

    if (s->cgroup.folder >= 0) {
        snprintf(name, sizeof(name), "s%u", s->index);
        cgroup_clear(&s->cgroup);
        unlinkat(s->shared->in->cgroup.folder, name, AT_REMOVEDIR);
    }
    cgroup_close(&s->cgroup);
}

void slot_deinit(struct slot *s)
{
    assert(s->state == SLOT_FREE);
    remove_cgroup(s);
    s->room = process_room_free(s->room);
    buf_deinit(&s->message);
}

/* What a copy of a list of texts needs: its pointers, and its bytes. */
static void measure(const char *const *list, size_t *pointers, size_t *bytes)
{
    for (; *list; list++) {
        *pointers += 1;
        *bytes += strlen(*list) + 1;
    }
    *pointers += 1;
}

static const char *copy(char **at, const char *text)
{
    size_t n = strlen(text) + 1;
    char *to = *at;

    memcpy(to, text, n);
    *at += n;
    return to;
}

static const char *const *copy_list(const char ***pointers, char **at, const char *first,
                                    const char *const *list)
{
    const char *const *from = *pointers;

    if (first)
        *(*pointers)++ = copy(at, first);
    for (; *list; list++)
        if (!first || strncmp(*list, PROCFS_MARK "=", sizeof(PROCFS_MARK)) != 0)
            *(*pointers)++ = copy(at, *list);
    *(*pointers)++ = NULL;
    return from;
}

void slot_take(struct slot *s, const struct job *job)
{
    const char *name = s->shared->in->name, *outer = s->shared->outer;
    const char *const paths[] = {job->cwd,         job->out_path,      job->err_path,
                                 job->output_path, job->progress_path, NULL};
    size_t pointers = 1, bytes = 0;
    char mark[MARK_BYTES], *at;
    const char **pointer;

    if ((size_t)snprintf(mark, sizeof(mark), "%s=%s:%" PRId64 "%s%s", PROCFS_MARK, name, job->token,
                         outer ? "," : "", outer ? outer : "") >= sizeof(mark))
        snprintf(mark, sizeof(mark), "%s=%s:%" PRId64, PROCFS_MARK, name, job->token);
    measure(job->argv, &pointers, &bytes);
    measure(job->env, &pointers, &bytes);
    measure(paths, &pointers, &bytes);
    bytes += strlen(mark) + 1;

    s->texts = memory_grow(s->texts, pointers * sizeof(char *) + bytes);
    pointer = (const char **)(void *)s->texts;
    at = s->texts + pointers * sizeof(char *);
    s->argv = copy_list(&pointer, &at, NULL, job->argv);
    s->env = copy_list(&pointer, &at, mark, job->env);
    s->cwd = copy(&at, job->cwd);
    capture_init(&s->logs[TAIL_OUT], copy(&at, job->out_path));
    capture_init(&s->logs[TAIL_ERR], copy(&at, job->err_path));
    s->output_path = copy(&at, job->output_path);
    s->progress_path = copy(&at, job->progress_path);
    s->token = job->token;
    s->timeout_us = job->timeout_us;
    s->grace_us = job->grace_us;
    s->streams[0] = job->streams[0];
    s->streams[1] = job->streams[1];
    s->events = job->events;
    s->life++;
}

static bool refuse(struct slot *s, enum task_reason reason)
{
    s->refused = reason;
    return false;
}

/* The cgroup that the slot keeps, and the room. */
static int furnish(struct slot *s)
{
    int parent = s->shared->in->cgroup.folder;
    char name[16];

    if (!s->room) {
        int r = process_room_new(&s->room);

        if (r)
            return r;
    }
    if (parent < 0 || s->cgroup.folder >= 0)
        return 0;
    snprintf(name, sizeof(name), "s%u", s->index);
    return cgroup_make(parent, name, &s->cgroup);
}

/* The pipes of what is captured; the ends for the child go to `to`. */
static int make_pipes(struct slot *s, int to[2])
{
    for (int i = s->streams[1] ? TAIL_ERR : TAIL_OUT; i <= TAIL_ERR; i++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC))
            return -errno;
        s->pipes[i] = ends[0];
        to[i] = ends[1];
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

static int start(struct slot *s, const char *path)
{
    CLEANUP(memory_fd_closep) int out = -1;
    CLEANUP(memory_fd_closep) int err = -1;
    struct process_spec spec = {
        .path = path,
        .argv = s->argv,
        .env = s->env,
        .cwd = s->cwd,
        .pid_at = &s->shared->in->shared->mains[s->index],
    };
    struct rusage self;
    int to[2] = {-1, -1};
    int r = furnish(s);

    if (!r)
        r = make_pipes(s, to);
    out = to[0];
    err = to[1];
    spec.cgroup = s->cgroup.folder;
    spec.fds[0] = s->streams[0] ? s->streams[0] : s->shared->null;
    spec.fds[1] = s->streams[1] ? s->streams[1] : out;
    spec.fds[2] = err;
    getrusage(RUSAGE_SELF, &self);
    s->floor_bytes = self.ru_maxrss * 1024;
    s->started_us = clock_monotonic();
    return r ? r : process_start(s->room, &spec, &s->pid, &s->pidfd);
}

static bool try_start(struct slot *s)
{
    const char *command = s->argv[0] ? s->argv[0] : "";
    char path[PATH_MAX];
    int r = process_find(command, s->env, s->cwd, path, sizeof(path));

    if (r == PROCESS_E_MISSING) {
        const char *folders = process_path(s->env);

        buf_printf(&s->message, "the command \"%.*s\" was not found in PATH", SHOWN_BYTES, command);
        if (*folders)
            buf_printf(&s->message, " %.*s%s", SHOWN_BYTES, folders,
                       strlen(folders) > SHOWN_BYTES ? "…" : "");
        else
            buf_add(&s->message, STR(", which is empty"));
        return refuse(s, TASK_REASON_COMMAND_MISSING);
    }
    if (r == PROCESS_E_DENIED) {
        buf_printf(&s->message, "the command \"%.*s\" is in PATH, but may not be executed",
                   SHOWN_BYTES, command);
        return refuse(s, TASK_REASON_COMMAND_DENIED);
    }
    if (!r)
        r = start(s, path);
    if (r) {
        buf_printf(&s->message, "no process could be started: %s", strerror(-r));
        return refuse(s, TASK_REASON_SPAWN_FAILED);
    }
    s->deadline_us = s->timeout_us ? s->started_us + s->timeout_us : 0;
    s->progress_us = s->peak_us = s->started_us + FIRST_LOOK_US;
    return true;
}

bool slot_start(struct slot *s)
{
    bool started = try_start(s);

    for (int i = 0; i < 2; i++) {
        if (s->streams[i])
            close(s->streams[i]);
        s->streams[i] = 0;
    }
    return started;
}

static void slot_close(struct slot *s, int *fd)
{
    /* By name: closing alone does not take it out of the set as long as a child that has not
     * reached its exec holds it, too, and what is at its end wakes the loop again and again
     * meanwhile. */
    if (*fd >= 0)
        epoll_ctl(s->shared->epoll, EPOLL_CTL_DEL, *fd, NULL);
    memory_fd_closep(fd);
    *fd = -1;
}

ssize_t slot_read(struct slot *s, enum tail_stream from)
{
    char *bytes = s->shared->bytes;
    ssize_t n = read(s->pipes[from], bytes, s->shared->bytes_n);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return -EAGAIN;
    if (n <= 0) {
        slot_close(s, &s->pipes[from]);
        return 0;
    }
    if (!s->tail)
        s->tail = memory_new(sizeof(*s->tail));
    tail_add(s->tail, from, (struct str){bytes, (size_t)n});
    capture_add(&s->logs[from], (struct str){bytes, (size_t)n});
    return n;
}

/* What its processes wrote is in the pipe. A stranger who got hold of the other end may go on
 * writing, and is not waited for. */
static void drain(struct slot *s, enum tail_stream from)
{
    size_t total = 0;

    while (s->pipes[from] >= 0 && total < PIPE_BYTES_MAX) {
        ssize_t n = slot_read(s, from);

        if (n <= 0)
            break;
        total += (size_t)n;
    }
    slot_close(s, &s->pipes[from]);
    capture_end(&s->logs[from]);
}

/* A job may have made cgroups below its own: a folder of the kernel's has two links and one more
 * for each below it. One that was killed, by us or by whoever is able to, serves no other job. */
static void tidy_cgroup(struct slot *s, int status)
{
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    struct stat st;

    if (s->cgroup.killed || killed)
        remove_cgroup(s);
    else if (s->cgroup.folder >= 0 && fstat(s->cgroup.folder, &st) == 0 && st.st_nlink > 2)
        cgroup_clear(&s->cgroup);
}

void slot_end(struct slot *s, int *ret_status, struct rusage *ret_used)
{
    pid_t r;

    drain(s, TAIL_OUT);
    drain(s, TAIL_ERR);
    if (s->tail)
        tail_end(s->tail);
    /* First off the list of what is to be killed: from here on the pid may be anybody's. */
    s->shared->in->shared->mains[s->index] = 0;
    do {
        r = wait4(s->pid, ret_status, 0, ret_used);
    } while (r < 0 && errno == EINTR);
    assert(r == s->pid);
    slot_close(s, &s->pidfd);
    s->pid = -1;
    tidy_cgroup(s, *ret_status);
}

void slot_clear(struct slot *s)
{
    for (int i = 0; i < 2; i++)
        slot_close(s, &s->pipes[i]);
    free(s->tail);
    s->tail = NULL;
    free(s->texts);
    s->texts = NULL;
    s->argv = s->env = NULL;
    s->dead = s->watched = false;
    s->stopped = OUTCOME_NONE;
    s->refused = TASK_REASON_NONE;
    s->deadline_us = s->ended_us = s->peak_bytes = 0;
    s->progress = (struct output_progress){0};
    buf_clear(&s->message);
    s->state = SLOT_FREE;
}
