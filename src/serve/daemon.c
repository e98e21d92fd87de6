/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/daemon.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "client/dump.h"
#include "serve/daemon_state.h"

#define POOLED_NET_US   (2 * CLOCK_S)
#define DRAIN_MARGIN_US CLOCK_S /* between the end of the grace time and giving up */

/* Besides sockets: stores, loops, the guardian, logs. A task in work holds at most two pipes, two
 * log files, its pidfd, its cgroup and, for moments, two files more. */
enum { FILES_OWN = 128, FILES_PER_TASK = 8 };

static const int signals[SIGNALS_N] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGALRM};

int daemon_refuse(struct client_problem *ret_problem, enum code code, struct str text)
{
    struct buf b;

    *ret_problem = (struct client_problem){.code = code};
    buf_fixed(&b, ret_problem->text, sizeof(ret_problem->text));
    buf_add(&b, str_sub(text, 0, sizeof(ret_problem->text) - 1));
    return CLIENT_E_REFUSED;
}

int daemon_refuse_fault(struct client_problem *ret_problem, int r, const char *what)
{
    struct arena a = {0};

    log_say(LOG_ERROR, "start_failed", LOG_TEXT("what", str_of(what)), LOG_NUMBER("errno", -r),
            LOG_TEXT("way", str_of(fault_take())));
    daemon_refuse(ret_problem, CODE_INTERNAL, str_printf(&a, "%s: %s", what, strerror(-r)));
    arena_deinit(&a);
    return CLIENT_E_REFUSED;
}

/* Settings. */

static int read_config(struct daemon *d, struct arena *a, struct config *ret)
{
    struct config_given given = {
        .flags = &d->flags,
        .env = (const char *const *)environ,
        .here = d->here,
        .cpus =
            uv_available_parallelism() < d->slots_max ? uv_available_parallelism() : d->slots_max,
        .terminal = isatty(STDERR_FILENO),
    };

    return config_read(a, &given, ret, &d->errors);
}

/* All mistakes of a file as details, with one sentence in front; another one alone is the sentence.
 */
static int refuse_config(const struct config_errors *errors, struct client_problem *ret_problem)
{
    struct arena a = {0};
    json_t *details = json_array();
    struct str text = errors->list[0].text;

    for (size_t i = 0; i < errors->n; i++) {
        const struct doc_error *e = &errors->list[i];

        if (e->line)
            json_array_append_new(details, json_pack("{s:i, s:i, s:s%}", "line", e->line, "column",
                                                     e->column, "text", e->text.p, e->text.n));
        else
            text = e->text;
    }
    if (json_array_size(details) == errors->n)
        text = str_printf(&a, "%s has %zu mistake%s", errors->file, errors->n,
                          errors->n == 1 ? "" : "s");
    daemon_refuse(ret_problem, CODE_INVALID, text);
    ret_problem->details = details;
    arena_deinit(&a);
    return CLIENT_E_REFUSED;
}

/* As many files as the machine allows; tasks for which none is left would fail without a fault of
 * theirs. */
static void look_around(struct daemon *d)
{
    struct rlimit files;

    if (!getcwd(d->here, sizeof(d->here)))
        d->here[0] = '\0';
    d->slots_max = EXECUTOR_SLOTS_MAX;
    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_max == RLIM_INFINITY)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max < FILES_OWN + (rlim_t)d->slots_max * FILES_PER_TASK)
        d->slots_max = files.rlim_max > FILES_OWN
                           ? (unsigned)(files.rlim_max - FILES_OWN) / FILES_PER_TASK
                           : 0;
}

int daemon_config(const struct server_flags *flags, json_t **ret,
                  struct client_problem *ret_problem)
{
    struct daemon d = {.flags = *flags};
    int r = 0;

    look_around(&d);
    if (read_config(&d, &d.arena, &d.config))
        r = refuse_config(&d.errors, ret_problem);
    else
        *ret = config_show(&d.config, d.errors.file);
    arena_deinit(&d.arena);
    return r;
}

struct net_limits daemon_limits(const struct config *c)
{
    struct net_limits l = NET_LIMITS_DEFAULT;

