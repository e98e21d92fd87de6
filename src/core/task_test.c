/* SPDX-License-Identifier: Apache-2.0 */
#include "core/task.h"

#include "base/buf.h"
#include "base/test.h"

#define S 1000000LL

/* How an attempt ends by each event that ends one; exit code 1 where there is one. */
static struct task_end end_by(enum task_event e)
{
    switch (e) {
    case TASK_SUCCEED:
        return (struct task_end){OUTCOME_SUCCEEDED, TASK_REASON_NONE, 0, 0, false};
    case TASK_FAIL:
        return (struct task_end){OUTCOME_FAILED, TASK_REASON_COMMAND_FAILED, 1, 0, false};
    case TASK_TIME_OUT:
        return (struct task_end){OUTCOME_TIMED_OUT, TASK_REASON_TIMED_OUT, -1, 0, false};
    case TASK_LOSE:
        return (struct task_end){OUTCOME_LOST, TASK_REASON_LOST, -1, 0, false};
    case TASK_CONCLUDE:
        return (struct task_end){OUTCOME_FAILED, TASK_REASON_NO_RESULT, -1, 0, false};
    case TASK_STOP:
        return (struct task_end){OUTCOME_CANCELLED, TASK_REASON_CANCELLED, -1, 0, false};
    default:
        return (struct task_end){OUTCOME_REJECTED, TASK_REASON_NONE, -1, 0, false};
    }
}

/* A task as it stands in a state; running ones are in their first attempt. */
static struct task task_in(enum task_state state)
{
    static const enum task_reason reasons[] = {
        [TASK_BLOCKED] = TASK_REASON_DEPENDENCIES, [TASK_DELAYED] = TASK_REASON_NOT_BEFORE,
        [TASK_READY] = TASK_REASON_WORKER,         [TASK_LEASED] = TASK_REASON_HELD,
        [TASK_RUNNING] = TASK_REASON_HELD,         [TASK_AWAITING] = TASK_REASON_SPAWNED,
        [TASK_SUCCEEDED] = TASK_REASON_NONE,       [TASK_FAILED] = TASK_REASON_LOST,
        [TASK_CANCELLED] = TASK_REASON_CANCELLED,  [TASK_SKIPPED] = TASK_REASON_UPSTREAM,
    };

    return (struct task){
        .state = state,
        .reason = reasons[state],
        .attempts = state == TASK_RUNNING || state == TASK_AWAITING || state == TASK_SUCCEEDED ||
                    state == TASK_FAILED,
        .retry = retry_asked(),
    };
}

static bool same(const struct task *a, const struct task *b)
{
    return a->state == b->state && a->reason == b->reason && a->attempts == b->attempts &&
           a->budget_from == b->budget_from && a->due_at == b->due_at && a->cancel == b->cancel;
}

/*
 * Every state and every event: where the move leads, a dot where it is refused. B blocked, D
 * delayed, R ready, L leased, U running, A awaiting, S succeeded, F failed, C cancelled, K skipped.
 * The task has attempts left, and no wait between them.
 */
static void every_event_in_every_state(void **state)
{
    static const char letters[] = "BDRLUASFCK";
    static const struct {
        const char *name;
        const char *next; /* MET SKIP DUE CLAIM START RELEASE SUCCEED FAIL TIME_OUT LOSE STOP
                             CONCLUDE CANCEL REQUEUE REWIND */
    } rows[] = {
  /* clang-format off */
        [TASK_BLOCKED] =   {"BLOCKED",   "RK..........C.."},
        [TASK_DELAYED] =   {"DELAYED",   "..R.........C.."},
        [TASK_READY] =     {"READY",     "...L........C.."},
        [TASK_LEASED] =    {"LEASED",    "....UR...RC.L.."},
        [TASK_RUNNING] =   {"RUNNING",   ".....RSRRRC.U.."},
        [TASK_AWAITING] =  {"AWAITING",  "S...........C.."},
        [TASK_SUCCEEDED] = {"SUCCEEDED", "..............."},
        [TASK_FAILED] =    {"FAILED",    ".............RB"},
        [TASK_CANCELLED] = {"CANCELLED", ".............RB"},
        [TASK_SKIPPED] =   {"SKIPPED",   ".............RB"},
  /* clang-format on */
    };

    (void)state;
    for (int s = 0; s < TASK_STATE_N; s++) {
        for (int e = 0; e < TASK_EVENT_N; e++) {
            struct task t = task_in((enum task_state)s), before = t;
            struct task_end end = end_by((enum task_event)e);
            const char *why = NULL;
            int r = task_move(&t, (enum task_event)e, 10 * S, &end, NULL, &why);

            if (rows[s].next[e] == '.') {
                CHECK_ROW(rows[s].name, r == TASK_E_REFUSED && same(&t, &before) && !why);
                continue;
            }
            CHECK_ROW(rows[s].name, r == 0 && letters[t.state] == rows[s].next[e]);
            CHECK_ROW(rows[s].name, why && *why);
        }
    }
}

