/* SPDX-License-Identifier: Apache-2.0 */
/* The doctor: each kind of damage is found by its own check, and by no other where it stands alone.
 */
#include "engine/engine_testing.h"

static struct doctor_report examine(struct world *w)
{
    struct doctor_report report;

    DO(w, doctor_check(&w->tx, NULL, &report));
    return report;
}

/* A world with a bit of everything: run 1 ended badly, run 2 under way (a RUNNING, b READY, c
 * BLOCKED), a queue with a dead letter and a held task, another one with a block of which five
 * tasks are held. */
static void furnish(struct world *w)
{
    const struct task_new list[] = {
        {.payload = STR("1")}, {.payload = STR("2")}, {.payload = STR("3")}};
    struct task_new bulk[8] = {0};
    struct queue_status q;
    struct task_leases l;
    struct task_ids ids;
    int64_t run;

    world_join(w, 20);
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [a]}\n");
    l = world_claim(w, run, 1);
    world_complete(w, &l.list[0], OUTCOME_FAILED);
    run = world_start(
        w, "weft: 1\nmax_parallel: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n"
           "  c: {run: [x], needs: [a, b]}\n  d: {run: [x], needs: [{all_done: [a]}]}\n");
    l = world_claim(w, run, 1);
    world_complete(w, &l.list[0], OUTCOME_SUCCEEDED);
    world_claim(w, run, 1);
    DO(w, queue_put(&w->tx, &(struct queue_put){.name = STR("mail")}, &q));
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), list, 3}, &ids));
    l = world_claim_queue(w, "mail", 2);
    world_complete(w, &l.list[0], OUTCOME_FAILED);
    for (size_t i = 0; i < ROWS_N(bulk); i++)
        bulk[i].payload = STR("1");
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("bulk"), bulk, ROWS_N(bulk)}, &ids));
    world_claim_queue(w, "bulk", 5);
    world_healthy(w);
}

#define ENDED                                                                                      \
    "INSERT INTO ended (token, task, n, queue, worker, created_at, leased_at, ended_at, details) "

