/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_queue.h"

#include <math.h>

#include "base/broken.h"
#include "engine/queue.h"
#include "serve/claim.h"

#define KEY_BYTES_MAX 200u
#define SPAN_US_MAX   (3660LL * 86400 * 1000000)
#define RATE_MAX      ((double)QUEUE_RATE_MILLI_MAX / 1000)

BATCHER_FUNCTION(call_put, queue_put)
BATCHER_FUNCTION(call_get, queue_get)
BATCHER_FUNCTION(call_list, queue_list)
BATCHER_FUNCTION(call_pause, queue_pause)
BATCHER_FUNCTION(call_resume, queue_resume)
BATCHER_FUNCTION(call_enqueue, task_enqueue)
BATCHER_FUNCTION(call_claim, task_claim)
BATCHER_MANY(many_enqueue, task_enqueue_many)
BATCHER_MANY(many_claim, task_claim_many)

static int name_decode(struct api *api, const char *queue, struct str *ret)
{
    if (api_text(api, "queue", API_NEEDED, queue, QUEUE_NAME_BYTES_MAX, ret))
        return API_E_REFUSED;
    return str_trim(*ret).n ? 0 : api_refuse(api, CODE_INVALID, "queue: the name is blank");
}

/* A request that is nothing but a queue's name. */
static int queue_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__QueueRequest *m = message;

    return name_decode(api, m->queue, request);
}

static Weft__V1__Queue *queue_show(struct arena *a, const struct queue_status *q)
{
    Weft__V1__Queue *m = API_NEW(a, Weft__V1__Queue, queue);
    struct retry_policy retry;

    m->name = codec_text(a, q->name);
    m->counts = api_counts(a, q->counts);
    API_SET(m, paused, q->paused);
    API_SET(m, tasks_max, q->tasks_max);
    API_SET(m, concurrency_max, q->concurrency_max);
    API_SET(m, key_concurrency, q->key_concurrency);
    API_SET(m, rate, (double)q->rate_milli / 1000);
    API_SET(m, rate_burst, q->rate_burst);
    API_SET(m, fair, q->fair);
    m->claim_ttl = codec_duration(a, q->claim_ttl_us);
    m->retention = codec_duration(a, q->retention_us);
    if (retry_parse(q->retry, &retry))
        m->retry = api_retry_show(a, &retry);
    m->task_timeout = codec_duration(a, q->task_timeout_us);
    m->created_at = codec_time(a, q->created_at);
    m->oldest_ready_at = codec_time(a, q->oldest_ready_at);
    m->etag = codec_id(a, q->version);
    return m;
}

static ProtobufCMessage *queue_encode(struct arena *a, const void *request, const void *reply)
{
    (void)request;
    return &queue_show(a, reply)->base;
}

static struct str queue_etag(const ProtobufCMessage *reply)
{
    return str_of(((const Weft__V1__Queue *)reply)->etag);
}

/* Settings. */

static int put_retry(struct api *api, const Weft__V1__PutQueueRequest *m, struct queue_put *put)
{
    const struct retry_policy *retry;

    if (api_retry(api, m->retry, &retry))
        return API_E_REFUSED;
    if (retry) {
        put->set.retry = retry_format(retry, arena_alloc(api->arena, RETRY_TEXT_BYTES));
        put->given |= 1u << QUEUE_SET_RETRY;
    }
    return 0;
}

/* As a header of HTTP it stands in quotes. */
static int put_version(struct api *api, const char *etag, int64_t *ret)
{
    struct str s = str_of(etag);

    *ret = 0;
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
        s = str_sub(s, 1, s.n - 2);
    if (s.n == 0 || str_eq(s, STR("*")))
        return 0;
    if (!str_int64(s, ret) || *ret < 1)
        return api_refuse(api, CODE_QUEUE_CHANGED, "etag: the settings have another than " STR_FMT,
                          STR_ARG(s));
    return 0;
}

