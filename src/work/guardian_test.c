/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of weft, however it comes. This program is also the weft that dies: `--host RUNG` starts
 * jobs of every kind, says where they are, and waits.
 */
#include "work/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "work/instance.h"
#include "work/procfs.h"
#include "work/work_testing.h"

#define DEATH_US   (2 * CLOCK_S) /* what is promised */
#define NOBODY     65534
#define BOOT_OTHER "00000000-0000-0000-0000-000000000000"

static char self[PATH_MAX]; /* the path of this program */

/* ---- The host. ---- */

static void chain(void)
{
    int64_t until = clock_monotonic() + 60 * CLOCK_S;

    while (clock_monotonic() < until) {
        if (fork() > 0)
            _exit(0);
        setsid();
    }
    _exit(0);
}

struct host {
    struct guardian *guardian;
    unsigned lines;
    unsigned jobs;
};

static void on_done(void *context, int64_t token, const struct job_result *result)
{
    (void)context;
    fprintf(stderr, "job %" PRId64 " ended: " STR_FMT "\n", token, STR_ARG(result->message));
    _exit(9);
}

/* Once every job has said that it is there, the host says it, too. */
static void on_line(void *context, int64_t token, struct str line)
{
    struct host *h = context;

    (void)token, (void)line;
    if (++h->lines < h->jobs)
        return;
    printf("%d " STR_FMT "\n", (int)guardian_pid(h->guardian), STR_ARG(guardian_site(h->guardian)));
    fflush(stdout);
}

