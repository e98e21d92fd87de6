/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/dispatch.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/codec.h"
#include "base/clock.h"
#include "base/memory.h"
#include "engine/plan.h"
#include "engine/run.h"
#include "engine/worker.h"
#include "net/grpc.h"
#include "serve/dispatch_state.h"
#include "store/store_testing.h"

#define CALLS_MAX 2000
#define CROWD     (GRANT_CANCELS_MAX + 7)
#define BUILD     STR("{\"labels\":{},\"mode\":\"sync\",\"type\":\"build\"}")
#define DEPLOY    STR("{\"labels\":{},\"mode\":\"async\",\"type\":\"build\"}")

struct caller_peer {
    char address[64];
    bool left;
};

/* A server's dispatch with the engine on a store of its own, and runners that are this test. */
struct fixture {
    struct store_testing *t;
    uv_loop_t loop;
    struct hub *hub;
    struct hub_seat *seat;
    struct batcher *writer;
    struct batcher_home *home;
    struct dispatch *dispatch;
    struct caller_peer peers[8];
    size_t peers_n;
    struct caller_call *calls[CALLS_MAX]; /* under way; NULL: answered */
    struct caller_peer *called[CALLS_MAX];
    bool cancelled[CALLS_MAX];
    size_t calls_n;
    bool over;
};

/* ---- runners ---- */

static int fake_peer(void *context, struct str address, struct caller_peer **ret,
                     const char **ret_why)
{
    struct fixture *f = context;
    struct caller_peer *p = &f->peers[f->peers_n];

    if (str_eq(address, STR("nowhere"))) {
        *ret_why = "has no port";
        return CALLER_E_BAD;
    }
    assert_true(f->peers_n < ROWS_N(f->peers) && address.n < sizeof(p->address));
    memcpy(p->address, address.p, address.n);
    f->peers_n++;
    *ret = p;
    return 0;
}

static void fake_leave(struct caller_peer *p)
{
    p->left = true;
}

static struct fixture *the_fixture; /* of the test that runs */

static void fake_start(struct caller_peer *p, struct caller_call *call)
{
    struct fixture *f = the_fixture;

    assert_true(f->calls_n < CALLS_MAX && !p->left);
    f->called[f->calls_n] = p;
    f->calls[f->calls_n++] = call;
}

static void fake_cancel(struct caller_call *call)
{
    struct fixture *f = the_fixture;

    for (size_t i = 0; i < f->calls_n; i++)
        f->cancelled[i] |= f->calls[i] == call;
}

static void turn(struct fixture *f)
{
    for (size_t i = 0; i < f->calls_n; i++) {
        struct caller_call *call = f->calls[i];

        if (!call || !f->cancelled[i])
            continue;
        f->calls[i] = NULL;
        call->status = GRPC_CANCELLED;
        call->sent = true;
        call->text = STR("the call was cancelled");
        call->done(call);
    }
    uv_run(&f->loop, UV_RUN_ONCE);
}

/* Wait for the next call of this method; returns its place. */
static size_t await(struct fixture *f, const char *path)
{
    for (;;) {
        for (size_t i = 0; i < f->calls_n; i++)
            if (f->calls[i] && strcmp(f->calls[i]->path, path) == 0)
                return i;
        turn(f);
    }
}

static void fails(struct fixture *f, size_t at, int status, bool sent)
{
    struct caller_call *call = TAKE(f->calls[at]);

    call->status = status;
    call->sent = sent;
    call->text = STR("it failed");
    call->done(call);
}

static void answers(struct fixture *f, size_t at, struct str reply)
{
    struct caller_call *call = TAKE(f->calls[at]);

    call->status = GRPC_OK;
    call->sent = true;
    call->reply = reply;
    call->done(call);
}

static void answers_message(struct fixture *f, size_t at, const ProtobufCMessage *m)
{
    char bytes[1024];
    struct buf out;

    buf_fixed(&out, bytes, sizeof(bytes));
    codec_encode(m, &out);
    answers(f, at, buf_str(&out));
}

