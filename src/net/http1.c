/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http1.h"

#include <assert.h>
#include <stdlib.h>

#include "api/codec.h"
#include "api/protojson.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/chunk.h"
#include "net/http1_reply.h"
#include "net/http_head.h"
#include "net/problem.h"
#include "net/route.h"
#include "net/sse.h"

#define BYTES_MAX         ((size_t)1 << 30) /* not a client's choice: a bug where it is passed */
#define KEEP_BYTES        ((size_t)2 << 10) /* of a buffer, while a connection is idle */
#define OPEN_US           (250 * CLOCK_MS)  /* a stream that was not refused by then has begun */
#define TIMEOUT_US_MAX    (24 * 3600 * CLOCK_S)
#define TIMEOUT_BYTES_MAX 16u

enum state { HEAD, BODY, CALL };

/* A request from the end of its head to `done`, which may come after the connection has gone. */
struct exchange {
    struct call call;
    struct http1 *h; /* NULL: the client has gone */
    struct net_shared *shared;
    struct route_match match; /* its values are the arena's */
    struct str query, if_match, if_none_match, last_event_id;
    struct buf body;
    bool expired;
    bool cancelled;
};

struct http1 {
    struct protocol p;
    enum state state;
    struct buf in; /* what was read and not yet understood, from in_at on */
    size_t in_at;
    size_t looked; /* so much of it has no line end that was not tried */
    struct buf out;
    size_t out_at;
    bool fresh; /* nothing was ever read */
    bool ended; /* the client sends no more */

    /* The request that is being read or answered. */
    struct exchange *x;
    struct chunk chunk;
    struct http1_reply reply;
    bool bodiless; /* it is a HEAD */
    bool chunked;
    uint64_t left;     /* of a body with a length */
    uint64_t received; /* of the body */
    int64_t since;     /* when the head, the body or the call began, or the connection fell idle */
    bool head_begun;
    int64_t sent_at;  /* the newest bytes of a stream */
    bool streaming;   /* its head has gone out */
    bool pull_wanted; /* its newest message has been taken */
};

static int64_t now(const struct http1 *h)
{
    return h->p.host->shared->now();
}

static struct net_shared *shared(const struct http1 *h)
{
    return h->p.host->shared;
}

static void refused(const struct http1 *h, enum metrics_refusal limit)
{
    shared(h)->metrics.refused[limit]++;
}

/* ---- replies ---- */

static void request_ended(struct http1 *h)
{
    h->state = HEAD;
    h->since = now(h);
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
    shared(h)->metrics.http[status]++;
    log_say(LOG_DEBUG, "http_request", LOG_TEXT("peer", h->p.host->peer),
            LOG_TEXT("method", h->x ? str_of(h->x->call.method->name) : STR("")),
            LOG_NUMBER("status", status), LOG_NUMBER("bytes", bytes),
            LOG_NUMBER("us", now(h) - h->since));
}

/* A whole reply. The request is over with it. */
static void answer(struct http1 *h, const char *type, struct str body)
{
    h->reply.type = type;
    h->reply.length = body.n;
    if (shared(h)->retiring)
        h->reply.keep = false;
    http1_reply_head(&h->reply, clock_utc(), &h->out);
    if (!h->bodiless && h->reply.status != 204 && h->reply.status != 304)
        buf_add(&h->out, body);
    count(h, body.n);
    request_ended(h);
}

static void answer_problem(struct http1 *h, const struct problem *p)
{
    struct buf *b = &shared(h)->scratch;

    buf_clear(b);
    problem_json(p, b);
    h->reply.status = p->status;
    answer(h, PROBLEM_TYPE, buf_str(b));
}

static void refuse(struct http1 *h, int status, enum code code, struct str text)
{
    answer_problem(h, &(struct problem){.status = status, .code = code, .detail = text});
}

