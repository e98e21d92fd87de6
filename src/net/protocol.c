/* SPDX-License-Identifier: Apache-2.0 */
#include "net/protocol.h"

#include <assert.h>

void protocol_call_begins(struct net_shared *s)
{
    s->metrics.calls++;
}

void protocol_call_ended(struct net_shared *s)
{
    assert(s->metrics.calls > 0);
    if (--s->metrics.calls == 0 && s->idle)
        s->idle(s);
}
