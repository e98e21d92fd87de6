/* SPDX-License-Identifier: Apache-2.0 */
/* What a simulated runner does when it is called, and with the stages that it took. */
#include <inttypes.h>
#include <string.h>

#include "net/grpc.h"
#include "serve/dispatch_call.h"
#include "sim/sim_planner.h"
#include "sim/sim_runner_state.h"

#define ANSWER_BYTES_MAX 1000

static void answer(struct sim_call *c, const ProtobufCMessage *m)
{
    char bytes[ANSWER_BYTES_MAX];
    struct buf out;

    buf_fixed(&out, bytes, sizeof(bytes));
    codec_encode(m, &out);
    sim_wire_answer(c, GRPC_OK, buf_str(&out));
}

/* An event of a job of this life of the process. */
struct job_event {
    struct sim_runner *runner;
    int64_t life;
};

static void plan(struct sim_runner *r, int64_t in_us, world_event *event, int64_t token)
{
    struct job_event *e = ARENA_NEW(&r->sim->memory, struct job_event);

    *e = (struct job_event){r, r->life};
    world_plan(r->sim, in_us, event, e, token);
}

/* The job that the event is for; NULL: there is none any more, or the event comes again when the
 * runner wakes. */
static struct runner_job *job_now(const struct job_event *e, world_event *event, int64_t token)
{
    struct sim_runner *r = e->runner;

    if (e->life != r->life || !token)
        return NULL;
    if (sim_runner_asleep(r)) {
        plan(r, r->asleep_until - world_now(r->sim), event, token);
        return NULL;
    }
    return sim_runner_job(r, token);
}

/* ---- the end of a job ---- */

static void tell_end(struct sim_runner *r, struct lease_ref lease, const char *outcome,
                     const char *content, struct ask_update *update)
{
    struct ask *a = sim_runner_ask(r, ASK_COMPLETE);

    a->leases = ARENA_NEW(&r->sim->memory, struct lease_ref);
    a->leases[0] = lease;
    a->leases_n = 1;
    a->outcome = outcome;
    a->content = content;
    a->update = update;
    a->tries_max = 1000;
    ask_send(a);
}

static void report(struct runner_job *j, const char *outcome, const char *content,
                   const struct ask_update *update)
{
    Weft__V1__StageReport m = WEFT__V1__STAGE_REPORT__INIT;
    Weft__V1__Error error = WEFT__V1__ERROR__INIT;
    Weft__V1__CheckUpdate *checks[1];
    struct arena a = {0};

    m.outcome = codec_text(&a, str_of(outcome));
    if (strcmp(outcome, "succeeded") == 0) {
        m.has_result = true;
        m.result.data = (uint8_t *)codec_text(&a, str_of(content));
        m.result.len = strlen(content);
    } else {
        error.message = codec_text(&a, str_of(content));
        m.error = &error;
    }
    if (update) {
        checks[0] = ask_update_message(update, &a);
        m.checks = checks;
        m.n_checks = 1;
    }
    answer(j->call, &m.base);
    arena_deinit(&a);
}

static struct ask_update *draw_update(struct sim_runner *r, const struct runner_job *j)
{
    struct ask_update *u;

    if (!j->check || stream_chance(r->sim, &r->chance, 200000))
        return NULL;
    u = ARENA_NEW(&r->sim->memory, struct ask_update);
    u->check = j->check;
    u->final = stream_chance(r->sim, &r->chance, 600000);
    u->failed = stream_chance(r->sim, &r->chance, 200000);
    return u;
}

static void finish(struct sim_runner *r, struct runner_job *j)
{
    const char *outcome = "succeeded", *content = "{\"ok\":true}";
    struct ask_update *update = NULL;

    if (j->stop) {
        outcome = "cancelled";
        content = "stopped";
    } else if (sim_runner_fault(r, SIM_WORKER_FAILS)) {
        outcome = "failed";
        content = "it went wrong";
    } else {
        update = draw_update(r, j);
    }
    if (!j->call) {
        j->ending = true;
        tell_end(r, j->lease, outcome, content, update);
        return;
    }
    report(j, outcome, content, update);
    r->done++;
    *j = (struct runner_job){0};
}

void sim_runner_hear_end(struct sim_runner *r, const struct ask *a, const struct answer *answer)
{
    bool good = answer->code == CODE_OK && answer->n && answer->codes[0] == CODE_OK;
    bool bad_checks = answer->n && (answer->codes[0] == CODE_CHECK_FINAL ||
                                    answer->codes[0] == CODE_TASK_NOT_FOUND);
    struct runner_job *j = sim_runner_job(r, a->leases[0].token);

    if (!j)
        return;       /* it was said a second time */
    if (bad_checks) { /* then without them */
        tell_end(r, a->leases[0], a->outcome, a->content, NULL);
        return;
    }
    *j = (struct runner_job){0};
    r->done += good;
    if (good && sim_runner_fault(r, SIM_WORKER_TWICE))
        tell_end(r, a->leases[0], a->outcome, a->content, a->update);
    if (good && sim_runner_fault(r, SIM_WORKER_DIFFERS))
        tell_end(r, a->leases[0], "failed", "something else", NULL);
}

