/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard walks the same bytes as protobuf-c will, and refuses what that would take too lightly:
 * depth, numbers of fields and messages, a message that stands twice (protobuf-c merges the two,
 * which costs the square of their number), texts with a NUL or without UTF-8, bytes that are no
 * JSON. What it passes is decoded into the arena.
 */
#include "api/codec.h"

#include <assert.h>
#include <stdlib.h>

#include "api/protojson.h"
#include "base/clock.h"
#include "base/json_scan.h"

#define SENTENCE_BYTES_MAX 500u
#define VARINT_BYTES_MAX   10u
#define TAG_BYTES_MAX      5u
#define NO_INDEX           SIZE_MAX /* the field as a whole */

/* Where in the message, for the sentence. */
struct place {
    const struct place *above;
    const ProtobufCFieldDescriptor *field;
    size_t index; /* of a repeated field, in a row of its items */
};

struct guard {
    struct arena *a;
    struct str *error;
    size_t fields_n;
    size_t messages_n;
};

struct bytes {
    const uint8_t *p, *end;
};

static void write_place(struct buf *b, const struct place *at)
{
    if (!at->field)
        return;
    write_place(b, at->above);
    buf_printf(b, "%s%s", b->n ? "." : "", at->field->name);
    if (at->field->label == PROTOBUF_C_LABEL_REPEATED && at->index != NO_INDEX)
        buf_printf(b, "[%zu]", at->index);
}

__attribute__((cold)) static bool bad(struct guard *g, const struct place *at, const char *what)
{
    struct buf b;

    buf_init(&b, SENTENCE_BYTES_MAX);
    write_place(&b, at);
    buf_printf(&b, "%s%s", b.n ? ": " : "", what);
    *g->error = str_copy(g->a, buf_str(&b));
    buf_deinit(&b);
    return false;
}

static bool take_varint(struct bytes *b, uint64_t *ret)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < VARINT_BYTES_MAX && b->p < b->end; i++) {
        uint8_t byte = *b->p++;

        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *ret = v;
            return true;
        }
    }
    return false;
}

/* The number of a field and how it is encoded, in as many bytes as protobuf-c reads. */
static bool take_tag(struct bytes *b, uint32_t *ret_id, ProtobufCWireType *ret_wire)
{
    const uint8_t *begin = b->p;
    uint64_t tag;

    if (!take_varint(b, &tag) || b->p - begin > TAG_BYTES_MAX || tag > UINT32_MAX || tag >> 3 == 0)
        return false;
    *ret_id = (uint32_t)tag >> 3;
    *ret_wire = (ProtobufCWireType)(tag & 7);
    return true;
}

static const ProtobufCFieldDescriptor *field_by_id(const ProtobufCMessageDescriptor *d, uint32_t id)
{
    /* Ours are numbered from 1 without gaps; others are looked for. */
    if (id - 1 < d->n_fields && d->fields[id - 1].id == id)
        return &d->fields[id - 1];
    return protobuf_c_message_descriptor_get_field(d, id);
}

static ProtobufCWireType wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

/* Take one value off the wire; of one with a length, *ret is what it holds. */
static bool take_value(struct bytes *b, ProtobufCWireType wire, struct bytes *ret)
{
    uint64_t n;

    switch (wire) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return take_varint(b, &n);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        n = 8;
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        n = 4;
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!take_varint(b, &n))
            return false;
        break;
    default:
        return false;
    }
    if (n > (uint64_t)(b->end - b->p))
        return false;
    *ret = (struct bytes){b->p, b->p + n};
    b->p += n;
    return true;
}

static bool check_packed(struct guard *g, const struct place *at, ProtobufCWireType wire,
                         struct bytes inside)
{
    struct bytes none;

    while (inside.p < inside.end) {
        if (!take_value(&inside, wire, &none))
            return bad(g, at, "its list ends in the middle of a value");
        if (++g->fields_n > CODEC_FIELDS_MAX)
            return bad(g, at, "the message has too many fields");
    }
    return true;
}

static bool check_text(struct guard *g, const struct place *at, struct bytes inside)
{
    struct str s = {(const char *)inside.p, (size_t)(inside.end - inside.p)};

    if (str_find(s, '\0', NULL))
        return bad(g, at, "it holds a NUL character");
    if (!str_utf8(s, NULL))
        return bad(g, at, "it is not UTF-8");
    return true;
}

static bool check_json(struct guard *g, const struct place *at, struct bytes inside)
{
    struct str s = {(const char *)inside.p, (size_t)(inside.end - inside.p)};
    size_t offset;

    switch (json_scan_check(s, PROTOJSON_DEPTH_MAX, &offset)) {
    case 0:
        return true;
    case JSON_SCAN_E_DEEP:
        return bad(g, at,
                   str_printf(g->a, "it is nested more than %u deep", PROTOJSON_DEPTH_MAX).p);
    }
    return bad(g, at,
               offset < s.n ? str_printf(g->a, "it is no JSON, from its byte %zu on", offset).p
                            : "it is no JSON: it ends too early");
}

