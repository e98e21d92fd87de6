/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 and gRPC: whatever a client sends, every call ends, and nothing is held for it. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "net/fake_testing.h"
#include "net/grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A client that opens its windows may take events for ever. */
#define OUT_BYTES_MAX (1u << 20)

static int64_t now_us;

static int64_t now(void)
{
    return now_us;
}

static void wake(struct protocol_host *h)
{
    (void)h;
}

static bool admit(struct protocol_host *h, int64_t *ret_retry_after_us)
{
    (void)h;
    (void)ret_retry_after_us;
    return true;
}

static void drain(struct protocol *p)
{
    size_t all = 0, n;

    do {
        struct buf out;

        buf_init(&out, NET_OUT_BYTES);
        p->type->drain(p, &out);
        n = out.n;
        all += n;
        buf_deinit(&out);
    } while (n && all < OUT_BYTES_MAX);
}

static void feed(struct protocol *p, struct str bytes, size_t piece)
{
    while (bytes.n && !p->closing) {
        p->type->feed(p, str_sub(bytes, 0, piece));
        bytes = str_sub(bytes, piece, bytes.n);
        drain(p);
    }
}

static void pass_time(struct protocol *p)
{
    for (int i = 0; i < 20 && !p->closing && p->deadline_us != INT64_MAX; i++) {
        now_us = p->deadline_us > now_us ? p->deadline_us : now_us;
        p->type->expire(p);
        drain(p);
    }
}

/* The first byte says how long the pieces are, the second: 1, the preface is there already; 2, time
 * passes before the end; 4, the server retires. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct net_shared shared = {.limits = NET_LIMITS_DEFAULT, .now = now};
    struct protocol_host host = {.shared = &shared, .wake = wake, .admit = admit};
    struct fake fake;
    struct protocol *p;
    size_t piece;

    if (size < 2)
        return 0;
    now_us = 1000000;
    piece = data[0] ? data[0] : size;
    fake_init(&fake);
    shared.service = &fake.service;
    grpc_new(&shared);
    p = grpc_connection(&host);
    if (data[1] & 1)
        feed(p, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"), 1000);
    feed(p, (struct str){(const char *)data + 2, size - 2}, piece);
    if (data[1] & 2)
        pass_time(p);
    if (data[1] & 4) {
        p->type->retire(p);
        drain(p);
    }
    fake_finish(&fake);
    drain(p);
    p->type->free(p);
    assert(fake.started == fake.done);
    assert(shared.metrics.calls == 0 && shared.bodies_bytes == 0);
    grpc_free(shared.grpc);
    return 0;
}
