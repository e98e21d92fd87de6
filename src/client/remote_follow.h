/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_follow: a run on a server is followed, by its stream of events, and what its attempts
 * write by a stream each (remote_stream.h). A stream that is opened again goes on behind what was
 * heard, so that each event and each byte is told once.
 */
#ifndef CLIENT_REMOTE_FOLLOW_H
#define CLIENT_REMOTE_FOLLOW_H

#include "client/remote.h"

/* Logs at once; the others come as these end. */
#define REMOTE_FOLLOW_LOGS_MAX 100u

/* As the transport's. */
int remote_follow(struct remote *r, int64_t run, enum client_follow how, int64_t after,
                  const struct client_listener *listener, struct client_problem *ret_problem);

#endif
