/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/batcher.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"
#include "serve/hub.h"

#define ROWS_N(rows) (sizeof(rows) / sizeof((rows)[0]))

/* A request of these tests: put a queue named `name`, and then end as it says. */
enum ending {
    END_WELL,
    END_REFUSED_FIRST, /* before anything is written */
    END_REFUSED,
    END_DUPLICATE, /* a unique key, which breaks a transaction of Postgres */
    END_FORGOTTEN, /* an outcome that nobody handled */
    END_BUG,
    END_DEADLOCK,
    END_FULL,
    END_LOST,
    END_READ_ONLY,
    END_CORRUPT,
    END_DISK,
};

struct put {
    const char *name;
    enum ending ending;
    int times;      /* the ending comes so often; 0: always */
    sem_t *started; /* posted when it runs … */
    sem_t *go_on;   /* … and waited for then */
    int calls;
    size_t group; /* ran with so many, where they were gathered */
};

struct put_reply {
    int64_t written; /* before it, in its transaction */
    struct str text;
};

static int add_twice(struct tx *tx)
{
    struct cell row[] = {TEXT(STR("same")), INT(1),        TEXT(STR("")),
                         TEXT(STR("")),     TEXT(STR("")), TEXT(STR("")),
                         TEXT(STR("")),     INT(1),        INT(1)};
    int r = store_run(tx->store, STMT_workflow_add, tx->arena, row, 1, NULL);

    if (!r)
        r = store_run(tx->store, STMT_workflow_add, tx->arena, row, 1, NULL);
    return r == STORE_E_DUPLICATE ? tx_refuse(tx, CODE_TASK_STATE, "it is there") : r;
}

static int end(struct tx *tx, const struct put *p)
{
    static const int faults[] = {
        [END_FORGOTTEN] = 3,      [END_BUG] = -EBADMSG,     [END_DEADLOCK] = -EAGAIN,
        [END_FULL] = -ENOSPC,     [END_LOST] = -ECONNRESET, [END_READ_ONLY] = -EROFS,
        [END_CORRUPT] = -EUCLEAN, [END_DISK] = -EIO,
    };

    if (p->ending == END_WELL || (p->times && p->calls > p->times))
        return 0;
    if (p->ending == END_DUPLICATE)
        return add_twice(tx);
    if (p->ending == END_REFUSED || p->ending == END_REFUSED_FIRST)
        return tx_refuse(tx, CODE_TASK_STATE, "%s is refused", p->name);
    return faults[p->ending];
}

static int put(struct tx *tx, const void *request, void *reply)
{
    struct put *p = *(struct put *const *)request;
    struct put_reply *out = reply;
    struct str name = str_of(p->name);
    int r;

    p->calls++;
    if (p->started)
        sem_post(p->started);
    if (p->go_on)
        sem_wait(p->go_on);
    out->written = store_written(tx->store);
    out->text = str_printf(tx->arena, "put %s", p->name);
    if (p->ending == END_REFUSED_FIRST)
        return end(tx, p);
    r = STORE_DO(tx->store, STMT_queue_put, tx->arena, NULL, TEXT(name), INT(0), INT(1),
                 INT(tx->now));
    return r ? r : end(tx, p);
}

static int get(struct tx *tx, const void *request, void *reply)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_queue_get, tx->arena, &rows,
                     TEXT(str_of(*(const char *const *)request)));

    *(bool *)reply = !r && rows.n;
    return r;
}

/* The same for many; each notes how many it ran with. */
static int put_many(struct tx *tx, const void *const *requests, void *const *replies,
                    struct tx_problem *problems, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct put *p = *(struct put *const *)requests[i];
        struct put_reply *out = replies[i];
        int r;

        p->calls++;
        p->group = n;
        out->text = str_printf(tx->arena, "put %s", p->name);
        if (p->ending == END_REFUSED) {
            problems[i] = (struct tx_problem){.code = CODE_TASK_STATE, .text = out->text};
            continue;
        }
        r = STORE_DO(tx->store, STMT_queue_put, tx->arena, NULL, TEXT(str_of(p->name)), INT(0),
                     INT(1), INT(tx->now));
        if (!r)
            r = end(tx, p);
        if (r)
            return r;
        tx_count(tx, 0, STR("wanted"), TASK_READY, 1);
    }
    return 0;
}

