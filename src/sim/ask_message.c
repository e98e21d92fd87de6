/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked as messages of the API, and their answers. */
#include <inttypes.h>
#include <string.h>

#include "api/codec.h"
#include "sim/ask.h"

#define NEW(a, type, prefix) CODEC_NEW(a, Weft__V1__##type, weft__v1__##prefix)
#define SET(m, field, value) ((m)->has_##field = true, (m)->field = (value))

static char *text(struct arena *a, const char *s)
{
    return s ? codec_text(a, str_of(s)) : NULL;
}

static char *token(struct arena *a, struct lease_ref l)
{
    return codec_text(a, str_printf(a, "%" PRId64 ".%" PRId64, l.task, l.token));
}

static ProtobufCBinaryData json(struct arena *a, const char *s)
{
    return (ProtobufCBinaryData){strlen(s), (uint8_t *)text(a, s)};
}

/* Requests. */

static const ProtobufCMessage *put_queue(const struct ask *k, struct arena *a)
{
    Weft__V1__PutQueueRequest *m = NEW(a, PutQueueRequest, put_queue_request);

    m->queue = text(a, k->queue);
    SET(m, concurrency_max, k->put.concurrency);
    SET(m, key_concurrency, k->put.key_concurrency);
    SET(m, rate, (double)k->put.rate_milli / 1000);
    SET(m, rate_burst, k->put.burst);
    SET(m, fair, k->put.fair);
    if (k->ttl_us)
        m->claim_ttl = codec_duration(a, k->ttl_us);
    return &m->base;
}

struct str ask_payload(const struct ask *a, size_t task, char out[static ASK_PAYLOAD_BYTES])
{
    struct buf b;

    buf_fixed(&b, out, ASK_PAYLOAD_BYTES);
    buf_printf(&b, "{\"of\":\"%" PRId64 ".%zu\"}", a->number, task);
    return buf_str(&b);
}

static Weft__V1__NewTask *new_task(const struct ask *k, size_t i, struct arena *a)
{
    const struct ask_task *t = &k->tasks[i];
    Weft__V1__NewTask *m = NEW(a, NewTask, new_task);
    char payload[ASK_PAYLOAD_BYTES];

    SET(m, payload, json(a, str_cstr(a, ask_payload(k, i, payload))));
    SET(m, priority, (int32_t)t->priority);
    if (t->delay_us)
        m->delay = codec_duration(a, t->delay_us);
    if (t->timeout_us)
        m->timeout = codec_duration(a, t->timeout_us);
    m->key = text(a, t->key);
    m->unique_key = text(a, t->unique);
    m->retry = NEW(a, RetryPolicy, retry_policy);
    SET(m->retry, max_attempts, (int32_t)t->attempts);
    SET(m->retry, jitter, 0);
    SET(m->retry, backoff_factor, 2);
    m->retry->backoff_base = codec_duration(a, t->backoff_us);
    return m;
}

static const ProtobufCMessage *enqueue(const struct ask *k, struct arena *a)
{
    Weft__V1__EnqueueRequest *m = NEW(a, EnqueueRequest, enqueue_request);

    m->queue = text(a, k->queue);
    m->n_tasks = k->tasks_n;
    m->tasks = ARENA_ARRAY(a, Weft__V1__NewTask *, k->tasks_n);
    for (size_t i = 0; i < k->tasks_n; i++)
        m->tasks[i] = new_task(k, i, a);
    return &m->base;
}

static const ProtobufCMessage *claim(const struct ask *k, struct arena *a)
{
    Weft__V1__ClaimRequest *m = NEW(a, ClaimRequest, claim_request);

    m->queue = text(a, k->queue);
    m->worker = k->id ? codec_id(a, k->id) : text(a, k->name);
    SET(m, max, k->max);
    m->wait = codec_duration(a, k->wait_us);
    if (k->ttl_us)
        m->ttl = codec_duration(a, k->ttl_us);
    return &m->base;
}

static const ProtobufCMessage *queue_only(const struct ask *k, struct arena *a)
{
    Weft__V1__QueueRequest *m = NEW(a, QueueRequest, queue_request);

    m->queue = text(a, k->queue);
    return &m->base;
}

