/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_testing: a pool in a world without processes, for tests.
 *
 * What it sends is kept, and the test answers, hangs and dies as the case wants, at times that the
 * case says.
 */
#ifndef POOL_POOL_TESTING_H
#define POOL_POOL_TESTING_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"
#include "pool/pool.h"

#define PROCESSES_MAX 4000u
#define CALLS_MAX     32u
#define MS            CLOCK_MS

/* What a process was asked and has not answered: the ids, in order. */
struct process {
    bool asked, started, over, killed;
    int64_t asked_ids[256];
    bool pings[256];
    char sessions[256][16];
    unsigned asked_n;
    unsigned reading; /* refused */
};

struct call {
    struct pool_call call;
    bool taken, done;
    enum code code;
    bool failed;
    char value[200]; /* the answer's value, or its text */
    unsigned chunks;
};

struct world {
    struct pool *pool;
    struct pool_settings settings;
    int64_t now;
    struct process processes[PROCESSES_MAX];
    uint64_t newest;
    struct call calls[CALLS_MAX];
    char ended[200]; /* sessions that the pool told of: "id reason;" */
    struct prng prng;
    const char *able;
};

/* What processes do: they say bytes as they are, or a text as a frame; answer the k-th thing that
 * they owe ("\"success\":true,…"), or the first one with its id as the result; answer their first
 * ping; and die. */
void play_say(struct world *w, uint64_t id, struct str bytes);
void play_say_text(struct world *w, uint64_t id, const char *text);
void play_answer(struct world *w, uint64_t id, unsigned k, const char *rest);
void play_succeed(struct world *w, uint64_t id);
void play_start(struct world *w, uint64_t id);
void play_die(struct world *w, uint64_t id);

/* Time passes, and everything that is due happens when it is. */
void play_pass(struct world *w, int64_t us);

/* The i-th call, and that it was refused with a code, at once or later. */
struct call *play_ask_with(struct world *w, unsigned i, const char *session,
                           enum lend_affinity affinity, int64_t deadline_us);
struct call *play_ask(struct world *w, unsigned i, const char *session);
void play_check_refused(const struct call *c, enum code code);

/* A pool with the settings of the world (where they have a size), its processes ready or not; and
 * its end. The world is freed by CLEANUP(memory_freep). */
void play_begin(struct world *w, unsigned size, unsigned overflow);
void play_begin_ready(struct world *w, unsigned size, unsigned overflow);
void play_end(struct world *w);
unsigned play_in_state(struct world *w, enum worker_state state);
struct world *play_new(void);

#endif