    l.connections = (unsigned)c->connections;
    l.connections_per_peer = (unsigned)c->connections_per_address;
    l.requests_per_s = (unsigned)c->requests_per_second;
    l.head_bytes = (size_t)c->head_bytes;
    l.body_bytes = (size_t)c->body_bytes;
    return l;
}

static void apply_log(const struct config *c)
{
    log_setup((enum log_level)c->log_level, (enum log_format)c->log_format);
}

/* Reloading. */

static void tell_mistakes(const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++)
        log_say(LOG_ERROR, "config_refused", LOG_TEXT("file", str_of(errors->file)),
                LOG_NUMBER("line", errors->list[i].line),
                LOG_NUMBER("column", errors->list[i].column),
                LOG_TEXT("text", errors->list[i].text));
}

/* What cannot change without a restart stays as it is, and the log says so. */
static size_t take_config(struct daemon *d, struct config *c, struct arena *a)
{
    size_t changed = 0;

    for (int key = 0; key < CONFIG_N; key++) {
        if (config_same(&d->config, c, key))
            continue;
        changed++;
        if (!config_reloadable(key))
            log_say(LOG_WARNING, "config_needs_restart", LOG_TEXT("key", str_of(config_name(key))));
    }
    config_keep(c, &d->config, a);
    arena_deinit(&d->config_arena);
    d->config_arena = *a;
    d->config = *c;
    return changed;
}

static void reload_pools(struct daemon *d)
{
    if (d->pools)
        pools_set(d->pools, &d->config.pools);
    else if (d->config.pools.n)
        log_say(LOG_WARNING, "config_needs_restart", LOG_TEXT("key", STR("pools")));
}

static void reload(struct daemon *d)
{
    struct arena a = {0};
    struct config c;
    struct str error;

    notify_say(&d->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic());
    if (read_config(d, &a, &c)) {
        tell_mistakes(&d->errors);
        arena_deinit(&a);
    } else {
        struct net_limits limits;
        size_t changed = take_config(d, &c, &a);

        limits = daemon_limits(&d->config);
        apply_log(&d->config);
        server_limit(d->server, &limits);
        if (d->tls && tls_reload(d->tls, &d->config_arena, &error))
            log_say(LOG_ERROR, "tls_refused", LOG_TEXT("text", error));
        dispatcher_reload(d->dispatcher);
        reload_pools(d);
        log_say(LOG_INFO, "config_reloaded", LOG_NUMBER("changed", changed));
    }
    notify_say(&d->notify, "READY=1");
}

/* The end. */

static void ended_in_part(struct daemon *d)
{
    if (d->server_done && d->carrier_done && d->dispatcher_done && d->pools_done)
        uv_stop(&d->loop);
}

static void server_drained(void *context)
{
    struct daemon *d = context;

    d->server_done = true;
    ended_in_part(d);
}

static void carrier_ended(uv_async_t *async)
{
    struct daemon *d = async->data;

    d->carrier_done = true;
    ended_in_part(d);
}

/* On the carrier's thread. */
void daemon_carrier_over(void *context)
{
    struct daemon *d = context;

    uv_async_send(&d->carrier_over);
}

static void dispatcher_ended(uv_async_t *async)
{
    struct daemon *d = async->data;

    d->dispatcher_done = true;
    ended_in_part(d);
}

/* On the dispatcher's thread. */
void daemon_dispatcher_over(void *context)
{
    struct daemon *d = context;

    uv_async_send(&d->dispatcher_over);
}

void daemon_pools_over(void *context)
{
    struct daemon *d = context;

    d->pools_done = true;
    ended_in_part(d);
}

static void drain(struct daemon *d, int number)
{
    log_say(LOG_INFO, "draining", LOG_TEXT("signal", str_of(strsignal(number))),
            LOG_NUMBER("seconds", d->config.drain_us / CLOCK_S));
    d->phase = DRAINING;
    d->pages.draining = true;
    notify_say(&d->notify, "STOPPING=1\nSTATUS=draining");
    methods_drain(d->methods);
    server_drain(d->server, d->config.drain_us, server_drained, d);
    if (d->carrier)
        carrier_drain(d->carrier, d->config.drain_us);
    else
        d->carrier_done = true;
    if (d->pools)
        pools_drain(d->pools, d->config.drain_us);
    else
        d->pools_done = true;
    dispatcher_drain(d->dispatcher, d->config.drain_us);
}

