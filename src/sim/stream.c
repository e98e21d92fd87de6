/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/stream.h"

#include "sim/world.h"

/* splitmix64's finish: each number of each stream is a number of its own. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

static uint64_t draw(const struct sim *s, uint32_t whose, uint32_t number)
{
    return mix(mix(s->o.seed * 0x9e3779b97f4a7c15ULL + whose) + number * 0x9e3779b97f4a7c15ULL);
}

uint64_t stream_draw(struct sim *s, struct stream *r)
{
    return draw(s, r->whose, r->number++);
}

int64_t stream_below(struct sim *s, struct stream *r, int64_t n)
{
    return (int64_t)(stream_draw(s, r) % (uint64_t)n);
}

int64_t stream_between(struct sim *s, struct stream *r, int64_t from, int64_t to)
{
    return from + stream_below(s, r, to - from + 1);
}

bool stream_chance(struct sim *s, struct stream *r, uint32_t per_million)
{
    return stream_draw(s, r) % 1000000 < per_million;
}

static bool is_left(const struct sim *s, uint32_t whose, uint32_t number)
{
    for (size_t i = 0; i < s->o.left_n; i++)
        if (s->o.left[i].whose == whose && s->o.left[i].number == number)
            return true;
    return false;
}

bool stream_fault(struct sim *s, struct stream *r, enum sim_fault f)
{
    uint32_t number = r->number;

    if (!stream_chance(s, r, s->o.profile.per_million[f]) || s->calm)
        return false;
    if (s->o.only && !is_left(s, r->whose, number))
        return false;
    ARENA_ROOM(&s->memory, s->faults, s->faults_n, s->faults_cap, 64);
    s->faults[s->faults_n++] = (struct sim_occasion){r->whose, number};
    s->result->coverage.faults[f]++;
    return true;
}
