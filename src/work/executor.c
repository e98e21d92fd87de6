/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoll set of our own hangs in the loop as one descriptor: pidfds, pipes and cgroups come and
 * go three to a job, and each costs one system call there instead of libuv's four.
 *
 * What an event names is a slot and a life of it, so that one that was read together with the end
 * of its job is not taken for the next job's.
 */
#include "work/executor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "core/diagram.h"
#include "work/guardian.h"
#include "work/instance.h"
#include "work/orphans.h"
#include "work/procfs.h"
#include "work/result.h"
#include "work/slot.h"
#include "work/tree.h"

#define EVENTS_AT_ONCE 64
#define READ_BYTES     (64u << 10) /* what a pipe holds */
#define TICK_MS        100
#define LINE_US        (100 * CLOCK_MS) /* at most so often a line of a job is told */
#define PROGRESS_US    (200 * CLOCK_MS)
#define REST_GRACE_US  (500 * CLOCK_MS) /* for what the main process left behind, at most */

struct executor {
    uv_loop_t *loop;
    struct guardian *guardian;
    pid_t guardian_pid;
    struct executor_events events;
    struct slot_shared shared;
    struct tree_keeper keeper;
    struct result result;
    struct slot *slots;
    unsigned slots_n;
    unsigned *free; /* the slots that are, as a stack: one that was just used is warm */
    unsigned free_n;
    struct list refused;
    struct buf text;
    int64_t due_us; /* the earliest deadline that the timer was set for; 0: none */
    unsigned handles;
    uv_poll_t poll;
    uv_timer_t due;
    uv_timer_t tick;
    uv_idle_t idle;
};

/* What an event of the epoll set is about. */
enum source { SOURCE_OUT, SOURCE_ERR, SOURCE_MAIN, SOURCE_TREE, SOURCE_ORPHAN, SOURCE_GUARDIAN };

static struct epoll_event event_of(uint32_t events, enum source source, unsigned index,
                                   unsigned life)
{
    return (struct epoll_event){
        .events = events,
        .data.u64 = (uint64_t)source << 56 | (uint64_t)index << 32 | life,
    };
}

/* A descriptor that cannot be watched would be a job that never ends; there is no limit to reach
 * but memory and epoll's own, which is far above that of open files. */
static void watch(struct executor *ex, int fd, struct epoll_event event)
{
    int r = epoll_ctl(ex->shared.epoll, EPOLL_CTL_ADD, fd, &event);

    assert(r == 0 || errno == EEXIST);
}

#define SLOT_EVENTS(X)                                                                             \
    X(STARTED)                                                                                     \
    X(REFUSED)                                                                                     \
    X(ENDED)  /* the main process is dead */                                                       \
    X(EMPTY)  /* and so are all others */                                                          \
    X(OTHERS) /* some of the others were asked to end */                                           \
    X(DUE)    /* the deadline has passed */                                                        \
    X(STOP)                                                                                        \
    X(KILL)
#define EVENT_ENUM(name) EVENT_##name,
enum slot_event { SLOT_EVENTS(EVENT_ENUM) };

static void look(struct executor *ex, struct slot *s);
static void finish(struct executor *ex, struct slot *s);
static void time_out(struct executor *ex, struct slot *s);
static void cancel(struct executor *ex, struct slot *s);
static void cancel_hard(struct executor *ex, struct slot *s);
static void end_rest(struct executor *ex, struct slot *s);
static void kill_all(struct executor *ex, struct slot *s);

