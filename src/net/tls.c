/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/memory.h"
#include "net/grpc.h"
#include "net/http1.h"

struct tls {
    char *certificate, *key, *client_ca;
    SSL_CTX *context;
    char plain[NET_OUT_BYTES + 1]; /* on the way in or out, of one connection at a time */
};

struct connection {
    struct protocol p;
    struct protocol_host host; /* of what is inside */
    struct tls *tls;
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    enum conn_speaks speaks;
    struct protocol *inner; /* NULL until the handshake is over */
    bool failed, retiring, ended, farewell;
};

/* ---- files ---- */

struct str tls_file_error(struct arena *a, const char *what, const char *file)
{
    unsigned long e = ERR_peek_error();
    const char *reason = !e                    ? NULL
                         : ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e))
                                               : ERR_reason_error_string(e);

    ERR_clear_error();
    return str_printf(a, "%s %s cannot be used: %s", what, file, reason ? reason : "unknown");
}

static int refused(struct arena *a, struct str *ret_error, const char *what, const char *file)
{
    *ret_error = tls_file_error(a, what, file);
    return TLS_E_BAD;
}

int tls_no_passphrase(char *text, int n, int writing, void *user)
{
    (void)text;
    (void)n;
    (void)writing;
    (void)user;
    return 0;
}

