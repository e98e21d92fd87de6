/* SPDX-License-Identifier: Apache-2.0 */
#include "net/h2.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "net/h2_session.h"

/* The payload of the PING whose answer says that the notice of a shutdown has arrived. */
static const uint8_t notice_ping[8] = "shutdown";

struct h2 {
    nghttp2_session *session;
    struct h2_options o;
    struct list streams;
    struct list roomy;   /* those whose h2_out() fell below H2_AHEAD_BYTES */
    struct str leftover; /* of what nghttp2 gave, valid until it is asked again */
    int64_t now_us;
    unsigned busy;  /* calls under way that need no wake, or want it later */
    bool held_wake; /* one was asked for meanwhile */
    bool dead;      /* nothing is read or sent any more */

    bool greeted; /* the client's SETTINGS are here */
    int64_t begun_us;
    int64_t heard_us;  /* when bytes last came */
    int64_t pinged_us; /* 0: no PING is unanswered */

    /* Tokens for frames that ask nothing, see H2_IDLE_FRAMES_MAX. */
    unsigned idle_frames;
    int64_t idle_since_us;
    bool flooded;

    int64_t streams_deadline_us; /* not later than that of any stream */

    enum { OPEN, NOTICED, DRAINING } phase;
    int64_t notice_us; /* when NOTICED becomes DRAINING, at the latest */
};

void *h2_context(const struct h2 *h)
{
    return h->o.context;
}

int64_t h2_now(const struct h2 *h)
{
    return h->now_us;
}

static void wake(struct h2 *h)
{
    if (h->busy)
        h->held_wake = true;
    else
        h->o.wake(h->o.wake_context);
}

void h2_hold(struct h2 *h)
{
    if (h->busy++ == 0)
        h->held_wake = false;
}

void h2_release(struct h2 *h)
{
    if (--h->busy == 0 && h->held_wake)
        wake(h);
}

/* nghttp2 answers with a negative number when memory is short (the process has ended then) and when
 * a stream has gone, which its `gone` tells. */
static void submitted(struct h2 *h, int r)
{
    if (nghttp2_is_fatal(r))
        h->dead = true;
    wake(h);
}

/* ---- what comes ---- */

static void calm_down(struct h2 *h)
{
    if (!h->flooded)
        h->o.metrics->refused[METRICS_FLOOD]++;
    h->flooded = true;
    nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* Take a token for a frame that asks nothing; false where none is left. */
static bool idle_frame(struct h2 *h)
{
    int64_t back = (h->now_us - h->idle_since_us) * H2_IDLE_FRAMES_PER_S / CLOCK_S;

    if (back > 0) {
        h->idle_frames = h->idle_frames > back ? h->idle_frames - (unsigned)back : 0;
        h->idle_since_us = h->now_us;
    }
    return ++h->idle_frames <= H2_IDLE_FRAMES_MAX;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    struct h2 *h = user;
    bool content = hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_CONTINUATION ||
                   (hd->type == NGHTTP2_DATA && hd->length);

    (void)session;
    if (!content && !(hd->flags & NGHTTP2_FLAG_END_STREAM && hd->type == NGHTTP2_DATA) &&
        !idle_frame(h))
        calm_down(h);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s;

    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    s = memory_new(h->o.events->stream_bytes);
    s->h2 = h;
    s->id = frame->hd.stream_id;
    s->deadline_us = INT64_MAX;
    list_init(&s->roomy);
    list_add(&h->streams, &s->link);
    buf_init(&s->out, H2_OUT_BYTES_MAX);
    nghttp2_session_set_stream_user_data(session, s->id, s);
    h->o.events->begin(s);
    return 0;
}

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);

    (void)flags;
    if (!s || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    s->head_bytes += name_n + value_n + 32;
    s->head_fields++;
    s->head_over = (h->o.limits.head_bytes && s->head_bytes > h->o.limits.head_bytes) ||
                   (h->o.limits.head_fields && s->head_fields > h->o.limits.head_fields);
    if (!s->head_over)
        h->o.events->header(s, (struct str){(const char *)name, name_n},
                            (struct str){(const char *)value, value_n});
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t n, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = stream_of(session, id);

    (void)flags;
    if (s && !s->ended_out)
        h->o.events->data(s, (struct str){(const char *)data, n});
    return 0;
}

static void final_goaway(struct h2 *h)
{
    h->phase = DRAINING;
    submitted(h, nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                       nghttp2_session_get_last_proc_stream_id(h->session),
                                       NGHTTP2_NO_ERROR, NULL, 0));
}

static void on_ping(struct h2 *h, const nghttp2_ping *ping)
{
    if (!(ping->hd.flags & NGHTTP2_FLAG_ACK))
        return;
    if (h->phase == NOTICED && memcmp(ping->opaque_data, notice_ping, sizeof(notice_ping)) == 0)
        final_goaway(h);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    if (frame->hd.type == NGHTTP2_SETTINGS)
        h->greeted = true;
    if (frame->hd.type == NGHTTP2_PING)
        on_ping(h, &frame->ping);
    if (!s || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    if (end)
        s->ended_in = true;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        h->o.events->head(s);
    if (end && !s->ended_out)
        h->o.events->end(s);
    return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;

    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)
        h->idle_frames = 0;
    return 0;
}

