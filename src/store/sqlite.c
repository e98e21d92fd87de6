/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in a SQLite file: WAL with a sync per commit, one writer at a time by BEGIN IMMEDIATE,
 * readers on snapshots.
 *
 * Ids and time come from the rows of `counter`, read when a transaction begins and written back
 * when it commits.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "store/backend.h"
#include "store/sqlite_log.h"

/* "weft" in the file's header (PRAGMA application_id), by which a foreign database is recognised.
 */
#define APPLICATION_ID 0x77656674

/* mmap stays off: a failing disk, or a file cut short by somebody, would be a SIGBUS instead of an
 * error. Debian's SQLite overwrites deleted content by default, which doubles the work of a queue.
 */
#define SETTINGS                                                                                   \
    "PRAGMA synchronous = FULL;"                                                                   \
    "PRAGMA foreign_keys = OFF;"                                                                   \
    "PRAGMA mmap_size = 0;"                                                                        \
    "PRAGMA secure_delete = OFF;"                                                                  \
    "PRAGMA temp_store = MEMORY;"                                                                  \
    "PRAGMA cell_size_check = ON;"                                                                 \
    "PRAGMA journal_size_limit = 67108864;"
/* A checkpoint for 16 MiB of log: hot pages are then written back once for many commits. */
#define SETTINGS_WRITE "PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4096;"
#define SETTINGS_READ  "PRAGMA cache_size = -4096; PRAGMA query_only = ON;"

/* The statements of the store itself. */
#define OWN_STATEMENTS(X)                                                                          \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(BEGIN_READ, "BEGIN")                                                                         \
    X(COMMIT, "COMMIT")                                                                            \
    X(MARK, "SAVEPOINT mark")                                                                      \
    X(RELEASE, "RELEASE mark")                                                                     \
    X(UNDO, "ROLLBACK TO mark")                                                                    \
    X(COUNTERS, "SELECT name = 'now', value FROM counter WHERE name IN ('id', 'now')")             \
    X(COUNT, "UPDATE counter SET value = CASE name WHEN 'id' THEN ?1 ELSE ?2 END"                  \
             " WHERE name IN ('id', 'now')")
#define OWN_ENUM(name, text) OWN_##name,
#define OWN_TEXT(name, text) [OWN_##name] = (text),
enum own { OWN_STATEMENTS(OWN_ENUM) OWN_N };
static const char *const own_texts[] = {OWN_STATEMENTS(OWN_TEXT)};

struct sqlite {
    struct store store;
    sqlite3 *db;
    const char *path; /* as it was given */
    bool memory;
    bool shared; /* with the connections of this process that name the same memory */
    sqlite3_stmt *own[OWN_N];
    sqlite3_stmt *statements[STMT_N + 1];
    int64_t id;       /* the newest number drawn; kept over a rollback, so that none comes twice */
    int64_t id_begun; /* what it was when the transaction began */
    int64_t now;
    int64_t now_monotonic; /* when `now` was given out */
};

static struct sqlite *sqlite_of(struct store *s)
{
    return (struct sqlite *)s;
}

/* What each error of SQLite means to a caller. The first row that fits is taken: an extended code
 * before its primary one. */
