/* SPDX-License-Identifier: Apache-2.0 */
/* What a server of gRPC answers: whatever it is, every call ends once, and says how. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "net/caller_h2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS     4u
#define OUT_BYTES ((size_t)64 << 10)
#define PASSES    64u /* of bytes out; a server that opens its windows may take more */

struct world {
    struct caller_h2 *h2;
    struct caller_call calls[CALLS];
    unsigned ends[CALLS];
    size_t begun;
};

static void ends(struct world *w, const struct caller_call *c)
{
    assert(++w->ends[c - w->calls] == 1);
    assert(c->status >= 0 && c->status <= 16 && c->text.n <= CALLER_TEXT_BYTES_MAX);
    assert(c->status == 0 || c->reply.n == 0);
}

static void on_greeted(void *context)
{
    (void)context;
}

static void on_ended(void *context, struct caller_call *c)
{
    ends(context, c);
}

static void on_refused(void *context, struct caller_call *c)
{
    caller_h2_answer(c, 14, STR("refused"));
    assert(!c->sent);
    ends(context, c);
}

static void begin(struct world *w)
{
    while (w->begun < CALLS && caller_h2_room(w->h2)) {
        struct caller_call *c = &w->calls[w->begun++];

        *c = (struct caller_call){
            .path = "/a.B/C", .message = STR("question"), .deadline_us = 1000000};
        caller_h2_begin(w->h2, c, 0);
    }
}

static void drain(struct world *w)
{
    static char bytes[OUT_BYTES + 1];
    struct buf out;

    for (unsigned i = 0; i < PASSES; i++) {
        buf_fixed(&out, bytes, sizeof(bytes));
        caller_h2_drain(w->h2, &out);
        if (out.n == 0)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {0};
    struct caller_h2_options o = {
        .authority = "localhost:1",
        .message_bytes_max = 4096,
        .context = &w,
        .greeted = on_greeted,
        .going = on_greeted,
        .ended = on_ended,
        .refused = on_refused,
    };
    /* The first byte says in which pieces the rest comes. */
    size_t piece = size ? data[0] + 1u : 1;
    struct str bytes = {(const char *)data + (size > 0), size ? size - 1 : 0};

    w.h2 = caller_h2_new(&o);
    while (bytes.n && !caller_h2_over(w.h2)) {
        caller_h2_feed(w.h2, str_sub(bytes, 0, piece));
        bytes = str_sub(bytes, piece, bytes.n);
        begin(&w);
        drain(&w);
    }
    /* One that is dropped has no end of its own. */
    if (w.begun && w.ends[0] == 0) {
        caller_h2_drop(w.h2, &w.calls[0]);
        w.ends[0] = 1;
    }
    caller_h2_cut(w.h2, STR("it is over"));
    for (size_t i = 0; i < w.begun; i++) {
        assert(w.ends[i] == 1);
        grpc_frame_deinit(&w.calls[i].in);
    }
    caller_h2_free(w.h2);
    return 0;
}
