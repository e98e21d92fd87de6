/* SPDX-License-Identifier: Apache-2.0 */
/*
 * carry: a uv loop that tells a listener what happens to a run, until it ends.
 *
 * The events come from the store, read ten times a second after the newest one known, so that what
 * other programs do is seen as well as what this one does. To carry a run is to follow it with a
 * local worker on the same loop.
 */
#ifndef SERVE_CARRY_H
#define SERVE_CARRY_H

#include "client/client.h"
#include "serve/batcher.h"
#include "work/guardian.h"

struct carry_options {
    struct batcher *reader;
    struct batcher *writer;
    int64_t run;
    enum client_follow how;
    int64_t after; /* the listener hears the events behind this one */
    const struct client_listener *listener;
    /* For CLIENT_CARRY. */
    struct guardian *guardian;
    struct guardian_self self;
    const char *data;
    unsigned slots;
    bool shared; /* other machines work on this store */
    /* Free the batchers, which answers whatever they still wait with. Called where the store does
     * not answer and the end cannot wait for it. */
    void (*drop)(void *context);
    void *context;
};

/* Returns 0 when the run has ended or the watching was interrupted, or CLIENT_E_REFUSED with a
 * problem. Blocks. */
int carry_run(const struct carry_options *options, struct client_problem *ret_problem);

#endif
