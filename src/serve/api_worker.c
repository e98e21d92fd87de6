/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_worker.h"

#include "core/placement.h"
#include "net/caller_address.h"
#include "serve/local.h"

#define HOST_BYTES_MAX 255u

BATCHER_FUNCTION(call_join, worker_join)
BATCHER_FUNCTION(call_drain, worker_drain)
BATCHER_FUNCTION(call_leave, worker_leave)
BATCHER_FUNCTION(call_get, worker_get)
BATCHER_FUNCTION(call_page, worker_page)

/* A request that is nothing but the id of an incarnation. */
static int id_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__WorkerRequest *m = message;

    return api_id(api, "worker", API_NEEDED, m->worker, request);
}

Weft__V1__Worker *api_worker_show(struct arena *a, const struct worker_row *w)
{
    Weft__V1__Worker *m = API_NEW(a, Weft__V1__Worker, worker);

    m->id = codec_id(a, w->incarnation);
    m->name = codec_text(a, w->name);
    m->kind = codec_text(a, w->kind);
    m->state = codec_text(a, worker_state_text(w->state));
    API_SET(m, slots, w->slots);
    if (str_eq(w->kind, STR("local")))
        API_SET(m, ahead, LOCAL_AHEAD_MAX);
    API_SET(m, busy, w->busy);
    m->ttl = codec_duration(a, w->ttl_us);
    m->beat_at = codec_time(a, w->beat_at);
    m->joined_at = codec_time(a, w->joined_at);
    m->host = codec_text(a, w->host);
    if (w->pid)
        API_SET(m, pid, w->pid);
    m->run = codec_id(a, w->run);
    return m;
}

static ProtobufCMessage *row_encode(struct arena *a, const void *request, const void *reply)
{
    (void)request;
    return &api_worker_show(a, reply)->base;
}

static Weft__V1__Worker__LabelsEntry *label_show(struct arena *a, const struct worker_label *l)
{
    Weft__V1__Worker__LabelsEntry *m =
        API_NEW(a, Weft__V1__Worker__LabelsEntry, worker__labels_entry);

    m->key = codec_text(a, l->name);
    m->value = codec_text(a, l->value);
    return m;
}

static Weft__V1__Worker__MetadataEntry *metadata_show(struct arena *a, const struct worker_label *l)
{
    Weft__V1__Worker__MetadataEntry *m =
        API_NEW(a, Weft__V1__Worker__MetadataEntry, worker__metadata_entry);

    m->key = codec_text(a, l->name);
    m->value = codec_text(a, l->value);
    return m;
}

static void runner_show(struct arena *a, const struct worker_view *v, Weft__V1__Worker *m)
{
    static const enum placement_mode modes[] = {PLACEMENT_SYNC, PLACEMENT_ASYNC};

    m->type = codec_text(a, v->type);
    m->address = codec_text(a, v->address);
    m->version = codec_text(a, v->version);
    m->modes = ARENA_ARRAY(a, char *, 2);
    for (size_t i = 0; i < 2; i++)
        if (v->modes & modes[i])
            m->modes[m->n_modes++] = codec_text(a, placement_mode_text(modes[i]));
}

static Weft__V1__Worker *view_show(struct arena *a, const struct worker_view *v)
{
    Weft__V1__Worker *m = api_worker_show(a, &v->worker);

    m->reason = codec_text(a, v->reason);
    API_LIST(a, m, labels, v->labels.n, label_show(a, &v->labels.list[i]));
    API_LIST(a, m, metadata, v->metadata.n, metadata_show(a, &v->metadata.list[i]));
    API_SET_JSON(m, metrics, v->metrics);
    m->ended_at = codec_time(a, v->ended_at);
    if (v->type.n)
        runner_show(a, v, m);
    return m;
}

static ProtobufCMessage *view_encode(struct arena *a, const void *request, const void *reply)
{
    (void)request;
    return &view_show(a, reply)->base;
}

/* Register. */

static int label_decode(struct api *api, const char *field, const char *key, const char *value,
                        struct worker_label *ret)
{
    return api_text(api, field, API_NEEDED, key, WORKER_LABEL_BYTES_MAX, &ret->name) ||
           api_text(api, field, API_OPTIONAL, value, WORKER_LABEL_BYTES_MAX, &ret->value);
}

/* The entries of a map, of whichever message: they all have a key and a value. */
#define LABELS(api, m, field, ret)                                                                 \
    labels_decode((api), #field, (m)->n_##field,                                                   \
                  (const Weft__V1__Worker__LabelsEntry *const *)(m)->field, (ret))
_Static_assert(sizeof(Weft__V1__RegisterWorkerRequest__LabelsEntry) ==
                   sizeof(Weft__V1__Worker__LabelsEntry),
               "the entries of all maps of texts are laid out alike");

