/* SPDX-License-Identifier: Apache-2.0 */
/* The store fails at the first, second, … n-th statement of what is done to a plan: nothing of it
 * is left, and it works when the store does. */
#include <errno.h>

#include "base/fault.h"
#include "engine/engine_testing.h"
#include "engine/plan.h"

/* Fails once, after so many statements. */
struct trouble {
    int64_t after; /* 0: at none */
    bool came;
};

static int on_begin(void *context)
{
    (void)context;
    return 0;
}

static int on_statement(void *context)
{
    struct trouble *t = context;

    if (t->after == 0 || --t->after)
        return 0;
    t->came = true;
    return -EIO;
}

static int on_commit(void *context, bool *ret_done)
{
    (void)context;
    *ret_done = true;
    return 0;
}

/* Two checks, one with a result, and a stage that waits for one and answers the other. */
static int write_plan(struct world *w, int64_t run)
{
    const struct check_update result = {.data = STR("1")};
    const struct str names[] = {STR("built")};
    const struct plan_group group = {.rule = GROUP_ALL_SUCCESS, .from = names, .from_n = 1};
    const struct plan_assignment assignment = {.check = STR("tested")};
    const struct plan_check checks[] = {
        {.name = STR("built"), .result = &result},
        {.name = STR("tested")                   },
    };
    const struct plan_stage stage = {
        .name = STR("test"),
        .has_groups = true,
        .groups = &group,
        .groups_n = 1,
        .has_assignments = true,
        .assignments = &assignment,
        .assignments_n = 1,
    };
    const struct plan_write req = {
        .run = run, .checks = checks, .checks_n = 2, .stages = &stage, .stages_n = 1};
    struct plan_written reply;

    return plan_write(&w->tx, &req, &reply);
}

static int seal(struct world *w, int64_t run)
{
    struct run_row row;

    return plan_seal(&w->tx, &run, &row);
}

/* Until it passes untouched. */
static void fail_at_each(struct world *w, struct trouble *t, int (*what)(struct world *, int64_t),
                         int64_t run)
{
    for (int64_t n = 1;; n++) {
        int r;

        STORE_OK(w->store, tx_begin(&w->tx));
        *t = (struct trouble){.after = n};
        r = what(w, run);
        t->after = 0;
        if (!t->came) {
            assert_true(n > 5);
            assert_int_equal(r, 0);
            STORE_OK(w->store, tx_commit(&w->tx));
            return;
        }
        assert_true(r < 0);
        fault_take();
        tx_rollback(&w->tx);
    }
}

static void a_fault_at_every_statement(void **state)
{
    struct trouble t = {0};
    const struct store_faults faults = {&t, on_begin, on_statement, on_commit, NULL};
    const struct store_options memory = {
        .url = STR("sqlite::memory:"), .mode = STORE_WRITE, .faults = &faults};
    struct world w = {0};
    struct run_row run;

    (void)state;
    STORE_OK(w.store, store_open(&memory, &w.store));
    w.tx = (struct tx){.store = w.store, .arena = &w.arena, .prng = &w.prng};
    DO(&w, plan_create(&w.tx, &(struct plan_create){0}, &run));
    fail_at_each(&w, &t, write_plan, run.id);
    fail_at_each(&w, &t, seal, run.id);
    store_free(w.store);
    arena_deinit(&w.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_at_every_statement),
    };

    return ENGINE_MAIN(tests);
}
