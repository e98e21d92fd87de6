/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http1.h"

#include <stdio.h>

#include "base/test.h"
#include "net/net_testing.h"

#define HOST "Host: h\r\n"
#define JSON "Content-Type: application/json\r\n"
#define HTTP " HTTP/1.1\r\n" HOST
#define END  "\r\n"
#define S(literal)                                                                                 \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

struct fixture {
    struct fake_service service;
    struct fake_host host;
};

static int metrics_page(void *context, struct buf *body)
{
    (void)context;
    buf_add(body, STR("up 1\n"));
    return 200;
}

static const struct net_page pages[] = {
    {"/metrics", "text/plain; version=0.0.4", metrics_page, NULL},
};

static void set_up(struct fixture *f)
{
    fake_service_init(&f->service);
    fake_host_init(&f->host, &f->service, http1_new);
    f->host.shared.pages = pages;
    f->host.shared.pages_n = 1;
}

static void tear_down(struct fixture *f)
{
    fake_host_deinit(&f->host);
}

static bool has(struct str text, const char *piece)
{
    return text.n > 0 && memmem(text.p, text.n, piece, strlen(piece));
}

static unsigned times(struct str text, const char *piece)
{
    unsigned n = 0;
    const char *at;

    while (text.n > 0 && (at = memmem(text.p, text.n, piece, strlen(piece)))) {
        n++;
        text = str_sub(text, (size_t)(at - text.p) + 1, text.n);
    }
    return n;
}

struct row {
    const char *name;
    struct str request;
    const char *status; /* how the reply begins */
    const char *has[3];
    bool closes;
};

