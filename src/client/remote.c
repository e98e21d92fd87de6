/* SPDX-License-Identifier: Apache-2.0 */
#include "client/remote.h"

#include <assert.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/prng.h"
#include "client/remote_follow.h"
#include "client/remote_within.h"

struct remote {
    struct arena arena;
    const char *url;                                  /* without a slash at its end */
    const char *server_ca, *client_cert, *client_key; /* NULL: as the settings say */
    const struct method *const *methods;
    size_t methods_n;
    CURL *curl;
    struct prng prng;
};

int remote_refuse(struct client_problem *p, enum code code, const char *format, ...)
{
    struct buf b;
    va_list args;

    *p = (struct client_problem){.code = code};
    buf_fixed(&b, p->text, sizeof(p->text));
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    return CLIENT_E_REFUSED;
}

/* One exchange. */

struct exchange {
    struct remote_ask ask;
    bool repeatable; /* it reads, or has a key */
    struct buf reply;
    char error[CURL_ERROR_SIZE];
    CURLcode result;
    long status;
    curl_off_t retry_after_s;
    unsigned sent;
};

static size_t receive(char *bytes, size_t size, size_t n, void *context)
{
    struct buf *reply = context;

    buf_add(reply, (struct str){bytes, size * n});
    return reply->full ? 0 : size * n;
}

static struct curl_slist *headers_of(const struct exchange *e)
{
    char line[64 + REMOTE_KEY_BYTES];
    struct curl_slist *list = curl_slist_append(NULL, "Accept: application/json");

    if (e->ask.body)
        list = curl_slist_append(list, "Content-Type: application/json");
    /* A body of some size is sent at once, without asking first. */
    list = curl_slist_append(list, "Expect:");
    if (e->ask.key) {
        snprintf(line, sizeof(line), "Idempotency-Key: %s", e->ask.key);
        list = curl_slist_append(list, line);
    }
    return list;
}

/* The request is sent now, for the first time or again. */
static int count_sent(void *context, char *a, char *b, int c, int d)
{
    struct exchange *e = context;

    (void)a, (void)b, (void)c, (void)d;
    e->sent++;
    return CURL_PREREQFUNC_OK;
}

static void exchange(struct remote *r, struct exchange *e)
{
    struct arena a = {0};
    struct curl_slist *headers = headers_of(e);

    buf_clear(&e->reply);
    e->error[0] = '\0';
    curl_easy_setopt(r->curl, CURLOPT_URL, str_printf(&a, "%s%s", r->url, e->ask.path).p);
    curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, e->ask.verb);
    curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, e->error);
    curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, &e->reply);
    curl_easy_setopt(r->curl, CURLOPT_PREREQFUNCTION, count_sent);
    curl_easy_setopt(r->curl, CURLOPT_PREREQDATA, e);
    curl_easy_setopt(r->curl, CURLOPT_TIMEOUT_MS, (long)e->ask.timeout_ms);
    if (e->ask.body) {
        curl_easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(e->ask.body));
        curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, e->ask.body);
    } else {
        curl_easy_setopt(r->curl, CURLOPT_HTTPGET, 1L);
    }
    e->result = curl_easy_perform(r->curl);
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &e->status);
    curl_easy_getinfo(r->curl, CURLINFO_RETRY_AFTER, &e->retry_after_s);
    curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    arena_deinit(&a);
}

bool remote_passing(CURLcode result, long status)
{
    if (result != CURLE_OK)
        return result != CURLE_PEER_FAILED_VERIFICATION && result != CURLE_SSL_CERTPROBLEM &&
               result != CURLE_SSL_CACERT_BADFILE && result != CURLE_WRITE_ERROR;
    return status == 429 || status == 502 || status == 503 || status == 504;
}

/* What another try may cure. Of a request that may not be made twice, only what has not begun. */
static bool passing(const struct exchange *e)
{
    if (e->result != CURLE_OK && !e->repeatable)
        return e->result == CURLE_COULDNT_CONNECT || e->result == CURLE_COULDNT_RESOLVE_HOST;
    return remote_passing(e->result, e->status);
}

