/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_plan.h"

#include "core/retry.h"
#include "serve/api_queue.h"
#include "serve/api_run.h"
#include "serve/api_task.h"
#include "serve/claim.h"

BATCHER_FUNCTION(call_create, plan_create)
BATCHER_FUNCTION(call_query, plan_query)
BATCHER_FUNCTION(call_seal, plan_seal)
BATCHER_FUNCTION(call_claim, plan_claim)

static int create_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__CreateRunRequest *m = message;
    struct plan_create *c = request;

    return api_text(api, "request_id", API_OPTIONAL, m->request_id, PLAN_REQUEST_BYTES_MAX,
                    &c->request_id) ||
           api_text(api, "name", API_OPTIONAL, m->name, DEFINITION_NAME_BYTES_MAX, &c->name) ||
           api_object(api, "metadata", m->has_metadata, m->metadata, PLAN_METADATA_BYTES_MAX,
                      &c->metadata);
}

static ProtobufCMessage *run_encode(struct arena *a, const void *request, const void *reply)
{
    (void)request;
    return &api_run_show(a, reply)->base;
}

const struct api_action api_plan_create = {
    .decode = create_decode,
    .request_size = sizeof(struct plan_create),
    .function = call_create,
    .reply_size = sizeof(struct run_row),
    .encode = run_encode,
};

static int seal_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__SealRunRequest *m = message;

    return api_id(api, "id", API_NEEDED, m->id, request);
}

const struct api_action api_plan_seal = {
    .decode = seal_decode,
    .request_size = sizeof(int64_t),
    .function = call_seal,
    .reply_size = sizeof(struct run_row),
    .encode = run_encode,
};

/* Query. */

struct query {
    struct plan_query query;
    struct api_page page;
};

static int call_page(struct tx *tx, const void *request, void *reply)
{
    const struct query *q = request;

    return call_query(tx, &q->query, reply);
}

static int texts(struct api *api, const char *field, char *const *list, size_t n, size_t bytes_max,
                 const struct str **ret)
{
    struct str *texts;

    if (api_count(api, field, n, 0, PLAN_NAMES_MAX))
        return API_E_REFUSED;
    texts = ARENA_ARRAY(api->arena, struct str, n);
    for (size_t i = 0; i < n; i++) {
        if (api_text(api, field, API_NEEDED, list[i], bytes_max, &texts[i]))
            return API_E_REFUSED;
    }
    *ret = texts;
    return 0;
}

static int query_decode(struct api *api, const void *message, void *request)
{
    static const char *const onlies[] = {"", "checks", "stages", NULL};
    const Weft__V1__QueryTasksRequest *m = message;
    struct query *q = request;
    struct plan_query *p = &q->query;
    struct str only;

    p->names_n = m->n_names;
    p->kinds_n = m->n_kinds;
    p->states_n = m->n_states;
    if (api_id(api, "id", API_NEEDED, m->id, &p->run) ||
        texts(api, "names", m->names, m->n_names, DEFINITION_NAME_BYTES_MAX, &p->names) ||
        texts(api, "kinds", m->kinds, m->n_kinds, CHECK_KIND_BYTES_MAX, &p->kinds) ||
        texts(api, "states", m->states, m->n_states, API_TOKEN_BYTES_MAX, &p->states) ||
        api_choice(api, "only", m->only, onlies, &only) ||
        api_page(api, m->has_page_size, m->page_size, m->page_token, &q->page) ||
        api_page_id(api, &q->page, &p->after))
        return API_E_REFUSED;
    p->only_checks = str_eq(only, STR("checks"));
    p->only_stages = str_eq(only, STR("stages"));
    p->max = q->page.size;
    return 0;
}

static ProtobufCMessage *query_encode(struct arena *a, const void *request, const void *reply)
{
    const struct plan_page *page = reply;
    Weft__V1__QueryTasksResponse *m =
        API_NEW(a, Weft__V1__QueryTasksResponse, query_tasks_response);

    (void)request;
    API_LIST(a, m, tasks, page->n, api_task_whole(a, &page->list[i]));
    m->next_page_token = page->next ? codec_id(a, page->next) : codec_text(a, STR(""));
    return &m->base;
}

