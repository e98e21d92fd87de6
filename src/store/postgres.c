/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in the schema `weft` of a Postgres database.
 *
 * Writers are READ COMMITTED and take their locks by statements, in the order that the engine
 * keeps; readers are REPEATABLE READ, so that a transaction sees one snapshot. Every statement is
 * prepared, and what belongs together goes in one round trip.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/memory.h"
#include "store/backend.h"
#include "store/wire.h"

/* The types that statements may use, by their fixed numbers in pg_type. */
enum {
    TYPE_BOOL = 16,
    TYPE_NAME = 19,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_TEXTS = 1009,
    TYPE_INT8S = 1016,
    TYPE_VARCHAR = 1043,
    TYPE_VOID = 2278,
};

#define PARAMS_MAX 64
/* A program that sleeps in a transaction holds locks, and keeps the tables from being cleaned. */
#define IDLE_MS 60000
/* "weft" and the number of the purpose: one program migrates at a time. The next number is that of
 * run_next_lock.sql. */
#define MIGRATION_LOCK "8602267437906755585"

#define MICROSECONDS "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
#define RECEIPT_RETURNING                                                                          \
    " RETURNING " MICROSECONDS ", ctid::text, pg_current_xact_id()::text, pg_backend_pid()"

#define OWN_STATEMENTS(X)                                                                          \
    X(BEGIN, "BEGIN ISOLATION LEVEL READ COMMITTED")                                               \
    X(BEGIN_READ, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")                               \
    X(NOW, "SELECT " MICROSECONDS)                                                                 \
    X(RECEIPT, "UPDATE weft.receipt SET n = $3, at = " MICROSECONDS                                \
               " WHERE ctid = $1 AND holder = $2" RECEIPT_RETURNING)                               \
    X(RECEIPT_NEW,                                                                                 \
      "WITH old AS (DELETE FROM weft.receipt WHERE ctid = ANY (ARRAY("                             \
      "SELECT ctid FROM weft.receipt WHERE at < " MICROSECONDS " - 86400000000"                    \
      " FOR UPDATE SKIP LOCKED)))"                                                                 \
      " INSERT INTO weft.receipt VALUES ($1, $2, " MICROSECONDS ")" RECEIPT_RETURNING)             \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(MARK, "SAVEPOINT mark")                                                                      \
    X(RELEASE, "RELEASE SAVEPOINT mark")                                                           \
    X(UNDO, "ROLLBACK TO SAVEPOINT mark")                                                          \
    X(IDS, "SELECT nextval('ids') FROM generate_series(1, $1::bigint)")
#define OWN_ENUM(name, text) OWN_##name,
#define OWN_TEXT(name, text) [OWN_##name] = {"weft " #name, (text)},
enum own { OWN_STATEMENTS(OWN_ENUM) OWN_N };
static const struct {
    const char *name;
    const char *text;
} owns[] = {OWN_STATEMENTS(OWN_TEXT)};

/* What is asked for after a lost commit. The number of a transaction alone would not do: a server
 * that crashed gives numbers out again whose log had not reached the disk. */
struct receipt {
    int64_t holder, n;
    char at[24];   /* the place of the row as it was last committed; "": there is none */
    char next[24]; /* its place when the transaction is committed */
    char xid[24];
    char pid[12]; /* of the session that it runs in */
};

struct postgres {
    struct store store;
    struct wire wire;
    /* Where a pooler stands between: what a session would be told once, in each transaction. */
    char begin_text[1024];
    struct receipt receipt;
    bool mark_wanted; /* the savepoint is set together with the next statement */
    bool mark_set;    /* the server has one */
    char *scratch;    /* parameters in binary */
    size_t scratch_max;
    Oid types[STMT_N + 1][PARAMS_MAX];
};

static struct postgres *postgres_of(struct store *s)
{
    return (struct postgres *)s;
}

/* --- opening --- */

static int session_set(struct postgres *p, int64_t deadline)
{
    const struct store_options *o = &p->store.options;
    char text[768];

    /* jit pays off for reports only. Our statements find rows by an index each; of tables that fill
     * and empty all day the planner knows too little, and would now and then read them whole. A
     * role that commits without waiting for the disk would break what we promise. */
    snprintf(text, sizeof(text),
             "SET search_path = weft; SET statement_timeout = %" PRId64
             "; SET lock_timeout = %" PRId64 ";"
             "SET idle_in_transaction_session_timeout = %d; SET jit = off; SET timezone = 'UTC';"
             "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;"
             "SELECT set_config('synchronous_commit', 'on', false) WHERE "
             "current_setting('synchronous_commit') = 'off'",
             o->statement_ms, o->lock_ms, IDLE_MS);
    return wire_script(&p->wire, text, deadline, NULL);
}

/* The same as session_set(), for one transaction, with the answer of OWN_NOW before it. */
static void begin_text(struct postgres *p)
{
    const struct store_options *o = &p->store.options;

    snprintf(p->begin_text, sizeof(p->begin_text),
             "SELECT " MICROSECONDS ","
             " set_config('search_path', 'weft', true),"
             " set_config('statement_timeout', '%" PRId64 "', true),"
             " set_config('lock_timeout', '%" PRId64 "', true),"
             " set_config('idle_in_transaction_session_timeout', '%d', true),"
             " set_config('jit', 'off', true), set_config('timezone', 'UTC', true),"
             " set_config('enable_seqscan', 'off', true),"
             " set_config('enable_hashjoin', 'off', true),"
             " set_config('enable_mergejoin', 'off', true),"
             " CASE current_setting('synchronous_commit') WHEN 'off'"
             " THEN set_config('synchronous_commit', 'on', true) END",
             o->statement_ms, o->lock_ms, IDLE_MS);
}

static int postgres_connect(struct store *s, int64_t deadline)
{
    struct postgres *p = postgres_of(s);
    int r;

    p->wire.store = s;
    while (!p->receipt.holder)
        if (getrandom(&p->receipt.holder, sizeof(p->receipt.holder), 0) < 0)
            return fault(store_say(s, -EIO, "the system gives no random numbers"));
    r = wire_dial(&p->wire, deadline);
    if (!r && s->pooled)
        begin_text(p);
    else if (!r)
        r = session_set(p, deadline);
    return r ? fault(r) : 0;
}

static int64_t result_int(const PGresult *result, int row, int column)
{
    int64_t v = 0;

    str_int64(
        (struct str){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)},
        &v);
    return v;
}