static void reports(struct fixture *f, size_t at, const char *outcome, const char *result)
{
    Weft__V1__StageReport m = WEFT__V1__STAGE_REPORT__INIT;
    Weft__V1__Error e = WEFT__V1__ERROR__INIT;

    m.outcome = (char *)(uintptr_t)outcome;
    m.has_result = result != NULL;
    m.result = (ProtobufCBinaryData){result ? strlen(result) : 0, (uint8_t *)(uintptr_t)result};
    e.code = e.message = (char *)(uintptr_t) "E1";
    if (outcome)
        m.error = &e;
    answers_message(f, at, &m.base);
}

static void accepts(struct fixture *f, size_t at, bool accepted)
{
    Weft__V1__RunAsyncReply m = WEFT__V1__RUN_ASYNC_REPLY__INIT;

    m.has_accepted = true;
    m.accepted = accepted;
    m.reason = accepted ? NULL : (char *)(uintptr_t) "no room";
    answers_message(f, at, &m.base);
}

/* ---- the store ---- */

static void call(struct fixture *f, batcher_function *function, const void *request, void *reply,
                 size_t size)
{
    struct batcher_request q = {.function = function,
                                .request = request,
                                .reply = reply,
                                .reply_size = size,
                                .patience_us = BATCHER_CALL_US};

    batcher_call(f->writer, &q);
    if (q.answer.code != CODE_OK)
        fail_msg(STR_FMT ": " STR_FMT, STR_ARG(code_text(q.answer.code)), STR_ARG(q.answer.text));
    batcher_release(&q);
}

BATCHER_FUNCTION(join, worker_join)
BATCHER_FUNCTION(cancel, run_cancel)
BATCHER_FUNCTION(refuse, grant_refuse)
BATCHER_FUNCTION(complete, task_complete)
BATCHER_FUNCTION(create, plan_create)
BATCHER_FUNCTION(write_plan, plan_write)

struct stage {
    struct str demand, retry;
    int64_t timeout_us;
    int64_t run; /* the answer */
};

static int add(struct tx *tx, const void *request, void *reply)
{
    const struct stage *s = request;
    int64_t ids[2];
    int r = store_ids(tx->store, 2, ids);

    *(int64_t *)reply = ids[0];
    if (!r)
        r = STORE_PUT(tx->store, STMT_run_add, INT(ids[0]), TEXT(STR("plan")), INT(0),
                      TEXT(STR("RUNNING")), TEXT(STR("{}")), TEXT(STR("")), INT(0), INT(1),
                      INT(tx->now), INT(0));
    if (!r)
        r = STORE_PUT(tx->store, STMT_task_add, INT(ids[1]), INT(ids[0]), TEXT(STR("")),
                      TEXT(STR("compile")), TEXT(STR("READY")), TEXT(STR("waiting_for_worker")),
                      INT(0), TEXT(s->retry), INT(0), INT(0), INT(s->timeout_us), INT(tx->now),
                      INT(tx->now), INT(0), INT(GRANT_GATE), TEXT(s->demand), TEXT(STR("")),
                      TEXT(STR("{\"n\":1}")));
    tx_count(tx, ids[0], STR(""), TASK_READY, 1);
    tx_push(tx);
    return r;
}

static int64_t stage(struct fixture *f, struct str demand)
{
    const struct stage s = {.demand = demand, .timeout_us = 60 * CLOCK_S};
    int64_t run;

    call(f, add, &s, &run, sizeof(run));
    return run;
}

static void runner(struct fixture *f, const char *name, const char *address)
{
    const struct worker_join j = {
        .worker = {.name = str_of(name),
                   .type = STR("build"),
                   .address = str_of(address),
                   .modes = PLACEMENT_MODES_ALL,
                   .slots = 10,
                   .ttl_us = 100 * CLOCK_S}
    };
    struct worker_joined joined;

    call(f, join, &j, &joined, sizeof(joined));
}

