/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/weft_runner.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "client/raw.h"
#include "net/tls.h"
#include "runner/weft_going.h"

#define LISTEN_DEFAULT     "127.0.0.1:0"
#define SLOTS_DEFAULT      10
#define SLOTS_MAX          100000
#define THREADS_DEFAULT    1000
#define THREADS_MAX        100000
#define METADATA_BYTES_MAX (64u << 10)
#define REPORT_MS_MIN      1000        /* for the last ends, whatever is left of the patience */
#define BODY_BYTES_MAX     (64u << 20) /* of a call: as much as the server can send */

/* ---- what it is made of ---- */

static int invalid(struct weft_error *ret_error, const char *text)
{
    return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument", "%s", text);
}

static int check_types(const struct weft_stage_type *types, size_t n, struct weft_error *ret_error)
{
    if (n < 1 || n > WEFT_STAGE_TYPES_MAX)
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "types of stages: 1 to %d, not %zu", WEFT_STAGE_TYPES_MAX, n);
    for (size_t i = 0; i < n; i++) {
        if (!types[i].type || !*types[i].type || !types[i].work)
            return invalid(ret_error, "a type of stages has a name and a function");
        if (types[i].slots > SLOTS_MAX || types[i].slots < WEFT_SLOTS_UNLIMITED ||
            types[i].modes > WEFT_STAGE_ASYNC)
            return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                                "stages of type %s: slots are -1 to %d, and modes those that "
                                "weft_runner.h names",
                                types[i].type, SLOTS_MAX);
        for (size_t j = 0; j < i; j++)
            if (strcmp(types[i].type, types[j].type) == 0)
                return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                                    "the type %s stands twice", types[i].type);
    }
    return WEFT_OK;
}

static int check_options(const struct weft_runner_options *o, struct weft_error *ret_error)
{
    struct str value;
    size_t at;

    if (o->slots > SLOTS_MAX || o->slots < WEFT_SLOTS_UNLIMITED || o->threads > THREADS_MAX)
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "slots: -1 to %d, threads: 1 to %d", SLOTS_MAX, THREADS_MAX);
    if (o->metadata &&
        (o->metadata_n > METADATA_BYTES_MAX ||
         !raw_check((struct str){o->metadata, o->metadata_n}, &value, &at) || *value.p != '{'))
        return invalid(ret_error, "the metadata are no JSON object");
    if (!o->cert_file != !o->key_file || (o->ca_file && !o->cert_file))
        return invalid(ret_error, "TLS needs a certificate and its key");
    if (o->patience_ms < 0)
        return invalid(ret_error, "a duration is not negative");
    return WEFT_OK;
}

static void init_offer(struct weft_runner *r, const struct weft_runner_options *o,
                       const struct weft_stage_type *t, struct weft_offer *ret)
{
    int slots = t->slots ? t->slots : o->slots ? o->slots : SLOTS_DEFAULT;

    *ret = (struct weft_offer){
        .runner = r,
        .type = memory_text(t->type),
        .work = t->work,
        .context = t->context,
        .modes = t->modes,
        .slots = slots == WEFT_SLOTS_UNLIMITED ? 0 : (unsigned)slots,
    };
    list_init(&ret->early);
}

static void on_pool(void *context)
{
    struct weft_runner *r = context;

    uv_async_send(&r->wake);
}

static struct weft_runner *new_runner(struct weft *w, const struct weft_runner_options *o,
                                      const struct weft_stage_type *types, size_t types_n)
{
    struct weft_runner *r = memory_new(sizeof(*r));
    struct weft_pool_options pool = {
        .threads_max = o->threads ? o->threads : THREADS_DEFAULT,
        .work = weft_stage_perform,
        .done = on_pool,
        .context = r,
    };

    r->client = w;
    r->name = o->name ? memory_text(o->name) : weft_worker_name_new();
    r->offers = memory_new(types_n * sizeof(*r->offers));
    r->offers_n = types_n;
    for (size_t i = 0; i < types_n; i++)
        init_offer(r, o, &types[i], &r->offers[i]);
    pthread_sigmask(SIG_SETMASK, NULL, &pool.mask);
    r->pool = weft_pool_new(&pool);
    r->stages = map_new();
    r->finished = weft_finished_new();
    list_init(&r->going);
    list_init(&r->queued);
    pthread_mutex_init(&r->lock, NULL);
    weft_held_cond_init(&r->changed);
    return r;
}

/* Its loop does not run, and its threads have ended. */
static void free_runner(struct weft_runner *r)
{
    for (size_t i = 0; i < r->offers_n; i++) {
        weft_worker_free(r->offers[i].worker);
        free(r->offers[i].type);
    }
    weft_pool_free(r->pool);
    tls_free(r->tls);
    map_free(r->stages);
    weft_finished_free(r->finished);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r->offers);
    free(r->name);
    free(r->address);
    free(r);
}

