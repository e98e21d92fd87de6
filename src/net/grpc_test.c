/* SPDX-License-Identifier: Apache-2.0 */
#include "net/peer_testing.h"

#include <stdlib.h>

#include "api/codec.h"
#include "base/memory.h"
#include "base/test.h"
#include "health.pb-c.h"
#include "net/grpc_frame.h"
#include "net/h2.h"
#include "reflection.pb-c.h"

#define GET "/weft.v1.Queues/Get"

#define PREFACE STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")

/* The queue's name of the reply, "" where there is no message. */
static char *reply_name(const struct peer_call *c)
{
    struct arena a = {0};
    ProtobufCMessage *m;
    struct str error;
    char *name;

    if (c->data.n < GRPC_FRAME_HEAD_BYTES)
        return memory_text("");
    assert_int_equal(codec_decode(&a, &weft__v1__queue__descriptor,
                                  str_sub(buf_str(&c->data), GRPC_FRAME_HEAD_BYTES, c->data.n), &m,
                                  &error),
                     0);
    name = memory_text(((Weft__V1__Queue *)m)->name);
    arena_deinit(&a);
    return name;
}

static size_t messages(const struct peer_call *c)
{
    struct grpc_frame f;
    struct str rest = buf_str(&c->data);
    size_t n = 0;

    grpc_frame_init(&f, SIZE_MAX / 8);
    while (rest.n && grpc_frame_feed(&f, &rest) == 0) {
        n++;
        grpc_frame_clear(&f);
    }
    grpc_frame_deinit(&f);
    return n;
}

static void unary_is_answered_however_it_is_split(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 200; piece++) {
        struct peer p;
        struct peer_call *c;
        char *name;

        peer_init(&p, 0);
        p.piece = piece;
        c = peer_get(&p, "mail", (const char *[]){"idempotency-key", "k1", NULL});
        peer_exchange(&p);
        name = reply_name(c);
        assert_string_equal(name, "mail");
        assert_string_equal(p.fake.key, "k1");
        assert_int_equal(peer_status(c), 0);
        CHECK_TEXT(peer_field(c, ":status"), "200");
        CHECK_TEXT(peer_field(c, "content-type"), "application/grpc");
        assert_true(c->closed);
        assert_int_equal(c->error, NGHTTP2_NO_ERROR);
        free(name);
        peer_deinit(&p);
    }
}

/* The client's id, or one of ours: with a reply, and with a refusal. */
static void a_call_is_answered_with_its_id(void **state)
{
    static const struct {
        const char *name, *method, *asked, *id;
    } rows[] = {
        {"asked for",          "mail",    "order-66", "order-66"        },
        {"not asked for",      "mail",    "",         "0000000000000001"},
        {"none",               "mail",    "a b",      "0000000000000001"},
        {"of what is refused", "missing", "7",        "7"               },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct peer p;
        struct peer_call *c;

        peer_init(&p, 0);
        c = peer_get(
            &p, rows[i].method,
            (const char *[]){*rows[i].asked ? "x-request-id" : "x-other", rows[i].asked, NULL});
        peer_exchange(&p);
        CHECK_ROW(rows[i].name, str_eq(peer_field(c, "x-request-id"), str_of(rows[i].id)));
        CHECK_ROW(rows[i].name, strcmp(p.fake.id, rows[i].id) == 0);
        peer_deinit(&p);
    }
}

static void many_calls_share_a_connection(void **state)
{
    struct peer p;

    (void)state;
    peer_init(&p, 0);
    for (int i = 0; i < 3000; i++)
        peer_get(&p, i % 20 ? "later" : "wide", NULL);
    peer_exchange(&p);
    /* The others are waiting at the client, since no more may be open at once. */
    assert_int_equal(p.fake.started, p.fake.done + 1000);
    while (!list_empty(&p.fake.later)) {
        fake_finish(&p.fake);
        peer_exchange(&p);
    }
    for (size_t i = 0; i < p.calls_n; i++)
        assert_int_equal(peer_status(&p.calls[i]), 0);
    assert_int_equal(p.calls[0].data.n > FAKE_WIDE_BYTES, 1);
    peer_deinit(&p);
}

