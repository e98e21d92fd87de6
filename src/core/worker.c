/* SPDX-License-Identifier: Apache-2.0 */
#include "core/worker.h"

#include <assert.h>

#include "core/diagram.h"

static const struct str state_texts[] = {
#define WORKER_TEXT(name) [WORKER_##name] = {#name, sizeof(#name) - 1},
    WORKER_STATES(WORKER_TEXT)
#undef WORKER_TEXT
};

static const struct str event_texts[] = {
#define WORKER_EVENT_TEXT(name) [WORKER_EVENT_##name] = {#name, sizeof(#name) - 1},
    WORKER_EVENTS(WORKER_EVENT_TEXT)
#undef WORKER_EVENT_TEXT
};

struct move {
    enum worker_state state;
    enum worker_event event;
    enum worker_state next;
    const char *why;
};

/* What has no row is refused. LOST and GONE have none: whoever comes back is another incarnation.
 */
/* clang-format off */
static const struct move moves[] = {
    {WORKER_JOINING,  WORKER_EVENT_BEAT,   WORKER_READY,    "its first heartbeat came"},
    {WORKER_JOINING,  WORKER_EVENT_DRAIN,  WORKER_DRAINING, "it is to take no work"},
    {WORKER_JOINING,  WORKER_EVENT_EXPIRE, WORKER_LOST,     "its first heartbeat never came"},
    {WORKER_JOINING,  WORKER_EVENT_LEAVE,  WORKER_GONE,     "it left"},
    {WORKER_READY,    WORKER_EVENT_BEAT,   WORKER_READY,    "its heartbeat came"},
    {WORKER_READY,    WORKER_EVENT_QUIET,  WORKER_SUSPECT,  "its heartbeat is late"},
    {WORKER_READY,    WORKER_EVENT_DRAIN,  WORKER_DRAINING, "it is to take no more work"},
    {WORKER_READY,    WORKER_EVENT_EXPIRE, WORKER_LOST,     "its heartbeat stayed away"},
    {WORKER_READY,    WORKER_EVENT_LEAVE,  WORKER_GONE,     "it left"},
    {WORKER_SUSPECT,  WORKER_EVENT_BEAT,   WORKER_READY,    "its heartbeat is back"},
    {WORKER_SUSPECT,  WORKER_EVENT_DRAIN,  WORKER_DRAINING, "it is to take no more work"},
    {WORKER_SUSPECT,  WORKER_EVENT_EXPIRE, WORKER_LOST,     "its heartbeat stayed away"},
    {WORKER_SUSPECT,  WORKER_EVENT_LEAVE,  WORKER_GONE,     "it left"},
    {WORKER_DRAINING, WORKER_EVENT_BEAT,   WORKER_DRAINING, "its heartbeat came, and it still drains"},
    {WORKER_DRAINING, WORKER_EVENT_DRAIN,  WORKER_DRAINING, "it drains already"},
    {WORKER_DRAINING, WORKER_EVENT_EXPIRE, WORKER_LOST,     "its heartbeat stayed away while it drained"},
    {WORKER_DRAINING, WORKER_EVENT_LEAVE,  WORKER_GONE,     "it finished its work and left"},
};
/* clang-format on */
#define MOVES_N (sizeof(moves) / sizeof(moves[0]))

int worker_move(enum worker_state *s, enum worker_event event, const char **ret_why)
{
    assert(*s < WORKER_STATE_N && event < WORKER_EVENT_N);
    for (size_t i = 0; i < MOVES_N; i++) {
        if (moves[i].state != *s || moves[i].event != event)
            continue;
        *s = moves[i].next;
        if (ret_why)
            *ret_why = moves[i].why;
        return 0;
    }
    return WORKER_E_REFUSED;
}

bool worker_over(enum worker_state s)
{
    return s == WORKER_LOST || s == WORKER_GONE;
}

bool worker_claims(enum worker_state s)
{
    return s == WORKER_READY;
}

bool worker_silence(int64_t beat_at, int64_t ttl_us, int64_t now, enum worker_event *ret)
{
    int64_t silent_us;

    assert(ttl_us > 0);
    /* A clock that was set back makes nobody silent. */
    if (now <= beat_at || __builtin_sub_overflow(now, beat_at, &silent_us))
        return false;
    if (silent_us >= ttl_us)
        *ret = WORKER_EVENT_EXPIRE;
    else if (silent_us >= ttl_us / 5 * 2) /* 40 % */
        *ret = WORKER_EVENT_QUIET;
    else
        return false;
    return true;
}

struct str worker_state_text(enum worker_state s)
{
    assert(s < WORKER_STATE_N);
    return state_texts[s];
}

bool worker_state_parse(struct str s, enum worker_state *ret)
{
    size_t i;

    if (!str_index(s, state_texts, WORKER_STATE_N, &i))
        return false;
    *ret = (enum worker_state)i;
    return true;
}

void worker_diagram(struct buf *out)
{
    struct diagram_move drawn[MOVES_N];

    for (size_t i = 0; i < MOVES_N; i++)
        drawn[i] = (struct diagram_move){state_texts[moves[i].state], event_texts[moves[i].event],
                                         state_texts[moves[i].next]};
    diagram_print(out, state_texts[WORKER_JOINING], drawn, MOVES_N);
}
