/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/dispatch_call.h"

#include "net/grpc.h"
#include "serve/api.h"
#include "serve/api_plan.h"

#define ERROR_CODE_BYTES_MAX 200u

/* ---- what is said ---- */

static struct str encode(struct arena *a, const ProtobufCMessage *m)
{
    size_t n = codec_size(m);
    struct buf out;

    buf_fixed(&out, arena_alloc(a, n + 1), n + 1);
    codec_encode(m, &out);
    return buf_str(&out);
}

static Weft__V1__AssignedCheck *check_message(struct arena *a, const struct grant_check *c)
{
    Weft__V1__AssignedCheck *m = CODEC_NEW(a, Weft__V1__AssignedCheck, weft__v1__assigned_check);

    m->name = codec_text(a, c->name);
    m->kind = codec_text(a, c->kind);
    API_SET_JSON(m, options, c->options);
    m->goal = codec_text(a, c->goal);
    return m;
}

struct str dispatch_call_run(struct arena *a, const struct grant_lease *l, struct str callback)
{
    Weft__V1__RunStageRequest *m =
        CODEC_NEW(a, Weft__V1__RunStageRequest, weft__v1__run_stage_request);

    m->token = api_lease_token(a, l->lease.task, l->lease.token);
    m->run = codec_id(a, l->run);
    m->task = codec_id(a, l->lease.task);
    m->name = codec_text(a, l->name);
    API_SET(m, attempt, l->attempt);
    API_SET_JSON(m, args, l->args);
    m->checks = ARENA_ARRAY(a, Weft__V1__AssignedCheck *, l->checks_n);
    m->n_checks = l->checks_n;
    for (size_t i = 0; i < l->checks_n; i++)
        m->checks[i] = check_message(a, &l->checks[i]);
    m->deadline = codec_time(a, l->deadline_at);
    m->type = codec_text(a, l->type);
    m->runner = codec_text(a, l->runner);
    m->worker = codec_id(a, l->worker);
    m->callback = codec_text(a, callback);
    if (l->progress_us)
        m->progress_every = codec_duration(a, l->progress_us);
    return encode(a, &m->base);
}

struct str dispatch_call_cancel(struct arena *a, struct lease_ref lease, const char *reason)
{
    Weft__V1__CancelStageRequest *m =
        CODEC_NEW(a, Weft__V1__CancelStageRequest, weft__v1__cancel_stage_request);

    m->token = api_lease_token(a, lease.task, lease.token);
    m->reason = codec_text(a, str_of(reason));
    return encode(a, &m->base);
}

struct str dispatch_call_ping(struct arena *a, int64_t worker)
{
    Weft__V1__PingRequest *m = CODEC_NEW(a, Weft__V1__PingRequest, weft__v1__ping_request);

    m->worker = codec_id(a, worker);
    return encode(a, &m->base);
}

/* ---- what is answered ---- */

/* As an attempt or a trace keeps it: UTF-8 without NUL, cut to fit. */
static struct str words(struct arena *a, struct str text)
{
    char *copy = arena_alloc(a, TASK_MESSAGE_BYTES_MAX);
    size_t bad;

    text = str_sub(text, 0, TASK_MESSAGE_BYTES_MAX);
    for (size_t i = 0; i < text.n; i++)
        copy[i] = (char)(text.p[i] ? text.p[i] : ' ');
    text.p = copy;
    if (!str_utf8(text, &bad))
        text.n = bad;
    return text;
}

static void fill(struct task_result *r, struct lease_ref lease, enum outcome outcome,
                 enum task_reason reason, struct str message)
{
    *r = (struct task_result){
        .lease = lease, .outcome = outcome, .reason = reason, .message = message, .exit_code = -1};
}

void dispatch_call_bad(struct arena *a, struct lease_ref lease, struct str why,
                       struct task_result *ret)
{
    fill(ret, lease, OUTCOME_FAILED, TASK_REASON_BAD_REPORT, words(a, why));
}

/* "code: message", as attempts show it. */
static int error_decode(struct api *api, const Weft__V1__Error *m, struct str *ret)
{
    struct str code, text;

    if (!m)
        return 0;
    if (api_text(api, "error.code", API_OPTIONAL, m->code, ERROR_CODE_BYTES_MAX, &code))
        return API_E_REFUSED;
    text = words(api->arena, str_of(m->message));
    *ret = !code.n   ? text
           : !text.n ? code
                     : words(api->arena, str_printf(api->arena, STR_FMT ": " STR_FMT, STR_ARG(code),
                                                    STR_ARG(text)));
    return 0;
}

static int report_decode(struct api *api, const Weft__V1__StageReport *m, struct lease_ref lease,
                         struct task_result *r)
{
    static const char *const outcomes[] = {"succeeded", "failed", "cancelled", NULL};
    struct str outcome;

    fill(r, lease, OUTCOME_NONE, TASK_REASON_NONE, STR(""));
    if (api_choice(api, "outcome", m->outcome, outcomes, &outcome) ||
        api_json(api, "result", m->has_result, m->result, TASK_RESULT_BYTES_MAX, &r->output) ||
        error_decode(api, m->error, &r->message) ||
        api_plan_updates(api, m->checks, m->n_checks, &r->checks))
        return API_E_REFUSED;
    r->checks_n = m->n_checks;
    retry_outcome_parse(outcome, &r->outcome);
    r->final = m->final;
    if (r->outcome == OUTCOME_FAILED)
        r->reason = TASK_REASON_WORKER_ERROR;
    if (r->outcome != OUTCOME_SUCCEEDED)
        r->output = STR("");
    return 0;
}