/* What stands there instead where a check is READY, or a stage has added others. */
static void checks_and_stages(void **state)
{
    static const struct {
        const char *name;
        enum task_state from;
        enum task_event event;
        enum task_taker taker;
        bool awaits;
        struct task_end end;
        enum task_state to;
        enum task_reason reason;
    } rows[] = {
  /* clang-format off */
        {"a stage is ready",              TASK_BLOCKED,  TASK_MET,      TASK_FOR_RUNNER,  false, {0}, TASK_READY,     TASK_REASON_RUNNER},
        {"a stage is given back",         TASK_RUNNING,  TASK_RELEASE,  TASK_FOR_RUNNER,  false, {0}, TASK_READY,     TASK_REASON_RUNNER},
        {"a check is ready",              TASK_BLOCKED,  TASK_MET,      TASK_FOR_RESULTS, false, {0}, TASK_READY,     TASK_REASON_RESULTS},
        {"a check has good results",      TASK_READY,    TASK_CONCLUDE, TASK_FOR_RESULTS, false, {OUTCOME_SUCCEEDED, TASK_REASON_NONE, -1, 0, false}, TASK_SUCCEEDED, TASK_REASON_NONE},
        {"a check has a failure",         TASK_READY,    TASK_CONCLUDE, TASK_FOR_RESULTS, false, {OUTCOME_FAILED, TASK_REASON_CHECK_FAILED, -1, 0, false}, TASK_FAILED, TASK_REASON_CHECK_FAILED},
        {"a check has no result",         TASK_READY,    TASK_CONCLUDE, TASK_FOR_RESULTS, false, {OUTCOME_FAILED, TASK_REASON_NO_RESULT, -1, 0, false}, TASK_FAILED, TASK_REASON_NO_RESULT},
        {"success, and nothing is left",  TASK_RUNNING,  TASK_SUCCEED,  TASK_FOR_RUNNER,  false, {OUTCOME_SUCCEEDED, TASK_REASON_NONE, -1, 0, false}, TASK_SUCCEEDED, TASK_REASON_NONE},
        {"success, and others go on",     TASK_RUNNING,  TASK_SUCCEED,  TASK_FOR_RUNNER,  true,  {OUTCOME_SUCCEEDED, TASK_REASON_NONE, -1, 0, false}, TASK_AWAITING, TASK_REASON_SPAWNED},
        {"the others have ended",         TASK_AWAITING, TASK_MET,      TASK_FOR_RUNNER,  false, {0}, TASK_SUCCEEDED, TASK_REASON_NONE},
        {"cancelled while others go on",  TASK_AWAITING, TASK_CANCEL,   TASK_FOR_RUNNER,  true,  {0}, TASK_CANCELLED, TASK_REASON_CANCELLED},
        {"it may try again",              TASK_RUNNING,  TASK_FAIL,     TASK_FOR_RUNNER,  true,  {OUTCOME_FAILED, TASK_REASON_NONE, -1, 0, false}, TASK_READY, TASK_REASON_RETRYING},
        {"it would fail again",           TASK_RUNNING,  TASK_FAIL,     TASK_FOR_RUNNER,  false, {OUTCOME_FAILED, TASK_REASON_NONE, -1, 0, true}, TASK_FAILED, TASK_REASON_WORKER_ERROR},
  /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct task t = task_in(rows[i].from);

        t.taker = rows[i].taker;
        t.awaits = rows[i].awaits;
        CHECK_ROW(rows[i].name, task_move(&t, rows[i].event, S, &rows[i].end, NULL, NULL) == 0);
        CHECK_ROW(rows[i].name, t.state == rows[i].to && t.reason == rows[i].reason);
    }
}