/* ---- where it listens ---- */

/* Calls of all slots, and as many again for what is refused, and for pings and cancels. */
static unsigned calls_max(const struct weft_runner *r)
{
    unsigned n = 1000;

    for (size_t i = 0; i < r->offers_n; i++)
        n += r->offers[i].slots ? r->offers[i].slots : SLOTS_MAX;
    return n;
}

static void set_address(struct weft_runner *r, const struct weft_runner_options *o,
                        struct str bound)
{
    char host[256] = "localhost";
    struct buf out;

    if (o->address) {
        r->address = memory_text(o->address);
        return;
    }
    buf_init(&out, 2 * sizeof(host));
    buf_add(&out, r->tls ? STR("https://") : STR(""));
    if (str_starts(bound, STR("0.0.0.0:")) || str_starts(bound, STR("[::]:"))) {
        gethostname(host, sizeof(host) - 1);
        buf_add(&out, str_of(host));
        buf_add(&out, str_of(strrchr(bound.p, ':')));
    } else {
        buf_add(&out, bound);
    }
    r->address = out.p;
}

static int listen_at(struct weft_runner *r, const struct weft_runner_options *o, struct arena *a,
                     struct weft_error *ret_error)
{
    struct tls_files files = {o->cert_file, o->key_file, o->ca_file};
    struct str bound, error;

    if (o->cert_file && tls_new(&files, a, &r->tls, &error))
        return asker_refuse(ret_error, WEFT_INVALID, "tls", STR_FMT, STR_ARG(error));
    if (server_listen(r->server,
                      &(struct server_listen){.address = o->listen ? o->listen : LISTEN_DEFAULT,
                                              .tls = r->tls,
                                              .speaks = CONN_HTTP2},
                      a, &bound, &error))
        return asker_refuse(ret_error, WEFT_INVALID, "listen", STR_FMT, STR_ARG(error));
    set_address(r, o, bound);
    return WEFT_OK;
}

/* ---- the loop ---- */

static void on_wake(uv_async_t *wake)
{
    weft_calls_look(wake->data);
}

static void *turn(void *context)
{
    struct weft_runner *r = context;

    uv_run(&r->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* Listen, with a thread that answers. After a failure nothing is left of it. */
static int open_loop(struct weft_runner *r, const struct weft_runner_options *o,
                     struct weft_error *ret_error)
{
    struct net_limits limits = NET_LIMITS_DEFAULT;
    struct arena a = {0};
    sigset_t all, before;
    int result;

    limits.body_bytes = BODY_BYTES_MAX;
    limits.calls_per_connection = calls_max(r);
    uv_loop_init(&r->loop);
    uv_async_init(&r->loop, &r->wake, on_wake);
    r->wake.data = r;
    weft_calls_serve(r);
    r->server = server_new(
        &(struct server_options){.loop = &r->loop, .limits = limits, .service = &r->service});
    result = listen_at(r, o, &a, ret_error);
    arena_deinit(&a);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!result && pthread_create(&r->thread, NULL, turn, r))
        result = asker_refuse(ret_error, WEFT_UNAVAILABLE, "threads", "no thread can be started");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!result)
        return WEFT_OK;
    atomic_store(&r->ending, true);
    weft_calls_look(r);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    uv_loop_close(&r->loop);
    return result;
}

static void close_loop(struct weft_runner *r)
{
    atomic_store(&r->ending, true);
    uv_async_send(&r->wake);
    pthread_join(r->thread, NULL);
    uv_loop_close(&r->loop);
}

/* ---- registering ---- */

static void on_joined(void *context)
{
    struct weft_runner *r = context;

    uv_async_send(&r->wake);
}

static char *registration(const struct weft_runner *r, const struct weft_offer *offer,
                          const struct weft_runner_options *o)
{
    static const char *const modes[] = {
        [WEFT_STAGE_BOTH] = "\"sync\",\"async\"",
        [WEFT_STAGE_SYNC] = "\"sync\"",
        [WEFT_STAGE_ASYNC] = "\"async\"",
    };
    struct buf out;

    buf_init(&out, WEFT_BODY_BYTES_MAX);
    buf_add(&out, STR(",\"type\":"));
    buf_json(&out, str_of(offer->type));
    buf_add(&out, STR(",\"address\":"));
    buf_json(&out, str_of(r->address));
    buf_printf(&out, ",\"modes\":[%s]", modes[offer->modes]);
    if (o->metadata)
        buf_printf(&out, ",\"metadata\":" STR_FMT,
                   STR_ARG(((struct str){o->metadata, o->metadata_n})));
    buf_add(&out, STR(",\"version\":"));
    buf_json(&out, str_of(o->version));
    return out.p;
}

