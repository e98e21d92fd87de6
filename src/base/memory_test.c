/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"

/* The address sanitizer ends the process before we can. */
#ifdef __SANITIZE_ADDRESS__
#define OWN_LAST_WORDS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OWN_LAST_WORDS
#endif
#endif

static void new_memory_is_zeroed(void **state)
{
    CLEANUP(memory_freep) char *p = memory_new(10000);
    CLEANUP(memory_freep) char *empty = memory_new(0);

    (void)state;
    for (int i = 0; i < 10000; i++)
        assert_int_equal(p[i], 0);
    assert_non_null(empty);
}

static void grown_memory_keeps_its_content(void **state)
{
    CLEANUP(memory_freep) char *p = memory_grow(NULL, 3);

    (void)state;
    memset(p, 'x', 3);
    p = memory_grow(p, 1 << 20);
    assert_memory_equal(p, "xxx", 3);
    p = memory_grow(p, 0);
    assert_non_null(p);
}

static void taken_memory_is_not_freed(void **state)
{
    char *kept;

    (void)state;
    {
        CLEANUP(memory_freep) char *p = memory_text("kept");

        kept = TAKE(p);
        assert_null(p);
    }
    assert_string_equal(kept, "kept");
    free(kept);
}

static void descriptors_are_closed_and_errno_is_kept(void **state)
{
    int seen;

    (void)state;
    {
        CLEANUP(memory_fd_closep) int fd = open("/dev/null", O_RDONLY);
        CLEANUP(memory_fd_closep) int none = -1;

        (void)none;
        seen = fd;
        assert_true(fcntl(seen, F_GETFD) >= 0);
        errno = ENOSPC;
    }
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(fcntl(seen, F_GETFD), -1);
}

static void a_machine_without_memory_ends_the_process(void **state)
{
    volatile size_t too_much = PTRDIFF_MAX / 2;
    char line[64] = "";
    int fds[2], status;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL); /* cmocka would make a failed test of it */
        free(memory_new(too_much));
        _exit(0);
    }
    close(fds[1]);
    assert_true(read(fds[0], line, sizeof(line) - 1) > 0);
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#ifndef OWN_LAST_WORDS
    assert_string_equal(line, "weft: out of memory\n");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_memory_is_zeroed),
        cmocka_unit_test(grown_memory_keeps_its_content),
        cmocka_unit_test(taken_memory_is_not_freed),
        cmocka_unit_test(descriptors_are_closed_and_errno_is_kept),
        cmocka_unit_test(a_machine_without_memory_ends_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