static int put_counted(struct tx *tx, const void *request, void *reply)
{
    tx_count(tx, 0, STR("wanted"), TASK_READY, 1);
    return put(tx, request, reply);
}

/* A store in a folder of its own, and a batcher that writes to it. */
struct fixture {
    char folder[64];
    char url[128];
    struct batcher *writer;
};

static struct batcher *batcher_at(const char *url, enum store_mode mode)
{
    struct batcher_options o = {.name = "store"};
    struct batcher *b;

    o.store =
        (struct store_options){.url = str_of(url), .mode = mode, .connect_ms = 50, .lock_ms = 50};
    assert_int_equal(batcher_new(&o, &b), 0);
    return b;
}

static int set_up(void **state)
{
    struct fixture *f = memory_new(sizeof(*f));

    snprintf(f->folder, sizeof(f->folder), "/tmp/weft-batcher-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->url, sizeof(f->url), "sqlite:%s/weft.db", f->folder);
    f->writer = batcher_at(f->url, STORE_WRITE);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const files[] = {"weft.db", "weft.db-wal", "weft.db-shm"};
    struct fixture *f = *state;
    char path[128];

    batcher_free(f->writer);
    for (size_t i = 0; i < ROWS_N(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->folder, files[i]);
        unlink(path);
    }
    rmdir(f->folder);
    free(f);
    return 0;
}

static bool is_there(struct batcher *b, const char *name)
{
    bool found = false;
    struct batcher_request q = {
        .function = get, .request = &name, .reply = &found, .reply_size = sizeof(found)};

    batcher_call(b, &q);
    assert_int_equal(q.answer.code, CODE_OK);
    arena_deinit(&q.arena);
    return found;
}

/* Requests that are posted together, and what came back. */
#define GROUP_MAX 2000
struct group_test {
    struct put *puts[GROUP_MAX];
    struct put_reply replies[GROUP_MAX];
    struct batcher_request requests[GROUP_MAX];
    size_t n;
    size_t answered; /* in this order */
    size_t order[GROUP_MAX];
    sem_t all;
};

static void answered(struct batcher_request *q)
{
    struct group_test *g = q->context;

    g->order[g->answered++] = (size_t)(q - g->requests);
    if (g->answered == g->n)
        sem_post(&g->all);
}

static struct group_test *group_make(struct put *puts, size_t n, int64_t patience_us,
                                     struct batcher_home *home)
{
    struct group_test *g = memory_new(sizeof(*g));

    sem_init(&g->all, 0, 0);
    g->n = n;
    for (size_t i = 0; i < n; i++) {
        g->puts[i] = &puts[i];
        g->requests[i] = (struct batcher_request){
            .function = put,
            .request = &g->puts[i],
            .reply = &g->replies[i],
            .reply_size = sizeof(g->replies[i]),
            .bytes = 100,
            .patience_us = patience_us,
            .home = home,
            .done = answered,
            .context = g,
        };
    }
    return g;
}

static struct group_test *group_post(struct batcher *b, struct put *puts, size_t n,
                                     int64_t patience_us, struct batcher_home *home)
{
    struct group_test *g = group_make(puts, n, patience_us, home);
    struct batcher_request *list[GROUP_MAX];

    for (size_t i = 0; i < n; i++)
        list[i] = &g->requests[i];
    batcher_post(b, list, n);
    return g;
}

/* Post them as different callers would. */
static void group_post_each(struct batcher *b, struct group_test *g)
{
    struct batcher_request *list[GROUP_MAX];

    for (size_t i = 0; i < g->n; i++) {
        list[i] = &g->requests[i];
        list[i]->many = put_many;
    }
    batcher_post_each(b, list, g->n);
}

static void group_free(struct group_test *g)
{
    for (size_t i = 0; i < g->n; i++)
        batcher_release(&g->requests[i]);
    sem_destroy(&g->all);
    free(g);
}

/* Hold the store thread within a transaction, so that what is posted meanwhile waits together. */
struct hold {
    sem_t started, go_on;
    struct put put;
    struct group_test *group;
};

static void hold_begin(struct batcher *b, struct hold *h)
{
    sem_init(&h->started, 0, 0);
    sem_init(&h->go_on, 0, 0);
    h->put = (struct put){.name = "hold", .started = &h->started, .go_on = &h->go_on};
    h->group = group_post(b, &h->put, 1, 0, NULL);
    sem_wait(&h->started);
}

static void hold_end(struct hold *h)
{
    sem_post(&h->go_on);
    sem_wait(&h->group->all);
    group_free(h->group);
    sem_destroy(&h->started);
    sem_destroy(&h->go_on);
}

static void what_waits_shares_a_commit(void **state)
{
    struct fixture *f = *state;
    struct put puts[1100];
    struct group_test *g;
    struct hold h;

    for (size_t i = 0; i < ROWS_N(puts); i++)
        puts[i] = (struct put){.name = "q"};
    hold_begin(f->writer, &h);
    g = group_post(f->writer, puts, ROWS_N(puts), 0, NULL);
    hold_end(&h);
    sem_wait(&g->all);
    for (size_t i = 0; i < g->n; i++) {
        assert_int_equal(g->requests[i].answer.code, CODE_OK);
        assert_int_equal(g->order[i], i);
        /* One transaction takes so many, the next one the rest. */
        assert_int_equal(g->replies[i].written, i % BATCHER_REQUESTS_MAX);
    }
    group_free(g);
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
        hold_begin(f->writer, &h);
        g = group_post(f->writer, puts, 3, 0, NULL);
        hold_end(&h);
        sem_wait(&g->all);
        if (g->requests[0].answer.code != CODE_OK || g->requests[2].answer.code != CODE_OK ||
            g->requests[1].answer.code != rows[i].code || puts[0].calls != rows[i].calls)
            fail_msg("%s: %d %d %d, %d calls", rows[i].name, g->requests[0].answer.code,
                     g->requests[1].answer.code, g->requests[2].answer.code, puts[0].calls);
        if (rows[i].text && !str_eq(g->requests[1].answer.text, str_of(rows[i].text)))
            fail_msg("%s: " STR_FMT, rows[i].name, STR_ARG(g->requests[1].answer.text));
        assert_true(str_eq(g->replies[2].text, str_of("put last 0")) || i > 0);
        assert_true(is_there(f->writer, first));
        assert_true(is_there(f->writer, last));
        assert_false(is_there(f->writer, "middle"));
        group_free(g);
    }
}