static const ProtobufCMessage *requeue(const struct ask *k, struct arena *a)
{
    Weft__V1__RequeueRequest *m = NEW(a, RequeueRequest, requeue_request);

    m->queue = text(a, k->queue);
    return &m->base;
}

static const ProtobufCMessage *task_only(const struct ask *k, struct arena *a)
{
    Weft__V1__TaskRequest *m = NEW(a, TaskRequest, task_request);

    m->id = codec_id(a, k->id);
    return &m->base;
}

static const ProtobufCMessage *renew(const struct ask *k, struct arena *a)
{
    Weft__V1__RenewRequest *m = NEW(a, RenewRequest, renew_request);

    m->n_leases = k->leases_n;
    m->leases = ARENA_ARRAY(a, Weft__V1__RenewItem *, k->leases_n);
    for (size_t i = 0; i < k->leases_n; i++) {
        m->leases[i] = NEW(a, RenewItem, renew_item);
        m->leases[i]->token = token(a, k->leases[i]);
        if (k->percent)
            SET(m->leases[i], percent, (int32_t)k->percent);
    }
    if (k->ttl_us)
        m->ttl = codec_duration(a, k->ttl_us);
    return &m->base;
}

Weft__V1__CheckUpdate *ask_update_message(const struct ask_update *u, struct arena *a)
{
    Weft__V1__CheckUpdate *m = NEW(a, CheckUpdate, check_update);

    m->check = text(a, u->check);
    SET(m, finalize, u->final);
    if (u->failed) {
        m->failure = NEW(a, Error, error);
        m->failure->message = text(a, "no");
    }
    return m;
}

static Weft__V1__CompleteItem *complete_item(const struct ask *k, struct lease_ref l,
                                             struct arena *a)
{
    Weft__V1__CompleteItem *m = NEW(a, CompleteItem, complete_item);

    m->token = token(a, l);
    m->outcome = text(a, k->outcome);
    if (k->update) {
        m->n_checks = 1;
        m->checks = ARENA_ARRAY(a, Weft__V1__CheckUpdate *, 1);
        m->checks[0] = ask_update_message(k->update, a);
    }
    if (strcmp(k->outcome, "succeeded") == 0) {
        SET(m, result, json(a, k->content));
    } else {
        m->error = NEW(a, Error, error);
        m->error->message = text(a, k->content);
    }
    return m;
}

static const ProtobufCMessage *complete(const struct ask *k, struct arena *a)
{
    Weft__V1__CompleteRequest *m = NEW(a, CompleteRequest, complete_request);

    m->n_results = k->leases_n;
    m->results = ARENA_ARRAY(a, Weft__V1__CompleteItem *, k->leases_n);
    for (size_t i = 0; i < k->leases_n; i++)
        m->results[i] = complete_item(k, k->leases[i], a);
    return &m->base;
}

static char **tokens(const struct ask *k, struct arena *a)
{
    char **list = ARENA_ARRAY(a, char *, k->leases_n);

    for (size_t i = 0; i < k->leases_n; i++)
        list[i] = token(a, k->leases[i]);
    return list;
}

static const ProtobufCMessage *release(const struct ask *k, struct arena *a)
{
    Weft__V1__ReleaseRequest *m = NEW(a, ReleaseRequest, release_request);

    m->n_tokens = k->leases_n;
    m->tokens = tokens(k, a);
    return &m->base;
}

#define LABEL "zone"

static void enroll_runner(const struct ask *k, Weft__V1__RegisterWorkerRequest *m, struct arena *a)
{
    Weft__V1__RegisterWorkerRequest__LabelsEntry *label;

    m->type = text(a, k->type);
    m->address = text(a, k->address);
    m->modes = ARENA_ARRAY(a, char *, 2);
    if (k->sync)
        m->modes[m->n_modes++] = text(a, "sync");
    if (k->async)
        m->modes[m->n_modes++] = text(a, "async");
    if (!k->zone)
        return;
    m->n_labels = 1;
    m->labels = ARENA_ARRAY(a, Weft__V1__RegisterWorkerRequest__LabelsEntry *, 1);
    m->labels[0] = label =
        NEW(a, RegisterWorkerRequest__LabelsEntry, register_worker_request__labels_entry);
    label->key = text(a, LABEL);
    label->value = text(a, k->zone);
}

