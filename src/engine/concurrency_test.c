/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many workers at once on one store, each with a thread and a connection of its own: no task is
 * held twice, none succeeds twice, everything comes to its end, and whoever looks in between sees
 * nothing half done.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/fault.h"
#include "engine/engine_testing.h"

#define THREADS     8
#define QUEUE_TASKS 2000
#define RUNS        6
#define RETRIES_MAX 2 /* of a run that did not succeed */
#define BATCH_MAX   8
#define SECONDS_MAX 100
#define IDS_MAX     4000000

struct crowd {
    struct store_testing *place;
    int64_t runs[RUNS];
    atomic_int retries[RUNS];
    /* Who holds a task, by its id; written after the commit of a claim and before the request that
     * ends the lease. */
    atomic_int held[IDS_MAX], succeeded[IDS_MAX];
    atomic_bool done;
    atomic_llong transactions, again;
    bool leave; /* workers go while they hold tasks */

    pthread_mutex_t lock;
    char problem[1000]; /* the first one */
};

struct member {
    struct crowd *crowd;
    pthread_t thread;
    struct store *store;
    struct arena arena;
    struct prng prng;
    struct tx tx;
    int64_t worker;
    struct task_lease held[BATCH_MAX];
    size_t held_n;
};

static void problem(struct crowd *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void problem(struct crowd *c, const char *format, ...)
{
    va_list args;

    pthread_mutex_lock(&c->lock);
    va_start(args, format);
    if (!c->problem[0])
        vsnprintf(c->problem, sizeof(c->problem), format, args);
    va_end(args);
    pthread_mutex_unlock(&c->lock);
    atomic_store(&c->done, true);
}

typedef int request(struct tx *tx, const void *req, void *reply);

#define REQUEST(name)                                                                              \
    static int do_##name(struct tx *tx, const void *req, void *reply)                              \
    {                                                                                              \
        return name(tx, req, reply);                                                               \
    }
REQUEST(worker_register)
REQUEST(worker_leave)
REQUEST(worker_beat)
REQUEST(task_claim)
REQUEST(task_complete)
REQUEST(run_start)
REQUEST(run_cancel)
REQUEST(run_retry)
REQUEST(run_get)
REQUEST(queue_get)
REQUEST(reaper_scan)
REQUEST(doctor_check)

static int once(struct member *m, request *call, const void *req, void *reply)
{
    int r = tx_begin(&m->tx);

    if (!r)
        r = call(&m->tx, req, reply);
    if (!r)
        return tx_commit(&m->tx);
    tx_rollback(&m->tx);
    return r;
}

/* One transaction; what lost a deadlock is done again. False where it was refused or failed. */
static bool run(struct member *m, request *call, const void *req, void *reply)
{
    int r;

    do {
        r = once(m, call, req, reply);
        atomic_fetch_add(&m->crowd->transactions, 1);
        if (r == -EAGAIN)
            atomic_fetch_add(&m->crowd->again, 1);
        /* SQLite's lock is not fair: on a busy machine somebody may not get it for long. */
    } while ((r == -EAGAIN || r == -EBUSY) && !atomic_load(&m->crowd->done));
    if (r < 0 && r != -EAGAIN && r != -EBUSY)
        problem(m->crowd, "fault %d: " STR_FMT " (%s)", r, STR_ARG(store_error(m->store)),
                fault_take());
    return r == 0;
}

static void join(struct member *m)
{
    const struct worker_register req = {
        .name = STR("w"), .kind = STR("remote"), .slots = BATCH_MAX, .ttl_us = 3600 * CLOCK_S};
    struct worker_row row = {0};

    run(m, do_worker_register, &req, &row);
    m->worker = row.incarnation;
}

static uint64_t draw(struct member *m, uint64_t n)
{
    return prng_below(&m->prng, n);
}

static void claim(struct member *m)
{
    struct task_claim req = {.worker = m->worker, .max = (int64_t)(1 + draw(m, BATCH_MAX))};
    struct crowd *c = m->crowd;
    struct task_leases reply;

    if (draw(m, 3))
        req.run = c->runs[draw(m, RUNS)];
    else
        req.queue = STR("mail");
    if (!run(m, do_task_claim, &req, &reply))
        return;
    if (reply.n == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    if (reply.n + m->held_n > BATCH_MAX)
        problem(c, "worker %" PRId64 " got more than it has slots", m->worker);
    for (size_t i = 0; i < reply.n && m->held_n < BATCH_MAX; i++) {
        struct task_lease *l = &reply.list[i];

        if (l->task >= IDS_MAX || atomic_fetch_add(&c->held[l->task], 1) != 0)
            problem(c, "task %" PRId64 " is held twice", l->task);
        m->held[m->held_n++] =
            (struct task_lease){.task = l->task, .run = l->run, .token = l->token};
    }
}

static enum outcome any_outcome(struct member *m)
{
    uint64_t n = draw(m, 100);

    return n < 85   ? OUTCOME_SUCCEEDED
           : n < 93 ? OUTCOME_FAILED
           : n < 96 ? OUTCOME_REJECTED
                    : OUTCOME_TIMED_OUT;
}

static void complete(struct member *m)
{
    struct task_result list[BATCH_MAX];
    struct task_complete req = {list, m->held_n};
    struct crowd *c = m->crowd;
    struct task_codes codes;

    if (m->held_n == 0)
        return;
    for (size_t i = 0; i < m->held_n; i++) {
        list[i] = (struct task_result){
            .lease = {m->held[i].task, m->held[i].token},
            .outcome = any_outcome(m),
            .exit_code = -1
        };
        atomic_fetch_sub(&c->held[m->held[i].task], 1);
    }
    if (!run(m, do_task_complete, &req, &codes))
        return;
    for (size_t i = 0; i < codes.n; i++) {
        if (codes.list[i] != CODE_OK)
            problem(c, "completion of task %" PRId64 ": " STR_FMT, list[i].lease.task,
                    STR_ARG(code_text(codes.list[i])));
        if (list[i].outcome == OUTCOME_SUCCEEDED &&
            atomic_fetch_add(&c->succeeded[list[i].lease.task], 1) != 0)
            problem(c, "task %" PRId64 " succeeded twice", list[i].lease.task);
    }
    m->held_n = 0;
}

/* Go, with all that is held; the next incarnation starts anew. */
static void leave(struct member *m)
{
    struct worker_row row;

    for (size_t i = 0; i < m->held_n; i++)
        atomic_fetch_sub(&m->crowd->held[m->held[i].task], 1);
    m->held_n = 0;
    run(m, do_worker_leave, &m->worker, &row);
    join(m);
}

static void give_back(struct member *m)
{
    struct crowd *c = m->crowd;
    size_t i = draw(m, RUNS);
    struct run_retry_reply reply;
    struct run_view v;

    if (!run(m, do_run_get, &(struct run_get){.id = c->runs[i]}, &v) || !run_final(v.run.state) ||
        v.run.state == RUN_SUCCEEDED || atomic_fetch_add(&c->retries[i], 1) >= RETRIES_MAX)
        return;
    run(m, do_run_retry, &c->runs[i], &reply);
}

static void cancel(struct member *m)
{
    struct run_row row;

    run(m, do_run_cancel, &m->crowd->runs[draw(m, RUNS)], &row);
}

static void look_for_the_end(struct member *m)
{
    struct crowd *c = m->crowd;
    struct str mail = STR("mail");
    struct queue_status q;

    if (!run(m, do_queue_get, &mail, &q))
        return;
    for (int s = 0; s < TASK_STATE_N; s++)
        if (!task_final((enum task_state)s) && q.counts[s])
            return;
    for (size_t i = 0; i < RUNS; i++) {
        struct run_view v;

        if (!run(m, do_run_get, &(struct run_get){.id = c->runs[i]}, &v) ||
            !run_final(v.run.state) ||
            (v.run.state != RUN_SUCCEEDED && atomic_load(&c->retries[i]) < RETRIES_MAX))
            return;
    }
    atomic_store(&c->done, true);
}

static void *work(void *context)
{
    struct member *m = context;
    struct reaper_reply reaped;
    struct worker_beat_reply beat;

    join(m);
    while (!atomic_load(&m->crowd->done)) {
        uint64_t n = draw(m, 100);

        arena_reset(&m->arena);
        if (n < 40)
            claim(m);
        else if (n < 85)
            complete(m);
        else if (n < 88)
            run(m, do_worker_beat, &m->worker, &beat);
        else if (n < 90)
            run(m, do_reaper_scan, NULL, &reaped);
        else if (n < 94)
            give_back(m);
        else if (n < 95)
            cancel(m);
        else if (n < 97 && m->crowd->leave)
            leave(m);
        else if (n > 97)
            look_for_the_end(m);
    }
    return NULL;
}

/* a reader sees the whole of a transaction, or nothing of it. */
static void *watch(void *context)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    struct member *m = context;

    while (!atomic_load(&m->crowd->done)) {
        struct doctor_report report = {0};

        arena_reset(&m->arena);
        run(m, do_doctor_check, NULL, &report);
        for (size_t i = 0; i < report.n; i++)
            if (report.checks[i].found)
                problem(m->crowd, "the doctor finds " STR_FMT ": " STR_FMT,
                        STR_ARG(report.checks[i].id), STR_ARG(report.checks[i].example));
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void open_member(struct crowd *c, struct member *m, enum store_mode mode, size_t seed)
{
    *m = (struct member){.crowd = c, .store = store_testing_open(c->place, mode)};
    prng_seed(&m->prng, seed);
    m->tx = (struct tx){.store = m->store, .arena = &m->arena, .prng = &m->prng};
}

static void close_member(struct member *m)
{
    store_free(m->store);
    arena_deinit(&m->arena);
}

/* Layers of ten tasks, each of which waits for some of the layer above. */
static const char *layers(struct arena *a)
{
    static const char *const rules[] = {"[%s, %s]", "[{all_done: [%s, %s]}]",
                                        "[{one_success: [%s, %s]}]", "[{one_done: [%s]}, %s]"};
    struct str text =
        STR("weft: 1\nmax_parallel: 20\ndefaults: {retry: {max_attempts: 2}}\ntasks:\n");

    for (int i = 0; i < 60; i++) {
        char needs[100] = "[]", first[20], second[20];

        snprintf(first, sizeof(first), "t%d", i - 10 - i % 10 + (i + 3) % 10);
        snprintf(second, sizeof(second), "t%d", i - 10 - i % 10 + (i + 8) % 10);
        if (i >= 10) {
            const char *rule = rules[i % 4];
            const char *at = strstr(rule, "%s"), *behind = strstr(at + 2, "%s");

            snprintf(needs, sizeof(needs), "%.*s%s%.*s%s%s", (int)(at - rule), rule, first,
                     (int)(behind - at - 2), at + 2, second, behind + 2);
        }
        text = str_printf(a, STR_FMT "  t%d: {run: [x]%s%s}\n", STR_ARG(text), i,
                          i >= 10 ? ", needs: " : "", i >= 10 ? needs : "");
    }
    return text.p;
}

static void furnish(struct world *w, struct crowd *c)
{
    struct task_new *list = ARENA_ARRAY(&w->arena, struct task_new, QUEUE_TASKS);
    struct queue_status q;
    struct task_ids ids;

    for (size_t i = 0; i < QUEUE_TASKS; i++)
        list[i] = (struct task_new){.payload = STR("{}"), .priority = (int64_t)i % 3};
    DO(w, queue_put(&w->tx, &(struct queue_put){.name = STR("mail")}, &q));
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), list, QUEUE_TASKS}, &ids));
    for (size_t i = 0; i < RUNS; i++)
        c->runs[i] = world_start(w, layers(&w->arena));
    assert_true(w->worker + ids.list[QUEUE_TASKS - 1] < IDS_MAX);
}

