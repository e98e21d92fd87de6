/* SPDX-License-Identifier: Apache-2.0 */
#include "core/breaker.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/diagram.h"

static const struct str state_texts[] = {
#define BREAKER_TEXT(name) [BREAKER_##name] = {#name, sizeof(#name) - 1},
    BREAKER_STATES(BREAKER_TEXT)
#undef BREAKER_TEXT
};

static const struct str event_texts[] = {
#define BREAKER_EVENT_TEXT(name) [BREAKER_EVENT_##name] = {#name, sizeof(#name) - 1},
    BREAKER_EVENTS(BREAKER_EVENT_TEXT)
#undef BREAKER_EVENT_TEXT
};

struct breaker_policy breaker_default(void)
{
    return (struct breaker_policy){
        .failures_max = 5,
        .open_us = 60 * 1000000LL,
        .successes_min = 3,
    };
}

/* A move while it is made. */
struct step {
    struct breaker *b;
    const struct breaker_policy *p;
    int64_t now;
};

/* A clock that was set back does not shorten the wait. */
static bool waited(const struct step *s)
{
    int64_t passed;

    return s->now > s->b->at && !__builtin_sub_overflow(s->now, s->b->at, &passed) &&
           passed >= s->p->open_us;
}

static bool last_failure(const struct step *s)
{
    return s->b->failures + 1 >= s->p->failures_max;
}

static bool last_success(const struct step *s)
{
    return s->b->successes + 1 >= s->p->successes_min;
}

static bool trial_free(const struct step *s)
{
    return s->b->trials < s->p->successes_min;
}

static void start(struct step *s)
{
    *s->b = (struct breaker){.state = s->b->state};
}

static void fail(struct step *s)
{
    s->b->failures++;
    s->b->at = s->now;
}

static void open(struct step *s)
{
    *s->b = (struct breaker){.state = s->b->state, .at = s->now};
}

static void first_trial(struct step *s)
{
    *s->b = (struct breaker){.state = s->b->state, .trials = 1, .at = s->now};
}

static void trial(struct step *s)
{
    s->b->trials++;
    s->b->at = s->now;
}

static void succeed(struct step *s)
{
    s->b->successes++;
    s->b->trials -= s->b->trials > 0;
}

struct move {
    enum breaker_state state;
    enum breaker_event event;
    bool (*guard)(const struct step *s); /* NULL: always */
    enum breaker_state next;
    void (*action)(struct step *s); /* NULL: none */
    const char *why;
};

/* The first row that matches is the move that is made; what has no row is refused. */
/* clang-format off */
static const struct move moves[] = {
    {BREAKER_CLOSED,    BREAKER_EVENT_ASK,     NULL,         BREAKER_CLOSED,    NULL,        "it is closed"},
    {BREAKER_CLOSED,    BREAKER_EVENT_SUCCEED, NULL,         BREAKER_CLOSED,    start,       "a call succeeded"},
    {BREAKER_CLOSED,    BREAKER_EVENT_FAIL,    last_failure, BREAKER_OPEN,      open,        "as many calls failed in a row as it takes"},
    {BREAKER_CLOSED,    BREAKER_EVENT_FAIL,    NULL,         BREAKER_CLOSED,    fail,        "a call failed"},
    {BREAKER_OPEN,      BREAKER_EVENT_ASK,     waited,       BREAKER_HALF_OPEN, first_trial, "it was open for long enough, and a call is tried"},
    {BREAKER_OPEN,      BREAKER_EVENT_SUCCEED, NULL,         BREAKER_OPEN,      NULL,        "a call from before succeeded"},
    {BREAKER_OPEN,      BREAKER_EVENT_FAIL,    NULL,         BREAKER_OPEN,      NULL,        "a call from before failed"},
    {BREAKER_HALF_OPEN, BREAKER_EVENT_ASK,     waited,       BREAKER_HALF_OPEN, first_trial, "nobody has told how the trials came out"},
    {BREAKER_HALF_OPEN, BREAKER_EVENT_ASK,     trial_free,   BREAKER_HALF_OPEN, trial,       "another call is tried"},
    {BREAKER_HALF_OPEN, BREAKER_EVENT_SUCCEED, last_success, BREAKER_CLOSED,    start,       "as many trials succeeded as it takes"},
    {BREAKER_HALF_OPEN, BREAKER_EVENT_SUCCEED, NULL,         BREAKER_HALF_OPEN, succeed,     "a trial succeeded"},
    {BREAKER_HALF_OPEN, BREAKER_EVENT_FAIL,    NULL,         BREAKER_OPEN,      open,        "a trial failed"},
};
/* clang-format on */
#define MOVES_N (sizeof(moves) / sizeof(moves[0]))

int breaker_move(struct breaker *b, enum breaker_event event, const struct breaker_policy *p,
                 int64_t now, const char **ret_why)
{
    struct step s = {b, p, now};

    assert(b->state < BREAKER_STATE_N && event < BREAKER_EVENT_N);
    assert(p->failures_max >= 1 && p->open_us >= 0 && p->successes_min >= 1);
    for (size_t i = 0; i < MOVES_N; i++) {
        const struct move *m = &moves[i];

        if (m->state != b->state || m->event != event || (m->guard && !m->guard(&s)))
            continue;
        b->state = m->next;
        if (m->action)
            m->action(&s);
        if (ret_why)
            *ret_why = m->why;
        return 0;
    }
    return BREAKER_E_REFUSED;
}

int64_t breaker_next_at(const struct breaker *b, const struct breaker_policy *p)
{
    int64_t at;

    if (b->state == BREAKER_CLOSED ||
        (b->state == BREAKER_HALF_OPEN && b->trials < p->successes_min))
        return b->at;
    return __builtin_add_overflow(b->at, p->open_us, &at) ? INT64_MAX : at;
}

struct str breaker_state_text(enum breaker_state s)
{
    assert(s < BREAKER_STATE_N);
    return state_texts[s];
}

void breaker_diagram(struct buf *out)
{
    struct diagram_move drawn[MOVES_N];

    for (size_t i = 0; i < MOVES_N; i++)
        drawn[i] = (struct diagram_move){state_texts[moves[i].state], event_texts[moves[i].event],
                                         state_texts[moves[i].next]};
    diagram_print(out, state_texts[BREAKER_CLOSED], drawn, MOVES_N);
}