static void refuse_code(struct http1 *h, enum code code, struct str text)
{
    refuse(h, code_http(code), code, text);
}

/* Where the next request begins is not known any more. */
static void refuse_and_close(struct http1 *h, int status, enum code code, const char *text)
{
    h->reply.keep = false;
    refuse(h, status, code, str_of(text));
}

/* ---- calls ---- */

static void exchange_free(struct exchange *x)
{
    struct net_shared *s = x->shared;

    assert(s->bodies_bytes >= x->body.n);
    s->bodies_bytes -= x->body.n;
    buf_deinit(&x->body);
    arena_deinit(&x->call.arena);
    free(x);
}

/* Part it from its connection, which reads on. */
static void drop(struct http1 *h)
{
    struct exchange *x = TAKE(h->x);

    if (x)
        exchange_free(x);
}

static void settle(struct http1 *h);

static void stream_head(struct http1 *h)
{
    if (h->streaming)
        return;
    h->streaming = true;
    h->reply.status = 200;
    h->reply.type = SSE_TYPE;
    h->reply.stream = true;
    h->reply.keep = h->reply.keep && h->reply.minor > 0 && !shared(h)->retiring;
    http1_reply_head(&h->reply, clock_utc(), &h->out);
}

static void stream_bytes(struct http1 *h, struct str bytes)
{
    h->sent_at = now(h);
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
    struct exchange *x = c->transport;
    struct http1 *h = x->h;
    struct buf event;

    if (!h)
        return;
    stream_head(h);
    buf_init(&event, BYTES_MAX);
    sse_message(c->reply, &x->shared->scratch, &event);
    stream_bytes(h, buf_str(&event));
    buf_deinit(&event);
    h->pull_wanted = true;
    settle(h);
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
    struct buf *data = &shared(h)->scratch, event;
    struct problem p = problem_of(c);

    buf_clear(data);
    if (c->code == CODE_OK)
        buf_add(data, STR("{}"));
    else
        problem_json(&p, data);
    buf_init(&event, BYTES_MAX);
    sse_event((struct str){0}, c->code == CODE_OK ? STR("end") : STR("problem"), buf_str(data),
              &event);
    stream_bytes(h, buf_str(&event));
    buf_deinit(&event);
    if (h->reply.minor > 0)
        buf_add(&h->out, STR("0\r\n\r\n"));
    count(h, 0);
    request_ended(h);
}

static void reply_of(struct http1 *h, struct exchange *x)
{
    struct call *c = &x->call;
    struct buf *b = &x->shared->scratch;

    h->reply.retry_after_us = c->retry_after_us;
    if (c->code != CODE_OK) {
        struct problem p = problem_of(c);

        answer_problem(h, &p);
        return;
    }
    h->reply.status = 200;
    h->reply.etag = c->etag;
    if (c->method->verb == METHOD_GET && c->etag.n > 0 && x->if_none_match.n > 0 &&
        http1_reply_has_etag(x->if_none_match, c->etag)) {
        h->reply.status = 304;
        answer(h, NULL, (struct str){0});
        return;
    }
    buf_clear(b);
    protojson_encode(c->reply, b);
    if (b->full)
        refuse_code(h, CODE_TOO_LARGE,
                    STR("the reply is larger than the server sends; ask for less at once"));
    else
        answer(h, "application/json", buf_str(b));
    if (b->cap > NET_OUT_BYTES) {
        buf_deinit(b);
        buf_init(b, BYTES_MAX);
    }
}

static void on_done(struct call *c)
{
    struct exchange *x = c->transport;
    struct net_shared *s = x->shared;
    struct http1 *h = x->h;

    if (x->expired && c->code != CODE_OK) {
        c->code = CODE_DEADLINE_EXCEEDED;
        c->text = STR("the request was not done within its Request-Timeout");
    }
    if (h) {
        if (h->streaming || (c->method->replies == METHOD_STREAM && c->code == CODE_OK)) {
            stream_head(h);
            stream_ended(h, c);
        } else {
            reply_of(h, x);
        }
        h->x = NULL;
        settle(h);
        h->p.host->wake(h->p.host);
    }
    exchange_free(x);
    protocol_call_ended(s);
}

