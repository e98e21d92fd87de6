/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentence: pieces of what a person reads about a mistake.
 */
#ifndef BASE_SENTENCE_H
#define BASE_SENTENCE_H

#include "base/arena.h"
#include "base/str.h"

#define SENTENCE_QUOTE_BYTES_MAX 80u

/* Somebody else's text in double quotes, with its control characters escaped and its end cut. */
struct str sentence_quote(struct arena *a, struct str s);

/* Which of some names was meant by one that is none of them: show it each, and look at `best`,
 * whose p is NULL where none is near. */
struct sentence_nearest {
    struct str to;
    struct str best;
    unsigned distance; /* of the best one */
};

void sentence_nearest_init(struct sentence_nearest *n, struct str to);
void sentence_nearest_try(struct sentence_nearest *n, struct str name);

#endif
