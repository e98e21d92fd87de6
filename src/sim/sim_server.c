/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "api/codec.h"
#include "base/fault.h"
#include "base/memory.h"
#include "serve/claim.h"
#include "serve/dispatch.h"
#include "serve/duties.h"
#include "serve/loop.h"
#include "serve/methods.h"
#include "serve/rpc.h"
#include "sim/model.h"
#include "sim/sim_cluster.h"
#include "sim/sim_local.h"

/* A call that a server has. */
struct served {
    struct call call;
    struct sim_server *server;
    struct ask *ask;
    struct list link;
    bool committed; /* the transaction that it ran in */
    bool took_effect;
};

struct sim_server {
    struct sim *sim;
    int number;
    int64_t life;
    bool up;
    bool dying; /* it dies when the batch is left */
    struct stream chance;

    struct loop_hand loop;
    struct hub *hub;
    struct batcher *batcher;
    struct api_house house;
    struct methods *methods;
    struct batcher_home *home;
    struct hub_seat *seat;
    struct duties *duties;
    struct sim_local *local; /* NULL: it carries no runs */
    struct sim_wire *wire;
    struct dispatch *dispatch; /* NULL: it calls no runners */
    bool duties_over;
    struct list calls;

    struct store_faults faults;
    enum sim_fault trouble; /* of the store … */
    int64_t trouble_until;  /* … so long */
    int64_t statement;      /* the transaction that runs fails at this statement; 0: at none */
    int statement_fault;
    bool committing;  /* the transaction came to its commit */
    bool commit_done; /* … which took place, whatever was said */
    int64_t settle_at;

    int64_t loop_at, loop_ticket; /* when the loop is to be turned; 0: it is not planned */
    bool store_planned;
};

/* What goes wrong with its store. */

static int64_t now_of(const struct sim_server *v)
{
    return world_now(v->sim);
}

static bool fault_now(struct sim_server *v, enum sim_fault f)
{
    if (!stream_fault(v->sim, &v->chance, f))
        return false;
    world_say(v->sim, "s%d: fault %d", v->number + 1, (int)f);
    return true;
}

static void trouble_begin(struct sim_server *v)
{
    static const enum sim_fault kinds[] = {SIM_STORE_FULL, SIM_STORE_LOCKED};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (fault_now(v, kinds[i])) {
            v->trouble = kinds[i];
            v->trouble_until =
                now_of(v) + stream_between(v->sim, &v->chance, CLOCK_MS, 20 * CLOCK_S);
        }
}

/* Which statement of this transaction is to fail. */
static void statement_draw(struct sim_server *v)
{
    v->statement = 0;
    if (fault_now(v, SIM_STORE_DEADLOCK))
        v->statement_fault = -EAGAIN;
    else if (fault_now(v, SIM_STORE_DISK))
        v->statement_fault = -EIO;
    else
        return;
    v->statement = stream_between(v->sim, &v->chance, 1, 12);
}

static int on_begin(void *context)
{
    struct sim_server *v = context;

    v->committing = v->commit_done = false;
    if (!v->up)
        return -EIO;
    if (v->trouble_until <= now_of(v))
        trouble_begin(v);
    if (v->trouble_until > now_of(v) && v->trouble == SIM_STORE_LOCKED)
        return -EBUSY;
    statement_draw(v);
    return 0;
}

static int on_statement(void *context)
{
    struct sim_server *v = context;

    if (v->trouble_until > now_of(v) && v->trouble == SIM_STORE_FULL)
        return -ENOSPC;
    return v->statement && --v->statement == 0 ? v->statement_fault : 0;
}

