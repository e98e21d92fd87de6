/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_testing.h"

#include <assert.h>
#include <math.h>

#include "base/clock.h"

#define JSON_DEPTH 3u

const ProtobufCMessageDescriptor *const api_testing_messages[] = {
#include "api/messages_list.inc"
};
const size_t api_testing_messages_n =
    sizeof(api_testing_messages) / sizeof(api_testing_messages[0]);

static const char *pick(struct prng *prng, const char *const *list, size_t n)
{
    return list[prng_below(prng, n)];
}
#define PICK(prng, ...)                                                                            \
    pick((prng), (const char *const[]){__VA_ARGS__},                                               \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static char *random_text(struct arena *a, struct prng *prng)
{
    struct str s = {0};

    for (uint64_t n = prng_below(prng, 8); n; n--)
        s = str_printf(a, STR_FMT "%s", STR_ARG(s),
                       PICK(prng, "a", "mail", "\"", "\\", "\n", "\x01", "\x7f", "é", "\u2028",
                            "\U0001F600", "\xc2\x85", "/", "{}", " ", "\t"));
    return str_cstr(a, s);
}

static struct str random_json(struct arena *a, struct prng *prng, unsigned depth)
{
    struct str inner;

    switch (prng_below(prng, depth ? 4 : 2)) {
    case 0:
        return str_of(PICK(prng, "true", "0", "-1.50", "1e400", "123456789012345678901234567890"));
    case 1:
        return str_of(PICK(prng, "\"\"", "\"\\u00e9\"", "\"é\"", "\"\\ud83d\\ude00\"", "\"\\\\\""));
    case 2:
        inner = random_json(a, prng, depth - 1);
        return str_printf(a, "[" STR_FMT " ,null]", STR_ARG(inner));
    default:
        inner = random_json(a, prng, depth - 1);
        return str_printf(a, "{ \"k\" : " STR_FMT ", \"k\":{},\"l\":[]}", STR_ARG(inner));
    }
}

static int64_t random_int(struct prng *prng, int64_t min, int64_t max)
{
    switch (prng_below(prng, 4)) {
    case 0:
        return min;
    case 1:
        return max;
    case 2:
        return 0;
    default:
        return (int64_t)((uint64_t)min + prng_below(prng, (uint64_t)max - (uint64_t)min));
    }
}

static double random_real(struct prng *prng)
{
    static const double list[] = {0, -0.0, 1, 0.1, -2.5, 1e300, 5e-324, 9007199254740993.0};
    uint64_t bits = prng_next(prng);
    double v;

    memcpy(&v, &bits, sizeof(v));
    return isfinite(v) && prng_below(prng, 2)
               ? v
               : list[prng_below(prng, sizeof(list) / sizeof(*list))];
}

static ProtobufCMessage *random_inside(struct arena *a, const ProtobufCMessageDescriptor *d,
                                       struct prng *prng)
{
    int64_t us;

    if (d == &weft__v1__duration__descriptor)
        return &codec_duration(a, random_int(prng, 0, CODEC_DURATION_S_MAX * CLOCK_S))->base;
    if (d != &weft__v1__timestamp__descriptor)
        return api_testing_message(a, d, prng);
    us = random_int(prng, CODEC_TIME_S_MIN * CLOCK_S, CODEC_TIME_S_MAX * CLOCK_S);
    return &codec_time(a, us ? us : 1)->base;
}

static void random_value(struct arena *a, const ProtobufCFieldDescriptor *f, struct prng *prng,
                         void *to)
{
    struct str s;

    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)to = random_text(a, prng);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        s = str_copy(a, random_json(a, prng, JSON_DEPTH));
        *(ProtobufCBinaryData *)to = (ProtobufCBinaryData){s.n, (uint8_t *)(uintptr_t)s.p};
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)to = prng_below(prng, 2) == 1;
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)to = random_real(prng);
        break;
    case PROTOBUF_C_TYPE_INT64:
        *(int64_t *)to = random_int(prng, INT64_MIN, INT64_MAX);
        break;
    case PROTOBUF_C_TYPE_INT32:
        *(int32_t *)to = (int32_t)random_int(prng, INT32_MIN, INT32_MAX);
        break;
    default:
        assert(f->type == PROTOBUF_C_TYPE_MESSAGE);
        *(ProtobufCMessage **)to = random_inside(a, f->descriptor, prng);
    }
}

/* The key and the value of a map's entry are always there, and each key is another. */
static void random_entry(struct arena *a, const ProtobufCFieldDescriptor *f, struct prng *prng,
                         size_t i, void *to)
{
    const ProtobufCMessageDescriptor *d = f->descriptor;
    ProtobufCMessage *entry = codec_new(a, d->sizeof_message, d);
    const ProtobufCFieldDescriptor *value = &d->fields[1];

    *(char **)((char *)entry + d->fields[0].offset) =
        str_cstr(a, str_printf(a, "%zu%s", i, random_text(a, prng)));
    if (value->quantifier_offset)
        *(protobuf_c_boolean *)((char *)entry + value->quantifier_offset) = true;
    random_value(a, value, prng, (char *)entry + value->offset);
    *(ProtobufCMessage **)to = entry;
}

static void random_list(struct arena *a, const ProtobufCFieldDescriptor *f, struct prng *prng,
                        ProtobufCMessage *m)
{
    size_t n = prng_below(prng, 4);
    char *items = n ? arena_alloc(a, n * codec_item_size(f->type)) : NULL;

    for (size_t i = 0; i < n; i++) {
        if (codec_map_entry(f))
            random_entry(a, f, prng, i, items + i * codec_item_size(f->type));
        else
            random_value(a, f, prng, items + i * codec_item_size(f->type));
    }
    *(size_t *)((char *)m + f->quantifier_offset) = n;
    *(char **)((char *)m + f->offset) = items;
}

ProtobufCMessage *api_testing_message(struct arena *a, const ProtobufCMessageDescriptor *d,
                                      struct prng *prng)
{
    ProtobufCMessage *m = codec_new(a, d->sizeof_message, d);

    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];

        if (prng_below(prng, 3) == 0)
            continue;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            random_list(a, f, prng, m);
            continue;
        }
        if (f->quantifier_offset)
            *(protobuf_c_boolean *)((char *)m + f->quantifier_offset) = true;
        random_value(a, f, prng, (char *)m + f->offset);
    }
    return m;
}

bool api_testing_equal(const ProtobufCMessage *x, const ProtobufCMessage *y)
{
    struct buf a, b;
    bool equal;

    buf_init(&a, SIZE_MAX / 8);
    buf_init(&b, SIZE_MAX / 8);
    codec_encode(x, &a);
    codec_encode(y, &b);
    equal = str_eq(buf_str(&a), buf_str(&b));
    buf_deinit(&a);
    buf_deinit(&b);
    return equal;
}