static struct retry_policy policy(int64_t max_attempts, int64_t base_us)
{
    struct retry_policy p = retry_asked();

    p.max_attempts = max_attempts;
    p.base_us = base_us;
    return p;
}

#define WAIT (2 * S)

static void moves(void **state)
{
    static const struct {
        const char *name;
        enum task_state from;
        int64_t attempts, budget_from, due_at, base_us;
        bool cancel;
        enum task_event event;
        enum task_state to;
        enum task_reason reason;
        int64_t to_attempts, to_budget_from, to_due_at;
        bool to_cancel;
    } rows[] = {
  /* it is 10 s past, three attempts are allowed */
  /* clang-format off */
        {"met, no start time",                         TASK_BLOCKED,   0, 0, 0,      0,    false, TASK_MET,      TASK_READY,     TASK_REASON_WORKER,         0, 0, 0,      false},
        {"met, start time passed",                     TASK_BLOCKED,   0, 0, 9 * S,  0,    false, TASK_MET,      TASK_READY,     TASK_REASON_WORKER,         0, 0, 9 * S,  false},
        {"met, start time is now",                     TASK_BLOCKED,   0, 0, 10 * S, 0,    false, TASK_MET,      TASK_READY,     TASK_REASON_WORKER,         0, 0, 10 * S, false},
        {"met, start time to come",                    TASK_BLOCKED,   0, 0, 11 * S, 0,    false, TASK_MET,      TASK_DELAYED,   TASK_REASON_NOT_BEFORE,     0, 0, 11 * S, false},
        {"due",                                        TASK_DELAYED,   0, 0, 10 * S, 0,    false, TASK_DUE,      TASK_READY,     TASK_REASON_WORKER,         0, 0, 10 * S, false},
        {"an attempt counts",                          TASK_LEASED,    0, 0, 0,      0,    false, TASK_START,    TASK_RUNNING,   TASK_REASON_HELD,           1, 0, 0,      false},
        {"not started, not counted",                   TASK_LEASED,    1, 0, 0,      0,    false, TASK_LOSE,     TASK_READY,     TASK_REASON_WORKER,         1, 0, 0,      false},
        {"given back unstarted",                       TASK_LEASED,    1, 0, 0,      0,    false, TASK_RELEASE,  TASK_READY,     TASK_REASON_WORKER,         1, 0, 0,      false},
        {"given back started",                         TASK_RUNNING,   2, 0, 0,      0,    false, TASK_RELEASE,  TASK_READY,     TASK_REASON_WORKER,         2, 1, 0,      false},
        {"given back, cancelled",                      TASK_LEASED,    1, 0, 0,      0,    true,  TASK_RELEASE,  TASK_CANCELLED, TASK_REASON_CANCELLED,      1, 0, 0,      false},
        {"given back started, cancelled",              TASK_RUNNING,   1, 0, 0,      0,    true,  TASK_RELEASE,  TASK_CANCELLED, TASK_REASON_CANCELLED,      1, 0, 0,      false},
        {"lost unstarted, cancelled",                  TASK_LEASED,    0, 0, 0,      0,    true,  TASK_LOSE,     TASK_CANCELLED, TASK_REASON_CANCELLED,      0, 0, 0,      false},
        {"fails, no wait",                             TASK_RUNNING,   2, 0, 0,      0,    false, TASK_FAIL,     TASK_READY,     TASK_REASON_RETRYING,       2, 0, 0,      false},
        {"fails, a wait",                              TASK_RUNNING,   1, 0, 0,      WAIT, false, TASK_FAIL,     TASK_DELAYED,   TASK_REASON_BACKOFF,        1, 0, 12 * S, false},
        {"fails again, twice the wait",                TASK_RUNNING,   2, 0, 0,      WAIT, false, TASK_FAIL,     TASK_DELAYED,   TASK_REASON_BACKOFF,        2, 0, 14 * S, false},
        {"the wait replaces the start time",           TASK_RUNNING,   1, 0, 5 * S,  WAIT, false, TASK_FAIL,     TASK_DELAYED,   TASK_REASON_BACKOFF,        1, 0, 12 * S, false},
        {"fails for the last time",                    TASK_RUNNING,   3, 0, 0,      WAIT, false, TASK_FAIL,     TASK_FAILED,    TASK_REASON_COMMAND_FAILED, 3, 0, 0,      false},
        {"times out for the last time",                TASK_RUNNING,   3, 0, 0,      0,    false, TASK_TIME_OUT, TASK_FAILED,    TASK_REASON_TIMED_OUT,      3, 0, 0,      false},
        {"is lost for the last time",                  TASK_RUNNING,   3, 0, 0,      0,    false, TASK_LOSE,     TASK_FAILED,    TASK_REASON_LOST,           3, 0, 0,      false},
        {"a new budget is counted from its start",     TASK_RUNNING,   5, 3, 0,      WAIT, false, TASK_LOSE,     TASK_DELAYED,   TASK_REASON_BACKOFF,        5, 3, 14 * S, false},
        {"a new budget ends, too",                     TASK_RUNNING,   6, 3, 0,      WAIT, false, TASK_LOSE,     TASK_FAILED,    TASK_REASON_LOST,           6, 3, 0,      false},
        {"fails after cancel",                         TASK_RUNNING,   1, 0, 0,      WAIT, true,  TASK_FAIL,     TASK_CANCELLED, TASK_REASON_CANCELLED,      1, 0, 0,      false},
        {"times out after cancel",                     TASK_RUNNING,   1, 0, 0,      0,    true,  TASK_TIME_OUT, TASK_CANCELLED, TASK_REASON_CANCELLED,      1, 0, 0,      false},
        {"lost after cancel",                          TASK_RUNNING,   1, 0, 0,      0,    true,  TASK_LOSE,     TASK_CANCELLED, TASK_REASON_CANCELLED,      1, 0, 0,      false},
        {"succeeds after cancel",                      TASK_RUNNING,   1, 0, 0,      0,    true,  TASK_SUCCEED,  TASK_SUCCEEDED, TASK_REASON_NONE,           1, 0, 0,      false},
        {"stopped as asked",                           TASK_RUNNING,   1, 0, 0,      0,    true,  TASK_STOP,     TASK_CANCELLED, TASK_REASON_CANCELLED,      1, 0, 0,      false},
        {"cancel while it is held",                    TASK_RUNNING,   1, 0, 0,      0,    false, TASK_CANCEL,   TASK_RUNNING,   TASK_REASON_HELD,           1, 0, 0,      true},
        {"cancel once more",                           TASK_RUNNING,   1, 0, 0,      0,    true,  TASK_CANCEL,   TASK_RUNNING,   TASK_REASON_HELD,           1, 0, 0,      true},
        {"cancel before the start",                    TASK_LEASED,    0, 0, 0,      0,    false, TASK_CANCEL,   TASK_LEASED,    TASK_REASON_HELD,           0, 0, 0,      true},
        {"a start does not forget the cancel",         TASK_LEASED,    0, 0, 0,      0,    true,  TASK_START,    TASK_RUNNING,   TASK_REASON_HELD,           1, 0, 0,      true},
        {"cancel while it waits keeps the start time", TASK_DELAYED,   0, 0, 20 * S, 0,    false, TASK_CANCEL,   TASK_CANCELLED, TASK_REASON_CANCELLED,      0, 0, 20 * S, false},
        {"requeue gives a new budget",                 TASK_FAILED,    3, 0, 5 * S,  0,    false, TASK_REQUEUE,  TASK_READY,     TASK_REASON_REQUEUED,       3, 3, 0,      false},
        {"rewind does, and keeps the start time",      TASK_CANCELLED, 3, 1, 20 * S, 0,    false, TASK_REWIND,   TASK_BLOCKED,   TASK_REASON_DEPENDENCIES,   3, 3, 20 * S, false},
  /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct task_end end = end_by(rows[i].event);
        struct task t = task_in(rows[i].from);

        t.attempts = rows[i].attempts;
        t.budget_from = rows[i].budget_from;
        t.due_at = rows[i].due_at;
        t.cancel = rows[i].cancel;
        t.retry = policy(3, rows[i].base_us);
        CHECK_ROW(rows[i].name, task_move(&t, rows[i].event, 10 * S, &end, NULL, NULL) == 0);
        CHECK_ROW(rows[i].name, t.state == rows[i].to);
        CHECK_ROW(rows[i].name, t.reason == rows[i].reason);
        CHECK_ROW(rows[i].name, t.attempts == rows[i].to_attempts);
        CHECK_ROW(rows[i].name, t.budget_from == rows[i].to_budget_from);
        CHECK_ROW(rows[i].name, t.due_at == rows[i].to_due_at);
        CHECK_ROW(rows[i].name, t.cancel == rows[i].to_cancel);
    }
}

