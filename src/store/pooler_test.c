/* SPDX-License-Identifier: Apache-2.0 */
/* The store behind pgbouncer, which gives each transaction another connection. */
#include <errno.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void write_settings(struct store_testing *t, const char *path, int port)
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
            "auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n"
            "server_reset_query = DISCARD ALL\nserver_reset_query_always = 1\n",
            port);
    fclose(f);
    PQconninfoFree(parts);
}

/* False: it is not installed. */
static bool pooler_start(struct store_testing *t, struct pooler *p)
{
    const char *path = str_printf(&t->a, "%s/pgbouncer.ini", t->folder).p;
    int port = free_port();

    if (access(PGBOUNCER, X_OK))
        return false;
    write_settings(t, path, port);
    chmod(t->folder, 0755);
    chmod(path, 0644);
    snprintf(p->url, sizeof(p->url), "postgres://weft@127.0.0.1:%d/%s?pooler=transaction", port,
             t->database);
    p->pid = fork();
    if (p->pid == 0) {
        if (geteuid() == 0)
            execl(PGBOUNCER, PGBOUNCER, "-q", "-u", "nobody", path, (char *)NULL);
        else
            execl(PGBOUNCER, PGBOUNCER, "-q", path, (char *)NULL);
        _exit(127);
    }
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

    if (!pooler_start(t, &p)) {
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(transactions_go_through_a_pooler, postgres),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
