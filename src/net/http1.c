/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http1.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "net/http1_state.h"
#include "net/sse.h"

#define KEEP_BYTES ((size_t)2 << 10) /* of a buffer, while a connection is idle */
#define OPEN_US    (250 * CLOCK_MS)  /* a stream that was not refused by then has begun */

/* Each function that takes bytes returns whether there is something to go on with. */
static bool take_head(struct http1 *h, struct str *cur)
{
    const struct net_limits *l = &http1_shared(h)->limits;
    struct http_head head;
    const char *why;
    int r;

    if (cur->n == 0)
        return false;
    if (!h->head_begun) {
        h->head_begun = true;
        h->since = http1_now(h);
    }
    /* A head is tried again only with a new line end, so that it costs no more in single bytes. */
    if (h->looked > 0 && cur->n <= l->head_bytes &&
        !str_find(str_sub(*cur, h->looked, cur->n), '\n', NULL)) {
        h->looked = cur->n;
        return false;
    }
    h->looked = cur->n;
    r = http_head_parse(str_sub(*cur, 0, l->head_bytes), l->head_fields, &head, &why);
    if (r == HTTP_HEAD_E_MORE && cur->n < l->head_bytes)
        return false;
    h->fresh = false;
    if (r) {
        h->bodiless = false;
        h->reply = (struct http1_reply){.minor = 1};
        if (r == HTTP_HEAD_E_MORE || r == HTTP_HEAD_E_MANY) {
            http1_refused(h, METRICS_HEAD);
            http1_refuse_and_close(h, 431, CODE_TOO_LARGE, "the head of the request is too large");
        } else {
            http1_refused(h, METRICS_MALFORMED);
            http1_refuse_and_close(h, r, CODE_INVALID, why);
        }
        return false;
    }
    http1_take_request(h, &head);
    *cur = str_sub(*cur, head.bytes, cur->n);
    h->looked = 0;
    return true;
}

/* One piece of the body; false where it was refused. */
static bool add_body(struct http1 *h, struct str data)
{
    assert(h->x);
    h->received += data.n;
    if (http1_too_large(h, h->received, data.n)) {
        http1_drop(h);
        return false;
    }
    http1_shared(h)->bodies_bytes += data.n;
    buf_add(&h->x->body, data);
    return true;
}

static bool take_chunks(struct http1 *h, struct str *cur, bool *ret_whole)
{
    const char *why;
    struct str data;

    while (cur->n > 0 && h->chunk.state != CHUNK_END) {
        if (chunk_take(&h->chunk, cur, &data, &why)) {
            http1_refused(h, METRICS_MALFORMED);
            http1_refuse_and_close(h, 400, CODE_INVALID, why);
            http1_drop(h);
            return false;
        }
        if (!add_body(h, data))
            return false;
    }
    *ret_whole = h->chunk.state == CHUNK_END;
    return true;
}

static bool take_body(struct http1 *h, struct str *cur)
{
    struct str data;
    bool whole;

    assert(h->x);
    if (cur->n == 0)
        return false;
    if (h->chunked) {
        if (!take_chunks(h, cur, &whole))
            return false;
    } else {
        data = str_sub(*cur, 0, h->left < cur->n ? (size_t)h->left : cur->n);
        *cur = str_sub(*cur, data.n, cur->n);
        if (!add_body(h, data))
            return false;
        h->left -= data.n;
        whole = h->left == 0;
    }
    if (whole)
        http1_begin_call(h);
    return whole;
}

/* A stream whose messages have gone out goes on. */
static bool pull(struct http1 *h)
{
    if (!h->x || !h->pull_wanted || h->x->cancelled || h->out.n - h->out_at >= NET_OUT_BYTES)
        return false;
    h->pull_wanted = false;
    h->x->call.pull(&h->x->call);
    return true;
}

