/* SPDX-License-Identifier: Apache-2.0 */
/* Claims of tasks of any run: which runs, in which turns, how many of each. */
#include "engine/engine_testing.h"

#define FIVE                                                                                       \
    "weft: 1\nname: five\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n  c: {run: [x]}\n"             \
    "  d: {run: [x]}\n  e: {run: [x]}\n"

static int64_t start(struct world *w, struct run_start req)
{
    struct run_row row;

    DO(w, run_start(&w->tx, &req, &row));
    return row.id;
}

static void put(struct world *w, const char *yaml)
{
    struct run_start local = {.workflow = STR("five"), .local = true};

    world_start(w, yaml);
    start(w, local);
}

static struct run_shares claim(struct world *w, int64_t after, int64_t max)
{
    struct run_claim req = {.worker = w->worker, .after = after, .max = max};
    struct run_shares shares;

    DO(w, run_claim(&w->tx, &req, &shares));
    return shares;
}

static size_t share_of(const struct run_shares *s, int64_t run)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].run == run)
            return s->list[i].leases.n;
    return 0;
}

/* A large run does not keep the others waiting, and slots that a small one leaves are used. */
static void runs_share_the_slots(void **state)
{
    struct world *w = world(state);
    struct run_start small = {.workflow = STR("five"), .dir = STR("/two"), .max_parallel = 1};
    struct run_shares s;
    int64_t second;

    put(w, FIVE); /* run 1, and run 2 that is local */
    second = start(w, small);
    world_join(w, 10);
    s = claim(w, 0, 4);
    assert_int_equal(s.leases, 4);
    assert_int_equal(share_of(&s, 1), 3);
    assert_int_equal(share_of(&s, second), 1);
    assert_string_equal(str_cstr(&w->arena, s.list[s.n - 1].dir), "/two");
    s = claim(w, s.after, 10);
    assert_int_equal(share_of(&s, 1), 2);
    assert_int_equal(s.leases, 2);
    assert_int_equal(claim(w, s.after, 10).leases, 0);
    world_healthy(w);
}

/* With one slot, runs take turns. */
static void one_slot_goes_round(void **state)
{
    struct world *w = world(state);
    struct run_start more = {.workflow = STR("five")};
    int64_t after = 0, expected[] = {1, 3, 4, 1, 3, 4};

    put(w, FIVE);
    start(w, more);
    start(w, more);
    world_join(w, 100);
    for (size_t i = 0; i < 6; i++) {
        struct run_shares s = claim(w, after, 1);

        assert_int_equal(s.leases, 1);
        assert_int_equal(s.list[0].run, expected[i]);
        assert_true(s.more);
        after = s.after;
    }
    world_healthy(w);
}

/* The worker's own limit counts over all runs. */
static void a_worker_has_no_more_than_its_slots(void **state)
{
    struct world *w = world(state);

    put(w, FIVE);
    start(w, (struct run_start){.workflow = STR("five")});
    world_join(w, 3);
    assert_int_equal(claim(w, 0, 100).leases, 3);
    assert_int_equal(claim(w, 0, 100).leases, 0);
    world_healthy(w);
}

static void what_is_refused(void **state)
{
    struct world *w = world(state);
    struct run_claim req = {.worker = 77, .max = 1};
    struct run_shares s;

    put(w, FIVE);
    REFUSED(w, run_claim(&w->tx, &req, &s), CODE_WORKER_NOT_FOUND);
    req.max = 0;
    REFUSED(w, run_claim(&w->tx, &req, &s), CODE_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(runs_share_the_slots),
        ENGINE_TESTS(one_slot_goes_round),
        ENGINE_TESTS(a_worker_has_no_more_than_its_slots),
        ENGINE_TESTS(what_is_refused),
    };

    return ENGINE_MAIN(tests);
}
