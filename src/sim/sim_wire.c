/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_wire.h"

#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "net/grpc.h"
#include "serve/dispatch_call.h"
#include "sim/model.h"
#include "sim/sim_runner.h"
#include "sim/sim_server.h"

#define CONNECT_US CALLER_CONNECT_US

struct caller_peer {
    struct sim_wire *wire;
    struct sim_runner *runner;
};

struct sim_wire {
    struct sim *sim;
    struct sim_server *server;
    int number;
    struct stream chance;
    struct list calls; /* that are not over */
};

static struct sim_call *call_of(struct list *link)
{
    return LIST_OF(link, struct sim_call, link);
}

static bool fault_now(struct sim_wire *w, enum sim_fault f)
{
    return stream_fault(w->sim, &w->chance, f);
}

static bool is_cut(const struct sim_call *c)
{
    return c->wire->sim->cut[sim_runner_place(c->runner)][c->wire->number];
}

/* How a call comes out at its server. */
static void over(struct sim_call *c, int status, const char *text, struct str reply)
{
    struct caller_call *call = TAKE(c->call);

    world_say(c->wire->sim, "s%d: call %" PRId64 " to %s is over: %d%s%s", c->wire->number + 1,
              c->number, sim_runner_name(c->runner), status, *text ? ", " : "", text);
    list_del(&c->link);
    call->peer = NULL;
    call->status = status;
    call->text = str_of(text);
    call->reply = reply;
    call->sent = c->sent;
    call->done(call);
}

/* The same, in a while. */
struct ending {
    struct sim_call *call;
    int status;
    const char *text;
    struct str reply;
};

static void ends(struct sim *s, void *what, int64_t number)
{
    const struct ending *e = what;

    (void)s;
    (void)number;
    if (!e->call->call)
        return;
    over(e->call, e->status, e->text, e->reply);
    sim_server_moved(e->call->wire->server);
}

static void end_in(struct sim_call *c, int64_t in_us, int status, const char *text,
                   struct str reply)
{
    struct ending *e = ARENA_NEW(&c->wire->sim->memory, struct ending);

    *e = (struct ending){c, status, text, reply};
    world_plan(c->wire->sim, in_us, ends, e, 0);
}

static int64_t travel(struct sim_wire *w)
{
    if (fault_now(w, SIM_NET_DELAY))
        return stream_between(w->sim, &w->chance, 10 * CLOCK_MS, 20 * CLOCK_S);
    return stream_between(w->sim, &w->chance, 50, 2 * CLOCK_MS);
}

static void breaks_off(struct sim_call *c, int64_t in_us)
{
    end_in(c, in_us, GRPC_UNAVAILABLE, "the connection broke off", STR(""));
}

static void arrives(struct sim *s, void *what, int64_t number)
{
    struct sim_call *c = what;

    (void)s;
    (void)number;
    if (is_cut(c))
        return;
    if (sim_runner_runs(c->runner))
        sim_runner_take(c->runner, c);
    else
        breaks_off(c, 1);
}

static void deadline(struct sim *s, void *what, int64_t number)
{
    struct sim_call *c = what;

    if (!c->call)
        s->steps--; /* nothing has happened */
    else
        end_in(c, 0, GRPC_DEADLINE_EXCEEDED, "the deadline passed", STR(""));
    (void)number;
}

/* That the lease which it is made for was given to this runner, and that it is called once. */
static void check_called(const struct sim_call *c)
{
    struct arena a = {0};
    ProtobufCMessage *m;
    struct str why;

    if (strcmp(c->path, DISPATCH_CALL_RUN) != 0 && strcmp(c->path, DISPATCH_CALL_ASYNC) != 0)
        return;
    if (codec_decode(&a, &weft__v1__run_stage_request__descriptor, c->message, &m, &why))
        world_fail(c->wire->sim, "called", "a runner is called with nonsense: " STR_FMT,
                   STR_ARG(why));
    else
        model_called(c->wire->sim->model, (const Weft__V1__RunStageRequest *)(const void *)m,
                     sim_runner_name(c->runner));
    arena_deinit(&a);
}

