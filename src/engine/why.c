/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/why.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "engine/plan.h"
#include "engine/queue_rules.h"
#include "engine/row.h"

#define SENTENCE_BYTES_MAX 4000u
#define NAMES_SHOWN        5

static int read_from(struct tx *tx, int64_t id, struct task_group *g)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_edge_of_group, tx->arena, &rows, INT(id), INT(WHY_NAMES_MAX));

    if (r)
        return fault(r);
    g->from = ARENA_ARRAY(tx->arena, struct str, rows.n);
    g->from_states = ARENA_ARRAY(tx->arena, enum task_state, rows.n);
    for (g->from_n = 0; g->from_n < rows.n; g->from_n++) {
        g->from[g->from_n] = row_text(&rows, g->from_n, 0);
        g->from_states[g->from_n] = TASK_STATE_N;
        if (row_text(&rows, g->from_n, 1).n &&
            !task_state_parse(row_text(&rows, g->from_n, 1), &g->from_states[g->from_n]))
            return tx_damaged(tx, "task \"%.*s\" has the state \"%.*s\", which there is not",
                              ROW_SHOWN(row_text(&rows, g->from_n, 0)),
                              ROW_SHOWN(row_text(&rows, g->from_n, 1)));
    }
    return 0;
}

static int read_group(struct tx *tx, const struct rows *rows, size_t i, struct task_group *ret)
{
    struct group_row row;
    int r = row_group(tx, rows, i, &row);

    if (r)
        return fault(r);
    *ret = (struct task_group){
        .rule = row.group.rule,
        .role = row.role,
        .cancel_rest = row.cancel_rest,
        .satisfied = row_text(rows, i, 11),
        .need = row.group.need,
        .total = row.group.total,
        .done = row.group.done,
        .succeeded = row.group.succeeded,
        .verdict = row.verdict,
    };
    return 0;
}

int why_groups(struct tx *tx, struct task_details *details)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_group_of_task, tx->arena, &rows, INT(details->task.id));

    if (r)
        return fault(r);
    details->groups = ARENA_ARRAY(tx->arena, struct task_group, rows.n);
    for (size_t i = 0; !r && i < rows.n; i++) {
        struct task_group *g = &details->groups[details->groups_n++];

        r = read_group(tx, &rows, i, g);
        if (r)
            return fault(r);
        r = read_from(tx, row_int(&rows, i, 0), g);
    }
    return r ? fault(r) : 0;
}

/* The groups of one verdict, with the names that matter: the unfinished ones of a group that waits,
 * the ones without success of a dead one. */
static void say_groups(struct buf *b, const struct task_details *d, struct str verdict)
{
    bool waits = str_eq(verdict, STR("WAITING"));

    for (size_t i = 0; i < d->groups_n; i++) {
        const struct task_group *g = &d->groups[i];
        const struct group core = {g->rule, g->need, g->total, g->done, g->succeeded, 0};
        char text[GROUP_TEXT_BYTES];
        size_t shown = 0;

        if (!str_eq(g->verdict, verdict))
            continue;
        buf_printf(b, "; %.*s (", STR_ARG(group_explain(&core, text)));
        for (size_t j = 0; j < g->from_n && shown < NAMES_SHOWN; j++) {
            enum task_state s = g->from_states[j];

            if (waits ? task_final(s) : s == TASK_SUCCEEDED)
                continue;
            buf_printf(b, "%s%.*s is %s", shown ? ", " : "", STR_ARG(g->from[j]),
                       s == TASK_STATE_N ? "not written yet" : task_state_text(s).p);
            shown++;
        }
        buf_add(b, STR(")"));
    }
}

/* Whether somebody alive would take a task of the run, or of a queue where it is 0. */
static int is_carried(struct tx *tx, int64_t run, bool *ret)
{
    struct worker_rows workers = {0};
    int r = worker_list(tx, NULL, &workers);

    *ret = false;
    for (size_t i = 0; !r && i < workers.n; i++)
        *ret |= worker_claims(workers.list[i].state) &&
                (workers.list[i].run == 0 || workers.list[i].run == run);
    return r ? fault(r) : 0;
}

