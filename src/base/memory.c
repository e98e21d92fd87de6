/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *have(void *p)
{
    static const char line[] = "weft: out of memory\n";

    if (p)
        return p;
    /* Nothing here may allocate, and no caller is prepared to go on. */
    if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
        abort();
    abort();
}

void *memory_new(size_t size)
{
    return have(calloc(1, size ? size : 1));
}

void *memory_grow(void *p, size_t size)
{
    return have(realloc(p, size ? size : 1));
}

char *memory_text(const char *text)
{
    return have(strdup(text));
}

void memory_freep(void *pointer_to_pointer)
{
    void *p;

    memcpy(&p, pointer_to_pointer, sizeof(p));
    free(p);
}

void memory_fd_closep(int *fd)
{
    int before = errno;

    if (*fd >= 0)
        close(*fd);
    errno = before;
}