static int host(enum executor_rung rung)
{
    char chains[PATH_MAX + 64];
    const char *const scripts[] = {
        "echo on; exec sleep 1000",
        "trap '' TERM HUP INT; echo on; while :; do sleep 1; done",
        "setsid sh -c 'trap \"\" TERM HUP; echo on; while :; do sleep 1; done' & wait",
        "(setsid sh -c 'echo on; exec sleep 1000' &) ; sleep 1000",
        "echo on; exec env -i sleep 20", /* found by its session only */
        chains,
    };
    const char *env[] = {"PATH=/usr/bin:/bin", NULL};
    struct host h = {.jobs = ROWS_N(scripts)};
    struct executor_options options = {
        .slots = 16, .events = {.context = &h, .done = on_done, .line = on_line}
    };
    struct executor *ex;
    uv_loop_t loop;

    snprintf(chains, sizeof(chains), "echo on; %s --chain & exec sleep 1000", self);
    uv_loop_init(&loop);
    if (guardian_new_on(rung, &h.guardian))
        return 1;
    options.loop = &loop;
    options.guardian = h.guardian;
    if (executor_new(&options, &ex))
        return 1;
    for (unsigned i = 0; i < ROWS_N(scripts); i++) {
        const char *const argv[] = {"sh", "-c", scripts[i], NULL};
        struct job job = {.token = i + 1,
                          .argv = argv,
                          .env = env,
                          .cwd = "/",
                          .out_path = "/dev/null",
                          .err_path = "/dev/null",
                          .output_path = "/dev/null/x",
                          .progress_path = "/dev/null/x",
                          .grace_us = CLOCK_S};

        executor_start(ex, &job);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    return 0;
}

/* ---- The tests. ---- */

struct hosted {
    pid_t pid, guardian;
    int out; /* its stdout */
    char site[PATH_MAX];
    struct instance in;
};

enum user { USER_SAME, USER_NOBODY };

/* Start a host and wait until its jobs are there. */
static struct hosted start_host(enum executor_rung rung, enum user user)
{
    struct hosted h = {0};
    char text[PATH_MAX + 64] = "";
    int ends[2], pid, at = 0;
    size_t n = 0;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    h.pid = fork();
    if (h.pid == 0) {
        dup2(ends[1], 1);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is ended takes it along */
        if (user == USER_NOBODY && (setgid(NOBODY) || setuid(NOBODY)))
            _exit(1);
        execl(self, self, "--host", rung == EXECUTOR_CGROUP ? "cgroup" : "group", NULL);
        _exit(1);
    }
    close(ends[1]);
    h.out = ends[0];
    while (n == 0 || text[n - 1] != '\n') {
        struct pollfd p = {.fd = h.out, .events = POLLIN};
        ssize_t r;

        assert_int_equal(poll(&p, 1, 30000), 1);
        r = read(h.out, text + n, sizeof(text) - 1 - n);
        assert_true(r > 0);
        n += (size_t)r;
    }
    text[n - 1] = '\0';
    assert_int_equal(sscanf(text, "%d %n", &pid, &at), 1);
    h.guardian = pid;
    snprintf(h.site, sizeof(h.site), "%s", text + at);
    assert_true(instance_parse(str_of(h.site), &h.in));
    return h;
}

struct search {
    const char *instance;
    unsigned count;
};

static void find(pid_t pid, void *context)
{
    struct search *s = context;
    struct procfs_stat st;

    if (procfs_stat(pid, &st) && st.state != 'Z' && procfs_token(pid, s->instance) >= 0)
        s->count++;
}

/* Processes of the instance that can be seen, whatever the rung. */
static unsigned left_of(const struct hosted *h)
{
    struct search s = {.instance = h->in.name};
    struct cgroup cg;

    procfs_each(find, &s);
    if (h->in.path[0] && cgroup_open(AT_FDCWD, h->in.path, &cg) == 0) {
        s.count += cgroup_populated(&cg);
        cgroup_close(&cg);
    }
    return s.count;
}

/* The time until nothing is left; looking is all that can be done from outside. */
static int64_t death_us(const struct hosted *h)
{
    int64_t from = clock_monotonic();

    while (left_of(h) > 0 && clock_monotonic() - from < 10 * CLOCK_S)
        poll(NULL, 0, 5);
    return clock_monotonic() - from;
}

static bool gone(pid_t pid)
{
    struct procfs_stat st;

    return !procfs_stat(pid, &st) || st.state == 'Z';
}

static void wait_until_gone(pid_t pid)
{
    int64_t until = clock_monotonic() + 10 * CLOCK_S;

    while (!gone(pid) && clock_monotonic() < until)
        poll(NULL, 0, 5);
    assert_true(gone(pid));
}

/* On hybrid machines and as root there is a cgroup; elsewhere not. */
static void need(enum executor_rung rung, struct hosted *h)
{
    if (rung != EXECUTOR_CGROUP || h->in.path[0])
        return;
    kill(h->pid, SIGKILL);
    waitpid(h->pid, NULL, 0);
    close(h->out);
    print_message("no cgroup2 that this user may write\n");
    skip();
}

static void dies_with_its_host(enum executor_rung rung, enum user user)
{
    struct hosted h = start_host(rung, user);
    int64_t us;
    char byte;

    need(rung, &h);
    assert_true(left_of(&h) > 0);
    kill(h.pid, SIGKILL);
    us = death_us(&h);
    print_message("dead after %d ms\n", (int)(us / CLOCK_MS));
    assert_in_range(us, 0, DEATH_US);
    waitpid(h.pid, NULL, 0);
    /* Nobody holds the output of the dead, the guardian neither. */
    assert_int_equal(read(h.out, &byte, 1), 0);
    close(h.out);
    wait_until_gone(h.guardian);
    if (h.in.path[0])
        assert_int_equal(access(h.in.path, F_OK), -1);
}

static void killed_host_leaves_nothing(void **state)
{
    (void)state;
    dies_with_its_host(EXECUTOR_CGROUP, USER_SAME);
}

static void killed_host_leaves_nothing_by_group(void **state)
{
    (void)state;
    dies_with_its_host(EXECUTOR_GROUP, USER_SAME);
}

static bool nobody_can_run_us(void)
{
    int status = 1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(setgid(NOBODY) || setuid(NOBODY) || access(self, X_OK) ? 1 : 0);
    waitpid(pid, &status, 0);
    return status == 0;
}

static void killed_host_of_an_ordinary_user_leaves_nothing(void **state)
{
    (void)state;
    if (!nobody_can_run_us()) {
        print_message("nobody cannot run this program\n");
        skip();
    }
    dies_with_its_host(EXECUTOR_GROUP, USER_NOBODY);
}

/* When the guardian was killed first, weft gets another one. */
static void guardian_is_renewed(void **state)
{
    struct hosted h = start_host(EXECUTOR_CGROUP, USER_SAME);

    (void)state;
    /* One that has just been born is not replaced at once. */
    poll(NULL, 0, 1100);
    kill(h.guardian, SIGKILL);
    for (int64_t until = clock_monotonic() + 10 * CLOCK_S; clock_monotonic() < until;) {
        struct procfs_stat st;

        if (!procfs_stat(h.guardian, &st))
            break; /* waited for: the executor has noticed */
        poll(NULL, 0, 5);
    }
    poll(NULL, 0, 50);
    kill(h.pid, SIGKILL);
    assert_in_range(death_us(&h), 0, DEATH_US);
    waitpid(h.pid, NULL, 0);
    close(h.out);
}

/* When both were killed, the next start ends what is left. */
static void next_start_cleans(enum executor_rung rung)
{
    struct hosted h = start_host(rung, USER_SAME);

    need(rung, &h);
    kill(h.pid, SIGSTOP); /* so that it cannot renew */
    kill(h.guardian, SIGKILL);
    kill(h.pid, SIGKILL);
    waitpid(h.pid, NULL, 0);
    assert_true(left_of(&h) > 0);
    assert_int_equal(guardian_clean(str_of(h.site), 5000), 0);
    assert_int_equal(left_of(&h), 0);
    assert_int_equal(guardian_clean(str_of(h.site), 0), 0); /* nothing is left to do */
    close(h.out);
}

static void next_start_ends_what_is_left(void **state)
{
    (void)state;
    next_start_cleans(EXECUTOR_CGROUP);
}

/* Without a cgroup, and without the list that died with the guardian, marks are all there is; the
 * one that took its mark off escapes. */
static void next_start_ends_what_is_left_by_group(void **state)
{
    (void)state;
    next_start_cleans(EXECUTOR_GROUP);
}

static void clean_beside_a_guardian_at_work(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct hosted h = start_host(i ? EXECUTOR_GROUP : EXECUTOR_CGROUP, USER_SAME);

        kill(h.pid, SIGKILL);
        assert_int_equal(guardian_clean(str_of(h.site), 5000), 0);
        assert_int_equal(left_of(&h), 0);
        waitpid(h.pid, NULL, 0);
        close(h.out);
        wait_until_gone(h.guardian);
    }
}