/* The store has what was acknowledged, and the guardian ends what runs. */
static void die(int number)
{
    log_say(LOG_WARNING, "ended_at_once", LOG_TEXT("signal", str_of(strsignal(number))));
    signal(number, SIG_DFL);
    raise(number);
}

/* Before it serves: the start looks at this while it waits for the store. */
static void end_early(struct daemon *d, int number)
{
    if (number == SIGHUP || number == SIGALRM)
        return;
    if (d->ended_by)
        die(number);
    d->ended_by = number;
}

static void signalled(uv_signal_t *handle, int number)
{
    struct daemon *d = handle->data;

    if (d->phase == STARTING)
        end_early(d, number);
    else if (number == SIGHUP)
        reload(d);
    else if (number == SIGALRM)
        log_say(LOG_WARNING, "signal_ignored", LOG_TEXT("signal", str_of(strsignal(number))));
    else if (d->phase == DRAINING)
        die(number);
    else
        drain(d, number);
}

static void watch(uv_timer_t *timer)
{
    struct daemon *d = timer->data;

    notify_say(&d->notify, "WATCHDOG=1");
}

static void start_handles(struct daemon *d)
{
    uv_async_init(&d->loop, &d->carrier_over, carrier_ended);
    uv_async_init(&d->loop, &d->dispatcher_over, dispatcher_ended);
    uv_timer_init(&d->loop, &d->watchdog);
    d->carrier_over.data = d->dispatcher_over.data = d->watchdog.data = d;
    for (size_t i = 0; i < SIGNALS_N; i++) {
        uv_signal_init(&d->loop, &d->signals[i]);
        d->signals[i].data = d;
        uv_signal_start(&d->signals[i], signalled, signals[i]);
    }
}

static void say_listening(const struct daemon *d)
{
    struct arena a = {0};
    const char *scheme = d->tls ? "https" : "http";
    json_t *o;
    char *text;

    if (d->say == SERVER_SAY_TEXT)
        fprintf(stderr, "weft: listening on %s://" STR_FMT "%s" STR_FMT "\n", scheme,
                STR_ARG(d->address), d->grpc_address.n ? ", gRPC on " : "",
                STR_ARG(d->grpc_address));
    if (d->say == SERVER_SAY_JSON) {
        struct str url = str_printf(&a, "%s://" STR_FMT, scheme, STR_ARG(d->address));

        o = json_pack("{s:s%, s:s%, s:I}", "listening", url.p, url.n, "grpc",
                      d->grpc_address.n ? d->grpc_address.p : "", d->grpc_address.n, "pid",
                      (json_int_t)getpid());
        text = dump_text(o, DUMP_COMPACT);
        fprintf(stderr, "%s\n", text);
        free(text);
        json_decref(o);
    }
    fflush(stderr);
    arena_deinit(&a);
}

static void tell_ready(struct daemon *d)
{
    say_listening(d);
    notify_open(&d->notify);
    notify_say(&d->notify, "READY=1\nSTATUS=listening on " STR_FMT, STR_ARG(d->address));
    if (d->notify.watchdog_us)
        uv_timer_start(&d->watchdog, watch, 0, (uint64_t)(d->notify.watchdog_us / CLOCK_MS / 2));
    d->phase = SERVING;
}