/* What is broken, and which checks find it. */
static void each_damage_is_found(void **state)
{
    static const struct {
        const char *name, *sql, *found;
    } rows[] = {
        {"two leases under one token",
         "UPDATE task SET token = (SELECT max(token) FROM task) WHERE token <> 0",                               " lease_single"                                            },
        {"held without a token",                "UPDATE task SET token = 0 WHERE run = 2 AND state = 'RUNNING'",
         " lease_token"                                                                                                                                                     },
        {"a token and nobody who holds it",
         "UPDATE task SET token = 99999 WHERE run = 2 AND state = 'BLOCKED'",                                    " lease_token"                                             },
        {"a holder that nobody knows",
         "UPDATE task SET worker = 99999 WHERE run = 2 AND state = 'RUNNING'",                                   " lease_holder"                                            },
        {"a holder that is over",               "UPDATE worker SET state = 'GONE'",                              " lease_holder"                                            },
        {"a lease that nobody took back",
         "UPDATE task SET expires_at = 1 WHERE run = 0 AND state = 'RUNNING'",                                   " lease_expired"                                           },
        {"a call that nobody would take back",
         "UPDATE task SET gate = 3, key = '{\"mode\":\"sync\"}' WHERE run = 2 AND state = "
         "'RUNNING'",                                                                                            " push_lease"                                              },
        {"a token used again",
         "UPDATE task SET token = (SELECT min(token) FROM attempt) WHERE run = 2 AND state = "
         "'RUNNING'",                                                                                            " token_reused"                                            },
        {"more than the slots",                 "UPDATE worker SET slots = 1",                                   " worker_slots"                                            },
        {"a worker without a heartbeat",        "UPDATE worker SET beat_at = 0",                                 " worker_silent"                                           },
        {"a count that is too high",            "UPDATE tally SET n = n + 1 WHERE run = 2 AND state = 'READY'",
         " counts"                                                                                                                                                          },
        {"a count that is missing",             "DELETE FROM tally WHERE run = 0 AND state = 'FAILED'",
         " counts"                                                                                                                                                          },
        {"a count of nothing",                  "INSERT INTO tally VALUES (7, '', 'READY', 1)",                  " counts"                                                  },
        {"places that nobody has",              "INSERT INTO lane (queue, key, places) VALUES ('mail', 'k', 1)",
         " key_places"                                                                                                                                                      },
        {"open tasks of a run",                 "UPDATE run SET open = open + 1 WHERE id = 2",                   " run_counts"                                              },
        {"held tasks of a run",                 "UPDATE run SET held = 0 WHERE id = 2",                          " run_counts"                                              },
        {"failed tasks of a run",               "UPDATE run SET failed = 0 WHERE id = 1",                        " run_counts"                                              },
        {"tasks of a run",                      "UPDATE run SET tasks = 9 WHERE id = 1",                         " run_counts"                                              },
        {"ended with open tasks",               "UPDATE run SET state = 'SUCCEEDED' WHERE id = 2",               " run_ends"                                                },
        {"not ended without open tasks",        "UPDATE run SET state = 'RUNNING' WHERE id = 1",
         " run_ends"                                                                                                                                                        },
        {"nothing that can move",
         "UPDATE task SET state = 'BLOCKED', token = 0, groups_open = 1 WHERE run = 2 AND state IN "
         "('READY', 'RUNNING')",                                                                                 " counts run_counts run_moves task_blocked attempt_numbers"},
        {"more than max_parallel",              "UPDATE run SET max_parallel = 1, held = 2 WHERE id = 2",
         " run_counts run_parallel"                                                                                                                                         },
        {"ends that a group has not counted",   "UPDATE dep_group SET done = 0 WHERE run = 1",
         " group_counts"                                                                                                                                                    },
        {"successes that a group made up",
         "UPDATE dep_group SET succeeded = succeeded + 1 WHERE run = 2 AND rule = 'all_success'",                " group_counts"                                            },
        {"an edge that is lost",
         "DELETE FROM dep_edge WHERE grp = (SELECT min(id) FROM dep_group WHERE run = 2)",                       " group_counts"                                            },
        {"open groups of a waiting task",
         "UPDATE task SET groups_open = 3 WHERE run = 2 AND state = 'BLOCKED'",                                  " task_blocked"                                            },
        {"a task that waits for nothing",
         "UPDATE task SET groups_open = 0 WHERE run = 2 AND state = 'BLOCKED'",                                  " task_blocked"                                            },
        {"a task that went too early",
         "UPDATE task SET groups_open = 1 WHERE run = 2 AND state = 'RUNNING'",                                  " task_early"                                              },
        {"two successes",
         "UPDATE attempt SET outcome = 'succeeded'; INSERT INTO attempt SELECT token + 100000, "
         "task,"
         " run, queue, 2, worker, outcome, reason, message, exit_code, signal, leased_at, "
         "started_at,"
         " ended_at, queue_wait_us, run_us, cpu_us, max_rss_bytes, stderr_tail, digest, result"
         " FROM attempt WHERE run = 2; UPDATE task SET attempts = 2 WHERE run = 2 AND state ="
         " 'SUCCEEDED'",                                                                                         " attempt_once"                                            },
        {"an attempt that is missing",          "DELETE FROM attempt WHERE run = 1",                             " attempt_numbers"                                         },
        {"a number left out",
         "UPDATE attempt SET number = 2 WHERE run = 1; UPDATE task SET attempts "
         "= 2 WHERE run = 1 AND attempts = 1",                                                                   " attempt_numbers"                                         },
        {"ended before it started",             "UPDATE attempt SET ended_at = started_at - 1 WHERE run = 1",
         " times"                                                                                                                                                           },
        {"a task that waits for a free place",
         "UPDATE queue SET key_concurrency = 1; UPDATE task SET gate = 2 WHERE run = 0 AND state = "
         "'READY'",                                                                                              " lane_waits"                                              },
        {"a unique key of nobody",              "INSERT INTO uniqueness VALUES ('mail', 'a', 99999, 0, 1)",
         " unique_keys"                                                                                                                                                     },
        {"a piece whose holder nobody knows",   "UPDATE piece SET worker = 99999",                               " lease_holder"                                            },
        {"a piece that nobody took back",       "UPDATE piece SET expires_at = 1",                               " lease_expired"                                           },
        {"a piece under tokens used before",
         "UPDATE piece SET token = (SELECT min(token) FROM attempt)",                                            " token_reused"                                            },
        {"a piece with a task too few",         "UPDATE piece SET n = n - 1",                                    " counts"                                                  },
        {"a block with more tasks than it has",
         "INSERT INTO block (id, queue, priority, retry, n, taken, created_at, payloads) VALUES "
         "(900000, 'bulk', 0, '', 1, 1, 0, '')",                                                                 " blocks"                                                  },
        {"a task that waits and is held",
         "UPDATE block SET taken = taken - 1; UPDATE tally SET n = n + 1 WHERE queue = 'bulk' AND "
         "state = 'READY'",                                                                                      " blocks"                                                  },
        {"a block that is too large",           "UPDATE block SET n = n + 128, taken = taken + 128",
         " blocks"                                                                                                                                                          },
        {"an ended piece of nothing",           ENDED "VALUES (900000, 900000, 0, 'bulk', 1, 1, 1, 1, '')",
         " blocks"                                                                                                                                                          },
        {"a task that ended and waits",
         ENDED "SELECT 900000, id + taken, 1, queue, 1, 1, 1, 1, '' FROM block",                                 " blocks"                                                  },
        {"a task that ended and is held",
         ENDED "SELECT 900000, task, 1, queue, 1, 1, 1, 1, '' FROM piece",                                       " blocks"                                                  },
        {"a task that ended and has a row",
         ENDED "SELECT 900000, id, 1, queue, 1, 1, 1, 1, '' FROM task WHERE queue = 'mail' AND "
               "state = 'READY'",                                                                                " blocks"                                                  },
        {"two pieces with one task",
         ENDED "VALUES (900000, 900000, 2, 'bulk', 1, 1, 1, 1, ''), (900100, 900001, 1, 'bulk', 1, "
               "1, 1, 1, '')",                                                                                   " attempt_once"                                            },
        {"results that nobody told",            "INSERT INTO plan_task (task, results) VALUES (900000, 1)",
         " plans"                                                                                                                                                           },
        {"a wait below zero",                   "UPDATE attempt SET queue_wait_us = -1 WHERE run = 1",           " times"                                                   },
    };
    struct world *w = world(state);
    bool seen[32] = {false};
    struct doctor_report report;

    furnish(w);
    world_keep(w);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        const char *found = "";

        store_testing_sql(w->place, rows[i].sql);
        report = examine(w);
        for (size_t k = 0; k < report.n; k++) {
            const struct doctor_check *c = &report.checks[k];

            if (c->found == 0)
                continue;
            seen[k] = true;
            CHECK_ROW(rows[i].name, c->example.n > 0 && c->advice.n > 0 && c->text.n > 0);
            found = str_printf(&w->arena, "%s " STR_FMT, found, STR_ARG(c->id)).p;
        }
        if (strcmp(found, rows[i].found) != 0)
            fail_msg("row \"%s\": found%s, should be%s", rows[i].name, found, rows[i].found);
        world_restore(w);
    }
    world_healthy(w);
    report = examine(w);
    for (size_t k = 0; k < report.n; k++)
        if (!seen[k])
            fail_msg("no row breaks what the check " STR_FMT " finds",
                     STR_ARG(report.checks[k].id));
}

/* the sums of the status are those of the store. */
static void status_counts_all(void **state)
{
    struct world *w = world(state);
    struct doctor_status s;

    furnish(w);
    DO(w, doctor_status(&w->tx, NULL, &s));
    assert_int_equal(s.runs[RUN_RUNNING], 1);
    assert_int_equal(s.runs[RUN_FAILED], 1);
    assert_int_equal(s.ended_runs_hour, 1);
    assert_int_equal(s.failed_runs_hour, 1);
    assert_int_equal(s.tasks[TASK_FAILED], 2);
    assert_int_equal(s.tasks[TASK_SKIPPED], 1);
    assert_int_equal(s.tasks[TASK_SUCCEEDED], 1);
    assert_int_equal(s.tasks[TASK_RUNNING], 7);
    assert_int_equal(s.tasks[TASK_READY], 5);
    assert_int_equal(s.tasks[TASK_BLOCKED], 1);
    assert_int_equal(s.workers.n, 1);
    assert_int_equal(s.workers.list[0].busy, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_FILE_TEST(each_damage_is_found),
        ENGINE_TEST(each_damage_is_found, postgres, postgres),
        ENGINE_TESTS(status_counts_all),
    };

    return ENGINE_MAIN(tests);
}
