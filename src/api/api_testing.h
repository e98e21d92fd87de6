/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_testing: messages of every type with random content.
 */
#ifndef API_API_TESTING_H
#define API_API_TESTING_H

#include "api/codec.h"
#include "base/prng.h"

extern const ProtobufCMessageDescriptor *const api_testing_messages[];
extern const size_t api_testing_messages_n;

/* Fields set or not, lists of 0 to 3, texts with all that needs an escape, numbers at their ends.
 * What JSON cannot tell is not in it: durations are not negative and, like times, whole
 * microseconds; no embedded value is null. */
ProtobufCMessage *api_testing_message(struct arena *a, const ProtobufCMessageDescriptor *d,
                                      struct prng *prng);

/* The same content: they encode to the same bytes. */
bool api_testing_equal(const ProtobufCMessage *x, const ProtobufCMessage *y);

#endif
