/* SPDX-License-Identifier: Apache-2.0 */
/* Unique keys, keys that limit and order, fair shares, rates; and many callers at once. */
#include "base/clock.h"
#include "engine/engine_testing.h"

#define QUEUE STR("mail")

static void put(struct world *w, uint32_t given, struct queue_status set)
{
    struct queue_status reply;

    DO(w, queue_put(&w->tx, &(struct queue_put){QUEUE, given, set, 0}, &reply));
}
#define PUT(w, setting, ...) put((w), 1u << QUEUE_SET_##setting, (struct queue_status){__VA_ARGS__})

static struct task_ids enqueue(struct world *w, const struct task_new *list, size_t n)
{
    struct task_ids ids;

    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){QUEUE, list, n}, &ids));
    return ids;
}

static int64_t add(struct world *w, struct task_new task)
{
    task.payload = STR("1");
    return enqueue(w, &task, 1).list[0];
}
#define ADD(w, ...) add((w), (struct task_new){__VA_ARGS__})

/* The ids of up to max tasks that are claimed now must be these. */
static struct task_leases claim_these(struct world *w, int64_t max, const int64_t *ids, size_t n)
{
    struct task_leases leases = world_claim_queue(w, "mail", max);

    assert_int_equal(leases.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(leases.list[i].task, ids[i]);
    return leases;
}
#define CLAIM(w, max, ...)                                                                         \
    claim_these((w), (max), (const int64_t[]){__VA_ARGS__},                                        \
                sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void claim_none(struct world *w)
{
    assert_int_equal(world_claim_queue(w, "mail", 10).n, 0);
}

/* Time is the test's from here on. */
static void start(struct world *w)
{
    w->now = 1900000000000000;
    world_join(w, 1000);
}

static void unique_key_gives_the_first_id(void **state)
{
    struct world *w = world(state);
    struct task_new two[] = {
        {.payload = STR("1"),     .unique_key = STR("a")},
        {.payload = STR("2"),                       .unique_key = STR("b")},
        {.payload = STR("3"),.unique_key = STR("a")},
        {.payload = STR("4")    },
    };
    struct task_ids first, again;
    struct task_leases leases;

    start(w);
    first = enqueue(w, two, 4);
    assert_false(first.duplicates[0] || first.duplicates[1] || first.duplicates[3]);
    assert_true(first.duplicates[2]);
    assert_int_equal(first.list[2], first.list[0]);
    again = enqueue(w, two, 2);
    assert_true(again.duplicates[0] && again.duplicates[1]);
    assert_int_equal(again.list[0], first.list[0]);
    assert_int_equal(again.list[1], first.list[1]);
    leases = CLAIM(w, 10, first.list[0], first.list[1], first.list[3]);
    assert_int_equal(world_complete(w, &leases.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    again = enqueue(w, two, 2);
    assert_false(again.duplicates[0]);
    assert_true(again.duplicates[1]);
    assert_true(again.list[0] > first.list[3]);
    world_healthy(w);
}

static void unique_key_lasts_for_its_time(void **state)
{
    struct world *w = world(state);
    const struct task_new task = {
        .payload = STR("1"), .unique_key = STR("a"), .unique_us = 10 * CLOCK_S};
    struct task_leases leases;
    struct task_ids ids;
    int64_t first;

    start(w);
    first = enqueue(w, &task, 1).list[0];
    leases = CLAIM(w, 10, first);
    assert_int_equal(world_complete(w, &leases.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    w->now += 9 * CLOCK_S;
    ids = enqueue(w, &task, 1);
    assert_true(ids.duplicates && ids.duplicates[0]);
    assert_int_equal(ids.list[0], first);
    world_reap(w);
    w->now += CLOCK_S;
    ids = enqueue(w, &task, 1);
    assert_null(ids.duplicates);
    /* It lives on beyond its time. */
    w->now += 11 * CLOCK_S;
    world_reap(w);
    assert_int_equal(enqueue(w, &task, 1).list[0], ids.list[0]);
    world_healthy(w);
}

static void a_dead_letter_gives_its_unique_key_back(void **state)
{
    struct world *w = world(state);
    struct retry_policy once = retry_default();
    const struct task_new task = {.payload = STR("1"), .unique_key = STR("a"), .retry = &once};
    struct task_leases leases;

    once.max_attempts = 1;
    start(w);
    leases = CLAIM(w, 1, enqueue(w, &task, 1).list[0]);
    assert_int_equal(world_complete(w, &leases.list[0], OUTCOME_FAILED), CODE_OK);
    assert_null(enqueue(w, &task, 1).duplicates);
    world_healthy(w);
}

/* key_concurrency 1 is first in, first out within a key; others are not held up. */
static void a_busy_key_holds_up_nobody_else(void **state)
{
    struct world *w = world(state);
    struct task_leases a, b;
    int64_t a1, a2, a3, b1, free1;

    start(w);
    PUT(w, KEY_CONCURRENCY, .key_concurrency = 1);
    a1 = ADD(w, .key = STR("a"));
    a2 = ADD(w, .key = STR("a"));
    a3 = ADD(w, .key = STR("a"));
    b1 = ADD(w, .key = STR("b"));
    free1 = ADD(w, .priority = 0);
    a = CLAIM(w, 10, a1, b1, free1);
    claim_none(w);
    assert_int_equal(world_complete(w, &a.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    b = CLAIM(w, 10, a2);
    assert_string_equal(str_cstr(&w->arena, b.list[0].key), "a");
    claim_none(w);
    world_healthy(w);
    /* Given back, it is still before the third. */
    {
        struct task_codes codes;
        const struct lease_ref ref = {b.list[0].task, b.list[0].token};

        DO(w, task_release(&w->tx, &(struct task_release){&ref, 1}, &codes));
    }
    b = CLAIM(w, 10, a2);
    assert_int_equal(world_complete(w, &b.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    b = CLAIM(w, 10, a3);
    assert_int_equal(world_complete(w, &b.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(world_complete(w, &a.list[1], OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(world_complete(w, &a.list[2], OUTCOME_SUCCEEDED), CODE_OK);
    claim_none(w);
    a1 = ADD(w, .key = STR("a"));
    CLAIM(w, 10, a1);
    world_healthy(w);
}

static void a_retry_keeps_its_place(void **state)
{
    struct world *w = world(state);
    struct retry_policy twice = retry_default();
    struct task_leases leases;
    int64_t first, second;

    twice.max_attempts = 2;
    twice.base_us = CLOCK_S;
    twice.outcomes |= 1u << OUTCOME_FAILED;
    start(w);
    PUT(w, KEY_CONCURRENCY, .key_concurrency = 1);
    first = ADD(w, .key = STR("a"), .retry = &twice);
    second = ADD(w, .key = STR("a"));
    leases = CLAIM(w, 10, first);
    assert_int_equal(world_complete(w, &leases.list[0], OUTCOME_FAILED), CODE_OK);
    claim_none(w);
    w->now += 5 * CLOCK_S;
    world_reap(w);
    leases = CLAIM(w, 10, first);
    assert_int_equal(world_complete(w, &leases.list[0], OUTCOME_FAILED), CODE_OK);
    CLAIM(w, 10, second);
    world_healthy(w);
}

static void a_limit_of_keys_can_change(void **state)
{
    struct world *w = world(state);
    struct task_leases leases;
    int64_t id[6];

    start(w);
    for (size_t i = 0; i < 6; i++)
        id[i] = ADD(w, .key = STR("a"));
    leases = CLAIM(w, 1, id[0]);
    PUT(w, KEY_CONCURRENCY, .key_concurrency = 2);
    world_healthy(w);
    CLAIM(w, 10, id[1]);
    PUT(w, KEY_CONCURRENCY, .key_concurrency = 3);
    CLAIM(w, 10, id[2]);
    PUT(w, KEY_CONCURRENCY, .key_concurrency = 1);
    world_healthy(w);
    assert_int_equal(world_complete(w, &leases.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    claim_none(w);
    PUT(w, KEY_CONCURRENCY, .key_concurrency = 0);
    CLAIM(w, 10, id[3], id[4], id[5]);
    world_healthy(w);
}

static void keys_take_turns(void **state)
{
    struct world *w = world(state);
    struct task_new many[100];
    struct task_ids big;
    int64_t b1, b2, c1;

    start(w);
    PUT(w, FAIR, .fair = true);
    for (size_t i = 0; i < 100; i++)
        many[i] = (struct task_new){.payload = STR("1"), .key = STR("big")};
    big = enqueue(w, many, 100);
    CLAIM(w, 3, big.list[0], big.list[1], big.list[2]);
    b1 = ADD(w, .key = STR("b"));
    b2 = ADD(w, .key = STR("b"));
    c1 = ADD(w, .key = STR("c"));
    CLAIM(w, 6, big.list[3], b1, c1, big.list[4], b2, big.list[5]);
    /* It cannot save up turns. */
    b1 = ADD(w, .key = STR("b"));
    CLAIM(w, 3, big.list[6], b1, big.list[7]);
    c1 = ADD(w, .key = STR("c"), .priority = 1);
    CLAIM(w, 2, c1, big.list[8]);
    world_healthy(w);
    /* Without turns, it is age again. */
    b1 = ADD(w, .key = STR("b"));
    PUT(w, FAIR, .fair = false);
    c1 = ADD(w, .key = STR("c"));
    CLAIM(w, 2, big.list[9], big.list[10]);
    assert_int_equal(world_claim_queue(w, "mail", 89).n, 89);
    CLAIM(w, 2, b1, c1);
}

static void what_comes_back_together_keeps_its_order(void **state)
{
    struct world *w = world(state);
    struct task_leases l;
    struct task_codes codes;
    int64_t first, second;

    start(w);
    first = ADD(w, .key = STR("a"));
    second = ADD(w, .key = STR("a"));
    l = world_claim_queue(w, "mail", 2);
    assert_int_equal(l.n, 2);
    /* They have no turns yet, and are given back the later one first. */
    PUT(w, FAIR, .fair = true);
    const struct lease_ref refs[] = {
        {second, l.list[1].token},
        {first,  l.list[0].token},
    };
    DO(w, task_release(&w->tx, &(struct task_release){refs, 2}, &codes));
    CLAIM(w, 1, first);
    CLAIM(w, 1, second);
    world_healthy(w);
}

static void promotion_gives_turns_and_places(void **state)
{
    struct world *w = world(state);
    int64_t late[2], now1, now2;

    start(w);
    PUT(w, KEY_CONCURRENCY, .key_concurrency = 1);
    late[0] = ADD(w, .key = STR("a"), .delay_us = CLOCK_S);
    late[1] = ADD(w, .key = STR("a"), .not_before = w->now + 2 * CLOCK_S);
    now1 = ADD(w, .key = STR("a"));
    now2 = ADD(w, .key = STR("b"));
    CLAIM(w, 10, now1, now2);
    w->now += 5 * CLOCK_S;
    assert_int_equal(world_reap(w).promoted, 2);
    claim_none(w);
    world_healthy(w);
    (void)late;
}

static void leases_of_a_queue_are_limited(void **state)
{
    struct world *w = world(state);
    struct task_leases leases;
    int64_t id[5];

    start(w);
    PUT(w, CONCURRENCY_MAX, .concurrency_max = 2);
    for (size_t i = 0; i < 5; i++)
        id[i] = ADD(w, .priority = 0);
    leases = CLAIM(w, 10, id[0], id[1]);
    claim_none(w);
    assert_int_equal(world_complete(w, &leases.list[1], OUTCOME_SUCCEEDED), CODE_OK);
    CLAIM(w, 10, id[2]);
    world_healthy(w);
}

static void a_rate_is_kept(void **state)
{
    struct world *w = world(state);
    struct task_new many[100] = {0};
    struct task_leases none;
    size_t got = 0;

    start(w);
    put(w, 1u << QUEUE_SET_RATE | 1u << QUEUE_SET_RATE_BURST,
        (struct queue_status){.rate_milli = 2000, .rate_burst = 5});
    for (size_t i = 0; i < 100; i++)
        many[i].payload = STR("1");
    enqueue(w, many, 100);
    assert_int_equal(world_claim_queue(w, "mail", 50).n, 5);
    none = world_claim_queue(w, "mail", 50);
    assert_int_equal(none.n, 0);
    assert_int_equal(none.next_due_at, w->now + CLOCK_S / 2);
    w->now += CLOCK_S / 2;
    assert_int_equal(world_claim_queue(w, "mail", 50).n, 1);
    /* However often one asks, in ten seconds there are twenty. */
    for (int i = 0; i < 100; i++) {
        w->now += CLOCK_S / 10;
        got += world_claim_queue(w, "mail", 50).n;
    }
    assert_int_equal(got, 20);
    w->now += 3600 * CLOCK_S;
    assert_int_equal(world_claim_queue(w, "mail", 50).n, 5);
}

static void each_of_many_is_refused_alone(void **state)
{
    struct world *w = world(state);
    const struct task_new good = {.payload = STR("1")};
    const struct task_new unique = {.payload = STR("1"), .unique_key = STR("u")};
    const struct task_new bad = {.payload = STR("1"), .priority = 5000};
    const struct task_new pair[] = {unique, good};
    const struct task_enqueue reqs[] = {
        {QUEUE,      &good,   1},
        {QUEUE,      &bad,    1},
        {QUEUE,      pair,    2}, /* does not fit, and so does not take the unique key */
        {QUEUE,      &unique, 1},
        {STR("new"), &good,   1},
        {STR(""),    &good,   1},
        {QUEUE,      &unique, 1}, /* there already, so that it fits */
    };
    const enum code codes[] = {CODE_OK, CODE_INVALID, CODE_QUEUE_FULL, CODE_OK,
                               CODE_OK, CODE_INVALID, CODE_OK};
    const struct task_enqueue *list[ROWS_N(reqs)];
    struct task_ids ids[ROWS_N(reqs)] = {0}, *replies[ROWS_N(reqs)];
    struct tx_problem problems[ROWS_N(reqs)];

    start(w);
    PUT(w, TASKS_MAX, .tasks_max = 2);
    for (size_t i = 0; i < ROWS_N(reqs); i++) {
        list[i] = &reqs[i];
        replies[i] = &ids[i];
    }
    DO(w, task_enqueue_many(&w->tx, list, replies, problems, ROWS_N(reqs)));
    for (size_t i = 0; i < ROWS_N(reqs); i++)
        assert_int_equal(problems[i].code, codes[i]);
    assert_int_equal(ids[6].list[0], ids[3].list[0]);
    assert_true(ids[6].duplicates[0]);
    CLAIM(w, 10, ids[0].list[0], ids[3].list[0]);
    assert_int_equal(world_claim_queue(w, "new", 10).n, 1);
    world_healthy(w);
}

/* C-38, C-39: what many claim at once is dealt out whole, each task once. */
static void many_claims_share_what_is_there(void **state)
{
    struct world *w = world(state);
    const struct task_claim reqs[] = {
        {.worker = 0, .queue = QUEUE,     .max = 2 },
        {.worker = 0, .queue = STR("no"), .max = 2 },
        {.worker = 1, .queue = QUEUE,     .max = 2 },
        {.worker = 0, .queue = QUEUE,     .max = 50},
        {.worker = 0, .queue = QUEUE,     .max = 0 },
        {.worker = 0, .queue = QUEUE,     .max = 1 },
        {.worker = 0, .queue = QUEUE,     .max = 9 }, /* a guest */
    };
    const enum code codes[] = {CODE_OK, CODE_QUEUE_NOT_FOUND, CODE_WORKER_NOT_FOUND,
                               CODE_OK, CODE_INVALID,         CODE_OK,
                               CODE_OK};
    const size_t counts[] = {2, 0, 0, 3, 0, 0, 2};
    struct task_claim real[ROWS_N(reqs)];
    const struct task_claim *list[ROWS_N(reqs)];
    struct task_leases leases[ROWS_N(reqs)], *replies[ROWS_N(reqs)];
    struct tx_problem problems[ROWS_N(reqs)];
    int64_t worker, id[7], next = 0;

    w->now = 1900000000000000;
    worker = world_join(w, 5);
    for (size_t i = 0; i < 7; i++)
        id[i] = ADD(w, .priority = 0);
    for (size_t i = 0; i < ROWS_N(reqs); i++) {
        real[i] = reqs[i];
        real[i].worker = reqs[i].worker ? 999999 : worker;
        list[i] = &real[i];
        replies[i] = &leases[i];
    }
    real[6].worker = 0;
    real[6].guest = STR("bob");
    DO(w, task_claim_many(&w->tx, list, replies, problems, ROWS_N(reqs)));
    for (size_t i = 0; i < ROWS_N(reqs); i++) {
        assert_int_equal(problems[i].code, codes[i]);
        assert_int_equal(leases[i].n, counts[i]);
        for (size_t j = 0; j < leases[i].n; j++)
            assert_int_equal(leases[i].list[j].task, id[next++]);
    }
    assert_true(leases[6].list[0].expires_at > w->now);
    world_healthy(w);
}

/* C-04: before anything is looked at. */
static void bad_claims_are_refused(void **state)
{
    struct world *w = world(state);
    struct task_claim req = {.queue = QUEUE, .max = 1};
    struct task_leases leases;
    char name[QUEUE_NAME_BYTES_MAX + 1];

    memset(name, 'q', sizeof(name));
    req.worker = world_join(w, 1);
    REFUSED(w, task_claim(&w->tx, &req, &leases), CODE_QUEUE_NOT_FOUND);
    req.queue = STR("");
    REFUSED(w, task_claim(&w->tx, &req, &leases), CODE_INVALID);
    req.queue = (struct str){name, sizeof(name)};
    REFUSED(w, task_claim(&w->tx, &req, &leases), CODE_INVALID);
    req.queue = QUEUE;
    for (int64_t max = -1; max <= (int64_t)TASK_BATCH_MAX + 1; max += TASK_BATCH_MAX + 2) {
        req.max = max;
        REFUSED(w, task_claim(&w->tx, &req, &leases), CODE_INVALID);
    }
    req.max = 0;
    REFUSED(w, task_claim(&w->tx, &req, &leases), CODE_INVALID);
}

static void many_completions_are_judged_one_by_one(void **state)
{
    struct world *w = world(state);
    struct task_result done[4], twice[2], bad[1];
    const struct task_complete reqs[] = {
        {done,     2},
        {twice,    2},
        {bad,      1},
        {done + 2, 2}
    };
    const struct task_complete *list[] = {&reqs[0], &reqs[1], &reqs[2], &reqs[3]};
    struct task_codes codes[4] = {0}, *replies[] = {&codes[0], &codes[1], &codes[2], &codes[3]};
    struct tx_problem problems[4];
    struct task_leases leases;

    start(w);
    for (size_t i = 0; i < 4; i++)
        ADD(w, .priority = 0);
    leases = world_claim_queue(w, "mail", 4);
    for (size_t i = 0; i < 4; i++)
        done[i] = (struct task_result){
            .lease = {leases.list[i].task, leases.list[i].token},
            .outcome = OUTCOME_SUCCEEDED,
            .exit_code = -1,
        };
    twice[0] = done[0];
    twice[1] = done[1];
    twice[1].outcome = OUTCOME_FAILED;
    bad[0] = done[2];
    bad[0].outcome = OUTCOME_NONE;
    DO(w, task_complete_many(&w->tx, list, replies, problems, 4));
    assert_int_equal(problems[2].code, CODE_INVALID);
    assert_int_equal(codes[0].list[0], CODE_OK);
    assert_int_equal(codes[1].list[0], CODE_OK);
    assert_int_equal(codes[1].list[1], CODE_COMPLETION_CONFLICT);
    assert_int_equal(codes[3].list[1], CODE_OK);
    world_healthy(w);
}

static void bad_keys_are_refused(void **state)
{
    struct world *w = world(state);
    char text[TASK_KEY_BYTES_MAX + 1];
    struct task_ids ids;
    struct task_new rows[6] = {0};

    rows[0].key = (struct str){text, sizeof(text)};
    rows[1].unique_key = (struct str){text, sizeof(text)};
    rows[2].key = STR("\xff");
    rows[3].unique_key = (struct str){"a\0b", 3};
    rows[4].unique_us = -1;
    rows[5].not_before = -1;
    memset(text, 'k', sizeof(text));
    start(w);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        rows[i].payload = STR("1");
        REFUSED(w, task_enqueue(&w->tx, &(struct task_enqueue){QUEUE, &rows[i], 1}, &ids),
                CODE_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(unique_key_gives_the_first_id),
        ENGINE_TESTS(unique_key_lasts_for_its_time),
        ENGINE_TESTS(a_dead_letter_gives_its_unique_key_back),
        ENGINE_TESTS(a_busy_key_holds_up_nobody_else),
        ENGINE_TESTS(a_retry_keeps_its_place),
        ENGINE_TESTS(a_limit_of_keys_can_change),
        ENGINE_TESTS(keys_take_turns),
        ENGINE_TESTS(what_comes_back_together_keeps_its_order),
        ENGINE_TESTS(promotion_gives_turns_and_places),
        ENGINE_TESTS(leases_of_a_queue_are_limited),
        ENGINE_TESTS(a_rate_is_kept),
        ENGINE_TESTS(each_of_many_is_refused_alone),
        ENGINE_TESTS(many_claims_share_what_is_there),
        ENGINE_TESTS(many_completions_are_judged_one_by_one),
        ENGINE_TESTS(bad_claims_are_refused),
        ENGINE_TESTS(bad_keys_are_refused),
    };

    return ENGINE_MAIN(tests);
}