static void work(struct http1 *h, struct str *cur)
{
    bool on = true;

    while (on && !h->p.closing && h->out.n - h->out_at < NET_OUT_BYTES)
        switch (h->state) {
        case HTTP1_HEAD:
            on = take_head(h, cur);
            break;
        case HTTP1_BODY:
            on = take_body(h, cur);
            break;
        case HTTP1_CALL:
            on = pull(h);
            break;
        }
}

/* ---- the host's side ---- */

static int64_t soonest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t call_deadline(const struct http1 *h)
{
    const struct net_limits *l = &http1_shared(h)->limits;
    int64_t at = INT64_MAX;

    if (h->x->cancelled)
        return at;
    at = h->x->call.deadline_us;
    if (h->ended)
        at = soonest(at, h->since + l->gone_us);
    if (h->x->call.method->replies == METHOD_STREAM)
        at = soonest(at, h->sent_at + (h->streaming ? l->beat_us : OPEN_US));
    return at;
}

/* Replies that their client does not take are held as requests are. */
static void count_unsent(struct http1 *h, size_t n)
{
    http1_shared(h)->bodies_bytes += n - h->unsent;
    h->unsent = n;
}

/* Say to the host what it shall know. */
void http1_settle(struct http1 *h)
{
    const struct net_limits *l = &http1_shared(h)->limits;
    size_t waiting = h->in.n - h->in_at;

    count_unsent(h, h->out.n - h->out_at);
    h->p.paused = waiting > l->head_bytes && (h->state == HTTP1_CALL || h->out.n > h->out_at);
    /* Behind what it has understood there is nothing, or a beginning that stays one. */
    if (h->ended && h->state == HTTP1_HEAD && h->looked == waiting)
        h->p.closing = true;
    if (h->p.closing) {
        h->p.deadline_us = INT64_MAX;
        return;
    }
    switch (h->state) {
    case HTTP1_HEAD:
        h->p.deadline_us = h->since + (h->head_begun ? l->head_us
                                       : h->fresh    ? l->first_byte_us
                                                     : l->idle_us);
        break;
    case HTTP1_BODY:
        h->p.deadline_us = h->since + l->body_us;
        if (l->body_rate)
            h->p.deadline_us += (int64_t)(h->received * CLOCK_S / l->body_rate);
        break;
    case HTTP1_CALL:
        h->p.deadline_us = h->x ? call_deadline(h) : INT64_MAX;
        break;
    }
}

/* What is left of the input is kept for the next time. */
static void keep_input(struct http1 *h, struct str cur)
{
    if (h->in.p && cur.p >= h->in.p && cur.p <= h->in.p + h->in.n) {
        h->in_at = (size_t)(cur.p - h->in.p);
    } else {
        buf_clear(&h->in);
        h->in_at = 0;
        buf_add(&h->in, cur);
    }
    if (h->in_at == h->in.n || h->p.closing) {
        h->in_at = 0;
        buf_clear(&h->in);
        if (h->in.cap > KEEP_BYTES) {
            buf_deinit(&h->in);
            buf_init(&h->in, HTTP1_BYTES_MAX);
        }
    }
}

static struct str input(const struct http1 *h)
{
    return str_sub(buf_str(&h->in), h->in_at, h->in.n);
}

static void feed(struct protocol *p, struct str bytes)
{
    struct http1 *h = (struct http1 *)p;
    struct str cur = bytes;

    if (h->p.closing)
        return;
    if (h->in.n > h->in_at) {
        memmove(h->in.p, h->in.p + h->in_at, h->in.n - h->in_at);
        h->in.n -= h->in_at;
        h->in_at = 0;
        buf_add(&h->in, bytes);
        cur = input(h);
    }
    work(h, &cur);
    keep_input(h, cur);
    http1_settle(h);
}

