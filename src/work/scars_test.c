/* SPDX-License-Identifier: Apache-2.0 */
/* What happened to others, as fixed scenarios; test/scars.tsv lists them all. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "work/process.h"

struct start {
    struct process_room *room;
    struct process_spec spec;
    pid_t pid;
    int pidfd;
    int r;
};

static void *start(void *context)
{
    struct start *s = context;

    s->r = process_start(s->room, &s->spec, &s->pid, &s->pidfd);
    return NULL;
}

/* The thread that started a child ends: the child lives on. */
static void scar_23_children_outlive_the_thread_that_started_them(void **state)
{
    static const char *const argv[] = {"sh", "-c", "read line; exit 7", NULL};
    static const char *const env[] = {NULL};
    struct start s = {.pidfd = -1};
    int ends[2], null = open("/dev/null", O_RDWR | O_CLOEXEC), status;
    pthread_t thread;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(process_room_new(&s.room), 0);
    s.spec = (struct process_spec){
        .path = "/bin/sh",
        .argv = argv,
        .env = env,
        .cwd = "/",
        .fds = {ends[0], null, null},
        .cgroup = -1
    };
    assert_int_equal(pthread_create(&thread, NULL, start, &s), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(s.r, 0);
    /* A signal of that thread's death would be on its way by now, and end it before it reads. */
    assert_int_equal(waitpid(s.pid, &status, WNOHANG), 0);
    assert_int_equal(write(ends[1], "go\n", 3), 3);
    assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    process_room_free(s.room);
    close(s.pidfd);
    close(ends[0]);
    close(ends[1]);
    close(null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scar_23_children_outlive_the_thread_that_started_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
