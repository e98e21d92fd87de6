/* SPDX-License-Identifier: Apache-2.0 */
#include "client/load.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/memory.h"

#define REPLY_BYTES_MAX   (256u << 20)
#define REQUEST_BYTES_MAX (256u << 20)
#define READ_BYTES        65536
#define EVENTS            256
/* A server that says nothing for so long is taken for one that does not answer. */
#define SILENT_MS   30000
#define ERROR_BYTES 300
/* Whoever finds nothing asks again; a queue that stays empty for so long is empty. */
#define WORK_WAIT      "1s"
#define START_WAIT     "10s"
#define NUMBER_MARK    "\"n\":"
#define TOKEN_MARK     "\"token\":\""
#define LENGTH_MARK    "\r\ncontent-length:"
#define LENGTH_MARK_UP "\r\nContent-Length:"

enum step { STEP_IDLE, STEP_ENQUEUE, STEP_CLAIM, STEP_COMPLETE };

struct caller {
    int fd;
    enum step step;
    struct buf out, in;
    int64_t asked; /* tasks, by a claim */
    int64_t begun_us;
};

struct load {
    struct arena *a;
    const struct load_options *o;
    struct addrinfo *address;
    int epoll;
    struct caller *callers;
    size_t callers_n;
    int64_t *took_us; /* one per measured call, or per task of LOAD_START */
    int64_t took_n, took_max;
    int64_t *added_at; /* of LOAD_START: when task n was sent */
    int64_t begun_us;
    int64_t given;    /* tasks that calls under way or over have asked for */
    int64_t finished; /* tasks that are done */
    int64_t calls;
    struct str *error;
};

static int fail(struct load *l, const char *text)
{
    *l->error = str_printf(l->a, "%s:%s: %s", l->o->host, l->o->port, text);
    return LOAD_E_FAILED;
}

static void took(struct load *l, int64_t us)
{
    if (l->took_n < l->took_max)
        l->took_us[l->took_n++] = us;
}

/* Requests. */

static void request(struct load *l, struct caller *c, enum step step, const char *path,
                    struct str body)
{
    buf_clear(&c->out);
    buf_clear(&c->in);
    buf_printf(&c->out,
               "POST %s HTTP/1.1\r\nHost: %s:%s\r\nContent-Type: application/json\r\n"
               "Content-Length: %zu\r\n\r\n",
               path, l->o->host, l->o->port, body.n);
    buf_add(&c->out, body);
    c->step = step;
    c->begun_us = clock_monotonic();
    l->calls++;
}

static const char *queue_path(struct load *l, const char *verb, char out[static 300])
{
    snprintf(out, 300, "/v1/queues/%s:%s", l->o->queue, verb);
    return out;
}

static void ask_enqueue(struct load *l, struct caller *c, int64_t n)
{
    struct buf body;
    char path[300];

    buf_init(&body, REQUEST_BYTES_MAX);
    buf_add(&body, STR("{\"tasks\":["));
    for (int64_t i = 0; i < n; i++)
        buf_printf(&body, "%s{\"payload\":{" NUMBER_MARK "%" PRId64 ",\"pad\":\"%0*d\"}}",
                   i ? "," : "", l->given + i, (int)l->o->payload_bytes, 0);
    buf_add(&body, STR("]}"));
    l->given += n;
    request(l, c, STEP_ENQUEUE, queue_path(l, "enqueue", path), buf_str(&body));
    buf_deinit(&body);
}

static void ask_claim(struct load *l, struct caller *c, int64_t max, const char *wait)
{
    char path[300], body[128];

    snprintf(body, sizeof(body), "{\"worker\":\"weft-bench\",\"max\":%" PRId64 ",\"wait\":\"%s\"}",
             max, wait);
    c->asked = max;
    request(l, c, STEP_CLAIM, queue_path(l, "claim", path), str_of(body));
}

/* The next value behind `mark`, which ends before any of `ends`; *at moves behind it. */
static bool next_value(struct str text, const char *mark, const char *ends, size_t *at,
                       struct str *ret)
{
    const char *p = text.n > *at ? memmem(text.p + *at, text.n - *at, mark, strlen(mark)) : NULL;
    const char *end = text.p + text.n;

    if (!p)
        return false;
    p += strlen(mark);
    ret->p = p;
    while (p < end && !strchr(ends, *p))
        p++;
    ret->n = (size_t)(p - ret->p);
    *at = (size_t)(p - text.p);
    return true;
}