static void put_out(struct sim_call *c)
{
    struct sim_wire *w = c->wire;

    c->sent = true;
    world_plan(w->sim, travel(w), arrives, c, 0);
    if (fault_now(w, SIM_NET_TWICE))
        world_plan(w->sim, travel(w), arrives, c, 0);
    if (fault_now(w, SIM_CALL_BREAKS) || fault_now(w, SIM_NET_LOSS))
        breaks_off(c, stream_between(w->sim, &w->chance, CLOCK_MS, 5 * CLOCK_S));
}

static void wire_start(struct caller_peer *p, struct caller_call *call)
{
    struct sim_wire *w = p->wire;
    struct sim *s = w->sim;
    struct sim_call *c = ARENA_NEW(&s->memory, struct sim_call);

    *c = (struct sim_call){
        .wire = w,
        .runner = p->runner,
        .call = call,
        .path = call->path,
        .message = str_copy(&s->memory, call->message),
        .deadline_us = call->deadline_us,
        .number = ++s->asks,
    };
    call->peer = p;
    list_add(&w->calls, &c->link);
    if (!sim_server_up(w->server))
        return;
    world_say(s, "s%d: call %" PRId64 " to %s: %s", w->number + 1, c->number,
              sim_runner_name(p->runner), c->path);
    check_called(c);
    if (call->deadline_us != INT64_MAX)
        world_plan(s, call->deadline_us - world_now(s), deadline, c, 0);
    if (is_cut(c))
        end_in(c, CONNECT_US, GRPC_UNAVAILABLE, "it does not answer", STR(""));
    else if (!sim_runner_runs(c->runner))
        end_in(c, travel(w), GRPC_UNAVAILABLE, "nobody listens there", STR(""));
    else
        put_out(c);
}

static void wire_cancel(struct caller_call *call)
{
    if (!call->peer)
        return;
    LIST_EACH(link, &call->peer->wire->calls)
    {
        struct sim_call *c = call_of(link);

        if (c->call == call)
            end_in(c, 0, GRPC_CANCELLED, "the call was cancelled", STR(""));
    }
}

static int wire_peer(void *context, struct str address, struct caller_peer **ret,
                     const char **ret_why)
{
    struct sim_wire *w = context;
    struct sim_runner *r = sim_runner_at(w->sim, address);

    if (!r) {
        *ret_why = "is none";
        return CALLER_E_BAD;
    }
    *ret = ARENA_NEW(&w->sim->memory, struct caller_peer);
    **ret = (struct caller_peer){w, r};
    return 0;
}

static void wire_leave(struct caller_peer *p)
{
    (void)p;
}

bool sim_wire_end(struct sim_wire *w)
{
    bool any = false;

    LIST_EACH_SAFE(link, &w->calls)
    {
        over(call_of(link), GRPC_CANCELLED, "the call was cancelled", STR(""));
        any = true;
    }
    return any;
}

void sim_wire_answer(struct sim_call *c, int status, struct str reply)
{
    struct sim_wire *w = c->wire;

    if (!c->call || is_cut(c))
        return;
    if (fault_now(w, SIM_NET_LOSS)) {
        breaks_off(c, travel(w));
        return;
    }
    end_in(c, travel(w), status, status ? "it said no" : "", str_copy(&w->sim->memory, reply));
}

void sim_wire_died(struct sim *s, const struct sim_runner *r)
{
    for (int i = 0; i < s->o.profile.servers; i++) {
        struct sim_wire *w = sim_server_wire(s->servers[i]);

        LIST_EACH(link, &w->calls)
        {
            if (call_of(link)->runner == r && call_of(link)->sent)
                breaks_off(call_of(link), travel(w));
        }
    }
}

struct dispatch_wire sim_wire_of(struct sim_wire *w)
{
    return (struct dispatch_wire){w, wire_peer, wire_leave, wire_start, wire_cancel};
}

struct sim_wire *sim_wire_new(struct sim *s, struct sim_server *v, int number)
{
    struct sim_wire *w = ARENA_NEW(&s->memory, struct sim_wire);

    w->sim = s;
    w->server = v;
    w->number = number;
    w->chance.whose = STREAM_WIRE + (uint32_t)number;
    list_init(&w->calls);
    return w;
}
