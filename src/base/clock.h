/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock: times and durations.
 *
 * A timestamp is microseconds since 1970 UTC (`_at`, or `now`), a duration is microseconds (`_us`)
 * or what its name says. Durations are measured on the monotonic clock, which counts on while the
 * machine sleeps (CLOCK_BOOTTIME), never as the difference of two timestamps.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define CLOCK_MS 1000LL
#define CLOCK_S  1000000LL

int64_t clock_utc(void);
int64_t clock_monotonic(void);

/* The clocks of a simulation. */
struct clock_simulated {
    int64_t utc, monotonic;
};
/* Of this thread, from now on: these in place of the machine's; NULL: the machine's. They stay the
 * caller's, who moves them. */
void clock_simulate(const struct clock_simulated *c);

/* RFC 3339 in UTC with microseconds, "2026-03-08T07:30:00.000000Z", with a NUL behind it. A time
 * outside the years 0 … 9999 is written as the nearest within. */
#define CLOCK_TEXT_BYTES 28
struct str clock_text(int64_t at, char out[static CLOCK_TEXT_BYTES]);

/* RFC 3339 with any offset, with or without fraction (what is finer than a microsecond is cut). */
bool clock_parse(struct str s, int64_t *ret_at);

/* "1.5s", "300ms", "2m", "1h30m", "1d": numbers with a unit each (d h m s ms us), at least one,
 * none negative, the larger unit first and each once. */
bool clock_duration(struct str s, int64_t *ret_us);

#endif