const struct api_action api_plan_query = {
    .decode = query_decode,
    .request_size = sizeof(struct query),
    .function = call_page,
    .reply_size = sizeof(struct plan_page),
    .encode = query_encode,
};

/* Claim: as of a queue, from a run. */

static int claim_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__ClaimRunRequest *m = message;
    struct api_queue_claim *c = request;

    c->claim.max = m->has_max ? m->max : 1;
    return api_id(api, "id", API_NEEDED, m->id, &c->claim.run) ||
           api_int(api, "max", c->claim.max, 1, TASK_BATCH_MAX) ||
           api_queue_claim_worker(api, m->worker, c) || api_queue_claim_wait(api, m->wait, c);
}

const struct api_action api_plan_claim = {
    .decode = claim_decode,
    .request_size = sizeof(struct api_queue_claim),
    .function = call_claim,
    .reply_size = sizeof(struct task_leases),
    .encode = api_queue_claim_encode,
    .keeps = api_queue_claim_keeps,
    .begin = claim_begin,
};

/* What is shown of checks and stages. */

static const char *goal_text(const struct plan_assignment *s)
{
    return s->planned ? "PLANNED" : "FINAL";
}

static Weft__V1__Assignment *assignment_show(struct arena *a, const struct plan_assignment *s)
{
    Weft__V1__Assignment *m = API_NEW(a, Weft__V1__Assignment, assignment);

    m->check = codec_text(a, s->check);
    m->goal = codec_text(a, str_of(goal_text(s)));
    return m;
}

static Weft__V1__CheckResult *result_show(struct arena *a, const struct check_result *r)
{
    Weft__V1__CheckResult *m = API_NEW(a, Weft__V1__CheckResult, check_result);

    m->owner = api_word(a, r->owner);
    API_SET_JSON(m, data, r->data);
    if (r->failed) {
        m->failure = API_NEW(a, Weft__V1__Error, error);
        m->failure->code = api_word(a, r->code);
        m->failure->message = api_word(a, r->message);
    }
    API_SET(m, finalize, r->final);
    m->at = codec_time(a, r->at);
    return m;
}

static Weft__V1__Check *check_show(struct arena *a, const struct plan_view *p)
{
    Weft__V1__Check *m = API_NEW(a, Weft__V1__Check, check);

    m->state = codec_text(a, plan_check_state_text(p->check_state));
    m->kind = api_word(a, p->kind);
    API_SET_JSON(m, options, p->options);
    API_SET(m, results_total, p->results_n);
    if (p->results)
        API_LIST(a, m, results, (size_t)p->results_n, result_show(a, &p->results[i]));
    return m;
}

static Weft__V1__Stage *stage_show(struct arena *a, const struct plan_view *p)
{
    Weft__V1__Stage *m = API_NEW(a, Weft__V1__Stage, stage);
    struct retry_policy retry;

    m->type = api_word(a, p->type);
    API_SET_JSON(m, labels, p->labels);
    m->mode = codec_text(a, p->async ? STR("async") : STR("sync"));
    API_SET_JSON(m, args, p->args);
    m->timeout = codec_duration(a, p->timeout_us);
    if (p->async)
        m->accept_timeout = codec_duration(a, p->accept_us);
    if (p->progress_us)
        m->progress_every = codec_duration(a, p->progress_us);
    if (p->retry.n && retry_parse(p->retry, &retry))
        m->retry = api_retry_show(a, &retry);
    if (p->assignments)
        API_LIST(a, m, assignments, p->assignments_n, assignment_show(a, &p->assignments[i]));
    m->parent = api_word(a, p->parent_name);
    return m;
}

void api_plan_show(struct arena *a, const struct task_view *t, Weft__V1__Task *m)
{
    if (!t->plan)
        return;
    API_SET(m, version, t->version);
    if (t->plan->check)
        m->check = check_show(a, t->plan);
    else
        m->stage = stage_show(a, t->plan);
}
