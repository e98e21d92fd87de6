/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/memory.h"

#define FILE_CHUNK_BYTES ((size_t)64 << 10)

/* Read to the end, however long it turns out to be: a pipe has no size, and a file may grow
 * meanwhile. */
static int read_all(struct arena *a, int fd, size_t expected, size_t max, struct str *ret)
{
    size_t cap = expected + 1 > FILE_CHUNK_BYTES ? expected + 1 : FILE_CHUNK_BYTES;
    char *p = arena_alloc(a, cap);
    size_t n = 0;

    for (;;) {
        ssize_t r = read(fd, p + n, cap - n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return fault(-errno);
        if (r == 0)
            break;
        n += (size_t)r;
        if (n > max)
            return FILE_E_LARGE;
        if (n == cap) {
            p = arena_grow(a, p, cap, cap * 2);
            cap *= 2;
        }
    }
    *ret = (struct str){p, n};
    return 0;
}

int file_read(struct arena *a, const char *path, size_t max, struct str *ret)
{
    CLEANUP(memory_fd_closep) int own = -1;
    struct stat st;
    int fd = STDIN_FILENO;

    if (strcmp(path, "-") != 0) {
        own = open(path, O_RDONLY | O_CLOEXEC);
        if (own < 0)
            return fault(-errno);
        fd = own;
    }
    if (fstat(fd, &st))
        return fault(-errno);
    if (!S_ISREG(st.st_mode))
        st.st_size = 0;
    if ((uint64_t)st.st_size > max)
        return FILE_E_LARGE;
    return read_all(a, fd, (size_t)st.st_size, max, ret);
}

static int make_folder(const char *path)
{
    struct stat st;
    int error;

    if (mkdir(path, 0777) == 0)
        return 0;
    error = errno;
    /* On a read-only file system mkdir() complains even where the folder is there. */
    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode) ? 0 : fault(-ENOTDIR);
    return fault(-error);
}

int file_mkdirs(const char *path)
{
    CLEANUP(memory_freep) char *part = memory_text(path);
    int r;

    for (char *slash = strchr(part + (*part == '/'), '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        r = make_folder(part);
        *slash = '/';
        if (r)
            return fault(r);
    }
    return fault(make_folder(part));
}

static int write_all(int fd, struct str content)
{
    while (content.n) {
        ssize_t r = write(fd, content.p, content.n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return fault(-errno);
        content = str_sub(content, (size_t)r, content.n);
    }
    return fsync(fd) ? fault(-errno) : 0;
}

/* Make the renaming itself durable. */
static int sync_folder_of(const char *path)
{
    CLEANUP(memory_freep) char *folder = memory_text(path);
    CLEANUP(memory_fd_closep) int fd = -1;
    char *slash = strrchr(folder, '/');

    if (slash)
        slash[slash == folder] = '\0';
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd))
        return fault(-errno);
    return 0;
}

static int write_and_rename(const char *temporary, const char *path, struct str content)
{
    CLEANUP(memory_fd_closep) int fd = -1;
    int r;

    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return fault(-errno);
    r = write_all(fd, content);
    if (!r && rename(temporary, path))
        r = -errno;
    if (r)
        unlink(temporary);
    return fault(r);
}

int file_write(const char *path, struct str content)
{
    static atomic_uint counter;
    CLEANUP(buf_deinit) struct buf temporary;
    int r;

    /* Beside it, since rename() does not cross file systems; its own name, since two may write at
     * once. */
    buf_init(&temporary, strlen(path) + 64);
    buf_printf(&temporary, "%s.%ld-%u.tmp", path, (long)getpid(), atomic_fetch_add(&counter, 1));
    r = write_and_rename(temporary.p, path, content);
    return r ? fault(r) : fault(sync_folder_of(path));
}
