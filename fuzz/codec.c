/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf messages: the first byte chooses one, the others are its bytes. What the guard passes is
 * decoded, and comes back the same.
 */
#include <assert.h>
#include <stdint.h>

#include "api/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const messages[] = {
    &weft__v1__enqueue_request__descriptor,   &weft__v1__register_worker_request__descriptor,
    &weft__v1__put_queue_request__descriptor, &weft__v1__complete_request__descriptor,
    &weft__v1__enqueue_response__descriptor,  &weft__v1__run__descriptor,
};
#define MESSAGES_N (sizeof(messages) / sizeof(messages[0]))

static void check_again(struct arena *a, const ProtobufCMessage *m)
{
    ProtobufCMessage *again;
    struct str error;
    struct buf first, second;
    int r;

    buf_init(&first, SIZE_MAX / 8);
    buf_init(&second, SIZE_MAX / 8);
    codec_encode(m, &first);
    r = codec_decode(a, m->descriptor, buf_str(&first), &again, &error);
    assert(r == 0);
    codec_encode(again, &second);
    assert(str_eq(buf_str(&first), buf_str(&second)));
    buf_deinit(&first);
    buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *d;
    struct arena a = {0};
    struct str error = {0};
    ProtobufCMessage *m;

    if (!size)
        return 0;
    d = messages[data[0] % MESSAGES_N];
    if (codec_decode(&a, d, (struct str){(const char *)data + 1, size - 1}, &m, &error) == 0) {
        check_again(&a, m);
    } else {
        assert(error.n > 0 && str_utf8(error, NULL));
        /* What protobuf-c alone would have refused: the guard stands before it. */
        assert(!str_eq(error, STR("the message is malformed")));
    }
    arena_deinit(&a);
    return 0;
}
