/* SPDX-License-Identifier: Apache-2.0 */
/* What shares a transaction, what is undone alone, and what a store that fails does to both. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "serve/batcher_testing.h"
#include "serve/hub.h"

static void what_waits_shares_a_commit(void **state)
{
    struct fixture *f = *state;
    struct put puts[1100];
    struct group_test *g;
    struct hold h;

    for (size_t i = 0; i < ROWS_N(puts); i++)
        puts[i] = (struct put){.name = "q"};
    batcher_testing_hold(f->writer, &h);
    g = batcher_testing_post(f->writer, puts, ROWS_N(puts), 0, NULL);
    batcher_testing_let_go(&h);
    sem_wait(&g->all);
    for (size_t i = 0; i < g->n; i++) {
        assert_int_equal(g->requests[i].answer.code, CODE_OK);
        assert_int_equal(g->order[i], i);
        /* One transaction takes so many, the next one the rest. */
        assert_int_equal(g->replies[i].written, i % BATCHER_REQUESTS_MAX);
    }
    batcher_testing_free(g);
}

static void one_that_fails_is_undone_alone(void **state)
{
    static const struct {
        const char *name;
        enum ending ending;
        enum code code;
        const char *text;
        int calls; /* of the neighbours */
    } rows[] = {
        {"refused before it wrote", END_REFUSED_FIRST, CODE_TASK_STATE,    "middle is refused", 1},
        {"refused",                 END_REFUSED,       CODE_TASK_STATE,    "middle is refused", 2},
        {"a unique key",            END_DUPLICATE,     CODE_TASK_STATE,    "it is there",       2},
        {"a forgotten outcome",     END_FORGOTTEN,     CODE_INTERNAL,      NULL,                2},
        {"a bug",                   END_BUG,           CODE_INTERNAL,      NULL,                2},
        {"a damaged page",          END_CORRUPT,       CODE_STORE_CORRUPT, NULL,                2},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        char first[32], last[32];
        struct put puts[] = {
            {.name = first   },
            {.name = "middle", .ending = rows[i].ending},
            {.name = last               }
        };
        struct group_test *g;
        struct hold h;

        snprintf(first, sizeof(first), "first %zu", i);
        snprintf(last, sizeof(last), "last %zu", i);
        batcher_testing_hold(f->writer, &h);
        g = batcher_testing_post(f->writer, puts, 3, 0, NULL);
        batcher_testing_let_go(&h);
        sem_wait(&g->all);
        if (g->requests[0].answer.code != CODE_OK || g->requests[2].answer.code != CODE_OK ||
            g->requests[1].answer.code != rows[i].code || puts[0].calls != rows[i].calls)
            fail_msg("%s: %d %d %d, %d calls", rows[i].name, g->requests[0].answer.code,
                     g->requests[1].answer.code, g->requests[2].answer.code, puts[0].calls);
        if (rows[i].text && !str_eq(g->requests[1].answer.text, str_of(rows[i].text)))
            fail_msg("%s: " STR_FMT, rows[i].name, STR_ARG(g->requests[1].answer.text));
        assert_true(str_eq(g->replies[2].text, str_of("put last 0")) || i > 0);
        assert_true(batcher_testing_has(f->writer, first));
        assert_true(batcher_testing_has(f->writer, last));
        assert_false(batcher_testing_has(f->writer, "middle"));
        batcher_testing_free(g);
    }
}

static void one_alone_is_not_run_twice(void **state)
{
    struct fixture *f = *state;
    struct put p = {.name = "alone", .ending = END_REFUSED};
    struct group_test *g = batcher_testing_post(f->writer, &p, 1, 0, NULL);

    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_TASK_STATE);
    assert_int_equal(p.calls, 1);
    assert_false(batcher_testing_has(f->writer, "alone"));
    batcher_testing_free(g);
}

static void a_deadlock_is_run_again(void **state)
{
    struct fixture *f = *state;
    struct put puts[] = {
        {.name = "a"},
        { .name = "b", .ending = END_DEADLOCK, .times = 3}
    };
    struct group_test *g;
    struct hold h;

    batcher_testing_hold(f->writer, &h);
    g = batcher_testing_post(f->writer, puts, 2, 0, NULL);
    batcher_testing_let_go(&h);
    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_OK);
    assert_int_equal(g->requests[1].answer.code, CODE_OK);
    assert_int_equal(puts[0].calls, 4);
    batcher_testing_free(g);
}

/* who waits for ever is served when the store is back, and others hear at once
 * why not. */
