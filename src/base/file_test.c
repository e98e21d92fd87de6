/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"

/* Each test works in a new folder, which is the current one. */
static int enter_folder(void **state)
{
    char *folder = strdup("/tmp/weft-file-test-XXXXXX");

    *state = folder;
    return !mkdtemp(folder) || chdir(folder);
}

/* Delete what a test left; none goes deeper than this. */
static int leave_folder(void **state)
{
    static const char *const left[] = {"a/b/c", "a/b", "a", "f", "g", "old", "pipe", "folder"};

    for (size_t i = 0; i < ROWS_N(left); i++)
        if (unlink(left[i]))
            rmdir(left[i]);
    if (chdir("/") || rmdir(*state))
        return 1;
    free(*state);
    return 0;
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void what_is_written_is_read(void **state)
{
    struct arena a = {0};
    struct str s;

    (void)state;
    assert_int_equal(file_write("f", STR("one\0two\n")), 0);
    assert_int_equal(file_read(&a, "f", 100, &s), 0);
    assert_true(str_eq(s, STR("one\0two\n")));
    assert_int_equal(file_write("f", STR("")), 0);
    assert_int_equal(file_read(&a, "f", 100, &s), 0);
    assert_int_equal(s.n, 0);
    assert_int_equal(file_write("f", (struct str){0}), 0);
    arena_deinit(&a);
}

static void the_limit_is_exact(void **state)
{
    struct arena a = {0};
    struct str s;

    (void)state;
    put("f", "12345");
    assert_int_equal(file_read(&a, "f", 5, &s), 0);
    CHECK_TEXT(s, "12345");
    assert_int_equal(file_read(&a, "f", 4, &s), FILE_E_LARGE);
    assert_int_equal(file_read(&a, "f", 0, &s), FILE_E_LARGE);
    put("f", "");
    assert_int_equal(file_read(&a, "f", 0, &s), 0);
    arena_deinit(&a);
}

static void a_file_without_size_is_read_to_its_end(void **state)
{
    struct arena a = {0};
    struct str s;

    (void)state;
    assert_int_equal(file_read(&a, "/proc/self/status", 1 << 20, &s), 0);
    assert_true(s.n > 100 && str_starts(s, STR("Name:")));
    assert_int_equal(file_read(&a, "/dev/zero", 1 << 20, &s), FILE_E_LARGE);
    arena_deinit(&a);
}

static void *write_slowly(void *arg)
{
    int fd = *(int *)arg;
    char chunk[1000];

    memset(chunk, 'x', sizeof(chunk));
    for (int i = 0; i < 300; i++)
        if (write(fd, chunk, sizeof(chunk)) < 0)
            break;
    close(fd);
    return NULL;
}

static void minus_is_stdin(void **state)
{
    struct arena a = {0};
    int fds[2], before = dup(STDIN_FILENO);
    pthread_t writer;
    struct str s;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    dup2(fds[0], STDIN_FILENO);
    close(fds[0]);
    assert_int_equal(pthread_create(&writer, NULL, write_slowly, &fds[1]), 0);
    assert_int_equal(file_read(&a, "-", 1 << 20, &s), 0);
    pthread_join(writer, NULL);
    assert_int_equal(s.n, 300000);
    dup2(before, STDIN_FILENO);
    close(before);
    arena_deinit(&a);
}

static void what_cannot_be_read_says_why(void **state)
{
    struct arena a = {0};
    struct str s;

    (void)state;
    assert_int_equal(file_read(&a, "nothing", 100, &s), -ENOENT);
    assert_int_equal(file_read(&a, "/", 1 << 20, &s), -EISDIR);
    assert_int_equal(file_read(&a, "", 100, &s), -ENOENT);
    put("f", "x");
    assert_int_equal(file_read(&a, "f/g", 100, &s), -ENOTDIR);
    arena_deinit(&a);
}

static void folders_are_made_with_those_above(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(file_mkdirs("a/b/c"), 0);
    assert_int_equal(stat("a/b/c", &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(file_mkdirs("a/b/c"), 0);
    assert_int_equal(file_mkdirs("a//b/c/"), 0);
    assert_int_equal(file_mkdirs("."), 0);
    assert_int_equal(file_mkdirs("/"), 0);
    assert_int_equal(file_mkdirs("/tmp"), 0);
    assert_int_equal(file_mkdirs(*state), 0);
    put("f", "x");
    assert_int_equal(file_mkdirs("f"), -ENOTDIR);
    assert_int_equal(file_mkdirs("f/g"), -ENOTDIR);
    assert_int_equal(file_mkdirs(""), -ENOENT);
    assert_int_equal(file_mkdirs("/proc/weft/x"), -ENOENT);
}

/* Whoever had it open, or linked it elsewhere, keeps the old content whole. */
static void a_write_replaces_in_one_step(void **state)
{
    struct arena a = {0};
    struct str s;

    (void)state;
    put("f", "old");
    assert_int_equal(link("f", "old"), 0);
    assert_int_equal(file_write("f", STR("new")), 0);
    assert_int_equal(file_read(&a, "old", 100, &s), 0);
    CHECK_TEXT(s, "old");
    assert_int_equal(file_read(&a, "f", 100, &s), 0);
    CHECK_TEXT(s, "new");
    arena_deinit(&a);
}

static int keep_names(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static int count_entries(void)
{
    struct dirent **list;
    int n = scandir(".", &list, keep_names, alphasort);

    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
    return n;
}

static void a_failed_write_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(mkdir("folder", 0755), 0);
    assert_int_equal(file_write("folder", STR("x")), -EISDIR);
    assert_int_equal(file_write("nowhere/f", STR("x")), -ENOENT);
    assert_int_equal(count_entries(), 1);
    assert_int_equal(file_write("g", STR("x")), 0);
    assert_int_equal(count_entries(), 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_written_is_read),
        CASE(the_limit_is_exact),
        CASE(a_file_without_size_is_read_to_its_end),
        CASE(minus_is_stdin),
        CASE(what_cannot_be_read_says_why),
        CASE(folders_are_made_with_those_above),
        CASE(a_write_replaces_in_one_step),
        CASE(a_failed_write_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