static void it_is_not_due_before_its_time(void **state)
{
    struct task t = task_in(TASK_DELAYED);

    (void)state;
    t.due_at = 10 * S;
    assert_int_equal(task_move(&t, TASK_DUE, 10 * S - 1, NULL, NULL, NULL), TASK_E_REFUSED);
    assert_int_equal(t.state, TASK_DELAYED);
    assert_int_equal(task_move(&t, TASK_DUE, 10 * S, NULL, NULL, NULL), 0);
}

/* When nobody is left to ask, it waits; it costs no budget, and what is cancelled does not wait. */
static void a_release_may_put_it_off(void **state)
{
    static const struct {
        const char *name;
        enum task_state from, to;
        int64_t put_off_us, due_at, budget_from;
        enum task_reason reason;
        bool cancel;
    } rows[] = {
  /* clang-format off */
        {"unstarted",            TASK_LEASED,  TASK_DELAYED,   4 * S,     14 * S,    0, TASK_REASON_REFUSALS,  false},
        {"started",              TASK_RUNNING, TASK_DELAYED,   4 * S,     14 * S,    1, TASK_REASON_REFUSALS,  false},
        {"beyond all time",      TASK_LEASED,  TASK_DELAYED,   INT64_MAX, INT64_MAX, 0, TASK_REASON_REFUSALS,  false},
        {"not put off",          TASK_LEASED,  TASK_READY,     0,         0,         0, TASK_REASON_WORKER,    false},
        {"unstarted, cancelled", TASK_LEASED,  TASK_CANCELLED, 4 * S,     0,         0, TASK_REASON_CANCELLED, true},
        {"started, cancelled",   TASK_RUNNING, TASK_CANCELLED, 4 * S,     0,         0, TASK_REASON_CANCELLED, true},
  /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct task_end end = {OUTCOME_REJECTED, TASK_REASON_REFUSED, -1, rows[i].put_off_us,
                               false};
        struct task t = task_in(rows[i].from);

        t.cancel = rows[i].cancel;
        CHECK_ROW(rows[i].name, task_move(&t, TASK_RELEASE, 10 * S, &end, NULL, NULL) == 0);
        CHECK_ROW(rows[i].name, t.state == rows[i].to && t.reason == rows[i].reason);
        CHECK_ROW(rows[i].name, t.due_at == rows[i].due_at && t.budget_from == rows[i].budget_from);
        if (t.state != TASK_DELAYED || t.due_at == INT64_MAX)
            continue;
        CHECK_ROW(rows[i].name, task_move(&t, TASK_DUE, 14 * S, NULL, NULL, NULL) == 0);
        CHECK_ROW(rows[i].name, t.due_at == 0);
    }
}

