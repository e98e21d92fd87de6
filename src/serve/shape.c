/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/shape.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"

json_t *shape_id(int64_t id)
{
    char text[24];
    int n;

    if (!id)
        return json_null();
    n = snprintf(text, sizeof(text), "%" PRId64, id);
    return json_stringn_nocheck(text, (size_t)n);
}

json_t *shape_time(int64_t at)
{
    char out[CLOCK_TEXT_BYTES];
    struct str s;

    if (!at)
        return json_null();
    s = clock_text(at, out);
    return json_stringn_nocheck(s.p, s.n);
}

json_t *shape_seconds(int64_t us)
{
    return json_real((double)us / CLOCK_S);
}

/* Bytes that are no UTF-8 may come from a log; what the store gives is well-formed. */
json_t *shape_text(struct str s)
{
    struct buf b;
    json_t *text;

    if (s.n == 0)
        return json_string("");
    if (str_utf8(s, NULL))
        return json_stringn_nocheck(s.p, s.n);
    buf_init(&b, s.n * 3);
    for (size_t from = 0; from < s.n;) {
        struct str rest = str_sub(s, from, s.n);
        size_t good = rest.n;

        if (str_utf8(rest, &good))
            good = rest.n;
        buf_add(&b, str_sub(rest, 0, good));
        if (good < rest.n)
            buf_add(&b, STR("\xef\xbf\xbd"));
        from += good + 1;
    }
    text = json_stringn_nocheck(b.p, b.n);
    buf_deinit(&b);
    return text;
}