static int on_commit(void *context, bool *ret_done)
{
    struct sim_server *v = context;

    v->committing = true;
    *ret_done = v->commit_done = true;
    if (fault_now(v, SIM_SERVER_KILL_COMMITTED)) {
        v->dying = true;
        return 0;
    }
    if (fault_now(v, SIM_COMMIT_DOUBT_DONE)) {
        v->settle_at = now_of(v) + stream_between(v->sim, &v->chance, CLOCK_MS, 10 * CLOCK_S);
        return -EHOSTUNREACH;
    }
    *ret_done = v->commit_done = false;
    if (fault_now(v, SIM_SERVER_KILL_UNCOMMITTED)) {
        v->dying = true;
        return -EIO;
    }
    if (fault_now(v, SIM_COMMIT_DOUBT_UNDONE)) {
        v->settle_at = now_of(v) + stream_between(v->sim, &v->chance, CLOCK_MS, 10 * CLOCK_S);
        return -EHOSTUNREACH;
    }
    if (fault_now(v, SIM_COMMIT_FAILS))
        return stream_chance(v->sim, &v->chance, 500000) ? -EIO : -ECONNRESET;
    v->commit_done = true;
    return 0;
}

static int on_settle(void *context)
{
    const struct sim_server *v = context;

    return v->up && now_of(v) < v->settle_at ? -EHOSTUNREACH : 0;
}

/* What its transactions brought. */

static struct served *served_of(struct list *link)
{
    return LIST_OF(link, struct served, link);
}

static struct served *served_by(struct sim_server *v, const struct batcher_request *q)
{
    LIST_EACH(link, &v->calls)
    {
        struct rpc *rpc = served_of(link)->call.server;

        if (rpc && &rpc->q == q)
            return served_of(link);
    }
    return NULL;
}

/* Whether it is no other than before: what finds nothing may look again. */
static bool takes_effect(const struct served *c, const struct model_op *op)
{
    if (op->code != CODE_OK || !op->reply)
        return false;
    return c->ask->kind != ASK_CLAIM || ((const struct task_leases *)op->reply)->n;
}

/* A call takes effect once, and with a key all of its tries do together. */
static void check_once(struct served *c, const struct model_op *op, bool keyed)
{
    if (!takes_effect(c, op))
        return;
    if (c->took_effect || (keyed && c->ask->took_effect))
        world_fail(c->server->sim, "once", "#%" PRId64 " %s took effect twice", c->ask->number,
                   ask_method(c->ask->kind));
    c->took_effect = c->ask->took_effect = true;
}

static uint64_t number_of(const ProtobufCMessage *message)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    struct buf bytes;

    buf_init(&bytes, API_BYTES_MAX);
    codec_encode(message, &bytes);
    for (size_t i = 0; i < bytes.n; i++)
        h = (h ^ (unsigned char)buf_str(&bytes).p[i]) * 0x100000001b3ULL;
    buf_deinit(&bytes);
    return h;
}

/* Who asks again with a key hears what it would have heard before. */
static void check_again(struct served *c, const struct rpc_keyed *reply)
{
    if (!reply->got && (!c->ask->took_effect || c->ask->effect != number_of(reply->message)))
        world_fail(c->server->sim, "again",
                   "#%" PRId64 " %s was asked again, and answered otherwise", c->ask->number,
                   ask_method(c->ask->kind));
    else if (c->took_effect)
        c->ask->effect = number_of(reply->message);
}

static void tell_of_call(struct sim_server *v, struct served *c, const struct batcher_request *q,
                         int64_t now)
{
    const struct rpc *rpc = c->call.server;
    bool keyed = q->request != rpc->request;
    struct model_op op = {
        .kind = (int)c->ask->kind,
        .request = rpc->request,
        .reply = keyed ? rpc_keyed(rpc)->got : rpc->reply,
        .code = q->answer.code,
        .text = &q->answer.text,
    };

    check_once(c, &op, keyed);
    if (keyed && op.code == CODE_OK)
        check_again(c, rpc_keyed(rpc));
    c->committed = true;
    world_say(v->sim, "s%d: #%" PRId64 " %s: %.*s", v->number + 1, c->ask->number, q->name,
              STR_ARG(code_text(op.code)));
    if (op.reply || op.code != CODE_OK)
        model_ran(v->sim->model, now, &op);
}

