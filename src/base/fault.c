/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#include <errno.h>

#include "base/buf.h"

#define FAULT_TEXT_BYTES 1024u

static _Thread_local struct {
    int r;    /* the fault that is on its way; 0: none */
    size_t n; /* bytes of `way` */
    char way[FAULT_TEXT_BYTES];
    char taken[FAULT_TEXT_BYTES];
} trace;

/* The path from src/ on, as includes are written. */
static const char *shorten(const char *file)
{
    const char *from = strstr(file, "src/");

    return from ? from + 4 : file;
}

int fault_note(int r, const char *file, int line, const char *function)
{
    struct buf b;

    if (r == 0)
        return 0;
    if (r > 0)
        r = -ENOTRECOVERABLE;
    /* Another number is another fault: the one before was dealt with, and nobody took its way. */
    if (r != trace.r)
        trace.n = 0;
    trace.r = r;
    buf_fixed(&b, trace.way + trace.n, sizeof(trace.way) - trace.n);
    buf_printf(&b, "%s%s:%d %s", trace.n ? " < " : "", shorten(file), line, function);
    trace.n += b.n;
    return r;
}

const char *fault_take(void)
{
    memcpy(trace.taken, trace.way, trace.n);
    trace.taken[trace.n] = '\0';
    trace.n = 0;
    trace.r = 0;
    return trace.taken;
}
