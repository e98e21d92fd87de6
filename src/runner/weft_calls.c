/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/weft_going.h"

#include <stdlib.h>

#include "api/protojson.h"
#include "base/memory.h"

#define LEAVE_US (1 * CLOCK_S) /* for answers that are on their way */

enum { METHOD_RUN, METHOD_RUN_ASYNC, METHOD_CANCEL, METHOD_PING };

#define ROW(name_, rpc_, request_, reply_)                                                         \
    {                                                                                              \
        .name = (name_), .rpc = "weft.v1.Runner/" rpc_,                                            \
        .request = &weft__v1__##request_##__descriptor,                                            \
        .reply = &weft__v1__##reply_##__descriptor, .kind = METHOD_WRITE, .verb = METHOD_POST,     \
    }

static const struct method rows[WEFT_METHODS_N] = {
    [METHOD_RUN] = ROW("runner.run", "Run", run_stage_request, stage_report),
    [METHOD_RUN_ASYNC] = ROW("runner.run_async", "RunAsync", run_stage_request, run_async_reply),
    [METHOD_CANCEL] = ROW("runner.cancel", "Cancel", cancel_stage_request, empty),
    [METHOD_PING] = ROW("runner.ping", "Ping", ping_request, ping_reply),
};

static const struct method *const methods[WEFT_METHODS_N] = {
    &rows[METHOD_RUN],
    &rows[METHOD_RUN_ASYNC],
    &rows[METHOD_CANCEL],
    &rows[METHOD_PING],
};

/* A call for a stage, in the call's arena, until it is answered. */
struct waiting {
    struct list link; /* of the stage's waiting, or of the offer's early */
    struct weft_offer *offer;
    struct weft_stage *stage; /* NULL: it came early */
    struct call *call;
    bool sync;
};

/* ---- answers ---- */

static const Weft__V1__RunStageRequest *request_of(const struct waiting *w)
{
    return (const Weft__V1__RunStageRequest *)w->call->request;
}

static void answer_accept(struct call *c, bool accepted, struct str reason)
{
    Weft__V1__RunAsyncReply *reply =
        CODEC_NEW(&c->arena, Weft__V1__RunAsyncReply, weft__v1__run_async_reply);

    reply->has_accepted = true;
    reply->accepted = accepted;
    reply->reason = accepted ? NULL : codec_text(&c->arena, reason);
    c->reply = &reply->base;
    c->done(c);
}

static void answer_code(struct call *c, enum code code, struct str text)
{
    c->code = code;
    c->text = text;
    c->done(c);
}

/* The server tries another runner. */
static void refuse(struct call *c, bool sync, enum code code, struct str text)
{
    if (sync)
        answer_code(c, code, text);
    else
        answer_accept(c, false, text);
}

static void answer_report(struct call *c, struct str report)
{
    struct str error;

    if (codec_decode(&c->arena, c->method->reply, report, &c->reply, &error))
        answer_code(c, CODE_INTERNAL, error);
    else
        c->done(c);
}

/* ---- stages ---- */

static struct weft_stage *find(const struct weft_runner *r, struct str token)
{
    uint64_t value;

    return map_get(r->stages, token, &value) ? (struct weft_stage *)(uintptr_t)value : NULL;
}

/* The worker has no more to do with it, if it had. */
static void let_go(struct weft_stage *s)
{
    struct weft_worker *k = s->offer->worker;

    weft_held_lock(k);
    if (!list_empty(&s->lease->link))
        weft_held_let_go(k, s->lease);
    weft_held_unlock(k);
}

