/* SPDX-License-Identifier: Apache-2.0 */
#include "core/retry.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

#include "base/buf.h"

#define RETRY_CAP_US (3600LL * 1000000)

static const struct str outcome_texts[] = {
#define OUTCOME_TEXT(name, text) [OUTCOME_##name] = {text, sizeof(text) - 1},
    OUTCOMES(OUTCOME_TEXT)
#undef OUTCOME_TEXT
};

struct str retry_outcome_text(enum outcome o)
{
    assert(o < OUTCOME_N);
    return outcome_texts[o];
}

bool retry_outcome_parse(struct str s, enum outcome *ret)
{
    size_t i;

    if (!str_index(s, outcome_texts, OUTCOME_N, &i))
        return false;
    *ret = (enum outcome)i;
    return true;
}

struct retry_policy retry_default(void)
{
    return (struct retry_policy){
        .max_attempts = 3,
        .cap_us = RETRY_CAP_US,
        .factor = 2,
        .outcomes = 1u << OUTCOME_LOST,
    };
}

struct retry_policy retry_asked(void)
{
    struct retry_policy p = retry_default();

    p.outcomes |= 1u << OUTCOME_FAILED | 1u << OUTCOME_TIMED_OUT;
    return p;
}

struct retry_policy retry_call(void)
{
    return (struct retry_policy){
        .max_attempts = 4,
        .base_us = 100 * 1000LL,
        .cap_us = 5 * 1000000LL,
        .factor = 2,
        .jitter = 0.25,
        .outcomes = 1u << OUTCOME_FAILED | 1u << OUTCOME_TIMED_OUT,
    };
}

static bool sensible(const struct retry_policy *p)
{
    return p->max_attempts >= 1 && p->max_attempts <= RETRY_ATTEMPTS_MAX && p->base_us >= 0 &&
           p->cap_us >= 0 && p->factor >= 1 && p->factor <= 100 && p->jitter >= 0 &&
           p->jitter <= 1 && p->outcomes < 1u << OUTCOME_N &&
           p->exit_codes_n <= RETRY_EXIT_CODES_MAX;
}

static bool retried(const struct retry_policy *p, enum outcome o, int exit_code)
{
    if (!(p->outcomes & 1u << o))
        return false;
    if (o != OUTCOME_FAILED || p->exit_codes_n == 0)
        return true;
    for (unsigned i = 0; i < p->exit_codes_n; i++)
        if (p->exit_codes[i] == exit_code)
            return true;
    return false;
}

/* The wait before attempt `attempt` + 1. The power may well be infinite, and is then the cap like
 * all that pass it. */
static int64_t backoff(const struct retry_policy *p, int64_t attempt, struct prng *prng)
{
    int64_t wait_us = p->cap_us, drawn;
    double exact;

    if (p->base_us == 0 || p->cap_us == 0)
        return 0;
    exact = (double)p->base_us * pow(p->factor, (double)(attempt - 1));
    if (exact < (double)p->cap_us)
        wait_us = (int64_t)exact;
    if (p->jitter == 0)
        return wait_us;
    assert(prng);
    drawn = (int64_t)((double)wait_us * p->jitter * prng_unit(prng));
    assert(drawn <= wait_us);
    return wait_us - drawn;
}

bool retry_decide(const struct retry_policy *p, int64_t attempt, enum outcome o, int exit_code,
                  struct prng *prng, int64_t *ret_wait_us)
{
    assert(sensible(p));
    assert(attempt >= 1);
    assert(o > OUTCOME_NONE && o < OUTCOME_N);
    if (attempt >= p->max_attempts || !retried(p, o, exit_code))
        return false;
    *ret_wait_us = backoff(p, attempt, prng);
    return true;
}

/* A number from 0 to 100 in millionths, which is the grain in which factor and jitter are kept. */
static void add_millionths(struct buf *b, double v)
{
    int64_t millionths = (int64_t)(v * 1e6 + 0.5);
    int64_t rest = millionths % 1000000;

    buf_printf(b, "%" PRId64, millionths / 1000000);
    if (rest == 0)
        return;
    buf_byte(b, '.');
    for (int64_t digit = 100000; rest; rest %= digit, digit /= 10)
        buf_byte(b, (char)('0' + rest / digit));
}

