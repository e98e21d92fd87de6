/* SPDX-License-Identifier: Apache-2.0 */
/* What can go wrong with a SQLite file, and what a person is then told. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/disk_testing.h"
#include "store/store_testing.h"

static void begin(struct store *s)
{
    STORE_OK(s, store_begin(s, NULL));
}

static void fill(struct store_testing *t, const char *name, int64_t value)
{
    struct store *s = store_testing_open(t, STORE_WRITE);

    begin(s);
    STORE_OK(s, store_testing_put(s, name, value));
    STORE_OK(s, store_commit(s));
    store_free(s);
}

static int open_with(const char *url, enum store_mode mode, int64_t lock_ms, struct store **ret)
{
    const struct store_options o = {.url = str_of(url), .mode = mode, .lock_ms = lock_ms};

    return store_open(&o, ret);
}

/* --- the file --- */

static void the_file_is_made_with_its_folders(void **state)
{
    struct store_testing *t = store_testing(state);
    const char *path = str_printf(&t->a, "%s/a/b c/d%%?#.db", t->folder).p;
    const char *url = str_printf(&t->a, "sqlite:%s", path).p;
    struct store *s;
    struct stat st;

    STORE_OK(s, open_with(url, STORE_WRITE, 0, &s));
    begin(s);
    STORE_OK(s, store_testing_put(s, "q", 1));
    STORE_OK(s, store_commit(s));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(str_printf(&t->a, "%s-wal", path).p, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    store_free(s);
    /* The log is cleared away by the last one out. */
    assert_int_equal(stat(str_printf(&t->a, "%s-wal", path).p, &st), -1);
    STORE_OK(s, open_with(url, STORE_READ, 0, &s));
    store_free(s);
}

static void memory_is_a_store_too(void **state)
{
    struct store *s;

    (void)state;
    STORE_OK(s, open_with("sqlite::memory:", STORE_WRITE, 0, &s));
    begin(s);
    STORE_OK(s, store_testing_put(s, "q", 1));
    STORE_OK(s, store_commit(s));
    store_free(s);
    assert_int_equal(open_with("sqlite::memory:", STORE_READ, 0, &s), -EINVAL);
    store_free(s);
}

static void the_settings_are_those_of_the_documentation(void **state)
{
    struct store_testing *t = store_testing(state);

    fill(t, "q", 1);
    assert_string_equal(store_testing_sql(t, "PRAGMA journal_mode"), "wal");
    assert_string_equal(store_testing_sql(t, "PRAGMA application_id"), "2003134068");
    assert_string_equal(store_testing_sql(t, "PRAGMA integrity_check"), "ok");
}

/* The clock of a store that was set to the future goes on from there, at its usual pace. */
static void time_goes_on_from_what_was_kept(void **state)
{
    struct store_testing *t = store_testing(state);
    const int64_t future = clock_utc() + 3600 * CLOCK_S;
    struct store *s;
    int64_t one, two, three;

    fill(t, "q", 1);
    store_testing_sql(t, str_printf(&t->a, "UPDATE counter SET value = %lld WHERE name = 'now'",
                                    (long long)future)
                             .p);
    s = store_testing_open(t, STORE_READ);
    STORE_OK(s, store_begin(s, &one));
    STORE_OK(s, store_commit(s));
    store_free(s);
    s = store_testing_open(t, STORE_WRITE);
    STORE_OK(s, store_begin(s, &two));
    STORE_OK(s, store_testing_put(s, "q", 2));
    STORE_OK(s, store_commit(s));
    usleep(20000);
    STORE_OK(s, store_begin(s, &three));
    STORE_OK(s, store_commit(s));
    store_free(s);
    assert_true(one >= future && two >= future);
    assert_in_range(three - two, 20000, 10 * CLOCK_S);
}

/* --- others hold it --- */

static void a_lock_is_waited_for_and_then_told(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *one = store_testing_open(t, STORE_WRITE), *two;
    int64_t from;

    STORE_OK(two, open_with(t->url, STORE_WRITE, 100, &two));
    begin(one);
    from = clock_monotonic();
    assert_int_equal(store_begin(two, NULL), -EBUSY);
    assert_in_range(clock_monotonic() - from, 90 * CLOCK_MS, 5 * CLOCK_S);
    STORE_SAYS(two, t->url);
    STORE_SAYS(two, "another program holds the store's lock, for longer than lock_ms = 100 ms");
    store_rollback(two);
    STORE_OK(one, store_commit(one));
    begin(two);
    STORE_OK(two, store_commit(two));
    store_free(one);
    store_free(two);
}

static void a_foreign_lock_stops_the_start(void **state)
{
    struct store_testing *t = store_testing(state);
    sqlite3 *db;
    struct store *s;

    assert_int_equal(sqlite3_open(t->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(open_with(t->url, STORE_WRITE, 50, &s), -EBUSY);
    STORE_SAYS(s, "lock_ms = 50 ms");
    store_free(s);
    sqlite3_close(db);
    fill(t, "q", 1);
}

/* --- damage --- */

/* Write `n` bytes over the file at `at`, or cut it there where `n` is 0. */
static void damage(struct store_testing *t, off_t at, size_t n)
{
    char junk[8192];
    int fd = open(t->path, O_RDWR | O_CLOEXEC);

    memset(junk, 0x5a, sizeof(junk));
    assert_true(fd >= 0);
    if (n)
        assert_int_equal(pwrite(fd, junk, n, at), n);
    else
        assert_int_equal(ftruncate(fd, at), 0);
    close(fd);
}

/* Open, and read and write what there is; the first fault. */
static int use(struct store_testing *t, struct store **ret)
{
    struct rows rows;
    int r = open_with(t->url, STORE_WRITE, 0, ret);
    struct store *s = *ret;

    if (!r)
        r = store_begin(s, NULL);
    for (int i = 0; i < 300 && !r; i++)
        r = STORE_DO(s, STMT_queue_get, &t->a, &rows, TEXT(str_printf(&t->a, "queue %d", i)));
    if (!r)
        r = store_testing_put(s, "more", 1);
    if (!r)
        r = store_commit(s);
    return r;
}

static void damage_is_found_and_told(void **state)
{
    static const struct {
        const char *name;
        off_t at;
        size_t n;
        const char *said;
    } rows[] = {
        {"the first bytes",          0,     16,   "no SQLite database"},
        {"the first page",           100,   3000, "damaged"           },
        {"every page but the first", 4096,  0,    "damaged"           },
        {"the last pages",           -8192, 0,    "damaged"           },
        {"half a page",              600,   0,    "damaged"           },
    };
    struct store_testing *t = store_testing(state);

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct store *s;
        struct stat st;

        unlink(t->path);
        s = store_testing_open(t, STORE_WRITE);
        begin(s);
        for (int k = 0; k < 300; k++)
            STORE_OK(s, store_testing_put(s, str_printf(&t->a, "queue %d", k).p, k));
        STORE_OK(s, store_commit(s));
        store_free(s);
        assert_int_equal(stat(t->path, &st), 0);
        damage(t, rows[i].at < 0 ? st.st_size + rows[i].at : rows[i].at, rows[i].n);
        CHECK_ROW(rows[i].name, use(t, &s) == -EUCLEAN);
        STORE_SAYS(s, rows[i].said);
        STORE_SAYS(s, t->path);
        store_free(s);
    }
}

/* A page in the middle: what it held is not answered, and the rest can still be read. */
static void a_damaged_page_is_not_answered(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);
    struct rows rows;
    int64_t root;

    begin(s);
    for (int k = 0; k < 300; k++)
        STORE_OK(s, store_testing_put(s, str_printf(&t->a, "queue %d", k).p, k));
    STORE_OK(s, store_commit(s));
    store_free(s);
    assert_true(str_int64(
        str_of(store_testing_sql(t, "SELECT rootpage FROM sqlite_schema WHERE name = 'queue'")),
        &root));
    damage(t, (off_t)(root - 1) * 4096, 4096);
    s = store_testing_open(t, STORE_WRITE);
    begin(s);
    assert_int_equal(STORE_DO(s, STMT_queue_get, &t->a, &rows, TEXT(STR("queue 7"))), -EUCLEAN);
    STORE_SAYS(s, "damaged");
    store_rollback(s);
    begin(s);
    STORE_OK(s, STORE_DO(s, STMT_worker_live, &t->a, &rows));
    STORE_OK(s, store_commit(s));
    store_free(s);
}

/* --- permissions --- */

/* What a process of another user met: it cannot use cmocka, so it hands this up. */
struct report {
    int r;
    char said[1024];
};

/* Open as a user who is not root, in a process of its own; where this is no root, as we are. */
static struct report open_as_nobody(struct store_testing *t, const char *url, enum store_mode mode)
{
    struct report report = {0};
    int fds[2];
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct store *s = NULL;
        const uid_t nobody = 65534;

        if (geteuid() == 0 && (setgroups(0, NULL) || setresgid(nobody, nobody, nobody) ||
                               setresuid(nobody, nobody, nobody)))
            _exit(1);
        report.r = open_with(url, mode, 100, &s);
        if (!report.r)
            report.r = store_begin(s, NULL);
        snprintf(report.said, sizeof(report.said), STR_FMT, STR_ARG(store_error(s)));
        store_free(s);
        _exit(write(fds[1], &report, sizeof(report)) == sizeof(report) ? 0 : 1);
    }
    assert_int_equal(store_testing_wait(pid), 0);
    assert_int_equal(read(fds[0], &report, sizeof(report)), sizeof(report));
    close(fds[0]);
    close(fds[1]);
    (void)t;
    return report;
}

