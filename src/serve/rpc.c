/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/rpc.h"

#include <assert.h>
#include <stdlib.h>

#include "api/protojson.h"
#include "base/broken.h"
#include "base/clock.h"
#include "base/memory.h"
#include "core/lease.h"
#include "engine/idempotency.h"
#include "serve/methods_within.h"

static struct rpc *rpc_of(struct call *c)
{
    return c->server;
}

/* The end. */

void rpc_soon(struct rpc *rpc, void (*what)(struct rpc *rpc))
{
    bool comes = rpc->soon;

    rpc->soon = what;
    if (!comes)
        methods_soon(rpc->methods, rpc);
}

static void over(struct rpc *rpc)
{
    if (!rpc->parted)
        methods_answered(rpc->methods, rpc, rpc->call);
    methods_over(rpc->methods, rpc);
    rpc->call->done(rpc->call);
}

void rpc_message_shared(struct rpc *rpc, ProtobufCMessage *message, struct call_bytes *bytes)
{
    rpc->call->reply = message;
    rpc->call->bytes = bytes;
    rpc->call->message(rpc->call);
}

void rpc_message(struct rpc *rpc, ProtobufCMessage *message)
{
    rpc_message_shared(rpc, message, NULL);
}

void rpc_finish(struct rpc *rpc, ProtobufCMessage *reply)
{
    const struct api_action *action = rpc->row->action;

    rpc->call->code = CODE_OK;
    rpc->call->reply = reply;
    if (reply && action->etag)
        rpc->call->etag = action->etag(reply);
    rpc->ended = true;
    rpc_soon(rpc, over);
}

void rpc_refuse(struct rpc *rpc, const struct batcher_answer *answer)
{
    struct call *c = rpc->call;

    assert(answer->code != CODE_OK);
    c->code = answer->code;
    c->text = answer->text;
    c->details = answer->details;
    c->details_n = answer->details_n;
    c->retry_after_us = answer->retry_after_us;
    c->reply = NULL;
    rpc->ended = true;
    rpc_soon(rpc, over);
}

void rpc_refuse_code(struct rpc *rpc, enum code code, const char *text)
{
    rpc_refuse(rpc, &(struct batcher_answer){.code = code, .text = str_of(text)});
}

static enum code cancelled_as(const struct rpc *rpc)
{
    if (clock_monotonic() >= rpc->call->deadline_us)
        return CODE_DEADLINE_EXCEEDED;
    return methods_draining(rpc->methods) ? CODE_UNAVAILABLE : CODE_CANCELLED;
}

void rpc_end_cancelled(struct rpc *rpc)
{
    enum code code = cancelled_as(rpc);

    rpc_refuse_code(rpc, code,
                    code == CODE_DEADLINE_EXCEEDED ? "the time that the client gave has passed"
                    : code == CODE_UNAVAILABLE     ? "the server is about to end"
                                                   : "the client has cancelled the call");
}

/* The store does not answer. */

static struct batcher *batcher_for(const struct rpc *rpc)
{
    const struct api_house *house = rpc->api.house;

    return rpc->row->method.kind == METHOD_READ ? house->reader : house->writer;
}

/* Nobody's: what has to be done before a call may be forgotten is done for it, too. */
static void parted_done(struct call *c)
{
    arena_deinit(&c->arena);
    free(c);
}

static void parted_message(struct call *c)
{
    (void)c;
}

/* Part the rpc from its caller. All that another thread may see stays where it is. */
static void part(struct rpc *rpc)
{
    struct call *c = rpc->call, *nobody = memory_new(sizeof(*nobody));

    *nobody = *c;
    nobody->done = parted_done;
    nobody->message = parted_message;
    c->arena = (struct arena){0};
    c->peer = str_copy(&c->arena, nobody->peer);
    c->idempotency_key = str_copy(&c->arena, nobody->idempotency_key);
    c->server = NULL;
    c->request = NULL;
    rpc->call = nobody;
    rpc->api.arena = &nobody->arena;
    rpc->parted = rpc->cancelled = true;
}

/* Whether it had not been begun, and never will be. */
static bool withdraw(struct rpc *rpc, enum code code)
{
    if (rpc->pooled)
        return uv_cancel((uv_req_t *)&rpc->pool) == 0;
    return batcher_withdraw(batcher_for(rpc), &rpc->q, code);
}

void rpc_give_up(struct rpc *rpc)
{
    double waited = (double)(clock_monotonic() - rpc->posted_us) / CLOCK_S;
    const char *what = "and nobody knows yet whether this was done";
    struct call *c = rpc->call;

    if (withdraw(rpc, CODE_STORE_UNAVAILABLE))
        what = "and this was not begun";
    part(rpc);
    c->code = CODE_STORE_UNAVAILABLE;
    c->text = str_printf(&c->arena, "the store has not answered for %.1f s, %s", waited, what);
    c->retry_after_us = CLOCK_S;
    c->reply = NULL;
    methods_answered(rpc->methods, rpc, c);
    c->done(c);
    if (rpc->on_cancel)
        rpc->on_cancel(rpc);
}

/* One transaction. */