static int put_durations(struct api *api, const Weft__V1__PutQueueRequest *m, struct queue_put *put)
{
    struct queue_status *q = &put->set;

    put->given |= (m->claim_ttl ? 1u << QUEUE_SET_CLAIM_TTL : 0) |
                  (m->retention ? 1u << QUEUE_SET_RETENTION : 0) |
                  (m->task_timeout ? 1u << QUEUE_SET_TASK_TIMEOUT : 0);
    return api_duration(api, "claim_ttl", m->claim_ttl, SPAN_US_MAX, 0, &q->claim_ttl_us) ||
           api_duration(api, "retention", m->retention, SPAN_US_MAX, 0, &q->retention_us) ||
           api_duration(api, "task_timeout", m->task_timeout, SPAN_US_MAX, 0, &q->task_timeout_us);
}

static int put_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__PutQueueRequest *m = message;
    struct queue_put *put = request;

    if (name_decode(api, m->queue, &put->name) ||
        (m->has_rate && api_real(api, "rate", m->rate, 0, RATE_MAX)))
        return API_E_REFUSED;
    put->set = (struct queue_status){
        .paused = m->paused,
        .tasks_max = m->tasks_max,
        .concurrency_max = m->concurrency_max,
        .key_concurrency = m->key_concurrency,
        .rate_milli = llround(m->rate * 1000),
        .rate_burst = m->rate_burst,
        .fair = m->fair,
    };
    put->given = (uint32_t)m->has_paused << QUEUE_SET_PAUSED |
                 (uint32_t)m->has_tasks_max << QUEUE_SET_TASKS_MAX |
                 (uint32_t)m->has_concurrency_max << QUEUE_SET_CONCURRENCY_MAX |
                 (uint32_t)m->has_key_concurrency << QUEUE_SET_KEY_CONCURRENCY |
                 (uint32_t)m->has_rate << QUEUE_SET_RATE |
                 (uint32_t)m->has_rate_burst << QUEUE_SET_RATE_BURST |
                 (uint32_t)m->has_fair << QUEUE_SET_FAIR;
    return put_durations(api, m, put) || put_retry(api, m, put) ||
           put_version(api, m->etag, &put->version);
}

const struct api_action api_queue_put = {
    .decode = put_decode,
    .request_size = sizeof(struct queue_put),
    .function = call_put,
    .reply_size = sizeof(struct queue_status),
    .encode = queue_encode,
    .etag = queue_etag,
};

const struct api_action api_queue_get = {
    .decode = queue_decode,
    .request_size = sizeof(struct str),
    .function = call_get,
    .reply_size = sizeof(struct queue_status),
    .encode = queue_encode,
    .etag = queue_etag,
};

const struct api_action api_queue_pause = {
    .decode = queue_decode,
    .request_size = sizeof(struct str),
    .function = call_pause,
    .reply_size = sizeof(struct queue_status),
    .encode = queue_encode,
};

const struct api_action api_queue_resume = {
    .decode = queue_decode,
    .request_size = sizeof(struct str),
    .function = call_resume,
    .reply_size = sizeof(struct queue_status),
    .encode = queue_encode,
};

static int list_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__ListQueuesRequest *m = message;
    struct queue_page *list = request;
    struct api_page page;

    if (api_page(api, m->has_page_size, m->page_size, m->page_token, &page))
        return API_E_REFUSED;
    *list = (struct queue_page){.after = page.token, .max = page.size};
    return 0;
}

static ProtobufCMessage *list_encode(struct arena *a, const void *request, const void *reply)
{
    const struct queue_statuses *rows = reply;
    Weft__V1__ListQueuesResponse *m =
        API_NEW(a, Weft__V1__ListQueuesResponse, list_queues_response);

    (void)request;
    API_LIST(a, m, queues, rows->n, queue_show(a, &rows->list[i]));
    m->next_page_token = codec_text(a, rows->more ? rows->list[rows->n - 1].name : STR(""));
    return &m->base;
}

const struct api_action api_queue_list = {
    .decode = list_decode,
    .request_size = sizeof(struct queue_page),
    .function = call_list,
    .reply_size = sizeof(struct queue_statuses),
    .encode = list_encode,
};

/* Enqueue. */

static int not_before_decode(struct api *api, const Weft__V1__Timestamp *m, int64_t *ret)
{
    if (api_time(api, "not_before", m, ret))
        return API_E_REFUSED;
    if (*ret < 0)
        return api_refuse(api, CODE_INVALID,
                          "not_before: no task waits for a time before 1970; one that may start at "
                          "once has none");
    return 0;
}