static int postgres_schema(struct store *s, struct schema *ret)
{
    struct postgres *p = postgres_of(s);
    PGresult *result;
    bool has;
    int r =
        wire_script(&p->wire,
                    "SELECT to_regclass('weft.migration') IS NOT NULL,"
                    " (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('weft'))",
                    wire_deadline(&p->wire, 1), &result);

    *ret = (struct schema){0};
    if (r)
        return fault(r);
    has = PQgetvalue(result, 0, 0)[0] == 't';
    ret->foreign = !has && result_int(result, 0, 1) > 0;
    PQclear(result);
    if (!has)
        return 0;
    r = wire_script(
        &p->wire,
        "SELECT count(*), coalesce(min(version), 0), coalesce(max(version), 0) FROM weft.migration",
        wire_deadline(&p->wire, 1), &result);
    if (r)
        return fault(r);
    ret->n = result_int(result, 0, 0);
    ret->first = result_int(result, 0, 1);
    ret->last = result_int(result, 0, 2);
    PQclear(result);
    return 0;
}

/* Another program may be at it, which is waited for as long as for a connection. */
static int postgres_migrate_begin(struct store *s)
{
    struct postgres *p = postgres_of(s);
    int64_t deadline = wire_deadline(&p->wire, 1) + s->options.connect_ms * CLOCK_MS;
    char text[256];
    int r;

    snprintf(text, sizeof(text),
             "BEGIN; SET LOCAL search_path = weft; SET LOCAL statement_timeout = 0; SET LOCAL "
             "lock_timeout = %" PRId64 ";"
             "SELECT pg_advisory_xact_lock(" MIGRATION_LOCK ")",
             s->options.connect_ms);
    r = wire_script(&p->wire, text, deadline, NULL);
    if (r == -EAGAIN)
        r = store_say(
            s, -EBUSY,
            "another program brings the schema forward, for longer than connect_ms = %" PRId64
            " ms; try "
            "again when it is done",
            s->options.connect_ms);
    return r ? fault(r) : 0;
}

/* CREATE SCHEMA asks for a right on the database even where the schema exists, made by somebody who
 * has it. */