static const struct row rows[] = {
    {"a get",
     S("GET /v1/health" HTTP END),
     "HTTP/1.1 200 OK\r\nDate: ",                                                                                  {"Content-Type: application/json\r\n", "Content-Length: 20\r\n",
      "\r\n\r\n{\"health\":\"healthy\"}"},
     false                                                                                                                                                                    },
    {"head",
     S("HEAD /v1/health" HTTP END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"Content-Length: 20\r\n"},
     false                                                                                                                                                                    },
    {"an id of the client's",
     S("GET /v1/health" HTTP "x-request-id: order-66\r\n" END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"X-Request-Id: order-66\r\n"},
     false                                                                                                                                                                    },
    {"no id",
     S("GET /v1/health" HTTP END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"X-Request-Id: 0000000000000001\r\n"},
     false                                                                                                                                                                    },
    {"an id that is none",
     S("GET /v1/health" HTTP "X-Request-Id: a b\r\n" END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"X-Request-Id: 0000000000000001\r\n"},
     false                                                                                                                                                                    },
    {"two ids",
     S("GET /v1/health" HTTP "X-Request-Id: a\r\nX-Request-Id: b\r\n" END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"X-Request-Id: 0000000000000001\r\n"},
     false                                                                                                                                                                    },
    {"an id of what is refused",
     S("GET /v2" HTTP "X-Request-Id: 7\r\n" END),
     "HTTP/1.1 404 Not Found\r\n",                                                                                 {"X-Request-Id: 7\r\n"},
     false                                                                                                                                                                    },
    {"close",
     S("GET /v1/health" HTTP "Connection: close\r\n" END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"Connection: close\r\n"},
     true                                                                                                                                                                     },
    {"HTTP/1.0",
     S("GET /v1/health HTTP/1.0\r\n" END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"Connection: close\r\n"},
     true                                                                                                                                                                     },
    {"HTTP/1.0 keep-alive",
     S("GET /v1/health HTTP/1.0\r\nConnection: keep-alive\r\n" END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"Connection: keep-alive\r\n"},
     false                                                                                                                                                                    },
    {"a field in the path",
     S("GET /v1/queues/a%20b%2Fc" HTTP END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"ETag: \"v1\"\r\n", "{\"name\":\"a b/c\"}"},
     false                                                                                                                                                                    },
    {"not modified",
     S("GET /v1/queues/a" HTTP "If-None-Match: \"x\", W/\"v1\"\r\n" END),
     "HTTP/1.1 304 Not Modified\r\n",                                                                              {"ETag: \"v1\"\r\n"},
     false                                                                                                                                                                    },
    {"modified",
     S("GET /v1/queues/a" HTTP "If-None-Match: \"x\"\r\n" END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {0},
     false                                                                                                                                                                    },
    {"a body",
     S("POST /v1/queues/a:enqueue" HTTP JSON "Content-Length: 25\r\n" END
       "{\"tasks\":[{\"payload\":1}]}"),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"{\"ids\":[\"1\"]"},
     false                                                                                                                                                                    },
    {"a body of two",
     S("POST /v1/queues/a:enqueue" HTTP JSON "Content-Length: 17\r\n" END "{\"tasks\":[{},{}]}"),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"{\"ids\":[\"1\",\"2\"]", NULL},
     false                                                                                                                                                                    },
    {"a chunked body",
     S("POST /v1/queues/a:enqueue" HTTP "Transfer-Encoding: chunked\r\n" END
       "8;x=y\r\n{\"tasks\"\r\n7\r\n:[{}]} \r\n0\r\nA: b\r\n\r\n"),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"{\"ids\":[\"1\"]"},
     false                                                                                                                                                                    },
    {"no body is {}",
     S("PUT /v1/queues/a" HTTP END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"{\"name\":\"a\"}"},
     false                                                                                                                                                                    },
    {"if-match holds",
     S("PUT /v1/queues/a" HTTP "If-Match: \"v1\"\r\n" END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {0},
     false                                                                                                                                                                    },
    {"if-match fails",
     S("PUT /v1/queues/a" HTTP "If-Match: \"v0\"\r\n" END),
     "HTTP/1.1 412 Precondition Failed\r\n",                                                                       {"\"code\":\"queue_changed\""},
     false                                                                                                                                                                    },
    {"if-match of nothing",
     S("POST /v1/queues/a:enqueue" HTTP "If-Match: \"v0\"\r\n" END),
     "HTTP/1.1 400 ",                                                                                              {0},
     false                                                                                                                                                                    },
    {"no such queue",
     S("GET /v1/queues/missing" HTTP END),
     "HTTP/1.1 404 Not Found\r\n",                                                                                 {"application/problem+json", "\"code\":\"queue_not_found\"",
      "\"detail\":\"there is no queue \\\"missing\\\"\""},
     false                                                                                                                                                                    },
    {"no such path",
     S("GET /v2" HTTP END),
     "HTTP/1.1 404 Not Found\r\n",                                                                                 {"method_not_found"},
     false                                                                                                                                                                    },
    {"a wrong verb",
     S("DELETE /v1/queues/a" HTTP END),
     "HTTP/1.1 405 Method Not Allowed\r\n",                                                                        {"Allow: OPTIONS, GET, HEAD, PUT\r\n"},
     false                                                                                                                                                                    },
    {"an unknown verb",
     S("BREW /v1/queues/a" HTTP END),
     "HTTP/1.1 405 Method Not Allowed\r\n",                                                                        {0},
     false                                                                                                                                                                    },
    {"a custom verb is no name",
     S("GET /v1/queues/a:enqueue" HTTP END),
     "HTTP/1.1 405 ",                                                                                              {"Allow: OPTIONS, POST\r\n"},
     false                                                                                                                                                                    },
    {"options",
     S("OPTIONS /v1/queues/a" HTTP END),
     "HTTP/1.1 204 No Content\r\n",                                                                                {"Allow: OPTIONS, GET, HEAD, PUT\r\n"},
     false                                                                                                                                                                    },
    {"options *",
     S("OPTIONS *" HTTP END),
     "HTTP/1.1 204 No Content\r\n",                                                                                {"Allow: OPTIONS, GET, HEAD, POST, PUT, DELETE\r\n"},
     false                                                                                                                                                                    },
    {"a page",
     S("GET /metrics" HTTP END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {"text/plain; version=0.0.4", "up 1\n"},
     false                                                                                                                                                                    },
    {"a page's verb",
     S("POST /metrics" HTTP "Content-Length: 0\r\n" END),
     "HTTP/1.1 405 ",                                                                                              {"Allow: OPTIONS, GET, HEAD\r\n"},
     false                                                                                                                                                                    },
    {"a body of a get",
     S("GET /v1/health" HTTP "Content-Length: 1\r\n" END "x"),
     "HTTP/1.1 400 ",                                                                                              {0},
     true                                                                                                                                                                     },
    {"a query of a post",        S("POST /v1/queues/a:enqueue?x=1" HTTP END),                     "HTTP/1.1 400 ", {0},                                                  false},
    {"a query's key",
     S("GET /v1/queues/a?nothing=1" HTTP END),
     "HTTP/1.1 400 ",                                                                                              {"nothing"},
     false                                                                                                                                                                    },
    {"a query's NUL",            S("GET /v1/queues/a?queue=%00" HTTP END),                        "HTTP/1.1 400 ", {0},                                                  false},
    {"a path's bad UTF-8",       S("GET /v1/queues/%ff" HTTP END),                                "HTTP/1.1 400 ", {0},                                                  false},
    {"another type",
     S("POST /v1/queues/a:enqueue" HTTP "Content-Type: text/plain\r\nContent-Length: 2\r\n" END
       "{}"),
     "HTTP/1.1 415 Unsupported Media Type\r\n",                                                                    {0},
     true                                                                                                                                                                     },
    {"a form of a program",
     S("PUT /v1/queues/a" HTTP "Content-Type: application/x-www-form-urlencoded\r\n" END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {0},
     false                                                                                                                                                                    },
    {"a form of a page",
     S("PUT /v1/queues/a" HTTP "Origin: http://h\r\n"
       "Content-Type: application/x-www-form-urlencoded\r\n" END),
     "HTTP/1.1 415 ",                                                                                              {0},
     false                                                                                                                                                                    },
    {"a charset",
     S("PUT /v1/queues/a" HTTP "Content-Type: application/json; charset=\"UTF-8\"\r\n" END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {0},
     false                                                                                                                                                                    },
    {"another charset",
     S("PUT /v1/queues/a" HTTP "Content-Type: application/json;charset=latin1\r\n" END),
     "HTTP/1.1 415 ",                                                                                              {0},
     false                                                                                                                                                                    },
    {"a packed body",
     S("PUT /v1/queues/a" HTTP "Content-Encoding: gzip\r\n" END),
     "HTTP/1.1 415 ",                                                                                              {0},
     false                                                                                                                                                                    },
    {"not accepted",
     S("GET /v1/health" HTTP "Accept: text/html, application/json;q=0\r\n" END),
     "HTTP/1.1 406 Not Acceptable\r\n",                                                                            {0},
     false                                                                                                                                                                    },
    {"accepted",
     S("GET /v1/health" HTTP "Accept: text/html, */*;q=0.1\r\n" END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {0},
     false                                                                                                                                                                    },
    {"an empty key",
     S("PUT /v1/queues/a" HTTP "Idempotency-Key:\r\n" END),
     "HTTP/1.1 400 ",                                                                                              {0},
     false                                                                                                                                                                    },
    {"a timeout that is none",
     S("GET /v1/health" HTTP "Request-Timeout: 5m\r\n" END),
     "HTTP/1.1 400 ",                                                                                              {0},
     false                                                                                                                                                                    },
    {"another page's",
     S("GET /v1/health" HTTP "Origin: https://evil.example\r\n" END),
     "HTTP/1.1 403 Forbidden\r\n",                                                                                 {"permission_denied"},
     false                                                                                                                                                                    },
    {"our own page's",
     S("GET /v1/health" HTTP "Origin: http://h\r\n" END),
     "HTTP/1.1 200 OK\r\n",                                                                                        {0},
     false                                                                                                                                                                    },
    {"no page's",                S("GET /v1/health" HTTP "Origin: null\r\n" END),                 "HTTP/1.1 403 ", {0},                                                  false},
    {"too large",
     S("POST /v1/queues/a:enqueue" HTTP "Content-Length: 16777217\r\n" END),
     "HTTP/1.1 413 Content Too Large\r\n",                                                                         {"\"code\":\"too_large\""},
     true                                                                                                                                                                     },
    {"smuggled",
     S("POST /v1/queues/a:enqueue" HTTP "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END
       "0\r\n\r\nGET /v1/health" HTTP END),
     "HTTP/1.1 400 Bad Request\r\n",                                                                               {"Connection: close\r\n"},
     true                                                                                                                                                                     },
    {"a chunk's size",
     S("POST /v1/queues/a:enqueue" HTTP "Transfer-Encoding: chunked\r\n" END
       "+2\r\n{}\r\n0\r\n\r\n"),
     "HTTP/1.1 400 Bad Request\r\n",                                                                               {"Connection: close\r\n"},
     true                                                                                                                                                                     },
    {"HTTP/2 as HTTP/1",         S("GET / HTTP/2.0\r\n\r\n"),                                     "HTTP/1.1 505 ", {0},                                                  true },
    {"bad JSON",
     S("POST /v1/queues/a:enqueue" HTTP "Content-Length: 5\r\n" END "{\n  x"),
     "HTTP/1.1 400 ",                                                                                              {"\"details\":[{\"line\":2,\"column\":3,"},
     false                                                                                                                                                                    },
};

static void check_row(const struct row *row, struct str sent, bool closing)
{
    CHECK_ROW(row->name, str_starts(sent, str_of(row->status)));
    for (size_t k = 0; k < 3 && row->has[k]; k++)
        CHECK_ROW(row->name, has(sent, row->has[k]));
    CHECK_ROW(row->name, times(sent, "HTTP/1.1 ") == 1);
    CHECK_ROW(row->name, closing == row->closes);
    CHECK_ROW(row->name, has(sent, "Connection: close\r\n") == row->closes);
}

/* The same, whether the bytes come at once or one by one. */
static void requests_and_replies(void **state)
{
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        for (size_t step = 1; step < 3000; step += 2999 - 1) {
            set_up(&f);
            for (size_t at = 0; at < rows[i].request.n && !f.host.p->closing; at += step)
                fake_host_feed(&f.host, str_sub(rows[i].request, at, step));
            check_row(&rows[i], buf_str(&f.host.sent), f.host.p->closing);
            tear_down(&f);
        }
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct fixture f;
    struct str sent;

    (void)state;
    set_up(&f);
    fake_host_feed(&f.host, STR("POST /v1/queues/a:claim" HTTP "Content-Length: 2\r\n" END "{}"
                                "GET /v1/queues/b" HTTP END "GET /v1/queues/c" HTTP END));
    assert_int_equal(f.host.sent.n, 0);
    assert_int_equal(f.service.started, 1);
    fake_release(&f.service);
    sent = buf_str(&f.host.sent);
    assert_int_equal(times(sent, "HTTP/1.1 200 OK"), 3);
    assert_true(memmem(sent.p, sent.n, "leases", 6) < memmem(sent.p, sent.n, "\"b\"", 3));
    assert_true(memmem(sent.p, sent.n, "\"b\"", 3) < memmem(sent.p, sent.n, "\"c\"", 3));
    assert_false(f.host.p->closing);
    tear_down(&f);
}

/* Replies that nobody reads stop the reading. */
static void a_flood_behind_a_held_request_is_not_read(void **state)
{
    struct fixture f;
    unsigned fed = 0;

    (void)state;
    set_up(&f);
    fake_host_feed(&f.host, STR("POST /v1/queues/a:claim" HTTP END));
    for (; !f.host.p->paused && fed < 100000; fed++)
        fake_host_feed(&f.host, STR("GET /v1/health" HTTP END));
    assert_in_range(fed, 100, 1000);
    fake_release(&f.service);
    assert_int_equal(times(buf_str(&f.host.sent), "HTTP/1.1 200 OK"), fed + 1);
    assert_false(f.host.p->paused);
    tear_down(&f);
}

static void expect_is_answered_before_the_body(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    fake_host_feed(&f.host, STR("POST /v1/queues/a:enqueue" HTTP
                                "Content-Length: 12\r\nExpect: 100-continue\r\n" END));
    CHECK_TEXT(buf_str(&f.host.sent), "HTTP/1.1 100 Continue\r\n\r\n");
    fake_host_feed(&f.host, STR("{\"tasks\":[]}"));
    assert_true(has(buf_str(&f.host.sent), "{\"ids\":[]"));
    tear_down(&f);

    set_up(&f);
    fake_host_feed(
        &f.host, STR("POST /v1/nothing" HTTP "Content-Length: 12\r\nExpect: 100-continue\r\n" END));
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 404")));
    assert_true(f.host.p->closing);
    tear_down(&f);
}

static void times_are_total(void **state)
{
    static const struct {
        const char *name;
        struct str request; /* its last byte again and again, one a second */
        int64_t least_s, most_s;
        const char *status;
    } cases[] = {
        {"silent",      S(""),                                                                  5,  5,  ""             },
        {"a slow head", S("GET / HTTP/1.1\r\nX: y"),                                            10, 11, "HTTP/1.1 408 "},
        {"a slow body", S("POST /v1/queues/a:enqueue" HTTP "Content-Length: 1000\r\n" END " "), 10,
         11,                                                                                            "HTTP/1.1 408 "},
        {"slow chunks",
         S("POST /v1/queues/a:enqueue" HTTP "Transfer-Encoding: chunked\r\n" END "400\r\n "),   10,
         11,                                                                                            "HTTP/1.1 408 "},
        {"idle",        S("GET /v1/health" HTTP END),                                           75, 75, "HTTP/1.1 200 "},
    };
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < ROWS_N(cases); i++) {
        struct str last = str_sub(cases[i].request, cases[i].request.n - 1, 1);
        int64_t s = 0;
        bool repeats = cases[i].request.n > 0 && last.p[0] != '\n';

        set_up(&f);
        if (cases[i].request.n > 0)
            fake_host_feed(&f.host, cases[i].request);
        for (; s < 200 && !f.host.p->closing; s++) {
            fake_host_wait(&f.host, CLOCK_S);
            if (repeats && !f.host.p->closing)
                fake_host_feed(&f.host, last);
        }
        CHECK_ROW(cases[i].name, s >= cases[i].least_s && s <= cases[i].most_s);
        CHECK_ROW(cases[i].name, str_starts(buf_str(&f.host.sent), str_of(cases[i].status)));
        tear_down(&f);
    }
}

/* As long as it comes at the least rate, a body may take as long as it is long. */
static void a_steady_body_is_taken(void **state)
{
    static char part[10 << 10];
    struct fixture f;

    (void)state;
    memset(part, ' ', sizeof(part));
    set_up(&f);
    fake_host_feed(&f.host,
                   STR("POST /v1/queues/a:enqueue" HTTP "Content-Length: 1024012\r\n" END));
    for (int i = 0; i < 100; i++) {
        fake_host_wait(&f.host, CLOCK_S);
        assert_false(f.host.p->closing);
        fake_host_feed(&f.host, (struct str){part, sizeof(part)});
    }
    fake_host_feed(&f.host, STR("{\"tasks\":[]}"));
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 200 OK")));
    tear_down(&f);
}

static void heads_and_bodies_have_limits(void **state)
{
    struct fixture f;
    char line[64];

    (void)state;
    set_up(&f);
    fake_host_feed(&f.host, STR("GET / HTTP/1.1\r\n"));
    for (int i = 0; i < 1000 && !f.host.p->closing; i++) {
        snprintf(line, sizeof(line), "X-%d: 0123456789012345678901234567890123456789\r\n", i);
        fake_host_feed(&f.host, str_of(line));
    }
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 431 ")));
    tear_down(&f);

    set_up(&f);
    f.host.shared.limits.head_bytes = 100;
    fake_host_feed(&f.host, STR("GET /0123456789012345678901234567890123456789012345678901234567890"
                                "123456789012345678901234567890123456789"));
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 431 ")));
    tear_down(&f);

    set_up(&f);
    f.host.shared.limits.body_bytes = 10;
    fake_host_feed(&f.host,
                   STR("POST /v1/queues/a:enqueue" HTTP "Transfer-Encoding: chunked\r\n" END
                       "9\r\n         \r\n2\r\n  \r\n0\r\n\r\n"));
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 413 ")));
    assert_true(f.host.p->closing);
    tear_down(&f);

    set_up(&f);
    f.host.shared.limits.bodies_bytes = 10;
    f.host.shared.bodies_bytes = 8;
    fake_host_feed(&f.host,
                   STR("POST /v1/queues/a:enqueue" HTTP "Content-Length: 3\r\n" END "{} "));
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 429 ")));
    assert_true(has(buf_str(&f.host.sent), "Retry-After: 1\r\n"));
    f.host.shared.bodies_bytes -= 8;
    tear_down(&f);
}

/* A reply that its client does not take counts as its request did. */
static void replies_that_are_not_taken_are_bounded(void **state)
{
    struct fixture f;
    size_t held;

    (void)state;
    set_up(&f);
    f.host.slow = true;
    fake_host_feed(&f.host, STR("GET /nothing" HTTP END));
    held = f.host.shared.bodies_bytes;
    assert_true(held > 100);
    f.host.shared.limits.bodies_bytes = held - 1;
    fake_host_feed(&f.host, STR("GET /v1/queues/a" HTTP END));
    f.host.slow = false;
    fake_host_feed(&f.host, STR(""));
    assert_int_equal(f.host.shared.bodies_bytes, 0);
    assert_true(has(buf_str(&f.host.sent), "HTTP/1.1 429 "));
    tear_down(&f);
}

/* the limit is told, and when to come again. */
static void too_many_requests_a_second(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    f.host.refuse = true;
    fake_host_feed(&f.host, STR("GET /v1/health" HTTP END));
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 429 Too Many Requests\r\n")));
    assert_true(has(buf_str(&f.host.sent), "Retry-After: 2\r\n"));
    assert_false(f.host.p->closing);
    tear_down(&f);
}

static void a_deadline_and_a_client_that_goes(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    fake_host_feed(&f.host, STR("POST /v1/queues/a:claim" HTTP "Request-Timeout: 1.5\r\n"
                                "Idempotency-Key: k1\r\n" END));
    assert_string_equal(f.service.last_key, "k1");
    fake_host_wait(&f.host, 1400 * CLOCK_MS);
    assert_int_equal(f.service.cancelled, 0);
    fake_host_wait(&f.host, 200 * CLOCK_MS);
    assert_int_equal(f.service.cancelled, 1);
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 504 Gateway Timeout\r\n")));
    assert_true(has(buf_str(&f.host.sent), "deadline_exceeded"));
    assert_false(f.host.p->closing);
    tear_down(&f);

    /* It only said that it will send no more: it gets its reply, if that comes soon. */
    set_up(&f);
    fake_host_feed(&f.host, STR("POST /v1/queues/a:claim" HTTP END));
    fake_host_end(&f.host);
    assert_int_equal(f.service.hastened, 1);
    fake_host_wait(&f.host, 500 * CLOCK_MS);
    fake_release(&f.service);
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 200 OK\r\n")));
    assert_true(f.host.p->closing);
    tear_down(&f);

    /* Where it does not come, nobody is left to give it to. */
    set_up(&f);
    fake_host_feed(&f.host, STR("POST /v1/queues/a:claim" HTTP END));
    fake_host_wait(&f.host, 60 * CLOCK_S);
    fake_host_end(&f.host);
    fake_host_wait(&f.host, 1);
    assert_int_equal(f.service.cancelled, 1);
    assert_true(f.host.p->closing);
    tear_down(&f);

    /* The connection is gone. */
    set_up(&f);
    fake_host_feed(&f.host, STR("POST /v1/queues/a:claim" HTTP END));
    tear_down(&f);
    assert_int_equal(f.service.cancelled, 1);
    assert_int_equal(f.service.done, 1);
}

static void what_a_closed_side_had_sent_is_answered(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    fake_host_feed(&f.host, STR("GET /v1/health" HTTP END "GET /v1/health" HTTP END "GET /v1"));
    assert_false(f.host.p->closing);
    fake_host_end(&f.host);
    assert_true(f.host.p->closing);
    assert_int_equal(times(buf_str(&f.host.sent), "HTTP/1.1 200 OK"), 2);
    tear_down(&f);
}

static void streams_are_events(void **state)
{
    struct fixture f;
    struct str sent;

    (void)state;
    set_up(&f);
    fake_host_feed(&f.host, STR("GET /v1/runs/7:watch?after=0" HTTP "Last-Event-ID: 1\r\n" END));
    sent = buf_str(&f.host.sent);
    assert_true(f.host.small);
    assert_true(has(sent, "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"));
    assert_false(has(sent, "id: 1\n"));
    assert_true(
        has(sent,
            "\r\nid: 2\nevent: task_READY\ndata: {\"seq\":\"2\",\"kind\":\"task_READY\"}\n\n\r\n"));
    assert_true(has(sent, "id: 3\n"));
    assert_true(str_ends(sent, STR("event: end\ndata: {}\n\n\r\n0\r\n\r\n")));
    /* The connection goes on. */
    fake_host_feed(&f.host, STR("GET /v1/health" HTTP END));
    assert_true(str_ends(buf_str(&f.host.sent), STR("{\"health\":\"healthy\"}")));
    tear_down(&f);

    set_up(&f);
    fake_host_feed(&f.host, STR("GET /v1/runs/missing:watch" HTTP END));
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 404 ")));
    tear_down(&f);

    set_up(&f);
    fake_host_feed(&f.host, STR("GET /v1/runs/7:watch" HTTP "Accept: application/json\r\n" END));
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 406 ")));
    tear_down(&f);

    set_up(&f);
    fake_host_feed(&f.host, STR("HEAD /v1/runs/7:watch" HTTP END));
    assert_true(has(buf_str(&f.host.sent), "text/event-stream"));
    assert_int_equal(f.service.started, 0);
    tear_down(&f);
}

static void a_quiet_stream_shows_that_it_lives(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    f.service.events = 0;
    f.service.endless = true;
    fake_host_feed(&f.host, STR("GET /v1/runs/7:watch" HTTP END));
    assert_int_equal(f.host.sent.n, 0);
    fake_host_wait(&f.host, CLOCK_S);
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 200 OK\r\n")));
    fake_host_wait(&f.host, 60 * CLOCK_S);
    assert_int_equal(times(buf_str(&f.host.sent), ": alive\n\n"), 5);
    fake_host_end(&f.host);
    assert_int_equal(f.service.cancelled, 1);
    assert_true(f.host.p->closing);
    tear_down(&f);
}

static void a_server_that_ends(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    f.host.shared.retiring = true;
    f.host.p->type->retire(f.host.p);
    assert_true(f.host.p->closing);
    tear_down(&f);

    /* What is under way is finished; what comes then is not begun. */
    set_up(&f);
    fake_host_feed(&f.host, STR("POST /v1/queues/a:claim" HTTP END));
    f.host.shared.retiring = true;
    f.host.p->type->retire(f.host.p);
    assert_false(f.host.p->closing);
    fake_release(&f.service);
    assert_true(has(buf_str(&f.host.sent), "HTTP/1.1 200 OK\r\n"));
    assert_true(has(buf_str(&f.host.sent), "Connection: close\r\n"));
    assert_true(f.host.p->closing);
    tear_down(&f);

    set_up(&f);
    fake_host_feed(&f.host, STR("GET /v1/he"));
    f.host.shared.retiring = true;
    f.host.p->type->retire(f.host.p);
    fake_host_feed(&f.host, STR("alth" HTTP END));
    assert_true(str_starts(buf_str(&f.host.sent), STR("HTTP/1.1 503 Service Unavailable\r\n")));
    assert_true(f.host.p->closing);
    tear_down(&f);
}

static void where_this_machine_alone_asks(void **state)
{
    static const struct {
        const char *host;
        bool taken;
    } cases[] = {
        {"localhost",      true },
        {"LOCALHOST:7411", true },
        {"127.0.0.1:7411", true },
        {"[::1]:7411",     true },
        {"a.localhost",    true },
        {"",               true },
        {"proxy.test",     true },
        {"evil.example",   false},
        {"localhost.evil", false},
        {"xlocalhost",     false},
        {"127.0.0.1.evil", false},
    };
    static const char *const hosts[] = {"proxy.test"};
    struct fixture f;
    char request[100];

    (void)state;
    for (size_t i = 0; i < ROWS_N(cases); i++) {
        set_up(&f);
        f.host.host.loopback = true;
        f.host.shared.hosts = hosts;
        f.host.shared.hosts_n = 1;
        snprintf(request, sizeof(request), "GET /v1/health HTTP/1.1\r\nHost: %s\r\n\r\n",
                 cases[i].host);
        fake_host_feed(&f.host, str_of(request));
        CHECK_ROW(cases[i].host,
                  str_starts(buf_str(&f.host.sent),
                             cases[i].taken ? STR("HTTP/1.1 200") : STR("HTTP/1.1 403")));
        tear_down(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_and_replies),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_flood_behind_a_held_request_is_not_read),
        cmocka_unit_test(expect_is_answered_before_the_body),
        cmocka_unit_test(times_are_total),
        cmocka_unit_test(a_steady_body_is_taken),
        cmocka_unit_test(heads_and_bodies_have_limits),
        cmocka_unit_test(replies_that_are_not_taken_are_bounded),
        cmocka_unit_test(too_many_requests_a_second),
        cmocka_unit_test(a_deadline_and_a_client_that_goes),
        cmocka_unit_test(what_a_closed_side_had_sent_is_answered),
        cmocka_unit_test(streams_are_events),
        cmocka_unit_test(a_quiet_stream_shows_that_it_lives),
        cmocka_unit_test(a_server_that_ends),
        cmocka_unit_test(where_this_machine_alone_asks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
