/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process here is a child of the nursery with two pipes. Its memory goes when the nursery has
 * told of its end and libuv has let go of both handles.
 */
#include "pool/pipes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"

#define READS_AT_END_MAX 64u  /* of what a pipe of a mebibyte holds, in pieces */
#define LOGS_KEPT        100u /* of processes that have ended, beside as many as can live */
#define WAKE_MS_MAX      (24u * 3600u * 1000u)

struct pipe_end {
    int fd; /* -1: closed */
    bool watched;
    uv_poll_t poll;
};

struct process {
    struct nursery_child child;
    struct pipes *pipes;
    uint64_t id;
    struct pipe_end in, out;
    struct buf unsent;
    bool leaving;         /* its stdin is closed once all is written */
    bool over;            /* nothing of it lives */
    const char *why;      /* it was ended from here; NULL: it was not */
    struct heap_node due; /* when it is ended */
    struct list soon;     /* what the pool is to hear in a turn: */
    bool starts;          /* that it was started; else, that it is read again */
    int refused;          /* or why it was not: an errno */
    unsigned handles;
};

struct pipes {
    struct pipes_options o;
    struct pool *pool;
    char *name;
    char **argv, **env;
    char *cwd, *log_folder;
    struct map *by_id;
    struct heap due;
    struct list soon; /* what the pool asked for, and hears of in a turn */
    int64_t timer_us; /* what the timer is set for */
    uv_timer_t timer;
    uv_idle_t idle;
    uv_prepare_t prepare;
    unsigned handles;
    bool told_over;
};

static struct process *find(struct pipes *p, uint64_t id)
{
    uint64_t found;

    return map_get(p->by_id, map_key(&id), &found) ? (struct process *)(uintptr_t)found : NULL;
}

/* Handles and descriptors. */

static void release(struct process *c)
{
    if (c->handles || !c->over)
        return;
    buf_deinit(&c->unsent);
    free(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct process *c = handle->data;

    c->handles--;
    release(c);
}

static void end_close(struct pipe_end *e)
{
    if (e->fd < 0)
        return;
    uv_close((uv_handle_t *)&e->poll, on_closed);
    close(e->fd);
    e->fd = -1;
    e->watched = false;
}

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_writable(uv_poll_t *poll, int status, int events);

static void watch(struct pipe_end *e, int events, uv_poll_cb called)
{
    if (e->fd < 0 || e->watched)
        return;
    e->watched = true;
    uv_poll_start(&e->poll, events, called);
}

static void unwatch(struct pipe_end *e)
{
    if (e->fd < 0 || !e->watched)
        return;
    e->watched = false;
    uv_poll_stop(&e->poll);
}

static void on_idle(uv_idle_t *idle);

static void come_soon(struct process *c)
{
    struct pipes *p = c->pipes;

    if (list_empty(&c->soon))
        list_add(&p->soon, &c->soon);
    uv_idle_start(&p->idle, on_idle);
}

/* Ending. */

static void end_by(struct process *c, int64_t us)
{
    heap_set(&c->pipes->due, &c->due, clock_monotonic() + us);
}

static void end_now(struct process *c, enum executor_stop how)
{
    heap_del(&c->pipes->due, &c->due);
    nursery_stop(c->pipes->o.nursery, &c->child, how);
}

/* It did not end by itself. */
static void end_due(struct process *c)
{
    if (!c->leaving)
        c->why = "it closed its stdout, on which its answers go";
    end_now(c, c->leaving ? EXECUTOR_TERM : EXECUTOR_KILL);
}

static void wire_stop(void *context, uint64_t id, enum pool_stop how)
{
    struct process *c = find(context, id);

    if (!c || c->over)
        return;
    unwatch(&c->out);
    if (how == POOL_TERM) {
        c->leaving = true;
        end_by(c, PIPES_LEAVE_US);
    } else {
        end_now(c, EXECUTOR_KILL);
    }
    if (how == POOL_KILL || c->unsent.n == 0)
        end_close(&c->in);
}

/* Writing. */

/* How much of it went; a pipe that nobody reads any more takes everything, and the end of its
 * process will be told. */
static size_t put(struct process *c, struct str bytes)
{
    size_t done = 0;

    while (done < bytes.n) {
        ssize_t n = write(c->in.fd, bytes.p + done, bytes.n - done);

        if (n >= 0)
            done += (size_t)n;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR) {
            end_close(&c->in);
            return bytes.n;
        }
    }
    return done;
}