static const struct meaning {
    int code;
    int fault; /* 0: by errno */
    const char *sentence;
} meanings[] = {
    {SQLITE_BUSY_SNAPSHOT,    -EAGAIN,  "another program wrote in between; run it again"              },
    {SQLITE_BUSY,             -EBUSY,   "another program holds the store's lock"                      },
    {SQLITE_LOCKED,           -EBUSY,   "another connection holds the store's lock"                   },
    {SQLITE_PROTOCOL,         -EBUSY,   "other programs are starting on the store; try again"         },
    {SQLITE_INTERRUPT,        -EAGAIN,  "the statement was interrupted"                               },
    {SQLITE_FULL,             -ENOSPC,  "the disk or its quota is full; free some space and try again"},
    {SQLITE_READONLY_DBMOVED, -ENOENT,
     "the file was removed or replaced while it was open; what is written now would be lost"          },
    {SQLITE_READONLY,         -EROFS,
     "the store is read-only; check the file's permissions, its "
     "folder's, and how the file system is mounted"                                                   },
    {SQLITE_IOERR_SHORT_READ, -EUCLEAN,
     "the file is shorter than it says; restore it from a backup"                                     },
    {SQLITE_IOERR_CORRUPTFS,  -EUCLEAN, "the file system is damaged; check it"                        },
    {SQLITE_IOERR_DATA,       -EUCLEAN, "a checksum does not fit; restore the file from a backup"     },
    {SQLITE_IOERR_NOMEM,      -ENOMEM,  "there is not enough memory"                                  },
    {SQLITE_IOERR,            0,        "the disk failed"                                             },
    {SQLITE_CORRUPT,          -EUCLEAN, "the file is damaged; restore it from a backup"               },
    {SQLITE_NOTADB,           -EUCLEAN,
     "the file is no SQLite database, or its start is damaged; name "
     "another file or restore it from a backup"                                                       },
    {SQLITE_CANTOPEN_ISDIR,   -EINVAL,  "this is a folder; name a file in it"                         },
    {SQLITE_CANTOPEN,         0,        "the file cannot be opened"                                   },
    {SQLITE_PERM,             -EACCES,  "access is refused; check the file's permissions"             },
    {SQLITE_AUTH,             -EACCES,  "access is refused"                                           },
    {SQLITE_NOMEM,            -ENOMEM,  "there is not enough memory"                                  },
};

/* What the system said, where SQLite leaves it to the system. */
static int errno_fault(int e, int code)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return -ENOSPC;
    case EPERM:
    case EACCES:
        return -EACCES;
    case EISDIR:
    case ENOTDIR:
        return -EINVAL;
    case EMFILE:
    case ENFILE:
        return -EMFILE;
    case 0:
        return (code & 0xff) == SQLITE_CANTOPEN ? -EACCES : -EIO;
    default:
        return -e;
    }
}

static const struct meaning *meaning_of(int code)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (meanings[i].code == code || meanings[i].code == (code & 0xff))
            return &meanings[i];
    return NULL;
}

static int say_errno(struct sqlite *q, int e, int code, const char *what)
{
    int r = errno_fault(e, code);

    return store_say(&q->store, r, "%s: %s", what, strerror(e ? e : -r));
}

/* The fault of an error of SQLite, with its sentence. What the system said is still in errno, which
 * every step() begins with 0: sqlite3_system_errno() does not know of what a COMMIT met. `name` is
 * the statement's, or NULL. */
static int sqlite_fault(struct sqlite *q, int code, const char *name)
{
    const struct meaning *m = meaning_of(code);
    const char *before = name ? "statement " : "", *colon = name ? ": " : "";
    int e = errno, r;

    if (!m)
        r = -EBADMSG;
    else
        r = m->fault ? m->fault : errno_fault(e, code);
    /* After some errors SQLite has rolled back by itself. */
    if (sqlite3_get_autocommit(q->db))
        store_ended(&q->store, r);
    if (!m)
        return store_say(&q->store, r, "%s%s%s%s (SQLite error %d)", before, name ? name : "",
                         colon, sqlite3_errmsg(q->db), code);
    if (r == -EBUSY)
        return store_say(&q->store, r, "%s, for longer than lock_ms = %" PRId64 " ms", m->sentence,
                         q->store.options.lock_ms);
    if (r == -ENOSPC)
        return store_say(&q->store, r, "%s", meaning_of(SQLITE_FULL)->sentence);
    if (!m->fault)
        return say_errno(q, e, code, m->sentence);
    return store_say(&q->store, r, "%s (SQLite error %d, %s)", m->sentence, code,
                     sqlite3_errmsg(q->db));
}

static int step(sqlite3_stmt *st)
{
    errno = 0;
    return sqlite3_step(st);
}

/* Run a statement of our own that answers with nothing. */
static int own_do(struct sqlite *q, enum own own)
{
    int code = step(q->own[own]);

    sqlite3_reset(q->own[own]);
    return code == SQLITE_DONE ? 0 : sqlite_fault(q, code, NULL);
}

