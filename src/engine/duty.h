/* SPDX-License-Identifier: Apache-2.0 */
/*
 * duty: what one of the servers does for all of them, as a lease on a row.
 *
 * Whoever asks first has it, and keeps it by asking again before it expires; when it dies, whoever
 * asks next after that has it. Its token grows with each holder.
 */
#ifndef ENGINE_DUTY_H
#define ENGINE_DUTY_H

#include "engine/tx.h"

struct duty_take {
    struct str name;
    struct str holder; /* unique among the programs, and among the lives of one */
    int64_t ttl_us;
    bool alone; /* no other program can be there: whoever holds it is dead */
};

struct duty_reply {
    bool held; /* by the one that asked */
    struct str holder;
    int64_t token;
    int64_t expires_at;
};

int duty_take(struct tx *tx, const struct duty_take *req, struct duty_reply *reply);
/* Give it up, so that another one need not wait for its end. */
int duty_leave(struct tx *tx, const struct duty_take *req, void *unused);

#endif