/* A request with a key: the function, and around it the reply that is kept. */
struct keyed {
    struct idempotency idempotency;
    const struct table_row *row;
    const void *request;
    struct rpc_keyed reply;
};

static int keyed_again(struct tx *tx, const struct keyed *k, struct str kept,
                       ProtobufCMessage **reply)
{
    struct doc_error error;

    if (protojson_decode(tx->arena, k->row->method.reply, BROKEN(AGAIN) ? STR("{}") : kept, reply,
                         &error))
        return tx_damaged(tx, "the reply that is kept for the key \"%.*s\" cannot be read",
                          STR_ARG(k->idempotency.key));
    return 0;
}

static int keyed_run(struct tx *tx, const void *request, void *reply)
{
    const struct keyed *k = request;
    const struct api_action *action = k->row->action;
    struct rpc_keyed *ret = reply;
    void *got = arena_alloc(tx->arena, action->reply_size);
    struct str kept;
    struct buf text;
    int r = idempotency_find(tx, &k->idempotency, &kept);

    if (r)
        return r;
    if (kept.n && !BROKEN(KEY))
        return keyed_again(tx, k, kept, &ret->message);
    r = action->function(tx, k->request, got);
    if (r)
        return r;
    ret->got = got;
    ret->message = action->encode(tx->arena, k->request, got);
    if ((action->keeps && !action->keeps(got)) || kept.n)
        return 0;
    buf_init(&text, API_BYTES_MAX);
    protojson_encode(ret->message, &text);
    r = idempotency_keep(tx, &k->idempotency, buf_str(&text));
    buf_deinit(&text);
    return r;
}

static struct str digest_of(struct rpc *rpc)
{
    char *out = arena_alloc(rpc->api.arena, LEASE_DIGEST_BYTES);
    struct str digest, bytes;
    struct buf b;

    buf_init(&b, API_BYTES_MAX);
    codec_encode(rpc->call->request, &b);
    bytes = buf_str(&b);
    digest = lease_digest(&bytes, 1, out);
    buf_deinit(&b);
    return digest;
}

static void posted_done(struct batcher_request *q)
{
    struct rpc *rpc = q->context;

    rpc->posted_us = 0;
    methods_unposted(rpc->methods);
    rpc->done(q);
}

static void post(struct rpc *rpc, batcher_function *function, const void *request, void *reply,
                 size_t reply_size, void (*done)(struct batcher_request *q))
{
    const struct api_action *action = rpc->row->action;
    struct batcher_request *q = &rpc->q;

    *q = (struct batcher_request){
        .name = rpc->row->method.name,
        .function = function,
        .many = function == action->function ? action->many : NULL,
        .turn = action->turn,
        .request = request,
        .reply = reply,
        .reply_size = reply_size,
        .bytes = rpc->api.arena->bytes,
        .deadline_us = rpc->call->deadline_us == INT64_MAX ? 0 : rpc->call->deadline_us,
        .patience_us = BATCHER_CALL_US,
        .home = methods_home(rpc->methods),
        .done = posted_done,
        .context = rpc,
    };
    rpc->done = done;
    rpc->posted_us = clock_monotonic();
    methods_posted(rpc->methods);
    batcher_post(batcher_for(rpc), &q, 1);
}

void rpc_post(struct rpc *rpc, void (*done)(struct batcher_request *q))
{
    const struct api_action *action = rpc->row->action;

    post(rpc, action->function, rpc->request, rpc->reply, action->reply_size, done);
}

/* What several requests share cannot be taken over: the refusal's text is copied, and `encode` of
 * such a row copies what it shows. */
static void take_over(struct rpc *rpc)
{
    struct batcher_request *q = &rpc->q;

    q->answer.text = str_copy(rpc->api.arena, q->answer.text);
    arena_adopt(rpc->api.arena, &q->arena);
    batcher_release(q);
}

void rpc_answered(struct rpc *rpc)
{
    const struct batcher_answer *answer = &rpc->q.answer;
    ProtobufCMessage *reply = NULL;

    if (answer->code == CODE_OK)
        reply = rpc->row->action->encode(rpc->api.arena, rpc->request, rpc->reply);
    take_over(rpc);
    if (answer->code != CODE_OK)
        rpc_refuse(rpc, answer);
    else
        rpc_finish(rpc, reply);
}

static void answered(struct batcher_request *q)
{
    rpc_answered(q->context);
}

const struct rpc_keyed *rpc_keyed(const struct rpc *rpc)
{
    const struct keyed *k = rpc->q.request;

    return &k->reply;
}

void rpc_keyed_answered(struct rpc *rpc)
{
    take_over(rpc);
    if (rpc->q.answer.code != CODE_OK)
        rpc_refuse(rpc, &rpc->q.answer);
    else
        rpc_finish(rpc, rpc_keyed(rpc)->message);
}

static void keyed_answered(struct batcher_request *q)
{
    rpc_keyed_answered(q->context);
}

