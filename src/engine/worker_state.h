/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_state: what the files of workers have in common.
 */
#ifndef ENGINE_WORKER_STATE_H
#define ENGINE_WORKER_STATE_H

#include "engine/worker.h"

/* worker.c */

/* WORKER_NOT_FOUND where there is none. */
int worker_lock(struct tx *tx, int64_t incarnation, struct worker_row *ret);
/* Its state, its heartbeat, and whether it is over. */
int worker_put(struct tx *tx, const struct worker_row *w, struct str reason);
/* The event that it has come into its state. */
void worker_tell(struct tx *tx, const struct worker_row *w, struct str reason);

/* worker_end.c */

/* Lock it with what it holds, for worker_end(). */
int worker_end_lock(struct tx *tx, int64_t incarnation, struct worker_row *ret);
/* Nothing where it is over. Every attempt that it holds ends as lost; their names are noted. */
int worker_end(struct tx *tx, struct worker_row *w, enum worker_event how, struct str reason,
               struct worker_lose_reply *reply);

#endif
