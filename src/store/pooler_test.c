/* SPDX-License-Identifier: Apache-2.0 */
/* The store behind pgbouncer, which gives each transaction another connection. */
#include <errno.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "store/store_testing.h"

#define PGBOUNCER "/usr/sbin/pgbouncer"

struct pooler {
    pid_t pid;
    char url[256];
};

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    getsockname(fd, (struct sockaddr *)&a, &n);
    close(fd);
    return ntohs(a.sin_port);
}

static const char *part(PQconninfoOption *parts, const char *name, const char *otherwise)
{
    for (PQconninfoOption *o = parts; o->keyword; o++)
        if (strcmp(o->keyword, name) == 0 && o->val && *o->val)
            return o->val;
    return otherwise;
}

static void write_settings(struct store_testing *t, const char *path, int port,
                           const char *settings)
{
    PQconninfoOption *parts = PQconninfoParse(t->url, NULL);
    FILE *f = fopen(path, "w");
    const char *password = part(parts, "password", NULL);

    assert_non_null(f);
    fprintf(f, "[databases]\n%s = host=%s port=%s dbname=%s user=%s", t->database,
            part(parts, "host", "127.0.0.1"), part(parts, "port", "5432"), t->database,
            part(parts, "user", "postgres"));
    if (password)
        fprintf(f, " password=%s", password);
    fprintf(f,
            "\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\n%s",
            port, settings);
    fclose(f);
    PQconninfoFree(parts);
}

/* It ends with the test, which leaves a case by a jump where an assertion fails. The wish must come
 * behind the change of user, which forgets it; so pgbouncer is not asked to change (-u). */
static _Noreturn void pooler_be(const char *path, pid_t parent)
{
    /* cppcheck-suppress getpwnamCalled */
    const struct passwd *nobody = geteuid() ? NULL : getpwnam("nobody");

    if (nobody && (setgroups(0, NULL) || setgid(nobody->pw_gid) || setuid(nobody->pw_uid)))
        _exit(126);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
        _exit(126);
    execl(PGBOUNCER, PGBOUNCER, "-q", path, (char *)NULL);
    _exit(127);
}

/* False: it is not installed. */
static bool pooler_start(struct store_testing *t, struct pooler *p, const char *settings)
{
    const char *path = str_printf(&t->a, "%s/pgbouncer.ini", t->folder).p;
    pid_t parent = getpid();
    int port = free_port();

    if (access(PGBOUNCER, X_OK))
        return false;
    write_settings(t, path, port, settings);
    chmod(t->folder, 0755);
    chmod(path, 0644);
    snprintf(p->url, sizeof(p->url), "postgres://weft@127.0.0.1:%d/%s?pooler=transaction", port,
             t->database);
    p->pid = fork();
    if (p->pid == 0)
        pooler_be(path, parent);
    assert_true(p->pid > 0);
    return true;
}

static void pooler_stop(struct pooler *p)
{
    kill(p->pid, SIGTERM);
    waitpid(p->pid, NULL, 0);
}

static struct store *open_at(const char *url, enum store_mode mode)
{
    struct store_options o = {.url = str_of(url), .mode = mode};
    struct store *s;

    STORE_OK(s, store_open(&o, &s));
    return s;
}

/* Two writers and a reader take turns, so that each transaction meets another connection. */
static void transactions_go_through_a_pooler(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *writers[2], *reader;
    struct arena a = {0};
    struct pooler p;
    struct rows rows;
    int64_t ids[2];

    if (!pooler_start(t, &p,
                      "default_pool_size = 3\nserver_reset_query = DISCARD ALL\n"
                      "server_reset_query_always = 1\n")) {
        print_message("%s is not installed\n", PGBOUNCER);
        skip();
    }
    for (int i = 0; i < 2; i++)
        writers[i] = open_at(p.url, STORE_WRITE);
    reader = open_at(p.url, STORE_READ);
    for (int i = 0; i < 20; i++) {
        for (int w = 0; w < 2; w++) {
            STORE_OK(writers[w], store_begin(writers[w], NULL));
            STORE_OK(writers[w], store_ids(writers[w], 2, ids));
            STORE_OK(writers[w], store_testing_put(writers[w], w ? "b" : "a", i));
            STORE_OK(writers[w], store_mark(writers[w]));
            STORE_OK(writers[w], store_testing_put(writers[w], "undone", i));
            STORE_OK(writers[w], store_undo(writers[w]));
        }
        for (int w = 0; w < 2; w++)
            STORE_OK(writers[w], store_commit(writers[w]));
        STORE_OK(reader, store_begin(reader, NULL));
        STORE_OK(reader, STORE_DO(reader, STMT_queue_get, &a, &rows, TEXT(STR("b"))));
        assert_int_equal(rows.n, 1);
        STORE_OK(reader, store_commit(reader));
    }
    assert_int_equal(store_testing_count(t, "queue"), 2);
    for (int i = 0; i < 2; i++)
        store_free(writers[i]);
    store_free(reader);
    arena_deinit(&a);
    pooler_stop(&p);
}

/* Statements that were prepared in a session of somebody else's are met by the second at the
 * latest. */
static void a_pooler_that_is_not_told_of_is_named(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *stores[2];
    struct pooler p;
    struct str text;
    int r = 0;

    if (!pooler_start(t, &p, "default_pool_size = 1\n")) {
        print_message("%s is not installed\n", PGBOUNCER);
        skip();
    }
    *strchr(p.url, '?') = 0;
    for (int i = 0; i < 2; i++)
        r = store_open(&(struct store_options){.url = str_of(p.url), .mode = STORE_WRITE},
                       &stores[i]);
    assert_int_equal(r, -EINVAL);
    text = store_error(stores[1]);
    assert_non_null(memmem(text.p, text.n, STR("?pooler=transaction").p, 19));
    fault_take();
    for (int i = 0; i < 2; i++)
        store_free(stores[i]);
    pooler_stop(&p);
}

/* A pooler speaks for a server that it cannot reach, or that is too busy. */
static void a_pooler_without_a_connection_is_a_lost_one(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store_options o = {.mode = STORE_WRITE, .connect_ms = 500};
    struct store *writers[2];
    struct pooler p;
    int64_t id;
    int r;

    if (!pooler_start(t, &p, "default_pool_size = 1\nquery_wait_timeout = 1\n")) {
        print_message("%s is not installed\n", PGBOUNCER);
        skip();
    }
    writers[0] = open_at(p.url, STORE_WRITE);
    o.url = str_of(p.url);
    STORE_OK(writers[1], store_open(&o, &writers[1]));
    STORE_OK(writers[0], store_begin(writers[0], NULL));
    STORE_OK(writers[0], store_ids(writers[0], 1, &id));
    r = store_begin(writers[1], NULL);
    r = r ? r : store_ids(writers[1], 1, &id);
    assert_int_equal(r, -ECONNRESET);
    fault_take();
    STORE_OK(writers[0], store_commit(writers[0]));
    for (int i = 0; i < 2; i++)
        store_free(writers[i]);
    pooler_stop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(transactions_go_through_a_pooler, postgres),
        STORE_TEST(a_pooler_without_a_connection_is_a_lost_one, postgres),
        STORE_TEST(a_pooler_that_is_not_told_of_is_named, postgres),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
