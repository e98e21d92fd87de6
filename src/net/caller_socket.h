/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller_socket: the socket of a link. What happens on it is told to the link until it is dropped;
 * its handle is closed later, and it is freed then.
 */
#ifndef NET_CALLER_SOCKET_H
#define NET_CALLER_SOCKET_H

#include "net/caller_link.h"

struct caller_socket *caller_socket_new(struct caller_link *l);
/* NULL is fine. */
void caller_socket_drop(struct caller_socket *s);

/* As what follows: 0, or what uv_strerror() has words for. */
int caller_socket_connect(struct caller_socket *s, const struct sockaddr_storage *address);
int caller_socket_read(struct caller_socket *s);
/* Not while one is under way. *ret_all: it is gone, and nothing more is told of it; else it is
 * copied. */
int caller_socket_write(struct caller_socket *s, struct str out, bool *ret_all);

/* caller_link.c: what is told. A negative `status` or `n` is libuv's. */

void caller_link_connected(struct caller_link *l, int status);
void caller_link_read(struct caller_link *l, ssize_t n, const char *bytes);
void caller_link_written(struct caller_link *l, int status);

#endif
