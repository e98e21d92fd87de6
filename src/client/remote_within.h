/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_within: what following needs of the connection. Only remote*.c include it.
 */
#ifndef CLIENT_REMOTE_WITHIN_H
#define CLIENT_REMOTE_WITHIN_H

#include <curl/curl.h>

#include "client/remote.h"
#include "client/remote_request.h"

/* Returns CLIENT_E_REFUSED. */
int remote_refuse(struct client_problem *p, enum code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The refusal that the body of a reply holds; where it is none, one by its status. Returns
 * CLIENT_E_REFUSED. */
int remote_read_problem(const struct remote *r, long status, struct str body,
                        struct client_problem *ret_problem);
/* Whether another try may do. */
bool remote_passing(CURLcode result, long status);

/* A handle with the settings of the connection, the caller's. */
CURL *remote_curl_new(const struct remote *r);
/* Without a slash at its end. */
const char *remote_url(const struct remote *r);

/* A method's request. Returns 0, or CLIENT_E_REFUSED with a problem. */
int remote_make_request(const struct remote *r, struct arena *a, const char *name,
                        const json_t *request, struct remote_request *ret,
                        const struct method **ret_method, struct client_problem *ret_problem);
/* As the transport's call. */
int remote_call(struct remote *r, const char *name, const json_t *request, json_t **ret_reply,
                struct client_problem *ret_problem);

#endif
