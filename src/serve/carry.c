/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/carry.h"

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
#include "serve/api_run.h"
#include "serve/carry_logs.h"
#include "serve/jsoncall.h"
#include "serve/local.h"
#include "serve/recover.h"

#define CARRY_TICK_MS    100u
#define CARRY_EVENTS_MAX 1000

static const int interrupts[] = {SIGINT, SIGTERM, SIGHUP};
#define INTERRUPTS_N (sizeof(interrupts) / sizeof(interrupts[0]))

struct carry {
    struct carry_options o;
    struct arena arena;
    struct run_row run;
    uv_loop_t loop;
    struct batcher_home *home;
    uv_timer_t tick;
    uv_signal_t signals[INTERRUPTS_N];
    struct executor *executor;
    struct local *local; /* NULL: only watching */

    struct batcher_request poll;
    struct event_list request;
    struct event_rows events;
    bool polling;
    bool last;      /* the poll began when nothing more could happen */
    bool run_ended; /* as was seen first, then as the events say */
    bool carried;   /* the local worker is over */
    bool told;      /* every event of a run that has ended, while watching */
    bool news;      /* events came since the logs were looked at */
    struct carry_logs logs;

    unsigned interrupted;
    enum code trouble;
    bool ended;
    struct batcher_answer answer; /* not OK: why it ended early */
};

static void notice(struct carry *c, const char *text)
{
    if (c->o.listener->notice)
        c->o.listener->notice(c->o.listener->context, text);
}

static void end(struct carry *c)
{
    c->ended = true;
    uv_timer_stop(&c->tick);
    uv_stop(&c->loop);
}

static void end_refused(struct carry *c, enum code code, struct str text)
{
    c->answer = (struct batcher_answer){.code = code, .text = str_copy(&c->arena, text)};
    end(c);
}

/* Events. */

BATCHER_FUNCTION(list_events, event_list)

static void poll(struct carry *c);

static void note_event(struct carry *c, const struct event *e)
{
    enum run_state state;

    c->request.after = e->seq;
    c->news = true;
    if (str_starts(e->kind, STR("run_")) &&
        run_state_parse(str_sub(e->kind, STR("run_").n, e->kind.n), &state))
        c->run_ended = run_final(state);
    if (c->o.listener->event) {
        struct arena a = {0};
        json_t *tree = jsoncall_tree(&api_run_event(&a, e)->base);

        c->o.listener->event(c->o.listener->context, tree);
        json_decref(tree);
        arena_deinit(&a);
    }
}

static void polled(struct batcher_request *q)
{
    struct carry *c = q->context;
    bool caught_up = c->events.n < CARRY_EVENTS_MAX;

    c->polling = false;
    if (c->ended)
        return;
    if (q->answer.code != CODE_OK) {
        /* Who carries knows better what to do about it. */
        if (!c->local || c->last)
            end_refused(c, q->answer.code, q->answer.text);
        return;
    }
    for (size_t i = 0; i < c->events.n; i++)
        note_event(c, &c->events.list[i]);
    c->told = caught_up && !c->local && c->run_ended;
    if (caught_up && (c->last || (c->told && carry_logs_ended(&c->logs))))
        end(c);
    else if (!caught_up || c->carried)
        poll(c);
}

static void poll(struct carry *c)
{
    struct batcher_request *q = &c->poll;

    if (c->polling)
        return;
    c->polling = true;
    c->last = c->carried;
    q->function = list_events;
    q->request = &c->request;
    q->reply = &c->events;
    q->reply_size = sizeof(c->events);
    q->patience_us = BATCHER_CALL_US;
    q->home = c->home;
    q->done = polled;
    q->context = c;
    batcher_post(c->o.reader, &q, 1);
}

/* Whoever carries needs no events to know the end. */
static bool wants_events(const struct carry *c)
{
    return !c->local || c->o.listener->event;
}

/* Say it once when the store begins to keep work waiting, and once when it is back. */
static void watch_trouble(struct carry *c)
{
    char text[BATCHER_TROUBLE_BYTES], line[BATCHER_TROUBLE_BYTES + 100];
    enum code code = batcher_trouble(c->o.writer, text);

    if (code == c->trouble)
        return;
    c->trouble = code;
    if (code == CODE_OK) {
        notice(c, "the store is back");
        return;
    }
    snprintf(line, sizeof(line), "%s; tasks go on, and what they end with is kept until it is back",
             text[0] ? text : "the store does not answer");
    notice(c, line);
}

