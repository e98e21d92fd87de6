/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump: all rows of a store as text, to be compared with another's.
 *
 * One row a line. Ids are written #N where they are dumped (those of runs, which are alike, @N).
 * Two stores number the same history differently once something was rolled back, so dump_rank()
 * puts in place of each id its rank among all ids of the dump, and sorts the lines. What a row
 * keeps from an earlier state and nobody reads any more is left out.
 */
#ifndef DUMP_H
#define DUMP_H

#include "base/buf.h"
#include "store/store_testing.h"

#define DUMP_BYTES_MAX (64u << 20)

/* By a connection of its own, past the store's. */
void dump_store(struct store_testing *t, struct buf *out);

void dump_rank(struct arena *a, struct buf *text);

/* The data of an event with # before its ids. */
void dump_event_data(struct buf *out, struct str data);

/* The first line that differs, as both have it. */
bool dump_differ(struct str a, struct str b, struct str *ret_a, struct str *ret_b);

#endif
