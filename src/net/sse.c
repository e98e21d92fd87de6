/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sse.h"

#include "api/protojson.h"

/* A text that is set and stands on one line; else the empty one. */
static struct str text_field(const ProtobufCMessage *m, const char *name)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
    const char *text;

    if (!f || f->type != PROTOBUF_C_TYPE_STRING || f->label == PROTOBUF_C_LABEL_REPEATED)
        return (struct str){0};
    memcpy(&text, (const char *)m + f->offset, sizeof(text));
    return text && !strpbrk(text, "\r\n") ? str_of(text) : (struct str){0};
}

static void line(struct str name, struct str value, struct buf *out)
{
    buf_add(out, name);
    buf_add(out, value);
    buf_byte(out, '\n');
}

/* JSON that was embedded may have line ends, where blanks may be: each begins another line of data,
 * and the client joins them again. */
static void data_lines(struct str data, struct buf *out)
{
    size_t from = 0;

    for (size_t i = 0; i <= data.n; i++) {
        if (i < data.n && data.p[i] != '\n' && data.p[i] != '\r')
            continue;
        line(STR("data: "), str_sub(data, from, i - from), out);
        from = i + 1;
    }
}

void sse_event(struct str id, struct str name, struct str data, struct buf *out)
{
    if (id.n > 0)
        line(STR("id: "), id, out);
    if (name.n > 0)
        line(STR("event: "), name, out);
    data_lines(data, out);
    buf_byte(out, '\n');
}

void sse_message(const ProtobufCMessage *m, struct buf *scratch, struct buf *out)
{
    buf_clear(scratch);
    protojson_encode(m, scratch);
    sse_event(text_field(m, "seq"), text_field(m, "kind"), buf_str(scratch), out);
}
