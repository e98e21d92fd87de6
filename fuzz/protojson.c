/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON: the first byte chooses a message, the others are its text. What is decoded, encoded and
 * decoded again is the same; and jansson agrees about what is JSON at all.
 */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>

#include "api/codec.h"
#include "api/protojson.h"
#include "base/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const messages[] = {
    &weft__v1__enqueue_request__descriptor,   &weft__v1__register_worker_request__descriptor,
    &weft__v1__put_queue_request__descriptor, &weft__v1__complete_request__descriptor,
    &weft__v1__status_response__descriptor,   &weft__v1__run__descriptor,
};
#define MESSAGES_N (sizeof(messages) / sizeof(messages[0]))

static void check_again(struct arena *a, const ProtobufCMessage *m)
{
    ProtobufCMessage *again;
    struct doc_error error;
    struct buf first, second;
    size_t offset;
    int r;

    buf_init(&first, SIZE_MAX / 8);
    buf_init(&second, SIZE_MAX / 8);
    protojson_encode(m, &first);
    assert(!str_find(buf_str(&first), '\n', NULL));
    r = protojson_decode(a, m->descriptor, buf_str(&first), &again, &error);
    assert(r == 0);
    protojson_encode(again, &second);
    assert(str_eq(buf_str(&first), buf_str(&second)));
    /* Embedded JSON may be as deep as is allowed, three messages deep. */
    (void)json_scan_check(buf_str(&first), PROTOJSON_DEPTH_MAX, &offset);
    buf_deinit(&first);
    buf_deinit(&second);
}

static unsigned depth_of(const json_t *v)
{
    unsigned most = 0, d;
    const json_t *inner;
    const char *key;
    size_t i;

    if (!json_is_array(v) && !json_is_object(v))
        return 0;
    json_array_foreach(v, i, inner)
    {
        d = depth_of(inner);
        most = d > most ? d : most;
    }
    json_object_foreach((json_t *)(uintptr_t)v, key, inner)
    {
        d = depth_of(inner);
        most = d > most ? d : most;
    }
    return most + 1;
}

/* jansson refuses numbers that it cannot hold and keys with a NUL, and takes a NUL for the end; a
 * later key that hides a deep value is not seen. */
static void compare(struct str text)
{
    json_error_t error;
    size_t offset = 0;
    json_t *v = json_loadb(text.n ? text.p : "", text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    bool good = json_scan_check(text, PROTOJSON_DEPTH_MAX, &offset) == 0;
    bool deep = !good && offset < text.n && (text.p[offset] == '[' || text.p[offset] == '{');

    assert(good || offset <= text.n);
    if (v)
        assert(good ? depth_of(v) <= PROTOJSON_DEPTH_MAX : deep);
    else if (json_error_code(&error) != json_error_numeric_overflow &&
             json_error_code(&error) != json_error_null_byte_in_key)
        assert(!good);
    json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *d;
    struct doc_error error = {0};
    struct arena a = {0};
    ProtobufCMessage *m;
    struct str text;

    if (!size)
        return 0;
    d = messages[data[0] % MESSAGES_N];
    text = (struct str){(const char *)data + 1, size - 1};
    if (!str_find(text, '\0', NULL))
        compare(text);
    if (protojson_decode(&a, d, text, &m, &error) == 0)
        check_again(&a, m);
    else
        assert(error.line > 0 && error.column > 0 && error.text.n > 0);
    arena_deinit(&a);
    return 0;
}
