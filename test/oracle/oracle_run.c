/* SPDX-License-Identifier: Apache-2.0 */
/* The requests about workflows and runs, and what is looked at. */
#include <stdlib.h>

#include "base/clock.h"
#include "oracle_rows.h"

static const struct o_workflow *find_workflow(const struct oracle *o, struct str name,
                                              int64_t version)
{
    const struct o_workflow *found = NULL;

    for (size_t i = 0; i < o->s.workflow_n; i++) {
        const struct o_workflow *w = &o->s.workflow[i];

        if (str_eq(w->row.name, name) && (version == 0 || w->row.version == version))
            found = w;
    }
    return found;
}

int oracle_workflow_put(struct oracle *o, const struct workflow_put *req, const struct plan *plan,
                        struct workflow_row *reply)
{
    const struct o_workflow *old = find_workflow(o, plan->name, 0);
    struct o_workflow *w;

    if (old && str_eq(old->row.source, req->source) && str_eq(old->row.format, req->format)) {
        *reply = old->row;
        reply->created = false;
        return 0;
    }
    *reply = (struct workflow_row){
        .name = plan->name,
        .version = old ? old->row.version + 1 : 1,
        .kind = plan->tasks_n == 1 ? STR("single") : STR("graph"),
        .tasks = (int64_t)plan->tasks_n,
        .path = str_copy(&o->arena, req->path),
        .format = str_copy(&o->arena, req->format),
        .source = str_copy(&o->arena, req->source),
        .created_at = o->now,
        .created = true,
    };
    w = O_ADD(o, workflow);
    *w = (struct o_workflow){*reply, plan};
    return 0;
}

static struct run_row row_of(const struct oracle *o, const struct o_run *run)
{
    struct run_row row = {
        .id = run->id,
        .version = run->version,
        .workflow = run->workflow,
        .reason = run->reason,
        .detail = run->detail,
        .params = STR("{}"),
        .dir = run->dir,
        .state = run->state,
        .max_parallel = run->max_parallel,
        .open = oracle_open(o, run->id, STR("")),
        .held = oracle_held(o, run->id, 0),
        .created_at = run->created_at,
        .ended_at = run->ended_at,
    };

    for (int s = 0; s < TASK_STATE_N; s++) {
        row.counts[s] = oracle_count(o, run->id, STR(""), (enum task_state)s);
        row.tasks += row.counts[s];
    }
    row.failed = row.counts[TASK_FAILED];
    return row;
}

static void make_groups(struct oracle *o, const struct plan *p, int64_t run, int64_t first)
{
    for (size_t i = 0; i < p->tasks_n; i++) {
        for (size_t k = 0; k < p->tasks[i].groups_n; k++) {
            const struct plan_group *from = &p->tasks[i].groups[k];
            struct o_group *g = O_ADD(o, group);

            *g = (struct o_group){
                .id = oracle_id(o),
                .run = run,
                .task = first + (int64_t)i,
                .rule = from->rule,
                .need = from->need,
                .from_n = from->from_n,
            };
            for (size_t e = 0; e < from->from_n; e++)
                g->from[e] = first + from->from[e];
        }
    }
}

static void make_tasks(struct oracle *o, const struct plan *p, int64_t run)
{
    int64_t first = o->s.last_id + 1;

    for (size_t i = 0; i < p->tasks_n; i++) {
        const struct plan_task *from = &p->tasks[i];
        struct o_task *t = O_ADD(o, task);

        *t = (struct o_task){
            .id = oracle_id(o),
            .run = run,
            .queue = STR(""),
            .name = from->name,
            .reason = STR("waiting_for_dependencies"),
            .payload = STR(PLAN_PAYLOAD),
            .priority = from->priority,
            .due_at = from->not_before_us ? o->now + from->not_before_us : 0,
            .timeout_us = from->timeout_us,
            .created_at = o->now,
            .retry = from->retry_said ? from->retry : retry_default(),
            .retry_said = true,
        };
        if (from->groups_n == 0)
            oracle_met(o, t);
    }
    make_groups(o, p, run, first);
}

int oracle_run_start(struct oracle *o, const struct run_start *req, struct run_row *reply)
{
    const struct o_workflow *w = find_workflow(o, req->workflow, req->version);
    struct o_run *run;

    if (!w)
        return oracle_refuse(o, CODE_WORKFLOW_NOT_FOUND);
    if (req->max_parallel < 0 || req->max_parallel > DEFINITION_PARALLEL_MAX)
        return oracle_refuse(o, CODE_INVALID);
    run = O_ADD(o, run);
    *run = (struct o_run){
        .id = (int64_t)o->s.run_n, /* runs are numbered 1, 2, … */
        .version = w->row.version,
        .workflow = w->row.name,
        .dir = str_copy(&o->arena, req->dir),
        .reason = STR(""),
        .detail = STR(""),
        .max_parallel = req->max_parallel ? req->max_parallel : w->plan->max_parallel,
        .state = RUN_RUNNING,
        .created_at = o->now,
    };
    oracle_event(o, run->id, NULL, STR("run_RUNNING"), STR("{\"from\":\"\",\"reason\":\"\"}"));
    make_tasks(o, w->plan, run->id);
    *reply = row_of(o, run);
    return 0;
}

