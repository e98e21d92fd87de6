/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1, whatever a client sends: the parser of heads, chunked bodies, and the whole protocol
 * over a service that answers from nothing (net_testing.h).
 *
 * What must hold: a shorter beginning of a head that is taken asks for more; the same bytes in
 * other pieces give the same replies; each request that was begun is answered once or cancelled;
 * nothing is left behind.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "net/chunk.h"
#include "net/http1.h"
#include "net/http_head.h"
#include "net/net_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SENT_MAX ((size_t)16 << 20)

/* Serve the bytes in pieces of `step`. */
static void serve(struct str bytes, size_t step, struct buf *ret_sent)
{
    struct fake_service f;
    struct fake_host h;

    fake_service_init(&f);
    fake_host_init(&h, &f, http1_new);
    h.shared.limits.head_bytes = 512;
    h.shared.limits.head_fields = 16;
    h.shared.limits.body_bytes = 1000;
    for (size_t at = 0; at < bytes.n && !h.p->closing; at += step) {
        fake_host_feed(&h, str_sub(bytes, at, step));
        /* A claim waits; whatever stands behind it in the same piece waits with it. */
        while (f.held_n > 0)
            fake_release(&f);
    }
    fake_host_end(&h);
    fake_release(&f);
    assert(f.started == f.done && f.held_n == 0);
    buf_init(ret_sent, SENT_MAX);
    buf_add(ret_sent, buf_str(&h.sent));
    fake_host_deinit(&h);
}

/* The date may be another one: it is blanked. */
static void without_dates(struct buf *b)
{
    char *at = b->p, *found;

    while (at && (found = memmem(at, b->n - (size_t)(at - b->p), "\r\nDate: ", 8))) {
        at = found + 8;
        for (; at < b->p + b->n && *at != '\r'; at++)
            *at = '-';
    }
}

static void try_protocol(struct str bytes)
{
    struct buf whole, parts;

    serve(bytes, bytes.n + 1, &whole);
    serve(bytes, 1 + bytes.n % 7, &parts);
    without_dates(&whole);
    without_dates(&parts);
    assert(str_eq(buf_str(&whole), buf_str(&parts)));
    assert(whole.n == 0 || str_starts(buf_str(&whole), STR("HTTP/1.1 ")));
    buf_deinit(&whole);
    buf_deinit(&parts);
}

static void try_head(struct str bytes)
{
    struct http_head head;
    const char *why;
    int r = http_head_parse(bytes, 16, &head, &why);

    if (r)
        return;
    assert(head.bytes <= bytes.n && head.path.n > 0);
    assert(!head.chunked || head.length == 0);
    for (size_t n = 0; n < head.bytes; n++)
        assert(http_head_parse(str_sub(bytes, 0, n), 16, &head, &why) == HTTP_HEAD_E_MORE);
}

static void try_chunks(struct str bytes)
{
    struct chunk c = {0};
    const char *why;
    struct str data;
    size_t n = 0, before;

    while (bytes.n > 0 && c.state != CHUNK_END) {
        before = bytes.n;
        if (chunk_take(&c, &bytes, &data, &why))
            return;
        n += data.n;
        assert(bytes.n < before && data.n <= before - bytes.n);
    }
    assert(n <= SENT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};

    if (size > 4096)
        return 0;
    try_head(bytes);
    try_chunks(bytes);
    try_protocol(bytes);
    return 0;
}
