/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2: the server's side of one HTTP/2 connection, as bytes in and bytes out.
 *
 * nghttp2 inside. There is no socket and no clock here: whoever owns the connection feeds what
 * came, drains what is to be sent, and calls h2_tick() when h2_deadline() has passed. What a stream
 * means is its handler's business (grpc.c):
 *
 *     h2_feed → begin → header… → head → data… → end        what the client sends
 *     h2_reply → h2_out, h2_flush … → h2_end         what it is answered
 *     gone                                           the last event of a stream, always
 *
 * Back-pressure: a handler that streams stops while more than H2_AHEAD_BYTES wait in h2_out(), and
 * goes on with `room`. What a client may do to us is limited by net_limits and the names below; who
 * floods is sent GOAWAY with ENHANCE_YOUR_CALM and closed.
 */
#ifndef NET_H2_H
#define NET_H2_H

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "base/list.h"
#include "net/limits.h"
#include "net/metrics.h"

#define H2_WINDOW_BYTES      (1u << 20) /* that a stream may send ahead */
#define H2_CONNECTION_WINDOW (8u << 20)
#define H2_OUT_BYTES_MAX     (64u << 20) /* of one stream's answer that waits to be sent */
#define H2_AHEAD_BYTES       (64u << 10)

/* Frames that ask nothing of us (PING, SETTINGS, WINDOW_UPDATE, PRIORITY, RST_STREAM, empty DATA,
 * unknown ones), beside as many as we sent frames of content. */
#define H2_IDLE_FRAMES_MAX   1000u
#define H2_IDLE_FRAMES_PER_S 100
#define H2_RESETS_MAX        1000u
#define H2_RESETS_PER_S      100u
#define H2_SETTINGS_ENTRIES  32u
#define H2_CONTINUATIONS_MAX 8u
#define H2_ACKS_MAX          1000u

#define H2_KEEPALIVE_US  30000000LL /* silent for so long: it is sent a PING */
#define H2_PING_US_MAX   10000000LL /* silent after that: it is closed */
#define H2_NOTICE_US_MAX 1000000LL  /* from the notice of a shutdown to the end of new streams */

struct h2;

/* The handler's own struct begins with it. */
struct h2_stream {
    struct h2 *h2; /* NULL behind `gone` */
    int32_t id;
    int64_t deadline_us; /* the handler's, by h2_stream_deadline() */
    size_t head_bytes;   /* so far, 32 added for each field as RFC 9113 counts */
    size_t head_fields;
    bool head_over; /* more than the limits allow */
    bool ended_in;  /* the client has sent all */
    bool replied;   /* h2_reply() or h2_refuse() was called */
    bool ended_out; /* h2_end() or h2_refuse() was called */

    /* h2's own */
    bool deferred;
    struct buf out;
    size_t out_at;
    nghttp2_nv trailers[6];
    size_t trailers_n;
    struct list link;
    struct list roomy;
};

enum h2_due {
    H2_DUE_DEADLINE, /* of the stream */
    H2_DUE_DRAIN,    /* the server goes down: end soon what has no end of its own */
};

struct h2_events {
    size_t stream_bytes;                /* of the handler's struct */
    void (*begin)(struct h2_stream *s); /* all of it is zero but what is h2's */
    void (*header)(struct h2_stream *s, struct str name, struct str value);
    /* Headers beyond limits.head_bytes were left out; `head_over` tells. */
    void (*head)(struct h2_stream *s);
    void (*data)(struct h2_stream *s, struct str bytes);
    void (*end)(struct h2_stream *s);
    void (*room)(struct h2_stream *s);
    void (*due)(struct h2_stream *s, enum h2_due what);
    /* The stream was memory_new() and is now the handler's to free. */
    void (*gone)(struct h2_stream *s);
};

struct h2_options {
    const struct h2_events *events;
    void *context; /* the handler's, h2_context() */
    struct net_limits limits;
    struct metrics *metrics; /* counts those who are refused */
    /* Something is to be sent or to be asked, and no call of h2_feed, h2_drain or h2_tick is under
     * way whose caller would see it. */
    void (*wake)(void *wake_context);
    void *wake_context;
    int64_t now_us;
};

struct h2 *h2_new(const struct h2_options *options);
/* Every stream is `gone` before. Returns NULL. */
struct h2 *h2_free(struct h2 *h);

void h2_feed(struct h2 *h, struct str bytes, int64_t now_us);
/* Appends to `out` what is to be sent, as far as there is room. */
void h2_drain(struct h2 *h, struct buf *out);
/* Whether there is something to drain. */
bool h2_waiting(const struct h2 *h);
void h2_tick(struct h2 *h, int64_t now_us);
int64_t h2_deadline(const struct h2 *h);
/* Nothing more comes of it: it may be closed as soon as all is drained. */
bool h2_over(const struct h2 *h);

/* New streams are refused; it is over when those that are open have ended. */
void h2_shutdown(struct h2 *h, int64_t now_us);

void *h2_context(const struct h2 *h);
int64_t h2_now(const struct h2 *h);

/* Between the two, nothing wakes the owner, who might drain and so end a stream; the last release
 * does it where something asked for it. */
void h2_hold(struct h2 *h);
void h2_release(struct h2 *h);

/* Answers. Names are literals, values are copied. */
#define H2_FIELD(name_, value_)                                                                    \
    ((nghttp2_nv){(uint8_t *)(uintptr_t)(name_), (uint8_t *)(uintptr_t)(value_).p,                 \
                  sizeof(name_) - 1, (value_).n, NGHTTP2_NV_FLAG_NO_COPY_NAME})
void h2_reply(struct h2_stream *s, const nghttp2_nv *fields, size_t n);
/* What is appended here is sent after h2_flush(); `full` where the answer is too large. */
struct buf *h2_out(struct h2_stream *s);
size_t h2_ahead(const struct h2_stream *s);
void h2_flush(struct h2_stream *s);
/* The values must live until `gone`. At most 6. */
void h2_end(struct h2_stream *s, const nghttp2_nv *trailers, size_t n);
/* Headers alone, and the end. */
void h2_refuse(struct h2_stream *s, const nghttp2_nv *fields, size_t n);
void h2_reset(struct h2_stream *s, uint32_t error);
void h2_stream_deadline(struct h2_stream *s, int64_t deadline_us);

#endif
