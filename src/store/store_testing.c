/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_testing.h"

#include <ftw.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

static int kinds[] = {STORE_SQLITE, STORE_POSTGRES};
void *const store_testing_sqlite = &kinds[0], *const store_testing_postgres = &kinds[1];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Run SQL on a server; a failure is a failure of the test. */
static const char *postgres_sql(struct store_testing *t, const char *url, const char *sql)
{
    PGconn *c = PQconnectdb(url);
    PGresult *r = PQexec(c, sql);
    const char *value = NULL;

    if (PQresultStatus(r) != PGRES_TUPLES_OK && PQresultStatus(r) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    if (PQntuples(r) > 0)
        value = str_cstr(&t->a, str_of(PQgetvalue(r, PQntuples(r) - 1, 0)));
    PQclear(r);
    PQfinish(c);
    return value;
}

struct value {
    struct arena *a;
    const char *text;
};

static int keep_value(void *value, int columns, char **values, char **names)
{
    struct value *v = value;

    (void)names;
    v->text = columns && values[0] ? str_cstr(v->a, str_of(values[0])) : NULL;
    return 0;
}

static const char *sqlite_sql(struct store_testing *t, const char *sql)
{
    struct value v = {.a = &t->a};
    sqlite3 *db = NULL;
    int code = sqlite3_open(t->path, &db);

    sqlite3_busy_timeout(db, 5000);
    if (!code)
        code = sqlite3_exec(db, sql, keep_value, &v, NULL);
    if (code)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
    return v.text;
}

const char *store_testing_sql(struct store_testing *t, const char *sql)
{
    if (t->backend == STORE_SQLITE)
        return sqlite_sql(t, sql);
    return postgres_sql(t, t->url, str_printf(&t->a, "SET search_path = weft; %s", sql).p);
}

int store_testing_setup(void **state)
{
    const char *server = getenv("WEFT_TEST_POSTGRES"), *tmp = getenv("TMPDIR");
    struct store_testing *t = memory_new(sizeof(*t));
    char *folder;

    t->backend = *(int *)*state == STORE_SQLITE ? STORE_SQLITE : STORE_POSTGRES;
    t->folder = folder =
        str_cstr(&t->a, str_printf(&t->a, "%s/weft-store-XXXXXX", tmp ? tmp : "/tmp"));
    if (!mkdtemp(folder))
        return -1;
    *state = t;
    if (t->backend == STORE_SQLITE) {
        t->path = str_printf(&t->a, "%s/weft.db", t->folder).p;
        t->url = str_printf(&t->a, "sqlite:%s", t->path).p;
        return 0;
    }
    t->missing = !server;
    if (t->missing)
        return 0;
    t->database = str_printf(&t->a, "weft_store_%s", strrchr(t->folder, '-') + 1).p;
    postgres_sql(t, server, str_printf(&t->a, "CREATE DATABASE \"%s\"", t->database).p);
    t->url =
        str_printf(&t->a, STR_FMT "/%s", (int)(strrchr(server, '/') - server), server, t->database)
            .p;
    return 0;
}

int store_testing_teardown(void **state)
{
    struct store_testing *t = *state;

    if (t->backend == STORE_POSTGRES && !t->missing)
        postgres_sql(t, getenv("WEFT_TEST_POSTGRES"),
                     str_printf(&t->a, "DROP DATABASE \"%s\" WITH (FORCE)", t->database).p);
    nftw(t->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    arena_deinit(&t->a);
    free(t);
    return 0;
}

struct store_testing *store_testing(void **state)
{
    struct store_testing *t = *state;

    if (t->missing) {
        print_message("WEFT_TEST_POSTGRES names no server\n");
        skip();
    }
    return t;
}

int store_testing_try(struct store_testing *t, enum store_mode mode, struct store **ret)
{
    const struct store_options o = {
        .url = str_of(t->url), .mode = mode, .connect_ms = 20000, .lock_ms = 20000};

    return store_open(&o, ret);
}

struct store *store_testing_open(struct store_testing *t, enum store_mode mode)
{
    struct store *s;

    STORE_OK(s, store_testing_try(t, mode, &s));
    return s;
}

pid_t store_testing_fork(int (*run)(struct store_testing *t, int number), struct store_testing *t,
                         int number)
{
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0)
        _exit(run(t, number));
    assert_true(pid > 0);
    return pid;
}

int store_testing_wait(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int store_testing_put(struct store *s, const char *name, int64_t value)
{
    return STORE_DO(s, STMT_queue_put, NULL, NULL, TEXT(str_of(name)), INT(0), INT(value), INT(0));
}

int64_t store_testing_count(struct store_testing *t, const char *from)
{
    int64_t n = -1;
    const char *text = store_testing_sql(t, str_printf(&t->a, "SELECT count(*) FROM %s", from).p);

    assert_true(text && str_int64(str_of(text), &n));
    return n;
}

void store_testing_begin(struct store *s)
{
    STORE_OK(s, store_begin(s, NULL));
}

void store_testing_commit(struct store *s)
{
    STORE_OK(s, store_commit(s));
}

void store_testing_set(struct store *s, const char *name, int64_t value)
{
    STORE_OK(s, store_testing_put(s, name, value));
}

int64_t store_testing_get(struct store *s, const char *name)
{
    struct arena a = {0};
    struct rows rows;
    int64_t value;

    STORE_OK(s, STORE_DO(s, STMT_queue_get, &a, &rows, TEXT(str_of(name))));
    value = rows.n ? row_int(&rows, 0, 2) : -1;
    arena_deinit(&a);
    return value;
}

int store_testing_workflow(struct store *s, const char *name, int64_t version)
{
    struct str none = STR("-");

    return STORE_DO(s, STMT_workflow_add, NULL, NULL, TEXT(str_of(name)), INT(version), TEXT(none),
                    TEXT(none), TEXT(none), TEXT(none), TEXT(none), INT(0), INT(0));
}