/* A folder of the test that belongs to nobody where we are root. */
static const char *folder_of_nobody(struct store_testing *t)
{
    assert_int_equal(chmod(t->folder, 0755), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(t->folder, 65534, 65534), 0);
    return t->folder;
}

/* It would take every write, and nobody would find one of them again. */
static void a_file_that_is_gone_is_told(void **state)
{
    static const char *const ways[] = {"removed", "moved", "replaced"};
    struct store_testing *t = store_testing(state);

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const char *path = str_printf(&t->a, "%s/%zu.db", t->folder, i).p;
        const char *other = str_printf(&t->a, "%s/other", t->folder).p;
        struct store *s;

        STORE_OK(s, open_with(str_printf(&t->a, "sqlite:%s", path).p, STORE_WRITE, 0, &s));
        begin(s);
        STORE_OK(s, store_testing_put(s, "q", 1));
        STORE_OK(s, store_commit(s));
        begin(s);
        STORE_OK(s, store_testing_put(s, "r", 1));
        if (!strcmp(ways[i], "replaced"))
            CHECK_ROW(ways[i], file_write(other, STR("")) == 0 && rename(other, path) == 0);
        else
            CHECK_ROW(ways[i],
                      (!strcmp(ways[i], "moved") ? rename(path, other) : unlink(path)) == 0);
        assert_int_equal(store_commit(s), -ENOENT);
        STORE_SAYS(s, "removed or replaced while it was open");
        begin(s);
        STORE_OK(s, store_commit(s)); /* nothing was written */
        begin(s);
        STORE_OK(s, store_testing_put(s, "r", 1));
        assert_int_equal(store_commit(s), -ENOENT);
        store_free(s);
    }
}

