/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread, which reads, calls and writes. A function that wants to know whether somebody still
 * waits for its call reads what has come meanwhile: calls are kept for later, cancels are done.
 */
#include "client/weft_pool_worker.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json_members.h"
#include "base/json_scan.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"

#define HEAD_BYTES            4u
#define READ_BYTES            ((size_t)64 << 10) /* what the kernel keeps for a pipe */
#define REQUEST_BYTES_MAX     ((size_t)64 << 20) /* no pool may be told a larger limit */
#define MESSAGE_BYTES_DEFAULT ((size_t)1 << 20)
#define KIND_BYTES_MAX        1000
#define DEPTH_MAX             64u /* lists and objects within each other, as weft reads them */
#define POLL_MS_MAX           1000000000

struct session {
    struct list link;
    char *name; /* NULL: of a call without one */
    void *state;
};

struct server {
    const struct weft_pool_worker *worker;
    int in, out;
    size_t message_max;
    char *bytes; /* that came and are no whole frame yet */
    size_t n, cap;
    struct list calls; /* under way first, then those that wait */
    struct map *by_name;
    struct list sessions;
    bool ended, shutdown, broken;
    const char *wrong; /* what ends it: the end of a sentence; NULL: nothing */
};

struct weft_pool_call {
    struct list link;
    struct server *server;
    int64_t id, deadline_at; /* of the monotonic clock; 0: none */
    char *command, *args;
    size_t args_n;
    struct session *session;
    struct session own;
    char *session_name;
    bool left, answered;
    const char *unsaid; /* the kind of the failure where an answer could not be sent; else NULL */
};

/* ---- writing ---- */

static void send_frame(struct server *s, struct str text)
{
    uint32_t length = htobe32((uint32_t)text.n);
    struct buf frame;
    ssize_t n = 0;

    buf_init(&frame, text.n + HEAD_BYTES);
    buf_add(&frame, (struct str){(const char *)&length, sizeof(length)});
    buf_add(&frame, text);
    for (size_t at = 0; at < frame.n && !s->broken; at += (size_t)n) {
        n = write(s->out, frame.p + at, frame.n - at);
        if (n < 0 && errno != EINTR)
            s->broken = true; /* weft is gone */
        if (n < 0)
            n = 0;
    }
    buf_deinit(&frame);
}

/* Whether that could be sent: a message is no larger than the pool takes. */
static bool send_text(struct server *s, struct buf *text)
{
    bool ok = !text->full;

    if (ok)
        send_frame(s, buf_str(text));
    buf_deinit(text);
    return ok;
}

static int say(struct weft_pool_call *c, const char *before, const char *json, size_t n)
{
    struct buf text;
    size_t bad;

    if (c->answered || json_scan_check((struct str){json, n}, DEPTH_MAX, &bad))
        return -1;
    buf_init(&text, c->server->message_max);
    buf_printf(&text, "{\"id\":%" PRId64 ",%s", c->id, before);
    buf_add(&text, (struct str){json, n});
    buf_byte(&text, '}');
    return send_text(c->server, &text) ? 0 : -1;
}

/* Why it could not be sent, where nothing else is said. */
static int unsaid(struct weft_pool_call *c, struct str json)
{
    size_t bad;

    switch (json_scan_check(json, DEPTH_MAX, &bad)) {
    case 0:
        c->unsaid = "too_large";
        break;
    case JSON_SCAN_E_DEEP:
        c->unsaid = "too_deep";
        break;
    default:
        c->unsaid = "no_json";
    }
    return -1;
}

int weft_pool_worker_chunk(struct weft_pool_call *call, const char *json, size_t n)
{
    return say(call, "\"chunk\":", json, n) ? unsaid(call, (struct str){json, n}) : 0;
}

int weft_pool_worker_result(struct weft_pool_call *call, const char *json, size_t n)
{
    if (say(call, "\"success\":true,\"result\":", json, n))
        return unsaid(call, (struct str){json, n});
    call->answered = true;
    return 0;
}

