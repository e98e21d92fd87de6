/* SPDX-License-Identifier: Apache-2.0 */
/* Retry policies as the store keeps them: what is accepted is written back byte for byte, and
 * decides. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "core/retry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str given = {(const char *)data, size};
    char text[RETRY_TEXT_BYTES];
    struct retry_policy p;
    struct prng prng;
    int64_t wait_us;

    if (!retry_parse(given, &p))
        return 0;
    assert(str_eq(given, retry_format(&p, text)));
    prng_seed(&prng, size);
    for (int64_t attempt = 1; attempt <= RETRY_ATTEMPTS_MAX; attempt *= 3)
        for (int o = OUTCOME_SUCCEEDED; o < OUTCOME_N; o++)
            if (retry_decide(&p, attempt, (enum outcome)o, 75, &prng, &wait_us))
                assert(attempt < p.max_attempts && wait_us >= 0 && wait_us <= p.cap_us);
    return 0;
}
