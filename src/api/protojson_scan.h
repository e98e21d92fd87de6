/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protojson_scan: the grammar of JSON (RFC 8259), as steps over bytes that make nothing.
 *
 * Each step begins at `p` and returns where it ended; NULL where the bytes are no such thing, and
 * then *ret_bad is the first byte that is wrong (`end`: more was needed).
 */
#ifndef API_PROTOJSON_SCAN_H
#define API_PROTOJSON_SCAN_H

#include <stdbool.h>

static inline const char *protojson_scan_blank(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* The first byte that is not ASCII, a control character, a quote or a backslash; or the end. */
const char *protojson_scan_plain(const char *p, const char *end);

/* From behind the opening quote to the closing one, which is not taken. *ret_plain: what stands
 * between them is what it says, without escapes. */
const char *protojson_scan_text(const char *p, const char *end, bool *ret_plain,
                                const char **ret_bad);
const char *protojson_scan_number(const char *p, const char *end, const char **ret_bad);

/* Any value, without blanks around it; at most `depth_max` (64 or less) lists and objects within
 * each other. *ret_deep: that is what is wrong. */
const char *protojson_scan_value(const char *p, const char *end, unsigned depth_max,
                                 const char **ret_bad, bool *ret_deep);

#endif