static void cancel(struct exchange *x)
{
    if (x->cancelled)
        return;
    x->cancelled = true;
    x->call.cancel(&x->call);
}

/* ---- what a request says ---- */

/* The message from body, query, path and fields. Returns 0, or 1 when it has been refused. */
static int make_request(struct http1 *h, struct exchange *x, ProtobufCMessage **ret)
{
    const struct method *m = x->call.method;
    struct arena *a = &x->call.arena;
    struct doc_error e = {0};
    struct str text = {0};
    int r;

    if (x->body.n > 0 && protojson_decode(a, m->request, buf_str(&x->body), ret, &e)) {
        answer_problem(h, &(struct problem){400, CODE_INVALID, e.text, &e, 1});
        return 1;
    }
    if (x->body.n == 0)
        *ret = codec_new(a, m->request->sizeof_message, m->request);
    r = route_fill(&x->match, x->query, a, *ret, &text);
    if (!r && x->if_match.n > 0)
        r = protojson_set(a, *ret, STR("etag"), x->if_match, &text);
    if (!r && x->last_event_id.n > 0) {
        /* A browser that comes again repeats the query of its first time. */
        route_clear(*ret, "after");
        r = protojson_set(a, *ret, STR("after"), x->last_event_id, &text);
    }
    if (r) {
        refuse_code(h, CODE_INVALID, text);
        return 1;
    }
    return 0;
}

static void begin_call(struct http1 *h)
{
    struct exchange *x = h->x;
    ProtobufCMessage *request;

    assert(x);
    if (make_request(h, x, &request)) {
        drop(h);
        return;
    }
    h->state = CALL;
    h->since = h->sent_at = now(h);
    x->call.request = request;
    protocol_call_begins(x->shared);
    if (x->call.method->replies == METHOD_STREAM)
        h->p.host->small_buffer(h->p.host);
    x->shared->service->start(x->shared->service->context, &x->call);
}

/* "30" or "1.5", in seconds. */
static bool timeout(struct str s, int64_t *ret_us)
{
    struct buf b;
    char text[TIMEOUT_BYTES_MAX + 2];

    if (s.n == 0 || s.n > TIMEOUT_BYTES_MAX)
        return false;
    buf_fixed(&b, text, sizeof(text));
    buf_add(&b, s);
    buf_byte(&b, 's');
    return clock_duration(buf_str(&b), ret_us) && *ret_us > 0 && *ret_us <= TIMEOUT_US_MAX &&
           s.p[s.n - 1] >= '0' && s.p[s.n - 1] <= '9';
}

/* A browser says from which page a request comes. Only our own pages may ask, and where we listen
 * for this machine alone, only under a name of this machine: else any page that a user of it looks
 * at could (with DNS that answers 127.0.0.1, even as one of "our own"). */
static const char *forbidden(const struct http1 *h, const struct http_head *head)
{
    struct str origin = head->fields[HTTP_ORIGIN], host = head->fields[HTTP_HOST];
    size_t at;

    if (origin.p &&
        (!str_find(origin, ':', &at) || !str_starts(str_sub(origin, at, 3), STR("://")) ||
         !http_head_same(str_sub(origin, at + 3, origin.n), host)))
        return "pages of another origin may not use this server";
    if (h->p.host->loopback && !protocol_is_local(shared(h), host))
        return "this server is asked as localhost, by an address, or by the name in its setting "
               "\"host\"";
    return NULL;
}

/* JSON by its name, or by none. `curl -d` and Python's urllib call every body a form; one that a
 * page of a browser sends says its Origin. */
