/* SPDX-License-Identifier: Apache-2.0 */
/* What can go wrong between us and a Postgres server. */
#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/proxy_testing.h"

static void begin(struct store *s)
{
    STORE_OK(s, store_begin(s, NULL));
}

static int open_with(const char *url, int64_t connect_ms, int64_t lock_ms, int64_t statement_ms,
                     struct store **ret)
{
    const struct store_options o = {.url = str_of(url),
                                    .mode = STORE_WRITE,
                                    .connect_ms = connect_ms,
                                    .lock_ms = lock_ms,
                                    .statement_ms = statement_ms};

    return store_open(&o, ret);
}

/* The store's sentence holds no password: neither that of the URL nor a made-up one. */
static void says_no_password(struct store_testing *t, struct store *s)
{
    const char *colon = strchr(strstr(t->url, "://") + 3, ':'), *at = strchr(t->url, '@');

    assert_false(strstr(store_error(s).p, "secret"));
    if (colon && at && colon < at)
        assert_null(
            memmem(store_error(s).p, store_error(s).n, colon + 1, (size_t)(at - colon - 1)));
}

/* --- opening --- */

static void nobody_listens(void **state)
{
    struct store_testing *t = store_testing(state);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(here);

    assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&here, &n), 0);
    /* The port is taken: at first nobody listens, then somebody who never answers. */
    for (int i = 0; i < 2; i++) {
        const char *place = str_printf(&t->a, "127.0.0.1:%d/db", ntohs(here.sin_port)).p;
        int64_t from = clock_monotonic();
        struct store *s;

        assert_int_equal(
            open_with(str_printf(&t->a, "postgres://me:secret@%s", place).p, 300, 0, 0, &s),
            -EHOSTUNREACH);
        assert_in_range(clock_monotonic() - from, 300 * CLOCK_MS, 5 * CLOCK_S);
        STORE_SAYS(s, place);
        STORE_SAYS(s, "within connect_ms = 300 ms");
        says_no_password(t, s);
        store_free(s);
        assert_int_equal(listen(fd, 16), 0);
    }
    close(fd);
}

/* What another try cannot cure is told at once. */
static void a_refusal_is_told_at_once(void **state)
{
    struct store_testing *t = store_testing(state);
    const char *at = strrchr(t->url, '@'), *slash = strrchr(t->url, '/'),
               *user = strstr(t->url, "://") + 3;
    const char *name = str_printf(&t->a, STR_FMT, (int)(strchr(user, ':') - user), user).p;
    const char *bad = str_printf(&t->a, "postgres://%s:secret%s", name, at).p;
    const char *unknown = str_printf(&t->a, "postgres://nobody_here:secret%s", at).p;
    const char *silent = str_printf(&t->a, "postgres://%s%s?passfile=/nowhere", name, at).p;
    const char *nothing =
        str_printf(&t->a, STR_FMT "/no_such_database", (int)(slash - t->url), t->url).p;
    const struct {
        const char *url;
        int fault;
        const char *said;
    } rows[] = {
        {bad,     -EACCES, "password authentication failed"},
        {unknown, -EACCES, "the server refuses the user"   },
        {silent,  -EACCES, "wants a password"              },
        {nothing, -ENOENT, "there is no such database"     },
    };

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        int64_t from = clock_monotonic();
        struct store *s;

        CHECK_ROW(rows[i].said, open_with(rows[i].url, 20000, 0, 0, &s) == rows[i].fault);
        assert_in_range(clock_monotonic() - from, 0, 5 * CLOCK_S);
        STORE_SAYS(s, rows[i].said);
        says_no_password(t, s);
        store_free(s);
    }
}

static void admin(const char *sql)
{
    PGconn *c = PQconnectdb(getenv("WEFT_TEST_POSTGRES"));
    PGresult *r = PQexec(c, sql);

    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    PQclear(r);
    PQfinish(c);
}