static const ProtobufCMessage *enroll(const struct ask *k, struct arena *a)
{
    Weft__V1__RegisterWorkerRequest *m = NEW(a, RegisterWorkerRequest, register_worker_request);

    m->name = text(a, k->name);
    SET(m, slots, k->slots);
    m->ttl = codec_duration(a, k->ttl_us);
    SET(m, takeover, k->takeover);
    m->n_tokens = k->leases_n;
    m->tokens = tokens(k, a);
    if (k->address)
        enroll_runner(k, m, a);
    return &m->base;
}

static const ProtobufCMessage *beat(const struct ask *k, struct arena *a)
{
    Weft__V1__HeartbeatRequest *m = NEW(a, HeartbeatRequest, heartbeat_request);

    m->worker = codec_id(a, k->id);
    return &m->base;
}

static const ProtobufCMessage *worker_only(const struct ask *k, struct arena *a)
{
    Weft__V1__WorkerRequest *m = NEW(a, WorkerRequest, worker_request);

    m->worker = codec_id(a, k->id);
    return &m->base;
}

static const ProtobufCMessage *workflow(const struct ask *k, struct arena *a)
{
    Weft__V1__PutWorkflowRequest *m = NEW(a, PutWorkflowRequest, put_workflow_request);

    m->source = text(a, k->source);
    m->format = text(a, "json");
    return &m->base;
}

static const ProtobufCMessage *run_start(const struct ask *k, struct arena *a)
{
    Weft__V1__StartRunRequest *m = NEW(a, StartRunRequest, start_run_request);

    m->workflow = text(a, k->name);
    m->dir = text(a, "/");
    return &m->base;
}

static const ProtobufCMessage *run_only(const struct ask *k, struct arena *a)
{
    Weft__V1__RunRequest *m = NEW(a, RunRequest, run_request);

    m->id = codec_id(a, k->id);
    return &m->base;
}

/* Plans. */

static const ProtobufCMessage *plan_create(const struct ask *k, struct arena *a)
{
    Weft__V1__CreateRunRequest *m = NEW(a, CreateRunRequest, create_run_request);

    m->request_id = text(a, k->name);
    return &m->base;
}

static Weft__V1__DependencyGroup **needs(const struct ask_needs *n, size_t *ret_n, struct arena *a)
{
    Weft__V1__DependencyGroup **list = ARENA_ARRAY(a, Weft__V1__DependencyGroup *, 1);
    Weft__V1__DependencyGroup *m = NEW(a, DependencyGroup, dependency_group);

    *ret_n = n->rule != NULL;
    list[0] = m;
    m->rule = text(a, n->rule);
    if (n->need)
        SET(m, need, n->need);
    SET(m, cancel_rest, n->cancel_rest);
    m->n_from = n->n;
    m->from = ARENA_ARRAY(a, char *, n->n);
    for (size_t i = 0; i < n->n; i++)
        m->from[i] = text(a, n->from[i]);
    return list;
}

static Weft__V1__CheckWrite *check_write(const struct ask_check *c, struct arena *a)
{
    Weft__V1__CheckWrite *m = NEW(a, CheckWrite, check_write);

    m->name = text(a, c->name);
    m->state = text(a, c->state);
    m->dependencies = needs(&c->needs, &m->n_dependencies, a);
    if (c->result) {
        m->result = NEW(a, CheckResult, check_result);
        m->result->owner = text(a, "somebody");
        SET(m->result, finalize, c->final);
        if (c->failed)
            m->result->failure = NEW(a, Error, error);
    }
    return m;
}

static Weft__V1__RetryPolicy *stage_retry(const struct ask_stage *s, struct arena *a)
{
    Weft__V1__RetryPolicy *m = NEW(a, RetryPolicy, retry_policy);

    SET(m, max_attempts, (int32_t)s->attempts);
    SET(m, jitter, 0);
    SET(m, backoff_factor, 2);
    m->backoff_base = codec_duration(a, s->backoff_us);
    return m;
}

