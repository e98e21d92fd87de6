/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openapi: the API over HTTP as an OpenAPI 3.1 document, for /openapi.json.
 *
 * Paths, parameters, bodies and replies come from the rows of the method table and the descriptors
 * of their messages; what a method or field means is the comment in the .proto file.
 */
#ifndef API_OPENAPI_H
#define API_OPENAPI_H

#include <stddef.h>

#include "api/method.h"
#include "base/buf.h"

/* On one line. A path that stands in several rows (with another verb each) is told once. */
void openapi_write(const struct method *const *methods, size_t n, struct buf *out);

#endif
