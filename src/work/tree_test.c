/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of the processes that a job leaves behind, on purpose or not. This program is also
 * what some of the jobs run.
 */
#include "work/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "work/procfs.h"
#include "work/work_testing.h"

/* A process that leaves its session and its parent, again and again, as fast as it can. It ends
 * by itself some time after the test. */
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

/* A grandchild in a session of its own that heeds no signal, in the given environment; its pid
 * goes to the file "pid". */
static void daemonize(char **env)
{
    char *const argv[] = {(char[]){"sh"}, (char[]){"-c"},
                          (char[]){"trap '' TERM HUP INT; echo $$ > pid.new; mv pid.new pid; "
                                   "while :; do sleep 1; done"},
                          NULL};

    if (fork() == 0) {
        setsid();
        if (fork() == 0)
            execve("/bin/sh", argv, env);
        _exit(0);
    }
    while (access("pid", F_OK))
        usleep(1000);
    _exit(0);
}

static const char *self; /* the path of this program */

static bool alive(pid_t pid)
{
    struct procfs_stat st;

    return procfs_stat(pid, &st) && st.state != 'Z';
}

static pid_t pid_in(struct testing *t, const char *name)
{
    CLEANUP(memory_freep) char *text = testing_read(t, name, NULL);
    int pid = 0;

    assert_int_equal(sscanf(text, "%d", &pid), 1);
    return pid;
}

static void rest_ends_with_the_main_process(void **state)
{
    struct testing *t = testing_of(state);
    struct testing_end *end = testing_run(
        t, (struct testing_job){.script = "sleep 1000 & echo $! > pid; echo said; exit 0"});

    assert_int_equal(end->outcome, OUTCOME_SUCCEEDED);
    assert_false(alive(pid_in(t, "pid")));
    /* It had the pipe open, and what was said is there. */
    assert_string_equal(t->line, "said");
}

static void rest_has_a_moment_to_end(void **state)
{
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *out = NULL;

    testing_run(t, (struct testing_job){
                       .script =
                           "(trap 'echo bye; exit' TERM; : > on; while :; do sleep 0.01; done) & "
                           "until test -e on; do sleep 0.01; done"});
    out = testing_read(t, "1.out", NULL);
    assert_string_equal(out, "bye\n");
}

static void rest_that_heeds_nothing_is_killed(void **state)
{
    struct testing *t = testing_of(state);
    const char *const argv[] = {self, "--daemon", NULL};
    struct testing_end *end = testing_run(t, (struct testing_job){.argv = argv});

    assert_int_equal(end->outcome, OUTCOME_SUCCEEDED);
    assert_false(alive(pid_in(t, "pid")));
    assert_int_equal(testing_marked(guardian_instance(t->guardian)->name), 0);
}

static void rest_that_hides_its_origin_is_killed(void **state)
{
    struct testing *t = testing_of(state);
    const char *const argv[] = {self, "--hidden-daemon", NULL};
    struct testing_end *end = testing_run(t, (struct testing_job){.argv = argv});

    assert_int_equal(end->outcome, OUTCOME_SUCCEEDED);
    assert_false(alive(pid_in(t, "pid")));
}

static void timeout_reaches_the_whole_tree(void **state)
{
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *script = NULL;
    struct testing_end *end;

    assert_true(asprintf(&script, "%s --daemon; sleep 1000", self) > 0);
    end = testing_run(t, (struct testing_job){.script = script,
                                              .timeout_us = 700 * CLOCK_MS,
                                              .grace_us = 100 * CLOCK_MS});
    assert_int_equal(end->outcome, OUTCOME_TIMED_OUT);
    assert_false(alive(pid_in(t, "pid")));
}

/* Asked, and not only killed: descendants in sessions of their own hear SIGTERM, too. */
static void stop_asks_the_whole_tree(void **state)
{
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *out = NULL;
    int64_t token = testing_start(
        t, (struct testing_job){
               .script = "trap : TERM; setsid sh -c 'trap \"echo heard; exit\" TERM; echo on; "
                         "while :; do sleep 0.01; done' & wait; wait"});

    while (strcmp(t->line, "on") != 0)
        uv_run(&t->loop, UV_RUN_ONCE);
    executor_stop(t->ex, token, EXECUTOR_TERM);
    testing_wait(t);
    out = testing_read(t, "1.out", NULL);
    assert_string_equal(out, "on\nheard\n");
}

