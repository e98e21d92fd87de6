/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns: a line with the pattern, and the value. A good pattern ends, with little memory. */
#include <assert.h>
#include <stdint.h>

#include "base/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str value = {(const char *)data, size};
    struct str pattern, error = {0};
    struct arena a = {0};
    size_t end = size;

    str_find(value, '\n', &end);
    pattern = str_sub(value, 0, end);
    value = str_sub(value, end + 1, size);
    if (pattern_check(&a, pattern, &error) == 0)
        (void)pattern_match(pattern, value);
    else
        assert(error.n > 0);
    arena_deinit(&a);
    return 0;
}
