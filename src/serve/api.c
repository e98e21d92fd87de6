/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

#include "base/buf.h"
#include "base/json_scan.h"
#include "base/sentence.h"

#define SENTENCE_BYTES_MAX 2000u

int api_refuse(struct api *api, enum code code, const char *format, ...)
{
    struct buf b;
    va_list args;

    buf_init(&b, SENTENCE_BYTES_MAX);
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    api->answer = (struct batcher_answer){.code = code, .text = str_copy(api->arena, buf_str(&b))};
    buf_deinit(&b);
    return API_E_REFUSED;
}

int api_transact(struct api *api, struct batcher *b, batcher_function *function,
                 const void *request, void *reply, size_t reply_size)
{
    struct batcher_request q = {
        .function = function,
        .request = request,
        .reply = reply,
        .reply_size = reply_size,
        .bytes = api->arena->bytes,
        .patience_us = BATCHER_CALL_US,
    };

    batcher_call(b, &q);
    arena_adopt(api->arena, &q.arena);
    batcher_release(&q);
    api->answer = q.answer;
    return q.answer.code == CODE_OK ? 0 : API_E_REFUSED;
}

/* Requests. */

int api_text(struct api *api, const char *field, enum api_need need, const char *text, size_t max,
             struct str *ret)
{
    *ret = str_of(text);
    if (need == API_NEEDED && ret->n == 0)
        return api_refuse(api, CODE_INVALID, "%s: it is required", field);
    if (ret->n > max)
        return api_refuse(api, CODE_INVALID, "%s: %zu bytes are more than the %zu allowed", field,
                          ret->n, max);
    return 0;
}

int api_choice(struct api *api, const char *field, const char *text, const char *const *list,
               struct str *ret)
{
    struct str s = str_of(text && *text ? text : list[0]);
    const char *const *named = list[0][0] ? list : list + 1; /* "" is the default, and unsaid */
    struct buf b;
    int r;

    for (const char *const *c = list; *c; c++) {
        if (str_eq(s, str_of(*c))) {
            *ret = s;
            return 0;
        }
    }
    buf_init(&b, SENTENCE_BYTES_MAX);
    for (const char *const *c = named; *c; c++)
        buf_printf(&b, "%s%s", c == named ? "" : c[1] ? ", " : " and ", *c);
    r = api_refuse(api, CODE_INVALID, "%s: " STR_FMT " is none of " STR_FMT, field,
                   STR_ARG(sentence_quote(api->arena, s)), STR_ARG(buf_str(&b)));
    buf_deinit(&b);
    return r;
}

static int digits(struct api *api, const char *field, const char *text, int64_t min, int64_t *ret)
{
    struct str s = str_of(text);

    if (str_int64(s, ret) && *ret >= min)
        return 0;
    return api_refuse(api, CODE_INVALID, "%s: " STR_FMT " is no id, which is a string of digits",
                      field, STR_ARG(sentence_quote(api->arena, s)));
}

int api_id(struct api *api, const char *field, enum api_need need, const char *text, int64_t *ret)
{
    *ret = 0;
    if (!text)
        return need == API_NEEDED ? api_refuse(api, CODE_INVALID, "%s: it is required", field) : 0;
    return digits(api, field, text, 1, ret);
}

int api_seq(struct api *api, const char *field, const char *text, int64_t *ret)
{
    *ret = 0;
    return text ? digits(api, field, text, 0, ret) : 0;
}

bool api_token(const char *text, struct lease_ref *ret)
{
    struct str s = str_of(text);
    size_t dot;

    return str_find(s, '.', &dot) && str_int64(str_sub(s, 0, dot), &ret->task) &&
           str_int64(str_sub(s, dot + 1, s.n), &ret->token) && ret->task > 0 && ret->token > 0;
}

int api_int(struct api *api, const char *field, int64_t value, int64_t min, int64_t max)
{
    if (value >= min && value <= max)
        return 0;
    return api_refuse(api, CODE_INVALID, "%s: %" PRId64 " is not within %" PRId64 " … %" PRId64,
                      field, value, min, max);
}

int api_real(struct api *api, const char *field, double value, double min, double max)
{
    /* What is no number is within nothing. */
    if (value >= min && value <= max)
        return 0;
    return api_refuse(api, CODE_INVALID, "%s: %.15g is not within %.15g … %.15g", field, value, min,
                      max);
}

int api_count(struct api *api, const char *field, size_t n, size_t min, size_t max)
{
    if (n >= min && n <= max)
        return 0;
    if (n < min)
        return api_refuse(api, CODE_INVALID, "%s: it is required", field);
    return api_refuse(api, CODE_TOO_LARGE, "%s: %zu are more than the %zu allowed at once", field,
                      n, max);
}

