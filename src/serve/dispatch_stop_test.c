/* SPDX-License-Identifier: Apache-2.0 */
/* Runners that are told to stop: who was cancelled, and who is not waited for any more. */
#include "api/codec.h"
#include "base/clock.h"
#include "engine/run.h"
#include "net/grpc.h"
#include "serve/dispatch_state.h"
#include "serve/dispatch_testing.h"

#define CROWD (GRANT_CANCELS_MAX + 7)

BATCHER_FUNCTION(cancel, run_cancel)

/* The lease that a runner is told to stop. */
static int64_t told_to_stop(struct push *f, size_t at)
{
    struct arena a = {0};
    ProtobufCMessage *m;
    struct str why, token;
    size_t dot;
    int64_t n;

    assert_int_equal(codec_decode(&a, &weft__v1__cancel_stage_request__descriptor,
                                  f->calls[at]->message, &m, &why),
                     0);
    token = str_of(((Weft__V1__CancelStageRequest *)(void *)m)->token);
    assert_true(str_find(token, '.', &dot));
    assert_true(str_int64(str_sub(token, dot + 1, token.n), &n));
    arena_deinit(&a);
    return n;
}

/* The runner may be at it still, and nobody waits for it any more. */
static void who_is_cut_off_is_told_to_stop(void **state)
{
    static const int statuses[] = {GRPC_UNAVAILABLE, GRPC_DEADLINE_EXCEEDED};
    struct push *f = push_begin(state, 1);

    for (size_t i = 0; i < ROWS_N(statuses); i++) {
        int64_t token;
        size_t at;

        push_stage(f, BUILD);
        at = push_await(f, DISPATCH_CALL_RUN);
        token = push_lease(f, at).token;
        push_fails(f, at, statuses[i], true);
        at = push_await(f, DISPATCH_CALL_CANCEL);
        assert_int_equal(told_to_stop(f, at), token);
        push_answers(f, at, STR(""));
        if (statuses[i] == GRPC_UNAVAILABLE) /* it is tried again */
            push_reports(f, push_await(f, DISPATCH_CALL_RUN), NULL, NULL);
    }
    push_end(f);
}

/* It may have been taken: the runner is told to stop, and another gets it. */
static void an_acceptance_that_does_not_come_is_none(void **state)
{
    struct push *f = push_begin(state, 2);
    int64_t run;

    run = push_stage(f, DEPLOY);
    push_fails(f, push_await(f, DISPATCH_CALL_ASYNC), GRPC_DEADLINE_EXCEEDED, true);
    push_answers(f, push_await(f, DISPATCH_CALL_CANCEL), STR(""));
    push_accepts(f, push_await(f, DISPATCH_CALL_ASYNC), true);
    push_until(f, run, "RUNNING");
    assert_string_equal(push_attempts(f, run), "rejected:not_accepted_in_time");
    push_end(f);
}

static void a_cancel_reaches_the_runner(void **state)
{
    struct push *f = push_begin(state, 1);
    struct run_row row;
    int64_t run;
    size_t at;

    at = push_called(f, BUILD, &run);
    push_call(f, cancel, &run, &row, sizeof(row));
    push_answers(f, push_await(f, DISPATCH_CALL_CANCEL), STR(""));
    push_reports(f, at, "cancelled", NULL);
    push_until(f, run, "CANCELLED");

    run = push_stage(f, DEPLOY);
    push_accepts(f, push_await(f, DISPATCH_CALL_ASYNC), true);
    push_until(f, run, "RUNNING");
    push_call(f, cancel, &run, &row, sizeof(row));
    push_answers(f, push_await(f, DISPATCH_CALL_CANCEL), STR(""));
    push_end(f);
}

/* A round that follows another one at once asks the hub for news before it has told those. */
static void a_cancel_between_two_rounds_reaches_the_runner(void **state)
{
    struct push *f = push_begin(state, 1);
    struct run_row row;
    int64_t run, begun;
    size_t at;

    at = push_called(f, BUILD, &run);
    dispatch_again(f->dispatch);
    while (!f->dispatch->round.busy)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    begun = clock_monotonic();
    push_call(f, cancel, &run, &row, sizeof(row));
    dispatch_again(f->dispatch);
    push_answers(f, push_await(f, DISPATCH_CALL_CANCEL), STR(""));
    assert_true(clock_monotonic() < begun + DISPATCH_KEEP_US / 2); /* not by the net */
    push_reports(f, at, "cancelled", NULL);
    push_until(f, run, "CANCELLED");
    push_end(f);
}

static void an_acceptance_that_comes_too_late_is_told_to_stop(void **state)
{
    struct push *f = push_begin(state, 1);
    struct lease_ref lease;
    size_t at;

    push_stage(f, DEPLOY);
    at = push_await(f, DISPATCH_CALL_ASYNC);
    lease = push_lease(f, at);
    push_take_back(f, lease);
    push_accepts(f, at, true);
    at = push_await(f, DISPATCH_CALL_CANCEL);
    assert_int_equal(told_to_stop(f, at), lease.token);
    push_answers(f, at, STR(""));
    push_end(f);
}

