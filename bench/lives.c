/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lives: how many lives of tasks (enqueue, claim, complete) a store carries through the engine's
 * functions, without a network.
 *
 *     lives STORE BATCH LIVES BACKLOG
 *
 * BACKLOG tasks are enqueued first; then each round enqueues, claims and completes BATCH tasks, a
 * transaction each. With LIVES 0 the backlog is the measurement: it grows to BACKLOG and is worked
 * off, and memory is sampled at every power of ten.
 */
#include <stdio.h>
#include <string.h>

#include "engine/queue.h"
#include "engine/task.h"
#include "engine/worker.h"
#include "measure.h"
#include "store/store.h"

#define USAGE "usage: lives STORE BATCH LIVES BACKLOG\n"

struct lives {
    struct tx tx;
    struct arena arena;
    struct prng prng;
    int64_t worker;
    size_t batch;
    double enqueue_s, claim_s, complete_s;
};

static const struct str queue = {"bench", 5};

static void check(struct lives *l, int r, const char *what)
{
    if (r == ENGINE_E_REFUSED)
        measure_die("%s: %.*s", what, STR_ARG(l->tx.problem.text));
    if (r)
        measure_die("%s: fault %d, %.*s", what, r, STR_ARG(store_error(l->tx.store)));
}

static void begin(struct lives *l)
{
    arena_reset(&l->arena);
    check(l, tx_begin(&l->tx), "begin");
}

static void commit(struct lives *l)
{
    check(l, tx_commit(&l->tx), "commit");
}

static void prepare(struct lives *l)
{
    const struct worker_register reg = {
        .name = STR("bench"),
        .kind = STR("bench"),
        .slots = WORKER_SLOTS_MAX,
        .ttl_us = WORKER_TTL_US_MAX,
    };
    struct worker_row worker;
    struct queue_status status;

    begin(l);
    check(l, queue_put(&l->tx, &(struct queue_put){.name = queue}, &status), "queue_put");
    check(l, worker_register(&l->tx, &reg, &worker), "worker_register");
    l->worker = worker.incarnation;
    commit(l);
}

static void enqueue(struct lives *l, size_t n)
{
    static struct task_new list[TASK_BATCH_MAX];
    struct task_ids ids;
    double from = measure_seconds();

    for (size_t i = 0; i < n; i++)
        list[i] = (struct task_new){.payload = STR(MEASURE_PAYLOAD)};
    begin(l);
    check(l, task_enqueue(&l->tx, &(struct task_enqueue){queue, list, n}, &ids), "task_enqueue");
    commit(l);
    l->enqueue_s += measure_seconds() - from;
}

/* Claim and complete a batch; how many there were. */
static size_t work(struct lives *l)
{
    const struct task_claim claim = {
        .worker = l->worker,
        .queue = queue,
        .max = (int64_t)l->batch,
    };
    static struct task_result results[TASK_BATCH_MAX];
    struct task_leases leases;
    struct task_codes codes;
    double from = measure_seconds(), between;

    begin(l);
    check(l, task_claim(&l->tx, &claim, &leases), "task_claim");
    commit(l);
    between = measure_seconds();
    l->claim_s += between - from;
    for (size_t i = 0; i < leases.n; i++)
        results[i] = (struct task_result){
            .lease = {leases.list[i].task, leases.list[i].token},
            .outcome = OUTCOME_SUCCEEDED,
            .exit_code = 0,
            .run_us = 1,
        };
    if (leases.n == 0)
        return 0;
    begin(l);
    check(l, task_complete(&l->tx, &(struct task_complete){results, leases.n}, &codes),
          "task_complete");
    commit(l);
    for (size_t i = 0; i < codes.n; i++)
        if (codes.list[i] != CODE_OK)
            measure_die("completion %zu: code %d", i, (int)codes.list[i]);
    l->complete_s += measure_seconds() - between;
    return codes.n;
}

static void sample(const char *before, const char *when, size_t n)
{
    printf("%s{\"when\":\"%s\",\"tasks\":%zu,\"rss_kib\":%lld}", before, when, n,
           (long long)measure_rss_kib());
}

static void measure_growth(struct lives *l, size_t backlog)
{
    size_t next = 1000, done = 0;

    printf("{\"samples\":[");
    for (size_t n = l->batch; n <= backlog; n += l->batch) {
        enqueue(l, l->batch);
        if (n >= next) {
            sample(next == 1000 ? "" : ",", "growing", next);
            next *= 10;
        }
    }
    for (size_t n; (n = work(l)) > 0;)
        done += n;
    sample(",", "worked off", done);
    printf("],\"seconds\":%.6f}\n", l->enqueue_s + l->claim_s + l->complete_s);
}

static void measure_lives(struct lives *l, size_t lives)
{
    size_t done = 0;

    l->enqueue_s = l->claim_s = l->complete_s = 0;
    while (done < lives) {
        enqueue(l, l->batch);
        done += work(l);
    }
    printf("{\"lives\":%zu,\"seconds\":%.6f,\"enqueue_s\":%.6f,\"claim_s\":%.6f,"
           "\"complete_s\":%.6f,\"rss_kib\":%lld}\n",
           done, l->enqueue_s + l->claim_s + l->complete_s, l->enqueue_s, l->claim_s, l->complete_s,
           (long long)measure_rss_kib());
}

int main(int argc, char **argv)
{
    struct lives l = {0};
    size_t lives, backlog;
    int r;

    if (argc != 5)
        measure_die(USAGE);
    l.batch = (size_t)measure_number(argv[2], 1, USAGE);
    lives = (size_t)measure_number(argv[3], 0, USAGE);
    backlog = (size_t)measure_number(argv[4], 0, USAGE);
    if (l.batch > TASK_BATCH_MAX)
        measure_die("a batch has at most %u tasks", TASK_BATCH_MAX);
    r = store_open(&(struct store_options){.url = str_of(argv[1]), .mode = STORE_WRITE},
                   &l.tx.store);
    check(&l, r, "store_open");
    l.tx.arena = &l.arena;
    l.tx.prng = &l.prng;
    prng_seed(&l.prng, 1);
    prepare(&l);
    if (lives == 0) {
        measure_growth(&l, backlog);
    } else {
        for (size_t n = 0; n < backlog; n += l.batch)
            enqueue(&l, l.batch);
        measure_lives(&l, lives);
    }
    store_free(l.tx.store);
    arena_deinit(&l.arena);
    return 0;
}
