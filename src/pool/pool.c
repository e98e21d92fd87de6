/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/pool.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "pool/pool_state.h"

#define SESSIONS_DEFAULT 1u

struct pool_settings pool_default(unsigned cpus)
{
    return (struct pool_settings){
        .size = 2 * cpus,
        .overflow = 2,
        .start_batch = cpus,
        .in_flight = 1,
        .sessions = SESSIONS_DEFAULT,
        .waiting_max = 1000,
        .message_bytes_max = FRAME_BYTES_DEFAULT,
        .queue_wait_us = 5 * CLOCK_S,
        .call_us = 30 * CLOCK_S,
        .session_idle_us = 3600 * CLOCK_S,
        .start_us = 30 * CLOCK_S,
        .ping_us = 5 * CLOCK_S,
        .health_us = 30 * CLOCK_S,
        .suspect_us = 5 * CLOCK_S,
        .overflow_idle_us = 30 * CLOCK_S,
        .drain_us = 30 * CLOCK_S,
    };
}

static void take(struct pool *p, const struct pool_settings *settings)
{
    p->settings = *settings;
    p->settings.name = str_of(p->name);
    p->lend.waiting_max = settings->waiting_max;
    buf_deinit(&p->out);
    buf_init(&p->out, settings->message_bytes_max + FRAME_HEAD_BYTES);
}

struct pool *pool_new(const struct pool_settings *settings, const struct pool_wire *wire,
                      uint64_t seed, int64_t now)
{
    struct pool *p = memory_new(sizeof(*p));
    size_t n = settings->name.n;

    p->name = memory_new(n + 1);
    if (n)
        memcpy(p->name, settings->name.p, n);
    p->wire = *wire;
    prng_seed(&p->prng, seed);
    lend_init(&p->lend, settings->waiting_max);
    list_init(&p->processes);
    list_init(&p->session_list);
    list_init(&p->ended);
    p->by_id = map_new();
    p->sessions = map_new();
    take(p, settings);
    pool_keep(p, now);
    return p;
}

struct pool *pool_free(struct pool *p)
{
    if (!p)
        return NULL;
    assert(list_empty(&p->processes) && list_empty(&p->ended));
    pool_session_free_all(p);
    lend_deinit(&p->lend);
    map_free(p->by_id);
    map_free(p->sessions);
    heap_deinit(&p->calls_due);
    heap_deinit(&p->processes_due);
    heap_deinit(&p->sessions_due);
    buf_deinit(&p->out);
    free(p->name);
    free(p);
    return NULL;
}

void pool_recycle(struct pool *p, int64_t now)
{
    LIST_EACH(it, &p->processes)
    POOL_PROCESS_OF(it)->recycle = RECYCLE_ASKED;
    pool_keep(p, now);
}

void pool_set(struct pool *p, const struct pool_settings *settings, bool renew, int64_t now)
{
    take(p, settings);
    if (renew)
        pool_recycle(p, now);
    pool_keep(p, now);
}

void pool_drain(struct pool *p, int64_t grace_us, int64_t now)
{
    p->draining = true;
    p->drain_us = now + grace_us;
    pool_call_refuse_waiting(p, CODE_UNAVAILABLE, "the pool is about to end");
    LIST_EACH_SAFE(it, &p->processes)
    pool_process_drain(p, POOL_PROCESS_OF(it), "the pool is about to end", now);
}

bool pool_over(const struct pool *p)
{
    return p->draining && list_empty(&p->processes);
}

/* What processes say. */

char *pool_room(struct pool *p, uint64_t id, size_t *ret_n)
{
    struct pool_process *w = pool_process_find(p, id);

    return w && !w->deaf && !w->held ? frame_room(&w->reader, ret_n) : NULL;
}

/* Whether the head of a frame is four characters of a text that was printed. */
static bool is_text(struct str head)
{
    for (size_t i = 0; i < head.n; i++)
        if (head.p[i] != '\n' && head.p[i] != '\t' && (head.p[i] < ' ' || head.p[i] > '~'))
            return false;
    return head.n == FRAME_HEAD_BYTES;
}

static void lose_for_length(struct pool *p, struct pool_process *w, uint32_t length, int64_t now)
{
    char text[POOL_TEXT_BYTES];
    struct buf b;

    buf_fixed(&b, text, sizeof(text));
    if (is_text(frame_rest(&w->reader, FRAME_HEAD_BYTES))) {
        buf_add(&b, STR("it printed text to stdout, which belongs to the protocol: "));
        buf_json(&b, frame_rest(&w->reader, 40));
    } else {
        buf_printf(&b, "it announced a frame of %" PRIu32 " bytes", length);
    }
    pool_process_lose(p, w, buf_str(&b), now);
}

static void lose_for_message(struct pool *p, struct pool_process *w, const char *why, int64_t now)
{
    char text[POOL_TEXT_BYTES];

    snprintf(text, sizeof(text), "it wrote a frame that %s", why);
    pool_process_lose(p, w, str_of(text), now);
}

