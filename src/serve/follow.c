/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/follow.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/fault.h"
#include "base/log.h"
#include "engine/event.h"
#include "engine/run.h"
#include "serve/local.h"
#include "serve/methods.h"
#include "serve/recover.h"
#include "serve/shape.h"

#define FOLLOW_TICK_MS    100u
#define FOLLOW_EVENTS_MAX 1000

static const int interrupts[] = {SIGINT, SIGTERM, SIGHUP};
#define INTERRUPTS_N (sizeof(interrupts) / sizeof(interrupts[0]))

struct follow {
    struct follow_options o;
    struct arena arena;
    struct run_row run;
    uv_loop_t loop;
    struct batcher_home *home;
    uv_timer_t tick;
    uv_signal_t signals[INTERRUPTS_N];
    struct local *local; /* NULL: only watching */

    struct batcher_request poll;
    struct event_list request;
    struct event_rows events;
    bool polling;
    bool last;      /* the poll began when nothing more could happen */
    bool run_ended; /* as was seen first, then as the events say */
    bool carried;   /* the local worker is over */

    unsigned interrupted;
    enum code trouble;
    bool ended;
    struct batcher_answer answer; /* not OK: why it ended early */
};

static void notice(struct follow *f, const char *text)
{
    if (f->o.listener->notice)
        f->o.listener->notice(f->o.listener->context, text);
}

static void end(struct follow *f)
{
    f->ended = true;
    uv_stop(&f->loop);
}

static void end_refused(struct follow *f, enum code code, struct str text)
{
    f->answer = (struct batcher_answer){.code = code, .text = str_copy(&f->arena, text)};
    end(f);
}

/* Events. */

BATCHER_FUNCTION(list_events, event_list)

static void poll(struct follow *f);

static void note_event(struct follow *f, const struct event *e)
{
    enum run_state state;

    f->request.after = e->seq;
    if (str_starts(e->kind, STR("run_")) &&
        run_state_parse(str_sub(e->kind, STR("run_").n, e->kind.n), &state))
        f->run_ended = run_final(state);
    if (f->o.listener->event) {
        json_t *shape = shape_event(e);

        f->o.listener->event(f->o.listener->context, shape);
        json_decref(shape);
    }
}

static void polled(struct batcher_request *q)
{
    struct follow *f = q->context;
    bool caught_up = f->events.n < FOLLOW_EVENTS_MAX;

    f->polling = false;
    if (f->ended)
        return;
    if (q->answer.code != CODE_OK) {
        /* Who carries knows better what to do about it. */
        if (!f->local || f->last)
            end_refused(f, q->answer.code, q->answer.text);
        return;
    }
    for (size_t i = 0; i < f->events.n; i++)
        note_event(f, &f->events.list[i]);
    if (caught_up && (f->last || (!f->local && f->run_ended)))
        end(f);
    else if (!caught_up || f->carried)
        poll(f);
}

static void poll(struct follow *f)
{
    struct batcher_request *q = &f->poll;

    if (f->polling)
        return;
    f->polling = true;
    f->last = f->carried;
    q->function = list_events;
    q->request = &f->request;
    q->reply = &f->events;
    q->reply_size = sizeof(f->events);
    q->patience_us = BATCHER_CALL_US;
    q->home = f->home;
    q->done = polled;
    q->context = f;
    batcher_post(f->o.reader, &q, 1);
}

/* Whoever carries needs no events to know the end. */
static bool wants_events(const struct follow *f)
{
    return !f->local || f->o.listener->event;
}

/* Say it once when the store begins to keep work waiting, and once when it is back. */
static void watch_trouble(struct follow *f)
{
    char text[BATCHER_TROUBLE_BYTES], line[BATCHER_TROUBLE_BYTES + 100];
    enum code code = batcher_trouble(f->o.writer, text);

    if (code == f->trouble)
        return;
    f->trouble = code;
    if (code == CODE_OK) {
        notice(f, "the store is back");
        return;
    }
    snprintf(line, sizeof(line), "%s; tasks go on, and what they end with is kept until it is back",
             text[0] ? text : "the store does not answer");
    notice(f, line);
}

static void ticked(uv_timer_t *timer)
{
    struct follow *f = timer->data;

    if (f->local)
        watch_trouble(f);
    if (wants_events(f))
        poll(f);
    if (f->o.listener->tick)
        f->o.listener->tick(f->o.listener->context);
}

/* Carrying. */

static void line(void *context, int64_t task, struct str text)
{
    struct follow *f = context;
    struct arena a = {0};

    if (f->o.listener->line)
        f->o.listener->line(f->o.listener->context, task, str_cstr(&a, text));
    arena_deinit(&a);
}

static void progress(void *context, int64_t task, int percent, struct str text)
{
    struct follow *f = context;
    struct arena a = {0};

    if (f->o.listener->progress)
        f->o.listener->progress(f->o.listener->context, task, percent, str_cstr(&a, text));
    arena_deinit(&a);
}

static void carried(void *context, enum code code, struct str text)
{
    struct follow *f = context;

    f->carried = true;
    if (code != CODE_OK)
        end_refused(f, code, text);
    else if (wants_events(f))
        poll(f);
    else
        end(f);
}