static void requests_that_are_refused(void **state)
{
    static const struct {
        const char *name;
        const char *path;
        const char *header[3];
        struct str body;
        const char *http;
        int status;
        const char *code;
    } rows[] = {
        {"no such method",
         "/weft.v1.Queues/Nothing", {0},
         STR("\0\0\0\0\0"),
         "200",                                                                                                          12,
         "method_not_found"                                                                                                                    },
        {"no such service",   "/x", {0},                                             STR("\0\0\0\0\0"),           "200", 12, "method_not_found"},
        {"no message",        GET,  {0},                                             STR(""),                     "200", 12, "invalid_argument"},
        {"two messages",      GET,  {0},                                             STR("\0\0\0\0\0\0\0\0\0\0"), "200", 12, "invalid_argument"},
        {"a bit of a second", GET,  {0},                                             STR("\0\0\0\0\0\0"),         "200", 12, "invalid_argument"},
        {"a head cut off",    GET,  {0},                                             STR("\0\0\0"),               "200", 13, "invalid_argument"},
        {"a body cut off",    GET,  {0},                                             STR("\0\0\0\0\5abc"),        "200", 13, "invalid_argument"},
        {"compressed",
         GET,                       {"grpc-encoding", "gzip", NULL},
         STR("\1\0\0\0\0"),
         "200",                                                                                                          12,
         "unsupported_media_type"                                                                                                              },
        {"a strange flag",    GET,  {0},                                             STR("\2\0\0\0\0"),           "200", 13, "invalid_argument"},
        {"too large",         GET,  {0},                                             STR("\0\1\0\0\1"),           "200", 8,  "too_large"       },
        {"far too large",     GET,  {0},                                             STR("\0\377\377\377\377"),   "200", 8,  "too_large"       },
        {"no protobuf",       GET,  {0},                                             STR("\0\0\0\0\3abc"),        "200", 3,  "invalid_argument"},
        {"bad UTF-8",         GET,  {0},                                             STR("\0\0\0\0\3\12\1\377"),  "200", 3,  "invalid_argument"},
        {"bad timeout",
         GET,                       {"grpc-timeout", "1h", NULL},
         STR("\0\0\0\0\0"),
         "200",                                                                                                          3,
         "invalid_argument"                                                                                                                    },
        {"long timeout",
         GET,                       {"grpc-timeout", "123456789S", NULL},
         STR("\0\0\0\0\0"),
         "200",                                                                                                          3,
         "invalid_argument"                                                                                                                    },
        {"no timeout left",
         GET,                       {"grpc-timeout", "0S", NULL},
         STR("\0\0\0\0\0"),
         "200",                                                                                                          4,
         "deadline_exceeded"                                                                                                                   },
        {"JSON",              GET,  {"content-type", "application/json", NULL},      STR("{}"),                   "415", -1, ""                },
        {"grpc with JSON",
         GET,                       {"content-type", "application/grpc+json", NULL},
         STR("{}"),
         "415",                                                                                                          -1,
         ""                                                                                                                                    },
        {"GET",               GET,  {":method", "GET", NULL},                        STR("\0\0\0\0\0"),           "405", -1, ""                },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct peer p;
        struct peer_call *c;

        peer_init(&p, 0);
        c = peer_call(&p, rows[i].path, rows[i].body, rows[i].header);
        c->open = false;
        peer_exchange(&p);
        p.p->type->expire(p.p);
        peer_exchange(&p);
        CHECK_ROW(rows[i].name, str_eq(peer_field(c, ":status"), str_of(rows[i].http)));
        CHECK_ROW(rows[i].name, peer_status(c) == rows[i].status);
        CHECK_ROW(rows[i].name, str_eq(peer_field(c, "weft-code"), str_of(rows[i].code)));
        CHECK_ROW(rows[i].name, rows[i].status <= 0 || peer_field(c, "grpc-message").n > 10);
        CHECK_ROW(rows[i].name, c->closed);
        CHECK_ROW(rows[i].name, p.fake.started == p.fake.done);
        peer_deinit(&p);
    }
}