/* The first row that matches is the move that is made; what has no row changes nothing. */
static const struct move {
    enum slot_state from;
    enum slot_event event;
    enum slot_state to;
    void (*act)(struct executor *ex, struct slot *s);
    const char *why;
} moves[] = {
    {SLOT_STARTING,    EVENT_STARTED, SLOT_RUNNING,     NULL,        "its process was made"       },
    {SLOT_STARTING,    EVENT_REFUSED, SLOT_DONE,        finish,      "it could not be started"    },
    {SLOT_RUNNING,     EVENT_ENDED,   SLOT_PROVING,     look,        "its main process ended"     },
    {SLOT_RUNNING,     EVENT_DUE,     SLOT_TERMINATING, time_out,    "its timeout has passed"     },
    {SLOT_RUNNING,     EVENT_STOP,    SLOT_TERMINATING, cancel,      "it was asked to stop"       },
    {SLOT_RUNNING,     EVENT_KILL,    SLOT_KILLING,     cancel_hard, "it was told to stop at once"},
    {SLOT_PROVING,     EVENT_EMPTY,   SLOT_DONE,        finish,      "nothing of it lives"        },
    {SLOT_PROVING,     EVENT_OTHERS,  SLOT_TERMINATING, end_rest,    "others of its tree live"    },
    {SLOT_PROVING,     EVENT_KILL,    SLOT_KILLING,     kill_all,    "it was told to stop at once"},
    {SLOT_TERMINATING, EVENT_ENDED,   SLOT_TERMINATING, look,        "its main process ended"     },
    {SLOT_TERMINATING, EVENT_EMPTY,   SLOT_DONE,        finish,      "nothing of it lives"        },
    {SLOT_TERMINATING, EVENT_DUE,     SLOT_KILLING,     kill_all,    "its grace time has passed"  },
    {SLOT_TERMINATING, EVENT_KILL,    SLOT_KILLING,     kill_all,    "it was told to stop at once"},
    {SLOT_KILLING,     EVENT_ENDED,   SLOT_KILLING,     look,        "its main process ended"     },
    {SLOT_KILLING,     EVENT_EMPTY,   SLOT_DONE,        finish,      "nothing of it lives"        },
};

#define MOVES_N (sizeof(moves) / sizeof(moves[0]))

#define NAME_TEXT(name) #name,
static const char *const state_texts[] = {SLOT_STATES(NAME_TEXT)};
static const char *const event_texts[] = {SLOT_EVENTS(NAME_TEXT)};

/* After it, the slot may belong to the next job. */
static void move(struct executor *ex, struct slot *s, enum slot_event event)
{
    for (size_t i = 0; i < MOVES_N; i++) {
        const struct move *m = &moves[i];

        if (m->from != s->state || m->event != event)
            continue;
        s->state = m->to;
        if (m->to >= SLOT_TERMINATING && m->to != SLOT_DONE)
            log_say(LOG_DEBUG, "job_moved", LOG_NUMBER("token", s->token),
                    LOG_TEXT("from", str_of(state_texts[m->from])),
                    LOG_TEXT("to", str_of(state_texts[m->to])), LOG_TEXT("why", str_of(m->why)));
        if (m->act)
            m->act(ex, s);
        return;
    }
}

/* Whether the main process ended by itself, and the event is still to come: then it was not us. */
static bool ended_unheard(const struct slot *s)
{
    struct pollfd p = {.fd = s->pidfd, .events = POLLIN};

    return s->state == SLOT_RUNNING && poll(&p, 1, 0) == 1;
}

static void on_due(uv_timer_t *timer);

/* One timer for all deadlines. It is never set later: where the job that it was set for has ended,
 * it fires in vain, once, and is set for the earliest that is left. */
static void arm(struct executor *ex, int64_t deadline_us)
{
    int64_t left_us = deadline_us - clock_monotonic();

    if (ex->due_us && ex->due_us <= deadline_us)
        return;
    ex->due_us = deadline_us;
    /* Rounded up; a timer of 0 ms that is set again and again would starve the loop. */
    uv_timer_start(&ex->due, on_due, left_us > 0 ? (uint64_t)(left_us / CLOCK_MS) + 1 : 1, 0);
}

static void pass_deadlines(struct executor *ex)
{
    int64_t now_us = clock_monotonic();

    if (!ex->due_us || now_us < ex->due_us)
        return;
    ex->due_us = 0;
    for (unsigned i = 0; i < ex->slots_n; i++) {
        struct slot *s = &ex->slots[i];

        if (s->state == SLOT_FREE || !s->deadline_us)
            continue;
        if (s->deadline_us > now_us) {
            arm(ex, s->deadline_us);
            continue;
        }
        s->deadline_us = 0;
        if (!ended_unheard(s))
            move(ex, s, EVENT_DUE);
    }
}

static void on_due(uv_timer_t *timer)
{
    struct executor *ex = timer->data;
    int64_t due_us = ex->due_us;

    pass_deadlines(ex);
    if (ex->due_us && ex->due_us == due_us) { /* a little early */
        ex->due_us = 0;
        arm(ex, due_us);
    }
}

