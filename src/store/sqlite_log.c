/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_log.h"

#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

/* 31 pages, each with its head of 24 bytes. SQLite's own VFS takes less than 128 KiB in one write;
 * a larger commit takes several. */
#define GATHER_BYTES (31 * (24 + 4096))
/* A quarter of what the log has, so that a small one stays small. */
#define STEP_BYTES_MIN (64 * 1024)
#define STEP_BYTES_MAX (1024 * 1024)

struct log {
    sqlite3_file file; /* what SQLite sees; `real` lies behind the struct */
    sqlite3_file *real;
    char *bytes;      /* NULL until the first write */
    int n;            /* gathered, … */
    sqlite3_int64 at; /* … to be written there */
};

static struct log *log_of(sqlite3_file *f)
{
    return (struct log *)f;
}

/* What was written last ends at `end`. Where that is the end of the file, let it grow; a disk that
 * has no room for zeros may still have room for the commits. */
static void grow(struct log *l, sqlite3_int64 end)
{
    static const char zeros[STEP_BYTES_MIN];
    sqlite3_int64 size, step = end / 4;

    if (l->real->pMethods->xFileSize(l->real, &size) || size != end)
        return;
    if (step < STEP_BYTES_MIN)
        step = STEP_BYTES_MIN;
    if (step > STEP_BYTES_MAX)
        step = STEP_BYTES_MAX;
    for (; step > 0; step -= STEP_BYTES_MIN, end += STEP_BYTES_MIN)
        if (l->real->pMethods->xWrite(l->real, zeros, STEP_BYTES_MIN, end))
            return;
}

static int write_now(struct log *l, const void *bytes, int n, sqlite3_int64 at)
{
    int code = l->real->pMethods->xWrite(l->real, bytes, n, at);

    if (code == SQLITE_OK)
        grow(l, at + n);
    return code;
}

static int flush(struct log *l)
{
    int n = l->n;

    l->n = 0;
    return n ? write_now(l, l->bytes, n, l->at) : SQLITE_OK;
}

static int log_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
    struct log *l = log_of(f);
    int code = SQLITE_OK;

    if (l->n && (at != l->at + l->n || n > GATHER_BYTES - l->n))
        code = flush(l);
    if (!l->bytes)
        l->bytes = sqlite3_malloc(GATHER_BYTES);
    if (code || !l->bytes || n > GATHER_BYTES)
        return code ? code : write_now(l, bytes, n, at);
    if (l->n == 0)
        l->at = at;
    memcpy(l->bytes + l->n, bytes, (size_t)n);
    l->n += n;
    return SQLITE_OK;
}

static int log_read(sqlite3_file *f, void *bytes, int n, sqlite3_int64 at)
{
    struct log *l = log_of(f);
    int code = flush(l);

    return code ? code : l->real->pMethods->xRead(l->real, bytes, n, at);
}

static int log_sync(sqlite3_file *f, int flags)
{
    struct log *l = log_of(f);
    int code = flush(l);

    return code ? code : l->real->pMethods->xSync(l->real, flags);
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    struct log *l = log_of(f);
    int code = flush(l);

    return code ? code : l->real->pMethods->xTruncate(l->real, size);
}

static int log_file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    struct log *l = log_of(f);
    int code = flush(l);

    return code ? code : l->real->pMethods->xFileSize(l->real, ret);
}

/* What is gathered and was never synced belongs to no commit. */
static int log_close(sqlite3_file *f)
{
    struct log *l = log_of(f);

    sqlite3_free(l->bytes);
    return l->real->pMethods->xClose(l->real);
}

static int log_lock(sqlite3_file *f, int level)
{
    return log_of(f)->real->pMethods->xLock(log_of(f)->real, level);
}

static int log_unlock(sqlite3_file *f, int level)
{
    return log_of(f)->real->pMethods->xUnlock(log_of(f)->real, level);
}

static int log_check_lock(sqlite3_file *f, int *ret)
{
    return log_of(f)->real->pMethods->xCheckReservedLock(log_of(f)->real, ret);
}

static int log_control(sqlite3_file *f, int what, void *value)
{
    return log_of(f)->real->pMethods->xFileControl(log_of(f)->real, what, value);
}

static int log_sector_size(sqlite3_file *f)
{
    return log_of(f)->real->pMethods->xSectorSize(log_of(f)->real);
}

static int log_device(sqlite3_file *f)
{
    return log_of(f)->real->pMethods->xDeviceCharacteristics(log_of(f)->real);
}

static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_file_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_check_lock,
    .xFileControl = log_control,
    .xSectorSize = log_sector_size,
    .xDeviceCharacteristics = log_device,
};

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
    sqlite3_vfs *below = sqlite3_vfs_find(NULL);
    struct log *l = log_of(f);
    int code;

    (void)vfs;
    if (!(flags & SQLITE_OPEN_WAL))
        return below->xOpen(below, name, f, flags, ret_flags);
    *l = (struct log){.real = (sqlite3_file *)(l + 1)};
    l->real->pMethods = NULL;
    code = below->xOpen(below, name, l->real, flags, ret_flags);
    if (l->real->pMethods)
        l->file.pMethods = &log_methods;
    return code;
}

static sqlite3_vfs log_vfs;

static void vfs_register(void)
{
    log_vfs = *sqlite3_vfs_find(NULL);
    log_vfs.zName = "weft";
    log_vfs.szOsFile += (int)sizeof(struct log);
    log_vfs.xOpen = open_file;
    sqlite3_vfs_register(&log_vfs, 0);
}

const char *sqlite_log_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, vfs_register);
    return log_vfs.zName;
}