/* What a transaction of the server's own is to the model; -1: nothing. */
static int own_kind(const char *name)
{
    static const struct {
        const char *name;
        int kind;
    } kinds[] = {
        {CLAIM_GIVE_BACK,       MODEL_GIVE_BACK     },
        {DUTIES_TURN,           MODEL_REAPER        },
        {"local.join",          MODEL_LOCAL_JOIN    },
        {"local.beat",          MODEL_LOCAL_BEAT    },
        {"local.lose",          MODEL_LOCAL_LOSE    },
        {"local.claim",         MODEL_RUN_CLAIM     },
        {"local.complete",      MODEL_LOCAL_COMPLETE},
        {DISPATCH_ASK_ROUND,    MODEL_PUSH_ROUND    },
        {DISPATCH_ASK_ACCEPT,   MODEL_PUSH_ACCEPT   },
        {DISPATCH_ASK_REFUSE,   MODEL_PUSH_REFUSE   },
        {DISPATCH_ASK_KEEP,     MODEL_PUSH_KEEP     },
        {DISPATCH_ASK_COMPLETE, MODEL_PUSH_COMPLETE },
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].kind;
    return -1;
}

static void tell_of_own(struct sim_server *v, const struct batcher_request *q, int64_t now)
{
    const struct duties_turn *turn = q->reply;
    struct model_op op = {.request = q->request, .reply = q->reply, .code = q->answer.code};

    op.kind = q->name ? own_kind(q->name) : -1;
    op.text = &q->answer.text;
    if (op.kind < 0 && q->name)
        world_fail(v->sim, "unknown", "a transaction \"%s\" is none that the model knows", q->name);
    if (op.kind < 0 || (op.kind == MODEL_REAPER && (op.code != CODE_OK || !turn->duty.held)))
        return;
    if (op.kind == MODEL_REAPER)
        op.reply = &turn->reaper;
    world_say(v->sim, "s%d: %s: %.*s", v->number + 1, q->name, STR_ARG(code_text(op.code)));
    model_ran(v->sim->model, now, &op);
}

static void on_ran(void *context, struct batcher_request *const *list, size_t n, int64_t now, int r)
{
    struct sim_server *v = context;

    if (v->committing ? !v->commit_done : r != 0)
        return;
    v->sim->result->coverage.commits++;
    for (size_t i = 0; i < n; i++) {
        struct served *c = served_by(v, list[i]);

        if (c)
            tell_of_call(v, c, list[i], now);
        else
            tell_of_own(v, list[i], now);
        if (i + 1 == n || !list[i]->shared || list[i]->shared != list[i + 1]->shared)
            model_settle(v->sim->model);
    }
    if (n == 1 && list[0]->name && strcmp(list[0]->name, DISPATCH_ASK_ROUND) == 0 &&
        list[0]->answer.code == CODE_OK)
        check_round(v->sim, ((struct sim_cluster *)v->sim)->check, list[0]->request,
                    list[0]->reply);
}

/* Turns. */

static void arm(struct sim_server *v);

static void turn_loop(struct sim *s, void *what, int64_t ticket)
{
    struct sim_server *v = what;

    (void)s;
    if (!v->up || ticket != v->loop_ticket)
        return;
    v->loop_at = 0;
    loop_turn(&v->loop);
    arm(v);
}

static void turn_store(struct sim *s, void *what, int64_t life)
{
    struct sim_server *v = what;
    int64_t wait_us;

    if (!v->up || life != v->life)
        return;
    v->store_planned = false;
    if (!batcher_turn(v->batcher, &wait_us)) {
        s->steps--; /* nothing has happened */
        return;
    }
    if (v->dying) {
        sim_server_kill(v);
        return;
    }
    v->store_planned = true;
    world_plan(s, wait_us ? wait_us : stream_between(s, &v->chance, 20, 200), turn_store, v, life);
    arm(v);
}

static int64_t store_latency(struct sim_server *v)
{
    if (fault_now(v, SIM_STORE_SLOW))
        return stream_between(v->sim, &v->chance, 100 * CLOCK_MS, 10 * CLOCK_S);
    return stream_between(v->sim, &v->chance, 50, 2 * CLOCK_MS);
}

