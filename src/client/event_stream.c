/* SPDX-License-Identifier: Apache-2.0 */
#include "client/event_stream.h"

#define NAME_BYTES_MAX 256

void event_stream_init(struct event_stream *s,
                       void (*event)(void *context, struct str name, struct str data),
                       void *context)
{
    *s = (struct event_stream){.event = event, .context = context};
    buf_init(&s->line, EVENT_STREAM_BYTES_MAX);
    buf_init(&s->name, NAME_BYTES_MAX);
    buf_init(&s->data, EVENT_STREAM_BYTES_MAX);
}

void event_stream_deinit(struct event_stream *s)
{
    buf_deinit(&s->line);
    buf_deinit(&s->name);
    buf_deinit(&s->data);
}

static void clear_event(struct event_stream *s)
{
    buf_clear(&s->name);
    buf_clear(&s->data);
    s->has_data = false;
}

void event_stream_clear(struct event_stream *s)
{
    clear_event(s);
    buf_clear(&s->line);
    s->after_cr = false;
}

static void dispatch(struct event_stream *s)
{
    if (s->has_data)
        s->event(s->context, s->name.n ? buf_str(&s->name) : STR("message"), buf_str(&s->data));
    clear_event(s);
}

static void field(struct event_stream *s, struct str name, struct str value)
{
    if (str_eq(name, STR("event"))) {
        buf_clear(&s->name);
        buf_add(&s->name, value);
    } else if (str_eq(name, STR("data"))) {
        if (s->has_data)
            buf_byte(&s->data, '\n');
        buf_add(&s->data, value);
        s->has_data = true;
    }
}

static void line_ended(struct event_stream *s)
{
    struct str line = buf_str(&s->line), name = line, value = {0};
    size_t colon;

    if (!line.n) {
        dispatch(s);
        return;
    }
    if (str_find(line, ':', &colon)) {
        name = str_sub(line, 0, colon);
        value = str_sub(line, colon + 1, line.n);
        if (value.n && value.p[0] == ' ')
            value = str_sub(value, 1, value.n);
    }
    field(s, name, value);
    buf_clear(&s->line);
}

/* Up to the next end of a line. */
static size_t line_length(struct str bytes)
{
    size_t n = 0;

    while (n < bytes.n && bytes.p[n] != '\n' && bytes.p[n] != '\r')
        n++;
    return n;
}

bool event_stream_feed(struct event_stream *s, struct str bytes)
{
    while (bytes.n) {
        size_t n;

        if (s->after_cr && bytes.p[0] == '\n')
            bytes = str_sub(bytes, 1, bytes.n);
        s->after_cr = false;
        n = line_length(bytes);
        buf_add(&s->line, str_sub(bytes, 0, n));
        if (n < bytes.n) {
            s->after_cr = bytes.p[n] == '\r';
            line_ended(s);
            n++;
        }
        if (s->line.full || s->name.full || s->data.full)
            return false;
        bytes = str_sub(bytes, n, bytes.n);
    }
    return true;
}
