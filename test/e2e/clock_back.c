/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wall clock that somebody sets back: preloaded into a program, it tells the time of an hour ago
 * as soon as the file $CLOCK_BACK exists. The monotonic clocks go on as they are.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HOUR_S 3600

int clock_gettime(clockid_t id, struct timespec *ts)
{
    const char *path = getenv("CLOCK_BACK");
    int r = (int)syscall(SYS_clock_gettime, id, ts);

    if (!r && id == CLOCK_REALTIME && path && access(path, F_OK) == 0)
        ts->tv_sec -= HOUR_S;
    return r;
}
