/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "bare.h"
#include "base/clock.h"
#include "base/memory.h"
#include "measure.h"

/* A transaction is one round trip: all of its statements are sent before the first answer is read.
 * $1 ids, $2 now, $3 payloads. */
#define STATEMENTS(X)                                                                              \
    X(BEGIN, "BEGIN")                                                                              \
    X(COMMIT, "COMMIT")                                                                            \
    X(ENQUEUE, "INSERT INTO task (id, run, queue, name, state, reason, ready_at, created_at,"      \
               " payload) SELECT i, 0, 'bench', '', 'READY', 'waiting_for_worker', $2::bigint,"    \
               " $2::bigint, p FROM unnest($1::bigint[], $3::text[]) AS u (i, p)")                 \
    X(CLAIM, "UPDATE task SET state = 'RUNNING', reason = 'held_by_worker', attempts = 1,"         \
             " token = id, worker = 1, leased_at = $2::bigint, started_at = $2::bigint WHERE id"   \
             " = ANY (ARRAY (SELECT id FROM task WHERE run = 0 AND queue = 'bench'"                \
             "   AND state = 'READY' ORDER BY priority DESC, id LIMIT $1::bigint"                  \
             "   FOR UPDATE SKIP LOCKED)) RETURNING id, payload")                                  \
    X(COMPLETE, "WITH gone AS (DELETE FROM task WHERE id = ANY ($1::bigint[]) RETURNING id)"       \
                " INSERT INTO attempt (token, task, run, queue, number, worker, outcome,"          \
                " exit_code, leased_at, started_at, ended_at, queue_wait_us, run_us, digest)"      \
                " SELECT id, id, 0, 'bench', 1, 1, 'succeeded', 0, $2::bigint, $2::bigint,"        \
                " $2::bigint, 1000, 1, '0123456789abcdef' FROM gone")                              \
    X(TALLY, "INSERT INTO tally (run, queue, state, n) SELECT 0, 'bench', s, n"                    \
             " FROM unnest($1::text[], $2::bigint[]) AS u (s, n)"                                  \
             " ON CONFLICT (run, queue, state, shard) DO UPDATE SET n = tally.n + excluded.n")
#define STATEMENT_ENUM(name, text) name,
#define STATEMENT_ROW(name, text)  [name] = {#name, (text)},
enum statement { STATEMENTS(STATEMENT_ENUM) STATEMENT_N };
static const struct {
    const char *name, *text;
} statements[] = {STATEMENTS(STATEMENT_ROW)};

#define TYPE_INT8   20
#define TYPE_TEXT   25
#define PARAMS_MAX  3
#define ARRAY_HEAD  20 /* dimensions, nulls, type, length, first index */
#define RESULTS_MAX 4

struct postgres {
    PGconn *c;
    char *params[PARAMS_MAX];
    size_t sizes[PARAMS_MAX];
};

static char *put(char *at, const void *bytes, size_t n)
{
    return (char *)memcpy(at, bytes, n) + n;
}

static char *put32(char *at, size_t v)
{
    uint32_t big = htobe32((uint32_t)v);

    return put(at, &big, sizeof(big));
}

static char *put64(char *at, int64_t v)
{
    uint64_t big = htobe64((uint64_t)v);

    return put(at, &big, sizeof(big));
}

static int64_t get64(const char *at)
{
    uint64_t big;

    memcpy(&big, at, sizeof(big));
    return (int64_t)be64toh(big);
}

static char *room(struct postgres *p, int param, size_t size)
{
    p->params[param] = memory_grow(p->params[param], size);
    return p->params[param];
}

static char *array_head(char *at, size_t type, size_t n)
{
    at = put32(put32(put32(at, 1), 0), type);
    return put32(put32(at, n), 1);
}

static void set_number(struct postgres *p, int param, int64_t v)
{
    p->sizes[param] = (size_t)(put64(room(p, param, 8), v) - p->params[param]);
}

static void set_numbers(struct postgres *p, int param, const int64_t *list, size_t n)
{
    char *at = array_head(room(p, param, ARRAY_HEAD + 12 * n), TYPE_INT8, n);

    for (size_t i = 0; i < n; i++)
        at = put64(put32(at, 8), list[i]);
    p->sizes[param] = (size_t)(at - p->params[param]);
}

