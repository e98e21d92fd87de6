/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sentence.h"

#include "base/buf.h"

/* Longer names are compared by nobody's eye either. */
#define NAME_BYTES_MAX 64u

struct str sentence_quote(struct arena *a, struct str s)
{
    size_t n = s.n < SENTENCE_QUOTE_BYTES_MAX ? s.n : SENTENCE_QUOTE_BYTES_MAX;
    struct str quoted;
    struct buf b;

    /* The end of a cut text is not in the middle of a character. */
    while (n < s.n && n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    buf_init(&b, 6 * SENTENCE_QUOTE_BYTES_MAX + 16);
    buf_json(&b, str_sub(s, 0, n));
    if (n < s.n) {
        b.n--;
        buf_add(&b, STR("…\""));
    }
    quoted = str_copy(a, buf_str(&b));
    buf_deinit(&b);
    return quoted;
}

void sentence_nearest_init(struct sentence_nearest *n, struct str to)
{
    *n = (struct sentence_nearest){.to = to};
    /* A third of the letters may be wrong, and never more than three. */
    n->distance = (unsigned)(to.n > 9 ? 3 : to.n < 3 ? 1 : to.n / 3) + 1;
    if (to.n > NAME_BYTES_MAX || to.n == 0)
        n->distance = 0;
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that make one of the other, capital
 * letters aside; at least `limit` where it is that many ("optimal string alignment"). */
static unsigned distance(struct str a, struct str b, unsigned limit)
{
    unsigned rows[3][NAME_BYTES_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.n; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= a.n; i++) {
        unsigned best = row[0] = (unsigned)i;
        unsigned *spare = before;

        for (size_t j = 1; j <= b.n; j++) {
            unsigned change = lower(a.p[i - 1]) != lower(b.p[j - 1]);

            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + change);
            if (i > 1 && j > 1 && lower(a.p[i - 1]) == lower(b.p[j - 2]) &&
                lower(a.p[i - 2]) == lower(b.p[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
            best = least(best, row[j]);
        }
        if (best >= limit)
            return limit;
        before = above;
        above = row;
        row = spare;
    }
    return above[b.n];
}

void sentence_nearest_try(struct sentence_nearest *n, struct str name)
{
    size_t gap = name.n > n->to.n ? name.n - n->to.n : n->to.n - name.n;
    unsigned d;

    if (gap >= n->distance || name.n > NAME_BYTES_MAX || name.n == 0)
        return;
    d = distance(n->to, name, n->distance);
    if (d < n->distance) {
        n->distance = d;
        n->best = name;
    }
}
