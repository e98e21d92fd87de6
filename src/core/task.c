/* SPDX-License-Identifier: Apache-2.0 */
#include "core/task.h"

#include <assert.h>

#include "core/diagram.h"

static const struct str state_texts[] = {
#define TASK_TEXT(name) [TASK_##name] = {#name, sizeof(#name) - 1},
    TASK_STATES(TASK_TEXT)};

static const struct str event_texts[] = {TASK_EVENTS(TASK_TEXT)};
#undef TASK_TEXT

static const struct str reason_texts[] = {
#define TASK_REASON_TEXT(name, text) [TASK_REASON_##name] = {text, sizeof(text) - 1},
    TASK_REASONS(TASK_REASON_TEXT)
#undef TASK_REASON_TEXT
};

/* A move while it is made: what guards and actions look at. The retry is decided once, before any
 * guard asks, since it draws from the random generator. */
struct step {
    struct task *t;
    int64_t now;
    const struct task_end *end;
    bool retries;
    int64_t wait_us;
};

/* What a READY task waits for. */
static const enum task_reason takers[] = {
    [TASK_FOR_WORKER] = TASK_REASON_WORKER,
    [TASK_FOR_RUNNER] = TASK_REASON_RUNNER,
    [TASK_FOR_RESULTS] = TASK_REASON_RESULTS,
};

static bool not_due(const struct step *s)
{
    return s->t->due_at > s->now;
}

static bool due(const struct step *s)
{
    return s->t->due_at <= s->now;
}

static bool cancel_asked(const struct step *s)
{
    return s->t->cancel;
}

static bool awaits(const struct step *s)
{
    return s->t->awaits;
}

static bool taken(const struct step *s)
{
    return s->t->taker != TASK_FOR_RESULTS;
}

static bool passes(const struct step *s)
{
    return s->t->taker == TASK_FOR_RESULTS && s->end->outcome == OUTCOME_SUCCEEDED;
}

static bool fails(const struct step *s)
{
    return s->t->taker == TASK_FOR_RESULTS && s->end->outcome == OUTCOME_FAILED;
}

static bool retries_later(const struct step *s)
{
    return s->retries && s->wait_us > 0;
}

static bool retries_now(const struct step *s)
{
    return s->retries;
}

static bool put_off(const struct step *s)
{
    return s->end && s->end->put_off_us > 0;
}

static void wait_start(struct step *s)
{
    s->t->reason = TASK_REASON_NOT_BEFORE;
}

static void wait_taker(struct step *s)
{
    s->t->reason = takers[s->t->taker];
}

static void wait_spawned(struct step *s)
{
    s->t->reason = TASK_REASON_SPAWNED;
}

static void wait_groups(struct step *s)
{
    s->t->reason = TASK_REASON_DEPENDENCIES;
    s->t->budget_from = s->t->attempts;
}

static void wait_until(struct step *s, enum task_reason reason, int64_t wait_us)
{
    s->t->reason = reason;
    if (__builtin_add_overflow(s->now, wait_us, &s->t->due_at))
        s->t->due_at = INT64_MAX;
}

static void wait_backoff(struct step *s)
{
    wait_until(s, TASK_REASON_BACKOFF, s->wait_us);
}

static void wait_refused(struct step *s)
{
    wait_until(s, TASK_REASON_REFUSALS, s->end->put_off_us);
}

static void retry(struct step *s)
{
    s->t->reason = TASK_REASON_RETRYING;
}

/* The attempt keeps its number, and the budget is what it was before. */
static void forgive(struct step *s)
{
    s->t->reason = takers[s->t->taker];
    s->t->budget_from++;
}

static void forgive_late(struct step *s)
{
    wait_refused(s);
    s->t->budget_from++;
}

static void skip(struct step *s)
{
    s->t->reason = TASK_REASON_UPSTREAM;
}

static void hold(struct step *s)
{
    s->t->reason = TASK_REASON_HELD;
}

static void count(struct step *s)
{
    s->t->attempts++;
}

static void succeed(struct step *s)
{
    s->t->reason = TASK_REASON_NONE;
}

/* Reasons that say why an attempt failed; the others say why a task waits or was not run. */
static bool explains_failure(enum task_reason r)
{
    return (r >= TASK_REASON_COMMAND_FAILED && r <= TASK_REASON_LOST) ||
           r == TASK_REASON_WORKER_ERROR;
}

