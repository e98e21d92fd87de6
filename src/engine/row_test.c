/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that say what cannot be: whoever meets one is told, and the program goes on. */
#include <errno.h>

#include "engine/engine_testing.h"

/* What requests name, noted before anything is broken. */
struct names {
    int64_t failed, blocked;
    struct task_result result; /* of b in run 2 */
};

/* Run 1 failed at a, so that b was skipped; in run 2 a succeeded, b is RUNNING, c READY, d BLOCKED.
 */
static struct names furnish(struct world *w)
{
    struct task_leases l;
    int64_t run;

    world_join(w, 10);
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [a]}\n");
    l = world_claim(w, run, 1);
    world_complete(w, &l.list[0], OUTCOME_FAILED);
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n  c: {run: [x]}\n"
                         "  d: {run: [x], needs: [b]}\n");
    l = world_claim(w, run, 2);
    world_complete(w, &l.list[0], OUTCOME_SUCCEEDED);
    return (struct names){
        .failed = world_task(w, 1, "a").task.id,
        .blocked = world_task(w, 2, "d").task.id,
        .result = {.lease = {l.list[1].task, l.list[1].token}, .outcome = OUTCOME_FAILED},
    };
}

/* Requests that among them read every kind of row. */
enum ask {
    ASK_RUNS,
    ASK_RUN,
    ASK_WHY,
    ASK_TASK,
    ASK_WORKERS,
    ASK_CLAIM,
    ASK_COMPLETE,
    ASK_CANCEL,
    ASK_RETRY,
    ASK_REQUEUE,
    ASK_REAP,
    ASK_LEAVE,
    ASK_N
};

static int ask(struct world *w, enum ask what, const struct names *names)
{
    static const int64_t one = 1, two = 2;
    struct tx *tx = &w->tx;
    union {
        struct run_rows runs;
        struct run_view run;
        struct run_why why;
        struct task_details task;
        struct worker_rows workers;
        struct task_leases leases;
        struct task_codes codes;
        struct run_row row;
        struct run_retry_reply retried;
        struct reaper_reply reaped;
        struct worker_row worker;
    } reply = {0};

    switch (what) {
    case ASK_RUNS:
        return run_list(tx, &(struct run_list){.max = 10}, &reply.runs);
    case ASK_RUN:
        return run_get(tx, &(struct run_get){.id = 2, .tasks = true}, &reply.run);
    case ASK_WHY:
        return run_why(tx, &two, &reply.why);
    case ASK_TASK:
        return task_get(tx, &(struct task_which){.id = names->blocked}, &reply.task);
    case ASK_WORKERS:
        return worker_list(tx, NULL, &reply.workers);
    case ASK_CLAIM:
        return task_claim(tx, &(struct task_claim){.worker = w->worker, .run = 2, .max = 9},
                          &reply.leases);
    case ASK_COMPLETE:
        return task_complete(tx, &(struct task_complete){&names->result, 1}, &reply.codes);
    case ASK_CANCEL:
        return run_cancel(tx, &two, &reply.row);
    case ASK_RETRY:
        return run_retry(tx, &one, &reply.retried);
    case ASK_REQUEUE:
        return task_requeue(tx, &(struct task_which){.id = names->failed}, &reply.task);
    case ASK_REAP:
        return reaper_scan(tx, NULL, &reply.reaped);
    case ASK_LEAVE:
        return worker_leave(tx, &w->worker, &reply.worker);
    case ASK_N:
        break;
    }
    return -EINVAL;
}

/* Ask everything of a store: how many requests met damage. What `by` says is checked. */
static unsigned ask_all(struct world *w, const struct names *names, const char *row, enum ask by,
                        const char *says)
{
    unsigned met = 0;

    for (unsigned i = 0; i < ASK_N; i++) {
        int r;

        STORE_OK(w->store, world_begin(w));
        r = ask(w, i, names);
        if (r == 0)
            r = tx_flush(&w->tx);
        CHECK_ROW(row, r == 0 || r == ENGINE_E_REFUSED || r == -EUCLEAN);
        CHECK_ROW(row, i != by || r == -EUCLEAN);
        met += r == -EUCLEAN;
        if (r == -EUCLEAN && w->tx.problem.code != CODE_STORE_CORRUPT)
            fail_msg("row \"%s\": " STR_FMT, row, STR_ARG(store_error(w->store)));
        if (i == by && !strstr(w->tx.problem.text.p, says))
            fail_msg("row \"%s\": " STR_FMT, row, STR_ARG(w->tx.problem.text));
        tx_rollback(&w->tx);
    }
    return met;
}

