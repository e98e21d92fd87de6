/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large graphs, run through the engine by an executor that does nothing: what they cost grows with
 * their tasks and edges, and not faster.
 */
#include <time.h>

#include "base/buf.h"
#include "engine/engine_testing.h"

#define SMALL      10000
#define LARGE      100000
#define BATCH      1000
#define TEXT_BYTES (64u << 20)

enum shape { CHAIN, FAN, LAYERS };

/* The processor's time of this process, which other programs on the machine do not change. */
static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_needs(struct buf *b, enum shape shape, int i, int n, int64_t *edges)
{
    if (shape == CHAIN && i > 0) {
        buf_printf(b, ",\"needs\":[\"t%d\"]", i - 1);
        ++*edges;
    } else if (shape == FAN && i == n - 1) {
        buf_add(b, STR(",\"needs\":["));
        for (int k = 1; k < n - 1; k++)
            buf_printf(b, "%s\"t%d\"", k > 1 ? "," : "", k);
        buf_byte(b, ']');
        *edges += n - 2;
    } else if (shape == FAN && i > 0) {
        buf_add(b, STR(",\"needs\":[\"t0\"]"));
        ++*edges;
    } else if (shape == LAYERS && i >= 100) {
        int above = i - i % 100 - 100;

        buf_printf(b, ",\"needs\":[\"t%d\",\"t%d\",{\"all_done\":[\"t%d\"]}]", above + i % 100,
                   above + (i + 1) % 100, above + (i + 2) % 100);
        *edges += 3;
    }
}

static int64_t put(struct world *w, enum shape shape, int n)
{
    struct workflow_put req = {
        .format = STR("json"), .path = STR("large.json"), .fallback_name = STR("large")};
    struct workflow_row row;
    int64_t edges = 0;
    struct buf b;

    buf_init(&b, TEXT_BYTES);
    buf_add(&b, STR("{\"weft\":1,\"tasks\":{"));
    for (int i = 0; i < n; i++) {
        buf_printf(&b, "%s\"t%d\":{\"run\":[\"true\"]", i ? "," : "", i);
        add_needs(&b, shape, i, n, &edges);
        buf_byte(&b, '}');
    }
    buf_add(&b, STR("}}"));
    assert_false(b.full);
    req.source = buf_str(&b);
    DO(w, workflow_put(&w->tx, &req, &row));
    assert_int_equal(row.tasks, n);
    buf_deinit(&b);
    return edges;
}

struct cost {
    int64_t edges, transactions, rows;
    double put_s, start_s, work_s;
    size_t start_bytes, step_bytes; /* of memory, at most */
};

/* What was taken is ended in the transaction that takes the next, as by an executor whose slots are
 * full. */
static size_t step(struct world *w, int64_t run, struct task_result *results, size_t n,
                   struct cost *cost)
{
    const struct task_claim claim = {.worker = w->worker, .run = run, .max = BATCH};
    struct task_leases leases;
    struct task_codes codes;

    arena_reset(&w->arena);
    STORE_OK(w->store, world_begin(w));
    if (n)
        assert_int_equal(task_complete(&w->tx, &(struct task_complete){results, n}, &codes), 0);
    assert_int_equal(task_claim(&w->tx, &claim, &leases), 0);
    STORE_OK(w->store, tx_flush(&w->tx));
    cost->rows += store_written(w->store);
    STORE_OK(w->store, tx_commit(&w->tx));
    cost->transactions++;
    if (w->arena.bytes > cost->step_bytes)
        cost->step_bytes = w->arena.bytes;
    for (size_t i = 0; i < leases.n; i++)
        results[i] = (struct task_result){
            .lease = {leases.list[i].task, leases.list[i].token},
              .outcome = OUTCOME_SUCCEEDED
        };
    return leases.n;
}

static struct cost run_through(struct world *w, enum shape shape, int n)
{
    static struct task_result results[BATCH];
    struct cost cost = {0};
    struct worker_row worker;
    struct run_row run;
    struct run_view v;
    size_t taken = 0;
    double at[4];

    at[0] = seconds();
    cost.edges = put(w, shape, n);
    at[1] = seconds();
    arena_reset(&w->arena);
    DO(w, run_start(&w->tx, &(struct run_start){.workflow = STR("large"), .dir = STR("/")}, &run));
    cost.start_bytes = w->arena.bytes;
    at[2] = seconds();
    world_join(w, WORKER_SLOTS_MAX);
    do
        taken = step(w, run.id, results, taken, &cost);
    while (taken);
    at[3] = seconds();
    arena_reset(&w->arena);
    /* It has not beaten meanwhile, which a slow machine would see. */
    DO(w, worker_leave(&w->tx, &w->worker, &worker));
    DO(w, run_get(&w->tx, &(struct run_get){.id = run.id}, &v));
    assert_int_equal(v.run.state, RUN_SUCCEEDED);
    assert_int_equal(v.run.counts[TASK_SUCCEEDED], n);
    cost.put_s = at[1] - at[0];
    cost.start_s = at[2] - at[1];
    cost.work_s = at[3] - at[2];
    print_message("%d tasks, %" PRId64 " edges: checked %.2f s, started %.2f s and %zu MiB, run "
                  "%.2f s in %" PRId64 " transactions, %" PRId64 " rows, %zu KiB at most\n",
                  n, cost.edges, cost.put_s, cost.start_s, cost.start_bytes >> 20, cost.work_s,
                  cost.transactions, cost.rows, cost.step_bytes >> 10);
    return cost;
}

/* What is quadratic costs ten times more than growth for growth; caches and neighbours two or
 * three. */
#define STEEPER 5

/* Ten times the graph costs about ten times as much, of time and of rows. Memory while it runs does
 * not grow with it, but for what one end lets go at once. */
static void check_growth(struct world *w, enum shape shape, size_t at_once)
{
    struct cost small = run_through(w, shape, SMALL), large = run_through(w, shape, LARGE);
    double growth = (double)LARGE / SMALL;

    assert_true(large.rows < (int64_t)(1.1 * growth * (double)small.rows));
    assert_true(large.rows <= 9 * (LARGE + large.edges));
    assert_true(large.put_s < STEEPER * growth * small.put_s);
    assert_true(large.start_s < STEEPER * growth * small.start_s);
    assert_true(large.work_s < STEEPER * growth * small.work_s);
    assert_true(large.start_bytes < (size_t)LARGE * 4096);
    assert_true(large.step_bytes < (2u << 20) + at_once * 1300);
    arena_reset(&w->arena);
    world_healthy(w);
}

static void chain_of_100000(void **state)
{
    check_growth(world(state), CHAIN, 1);
}

static void fan_of_100000(void **state)
{
    check_growth(world(state), FAN, LARGE);
}

static void layers_of_100000(void **state)
{
    check_growth(world(state), LAYERS, BATCH);
}

/* D-34; on Postgres fewer tasks, since each link of a chain costs its round trips and its commit.
 */
static void smaller_ones_on_postgres(void **state)
{
    struct world *w = world(state);

    run_through(w, CHAIN, 500);
    run_through(w, FAN, SMALL);
    run_through(w, LAYERS, SMALL);
    arena_reset(&w->arena);
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(chain_of_100000, sqlite, memory),
        ENGINE_TEST(fan_of_100000, sqlite, memory),
        ENGINE_TEST(layers_of_100000, sqlite, memory),
        ENGINE_TEST(smaller_ones_on_postgres, postgres, postgres),
    };

    return ENGINE_MAIN(tests);
}