/* Its queue is paused or at a limit, or nobody comes for it. */
static int say_ready_of_queue(struct tx *tx, struct buf *b, const struct task_view *t)
{
    char at[CLOCK_TEXT_BYTES];
    struct queue_rules rules;
    const struct queue_rule *q;
    bool carried;
    int r = queue_rules_read(tx, &t->queue, 1, &rules);

    if (!r)
        r = is_carried(tx, 0, &carried);
    if (r)
        return fault(r);
    q = queue_rules_of(&rules, t->queue);
    if (q->paused)
        buf_printf(b, "it is ready, and its queue \"%.*s\" is paused", STR_ARG(t->queue));
    else if (t->behind)
        buf_printf(b,
                   "it is ready; its key \"%.*s\" is busy: as many tasks of it as key_concurrency "
                   "allows, %" PRId64 ", have not ended",
                   STR_ARG(t->key), q->key_concurrency);
    else if (q->concurrency_max && q->held >= q->concurrency_max)
        buf_printf(b,
                   "it is ready; its queue has %" PRId64
                   " tasks under way, as many as concurrency_max allows",
                   q->held);
    else if (queue_rules_tokens(q, tx->now) == 0)
        buf_printf(b, "it is ready; the rate of its queue allows the next task at %.*s",
                   STR_ARG(clock_text(queue_rules_next_token(q, tx->now), at)));
    else if (!carried)
        buf_add(b, STR("it is ready, and no worker is there to take it"));
    else
        buf_add(b, STR("it is ready and waits for a free slot of a worker"));
    return 0;
}

/* Whether anybody alive would take it, and whether its run is at its limit. */
static int say_ready(struct tx *tx, struct buf *b, const struct task_view *t)
{
    struct run_row run = {0};
    struct rows rows;
    bool carried;
    int r = is_carried(tx, t->run, &carried);

    if (!r)
        r = STORE_DO(tx->store, STMT_run_get, tx->arena, &rows, INT(t->run));
    if (r)
        return fault(r);
    if (rows.n)
        r = row_run(tx, &rows, 0, &run);
    if (r)
        return fault(r);
    if (!carried)
        buf_printf(b,
                   "it is ready, and no program carries run %" PRId64 ": `weft runs resume %" PRId64
                   "` does",
                   t->run, t->run);
    else if (run.max_parallel > 0 && run.held >= run.max_parallel)
        buf_printf(b,
                   "it is ready; its run has %" PRId64
                   " tasks under way, as many as max_parallel allows",
                   run.held);
    else
        buf_add(b, STR("it is ready and waits for a free slot of a worker"));
    return 0;
}

/* Runners are looked at one by one where one task is asked for (grant_why); here it may be many. */
static void say_ready_stage(struct buf *b, const struct task_view *t)
{
    if (t->plan->type.n)
        buf_printf(b,
                   "it is ready and waits for a runner of type \"%.*s\"; `weft task why %" PRId64
                   "` tells of each",
                   STR_ARG(t->plan->type), t->id);
    else
        buf_printf(b, "it is ready and waits for a worker that claims from run %" PRId64, t->run);
}

static void say_failed(struct buf *b, const struct task_view *t)
{
    const struct task_attempt *a = t->attempts_n ? &t->attempts[t->attempts_n - 1] : NULL;

    if (!a) {
        buf_printf(b, "it failed: %.*s", STR_ARG(t->reason));
        return;
    }
    buf_printf(b, "attempt %" PRId64 " %s (%.*s)", a->number, retry_outcome_text(a->outcome).p,
               STR_ARG(t->reason));
    if (a->message.n)
        buf_printf(b, ": %.*s", STR_ARG(a->message));
    buf_add(b, STR("; no attempts are left"));
}

static void say_delayed(struct buf *b, const struct task_view *t)
{
    char at[CLOCK_TEXT_BYTES];
    struct str when = clock_text(t->due_at, at);

    if (str_eq(t->reason, task_reason_text(TASK_REASON_BACKOFF)))
        buf_printf(b, "it tries again at %.*s, after attempt %" PRId64 " failed", STR_ARG(when),
                   t->attempts_n ? t->attempts[t->attempts_n - 1].number : 0);
    else if (str_eq(t->reason, task_reason_text(TASK_REASON_REFUSALS)))
        buf_printf(b, "all runners that could take it refused; they are asked again at %.*s",
                   STR_ARG(when));
    else
        buf_printf(b, "it starts at %.*s and not before", STR_ARG(when));
    if (t->detail.n)
        buf_printf(b, ": %.*s", STR_ARG(t->detail));
}

static void say_running(struct buf *b, const struct task_view *t)
{
    const struct task_attempt *a = t->attempts_n ? &t->attempts[t->attempts_n - 1] : NULL;
    char at[CLOCK_TEXT_BYTES];

    if (a && a->running && !t->run)
        buf_printf(b, "attempt %" PRId64 " is leased by worker \"%.*s\" (%" PRId64 ") until %.*s",
                   a->number, STR_ARG(t->holder), a->worker,
                   STR_ARG(clock_text(t->held_until, at)));
    else if (a && a->running)
        buf_printf(b, "attempt %" PRId64 " runs on worker %" PRId64 " since %.*s", a->number,
                   a->worker, STR_ARG(clock_text(a->started_at, at)));
    if (t->cancel)
        buf_add(b, STR("; it is asked to stop"));
}

