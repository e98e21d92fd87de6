/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_follow: a run on a server is followed, by its stream of events.
 *
 *     CLOSED --open--> OPEN --"end"--> over
 *        ^               |
 *        +---pause-------+ the stream is cut, silent for too long, or the server drains
 *
 * A stream that is opened again goes on behind the newest event that was heard, so that each is
 * told once. It is tried again for a minute; what the server refuses is an end.
 */
#ifndef CLIENT_REMOTE_FOLLOW_H
#define CLIENT_REMOTE_FOLLOW_H

#include "client/remote.h"

/* As the transport's. */
int remote_follow(struct remote *r, int64_t run, enum client_follow how, int64_t after,
                  const struct client_listener *listener, struct client_problem *ret_problem);

#endif
