/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: what is written, and what is refused. */
#include "base/buf.h"
#include "engine/plan_testing.h"

#define WIDE 600 /* more edges than a write looks at in one direction at first */

static void the_same_request_is_the_same_run(void **state)
{
    struct world *w = world(state);
    struct plan_create req = {.request_id = STR("r1"), .metadata = STR("{\"a\":1}")};
    struct run_row first, again;

    DO(w, plan_create(&w->tx, &req, &first));
    DO(w, plan_create(&w->tx, &req, &again));
    assert_int_equal(first.id, again.id);
    assert_true(first.growing);
    CHECK_TEXT(again.metadata, "{\"a\":1}");
    req.metadata = STR("{}");
    REFUSED(w, plan_create(&w->tx, &req, &again), CODE_REQUEST_CONFLICT);
    world_healthy(w);
}

/* What cannot be meant is refused, and says why. */
static void bad_writes(void **state)
{
    static const struct plan_group empty = {.rule = GROUP_ALL_SUCCESS};
    static const struct str twice[] = {
        {"a", 1},
        {"a", 1}
    };
    static const struct plan_group named_twice = {.from = twice, .from_n = 2};
    static const struct plan_group too_many = {
        .rule = GROUP_AT_LEAST, .need = 2, .from = twice, .from_n = 1};
    static const struct plan_assignment to_nothing = {
        .check = {"nothing", 7}
    };
    static const struct plan_assignment to_stage = {
        .check = {"s", 1}
    };
    static const struct worker_label label = {
        {"a", 1},
        {"b", 1}
    };
    static const struct {
        const char *name;
        struct plan_stage stage;
        enum code code;
    } rows[] = {
        {"no name",                 {.priority = 0},                                     CODE_INVALID},
        {"a line break",            {.name = {"a\nb", 3}},                               CODE_INVALID},
        {"no UTF-8",                {.name = {"\xff", 1}},                               CODE_INVALID},
        {"a check's name",          {.name = {"k", 1}},                                  CODE_INVALID},
        {"labels without a type",   {.name = {"n", 1}, .labels = {&label, 1}},           CODE_INVALID},
        {"a time below zero",       {.name = {"n", 1}, .timeout_us = -1},                CODE_INVALID},
        {"a priority beyond all",   {.name = {"n", 1}, .priority = 1001},                CODE_INVALID},
        {"a group of nothing",      {.name = {"n", 1}, .groups = &empty, .groups_n = 1}, CODE_INVALID},
        {"a name twice in a group",
         {.name = {"n", 1}, .groups = &named_twice, .groups_n = 1},
         CODE_INVALID                                                                                },
        {"more than there are",
         {.name = {"n", 1}, .groups = &too_many, .groups_n = 1},
         CODE_INVALID                                                                                },
        {"assigned to nothing",
         {.name = {"n", 1}, .assignments = &to_nothing, .assignments_n = 1},
         CODE_TASK_NOT_FOUND                                                                         },
        {"assigned to a stage",
         {.name = {"n", 1}, .assignments = &to_stage, .assignments_n = 1},
         CODE_INVALID                                                                                },
    };
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_check k = plans_check(w, "k", "");
    struct plan_stage s = plans_stage(w, "s", "", "");

    plans_write(w, run, &k, 1, &s, 1);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct plan_stage bad = rows[i].stage;

        w->row = rows[i].name;
        bad.has_groups = bad.has_assignments = true;
        if (!bad.name.p)
            bad.name = STR("");
        REFUSED(w, plans_try(w, run, &bad), rows[i].code);
    }
    REFUSED(w, plans_try(w, 99999, &s), CODE_RUN_NOT_FOUND);
    assert_int_equal(world_look(w, run).tasks_n, 2);
}

/* A demand is the head of an index, in which Postgres takes no long text: one that is too long is
 * told so when it is written, and not when the stage is READY. */