int api_duration(struct api *api, const char *field, const Weft__V1__Duration *d, int64_t max_us,
                 int64_t fallback, int64_t *ret)
{
    *ret = fallback;
    if (!d || (codec_duration_us(d, ret) && *ret >= 0 && *ret <= max_us))
        return 0;
    return api_refuse(api, CODE_INVALID, "%s: it is not within 0s … %.10gs", field,
                      (double)max_us / 1e6);
}

int api_time(struct api *api, const char *field, const Weft__V1__Timestamp *t, int64_t *ret)
{
    *ret = 0;
    if (!t || codec_time_us(t, ret))
        return 0;
    return api_refuse(api, CODE_INVALID, "%s: it is no time that weft knows", field);
}

int api_json(struct api *api, const char *field, protobuf_c_boolean has, ProtobufCBinaryData data,
             size_t max, struct str *ret)
{
    *ret = has ? (struct str){(const char *)data.data, data.len} : (struct str){0};
    if (ret->n <= max)
        return 0;
    return api_refuse(api, CODE_TOO_LARGE, "%s: %zu bytes are more than the %zu allowed", field,
                      ret->n, max);
}

int api_object(struct api *api, const char *field, protobuf_c_boolean has, ProtobufCBinaryData data,
               size_t max, struct str *ret)
{
    struct str s;

    if (api_json(api, field, has, data, max, ret))
        return API_E_REFUSED;
    if (!ret->n)
        return 0; /* it was left out, and stands nowhere */
    s.p = json_scan_blank(ret->p, ret->p + ret->n);
    s.n = ret->n - (size_t)(s.p - ret->p);
    if (s.n && *s.p == 'n') /* null, as it has been checked */
        *ret = (struct str){0};
    else if (s.n && *s.p != '{')
        return api_refuse(api, CODE_INVALID, "%s: it is an object, as {\"branch\":\"main\"}",
                          field);
    return 0;
}

static int retry_outcomes(struct api *api, const Weft__V1__RetryPolicy *m, struct retry_policy *p)
{
    enum outcome o;

    if (m->n_retry_on)
        p->outcomes = 0;
    for (size_t i = 0; i < m->n_retry_on; i++) {
        if (!retry_outcome_parse(str_of(m->retry_on[i]), &o) ||
            (o != OUTCOME_FAILED && o != OUTCOME_TIMED_OUT && o != OUTCOME_LOST))
            return api_refuse(api, CODE_INVALID,
                              "retry.retry_on: " STR_FMT " is none of failed, timed_out and lost",
                              STR_ARG(sentence_quote(api->arena, str_of(m->retry_on[i]))));
        p->outcomes |= 1u << o;
    }
    return 0;
}

#define BACKOFF_US_MAX  (366LL * 86400 * 1000000)
#define BACKOFF_BASE_US (1LL * 1000000)
#define BACKOFF_CAP_US  (300LL * 1000000)
#define BACKOFF_JITTER  0.2

int api_within(struct api *api, const char *list, size_t i)
{
    struct str text = api->answer.text;

    return api_refuse(api, api->answer.code, "%s[%zu]." STR_FMT, list, i, STR_ARG(text));
}

int api_retry(struct api *api, const Weft__V1__RetryPolicy *m, const struct retry_policy **ret)
{
    struct retry_policy *p;

    *ret = NULL;
    if (!m)
        return 0;
    p = ARENA_NEW(api->arena, struct retry_policy);
    *p = retry_asked();
    p->jitter = m->has_jitter ? m->jitter : BACKOFF_JITTER;
    p->factor = m->has_backoff_factor ? m->backoff_factor : p->factor;
    p->max_attempts = m->has_max_attempts ? m->max_attempts : p->max_attempts;
    *ret = p;
    return api_int(api, "retry.max_attempts", p->max_attempts, 1, RETRY_ATTEMPTS_MAX) ||
           api_duration(api, "retry.backoff_base", m->backoff_base, BACKOFF_US_MAX, BACKOFF_BASE_US,
                        &p->base_us) ||
           api_duration(api, "retry.backoff_cap", m->backoff_cap, BACKOFF_US_MAX, BACKOFF_CAP_US,
                        &p->cap_us) ||
           api_real(api, "retry.backoff_factor", p->factor, 1, 100) ||
           api_real(api, "retry.jitter", p->jitter, 0, 1) || retry_outcomes(api, m, p);
}

/* Pages. */

int api_page(struct api *api, protobuf_c_boolean has_size, int64_t size, const char *token,
             struct api_page *ret)
{
    ret->size = has_size ? size : API_PAGE_DEFAULT;
    return api_int(api, "page_size", ret->size, 1, API_PAGE_MAX) ||
           api_text(api, "page_token", API_OPTIONAL, token, API_TOKEN_BYTES_MAX, &ret->token);
}

