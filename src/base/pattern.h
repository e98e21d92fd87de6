/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern: POSIX extended regular expressions that others write.
 *
 * A pattern matches a whole value or not at all, and characters are those of UTF-8. What would make
 * the matcher slow or large is refused: references back to a group, and repetitions that multiply
 * up to more than PATTERN_COST_MAX.
 */
#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

#define PATTERN_BYTES_MAX       1000u
#define PATTERN_COST_MAX        2000u /* characters after writing out every repetition */
#define PATTERN_VALUE_BYTES_MAX 4096u /* the matcher may need 4 kB a byte */

enum { PATTERN_E_BAD = 1 };

/* 0, or PATTERN_E_BAD with half a sentence ("is longer than …") that follows the pattern. */
int pattern_check(struct arena *a, struct str pattern, struct str *ret_error);

/* Whether all of the value matches a pattern that pattern_check() found good. A value longer than
 * PATTERN_VALUE_BYTES_MAX, or one with a NUL, does not. */
bool pattern_match(struct str pattern, struct str value);

#endif
