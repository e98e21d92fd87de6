/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_lease.h"

#include "engine/lease.h"
#include "engine/progress.h"
#include "engine/task.h"
#include "serve/api_plan.h"

#define ERROR_CODE_BYTES_MAX 200u

BATCHER_FUNCTION(call_complete, task_complete)
BATCHER_FUNCTION(call_release, task_release)
BATCHER_MANY(many_complete, task_complete_many)
BATCHER_MANY(many_release, task_release_many)

/* A token that weft never gave is a lease that there never was. */
static struct lease_ref lease_of(const char *token)
{
    struct lease_ref ref;

    return api_token(token, &ref) ? ref : (struct lease_ref){0};
}

/* Complete. */

/* "code: message", as attempts show it. */
static int error_decode(struct api *api, const Weft__V1__Error *m, struct str *ret)
{
    struct str code, text;

    *ret = (struct str){0};
    if (!m)
        return 0;
    if (api_text(api, "error.code", API_OPTIONAL, m->code, ERROR_CODE_BYTES_MAX, &code) ||
        api_text(api, "error.message", API_OPTIONAL, m->message, TASK_MESSAGE_BYTES_MAX, &text))
        return API_E_REFUSED;
    *ret = !code.n   ? text
           : !text.n ? code
                     : str_printf(api->arena, STR_FMT ": " STR_FMT, STR_ARG(code), STR_ARG(text));
    if (ret->n > TASK_MESSAGE_BYTES_MAX)
        return api_refuse(api, CODE_INVALID, "error: code and message have more than %u bytes",
                          TASK_MESSAGE_BYTES_MAX);
    return 0;
}

static int result_decode(struct api *api, const Weft__V1__CompleteItem *m, struct task_result *t)
{
    static const char *const outcomes[] = {"succeeded", "failed", "timed_out", "cancelled", NULL};
    struct str outcome;

    *t = (struct task_result){.lease = lease_of(m->token), .exit_code = -1};
    if (!m->outcome)
        return api_refuse(api, CODE_INVALID, "outcome: it is required");
    if (api_choice(api, "outcome", m->outcome, outcomes, &outcome) ||
        api_json(api, "result", m->has_result, m->result, TASK_RESULT_BYTES_MAX, &t->output) ||
        error_decode(api, m->error, &t->message) ||
        api_plan_updates(api, m->checks, m->n_checks, &t->checks))
        return API_E_REFUSED;
    t->final = m->final;
    t->checks_n = m->n_checks;
    retry_outcome_parse(outcome, &t->outcome);
    t->reason = t->outcome == OUTCOME_FAILED ? TASK_REASON_WORKER_ERROR : TASK_REASON_NONE;
    if (t->outcome != OUTCOME_SUCCEEDED && t->output.n)
        return api_refuse(api, CODE_INVALID, "result: an attempt that did not succeed has none");
    if (t->outcome == OUTCOME_SUCCEEDED && m->error)
        return api_refuse(api, CODE_INVALID, "error: an attempt that succeeded has none");
    return 0;
}

static int complete_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__CompleteRequest *m = message;
    struct task_complete *c = request;
    struct task_result *list;

    if (api_count(api, "results", m->n_results, 1, TASK_BATCH_MAX))
        return API_E_REFUSED;
    list = ARENA_ARRAY(api->arena, struct task_result, m->n_results);
    for (size_t i = 0; i < m->n_results; i++) {
        if (result_decode(api, m->results[i], &list[i]))
            return api_within(api, "results", i);
    }
    *c = (struct task_complete){list, m->n_results};
    return 0;
}

static ProtobufCMessage *complete_encode(struct arena *a, const void *request, const void *reply)
{
    const struct task_codes *codes = reply;
    Weft__V1__CompleteResponse *m = API_NEW(a, Weft__V1__CompleteResponse, complete_response);

    (void)request;
    API_LIST(a, m, results, codes->n, api_item(a, codes->list[i]));
    return &m->base;
}

