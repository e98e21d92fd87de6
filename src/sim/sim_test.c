/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/log.h"

#define SEEDS 12 /* of each profile */

static void run(const struct sim_options *o, struct sim_result *r)
{
    sim_run(o, r);
    if (r->check)
        fail_msg("%s, seed %" PRIu64 ": %s: %s", o->profile.name, o->seed, r->check, r->text);
}

static void every_profile_comes_to_rest(void **state)
{
    (void)state;
    for (const struct sim_profile *p = sim_profiles; p->name; p++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct sim_result r;

            run(&(struct sim_options){.seed = seed, .profile = *p}, &r);
            assert_true(r.steps > 500 && r.coverage.commits > 100);
            sim_result_clear(&r);
        }
}

/* Within this program, with whatever the first history has left in memory; .ci/run compares the
 * transcripts of two compilers, with sanitizers and without. */
static void one_seed_is_one_history(void **state)
{
    (void)state;
    for (uint64_t seed = 7; seed < 10; seed++) {
        const struct sim_options o = {
            .seed = seed, .profile = *sim_profile("storm"), .hashed = true};
        struct sim_result first, second;

        run(&o, &first);
        run(&o, &second);
        assert_true(first.hash == second.hash && first.steps == second.steps);
        sim_result_clear(&first);
        sim_result_clear(&second);
    }
}

/* What is named goes wrong, and nothing else. */
static void faults_can_be_left_out(void **state)
{
    struct sim_options o = {.seed = 3, .profile = *sim_profile("storm")};
    struct sim_result all, one;

    (void)state;
    run(&o, &all);
    assert_true(all.faults_n > 10);
    o.only = true;
    o.left = all.faults;
    o.left_n = 1;
    run(&o, &one);
    assert_int_equal(one.faults_n, 1);
    assert_true(one.faults[0].whose == all.faults[0].whose &&
                one.faults[0].number == all.faults[0].number);
    sim_result_clear(&all);
    sim_result_clear(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_profile_comes_to_rest),
        cmocka_unit_test(one_seed_is_one_history),
        cmocka_unit_test(faults_can_be_left_out),
    };

    log_setup(LOG_ERROR, LOG_PLAIN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
