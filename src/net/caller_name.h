/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller_name: addresses of names, a few at a time.
 *
 * The system's resolver blocks a thread of uv's pool for as long as it likes, and the pool is
 * everybody's. So at most CALLER_RESOLVING_MAX are asked at once, the others wait; who has asked
 * and waits no longer forgets the question. A question that hangs is taken up by the next one for
 * the same name, so that one name takes one thread.
 */
#ifndef NET_CALLER_NAME_H
#define NET_CALLER_NAME_H

#include "net/caller.h"
#include "net/caller_address.h"

#define CALLER_NAME_ADDRESSES_MAX 8u

struct caller_names {
    uv_loop_t *loop;
    struct list asked;   /* in the pool */
    struct list waiting; /* not yet */
    size_t asked_n;
    void (*empty)(void *context); /* the last question in the pool has been answered */
    void *context;
};

struct caller_name;

/* *error is NULL, and there is at least one address; or it is a literal. */
typedef void caller_name_done(void *context, const struct sockaddr_storage *addresses, size_t n,
                              const char *error);

void caller_name_init(struct caller_names *n, uv_loop_t *loop, void (*empty)(void *context),
                      void *context);
/* `done` comes later, from the loop or from caller_name_turn(), unless it is forgotten before. */
struct caller_name *caller_name_ask(struct caller_names *n, const struct caller_address *address,
                                    caller_name_done *done, void *context);
/* Ask what waits, as far as there is room. */
void caller_name_turn(struct caller_names *n);
void caller_name_forget(struct caller_name *q);

#endif