/* From the death of the main process on, which is when the others begin to matter: each event is
 * answered by a look at the cgroup, and that is what makes it silent again. */
static void watch_tree(struct executor *ex, struct slot *s)
{
    if (s->watched || s->cgroup.events < 0)
        return;
    s->watched = true;
    watch(ex, s->cgroup.events, event_of(EPOLLPRI, SOURCE_TREE, s->index, s->life));
}

static void grace(struct executor *ex, struct slot *s, int64_t grace_us)
{
    s->deadline_us = clock_monotonic() + grace_us;
    arm(ex, s->deadline_us);
}

static void terminate(struct executor *ex, struct slot *s, enum outcome outcome)
{
    s->stopped = outcome;
    tree_terminate(&ex->keeper, s);
    grace(ex, s, s->grace_us);
}

static void time_out(struct executor *ex, struct slot *s)
{
    terminate(ex, s, OUTCOME_TIMED_OUT);
}

static void cancel(struct executor *ex, struct slot *s)
{
    terminate(ex, s, OUTCOME_CANCELLED);
}

/* They were asked already: that is how it is known that there are any. */
static void end_rest(struct executor *ex, struct slot *s)
{
    grace(ex, s, s->grace_us < REST_GRACE_US ? s->grace_us : REST_GRACE_US);
}

static void kill_all(struct executor *ex, struct slot *s)
{
    s->deadline_us = 0;
    tree_kill(&ex->keeper, s);
}

static void cancel_hard(struct executor *ex, struct slot *s)
{
    s->stopped = OUTCOME_CANCELLED;
    kill_all(ex, s);
}

/* Is the proof complete? Asked when the main process dies, and from then on at every sign. */
static void look(struct executor *ex, struct slot *s)
{
    if (!s->dead || s->state < SLOT_PROVING || s->state == SLOT_DONE)
        return;
    if (s->state == SLOT_KILLING && !tree_killed(s))
        tree_kill(&ex->keeper, s); /* those that were born since */
    if (!tree_alive(&ex->keeper, s)) {
        move(ex, s, EVENT_EMPTY);
        return;
    }
    watch_tree(ex, s);
    /* Nobody to ask, and yet not empty: the last one is on its way out. */
    if (s->state == SLOT_PROVING && tree_terminate(&ex->keeper, s) > 0)
        move(ex, s, EVENT_OTHERS);
}

static void look_at_all(struct executor *ex)
{
    for (unsigned i = 0; i < ex->slots_n; i++)
        look(ex, &ex->slots[i]);
}

static void tell_line(struct executor *ex, struct slot *s, int64_t now_us)
{
    s->tail->fresh = false;
    s->tail->told_us = now_us;
    if (!s->events->line)
        return;
    buf_clear(&ex->text);
    tail_newest(s->tail, &ex->text);
    s->events->line(s->events->context, s->token, buf_str(&ex->text));
}

static void tell_progress(struct executor *ex, struct slot *s, enum output_when when)
{
    int percent;

    if (!s->progress_path[0])
        return;
    buf_clear(&ex->text);
    if (output_progress(&s->progress, s->progress_path, when, &percent, &ex->text) &&
        s->events->progress)
        s->events->progress(s->events->context, s->token, percent, buf_str(&ex->text));
}

/* The job's last news, its result, and the slot is free before anybody hears of it, so that they
 * may start the next job at once. */
static void finish(struct executor *ex, struct slot *s)
{
    struct job_result result;
    const struct executor_events *events = s->events;
    int64_t token = s->token;

    if (s->refused) {
        result_refused(&ex->result, s, &result);
    } else {
        struct rusage used;
        int status;

        if (s->watched)
            epoll_ctl(ex->shared.epoll, EPOLL_CTL_DEL, s->cgroup.events, NULL);
        orphans_except_end(ex->keeper.orphans, s->pid);
        slot_end(s, &status, &used);
        if (s->tail && s->tail->fresh)
            tell_line(ex, s, s->ended_us);
        tell_progress(ex, s, OUTPUT_ENDED);
        result_ended(&ex->result, s, status, &used, &result);
    }
    slot_clear(s);
    ex->free[ex->free_n++] = s->index;
    if (ex->free_n == ex->slots_n)
        uv_unref((uv_handle_t *)&ex->poll);
    events->done(events->context, token, &result);
}

