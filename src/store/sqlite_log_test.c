/* SPDX-License-Identifier: Apache-2.0 */
/* The log's way to the disk, below SQLite and beside a reader of the same file. */
#include "store/sqlite_log.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/disk_testing.h"
#include "store/store_testing.h"

static sqlite3 *open_file(struct store_testing *t)
{
    sqlite3 *db;

    assert_int_equal(
        sqlite3_open_v2(t->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, sqlite_log_vfs()),
        SQLITE_OK);
    return db;
}

static void run(sqlite3 *db, const char *sql)
{
    char *error = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &error))
        fail_msg("%s: %s", sql, error);
}

static sqlite3_int64 number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st;
    sqlite3_int64 n;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static off_t log_bytes(struct store_testing *t)
{
    struct stat st;

    return stat(str_printf(&t->a, "%s-wal", t->path).p, &st) ? -1 : st.st_size;
}

#define TABLE                                                                                      \
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (i INTEGER PRIMARY KEY," \
    " x BLOB)"

/* 100 rows of 1 000 bytes: some 30 pages. */
#define HUNDRED                                                                                    \
    "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100)"             \
    " INSERT INTO t (x) SELECT zeroblob(1000) FROM n"

static void a_commit_is_written_at_once(void **state)
{
    struct store_testing *t = store_testing(state);
    sqlite3 *db = open_file(t);
    int64_t before;

    run(db, TABLE);
    run(db, "PRAGMA wal_checkpoint(RESTART)"); /* the room that is there is used again */
    run(db, "INSERT INTO t (x) VALUES (1)");
    before = disk_testing_count(DISK_WRITE);
    for (int i = 0; i < 10; i++)
        run(db, "INSERT INTO t (x) VALUES (1)");
    assert_int_equal(disk_testing_count(DISK_WRITE) - before, 10);
    sqlite3_close(db);
}

static void the_log_grows_in_steps(void **state)
{
    struct store_testing *t = store_testing(state);
    sqlite3 *db = open_file(t);
    off_t size, before = 0;
    int steps = 0;

    run(db, TABLE);
    run(db, "PRAGMA wal_autocheckpoint = 0");
    for (int i = 0; i < 500; i++) {
        run(db, "INSERT INTO t (x) VALUES (1)");
        size = log_bytes(t);
        assert_true(size >= before);
        steps += size > before;
        before = size;
    }
    assert_true(before > 500 * 4096);
    assert_in_range(steps, 2, 30);
    sqlite3_close(db);
    assert_int_equal(log_bytes(t), -1);
}

/* A transaction that does not fit into the cache reads back what it has written to the log. */
static void a_large_transaction_reads_what_it_wrote(void **state)
{
    struct store_testing *t = store_testing(state);
    sqlite3 *db = open_file(t);

    run(db, TABLE);
    run(db, "PRAGMA cache_size = 10; BEGIN");
    for (int i = 0; i < 20; i++) {
        run(db, HUNDRED);
        run(db, "UPDATE t SET x = randomblob(1000) WHERE i % 7 = 0");
    }
    assert_int_equal(number(db, "SELECT sum(length(x)) FROM t"), 2000 * 1000);
    run(db, "SAVEPOINT s");
    run(db, HUNDRED);
    run(db, "ROLLBACK TO s; COMMIT");
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 2000);
    sqlite3_close(db);
    assert_string_equal(store_testing_sql(t, "PRAGMA integrity_check"), "ok");
}

static void another_program_reads_every_commit(void **state)
{
    struct store_testing *t = store_testing(state);
    sqlite3 *db = open_file(t), *reader;

    run(db, TABLE);
    /* The reader goes past the log's VFS. */
    assert_int_equal(sqlite3_open(t->path, &reader), SQLITE_OK);
    for (int i = 1; i <= 50; i++) {
        run(db, HUNDRED);
        assert_int_equal(number(reader, "SELECT count(*) FROM t"), 100 * i);
        if (i % 10 == 0)
            run(db, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    sqlite3_close(reader);
    sqlite3_close(db);
}

/* What a killed program leaves: frames, and zeros behind them. */
static void a_log_with_zeros_behind_is_read(void **state)
{
    struct store_testing *t = store_testing(state);
    pid_t child = fork();
    int status;

    if (child == 0) {
        sqlite3 *db = open_file(t);

        run(db, TABLE);
        for (int i = 0; i < 3; i++)
            run(db, HUNDRED);
        run(db, "BEGIN; DELETE FROM t");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(log_bytes(t) > 65536);
    assert_string_equal(store_testing_sql(t, "SELECT count(*) FROM t"), "300");
    assert_string_equal(store_testing_sql(t, "PRAGMA integrity_check"), "ok");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_commit_is_written_at_once, sqlite),
        STORE_TEST(the_log_grows_in_steps, sqlite),
        STORE_TEST(a_large_transaction_reads_what_it_wrote, sqlite),
        STORE_TEST(another_program_reads_every_commit, sqlite),
        STORE_TEST(a_log_with_zeros_behind_is_read, sqlite),
    };

    disk_testing_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
