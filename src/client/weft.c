/* SPDX-License-Identifier: Apache-2.0 */
#include "client/weft.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/method.h"
#include "base/memory.h"
#include "client/raw.h"
#include "client/remote_request.h"
#include "client/weft_within.h"

#define URL_DEFAULT "http://127.0.0.1:7411"
#define TRIES_MAX   ASKER_TRIES_MAX

/* How the methods are called, which is all that a client knows of them. */
#define OTHER(path_) .other_path = (path_)
#define STREAM       .replies = METHOD_STREAM
#define ROW(name_, rpc_, request_, reply_, kind_, permission_, verb_, path_, action_, help_, ...)  \
    {                                                                                              \
        .name = (name_), .kind = METHOD_##kind_, .verb = METHOD_##verb_, .path = "/v1/" path_,     \
        __VA_ARGS__                                                                                \
    }

static const struct method rows[] = {
#include "api/method_rows.h"
};
#define ROWS_N (sizeof(rows) / sizeof(rows[0]))

const char *weft_version(void)
{
    return WEFT_VERSION;
}

void weft_free(void *p)
{
    free(p);
}

int weft_open(const char *url, const struct weft_options *options, struct weft **ret,
              struct weft_error *ret_error)
{
    static const struct weft_options none;
    const struct weft_options *o = options ? options : &none;
    struct asker *asker;
    int r;

    asker_clear(ret_error);
    if (!url || !*url)
        url = getenv("WEFT_SERVER");
    if (o->timeout_ms < 0 || o->tries > TRIES_MAX)
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "timeout_ms is 0 or more, and tries is 0 to %d", TRIES_MAX);
    r = asker_new(url && *url ? url : URL_DEFAULT, o, &asker, ret_error);
    if (r)
        return r;
    *ret = memory_new(sizeof(**ret));
    (*ret)->asker = asker;
    return WEFT_OK;
}

void weft_close(struct weft *w)
{
    if (!w)
        return;
    asker_free(w->asker);
    free(w);
}

/* Any method. */

static const struct method *find(const char *name)
{
    for (size_t i = 0; name && i < ROWS_N; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static void hand_over(struct buf *reply, char **ret_reply, size_t *ret_n)
{
    if (ret_n)
        *ret_n = reply->n;
    if (ret_reply)
        *ret_reply = reply->p ? TAKE(reply->p) : memory_text("");
    if (ret_reply)
        *reply = (struct buf){0};
    buf_deinit(reply);
}

static int call_method(struct weft *w, const struct method *m, const json_t *request,
                       char **ret_reply, size_t *ret_n, struct weft_error *ret_error)
{
    struct arena a = {0};
    struct remote_request http;
    struct str sentence;
    struct buf reply;
    int r;

    if (!remote_request_init(&http, &a, m, request, &sentence)) {
        r = asker_refuse(ret_error, WEFT_INVALID, "invalid_argument", STR_FMT, STR_ARG(sentence));
        arena_deinit(&a);
        return r;
    }
    r = asker_ask(w->asker,
                  &(struct asker_call){.verb = http.verb,
                                       .path = http.path.p,
                                       .body = http.body,
                                       .once = m->kind == METHOD_WRITE,
                                       .wait_ms = m->kind == METHOD_WRITE ? WEFT_WAIT_MS_MAX : 0},
                  &reply, ret_error);
    if (!r)
        hand_over(&reply, ret_reply, ret_n);
    remote_request_deinit(&http);
    arena_deinit(&a);
    return r;
}

int weft_call(struct weft *w, const char *method, const char *request, size_t request_n,
              char **ret_reply, size_t *ret_n, struct weft_error *ret_error)
{
    const struct method *m = find(method);
    json_error_t where;
    json_t *given;
    int r;

    asker_clear(ret_error);
    if (!m || m->replies == METHOD_STREAM)
        return asker_refuse(ret_error, WEFT_INVALID, "method_not_found",
                            "there is no method %s that answers once", method ? method : "NULL");
    given =
        request_n ? json_loadb(request, request_n, JSON_REJECT_DUPLICATES, &where) : json_object();
    if (!json_is_object(given)) {
        r = asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                         "the request is no JSON object: %s", given ? "it is a list" : where.text);
        json_decref(given);
        return r;
    }
    r = call_method(w, m, given, ret_reply, ret_n, ret_error);
    json_decref(given);
    return r;
}

/* What requests are made of. */

int weft_queue_check(const char *queue, struct weft_error *ret_error)
{
    struct str name = str_of(queue);

    if (!queue || !str_trim(name).n || name.n > WEFT_NAME_BYTES_MAX || !str_utf8(name, NULL))
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "the name of a queue is a text of 1 to %d bytes that is not blank",
                            WEFT_NAME_BYTES_MAX);
    return WEFT_OK;
}

