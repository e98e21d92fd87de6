/* SPDX-License-Identifier: Apache-2.0 */
#include "client/outbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "client/raw.h"

/* The file is written anew when so much of it has been delivered, and that is more than half. */
#define WASTE_BYTES_MIN (1u << 20)

/* A ring would save the move of the pointers; a line is written to a disk, which costs more. */
struct outbox {
    char *path; /* NULL: memory alone */
    int fd;
    char **lines;
    size_t begin, n, cap; /* lines[begin … begin + n - 1] */
    size_t bytes;         /* of the lines that are there */
    size_t file_bytes;
};

static void keep(struct outbox *o, struct str line)
{
    char *copy = memory_new(line.n + 1);

    memcpy(copy, line.p, line.n);
    if (o->begin + o->n == o->cap) {
        if (o->begin)
            memmove(o->lines, o->lines + o->begin, o->n * sizeof(*o->lines));
        o->begin = 0;
        if (o->n * 2 >= o->cap) {
            o->cap = o->cap ? o->cap * 2 : 64;
            o->lines = memory_grow(o->lines, o->cap * sizeof(*o->lines));
        }
    }
    o->lines[o->begin + o->n++] = copy;
    o->bytes += line.n + 1;
}

static int write_all(int fd, struct str s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fault(-errno);
        s = str_sub(s, (size_t)n, s.n);
    }
    return 0;
}

/* An own descriptor with the lock, or OUTBOX_E_BUSY. */
static int open_locked(const char *path, int flags, int *ret)
{
    int fd = open(path, flags | O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : 0;

    if (!r && flock(fd, LOCK_EX | LOCK_NB))
        r = errno == EWOULDBLOCK ? OUTBOX_E_BUSY : -errno;
    if (r && fd >= 0)
        close(fd);
    *ret = r ? -1 : fd;
    return r;
}

/* Write what is left beside the file, lock it, and put it in the file's place. */
static int rewrite(struct outbox *o)
{
    struct arena a = {0};
    const char *fresh = str_printf(&a, "%s.new", o->path).p;
    int fd, r = open_locked(fresh, O_TRUNC, &fd);

    for (size_t i = 0; !r && i < o->n; i++) {
        r = write_all(fd, outbox_at(o, i));
        if (!r)
            r = write_all(fd, STR("\n"));
    }
    if (!r && (fdatasync(fd) || rename(fresh, o->path)))
        r = -errno;
    arena_deinit(&a);
    if (r) {
        if (fd >= 0)
            close(fd);
        return r == OUTBOX_E_BUSY ? fault(-EBUSY) : fault(r);
    }
    close(o->fd);
    o->fd = fd;
    o->file_bytes = o->bytes;
    return 0;
}

/* Lines that hold no end are passed over: the last one may have been cut by the end of its process.
 */
static int load(struct outbox *o)
{
    struct arena a = {0};
    struct str text, value;
    size_t at, wrong;
    int r = file_read(&a, o->path, OUTBOX_FILE_BYTES_MAX, &text);

    if (r == FILE_E_LARGE)
        r = -EFBIG;
    o->file_bytes = r ? 0 : text.n;
    while (!r && str_find(text, '\n', &at)) {
        struct str line = str_sub(text, 0, at);

        if (raw_check(line, &value, &wrong) && raw_get(value, STR("token")).n)
            keep(o, line);
        text = str_sub(text, at + 1, text.n);
    }
    if (!r && o->file_bytes != o->bytes)
        r = rewrite(o);
    arena_deinit(&a);
    return r ? fault(r) : 0;
}

int outbox_new(const char *path, struct outbox **ret)
{
    struct outbox *o = memory_new(sizeof(*o));
    int r = 0;

    o->fd = -1;
    if (path) {
        o->path = memory_text(path);
        r = open_locked(path, 0, &o->fd);
        if (!r)
            r = load(o);
    }
    if (r) {
        outbox_free(o);
        return r == OUTBOX_E_BUSY ? r : fault(r);
    }
    *ret = o;
    return 0;
}

struct outbox *outbox_free(struct outbox *o)
{
    if (!o)
        return NULL;
    for (size_t i = 0; i < o->n; i++)
        free(o->lines[o->begin + i]);
    free(o->lines);
    free(o->path);
    if (o->fd >= 0)
        close(o->fd);
    free(o);
    return NULL;
}

size_t outbox_count(const struct outbox *o)
{
    return o->n;
}

/* What was written of a line that did not fit is taken back, or the next one would end it. */
static int append(struct outbox *o, struct str line)
{
    int r = write_all(o->fd, line);

    if (!r)
        r = write_all(o->fd, STR("\n"));
    if (!r && fdatasync(o->fd))
        r = -errno;
    if (!r) {
        o->file_bytes += line.n + 1;
        return 0;
    }
    return ftruncate(o->fd, (off_t)o->file_bytes) ? fault(-errno) : fault(r);
}

int outbox_add(struct outbox *o, struct str line)
{
    assert(line.n <= OUTBOX_LINE_BYTES_MAX && !str_find(line, '\n', NULL));
    keep(o, line);
    return o->path ? append(o, line) : 0;
}

struct str outbox_at(const struct outbox *o, size_t i)
{
    assert(i < o->n);
    return str_of(o->lines[o->begin + i]);
}

void outbox_replace(struct outbox *o, struct str line)
{
    char **oldest = &o->lines[o->begin];

    assert(o->n);
    o->bytes += line.n - strlen(*oldest);
    free(*oldest);
    *oldest = memory_new(line.n + 1);
    memcpy(*oldest, line.p, line.n);
}

int outbox_drop(struct outbox *o, size_t n)
{
    assert(n <= o->n);
    for (size_t i = 0; i < n; i++) {
        o->bytes -= outbox_at(o, i).n + 1;
        free(o->lines[o->begin + i]);
    }
    o->begin += n;
    o->n -= n;
    if (!o->path || !n)
        return 0;
    if (o->n == 0) {
        if (ftruncate(o->fd, 0))
            return fault(-errno);
        o->file_bytes = 0;
        return 0;
    }
    if (o->file_bytes - o->bytes < WASTE_BYTES_MIN || o->file_bytes < 2 * o->bytes)
        return 0;
    return rewrite(o);
}