/* Complete what a claim gave; false where it gave nothing. */
static bool ask_complete(struct load *l, struct caller *c, struct str reply)
{
    struct buf body;
    struct str token;
    size_t at = 0;
    int64_t n = 0;

    buf_init(&body, REQUEST_BYTES_MAX);
    buf_add(&body, STR("{\"results\":["));
    while (next_value(reply, TOKEN_MARK, "\"", &at, &token))
        buf_printf(&body, "%s{\"token\":\"%.*s\",\"outcome\":\"succeeded\"}", n++ ? "," : "",
                   STR_ARG(token));
    buf_add(&body, STR("]}"));
    if (n)
        request(l, c, STEP_COMPLETE, "/v1/leases:complete", buf_str(&body));
    buf_deinit(&body);
    l->finished += n;
    if (l->o->kind == LOAD_LIVES)
        l->given -= c->asked - n;
    return n;
}

/* What a caller does that has nothing to do: the next call, or nothing. */
static void begin(struct load *l, struct caller *c)
{
    int64_t left = l->o->count - l->given;

    c->step = STEP_IDLE;
    if (l->o->kind == LOAD_START) {
        /* The first caller adds, when it is time; the others wait for tasks. */
        if (c != l->callers && l->finished < l->o->count)
            ask_claim(l, c, 1, START_WAIT);
    } else if (left > 0) {
        int64_t n = left < l->o->batch ? left : l->o->batch;

        if (l->o->kind == LOAD_ENQUEUE) {
            ask_enqueue(l, c, n);
        } else {
            l->given += n;
            ask_claim(l, c, n, WORK_WAIT);
        }
    }
}

/* Replies. */

static int claimed(struct load *l, struct caller *c, struct str body)
{
    struct str number;
    size_t at = 0;
    int64_t now = clock_monotonic(), n;

    if (l->o->kind == LOAD_START) {
        while (next_value(body, NUMBER_MARK, ",}", &at, &number))
            if (str_int64(number, &n) && n >= 0 && n < l->o->count)
                took(l, now - l->added_at[n]);
    } else {
        took(l, now - c->begun_us);
    }
    if (ask_complete(l, c, body))
        return 0;
    if (l->o->kind == LOAD_LIVES && l->given == l->finished)
        return fail(l, "the queue is empty before as many tasks as asked for were done");
    begin(l, c);
    return 0;
}

static int answered(struct load *l, struct caller *c, struct str body)
{
    int64_t us = clock_monotonic() - c->begun_us;

    switch (c->step) {
    case STEP_ENQUEUE:
        if (l->o->kind == LOAD_ENQUEUE) {
            took(l, us);
            l->finished = l->given;
        }
        begin(l, c);
        return 0;
    case STEP_CLAIM:
        return claimed(l, c, body);
    case STEP_COMPLETE:
        if (l->o->kind == LOAD_LIVES)
            took(l, us);
        begin(l, c);
        return 0;
    case STEP_IDLE:
        break;
    }
    return fail(l, "it answers without having been asked");
}

/* Whether a whole reply is there; *ret_body then. */
static bool whole(const struct buf *in, struct str *ret_body)
{
    struct str text = buf_str(in);
    const char *end = text.n ? memmem(text.p, text.n, "\r\n\r\n", 4) : NULL;
    struct str head, length;
    size_t at = 0;
    int64_t n = 0;

    if (!end)
        return false;
    head = (struct str){text.p, (size_t)(end - text.p) + 2};
    if (!next_value(head, LENGTH_MARK_UP, "\r", &at, &length))
        next_value(head, LENGTH_MARK, "\r", &at, &length);
    while (at && length.n && length.p[0] == ' ')
        length = str_sub(length, 1, length.n - 1);
    if (at && !str_int64(length, &n))
        return false;
    if (text.n < head.n + 2 + (size_t)n)
        return false;
    *ret_body = str_sub(text, head.n + 2, (size_t)n);
    return true;
}

static int refused(struct load *l, struct str reply)
{
    char text[ERROR_BYTES];

    snprintf(text, sizeof(text), "it answers %.*s", (int)(reply.n < 250 ? reply.n : 250), reply.p);
    return fail(l, text);
}

static int receive(struct load *l, struct caller *c)
{
    char bytes[READ_BYTES];
    struct str body;
    ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : fail(l, strerror(errno));
    if (n == 0)
        return fail(l, "it closed a connection");
    buf_add(&c->in, (struct str){bytes, (size_t)n});
    if (c->in.full)
        return fail(l, "a reply is too long");
    if (!whole(&c->in, &body))
        return 0;
    if (!str_starts(buf_str(&c->in), STR("HTTP/1.1 2")))
        return refused(l, buf_str(&c->in));
    return answered(l, c, body);
}