static void sleep_ms(int64_t ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

/* Half to all of a time that doubles, or what the server asks for. */
static int64_t pause_ms(struct remote *r, const struct exchange *e, unsigned tried)
{
    int64_t ms = (int64_t)REMOTE_PAUSE_MS << tried;

    ms = ms / 2 + (int64_t)prng_below(&r->prng, (uint64_t)ms / 2 + 1);
    if (e->retry_after_s * 1000 > ms)
        ms = e->retry_after_s * 1000;
    return ms < REMOTE_PAUSE_MS_MAX ? ms : REMOTE_PAUSE_MS_MAX;
}

/* Replies. */

/* The code of a refusal; where a proxy in between answered, what its status comes nearest to. */
static enum code code_of(struct str text, long status)
{
    for (int c = 0; c < CODE_N; c++)
        if (str_eq(code_text((enum code)c), text) && c != CODE_OK)
            return (enum code)c;
    if (status == 401 || status == 403)
        return CODE_PERMISSION_DENIED;
    if (status == 429 || status >= 500)
        return CODE_UNAVAILABLE;
    return CODE_INVALID;
}

static struct str text_of(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    return (struct str){json_string_value(v), json_string_length(v)};
}

int remote_read_problem(const struct remote *r, long status, struct str body,
                        struct client_problem *ret_problem)
{
    json_t *p = json_loadb(body.n ? body.p : "", body.n, 0, NULL);
    struct str detail = text_of(p, "detail");
    json_t *details = json_object_get(p, "details");

    if (!detail.n)
        remote_refuse(ret_problem, code_of(STR(""), status), "%s answered with HTTP status %ld",
                      r->url, status);
    else
        remote_refuse(ret_problem, code_of(text_of(p, "code"), status), STR_FMT, STR_ARG(detail));
    if (json_is_array(details))
        ret_problem->details = json_incref(details);
    json_decref(p);
    return CLIENT_E_REFUSED;
}

/* Whether there is a reply at all. */
static int check(const struct remote *r, const struct exchange *e,
                 struct client_problem *ret_problem)
{
    if (e->reply.full)
        return remote_refuse(ret_problem, CODE_TOO_LARGE, "the reply of %s has more than %u bytes",
                             r->url, REMOTE_REPLY_BYTES_MAX);
    if (e->result == CURLE_OPERATION_TIMEDOUT)
        return remote_refuse(ret_problem, CODE_TIMEOUT, "the server %s does not answer (%s)",
                             r->url, e->error);
    if (e->result != CURLE_OK)
        return remote_refuse(ret_problem, CODE_UNAVAILABLE, "the server %s cannot be reached: %s",
                             r->url, e->error[0] ? e->error : curl_easy_strerror(e->result));
    if (e->status < 200 || e->status > 299)
        return remote_read_problem(r, e->status, buf_str(&e->reply), ret_problem);
    return 0;
}

static int read_reply(const struct remote *r, const struct exchange *e, json_t **ret_reply,
                      struct client_problem *ret_problem)
{
    json_t *reply;
    int result = check(r, e, ret_problem);

    if (result)
        return result;
    reply = json_loadb(e->reply.n ? e->reply.p : "", e->reply.n, JSON_ALLOW_NUL, NULL);
    if (!json_is_object(reply)) {
        json_decref(reply);
        return remote_refuse(ret_problem, CODE_INTERNAL,
                             "%s answered with something else than JSON; is it "
                             "a weft server?",
                             r->url);
    }
    *ret_reply = reply;
    return 0;
}

/* The transport. */

static const struct method *find_method(const struct remote *r, const char *name)
{
    for (size_t i = 0; i < r->methods_n; i++)
        if (strcmp(r->methods[i]->name, name) == 0)
            return r->methods[i];
    return NULL;
}

void remote_key(struct remote *r, char out[static REMOTE_KEY_BYTES])
{
    snprintf(out, REMOTE_KEY_BYTES, "weft-%016" PRIx64 "%016" PRIx64, prng_next(&r->prng),
             prng_next(&r->prng));
}

int remote_make_request(const struct remote *r, struct arena *a, const char *name,
                        const json_t *request, struct remote_request *ret,
                        const struct method **ret_method, struct client_problem *ret_problem)
{
    struct str error;

    *ret_method = find_method(r, name);
    if (!*ret_method)
        return remote_refuse(ret_problem, CODE_INVALID, "there is no method %s", name);
    if (!remote_request_init(ret, a, *ret_method, request, &error))
        return remote_refuse(ret_problem, CODE_INVALID, STR_FMT, STR_ARG(error));
    return 0;
}

int remote_call(struct remote *r, const char *name, const json_t *request, json_t **ret_reply,
                struct client_problem *ret_problem)
{
    const struct method *m;
    struct remote_request http;
    struct exchange e;
    struct arena a = {0};
    char key[REMOTE_KEY_BYTES];
    bool keyed;
    int result = remote_make_request(r, &a, name, request, &http, &m, ret_problem);

    if (result) {
        arena_deinit(&a);
        return result;
    }
    /* A claim that waits takes no key, since what it waits for is no reply that could be kept. */
    keyed = m->kind == METHOD_WRITE && !json_object_get(request, "wait");
    if (keyed)
        remote_key(r, key);
    e = (struct exchange){
        .ask = {.verb = http.verb,
                .path = http.path.p,
                .body = http.body,
                .key = keyed ? key : NULL,
                .timeout_ms = REMOTE_CALL_MS},
        .repeatable = keyed || m->kind == METHOD_READ,
    };
    buf_init(&e.reply, REMOTE_REPLY_BYTES_MAX);
    exchange(r, &e);
    for (unsigned tried = 0; tried + 1 < REMOTE_TRIES && passing(&e); tried++) {
        sleep_ms(pause_ms(r, &e, tried));
        exchange(r, &e);
    }
    result = read_reply(r, &e, ret_reply, ret_problem);
    buf_deinit(&e.reply);
    remote_request_deinit(&http);
    arena_deinit(&a);
    return result;
}

static int call(void *context, const char *name, const json_t *request, json_t **ret_reply,
                struct client_problem *ret_problem)
{
    return remote_call(context, name, request, ret_reply, ret_problem);
}

int remote_ask(struct remote *r, const struct remote_ask *ask, struct remote_answer *ret,
               struct client_problem *ret_problem)
{
    struct exchange e = {.repeatable = true, .ask = *ask};
    int result;

    *ret_problem = (struct client_problem){.code = CODE_OK};
    buf_init(&e.reply, REMOTE_REPLY_BYTES_MAX);
    exchange(r, &e);
    result = check(r, &e, ret_problem);
    *ret = (struct remote_answer){.reply = e.reply,
                                  .passing = passing(&e),
                                  .retry_after_ms = e.retry_after_s * 1000,
                                  .sent = e.sent};
    return result;
}

/* Beginning and end. */

static void begin(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

CURL *remote_curl_new(const struct remote *r)
{
    CURL *curl = curl_easy_init();

    assert(curl);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "weft/" WEFT_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)REMOTE_CONNECT_MS);
    if (r->server_ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, r->server_ca);
    if (r->client_cert) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, r->client_cert);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, r->client_key);
    }
    return curl;
}

