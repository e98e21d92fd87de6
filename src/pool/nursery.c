/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/nursery.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/memory.h"
#include "work/tail.h"

#define HOW_BYTES 400u

/* What is asked for; the texts of a start lie behind it. */
struct request {
    struct list link;
    enum { REQUEST_START, REQUEST_TERM, REQUEST_KILL } kind;
    struct nursery_child *child;
    int64_t token;
    struct nursery_start start;
};

/* What is told. */
struct news {
    struct list link;
    enum { NEWS_OVER, NEWS_MEMORY } kind;
    struct nursery_child *child;
    int64_t bytes;
    size_t how_n;
    char how[HOW_BYTES];
};

/* A job, on the executor's thread. */
struct nursed {
    struct list link;
    int64_t token;
    struct nursery_child *child;
};

struct nursery {
    pthread_mutex_t lock; /* of the lists, and of `open` */
    struct list requests;
    struct list news;
    bool open;

    /* The loop of those who ask. */
    uv_async_t told;
    int64_t last_token;
    unsigned children;

    /* The executor's thread. */
    uv_async_t asked;
    uv_timer_t look;
    struct executor *executor;
    struct executor_events events;
    struct map *by_token;
    struct list nursed;
    unsigned nursed_n;
    unsigned slots;
};

/* The executor's thread. */

static void tell(struct nursery *n, struct news *news)
{
    pthread_mutex_lock(&n->lock);
    list_add(&n->news, &news->link);
    pthread_mutex_unlock(&n->lock);
    uv_async_send(&n->told);
}

static void tell_over(struct nursery *n, struct nursery_child *child, struct str how)
{
    struct news *news = memory_new(sizeof(*news));

    news->kind = NEWS_OVER;
    news->child = child;
    news->how_n = how.n < HOW_BYTES ? how.n : HOW_BYTES;
    if (how.n)
        memcpy(news->how, how.p, news->how_n);
    tell(n, news);
}

/* The last line of stderr is most often what a person looks for. */
static struct str last_line(struct str text)
{
    size_t from;

    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == ' '))
        text.n--;
    from = text.n;
    while (from && text.p[from - 1] != '\n')
        from--;
    return str_sub(text, from, text.n - from);
}

static void say_how(const struct job_result *r, struct buf *out)
{
    struct str line = last_line(r->stderr_tail);

    if (r->signal)
        buf_printf(out, "it was killed by signal %d (SIG%s)", r->signal,
                   sigabbrev_np(r->signal) ? sigabbrev_np(r->signal) : "?");
    else if (r->exit_code >= 0)
        buf_printf(out, "it ended with exit code %d", r->exit_code);
    else
        buf_add(out, r->message);
    if (line.n && (r->signal || r->exit_code >= 0)) {
        buf_add(out, STR(": "));
        tail_clean(str_sub(line, 0, TAIL_LINE_BYTES), TAIL_LINE, out);
    }
}

static void done(void *context, int64_t token, const struct job_result *result)
{
    struct nursery *n = context;
    uint64_t key = (uint64_t)token, found;
    char text[HOW_BYTES];
    struct nursed *job;
    struct buf how;

    if (!map_get(n->by_token, map_key(&key), &found))
        return;
    job = (struct nursed *)(uintptr_t)found;
    buf_fixed(&how, text, sizeof(text));
    say_how(result, &how);
    tell_over(n, job->child, buf_str(&how));
    map_del(n->by_token, map_key(&key));
    list_del(&job->link);
    n->nursed_n--;
    free(job);
}

static void look(uv_timer_t *timer)
{
    struct nursery *n = timer->data;

    LIST_EACH(it, &n->nursed)
    {
        struct nursed *job = LIST_OF(it, struct nursed, link);
        struct news *news = memory_new(sizeof(*news));

        news->kind = NEWS_MEMORY;
        news->child = job->child;
        news->bytes = executor_resident_bytes(n->executor, job->token);
        tell(n, news);
    }
}

static void close_streams(const int streams[2])
{
    close(streams[0]);
    close(streams[1]);
}

static void start(struct nursery *n, struct request *r)
{
    struct nursed *job;
    uint64_t key = (uint64_t)r->token;
    struct job what = {
        .token = r->token,
        .argv = r->start.argv,
        .env = r->start.env,
        .cwd = r->start.cwd,
        .out_path = "",
        .err_path = r->start.err_path,
        .output_path = "",
        .progress_path = "",
        .grace_us = r->start.grace_us,
        .streams = {r->start.streams[0], r->start.streams[1]},
        .events = &n->events,
    };

    if (n->nursed_n == n->slots) {
        close_streams(r->start.streams);
        tell_over(n, r->child,
                  STR("the server was started with fewer processes of pools, and has no place for "
                      "one more"));
        return;
    }
    job = memory_new(sizeof(*job));
    *job = (struct nursed){.token = r->token, .child = r->child};
    list_add(&n->nursed, &job->link);
    n->nursed_n++;
    map_add(n->by_token, map_key(&key), (uintptr_t)job);
    executor_start(n->executor, &what);
}

static void asked(uv_async_t *async)
{
    struct nursery *n = async->data;
    struct list now;

    list_init(&now);
    pthread_mutex_lock(&n->lock);
    list_move(&now, &n->requests);
    pthread_mutex_unlock(&n->lock);
    LIST_EACH_SAFE(it, &now)
    {
        struct request *r = LIST_OF(it, struct request, link);

        list_del(&r->link);
        if (r->kind == REQUEST_START)
            start(n, r);
        else if (n->executor)
            executor_stop(n->executor, r->token,
                          r->kind == REQUEST_KILL ? EXECUTOR_KILL : EXECUTOR_TERM);
        free(r);
    }
}

