/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_testing: a world of a test's own: a store with a clock that the test sets.
 *
 * For tests only. ENGINE_TESTS(name) runs a test on SQLite in memory and on Postgres (skipped, with
 * a sentence, where there is no server); a test begins with `struct world *w = world(state)`. The
 * tests of a program share one Postgres database, which each finds empty; the program ends it by
 * ENGINE_MAIN(tests).
 */
#ifndef ENGINE_ENGINE_TESTING_H
#define ENGINE_ENGINE_TESTING_H

#include <inttypes.h>

#include "base/clock.h"
#include "engine/doctor.h"
#include "engine/event.h"
#include "engine/queue.h"
#include "engine/reaper.h"
#include "engine/run.h"
#include "engine/task.h"
#include "engine/tx.h"
#include "engine/worker.h"
#include "engine/workflow.h"
#include "store/store_testing.h"

struct world {
    struct store_testing *place; /* NULL: in memory */
    struct store *store;         /* NULL: there is no server */
    struct arena arena;          /* of all replies, until the test ends */
    struct prng prng;
    struct tx tx;
    int64_t now;     /* what each transaction is told; 0: the store's own time */
    int64_t worker;  /* the newest that world_join() registered */
    const char *row; /* of a table test, for the message of a failure */
};

int world_setup(void **state);
int world_teardown(void **state);
int world_end(void **state);

#define ENGINE_TEST(name, kind, place)                                                             \
    {                                                                                              \
#name "_" #kind, name, world_setup, world_teardown, world_##place                          \
    }
#define ENGINE_TESTS(name) ENGINE_TEST(name, sqlite, memory), ENGINE_TEST(name, postgres, postgres)
/* On SQLite in a file, where the test breaks rows by hand. */
#define ENGINE_FILE_TEST(name) ENGINE_TEST(name, sqlite, file)
extern void *const world_memory, *const world_file, *const world_postgres;

#define ENGINE_MAIN(tests) cmocka_run_group_tests((tests), NULL, world_end)

struct world *world(void **state);
int world_begin(struct world *w);

#define WORLD_ROW(w) (w)->row ? (w)->row : "", (w)->row ? ": " : ""

/* One request, one transaction: it must succeed. */
#define DO(w, call)                                                                                \
    do {                                                                                           \
        struct world *w_ = (w);                                                                    \
        int done_;                                                                                 \
        STORE_OK(w_->store, world_begin(w_));                                                      \
        done_ = (call);                                                                            \
        if (done_)                                                                                 \
            fail_msg("%s%s%s: %d, " STR_FMT STR_FMT, WORLD_ROW(w_), #call, done_,                  \
                     STR_ARG(w_->tx.problem.text), STR_ARG(store_error(w_->store)));               \
        STORE_OK(w_->store, tx_commit(&w_->tx));                                                   \
    } while (0)

/* It must be refused with this code. */
#define REFUSED(w, call, expected)                                                                 \
    do {                                                                                           \
        struct world *w_ = (w);                                                                    \
        STORE_OK(w_->store, world_begin(w_));                                                      \
        if ((call) != ENGINE_E_REFUSED)                                                            \
            fail_msg("%s%s%s is not refused", WORLD_ROW(w_), #call);                               \
        if (w_->tx.problem.code != (expected))                                                     \
            fail_msg("%s%s%s: " STR_FMT ", should be " STR_FMT, WORLD_ROW(w_), #call,              \
                     STR_ARG(code_text(w_->tx.problem.code)), STR_ARG(code_text(expected)));       \
        assert_true(w_->tx.problem.text.n > 0);                                                    \
        tx_rollback(&w_->tx);                                                                      \
    } while (0)

/* Until somebody waits for a lock of this database; Postgres. */
void world_await_lock(struct world *w);
/* A call that begins on a connection of its own while the world's transaction is open, and waits
 * for a lock of it; then that transaction is committed. Why the call was refused, or CODE_OK;
 * whatever it did is undone. Of Postgres, where writers do not take turns. */
typedef int world_call(struct tx *tx, const void *req, void *reply);
enum code world_meet(struct world *w, world_call *call, const void *req, void *reply);

/* What `weft doctor` finds must be nothing. */
void world_healthy(struct world *w);

/* Keep a copy of the tables, and put them back after they were broken by hand. */
void world_keep(struct world *w);
void world_restore(struct world *w);

/* Register a worker, and be it. */
int64_t world_join(struct world *w, int64_t slots);
/* Put a workflow of this YAML text and start a run of it. */
int64_t world_start(struct world *w, const char *yaml);
struct task_leases world_claim(struct world *w, int64_t run, int64_t max);
struct task_lease world_claim_one(struct world *w, int64_t run);
struct task_leases world_claim_queue(struct world *w, const char *queue, int64_t max);
enum code world_complete(struct world *w, const struct task_lease *l, enum outcome o);
struct run_view world_look(struct world *w, int64_t run);
/* The states of a run's tasks in order, as letters: B D R L r A S F C K(ipped). */
const char *world_states(struct world *w, int64_t run);
struct task_details world_task(struct world *w, int64_t run, const char *name);
struct reaper_reply world_reap(struct world *w);

#endif
