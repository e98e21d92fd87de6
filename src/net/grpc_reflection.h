/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc_reflection: the answers of gRPC's reflection (grpc.reflection.v1 and v1alpha, which are the
 * same on the wire).
 */
#ifndef NET_GRPC_REFLECTION_H
#define NET_GRPC_REFLECTION_H

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/str.h"

/* Answer one request; what is not known is an answer too. False with a sentence where the bytes are
 * no request. The reply lives in the arena. */
bool grpc_reflection_answer(struct arena *a, struct str request, ProtobufCMessage **ret,
                            struct str *ret_error);

#endif