static void a_database_in_another_encoding_is_refused(void **state)
{
    struct store_testing *t = store_testing(state);
    const char *name = str_printf(&t->a, "%s_ascii", t->database).p;
    struct store *s;
    int r;

    admin(str_printf(&t->a,
                     "CREATE DATABASE \"%s\" ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' "
                     "TEMPLATE template0",
                     name)
              .p);
    r = open_with(str_printf(&t->a, "%s_ascii", t->url).p, 0, 0, 0, &s);
    admin(str_printf(&t->a, "DROP DATABASE \"%s\" WITH (FORCE)", name).p);
    assert_int_equal(r, -EINVAL);
    STORE_SAYS(s, "has the encoding SQL_ASCII");
    store_free(s);
}

/* A user who may not make a schema is told so, and can work in one that was made for it. */
static void rights_are_needed_and_told(void **state)
{
    struct store_testing *t = store_testing(state);
    const char *role = str_printf(&t->a, "%s_role", t->database).p;
    const char *url = str_printf(&t->a, "postgres://%s:secret%s", role, strrchr(t->url, '@')).p;
    struct store *s;

    store_testing_sql(t, str_printf(&t->a, "CREATE ROLE \"%s\" LOGIN PASSWORD 'secret'", role).p);
    assert_int_equal(open_with(url, 0, 0, 0, &s), -EACCES);
    STORE_SAYS(s, "the user may not do that");
    says_no_password(t, s);
    store_free(s);
    store_testing_sql(t, str_printf(&t->a, "CREATE SCHEMA weft AUTHORIZATION \"%s\"", role).p);
    STORE_OK(s, open_with(url, 0, 0, 0, &s));
    begin(s);
    STORE_OK(s, store_testing_put(s, "q", 1));
    STORE_OK(s, store_commit(s));
    store_free(s);
    store_testing_sql(
        t, str_printf(&t->a, "DROP OWNED BY \"%s\" CASCADE; DROP ROLE \"%s\"", role, role).p);
}

static void a_server_that_takes_no_writes_is_told(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s;

    admin(str_printf(&t->a, "ALTER DATABASE \"%s\" SET default_transaction_read_only = on",
                     t->database)
              .p);
    assert_int_equal(open_with(t->url, 0, 0, 0, &s), -EROFS);
    STORE_SAYS(s, "takes no writes");
    store_free(s);
    admin(
        str_printf(&t->a, "ALTER DATABASE \"%s\" RESET default_transaction_read_only", t->database)
            .p);
    store_free(store_testing_open(t, STORE_WRITE));
    admin(str_printf(&t->a, "ALTER DATABASE \"%s\" SET default_transaction_read_only = on",
                     t->database)
              .p);
    STORE_OK(s, open_with(t->url, 0, 0, 0, &s));
    begin(s);
    assert_int_equal(store_testing_put(s, "q", 1), -EROFS);
    STORE_SAYS(s, "takes no writes");
    store_free(s);
}

static void a_migration_that_never_ends_is_told(void **state)
{
    struct store_testing *t = store_testing(state);
    PGconn *c = PQconnectdb(t->url);
    struct store *s;

    PQclear(PQexec(c, "SELECT pg_advisory_lock(8602267437906755585)"));
    assert_int_equal(open_with(t->url, 300, 50, 0, &s), -EBUSY);
    STORE_SAYS(s, "another program brings the schema forward, for longer than connect_ms = 300 ms");
    store_free(s);
    PQfinish(c);
    store_free(store_testing_open(t, STORE_WRITE));
}

/* --- what the server answers --- */