static void a_demand_has_a_size(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage s = plans_stage(w, "s", "first", "");
    struct worker_label labels[PLAN_LABELS_MAX];
    uint64_t x = 1;

    s.type = STR("build");
    s.labels = (struct worker_labels){labels, PLAN_LABELS_MAX};
    for (size_t i = 0; i < PLAN_LABELS_MAX; i++) {
        char *value = ARENA_ARRAY(&w->arena, char, WORKER_LABEL_BYTES_MAX);

        for (size_t j = 0; j < WORKER_LABEL_BYTES_MAX; j++) {
            x = x * 6364136223846793005u +
                1442695040888963407u; /* that no store can make shorter */
            value[j] = (char)(' ' + 3 + (x >> 33) % 55);
        }
        labels[i] = (struct worker_label){
            str_printf(&w->arena, "l%zu", i), {value, WORKER_LABEL_BYTES_MAX}
        };
    }
    REFUSED(w, plans_try(w, run, &s), CODE_TOO_LARGE);
    s.labels.n = 9;
    plans_write_stage(w, run, s);
    plans_write_stage(w, run, plans_stage(w, "first", "", ""));
    plans_do(w, run, "first", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "s", "READY");
    world_healthy(w);
}

/* A stage that is to be written is waited for, until the run is sealed. */
static void late_binding(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);

    plans_write_stage(w, run, plans_stage(w, "b", "a", ""));
    plans_write_stage(w, run, plans_stage(w, "y", "x", ""));
    plans_write_stage(w, run, plans_stage(w, "z", "y", ""));
    CHECK_STATE(w, run, "b", "BLOCKED");
    world_healthy(w);
    plans_write_stage(w, run, plans_stage(w, "a", "", ""));
    plans_do(w, run, "a", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "b", "READY");
    assert_int_equal(plans_seal(w, run), RUN_RUNNING);
    CHECK_STATE(w, run, "y", "SKIPPED");
    CHECK_STATE(w, run, "z", "SKIPPED");
    CHECK_TEXT(world_task(w, run, "y").task.detail, "x was never written");
    plans_do(w, run, "b", OUTCOME_SUCCEEDED);
    assert_int_equal(plans_state(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* what has started stays as it is; what waits may be written anew. */
static void editing(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage a = plans_stage(w, "a", "", ""), b = plans_stage(w, "b", "a", "");

    plans_write_stage(w, run, a);
    plans_write_stage(w, run, b);
    plans_write_stage(w, run, b);
    assert_int_equal(world_task(w, run, "b").task.version, 1);
    b = plans_stage(w, "b", "a c", "");
    plans_write_stage(w, run, b);
    assert_true(world_task(w, run, "b").task.version > 1);
    world_healthy(w);
    plans_take(w, run, "a");
    plans_write_stage(w, run, a);
    a.args = STR("{\"x\":1}");
    REFUSED(w, plans_try(w, run, &a), CODE_TASK_STARTED);
    b = plans_stage(w, "b", "", "");
    plans_write_stage(w, run, b);
    CHECK_STATE(w, run, "b", "READY");
    world_healthy(w);
}

static void cycles(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage s = plans_stage(w, "a", "a", "");
    struct plan_written reply;
    struct plan_check c = plans_check(w, "k", "b");
    struct plan_stage answers = plans_stage(w, "b", "", "k");
    const struct plan_write both = {
        .run = run, .checks = &c, .checks_n = 1, .stages = &answers, .stages_n = 1};

    REFUSED(w, plans_try(w, run, &s), CODE_CYCLE);
    plans_write_stage(w, run, plans_stage(w, "x", "y", ""));
    plans_write_stage(w, run, plans_stage(w, "z", "x", ""));
    s = plans_stage(w, "y", "z", "");
    REFUSED(w, plans_try(w, run, &s), CODE_CYCLE);
    plans_write_stage(w, run, plans_stage(w, "y", "", ""));
    s = plans_stage(w, "y", "z", "");
    REFUSED(w, plans_try(w, run, &s), CODE_TASK_STARTED);
    DO(w, plan_write(&w->tx, &both, &reply));
    answers = plans_stage(w, "c", "k", "k");
    REFUSED(w, plans_try(w, run, &answers), CODE_CYCLE);
    world_healthy(w);
}

/* Many stages that wait for `from`, and one that waits for all of them. */
static void write_wide(struct world *w, int64_t run, const char *from, const char *prefix,
                       const char *last)
{
    struct plan_stage stages[WIDE + 1];
    struct str names[WIDE];
    const struct plan_group all = {.rule = GROUP_ALL_SUCCESS, .from = names, .from_n = WIDE};

    for (int i = 0; i < WIDE; i++) {
        names[i] = str_printf(&w->arena, "%s%d", prefix, i);
        stages[i] = plans_stage(w, names[i].p, from, "");
    }
    stages[WIDE] = plans_stage(w, last, "", "");
    stages[WIDE].groups = &all;
    stages[WIDE].groups_n = 1;
    plans_write(w, run, NULL, 0, stages, WIDE + 1);
}

/* Whichever side of a write is the large one, or both are. */
static void cycles_in_a_large_plan(void **state)
{
    static const struct {
        const char *after;
        bool cycle;
    } rows[] = {
        {"free", false},
        {"s7",   true },
        {"end",  true },
        {"wide", false},
    };
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_check k = plans_check(w, "k", "");

    plans_write(w, run, &k, 1, NULL, 0);
    plans_write_stage(w, run, plans_stage(w, "free", "", ""));
    write_wide(w, run, "k", "s", "end");
    write_wide(w, run, "free", "t", "wide");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *name = str_printf(&w->arena, "to %s", rows[i].after).p;
        struct plan_stage s = plans_stage(w, name, rows[i].after, "k");

        if (rows[i].cycle)
            REFUSED(w, plans_try(w, run, &s), CODE_CYCLE);
        else
            plans_write_stage(w, run, s);
    }
    world_healthy(w);
}

/* What an edit takes away closes no cycle with what the same write adds. */
static void edges_that_leave_make_no_cycle(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage turned[] = {plans_stage(w, "a", "late", ""), plans_stage(w, "b", "a", "")};
    struct plan_stage freed[] = {plans_stage(w, "c", "", ""), plans_stage(w, "d", "c", "")};

    plans_write_stage(w, run, plans_stage(w, "a", "b", ""));
    plans_write_stage(w, run, plans_stage(w, "b", "late", ""));
    plans_write(w, run, NULL, 0, turned, 2);
    plans_write_stage(w, run, plans_stage(w, "c", "d", ""));
    plans_write(w, run, NULL, 0, freed, 2);
    CHECK_STATE(w, run, "c", "READY");
    CHECK_STATE(w, run, "d", "BLOCKED");
    plans_write_stage(w, run, plans_stage(w, "late", "", ""));
    plans_do(w, run, "late", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "a", "READY");
    CHECK_STATE(w, run, "b", "BLOCKED");
    world_healthy(w);
}

static int write_late(struct tx *tx, const void *req, void *reply)
{
    return plan_write(tx, req, reply);
}

/* Writers of a run take turns: of two that together make a cycle, the second is told. */
static void two_writers_make_no_cycle(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage first = plans_stage(w, "a", "b", ""), second = plans_stage(w, "b", "a", "");
    const struct plan_write late = {.run = run, .stages = &second, .stages_n = 1};
    struct plan_written reply;

    STORE_OK(w->store, world_begin(w));
    assert_int_equal(plans_try(w, run, &first), 0);
    assert_int_equal(world_meet(w, write_late, &late, &reply), CODE_CYCLE);
    world_healthy(w);
}

/* D-48: nothing of a write with an old version is written. */
static void versions(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage s = plans_stage(w, "new", "", "");
    struct plan_expect expect[] = {
        {STR("a"), 1},
        {STR("b"), 0}
    };
    struct plan_write req = {
        .run = run, .stages = &s, .stages_n = 1, .expect = expect, .expect_n = 2};
    struct plan_written reply;
    struct task_details d;

    plans_write_stage(w, run, plans_stage(w, "a", "", ""));
    plans_take(w, run, "a");
    REFUSED(w, plan_write(&w->tx, &req, &reply), CODE_VERSION_CONFLICT);
    assert_int_equal(world_look(w, run).tasks_n, 1);
    d = world_task(w, run, "a");
    expect[0].version = d.task.version;
    DO(w, plan_write(&w->tx, &req, &reply));
    assert_int_equal(reply.stages[0].state, TASK_READY);
    world_healthy(w);
}

static void a_sealed_run_takes_no_more(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage s = plans_stage(w, "b", "", "");

    plans_write_stage(w, run, plans_stage(w, "a", "", ""));
    plans_seal(w, run);
    REFUSED(w, plans_try(w, run, &s), CODE_RUN_SEALED);
    plans_do(w, run, "a", OUTCOME_SUCCEEDED);
    assert_int_equal(plans_state(w, run), RUN_SUCCEEDED);
    REFUSED(w, plans_try(w, run, &s), CODE_RUN_ENDED);
    assert_int_equal(plans_seal(w, plans_create(w)), RUN_SUCCEEDED);
    world_healthy(w);
}

/* Options of 1 MiB are taken, and pages stay small enough for their readers. */
static void large_options(void **state)
{
    enum { N = 6 };
    struct world *w = world(state);
    int64_t run = plans_create(w), after = 0;
    char *text = arena_alloc(&w->arena, PLAN_ARGS_BYTES_MAX + 1);
    struct plan_check checks[N];
    struct plan_written reply;
    struct plan_page page;
    size_t found = 0;

    memset(text, 'x', PLAN_ARGS_BYTES_MAX + 1);
    text[0] = text[PLAN_ARGS_BYTES_MAX - 1] = '"';
    for (int i = 0; i < N; i++) {
        checks[i] = plans_check(w, str_printf(&w->arena, "k%d", i).p, "");
        checks[i].options = (struct str){text, PLAN_ARGS_BYTES_MAX};
    }
    plans_write(w, run, checks, N, NULL, 0);
    do {
        DO(w,
           plan_query(&w->tx, &(struct plan_query){.run = run, .after = after, .max = N}, &page));
        assert_in_range(page.n, 1, 4);
        assert_int_equal(page.list[0].task.plan->options.n, PLAN_ARGS_BYTES_MAX);
        found += page.n;
        after = page.next;
    } while (after);
    assert_int_equal(found, N);
    checks[0].name = STR("larger");
    checks[0].options.n++;
    REFUSED(w,
            plan_write(&w->tx, &(struct plan_write){.run = run, .checks = checks, .checks_n = 1},
                       &reply),
            CODE_TOO_LARGE);
}

static void a_writer_reaches_its_own_run(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w), other = plans_create(w);
    struct plan_stage child = plans_stage(w, "child", "", "");
    struct plan_written reply;
    struct plan_write req = {.run = other, .stages = &child, .stages_n = 1};
    struct task_lease l;

    plans_write_stage(w, run, plans_stage(w, "a", "", ""));
    l = plans_take(w, run, "a");
    req.writer = (struct lease_ref){l.task, l.token};
    REFUSED(w, plan_write(&w->tx, &req, &reply), CODE_PERMISSION_DENIED);
    child = plans_stage(w, "child", "a", "");
    req.run = run;
    REFUSED(w, plan_write(&w->tx, &req, &reply), CODE_CYCLE);
}