static void one_alone_is_not_run_twice(void **state)
{
    struct fixture *f = *state;
    struct put p = {.name = "alone", .ending = END_REFUSED};
    struct group_test *g = group_post(f->writer, &p, 1, 0, NULL);

    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_TASK_STATE);
    assert_int_equal(p.calls, 1);
    assert_false(is_there(f->writer, "alone"));
    group_free(g);
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

    hold_begin(f->writer, &h);
    g = group_post(f->writer, puts, 2, 0, NULL);
    hold_end(&h);
    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_OK);
    assert_int_equal(g->requests[1].answer.code, CODE_OK);
    assert_int_equal(puts[0].calls, 4);
    group_free(g);
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
        struct group_test *g = group_post(f->writer, &p, 1, rows[i].patience_us, NULL);
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
        group_free(g);
    }
}

static void another_program_that_holds_the_lock_is_named(void **state)
{
    struct fixture *f = *state;
    struct put p = {.name = "x"}, patient = {.name = "y"};
    struct store_options o = {.url = str_of(f->url), .mode = STORE_WRITE};
    struct group_test *g, *h;
    struct store *other;

    assert_false(is_there(f->writer, "x"));
    assert_int_equal(store_open(&o, &other), 0);
    assert_int_equal(store_begin(other, NULL), 0);
    h = group_post(f->writer, &patient, 1, BATCHER_FOR_EVER, NULL);
    g = group_post(f->writer, &p, 1, BATCHER_CALL_US, NULL);
    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_STORE_LOCKED);
    store_rollback(other);
    store_free(other);
    sem_wait(&h->all);
    assert_int_equal(h->requests[0].answer.code, CODE_OK);
    assert_true(is_there(f->writer, "y"));
    group_free(g);
    group_free(h);
}

