/* SPDX-License-Identifier: Apache-2.0 */
#include "client/remote_follow.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "client/remote_stream.h"

#define TICK_US (100 * CLOCK_MS)

static volatile sig_atomic_t interrupts;

static void interrupted(int number)
{
    (void)number;
    interrupts = interrupts + 1;
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
#define SIGNALS_N (sizeof(signals) / sizeof(*signals))

struct follow;

/* A log that is heard. */
struct hearing {
    struct follow *follow;
    struct client_log *log; /* the listener's */
    struct remote_stream stream;
};

struct follow {
    struct remote *remote;
    const struct client_listener *listener;
    enum client_follow how;
    json_t *run; /* its id */
    int64_t after;
    int heard; /* interrupts that were acted on */

    CURLM *multi;
    struct remote_stream events;
    struct hearing *logs[REMOTE_FOLLOW_LOGS_MAX];
    size_t logs_n;
    size_t begun; /* of the listener's logs, those before it are heard or have ended */
    bool away;    /* the listener has heard that the server is */
    /* Since it is back, until a tick brings no more of what came meanwhile. */
    bool back;
    size_t missed, missed_before;
    int64_t tick_us;
};

static void notice(const struct follow *f, const char *text)
{
    if (f->listener->notice)
        f->listener->notice(f->listener->context, text);
}

/* Events. */

static json_t *events_request(void *context)
{
    struct follow *f = context;

    return json_pack("{s:O, s:o}", "id", f->run, "after", json_sprintf("%" PRId64, f->after));
}

static struct str text_of(const json_t *v)
{
    return (struct str){json_string_value(v), json_string_length(v)};
}

static bool event_heard(void *context, const json_t *event)
{
    struct follow *f = context;

    if (!str_int64(text_of(json_object_get(event, "seq")), &f->after))
        return false;
    f->missed++;
    if (f->listener->event)
        f->listener->event(f->listener->context, event);
    return true;
}

/* Logs. */

static json_t *log_request(void *context)
{
    struct hearing *h = context;

    return json_pack("{s:O, s:s, s:I, s:s, s:I}", "run", h->follow->run, "name", h->log->name,
                     "attempt", (json_int_t)h->log->attempt, "stream", h->log->stream, "offset",
                     (json_int_t)h->log->offset);
}

static bool part_heard(void *context, const json_t *part)
{
    struct hearing *h = context;
    const struct client_listener *l = h->follow->listener;
    const json_t *next = json_object_get(part, "next_offset");
    struct str text = text_of(json_object_get(part, "text"));

    if (!json_is_integer(next))
        return false;
    h->log->offset = json_integer_value(next);
    if (text.n)
        l->text(l->context, h->log, text);
    return true;
}

/* Those that are wanted and not heard yet, as far as there is room. */
static void begin_logs(struct follow *f)
{
    const struct client_listener *l = f->listener;
    struct client_log *log;

    while (l->log && f->logs_n < REMOTE_FOLLOW_LOGS_MAX && (log = l->log(l->context, f->begun))) {
        struct hearing *h;

        f->begun++;
        if (log->ended)
            continue;
        h = memory_new(sizeof(*h));
        h->follow = f;
        h->log = log;
        remote_stream_init(&h->stream, f->remote, f->multi,
                           &(struct remote_stream_hears){.method = "logs.watch",
                                                         .context = h,
                                                         .request = log_request,
                                                         .message = part_heard});
        f->logs[f->logs_n++] = h;
    }
}

static void end_log(struct follow *f, size_t at)
{
    struct hearing *h = f->logs[at];

    f->logs[at] = f->logs[--f->logs_n];
    remote_stream_deinit(&h->stream);
    free(h);
}

static void end_logs(struct follow *f)
{
    for (size_t i = f->logs_n; i > 0; i--) {
        struct hearing *h = f->logs[i - 1];

        h->log->ended = h->stream.ended;
        if (h->log->ended)
            end_log(f, i - 1);
    }
}

/* Streams. */

/* A log that was deleted has ended; else as the stream. */
static int stream_done(struct remote_stream *s, CURLcode result, struct client_problem *ret_problem)
{
    int r = remote_stream_done(s, result, ret_problem);

    if (!r || ret_problem->code != CODE_LOG_NOT_FOUND)
        return r;
    client_problem_clear(ret_problem);
    s->ended = true;
    return 0;
}

static int turn_streams(struct follow *f, struct client_problem *ret_problem)
{
    int r = remote_stream_turn(&f->events, ret_problem);

    for (size_t i = 0; i < f->logs_n && !r; i++)
        r = remote_stream_turn(&f->logs[i]->stream, ret_problem);
    return r;
}

/* Said once, whichever stream is the first to feel it. */
static void watch_away(struct follow *f)
{
    const struct remote_stream *away = f->events.away_us ? &f->events : NULL;

    for (size_t i = 0; i < f->logs_n && !away; i++)
        away = f->logs[i]->stream.away_us ? &f->logs[i]->stream : NULL;
    if (f->away == (away != NULL))
        return;
    f->away = away != NULL;
    f->back = !away;
    if (!away)
        return; /* what came with the connection has been told by now */
    f->missed = f->missed_before = 0;
    notice(f, away->away);
}

static void say_back(struct follow *f)
{
    char text[100];

    f->back = false;
    snprintf(text, sizeof(text), "the server is back; events that came meanwhile: %zu", f->missed);
    notice(f, text);
}

/* What happened meanwhile is told first, and then how much it was. */
static void tell_missed(struct follow *f)
{
    bool more = f->missed != f->missed_before;

    f->missed_before = f->missed;
    if (f->back && !more)
        say_back(f);
}

/* Whatever has come. */
static int turn(struct follow *f, struct client_problem *ret_problem)
{
    const CURLMsg *message;
    int running, left, r = 0;

    curl_multi_perform(f->multi, &running);
    while (!r && (message = curl_multi_info_read(f->multi, &left))) {
        struct remote_stream *s = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&s);
        r = stream_done(s, message->data.result, ret_problem);
    }
    if (r)
        return r;
    end_logs(f);
    watch_away(f);
    begin_logs(f);
    return turn_streams(f, ret_problem);
}