int oracle_run_cancel(struct oracle *o, const int64_t *id, struct run_row *reply)
{
    struct o_run *run = oracle_run(o, *id);
    struct o_ids ends = {0};

    if (!run)
        return oracle_refuse(o, CODE_RUN_NOT_FOUND);
    if (run->state != RUN_RUNNING && run->state != RUN_CANCELLING)
        return oracle_refuse(o, CODE_RUN_ENDED);
    if (run->state == RUN_RUNNING) {
        run->state = RUN_CANCELLING;
        run->reason = STR("cancelled");
        run->detail = STR("");
        oracle_run_event(o, run, RUN_RUNNING);
        for (size_t i = 0; i < o->s.task_n; i++) {
            struct o_task *t = &o->s.task[i];

            if (t->run != *id || oracle_is_final(t->state))
                continue;
            if (t->state == TASK_RUNNING)
                t->cancel = true;
            else
                oracle_put(o, t, TASK_CANCELLED, STR("cancelled"), STR(""), &ends);
        }
        oracle_settle(o, &ends);
    }
    *reply = row_of(o, run);
    return 0;
}

static void rewind_task(struct oracle *o, struct o_task *t)
{
    t->budget_from = t->attempts;
    oracle_put(o, t, TASK_BLOCKED, STR("waiting_for_dependencies"), STR(""), NULL);
}

/* Groups of tasks that wait forget their verdict, and all is judged again. */
static void judge_anew(struct oracle *o, const struct o_run *run)
{
    struct o_ids ends = {0};

    for (size_t i = 0; i < o->s.group_n; i++) {
        struct o_group *g = &o->s.group[i];

        if (g->run == run->id && oracle_task(o, g->task)->state == TASK_BLOCKED)
            g->verdict = GROUP_WAITING;
    }
    oracle_judge(o, NULL, run->id, &ends);
    oracle_settle(o, &ends);
    for (size_t i = 0; i < o->s.task_n; i++) {
        struct o_task *t = &o->s.task[i];
        bool waits = false;

        for (size_t j = 0; j < o->s.group_n; j++)
            waits |= o->s.group[j].task == t->id;
        if (t->run == run->id && t->state == TASK_BLOCKED && !waits)
            oracle_met(o, t);
    }
}

static bool undone(const struct o_task *t)
{
    return t->state == TASK_FAILED || t->state == TASK_CANCELLED || t->state == TASK_SKIPPED;
}

int oracle_rewind(struct oracle *o, struct o_run *run, int64_t task, int64_t *ret_n)
{
    enum run_state from = run->state;

    *ret_n = 0;
    if (from == RUN_CANCELLING)
        return oracle_refuse(o, CODE_RUN_ACTIVE);
    if (task && !undone(oracle_task(o, task)))
        return oracle_refuse(o, CODE_TASK_STATE);
    if (task) {
        rewind_task(o, oracle_task(o, task));
        ++*ret_n;
    }
    for (size_t i = 0; i < o->s.task_n; i++) {
        struct o_task *t = &o->s.task[i];

        if (t->run != run->id || !(task ? t->state == TASK_SKIPPED : undone(t)))
            continue;
        rewind_task(o, t);
        ++*ret_n;
    }
    if (*ret_n == 0)
        return 0;
    if (from != RUN_RUNNING) {
        run->state = RUN_RUNNING;
        run->reason = STR("retried");
        run->detail = STR("");
        run->ended_at = 0;
        oracle_run_event(o, run, from);
    }
    judge_anew(o, run);
    return 0;
}

int oracle_run_retry(struct oracle *o, const int64_t *id, struct run_retry_reply *reply)
{
    struct o_run *run = oracle_run(o, *id);
    int r;

    if (!run)
        return oracle_refuse(o, CODE_RUN_NOT_FOUND);
    if (run->state == RUN_RUNNING || run->state == RUN_CANCELLING)
        return oracle_refuse(o, CODE_RUN_ACTIVE);
    if (run->state == RUN_SUCCEEDED)
        return oracle_refuse(o, CODE_RUN_ENDED);
    r = oracle_rewind(o, run, 0, &reply->tasks);
    reply->run = row_of(o, run);
    return r;
}

