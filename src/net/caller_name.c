/* SPDX-License-Identifier: Apache-2.0 */
#include "net/caller_name.h"

#include <netdb.h>
#include <stdlib.h>

#include "base/memory.h"

struct caller_name {
    struct list link;
    struct caller_names *names;
    struct caller_address address;
    caller_name_done *done; /* NULL: it is forgotten */
    void *context;
    bool asked;
    uv_getaddrinfo_t uv;
};

void caller_name_init(struct caller_names *n, uv_loop_t *loop, void (*empty)(void *context),
                      void *context)
{
    *n = (struct caller_names){.loop = loop, .empty = empty, .context = context};
    list_init(&n->asked);
    list_init(&n->waiting);
}

static void answer(struct caller_name *q, const struct addrinfo *found, int status)
{
    struct sockaddr_storage addresses[CALLER_NAME_ADDRESSES_MAX] = {0};
    size_t n = 0;

    if (!q->done)
        return;
    for (; found && status == 0 && n < CALLER_NAME_ADDRESSES_MAX; found = found->ai_next)
        if (found->ai_addrlen <= sizeof(*addresses))
            memcpy(&addresses[n++], found->ai_addr, found->ai_addrlen);
    if (status == 0 && n == 0)
        status = UV_EAI_NONAME;
    q->done(q->context, addresses, n, status ? uv_strerror(status) : NULL);
}

static void on_found(uv_getaddrinfo_t *uv, int status, struct addrinfo *found)
{
    struct caller_name *q = uv->data;
    struct caller_names *n = q->names;

    list_del(&q->link);
    n->asked_n--;
    answer(q, found, status);
    uv_freeaddrinfo(found);
    free(q);
    caller_name_turn(n);
    if (n->asked_n == 0)
        n->empty(n->context);
}

static void ask(struct caller_name *q)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct caller_names *n = q->names;
    int r;

    list_del(&q->link);
    q->asked = true;
    q->uv.data = q;
    r = uv_getaddrinfo(n->loop, &q->uv, on_found, q->address.host, q->address.port, &hints);
    if (r == 0) {
        list_add(&n->asked, &q->link);
        n->asked_n++;
        return;
    }
    answer(q, NULL, r);
    free(q);
}

void caller_name_turn(struct caller_names *n)
{
    LIST_EACH_SAFE(it, &n->waiting)
    if (n->asked_n < CALLER_RESOLVING_MAX)
        ask(LIST_OF(it, struct caller_name, link));
}

/* A question for this name that is under way and forgotten. */
static struct caller_name *orphan(struct caller_names *n, const struct caller_address *a)
{
    LIST_EACH(it, &n->asked)
    {
        struct caller_name *q = LIST_OF(it, struct caller_name, link);

        if (!q->done && strcmp(q->address.host, a->host) == 0 &&
            strcmp(q->address.port, a->port) == 0)
            return q;
    }
    return NULL;
}

struct caller_name *caller_name_ask(struct caller_names *n, const struct caller_address *address,
                                    caller_name_done *done, void *context)
{
    struct caller_name *q = orphan(n, address);

    if (!q) {
        q = memory_new(sizeof(*q));
        q->names = n;
        q->address = *address;
        list_add(&n->waiting, &q->link);
    }
    q->done = done;
    q->context = context;
    return q;
}

void caller_name_forget(struct caller_name *q)
{
    q->done = NULL;
    if (q->asked)
        return;
    list_del(&q->link);
    free(q);
}