static bool says_json(const struct http_head *head)
{
    struct str type = head->fields[HTTP_CONTENT_TYPE];

    return !type.p || http1_reply_is_type(type, STR("application/json")) ||
           (!head->fields[HTTP_ORIGIN].p &&
            http1_reply_is_type(type, STR("application/x-www-form-urlencoded")));
}

/* What the fields must say before a body is worth reading. Returns 0, or 1 when refused. */
static int check_fields(struct http1 *h, const struct http_head *head, const struct method *m)
{
    const struct str *f = head->fields;
    bool reads = m->verb == METHOD_GET || m->verb == METHOD_DELETE;
    struct str type = m->replies == METHOD_STREAM ? STR(SSE_TYPE) : STR("application/json");
    size_t key = f[HTTP_IDEMPOTENCY_KEY].n;

    if (reads && (head->chunked || head->length > 0))
        refuse(h, 400, CODE_INVALID, STR("a request with this verb has no body"));
    else if (!reads && head->query.n > 0)
        refuse(h, 400, CODE_INVALID, STR("a request with a body has no query"));
    else if (!says_json(head))
        refuse(h, 415, CODE_UNSUPPORTED_MEDIA_TYPE,
               STR("a request's Content-Type is application/json, in UTF-8 (curl sends it with "
                   "--json)"));
    else if (f[HTTP_CONTENT_ENCODING].n > 0 &&
             !http_head_same(f[HTTP_CONTENT_ENCODING], STR("identity")))
        refuse(h, 415, CODE_UNSUPPORTED_MEDIA_TYPE, STR("a body is sent as it is, unpacked"));
    else if (!http1_reply_accepts(f[HTTP_ACCEPT], type))
        refuse(h, 406, CODE_NOT_ACCEPTABLE,
               m->replies == METHOD_STREAM ? STR("this is answered as " SSE_TYPE)
                                           : STR("this is answered as application/json"));
    else if (f[HTTP_IDEMPOTENCY_KEY].p && (key == 0 || key > CALL_KEY_BYTES_MAX))
        refuse(h, 400, CODE_INVALID, STR("an Idempotency-Key has 1 to 200 bytes"));
    else
        return 0;
    return 1;
}

/* What the fields bring into the call. Returns 0, or 1 when refused. */
static int keep_fields(struct http1 *h, const struct http_head *head, struct exchange *x)
{
    const struct str *f = head->fields;
    struct arena *a = &x->call.arena;
    int64_t us;
    size_t at;

    if (f[HTTP_IDEMPOTENCY_KEY].n > 0 && !str_utf8(f[HTTP_IDEMPOTENCY_KEY], &at)) {
        refuse(h, 400, CODE_INVALID, STR("an Idempotency-Key is UTF-8"));
        return 1;
    }
    x->call.idempotency_key = str_copy(a, f[HTTP_IDEMPOTENCY_KEY]);
    if (f[HTTP_REQUEST_TIMEOUT].p) {
        if (!timeout(f[HTTP_REQUEST_TIMEOUT], &us)) {
            refuse(h, 400, CODE_INVALID,
                   STR("Request-Timeout is a number of seconds, at most 86400"));
            return 1;
        }
        x->call.deadline_us = now(h) + us;
    }
    if (f[HTTP_IF_MATCH].p && !str_eq(f[HTTP_IF_MATCH], STR("*"))) {
        if (!route_has(x->call.method, "etag") ||
            !http1_reply_etag(f[HTTP_IF_MATCH], &x->if_match)) {
            refuse(h, 400, CODE_INVALID,
                   STR("If-Match is one ETag in quotes, where there is one to match"));
            return 1;
        }
        x->if_match = str_copy(a, x->if_match);
    }
    if (route_has(x->call.method, "after"))
        x->last_event_id = str_copy(a, f[HTTP_LAST_EVENT_ID]);
    x->if_none_match = str_copy(a, f[HTTP_IF_NONE_MATCH]);
    x->query = str_copy(a, head->query);
    for (size_t i = 0; i < x->match.fields_n; i++)
        x->match.fields[i].value = str_copy(a, x->match.fields[i].value);
    return 0;
}

