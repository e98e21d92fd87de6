/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/test.h"
#include "net/grpc.h"
#include "net/net_testing.h"

/* ALPN lists: a byte of length before each name. */
#define H2    "\2h2"
#define HTTP1 "\10http/1.1"

static char folder[] = "/tmp/weft-tls-XXXXXX";
static char certificate[64], key[64], other[64], broken[64];

/* The protocol of a fake_host is made from its host alone; this is the rest. */
static struct tls *the_tls;
static enum conn_speaks the_speaks;

/* ---- files ---- */

/* A certificate that signs itself, and its key. */
static void make(const char *certificate_file, const char *key_file)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    FILE *f;

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, k);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    assert_true(X509_sign(x, k, EVP_sha256()) > 0);
    f = fopen(certificate_file, "w");
    assert_non_null(f);
    PEM_write_X509(f, x);
    fclose(f);
    f = fopen(key_file, "w");
    assert_non_null(f);
    PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(k);
}

static int make_files(void **state)
{
    FILE *f;

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(certificate, sizeof(certificate), "%s/server.pem", folder);
    snprintf(key, sizeof(key), "%s/server.key", folder);
    snprintf(other, sizeof(other), "%s/other.key", folder);
    snprintf(broken, sizeof(broken), "%s/broken.pem", folder);
    make(broken, other);
    make(certificate, key);
    f = fopen(broken, "w");
    if (!f)
        return -1;
    fputs("-----BEGIN CERTIFICATE-----\nnothing\n", f);
    return fclose(f);
}

static int remove_files(void **state)
{
    (void)state;
    unlink(certificate);
    unlink(key);
    unlink(other);
    unlink(broken);
    return rmdir(folder);
}

static struct tls *tls_of(const char *client_ca)
{
    struct arena a = {0};
    struct tls *t = NULL;
    struct str error;

    assert_int_equal(tls_new(&(struct tls_files){certificate, key, client_ca}, &a, &t, &error), 0);
    arena_deinit(&a);
    return t;
}

/* ---- both sides ---- */

struct pair {
    struct fake_service service;
    struct fake_host host;
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    size_t piece;
    bool refused; /* the client has found an error */
    struct buf got;
};

static struct protocol *make_tls(struct protocol_host *host)
{
    return tls_connection(the_tls, host, the_speaks);
}

static void pair_init(struct pair *p, const char *client_ca, enum conn_speaks speaks,
                      const char *alpn)
{
    *p = (struct pair){.piece = SIZE_MAX};
    the_tls = tls_of(client_ca);
    the_speaks = speaks;
    fake_service_init(&p->service);
    fake_host_init(&p->host, &p->service, make_tls);
    grpc_new(&p->host.shared);
    p->context = SSL_CTX_new(TLS_client_method());
    p->ssl = SSL_new(p->context);
    p->in = BIO_new(BIO_s_mem());
    p->out = BIO_new(BIO_s_mem());
    SSL_set_bio(p->ssl, p->in, p->out);
    SSL_set_connect_state(p->ssl);
    SSL_set_alpn_protos(p->ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    buf_init(&p->got, 1 << 20);
}

static void pair_deinit(struct pair *p)
{
    fake_host_deinit(&p->host);
    grpc_free(p->host.shared.grpc);
    tls_free(the_tls);
    SSL_free(p->ssl);
    SSL_CTX_free(p->context);
    buf_deinit(&p->got);
    ERR_clear_error();
}

static void to_server(struct pair *p)
{
    char bytes[65536];
    int n;

    while ((n = BIO_read(p->out, bytes, sizeof(bytes))) > 0)
        for (size_t at = 0; at < (size_t)n && !p->host.p->closing; at += p->piece) {
            struct str rest = {bytes + at, (size_t)n - at};

            fake_host_feed(&p->host, str_sub(rest, 0, p->piece));
            if (p->piece > rest.n)
                break;
        }
}

static void to_client(struct pair *p)
{
    char bytes[4096];
    int n;

    if (p->host.sent.n)
        BIO_write(p->in, p->host.sent.p, (int)p->host.sent.n);
    buf_clear(&p->host.sent);
    if (!SSL_is_init_finished(p->ssl)) {
        int r = SSL_do_handshake(p->ssl);

        p->refused |= r != 1 && SSL_get_error(p->ssl, r) != SSL_ERROR_WANT_READ;
    }
    while (!p->refused && (n = SSL_read(p->ssl, bytes, sizeof(bytes))) > 0)
        buf_add(&p->got, (struct str){bytes, (size_t)n});
}

static void exchange(struct pair *p)
{
    do {
        to_client(p);
        to_server(p);
    } while (p->host.sent.n);
}

static void say(struct pair *p, struct str text)
{
    assert_int_equal(SSL_write(p->ssl, text.p, (int)text.n), (int)text.n);
    exchange(p);
}

static const char *alpn_of(const struct pair *p)
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(p->ssl, &name, &n);
    return n == 2 ? "h2" : n == 8 ? "http/1.1" : "";
}