/* The workers as which the types are registered, before they are. */
static int new_workers(struct weft_runner *r, const struct weft_runner_options *o,
                       struct weft_error *ret_error)
{
    struct weft_worker_options given = {
        .ttl_ms = o->ttl_ms,
        .labels = o->labels,
        .labels_n = o->labels_n,
        .takeover = o->takeover,
        .log = o->log,
        .log_context = o->log_context,
    };
    struct arena a = {0};
    int result = WEFT_OK;

    for (size_t i = 0; !result && i < r->offers_n; i++) {
        struct weft_offer *offer = &r->offers[i];

        given.name = r->offers_n == 1 ? r->name : str_printf(&a, "%s/%s", r->name, offer->type).p;
        result = weft_worker_new(r->client, &given, &offer->worker, ret_error);
    }
    arena_deinit(&a);
    return result;
}

static int enter_all(struct weft_runner *r, const struct weft_runner_options *o,
                     struct weft_error *ret_error)
{
    int result = WEFT_OK;

    for (size_t i = 0; !result && i < r->offers_n; i++) {
        struct weft_worker *k = r->offers[i].worker;

        k->slots = r->offers[i].slots;
        k->more = registration(r, &r->offers[i], o);
        k->joined = on_joined;
        k->joined_context = r;
        result = weft_worker_enter(r->offers[i].worker, ret_error);
        r->offers[i].entered = !result;
    }
    return result;
}

/* ---- life ---- */

int weft_runner_start(struct weft *w, const struct weft_runner_options *options,
                      const struct weft_stage_type *types, size_t types_n, struct weft_runner **ret,
                      struct weft_error *ret_error)
{
    static const struct weft_runner_options none;
    const struct weft_runner_options *o = options ? options : &none;
    struct weft_runner *r;
    int result;

    asker_clear(ret_error);
    if (check_types(types, types_n, ret_error) || check_options(o, ret_error))
        return WEFT_INVALID;
    log_setup(LOG_ERROR, LOG_PLAIN); /* what the network says of itself is for a server's log */
    r = new_runner(w, o, types, types_n);
    result = new_workers(r, o, ret_error);
    if (!result)
        result = open_loop(r, o, ret_error);
    if (result) {
        free_runner(r);
        return result;
    }
    result = enter_all(r, o, ret_error);
    if (result)
        weft_runner_close(r, 0);
    else
        *ret = r;
    return result;
}

const char *weft_runner_name(const struct weft_runner *runner)
{
    return runner->name;
}

const char *weft_runner_address(const struct weft_runner *runner)
{
    return runner->address;
}

void weft_runner_stop(struct weft_runner *runner)
{
    atomic_store(&runner->stopping, true);
}

static void say_drain(struct weft_runner *r)
{
    for (size_t i = 0; i < r->offers_n; i++)
        if (r->offers[i].entered)
            weft_join_say(r->offers[i].worker, "drain");
}

/* How many still go on. */
static size_t rest(struct weft_runner *r, int64_t at)
{
    size_t left;

    pthread_mutex_lock(&r->lock);
    while (r->stages_n && clock_monotonic() < at)
        weft_held_cond_wait(&r->changed, &r->lock, at);
    left = r->stages_n;
    pthread_mutex_unlock(&r->lock);
    return left;
}

static size_t drain(struct weft_runner *r, int64_t at)
{
    weft_runner_stop(r);
    say_drain(r);
    return rest(r, at);
}

int weft_runner_drain(struct weft_runner *runner, int64_t patience_ms, struct weft_error *ret_error)
{
    size_t left = drain(runner, weft_held_in_ms(patience_ms));

    asker_clear(ret_error);
    if (!left)
        return WEFT_OK;
    return asker_refuse(ret_error, WEFT_UNAVAILABLE, "not_ended", "%zu stages still go on", left);
}

/* What still goes on is told to stop, and no more of ours. */
static void abandon(struct weft_runner *r)
{
    pthread_mutex_lock(&r->lock);
    r->abandoning = true;
    uv_async_send(&r->wake);
    while (r->abandoning)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

void weft_runner_close(struct weft_runner *runner, int64_t patience_ms)
{
    struct weft_runner *r = runner;
    int64_t at = weft_held_in_ms(patience_ms), left_ms;

    if (!r)
        return;
    if (drain(r, at))
        abandon(r);
    for (size_t i = 0; i < r->offers_n; i++) {
        left_ms = (at - clock_monotonic()) / CLOCK_MS;
        if (r->offers[i].entered)
            weft_worker_leave(r->offers[i].worker,
                              left_ms > REPORT_MS_MIN ? left_ms : REPORT_MS_MIN);
    }
    rest(r, INT64_MAX); /* a thread cannot be ended by others */
    weft_pool_join(r->pool);
    close_loop(r);
    free_runner(r);
}
