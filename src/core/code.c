/* SPDX-License-Identifier: Apache-2.0 */
#include "core/code.h"

#include <assert.h>

static const struct str texts[] = {
#define CODE_TEXT(name, text, exit) [CODE_##name] = {text, sizeof(text) - 1},
    CODES(CODE_TEXT)
#undef CODE_TEXT
};

static const int exits[] = {
#define CODE_EXIT(name, text, exit) [CODE_##name] = exit,
    CODES(CODE_EXIT)
#undef CODE_EXIT
};

struct str code_text(enum code c)
{
    assert(c < CODE_N);
    return texts[c];
}

int code_exit(enum code c)
{
    assert(c < CODE_N);
    return exits[c];
}
