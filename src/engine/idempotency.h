/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idempotency: replies that are kept for requests with a key, so that the same request again gives
 * the same reply and has no second effect.
 */
#ifndef ENGINE_IDEMPOTENCY_H
#define ENGINE_IDEMPOTENCY_H

#include "engine/tx.h"

#define IDEMPOTENCY_KEPT_US (24LL * 3600 * 1000000)
#define IDEMPOTENCY_SWEEP   500 /* replies that are forgotten at once */

struct idempotency {
    struct str key;    /* the client's, at most 200 bytes of UTF-8 */
    struct str method; /* whose keys are apart from those of others */
    struct str digest; /* of the request */
};

/* The reply that is kept, or empty where there is none. IDEMPOTENCY_CONFLICT where the key came
 * with another request. */
int idempotency_find(struct tx *tx, const struct idempotency *req, struct str *ret_reply);

/* Keep the reply, a text, in the transaction that has the request's effect. Where another program
 * has kept one at this moment the transaction is to be run again (-EAGAIN), and finds it. */
int idempotency_keep(struct tx *tx, const struct idempotency *req, struct str reply);

struct idempotency_swept {
    int64_t n;
    bool more;
};
/* Forget replies that are older than IDEMPOTENCY_KEPT_US, IDEMPOTENCY_SWEEP of them. */
int idempotency_sweep(struct tx *tx, const void *unused, struct idempotency_swept *reply);

#endif
