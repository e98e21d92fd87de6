/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "api/codec.h"
#include "api/protojson.h"
#include "net/http1_state.h"
#include "net/request_id.h"
#include "net/sse.h"

#define TIMEOUT_US_MAX    (24 * 3600 * CLOCK_S)
#define TIMEOUT_BYTES_MAX 16u

/* The message from body, query, path and fields. Returns 0, or 1 when it has been refused. */
static int make_request(struct http1 *h, struct http1_exchange *x, ProtobufCMessage **ret)
{
    const struct method *m = x->call.method;
    struct arena *a = &x->call.arena;
    struct doc_error e = {0};
    struct str text = {0};
    int r;

    if (x->body.n > 0 && protojson_decode(a, m->request, buf_str(&x->body), ret, &e)) {
        http1_answer_problem(h, &(struct problem){400, CODE_INVALID, e.text, &e, 1});
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
        http1_refuse_code(h, CODE_INVALID, text);
        return 1;
    }
    return 0;
}

void http1_begin_call(struct http1 *h)
{
    struct http1_exchange *x = h->x;
    ProtobufCMessage *request;

    assert(x);
    if (make_request(h, x, &request)) {
        http1_drop(h);
        return;
    }
    h->state = HTTP1_CALL;
    h->since = h->sent_at = http1_now(h);
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
    if (h->p.host->loopback && !protocol_is_local(http1_shared(h), host))
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
        http1_refuse(h, 400, CODE_INVALID, STR("a request with this verb has no body"));
    else if (!reads && head->query.n > 0)
        http1_refuse(h, 400, CODE_INVALID, STR("a request with a body has no query"));
    else if (!says_json(head))
        http1_refuse(
            h, 415, CODE_UNSUPPORTED_MEDIA_TYPE,
            STR("a request's Content-Type is application/json, in UTF-8 (curl sends it with "
                "--json)"));
    else if (f[HTTP_CONTENT_ENCODING].n > 0 &&
             !http_head_same(f[HTTP_CONTENT_ENCODING], STR("identity")))
        http1_refuse(h, 415, CODE_UNSUPPORTED_MEDIA_TYPE, STR("a body is sent as it is, unpacked"));
    else if (!http1_reply_accepts(f[HTTP_ACCEPT], type))
        http1_refuse(h, 406, CODE_NOT_ACCEPTABLE,
                     m->replies == METHOD_STREAM ? STR("this is answered as " SSE_TYPE)
                                                 : STR("this is answered as application/json"));
    else if (f[HTTP_IDEMPOTENCY_KEY].p && (key == 0 || key > CALL_KEY_BYTES_MAX))
        http1_refuse(h, 400, CODE_INVALID, STR("an Idempotency-Key has 1 to 200 bytes"));
    else
        return 0;
    return 1;
}

