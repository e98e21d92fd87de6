/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_pool.h"

#include "base/clock.h"
#include "pool/frame.h"
#include "serve/methods_within.h"
#include "serve/pools.h"

/* A pool, and one of its sessions where the request names one. */
struct asked {
    struct str pool, session;
};

struct asked_call {
    struct asked of;
    struct str command, args;
    enum lend_affinity affinity;
    bool create;
};

static struct pool *pool_of(struct rpc *rpc, struct str name)
{
    const struct pools *pools = rpc->api.house->pools;
    struct pool *pool = pools ? pools_find(pools, name) : NULL;

    if (!pool && api_refuse(&rpc->api, CODE_POOL_NOT_FOUND, "there is no pool \"" STR_FMT "\"",
                            STR_ARG(name)))
        rpc_refuse(rpc, &rpc->api.answer);
    return pool;
}

static int pool_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__PoolRequest *m = message;

    return api_text(api, "pool", API_NEEDED, m->pool, POOL_NAME_BYTES_MAX,
                    &((struct asked *)request)->pool);
}

/* Looks. */

struct showing {
    struct arena *arena;
    Weft__V1__Pool *pool;
    Weft__V1__ListPoolsResponse *list;
    size_t n;
};

static Weft__V1__Pool *pool_show(struct arena *a, struct str name, const struct pool *pool)
{
    Weft__V1__Pool *m = API_NEW(a, Weft__V1__Pool, pool);
    struct pool_counts c;

    pool_counts(pool, &c);
    m->name = codec_text(a, name);
    API_SET(m, ready, c.states[WORKER_READY]);
    API_SET(m, joining, c.states[WORKER_JOINING]);
    API_SET(m, suspect, c.states[WORKER_SUSPECT]);
    API_SET(m, draining, c.states[WORKER_DRAINING]);
    API_SET(m, lost, c.states[WORKER_LOST]);
    API_SET(m, busy, c.busy);
    API_SET(m, calls, c.calls);
    API_SET(m, waiting, c.waiting);
    API_SET(m, sessions, c.sessions);
    API_SET(m, answered_total, c.answered);
    API_SET(m, failed_total, c.failed);
    API_SET(m, late_total, c.late);
    API_SET(m, started_total, c.started);
    API_SET(m, lost_total, c.lost);
    API_SET(m, recycled_total, c.recycled);
    return m;
}

static void process_show(void *context, const struct pool_look *l)
{
    struct showing *s = context;
    Weft__V1__PoolProcess *m = API_NEW(s->arena, Weft__V1__PoolProcess, pool_process);

    API_SET(m, number, (int64_t)l->id);
    m->state = codec_text(s->arena, worker_state_text(l->state));
    m->why = codec_text(s->arena, str_of(l->why));
    m->age = codec_duration(s->arena, l->age_us);
    API_SET(m, calls, l->calls);
    API_SET(m, busy, l->busy);
    API_SET(m, sessions, l->sessions);
    API_SET(m, memory_bytes, l->memory_bytes);
    s->pool->processes[s->pool->n_processes++] = m;
}

static Weft__V1__Pool *pool_show_whole(struct arena *a, struct str name, const struct pool *pool)
{
    struct showing s = {.arena = a, .pool = pool_show(a, name, pool)};
    struct pool_counts c;
    size_t n = 0;

    pool_counts(pool, &c);
    for (int state = 0; state < WORKER_STATE_N; state++)
        n += c.states[state];
    s.pool->processes = ARENA_ARRAY(a, Weft__V1__PoolProcess *, n);
    pool_each(pool, clock_monotonic(), process_show, &s);
    return s.pool;
}

static void list_one(void *context, struct str name, struct pool *pool)
{
    struct showing *s = context;

    if (s->list)
        s->list->pools[s->list->n_pools++] = pool_show(s->arena, name, pool);
    s->n++;
}

static bool list_begin(struct rpc *rpc)
{
    const struct pools *pools = rpc->api.house->pools;
    struct arena *a = rpc->api.arena;
    Weft__V1__ListPoolsResponse *m = API_NEW(a, Weft__V1__ListPoolsResponse, list_pools_response);
    struct showing s = {.arena = a};

    if (pools) {
        pools_each(pools, list_one, &s);
        m->pools = ARENA_ARRAY(a, Weft__V1__Pool *, s.n);
        s.list = m;
        pools_each(pools, list_one, &s);
    }
    rpc_finish(rpc, &m->base);
    return true;
}