static bool fail(struct weft_pool_call *c, struct str kind, struct str message, struct str details)
{
    struct buf text;

    buf_init(&text, c->server->message_max);
    buf_printf(&text, "{\"id\":%" PRId64 ",\"success\":false,\"error\":{\"kind\":", c->id);
    buf_json(&text, kind);
    buf_add(&text, STR(",\"message\":"));
    buf_json(&text, message);
    if (details.n) {
        buf_add(&text, STR(",\"details\":"));
        buf_add(&text, details);
    }
    buf_add(&text, STR("}}"));
    return send_text(c->server, &text);
}

int weft_pool_worker_fail(struct weft_pool_call *call, const char *kind, const char *message,
                          const char *details)
{
    struct str said = str_of(details);
    size_t bad;

    /* They stand within the error. */
    if (call->answered || (said.n && json_scan_check(said, DEPTH_MAX - 1, &bad)))
        return -1;
    if (!fail(call, str_of(kind), str_of(message), said))
        fail(call, str_sub(str_of(kind), 0, KIND_BYTES_MAX),
             str_sub(str_of(message), 0, KIND_BYTES_MAX), (struct str){NULL, 0});
    call->answered = true;
    return 0;
}

static void answer_ping(struct server *s, int64_t id)
{
    struct buf text;

    buf_init(&text, MESSAGE_BYTES_DEFAULT);
    buf_printf(&text,
               "{\"id\":%" PRId64 ",\"success\":true,\"result\":{\"protocol\":1,\"in_flight\":1,"
               "\"snapshots\":%s",
               id, s->worker->snapshot && s->worker->restore ? "true" : "false");
    if (s->worker->sessions)
        buf_printf(&text, ",\"sessions\":%" PRId64, s->worker->sessions);
    buf_add(&text, STR("}}"));
    send_text(s, &text);
}

/* ---- reading ---- */

/* The text of a JSON text; NULL where it is none, or has a NUL within. */
static char *text_of(struct str json)
{
    json_t *text = json.n ? json_loadb(json.p, json.n, JSON_DECODE_ANY, NULL) : NULL;
    char *copy = json_is_string(text) ? memory_text(json_string_value(text)) : NULL;

    json_decref(text);
    return copy;
}

/* What a request says, key by key; a value of no bytes was not said. */
struct request {
    struct str id, command, args, session, deadline, cancel;
};

static bool request_read(struct str text, struct request *ret)
{
    const struct {
        struct str key;
        struct str *at;
    } keys[] = {
        {STR("id"),       &ret->id      },
        {STR("command"),  &ret->command },
        {STR("args"),     &ret->args    },
        {STR("session"),  &ret->session },
        {STR("deadline"), &ret->deadline},
        {STR("cancel"),   &ret->cancel  },
    };
    enum json_members_found found;
    struct json_members m;
    struct json_member one;

    if (!json_members_begin(&m, text, DEPTH_MAX))
        return false;
    while ((found = json_members_next(&m, &one)) == JSON_MEMBERS_ONE)
        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
            if (str_eq(keys[i].key, one.key))
                *keys[i].at = one.value;
    return found == JSON_MEMBERS_END;
}

static bool take_call(struct server *s, const struct request *r, char *command)
{
    struct weft_pool_call *c = memory_new(sizeof(*c));
    struct str args = r->args.n ? r->args : STR("null");
    int64_t deadline_ms;

    c->server = s;
    c->command = command;
    c->args = memory_new(args.n + 1);
    c->args_n = args.n;
    memcpy(c->args, args.p, args.n);
    c->session_name = text_of(r->session);
    if (str_int64(r->deadline, &deadline_ms) && deadline_ms > 0 && deadline_ms <= POLL_MS_MAX)
        c->deadline_at = clock_monotonic() + deadline_ms * CLOCK_MS;
    list_add(&s->calls, &c->link);
    return str_int64(r->id, &c->id);
}

static void cancel(struct server *s, int64_t id)
{
    LIST_EACH(it, &s->calls)
    {
        struct weft_pool_call *c = LIST_OF(it, struct weft_pool_call, link);

        if (c->id == id)
            c->left = true;
    }
}