#define FIRST_STEPS                                                                                \
    "DO $$ BEGIN IF to_regnamespace('weft') IS NULL THEN CREATE SCHEMA weft; END IF; END $$;"      \
    "CREATE TABLE weft.migration"                                                                  \
    " (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)"

static int postgres_migrate_apply(struct store *s, const struct migration *m)
{
    struct postgres *p = postgres_of(s);
    char note[256];
    int r = 0;

    if (m->version == 1)
        r = wire_script(&p->wire, FIRST_STEPS, wire_deadline(&p->wire, 1), NULL);
    if (!r) /* moving many rows may take any time */
        r = wire_script(&p->wire, m->text, INT64_MAX, NULL);
    if (r)
        return fault(r);
    snprintf(note, sizeof(note),
             "INSERT INTO weft.migration VALUES (%d, '%s', (extract(epoch FROM clock_timestamp()) "
             "* 1000000)::bigint)",
             m->version, m->name);
    r = wire_script(&p->wire, note, wire_deadline(&p->wire, 1), NULL);
    return r ? fault(r) : 0;
}

static int postgres_migrate_commit(struct store *s)
{
    struct postgres *p = postgres_of(s);
    int r = wire_script(&p->wire, "COMMIT", wire_deadline(&p->wire, 1), NULL);

    return r ? fault(r) : 0;
}

/* Closing rolls back, and keeps the sentence of what went wrong; whoever tries again connects
 * first. */
static void postgres_migrate_rollback(struct store *s)
{
    wire_close(&postgres_of(s)->wire);
}

/* A column must be of a kind that cells have, and the same kind as on SQLite. */
static bool type_of_column(Oid type)
{
    return type == TYPE_INT8 || type == TYPE_INT4 || type == TYPE_INT2 || type == TYPE_BOOL ||
           type == TYPE_TEXT || type == TYPE_VARCHAR || type == TYPE_NAME || type == TYPE_VOID;
}

static int shape_keep(struct postgres *p, int id, const PGresult *result)
{
    const struct statement *st = &statements_postgres[id];
    struct shape *shape = &p->store.shapes[id];

    shape->params = (size_t)PQnparams(result);
    shape->columns = (size_t)PQnfields(result);
    if (shape->params > PARAMS_MAX)
        return store_say(&p->store, -EBADMSG, "statement %s: it has more than %d parameters",
                         st->name, PARAMS_MAX);
    for (int i = 0; i < PQnparams(result); i++) {
        Oid type = PQparamtype(result, i);

        p->types[id][i] = type;
        if (st->many ? type != TYPE_INT8S && type != TYPE_TEXTS
                     : type != TYPE_INT8 && type != TYPE_TEXT)
            return store_say(&p->store, -EBADMSG,
                             "statement %s: parameter %d is of type %u; cast it to %s", st->name,
                             i + 1, type, st->many ? "bigint[] or text[]" : "bigint or text");
    }
    for (int i = 0; i < PQnfields(result); i++)
        if (!type_of_column(PQftype(result, i)))
            return store_say(&p->store, -EBADMSG,
                             "statement %s: column %d is of type %u; cast it to bigint or text",
                             st->name, i + 1, PQftype(result, i));
    return 0;
}

/* Prepare all in one round trip: what is to come is sent before the first answer is read. */
static int prepare_send(struct postgres *p)
{
    PGconn *c = p->wire.c;
    int ok = 1;

    for (int i = 0; i < OWN_N && ok && !p->store.pooled; i++)
        ok = PQsendPrepare(c, owns[i].name, owns[i].text, 0, NULL);
    if (p->store.pooled)
        ok = PQsendQueryParams(c, owns[OWN_BEGIN].text, 0, NULL, NULL, NULL, NULL, 0) &&
             PQsendQueryParams(c, p->begin_text, 0, NULL, NULL, NULL, NULL, 0);
    for (int i = 0; i < STMT_N && ok; i++) {
        const char *name = p->store.pooled ? "" : statements_postgres[i].name;

        ok = PQsendPrepare(c, name, statements_postgres[i].text, 0, NULL);
        ok = ok && PQsendDescribePrepared(c, name);
    }
    if (p->store.pooled)
        ok = ok && PQsendQueryParams(c, owns[OWN_ROLLBACK].text, 0, NULL, NULL, NULL, NULL, 0);
    return ok ? wire_sync(&p->wire) : fault(wire_lost(&p->wire, NULL));
}

