/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_stream: a stream of server-sent events, as its bytes come.
 *
 * Lines end with LF, CR or both, wherever the pieces are cut. Comments and what is not known are
 * passed over; an event is told at the empty line behind it, and one without data is none.
 */
#ifndef CLIENT_EVENT_STREAM_H
#define CLIENT_EVENT_STREAM_H

#include "base/buf.h"

/* Of one line, and of the data of one event. */
#define EVENT_STREAM_BYTES_MAX (64u << 20)

struct event_stream {
    /* Borrowed for the call; `name` is "message" where the event has none. */
    void (*event)(void *context, struct str name, struct str data);
    void *context;
    struct buf line, name, data;
    bool after_cr;
    bool has_data;
};

void event_stream_init(struct event_stream *s,
                       void (*event)(void *context, struct str name, struct str data),
                       void *context);
void event_stream_deinit(struct event_stream *s);
/* The stream begins anew: what was not whole is forgotten. */
void event_stream_clear(struct event_stream *s);
/* False: something is larger than the limit. */
bool event_stream_feed(struct event_stream *s, struct str bytes);

#endif