static void crowd(struct world *w, bool leaves)
{
    struct crowd *c = calloc(1, sizeof(*c));
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    int64_t deadline = clock_monotonic() + SECONDS_MAX * CLOCK_S;
    struct member members[THREADS], reader;
    struct run_view v;

    c->place = w->place;
    c->leave = leaves;
    pthread_mutex_init(&c->lock, NULL);
    furnish(w, c);
    open_member(c, &reader, STORE_READ, 0);
    for (size_t i = 0; i < THREADS; i++)
        open_member(c, &members[i], STORE_WRITE, i + 1);
    assert_int_equal(pthread_create(&reader.thread, NULL, watch, &reader), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&members[i].thread, NULL, work, &members[i]), 0);
    while (!atomic_load(&c->done) && clock_monotonic() < deadline)
        nanosleep(&pause, NULL);
    if (!atomic_load(&c->done))
        problem(c, "the work was not done after %d s", SECONDS_MAX);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(members[i].thread, NULL);
    pthread_join(reader.thread, NULL);
    print_message("%lld transactions, %lld of them again\n", atomic_load(&c->transactions),
                  atomic_load(&c->again));
    for (size_t i = 0; i < THREADS; i++)
        close_member(&members[i]);
    close_member(&reader);
    if (c->problem[0])
        fail_msg("%s", c->problem);
    for (size_t i = 0; i < RUNS; i++) {
        DO(w, run_get(&w->tx, &(struct run_get){.id = c->runs[i]}, &v));
        assert_true(run_final(v.run.state));
    }
    world_healthy(w);
    /* The order of locks makes deadlocks rare, and those that come are seen and done again. */
    assert_true(atomic_load(&c->again) * 50 < atomic_load(&c->transactions));
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* whatever meets, there is one legal end, and nobody waits for ever. */
static void a_crowd_of_workers(void **state)
{
    crowd(world(state), false);
}