static void judge_report(struct arena *a, struct lease_ref lease, struct str bytes,
                         struct dispatch_end *ret)
{
    struct api api = {.arena = a};
    ProtobufCMessage *m;
    struct str why;

    ret->healthy = true;
    if (codec_decode(a, &weft__v1__stage_report__descriptor, bytes, &m, &why)) {
        dispatch_call_bad(a, lease, why, &ret->result);
        ret->healthy = false;
    } else if (report_decode(&api, (const Weft__V1__StageReport *)(const void *)m, lease,
                             &ret->result)) {
        dispatch_call_bad(a, lease, api.answer.text, &ret->result);
    }
}

static void refuse(struct dispatch_end *ret, enum task_reason reason, struct str message)
{
    ret->what = DISPATCH_REFUSE;
    ret->reason = reason;
    ret->message = message;
}

static void judge_acceptance(struct arena *a, struct str bytes, struct dispatch_end *ret)
{
    const Weft__V1__RunAsyncReply *reply;
    ProtobufCMessage *m;
    struct str why;

    if (codec_decode(a, &weft__v1__run_async_reply__descriptor, bytes, &m, &why)) {
        refuse(ret, TASK_REASON_UNREACHABLE, words(a, why));
        ret->stop = true;
        return;
    }
    reply = (const Weft__V1__RunAsyncReply *)(const void *)m;
    ret->healthy = true;
    ret->what = DISPATCH_ACCEPT;
    if (!reply->accepted)
        refuse(ret, TASK_REASON_REFUSED, words(a, str_of(reply->reason)));
}

/* Statuses by which a runner says that it has not begun. */
static bool says_no(int status)
{
    return status == GRPC_FAILED_PRECONDITION || status == GRPC_RESOURCE_EXHAUSTED ||
           status == GRPC_UNIMPLEMENTED || status == GRPC_UNAUTHENTICATED ||
           status == GRPC_PERMISSION_DENIED;
}

static bool is_healthy(const struct caller_call *call)
{
    switch (call->status) {
    case GRPC_UNAVAILABLE:
    case GRPC_UNIMPLEMENTED:
    case GRPC_UNAUTHENTICATED:
    case GRPC_PERMISSION_DENIED:
    case GRPC_INTERNAL:
        return false;
    default:
        return call->sent;
    }
}

static struct str status_words(struct arena *a, const struct caller_call *call)
{
    return call->text.n ? words(a, call->text)
                        : str_printf(a, "the call ended with the gRPC status %d", call->status);
}

/* A sync call that began and did not end well. Where it goes on without us, it is to stop. */
static void judge_broken(struct lease_ref lease, const struct caller_call *call,
                         enum dispatch_cut cut, struct str text, struct dispatch_end *ret)
{
    struct task_result *r = &ret->result;

    if (cut == DISPATCH_STOPPED && call->status == GRPC_CANCELLED)
        fill(r, lease, OUTCOME_CANCELLED, TASK_REASON_NONE, text);
    else if (cut == DISPATCH_ENDING && call->status == GRPC_CANCELLED)
        fill(r, lease, OUTCOME_LOST, TASK_REASON_LOST, STR("the server that called it ended"));
    else if (call->status == GRPC_DEADLINE_EXCEEDED)
        fill(r, lease, OUTCOME_TIMED_OUT, TASK_REASON_TIMED_OUT, STR(""));
    else if (call->status == GRPC_UNAVAILABLE)
        fill(r, lease, OUTCOME_LOST, TASK_REASON_LOST, text);
    else
        fill(r, lease, OUTCOME_FAILED, TASK_REASON_WORKER_ERROR, text);
    ret->stop = r->outcome == OUTCOME_LOST || r->outcome == OUTCOME_TIMED_OUT;
}

/* It may have been taken where the answer did not come. */
static void judge_unaccepted(struct lease_ref lease, const struct caller_call *call,
                             enum dispatch_cut cut, struct str text, struct dispatch_end *ret)
{
    ret->stop = call->sent;
    /* To accept takes no work: who does not even answer hangs. */
    if (call->status == GRPC_DEADLINE_EXCEEDED && cut == DISPATCH_UNCUT)
        ret->healthy = false;
    if (call->status == GRPC_DEADLINE_EXCEEDED || cut != DISPATCH_UNCUT)
        refuse(ret, TASK_REASON_NOT_ACCEPTED, text);
    else if (call->status == GRPC_UNAVAILABLE)
        fill(&ret->result, lease, OUTCOME_LOST, TASK_REASON_LOST, text);
    else
        refuse(ret, TASK_REASON_REFUSED, text);
}

void dispatch_call_judge(struct arena *a, struct lease_ref lease, enum placement_mode mode,
                         const struct caller_call *call, enum dispatch_cut cut,
                         struct dispatch_end *ret)
{
    struct str text = call->status ? status_words(a, call) : STR("");

    *ret = (struct dispatch_end){.what = DISPATCH_COMPLETE};
    if (call->status == GRPC_OK) {
        if (mode == PLACEMENT_SYNC)
            judge_report(a, lease, call->reply, ret);
        else
            judge_acceptance(a, call->reply, ret);
        return;
    }
    ret->healthy = is_healthy(call) || cut != DISPATCH_UNCUT;
    if (!call->sent)
        refuse(ret, TASK_REASON_UNREACHABLE, text);
    else if (says_no(call->status))
        refuse(ret, TASK_REASON_REFUSED, text);
    else if (mode == PLACEMENT_SYNC)
        judge_broken(lease, call, cut, text, ret);
    else
        judge_unaccepted(lease, call, cut, text, ret);
}
