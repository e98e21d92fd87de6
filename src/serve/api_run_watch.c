/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_run_watch.h"

#include <assert.h>

#include "core/definition.h"
#include "engine/event.h"
#include "engine/run.h"
#include "serve/feed.h"
#include "serve/hub.h"
#include "serve/methods_within.h"
#include "serve/pace.h"

#define FILTERS_MAX   100u
#define TURN_MESSAGES 500 /* that one is sent before the others have their turn */

/* Events behind list.after, and of these those that fit. */
struct watching {
    struct event_list list;
    struct str *kinds, *tasks; /* none: all */
    size_t kinds_n, tasks_n;
};

struct watch {
    struct rpc *rpc;
    struct hub_wait wait;
    struct pace_turn turn;
    struct feed *feed;
    struct feed_page *page;    /* that is sent; NULL: none */
    size_t at;                 /* of its events: the next */
    struct feed_reader reader; /* for itself and those that joined, … */
    struct list joined;        /* … which are linked by this */
    bool asked;                /* a read is under way, its own or another's */
    bool pulled;               /* the transport takes a message */
    bool sending;              /* one is being given to it */
    bool idle;                 /* it has all there is */
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

    w->list.max = FEED_EVENTS_MAX;
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

/* A page, and whether more can come: both are of one snapshot. */
static int look_at(struct tx *tx, const void *request, void *reply)
{
    const struct event_list *l = &((const struct watching *)request)->list;
    struct feed_read *p = reply;
    struct run_row run;
    int r = l->run ? run_read(tx, l->run, &run) : 0;

    if (!r)
        r = event_list(tx, l, &p->events);
    if (r)
        return r;
    p->more = p->events.n == FEED_EVENTS_MAX;
    p->over = l->run && run_final(run.state) && !p->more;
    return 0;
}

static void look(struct watch *w);

static void woken(struct hub_wait *wait)
{
    look(wait->context);
}

static struct event_list *list_of(struct watch *w)
{
    return &((struct watching *)w->rpc->request)->list;
}

static void busy(struct watch *w)
{
    if (w->idle)
        feed_busy(w->feed);
    w->idle = false;
}

static void leave(struct watch *w)
{
    assert(!w->asked); /* or the store's thread would write into what is freed */
    hub_forget(&w->wait, 0);
    pace_forget(&w->turn);
    busy(w);
    w->page = feed_page_unref(w->page);
    feed_leave(w->feed);
}

/* The next event of the page that fits and was not sent before; false: there is none. */
static bool find_next(struct watch *w)
{
    const struct event_rows *events = &w->page->read.events;
    int64_t after = list_of(w)->after;

    while (w->at < events->n &&
           (events->list[w->at].seq <= after || !fits(w->rpc->request, &events->list[w->at])))
        w->at++;
    return w->at < events->n;
}

/* As many as the transport takes, and as a turn has room for. False: there are none left. */
static bool send_some(struct watch *w)
{
    bool left = find_next(w);

    w->sending = true;
    for (int n = 0; left && w->pulled && !w->rpc->cancelled && n < TURN_MESSAGES; n++) {
        size_t i = w->at++;
        Weft__V1__Event *m = feed_page_message(w->page, i);

        w->pulled = false;
        rpc_message_shared(w->rpc, &m->base, &w->page->bytes[i]);
        left = find_next(w);
    }
    w->sending = false;
    return left;
}

/* Behind all that was looked at. */
static void turn_page(struct watch *w)
{
    struct event_list *l = list_of(w);

    if (w->page->seen > l->after)
        l->after = w->page->seen;
    w->page = feed_page_unref(w->page);
}

static void end_cancelled(struct rpc *rpc)
{
    struct watch *w = rpc->state;

    /* It was woken before this turn came, and ends when the store has answered. */
    if (w->asked)
        return;
    leave(w);
    rpc_end_cancelled(rpc);
}

/* Send of the page, or go on behind it. */
static void go_on(struct pace_turn *turn)
{
    struct watch *w = LIST_OF(turn, struct watch, turn);
    bool left;

    if (w->rpc->cancelled || !w->page)
        return; /* its end comes; or it was pulled while it slept */
    left = send_some(w);
    if (w->rpc->cancelled || !w->pulled)
        return;
    if (left) {
        pace_ask(methods_pace(w->rpc->methods), &w->turn);
    } else if (w->page->read.over) {
        leave(w);
        rpc_finish(w->rpc, NULL);
    } else {
        turn_page(w);
        look(w);
    }
}

/* A page has come; with a reference of its own. */
static void take(struct watch *w, struct feed_page *p)
{
    const struct feed_read *r = &p->read;

    w->page = p;
    w->at = 0;
    if (r->events.n || r->over) {
        pace_ask(methods_pace(w->rpc->methods), &w->turn);
        return;
    }
    w->page = feed_page_unref(p);
    w->idle = true;
    feed_idle(w->feed);
    hub_sleep(&w->wait, NULL);
}

/* The read of another has come to its end. */
static void share(struct watch *w, const struct rpc *by, struct feed_page *p)
{
    const struct batcher_answer *answer = &by->q.answer;

    w->asked = false;
    if (w->rpc->cancelled) {
        end_cancelled(w->rpc);
    } else if (p) {
        p->refs++;
        take(w, p);
    } else if (by->cancelled || answer->code == CODE_DEADLINE_EXCEEDED) {
        look(w); /* the other was in a hurry, or has gone */
    } else {
        struct batcher_answer mine = *answer;

        mine.text = str_copy(w->rpc->api.arena, answer->text);
        mine.details_n = 0;
        leave(w);
        rpc_refuse(w->rpc, &mine);
    }
}

static void answered(struct batcher_request *q)
{
    struct rpc *rpc = q->context;
    struct watch *w = rpc->state;
    struct feed_page *p = NULL;
    struct list joined;

    w->asked = false;
    list_del(&w->reader.link);
    list_init(&joined);
    list_move(&joined, &w->reader.joined);
    if (q->answer.code == CODE_OK)
        p = feed_found(w->feed, w->reader.after, rpc->reply, &q->arena);
    while (!list_empty(&joined)) {
        struct watch *other = LIST_OF(joined.next, struct watch, joined);

        list_del(&other->joined);
        share(other, rpc, p);
    }
    if (p && rpc->cancelled) {
        feed_page_unref(p);
        end_cancelled(rpc);
    } else if (p) {
        take(w, p);
    } else {
        arena_adopt(rpc->api.arena, &q->arena);
        leave(w);
        rpc_refuse(rpc, &q->answer);
    }
}

/* For what is behind list.after: in a page that is kept, in a read that is under way, or in one of
 * its own. */
static void look(struct watch *w)
{
    int64_t after = list_of(w)->after;
    struct feed_page *kept = feed_find(w->feed, after);
    struct feed_reader *reading = feed_reading(w->feed, after);

    busy(w);
    if (kept) {
        take(w, kept);
        return;
    }
    w->asked = true;
    if (reading) {
        hub_look_with(&w->wait, &LIST_OF(reading, struct watch, reader)->wait);
        list_add(&reading->joined, &w->joined);
        return;
    }
    hub_look(&w->wait);
    feed_reading_begins(w->feed, &w->reader, after);
    rpc_post(w->rpc, answered);
}

static void pull(struct rpc *rpc)
{
    struct watch *w = rpc->state;

    w->pulled = true;
    if (!w->sending)
        pace_ask(methods_pace(rpc->methods), &w->turn);
}

static void cancelled(struct rpc *rpc)
{
    const struct watch *w = rpc->state;

    if (!w->asked)
        rpc_soon(rpc, end_cancelled);
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
    w->turn.come = go_on;
    w->pulled = true;
    w->feed = feed_enter(methods_feeds(rpc->methods), l->run);
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
    .reply_size = sizeof(struct feed_read),
    .begin = begin,
};
