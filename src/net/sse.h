/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse: messages of a stream as server-sent events (the HTML standard, §9.2).
 *
 *     id: 17                          the message's `seq`, where it has one: Last-Event-ID goes on
 *     event: task_RUNNING             its `kind`, where it has one
 *     data: {"seq":"17",...}          the message as JSON
 *
 * The stream ends with an event named `end`, or `problem` with why it could not go on.
 */
#ifndef NET_SSE_H
#define NET_SSE_H

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"

#define SSE_TYPE "text/event-stream"
#define SSE_BEAT ": alive\n\n"

/* `scratch` is overwritten. */
void sse_message(const ProtobufCMessage *m, struct buf *scratch, struct buf *out);

/* An event of its own, with data of one or several lines. */
void sse_event(struct str id, struct str name, struct str data, struct buf *out);

#endif
