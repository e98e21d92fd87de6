/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_run.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/sentence.h"
#include "engine/event.h"
#include "engine/run.h"
#include "serve/api_task.h"
#include "serve/recover.h"

#define PATH_BYTES_MAX   4096u
#define FILTER_BYTES_MAX 1000u
#define EVENTS_DEFAULT   1000

BATCHER_FUNCTION(call_start, run_start)
BATCHER_FUNCTION(call_look, run_get)
BATCHER_FUNCTION(call_list, run_list)
BATCHER_FUNCTION(call_cancel, run_cancel)
BATCHER_FUNCTION(call_retry, run_retry)
BATCHER_FUNCTION(call_why, run_why)
BATCHER_FUNCTION(call_newest_open, run_newest_open)
BATCHER_FUNCTION(call_events, event_list)

/* A request that is nothing but a run's id, as the engine takes it. */
static int id_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__RunRequest *m = message;

    return api_id(api, "id", API_NEEDED, m->id, request);
}

static Weft__V1__Run *run_head(struct arena *a, const struct run_row *run)
{
    Weft__V1__Run *m = API_NEW(a, Weft__V1__Run, run);

    m->id = codec_id(a, run->id);
    m->state = codec_text(a, run_state_text(run->state));
    return m;
}

static Weft__V1__Run *run_line(struct arena *a, const struct run_row *run)
{
    Weft__V1__Run *m = run_head(a, run);

    m->workflow = codec_text(a, run->workflow);
    API_SET(m, version, run->version);
    m->reason = codec_text(a, run->reason);
    m->created_at = codec_time(a, run->created_at);
    m->ended_at = codec_time(a, run->ended_at);
    if (run->ended_at)
        m->duration = codec_duration(a, run->ended_at - run->created_at);
    m->counts = api_counts(a, run->counts);
    return m;
}

Weft__V1__Run *api_run_show(struct arena *a, const struct run_row *run)
{
    Weft__V1__Run *m = run_line(a, run);

    m->detail = codec_text(a, run->detail);
    API_SET_JSON(m, params, run->params);
    m->dir = codec_text(a, run->dir);
    API_SET(m, max_parallel, run->max_parallel);
    if (run->version == 0) {
        API_SET(m, growing, run->growing);
        API_SET_JSON(m, metadata, run->metadata);
    }
    return m;
}

/* Start. */

static int start_params(struct api *api, const Weft__V1__StartRunRequest *m, struct run_start *s)
{
    struct env_entry *list;

    if (m->n_params > DEFINITION_PARAMS_MAX)
        return api_count(api, "params", m->n_params, 0, DEFINITION_PARAMS_MAX);
    list = ARENA_ARRAY(api->arena, struct env_entry, m->n_params);
    for (size_t i = 0; i < m->n_params; i++) {
        list[i].name = str_of(m->params[i]->key);
        if (api_text(api, "params", API_OPTIONAL, m->params[i]->value, DEFINITION_TEXT_BYTES_MAX,
                     &list[i].value))
            return API_E_REFUSED;
    }
    s->params = list;
    s->params_n = m->n_params;
    return 0;
}

static int start_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__StartRunRequest *m = message;
    struct run_start *s = request;

    s->version = m->version;
    s->max_parallel = m->max_parallel;
    s->local = m->local;
    return api_text(api, "workflow", API_NEEDED, m->workflow, DEFINITION_NAME_BYTES_MAX,
                    &s->workflow) ||
           api_int(api, "version", s->version, 0, INT64_MAX) ||
           api_text(api, "dir", API_OPTIONAL, m->dir, PATH_BYTES_MAX, &s->dir) ||
           api_int(api, "max_parallel", s->max_parallel, 0, DEFINITION_PARALLEL_MAX) ||
           start_params(api, m, s);
}