static void fail(struct step *s)
{
    static const enum task_reason by_outcome[OUTCOME_N] = {
        [OUTCOME_FAILED] = TASK_REASON_WORKER_ERROR,
        [OUTCOME_TIMED_OUT] = TASK_REASON_TIMED_OUT,
        [OUTCOME_LOST] = TASK_REASON_LOST,
    };

    s->t->reason = explains_failure(s->end->reason) ? s->end->reason : by_outcome[s->end->outcome];
}

static void answer_no(struct step *s)
{
    assert(s->end->reason == TASK_REASON_CHECK_FAILED || s->end->reason == TASK_REASON_NO_RESULT);
    s->t->reason = s->end->reason;
}

static void cancel(struct step *s)
{
    s->t->reason = TASK_REASON_CANCELLED;
}

static void ask_cancel(struct step *s)
{
    s->t->cancel = true;
}

static void requeue(struct step *s)
{
    s->t->reason = TASK_REASON_REQUEUED;
    s->t->budget_from = s->t->attempts;
    s->t->due_at = 0;
}

struct move {
    enum task_state state;
    enum task_event event;
    bool (*guard)(const struct step *s); /* NULL: always */
    enum task_state next;
    void (*action)(struct step *s); /* NULL: none */
    const char *why;
};

/* The first row that matches is the move that is made; what has no row is refused. A row is one
 * line, so that the table can be read by its columns. */
