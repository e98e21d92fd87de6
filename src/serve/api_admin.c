/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_admin.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "engine/doctor.h"
#include "serve/api_worker.h"
#include "serve/loop.h"
#include "serve/methods_within.h"
#include "serve/recover.h"

BATCHER_FUNCTION(call_doctor, doctor_check)

/* Status. */

struct status {
    struct doctor_status all;
    enum store_backend backend;
    int schema;
};

static int call_status(struct tx *tx, const void *request, void *reply)
{
    struct status *s = reply;

    s->backend = store_backend(tx->store);
    s->schema = store_schema_version(tx->store);
    return doctor_status(tx, request, &s->all);
}

static Weft__V1__StatusResponse__RunsEntry *runs_entry(struct arena *a, enum run_state state,
                                                       int64_t n)
{
    Weft__V1__StatusResponse__RunsEntry *m =
        API_NEW(a, Weft__V1__StatusResponse__RunsEntry, status_response__runs_entry);

    m->key = codec_text(a, run_state_text(state));
    API_SET(m, value, n);
    return m;
}

/* The share of failures among what ended within the hour; nothing ended is no failure. */
static struct str health_of_runs(int64_t ended, int64_t failed)
{
    double r = ended ? (double)failed / (double)ended : 0;

    return r < 0.1 ? STR("healthy") : r < 0.3 ? STR("degraded") : STR("unhealthy");
}

/* The store and the server are told by whoever knows them: the call itself. */
static ProtobufCMessage *status_encode(struct arena *a, const void *request, const void *reply)
{
    const struct api_house *const *house = request;
    const struct status *s = reply;
    Weft__V1__StatusResponse *m = API_NEW(a, Weft__V1__StatusResponse, status_response);

    m->version = codec_text(a, STR(WEFT_VERSION));
    m->store = API_NEW(a, Weft__V1__StoreInfo, store_info);
    m->store->backend = codec_text(a, s->backend == STORE_SQLITE ? STR("sqlite") : STR("postgres"));
    m->store->url = codec_text(a, methods_url(a, (*house)->url));
    API_SET(m->store, schema_version, s->schema);
    m->health = codec_text(a, health_of_runs(s->all.ended_runs_hour, s->all.failed_runs_hour));
    API_LIST(a, m, runs, RUN_STATE_N, runs_entry(a, (enum run_state)i, s->all.runs[i]));
    m->tasks = api_counts(a, s->all.tasks);
    API_LIST(a, m, workers, s->all.workers.n, api_worker_show(a, &s->all.workers.list[i]));
    if ((*house)->begun_us)
        m->uptime = codec_duration(a, clock_monotonic() - (*house)->begun_us);
    return &m->base;
}

static int house_decode(struct api *api, const void *message, void *request)
{
    (void)message;
    *(const struct api_house **)request = api->house;
    return 0;
}

const struct api_action api_admin_status = {
    .decode = house_decode,
    .request_size = sizeof(struct api_house *),
    .function = call_status,
    .reply_size = sizeof(struct status),
    .encode = status_encode,
};

/* Health: a question to the store, asked now. Whoever asks wants to know soon, and is answered on
 * the loop, whatever other calls keep the threads of the pool. */

#define HEALTH_US_SLOW (5LL * CLOCK_S)
#define HEALTH_US_MAX  (10LL * CLOCK_S)

struct health {
    struct rpc *rpc; /* NULL: it has been answered, and the store is yet to answer */
    struct batcher *writer;
    struct batcher_request q;
    struct loop_handle timer;
    int64_t begun_us; /* monotonic */
};

static int nothing(struct tx *tx, const void *request, void *reply)
{
    (void)tx;
    (void)request;
    (void)reply;
    return 0;
}

static void health_say(Weft__V1__HealthResponse *m, struct arena *a, const char *health,
                       struct str reason)
{
    m->health = codec_text(a, str_of(health));
    m->reason = api_word(a, reason);
}

