/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protojson: messages of the API from and to JSON, by their descriptors.
 *
 * The names are those of the .proto files. What differs from protobuf's own JSON mapping: whole
 * numbers are numbers (ids are texts in the API itself), names are never changed to camelCase, and
 * a text that is JSON (a field of bytes, see scripts/proto-c) is embedded as it is: it is checked
 * and copied, never parsed into values. Durations are "1.5s", times RFC 3339 in UTC, maps objects.
 * null means absent, but for a text that is JSON, where it is a value; whole numbers may come as
 * texts of digits, a key that stands twice is refused.
 */
#ifndef API_PROTOJSON_H
#define API_PROTOJSON_H

#include "api/weft.pb-c.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/doc.h"

#define PROTOJSON_DEPTH_MAX 64u /* of embedded JSON */

enum { PROTOJSON_E_BAD = 1 };

/* Returns 0, or PROTOJSON_E_BAD with the place and one sentence, which names the key
 * ("tasks[3].delay: …"). An unknown key is refused, with the nearest name that there is. An empty
 * text is {}. */
int protojson_decode(struct arena *a, const ProtobufCMessageDescriptor *d, struct str text,
                     ProtobufCMessage **ret, struct doc_error *ret_error);

/* Set one field from the text of a path or query: "page_size", "a.b" for a field of a message or a
 * key of a map; one of a list adds an item. A field that is set already may only be a text, and the
 * same: a path and a body may both name it. PROTOJSON_E_BAD has a sentence that names it. */
int protojson_set(struct arena *a, ProtobufCMessage *m, struct str name, struct str value,
                  struct str *ret_error);

/* On one line: a line break between the tokens of embedded JSON becomes a blank. What is not set is
 * left out, and so are empty lists and maps, but for those of the outermost message: who asked for
 * a list gets one. */
void protojson_encode(const ProtobufCMessage *m, struct buf *out);

#endif
