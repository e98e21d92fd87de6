/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_session: what both sides of HTTP/2 do with a session of nghttp2, the server's (h2.c) and the
 * client's (caller_h2.c).
 */
#ifndef NET_H2_SESSION_H
#define NET_H2_SESSION_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>

#include "base/buf.h"

/* What either side may ask of us. */
void h2_session_limit(nghttp2_option *o);

/* Appends to `out` what is to be sent, as far as there is room. `leftover` is what nghttp2 gave
 * beyond that, valid until it is asked again. *dead ends it, also where a callback of the session
 * sets it; it is set where nghttp2 cannot go on. */
void h2_session_drain(nghttp2_session *session, struct str *leftover, bool *dead, struct buf *out);

/* All is sent, and nothing is to be read or sent any more. */
bool h2_session_over(nghttp2_session *session, struct str leftover);

#endif