static int take_one(struct postgres *p, const char *name, int64_t deadline, int shape_of)
{
    PGresult *result;
    int r = wire_take(&p->wire, name, deadline, &result);

    if (r)
        return r > 0 ? fault(-EBADMSG) : fault(r);
    if (shape_of >= 0)
        r = shape_keep(p, shape_of, result);
    PQclear(result);
    return r ? fault(r) : 0;
}

static int postgres_prepare(struct store *s)
{
    struct postgres *p = postgres_of(s);
    int64_t deadline = wire_deadline(&p->wire, 1);
    int r = wire_pipeline(&p->wire);

    if (!r)
        r = prepare_send(p);
    for (int i = 0; i < (s->pooled ? 2 : OWN_N) && !r; i++)
        r = take_one(p, s->pooled ? "begin" : owns[i].name, deadline, -1);
    for (int i = 0; i < STMT_N && !r; i++) {
        r = take_one(p, statements_postgres[i].name, deadline, -1);
        if (!r)
            r = take_one(p, statements_postgres[i].name, deadline, i);
    }
    if (!r && s->pooled)
        r = take_one(p, owns[OWN_ROLLBACK].name, deadline, -1);
    if (!r)
        r = wire_take_sync(&p->wire, deadline);
    if (r) {
        wire_close(&p->wire);
        return fault(r);
    }
    return 0;
}

static void postgres_close(struct store *s)
{
    struct postgres *p = postgres_of(s);

    PQfinish(p->wire.c);
    free(p->scratch);
}

/* --- transactions --- */

static int own_send(struct postgres *p, enum own own)
{
    return wire_send(&p->wire, &(struct call){.name = owns[own].name,
                                              .text = p->store.pooled ? owns[own].text : NULL});
}

/* Send a statement within the transaction, and before it what marking has put off. */
static int send_in(struct postgres *p, const struct call *call)
{
    int r = 0;

    if (p->mark_wanted && p->mark_set)
        r = own_send(p, OWN_RELEASE);
    if (!r && p->mark_wanted)
        r = own_send(p, OWN_MARK);
    p->mark_set = p->mark_set || p->mark_wanted;
    p->mark_wanted = false;
    if (!r)
        r = wire_send(&p->wire, call);
    return r ? fault(r) : 0;
}

/* Learn what became of the statements that nobody waited for. */
static int settle_sent(struct postgres *p)
{
    int r = p->wire.sent_n ? wire_answers(&p->wire, NULL) : 0;

    return r > 0 ? fault(-EBADMSG) : r ? fault(r) : 0;
}

/* Put the transaction's number into our row, or into a new one, and learn the time. */
static int receipt_send(struct postgres *p)
{
    struct receipt *receipt = &p->receipt;
    enum own own = *receipt->at ? OWN_RECEIPT : OWN_RECEIPT_NEW;
    char holder[24], n[24];
    const char *const values[] = {receipt->at, holder, n};
    int none = own == OWN_RECEIPT ? 0 : 1; /* a new row has no place yet */

    snprintf(holder, sizeof(holder), "%" PRId64, receipt->holder);
    snprintf(n, sizeof(n), "%" PRId64, receipt->n);
    return wire_send(&p->wire, &(struct call){.name = owns[own].name,
                                              .text = p->store.pooled ? owns[own].text : NULL,
                                              .n = 3 - none,
                                              .values = values + none});
}

static int begin_send(struct postgres *p, bool write)
{
    int r = own_send(p, write ? OWN_BEGIN : OWN_BEGIN_READ);

    if (!r && p->store.pooled)
        r = wire_send(&p->wire, &(struct call){.name = "begin", .text = p->begin_text});
    if (!r && write)
        r = receipt_send(p);
    else if (!r && !p->store.pooled)
        r = own_send(p, OWN_NOW);
    return r ? fault(r) : 0;
}

static void receipt_keep(struct receipt *receipt, const PGresult *result)
{
    snprintf(receipt->next, sizeof(receipt->next), "%s", PQgetvalue(result, 0, 1));
    snprintf(receipt->xid, sizeof(receipt->xid), "%s", PQgetvalue(result, 0, 2));
    snprintf(receipt->pid, sizeof(receipt->pid), "%s", PQgetvalue(result, 0, 3));
}

