/* SPDX-License-Identifier: Apache-2.0 */
/* By which it is known whether a commit took place whose answer was lost (docs/store.md). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fault.h"
#include "store/postgres.h"

int postgres_receipt_send(struct postgres *p)
{
    struct postgres_receipt *receipt = &p->receipt;
    enum own own = *receipt->at ? OWN_RECEIPT : OWN_RECEIPT_NEW;
    char holder[24], n[24];
    const char *const values[] = {receipt->at, holder, n};
    int none = own == OWN_RECEIPT ? 0 : 1; /* a new row has no place yet */

    snprintf(holder, sizeof(holder), "%" PRId64, receipt->holder);
    snprintf(n, sizeof(n), "%" PRId64, receipt->n);
    return wire_send(&p->wire,
                     &(struct call){.name = postgres_owns[own].name,
                                    .text = p->store.pooled ? postgres_owns[own].text : NULL,
                                    .n = 3 - none,
                                    .values = values + none});
}
void postgres_receipt_keep(struct postgres_receipt *receipt, const PGresult *result)
{
    snprintf(receipt->next, sizeof(receipt->next), "%s", PQgetvalue(result, 0, 1));
    snprintf(receipt->xid, sizeof(receipt->xid), "%s", PQgetvalue(result, 0, 2));
    snprintf(receipt->pid, sizeof(receipt->pid), "%s", PQgetvalue(result, 0, 3));
}
void postgres_receipt_moved(struct postgres_receipt *receipt)
{
    memcpy(receipt->at, receipt->next, sizeof(receipt->at));
}

enum fate { FATE_UNKNOWN, FATE_COMMITTED, FATE_ABORTED };

/* Is the transaction still in progress? Then the server has not noticed that we are gone: from the
 * second time on its session is ended, after which there is an answer. */
static int progress_ask(struct postgres *p, int time, int64_t deadline, bool *ret)
{
    PGresult *result;
    char text[320];
    int r;

    snprintf(text, sizeof(text),
             "SELECT coalesce(pg_xact_status('%s'), ''), (SELECT count(pg_terminate_backend(pid)) "
             "FROM pg_stat_activity"
             " WHERE %s AND backend_xid = '%s'::xid8::xid AND pid = %s)",
             p->receipt.xid, time > 1 ? "true" : "false", p->receipt.xid, p->receipt.pid);
    r = wire_script(&p->wire, text, deadline, &result);
    if (r)
        return r;
    *ret = strcmp(PQgetvalue(result, 0, 0), "in progress") == 0;
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
             "SELECT EXISTS (SELECT FROM weft.receipt WHERE holder = %" PRId64 " AND n = %" PRId64
             ")",
             p->receipt.holder, p->receipt.n);
    r = wire_script(&p->wire, text, deadline, &result);
    if (r)
        return r;
    *ret = PQgetvalue(result, 0, 0)[0] == 't' ? FATE_COMMITTED : FATE_ABORTED;
    PQclear(result);
    return 0;
}

static int fate_ask(struct postgres *p, int time, int64_t deadline, enum fate *ret)
{
    bool in_progress = false;
    int r = progress_ask(p, time, deadline, &in_progress);

    *ret = FATE_UNKNOWN;
    /* "transaction ID is in the future": a server that took over never heard of it. */
    if ((!r && !in_progress) || r == -EBADMSG)
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
    if (fate == FATE_COMMITTED) {
        postgres_receipt_moved(&p->receipt);
        return 0;
    }
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
