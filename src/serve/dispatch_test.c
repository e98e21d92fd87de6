/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/dispatch.h"

#include <inttypes.h>

#include "api/codec.h"
#include "base/clock.h"
#include "engine/plan.h"
#include "engine/run.h"
#include "net/grpc.h"
#include "serve/dispatch_call.h"
#include "serve/dispatch_testing.h"

BATCHER_FUNCTION(complete, task_complete)
BATCHER_FUNCTION(create, plan_create)
BATCHER_FUNCTION(write_plan, plan_write)

static void a_sync_stage_is_called_and_completed(void **state)
{
    struct push *f = push_begin(state, 1);
    Weft__V1__RunStageRequest *m;
    ProtobufCMessage *message;
    struct arena a = {0};
    struct str why;
    int64_t run;
    size_t at;

    at = push_called(f, BUILD, &run);
    assert_int_equal(codec_decode(&a, &weft__v1__run_stage_request__descriptor,
                                  f->calls[at]->message, &message, &why),
                     0);
    m = (Weft__V1__RunStageRequest *)(void *)message;
    assert_string_equal(m->name, "compile");
    assert_string_equal(m->runner, "alpha");
    assert_string_equal(m->callback, "127.0.0.1:7411");
    assert_int_equal(m->attempt, 1);
    assert_string_equal(f->called[at]->address, "10.0.0.1:1");
    assert_true(f->calls[at]->deadline_us > clock_monotonic() + 50 * CLOCK_S);
    assert_string_equal(push_look(f, "state", run), "RUNNING");
    push_reports(f, at, NULL, "{\"size\":7}");
    push_until(f, run, "SUCCEEDED");
    assert_int_equal(push_counted(f, DISPATCH_COMPLETED), 1);
    arena_deinit(&a);
    push_end(f);
}

static void a_runner_that_registers_gets_what_waits(void **state)
{
    struct push *f = push_begin(state, 0);
    int64_t run = push_stage(f, BUILD);

    while (push_counted(f, DISPATCH_ROUNDS) == 0)
        push_turn(f);
    push_runner(f, "alpha", "10.0.0.1:1");
    push_reports(f, push_await(f, DISPATCH_CALL_RUN), NULL, NULL);
    push_until(f, run, "SUCCEEDED");
    push_end(f);
}

/* A plan with a check, and a stage that answers it. */
static int64_t checked_stage(struct push *f)
{
    const struct plan_assignment answers = {.check = STR("builds")};
    const struct plan_check check = {.name = STR("builds")};
    const struct plan_stage s = {.name = STR("compile"),
                                 .type = STR("build"),
                                 .assignments = &answers,
                                 .assignments_n = 1,
                                 .has_assignments = true};
    struct plan_write w = {.checks = &check, .checks_n = 1, .stages = &s, .stages_n = 1};
    const struct plan_create c = {.name = STR("ci")};
    struct plan_written written;
    struct run_row row;

    push_call(f, create, &c, &row, sizeof(row));
    w.run = row.id;
    push_call(f, write_plan, &w, &written, sizeof(written));
    return row.id;
}

static void says_of_check(struct push *f, size_t at, const char *name)
{
    Weft__V1__StageReport m = WEFT__V1__STAGE_REPORT__INIT;
    Weft__V1__CheckUpdate u = WEFT__V1__CHECK_UPDATE__INIT, *updates[] = {&u};

    u.check = (char *)(uintptr_t)name;
    u.has_data = true;
    u.data = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t) "{}"};
    m.checks = updates;
    m.n_checks = 1;
    push_answers_message(f, at, &m.base);
}

static const char *of(struct push *f, const char *name, int64_t run)
{
    char sql[100];

    snprintf(sql, sizeof(sql), "SELECT state FROM task WHERE name = '%s' AND run = %" PRId64, name,
             run);
    return store_testing_sql(f->t, sql);
}

static void a_report_finishes_its_check_with_its_stage(void **state)
{
    struct push *f = push_begin(state, 1);
    Weft__V1__RunStageRequest *m;
    ProtobufCMessage *message;
    struct arena a = {0};
    struct str why;
    int64_t run;
    size_t at;

    run = checked_stage(f);
    at = push_await(f, DISPATCH_CALL_RUN);
    assert_int_equal(codec_decode(&a, &weft__v1__run_stage_request__descriptor,
                                  f->calls[at]->message, &message, &why),
                     0);
    m = (Weft__V1__RunStageRequest *)(void *)message;
    assert_int_equal(m->n_checks, 1);
    assert_string_equal(m->checks[0]->name, "builds");
    assert_string_equal(m->checks[0]->goal, "FINAL");
    assert_string_equal(of(f, "builds", run), "READY");
    says_of_check(f, at, "builds");
    while (strcmp(of(f, "compile", run), "SUCCEEDED") != 0)
        push_turn(f);
    assert_string_equal(of(f, "builds", run), "SUCCEEDED");
    arena_deinit(&a);
    push_end(f);
}