static int postgres_begin(struct store *s, int64_t *ret_now)
{
    struct postgres *p = postgres_of(s);
    bool write = s->options.mode == STORE_WRITE;
    PGresult *result = NULL;
    int r;

    p->mark_wanted = p->mark_set = false;
    p->receipt.n++;
    r = begin_send(p, write);
    if (!r)
        r = wire_answers(&p->wire, &result);
    /* Our row has gone: nothing was written for a day, or the table was rewritten. */
    if (!r && PQntuples(result) == 0) {
        PQclear(result);
        p->receipt.at[0] = '\0';
        r = receipt_send(p);
        if (!r)
            r = wire_answers(&p->wire, &result);
    }
    if (r) {
        wire_close(&p->wire);
        return fault(r);
    }
    *ret_now = result_int(result, 0, 0);
    if (write)
        receipt_keep(&p->receipt, result);
    PQclear(result);
    return 0;
}

static char *put32(char *at, uint32_t v)
{
    v = htobe32(v);
    memcpy(at, &v, sizeof(v));
    return at + sizeof(v);
}

static char *put64(char *at, int64_t v)
{
    uint64_t u = htobe64((uint64_t)v);

    memcpy(at, &u, sizeof(u));
    return at + sizeof(u);
}

static size_t cell_size(const struct cell *c)
{
    return c->kind == CELL_INT ? 8 : c->kind == CELL_TEXT ? c->s.n : 0;
}

static char *cell_put(char *at, const struct cell *c)
{
    if (c->kind == CELL_INT)
        return put64(at, c->i);
    if (c->kind == CELL_TEXT && c->s.n)
        memcpy(at, c->s.p, c->s.n);
    return at + cell_size(c);
}

#define ARRAY_HEAD 20 /* dimensions, whether nulls occur, type, length, first index */

/* One parameter of all sets as an array in Postgres's binary form (array_send). */
static char *array_put(char *at, const struct cell *first, size_t step, size_t sets, Oid element)
{
    bool nulls = false;

    for (size_t i = 0; i < sets && !nulls; i++)
        nulls = first[i * step].kind == CELL_NULL;
    at = put32(at, 1);
    at = put32(at, nulls);
    at = put32(at, element);
    at = put32(at, (uint32_t)sets);
    at = put32(at, 1);
    for (size_t i = 0; i < sets; i++) {
        const struct cell *c = &first[i * step];

        at = put32(at, c->kind == CELL_NULL ? UINT32_MAX : (uint32_t)cell_size(c));
        at = cell_put(at, c);
    }
    return at;
}

/* Parameters must be of the kind that the statement says; SQLite would find a mistake only in the
 * column's type. */
static int kinds_check(struct postgres *p, enum statement_id id, const struct cell *params,
                       size_t sets, size_t *ret_size)
{
    size_t n = p->store.shapes[id].params;

    *ret_size = n * ARRAY_HEAD;
    for (size_t i = 0; i < sets * n; i++) {
        Oid type = p->types[id][i % n];
        bool text = type == TYPE_TEXT || type == TYPE_TEXTS;

        if (params[i].kind == (text ? CELL_INT : CELL_TEXT))
            return store_say(&p->store, -EBADMSG, "statement %s: parameter %zu must be %s",
                             statements_postgres[id].name, i % n + 1, text ? "a text" : "a number");
        *ret_size += 4 + cell_size(&params[i]);
    }
    /* Postgres takes no message of more than 1 GiB. */
    if (*ret_size > INT32_MAX / 2)
        return store_say(&p->store, -EBADMSG, "statement %s: its parameters are too large",
                         statements_postgres[id].name);
    return 0;
}

static void rows_keep(struct postgres *p, const PGresult *result, struct arena *a)
{
    int rows = PQntuples(result), columns = PQnfields(result);

    for (int row = 0; row < rows; row++) {
        for (int i = 0; i < columns; i++) {
            struct str text = {PQgetvalue(result, row, i), (size_t)PQgetlength(result, row, i)};
            Oid type = PQftype(result, i);

            if (PQgetisnull(result, row, i))
                store_cell(&p->store, a, NIL);
            else if (type == TYPE_INT8 || type == TYPE_INT4 || type == TYPE_INT2)
                store_cell(&p->store, a, INT(result_int(result, row, i)));
            else if (type == TYPE_BOOL)
                store_cell(&p->store, a, INT(text.p[0] == 't'));
            else
                store_cell(&p->store, a, TEXT(text));
        }
    }
}

