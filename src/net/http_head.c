/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_head.h"

#include <assert.h>

#define VERB_BYTES_MAX    32u
#define LENGTH_DIGITS_MAX 18u /* fits into 63 bits */

/* What a byte may be part of. */
enum { TOKEN = 1, TARGET = 2, VALUE = 4, HOST_NAME = 8, HEX = 16 };

#define ALNUM  (TOKEN | TARGET | VALUE | HOST_NAME)
#define BOTH   (TOKEN | TARGET | VALUE)
#define HEXDIG (ALNUM | HEX)

static const unsigned char kind[256] = {
    ['0' ... '9'] = HEXDIG,
    ['a' ... 'f'] = HEXDIG,
    ['g' ... 'z'] = ALNUM,
    ['A' ... 'F'] = HEXDIG,
    ['G' ... 'Z'] = ALNUM,
    ['!'] = BOTH | HOST_NAME,
    ['#'] = TOKEN | VALUE,
    ['$'] = BOTH | HOST_NAME,
    ['%'] = BOTH | HOST_NAME,
    ['&'] = BOTH | HOST_NAME,
    ['\''] = BOTH | HOST_NAME,
    ['*'] = BOTH | HOST_NAME,
    ['+'] = BOTH | HOST_NAME,
    ['-'] = BOTH | HOST_NAME,
    ['.'] = BOTH | HOST_NAME,
    ['^'] = TOKEN | VALUE,
    ['_'] = BOTH | HOST_NAME,
    ['`'] = TOKEN | VALUE,
    ['|'] = TOKEN | VALUE,
    ['~'] = BOTH | HOST_NAME,
    ['('] = TARGET | VALUE | HOST_NAME,
    [')'] = TARGET | VALUE | HOST_NAME,
    [','] = TARGET | VALUE | HOST_NAME,
    ['/'] = TARGET | VALUE,
    [':'] = TARGET | VALUE,
    [';'] = TARGET | VALUE | HOST_NAME,
    ['='] = TARGET | VALUE | HOST_NAME,
    ['?'] = TARGET | VALUE,
    ['@'] = TARGET | VALUE,
    [' '] = VALUE,
    ['\t'] = VALUE,
    ['"'] = VALUE,
    ['<'] = VALUE,
    ['>'] = VALUE,
    ['['] = VALUE,
    [']'] = VALUE,
    ['\\'] = VALUE,
    ['{'] = VALUE,
    ['}'] = VALUE,
    [0x80 ... 0xff] = VALUE,
};

#define FIELD_NAME(name, text, times) [HTTP_##name] = (text),
static const char *const names[] = {HTTP_FIELDS(FIELD_NAME)};

#define FIELD_LENGTH(name, text, times) [HTTP_##name] = sizeof(text) - 1,
static const unsigned char lengths[] = {HTTP_FIELDS(FIELD_LENGTH)};

enum { ONCE, LIST };
#define FIELD_TIMES(name, text, times) [HTTP_##name] = (times),
static const char times_of[] = {HTTP_FIELDS(FIELD_TIMES)};

/* How far the parser has come. */
struct at {
    struct str s;
    size_t i;
    const char *why;
};

static int bad(struct at *a, const char *why)
{
    a->why = why;
    return HTTP_HEAD_E_BAD;
}