/* Whether it was one of weft's. */
static bool take(struct server *s, struct str text)
{
    struct request r = {0};
    char *command;
    int64_t id;

    if (!request_read(text, &r))
        return false;
    if (str_int64(r.cancel, &id)) {
        cancel(s, id);
        return true;
    }
    command = text_of(r.command);
    if (!command)
        return false;
    if (strcmp(command, "weft.shutdown") && strcmp(command, "weft.ping"))
        return take_call(s, &r, command);
    if (!strcmp(command, "weft.shutdown"))
        s->shutdown = true;
    else if (str_int64(r.id, &id))
        answer_ping(s, id);
    free(command);
    return true;
}

/* The length of the frame that stands first, with its head; 0: its head has not come. */
static size_t first_bytes(const struct server *s)
{
    uint32_t length;

    if (s->n < HEAD_BYTES)
        return 0;
    memcpy(&length, s->bytes, sizeof(length));
    return HEAD_BYTES + be32toh(length);
}

static bool take_frame(struct server *s)
{
    size_t bytes = first_bytes(s);

    if (bytes == HEAD_BYTES || bytes > HEAD_BYTES + REQUEST_BYTES_MAX) {
        s->wrong = "a length that is none of weft's";
        return true;
    }
    if (!bytes || s->n < bytes)
        return false;
    if (!take(s, (struct str){s->bytes + HEAD_BYTES, bytes - HEAD_BYTES}))
        s->wrong = "a text that is none of weft's";
    s->n -= bytes;
    memmove(s->bytes, s->bytes + bytes, s->n);
    return true;
}

static void input_ended(struct server *s)
{
    s->ended = true;
    if (!s->shutdown) /* nobody waits any more, for anything */
        LIST_EACH(it, &s->calls)
    LIST_OF(it, struct weft_pool_call, link)->left = true;
}

/* One frame, or one piece of it, or `wait_ms` later (-1: no limit) nothing. */
static void receive(struct server *s, int wait_ms)
{
    struct pollfd fd = {.fd = s->in, .events = POLLIN};
    size_t wanted = s->n + READ_BYTES;
    ssize_t n;

    if (take_frame(s) || poll(&fd, 1, wait_ms) <= 0)
        return;
    if (first_bytes(s) > wanted)
        wanted = first_bytes(s);
    if (wanted > s->cap) {
        s->bytes = memory_grow(s->bytes, wanted);
        s->cap = wanted;
    }
    n = read(s->in, s->bytes + s->n, s->cap - s->n);
    if (n > 0)
        s->n += (size_t)n;
    else if (n == 0 || errno != EINTR)
        input_ended(s);
}

/* ---- calls ---- */

const char *weft_pool_worker_args(const struct weft_pool_call *call, size_t *ret_n)
{
    if (ret_n)
        *ret_n = call->args_n;
    return call->args;
}

const char *weft_pool_worker_command(const struct weft_pool_call *call)
{
    return call->command;
}

const char *weft_pool_worker_session(const struct weft_pool_call *call)
{
    return call->session_name;
}

void **weft_pool_worker_state(struct weft_pool_call *call)
{
    return &call->session->state;
}

static bool is_late(const struct weft_pool_call *c)
{
    return c->deadline_at && clock_monotonic() >= c->deadline_at;
}

int weft_pool_worker_left(struct weft_pool_call *call, int64_t ms)
{
    struct server *s = call->server;
    int64_t rest, until = clock_monotonic() + (ms < POLL_MS_MAX ? ms : POLL_MS_MAX) * CLOCK_MS;

    if (call->deadline_at && until > call->deadline_at)
        until = call->deadline_at;
    do {
        rest = until - clock_monotonic();
        rest = rest > 0 ? (rest + CLOCK_MS - 1) / CLOCK_MS : 0;
        if (s->ended)
            poll(NULL, 0, (int)rest);
        else
            receive(s, (int)rest);
    } while (rest && !call->left && !s->wrong);
    return call->left || is_late(call);
}

static void session_free(struct server *s, struct session *session)
{
    if (s->worker->end_session)
        s->worker->end_session(session->name, session->state);
    map_del(s->by_name, str_of(session->name));
    list_del(&session->link);
    free(session->name);
    free(session);
}

static struct session *session_find(struct server *s, const char *name)
{
    uint64_t found;

    return name && map_get(s->by_name, str_of(name), &found) ? (void *)(uintptr_t)found : NULL;
}