static void set_texts(struct postgres *p, int param, const char *const *list, size_t n)
{
    size_t size = ARRAY_HEAD;
    char *at;

    for (size_t i = 0; i < n; i++)
        size += 4 + strlen(list[i]);
    at = array_head(room(p, param, size), TYPE_TEXT, n);
    for (size_t i = 0; i < n; i++)
        at = put(put32(at, strlen(list[i])), list[i], strlen(list[i]));
    p->sizes[param] = (size_t)(at - p->params[param]);
}

static _Noreturn void die(struct postgres *p)
{
    measure_die("postgres: %s", PQerrorMessage(p->c));
}

static void send(struct postgres *p, enum statement which, int n)
{
    const int formats[PARAMS_MAX] = {1, 1, 1};
    int sizes[PARAMS_MAX] = {0};

    for (int i = 0; i < n; i++)
        sizes[i] = (int)p->sizes[i];
    if (!PQsendQueryPrepared(p->c, statements[which].name, n, (const char *const *)p->params, sizes,
                             formats, 1))
        die(p);
}

/* BEGIN, the statement, the tally of two states, COMMIT; the statement's rows. */
static PGresult *transact(struct postgres *p, enum statement which, int n,
                          const char *const states[2], const int64_t counts[2], size_t tallies)
{
    PGresult *rows = NULL, *result;

    send(p, BEGIN, 0);
    send(p, which, n);
    set_texts(p, 0, states, tallies);
    set_numbers(p, 1, counts, tallies);
    send(p, TALLY, 2);
    send(p, COMMIT, 0);
    if (!PQpipelineSync(p->c))
        die(p);
    for (int i = 0; i < RESULTS_MAX; i++) {
        result = PQgetResult(p->c);
        if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
            die(p);
        if (i == 1)
            rows = result;
        else
            PQclear(result);
        PQclear(PQgetResult(p->c)); /* the end of the statement */
    }
    PQclear(PQgetResult(p->c)); /* the end of the pipeline */
    return rows;
}

static void *bare_open(const char *url)
{
    struct postgres *p = memory_new(sizeof(*p));

    p->c = PQconnectdb(url);
    if (PQstatus(p->c) != CONNECTION_OK)
        die(p);
    PQclear(PQexec(p->c, "SET search_path = weft"));
    for (int i = 0; i < STATEMENT_N; i++) {
        PGresult *r = PQprepare(p->c, statements[i].name, statements[i].text, 0, NULL);

        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            die(p);
        PQclear(r);
    }
    if (!PQenterPipelineMode(p->c))
        die(p);
    return p;
}

static void bare_enqueue(void *store, int64_t first, size_t n)
{
    struct postgres *p = store;
    int64_t *ids = memory_new(n * sizeof(*ids)), counts[2] = {(int64_t)n};
    const char **payloads = memory_new(n * sizeof(*payloads));

    for (size_t i = 0; i < n; i++) {
        ids[i] = first + (int64_t)i;
        payloads[i] = MEASURE_PAYLOAD;
    }
    set_numbers(p, 0, ids, n);
    set_number(p, 1, clock_utc());
    set_texts(p, 2, payloads, n);
    PQclear(transact(p, ENQUEUE, 3, (const char *[2]){"READY"}, counts, 1));
    free(ids);
    free(payloads);
}

static size_t bare_claim(void *store, size_t n, int64_t *ret_ids)
{
    struct postgres *p = store;
    PGresult *rows;
    size_t got;

    set_number(p, 0, (int64_t)n);
    set_number(p, 1, clock_utc());
    rows = transact(p, CLAIM, 2, (const char *[2]){"READY", "RUNNING"},
                    (int64_t[2]){-(int64_t)n, (int64_t)n}, 2);
    got = (size_t)PQntuples(rows);
    for (size_t i = 0; i < got; i++)
        ret_ids[i] = get64(PQgetvalue(rows, (int)i, 0));
    PQclear(rows);
    return got;
}

static void bare_complete(void *store, const int64_t *ids, size_t n)
{
    struct postgres *p = store;

    set_numbers(p, 0, ids, n);
    set_number(p, 1, clock_utc());
    PQclear(transact(p, COMPLETE, 2, (const char *[2]){"RUNNING", "SUCCEEDED"},
                     (int64_t[2]){-(int64_t)n, (int64_t)n}, 2));
}

static void bare_close(void *store)
{
    struct postgres *p = store;

    PQfinish(p->c);
    for (int i = 0; i < PARAMS_MAX; i++)
        free(p->params[i]);
    free(p);
}

const struct bare bare_postgres = {bare_open, bare_enqueue, bare_claim, bare_complete, bare_close};
