/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that several programs want at once; of Postgres, where writers do not take turns. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "engine/block.h"
#include "engine/engine_testing.h"

enum { N = 6 };

static int64_t fill(struct world *w, struct str queue)
{
    struct task_new list[N] = {0};
    struct task_ids ids;

    for (size_t i = 0; i < N; i++)
        list[i].payload = STR("1");
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){queue, list, N}, &ids));
    return ids.list[0];
}

static int claim(struct tx *tx, const void *req, void *reply)
{
    size_t *ret_n = reply;
    struct task_leases leases = {0};
    int r = task_claim(tx, req, &leases);

    *ret_n = leases.n;
    return r;
}

/* What a claim waited for has been opened meanwhile: it gets the tasks all the same. */
static void who_waits_for_a_block_gets_its_tasks(void **state)
{
    struct world *w = world(state);
    const int64_t first = fill(w, STR("mail"));
    const struct task_claim req = {.worker = world_join(w, 10), .queue = STR("mail"), .max = N};
    struct task_now now;
    size_t n = 0;

    STORE_OK(w->store, world_begin(w));
    assert_int_equal(task_cancel(&w->tx, &(struct task_which){.id = first + 2}, &now), 0);
    assert_int_equal(world_meet(w, claim, &req, &n), CODE_OK);
    assert_int_equal(n, N - 1);
    world_healthy(w);
}

/* A claim of two queues on a connection of its own. */
struct claimer {
    struct world *world;
    int64_t worker;
    int r;
    size_t n; /* tasks that it got */
    atomic_bool done;
    pthread_t thread;
};

static void *claim_both(void *arg)
{
    struct claimer *c = arg;
    const struct task_claim reqs[] = {
        {.worker = c->worker, .queue = STR("a"), .max = 10},
        {.worker = c->worker, .queue = STR("b"), .max = 10},
    };
    struct store *store = store_testing_open(c->world->place, STORE_WRITE);
    struct task_leases leases[2] = {0};
    struct tx_problem problems[2];
    struct arena arena = {0};
    struct prng prng = {0};
    struct tx tx = {.store = store, .arena = &arena, .prng = &prng};

    c->r = tx_begin(&tx);
    if (!c->r)
        c->r = task_claim_many(&tx, (const struct task_claim *[]){&reqs[0], &reqs[1]},
                               (struct task_leases *[]){&leases[0], &leases[1]}, problems, 2);
    c->n = leases[0].n + leases[1].n;
    if (c->r)
        tx_rollback(&tx);
    else
        c->r = tx_commit(&tx);
    arena_deinit(&arena);
    store_free(store);
    atomic_store(&c->done, true);
    return NULL;
}

static void start(struct claimer *c, struct world *w)
{
    *c = (struct claimer){.world = w, .worker = world_join(w, 20)};
    assert_int_equal(pthread_create(&c->thread, NULL, claim_both, c), 0);
}

/* Until two wait for locks, or the second is done. */
static void await_both(struct world *w, const struct claimer *second)
{
    static const char waits[] = "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                "current_database() AND wait_event_type = 'Lock'";
    const struct timespec pause = {.tv_nsec = 5 * CLOCK_MS * 1000};

    while (!atomic_load(&second->done) && strcmp(store_testing_sql(w->place, waits), "2") != 0)
        nanosleep(&pause, NULL);
}

/* The first waits for a block of queue a, and looks at b when the second has taken the block of b,
 * which wants that of a, too. */
static void claims_do_not_wait_for_each_other(void **state)
{
    struct world *w = world(state);
    const struct task_new late = {.payload = STR("1"), .delay_us = 3600 * CLOCK_S};
    struct store *other;
    struct claimer first, second;
    struct task_ids ids;
    struct rows rows;
    int64_t now;

    fill(w, STR("a"));
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("b"), &late, 1}, &ids));
    other = store_testing_open(w->place, STORE_WRITE);
    STORE_OK(other, store_begin(other, &now));
    STORE_OK(other, STORE_DO(other, STMT_block_wait, &w->arena, &rows, TEXT(STR("a"))));
    assert_int_equal(rows.n, 1);
    start(&first, w);
    world_await_lock(w);
    fill(w, STR("b"));
    start(&second, w);
    await_both(w, &second);
    store_rollback(other);
    store_free(other);
    pthread_join(first.thread, NULL);
    pthread_join(second.thread, NULL);
    assert_int_equal(first.r, 0);
    assert_int_equal(second.r, 0);
    assert_int_equal(first.n + second.n, 2 * N);
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(who_waits_for_a_block_gets_its_tasks, postgres, postgres),
        ENGINE_TEST(claims_do_not_wait_for_each_other, postgres, postgres),
    };

    return ENGINE_MAIN(tests);
}