static int say(struct tx *tx, struct buf *b, const struct task_details *d)
{
    const struct task_view *t = &d->task;

    switch (t->state) {
    case TASK_BLOCKED:
        buf_add(b, str_eq(t->reason, task_reason_text(TASK_REASON_PLANNING))
                       ? STR("it is being planned")
                       : STR("it waits for other tasks"));
        say_groups(b, d, STR("WAITING"));
        return 0;
    case TASK_DELAYED:
        say_delayed(b, t);
        return 0;
    case TASK_READY:
        if (t->plan && t->plan->check) {
            buf_printf(b, "it waits for results, and has %" PRId64, t->plan->results_n);
            say_groups(b, d, STR("WAITING"));
            return 0;
        }
        if (t->plan) {
            say_ready_stage(b, t);
            return 0;
        }
        return t->run ? say_ready(tx, b, t) : say_ready_of_queue(tx, b, t);
    case TASK_LEASED:
    case TASK_RUNNING:
        say_running(b, t);
        return 0;
    case TASK_AWAITING:
        buf_add(b, STR("it has done its work, and awaits the stages that it added"));
        say_groups(b, d, STR("WAITING"));
        return 0;
    case TASK_SUCCEEDED:
        buf_printf(b, "attempt %" PRId64 " succeeded",
                   t->attempts_n ? t->attempts[t->attempts_n - 1].number : 0);
        return 0;
    case TASK_FAILED:
        say_failed(b, t);
        return 0;
    case TASK_SKIPPED:
        buf_add(b, STR("it was skipped"));
        if (t->detail.n)
            buf_printf(b, " because %.*s", STR_ARG(t->detail));
        say_groups(b, d, STR("IMPOSSIBLE"));
        return 0;
    case TASK_CANCELLED:
        buf_add(b, STR("it was cancelled"));
        return 0;
    case TASK_STATE_N:
        break;
    }
    return 0;
}

int why_task(struct tx *tx, struct task_details *details)
{
    struct buf b;
    int r;

    buf_init(&b, SENTENCE_BYTES_MAX);
    r = say(tx, &b, details);
    details->why = str_copy(tx->arena, buf_str(&b));
    buf_deinit(&b);
    return r ? fault(r) : 0;
}

int why_run(struct tx *tx, struct run_why *why)
{
    const struct run_row *run = &why->run;
    const int64_t *n = run->counts;
    struct buf b;

    buf_init(&b, SENTENCE_BYTES_MAX);
    switch (run->state) {
    case RUN_RUNNING:
        buf_printf(&b,
                   "%" PRId64 " of %" PRId64 " tasks are open: %" PRId64 " running, %" PRId64
                   " ready, %" PRId64 " delayed, %" PRId64 " waiting for others",
                   run->open, run->tasks, n[TASK_RUNNING] + n[TASK_LEASED], n[TASK_READY],
                   n[TASK_DELAYED], n[TASK_BLOCKED]);
        if (n[TASK_AWAITING])
            buf_printf(&b, ", %" PRId64 " awaiting what they added", n[TASK_AWAITING]);
        if (run->growing)
            buf_add(&b, STR("; it is a plan that grows, and does not end before it is sealed"));
        break;
    case RUN_CANCELLING:
        buf_printf(&b, "it is being cancelled; %" PRId64 " tasks are still to be stopped",
                   run->open);
        break;
    case RUN_SUCCEEDED:
        buf_printf(&b, "no task failed: %" PRId64 " succeeded, %" PRId64 " were skipped",
                   n[TASK_SUCCEEDED], n[TASK_SKIPPED]);
        break;
    case RUN_FAILED:
        buf_printf(&b, "%" PRId64 " of %" PRId64 " tasks failed, %" PRId64 " were skipped",
                   run->failed, run->tasks, n[TASK_SKIPPED]);
        if (run->version) /* a plan is not retried */
            buf_printf(&b, "; `weft runs retry %" PRId64 "` tries them again", run->id);
        break;
    case RUN_CANCELLED:
        buf_printf(&b,
                   "it was cancelled: %" PRId64 " tasks had succeeded, %" PRId64 " were cancelled",
                   n[TASK_SUCCEEDED], n[TASK_CANCELLED]);
        if (run->version) /* likewise */
            buf_printf(&b, "; `weft runs retry %" PRId64 "` goes on", run->id);
        break;
    case RUN_STATE_N:
        break;
    }
    why->why = str_copy(tx->arena, buf_str(&b));
    buf_deinit(&b);
    return 0;
}