const char *remote_url(const struct remote *r)
{
    return r->url;
}

static const char *keep(struct arena *a, const char *text)
{
    return text ? str_cstr(a, str_of(text)) : NULL;
}

static int follow(void *context, int64_t run, enum client_follow how, int64_t after,
                  const struct client_listener *listener, struct client_problem *ret_problem)
{
    return remote_follow(context, run, how, after, listener, ret_problem);
}

static void close_all(void *context)
{
    remote_free(context);
}

/* http://HOST or https://HOST, and something behind. */
static bool has_host(struct str url)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        struct str scheme = str_of(schemes[i]);

        if (str_starts(url, scheme))
            return url.n > scheme.n && !strchr("/:?#", url.p[scheme.n]);
    }
    return false;
}

int remote_new(const struct client_settings *settings, struct remote **ret,
               struct client_problem *ret_problem)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct str url = str_of(settings->server);
    struct remote *r;
    uint64_t seed;
    ssize_t n;

    *ret_problem = (struct client_problem){.code = CODE_OK};
    if (!has_host(url))
        return remote_refuse(ret_problem, CODE_INVALID,
                             "a server is http://HOST:PORT or https://HOST:PORT, not %s",
                             settings->server);
    while (str_ends(url, STR("/")))
        url.n--;
    pthread_once(&once, begin);
    n = getrandom(&seed, sizeof(seed), 0);
    assert(n == sizeof(seed));
    r = memory_new(sizeof(*r));
    r->url = str_cstr(&r->arena, url);
    prng_seed(&r->prng, seed);
    r->server_ca = keep(&r->arena, settings->server_ca);
    r->client_cert = keep(&r->arena, settings->client_cert);
    r->client_key = keep(&r->arena, settings->client_key);
    r->curl = remote_curl_new(r);
    curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, receive);
    *ret = r;
    return 0;
}

struct remote *remote_free(struct remote *r)
{
    if (!r)
        return NULL;
    curl_easy_cleanup(r->curl);
    arena_deinit(&r->arena);
    free(r);
    return NULL;
}

int remote_connect(const struct client_settings *settings, const struct method *const *methods,
                   size_t methods_n, struct client *ret, struct client_problem *ret_problem)
{
    struct remote *r = NULL;
    int result = remote_new(settings, &r, ret_problem);

    if (result)
        return result;
    assert(r);
    r->methods = methods;
    r->methods_n = methods_n;
    ret->transport =
        (struct client_transport){.context = r, .call = call, .follow = follow, .close = close_all};
    return 0;
}
