/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch_testing: a server's dispatch with the engine on a store of a test's own, and runners
 * that are the test. For tests only.
 *
 * A call is known by its place, in the order in which they came.
 */
#ifndef SERVE_DISPATCH_TESTING_H
#define SERVE_DISPATCH_TESTING_H

#include <protobuf-c/protobuf-c.h>

#include "serve/dispatch.h"
#include "store/store_testing.h"

#define PUSH_CALLS_MAX 2000
#define BUILD          STR("{\"labels\":{},\"mode\":\"sync\",\"type\":\"build\"}")
#define DEPLOY         STR("{\"labels\":{},\"mode\":\"async\",\"type\":\"build\"}")

struct caller_peer {
    char address[64];
    bool left;
};

struct push {
    struct store_testing *t;
    uv_loop_t loop;
    struct hub *hub;
    struct hub_seat *seat;
    struct batcher *writer;
    struct batcher_home *home;
    struct dispatch *dispatch;
    struct caller_peer peers[8];
    size_t peers_n;
    struct caller_call *calls[PUSH_CALLS_MAX]; /* under way; NULL: answered */
    struct caller_peer *called[PUSH_CALLS_MAX];
    bool cancelled[PUSH_CALLS_MAX];
    size_t calls_n;
    bool over; /* and the dispatch is freed, whose last counts these are: */
    struct dispatch_stats last;
};

/* With so many runners, 0 to 2: alpha at 10.0.0.1:1, beta at 10.0.0.2:1. */
struct push *push_begin(void **state, size_t runners);
/* Begins a drain where none is over. */
void push_end(struct push *f);
void push_drain(struct push *f, int64_t grace_us);
/* What dispatch_drain() is given. */
void push_over(void *context);
void push_turn(struct push *f);

void push_runner(struct push *f, const char *name, const char *address);
/* A run with one stage that has this demand. */
int64_t push_stage(struct push *f, struct str demand);
/* The same, until it is called: the place of its call. */
size_t push_called(struct push *f, struct str demand, int64_t *ret_run);

/* Wait for the next call of this method; returns its place. */
size_t push_await(struct push *f, const char *path);
struct lease_ref push_lease(struct push *f, size_t at);

/* How a call ends. */
void push_fails(struct push *f, size_t at, int status, bool sent);
void push_answers(struct push *f, size_t at, struct str reply);
void push_answers_message(struct push *f, size_t at, const ProtobufCMessage *m);
/* `outcome`, `result`: NULL: none. */
void push_reports(struct push *f, size_t at, const char *outcome, const char *result);
void push_accepts(struct push *f, size_t at, bool accepted);

/* A request of somebody else, which must not be refused. */
void push_call(struct push *f, batcher_function *function, const void *request, void *reply,
               size_t size);
/* Taken back by somebody else, before the answer is there. */
void push_take_back(struct push *f, struct lease_ref lease);

/* Of the run's task: a column; set some; wait for a state; how its attempts ended. */
const char *push_look(struct push *f, const char *what, int64_t run);
void push_set(struct push *f, const char *what, int64_t run);
void push_until(struct push *f, int64_t run, const char *state);
const char *push_attempts(struct push *f, int64_t run);
int64_t push_counted(const struct push *f, enum dispatch_count what);

#endif
