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
#include "net/server.h"
#include "net/tls.h"
#include "serve/batcher.h"
#include "serve/bridge.h"
#include "serve/carrier.h"
#include "serve/config.h"
#include "serve/dispatcher.h"
#include "serve/duties.h"
#include "serve/hub.h"
#include "serve/methods.h"
#include "serve/notify.h"
#include "serve/owner.h"
#include "serve/pages.h"
#include "serve/pools.h"
#include "work/executor.h"

#define CONNECT_MS      2000    /* a try to connect to the store */
#define DRAIN_MARGIN_US CLOCK_S /* between the end of the grace time and giving up */

/* Besides sockets: stores, loops, the guardian, logs. A task in work holds at most two pipes, two
 * log files, its pidfd, its cgroup and, for moments, two files more. */
enum { FILES_OWN = 128, FILES_PER_TASK = 8 };

enum { POOL_SLOTS_SPARE = 64 };

enum phase { STARTING, SERVING, DRAINING };

enum { SIGNALS_N = 5 };
static const int signals[SIGNALS_N] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGALRM};

struct daemon {
    struct arena arena; /* for its whole life */
    const char *host;   /* a name of it beside this machine's */
    struct server_flags flags;
    enum server_say say;
    char here[4096];
    unsigned slots_max; /* by the limit of open files */
    struct config config;
    struct arena config_arena; /* of the settings that hold now */
    struct config_errors errors;

    struct owner owner;
    struct guardian *guardian; /* NULL: it executes nothing */
    struct guardian_self self;
    struct hub *hub;
    struct bridge *bridge; /* NULL: no other server can share the store */
    struct hub_seat *seat;
    struct duties *duties;
    struct batcher *writer;
    struct batcher *reader;
    uv_loop_t loop;
    struct api_house house;
    struct batcher_home *home;
    struct methods *methods;
    struct call_service service;
    struct tls *tls;
    struct server *server;
    struct pages pages;
    struct carrier *carrier;
    struct dispatcher *dispatcher;
    struct pools *pools; /* NULL: it has no executor */

    enum phase phase;
    int ended_by;                   /* the signal that came before it served; 0: none */
    struct batcher_request touches; /* the first of each store connection */
    bool touched;
    struct notify notify;
    struct str address, grpc_address;
    uv_signal_t signals[SIGNALS_N];
    uv_async_t carrier_over, dispatcher_over;
    uv_timer_t watchdog;
    bool server_done, carrier_done, dispatcher_done, duties_done, pools_done;
};

static int refuse(struct client_problem *ret_problem, enum code code, struct str text)
{
    struct buf b;

    *ret_problem = (struct client_problem){.code = code};
    buf_fixed(&b, ret_problem->text, sizeof(ret_problem->text));
    buf_add(&b, str_sub(text, 0, sizeof(ret_problem->text) - 1));
    return CLIENT_E_REFUSED;
}