static const char *look(struct fixture *f, const char *what, int64_t run)
{
    char sql[300];
    const char *found;

    snprintf(sql, sizeof(sql), "SELECT %s FROM task WHERE run = %" PRId64, what, run);
    found = store_testing_sql(f->t, sql);
    return found ? found : "";
}

static void set(struct fixture *f, const char *what, int64_t run)
{
    char sql[300];

    snprintf(sql, sizeof(sql), "UPDATE task SET %s WHERE run = %" PRId64, what, run);
    store_testing_sql(f->t, sql);
}

static void until(struct fixture *f, int64_t run, const char *state)
{
    while (strcmp(look(f, "state", run), state) != 0)
        turn(f);
}

static const char *attempts(struct fixture *f, int64_t run)
{
    return look(f,
                f->t->backend == STORE_SQLITE
                    ? "(SELECT group_concat(o, ' ') FROM (SELECT outcome || ':' || reason AS o "
                      "FROM attempt a WHERE a.task = task.id ORDER BY a.token))"
                    : "(SELECT string_agg(outcome || ':' || reason, ' ' ORDER BY a.token) "
                      "FROM attempt a WHERE a.task = task.id)",
                run);
}

static int64_t counted(const struct fixture *f, enum dispatch_count what)
{
    struct dispatch_stats s;

    dispatch_stats(f->dispatch, &s);
    return s.n[what];
}

/* ---- the fixture ---- */

static struct fixture *begin(void **state)
{
    struct fixture *f = memory_new(sizeof(*f));
    struct batcher_options o = {.name = "writer"};
    struct dispatch_options d = {.loop = &f->loop, .callback = STR("127.0.0.1:7411")};

    the_fixture = f;
    f->t = store_testing(state);
    o.store = (struct store_options){.url = str_of(f->t->url), .mode = STORE_WRITE};
    uv_loop_init(&f->loop);
    f->hub = o.hub = hub_new(NULL);
    assert_int_equal(hub_seat_new(f->hub, &f->loop, &f->seat), 0);
    assert_int_equal(batcher_home_new(&f->loop, &f->home), 0);
    assert_int_equal(batcher_new(&o, &f->writer), 0);
    d.seat = f->seat;
    d.writer = f->writer;
    d.home = f->home;
    d.wire = (struct dispatch_wire){f, fake_peer, fake_leave, fake_start, fake_cancel};
    dispatch_new(&d, &f->dispatch);
    return f;
}

static void over(void *context)
{
    ((struct fixture *)context)->over = true;
}

static void drain(struct fixture *f, int64_t grace_us)
{
    dispatch_drain(f->dispatch, grace_us, over, f);
    while (!f->over) {
        for (size_t i = 0; i < f->calls_n; i++)
            if (f->calls[i] && strcmp(f->calls[i]->path, DISPATCH_CALL_CANCEL) == 0)
                answers(f, i, STR(""));
        turn(f);
    }
}

static void end(struct fixture *f)
{
    if (!f->over)
        drain(f, 0);
    for (size_t i = 0; i < f->peers_n; i++)
        assert_true(f->peers[i].left);
    batcher_free(f->writer);
    batcher_home_free(f->home);
    hub_seat_free(f->seat);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    hub_free(f->hub);
    free(f);
}

/* ---- the tests ---- */

static void a_sync_stage_is_called_and_completed(void **state)
{
    struct fixture *f = begin(state);
    Weft__V1__RunStageRequest *m;
    ProtobufCMessage *message;
    struct arena a = {0};
    struct str why;
    int64_t run;
    size_t at;

    runner(f, "alpha", "10.0.0.1:1");
    run = stage(f, BUILD);
    at = await(f, DISPATCH_CALL_RUN);
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
    assert_string_equal(look(f, "state", run), "RUNNING");
    reports(f, at, NULL, "{\"size\":7}");
    until(f, run, "SUCCEEDED");
    assert_int_equal(counted(f, DISPATCH_COMPLETED), 1);
    arena_deinit(&a);
    end(f);
}

