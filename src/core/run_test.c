/* SPDX-License-Identifier: Apache-2.0 */
#include "core/run.h"

#include "base/buf.h"
#include "base/test.h"

static void moves(void **state)
{
    static const struct {
        const char *name;
        struct run run;
        enum run_event event;
        enum run_state to;
        enum run_reason reason; /* of a run that is refused its move: unchanged, NONE here */
        bool refused;
    } rows[] = {
  /* clang-format off */
        {"all succeeded",                    {RUN_RUNNING, 0, 0, 0, 0},    RUN_EVENT_ENDED,  RUN_SUCCEEDED,  RUN_REASON_NONE,         false},
        {"some failed",                      {RUN_RUNNING, 0, 0, 2, 0},    RUN_EVENT_ENDED,  RUN_FAILED,     RUN_REASON_TASKS_FAILED, false},
        {"some were cancelled",              {RUN_RUNNING, 0, 0, 0, 1}, RUN_EVENT_ENDED,  RUN_CANCELLED,  RUN_REASON_CANCELLED,    false},
        {"some failed, some cancelled",      {RUN_RUNNING, 0, 0, 1, 1}, RUN_EVENT_ENDED,  RUN_FAILED,     RUN_REASON_TASKS_FAILED, false},
        {"not before its last task",         {RUN_RUNNING, 0, 1, 0, 0},    RUN_EVENT_ENDED,  RUN_RUNNING,    RUN_REASON_NONE,         true},
        {"not before its last task, failed", {RUN_RUNNING, 0, 1, 1, 0},    RUN_EVENT_ENDED,  RUN_RUNNING,    RUN_REASON_NONE,         true},
        {"cancel",                           {RUN_RUNNING, 0, 3, 0, 0},    RUN_EVENT_CANCEL, RUN_CANCELLING, RUN_REASON_CANCELLED,    false},
        {"cancel when all have ended",       {RUN_RUNNING, 0, 0, 0, 0},    RUN_EVENT_CANCEL, RUN_CANCELLING, RUN_REASON_CANCELLED,    false},
        {"cancel again",                     {RUN_CANCELLING, 0, 3, 0, 0}, RUN_EVENT_CANCEL, RUN_CANCELLING, RUN_REASON_CANCELLED,    false},
        {"cancelled",                        {RUN_CANCELLING, 0, 0, 0, 0}, RUN_EVENT_ENDED,  RUN_CANCELLED,  RUN_REASON_CANCELLED,    false},
        {"cancelled, some had failed",       {RUN_CANCELLING, 0, 0, 1, 0}, RUN_EVENT_ENDED,  RUN_CANCELLED,  RUN_REASON_CANCELLED,    false},
        {"cancelling waits for the holders", {RUN_CANCELLING, 0, 1, 0, 0}, RUN_EVENT_ENDED,  RUN_CANCELLING, RUN_REASON_NONE,         true},
        {"retry what failed",                {RUN_FAILED, 0, 0, 1, 0},     RUN_EVENT_RETRY,  RUN_RUNNING,    RUN_REASON_RETRIED,      false},
        {"retry what was cancelled",         {RUN_CANCELLED, 0, 0, 0, 0},  RUN_EVENT_RETRY,  RUN_RUNNING,    RUN_REASON_RETRIED,      false},
        {"nothing to retry while it runs",   {RUN_RUNNING, 0, 1, 0, 0},    RUN_EVENT_RETRY,  RUN_RUNNING,    RUN_REASON_NONE,         true},
        {"no retry while it is cancelled",   {RUN_CANCELLING, 0, 1, 0, 0}, RUN_EVENT_RETRY,  RUN_CANCELLING, RUN_REASON_NONE,         true},
        {"no retry of a success",            {RUN_SUCCEEDED, 0, 0, 0, 0},  RUN_EVENT_RETRY,  RUN_SUCCEEDED,  RUN_REASON_NONE,         true},
        {"no cancel of a success",           {RUN_SUCCEEDED, 0, 0, 0, 0},  RUN_EVENT_CANCEL, RUN_SUCCEEDED,  RUN_REASON_NONE,         true},
        {"no cancel of a failure",           {RUN_FAILED, 0, 0, 1, 0},     RUN_EVENT_CANCEL, RUN_FAILED,     RUN_REASON_NONE,         true},
        {"no cancel of what is cancelled",   {RUN_CANCELLED, 0, 0, 0, 0},  RUN_EVENT_CANCEL, RUN_CANCELLED,  RUN_REASON_NONE,         true},
        {"no second end",                    {RUN_SUCCEEDED, 0, 0, 0, 0},  RUN_EVENT_ENDED,  RUN_SUCCEEDED,  RUN_REASON_NONE,         true},
  /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct run r = rows[i].run;
        const char *why = NULL;

        CHECK_ROW(rows[i].name,
                  run_move(&r, rows[i].event, &why) == (rows[i].refused ? RUN_E_REFUSED : 0));
        CHECK_ROW(rows[i].name, r.state == rows[i].to && r.reason == rows[i].reason);
        CHECK_ROW(rows[i].name, r.open == rows[i].run.open && r.failed == rows[i].run.failed);
        CHECK_ROW(rows[i].name, (why == NULL) == rows[i].refused);
    }
}