static ProtobufCMessage *start_encode(struct arena *a, const void *request, const void *reply)
{
    const struct run_row *run = reply;
    Weft__V1__Run *m = run_head(a, run);

    (void)request;
    m->workflow = codec_text(a, run->workflow);
    API_SET(m, version, run->version);
    return &m->base;
}

const struct api_action api_run_start = {
    .decode = start_decode,
    .request_size = sizeof(struct run_start),
    .function = call_start,
    .reply_size = sizeof(struct run_row),
    .encode = start_encode,
};

/* Get. */

struct get {
    struct run_get get;
    struct api_page page;
    bool paged;
};

/* A run, and the newest event that the view knows of: both are of one snapshot. */
struct got {
    struct run_view view;
    int64_t seq;
};

static int call_get(struct tx *tx, const void *request, void *reply)
{
    const struct get *g = request;
    struct got *got = reply;
    int r = run_get(tx, &g->get, &got->view);

    return r ? r : event_newest(tx, &g->get.id, &got->seq);
}

static int get_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__GetRunRequest *m = message;
    struct get *g = request;

    g->get.tasks = !m->has_tasks || m->tasks;
    g->paged = m->page_token;
    g->get.max = g->paged ? API_PAGE_MAX : 0;
    return api_id(api, "id", API_NEEDED, m->id, &g->get.id) ||
           api_page(api, true, API_PAGE_MAX, m->page_token, &g->page) ||
           api_page_id(api, &g->page, &g->get.after);
}

static ProtobufCMessage *get_encode(struct arena *a, const void *request, const void *reply)
{
    const struct get *g = request;
    const struct got *got = reply;
    const struct run_view *view = &got->view;
    Weft__V1__Run *m = api_run_show(a, &view->run);
    bool more;

    m->seq = codec_id(a, got->seq);
    if (g->get.tasks)
        API_LIST(a, m, tasks, view->tasks_n, api_task_show(a, &view->tasks[i]));
    if (g->paged) {
        api_page_cut(&g->page, view->tasks_n, &more);
        m->next_page_token =
            more ? codec_id(a, view->tasks[view->tasks_n - 1].id) : codec_text(a, STR(""));
    }
    return &m->base;
}

/* A run changes with its events. */
static struct str get_etag(const ProtobufCMessage *reply)
{
    const Weft__V1__Run *m = (const Weft__V1__Run *)reply;

    return str_of(m->seq);
}

const struct api_action api_run_get = {
    .decode = get_decode,
    .request_size = sizeof(struct get),
    .function = call_get,
    .reply_size = sizeof(struct got),
    .encode = get_encode,
    .etag = get_etag,
};

/* List. */

struct listing {
    struct run_list list;
    struct api_page page;
};

static struct str until(struct str *rest, struct str mark)
{
    struct str all = *rest;

    for (size_t i = 0; i + mark.n <= all.n; i++) {
        if (str_eq(str_sub(all, i, mark.n), mark)) {
            *rest = str_sub(all, i + mark.n, all.n);
            return str_sub(all, 0, i);
        }
    }
    *rest = (struct str){0};
    return all;
}

/* "state=FAILED and workflow=etl", the same as the two fields. */
static int list_filter(struct api *api, const char *filter, struct run_list *list)
{
    struct str rest;

    if (api_text(api, "filter", API_OPTIONAL, filter, FILTER_BYTES_MAX, &rest))
        return API_E_REFUSED;
    while (rest.n) {
        struct str value = until(&rest, STR(" and "));
        struct str key = str_trim(until(&value, STR("=")));
        struct str *to = str_eq(key, STR("state"))      ? &list->state
                         : str_eq(key, STR("workflow")) ? &list->workflow
                                                        : NULL;

        value = str_trim(value);
        if (!to || value.n == 0)
            return api_refuse(api, CODE_INVALID,
                              "filter: it is state=STATE and workflow=NAME, or one of them");
        *to = value;
    }
    return 0;
}