/* Plan what it has to do. */
static void arm(struct sim_server *v)
{
    int64_t due = loop_due(&v->loop);

    if (due != INT64_MAX && (!v->loop_at || due < v->loop_at)) {
        v->loop_at = due > 0 ? due : 1;
        world_plan(v->sim, due - now_of(v), turn_loop, v, ++v->loop_ticket);
    }
    if (!v->store_planned) {
        v->store_planned = true;
        world_plan(v->sim, store_latency(v), turn_store, v, v->life);
    }
}

/* Calls. */

static void check_durable(const struct served *c)
{
    if (c->call.code == CODE_OK && !c->committed)
        world_fail(c->server->sim, "acknowledged",
                   "#%" PRId64 " %s was answered before a commit held its effect", c->ask->number,
                   ask_method(c->ask->kind));
}

static void check_heard(const struct served *c, const struct answer *answer)
{
    struct model *m = c->server->sim->model;

    if (answer->code == CODE_OK && c->ask->kind == ASK_CLAIM)
        model_heard_claim(m, answer);
    else if (answer->code == CODE_OK && c->ask->kind == ASK_ENQUEUE)
        model_heard_ids(m, c->ask, answer);
}

static void done(struct call *call)
{
    struct served *c = call->transport;
    struct sim_server *v = c->server;

    if (v->up) {
        struct answer answer = ask_read(c->ask, call);

        check_durable(c);
        check_heard(c, &answer);
        world_say(v->sim, "s%d -> #%" PRId64 " %s: %.*s (%zu)", v->number + 1, c->ask->number,
                  c->ask->who, STR_ARG(code_text(call->code)), answer.n);
        ask_reply(c->ask, v->number, &answer);
    }
    list_del(&c->link);
    arena_deinit(&call->arena);
    free(c);
}

void sim_server_take(struct sim_server *v, struct ask *a)
{
    struct sim *s = v->sim;
    struct served *c;

    if (!v->up)
        return;
    c = memory_new(sizeof(*c));
    c->server = v;
    c->ask = a;
    c->call = (struct call){
        .method = table_find(ask_method(a->kind)),
        .deadline_us = now_of(v) + a->timeout_us + a->wait_us,
        .done = done,
        .transport = c,
    };
    c->call.request = ask_message(a, &c->call.arena);
    if (a->keyed)
        c->call.idempotency_key = str_printf(&c->call.arena, "key-%" PRId64, a->number);
    list_add(&v->calls, &c->link);
    s->result->coverage.calls++;
    methods_start(v->methods, &c->call);
    arm(v);
}

void sim_server_post(struct sim_server *v, struct batcher_request *q)
{
    q->home = v->home;
    batcher_post(v->batcher, &q, 1);
    arm(v);
}

void sim_server_cancel(struct sim_server *v, const struct ask *a)
{
    if (!v->up || v->sim->cut[a->place][v->number])
        return;
    LIST_EACH_SAFE(link, &v->calls)
    {
        struct served *c = served_of(link);

        if (c->ask == a)
            c->call.cancel(&c->call);
    }
    arm(v);
}

/* Life. */

static void parts_new(struct sim_server *v)
{
    struct sim *s = v->sim;
    const struct batcher_options writer = {
        .store = {.url = s->store, .mode = STORE_WRITE, .faults = &v->faults},
        .name = "writer",
        .by_hand = true,
        .seed = stream_draw(s, &v->chance) | 1,
        .ran = on_ran,
        .ran_context = v,
    };
    struct batcher_options o = writer;
    int r;

    loop_hand_init(&v->loop);
    loop_use(&v->loop);
    v->hub = hub_new(&(struct hub_options){.seed = stream_draw(s, &v->chance) | 1});
    o.hub = v->hub;
    r = batcher_new(&o, &v->batcher);
    v->house = (struct api_house){
        .reader = v->batcher,
        .writer = v->batcher,
        .hub = v->hub,
        .data = "/",
        .url = s->store,
        .self = {.host = STR("sim"), .boot = STR("boot"), .pid = v->number + 1},
        .begun_us = now_of(v),
    };
    r = r ? r : methods_new(NULL, &v->house, &v->methods);
    r = r ? r : batcher_home_new(NULL, &v->home);
    r = r ? r : hub_seat_new(v->hub, NULL, &v->seat);
    if (r)
        world_fail(s, "server", "the parts of a server cannot be made: %s", fault_take());
}