static bool get_begin(struct rpc *rpc)
{
    const struct asked *asked = rpc->request;
    const struct pool *pool = pool_of(rpc, asked->pool);

    if (pool)
        rpc_finish(rpc, &pool_show_whole(rpc->api.arena, asked->pool, pool)->base);
    return true;
}

static bool recycle_begin(struct rpc *rpc)
{
    const struct asked *asked = rpc->request;
    struct pool *pool = pool_of(rpc, asked->pool);

    if (pool) {
        pool_recycle(pool, clock_monotonic());
        rpc_finish(rpc, &pool_show_whole(rpc->api.arena, asked->pool, pool)->base);
    }
    return true;
}

/* Sessions. */

static int session_text(struct api *api, enum api_need need, const char *text, struct str *ret)
{
    if (api_text(api, "session", need, text, POOL_SESSION_BYTES_MAX, ret))
        return API_E_REFUSED;
    for (size_t i = 0; i < ret->n; i++)
        if ((unsigned char)ret->p[i] < ' ' || ret->p[i] == 0x7f)
            return api_refuse(api, CODE_INVALID, "session: it has a control character");
    return 0;
}

static int session_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__SessionRequest *m = message;
    struct asked *asked = request;

    return api_text(api, "pool", API_NEEDED, m->pool, POOL_NAME_BYTES_MAX, &asked->pool) ||
           session_text(api, API_NEEDED, m->session, &asked->session);
}

static Weft__V1__Session *session_show(struct arena *a, const struct asked *asked,
                                       const struct pool_session_look *l)
{
    Weft__V1__Session *m = API_NEW(a, Weft__V1__Session, session);

    m->pool = codec_text(a, asked->pool);
    m->id = codec_text(a, asked->session);
    m->state = codec_text(a, l->lost ? STR("LOST") : STR("ACTIVE"));
    if (l->process)
        API_SET(m, process, (int64_t)l->process);
    m->age = codec_duration(a, l->age_us);
    m->idle = codec_duration(a, l->idle_us);
    API_SET(m, calls, l->calls);
    return m;
}

static void session_answer(struct rpc *rpc, const struct asked *asked, const struct pool *pool)
{
    struct pool_session_look l;

    if (pool_session(pool, asked->session, clock_monotonic(), &l))
        rpc_finish(rpc, &session_show(rpc->api.arena, asked, &l)->base);
    else
        rpc_refuse_code(rpc, CODE_SESSION_NOT_FOUND, "there is no such session");
}

static bool session_get_begin(struct rpc *rpc)
{
    const struct asked *asked = rpc->request;
    const struct pool *pool = pool_of(rpc, asked->pool);

    if (pool)
        session_answer(rpc, asked, pool);
    return true;
}

static bool session_open_begin(struct rpc *rpc)
{
    const struct asked *asked = rpc->request;
    struct pool *pool = pool_of(rpc, asked->pool);
    enum code code;

    if (!pool)
        return true;
    code = pool_open(pool, asked->session, clock_monotonic());
    if (code == CODE_OK)
        session_answer(rpc, asked, pool);
    else
        rpc_refuse_code(rpc, code,
                        code == CODE_SESSION_MISMATCH ? "the session is there already"
                                                      : "the session cannot be opened now");
    return true;
}

/* As it was when it ended. */
static bool session_end_begin(struct rpc *rpc)
{
    const struct asked *asked = rpc->request;
    struct pool *pool = pool_of(rpc, asked->pool);
    struct pool_session_look l;
    int64_t now = clock_monotonic();
    Weft__V1__Session *m;

    if (!pool)
        return true;
    if (!pool_session(pool, asked->session, now, &l)) {
        rpc_refuse_code(rpc, CODE_SESSION_NOT_FOUND, "there is no such session");
        return true;
    }
    m = session_show(rpc->api.arena, asked, &l);
    pool_end(pool, asked->session, now);
    rpc_finish(rpc, &m->base);
    return true;
}

