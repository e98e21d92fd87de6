/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

_Static_assert(sizeof(MEASURE_PAYLOAD) - 1 == 100, "figures are told for payloads of 100 bytes");

double measure_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int64_t measure_rss_kib(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    long pages = 0;

    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        measure_die("/proc/self/statm cannot be read");
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

int64_t measure_number(const char *text, int64_t min, const char *usage)
{
    int64_t n;

    if (str_int64(str_of(text), &n) && n >= min)
        return n;
    fputs(usage, stderr);
    exit(2);
}

void measure_die(const char *format, ...)
{
    va_list args;

    fputs("bench: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}