static int script(struct sqlite *q, const char *text)
{
    int code;

    errno = 0;
    code = sqlite3_exec(q->db, text, NULL, NULL, NULL);
    return code ? sqlite_fault(q, code, NULL) : 0;
}

/* One row of integers of a query that is run once. */
static int look_up(struct sqlite *q, const char *text, int columns, int64_t *ret)
{
    sqlite3_stmt *st = NULL;
    int code = sqlite3_prepare_v2(q->db, text, -1, &st, NULL);

    if (!code)
        code = step(st);
    if (code == SQLITE_ROW) {
        for (int i = 0; i < columns; i++)
            ret[i] = sqlite3_column_int64(st, i);
        code = SQLITE_OK;
    } else if (code == SQLITE_DONE) {
        code = SQLITE_CORRUPT;
    }
    sqlite3_finalize(st);
    return code ? sqlite_fault(q, code, NULL) : 0;
}

/* --- opening --- */

/* The names of folders that were made for the file are on the disk only when those above them are
 * synced. SQLite syncs the folder of its files, and none above it. Which of them are new is not
 * known here; what may not be opened is none of ours. */
static int folders_sync(struct sqlite *q)
{
    char *path = str_cstr(&q->store.memory, str_of(q->path));

    for (char *slash; (slash = strrchr(path, '/')) && slash != path; *slash = '\0') {
        CLEANUP(memory_fd_closep) int fd = -1;

        *slash = '\0';
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && fsync(fd) && errno != EINVAL && errno != EROFS)
            return say_errno(q, errno, SQLITE_CANTOPEN, "its folder cannot be synced");
    }
    return 0;
}

/* Make the folder and the file. mknod() makes it without opening it: closing a descriptor of it
 * would drop the locks that this process holds on it elsewhere. Others may have no access, whatever
 * the umask says. */
static int file_make(struct sqlite *q)
{
    const char *slash = strrchr(q->path, '/');
    int r = 0;

    if (slash && slash != q->path)
        r = file_mkdirs(
            str_cstr(&q->store.memory, (struct str){q->path, (size_t)(slash - q->path)}));
    if (r)
        return say_errno(q, -r, SQLITE_CANTOPEN, "its folder cannot be made");
    if (mknod(q->path, S_IFREG | S_IRUSR | S_IWUSR, 0) == 0)
        return folders_sync(q);
    if (errno == EEXIST)
        return 0;
    return say_errno(q, errno, SQLITE_CANTOPEN, "the file cannot be made");
}

static int file_find(struct sqlite *q)
{
    struct stat st;

    if (stat(q->path, &st) == 0)
        return 0;
    if (errno == ENOENT)
        return store_say(&q->store, -ENOENT,
                         "there is no store; it is made by the first command that writes");
    return say_errno(q, errno, SQLITE_CANTOPEN, "the file cannot be opened");
}