static void queries(void **state)
{
    static const struct {
        const char *names, *kinds, *states, *found;
        bool checks, stages;
    } rows[] = {
        {"",    "",  "",        "k l a b ", false, false},
        {"b k", "",  "",        "k b ",     false, false},
        {"",    "t", "",        "l ",       false, false},
        {"",    "",  "READY",   "k l a ",   false, false},
        {"",    "",  "WAITING", "k l ",     false, false},
        {"",    "",  "",        "a b ",     false, true },
        {"",    "",  "BLOCKED", "",         true,  false},
    };
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_check checks[] = {plans_check(w, "k", ""), plans_check(w, "l", "")};
    struct plan_stage stages[] = {plans_stage(w, "a", "", "k"), plans_stage(w, "b", "a", "")};
    const struct worker_label label = {STR("os"), STR("linux")};
    struct plan_page page;

    checks[1].has_kind = true;
    checks[1].kind = STR("t");
    stages[0].type = STR("build");
    stages[0].labels = (struct worker_labels){&label, 1};
    stages[0].async = true;
    plans_write(w, run, checks, 2, stages, 2);
    assert_true(w->tx.pushed); /* dispatchers hear of it */
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct str *names, *kinds, *states;
        struct plan_query q = {.run = run, .max = 10};
        struct buf found;

        q.names_n = plans_names(w, rows[i].names, &names);
        q.kinds_n = plans_names(w, rows[i].kinds, &kinds);
        q.states_n = plans_names(w, rows[i].states, &states);
        q.names = names;
        q.kinds = kinds;
        q.states = states;
        q.only_checks = rows[i].checks;
        q.only_stages = rows[i].stages;
        DO(w, plan_query(&w->tx, &q, &page));
        buf_init(&found, 100);
        for (size_t j = 0; j < page.n; j++)
            buf_printf(&found, STR_FMT " ", STR_ARG(page.list[j].task.name));
        CHECK_TEXT(buf_str(&found), rows[i].found);
        buf_deinit(&found);
    }
    DO(w, plan_query(&w->tx, &(struct plan_query){.run = run, .after = 0, .max = 3}, &page));
    assert_int_equal(page.next, page.list[2].task.id);
    CHECK_TEXT(page.list[2].task.plan->type, "build");
    CHECK_TEXT(page.list[2].task.plan->labels, "{\"os\":\"linux\"}");
    CHECK_TEXT(page.list[2].task.reason, "waiting_for_runner");
    assert_int_equal(page.list[2].task.plan->assignments_n, 1);
    assert_true(page.list[2].task.plan->async);
}

