/* SPDX-License-Identifier: Apache-2.0 */
#include "net/caller_h2.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/memory.h"
#include "net/grpc.h"
#include "net/h2.h"
#include "net/h2_session.h"

#define USER_AGENT "weft"

struct caller_h2 {
    nghttp2_session *session;
    struct caller_h2_options o;
    struct list streams; /* that are open, or wait to be */
    size_t streams_n;
    size_t calls_n;      /* streams whose call has not left */
    struct str leftover; /* of what nghttp2 gave, valid until it is asked again */
    bool dead, greeted, going;
};

/* The other side may not be done with a stream whose call has left. */
struct stream {
    struct list link;
    struct caller_call *call; /* NULL: it has left */
    int32_t id;
};

static void submitted(struct caller_h2 *h, int r)
{
    if (nghttp2_is_fatal(r))
        h->dead = true;
}

static struct stream *stream_of(nghttp2_session *session, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

static struct stream *stream_by_id(struct caller_h2 *h, int32_t id)
{
    LIST_EACH(it, &h->streams)
    if (LIST_OF(it, struct stream, link)->id == id)
        return LIST_OF(it, struct stream, link);
    return NULL;
}

static void stream_free(struct caller_h2 *h, struct stream *s)
{
    nghttp2_session_set_stream_user_data(h->session, s->id, NULL);
    list_del(&s->link);
    h->streams_n--;
    free(s);
}

/* The stream lets go of its call. */
static struct caller_call *leave(struct caller_h2 *h, struct stream *s)
{
    struct caller_call *call = TAKE(s->call);

    call->stream = 0;
    h->calls_n--;
    return call;
}

/* ---- how calls end ---- */

void caller_h2_answer(struct caller_call *call, int status, struct str text)
{
    text = str_sub(text, 0, sizeof(call->words));
    if (text.n && text.p != call->words)
        memmove(call->words, text.p, text.n);
    call->status = status;
    call->text = (struct str){call->words, text.n};
    call->reply = STR("");
}

static void ended(struct caller_h2 *h, struct stream *s)
{
    struct caller_call *call = leave(h, s);

    h->o.ended(h->o.context, call);
}

static void fails(struct caller_h2 *h, struct stream *s, int status, struct str text)
{
    caller_h2_answer(s->call, status, text);
    ended(h, s);
}

/* The statuses of an answer that is not gRPC's, as its document http-grpc-status-mapping says. */
static int status_of_http(int http)
{
    static const struct {
        int http, status;
    } rows[] = {
        {400, GRPC_INTERNAL         },
        {401, GRPC_UNAUTHENTICATED  },
        {403, GRPC_PERMISSION_DENIED},
        {404, GRPC_UNIMPLEMENTED    },
        {429, GRPC_UNAVAILABLE      },
        {502, GRPC_UNAVAILABLE      },
        {503, GRPC_UNAVAILABLE      },
        {504, GRPC_UNAVAILABLE      },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (rows[i].http == http)
            return rows[i].status;
    return GRPC_UNKNOWN;
}

/* The other side has said all. */
static void conclude(struct caller_h2 *h, struct stream *s)
{
    struct caller_call *c = s->call;

    if (c->in_http != 200)
        fails(h, s, status_of_http(c->in_http), STR("it was not answered as a gRPC call"));
    else if (c->in_status > 0)
        fails(h, s, c->in_status, c->text);
    else if (!c->in_typed || c->in_status < 0)
        fails(h, s, GRPC_INTERNAL, STR("the answer has no status"));
    else if (c->in_bad || !c->in_whole)
        fails(h, s, GRPC_INTERNAL, STR("the answer is not one message"));
    else {
        c->status = GRPC_OK;
        c->reply = buf_str(&c->in.body);
        ended(h, s);
    }
}

static int status_of_reset(uint32_t error)
{
    switch (error) {
    case NGHTTP2_CANCEL:
        return GRPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return GRPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return GRPC_PERMISSION_DENIED;
    default:
        return GRPC_INTERNAL;
    }
}

static void reset(struct caller_h2 *h, int32_t id, uint32_t error)
{
    submitted(h, nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id, error));
}

static void refuse(struct caller_h2 *h, struct stream *s)
{
    struct caller_call *call = leave(h, s);

    call->sent = false;
    h->o.refused(h->o.context, call);
}

/* ---- what comes ---- */

static void read_header(struct caller_call *c, struct str name, struct str value)
{
    int64_t n;

    if (str_eq(name, STR(":status"))) {
        c->in_http = str_int64(value, &n) ? (int)n : 0;
    } else if (str_eq(name, STR("content-type"))) {
        c->in_typed = grpc_frame_content_type(value);
    } else if (str_eq(name, STR("grpc-status"))) {
        c->in_status = str_int64(value, &n) && n >= 0 && n <= 16 ? (int)n : GRPC_UNKNOWN;
    } else if (str_eq(name, STR("grpc-message"))) {
        c->text.p = c->words;
        c->text.n = grpc_frame_unpercent(value, c->words, sizeof(c->words));
    }
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct stream *s = stream_of(session, frame->hd.stream_id);

    (void)flags;
    (void)user;
    if (s && s->call)
        read_header(s->call, (struct str){(const char *)name, name_n},
                    (struct str){(const char *)value, value_n});
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t n, void *user)
{
    struct stream *s = stream_of(session, id);
    struct str bytes = {(const char *)data, n};
    struct caller_call *c = s ? s->call : NULL;
    int r;

    (void)flags;
    if (!c || c->in_bad || n == 0 || c->in_http != 200)
        return 0;
    c->in_bad = c->in_whole;
    if (c->in_bad)
        return 0;
    r = grpc_frame_feed(&c->in, &bytes);
    if (r == GRPC_FRAME_E_TOO_LARGE) {
        reset(user, id, NGHTTP2_CANCEL);
        /* RESOURCE_EXHAUSTED would be the other side's word, that it has not begun. */
        fails(user, s, GRPC_UNKNOWN, STR("the answer is larger than what is allowed"));
        return 0;
    }
    c->in_whole = r == 0;
    c->in_bad = (r && r != GRPC_FRAME_E_MORE) || bytes.n;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct caller_h2 *h = user;
    struct stream *s = stream_of(session, frame->hd.stream_id);

    if (frame->hd.type == NGHTTP2_SETTINGS && !h->greeted) {
        h->greeted = true;
        h->o.greeted(h->o.context);
    }
    if (frame->hd.type == NGHTTP2_GOAWAY && !h->going) {
        h->going = true;
        h->o.going(h->o.context);
    }
    if (!s || !s->call || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    /* It wants to hear no more, where it has answered before the end of the request. */
    if (nghttp2_session_get_stream_local_close(session, s->id) == 0)
        reset(h, s->id, NGHTTP2_NO_ERROR);
    conclude(h, s);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct caller_h2 *h = user;
    struct stream *s = stream_of(session, id);

    if (!s)
        return 0;
    if (s->call && error == NGHTTP2_REFUSED_STREAM)
        refuse(h, s);
    else if (s->call)
        fails(h, s, status_of_reset(error), STR("the call was cut off without a status"));
    stream_free(h, s);
    return 0;
}

/* ---- what goes ---- */

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct stream *s = stream_of(session, frame->hd.stream_id);

    (void)user;
    if (s && s->call && frame->hd.type == NGHTTP2_HEADERS)
        s->call->sent = true;
    return 0;
}

/* A request that was dropped before it was its turn, or came behind a GOAWAY. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user)
{
    struct caller_h2 *h = user;
    struct stream *s;

    (void)session;
    (void)error;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    s = stream_by_id(h, frame->hd.stream_id);
    if (!s)
        return 0;
    if (s->call)
        refuse(h, s);
    stream_free(h, s);
    return 0;
}

static size_t copy_part(struct str from, size_t at, uint8_t *into, size_t room)
{
    struct str part = str_sub(from, at, room);

    if (part.n)
        memcpy(into, part.p, part.n);
    return part.n;
}

static ssize_t read_out(nghttp2_session *session, int32_t id, uint8_t *into, size_t room,
                        uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct stream *s = stream_of(session, id);
    struct caller_call *c = s ? s->call : NULL;
    size_t n = 0;

    (void)source;
    (void)user;
    if (!c)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (c->out_at < sizeof(c->out_head))
        n = copy_part((struct str){c->out_head, sizeof(c->out_head)}, c->out_at, into, room);
    if (c->out_at + n >= sizeof(c->out_head))
        n += copy_part(c->message, c->out_at + n - sizeof(c->out_head), into + n, room - n);
    c->out_at += n;
    if (c->out_at == sizeof(c->out_head) + c->message.n)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

bool caller_h2_room(const struct caller_h2 *h)
{
    uint32_t max =
        nghttp2_session_get_remote_settings(h->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

    return h->greeted && !h->going && !h->dead && h->streams_n < max;
}

size_t caller_h2_calls(const struct caller_h2 *h)
{
    return h->calls_n;
}

static void prepare(struct caller_h2 *h, struct caller_call *call)
{
    call->sent = false;
    call->out_at = 0;
    memset(call->out_head, 0, sizeof(call->out_head));
    grpc_frame_length(call->out_head, call->message.n);
    grpc_frame_deinit(&call->in);
    grpc_frame_init(&call->in, h->o.message_bytes_max);
    call->in_whole = call->in_typed = call->in_bad = false;
    call->in_http = 0;
    call->in_status = -1;
    call->text = STR("");
}

void caller_h2_begin(struct caller_h2 *h, struct caller_call *call, int64_t now_us)
{
    char timeout[GRPC_FRAME_TIMEOUT_BYTES];
    nghttp2_nv fields[] = {
        H2_FIELD(":method", STR("POST")),
        H2_FIELD(":scheme", h->o.tls ? STR("https") : STR("http")),
        H2_FIELD(":path", str_of(call->path)),
        H2_FIELD(":authority", str_of(h->o.authority)),
        H2_FIELD("te", STR("trailers")),
        H2_FIELD("content-type", STR("application/grpc")),
        H2_FIELD("user-agent", STR(USER_AGENT)),
        H2_FIELD("grpc-timeout", STR("")),
    };
    size_t n = sizeof(fields) / sizeof(*fields);
    nghttp2_data_provider provider = {.read_callback = read_out};
    struct stream *s = memory_new(sizeof(*s));

    assert(caller_h2_room(h));
    prepare(h, call);
    if (call->deadline_us == INT64_MAX)
        n--;
    else
        fields[n - 1] =
            H2_FIELD("grpc-timeout", grpc_frame_timeout_text(call->deadline_us - now_us, timeout));
    s->call = call;
    list_add(&h->streams, &s->link);
    h->streams_n++;
    h->calls_n++;
    s->id = nghttp2_submit_request(h->session, NULL, fields, n, &provider, s);
    call->stream = s->id;
    if (s->id > 0)
        return;
    /* The numbers of streams are used up. */
    h->going = true;
    refuse(h, s);
    list_del(&s->link);
    h->streams_n--;
    free(s);
    h->o.going(h->o.context);
}

