/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease: what the holder of a task says while it works on it.
 *
 * A lease of a registered worker lives as long as its heartbeat; one of a guest has an end of its
 * own (task.expires_at), which only renewing moves. One of a stage whose runner promised progress
 * has both, and ends with the first.
 */
#ifndef ENGINE_LEASE_H
#define ENGINE_LEASE_H

#include "engine/tx.h"
#include "engine/worker.h"

#define LEASE_RENEW_MAX         10000u
#define LEASE_TTL_US_MIN        (1 * 1000000LL)
#define LEASE_TTL_US_MAX        (7 * 86400 * 1000000LL)
#define LEASE_MESSAGE_BYTES_MAX 4096u

struct lease_progress {
    struct lease_ref lease;
    int percent;        /* 0 … 100; -1: as it was */
    struct str message; /* empty: as it was */
    struct str details; /* JSON, of a stage of a plan; empty: none */
};

struct lease_renew {
    const struct lease_progress *list;
    size_t n;       /* 1 … LEASE_RENEW_MAX */
    int64_t ttl_us; /* from now, of leases that no heartbeat keeps; 0: the queue's claim_ttl */
};

struct lease_renewed {
    enum code code;     /* OK, LEASE_LOST */
    int64_t expires_at; /* as far as known now: a heartbeat moves it too. It never comes closer. */
    bool stop;          /* the task is to be cancelled: end it, as cancelled */
};

struct lease_renewals {
    struct lease_renewed *list; /* in the order of the request */
    size_t n;
};

/* The newest progress is kept with the task until its attempt ends; of a stage all of it is
 * (progress.h), but where a request names a lease twice only what it says last. */
int lease_renew(struct tx *tx, const struct lease_renew *req, struct lease_renewals *reply);

#endif
