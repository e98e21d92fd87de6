/* SPDX-License-Identifier: Apache-2.0 */
/* Times and durations as people write them. What is accepted is written and read back the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str given = {(const char *)data, size};
    char text[CLOCK_TEXT_BYTES];
    int64_t at, again, us;

    if (clock_parse(given, &at)) {
        bool read_back = clock_parse(clock_text(at, text), &again);

        assert(read_back && again == at);
    }
    if (clock_duration(given, &us))
        assert(us >= 0);
    return 0;
}
