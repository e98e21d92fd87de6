/* SPDX-License-Identifier: Apache-2.0 */
#include "work/work_testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "work/procfs.h"

#define WATCHDOG_MS 60000

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing more happened for %d s", WATCHDOG_MS / 1000);
}

static char *text_of(struct str s)
{
    char *p = memory_new(s.n + 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    return p;
}

static void on_done(void *context, int64_t token, const struct job_result *r)
{
    struct testing *t = context;
    struct testing_end *end = &t->ends[token];

    assert_false(end->done);
    *end = (struct testing_end){
        .done = true,
        .outcome = r->outcome,
        .reason = r->reason,
        .exit_code = r->exit_code,
        .signal = r->signal,
        .run_us = r->run_us,
        .cpu_us = r->cpu_us,
        .max_rss_bytes = r->max_rss_bytes,
        .done_at_us = clock_monotonic(),
        .message = text_of(r->message),
        .err = text_of(r->stderr_tail),
        .output = text_of(r->output),
    };
    t->done++;
    if (t->on_done)
        t->on_done(t, token);
    uv_stop(&t->loop);
}

static void on_line(void *context, int64_t token, struct str line)
{
    struct testing *t = context;

    t->lines++;
    snprintf(t->line, sizeof(t->line), STR_FMT, STR_ARG(line));
    if (t->on_line)
        t->on_line(t, token);
    uv_stop(&t->loop);
}

static void on_progress(void *context, int64_t token, int percent, struct str text)
{
    struct testing *t = context;

    (void)token;
    t->progresses++;
    t->percent = percent;
    snprintf(t->progress, sizeof(t->progress), STR_FMT, STR_ARG(text));
    uv_stop(&t->loop);
}

static int begin(void **state, enum executor_rung rung)
{
    struct testing *t = memory_new(sizeof(*t));
    struct executor_options options = {
        .loop = &t->loop,
        .slots = TESTING_SLOTS,
        .events = {t, on_done, on_line, on_progress},
    };

    t->rung = rung;
    snprintf(t->folder, sizeof(t->folder), "/tmp/weft-test-XXXXXX");
    if (!mkdtemp(t->folder) || uv_loop_init(&t->loop) || guardian_new_on(rung, &t->guardian))
        return -1;
    options.guardian = t->guardian;
    uv_timer_init(&t->loop, &t->watchdog);
    *state = t;
    return executor_new(&options, &t->ex);
}

int testing_in_cgroup(void **state)
{
    return begin(state, EXECUTOR_CGROUP);
}

int testing_in_group(void **state)
{
    return begin(state, EXECUTOR_GROUP);
}

struct testing *testing_of(void **state)
{
    struct testing *t = *state;

    if (executor_rung(t->ex) != t->rung) {
        print_message("no cgroup2 that this user may write\n");
        skip();
    }
    return t;
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *d;

    /* cppcheck-suppress readdirCalled; nobody else has this one */
    while (dir && (d = readdir(dir))) {
        if (d->d_name[0] == '.')
            continue;
        if (unlinkat(dirfd(dir), d->d_name, 0))
            unlinkat(dirfd(dir), d->d_name, AT_REMOVEDIR);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

int testing_end(void **state)
{
    struct testing *t = *state;

    /* Of a test that failed; its jobs are not the next one's. */
    executor_stop_all(t->ex, EXECUTOR_KILL);
    t->on_done = NULL;
    t->on_line = NULL;
    testing_wait(t);
    t->ex = executor_free(t->ex);
    uv_close((uv_handle_t *)&t->watchdog, NULL);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&t->loop))
        return -1;
    t->guardian = guardian_free(t->guardian);
    for (unsigned i = 0; i < TESTING_JOBS_MAX; i++) {
        free(t->ends[i].message);
        free(t->ends[i].err);
        free(t->ends[i].output);
    }
    remove_folder(t->folder);
    free(t);
    return 0;
}

/* Lives until the test ends: there are few. */
char *testing_path(struct testing *t, const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", t->folder, name);
    return path;
}

int64_t testing_start(struct testing *t, struct testing_job job)
{
    int64_t token = ++t->started;
    const char *const shell[] = {"sh", "-c", job.script, NULL};
    char name[64], output[160], progress[160];
    const char *env[8] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", output, progress};
    struct job j = {
        .token = token,
        .argv = job.argv ? job.argv : shell,
        .env = job.env ? job.env : env,
        .cwd = job.cwd ? job.cwd : t->folder,
        .timeout_us = job.timeout_us,
        .grace_us = job.grace_us ? job.grace_us : 5 * CLOCK_S,
        .streams = {job.streams[0], job.streams[1]},
    };

    assert_in_range(token, 1, TESTING_JOBS_MAX - 1);
    snprintf(name, sizeof(name), "%" PRId64 ".out", token);
    j.out_path = job.out_path ? job.out_path : testing_path(t, name);
    snprintf(name, sizeof(name), "%" PRId64 ".err", token);
    j.err_path = testing_path(t, name);
    snprintf(name, sizeof(name), "%" PRId64 ".output", token);
    j.output_path = testing_path(t, name);
    snprintf(name, sizeof(name), "%" PRId64 ".progress", token);
    j.progress_path = testing_path(t, name);
    snprintf(output, sizeof(output), "WEFT_OUTPUT=%s", j.output_path);
    snprintf(progress, sizeof(progress), "WEFT_PROGRESS=%s", j.progress_path);
    executor_start(t->ex, &j);
    return token;
}

static void turn(struct testing *t)
{
    uv_timer_start(&t->watchdog, on_watchdog, WATCHDOG_MS, 0);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&t->watchdog);
}