static void permissions_are_told_with_the_path(void **state)
{
    struct store_testing *t = store_testing(state);
    const char *folder = folder_of_nobody(t);
    const char *deep = str_printf(&t->a, "sqlite:%s/locked/weft.db", folder).p;
    const char *locked = str_printf(&t->a, "%s/locked", folder).p;
    struct report report;

    /* A folder that may not be entered. */
    assert_int_equal(mkdir(locked, 0700), 0);
    assert_int_equal(chmod(locked, 0), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(locked, 65534, 65534), 0);
    report = open_as_nobody(t, deep, STORE_WRITE);
    assert_int_equal(report.r, -EACCES);
    assert_non_null(strstr(report.said, deep));
    assert_non_null(strstr(report.said, "Permission denied"));
    report = open_as_nobody(t, deep, STORE_READ);
    assert_int_equal(report.r, -EACCES);

    /* A folder in which nothing may be made. */
    assert_int_equal(chmod(locked, 0500), 0);
    report = open_as_nobody(t, str_printf(&t->a, "sqlite:%s/locked/deeper/weft.db", folder).p,
                            STORE_WRITE);
    assert_int_equal(report.r, -EACCES);
    assert_non_null(strstr(report.said, "its folder cannot be made: Permission denied"));
    report = open_as_nobody(t, deep, STORE_WRITE);
    assert_int_equal(report.r, -EACCES);
    assert_non_null(strstr(report.said, "the file cannot be made: Permission denied"));
    assert_int_equal(chmod(locked, 0700), 0);

    /* A file that may not be read, and one that may not be written. */
    fill(t, "q", 1);
    assert_int_equal(chmod(t->path, 0), 0);
    report = open_as_nobody(t, t->url, STORE_WRITE);
    assert_int_equal(report.r, -EACCES);
    assert_non_null(strstr(report.said, "the file cannot be opened: Permission denied"));
    assert_int_equal(chmod(t->path, 0444), 0);
    report = open_as_nobody(t, t->url, STORE_WRITE);
    assert_int_equal(report.r, -EROFS);
    assert_non_null(strstr(report.said, "read-only"));
    report = open_as_nobody(t, t->url, STORE_READ);
    assert_int_equal(report.r, 0);

    /* A reader needs to make the log's index in a folder that may not be written. */
    unlink(str_printf(&t->a, "%s-shm", t->path).p);
    unlink(str_printf(&t->a, "%s-wal", t->path).p);
    assert_int_equal(chmod(folder, 0555), 0);
    report = open_as_nobody(t, t->url, STORE_READ);
    assert_int_equal(report.r, -EACCES);
    assert_non_null(strstr(report.said, "its folder may not be written"));
    assert_int_equal(chmod(folder, 0755), 0);
}

