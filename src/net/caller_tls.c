/* SPDX-License-Identifier: Apache-2.0 */
#include "net/caller_tls.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/memory.h"
#include "net/tls.h"

#define PART_BYTES ((size_t)16 << 10)

struct caller_tls {
    SSL_CTX *context;
};

struct caller_pipe {
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
};

/* ---- files ---- */

static int refused(struct arena *a, struct str *ret_error, const char *what, const char *file)
{
    *ret_error = tls_file_error(a, what, file);
    return CALLER_E_BAD;
}

static int load(SSL_CTX *x, const struct caller_files *f, struct arena *a, struct str *ret_error)
{
    if (f->ca && SSL_CTX_load_verify_file(x, f->ca) != 1)
        return refused(a, ret_error, "the CA of runners", f->ca);
    if (!f->ca)
        SSL_CTX_set_default_verify_paths(x);
    if (!f->certificate)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(x, f->certificate) != 1)
        return refused(a, ret_error, "the certificate for runners", f->certificate);
    if (SSL_CTX_use_PrivateKey_file(x, f->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(x) != 1)
        return refused(a, ret_error, "the key for runners", f->key);
    return 0;
}

int caller_tls_new(const struct caller_files *files, struct arena *a, struct caller_tls **ret,
                   struct str *ret_error)
{
    static const unsigned char http2[] = "\2h2";
    static const struct caller_files none;
    struct caller_tls *t = memory_new(sizeof(*t));
    int r;

    ERR_clear_error(); /* what stands there is nothing of these files */
    t->context = SSL_CTX_new(TLS_client_method());
    assert(t->context);
    SSL_CTX_set_min_proto_version(t->context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(t->context, TLS_CIPHERS);
    SSL_CTX_set_options(t->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(t->context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(t->context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(t->context, tls_no_passphrase);
    SSL_CTX_set_alpn_protos(t->context, http2, sizeof(http2) - 1);
    SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, NULL);
    r = load(t->context, files ? files : &none, a, ret_error);
    ERR_clear_error();
    if (r) {
        caller_tls_free(t);
        return CALLER_E_BAD;
    }
    *ret = t;
    return 0;
}

struct caller_tls *caller_tls_free(struct caller_tls *t)
{
    if (!t)
        return NULL;
    SSL_CTX_free(t->context);
    free(t);
    return NULL;
}

/* ---- a connection ---- */

struct caller_pipe *caller_tls_pipe(struct caller_tls *t, const struct caller_address *address)
{
    struct caller_pipe *p = memory_new(sizeof(*p));
    int named;

    p->ssl = SSL_new(t->context);
    p->in = BIO_new(BIO_s_mem());
    p->out = BIO_new(BIO_s_mem());
    assert(p->ssl && p->in && p->out);
    SSL_set_bio(p->ssl, p->in, p->out);
    SSL_set_connect_state(p->ssl);
    if (address->numeric) {
        named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(p->ssl), address->host);
    } else {
        SSL_set_tlsext_host_name(p->ssl, (char *)(uintptr_t)address->host);
        named = SSL_set1_host(p->ssl, address->host);
    }
    assert(named == 1); /* else any certificate would do */
    return p;
}

struct caller_pipe *caller_tls_pipe_free(struct caller_pipe *p)
{
    if (!p)
        return NULL;
    SSL_free(p->ssl);
    free(p);
    return NULL;
}

void caller_tls_feed(struct caller_pipe *p, struct str bytes)
{
    while (bytes.n) {
        int n = BIO_write(p->in, bytes.p, (int)bytes.n);

        assert(n > 0); /* memory takes it */
        bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
}

static int failed(struct caller_pipe *p, const char **ret_why)
{
    long verdict = SSL_get_verify_result(p->ssl);
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;

    if (verdict != X509_V_OK)
        reason = X509_verify_cert_error_string(verdict);
    *ret_why = reason ? reason : "the other side has closed it";
    ERR_clear_error();
    return CALLER_TLS_E_BAD;
}

int caller_tls_shake(struct caller_pipe *p, const char **ret_why)
{
    const unsigned char *name;
    unsigned n;
    int r;

    ERR_clear_error(); /* SSL_get_error() takes whatever stands there for this connection's */
    r = SSL_do_handshake(p->ssl);
    if (r != 1 && SSL_get_error(p->ssl, r) == SSL_ERROR_WANT_READ)
        return CALLER_TLS_E_MORE;
    if (r != 1)
        return failed(p, ret_why);
    SSL_get0_alpn_selected(p->ssl, &name, &n);
    if (n == 2)
        return 0;
    *ret_why = "the other side does not offer HTTP/2";
    return CALLER_TLS_E_BAD;
}

int caller_tls_read(struct caller_pipe *p, char *into, size_t n, size_t *ret_n,
                    const char **ret_why)
{
    int r, e;

    ERR_clear_error(); /* as in shaking hands */
    r = SSL_read(p->ssl, into, (int)n);
    if (r > 0) {
        *ret_n = (size_t)r;
        return 0;
    }
    e = SSL_get_error(p->ssl, r);
    if (e == SSL_ERROR_WANT_READ)
        return CALLER_TLS_E_MORE;
    return e == SSL_ERROR_ZERO_RETURN ? CALLER_TLS_E_ENDED : failed(p, ret_why);
}

int caller_tls_write(struct caller_pipe *p, struct str plain)
{
    if (plain.n == 0 || SSL_write(p->ssl, plain.p, (int)plain.n) == (int)plain.n)
        return 0;
    ERR_clear_error();
    return CALLER_TLS_E_BAD;
}

void caller_tls_drain(struct caller_pipe *p, struct buf *out)
{
    while (out->n < out->max) {
        char part[PART_BYTES];
        size_t room = out->max - out->n;
        int n = BIO_read(p->out, part, (int)(room < sizeof(part) ? room : sizeof(part)));

        if (n <= 0)
            return;
        buf_add(out, (struct str){part, (size_t)n});
    }
}
