/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1: the server's side of HTTP/1.1 (RFC 9110, 9112), strictly.
 *
 * One request at a time: what is pipelined behind it waits, unread once it fills a head, and is
 * answered in order. What is not exactly as the RFC has it is answered with 400, and the connection
 * is closed, so that no proxy before us and we can ever disagree about where a request ends.
 * HTTP/1.0 is answered, one request a connection.
 *
 *     IDLE --first byte--> HEAD --complete--> BODY --complete--> CALL --done--> IDLE
 *                            |                  |                  +--stream--> STREAM --done-->
 * IDLE
 *                            +------------------+--refused--> IDLE, or the connection closes
 */
#ifndef NET_HTTP1_H
#define NET_HTTP1_H

#include "net/protocol.h"

struct protocol *http1_new(struct protocol_host *host);

#endif