json_t *shape_json(struct str s)
{
    json_t *v = s.n ? json_loadb(s.p, s.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;

    return v ? v : json_null();
}

struct member {
    const char *key;
    json_t *value;
};

static json_t *object(const struct member *members, size_t n)
{
    json_t *o = json_object();

    for (size_t i = 0; i < n; i++)
        json_object_set_new_nocheck(o, members[i].key, members[i].value);
    return o;
}

#define OBJECT(...)                                                                                \
    object((struct member[]){__VA_ARGS__},                                                         \
           sizeof((struct member[]){__VA_ARGS__}) / sizeof(struct member))

/* A list of `n_` things, each shaped by an expression over `i`. */
#define SHAPE_LIST(name_, n_, shaped)                                                              \
    json_t *name_ = json_array();                                                                  \
    for (size_t i = 0; i < (n_); i++)                                                              \
    json_array_append_new(name_, (shaped))

/* Counts by state; what has none is left out by nobody, so that a reader need not know all states.
 */
static json_t *counts(const int64_t *n, size_t states_n, struct str (*text)(size_t state))
{
    json_t *o = json_object();

    for (size_t i = 0; i < states_n; i++) {
        struct str name = text(i);
        char key[32];

        assert(name.n < sizeof(key));
        snprintf(key, sizeof(key), STR_FMT, STR_ARG(name));
        json_object_set_new_nocheck(o, key, json_integer(n[i]));
    }
    return o;
}

static struct str task_state_name(size_t state)
{
    return task_state_text((enum task_state)state);
}

static struct str run_state_name(size_t state)
{
    return run_state_text((enum run_state)state);
}

/* Runs. */

static json_t *run_duration(const struct run_row *run)
{
    return run->ended_at ? shape_seconds(run->ended_at - run->created_at) : json_null();
}

json_t *shape_run_line(const struct run_row *run)
{
    return OBJECT({"id", shape_id(run->id)}, {"workflow", shape_text(run->workflow)},
                  {"version", json_integer(run->version)},
                  {"state", shape_text(run_state_text(run->state))},
                  {"reason", shape_text(run->reason)}, {"created_at", shape_time(run->created_at)},
                  {"ended_at", shape_time(run->ended_at)}, {"duration_s", run_duration(run)},
                  {"counts", counts(run->counts, TASK_STATE_N, task_state_name)});
}

json_t *shape_run(const struct run_row *run)
{
    json_t *o = shape_run_line(run);

    json_object_set_new_nocheck(o, "detail", shape_text(run->detail));
    json_object_set_new_nocheck(o, "params", shape_json(run->params));
    json_object_set_new_nocheck(o, "dir", shape_text(run->dir));
    json_object_set_new_nocheck(o, "max_parallel", json_integer(run->max_parallel));
    return o;
}

json_t *shape_run_view(const struct run_view *view)
{
    json_t *o = shape_run(&view->run);

    SHAPE_LIST(tasks, view->tasks_n, shape_task(&view->tasks[i]));
    json_object_set_new_nocheck(o, "tasks", tasks);
    return o;
}

static json_t *task_reason_line(const struct task_details *d)
{
    return OBJECT({"id", shape_id(d->task.id)}, {"name", shape_text(d->task.name)},
                  {"state", shape_text(task_state_text(d->task.state))},
                  {"reason", shape_text(d->task.reason)}, {"text", shape_text(d->why)});
}

json_t *shape_run_why(const struct run_why *why)
{
    SHAPE_LIST(tasks, why->tasks_n, task_reason_line(&why->tasks[i]));
    return OBJECT(
        {"id", shape_id(why->run.id)}, {"state", shape_text(run_state_text(why->run.state))},
        {"reason", shape_text(why->run.reason)}, {"text", shape_text(why->why)}, {"tasks", tasks});
}

/* Tasks. */

static json_t *attempt(const struct task_attempt *a)
{
    bool ended = !a->running;

    return OBJECT(
        {"number", json_integer(a->number)}, {"token", shape_id(a->token)},
        {"worker", shape_id(a->worker)},
        {"outcome", ended ? shape_text(retry_outcome_text(a->outcome)) : json_null()},
        {"reason", shape_text(a->reason)}, {"message", shape_text(a->message)},
        {"exit_code", ended && a->has_exit_code ? json_integer(a->exit_code) : json_null()},
        {"signal", ended && a->signal ? json_integer(a->signal) : json_null()},
        {"started_at", shape_time(a->started_at)}, {"ended_at", shape_time(a->ended_at)},
        {"queue_wait_s", shape_seconds(a->queue_wait_us)},
        {"run_s", ended ? shape_seconds(a->run_us) : json_null()},
        {"cpu_s", ended ? shape_seconds(a->cpu_us) : json_null()},
        {"max_rss_bytes", ended ? json_integer(a->max_rss_bytes) : json_null()},
        {"stderr_tail", shape_text(a->stderr_tail)});
}

json_t *shape_task(const struct task_view *task)
{
    SHAPE_LIST(attempts, task->attempts_n, attempt(&task->attempts[i]));
    return OBJECT({"id", shape_id(task->id)}, {"name", shape_text(task->name)},
                  {"state", shape_text(task_state_text(task->state))},
                  {"reason", shape_text(task->reason)}, {"detail", shape_text(task->detail)},
                  {"output", shape_json(task->output)}, {"attempts", attempts});
}

static json_t *group(const struct task_group *g)
{
    SHAPE_LIST(from, g->from_n, shape_text(g->from[i]));
    return OBJECT({"rule", shape_text(group_rule_text(g->rule))}, {"need", json_integer(g->need)},
                  {"total", json_integer(g->total)}, {"done", json_integer(g->done)},
                  {"succeeded", json_integer(g->succeeded)}, {"verdict", shape_text(g->verdict)},
                  {"from", from});
}

static json_t *groups(const struct task_details *d)
{
    SHAPE_LIST(list, d->groups_n, group(&d->groups[i]));
    return list;
}

json_t *shape_task_details(const struct task_details *d)
{
    json_t *o = shape_task(&d->task);

    json_object_set_new_nocheck(o, "run", shape_id(d->task.run));
    json_object_set_new_nocheck(o, "queue", shape_text(d->task.queue));
    json_object_set_new_nocheck(o, "priority", json_integer(d->task.priority));
    json_object_set_new_nocheck(o, "groups", groups(d));
    return o;
}

json_t *shape_task_why(const struct task_details *d)
{
    json_t *o = task_reason_line(d);

    json_object_set_new_nocheck(o, "run", shape_id(d->task.run));
    json_object_set_new_nocheck(o, "groups", groups(d));
    return o;
}

/* Events. */

json_t *shape_event(const struct event *e)
{
    return OBJECT({"seq", shape_id(e->seq)}, {"at", shape_time(e->at)}, {"run", shape_id(e->run)},
                  {"task", shape_id(e->task)}, {"name", shape_text(e->name)},
                  {"kind", shape_text(e->kind)}, {"data", shape_json(e->data)});
}

/* Workflows. */

json_t *shape_workflow_line(const struct workflow_row *w)
{
    return OBJECT({"name", shape_text(w->name)}, {"version", json_integer(w->version)},
                  {"kind", shape_text(w->kind)}, {"tasks", json_integer(w->tasks)},
                  {"path", shape_text(w->path)}, {"created_at", shape_time(w->created_at)});
}

static json_t *param(const struct param *p)
{
    static const char *const types[] = {
        [PARAM_STRING] = "string",   [PARAM_INTEGER] = "integer", [PARAM_NUMBER] = "number",
        [PARAM_BOOLEAN] = "boolean", [PARAM_ENUM] = "enum",
    };

    return OBJECT({"name", shape_text(p->name)}, {"type", json_string(types[p->type])},
                  {"description", shape_text(p->description)},
                  {"required", json_boolean(!p->has_default)},
                  {"default", p->has_default ? shape_text(p->fallback) : json_null()});
}

json_t *shape_workflow(const struct workflow_row *w)
{
    const struct definition *d = w->definition;
    json_t *o = shape_workflow_line(w);

    SHAPE_LIST(params, d ? d->params_n : 0, param(&d->params[i]));
    SHAPE_LIST(names, d ? d->tasks_n : 0, shape_text(d->tasks[i].name));
    json_object_set_new_nocheck(o, "format", shape_text(w->format));
    json_object_set_new_nocheck(o, "source", shape_text(w->source));
    json_object_set_new_nocheck(o, "description", d ? shape_text(d->description) : json_string(""));
    json_object_set_new_nocheck(o, "params", params);
    json_object_set_new_nocheck(o, "task_names", names);
    return o;
}

/* The whole. */

json_t *shape_worker(const struct worker_row *w)
{
    return OBJECT({"id", shape_id(w->incarnation)}, {"name", shape_text(w->name)},
                  {"kind", shape_text(w->kind)}, {"state", shape_text(worker_state_text(w->state))},
                  {"slots", json_integer(w->slots)}, {"busy", json_integer(w->busy)},
                  {"host", shape_text(w->host)}, {"pid", json_integer(w->pid)},
                  {"beat_at", shape_time(w->beat_at)});
}

json_t *shape_check(const struct doctor_check *c)
{
    return OBJECT({"id", shape_text(c->id)}, {"name", shape_text(c->text)},
                  {"ok", json_boolean(c->found == 0)}, {"found", json_integer(c->found)},
                  {"text", shape_text(c->example)}, {"advice", shape_text(c->advice)});
}

/* The share of failures among what ended within the hour; nothing ended is no failure. */
static const char *health(int64_t ended, int64_t failed)
{
    double r = ended ? (double)failed / (double)ended : 0;

    return r < 0.1 ? "healthy" : r < 0.3 ? "degraded" : "unhealthy";
}

json_t *shape_status(const struct doctor_status *s)
{
    SHAPE_LIST(workers, s->workers.n, shape_worker(&s->workers.list[i]));
    return OBJECT({"health", json_string(health(s->ended_runs_hour, s->failed_runs_hour))},
                  {"runs", counts(s->runs, RUN_STATE_N, run_state_name)},
                  {"tasks", counts(s->tasks, TASK_STATE_N, task_state_name)}, {"workers", workers});
}
