/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_local.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "engine/run.h"
#include "sim/model.h"

#define SLOTS  3
#define TTL_US (60 * CLOCK_S)

enum op { OP_LOSE, OP_JOIN, OP_BEAT, OP_CLAIM, OP_COMPLETE, OP_N };

BATCHER_FUNCTION(call_lose, worker_lose)
BATCHER_FUNCTION(call_join, worker_register)
BATCHER_FUNCTION(call_beat, worker_beat)
BATCHER_FUNCTION(call_claim, run_claim)
BATCHER_FUNCTION(call_complete, task_complete)

/* A process that is simulated: what it will have come to is drawn when it starts. */
struct process {
    struct lease_ref lease; /* token 0: none */
    struct task_result result;
    bool hangs;       /* only SIGKILL ends it, once it has had its grace */
    bool stop, ended; /* ended: it waits to be told */
};

/* What may become of one, as work/result.c tells it. */
static const struct fate {
    enum sim_fault fault;
    enum outcome outcome;
    enum task_reason reason;
    int exit_code; /* 0: drawn; -1: none */
    int signal;
} fates[] = {
    {SIM_PROCESS_MISSING, OUTCOME_FAILED,    TASK_REASON_SPAWN_FAILED,   -1, 0      },
    {SIM_PROCESS_FAILS,   OUTCOME_FAILED,    TASK_REASON_COMMAND_FAILED, 0,  0      },
    {SIM_PROCESS_KILLED,  OUTCOME_FAILED,    TASK_REASON_COMMAND_KILLED, -1, SIGKILL},
    {SIM_PROCESS_HANGS,   OUTCOME_TIMED_OUT, TASK_REASON_TIMED_OUT,      -1, SIGKILL},
};
#define GRACE_US (5 * CLOCK_S)

struct sim_local {
    struct sim *sim;
    struct sim_server *server;
    struct stream chance;
    int64_t life;
    bool up;
    int64_t before; /* the incarnation of the life before, until it is lost; 0: none */
    int64_t incarnation;
    bool busy[OP_N];
    struct batcher_request requests[OP_N];
    struct process processes[SLOTS];

    struct worker_lose lose;
    struct worker_lose_reply lost;
    struct worker_register join;
    struct worker_row joined;
    struct worker_beat_reply beat;
    struct run_claim claim;
    struct run_shares claimed;
    struct task_result results[SLOTS];
    struct task_complete complete;
    struct task_codes completed;
};

static void done_lose(struct sim_local *r, enum code code);
static void done_join(struct sim_local *r, enum code code);
static void done_beat(struct sim_local *r, enum code code);
static void done_claim(struct sim_local *r, enum code code);
static void done_complete(struct sim_local *r, enum code code);

#define OP_FIELDS(request_, reply_)                                                                \
    offsetof(struct sim_local, request_), offsetof(struct sim_local, reply_),                      \
        sizeof(((struct sim_local *)NULL)->reply_)

static const struct op_row {
    const char *name;
    batcher_function *function;
    void (*done)(struct sim_local *r, enum code code);
    size_t request, reply, reply_size;
} rows[OP_N] = {
    [OP_LOSE] = {"local.lose",     call_lose,     done_lose,     OP_FIELDS(lose,        lost)     },
    [OP_JOIN] = {"local.join",     call_join,     done_join,     OP_FIELDS(join,        joined)   },
    [OP_BEAT] = {"local.beat",     call_beat,     done_beat,     OP_FIELDS(incarnation, beat)     },
    [OP_CLAIM] = {"local.claim",    call_claim,    done_claim,    OP_FIELDS(claim,       claimed)  },
    [OP_COMPLETE] = {"local.complete", call_complete, done_complete,
                 OP_FIELDS(complete,                                                    completed)},
};

static void answered(struct batcher_request *q)
{
    struct sim_local *r = q->context;
    size_t op = (size_t)(q - r->requests);

    r->busy[op] = false;
    if (r->up)
        rows[op].done(r, q->answer.code);
    batcher_release(q);
}