static void a_missing_store_is_said_to_be_missing(void **state)
{
    struct fixture *f = *state;
    struct batcher *reader = batcher_at(f->url, STORE_READ);
    const char *name = "x";
    bool found;
    struct batcher_request q = {
        .function = get, .request = &name, .reply = &found, .reply_size = sizeof(found)};

    batcher_call(reader, &q);
    assert_int_equal(q.answer.code, CODE_STORE_NOT_FOUND);
    assert_true(q.answer.text.n > 0);
    /* Once it is there, the same batcher finds it. */
    assert_false(is_there(f->writer, "x"));
    assert_false(is_there(reader, "x"));
    arena_deinit(&q.arena);
    batcher_free(reader);
}

static void a_batcher_that_ends_answers_who_waits(void **state)
{
    struct fixture *f = *state;
    struct put p = {.name = "x", .ending = END_FULL};
    struct group_test *g = group_post(f->writer, &p, 1, BATCHER_FOR_EVER, NULL);

    f->writer = batcher_free(f->writer);
    assert_int_equal(sem_trywait(&g->all), 0);
    assert_int_equal(g->requests[0].answer.code, CODE_STORE_UNAVAILABLE);
    group_free(g);
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
    g = group_post(f->writer, puts, ROWS_N(puts), 0, home);
    usleep(2000);
    assert_int_equal(g->answered, 0);
    while (sem_trywait(&g->all) != 0)
        uv_run(&loop, UV_RUN_ONCE);
    for (size_t i = 0; i < g->n; i++)
        assert_int_equal(g->order[i], i);
    group_free(g);
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
        g = group_make(puts, 4, 0, NULL);
        hold_begin(f->writer, &h);
        group_post_each(f->writer, g);
        hold_end(&h);
        sem_wait(&g->all);
        for (size_t n = 0; n < 4; n++) {
            struct str text = g->replies[n].text;
            bool good = n != 1 || rows[i].code == CODE_OK;

            if (g->requests[n].answer.code != (good ? CODE_OK : rows[i].code) ||
                is_there(f->writer, names[n]) != good)
                fail_msg("%s: %zu: %d", rows[i].name, n, g->requests[n].answer.code);
            if (good && !str_eq(str_sub(text, 4, text.n), str_of(names[n])))
                fail_msg("%s: %zu: the reply is " STR_FMT, rows[i].name, n, STR_ARG(text));
            if (rows[i].group && puts[n].group != rows[i].group)
                fail_msg("%s: ran with %zu", rows[i].name, puts[n].group);
        }
        group_free(g);
    }
}

/* A neighbour that has to be undone does not take the group apart. */
static void a_group_stays_one_beside_a_failure(void **state)
{
    struct fixture *f = *state;
    struct put puts[] = {{.name = "a"}, {.name = "b"}}, bad = {"bad", .ending = END_REFUSED};
    struct group_test *g = group_make(puts, 2, 0, NULL), *other;
    struct hold h;

    hold_begin(f->writer, &h);
    group_post_each(f->writer, g);
    other = group_post(f->writer, &bad, 1, 0, NULL);
    hold_end(&h);
    sem_wait(&g->all);
    sem_wait(&other->all);
    assert_int_equal(other->requests[0].answer.code, CODE_TASK_STATE);
    assert_int_equal(g->requests[1].answer.code, CODE_OK);
    assert_int_equal(puts[1].group, 2);
    assert_int_equal(puts[1].calls, 2);
    assert_true(is_there(f->writer, "a"));
    assert_false(is_there(f->writer, "bad"));
    group_free(g);
    group_free(other);
}

static void what_came_together_is_not_gathered(void **state)
{
    struct fixture *f = *state;
    struct put puts[] = {{.name = "a"}, {.name = "b"}};
    struct group_test *g = group_make(puts, 2, 0, NULL);
    struct batcher_request *list[] = {&g->requests[0], &g->requests[1]};

    list[0]->many = list[1]->many = put_many;
    batcher_post(f->writer, list, 2);
    sem_wait(&g->all);
    assert_int_equal(puts[0].group, 0);
    assert_int_equal(g->replies[1].written, 1);
    group_free(g);
}