static void chain_of_forks_is_killed(void **state)
{
    struct testing *t = testing_of(state);
    const char *const argv[] = {self, "--chain", NULL};

    for (int i = 0; i < 5; i++) {
        struct testing_end *end = testing_run(t, (struct testing_job){.argv = argv});

        assert_int_equal(end->outcome, OUTCOME_SUCCEEDED);
        assert_int_equal(testing_marked(guardian_instance(t->guardian)->name), 0);
    }
}

static void chain_of_forks_beside_its_main_process_is_killed(void **state)
{
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *script = NULL;
    struct testing_end *end;

    assert_true(asprintf(&script, "%s --chain & %s --chain & exec sleep 1000", self, self) > 0);
    end = testing_run(t, (struct testing_job){.script = script,
                                              .timeout_us = 300 * CLOCK_MS,
                                              .grace_us = 100 * CLOCK_MS});
    assert_int_equal(end->outcome, OUTCOME_TIMED_OUT);
    assert_int_equal(testing_marked(guardian_instance(t->guardian)->name), 0);
}

static void many_children_end_at_once(void **state)
{
    struct testing *t = testing_of(state);
    struct testing_end *end = testing_run(
        t,
        (struct testing_job){.script = "trap '' TERM; for i in $(seq 200); do setsid sleep 1000 & "
                                       "done; sleep 1000",
                             .timeout_us = 1500 * CLOCK_MS,
                             .grace_us = 100 * CLOCK_MS});

    assert_int_equal(end->outcome, OUTCOME_TIMED_OUT);
    assert_int_equal(testing_marked(guardian_instance(t->guardian)->name), 0);
}

static void stopped_process_ends(void **state)
{
    struct testing *t = testing_of(state);
    struct testing_end *end = testing_run(
        t, (struct testing_job){.script = "kill -STOP $$", .timeout_us = 200 * CLOCK_MS});

    assert_int_equal(end->outcome, OUTCOME_TIMED_OUT);
    assert_int_equal(end->signal, SIGTERM);
}

/* What another job left in the background is that job's, as long as it runs. */
static void orphans_of_others_live_on(void **state)
{
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *script = NULL;
    int64_t first;
    pid_t pid;

    assert_true(asprintf(&script, "%s --daemon; echo on; sleep 1000", self) > 0);
    first = testing_start(t, (struct testing_job){.script = script});
    while (strcmp(t->line, "on") != 0)
        uv_run(&t->loop, UV_RUN_ONCE);
    pid = pid_in(t, "pid");
    for (int i = 0; i < 3; i++)
        testing_run(t, (struct testing_job){.script = "sleep 1000 & exit 0"});
    assert_true(alive(pid));
    executor_stop(t->ex, first, EXECUTOR_KILL);
    testing_wait(t);
    assert_false(alive(pid));
}

/* Orphans that die while their job runs do not stay zombies. */
static void orphans_are_waited_for(void **state)
{
    struct testing *t = testing_of(state);

    testing_start(t, (struct testing_job){
                         .script = "for i in $(seq 20); do (setsid sleep 0.01 &) ; done; "
                                   "sleep 0.3; echo on; until test -e off; do sleep 0.01; done"});
    while (strcmp(t->line, "on") != 0)
        uv_run(&t->loop, UV_RUN_ONCE);
    while (testing_zombies() > 0)
        uv_run(&t->loop, UV_RUN_ONCE);
    assert_int_equal(testing_children(), 2); /* the guardian and the job */
    close(open(testing_path(t, "off"), O_CREAT | O_WRONLY, 0644));
    testing_wait(t);
}