static int find_task(struct oracle *o, const struct task_which *req, int64_t *ret)
{
    *ret = req->id;
    for (size_t i = 0; i < o->s.task_n && !*ret; i++)
        if (o->s.task[i].run == req->run && req->run && str_eq(o->s.task[i].name, req->name))
            *ret = o->s.task[i].id;
    return *ret ? 0 : oracle_refuse(o, CODE_TASK_NOT_FOUND);
}

int oracle_task_requeue(struct oracle *o, const struct task_which *req, struct task_details *reply)
{
    const struct o_queue *q;
    struct o_task *t;
    int64_t id, n;
    int r = find_task(o, req, &id);

    if (r)
        return r;
    t = oracle_task(o, id);
    if (!t)
        return oracle_refuse(o, CODE_TASK_NOT_FOUND);
    if (t->run) {
        r = oracle_rewind(o, oracle_run(o, t->run), id, &n);
    } else if (!undone(t)) {
        r = oracle_refuse(o, CODE_TASK_STATE);
    } else {
        q = oracle_queue(o, t->queue);
        if (oracle_open(o, 0, t->queue) >= q->tasks_max)
            return oracle_refuse(o, CODE_QUEUE_FULL);
        t->budget_from = t->attempts;
        t->due_at = 0;
        oracle_put(o, t, TASK_READY, STR("requeued"), STR(""), NULL);
    }
    return r ? r : oracle_task_get(o, &(struct task_which){.id = id}, reply);
}

static struct task_attempt view_attempt(const struct o_attempt *a)
{
    return (struct task_attempt){
        .number = a->number,
        .token = a->token,
        .worker = a->worker,
        .outcome = a->result.outcome,
        .reason = task_reason_text(a->result.reason),
        .message = a->result.message,
        .stderr_tail = a->result.stderr_tail,
        .has_exit_code = a->result.exit_code >= 0,
        .exit_code = a->result.exit_code >= 0 ? a->result.exit_code : 0,
        .signal = a->result.signal,
        .started_at = a->started_at,
        .ended_at = a->ended_at,
        .queue_wait_us = a->queue_wait_us,
        .run_us = a->result.run_us,
        .cpu_us = a->result.cpu_us,
        .max_rss_bytes = a->result.max_rss_bytes,
    };
}

static struct task_view view_task(struct oracle *o, const struct o_task *t)
{
    struct task_view v = {
        .id = t->id,
        .run = t->run,
        .name = t->name,
        .queue = t->queue,
        .detail = t->detail,
        .reason = t->reason,
        .state = t->state,
        .priority = t->priority,
        .due_at = t->due_at,
        .created_at = t->created_at,
        .ended_at = t->ended_at,
        .cancel = t->cancel,
    };

    if (t->gone)
        v = (struct task_view){
            .id = t->id, .queue = t->queue, .state = t->state, .ended_at = t->ended_at};
    v.attempts = ARENA_ARRAY(&o->arena, struct task_attempt, o->s.attempt_n + 1);
    for (size_t i = 0; i < o->s.attempt_n; i++) {
        const struct o_attempt *a = &o->s.attempt[i];

        if (a->task != t->id)
            continue;
        v.attempts[v.attempts_n++] = view_attempt(a);
        if (a->token == t->last_token && a->result.outcome == OUTCOME_SUCCEEDED)
            v.output = a->result.output;
        if (t->gone)
            v.ended_at = a->ended_at;
    }
    if (t->state == TASK_RUNNING)
        v.attempts[v.attempts_n++] = (struct task_attempt){.running = true,
                                                           .number = t->attempts,
                                                           .token = t->token,
                                                           .worker = t->worker,
                                                           .started_at = t->leased_at};
    return v;
}

/* The names that a group waits for: those of the unfinished tasks first, else by id. */
static void view_from(struct oracle *o, const struct o_group *g, struct task_group *ret)
{
    ret->from = ARENA_ARRAY(&o->arena, struct str, g->from_n);
    ret->from_states = ARENA_ARRAY(&o->arena, enum task_state, g->from_n);
    for (int final = 0; final < 2; final++) {
        for (size_t i = 0; i < o->s.task_n; i++) {
            const struct o_task *t = &o->s.task[i];
            bool named = false;

            for (size_t e = 0; e < g->from_n; e++)
                named |= g->from[e] == t->id;
            if (!named || oracle_is_final(t->state) != (bool) final)
                continue;
            ret->from[ret->from_n] = t->name;
            ret->from_states[ret->from_n++] = t->state;
        }
    }
}