/* A batcher of its own, with these limits. */
static struct batcher *batcher_limited(struct fixture *f, size_t waiting_max,
                                       size_t waiting_bytes_max)
{
    struct batcher_options o = {
        .name = "store",
        .waiting_max = waiting_max,
        .waiting_bytes_max = waiting_bytes_max,
        .store = {.url = str_of(f->url), .mode = STORE_WRITE}
    };
    struct batcher *b;

    assert_int_equal(batcher_new(&o, &b), 0);
    return b;
}

/* beyond the limit a caller hears at once when to try again, and what is our own goes in. */
static void too_much_waiting_is_refused_at_once(void **state)
{
    static const struct {
        const char *name;
        size_t waiting_max, waiting_bytes_max, room;
    } rows[] = {
        {"requests", 10,  1000000, 10},
        {"bytes",    100, 1250,    12},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct batcher *b = batcher_limited(f, rows[i].waiting_max, rows[i].waiting_bytes_max);
        struct put own = {.name = "own"}, puts[20];
        struct group_test *posted[20], *mine;
        struct batcher_stats stats;
        struct hold h;

        hold_begin(b, &h);
        for (size_t n = 0; n < ROWS_N(puts); n++) {
            puts[n] = (struct put){.name = "q"};
            posted[n] = group_post(b, &puts[n], 1, BATCHER_FOR_EVER, NULL);
            if ((sem_trywait(&posted[n]->all) == 0) != (n >= rows[i].room))
                fail_msg("%s: at %zu", rows[i].name, n);
        }
        mine = group_make(&own, 1, 0, NULL);
        mine->requests[0].lane = BATCHER_OWN;
        batcher_post(b, &(struct batcher_request *){&mine->requests[0]}, 1);
        batcher_stats(b, &stats);
        assert_int_equal(stats.waiting, rows[i].room);
        hold_end(&h);
        sem_wait(&mine->all);
        assert_int_equal(mine->requests[0].answer.code, CODE_OK);
        for (size_t n = 0; n < ROWS_N(puts); n++) {
            const struct batcher_answer *a = &posted[n]->requests[0].answer;

            if (n < rows[i].room)
                sem_wait(&posted[n]->all);
            assert_int_equal(a->code, n < rows[i].room ? CODE_OK : CODE_RESOURCE_EXHAUSTED);
            assert_true(a->code == CODE_OK || a->retry_after_us > 0);
            group_free(posted[n]);
        }
        batcher_stats(b, &stats);
        assert_int_equal(stats.refused, ROWS_N(puts) - rows[i].room);
        assert_int_equal(stats.waiting + stats.waiting_bytes, 0);
        /* The one that holds it came alone, the others together. */
        assert_int_equal(stats.sizes[0], 1);
        assert_int_equal(stats.sizes[4], 1);
        assert_int_equal(stats.commits, 2);
        group_free(mine);
        batcher_free(b);
    }
}

static void who_is_too_late_is_not_run(void **state)
{
    struct fixture *f = *state;
    struct put puts[] = {{.name = "late"}, {.name = "early"}};
    struct group_test *g = group_make(puts, 2, 0, NULL);
    struct batcher_stats stats;
    struct hold h;

    g->requests[0].deadline_us = clock_monotonic() - 1;
    g->requests[1].deadline_us = clock_monotonic() + 1000 * CLOCK_S;
    hold_begin(f->writer, &h);
    group_post_each(f->writer, g);
    hold_end(&h);
    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_DEADLINE_EXCEEDED);
    assert_int_equal(g->requests[1].answer.code, CODE_OK);
    assert_int_equal(puts[0].calls, 0);
    batcher_stats(f->writer, &stats);
    assert_int_equal(stats.late, 1);
    group_free(g);
}

