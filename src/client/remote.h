/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote: a server across the network, as a transport for the client.
 *
 * A call is an HTTP request as the rows of the methods describe it. It is tried again, after a
 * pause that grows, where the server cannot be reached or asks for it; each call that writes has an
 * Idempotency-Key of its own, so that a reply that got lost starts nothing twice.
 */
#ifndef CLIENT_REMOTE_H
#define CLIENT_REMOTE_H

#include "api/method.h"
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

#endif
