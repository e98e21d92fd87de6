/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of stages: kept in order, the first and the newest. */
#include "engine/progress.h"

#include "engine/engine_testing.h"
#include "engine/lease.h"

#define TWO "weft: 1\nname: two\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n"

/* A stage that goes on, in the place of a task of a workflow. */
static struct task_lease begin(struct world *w, int64_t *ret_run)
{
    struct task_lease l;

    *ret_run = world_start(w, TWO);
    world_join(w, 10);
    l = world_claim(w, *ret_run, 2).list[0];
    store_testing_sql(w->place, "UPDATE task SET gate = 3 WHERE name = 'a'");
    return l;
}

static enum code tell(struct world *w, const struct task_lease *l, int percent, const char *message,
                      const char *details)
{
    const struct lease_progress p = {
        {l->task, l->token},
        percent, str_of(message), str_of(details)
    };
    struct lease_renewals reply;

    DO(w, lease_renew(&w->tx, &(struct lease_renew){&p, 1, 0}, &reply));
    return reply.list[0].code;
}

static const struct task_attempt *attempt(struct world *w, int64_t run, size_t n)
{
    struct task_details d = world_task(w, run, "a");

    assert_in_range(n, 0, d.task.attempts_n - 1);
    return d.task.attempts + n;
}

static void all_of_it_is_kept_in_order(void **state)
{
    struct world *w = world(state);
    const struct task_attempt *t;
    struct task_lease l;
    int64_t run;

    w->now = 1000 * CLOCK_S;
    l = begin(w, &run);
    assert_int_equal(attempt(w, run, 0)->progress_n, 0);
    tell(w, &l, 10, "begun", "{\"n\":1}");
    w->now += CLOCK_S;
    tell(w, &l, -1, "on", "");
    tell(w, &l, -1, "", ""); /* says nothing: it renews, no more */
    tell(w, &l, -1, "", "[2]");
    t = attempt(w, run, 0);
    assert_int_equal(t->progress_n, 3);
    assert_int_equal(t->percent, 10);
    CHECK_TEXT(t->message, "on");
    CHECK_TEXT(t->progress[0].message, "begun");
    CHECK_TEXT(t->progress[0].details, "{\"n\":1}");
    assert_int_equal(t->progress[0].percent, 10);
    assert_int_equal(t->progress[1].at - t->progress[0].at, CLOCK_S);
    assert_int_equal(t->progress[1].percent, -1);
    CHECK_TEXT(t->progress[2].details, "[2]");
    /* It stays with the attempt that ended. */
    world_complete(w, &l, OUTCOME_SUCCEEDED);
    assert_int_equal(attempt(w, run, 0)->progress_n, 3);
    assert_int_equal(tell(w, &l, 99, "late", ""), CODE_LEASE_LOST);
    assert_int_equal(attempt(w, run, 0)->progress_n, 3);
}

/* So many times, in one transaction. */
static int tell_often(struct tx *tx, const struct task_lease *l, int times)
{
    struct lease_renewals reply;
    int r = 0;

    for (int i = 0; !r && i < times; i++) {
        const struct lease_progress p = {
            .lease = {l->task, l->token},
            .percent = i % 100,
            .message = str_printf(tx->arena, "m%d", i)
        };

        r = lease_renew(tx, &(struct lease_renew){&p, 1, 0}, &reply);
    }
    return r;
}

static void the_first_and_the_newest_are_kept(void **state)
{
    struct world *w = world(state);
    const struct task_attempt *t;
    struct task_lease l;
    int64_t run;

    l = begin(w, &run);
    DO(w, tell_often(&w->tx, &l, PROGRESS_KEPT + 5));
    t = attempt(w, run, 0);
    assert_int_equal(t->progress_n, PROGRESS_KEPT);
    CHECK_TEXT(t->progress[0].message, "m0");
    CHECK_TEXT(t->progress[1].message, "m6");
    CHECK_TEXT(t->progress[PROGRESS_KEPT - 1].message, "m1004");
}

