/* SPDX-License-Identifier: Apache-2.0 */
#include "client/remote_stream.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"

#define PAUSE_US          (100 * CLOCK_MS) /* before a stream is opened again, then doubled */
#define PAUSE_US_MAX      (2 * CLOCK_S)
#define SILENT_US_MAX     (50 * CLOCK_S) /* a server that lives shows it every 15 s */
#define AWAY_US           (60 * CLOCK_S) /* a server that is started anew is waited for */
#define REFUSAL_BYTES_MAX (1u << 20)

static long status_of(const struct remote_stream *s)
{
    long status = 0;

    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static void event(void *context, struct str name, struct str data)
{
    struct remote_stream *s = context;
    json_t *message;

    if (str_eq(name, STR("end"))) {
        s->ended = true;
        return;
    }
    if (str_eq(name, STR("problem"))) {
        buf_clear(&s->refusal);
        buf_add(&s->refusal, data);
        return;
    }
    message = json_loadb(data.p, data.n, JSON_ALLOW_NUL, NULL);
    s->broken |= !message || !s->hears.message(s->hears.context, message);
    json_decref(message);
}

static size_t receive(char *bytes, size_t size, size_t n, void *context)
{
    struct remote_stream *s = context;
    struct str piece = {bytes, size * n};

    s->heard_us = clock_monotonic();
    if (status_of(s) != 200) {
        buf_add(&s->refusal, piece);
        return s->refusal.full ? 0 : piece.n;
    }
    s->pause_us = PAUSE_US;
    s->away_us = 0;
    s->broken |= !event_stream_feed(&s->events, piece);
    return s->broken ? 0 : piece.n;
}

void remote_stream_init(struct remote_stream *s, struct remote *remote, CURLM *multi,
                        const struct remote_stream_hears *hears)
{
    *s = (struct remote_stream){.remote = remote, .multi = multi, .hears = *hears};
    s->curl = remote_curl_new(remote);
    s->headers = curl_slist_append(NULL, "Accept: text/event-stream");
    assert(s->headers);
    curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers);
    curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, s->error);
    curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->curl, CURLOPT_PRIVATE, s);
    event_stream_init(&s->events, event, s);
    buf_init(&s->refusal, REFUSAL_BYTES_MAX);
    s->pause_us = PAUSE_US;
}

static void close_stream(struct remote_stream *s)
{
    if (s->open)
        curl_multi_remove_handle(s->multi, s->curl);
    s->open = false;
}

void remote_stream_deinit(struct remote_stream *s)
{
    close_stream(s);
    curl_easy_cleanup(s->curl);
    curl_slist_free_all(s->headers);
    event_stream_deinit(&s->events);
    buf_deinit(&s->refusal);
}

static int open_stream(struct remote_stream *s, struct client_problem *ret_problem)
{
    json_t *request = s->hears.request(s->hears.context);
    struct remote_request http;
    const struct method *m;
    struct arena a = {0};
    int r = remote_make_request(s->remote, &a, s->hears.method, request, &http, &m, ret_problem);

    json_decref(request);
    if (!r) {
        event_stream_clear(&s->events);
        buf_clear(&s->refusal);
        s->error[0] = '\0';
        s->heard_us = clock_monotonic();
        curl_easy_setopt(s->curl, CURLOPT_URL,
                         str_printf(&a, "%s%s", remote_url(s->remote), http.path.p).p);
        curl_multi_add_handle(s->multi, s->curl);
        s->open = true;
        remote_request_deinit(&http);
    }
    arena_deinit(&a);
    return r;
}

/* What the end of a transfer means that was not the end of its stream. */
static void read_end(struct remote_stream *s, CURLcode result, struct client_problem *ret_problem,
                     bool *ret_passing)
{
    const char *url = remote_url(s->remote);
    long status = status_of(s);

    *ret_passing = !s->broken && remote_passing(result, status);
    if (s->broken) {
        remote_refuse(ret_problem, CODE_INTERNAL,
                      "%s answered with something else than events; is it a weft server?", url);
    } else if (result != CURLE_OK) {
        remote_refuse(ret_problem, CODE_UNAVAILABLE, "the server %s cannot be reached: %s", url,
                      s->error[0] ? s->error : curl_easy_strerror(result));
    } else if (status == 200 && !s->refusal.n) {
        *ret_passing = true;
        remote_refuse(ret_problem, CODE_UNAVAILABLE, "the server %s has hung up", url);
    } else {
        remote_read_problem(s->remote, status, buf_str(&s->refusal), ret_problem);
        *ret_passing |= ret_problem->code == CODE_UNAVAILABLE ||
                        ret_problem->code == CODE_STORE_UNAVAILABLE ||
                        ret_problem->code == CODE_STORE_LOCKED;
    }
}

int remote_stream_done(struct remote_stream *s, CURLcode result, struct client_problem *ret_problem)
{
    int64_t now = clock_monotonic();
    bool passing;

    close_stream(s);
    if (s->ended)
        return 0;
    read_end(s, result, ret_problem, &passing);
    if (!s->away_us)
        s->away_us = now;
    if (!passing || now - s->away_us > AWAY_US)
        return CLIENT_E_REFUSED;
    memcpy(s->away, ret_problem->text, sizeof(s->away));
    client_problem_clear(ret_problem);
    s->open_us = now + s->pause_us;
    s->pause_us = s->pause_us < PAUSE_US_MAX ? 2 * s->pause_us : PAUSE_US_MAX;
    return 0;
}

int remote_stream_turn(struct remote_stream *s, struct client_problem *ret_problem)
{
    int64_t now = clock_monotonic();

    if (s->ended)
        return 0;
    if (!s->open)
        return now >= s->open_us ? open_stream(s, ret_problem) : 0;
    if (now - s->heard_us > SILENT_US_MAX)
        return remote_stream_done(s, CURLE_OPERATION_TIMEDOUT, ret_problem);
    return 0;
}
