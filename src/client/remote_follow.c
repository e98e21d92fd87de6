/* SPDX-License-Identifier: Apache-2.0 */
#include "client/remote_follow.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>

#include "base/clock.h"
#include "client/event_stream.h"
#include "client/remote_within.h"

#define TICK_US           (100 * CLOCK_MS)
#define PAUSE_US          (100 * CLOCK_MS) /* before a stream is opened again, then doubled */
#define PAUSE_US_MAX      (2 * CLOCK_S)
#define SILENT_US_MAX     (50 * CLOCK_S) /* a server that lives shows it every 15 s */
#define AWAY_US           (60 * CLOCK_S) /* a server that is started anew is waited for */
#define REFUSAL_BYTES_MAX (1u << 20)

static volatile sig_atomic_t interrupts;

static void interrupted(int number)
{
    (void)number;
    interrupts = interrupts + 1;
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
#define SIGNALS_N (sizeof(signals) / sizeof(*signals))

struct follow {
    struct remote *remote;
    const struct client_listener *listener;
    enum client_follow how;
    json_t *run; /* its id */
    int64_t after;
    int heard; /* interrupts that were acted on */

    CURLM *multi;
    CURL *curl;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    bool open;
    struct event_stream stream;
    struct buf refusal; /* the reply, where it is no stream; or what the stream ended with */
    bool ended;         /* the server has told the end */
    bool broken;        /* the stream is none */
    int64_t heard_us;   /* the last sign of life */

    int64_t tick_us;
    int64_t open_us; /* when to open the stream */
    int64_t pause_us;
    int64_t away_us; /* since when the server does not answer; 0: it does */
};

static void notice(const struct follow *f, const char *text)
{
    if (f->listener->notice)
        f->listener->notice(f->listener->context, text);
}

/* The stream. */

static long status_of(const struct follow *f)
{
    long status = 0;

    curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static void event(void *context, struct str name, struct str data)
{
    struct follow *f = context;
    json_t *e, *seq;

    if (str_eq(name, STR("end"))) {
        f->ended = true;
        return;
    }
    if (str_eq(name, STR("problem"))) {
        buf_clear(&f->refusal);
        buf_add(&f->refusal, data);
        return;
    }
    e = json_loadb(data.p, data.n, JSON_ALLOW_NUL, NULL);
    seq = json_object_get(e, "seq");
    if (!str_int64((struct str){json_string_value(seq), json_string_length(seq)}, &f->after))
        f->broken = true;
    else if (f->listener->event)
        f->listener->event(f->listener->context, e);
    json_decref(e);
}

static size_t receive(char *bytes, size_t size, size_t n, void *context)
{
    struct follow *f = context;
    struct str piece = {bytes, size * n};

    f->heard_us = clock_monotonic();
    if (status_of(f) != 200) {
        buf_add(&f->refusal, piece);
        return f->refusal.full ? 0 : piece.n;
    }
    f->pause_us = PAUSE_US;
    if (f->away_us) {
        f->away_us = 0;
        notice(f, "the server is back");
    }
    f->broken |= !event_stream_feed(&f->stream, piece);
    return f->broken ? 0 : piece.n;
}

static int open_stream(struct follow *f, struct client_problem *ret_problem)
{
    json_t *request =
        json_pack("{s:O, s:o}", "id", f->run, "after", json_sprintf("%" PRId64, f->after));
    struct remote_request http;
    const struct method *m;
    struct arena a = {0};
    int r = remote_make_request(f->remote, &a, "runs.watch", request, &http, &m, ret_problem);

    json_decref(request);
    if (!r) {
        event_stream_clear(&f->stream);
        buf_clear(&f->refusal);
        f->error[0] = '\0';
        f->heard_us = clock_monotonic();
        curl_easy_setopt(f->curl, CURLOPT_URL,
                         str_printf(&a, "%s%s", remote_url(f->remote), http.path.p).p);
        curl_multi_add_handle(f->multi, f->curl);
        f->open = true;
        remote_request_deinit(&http);
    }
    arena_deinit(&a);
    return r;
}

static void close_stream(struct follow *f)
{
    if (f->open)
        curl_multi_remove_handle(f->multi, f->curl);
    f->open = false;
}

/* What the end of a stream means that was not the end of its run. */
static int read_end(struct follow *f, CURLcode result, struct client_problem *ret_problem,
                    bool *ret_passing)
{
    const char *url = remote_url(f->remote);
    long status = status_of(f);

    *ret_passing = !f->broken && remote_passing(result, status);
    if (f->broken)
        return remote_refuse(ret_problem, CODE_INTERNAL,
                             "%s answered with something else than events; is it a weft server?",
                             url);
    if (result != CURLE_OK)
        return remote_refuse(ret_problem, CODE_UNAVAILABLE, "the server %s cannot be reached: %s",
                             url, f->error[0] ? f->error : curl_easy_strerror(result));
    if (status == 200 && !f->refusal.n) {
        *ret_passing = true;
        return remote_refuse(ret_problem, CODE_UNAVAILABLE, "the server %s has hung up", url);
    }
    remote_read_problem(f->remote, status, buf_str(&f->refusal), ret_problem);
    *ret_passing |= ret_problem->code == CODE_UNAVAILABLE ||
                    ret_problem->code == CODE_STORE_UNAVAILABLE ||
                    ret_problem->code == CODE_STORE_LOCKED;
    return CLIENT_E_REFUSED;
}

/* A server that is away is waited for; what it refuses is an end. */
static int stream_ended(struct follow *f, CURLcode result, struct client_problem *ret_problem)
{
    int64_t now = clock_monotonic();
    bool passing;

    close_stream(f);
    if (f->ended)
        return 0;
    read_end(f, result, ret_problem, &passing);
    if (!f->away_us) {
        f->away_us = now;
        if (passing)
            notice(f, ret_problem->text);
    }
    if (!passing || now - f->away_us > AWAY_US)
        return CLIENT_E_REFUSED;
    client_problem_clear(ret_problem);
    f->open_us = now + f->pause_us;
    f->pause_us = f->pause_us < PAUSE_US_MAX ? 2 * f->pause_us : PAUSE_US_MAX;
    return 0;
}

/* Whatever has come. */
static int turn(struct follow *f, struct client_problem *ret_problem)
{
    const CURLMsg *message;
    int running, left, r = 0;

    if (!f->open && clock_monotonic() >= f->open_us)
        r = open_stream(f, ret_problem);
    if (r || !f->open)
        return r;
    curl_multi_perform(f->multi, &running);
    message = curl_multi_info_read(f->multi, &left);
    if (message && message->msg == CURLMSG_DONE)
        return stream_ended(f, message->data.result, ret_problem);
    if (clock_monotonic() - f->heard_us > SILENT_US_MAX)
        return stream_ended(f, CURLE_OPERATION_TIMEDOUT, ret_problem);
    return 0;
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
    if (f->listener->tick)
        f->listener->tick(f->listener->context);
}

static int follow_events(struct follow *f, struct client_problem *ret_problem)
{
    while (!act_on_interrupts(f)) {
        int64_t left;
        int r = turn(f, ret_problem);

        if (r || f->ended)
            return r;
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
    f->curl = remote_curl_new(f->remote);
    f->headers = curl_slist_append(NULL, "Accept: text/event-stream");
    assert(f->multi && f->headers);
    curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, f->headers);
    curl_easy_setopt(f->curl, CURLOPT_ERRORBUFFER, f->error);
    curl_easy_setopt(f->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, f);
    event_stream_init(&f->stream, event, f);
    buf_init(&f->refusal, REFUSAL_BYTES_MAX);
    f->pause_us = PAUSE_US;
}

static void end(struct follow *f)
{
    close_stream(f);
    curl_easy_cleanup(f->curl);
    curl_multi_cleanup(f->multi);
    curl_slist_free_all(f->headers);
    event_stream_deinit(&f->stream);
    buf_deinit(&f->refusal);
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
    r = follow_events(&f, ret_problem);
    end(&f);
    for (size_t i = 0; i < SIGNALS_N; i++)
        sigaction(signals[i], &before[i], NULL);
    return r;
}