static void on_idle(uv_idle_t *idle)
{
    struct executor *ex = idle->data;
    struct list now;

    /* Those that are here now: whoever is told may start others. */
    list_init(&now);
    while (!list_empty(&ex->refused)) {
        struct list *link = ex->refused.next;

        list_del(link);
        list_add(&now, link);
    }
    uv_idle_stop(idle);
    while (!list_empty(&now)) {
        struct slot *s = LIST_OF(now.next, struct slot, link);

        list_del(&s->link);
        move(ex, s, EVENT_REFUSED);
    }
}

/* Everything that has no event of its own, and a second look at what has. */
static void on_tick(uv_timer_t *timer)
{
    struct executor *ex = timer->data;
    int64_t now_us = clock_monotonic();

    /* The machine may have slept, and libuv's clock with it. */
    pass_deadlines(ex);
    orphans_look(ex->keeper.orphans, ex->keeper.found, ex->keeper.context);
    for (unsigned i = 0; i < ex->slots_n; i++) {
        struct slot *s = &ex->slots[i];

        if (s->state < SLOT_RUNNING)
            continue;
        if (s->tail && s->tail->fresh && now_us - s->tail->told_us >= LINE_US)
            tell_line(ex, s, now_us);
        if (now_us >= s->progress_us) {
            s->progress_us = now_us + PROGRESS_US;
            tell_progress(ex, s, OUTPUT_LIVE);
        }
        if (now_us >= s->peak_us && !s->dead) {
            int64_t bytes = tree_peak_bytes(s);

            /* Ever more rarely: a look costs as much as half a start. */
            s->peak_us = now_us + (now_us - s->started_us);
            if (bytes > s->peak_bytes)
                s->peak_bytes = bytes;
        }
        if (s->state == SLOT_KILLING && !s->dead && !tree_killed(s))
            tree_kill(&ex->keeper, s);
        look(ex, s);
    }
    if (ex->free_n == ex->slots_n && orphans_count(ex->keeper.orphans) == 0)
        uv_timer_stop(timer);
}

static void on_orphan(void *context, const struct orphan *orphan)
{
    watch(context, orphan->pidfd, event_of(EPOLLIN, SOURCE_ORPHAN, 0, 0));
}

static void on_guardian(struct executor *ex)
{
    int r;

    orphans_except_end(ex->keeper.orphans, ex->guardian_pid);
    r = guardian_renew(ex->guardian);
    ex->guardian_pid = guardian_pid(ex->guardian);
    if (r) {
        log_say(
            LOG_ERROR, "guardian_lost",
            LOG_TEXT("error", r > 0 ? STR("it dies as soon as it lives") : str_of(strerror(-r))));
        return;
    }
    log_say(LOG_WARNING, "guardian_renewed", LOG_NUMBER("pid", ex->guardian_pid));
    orphans_except(ex->keeper.orphans, ex->guardian_pid);
    watch(ex, guardian_pidfd(ex->guardian), event_of(EPOLLIN, SOURCE_GUARDIAN, 0, 0));
}

static void on_output(struct executor *ex, struct slot *s, enum tail_stream from)
{
    int64_t now_us;

    if (s->pipes[from] < 0 || slot_read(s, from) <= 0 || !s->tail->fresh)
        return;
    now_us = clock_monotonic();
    if (now_us - s->tail->told_us >= LINE_US)
        tell_line(ex, s, now_us);
}

static void on_main(struct executor *ex, struct slot *s)
{
    unsigned life = s->life;

    if (s->dead)
        return;
    s->dead = true;
    s->ended_us = clock_monotonic();
    move(ex, s, EVENT_ENDED);
    /* A pidfd stays readable, and the process a zombie, until the proof is complete. */
    if (s->life == life && s->state != SLOT_FREE)
        epoll_ctl(ex->shared.epoll, EPOLL_CTL_DEL, s->pidfd, NULL);
}