/* ---- requests ---- */

static bool verb_of(struct str s, enum method_verb *ret)
{
    static const struct {
        const char *text;
        enum method_verb verb;
    } verbs[] = {
        {"GET",    METHOD_GET   },
        {"POST",   METHOD_POST  },
        {"PUT",    METHOD_PUT   },
        {"DELETE", METHOD_DELETE},
        {"HEAD",   METHOD_GET   },
    };

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (str_eq(s, str_of(verbs[i].text))) {
            *ret = verbs[i].verb;
            return true;
        }
    return false;
}

/* Answer with what a path allows: to OPTIONS, or to a wrong verb. */
static void answer_allow(struct http1 *h, struct str verb, unsigned verbs)
{
    h->reply.allow = verbs;
    if (str_eq(verb, STR("OPTIONS"))) {
        h->reply.status = 204;
        answer(h, NULL, (struct str){0});
        return;
    }
    refuse(h, 405, CODE_METHOD_NOT_ALLOWED, STR("the path has no such verb; Allow says which"));
}

/* The server's own pages. Returns whether it was one. */
static bool page(struct http1 *h, const struct http_head *head)
{
    const struct net_shared *s = shared(h);
    struct buf body;

    for (size_t i = 0; i < s->pages_n; i++) {
        if (!str_eq(head->path, str_of(s->pages[i].path)))
            continue;
        if (!str_eq(head->verb, STR("GET")) && !h->bodiless) {
            answer_allow(h, head->verb, 1u << METHOD_GET);
            return true;
        }
        buf_init(&body, BYTES_MAX);
        h->reply.status = s->pages[i].fill(s->pages[i].context, &body);
        answer(h, s->pages[i].type, buf_str(&body));
        buf_deinit(&body);
        return true;
    }
    return false;
}

/* Nothing of the request matters but the refusal. Returns whether it was refused. */
static bool gate(struct http1 *h, const struct http_head *head)
{
    const char *why = forbidden(h, head);
    int64_t retry_us = 0;

    if (why) {
        refuse(h, 403, CODE_PERMISSION_DENIED, str_of(why));
        return true;
    }
    if (!h->p.host->admit(h->p.host, &retry_us)) {
        refused(h, METRICS_RATE);
        h->reply.retry_after_us = retry_us;
        refuse_code(h, CODE_RATE_LIMITED, STR("too many requests a second from this address"));
        return true;
    }
    if (page(h, head))
        return true;
    if (shared(h)->retiring) {
        h->reply.retry_after_us = CLOCK_S;
        refuse_code(h, CODE_UNAVAILABLE, STR("the server is about to end"));
        return true;
    }
    return false;
}

static bool find_method(struct http1 *h, const struct http_head *head, struct route_match *m)
{
    enum method_verb verb = METHOD_GET;
    bool known = verb_of(head->verb, &verb);
    int r = route_find(shared(h)->routes, verb, head->path, m);

    if (str_eq(head->target, STR("*")))
        answer_allow(h, head->verb,
                     1u << METHOD_GET | 1u << METHOD_POST | 1u << METHOD_PUT | 1u << METHOD_DELETE);
    else if (r == ROUTE_E_PATH)
        refuse(h, 404, CODE_METHOD_NOT_FOUND,
               STR("there is nothing at this path; /openapi.json says what there is"));
    else if (r || !known)
        answer_allow(h, head->verb, m->verbs);
    else
        return true;
    return false;
}