static int new_decode(struct api *api, const Weft__V1__NewTask *m, struct task_new *t)
{
    t->priority = m->priority;
    if (api_json(api, "payload", m->has_payload, m->payload, TASK_PAYLOAD_BYTES_MAX, &t->payload))
        return API_E_REFUSED;
    if (t->payload.n == 0)
        t->payload = STR("null");
    return api_int(api, "priority", t->priority, -TASK_PRIORITY_MAX, TASK_PRIORITY_MAX) ||
           api_duration(api, "delay", m->delay, SPAN_US_MAX, 0, &t->delay_us) ||
           not_before_decode(api, m->not_before, &t->not_before) ||
           api_text(api, "unique_key", API_OPTIONAL, m->unique_key, KEY_BYTES_MAX,
                    &t->unique_key) ||
           api_duration(api, "unique_for", m->unique_for, SPAN_US_MAX, 0, &t->unique_us) ||
           api_text(api, "key", API_OPTIONAL, m->key, KEY_BYTES_MAX, &t->key) ||
           api_duration(api, "timeout", m->timeout, SPAN_US_MAX, 0, &t->timeout_us) ||
           api_retry(api, m->retry, &t->retry);
}

static int enqueue_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__EnqueueRequest *m = message;
    struct task_enqueue *e = request;
    struct task_new *list;

    if (name_decode(api, m->queue, &e->queue) ||
        api_count(api, "tasks", m->n_tasks, 1, TASK_BATCH_MAX))
        return API_E_REFUSED;
    list = ARENA_ARRAY(api->arena, struct task_new, m->n_tasks);
    for (size_t i = 0; i < m->n_tasks; i++) {
        if (new_decode(api, m->tasks[i], &list[i]))
            return api_within(api, "tasks", i);
    }
    e->list = list;
    e->n = m->n_tasks;
    return 0;
}

static ProtobufCMessage *enqueue_encode(struct arena *a, const void *request, const void *reply)
{
    const struct task_ids *ids = reply;
    Weft__V1__EnqueueResponse *m = API_NEW(a, Weft__V1__EnqueueResponse, enqueue_response);

    (void)request;
    API_LIST(a, m, ids, ids->n, codec_id(a, ids->list[i]));
    if (ids->duplicates)
        API_LIST(a, m, duplicates, ids->n, ids->duplicates[i]);
    return &m->base;
}

const struct api_action api_queue_enqueue = {
    .decode = enqueue_decode,
    .request_size = sizeof(struct task_enqueue),
    .function = call_enqueue,
    .many = many_enqueue,
    .turn = API_TURN_ADD,
    .reply_size = sizeof(struct task_ids),
    .encode = enqueue_encode,
};

/* Claim. A worker that is a number is an incarnation, another one a guest. */

/* Digits are an id, also where they are too many for one: nobody is a guest by mistake. */
static bool numeral(struct str s)
{
    size_t digits = 0;

    s = str_sub(s, s.n && s.p[0] == '-', s.n);
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    return s.n && digits == s.n;
}

int api_queue_claim_worker(struct api *api, const char *text, struct api_queue_claim *c)
{
    struct str worker;

    if (api_text(api, "worker", API_NEEDED, text, WORKER_NAME_BYTES_MAX, &worker))
        return API_E_REFUSED;
    if (!numeral(worker))
        c->claim.guest = worker;
    else if (!str_int64(worker, &c->claim.worker) || c->claim.worker < 1)
        return api_refuse(api, CODE_INVALID, "worker: " STR_FMT " is no id", STR_ARG(worker));
    return 0;
}

int api_queue_claim_wait(struct api *api, const Weft__V1__Duration *wait, struct api_queue_claim *c)
{
    return api_duration(api, "wait", wait, API_QUEUE_WAIT_US_MAX, 0, &c->wait_us);
}

static int claim_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__ClaimRequest *m = message;
    struct api_queue_claim *c = request;

    c->claim.max = m->has_max ? m->max : 1;
    if (name_decode(api, m->queue, &c->claim.queue) ||
        api_int(api, "max", c->claim.max, 1, TASK_BATCH_MAX) ||
        api_queue_claim_wait(api, m->wait, c) ||
        api_duration(api, "ttl", m->ttl, LEASE_TTL_US_MAX, 0, &c->claim.ttl_us))
        return API_E_REFUSED;
    if (m->ttl && c->claim.ttl_us < LEASE_TTL_US_MIN)
        return api_refuse(api, CODE_INVALID, "ttl: it is 1s at least");
    return api_queue_claim_worker(api, m->worker, c);
}

