/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <assert.h>
#include <time.h>

#define DAY_S 86400LL

/* The times that RFC 3339 can write: the years 0 … 9999. */
#define CLOCK_AT_MIN (-62167219200LL * CLOCK_S)
#define CLOCK_AT_MAX (253402300800LL * CLOCK_S - 1)

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    int r = clock_gettime(id, &ts);

    assert(r == 0);
    return (int64_t)ts.tv_sec * CLOCK_S + ts.tv_nsec / 1000;
}

static _Thread_local const struct clock_simulated *simulated;

void clock_simulate(const struct clock_simulated *c)
{
    simulated = c;
}

int64_t clock_utc(void)
{
    return simulated ? simulated->utc : read_clock(CLOCK_REALTIME);
}

int64_t clock_monotonic(void)
{
    return simulated ? simulated->monotonic : read_clock(CLOCK_BOOTTIME);
}

/*
 * Days since 1970-01-01 and the civil date, in the proleptic Gregorian calendar. Years are counted
 * from March, so that the leap day is the last day of a year, and 400 years are one era of 146 097
 * days (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
 */
static int64_t days_of(int64_t year, int month, int day)
{
    int64_t y = year - (month <= 2) + 400; /* year 0 has its January before its March */
    int64_t era = y / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return (era - 1) * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    int64_t z = days + 719468 + 146097;
    int64_t era = z / 146097;
    int64_t of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;

    *ret_day = (int)(of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (int)(month < 10 ? month + 3 : month - 9);
    *ret_year = (int)(year + (era - 1) * 400 + (*ret_month <= 2));
}

/* A number of `n` digits and a byte behind it. */
static char *put_digits(char *out, int v, size_t n, char behind)
{
    for (size_t i = n; i-- > 0; v /= 10)
        out[i] = (char)('0' + v % 10);
    out[n] = behind;
    return out + n + 1;
}

struct str clock_text(int64_t at, char out[static CLOCK_TEXT_BYTES])
{
    int64_t seconds, days;
    int year, month, day, of_day;
    char *p;

    if (at < CLOCK_AT_MIN)
        at = CLOCK_AT_MIN;
    if (at > CLOCK_AT_MAX)
        at = CLOCK_AT_MAX;
    seconds = at / CLOCK_S - (at % CLOCK_S < 0);
    days = seconds / DAY_S - (seconds % DAY_S < 0);
    of_day = (int)(seconds - days * DAY_S);
    date_of(days, &year, &month, &day);
    p = put_digits(out, year, 4, '-');
    p = put_digits(p, month, 2, '-');
    p = put_digits(p, day, 2, 'T');
    p = put_digits(p, of_day / 3600, 2, ':');
    p = put_digits(p, of_day / 60 % 60, 2, ':');
    p = put_digits(p, of_day % 60, 2, '.');
    p = put_digits(p, (int)(at - seconds * CLOCK_S), 6, 'Z');
    *p = '\0';
    return (struct str){out, (size_t)(p - out)};
}

/* Take `n` digits from the start of *s; -1 where they are not there. */
static int take_digits(struct str *s, size_t n)
{
    int v = 0;

    if (s->n < n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return -1;
        v = v * 10 + (s->p[i] - '0');
    }
    *s = str_sub(*s, n, s->n);
    return v;
}

static bool take_byte(struct str *s, const char *any_of)
{
    if (!s->n || !s->p[0] || !strchr(any_of, s->p[0]))
        return false;
    *s = str_sub(*s, 1, s->n);
    return true;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static bool take_date(struct str *s, int64_t *ret_days)
{
    int year, month, day;

    year = take_digits(s, 4);
    if (year < 0 || !take_byte(s, "-"))
        return false;
    month = take_digits(s, 2);
    if (month < 1 || month > 12 || !take_byte(s, "-"))
        return false;
    day = take_digits(s, 2);
    if (day < 1 || day > days_in(year, month))
        return false;
    *ret_days = days_of(year, month, day);
    return true;
}

static bool take_time(struct str *s, int64_t *ret_seconds, bool *ret_leap)
{
    int hour, minute, second;

    hour = take_digits(s, 2);
    if (hour < 0 || hour > 23 || !take_byte(s, ":"))
        return false;
    minute = take_digits(s, 2);
    if (minute < 0 || minute > 59 || !take_byte(s, ":"))
        return false;
    second = take_digits(s, 2);
    if (second < 0 || second > 60)
        return false;
    *ret_leap = second == 60;
    *ret_seconds = hour * 3600 + minute * 60 + second;
    return true;
}

/* Microseconds of ".5", 0 where there is no fraction; what is finer is cut. */
static bool take_fraction(struct str *s, int64_t *ret_us)
{
    int64_t unit = CLOCK_S / 10;

    *ret_us = 0;
    if (!take_byte(s, "."))
        return true;
    if (!s->n || s->p[0] < '0' || s->p[0] > '9')
        return false;
    while (s->n && s->p[0] >= '0' && s->p[0] <= '9') {
        *ret_us += (s->p[0] - '0') * unit;
        unit /= 10;
        *s = str_sub(*s, 1, s->n);
    }
    return true;
}

static bool take_offset(struct str *s, int64_t *ret_seconds)
{
    int hour, minute;
    bool west;

    *ret_seconds = 0;
    if (take_byte(s, "Zz"))
        return true;
    west = s->n && s->p[0] == '-';
    if (!take_byte(s, "+-"))
        return false;
    hour = take_digits(s, 2);
    if (hour < 0 || hour > 23 || !take_byte(s, ":"))
        return false;
    minute = take_digits(s, 2);
    if (minute < 0 || minute > 59)
        return false;
    *ret_seconds = (hour * 3600 + minute * 60) * (west ? -1 : 1);
    return true;
}

bool clock_parse(struct str s, int64_t *ret_at)
{
    int64_t days, of_day, us, offset, seconds, at;
    bool leap;

    if (!take_date(&s, &days) || !take_byte(&s, "Tt ") || !take_time(&s, &of_day, &leap) ||
        !take_fraction(&s, &us) || !take_offset(&s, &offset) || s.n)
        return false;
    seconds = days * DAY_S + of_day - offset;
    /* A leap second ends a UTC day, and Unix counts it as the first second of the next one. */
    if (leap && seconds % DAY_S != 0)
        return false;
    at = seconds * CLOCK_S + us;
    if (at < CLOCK_AT_MIN || at > CLOCK_AT_MAX)
        return false;
    *ret_at = at;
    return true;
}

/* Take "1.5" from the start of *s, as a whole number of units and billionths of one; finer is cut.
 */
static bool take_number(struct str *s, int64_t *ret_whole, int64_t *ret_billionths)
{
    int64_t digit = 100000000;
    size_t n = 0;

    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    if (!str_int64(str_sub(*s, 0, n), ret_whole))
        return false;
    *s = str_sub(*s, n, s->n);
    *ret_billionths = 0;
    if (!take_byte(s, "."))
        return true;
    for (n = 0; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++, digit /= 10)
        *ret_billionths += (s->p[n] - '0') * digit;
    *s = str_sub(*s, n, s->n);
    return n > 0;
}

/* The largest unit first, the order in which a duration names them. */
static const struct {
    struct str name;
    int64_t us;
} units[] = {
    {{"d", 1},  86400 * CLOCK_S},
    {{"h", 1},  3600 * CLOCK_S },
    {{"m", 1},  60 * CLOCK_S   },
    {{"s", 1},  CLOCK_S        },
    {{"ms", 2}, CLOCK_MS       },
    {{"us", 2}, 1              },
};
#define UNITS_N (sizeof(units) / sizeof(units[0]))

/* Take a unit's name, which ends at the next digit; UNITS_N where it is none. */
static size_t take_unit(struct str *s)
{
    size_t n = 0;

    while (n < s->n && s->p[n] >= 'a' && s->p[n] <= 'z')
        n++;
    for (size_t u = 0; u < UNITS_N; u++) {
        if (str_eq(str_sub(*s, 0, n), units[u].name)) {
            *s = str_sub(*s, n, s->n);
            return u;
        }
    }
    return UNITS_N;
}

bool clock_duration(struct str s, int64_t *ret_us)
{
    int64_t total = 0;
    size_t next =
        0; /* units from here on may still come: each once, the larger before the smaller */

    do {
        int64_t whole, billionths, us;
        size_t u;

        if (!take_number(&s, &whole, &billionths))
            return false;
        u = take_unit(&s);
        if (u < next || u == UNITS_N)
            return false;
        next = u + 1;
        if (__builtin_mul_overflow(whole, units[u].us, &us) ||
            __builtin_add_overflow(total, us, &total) ||
            /* a day in microseconds times a billion passes 63 bits */
            __builtin_add_overflow(
                total, (int64_t)((__int128)billionths * units[u].us / 1000000000), &total))
            return false;
    } while (s.n);
    *ret_us = total;
    return true;
}