static Weft__V1__StageWrite *stage_write(const struct ask_stage *s, struct arena *a)
{
    Weft__V1__StageWrite *m = NEW(a, StageWrite, stage_write);

    m->name = text(a, s->name);
    m->type = text(a, s->type);
    m->mode = text(a, s->async ? "async" : "sync");
    m->timeout = codec_duration(a, s->timeout_us);
    if (s->accept_us)
        m->accept_timeout = codec_duration(a, s->accept_us);
    if (s->progress_us)
        m->progress_every = codec_duration(a, s->progress_us);
    m->retry = stage_retry(s, a);
    m->dependencies = needs(&s->needs, &m->n_dependencies, a);
    if (s->zone) {
        m->n_labels = 1;
        m->labels = ARENA_ARRAY(a, Weft__V1__StageWrite__LabelsEntry *, 1);
        m->labels[0] = NEW(a, StageWrite__LabelsEntry, stage_write__labels_entry);
        m->labels[0]->key = text(a, LABEL);
        m->labels[0]->value = text(a, s->zone);
    }
    if (s->check) {
        m->n_assignments = 1;
        m->assignments = ARENA_ARRAY(a, Weft__V1__Assignment *, 1);
        m->assignments[0] = NEW(a, Assignment, assignment);
        m->assignments[0]->check = text(a, s->check);
        m->assignments[0]->goal = text(a, s->planned ? "PLANNED" : "FINAL");
    }
    return m;
}

static const ProtobufCMessage *plan_write(const struct ask *k, struct arena *a)
{
    Weft__V1__WriteTasksRequest *m = NEW(a, WriteTasksRequest, write_tasks_request);
    const struct ask_write *w = k->write;

    m->id = codec_id(a, k->id);
    m->n_checks = w->checks_n;
    m->checks = ARENA_ARRAY(a, Weft__V1__CheckWrite *, w->checks_n);
    for (size_t i = 0; i < w->checks_n; i++)
        m->checks[i] = check_write(&w->checks[i], a);
    m->n_stages = w->stages_n;
    m->stages = ARENA_ARRAY(a, Weft__V1__StageWrite *, w->stages_n);
    for (size_t i = 0; i < w->stages_n; i++)
        m->stages[i] = stage_write(&w->stages[i], a);
    m->n_expect = w->expect_n;
    m->expect = ARENA_ARRAY(a, Weft__V1__Expectation *, w->expect_n);
    for (size_t i = 0; i < w->expect_n; i++) {
        m->expect[i] = NEW(a, Expectation, expectation);
        m->expect[i]->name = text(a, w->expect[i].name);
        SET(m->expect[i], version, w->expect[i].version);
    }
    if (w->writer.token)
        m->token = token(a, w->writer);
    return &m->base;
}

static const ProtobufCMessage *plan_seal(const struct ask *k, struct arena *a)
{
    Weft__V1__SealRunRequest *m = NEW(a, SealRunRequest, seal_run_request);

    m->id = codec_id(a, k->id);
    return &m->base;
}

static const struct {
    const char *method;
    const ProtobufCMessage *(*make)(const struct ask *k, struct arena *a);
} kinds[ASK_N] = {
    [ASK_PUT_QUEUE] = {"queues.put",         put_queue  },
    [ASK_ENQUEUE] = {"queues.enqueue",     enqueue    },
    [ASK_CLAIM] = {"queues.claim",       claim      },
    [ASK_PAUSE] = {"queues.pause",       queue_only },
    [ASK_RESUME] = {"queues.resume",      queue_only },
    [ASK_REQUEUE] = {"queues.requeue",     requeue    },
    [ASK_CANCEL] = {"tasks.cancel",       task_only  },
    [ASK_RENEW] = {"leases.renew",       renew      },
    [ASK_COMPLETE] = {"leases.complete",    complete   },
    [ASK_RELEASE] = {"leases.release",     release    },
    [ASK_REGISTER] = {"workers.register",   enroll     },
    [ASK_BEAT] = {"workers.heartbeat",  beat       },
    [ASK_DRAIN] = {"workers.drain",      worker_only},
    [ASK_LEAVE] = {"workers.deregister", worker_only},
    [ASK_WORKFLOW] = {"workflows.put",      workflow   },
    [ASK_RUN] = {"runs.start",         run_start  },
    [ASK_RUN_CANCEL] = {"runs.cancel",        run_only   },
    [ASK_RUN_RETRY] = {"runs.retry",         run_only   },
    [ASK_PLAN_CREATE] = {"runs.create",        plan_create},
    [ASK_PLAN_WRITE] = {"runs.write",         plan_write },
    [ASK_PLAN_SEAL] = {"runs.seal",          plan_seal  },
};

