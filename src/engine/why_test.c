/* SPDX-License-Identifier: Apache-2.0 */
/* Why: a sentence for every state of a task and of a run. */
#include "engine/engine_testing.h"
#include "engine/plan_testing.h"

#define START (1900000000LL * CLOCK_S)

static struct task_lease next(struct world *w, int64_t run, enum outcome o, const char *message)
{
    struct task_lease l = world_claim_one(w, run);
    const struct task_result result = {
        .lease = {l.task, l.token},
        .outcome = o,
        .reason = o == OUTCOME_FAILED ? TASK_REASON_COMMAND_FAILED : TASK_REASON_NONE,
        .message = str_of(message),
        .exit_code = o == OUTCOME_FAILED ? 3 : 0,
    };
    struct task_codes codes;

    DO(w, task_complete(&w->tx, &(struct task_complete){&result, 1}, &codes));
    return l;
}

static const char *why(struct world *w, int64_t run, const char *name)
{
    struct task_details d = world_task(w, run, name);

    return str_cstr(&w->arena, d.why);
}

static const char *why_run_(struct world *w, int64_t run)
{
    struct run_why reply;

    DO(w, run_why(&w->tx, &run, &reply));
    return str_cstr(&w->arena, reply.why);
}

/* Numbers that differ from store to store are written into the expectation. */
#define SAYS(given, ...) assert_string_equal((given), str_printf(&w->arena, __VA_ARGS__).p)

static void tasks_that_wait_for_others(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(
        w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n  c: {run: [x]}\n"
           "  all: {run: [x], needs: [a, b]}\n"
           "  two: {run: [x], needs: [{at_least: 2, of: [a, b, c]}, {all_done: [c]}]}\n");

    world_join(w, 1);
    next(w, run, OUTCOME_SUCCEEDED, "");
    SAYS(why(w, run, "all"),
         "it waits for other tasks; 1 of 2 ended, 1 succeeded; needs every one to "
         "succeed (b is READY)");
    SAYS(why(w, run, "two"),
         "it waits for other tasks; 1 of 3 ended, 1 succeeded; needs at least 2 to "
         "succeed (b is READY, c is READY); 0 of 1 ended, 0 succeeded; needs every "
         "one to end (c is READY)");
}

static void tasks_that_are_ready(void **state)
{
    struct world *w = world(state);
    int64_t run =
        world_start(w, "weft: 1\nmax_parallel: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n");
    const struct task_new one = {.payload = STR("1")};
    struct worker_row row;
    struct queue_status q;
    struct task_ids ids;
    struct task_details d;

    SAYS(why(w, run, "a"),
         "it is ready, and no program carries run %" PRId64 ": `weft runs resume %" PRId64 "` does",
         run, run);
    DO(w, queue_put(&w->tx, &(struct queue_put){.name = STR("mail")}, &q));
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), &one, 1}, &ids));
    DO(w, task_get(&w->tx, &(struct task_which){.id = ids.list[0]}, &d));
    CHECK_TEXT(d.why, "it is ready, and no worker is there to take it");
    world_join(w, 5);
    SAYS(why(w, run, "a"), "it is ready and waits for a free slot of a worker");
    DO(w,
       queue_put(&w->tx,
                 &(struct queue_put){
                     .name = STR("mail"), .given = 1u << QUEUE_SET_PAUSED, .set = {.paused = true}},
                 &q));
    DO(w, task_get(&w->tx, &(struct task_which){.id = ids.list[0]}, &d));
    CHECK_TEXT(d.why, "it is ready, and its queue \"mail\" is paused");
    world_claim_one(w, run);
    SAYS(why(w, run, "b"),
         "it is ready; its run has 1 tasks under way, as many as max_parallel allows");
    DO(w, worker_drain(&w->tx, &w->worker, &row));
    SAYS(why(w, run, "b"),
         "it is ready, and no program carries run %" PRId64 ": `weft runs resume %" PRId64 "` does",
         run, run);
}

/* The guest. */
static int64_t get_worker(struct world *w)
{
    struct worker_views v;

    DO(w, worker_page(&w->tx, &(struct worker_page){.name = STR("script"), .max = 1}, &v));
    assert_int_equal(v.n, 1);
    return v.list[0].worker.incarnation;
}

static const char *why_id(struct world *w, int64_t id)
{
    struct task_details d;

    DO(w, task_get(&w->tx, &(struct task_which){.id = id}, &d));
    return str_cstr(&w->arena, d.why);
}

