/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller_tls: the client's side of TLS 1.2 and 1.3, as bytes in and bytes out.
 *
 * The other side must have a certificate for the name (or address) that it is called by, and must
 * choose HTTP/2 (ALPN).
 */
#ifndef NET_CALLER_TLS_H
#define NET_CALLER_TLS_H

#include "net/caller.h"
#include "net/caller_address.h"

struct caller_tls;
struct caller_pipe;

/* Returns 0, or CALLER_E_BAD with a sentence in the arena. */
int caller_tls_new(const struct caller_files *files, struct arena *a, struct caller_tls **ret,
                   struct str *ret_error);
/* Pipes that were made of it go on. NULL is fine. */
struct caller_tls *caller_tls_free(struct caller_tls *t);

struct caller_pipe *caller_tls_pipe(struct caller_tls *t, const struct caller_address *address);
struct caller_pipe *caller_tls_pipe_free(struct caller_pipe *p);

enum {
    CALLER_TLS_E_MORE = 1, /* the other side has to say more first */
    CALLER_TLS_E_ENDED,    /* it has said all */
    CALLER_TLS_E_BAD,      /* *ret_why says what, valid until the pipe's next call */
};

/* Bytes from the socket. */
void caller_tls_feed(struct caller_pipe *p, struct str bytes);
/* 0 when hands are shaken; else MORE or BAD. */
int caller_tls_shake(struct caller_pipe *p, const char **ret_why);
/* Up to `n` bytes of what the other side said. */
int caller_tls_read(struct caller_pipe *p, char *into, size_t n, size_t *ret_n,
                    const char **ret_why);
/* 0, or BAD. */
int caller_tls_write(struct caller_pipe *p, struct str plain);
/* Appends what is for the socket, as far as there is room. */
void caller_tls_drain(struct caller_pipe *p, struct buf *out);

#endif