/* A weft that is a job of another weft. */
static void weft_in_weft(void **state)
{
    struct testing *t = testing_of(state);
    const char *const argv[] = {self, "--host", "group", NULL};
    int64_t token = testing_start(t, (struct testing_job){.argv = argv});
    struct hosted h = {0};
    int pid, at;

    while (t->lines == 0)
        uv_run(&t->loop, UV_RUN_ONCE);
    assert_int_equal(sscanf(t->line, "%d %n", &pid, &at), 1);
    assert_true(instance_parse(str_of(t->line + at), &h.in));
    assert_true(left_of(&h) > 0);
    executor_stop(t->ex, token, EXECUTOR_KILL);
    testing_wait(t);
    assert_int_equal(left_of(&h), 0);
    assert_true(gone(pid));
}

/* Born where a cgroup was killed before weft came into it: what it starts lives all the same. */
static int start_in_killed_cgroup(const char *path)
{
    char procs[PATH_MAX + 32];
    struct cgroup cg;
    void *state;
    int fd, r = 1;

    snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
    fd = open(procs, O_WRONLY | O_CLOEXEC);
    if (cgroup_open(AT_FDCWD, path, &cg) || cgroup_kill(&cg) || write(fd, "0", 1) != 1 ||
        testing_in_cgroup(&state))
        return 1;
    /* The one below is born here, as weft would be. */
    r = testing_run(state, (struct testing_job){.script = "exit 0"})->outcome != OUTCOME_SUCCEEDED;
    testing_end(&state);
    return r;
}

static void killed_cgroup_is_no_place_for_jobs(void **state)
{
    const struct instance *in = guardian_instance(testing_of(state)->guardian);
    char path[PATH_MAX + 16];
    int status;
    pid_t pid;

    snprintf(path, sizeof(path), "%s/test", in->path);
    assert_int_equal(mkdir(path, 0755), 0);
    pid = fork();
    if (pid == 0)
        _exit(start_in_killed_cgroup(path));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(rmdir(path), 0);
}

static void ordinary_end_leaves_nothing(void **state)
{
    char path[PATH_MAX];
    struct guardian *g;
    pid_t pid;

    (void)state;
    assert_int_equal(guardian_new(&g), 0);
    pid = guardian_pid(g);
    snprintf(path, sizeof(path), "%s", guardian_instance(g)->path);
    assert_true(str_find(guardian_site(g), ':', NULL));
    guardian_free(g);
    assert_int_equal(kill(pid, 0), -1);
    assert_true(!path[0] || access(path, F_OK) == -1);
}

