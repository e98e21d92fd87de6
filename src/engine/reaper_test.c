/* SPDX-License-Identifier: Apache-2.0 */
/* The reaper: what time alone brings about. */
#include <pthread.h>
#include <time.h>

#include "engine/engine_testing.h"

#define START (1900000000LL * CLOCK_S)

/* A-116 */
static void a_task_starts_not_before_its_time(void **state)
{
    struct world *w = world(state);
    struct reaper_reply r;
    int64_t run;

    w->now = START;
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x], not_before: 10s}\n"
                         "  b: {run: [x], needs: [c], not_before: 5s}\n  c: {run: [x]}\n"
                         "  d: {run: [x], not_before: \"2020-01-01T00:00:00Z\"}\n");
    world_join(w, 5);
    assert_string_equal(world_states(w, run), "DBRR");
    world_complete(w, &world_claim(w, run, 1).list[0], OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "DDSR");
    r = world_reap(w);
    assert_int_equal(r.promoted, 0);
    assert_int_equal(r.next_due_at, START + 5 * CLOCK_S);
    w->now += 5 * CLOCK_S;
    r = world_reap(w);
    assert_int_equal(r.promoted, 1);
    assert_int_equal(r.next_due_at, START + 10 * CLOCK_S);
    assert_string_equal(world_states(w, run), "DRSR");
    w->now += 60 * CLOCK_S;
    assert_int_equal(world_reap(w).promoted, 1);
    assert_string_equal(world_states(w, run), "RRSR");
    world_healthy(w);
}

/* The wait doubles up to its cap; after the last attempt there is none. */
static void backoff_grows_to_its_cap(void **state)
{
    static const int64_t waits[] = {1, 2, 3};
    struct world *w = world(state);
    int64_t run;

    w->now = START;
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x], retry: {max_attempts: 4, "
                         "backoff: {base: 1s, factor: 2, cap: 3s}}}\n");
    world_join(w, 1);
    for (size_t i = 0; i < ROWS_N(waits); i++) {
        struct task_lease l = world_claim_one(w, run);

        world_complete(w, &l, OUTCOME_FAILED);
        assert_string_equal(world_states(w, run), "D");
        assert_int_equal(world_claim(w, run, 1).next_due_at, w->now + waits[i] * CLOCK_S);
        w->now += waits[i] * CLOCK_S - 1;
        assert_int_equal(world_reap(w).promoted, 0);
        w->now++;
        assert_int_equal(world_reap(w).promoted, 1);
        world_healthy(w);
    }
    struct task_lease last = world_claim_one(w, run);
    assert_int_equal(last.attempt, 4);
    world_complete(w, &last, OUTCOME_FAILED);
    assert_string_equal(world_states(w, run), "F");
    world_healthy(w);
}

