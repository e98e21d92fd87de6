/* SPDX-License-Identifier: Apache-2.0 */
/* What happened to others, as fixed scenarios; test/scars.tsv lists them all. */
#include <sys/stat.h>

#include "engine/engine_testing.h"

#define WORKERS 10000

static int count_one(void *context)
{
    ++*(int64_t *)context;
    return 0;
}

static int count_commit(void *context, bool *ret_done)
{
    *ret_done = true;
    return count_one(context);
}

static void join_many(struct world *w, struct worker_beat *beats)
{
    struct worker_row row;

    STORE_OK(w->store, world_begin(w));
    for (int i = 0; i < WORKERS; i++) {
        const struct worker_register req = {.name = str_printf(&w->arena, "w%d", i),
                                            .kind = WORKER_REMOTE,
                                            .host = STR("h"),
                                            .slots = 1,
                                            .ttl_us = 60 * CLOCK_S};

        assert_int_equal(worker_register(&w->tx, &req, &row), 0);
        beats[i] = (struct worker_beat){.incarnation = row.incarnation};
    }
    STORE_OK(w->store, tx_commit(&w->tx));
}

/* The heartbeats of 10 000 workers cost a commit and a handful of statements, whoever sends them
 * together. */
static void scar_07_many_heartbeats_cost_few_writes(void **state)
{
    static struct worker_beat beats[WORKERS];
    int64_t statements = 0;
    const struct store_faults counts = {.context = &statements,
                                        .begin = NULL,
                                        .statement = count_one,
                                        .commit = count_commit,
                                        .settle = NULL};
    const struct store_options memory = {
        .url = STR("sqlite::memory:"), .mode = STORE_WRITE, .faults = &counts};
    struct worker_beat_answers answers;
    struct world w = {0};

    (void)state;
    STORE_OK(w.store, store_open(&memory, &w.store));
    w.tx = (struct tx){.store = w.store, .arena = &w.arena, .prng = &w.prng};
    join_many(&w, beats);
    statements = 0;
    DO(&w, worker_beat_many(&w.tx, &(struct worker_beats){beats, WORKERS}, &answers));
    print_message("%" PRId64 " statements, the commit among them\n", statements);
    assert_in_range(statements, 2, 8);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(answers.list[i].code, CODE_OK);
    store_free(w.store);
    arena_deinit(&w.arena);
}

static void add_later(struct world *w, size_t n, int64_t delay_us)
{
    struct task_new *list = ARENA_ARRAY(&w->arena, struct task_new, n);
    struct task_ids ids;

    for (size_t i = 0; i < n; i++)
        list[i] = (struct task_new){.payload = STR("1"), .delay_us = delay_us};
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), list, n}, &ids));
}

/* The quickest of some scans with ten tasks that are due. */
static int64_t scan_us(struct world *w)
{
    int64_t best = INT64_MAX;

    for (int i = 0; i < 7; i++) {
        int64_t from, took;

        add_later(w, 10, CLOCK_S);
        w->now += 2 * CLOCK_S;
        from = clock_monotonic();
        assert_int_equal(world_reap(w).promoted, 10);
        took = clock_monotonic() - from;
        best = took < best ? took : best;
    }
    return best;
}

/* What is due costs, and not what is due some day. */
static void scar_09_future_jobs_cost_nothing(void **state)
{
    struct world *w = world(state);
    int64_t few, many;

    w->now = 1900000000LL * CLOCK_S;
    add_later(w, 1000, 3600 * CLOCK_S);
    few = scan_us(w);
    for (int i = 0; i < 10; i++)
        add_later(w, 10000, 3600 * CLOCK_S);
    many = scan_us(w);
    print_message("%" PRId64 " us beside 1 000 future tasks, %" PRId64 " us beside 101 000\n", few,
                  many);
    assert_true(many < 5 * few + 2000);
}

static int64_t file_bytes(struct world *w)
{
    struct stat st;

    store_testing_sql(w->place, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_int_equal(stat(w->place->path, &st), 0);
    return st.st_size;
}

/* So many pass through the queue, and are forgotten after its retention. */
static void pass_through(struct world *w, size_t n)
{
    struct task_new *list = ARENA_ARRAY(&w->arena, struct task_new, n);
    struct task_result *results = ARENA_ARRAY(&w->arena, struct task_result, n);
    struct reaper_forgotten gone;
    struct task_leases leases;
    struct task_codes codes;
    struct task_ids ids;

    for (size_t i = 0; i < n; i++)
        list[i] = (struct task_new){.payload = STR("\"new\""), .priority = 1};
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), list, n}, &ids));
    leases = world_claim_queue(w, "mail", (int64_t)n);
    assert_int_equal(leases.n, n);
    for (size_t i = 0; i < n; i++)
        results[i] = (struct task_result){
            .lease = {leases.list[i].task, leases.list[i].token},
              .outcome = OUTCOME_SUCCEEDED
        };
    DO(w, task_complete(&w->tx, &(struct task_complete){results, n}, &codes));
    w->now += 25 * 3600 * CLOCK_S;
    do
        DO(w, reaper_forget(&w->tx, NULL, &gone));
    while (gone.more);
}

/* A record that nobody takes does not keep what passes it by on the disk. */
static void scar_30_an_ancient_record_pins_no_disk(void **state)
{
    const struct queue_put put = {
        .name = STR("mail"),
        .given = 1u << QUEUE_SET_RETENTION,
        .set = {.retention_us = 24 * 3600 * CLOCK_S},
    };
    struct world *w = world(state);
    struct queue_status q;
    struct worker_row row;
    int64_t early, late;

    w->now = 1900000000LL * CLOCK_S;
    DO(w, queue_put(&w->tx, &put, &q));
    world_join(w, 300);
    add_later(w, 1, 0);
    for (int i = 0; i < 4; i++)
        pass_through(w, 300);
    early = file_bytes(w);
    for (int i = 0; i < 20; i++)
        pass_through(w, 300);
    late = file_bytes(w);
    print_message("%" PRId64 " bytes after 1 200 records, %" PRId64 " after 7 200\n", early, late);
    assert_true(late <= early + early / 10);
    DO(w, queue_get(&w->tx, &put.name, &q));
    assert_int_equal(q.counts[TASK_READY], 1);
    DO(w, worker_leave(&w->tx, &w->worker, &row));
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scar_07_many_heartbeats_cost_few_writes),
        ENGINE_TESTS(scar_09_future_jobs_cost_nothing),
        ENGINE_FILE_TEST(scar_30_an_ancient_record_pins_no_disk),
    };

    return ENGINE_MAIN(tests);
}
