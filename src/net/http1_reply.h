/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1_reply: the heads of replies, and what a request says of the reply that it wants.
 */
#ifndef NET_HTTP1_REPLY_H
#define NET_HTTP1_REPLY_H

#include "api/method.h"
#include "base/buf.h"

struct http1_reply {
    int status;
    unsigned minor;   /* of the request's HTTP/1.x */
    bool keep;        /* the connection goes on */
    const char *type; /* NULL: no body, and none is meant */
    size_t length;    /* of the body ... */
    bool stream;      /* ... unless it has none: chunks, or until the close */
    struct str id;    /* the request's; empty: it has none */
    struct str etag;  /* without quotes */
    int64_t retry_after_us;
    unsigned allow; /* 1 << METHOD_GET | …: of a 405 and of OPTIONS */
};

/* From the status line to the empty line. `now` is UTC. */
void http1_reply_head(const struct http1_reply *r, int64_t now, struct buf *out);

/* Whether an Accept field takes "application/json" and such; an empty one takes all. */
bool http1_reply_accepts(struct str accept, struct str type);

/* Whether a media type with parameters is `type`, and UTF-8 if it names a charset. */
bool http1_reply_is_type(struct str value, struct str type);

/* Whether If-None-Match names this etag (without quotes), weakly or not. */
bool http1_reply_has_etag(struct str list, struct str etag);

/* What stands between the quotes of one entity tag; false where it is none. */
bool http1_reply_etag(struct str value, struct str *ret);

#endif