static int refuse_fault(struct client_problem *ret_problem, int r, const char *what)
{
    struct arena a = {0};

    log_say(LOG_ERROR, "start_failed", LOG_TEXT("what", str_of(what)), LOG_NUMBER("errno", -r),
            LOG_TEXT("way", str_of(fault_take())));
    refuse(ret_problem, CODE_INTERNAL, str_printf(&a, "%s: %s", what, strerror(-r)));
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
    refuse(ret_problem, CODE_INVALID, text);
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

static struct net_limits limits_of(const struct config *c)
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

        limits = limits_of(&d->config);
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
static void carrier_over(void *context)
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
static void dispatcher_over(void *context)
{
    struct daemon *d = context;

    uv_async_send(&d->dispatcher_over);
}

static void pools_over(void *context)
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

/* Starting. */

static int fit_slots(const struct daemon *d, struct client_problem *ret_problem)
{
    struct arena a = {0};
    size_t pools = pool_config_processes(&d->config.pools);
    int r = 0;

    if (d->config.slots <= d->slots_max && (size_t)d->config.slots + pools > d->slots_max)
        r = refuse(ret_problem, CODE_INVALID,
                   str_printf(&a,
                              "slots is %" PRId64 ", and pools have up to %zu processes (size, "
                              "overflow and start_batch of each); together %u are possible here",
                              d->config.slots, pools, d->slots_max));
    else if (d->config.slots > d->slots_max)
        r = refuse(ret_problem, CODE_INVALID,
                   str_printf(&a,
                              "slots is %" PRId64 ", and the limit of open files is enough for %u; "
                              "raise it with `ulimit -n`",
                              d->config.slots, d->slots_max));
    arena_deinit(&a);
    return r;
}

static int own_store(struct daemon *d, struct client_problem *ret_problem)
{
    struct str folder = d->config.data;
    struct arena a = {0};
    int64_t pid = 0;
    int r = file_mkdirs(str_cstr(&a, folder));

    if (!r)
        r = owner_take(&d->owner, d->config.store, &pid);
    if (r == OWNER_E_TAKEN)
        r = refuse(ret_problem, CODE_STORE_LOCKED,
                   str_printf(&a,
                              "another server (process id %" PRId64 ") has the store " STR_FMT
                              "; a SQLite file has one server: use that "
                              "one, give this one another --data, or take Postgres for both",
                              pid, STR_ARG(d->config.store)));
    else if (r)
        r = refuse(ret_problem, CODE_STORE_UNAVAILABLE,
                   str_printf(&a,
                              "the folder of the data (" STR_FMT ") or of the store (" STR_FMT
                              ") cannot be used: %s",
                              STR_ARG(folder), STR_ARG(d->config.store), strerror(-r)));
    arena_deinit(&a);
    return r;
}

static int nothing(struct tx *tx, const void *request, void *reply)
{
    (void)tx;
    (void)request;
    (void)reply;
    return 0;
}

static void touched(struct batcher_request *q)
{
    ((struct daemon *)q->context)->touched = true;
}

/* Open the connection, and hear whether it can be. A signal ends the wait; the answer then comes
 * with the end of the batcher. */
static int touch(struct daemon *d, struct batcher *b, struct client_problem *ret_problem)
{
    struct batcher_request *q = &d->touches;
    int r = 0;

    *q = (struct batcher_request){.function = nothing,
                                  .patience_us = BATCHER_CALL_US,
                                  .home = d->home,
                                  .done = touched,
                                  .context = d};
    d->touched = false;
    batcher_post(b, &q, 1);
    while (!d->touched && !d->ended_by)
        uv_run(&d->loop, UV_RUN_ONCE);
    if (d->ended_by)
        return refuse(ret_problem, CODE_UNAVAILABLE, STR("it was told to end before it served"));
    if (q->answer.code != CODE_OK)
        r = refuse(ret_problem, q->answer.code, q->answer.text);
    batcher_release(q);
    return r;
}

enum { READERS = 2, READER_BATCH = 16 };
#define POOLED_NET_US (2 * CLOCK_S)

static int start_batcher(struct daemon *d, enum store_mode mode, struct batcher **ret,
                         struct client_problem *ret_problem)
{
    struct batcher_options o = {
        .name = mode == STORE_WRITE ? "weft-writer" : "weft-reader",
        .store = {.url = d->config.store,
                  .mode = mode,
                  .connect_ms = CONNECT_MS,
                  .transaction_ms = STORE_TRANSACTION_MS},
        .hub = d->hub,
        .says_trouble = mode == STORE_WRITE,
 /* A long list does not stop short looks. */
        .connections = mode == STORE_WRITE ? 1 : READERS,
        .waiting_max = (size_t)d->config.waiting,
        .waiting_bytes_max = (size_t)d->config.waiting_bytes,
        .batch_max = mode == STORE_WRITE ? 0 : READER_BATCH,
    };
    int r = batcher_new(&o, ret);

    return r ? refuse_fault(ret_problem, r, "no thread can be started for the store")
             : touch(d, *ret, ret_problem);
}

static bool in_memory(const struct daemon *d)
{
    return str_eq(d->config.store, STR("sqlite::memory:"));
}

static int open_store(struct daemon *d, struct client_problem *ret_problem)
{
    int r = start_batcher(d, STORE_WRITE, &d->writer, ret_problem);

    if (!r && in_memory(d))
        d->reader = d->writer;
    else if (!r)
        r = start_batcher(d, STORE_READ, &d->reader, ret_problem);
    return r;
}

static bool on_postgres(const struct daemon *d)
{
    return str_starts(d->config.store, STR("postgres"));
}

static int start_bridge(struct daemon *d, struct client_problem *ret_problem)
{
    struct bridge_options o = {.url = d->config.store_direct, .hub = d->hub};
    int r = 0;

    /* A pooler of transactions passes on no news; who waits then looks every few seconds. */
    if (on_postgres(d) && !store_pooled(d->config.store))
        r = bridge_new(&o, &d->bridge);

    return r ? refuse_fault(ret_problem, r, "no thread can be started for news") : 0;
}

static void start_duties(struct daemon *d)
{
    struct duties_options o = {
        .loop = &d->loop,
        .home = d->home,
        .writer = d->writer,
        .holder = str_printf(&d->arena, STR_FMT "-%lld-%lld", STR_ARG(d->self.host),
                             (long long)d->self.pid, (long long)d->self.pid_start),
        .alone = !on_postgres(d),
        .renew_us = d->config.duties_us,
        .ttl_us = d->config.duties_us * DUTIES_TTL_US / DUTIES_RENEW_US,
    };
    int r = hub_seat_new(d->hub, &d->loop, &d->seat);

    assert(r == 0);
    o.seat = d->seat;
    duties_new(&o, &d->duties);
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

/* The dispatcher is started behind the methods, and ends behind the last call. */
static size_t left_alone(void *context, struct arena *a, const int64_t **ret)
{
    struct daemon *d = context;

    return d->dispatcher ? dispatcher_left_alone(d->dispatcher, a, ret) : 0;
}

static bool executes(const struct daemon *d)
{
    return d->config.slots || d->config.pools.n;
}

static void make_pools(struct daemon *d)
{
    d->pools = pools_new(&(struct pools_options){
        .loop = &d->loop,
        .data = d->house.data,
        .env = (const char *const *)environ,
        .over = pools_over,
        .context = d,
    });
}

static int start_methods(struct daemon *d, struct client_problem *ret_problem)
{
    int r;

    d->house = (struct api_house){
        .reader = d->reader,
        .writer = d->writer,
        .hub = d->hub,
        .data = str_cstr(&d->arena, d->config.data),
        .url = str_copy(&d->arena, d->config.store), /* settings move with each reload */
        .self = d->self,
        .instance = str_printf(&d->arena, STR_FMT "-%08x", STR_ARG(d->self.host),
                               (uint32_t)d->self.pid_start * 2654435761u ^ (uint32_t)d->self.pid),
        .begun_us = clock_monotonic(),
        .left_alone = left_alone,
        .left_alone_context = d,
    };
    if (executes(d))
        make_pools(d);
    d->house.pools = d->pools;
    r = methods_new(&d->loop, &d->house, &d->methods);
    if (r)
        return refuse_fault(ret_problem, r, "the methods cannot be started");
    d->service = methods_service(d->methods);
    return 0;
}

static int start_tls(struct daemon *d, struct client_problem *ret_problem)
{
    struct config *c = &d->config;
    struct tls_files files = {
        .certificate = str_cstr(&d->arena, c->tls_cert),
        .key = str_cstr(&d->arena, c->tls_key),
        .client_ca = c->tls_client_ca.n ? str_cstr(&d->arena, c->tls_client_ca) : NULL,
    };
    struct str error;

    if (!c->tls_cert.n || !tls_new(&files, &d->arena, &d->tls, &error))
        return 0;
    return refuse(ret_problem, CODE_INVALID, error);
}

static int listen_at(struct daemon *d, struct str address, enum conn_speaks speaks,
                     struct str *ret_address, struct client_problem *ret_problem)
{
    struct server_listen l = {
        .address = str_cstr(&d->arena, address), .tls = d->tls, .speaks = speaks};
    struct str error;
    int r;

    if (!address.n)
        return 0;
    r = server_listen(d->server, &l, &d->arena, ret_address, &error);
    return r ? refuse(ret_problem, r == SERVER_E_ADDRESS ? CODE_INVALID : CODE_UNAVAILABLE, error)
             : 0;
}

static int start_server(struct daemon *d, struct client_problem *ret_problem)
{
    struct server_options o = {
        .loop = &d->loop, .service = &d->service, .limits = limits_of(&d->config)};
    int r = start_tls(d, ret_problem);

    if (r)
        return r;
    d->pages.home = d->home;
    d->pages.writer = d->writer;
    d->pages.reader = d->reader;
    d->pages.begun_us = d->house.begun_us;
    d->pages.methods = d->methods;
    o.pages = pages_list(&d->pages, &o.pages_n);
    d->host = str_cstr(&d->arena, d->config.host);
    o.hosts = &d->host;
    o.hosts_n = d->config.host.n > 0;
    d->server = server_new(&o);
    d->pages.server = d->server;
    r = listen_at(d, d->config.listen, CONN_ANY, &d->address, ret_problem);
    if (!r)
        r = listen_at(d, d->config.grpc, CONN_HTTP2, &d->grpc_address, ret_problem);
    return r;
}

/* More than the settings name, where the machine has room: others that are read later may name
 * more.
 */
static unsigned pool_slots(const struct daemon *d)
{
    size_t wanted = 2 * pool_config_processes(&d->config.pools) + POOL_SLOTS_SPARE;
    size_t room = d->slots_max - (size_t)d->config.slots;

    return (unsigned)(wanted < room ? wanted : room);
}

static int start_carrier(struct daemon *d, struct client_problem *ret_problem)
{
    struct carrier_options o = {
        .hub = d->hub,
        .writer = d->writer,
        .reader = d->reader,
        .guardian = d->guardian,
        .self = d->self,
        .data = d->house.data,
        .here = d->here,
        .env = (const char *const *)environ,
        .slots = (unsigned)d->config.slots,
        .nursery = pools_nursery(d->pools),
        .pool_slots = pool_slots(d),
        .shared = on_postgres(d),
        .over = carrier_over,
        .context = d,
    };
    int r = carrier_new(&o, &d->carrier);

    return r ? refuse_fault(ret_problem, r, "the executor cannot be started") : 0;
}

/* Where runners reach this server. An address that stands for all of the machine's is none. */
static struct str callback_of(struct daemon *d)
{
    struct str listen = d->grpc_address.n ? d->grpc_address : d->address;
    const char *host;
    int64_t port;

    if (d->config.callback.n)
        return d->config.callback;
    if (config_address(&d->arena, listen, &host, &port) &&
        (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0))
        return str_printf(&d->arena, STR_FMT ":%" PRId64, STR_ARG(d->self.host), port);
    return listen;
}

static const char *path_of(struct daemon *d, struct str path)
{
    return path.n ? str_cstr(&d->arena, path) : NULL;
}

static int start_dispatcher(struct daemon *d, struct client_problem *ret_problem)
{
    struct dispatcher_options o = {
        .hub = d->hub,
        .writer = d->writer,
        .callback = callback_of(d),
        .files = {.ca = path_of(d, d->config.runner_ca),
                  .certificate = path_of(d, d->config.runner_cert),
                  .key = path_of(d, d->config.runner_key)},
        .over = dispatcher_over,
        .context = d,
    };
    struct str error;

    if (dispatcher_new(&o, &d->arena, &d->dispatcher, &error))
        return refuse(ret_problem, CODE_INVALID, error);
    d->pages.dispatcher = d->dispatcher;
    return 0;
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
    int r = fit_slots(d, ret_problem);

    if (!r && executes(d)) {
        r = guardian_new(&d->guardian);
        if (r)
            r = refuse_fault(ret_problem, r, "processes cannot be run here");
    }
    d->self = guardian_self(&d->arena);
    if (!r)
        r = own_store(d, ret_problem);
    if (r)
        return r;
    r = batcher_home_new(&d->loop, &d->home);
    assert(r == 0);
    d->hub =
        hub_new(&(struct hub_options){.net_us = store_pooled(d->config.store) ? POOLED_NET_US : 0});
    r = start_bridge(d, ret_problem);
    if (!r)
        r = open_store(d, ret_problem);
    if (!r)
        r = start_methods(d, ret_problem);
    if (!r)
        r = start_server(d, ret_problem);
    if (!r && executes(d))
        r = start_carrier(d, ret_problem);
    if (!r)
        r = start_dispatcher(d, ret_problem);
    if (r)
        return r;
    start_duties(d);
    d->pages.pools = d->pools;
    /* The last: from here on there are processes to be ended. */
    if (d->pools)
        pools_set(d->pools, &d->config.pools);
    return 0;
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
