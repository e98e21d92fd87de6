/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "api/protojson.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/http1_state.h"
#include "net/sse.h"

/* ---- replies ---- */

static void request_ended(struct http1 *h)
{
    h->state = HTTP1_HEAD;
    h->since = http1_now(h);
    h->head_begun = false;
    h->looked = 0;
    h->streaming = false;
    h->pull_wanted = false;
    if (!h->reply.keep)
        h->p.closing = true;
}

static void count(struct http1 *h, size_t bytes)
{
    int status = h->reply.status;

    assert(status > 0 && status < METRICS_STATUS_MAX);
    http1_shared(h)->metrics.http[status]++;
    log_say(LOG_DEBUG, "http_request", LOG_TEXT("peer", h->p.host->peer),
            LOG_TEXT("method", h->x ? str_of(h->x->call.method->name) : STR("")),
            LOG_TEXT("id", h->reply.id), LOG_NUMBER("status", status), LOG_NUMBER("bytes", bytes),
            LOG_NUMBER("us", http1_now(h) - h->since));
}

/* A whole reply. The request is over with it. */
void http1_answer(struct http1 *h, const char *type, struct str body)
{
    h->reply.type = type;
    h->reply.length = body.n;
    if (http1_shared(h)->retiring)
        h->reply.keep = false;
    http1_reply_head(&h->reply, clock_utc(), &h->out);
    if (!h->bodiless && h->reply.status != 204 && h->reply.status != 304)
        buf_add(&h->out, body);
    count(h, body.n);
    request_ended(h);
}

void http1_answer_problem(struct http1 *h, const struct problem *p)
{
    struct buf *b = &http1_shared(h)->scratch;

    buf_clear(b);
    problem_json(p, b);
    h->reply.status = p->status;
    http1_answer(h, PROBLEM_TYPE, buf_str(b));
}

void http1_refuse(struct http1 *h, int status, enum code code, struct str text)
{
    http1_answer_problem(h, &(struct problem){.status = status, .code = code, .detail = text});
}

void http1_refuse_code(struct http1 *h, enum code code, struct str text)
{
    http1_refuse(h, code_http(code), code, text);
}

/* Where the next request begins is not known any more. */
void http1_refuse_and_close(struct http1 *h, int status, enum code code, const char *text)
{
    h->reply.keep = false;
    http1_refuse(h, status, code, str_of(text));
}

/* ---- calls ---- */

void http1_exchange_free(struct http1_exchange *x)
{
    struct net_shared *s = x->shared;

    assert(s->bodies_bytes >= x->body.n);
    s->bodies_bytes -= x->body.n;
    buf_deinit(&x->body);
    arena_deinit(&x->call.arena);
    free(x);
}

/* Part it from its connection, which reads on. */
void http1_drop(struct http1 *h)
{
    struct http1_exchange *x = TAKE(h->x);

    if (x)
        http1_exchange_free(x);
}

void http1_stream_head(struct http1 *h)
{
    if (h->streaming)
        return;
    h->streaming = true;
    h->reply.status = 200;
    h->reply.type = SSE_TYPE;
    h->reply.stream = true;
    h->reply.keep = h->reply.keep && h->reply.minor > 0 && !http1_shared(h)->retiring;
    http1_reply_head(&h->reply, clock_utc(), &h->out);
}

void http1_stream_bytes(struct http1 *h, struct str bytes)
{
    h->sent_at = http1_now(h);
    if (h->reply.minor == 0) {
        buf_add(&h->out, bytes);
        return;
    }
    buf_printf(&h->out, "%zx\r\n", bytes.n);
    buf_add(&h->out, bytes);
    buf_add(&h->out, STR("\r\n"));
}

