/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_task.h"

#include "core/definition.h"
#include "engine/grant.h"
#include "engine/plan.h"
#include "engine/progress.h"
#include "serve/api_plan.h"

BATCHER_FUNCTION(call_get, task_get)
BATCHER_FUNCTION(call_requeue, task_requeue)
BATCHER_FUNCTION(call_cancel, task_cancel)

static int which_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__TaskRequest *m = message;
    struct task_which *w = request;
    bool named;

    if (api_id(api, "id", API_OPTIONAL, m->id, &w->id) ||
        api_id(api, "run", API_OPTIONAL, m->run, &w->run) ||
        api_text(api, "name", API_OPTIONAL, m->name, DEFINITION_NAME_BYTES_MAX, &w->name))
        return API_E_REFUSED;
    named = w->run && w->name.n;
    if (w->id ? !w->run && !w->name.n : named)
        return 0;
    return api_refuse(api, CODE_INVALID, "a task is named by its id, or by its run and name");
}

/* What runs elsewhere has told no time of its own: then it is that between start and end. */
static int64_t run_us(const struct task_attempt *t)
{
    return t->run_us || !t->number ? t->run_us : t->ended_at - t->started_at;
}

static void attempt_ending(struct arena *a, const struct task_attempt *t, Weft__V1__Attempt *m)
{
    m->outcome = codec_text(a, retry_outcome_text(t->outcome));
    if (t->has_exit_code)
        API_SET(m, exit_code, t->exit_code);
    if (t->signal)
        API_SET(m, signal, t->signal);
    m->run_time = codec_duration(a, run_us(t));
    m->cpu_time = codec_duration(a, t->cpu_us);
    API_SET(m, max_rss_bytes, t->max_rss_bytes);
}

static Weft__V1__Progress *progress_show(struct arena *a, const struct progress *p)
{
    Weft__V1__Progress *m = API_NEW(a, Weft__V1__Progress, progress);

    m->at = codec_time(a, p->at);
    if (p->percent >= 0)
        API_SET(m, percent, p->percent);
    m->message = codec_text(a, p->message);
    API_SET_JSON(m, details, p->details);
    return m;
}

static Weft__V1__Attempt *attempt_show(struct arena *a, const struct task_attempt *t)
{
    Weft__V1__Attempt *m = API_NEW(a, Weft__V1__Attempt, attempt);

    API_SET(m, number, t->number);
    m->token = codec_id(a, t->token);
    m->worker = codec_id(a, t->worker);
    m->reason = codec_text(a, t->reason);
    m->message = codec_text(a, t->message);
    m->started_at = codec_time(a, t->started_at);
    m->ended_at = codec_time(a, t->ended_at);
    m->queue_wait = codec_duration(a, t->queue_wait_us);
    m->stderr_tail = codec_text(a, t->stderr_tail);
    if (t->percent >= 0)
        API_SET(m, percent, t->percent);
    API_LIST(a, m, progress, t->progress_n, progress_show(a, &t->progress[i]));
    if (!t->running)
        attempt_ending(a, t, m);
    return m;
}

Weft__V1__Task *api_task_show(struct arena *a, const struct task_view *t)
{
    Weft__V1__Task *m = API_NEW(a, Weft__V1__Task, task);

    m->id = codec_id(a, t->id);
    m->name = api_word(a, t->name);
    m->state = codec_text(a, task_state_text(t->state));
    m->reason = codec_text(a, t->reason);
    m->detail = codec_text(a, t->detail);
    API_SET_JSON(m, output, t->output);
    API_LIST(a, m, attempts, t->attempts_n, attempt_show(a, &t->attempts[i]));
    api_plan_show(a, t, m);
    return m;
}

static Weft__V1__Group *group_show(struct arena *a, const struct task_group *g)
{
    Weft__V1__Group *m = API_NEW(a, Weft__V1__Group, group);

    m->rule = codec_text(a, group_rule_text(g->rule));
    API_SET(m, need, g->need);
    API_SET(m, total, g->total);
    API_SET(m, done, g->done);
    API_SET(m, succeeded, g->succeeded);
    m->verdict = codec_text(a, g->verdict);
    API_LIST(a, m, from, g->from_n, codec_text(a, g->from[i]));
    m->role = codec_text(a, group_role_text(g->role));
    if (g->cancel_rest)
        API_SET(m, cancel_rest, true);
    API_SET_JSON(m, satisfied, g->satisfied);
    return m;
}

Weft__V1__Task *api_task_whole(struct arena *a, const struct task_details *d)
{
    Weft__V1__Task *m = api_task_show(a, &d->task);

    m->run = codec_id(a, d->task.run);
    m->queue = api_word(a, d->task.queue);
    m->key = api_word(a, d->task.key);
    API_SET_JSON(m, payload, d->task.payload);
    API_SET(m, priority, (int32_t)d->task.priority);
    m->created_at = codec_time(a, d->task.created_at);
    m->due_at = codec_time(a, d->task.due_at);
    m->ended_at = codec_time(a, d->task.ended_at);
    API_LIST(a, m, groups, d->groups_n, group_show(a, &d->groups[i]));
    return m;
}

