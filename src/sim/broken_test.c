/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkers, checked: each rule that is broken on purpose must be found within a bounded number
 * of seeds, by the check that is there for it and not only by what follows; and nothing may be
 * found where none is. WEFT_BROKEN=TOKEN breaks that rule alone.
 */
#include "base/broken.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "sim/minimize.h"
#include "sim/sim.h"

#define SEEDS_MAX      2000
#define PLAN_SEEDS_MAX 100

enum broken_rule broken_rule = BROKEN_N;

static const struct rule {
    const char *name, *check, *text;
} rules[] = {
#define BROKEN_ROW(name, check, text) [BROKEN_##name] = {#name, check, #name ": " text},
    BROKEN_RULES(BROKEN_ROW)};

/* All profiles in turns. */
static bool found(uint64_t seed, size_t profile, struct sim_result *r)
{
    sim_run(&(struct sim_options){.seed = seed, .profile = sim_profiles[profile]}, r);
    return r->check;
}

/* Where another check is faster, the next seed has its turn. */
static uint64_t seeds_until_found(const char *check, struct sim_result *r)
{
    uint64_t seeds = 0;

    for (uint64_t seed = 1; seeds < SEEDS_MAX; seed++)
        for (size_t p = 0; sim_profiles[p].name && seeds < SEEDS_MAX; p++) {
            seeds++;
            if (found(seed, p, r) && strcmp(r->check, check) == 0)
                return seeds;
            sim_result_clear(r);
        }
    return 0;
}

static void each_broken_rule_is_found(void **state)
{
    const char *only = getenv("WEFT_BROKEN");
    size_t missed = 0;

    (void)state;
    for (int i = 0; i < BROKEN_N; i++) {
        const struct rule *rule = &rules[i];
        struct sim_result r;
        uint64_t seeds;

        if (only && strcmp(only, rule->name) != 0)
            continue;
        broken_rule = (enum broken_rule)i;
        seeds = seeds_until_found(rule->check, &r);
        missed += seeds == 0;
        if (seeds)
            print_message("%s\n    found after %" PRIu64 " seeds: %s: %s\n", rule->text, seeds,
                          r.check, r.text);
        else
            print_message("%s\n    NOT FOUND by \"%s\" in %d seeds\n", rule->text, rule->check,
                          SEEDS_MAX);
        sim_result_clear(&r);
    }
    broken_rule = BROKEN_N;
    assert_int_equal(missed, 0);
}

/* What plans mean has rules of its own (test/oracle/plan_broken_test.c finds them all): here it is
 * seen that their model hears of what is committed, and looks. */
static void the_graphs_of_plans_are_checked(void **state)
{
    static const enum broken_rule of_plans[] = {BROKEN_UNBOUND, BROKEN_HASTY};
    const struct sim_profile *plans = sim_profile("plans");

    (void)state;
    for (size_t i = 0; i < sizeof(of_plans) / sizeof(*of_plans); i++) {
        struct sim_result r = {0};
        uint64_t seed = 0;

        broken_rule = of_plans[i];
        while ((!r.check || strcmp(r.check, "graph") != 0) && ++seed <= PLAN_SEEDS_MAX) {
            sim_result_clear(&r);
            sim_run(&(struct sim_options){.seed = seed, .profile = *plans}, &r);
        }
        assert_true(seed <= PLAN_SEEDS_MAX);
        print_message("found after %" PRIu64 " seeds: %s\n", seed, r.text);
        sim_result_clear(&r);
    }
    broken_rule = BROKEN_N;
}

static void nothing_is_found_where_nothing_is_broken(void **state)
{
    (void)state;
    broken_rule = BROKEN_N;
    for (size_t p = 0; sim_profiles[p].name; p++) {
        struct sim_result r;

        if (found(1, p, &r))
            fail_msg("%s: %s", r.check, r.text);
        sim_result_clear(&r);
    }
}

/* The first history of the profile that fails by this rule. The check that failed. */
static const char *first_failure(enum broken_rule rule, struct sim_options *o)
{
    struct sim_result r = {0};
    const char *check;

    broken_rule = rule;
    while (!r.check) {
        sim_result_clear(&r);
        o->seed++;
        assert_true(o->seed < SEEDS_MAX);
        sim_run(o, &r);
    }
    check = r.check;
    sim_result_clear(&r);
    return check;
}

/* What a failure needs is found, and it still fails so. */
static void a_failure_is_made_short(void **state)
{
    struct sim_options o = {.profile = *sim_profile("storm")};
    const char *check = first_failure(BROKEN_CONFLICT, &o);
    struct minimize_told told;
    struct sim_result r;
    struct arena a = {0};

    (void)state;
    minimize_history(&o, check, &a, NULL, &told);
    sim_run(&o, &r);
    assert_string_equal(r.check, check);
    assert_int_equal(r.faults_n, told.faults_after);
    print_message("%" PRIu64
                  " runs: %zu of %zu faults, %d servers, %d workers, %d clients, %d tasks\n",
                  told.runs, told.faults_after, told.faults_before, o.profile.servers,
                  o.profile.workers, o.profile.clients, o.profile.tasks);
    /* A second completion with another content: little else has to go wrong. */
    assert_true(told.faults_after * 2 < told.faults_before && o.profile.workers < 4);
    sim_result_clear(&r);
    arena_deinit(&a);
    broken_rule = BROKEN_N;
}

/* Clients do something as often as there are tasks: with fewer of them runs would become rare, so
 * the time has to become shorter with them. */
static void a_failure_of_a_run_needs_few_tasks(void **state)
{
    struct sim_options o = {.profile = *sim_profile("calm")};
    const char *check = first_failure(BROKEN_EARLY, &o);
    struct minimize_told told;
    struct arena a = {0};

    (void)state;
    minimize_history(&o, check, &a, NULL, &told);
    print_message("%d tasks in %" PRId64 " us\n", o.profile.tasks, o.profile.storm_us);
    assert_true(o.profile.tasks <= 6);
    arena_deinit(&a);
    broken_rule = BROKEN_N;
}

static bool until_three(void *context, const struct minimize_told *so_far)
{
    (void)context;
    return so_far->runs < 3;
}

/* What was found by then is one that fails. */
static void making_short_is_ended_early(void **state)
{
    struct sim_options o = {.profile = *sim_profile("storm")};
    const char *check = first_failure(BROKEN_CONFLICT, &o);
    struct minimize_told told;
    struct sim_result r;
    struct arena a = {0};

    (void)state;
    minimize_history(&o, check, &a, &(struct minimize_watch){until_three, NULL}, &told);
    assert_int_equal(told.runs, 3);
    sim_run(&o, &r);
    assert_string_equal(r.check, check);
    sim_result_clear(&r);
    arena_deinit(&a);
    broken_rule = BROKEN_N;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_broken_rule_is_found),
        cmocka_unit_test(the_graphs_of_plans_are_checked),
        cmocka_unit_test(nothing_is_found_where_nothing_is_broken),
        cmocka_unit_test(a_failure_is_made_short),
        cmocka_unit_test(a_failure_of_a_run_needs_few_tasks),
        cmocka_unit_test(making_short_is_ended_early),
    };

    log_setup(LOG_ERROR + 1, LOG_PLAIN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