static void a_store_that_fails_is_waited_for_with_patience(void **state)
{
    static const struct {
        const char *name;
        enum ending ending;
        int64_t patience_us;
        enum code code;
        enum code trouble;
    } rows[] = {
        {"full, for ever",      END_FULL,      BATCHER_FOR_EVER, CODE_OK,                CODE_STORE_FULL       },
        {"full, a while",       END_FULL,      BATCHER_CALL_US,  CODE_STORE_FULL,        CODE_OK               },
        {"lost, for ever",      END_LOST,      BATCHER_FOR_EVER, CODE_OK,                CODE_STORE_UNAVAILABLE},
        {"lost, a while",       END_LOST,      BATCHER_CALL_US,  CODE_OK,                CODE_STORE_UNAVAILABLE},
        {"lost, no time",       END_LOST,      0,                CODE_STORE_UNAVAILABLE, CODE_OK               },
        {"read-only, for ever", END_READ_ONLY, BATCHER_FOR_EVER, CODE_STORE_READ_ONLY,   CODE_OK               },
        {"a failing disk",      END_DISK,      BATCHER_FOR_EVER, CODE_STORE_UNAVAILABLE, CODE_OK               },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct put p = {.name = "x", .ending = rows[i].ending, .times = 4};
        struct group_test *g = batcher_testing_post(f->writer, &p, 1, rows[i].patience_us, NULL);
        enum code seen = CODE_OK;
        char text[BATCHER_TROUBLE_BYTES];

        while (sem_trywait(&g->all) != 0) {
            enum code now = batcher_trouble(f->writer, text);

            seen = now == CODE_OK ? seen : now;
            usleep(500);
        }
        if (g->requests[0].answer.code != rows[i].code || seen != rows[i].trouble)
            fail_msg("%s: %d, trouble %d", rows[i].name, g->requests[0].answer.code, seen);
        assert_int_equal(batcher_trouble(f->writer, text), CODE_OK);
        assert_string_equal(text, "");
        batcher_testing_free(g);
    }
}

static void another_program_that_holds_the_lock_is_named(void **state)
{
    struct fixture *f = *state;
    struct put p = {.name = "x"}, patient = {.name = "y"};
    struct store_options o = {.url = str_of(f->url), .mode = STORE_WRITE};
    struct group_test *g, *h;
    struct store *other;

    assert_false(batcher_testing_has(f->writer, "x"));
    assert_int_equal(store_open(&o, &other), 0);
    assert_int_equal(store_begin(other, NULL), 0);
    h = batcher_testing_post(f->writer, &patient, 1, BATCHER_FOR_EVER, NULL);
    g = batcher_testing_post(f->writer, &p, 1, BATCHER_CALL_US, NULL);
    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_STORE_LOCKED);
    store_rollback(other);
    store_free(other);
    sem_wait(&h->all);
    assert_int_equal(h->requests[0].answer.code, CODE_OK);
    assert_true(batcher_testing_has(f->writer, "y"));
    batcher_testing_free(g);
    batcher_testing_free(h);
}

static void a_missing_store_is_said_to_be_missing(void **state)
{
    struct fixture *f = *state;
    struct batcher *reader = batcher_testing_at(f->url, STORE_READ);
    const char *name = "x";
    bool found;
    struct batcher_request q = {.function = batcher_testing_get,
                                .request = &name,
                                .reply = &found,
                                .reply_size = sizeof(found)};

    batcher_call(reader, &q);
    assert_int_equal(q.answer.code, CODE_STORE_NOT_FOUND);
    assert_true(q.answer.text.n > 0);
    /* Once it is there, the same batcher finds it. */
    assert_false(batcher_testing_has(f->writer, "x"));
    assert_false(batcher_testing_has(reader, "x"));
    arena_deinit(&q.arena);
    batcher_free(reader);
}

static void a_batcher_that_ends_answers_who_waits(void **state)
{
    struct fixture *f = *state;
    struct put p = {.name = "x", .ending = END_FULL};
    struct group_test *g = batcher_testing_post(f->writer, &p, 1, BATCHER_FOR_EVER, NULL);

    f->writer = batcher_free(f->writer);
    assert_int_equal(sem_trywait(&g->all), 0);
    assert_int_equal(g->requests[0].answer.code, CODE_STORE_UNAVAILABLE);
    batcher_testing_free(g);
}