/* Rows written; of a SELECT none. */
static int64_t rows_changed(PGresult *result)
{
    int64_t n = 0;

    if (!str_starts(str_of(PQcmdStatus(result)), STR("SELECT")))
        str_int64(str_of(PQcmdTuples(result)), &n);
    return n;
}

/* Send a statement with its parameters. */
static int send_run(struct postgres *p, enum statement_id id, const struct cell *params,
                    size_t sets)
{
    const struct statement *st = &statements_postgres[id];
    size_t n = p->store.shapes[id].params, size;
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX], formats[PARAMS_MAX];
    char *at;
    int r = kinds_check(p, id, params, sets, &size);

    if (!r && p->wire.sent_n + 4 > WIRE_SENT_MAX)
        r = settle_sent(p);
    if (r)
        return fault(r);
    if (size > p->scratch_max) {
        p->scratch_max = size * 2;
        p->scratch = memory_grow(p->scratch, p->scratch_max);
    }
    at = p->scratch;
    for (size_t i = 0; i < n; i++) {
        char *begin = at;

        if (st->many)
            at = array_put(at, params + i, n, sets,
                           p->types[id][i] == TYPE_TEXTS ? TYPE_TEXT : TYPE_INT8);
        else
            at = cell_put(at, &params[i]);
        values[i] = !st->many && params[i].kind == CELL_NULL ? NULL : begin;
        lengths[i] = (int)(at - begin);
        formats[i] = 1;
    }
    r = send_in(p, &(struct call){.name = st->name,
                                  .text = p->store.pooled ? st->text : NULL,
                                  .types = p->types[id],
                                  .n = (int)n,
                                  .values = values,
                                  .lengths = lengths,
                                  .formats = formats});
    return r ? fault(r) : 0;
}

static int postgres_run(struct store *s, enum statement_id id, const struct cell *params,
                        size_t sets, struct arena *a, struct rows *ret)
{
    struct postgres *p = postgres_of(s);
    PGresult *result;
    int r = send_run(p, id, params, sets);

    if (!r)
        r = wire_answers(&p->wire, &result);
    if (r)
        return r > 0 ? r : fault(r);
    if (a)
        rows_keep(p, result, a);
    ret->changed = rows_changed(result);
    PQclear(result);
    return 0;
}

static int postgres_put(struct store *s, enum statement_id id, const struct cell *params,
                        size_t sets)
{
    int r = send_run(postgres_of(s), id, params, sets);

    return r ? fault(r) : 0;
}

/* The increment of the sequence: each of its numbers stands for so many. */
#define IDS_RUN 128

static int send_ids(struct postgres *p, size_t n)
{
    char count[8];
    const char *values[] = {count};
    const int lengths[] = {8}, formats[] = {1};
    int r;

    put64(count, (int64_t)((n + IDS_RUN - 1) / IDS_RUN));
    r = send_in(p, &(struct call){.name = owns[OWN_IDS].name,
                                  .text = p->store.pooled ? owns[OWN_IDS].text : NULL,
                                  .n = 1,
                                  .values = values,
                                  .lengths = lengths,
                                  .formats = formats});
    return r ? fault(r) : 0;
}

static void ids_keep(const PGresult *result, size_t n, int64_t *ret_ids)
{
    assert((size_t)PQntuples(result) == (n + IDS_RUN - 1) / IDS_RUN);
    for (size_t i = 0; i < n; i++)
        ret_ids[i] = result_int(result, (int)(i / IDS_RUN), 0) + (int64_t)(i % IDS_RUN);
}

static int postgres_ids(struct store *s, size_t n, int64_t *ret_ids)
{
    struct postgres *p = postgres_of(s);
    PGresult *result;
    int r = send_ids(p, n);

    if (!r)
        r = wire_answers(&p->wire, &result);
    if (r)
        return fault(r);
    ids_keep(result, n, ret_ids);
    PQclear(result);
    return 0;
}