static bool check_message(struct guard *g, const struct place *at,
                          const ProtobufCMessageDescriptor *d, struct bytes b, unsigned depth);

static bool check_inside(struct guard *g, const struct place *at, struct bytes inside,
                         unsigned depth)
{
    switch (at->field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return check_text(g, at, inside);
    case PROTOBUF_C_TYPE_BYTES:
        return check_json(g, at, inside);
    case PROTOBUF_C_TYPE_MESSAGE:
        return check_message(g, at, at->field->descriptor, inside, depth + 1);
    default:
        return true;
    }
}

/* A known field whose tag has been taken; `seen` are those of its message. */
static bool check_field(struct guard *g, const struct place *at, ProtobufCWireType wire,
                        struct bytes *b, uint64_t *seen, unsigned depth)
{
    const ProtobufCFieldDescriptor *f = at->field;
    ProtobufCWireType wanted = wire_type_of(f->type);
    bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
    bool packed = repeated && wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED && wire != wanted;
    uint64_t bit = (uint64_t)1 << (f->id % 64);
    struct bytes inside;

    if (wire != wanted && !packed)
        return bad(g, at, "it is encoded as another type than the API's");
    if (!take_value(b, wire, &inside))
        return bad(g, at, "the message ends in the middle of this field");
    if (packed)
        return check_packed(g, at, wanted, inside);
    if (f->type == PROTOBUF_C_TYPE_MESSAGE && !repeated && *seen & bit)
        return bad(g, at, "it stands there twice");
    *seen |= bit;
    return check_inside(g, at, inside, depth);
}

static bool is_map_entry(const struct place *at)
{
    return at->field && at->field->label == PROTOBUF_C_LABEL_REPEATED && codec_map_entry(at->field);
}

static bool check_message(struct guard *g, const struct place *at,
                          const ProtobufCMessageDescriptor *d, struct bytes b, unsigned depth)
{
    struct place here = {.above = at};
    uint64_t seen = 0;

    if (depth > CODEC_DEPTH_MAX)
        return bad(g, at,
                   str_printf(g->a, "the message is nested more than %u deep", CODEC_DEPTH_MAX).p);
    if (++g->messages_n > CODEC_MESSAGES_MAX)
        return bad(g, at, "the message holds too many messages");
    while (b.p < b.end) {
        const ProtobufCFieldDescriptor *before = here.field;
        struct bytes unknown;
        ProtobufCWireType wire;
        uint32_t id;

        if (++g->fields_n > CODEC_FIELDS_MAX)
            return bad(g, at, "the message has too many fields");
        if (!take_tag(&b, &id, &wire))
            return bad(g, at, "the message is malformed: a tag is no tag");
        here.field = field_by_id(d, id);
        here.index = here.field == before ? here.index + 1 : 0;
        if (here.field) {
            if (!check_field(g, &here, wire, &b, &seen, depth))
                return false;
        } else if (!take_value(&b, wire, &unknown)) {
            return bad(g, at, "the message is malformed: an unknown field does not end");
        }
    }
    if (is_map_entry(at) && seen != (1 << 1 | 1 << 2))
        return bad(g, at, "an entry of a map needs a key and a value");
    return true;
}

bool codec_map_entry(const ProtobufCFieldDescriptor *f)
{
    const ProtobufCMessageDescriptor *d = f->descriptor;

    return f->type == PROTOBUF_C_TYPE_MESSAGE && d->n_fields == 2 &&
           str_ends(str_of(d->short_name), STR("Entry")) &&
           str_eq(str_of(d->fields[0].name), STR("key")) &&
           str_eq(str_of(d->fields[1].name), STR("value"));
}

size_t codec_item_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT32:
        return sizeof(int32_t);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 8; /* a pointer, an int64_t, a double */
    }
}

/* All maps of the API have texts as keys, which are the first field. */
static int by_key(const void *a, const void *b)
{
    const Weft__V1__Worker__LabelsEntry *const *x = a, *const *y = b;

    return strcmp((*x)->key, (*y)->key);
}

