/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request costs between the wire and the methods: JSON and protobuf, each way.
 *
 *   wire ROUNDS [CASE...]        ns for each, on one thread; jansson and protobuf-c alone beside it
 *
 * Under callgrind, the instructions of two runs with other ROUNDS, divided by their difference, are
 * those of one round.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/codec.h"
#include "api/protojson.h"
#include "base/clock.h"
#include "base/json_scan.h"

#define TASK                                                                                       \
    "{\"payload\":{\"to\":\"someone@example.org\",\"subject\":\"Hello\",\"n\":12345},"             \
    "\"priority\":0,\"unique_key\":\"order-1234\"}"

static const struct str request = STR("{\"tasks\":[" TASK "]}");

struct bench {
    struct arena a;
    struct str json;
    ProtobufCMessage *batch; /* of eight tasks */
    struct buf packed, out;
    ProtobufCMessage *claimed;
};

static void fail(const char *what)
{
    fprintf(stderr, "wire: %s\n", what);
    exit(1);
}

static void check(struct bench *b)
{
    size_t offset;

    if (json_scan_check(b->json, PROTOJSON_DEPTH_MAX, &offset))
        fail("check");
}

static void json_decode(struct bench *b)
{
    struct doc_error error = {0};
    ProtobufCMessage *m;

    if (protojson_decode(&b->a, &weft__v1__enqueue_request__descriptor, b->json, &m, &error))
        fail("json_decode");
    arena_reset(&b->a);
}

static void json_encode(struct bench *b)
{
    buf_clear(&b->out);
    protojson_encode(b->claimed, &b->out);
}

static void jansson_decode(struct bench *b)
{
    json_decref(json_loadb(b->json.p, b->json.n, JSON_REJECT_DUPLICATES, NULL));
}

static void codec_in(struct bench *b)
{
    struct str error = {0};
    ProtobufCMessage *m;

    if (codec_decode(&b->a, &weft__v1__enqueue_request__descriptor, buf_str(&b->packed), &m,
                     &error))
        fail("codec_decode");
    arena_reset(&b->a);
}

static void codec_out(struct bench *b)
{
    buf_clear(&b->out);
    codec_encode(b->batch, &b->out);
}

static void *allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void release(void *arena, void *p)
{
    (void)arena;
    (void)p;
}

static void protobuf_c_in(struct bench *b)
{
    ProtobufCAllocator allocator = {allocate, release, &b->a};

    if (!protobuf_c_message_unpack(&weft__v1__enqueue_request__descriptor, &allocator, b->packed.n,
                                   (const uint8_t *)b->packed.p))
        fail("unpack");
    arena_reset(&b->a);
}

static const struct {
    const char *name;
    void (*run)(struct bench *b);
} cases[] = {
    {"check",          check         },
    {"json_decode",    json_decode   },
    {"json_encode",    json_encode   },
    {"jansson_decode", jansson_decode},
    {"codec_decode",   codec_in      },
    {"protobuf_c",     protobuf_c_in },
    {"codec_encode",   codec_out     },
};

/* A claim's reply with one lease. */
static ProtobufCMessage *claim(struct arena *a)
{
    static const struct str text =
        STR("{\"leases\":[{\"token\":\"123456\",\"expires_at\":\"2026-01-31T12:00:00.123456Z\","
            "\"task\":{\"id\":\"123456\",\"queue\":\"mail\",\"payload\":{\"to\":"
            "\"someone@example.org\",\"subject\":\"Hello\"},\"attempt\":1,\"priority\":0,"
            "\"queue_wait\":\"0.001234s\"}}]}");
    struct doc_error error = {0};
    ProtobufCMessage *m;

    if (protojson_decode(a, &weft__v1__claim_response__descriptor, text, &m, &error))
        fail("the reply");
    return m;
}

static ProtobufCMessage *batch(struct arena *a)
{
    static const struct str text = STR("{\"tasks\":[" TASK "," TASK "," TASK "," TASK "," TASK
                                       "," TASK "," TASK "," TASK "]}");
    struct doc_error error = {0};
    ProtobufCMessage *m;

    if (protojson_decode(a, &weft__v1__enqueue_request__descriptor, text, &m, &error))
        fail("the batch");
    return m;
}

static void measure(struct bench *b, size_t i, long rounds)
{
    int64_t from = clock_monotonic();

    for (long n = 0; n < rounds; n++)
        cases[i].run(b);
    printf("%-15s %7.0f ns\n", cases[i].name,
           1000.0 * (double)(clock_monotonic() - from) / (double)rounds);
}

int main(int argc, char **argv)
{
    struct arena kept = {0};
    struct bench b = {.json = request};
    int64_t rounds;

    if (argc < 2 || !str_int64(str_of(argv[1]), &rounds) || rounds < 1) {
        fprintf(stderr, "usage: wire ROUNDS [CASE...]\n");
        return 2;
    }
    buf_init(&b.packed, SIZE_MAX / 8);
    buf_init(&b.out, SIZE_MAX / 8);
    b.batch = batch(&kept);
    b.claimed = claim(&kept);
    codec_encode(b.batch, &b.packed);
    json_encode(&b);
    printf("request %zu B, reply %zu B, eight tasks %zu B as protobuf\n", b.json.n, b.out.n,
           b.packed.n);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool wanted = argc == 2;

        for (int j = 2; j < argc; j++)
            wanted |= str_eq(str_of(argv[j]), str_of(cases[i].name));
        if (wanted)
            measure(&b, i, (long)rounds);
    }
    buf_deinit(&b.packed);
    buf_deinit(&b.out);
    arena_deinit(&b.a);
    arena_deinit(&kept);
    return 0;
}
