/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks: leases, completions, retries, and what they leave behind. */
#include "engine/engine_testing.h"

#define ONE       "weft: 1\ntasks:\n  a: {run: [x]}\n"
#define THREE_TRY "weft: 1\ntasks:\n  a: {run: [x], retry: {max_attempts: 3}}\n"

static struct task_codes complete(struct world *w, const struct task_result *list, size_t n)
{
    struct task_codes codes;

    DO(w, task_complete(&w->tx, &(struct task_complete){list, n}, &codes));
    assert_int_equal(codes.n, n);
    return codes;
}

static struct task_codes release(struct world *w, const struct task_lease *l)
{
    const struct lease_ref ref = {l->task, l->token};
    struct task_codes codes;

    DO(w, task_release(&w->tx, &(struct task_release){&ref, 1}, &codes));
    return codes;
}

/* F.4.2: the same completion again is acknowledged, anything else is a conflict. */
static void completion_is_idempotent_and_fenced(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, THREE_TRY);
    struct task_lease first, second;

    world_join(w, 10);
    first = world_claim_one(w, run);
    assert_int_equal(world_complete(w, &first, OUTCOME_FAILED), CODE_OK);
    assert_int_equal(world_complete(w, &first, OUTCOME_FAILED), CODE_OK);
    assert_int_equal(world_complete(w, &first, OUTCOME_SUCCEEDED), CODE_COMPLETION_CONFLICT);
    second = world_claim_one(w, run);
    assert_true(second.token > first.token);
    assert_int_equal(world_complete(w, &first, OUTCOME_SUCCEEDED), CODE_COMPLETION_CONFLICT);
    first.token = second.token + 1000;
    assert_int_equal(world_complete(w, &first, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    first.token = 0;
    assert_int_equal(world_complete(w, &first, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    first = second;
    first.task++;
    assert_int_equal(world_complete(w, &first, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    assert_int_equal(world_complete(w, &second, OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(world_complete(w, &second, OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(world_look(w, run).tasks[0].attempts_n, 2);
    world_healthy(w);
}

/* A worker that was cut off from the store has stopped its task itself: it tries again under the
 * policy for lost attempts. */
static void a_holder_may_say_that_it_lost_the_task(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n");
    struct task_lease l;

    world_join(w, 1);
    l = world_claim_one(w, run);
    assert_int_equal(world_complete(w, &l, OUTCOME_LOST), CODE_OK);
    assert_int_equal(world_complete(w, &l, OUTCOME_LOST), CODE_OK);
    assert_string_equal(world_states(w, run), "R");
    l = world_claim_one(w, run);
    assert_int_equal(l.attempt, 2);
    assert_int_equal(world_complete(w, &l, OUTCOME_SUCCEEDED), CODE_OK);
    world_healthy(w);
}

/* A token twice in one request ends its lease once. */
static void a_batch_may_repeat_a_token(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [a]}\n"
                                 "  c: {run: [x]}\n");
    struct task_leases l;
    struct task_codes codes;

    world_join(w, 10);
    l = world_claim(w, run, 2);
    const struct task_result a =
                                 {
                                     .lease = {l.list[0].task, l.list[0].token},
                                     .outcome = OUTCOME_SUCCEEDED
    },
                             c = {.lease = {l.list[1].task, l.list[1].token},
                                  .outcome = OUTCOME_SUCCEEDED};
    struct task_result other = a;
    other.message = STR("other");
    codes = complete(w, (struct task_result[]){a, c, a, other, c}, 5);
    assert_int_equal(codes.list[0], CODE_OK);
    assert_int_equal(codes.list[1], CODE_OK);
    assert_int_equal(codes.list[2], CODE_OK);
    assert_int_equal(codes.list[3], CODE_COMPLETION_CONFLICT);
    assert_int_equal(codes.list[4], CODE_OK);
    assert_string_equal(world_states(w, run), "SRS");
    world_healthy(w);
}

/* Leases in any order, among them some that have ended. */
static void a_batch_is_answered_in_its_order(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n"
                                 "  c: {run: [x]}\n  d: {run: [x]}\n");
    struct task_result list[4];
    struct task_leases l;
    struct task_codes codes;

    world_join(w, 10);
    l = world_claim(w, run, 4);
    world_complete(w, &l.list[1], OUTCOME_FAILED);
    for (size_t i = 0; i < 4; i++)
        list[i] = (struct task_result){
            .lease = {l.list[3 - i].task, l.list[3 - i].token + (i == 3)},
            .outcome = OUTCOME_SUCCEEDED
        };
    codes = complete(w, list, 4);
    assert_int_equal(codes.list[0], CODE_OK);
    assert_int_equal(codes.list[1], CODE_OK);
    assert_int_equal(codes.list[2], CODE_COMPLETION_CONFLICT);
    assert_int_equal(codes.list[3], CODE_LEASE_LOST);
    assert_string_equal(world_states(w, run), "rFSS");
    world_healthy(w);
}

static void bad_completions_are_refused(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, ONE);
    char *large = arena_alloc(&w->arena, TASK_RESULT_BYTES_MAX + 1);
    struct task_codes codes;
    struct task_lease l;

    memset(large, 'x', TASK_RESULT_BYTES_MAX + 1);
    world_join(w, 1);
    l = world_claim_one(w, run);
    const struct lease_ref lease = {l.task, l.token};
    const struct {
        const char *name;
        struct task_result result;
        enum code code;
    } rows[] = {
        {"no outcome",              {.lease = lease},                                          CODE_INVALID},
        {"large output",
         {.lease = lease,
          .outcome = OUTCOME_SUCCEEDED,
          .output = {large, TASK_RESULT_BYTES_MAX + 1}},
         CODE_TOO_LARGE                                                                                    },
        {"large message",
         {.lease = lease,
          .outcome = OUTCOME_SUCCEEDED,
          .message = {large, TASK_MESSAGE_BYTES_MAX + 1}},
         CODE_TOO_LARGE                                                                                    },
        {"large stderr",
         {.lease = lease,
          .outcome = OUTCOME_FAILED,
          .stderr_tail = {large, TASK_STDERR_BYTES_MAX + 1}},
         CODE_TOO_LARGE                                                                                    },
        {"stderr that is no UTF-8",
         {.lease = lease, .outcome = OUTCOME_FAILED, .stderr_tail = STR("\xff")},
         CODE_INVALID                                                                                      },
        {"message with NUL",
         {.lease = lease, .outcome = OUTCOME_FAILED, .message = {"a\0b", 3}},
         CODE_INVALID                                                                                      },
        {"output that is no UTF-8",
         {.lease = lease, .outcome = OUTCOME_SUCCEEDED, .output = STR("{\"a\":\"\xc3\"}")},
         CODE_INVALID                                                                                      },
        {"negative run",            {.lease = lease, .outcome = OUTCOME_FAILED, .run_us = -1}, CODE_INVALID},
        {"endless run",
         {.lease = lease, .outcome = OUTCOME_FAILED, .run_us = INT64_MAX},
         CODE_INVALID                                                                                      },
        {"endless wait",
         {.lease = lease, .outcome = OUTCOME_FAILED, .start_wait_us = INT64_MAX},
         CODE_INVALID                                                                                      },
        {"negative memory",
         {.lease = lease, .outcome = OUTCOME_FAILED, .max_rss_bytes = -1},
         CODE_INVALID                                                                                      },
    };

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        w->row = rows[i].name;
        REFUSED(w, task_complete(&w->tx, &(struct task_complete){&rows[i].result, 1}, &codes),
                rows[i].code);
    }
    w->row = NULL;
    REFUSED(w, task_complete(&w->tx, &(struct task_complete){NULL, 0}, &codes), CODE_INVALID);
    REFUSED(w, task_release(&w->tx, &(struct task_release){NULL, 0}, &codes), CODE_INVALID);
    REFUSED(w, task_release(&w->tx, &(struct task_release){&lease, SIZE_MAX}, &codes),
            CODE_INVALID);
    assert_string_equal(world_states(w, run), "r");
    world_healthy(w);
}

static void bad_claims_are_refused(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, ONE);
    struct task_leases l;
    const struct {
        const char *name;
        struct task_claim claim;
        enum code code;
    } rows[] = {
        {"none",          {.run = run, .max = 0},                  CODE_INVALID        },
        {"too many",      {.run = run, .max = TASK_BATCH_MAX + 1}, CODE_INVALID        },
        {"unknown run",   {.run = 999, .max = 1},                  CODE_RUN_NOT_FOUND  },
        {"unknown queue", {.queue = STR("nowhere"), .max = 1},     CODE_QUEUE_NOT_FOUND},
    };

    world_join(w, 1);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct task_claim claim = rows[i].claim;

        claim.worker = w->worker;
        w->row = rows[i].name;
        REFUSED(w, task_claim(&w->tx, &claim, &l), rows[i].code);
    }
}

/* A-72: a large result is stored and comes back unchanged. */
static void large_result_comes_back(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, ONE);
    char *text = arena_alloc(&w->arena, TASK_RESULT_BYTES_MAX);
    struct str output, name = STR("a");
    struct run_outputs_reply outputs;
    struct task_lease l;

    memset(text, 'x', TASK_RESULT_BYTES_MAX);
    output = str_printf(&w->arena, "{\"x\":\"%.*s\"}", (int)TASK_RESULT_BYTES_MAX - 8, text);
    assert_int_equal(output.n, TASK_RESULT_BYTES_MAX);
    world_join(w, 1);
    l = world_claim_one(w, run);
    const struct task_result result = {
        .lease = {l.task, l.token},
          .outcome = OUTCOME_SUCCEEDED, .output = output
    };
    assert_int_equal(complete(w, &result, 1).list[0], CODE_OK);
    assert_true(str_eq(world_task(w, run, "a").task.output, output));
    DO(w, run_outputs(&w->tx, &(struct run_outputs){run, &name, 1}, &outputs));
    assert_true(str_eq(outputs.outputs[0], output));
    world_healthy(w);
}

/* What is given back costs no attempt, however often. */
static void release_costs_nothing(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, THREE_TRY);

    world_join(w, 1);
    for (int i = 1; i <= 5; i++) {
        struct task_lease l = world_claim_one(w, run);

        assert_int_equal(l.attempt, i);
        assert_int_equal(release(w, &l).list[0], CODE_OK);
        assert_int_equal(release(w, &l).list[0], CODE_OK);
        assert_string_equal(world_states(w, run), "R");
        world_healthy(w);
    }
    for (int i = 1; i <= 3; i++) {
        struct task_lease l = world_claim_one(w, run);

        assert_int_equal(l.attempt, 5 + i);
        world_complete(w, &l, OUTCOME_FAILED);
    }
    assert_string_equal(world_states(w, run), "F");
    world_healthy(w);
}