/* SQLite counts its memory under a lock that every allocation takes, in all of the process. */
static void count_no_memory(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int handle_open(struct sqlite *q, const char *name, int flags)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int code;

    pthread_once(&once, count_no_memory);
    errno = 0;
    code = sqlite3_open_v2(name, &q->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                           sqlite_log_vfs());

    if (!q->db)
        return store_say(&q->store, -ENOMEM, "there is not enough memory");
    if (code)
        return sqlite_fault(q, code, NULL);
    sqlite3_busy_timeout(q->db, (int)q->store.options.lock_ms);
    /* A misspelt name in double quotes is an error, not a text; and the file's schema cannot call
     * what is not ours. */
    sqlite3_db_config(q->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(q->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(q->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* Else a statement with `run = ?1` is parsed and planned anew for each value, in case that an
     * index of `run = 0` would serve it. */
    sqlite3_db_config(q->db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL);
    return script(q, SETTINGS);
}

/* The name as a URI that promises that nobody writes to the file. */
static const char *immutable_name(struct sqlite *q)
{
    struct buf b;
    const char *name;

    buf_init(&b, strlen(q->path) * 3 + 64);
    buf_add(&b, STR("file:"));
    for (const char *c = q->path; *c; c++)
        buf_printf(&b, *c == '%' || *c == '?' || *c == '#' ? "%%%02x" : "%c", (unsigned char)*c);
    buf_add(&b, STR("?immutable=1"));
    name = str_cstr(&q->store.memory, buf_str(&b));
    buf_deinit(&b);
    return name;
}

/* A reader of a read-only medium cannot make the files that WAL needs. Nobody writes there, so it
 * may do without, unless a log is left that was never merged into the file. */
static int open_read_only_medium(struct sqlite *q)
{
    struct statvfs fs;
    struct stat log;
    const char *log_path = str_printf(&q->store.memory, "%s-wal", q->path).p;
    int r;

    if (statvfs(q->path, &fs) != 0 || !(fs.f_flag & ST_RDONLY))
        return store_say(&q->store, -EACCES,
                         "its folder may not be written, where reading needs the file "
                         "\"…-shm\"; give access to the folder");
    if (stat(log_path, &log) == 0 && log.st_size > 0)
        return store_say(&q->store, -EROFS,
                         "the file system is read-only and the newest changes still stand in the "
                         "file \"…-wal\"; open the store once where it can be written");
    sqlite3_close_v2(q->db);
    q->db = NULL;
    r = handle_open(q, immutable_name(q), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
    return r ? r : script(q, SETTINGS_READ);
}

/* A reader opens for writing where it may: the last one out then clears the log away. */
static int open_reader(struct sqlite *q)
{
    int64_t tables;
    int r = handle_open(q, q->path, SQLITE_OPEN_READWRITE);

    if (!r)
        r = script(q, SETTINGS_READ);
    if (!r)
        r = look_up(q, "SELECT count(*) FROM sqlite_schema", 1, &tables);
    /* The file is there and may be read: what is missing is the log beside it. */
    if ((r == -EACCES || r == -EROFS || r == -ENOENT) && access(q->path, R_OK) == 0)
        return open_read_only_medium(q);
    return r;
}

static int open_writer(struct sqlite *q)
{
    int r = q->memory ? 0 : file_make(q);

    if (!r)
        r = handle_open(q, q->path,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                            (q->memory ? SQLITE_OPEN_URI : 0));
    if (q->db && sqlite3_db_readonly(q->db, "main") == 1)
        r = sqlite_fault(q, SQLITE_READONLY, NULL);
    return r ? r : script(q, SETTINGS_WRITE);
}

static int sqlite_connect(struct store *s, int64_t deadline)
{
    struct sqlite *q = sqlite_of(s);
    struct str path = str_sub(s->options.url, STR("sqlite:").n, s->options.url.n);
    int r;

    (void)deadline;
    s->place = s->options.url;
    q->memory = str_starts(path, STR(":memory:"));
    if (path.n == 0)
        return fault(store_say(s, -EINVAL, "the URL names no file; write sqlite:PATH"));
    q->shared = q->memory && path.n > STR(":memory:").n;
    if (q->shared) /* memdb shares what begins with a slash */
        q->path = str_printf(&s->memory, "file:/%s?vfs=memdb", path.p + STR(":memory:").n).p;
    else if (q->memory)
        q->path = path.p;
    else /* "./": a name that begins with "file:" is a name all the same */
        q->path = str_printf(&s->memory, "%s%s", path.p[0] == '/' ? "" : "./", path.p).p;
    if (s->options.mode == STORE_WRITE)
        r = open_writer(q);
    else
        r = q->memory ? store_say(s, -EINVAL, "a store in memory has no readers") : file_find(q);
    if (!r && s->options.mode == STORE_READ)
        r = open_reader(q);
    return r ? fault(r) : 0;
}

/* --- schema --- */

static int sqlite_schema(struct store *s, struct schema *ret)
{
    struct sqlite *q = sqlite_of(s);
    int64_t has[2] = {0}, id = 0, rows[3] = {0};
    int r = look_up(q, "PRAGMA application_id", 1, &id);

    *ret = (struct schema){0};
    if (!r)
        r = look_up(
            q, "SELECT count(*), count(*) FILTER (WHERE name = 'migration') FROM sqlite_schema", 2,
            has);
    if (r)
        return fault(r);
    ret->foreign = has[0] && (id != APPLICATION_ID || !has[1]);
    if (!has[1] || ret->foreign)
        return 0;
    r = look_up(
        q, "SELECT count(*), coalesce(min(version), 0), coalesce(max(version), 0) FROM migration",
        3, rows);
    if (r)
        return fault(r);
    ret->n = rows[0];
    ret->first = rows[1];
    ret->last = rows[2];
    return 0;
}

static int sqlite_migrate_begin(struct store *s)
{
    int r = script(sqlite_of(s), "BEGIN IMMEDIATE");

    return r ? fault(r) : 0;
}

/* Enough for the names of migrations, which are those of our files. */
#define MIGRATION_TEXT_BYTES 256u

static int sqlite_migrate_apply(struct store *s, const struct migration *m)
{
    struct sqlite *q = sqlite_of(s);
    char text[MIGRATION_TEXT_BYTES];
    int r = 0;

    /* A text that SQLite makes may be NULL, which it runs as nothing at all: so they are ours. */
    snprintf(text, sizeof(text),
             "PRAGMA application_id = %d; CREATE TABLE migration (version INTEGER PRIMARY KEY, "
             "name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT",
             APPLICATION_ID);
    if (m->version == 1)
        r = script(q, text);
    if (!r)
        r = script(q, m->text);
    if (r)
        return fault(r);
    snprintf(text, sizeof(text), "INSERT INTO migration VALUES (%d, '%s', %" PRId64 ")", m->version,
             m->name, clock_utc());
    r = script(q, text);
    return r ? fault(r) : 0;
}

static int sqlite_migrate_commit(struct store *s)
{
    int r = script(sqlite_of(s), "COMMIT");

    return r ? fault(r) : 0;
}

/* The sentence of what went wrong stays. */
static void sqlite_migrate_rollback(struct store *s)
{
    struct sqlite *q = sqlite_of(s);

    if (!sqlite3_get_autocommit(q->db))
        sqlite3_exec(q->db, "ROLLBACK", NULL, NULL, NULL);
}

/* The change to WAL needs the file for itself for a moment, and SQLite does not always wait for
 * that. */
static int wal_on(struct sqlite *q)
{
    int64_t end = clock_monotonic() + q->store.options.lock_ms * CLOCK_MS;
    int code;

    do {
        errno = 0;
        code = sqlite3_exec(q->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if ((code & 0xff) == SQLITE_BUSY)
            usleep(5000);
    } while ((code & 0xff) == SQLITE_BUSY && clock_monotonic() < end);
    return code ? sqlite_fault(q, code, NULL) : 0;
}

static int prepare_one(struct sqlite *q, const char *text, const char *name, sqlite3_stmt **ret)
{
    const char *rest = "";
    int code = sqlite3_prepare_v3(q->db, text, -1, SQLITE_PREPARE_PERSISTENT, ret, &rest);

    if (code)
        return fault(sqlite_fault(q, code, name));
    if (!*ret || rest[strspn(rest, " \n\t;")])
        return fault(
            store_say(&q->store, -EBADMSG, "statement %s: the file must hold one statement", name));
    return 0;
}

static int sqlite_need(struct store *s, enum statement_id id)
{
    struct sqlite *q = sqlite_of(s);
    const struct statement *st = &s->backend->statements[id];
    int r;

    if (q->statements[id])
        return 0;
    r = prepare_one(q, st->text, st->name, &q->statements[id]);
    if (r)
        return fault(r);
    s->shapes[id].params = (size_t)sqlite3_bind_parameter_count(q->statements[id]);
    s->shapes[id].columns = st->rowid ? 1 : (size_t)sqlite3_column_count(q->statements[id]);
    return 0;
}

/* A reader needs few of them, and each holds some 10 KiB; a misspelt one stops every writer. Those
 * of a shared memory come and go by the hundred. */
static int sqlite_prepare(struct store *s)
{
    struct sqlite *q = sqlite_of(s);
    bool all = s->options.mode == STORE_WRITE && !q->shared;
    int r = s->options.mode == STORE_WRITE && !q->memory ? wal_on(q) : 0;

    for (int i = 0; i < OWN_N && !r; i++)
        r = prepare_one(q, own_texts[i], own_texts[i], &q->own[i]);
    for (int i = 0; i < STMT_N && !r && all; i++)
        r = sqlite_need(s, (enum statement_id)i);
    return r ? fault(r) : 0;
}

static void sqlite_close(struct store *s)
{
    struct sqlite *q = sqlite_of(s);

    for (int i = 0; i < OWN_N; i++)
        sqlite3_finalize(q->own[i]);
    for (int i = 0; i < STMT_N; i++)
        sqlite3_finalize(q->statements[i]);
    sqlite3_close_v2(q->db);
}

/* --- transactions --- */

static int counters_read(struct sqlite *q, int64_t *ret_id, int64_t *ret_now)
{
    sqlite3_stmt *st = q->own[OWN_COUNTERS];
    int code, seen = 0;

    while ((code = step(st)) == SQLITE_ROW) {
        *(sqlite3_column_int(st, 0) ? ret_now : ret_id) = sqlite3_column_int64(st, 1);
        seen++;
    }
    sqlite3_reset(st);
    if (code == SQLITE_DONE && seen != 2)
        code = SQLITE_CORRUPT;
    return code == SQLITE_DONE ? 0 : sqlite_fault(q, code, NULL);
}

/* The machine's clock, and never before a time that was given out. Where it was set back, time goes
 * on from there at its usual pace: it must not stand still, since things are due by it. */
static int64_t now_after(struct sqlite *q, int64_t kept)
{
    int64_t monotonic = clock_monotonic(), now = clock_utc();

    if (q->now && now < q->now + (monotonic - q->now_monotonic))
        now = q->now + (monotonic - q->now_monotonic);
    if (now < kept)
        now = kept;
    q->now = now;
    q->now_monotonic = monotonic;
    return now;
}

static int sqlite_begin(struct store *s, int64_t *ret_now)
{
    struct sqlite *q = sqlite_of(s);
    int64_t id = 0, now = 0;
    int r = own_do(q, s->options.mode == STORE_WRITE ? OWN_BEGIN : OWN_BEGIN_READ);

    if (r)
        return fault(r);
    r = counters_read(q, &id, &now);
    if (r) {
        sqlite_migrate_rollback(s);
        return fault(r);
    }
    if (q->id < id)
        q->id = id;
    q->id_begun = q->id;
    *ret_now = now_after(q, now);
    return 0;
}

static void bind(sqlite3_stmt *st, const struct cell *params, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct cell *c = &params[i];
        int at = (int)i + 1, code = SQLITE_OK;

        if (c->kind == CELL_INT)
            code = sqlite3_bind_int64(st, at, c->i);
        else if (c->kind == CELL_TEXT) /* a NULL pointer would bind null */
            code = sqlite3_bind_text64(st, at, c->s.n ? c->s.p : "", c->s.n, SQLITE_STATIC,
                                       SQLITE_UTF8);
        else
            code = sqlite3_bind_null(st, at);
        assert(code == SQLITE_OK || code == SQLITE_TOOBIG);
    }
}

static void row_keep(struct sqlite *q, sqlite3_stmt *st, struct arena *a)
{
    int n = sqlite3_column_count(st);

    for (int i = 0; i < n; i++) {
        int type = sqlite3_column_type(st, i);

        if (type == SQLITE_NULL) {
            store_cell(&q->store, a, NIL);
        } else if (type == SQLITE_INTEGER) {
            store_cell(&q->store, a, INT(sqlite3_column_int64(st, i)));
        } else {
            const char *text = (const char *)sqlite3_column_text(st, i);

            store_cell(&q->store, a,
                       TEXT(((struct str){text, (size_t)sqlite3_column_bytes(st, i)})));
        }
    }
}

static int sqlite_run(struct store *s, enum statement_id id, const struct cell *params, size_t sets,
                      struct arena *a, struct rows *ret)
{
    struct sqlite *q = sqlite_of(s);
    sqlite3_stmt *st = q->statements[id];
    int64_t before = sqlite3_total_changes64(q->db);
    size_t n = s->shapes[id].params;
    int code = SQLITE_DONE, r = 0;

    for (size_t i = 0; i < sets && code == SQLITE_DONE; i++) {
        if (n) /* where there are none, there may be no array */
            bind(st, params + i * n, n);
        while ((code = step(st)) == SQLITE_ROW)
            if (a)
                row_keep(q, st, a);
        /* RETURNING would answer it, too, and cost as much again as the INSERT. */
        if (a && code == SQLITE_DONE && s->backend->statements[id].rowid)
            store_cell(s, a, INT(sqlite3_last_insert_rowid(q->db)));
        sqlite3_reset(st);
    }
    /* The texts belong to the caller again. */
    sqlite3_clear_bindings(st);
    if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
        code == SQLITE_CONSTRAINT_ROWID)
        r = STORE_E_DUPLICATE;
    else if (code != SQLITE_DONE)
        r = fault(sqlite_fault(q, code, s->backend->statements[id].name));
    ret->changed = sqlite3_total_changes64(q->db) - before;
    return r;
}

static int sqlite_mark(struct store *s)
{
    struct sqlite *q = sqlite_of(s);
    int r = s->marked ? own_do(q, OWN_RELEASE) : 0;

    if (!r)
        r = own_do(q, OWN_MARK);
    return r ? fault(r) : 0;
}

static int sqlite_undo(struct store *s)
{
    int r = own_do(sqlite_of(s), OWN_UNDO);

    return r ? fault(r) : 0;
}

static void sqlite_rollback(struct store *s)
{
    sqlite_migrate_rollback(s);
}

/* A file that has lost its name takes every write and keeps none of them: once it is closed, they
 * are gone. It costs a stat(2). */
static int check_moved(struct sqlite *q)
{
    int moved = 0;

    if (q->memory)
        return 0;
    sqlite3_file_control(q->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (!moved)
        return 0;
    return store_say(&q->store, -ENOENT, "%s", meaning_of(SQLITE_READONLY_DBMOVED)->sentence);
}

static int sqlite_commit(struct store *s)
{
    struct sqlite *q = sqlite_of(s);
    bool changed = s->written || q->id != q->id_begun;
    int r = changed ? check_moved(q) : 0;

    if (!r && changed) {
        sqlite3_bind_int64(q->own[OWN_COUNT], 1, q->id);
        sqlite3_bind_int64(q->own[OWN_COUNT], 2, q->now);
        r = own_do(q, OWN_COUNT);
    }
    if (!r)
        r = own_do(q, OWN_COMMIT);
    if (r) {
        sqlite_rollback(s);
        return fault(r);
    }
    return 0;
}

static int sqlite_ids(struct store *s, size_t n, int64_t *ret_ids)
{
    struct sqlite *q = sqlite_of(s);

    for (size_t i = 0; i < n; i++)
        ret_ids[i] = ++q->id;
    return 0;
}

const struct backend sqlite_backend = {
    .kind = STORE_SQLITE,
    .size = sizeof(struct sqlite),
    .statements = statements_sqlite,
    .migrations = migrations_sqlite,
    .migrations_n = &migrations_sqlite_n,
    .connect = sqlite_connect,
    .schema = sqlite_schema,
    .migrate_begin = sqlite_migrate_begin,
    .migrate_apply = sqlite_migrate_apply,
    .migrate_commit = sqlite_migrate_commit,
    .migrate_rollback = sqlite_migrate_rollback,
    .prepare = sqlite_prepare,
    .need = sqlite_need,
    .begin = sqlite_begin,
    .run = sqlite_run,
    .mark = sqlite_mark,
    .undo = sqlite_undo,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .ids = sqlite_ids,
    .close = sqlite_close,
};