static int list_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__ListRunsRequest *m = message;
    struct listing *l = request;
    enum run_state state;

    if (api_page(api, m->has_page_size, m->page_size, m->page_token, &l->page) ||
        api_page_id(api, &l->page, &l->list.before) ||
        api_text(api, "state", API_OPTIONAL, m->state, API_TOKEN_BYTES_MAX, &l->list.state) ||
        api_text(api, "workflow", API_OPTIONAL, m->workflow, DEFINITION_NAME_BYTES_MAX,
                 &l->list.workflow) ||
        list_filter(api, m->filter, &l->list))
        return API_E_REFUSED;
    if (l->list.state.n && !run_state_parse(l->list.state, &state))
        return api_refuse(api, CODE_INVALID,
                          "state: " STR_FMT " is none of RUNNING, CANCELLING, SUCCEEDED, FAILED "
                          "and CANCELLED",
                          STR_ARG(sentence_quote(api->arena, l->list.state)));
    l->list.max = api_page_ask(&l->page);
    return 0;
}

static ProtobufCMessage *list_encode(struct arena *a, const void *request, const void *reply)
{
    const struct listing *l = request;
    const struct run_rows *rows = reply;
    Weft__V1__ListRunsResponse *m = API_NEW(a, Weft__V1__ListRunsResponse, list_runs_response);
    bool more;
    size_t n = api_page_cut(&l->page, rows->n, &more);

    API_LIST(a, m, runs, n, run_line(a, &rows->list[i]));
    m->next_page_token = more ? codec_id(a, rows->list[n - 1].id) : codec_text(a, STR(""));
    return &m->base;
}

const struct api_action api_run_list = {
    .decode = list_decode,
    .request_size = sizeof(struct listing),
    .function = call_list,
    .reply_size = sizeof(struct run_rows),
    .encode = list_encode,
};

/* Cancel, retry, why. */

static ProtobufCMessage *cancel_encode(struct arena *a, const void *request, const void *reply)
{
    (void)request;
    return &run_head(a, reply)->base;
}

const struct api_action api_run_cancel = {
    .decode = id_decode,
    .request_size = sizeof(int64_t),
    .function = call_cancel,
    .reply_size = sizeof(struct run_row),
    .encode = cancel_encode,
};

static ProtobufCMessage *retry_encode(struct arena *a, const void *request, const void *reply)
{
    const struct run_retry_reply *r = reply;
    Weft__V1__RetryRunResponse *m = API_NEW(a, Weft__V1__RetryRunResponse, retry_run_response);

    (void)request;
    m->id = codec_id(a, r->run.id);
    m->state = codec_text(a, run_state_text(r->run.state));
    API_SET(m, tasks, r->tasks);
    return &m->base;
}

const struct api_action api_run_retry = {
    .decode = id_decode,
    .request_size = sizeof(int64_t),
    .function = call_retry,
    .reply_size = sizeof(struct run_retry_reply),
    .encode = retry_encode,
};

static ProtobufCMessage *why_encode(struct arena *a, const void *request, const void *reply)
{
    const struct run_why *why = reply;
    Weft__V1__RunWhy *m = API_NEW(a, Weft__V1__RunWhy, run_why);

    (void)request;
    m->id = codec_id(a, why->run.id);
    m->state = codec_text(a, run_state_text(why->run.state));
    m->reason = codec_text(a, why->run.reason);
    m->text = codec_text(a, why->why);
    API_LIST(a, m, tasks, why->tasks_n, api_task_why_line(a, &why->tasks[i]));
    return &m->base;
}

const struct api_action api_run_why = {
    .decode = id_decode,
    .request_size = sizeof(int64_t),
    .function = call_why,
    .reply_size = sizeof(struct run_why),
    .encode = why_encode,
};

/* Resume: what dead programs of this machine hold is looked for, and taken back. */

BATCHER_FUNCTION(call_adopt, run_adopt)

static int resume_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__RunRequest *m = message;

    return api_id(api, "id", API_OPTIONAL, m->id, request);
}