static void a_loop_gets_its_answers_on_its_thread(void **state)
{
    struct fixture *f = *state;
    struct put puts[100];
    struct batcher_home *home;
    struct group_test *g;
    uv_loop_t loop;

    for (size_t i = 0; i < ROWS_N(puts); i++)
        puts[i] = (struct put){.name = "q"};
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(batcher_home_new(&loop, &home), 0);
    g = batcher_testing_post(f->writer, puts, ROWS_N(puts), 0, home);
    usleep(2000);
    assert_int_equal(g->answered, 0);
    while (sem_trywait(&g->all) != 0)
        uv_run(&loop, UV_RUN_ONCE);
    for (size_t i = 0; i < g->n; i++)
        assert_int_equal(g->order[i], i);
    batcher_testing_free(g);
    batcher_home_free(home);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* What several callers post is run as one; each has its own answer. */
static void callers_are_gathered(void **state)
{
    static const struct {
        const char *name;
        enum ending ending; /* of the second of four */
        enum code code;
        size_t group; /* that the others ran in at last */
    } rows[] = {
        {"all well",   END_WELL,     CODE_OK,            4},
        {"a refusal",  END_REFUSED,  CODE_TASK_STATE,    4},
        {"a bug",      END_BUG,      CODE_INTERNAL,      0},
        {"a bad page", END_CORRUPT,  CODE_STORE_CORRUPT, 0},
        {"a deadlock", END_DEADLOCK, CODE_OK,            4},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        char names[4][32];
        struct put puts[4];
        struct group_test *g;
        struct hold h;

        for (size_t n = 0; n < 4; n++) {
            snprintf(names[n], sizeof(names[n]), "%s %zu", rows[i].name, n);
            puts[n] = (struct put){.name = names[n]};
        }
        puts[1].ending = rows[i].ending;
        puts[1].times = rows[i].ending == END_DEADLOCK ? 1 : 0;
        g = batcher_testing_make(puts, 4, 0, NULL);
        batcher_testing_hold(f->writer, &h);
        batcher_testing_post_each(f->writer, g);
        batcher_testing_let_go(&h);
        sem_wait(&g->all);
        for (size_t n = 0; n < 4; n++) {
            struct str text = g->replies[n].text;
            bool good = n != 1 || rows[i].code == CODE_OK;

            if (g->requests[n].answer.code != (good ? CODE_OK : rows[i].code) ||
                batcher_testing_has(f->writer, names[n]) != good)
                fail_msg("%s: %zu: %d", rows[i].name, n, g->requests[n].answer.code);
            if (good && !str_eq(str_sub(text, 4, text.n), str_of(names[n])))
                fail_msg("%s: %zu: the reply is " STR_FMT, rows[i].name, n, STR_ARG(text));
            if (rows[i].group && puts[n].group != rows[i].group)
                fail_msg("%s: ran with %zu", rows[i].name, puts[n].group);
        }
        batcher_testing_free(g);
    }
}

/* A neighbour that has to be undone does not take the group apart. */
static void a_group_stays_one_beside_a_failure(void **state)
{
    struct fixture *f = *state;
    struct put puts[] = {{.name = "a"}, {.name = "b"}}, bad = {"bad", .ending = END_REFUSED};
    struct group_test *g = batcher_testing_make(puts, 2, 0, NULL), *other;
    struct hold h;

    batcher_testing_hold(f->writer, &h);
    batcher_testing_post_each(f->writer, g);
    other = batcher_testing_post(f->writer, &bad, 1, 0, NULL);
    batcher_testing_let_go(&h);
    sem_wait(&g->all);
    sem_wait(&other->all);
    assert_int_equal(other->requests[0].answer.code, CODE_TASK_STATE);
    assert_int_equal(g->requests[1].answer.code, CODE_OK);
    assert_int_equal(puts[1].group, 2);
    assert_int_equal(puts[1].calls, 2);
    assert_true(batcher_testing_has(f->writer, "a"));
    assert_false(batcher_testing_has(f->writer, "bad"));
    batcher_testing_free(g);
    batcher_testing_free(other);
}

static void what_came_together_is_not_gathered(void **state)
{
    struct fixture *f = *state;
    struct put puts[] = {{.name = "a"}, {.name = "b"}};
    struct group_test *g = batcher_testing_make(puts, 2, 0, NULL);
    struct batcher_request *list[] = {&g->requests[0], &g->requests[1]};

    list[0]->many = list[1]->many = batcher_testing_put_many;
    batcher_post(f->writer, list, 2);
    sem_wait(&g->all);
    assert_int_equal(puts[0].group, 0);
    assert_int_equal(g->replies[1].written, 1);
    batcher_testing_free(g);
}

static int hold_read(struct tx *tx, const void *request, void *reply)
{
    (void)tx;
    (void)reply;
    sem_wait(*(sem_t *const *)request);
    return 0;
}

/* A slow list holds one connection; a quick look goes by the other. */
static void a_slow_reader_does_not_stop_others(void **state)
{
    struct fixture *f = *state;
    struct batcher_options o = {
        .name = "readers",
        .connections = 2,
        .batch_max = 16,
        .store = {.url = str_of(f->url), .mode = STORE_READ}
    };
    struct group_test *slow = batcher_testing_make(&(struct put){0}, 1, 0, NULL);
    struct batcher *readers;
    sem_t go_on, *held = &go_on;

    sem_init(&go_on, 0, 0);
    assert_false(batcher_testing_has(f->writer, "x"));
    assert_int_equal(batcher_new(&o, &readers), 0);
    slow->requests[0].function = hold_read;
    slow->requests[0].request = &held;
    batcher_post(readers, &(struct batcher_request *){&slow->requests[0]}, 1);
    for (int i = 0; i < 100; i++)
        assert_false(batcher_testing_has(readers, "x"));
    assert_int_equal(sem_trywait(&slow->all), -1);
    sem_post(&go_on);
    sem_wait(&slow->all);
    batcher_testing_free(slow);
    batcher_free(readers);
    sem_destroy(&go_on);
}

static void note_woken(struct hub_wait *w)
{
    *(bool *)w->context = true;
}

/* Who waits is woken by the commit, and not by one that did not take place. */
static void the_hub_hears_of_commits(void **state)
{
    struct fixture *f = *state;
    struct hub *hub = hub_new(NULL);
    struct batcher_options o = {
        .name = "store", .hub = hub, .store = {.url = str_of(f->url), .mode = STORE_WRITE}
    };
    struct put bad = {.name = "bad", .ending = END_REFUSED}, good = {.name = "good"};
    struct group_test *g = batcher_testing_make(&good, 1, 0, NULL), *refused;
    struct hub_wait wait = {.queue = STR("wanted"), .woken = note_woken};
    struct batcher *b;
    bool woken = false;
    uv_loop_t loop;

    uv_loop_init(&loop);
    assert_int_equal(hub_seat_new(hub, &loop, &wait.seat), 0);
    assert_int_equal(batcher_new(&o, &b), 0);
    wait.context = &woken;
    hub_look(&wait);
    hub_sleep(&wait, NULL);
    refused = batcher_testing_post(b, &bad, 1, 0, NULL);
    sem_wait(&refused->all);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_false(woken);
    g->requests[0].function = batcher_testing_put_counted;
    batcher_post(b, &(struct batcher_request *){&g->requests[0]}, 1);
    while (!woken)
        uv_run(&loop, UV_RUN_ONCE);
    sem_wait(&g->all);
    hub_forget(&wait, 1);
    hub_seat_free(wait.seat);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    batcher_free(b);
    hub_free(hub);
    batcher_testing_free(refused);
    batcher_testing_free(g);
}

static void *call_often(void *context)
{
    struct fixture *f = context;

    for (int i = 0; i < 200; i++) {
        struct put p = {.name = "t", .ending = i % 3 ? END_WELL : END_REFUSED};
        struct put *request = &p;
        struct put_reply reply;
        struct batcher_request q = {.function = batcher_testing_put,
                                    .request = &request,
                                    .reply = &reply,
                                    .reply_size = sizeof(reply)};

        batcher_call(f->writer, &q);
        if (q.answer.code != (i % 3 ? CODE_OK : CODE_TASK_STATE))
            abort();
        arena_deinit(&q.arena);
    }
    return NULL;
}

static void many_threads_call_at_once(void **state)
{
    pthread_t threads[8];

    for (size_t i = 0; i < ROWS_N(threads); i++)
        pthread_create(&threads[i], NULL, call_often, *state);
    for (size_t i = 0; i < ROWS_N(threads); i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BATCHER_TEST(what_waits_shares_a_commit),
        BATCHER_TEST(one_that_fails_is_undone_alone),
        BATCHER_TEST(one_alone_is_not_run_twice),
        BATCHER_TEST(a_deadlock_is_run_again),
        BATCHER_TEST(a_store_that_fails_is_waited_for_with_patience),
        BATCHER_TEST(another_program_that_holds_the_lock_is_named),
        BATCHER_TEST(a_missing_store_is_said_to_be_missing),
        BATCHER_TEST(a_batcher_that_ends_answers_who_waits),
        BATCHER_TEST(a_loop_gets_its_answers_on_its_thread),
        BATCHER_TEST(callers_are_gathered),
        BATCHER_TEST(a_group_stays_one_beside_a_failure),
        BATCHER_TEST(what_came_together_is_not_gathered),
        BATCHER_TEST(a_slow_reader_does_not_stop_others),
        BATCHER_TEST(the_hub_hears_of_commits),
        BATCHER_TEST(many_threads_call_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