const struct api_action api_lease_complete = {
    .decode = complete_decode,
    .request_size = sizeof(struct task_complete),
    .function = call_complete,
    .many = many_complete,
    .turn = API_TURN_END,
    .reply_size = sizeof(struct task_codes),
    .encode = complete_encode,
};

/* Release. */

static int release_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__ReleaseRequest *m = message;
    struct task_release *r = request;
    struct lease_ref *list;

    if (api_count(api, "tokens", m->n_tokens, 1, TASK_BATCH_MAX))
        return API_E_REFUSED;
    list = ARENA_ARRAY(api->arena, struct lease_ref, m->n_tokens);
    for (size_t i = 0; i < m->n_tokens; i++)
        list[i] = lease_of(m->tokens[i]);
    *r = (struct task_release){list, m->n_tokens};
    return 0;
}

static ProtobufCMessage *release_encode(struct arena *a, const void *request, const void *reply)
{
    const struct task_codes *codes = reply;
    Weft__V1__ReleaseResponse *m = API_NEW(a, Weft__V1__ReleaseResponse, release_response);

    (void)request;
    API_LIST(a, m, results, codes->n, api_item(a, codes->list[i]));
    return &m->base;
}

const struct api_action api_lease_release = {
    .decode = release_decode,
    .request_size = sizeof(struct task_release),
    .function = call_release,
    .many = many_release,
    .turn = API_TURN_END,
    .reply_size = sizeof(struct task_codes),
    .encode = release_encode,
};

/* Renew. */

BATCHER_FUNCTION(call_renew, lease_renew)

static int progress_decode(struct api *api, const Weft__V1__RenewItem *m, struct lease_progress *p)
{
    p->lease = lease_of(m->token);
    p->percent = m->has_percent ? m->percent : -1;
    return (m->has_percent && api_int(api, "percent", m->percent, 0, 100)) ||
           api_text(api, "message", API_OPTIONAL, m->message, LEASE_MESSAGE_BYTES_MAX,
                    &p->message) ||
           api_json(api, "details", m->has_details, m->details, PROGRESS_DETAILS_BYTES_MAX,
                    &p->details);
}

static int renew_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__RenewRequest *m = message;
    struct lease_renew *r = request;
    struct lease_progress *list;

    if (api_count(api, "leases", m->n_leases, 1, LEASE_RENEW_MAX) ||
        api_duration(api, "ttl", m->ttl, LEASE_TTL_US_MAX, 0, &r->ttl_us))
        return API_E_REFUSED;
    if (m->ttl && r->ttl_us < LEASE_TTL_US_MIN)
        return api_refuse(api, CODE_INVALID, "ttl: it is 1s at least");
    list = ARENA_ARRAY(api->arena, struct lease_progress, m->n_leases);
    for (size_t i = 0; i < m->n_leases; i++) {
        if (progress_decode(api, m->leases[i], &list[i]))
            return api_within(api, "leases", i);
    }
    r->list = list;
    r->n = m->n_leases;
    return 0;
}

static Weft__V1__RenewedLease *renewed_show(struct arena *a, const struct lease_renewed *l)
{
    Weft__V1__RenewedLease *m = API_NEW(a, Weft__V1__RenewedLease, renewed_lease);
    Weft__V1__ItemResult *item = api_item(a, l->code);

    m->code = item->code;
    m->message = item->message;
    m->expires_at = codec_time(a, l->expires_at);
    if (l->code == CODE_OK)
        API_SET(m, stop, l->stop);
    return m;
}

static ProtobufCMessage *renew_encode(struct arena *a, const void *request, const void *reply)
{
    const struct lease_renewals *r = reply;
    Weft__V1__RenewResponse *m = API_NEW(a, Weft__V1__RenewResponse, renew_response);

    (void)request;
    API_LIST(a, m, results, r->n, renewed_show(a, &r->list[i]));
    return &m->base;
}

const struct api_action api_lease_renew = {
    .decode = renew_decode,
    .request_size = sizeof(struct lease_renew),
    .function = call_renew,
    .reply_size = sizeof(struct lease_renewals),
    .encode = renew_encode,
};
