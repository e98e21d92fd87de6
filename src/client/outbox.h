/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox: ended leases that the server has not heard of, oldest first.
 *
 * With a file they survive the process: a line of JSON per lease, synchronised to the disk before
 * the add returns; the clients for Python and Node read and write the same lines. What was
 * delivered may stand in the file for a while, since telling an end twice changes nothing. The file
 * is locked, so that no two processes use one.
 *
 * Not for threads: who shares it locks.
 */
#ifndef CLIENT_OUTBOX_H
#define CLIENT_OUTBOX_H

#include <stdbool.h>

#include "base/str.h"

/* All that a stage says (4 MiB), when JSON writes each byte as six, and what stands around it. */
#define OUTBOX_LINE_BYTES_MAX ((size_t)32 << 20)
#define OUTBOX_FILE_BYTES_MAX ((size_t)4 << 30)

struct outbox;

enum { OUTBOX_E_BUSY = 1 }; /* another process has the file */

/* `path` NULL: memory alone. A line at the end that was being written when its process died is
 * dropped. Returns 0, OUTBOX_E_BUSY, or a fault (-EACCES, …). */
int outbox_new(const char *path, struct outbox **ret);
struct outbox *outbox_free(struct outbox *o);

size_t outbox_count(const struct outbox *o);

/* `line` is a JSON object without line breaks, that holds the token. Kept in memory whatever
 * happens; a fault says that the file does not have it. */
int outbox_add(struct outbox *o, struct str line);

/* The item at `i` from the oldest on; borrowed until it is dropped. */
struct str outbox_at(const struct outbox *o, size_t i);

/* Instead of the oldest; only in memory, for the file's line will be refused once more. */
void outbox_replace(struct outbox *o, struct str line);

/* The oldest `n` are delivered. A fault says that the file has them still. */
int outbox_drop(struct outbox *o, size_t n);

#endif