/* It goes on no more. */
static void end(struct weft_stage *s)
{
    struct weft_runner *r = s->offer->runner;

    list_del(&s->link);
    map_del(r->stages, str_of(s->lease->token.text));
    weft_stage_free(s);
    pthread_mutex_lock(&r->lock);
    r->stages_n--;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* Its end, as a line of the outbox. */
static void put_line(const struct weft_stage *s, struct buf *out)
{
    Weft__V1__CompleteItem m = WEFT__V1__COMPLETE_ITEM__INIT;

    m.token = s->request->token;
    m.outcome = s->said->outcome;
    m.has_result = s->said->has_result;
    m.result = s->said->result;
    m.error = s->said->error;
    m.has_final = s->said->final;
    m.final = s->said->final;
    m.n_checks = s->said->n_checks;
    m.checks = s->said->checks;
    protojson_encode(&m.base, out);
}

/* Tell the server its end; of a lost one, too, which the server then knows to be over here. */
static void tell(struct weft_stage *s)
{
    struct weft_worker *k = s->offer->worker;
    struct buf line;

    buf_init(&line, OUTBOX_LINE_BYTES_MAX);
    put_line(s, &line);
    weft_held_lock(k);
    if (list_empty(&s->lease->link))
        weft_held_take(k, s->lease);
    weft_held_add_line(k, s->lease, buf_str(&line));
    weft_held_unlock(k);
    buf_deinit(&line);
}

/* All calls that wait for it, with the report, or with none. */
static void answer_all(struct weft_stage *s, struct str report)
{
    while (!list_empty(&s->waiting)) {
        struct waiting *w = LIST_OF(s->waiting.next, struct waiting, link);

        list_del(&w->link);
        if (report.n)
            answer_report(w->call, report);
        else
            refuse(w->call, w->sync, CODE_UNAVAILABLE, STR("the runner leaves"));
    }
}

/* Its function has returned. From here on the server may know it, and give something else into the
 * slot. */
static void finish(struct weft_stage *s)
{
    struct weft_runner *r = s->offer->runner;
    struct buf report;

    s->offer->busy--;
    if (s->abandoned) {
        answer_all(s, (struct str){0}); /* who asked for its token meanwhile */
        end(s);
        return;
    }
    buf_init(&report, OUTBOX_LINE_BYTES_MAX);
    codec_encode(&s->said->base, &report);
    if (list_empty(&s->waiting))
        tell(s);
    else
        let_go(s);
    weft_finished_add(r->finished, str_of(s->lease->token.text), buf_str(&report));
    answer_all(s, buf_str(&report));
    buf_deinit(&report);
    end(s);
}

/* One that has not begun. */
static void drop(struct weft_stage *s)
{
    s->offer->busy--;
    let_go(s);
    end(s);
}

/* Those calls that wait for no more than its beginning. */
static void answer_begun(struct weft_stage *s)
{
    LIST_EACH_SAFE(it, &s->waiting)
    {
        struct waiting *w = LIST_OF(it, struct waiting, link);

        if (w->sync)
            continue;
        list_del(it);
        answer_accept(w->call, true, (struct str){0});
    }
}

/* Begin it. Returns 0, or as weft_pool_give(). */
static int begin(struct weft_stage *s)
{
    struct weft_runner *r = s->offer->runner;
    int busy = weft_pool_give(r->pool, &s->job);

    if (busy)
        return busy;
    list_del(&s->link);
    list_add(&r->going, &s->link);
    s->state = WEFT_STAGE_GOING;
    answer_begun(s);
    return 0;
}

static void begin_queued(struct weft_runner *r)
{
    while (!list_empty(&r->queued))
        if (begin(LIST_OF(r->queued.next, struct weft_stage, link)))
            return;
}

/* ---- calls for stages ---- */

/* Count one more stage, unless the runner is about to leave. */
static bool may_begin(struct weft_runner *r)
{
    bool may;

    pthread_mutex_lock(&r->lock);
    may = !atomic_load(&r->stopping);
    r->stages_n += may;
    pthread_mutex_unlock(&r->lock);
    return may;
}

static void take_new(struct waiting *w)
{
    struct weft_offer *o = w->offer;
    struct weft_runner *r = o->runner;
    struct call *c = w->call;
    struct weft_stage *s;
    int busy;

    if (o->slots && o->busy >= o->slots) {
        refuse(c, w->sync, CODE_WORKER_LOST,
               str_printf(&c->arena, "all of the %u slots are taken", o->slots));
        return;
    }
    if (!may_begin(r)) {
        refuse(c, w->sync, CODE_WORKER_LOST, STR("this runner is about to leave"));
        return;
    }
    s = weft_stage_new(o, request_of(w), !w->sync);
    o->busy++;
    map_set(r->stages, str_of(s->lease->token.text), (uintptr_t)s);
    weft_held_lock(o->worker);
    weft_held_take(o->worker, s->lease);
    weft_held_unlock(o->worker);
    w->stage = s;
    list_add(&s->waiting, &w->link);
    busy = begin(s);
    if (busy == WEFT_POOL_E_BUSY) {
        list_add(&r->queued, &s->link);
    } else if (busy) {
        list_del(&w->link);
        drop(s);
        refuse(c, w->sync, CODE_WORKER_LOST, STR("no thread can be started"));
    }
}

/* The call is for a stage of this incarnation. */
static void take(struct waiting *w)
{
    struct weft_runner *r = w->offer->runner;
    struct str token = str_of(request_of(w)->token);
    struct weft_stage *s = find(r, token);
    struct str report;
    bool ended = weft_finished_get(r->finished, token, &report);

    if (ended && w->sync) {
        answer_report(w->call, report);
    } else if (ended || (s && s->state == WEFT_STAGE_GOING && !w->sync)) {
        answer_accept(w->call, true, (struct str){0});
    } else if (s) {
        w->stage = s;
        list_add(&s->waiting, &w->link);
    } else {
        take_new(w);
    }
}

/* A call may be here before the answer to the registration that it names. */
static void consider(struct waiting *w)
{
    struct weft_worker *k = w->offer->worker;
    const char *named = request_of(w)->worker;
    struct call *c = w->call;
    struct weft_id id;
    bool early;

    weft_held_lock(k);
    id = k->id;
    early = k->registering;
    weft_held_unlock(k);
    if (named && *named && strcmp(id.text, named) == 0)
        take(w);
    else if (early)
        list_add(&w->offer->early, &w->link);
    else
        refuse(c, w->sync, CODE_WORKER_LOST,
               str_printf(&c->arena, "this is incarnation %s of %s, not %s", id.text, k->name,
                          named ? named : "of no name"));
}

static void consider_early(struct weft_offer *o)
{
    struct list early;

    list_init(&early);
    list_move(&early, &o->early);
    while (!list_empty(&early)) {
        struct waiting *w = LIST_OF(early.next, struct waiting, link);

        list_del(&w->link);
        consider(w);
    }
}

static struct weft_offer *offer_of(const struct weft_runner *r, const char *type)
{
    for (size_t i = 0; type && i < r->offers_n; i++)
        if (strcmp(r->offers[i].type, type) == 0)
            return &r->offers[i];
    return NULL;
}

static bool does(const struct weft_offer *o, bool sync)
{
    return o->modes == WEFT_STAGE_BOTH || (o->modes == WEFT_STAGE_SYNC) == sync;
}

/* The server's look like "12.34". Others must not end up in what this runner says in JSON. */
static bool good_token(struct str token)
{
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] <= ' ' || token.p[i] > '~' || token.p[i] == '"' || token.p[i] == '\\')
            return false;
    return token.n > 0 && token.n < WEFT_ID_BYTES;
}