void sim_server_start(struct sim_server *v)
{
    struct sim *s = v->sim;

    v->up = true;
    v->dying = v->duties_over = v->store_planned = false;
    v->life++;
    v->loop_at = v->trouble_until = v->settle_at = 0;
    v->loop_ticket++;
    list_init(&v->calls);
    world_say(s, "s%d starts", v->number + 1);
    parts_new(v);
    duties_new(
        &(struct duties_options){
            .home = v->home,
            .seat = v->seat,
            .writer = v->batcher,
            .holder = str_printf(&s->memory, "s%d-%" PRId64, v->number + 1, v->life),
        },
        &v->duties);
    if (v->local)
        sim_local_start(v->local);
    if (s->o.profile.plans || s->o.scripted)
        dispatch_new(
            &(struct dispatch_options){
                .seat = v->seat,
                .writer = v->batcher,
                .home = v->home,
                .wire = sim_wire_of(v->wire),
                .callback = str_printf(&s->memory, "s%d:1", v->number + 1),
            },
            &v->dispatch);
    arm(v);
}

static void duties_over(void *context)
{
    ((struct sim_server *)context)->duties_over = true;
}

static void dispatch_over(void *context)
{
    ((struct sim_server *)context)->dispatch = NULL;
}

/* Turn what is left until nothing moves any more; no time passes. */
static void run_out(struct sim_server *v)
{
    int64_t wait_us;
    bool any;

    do {
        any = batcher_turn(v->batcher, &wait_us);
        any |= loop_turn(&v->loop);
        any |= sim_wire_end(v->wire);
    } while (any);
}

static void parts_free(struct sim_server *v)
{
    loop_use(&v->loop);
    methods_drain(v->methods);
    LIST_EACH_SAFE(link, &v->calls)
    {
        served_of(link)->call.cancel(&served_of(link)->call);
    }
    duties_stop(v->duties, duties_over, v);
    if (v->dispatch)
        dispatch_drain(v->dispatch, 0, dispatch_over, v);
    run_out(v);
    v->methods = methods_free(v->methods);
    v->home = batcher_home_free(v->home);
    v->seat = hub_seat_free(v->seat);
    run_out(v);
    v->batcher = batcher_free(v->batcher);
    v->hub = hub_free(v->hub);
}

void sim_server_moved(struct sim_server *v)
{
    arm(v);
}

struct sim_wire *sim_server_wire(const struct sim_server *v)
{
    return v->wire;
}

bool sim_server_up(const struct sim_server *v)
{
    return v->up;
}

void sim_server_kill(struct sim_server *v)
{
    if (!v->up)
        return;
    world_say(v->sim, "s%d dies", v->number + 1);
    v->up = false;
    if (v->local)
        sim_local_die(v->local);
    parts_free(v);
    sim_server_died(v->sim, v);
}

struct sim_server *sim_server_new(struct sim *s, int number)
{
    struct sim_server *v = ARENA_NEW(&s->memory, struct sim_server);

    v->sim = s;
    v->number = number;
    v->chance.whose = STREAM_SERVER + (uint32_t)number;
    v->wire = sim_wire_new(s, v, number);
    if (s->o.profile.runs)
        v->local = sim_local_new(s, v, number);
    v->faults = (struct store_faults){v, on_begin, on_statement, on_commit, on_settle};
    return v;
}

struct sim_server *sim_server_free(struct sim_server *v)
{
    if (v)
        sim_server_kill(v);
    return NULL;
}