/* What the fields bring into the call. Returns 0, or 1 when refused. */
static int keep_fields(struct http1 *h, const struct http_head *head, struct http1_exchange *x)
{
    const struct str *f = head->fields;
    struct arena *a = &x->call.arena;
    int64_t us;
    size_t at;

    if (f[HTTP_IDEMPOTENCY_KEY].n > 0 && !str_utf8(f[HTTP_IDEMPOTENCY_KEY], &at)) {
        http1_refuse(h, 400, CODE_INVALID, STR("an Idempotency-Key is UTF-8"));
        return 1;
    }
    x->call.idempotency_key = str_copy(a, f[HTTP_IDEMPOTENCY_KEY]);
    if (f[HTTP_REQUEST_TIMEOUT].p) {
        if (!timeout(f[HTTP_REQUEST_TIMEOUT], &us)) {
            http1_refuse(h, 400, CODE_INVALID,
                         STR("Request-Timeout is a number of seconds, at most 86400"));
            return 1;
        }
        x->call.deadline_us = http1_now(h) + us;
    }
    if (f[HTTP_IF_MATCH].p && !str_eq(f[HTTP_IF_MATCH], STR("*"))) {
        if (!route_has(x->call.method, "etag") ||
            !http1_reply_etag(f[HTTP_IF_MATCH], &x->if_match)) {
            http1_refuse(h, 400, CODE_INVALID,
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
        http1_answer(h, NULL, (struct str){0});
        return;
    }
    http1_refuse(h, 405, CODE_METHOD_NOT_ALLOWED,
                 STR("the path has no such verb; Allow says which"));
}

/* The server's own pages. Returns whether it was one. */
static bool page(struct http1 *h, const struct http_head *head)
{
    const struct net_shared *s = http1_shared(h);
    struct buf body;

    for (size_t i = 0; i < s->pages_n; i++) {
        if (!str_eq(head->path, str_of(s->pages[i].path)))
            continue;
        if (!str_eq(head->verb, STR("GET")) && !h->bodiless) {
            answer_allow(h, head->verb, 1u << METHOD_GET);
            return true;
        }
        buf_init(&body, HTTP1_BYTES_MAX);
        h->reply.status = s->pages[i].fill(s->pages[i].context, &body);
        http1_answer(h, s->pages[i].type, buf_str(&body));
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
        http1_refuse(h, 403, CODE_PERMISSION_DENIED, str_of(why));
        return true;
    }
    if (!h->p.host->admit(h->p.host, &retry_us)) {
        http1_refused(h, METRICS_RATE);
        h->reply.retry_after_us = retry_us;
        http1_refuse_code(h, CODE_RATE_LIMITED,
                          STR("too many requests a second from this address"));
        return true;
    }
    if (page(h, head))
        return true;
    if (http1_shared(h)->retiring) {
        h->reply.retry_after_us = CLOCK_S;
        http1_refuse_code(h, CODE_UNAVAILABLE, STR("the server is about to end"));
        return true;
    }
    return false;
}

static bool find_method(struct http1 *h, const struct http_head *head, struct route_match *m)
{
    enum method_verb verb = METHOD_GET;
    bool known = verb_of(head->verb, &verb);
    int r = route_find(http1_shared(h)->routes, verb, head->path, m);

    if (str_eq(head->target, STR("*")))
        answer_allow(h, head->verb,
                     1u << METHOD_GET | 1u << METHOD_POST | 1u << METHOD_PUT | 1u << METHOD_DELETE);
    else if (r == ROUTE_E_PATH)
        http1_refuse(h, 404, CODE_METHOD_NOT_FOUND,
                     STR("there is nothing at this path; /openapi.json says what there is"));
    else if (r || !known)
        answer_allow(h, head->verb, m->verbs);
    else
        return true;
    return false;
}

/* A body that will have `whole` bytes, as far as one knows, and now gets `more`. */
bool http1_too_large(struct http1 *h, uint64_t whole, uint64_t more)
{
    const struct net_limits *l = &http1_shared(h)->limits;

    if (l->body_bytes && whole > l->body_bytes) {
        http1_refused(h, METRICS_BODY);
        http1_refuse_and_close(h, 413, CODE_TOO_LARGE, "the body is larger than the server takes");
        return true;
    }
    if (l->bodies_bytes && http1_shared(h)->bodies_bytes + more > l->bodies_bytes) {
        http1_refused(h, METRICS_BODIES);
        h->reply.retry_after_us = CLOCK_S;
        http1_refuse_and_close(
            h, code_http(CODE_RESOURCE_EXHAUSTED), CODE_RESOURCE_EXHAUSTED,
            "the server holds as many requests and replies as it has memory for");
        return true;
    }
    return false;
}
/* A whole head: refuse it, answer it, or go on to its body. */
void http1_take_request(struct http1 *h, const struct http_head *head)
{
    struct route_match m;

    h->since = http1_now(h);
    h->bodiless = str_eq(head->verb, STR("HEAD"));
    h->reply = (struct http1_reply){
        .minor = head->minor,
        .keep = head->keep,
        .id = request_id_take(&http1_shared(h)->request_id, head->fields[HTTP_X_REQUEST_ID], h->id),
    };
    h->chunk = (struct chunk){0};
    h->chunked = head->chunked;
    h->left = head->length;
    h->received = 0;
    /* Whoever is refused before the body has been read is not read any further. */
    if (head->chunked || head->length > 0)
        h->reply.keep = false;
    if (gate(h, head) || !find_method(h, head, &m) || check_fields(h, head, m.method) ||
        http1_too_large(h, head->length, head->length))
        return;
    if (h->bodiless && m.method->replies == METHOD_STREAM) {
        h->reply.status = 200;
        h->reply.stream = true;
        http1_answer(h, SSE_TYPE, (struct str){0});
        return;
    }
    h->x = http1_exchange_new(h, &m);
    if (keep_fields(h, head, h->x)) {
        http1_drop(h);
        return;
    }
    if (!head->chunked && head->length == 0) {
        http1_begin_call(h);
        return;
    }
    h->state = HTTP1_BODY;
    h->reply.keep = head->keep;
    if (head->expects)
        buf_add(&h->out, STR("HTTP/1.1 100 Continue\r\n\r\n"));
}