/* ---- meanwhile ---- */

static void work_ends(struct sim *s, void *what, int64_t token)
{
    const struct job_event *e = what;
    struct runner_job *j = job_now(e, work_ends, token);

    (void)s;
    if (j && !j->ending)
        finish(e->runner, j);
}

/* It adds stages, which are its own. */
static void spawns(struct sim *s, void *what, int64_t token)
{
    const struct job_event *e = what;
    struct runner_job *j = job_now(e, spawns, token);
    struct ask *a;

    if (!j || j->ending)
        return;
    a = sim_runner_ask(e->runner, ASK_PLAN_WRITE);
    a->id = j->run;
    a->write = sim_planner_spawn(s, &e->runner->chance, j->lease, j->check);
    ask_send(a);
}

static void progresses(struct sim *s, void *what, int64_t token)
{
    const struct job_event *e = what;
    struct runner_job *j = job_now(e, progresses, token);
    struct sim_runner *r = e->runner;
    struct ask *a;

    if (!j || j->ending || j->silent)
        return;
    j->silent = sim_runner_fault(r, SIM_RUNNER_SILENT);
    a = sim_runner_ask(r, ASK_RENEW);
    a->leases = ARENA_NEW(&s->memory, struct lease_ref);
    a->leases[0] = j->lease;
    a->leases_n = 1;
    a->percent = stream_between(s, &r->chance, 1, 100);
    a->tries_max = 2;
    ask_send(a);
    plan(r, j->progress_us, progresses, token);
}

void sim_runner_hear_renew(struct sim_runner *r, const struct ask *a, const struct answer *answer)
{
    struct runner_job *j = sim_runner_job(r, a->leases[0].token);

    if (!j || j->ending || answer->n != 1)
        return;
    if (answer->codes[0] == CODE_LEASE_LOST)
        *j = (struct runner_job){0};
    else if (answer->stops[0])
        sim_runner_stop(r, j->lease.token);
}

void sim_runner_stop(struct sim_runner *r, int64_t token)
{
    struct runner_job *j = token ? sim_runner_job(r, token) : NULL;

    /* Some do not look, and end it in their own way. */
    if (!j || j->ending || stream_chance(r->sim, &r->chance, 300000))
        return;
    j->stop = true;
    finish(r, j);
}

static int64_t work_us(struct sim_runner *r, const struct runner_job *j)
{
    int64_t left = j->deadline_us - world_now(r->sim);

    if (r->o.work_us)
        return r->o.work_us;
    if (j->call && sim_runner_fault(r, SIM_RUNNER_LATE))
        return left + stream_between(r->sim, &r->chance, 1, 10 * CLOCK_S);
    if (sim_runner_fault(r, SIM_WORKER_SLOW))
        return stream_between(r->sim, &r->chance, 5 * CLOCK_S, 60 * CLOCK_S);
    return stream_between(r->sim, &r->chance, CLOCK_MS, 2 * CLOCK_S);
}

void sim_runner_work(struct sim_runner *r, struct runner_job *j)
{
    int64_t us = work_us(r, j);

    j->worked = true;
    plan(r, us, work_ends, j->lease.token);
    if (stream_chance(r->sim, &r->chance, 100000))
        plan(r, us / 2, spawns, j->lease.token);
    if (j->progress_us)
        plan(r, 1, progresses, j->lease.token);
}

/* ---- calls ---- */

static struct lease_ref lease_of(const char *text)
{
    struct lease_ref l = {0};
    size_t dot;

    if (text && str_find(str_of(text), '.', &dot)) {
        str_int64(str_sub(str_of(text), 0, dot), &l.task);
        str_int64(str_sub(str_of(text), dot + 1, strlen(text)), &l.token);
    }
    return l;
}

static int64_t number_of(const char *text)
{
    int64_t n = 0;

    return text && str_int64(str_of(text), &n) ? n : 0;
}

static void say_accepted(struct sim_call *c, bool accepted)
{
    Weft__V1__RunAsyncReply m = WEFT__V1__RUN_ASYNC_REPLY__INIT;

    m.has_accepted = true;
    m.accepted = accepted;
    answer(c, &m.base);
}

static void accepts(struct sim *s, void *what, int64_t number)
{
    (void)s;
    (void)number;
    say_accepted(what, true);
}