/* The scan ends attempts itself, and then says when the next one is due. */
static void attempts_end_at_their_deadline(void **state)
{
    struct world *w = world(state);
    struct reaper_reply r;
    struct task_lease l;
    int64_t run;

    w->now = START;
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x], timeout: 5s, retry: {max_attempts: 2, "
                         "backoff: {base: 2s}}}\n");
    world_join(w, 1);
    l = world_claim_one(w, run);
    assert_int_equal(l.deadline_at, START + 5 * CLOCK_S);
    w->now += 5 * CLOCK_S - 1;
    assert_int_equal(world_reap(w).timed_out, 0);
    w->now++;
    r = world_reap(w);
    assert_int_equal(r.timed_out, 1);
    assert_int_equal(r.next_due_at, w->now + 2 * CLOCK_S);
    assert_string_equal(world_states(w, run), "D");
    assert_int_equal(world_complete(w, &l, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    w->now += 2 * CLOCK_S;
    world_reap(w);
    world_claim_one(w, run);
    w->now += 5 * CLOCK_S;
    world_reap(w);
    assert_string_equal(world_states(w, run), "F");
    CHECK_TEXT(world_task(w, run, "a").task.reason, "timed_out");
    world_healthy(w);
}

/* A program that scans while another transaction is open. */
struct scan {
    struct store *store;
    int64_t now;
    pthread_t thread;
    struct reaper_reply reply;
    int r;
};

static void *scan(void *context)
{
    struct scan *s = context;
    struct arena a = {0};
    struct prng prng;
    struct tx tx = {.store = s->store, .arena = &a, .prng = &prng};

    prng_seed(&prng, 1);
    s->r = tx_begin(&tx);
    tx.now = s->now;
    if (!s->r)
        s->r = reaper_scan(&tx, NULL, &s->reply);
    if (!s->r)
        s->r = tx_commit(&tx);
    arena_deinit(&a);
    return NULL;
}

/* The scan has seen the old attempt past its deadline, and comes behind the transaction that ends
 * it and begins the next one. */
static void a_new_attempt_is_not_ended_for_the_old_ones_deadline(void **state)
{
    static const char waits[] = "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                "current_database() AND wait_event_type = 'Lock'";
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    struct world *w = world(state);
    struct task_leases claimed;
    struct task_result failed = {.outcome = OUTCOME_FAILED, .exit_code = 1};
    struct task_codes codes;
    struct task_lease l;
    struct scan s = {.store = store_testing_open(w->place, STORE_WRITE)};
    int64_t run;

    w->now = START;
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x], timeout: 5s, retry: {}}\n");
    world_join(w, 1);
    l = world_claim_one(w, run);
    failed.lease = (struct lease_ref){l.task, l.token};
    w->now += 5 * CLOCK_S;
    s.now = w->now;
    STORE_OK(w->store, world_begin(w));
    assert_int_equal(task_complete(&w->tx, &(struct task_complete){&failed, 1}, &codes), 0);
    assert_int_equal(pthread_create(&s.thread, NULL, scan, &s), 0);
    for (int i = 0; i < 2000 && strcmp(store_testing_sql(w->place, waits), "0") == 0; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(task_claim(&w->tx,
                                &(struct task_claim){.worker = w->worker, .run = run, .max = 1},
                                &claimed),
                     0);
    assert_int_equal(claimed.n, 1);
    STORE_OK(w->store, tx_commit(&w->tx));
    pthread_join(s.thread, NULL);
    STORE_OK(s.store, s.r);
    assert_int_equal(s.reply.timed_out, 0);
    assert_int_equal(world_complete(w, &claimed.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    store_free(s.store);
    world_healthy(w);
}

/* The scan goes over all runs, and waits for none that somebody else has in hand. */
static void what_another_moves_is_left_for_the_next_scan(void **state)
{
    static const char yaml[] = "weft: 1\ntasks:\n  a: {run: [x], not_before: 5s}\n";
    struct world *w = world(state);
    struct scan s = {.store = store_testing_open(w->place, STORE_WRITE)};
    int64_t held, other;
    struct rows rows;

    w->now = START;
    held = world_start(w, yaml);
    other = world_start(w, yaml);
    w->now += 5 * CLOCK_S;
    s.now = w->now;
    STORE_OK(w->store, world_begin(w));
    STORE_OK(w->store, STORE_DO(w->store, STMT_run_lock, &w->arena, &rows, INT(held)));
    scan(&s);
    STORE_OK(s.store, s.r);
    assert_int_equal(s.reply.promoted, 1);
    assert_int_equal(s.reply.next_due_at, s.now);
    tx_rollback(&w->tx);
    assert_string_equal(world_states(w, held), "D");
    assert_string_equal(world_states(w, other), "R");
    scan(&s);
    STORE_OK(s.store, s.r);
    assert_int_equal(s.reply.promoted, 1);
    assert_int_equal(s.reply.next_due_at, 0);
    assert_string_equal(world_states(w, held), "R");
    store_free(s.store);
    world_healthy(w);
}

/* What a worker on this machine runs ends only after proof of its death, by whoever has it. */
static void local_workers_are_reported_and_left_alone(void **state)
{
    struct world *w = world(state);
    const struct worker_register req = {
        .name = STR("l"), .kind = STR("local"), .slots = 1, .ttl_us = 10 * CLOCK_S};
    struct worker_row row;
    struct reaper_reply r;
    int64_t run;

    w->now = START;
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x], timeout: 1s}\n");
    DO(w, worker_register(&w->tx, &req, &row));
    w->worker = row.incarnation;
    world_claim_one(w, run);
    w->now += 10 * CLOCK_S;
    r = world_reap(w);
    assert_int_equal(r.timed_out, 0);
    assert_int_equal(r.lost, 0);
    assert_int_equal(r.silent_local.n, 1);
    assert_int_equal(r.silent_local.list[0].incarnation, w->worker);
    assert_int_equal(r.silent_local.list[0].busy, 1);
    assert_string_equal(world_states(w, run), "r");
}

/* F.4.5: its tasks are back within its time to live and one scan. */
static void silent_workers_are_lost(void **state)
{
    struct world *w = world(state);
    struct worker_beat_reply beat;
    int64_t run, silent, alive;

    w->now = START;
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n");
    silent = world_join(w, 1);
    world_claim_one(w, run);
    alive = world_join(w, 1);
    world_claim_one(w, run);
    for (int i = 0; i < 3; i++) {
        w->now += 20 * CLOCK_S;
        DO(w, worker_beat(&w->tx, &alive, &beat));
        assert_int_equal(world_reap(w).lost, i == 2);
    }
    assert_string_equal(world_states(w, run), "Rr");
    REFUSED(w, worker_beat(&w->tx, &silent, &beat), CODE_WORKER_LOST);
    world_healthy(w);
}