/* A child that the program itself forked is not weft's to wait for or to kill. */
static void children_of_others_are_left_alone(void **state)
{
    struct testing *t = testing_of(state);
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        usleep(300000);
        _exit(7);
    }
    testing_run(t, (struct testing_job){.script = "sleep 1000 & exit 0"});
    testing_run(t, (struct testing_job){.script = "sleep 0.5"});
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* Whoever killed a job, us or itself, has not killed the next one in its place. */
static void next_job_lives(void **state)
{
    struct testing *t = testing_of(state);

    for (int i = 0; i < 3; i++) {
        int64_t token = testing_start(t, (struct testing_job){.script = "exec sleep 1000"});

        executor_stop(t->ex, token, EXECUTOR_KILL);
        testing_wait(t);
        assert_int_equal(t->ends[token].outcome, OUTCOME_CANCELLED);
        assert_int_equal(testing_run(t, (struct testing_job){.script = "exit 0"})->outcome,
                         OUTCOME_SUCCEEDED);
    }
}

static void next_job_lives_after_one_that_killed_its_cgroup(void **state)
{
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *script = NULL;

    assert_true(asprintf(&script, "for s in %s/s*; do echo 1 > $s/cgroup.kill; done",
                         guardian_instance(t->guardian)->path) > 0);
    assert_int_equal(testing_run(t, (struct testing_job){.script = script})->signal, SIGKILL);
    assert_int_equal(testing_run(t, (struct testing_job){.script = "exit 0"})->outcome,
                     OUTCOME_SUCCEEDED);
}

/* A job may make cgroups below its own; they go with it, and what is in them. */
static void cgroups_of_jobs_go_with_them(void **state)
{
    struct testing *t = testing_of(state);
    const struct instance *in = guardian_instance(t->guardian);
    CLEANUP(memory_freep) char *script = NULL;
    CLEANUP(memory_freep) char *sub = NULL;
    struct testing_end *end;

    assert_true(asprintf(&script,
                         "mkdir -p %s/s0/a/b && sleep 1000 & echo $! > pid; "
                         "until echo $(cat pid) > %s/s0/a/b/cgroup.procs; do sleep 0.01; done",
                         in->path, in->path) > 0);
    assert_true(asprintf(&sub, "%s/s0/a", in->path) > 0);
    end = testing_run(t, (struct testing_job){.script = script});
    assert_int_equal(end->outcome, OUTCOME_SUCCEEDED);
    assert_false(alive(pid_in(t, "pid")));
    assert_int_equal(access(sub, F_OK), -1);
}

int main(int argc, char **argv)
{
    static char path[PATH_MAX];
    static char *no_env[] = {NULL};
    const struct CMUnitTest tests[] = {
        TESTING_BOTH(rest_ends_with_the_main_process),
        TESTING_BOTH(rest_has_a_moment_to_end),
        TESTING_BOTH(rest_that_heeds_nothing_is_killed),
        TESTING_BOTH(rest_that_hides_its_origin_is_killed),
        TESTING_BOTH(timeout_reaches_the_whole_tree),
        TESTING_BOTH(stop_asks_the_whole_tree),
        TESTING_BOTH(chain_of_forks_is_killed),
        TESTING_BOTH(chain_of_forks_beside_its_main_process_is_killed),
        TESTING_BOTH(many_children_end_at_once),
        TESTING_BOTH(stopped_process_ends),
        TESTING_BOTH(orphans_of_others_live_on),
        TESTING_BOTH(orphans_are_waited_for),
        TESTING_BOTH(children_of_others_are_left_alone),
        TESTING_BOTH(next_job_lives),
        {"next_job_lives_after_one_that_killed_its_cgroup",
                          next_job_lives_after_one_that_killed_its_cgroup,                                 testing_in_cgroup, testing_end, NULL},
        {"cgroups_of_jobs_go_with_them",                    cgroups_of_jobs_go_with_them, testing_in_cgroup,
                          testing_end,                                                                                                     NULL},
    };

    if (argc > 1 && strcmp(argv[1], "--chain") == 0)
        chain();
    if (argc > 1 && strcmp(argv[1], "--daemon") == 0)
        daemonize(environ);
    if (argc > 1 && strcmp(argv[1], "--hidden-daemon") == 0)
        daemonize(no_env);
    if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
        return 1;
    self = path;
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