static void on_event(struct executor *ex, uint64_t data)
{
    enum source source = (enum source)(data >> 56);
    struct slot *s = &ex->slots[data >> 32 & 0xffffff];

    if (source <= SOURCE_TREE && (s->state == SLOT_FREE || s->life != (uint32_t)data))
        return;
    switch (source) {
    case SOURCE_OUT:
        on_output(ex, s, TAIL_OUT);
        break;
    case SOURCE_ERR:
        on_output(ex, s, TAIL_ERR);
        break;
    case SOURCE_MAIN:
        on_main(ex, s);
        break;
    case SOURCE_TREE:
        look(ex, s);
        break;
    case SOURCE_ORPHAN:
        orphans_look(ex->keeper.orphans, ex->keeper.found, ex->keeper.context);
        if (ex->keeper.in->cgroup.folder < 0)
            look_at_all(ex);
        break;
    case SOURCE_GUARDIAN:
        on_guardian(ex);
        break;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct executor *ex = poll->data;
    struct epoll_event list[EVENTS_AT_ONCE];
    int n = epoll_wait(ex->shared.epoll, list, EVENTS_AT_ONCE, 0);

    (void)status, (void)events;
    for (int i = 0; i < n; i++)
        on_event(ex, list[i].data.u64);
}

/* Children are waited for, so they must become zombies; and a log beyond `ulimit -f` is an error
 * of that log, not the end of weft. */
static void prepare_signals(void)
{
    struct sigaction action;

    sigaction(SIGCHLD, NULL, &action);
    if (action.sa_handler == SIG_IGN || (action.sa_flags & SA_NOCLDWAIT))
        signal(SIGCHLD, SIG_DFL);
    signal(SIGXFSZ, SIG_IGN);
}

/* Above 2, also where weft was started without stdin: 0, 1 and 2 are then /dev/null. */
static int open_null(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd < 3);
    return fd;
}

static void start_handles(struct executor *ex)
{
    int r = uv_poll_init(ex->loop, &ex->poll, ex->shared.epoll);

    assert(r == 0);
    uv_timer_init(ex->loop, &ex->due);
    uv_timer_init(ex->loop, &ex->tick);
    uv_idle_init(ex->loop, &ex->idle);
    ex->poll.data = ex->due.data = ex->tick.data = ex->idle.data = ex;
    uv_unref((uv_handle_t *)&ex->due);
    uv_unref((uv_handle_t *)&ex->tick);
    uv_poll_start(&ex->poll, UV_READABLE, on_poll);
    uv_unref((uv_handle_t *)&ex->poll); /* until there is a job */
}

int executor_new(const struct executor_options *options, struct executor **ret)
{
    int null = open_null();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    const struct instance *in = guardian_instance(options->guardian);
    struct orphans *orphans = NULL;
    struct executor *ex;
    int r;

    assert(options->slots >= 1 && options->slots <= EXECUTOR_SLOTS_MAX);
    r = null < 0 || epoll < 0 ? -errno : orphans_new(in->name, &orphans);
    if (r) {
        memory_fd_closep(&null);
        memory_fd_closep(&epoll);
        return fault(r);
    }
    prepare_signals();
    ex = memory_new(sizeof(*ex));
    ex->loop = options->loop;
    ex->guardian = options->guardian;
    ex->events = options->events;
    ex->shared = (struct slot_shared){
        .in = in,
        .outer = getenv(PROCFS_MARK),
        .epoll = epoll,
        .null = null,
        .bytes = memory_new(READ_BYTES),
        .bytes_n = READ_BYTES,
    };
    ex->slots_n = ex->free_n = options->slots;
    ex->slots = memory_new(ex->slots_n * sizeof(*ex->slots));
    ex->free = memory_new(ex->slots_n * sizeof(*ex->free));
    for (unsigned i = 0; i < ex->slots_n; i++) {
        slot_init(&ex->slots[i], &ex->shared, i);
        ex->free[i] = ex->slots_n - 1 - i;
    }
    list_init(&ex->refused);
    buf_init(&ex->text, 3 * TAIL_LINE_BYTES);
    result_init(&ex->result);
    ex->keeper = (struct tree_keeper){
        .in = in,
        .orphans = orphans,
        .slots = ex->slots,
        .slots_n = ex->slots_n,
        .found = on_orphan,
        .context = ex,
    };
    ex->guardian_pid = guardian_pid(options->guardian);
    orphans_except(orphans, ex->guardian_pid);
    watch(ex, guardian_pidfd(options->guardian), event_of(EPOLLIN, SOURCE_GUARDIAN, 0, 0));
    start_handles(ex);
    *ret = ex;
    return 0;
}

static void on_close(uv_handle_t *handle)
{
    struct executor *ex = handle->data;

    if (--ex->handles)
        return;
    close(ex->shared.epoll);
    free(ex);
}