/* "/v1/queues/NAME" and what stands behind. */
static void put_path(struct buf *out, const char *queue, const char *verb)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    buf_add(out, STR("/v1/queues/"));
    for (const char *p = queue; *p; p++) {
        if (strchr(safe, *p))
            buf_byte(out, *p);
        else
            buf_printf(out, "%%%02X", (unsigned char)*p);
    }
    buf_add(out, str_of(verb));
}

static void put_key(struct buf *out, const char *key)
{
    if (out->n && !strchr("{[", out->p[out->n - 1]))
        buf_byte(out, ',');
    buf_printf(out, "\"%s\":", key);
}

void weft_put_text(struct buf *out, const char *key, struct str text)
{
    put_key(out, key);
    buf_json(out, text);
}

void weft_put_ms(struct buf *out, const char *key, int64_t ms)
{
    put_key(out, key);
    if (ms % 1000)
        buf_printf(out, "\"%" PRId64 ".%03ds\"", ms / 1000, (int)(ms % 1000));
    else
        buf_printf(out, "\"%" PRId64 "s\"", ms / 1000);
}

/* A value of the caller's; NULL is left out. */
static int put_json(struct buf *out, const char *key, const char *json, size_t n,
                    struct weft_error *ret_error)
{
    struct str value;
    size_t at = n;

    if (!json)
        return WEFT_OK;
    if (n > WEFT_PAYLOAD_BYTES_MAX)
        return asker_refuse(ret_error, WEFT_INVALID, "too_large",
                            "%s has %zu bytes, and at most %zu are taken", key, n,
                            WEFT_PAYLOAD_BYTES_MAX);
    if (!raw_check((struct str){json, n}, &value, &at))
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "%s is no JSON: byte %zu of %zu is wrong", key, at + 1, n);
    put_key(out, key);
    raw_line(value, out);
    return WEFT_OK;
}

void weft_get_text(struct str object, const char *key, char *out, size_t size)
{
    struct buf b;

    buf_fixed(&b, out, size);
    out[0] = '\0';
    raw_text(raw_get(object, str_of(key)), &b);
}

/* Make the call, and empty the body. */
static int post(struct weft *w, struct asker_call *call, struct buf *body, struct buf *ret_reply,
                struct weft_error *ret_error)
{
    int r;

    *ret_reply = (struct buf){0};
    call->verb = call->verb ? call->verb : "POST";
    call->body = body->p;
    if (body->full)
        r = asker_refuse(ret_error, WEFT_INVALID, "too_large",
                         "the request has more than %zu bytes; send it in parts",
                         WEFT_BODY_BYTES_MAX);
    else
        r = asker_ask(w->asker, call, ret_reply, ret_error);
    buf_deinit(body);
    return r;
}

static int check_count(size_t n, const char *what, struct weft_error *ret_error)
{
    if (n >= 1 && n <= WEFT_BATCH_MAX)
        return WEFT_OK;
    return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument", "%s: 1 to %d, not %zu", what,
                        WEFT_BATCH_MAX, n);
}

/* Queues. */

int weft_put_queue(struct weft *w, const char *queue, const char *settings, size_t settings_n,
                   struct weft_error *ret_error)
{
    struct buf path, body, reply;
    struct str value;
    size_t at = 0;
    int r = weft_queue_check(queue, ret_error);

    if (r)
        return r;
    if (!settings || !raw_check((struct str){settings, settings_n}, &value, &at) || *value.p != '{')
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "the settings are no JSON object");
    buf_init(&path, REMOTE_PATH_BYTES_MAX);
    put_path(&path, queue, "");
    buf_init(&body, WEFT_BODY_BYTES_MAX);
    buf_add(&body, value);
    r = post(w, &(struct asker_call){.verb = "PUT", .path = path.p}, &body, &reply, ret_error);
    if (!r)
        buf_deinit(&reply);
    buf_deinit(&path);
    return r;
}