static void a_folder_is_not_a_file(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s;

    assert_int_equal(open_with(str_printf(&t->a, "sqlite:%s", t->folder).p, STORE_WRITE, 0, &s),
                     -EINVAL);
    STORE_SAYS(s, "Is a directory");
    store_free(s);
    fill(t, "q", 1);
    assert_int_equal(
        open_with(str_printf(&t->a, "sqlite:%s/below.db", t->path).p, STORE_WRITE, 0, &s), -EINVAL);
    STORE_SAYS(s, "Not a directory");
    store_free(s);
}

/* --- media: in a process with mounts of its own --- */

enum { MOUNT_DENIED = 77 };

static int mount_small(struct store_testing *t, const char *size)
{
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return MOUNT_DENIED;
    return mount("tmpfs", t->folder, "tmpfs", 0, size) ? MOUNT_DENIED : 0;
}

static int say(int line, int r, struct store *s)
{
    fprintf(stderr, "sqlite_test.c:%d: %d, " STR_FMT "\n", line, r, STR_ARG(store_error(s)));
    return 1;
}

/* In a process without cmocka: end it with 1 where the call does not return this. */
#define WANT(s, want, call)                                                                        \
    do {                                                                                           \
        int r_ = (call);                                                                           \
        if (r_ != (want))                                                                          \
            return say(__LINE__, r_, (s));                                                         \
    } while (0)