void nursery_open(struct nursery *n, uv_loop_t *loop, struct executor *executor, unsigned slots)
{
    int r = uv_async_init(loop, &n->asked, asked);

    assert(r == 0 && !n->open);
    n->executor = executor;
    n->slots = slots;
    uv_timer_init(loop, &n->look);
    n->asked.data = n->look.data = n;
    uv_timer_start(&n->look, look, NURSERY_LOOK_MS, NURSERY_LOOK_MS);
    uv_unref((uv_handle_t *)&n->look);
    uv_unref((uv_handle_t *)&n->asked);
    pthread_mutex_lock(&n->lock);
    n->open = true;
    pthread_mutex_unlock(&n->lock);
    uv_async_send(&n->asked);
}

void nursery_close(struct nursery *n)
{
    assert(list_empty(&n->nursed));
    pthread_mutex_lock(&n->lock);
    n->open = false;
    pthread_mutex_unlock(&n->lock);
    uv_close((uv_handle_t *)&n->asked, NULL);
    uv_close((uv_handle_t *)&n->look, NULL);
    uv_run(n->look.loop, UV_RUN_NOWAIT);
}

/* The loop of those who ask. */

static void told(uv_async_t *async)
{
    struct nursery *n = async->data;
    struct list now;

    list_init(&now);
    pthread_mutex_lock(&n->lock);
    list_move(&now, &n->news);
    pthread_mutex_unlock(&n->lock);
    while (!list_empty(&now)) {
        struct news *news = LIST_OF(now.next, struct news, link);

        list_del(&news->link);
        if (news->kind == NEWS_MEMORY) {
            news->child->memory(news->child, news->bytes);
        } else {
            n->children--;
            news->child->over(news->child, (struct str){news->how, news->how_n});
        }
        free(news);
    }
}

struct nursery *nursery_new(uv_loop_t *loop)
{
    struct nursery *n = memory_new(sizeof(*n));
    int r = uv_async_init(loop, &n->told, told);

    assert(r == 0);
    pthread_mutex_init(&n->lock, NULL);
    list_init(&n->requests);
    list_init(&n->news);
    list_init(&n->nursed);
    n->by_token = map_new();
    n->last_token = NURSERY_TOKEN_FIRST - 1;
    n->events = (struct executor_events){.context = n, .done = done};
    n->told.data = n;
    uv_unref((uv_handle_t *)&n->told);
    return n;
}

static void closed(uv_handle_t *handle)
{
    struct nursery *n = handle->data;

    pthread_mutex_destroy(&n->lock);
    free(n);
}

struct nursery *nursery_free(struct nursery *n)
{
    if (!n)
        return NULL;
    assert(!n->open && n->children == 0 && list_empty(&n->news));
    LIST_EACH_SAFE(it, &n->requests)
    free(LIST_OF(it, struct request, link)); /* stops of those that were over */
    n->by_token = map_free(n->by_token);
    uv_close((uv_handle_t *)&n->told, closed);
    return NULL;
}

static void ask(struct nursery *n, struct request *r)
{
    pthread_mutex_lock(&n->lock);
    list_add(&n->requests, &r->link);
    if (n->open)
        uv_async_send(&n->asked);
    pthread_mutex_unlock(&n->lock);
}

static void measure(const char *const *list, size_t *pointers, size_t *bytes)
{
    for (; *list; list++) {
        *pointers += 1;
        *bytes += strlen(*list) + 1;
    }
    *pointers += 1;
}

static const char *copy(char **at, const char *text)
{
    size_t n = strlen(text) + 1;

    memcpy(*at, text, n);
    *at += n;
    return *at - n;
}

static const char *const *copy_list(const char ***pointers, char **at, const char *const *list)
{
    const char *const *from = *pointers;

    for (; *list; list++)
        *(*pointers)++ = copy(at, *list);
    *(*pointers)++ = NULL;
    return from;
}

void nursery_start(struct nursery *n, struct nursery_child *c, const struct nursery_start *start)
{
    size_t pointers = 0, bytes = strlen(start->cwd) + strlen(start->err_path) + 2;
    struct request *r;
    const char **list;
    char *at;

    measure(start->argv, &pointers, &bytes);
    measure(start->env, &pointers, &bytes);
    r = memory_new(sizeof(*r) + pointers * sizeof(char *) + bytes);
    list = (const char **)(void *)(r + 1);
    at = (char *)(list + pointers);
    r->kind = REQUEST_START;
    r->child = c;
    r->token = c->token = ++n->last_token;
    r->start = *start;
    r->start.argv = copy_list(&list, &at, start->argv);
    r->start.env = copy_list(&list, &at, start->env);
    r->start.cwd = copy(&at, start->cwd);
    r->start.err_path = copy(&at, start->err_path);
    n->children++;
    ask(n, r);
}

void nursery_stop(struct nursery *n, struct nursery_child *c, enum executor_stop how)
{
    struct request *r = memory_new(sizeof(*r));

    r->kind = how == EXECUTOR_KILL ? REQUEST_KILL : REQUEST_TERM;
    r->token = c->token;
    ask(n, r);
}
