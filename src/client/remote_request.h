/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_request: a method's request as verb, path and body of HTTP. Only remote*.c include it.
 */
#ifndef CLIENT_REMOTE_REQUEST_H
#define CLIENT_REMOTE_REQUEST_H

#include <jansson.h>

#include "api/method.h"
#include "base/arena.h"
#include "base/buf.h"

#define REMOTE_PATH_BYTES_MAX (64u << 10)
#define REMOTE_BODY_BYTES_MAX (256u << 20)

struct remote_request {
    const char *verb;
    struct buf path; /* with the query; ends with a NUL */
    char *body;      /* NULL: none */
};

/* False with one sentence where a field of the path is missing or the query holds what it cannot.
 */
bool remote_request_init(struct remote_request *r, struct arena *a, const struct method *m,
                         const json_t *request, struct str *ret_error);
void remote_request_deinit(struct remote_request *r);

#endif
