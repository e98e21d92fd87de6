/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pattern.h"

#include <assert.h>
#include <locale.h>
#include <regex.h>

/* The cost of a pattern as it is read: a character or set costs 1, a group what is in it, and a
 * repetition as many times as the C library would copy what is repeated. */
struct cost {
    unsigned open[PATTERN_BYTES_MAX]; /* what stood before each open group */
    unsigned depth;
    unsigned sum;  /* of the innermost open group */
    unsigned last; /* of what a repetition would repeat */
    bool extra;    /* a ')' closes nothing */
};

static void add(struct cost *c, unsigned cost)
{
    c->last = cost;
    c->sum += cost;
}

static void repeat(struct cost *c, unsigned times)
{
    if (times > 1) {
        c->sum += c->last * (times - 1);
        c->last *= times;
    }
}

/* The byte behind a set, which begins at `at` with its '['. */
static size_t skip_set(struct str s, size_t at)
{
    at++;
    if (at < s.n && s.p[at] == '^')
        at++;
    if (at < s.n && s.p[at] == ']')
        at++;
    for (; at < s.n && s.p[at] != ']'; at++) {
        char kind = at + 1 < s.n && s.p[at] == '[' ? s.p[at + 1] : '\0';

        if (kind != ':' && kind != '.' && kind != '=')
            continue;
        for (at += 2; at + 1 < s.n && !(s.p[at] == kind && s.p[at + 1] == ']'); at++)
            ;
        at++;
    }
    return at + 1;
}

/* Read "{2,5}" at `at`; returns the byte behind it, and how often that copies. What is no bound is
 * a character, or an error that the C library finds. */
static size_t read_bound(struct str s, size_t at, unsigned *ret_times)
{
    unsigned numbers[2] = {0, 0};
    bool comma = false;

    for (at++; at < s.n && s.p[at] != '}'; at++) {
        unsigned *n = &numbers[comma];

        if (s.p[at] == ',')
            comma = true;
        else if (s.p[at] >= '0' && s.p[at] <= '9' && *n <= PATTERN_COST_MAX)
            *n = *n * 10 + (unsigned)(s.p[at] - '0');
    }
    *ret_times = numbers[1] > numbers[0] ? numbers[1] : numbers[0] + comma;
    return at + 1;
}

/* Read what stands at `at`; returns the byte behind it. */
static size_t read_piece(struct cost *c, struct str s, size_t at)
{
    unsigned times;

    switch (s.p[at]) {
    case '\\':
        add(c, 1);
        return at + 2;
    case '[':
        add(c, 1);
        return skip_set(s, at);
    case '(':
        c->open[c->depth++] = c->sum;
        c->sum = 1;
        return at + 1;
    case ')':
        c->extra |= !c->depth;
        if (c->depth) {
            c->last = c->sum;
            c->sum += c->open[--c->depth];
        }
        return at + 1;
    case '+':
        repeat(c, 2);
        return at + 1;
    case '{':
        at = read_bound(s, at, &times);
        repeat(c, times);
        return at;
    default:
        add(c, 1);
        return at + 1;
    }
}

static struct cost cost_of(struct str pattern)
{
    struct cost c = {0};
    size_t at = 0;

    while (at < pattern.n && c.sum <= PATTERN_COST_MAX)
        at = read_piece(&c, pattern, at);
    while (c.depth && c.sum <= PATTERN_COST_MAX)
        c.sum += c.open[--c.depth];
    return c;
}

static bool has_back_reference(struct str s)
{
    for (size_t i = 0; i + 1 < s.n; i++) {
        if (s.p[i] == '\\' && s.p[i + 1] >= '1' && s.p[i + 1] <= '9')
            return true;
        i += s.p[i] == '\\';
    }
    return false;
}

/* The C library reads characters by the locale of the thread, which is changed for the call. Where
 * there is none of UTF-8, characters are bytes. */
static locale_t enter_utf8(locale_t *ret_before)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);

    *ret_before = utf8 ? uselocale(utf8) : (locale_t)0;
    return utf8;
}

static void leave_utf8(locale_t utf8, locale_t before)
{
    if (!utf8)
        return;
    uselocale(before);
    freelocale(utf8);
}

static int compile(regex_t *re, const char *pattern)
{
    locale_t before, utf8 = enter_utf8(&before);
    int r = regcomp(re, pattern, REG_EXTENDED | REG_NOSUB);

    leave_utf8(utf8, before);
    return r;
}

int pattern_check(struct arena *a, struct str pattern, struct str *ret_error)
{
    char words[128];
    struct cost cost;
    regex_t re;
    int r;

    if (pattern.n > PATTERN_BYTES_MAX) {
        *ret_error = str_printf(a, "is longer than %u bytes", PATTERN_BYTES_MAX);
        return PATTERN_E_BAD;
    }
    if (str_find(pattern, '\0', NULL)) {
        *ret_error = STR("holds a NUL byte");
        return PATTERN_E_BAD;
    }
    if (has_back_reference(pattern)) {
        *ret_error = STR("refers back to a group (\\1), which is not allowed");
        return PATTERN_E_BAD;
    }
    cost = cost_of(pattern);
    if (cost.sum > PATTERN_COST_MAX) {
        *ret_error = str_printf(a, "repeats too much: written out it has more than %u characters",
                                PATTERN_COST_MAX);
        return PATTERN_E_BAD;
    }
    /* The C library takes it for a character, and would then close the group that pattern_match()
     * puts around the whole. */
    if (cost.extra) {
        *ret_error = STR("has a ) without a (; as a character it is written \\)");
        return PATTERN_E_BAD;
    }
    r = compile(&re, str_cstr(a, pattern));
    if (r) {
        regerror(r, &re, words, sizeof(words));
        *ret_error = str_printf(a, "is no POSIX extended regular expression: %s", words);
        return PATTERN_E_BAD;
    }
    regfree(&re);
    return 0;
}

bool pattern_match(struct str pattern, struct str value)
{
    struct arena a = {0};
    struct str whole;
    locale_t before, utf8;
    bool matches;
    regex_t re;
    int r;

    if (value.n > PATTERN_VALUE_BYTES_MAX || str_find(value, '\0', NULL))
        return false;
    whole = str_printf(&a, "^(" STR_FMT ")$", STR_ARG(pattern));
    r = compile(&re, whole.p);
    assert(r == 0);
    utf8 = enter_utf8(&before);
    matches = regexec(&re, str_cstr(&a, value), 0, NULL, 0) == 0;
    leave_utf8(utf8, before);
    regfree(&re);
    arena_deinit(&a);
    return matches;
}
