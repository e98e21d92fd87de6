/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine_testing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"

#define LOCK_LOOKS 2000 /* ten seconds of them */

enum place { MEMORY, FILE_, POSTGRES };
static int places[] = {MEMORY, FILE_, POSTGRES};
void *const world_memory = &places[MEMORY], *const world_file = &places[FILE_],
            *const world_postgres = &places[POSTGRES];

/* The database of this program's tests; made by the first that asks for it. */
static struct store_testing *shared;

static struct store_testing *shared_place(void)
{
    void *state = store_testing_postgres;

    if (shared)
        return shared;
    assert_int_equal(store_testing_setup(&state), 0);
    shared = state;
    return shared;
}

int world_end(void **state)
{
    void *last = shared;

    (void)state;
    return shared ? store_testing_teardown(&last) : 0;
}

static void open_store(struct world *w)
{
    const struct store_options memory = {.url = STR("sqlite::memory:"), .mode = STORE_WRITE};

    if (w->place)
        w->store = store_testing_open(w->place, STORE_WRITE);
    else
        assert_int_equal(store_open(&memory, &w->store), 0);
}

int world_setup(void **state)
{
    enum place place = *(int *)*state;
    struct world *w = memory_new(sizeof(*w));
    void *file = store_testing_sqlite;

    *state = w;
    prng_seed(&w->prng, 7);
    if (place == FILE_) {
        assert_int_equal(store_testing_setup(&file), 0);
        w->place = file;
    }
    if (place == POSTGRES) {
        w->place = shared_place();
        if (w->place->missing)
            return 0;
    }
    open_store(w);
    if (place == POSTGRES)
        store_testing_sql(w->place, "DELETE FROM worker; DELETE FROM queue; DELETE FROM workflow;"
                                    "DELETE FROM run; DELETE FROM task; DELETE FROM dep_group;"
                                    "DELETE FROM dep_edge; DELETE FROM attempt; DELETE FROM event;"
                                    "DELETE FROM tally; DELETE FROM lane; DELETE FROM uniqueness;"
                                    "DELETE FROM block; DELETE FROM piece; DELETE FROM ended;"
                                    "DELETE FROM plan_task; DELETE FROM dep_wanted;"
                                    "DELETE FROM check_result; DELETE FROM progress;"
                                    "DELETE FROM dispatch");
    w->tx = (struct tx){.store = w->store, .arena = &w->arena, .prng = &w->prng};
    return 0;
}

int world_teardown(void **state)
{
    struct world *w = *state;
    void *file = w->place != shared ? w->place : NULL;

    store_free(w->store);
    if (file)
        store_testing_teardown(&file);
    arena_deinit(&w->arena);
    free(w);
    return 0;
}

struct world *world(void **state)
{
    struct world *w = *state;

    if (!w->store) {
        print_message("WEFT_TEST_POSTGRES names no server\n");
        skip();
    }
    return w;
}

int world_begin(struct world *w)
{
    int r = tx_begin(&w->tx);

    if (w->now)
        w->tx.now = w->now;
    return r;
}

struct late {
    struct tx tx;
    world_call *call;
    const void *req;
    void *reply;
    int r;
};

static void *come_late(void *context)
{
    struct late *l = context;

    l->r = tx_begin(&l->tx);
    if (!l->r)
        l->r = l->call(&l->tx, l->req, l->reply);
    tx_rollback(&l->tx);
    return NULL;
}

void world_await_lock(struct world *w)
{
    static const char waits[] = "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                "current_database() AND wait_event_type = 'Lock'";
    const struct timespec pause = {.tv_nsec = 5 * CLOCK_MS * 1000};

    for (int i = 0; i < LOCK_LOOKS && strcmp(store_testing_sql(w->place, waits), "0") == 0; i++)
        nanosleep(&pause, NULL);
}

enum code world_meet(struct world *w, world_call *call, const void *req, void *reply)
{
    struct store *store = store_testing_open(w->place, STORE_WRITE);
    struct arena a = {0};
    struct late l = {
        {.store = store, .arena = &a},
        call, req, reply, 0
    };
    enum code code;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, come_late, &l), 0);
    world_await_lock(w);
    STORE_OK(w->store, tx_commit(&w->tx));
    pthread_join(thread, NULL);
    code = l.r ? l.tx.problem.code : CODE_OK;
    assert_true(l.r == 0 || l.r == ENGINE_E_REFUSED);
    arena_deinit(&a);
    store_free(store);
    return code;
}

