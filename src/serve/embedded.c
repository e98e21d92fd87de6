/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/embedded.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/carry.h"
#include "serve/hub.h"
#include "serve/jsoncall.h"
#include "work/executor.h"

/* A try to connect; the batcher tries again for as long as a request is patient. */
#define EMBEDDED_CONNECT_MS 2000

struct embedded {
    struct arena arena;
    const char *data; /* absolute */
    struct str url;
    unsigned slots;
    struct guardian *guardian; /* NULL: it does not carry */
    struct guardian_self self;
    struct batcher *writer;
    struct batcher *reader; /* the writer itself, where the store has no readers */
    uv_loop_t loop;         /* of the calls */
    bool looping;           /* the loop is there */
    struct hub *hub;        /* what waits here is woken by what is committed here */
    struct methods *methods;
};

static int refuse(struct client_problem *ret_problem, enum code code, struct str text)
{
    struct batcher_answer answer = {.code = code, .text = text};

    return jsoncall_refused(&answer, ret_problem);
}

static bool in_memory(struct str url)
{
    return str_eq(url, STR("sqlite::memory:"));
}

static int batcher_start(struct embedded *e, enum store_mode mode, struct batcher **ret)
{
    struct batcher_options o = {
        .name = mode == STORE_WRITE ? "weft-writer" : "weft-reader",
        .store = {.url = e->url, .mode = mode, .connect_ms = EMBEDDED_CONNECT_MS},
        .hub = e->hub,
    };
    int r = batcher_new(&o, ret);

    return r ? fault(r) : 0;
}

static int loop_start(struct embedded *e)
{
    int r = e->looping ? 0 : uv_loop_init(&e->loop);

    e->looping = r == 0;
    return r ? fault(r) : 0;
}

static int methods_open(struct embedded *e)
{
    struct api_house house = {.reader = e->reader,
                              .writer = e->writer,
                              .hub = e->hub,
                              .data = e->data,
                              .url = e->url,
                              .self = e->self};
    int r = methods_new(&e->loop, &house, &e->methods);

    return r ? fault(r) : 0;
}

static int batchers_start(struct embedded *e)
{
    int r = loop_start(e);

    if (!r)
        r = batcher_start(e, STORE_WRITE, &e->writer);
    if (!r && in_memory(e->url))
        e->reader = e->writer;
    else if (!r)
        r = batcher_start(e, STORE_READ, &e->reader);
    if (!r)
        r = methods_open(e);
    return r ? fault(r) : 0;
}

/* They are stopped before they are freed: a call that was given up goes on to its end. */
static void batchers_stop(struct embedded *e)
{
    if (e->reader)
        batcher_stop(e->reader);
    if (e->writer && e->writer != e->reader)
        batcher_stop(e->writer);
    methods_settle(e->methods);
    e->methods = methods_free(e->methods);
    if (e->looping)
        uv_run(&e->loop, UV_RUN_DEFAULT);
    if (e->reader != e->writer)
        batcher_free(e->reader);
    e->reader = NULL;
    e->writer = batcher_free(e->writer);
}

static void drop(void *context)
{
    batchers_stop(context);
}

/* They may have been dropped at the end of a follow. */
static int batchers_need(struct embedded *e, struct client_problem *ret_problem)
{
    int r = e->writer ? 0 : batchers_start(e);

    if (!r)
        return 0;
    log_say(LOG_ERROR, "threads_failed", LOG_NUMBER("errno", -r),
            LOG_TEXT("way", str_of(fault_take())));
    batchers_stop(e);
    return refuse(ret_problem, CODE_INTERNAL, STR("no thread can be started for the store"));
}

static int nothing(struct tx *tx, const void *request, void *reply)
{
    (void)tx;
    (void)request;
    (void)reply;
    return 0;
}

/* Open the connection, and hear whether it can be. */
static int touch(struct batcher *b, struct client_problem *ret_problem)
{
    struct batcher_request q = {.function = nothing, .patience_us = BATCHER_CALL_US};
    int r = 0;

    batcher_call(b, &q);
    if (q.answer.code != CODE_OK)
        r = jsoncall_refused(&q.answer, ret_problem);
    arena_deinit(&q.arena);
    return r;
}

/* A writer makes the store and brings its schema forward; who only reads does so only for an old
 * schema. */
static int open_store(struct embedded *e, bool create, struct client_problem *ret_problem)
{
    int r = touch(create ? e->writer : e->reader, ret_problem);

    if (r && !create && ret_problem->code == CODE_STORE_NEWER)
        r = touch(e->writer, ret_problem);
    return r;
}

static const char *absolute(struct arena *a, const char *path)
{
    char here[4096];

    if (path[0] == '/' || !getcwd(here, sizeof(here)))
        return str_cstr(a, str_of(path));
    return str_printf(a, "%s/%s", here, path).p;
}