static void start_run(struct weft_runner *r, struct call *c, bool sync)
{
    const Weft__V1__RunStageRequest *m = (const Weft__V1__RunStageRequest *)c->request;
    struct weft_offer *o = offer_of(r, m->type);
    struct waiting *w = ARENA_NEW(&c->arena, struct waiting);

    *w = (struct waiting){.offer = o, .call = c, .sync = sync};
    list_init(&w->link);
    c->server = w;
    if (!good_token(str_of(m->token)))
        refuse(c, sync, CODE_INVALID,
               STR("a stage has a token of 1 to 23 visible characters without quotes"));
    else if (!o)
        refuse(c, sync, CODE_WORKER_LOST,
               str_printf(&c->arena, "this runner does no stages of type \"%s\"",
                          m->type ? m->type : ""));
    else if (!does(o, sync))
        refuse(c, sync, CODE_WORKER_LOST,
               str_printf(&c->arena, "stages of type %s are not done %s here", o->type,
                          sync ? "sync" : "async"));
    else
        consider(w);
}

/* Nobody waits for the answer. The end of what goes on is told by itself then; what has not begun
 * is not begun. */
static void on_cancel(struct call *c)
{
    struct waiting *w = c->server;
    struct weft_stage *s = w->stage;

    list_del(&w->link);
    if (s && s->state == WEFT_STAGE_QUEUED && list_empty(&s->waiting))
        drop(s);
    answer_code(c, CODE_CANCELLED, STR("nobody waits for it any more"));
}

/* ---- the other calls ---- */

