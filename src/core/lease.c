/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lease.h"

#include <assert.h>
#include <inttypes.h>

#include "base/buf.h"

enum lease_verdict lease_judge(int64_t token, int64_t current, bool ended, struct str ended_digest,
                               struct str digest)
{
    if (token <= 0)
        return LEASE_ENDED;
    if (token == current)
        return LEASE_CURRENT;
    if (!ended)
        return LEASE_ENDED;
    return str_eq(ended_digest, digest) ? LEASE_REPEATED : LEASE_CONFLICT;
}

bool lease_overdue(const struct lease *l, int64_t now)
{
    return l->deadline_at != 0 && now >= l->deadline_at;
}

static uint64_t fnv1a(uint64_t h, unsigned char byte)
{
    return (h ^ byte) * 0x100000001b3;
}

struct str lease_digest(const struct str *parts, size_t n, char out[static LEASE_DIGEST_BYTES])
{
    uint64_t h = 0xcbf29ce484222325;
    struct buf b;

    for (size_t i = 0; i < n; i++) {
        /* The length, lowest byte first on every machine, so that "ab", "c" is not "a", "bc". */
        for (int shift = 0; shift < 64; shift += 8)
            h = fnv1a(h, (unsigned char)((uint64_t)parts[i].n >> shift));
        for (size_t at = 0; at < parts[i].n; at++)
            h = fnv1a(h, (unsigned char)parts[i].p[at]);
    }
    buf_fixed(&b, out, LEASE_DIGEST_BYTES);
    buf_printf(&b, "%016" PRIx64, h);
    assert(!b.full);
    return buf_str(&b);
}