static void an_error_has_code_text_and_hint(void **state)
{
    struct peer p;
    struct peer_call *full, *invalid;

    (void)state;
    peer_init(&p, 0);
    full = peer_get(&p, "fail", NULL);
    invalid = peer_get(&p, "invalid", NULL);
    peer_exchange(&p);
    assert_int_equal(peer_status(full), GRPC_RESOURCE_EXHAUSTED);
    CHECK_TEXT(peer_field(full, "weft-code"), "queue_full");
    CHECK_TEXT(peer_field(full, "grpc-message"), "50 %25 is too much: gr%C3%B6%C3%9Fer");
    CHECK_TEXT(peer_field(full, "grpc-retry-pushback-ms"), "1500");
    assert_int_equal(peer_status(invalid), GRPC_INVALID_ARGUMENT);
    CHECK_TEXT(peer_field(invalid, "grpc-message"),
               "50 %25 is too much: gr%C3%B6%C3%9Fer%0A1:2: the first place%0A3:4: the second "
               "place");
    peer_deinit(&p);
}

static void a_deadline_ends_the_call(void **state)
{
    struct peer p;
    struct peer_call *c, *slow;

    (void)state;
    peer_init(&p, 0);
    slow = peer_get(&p, "later", (const char *[]){"grpc-timeout", "2S", NULL});
    c = peer_get(&p, "hang", (const char *[]){"grpc-timeout", "100m", NULL});
    peer_exchange(&p);
    assert_int_equal(p.fake.deadline_us, peer_now_us + 100000);
    assert_int_equal(p.p->deadline_us, peer_now_us + 100000);
    peer_now_us += 99999;
    p.p->type->expire(p.p);
    peer_exchange(&p);
    assert_int_equal(peer_status(c), -1);
    peer_now_us++;
    p.p->type->expire(p.p);
    peer_exchange(&p);
    assert_int_equal(peer_status(c), GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(p.fake.cancelled, 1);
    fake_finish(&p.fake);
    peer_exchange(&p);
    assert_int_equal(peer_status(slow), 0);
    peer_deinit(&p);
}

static void a_reset_cancels(void **state)
{
    struct peer p;
    struct peer_call *c;

    (void)state;
    peer_init(&p, 0);
    c = peer_get(&p, "hang", NULL);
    peer_exchange(&p);
    assert_int_equal(p.shared.metrics.calls, 1);
    nghttp2_submit_rst_stream(p.client, NGHTTP2_FLAG_NONE, c->id, NGHTTP2_CANCEL);
    peer_exchange(&p);
    assert_int_equal(p.fake.cancelled, 1);
    assert_int_equal(p.shared.metrics.calls, 0);
    peer_deinit(&p);
}

static void a_lost_connection_cancels(void **state)
{
    struct peer p;

    (void)state;
    peer_init(&p, 0);
    peer_get(&p, "hang", NULL);
    peer_get(&p, "later", NULL);
    peer_watch(&p, "hang", "5");
    peer_exchange(&p);
    assert_int_equal(p.shared.metrics.calls, 3);
    p.p->type->free(p.p);
    p.p = NULL;
    assert_int_equal(p.fake.cancelled, 3);
    peer_deinit(&p);
}

static void a_stream_goes_as_fast_as_it_is_read(void **state)
{
    struct peer p;
    struct peer_call *c;

    (void)state;
    peer_init(&p, 0);
    /* The client's window holds nothing back here; without an exchange nothing is read. */
    c = peer_watch(&p, "r1", "20000");
    peer_exchange(&p);
    assert_int_equal(messages(c), 20000);
    assert_int_equal(peer_status(c), 0);
    peer_deinit(&p);

    peer_init(&p, 1000);
    c = peer_watch(&p, "r1", "20000");
    nghttp2_session_set_local_window_size(p.client, NGHTTP2_FLAG_NONE, 0, 1000);
    peer_exchange(&p);
    assert_int_equal(messages(c), 20000);
    peer_deinit(&p);
}

static void who_does_not_read_holds_little(void **state)
{
    struct peer p;
    const uint8_t *bytes;
    ssize_t n;
    struct buf out;

    (void)state;
    peer_init(&p, 0);
    peer_watch(&p, "r1", "1000000000");
    while ((n = nghttp2_session_mem_send(p.client, &bytes)) > 0)
        p.p->type->feed(p.p, (struct str){(const char *)bytes, (size_t)n});
    /* All that the server may send until the client says that it has read. */
    buf_init(&out, 10u << 20);
    p.p->type->drain(p.p, &out);
    p.p->type->drain(p.p, &out);
    assert_in_range(out.n, 65535, 70000);
    assert_in_range(p.fake.messages, 1, 40000);
    buf_deinit(&out);
    peer_deinit(&p);
}

static void a_stream_without_messages_ends_well(void **state)
{
    struct peer p;
    struct peer_call *c;

    (void)state;
    peer_init(&p, 0);
    c = peer_watch(&p, "r1", "0");
    peer_exchange(&p);
    assert_int_equal(peer_status(c), 0);
    assert_int_equal(c->data.n, 0);
    peer_deinit(&p);
}

static void a_large_message_comes_through(void **state)
{
    struct peer p;
    struct peer_call *c;
    char *name = memory_new(15u << 20), *got;

    (void)state;
    memset(name, 'x', (15u << 20) - 1);
    peer_init(&p, 0);
    c = peer_get(&p, name, NULL);
    peer_exchange(&p);
    assert_int_equal(peer_status(c), 0);
    got = reply_name(c);
    assert_string_equal(got, name);
    free(got);
    free(name);
    peer_deinit(&p);
}

static void bodies_are_bounded_in_all(void **state)
{
    struct peer p;
    struct peer_call *c[3];

    (void)state;
    peer_init(&p, 0);
    p.shared.limits.bodies_bytes = 1000;
    for (int i = 0; i < 3; i++) {
        c[i] = peer_call(&p, GET, STR("\0\0\0\3\350"), NULL); /* 1 000 bytes are announced */
        c[i]->open = true;
        for (int n = 0; n < 450; n++)
            buf_byte(&c[i]->send, 'x');
    }
    peer_exchange(&p);
    assert_int_equal(p.shared.bodies_bytes, 910);
    assert_int_equal(peer_status(c[2]), GRPC_RESOURCE_EXHAUSTED);
    CHECK_TEXT(peer_field(c[2], "weft-code"), "resource_exhausted");
    peer_deinit(&p);
}

static void a_body_that_comes_slowly_is_given_up(void **state)
{
    struct peer p;
    struct peer_call *c;
    int seconds = 0;

    (void)state;
    peer_init(&p, 0);
    c = peer_call(&p, GET, STR("\0\0\0\3\350"), NULL);
    c->open = true;
    for (; seconds < 60 && peer_status(c) < 0; seconds++) {
        buf_byte(&c->send, 'x');
        nghttp2_session_resume_data(p.client, c->id);
        peer_now_us += 1000000;
        if (peer_now_us >= p.p->deadline_us)
            p.p->type->expire(p.p);
        peer_exchange(&p);
    }
    assert_int_equal(peer_status(c), GRPC_DEADLINE_EXCEEDED);
    assert_in_range(seconds, 10, 12);
    assert_int_equal(p.shared.metrics.refused[METRICS_BODY_RATE], 1);
    peer_deinit(&p);
}

static void who_asks_too_often_is_told_when(void **state)
{
    struct peer p;
    struct peer_call *c;

    (void)state;
    peer_init(&p, 0);
    p.admits = false;
    c = peer_get(&p, "mail", NULL);
    peer_exchange(&p);
    assert_int_equal(peer_status(c), GRPC_RESOURCE_EXHAUSTED);
    CHECK_TEXT(peer_field(c, "weft-code"), "rate_limited");
    CHECK_TEXT(peer_field(c, "grpc-retry-pushback-ms"), "2000");
    peer_deinit(&p);
}

static void the_end_of_the_server_lets_calls_finish(void **state)
{
    struct peer p;
    struct peer_call *c, *watch, *late;

    (void)state;
    peer_init(&p, 0);
    c = peer_get(&p, "later", NULL);
    watch = peer_watch(&p, "hang", "5");
    peer_exchange(&p);
    p.shared.retiring = true;
    p.p->type->retire(p.p);
    late = peer_get(&p, "mail", NULL); /* it was under way when the notice came */
    peer_exchange(&p);
    assert_int_equal(p.goaways, 2);
    assert_int_equal(p.goaway_error, NGHTTP2_NO_ERROR);
    assert_int_equal(p.goaway_last, late->id);
    assert_int_equal(late->error, NGHTTP2_REFUSED_STREAM);
    assert_int_equal(messages(watch), 5);
    assert_int_equal(peer_status(watch), GRPC_UNAVAILABLE);
    assert_int_equal(peer_status(c), -1);
    assert_false(p.p->closing);
    fake_finish(&p.fake);
    assert_true(p.wakes > 0);
    peer_exchange(&p);
    assert_int_equal(peer_status(c), 0);
    assert_true(p.p->closing);
    peer_deinit(&p);
}

/* Let time pass, and with it the deadlines. */
static void advance(struct peer *p, int64_t us)
{
    int64_t until_us = peer_now_us + us;

    while (p->p->deadline_us <= until_us && !p->p->closing) {
        peer_now_us = p->p->deadline_us;
        p->p->type->expire(p->p);
    }
    peer_now_us = until_us;
}

static void the_silent_are_asked_and_then_left(void **state)
{
    struct peer p;

    (void)state;
    peer_init(&p, 0);
    peer_get(&p, "later", NULL);
    peer_exchange(&p);
    for (int i = 0; i < 5; i++) {
        advance(&p, H2_KEEPALIVE_US - 1);
        assert_int_equal(p.pings, (unsigned)i);
        advance(&p, 1);
        peer_exchange(&p); /* the client answers */
        assert_int_equal(p.pings, (unsigned)i + 1);
        assert_false(p.p->closing);
    }
    advance(&p, H2_KEEPALIVE_US);
    advance(&p, H2_PING_US_MAX - 1);
    assert_false(p.p->closing);
    advance(&p, 1);
    assert_true(p.p->closing);
    peer_deinit(&p);
}

static void who_never_greets_is_left(void **state)
{
    struct peer p;

    (void)state;
    peer_init(&p, 0);
    peer_raw(&p, STR("PRI * HTTP/2.0\r\n"));
    peer_now_us = p.p->deadline_us;
    p.p->type->expire(p.p);
    assert_true(p.p->closing);
    assert_int_equal(p.shared.metrics.refused[METRICS_SILENT], 1);
    peer_deinit(&p);
}

static void floods_end_the_connection(void **state)
{
    /* A frame that is sent again and again after a PREFACE. */
    static const struct {
        const char *name;
        struct str frame;
        enum metrics_refusal counted;
    } rows[] = {
        {"PING",             STR("\0\0\10\6\0\0\0\0\0abcdefgh"),  METRICS_FLOOD},
        {"SETTINGS",         STR("\0\0\0\4\0\0\0\0\0"),           METRICS_FLOOD},
        {"PRIORITY",         STR("\0\0\5\2\0\0\0\0\3\0\0\0\0\7"), METRICS_FLOOD},
        {"WINDOW_UPDATE",    STR("\0\0\4\10\0\0\0\0\0\0\0\0\1"),  METRICS_FLOOD},
        {"PING with an ACK", STR("\0\0\10\6\1\0\0\0\0abcdefgh"),  METRICS_FLOOD},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct peer p;

        peer_init(&p, 0);
        peer_raw(&p, PREFACE);
        for (int n = 0; n < 100000 && !p.p->closing; n++)
            peer_raw(&p, rows[i].frame);
        CHECK_ROW(rows[i].name, p.p->closing);
        CHECK_ROW(rows[i].name, p.shared.metrics.refused[rows[i].counted] == 1);
        CHECK_ROW(rows[i].name, p.drained < 100000);
        peer_deinit(&p);
    }
}

static void a_flood_of_resets_ends_the_connection(void **state)
{
    struct peer p;
    unsigned n = 0;

    (void)state;
    peer_init(&p, 0);
    for (; n < PEER_CALLS_MAX && !p.p->closing; n++) {
        struct peer_call *c = peer_get(&p, "hang", NULL);

        peer_exchange(&p);
        if (c->id > 0)
            nghttp2_submit_rst_stream(p.client, NGHTTP2_FLAG_NONE, c->id, NGHTTP2_CANCEL);
        peer_exchange(&p);
    }
    assert_true(p.p->closing);
    assert_in_range(n, 900, 1100);
    peer_deinit(&p);
}

static void pings_beside_work_are_no_flood(void **state)
{
    struct peer p;

    (void)state;
    peer_init(&p, 0);
    for (int i = 0; i < 3000; i++) {
        peer_get(&p, "mail", NULL);
        nghttp2_submit_ping(p.client, NGHTTP2_FLAG_NONE, NULL);
        peer_exchange(&p);
        assert_false(p.p->closing);
    }
    peer_deinit(&p);
}

static void headers_are_bounded(void **state)
{
    struct peer p;
    struct peer_call *c;
    const char *many[205] = {0};
    char *large = memory_new(20000);

    (void)state;
    peer_init(&p, 0);
    memset(large, 'x', 19999);
    c = peer_get(&p, "mail", (const char *[]){"x-large", large, NULL});
    peer_exchange(&p);
    CHECK_TEXT(peer_field(c, ":status"), "431");
    for (int i = 0; i < 204; i += 2) {
        many[i] = "x-many";
        many[i + 1] = "y";
    }
    c = peer_get(&p, "mail", many);
    peer_exchange(&p);
    CHECK_TEXT(peer_field(c, ":status"), "431");
    c = peer_get(&p, "mail", NULL);
    peer_exchange(&p);
    assert_int_equal(peer_status(c), 0);
    assert_int_equal(p.shared.metrics.refused[METRICS_HEAD], 2);
    free(large);
    peer_deinit(&p);
}

static void continuations_have_an_end(void **state)
{
    struct peer p;

    (void)state;
    peer_init(&p, 0);
    peer_raw(&p, PREFACE);
    peer_raw(&p, STR("\0\0\1\1\0\0\0\0\1\202")); /* HEADERS without END_HEADERS */
    for (int i = 0; i < 1000 && !p.p->closing; i++)
        peer_raw(&p, STR("\0\0\0\11\0\0\0\0\1"));
    assert_true(p.p->closing);
    peer_deinit(&p);
}

static void malformed_frames_end_the_connection(void **state)
{
    static const struct {
        const char *name;
        struct str bytes;
    } rows[] = {
        {"HTTP/1.1",                 STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n......")},
        {"DATA on stream 0",         STR("\0\0\1\0\0\0\0\0\0a")                    },
        {"DATA before HEADERS",      STR("\0\0\1\0\0\0\0\0\1a")                    },
        {"HEADERS on stream 0",      STR("\0\0\1\1\4\0\0\0\0\202")                 },
        {"HEADERS on an even one",   STR("\0\0\1\1\5\0\0\0\2\202")                 },
        {"PUSH_PROMISE",             STR("\0\0\5\5\4\0\0\0\1\0\0\0\2\202")         },
        {"a PING of 7 bytes",        STR("\0\0\7\6\0\0\0\0\0abcdefg")              },
        {"SETTINGS of 5 bytes",      STR("\0\0\5\4\0\0\0\0\0abcde")                },
        {"a window beyond its end",  STR("\0\0\4\10\0\0\0\0\0\177\377\377\377")    },
        {"a window update of 0",     STR("\0\0\4\10\0\0\0\0\0\0\0\0\0")            },
        {"a frame of 16 MiB",        STR("\377\377\377\0\0\0\0\0\1a")              },
        {"CONTINUATION alone",       STR("\0\0\1\11\4\0\0\0\1\202")                },
        {"HPACK without a sense",    STR("\0\0\4\1\5\0\0\0\1\377\377\377\377")     },
        {"padding beyond the frame", STR("\0\0\2\1\15\0\0\0\1\377\202")            },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct peer p;

        peer_init(&p, 0);
        if (i > 0)
            peer_raw(&p, PREFACE);
        peer_raw(&p, rows[i].bytes);
        CHECK_ROW(rows[i].name, p.p->closing);
        peer_deinit(&p);
    }
}

static struct peer_call *ask(struct peer *p, const char *path, const ProtobufCMessage *m)
{
    struct buf message, body;
    struct peer_call *c;

    buf_init(&message, 1 << 20);
    buf_init(&body, 1 << 20);
    codec_encode(m, &message);
    peer_frame(&body, buf_str(&message));
    c = peer_call(p, path, buf_str(&body), NULL);
    buf_deinit(&message);
    buf_deinit(&body);
    return c;
}

static void health_is_told_and_watched(void **state)
{
    Grpc__Health__V1__HealthCheckRequest q;
    struct peer p;
    struct peer_call *all, *queues, *nobody, *watch;

    (void)state;
    peer_init(&p, 0);
    grpc__health__v1__health_check_request__init(&q);
    all = ask(&p, "/grpc.health.v1.Health/Check", &q.base);
    watch = ask(&p, "/grpc.health.v1.Health/Watch", &q.base);
    q.service = (char *)(uintptr_t) "weft.v1.Queues";
    queues = ask(&p, "/grpc.health.v1.Health/Check", &q.base);
    q.service = (char *)(uintptr_t) "weft.v1";
    nobody = ask(&p, "/grpc.health.v1.Health/Check", &q.base);
    peer_exchange(&p);
    assert_memory_equal(all->data.p, "\0\0\0\0\2\10\1", 7);
    assert_memory_equal(queues->data.p, "\0\0\0\0\2\10\1", 7);
    assert_int_equal(peer_status(nobody), GRPC_NOT_FOUND);
    grpc_serving(p.shared.grpc, false);
    grpc_serving(p.shared.grpc, false);
    peer_exchange(&p);
    assert_int_equal(watch->data.n, 14);
    assert_memory_equal(watch->data.p, "\0\0\0\0\2\10\1\0\0\0\0\2\10\2", 14);
    assert_false(watch->ended);
    nghttp2_submit_rst_stream(p.client, NGHTTP2_FLAG_NONE, watch->id, NGHTTP2_CANCEL);
    peer_exchange(&p);
    grpc_serving(p.shared.grpc, true);
    peer_deinit(&p);
}

typedef Grpc__Reflection__V1__ServerReflectionRequest Question;
typedef Grpc__Reflection__V1__ServerReflectionResponse Answer;
#define ASKS(name)    GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define ANSWERS(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

/* Ask over a dialogue that stays open; the answer is for free_answer(). */
static Answer *reflect(struct peer *p, struct peer_call *c, const Question *q)
{
    struct buf message;
    size_t at = c->data.n + GRPC_FRAME_HEAD_BYTES;
    Answer *r;

    buf_init(&message, 1 << 20);
    codec_encode(&q->base, &message);
    peer_frame(&c->send, buf_str(&message));
    buf_deinit(&message);
    nghttp2_session_resume_data(p->client, c->id);
    peer_exchange(p);
    assert_true(c->data.n > at);
    r = grpc__reflection__v1__server_reflection_response__unpack(NULL, c->data.n - at,
                                                                 (const uint8_t *)c->data.p + at);
    assert_non_null(r);
    return r;
}

static void free_answer(Answer *r)
{
    grpc__reflection__v1__server_reflection_response__free_unpacked(r, NULL);
}

static void reflection_is_a_dialogue(void **state)
{
    Question q;
    Answer *r;
    struct peer p;
    struct peer_call *c;

    (void)state;
    peer_init(&p, 0);
    c = peer_call(&p, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", STR(""), NULL);
    c->open = true;
    grpc__reflection__v1__server_reflection_request__init(&q);
    q.message_request_case = ASKS(LIST_SERVICES);
    q.list_services = (char *)(uintptr_t) "";
    r = reflect(&p, c, &q);
    assert_int_equal(r->message_response_case, ANSWERS(LIST_SERVICES_RESPONSE));
    assert_true(r->list_services_response->n_service >= 8);
    CHECK_TEXT(str_of(r->list_services_response->service[0]->name), "grpc.health.v1.Health");
    q.message_request_case = ASKS(FILE_CONTAINING_SYMBOL);
    q.file_containing_symbol = (char *)(uintptr_t) "weft.v1.Queues.Enqueue";
    free_answer(r);
    r = reflect(&p, c, &q);
    assert_int_equal(r->message_response_case, ANSWERS(FILE_DESCRIPTOR_RESPONSE));
    assert_true(r->file_descriptor_response->n_file_descriptor_proto >= 3);
    q.file_containing_symbol = (char *)(uintptr_t) "weft.v1.Nothing";
    free_answer(r);
    r = reflect(&p, c, &q);
    assert_int_equal(r->message_response_case, ANSWERS(ERROR_RESPONSE));
    assert_int_equal(r->error_response->error_code, GRPC_NOT_FOUND);
    q.message_request_case = ASKS(FILE_BY_FILENAME);
    q.file_by_filename = (char *)(uintptr_t) "google/protobuf/timestamp.proto";
    free_answer(r);
    r = reflect(&p, c, &q);
    assert_int_equal(r->file_descriptor_response->n_file_descriptor_proto, 1);
    q.message_request_case = ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE);
    q.all_extension_numbers_of_type = (char *)(uintptr_t) "google.protobuf.FieldOptions";
    free_answer(r);
    r = reflect(&p, c, &q);
    assert_int_equal(r->all_extension_numbers_response->extension_number[0], 50501);
    c->open = false;
    nghttp2_session_resume_data(p.client, c->id);
    peer_exchange(&p);
    assert_int_equal(peer_status(c), 0);
    free_answer(r);
    peer_deinit(&p);
}

static void reflection_refuses_what_is_no_question(void **state)
{
    struct peer p;
    struct peer_call *c;

    (void)state;
    peer_init(&p, 0);
    c = peer_call(&p, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                  STR("\0\0\0\0\0\0\0\0\0\3abc"), NULL);
    c->open = true;
    peer_exchange(&p);
    assert_int_equal(peer_status(c), GRPC_INVALID_ARGUMENT);
    /* It may still send, for a moment. */
    assert_false(c->closed);
    advance(&p, p.shared.limits.linger_us);
    peer_exchange(&p);
    assert_true(c->closed);
    assert_int_equal(c->error, NGHTTP2_NO_ERROR);
    peer_deinit(&p);
}

/* What is read of a dialogue is held, and dialogues are many. */
static void questions_are_bounded(void **state)
{
    struct peer p;
    struct peer_call *c;

    (void)state;
    peer_init(&p, 0);
    c = peer_call(&p, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                  STR("\0\0\0\x10\1"), NULL);
    c->open = true;
    peer_exchange(&p);
    assert_int_equal(peer_status(c), GRPC_RESOURCE_EXHAUSTED);
    peer_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_is_answered_however_it_is_split),
        cmocka_unit_test(a_call_is_answered_with_its_id),
        cmocka_unit_test(many_calls_share_a_connection),
        cmocka_unit_test(requests_that_are_refused),
        cmocka_unit_test(an_error_has_code_text_and_hint),
        cmocka_unit_test(a_deadline_ends_the_call),
        cmocka_unit_test(a_reset_cancels),
        cmocka_unit_test(a_lost_connection_cancels),
        cmocka_unit_test(a_stream_goes_as_fast_as_it_is_read),
        cmocka_unit_test(who_does_not_read_holds_little),
        cmocka_unit_test(a_stream_without_messages_ends_well),
        cmocka_unit_test(a_large_message_comes_through),
        cmocka_unit_test(bodies_are_bounded_in_all),
        cmocka_unit_test(a_body_that_comes_slowly_is_given_up),
        cmocka_unit_test(who_asks_too_often_is_told_when),
        cmocka_unit_test(the_end_of_the_server_lets_calls_finish),
        cmocka_unit_test(the_silent_are_asked_and_then_left),
        cmocka_unit_test(who_never_greets_is_left),
        cmocka_unit_test(floods_end_the_connection),
        cmocka_unit_test(a_flood_of_resets_ends_the_connection),
        cmocka_unit_test(pings_beside_work_are_no_flood),
        cmocka_unit_test(headers_are_bounded),
        cmocka_unit_test(continuations_have_an_end),
        cmocka_unit_test(malformed_frames_end_the_connection),
        cmocka_unit_test(health_is_told_and_watched),
        cmocka_unit_test(reflection_is_a_dialogue),
        cmocka_unit_test(reflection_refuses_what_is_no_question),
        cmocka_unit_test(questions_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
