/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller_name: addresses of names.
 *
 * The system's resolver blocks whoever asks it for as long as it likes. So each host that is asked
 * for has a thread of its own meanwhile, with a small stack, and uv's pool, which is everybody's,
 * is left alone. Questions for one host share its thread, whatever their ports, also where those
 * who asked first wait no longer: a host that hangs takes one thread. At most CALLER_RESOLVING_MAX
 * are asked at once, the others wait.
 *
 * A thread cannot be stopped. It knows nothing of the loop but a box where it leaves what it found,
 * and the last of those who share the box frees it; closing waits for nobody.
 */
#ifndef NET_CALLER_NAME_H
#define NET_CALLER_NAME_H

#include "net/caller.h"
#include "net/caller_address.h"

#define CALLER_NAME_ADDRESSES_MAX 8u

struct caller_name_box;

struct caller_names {
    uv_async_t told;             /* something is in the box */
    struct caller_name_box *box; /* shared with the threads */
    struct list asked;           /* hosts that have a thread */
    struct list waiting;         /* that do not yet */
    size_t asked_n;
};

struct caller_name;

/* *error is NULL, and there is at least one address; or it is a literal. */
typedef void caller_name_done(void *context, const struct sockaddr_storage *addresses, size_t n,
                              const char *error);

void caller_name_init(struct caller_names *n, uv_loop_t *loop);
/* Nobody's question is left. `closed` comes from the loop, with `told` whose `data` is the owner's,
 * and then the memory is the owner's again. */
void caller_name_close(struct caller_names *n, uv_close_cb closed);

/* `done` comes later, from the loop or from caller_name_turn(), unless it is forgotten before. */
struct caller_name *caller_name_ask(struct caller_names *n, const struct caller_address *address,
                                    caller_name_done *done, void *context);
/* Ask what waits, as far as there is room. */
void caller_name_turn(struct caller_names *n);
void caller_name_forget(struct caller_name *q);

#endif