/* A reader that is open goes on, a new one opens, and a writer is told. */
static int on_a_read_only_medium(struct store_testing *t, int number)
{
    struct store *s, *reader;
    struct rows rows;
    int r = mount_small(t, "size=8m");

    (void)number;
    if (r)
        return r;
    WANT(s, 0, open_with(t->url, STORE_WRITE, 0, &s));
    WANT(s, 0, store_begin(s, NULL));
    WANT(s, 0, store_testing_put(s, "q", 5));
    WANT(s, 0, store_commit(s));
    s = store_free(s);
    if (mount(NULL, t->folder, NULL, MS_REMOUNT | MS_RDONLY, NULL))
        return MOUNT_DENIED;
    WANT(reader, 0, open_with(t->url, STORE_READ, 0, &reader));
    WANT(reader, 0, store_begin(reader, NULL));
    WANT(reader, 0, STORE_DO(reader, STMT_queue_get, &t->a, &rows, TEXT(STR("q"))));
    if (rows.n != 1 || row_int(&rows, 0, 2) != 5)
        return say(__LINE__, 0, reader);
    WANT(s, -EROFS, open_with(t->url, STORE_WRITE, 0, &s));
    if (!strstr(store_error(s).p, "read-only"))
        return say(__LINE__, 0, s);
    store_free(s);
    WANT(reader, 0, store_commit(reader));
    store_free(reader);
    return 0;
}

/* Writes that are not merged yet cannot be read there, and must not be left out in silence. */
static int with_a_log_on_a_read_only_medium(struct store_testing *t, int number)
{
    struct store *s, *reader;
    int r = mount_small(t, "size=8m"), status;
    pid_t pid;

    (void)number;
    if (r)
        return r;
    pid = fork();
    if (pid == 0) { /* it ends without closing, so that the log stays */
        WANT(s, 0, open_with(t->url, STORE_WRITE, 0, &s));
        WANT(s, 0, store_begin(s, NULL));
        WANT(s, 0, store_testing_put(s, "q", 5));
        WANT(s, 0, store_commit(s));
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid || status)
        return 1;
    if (unlink(str_printf(&t->a, "%s-shm", t->path).p))
        return 1;
    if (mount(NULL, t->folder, NULL, MS_REMOUNT | MS_RDONLY, NULL))
        return MOUNT_DENIED;
    WANT(reader, -EROFS, open_with(t->url, STORE_READ, 0, &reader));
    if (!strstr(store_error(reader).p, "newest changes"))
        return say(__LINE__, 0, reader);
    store_free(reader);
    return 0;
}

/* Fill the medium, be told, make room, go on; what was acknowledged is there, and nothing else. */
static int on_a_full_medium(struct store_testing *t, int number)
{
    const char *filler = str_printf(&t->a, "%s/filler", t->folder).p;
    char *text = arena_alloc(&t->a, 65537);
    int64_t kept = 0;
    struct rows rows;
    struct store *s;
    int r = mount_small(t, "size=3m"), fd;

    (void)number;
    if (r)
        return r;
    memset(text, 'x', 65536);
    fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (int i = 0; i < 16; i++)
        if (write(fd, text, 65536) != 65536)
            return 1;
    close(fd);
    WANT(s, 0, open_with(t->url, STORE_WRITE, 0, &s));
    while (!r) {
        r = store_begin(s, NULL);
        if (!r)
            r = STORE_DO(s, STMT_event_add, NULL, NULL, INT(kept), INT(1), INT(0), TEXT(STR("k")),
                         TEXT(((struct str){text, 65536})));
        if (!r)
            r = store_testing_put(s, "q", kept + 1);
        if (!r)
            r = store_commit(s);
        kept += !r;
    }
    if (r != -ENOSPC || !strstr(store_error(s).p, "full"))
        return say(__LINE__, r, s);
    store_rollback(s);
    if (unlink(filler))
        return 1;
    WANT(s, 0, store_begin(s, NULL));
    WANT(s, 0, STORE_DO(s, STMT_queue_get, &t->a, &rows, TEXT(STR("q"))));
    if (rows.n != 1 || row_int(&rows, 0, 2) != kept)
        return say(__LINE__, (int)kept, s);
    WANT(s, 0, STORE_DO(s, STMT_event_list, &t->a, &rows, INT(1), INT(0), INT(1000)));
    if (rows.n != (size_t)kept)
        return say(__LINE__, (int)rows.n, s);
    WANT(s, 0, store_testing_put(s, "q", kept + 1));
    WANT(s, 0, store_commit(s));
    store_free(s);
    return 0;
}