static void limit(struct world *w, enum queue_set what, struct queue_status set)
{
    struct queue_status q;

    DO(w, queue_put(&w->tx,
                    &(struct queue_put){.name = STR("mail"), .given = 1u << what, .set = set}, &q));
}

/* Each limit of a queue is told by its name, and who holds a task, and until when. */
static void tasks_of_queues(void **state)
{
    struct world *w = world(state);
    const struct task_new list[] = {
        {.payload = STR("1"),       .key = STR("k")},
        {.payload = STR("2"),       .key = STR("k")},
        {.payload = STR("3")      },
        {.payload = STR("4"), .delay_us = 10 * CLOCK_S               },
    };
    const struct task_claim claim = {.guest = STR("script"), .queue = STR("mail"), .max = 1};
    struct task_leases l;
    struct task_details d;
    struct task_ids ids;

    w->now = START;
    world_join(w, 5);
    limit(w, QUEUE_SET_KEY_CONCURRENCY, (struct queue_status){.key_concurrency = 1});
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), list, 4}, &ids));
    DO(w, task_claim(&w->tx, &claim, &l));
    assert_int_equal(l.list[0].task, ids.list[0]);
    SAYS(why_id(w, ids.list[0]),
         "attempt 1 is leased by worker \"script\" (%" PRId64 ") until 2030-03-17T18:46:40.000000Z",
         get_worker(w));
    SAYS(why_id(w, ids.list[1]), "it is ready; its key \"k\" is busy: as many tasks of it as "
                                 "key_concurrency allows, 1, have not ended");
    SAYS(why_id(w, ids.list[2]), "it is ready and waits for a free slot of a worker");
    SAYS(why_id(w, ids.list[3]), "it starts at 2030-03-17T17:46:50.000000Z and not before");
    limit(w, QUEUE_SET_CONCURRENCY_MAX, (struct queue_status){.concurrency_max = 1});
    SAYS(why_id(w, ids.list[2]), "it is ready; its queue has 1 tasks under way, as many as "
                                 "concurrency_max allows");
    limit(w, QUEUE_SET_CONCURRENCY_MAX, (struct queue_status){0});
    limit(w, QUEUE_SET_RATE, (struct queue_status){.rate_milli = 100});
    DO(w, task_claim(&w->tx, &claim, &l));
    assert_int_equal(l.n, 1);
    DO(w, task_release(&w->tx,
                       &(struct task_release){
                           &(struct lease_ref){l.list[0].task, l.list[0].token},
                            1
    },
                       &(struct task_codes){0}));
    SAYS(why_id(w, ids.list[2]), "it is ready; the rate of its queue allows the next task at "
                                 "2030-03-17T17:46:50.000000Z");
    DO(w, task_get(&w->tx, &(struct task_which){.id = ids.list[1]}, &d));
    CHECK_TEXT(d.task.key, "k");
    CHECK_TEXT(d.task.payload, "2");
}

static void tasks_that_wait_for_a_time(void **state)
{
    struct world *w = world(state);
    int64_t run;

    w->now = START;
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x], not_before: 10s}\n"
                         "  b: {run: [x], retry: {max_attempts: 2, backoff: {base: 5s}}}\n");
    world_join(w, 1);
    SAYS(why(w, run, "a"), "it starts at 2030-03-17T17:46:50.000000Z and not before");
    next(w, run, OUTCOME_FAILED, "the disk is full");
    SAYS(why(w, run, "b"), "it tries again at 2030-03-17T17:46:45.000000Z, after attempt 1 failed: "
                           "the disk is full");
}

static void tasks_that_run(void **state)
{
    struct world *w = world(state);
    struct run_row row;
    int64_t run;

    w->now = START;
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n");
    world_join(w, 1);
    world_claim_one(w, run);
    SAYS(why(w, run, "a"), "attempt 1 runs on worker %" PRId64 " since 2030-03-17T17:46:40.000000Z",
         w->worker);
    DO(w, run_cancel(&w->tx, &run, &row));
    SAYS(why(w, run, "a"),
         "attempt 1 runs on worker %" PRId64
         " since 2030-03-17T17:46:40.000000Z; it is asked to stop",
         w->worker);
}

