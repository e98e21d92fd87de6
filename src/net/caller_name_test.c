/* SPDX-License-Identifier: Apache-2.0 */
#include "net/caller_name.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/test.h"

/* ---- the resolver: this test's, in the place of the system's ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned asked, hung, freed; /* so often */
static bool hangs;                  /* whoever asks for "hang…" */

int getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
                struct addrinfo **pai)
{
    struct sockaddr_in6 *v6;
    struct sockaddr_in *v4;
    struct addrinfo *list;

    (void)service;
    (void)req;
    pthread_mutex_lock(&lock);
    asked++;
    if (strncmp(name, "hang", 4) == 0) {
        hung++;
        pthread_cond_broadcast(&changed);
        while (hangs)
            pthread_cond_wait(&changed, &lock);
        hung--;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
    if (strncmp(name, "none", 4) == 0)
        return EAI_NONAME;
    list = memory_new(2 * sizeof(*list));
    v4 = memory_new(sizeof(*v4));
    v6 = memory_new(sizeof(*v6));
    *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    list[0] = (struct addrinfo){.ai_family = AF_INET6,
                                .ai_addr = (struct sockaddr *)(void *)v6,
                                .ai_addrlen = sizeof(*v6),
                                .ai_next = &list[1]};
    list[1] = (struct addrinfo){
        .ai_family = AF_INET, .ai_addr = (struct sockaddr *)(void *)v4, .ai_addrlen = sizeof(*v4)};
    *pai = list;
    return 0;
}

void freeaddrinfo(struct addrinfo *ai)
{
    free(ai[0].ai_addr);
    free(ai[1].ai_addr);
    free(ai);
    pthread_mutex_lock(&lock);
    freed++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void await_count(const unsigned *count, unsigned wanted)
{
    pthread_mutex_lock(&lock);
    while (*count != wanted)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* ---- those who ask ---- */

struct asker {
    struct caller_name *name;
    bool told;
    size_t n;
    unsigned port;
    const char *error;
};

static void done(void *context, const struct sockaddr_storage *addresses, size_t n,
                 const char *error)
{
    struct asker *a = context;

    assert_false(a->told);
    a->told = true;
    a->name = NULL;
    a->n = n;
    a->error = error;
    if (n) {
        assert_int_equal(addresses[0].ss_family, AF_INET6);
        a->port = ntohs(((const struct sockaddr_in6 *)(const void *)&addresses[0])->sin6_port);
        assert_int_equal(ntohs(((const struct sockaddr_in *)(const void *)&addresses[1])->sin_port),
                         a->port);
    }
}

struct fixture {
    uv_loop_t loop;
    uv_idle_t alive;
    struct caller_names names;
    bool closed;
};

static void idle(uv_idle_t *h)
{
    (void)h;
}

static struct fixture *begin(void)
{
    struct fixture *f = memory_new(sizeof(*f));

    asked = hung = freed = 0;
    hangs = true;
    uv_loop_init(&f->loop);
    uv_idle_init(&f->loop, &f->alive);
    uv_idle_start(&f->alive, idle);
    caller_name_init(&f->names, &f->loop);
    f->names.told.data = f;
    return f;
}

static void ask(struct fixture *f, struct asker *a, const char *address)
{
    struct caller_address parsed;
    const char *why;

    assert_int_equal(caller_address_parse(str_of(address), &parsed, &why), 0);
    *a = (struct asker){0};
    a->name = caller_name_ask(&f->names, &parsed, done, a);
    caller_name_turn(&f->names);
}

static void await(struct fixture *f, const struct asker *a)
{
    while (!a->told)
        uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void forget(struct asker *a)
{
    caller_name_forget(TAKE(a->name));
}

static void closed(uv_handle_t *handle)
{
    ((struct fixture *)handle->data)->closed = true;
}

static void end(struct fixture *f)
{
    caller_name_close(&f->names, closed);
    uv_close((uv_handle_t *)&f->alive, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->closed);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
}

static void let_go(void)
{
    pthread_mutex_lock(&lock);
    hangs = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* ---- the tests ---- */

static void a_name_has_addresses_with_the_port_that_was_asked_for(void **state)
{
    struct fixture *f = begin();
    struct asker a;

    (void)state;
    ask(f, &a, "runner.example:4711");
    await(f, &a);
    assert_null(a.error);
    assert_int_equal(a.n, 2);
    assert_int_equal(a.port, 4711);
    ask(f, &a, "none.example:4711");
    await(f, &a);
    assert_int_equal(a.n, 0);
    assert_non_null(a.error);
    end(f);
    assert_int_equal(freed, 1);
}

/* Issue 5: an address that hangs costs nobody else anything. */
static void names_that_hang_keep_nobody_waiting(void **state)
{
    struct fixture *f = begin();
    struct asker hanging[40], a;
    char address[40];

    (void)state;
    for (size_t i = 0; i < ROWS_N(hanging); i++) {
        snprintf(address, sizeof(address), "hang%zu.example:1", i);
        ask(f, &hanging[i], address);
    }
    ask(f, &a, "runner.example:4711");
    await(f, &a);
    assert_int_equal(a.n, 2);
    let_go();
    for (size_t i = 0; i < ROWS_N(hanging); i++) {
        await(f, &hanging[i]);
        assert_int_equal(hanging[i].n, 2);
    }
    end(f);
}

/* Whoever asked and who asks now, whatever the port. */
static void a_host_that_hangs_takes_one_thread(void **state)
{
    struct fixture *f = begin();
    struct asker first, second, third;

    (void)state;
    ask(f, &first, "hang.example:1");
    await_count(&hung, 1);
    ask(f, &second, "hang.example:2");
    forget(&first);
    ask(f, &third, "hang.example:3");
    let_go();
    await(f, &third);
    await(f, &second);
    assert_int_equal(asked, 1);
    assert_int_equal(second.port, 2);
    assert_int_equal(third.port, 3);
    assert_false(first.told);
    end(f);
}

static void more_than_there_is_room_for_wait_or_are_forgotten(void **state)
{
    struct fixture *f = begin();
    struct asker *hanging = memory_new(CALLER_RESOLVING_MAX * sizeof(*hanging)), waiting, left;
    char address[40];

    (void)state;
    for (size_t i = 0; i < CALLER_RESOLVING_MAX; i++) {
        snprintf(address, sizeof(address), "hang%zu.example:1", i);
        ask(f, &hanging[i], address);
    }
    await_count(&hung, CALLER_RESOLVING_MAX);
    ask(f, &waiting, "runner.example:1");
    ask(f, &left, "other.example:1");
    forget(&left);
    for (unsigned i = 0; i < 10; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_false(waiting.told);
    let_go();
    await(f, &waiting);
    for (size_t i = 0; i < CALLER_RESOLVING_MAX; i++)
        await(f, &hanging[i]);
    assert_int_equal(asked, CALLER_RESOLVING_MAX + 1);
    end(f);
    free(hanging);
}

/* What the resolver says then is nobody's. */
static void closing_waits_for_no_resolver(void **state)
{
    struct fixture *f = begin();
    struct asker a;

    (void)state;
    ask(f, &a, "hang.example:1");
    await_count(&hung, 1);
    forget(&a);
    end(f);
    assert_int_equal(freed, 0);
    let_go();
    await_count(&freed, 1);
    await_count(&hung, 0);
}

/* An answer that lies in the box when it closes. */
static void what_was_found_too_late_is_dropped(void **state)
{
    struct fixture *f = begin();
    struct asker a;

    (void)state;
    ask(f, &a, "hang.example:1");
    await_count(&hung, 1);
    forget(&a);
    let_go();
    await_count(&hung, 0);
    end(f);
    await_count(&freed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_addresses_with_the_port_that_was_asked_for),
        cmocka_unit_test(names_that_hang_keep_nobody_waiting),
        cmocka_unit_test(a_host_that_hangs_takes_one_thread),
        cmocka_unit_test(more_than_there_is_room_for_wait_or_are_forgotten),
        cmocka_unit_test(closing_waits_for_no_resolver),
        cmocka_unit_test(what_was_found_too_late_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