static void stream_gone(struct h2_stream *s)
{
    const struct h2_events *events = s->h2->o.events;

    list_del(&s->link);
    list_del(&s->roomy);
    buf_deinit(&s->out);
    events->gone(s);
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct h2_stream *s = stream_of(session, id);

    (void)error;
    (void)user;
    if (s) {
        nghttp2_session_set_stream_user_data(session, id, NULL);
        stream_gone(s);
    }
    return 0;
}

/* ---- what goes ---- */

static void add_trailers(struct h2 *h, struct h2_stream *s, uint32_t *flags)
{
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (s->trailers_n == 0)
        return;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (nghttp2_submit_trailer(h->session, s->id, s->trailers, s->trailers_n))
        h->dead = true;
}

static ssize_t read_out(nghttp2_session *session, int32_t id, uint8_t *into, size_t room,
                        uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct h2_stream *s = source->ptr;
    struct h2 *h = user;
    size_t n = h2_ahead(s) < room ? h2_ahead(s) : room;

    (void)session;
    (void)id;
    if (n == 0 && !s->ended_out) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n)
        memcpy(into, s->out.p + s->out_at, n);
    s->out_at += n;
    if (h2_ahead(s) == 0) {
        buf_clear(&s->out);
        s->out_at = 0;
        if (s->ended_out)
            add_trailers(h, s, flags);
    }
    if (!s->ended_out && h2_ahead(s) < H2_AHEAD_BYTES && list_empty(&s->roomy))
        list_add(&h->roomy, &s->roomy);
    return (ssize_t)n;
}

void h2_reply(struct h2_stream *s, const nghttp2_nv *fields, size_t n)
{
    nghttp2_data_provider provider = {.source.ptr = s, .read_callback = read_out};

    assert(!s->replied);
    s->replied = true;
    submitted(s->h2, nghttp2_submit_response(s->h2->session, s->id, fields, n, &provider));
}

void h2_refuse(struct h2_stream *s, const nghttp2_nv *fields, size_t n)
{
    assert(!s->replied);
    s->replied = s->ended_out = true;
    submitted(s->h2, nghttp2_submit_response(s->h2->session, s->id, fields, n, NULL));
}

struct buf *h2_out(struct h2_stream *s)
{
    /* What has been sent makes room at the front, when that is cheap. */
    if (s->out_at > H2_AHEAD_BYTES && s->out_at > s->out.n / 2) {
        memmove(s->out.p, s->out.p + s->out_at, h2_ahead(s));
        s->out.n -= s->out_at;
        s->out_at = 0;
    }
    return &s->out;
}

size_t h2_ahead(const struct h2_stream *s)
{
    return s->out.n - s->out_at;
}

void h2_flush(struct h2_stream *s)
{
    if (!s->deferred)
        return;
    s->deferred = false;
    submitted(s->h2, nghttp2_session_resume_data(s->h2->session, s->id));
}

void h2_end(struct h2_stream *s, const nghttp2_nv *trailers, size_t n)
{
    assert(s->replied && !s->ended_out);
    assert(n <= sizeof(s->trailers) / sizeof(*s->trailers));
    memcpy(s->trailers, trailers, n * sizeof(*trailers));
    s->trailers_n = n;
    s->ended_out = true;
    h2_flush(s);
}

void h2_reset(struct h2_stream *s, uint32_t error)
{
    s->replied = s->ended_out = true;
    submitted(s->h2, nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, error));
}

static void tell_room(struct h2 *h)
{
    while (!list_empty(&h->roomy)) {
        struct h2_stream *s = LIST_OF(h->roomy.next, struct h2_stream, roomy);

        list_del(&s->roomy);
        if (!s->ended_out)
            h->o.events->room(s);
    }
}

void h2_drain(struct h2 *h, struct buf *out)
{
    h->busy++;
    h2_session_drain(h->session, &h->leftover, &h->dead, out);
    tell_room(h);
    h->busy--;
}

bool h2_waiting(const struct h2 *h)
{
    return !h->dead && (h->leftover.n || nghttp2_session_want_write(h->session));
}

/* ---- time ---- */

void h2_stream_deadline(struct h2_stream *s, int64_t deadline_us)
{
    s->deadline_us = deadline_us;
    if (deadline_us >= s->h2->streams_deadline_us)
        return;
    s->h2->streams_deadline_us = deadline_us;
    wake(s->h2);
}

static void streams_due(struct h2 *h, enum h2_due what)
{
    LIST_EACH_SAFE(it, &h->streams)
    {
        struct h2_stream *s = LIST_OF(it, struct h2_stream, link);

        if (what == H2_DUE_DEADLINE) {
            if (s->deadline_us > h->now_us)
                continue;
            s->deadline_us = INT64_MAX;
        }
        h->o.events->due(s, what);
    }
}

