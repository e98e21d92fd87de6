/* SPDX-License-Identifier: Apache-2.0 */
#include "work/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "work/executor.h"

#define HEAD_BYTES ((uint64_t)EXECUTOR_LOG_BYTES / 2)
#define TAIL_BYTES ((uint64_t)EXECUTOR_LOG_BYTES - HEAD_BYTES)
#define MARK_BYTES 160u

void capture_init(struct capture *c, const char *path)
{
    *c = (struct capture){.path = path, .fd = -1};
}

/* What comes from here on is lost, and is counted. */
static void fail(struct capture *c, int error)
{
    c->error = error;
    log_say(LOG_WARNING, "log_write_failed", LOG_TEXT("path", str_of(c->path)),
            LOG_TEXT("error", str_of(strerror(error))));
}

static int open_file(const char *path)
{
    return open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
}

static bool make(struct capture *c)
{
    c->fd = open_file(c->path);
    if (c->fd < 0 && errno == ENOENT) {
        CLEANUP(memory_freep) char *folder = memory_text(c->path);
        char *slash = strrchr(folder, '/');

        if (slash && slash != folder)
            *slash = '\0';
        if (slash && file_mkdirs(folder) == 0)
            c->fd = open_file(c->path);
        else
            errno = ENOENT;
    }
    if (c->fd < 0)
        fail(c, errno);
    return c->fd >= 0;
}

/* Returns how many bytes were written; fewer than asked for only after fail(). */
static size_t put(struct capture *c, struct str bytes, uint64_t at)
{
    size_t done = 0;

    while (done < bytes.n) {
        ssize_t n = pwrite(c->fd, bytes.p + done, bytes.n - done, (off_t)(at + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            fail(c, n < 0 ? errno : EIO);
            break;
        }
        done += (size_t)n;
    }
    return done;
}

void capture_add(struct capture *c, struct str bytes)
{
    while (bytes.n && !c->error && (c->fd >= 0 || make(c))) {
        uint64_t in_tail = c->bytes < HEAD_BYTES ? 0 : (c->bytes - HEAD_BYTES) % TAIL_BYTES;
        uint64_t room = c->bytes < HEAD_BYTES ? HEAD_BYTES - c->bytes : TAIL_BYTES - in_tail;
        uint64_t at = c->bytes < HEAD_BYTES ? c->bytes : HEAD_BYTES + in_tail;
        size_t n = put(c, str_sub(bytes, 0, (size_t)room), at);

        c->bytes += n;
        bytes = str_sub(bytes, n, bytes.n);
    }
    c->bytes += bytes.n;
    c->lost += bytes.n;
}

/* The ring, oldest byte first, behind the line; 4 MiB at a time, of one stream at a time. */
static void unroll(struct capture *c)
{
    uint64_t oldest = (c->bytes - HEAD_BYTES) % TAIL_BYTES;
    char mark[MARK_BYTES];
    struct str line = {mark, 0}, ring;
    /* cppcheck-suppress invalidFunctionArg; -1 is what belongs there */
    char *p = mmap(NULL, TAIL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        fail(c, errno);
        return;
    }
    ring = (struct str){p, TAIL_BYTES};
    line.n = (size_t)snprintf(mark, sizeof(mark), "\n[weft: %" PRIu64 " bytes cut here]\n",
                              c->bytes - HEAD_BYTES - TAIL_BYTES);
    if (pread(c->fd, p, TAIL_BYTES, (off_t)HEAD_BYTES) != (ssize_t)TAIL_BYTES)
        fail(c, errno ? errno : EIO);
    if (!c->error)
        put(c, line, HEAD_BYTES);
    if (!c->error)
        put(c, str_sub(ring, oldest, ring.n), HEAD_BYTES + line.n);
    if (!c->error)
        put(c, str_sub(ring, 0, oldest), HEAD_BYTES + line.n + ring.n - oldest);
    munmap(p, TAIL_BYTES);
}

/* There may be room again for this much; if there is not, the log of weft has said it. */
static void mark_loss(struct capture *c)
{
    uint64_t kept = c->bytes - c->lost;
    char mark[MARK_BYTES];
    int n = snprintf(mark, sizeof(mark), "\n[weft: %" PRIu64 " bytes lost here: %s]\n", c->lost,
                     strerror(c->error));

    if (kept > HEAD_BYTES + TAIL_BYTES)
        kept = HEAD_BYTES + TAIL_BYTES;
    if (pwrite(c->fd, mark, (size_t)n, (off_t)kept) < n)
        return;
}

void capture_end(struct capture *c)
{
    if (c->fd < 0)
        return;
    if (!c->error && c->bytes > HEAD_BYTES + TAIL_BYTES)
        unroll(c);
    else if (c->error)
        mark_loss(c);
    close(c->fd);
    c->fd = -1;
}
