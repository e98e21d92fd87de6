/* SPDX-License-Identifier: Apache-2.0 */
#include "client/asker.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "client/remote.h"
#include "core/breaker.h"
#include "core/retry.h"

#define TIMEOUT_MS_DEFAULT 30000

struct asker {
    struct client_settings settings;
    char *texts[4]; /* what the settings point to */
    int64_t timeout_ms;
    unsigned tries;
    pthread_mutex_t lock; /* of all below */
    struct remote *idle[ASKER_CONNECTIONS_KEPT];
    size_t idle_n;
    struct breaker breaker;
    struct breaker_policy policy;
    struct prng prng;
};

/* Errors. */

void asker_clear(struct weft_error *e)
{
    if (e)
        *e = (struct weft_error){.code = ""};
}

int asker_refuse(struct weft_error *e, int result, const char *code, const char *format, ...)
{
    struct buf b;
    va_list args;

    if (!e)
        return result;
    asker_clear(e);
    buf_fixed(&b, e->code, sizeof(e->code));
    buf_add(&b, str_of(code));
    buf_fixed(&b, e->text, sizeof(e->text));
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    return result;
}

/* Life. */

static const char *copy(struct asker *k, size_t i, const char *text)
{
    k->texts[i] = text ? memory_text(text) : NULL;
    return k->texts[i];
}

int asker_new(const char *url, const struct weft_options *options, struct asker **ret,
              struct weft_error *ret_error)
{
    struct asker *k = memory_new(sizeof(*k));
    struct client_problem problem;
    uint64_t seed = (uint64_t)clock_monotonic();

    if (getrandom(&seed, sizeof(seed), 0) < 0)
        seed ^= (uint64_t)clock_utc(); /* good enough for jitter */
    prng_seed(&k->prng, seed);
    k->policy = breaker_default();
    k->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS_DEFAULT;
    k->tries = options->tries ? options->tries : (unsigned)retry_call().max_attempts;
    k->settings = (struct client_settings){
        .server = copy(k, 0, url),
        .server_ca = copy(k, 1, options->ca_file),
        .client_cert = copy(k, 2, options->cert_file),
        .client_key = copy(k, 3, options->key_file),
    };
    pthread_mutex_init(&k->lock, NULL);
    if (remote_new(&k->settings, &k->idle[0], &problem)) {
        asker_refuse(ret_error, WEFT_INVALID, "invalid_argument", "%s", problem.text);
        asker_free(k);
        return WEFT_INVALID;
    }
    k->idle_n = 1;
    *ret = k;
    return WEFT_OK;
}

struct asker *asker_free(struct asker *k)
{
    if (!k)
        return NULL;
    for (size_t i = 0; i < k->idle_n; i++)
        remote_free(k->idle[i]);
    for (size_t i = 0; i < sizeof(k->texts) / sizeof(k->texts[0]); i++)
        free(k->texts[i]);
    pthread_mutex_destroy(&k->lock);
    free(k);
    return NULL;
}

/* Connections. */

static struct remote *take(struct asker *k)
{
    struct remote *r = NULL;
    struct client_problem problem;

    pthread_mutex_lock(&k->lock);
    if (k->idle_n)
        r = k->idle[--k->idle_n];
    pthread_mutex_unlock(&k->lock);
    if (!r && remote_new(&k->settings, &r, &problem))
        abort(); /* the same settings were good for the first one */
    return r;
}

static void give_back(struct asker *k, struct remote *r)
{
    pthread_mutex_lock(&k->lock);
    if (k->idle_n < ASKER_CONNECTIONS_KEPT)
        k->idle[k->idle_n++] = TAKE(r);
    pthread_mutex_unlock(&k->lock);
    remote_free(r);
}

/* The breaker. */

/* 0, or so long no call is made. */
static int64_t refused_ms(struct asker *k, bool probe)
{
    int64_t now = clock_monotonic(), ms = 0;

    pthread_mutex_lock(&k->lock);
    if (!probe && breaker_move(&k->breaker, BREAKER_EVENT_ASK, &k->policy, now, NULL)) {
        ms = (breaker_next_at(&k->breaker, &k->policy) - now) / CLOCK_MS;
        /* While others are trying it is a matter of moments. */
        ms = ms > 100 ? ms : 100;
    }
    pthread_mutex_unlock(&k->lock);
    return ms;
}

