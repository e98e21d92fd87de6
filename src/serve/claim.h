/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim: a claim that waits for tasks.
 *
 *     LOOKING --some, refused, or time is up--> over
 *      ^    |none
 *      |    v
 *      |  ASLEEP --time is up, cancelled, the server drains--> over
 *      +--woken--+
 *
 * A client that goes while the store is asked gets nothing any more: what the store has leased by
 * then is released again, before anybody hears of it. But with an idempotency key the leases are
 * kept with the reply, for a client that asks again; a reply without leases is not kept.
 */
#ifndef SERVE_CLAIM_H
#define SERVE_CLAIM_H

#include "serve/rpc.h"

/* The name of the transaction that releases leases which nobody heard of; its request is a struct
 * task_release. */
#define CLAIM_GIVE_BACK "claim.give_back"

/* The `begin` of an action whose request is a struct api_queue_claim. */
bool claim_begin(struct rpc *rpc);

#endif
