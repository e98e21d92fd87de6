/* SPDX-License-Identifier: Apache-2.0 */
#include "net/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/test.h"
#include "net/net_testing.h"

#define HTTP     " HTTP/1.1\r\nHost: localhost\r\n"
#define GET      "GET /v1/health" HTTP "\r\n"
#define CLAIM    "POST /v1/queues/a:claim" HTTP "\r\n"
#define WAIT_MS  10000 /* nothing here takes so long */
#define TEXT_MAX (64u << 10)

/* A server on a thread of its own; the test is its clients. */
struct fixture {
    struct fake_service service;
    struct server_options options;
    struct server *server;
    uv_loop_t loop;
    uv_async_t async;
    pthread_t thread;
    sem_t done;
    void (*task)(struct fixture *f); /* what `async` runs on the loop */
    struct arena arena;
    uint16_t port;
    bool drained;
    int64_t seen; /* what a task has looked at */
};

static void on_async(uv_async_t *async)
{
    struct fixture *f = async->data;

    f->task(f);
    sem_post(&f->done);
}

/* Run something on the server's thread, and wait for it. */
static void on_loop(struct fixture *f, void task(struct fixture *))
{
    f->task = task;
    uv_async_send(&f->async);
    while (sem_wait(&f->done) && errno == EINTR)
        ;
}