static int postgres_ask(struct store *s, const struct store_ask *asks, size_t n, struct arena *a)
{
    struct postgres *p = postgres_of(s);
    PGresult *results[STORE_ASK_MAX];
    int r = 0;

    /* None of their answers may be taken on the way, for want of room. */
    if (p->wire.sent_n + n + 8 > WIRE_SENT_MAX)
        r = settle_sent(p);
    for (size_t i = 0; !r && i < n; i++)
        r = asks[i].ret_ids ? send_ids(p, asks[i].sets)
                            : send_run(p, asks[i].id, asks[i].params, asks[i].sets);
    if (!r)
        r = wire_answers_many(&p->wire, results, n);
    if (r)
        return r > 0 ? r : fault(r);
    for (size_t i = 0; i < n; i++) {
        if (asks[i].ret_ids) {
            ids_keep(results[i], asks[i].sets, asks[i].ret_ids);
        } else {
            if (asks[i].ret)
                rows_keep(p, results[i], a);
            store_keep(s, &asks[i], a, rows_changed(results[i]));
        }
        PQclear(results[i]);
    }
    return 0;
}

/* What was written before must have succeeded: else a failure of it would be found after the mark,
 * and undoing would go back to the mark before, over what others have done since. */
static int postgres_mark(struct store *s)
{
    struct postgres *p = postgres_of(s);
    int r = settle_sent(p);

    if (r)
        return fault(r);
    p->mark_wanted = true;
    return 0;
}

static int postgres_undo(struct store *s)
{
    struct postgres *p = postgres_of(s);
    int r;

    if (p->mark_wanted) /* nothing has been sent since then */
        return 0;
    r = settle_sent(p);
    if (r == -EAGAIN || r == -ECONNRESET) /* all else is undone */
        return fault(r);
    r = own_send(p, OWN_UNDO);
    if (!r)
        r = wire_answers(&p->wire, NULL);
    return r ? fault(r) : 0;
}

static void postgres_rollback(struct store *s)
{
    struct postgres *p = postgres_of(s);
    struct buf kept = s->error;

    /* The sentence of why it is rolled back stays. A connection that is lost here takes the
     * transaction with it. */
    buf_init(&s->error, kept.max);
    if (p->wire.c)
        settle_sent(p);
    if (p->wire.c && !own_send(p, OWN_ROLLBACK))
        wire_answers(&p->wire, NULL);
    buf_deinit(&s->error);
    s->error = kept;
}

static void receipt_moved(struct receipt *receipt)
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
static int postgres_settle(struct store *s)
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
        receipt_moved(&p->receipt);
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

static int postgres_commit(struct store *s)
{
    struct postgres *p = postgres_of(s);
    PGresult *result;
    bool committed;
    int r = own_send(p, OWN_COMMIT);

    if (!r)
        r = wire_answers(&p->wire, &result);
    if (!r) {
        committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
        PQclear(result);
        if (!committed)
            r = store_say(s, -EBADMSG,
                          "a statement had failed, so that the server rolled back instead");
        else if (s->options.mode == STORE_WRITE)
            receipt_moved(&p->receipt);
    } else if (r != -ECONNRESET) {
        postgres_rollback(s);
    } else if (s->options.mode == STORE_READ) {
        r = 0; /* all that was asked for has been answered */
    } else {
        r = postgres_settle(s);
    }
    return r ? fault(r) : 0;
}

const struct backend postgres_backend = {
    .kind = STORE_POSTGRES,
    .size = sizeof(struct postgres),
    .statements = statements_postgres,
    .migrations = migrations_postgres,
    .migrations_n = &migrations_postgres_n,
    .connect = postgres_connect,
    .schema = postgres_schema,
    .migrate_begin = postgres_migrate_begin,
    .migrate_apply = postgres_migrate_apply,
    .migrate_commit = postgres_migrate_commit,
    .migrate_rollback = postgres_migrate_rollback,
    .prepare = postgres_prepare,
    .begin = postgres_begin,
    .run = postgres_run,
    .put = postgres_put,
    .ask = postgres_ask,
    .mark = postgres_mark,
    .undo = postgres_undo,
    .commit = postgres_commit,
    .settle = postgres_settle,
    .rollback = postgres_rollback,
    .ids = postgres_ids,
    .close = postgres_close,
};
