/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller_link: one connection to a peer, from its name to its close.
 *
 *     RESOLVING --resolved--> CONNECTING --connected--> SHAKING --shaken--> GREETING
 *        (a name only)            |                    (TLS only)              |
 *                                 +--connected, plain------------------------->+
 *                                                                              | greeted
 *         OVER <--over-- DRAINING <--going-- OPEN <---------------------------+
 *           ^                                  |
 *           +--failed, over--------------------+  (and from every other state)
 *
 * All of it up to OPEN has caller_options.connect_us, of which each of a name's addresses has its
 * share. What goes on in OPEN and DRAINING has the deadlines of its calls; where calls are under
 * way and the other side says nothing for ping_us it is asked for a sign of life.
 */
#ifndef NET_CALLER_LINK_H
#define NET_CALLER_LINK_H

#include "net/caller_h2.h"
#include "net/caller_name.h"
#include "net/caller_tls.h"

#define CALLER_LINK_STATES(X)                                                                      \
    X(RESOLVING) X(CONNECTING) X(SHAKING) X(GREETING) X(OPEN) X(DRAINING) X(OVER)
#define CALLER_LINK_ENUM(name) CALLER_LINK_##name,
enum caller_link_state { CALLER_LINK_STATES(CALLER_LINK_ENUM) CALLER_LINK_STATE_N };

#define CALLER_LINK_EVENTS(X)                                                                      \
    X(RESOLVED) X(CONNECTED) X(SHAKEN) X(GREETED) X(GOING) X(FAILED) X(ENDED)
#define CALLER_LINK_EVENT_ENUM(name) CALLER_LINK_EVENT_##name,
enum caller_link_event { CALLER_LINK_EVENTS(CALLER_LINK_EVENT_ENUM) CALLER_LINK_EVENT_N };

/* The next state; where an event has no place it changes nothing. */
enum caller_link_state caller_link_next(enum caller_link_state s, enum caller_link_event e,
                                        bool tls);
struct str caller_link_state_text(enum caller_link_state s);

struct caller_socket;

struct caller_link {
    struct list all;   /* the caller's */
    struct list woken; /* likewise, where it has something to do */
    struct caller *caller;
    struct caller_peer *peer; /* lives as long */
    enum caller_link_state state;
    struct caller_name *name; /* RESOLVING */
    struct sockaddr_storage addresses[CALLER_NAME_ADDRESSES_MAX];
    size_t addresses_n, at;       /* `at` is the next one to be tried */
    struct caller_socket *socket; /* from CONNECTING on */
    struct caller_pipe *pipe;     /* TLS */
    struct caller_h2 *h2;         /* from GREETING on */
    struct list calls;            /* that it has */
    int64_t begun_us, next_us;    /* next_us: the address that is tried has no more time */
    int64_t opened_us, heard_us, pinged_us, idle_us;
    bool writing, answered;
    char why[200]; /* it ended */
};

/* Connect; what follows comes from the loop. */
struct caller_link *caller_link_new(struct caller_peer *p);
/* Send and be done with what has ended, in the caller's turn. It may free the link. */
void caller_link_turn(struct caller_link *l);
/* When caller_link_tick() is of use again. */
int64_t caller_link_deadline(const struct caller_link *l);
void caller_link_tick(struct caller_link *l, int64_t now_us);
/* Its calls leave as with a lost connection; it is freed in the caller's next turn. */
void caller_link_fail(struct caller_link *l, const char *why);
/* The same without a mistake of anybody's. */
void caller_link_end(struct caller_link *l);

bool caller_link_has_room(const struct caller_link *l);
void caller_link_begin(struct caller_link *l, struct caller_call *call);
void caller_link_drop(struct caller_link *l, struct caller_call *call);

#endif