void caller_h2_drop(struct caller_h2 *h, struct caller_call *call)
{
    struct stream *s = stream_by_id(h, call->stream);

    assert(s && s->call == call);
    reset(h, s->id, NGHTTP2_CANCEL);
    leave(h, s);
}

void caller_h2_cut(struct caller_h2 *h, struct str why)
{
    h->dead = true;
    LIST_EACH_SAFE(it, &h->streams)
    {
        struct stream *s = LIST_OF(it, struct stream, link);

        if (s->call && s->call->sent)
            fails(h, s, GRPC_UNAVAILABLE, why);
        else if (s->call)
            refuse(h, s);
    }
}

void caller_h2_ping(struct caller_h2 *h)
{
    submitted(h, nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL));
}

/* ---- the connection ---- */

void caller_h2_feed(struct caller_h2 *h, struct str bytes)
{
    if (!h->dead && nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes.p, bytes.n) < 0)
        h->dead = true;
}

void caller_h2_drain(struct caller_h2 *h, struct buf *out)
{
    h2_session_drain(h->session, &h->leftover, &h->dead, out);
}

bool caller_h2_over(const struct caller_h2 *h)
{
    return h->dead || h2_session_over(h->session, h->leftover);
}

static nghttp2_session *session_new(struct caller_h2 *h)
{
    nghttp2_session_callbacks *c;
    nghttp2_option *o;
    nghttp2_session *session;
    int r = nghttp2_session_callbacks_new(&c);

    assert(r == 0);
    r = nghttp2_option_new(&o);
    assert(r == 0);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
    h2_session_limit(o);
    r = nghttp2_session_client_new2(&session, c, h, o);
    assert(r == 0);
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(c);
    return session;
}

struct caller_h2 *caller_h2_new(const struct caller_h2_options *o)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH,         0              },
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW_BYTES},
    };
    struct caller_h2 *h = memory_new(sizeof(*h));

    h->o = *o;
    list_init(&h->streams);
    h->session = session_new(h);
    submitted(h, nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                                         sizeof(settings) / sizeof(*settings)));
    submitted(h, nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                       (int32_t)H2_CONNECTION_WINDOW));
    return h;
}

struct caller_h2 *caller_h2_free(struct caller_h2 *h)
{
    if (!h)
        return NULL;
    assert(h->calls_n == 0);
    LIST_EACH_SAFE(it, &h->streams)
    stream_free(h, LIST_OF(it, struct stream, link));
    nghttp2_session_del(h->session);
    free(h);
    return NULL;
}
