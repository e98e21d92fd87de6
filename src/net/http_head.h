/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_head: the head of an HTTP/1 request, from bytes to a struct, without memory of its own.
 *
 * It takes what RFC 9112 says and nothing near it: where two programs could read one head in two
 * ways, it is refused. Every shorter beginning of a head that is taken asks for more.
 */
#ifndef NET_HTTP_HEAD_H
#define NET_HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* The fields that we know; X(NAME, name, ONCE: a second one is refused, or LIST). */
#define HTTP_FIELDS(X)                                                                             \
    X(HOST, "host", ONCE)                                                                          \
    X(CONTENT_LENGTH, "content-length", ONCE)                                                      \
    X(TRANSFER_ENCODING, "transfer-encoding", ONCE)                                                \
    X(CONNECTION, "connection", LIST)                                                              \
    X(EXPECT, "expect", ONCE)                                                                      \
    X(CONTENT_TYPE, "content-type", ONCE)                                                          \
    X(CONTENT_ENCODING, "content-encoding", ONCE)                                                  \
    X(ACCEPT, "accept", LIST)                                                                      \
    X(IF_MATCH, "if-match", ONCE)                                                                  \
    X(IF_NONE_MATCH, "if-none-match", LIST)                                                        \
    X(IDEMPOTENCY_KEY, "idempotency-key", ONCE)                                                    \
    X(LAST_EVENT_ID, "last-event-id", ONCE)                                                        \
    X(REQUEST_TIMEOUT, "request-timeout", ONCE)                                                    \
    X(X_REQUEST_ID, "x-request-id", LIST)                                                          \
    X(AUTHORIZATION, "authorization", ONCE)                                                        \
    X(ORIGIN, "origin", ONCE)

#define HTTP_FIELD_ENUM(name, text, times) HTTP_##name,
enum http_field { HTTP_FIELDS(HTTP_FIELD_ENUM) HTTP_FIELD_N };

/* The texts are pieces of the bytes that were read. */
struct http_head {
    struct str verb;
    struct str target;               /* "/path?query", or "*" of OPTIONS */
    struct str path;                 /* still percent-encoded */
    struct str query;                /* likewise, without '?' */
    unsigned minor;                  /* of HTTP/1.x: 0 or 1 */
    struct str fields[HTTP_FIELD_N]; /* p is NULL where there is none, and for a LIST that came in
                                        several lines, which nobody may take for less than it is */
    bool keep;                       /* the connection may go on */
    bool expects;                    /* Expect: 100-continue */
    bool chunked;
    uint64_t length; /* of the body, unless chunked */
    size_t bytes;    /* of the head */
};

/* What is refused, with the HTTP status that says so. */
enum {
    HTTP_HEAD_E_MORE = 1,
    HTTP_HEAD_E_BAD = 400,
    HTTP_HEAD_E_EXPECT = 417,
    HTTP_HEAD_E_MANY = 431, /* more than `fields_max` fields */
    HTTP_HEAD_E_VERSION = 505,
};

/* Returns 0, or one of the above with a sentence (not for E_MORE). */
int http_head_parse(struct str bytes, size_t fields_max, struct http_head *ret,
                    const char **ret_why);

/* ASCII, without regard to case. */
bool http_head_same(struct str a, struct str b);

/* The next item of a list "a, b;q=1", without the blanks around it; false at its end. */
bool http_head_item(struct str *rest, struct str *ret_item);

#endif
