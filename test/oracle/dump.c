/* SPDX-License-Identifier: Apache-2.0 */
#include "dump.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdlib.h>

/* The same text for both stores. Events are numbered as they come; their own numbers have gaps
 * where something was rolled back. */
static const char *const queries[] = {
    "SELECT 'worker #' || incarnation || ' ' || name || '|' || kind || '|' || host || '|' || boot"
    " || '|' || pid || '|' || pid_start || '|' || site || ' slots ' || slots || ' run @' || run"
    " || ' ' || state || ' ' || reason || ' ttl ' || ttl_us || ' beat ' || beat_at || ' joined '"
    " || joined_at || ' ended ' || ended_at FROM worker",

    "SELECT 'queue ' || name || ' paused ' || paused || ' max ' || tasks_max || ' created '"
    " || created_at FROM queue",

    "SELECT 'workflow ' || name || ' ' || version || ' ' || kind || ' ' || format || ' ' || path"
    " || ' tasks ' || tasks || ' created ' || created_at || ' ' || source FROM workflow",

    "SELECT 'run @' || id || ' ' || workflow || ' ' || version || ' ' || state || ' ' || reason"
    " || ' (' || detail || ') params ' || params || ' dir ' || dir || ' parallel ' || max_parallel"
    " || ' tasks ' || tasks || ' open ' || open || ' held ' || held || ' failed ' || failed"
    " || ' created ' || created_at || ' ended ' || ended_at FROM run",

    "SELECT 'task #' || id || ' run @' || run || ' ' || queue || '|' || name || ' ' || state || ' '"
    " || reason || ' (' || detail || ') priority ' || priority || ' attempts ' || attempts"
    " || ' budget ' || budget_from || ' retry ' || retry || ' due ' || due_at || ' cancel '"
    " || cancel || ' groups ' || groups_open || ' token #' || token || ' worker #' || worker"
    " || ' timeout ' || timeout_us || ' ready '"
    " || CASE WHEN state IN ('READY', 'LEASED', 'RUNNING') THEN ready_at ELSE 0 END || ' leased '"
    " || CASE WHEN state IN ('LEASED', 'RUNNING') THEN leased_at ELSE 0 END || ' started '"
    " || CASE WHEN state IN ('LEASED', 'RUNNING') THEN started_at ELSE 0 END || ' deadline '"
    " || CASE WHEN state IN ('LEASED', 'RUNNING') THEN deadline_at ELSE 0 END || ' last #'"
    " || last_token || ' created ' || created_at || ' ended ' || ended_at || ' ' || payload"
    " FROM task",

    "SELECT 'group #' || id || ' run @' || run || ' task #' || task || ' ' || rule || ' need '"
    " || need || ' total ' || total || ' done ' || done || ' succeeded ' || succeeded || ' '"
    " || verdict FROM dep_group",

    "SELECT 'edge #' || task || ' #' || grp FROM dep_edge",

    "SELECT 'attempt #' || token || ' task #' || task || ' run @' || run || ' ' || queue || ' '"
    " || number || ' worker #' || worker || ' ' || outcome || ' ' || reason || ' (' || message"
    " || ') exit ' || coalesce(exit_code, -1) || ' signal ' || coalesce(signal, 0) || ' leased '"
    " || leased_at || ' started ' || started_at || ' ended ' || ended_at || ' waited '"
    " || queue_wait_us || ' ran ' || run_us || ' cpu ' || cpu_us || ' rss ' || max_rss_bytes"
    " || ' (' || stderr_tail || ') told ' || CASE digest WHEN '' THEN 0 ELSE 1 END || ' '"
    " || coalesce(result, '-') FROM attempt",

    "SELECT 'event ' || at || ' run @' || run || ' task #' || task || ' ' || kind || ' ' || data"
    " FROM event ORDER BY seq",

    "SELECT 'tally @' || run || ' ' || queue || '|' || state || ' ' || sum(n) FROM tally GROUP BY "
    "run, queue, state HAVING sum(n) <> 0",
};
#define QUERIES_N (sizeof(queries) / sizeof(queries[0]))

void dump_event_data(struct buf *out, struct str data)
{
    static const struct str keys[] = {
        {"\"token\":\"",  9 },
        {"\"worker\":\"", 10}
    };

    for (size_t i = 0; i < data.n; i++) {
        struct str rest = str_sub(data, i, data.n);

        for (size_t k = 0; k < 2; k++) {
            if (!str_starts(rest, keys[k]))
                continue;
            buf_add(out, keys[k]);
            buf_byte(out, '#');
            i += keys[k].n;
        }
        buf_byte(out, data.p[i]);
    }
}