/* The guardian is forked before anything that a fork should not share. */
static int start(struct daemon *d, struct client_problem *ret_problem)
{
    int r = daemon_start_fit(d, ret_problem);

    if (!r && daemon_start_executes(d)) {
        r = guardian_new(&d->guardian);
        if (r)
            r = daemon_refuse_fault(ret_problem, r, "processes cannot be run here");
    }
    d->self = guardian_self(&d->arena);
    if (!r)
        r = daemon_start_own(d, ret_problem);
    if (r)
        return r;
    r = batcher_home_new(&d->loop, &d->home);
    assert(r == 0);
    d->hub =
        hub_new(&(struct hub_options){.net_us = store_pooled(d->config.store) ? POOLED_NET_US : 0});
    r = daemon_start_bridge(d, ret_problem);
    if (!r)
        r = daemon_start_store(d, ret_problem);
    if (!r)
        r = daemon_start_methods(d, ret_problem);
    if (!r)
        r = daemon_start_server(d, ret_problem);
    if (!r && daemon_start_executes(d))
        r = daemon_start_carrier(d, ret_problem);
    if (!r)
        r = daemon_start_dispatcher(d, ret_problem);
    if (r)
        return r;
    daemon_start_duties(d);
    d->pages.pools = d->pools;
    /* The last: from here on there are processes to be ended. */
    if (d->pools)
        pools_set(d->pools, &d->config.pools);
    return 0;
}

static void duties_over(void *context)
{
    ((struct daemon *)context)->duties_done = true;
}

/* Another server takes over at once. */
static void stop_duties(struct daemon *d)
{
    if (!d->duties)
        return;
    duties_stop(d->duties, duties_over, d);
    while (!d->duties_done)
        uv_run(&d->loop, UV_RUN_ONCE);
    d->seat = hub_seat_free(d->seat);
}

/* Everything that still waits is answered when the batchers stop, and then calls come to their end
 * that were given up. */
static void finish(struct daemon *d)
{
    int r;

    stop_duties(d);
    if (d->reader && d->reader != d->writer)
        batcher_stop(d->reader);
    if (d->writer)
        batcher_stop(d->writer);
    methods_settle(d->methods);
    d->bridge = bridge_free(d->bridge);
    d->carrier = carrier_free(d->carrier);
    d->dispatcher = dispatcher_free(d->dispatcher);
    d->pools = pools_free(d->pools);
    d->server = server_free(d->server);
    uv_run(&d->loop, UV_RUN_NOWAIT);
    batcher_release(&d->touches);
    d->methods = methods_free(d->methods);
    if (d->reader != d->writer)
        d->reader = batcher_free(d->reader);
    d->writer = batcher_free(d->writer);
    d->home = batcher_home_free(d->home);
    pages_deinit(&d->pages);
    for (size_t i = 0; i < SIGNALS_N; i++)
        uv_close((uv_handle_t *)&d->signals[i], NULL);
    uv_close((uv_handle_t *)&d->carrier_over, NULL);
    uv_close((uv_handle_t *)&d->dispatcher_over, NULL);
    uv_close((uv_handle_t *)&d->watchdog, NULL);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    r = uv_loop_close(&d->loop);
    assert(r == 0);
    d->hub = hub_free(d->hub);
    d->tls = tls_free(d->tls);
    guardian_free(d->guardian);
    owner_drop(&d->owner);
    notify_close(&d->notify);
    arena_deinit(&d->config_arena);
    arena_deinit(&d->arena);
}

int daemon_up(const struct server_flags *flags, enum server_say say,
              struct client_problem *ret_problem)
{
    struct daemon d = {.flags = *flags, .say = say, .owner = {.fd = -1}, .notify = {.fd = -1}};
    int r;

    look_around(&d);
    if (read_config(&d, &d.config_arena, &d.config)) {
        r = refuse_config(&d.errors, ret_problem);
        arena_deinit(&d.config_arena);
        return r;
    }
    apply_log(&d.config);
    r = uv_loop_init(&d.loop);
    assert(r == 0);
    start_handles(&d);
    r = start(&d, ret_problem);
    if (r && d.ended_by) {
        log_say(LOG_INFO, "ended", LOG_TEXT("signal", str_of(strsignal(d.ended_by))));
        r = 0;
    } else if (!r) {
        tell_ready(&d);
        uv_run(&d.loop, UV_RUN_DEFAULT);
        log_say(LOG_INFO, "ended", LOG_NUMBER("pid", getpid()));
    }
    finish(&d);
    return r;
}