static void the_servers_errors_have_a_meaning(void **state)
{
    static const struct {
        const char *state;
        int want;
        const char *said;
    } rows[] = {
        {"23505", STORE_E_DUPLICATE, "unique key"                                   },
        {"40001", -EAGAIN,           "conflict"                                     },
        {"40P01", -EAGAIN,           "deadlock"                                     },
        {"55P03", -EAGAIN,           "lock_ms"                                      },
        {"57014", -EAGAIN,           "statement_ms"                                 },
        {"25006", -EROFS,            "takes no writes"                              },
        {"53100", -ENOSPC,           "disk is full"                                 },
        {"53200", -ENOMEM,           "memory"                                       },
        {"42501", -EACCES,           "may not do that"                              },
        {"XX001", -EUCLEAN,          "damaged"                                      },
        {"XX002", -EUCLEAN,          "REINDEX"                                      },
        {"58P01", -EUCLEAN,          "missing"                                      },
        {"58030", -EIO,              "disk failed"                                  },
        {"22012", -EBADMSG,          "statement queue_put: made up (SQLSTATE 22012)"},
    };
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    store_testing_sql(
        t, "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
           " $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = NEW.name; END $$;"
           " CREATE TRIGGER fail BEFORE INSERT ON queue FOR EACH ROW EXECUTE FUNCTION fail()");
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        begin(s);
        CHECK_ROW(rows[i].state, store_testing_put(s, rows[i].state, 1) == rows[i].want);
        STORE_SAYS(s, rows[i].said);
        STORE_SAYS(s, "queue_put");
        if (rows[i].want == -EAGAIN) /* it is over, and says so until it is begun again */
            CHECK_ROW(rows[i].state, store_commit(s) == -EAGAIN);
        else
            store_rollback(s);
    }
    store_free(s);
}

static void limits_on_locks_and_statements_hold(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *one = store_testing_open(t, STORE_WRITE), *two, *three;

    STORE_OK(two, open_with(t->url, 0, 50, 0, &two));
    STORE_OK(three, open_with(t->url, 0, 20000, 100, &three));
    begin(one);
    STORE_OK(one, store_testing_put(one, "q", 1));
    begin(two);
    assert_int_equal(store_testing_put(two, "q", 2), -EAGAIN);
    STORE_SAYS(two, "lock_ms");
    begin(three);
    assert_int_equal(store_testing_put(three, "q", 3), -EAGAIN);
    STORE_SAYS(three, "statement_ms");
    STORE_OK(one, store_commit(one));
    begin(two);
    STORE_OK(two, store_testing_put(two, "q", 2));
    STORE_OK(two, store_commit(two));
    store_free(one);
    store_free(two);
    store_free(three);
}

struct crossing {
    struct store *s;
    const char *rows[2]; /* in the order in which they are locked */
    pthread_barrier_t *both;
    int again;
    int r;
};

/* Lock two rows one after the other, and begin anew as long as that is the answer. */
static void *cross(void *arg)
{
    struct crossing *c = arg;
    bool met = false;

    do {
        c->r = store_begin(c->s, NULL);
        if (!c->r)
            c->r = store_testing_put(c->s, c->rows[0], 1);
        if (!met)
            pthread_barrier_wait(c->both);
        met = true;
        if (!c->r)
            c->r = store_testing_put(c->s, c->rows[1], 1);
        if (!c->r)
            c->r = store_commit(c->s);
        c->again += c->r == -EAGAIN;
    } while (c->r == -EAGAIN && c->again < 10);
    return NULL;
}

static void a_deadlock_is_told_and_run_again(void **state)
{
    struct store_testing *t = store_testing(state);
    struct crossing ways[2] = {0};
    pthread_barrier_t both;
    pthread_t thread;

    pthread_barrier_init(&both, NULL, 2);
    for (int i = 0; i < 2; i++) {
        ways[i].s = store_testing_open(t, STORE_WRITE);
        ways[i].both = &both;
        ways[i].rows[i] = "a";
        ways[i].rows[1 - i] = "b";
    }
    assert_int_equal(pthread_create(&thread, NULL, cross, &ways[1]), 0);
    cross(&ways[0]);
    pthread_join(thread, NULL);
    assert_int_equal(ways[0].r, 0);
    assert_int_equal(ways[1].r, 0);
    assert_true(ways[0].again + ways[1].again >= 1);
    store_free(ways[0].s);
    store_free(ways[1].s);
    pthread_barrier_destroy(&both);
}