static struct session *session_of(struct weft_pool_call *c)
{
    struct server *s = c->server;
    struct session *session = session_find(s, c->session_name);

    if (session || !c->session_name)
        return session ? session : &c->own;
    session = memory_new(sizeof(*session));
    session->name = memory_text(c->session_name);
    map_set(s->by_name, str_of(session->name), (uintptr_t)session);
    list_add(&s->sessions, &session->link);
    return session;
}

static void end_session(struct weft_pool_call *c)
{
    struct session *session = session_find(c->server, c->session_name);

    if (session)
        session_free(c->server, session);
    if (session)
        weft_pool_worker_result(c, "true", 4);
    else
        weft_pool_worker_result(c, "false", 5);
}

static int (*work_of(const struct weft_pool_call *c))(struct weft_pool_call *)
{
    const struct weft_pool_worker *w = c->server->worker;

    if (!strcmp(c->command, "weft.snapshot"))
        return w->snapshot;
    if (!strcmp(c->command, "weft.restore"))
        return w->restore;
    for (size_t i = 0; i < w->commands_n; i++)
        if (!strcmp(w->commands[i].name, c->command))
            return w->commands[i].work;
    return NULL;
}

static void work(struct weft_pool_call *c)
{
    int (*function)(struct weft_pool_call *) = work_of(c);

    if (!function) {
        char message[KIND_BYTES_MAX];

        snprintf(message, sizeof(message), "there is no command \"%s\"", c->command);
        weft_pool_worker_fail(c, "unknown_command", message, NULL);
        return;
    }
    c->session = session_of(c);
    function(c);
    if (c->own.state && c->server->worker->end_session)
        c->server->worker->end_session(NULL, c->own.state);
    if (!c->answered && c->unsaid)
        weft_pool_worker_fail(c, c->unsaid, "an answer is no message that weft takes", NULL);
    if (!c->answered)
        weft_pool_worker_result(c, "null", 4);
}

static void call_free(struct weft_pool_call *c)
{
    list_del(&c->link);
    free(c->session_name);
    free(c->command);
    free(c->args);
    free(c);
}

static void answer(struct server *s)
{
    struct weft_pool_call *c = LIST_OF(s->calls.next, struct weft_pool_call, link);

    if (c->left)
        weft_pool_worker_fail(c, "cancelled", "it was cancelled before it began", NULL);
    else if (!strcmp(c->command, "weft.end_session"))
        end_session(c);
    else
        work(c);
    call_free(c);
}

/* ---- life ---- */

/* What prints by accident, and what processes of its own read and write, is not the protocol. */
static bool take_descriptors(struct server *s)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool ok;

    s->in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    s->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    fflush(stdout);
    setvbuf(stdout, NULL, _IOLBF, 0);
    ok = nothing >= 0 && s->in >= 0 && s->out >= 0 && dup2(nothing, STDIN_FILENO) >= 0 &&
         dup2(STDERR_FILENO, STDOUT_FILENO) >= 0;
    close(nothing);
    return ok;
}

static void server_deinit(struct server *s)
{
    LIST_EACH_SAFE(it, &s->calls)
    call_free(LIST_OF(it, struct weft_pool_call, link));
    LIST_EACH_SAFE(it, &s->sessions)
    session_free(s, LIST_OF(it, struct session, link));
    map_free(s->by_name);
    free(s->bytes);
    close(s->in);
    close(s->out);
}

int weft_pool_worker_serve(const struct weft_pool_worker *w)
{
    struct server s = {
        .worker = w,
        .message_max = w->message_max ? w->message_max : MESSAGE_BYTES_DEFAULT,
        .by_name = map_new(),
    };

    list_init(&s.calls);
    list_init(&s.sessions);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, SIG_IGN); /* weft asks for the stack of a worker that has one to tell */
    if (!take_descriptors(&s))
        s.wrong = "no stdin and stdout";
    while (!s.wrong && !s.broken && (!s.ended || !list_empty(&s.calls)))
        if (list_empty(&s.calls))
            receive(&s, -1);
        else
            answer(&s);
    if (s.wrong)
        fprintf(stderr, "weft_pool_worker: it was given %s\n", s.wrong);
    server_deinit(&s);
    return s.wrong ? 1 : 0;
}