/* The attempt would go on for ever, with nobody at work on it. */
static void what_cannot_be_said_of_checks_fails_the_attempt(void **state)
{
    struct push *f = push_begin(state, 1);
    int64_t run;

    run = checked_stage(f);
    says_of_check(f, push_await(f, DISPATCH_CALL_RUN), "nothing");
    while (strcmp(of(f, "compile", run), "FAILED") != 0)
        push_turn(f);
    assert_string_equal(of(f, "builds", run), "READY");
    assert_int_equal(push_counted(f, DISPATCH_BAD_REPORTS), 1);
    push_end(f);
}

/* What each way to fail comes to. */
static void what_was_not_taken_goes_to_another(void **state)
{
    static const struct {
        int status;
        bool sent;
    } rows[] = {
        {GRPC_UNAVAILABLE,         false},
        {GRPC_DEADLINE_EXCEEDED,   false},
        {GRPC_FAILED_PRECONDITION, true },
        {GRPC_RESOURCE_EXHAUSTED,  true },
    };
    struct push *f = push_begin(state, 2);

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        int64_t run = push_stage(f, BUILD);
        size_t first = push_await(f, DISPATCH_CALL_RUN), second;

        push_fails(f, first, rows[i].status, rows[i].sent);
        second = push_await(f, DISPATCH_CALL_RUN);
        assert_ptr_not_equal(f->called[first], f->called[second]);
        push_reports(f, second, NULL, NULL);
        push_until(f, run, "SUCCEEDED");
        assert_string_equal(push_look(f, "attempts - budget_from", run), "1");
    }
    push_end(f);
}

static void a_call_that_breaks_costs_an_attempt(void **state)
{
    struct push *f = push_begin(state, 1);
    int64_t run;

    run = push_stage(f, BUILD);
    push_fails(f, push_await(f, DISPATCH_CALL_RUN), GRPC_UNAVAILABLE, true);
    push_reports(f, push_await(f, DISPATCH_CALL_RUN), NULL, NULL);
    push_until(f, run, "SUCCEEDED");
    assert_string_equal(push_attempts(f, run), "lost:worker_lost succeeded:");
    push_end(f);
}

static void failures_and_garbage_fail_the_attempt(void **state)
{
    struct push *f = push_begin(state, 1);
    int64_t run;

    run = push_stage(f, BUILD);
    push_reports(f, push_await(f, DISPATCH_CALL_RUN), "failed", NULL);
    push_until(f, run, "FAILED");
    assert_string_equal(push_attempts(f, run), "failed:worker_reported_error");
    run = push_stage(f, BUILD);
    push_answers(f, push_await(f, DISPATCH_CALL_RUN), STR("\377\377\377garbage"));
    push_until(f, run, "FAILED");
    assert_string_equal(push_attempts(f, run), "failed:bad_report");
    run = push_stage(f, BUILD);
    push_reports(f, push_await(f, DISPATCH_CALL_RUN), "perfect", NULL);
    push_until(f, run, "FAILED");
    assert_string_equal(push_attempts(f, run), "failed:bad_report");
    run = push_stage(f, BUILD);
    push_fails(f, push_await(f, DISPATCH_CALL_RUN), GRPC_UNKNOWN, true);
    push_until(f, run, "FAILED");
    assert_string_equal(push_attempts(f, run), "failed:worker_reported_error");
    push_end(f);
}

static void an_async_stage_is_accepted_or_goes_on(void **state)
{
    struct push *f = push_begin(state, 2);
    size_t first, second;
    int64_t run;

    first = push_called(f, DEPLOY, &run);
    assert_string_equal(push_look(f, "state", run), "LEASED");
    push_accepts(f, first, false);
    second = push_await(f, DISPATCH_CALL_ASYNC);
    assert_ptr_not_equal(f->called[first], f->called[second]);
    push_accepts(f, second, true);
    push_until(f, run, "RUNNING");
    while (push_counted(f, DISPATCH_TELLING))
        push_turn(f);
    assert_string_equal(push_attempts(f, run), "rejected:runner_refused");
    assert_int_equal(push_counted(f, DISPATCH_ACCEPTED), 1);
    push_end(f);
}

/* Its lease was taken back meanwhile: nothing of it counts. */
static void an_answer_that_comes_too_late_counts_for_nothing(void **state)
{
    struct push *f = push_begin(state, 2);
    struct lease_ref lease;
    int64_t run;
    size_t at;

    at = push_called(f, BUILD, &run);
    lease = push_lease(f, at);
    push_take_back(f, lease);
    while (f->calls_n == 1) /* another has it by now */
        push_turn(f);
    push_reports(f, at, "failed", NULL);
    while (push_counted(f, DISPATCH_TELLING))
        push_turn(f);
    assert_string_equal(push_look(f, "state", run), "RUNNING");
    push_reports(f, push_await(f, DISPATCH_CALL_RUN), NULL, NULL);
    push_until(f, run, "SUCCEEDED");
    assert_string_equal(push_attempts(f, run), "rejected: succeeded:");
    push_end(f);
}