/* Following. */

/* True: the following ends here. */
static bool act_on_interrupts(struct follow *f)
{
    struct client_problem problem = {.code = CODE_OK};
    json_t *request, *reply;

    if (f->heard == interrupts)
        return false;
    f->heard++;
    if (f->how == CLIENT_WATCH || f->heard > 1)
        return true;
    notice(f, "interrupted: cancelling the run; press Ctrl-C again to leave it to the server");
    request = json_pack("{s:O}", "id", f->run);
    if (remote_call(f->remote, "runs.cancel", request, &reply, &problem)) {
        if (problem.code != CODE_RUN_ENDED)
            notice(f, problem.text);
        client_problem_clear(&problem);
    } else {
        json_decref(reply);
    }
    json_decref(request);
    return false;
}

static void tick(struct follow *f)
{
    int64_t now = clock_monotonic();

    if (now < f->tick_us)
        return;
    f->tick_us = now + TICK_US;
    tell_missed(f);
    if (f->listener->tick)
        f->listener->tick(f->listener->context);
}

/* The run has ended and every log of it is told, or the listener wants no more. */
static bool is_over(struct follow *f)
{
    const struct client_listener *l = f->listener;

    if (l->enough && l->enough(l->context))
        return true;
    return f->events.ended && !f->logs_n && !(l->log && l->log(l->context, f->begun));
}

static int follow_all(struct follow *f, struct client_problem *ret_problem)
{
    while (!act_on_interrupts(f)) {
        int64_t left;
        int r = turn(f, ret_problem);

        if (r || is_over(f)) {
            if (f->back) /* and all of it was told at once */
                say_back(f);
            return r;
        }
        tick(f);
        left = f->tick_us - clock_monotonic();
        if (left > 0)
            curl_multi_poll(f->multi, NULL, 0, (int)(left / CLOCK_MS) + 1, NULL);
    }
    return 0;
}

static void begin(struct follow *f)
{
    f->multi = curl_multi_init();
    assert(f->multi);
    remote_stream_init(&f->events, f->remote, f->multi,
                       &(struct remote_stream_hears){.method = "runs.watch",
                                                     .context = f,
                                                     .request = events_request,
                                                     .message = event_heard});
}

static void end(struct follow *f)
{
    while (f->logs_n)
        end_log(f, f->logs_n - 1);
    remote_stream_deinit(&f->events);
    curl_multi_cleanup(f->multi);
    json_decref(f->run);
}

int remote_follow(struct remote *remote, int64_t run, enum client_follow how, int64_t after,
                  const struct client_listener *listener, struct client_problem *ret_problem)
{
    const struct sigaction mine = {.sa_handler = interrupted};
    struct sigaction before[SIGNALS_N];
    struct follow f = {
        .remote = remote,
        .listener = listener,
        .how = how,
        .run = json_sprintf("%" PRId64, run),
        .after = after,
    };
    int r;

    interrupts = 0;
    for (size_t i = 0; i < SIGNALS_N; i++)
        sigaction(signals[i], &mine, &before[i]);
    begin(&f);
    r = follow_all(&f, ret_problem);
    end(&f);
    for (size_t i = 0; i < SIGNALS_N; i++)
        sigaction(signals[i], &before[i], NULL);
    return r;
}
