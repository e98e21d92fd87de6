/* SPDX-License-Identifier: Apache-2.0 */
#include "net/caller_name.h"

#include <assert.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/memory.h"

#define STACK_BYTES ((size_t)256 << 10)

struct caller_name_box {
    pthread_mutex_t lock;
    struct list found;   /* questions that were answered */
    size_t sharers;      /* threads, and the loop until it closes */
    uv_async_t *told_to; /* NULL: the loop has closed */
};

/* A host that is asked for. The loop's. */
struct host {
    struct list link; /* the names' */
    struct list askers;
    struct caller_names *names;
    bool asked;
    char name[CALLER_ADDRESS_HOST_BYTES_MAX + 1];
};

/* The thread's, and then the box's. */
struct question {
    struct list link;
    struct caller_name_box *box;
    struct host *host; /* only the loop looks behind it */
    char name[CALLER_ADDRESS_HOST_BYTES_MAX + 1];
    int status;
    struct addrinfo *found;
};

struct caller_name {
    struct list link; /* the host's */
    struct host *host;
    in_port_t port; /* in the order of the network */
    caller_name_done *done;
    void *context;
};

/* ---- the box ---- */

static void question_free(struct question *q)
{
    if (q->found)
        freeaddrinfo(q->found);
    free(q);
}

/* The lock is held, and is not any more. */
static void box_leave(struct caller_name_box *b)
{
    bool last = --b->sharers == 0;

    pthread_mutex_unlock(&b->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static void *resolve(void *context)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct question *q = context;
    struct caller_name_box *b = q->box;

    q->status = getaddrinfo(q->name, NULL, &hints, &q->found);
    pthread_mutex_lock(&b->lock);
    if (b->told_to) {
        list_add(&b->found, &q->link);
        uv_async_send(b->told_to);
    } else {
        question_free(q);
    }
    box_leave(b);
    return NULL;
}

/* Signals are for the threads that know what to do with them. */
static int thread_start(struct question *q)
{
    sigset_t all, before;
    pthread_attr_t a;
    pthread_t thread;
    int r;

    sigfillset(&all);
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&a, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&thread, &a, resolve, q);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&a);
    return r;
}

/* ---- hosts ---- */

static void host_free(struct host *h)
{
    assert(list_empty(&h->askers));
    list_del(&h->link);
    free(h);
}

static struct host *host_of(struct list *link)
{
    return LIST_OF(link, struct host, link);
}

static struct host *host_in(struct list *list, const char *name)
{
    LIST_EACH(it, list)
    if (strcmp(host_of(it)->name, name) == 0)
        return host_of(it);
    return NULL;
}

static struct host *host_need(struct caller_names *n, const struct caller_address *a)
{
    struct host *h = host_in(&n->asked, a->host);

    if (!h)
        h = host_in(&n->waiting, a->host);
    if (h)
        return h;
    h = memory_new(sizeof(*h));
    h->names = n;
    memcpy(h->name, a->host, sizeof(h->name));
    list_init(&h->askers);
    list_add(&n->waiting, &h->link);
    return h;
}

/* With the port that this one asked for. */
static void answer(const struct caller_name *q, struct sockaddr_storage *addresses, size_t n,
                   const char *error)
{
    for (size_t i = 0; i < n; i++) {
        if (addresses[i].ss_family == AF_INET6)
            ((struct sockaddr_in6 *)(void *)&addresses[i])->sin6_port = q->port;
        else
            ((struct sockaddr_in *)(void *)&addresses[i])->sin_port = q->port;
    }
    q->done(q->context, addresses, n, error);
}