struct executor *executor_free(struct executor *ex)
{
    uv_handle_t *handles[4];

    if (!ex)
        return NULL;
    assert(ex->free_n == ex->slots_n);
    orphans_look(ex->keeper.orphans, NULL, NULL);
    ex->keeper.orphans = orphans_free(ex->keeper.orphans);
    for (unsigned i = 0; i < ex->slots_n; i++)
        slot_deinit(&ex->slots[i]);
    result_deinit(&ex->result);
    buf_deinit(&ex->text);
    close(ex->shared.null);
    free(ex->shared.bytes);
    free(ex->slots);
    free(ex->free);
    handles[0] = (uv_handle_t *)&ex->poll;
    handles[1] = (uv_handle_t *)&ex->due;
    handles[2] = (uv_handle_t *)&ex->tick;
    handles[3] = (uv_handle_t *)&ex->idle;
    ex->handles = 4;
    for (unsigned i = 0; i < 4; i++)
        uv_close(handles[i], on_close);
    return NULL;
}

enum executor_rung executor_rung(const struct executor *ex)
{
    return ex->keeper.in->cgroup.folder >= 0 ? EXECUTOR_CGROUP : EXECUTOR_GROUP;
}

unsigned executor_busy(const struct executor *ex)
{
    return ex->slots_n - ex->free_n;
}

void executor_start(struct executor *ex, const struct job *job)
{
    struct slot *s;

    assert(ex->free_n > 0);
    s = &ex->slots[ex->free[--ex->free_n]];
    uv_ref((uv_handle_t *)&ex->poll);
    if (!uv_is_active((uv_handle_t *)&ex->tick))
        uv_timer_start(&ex->tick, on_tick, TICK_MS, TICK_MS);
    slot_take(s, job);
    if (!s->events)
        s->events = &ex->events;
    s->state = SLOT_STARTING;
    if (!slot_start(s)) {
        list_add(&ex->refused, &s->link);
        uv_idle_start(&ex->idle, on_idle);
        return;
    }
    orphans_except(ex->keeper.orphans, s->pid);
    if (s->pipes[TAIL_OUT] >= 0)
        watch(ex, s->pipes[TAIL_OUT], event_of(EPOLLIN, SOURCE_OUT, s->index, s->life));
    watch(ex, s->pipes[TAIL_ERR], event_of(EPOLLIN, SOURCE_ERR, s->index, s->life));
    watch(ex, s->pidfd, event_of(EPOLLIN, SOURCE_MAIN, s->index, s->life));
    if (s->deadline_us)
        arm(ex, s->deadline_us);
    move(ex, s, EVENT_STARTED);
}

static void stop(struct executor *ex, struct slot *s, enum executor_stop how)
{
    if (!ended_unheard(s))
        move(ex, s, how == EXECUTOR_KILL ? EVENT_KILL : EVENT_STOP);
}

void executor_stop(struct executor *ex, int64_t token, enum executor_stop how)
{
    for (unsigned i = 0; i < ex->slots_n; i++)
        if (ex->slots[i].state != SLOT_FREE && ex->slots[i].token == token)
            stop(ex, &ex->slots[i], how);
}

void executor_stop_all(struct executor *ex, enum executor_stop how)
{
    for (unsigned i = 0; i < ex->slots_n; i++)
        if (ex->slots[i].state != SLOT_FREE)
            stop(ex, &ex->slots[i], how);
}

int64_t executor_resident_bytes(const struct executor *ex, int64_t token)
{
    for (unsigned i = 0; i < ex->slots_n; i++) {
        const struct slot *s = &ex->slots[i];

        if (s->state != SLOT_FREE && s->token == token && s->pid > 0 && !s->dead)
            return procfs_resident_bytes(s->pid);
    }
    return 0;
}

void executor_diagram(struct buf *out)
{
    struct diagram_move drawn[MOVES_N];

    for (size_t i = 0; i < MOVES_N; i++)
        drawn[i] = (struct diagram_move){str_of(state_texts[moves[i].from]),
                                         str_of(event_texts[moves[i].event]),
                                         str_of(state_texts[moves[i].to])};
    diagram_print(out, str_of(state_texts[SLOT_STARTING]), drawn, MOVES_N);
}