static void post(struct sim_local *r, enum op op)
{
    struct batcher_request *q = &r->requests[op];

    r->busy[op] = true;
    *q = (struct batcher_request){
        .name = rows[op].name,
        .function = rows[op].function,
        .lane = BATCHER_OWN,
        .request = (char *)r + rows[op].request,
        .reply = (char *)r + rows[op].reply,
        .reply_size = rows[op].reply_size,
        .patience_us = BATCHER_FOR_EVER,
        .done = answered,
        .context = r,
    };
    sim_server_post(r->server, q);
}

/* Processes. */

static size_t running(const struct sim_local *r)
{
    size_t n = 0;

    for (size_t i = 0; i < SLOTS; i++)
        n += r->processes[i].lease.token != 0;
    return n;
}

struct ending {
    struct sim_local *local;
    int64_t life;
};

static void process_ends(struct sim *s, void *what, int64_t token)
{
    const struct ending *e = what;
    struct sim_local *r = e->local;

    (void)s;
    for (size_t i = 0; i < SLOTS && e->life == r->life; i++)
        if (r->processes[i].lease.token == token)
            r->processes[i].ended = true;
}

/* The first fate that befalls it. */
static const struct fate *draw_fate(struct sim_local *r)
{
    for (size_t i = 0; i < sizeof(fates) / sizeof(*fates); i++)
        if (stream_fault(r->sim, &r->chance, fates[i].fault))
            return &fates[i];
    return NULL;
}

/* What it comes to, and how long it takes. */
static int64_t process_draw(struct sim_local *r, struct process *p, int64_t timeout_us)
{
    const struct fate *f = draw_fate(r);

    p->result = (struct task_result){.lease = p->lease, .outcome = OUTCOME_SUCCEEDED};
    if (f) {
        p->hangs = f->fault == SIM_PROCESS_HANGS;
        p->result.outcome = f->outcome;
        p->result.reason = f->reason;
        p->result.signal = f->signal;
        p->result.exit_code =
            f->exit_code ? f->exit_code : (int)stream_between(r->sim, &r->chance, 1, 255);
    }
    if (p->hangs)
        return timeout_us + GRACE_US;
    if (f && f->fault == SIM_PROCESS_MISSING)
        return 1;
    if (stream_fault(r->sim, &r->chance, SIM_PROCESS_SLOW))
        return stream_between(r->sim, &r->chance, timeout_us / 2, timeout_us - 1);
    return stream_between(r->sim, &r->chance, CLOCK_MS, 3 * CLOCK_S);
}

static void ends_in(struct sim_local *r, const struct process *p, int64_t us)
{
    struct ending *e = ARENA_NEW(&r->sim->memory, struct ending);

    *e = (struct ending){r, r->life};
    world_plan(r->sim, us, process_ends, e, p->lease.token);
}

static void process_start(struct sim_local *r, struct lease_ref lease, int64_t timeout_us)
{
    size_t i = 0;

    while (i < SLOTS && r->processes[i].lease.token)
        i++;
    if (i == SLOTS) {
        world_fail(r->sim, "slots", "a server's worker got more tasks than it has slots");
        return;
    }
    r->processes[i] = (struct process){.lease = lease};
    ends_in(r, &r->processes[i], process_draw(r, &r->processes[i], timeout_us));
}

/* It is to be cancelled: SIGTERM ends it, or SIGKILL a while later. */
static void process_stop(struct sim_local *r, struct process *p)
{
    if (p->stop || p->ended)
        return;
    p->stop = true;
    p->result = (struct task_result){.lease = p->lease,
                                     .outcome = OUTCOME_CANCELLED,
                                     .reason = TASK_REASON_CANCELLED,
                                     .exit_code = -1,
                                     .signal = p->hangs ? SIGKILL : SIGTERM};
    ends_in(r, p, p->hangs ? GRACE_US : 1);
}

/* What has ended is told together. */
static void tell_ends(struct sim_local *r)
{
    size_t n = 0;

    for (size_t i = 0; i < SLOTS; i++) {
        const struct process *p = &r->processes[i];

        if (!p->lease.token || !p->ended)
            continue;
        r->results[n++] = p->result;
    }
    r->complete = (struct task_complete){r->results, n};
    if (n)
        post(r, OP_COMPLETE);
}