/* It would be given out again at the accept deadline, with the first runner still at it. */
static void an_acceptance_that_the_store_cannot_take_is_told_to_stop(void **state)
{
    struct push *f = push_begin(state, 1);
    int64_t bad, good;
    size_t at, other;

    bad = push_stage(f, DEPLOY);
    at = push_await(f, DISPATCH_CALL_ASYNC);
    good = push_stage(f, DEPLOY);
    while (f->calls_n == 1)
        push_turn(f);
    other = 1;
    push_set(f, "retry = 'nonsense', state = 'NONSENSE'", bad);
    bad = push_lease(f, at).token;
    push_accepts(f, at, true);
    push_accepts(f, other, true);
    push_until(f, good, "RUNNING");
    at = push_await(f, DISPATCH_CALL_CANCEL);
    assert_int_equal(told_to_stop(f, at), bad);
    push_answers(f, at, STR(""));
    push_end(f);
}

/* More than the store answers at once, and none of them is this server's call. */
static int add_crowd(struct tx *tx, const void *request, void *reply)
{
    const int64_t *run = request;
    int r = 0;

    *(int64_t *)reply = 0;
    for (size_t i = 0; i < CROWD && !r; i++) {
        int64_t ids[2];

        r = store_ids(tx->store, 2, ids);
        if (!r)
            r = STORE_PUT(tx->store, STMT_task_add, INT(ids[0]), INT(*run), TEXT(STR("")),
                          TEXT(str_printf(tx->arena, "t%zu", i)), TEXT(STR("READY")), TEXT(STR("")),
                          INT(0), TEXT(STR("")), INT(0), INT(0), INT(0), INT(tx->now), INT(tx->now),
                          INT(0), INT(GRANT_GATE), TEXT(DEPLOY), TEXT(STR("")), TEXT(STR("{}")));
        if (!r)
            r = STORE_PUT(tx->store, STMT_task_hold, INT(ids[0]), TEXT(STR("RUNNING")),
                          TEXT(STR("")), INT(1), INT(ids[1]), INT(run[1]), INT(tx->now),
                          INT(tx->now), INT(0), INT(0));
        if (!r)
            r = STORE_PUT(tx->store, STMT_task_stop, INT(ids[0]));
        *(int64_t *)reply = ids[1];
    }
    tx_push(tx);
    return r;
}

static void more_cancels_than_a_page_reach_their_runners(void **state)
{
    struct push *f = push_begin(state, 1);
    int64_t run[2], last;
    size_t heard = 0;

    run[0] = push_stage(f, DEPLOY);
    push_accepts(f, push_await(f, DISPATCH_CALL_ASYNC), true);
    push_until(f, run[0], "RUNNING");
    assert_true(str_int64(str_of(push_look(f, "worker", run[0])), &run[1]));
    push_call(f, add_crowd, run, &last, sizeof(last));
    while (heard < CROWD) {
        size_t at = push_await(f, DISPATCH_CALL_CANCEL);

        if (++heard == CROWD)
            assert_int_equal(told_to_stop(f, at), last);
        push_answers(f, at, STR(""));
    }
    /* Once each: who heeds none is told again after a while. */
    dispatch_again(f->dispatch);
    for (int64_t rounds = push_counted(f, DISPATCH_ROUNDS);
         push_counted(f, DISPATCH_ROUNDS) <= rounds + 1;)
        push_turn(f);
    assert_int_equal(push_counted(f, DISPATCH_CANCELS), CROWD);
    push_end(f);
}

/* It may have been taken: the runner is told to stop, and another gets it. */
static void garbage_is_no_acceptance(void **state)
{
    struct push *f = push_begin(state, 2);
    int64_t run, token;
    size_t at;

    at = push_called(f, DEPLOY, &run);
    token = push_lease(f, at).token;
    push_answers(f, at, STR("\377\377\377garbage"));
    at = push_await(f, DISPATCH_CALL_CANCEL);
    assert_int_equal(told_to_stop(f, at), token);
    push_answers(f, at, STR(""));
    push_accepts(f, push_await(f, DISPATCH_CALL_ASYNC), true);
    push_until(f, run, "RUNNING");
    assert_string_equal(push_attempts(f, run), "rejected:runner_unreachable");
    push_end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TESTS(who_is_cut_off_is_told_to_stop),
        STORE_TESTS(an_acceptance_that_does_not_come_is_none),
        STORE_TESTS(a_cancel_reaches_the_runner),
        STORE_TESTS(a_cancel_between_two_rounds_reaches_the_runner),
        STORE_TESTS(an_acceptance_that_comes_too_late_is_told_to_stop),
        STORE_TESTS(an_acceptance_that_the_store_cannot_take_is_told_to_stop),
        STORE_TESTS(more_cancels_than_a_page_reach_their_runners),
        STORE_TESTS(garbage_is_no_acceptance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
