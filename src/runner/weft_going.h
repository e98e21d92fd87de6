/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft_going: a runner, its types and the stages that go on, for the files that make it up:
 * weft_stage.c is what a function sees of its stage, weft_calls.c what the server calls,
 * weft_runner.c begins and ends it all (weft_runner_serve.c for a whole program).
 *
 *     call --take--> [QUEUED --a thread is free-->] GOING --the function returns--> ENDED
 *                       +--nobody waits any more--> dropped
 *
 * Three kinds of threads: those of the worker that a type is registered as (client/weft_held.h),
 * those of the pool, which see one stage each, and the loop's. All calls and all moves of stages
 * are on the loop: whether a call still waits when its stage begins is no question there.
 */
#ifndef RUNNER_WEFT_GOING_H
#define RUNNER_WEFT_GOING_H

#include <uv.h>

#include "api/codec.h"
#include "base/map.h"
#include "client/weft_held.h"
#include "net/server.h"
#include "runner/weft_finished.h"
#include "runner/weft_pool.h"
#include "runner/weft_runner.h"

enum { WEFT_METHODS_N = 4 };

/* What is registered for one type. */
struct weft_offer {
    struct weft_runner *runner;
    char *type;
    weft_stage_work *work;
    void *context;
    enum weft_stage_modes modes;
    unsigned slots;             /* 0: no limit */
    struct weft_worker *worker; /* as which it registers, heartbeats and reports */
    bool entered;
    /* The loop's: */
    unsigned busy;
    struct list early; /* calls that may be for the registration which is not answered yet */
};

struct weft_runner {
    struct weft *client;
    char *name, *address;
    struct weft_offer *offers;
    size_t offers_n;
    struct weft_pool *pool;

    uv_loop_t loop;
    uv_async_t wake;
    struct server *server;
    struct tls *tls;
    struct call_service service;
    pthread_t thread; /* which turns the loop */
    /* The loop's: */
    struct map *stages; /* by token, those that go on */
    struct list going;  /* likewise, those that have a thread */
    struct list queued; /* and those that wait for one */
    struct weft_finished *finished;

    atomic_bool stopping, ending;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    size_t stages_n; /* that go on */
    bool abandoning; /* the loop shall let go of all that goes on */
};

enum weft_stage_state { WEFT_STAGE_QUEUED, WEFT_STAGE_GOING };

struct weft_stage {
    struct weft_job job;
    struct list link; /* of the runner's going or queued */
    struct weft_offer *offer;
    struct weft_lease *lease;
    bool async;
    _Atomic(char *) cancelled; /* why; set once */
    struct arena arena;        /* of the request, and of what the function says */
    const Weft__V1__RunStageRequest *request;
    struct str args;
    int64_t deadline_us; /* UTC; INT64_MAX: none */
    struct weft_check *checks;

    /* Its function's, and then the loop's: */
    Weft__V1__StageReport *said;
    size_t said_bytes, said_checks_cap;

    /* The loop's: */
    enum weft_stage_state state;
    bool abandoned;      /* nothing is told of its end */
    struct list waiting; /* calls */
};

/* Of a request that has a token; a copy is made of it. */
WEFT_WITHIN struct weft_stage *weft_stage_new(struct weft_offer *offer,
                                              const Weft__V1__RunStageRequest *request, bool async);
WEFT_WITHIN struct weft_stage *weft_stage_free(struct weft_stage *stage);
/* Do it. */
WEFT_WITHIN void weft_stage_perform(struct weft_job *job);
/* Any thread; the first reason counts. */
WEFT_WITHIN void weft_stage_cancel(struct weft_stage *stage, const char *reason);

/* The four methods of weft.v1.Runner, for runner->service. */
WEFT_WITHIN void weft_calls_serve(struct weft_runner *r);
/* On the loop, after a wake: stages that are done, calls that came early, what else is asked. */
WEFT_WITHIN void weft_calls_look(struct weft_runner *r);

#endif