/* The end of a backoff is no start time: given back, the task does not wait for it. */
static void a_backoff_leaves_no_start_time(void **state)
{
    static const enum task_event ways[][2] = {
        {TASK_DUE,    TASK_CANCEL},
        {TASK_CANCEL, TASK_REWIND},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(ways); i++) {
        struct task t = task_in(TASK_DELAYED);

        t.reason = TASK_REASON_BACKOFF;
        t.due_at = 10 * S;
        for (int j = 0; j < 2; j++)
            assert_int_equal(task_move(&t, ways[i][j], 10 * S, NULL, NULL, NULL), 0);
        assert_int_equal(t.due_at, 0);
    }
}

static void a_wait_beyond_all_time_ends_with_it(void **state)
{
    struct task_end end = end_by(TASK_FAIL);
    struct task t = task_in(TASK_RUNNING);

    (void)state;
    t.retry = policy(3, INT64_MAX);
    t.retry.cap_us = INT64_MAX;
    assert_int_equal(task_move(&t, TASK_FAIL, 10 * S, &end, NULL, NULL), 0);
    assert_int_equal(t.state, TASK_DELAYED);
    assert_true(t.due_at == INT64_MAX);
}

/* A store reads the policy only where an attempt ends. */
static void other_moves_do_without_a_policy(void **state)
{
    static const enum task_event way[] = {
        TASK_MET,  TASK_CLAIM,  TASK_START,  TASK_RELEASE, TASK_CLAIM, TASK_RELEASE, TASK_CLAIM,
        TASK_LOSE, TASK_CANCEL, TASK_REWIND, TASK_MET,     TASK_CLAIM, TASK_START,   TASK_SUCCEED};
    struct task t = {.state = TASK_BLOCKED, .reason = TASK_REASON_DEPENDENCIES};

    (void)state;
    for (size_t i = 0; i < ROWS_N(way); i++)
        assert_int_equal(task_move(&t, way[i], S, NULL, NULL, NULL), 0);
    assert_int_equal(t.attempts, 2);
}