int oracle_task_get(struct oracle *o, const struct task_which *req, struct task_details *reply)
{
    static const char *const verdicts[] = {"WAITING", "MET", "IMPOSSIBLE"};
    const struct o_task *t = NULL;
    int64_t id;
    int r = find_task(o, req, &id);

    *reply = (struct task_details){0};
    for (size_t i = 0; i < o->s.task_n && !r; i++)
        if (o->s.task[i].id == id)
            t = &o->s.task[i];
    if (!t)
        return oracle_refuse(o, CODE_TASK_NOT_FOUND);
    reply->task = view_task(o, t);
    reply->groups = ARENA_ARRAY(&o->arena, struct task_group, PLAN_GROUPS_MAX);
    for (size_t i = 0; i < o->s.group_n; i++) {
        const struct o_group *g = &o->s.group[i];
        struct task_group *ret = &reply->groups[reply->groups_n];
        struct group now;

        if (g->task != id)
            continue;
        now = oracle_group_now(o, g);
        *ret = (struct task_group){
            .rule = now.rule,
            .need = now.need,
            .total = now.total,
            .done = now.done,
            .succeeded = now.succeeded,
            .verdict = str_of(verdicts[g->verdict]),
        };
        view_from(o, g, ret);
        reply->groups_n++;
    }
    return 0;
}

int oracle_run_get(struct oracle *o, const struct run_get *req, struct run_view *reply)
{
    const struct o_run *run = oracle_run(o, req->id);

    *reply = (struct run_view){0};
    if (!run)
        return oracle_refuse(o, CODE_RUN_NOT_FOUND);
    reply->run = row_of(o, run);
    reply->tasks = ARENA_ARRAY(&o->arena, struct task_view, (size_t)reply->run.tasks);
    for (size_t i = 0; i < o->s.task_n && req->tasks; i++) {
        const struct o_task *t = &o->s.task[i];

        if (t->run == req->id && t->id > req->after &&
            (req->max == 0 || (int64_t)reply->tasks_n < req->max))
            reply->tasks[reply->tasks_n++] = view_task(o, t);
    }
    return 0;
}

int oracle_run_list(struct oracle *o, const struct run_list *req, struct run_rows *reply)
{
    enum run_state s;

    if (req->max < 1 || req->max > 1000 || (req->state.n && !run_state_parse(req->state, &s)))
        return oracle_refuse(o, CODE_INVALID);
    *reply = (struct run_rows){.list = ARENA_ARRAY(&o->arena, struct run_row, o->s.run_n)};
    for (size_t i = o->s.run_n; i-- > 0 && (int64_t)reply->n < req->max;) {
        const struct o_run *run = &o->s.run[i];

        if ((req->state.n == 0 || run->state == s) &&
            (req->workflow.n == 0 || str_eq(run->workflow, req->workflow)) &&
            (req->before == 0 || run->id < req->before))
            reply->list[reply->n++] = row_of(o, run);
    }
    return 0;
}

int oracle_run_newest_open(struct oracle *o, const void *unused, struct run_row *reply)
{
    (void)unused;
    for (size_t i = o->s.run_n; i-- > 0;) {
        const struct o_run *run = &o->s.run[i];

        if (run->state != RUN_RUNNING && run->state != RUN_CANCELLING)
            continue;
        *reply = row_of(o, run);
        return 0;
    }
    return oracle_refuse(o, CODE_RUN_NOT_FOUND);
}

int oracle_event_list(struct oracle *o, const struct event_list *req, struct event_rows *reply)
{
    if (req->max < 1 || req->max > EVENT_LIST_MAX)
        return oracle_refuse(o, CODE_INVALID);
    *reply = (struct event_rows){.list = ARENA_ARRAY(&o->arena, struct event, o->s.event_n)};
    for (size_t i = 0; i < o->begun.event_n && (int64_t)reply->n < req->max; i++)
        if (req->run == 0 || o->s.event[i].run == req->run)
            reply->list[reply->n++] = o->s.event[i];
    return 0;
}

int oracle_doctor_status(struct oracle *o, const void *unused, struct doctor_status *reply)
{
    *reply = (struct doctor_status){0};
    for (size_t i = 0; i < o->s.task_n; i++)
        reply->tasks[o->s.task[i].state]++;
    for (size_t i = 0; i < o->s.run_n; i++) {
        const struct o_run *run = &o->s.run[i];
        bool fresh = run->ended_at && run->ended_at >= o->now - 3600 * CLOCK_S;

        reply->runs[run->state]++;
        reply->ended_runs_hour += fresh;
        reply->failed_runs_hour += fresh && run->state == RUN_FAILED;
    }
    return oracle_worker_list(o, unused, &reply->workers);
}
