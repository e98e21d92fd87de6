/* SPDX-License-Identifier: Apache-2.0 */
/* A Postgres server that crashes while a transaction of ours is open, and forgets its number. */
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "store/proxy_testing.h"

#define ATTEMPTS_MAX 5
#define BURNED_MAX   100

/* A server of the test's own, kept by test/pg.py, which ends it when its input is closed. */
struct server {
    pid_t pid;
    FILE *ask, *answer;
    char url[256];
    bool missing;
};

static void server_answer(struct server *s)
{
    char line[1024] = "";

    assert_non_null(fgets(line, sizeof(line), s->answer));
    s->missing = strncmp(line, "missing", 7) == 0;
    if (!s->missing && sscanf(line, "ok %255s", s->url) != 1)
        fail_msg("%s", line);
}

static void server_ask(struct server *s, const char *word)
{
    fprintf(s->ask, "%s\n", word);
    fflush(s->ask);
    server_answer(s);
}

/* Its log reaches the disk with commits alone, so that what is open at a crash is forgotten. */
static int server_setup(void **state)
{
    static struct server s;
    const char *source = getenv("WEFT_SOURCE");
    char path[4096];
    int in[2] = {-1, -1}, out[2] = {-1, -1};

    *state = &s;
    s.missing = !getenv("WEFT_TEST_POSTGRES");
    if (s.missing)
        return 0;
    snprintf(path, sizeof(path), "%s/test/pg.py", source ? source : ".");
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    s.pid = fork();
    if (s.pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execlp("python3", "python3", path, "wal_writer_delay=10s", "autovacuum=off", NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    s.ask = fdopen(in[1], "w");
    s.answer = fdopen(out[0], "r");
    server_answer(&s);
    return 0;
}

static int server_teardown(void **state)
{
    struct server *s = *state;

    if (s->pid > 0) {
        fclose(s->ask);
        fclose(s->answer);
        waitpid(s->pid, NULL, 0);
    }
    return 0;
}

static int64_t number(PGconn *c, const char *sql)
{
    PGresult *result = PQexec(c, sql);
    int64_t n = 0;

    if (PQntuples(result) != 1 || !str_int64(str_of(PQgetvalue(result, 0, 0)), &n))
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    PQclear(result);
    return n;
}

/* Commit transactions until `xid` is taken. False: the server had not forgotten it. */
static bool taken_again(PGconn *c, int64_t xid)
{
    int64_t next = 0;

    PQclear(PQexec(c, "CREATE TABLE IF NOT EXISTS burned (n bigint)"));
    for (int i = 0; i < BURNED_MAX && next < xid; i++) {
        int64_t had = next;

        next = number(c, "INSERT INTO burned VALUES (1) RETURNING pg_current_xact_id()::text");
        if (had == 0 && next > xid)
            return false;
    }
    return true;
}

/* Open a transaction, crash the server, give its number to another one, and commit. */
static bool crash_and_commit(struct server *server, struct store *s)
{
    PGconn *c = PQconnectdb(server->url);
    int64_t xid;
    bool again;

    store_testing_begin(s);
    store_testing_set(s, "lost", 1);
    xid = number(c, "SELECT max(backend_xid::text::bigint) FROM pg_stat_activity");
    PQfinish(c);
    server_ask(server, "kill");
    server_ask(server, "start");
    c = PQconnectdb(server->url);
    again = taken_again(c, xid);
    assert_int_equal(store_commit(s), -ECONNRESET);
    STORE_SAYS(s, "it is rolled back");
    assert_int_equal(number(c, "SELECT count(*) FROM weft.queue WHERE name = 'lost'"), 0);
    PQfinish(c);
    return again;
}

static void a_number_that_is_given_out_again_is_not_taken_for_ours(void **state)
{
    struct server *server = *state;
    struct store_options options = {.url = str_of(server->url), .mode = STORE_WRITE};
    struct store *s = NULL;
    bool again = false;

    if (server->missing) {
        print_message("there is no Postgres server to test with\n");
        skip();
    }
    STORE_OK(s, store_open(&options, &s));
    store_testing_begin(s);
    store_testing_set(s, "kept", 1);
    store_testing_commit(s);
    for (int i = 0; i < ATTEMPTS_MAX && !again; i++)
        again = crash_and_commit(server, s);
    assert_true(again);
    store_testing_begin(s); /* and life goes on */
    assert_int_equal(store_testing_get(s, "kept"), 1);
    store_testing_set(s, "after", 1);
    store_testing_commit(s);
    store_free(s);
}

/* The answer to a commit is lost, and before anybody asks the server crashes, too: what it had
 * acknowledged to nobody is there, with its receipt. */
static void a_commit_that_a_crash_followed_is_found(void **state)
{
    struct server *server = *state;
    struct store_options options = {.mode = STORE_WRITE, .connect_ms = 500};
    struct store_testing t = {.backend = STORE_POSTGRES, .url = server->url};
    struct store *s = NULL;
    struct proxy *p;

    if (server->missing) {
        print_message("there is no Postgres server to test with\n");
        skip();
    }
    p = proxy_new(&t);
    p->word = "weft COMMIT";
    options.url = str_of(p->url);
    STORE_OK(s, store_open(&options, &s));
    for (int more = 0; more < 2;
         more++) { /* with a new row for the receipt, and with the old one */
        store_testing_begin(s);
        store_testing_set(s, more ? "second" : "first", 1);
        atomic_store(&p->countdown, 0);
        atomic_store(&p->trouble, DOWN);
        assert_int_equal(store_commit(s), -EHOSTUNREACH);
        server_ask(server, "kill");
        server_ask(server, "start");
        atomic_store(&p->trouble, PASS);
        STORE_OK(s, store_settle(s));
        store_testing_begin(s);
        assert_int_equal(store_testing_get(s, more ? "second" : "first"), 1);
        store_testing_commit(s);
    }
    store_free(s);
    proxy_end(p);
    arena_deinit(&t.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_number_that_is_given_out_again_is_not_taken_for_ours,
                                        server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(a_commit_that_a_crash_followed_is_found, server_setup,
                                        server_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