static int make_data(struct embedded *e, struct client_problem *ret_problem)
{
    int r = file_mkdirs(e->data);

    if (!r)
        return 0;
    fault_take();
    return refuse(ret_problem, r == -ENOTDIR || r == -EEXIST ? CODE_INVALID : batcher_code(r),
                  str_printf(&e->arena, "the folder %s cannot be made: %s", e->data, strerror(-r)));
}

/* A task in work holds at most two pipes, two log files, its pidfd, its cgroup and, for moments,
 * two files more. The program itself holds the store, its loop and the guardian. */
enum { FILES_OWN = 64, FILES_PER_TASK = 8 };

/* Tasks for which no descriptor is left would fail without a fault of theirs, so the limit is met
 * before any of them starts. */
static int fit_slots(struct embedded *e, bool asked, struct client_problem *ret_problem)
{
    struct rlimit files;
    rlim_t most;

    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == RLIM_INFINITY)
        return 0;
    most = files.rlim_cur > FILES_OWN ? (files.rlim_cur - FILES_OWN) / FILES_PER_TASK : 0;
    if (e->slots <= most)
        return 0;
    if (!asked && most > 0) {
        e->slots = (unsigned)most;
        return 0;
    }
    return refuse(ret_problem, CODE_INVALID,
                  str_printf(&e->arena,
                             "%u tasks at once need up to %u open files, and this program may have "
                             "%ju; raise the limit (ulimit -n)%s",
                             e->slots, FILES_OWN + FILES_PER_TASK * e->slots,
                             (uintmax_t)files.rlim_cur, asked ? " or lower --jobs" : ""));
}

static int start_guardian(struct embedded *e, struct client_problem *ret_problem)
{
    int r = guardian_new(&e->guardian);

    if (!r)
        return 0;
    log_say(LOG_ERROR, "guardian_failed", LOG_NUMBER("errno", -r),
            LOG_TEXT("way", str_of(fault_take())));
    return refuse(ret_problem, CODE_INTERNAL,
                  str_printf(&e->arena, "processes cannot be run here: %s", strerror(-r)));
}

static struct embedded *embedded_free(struct embedded *e)
{
    int r;

    batchers_stop(e);
    r = e->looping ? uv_loop_close(&e->loop) : 0;
    assert(r == 0);
    hub_free(e->hub);
    guardian_free(e->guardian);
    arena_deinit(&e->arena);
    free(e);
    return NULL;
}

/* The transport. */

static int call(void *context, const char *method, const json_t *request, json_t **ret_reply,
                struct client_problem *ret_problem)
{
    struct embedded *e = context;
    int r = batchers_need(e, ret_problem);

    return r ? r : jsoncall(e->methods, &e->loop, method, request, ret_reply, ret_problem);
}

static int follow(void *context, int64_t run, enum client_follow how, int64_t after,
                  const struct client_listener *listener, struct client_problem *ret_problem)
{
    struct embedded *e = context;
    struct carry_options o = {
        .run = run,
        .how = how,
        .after = after,
        .listener = listener,
        .guardian = e->guardian,
        .self = e->self,
        .data = e->data,
        .slots = e->slots,
        .shared = str_starts(e->url, STR("postgres")),
        .drop = drop,
        .context = e,
    };
    int r = batchers_need(e, ret_problem);

    if (r)
        return r;
    if (how == CLIENT_CARRY && !e->guardian)
        return refuse(ret_problem, CODE_INVALID, STR("this connection was not made to carry runs"));
    o.reader = e->reader;
    o.writer = e->writer;
    return carry_run(&o, ret_problem);
}

static void close_all(void *context)
{
    embedded_free(context);
}

int embedded_connect(const struct client_settings *settings, struct client *ret,
                     struct client_problem *ret_problem)
{
    struct embedded *e = memory_new(sizeof(*e));
    int r = 0;

    *ret_problem = (struct client_problem){.code = CODE_OK};
    e->data = absolute(&e->arena, settings->data ? settings->data : ".weft");
    e->url = settings->store ? str_copy(&e->arena, str_of(settings->store))
                             : str_printf(&e->arena, "sqlite:%s/weft.db", e->data);
    e->slots = settings->slots ? settings->slots : uv_available_parallelism();
    e->self = guardian_self(&e->arena);
    e->hub = hub_new(&(struct hub_options){0});
    if (e->slots > EXECUTOR_SLOTS_MAX)
        r = refuse(ret_problem, CODE_INVALID,
                   str_printf(&e->arena, "%u tasks at once are more than the %u allowed", e->slots,
                              EXECUTOR_SLOTS_MAX));
    if (!r && settings->carry)
        r = fit_slots(e, settings->slots != 0, ret_problem);
    if (!r && settings->carry)
        r = start_guardian(e, ret_problem);
    if (!r && (settings->create || settings->carry))
        r = make_data(e, ret_problem);
    if (!r)
        r = batchers_need(e, ret_problem);
    if (!r)
        r = open_store(e, settings->create, ret_problem);
    if (r) {
        embedded_free(e);
        return r;
    }
    ret->transport =
        (struct client_transport){.context = e, .call = call, .follow = follow, .close = close_all};
    return 0;
}