static void tasks_that_have_ended(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(
        w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n"
           "  c: {run: [x], needs: [b]}\n  d: {run: [x], needs: [{one_success: [c, b]}]}\n"
           "  e: {run: [x]}\n");

    world_join(w, 1);
    next(w, run, OUTCOME_SUCCEEDED, "");
    next(w, run, OUTCOME_FAILED, "no such file");
    next(w, run, OUTCOME_CANCELLED, "");
    SAYS(why(w, run, "a"), "attempt 1 succeeded");
    SAYS(why(w, run, "b"), "attempt 1 failed (command_failed): no such file; no attempts are left");
    SAYS(why(w, run, "c"),
         "it was skipped because b is FAILED; 1 of 1 ended, 0 succeeded; needs every "
         "one to succeed (b is FAILED)");
    SAYS(why(w, run, "d"),
         "it was skipped because c is SKIPPED; 2 of 2 ended, 0 succeeded; needs at "
         "least one to succeed (b is FAILED, c is SKIPPED)");
    SAYS(why(w, run, "e"), "it was cancelled");
}

static void every_run(void **state)
{
    struct world *w = world(state);
    struct run_retry_reply retry;
    struct run_row row;
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [a]}\n"
                                 "  c: {run: [x], not_before: 1h}\n  d: {run: [x]}\n");
    int64_t other =
        world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [a]}\n");
    struct task_lease l;
    int64_t nothing = 999;
    struct run_why reply;

    world_join(w, 5);
    l = world_claim_one(w, run);
    SAYS(why_run_(w, run),
         "4 of 4 tasks are open: 1 running, 1 ready, 1 delayed, 1 waiting for others");
    DO(w, run_cancel(&w->tx, &run, &row));
    SAYS(why_run_(w, run), "it is being cancelled; 1 tasks are still to be stopped");
    world_complete(w, &l, OUTCOME_SUCCEEDED);
    SAYS(why_run_(w, run),
         "it was cancelled: 1 tasks had succeeded, 3 were cancelled; `weft runs "
         "retry %" PRId64 "` goes on",
         run);
    next(w, other, OUTCOME_FAILED, "x");
    SAYS(why_run_(w, other),
         "1 of 2 tasks failed, 1 were skipped; `weft runs retry %" PRId64 "` tries them again",
         other);
    DO(w, run_why(&w->tx, &other, &reply));
    assert_int_equal(reply.tasks_n, 2);
    CHECK_TEXT(reply.tasks[0].task.name, "a");
    CHECK_TEXT(reply.tasks[0].why, "attempt 1 failed (command_failed): x; no attempts are left");
    DO(w, run_retry(&w->tx, &other, &retry));
    next(w, other, OUTCOME_SUCCEEDED, "");
    next(w, other, OUTCOME_SUCCEEDED, "");
    SAYS(why_run_(w, other), "no task failed: 2 succeeded, 0 were skipped");
    REFUSED(w, run_why(&w->tx, &nothing, &reply), CODE_RUN_NOT_FOUND);
}

/* What waits for a runner waits for no worker of weft's own, and a plan is not retried. */
static void plans(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage pushed = plans_stage(w, "pushed", "", "");
    struct plan_stage pulled = plans_stage(w, "pulled", "", "");
    struct run_why reply;
    struct run_row row;

    pushed.type = STR("build");
    plans_write_stage(w, run, pushed);
    plans_write_stage(w, run, pulled);
    DO(w, run_why(&w->tx, &run, &reply));
    assert_int_equal(reply.tasks_n, 2);
    SAYS(str_cstr(&w->arena, reply.tasks[0].why),
         "it is ready and waits for a runner of type \"build\"; `weft task why %" PRId64
         "` tells of each",
         reply.tasks[0].task.id);
    SAYS(str_cstr(&w->arena, reply.tasks[1].why),
         "it is ready and waits for a worker that claims from run %" PRId64, run);
    DO(w, run_cancel(&w->tx, &run, &row));
    SAYS(why_run_(w, run), "it was cancelled: 0 tasks had succeeded, 2 were cancelled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(tasks_that_wait_for_others),
        ENGINE_TESTS(tasks_that_are_ready),
        ENGINE_TESTS(tasks_that_wait_for_a_time),
        ENGINE_TESTS(tasks_that_run),
        ENGINE_TESTS(tasks_of_queues),
        ENGINE_TESTS(tasks_that_have_ended),
        ENGINE_TESTS(every_run),
        ENGINE_TESTS(plans),
    };

    return ENGINE_MAIN(tests);
}
