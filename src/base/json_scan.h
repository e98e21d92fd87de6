/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_scan: the grammar of JSON (RFC 8259), as steps over bytes that make nothing.
 *
 * Each step begins at `p` and returns where it ended; NULL where the bytes are no such thing, and
 * then *ret_bad is the first byte that is wrong (`end`: more was needed).
 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include <stdbool.h>

#include "base/str.h"

static inline const char *json_scan_blank(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* The first byte that is not ASCII, a control character, a quote or a backslash; or the end. */
const char *json_scan_plain(const char *p, const char *end);

/* From behind the opening quote to the closing one, which is not taken. *ret_plain: what stands
 * between them is what it says, without escapes. */
const char *json_scan_text(const char *p, const char *end, bool *ret_plain, const char **ret_bad);
const char *json_scan_number(const char *p, const char *end, const char **ret_bad);

/* Any value, without blanks around it; at most `depth_max` (64 or less) lists and objects within
 * each other. *ret_deep: that is what is wrong. */
const char *json_scan_value(const char *p, const char *end, unsigned depth_max,
                            const char **ret_bad, bool *ret_deep);

enum { JSON_SCAN_E_BAD = 1, JSON_SCAN_E_DEEP };

/* Whether the text is one JSON value and nothing else: UTF-8, escapes, surrogates, numbers, no
 * deeper than `depth_max`. No tree is made. Returns 0, or JSON_SCAN_E_BAD, or where it is only too
 * deep JSON_SCAN_E_DEEP, with the offset of the first byte that is wrong. */
int json_scan_check(struct str text, unsigned depth_max, size_t *ret_offset);

#endif