/* The run that is to be resumed: the one that was named, or the newest that has not ended. */
static int resume_which(struct api *api, int64_t id, struct run_row *ret)
{
    struct batcher *b = api->house->writer;
    struct run_get get = {.id = id};
    struct run_view view;
    int r;

    if (!id)
        return api_transact(api, b, call_newest_open, NULL, ret, sizeof(*ret));
    r = api_transact(api, b, call_look, &get, &view, sizeof(view));
    if (!r)
        *ret = view.run;
    return r;
}

static Weft__V1__RecoveredTask *recovered_show(struct arena *a, const struct recover_task *t)
{
    Weft__V1__RecoveredTask *m = API_NEW(a, Weft__V1__RecoveredTask, recovered_task);

    m->task = codec_id(a, t->task);
    m->name = codec_text(a, t->name);
    return m;
}

static int resume(struct api *api, const void *request, ProtobufCMessage **ret)
{
    struct recover recover = {
        .batcher = api->house->writer, .data = api->house->data, .self = api->house->self};
    Weft__V1__ResumeRunResponse *m =
        API_NEW(api->arena, Weft__V1__ResumeRunResponse, resume_run_response);
    struct recover_reply recovered;
    struct run_row run;

    if (resume_which(api, *(const int64_t *)request, &run))
        return API_E_REFUSED;
    if (run_final(run.state))
        return api_refuse(api, CODE_RUN_ENDED,
                          "run %" PRId64 " has ended (" STR_FMT "); `weft runs retry %" PRId64
                          "` gives its failed tasks another try",
                          run.id, STR_ARG(run_state_text(run.state)), run.id);
    if (recover_all(&recover, api->arena, run.id, &recovered, &api->answer))
        return API_E_REFUSED;
    /* A server that resumes a run carries it from now on. */
    if (api->house->begun_us && api_transact(api, api->house->writer, call_adopt, &run.id, NULL, 0))
        return API_E_REFUSED;
    m->id = codec_id(api->arena, run.id);
    m->state = codec_text(api->arena, run_state_text(run.state));
    API_LIST(api->arena, m, recovered, recovered.n,
             recovered_show(api->arena, &recovered.tasks[i]));
    *ret = &m->base;
    return 0;
}

const struct api_action api_run_resume = {
    .decode = resume_decode,
    .request_size = sizeof(int64_t),
    .work = resume,
};

/* Events. */

Weft__V1__Event *api_run_event(struct arena *a, const struct event *e)
{
    Weft__V1__Event *m = API_NEW(a, Weft__V1__Event, event);

    m->seq = codec_id(a, e->seq);
    m->at = codec_time(a, e->at);
    m->run = codec_id(a, e->run);
    m->task = codec_id(a, e->task);
    m->name = codec_text(a, e->name);
    m->kind = codec_text(a, e->kind);
    API_SET_JSON(m, data, e->data);
    return m;
}

static int events_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__ListEventsRequest *m = message;
    struct event_list *l = request;

    l->max = m->has_max ? m->max : EVENTS_DEFAULT;
    return api_id(api, "run", API_OPTIONAL, m->run, &l->run) ||
           api_seq(api, "after", m->after, &l->after) ||
           api_int(api, "max", l->max, 1, EVENT_LIST_MAX);
}

static ProtobufCMessage *events_encode(struct arena *a, const void *request, const void *reply)
{
    const struct event_rows *rows = reply;
    Weft__V1__ListEventsResponse *m =
        API_NEW(a, Weft__V1__ListEventsResponse, list_events_response);

    (void)request;
    API_LIST(a, m, events, rows->n, api_run_event(a, &rows->list[i]));
    return &m->base;
}

const struct api_action api_run_events = {
    .decode = events_decode,
    .request_size = sizeof(struct event_list),
    .function = call_events,
    .reply_size = sizeof(struct event_rows),
    .encode = events_encode,
};
