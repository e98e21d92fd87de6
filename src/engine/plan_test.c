/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: what is written, what waits for what, and how it ends. */
#include "base/buf.h"
#include "engine/change.h"
#include "engine/engine_testing.h"
#include "engine/plan.h"

#define NAMES_MAX 8

static int64_t create(struct world *w)
{
    struct run_row run;

    DO(w, plan_create(&w->tx, &(struct plan_create){0}, &run));
    return run.id;
}

/* A list of names in one text, by blanks. */
static size_t split(struct world *w, const char *text, struct str **ret)
{
    struct str rest = str_of(text);
    size_t n = 0, end;

    *ret = ARENA_ARRAY(&w->arena, struct str, NAMES_MAX);
    while (rest.n) {
        if (!str_find(rest, ' ', &end))
            end = rest.n;
        (*ret)[n++] = str_sub(rest, 0, end);
        rest = end < rest.n ? str_sub(rest, end + 1, rest.n) : STR("");
    }
    return n;
}

static struct plan_group *group(struct world *w, enum group_rule rule, int64_t need,
                                const char *from)
{
    struct plan_group *g = ARENA_NEW(&w->arena, struct plan_group);
    struct str *names;

    *g = (struct plan_group){.rule = rule, .need = need};
    g->from_n = split(w, from, &names);
    g->from = names;
    return g;
}

/* A stage that is claimed from the run, after these, for these checks. */
static struct plan_stage stage(struct world *w, const char *name, const char *after,
                               const char *checks)
{
    struct plan_stage s = {.name = str_of(name), .has_groups = true, .has_assignments = true};
    struct plan_assignment *as = ARENA_ARRAY(&w->arena, struct plan_assignment, NAMES_MAX);
    struct str *names;

    if (*after) {
        s.groups = group(w, GROUP_ALL_SUCCESS, 0, after);
        s.groups_n = 1;
    }
    s.assignments_n = split(w, checks, &names);
    for (size_t i = 0; i < s.assignments_n; i++)
        as[i] = (struct plan_assignment){.check = names[i]};
    s.assignments = as;
    return s;
}

static struct plan_check check(struct world *w, const char *name, const char *after)
{
    struct plan_check c = {.name = str_of(name), .has_groups = true};

    if (*after) {
        c.groups = group(w, GROUP_ALL_SUCCESS, 0, after);
        c.groups_n = 1;
    }
    return c;
}

static struct plan_written write_all(struct world *w, int64_t run, const struct plan_check *checks,
                                     size_t checks_n, const struct plan_stage *stages,
                                     size_t stages_n)
{
    const struct plan_write req = {
        .run = run,
        .checks = checks,
        .checks_n = checks_n,
        .stages = stages,
        .stages_n = stages_n,
    };
    struct plan_written reply;

    DO(w, plan_write(&w->tx, &req, &reply));
    return reply;
}

static void write_stage(struct world *w, int64_t run, struct plan_stage s)
{
    write_all(w, run, NULL, 0, &s, 1);
}

static void write_check(struct world *w, int64_t run, struct plan_check c)
{
    write_all(w, run, &c, 1, NULL, 0);
}

static enum run_state seal(struct world *w, int64_t run)
{
    struct run_row row;

    DO(w, plan_seal(&w->tx, &run, &row));
    return row.state;
}

static enum run_state state_of(struct world *w, int64_t run)
{
    return world_look(w, run).run.state;
}

static const char *state_name(struct world *w, int64_t run, const char *name)
{
    return task_state_text(world_task(w, run, name).task.state).p;
}

/* Take a READY stage and start it, as granting does. */
static int take(struct tx *tx, int64_t worker, const struct task_which *which,
                struct task_lease *ret)
{
    struct task_details d;
    struct task_row row;
    struct change c;
    struct rows rows;
    int64_t token;
    int r = task_get(tx, which, &d);

    if (!r)
        r = store_ids(tx->store, 1, &token);
    if (!r)
        r = STORE_DO(tx->store, STMT_task_lock, tx->arena, &rows, INT(d.task.id));
    if (!r)
        r = row_task(tx, &rows, 0, &row);
    if (r)
        return r;
    assert_int_equal(row.task.state, TASK_READY);
    change_init(&c, tx);
    assert_int_equal(change_take(&c, &row, token, worker, 0), 0);
    *ret = (struct task_lease){.task = row.id, .token = token, .attempt = row.task.attempts};
    return change_write(&c);
}

static struct task_lease take_stage(struct world *w, int64_t run, const char *name)
{
    struct task_lease l;

