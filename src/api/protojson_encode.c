/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/codec.h"
#include "api/protojson.h"
#include "base/clock.h"
#include "base/json_scan.h"

#define EXACT_MAX                                                                                  \
    1e15 /* whole numbers up to here are doubles exactly, and shortest as integers                 \
          */

static void encode_message(const ProtobufCMessage *m, struct buf *out, bool outermost);

static void encode_int(int64_t v, struct buf *out)
{
    char digits[24];
    char *p = &digits[sizeof(digits)];
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    do
        *--p = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0)
        *--p = '-';
    buf_add(out, (struct str){p, (size_t)(&digits[sizeof(digits)] - p)});
}

/* The shortest spelling that reads back as the same number. JSON has no infinities. */
static void encode_real(double v, struct buf *out)
{
    char text[32];

    if (!isfinite(v)) {
        buf_add(out, STR("null"));
        return;
    }
    if (fabs(v) < EXACT_MAX && v == (double)(int64_t)v && !(v == 0 && signbit(v))) {
        encode_int((int64_t)v, out);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_add(out, str_of(text));
}

/* Letters, digits and most else of ASCII; buf_json() does the others. */
static void encode_text(struct str s, struct buf *out)
{
    char *p;

    if (s.n && (json_scan_plain(s.p, s.p + s.n) < s.p + s.n || str_find(s, 0x7f, NULL))) {
        buf_json(out, s);
        return;
    }
    p = buf_extend(out, s.n + 2);
    if (!p)
        return;
    p[0] = '"';
    if (s.n)
        memcpy(p + 1, s.p, s.n);
    p[s.n + 1] = '"';
}

/* A line break can only stand between its tokens, where a blank says the same. */
static void encode_json(const ProtobufCBinaryData *json, struct buf *out)
{
    char *p;

    if (!json->len) {
        buf_add(out, STR("null"));
        return;
    }
    p = buf_extend(out, json->len);
    if (!p)
        return;
    memcpy(p, json->data, json->len);
    for (size_t i = 0; i < json->len; i++)
        if (p[i] == '\n' || p[i] == '\r')
            p[i] = ' ';
}

/* "", ".250", ".250001" or ".250001002". */
static void encode_fraction(int32_t nanos, struct buf *out)
{
    char digits[10] = ".";
    size_t n = nanos == 0 ? 0 : nanos % 1000000 == 0 ? 4 : nanos % 1000 == 0 ? 7 : 10;

    for (int i = 9; i > 0; i--, nanos /= 10)
        digits[i] = (char)('0' + nanos % 10);
    buf_add(out, (struct str){digits, n});
}

static void encode_duration(const Weft__V1__Duration *d, struct buf *out)
{
    int64_t us;

    if (!codec_duration_us(d, &us)) {
        buf_add(out, STR("null"));
        return;
    }
    buf_add(out, us < 0 ? STR("\"-") : STR("\""));
    encode_int(llabs(d->seconds), out);
    encode_fraction(abs(d->nanos), out);
    buf_add(out, STR("s\""));
}

static void encode_time(const Weft__V1__Timestamp *t, struct buf *out)
{
    char text[CLOCK_TEXT_BYTES];
    int64_t us;

    if (!codec_time_us(t, &us)) {
        buf_add(out, STR("null"));
        return;
    }
    buf_byte(out, '"');
    buf_add(out, str_sub(clock_text(us, text), 0, sizeof("2026-03-08T07:30:00") - 1));
    encode_fraction(t->has_nanos ? t->nanos : 0, out);
    buf_add(out, STR("Z\""));
}

static void encode_value(const ProtobufCFieldDescriptor *f, const void *from, struct buf *out)
{
    const ProtobufCMessage *m;

    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        encode_text(str_of(*(char *const *)from), out);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        encode_json(from, out);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        buf_add(out, *(const protobuf_c_boolean *)from ? STR("true") : STR("false"));
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        encode_real(*(const double *)from, out);
        break;
    case PROTOBUF_C_TYPE_INT64:
        encode_int(*(const int64_t *)from, out);
        break;
    case PROTOBUF_C_TYPE_INT32:
        encode_int(*(const int32_t *)from, out);
        break;
    default:
        assert(f->type == PROTOBUF_C_TYPE_MESSAGE); /* the API has no other types */
        m = *(const ProtobufCMessage *const *)from;
        if (f->descriptor == &weft__v1__duration__descriptor)
            encode_duration((const Weft__V1__Duration *)m, out);
        else if (f->descriptor == &weft__v1__timestamp__descriptor)
            encode_time((const Weft__V1__Timestamp *)m, out);
        else
            encode_message(m, out, false);
    }
}

static void encode_list(const ProtobufCFieldDescriptor *f, const char *items, size_t n,
                        struct buf *out)
{
    buf_byte(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_byte(out, ',');
        encode_value(f, items + i * codec_item_size(f->type), out);
    }
    buf_byte(out, ']');
}

static void encode_map(const ProtobufCFieldDescriptor *f, ProtobufCMessage *const *entries,
                       size_t n, struct buf *out)
{
    const ProtobufCMessageDescriptor *d = f->descriptor;

    buf_byte(out, '{');
    for (size_t i = 0; i < n; i++) {
        const char *entry = (const char *)entries[i];

        if (i)
            buf_byte(out, ',');
        encode_value(&d->fields[0], entry + d->fields[0].offset, out);
        buf_byte(out, ':');
        encode_value(&d->fields[1], entry + d->fields[1].offset, out);
    }
    buf_byte(out, '}');
}

/* "name": with what separates it from the field before. */
static void encode_name(const char *name, bool first, struct buf *out)
{
    size_t n = strlen(name);
    char *p = buf_extend(out, n + 3 + !first);

    if (!p)
        return;
    if (!first)
        *p++ = ',';
    *p++ = '"';
    memcpy(p, name, n);
    p[n] = '"';
    p[n + 1] = ':';
}

/* Whether a field is written at all. */
static bool is_there(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, bool outermost)
{
    const char *quantifier = (const char *)m + f->quantifier_offset;

    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return outermost || *(const size_t *)(const void *)quantifier > 0;
    if (f->quantifier_offset)
        return *(const protobuf_c_boolean *)(const void *)quantifier;
    return *(void *const *)(const void *)((const char *)m + f->offset) != NULL;
}

static void encode_field(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                         struct buf *out)
{
    const void *from = (const char *)m + f->offset;
    size_t n;

    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        encode_value(f, from, out);
        return;
    }
    n = *(const size_t *)(const void *)((const char *)m + f->quantifier_offset);
    if (codec_map_entry(f))
        encode_map(f, *(ProtobufCMessage *const *const *)from, n, out);
    else
        encode_list(f, *(const char *const *)from, n, out);
}

static void encode_message(const ProtobufCMessage *m, struct buf *out, bool outermost)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    bool first = true;

    buf_byte(out, '{');
    for (unsigned i = 0; i < d->n_fields; i++) {
        if (!is_there(m, &d->fields[i], outermost))
            continue;
        encode_name(d->fields[i].name, first, out);
        encode_field(m, &d->fields[i], out);
        first = false;
    }
    buf_byte(out, '}');
}

void protojson_encode(const ProtobufCMessage *m, struct buf *out)
{
    encode_message(m, out, true);
}
