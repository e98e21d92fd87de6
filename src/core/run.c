/* SPDX-License-Identifier: Apache-2.0 */
#include "core/run.h"

#include <assert.h>

#include "core/diagram.h"

static const struct str state_texts[] = {
#define RUN_TEXT(name) [RUN_##name] = {#name, sizeof(#name) - 1},
    RUN_STATES(RUN_TEXT)
#undef RUN_TEXT
};

static const struct str event_texts[] = {
#define RUN_EVENT_TEXT(name) [RUN_EVENT_##name] = {#name, sizeof(#name) - 1},
    RUN_EVENTS(RUN_EVENT_TEXT)
#undef RUN_EVENT_TEXT
};

static const struct str reason_texts[] = {
#define RUN_REASON_TEXT(name, text) [RUN_REASON_##name] = {text, sizeof(text) - 1},
    RUN_REASONS(RUN_REASON_TEXT)
#undef RUN_REASON_TEXT
};

static bool all_ended(const struct run *r)
{
    return r->open == 0;
}

static bool ended_badly(const struct run *r)
{
    return r->open == 0 && r->failed > 0;
}

static bool ended_early(const struct run *r)
{
    return r->open == 0 && r->cancelled > 0;
}

struct move {
    enum run_state state;
    enum run_event event;
    bool (*guard)(const struct run *r); /* NULL: always */
    enum run_state next;
    enum run_reason reason;
    const char *why;
};

/* The first row that matches is the move that is made; what has no row is refused. A row is one
 * line, so that the table can be read by its columns. */
/* clang-format off */
static const struct move moves[] = {
    {RUN_RUNNING,    RUN_EVENT_CANCEL, NULL,        RUN_CANCELLING, RUN_REASON_CANCELLED,    "it was cancelled, and its workers are told"},
    {RUN_RUNNING,    RUN_EVENT_ENDED,  ended_badly, RUN_FAILED,     RUN_REASON_TASKS_FAILED, "its last task ended, and some had failed"},
    {RUN_RUNNING,    RUN_EVENT_ENDED,  ended_early, RUN_CANCELLED,  RUN_REASON_CANCELLED,    "its last task ended, and some had been cancelled"},
    {RUN_RUNNING,    RUN_EVENT_ENDED,  all_ended,   RUN_SUCCEEDED,  RUN_REASON_NONE,         "its last task ended, and all had succeeded or were skipped"},
    {RUN_CANCELLING, RUN_EVENT_CANCEL, NULL,        RUN_CANCELLING, RUN_REASON_CANCELLED,    "it was cancelled before"},
    {RUN_CANCELLING, RUN_EVENT_ENDED,  all_ended,   RUN_CANCELLED,  RUN_REASON_CANCELLED,    "its last task ended after it was cancelled"},
    {RUN_FAILED,     RUN_EVENT_RETRY,  NULL,        RUN_RUNNING,    RUN_REASON_RETRIED,      "it failed and was given back"},
    {RUN_CANCELLED,  RUN_EVENT_RETRY,  NULL,        RUN_RUNNING,    RUN_REASON_RETRIED,      "it was cancelled and given back"},
};
/* clang-format on */
#define MOVES_N (sizeof(moves) / sizeof(moves[0]))

/* The invariants, after each move. */
static void run_check(const struct run *r)
{
    assert(r->open >= 0 && r->failed >= 0);
    assert(!run_final(r->state) || r->open == 0);
    assert(r->state != RUN_SUCCEEDED || (r->failed == 0 && r->cancelled == 0));
    assert(r->state != RUN_FAILED || r->failed > 0);
}

int run_move(struct run *r, enum run_event event, const char **ret_why)
{
    assert(event < RUN_EVENT_N);
    for (size_t i = 0; i < MOVES_N; i++) {
        const struct move *m = &moves[i];

        if (m->state != r->state || m->event != event || (m->guard && !m->guard(r)))
            continue;
        r->state = m->next;
        r->reason = m->reason;
        run_check(r);
        if (ret_why)
            *ret_why = m->why;
        return 0;
    }
    return RUN_E_REFUSED;
}

bool run_final(enum run_state s)
{
    return s == RUN_SUCCEEDED || s == RUN_FAILED || s == RUN_CANCELLED;
}

struct str run_state_text(enum run_state s)
{
    assert(s < RUN_STATE_N);
    return state_texts[s];
}

bool run_state_parse(struct str s, enum run_state *ret)
{
    size_t i;

    if (!str_index(s, state_texts, RUN_STATE_N, &i))
        return false;
    *ret = (enum run_state)i;
    return true;
}

struct str run_reason_text(enum run_reason r)
{
    assert(r < RUN_REASON_N);
    return reason_texts[r];
}

void run_diagram(struct buf *out)
{
    struct diagram_move drawn[MOVES_N];

    for (size_t i = 0; i < MOVES_N; i++)
        drawn[i] = (struct diagram_move){state_texts[moves[i].state], event_texts[moves[i].event],
                                         state_texts[moves[i].next]};
    diagram_print(out, state_texts[RUN_RUNNING], drawn, MOVES_N);
}