    if (!w->worker)
        world_join(w, 100);
    DO(w, take(&w->tx, w->worker, &(struct task_which){.run = run, .name = str_of(name)}, &l));
    return l;
}

static enum code end(struct world *w, const struct task_lease *l, enum outcome o,
                     const struct check_update *updates, size_t n)
{
    const struct task_result result = {
        .lease = {l->task, l->token},
        .outcome = o,
        .reason = o == OUTCOME_FAILED ? TASK_REASON_WORKER_ERROR : TASK_REASON_NONE,
        .exit_code = -1,
        .checks = updates,
        .checks_n = n,
    };
    struct task_codes codes;

    DO(w, task_complete(&w->tx, &(struct task_complete){&result, 1}, &codes));
    return codes.list[0];
}

static void do_stage(struct world *w, int64_t run, const char *name, enum outcome o)
{
    struct task_lease l = take_stage(w, run, name);

    assert_int_equal(end(w, &l, o, NULL, 0), CODE_OK);
}

static int write_one(struct world *w, int64_t run, const struct plan_stage *s)
{
    struct plan_written reply;

    return plan_write(&w->tx, &(struct plan_write){.run = run, .stages = s, .stages_n = 1}, &reply);
}

#define CHECK_STATE(w, run, name, state) assert_string_equal(state_name(w, run, name), state)

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

