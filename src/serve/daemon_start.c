/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "serve/daemon_state.h"

#define CONNECT_MS 2000 /* a try to connect to the store */

enum { POOL_SLOTS_SPARE = 64 };

int daemon_start_fit(const struct daemon *d, struct client_problem *ret_problem)
{
    struct arena a = {0};
    size_t pools = pool_config_processes(&d->config.pools);
    int r = 0;

    if (d->config.slots <= d->slots_max && (size_t)d->config.slots + pools > d->slots_max)
        r = daemon_refuse(
            ret_problem, CODE_INVALID,
            str_printf(&a,
                       "slots is %" PRId64 ", and pools have up to %zu processes (size, "
                       "overflow and start_batch of each); together %u are possible here",
                       d->config.slots, pools, d->slots_max));
    else if (d->config.slots > d->slots_max)
        r = daemon_refuse(ret_problem, CODE_INVALID,
                          str_printf(&a,
                                     "slots is %" PRId64
                                     ", and the limit of open files is enough for %u; "
                                     "raise it with `ulimit -n`",
                                     d->config.slots, d->slots_max));
    arena_deinit(&a);
    return r;
}

int daemon_start_own(struct daemon *d, struct client_problem *ret_problem)
{
    struct str folder = d->config.data;
    struct arena a = {0};
    int64_t pid = 0;
    int r = file_mkdirs(str_cstr(&a, folder));

    if (!r)
        r = owner_take(&d->owner, d->config.store, &pid);
    if (r == OWNER_E_TAKEN)
        r = daemon_refuse(ret_problem, CODE_STORE_LOCKED,
                          str_printf(&a,
                                     "another server (process id %" PRId64
                                     ") has the store " STR_FMT
                                     "; a SQLite file has one server: use that "
                                     "one, give this one another --data, or take Postgres for both",
                                     pid, STR_ARG(d->config.store)));
    else if (r)
        r = daemon_refuse(ret_problem, CODE_STORE_UNAVAILABLE,
                          str_printf(&a,
                                     "the folder of the data (" STR_FMT
                                     ") or of the store (" STR_FMT ") cannot be used: %s",
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
        return daemon_refuse(ret_problem, CODE_UNAVAILABLE,
                             STR("it was told to end before it served"));
    if (q->answer.code != CODE_OK)
        r = daemon_refuse(ret_problem, q->answer.code, q->answer.text);
    batcher_release(q);
    return r;
}

enum { READERS = 2, READER_BATCH = 16 };

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

    return r ? daemon_refuse_fault(ret_problem, r, "no thread can be started for the store")
             : touch(d, *ret, ret_problem);
}

static bool in_memory(const struct daemon *d)
{
    return str_eq(d->config.store, STR("sqlite::memory:"));
}

int daemon_start_store(struct daemon *d, struct client_problem *ret_problem)
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

int daemon_start_bridge(struct daemon *d, struct client_problem *ret_problem)
{
    struct bridge_options o = {.url = d->config.store_direct, .hub = d->hub};
    int r = 0;

    /* A pooler of transactions passes on no news; who waits then looks every few seconds. */
    if (on_postgres(d) && !store_pooled(d->config.store))
        r = bridge_new(&o, &d->bridge);

    return r ? daemon_refuse_fault(ret_problem, r, "no thread can be started for news") : 0;
}

void daemon_start_duties(struct daemon *d)
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

/* The dispatcher is started behind the methods, and ends behind the last call. */
static size_t left_alone(void *context, struct arena *a, const int64_t **ret)
{
    struct daemon *d = context;

    return d->dispatcher ? dispatcher_left_alone(d->dispatcher, a, ret) : 0;
}

bool daemon_start_executes(const struct daemon *d)
{
    return d->config.slots || d->config.pools.n;
}

static void make_pools(struct daemon *d)
{
    d->pools = pools_new(&(struct pools_options){
        .loop = &d->loop,
        .data = d->house.data,
        .env = (const char *const *)environ,
        .over = daemon_pools_over,
        .context = d,
    });
}

int daemon_start_methods(struct daemon *d, struct client_problem *ret_problem)
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
    if (daemon_start_executes(d))
        make_pools(d);
    d->house.pools = d->pools;
    r = methods_new(&d->loop, &d->house, &d->methods);
    if (r)
        return daemon_refuse_fault(ret_problem, r, "the methods cannot be started");
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
    return daemon_refuse(ret_problem, CODE_INVALID, error);
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
    return r ? daemon_refuse(ret_problem, r == SERVER_E_ADDRESS ? CODE_INVALID : CODE_UNAVAILABLE,
                             error)
             : 0;
}

int daemon_start_server(struct daemon *d, struct client_problem *ret_problem)
{
    struct server_options o = {
        .loop = &d->loop, .service = &d->service, .limits = daemon_limits(&d->config)};
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

int daemon_start_carrier(struct daemon *d, struct client_problem *ret_problem)
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
        .over = daemon_carrier_over,
        .context = d,
    };
    int r = carrier_new(&o, &d->carrier);

    return r ? daemon_refuse_fault(ret_problem, r, "the executor cannot be started") : 0;
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

int daemon_start_dispatcher(struct daemon *d, struct client_problem *ret_problem)
{
    struct dispatcher_options o = {
        .hub = d->hub,
        .writer = d->writer,
        .callback = callback_of(d),
        .files = {.ca = path_of(d, d->config.runner_ca),
                  .certificate = path_of(d, d->config.runner_cert),
                  .key = path_of(d, d->config.runner_key)},
        .over = daemon_dispatcher_over,
        .context = d,
    };
    struct str error;

    if (dispatcher_new(&o, &d->arena, &d->dispatcher, &error))
        return daemon_refuse(ret_problem, CODE_INVALID, error);
    d->pages.dispatcher = d->dispatcher;
    return 0;
}
