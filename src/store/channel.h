/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel: short texts between the programs that share a Postgres store (LISTEN and NOTIFY).
 *
 * A connection of its own, used by one thread. What is told reaches all others that listen at that
 * moment and is kept for nobody: whoever connects again does not know what it missed. Nothing is
 * told within the transactions of others, since the server lets one transaction at a time commit
 * with notifications.
 */
#ifndef STORE_CHANNEL_H
#define STORE_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "store/store.h"

#define CHANNEL_TEXT_BYTES_MAX 7900u /* the server takes less than 8000 */

struct channel;

/* Connect within connect_ms and listen; `watch` as of store_options. Returns 0, or a fault as
 * store_open() does; *ret is set in either case. A pooler that gives each transaction another
 * connection is of no use here. */
int channel_open(struct str url, int64_t connect_ms, struct store_watch *watch,
                 struct channel **ret);
struct channel *channel_free(struct channel *c);
/* The newest failure as a sentence. */
struct str channel_error(const struct channel *c);

/* Tell the others; a text of 1 to CHANNEL_TEXT_BYTES_MAX bytes of UTF-8 without NUL. */
int channel_tell(struct channel *c, struct str text);

/* Wait until something was heard, `fd` can be read, or `until_us` (monotonic) has come. */
int channel_wait(struct channel *c, int fd, int64_t until_us);

/* What another one told, in order; borrowed until the next call. False: no more for now. */
bool channel_heard(struct channel *c, struct str *ret);

#endif