/* D-27. */
static void a_diamond(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    const struct plan_stage stages[] = {
        stage(w, "d", "b c", ""),
        stage(w, "a", "", ""),
        stage(w, "b", "a", ""),
        stage(w, "c", "a", ""),
    };
    struct plan_written reply = write_all(w, run, NULL, 0, stages, 4);

    assert_int_equal(reply.stages[0].state, TASK_BLOCKED);
    assert_int_equal(reply.stages[1].state, TASK_READY);
    CHECK_TEXT(reply.stages[1].name, "a");
    assert_int_equal(reply.stages[1].version, 1);
    assert_int_equal(seal(w, run), RUN_RUNNING);
    world_healthy(w);
    do_stage(w, run, "a", OUTCOME_SUCCEEDED);
    do_stage(w, run, "c", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "d", "BLOCKED");
    do_stage(w, run, "b", OUTCOME_SUCCEEDED);
    do_stage(w, run, "d", OUTCOME_SUCCEEDED);
    assert_int_equal(state_of(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* D-28: strictly one after the other, through the check that each answers; D-58. */
static void a_chain_of_checks(void **state)
{
    enum { N = 5 };
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_check checks[N];
    struct plan_stage stages[N];

    for (int i = 0; i < N; i++) {
        const char *k = str_printf(&w->arena, "k%d", i).p;

        checks[i] = check(w, k, "");
        stages[i] = stage(w, str_printf(&w->arena, "s%d", i).p,
                          i ? str_printf(&w->arena, "k%d", i - 1).p : "", k);
    }
    write_all(w, run, checks, N, stages, N);
    seal(w, run);
    for (int i = 0; i < N; i++) {
        const struct check_update yes = {.check = checks[i].name, .finalize = true};
        struct task_lease l;

        for (int j = i + 1; j < N; j++)
            CHECK_STATE(w, run, stages[j].name.p, "BLOCKED");
        l = take_stage(w, run, stages[i].name.p);
        assert_int_equal(end(w, &l, OUTCOME_SUCCEEDED, &yes, 1), CODE_OK);
    }
    assert_int_equal(state_of(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* D-29, D-03: a source, four at once, one check that all of them answer, a sink. */
static void fan_out_and_in(void **state)
{
    static const char *const middle[] = {"a", "b", "c", "d"};
    struct world *w = world(state);
    int64_t run = create(w);
    const struct plan_check k = check(w, "k", "source");
    const struct check_update yes = {.check = STR("k")};
    const struct plan_stage stages[] = {
        stage(w, "sink", "k", ""),    stage(w, "source", "", ""),   stage(w, "a", "source", "k"),
        stage(w, "b", "source", "k"), stage(w, "c", "source", "k"), stage(w, "d", "source", "k"),
    };

    write_all(w, run, &k, 1, stages, ROWS_N(stages));
    do_stage(w, run, "source", OUTCOME_SUCCEEDED);
    for (size_t i = 0; i < ROWS_N(middle); i++) {
        struct task_lease l = take_stage(w, run, middle[i]);

        CHECK_STATE(w, run, "k", "READY");
        CHECK_STATE(w, run, "sink", "BLOCKED");
        assert_int_equal(end(w, &l, OUTCOME_SUCCEEDED, &yes, 1), CODE_OK);
    }
    CHECK_STATE(w, run, "k", "SUCCEEDED");
    assert_int_equal(world_task(w, run, "k").task.plan->results_n, 4);
    do_stage(w, run, "sink", OUTCOME_SUCCEEDED);
    assert_int_equal(seal(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* A stage that is assigned after the others have ended opens the question again. */
static void another_stage_may_answer(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_check k = check(w, "k", "");
    struct retry_policy once = retry_default();
    struct plan_stage s = stage(w, "first", "", "k");
    const struct check_update yes = {.check = STR("k")};
    struct task_lease l;

    once.max_attempts = 1;
    s.retry = &once;
    write_all(w, run, &k, 1, &s, 1);
    do_stage(w, run, "first", OUTCOME_FAILED);
    CHECK_STATE(w, run, "k", "READY");
    write_stage(w, run, stage(w, "second", "", "k"));
    world_healthy(w);
    seal(w, run);
    CHECK_STATE(w, run, "k", "READY");
    l = take_stage(w, run, "second");
    assert_int_equal(end(w, &l, OUTCOME_SUCCEEDED, &yes, 1), CODE_OK);
    CHECK_STATE(w, run, "k", "SUCCEEDED");
    assert_int_equal(state_of(w, run), RUN_FAILED);
    world_healthy(w);
}

/* A final result that comes while the check waits for others is kept for when it does not. */
static void a_result_may_come_early(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    const struct check_update yes = {.finalize = true};
    struct plan_check k = check(w, "k", "a");

    k.result = &yes;
    write_check(w, run, k);
    CHECK_STATE(w, run, "k", "BLOCKED");
    write_stage(w, run, stage(w, "a", "", ""));
    do_stage(w, run, "a", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "k", "SUCCEEDED");
    world_healthy(w);
}

/* Of k-of-n, what failed is not among those that met it; what is written later counts at once. */
static void at_least_two_of_three(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct retry_policy once = retry_default();
    struct plan_stage stages[] = {stage(w, "a", "", ""), stage(w, "b", "", ""),
                                  stage(w, "c", "", ""), stage(w, "d", "", "")};

    once.max_attempts = 1;
    stages[0].retry = &once;
    stages[3].groups = group(w, GROUP_AT_LEAST, 2, "a b c");
    stages[3].groups_n = 1;
    write_all(w, run, NULL, 0, stages, 4);
    do_stage(w, run, "a", OUTCOME_FAILED);
    do_stage(w, run, "c", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "d", "BLOCKED");
    do_stage(w, run, "b", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "d", "READY");
    CHECK_TEXT(world_task(w, run, "d").groups[0].satisfied, "[\"b\",\"c\"]");
    stages[3].name = STR("e");
    write_stage(w, run, stages[3]);
    CHECK_STATE(w, run, "e", "READY");
    CHECK_TEXT(world_task(w, run, "e").groups[0].satisfied, "[\"b\",\"c\"]");
    write_stage(w, run, stage(w, "f", "a", ""));
    CHECK_STATE(w, run, "f", "SKIPPED");
    CHECK_TEXT(world_task(w, run, "f").task.detail, "a is FAILED");
    world_healthy(w);
}

static void a_plan_is_not_retried(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct run_retry_reply retried;
    struct task_details d;

    write_check(w, run, check(w, "k", ""));
    assert_int_equal(seal(w, run), RUN_FAILED);
    REFUSED(w, run_retry(&w->tx, &run, &retried), CODE_INVALID);
    REFUSED(w, task_requeue(&w->tx, &(struct task_which){.run = run, .name = STR("k")}, &d),
            CODE_INVALID);
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
    int64_t run = create(w);
    struct plan_check k = check(w, "k", "");
    struct plan_stage s = stage(w, "s", "", "");

    write_all(w, run, &k, 1, &s, 1);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct plan_stage bad = rows[i].stage;

        w->row = rows[i].name;
        bad.has_groups = bad.has_assignments = true;
        if (!bad.name.p)
            bad.name = STR("");
        REFUSED(w, write_one(w, run, &bad), rows[i].code);
    }
    REFUSED(w, write_one(w, 99999, &s), CODE_RUN_NOT_FOUND);
    assert_int_equal(world_look(w, run).tasks_n, 2);
}

/* A demand is the head of an index, in which Postgres takes no long text: one that is too long is
 * told so when it is written, and not when the stage is READY. */
static void a_demand_has_a_size(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_stage s = stage(w, "s", "first", "");
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
    REFUSED(w, write_one(w, run, &s), CODE_TOO_LARGE);
    s.labels.n = 9;
    write_stage(w, run, s);
    write_stage(w, run, stage(w, "first", "", ""));
    do_stage(w, run, "first", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "s", "READY");
    world_healthy(w);
}

/* D-33: any one of two is enough, it is said which, and the other is not needed any more. */
static void one_of_two(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_stage stages[] = {stage(w, "a", "", ""), stage(w, "b", "", ""),
                                  stage(w, "c", "", "")};
    struct plan_group *g = group(w, GROUP_ONE_SUCCESS, 0, "a b");
    struct task_details d;

    g->cancel_rest = true;
    stages[2].groups = g;
    stages[2].groups_n = 1;
    write_all(w, run, NULL, 0, stages, 3);
    do_stage(w, run, "b", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "c", "READY");
    CHECK_STATE(w, run, "a", "CANCELLED");
    d = world_task(w, run, "c");
    CHECK_TEXT(d.groups[0].satisfied, "[\"b\"]");
    do_stage(w, run, "c", OUTCOME_SUCCEEDED);
    assert_int_equal(seal(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* The same where the group is met when it is written: what is not needed any more may run, wait for
 * something, or come with the same write. */
static void one_that_sufficed_before(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_stage stages[] = {stage(w, "new", "", ""), stage(w, "e", "", "")};
    struct plan_group *g = group(w, GROUP_ONE_SUCCESS, 0, "a b c d new");
    struct task_lease l;
    struct task_details d;

    write_stage(w, run, stage(w, "a", "", ""));
    write_stage(w, run, stage(w, "b", "", ""));
    write_stage(w, run, stage(w, "c", "late", ""));
    write_stage(w, run, stage(w, "d", "", ""));
    do_stage(w, run, "a", OUTCOME_SUCCEEDED);
    l = take_stage(w, run, "d");
    g->cancel_rest = true;
    stages[1].groups = g;
    stages[1].groups_n = 1;
    write_all(w, run, NULL, 0, stages, 2);
    CHECK_STATE(w, run, "b", "CANCELLED");
    CHECK_STATE(w, run, "c", "CANCELLED");
    CHECK_STATE(w, run, "new", "CANCELLED");
    assert_true(world_task(w, run, "d").task.cancel);
    d = world_task(w, run, "e");
    assert_int_equal(d.task.state, TASK_READY);
    CHECK_TEXT(d.groups[0].satisfied, "[\"a\"]");
    assert_int_equal(end(w, &l, OUTCOME_CANCELLED, NULL, 0), CODE_OK);
    do_stage(w, run, "e", OUTCOME_SUCCEEDED);
    seal(w, run);
    world_healthy(w);
}

/* A stage that is to be written is waited for, until the run is sealed. */
static void late_binding(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);

    write_stage(w, run, stage(w, "b", "a", ""));
    write_stage(w, run, stage(w, "y", "x", ""));
    write_stage(w, run, stage(w, "z", "y", ""));
    CHECK_STATE(w, run, "b", "BLOCKED");
    world_healthy(w);
    write_stage(w, run, stage(w, "a", "", ""));
    do_stage(w, run, "a", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "b", "READY");
    assert_int_equal(seal(w, run), RUN_RUNNING);
    CHECK_STATE(w, run, "y", "SKIPPED");
    CHECK_STATE(w, run, "z", "SKIPPED");
    CHECK_TEXT(world_task(w, run, "y").task.detail, "x was never written");
    do_stage(w, run, "b", OUTCOME_SUCCEEDED);
    assert_int_equal(state_of(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* what has started stays as it is; what waits may be written anew. */
static void editing(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_stage a = stage(w, "a", "", ""), b = stage(w, "b", "a", "");

    write_stage(w, run, a);
    write_stage(w, run, b);
    write_stage(w, run, b);
    assert_int_equal(world_task(w, run, "b").task.version, 1);
    b = stage(w, "b", "a c", "");
    write_stage(w, run, b);
    assert_true(world_task(w, run, "b").task.version > 1);
    world_healthy(w);
    take_stage(w, run, "a");
    write_stage(w, run, a);
    a.args = STR("{\"x\":1}");
    REFUSED(w, write_one(w, run, &a), CODE_TASK_STARTED);
    b = stage(w, "b", "", "");
    write_stage(w, run, b);
    CHECK_STATE(w, run, "b", "READY");
    world_healthy(w);
}

static void cycles(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_stage s = stage(w, "a", "a", "");
    struct plan_written reply;
    struct plan_check c = check(w, "k", "b");
    struct plan_stage answers = stage(w, "b", "", "k");
    const struct plan_write both = {
        .run = run, .checks = &c, .checks_n = 1, .stages = &answers, .stages_n = 1};

    REFUSED(w, write_one(w, run, &s), CODE_CYCLE);
    write_stage(w, run, stage(w, "x", "y", ""));
    write_stage(w, run, stage(w, "z", "x", ""));
    s = stage(w, "y", "z", "");
    REFUSED(w, write_one(w, run, &s), CODE_CYCLE);
    write_stage(w, run, stage(w, "y", "", ""));
    s = stage(w, "y", "z", "");
    REFUSED(w, write_one(w, run, &s), CODE_TASK_STARTED);
    DO(w, plan_write(&w->tx, &both, &reply));
    answers = stage(w, "c", "k", "k");
    REFUSED(w, write_one(w, run, &answers), CODE_CYCLE);
    world_healthy(w);
}

/* What an edit takes away closes no cycle with what the same write adds. */
static void edges_that_leave_make_no_cycle(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_stage turned[] = {stage(w, "a", "late", ""), stage(w, "b", "a", "")};
    struct plan_stage freed[] = {stage(w, "c", "", ""), stage(w, "d", "c", "")};

    write_stage(w, run, stage(w, "a", "b", ""));
    write_stage(w, run, stage(w, "b", "late", ""));
    write_all(w, run, NULL, 0, turned, 2);
    write_stage(w, run, stage(w, "c", "d", ""));
    write_all(w, run, NULL, 0, freed, 2);
    CHECK_STATE(w, run, "c", "READY");
    CHECK_STATE(w, run, "d", "BLOCKED");
    write_stage(w, run, stage(w, "late", "", ""));
    do_stage(w, run, "late", OUTCOME_SUCCEEDED);
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
    int64_t run = create(w);
    struct plan_stage first = stage(w, "a", "b", ""), second = stage(w, "b", "a", "");
    const struct plan_write late = {.run = run, .stages = &second, .stages_n = 1};
    struct plan_written reply;

    STORE_OK(w->store, world_begin(w));
    assert_int_equal(write_one(w, run, &first), 0);
    assert_int_equal(world_meet(w, write_late, &late, &reply), CODE_CYCLE);
    world_healthy(w);
}

/* D-48: nothing of a write with an old version is written. */
static void versions(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_stage s = stage(w, "new", "", "");
    struct plan_expect expect[] = {
        {STR("a"), 1},
        {STR("b"), 0}
    };
    struct plan_write req = {
        .run = run, .stages = &s, .stages_n = 1, .expect = expect, .expect_n = 2};
    struct plan_written reply;
    struct task_details d;

    write_stage(w, run, stage(w, "a", "", ""));
    take_stage(w, run, "a");
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
    int64_t run = create(w);
    struct plan_stage s = stage(w, "b", "", "");

    write_stage(w, run, stage(w, "a", "", ""));
    seal(w, run);
    REFUSED(w, write_one(w, run, &s), CODE_RUN_SEALED);
    do_stage(w, run, "a", OUTCOME_SUCCEEDED);
    assert_int_equal(state_of(w, run), RUN_SUCCEEDED);
    REFUSED(w, write_one(w, run, &s), CODE_RUN_ENDED);
    assert_int_equal(seal(w, create(w)), RUN_SUCCEEDED);
    world_healthy(w);
}

static void cancelling_seals(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w), empty = create(w);
    struct run_row row;

    write_stage(w, run, stage(w, "a", "x", ""));
    DO(w, run_cancel(&w->tx, &run, &row));
    assert_int_equal(row.state, RUN_CANCELLED);
    DO(w, run_cancel(&w->tx, &empty, &row));
    assert_int_equal(row.state, RUN_CANCELLED);
    assert_false(row.growing);
    world_healthy(w);
}

/* A check moves on when nobody is left to answer it. */
static void checks_are_concluded(void **state)
{
    static const struct check_update yes =
                                         {
                                             .data = {"1", 1}
    },
                                     no = {.failed = true};
    static const struct {
        const char *name;
        const struct check_update *result; /* NULL: none */
        bool finalize, sealed;
        enum outcome outcome; /* of the one stage that is assigned */
        const char *state, *reason;
    } rows[] = {
        {"a result",                        &yes, false, false, OUTCOME_SUCCEEDED, "SUCCEEDED", ""            },
        {"a failure",                       &no,  false, false, OUTCOME_SUCCEEDED, "FAILED",    "check_failed"},
        {"none",                            NULL, false, false, OUTCOME_SUCCEEDED, "FAILED",    "no_result"   },
        {"the stage failed, and it grows",  NULL, false, false, OUTCOME_FAILED,    "READY",
         "waiting_for_results"                                                                                },
        {"the stage failed, and no more",   NULL, false, true,  OUTCOME_FAILED,    "FAILED",    "no_result"   },
        {"a result of a stage that failed", &yes, false, true,  OUTCOME_FAILED,    "SUCCEEDED", ""            },
        {"a final result",                  &yes, true,  false, OUTCOME_FAILED,    "SUCCEEDED", ""            },
        {"a final failure",                 &no,  true,  false, OUTCOME_SUCCEEDED, "FAILED",    "check_failed"},
    };
    struct world *w = world(state);

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct retry_policy once = retry_default();
        int64_t run = create(w);
        struct plan_check c = check(w, "k", "");
        struct plan_stage s = stage(w, "s", "", "k");
        struct check_update update = {0};
        struct task_lease l;
        struct task_details d;

        w->row = rows[i].name;
        once.max_attempts = 1;
        s.retry = &once;
        write_all(w, run, &c, 1, &s, 1);
        CHECK_STATE(w, run, "k", "READY");
        if (rows[i].sealed)
            seal(w, run);
        l = take_stage(w, run, "s");
        if (rows[i].result)
            update = *rows[i].result;
        update.check = STR("k");
        update.finalize = rows[i].finalize;
        assert_int_equal(end(w, &l, rows[i].outcome, &update, rows[i].result != NULL), CODE_OK);
        d = world_task(w, run, "k");
        CHECK_ROW(rows[i].name, str_eq(task_state_text(d.task.state), str_of(rows[i].state)));
        CHECK_ROW(rows[i].name, str_eq(d.task.reason, str_of(rows[i].reason)));
        CHECK_ROW(rows[i].name, d.task.plan->results_n == (rows[i].result != NULL));
        if (rows[i].result)
            CHECK_TEXT(d.task.plan->results[0].owner, "s:1");
        world_healthy(w);
    }
}

/* D-46, D-38: said twice is said once; what the first says of checks and lets go is one step. */
static void results_come_with_the_end(void **state)
{
    static const struct check_update updates[] = {
        {.check = {"k", 1}, .data = {"1", 1}, .finalize = true},
        {.check = {"l", 1}, .data = {"2", 1}, .finalize = true},
    };
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_check checks[] = {check(w, "k", ""), check(w, "l", "")};
    struct plan_stage stages[] = {stage(w, "s", "", "k l"), stage(w, "t", "k", ""),
                                  stage(w, "u", "", "")};
    struct check_update other = updates[0];
    struct task_lease l, m;

    write_all(w, run, checks, 2, stages, 3);
    l = take_stage(w, run, "s");
    m = take_stage(w, run, "u");
    assert_int_equal(end(w, &l, OUTCOME_SUCCEEDED, updates, 2), CODE_OK);
    CHECK_STATE(w, run, "k", "SUCCEEDED");
    CHECK_STATE(w, run, "l", "SUCCEEDED");
    CHECK_STATE(w, run, "t", "READY");
    assert_int_equal(end(w, &l, OUTCOME_SUCCEEDED, updates, 2), CODE_OK);
    other.data = STR("3");
    assert_int_equal(end(w, &l, OUTCOME_SUCCEEDED, &other, 1), CODE_COMPLETION_CONFLICT);
    assert_int_equal(end(w, &m, OUTCOME_SUCCEEDED, &other, 1), CODE_CHECK_FINAL);
    other.check = STR("nobody");
    assert_int_equal(end(w, &m, OUTCOME_SUCCEEDED, &other, 1), CODE_TASK_NOT_FOUND);
    CHECK_STATE(w, run, "u", "RUNNING");
    assert_int_equal(world_task(w, run, "k").task.plan->results_n, 1);
    world_healthy(w);
}

static void results_are_written_from_outside(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    const struct check_update result = {
        .data = {"true", 4},
          .finalize = true
    };
    struct plan_check c = check(w, "k", "");
    const struct plan_write req = {.run = run, .checks = &c, .checks_n = 1};
    struct plan_written reply;
    struct task_details d;

    write_check(w, run, c);
    c = (struct plan_check){.name = STR("k"), .result = &result, .owner = STR("me")};
    DO(w, plan_write(&w->tx, &req, &reply));
    assert_int_equal(reply.checks[0].state, TASK_SUCCEEDED);
    assert_int_equal(reply.checks[0].plan->check_state, PLAN_FINAL);
    d = world_task(w, run, "k");
    CHECK_TEXT(d.task.plan->results[0].owner, "me");
    REFUSED(w, plan_write(&w->tx, &req, &reply), CODE_CHECK_FINAL);
    world_healthy(w);
}

/* A check that is edited waits for its planners, or for a word. */
static void planning(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_check checks[] = {check(w, "k", ""), check(w, "l", "")};
    struct plan_stage s = stage(w, "planner", "", "");
    const struct plan_assignment goal = {.check = STR("k"), .planned = true};
    struct plan_check c;

    checks[0].planning = checks[1].planning = true;
    s.assignments = &goal;
    s.assignments_n = 1;
    write_all(w, run, checks, 2, &s, 1);
    assert_int_equal(world_task(w, run, "k").task.plan->check_state, PLAN_PLANNING);
    CHECK_TEXT(world_task(w, run, "k").task.reason, "being_planned");
    c = check(w, "l", "x");
    c.planned = true;
    write_check(w, run, c);
    CHECK_TEXT(world_task(w, run, "l").task.reason, "waiting_for_dependencies");
    assert_int_equal(world_task(w, run, "l").task.plan->check_state, PLAN_PLANNED);
    do_stage(w, run, "planner", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "k", "READY");
    assert_int_equal(world_task(w, run, "k").task.plan->check_state, PLAN_WAITING);
    world_healthy(w);
    assert_int_equal(seal(w, run), RUN_FAILED);
    world_healthy(w);
}

/* what a stage adds while it runs ends before it. */
static void stages_that_add_stages(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_stage child = stage(w, "child", "", "");
    struct plan_write req = {.run = run, .stages = &child, .stages_n = 1};
    struct plan_written reply;
    struct task_lease l;

    write_stage(w, run, stage(w, "parent", "", ""));
    write_stage(w, run, stage(w, "after", "parent", ""));
    l = take_stage(w, run, "parent");
    req.writer = (struct lease_ref){l.task, l.token};
    DO(w, plan_write(&w->tx, &req, &reply));
    CHECK_TEXT(reply.stages[0].plan->parent_name, "parent");
    world_healthy(w);
    assert_int_equal(end(w, &l, OUTCOME_SUCCEEDED, NULL, 0), CODE_OK);
    CHECK_STATE(w, run, "parent", "AWAITING");
    CHECK_STATE(w, run, "after", "BLOCKED");
    child.name = STR("late");
    REFUSED(w, plan_write(&w->tx, &req, &reply), CODE_LEASE_LOST);
    seal(w, run);
    world_healthy(w);
    do_stage(w, run, "child", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "parent", "SUCCEEDED");
    do_stage(w, run, "after", OUTCOME_SUCCEEDED);
    assert_int_equal(state_of(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

static void what_awaits_is_cancelled_with_its_run(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_stage child = stage(w, "child", "", "");
    struct plan_write req = {.run = run, .stages = &child, .stages_n = 1};
    struct plan_written reply;
    struct task_lease l;
    struct run_row row;

    write_stage(w, run, stage(w, "parent", "", ""));
    l = take_stage(w, run, "parent");
    req.writer = (struct lease_ref){l.task, l.token};
    DO(w, plan_write(&w->tx, &req, &reply));
    end(w, &l, OUTCOME_SUCCEEDED, NULL, 0);
    DO(w, run_cancel(&w->tx, &run, &row));
    CHECK_STATE(w, run, "parent", "CANCELLED");
    CHECK_STATE(w, run, "child", "CANCELLED");
    assert_int_equal(row.state, RUN_CANCELLED);
    world_healthy(w);
}

/* What a stage added is awaited by whichever attempt succeeds. */
static void a_later_attempt_awaits_too(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_stage child = stage(w, "child", "", ""), other = stage(w, "other", "", "");
    struct plan_write req = {.run = run, .stages = &child, .stages_n = 1};
    struct plan_stage parent = stage(w, "parent", "", "");
    struct retry_policy at_once = retry_asked();
    struct plan_written reply;
    struct task_lease l;

    at_once.max_attempts = 2;
    at_once.base_us = 0;
    parent.retry = &at_once;
    write_stage(w, run, parent);
    l = take_stage(w, run, "parent");
    req.writer = (struct lease_ref){l.task, l.token};
    DO(w, plan_write(&w->tx, &req, &reply));
    end(w, &l, OUTCOME_FAILED, NULL, 0);
    CHECK_STATE(w, run, "parent", "READY");
    world_healthy(w);
    do_stage(w, run, "child", OUTCOME_SUCCEEDED);
    l = take_stage(w, run, "parent");
    req.writer = (struct lease_ref){l.task, l.token};
    req.stages = &other;
    DO(w, plan_write(&w->tx, &req, &reply));
    end(w, &l, OUTCOME_SUCCEEDED, NULL, 0);
    CHECK_STATE(w, run, "parent", "AWAITING");
    do_stage(w, run, "other", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "parent", "SUCCEEDED");
    world_healthy(w);
}

/* Options of 1 MiB are taken, and pages stay small enough for their readers. */
static void large_options(void **state)
{
    enum { N = 6 };
    struct world *w = world(state);
    int64_t run = create(w), after = 0;
    char *text = arena_alloc(&w->arena, PLAN_ARGS_BYTES_MAX + 1);
    struct plan_check checks[N];
    struct plan_written reply;
    struct plan_page page;
    size_t found = 0;

    memset(text, 'x', PLAN_ARGS_BYTES_MAX + 1);
    text[0] = text[PLAN_ARGS_BYTES_MAX - 1] = '"';
    for (int i = 0; i < N; i++) {
        checks[i] = check(w, str_printf(&w->arena, "k%d", i).p, "");
        checks[i].options = (struct str){text, PLAN_ARGS_BYTES_MAX};
    }
    write_all(w, run, checks, N, NULL, 0);
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
    int64_t run = create(w), other = create(w);
    struct plan_stage child = stage(w, "child", "", "");
    struct plan_written reply;
    struct plan_write req = {.run = other, .stages = &child, .stages_n = 1};
    struct task_lease l;

    write_stage(w, run, stage(w, "a", "", ""));
    l = take_stage(w, run, "a");
    req.writer = (struct lease_ref){l.task, l.token};
    REFUSED(w, plan_write(&w->tx, &req, &reply), CODE_PERMISSION_DENIED);
    child = stage(w, "child", "a", "");
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
    int64_t run = create(w);
    struct plan_check checks[] = {check(w, "k", ""), check(w, "l", "")};
    struct plan_stage stages[] = {stage(w, "a", "", "k"), stage(w, "b", "a", "")};
    const struct worker_label label = {STR("os"), STR("linux")};
    struct plan_page page;

    checks[1].has_kind = true;
    checks[1].kind = STR("t");
    stages[0].type = STR("build");
    stages[0].labels = (struct worker_labels){&label, 1};
    stages[0].async = true;
    write_all(w, run, checks, 2, stages, 2);
    assert_true(w->tx.pushed); /* dispatchers hear of it */
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct str *names, *kinds, *states;
        struct plan_query q = {.run = run, .max = 10};
        struct buf found;

        q.names_n = split(w, rows[i].names, &names);
        q.kinds_n = split(w, rows[i].kinds, &kinds);
        q.states_n = split(w, rows[i].states, &states);
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
    int64_t run = create(w), begun;
    struct plan_written reply;

    for (int i = 0; i < N; i++)
        stages[i] = stage(w, str_printf(&w->arena, "s%d", i).p,
                          i ? str_printf(&w->arena, "s%d", i / 2).p : "", "");
    begun = clock_monotonic();
    reply = write_all(w, run, NULL, 0, stages, N);
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
        ENGINE_TESTS(a_diamond),
        ENGINE_TESTS(a_chain_of_checks),
        ENGINE_TESTS(fan_out_and_in),
        ENGINE_TESTS(another_stage_may_answer),
        ENGINE_TESTS(a_result_may_come_early),
        ENGINE_TESTS(one_of_two),
        ENGINE_TESTS(one_that_sufficed_before),
        ENGINE_TESTS(at_least_two_of_three),
        ENGINE_TESTS(a_plan_is_not_retried),
        ENGINE_TESTS(bad_writes),
        ENGINE_TESTS(late_binding),
        ENGINE_TESTS(editing),
        ENGINE_TESTS(cycles),
        ENGINE_TESTS(edges_that_leave_make_no_cycle),
        ENGINE_TESTS(a_demand_has_a_size),
        ENGINE_TEST(two_writers_make_no_cycle, postgres, postgres),
        ENGINE_TESTS(versions),
        ENGINE_TESTS(a_sealed_run_takes_no_more),
        ENGINE_TESTS(cancelling_seals),
        ENGINE_TESTS(checks_are_concluded),
        ENGINE_TESTS(results_come_with_the_end),
        ENGINE_TESTS(results_are_written_from_outside),
        ENGINE_TESTS(planning),
        ENGINE_TESTS(stages_that_add_stages),
        ENGINE_TESTS(what_awaits_is_cancelled_with_its_run),
        ENGINE_TESTS(a_later_attempt_awaits_too),
        ENGINE_TESTS(large_options),
        ENGINE_TESTS(a_writer_reaches_its_own_run),
        ENGINE_TESTS(queries),
        ENGINE_TESTS(ten_thousand_stages_at_once),
    };

    return ENGINE_MAIN(tests);
}