static void sites_that_no_weft_wrote_are_refused(void **state)
{
    static const struct {
        const char *name, *site;
        int r;
    } rows[] = {
        {"another boot",    BOOT_OTHER ":weft-1-0123456789abcdef:",                             0      },
        {"its cgroup",      BOOT_OTHER ":weft-1-0123456789abcdef:/sys/weft-1-0123456789abcdef", 0      },
        {"empty",           "",                                                                 -EINVAL},
        {"one part",        BOOT_OTHER,                                                         -EINVAL},
        {"two parts",       BOOT_OTHER ":weft-1-0",                                             -EINVAL},
        {"another name",    BOOT_OTHER ":init:",                                                -EINVAL},
        {"a path as name",  BOOT_OTHER ":weft-/../..:",                                         -EINVAL},
        {"another folder",  BOOT_OTHER ":weft-1-0:/sys/fs/cgroup",                              -EINVAL},
        {"a longer folder", BOOT_OTHER ":weft-1-0:/sys/fs/cgroup/xweft-1-0",                    -EINVAL},
        {"no full path",    BOOT_OTHER ":weft-1-0:weft-1-0",                                    -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        CHECK_ROW(rows[i].name, guardian_clean(str_of(rows[i].site), 0) == rows[i].r);
}

/* A folder of that name that is no cgroup is nothing to kill in. */
static void only_cgroups_are_entered(void **state)
{
    char boot[INSTANCE_BOOT_BYTES], folder[] = "/tmp/weft-test-XXXXXX", path[128], site[256];

    (void)state;
    assert_int_equal(instance_boot(boot), 0);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/weft-1-0", folder);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(site, sizeof(site), "%s:weft-1-0:%s", boot, path);
    assert_int_equal(guardian_clean(str_of(site), 0), -EINVAL);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void who_we_are(void **state)
{
    CLEANUP(arena_deinit) struct arena a = {0};
    struct guardian_self me = guardian_self(&a);
    struct str boot;
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(0);
    assert_int_equal(me.pid, getpid());
    assert_true(me.host.n > 0 && me.boot.n > 37 && me.boot.p[36] == '/');
    assert_true(guardian_alive(me.boot, me.pid, me.pid_start));
    assert_false(guardian_alive(me.boot, me.pid, me.pid_start + 1));
    assert_false(guardian_alive(STR(BOOT_OTHER), me.pid, me.pid_start));
    /* The same boot, and another pid namespace, in which that pid is somebody else's. */
    boot = str_printf(&a, STR_FMT "0", STR_ARG(me.boot));
    assert_false(guardian_alive(boot, me.pid, me.pid_start));
    assert_false(guardian_rebooted(boot));
    assert_false(guardian_rebooted(me.boot));
    assert_false(guardian_rebooted(STR("")));
    assert_true(guardian_rebooted(STR(BOOT_OTHER "/1")));
    assert_false(guardian_alive(me.boot, 0, 0));
    assert_false(guardian_alive(me.boot, INT64_MAX, 0));
    /* A zombie is dead. */
    wait_until_gone(pid);
    {
        struct procfs_stat st;

        assert_true(procfs_stat(pid, &st));
        assert_false(guardian_alive(me.boot, pid, st.start));
    }
    waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_host_leaves_nothing),
        cmocka_unit_test(killed_host_leaves_nothing_by_group),
        cmocka_unit_test(killed_host_of_an_ordinary_user_leaves_nothing),
        cmocka_unit_test(guardian_is_renewed),
        cmocka_unit_test(next_start_ends_what_is_left),
        cmocka_unit_test(next_start_ends_what_is_left_by_group),
        cmocka_unit_test(clean_beside_a_guardian_at_work),
        TESTING_BOTH(weft_in_weft),
        {"killed_cgroup_is_no_place_for_jobs", killed_cgroup_is_no_place_for_jobs,
                        testing_in_cgroup, testing_end, NULL},
        cmocka_unit_test(ordinary_end_leaves_nothing),
        cmocka_unit_test(sites_that_no_weft_wrote_are_refused),
        cmocka_unit_test(only_cgroups_are_entered),
        cmocka_unit_test(who_we_are),
    };

    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        return 1;
    if (argc > 1 && strcmp(argv[1], "--chain") == 0)
        chain();
    if (argc > 2 && strcmp(argv[1], "--host") == 0)
        return host(strcmp(argv[2], "cgroup") == 0 ? EXECUTOR_CGROUP : EXECUTOR_GROUP);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
