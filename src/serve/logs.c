/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/logs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/memory.h"

struct str logs_folder(struct arena *a, const char *data, int64_t run)
{
    return str_printf(a, "%s/logs/%" PRId64, data, run);
}

struct str logs_path(struct arena *a, const char *data, int64_t run, int64_t task, int64_t attempt,
                     enum logs_stream stream)
{
    return str_printf(a, "%s/logs/%" PRId64 "/%" PRId64 ".%" PRId64 ".%s", data, run, task, attempt,
                      stream == LOGS_STDOUT ? "out" : "err");
}

struct str logs_scratch(struct arena *a, const char *data, int64_t incarnation)
{
    return str_printf(a, "%s/tmp/%" PRId64, data, incarnation);
}

void logs_scratch_remove(const char *data, int64_t incarnation)
{
    struct arena a = {0};
    const char *folder = logs_scratch(&a, data, incarnation).p;
    DIR *dir = opendir(folder);
    struct dirent *entry;

    if (dir) {
        /* The stream is this function's own. */
        /* cppcheck-suppress readdirCalled */
        while ((entry = readdir(dir)))
            unlinkat(dirfd(dir), entry->d_name, 0);
        closedir(dir);
        rmdir(folder);
    }
    arena_deinit(&a);
}

/* How many bytes at the end begin a character that is not whole yet. */
static size_t unfinished(struct str s)
{
    for (size_t back = 1; back <= 3 && back <= s.n; back++) {
        unsigned char c = (unsigned char)s.p[s.n - back];

        if (c < 0x80)
            return 0;
        if (c >= 0xc0) {
            size_t wants = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

            return back < wants ? back : 0;
        }
    }
    return 0;
}

int logs_read(struct arena *a, const char *path, int64_t offset, int64_t max,
              struct logs_chunk *ret)
{
    CLEANUP(memory_fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *text;
    ssize_t n;

    *ret = (struct logs_chunk){.next_offset = offset, .at_end = true};
    if (fd < 0)
        return errno == ENOENT ? 0 : fault(-errno);
    if (fstat(fd, &st) != 0)
        return fault(-errno);
    if (offset >= st.st_size)
        return 0;
    if (max > st.st_size - offset)
        max = st.st_size - offset;
    text = arena_alloc(a, (size_t)max);
    n = pread(fd, text, (size_t)max, offset);
    if (n < 0)
        return fault(-errno);
    ret->text = (struct str){text, (size_t)n};
    /* A character is not cut, unless nothing but its beginning is there. */
    if (unfinished(ret->text) < ret->text.n)
        ret->text.n -= unfinished(ret->text);
    ret->next_offset = offset + (int64_t)ret->text.n;
    ret->at_end = ret->next_offset >= st.st_size;
    return 0;
}