/* The server reads while it works, so that waiting for room is no deadlock. */
static int transmit(struct load *l, struct caller *c)
{
    struct str rest = buf_str(&c->out);

    while (rest.n) {
        ssize_t n = send(c->fd, rest.p, rest.n, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(l, strerror(errno));
        rest = str_sub(rest, (size_t)n, rest.n - (size_t)n);
    }
    buf_clear(&c->out);
    return 0;
}

static int caller_open(struct load *l, struct caller *c)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;

    buf_init(&c->in, REPLY_BYTES_MAX);
    buf_init(&c->out, REQUEST_BYTES_MAX);
    c->fd = socket(l->address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return fault(-errno);
    if (connect(c->fd, l->address->ai_addr, l->address->ai_addrlen) < 0)
        return fail(l, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
        return fault(-errno);
    return 0;
}

/* Milliseconds until the next task of LOAD_START is to be added, which is done when it is time. */
static int64_t pace(struct load *l, int *ret_r)
{
    struct caller *adder = &l->callers[0];
    int64_t due_us, now = clock_monotonic();

    *ret_r = 0;
    if (l->o->kind != LOAD_START || l->given == l->o->count)
        return SILENT_MS;
    due_us = l->begun_us + l->given * CLOCK_S / l->o->rate;
    if (adder->step != STEP_IDLE)
        return SILENT_MS;
    if (now >= due_us) {
        l->added_at[l->given] = now;
        ask_enqueue(l, adder, 1);
        *ret_r = transmit(l, adder);
        return SILENT_MS;
    }
    return (due_us - now) / CLOCK_MS + 1;
}

static bool idle(const struct load *l)
{
    for (size_t i = 0; i < l->callers_n; i++)
        if (l->callers[i].step != STEP_IDLE)
            return false;
    return true;
}

/* Waiting claims of LOAD_START are left when all tasks are done. */
static bool over(const struct load *l)
{
    if (l->finished < l->o->count)
        return false;
    return l->o->kind == LOAD_START || idle(l);
}

static int drive(struct load *l)
{
    struct epoll_event events[EVENTS];
    int r = 0;

    l->begun_us = clock_monotonic();
    for (size_t i = 0; !r && i < l->callers_n; i++) {
        begin(l, &l->callers[i]);
        r = transmit(l, &l->callers[i]);
    }
    while (!r && !over(l)) {
        int64_t ms = pace(l, &r);
        int n = r ? 0 : epoll_wait(l->epoll, events, EVENTS, (int)ms);

        if (n < 0 && errno != EINTR)
            return fault(-errno);
        if (n == 0 && ms == SILENT_MS && !r)
            return fail(l, "it has not answered for 30 s");
        for (int i = 0; !r && i < n; i++) {
            r = receive(l, events[i].data.ptr);
            if (!r)
                r = transmit(l, events[i].data.ptr);
        }
    }
    return r;
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void tell(struct load *l, struct load_result *ret)
{
    *ret = (struct load_result){
        .tasks = l->finished, .calls = l->calls, .us = clock_monotonic() - l->begun_us};
    if (!l->took_n)
        return;
    qsort(l->took_us, (size_t)l->took_n, sizeof(*l->took_us), by_value);
    ret->p50_us = l->took_us[(l->took_n - 1) * 50 / 100];
    ret->p95_us = l->took_us[(l->took_n - 1) * 95 / 100];
    ret->p99_us = l->took_us[(l->took_n - 1) * 99 / 100];
    ret->max_us = l->took_us[l->took_n - 1];
}

static int resolve(struct load *l)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int r = getaddrinfo(l->o->host, l->o->port, &hints, &l->address);

    return r ? fail(l, gai_strerror(r)) : 0;
}

static void load_close(struct load *l)
{
    for (size_t i = 0; i < l->callers_n; i++) {
        struct caller *c = &l->callers[i];

        if (c->fd > 0)
            close(c->fd);
        buf_deinit(&c->in);
        buf_deinit(&c->out);
    }
    free(l->callers);
    free(l->took_us);
    free(l->added_at);
    if (l->address)
        freeaddrinfo(l->address);
    close(l->epoll);
}

int load_run(struct arena *a, const struct load_options *options, struct load_result *ret,
             struct str *ret_error)
{
    struct load l = {.a = a, .o = options, .error = ret_error};
    int r;

    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l.epoll < 0)
        return fault(-errno);
    /* Of LOAD_LIVES a task is measured twice: its claim and its completion. */
    l.took_max = 2 * options->count;
    l.took_us = memory_new((size_t)l.took_max * sizeof(*l.took_us));
    if (options->kind == LOAD_START)
        l.added_at = memory_new((size_t)options->count * sizeof(*l.added_at));
    l.callers = memory_new((size_t)(options->callers + 1) * sizeof(*l.callers));
    r = resolve(&l);
    /* One more of LOAD_START, which adds. */
    while (!r && l.callers_n < (size_t)options->callers + (options->kind == LOAD_START))
        r = caller_open(&l, &l.callers[l.callers_n++]);
    if (!r)
        r = drive(&l);
    if (!r)
        tell(&l, ret);
    load_close(&l);
    return r;
}
