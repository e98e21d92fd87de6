/* SPDX-License-Identifier: Apache-2.0 */
#include "store/channel.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/memory.h"
#include "store/wire.h"

#define NAME "weft_news"

struct channel {
    struct store store; /* what a wire needs of one */
    struct wire wire;
    PGnotify *heard; /* the newest that was given out */
};

int channel_open(struct str url, int64_t connect_ms, struct store_watch *watch,
                 struct channel **ret)
{
    struct channel *c = memory_new(sizeof(*c));
    int64_t deadline = clock_monotonic() + connect_ms * CLOCK_MS;
    int r;

    *ret = c;
    buf_init(&c->store.error, 4096);
    c->store.options = (struct store_options){
        .url = {str_cstr(&c->store.memory, url), url.n},
        .mode = STORE_READ,
        .connect_ms = connect_ms,
        .statement_ms = connect_ms,
        .watch = watch,
    };
    c->wire.store = &c->store;
    r = wire_dial(&c->wire, deadline);
    if (!r)
        r = wire_script(&c->wire, "LISTEN " NAME, deadline, NULL);
    return r ? fault(r) : 0;
}

struct channel *channel_free(struct channel *c)
{
    if (!c)
        return NULL;
    PQfreemem(c->heard);
    wire_close(&c->wire);
    buf_deinit(&c->store.error);
    arena_deinit(&c->store.memory);
    free(c);
    return NULL;
}

struct str channel_error(const struct channel *c)
{
    return buf_str(&c->store.error);
}

int channel_tell(struct channel *c, struct str text)
{
    struct arena a = {0};
    char *literal;
    int r;

    assert(text.n >= 1 && text.n <= CHANNEL_TEXT_BYTES_MAX);
    if (!c->wire.c)
        return fault(-ECONNRESET);
    literal = PQescapeLiteral(c->wire.c, text.p, text.n);
    if (!literal)
        return fault(wire_lost(&c->wire, NULL));
    r = wire_script(&c->wire, str_printf(&a, "NOTIFY " NAME ", %s", literal).p,
                    wire_deadline(&c->wire, 1), NULL);
    PQfreemem(literal);
    arena_deinit(&a);
    return r ? fault(r) : 0;
}

int channel_wait(struct channel *c, int fd, int64_t until_us)
{
    int64_t left = until_us - clock_monotonic();
    int64_t ms = left <= 0 ? 0 : (left + CLOCK_MS - 1) / CLOCK_MS;
    struct pollfd fds[2] = {
        {.fd = fd, .events = POLLIN}
    };

    if (!c->wire.c)
        return fault(-ECONNRESET);
    fds[1] = (struct pollfd){.fd = PQsocket(c->wire.c), .events = POLLIN};
    if (poll(fds, 2, ms > 3600000 ? 3600000 : (int)ms) < 0 && errno != EINTR)
        return fault(-errno);
    if (fds[1].revents && !PQconsumeInput(c->wire.c))
        return fault(wire_lost(&c->wire, NULL));
    return 0;
}

bool channel_heard(struct channel *c, struct str *ret)
{
    do {
        PQfreemem(c->heard);
        c->heard = c->wire.c ? PQnotifies(c->wire.c) : NULL;
        if (!c->heard)
            return false;
    } while (c->heard->be_pid == PQbackendPID(c->wire.c));
    *ret = str_of(c->heard->extra);
    return true;
}