static void a_runner_that_registers_gets_what_waits(void **state)
{
    struct fixture *f = begin(state);
    int64_t run = stage(f, BUILD);

    while (counted(f, DISPATCH_ROUNDS) == 0)
        turn(f);
    runner(f, "alpha", "10.0.0.1:1");
    reports(f, await(f, DISPATCH_CALL_RUN), NULL, NULL);
    until(f, run, "SUCCEEDED");
    end(f);
}

/* A plan with a check, and a stage that answers it. */
static int64_t checked_stage(struct fixture *f)
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

    call(f, create, &c, &row, sizeof(row));
    w.run = row.id;
    call(f, write_plan, &w, &written, sizeof(written));
    return row.id;
}

static void says_of_check(struct fixture *f, size_t at, const char *name)
{
    Weft__V1__StageReport m = WEFT__V1__STAGE_REPORT__INIT;
    Weft__V1__CheckUpdate u = WEFT__V1__CHECK_UPDATE__INIT, *updates[] = {&u};

    u.check = (char *)(uintptr_t)name;
    u.has_data = true;
    u.data = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t) "{}"};
    m.checks = updates;
    m.n_checks = 1;
    answers_message(f, at, &m.base);
}

static const char *of(struct fixture *f, const char *name, int64_t run)
{
    char sql[100];

    snprintf(sql, sizeof(sql), "SELECT state FROM task WHERE name = '%s' AND run = %" PRId64, name,
             run);
    return store_testing_sql(f->t, sql);
}

static void a_report_finishes_its_check_with_its_stage(void **state)
{
    struct fixture *f = begin(state);
    Weft__V1__RunStageRequest *m;
    ProtobufCMessage *message;
    struct arena a = {0};
    struct str why;
    int64_t run;
    size_t at;

    runner(f, "alpha", "10.0.0.1:1");
    run = checked_stage(f);
    at = await(f, DISPATCH_CALL_RUN);
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
        turn(f);
    assert_string_equal(of(f, "builds", run), "SUCCEEDED");
    arena_deinit(&a);
    end(f);
}

/* The attempt would go on for ever, with nobody at work on it. */
static void what_cannot_be_said_of_checks_fails_the_attempt(void **state)
{
    struct fixture *f = begin(state);
    int64_t run;

    runner(f, "alpha", "10.0.0.1:1");
    run = checked_stage(f);
    says_of_check(f, await(f, DISPATCH_CALL_RUN), "nothing");
    while (strcmp(of(f, "compile", run), "FAILED") != 0)
        turn(f);
    assert_string_equal(of(f, "builds", run), "READY");
    assert_int_equal(counted(f, DISPATCH_BAD_REPORTS), 1);
    end(f);
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
    struct fixture *f = begin(state);

    runner(f, "alpha", "10.0.0.1:1");
    runner(f, "beta", "10.0.0.2:1");
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        int64_t run = stage(f, BUILD);
        size_t first = await(f, DISPATCH_CALL_RUN), second;

        fails(f, first, rows[i].status, rows[i].sent);
        second = await(f, DISPATCH_CALL_RUN);
        assert_ptr_not_equal(f->called[first], f->called[second]);
        reports(f, second, NULL, NULL);
        until(f, run, "SUCCEEDED");
        assert_string_equal(look(f, "attempts - budget_from", run), "1");
    }
    end(f);
}

static void a_call_that_breaks_costs_an_attempt(void **state)
{
    struct fixture *f = begin(state);
    int64_t run;

    runner(f, "alpha", "10.0.0.1:1");
    run = stage(f, BUILD);
    fails(f, await(f, DISPATCH_CALL_RUN), GRPC_UNAVAILABLE, true);
    reports(f, await(f, DISPATCH_CALL_RUN), NULL, NULL);
    until(f, run, "SUCCEEDED");
    assert_string_equal(attempts(f, run), "lost:worker_lost succeeded:");
    end(f);
}

static struct lease_ref lease_of(struct fixture *f, size_t at)
{
    return ((struct dispatch_flight *)f->calls[at]->context)->lease;
}

