/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting, bringing the schema forward, and preparing every statement in one round trip. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/fault.h"
#include "store/postgres.h"

/* A program that sleeps in a transaction holds locks, and keeps the tables from being cleaned. */
#define IDLE_MS 60000
/* "weft" and the number of the purpose: one program migrates at a time. The next number is that of
 * run_next_lock.sql. */
#define MIGRATION_LOCK "8602267437906755585"

static int session_set(struct postgres *p, int64_t deadline)
{
    const struct store_options *o = &p->store.options;
    char text[896];

    /* jit pays off for reports only. Our statements find rows by an index each; of tables that fill
     * and empty all day the planner knows too little, and would now and then read them whole. A
     * writer's plans serve for any values: seeing an array of one, the server would plan each
     * statement anew each time, which takes longer than to run it. Lists that a reader is asked for
     * leave parts of their conditions open, so that their values do tell. A role that commits
     * without waiting for the disk would break what we promise. */
    snprintf(text, sizeof(text),
             "SET search_path = weft; SET statement_timeout = %" PRId64
             "; SET lock_timeout = %" PRId64 ";"
             "SET idle_in_transaction_session_timeout = %d; SET jit = off; SET timezone = 'UTC';"
             "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;"
             "SET plan_cache_mode = %s;"
             "SELECT set_config('synchronous_commit', 'on', false) WHERE "
             "current_setting('synchronous_commit') = 'off'",
             o->statement_ms, o->lock_ms, IDLE_MS,
             o->mode == STORE_WRITE ? "force_generic_plan" : "auto");
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

int postgres_connect(struct store *s, int64_t deadline)
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

int postgres_schema(struct store *s, struct schema *ret)
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
    ret->foreign = !has && postgres_int(result, 0, 1) > 0;
    PQclear(result);
    if (!has)
        return 0;
    r = wire_script(
        &p->wire,
        "SELECT count(*), coalesce(min(version), 0), coalesce(max(version), 0) FROM weft.migration",
        wire_deadline(&p->wire, 1), &result);
    if (r)
        return fault(r);
    ret->n = postgres_int(result, 0, 0);
    ret->first = postgres_int(result, 0, 1);
    ret->last = postgres_int(result, 0, 2);
    PQclear(result);
    return 0;
}

/* Another program may be at it, which is waited for as long as for a connection. */
int postgres_migrate_begin(struct store *s)
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

int postgres_migrate_apply(struct store *s, const struct migration *m)
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

int postgres_migrate_commit(struct store *s)
{
    struct postgres *p = postgres_of(s);
    int r = wire_script(&p->wire, "COMMIT", wire_deadline(&p->wire, 1), NULL);

    return r ? fault(r) : 0;
}

/* Closing rolls back, and keeps the sentence of what went wrong; whoever tries again connects
 * first. */
void postgres_migrate_rollback(struct store *s)
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
        ok = PQsendPrepare(c, postgres_owns[i].name, postgres_owns[i].text, 0, NULL);
    if (p->store.pooled)
        ok = PQsendQueryParams(c, postgres_owns[OWN_BEGIN].text, 0, NULL, NULL, NULL, NULL, 0) &&
             PQsendQueryParams(c, p->begin_text, 0, NULL, NULL, NULL, NULL, 0);
    for (int i = 0; i < STMT_N && ok; i++) {
        const char *name = p->store.pooled ? "" : statements_postgres[i].name;

        ok = PQsendPrepare(c, name, statements_postgres[i].text, 0, NULL);
        ok = ok && PQsendDescribePrepared(c, name);
    }
    if (p->store.pooled)
        ok = ok &&
             PQsendQueryParams(c, postgres_owns[OWN_ROLLBACK].text, 0, NULL, NULL, NULL, NULL, 0);
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

int postgres_prepare(struct store *s)
{
    struct postgres *p = postgres_of(s);
    int64_t deadline = wire_deadline(&p->wire, 1);
    int r = wire_pipeline(&p->wire);

    if (!r)
        r = prepare_send(p);
    for (int i = 0; i < (s->pooled ? 2 : OWN_N) && !r; i++)
        r = take_one(p, s->pooled ? "begin" : postgres_owns[i].name, deadline, -1);
    for (int i = 0; i < STMT_N && !r; i++) {
        r = take_one(p, statements_postgres[i].name, deadline, -1);
        if (!r)
            r = take_one(p, statements_postgres[i].name, deadline, i);
    }
    if (!r && s->pooled)
        r = take_one(p, postgres_owns[OWN_ROLLBACK].name, deadline, -1);
    if (!r)
        r = wire_take_sync(&p->wire, deadline);
    if (r) {
        wire_close(&p->wire);
        return fault(r);
    }
    return 0;
}
