/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route: from verb and path to a method, and from path and query to fields of its request.
 *
 * Made once from the rows of struct method. A template is compared part by part ("/a/{b}:c" has two
 * parts); where a part of a path fits a template that ends in ":c" and one that does not, the
 * former is meant, so that GET on "/v1/queues/mail:pause" is a wrong verb and no queue of that
 * name. A colon that belongs to a name is written %3A there.
 */
#ifndef NET_ROUTE_H
#define NET_ROUTE_H

#include "api/method.h"
#include "base/arena.h"
#include "base/str.h"

#define ROUTE_PARTS_MAX 8u
#define ROUTE_QUERY_MAX 100u /* pairs */

struct route;

/* Asserts that every template is well-formed and each field there is. */
struct route *route_new(const struct method *const *methods, size_t n);
struct route *route_free(struct route *r);

struct route_match {
    const struct method *method;
    struct {
        const char *field;
        struct str value; /* of the path, still encoded */
    } fields[ROUTE_PARTS_MAX];
    size_t fields_n;
    unsigned verbs; /* 1 << METHOD_GET | …: those that the path has */
};

enum { ROUTE_E_PATH = 1, ROUTE_E_VERB, ROUTE_E_BAD };

/* Returns 0, ROUTE_E_PATH, or ROUTE_E_VERB, which sets `verbs` alone. */
int route_find(const struct route *r, enum method_verb verb, struct str path,
               struct route_match *ret);

/* Set the request's fields from the query, then from the path. Returns 0, or ROUTE_E_BAD with a
 * sentence in the arena. */
int route_fill(const struct route_match *m, struct str query, struct arena *a,
               ProtobufCMessage *request, struct str *ret_error);

/* Whether the request has a text field of that name. */
bool route_has(const struct method *m, const char *field);

/* Forget what the query said of a text field. */
void route_clear(ProtobufCMessage *request, const char *field);

#endif
