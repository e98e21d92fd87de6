/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph: what a run of a large graph costs the engine, with an executor that does nothing.
 *
 *     graph STORE FILE BATCH
 *
 * Checks and stores the workflow in FILE (JSON), starts a run of it, and claims and completes its
 * tasks, BATCH at a time, until it has ended.
 */
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "engine/run.h"
#include "engine/task.h"
#include "engine/worker.h"
#include "engine/workflow.h"
#include "measure.h"

#define USAGE "usage: graph STORE FILE BATCH\n"

struct graph {
    struct tx tx;
    struct arena arena;
    struct prng prng;
    int64_t worker, run, batch;
};

static void check(struct graph *g, int r, const char *what)
{
    if (r == ENGINE_E_REFUSED)
        measure_die("%s: %.*s", what, STR_ARG(g->tx.problem.text));
    if (r)
        measure_die("%s: fault %d, %.*s", what, r, STR_ARG(store_error(g->tx.store)));
}

static void begin(struct graph *g)
{
    arena_reset(&g->arena);
    check(g, tx_begin(&g->tx), "begin");
}

static void commit(struct graph *g)
{
    check(g, tx_commit(&g->tx), "commit");
}

static int64_t put(struct graph *g, struct str source, struct workflow_row *ret)
{
    const struct workflow_put req = {
        .source = source,
        .format = STR("json"),
        .path = STR("bench"),
        .fallback_name = STR("bench"),
    };
    int64_t edges = 0;

    begin(g);
    check(g, workflow_put(&g->tx, &req, ret), "workflow_put");
    commit(g);
    for (size_t i = 0; i < ret->definition->tasks_n; i++)
        for (size_t j = 0; j < ret->definition->tasks[i].groups_n; j++)
            edges += (int64_t)ret->definition->tasks[i].groups[j].from_n;
    return edges;
}

static void start(struct graph *g)
{
    const struct worker_register reg = {
        .name = STR("bench"),
        .kind = STR("bench"),
        .slots = WORKER_SLOTS_MAX,
        .ttl_us = WORKER_TTL_US_MAX,
    };
    struct worker_row worker;
    struct run_row run;

    begin(g);
    check(g, worker_register(&g->tx, &reg, &worker), "worker_register");
    check(g, run_start(&g->tx, &(struct run_start){.workflow = STR("bench")}, &run), "run_start");
    commit(g);
    g->worker = worker.incarnation;
    g->run = run.id;
}

/* The batch before is completed in the transaction that claims the next, as an executor does that
 * holds its slots full. */
static size_t step(struct graph *g, struct task_result *results, size_t n)
{
    const struct task_claim claim = {.worker = g->worker, .run = g->run, .max = g->batch};
    struct task_leases leases;
    struct task_codes codes;

    begin(g);
    if (n)
        check(g, task_complete(&g->tx, &(struct task_complete){results, n}, &codes), "complete");
    check(g, task_claim(&g->tx, &claim, &leases), "task_claim");
    commit(g);
    for (size_t i = 0; i < leases.n; i++)
        results[i] = (struct task_result){
            .lease = {leases.list[i].task, leases.list[i].token},
            .outcome = OUTCOME_SUCCEEDED,
            .exit_code = 0,
            .run_us = 1,
        };
    return leases.n;
}

static void work(struct graph *g)
{
    struct task_result *results = memory_new((size_t)g->batch * sizeof(*results));
    size_t n = 0;

    do
        n = step(g, results, n);
    while (n > 0);
    memory_freep(&results);
}

int main(int argc, char **argv)
{
    struct workflow_row workflow;
    struct run_view view;
    struct graph g = {0};
    struct arena file = {0};
    struct str source;
    double at[4];
    int64_t edges;
    int r;

    if (argc != 4)
        measure_die(USAGE);
    g.batch = measure_number(argv[3], 1, USAGE);
    r = file_read(&file, argv[2], DOC_BYTES_MAX, &source);
    if (r)
        measure_die("%s cannot be read", argv[2]);
    r = store_open(&(struct store_options){.url = str_of(argv[1]), .mode = STORE_WRITE},
                   &g.tx.store);
    check(&g, r, "store_open");
    g.tx.arena = &g.arena;
    g.tx.prng = &g.prng;
    prng_seed(&g.prng, 1);
    at[0] = measure_seconds();
    edges = put(&g, source, &workflow);
    at[1] = measure_seconds();
    start(&g);
    at[2] = measure_seconds();
    work(&g);
    at[3] = measure_seconds();
    begin(&g);
    check(&g, run_get(&g.tx, &(struct run_get){.id = g.run}, &view), "run_get");
    if (view.run.state != RUN_SUCCEEDED)
        measure_die("the run is %s", run_state_text(view.run.state).p);
    printf("{\"tasks\":%lld,\"edges\":%lld,\"check_s\":%.6f,\"start_s\":%.6f,\"run_s\":%.6f,"
           "\"seconds\":%.6f,\"rss_kib\":%lld}\n",
           (long long)view.run.tasks, (long long)edges, at[1] - at[0], at[2] - at[1], at[3] - at[2],
           at[3] - at[0], (long long)measure_rss_kib());
    tx_rollback(&g.tx);
    store_free(g.tx.store);
    arena_deinit(&g.arena);
    arena_deinit(&file);
    return 0;
}