static int put_task(struct buf *body, const struct weft_task *t, struct weft_error *ret_error)
{
    int r;

    if (t->delay_ms < 0 || t->timeout_ms < 0 || t->unique_for_ms < 0)
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "a duration is not negative");
    if (body->p[body->n - 1] == '}')
        buf_byte(body, ',');
    buf_byte(body, '{');
    r = put_json(body, "payload", t->payload, t->payload_n, ret_error);
    if (t->priority) {
        put_key(body, "priority");
        buf_printf(body, "%d", t->priority);
    }
    if (t->delay_ms)
        weft_put_ms(body, "delay", t->delay_ms);
    if (t->timeout_ms)
        weft_put_ms(body, "timeout", t->timeout_ms);
    if (t->key)
        weft_put_text(body, "key", str_of(t->key));
    if (t->unique_key)
        weft_put_text(body, "unique_key", str_of(t->unique_key));
    if (t->unique_for_ms)
        weft_put_ms(body, "unique_for", t->unique_for_ms);
    buf_byte(body, '}');
    return r;
}

static int read_ids(struct str reply, struct weft_id *ret_ids, size_t n,
                    struct weft_error *ret_error)
{
    struct str ids = raw_get(reply, STR("ids")), id;
    size_t i = 0;

    while (i < n && raw_next(&ids, &id)) {
        struct buf b;

        buf_fixed(&b, ret_ids[i].text, sizeof(ret_ids[i].text));
        raw_text(id, &b);
        i++;
    }
    return i == n ? WEFT_OK
                  : asker_refuse(ret_error, WEFT_REFUSED, "internal",
                                 "the server answered with %zu ids for %zu tasks", i, n);
}

int weft_enqueue(struct weft *w, const char *queue, const struct weft_task *tasks, size_t n,
                 struct weft_id *ret_ids, struct weft_error *ret_error)
{
    struct buf path, body, reply;
    int r;

    asker_clear(ret_error);
    if (weft_queue_check(queue, ret_error) || check_count(n, "tasks to enqueue", ret_error))
        return WEFT_INVALID;
    buf_init(&body, WEFT_BODY_BYTES_MAX);
    buf_add(&body, STR("{\"tasks\":["));
    r = WEFT_OK;
    for (size_t i = 0; !r && i < n; i++)
        r = put_task(&body, &tasks[i], ret_error);
    if (r) {
        buf_deinit(&body);
        return r;
    }
    buf_add(&body, STR("]}"));
    buf_init(&path, REMOTE_PATH_BYTES_MAX);
    put_path(&path, queue, ":enqueue");
    r = post(w, &(struct asker_call){.path = path.p, .once = true}, &body, &reply, ret_error);
    buf_deinit(&path);
    if (r)
        return r;
    if (ret_ids)
        r = read_ids(buf_str(&reply), ret_ids, n, ret_error);
    buf_deinit(&reply);
    return r;
}

/* Leases. */

int weft_claim_as(struct weft *w, const struct weft_claiming *claim, struct weft_lease **leases,
                  size_t *ret_n, struct weft_error *ret_error)
{
    struct buf path, body, reply;
    struct str list, given;
    int r;

    buf_init(&path, REMOTE_PATH_BYTES_MAX);
    put_path(&path, claim->queue, ":claim");
    buf_init(&body, WEFT_BODY_BYTES_MAX);
    buf_byte(&body, '{');
    weft_put_text(&body, "worker", str_of(claim->worker));
    buf_printf(&body, ",\"max\":%zu", claim->max);
    weft_put_ms(&body, "wait", claim->wait_ms);
    if (claim->ttl_ms)
        weft_put_ms(&body, "ttl", claim->ttl_ms);
    buf_byte(&body, '}');
    r = post(w,
             &(struct asker_call){.path = path.p,
                                  .once = true,
                                  .key = claim->key,
                                  .wait_ms = claim->wait_ms,
                                  .sent = claim->sent},
             &body, &reply, ret_error);
    buf_deinit(&path);
    if (r)
        return r;
    *ret_n = 0;
    list = raw_get(buf_str(&reply), STR("leases"));
    while (*ret_n < claim->max && raw_next(&list, &given)) {
        leases[*ret_n] = weft_lease_of(given);
        if (leases[*ret_n])
            ++*ret_n;
    }
    buf_deinit(&reply);
    return WEFT_OK;
}

int weft_claim(struct weft *w, const char *queue, const char *worker, size_t max, int64_t wait_ms,
               int64_t ttl_ms, struct weft_lease **leases, size_t *ret_n,
               struct weft_error *ret_error)
{
    struct str name = str_of(worker);