/* A clock that is set back makes nobody late. */
static void time_that_goes_back_loses_nobody(void **state)
{
    struct world *w = world(state);
    int64_t run;

    w->now = START;
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n");
    world_join(w, 1);
    struct task_lease l = world_claim_one(w, run);
    w->now -= 3600 * CLOCK_S;
    assert_int_equal(world_reap(w).lost, 0);
    assert_int_equal(world_complete(w, &l, OUTCOME_SUCCEEDED), CODE_OK);
    assert_true(world_task(w, run, "a").task.attempts[0].queue_wait_us >= 0);
    world_healthy(w);
}

/* Work per call is bounded, and `more` asks for another. */
static void a_scan_is_bounded(void **state)
{
    struct world *w = world(state);
    struct task_new *list = ARENA_ARRAY(&w->arena, struct task_new, REAPER_BATCH + 5);
    struct queue_status q;
    struct task_ids ids;
    struct reaper_reply r;

    w->now = START;
    for (size_t i = 0; i < REAPER_BATCH + 5; i++)
        list[i] = (struct task_new){.payload = STR("1"), .delay_us = 1};
    DO(w, queue_put(&w->tx, &(struct queue_put){.name = STR("mail")}, &q));
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), list, REAPER_BATCH + 5}, &ids));
    for (int i = 0; i < REAPER_WORKERS + 5; i++)
        world_join(w, 1);
    w->now += 60 * CLOCK_S;
    r = world_reap(w);
    assert_int_equal(r.promoted, REAPER_BATCH);
    assert_int_equal(r.lost, REAPER_WORKERS);
    assert_true(r.more);
    r = world_reap(w);
    assert_int_equal(r.promoted, 5);
    assert_int_equal(r.lost, 5);
    assert_false(r.more);
    world_healthy(w);
}

/* F.4.5: with what they hold, however much it is; until all of it is back a worker is not lost. */
static void what_silent_workers_hold_comes_back_in_steps(void **state)
{
    enum { HELD = 2 * REAPER_BATCH + 300, OTHERS = 30 };
    struct world *w = world(state);
    struct task_new *list = ARENA_ARRAY(&w->arena, struct task_new, HELD + OTHERS);
    struct queue_put mail = {.name = STR("mail")};
    struct queue_status q;
    struct task_ids ids;

    w->now = START;
    for (size_t i = 0; i < HELD + OTHERS; i++)
        list[i] = (struct task_new){.payload = STR("1")};
    DO(w, queue_put(&w->tx, &mail, &q));
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), list, HELD + OTHERS}, &ids));
    world_join(w, HELD);
    assert_int_equal(world_claim_queue(w, "mail", 1000).n, 1000);
    assert_int_equal(world_claim_queue(w, "mail", 1000).n, 1000);
    assert_int_equal(world_claim_queue(w, "mail", 300).n, 300);
    for (int i = 0; i < OTHERS; i++) {
        world_join(w, 1);
        assert_int_equal(world_claim_queue(w, "mail", 1).n, 1);
    }
    w->now += 60 * CLOCK_S;
    for (int step = 0; step < 3; step++) {
        struct reaper_reply r = world_reap(w);

        if (step < 2)
            assert_int_equal(r.lost, 0);
        assert_int_equal(r.more, step < 2);
        if (step == 2)
            assert_int_equal(r.lost, 1 + OTHERS);
        world_healthy(w);
    }
    DO(w, queue_get(&w->tx, &mail.name, &q));
    assert_int_equal(q.counts[TASK_READY], HELD + OTHERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(a_task_starts_not_before_its_time),
        ENGINE_TESTS(backoff_grows_to_its_cap),
        ENGINE_TESTS(attempts_end_at_their_deadline),
        ENGINE_TEST(a_new_attempt_is_not_ended_for_the_old_ones_deadline, postgres, postgres),
        ENGINE_TEST(what_another_moves_is_left_for_the_next_scan, postgres, postgres),
        ENGINE_TESTS(local_workers_are_reported_and_left_alone),
        ENGINE_TESTS(silent_workers_are_lost),
        ENGINE_TESTS(time_that_goes_back_loses_nobody),
        ENGINE_TESTS(what_silent_workers_hold_comes_back_in_steps),
        ENGINE_TESTS(a_scan_is_bounded),
    };

    return ENGINE_MAIN(tests);
}
