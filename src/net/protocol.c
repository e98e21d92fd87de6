/* SPDX-License-Identifier: Apache-2.0 */
#include "net/protocol.h"

#include <assert.h>

#include "net/http_head.h"

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

static bool is_address(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] != '.' && (name.p[i] < '0' || name.p[i] > '9'))
            return false;
    return name.n > 0;
}

bool protocol_is_local(const struct net_shared *s, struct str host)
{
    static const struct str below = {".localhost", 10};
    size_t at;

    if (host.n == 0 || host.p[0] == '[')
        return true;
    if (str_find(host, ':', &at))
        host = str_sub(host, 0, at);
    if (is_address(host) || http_head_same(host, STR("localhost")) ||
        (host.n > below.n && http_head_same(str_sub(host, host.n - below.n, below.n), below)))
        return true;
    for (size_t i = 0; i < s->hosts_n; i++)
        if (http_head_same(host, str_of(s->hosts[i])))
            return true;
    return false;
}