/* The lease that a runner is told to stop. */
static int64_t told_to_stop(struct fixture *f, size_t at)
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
    struct fixture *f = begin(state);

    runner(f, "alpha", "10.0.0.1:1");
    for (size_t i = 0; i < ROWS_N(statuses); i++) {
        int64_t token;
        size_t at;

        stage(f, BUILD);
        at = await(f, DISPATCH_CALL_RUN);
        token = lease_of(f, at).token;
        fails(f, at, statuses[i], true);
        at = await(f, DISPATCH_CALL_CANCEL);
        assert_int_equal(told_to_stop(f, at), token);
        answers(f, at, STR(""));
        if (statuses[i] == GRPC_UNAVAILABLE) /* it is tried again */
            reports(f, await(f, DISPATCH_CALL_RUN), NULL, NULL);
    }
    end(f);
}

static void failures_and_garbage_fail_the_attempt(void **state)
{
    struct fixture *f = begin(state);
    int64_t run;

    runner(f, "alpha", "10.0.0.1:1");
    run = stage(f, BUILD);
    reports(f, await(f, DISPATCH_CALL_RUN), "failed", NULL);
    until(f, run, "FAILED");
    assert_string_equal(attempts(f, run), "failed:worker_reported_error");
    run = stage(f, BUILD);
    answers(f, await(f, DISPATCH_CALL_RUN), STR("\377\377\377garbage"));
    until(f, run, "FAILED");
    assert_string_equal(attempts(f, run), "failed:bad_report");
    run = stage(f, BUILD);
    reports(f, await(f, DISPATCH_CALL_RUN), "perfect", NULL);
    until(f, run, "FAILED");
    assert_string_equal(attempts(f, run), "failed:bad_report");
    run = stage(f, BUILD);
    fails(f, await(f, DISPATCH_CALL_RUN), GRPC_UNKNOWN, true);
    until(f, run, "FAILED");
    assert_string_equal(attempts(f, run), "failed:worker_reported_error");
    end(f);
}

static void an_async_stage_is_accepted_or_goes_on(void **state)
{
    struct fixture *f = begin(state);
    size_t first, second;
    int64_t run;

    runner(f, "alpha", "10.0.0.1:1");
    runner(f, "beta", "10.0.0.2:1");
    run = stage(f, DEPLOY);
    first = await(f, DISPATCH_CALL_ASYNC);
    assert_string_equal(look(f, "state", run), "LEASED");
    accepts(f, first, false);
    second = await(f, DISPATCH_CALL_ASYNC);
    assert_ptr_not_equal(f->called[first], f->called[second]);
    accepts(f, second, true);
    until(f, run, "RUNNING");
    while (counted(f, DISPATCH_TELLING))
        turn(f);
    assert_string_equal(attempts(f, run), "rejected:runner_refused");
    assert_int_equal(counted(f, DISPATCH_ACCEPTED), 1);
    end(f);
}

/* It may have been taken: the runner is told to stop, and another gets it. */
static void an_acceptance_that_does_not_come_is_none(void **state)
{
    struct fixture *f = begin(state);
    int64_t run;

    runner(f, "alpha", "10.0.0.1:1");
    runner(f, "beta", "10.0.0.2:1");
    run = stage(f, DEPLOY);
    fails(f, await(f, DISPATCH_CALL_ASYNC), GRPC_DEADLINE_EXCEEDED, true);
    answers(f, await(f, DISPATCH_CALL_CANCEL), STR(""));
    accepts(f, await(f, DISPATCH_CALL_ASYNC), true);
    until(f, run, "RUNNING");
    assert_string_equal(attempts(f, run), "rejected:not_accepted_in_time");
    end(f);
}

