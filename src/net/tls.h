/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls: TLS 1.2 and 1.3 (OpenSSL) as a protocol that has another one inside.
 *
 * The handshake decides what is inside: HTTP/1.1 for whoever offers it, HTTP/2 for whoever offers
 * nothing else, as gRPC clients do. With a client CA, a client without a certificate of that CA is
 * not let in.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "net/conn.h"

#define TLS_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20" /* of TLS 1.2: those that HTTP/2 allows */

struct tls;

struct tls_files {
    const char *certificate; /* PEM, with the chain behind it */
    const char *key;         /* PEM, without a passphrase */
    const char *client_ca;   /* PEM; NULL: clients need no certificate */
};

enum { TLS_E_BAD = 1 };

/* Returns 0, or TLS_E_BAD with one sentence in the arena. The names are copied. It belongs to one
 * loop's thread. */
int tls_new(const struct tls_files *files, struct arena *a, struct tls **ret,
            struct str *ret_error);

/* Read the files again, for the connections that begin from now on. After TLS_E_BAD the old ones
 * stay. */
int tls_reload(struct tls *t, struct arena *a, struct str *ret_error);

/* After all its connections. NULL is fine. */
struct tls *tls_free(struct tls *t);

/* For OpenSSL: a key with a passphrase is refused, not asked about on the terminal. */
int tls_no_passphrase(char *text, int n, int writing, void *user);

/* "the key FILE cannot be used: No such file or directory", by what OpenSSL says of it. */
struct str tls_file_error(struct arena *a, const char *what, const char *file);

struct protocol *tls_connection(struct tls *t, struct protocol_host *host, enum conn_speaks speaks);

#endif