static void tell(struct asker *k, bool probe, bool answered)
{
    enum breaker_event event = answered ? BREAKER_EVENT_SUCCEED : BREAKER_EVENT_FAIL;

    pthread_mutex_lock(&k->lock);
    if (probe && answered)
        k->breaker = (struct breaker){0}; /* it is there: nobody need wait */
    else
        breaker_move(&k->breaker, event, &k->policy, clock_monotonic(), NULL);
    pthread_mutex_unlock(&k->lock);
}

/* Calls. */

int64_t asker_pause_ms(struct asker *k, unsigned failures, int64_t retry_after_ms)
{
    struct retry_policy p = retry_call();
    int64_t us = 0;

    p.max_attempts = RETRY_ATTEMPTS_MAX;
    if (failures >= RETRY_ATTEMPTS_MAX)
        failures = RETRY_ATTEMPTS_MAX - 1;
    pthread_mutex_lock(&k->lock);
    retry_decide(&p, failures, OUTCOME_FAILED, -1, &k->prng, &us);
    pthread_mutex_unlock(&k->lock);
    return us / CLOCK_MS > retry_after_ms ? us / CLOCK_MS : retry_after_ms;
}

static void sleep_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&t, &t))
        continue;
}

/* One try. */
static int try(struct asker *k, const struct remote_ask *ask, const struct asker_call *call,
               struct buf *ret_reply, struct weft_error *ret_error)
{
    struct remote *remote = take(k);
    struct remote_answer answer;
    struct client_problem problem;
    int r = remote_ask(remote, ask, &answer, &problem);
    int result = WEFT_OK;

    give_back(k, remote);
    tell(k, call->probe, !r || !answer.passing);
    if (call->sent)
        *call->sent += answer.sent;
    if (r) {
        result = answer.passing ? WEFT_UNAVAILABLE : WEFT_REFUSED;
        asker_refuse(ret_error, result, code_text(problem.code).p, "%s", problem.text);
        ret_error->retry_after_ms = answer.retry_after_ms;
        client_problem_clear(&problem);
        buf_deinit(&answer.reply);
        return result;
    }
    *ret_reply = answer.reply;
    return WEFT_OK;
}

_Static_assert(ASKER_KEY_BYTES == REMOTE_KEY_BYTES, "a key is one of remote's");

void asker_key(struct asker *k, char out[static ASKER_KEY_BYTES])
{
    struct remote *remote = take(k);

    remote_key(remote, out);
    give_back(k, remote);
}

int asker_ask(struct asker *k, const struct asker_call *call, struct buf *ret_reply,
              struct weft_error *ret_error)
{
    unsigned tries = call->tries ? call->tries : k->tries;
    struct weft_error own = {.code = ""}, *error = ret_error ? ret_error : &own;
    char key[REMOTE_KEY_BYTES];
    struct remote_ask ask = {
        .verb = call->verb,
        .path = call->path,
        .body = call->body,
        .timeout_ms = (call->timeout_ms ? call->timeout_ms : k->timeout_ms) + call->wait_ms,
    };

    ask.key = call->key;
    if (call->once && !call->key) {
        asker_key(k, key);
        ask.key = key;
    }
    asker_clear(error);
    for (unsigned failures = 1;; failures++) {
        int64_t ms = refused_ms(k, call->probe);
        int r;

        if (ms) {
            asker_refuse(error, WEFT_UNAVAILABLE, "breaker_open",
                         "the server has failed too often; the next try is in %" PRId64 " ms", ms);
            error->retry_after_ms = ms;
            return WEFT_UNAVAILABLE;
        }
        r = try(k, &ask, call, ret_reply, error);
        if (r != WEFT_UNAVAILABLE || failures >= tries)
            return r;
        sleep_ms(asker_pause_ms(k, failures, error->retry_after_ms));
    }
}
