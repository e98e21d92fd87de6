/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/dispatch_testing.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/codec.h"
#include "base/clock.h"
#include "base/memory.h"
#include "engine/worker.h"
#include "net/grpc.h"
#include "serve/dispatch_state.h"

/* ---- runners ---- */

static int fake_peer(void *context, struct str address, struct caller_peer **ret,
                     const char **ret_why)
{
    struct push *f = context;
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

static struct push *the_fixture; /* of the test that runs */

static void fake_start(struct caller_peer *p, struct caller_call *call)
{
    struct push *f = the_fixture;

    assert_true(f->calls_n < PUSH_CALLS_MAX && !p->left);
    f->called[f->calls_n] = p;
    f->calls[f->calls_n++] = call;
}

static void fake_cancel(struct caller_call *call)
{
    struct push *f = the_fixture;

    for (size_t i = 0; i < f->calls_n; i++)
        f->cancelled[i] |= f->calls[i] == call;
}

void push_turn(struct push *f)
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

size_t push_await(struct push *f, const char *path)
{
    for (;;) {
        for (size_t i = 0; i < f->calls_n; i++)
            if (f->calls[i] && strcmp(f->calls[i]->path, path) == 0)
                return i;
        push_turn(f);
    }
}

void push_fails(struct push *f, size_t at, int status, bool sent)
{
    struct caller_call *call = TAKE(f->calls[at]);

    call->status = status;
    call->sent = sent;
    call->text = STR("it failed");
    call->done(call);
}

void push_answers(struct push *f, size_t at, struct str reply)
{
    struct caller_call *call = TAKE(f->calls[at]);

    call->status = GRPC_OK;
    call->sent = true;
    call->reply = reply;
    call->done(call);
}

void push_answers_message(struct push *f, size_t at, const ProtobufCMessage *m)
{
    char bytes[1024];
    struct buf out;

    buf_fixed(&out, bytes, sizeof(bytes));
    codec_encode(m, &out);
    push_answers(f, at, buf_str(&out));
}

void push_reports(struct push *f, size_t at, const char *outcome, const char *result)
{
    Weft__V1__StageReport m = WEFT__V1__STAGE_REPORT__INIT;
    Weft__V1__Error e = WEFT__V1__ERROR__INIT;

    m.outcome = (char *)(uintptr_t)outcome;
    m.has_result = result != NULL;
    m.result = (ProtobufCBinaryData){result ? strlen(result) : 0, (uint8_t *)(uintptr_t)result};
    e.code = e.message = (char *)(uintptr_t) "E1";
    if (outcome)
        m.error = &e;
    push_answers_message(f, at, &m.base);
}

void push_accepts(struct push *f, size_t at, bool accepted)
{
    Weft__V1__RunAsyncReply m = WEFT__V1__RUN_ASYNC_REPLY__INIT;

    m.has_accepted = true;
    m.accepted = accepted;
    m.reason = accepted ? NULL : (char *)(uintptr_t) "no room";
    push_answers_message(f, at, &m.base);
}

/* ---- the store ---- */

void push_call(struct push *f, batcher_function *function, const void *request, void *reply,
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
BATCHER_FUNCTION(refuse, grant_refuse)

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

int64_t push_stage(struct push *f, struct str demand)
{
    const struct stage s = {.demand = demand, .timeout_us = 60 * CLOCK_S};
    int64_t run;

    push_call(f, add, &s, &run, sizeof(run));
    return run;
}

void push_runner(struct push *f, const char *name, const char *address)
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

    push_call(f, join, &j, &joined, sizeof(joined));
}

const char *push_look(struct push *f, const char *what, int64_t run)
{
    char sql[300];
    const char *found;

    snprintf(sql, sizeof(sql), "SELECT %s FROM task WHERE run = %" PRId64, what, run);
    found = store_testing_sql(f->t, sql);
    return found ? found : "";
}

void push_set(struct push *f, const char *what, int64_t run)
{
    char sql[300];

    snprintf(sql, sizeof(sql), "UPDATE task SET %s WHERE run = %" PRId64, what, run);
    store_testing_sql(f->t, sql);
}

void push_until(struct push *f, int64_t run, const char *state)
{
    while (strcmp(push_look(f, "state", run), state) != 0)
        push_turn(f);
}

const char *push_attempts(struct push *f, int64_t run)
{
    return push_look(
        f,
        f->t->backend == STORE_SQLITE
            ? "(SELECT group_concat(o, ' ') FROM (SELECT outcome || ':' || reason AS o "
              "FROM attempt a WHERE a.task = task.id ORDER BY a.token))"
            : "(SELECT string_agg(outcome || ':' || reason, ' ' ORDER BY a.token) "
              "FROM attempt a WHERE a.task = task.id)",
        run);
}

int64_t push_counted(const struct push *f, enum dispatch_count what)
{
    struct dispatch_stats s = f->last;

    if (!f->over)
        dispatch_stats(f->dispatch, &s);
    return s.n[what];
}

/* ---- the fixture ---- */

struct push *push_begin(void **state, size_t runners)
{
    static const struct {
        const char *name, *address;
    } known[] = {
        {"alpha", "10.0.0.1:1"},
        {"beta",  "10.0.0.2:1"},
    };
    struct push *f = memory_new(sizeof(*f));
    struct batcher_options o = {.name = "writer"};
    struct dispatch_options d = {.loop = &f->loop, .callback = STR("127.0.0.1:7411")};

    assert_true(runners <= ROWS_N(known));
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
    for (size_t i = 0; i < runners; i++)
        push_runner(f, known[i].name, known[i].address);
    return f;
}

size_t push_called(struct push *f, struct str demand, int64_t *ret_run)
{
    *ret_run = push_stage(f, demand);
    return push_await(f, str_eq(demand, DEPLOY) ? DISPATCH_CALL_ASYNC : DISPATCH_CALL_RUN);
}

/* Until then it may be asked. */
void push_over(void *context)
{
    struct push *f = context;
    struct arena a = {0};
    const int64_t *alone;

    dispatch_stats(f->dispatch, &f->last);
    assert_int_equal(dispatch_left_alone(f->dispatch, &a, &alone), 0);
    arena_deinit(&a);
    f->over = true;
}

void push_drain(struct push *f, int64_t grace_us)
{
    dispatch_drain(f->dispatch, grace_us, push_over, f);
    while (!f->over) {
        for (size_t i = 0; i < f->calls_n; i++)
            if (f->calls[i] && strcmp(f->calls[i]->path, DISPATCH_CALL_CANCEL) == 0)
                push_answers(f, i, STR(""));
        push_turn(f);
    }
}

void push_end(struct push *f)
{
    if (!f->over)
        push_drain(f, 0);
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

struct lease_ref push_lease(struct push *f, size_t at)
{
    return ((struct dispatch_flight *)f->calls[at]->context)->lease;
}

void push_take_back(struct push *f, struct lease_ref lease)
{
    const struct grant_refusal refusal = {.lease = lease};
    const struct grant_refuse asked = {&refusal, 1};
    struct task_codes codes;

    push_call(f, refuse, &asked, &codes, sizeof(codes));
}