/* ---- cases ---- */

static void the_handshake_decides_what_is_spoken(void **state)
{
    static const struct {
        const char *name;
        enum conn_speaks speaks;
        const char *offers;
        const char *chosen; /* NULL: refused */
    } rows[] = {
        {"a gRPC client",              CONN_ANY,   H2,         "h2"      },
        {"a browser",                  CONN_ANY,   H2 HTTP1,   "http/1.1"},
        {"an older one",               CONN_ANY,   HTTP1,      "http/1.1"},
        {"one that offers nothing",    CONN_ANY,   "",         ""        },
        {"one that offers a stranger", CONN_ANY,   "\6spdy/3", NULL      },
        {"both at a port for gRPC",    CONN_HTTP2, HTTP1 H2,   "h2"      },
        {"HTTP/1.1 there",             CONN_HTTP2, HTTP1,      NULL      },
        {"h2 where it is not spoken",  CONN_HTTP1, H2,         NULL      },
        {"both there",                 CONN_HTTP1, H2 HTTP1,   "http/1.1"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct pair p;

        pair_init(&p, NULL, rows[i].speaks, rows[i].offers);
        exchange(&p);
        CHECK_ROW(rows[i].name, p.refused == !rows[i].chosen);
        CHECK_ROW(rows[i].name, p.host.p->closing == !rows[i].chosen);
        CHECK_ROW(rows[i].name, p.host.shared.metrics.refused[METRICS_TLS] == !rows[i].chosen);
        CHECK_ROW(rows[i].name, !rows[i].chosen || strcmp(alpn_of(&p), rows[i].chosen) == 0);
        pair_deinit(&p);
    }
}

static void requests_pass_however_they_are_split(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 40; piece += 3) {
        struct pair p;

        pair_init(&p, NULL, CONN_ANY, HTTP1);
        p.piece = piece;
        exchange(&p);
        say(&p, STR("GET /v1/queues/mail HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_true(str_starts(buf_str(&p.got), STR("HTTP/1.1 200")));
        buf_clear(&p.got);
        say(&p, STR("GET /v1/queues/missing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        assert_true(str_starts(buf_str(&p.got), STR("HTTP/1.1 404")));
        /* The end is said, so that nobody can cut the reply short. */
        assert_int_equal(SSL_get_shutdown(p.ssl), SSL_RECEIVED_SHUTDOWN);
        assert_true(p.host.p->closing);
        pair_deinit(&p);
    }
}

static void http2_begins_with_its_settings(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p, NULL, CONN_ANY, H2);
    exchange(&p);
    say(&p, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"));
    assert_true(p.got.n > 9);
    assert_int_equal(p.got.p[3], 4);
    pair_deinit(&p);
}

static void what_is_no_tls_is_closed(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
    } rows[] = {
        {"HTTP",     "GET / HTTP/1.1\r\nHost: x\r\n\r\n"                },
        {"HTTP/2",   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"                 },
        {"nonsense", "\26\3\1\2\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"},
        {"an alert", "\25\3\3\1\2\2\50"                                 },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct pair p;
        char padding[1024] = {0};

        pair_init(&p, NULL, CONN_ANY, H2);
        fake_host_feed(&p.host, str_of(rows[i].bytes));
        if (!p.host.p->closing)
            fake_host_feed(&p.host, (struct str){padding, sizeof(padding)});
        CHECK_ROW(rows[i].name, p.host.p->closing);
        CHECK_ROW(rows[i].name, p.host.shared.metrics.refused[METRICS_TLS] == 1);
        pair_deinit(&p);
    }
}

static void old_versions_are_refused(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p, NULL, CONN_ANY, HTTP1);
    SSL_set_security_level(p.ssl, 0);
    SSL_set_min_proto_version(p.ssl, TLS1_VERSION);
    SSL_set_max_proto_version(p.ssl, TLS1_1_VERSION);
    exchange(&p);
    assert_true(p.refused && p.host.p->closing);
    pair_deinit(&p);

    pair_init(&p, NULL, CONN_ANY, HTTP1);
    SSL_set_max_proto_version(p.ssl, TLS1_2_VERSION);
    exchange(&p);
    assert_string_equal(SSL_get_version(p.ssl), "TLSv1.2");
    pair_deinit(&p);
}

static void a_handshake_has_its_time(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p, NULL, CONN_ANY, H2);
    to_client(&p);
    p.piece = 10;
    assert_true(BIO_ctrl_pending(p.out) > 10);
    fake_host_feed(&p.host, STR("\26\3\1"));
    fake_host_wait(&p.host, p.host.shared.limits.first_byte_us - 1);
    assert_false(p.host.p->closing);
    fake_host_wait(&p.host, 1);
    assert_true(p.host.p->closing);
    assert_int_equal(p.host.shared.metrics.refused[METRICS_SILENT], 1);
    pair_deinit(&p);
}

static void who_leaves_within_the_handshake_is_closed(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p, NULL, CONN_ANY, H2);
    fake_host_feed(&p.host, STR("\26\3\1"));
    fake_host_end(&p.host);
    assert_true(p.host.p->closing);
    pair_deinit(&p);
}

static void a_client_ca_wants_certificates(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p, certificate, CONN_ANY, HTTP1);
    exchange(&p);
    assert_true(p.host.p->closing);
    pair_deinit(&p);

    pair_init(&p, certificate, CONN_ANY, HTTP1);
    assert_int_equal(SSL_use_certificate_file(p.ssl, certificate, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_use_PrivateKey_file(p.ssl, key, SSL_FILETYPE_PEM), 1);
    exchange(&p);
    say(&p, STR("GET /v1/queues/mail HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_true(str_starts(buf_str(&p.got), STR("HTTP/1.1 200")));
    pair_deinit(&p);
}

static void files_that_do_not_fit_are_refused(void **state)
{
    const struct {
        const char *name;
        struct tls_files files;
        const char *says;
    } rows[] = {
        {"no certificate",
         {"/nowhere", key, NULL},
         "the certificate /nowhere cannot be used: No such file or directory"       },
        {"no key",               {certificate, "/nowhere", NULL}, "the key /nowhere"},
        {"a broken certificate", {broken, key, NULL},             "the certificate "},
        {"another one's key",    {certificate, other, NULL},      "the key "        },
        {"no client CA",
         {certificate, key, "/nowhere"},
         "the client CA /nowhere cannot be used: No such file or directory"         },
        {"an empty client CA",   {certificate, key, key},         "the client CA "  },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct arena a = {0};
        struct tls *t = NULL;
        struct str error;

        CHECK_ROW(rows[i].name, tls_new(&rows[i].files, &a, &t, &error) == TLS_E_BAD);
        CHECK_ROW(rows[i].name, str_starts(error, str_of(rows[i].says)));
        CHECK_ROW(rows[i].name, t == NULL);
        arena_deinit(&a);
    }
}

static void a_reload_counts_for_new_connections(void **state)
{
    struct pair p;
    struct arena a = {0};
    struct str error;
    X509 *before, *now;

    (void)state;
    pair_init(&p, NULL, CONN_ANY, HTTP1);
    exchange(&p);
    before = SSL_get1_peer_certificate(p.ssl);
    make(certificate, key);
    assert_int_equal(tls_reload(the_tls, &a, &error), 0);
    say(&p, STR("GET /v1/queues/mail HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_true(str_starts(buf_str(&p.got), STR("HTTP/1.1 200")));
    pair_deinit(&p);

    pair_init(&p, NULL, CONN_ANY, HTTP1);
    exchange(&p);
    now = SSL_get1_peer_certificate(p.ssl);
    assert_int_not_equal(X509_cmp(before, now), 0);
    X509_free(before);
    X509_free(now);
    pair_deinit(&p);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_handshake_decides_what_is_spoken),
        cmocka_unit_test(requests_pass_however_they_are_split),
        cmocka_unit_test(http2_begins_with_its_settings),
        cmocka_unit_test(what_is_no_tls_is_closed),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(a_handshake_has_its_time),
        cmocka_unit_test(who_leaves_within_the_handshake_is_closed),
        cmocka_unit_test(a_client_ca_wants_certificates),
        cmocka_unit_test(files_that_do_not_fit_are_refused),
        cmocka_unit_test(a_reload_counts_for_new_connections),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