static void start_cancel(struct weft_runner *r, struct call *c)
{
    const Weft__V1__CancelStageRequest *m = (const Weft__V1__CancelStageRequest *)c->request;
    struct weft_stage *s = find(r, str_of(m->token));

    if (s)
        weft_stage_cancel(s, m->reason && *m->reason ? m->reason : "the stage is cancelled");
    c->reply = &CODEC_NEW(&c->arena, Weft__V1__Empty, weft__v1__empty)->base;
    c->done(c);
}

/* The type whose incarnation is asked for, or the first one where it is none of ours. */
static struct weft_offer *offer_of_worker(const struct weft_runner *r, const char *id)
{
    for (size_t i = 0; id && i < r->offers_n; i++) {
        struct weft_id own = weft_join_id(r->offers[i].worker);

        if (strcmp(own.text, id) == 0)
            return &r->offers[i];
    }
    return &r->offers[0];
}

static void start_ping(struct weft_runner *r, struct call *c)
{
    const Weft__V1__PingRequest *m = (const Weft__V1__PingRequest *)c->request;
    struct weft_offer *o = offer_of_worker(r, m->worker);
    Weft__V1__PingReply *reply = CODEC_NEW(&c->arena, Weft__V1__PingReply, weft__v1__ping_reply);
    char **words = ARENA_ARRAY(&c->arena, char *, 3);

    words[0] = o->type;
    reply->runner = o->worker->name;
    reply->worker = codec_text(&c->arena, str_of(weft_join_id(o->worker).text));
    reply->types = words;
    reply->n_types = 1;
    reply->modes = words + 1;
    if (does(o, true))
        words[1 + reply->n_modes++] = codec_text(&c->arena, STR("sync"));
    if (does(o, false))
        words[1 + reply->n_modes++] = codec_text(&c->arena, STR("async"));
    reply->has_free = true;
    reply->free = o->slots ? (int64_t)o->slots - o->busy : -1;
    c->reply = &reply->base;
    c->done(c);
}

static void start(void *context, struct call *c)
{
    struct weft_runner *r = context;

    c->cancel = on_cancel;
    switch (c->method - rows) {
    case METHOD_RUN:
        start_run(r, c, true);
        break;
    case METHOD_RUN_ASYNC:
        start_run(r, c, false);
        break;
    case METHOD_CANCEL:
        start_cancel(r, c);
        break;
    default:
        start_ping(r, c);
    }
}

void weft_calls_serve(struct weft_runner *r)
{
    r->service = (struct call_service){methods, WEFT_METHODS_N, start, r};
}

/* ---- the loop's turns ---- */

/* Stages that went on for too long when the runner leaves: others do them. */
static void abandon(struct weft_runner *r)
{
    LIST_EACH_SAFE(it, &r->queued)
    {
        struct weft_stage *s = LIST_OF(it, struct weft_stage, link);

        answer_all(s, (struct str){0});
        drop(s);
    }
    LIST_EACH(it, &r->going)
    {
        struct weft_stage *s = LIST_OF(it, struct weft_stage, link);

        s->abandoned = true;
        let_go(s);
        weft_stage_cancel(s, "the runner leaves");
        answer_all(s, (struct str){0});
    }
    pthread_mutex_lock(&r->lock);
    r->abandoning = false;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static bool is_abandoning(struct weft_runner *r)
{
    bool is;

    pthread_mutex_lock(&r->lock);
    is = r->abandoning;
    pthread_mutex_unlock(&r->lock);
    return is;
}

static void on_drained(void *context)
{
    struct weft_runner *r = context;

    r->server = server_free(r->server);
    uv_close((uv_handle_t *)&r->wake, NULL);
}

void weft_calls_look(struct weft_runner *r)
{
    struct list done;

    list_init(&done);
    weft_pool_take(r->pool, &done);
    while (!list_empty(&done)) {
        struct weft_job *job = LIST_OF(done.next, struct weft_job, link);

        list_del(&job->link);
        finish(LIST_OF(job, struct weft_stage, job));
    }
    begin_queued(r);
    for (size_t i = 0; i < r->offers_n; i++)
        consider_early(&r->offers[i]);
    if (is_abandoning(r))
        abandon(r);
    if (atomic_exchange(&r->ending, false))
        server_drain(r->server, LEAVE_US, on_drained, r);
}
