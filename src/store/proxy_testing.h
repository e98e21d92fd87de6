/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_testing: a way to the Postgres server of a test on which things happen.
 *
 * For tests only. One connection at a time goes through it; a message is what the client sends
 * before it waits for an answer.
 */
#ifndef STORE_PROXY_TESTING_H
#define STORE_PROXY_TESTING_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "store/store_testing.h"

enum trouble {
    PASS,
    CUT_BEFORE, /* the message does not arrive */
    CUT_AFTER,  /* it arrives, and the answer is lost */
    HOLD,       /* it does not arrive, and the server does not notice that we are gone */
    DOWN,       /* as CUT_AFTER, and nobody can connect any more */
    FREEZE,     /* nothing is passed on any more */
};

struct proxy {
    pthread_t thread;
    int listener;
    const char *url; /* through it */
    struct sockaddr_in server;
    const char *word;     /* trouble comes with the message that holds this, or */
    atomic_int countdown; /* with the n-th message, from 1 */
    atomic_int trouble;   /* PASS again when it has come, but for DOWN */
    atomic_bool end;
    int held;
};

/* It lives in the test's arena; proxy_end() ends its thread. */
struct proxy *proxy_new(struct store_testing *t);
void proxy_end(struct proxy *p);

#endif