static void a_crowd_that_comes_and_goes(void **state)
{
    crowd(world(state), true);
}

#define STARTERS   4
#define STARTS_MAX 15

static void *start_runs(void *context)
{
    struct member *m = context;
    struct run_row row;

    for (int i = 0; i < STARTS_MAX; i++) {
        arena_reset(&m->arena);
        run(m, do_run_start, &(struct run_start){.workflow = STR("t"), .dir = STR("/")}, &row);
    }
    return NULL;
}

/* Programs that start runs at the same moment draw their numbers one after the other, and none of
 * them has to begin again. */
static void runs_started_at_once_have_numbers_of_their_own(void **state)
{
    struct world *w = world(state);
    struct crowd *c = calloc(1, sizeof(*c));
    struct member members[STARTERS];
    struct run_rows list;

    c->place = w->place;
    pthread_mutex_init(&c->lock, NULL);
    world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n");
    for (size_t i = 0; i < STARTERS; i++)
        open_member(c, &members[i], STORE_WRITE, i + 1);
    for (size_t i = 0; i < STARTERS; i++)
        assert_int_equal(pthread_create(&members[i].thread, NULL, start_runs, &members[i]), 0);
    for (size_t i = 0; i < STARTERS; i++) {
        pthread_join(members[i].thread, NULL);
        close_member(&members[i]);
    }
    if (c->problem[0])
        fail_msg("%s", c->problem);
    assert_int_equal(atomic_load(&c->again), 0);
    DO(w, run_list(&w->tx, &(struct run_list){.max = 1000}, &list));
    assert_int_equal(list.n, 1 + STARTERS * STARTS_MAX);
    for (size_t i = 0; i < list.n; i++)
        assert_int_equal(list.list[i].id, list.n - i);
    world_healthy(w);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_FILE_TEST(a_crowd_of_workers),
        ENGINE_TEST(a_crowd_of_workers, postgres, postgres),
        ENGINE_FILE_TEST(a_crowd_that_comes_and_goes),
        ENGINE_TEST(a_crowd_that_comes_and_goes, postgres, postgres),
        ENGINE_FILE_TEST(runs_started_at_once_have_numbers_of_their_own),
        ENGINE_TEST(runs_started_at_once_have_numbers_of_their_own, postgres, postgres),
    };

    return ENGINE_MAIN(tests);
}
