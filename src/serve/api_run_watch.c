/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_run_watch.h"

#include <assert.h>

#include "core/definition.h"
#include "engine/event.h"
#include "engine/run.h"
#include "serve/api_run.h"
#include "serve/hub.h"
#include "serve/methods_within.h"

#define PAGE_EVENTS 500
#define FILTERS_MAX 100u

/* Events behind list.after, and of these those that fit. */
struct watching {
    struct event_list list;
    struct str *kinds, *tasks; /* none: all */
    size_t kinds_n, tasks_n;
};

struct page {
    struct event_rows events;
    int64_t seen; /* the newest that was looked at, though it may not fit; 0: none */
    bool more;    /* there may be more behind it */
    bool over;    /* the run has ended, and these are its last events */
};

struct watch {
    struct rpc *rpc;
    struct hub_wait wait;
    struct arena messages; /* of the page that is sent */
    size_t sent;
    bool asked;
};

static int names(struct api *api, const char *field, char *const *list, size_t n, struct str **ret,
                 size_t *ret_n)
{
    if (api_count(api, field, n, 0, FILTERS_MAX))
        return API_E_REFUSED;
    *ret = ARENA_ARRAY(api->arena, struct str, n);
    *ret_n = n;
    for (size_t i = 0; i < n; i++) {
        if (api_text(api, field, API_NEEDED, list[i], DEFINITION_NAME_BYTES_MAX, &(*ret)[i]))
            return API_E_REFUSED;
    }
    return 0;
}

static int decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__WatchRequest *m = message;
    struct watching *w = request;

    w->list.max = PAGE_EVENTS;
    return api_id(api, "id", API_OPTIONAL, m->id, &w->list.run) ||
           api_seq(api, "after", m->after, &w->list.after) ||
           names(api, "kinds", m->kinds, m->n_kinds, &w->kinds, &w->kinds_n) ||
           names(api, "tasks", m->tasks, m->n_tasks, &w->tasks, &w->tasks_n);
}

/* "task_FAILED" is itself, "task_*" all that begin so. */
static bool kind_fits(struct str kind, struct str wanted)
{
    if (wanted.n && wanted.p[wanted.n - 1] == '*')
        return str_starts(kind, str_sub(wanted, 0, wanted.n - 1));
    return str_eq(kind, wanted);
}

static bool fits(const struct watching *w, const struct event *e)
{
    bool kind = w->kinds_n == 0, task = w->tasks_n == 0;

    for (size_t i = 0; !kind && i < w->kinds_n; i++)
        kind = kind_fits(e->kind, w->kinds[i]);
    for (size_t i = 0; !task && i < w->tasks_n; i++)
        task = str_eq(e->name, w->tasks[i]);
    return kind && task;
}

static void keep_fitting(const struct watching *w, struct event_rows *events)
{
    size_t kept = 0;

    for (size_t i = 0; i < events->n; i++) {
        if (fits(w, &events->list[i]))
            events->list[kept++] = events->list[i];
    }
    events->n = kept;
}

/* A page, and whether more can come: both are of one snapshot. */
static int look_at(struct tx *tx, const void *request, void *reply)
{
    const struct watching *w = request;
    const struct event_list *l = &w->list;
    struct page *p = reply;
    struct run_row run;
    int r = l->run ? run_read(tx, l->run, &run) : 0;

    if (!r)
        r = event_list(tx, l, &p->events);
    if (r)
        return r;
    p->seen = p->events.n ? p->events.list[p->events.n - 1].seq : 0;
    p->more = p->events.n == PAGE_EVENTS;
    p->over = l->run && run_final(run.state) && !p->more;
    keep_fitting(w, &p->events);
    return 0;
}

static void look(struct watch *w);

static void woken(struct hub_wait *wait)
{
    look(wait->context);
}

static void leave(struct watch *w)
{
    assert(!w->asked); /* or the store's thread would write into what is freed */
    hub_forget(&w->wait, 0);
    arena_deinit(&w->messages);
}

/* Behind all that was looked at. */
static void turn_page(struct watch *w)
{
    struct watching *asked = w->rpc->request;
    const struct page *p = w->rpc->reply;

    if (p->seen)
        asked->list.after = p->seen;
}

/* Send the next event of the page, or go on behind it. */
static void go_on(struct rpc *rpc)
{
    struct watch *w = rpc->state;
    const struct page *p = rpc->reply;

    /* It was woken before this turn came, and ends when the store has answered. */
    if (w->asked)
        return;
    if (rpc->cancelled) {
        leave(w);
        rpc_end_cancelled(rpc);
    } else if (w->sent < p->events.n) {
        const struct event *e = &p->events.list[w->sent++];

        rpc_message(rpc, &api_run_event(&w->messages, e)->base);
    } else if (p->over) {
        leave(w);
        rpc_finish(rpc, NULL);
    } else {
        turn_page(w);
        look(w);
    }
}

static void answered(struct batcher_request *q)
{
    struct rpc *rpc = q->context;
    struct watch *w = rpc->state;
    const struct page *p = rpc->reply;

    w->asked = false;
    w->sent = 0;
    arena_deinit(&w->messages);
    arena_adopt(&w->messages, &q->arena);
    if (q->answer.code != CODE_OK) {
        hub_forget(&w->wait, 0);
        arena_adopt(rpc->api.arena, &w->messages);
        rpc_refuse(rpc, &q->answer);
    } else if (rpc->cancelled || p->events.n || p->more || p->over) {
        go_on(rpc);
    } else {
        turn_page(w);
        hub_sleep(&w->wait, NULL);
    }
}

static void look(struct watch *w)
{
    hub_look(&w->wait);
    w->asked = true;
    rpc_post(w->rpc, answered);
}

static void pull(struct rpc *rpc)
{
    rpc_soon(rpc, go_on);
}

static void cancelled(struct rpc *rpc)
{
    const struct watch *w = rpc->state;

    if (!w->asked)
        rpc_soon(rpc, go_on);
}

static bool begin(struct rpc *rpc)
{
    const struct event_list *l = &((const struct watching *)rpc->request)->list;
    struct watch *w = ARENA_NEW(rpc->api.arena, struct watch);

    if (!methods_seat(rpc->methods)) {
        rpc_refuse_code(rpc, CODE_UNAVAILABLE, "nothing is watched within a command");
        return true;
    }
    w->rpc = rpc;
    w->wait = (struct hub_wait){
        .seat = methods_seat(rpc->methods),
        .topic = l->run ? HUB_RUN_EVENTS : HUB_EVENTS,
        .run = l->run,
        .woken = woken,
        .context = w,
    };
    rpc->state = w;
    rpc->on_pull = pull;
    rpc->on_cancel = cancelled;
    look(w);
    return true;
}

const struct api_action api_run_watch = {
    .decode = decode,
    .request_size = sizeof(struct watching),
    .function = look_at,
    .reply_size = sizeof(struct page),
    .begin = begin,
};
