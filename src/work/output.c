/* SPDX-License-Identifier: Apache-2.0 */
#include "work/output.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/doc.h"
#include "base/memory.h"
#include "work/executor.h"
#include "work/tail.h"

#define PROGRESS_BYTES                                                                             \
    4096u /* of the file's end: the last line is there, or too long to be one                      \
           */

/* Returns a descriptor of an ordinary file, -1 where there is nothing, -2 where it is not one. */
static int open_plain(const char *path, struct stat *st)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? -1 : -2;
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
        return fd;
    close(fd);
    return -2;
}

/* Whatever stands there goes, so that a later attempt never finds it. */
static void discard(const char *path)
{
    if (unlink(path) && errno == EISDIR)
        rmdir(path);
}

static int refuse(struct str *ret_why, struct str why)
{
    *ret_why = why;
    return OUTPUT_E_INVALID;
}

/* The first key that its map has already, or NULL. The depth is DOC_DEPTH_MAX at most. */
static const struct doc *again_in(const struct doc *doc)
{
    const struct doc *hit = NULL;

    for (const struct doc *d = doc->first; d && !hit; d = d->next)
        hit = d->again ? d : again_in(d);
    return hit;
}

static int read_object(struct arena *a, int fd, size_t size, struct str *ret, struct str *ret_why)
{
    size_t cap = size + 1, have = 0;
    char *p = arena_alloc(a, cap);
    const struct doc *again;
    struct doc_error error;
    struct doc *doc;
    ssize_t n = 1;

    while (have < cap && n > 0) {
        n = read(fd, p + have, cap - have);
        if (n < 0 && errno != EINTR)
            return refuse(ret_why,
                          str_printf(a, "$WEFT_OUTPUT cannot be read: %s", strerror(errno)));
        have += n > 0 ? (size_t)n : 0;
        n = n < 0 ? 1 : n;
    }
    if (have == cap)
        return refuse(ret_why, STR("$WEFT_OUTPUT grew after the task had ended"));
    *ret = str_trim((struct str){p, have});
    if (doc_json(a, *ret, &doc, &error))
        return refuse(ret_why, str_printf(a,
                                          "what was written to $WEFT_OUTPUT is no JSON object: "
                                          "line %u, column %u: " STR_FMT,
                                          error.line, error.column, STR_ARG(error.text)));
    if (doc->kind != DOC_MAP)
        return refuse(ret_why, str_printf(a,
                                          "what was written to $WEFT_OUTPUT must be a JSON "
                                          "object {…}; it is %s",
                                          doc_kind_text(doc->kind)));
    again = again_in(doc);
    if (again)
        return refuse(ret_why, str_printf(a,
                                          "what was written to $WEFT_OUTPUT has the key \"" STR_FMT
                                          "\" twice: line %u, column %u",
                                          STR_ARG(str_sub(again->key, 0, 100)), again->key_line,
                                          again->key_column));
    return 0;
}

int output_take(struct arena *a, const char *path, struct str *ret, struct str *ret_why)
{
    struct stat st;
    int fd = open_plain(path, &st);
    int r;

    *ret = *ret_why = (struct str){0};
    if (fd == -1)
        return 0;
    if (fd == -2)
        r = refuse(ret_why,
                   STR("what stands at $WEFT_OUTPUT is no ordinary file that can be read"));
    else if (st.st_size > EXECUTOR_OUTPUT_BYTES)
        r = OUTPUT_E_LARGE;
    else
        r = read_object(a, fd, (size_t)st.st_size, ret, ret_why);
    if (r == OUTPUT_E_LARGE)
        *ret_why = str_printf(a, "$WEFT_OUTPUT holds %lld bytes; at most %u are taken",
                              (long long)st.st_size, EXECUTOR_OUTPUT_BYTES);
    if (r)
        *ret = (struct str){0};
    if (fd >= 0)
        close(fd);
    discard(path);
    return r;
}

/* "40 half of it", "40": digits, at most 100. */
static bool parse_line(struct str line, int *ret_percent, struct str *ret_text)
{
    int64_t percent;
    size_t n = line.n;

    str_find(line, ' ', &n);
    if (n == 0 || n > 3 || line.p[0] == '-' || !str_int64(str_sub(line, 0, n), &percent) ||
        percent > 100)
        return false;
    *ret_percent = (int)percent;
    *ret_text = str_trim(str_sub(line, n, line.n));
    return true;
}

/* The last line that is one, from the end. */
static bool last_line(struct str s, bool whole, enum output_when when, int *ret_percent,
                      struct str *ret_text)
{
    size_t end = s.n;

    if (when == OUTPUT_LIVE)
        while (end && s.p[end - 1] != '\n')
            end--;
    while (end) {
        size_t begin;

        if (s.p[end - 1] == '\n')
            end--;
        for (begin = end; begin && s.p[begin - 1] != '\n';)
            begin--;
        if ((begin || whole) &&
            parse_line(str_trim(str_sub(s, begin, end - begin)), ret_percent, ret_text))
            return true;
        end = begin;
    }
    return false;
}

/* The last thing told is kept as a number: as good as the text, for seeing that nothing changed. */
static size_t hash_of(struct str s)
{
    size_t h = 5381;

    for (size_t i = 0; i < s.n; i++)
        h = h * 33 + (unsigned char)s.p[i];
    return h;
}

bool output_progress(struct output_progress *p, const char *path, enum output_when when,
                     int *ret_percent, struct buf *text)
{
    CLEANUP(memory_fd_closep) int fd = -1;
    char bytes[PROGRESS_BYTES];
    struct str line;
    struct stat st;
    off_t from;
    ssize_t n;

    fd = open_plain(path, &st);
    p->seen = fd != -1;
    if (fd < 0 || st.st_size == 0 ||
        (when == OUTPUT_LIVE && st.st_size == p->size && st.st_mtim.tv_sec == p->changed.tv_sec &&
         st.st_mtim.tv_nsec == p->changed.tv_nsec))
        return false;
    p->size = st.st_size;
    p->changed = st.st_mtim;
    from = st.st_size > (off_t)sizeof(bytes) ? st.st_size - (off_t)sizeof(bytes) : 0;
    n = pread(fd, bytes, sizeof(bytes), from);
    if (n <= 0 || !last_line((struct str){bytes, (size_t)n}, from == 0, when, ret_percent, &line))
        return false;
    line = str_sub(line, 0, TAIL_LINE_BYTES);
    if (p->told && p->percent == *ret_percent && p->text_hash == hash_of(line))
        return false;
    p->told = true;
    p->percent = *ret_percent;
    p->text_hash = hash_of(line);
    tail_clean(line, TAIL_LINE, text);
    return true;
}
