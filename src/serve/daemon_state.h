/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon_state: what a server keeps, for its own files: daemon.c is its life, daemon_start.c how
 * its parts are started, in the order in which they stand there.
 */
#ifndef SERVE_DAEMON_STATE_H
#define SERVE_DAEMON_STATE_H

#include "base/clock.h"
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

enum phase { STARTING, SERVING, DRAINING };

enum { SIGNALS_N = 5 };

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

/* daemon.c: refusals, and what parts call when they are over, each on its own thread. */
int daemon_refuse(struct client_problem *ret_problem, enum code code, struct str text);
int daemon_refuse_fault(struct client_problem *ret_problem, int r, const char *what);
struct net_limits daemon_limits(const struct config *c);
void daemon_carrier_over(void *context);
void daemon_dispatcher_over(void *context);
void daemon_pools_over(void *context);

/* daemon_start.c: 0, or refused with the problem. Whether there is room for its processes; that the
 * store is its own; and whether it has any processes. */
int daemon_start_fit(const struct daemon *d, struct client_problem *ret_problem);
int daemon_start_own(struct daemon *d, struct client_problem *ret_problem);
int daemon_start_store(struct daemon *d, struct client_problem *ret_problem);
int daemon_start_bridge(struct daemon *d, struct client_problem *ret_problem);
void daemon_start_duties(struct daemon *d);
bool daemon_start_executes(const struct daemon *d);
int daemon_start_methods(struct daemon *d, struct client_problem *ret_problem);
int daemon_start_server(struct daemon *d, struct client_problem *ret_problem);
int daemon_start_carrier(struct daemon *d, struct client_problem *ret_problem);
int daemon_start_dispatcher(struct daemon *d, struct client_problem *ret_problem);

#endif