static void flush(struct process *c)
{
    size_t n = put(c, buf_str(&c->unsent));

    if (n < c->unsent.n) {
        memmove(c->unsent.p, c->unsent.p + n, c->unsent.n - n);
        c->unsent.n -= n;
        return;
    }
    buf_deinit(&c->unsent);
    unwatch(&c->in);
    if (c->leaving)
        end_close(&c->in);
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    flush(poll->data);
}

/* A place has one request in flight, and the pool's own are small. */
static size_t unsent_max(const struct pool_settings *s)
{
    return (s->in_flight + 1u) * (s->message_bytes_max + POOL_IN_FLIGHT_MAX);
}

static void wire_send(void *context, uint64_t id, struct str bytes)
{
    struct pipes *p = context;
    struct process *c = find(p, id);
    size_t n = 0;

    if (!c || c->in.fd < 0)
        return;
    if (c->unsent.n == 0)
        n = put(c, bytes);
    if (n == bytes.n)
        return;
    if (c->unsent.n == 0)
        buf_init(&c->unsent, unsent_max(&p->o.settings));
    buf_add(&c->unsent, str_sub(bytes, n, bytes.n - n));
    if (c->unsent.full) {
        c->why = "it does not read what it is sent";
        end_close(&c->in);
        end_now(c, EXECUTOR_KILL);
        return;
    }
    watch(&c->in, UV_WRITABLE, on_writable);
}

/* Reading. */