/* Turns. */

static void turn(struct sim *s, void *what, int64_t life);

static void go_on(struct sim_local *r, int64_t in_us)
{
    world_plan(r->sim, in_us, turn, r, r->life);
}

static void join(struct sim_local *r)
{
    memset(r->processes, 0, sizeof(r->processes));
    r->incarnation = 0;
    r->join = (struct worker_register){
        .name = STR("local"),
        .kind = WORKER_LOCAL,
        .host = STR("sim"),
        .boot = STR("boot"),
        .pid = 1,
        .slots = SLOTS,
        .ttl_us = TTL_US,
    };
    post(r, OP_JOIN);
}

static void turn(struct sim *s, void *what, int64_t life)
{
    struct sim_local *r = what;
    int64_t room = SLOTS - (int64_t)running(r);

    if (life != r->life || !r->up)
        return;
    go_on(r, stream_between(s, &r->chance, 200 * CLOCK_MS, 2 * CLOCK_S));
    if (r->busy[OP_LOSE] || r->busy[OP_JOIN])
        return;
    if (r->before) {
        r->lose = (struct worker_lose){.incarnation = r->before, .reason = STR("its server died")};
        post(r, OP_LOSE);
        return;
    }
    if (!r->incarnation) {
        join(r);
        return;
    }
    if (!r->busy[OP_COMPLETE])
        tell_ends(r);
    if (!r->busy[OP_BEAT])
        post(r, OP_BEAT);
    if (!r->busy[OP_CLAIM] && !r->busy[OP_COMPLETE] && room > 0) {
        r->claim =
            (struct run_claim){.worker = r->incarnation, .after = r->claimed.after, .max = room};
        post(r, OP_CLAIM);
    }
}

/* Answers. */

static void done_lose(struct sim_local *r, enum code code)
{
    if (code == CODE_OK)
        r->before = 0;
}

static void done_join(struct sim_local *r, enum code code)
{
    if (code == CODE_OK)
        r->incarnation = r->joined.incarnation;
}

/* It is over in the store's eyes: nothing that it holds is its own any more. */
static void check_lost(struct sim_local *r, enum code code)
{
    if (code == CODE_WORKER_LOST)
        r->incarnation = 0;
}

static void done_beat(struct sim_local *r, enum code code)
{
    check_lost(r, code);
    for (size_t i = 0; code == CODE_OK && i < r->beat.stop_n; i++)
        for (size_t j = 0; j < SLOTS; j++)
            if (r->processes[j].lease.token == r->beat.stop[i].token)
                process_stop(r, &r->processes[j]);
}

static void done_claim(struct sim_local *r, enum code code)
{
    check_lost(r, code);
    for (size_t i = 0; code == CODE_OK && i < r->claimed.n; i++)
        for (size_t j = 0; j < r->claimed.list[i].leases.n; j++) {
            const struct task_lease *l = &r->claimed.list[i].leases.list[j];

            process_start(r, (struct lease_ref){l->task, l->token}, l->timeout_us);
        }
}

static void done_complete(struct sim_local *r, enum code code)
{
    for (size_t i = 0; code == CODE_OK && i < r->complete.n; i++)
        for (size_t j = 0; j < SLOTS; j++)
            if (r->processes[j].lease.token == r->results[i].lease.token)
                r->processes[j] = (struct process){0};
}

/* Life. */

void sim_local_start(struct sim_local *r)
{
    r->up = true;
    r->life++;
    go_on(r, 0);
}

void sim_local_die(struct sim_local *r)
{
    r->up = false;
    r->life++;
    /* Of a registration whose answer nobody heard only its silence tells. */
    r->before = r->incarnation ? r->incarnation : r->before;
    r->incarnation = 0;
    memset(r->processes, 0, sizeof(r->processes));
}

struct sim_local *sim_local_new(struct sim *s, struct sim_server *v, int number)
{
    struct sim_local *r = ARENA_NEW(&s->memory, struct sim_local);

    r->sim = s;
    r->server = v;
    r->chance.whose = STREAM_LOCAL + (uint32_t)number;
    return r;
}
