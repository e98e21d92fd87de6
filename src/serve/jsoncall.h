/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsoncall: a call within this process, in JSON, waited for.
 *
 * It goes through the table and the loop like any other; what differs from HTTP is that its JSON
 * arrives as a tree.
 */
#ifndef SERVE_JSONCALL_H
#define SERVE_JSONCALL_H

#include "client/client.h"
#include "serve/methods.h"

/* Make a call of a method that is no stream, and run its loop until it is answered. The loop's
 * thread, and not from within the loop. Returns 0 with a reply that the caller owns, or
 * CLIENT_E_REFUSED with a problem. */
int jsoncall(struct methods *m, uv_loop_t *loop, const char *method, const json_t *request,
             json_t **ret_reply, struct client_problem *ret_problem);

/* A message as a tree, which the caller owns. */
json_t *jsoncall_tree(const ProtobufCMessage *m);

/* Fill a problem from an answer that is not OK. Returns CLIENT_E_REFUSED. */
int jsoncall_refused(const struct batcher_answer *answer, struct client_problem *ret_problem);

#endif
