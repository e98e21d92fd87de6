/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1, whatever a client sends: the parser of heads, chunked bodies, and the whole protocol
 * over a service that answers from nothing.
 *
 * What must hold: a shorter beginning of a head that is taken asks for more; the same bytes in
 * other pieces give the same replies; each request that was begun is answered once or cancelled;
 * nothing is left behind.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "api/codec.h"
#include "net/chunk.h"
#include "net/http1.h"
#include "net/http_head.h"
#include "net/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SENT_MAX ((size_t)16 << 20)

/* ---- the service: every method answers at once, but for a claim, which waits ---- */

static const struct method get = {
    .name = "queues.get",
    .request = &weft__v1__queue_request__descriptor,
    .reply = &weft__v1__queue__descriptor,
    .verb = METHOD_GET,
    .path = "/v1/queues/{queue}",
};
static const struct method put = {
    .name = "queues.put",
    .request = &weft__v1__put_queue_request__descriptor,
    .reply = &weft__v1__queue__descriptor,
    .verb = METHOD_PUT,
    .path = "/v1/queues/{queue}",
};
static const struct method claim = {
    .name = "queues.claim",
    .request = &weft__v1__claim_request__descriptor,
    .reply = &weft__v1__claim_response__descriptor,
    .verb = METHOD_POST,
    .path = "/v1/queues/{queue}:claim",
};
static const struct method watch = {
    .name = "runs.watch",
    .request = &weft__v1__watch_request__descriptor,
    .reply = &weft__v1__event__descriptor,
    .replies = METHOD_STREAM,
    .verb = METHOD_GET,
    .path = "/v1/runs/{id}:watch",
};
static const struct method *const methods[] = {&get, &put, &claim, &watch};

static unsigned started, ended;
static struct call *held;

static void finish(struct call *c, enum code code)
{
    ended++;
    if (held == c)
        held = NULL;
    c->code = code;
    c->text = STR("a sentence");
    c->etag = STR("v1");
    c->done(c);
}

static void cancel(struct call *c)
{
    finish(c, CODE_CANCELLED);
}

static void pull(struct call *c)
{
    finish(c, CODE_OK);
}

static void start(void *context, struct call *c)
{
    (void)context;
    started++;
    c->cancel = cancel;
    c->pull = pull;
    c->reply = codec_new(&c->arena, c->method->reply->sizeof_message, c->method->reply);
    if (c->method == &claim)
        held = c;
    else if (c->method == &watch)
        c->message(c);
    else
        finish(c, c->request->n_unknown_fields ? CODE_INTERNAL : CODE_OK);
}

static const struct call_service service = {methods, sizeof(methods) / sizeof(methods[0]), start,
                                            NULL};

/* ---- the host ---- */

struct host {
    struct net_shared shared;
    struct protocol_host host;
    struct protocol *p;
    struct buf sent;
    bool busy;
};

static int64_t now(void)
{
    return 0;
}

static void drain(struct host *h)
{
    struct buf out;
    size_t n;

    buf_init(&out, NET_OUT_BYTES);
    do {
        buf_clear(&out);
        h->busy = true;
        h->p->type->drain(h->p, &out);
        h->busy = false;
        assert(!out.full);
        n = out.n;
        buf_add(&h->sent, buf_str(&out));
        /* Whoever is asked to wait for what is held does not wait. */
        if (n == 0 && held) {
            finish(held, CODE_OK);
            n = 1;
        }
    } while (n > 0);
    buf_deinit(&out);
}

static void wake(struct protocol_host *host)
{
    (void)host;
}

static bool admit(struct protocol_host *host, int64_t *ret_retry_after_us)
{
    (void)host;
    (void)ret_retry_after_us;
    return true;
}

static void small_buffer(struct protocol_host *host)
{
    (void)host;
}

/* Serve the bytes in pieces of `step`. */
static void serve(struct str bytes, size_t step, const struct route *routes, struct buf *ret_sent)
{
    struct host h = {.shared = {.limits = NET_LIMITS_DEFAULT}};

    h.shared.limits.head_bytes = 512;
    h.shared.limits.head_fields = 16;
    h.shared.limits.body_bytes = 1000;
    h.shared.service = &service;
    h.shared.routes = routes;
    h.shared.now = now;
    h.host = (struct protocol_host){.shared = &h.shared,
                                    .peer = STR("192.0.2.1"),
                                    .wake = wake,
                                    .admit = admit,
                                    .small_buffer = small_buffer};
    buf_init(&h.shared.scratch, SENT_MAX);
    buf_init(&h.sent, SENT_MAX);
    started = ended = 0;
    h.p = http1_new(&h.host);
    for (size_t at = 0; at < bytes.n && !h.p->closing; at += step) {
        h.busy = true;
        h.p->type->feed(h.p, str_sub(bytes, at, step));
        h.busy = false;
        drain(&h);
    }
    h.p->type->end(h.p);
    drain(&h);
    h.p->type->free(h.p);
    assert(started == ended && !held);
    assert(h.shared.metrics.calls == 0 && h.shared.bodies_bytes == 0);
    buf_deinit(&h.shared.scratch);
    *ret_sent = h.sent;
}

/* The date may be another one: it is blanked. */
static void without_dates(struct buf *b)
{
    char *at = b->p, *found;

    while (at && (found = memmem(at, b->n - (size_t)(at - b->p), "\r\nDate: ", 8))) {
        at = found + 8;
        for (; at < b->p + b->n && *at != '\r'; at++)
            *at = '-';
    }
}

static void try_protocol(struct str bytes, const struct route *routes)
{
    struct buf whole, parts;

    serve(bytes, bytes.n + 1, routes, &whole);
    serve(bytes, 1 + bytes.n % 7, routes, &parts);
    without_dates(&whole);
    without_dates(&parts);
    assert(str_eq(buf_str(&whole), buf_str(&parts)));
    assert(whole.n == 0 || str_starts(buf_str(&whole), STR("HTTP/1.1 ")));
    buf_deinit(&whole);
    buf_deinit(&parts);
}

static void try_head(struct str bytes)
{
    struct http_head head;
    const char *why;
    int r = http_head_parse(bytes, 16, &head, &why);

    if (r)
        return;
    assert(head.bytes <= bytes.n && head.path.n > 0);
    assert(!head.chunked || head.length == 0);
    for (size_t n = 0; n < head.bytes; n++)
        assert(http_head_parse(str_sub(bytes, 0, n), 16, &head, &why) == HTTP_HEAD_E_MORE);
}

static void try_chunks(struct str bytes)
{
    struct chunk c = {0};
    const char *why;
    struct str data;
    size_t n = 0, before;

    while (bytes.n > 0 && c.state != CHUNK_END) {
        before = bytes.n;
        if (chunk_take(&c, &bytes, &data, &why))
            return;
        n += data.n;
        assert(bytes.n < before && data.n <= before - bytes.n);
    }
    assert(n <= SENT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct route *routes;
    struct str bytes = {(const char *)data, size};

    if (!routes)
        routes = route_new(methods, sizeof(methods) / sizeof(methods[0]));
    if (size > 4096)
        return 0;
    try_head(bytes);
    try_chunks(bytes);
    try_protocol(bytes, routes);
    return 0;
}