static void on_message(struct call *c)
{
    struct http1_exchange *x = c->transport;
    struct http1 *h = x->h;
    struct buf event;

    if (!h)
        return;
    http1_stream_head(h);
    if (c->bytes && c->bytes->sse.p) {
        http1_stream_bytes(h, c->bytes->sse);
    } else {
        buf_init(&event, HTTP1_BYTES_MAX);
        sse_message(c->reply, &x->shared->scratch, &event);
        http1_stream_bytes(h, buf_str(&event));
        if (c->bytes)
            c->bytes->sse = str_copy(c->bytes->arena, buf_str(&event));
        buf_deinit(&event);
    }
    h->pull_wanted = true;
    http1_settle(h);
    h->p.host->wake(h->p.host);
}

static struct problem problem_of(const struct call *c)
{
    return (struct problem){.status = code_http(c->code),
                            .code = c->code,
                            .detail = c->text,
                            .details = c->details,
                            .details_n = c->details_n};
}

static void stream_ended(struct http1 *h, const struct call *c)
{
    struct buf *data = &http1_shared(h)->scratch, event;
    struct problem p = problem_of(c);

    buf_clear(data);
    if (c->code == CODE_OK)
        buf_add(data, STR("{}"));
    else
        problem_json(&p, data);
    buf_init(&event, HTTP1_BYTES_MAX);
    sse_event((struct str){0}, c->code == CODE_OK ? STR("end") : STR("problem"), buf_str(data),
              &event);
    http1_stream_bytes(h, buf_str(&event));
    buf_deinit(&event);
    if (h->reply.minor > 0)
        buf_add(&h->out, STR("0\r\n\r\n"));
    count(h, 0);
    request_ended(h);
}

static void reply_of(struct http1 *h, struct http1_exchange *x)
{
    struct call *c = &x->call;
    struct buf *b = &x->shared->scratch;

    h->reply.retry_after_us = c->retry_after_us;
    if (c->code != CODE_OK) {
        struct problem p = problem_of(c);

        http1_answer_problem(h, &p);
        return;
    }
    h->reply.status = 200;
    h->reply.etag = c->etag;
    if (c->method->verb == METHOD_GET && c->etag.n > 0 && x->if_none_match.n > 0 &&
        http1_reply_has_etag(x->if_none_match, c->etag)) {
        h->reply.status = 304;
        http1_answer(h, NULL, (struct str){0});
        return;
    }
    buf_clear(b);
    protojson_encode(c->reply, b);
    if (b->full)
        http1_refuse_code(h, CODE_TOO_LARGE,
                          STR("the reply is larger than the server sends; ask for less at once"));
    else
        http1_answer(h, "application/json", buf_str(b));
    if (b->cap > NET_OUT_BYTES) {
        buf_deinit(b);
        buf_init(b, HTTP1_BYTES_MAX);
    }
}

static void on_done(struct call *c)
{
    struct http1_exchange *x = c->transport;
    struct net_shared *s = x->shared;
    struct http1 *h = x->h;

    if (x->expired && c->code != CODE_OK) {
        c->code = CODE_DEADLINE_EXCEEDED;
        c->text = STR("the request was not done within its Request-Timeout");
    }
    if (h) {
        if (h->streaming || (c->method->replies == METHOD_STREAM && c->code == CODE_OK)) {
            http1_stream_head(h);
            stream_ended(h, c);
        } else {
            reply_of(h, x);
        }
        h->x = NULL;
        http1_settle(h);
        h->p.host->wake(h->p.host);
    }
    http1_exchange_free(x);
    protocol_call_ended(s);
}

void http1_cancel(struct http1_exchange *x)
{
    if (x->cancelled)
        return;
    x->cancelled = true;
    x->call.cancel(&x->call);
}

struct http1_exchange *http1_exchange_new(struct http1 *h, const struct route_match *m)
{
    struct http1_exchange *x = memory_new(sizeof(*x));

    x->h = h;
    x->shared = http1_shared(h);
    x->match = *m;
    x->call.method = m->method;
    x->call.deadline_us = INT64_MAX;
    x->call.peer = str_copy(&x->call.arena, h->p.host->peer);
    x->call.id = str_copy(&x->call.arena, h->reply.id);
    x->call.message = on_message;
    x->call.done = on_done;
    x->call.transport = x;
    buf_init(&x->body, HTTP1_BYTES_MAX);
    return x;
}