/* A body that will have `whole` bytes, as far as one knows, and now gets `more`. */
static bool too_large(struct http1 *h, uint64_t whole, uint64_t more)
{
    const struct net_limits *l = &shared(h)->limits;

    if (l->body_bytes && whole > l->body_bytes) {
        refused(h, METRICS_BODY);
        refuse_and_close(h, 413, CODE_TOO_LARGE, "the body is larger than the server takes");
        return true;
    }
    if (l->bodies_bytes && shared(h)->bodies_bytes + more > l->bodies_bytes) {
        refused(h, METRICS_BODIES);
        h->reply.retry_after_us = CLOCK_S;
        refuse_and_close(h, code_http(CODE_RESOURCE_EXHAUSTED), CODE_RESOURCE_EXHAUSTED,
                         "the server holds as many requests as it has memory for");
        return true;
    }
    return false;
}

static struct exchange *exchange_new(struct http1 *h, const struct route_match *m)
{
    struct exchange *x = memory_new(sizeof(*x));

    x->h = h;
    x->shared = shared(h);
    x->match = *m;
    x->call.method = m->method;
    x->call.deadline_us = INT64_MAX;
    x->call.peer = str_copy(&x->call.arena, h->p.host->peer);
    x->call.message = on_message;
    x->call.done = on_done;
    x->call.transport = x;
    buf_init(&x->body, BYTES_MAX);
    return x;
}

