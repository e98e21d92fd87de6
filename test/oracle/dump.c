/* SPDX-License-Identifier: Apache-2.0 */
#include "dump.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "engine/block.h"

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

    /* What stands many in a row comes as columns (expand). */
    "SELECT 'block', id, queue, priority, retry, n, taken, created_at, payloads FROM block",
    "SELECT 'piece', task, n, token, worker, queue, priority, retry, created_at, leased_at,"
    " expires_at, payloads FROM piece",
    "SELECT 'ended', token, task, n, queue, worker, created_at, leased_at, ended_at, details"
    " FROM ended",
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

/* A task as the query has it. */
static void add_task(struct buf *out, const struct task *t, int64_t id, struct str queue,
                     int64_t priority, struct str retry, int64_t token, int64_t worker,
                     int64_t created_at, int64_t held_at, struct str payload)
{
    buf_printf(out,
               "task #%" PRId64 " run @0 " STR_FMT "| %s " STR_FMT " () priority %" PRId64
               " attempts %" PRId64 " budget 0 retry " STR_FMT
               " due 0 cancel 0 groups 0 token #%" PRId64 " worker #%" PRId64
               " timeout 0 ready %" PRId64 " leased %" PRId64 " started %" PRId64
               " deadline 0 last #0 created %" PRId64 " ended 0 " STR_FMT "\n",
               id, STR_ARG(queue), task_state_text(t->state).p,
               STR_ARG(task_reason_text(t->reason)), priority, t->attempts, STR_ARG(retry), token,
               worker, created_at, held_at, held_at, created_at, STR_ARG(payload));
}

static void add_block(struct tx *tx, const struct rows *rows, struct buf *out)
{
    const struct task t = block_task(tx, TASK_READY);
    struct block b;

    assert_int_equal(block_read(tx, rows, 0, &b), 0);
    for (int64_t i = b.taken; i < b.n; i++)
        add_task(out, &t, b.id + i, b.queue, b.priority, b.retry, 0, 0, b.created_at, 0,
                 b.payloads[i]);
}

static void add_piece(struct tx *tx, const struct rows *rows, struct buf *out)
{
    const struct task t = block_task(tx, TASK_RUNNING);
    struct str payloads[BLOCK_TASKS_MAX];
    struct piece p;

    assert_int_equal(block_read_piece(tx, rows, 0, &p), 0);
    assert_int_equal(block_unpack(tx, p.task, p.packed, (size_t)p.n, payloads), 0);
    for (int64_t i = 0; i < p.n; i++)
        add_task(out, &t, p.task + i, p.queue, p.priority, p.retry, p.token + i, p.worker,
                 p.created_at, p.leased_at, payloads[i]);
}

static void add_ended(struct tx *tx, const struct rows *rows, struct buf *out)
{
    struct block_ended e;

    assert_int_equal(block_read_ended(tx, rows, 0, &e), 0);
    for (int64_t i = 0; i < e.n; i++) {
        struct str result = e.told[i].output;
        struct task_attempt a;

        block_attempt(&e, i, &a);
        buf_printf(out,
                   "attempt #%" PRId64 " task #%" PRId64 " run @0 " STR_FMT " 1 worker #%" PRId64
                   " succeeded " STR_FMT " (" STR_FMT ") exit %d signal %d leased %" PRId64
                   " started %" PRId64 " ended %" PRId64 " waited %" PRId64 " ran %" PRId64
                   " cpu %" PRId64 " rss %" PRId64 " (" STR_FMT ") told 1 " STR_FMT "\n",
                   a.token, e.task + i, STR_ARG(e.queue), a.worker, STR_ARG(a.reason),
                   STR_ARG(a.message), a.has_exit_code ? a.exit_code : -1, a.signal, e.leased_at,
                   a.started_at, a.ended_at, a.queue_wait_us, a.run_us, a.cpu_us, a.max_rss_bytes,
                   STR_ARG(a.stderr_tail), STR_ARG(result.n ? result : STR("-")));
    }
}

#define COLUMNS_MAX 16

/* The tasks or attempts of a row: its columns are read as the engine reads them. */
static void expand(const char *const *values, size_t n, struct buf *out)
{
    static const struct {
        const char *kind;
        void (*add)(struct tx *tx, const struct rows *rows, struct buf *out);
        unsigned texts; /* which columns */
    } kinds[] = {
        {"block", add_block, 1u << 1 | 1u << 3 | 1u << 7 },
        {"piece", add_piece, 1u << 4 | 1u << 6 | 1u << 10},
        {"ended", add_ended, 1u << 3 | 1u << 8           },
    };
    struct cell cells[COLUMNS_MAX];
    struct arena arena = {0};
    struct prng prng = {0};
    struct tx tx = {.arena = &arena, .prng = &prng};
    size_t k = 0;

    while (strcmp(kinds[k].kind, values[0]) != 0)
        k++;
    for (size_t i = 0; i + 1 < n; i++) {
        int64_t number = 0;

        if (kinds[k].texts >> i & 1)
            cells[i] = TEXT(str_of(values[i + 1]));
        else if (str_int64(str_of(values[i + 1]), &number))
            cells[i] = INT(number);
    }
    kinds[k].add(&tx, &(struct rows){.cells = cells, .n = 1, .columns = n - 1}, out);
    arena_deinit(&arena);
}

struct adding {
    struct buf *out;
    int events;
};

static int add_row(void *context, int columns, char **values, char **names)
{
    struct adding *a = context;

    (void)names;
    if (columns > 1)
        expand((const char *const *)values, (size_t)columns, a->out);
    else
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

static void add_row_of(const PGresult *r, int row, struct buf *out, int *events)
{
    const char *values[COLUMNS_MAX];
    int n = PQnfields(r);

    for (int i = 0; i < n; i++)
        values[i] = PQgetvalue(r, row, i);
    if (n > 1)
        expand(values, (size_t)n, out);
    else
        add_line(out, str_of(values[0]), events);
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
            add_row_of(r, row, out, &events);
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