/* C-31: of a caller that has gone. One that runs goes on, one that was not begun never is. */
static void what_is_withdrawn_is_not_begun(void **state)
{
    struct fixture *f = *state;
    struct put puts[] = {{.name = "gone"}, {.name = "stays"}};
    struct group_test *g = group_make(puts, 2, 0, NULL);
    struct batcher_stats stats;
    struct hold h;

    hold_begin(f->writer, &h);
    group_post_each(f->writer, g);
    assert_true(batcher_withdraw(f->writer, &g->requests[0], CODE_CANCELLED));
    batcher_stats(f->writer, &stats);
    assert_int_equal(stats.waiting, 1);
    hold_end(&h);
    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_CANCELLED);
    assert_int_equal(g->requests[1].answer.code, CODE_OK);
    assert_int_equal(puts[0].calls, 0);
    group_free(g);
}

static void what_runs_is_not_withdrawn(void **state)
{
    struct fixture *f = *state;
    sem_t started, go_on;
    struct put runs = {.name = "runs", .started = &started, .go_on = &go_on};
    struct group_test *g;

    sem_init(&started, 0, 0);
    sem_init(&go_on, 0, 0);
    g = group_post(f->writer, &runs, 1, BATCHER_FOR_EVER, NULL);
    sem_wait(&started);
    assert_false(batcher_withdraw(f->writer, &g->requests[0], CODE_CANCELLED));
    sem_post(&go_on);
    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_OK);
    assert_int_equal(runs.calls, 1);
    group_free(g);
    sem_destroy(&started);
    sem_destroy(&go_on);
}

/* A request that fails is run again; withdrawn meanwhile, it is not. */
static void what_waits_for_the_store_is_withdrawn(void **state)
{
    struct fixture *f = *state;
    sem_t started, go_on;
    struct put lost = {.name = "lost", .ending = END_LOST, .started = &started, .go_on = &go_on};
    struct group_test *g;

    sem_init(&started, 0, 0);
    sem_init(&go_on, 0, 0);
    g = group_post(f->writer, &lost, 1, BATCHER_FOR_EVER, NULL);
    sem_wait(&started);
    batcher_withdraw(f->writer, &g->requests[0], CODE_CANCELLED);
    sem_post(&go_on);
    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_CANCELLED);
    assert_int_equal(lost.calls, 1);
    group_free(g);
    sem_destroy(&started);
    sem_destroy(&go_on);
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
    struct group_test *slow = group_make(&(struct put){0}, 1, 0, NULL);
    struct batcher *readers;
    sem_t go_on, *held = &go_on;

    sem_init(&go_on, 0, 0);
    assert_false(is_there(f->writer, "x"));
    assert_int_equal(batcher_new(&o, &readers), 0);
    slow->requests[0].function = hold_read;
    slow->requests[0].request = &held;
    batcher_post(readers, &(struct batcher_request *){&slow->requests[0]}, 1);
    for (int i = 0; i < 100; i++)
        assert_false(is_there(readers, "x"));
    assert_int_equal(sem_trywait(&slow->all), -1);
    sem_post(&go_on);
    sem_wait(&slow->all);
    group_free(slow);
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
    struct group_test *g = group_make(&good, 1, 0, NULL), *refused;
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
    refused = group_post(b, &bad, 1, 0, NULL);
    sem_wait(&refused->all);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_false(woken);
    g->requests[0].function = put_counted;
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
    group_free(refused);
    group_free(g);
}

static void *call_often(void *context)
{
    struct fixture *f = context;

    for (int i = 0; i < 200; i++) {
        struct put p = {.name = "t", .ending = i % 3 ? END_WELL : END_REFUSED};
        struct put *request = &p;
        struct put_reply reply;
        struct batcher_request q = {
            .function = put, .request = &request, .reply = &reply, .reply_size = sizeof(reply)};

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
        cmocka_unit_test_setup_teardown(what_waits_shares_a_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_fails_is_undone_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_alone_is_not_run_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deadlock_is_run_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_that_fails_is_waited_for_with_patience, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_program_that_holds_the_lock_is_named, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_missing_store_is_said_to_be_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batcher_that_ends_answers_who_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_loop_gets_its_answers_on_its_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(callers_are_gathered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_stays_one_beside_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_came_together_is_not_gathered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_much_waiting_is_refused_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_too_late_is_not_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_withdrawn_is_not_begun, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_runs_is_not_withdrawn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_waits_for_the_store_is_withdrawn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_reader_does_not_stop_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_hub_hears_of_commits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_threads_call_at_once, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