static void *run(void *context)
{
    struct fixture *f = context;

    uv_run(&f->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void set_up(struct fixture *f, struct net_limits limits)
{
    struct server_listen listen = {.address = "127.0.0.1:0"};
    struct str address, error;
    int64_t port;
    int r;

    *f = (struct fixture){0};
    fake_service_init(&f->service);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->options.loop = &f->loop;
    f->options.limits = limits;
    f->options.service = &f->service.service;
    f->server = server_new(&f->options);
    r = server_listen(f->server, &listen, &f->arena, &address, &error);
    assert_int_equal(r, 0);
    assert_true(str_starts(address, STR("127.0.0.1:")));
    assert_true(str_int64(str_sub(address, 10, address.n), &port));
    f->port = (uint16_t)port;
    f->async.data = f;
    assert_int_equal(uv_async_init(&f->loop, &f->async, on_async), 0);
    assert_int_equal(sem_init(&f->done, 0, 0), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
}

static void on_drained(void *context)
{
    struct fixture *f = context;

    f->drained = true;
    f->server = server_free(f->server);
    uv_close((uv_handle_t *)&f->async, NULL);
}

static void drain_task(struct fixture *f)
{
    server_drain(f->server, 5 * CLOCK_S, on_drained, f);
}

static void release_task(struct fixture *f)
{
    fake_release(&f->service);
}

static void look_at_cancelled(struct fixture *f)
{
    f->seen = f->service.cancelled;
}

static void look_at_started(struct fixture *f)
{
    f->seen = f->service.started;
}

static void look_at_held(struct fixture *f)
{
    f->seen = (int64_t)f->service.held_n;
}

/* Ask until it is so; the loop's turns are the clock. */
static bool until(struct fixture *f, void look(struct fixture *), int64_t value)
{
    int64_t end = clock_monotonic() + WAIT_MS * CLOCK_MS;

    do
        on_loop(f, look);
    while (f->seen != value && clock_monotonic() < end);
    return f->seen == value;
}

/* The end of every test: all handles are closed, nothing is left. */
static void join(struct fixture *f)
{
    pthread_join(f->thread, NULL);
    assert_true(f->drained);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(f->service.started, f->service.done);
    sem_destroy(&f->done);
    arena_deinit(&f->arena);
}

static void tear_down(struct fixture *f)
{
    on_loop(f, drain_task);
    join(f);
}

/* ---- clients ---- */

static int dial(const struct fixture *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(f->port)};
    struct timeval wait = {.tv_sec = WAIT_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (connect(fd, (const struct sockaddr *)(const void *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Read until `end` stands at the end of what came, or the server closes (`end` is NULL). */
static struct str hear(int fd, const char *end)
{
    static char text[TEXT_MAX];
    struct str s = {text, 0};
    ssize_t n = 1;

    while (n > 0 && s.n < sizeof(text) && !(end && str_ends(s, str_of(end)))) {
        n = recv(fd, text + s.n, sizeof(text) - s.n, 0);
        s.n += n > 0 ? (size_t)n : 0;
    }
    return s;
}

static bool has(struct str text, const char *piece)
{
    return text.n > 0 && memmem(text.p, text.n, piece, strlen(piece));
}

/* Whether it is a refusal for want of room, as long as it says. */
static bool whole(struct str text)
{
    const char *body = text.n ? memmem(text.p, text.n, "\r\n\r\n", 4) : NULL;
    char length[40];

    if (!body || !has(text, "resource_exhausted"))
        return false;
    snprintf(length, sizeof(length), "Content-Length: %zu\r\n",
             text.n - (size_t)(body + 4 - text.p));
    return has(text, length);
}

/* Whether the server has closed its side, and how: 0 orderly, ECONNRESET. */
static int closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);

    return n == 0 ? 0 : n < 0 ? errno : EBUSY;
}

static bool served(const struct fixture *f)
{
    int fd = dial(f);
    bool ok;

    if (fd < 0)
        return false;
    say(fd, GET);
    ok = str_starts(hear(fd, "\"healthy\"}"), STR("HTTP/1.1 200 OK"));
    close(fd);
    return ok;
}

/* ---- tests ---- */

static void a_connection_is_kept_and_pipelined(void **state)
{
    struct fixture f;
    struct str text;
    int fd;

    (void)state;
    set_up(&f, (struct net_limits)NET_LIMITS_DEFAULT);
    fd = dial(&f);
    for (int i = 0; i < 100; i++) {
        say(fd, GET);
        assert_true(has(hear(fd, "\"healthy\"}"), "200 OK"));
    }
    say(fd, CLAIM GET "GET /v1/queues/last" HTTP "\r\n");
    assert_true(until(&f, look_at_held, 1));
    on_loop(&f, release_task);
    text = hear(fd, "{\"name\":\"last\"}");
    assert_true(has(text, "leases"));
    assert_true(has(text, "healthy"));
    say(fd, "GET /v1/health" HTTP "Connection: close\r\n\r\n");
    assert_true(has(hear(fd, NULL), "Connection: close\r\n"));
    close(fd);
    tear_down(&f);
}

static void a_request_in_single_bytes(void **state)
{
    struct fixture f;
    int fd;

    (void)state;
    set_up(&f, (struct net_limits)NET_LIMITS_DEFAULT);
    fd = dial(&f);
    for (const char *p = GET; *p; p++)
        assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
    assert_true(has(hear(fd, "\"healthy\"}"), "200 OK"));
    close(fd);
    tear_down(&f);
}

static void http2_is_known_by_its_first_bytes(void **state)
{
    struct fixture f;
    char frame[9];
    int fd;

    (void)state;
    set_up(&f, (struct net_limits)NET_LIMITS_DEFAULT);
    fd = dial(&f);
    say(fd, "PR");
    /* The rest of the preface and an empty SETTINGS frame; the answer is a frame of SETTINGS. */
    say(fd, "I * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_int_equal(send(fd, "\0\0\0\4\0\0\0\0\0", 9, MSG_NOSIGNAL), 9);
    assert_int_equal(recv(fd, frame, sizeof(frame), MSG_WAITALL), sizeof(frame));
    assert_int_equal(frame[3], 4);
    close(fd);
    fd = dial(&f);
    say(fd, "PRINT / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(has(hear(fd, "}"), "404 Not Found"));
    close(fd);
    tear_down(&f);
}

static void who_is_silent_or_slow_is_cut_off(void **state)
{
    struct net_limits l = NET_LIMITS_DEFAULT;
    struct fixture f;
    int silent, slow;
    int64_t begun;
    struct pollfd p;

    (void)state;
    l.first_byte_us = 200 * CLOCK_MS;
    l.head_us = 400 * CLOCK_MS;
    set_up(&f, l);
    silent = dial(&f);
    slow = dial(&f);
    begun = clock_monotonic();
    say(slow, "GET / HTTP/1.1\r\nX: ");
    p = (struct pollfd){.fd = slow, .events = POLLIN};
    while (poll(&p, 1, 10) == 0 && clock_monotonic() < begun + WAIT_MS * CLOCK_MS)
        say(slow, "y");
    assert_true(has(hear(slow, NULL), "408 Request Timeout"));
    assert_true(clock_monotonic() - begun < 5 * CLOCK_S);
    assert_int_equal(closed(silent), 0);
    assert_true(served(&f));
    close(silent);
    close(slow);
    tear_down(&f);
}

static void clients_that_vanish_give_up_their_calls(void **state)
{
    struct linger now = {.l_onoff = 1};
    struct fixture f;
    int fd[4];

    (void)state;
    set_up(&f, (struct net_limits)NET_LIMITS_DEFAULT);
    for (size_t i = 0; i < 4; i++) {
        fd[i] = dial(&f);
        say(fd[i], CLAIM);
    }
    assert_true(until(&f, look_at_held, 4));
    for (size_t i = 0; i < 4; i++) {
        setsockopt(fd[i], SOL_SOCKET, SO_LINGER, &now, i < 2 ? sizeof(now) : 0);
        close(fd[i]);
    }
    assert_true(until(&f, look_at_cancelled, 4));
    tear_down(&f);
}

static void a_half_closed_client_gets_its_reply(void **state)
{
    struct fixture f;
    int fd;

    (void)state;
    set_up(&f, (struct net_limits)NET_LIMITS_DEFAULT);
    fd = dial(&f);
    say(fd, GET GET);
    shutdown(fd, SHUT_WR);
    assert_true(str_ends(hear(fd, NULL), STR("{\"health\":\"healthy\"}")));
    close(fd);
    tear_down(&f);
}

/* those within the limits are served on. */
static void connections_over_the_limit_are_turned_away(void **state)
{
    struct net_limits l = NET_LIMITS_DEFAULT;
    struct fixture f;
    int fd[60], refused = 0;
    int extra;

    (void)state;
    l.connections = 50;
    l.linger_us = 300 * CLOCK_MS;
    set_up(&f, l);
    for (size_t i = 0; i < 50; i++) {
        fd[i] = dial(&f);
        assert_true(fd[i] >= 0);
        say(fd[i], GET);
        assert_true(has(hear(fd[i], "}"), "200 OK"));
    }
    for (int i = 0; i < 3000; i++) {
        extra = dial(&f);
        if (extra < 0)
            continue;
        if (i % 100 == 0)
            refused += has(hear(extra, NULL), "503 Service Unavailable");
        close(extra);
        if (i % 500 == 0) {
            say(fd[i % 50], GET);
            assert_true(has(hear(fd[i % 50], "}"), "200 OK"));
        }
    }
    assert_true(refused > 0);
    for (size_t i = 0; i < 50; i++)
        close(fd[i]);
    while (!served(&f))
        ;
    tear_down(&f);

    l.connections = 0;
    l.connections_per_peer = 2;
    set_up(&f, l);
    fd[0] = dial(&f);
    fd[1] = dial(&f);
    say(fd[0], GET);
    say(fd[1], GET);
    hear(fd[0], "}");
    hear(fd[1], "}");
    extra = dial(&f);
    assert_true(whole(hear(extra, NULL)));
    close(extra);
    close(fd[0]);
    close(fd[1]);
    while (!served(&f))
        ;
    tear_down(&f);
}

/* The refusal can be read, though the client was still sending. */
static void a_huge_body_is_refused_in_words(void **state)
{
    static char part[64 << 10];
    struct fixture f;
    int fd;

    (void)state;
    set_up(&f, (struct net_limits)NET_LIMITS_DEFAULT);
    fd = dial(&f);
    say(fd, "POST /v1/queues/a:enqueue" HTTP "Content-Length: 104857600\r\n\r\n");
    for (int i = 0; i < 160; i++)
        if (send(fd, part, sizeof(part), MSG_NOSIGNAL) < 0)
            break;
    assert_true(has(hear(fd, NULL), "413 Content Too Large"));
    close(fd);
    tear_down(&f);
}

static void a_large_body_arrives_whole(void **state)
{
    enum { N = 100000 };
    struct fixture f;
    struct buf b;
    char head[120];
    struct str text;
    int fd;

    (void)state;
    set_up(&f, (struct net_limits)NET_LIMITS_DEFAULT);
    buf_init(&b, 10u << 20);
    buf_add(&b, STR("{\"tasks\":["));
    for (int i = 0; i < N; i++)
        buf_add(&b, i ? STR(",{}") : STR("{}"));
    buf_add(&b, STR("]}"));
    snprintf(head, sizeof(head), "POST /v1/queues/a:enqueue" HTTP "Content-Length: %zu\r\n\r\n",
             b.n);
    fd = dial(&f);
    say(fd, head);
    say(fd, b.p);
    /* The reply is larger than what is written at once. */
    b.n = 0;
    do {
        text = hear(fd, "]}");
        b.n += text.n;
    } while (text.n > 0 && !str_ends(text, STR("]}")));
    assert_true(b.n > N * 6u);
    close(fd);
    buf_deinit(&b);
    tear_down(&f);
}

/* Who does not read gets no more, costs nothing, disturbs nobody, and is cut off. */
static void a_stream_that_nobody_reads(void **state)
{
    struct net_limits l = NET_LIMITS_DEFAULT;
    struct fixture f;
    int fd;

    (void)state;
    l.write_us = 500 * CLOCK_MS;
    set_up(&f, l);
    f.service.events = 100000000;
    fd = dial(&f);
    say(fd, "GET /v1/runs/1:watch" HTTP "\r\n");
    assert_true(until(&f, look_at_started, 1));
    assert_true(served(&f));
    assert_true(until(&f, look_at_cancelled, 1));
    close(fd);
    tear_down(&f);
}

static void a_server_drains(void **state)
{
    struct fixture f;
    int idle, held, stream;
    struct str text;

    (void)state;
    set_up(&f, (struct net_limits)NET_LIMITS_DEFAULT);
    f.service.endless = true;
    idle = dial(&f);
    held = dial(&f);
    stream = dial(&f);
    say(idle, GET);
    hear(idle, "}");
    say(held, CLAIM);
    say(stream, "GET /v1/runs/1:watch" HTTP "\r\n");
    assert_true(until(&f, look_at_held, 2));
    hear(stream, "id: 3\nevent: task_READY\ndata: {\"seq\":\"3\",\"kind\":\"task_READY\"}\n\n\r\n");
    on_loop(&f, drain_task);
    assert_int_equal(dial(&f), -1);
    assert_int_equal(closed(idle), 0);
    assert_true(has(hear(stream, NULL), "event: problem\n"));
    assert_false(f.drained);
    on_loop(&f, release_task);
    text = hear(held, NULL);
    assert_true(has(text, "200 OK"));
    assert_true(has(text, "Connection: close"));
    close(idle);
    close(held);
    close(stream);
    join(&f);
}

static void short_drain_task(struct fixture *f)
{
    server_drain(f->server, 50 * CLOCK_MS, on_drained, f);
}

static void what_outlasts_the_drain_is_cut_off(void **state)
{
    struct fixture f;
    int fd;

    (void)state;
    set_up(&f, (struct net_limits)NET_LIMITS_DEFAULT);
    fd = dial(&f);
    say(fd, CLAIM);
    assert_true(until(&f, look_at_held, 1));
    on_loop(&f, short_drain_task);
    join(&f);
    assert_int_equal(f.service.cancelled, 1);
    close(fd);
}

static void where_it_listens(void **state)
{
    static const struct {
        const char *address;
        int r;
    } cases[] = {
        {"127.0.0.1:0",     0               },
        {"localhost:0",     0               },
        {":0",              0               },
        {"127.0.0.1",       SERVER_E_ADDRESS},
        {"127.0.0.1:70000", SERVER_E_ADDRESS},
        {"::1:80",          SERVER_E_ADDRESS},
        {"nowhere:80",      SERVER_E_ADDRESS},
        {"",                SERVER_E_ADDRESS},
        {"192.0.2.1:0",     SERVER_E_LISTEN },
    };
    struct arena a = {0};
    struct str address, error;
    struct fixture f;
    uv_loop_t loop;

    (void)state;
    fake_service_init(&f.service);
    assert_int_equal(uv_loop_init(&loop), 0);
    f.options = (struct server_options){.loop = &loop, .service = &f.service.service};
    f.server = server_new(&f.options);
    for (size_t i = 0; i < ROWS_N(cases); i++) {
        struct server_listen l = {.address = cases[i].address};

        CHECK_ROW(cases[i].address,
                  server_listen(f.server, &l, &a, &address, &error) == cases[i].r);
    }
    server_free(f.server);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    arena_deinit(&a);
    assert_true(server_loopback("127.9.9.9:1") && server_loopback("[::1]:1"));
    assert_true(!server_loopback(":1") && !server_loopback("0.0.0.0:1") && !server_loopback("x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_kept_and_pipelined),
        cmocka_unit_test(a_request_in_single_bytes),
        cmocka_unit_test(http2_is_known_by_its_first_bytes),
        cmocka_unit_test(who_is_silent_or_slow_is_cut_off),
        cmocka_unit_test(clients_that_vanish_give_up_their_calls),
        cmocka_unit_test(a_half_closed_client_gets_its_reply),
        cmocka_unit_test(connections_over_the_limit_are_turned_away),
        cmocka_unit_test(a_huge_body_is_refused_in_words),
        cmocka_unit_test(a_large_body_arrives_whole),
        cmocka_unit_test(a_stream_that_nobody_reads),
        cmocka_unit_test(a_server_drains),
        cmocka_unit_test(what_outlasts_the_drain_is_cut_off),
        cmocka_unit_test(where_it_listens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