const char *codec_map_again(struct arena *a, ProtobufCMessage *const *entries, size_t n)
{
    Weft__V1__Worker__LabelsEntry **sorted;

    if (n < 2)
        return NULL;
    sorted = ARENA_ARRAY(a, Weft__V1__Worker__LabelsEntry *, n);
    memcpy(sorted, entries, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_key);
    for (size_t i = 1; i < n; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            return sorted[i]->key;
    return NULL;
}

static bool check_maps(struct guard *g, const ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;

    for (unsigned i = 0; i < d->n_fields; i++) {
        const struct place at = {
            .above = &(struct place){0}, .field = &d->fields[i], .index = NO_INDEX};
        const char *member = (const char *)m + at.field->offset;
        const char *n = (const char *)m + at.field->quantifier_offset;

        if (is_map_entry(&at) &&
            codec_map_again(g->a, *(ProtobufCMessage *const *const *)(const void *)member,
                            *(const size_t *)(const void *)n))
            return bad(g, &at, "a key stands there twice");
    }
    return true;
}

static void *allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

/* The arena gives everything back at once. */
static void release(void *arena, void *p)
{
    (void)arena;
    (void)p;
}

int codec_decode(struct arena *a, const ProtobufCMessageDescriptor *d, struct str bytes,
                 ProtobufCMessage **ret, struct str *ret_error)
{
    ProtobufCAllocator allocator = {allocate, release, a};
    struct guard g = {.a = a, .error = ret_error};
    const uint8_t *p = (const uint8_t *)(bytes.n ? bytes.p : "");
    ProtobufCMessage *m;

    if (!check_message(&g, &(struct place){0}, d, (struct bytes){p, p + bytes.n}, 1))
        return CODEC_E_BAD;
    m = protobuf_c_message_unpack(d, &allocator, bytes.n, p);
    if (!m) {
        *ret_error = STR("the message is malformed");
        return CODEC_E_BAD;
    }
    if (!check_maps(&g, m))
        return CODEC_E_BAD;
    *ret = m;
    return 0;
}

size_t codec_size(const ProtobufCMessage *m)
{
    return protobuf_c_message_get_packed_size(m);
}

void codec_encode(const ProtobufCMessage *m, struct buf *out)
{
    char *p = buf_extend(out, codec_size(m));

    if (p)
        protobuf_c_message_pack(m, (uint8_t *)p);
}

void *codec_new(struct arena *a, size_t size, const ProtobufCMessageDescriptor *d)
{
    void *m = arena_alloc(a, size);

    assert(size == d->sizeof_message);
    d->message_init(m);
    return m;
}

char *codec_text(struct arena *a, struct str s)
{
    return str_cstr(a, s);
}

char *codec_id(struct arena *a, int64_t id)
{
    char digits[24];
    char *p = &digits[sizeof(digits)];
    uint64_t left = id < 0 ? 0 - (uint64_t)id : (uint64_t)id;

    if (!id)
        return NULL;
    for (; left; left /= 10)
        *--p = (char)('0' + left % 10);
    if (id < 0)
        *--p = '-';
    return str_cstr(a, (struct str){p, (size_t)(&digits[sizeof(digits)] - p)});
}

Weft__V1__Timestamp *codec_time(struct arena *a, int64_t at_us)
{
    Weft__V1__Timestamp *t;
    int64_t left = at_us % CLOCK_S;

    if (!at_us)
        return NULL;
    if (left < 0)
        left += CLOCK_S; /* before 1970: the fraction counts forwards all the same */
    t = CODEC_NEW(a, Weft__V1__Timestamp, weft__v1__timestamp);
    t->has_seconds = t->has_nanos = true;
    t->seconds = (at_us - left) / CLOCK_S;
    t->nanos = (int32_t)(left * 1000);
    return t;
}

Weft__V1__Duration *codec_duration(struct arena *a, int64_t us)
{
    Weft__V1__Duration *d = CODEC_NEW(a, Weft__V1__Duration, weft__v1__duration);

    d->has_seconds = d->has_nanos = true;
    d->seconds = us / CLOCK_S;
    d->nanos = (int32_t)(us % CLOCK_S * 1000);
    return d;
}

bool codec_time_us(const Weft__V1__Timestamp *t, int64_t *ret)
{
    int64_t seconds = t->has_seconds ? t->seconds : 0;
    int32_t nanos = t->has_nanos ? t->nanos : 0;

    if (seconds < CODEC_TIME_S_MIN || seconds > CODEC_TIME_S_MAX || nanos < 0 ||
        nanos > CODEC_NANOS_MAX)
        return false;
    *ret = seconds * CLOCK_S + nanos / 1000;
    return true;
}

bool codec_duration_us(const Weft__V1__Duration *d, int64_t *ret)
{
    int64_t seconds = d->has_seconds ? d->seconds : 0;
    int32_t nanos = d->has_nanos ? d->nanos : 0;

    if (seconds < -CODEC_DURATION_S_MAX || seconds > CODEC_DURATION_S_MAX ||
        nanos < -CODEC_NANOS_MAX || nanos > CODEC_NANOS_MAX || (seconds > 0 && nanos < 0) ||
        (seconds < 0 && nanos > 0))
        return false;
    *ret = seconds * CLOCK_S + nanos / 1000;
    return true;
}
