/* SPDX-License-Identifier: Apache-2.0 */
#include "store/disk_testing.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/str.h"

/* A file that is open has methods of its own, which know where to pass on. */
struct file {
    sqlite3_io_methods methods;
    const sqlite3_io_methods *below;
    char *path;
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *below;
    sqlite3_mem_methods memory; /* below */
    struct disk_fault fault;
    int seen;
    bool failed;
    struct disk_tape *tape;
    int64_t counts[DISK_CALL_N];
} disk;

static struct file *file_of(sqlite3_file *f)
{
    return (struct file *)(uintptr_t)f->pMethods;
}

/* Count a call; whether it is to fail, with the errno that the system would have left. */
static bool fails(enum disk_call call)
{
    disk.counts[call]++;
    if (!(disk.fault.calls >> call & 1))
        return false;
    disk.seen++;
    if (disk.seen != disk.fault.n && !(disk.fault.stays && disk.seen > disk.fault.n))
        return false;
    disk.failed = true;
    errno = disk.fault.full ? ENOSPC : EIO;
    return true;
}

static void note(const char *path, enum disk_call call, int64_t at, const void *bytes, size_t n)
{
    struct disk_tape *t = disk.tape;

    if (!t)
        return;
    if (t->n == t->max) {
        t->max = t->max ? t->max * 2 : 1024;
        t->steps = memory_grow(t->steps, t->max * sizeof(*t->steps));
    }
    t->steps[t->n++] = (struct disk_step){
        .call = call,
        .path = str_cstr(&t->memory, str_of(path)),
        .at = at,
        .bytes = n ? str_copy(&t->memory, (struct str){bytes, n}).p : NULL,
        .n = n,
    };
}

static int disk_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
    const sqlite3_io_methods *below = file_of(f)->below;
    bool broken = fails(DISK_WRITE);
    int error = errno, r;

    note(file_of(f)->path, DISK_WRITE, at, bytes, (size_t)(broken ? n / 2 : n));
    r = below->xWrite(f, bytes, broken ? n / 2 : n, at);
    if (!broken || r)
        return r;
    errno = error;
    return disk.fault.full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int disk_read(sqlite3_file *f, void *bytes, int n, sqlite3_int64 at)
{
    return fails(DISK_READ) ? SQLITE_IOERR_READ : file_of(f)->below->xRead(f, bytes, n, at);
}

static int disk_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    if (fails(DISK_TRUNCATE))
        return SQLITE_IOERR_TRUNCATE;
    note(file_of(f)->path, DISK_TRUNCATE, size, NULL, 0);
    return file_of(f)->below->xTruncate(f, size);
}

static int disk_sync(sqlite3_file *f, int flags)
{
    if (fails(DISK_SYNC))
        return SQLITE_IOERR_FSYNC;
    note(file_of(f)->path, DISK_SYNC, 0, NULL, 0);
    return file_of(f)->below->xSync(f, flags);
}

static int disk_lock(sqlite3_file *f, int level)
{
    return fails(DISK_LOCK) ? SQLITE_IOERR_LOCK : file_of(f)->below->xLock(f, level);
}

static int disk_index(sqlite3_file *f, int page, int bytes, int extend, void volatile **ret)
{
    return fails(DISK_INDEX) ? SQLITE_IOERR_SHMMAP
                             : file_of(f)->below->xShmMap(f, page, bytes, extend, ret);
}

static int disk_close(sqlite3_file *f)
{
    struct file *x = file_of(f);
    int r = x->below->xClose(f);

    free(x->path);
    free(x);
    return r;
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
    struct file *x;
    int code;

    (void)vfs;
    f->pMethods = NULL;
    if (fails(DISK_OPEN))
        return SQLITE_CANTOPEN;
    code = disk.below->xOpen(disk.below, name, f, flags, ret_flags);
    if (!f->pMethods)
        return code;
    x = memory_new(sizeof(*x));
    x->below = f->pMethods;
    x->methods = *f->pMethods;
    x->path = memory_text(name ? name : "");
    x->methods.xClose = disk_close;
    x->methods.xRead = disk_read;
    x->methods.xWrite = disk_write;
    x->methods.xTruncate = disk_truncate;
    x->methods.xSync = disk_sync;
    x->methods.xLock = disk_lock;
    x->methods.xShmMap = x->methods.iVersion >= 2 ? disk_index : NULL;
    f->pMethods = &x->methods;
    return code;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    (void)vfs;
    if (fails(DISK_DELETE))
        return SQLITE_IOERR_DELETE;
    note(name, DISK_DELETE, sync_folder, NULL, 0);
    return disk.below->xDelete(disk.below, name, sync_folder);
}

static void *memory_take(int n)
{
    return fails(DISK_MEMORY) ? NULL : disk.memory.xMalloc(n);
}

static void *memory_more(void *p, int n)
{
    return fails(DISK_MEMORY) ? NULL : disk.memory.xRealloc(p, n);
}

void disk_testing_begin(void)
{
    sqlite3_mem_methods memory;

    assert(!disk.below);
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &disk.memory);
    memory = disk.memory;
    memory.xMalloc = memory_take;
    memory.xRealloc = memory_more;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
    disk.below = sqlite3_vfs_find(NULL);
    disk.vfs = *disk.below;
    disk.vfs.zName = "disk_testing";
    disk.vfs.xOpen = disk_open;
    disk.vfs.xDelete = disk_delete;
    if (sqlite3_vfs_register(&disk.vfs, 1))
        abort();
}

void disk_testing_fail(const struct disk_fault *fault)
{
    disk.fault = *fault;
    disk.seen = 0;
    disk.failed = false;
}

bool disk_testing_mend(void)
{
    bool failed = disk.failed;

    disk.fault = (struct disk_fault){0};
    disk.failed = false;
    return failed;
}

int64_t disk_testing_count(enum disk_call call)
{
    return disk.counts[call];
}

void disk_testing_record(struct disk_tape *tape)
{
    disk.tape = tape;
}

void disk_tape_deinit(struct disk_tape *tape)
{
    arena_deinit(&tape->memory);
    free(tape->steps);
}