/* Only the outcomes and exit codes that are listed are tried again. */
static void the_policy_decides_on_retries(void **state)
{
    static const struct {
        const char *name, *retry, *states;
        enum outcome outcome;
        int exit_code;
    } rows[] = {
        {"failed by default",   "{}",                "R", OUTCOME_FAILED,    1 },
        {"timeout by default",  "{}",                "R", OUTCOME_TIMED_OUT, -1},
        {"only once",           "{max_attempts: 1}", "F", OUTCOME_FAILED,    1 },
        {"not this outcome",    "{on: [timed_out]}", "F", OUTCOME_FAILED,    1 },
        {"this outcome",        "{on: [timed_out]}", "R", OUTCOME_TIMED_OUT, -1},
        {"this exit code",      "{on: [75]}",        "R", OUTCOME_FAILED,    75},
        {"not this exit code",  "{on: [75]}",        "F", OUTCOME_FAILED,    1 },
        {"cancelled is no try", "{max_attempts: 9}", "C", OUTCOME_CANCELLED, -1},
    };
    struct world *w = world(state);

    world_join(w, 100);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct task_lease l;
        int64_t run;

        w->row = rows[i].name;
        run = world_start(
            w, str_printf(&w->arena, "weft: 1\ntasks:\n  a: {run: [x], retry: %s}\n", rows[i].retry)
                   .p);
        l = world_claim_one(w, run);
        const struct task_result result = {
            .lease = {l.task, l.token},
              .outcome = rows[i].outcome, .exit_code = rows[i].exit_code
        };
        complete(w, &result, 1);
        CHECK_ROW(rows[i].name, strcmp(world_states(w, run), rows[i].states) == 0);
    }
    w->row = NULL;
    world_healthy(w);
}

