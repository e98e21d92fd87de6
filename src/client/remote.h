/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote: a server across the network, as a transport for the client.
 *
 * A call is an HTTP request as the rows of the methods describe it. It is tried again, after a
 * pause that grows, where the server cannot be reached or asks for it; each call that writes has an
 * Idempotency-Key of its own, so that a reply that got lost starts nothing twice. A claim that
 * waits has none, and is not made again once it may have been heard.
 */
#ifndef CLIENT_REMOTE_H
#define CLIENT_REMOTE_H

#include "api/method.h"
#include "base/buf.h"
#include "client/client.h"

#define REMOTE_REPLY_BYTES_MAX (256u << 20)
#define REMOTE_TRIES           5
#define REMOTE_PAUSE_MS        100  /* before the second try; then twice as long each time */
#define REMOTE_PAUSE_MS_MAX    5000 /* also of what a server asks for */
#define REMOTE_CONNECT_MS      5000
#define REMOTE_CALL_MS         90000 /* a claim may wait for 60 s */

/* The methods outlive the client. Connects with the first call. Returns 0, or CLIENT_E_REFUSED with
 * a problem: `settings->server` is no URL of a server. */
int remote_connect(const struct client_settings *settings, const struct method *const *methods,
                   size_t methods_n, struct client *ret, struct client_problem *ret_problem);

/*
 * The same without methods, for who makes and reads the bytes: one request over a connection that
 * is kept, once, without trying again. One thread at a time uses a remote.
 */
#define REMOTE_KEY_BYTES 40 /* of an Idempotency-Key, with its NUL */

struct remote;

struct remote_ask {
    const char *verb;
    const char *path; /* with the query */
    const char *body; /* JSON; NULL: none */
    const char *key;  /* Idempotency-Key; NULL: none */
    int64_t timeout_ms;
};

struct remote_answer {
    struct buf reply;       /* the caller's, who empties it with buf_deinit(), also of a refusal */
    bool passing;           /* of a refusal: another try may do */
    int64_t retry_after_ms; /* 0: nothing is said */
    unsigned sent;          /* 2 where a kept connection turned out to be closed */
};

/* As remote_connect(). */
int remote_new(const struct client_settings *settings, struct remote **ret,
               struct client_problem *ret_problem);
struct remote *remote_free(struct remote *r);
/* A new key. */
void remote_key(struct remote *r, char out[static REMOTE_KEY_BYTES]);
/* Returns 0, or CLIENT_E_REFUSED with a problem. */
int remote_ask(struct remote *r, const struct remote_ask *ask, struct remote_answer *ret,
               struct client_problem *ret_problem);

#endif