static void health_answer(struct health *h, enum code code, struct str text)
{
    struct rpc *rpc = h->rpc;
    struct arena *a = rpc->api.arena;
    Weft__V1__HealthResponse *m = API_NEW(a, Weft__V1__HealthResponse, health_response);
    char trouble[BATCHER_TROUBLE_BYTES];
    struct batcher_stats stats;
    int64_t took = clock_monotonic() - h->begun_us;

    m->at = codec_time(a, clock_utc());
    m->instance = api_word(a, rpc->api.house->instance);
    batcher_stats(h->writer, &stats);
    API_SET(m, requests_waiting, (int64_t)stats.waiting);
    m->store_latency = codec_duration(a, took);
    if (code != CODE_OK)
        health_say(m, a, "unhealthy", text);
    else if (batcher_trouble(h->writer, trouble) != CODE_OK)
        health_say(m, a, "degraded", str_of(trouble));
    else if (took > HEALTH_US_SLOW)
        health_say(m, a, "degraded", STR("the store takes more than 5 s to answer"));
    else
        health_say(m, a, "healthy", STR(""));
    h->rpc = NULL;
    rpc_finish(rpc, &m->base);
}

static void health_over(struct loop_handle *timer)
{
    free(LIST_OF(timer, struct health, timer));
}

static void health_answered(struct batcher_request *q)
{
    struct health *h = q->context;

    if (h->rpc)
        health_answer(h, q->answer.code, q->answer.text);
    batcher_release(q);
    loop_close(&h->timer, health_over);
}

/* What the store is not asked yet it need not be. */
static void health_late(struct loop_handle *timer)
{
    struct health *h = LIST_OF(timer, struct health, timer);

    health_answer(h, CODE_STORE_UNAVAILABLE, STR("the store has not answered for 10 s"));
    batcher_withdraw(h->writer, &h->q, CODE_CANCELLED);
}

static void health_cancelled(struct rpc *rpc)
{
    struct health *h = rpc->state;

    h->rpc = NULL;
    loop_timer_stop(&h->timer);
    batcher_withdraw(h->writer, &h->q, CODE_CANCELLED);
    rpc_end_cancelled(rpc);
}

static bool health_begin(struct rpc *rpc)
{
    struct health *h = memory_new(sizeof(*h));

    h->rpc = rpc;
    h->writer = rpc->api.house->writer;
    h->begun_us = rpc->begun_us;
    h->q = (struct batcher_request){.function = nothing,
                                    .patience_us = HEALTH_US_SLOW,
                                    .home = methods_home(rpc->methods),
                                    .done = health_answered,
                                    .context = h};
    loop_timer_init(methods_loop(rpc->methods), &h->timer, health_late);
    loop_timer_start(&h->timer, HEALTH_US_MAX / CLOCK_MS);
    rpc->state = h;
    rpc->on_cancel = health_cancelled;
    batcher_post(h->writer, (struct batcher_request *[]){&h->q}, 1);
    return true;
}

const struct api_action api_admin_health = {.begin = health_begin};

/* Doctor. What can be put right without a person's judgement is what dead programs hold. */

static int doctor_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__DoctorRequest *m = message;

    (void)api;
    *(bool *)request = m->repair;
    return 0;
}

static Weft__V1__DoctorCheck *check_show(struct arena *a, const struct doctor_check *c)
{
    Weft__V1__DoctorCheck *m = API_NEW(a, Weft__V1__DoctorCheck, doctor_check);

    m->id = codec_text(a, c->id);
    m->name = codec_text(a, c->text);
    API_SET(m, ok, c->found == 0);
    API_SET(m, found, c->found);
    m->text = codec_text(a, c->example);
    m->advice = codec_text(a, c->advice);
    return m;
}

static int doctor(struct api *api, const void *request, ProtobufCMessage **ret)
{
    struct recover recover = {
        .batcher = api->house->writer, .data = api->house->data, .self = api->house->self};
    struct arena *a = api->arena;
    Weft__V1__DoctorResponse *m = API_NEW(a, Weft__V1__DoctorResponse, doctor_response);
    struct recover_reply recovered;
    struct doctor_report report;
    bool ok = true;

    if (*(const bool *)request && recover_all(&recover, a, 0, &recovered, &api->answer))
        return API_E_REFUSED;
    if (api_transact(api, api->house->reader, call_doctor, NULL, &report, sizeof(report)))
        return API_E_REFUSED;
    for (size_t i = 0; i < report.n; i++)
        ok = ok && report.checks[i].found == 0;
    API_SET(m, ok, ok);
    API_LIST(a, m, checks, report.n, check_show(a, &report.checks[i]));
    *ret = &m->base;
    return 0;
}

const struct api_action api_admin_doctor = {
    .decode = doctor_decode,
    .request_size = sizeof(bool),
    .work = doctor,
};