/* Without a section for it, a failure is final, and a lost worker is not. */
static void without_a_policy_only_losses_are_tried_again(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, ONE), other = world_start(w, ONE);
    struct worker_row row;
    struct task_lease l;

    world_join(w, 2);
    l = world_claim_one(w, run);
    world_complete(w, &l, OUTCOME_FAILED);
    assert_string_equal(world_states(w, run), "F");
    world_claim_one(w, other);
    DO(w, worker_leave(&w->tx, &w->worker, &row));
    assert_string_equal(world_states(w, other), "R");
    world_healthy(w);
}

static void unknown_tasks_are_refused(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, ONE);
    struct task_details d;
    const struct {
        const char *name;
        struct task_which which;
    } rows[] = {
        {"by id",          {.id = 999999}                },
        {"by name",        {.run = run, .name = STR("b")}},
        {"of another run", {.run = 999, .name = STR("a")}},
        {"of nothing",     {.name = STR("")}             },
    };

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        w->row = rows[i].name;
        REFUSED(w, task_get(&w->tx, &rows[i].which, &d), CODE_TASK_NOT_FOUND);
        REFUSED(w, task_requeue(&w->tx, &rows[i].which, &d), CODE_TASK_NOT_FOUND);
    }
}

/* A request that is undone leaves nothing, and its neighbours all of theirs. */
static void undone_requests_leave_nothing(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [a]}\n"
                                 "  c: {run: [x]}\n");
    struct task_complete one;
    struct task_result result[2];
    struct tx_place place;
    struct task_codes codes;
    struct task_leases l;
    struct run_view v;

    world_join(w, 10);
    l = world_claim(w, run, 10);
    for (size_t i = 0; i < 2; i++)
        result[i] = (struct task_result){
            .lease = {l.list[i].task, l.list[i].token},
              .outcome = OUTCOME_SUCCEEDED
        };
    STORE_OK(w->store, world_begin(w));
    one = (struct task_complete){&result[0], 1};
    assert_int_equal(tx_mark(&w->tx, TX_SAVEPOINT, &place), 0);
    assert_int_equal(task_complete(&w->tx, &one, &codes), 0);
    assert_int_equal(tx_undo(&w->tx, &place), 0);
    one = (struct task_complete){&result[1], 1};
    assert_int_equal(tx_mark(&w->tx, TX_SAVEPOINT, &place), 0);
    assert_int_equal(task_complete(&w->tx, &one, &codes), 0);
    assert_int_equal(run_get(&w->tx, &(struct run_get){.id = run}, &v), 0);
    assert_int_equal(v.run.counts[TASK_SUCCEEDED], 1);
    assert_int_equal(v.run.counts[TASK_RUNNING], 1);
    STORE_OK(w->store, tx_commit(&w->tx));
    assert_string_equal(world_states(w, run), "rBS");
    world_healthy(w);
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    world_healthy(w);
}