/* What attempts write is told before what happens next. */
static void watch_logs(struct carry *c)
{
    const struct client_listener *l = c->o.listener;
    struct batcher_answer refusal;
    bool news = c->news;

    c->news = false;
    if (carry_logs_look(&c->logs, news, &refusal))
        end_refused(c, refusal.code, refusal.text);
    else if ((l->enough && l->enough(l->context)) || (c->told && carry_logs_ended(&c->logs)))
        end(c);
}

static void ticked(uv_timer_t *timer)
{
    struct carry *c = timer->data;

    if (c->local)
        watch_trouble(c);
    else
        watch_logs(c);
    if (c->ended)
        return;
    if (wants_events(c))
        poll(c);
    if (c->o.listener->tick)
        c->o.listener->tick(c->o.listener->context);
}

/* Carrying. */

static void line(void *context, int64_t task, struct str text)
{
    struct carry *c = context;
    struct arena a = {0};

    if (c->o.listener->line)
        c->o.listener->line(c->o.listener->context, task, str_cstr(&a, text));
    arena_deinit(&a);
}

static void progress(void *context, int64_t task, int percent, struct str text)
{
    struct carry *c = context;
    struct arena a = {0};

    if (c->o.listener->progress)
        c->o.listener->progress(c->o.listener->context, task, percent, str_cstr(&a, text));
    arena_deinit(&a);
}

static void carried(void *context, enum code code, struct str text)
{
    struct carry *c = context;

    c->carried = true;
    if (code != CODE_OK)
        end_refused(c, code, text);
    else if (wants_events(c))
        poll(c);
    else
        end(c);
}

static void interrupted(uv_signal_t *handle, int number)
{
    struct carry *c = handle->data;

    (void)number;
    c->interrupted++;
    if (!c->local) {
        end(c);
    } else if (c->interrupted == 1) {
        notice(c, "interrupted: cancelling the run; press Ctrl-C again to kill");
        local_cancel(c->local);
    } else if (c->interrupted == 2) {
        notice(c, "killing the tasks");
        local_kill(c->local);
    }
}

/* The folder that relative paths of tasks start from. */
static const char *run_dir(struct carry *c)
{
    char here[4096];

    if (str_starts(c->run.dir, STR("/")))
        return str_cstr(&c->arena, c->run.dir);
    if (!getcwd(here, sizeof(here)))
        here[0] = '\0';
    return str_printf(&c->arena, "%s%s" STR_FMT, here, c->run.dir.n ? "/" : "", STR_ARG(c->run.dir))
        .p;
}

static int begin_local(struct carry *c)
{
    struct executor_options executor = {
        .loop = &c->loop,
        .slots = c->o.slots,
        .guardian = c->o.guardian,
    };
    int r = executor_new(&executor, &c->executor);
    struct local_options o = {
        .loop = &c->loop,
        .executor = c->executor,
        .writer = c->o.writer,
        .reader = c->o.reader,
        .home = c->home,
        .guardian = c->o.guardian,
        .self = c->o.self,
        .data = c->o.data,
        .dir = run_dir(c),
        .env = (const char *const *)environ,
        .run = c->o.run,
        .scans = true,
        .slots = c->o.slots,
        .shared = c->o.shared,
        .events = {.context = c, .line = line, .progress = progress, .over = carried},
    };

    if (r)
        return fault(r);
    c->local = local_new(&o);
    return 0;
}

/* Beginning and end. */

BATCHER_FUNCTION(get_run, run_get)

/* The run must be there; to carry it, nobody else may. */
static int look_first(struct carry *c, struct client_problem *ret_problem)
{
    bool carry = c->o.how == CLIENT_CARRY;
    struct recover recover = {.batcher = c->o.writer, .data = c->o.data, .self = c->o.self};
    struct run_get get = {.id = c->o.run};
    struct recover_reply recovered;
    struct batcher_answer refusal;
    struct run_view view = {0};
    struct batcher_request q = {
        .function = get_run,
        .request = &get,
        .reply = &view,
        .reply_size = sizeof(view),
        .patience_us = BATCHER_CALL_US,
    };
    int r = 0;

    batcher_call(carry ? c->o.writer : c->o.reader, &q);
    if (q.answer.code != CODE_OK) {
        r = jsoncall_refused(&q.answer, ret_problem);
    } else {
        c->run = view.run;
        c->run.dir = str_copy(&c->arena, view.run.dir);
        c->run_ended = run_final(view.run.state);
    }
    arena_deinit(&q.arena);
    if (r || !carry || run_final(c->run.state))
        return r;
    if (recover_all(&recover, &c->arena, c->o.run, &recovered, &refusal))
        return jsoncall_refused(&refusal, ret_problem);
    return 0;
}