/* clang-format off */
static const struct move moves[] = {
    {TASK_BLOCKED,   TASK_MET,      not_due,       TASK_DELAYED,   wait_start,   "its dependencies are met, and its start time is still to come"},
    {TASK_BLOCKED,   TASK_MET,      NULL,          TASK_READY,     wait_taker,   "its dependencies are met"},
    {TASK_BLOCKED,   TASK_SKIP,     NULL,          TASK_SKIPPED,   skip,         "its dependencies can never be met"},
    {TASK_BLOCKED,   TASK_CANCEL,   NULL,          TASK_CANCELLED, cancel,       "it was cancelled before it was ready"},

    {TASK_DELAYED,   TASK_DUE,      due,           TASK_READY,     wait_taker,   "the time it waited for has come"},
    {TASK_DELAYED,   TASK_CANCEL,   NULL,          TASK_CANCELLED, cancel,       "it was cancelled while it waited for its time"},

    {TASK_READY,     TASK_CLAIM,    taken,         TASK_LEASED,    hold,         "a worker took it"},
    {TASK_READY,     TASK_CONCLUDE, passes,        TASK_SUCCEEDED, succeed,      "its results are all there, and none is a failure"},
    {TASK_READY,     TASK_CONCLUDE, fails,         TASK_FAILED,    answer_no,    "one of its results is a failure, or there is none"},
    {TASK_READY,     TASK_CANCEL,   NULL,          TASK_CANCELLED, cancel,       "it was cancelled before a worker took it"},

    {TASK_LEASED,    TASK_START,    NULL,          TASK_RUNNING,   count,        "its worker started an attempt"},
    {TASK_LEASED,    TASK_RELEASE,  cancel_asked,  TASK_CANCELLED, cancel,       "its worker gave it back, and it was cancelled"},
    {TASK_LEASED,    TASK_RELEASE,  put_off,       TASK_DELAYED,   wait_refused, "all who could take it refused, and it waits before they are asked again"},
    {TASK_LEASED,    TASK_RELEASE,  NULL,          TASK_READY,     wait_taker,   "its worker gave it back before it started"},
    {TASK_LEASED,    TASK_LOSE,     cancel_asked,  TASK_CANCELLED, cancel,       "its worker went silent, and it was cancelled"},
    {TASK_LEASED,    TASK_LOSE,     NULL,          TASK_READY,     wait_taker,   "its worker went silent before it started"},
    {TASK_LEASED,    TASK_STOP,     NULL,          TASK_CANCELLED, cancel,       "its worker let it go before it started"},
    {TASK_LEASED,    TASK_CANCEL,   NULL,          TASK_LEASED,    ask_cancel,   "it is to be cancelled, and its worker is told"},

    {TASK_RUNNING,   TASK_SUCCEED,  awaits,        TASK_AWAITING,  wait_spawned, "its worker reported success, and tasks that it added have not ended"},
    {TASK_RUNNING,   TASK_SUCCEED,  NULL,          TASK_SUCCEEDED, succeed,      "its worker reported success"},
    {TASK_RUNNING,   TASK_FAIL,     cancel_asked,  TASK_CANCELLED, cancel,       "it failed after it was cancelled"},
    {TASK_RUNNING,   TASK_FAIL,     retries_later, TASK_DELAYED,   wait_backoff, "it failed and may try again after a wait"},
    {TASK_RUNNING,   TASK_FAIL,     retries_now,   TASK_READY,     retry,        "it failed and may try again"},
    {TASK_RUNNING,   TASK_FAIL,     NULL,          TASK_FAILED,    fail,         "it failed for the last time"},
    {TASK_RUNNING,   TASK_TIME_OUT, cancel_asked,  TASK_CANCELLED, cancel,       "it ran out of time after it was cancelled"},
    {TASK_RUNNING,   TASK_TIME_OUT, retries_later, TASK_DELAYED,   wait_backoff, "it ran out of time and may try again after a wait"},
    {TASK_RUNNING,   TASK_TIME_OUT, retries_now,   TASK_READY,     retry,        "it ran out of time and may try again"},
    {TASK_RUNNING,   TASK_TIME_OUT, NULL,          TASK_FAILED,    fail,         "it ran out of time for the last time"},
    {TASK_RUNNING,   TASK_LOSE,     cancel_asked,  TASK_CANCELLED, cancel,       "its worker went silent after it was cancelled"},
    {TASK_RUNNING,   TASK_LOSE,     retries_later, TASK_DELAYED,   wait_backoff, "its worker went silent, and it may try again after a wait"},
    {TASK_RUNNING,   TASK_LOSE,     retries_now,   TASK_READY,     retry,        "its worker went silent, and it may try again"},
    {TASK_RUNNING,   TASK_LOSE,     NULL,          TASK_FAILED,    fail,         "its worker went silent for the last time"},
    {TASK_RUNNING,   TASK_RELEASE,  cancel_asked,  TASK_CANCELLED, cancel,       "its worker gave it back, and it was cancelled"},
    {TASK_RUNNING,   TASK_RELEASE,  put_off,       TASK_DELAYED,   forgive_late, "all who could take it refused, and it waits before they are asked again"},
    {TASK_RUNNING,   TASK_RELEASE,  NULL,          TASK_READY,     forgive,      "its worker gave it back, and the attempt is not held against it"},
    {TASK_RUNNING,   TASK_STOP,     NULL,          TASK_CANCELLED, cancel,       "its worker stopped it"},
    {TASK_RUNNING,   TASK_CANCEL,   NULL,          TASK_RUNNING,   ask_cancel,   "it is to be cancelled, and its worker is told"},

    {TASK_AWAITING,  TASK_MET,      NULL,          TASK_SUCCEEDED, succeed,      "the tasks that it added have ended"},
    {TASK_AWAITING,  TASK_CANCEL,   NULL,          TASK_CANCELLED, cancel,       "it was cancelled while it awaited the tasks that it added"},

    {TASK_FAILED,    TASK_REQUEUE,  NULL,          TASK_READY,     requeue,      "it failed and was given back"},
    {TASK_FAILED,    TASK_REWIND,   NULL,          TASK_BLOCKED,   wait_groups,  "it failed and waits for its dependencies anew"},
    {TASK_CANCELLED, TASK_REQUEUE,  NULL,          TASK_READY,     requeue,      "it was cancelled and given back"},
    {TASK_CANCELLED, TASK_REWIND,   NULL,          TASK_BLOCKED,   wait_groups,  "it was cancelled and waits for its dependencies anew"},
    {TASK_SKIPPED,   TASK_REQUEUE,  NULL,          TASK_READY,     requeue,      "it was skipped and given back"},
    {TASK_SKIPPED,   TASK_REWIND,   NULL,          TASK_BLOCKED,   wait_groups,  "it was skipped and waits for its dependencies anew"},
};
/* clang-format on */
#define MOVES_N (sizeof(moves) / sizeof(moves[0]))