/* The result of an attempt that did not succeed is kept with the attempt and is no output. */
static void only_a_success_has_an_output(void **state)
{
    struct world *w = world(state);
    const struct task_new one = {.payload = STR("1")};
    struct queue_status q;
    struct task_ids ids;
    struct task_details d;
    struct task_lease l;

    world_join(w, 1);
    DO(w, queue_put(&w->tx, &(struct queue_put){.name = STR("mail")}, &q));
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), &one, 1}, &ids));
    l = world_claim_queue(w, "mail", 1).list[0];
    const struct task_result result = {
        .lease = {l.task, l.token},
          .outcome = OUTCOME_CANCELLED, .output = STR("{\"half\":1}")
    };
    complete(w, &result, 1);
    DO(w, task_get(&w->tx, &(struct task_which){.id = ids.list[0]}, &d));
    assert_int_equal(d.task.state, TASK_CANCELLED);
    assert_int_equal(d.task.output.n, 0);
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(completion_is_idempotent_and_fenced),
        ENGINE_TESTS(a_holder_may_say_that_it_lost_the_task),
        ENGINE_TESTS(a_batch_may_repeat_a_token),
        ENGINE_TESTS(a_batch_is_answered_in_its_order),
        ENGINE_TESTS(bad_completions_are_refused),
        ENGINE_TESTS(bad_claims_are_refused),
        ENGINE_TESTS(large_result_comes_back),
        ENGINE_TESTS(release_costs_nothing),
        ENGINE_TESTS(the_policy_decides_on_retries),
        ENGINE_TESTS(without_a_policy_only_losses_are_tried_again),
        ENGINE_TESTS(unknown_tasks_are_refused),
        ENGINE_TESTS(undone_requests_leave_nothing),
        ENGINE_TESTS(only_a_success_has_an_output),
    };

    return ENGINE_MAIN(tests);
}