/* Returns false where nothing more is there now. */
static bool read_once(struct process *c)
{
    const struct pipes *p = c->pipes;
    size_t room;
    char *to = pool_room(p->pool, c->id, &room);
    ssize_t n;

    if (!to || room == 0) {
        unwatch(&c->out);
        return false;
    }
    n = read(c->out.fd, to, room);
    if (n > 0) {
        pool_bytes(p->pool, c->id, (size_t)n, clock_monotonic());
        return c->out.fd >= 0;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    end_close(&c->out);
    return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct process *c = poll->data;

    (void)status, (void)events;
    if (c->out.fd < 0)
        return;
    read_once(c);
    /* Most often it is about to end, and how it does says more. */
    if (c->out.fd < 0 && !c->leaving)
        end_by(c, PIPES_EOF_US);
}

static void wire_read(void *context, uint64_t id, bool wanted)
{
    struct process *c = find(context, id);

    if (c && wanted)
        come_soon(c);
    else if (c)
        unwatch(&c->out);
}

/* From its start to its end. */

static void finish(struct process *c, struct str how)
{
    struct pipes *p = c->pipes;

    for (unsigned n = 0; n < READS_AT_END_MAX && c->out.fd >= 0 && read_once(c); n++)
        ;
    c->over = true;
    end_close(&c->in);
    end_close(&c->out);
    heap_del(&p->due, &c->due);
    list_del(&c->soon);
    map_del(p->by_id, map_key(&c->id));
    pool_ended(p->pool, c->id, c->why ? str_of(c->why) : how, clock_monotonic());
    release(c);
}

static void on_over(struct nursery_child *child, struct str how)
{
    finish(LIST_OF(child, struct process, child), how);
}

static void on_memory(struct nursery_child *child, int64_t bytes)
{
    struct process *c = LIST_OF(child, struct process, child);

    pool_memory(c->pipes->pool, c->id, bytes, clock_monotonic());
}

static void hear(struct process *c)
{
    struct pool *pool = c->pipes->pool;
    int64_t now = clock_monotonic();
    char text[100];

    if (c->refused) {
        snprintf(text, sizeof(text), "no pipes could be made for it: %s", strerror(c->refused));
        finish(c, str_of(text));
    } else if (c->starts) {
        c->starts = false;
        pool_started(pool, c->id, now);
    } else {
        watch(&c->out, UV_READABLE, on_readable);
        pool_bytes(pool, c->id, 0, now);
    }
}

static void on_idle(uv_idle_t *idle)
{
    struct pipes *p = idle->data;
    struct list now;

    list_init(&now);
    list_move(&now, &p->soon);
    uv_idle_stop(idle);
    while (!list_empty(&now)) {
        struct process *c = LIST_OF(now.next, struct process, soon);

        list_del(&c->soon);
        hear(c);
    }
}

/* Both pipes; *ret_theirs are its own ends. */
static int make_pipes(struct process *c, int ret_theirs[2])
{
    int in[2], out[2];

    if (pipe2(in, O_CLOEXEC))
        return errno;
    if (pipe2(out, O_CLOEXEC)) {
        int r = errno;

        close(in[0]);
        close(in[1]);
        return r;
    }
    c->in.fd = in[1];
    c->out.fd = out[0];
    ret_theirs[0] = in[0];
    ret_theirs[1] = out[1];
    return 0;
}

static void open_ends(struct process *c)
{
    struct pipe_end *ends[] = {&c->in, &c->out};

    for (size_t i = 0; i < 2; i++) {
        int r = uv_poll_init(c->pipes->o.loop, &ends[i]->poll, ends[i]->fd); /* non-blocking now */

        assert(r == 0);
        ends[i]->poll.data = c;
        c->handles++;
    }
    watch(&c->out, UV_READABLE, on_readable);
}

static void start(struct process *c, const int theirs[2])
{
    struct pipes *p = c->pipes;
    CLEANUP(memory_freep) const char **env = NULL;
    char pool[POOL_NAME_BYTES_MAX + 16], number[48], log[PATH_MAX];
    uint64_t kept = LOGS_KEPT + POOL_SIZE_MAX;
    size_t n = 0;

    while (p->env[n])
        n++;
    env = memory_new((n + 3) * sizeof(*env));
    memcpy(env, p->env, n * sizeof(*env));
    snprintf(pool, sizeof(pool), "WEFT_POOL=" STR_FMT, STR_ARG(p->o.settings.name));
    snprintf(number, sizeof(number), "WEFT_POOL_PROCESS=%" PRIu64, c->id);
    env[n] = pool;
    env[n + 1] = number;
    if (c->id > kept) {
        snprintf(log, sizeof(log), "%s/%" PRIu64 ".log", p->log_folder, c->id - kept);
        unlink(log);
    }
    snprintf(log, sizeof(log), "%s/%" PRIu64 ".log", p->log_folder, c->id);
    nursery_start(p->o.nursery, &c->child,
                  &(struct nursery_start){
                      .argv = (const char *const *)p->argv,
                      .env = env,
                      .cwd = p->cwd,
                      .err_path = log,
                      .grace_us = p->o.command.grace_us,
                      .streams = {theirs[0], theirs[1]},
    });
}

static void wire_start(void *context, uint64_t id)
{
    struct pipes *p = context;
    struct process *c = memory_new(sizeof(*c));
    int theirs[2];

    c->pipes = p;
    c->id = id;
    c->in.fd = c->out.fd = -1;
    c->child.over = on_over;
    c->child.memory = on_memory;
    list_init(&c->soon);
    map_add(p->by_id, map_key(&c->id), (uintptr_t)c);
    c->refused = make_pipes(c, theirs);
    if (!c->refused) {
        open_ends(c);
        start(c, theirs);
    }
    c->starts = true;
    come_soon(c);
}

static void wire_session(void *context, struct str session, enum code code, const char *reason)
{
    struct pipes *p = context;

    if (p->o.session)
        p->o.session(p->o.context, session, code, reason);
}

/* Time. */

static void on_timer(uv_timer_t *timer)
{
    struct pipes *p = timer->data;
    int64_t now = clock_monotonic();

    p->timer_us = 0;
    while (heap_first(&p->due) && heap_first(&p->due)->key <= now)
        end_due(LIST_OF(heap_first(&p->due), struct process, due));
    pool_tick(p->pool, now);
}

static void arm(struct pipes *p, int64_t due_us)
{
    int64_t left_us = due_us - clock_monotonic();
    int64_t ms = left_us > 0 ? left_us / CLOCK_MS + 1 : 1;

    p->timer_us = due_us;
    uv_timer_start(&p->timer, on_timer, ms < WAKE_MS_MAX ? (uint64_t)ms : WAKE_MS_MAX, 0);
}

/* The last thing before the loop sleeps, whatever was asked of the pool in this turn. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct pipes *p = prepare->data;
    int64_t due_us = pool_next_us(p->pool);

    if (heap_first(&p->due) && heap_first(&p->due)->key < due_us)
        due_us = heap_first(&p->due)->key;
    if (due_us == INT64_MAX)
        uv_timer_stop(&p->timer);
    else if (due_us != p->timer_us)
        arm(p, due_us);
    if (p->told_over || !pool_over(p->pool))
        return;
    p->told_over = true;
    if (p->o.over)
        p->o.over(p->o.context);
}

/* Texts of its own. */

static char **copy_list(const char *const *list)
{
    char **to;
    size_t n = 0;

    while (list[n])
        n++;
    to = memory_new((n + 1) * sizeof(*to));
    for (size_t i = 0; i < n; i++)
        to[i] = memory_text(list[i]);
    return to;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

static void forget(struct pipes *p)
{
    free_list(p->argv);
    free_list(p->env);
    free(p->cwd);
    free(p->log_folder);
}

static void take(struct pipes *p, const struct pipes_command *command)
{
    forget(p);
    p->argv = copy_list(command->argv);
    p->env = copy_list(command->env);
    p->cwd = memory_text(command->cwd);
    p->log_folder = memory_text(command->log_folder);
    p->o.command.grace_us = command->grace_us;
}

void pipes_set(struct pipes *p, const struct pool_settings *settings,
               const struct pipes_command *command, bool renew)
{
    struct str name = p->o.settings.name;

    take(p, command);
    p->o.settings = *settings;
    p->o.settings.name = name;
    pool_set(p->pool, settings, renew, clock_monotonic());
}

struct pipes *pipes_new(const struct pipes_options *options)
{
    struct pipes *p = memory_new(sizeof(*p));
    const struct pool_wire wire = {
        .context = p,
        .start = wire_start,
        .send = wire_send,
        .stop = wire_stop,
        .read = wire_read,
        .session = wire_session,
    };

    signal(SIGPIPE, SIG_IGN);
    p->o = *options;
    p->name = memory_new(options->settings.name.n + 1);
    memcpy(p->name, options->settings.name.p, options->settings.name.n);
    p->o.settings.name = str_of(p->name);
    take(p, &options->command);
    p->by_id = map_new();
    list_init(&p->soon);
    uv_timer_init(p->o.loop, &p->timer);
    uv_idle_init(p->o.loop, &p->idle);
    uv_prepare_init(p->o.loop, &p->prepare);
    p->timer.data = p->idle.data = p->prepare.data = p;
    uv_prepare_start(&p->prepare, on_prepare);
    uv_unref((uv_handle_t *)&p->prepare);
    uv_unref((uv_handle_t *)&p->timer);
    p->pool = pool_new(&p->o.settings, &wire, p->o.seed, clock_monotonic());
    return p;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct pipes *p = handle->data;

    if (--p->handles == 0)
        free(p);
}

struct pipes *pipes_free(struct pipes *p)
{
    if (!p)
        return NULL;
    assert(map_count(p->by_id) == 0);
    p->pool = pool_free(p->pool);
    p->by_id = map_free(p->by_id);
    heap_deinit(&p->due);
    forget(p);
    free(p->name);
    p->handles = 3;
    uv_close((uv_handle_t *)&p->timer, on_handle_closed);
    uv_close((uv_handle_t *)&p->idle, on_handle_closed);
    uv_close((uv_handle_t *)&p->prepare, on_handle_closed);
    return NULL;
}

struct pool *pipes_pool(struct pipes *p)
{
    return p->pool;
}