/* The reason comes from a worker: what explains no failure is not taken over. */
static void the_reason_of_a_failure_explains_it(void **state)
{
    (void)state;
    for (int r = 0; r < TASK_REASON_N; r++) {
        bool explains = (r >= TASK_REASON_COMMAND_FAILED && r <= TASK_REASON_LOST) ||
                        r == TASK_REASON_WORKER_ERROR;
        struct task_end end = {OUTCOME_FAILED, (enum task_reason)r, 1, 0, false};
        struct task t = task_in(TASK_RUNNING);

        t.retry = policy(1, 0);
        assert_int_equal(task_move(&t, TASK_FAIL, 10 * S, &end, NULL, NULL), 0);
        assert_int_equal(t.state, TASK_FAILED);
        assert_int_equal(t.reason, explains ? r : TASK_REASON_WORKER_ERROR);
    }
}

static void jitter_comes_from_the_generator_alone(void **state)
{
    struct task_end end = end_by(TASK_FAIL);
    int64_t due_at[3];

    (void)state;
    for (uint64_t i = 0; i < 3; i++) {
        struct task t = task_in(TASK_RUNNING);
        struct prng prng;

        prng_seed(&prng, i / 2); /* the first two are the same */
        t.retry = policy(3, 100 * S);
        t.retry.jitter = 0.5;
        assert_int_equal(task_move(&t, TASK_FAIL, 10 * S, &end, &prng, NULL), 0);
        due_at[i] = t.due_at;
        assert_in_range(t.due_at, 60 * S, 110 * S);
    }
    assert_true(due_at[0] == due_at[1] && due_at[1] != due_at[2]);
}

/* All histories of eight events. What is expected is kept beside the task, from the history alone.
 */
struct walk {
    const char *policy;
    int64_t charged; /* starts since the budget was given, without those that were given back */
    bool asked;      /* cancelled while somebody held it */
    int64_t cap_us;
    int64_t put_off_us; /* of releases */
    struct prng prng;
};

static long histories;
static bool walked[TASK_STATE_N][TASK_STATE_N];

static void account(struct walk *w, const struct task *before, enum task_event e)
{
    if (e == TASK_START)
        w->charged++;
    if (e == TASK_RELEASE && before->state == TASK_RUNNING && !w->asked)
        w->charged--;
    if (e == TASK_REQUEUE || e == TASK_REWIND)
        w->charged = 0;
    if (e == TASK_CANCEL && task_held(before->state))
        w->asked = true;
}

