/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: a connection to a Postgres server, with deadlines and with its errors as the faults of
 * store.h.
 *
 * Private to this folder. Nothing here waits longer than its deadline (monotonic, microseconds),
 * whatever the server or the network does. After -ECONNRESET the connection is closed. Every fault
 * sets the store's sentence.
 */
#ifndef STORE_WIRE_H
#define STORE_WIRE_H

#include <libpq-fe.h>

#include "store/backend.h"

struct wire {
    struct store *store;
    PGconn *c; /* NULL: not connected */
};

/* Connect and log in. -EHOSTUNREACH is worth another try, every other fault is not. */
int wire_dial(struct wire *w, int64_t deadline);
void wire_close(struct wire *w);

/* Run SQL as it stands, several statements in one go; the rows are those of the last one. Not after
 * wire_pipeline(). `ret` may be NULL; the caller clears what it gets. */
int wire_script(struct wire *w, const char *text, int64_t deadline, PGresult **ret);

/* From here on the connection takes wire_send() and wire_call(). */
int wire_pipeline(struct wire *w);

/* A prepared statement with parameters in binary. */
struct call {
    const char *name;
    int n;
    const char *const *values;
    const int *lengths;
    const int *formats;
};

/* Run several in one round trip, each only if those before it succeeded. Returns as store_run()
 * does; the result is that of the last. */
int wire_call(struct wire *w, const struct call *calls, size_t n, int64_t deadline, PGresult **ret);

/* Send what the pipeline holds, and take the answers one by one. `name` is the statement's, for the
 * sentence. */
int wire_sync(struct wire *w);
int wire_take(struct wire *w, const char *name, int64_t deadline, PGresult **ret);
int wire_take_sync(struct wire *w, int64_t deadline);

/* A result that says so is the end of the connection. */
int wire_lost(struct wire *w, const char *how);

#endif
