/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http1_reply.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "net/http_head.h"
#include "net/problem.h"

#define DATE_BYTES 30 /* "Sun, 06 Nov 1994 08:49:37 GMT", with its NUL */

/* RFC 9110 §5.6.7. Made once a second. */
static struct str date(int64_t now)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static _Thread_local char text[DATE_BYTES];
    static _Thread_local int64_t second = -1;
    char iso[CLOCK_TEXT_BYTES];
    int month;

    if (now / CLOCK_S == second)
        return (struct str){text, DATE_BYTES - 1};
    second = now / CLOCK_S;
    clock_text(now, iso);
    month = (iso[5] - '0') * 10 + iso[6] - '0' - 1;
    /* 1970 began on a Thursday. */
    snprintf(text, sizeof(text), "%.3s, %.2s %.3s %.4s %.8s GMT",
             days + (second / 86400 + 4) % 7 * 3, iso + 8, months + month * 3, iso, iso + 11);
    return (struct str){text, DATE_BYTES - 1};
}

static void allow(unsigned verbs, struct buf *out)
{
    static const char *const names[] = {
        [METHOD_GET] = ", GET, HEAD",
        [METHOD_POST] = ", POST",
        [METHOD_PUT] = ", PUT",
        [METHOD_DELETE] = ", DELETE",
    };

    buf_add(out, STR("Allow: OPTIONS"));
    for (unsigned v = 0; v < sizeof(names) / sizeof(names[0]); v++)
        if (verbs & 1u << v)
            buf_add(out, str_of(names[v]));
    buf_add(out, STR("\r\n"));
}

/* The fields that not all replies have. */
static void rare(const struct http1_reply *r, struct buf *out)
{
    if (r->etag.n > 0)
        buf_printf(out, "ETag: \"" STR_FMT "\"\r\n", STR_ARG(r->etag));
    if (r->retry_after_us > 0)
        buf_printf(out, "Retry-After: %" PRId64 "\r\n",
                   (int64_t)((r->retry_after_us + CLOCK_S - 1) / CLOCK_S));
    if (r->status == 405 || r->allow)
        allow(r->allow, out);
    if (r->status == 401)
        buf_add(out, STR("WWW-Authenticate: Bearer\r\n"));
    if (r->stream && r->minor > 0)
        buf_add(out, STR("Transfer-Encoding: chunked\r\n"));
    if (!r->keep)
        buf_add(out, STR("Connection: close\r\n"));
    else if (r->minor == 0)
        buf_add(out, STR("Connection: keep-alive\r\n"));
    if (r->id.n > 0)
        buf_printf(out, "X-Request-Id: " STR_FMT "\r\n", STR_ARG(r->id));
}

void http1_reply_head(const struct http1_reply *r, int64_t now, struct buf *out)
{
    if (r->status == 200)
        buf_add(out, STR("HTTP/1.1 200 OK\r\nDate: "));
    else
        buf_printf(out, "HTTP/1.1 %d %s\r\nDate: ", r->status, problem_title(r->status));
    buf_add(out, date(now));
    buf_add(out, STR("\r\nCache-Control: no-cache\r\n"));
    if (r->type) {
        buf_add(out, STR("Content-Type: "));
        buf_add(out, str_of(r->type));
        buf_add(out, STR("\r\n"));
    }
    if (!r->stream && r->status != 204 && r->status != 304)
        buf_printf(out, "Content-Length: %zu\r\n", r->length);
    rare(r, out);
    buf_add(out, STR("\r\n"));
}

/* "a/b;q=0.5" gives "a/b", and what follows. */
static struct str media_type(struct str value, struct str *ret_params)
{
    size_t at;

    *ret_params = (struct str){0};
    if (!str_find(value, ';', &at))
        return value;
    *ret_params = str_sub(value, at + 1, value.n);
    return str_trim(str_sub(value, 0, at));
}

/* The value of a parameter, without quotes; empty where there is none. */
static struct str param(struct str params, struct str name)
{
    struct str one, value;
    size_t at;

    for (; params.n > 0; params = str_sub(params, one.n + 1, params.n)) {
        one = str_find(params, ';', &at) ? str_sub(params, 0, at) : params;
        if (!str_find(one, '=', &at) || !http_head_same(str_trim(str_sub(one, 0, at)), name))
            continue;
        value = str_trim(str_sub(one, at + 1, one.n));
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = str_sub(value, 1, value.n - 2);
        return value;
    }
    return (struct str){0};
}

/* "q=0", "q=0.000". */
static bool is_zero(struct str q)
{
    for (size_t i = 0; i < q.n; i++)
        if (q.p[i] != '0' && q.p[i] != '.')
            return false;
    return q.n > 0;
}

bool http1_reply_accepts(struct str accept, struct str type)
{
    struct str item, params, range;
    bool named = false, taken = false;
    size_t slash = 0;

    if (accept.n == 0)
        return true;
    str_find(type, '/', &slash);
    while (http_head_item(&accept, &item)) {
        range = media_type(item, &params);
        if (http_head_same(range, type)) {
            taken = !is_zero(param(params, STR("q")));
            named = true;
        } else if (!named &&
                   (str_eq(range, STR("*/*")) ||
                    (range.n == slash + 2 && str_ends(range, STR("/*")) &&
                     http_head_same(str_sub(range, 0, slash), str_sub(type, 0, slash))))) {
            taken |= !is_zero(param(params, STR("q")));
        }
    }
    return taken;
}

bool http1_reply_is_type(struct str value, struct str type)
{
    struct str params, charset;

    if (!http_head_same(media_type(value, &params), type))
        return false;
    charset = param(params, STR("charset"));
    return charset.n == 0 || http_head_same(charset, STR("utf-8"));
}

bool http1_reply_etag(struct str value, struct str *ret)
{
    size_t at;

    if (value.n < 2 || value.p[0] != '"' || value.p[value.n - 1] != '"')
        return false;
    *ret = str_sub(value, 1, value.n - 2);
    return !str_find(*ret, '"', &at);
}

bool http1_reply_has_etag(struct str list, struct str etag)
{
    struct str item, tag;

    if (str_eq(list, STR("*")))
        return true;
    while (http_head_item(&list, &item)) {
        if (str_starts(item, STR("W/")))
            item = str_sub(item, 2, item.n);
        if (http1_reply_etag(item, &tag) && str_eq(tag, etag))
            return true;
    }
    return false;
}