static void check_move(struct walk *w, const struct task *before, enum task_event e,
                       const struct task *t, int64_t now)
{
    bool asked_before = w->asked;

    account(w, before, e);
    if (task_final(before->state)) {
        CHECK_ROW(w->policy, before->state != TASK_SUCCEEDED);
        CHECK_ROW(w->policy, e == TASK_REQUEUE || e == TASK_REWIND);
    }
    CHECK_ROW(w->policy, t->attempts - before->attempts == (e == TASK_START));
    if (!task_final(t->state) || t->state == TASK_FAILED)
        CHECK_ROW(w->policy, t->attempts - t->budget_from == w->charged);
    CHECK_ROW(w->policy, w->charged >= 0 && w->charged <= t->retry.max_attempts);
    if (asked_before)
        CHECK_ROW(w->policy, task_held(t->state) || t->state == TASK_CANCELLED ||
                                 t->state == TASK_AWAITING || t->state == TASK_SUCCEEDED);
    if (!task_held(t->state))
        w->asked = false;
    CHECK_ROW(w->policy, t->cancel == w->asked);
    if (t->state == TASK_FAILED && e != TASK_CONCLUDE) {
        struct task_end end = end_by(e);

        CHECK_ROW(w->policy, w->charged == t->retry.max_attempts ||
                                 !(t->retry.outcomes & 1u << end.outcome) || t->retry.exit_codes_n);
    }
    if (t->state == TASK_DELAYED)
        CHECK_ROW(w->policy, t->due_at > now);
    if (t->reason == TASK_REASON_BACKOFF)
        CHECK_ROW(w->policy, t->due_at <= now + w->cap_us);
    walked[before->state][t->state] = true;
}

static const struct task_end answer_yes = {OUTCOME_SUCCEEDED, TASK_REASON_NONE, -1, 0, false};

static void walk(struct walk w, struct task before, int64_t now, int depth)
{
    if (depth == 0) {
        histories++;
        return;
    }
    for (int e = 0; e <= TASK_EVENT_N; e++) {
        struct task_end end = e < TASK_EVENT_N ? end_by((enum task_event)e) : answer_yes;
        enum task_event event = e < TASK_EVENT_N ? (enum task_event)e : TASK_CONCLUDE;
        struct task t = before;
        struct walk next = w;

        end.put_off_us = w.put_off_us;
        /* What is refused changes nothing, so that the history goes on as one without it. */
        if (task_move(&t, event, now, &end, &next.prng, NULL)) {
            CHECK_ROW(w.policy, same(&t, &before));
            continue;
        }
        check_move(&next, &before, event, &t, now);
        walk(next, t, now + S, depth - 1);
    }
}

/* Whether the diagram's line "    A --> B: events" is an arrow that was walked. */
static bool is_walked(struct str line)
{
    enum task_state from, to;
    size_t space, colon;

    line = str_trim(line);
    if (!str_find(line, ' ', &space) || !str_find(line, ':', &colon) ||
        !task_state_parse(str_sub(line, 0, space), &from) ||
        !task_state_parse(str_sub(line, space + 5, colon - space - 5), &to))
        return false;
    return walked[from][to];
}