/* Calls. */

static int call_decode(struct api *api, const void *message, void *request)
{
    static const char *const affinities[] = {"strict", "preferred", "none", NULL};
    const Weft__V1__SessionCallRequest *m = message;
    struct asked_call *q = request;
    struct str affinity;

    q->create = !m->has_create || m->create;
    if (api_text(api, "pool", API_NEEDED, m->pool, POOL_NAME_BYTES_MAX, &q->of.pool) ||
        api_text(api, "command", API_NEEDED, m->command, POOL_COMMAND_BYTES_MAX, &q->command) ||
        session_text(api, m->session ? API_NEEDED : API_OPTIONAL, m->session, &q->of.session) ||
        api_choice(api, "affinity", m->affinity, affinities, &affinity) ||
        api_json(api, "args", m->has_args, m->args, FRAME_BYTES_MAX, &q->args))
        return API_E_REFUSED;
    while (!str_eq(affinity, str_of(affinities[q->affinity])))
        q->affinity++;
    return 0;
}

/* It is answered once, or the client goes before. */
struct calling {
    struct pool_call call;
    struct rpc *rpc;
    struct pool *pool;
};

static void refused(struct rpc *rpc, const struct pool_answer *answer)
{
    rpc_refuse(rpc, &(struct batcher_answer){.code = answer->code,
                                             .text = str_copy(rpc->api.arena, answer->text)});
}

static void call_done(struct pool_call *c, const struct pool_answer *answer)
{
    struct rpc *rpc = ((struct calling *)c->context)->rpc;
    struct arena *a = rpc->api.arena;
    Weft__V1__SessionCallResponse *m;
    struct str value;

    rpc->on_cancel = NULL;
    if (answer->code != CODE_OK) {
        refused(rpc, answer);
        return;
    }
    m = API_NEW(a, Weft__V1__SessionCallResponse, session_call_response);
    value = str_copy(a, answer->value);
    API_SET(m, failed, answer->failed);
    API_SET(m, opened, c->opened);
    if (answer->failed)
        API_SET_JSON(m, error, value);
    else
        API_SET_JSON(m, result, value);
    rpc_finish(rpc, &m->base);
}

static void call_cancelled(struct rpc *rpc)
{
    struct calling *c = rpc->state;

    rpc->on_cancel = NULL;
    pool_cancel(c->pool, &c->call, clock_monotonic());
    rpc_end_cancelled(rpc);
}

static bool call_begin(struct rpc *rpc)
{
    const struct asked_call *q = rpc->request;
    struct calling *c = ARENA_NEW(rpc->api.arena, struct calling);
    struct pool_answer refusal;

    c->rpc = rpc;
    c->pool = pool_of(rpc, q->of.pool);
    if (!c->pool)
        return true;
    c->call = (struct pool_call){
        .session = q->of.session,
        .command = q->command,
        .args = q->args,
        .affinity = q->affinity,
        .create = q->create,
        .deadline_us = rpc->call->deadline_us,
        .done = call_done,
        .context = c,
    };
    rpc->state = c;
    rpc->on_cancel = call_cancelled;
    if (!pool_call(c->pool, &c->call, clock_monotonic(), &refusal)) {
        rpc->on_cancel = NULL;
        refused(rpc, &refusal);
    }
    return true;
}

const struct api_action api_pool_list = {.begin = list_begin};
const struct api_action api_pool_get = {
    .decode = pool_decode, .request_size = sizeof(struct asked), .begin = get_begin};
const struct api_action api_pool_recycle = {
    .decode = pool_decode, .request_size = sizeof(struct asked), .begin = recycle_begin};
const struct api_action api_session_call = {
    .decode = call_decode, .request_size = sizeof(struct asked_call), .begin = call_begin};
const struct api_action api_session_open = {
    .decode = session_decode, .request_size = sizeof(struct asked), .begin = session_open_begin};
const struct api_action api_session_get = {
    .decode = session_decode, .request_size = sizeof(struct asked), .begin = session_get_begin};
const struct api_action api_session_end = {
    .decode = session_decode, .request_size = sizeof(struct asked), .begin = session_end_begin};