static void a_cancel_reaches_the_runner(void **state)
{
    struct fixture *f = begin(state);
    struct run_row row;
    int64_t run;
    size_t at;

    runner(f, "alpha", "10.0.0.1:1");
    run = stage(f, BUILD);
    at = await(f, DISPATCH_CALL_RUN);
    call(f, cancel, &run, &row, sizeof(row));
    answers(f, await(f, DISPATCH_CALL_CANCEL), STR(""));
    reports(f, at, "cancelled", NULL);
    until(f, run, "CANCELLED");

    run = stage(f, DEPLOY);
    accepts(f, await(f, DISPATCH_CALL_ASYNC), true);
    until(f, run, "RUNNING");
    call(f, cancel, &run, &row, sizeof(row));
    answers(f, await(f, DISPATCH_CALL_CANCEL), STR(""));
    end(f);
}

/* A round that follows another one at once asks the hub for news before it has told those. */
static void a_cancel_between_two_rounds_reaches_the_runner(void **state)
{
    struct fixture *f = begin(state);
    struct run_row row;
    int64_t run, begun;
    size_t at;

    runner(f, "alpha", "10.0.0.1:1");
    run = stage(f, BUILD);
    at = await(f, DISPATCH_CALL_RUN);
    dispatch_again(f->dispatch);
    while (!f->dispatch->round.busy)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    begun = clock_monotonic();
    call(f, cancel, &run, &row, sizeof(row));
    dispatch_again(f->dispatch);
    answers(f, await(f, DISPATCH_CALL_CANCEL), STR(""));
    assert_true(clock_monotonic() < begun + DISPATCH_KEEP_US / 2); /* not by the net */
    reports(f, at, "cancelled", NULL);
    until(f, run, "CANCELLED");
    end(f);
}

/* Taken back by somebody else, before the answer is there. */
static void take_back(struct fixture *f, struct lease_ref lease)
{
    const struct grant_refusal refusal = {.lease = lease};
    const struct grant_refuse asked = {&refusal, 1};
    struct task_codes codes;

    call(f, refuse, &asked, &codes, sizeof(codes));
}

static void an_acceptance_that_comes_too_late_is_told_to_stop(void **state)
{
    struct fixture *f = begin(state);
    struct lease_ref lease;
    size_t at;

    runner(f, "alpha", "10.0.0.1:1");
    stage(f, DEPLOY);
    at = await(f, DISPATCH_CALL_ASYNC);
    lease = lease_of(f, at);
    take_back(f, lease);
    accepts(f, at, true);
    at = await(f, DISPATCH_CALL_CANCEL);
    assert_int_equal(told_to_stop(f, at), lease.token);
    answers(f, at, STR(""));
    end(f);
}

/* It would be given out again at the accept deadline, with the first runner still at it. */
static void an_acceptance_that_the_store_cannot_take_is_told_to_stop(void **state)
{
    struct fixture *f = begin(state);
    int64_t bad, good;
    size_t at, other;

    runner(f, "alpha", "10.0.0.1:1");
    bad = stage(f, DEPLOY);
    at = await(f, DISPATCH_CALL_ASYNC);
    good = stage(f, DEPLOY);
    while (f->calls_n == 1)
        turn(f);
    other = 1;
    set(f, "retry = 'nonsense', state = 'NONSENSE'", bad);
    bad = lease_of(f, at).token;
    accepts(f, at, true);
    accepts(f, other, true);
    until(f, good, "RUNNING");
    at = await(f, DISPATCH_CALL_CANCEL);
    assert_int_equal(told_to_stop(f, at), bad);
    answers(f, at, STR(""));
    end(f);
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
    struct fixture *f = begin(state);
    int64_t run[2], last;
    size_t heard = 0;

    runner(f, "alpha", "10.0.0.1:1");
    run[0] = stage(f, DEPLOY);
    accepts(f, await(f, DISPATCH_CALL_ASYNC), true);
    until(f, run[0], "RUNNING");
    assert_true(str_int64(str_of(look(f, "worker", run[0])), &run[1]));
    call(f, add_crowd, run, &last, sizeof(last));
    while (heard < CROWD) {
        size_t at = await(f, DISPATCH_CALL_CANCEL);

        if (++heard == CROWD)
            assert_int_equal(told_to_stop(f, at), last);
        answers(f, at, STR(""));
    }
    /* Once each: who heeds none is told again after a while. */
    dispatch_again(f->dispatch);
    for (int64_t rounds = counted(f, DISPATCH_ROUNDS); counted(f, DISPATCH_ROUNDS) <= rounds + 1;)
        turn(f);
    assert_int_equal(counted(f, DISPATCH_CANCELS), CROWD);
    end(f);
}

