/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/grant_args.h"

#include "base/test.h"
#include "engine/engine_testing.h"
#include "engine/plan.h"

#define LARGE  ((size_t)1 << 20)
#define STAGES 12u

/* JSON of n bytes. */
static struct str text_of(struct world *w, size_t n)
{
    char *p = arena_alloc(&w->arena, n);

    memset(p, 'x', n);
    p[0] = p[n - 1] = '"';
    return (struct str){p, n};
}

static void join(struct world *w)
{
    struct worker_joined j;
    const struct worker_join req = {
        .worker = {.name = STR("r"),
                   .type = STR("build"),
                   .address = STR("r:1"),
                   .modes = PLACEMENT_SYNC,
                   .slots = 0,
                   .ttl_us = CLOCK_S}
    };

    DO(w, worker_join(&w->tx, &req, &j));
}

/* A plan of stages that are alike, each assigned to its one check. */
static int64_t plan_of(struct world *w, size_t n, struct str args, struct str options)
{
    const struct plan_check check = {.name = STR("c"), .options = options, .planned = true};
    const struct plan_assignment goal = {.check = STR("c")};
    struct plan_stage *stages = ARENA_ARRAY(&w->arena, struct plan_stage, n);
    struct plan_write req = {.checks = &check, .checks_n = 1, .stages = stages, .stages_n = n};
    struct plan_written written;
    struct run_row run;

    for (size_t i = 0; i < n; i++)
        stages[i] = (struct plan_stage){.name = str_printf(&w->arena, "s%zu", i + 1),
                                        .args = args,
                                        .type = STR("build"),
                                        .assignments = &goal,
                                        .assignments_n = 1};
    DO(w, plan_create(&w->tx, &(struct plan_create){0}, &run));
    req.run = run.id;
    DO(w, plan_write(&w->tx, &req, &written));
    return run.id;
}

static struct grant_leases round_of(struct world *w, const struct grant_turns *turns)
{
    const struct grant_round req = {.max = GRANT_MAX, .turns = *turns};
    struct grant_leases reply;

    DO(w, grant_round(&w->tx, &req, &reply));
    return reply;
}

/* A round gives out what it can carry, of all runs alike, and what it left comes next: each stage
 * once, and the run after the one that was served last goes first. */
static void large_args_take_several_rounds(void **state)
{
    struct world *w = world(state);
    const size_t fit = GRANT_BYTES_MAX / LARGE + 1;
    int64_t runs[2];
    struct grant_leases l;

    join(w);
    for (int i = 0; i < 2; i++)
        runs[i] = plan_of(w, STAGES, text_of(w, LARGE), STR(""));
    l = round_of(w, &(struct grant_turns){0});
    assert_int_equal(l.n, fit);
    assert_true(l.more);
    for (size_t i = 0; i < l.n; i++) {
        assert_int_equal(l.list[i].run, runs[i % 2]);
        assert_int_equal(l.list[i].args.n, LARGE);
    }
    l = round_of(w, &l.turns);
    assert_int_equal(l.n, 2 * STAGES - fit);
    assert_int_equal(l.list[0].run, runs[fit % 2]);
    assert_false(l.more);
    assert_int_equal(round_of(w, &l.turns).n, 0);
    world_healthy(w);
}

/* The options of a check go along with each of its stages, as far as a message takes them. */
static void options_of_a_check_are_told_to_all(void **state)
{
    struct world *w = world(state);
    const struct str small = text_of(w, 3), large = text_of(w, LARGE);
    struct grant_leases l;

    join(w);
    plan_of(w, STAGES, small, large);
    plan_of(w, 1, small, small);
    l = round_of(w, &(struct grant_turns){0});
    assert_int_equal(l.n, STAGES + 1);
    for (size_t i = 0; i < l.n; i++) {
        const struct grant_lease *x = &l.list[i];

        assert_int_equal(x->checks_n, 1);
        CHECK_TEXT(x->checks[0].name, "c");
        CHECK_TEXT(x->checks[0].goal, "FINAL");
        assert_true(str_eq(x->checks[0].options, x->run == l.list[0].run ? large : small));
    }
    assert_true(l.list[0].checks[0].options.p == l.list[2].checks[0].options.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(large_args_take_several_rounds),
        ENGINE_TESTS(options_of_a_check_are_told_to_all),
    };

    return ENGINE_MAIN(tests);
}