static void refuse(struct sim_runner *r, struct sim_call *c, bool async)
{
    if (async && stream_chance(r->sim, &r->chance, 500000))
        say_accepted(c, false);
    else
        sim_wire_answer(c, GRPC_RESOURCE_EXHAUSTED, STR(""));
}

static void begin(struct sim_runner *r, struct sim_call *c, const Weft__V1__RunStageRequest *m,
                  struct runner_job *j)
{
    bool async = strcmp(c->path, DISPATCH_CALL_ASYNC) == 0;

    *j = (struct runner_job){
        .lease = lease_of(m->token),
        .run = number_of(m->run),
        .call = async ? NULL : c,
        .deadline_us = c->deadline_us,
    };
    if (m->progress_every)
        codec_duration_us(m->progress_every, &j->progress_us);
    if (m->n_checks)
        j->check = str_copy(&r->sim->memory, str_of(m->checks[0]->name)).p;
    r->begun++;
    if (async && sim_runner_fault(r, SIM_RUNNER_LATE))
        world_plan(r->sim, c->deadline_us - world_now(r->sim) + CLOCK_S, accepts, c, 0);
    else if (async)
        say_accepted(c, true);
    if (async && sim_runner_fault(r, SIM_RUNNER_FORGETS))
        *j = (struct runner_job){0};
    else
        sim_runner_work(r, j);
}

static void take_stage(struct sim_runner *r, struct sim_call *c, const Weft__V1__RunStageRequest *m)
{
    bool async = strcmp(c->path, DISPATCH_CALL_ASYNC) == 0;
    struct runner_job *j = sim_runner_job(r, lease_of(m->token).token);

    if (number_of(m->worker) != r->incarnation || !r->incarnation) {
        sim_wire_answer(c, GRPC_FAILED_PRECONDITION, STR(""));
    } else if (j) { /* it came twice, and is done once */
        if (async)
            say_accepted(c, true);
    } else if (sim_runner_fault(r, SIM_RUNNER_HANGS)) {
        world_say(r->sim, "%s hangs", r->name);
    } else if (sim_runner_fault(r, SIM_RUNNER_GARBAGE)) {
        sim_wire_answer(c, GRPC_OK, STR("\xff\xff\xff\xff"));
    } else if (sim_runner_jobs(r) == RUNNER_JOBS_MAX || sim_runner_fault(r, SIM_RUNNER_REFUSES)) {
        refuse(r, c, async);
    } else {
        begin(r, c, m, sim_runner_job(r, 0));
    }
}

static void take_ping(struct sim_runner *r, struct sim_call *c, const Weft__V1__PingRequest *m)
{
    const Weft__V1__PingReply reply = WEFT__V1__PING_REPLY__INIT;

    if (number_of(m->worker) == r->incarnation)
        answer(c, &reply.base);
    else
        sim_wire_answer(c, GRPC_FAILED_PRECONDITION, STR(""));
}

static void take(struct sim_runner *r, struct sim_call *c, struct arena *a)
{
    static const struct {
        const char *path;
        const ProtobufCMessageDescriptor *what;
    } kinds[] = {
        {DISPATCH_CALL_CANCEL, &weft__v1__cancel_stage_request__descriptor},
        {DISPATCH_CALL_PING,   &weft__v1__ping_request__descriptor        },
        {DISPATCH_CALL_RUN,    &weft__v1__run_stage_request__descriptor   },
        {DISPATCH_CALL_ASYNC,  &weft__v1__run_stage_request__descriptor   },
    };
    ProtobufCMessage *m = NULL;
    const void *message;
    struct str why;
    size_t i = 0;

    while (strcmp(kinds[i].path, c->path) != 0)
        i++;
    if (codec_decode(a, kinds[i].what, c->message, &m, &why)) {
        world_fail(r->sim, "called", "a runner is called with nonsense: " STR_FMT, STR_ARG(why));
        return;
    }
    message = m;
    if (i == 0) {
        const Weft__V1__CancelStageRequest *cancel = message;

        sim_wire_answer(c, GRPC_OK, STR(""));
        sim_runner_stop(r, lease_of(cancel->token).token);
    } else if (i == 1) {
        take_ping(r, c, message);
    } else {
        take_stage(r, c, message);
    }
}

static void take_later(struct sim *s, void *what, int64_t number)
{
    struct sim_call *c = what;

    (void)s;
    if (c->runner->life == number)
        sim_runner_take(c->runner, c);
}

void sim_runner_take(struct sim_runner *r, struct sim_call *c)
{
    struct arena a = {0};

    if (sim_runner_asleep(r)) {
        world_plan(r->sim, r->asleep_until - world_now(r->sim), take_later, c, r->life);
        return;
    }
    take(r, c, &a);
    arena_deinit(&a);
}
