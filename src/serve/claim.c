/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/claim.h"

#include <string.h>

#include "base/clock.h"
#include "engine/task.h"
#include "serve/api_queue.h"
#include "serve/hub.h"
#include "serve/methods_within.h"

struct claim {
    struct rpc *rpc;
    struct hub_wait wait;
    int64_t until_us; /* monotonic */
    bool waits;       /* the hub knows of it */
    bool asked;       /* the store is asked */
    struct batcher_request release;
    struct task_release released;
    struct task_codes codes;
};

BATCHER_FUNCTION(call_release, task_release)

static void look(struct claim *c);

static void woken(struct hub_wait *w)
{
    look(w->context);
}

static void leave(struct claim *c, int64_t took)
{
    if (c->waits)
        hub_forget(&c->wait, took);
    c->waits = false;
}

/* The client has gone, and the leases were never heard of. */

static void released(struct batcher_request *q)
{
    struct claim *c = q->context;

    batcher_release(q);
    batcher_release(&c->rpc->q);
    rpc_end_cancelled(c->rpc);
}

static void give_back(struct claim *c, const struct task_leases *leases)
{
    struct lease_ref *list = ARENA_ARRAY(c->rpc->api.arena, struct lease_ref, leases->n);

    for (size_t i = 0; i < leases->n; i++)
        list[i] = (struct lease_ref){leases->list[i].task, leases->list[i].token};
    c->released = (struct task_release){list, leases->n};
    c->release = (struct batcher_request){
        .name = CLAIM_GIVE_BACK,
        .function = call_release,
        .lane = BATCHER_OWN,
        .request = &c->released,
        .reply = &c->codes,
        .reply_size = sizeof(c->codes),
        .patience_us = BATCHER_CALL_US,
        .home = methods_home(c->rpc->methods),
        .done = released,
        .context = c,
    };
    batcher_post(c->rpc->api.house->writer, (struct batcher_request *[]){&c->release}, 1);
}

/* The store's times as those of this machine. */
static int64_t due_us(const struct batcher_request *q, const struct task_leases *leases)
{
    return leases->next_due_at ? q->begun_us + (leases->next_due_at - q->now) : 0;
}

static void sleep_on(struct claim *c, const struct batcher_request *q,
                     const struct task_leases *leases)
{
    struct hub_found found = {.due_us = due_us(q, leases), .held = leases->held};

    hub_sleep(&c->wait, &found);
}

/* With a key: the client asks again for what it did not hear of, so that nothing is given back. */
static void keyed_answered(struct batcher_request *q)
{
    struct rpc *rpc = q->context;
    struct claim *c = rpc->state;
    const struct rpc_keyed *reply = q->answer.code == CODE_OK ? rpc_keyed(rpc) : NULL;
    const struct task_leases *leases = reply ? reply->got : NULL;

    c->asked = false;
    if (!leases || leases->n || !c->waits || rpc->cancelled || clock_monotonic() >= c->until_us) {
        leave(c, leases ? (int64_t)leases->n : 0);
        rpc_keyed_answered(rpc);
    } else {
        sleep_on(c, q, leases);
        batcher_release(q);
    }
}

static void answered(struct batcher_request *q)
{
    struct rpc *rpc = q->context;
    struct claim *c = rpc->state;
    const struct task_leases *leases = rpc->reply;

    c->asked = false;
    if (q->answer.code != CODE_OK) {
        leave(c, 0);
        rpc_answered(rpc);
    } else if (leases->n && rpc->cancelled) {
        leave(c, 0);
        give_back(c, leases);
    } else if (rpc->cancelled) {
        leave(c, 0);
        batcher_release(q);
        rpc_end_cancelled(rpc);
    } else if (leases->n || !c->waits || clock_monotonic() >= c->until_us) {
        leave(c, (int64_t)leases->n);
        rpc_answered(rpc);
    } else {
        sleep_on(c, q, leases);
        batcher_release(q);
    }
}

static void look(struct claim *c)
{
    if (c->waits)
        hub_look(&c->wait);
    c->asked = true;
    if (c->rpc->call->idempotency_key.n)
        rpc_post_keyed(c->rpc, keyed_answered);
    else
        rpc_post(c->rpc, answered);
}

static void cancelled(struct rpc *rpc)
{
    struct claim *c = rpc->state;

    if (c->asked)
        return;
    leave(c, 0);
    rpc_end_cancelled(rpc);
}

/* An empty answer, without another look: the store may be away. */
static void drained(struct rpc *rpc)
{
    struct claim *c = rpc->state;
    const struct api_action *action = rpc->row->action;

    c->until_us = clock_monotonic();
    if (c->asked)
        return;
    leave(c, 0);
    memset(rpc->reply, 0, action->reply_size);
    rpc_finish(rpc, action->encode(rpc->api.arena, rpc->request, rpc->reply));
}

bool claim_begin(struct rpc *rpc)
{
    const struct api_queue_claim *request = rpc->request;
    struct claim *c = ARENA_NEW(rpc->api.arena, struct claim);

    c->rpc = rpc;
    c->until_us = rpc->begun_us + request->wait_us;
    c->waits =
        request->wait_us > 0 && methods_seat(rpc->methods) && !methods_draining(rpc->methods);
    c->wait = (struct hub_wait){
        .seat = methods_seat(rpc->methods),
        .topic = request->claim.run ? HUB_RUNS : HUB_QUEUE,
        .queue = request->claim.queue,
        .until_us = c->until_us,
        .want = request->claim.max,
        .woken = woken,
        .context = c,
    };
    rpc->state = c;
    rpc->on_cancel = cancelled;
    rpc->on_drain = drained;
    look(c);
    return true;
}