int api_page_id(struct api *api, const struct api_page *page, int64_t *ret)
{
    *ret = 0;
    if (page->token.n && !str_int64(page->token, ret))
        return api_refuse(api, CODE_INVALID, "page_token: it is none that weft gave");
    return 0;
}

/* The largest page has no room for one more, so that a full one may be followed by an empty one. */
int64_t api_page_ask(const struct api_page *page)
{
    return page->size < API_PAGE_MAX ? page->size + 1 : API_PAGE_MAX;
}

size_t api_page_cut(const struct api_page *page, size_t n, bool *ret_more)
{
    *ret_more = n == (size_t)api_page_ask(page);
    return n > (size_t)page->size ? (size_t)page->size : n;
}

/* Replies. */

char *api_word(struct arena *a, struct str s)
{
    return s.n ? codec_text(a, s) : NULL;
}

/* A NUL is bad, too, since a text of a message ends there. It is looked for first: what stands
 * behind it is not looked at again and again. */
static size_t good_bytes(struct str s)
{
    size_t n = s.n, nul;

    if (str_find(s, '\0', &nul))
        n = nul;
    str_utf8(str_sub(s, 0, n), &n);
    return n;
}

char *api_utf8(struct arena *a, struct str s)
{
    struct buf b;
    char *text;

    if (good_bytes(s) == s.n)
        return codec_text(a, s);
    buf_init(&b, s.n * 3);
    for (size_t from = 0; from < s.n;) {
        struct str rest = str_sub(s, from, s.n);
        size_t good = good_bytes(rest);

        buf_add(&b, str_sub(rest, 0, good));
        if (good < rest.n)
            buf_add(&b, STR("\xef\xbf\xbd"));
        from += good + 1;
    }
    text = codec_text(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

char *api_lease_token(struct arena *a, int64_t task, int64_t token)
{
    struct str s = str_printf(a, "%" PRId64 ".%" PRId64, task, token);

    return codec_text(a, s);
}

Weft__V1__TaskCounts *api_counts(struct arena *a, const int64_t *counts)
{
    Weft__V1__TaskCounts *m = API_NEW(a, Weft__V1__TaskCounts, task_counts);

    API_SET(m, blocked, counts[TASK_BLOCKED]);
    API_SET(m, ready, counts[TASK_READY]);
    API_SET(m, delayed, counts[TASK_DELAYED]);
    API_SET(m, leased, counts[TASK_LEASED]);
    API_SET(m, running, counts[TASK_RUNNING]);
    API_SET(m, awaiting, counts[TASK_AWAITING]);
    API_SET(m, succeeded, counts[TASK_SUCCEEDED]);
    API_SET(m, failed, counts[TASK_FAILED]);
    API_SET(m, cancelled, counts[TASK_CANCELLED]);
    API_SET(m, skipped, counts[TASK_SKIPPED]);
    return m;
}

Weft__V1__RetryPolicy *api_retry_show(struct arena *a, const struct retry_policy *p)
{
    Weft__V1__RetryPolicy *m = API_NEW(a, Weft__V1__RetryPolicy, retry_policy);

    API_SET(m, max_attempts, (int32_t)p->max_attempts);
    API_SET(m, backoff_factor, p->factor);
    API_SET(m, jitter, p->jitter);
    m->backoff_base = codec_duration(a, p->base_us);
    m->backoff_cap = codec_duration(a, p->cap_us);
    m->retry_on = ARENA_ARRAY(a, char *, OUTCOME_N);
    for (int o = 0; o < OUTCOME_N; o++) {
        if (p->outcomes & (1u << o))
            m->retry_on[m->n_retry_on++] = codec_text(a, retry_outcome_text((enum outcome)o));
    }
    return m;
}

static const char *item_text(enum code code)
{
    switch (code) {
    case CODE_LEASE_LOST:
        return "the lease was taken back or never given; stop the task";
    case CODE_COMPLETION_CONFLICT:
        return "the lease was ended before, with another content";
    case CODE_INVALID:
        return "the token is none that weft gave";
    case CODE_CHECK_FINAL:
        return "a check that it has a result for takes no more; the attempt goes on";
    case CODE_TASK_NOT_FOUND:
        return "its run has no such check as it has a result for; the attempt goes on";
    default:
        return "it was refused";
    }
}

Weft__V1__ItemResult *api_item(struct arena *a, enum code code)
{
    Weft__V1__ItemResult *m = API_NEW(a, Weft__V1__ItemResult, item_result);

    m->code = code == CODE_OK ? codec_text(a, STR("OK")) : codec_text(a, code_text(code));
    if (code != CODE_OK)
        m->message = codec_text(a, str_of(item_text(code)));
    return m;
}