    asker_clear(ret_error);
    if (weft_queue_check(queue, ret_error) || check_count(max, "leases to claim", ret_error))
        return WEFT_INVALID;
    if (!name.n || name.n > WEFT_NAME_BYTES_MAX)
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "the name of a worker has 1 to %d bytes", WEFT_NAME_BYTES_MAX);
    if (wait_ms < 0 || wait_ms > WEFT_WAIT_MS_MAX || ttl_ms < 0)
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "wait_ms is 0 to %d, and ttl_ms is not negative", WEFT_WAIT_MS_MAX);
    return weft_claim_as(
        w,
        &(struct weft_claiming){
            .queue = queue, .worker = worker, .max = max, .wait_ms = wait_ms, .ttl_ms = ttl_ms},
        leases, ret_n, ret_error);
}

struct str weft_cut(const char *text, size_t max)
{
    struct str s = str_of(text);

    if (s.n <= max)
        return s;
    while (max && (s.p[max] & 0xc0) == 0x80)
        max--;
    return str_sub(s, 0, max);
}

int weft_end_line(const struct weft_end *end, struct buf *out, struct weft_error *ret_error)
{
    int r = WEFT_OK;

    if (!end->token || !end->outcome)
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "an end has a token and an outcome");
    buf_byte(out, '{');
    weft_put_text(out, "token", str_of(end->token));
    weft_put_text(out, "outcome", str_of(end->outcome));
    if (strcmp(end->outcome, "succeeded") == 0) {
        r = put_json(out, "result", end->result, end->result_n, ret_error);
    } else {
        put_key(out, "error");
        buf_byte(out, '{');
        weft_put_text(out, "code",
                      weft_cut(end->error_code ? end->error_code : "error", WEFT_CLASS_BYTES_MAX));
        weft_put_text(out, "message",
                      weft_cut(end->error_text ? end->error_text : "", WEFT_MESSAGE_BYTES_MAX));
        buf_byte(out, '}');
    }
    buf_byte(out, '}');
    return r;
}

/* Send the body to "/v1/leases:VERB", and read how each came out. */
static int end_all(struct weft *w, const char *path, struct buf *body, size_t n,
                   struct weft_item *ret_items, struct weft_error *ret_error)
{
    struct buf reply;
    struct str list, item;
    size_t i = 0;
    int r = post(w, &(struct asker_call){.path = path}, body, &reply, ret_error);

    if (r)
        return r;
    list = raw_get(buf_str(&reply), STR("results"));
    for (; i < n && raw_next(&list, &item); i++) {
        if (!ret_items)
            continue;
        weft_get_text(item, "code", ret_items[i].code, sizeof(ret_items[i].code));
        weft_get_text(item, "message", ret_items[i].text, sizeof(ret_items[i].text));
    }
    buf_deinit(&reply);
    return i == n ? WEFT_OK
                  : asker_refuse(ret_error, WEFT_REFUSED, "internal",
                                 "the server answered for %zu of %zu leases", i, n);
}

int weft_complete(struct weft *w, const struct weft_end *ends, size_t n,
                  struct weft_item *ret_items, struct weft_error *ret_error)
{
    struct buf body;
    int r = WEFT_OK;

    asker_clear(ret_error);
    if (check_count(n, "attempts to end", ret_error))
        return WEFT_INVALID;
    buf_init(&body, WEFT_BODY_BYTES_MAX);
    buf_add(&body, STR("{\"results\":["));
    for (size_t i = 0; !r && i < n; i++) {
        if (i)
            buf_byte(&body, ',');
        r = weft_end_line(&ends[i], &body, ret_error);
    }
    if (r) {
        buf_deinit(&body);
        return r;
    }
    buf_add(&body, STR("]}"));
    return end_all(w, "/v1/leases:complete", &body, n, ret_items, ret_error);
}

int weft_release(struct weft *w, const char *const *tokens, size_t n, struct weft_item *ret_items,
                 struct weft_error *ret_error)
{
    struct buf body;

    asker_clear(ret_error);
    if (check_count(n, "tasks to give back", ret_error))
        return WEFT_INVALID;
    buf_init(&body, WEFT_BODY_BYTES_MAX);
    buf_add(&body, STR("{\"tokens\":["));
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_byte(&body, ',');
        buf_json(&body, str_of(tokens[i]));
    }
    buf_add(&body, STR("]}"));
    return end_all(w, "/v1/leases:release", &body, n, ret_items, ret_error);
}
