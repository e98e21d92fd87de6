/* SPDX-License-Identifier: Apache-2.0 */
#include <sqlite3.h>

#include "bare.h"
#include "base/clock.h"
#include "base/memory.h"
#include "measure.h"

/* As the store sets them. */
#define SETTINGS                                                                                   \
    "PRAGMA synchronous = FULL; PRAGMA secure_delete = OFF; PRAGMA temp_store = MEMORY;"           \
    "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384;"                            \
    "PRAGMA wal_autocheckpoint = 4096"

#define STATEMENTS(X)                                                                              \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(COUNTER, "UPDATE counter SET value = CASE name WHEN 'id' THEN ?1 ELSE ?2 END"                \
               " WHERE name IN ('id', 'now')")                                                     \
    X(ENQUEUE, "INSERT INTO task (id, run, queue, name, state, reason, ready_at, created_at,"      \
               " payload) VALUES (?1, 0, 'bench', '', 'READY', 'waiting_for_worker', ?2, ?2, ?3)") \
    X(CLAIM, "UPDATE task SET state = 'RUNNING', reason = 'held_by_worker', attempts = 1,"         \
             " token = id, worker = 1, leased_at = ?2, started_at = ?2 WHERE id IN"                \
             " (SELECT id FROM task WHERE run = 0 AND queue = 'bench' AND state = 'READY'"         \
             "   ORDER BY priority DESC, id LIMIT ?1) RETURNING id, payload")                      \
    X(ATTEMPT, "INSERT INTO attempt (token, task, run, queue, number, worker, outcome, exit_code," \
               " leased_at, started_at, ended_at, queue_wait_us, run_us, digest)"                  \
               " VALUES (?1, ?1, 0, 'bench', 1, 1, 'succeeded', 0, ?2, ?2, ?2, 1000, 1,"           \
               " '0123456789abcdef')")                                                             \
    X(DROP, "DELETE FROM task WHERE id = ?1")                                                      \
    X(TALLY, "INSERT INTO tally (run, queue, state, n) VALUES (0, 'bench', ?1, ?2)"                \
             " ON CONFLICT (run, queue, state) DO UPDATE SET n = n + excluded.n")
#define STATEMENT_ENUM(name, text) name,
#define STATEMENT_TEXT(name, text) [name] = (text),
enum statement { STATEMENTS(STATEMENT_ENUM) STATEMENT_N };
static const char *const texts[] = {STATEMENTS(STATEMENT_TEXT)};

struct sqlite {
    sqlite3 *db;
    sqlite3_stmt *st[STATEMENT_N];
    int64_t newest;
};

static void check(struct sqlite *s, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        measure_die("sqlite: %s", sqlite3_errmsg(s->db));
}

static void run(struct sqlite *s, enum statement which)
{
    check(s, sqlite3_step(s->st[which]));
    sqlite3_reset(s->st[which]);
}

static void tally(struct sqlite *s, const char *state, int64_t n)
{
    sqlite3_bind_text(s->st[TALLY], 1, state, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s->st[TALLY], 2, n);
    run(s, TALLY);
}

static void commit(struct sqlite *s, int64_t now)
{
    sqlite3_bind_int64(s->st[COUNTER], 1, s->newest);
    sqlite3_bind_int64(s->st[COUNTER], 2, now);
    run(s, COUNTER);
    run(s, COMMIT);
}

static void *bare_open(const char *url)
{
    struct sqlite *s = memory_new(sizeof(*s));

    check(s, sqlite3_open(url + sizeof("sqlite:") - 1, &s->db));
    check(s, sqlite3_exec(s->db, SETTINGS, NULL, NULL, NULL));
    for (int i = 0; i < STATEMENT_N; i++)
        check(s,
              sqlite3_prepare_v3(s->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &s->st[i], NULL));
    return s;
}

static void bare_enqueue(void *store, int64_t first, size_t n)
{
    struct sqlite *s = store;
    int64_t now = clock_utc();

    run(s, BEGIN);
    for (size_t i = 0; i < n; i++) {
        sqlite3_bind_int64(s->st[ENQUEUE], 1, first + (int64_t)i);
        sqlite3_bind_int64(s->st[ENQUEUE], 2, now);
        sqlite3_bind_text(s->st[ENQUEUE], 3, MEASURE_PAYLOAD, sizeof(MEASURE_PAYLOAD) - 1,
                          SQLITE_STATIC);
        run(s, ENQUEUE);
    }
    tally(s, "READY", (int64_t)n);
    s->newest = first + (int64_t)n;
    commit(s, now);
}

static size_t bare_claim(void *store, size_t n, int64_t *ret_ids)
{
    struct sqlite *s = store;
    int64_t now = clock_utc();
    size_t got = 0;
    int code;

    run(s, BEGIN);
    sqlite3_bind_int64(s->st[CLAIM], 1, (int64_t)n);
    sqlite3_bind_int64(s->st[CLAIM], 2, now);
    while ((code = sqlite3_step(s->st[CLAIM])) == SQLITE_ROW) {
        ret_ids[got++] = sqlite3_column_int64(s->st[CLAIM], 0);
        if (!sqlite3_column_text(s->st[CLAIM], 1))
            measure_die("a task has no payload");
    }
    check(s, code);
    sqlite3_reset(s->st[CLAIM]);
    tally(s, "READY", -(int64_t)got);
    tally(s, "RUNNING", (int64_t)got);
    commit(s, now);
    return got;
}

static void bare_complete(void *store, const int64_t *ids, size_t n)
{
    struct sqlite *s = store;
    int64_t now = clock_utc();

    run(s, BEGIN);
    for (size_t i = 0; i < n; i++) {
        sqlite3_bind_int64(s->st[ATTEMPT], 1, ids[i]);
        sqlite3_bind_int64(s->st[ATTEMPT], 2, now);
        run(s, ATTEMPT);
    }
    for (size_t i = 0; i < n; i++) {
        sqlite3_bind_int64(s->st[DROP], 1, ids[i]);
        run(s, DROP);
    }
    tally(s, "RUNNING", -(int64_t)n);
    tally(s, "SUCCEEDED", (int64_t)n);
    commit(s, now);
}

static void bare_close(void *store)
{
    struct sqlite *s = store;

    for (int i = 0; i < STATEMENT_N; i++)
        sqlite3_finalize(s->st[i]);
    sqlite3_close(s->db);
    memory_freep(&s);
}

const struct bare bare_sqlite = {bare_open, bare_enqueue, bare_claim, bare_complete, bare_close};
