/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX 4000u

/* 2026-01-01, and a machine that has run for a while. */
#define BEGIN_UTC       (1767225600 * CLOCK_S)
#define BEGIN_MONOTONIC (1000 * CLOCK_S)

/* What is to happen: a binary heap. */

static bool before(const struct happening *a, const struct happening *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct happening *a, struct happening *b)
{
    struct happening c = *a;

    *a = *b;
    *b = c;
}

static void heap_add(struct sim *s, const struct happening *h)
{
    size_t i = s->heap_n++;

    s->heap[i] = *h;
    for (; i && before(&s->heap[i], &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&s->heap[i], &s->heap[(i - 1) / 2]);
}

static struct happening heap_take(struct sim *s)
{
    struct happening first = s->heap[0];
    size_t i = 0;

    s->heap[0] = s->heap[--s->heap_n];
    for (;;) {
        size_t least = i;

        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < s->heap_n; child++)
            if (before(&s->heap[child], &s->heap[least]))
                least = child;
        if (least == i)
            return first;
        swap(&s->heap[i], &s->heap[least]);
        i = least;
    }
}

void world_plan(struct sim *s, int64_t in_us, world_event *event, void *what, int64_t number)
{
    const struct happening h = {
        .at = s->clock.monotonic + (in_us > 0 ? in_us : 0),
        .order = s->order++,
        .event = event,
        .what = what,
        .number = number,
    };

    ARENA_ROOM(&s->memory, s->heap, s->heap_n, s->heap_cap, 256);
    heap_add(s, &h);
}

int64_t world_now(const struct sim *s)
{
    return s->clock.monotonic;
}

bool world_step(struct sim *s)
{
    struct happening h;

    if (!s->heap_n || s->result->check)
        return false;
    h = heap_take(s);
    s->clock.utc += h.at - s->clock.monotonic;
    s->clock.monotonic = h.at;
    s->steps++;
    h.event(s, h.what, h.number);
    return true;
}

/* The transcript. */

/* FNV-1a. */
static void hash_line(struct sim *s, struct str line)
{
    for (size_t i = 0; i < line.n; i++)
        s->hash = (s->hash ^ (unsigned char)line.p[i]) * 0x100000001b3ULL;
}

void world_say(struct sim *s, const char *format, ...)
{
    int64_t at = s->clock.monotonic - BEGIN_MONOTONIC;
    va_list args;

    if (!world_says(s))
        return;
    buf_clear(&s->line);
    buf_printf(&s->line, "[%5" PRId64 ".%06" PRId64 "] ", (int64_t)(at / CLOCK_S),
               (int64_t)(at % CLOCK_S));
    va_start(args, format);
    buf_vprintf(&s->line, format, args);
    va_end(args);
    buf_byte(&s->line, '\n');
    hash_line(s, buf_str(&s->line));
    if (s->o.trace)
        fwrite(buf_str(&s->line).p, 1, buf_str(&s->line).n, s->o.trace);
}

void world_fail(struct sim *s, const char *check, const char *format, ...)
{
    struct sim_result *r = s->result;
    struct buf text;
    va_list args;

    if (r->check)
        return;
    r->check = check;
    buf_fixed(&text, r->text, sizeof(r->text));
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    world_say(s, "FAILED %s: %s", check, r->text);
}

/* Life. */

void world_init(struct sim *s, const struct sim_options *o, struct sim_result *result)
{
    *s = (struct sim){
        .o = *o,
        .clock = {.utc = BEGIN_UTC, .monotonic = BEGIN_MONOTONIC},
        .hash = 0xcbf29ce484222325ULL,
        .result = result
    };
    s->calm_at = BEGIN_MONOTONIC + o->profile.storm_us;
    buf_init(&s->line, LINE_BYTES_MAX);
    s->nemesis.whose = STREAM_NEMESIS;
    clock_simulate(&s->clock);
}

void world_deinit(struct sim *s)
{
    clock_simulate(NULL);
    s->result->steps = s->steps;
    s->result->hash = s->hash;
    s->result->us = s->clock.monotonic - BEGIN_MONOTONIC;
    s->result->faults_n = s->faults_n;
    if (s->faults_n) {
        s->result->faults = malloc(s->faults_n * sizeof(*s->faults));
        memcpy(s->result->faults, s->faults, s->faults_n * sizeof(*s->faults));
    }
    buf_deinit(&s->line);
    arena_deinit(&s->memory);
}
