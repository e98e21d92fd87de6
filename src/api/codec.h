/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec: protobuf messages of the API from and to their bytes.
 *
 * Bytes from outside are walked by the descriptors before they are decoded: depth, numbers of
 * fields and messages, UTF-8, NUL, and that what is JSON is JSON (protobuf-c itself recurses
 * without limit and takes any bytes). Unknown fields are kept, so that a newer client is
 * understood; a field that holds a message and stands twice is refused, and so is an entry of a map
 * without key or value.
 */
#ifndef API_CODEC_H
#define API_CODEC_H

#include "api/weft.pb-c.h"
#include "base/arena.h"
#include "base/buf.h"

#define CODEC_DEPTH_MAX 16u
/* Of all messages together: 10 000 tasks with 20 fields each, ten times. */
#define CODEC_FIELDS_MAX 2000000u
/* 10 000 tasks with the 7 messages that each may hold, and as much again. A decoded message is a
 * hundred times larger than its shortest encoding. */
#define CODEC_MESSAGES_MAX 160000u

/* What a Timestamp and a Duration may hold (years 1 to 9999, and 10 000 years). */
#define CODEC_TIME_S_MIN     (-62135596800LL)
#define CODEC_TIME_S_MAX     253402300799LL
#define CODEC_DURATION_S_MAX 315576000000LL
#define CODEC_NANOS_MAX      999999999

enum { CODEC_E_BAD = 1 };

/* Returns 0 with a message in the arena, or CODEC_E_BAD with one sentence. The texts of the message
 * are copies. */
int codec_decode(struct arena *a, const ProtobufCMessageDescriptor *d, struct str bytes,
                 ProtobufCMessage **ret, struct str *ret_error);
size_t codec_size(const ProtobufCMessage *m);
/* Appends codec_size() bytes. */
void codec_encode(const ProtobufCMessage *m, struct buf *out);

/* A new message in the arena: CODEC_NEW(a, Weft__V1__Queue, weft__v1__queue). */
#define CODEC_NEW(a, type, prefix) ((type *)codec_new((a), sizeof(type), &prefix##__descriptor))
void *codec_new(struct arena *a, size_t size, const ProtobufCMessageDescriptor *d);

/* Fields that are set. Texts are copied into the arena, with a NUL. */
char *codec_text(struct arena *a, struct str s);
/* An id or token as a string of digits; NULL (absent) for 0. */
char *codec_id(struct arena *a, int64_t id);
/* Times and durations of the engine, in microseconds; NULL (absent) for 0 of a time. */
Weft__V1__Timestamp *codec_time(struct arena *a, int64_t at_us);
Weft__V1__Duration *codec_duration(struct arena *a, int64_t us);

/* The other way. False where it does not fit into microseconds of an int64_t, or is no valid
 * message of its kind. */
bool codec_time_us(const Weft__V1__Timestamp *t, int64_t *ret);
bool codec_duration_us(const Weft__V1__Duration *d, int64_t *ret);

/* Whether a repeated field is a map: its message has a key and a value. */
bool codec_map_entry(const ProtobufCFieldDescriptor *f);
/* A key that stands twice among the entries of a map, or NULL. */
const char *codec_map_again(struct arena *a, ProtobufCMessage *const *entries, size_t n);
/* Bytes of each item of a repeated field. */
size_t codec_item_size(ProtobufCType type);

#endif