static int labels_decode(struct api *api, const char *field, size_t n,
                         const Weft__V1__Worker__LabelsEntry *const *entries,
                         struct worker_labels *ret)
{
    struct worker_label *list = ARENA_ARRAY(api->arena, struct worker_label, n);

    if (api_count(api, field, n, 0, WORKER_LABELS_MAX))
        return API_E_REFUSED;
    for (size_t i = 0; i < n; i++) {
        if (label_decode(api, field, entries[i]->key, entries[i]->value, &list[i]))
            return API_E_REFUSED;
    }
    *ret = (struct worker_labels){list, n};
    return 0;
}

static int tokens_decode(struct api *api, const Weft__V1__RegisterWorkerRequest *m,
                         struct worker_join *j)
{
    struct lease_ref *list;

    if (api_count(api, "tokens", m->n_tokens, 0, WORKER_LEASES_MAX))
        return API_E_REFUSED;
    list = ARENA_ARRAY(api->arena, struct lease_ref, m->n_tokens);
    for (size_t i = 0; i < m->n_tokens; i++) {
        if (!api_token(m->tokens[i], &list[i]))
            return api_refuse(api, CODE_INVALID, "tokens[%zu]: it is none that weft gave", i);
    }
    j->leases = list;
    j->leases_n = m->n_tokens;
    return 0;
}

static int modes_decode(struct api *api, size_t n, char *const *texts, unsigned *ret)
{
    enum placement_mode mode;

    *ret = n ? 0 : PLACEMENT_MODES_ALL;
    for (size_t i = 0; i < n; i++) {
        if (!placement_mode_parse(str_of(texts[i]), &mode))
            return api_refuse(api, CODE_INVALID,
                              "modes[%zu]: it is \"sync\" or \"async\", not \"%.40s\"", i,
                              texts[i]);
        *ret |= mode;
    }
    return 0;
}

static int address_decode(struct api *api, struct str text)
{
    struct caller_address address;
    const char *why;

    if (!caller_address_parse(text, &address, &why))
        return 0;
    return api_refuse(api, CODE_INVALID,
                      "address: it is like \"host:50060\" or \"https://host:50060\", and this %s",
                      why);
}

/* A worker that is called. */
static int runner_decode(struct api *api, const Weft__V1__RegisterWorkerRequest *m,
                         struct worker_register *w)
{
    if (api_text(api, "version", API_OPTIONAL, m->version, WORKER_VERSION_BYTES_MAX, &w->version))
        return API_E_REFUSED;
    if (!m->type && !m->address && !m->n_modes)
        return 0;
    return api_text(api, "type", API_NEEDED, m->type, WORKER_TYPE_BYTES_MAX, &w->type) ||
           api_text(api, "address", API_NEEDED, m->address, WORKER_ADDRESS_BYTES_MAX,
                    &w->address) ||
           address_decode(api, w->address) || modes_decode(api, m->n_modes, m->modes, &w->modes);
}

static int register_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__RegisterWorkerRequest *m = message;
    struct worker_join *j = request;
    struct worker_register *w = &j->worker;

    w->slots = m->has_slots ? m->slots : WORKER_SLOTS_DEFAULT;
    w->pid = m->pid;
    j->takeover = m->takeover;
    if (api_text(api, "name", API_NEEDED, m->name, WORKER_NAME_BYTES_MAX, &w->name) ||
        runner_decode(api, m, w) ||
        api_int(api, "slots", w->slots, w->type.n ? 0 : 1, WORKER_SLOTS_MAX) ||
        api_duration(api, "ttl", m->ttl, WORKER_TTL_US_MAX, WORKER_TTL_US_DEFAULT, &w->ttl_us) ||
        api_text(api, "host", API_OPTIONAL, m->host, HOST_BYTES_MAX, &w->host) ||
        api_int(api, "pid", w->pid, 0, INT64_MAX) || LABELS(api, m, labels, &w->labels) ||
        LABELS(api, m, metadata, &w->metadata) || tokens_decode(api, m, j))
        return API_E_REFUSED;
    if (w->ttl_us < WORKER_TTL_US_MIN)
        return api_refuse(api, CODE_INVALID, "ttl: it is 1s at least");
    return 0;
}

static ProtobufCMessage *register_encode(struct arena *a, const void *request, const void *reply)
{
    const struct worker_joined *j = reply;
    Weft__V1__RegisterWorkerResponse *m =
        API_NEW(a, Weft__V1__RegisterWorkerResponse, register_worker_response);

    (void)request;
    m->worker = view_show(a, &j->worker);
    API_SET(m, reregistered, j->reregistered);
    API_LIST(a, m, kept, j->kept_n, api_lease_token(a, j->kept[i].task, j->kept[i].token));
    API_LIST(a, m, lost, j->lost_n, api_lease_token(a, j->lost[i].task, j->lost[i].token));
    m->heartbeat_every = codec_duration(a, j->beat_every_us);
    return &m->base;
}