void testing_wait(struct testing *t)
{
    while (t->done < t->started)
        turn(t);
}

void testing_wait_for(struct testing *t, const bool *flag)
{
    while (!*flag)
        turn(t);
}

struct testing_end *testing_run(struct testing *t, struct testing_job job)
{
    int64_t token = testing_start(t, job);

    testing_wait_for(t, &t->ends[token].done);
    return &t->ends[token];
}

char *testing_read(struct testing *t, const char *name, size_t *ret_n)
{
    CLEANUP(arena_deinit) struct arena a = {0};
    struct str text = {0};

    if (file_read(&a, testing_path(t, name), SIZE_MAX / 2, &text))
        text = (struct str){0};
    if (ret_n)
        *ret_n = text.n;
    return text_of(text);
}

struct marked {
    const char *instance;
    unsigned count;
};

static void count_marked(pid_t pid, void *context)
{
    struct marked *m = context;
    struct procfs_stat st;

    if (procfs_token(pid, m->instance) >= 0 && procfs_stat(pid, &st) && st.state != 'Z')
        m->count++;
}

unsigned testing_marked(const char *instance)
{
    struct marked m = {.instance = instance};

    procfs_each(count_marked, &m);
    return m.count;
}

static void count_one(pid_t pid, void *context)
{
    (void)pid;
    ++*(unsigned *)context;
}

unsigned testing_children(void)
{
    unsigned n = 0;

    procfs_children(getpid(), count_one, &n);
    return n;
}

static void count_zombie(pid_t pid, void *context)
{
    struct procfs_stat st;

    if (procfs_stat(pid, &st) && st.state == 'Z')
        ++*(unsigned *)context;
}

unsigned testing_zombies(void)
{
    unsigned n = 0;

    procfs_children(getpid(), count_zombie, &n);
    return n;
}

unsigned testing_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    /* cppcheck-suppress readdirCalled; nobody else has this one */
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

int64_t testing_rss_bytes(void)
{
    char text[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    int64_t pages = 0;

    close(fd);
    assert_true(n > 0 && sscanf(text, "%*d %" SCNd64, &pages) == 1);
    return pages * sysconf(_SC_PAGESIZE);
}