static void ten_thousand_stages_at_once(void **state)
{
    enum { N = 10000 };
    struct world *w = world(state);
    struct plan_stage *stages = ARENA_ARRAY(&w->arena, struct plan_stage, N);
    int64_t run = plans_create(w), begun;
    struct plan_written reply;

    for (int i = 0; i < N; i++)
        stages[i] = plans_stage(w, str_printf(&w->arena, "s%d", i).p,
                                i ? str_printf(&w->arena, "s%d", i / 2).p : "", "");
    begun = clock_monotonic();
    reply = plans_write(w, run, NULL, 0, stages, N);
    print_message("%d stages written in %.3f s\n", N,
                  (double)(clock_monotonic() - begun) / CLOCK_S);
    assert_int_equal(reply.stages[0].state, TASK_READY);
    assert_int_equal(reply.stages[N - 1].state, TASK_BLOCKED);
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(the_same_request_is_the_same_run),
        ENGINE_TESTS(bad_writes),
        ENGINE_TESTS(late_binding),
        ENGINE_TESTS(editing),
        ENGINE_TESTS(cycles),
        ENGINE_TESTS(cycles_in_a_large_plan),
        ENGINE_TESTS(edges_that_leave_make_no_cycle),
        ENGINE_TESTS(a_demand_has_a_size),
        ENGINE_TEST(two_writers_make_no_cycle, postgres, postgres),
        ENGINE_TESTS(versions),
        ENGINE_TESTS(a_sealed_run_takes_no_more),
        ENGINE_TESTS(large_options),
        ENGINE_TESTS(a_writer_reaches_its_own_run),
        ENGINE_TESTS(queries),
        ENGINE_TESTS(ten_thousand_stages_at_once),
    };

    return ENGINE_MAIN(tests);
}