static void interrupted(uv_signal_t *handle, int number)
{
    struct follow *f = handle->data;

    (void)number;
    f->interrupted++;
    if (!f->local) {
        end(f);
    } else if (f->interrupted == 1) {
        notice(f, "interrupted: cancelling the run; press Ctrl-C again to kill");
        local_cancel(f->local);
    } else if (f->interrupted == 2) {
        notice(f, "killing the tasks");
        local_kill(f->local);
    }
}

/* The folder that relative paths of tasks start from. */
static const char *run_dir(struct follow *f)
{
    char here[4096];

    if (str_starts(f->run.dir, STR("/")))
        return str_cstr(&f->arena, f->run.dir);
    if (!getcwd(here, sizeof(here)))
        here[0] = '\0';
    return str_printf(&f->arena, "%s%s" STR_FMT, here, f->run.dir.n ? "/" : "", STR_ARG(f->run.dir))
        .p;
}

static int begin_local(struct follow *f)
{
    struct local_options o = {
        .loop = &f->loop,
        .writer = f->o.writer,
        .reader = f->o.reader,
        .home = f->home,
        .guardian = f->o.guardian,
        .self = f->o.self,
        .data = f->o.data,
        .dir = run_dir(f),
        .env = (const char *const *)environ,
        .run = f->o.run,
        .slots = f->o.slots,
        .shared = f->o.shared,
        .events = {.context = f, .line = line, .progress = progress, .over = carried},
    };
    int r = local_new(&o, &f->local);

    return r ? fault(r) : 0;
}

/* Beginning and end. */

BATCHER_FUNCTION(get_run, run_get)

/* The run must be there; to carry it, nobody else may. */
static int look_first(struct follow *f, struct client_problem *ret_problem)
{
    bool carry = f->o.how == CLIENT_CARRY;
    struct recover recover = {.batcher = f->o.writer, .data = f->o.data, .self = f->o.self};
    struct run_get get = {.id = f->o.run};
    struct recover_reply recovered;
    struct batcher_answer refusal;
    struct run_view view;
    struct batcher_request q = {
        .function = get_run,
        .request = &get,
        .reply = &view,
        .reply_size = sizeof(view),
        .patience_us = BATCHER_CALL_US,
    };
    int r = 0;

    batcher_call(carry ? f->o.writer : f->o.reader, &q);
    if (q.answer.code != CODE_OK) {
        r = methods_refused(&q.answer, ret_problem);
    } else {
        f->run = view.run;
        f->run.dir = str_copy(&f->arena, view.run.dir);
        f->run_ended = run_final(view.run.state);
    }
    arena_deinit(&q.arena);
    if (r || !carry || run_final(f->run.state))
        return r;
    if (recover_all(&recover, &f->arena, f->o.run, &recovered, &refusal))
        return methods_refused(&refusal, ret_problem);
    return 0;
}

static void begin_handles(struct follow *f)
{
    uv_timer_init(&f->loop, &f->tick);
    f->tick.data = f;
    uv_timer_start(&f->tick, ticked, 0, FOLLOW_TICK_MS);
    for (size_t i = 0; i < INTERRUPTS_N; i++) {
        uv_signal_init(&f->loop, &f->signals[i]);
        f->signals[i].data = f;
        uv_signal_start(&f->signals[i], interrupted, interrupts[i]);
    }
}

/* Nothing may be under way when the loop goes. Where the store does not answer, the batchers are
 * ended, which answers everything. */
static void settle(struct follow *f)
{
    if (f->answer.code != CODE_OK && (f->polling || (f->local && local_busy(f->local))))
        f->o.drop(f->o.context);
    while (f->polling || (f->local && local_busy(f->local)))
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void end_handles(struct follow *f)
{
    int r;

    settle(f);
    f->local = local_free(f->local);
    f->home = batcher_home_free(f->home);
    uv_close((uv_handle_t *)&f->tick, NULL);
    for (size_t i = 0; i < INTERRUPTS_N; i++)
        uv_close((uv_handle_t *)&f->signals[i], NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    r = uv_loop_close(&f->loop);
    assert(r == 0);
}

int follow_run(const struct follow_options *options, struct client_problem *ret_problem)
{
    struct follow f = {
        .o = *options,
        .request = {.run = options->run, .after = options->after, .max = FOLLOW_EVENTS_MAX}
    };
    int r = look_first(&f, ret_problem);

    if (r) {
        arena_deinit(&f.arena);
        return r;
    }
    r = uv_loop_init(&f.loop);
    assert(r == 0);
    r = batcher_home_new(&f.loop, &f.home);
    assert(r == 0);
    begin_handles(&f);
    if (f.o.how == CLIENT_CARRY && !run_final(f.run.state))
        r = begin_local(&f);
    if (r) {
        log_say(LOG_ERROR, "carry_failed", LOG_NUMBER("errno", -r),
                LOG_TEXT("way", str_of(fault_take())));
        end_refused(&f, CODE_INTERNAL, STR("processes cannot be run here; the log says why"));
    }
    while (!f.ended)
        uv_run(&f.loop, UV_RUN_DEFAULT);
    end_handles(&f);
    r = f.answer.code == CODE_OK ? 0 : methods_refused(&f.answer, ret_problem);
    arena_deinit(&f.poll.arena);
    arena_deinit(&f.arena);
    return r;
}
