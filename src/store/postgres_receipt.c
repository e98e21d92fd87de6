/* SPDX-License-Identifier: Apache-2.0 */
/* By which it is known whether a commit took place whose answer was lost (docs/store.md). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fault.h"
#include "store/postgres.h"

/* Each transaction has a key of its own, since the one before may not have ended yet on the server,
 * where its connection was lost. */
static int64_t hold_key(const struct postgres_receipt *receipt)
{
    return (int64_t)((uint64_t)receipt->holder + (uint64_t)receipt->n);
}

static int own_send_with(struct postgres *p, enum own own, const char *const *values, int n)
{
    return wire_send(&p->wire,
                     &(struct call){.name = postgres_owns[own].name,
                                    .text = p->store.pooled ? postgres_owns[own].text : NULL,
                                    .n = n,
                                    .values = values});
}

/* Our transaction having read the table, nobody rewrites it; and whoever deletes rows of those who
 * have gone leaves one alone that is half a day younger. So what is there now can be moved later.
 */
int postgres_receipt_hold(struct postgres *p)
{
    const struct postgres_receipt *receipt = &p->receipt;
    char key[24], holder[24];

    snprintf(key, sizeof(key), "%" PRId64, hold_key(receipt));
    snprintf(holder, sizeof(holder), "%" PRId64, receipt->holder);
    return own_send_with(
        p, OWN_HOLD, (const char *const[]){key, holder, *receipt->at ? receipt->at : "(0,0)"}, 3);
}

void postgres_receipt_held(struct postgres *p, const PGresult *result)
{
    p->receipt.there = PQgetvalue(result, 0, 2)[0] == 't';
}

int postgres_receipt_send(struct postgres *p)
{
    const struct postgres_receipt *receipt = &p->receipt;
    char holder[24], n[24];

    snprintf(holder, sizeof(holder), "%" PRId64, receipt->holder);
    snprintf(n, sizeof(n), "%" PRId64, receipt->n);
    return own_send_with(p, receipt->there ? OWN_RECEIPT : OWN_RECEIPT_NEW,
                         (const char *const[]){holder, n, receipt->at}, receipt->there ? 3 : 2);
}

void postgres_receipt_keep(struct postgres *p, const PGresult *result)
{
    if (PQntuples(result) > 0)
        snprintf(p->receipt.at, sizeof(p->receipt.at), "%s", PQgetvalue(result, 0, 0));
}

enum fate { FATE_UNKNOWN, FATE_COMMITTED, FATE_ABORTED };

/* Whoever holds the lock of our transaction still runs it: a server that has not noticed that we
 * are gone. From the second time on its session is ended. */
static int hold_end(struct postgres *p, int64_t deadline)
{
    uint64_t key = (uint64_t)hold_key(&p->receipt);
    char text[320];

    snprintf(text, sizeof(text),
             "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'"
             " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
             " AND classid = %" PRIu64 " AND objid = %" PRIu64 " AND objsubid = 1 AND granted",
             key >> 32, key & UINT32_MAX);
    return wire_script(&p->wire, text, deadline, NULL);
}

static int hold_ask(struct postgres *p, int64_t deadline, bool *ret_held)
{
    PGresult *result;
    char text[80];
    int r;

    snprintf(text, sizeof(text), "SELECT pg_try_advisory_xact_lock(%" PRId64 ")",
             hold_key(&p->receipt));
    r = wire_script(&p->wire, text, deadline, &result);
    if (r)
        return r;
    *ret_held = PQgetvalue(result, 0, 0)[0] == 'f';
    PQclear(result);
    return 0;
}

/* Only a snapshot that is taken after the end of the transaction tells what became of it. */
static int receipt_ask(struct postgres *p, int64_t deadline, enum fate *ret)
{
    PGresult *result;
    char text[160];
    int r;

    snprintf(text, sizeof(text),
             "SELECT ctid::text FROM weft.receipt WHERE holder = %" PRId64 " AND n = %" PRId64,
             p->receipt.holder, p->receipt.n);
    r = wire_script(&p->wire, text, deadline, &result);
    if (r)
        return r;
    *ret = PQntuples(result) > 0 ? FATE_COMMITTED : FATE_ABORTED;
    postgres_receipt_keep(p, result);
    PQclear(result);
    return 0;
}

static int fate_ask(struct postgres *p, int time, int64_t deadline, enum fate *ret)
{
    bool held = true;
    int r = time > 1 ? hold_end(p, deadline) : 0;

    *ret = FATE_UNKNOWN;
    if (!r)
        r = hold_ask(p, deadline, &held);
    if (!r && !held)
        r = receipt_ask(p, deadline, ret);
    return r;
}

/* The answer to a commit was lost: find out whether it took place. */
int postgres_settle(struct store *s)
{
    struct postgres *p = postgres_of(s);
    int64_t deadline = clock_monotonic() + s->options.connect_ms * CLOCK_MS, step_ms = 0;
    enum fate fate = FATE_UNKNOWN;
    int time = 1;

    do {
        int r = postgres_connect(s, deadline);

        if (!r)
            fate_ask(p, time++, deadline, &fate);
    } while (fate == FATE_UNKNOWN && store_back_off(s, &step_ms, deadline));
    /* It is not prepared; the next transaction makes a whole one. */
    wire_close(&p->wire);
    if (fate == FATE_COMMITTED)
        return 0;
    if (fate == FATE_ABORTED)
        return store_say(
            s, -ECONNRESET,
            "the connection was lost while a transaction was to be committed; it is rolled back");
    return store_say(s, -EHOSTUNREACH,
                     "the connection was lost while a transaction was to be committed, and whether "
                     "that took place "
                     "could not be found out within connect_ms = %" PRId64 " ms",
                     s->options.connect_ms);
}