const struct api_action api_worker_register = {
    .decode = register_decode,
    .request_size = sizeof(struct worker_join),
    .function = call_join,
    .reply_size = sizeof(struct worker_joined),
    .encode = register_encode,
};

/* Heartbeat. */

/* One of many: a refusal is the request's own. */
static int beat_answer(struct tx_problem *problem, const struct worker_beat_answer *answer,
                       struct worker_beat_reply *reply)
{
    *reply = answer->reply;
    *problem = (struct tx_problem){.code = answer->code, .text = answer->text};
    return answer->code == CODE_OK ? 0 : ENGINE_E_REFUSED;
}

static int call_beat(struct tx *tx, const void *request, void *reply)
{
    struct worker_beats beats = {request, 1};
    struct worker_beat_answers answers;
    int r = worker_beat_many(tx, &beats, &answers);

    return r ? r : beat_answer(&tx->problem, &answers.list[0], reply);
}

static int many_beat(struct tx *tx, const void *const *requests, void *const *replies,
                     struct tx_problem *problems, size_t n)
{
    struct worker_beat *list = ARENA_ARRAY(tx->arena, struct worker_beat, n);
    struct worker_beats beats = {list, n};
    struct worker_beat_answers answers;
    int r;

    for (size_t i = 0; i < n; i++)
        list[i] = *(const struct worker_beat *)requests[i];
    r = worker_beat_many(tx, &beats, &answers);
    for (size_t i = 0; !r && i < n; i++)
        beat_answer(&problems[i], &answers.list[i], replies[i]);
    return r;
}

static int beat_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__HeartbeatRequest *m = message;
    struct worker_beat *b = request;

    return api_id(api, "worker", API_NEEDED, m->worker, &b->incarnation) ||
           api_json(api, "metrics", m->has_metrics, m->metrics, WORKER_METRICS_BYTES_MAX,
                    &b->metrics);
}

static ProtobufCMessage *beat_encode(struct arena *a, const void *request, const void *reply)
{
    const struct worker_beat_reply *r = reply;
    Weft__V1__HeartbeatResponse *m = API_NEW(a, Weft__V1__HeartbeatResponse, heartbeat_response);

    (void)request;
    m->state = codec_text(a, worker_state_text(r->state));
    API_LIST(a, m, stop, r->stop_n, api_lease_token(a, r->stop[i].task, r->stop[i].token));
    return &m->base;
}

const struct api_action api_worker_heartbeat = {
    .decode = beat_decode,
    .request_size = sizeof(struct worker_beat),
    .function = call_beat,
    .many = many_beat,
    .turn = API_TURN_BEAT,
    .reply_size = sizeof(struct worker_beat_reply),
    .encode = beat_encode,
};

/* The others. */

const struct api_action api_worker_drain = {
    .decode = id_decode,
    .request_size = sizeof(int64_t),
    .function = call_drain,
    .reply_size = sizeof(struct worker_row),
    .encode = row_encode,
};

const struct api_action api_worker_deregister = {
    .decode = id_decode,
    .request_size = sizeof(int64_t),
    .function = call_leave,
    .reply_size = sizeof(struct worker_row),
    .encode = row_encode,
};

const struct api_action api_worker_get = {
    .decode = id_decode,
    .request_size = sizeof(int64_t),
    .function = call_get,
    .reply_size = sizeof(struct worker_view),
    .encode = view_encode,
};

static int list_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__ListWorkersRequest *m = message;
    struct worker_page *w = request;
    struct api_page page;

    if (api_page(api, m->has_page_size, m->page_size, m->page_token, &page) ||
        api_page_id(api, &page, &w->after) ||
        api_text(api, "name", API_OPTIONAL, m->name, WORKER_NAME_BYTES_MAX, &w->name) ||
        api_text(api, "type", API_OPTIONAL, m->type, WORKER_TYPE_BYTES_MAX, &w->type))
        return API_E_REFUSED;
    w->all = m->all;
    w->max = page.size;
    return 0;
}

static ProtobufCMessage *list_encode(struct arena *a, const void *request, const void *reply)
{
    const struct worker_views *rows = reply;
    Weft__V1__ListWorkersResponse *m =
        API_NEW(a, Weft__V1__ListWorkersResponse, list_workers_response);

    (void)request;
    API_LIST(a, m, workers, rows->n, view_show(a, &rows->list[i]));
    m->next_page_token = rows->next ? codec_id(a, rows->next) : codec_text(a, STR(""));
    return &m->base;
}

const struct api_action api_worker_list = {
    .decode = list_decode,
    .request_size = sizeof(struct worker_page),
    .function = call_page,
    .reply_size = sizeof(struct worker_views),
    .encode = list_encode,
};