const char *ask_method(enum ask_kind k)
{
    return kinds[k].method;
}

const ProtobufCMessage *ask_message(const struct ask *a, struct arena *memory)
{
    return kinds[a->kind].make(a, memory);
}

/* Answers. */

static int64_t number(const char *s)
{
    int64_t n = 0;

    return s && str_int64(str_of(s), &n) ? n : 0;
}

static struct lease_ref ref(const char *s)
{
    struct lease_ref l = {0};
    size_t dot;

    if (s && str_find(str_of(s), '.', &dot)) {
        str_int64(str_sub(str_of(s), 0, dot), &l.task);
        str_int64(str_sub(str_of(s), dot + 1, strlen(s)), &l.token);
    }
    return l;
}

static enum code code_of(const char *s)
{
    for (int c = 0; s && c < CODE_N; c++)
        if (str_eq(code_text((enum code)c), str_of(s)))
            return (enum code)c;
    return CODE_OK; /* "OK" is written so where an item went well */
}

static struct lease_ref *refs(struct arena *a, char *const *list, size_t n)
{
    struct lease_ref *ret = ARENA_ARRAY(a, struct lease_ref, n);

    for (size_t i = 0; i < n; i++)
        ret[i] = ref(list[i]);
    return ret;
}

static void read_claim(const Weft__V1__ClaimResponse *m, struct arena *a, struct answer *ret)
{
    ret->n = m->n_leases;
    ret->given = ARENA_ARRAY(a, struct given, m->n_leases);
    for (size_t i = 0; i < m->n_leases; i++) {
        const Weft__V1__Lease *l = m->leases[i];
        struct given *g = &ret->given[i];

        *g = (struct given){
            .lease = ref(l->token),
            .attempt = l->task->attempt,
            .payload = str_copy(
                a, (struct str){(const char *)l->task->payload.data, l->task->payload.len}),
        };
        if (l->expires_at)
            codec_time_us(l->expires_at, &g->expires_at);
        if (l->deadline_at)
            codec_time_us(l->deadline_at, &g->deadline_at);
    }
}

static void read_ids(const Weft__V1__EnqueueResponse *m, struct arena *a, struct answer *ret)
{
    ret->n = m->n_ids;
    ret->ids = ARENA_ARRAY(a, int64_t, m->n_ids);
    for (size_t i = 0; i < m->n_ids; i++)
        ret->ids[i] = number(m->ids[i]);
}

static void read_renewed(const Weft__V1__RenewResponse *m, struct arena *a, struct answer *ret)
{
    ret->n = m->n_results;
    ret->codes = ARENA_ARRAY(a, enum code, m->n_results);
    ret->stops = ARENA_ARRAY(a, bool, m->n_results);
    for (size_t i = 0; i < m->n_results; i++) {
        ret->codes[i] = code_of(m->results[i]->code);
        ret->stops[i] = m->results[i]->stop;
    }
}

static void read_items(Weft__V1__ItemResult *const *list, size_t n, struct arena *a,
                       struct answer *ret)
{
    ret->n = n;
    ret->codes = ARENA_ARRAY(a, enum code, n);
    for (size_t i = 0; i < n; i++)
        ret->codes[i] = code_of(list[i]->code);
}

static void read_registered(const Weft__V1__RegisterWorkerResponse *m, struct arena *a,
                            struct answer *ret)
{
    ret->id = number(m->worker->id);
    ret->kept = refs(a, m->kept, m->n_kept);
    ret->kept_n = m->n_kept;
    ret->lost = refs(a, m->lost, m->n_lost);
    ret->lost_n = m->n_lost;
}