/* A sync stage whose runner completes it by its token, and then answers its call. */
static void an_end_that_is_told_twice_counts_once(void **state)
{
    static const char *const outcomes[] = {NULL, "failed"};
    struct push *f = push_begin(state, 1);

    for (size_t i = 0; i < ROWS_N(outcomes); i++) {
        struct task_result result = {.outcome = OUTCOME_SUCCEEDED, .exit_code = -1};
        const struct task_complete asked = {&result, 1};
        struct task_codes codes;
        int64_t run = push_stage(f, BUILD);
        size_t at = push_await(f, DISPATCH_CALL_RUN);

        result.lease = push_lease(f, at);
        push_call(f, complete, &asked, &codes, sizeof(codes));
        assert_string_equal(push_look(f, "state", run), "SUCCEEDED");
        push_reports(f, at, outcomes[i], NULL);
        while (push_counted(f, DISPATCH_TELLING))
            push_turn(f);
        assert_string_equal(push_attempts(f, run), "succeeded:");
    }
    assert_int_equal(push_counted(f, DISPATCH_BAD_REPORTS), 0);
    push_end(f);
}

static void a_runner_that_fails_again_and_again_is_left_alone(void **state)
{
    struct push *f = push_begin(state, 1);
    int64_t runs[DISPATCH_FAILURES + 1];
    const int64_t *alone;
    struct arena a = {0};

    for (size_t i = 0; i < DISPATCH_FAILURES; i++) {
        runs[i] = push_stage(f, BUILD);
        push_fails(f, push_await(f, DISPATCH_CALL_RUN), GRPC_INTERNAL, true);
        push_until(f, runs[i], "FAILED");
    }
    assert_int_equal(push_counted(f, DISPATCH_BREAKERS_OPEN), 1);
    assert_int_equal(dispatch_left_alone(f->dispatch, &a, &alone), 1);
    arena_deinit(&a);
    runs[DISPATCH_FAILURES] = push_stage(f, BUILD);
    push_runner(f, "beta", "10.0.0.2:1");
    assert_string_equal(f->called[push_await(f, DISPATCH_CALL_RUN)]->address, "10.0.0.2:1");
    push_end(f);
}

static void a_runner_that_never_accepts_is_left_alone(void **state)
{
    struct push *f = push_begin(state, 1);

    for (size_t i = 0; i < DISPATCH_FAILURES; i++)
        push_stage(f, DEPLOY);
    for (size_t i = 0; i < DISPATCH_FAILURES; i++) {
        assert_int_equal(push_counted(f, DISPATCH_BREAKERS_OPEN), 0);
        push_fails(f, push_await(f, DISPATCH_CALL_ASYNC), GRPC_DEADLINE_EXCEEDED, true);
    }
    assert_int_equal(push_counted(f, DISPATCH_BREAKERS_OPEN), 1);
    push_end(f);
}

static void an_address_that_is_none_costs_nothing(void **state)
{
    struct push *f = push_begin(state, 0);
    int64_t run;

    push_runner(f, "alpha", "nowhere");
    run = push_stage(f, BUILD);
    push_until(f, run, "DELAYED");
    assert_string_equal(push_attempts(f, run), "rejected:runner_unreachable");
    push_end(f);
}

static void the_end_of_a_server_loses_what_it_calls(void **state)
{
    struct push *f = push_begin(state, 1);
    int64_t run;

    run = push_stage(f, BUILD);
    push_await(f, DISPATCH_CALL_RUN);
    push_drain(f, 0);
    assert_string_equal(push_attempts(f, run), "lost:worker_lost");
    assert_int_equal(push_counted(f, DISPATCH_CANCELS), 1);
    assert_string_equal(push_look(f, "state", run), "READY");
    push_end(f);
}

static void calls_have_the_time_of_a_drain(void **state)
{
    struct push *f = push_begin(state, 1);
    int64_t run;
    size_t at;

    at = push_called(f, BUILD, &run);
    dispatch_drain(f->dispatch, 60 * CLOCK_S, push_over, f);
    push_stage(f, BUILD);
    push_reports(f, at, NULL, NULL);
    while (!f->over)
        push_turn(f);
    assert_string_equal(push_look(f, "state", run), "SUCCEEDED");
    assert_int_equal(f->calls_n, 1);
    push_end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TESTS(a_sync_stage_is_called_and_completed),
        STORE_TESTS(a_runner_that_registers_gets_what_waits),
        STORE_TESTS(a_report_finishes_its_check_with_its_stage),
        STORE_TESTS(what_cannot_be_said_of_checks_fails_the_attempt),
        STORE_TESTS(what_was_not_taken_goes_to_another),
        STORE_TESTS(a_call_that_breaks_costs_an_attempt),
        STORE_TESTS(failures_and_garbage_fail_the_attempt),
        STORE_TESTS(an_async_stage_is_accepted_or_goes_on),
        STORE_TESTS(an_answer_that_comes_too_late_counts_for_nothing),
        STORE_TESTS(an_end_that_is_told_twice_counts_once),
        STORE_TESTS(a_runner_that_fails_again_and_again_is_left_alone),
        STORE_TESTS(a_runner_that_never_accepts_is_left_alone),
        STORE_TESTS(an_address_that_is_none_costs_nothing),
        STORE_TESTS(the_end_of_a_server_loses_what_it_calls),
        STORE_TESTS(calls_have_the_time_of_a_drain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