static void run_with_mounts(void **state, int (*run)(struct store_testing *, int))
{
    struct store_testing *t = store_testing(state);
    int status = store_testing_wait(store_testing_fork(run, t, 0));

    if (status == MOUNT_DENIED) {
        print_message("only root can mount a medium for this test\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void a_read_only_medium_is_read(void **state)
{
    run_with_mounts(state, on_a_read_only_medium);
}

static void a_log_on_a_read_only_medium_is_told(void **state)
{
    run_with_mounts(state, with_a_log_on_a_read_only_medium);
}

static void a_full_medium_is_told_and_recovers(void **state)
{
    run_with_mounts(state, on_a_full_medium);
}

/* The limit on the size of files stands for a quota, and needs no root. */
static int under_a_size_limit(struct store_testing *t, int number)
{
    struct rlimit limit = {.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY};
    char *text = arena_alloc(&t->a, 65537);
    struct store *s;
    int r = 0;

    (void)number;
    signal(SIGXFSZ, SIG_IGN);
    memset(text, 'x', 65536);
    WANT(s, 0, open_with(t->url, STORE_WRITE, 0, &s));
    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 1;
    while (!r) {
        r = store_begin(s, NULL);
        if (!r)
            r = STORE_DO(s, STMT_event_add, NULL, NULL, INT(1), INT(1), INT(0), TEXT(STR("k")),
                         TEXT(((struct str){text, 65536})));
        if (!r)
            r = store_commit(s);
    }
    if (r != -ENOSPC)
        return say(__LINE__, r, s);
    store_rollback(s);
    limit.rlim_cur = RLIM_INFINITY;
    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 1;
    WANT(s, 0, store_begin(s, NULL));
    WANT(s, 0, store_testing_put(s, "q", 1));
    WANT(s, 0, store_commit(s));
    store_free(s);
    return 0;
}

static void a_quota_is_told_and_recovers(void **state)
{
    struct store_testing *t = store_testing(state);

    assert_int_equal(store_testing_wait(store_testing_fork(under_a_size_limit, t, 0)), 0);
    assert_string_equal(store_testing_sql(t, "PRAGMA integrity_check"), "ok");
}

/* So many descriptors as are open, and then one more each time, until it opens. */
static void a_lack_of_descriptors_is_told(void **state)
{
    struct store_testing *t = store_testing(state);
    struct rlimit before, few;
    struct store *s = NULL;
    int lowest = dup(0), left = 0, r;

    close(lowest);
    fill(t, "q", 1);
    getrlimit(RLIMIT_NOFILE, &before);
    do {
        few = (struct rlimit){(rlim_t)(lowest + left++), before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        r = open_with(t->url, STORE_WRITE, 0, &s);
        if (r) {
            CHECK_ROW("fault", r == -EMFILE);
            STORE_SAYS(s, "Too many open files");
        }
        store_free(s);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    } while (r);
    assert_true(left > 1);
    assert_int_equal(store_testing_count(t, "queue"), 1);
}

/* --- a fault at every n --- */

enum { BREAK_COMMITS = 4 };

/* Three rows in one transaction. */
static int write_three(struct store *s, int64_t i)
{
    static char text[20000];
    int r = store_begin(s, NULL);

    memset(text, 'x', sizeof(text));
    if (!r)
        r = store_testing_put(s, "a", i);
    if (!r)
        r = STORE_DO(s, STMT_event_add, NULL, NULL, INT(i), INT(1), INT(0), TEXT(STR("k")),
                     TEXT(((struct str){text, sizeof(text)})));
    if (!r)
        r = store_testing_put(s, "b", i);
    if (!r)
        r = store_commit(s);
    else
        store_rollback(s);
    return r;
}

/* What was acknowledged is there; nothing is there by half. */
static void check_after_break(struct store_testing *t, int acknowledged, const char *name)
{
    const char *sql = "SELECT (SELECT count(*) FROM queue WHERE name = 'a' AND tasks_max = e.at)"
                      " + (SELECT count(*) FROM queue WHERE name = 'b' AND tasks_max = e.at)"
                      " FROM event e ORDER BY at DESC LIMIT 1";
    int64_t i;
    const char *both;

    for (i = 0; i < BREAK_COMMITS; i++)
        if (acknowledged & 1 << i)
            CHECK_ROW(name, store_testing_count(
                                t, str_printf(&t->a, "event WHERE at = %d", (int)i).p) == 1);
    both = store_testing_sql(t, sql);
    CHECK_ROW(name, !both || strcmp(both, "2") == 0);
    CHECK_ROW(name, strcmp(store_testing_sql(t, "PRAGMA integrity_check"), "ok") == 0);
}

/* Open and commit while the n-th operation fails; returns whether one did. */
static bool run_broken(struct store_testing *t, int n, bool full)
{
    const char *name = str_printf(&t->a, "%s at %d", full ? "full" : "failing", n).p;
    const struct disk_fault fault = {
        .calls = 1u << DISK_WRITE | 1u << DISK_SYNC | 1u << DISK_TRUNCATE, .n = n, .full = full};
    struct store *s;
    int acknowledged = 0, r;
    bool broke;

    disk_testing_fail(&fault);
    r = open_with(t->url, STORE_WRITE, 0, &s);
    if (r) {
        CHECK_ROW(name, r == -EIO || r == -ENOSPC);
        store_free(s);
        s = store_testing_open(t, STORE_WRITE); /* it was once */
    }
    for (int i = 0; i < BREAK_COMMITS; i++) {
        r = write_three(s, i);
        CHECK_ROW(name, r == 0 || r == -EIO || r == -ENOSPC);
        if (!r)
            acknowledged |= 1 << i;
    }
    store_free(s);
    broke = disk_testing_mend();
    CHECK_ROW(name, __builtin_popcount((unsigned)acknowledged) >= BREAK_COMMITS - 1);
    store_free(store_testing_open(t, STORE_WRITE));
    check_after_break(t, acknowledged, name);
    unlink(t->path);
    return broke;
}

static void a_fault_at_every_write_loses_nothing(void **state)
{
    struct store_testing *t = store_testing(state);

    for (int full = 0; full <= 1; full++) {
        int n = 1;

        while (run_broken(t, n, full))
            n++;
        assert_true(n > 40);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(the_file_is_made_with_its_folders, sqlite),
        cmocka_unit_test(memory_is_a_store_too),
        STORE_TEST(the_settings_are_those_of_the_documentation, sqlite),
        STORE_TEST(time_goes_on_from_what_was_kept, sqlite),
        STORE_TEST(a_lock_is_waited_for_and_then_told, sqlite),
        STORE_TEST(a_foreign_lock_stops_the_start, sqlite),
        STORE_TEST(damage_is_found_and_told, sqlite),
        STORE_TEST(a_damaged_page_is_not_answered, sqlite),
        STORE_TEST(a_file_that_is_gone_is_told, sqlite),
        STORE_TEST(permissions_are_told_with_the_path, sqlite),
        STORE_TEST(a_folder_is_not_a_file, sqlite),
        STORE_TEST(a_read_only_medium_is_read, sqlite),
        STORE_TEST(a_log_on_a_read_only_medium_is_told, sqlite),
        STORE_TEST(a_full_medium_is_told_and_recovers, sqlite),
        STORE_TEST(a_quota_is_told_and_recovers, sqlite),
        STORE_TEST(a_lack_of_descriptors_is_told, sqlite),
        STORE_TEST(a_fault_at_every_write_loses_nothing, sqlite),
    };

    disk_testing_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
