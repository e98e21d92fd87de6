/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_run_watch.h"

#include "engine/event.h"
#include "engine/run.h"
#include "serve/api_run.h"
#include "serve/hub.h"
#include "serve/methods_within.h"

#define PAGE_EVENTS 500

struct page {
    struct event_rows events;
    bool over; /* the run has ended, and these are its last events */
};

struct watch {
    struct rpc *rpc;
    struct hub_wait wait;
    struct arena messages; /* of the page that is sent */
    size_t sent;
    bool asked;
};

static int decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__WatchRequest *m = message;
    struct event_list *l = request;

    l->max = PAGE_EVENTS;
    return api_id(api, "id", API_OPTIONAL, m->id, &l->run) ||
           api_seq(api, "after", m->after, &l->after);
}

/* A page, and whether more can come: both are of one snapshot. */
static int look_at(struct tx *tx, const void *request, void *reply)
{
    const struct event_list *l = request;
    struct page *p = reply;
    struct run_row run;
    int r = l->run ? run_read(tx, l->run, &run) : 0;

    if (!r)
        r = event_list(tx, l, &p->events);
    if (!r)
        p->over = l->run && run_final(run.state) && p->events.n < PAGE_EVENTS;
    return r;
}

static void look(struct watch *w);

static void woken(struct hub_wait *wait)
{
    look(wait->context);
}

static void leave(struct watch *w)
{
    hub_forget(&w->wait, 0);
    arena_deinit(&w->messages);
}

/* Send the next event of the page, or go on behind it. */
static void go_on(struct rpc *rpc)
{
    struct watch *w = rpc->state;
    struct event_list *l = rpc->request;
    const struct page *p = rpc->reply;

    if (rpc->cancelled) {
        leave(w);
        rpc_end_cancelled(rpc);
    } else if (w->sent < p->events.n) {
        const struct event *e = &p->events.list[w->sent++];

        l->after = e->seq;
        rpc_message(rpc, &api_run_event(&w->messages, e)->base);
    } else if (p->over) {
        leave(w);
        rpc_finish(rpc, NULL);
    } else {
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
    } else if (rpc->cancelled || p->events.n || p->over) {
        go_on(rpc);
    } else {
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
    const struct event_list *l = rpc->request;
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
    .request_size = sizeof(struct event_list),
    .function = look_at,
    .reply_size = sizeof(struct page),
    .begin = begin,
};