static ProtobufCMessage *get_encode(struct arena *a, const void *request, const void *reply)
{
    (void)request;
    return &api_task_whole(a, reply)->base;
}

const struct api_action api_task_get = {
    .decode = which_decode,
    .request_size = sizeof(struct task_which),
    .function = call_get,
    .reply_size = sizeof(struct task_details),
    .encode = get_encode,
};

Weft__V1__TaskWhy *api_task_why_line(struct arena *a, const struct task_details *d)
{
    Weft__V1__TaskWhy *m = API_NEW(a, Weft__V1__TaskWhy, task_why);

    m->id = codec_id(a, d->task.id);
    m->name = api_word(a, d->task.name);
    m->state = codec_text(a, task_state_text(d->task.state));
    m->reason = codec_text(a, d->task.reason);
    m->text = codec_text(a, d->why);
    return m;
}

/* Of a stage that runners are called for, with what the dispatchers decided. */
struct why {
    struct task_details details;
    struct grant_why grants;
};

struct why_asked {
    struct task_which which;
    const int64_t *left_alone; /* runners that this server does not call now */
    size_t left_alone_n;
};

static int why_decode(struct api *api, const void *message, void *request)
{
    struct why_asked *asked = request;

    if (api->house->left_alone)
        asked->left_alone_n =
            api->house->left_alone(api->house->left_alone_context, api->arena, &asked->left_alone);
    return which_decode(api, message, &asked->which);
}

static int call_why(struct tx *tx, const void *request, void *reply)
{
    const struct why_asked *asked = request;
    struct why *w = reply;
    int r = task_get(tx, &asked->which, &w->details);
    const struct plan_view *plan = r ? NULL : w->details.task.plan;

    if (plan && plan->type.n)
        r = grant_why(
            tx, &(struct grant_which){w->details.task.id, asked->left_alone, asked->left_alone_n},
            &w->grants);
    return r;
}

static Weft__V1__Candidate *candidate_show(struct arena *a, const struct grant_candidate *c)
{
    Weft__V1__Candidate *m = API_NEW(a, Weft__V1__Candidate, candidate);

    m->runner = api_word(a, c->runner);
    m->verdict = codec_text(a, placement_verdict_text(c->verdict));
    if (c->more) {
        API_SET(m, more, c->more);
    } else {
        API_SET(m, load, c->load);
        API_SET(m, slots, c->slots);
    }
    return m;
}

static Weft__V1__Dispatch *dispatch_show(struct arena *a, const struct grant_trace *t)
{
    Weft__V1__Dispatch *m = API_NEW(a, Weft__V1__Dispatch, dispatch);

    m->at = codec_time(a, t->at);
    m->runner = api_word(a, t->runner);
    m->token = codec_id(a, t->token);
    API_LIST(a, m, candidates, t->n, candidate_show(a, &t->list[i]));
    if (t->ended) {
        m->outcome = codec_text(a, retry_outcome_text(t->outcome));
        m->reason = api_word(a, t->reason);
        m->message = api_word(a, t->message);
        m->ended_at = codec_time(a, t->ended_at);
    }
    return m;
}

static ProtobufCMessage *why_encode(struct arena *a, const void *request, const void *reply)
{
    const struct why *w = reply;
    const struct grant_why *g = &w->grants;
    Weft__V1__TaskWhy *m = api_task_why_line(a, &w->details);

    (void)request;
    m->run = codec_id(a, w->details.task.run);
    if (g->sentence.n)
        m->text = codec_text(a, g->sentence);
    API_LIST(a, m, groups, w->details.groups_n, group_show(a, &w->details.groups[i]));
    API_LIST(a, m, dispatches, g->traces_n, dispatch_show(a, &g->traces[i]));
    API_LIST(a, m, candidates, g->now_n, candidate_show(a, &g->now[i]));
    return &m->base;
}

const struct api_action api_task_why = {
    .decode = why_decode,
    .request_size = sizeof(struct why_asked),
    .function = call_why,
    .reply_size = sizeof(struct why),
    .encode = why_encode,
};

static ProtobufCMessage *state_encode(struct arena *a, const void *request, const void *reply)
{
    const struct task_details *d = reply;
    Weft__V1__TaskState *m = API_NEW(a, Weft__V1__TaskState, task_state);

    (void)request;
    m->id = codec_id(a, d->task.id);
    m->state = codec_text(a, task_state_text(d->task.state));
    return &m->base;
}

const struct api_action api_task_requeue = {
    .decode = which_decode,
    .request_size = sizeof(struct task_which),
    .function = call_requeue,
    .reply_size = sizeof(struct task_details),
    .encode = state_encode,
};

static ProtobufCMessage *now_encode(struct arena *a, const void *request, const void *reply)
{
    const struct task_now *now = reply;
    Weft__V1__TaskState *m = API_NEW(a, Weft__V1__TaskState, task_state);

    (void)request;
    m->id = codec_id(a, now->id);
    m->state = codec_text(a, task_state_text(now->state));
    return &m->base;
}

const struct api_action api_task_cancel = {
    .decode = which_decode,
    .request_size = sizeof(struct task_which),
    .function = call_cancel,
    .reply_size = sizeof(struct task_now),
    .encode = now_encode,
};
