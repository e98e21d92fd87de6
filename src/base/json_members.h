/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_members: the members of a JSON object one by one, as pieces of its text. No tree is made.
 */
#ifndef BASE_JSON_MEMBERS_H
#define BASE_JSON_MEMBERS_H

#include <stdbool.h>

#include "base/str.h"

struct json_members {
    const char *p;
    const char *end;
    unsigned depth_max; /* of a value */
    bool first;
};

struct json_member {
    struct str key; /* as it is spelled, escapes and all: a key of ours has none */
    struct str value;
};

enum json_members_found {
    JSON_MEMBERS_ONE,
    JSON_MEMBERS_END, /* of the object, and of the text */
    JSON_MEMBERS_BAD, /* it is no JSON */
    JSON_MEMBERS_DEEP /* a value has more lists and objects within each other */
};

/* False where the text is no object. `depth_max`: 64 or less. */
bool json_members_begin(struct json_members *m, struct str text, unsigned depth_max);
enum json_members_found json_members_next(struct json_members *m, struct json_member *ret);

#endif