/* It is over: all who ask for it are told. */
static void host_answer(struct host *h, const struct addrinfo *found, const char *error)
{
    struct sockaddr_storage addresses[CALLER_NAME_ADDRESSES_MAX] = {0};
    struct list told;
    size_t n = 0;

    list_init(&told);
    for (; found && !error && n < CALLER_NAME_ADDRESSES_MAX; found = found->ai_next)
        if (found->ai_family == AF_INET || found->ai_family == AF_INET6)
            memcpy(&addresses[n++], found->ai_addr, found->ai_addrlen);
    if (!error && n == 0)
        error = gai_strerror(EAI_NONAME);
    list_del(&h->link); /* whoever asks again meanwhile begins anew */
    while (!list_empty(&h->askers)) {
        struct caller_name *q = LIST_OF(h->askers.next, struct caller_name, link);

        list_del(&q->link);
        list_add(&told, &q->link);
        answer(q, addresses, n, error);
    }
    LIST_EACH_SAFE(it, &told)
    free(LIST_OF(it, struct caller_name, link));
    host_free(h);
}

static void host_ask(struct host *h)
{
    struct caller_names *n = h->names;
    struct question *q = memory_new(sizeof(*q));
    int r;

    q->box = n->box;
    q->host = h;
    memcpy(q->name, h->name, sizeof(q->name));
    pthread_mutex_lock(&n->box->lock);
    n->box->sharers++;
    pthread_mutex_unlock(&n->box->lock);
    list_del(&h->link);
    list_add(&n->asked, &h->link);
    h->asked = true;
    n->asked_n++;
    r = thread_start(q);
    if (r == 0)
        return;
    pthread_mutex_lock(&n->box->lock);
    box_leave(n->box);
    question_free(q);
    n->asked_n--;
    host_answer(h, NULL, uv_strerror(-r));
}

static void on_told(uv_async_t *told)
{
    struct caller_names *n = LIST_OF(told, struct caller_names, told);
    struct list found;

    list_init(&found);
    pthread_mutex_lock(&n->box->lock);
    list_move(&found, &n->box->found);
    pthread_mutex_unlock(&n->box->lock);
    while (!list_empty(&found)) {
        struct question *q = LIST_OF(found.next, struct question, link);

        list_del(&q->link);
        n->asked_n--;
        host_answer(q->host, q->found, q->status ? gai_strerror(q->status) : NULL);
        question_free(q);
    }
    caller_name_turn(n);
}

void caller_name_turn(struct caller_names *n)
{
    LIST_EACH_SAFE(it, &n->waiting)
    if (n->asked_n < CALLER_RESOLVING_MAX)
        host_ask(host_of(it));
}

/* ---- those who ask ---- */

struct caller_name *caller_name_ask(struct caller_names *n, const struct caller_address *address,
                                    caller_name_done *done, void *context)
{
    struct caller_name *q = memory_new(sizeof(*q));
    int64_t port = 0;

    assert(!address->numeric);
    str_int64(str_of(address->port), &port);
    q->host = host_need(n, address);
    q->port = htons((in_port_t)port);
    q->done = done;
    q->context = context;
    list_add(&q->host->askers, &q->link);
    return q;
}

void caller_name_forget(struct caller_name *q)
{
    struct host *h = q->host;

    list_del(&q->link);
    free(q);
    if (!h->asked && list_empty(&h->askers))
        host_free(h);
}

/* ---- lifetime ---- */

void caller_name_init(struct caller_names *n, uv_loop_t *loop)
{
    int r;

    *n = (struct caller_names){0};
    list_init(&n->asked);
    list_init(&n->waiting);
    r = uv_async_init(loop, &n->told, on_told);
    assert(r == 0);
    /* Whoever waits for an answer has a reason of its own to keep the loop alive. */
    uv_unref((uv_handle_t *)&n->told);
    n->box = memory_new(sizeof(*n->box));
    pthread_mutex_init(&n->box->lock, NULL);
    list_init(&n->box->found);
    n->box->sharers = 1;
    n->box->told_to = &n->told;
}

void caller_name_close(struct caller_names *n, uv_close_cb closed)
{
    struct caller_name_box *b = TAKE(n->box);

    assert(list_empty(&n->waiting));
    LIST_EACH_SAFE(it, &n->asked)
    host_free(host_of(it));
    pthread_mutex_lock(&b->lock);
    b->told_to = NULL;
    LIST_EACH_SAFE(it, &b->found)
    question_free(LIST_OF(it, struct question, link));
    box_leave(b);
    uv_close((uv_handle_t *)&n->told, closed);
}
