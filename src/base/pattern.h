/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern: regular expressions that others write.
 *
 * The language is that of POSIX extended regular expressions without locales and references back to
 * a group: | * + ? {2,5} ( ) . ^ $ [a-z]
 * [^a-z] [[:digit:]] and a backslash before a character that would mean something. Characters are
 * those of Unicode, classes those of ASCII. A pattern matches a whole value or not at all, in time
 * linear in both (Thompson 1968).
 */
#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

#define PATTERN_BYTES_MAX       1000u
#define PATTERN_DEPTH_MAX       50u   /* groups within groups */
#define PATTERN_STEPS_MAX       5000u /* what it comes to with its repetitions written out */
#define PATTERN_VALUE_BYTES_MAX (16u << 10)

enum { PATTERN_E_BAD = 1 };

/* 0, or PATTERN_E_BAD with a sentence that begins with its verb ("is longer than …"). */
int pattern_check(struct arena *a, struct str pattern, struct str *ret_error);

/* Whether all of the value matches a pattern that pattern_check() found good. A value that is
 * longer than PATTERN_VALUE_BYTES_MAX or is no UTF-8 does not. */
bool pattern_match(struct str pattern, struct str value);

#endif