static void streams_tick(struct h2 *h)
{
    if (h->now_us < h->streams_deadline_us)
        return;
    streams_due(h, H2_DUE_DEADLINE);
    h->streams_deadline_us = INT64_MAX;
    LIST_EACH(it, &h->streams)
    {
        struct h2_stream *s = LIST_OF(it, struct h2_stream, link);

        if (s->deadline_us < h->streams_deadline_us)
            h->streams_deadline_us = s->deadline_us;
    }
}

static void keepalive_tick(struct h2 *h)
{
    if (!h->greeted) {
        if (h->now_us >= h->begun_us + h->o.limits.first_byte_us) {
            h->dead = true;
            h->o.metrics->refused[METRICS_SILENT]++;
        }
    } else if (h->pinged_us) {
        h->dead |= h->now_us >= h->pinged_us + H2_PING_US_MAX;
    } else if (h->now_us >= h->heard_us + H2_KEEPALIVE_US) {
        h->pinged_us = h->now_us;
        submitted(h, nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL));
    }
}

static void shutdown_tick(struct h2 *h)
{
    if (h->phase == NOTICED && h->now_us >= h->notice_us)
        final_goaway(h);
}

void h2_tick(struct h2 *h, int64_t now_us)
{
    h->now_us = now_us;
    h->busy++;
    streams_tick(h);
    keepalive_tick(h);
    shutdown_tick(h);
    h->busy--;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t h2_deadline(const struct h2 *h)
{
    int64_t alive_us = !h->greeted    ? h->begun_us + h->o.limits.first_byte_us
                       : h->pinged_us ? h->pinged_us + H2_PING_US_MAX
                                      : h->heard_us + H2_KEEPALIVE_US;
    int64_t down_us = h->phase == NOTICED ? h->notice_us : INT64_MAX;

    return earlier(earlier(alive_us, down_us), h->streams_deadline_us);
}

void h2_shutdown(struct h2 *h, int64_t now_us)
{
    if (h->phase != OPEN)
        return;
    h->now_us = now_us;
    h->phase = NOTICED;
    h->notice_us = now_us + H2_NOTICE_US_MAX;
    h->busy++;
    submitted(h, nghttp2_submit_shutdown_notice(h->session));
    submitted(h, nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, notice_ping));
    streams_due(h, H2_DUE_DRAIN);
    h->busy--;
}

/* ---- the connection ---- */

static void callbacks_set(nghttp2_session_callbacks *c)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
}

static void options_set(nghttp2_option *o)
{
    nghttp2_option_set_stream_reset_rate_limit(o, H2_RESETS_MAX, H2_RESETS_PER_S);
    nghttp2_option_set_no_closed_streams(o, 1);
    h2_session_limit(o);
}

static void greet(struct h2 *h)
{
    nghttp2_settings_entry settings[3] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW_BYTES}
    };
    size_t n = 1;

    if (h->o.limits.calls_per_connection)
        settings[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                                 h->o.limits.calls_per_connection};
    if (h->o.limits.head_bytes)
        settings[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
                                                 (uint32_t)h->o.limits.head_bytes};
    submitted(h, nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, n));
    submitted(h, nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                       (int32_t)H2_CONNECTION_WINDOW));
}

struct h2 *h2_new(const struct h2_options *options)
{
    struct h2 *h = memory_new(sizeof(*h));
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    int r;

    h->o = *options;
    h->now_us = h->begun_us = h->heard_us = h->idle_since_us = options->now_us;
    h->streams_deadline_us = INT64_MAX;
    list_init(&h->streams);
    list_init(&h->roomy);
    r = nghttp2_session_callbacks_new(&callbacks);
    assert(r == 0);
    r = nghttp2_option_new(&option);
    assert(r == 0);
    callbacks_set(callbacks);
    options_set(option);
    r = nghttp2_session_server_new2(&h->session, callbacks, h, option);
    assert(r == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    h->busy++;
    greet(h);
    h->busy--;
    return h;
}

struct h2 *h2_free(struct h2 *h)
{
    if (!h)
        return NULL;
    h->busy++;
    h->dead = true;
    while (!list_empty(&h->streams)) {
        struct h2_stream *s = LIST_OF(h->streams.next, struct h2_stream, link);

        nghttp2_session_set_stream_user_data(h->session, s->id, NULL);
        stream_gone(s);
    }
    nghttp2_session_del(h->session);
    free(h);
    return NULL;
}

void h2_feed(struct h2 *h, struct str bytes, int64_t now_us)
{
    ssize_t n;

    h->now_us = h->heard_us = now_us;
    h->pinged_us = 0;
    if (h->dead)
        return;
    h->busy++;
    n = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes.p, bytes.n);
    if (n < 0) {
        h->dead = true;
        h->o.metrics->refused[n == NGHTTP2_ERR_FLOODED ? METRICS_FLOOD : METRICS_MALFORMED]++;
    }
    h->busy--;
}

bool h2_over(const struct h2 *h)
{
    return h->dead || h2_session_over(h->session, h->leftover);
}