/* --- a connection that is lost --- */

#define END_SESSIONS                                                                               \
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"                          \
    " WHERE datname = current_database() AND application_name = 'weft'"

/* Transactions of ours that have a number of the server's; and that are under way at all. */
#define NUMBERED                                                                                   \
    "SELECT count(backend_xid) FROM pg_stat_activity"                                              \
    " WHERE datname = current_database() AND application_name = 'weft'"
#define BUSY NUMBERED " AND state <> 'idle'"

enum when {
    IDLE,
    BEFORE_STATEMENT,
    BEFORE_MARKED,
    BEFORE_UNDO,
    BEFORE_IDS,
    BEFORE_COMMIT,
    BEFORE_ROLLBACK,
    WHEN_N
};

/* Write, and lose the connection on the way; what the transaction returns. */
static int lose(struct store_testing *t, struct store *s, enum when when)
{
    int64_t id;
    int r;

    if (when == IDLE)
        store_testing_sql(t, END_SESSIONS);
    r = store_begin(s, NULL);
    if (!r)
        r = store_testing_put(s, "q", 2);
    if (!r)
        r = store_mark(s);
    if (!r && when == BEFORE_UNDO)
        r = store_testing_put(s, "q", 3);
    if (when != IDLE)
        store_testing_sql(t, END_SESSIONS);
    if (!r && (when == BEFORE_STATEMENT || when == BEFORE_MARKED))
        r = store_testing_put(s, "q", 4);
    if (!r && when == BEFORE_UNDO)
        r = store_undo(s);
    if (!r && when == BEFORE_IDS)
        r = store_ids(s, 1, &id);
    if (r && when == BEFORE_MARKED) /* nothing goes on after it, and each call says so */
        return store_mark(s) == r && store_testing_put(s, "q", 5) == r && store_commit(s) == r
                   ? r
                   : 100;
    if (!r && when == BEFORE_ROLLBACK) {
        store_rollback(s);
        return -ECONNRESET;
    }
    return r ? r : store_commit(s);
}

static void a_lost_connection_is_made_again(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    for (int when = IDLE; when < WHEN_N; when++) {
        begin(s);
        STORE_OK(s, store_testing_put(s, "q", 1));
        STORE_OK(s, store_commit(s));
        assert_int_equal(lose(t, s, (enum when)when), when == IDLE ? 0 : -ECONNRESET);
        if (when != IDLE && when != BEFORE_ROLLBACK)
            STORE_SAYS(s, "the connection was lost");
        assert_string_equal(store_testing_sql(t, "SELECT tasks_max FROM queue"),
                            when == IDLE ? "2" : "1");
        begin(s);
        STORE_OK(s, store_testing_put(s, "q", 9));
        STORE_OK(s, store_commit(s));
    }
    store_free(s);
}

struct assassin {
    const char *url;
    PGconn *holder; /* has the lock that the store waits for */
};

/* End the session that waits for a lock, once it does. */
static void *end_the_waiting(void *arg)
{
    struct assassin *k = arg;
    PGconn *c = PQconnectdb(k->url);
    bool done = false;

    for (int i = 0; i < 2000 && !done; i++) {
        PGresult *r = PQexec(c, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                                "datname = current_database()"
                                " AND application_name = 'weft' AND wait_event_type = 'Lock'");

        done = PQntuples(r) > 0;
        PQclear(r);
        usleep(5000);
    }
    PQfinish(c);
    return NULL;
}

