/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/doctor.h"

#include "base/clock.h"
#include "base/fault.h"

#define HOUR_US (3600 * CLOCK_S)

/* The invariants of DESIGN §2 that the store can show, each a statement that counts what breaks it.
 */
static const struct {
    const char *id;
    enum statement_id statement;
    const char *text;
    const char *advice;
} checks[] = {
    {"lease_single",    STMT_doctor_lease_single,    "at most one live lease per token",
     "stop every weft program on this store and run `weft runs resume`; please report it"                                                                                  },
    {"lease_token",     STMT_doctor_lease_token,     "a task has a token exactly while it is held",
     "please report it with the output of `weft task show ID`"                                                                                                             },
    {"lease_holder",    STMT_doctor_lease_holder,    "whoever holds a task is a live worker",
     "run `weft runs resume` on the run of the task"                                                                                                                       },
    {"lease_expired",   STMT_doctor_lease_expired,   "a lease that nobody renews is taken back",
     "start a weft server on this store: its reaper takes them back"                                                                                                       },
    {"push_lease",      STMT_doctor_push_lease,      "a lease that its runner has not taken has an end",
     "please report it with the output of `weft task show ID`"                                                                                                             },
    {"token_reused",    STMT_doctor_token_reused,    "a token is never used again",
     "the store was restored under running programs; restart them"                                                                                                         },
    {"worker_slots",    STMT_doctor_worker_slots,    "no worker holds more tasks than it has slots",
     "please report it with the output of `weft status`"                                                                                                                   },
    {"worker_silent",   STMT_doctor_worker_silent,   "every live worker has a heartbeat",
     "if no weft program runs any more, `weft runs resume` takes back what it held"                                                                                        },
    {"counts",          STMT_doctor_counts,          "the counts equal the sums over the tasks",
     "please report it with the output of `weft status -o json`"                                                                                                           },
    {"key_places",      STMT_doctor_key_places,      "a key counts the tasks that have a place of it",
     "put the queue's key_concurrency to another value and back: the places are counted anew"                                                                              },
    {"run_counts",      STMT_doctor_run_counts,      "a run's counters equal the sums over its tasks",
     "please report it with the output of `weft runs show ID`"                                                                                                             },
    {"run_ends",        STMT_doctor_run_ends,        "a run has ended exactly when none of its tasks is open",
     "please report it with the output of `weft runs show ID`"                                                                                                             },
    {"run_moves",       STMT_doctor_task_cycle,      "a run that has not ended has a task that can move",
     "`weft runs why ID` shows what it waits for; `weft runs cancel ID` ends it"                                                                                           },
    {"run_parallel",    STMT_doctor_run_parallel,    "no run passes its max_parallel",
     "please report it with the output of `weft runs show ID`"                                                                                                             },
    {"group_counts",    STMT_doctor_group_counts,
     "a dependency group counts the ended tasks that it waits for",                                               "please report it with the output of `weft task show ID`"},
    {"task_blocked",    STMT_doctor_task_blocked,    "a waiting task knows how many groups are not met",
     "please report it with the output of `weft task show ID`"                                                                                                             },
    {"task_early",      STMT_doctor_task_early,      "no task starts before its dependency groups are met",
     "please report it with the output of `weft task show ID`"                                                                                                             },
    {"attempt_once",    STMT_doctor_attempt_once,    "a task succeeds at most once",
     "please report it with the output of `weft task show ID`"                                                                                                             },
    {"attempt_numbers", STMT_doctor_attempt_numbers, "attempts are numbered 1, 2, … without a gap",
     "please report it with the output of `weft task show ID`"                                                                                                             },
    {"lane_waits",      STMT_doctor_lane_waits,      "no task waits for its key while that has a free place",
     "put the queue's key_concurrency anew, which judges them; please report it"                                                                                           },
    {"unique_keys",     STMT_doctor_unique,          "a unique key is held by a task that is open",
     "please report it with the output of `weft queue status`"                                                                                                             },
    {"blocks",          STMT_doctor_blocks,          "a task stands in one place",
     "please report it with the output of `weft task show ID`"                                                                                                             },
    {"plans",           STMT_doctor_plans,           "a check has the results that it counts, and ends by them",
     "please report it with the output of `weft task show ID`"                                                                                                             },
    {"times",           STMT_doctor_times,           "no attempt ends before it starts, no duration is negative",
     "please report it with the output of `weft task show ID`"                                                                                                             },
};

int doctor_check(struct tx *tx, const void *unused, struct doctor_report *reply)
{
    size_t n = sizeof(checks) / sizeof(*checks);
    struct rows begun;
    int begin = store_run(tx->store, STMT_doctor_begin, tx->arena, NULL, 1, &begun);

    (void)unused;
    if (begin)
        return fault(begin);
    reply->checks = ARENA_ARRAY(tx->arena, struct doctor_check, n);
    for (reply->n = 0; reply->n < n; reply->n++) {
        size_t i = reply->n;
        struct rows rows;
        int r = STORE_DO(tx->store, checks[i].statement, tx->arena, &rows, INT(tx->now));

        if (r)
            return fault(r);
        reply->checks[i] = (struct doctor_check){
            .id = str_of(checks[i].id),
            .text = str_of(checks[i].text),
            .found = row_int(&rows, 0, 0),
            .example = row_text(&rows, 0, 1),
            .advice = str_of(checks[i].advice),
        };
    }
    return 0;
}

int doctor_status(struct tx *tx, const void *unused, struct doctor_status *reply)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_status_runs, tx->arena, &rows, INT(tx->now - HOUR_US));

    (void)unused;
    *reply = (struct doctor_status){0};
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++) {
        enum run_state s;

        if (!run_state_parse(row_text(&rows, i, 0), &s))
            continue;
        reply->runs[s] = row_int(&rows, i, 1);
        reply->ended_runs_hour += run_final(s) ? row_int(&rows, i, 2) : 0;
        reply->failed_runs_hour += s == RUN_FAILED ? row_int(&rows, i, 2) : 0;
    }
    r = store_run(tx->store, STMT_tally_all, tx->arena, NULL, 1, &rows);
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++) {
        enum task_state s;

        if (task_state_parse(row_text(&rows, i, 0), &s))
            reply->tasks[s] = row_int(&rows, i, 1);
    }
    for (size_t i = 0; i < tx->tallies_n; i++)
        reply->tasks[tx->tallies[i].state] += tx->tallies[i].n;
    r = worker_list(tx, NULL, &reply->workers);
    return r ? fault(r) : 0;
}