static void begin_handles(struct carry *c)
{
    uv_timer_init(&c->loop, &c->tick);
    c->tick.data = c;
    uv_timer_start(&c->tick, ticked, 0, CARRY_TICK_MS);
    for (size_t i = 0; i < INTERRUPTS_N; i++) {
        uv_signal_init(&c->loop, &c->signals[i]);
        c->signals[i].data = c;
        uv_signal_start(&c->signals[i], interrupted, interrupts[i]);
    }
}

static bool under_way(const struct carry *c)
{
    return c->polling || (c->local && local_busy(c->local));
}

/* Nothing may be under way when the loop goes. Where the store does not answer, or nobody waits for
 * it any more, the batchers are ended, which answers everything. */
static void settle(struct carry *c)
{
    if (under_way(c) && (c->answer.code != CODE_OK || !c->local))
        c->o.drop(c->o.context);
    else if (c->local)
        watch_trouble(c);
    while (under_way(c))
        uv_run(&c->loop, UV_RUN_ONCE);
}

static void end_handles(struct carry *c)
{
    int r;

    settle(c);
    c->local = local_free(c->local);
    c->executor = executor_free(c->executor);
    c->home = batcher_home_free(c->home);
    uv_close((uv_handle_t *)&c->tick, NULL);
    for (size_t i = 0; i < INTERRUPTS_N; i++)
        uv_close((uv_handle_t *)&c->signals[i], NULL);
    /* Where nothing was begun, the first of these is stopped by end(). */
    while (uv_run(&c->loop, UV_RUN_DEFAULT))
        continue;
    r = uv_loop_close(&c->loop);
    assert(r == 0);
}

static void say_failed(int r)
{
    log_say(LOG_ERROR, "carry_failed", LOG_NUMBER("errno", -r),
            LOG_TEXT("way", str_of(fault_take())));
}

#define CANNOT_RUN STR("processes cannot be run here; the log says why")

/* A loop, and the way of answers to it: both need descriptors. */
static int begin_loop(struct carry *c)
{
    int r = uv_loop_init(&c->loop);

    if (r)
        return fault(r);
    r = batcher_home_new(&c->loop, &c->home);
    if (r)
        uv_loop_close(&c->loop);
    return r ? fault(r) : 0;
}

int carry_run(const struct carry_options *options, struct client_problem *ret_problem)
{
    struct carry c = {
        .o = *options,
        .request = {.run = options->run,           .after = options->after,      .max = CARRY_EVENTS_MAX},
        .logs = {.listener = options->listener,
                    .house = {.reader = options->reader, .data = options->data},
                    .run = options->run                                                                 },
        .news = true,
    };
    int r = look_first(&c, ret_problem);

    if (r) {
        arena_deinit(&c.arena);
        return r;
    }
    r = begin_loop(&c);
    if (r) {
        say_failed(r);
        arena_deinit(&c.arena);
        return jsoncall_refused(&(struct batcher_answer){.code = CODE_INTERNAL, .text = CANNOT_RUN},
                                ret_problem);
    }
    begin_handles(&c);
    if (c.o.how == CLIENT_CARRY && !run_final(c.run.state))
        r = begin_local(&c);
    if (r) {
        say_failed(r);
        end_refused(&c, CODE_INTERNAL, CANNOT_RUN);
    }
    while (!c.ended)
        uv_run(&c.loop, UV_RUN_DEFAULT);
    end_handles(&c);
    r = c.answer.code == CODE_OK ? 0 : jsoncall_refused(&c.answer, ret_problem);
    arena_deinit(&c.poll.arena);
    carry_logs_deinit(&c.logs);
    arena_deinit(&c.arena);
    return r;
}