/* What tasks carry is copied: the leases of several claims come in memory that they share. */
static Weft__V1__LeasedTask *leased_show(struct arena *a, const struct task_lease *l)
{
    Weft__V1__LeasedTask *m = API_NEW(a, Weft__V1__LeasedTask, leased_task);
    struct str payload = str_copy(a, l->payload);

    m->id = codec_id(a, l->task);
    m->queue = api_word(a, l->queue);
    m->run = codec_id(a, l->run);
    m->name = api_word(a, l->name);
    API_SET_JSON(m, payload, payload);
    API_SET(m, attempt, l->attempt);
    m->key = api_word(a, l->key);
    API_SET(m, priority, (int32_t)l->priority);
    m->queue_wait = codec_duration(a, l->queue_wait_us);
    return m;
}

static Weft__V1__Lease *lease_show(struct arena *a, const struct task_lease *l)
{
    Weft__V1__Lease *m = API_NEW(a, Weft__V1__Lease, lease);

    m->token = api_lease_token(a, l->task, l->token);
    m->expires_at = codec_time(a, l->expires_at);
    m->deadline_at = codec_time(a, BROKEN(HEARD) ? l->expires_at : l->deadline_at);
    m->task = leased_show(a, l);
    return m;
}

ProtobufCMessage *api_queue_claim_encode(struct arena *a, const void *request, const void *reply)
{
    const struct task_leases *leases = reply;
    Weft__V1__ClaimResponse *m = API_NEW(a, Weft__V1__ClaimResponse, claim_response);

    (void)request;
    API_LIST(a, m, leases, leases->n, lease_show(a, &leases->list[i]));
    return &m->base;
}

/* Nothing was done, and another try may find something. */
bool api_queue_claim_keeps(const void *reply)
{
    const struct task_leases *leases = reply;

    return leases->n;
}

const struct api_action api_queue_claim = {
    .decode = claim_decode,
    .request_size = sizeof(struct api_queue_claim),
    .function = call_claim,
    .many = many_claim,
    .turn = API_TURN_CLAIM,
    .reply_size = sizeof(struct task_leases),
    .encode = api_queue_claim_encode,
    .keeps = api_queue_claim_keeps,
    .begin = claim_begin,
};

/* Tasks as an operator sees them. */

BATCHER_FUNCTION(call_tasks, queue_tasks)
BATCHER_FUNCTION(call_requeue, queue_requeue)
BATCHER_FUNCTION(call_purge, queue_purge)

static int tasks_decode(struct api *api, const void *message, void *request)
{
    static const char *const states[] = {"FAILED", "READY", "DELAYED", "RUNNING", NULL};
    const Weft__V1__ListQueueTasksRequest *m = message;
    struct queue_tasks *t = request;
    struct api_page page;
    struct str state;

    if (name_decode(api, m->queue, &t->queue) ||
        api_choice(api, "state", m->state, states, &state) ||
        api_page(api, m->has_page_size, m->page_size, m->page_token, &page))
        return API_E_REFUSED;
    task_state_parse(state, &t->state);
    t->after = page.token;
    t->max = page.size;
    return 0;
}

static Weft__V1__QueueTask *task_show(struct arena *a, const struct queue_task *t)
{
    Weft__V1__QueueTask *m = API_NEW(a, Weft__V1__QueueTask, queue_task);

    m->id = codec_id(a, t->id);
    m->state = codec_text(a, task_state_text(t->state));
    API_SET_JSON(m, payload, t->payload);
    API_SET(m, priority, (int32_t)t->priority);
    m->key = api_word(a, t->key);
    API_SET(m, attempts, t->attempts);
    m->reason = codec_text(a, t->reason);
    m->message = api_word(a, t->message);
    m->created_at = codec_time(a, t->created_at);
    m->due_at = codec_time(a, t->due_at);
    m->ended_at = codec_time(a, t->ended_at);
    return m;
}

