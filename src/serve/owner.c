/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"

/* "sqlite:PATH" without what stands behind "?"; empty for what is no file. */
static struct str path_of(struct str url)
{
    const struct str scheme = STR("sqlite:");
    struct str path;
    size_t end;

    if (!str_starts(url, scheme))
        return STR("");
    path = str_sub(url, scheme.n, url.n);
    if (str_find(path, '?', &end))
        path = str_sub(path, 0, end);
    return str_eq(path, STR(":memory:")) ? STR("") : path;
}

static int make_folder(struct arena *a, struct str path)
{
    size_t n = path.n;

    while (n > 0 && path.p[n - 1] != '/')
        n--;
    return n > 1 ? file_mkdirs(str_cstr(a, str_sub(path, 0, n - 1))) : 0;
}

int owner_take(struct owner *o, struct str url, int64_t *ret_pid)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct str path = path_of(url);
    struct arena a = {0};
    int r = 0;

    *o = (struct owner){.fd = -1};
    *ret_pid = 0;
    if (path.n == 0)
        return 0;
    r = make_folder(&a, path);
    if (r) {
        arena_deinit(&a);
        return r;
    }
    o->fd = open(str_printf(&a, STR_FMT ".server", STR_ARG(path)).p, O_RDWR | O_CREAT | O_CLOEXEC,
                 0644);
    arena_deinit(&a);
    if (o->fd < 0)
        return fault(-errno);
    /* No child inherits a lock of this kind. */
    if (fcntl(o->fd, F_SETLK, &lock) == 0)
        return 0;
    r = errno;
    if (r == EAGAIN || r == EACCES) {
        if (fcntl(o->fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
            *ret_pid = lock.l_pid;
        owner_drop(o);
        return OWNER_E_TAKEN;
    }
    owner_drop(o);
    return fault(-r);
}

void owner_drop(struct owner *o)
{
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
}