static void add_line(struct buf *out, struct str line, int *events)
{
    if (str_starts(line, STR("event "))) {
        buf_printf(out, "event %06d ", ++*events);
        dump_event_data(out, str_sub(line, 6, line.n));
    } else {
        buf_add(out, line);
    }
    buf_byte(out, '\n');
}

struct adding {
    struct buf *out;
    int events;
};

static int add_row(void *context, int columns, char **values, char **names)
{
    struct adding *a = context;

    (void)columns;
    (void)names;
    add_line(a->out, str_of(values[0]), &a->events);
    return 0;
}

static void dump_sqlite(struct store_testing *t, struct buf *out)
{
    struct adding adding = {.out = out};
    sqlite3 *db = NULL;
    int code = sqlite3_open(t->path, &db);

    for (size_t i = 0; i < QUERIES_N && !code; i++)
        code = sqlite3_exec(db, queries[i], add_row, &adding, NULL);
    if (code)
        fail_msg("dump: %s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void dump_postgres(struct store_testing *t, struct buf *out)
{
    PGconn *c = PQconnectdb(t->url);
    int events = 0;

    PQclear(PQexec(c, "SET search_path = weft"));
    for (size_t i = 0; i < QUERIES_N; i++) {
        PGresult *r = PQexec(c, queries[i]);

        if (PQresultStatus(r) != PGRES_TUPLES_OK)
            fail_msg("dump: %s", PQerrorMessage(c));
        for (int row = 0; row < PQntuples(r); row++)
            add_line(out, str_of(PQgetvalue(r, row, 0)), &events);
        PQclear(r);
    }
    PQfinish(c);
}

void dump_store(struct store_testing *t, struct buf *out)
{
    if (t->backend == STORE_SQLITE)
        dump_sqlite(t, out);
    else
        dump_postgres(t, out);
}

static int by_number(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The number behind a #, if there is one; *at goes behind it. */
static bool take_id(struct str s, size_t *at, int64_t *ret)
{
    size_t end = *at + 1;

    if (s.p[*at] != '#')
        return false;
    while (end < s.n && s.p[end] >= '0' && s.p[end] <= '9')
        end++;
    if (!str_int64(str_sub(s, *at + 1, end - *at - 1), ret))
        return false;
    *at = end - 1;
    return true;
}

static size_t count(struct str s, char byte)
{
    size_t n = 0;

    for (size_t at = 0; at < s.n; at++)
        n += s.p[at] == byte;
    return n;
}

static size_t collect(struct str s, int64_t *ids)
{
    size_t n = 0, kept = 0;
    int64_t id;

    for (size_t at = 0; at < s.n; at++)
        if (take_id(s, &at, &id) && id)
            ids[n++] = id;
    qsort(ids, n, sizeof(*ids), by_number);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || ids[i] != ids[i - 1])
            ids[kept++] = ids[i];
    return kept;
}

void dump_rank(struct arena *a, struct buf *text)
{
    struct str s = str_copy(a, buf_str(text));
    int64_t *ids = ARENA_ARRAY(a, int64_t, count(s, '#')), id;
    size_t n = collect(s, ids), lines_n = 0, from = 0;
    struct str ranked, *lines;

    buf_clear(text);
    for (size_t at = 0; at < s.n; at++) {
        if (take_id(s, &at, &id)) {
            const int64_t *found = bsearch(&id, ids, n, sizeof(*ids), by_number);

            buf_printf(text, "#%td", found ? found - ids + 1 : 0);
        } else {
            buf_byte(text, s.p[at]);
        }
    }
    ranked = str_copy(a, buf_str(text));
    lines = ARENA_ARRAY(a, struct str, count(ranked, '\n'));
    for (size_t at = 0; at < ranked.n; at++) {
        if (ranked.p[at] != '\n')
            continue;
        lines[lines_n++] = str_sub(ranked, from, at + 1 - from);
        from = at + 1;
    }
    qsort(lines, lines_n, sizeof(*lines), by_text);
    buf_clear(text);
    for (size_t i = 0; i < lines_n; i++)
        buf_add(text, lines[i]);
}

static struct str take_line(struct str *s)
{
    size_t at = s->n;
    struct str line;

    str_find(*s, '\n', &at);
    line = str_sub(*s, 0, at);
    *s = str_sub(*s, at + 1, s->n);
    return line;
}

bool dump_differ(struct str a, struct str b, struct str *ret_a, struct str *ret_b)
{
    while (a.n || b.n) {
        *ret_a = take_line(&a);
        *ret_b = take_line(&b);
        if (!str_eq(*ret_a, *ret_b))
            return true;
    }
    return false;
}