static bool is(char c, unsigned of)
{
    return kind[(unsigned char)c] & of;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool http_head_same(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

/* Bytes of one kind, at least one. E_MORE where they reach the end of what is there. */
static int run(struct at *a, unsigned of, struct str *ret, const char *why)
{
    size_t from = a->i;

    while (a->i < a->s.n && is(a->s.p[a->i], of))
        a->i++;
    if (a->i == a->s.n)
        return HTTP_HEAD_E_MORE;
    if (a->i == from)
        return bad(a, why);
    *ret = str_sub(a->s, from, a->i - from);
    return 0;
}

/* Exactly these bytes. */
static int exactly(struct at *a, struct str want, const char *why)
{
    size_t n = a->s.n - a->i < want.n ? a->s.n - a->i : want.n;

    if (memcmp(a->s.p + a->i, want.p, n) != 0)
        return bad(a, why);
    a->i += n;
    return n < want.n ? HTTP_HEAD_E_MORE : 0;
}

static int line_end(struct at *a)
{
    return exactly(a, STR("\r\n"), "a line ends with CR LF, and has no other control bytes");
}

static int version(struct at *a, unsigned *ret_minor)
{
    static const struct str want = {"HTTP/d.d", 8};

    for (size_t k = 0; k < want.n; k++, a->i++) {
        if (a->i == a->s.n)
            return HTTP_HEAD_E_MORE;
        if (want.p[k] == 'd' ? a->s.p[a->i] < '0' || a->s.p[a->i] > '9' : a->s.p[a->i] != want.p[k])
            return bad(a, "a request line is VERB SP TARGET SP HTTP/1.1, with single spaces");
    }
    if (a->s.p[a->i - 3] != '1' || a->s.p[a->i - 1] > '1') {
        a->why = "the server speaks HTTP/1.1, and HTTP/2 with prior knowledge";
        return HTTP_HEAD_E_VERSION;
    }
    *ret_minor = (unsigned)(a->s.p[a->i - 1] - '0');
    return 0;
}

static int percents(struct at *a, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '%' && (i + 2 >= s.n || !is(s.p[i + 1], HEX) || !is(s.p[i + 2], HEX)))
            return bad(a, "a % in the target is followed by two hexadecimal digits");
    return 0;
}

/* "http://host/path": a proxy's form, which a server must take as well. The host is compared with
 * the Host field once that is known, through *ret_authority. */
static int target(struct at *a, struct http_head *h, struct str *ret_authority)
{
    static const struct str schemes[] = {
        {"http://",  7},
        {"https://", 8}
    };
    struct str t = h->target;
    size_t at;

    for (size_t i = 0; i < 2; i++)
        if (str_starts(t, schemes[i])) {
            t = str_sub(t, schemes[i].n, t.n);
            if (!str_find(t, '/', &at) || at == 0)
                return bad(a, "a target with a host has a path behind it");
            *ret_authority = str_sub(t, 0, at);
            t = str_sub(t, at, t.n);
        }
    if (str_eq(t, STR("*"))) {
        h->path = t;
        return str_eq(h->verb, STR("OPTIONS")) ? 0 : bad(a, "only OPTIONS has the target *");
    }
    if (t.p[0] != '/')
        return bad(a, "a target begins with /");
    h->path = t;
    if (str_find(t, '?', &at)) {
        h->path = str_sub(t, 0, at);
        h->query = str_sub(t, at + 1, t.n);
    }
    return percents(a, t);
}

static int request_line(struct at *a, struct http_head *h, struct str *ret_authority)
{
    static const char spaces[] = "a request line is VERB SP TARGET SP HTTP/1.1, with single spaces";
    int r = run(a, TOKEN, &h->verb, "a request begins with its verb");

    if ((r == HTTP_HEAD_E_MORE ? a->i : h->verb.n) > VERB_BYTES_MAX + 2)
        return bad(a, "there is no verb so long");
    if (!r)
        r = exactly(a, STR(" "), spaces);
    if (!r)
        r = run(a, TARGET, &h->target, spaces);
    if (!r)
        r = exactly(a, STR(" "), "a target has bytes that must be percent-encoded");
    if (!r)
        r = version(a, &h->minor);
    if (!r)
        r = line_end(a);
    return r ? r : target(a, h, ret_authority);
}

/* One "name: value" line. */
static int field(struct at *a, struct str *ret_name, struct str *ret_value)
{
    size_t from;
    int r = run(a, TOKEN, ret_name, "a field begins with its name, and is not folded");

    if (!r)
        r = exactly(a, STR(":"), "a colon stands right behind the name of a field");
    if (r)
        return r;
    for (from = a->i; a->i < a->s.n && is(a->s.p[a->i], VALUE);)
        a->i++;
    if (a->i == a->s.n)
        return HTTP_HEAD_E_MORE;
    *ret_value = str_trim(str_sub(a->s, from, a->i - from));
    return line_end(a);
}

static int keep_field(struct at *a, struct http_head *h, unsigned *seen, struct str name,
                      struct str value)
{
    for (unsigned i = 0; i < HTTP_FIELD_N; i++) {
        if (name.n != lengths[i] || !http_head_same(name, (struct str){names[i], lengths[i]}))
            continue;
        if ((*seen & 1u << i) && times_of[i] == ONCE)
            return bad(a, "a field that may come once came twice");
        h->fields[i] = value;
        if (*seen & 1u << i)
            h->fields[i] = (struct str){0};
        *seen |= 1u << i;
    }
    return 0;
}

bool http_head_item(struct str *rest, struct str *ret_item)
{
    size_t at;

    while (rest->n > 0) {
        if (!str_find(*rest, ',', &at))
            at = rest->n;
        *ret_item = str_trim(str_sub(*rest, 0, at));
        *rest = str_sub(*rest, at + 1, rest->n);
        if (ret_item->n > 0)
            return true;
    }
    return false;
}

/* Each line of it counts, so it is looked at as it comes. */
static void connection(struct str value, bool *close, bool *keep)
{
    struct str item;

    while (http_head_item(&value, &item)) {
        *close |= http_head_same(item, STR("close"));
        *keep |= http_head_same(item, STR("keep-alive"));
    }
}

static int length(struct at *a, struct str digits, uint64_t *ret)
{
    if (digits.n == 0 || digits.n > LENGTH_DIGITS_MAX)
        return bad(a, "Content-Length is a number");
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return bad(a, "Content-Length is one number, in digits");
        *ret = *ret * 10 + (uint64_t)(digits.p[i] - '0');
    }
    return 0;
}