static int load(SSL_CTX *x, const struct tls *t, struct arena *a, struct str *ret_error)
{
    ERR_clear_error(); /* what stands there is nothing of these files */
    if (SSL_CTX_use_certificate_chain_file(x, t->certificate) != 1)
        return refused(a, ret_error, "the certificate", t->certificate);
    if (SSL_CTX_use_PrivateKey_file(x, t->key, SSL_FILETYPE_PEM) != 1)
        return refused(a, ret_error, "the key", t->key);
    if (SSL_CTX_check_private_key(x) != 1)
        return refused(a, ret_error, "the key", t->key);
    if (!t->client_ca)
        return 0;
    if (SSL_CTX_load_verify_file(x, t->client_ca) != 1)
        return refused(a, ret_error, "the client CA", t->client_ca);
    SSL_CTX_set_client_CA_list(x, SSL_load_client_CA_file(t->client_ca));
    SSL_CTX_set_verify(x, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

/* Whether a list of ALPN (a byte of length before each name) has a name. */
static bool offers(struct str list, struct str name)
{
    for (size_t at = 0; at < list.n; at += 1 + (unsigned char)list.p[at])
        if (str_eq(str_sub(list, at + 1, (unsigned char)list.p[at]), name))
            return true;
    return false;
}

/* Browsers and curl offer both, and get pages and JSON; a gRPC client offers h2 alone. */
static int choose(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                  const unsigned char *in, unsigned in_n, void *user)
{
    static const struct str http1 = {"http/1.1", 8}, http2 = {"h2", 2};
    const struct connection *c = SSL_get_app_data(ssl);
    struct str list = {(const char *)in, in_n};
    struct str choice = {0};

    (void)user;
    if (c->speaks != CONN_HTTP2 && offers(list, http1))
        choice = http1;
    else if (c->speaks != CONN_HTTP1 && offers(list, http2))
        choice = http2;
    if (choice.n == 0)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = (const unsigned char *)choice.p;
    *out_n = (unsigned char)choice.n;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *context_new(void)
{
    SSL_CTX *x = SSL_CTX_new(TLS_server_method());

    assert(x);
    SSL_CTX_set_min_proto_version(x, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(x, TLS_CIPHERS);
    SSL_CTX_set_options(x, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    /* A session is never resumed, so that a new client CA counts from its reload on. */
    SSL_CTX_set_session_cache_mode(x, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(x, 0);
    SSL_CTX_set_mode(x, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(x, tls_no_passphrase);
    SSL_CTX_set_alpn_select_cb(x, choose, NULL);
    return x;
}

int tls_reload(struct tls *t, struct arena *a, struct str *ret_error)
{
    SSL_CTX *x = context_new();
    int r = load(x, t, a, ret_error);

    if (r) {
        SSL_CTX_free(x);
        return r;
    }
    SSL_CTX_free(t->context);
    t->context = x;
    return 0;
}

int tls_new(const struct tls_files *files, struct arena *a, struct tls **ret, struct str *ret_error)
{
    struct tls *t = memory_new(sizeof(*t));

    t->certificate = memory_text(files->certificate);
    t->key = memory_text(files->key);
    t->client_ca = files->client_ca ? memory_text(files->client_ca) : NULL;
    if (tls_reload(t, a, ret_error)) {
        tls_free(t);
        return TLS_E_BAD;
    }
    *ret = t;
    return 0;
}

struct tls *tls_free(struct tls *t)
{
    if (!t)
        return NULL;
    SSL_CTX_free(t->context);
    free(t->certificate);
    free(t->key);
    free(t->client_ca);
    free(t);
    return NULL;
}

/* ---- a connection ---- */

static struct connection *connection_of(struct protocol *p)
{
    return (struct connection *)p;
}

static void refresh(struct connection *c)
{
    if (!c->inner)
        return;
    c->p.deadline_us = c->inner->deadline_us;
    c->p.paused = c->inner->paused && !c->failed;
    c->p.closing = c->inner->closing || c->failed;
}

static void fail(struct connection *c, enum metrics_refusal why)
{
    if (!c->inner)
        c->p.host->shared->metrics.refused[why]++;
    c->failed = c->p.closing = true;
    ERR_clear_error();
}

static void begin_inner(struct connection *c)
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(c->ssl, &name, &n);
    /* Without ALPN it is whatever the listener is for, and HTTP/1.1 where that is both. */
    if (n == 2 || (n == 0 && c->speaks == CONN_HTTP2))
        c->inner = grpc_connection(&c->host);
    else
        c->inner = http1_new(&c->host);
    if (c->retiring)
        c->inner->type->retire(c->inner);
}

static void shake_hands(struct connection *c)
{
    int r = SSL_do_handshake(c->ssl);

    if (r == 1)
        begin_inner(c);
    else if (SSL_get_error(c->ssl, r) != SSL_ERROR_WANT_READ)
        fail(c, METRICS_TLS);
}

static void inner_end(struct connection *c)
{
    if (c->ended || !c->inner)
        return;
    c->ended = true;
    c->inner->type->end(c->inner);
}

/* Hand on what can be decrypted. */
static void read_in(struct connection *c)
{
    while (c->inner && !c->failed && !c->ended && !c->inner->paused && !c->inner->closing) {
        int n = SSL_read(c->ssl, c->tls->plain, (int)NET_OUT_BYTES);
        int e;

        if (n > 0) {
            c->inner->type->feed(c->inner, (struct str){c->tls->plain, (size_t)n});
            continue;
        }
        e = SSL_get_error(c->ssl, n);
        if (e == SSL_ERROR_WANT_READ)
            return;
        if (e == SSL_ERROR_ZERO_RETURN)
            inner_end(c);
        else
            fail(c, METRICS_TLS);
    }
}

static void connection_feed(struct protocol *p, struct str bytes)
{
    struct connection *c = connection_of(p);

    while (bytes.n && !c->failed) {
        int n = BIO_write(c->in, bytes.p, (int)bytes.n);

        assert(n > 0); /* memory takes it */
        bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
    if (!c->inner && !c->failed)
        shake_hands(c);
    read_in(c);
    refresh(c);
}

static void connection_end(struct protocol *p)
{
    struct connection *c = connection_of(p);

    if (c->inner)
        inner_end(c);
    else
        fail(c, METRICS_TLS);
    refresh(c);
}

/* Encrypt what is inside. */
static void write_out(struct connection *c)
{
    struct buf plain;

    buf_fixed(&plain, c->tls->plain, sizeof(c->tls->plain));
    c->inner->type->drain(c->inner, &plain);
    if (plain.n && SSL_write(c->ssl, plain.p, (int)plain.n) != (int)plain.n)
        fail(c, METRICS_TLS);
    if (plain.n || !c->inner->closing || c->farewell)
        return;
    c->farewell = true;
    SSL_shutdown(c->ssl);
    ERR_clear_error();
}

static void connection_drain(struct protocol *p, struct buf *out)
{
    struct connection *c = connection_of(p);

    read_in(c); /* what waited while `paused` */
    while (out->n < out->max) {
        char part[16 << 10];
        size_t room = out->max - out->n;
        int n;

        if (BIO_ctrl_pending(c->out) == 0 && c->inner && !c->failed)
            write_out(c);
        n = BIO_read(c->out, part, (int)(room < sizeof(part) ? room : sizeof(part)));
        if (n <= 0)
            break;
        buf_add(out, (struct str){part, (size_t)n});
    }
    refresh(c);
}

static void connection_expire(struct protocol *p)
{
    struct connection *c = connection_of(p);

    if (c->inner)
        c->inner->type->expire(c->inner);
    else
        fail(c, METRICS_SILENT);
    refresh(c);
}

static void connection_retire(struct protocol *p)
{
    struct connection *c = connection_of(p);

    c->retiring = true;
    if (c->inner)
        c->inner->type->retire(c->inner);
    refresh(c);
}

static void connection_free(struct protocol *p)
{
    struct connection *c = connection_of(p);

    if (c->inner)
        c->inner->type->free(c->inner);
    SSL_free(c->ssl);
    free(c);
}

static const struct protocol_type type = {
    .name = "tls",
    .feed = connection_feed,
    .end = connection_end,
    .drain = connection_drain,
    .expire = connection_expire,
    .retire = connection_retire,
    .free = connection_free,
};

/* ---- the host of what is inside ---- */

static struct connection *connection_inside(struct protocol_host *h)
{
    return LIST_OF(h, struct connection, host);
}

static void inner_wake(struct protocol_host *h)
{
    struct connection *c = connection_inside(h);

    refresh(c);
    c->p.host->wake(c->p.host);
}

static bool inner_admit(struct protocol_host *h, int64_t *ret_retry_after_us)
{
    struct protocol_host *host = connection_inside(h)->p.host;

    return host->admit(host, ret_retry_after_us);
}

static void inner_small_buffer(struct protocol_host *h)
{
    struct protocol_host *host = connection_inside(h)->p.host;

    host->small_buffer(host);
}

struct protocol *tls_connection(struct tls *t, struct protocol_host *host, enum conn_speaks speaks)
{
    struct connection *c = memory_new(sizeof(*c));

    c->p.type = &type;
    c->p.host = host;
    c->p.deadline_us = host->shared->now() + host->shared->limits.first_byte_us;
    c->host = *host;
    c->host.tls = true;
    c->host.wake = inner_wake;
    c->host.admit = inner_admit;
    c->host.small_buffer = inner_small_buffer;
    c->tls = t;
    c->speaks = speaks;
    c->ssl = SSL_new(t->context);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    assert(c->ssl && c->in && c->out);
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_app_data(c->ssl, c);
    SSL_set_accept_state(c->ssl);
    return &c->p;
}