static void a_request_may_name_a_lease_twice(void **state)
{
    struct world *w = world(state);
    struct lease_renewals reply;
    struct lease_progress p[2];
    struct task_lease l;
    int64_t run;

    l = begin(w, &run);
    for (int i = 0; i < 2; i++)
        p[i] = (struct lease_progress){
            {l.task, l.token},
            i, STR("twice"), STR("")
        };
    DO(w, lease_renew(&w->tx, &(struct lease_renew){p, 2, 0}, &reply));
    assert_int_equal(attempt(w, run, 0)->progress_n, 1);
    assert_int_equal(attempt(w, run, 0)->progress[0].percent, 1);
}

/* The events of progress that the run has. */
static size_t told(struct world *w, int64_t run, struct event **ret)
{
    struct event_rows events;
    size_t n = 0;

    DO(w, event_list(&w->tx, &(struct event_list){run, 0, EVENT_LIST_MAX}, &events));
    for (size_t i = 0; i < events.n; i++)
        if (str_eq(events.list[i].kind, STR("task_PROGRESS")))
            events.list[n++] = events.list[i];
    *ret = events.list;
    return n;
}

static void each_is_an_event_of_its_run(void **state)
{
    struct world *w = world(state);
    struct event *events;
    struct task_lease l;
    int64_t run;

    l = begin(w, &run);
    tell(w, &l, 10, "be\"gun", "{\"n\":1}");
    tell(w, &l, -1, "", ""); /* says nothing */
    tell(w, &l, -1, "on", "");
    tell(w, &l, 50, "", "");
    assert_int_equal(told(w, run, &events), 3);
    CHECK_TEXT(events[0].name, "a");
    assert_int_equal(events[0].task, l.task);
    CHECK_TEXT(events[0].data,
               str_printf(&w->arena,
                          "{\"token\":\"%" PRId64 "\",\"percent\":10,\"message\":\"be\\\"gun\"}",
                          l.token)
                   .p);
    CHECK_TEXT(events[1].data,
               str_printf(&w->arena, "{\"token\":\"%" PRId64 "\",\"message\":\"on\"}", l.token).p);
    CHECK_TEXT(events[2].data,
               str_printf(&w->arena, "{\"token\":\"%" PRId64 "\",\"percent\":50}", l.token).p);
}

static void who_tells_for_ever_makes_an_event_a_second(void **state)
{
    struct world *w = world(state);
    struct event *events;
    struct task_lease l;
    int64_t run;

    w->now = 1000 * CLOCK_S;
    l = begin(w, &run);
    DO(w, tell_often(&w->tx, &l, PROGRESS_KEPT));
    assert_int_equal(told(w, run, &events), PROGRESS_KEPT);
    DO(w, tell_often(&w->tx, &l, 7));
    assert_int_equal(told(w, run, &events), PROGRESS_KEPT);
    for (int i = 1; i <= 3; i++) {
        w->now += CLOCK_S;
        DO(w, tell_often(&w->tx, &l, 7));
        assert_int_equal(told(w, run, &events), PROGRESS_KEPT + i);
    }
}

static void long_details_are_refused(void **state)
{
    struct world *w = world(state);
    struct lease_renewals reply;
    struct lease_progress p = {.percent = -1};
    struct task_lease l;
    int64_t run;

    l = begin(w, &run);
    p.lease = (struct lease_ref){l.task, l.token};
    p.details = (struct str){arena_alloc(&w->arena, PROGRESS_DETAILS_BYTES_MAX + 1),
                             PROGRESS_DETAILS_BYTES_MAX + 1};
    REFUSED(w, lease_renew(&w->tx, &(struct lease_renew){&p, 1, 0}, &reply), CODE_TOO_LARGE);
}

#define PROGRESS_TESTS(name) ENGINE_FILE_TEST(name), ENGINE_TEST(name, postgres, postgres)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROGRESS_TESTS(all_of_it_is_kept_in_order),
        PROGRESS_TESTS(the_first_and_the_newest_are_kept),
        PROGRESS_TESTS(a_request_may_name_a_lease_twice),
        PROGRESS_TESTS(each_is_an_event_of_its_run),
        PROGRESS_TESTS(who_tells_for_ever_makes_an_event_a_second),
        PROGRESS_TESTS(long_details_are_refused),
    };

    return ENGINE_MAIN(tests);
}