void world_healthy(struct world *w)
{
    struct doctor_report report;

    DO(w, doctor_check(&w->tx, NULL, &report));
    for (size_t i = 0; i < report.n; i++)
        if (report.checks[i].found)
            fail_msg(STR_FMT ": %" PRId64 " found, such as " STR_FMT, STR_ARG(report.checks[i].id),
                     report.checks[i].found, STR_ARG(report.checks[i].example));
}

static const char *const kept[] = {"uniqueness", "lane",      "worker",   "task",    "run",
                                   "tally",      "dep_group", "dep_edge", "attempt", "block",
                                   "piece",      "ended",     "plan_task"};

void world_keep(struct world *w)
{
    for (size_t i = 0; i < ROWS_N(kept); i++)
        store_testing_sql(
            w->place,
            str_printf(&w->arena, "CREATE TABLE kept_%s AS SELECT * FROM %s", kept[i], kept[i]).p);
}

void world_restore(struct world *w)
{
    for (size_t i = 0; i < ROWS_N(kept); i++)
        store_testing_sql(
            w->place, str_printf(&w->arena, "DELETE FROM %s; INSERT INTO %s SELECT * FROM kept_%s",
                                 kept[i], kept[i], kept[i])
                          .p);
}

int64_t world_join(struct world *w, int64_t slots)
{
    const struct worker_register req = {.name = STR("w"),
                                        .kind = STR("remote"),
                                        .host = STR("h"),
                                        .slots = slots,
                                        .ttl_us = 60 * CLOCK_S};
    struct worker_row row;

    DO(w, worker_register(&w->tx, &req, &row));
    w->worker = row.incarnation;
    return row.incarnation;
}

int64_t world_start(struct world *w, const char *yaml)
{
    const struct workflow_put put = {.source = str_of(yaml),
                                     .format = STR("yaml"),
                                     .path = STR("t.yaml"),
                                     .fallback_name = STR("t")};
    struct workflow_row row;
    struct run_row run;

    DO(w, workflow_put(&w->tx, &put, &row));
    DO(w, run_start(&w->tx, &(struct run_start){.workflow = row.name, .dir = STR("/")}, &run));
    return run.id;
}

struct task_leases world_claim(struct world *w, int64_t run, int64_t max)
{
    struct task_leases leases;

    DO(w, task_claim(&w->tx, &(struct task_claim){.worker = w->worker, .run = run, .max = max},
                     &leases));
    return leases;
}

struct task_lease world_claim_one(struct world *w, int64_t run)
{
    struct task_leases leases = world_claim(w, run, 1);

    assert_int_equal(leases.n, 1);
    return leases.list[0];
}

struct task_leases world_claim_queue(struct world *w, const char *queue, int64_t max)
{
    const struct task_claim req = {.worker = w->worker, .queue = str_of(queue), .max = max};
    struct task_leases leases;

    DO(w, task_claim(&w->tx, &req, &leases));
    return leases;
}

enum code world_complete(struct world *w, const struct task_lease *l, enum outcome o)
{
    bool failed = o == OUTCOME_FAILED;
    const struct task_result result = {
        .lease = {l->task, l->token},
        .outcome = o,
        .reason = failed ? TASK_REASON_COMMAND_FAILED : TASK_REASON_NONE,
        .exit_code = o == OUTCOME_SUCCEEDED ? 0
                     : failed               ? 1
                                            : -1,
    };
    struct task_codes codes;

    DO(w, task_complete(&w->tx, &(struct task_complete){&result, 1}, &codes));
    assert_int_equal(codes.n, 1);
    return codes.list[0];
}

struct run_view world_look(struct world *w, int64_t run)
{
    struct run_view v;

    DO(w, run_get(&w->tx, &(struct run_get){.id = run, .tasks = true}, &v));
    return v;
}

const char *world_states(struct world *w, int64_t run)
{
    struct run_view v = world_look(w, run);
    char *text = arena_alloc(&w->arena, v.tasks_n + 1);

    for (size_t i = 0; i < v.tasks_n; i++)
        text[i] = "BDRLrASFCK"[v.tasks[i].state];
    return text;
}

struct task_details world_task(struct world *w, int64_t run, const char *name)
{
    struct task_details d;

    DO(w, task_get(&w->tx, &(struct task_which){.run = run, .name = str_of(name)}, &d));
    return d;
}

struct reaper_reply world_reap(struct world *w)
{
    struct reaper_reply reply;

    DO(w, reaper_scan(&w->tx, NULL, &reply));
    return reply;
}
