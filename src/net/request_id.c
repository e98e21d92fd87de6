/* SPDX-License-Identifier: Apache-2.0 */
#include "net/request_id.h"

#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

#define MADE_BYTES 16

static bool is_sound(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.n > 0 && s.n <= CALL_ID_BYTES_MAX;
}

struct str request_id_take(uint64_t *newest, struct str asked, char out[static CALL_ID_BYTES_MAX])
{
    uint64_t n;

    if (is_sound(asked)) {
        memcpy(out, asked.p, asked.n);
        return (struct str){out, asked.n};
    }
    n = ++*newest;
    for (size_t i = MADE_BYTES; i-- > 0; n >>= 4)
        out[i] = "0123456789abcdef"[n & 15];
    return (struct str){out, MADE_BYTES};
}

uint64_t request_id_seed(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        seed = (uint64_t)clock_utc(); /* it names requests, and keeps no secret */
    return seed;
}
