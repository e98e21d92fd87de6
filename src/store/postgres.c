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

#include "base/clock.h"
#include "base/fault.h"
#include "base/memory.h"
#include "store/postgres.h"

#define OWN_TEXT(name, text) [OWN_##name] = {"weft " #name, (text)},
const struct postgres_own postgres_owns[] = {OWN_STATEMENTS(OWN_TEXT)};

int64_t postgres_int(const PGresult *result, int row, int column)
{
    int64_t v = 0;

    str_int64(
        (struct str){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)},
        &v);
    return v;
}

static void postgres_close(struct store *s)
{
    struct postgres *p = postgres_of(s);

    PQfinish(p->wire.c);
    free(p->scratch);
}

/* --- transactions --- */

int postgres_own_send(struct postgres *p, enum own own)
{
    return wire_send(&p->wire,
                     &(struct call){.name = postgres_owns[own].name,
                                    .text = p->store.pooled ? postgres_owns[own].text : NULL});
}

/* Send a statement within the transaction, and before it what marking has put off. */
static int send_in(struct postgres *p, const struct call *call)
{
    int r = 0;

    if (p->mark_wanted && p->mark_set)
        r = postgres_own_send(p, OWN_RELEASE);
    if (!r && p->mark_wanted)
        r = postgres_own_send(p, OWN_MARK);
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

static int begin_send(struct postgres *p, bool write)
{
    int r = postgres_own_send(p, write ? OWN_BEGIN : OWN_BEGIN_READ);

    if (!r && p->store.pooled)
        r = wire_send(&p->wire, &(struct call){.name = "begin", .text = p->begin_text});
    if (!r && write)
        r = postgres_receipt_hold(p);
    else if (!r && !p->store.pooled)
        r = postgres_own_send(p, OWN_NOW);
    return r ? fault(r) : 0;
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
    if (r) {
        wire_close(&p->wire);
        return fault(r);
    }
    *ret_now = postgres_int(result, 0, 0);
    if (write)
        postgres_receipt_held(p, result);
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
                store_cell(&p->store, a, INT(postgres_int(result, row, i)));
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

/* The mark that it may release and set, itself, and the receipt and COMMIT behind it. */
#define SENT_SPARE 5

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

    if (!r && p->wire.sent_n + SENT_SPARE > WIRE_SENT_MAX)
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
    r = send_in(p, &(struct call){.name = postgres_owns[OWN_IDS].name,
                                  .text = p->store.pooled ? postgres_owns[OWN_IDS].text : NULL,
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
        ret_ids[i] = postgres_int(result, (int)(i / IDS_RUN), 0) + (int64_t)(i % IDS_RUN);
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
    r = postgres_own_send(p, OWN_UNDO);
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
    if (p->wire.c && !postgres_own_send(p, OWN_ROLLBACK))
        wire_answers(&p->wire, NULL);
    buf_deinit(&s->error);
    s->error = kept;
}

/* The receipt and COMMIT go in one round trip. After a statement that failed the server runs
 * neither, so that there is no commit without its receipt, and no receipt without its commit. */
static int commit_send(struct postgres *p, PGresult *ret[static 2], size_t *ret_n)
{
    int r = 0;

    *ret_n = p->store.options.mode == STORE_WRITE ? 2 : 1;
    if (*ret_n == 2)
        r = postgres_receipt_send(p);
    if (!r)
        r = postgres_own_send(p, OWN_COMMIT);
    if (!r)
        r = wire_answers_many(&p->wire, ret, *ret_n);
    return r ? fault(r) : 0;
}

static int postgres_commit(struct store *s)
{
    struct postgres *p = postgres_of(s);
    PGresult *results[2] = {NULL};
    size_t n;
    int r = commit_send(p, results, &n);

    if (!r) {
        if (strcmp(PQcmdStatus(results[n - 1]), "COMMIT") != 0)
            r = store_say(s, -EBADMSG,
                          "a statement had failed, so that the server rolled back instead");
        else if (n == 2)
            postgres_receipt_keep(p, results[0]);
        while (n > 0)
            PQclear(results[--n]);
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