/* What says where the body ends. */
static int framing(struct at *a, struct http_head *h)
{
    struct str te = h->fields[HTTP_TRANSFER_ENCODING], cl = h->fields[HTTP_CONTENT_LENGTH];

    if (te.p && cl.p)
        return bad(a, "a body has Content-Length or Transfer-Encoding, never both");
    if (te.p && (h->minor == 0 || !http_head_same(te, STR("chunked"))))
        return bad(a, "the only Transfer-Encoding is chunked, of HTTP/1.1");
    h->chunked = te.p;
    return cl.p ? length(a, cl, &h->length) : 0;
}

/* "name", "name:80", "[::1]:80". */
static bool host_is_sound(struct str host)
{
    size_t i = 0;

    if (!host.p)
        return true;
    if (host.n > 0 && host.p[0] == '[') {
        while (++i < host.n && host.p[i] != ']')
            if (!is(host.p[i], HEX) && host.p[i] != ':' && host.p[i] != '.')
                return false;
        if (i++ >= host.n)
            return false;
    }
    while (i < host.n && host.p[i] != ':')
        if (host.p[0] == '[' || !is(host.p[i++], HOST_NAME))
            return false;
    if (i == host.n)
        return true;
    while (++i < host.n)
        if (host.p[i] < '0' || host.p[i] > '9')
            return false;
    return true;
}

static int finish(struct at *a, struct http_head *h, struct str authority)
{
    struct str host = h->fields[HTTP_HOST], expect = h->fields[HTTP_EXPECT];

    if (!host.p && h->minor > 0)
        return bad(a, "a request has one Host field");
    if (!host_is_sound(host))
        return bad(a, "Host is a name or an address, and perhaps a port");
    if (authority.p && !http_head_same(authority, host))
        return bad(a, "the target names another host than the Host field");
    if (expect.p && h->minor > 0) {
        if (!http_head_same(expect, STR("100-continue"))) {
            a->why = "the only expectation is 100-continue";
            return HTTP_HEAD_E_EXPECT;
        }
        h->expects = true;
    }
    return framing(a, h);
}

/* Field lines up to the empty one. */
static int fields(struct at *a, size_t max, struct http_head *h, bool *close, bool *keep)
{
    struct str name, value;
    unsigned seen = 0;
    size_t n = 0;
    int r;

    for (;;) {
        if (a->i < a->s.n && a->s.p[a->i] == '\r')
            return line_end(a);
        r = field(a, &name, &value);
        if (!r && n++ == max) {
            a->why = "the request has too many fields";
            return HTTP_HEAD_E_MANY;
        }
        if (!r)
            r = keep_field(a, h, &seen, name, value);
        if (r)
            return r;
        if (http_head_same(name, STR("connection")))
            connection(value, close, keep);
    }
}

int http_head_parse(struct str bytes, size_t fields_max, struct http_head *ret,
                    const char **ret_why)
{
    struct at a = {.s = bytes};
    struct str authority = {0};
    bool close = false, keep = false;
    int r = 0;

    *ret = (struct http_head){0};
    /* RFC 9112 §2.2: one empty line before a request is overlooked. */
    if (bytes.n > 0 && bytes.p[0] == '\r')
        r = line_end(&a);
    if (!r)
        r = request_line(&a, ret, &authority);
    if (!r)
        r = fields(&a, fields_max, ret, &close, &keep);
    if (!r)
        r = finish(&a, ret, authority);
    ret->keep = !close && (ret->minor > 0 || keep);
    ret->bytes = a.i;
    *ret_why = a.why;
    assert(r || a.i <= bytes.n);
    return r;
}