static void read_beat(const Weft__V1__HeartbeatResponse *m, struct arena *a, struct answer *ret)
{
    ret->draining = m->state && strcmp(m->state, "DRAINING") == 0;
    ret->stop = refs(a, m->stop, m->n_stop);
    ret->stop_n = m->n_stop;
}

static struct ask_version version(const Weft__V1__Task *m, struct arena *a)
{
    return (struct ask_version){text(a, m->name), m->version};
}

static void read_written(const Weft__V1__WriteTasksResponse *m, struct arena *a, struct answer *ret)
{
    ret->written = ARENA_ARRAY(a, struct ask_version, m->n_checks + m->n_stages);
    for (size_t i = 0; i < m->n_checks; i++)
        ret->written[ret->written_n++] = version(m->checks[i], a);
    for (size_t i = 0; i < m->n_stages; i++)
        ret->written[ret->written_n++] = version(m->stages[i], a);
}

struct answer ask_read(const struct ask *a, const struct call *c)
{
    struct arena *memory = &a->sim->memory;
    struct answer ret = {.code = c->code};
    const void *m = c->reply;

    if (c->code != CODE_OK || !m)
        return ret;
    switch (a->kind) {
    case ASK_CLAIM:
        read_claim(m, memory, &ret);
        break;
    case ASK_ENQUEUE:
        read_ids(m, memory, &ret);
        break;
    case ASK_RENEW:
        read_renewed(m, memory, &ret);
        break;
    case ASK_COMPLETE:
        read_items(((const Weft__V1__CompleteResponse *)m)->results,
                   ((const Weft__V1__CompleteResponse *)m)->n_results, memory, &ret);
        break;
    case ASK_RELEASE:
        read_items(((const Weft__V1__ReleaseResponse *)m)->results,
                   ((const Weft__V1__ReleaseResponse *)m)->n_results, memory, &ret);
        break;
    case ASK_REGISTER:
        read_registered(m, memory, &ret);
        break;
    case ASK_BEAT:
        read_beat(m, memory, &ret);
        break;
    case ASK_PLAN_WRITE:
        read_written(m, memory, &ret);
        break;
    case ASK_RUN:
    case ASK_PLAN_CREATE:
        ret.id = number(((const Weft__V1__Run *)m)->id);
        break;
    default:
        break;
    }
    return ret;
}

/* The transcript. */

static void describe_leases(const struct ask *a, struct buf *out)
{
    for (size_t i = 0; i < a->leases_n; i++)
        buf_printf(out, " %" PRId64 ".%" PRId64, a->leases[i].task, a->leases[i].token);
}

static void describe_write(const struct ask_write *w, struct buf *out)
{
    for (size_t i = 0; i < w->checks_n; i++)
        buf_printf(out, " (check %s%s%s)", w->checks[i].name, w->checks[i].state ? " " : "",
                   w->checks[i].state ? w->checks[i].state : "");
    for (size_t i = 0; i < w->stages_n; i++)
        buf_printf(out, " (stage %s, %s, %s)", w->stages[i].name, w->stages[i].type,
                   w->stages[i].async ? "async" : "sync");
    if (w->writer.token)
        buf_printf(out, " of %" PRId64 ".%" PRId64, w->writer.task, w->writer.token);
}

void ask_describe(const struct ask *a, struct buf *out)
{
    buf_printf(out, "#%" PRId64 " %s %s", a->number, a->who, ask_method(a->kind));
    if (a->queue)
        buf_printf(out, " %s", a->queue);
    if (a->name && a->kind != ASK_CLAIM)
        buf_printf(out, " %s", a->name);
    if (a->id)
        buf_printf(out, " %" PRId64, a->id);
    if (a->max)
        buf_printf(out, " up to %" PRId64, a->max);
    if (a->outcome)
        buf_printf(out, " %s", a->outcome);
    for (size_t i = 0; i < a->tasks_n; i++)
        buf_printf(out, " (priority %" PRId64 "%s%s)", a->tasks[i].priority,
                   a->tasks[i].key ? ", key " : "", a->tasks[i].key ? a->tasks[i].key : "");
    if (a->takeover)
        buf_add(out, STR(" taking over"));
    if (a->write)
        describe_write(a->write, out);
    describe_leases(a, out);
}
