/* SPDX-License-Identifier: Apache-2.0 */
#include "net/caller_address.h"

#include <uv.h>

/* What is behind a scheme, and without the '/' at the end. */
static bool without_scheme(struct str *text, bool *ret_tls)
{
    static const struct {
        struct str prefix;
        bool tls;
    } schemes[] = {
        {{"http://", 7},  false},
        {{"https://", 8}, true },
    };

    *ret_tls = false;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        if (!str_starts(*text, schemes[i].prefix))
            continue;
        *ret_tls = schemes[i].tls;
        *text = str_sub(*text, schemes[i].prefix.n, text->n);
        if (str_ends(*text, STR("/")))
            text->n--;
        return true;
    }
    return false;
}

/* Where the host ends, and the ':' before the port stands. */
static bool find_colon(struct str text, size_t *ret_at)
{
    size_t at;

    if (text.n && text.p[0] == '[') {
        if (!str_find(text, ']', &at) || at + 1 >= text.n || text.p[at + 1] != ':')
            return false;
        *ret_at = at + 1;
        return true;
    }
    return str_find(text, ':', ret_at);
}

static bool is_name(struct str host)
{
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '-' && c != '.' && c != '_')
            return false;
    }
    return host.n > 0 && host.p[0] != '.' && host.p[0] != '-';
}

static bool is_port(struct str port)
{
    int64_t n;

    return port.n <= 5 && port.n > 0 && port.p[0] != '0' && str_int64(port, &n) && n > 0 &&
           n < 65536;
}

/* A host that is written as an address. */
static bool parse_numeric(struct caller_address *a, bool bracketed)
{
    int64_t port = 0;

    str_int64(str_of(a->port), &port);
    if (bracketed)
        return uv_ip6_addr(a->host, (int)port, (struct sockaddr_in6 *)(void *)&a->socket) == 0;
    return uv_ip4_addr(a->host, (int)port, (struct sockaddr_in *)(void *)&a->socket) == 0;
}

/* A name does not end with a number, so that an address with a mistake in it is none. */
static bool looks_numeric(struct str host)
{
    bool digits = false;

    for (size_t i = 0; i < host.n; i++)
        digits = host.p[i] >= '0' && host.p[i] <= '9' && (digits || i == 0 || host.p[i - 1] == '.');
    return digits;
}

static int bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return CALLER_ADDRESS_E_BAD;
}

int caller_address_parse(struct str text, struct caller_address *ret, const char **ret_why)
{
    struct caller_address a = {0};
    struct str host, port;
    bool bracketed;
    size_t colon;

    if (!without_scheme(&text, &a.tls) && str_starts(text, STR("unix:")))
        return bad(ret_why, "is no host and port");
    if (!find_colon(text, &colon))
        return bad(ret_why, "has no port");
    host = str_sub(text, 0, colon);
    port = str_sub(text, colon + 1, text.n);
    bracketed = host.n && host.p[0] == '[';
    if (bracketed)
        host = str_sub(host, 1, host.n - 2);
    if (!is_port(port))
        return bad(ret_why, "has a port that is no number from 1 to 65535");
    if (host.n == 0 || host.n > CALLER_ADDRESS_HOST_BYTES_MAX)
        return bad(ret_why, "has no host, or one of more than 253 bytes");
    /* A zone ("fe80::1%eth0") is any text to libuv, and no part of what a certificate is for. */
    if (bracketed ? str_find(host, '%', NULL) : !is_name(host))
        return bad(ret_why, "has a host that is no name and no address");
    memcpy(a.host, host.p, host.n);
    memcpy(a.port, port.p, port.n);
    if (memchr(host.p, '\0', host.n))
        return bad(ret_why, "has a host that is no name and no address");
    a.numeric = parse_numeric(&a, bracketed);
    if (!a.numeric && (bracketed || looks_numeric(host)))
        return bad(ret_why, "has a host that is no name and no address");
    *ret = a;
    return 0;
}