/*
 * All histories of eight events over a run of two tasks, in which tasks end well, badly or
 * cancelled, or are given back by a retry. Whatever comes, in whatever order: final states are left
 * by retry alone, no run ends with an open task, and once all tasks have ended one ENDED ends it.
 */
enum { CANCEL, ENDED, RETRY, TASK_SUCCEEDS, TASK_FAILS, TASK_IS_CANCELLED, EVENTS };

static bool reached[RUN_STATE_N];

static void retry_tasks(struct run *r)
{
    r->open = r->failed + r->cancelled;
    r->failed = r->cancelled = 0;
}

static void step(struct run *r, int event)
{
    static const enum run_event events[] = {RUN_EVENT_CANCEL, RUN_EVENT_ENDED, RUN_EVENT_RETRY};
    struct run before = *r;

    if (event >= TASK_SUCCEEDS) {
        if (r->open) {
            r->open--;
            r->failed += event == TASK_FAILS;
            r->cancelled += event == TASK_IS_CANCELLED;
        }
        return;
    }
    if (run_move(r, events[event], NULL)) {
        assert_memory_equal(r, &before, sizeof(before));
        return;
    }
    if (run_final(before.state))
        assert_true(event == RETRY && before.state != RUN_SUCCEEDED && r->state == RUN_RUNNING);
    if (run_final(r->state))
        assert_true(event == ENDED && r->open == 0);
    if (before.state == RUN_CANCELLING)
        assert_true(r->state == RUN_CANCELLING || r->state == RUN_CANCELLED);
    assert_true(r->state != RUN_SUCCEEDED || (r->failed == 0 && r->cancelled == 0));
    assert_true(r->state != RUN_FAILED || r->failed > 0);
    if (event == RETRY)
        retry_tasks(r);
}

static void every_history_of_eight_events(void **state)
{
    (void)state;
    for (int history = 0; history < 1679616; history++) { /* 6^8 */
        struct run r = {.state = RUN_RUNNING, .open = 2};

        for (int i = 0, rest = history; i < 8; i++, rest /= EVENTS) {
            step(&r, rest % EVENTS);
            reached[r.state] = true;
        }
        /* It can always be brought to its end. */
        r.open = 0;
        step(&r, ENDED);
        assert_true(run_final(r.state));
    }
    for (int s = 0; s < RUN_STATE_N; s++)
        assert_true(reached[s]);
}

static void texts_are_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < RUN_STATE_N; i++) {
        enum run_state s = RUN_STATE_N;

        assert_true(run_state_parse(run_state_text((enum run_state)i), &s));
        assert_int_equal(s, i);
    }
    CHECK_TEXT(run_state_text(RUN_CANCELLING), "CANCELLING");
    CHECK_TEXT(run_reason_text(RUN_REASON_NONE), "");
    CHECK_TEXT(run_reason_text(RUN_REASON_TASKS_FAILED), "tasks_failed");
    assert_false(run_state_parse(STR("Running"), &(enum run_state){0}));
    assert_false(run_state_parse(STR(""), &(enum run_state){0}));
}

static void the_diagram_is_printed_from_the_table(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10000);
    run_diagram(&b);
    CHECK_TEXT(buf_str(&b), "stateDiagram-v2\n"
                            "    [*] --> RUNNING\n"
                            "    RUNNING --> CANCELLING: cancel\n"
                            "    RUNNING --> FAILED: ended\n"
                            "    RUNNING --> CANCELLED: ended\n"
                            "    RUNNING --> SUCCEEDED: ended\n"
                            "    CANCELLING --> CANCELLING: cancel\n"
                            "    CANCELLING --> CANCELLED: ended\n"
                            "    FAILED --> RUNNING: retry\n"
                            "    CANCELLED --> RUNNING: retry\n");
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves),
        cmocka_unit_test(every_history_of_eight_events),
        cmocka_unit_test(texts_are_read_back),
        cmocka_unit_test(the_diagram_is_printed_from_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