/* Its lease was taken back meanwhile: nothing of it counts. */
static void an_answer_that_comes_too_late_counts_for_nothing(void **state)
{
    struct fixture *f = begin(state);
    struct lease_ref lease;
    int64_t run;
    size_t at;

    runner(f, "alpha", "10.0.0.1:1");
    runner(f, "beta", "10.0.0.2:1");
    run = stage(f, BUILD);
    at = await(f, DISPATCH_CALL_RUN);
    lease = lease_of(f, at);
    take_back(f, lease);
    while (f->calls_n == 1) /* another has it by now */
        turn(f);
    reports(f, at, "failed", NULL);
    while (counted(f, DISPATCH_TELLING))
        turn(f);
    assert_string_equal(look(f, "state", run), "RUNNING");
    reports(f, await(f, DISPATCH_CALL_RUN), NULL, NULL);
    until(f, run, "SUCCEEDED");
    assert_string_equal(attempts(f, run), "rejected: succeeded:");
    end(f);
}

/* A sync stage whose runner completes it by its token, and then answers its call. */
static void an_end_that_is_told_twice_counts_once(void **state)
{
    static const char *const outcomes[] = {NULL, "failed"};
    struct fixture *f = begin(state);

    runner(f, "alpha", "10.0.0.1:1");
    for (size_t i = 0; i < ROWS_N(outcomes); i++) {
        struct task_result result = {.outcome = OUTCOME_SUCCEEDED, .exit_code = -1};
        const struct task_complete asked = {&result, 1};
        struct task_codes codes;
        int64_t run = stage(f, BUILD);
        size_t at = await(f, DISPATCH_CALL_RUN);

        result.lease = lease_of(f, at);
        call(f, complete, &asked, &codes, sizeof(codes));
        assert_string_equal(look(f, "state", run), "SUCCEEDED");
        reports(f, at, outcomes[i], NULL);
        while (counted(f, DISPATCH_TELLING))
            turn(f);
        assert_string_equal(attempts(f, run), "succeeded:");
    }
    assert_int_equal(counted(f, DISPATCH_BAD_REPORTS), 0);
    end(f);
}

/* It may have been taken: the runner is told to stop, and another gets it. */
static void garbage_is_no_acceptance(void **state)
{
    struct fixture *f = begin(state);
    int64_t run, token;
    size_t at;

    runner(f, "alpha", "10.0.0.1:1");
    runner(f, "beta", "10.0.0.2:1");
    run = stage(f, DEPLOY);
    at = await(f, DISPATCH_CALL_ASYNC);
    token = lease_of(f, at).token;
    answers(f, at, STR("\377\377\377garbage"));
    at = await(f, DISPATCH_CALL_CANCEL);
    assert_int_equal(told_to_stop(f, at), token);
    answers(f, at, STR(""));
    accepts(f, await(f, DISPATCH_CALL_ASYNC), true);
    until(f, run, "RUNNING");
    assert_string_equal(attempts(f, run), "rejected:runner_unreachable");
    end(f);
}

static void a_runner_that_fails_again_and_again_is_left_alone(void **state)
{
    struct fixture *f = begin(state);
    int64_t runs[DISPATCH_FAILURES + 1];
    const int64_t *alone;
    struct arena a = {0};

    runner(f, "alpha", "10.0.0.1:1");
    for (size_t i = 0; i < DISPATCH_FAILURES; i++) {
        runs[i] = stage(f, BUILD);
        fails(f, await(f, DISPATCH_CALL_RUN), GRPC_INTERNAL, true);
        until(f, runs[i], "FAILED");
    }
    assert_int_equal(counted(f, DISPATCH_BREAKERS_OPEN), 1);
    assert_int_equal(dispatch_left_alone(f->dispatch, &a, &alone), 1);
    arena_deinit(&a);
    runs[DISPATCH_FAILURES] = stage(f, BUILD);
    runner(f, "beta", "10.0.0.2:1");
    assert_string_equal(f->called[await(f, DISPATCH_CALL_RUN)]->address, "10.0.0.2:1");
    end(f);
}

