/* SPDX-License-Identifier: Apache-2.0 */
#include "core/code.h"

#include <assert.h>

static const struct str texts[] = {
#define CODE_TEXT(name, text, exit, http, grpc) [CODE_##name] = {text, sizeof(text) - 1},
    CODES(CODE_TEXT)
#undef CODE_TEXT
};

static const struct {
    int exit, http, grpc;
} numbers[] = {
#define CODE_NUMBERS(name, text, exit, http, grpc) [CODE_##name] = {exit, http, grpc},
    CODES(CODE_NUMBERS)
#undef CODE_NUMBERS
};

struct str code_text(enum code c)
{
    assert(c < CODE_N);
    return texts[c];
}

int code_exit(enum code c)
{
    assert(c < CODE_N);
    return numbers[c].exit;
}

int code_http(enum code c)
{
    assert(c < CODE_N);
    return numbers[c].http;
}

int code_grpc(enum code c)
{
    assert(c < CODE_N);
    return numbers[c].grpc;
}