static void a_connection_lost_in_a_statement_is_told(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);
    struct assassin k = {.url = t->url, .holder = PQconnectdb(t->url)};
    pthread_t thread;

    PQclear(PQexec(k.holder, "BEGIN; LOCK TABLE weft.queue IN ACCESS EXCLUSIVE MODE"));
    assert_int_equal(pthread_create(&thread, NULL, end_the_waiting, &k), 0);
    begin(s);
    assert_int_equal(store_testing_put(s, "q", 1), -ECONNRESET);
    STORE_SAYS(s, "terminating connection");
    store_rollback(s);
    pthread_join(thread, NULL);
    PQfinish(k.holder);
    begin(s);
    STORE_OK(s, store_testing_put(s, "q", 1));
    STORE_OK(s, store_commit(s));
    store_free(s);
}

/* What is there of our receipts when a transaction commits. */
enum receipt { RECEIPT_NONE, RECEIPT_THERE, RECEIPT_GONE, RECEIPT_N };

static void receipt_make(struct store_testing *t, struct store *s, enum receipt how)
{
    if (how == RECEIPT_NONE)
        return;
    begin(s);
    STORE_OK(s, store_testing_put(s, "first", 1));
    STORE_OK(s, store_commit(s));
    store_testing_sql(t, "DELETE FROM queue");
    if (how == RECEIPT_GONE)
        store_testing_sql(t, "DELETE FROM receipt");
}

static void the_fate_of_a_commit_is_found_out(void **state)
{
    static const struct {
        const char *name;
        enum trouble trouble;
        int want;
        const char *kept;
    } rows[] = {
        {"it never arrived",              CUT_BEFORE, -ECONNRESET,   "0"},
        {"its answer was lost",           CUT_AFTER,  0,             "1"},
        {"the server still waits for it", HOLD,       -ECONNRESET,   "0"},
        {"nobody can tell",               DOWN,       -EHOSTUNREACH, "1"},
    };
    struct store_testing *t = store_testing(state);

    for (size_t n = 0; n < ROWS_N(rows) * RECEIPT_N; n++) {
        struct proxy *p = proxy_new(t);
        size_t i = n / RECEIPT_N;
        struct store *s;
        int r;

        p->word = "weft COMMIT";
        STORE_OK(s, open_with(p->url, rows[i].trouble == DOWN ? 700 : 20000, 0, 0, &s));
        receipt_make(t, s, (enum receipt)(n % RECEIPT_N));
        begin(s);
        STORE_OK(s, store_testing_put(s, "q", 1));
        atomic_store(&p->trouble, rows[i].trouble);
        r = store_commit(s);
        if (r != rows[i].want)
            fail_msg("%s: %d, " STR_FMT, rows[i].name, r, STR_ARG(store_error(s)));
        if (r == -EHOSTUNREACH)
            STORE_SAYS(s,
                       "whether that took place could not be found out within connect_ms = 700 ms");
        else if (r)
            STORE_SAYS(s, "it is rolled back");
        assert_int_equal(store_in_doubt(s), r == -EHOSTUNREACH);
        if (r == -EHOSTUNREACH) {
            assert_int_equal(store_settle(s), -EHOSTUNREACH);
            atomic_store(&p->trouble, PASS);
            STORE_OK(s, store_settle(s));
            assert_false(store_in_doubt(s));
        }
        assert_string_equal(store_testing_sql(t, "SELECT count(*) FROM queue"), rows[i].kept);
        begin(s); /* and life goes on */
        STORE_OK(s, store_testing_put(s, "other", 1));
        STORE_OK(s, store_commit(s));
        store_testing_sql(t, "DELETE FROM queue");
        store_free(s);
        proxy_end(p);
    }
}

static int nothing(struct store *s)
{
    return store_testing_get(s, "other") == -1 ? 0 : 100;
}

static int nothing_under_a_lock(struct store *s)
{
    return STORE_DO(s, STMT_queue_lock, NULL, NULL, TEXT(STR("none")));
}

static int row_heard(struct store *s)
{
    return store_testing_put(s, "q", 1);
}