struct str retry_format(const struct retry_policy *p, char out[static RETRY_TEXT_BYTES])
{
    const char *comma = "";
    struct buf b;

    assert(sensible(p));
    buf_fixed(&b, out, RETRY_TEXT_BYTES);
    buf_printf(&b, "attempts=%" PRId64 " base=%" PRId64 " cap=%" PRId64 " factor=", p->max_attempts,
               p->base_us, p->cap_us);
    add_millionths(&b, p->factor);
    buf_add(&b, STR(" jitter="));
    add_millionths(&b, p->jitter);
    buf_add(&b, STR(" on="));
    for (unsigned o = OUTCOME_NONE + 1; o < OUTCOME_N; o++) {
        if (!(p->outcomes & 1u << o))
            continue;
        buf_printf(&b, "%s" STR_FMT, comma, STR_ARG(outcome_texts[o]));
        comma = ",";
    }
    buf_add(&b, STR(" exit="));
    for (unsigned i = 0; i < p->exit_codes_n; i++)
        buf_printf(&b, "%s%u", i ? "," : "", p->exit_codes[i]);
    assert(!b.full);
    return buf_str(&b);
}

/* What stands before the next `end`, or all that is left; *s goes behind it. */
static struct str take_until(struct str *s, char end)
{
    size_t at = s->n;
    struct str part;

    str_find(*s, end, &at);
    part = str_sub(*s, 0, at);
    *s = str_sub(*s, at + 1, s->n);
    return part;
}

/* The value of the next field, which must be `name`; the empty text, which no number is, where it
 * is another. */
static struct str take_field(struct str *s, struct str name)
{
    struct str field = take_until(s, ' ');

    return str_starts(field, name) ? str_sub(field, name.n, field.n) : STR("");
}

static bool parse_millionths(struct str s, double *ret)
{
    struct str whole = take_until(&s, '.');
    int64_t integer, rest = 0, millionths;

    if (s.n > 6 || !str_int64(whole, &integer) || integer < 0 || integer > 100 ||
        (s.n && (!str_int64(s, &rest) || rest < 0)))
        return false;
    for (size_t i = s.n; i < 6; i++)
        rest *= 10;
    millionths = integer * 1000000 + rest;
    *ret = (double)millionths / 1e6;
    return true;
}

static bool parse_outcomes(struct str s, uint32_t *ret)
{
    while (s.n) {
        enum outcome o;

        if (!retry_outcome_parse(take_until(&s, ','), &o))
            return false;
        *ret |= 1u << o;
    }
    return true;
}

static bool parse_exit_codes(struct str s, struct retry_policy *p)
{
    while (s.n) {
        int64_t code;

        if (p->exit_codes_n == RETRY_EXIT_CODES_MAX || !str_int64(take_until(&s, ','), &code) ||
            code < 0 || code > UINT8_MAX)
            return false;
        p->exit_codes[p->exit_codes_n++] = (uint8_t)code;
    }
    return true;
}

bool retry_parse(struct str s, struct retry_policy *ret)
{
    struct retry_policy p = {0};
    struct str rest = s;
    char again[RETRY_TEXT_BYTES];

    if (!str_int64(take_field(&rest, STR("attempts=")), &p.max_attempts) ||
        !str_int64(take_field(&rest, STR("base=")), &p.base_us) ||
        !str_int64(take_field(&rest, STR("cap=")), &p.cap_us) ||
        !parse_millionths(take_field(&rest, STR("factor=")), &p.factor) ||
        !parse_millionths(take_field(&rest, STR("jitter=")), &p.jitter) ||
        !parse_outcomes(take_field(&rest, STR("on=")), &p.outcomes) ||
        !parse_exit_codes(take_field(&rest, STR("exit=")), &p) || !sensible(&p))
        return false;
    /* There is one spelling of each policy: whatever else got through the above differs from it. */
    if (!str_eq(s, retry_format(&p, again)))
        return false;
    *ret = p;
    return true;
}