/* One frame; false: there is no whole one, or nothing is read any more. */
static bool read_one(struct pool *p, uint64_t id, int64_t now)
{
    struct pool_process *w = pool_process_find(p, id);
    struct message_reply reply;
    struct str text;
    uint32_t length;
    const char *why;
    int r;

    if (!w || w->deaf || w->held)
        return false;
    r = frame_next(&w->reader, &text, &length);
    if (r == FRAME_E_MORE)
        return false;
    if (r == FRAME_E_LENGTH)
        lose_for_length(p, w, length, now);
    else if (message_read(text, &reply, &why))
        lose_for_message(p, w, why, now);
    else
        pool_process_heard(p, w, &reply, now);
    return true;
}

void pool_bytes(struct pool *p, uint64_t id, size_t n, int64_t now)
{
    struct pool_process *w = pool_process_find(p, id);

    if (!w || w->deaf)
        return;
    frame_came(&w->reader, n);
    while (read_one(p, id, now))
        ;
    pool_call_tell(p);
}

void pool_memory(struct pool *p, uint64_t id, int64_t bytes, int64_t now)
{
    struct pool_process *w = pool_process_find(p, id);
    char text[POOL_TEXT_BYTES];

    if (!w)
        return;
    w->memory_bytes = bytes;
    if (p->settings.memory_limit_bytes && bytes > p->settings.memory_limit_bytes) {
        snprintf(text, sizeof(text), "it took %" PRId64 " bytes of memory, and may take %" PRId64,
                 bytes, p->settings.memory_limit_bytes);
        pool_process_lose(p, w, str_of(text), now);
    }
    pool_keep(p, now);
    pool_call_tell(p);
}

/* Time. */

static int64_t first_due(const struct heap *h)
{
    return heap_first(h) ? heap_first(h)->key : INT64_MAX;
}

int64_t pool_next_us(const struct pool *p)
{
    int64_t due = first_due(&p->calls_due);
    int64_t other[] = {first_due(&p->processes_due), first_due(&p->sessions_due),
                       p->start_at_us && !p->draining ? p->start_at_us : INT64_MAX};

    for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++)
        due = other[i] < due ? other[i] : due;
    return due;
}

static void tick_processes(struct pool *p, int64_t now)
{
    while (first_due(&p->processes_due) <= now) {
        struct pool_process *w = LIST_OF(heap_first(&p->processes_due), struct pool_process, due);

        heap_del(&p->processes_due, &w->due);
        pool_process_due(p, w, now);
        /* Once a turn, whatever it found. */
        if (!w->due.at)
            pool_process_wake(p, w, now);
        if (w->due.at && w->due.key <= now)
            heap_set(&p->processes_due, &w->due, now + CLOCK_MS);
    }
}

void pool_tick(struct pool *p, int64_t now)
{
    while (first_due(&p->calls_due) <= now)
        pool_call_due(p, LIST_OF(heap_first(&p->calls_due), struct pool_call, due), now);
    tick_processes(p, now);
    while (first_due(&p->sessions_due) <= now)
        pool_session_due(p, LIST_OF(heap_first(&p->sessions_due), struct pool_session_state, due),
                         now);
    if (p->start_at_us && now >= p->start_at_us)
        p->start_at_us = 0;
    pool_keep(p, now);
    pool_call_tell(p);
}

/* How it is. */

void pool_counts(const struct pool *p, struct pool_counts *ret)
{
    *ret = p->counts;
    memcpy(ret->states, p->states, sizeof(ret->states));
    LIST_EACH(it, &p->processes)
    ret->busy += POOL_PROCESS_OF(it)->lent.used > 0;
    ret->waiting = p->lend.waiting;
    ret->sessions = p->sessions_n;
}

void pool_each(const struct pool *p, int64_t now,
               void (*look)(void *context, const struct pool_look *l), void *context)
{
    LIST_EACH(it, &p->processes)
    {
        const struct pool_process *w = POOL_PROCESS_OF(it);
        struct pool_look l = {
            .id = w->id,
            .state = w->state,
            .why = w->why,
            .age_us = now - w->asked_us,
            .calls = w->calls,
            .busy = w->lent.used,
            .sessions = w->lent.sessions_n,
            .memory_bytes = w->memory_bytes,
        };

        look(context, &l);
    }
}

static void check_process(const struct pool_process *w)
{
    unsigned calls = 0, late = 0, ends = 0, pings = 0;
    int64_t last = 0;

    LIST_EACH(it, &w->flights)
    {
        const struct pool_flight *f = LIST_OF(it, const struct pool_flight, link);

        assert(f->id > last && f->id <= w->last_id);
        last = f->id;
        calls += f->kind == POOL_FLIGHT_CALL;
        late += f->kind == POOL_FLIGHT_LATE;
        ends += f->kind == POOL_FLIGHT_END;
        pings += f->kind == POOL_FLIGHT_PING;
    }
    assert(calls == w->lent.used && late == w->late && ends == w->ends && pings == w->pinged);
    assert(w->lent.open == (w->state == WORKER_READY));
    assert(!w->deaf || calls == 0);
}

void pool_check(const struct pool *p)
{
    unsigned states[WORKER_STATE_N] = {0};
    unsigned calls = 0;

    lend_check(&p->lend);
    LIST_EACH(it, &p->processes)
    {
        const struct pool_process *w = POOL_PROCESS_OF(it);

        check_process(w);
        states[w->state]++;
        calls += w->lent.used;
    }
    assert(memcmp(states, p->states, sizeof(states)) == 0);
    assert(calls == p->counts.calls);
}