static int row_unheard(struct store *s)
{
    return STORE_PUT(s, STMT_tally_add, INT(1), TEXT(STR("")), TEXT(STR("READY")), INT(1));
}

/* A statement that only reads by its first word, and by the tag that it is answered with. */
static int row_by_a_select(struct store *s)
{
    return STORE_DO(s, STMT_queue_lock, NULL, NULL, TEXT(STR("q")));
}

static int row_undone_and_another(struct store *s)
{
    int r = store_mark(s);

    if (!r)
        r = store_testing_put(s, "q", 7);
    if (!r)
        r = store_undo(s);
    return r ? r : row_unheard(s);
}

/* The first transaction of a connection makes its row, the next ones move it, and where it has gone
 * they make another. One that wrote nothing leaves none, nor has it anything to be sent to the
 * disk.
 */
static void a_receipt_is_for_who_wrote(void **state)
{
    static const struct {
        const char *name;
        int (*run)(struct store *s);
        const char *receipts;
    } rows[] = {
        {"nothing",                  nothing,                "0"},
        {"nothing under a lock",     nothing_under_a_lock,   "0"},
        {"a row",                    row_heard,              "1"},
        {"a row, unheard",           row_unheard,            "1"},
        {"a row by a SELECT",        row_by_a_select,        "1"},
        {"one undone, then another", row_undone_and_another, "1"},
    };
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    store_testing_sql(t, "INSERT INTO queue (name, tasks_max, created_at) VALUES ('q', 0, 0)");
    for (size_t i = 0; i < 2 * ROWS_N(rows); i++) {
        const char *name = rows[i % ROWS_N(rows)].name, *n = rows[i % ROWS_N(rows)].receipts;
        const char *before;

        store_testing_sql(t, "DELETE FROM receipt");
        for (int more = 0; more < 2; more++) { /* without our row, and with it */
            before = store_testing_sql(t, "SELECT coalesce(max(n), 0) FROM receipt");
            begin(s);
            STORE_OK(s, rows[i % ROWS_N(rows)].run(s));
            if (*n == '0')
                CHECK_ROW(name, strcmp(store_testing_sql(t, NUMBERED), "0") == 0);
            STORE_OK(s, store_commit(s));
            CHECK_ROW(name, strcmp(store_testing_sql(t, "SELECT count(*) FROM receipt"), n) == 0);
            CHECK_ROW(name, (strcmp(store_testing_sql(t, "SELECT coalesce(max(n), 0) FROM receipt"),
                                    before) == 0) == (*n == '0'));
        }
    }
    store_free(s);
}

/* A commit that arrived, and that the server is still busy with when we ask. */
static void a_commit_under_way_is_not_taken_for_an_aborted_one(void **state)
{
    struct store_testing *t = store_testing(state);
    struct proxy *p = proxy_new(t);
    PGconn *gate = PQconnectdb(t->url);
    struct store *s;

    p->word = "weft COMMIT";
    STORE_OK(s, open_with(p->url, 20000, 0, 0, &s));
    store_testing_sql(
        t, "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
           " $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$;"
           " CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON queue DEFERRABLE INITIALLY DEFERRED"
           " FOR EACH ROW EXECUTE FUNCTION wait()");
    PQclear(PQexec(gate, "SELECT pg_advisory_lock(1)"));
    begin(s);
    STORE_OK(s, store_testing_put(s, "q", 1));
    atomic_store(&p->trouble, CUT_AFTER);
    assert_int_equal(store_commit(s), -ECONNRESET);
    STORE_SAYS(s, "it is rolled back");
    PQclear(PQexec(gate, "SELECT pg_advisory_unlock(1)"));
    assert_string_equal(store_testing_sql(t, BUSY), "0");
    assert_string_equal(store_testing_sql(t, "SELECT count(*) FROM queue"), "0");
    begin(s);
    STORE_OK(s, store_testing_put(s, "q", 1));
    STORE_OK(s, store_commit(s));
    store_free(s);
    PQfinish(gate);
    proxy_end(p);
}