/* A whole head: refuse it, answer it, or go on to its body. */
static void take_request(struct http1 *h, const struct http_head *head)
{
    struct route_match m;

    h->since = now(h);
    h->bodiless = str_eq(head->verb, STR("HEAD"));
    h->reply = (struct http1_reply){.minor = head->minor, .keep = head->keep};
    h->chunk = (struct chunk){0};
    h->chunked = head->chunked;
    h->left = head->length;
    h->received = 0;
    /* Whoever is refused before the body has been read is not read any further. */
    if (head->chunked || head->length > 0)
        h->reply.keep = false;
    if (gate(h, head) || !find_method(h, head, &m) || check_fields(h, head, m.method) ||
        too_large(h, head->length, head->length))
        return;
    if (h->bodiless && m.method->replies == METHOD_STREAM) {
        h->reply.status = 200;
        h->reply.stream = true;
        answer(h, SSE_TYPE, (struct str){0});
        return;
    }
    h->x = exchange_new(h, &m);
    if (keep_fields(h, head, h->x)) {
        drop(h);
        return;
    }
    if (!head->chunked && head->length == 0) {
        begin_call(h);
        return;
    }
    h->state = BODY;
    h->reply.keep = head->keep;
    if (head->expects)
        buf_add(&h->out, STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* Each function that takes bytes returns whether there is something to go on with. */
static bool take_head(struct http1 *h, struct str *cur)
{
    const struct net_limits *l = &shared(h)->limits;
    struct http_head head;
    const char *why;
    int r;

    if (cur->n == 0)
        return false;
    if (!h->head_begun) {
        h->head_begun = true;
        h->since = now(h);
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
            refused(h, METRICS_HEAD);
            refuse_and_close(h, 431, CODE_TOO_LARGE, "the head of the request is too large");
        } else {
            refused(h, METRICS_MALFORMED);
            refuse_and_close(h, r, CODE_INVALID, why);
        }
        return false;
    }
    take_request(h, &head);
    *cur = str_sub(*cur, head.bytes, cur->n);
    h->looked = 0;
    return true;
}

/* One piece of the body; false where it was refused. */
static bool add_body(struct http1 *h, struct str data)
{
    assert(h->x);
    h->received += data.n;
    if (too_large(h, h->received, data.n)) {
        drop(h);
        return false;
    }
    shared(h)->bodies_bytes += data.n;
    buf_add(&h->x->body, data);
    return true;
}

static bool take_chunks(struct http1 *h, struct str *cur, bool *ret_whole)
{
    const char *why;
    struct str data;

    while (cur->n > 0 && h->chunk.state != CHUNK_END) {
        if (chunk_take(&h->chunk, cur, &data, &why)) {
            refused(h, METRICS_MALFORMED);
            refuse_and_close(h, 400, CODE_INVALID, why);
            drop(h);
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
        begin_call(h);
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
        case HEAD:
            on = take_head(h, cur);
            break;
        case BODY:
            on = take_body(h, cur);
            break;
        case CALL:
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
    const struct net_limits *l = &shared(h)->limits;
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

/* Say to the host what it shall know. */
static void settle(struct http1 *h)
{
    const struct net_limits *l = &shared(h)->limits;
    size_t waiting = h->in.n - h->in_at;

    h->p.paused = waiting > l->head_bytes && (h->state == CALL || h->out.n > h->out_at);
    /* Behind what it has understood there is nothing, or a beginning that stays one. */
    if (h->ended && h->state == HEAD && h->looked == waiting)
        h->p.closing = true;
    if (h->p.closing) {
        h->p.deadline_us = INT64_MAX;
        return;
    }
    switch (h->state) {
    case HEAD:
        h->p.deadline_us = h->since + (h->head_begun ? l->head_us
                                       : h->fresh    ? l->first_byte_us
                                                     : l->idle_us);
        break;
    case BODY:
        h->p.deadline_us = h->since + l->body_us;
        if (l->body_rate)
            h->p.deadline_us += (int64_t)(h->received * CLOCK_S / l->body_rate);
        break;
    case CALL:
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
            buf_init(&h->in, BYTES_MAX);
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
    settle(h);
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
            buf_init(&h->out, BYTES_MAX);
        }
    }
    settle(h);
}

static void end(struct protocol *p)
{
    struct http1 *h = (struct http1 *)p;

    h->ended = true;
    /* A head that stays a beginning is looked at once more: it may be none. */
    h->looked = 0;
    if (h->state == BODY) {
        drop(h);
        h->p.closing = true;
    } else if (h->state == CALL && h->x->call.method->replies == METHOD_STREAM) {
        cancel(h->x);
    }
    settle(h);
}

static void call_expired(struct http1 *h)
{
    const struct net_limits *l = &shared(h)->limits;
    int64_t at = now(h);

    if (at >= h->x->call.deadline_us) {
        h->x->expired = true;
        cancel(h->x);
    } else if (h->ended && at >= h->since + l->gone_us) {
        cancel(h->x);
    } else {
        stream_head(h);
        stream_bytes(h, STR(SSE_BEAT));
    }
}

static void expire(struct protocol *p)
{
    struct http1 *h = (struct http1 *)p;

    if (h->state == CALL) {
        call_expired(h);
    } else if (h->state == HEAD && !h->head_begun) {
        if (h->fresh)
            refused(h, METRICS_SILENT);
        h->p.closing = true;
    } else {
        refused(h, h->state == HEAD ? METRICS_HEAD_TIME : METRICS_BODY_RATE);
        h->reply = (struct http1_reply){.minor = 1};
        refuse_and_close(h, 408, CODE_TIMEOUT,
                         h->x ? "the body came too slowly" : "the head took too long");
        drop(h);
    }
    settle(h);
}

static void retire(struct protocol *p)
{
    struct http1 *h = (struct http1 *)p;

    h->reply.keep = false;
    if (h->state == HEAD && !h->head_begun && h->out.n == h->out_at)
        h->p.closing = true;
    else if (h->state == CALL && h->x->call.method->replies == METHOD_STREAM)
        cancel(h->x);
    settle(h);
}

static void http1_free(struct protocol *p)
{
    struct http1 *h = (struct http1 *)p;
    struct exchange *x = TAKE(h->x);

    if (x) {
        x->h = NULL;
        if (h->state == CALL)
            cancel(x);
        else
            exchange_free(x);
    }
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
    h->since = now(h);
    buf_init(&h->in, BYTES_MAX);
    buf_init(&h->out, BYTES_MAX);
    settle(h);
    return &h->p;
}