static void a_runner_that_never_accepts_is_left_alone(void **state)
{
    struct fixture *f = begin(state);

    runner(f, "alpha", "10.0.0.1:1");
    for (size_t i = 0; i < DISPATCH_FAILURES; i++)
        stage(f, DEPLOY);
    for (size_t i = 0; i < DISPATCH_FAILURES; i++) {
        assert_int_equal(counted(f, DISPATCH_BREAKERS_OPEN), 0);
        fails(f, await(f, DISPATCH_CALL_ASYNC), GRPC_DEADLINE_EXCEEDED, true);
    }
    assert_int_equal(counted(f, DISPATCH_BREAKERS_OPEN), 1);
    end(f);
}

static void an_address_that_is_none_costs_nothing(void **state)
{
    struct fixture *f = begin(state);
    int64_t run;

    runner(f, "alpha", "nowhere");
    run = stage(f, BUILD);
    until(f, run, "DELAYED");
    assert_string_equal(attempts(f, run), "rejected:runner_unreachable");
    end(f);
}

static void the_end_of_a_server_loses_what_it_calls(void **state)
{
    struct fixture *f = begin(state);
    int64_t run;

    runner(f, "alpha", "10.0.0.1:1");
    run = stage(f, BUILD);
    await(f, DISPATCH_CALL_RUN);
    drain(f, 0);
    assert_string_equal(attempts(f, run), "lost:worker_lost");
    assert_int_equal(counted(f, DISPATCH_CANCELS), 1);
    assert_string_equal(look(f, "state", run), "READY");
    end(f);
}

static void calls_have_the_time_of_a_drain(void **state)
{
    struct fixture *f = begin(state);
    int64_t run;
    size_t at;

    runner(f, "alpha", "10.0.0.1:1");
    run = stage(f, BUILD);
    at = await(f, DISPATCH_CALL_RUN);
    dispatch_drain(f->dispatch, 60 * CLOCK_S, over, f);
    stage(f, BUILD);
    reports(f, at, NULL, NULL);
    while (!f->over)
        turn(f);
    assert_string_equal(look(f, "state", run), "SUCCEEDED");
    assert_int_equal(f->calls_n, 1);
    end(f);
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
        STORE_TESTS(who_is_cut_off_is_told_to_stop),
        STORE_TESTS(failures_and_garbage_fail_the_attempt),
        STORE_TESTS(an_async_stage_is_accepted_or_goes_on),
        STORE_TESTS(an_acceptance_that_does_not_come_is_none),
        STORE_TESTS(a_cancel_reaches_the_runner),
        STORE_TESTS(a_cancel_between_two_rounds_reaches_the_runner),
        STORE_TESTS(an_acceptance_that_comes_too_late_is_told_to_stop),
        STORE_TESTS(an_acceptance_that_the_store_cannot_take_is_told_to_stop),
        STORE_TESTS(more_cancels_than_a_page_reach_their_runners),
        STORE_TESTS(an_answer_that_comes_too_late_counts_for_nothing),
        STORE_TESTS(an_end_that_is_told_twice_counts_once),
        STORE_TESTS(garbage_is_no_acceptance),
        STORE_TESTS(a_runner_that_fails_again_and_again_is_left_alone),
        STORE_TESTS(a_runner_that_never_accepts_is_left_alone),
        STORE_TESTS(an_address_that_is_none_costs_nothing),
        STORE_TESTS(the_end_of_a_server_loses_what_it_calls),
        STORE_TESTS(calls_have_the_time_of_a_drain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
