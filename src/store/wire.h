/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: a connection to a Postgres server, with deadlines and with its errors as the faults of
 * store.h.
 *
 * Private to this folder. Nothing here waits longer than its deadline (monotonic, microseconds),
 * whatever the server or the network does, nor long after the program stops (store_watch). After
 * -ECONNRESET the connection is closed. Every fault sets the store's sentence.
 */
#ifndef STORE_WIRE_H
#define STORE_WIRE_H

#include <libpq-fe.h>

#include "store/backend.h"

#define WIRE_SENT_MAX 64

struct wire {
    struct store *store;
    PGconn *c;                       /* NULL: not connected */
    const char *sent[WIRE_SENT_MAX]; /* statements whose answers are still to come */
    size_t sent_n;
};

/* Connect and log in. -EHOSTUNREACH is worth another try, every other fault is not. */
int wire_dial(struct wire *w, int64_t deadline);
void wire_close(struct wire *w);

/* Run SQL as it stands, several statements in one go; the rows are those of the last one. Not after
 * wire_pipeline(). `ret` may be NULL; the caller clears what it gets. */
int wire_script(struct wire *w, const char *text, int64_t deadline, PGresult **ret);

/* From here on the connection takes what follows. */
int wire_pipeline(struct wire *w);

/* A prepared statement with parameters in binary; they are copied. With a text it is that one, not
 * prepared, whose name serves for sentences. */
struct call {
    const char *name;
    const char *text;
    const Oid *types; /* of a text's parameters; NULL: as it says itself */
    int n;
    const char *const *values;
    const int *lengths;
    const int *formats;
};

/* Send a statement, which runs only if all those before it succeed, up to WIRE_SENT_MAX; and get
 * the answers of all that were sent, in one round trip. Returns as store_run() does, where one
 * before the last met a duplicate -EBADMSG; the result is that of the last. */
int wire_send(struct wire *w, const struct call *call);
int wire_answers(struct wire *w, PGresult **ret);
/* The same with the results of the last `wanted`; after a fault there are none. */
int wire_answers_many(struct wire *w, PGresult **ret, size_t wanted);

/* The pipeline step by step. `name` is the statement's, for the sentence. */
int wire_sync(struct wire *w);
int wire_take(struct wire *w, const char *name, int64_t deadline, PGresult **ret);
int wire_take_sync(struct wire *w, int64_t deadline);

/* When a server that keeps its own limits has answered `statements` statements, or their
 * transaction is over its time. */
int64_t wire_deadline(const struct wire *w, size_t statements);

/* A result that says so is the end of the connection. */
int wire_lost(struct wire *w, const char *how);

#endif