/* The end of such a wait is no start time that anybody asked for. */
static bool waits_to_try_again(const struct task *t)
{
    return t->reason == TASK_REASON_BACKOFF || t->reason == TASK_REASON_REFUSALS;
}

bool task_sound(const struct task *t)
{
    bool waits = t->reason == TASK_REASON_NOT_BEFORE || waits_to_try_again(t);

    return t->budget_from >= 0 && t->budget_from <= t->attempts &&
           (!t->cancel || task_held(t->state)) &&
           (t->state != TASK_RUNNING || t->attempts > t->budget_from) &&
           (t->state == TASK_DELAYED) == waits &&
           (t->state == TASK_SUCCEEDED) == (t->reason == TASK_REASON_NONE) &&
           (t->state == TASK_CANCELLED) == (t->reason == TASK_REASON_CANCELLED);
}

static bool ends_attempt(enum task_event e)
{
    return e == TASK_FAIL || e == TASK_TIME_OUT || e == TASK_LOSE;
}

/* The row that applies, or NULL. */
static const struct move *find(enum task_event event, const struct step *s)
{
    for (size_t i = 0; i < MOVES_N; i++) {
        const struct move *m = &moves[i];

        if (m->state == s->t->state && m->event == event && (!m->guard || m->guard(s)))
            return m;
    }
    return NULL;
}

int task_move(struct task *t, enum task_event event, int64_t now, const struct task_end *end,
              struct prng *prng, const char **ret_why)
{
    struct step s = {.t = t, .now = now, .end = end};
    const struct move *m;

    assert(event < TASK_EVENT_N);
    assert(end || event != TASK_CONCLUDE);
    if (t->state == TASK_RUNNING && ends_attempt(event)) {
        assert(end && task_event_of(end->outcome) == event);
        s.retries = !t->cancel && !end->final &&
                    retry_decide(&t->retry, t->attempts - t->budget_from, end->outcome,
                                 end->exit_code, prng, &s.wait_us);
    }
    m = find(event, &s);
    if (!m)
        return TASK_E_REFUSED;
    if (waits_to_try_again(t))
        t->due_at = 0;
    t->state = m->next;
    if (m->action)
        m->action(&s);
    if (!task_held(t->state))
        t->cancel = false;
    assert(task_sound(t));
    if (ret_why)
        *ret_why = m->why;
    return 0;
}

bool task_final(enum task_state s)
{
    return s == TASK_SUCCEEDED || s == TASK_FAILED || s == TASK_CANCELLED || s == TASK_SKIPPED;
}

bool task_held(enum task_state s)
{
    return s == TASK_LEASED || s == TASK_RUNNING;
}

enum task_event task_event_of(enum outcome o)
{
    static const enum task_event events[] = {
        [OUTCOME_SUCCEEDED] = TASK_SUCCEED,  [OUTCOME_FAILED] = TASK_FAIL,
        [OUTCOME_TIMED_OUT] = TASK_TIME_OUT, [OUTCOME_LOST] = TASK_LOSE,
        [OUTCOME_CANCELLED] = TASK_STOP,     [OUTCOME_REJECTED] = TASK_RELEASE,
    };

    assert(o > OUTCOME_NONE && o < OUTCOME_N);
    return events[o];
}

struct str task_state_text(enum task_state s)
{
    assert(s < TASK_STATE_N);
    return state_texts[s];
}

bool task_state_parse(struct str s, enum task_state *ret)
{
    size_t i;

    if (!str_index(s, state_texts, TASK_STATE_N, &i))
        return false;
    *ret = (enum task_state)i;
    return true;
}

struct str task_reason_text(enum task_reason r)
{
    assert(r < TASK_REASON_N);
    return reason_texts[r];
}

bool task_reason_parse(struct str s, enum task_reason *ret)
{
    size_t i;

    if (!str_index(s, reason_texts, TASK_REASON_N, &i))
        return false;
    *ret = (enum task_reason)i;
    return true;
}

void task_diagram(struct buf *out)
{
    struct diagram_move drawn[MOVES_N];

    for (size_t i = 0; i < MOVES_N; i++)
        drawn[i] = (struct diagram_move){state_texts[moves[i].state], event_texts[moves[i].event],
                                         state_texts[moves[i].next]};
    diagram_print(out, state_texts[TASK_BLOCKED], drawn, MOVES_N);
}