void rpc_post_keyed(struct rpc *rpc, void (*done)(struct batcher_request *q))
{
    struct keyed *k = ARENA_NEW(rpc->api.arena, struct keyed);

    k->idempotency = (struct idempotency){
        .key = rpc->call->idempotency_key,
        .method = str_of(rpc->row->method.name),
        .digest = digest_of(rpc),
    };
    k->row = rpc->row;
    k->request = rpc->request;
    post(rpc, keyed_run, k, &k->reply, sizeof(k->reply), done);
}

/* More than one, on a thread of the pool. */

static void pool_begun(uv_work_t *pool)
{
    struct rpc *rpc = pool->data;

    rpc->work(rpc);
}

static void pool_done(uv_work_t *pool, int status)
{
    struct rpc *rpc = pool->data;

    rpc->posted_us = 0;
    rpc->pooled = false;
    methods_unposted(rpc->methods);
    rpc->worked(rpc, status);
}

void rpc_pool(struct rpc *rpc, void (*work)(struct rpc *rpc),
              void (*worked)(struct rpc *rpc, int status))
{
    rpc->work = work;
    rpc->worked = worked;
    rpc->posted_us = clock_monotonic();
    rpc->pooled = true;
    rpc->pool.data = rpc;
    methods_posted(rpc->methods);
    uv_queue_work(methods_loop(rpc->methods), &rpc->pool, pool_begun, pool_done);
}

static void work(struct rpc *rpc)
{
    rpc->row->action->work(&rpc->at_work, rpc->request, &rpc->found);
}

static void worked(struct rpc *rpc, int status)
{
    arena_adopt(rpc->api.arena, &rpc->work_arena);
    if (status == UV_ECANCELED)
        rpc_end_cancelled(rpc);
    else if (rpc->at_work.answer.code != CODE_OK)
        rpc_refuse(rpc, &rpc->at_work.answer);
    else
        rpc_finish(rpc, rpc->found);
}

/* The beginning. */

static void cancel(struct call *c)
{
    struct rpc *rpc = rpc_of(c);

    if (rpc->cancelled || rpc->ended)
        return;
    rpc->cancelled = true;
    if (rpc->posted_us)
        withdraw(rpc, cancelled_as(rpc));
    if (rpc->on_cancel)
        rpc->on_cancel(rpc);
}

static void hasten(struct call *c)
{
    struct rpc *rpc = rpc_of(c);

    if (rpc->on_drain && !rpc->cancelled && !rpc->ended)
        rpc->on_drain(rpc);
}

static void pull(struct call *c)
{
    struct rpc *rpc = rpc_of(c);

    if (rpc->on_pull && !rpc->cancelled && !rpc->ended)
        rpc->on_pull(rpc);
}

static int check_key(struct rpc *rpc)
{
    struct str key = rpc->call->idempotency_key;

    if (key.n > CALL_KEY_BYTES_MAX || !str_utf8(key, NULL) || str_find(key, '\0', NULL))
        return api_refuse(&rpc->api, CODE_INVALID,
                          "the idempotency key has at most %u bytes of UTF-8", CALL_KEY_BYTES_MAX);
    return 0;
}

static int decode(struct rpc *rpc)
{
    const struct api_action *action = rpc->row->action;

    rpc->request = arena_alloc(rpc->api.arena, action->request_size);
    rpc->reply = arena_alloc(rpc->api.arena, action->reply_size);
    if (check_key(rpc))
        return API_E_REFUSED;
    return action->decode ? action->decode(&rpc->api, rpc->call->request, rpc->request) : 0;
}

/* A call that is long, where too many are. */
static bool refuse_full(struct rpc *rpc)
{
    const struct api_action *action = rpc->row->action;

    if ((!action->begin && !action->work) || !methods_full(rpc->methods))
        return false;
    rpc_refuse(rpc, &(struct batcher_answer){
                        .code = CODE_RESOURCE_EXHAUSTED,
                        .text = STR("too many calls wait or stream at once; try again later"),
                        .retry_after_us = CLOCK_S});
    return true;
}

void rpc_start(struct methods *m, struct call *c)
{
    struct rpc *rpc = ARENA_NEW(&c->arena, struct rpc);
    const struct api_action *action;

    rpc->methods = m;
    rpc->call = c;
    rpc->row = table_row(c->method);
    rpc->api = (struct api){.arena = &c->arena, .house = methods_house(m)};
    rpc->begun_us = clock_monotonic();
    c->server = rpc;
    c->cancel = cancel;
    c->hasten = hasten;
    c->pull = pull;
    action = rpc->row->action;
    methods_begun(m, rpc);
    if (rpc->begun_us >= c->deadline_us) {
        rpc_end_cancelled(rpc);
    } else if (decode(rpc)) {
        rpc_refuse(rpc, &rpc->api.answer);
    } else if (refuse_full(rpc) || (action->begin && action->begin(rpc))) {
        /* It is over, or waits and ends by itself. */
    } else if (action->work) {
        rpc->at_work = (struct api){.arena = &rpc->work_arena, .house = rpc->api.house};
        rpc_pool(rpc, work, worked);
    } else if (c->idempotency_key.n && rpc->row->method.kind == METHOD_WRITE) {
        rpc_post_keyed(rpc, keyed_answered);
    } else {
        rpc_post(rpc, answered);
    }
}