static void damage_is_told(void **state)
{
    static const struct {
        const char *name, *sql;
        enum ask by; /* among others */
        const char *says;
    } rows[] = {
        {"state of a run",                     "UPDATE run SET state = 'RUNNINH' WHERE id = 2",                  ASK_RUNS,
         "run 2 has the state \"RUNNINH\""                                                                                                          },
        {"no state of a run",                  "UPDATE run SET state = '' WHERE id = 1",                         ASK_RETRY,
         "run 1 has the state \"\""                                                                                                                 },
        {"open tasks of a run",                "UPDATE run SET open = -1 WHERE id = 2",                          ASK_CANCEL,   "-1 open"            },
        {"open tasks that end",                "UPDATE run SET open = 0 WHERE id = 2",                           ASK_COMPLETE, "-2 open"            },
        {"failed tasks of a run",              "UPDATE run SET failed = -7 WHERE id = 2",                        ASK_CLAIM,
         "-7 failed"                                                                                                                                },
        {"tasks of a run",                     "UPDATE run SET tasks = 9000000000000000000 WHERE id = 2",        ASK_RUN,
         "9000000000000000000 tasks"                                                                                                                },
        {"state of a task",                    "UPDATE task SET state = 'REEDY' WHERE state = 'RUNNING'",        ASK_COMPLETE,
         "the state \"REEDY\""                                                                                                                      },
        {"state of a task that is shown",      "UPDATE task SET state = 'REEDY' WHERE state = 'BLOCKED'",
         ASK_TASK,                                                                                                             "the state \"REEDY\""},
        {"state of a task that is waited for",
         "UPDATE task SET state = 'REEDY' WHERE state = 'RUNNING'",                                              ASK_WHY,      "the state \"REEDY\""},
        {"reason of a task",                   "UPDATE task SET reason = 'because' WHERE state = 'READY'",       ASK_CLAIM,
         "the reason \"because\""                                                                                                                   },
        {"reason of another state",
         "UPDATE task SET reason = 'waiting_for_backoff' WHERE state = 'READY'",                                 ASK_CANCEL,
         "READY (waiting_for_backoff)"                                                                                                              },
        {"due without a wait",
         "UPDATE task SET state = 'DELAYED', due_at = 1 WHERE state = 'READY'",                                  ASK_REAP,
         "DELAYED (waiting_for_worker)"                                                                                                             },
        {"budget of a task",                   "UPDATE task SET budget_from = 5 WHERE state = 'RUNNING'",        ASK_LEAVE,
         "5 of them"                                                                                                                                },
        {"budget below zero",                  "UPDATE task SET budget_from = -1 WHERE state = 'FAILED'",
         ASK_REQUEUE,                                                                                                          "-1 of them"         },
        {"timeout of a task",
         "UPDATE task SET timeout_us = 9000000000000000000 WHERE state = 'READY'",                               ASK_CLAIM,
         "a timeout of 9000000000000000000"                                                                                                         },
        {"rule of a group",                    "UPDATE dep_group SET rule = 'all_succeed' WHERE run = 2",        ASK_COMPLETE,
         "the rule \"all_succeed\""                                                                                                                 },
        {"verdict of a group",                 "UPDATE dep_group SET verdict = 'MEET' WHERE run = 2",            ASK_TASK,
         "the verdict \"MEET\""                                                                                                                     },
        {"ends of a group",                    "UPDATE dep_group SET done = 2 WHERE run = 2",                    ASK_WHY,
         "counts 2 of 1 ended"                                                                                                                      },
        {"ends that come too often",           "UPDATE dep_group SET done = 1 WHERE run = 2",                    ASK_COMPLETE,
         "counts 2 of 1 ended"                                                                                                                      },
        {"need of a group",                    "UPDATE dep_group SET rule = 'at_least', need = 2 WHERE run = 2",
         ASK_COMPLETE,                                                                                                         "needs 2"            },
        {"task of a group",
         "UPDATE dep_group SET rule = 'all_done', task = 987654321 WHERE run = 2",                               ASK_COMPLETE,
         "task 987654321, which is missing"                                                                                                         },
        {"state of a worker",                  "UPDATE worker SET state = 'AWAY'",                               ASK_WORKERS,
         "the state \"AWAY\""                                                                                                                       },
        {"life of a worker",                   "UPDATE worker SET ttl_us = 0",                                   ASK_REAP,     "lives 0 us"         },
        {"slots of a worker",                  "UPDATE worker SET slots = -1",                                   ASK_CLAIM,    "-1 slots"           },
        {"outcome of an attempt",              "UPDATE attempt SET outcome = 'good'",                            ASK_RUN,
         "the outcome \"good\""                                                                                                                     },
    };
    struct world *w = world(state);
    struct names names = furnish(w);

    world_keep(w);
    assert_int_equal(ask_all(w, &names, "none", ASK_N, ""), 0);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        store_testing_sql(w->place, rows[i].sql);
        ask_all(w, &names, rows[i].name, rows[i].by, rows[i].says);
        world_restore(w);
    }
    assert_int_equal(ask_all(w, &names, "none", ASK_N, ""), 0);
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_FILE_TEST(damage_is_told),
        ENGINE_TEST(damage_is_told, postgres, postgres),
    };

    return ENGINE_MAIN(tests);
}