static void every_history_of_eight_events(void **state)
{
    struct {
        const char *name;
        int64_t due_at;
        struct retry_policy retry;
        enum task_taker taker;
        bool awaits;
    } rows[] = {
        {"one attempt",                0,        policy(1,        0),               TASK_FOR_WORKER, false},
        {"two attempts",               0,        policy(2,        0),               TASK_FOR_WORKER, false},
        {"two with a wait",            0,        policy(2,        S),               TASK_FOR_WORKER, false},
        {"three with a long wait",     0,        policy(3,        3 * S),           TASK_FOR_WORKER, false},
        {"a start time",               3 * S,    policy(2,        0),               TASK_FOR_WORKER, false},
        {"jitter",                     0,        policy(3,        2 * S),           TASK_FOR_WORKER, false},
        {"only one exit code retries", 0,        policy(3,        0),               TASK_FOR_WORKER, false},
        {"the default",                0,        retry_default(), TASK_FOR_WORKER,  false          },
        {"a stage that added others",                           0, policy(2,              0),  TASK_FOR_RUNNER,            true     },
        {"a check",                           0, policy(1,              0), TASK_FOR_RESULTS,           false},
    };
    struct buf diagram;
    struct str rest;
    size_t end;
    int arrows = 0, expected = 0;

    (void)state;
    rows[5].retry.jitter = 1;
    rows[6].retry.exit_codes_n = 1;
    rows[6].retry.exit_codes[0] = 75;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct walk w = {
            .policy = rows[i].name, .cap_us = rows[i].retry.cap_us, .put_off_us = i % 2 ? S : 0};
        struct task t = task_in(TASK_BLOCKED);

        prng_seed(&w.prng, i);
        t.due_at = rows[i].due_at;
        t.retry = rows[i].retry;
        t.taker = rows[i].taker;
        t.awaits = rows[i].awaits;
        walk(w, t, S, 8);
    }
    assert_true(histories > 10000);

    /* No row is dead: each arrow that the table draws was walked, and no other. */
    buf_init(&diagram, 10000);
    task_diagram(&diagram);
    rest = buf_str(&diagram);
    assert_true(str_starts(rest, STR("stateDiagram-v2\n    [*] --> BLOCKED\n")));
    for (int line = 0; str_find(rest, '\n', &end); line++, rest = str_sub(rest, end + 1, rest.n)) {
        if (line >= 2 && !is_walked(str_sub(rest, 0, end)))
            fail_msg("not walked: " STR_FMT, (int)end, rest.p);
        expected += line >= 2;
    }
    for (int from = 0; from < TASK_STATE_N; from++)
        for (int to = 0; to < TASK_STATE_N; to++)
            arrows += walked[from][to];
    assert_int_equal(arrows, expected);
    buf_deinit(&diagram);
}

static void outcomes_are_events(void **state)
{
    (void)state;
    for (int e = TASK_SUCCEED; e <= (int)TASK_STOP; e++)
        assert_int_equal(task_event_of(end_by((enum task_event)e).outcome), e);
    assert_int_equal(task_event_of(OUTCOME_REJECTED), TASK_RELEASE);
}

static void texts_are_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < TASK_STATE_N; i++) {
        enum task_state s = TASK_STATE_N;

        assert_true(task_state_parse(task_state_text((enum task_state)i), &s));
        assert_int_equal(s, i);
    }
    for (int i = 0; i < TASK_REASON_N; i++) {
        enum task_reason r = TASK_REASON_N;

        assert_true(task_reason_parse(task_reason_text((enum task_reason)i), &r));
        assert_int_equal(r, i);
    }
    CHECK_TEXT(task_state_text(TASK_RUNNING), "RUNNING");
    CHECK_TEXT(task_reason_text(TASK_REASON_LOST), "worker_lost");
    assert_false(task_state_parse(STR("running"), &(enum task_state){0}));
    assert_false(task_state_parse(STR("RUNNING "), &(enum task_state){0}));
    assert_false(task_state_parse(STR(""), &(enum task_state){0}));
    assert_false(task_reason_parse(STR("WORKER_LOST"), &(enum task_reason){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_in_every_state),
        cmocka_unit_test(checks_and_stages),
        cmocka_unit_test(moves),
        cmocka_unit_test(it_is_not_due_before_its_time),
        cmocka_unit_test(a_release_may_put_it_off),
        cmocka_unit_test(a_backoff_leaves_no_start_time),
        cmocka_unit_test(a_wait_beyond_all_time_ends_with_it),
        cmocka_unit_test(other_moves_do_without_a_policy),
        cmocka_unit_test(the_reason_of_a_failure_explains_it),
        cmocka_unit_test(jitter_comes_from_the_generator_alone),
        cmocka_unit_test(every_history_of_eight_events),
        cmocka_unit_test(outcomes_are_events),
        cmocka_unit_test(texts_are_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