static void a_server_that_does_not_answer_is_given_up(void **state)
{
    struct store_testing *t = store_testing(state);
    struct proxy *p = proxy_new(t);
    struct store *s;
    int64_t from;

    p->word = "queue_put";
    STORE_OK(s, open_with(p->url, 0, 0, 200, &s));
    begin(s);
    atomic_store(&p->trouble, FREEZE);
    from = clock_monotonic();
    assert_int_equal(store_testing_put(s, "q", 1), -ECONNRESET);
    STORE_SAYS(s, "did not answer in time");
    assert_in_range(clock_monotonic() - from, 5 * CLOCK_S, 20 * CLOCK_S);
    begin(s);
    STORE_OK(s, store_testing_put(s, "q", 1));
    STORE_OK(s, store_commit(s));
    store_free(s);
    proxy_end(p);
}

/* Add two in a transaction, and again where it was rolled back. */
static void add_twice(struct store *s)
{
    int r;

    do {
        r = store_begin(s, NULL);
        if (!r)
            r = STORE_DO(s, STMT_tally_add, NULL, NULL, INT(1), TEXT(STR("")), TEXT(STR("READY")),
                         INT(1));
        if (!r)
            r = store_mark(s);
        if (!r)
            r = store_testing_put(s, "q", 1);
        if (!r)
            r = STORE_PUT(s, STMT_tally_add, INT(1), TEXT(STR("")), TEXT(STR("READY")), INT(1));
        if (!r)
            r = store_commit(s);
    } while (r == -ECONNRESET);
    STORE_OK(s, r);
}

/* The connection is cut at the first message, at the second, … until the run is over before: from
 * opening to the last commit, each addition takes effect once. */
static void every_message_may_be_the_last(void **state)
{
    struct store_testing *t = store_testing(state);
    struct proxy *p = proxy_new(t);
    int added = 0, n = 0;

    store_free(store_testing_open(t, STORE_WRITE));
    for (int trouble = CUT_BEFORE; trouble <= CUT_AFTER; trouble++) {
        for (n = 1;; n++) {
            struct store *s;

            atomic_store(&p->countdown, n);
            atomic_store(&p->trouble, trouble);
            STORE_OK(s, open_with(p->url, 20000, 0, 0, &s));
            add_twice(s);
            add_twice(s);
            added += 4;
            store_free(s);
            assert_string_equal(store_testing_sql(t, "SELECT n FROM tally"),
                                str_printf(&t->a, "%d", added).p);
            if (atomic_load(&p->trouble) != PASS)
                break;
        }
        assert_true(n > 10);
    }
    proxy_end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(nobody_listens, postgres),
        STORE_TEST(a_refusal_is_told_at_once, postgres),
        STORE_TEST(a_database_in_another_encoding_is_refused, postgres),
        STORE_TEST(rights_are_needed_and_told, postgres),
        STORE_TEST(a_server_that_takes_no_writes_is_told, postgres),
        STORE_TEST(a_migration_that_never_ends_is_told, postgres),
        STORE_TEST(the_servers_errors_have_a_meaning, postgres),
        STORE_TEST(limits_on_locks_and_statements_hold, postgres),
        STORE_TEST(a_deadlock_is_told_and_run_again, postgres),
        STORE_TEST(a_lost_connection_is_made_again, postgres),
        STORE_TEST(a_connection_lost_in_a_statement_is_told, postgres),
        STORE_TEST(the_fate_of_a_commit_is_found_out, postgres),
        STORE_TEST(a_receipt_is_for_who_wrote, postgres),
        STORE_TEST(a_commit_under_way_is_not_taken_for_an_aborted_one, postgres),
        STORE_TEST(a_server_that_does_not_answer_is_given_up, postgres),
        STORE_TEST(every_message_may_be_the_last, postgres),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
