/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/calls_testing.h"

#include <stdlib.h>

#include "api/protojson.h"
#include "base/clock.h"
#include "serve/jsoncall.h"
#include "serve/table.h"

#define WAIT_US (10 * CLOCK_S)

static struct batcher *batcher_at(struct calls_testing *c, enum store_mode mode)
{
    struct batcher_options o = {
        .name = mode == STORE_WRITE ? "writer" : "reader",
        .store = {.url = str_of(c->t->url), .mode = mode},
        .hub = c->hub,
    };
    struct batcher *b;

    assert_int_equal(batcher_new(&o, &b), 0);
    return b;
}

void calls_testing_init(struct calls_testing *c, void **state)
{
    *c = (struct calls_testing){.t = store_testing(state)};
    assert_int_equal(uv_loop_init(&c->loop), 0);
    c->hub = hub_new(&(struct hub_options){0});
    c->house.writer = batcher_at(c, STORE_WRITE);
    c->house.reader = batcher_at(c, STORE_READ);
    c->house.hub = c->hub;
    c->house.data = c->t->folder;
    c->house.url = str_of(c->t->url);
    c->house.self = (struct guardian_self){.host = STR("here"), .boot = STR("b"), .pid = 1};
    assert_int_equal(methods_new(&c->loop, &c->house, &c->m), 0);
}

void calls_testing_deinit(struct calls_testing *c)
{
    batcher_stop(c->house.reader);
    batcher_stop(c->house.writer);
    methods_settle(c->m);
    c->m = methods_free(c->m);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&c->loop), 0);
    batcher_free(c->house.reader);
    batcher_free(c->house.writer);
    hub_free(c->hub);
    client_problem_clear(&c->problem);
    arena_deinit(&c->arena);
}

static json_t *tree_of(const char *request)
{
    json_t *tree = request ? json_loads(request, JSON_DECODE_ANY, NULL) : NULL;

    if (request && !tree)
        fail_msg("%s is no JSON", request);
    return tree;
}

const char *calls_testing_ok(struct calls_testing *c, const char *method, const char *request)
{
    json_t *tree = tree_of(request), *reply;
    const char *out;
    char *text;

    client_problem_clear(&c->problem);
    if (jsoncall(c->m, &c->loop, method, tree, &reply, &c->problem))
        fail_msg("%s %s: %s", method, request ? request : "", c->problem.text);
    json_decref(tree);
    text = json_dumps(reply, JSON_COMPACT | JSON_ENCODE_ANY);
    out = str_cstr(&c->arena, str_of(text));
    free(text);
    json_decref(reply);
    return out;
}

enum code calls_testing_refused(struct calls_testing *c, const char *method, const char *request)
{
    json_t *tree = tree_of(request), *reply;

    client_problem_clear(&c->problem);
    if (!jsoncall(c->m, &c->loop, method, tree, &reply, &c->problem))
        fail_msg("%s %s was not refused", method, request ? request : "");
    json_decref(tree);
    return c->problem.code;
}

const char *calls_testing_field(struct calls_testing *c, const char *reply, const char *key)
{
    const char *at = strstr(reply, str_printf(&c->arena, "\"%s\":\"", key).p);
    size_t n;

    if (!at)
        fail_msg("no %s in %s", key, reply);
    at += strlen(key) + 4;
    assert_true(str_find(str_of(at), '"', &n));
    return str_cstr(&c->arena, str_sub(str_of(at), 0, n));
}

static const char *text_of(struct calls_testing *c, const ProtobufCMessage *m)
{
    const char *out;
    struct buf b;

    buf_init(&b, 1 << 24);
    protojson_encode(m, &b);
    out = str_cstr(&c->arena, buf_str(&b));
    buf_deinit(&b);
    return out;
}

static void message(struct call *call)
{
    struct calls_testing_call *t = call->transport;

    t->messages++;
    t->reply = text_of(t->c, call->reply);
    buf_printf(&t->history, "%s\n", t->reply);
    if (!t->holds)
        call->pull(call);
}

static void done(struct call *call)
{
    struct calls_testing_call *t = call->transport;

    assert_false(t->done);
    t->done = true;
    if (call->code == CODE_OK && call->reply)
        t->reply = text_of(t->c, call->reply);
}

void calls_testing_begin(struct calls_testing *c, struct calls_testing_call *ret,
                         const char *method, const char *request)
{
    struct doc_error error = {0};
    ProtobufCMessage *m;

    ret->c = c;
    ret->call.method = table_find(method);
    assert_non_null(ret->call.method);
    if (protojson_decode(&ret->call.arena, ret->call.method->request, str_of(request), &m, &error))
        fail_msg("%s: " STR_FMT, request, STR_ARG(error.text));
    ret->call.request = m;
    ret->call.message = message;
    ret->call.done = done;
    ret->call.transport = ret;
    buf_init(&ret->history, 1 << 24);
    methods_start(c->m, &ret->call);
}

void calls_testing_start(struct calls_testing *c, struct calls_testing_call *ret,
                         const char *method, const char *request)
{
    *ret = (struct calls_testing_call){.call.deadline_us = INT64_MAX};
    calls_testing_begin(c, ret, method, request);
}

static void ring(uv_timer_t *timer)
{
    (void)timer;
}

/* One turn of the loop, which a timer ends, so that a lost wake-up fails the test. */
static void turn(struct calls_testing *c, int64_t begun_us)
{
    uv_timer_t timer;

    uv_timer_init(&c->loop, &timer);
    uv_timer_start(&timer, ring, 100, 0);
    uv_run(&c->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&c->loop, UV_RUN_NOWAIT);
    if (clock_monotonic() - begun_us > WAIT_US)
        fail_msg("nothing comes");
}

void calls_testing_wait(struct calls_testing_call *call)
{
    int64_t begun = clock_monotonic();

    while (!call->done)
        turn(call->c, begun);
}

void calls_testing_wait_messages(struct calls_testing_call *call, size_t n)
{
    int64_t begun = clock_monotonic();

    while (call->messages < n && !call->done)
        turn(call->c, begun);
    assert_true(call->messages >= n);
}

void calls_testing_settle(struct calls_testing *c)
{
    /* The writer takes what came before it first. */
    calls_testing_ok(c, "queues.put", "{\"queue\": \"settled\"}");
}

void calls_testing_end(struct calls_testing_call *call)
{
    assert_true(call->done);
    buf_deinit(&call->history);
    arena_deinit(&call->call.arena);
}

const char *calls_testing_complete(struct calls_testing *c, const char *token, const char *more)
{
    return calls_testing_ok(c, "leases.complete",
                            REQUEST(c, "{\"results\": [{\"token\": \"%s\", %s}]}", token, more));
}