static ProtobufCMessage *tasks_encode(struct arena *a, const void *request, const void *reply)
{
    const struct queue_task_list *rows = reply;
    Weft__V1__ListQueueTasksResponse *m =
        API_NEW(a, Weft__V1__ListQueueTasksResponse, list_queue_tasks_response);

    (void)request;
    API_LIST(a, m, tasks, rows->n, task_show(a, &rows->list[i]));
    m->next_page_token = codec_text(a, rows->next);
    return &m->base;
}

const struct api_action api_queue_tasks = {
    .decode = tasks_decode,
    .request_size = sizeof(struct queue_tasks),
    .function = call_tasks,
    .reply_size = sizeof(struct queue_task_list),
    .encode = tasks_encode,
};

static int requeue_item(struct api *api, const Weft__V1__RequeueTask *m,
                        struct queue_requeue_item *item)
{
    item->edited = m->has_payload;
    return api_id(api, "id", API_NEEDED, m->id, &item->id) ||
           api_json(api, "payload", m->has_payload, m->payload, TASK_PAYLOAD_BYTES_MAX,
                    &item->payload);
}

static int requeue_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__RequeueRequest *m = message;
    struct queue_requeue *q = request;
    struct queue_requeue_item *list;

    q->max = m->has_max ? m->max : QUEUE_REQUEUE_MAX;
    if (name_decode(api, m->queue, &q->queue) ||
        api_count(api, "tasks", m->n_tasks, 0, QUEUE_REQUEUE_MAX) ||
        api_int(api, "max", q->max, 1, QUEUE_REQUEUE_MAX))
        return API_E_REFUSED;
    list = ARENA_ARRAY(api->arena, struct queue_requeue_item, m->n_tasks);
    for (size_t i = 0; i < m->n_tasks; i++) {
        if (requeue_item(api, m->tasks[i], &list[i]))
            return api_within(api, "tasks", i);
    }
    q->list = list;
    q->n = m->n_tasks;
    return 0;
}

static Weft__V1__ItemResult *problem_show(struct arena *a, const struct tx_problem *p)
{
    Weft__V1__ItemResult *m = API_NEW(a, Weft__V1__ItemResult, item_result);

    m->code = codec_text(a, code_text(p->code));
    m->message = api_word(a, p->text);
    return m;
}

static ProtobufCMessage *requeue_encode(struct arena *a, const void *request, const void *reply)
{
    const struct queue_requeued *r = reply;
    Weft__V1__RequeueResponse *m = API_NEW(a, Weft__V1__RequeueResponse, requeue_response);

    (void)request;
    API_LIST(a, m, results, r->n, problem_show(a, &r->results[i]));
    API_SET(m, requeued, r->requeued);
    return &m->base;
}

const struct api_action api_queue_requeue = {
    .decode = requeue_decode,
    .request_size = sizeof(struct queue_requeue),
    .function = call_requeue,
    .reply_size = sizeof(struct queue_requeued),
    .encode = requeue_encode,
};

static int purge_decode(struct api *api, const void *message, void *request)
{
    static const char *const states[] = {"READY", "DELAYED", "FAILED", NULL};
    const Weft__V1__PurgeRequest *m = message;
    struct queue_purge *p = request;

    if (name_decode(api, m->queue, &p->queue))
        return API_E_REFUSED;
    for (size_t i = 0; i < m->n_states; i++) {
        enum task_state state;
        struct str name;

        if (api_choice(api, "states", m->states[i], states, &name))
            return API_E_REFUSED;
        task_state_parse(name, &state);
        p->states |= 1u << state;
    }
    if (m->n_states == 0)
        p->states = 1u << TASK_READY | 1u << TASK_DELAYED;
    return 0;
}

static ProtobufCMessage *purge_encode(struct arena *a, const void *request, const void *reply)
{
    const struct queue_purged *r = reply;
    Weft__V1__PurgeResponse *m = API_NEW(a, Weft__V1__PurgeResponse, purge_response);

    (void)request;
    API_SET(m, purged, r->purged);
    API_SET(m, more, r->more);
    return &m->base;
}

const struct api_action api_queue_purge = {
    .decode = purge_decode,
    .request_size = sizeof(struct queue_purge),
    .function = call_purge,
    .reply_size = sizeof(struct queue_purged),
    .encode = purge_encode,
};