static void drain(struct protocol *p, struct buf *out)
{
    struct http1 *h = (struct http1 *)p;
    struct str cur = input(h);
    size_t n;

    work(h, &cur);
    keep_input(h, cur);
    n = h->out.n - h->out_at;
    if (n > out->max - out->n)
        n = out->max - out->n;
    if (n > 0)
        buf_add(out, str_sub(buf_str(&h->out), h->out_at, n));
    h->out_at += n;
    if (h->out_at == h->out.n) {
        h->out_at = 0;
        buf_clear(&h->out);
        if (h->out.cap > KEEP_BYTES) {
            buf_deinit(&h->out);
            buf_init(&h->out, HTTP1_BYTES_MAX);
        }
    }
    http1_settle(h);
}

static void end(struct protocol *p)
{
    struct http1 *h = (struct http1 *)p;

    h->ended = true;
    /* A head that stays a beginning is looked at once more: it may be none. */
    h->looked = 0;
    if (h->state == HTTP1_BODY) {
        http1_drop(h);
        h->p.closing = true;
    } else if (h->state == HTTP1_CALL && h->x->call.method->replies == METHOD_STREAM) {
        http1_cancel(h->x);
    } else if (h->state == HTTP1_CALL && h->x->call.hasten) {
        h->x->call.hasten(&h->x->call);
    }
    http1_settle(h);
}

static void call_expired(struct http1 *h)
{
    const struct net_limits *l = &http1_shared(h)->limits;
    int64_t at = http1_now(h);

    if (at >= h->x->call.deadline_us) {
        h->x->expired = true;
        http1_cancel(h->x);
    } else if (h->ended && at >= h->since + l->gone_us) {
        http1_cancel(h->x);
    } else {
        http1_stream_head(h);
        http1_stream_bytes(h, STR(SSE_BEAT));
    }
}

static void expire(struct protocol *p)
{
    struct http1 *h = (struct http1 *)p;

    if (h->state == HTTP1_CALL) {
        call_expired(h);
    } else if (h->state == HTTP1_HEAD && !h->head_begun) {
        if (h->fresh)
            http1_refused(h, METRICS_SILENT);
        h->p.closing = true;
    } else {
        http1_refused(h, h->state == HTTP1_HEAD ? METRICS_HEAD_TIME : METRICS_BODY_RATE);
        h->reply = (struct http1_reply){.minor = 1};
        http1_refuse_and_close(h, 408, CODE_TIMEOUT,
                               h->x ? "the body came too slowly" : "the head took too long");
        http1_drop(h);
    }
    http1_settle(h);
}

static void retire(struct protocol *p)
{
    struct http1 *h = (struct http1 *)p;

    h->reply.keep = false;
    if (h->state == HTTP1_HEAD && !h->head_begun && h->out.n == h->out_at)
        h->p.closing = true;
    else if (h->state == HTTP1_CALL && h->x->call.method->replies == METHOD_STREAM)
        http1_cancel(h->x);
    http1_settle(h);
}

static void http1_free(struct protocol *p)
{
    struct http1 *h = (struct http1 *)p;
    struct http1_exchange *x = TAKE(h->x);

    if (x) {
        x->h = NULL;
        if (h->state == HTTP1_CALL)
            http1_cancel(x);
        else
            http1_exchange_free(x);
    }
    count_unsent(h, 0);
    buf_deinit(&h->in);
    buf_deinit(&h->out);
    free(h);
}

static const struct protocol_type http1_type = {
    .name = "http/1.1",
    .feed = feed,
    .end = end,
    .drain = drain,
    .expire = expire,
    .retire = retire,
    .free = http1_free,
};

struct protocol *http1_new(struct protocol_host *host)
{
    struct http1 *h = memory_new(sizeof(*h));

    h->p.type = &http1_type;
    h->p.host = host;
    h->fresh = true;
    h->since = http1_now(h);
    buf_init(&h->in, HTTP1_BYTES_MAX);
    buf_init(&h->out, HTTP1_BYTES_MAX);
    http1_settle(h);
    return &h->p;
}
