/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: somebody with slots who takes leases and keeps them alive by one heartbeat per
 * incarnation.
 *
 *     JOINING --beat--> READY --quiet--> SUSPECT --beat--> READY
 *                       READY --drain--> DRAINING --leave--> GONE
 *     every state that lives --expire--> LOST, --leave--> GONE
 *
 * SUSPECT after 40 % of its TTL without a heartbeat, LOST after all of it. *Busy* is computed from
 * live leases, never stored.
 */
#ifndef CORE_WORKER_H
#define CORE_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define WORKER_STATES(X)  X(JOINING) X(READY) X(SUSPECT) X(DRAINING) X(LOST) X(GONE)
#define WORKER_ENUM(name) WORKER_##name,
enum worker_state { WORKER_STATES(WORKER_ENUM) WORKER_STATE_N };

#define WORKER_EVENTS(X)        X(BEAT) X(QUIET) X(DRAIN) X(EXPIRE) X(LEAVE)
#define WORKER_EVENT_ENUM(name) WORKER_EVENT_##name,
enum worker_event { WORKER_EVENTS(WORKER_EVENT_ENUM) WORKER_EVENT_N };

enum { WORKER_E_REFUSED = 1 };

int worker_move(enum worker_state *s, enum worker_event event, const char **ret_why);

/* LOST or GONE: this incarnation never works again. */
bool worker_over(enum worker_state s);
/* Whether it may take new leases. */
bool worker_claims(enum worker_state s);

/* Which event the time since the last heartbeat amounts to; false where none. */
bool worker_silence(int64_t beat_at, int64_t ttl_us, int64_t now, enum worker_event *ret);

struct str worker_state_text(enum worker_state s);
bool worker_state_parse(struct str s, enum worker_state *ret);

struct buf;
void worker_diagram(struct buf *out);

#endif
