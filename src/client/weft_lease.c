/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "client/raw.h"
#include "client/weft_within.h"

static char *text_of(struct str object, const char *key)
{
    struct buf b;

    buf_init(&b, WEFT_PAYLOAD_BYTES_MAX);
    raw_text(raw_get(object, str_of(key)), &b);
    return b.p ? b.p : memory_text("");
}

struct weft_lease *weft_lease_of(struct str given)
{
    struct weft_lease *lease = memory_new(sizeof(*lease));
    struct str task = raw_get(given, STR("task"));
    struct str payload = raw_get(task, STR("payload"));

    list_init(&lease->link);
    atomic_init(&lease->references, 1);
    weft_get_text(given, "token", lease->token.text, sizeof(lease->token.text));
    weft_get_text(task, "id", lease->id.text, sizeof(lease->id.text));
    if (!str_int64(raw_get(task, STR("attempt")), &lease->attempt))
        lease->attempt = 1;
    if (!payload.n)
        payload = STR("null");
    lease->queue = text_of(task, "queue");
    lease->key = text_of(task, "key");
    lease->payload = memory_new(payload.n + 1);
    memcpy(lease->payload, payload.p, payload.n);
    lease->payload_n = payload.n;
    if (lease->token.text[0])
        return lease;
    weft_lease_drop(lease);
    return NULL;
}

struct weft_lease *weft_lease_of_token(const char *token, const char *task)
{
    struct weft_lease *lease = memory_new(sizeof(*lease));

    list_init(&lease->link);
    atomic_init(&lease->references, 1);
    snprintf(lease->token.text, sizeof(lease->token.text), "%s", token);
    snprintf(lease->id.text, sizeof(lease->id.text), "%s", task);
    return lease;
}

void weft_lease_drop(struct weft_lease *lease)
{
    if (atomic_fetch_sub(&lease->references, 1) > 1)
        return;
    free(lease->queue);
    free(lease->key);
    free(lease->payload);
    free(lease->failure);
    free(lease);
}

const char *weft_lease_id(const struct weft_lease *lease)
{
    return lease->id.text;
}

const char *weft_lease_queue(const struct weft_lease *lease)
{
    return lease->queue;
}

const char *weft_lease_key(const struct weft_lease *lease)
{
    return lease->key;
}

const char *weft_lease_token(const struct weft_lease *lease)
{
    return lease->token.text;
}

int64_t weft_lease_attempt(const struct weft_lease *lease)
{
    return lease->attempt;
}

const char *weft_lease_payload(const struct weft_lease *lease, size_t *ret_n)
{
    if (ret_n)
        *ret_n = lease->payload_n;
    return lease->payload;
}

int weft_lease_stop_asked(const struct weft_lease *lease)
{
    return atomic_load(&lease->stop);
}

int weft_lease_lost(const struct weft_lease *lease)
{
    return atomic_load(&lease->lost);
}

/* Ends. */

static int told_lost(const struct weft_lease *lease, struct weft_error *ret_error)
{
    return asker_refuse(ret_error, WEFT_LOST, "lease_lost", "task %s was given to another worker",
                        lease->id.text);
}

/* Whether it may end now. */
static int check(const struct weft_lease *lease, struct weft_error *ret_error)
{
    asker_clear(ret_error);
    if (atomic_load(&lease->ended))
        return asker_refuse(ret_error, WEFT_INVALID, "lease_ended",
                            "task %s has been ended already", lease->id.text);
    if (atomic_load(&lease->lost))
        return told_lost(lease, ret_error);
    if (!lease->worker)
        return asker_refuse(ret_error, WEFT_INVALID, "lease_of_no_worker",
                            "task %s was claimed without a worker; end it with weft_complete() or "
                            "weft_release()",
                            lease->id.text);
    return WEFT_OK;
}

static int ended(struct weft_lease *lease, enum weft_ended how, struct str line,
                 struct weft_error *ret_error)
{
    if (!weft_worker_ended(lease->worker, lease, line))
        return told_lost(lease, ret_error);
    lease->how = how;
    atomic_store(&lease->ended, true);
    return WEFT_OK;
}

static int end(struct weft_lease *lease, enum weft_ended how, const struct weft_end *end,
               struct weft_error *ret_error)
{
    struct buf line;
    int r = check(lease, ret_error);

    if (r)
        return r;
    buf_init(&line, WEFT_BODY_BYTES_MAX);
    r = weft_end_line(end, &line, ret_error);
    if (!r)
        r = ended(lease, how, buf_str(&line), ret_error);
    buf_deinit(&line);
    return r;
}

int weft_lease_complete(struct weft_lease *lease, const char *result, size_t result_n,
                        struct weft_error *ret_error)
{
    return end(lease, WEFT_ENDED_WELL,
               &(struct weft_end){.token = lease->token.text,
                                  .outcome = "succeeded",
                                  .result = result ? result : "null",
                                  .result_n = result ? result_n : 4},
               ret_error);
}

int weft_lease_fail(struct weft_lease *lease, const char *code, const char *text,
                    struct weft_error *ret_error)
{
    int r = end(lease, WEFT_ENDED_BADLY,
                &(struct weft_end){.token = lease->token.text,
                                   .outcome = "failed",
                                   .error_code = code && *code ? code : "error",
                                   .error_text = text},
                ret_error);

    if (!r)
        lease->failure = memory_text(text ? text : "");
    return r;
}

int weft_lease_cancelled(struct weft_lease *lease, const char *text, struct weft_error *ret_error)
{
    return end(lease, WEFT_ENDED_BADLY,
               &(struct weft_end){.token = lease->token.text,
                                  .outcome = "cancelled",
                                  .error_code = "cancelled",
                                  .error_text = text ? text : "stopped as asked"},
               ret_error);
}

int weft_lease_release(struct weft_lease *lease, struct weft_error *ret_error)
{
    struct buf line;
    int r = check(lease, ret_error);

    if (r)
        return r;
    buf_init(&line, WEFT_BODY_BYTES_MAX);
    buf_printf(&line, "{\"token\":\"%s\",\"release\":true}", lease->token.text);
    r = ended(lease, WEFT_ENDED_BACK, buf_str(&line), ret_error);
    buf_deinit(&line);
    return r;
}

/* While it works. */

static void put_progress(const struct weft_lease *lease, int percent, const char *text,
                         struct str details, struct buf *out)
{
    buf_add(out, STR("{\"leases\":[{"));
    weft_put_text(out, "token", str_of(lease->token.text));
    if (percent >= 0)
        buf_printf(out, ",\"percent\":%d", percent < 100 ? percent : 100);
    if (text)
        weft_put_text(out, "message", weft_cut(text, WEFT_MESSAGE_BYTES_MAX));
    if (details.n)
        buf_printf(out, ",\"details\":" STR_FMT, STR_ARG(details));
    buf_add(out, STR("}]}"));
}

int weft_lease_tell(struct weft_lease *lease, int percent, const char *text, struct str details,
                    struct weft_error *ret_error)
{
    struct weft_error own = {.code = ""}, *error = ret_error ? ret_error : &own;
    struct buf body, reply;
    struct str list, item;
    int r = check(lease, error);

    if (r)
        return r;
    buf_init(&body, WEFT_BODY_BYTES_MAX);
    put_progress(lease, percent, text, details, &body);
    r = weft_worker_ask(lease->worker,
                        &(struct asker_call){
                            .verb = "POST", .path = "/v1/leases:renew", .body = body.p, .tries = 1},
                        &reply, error);
    buf_deinit(&body);
    if (r == WEFT_UNAVAILABLE)
        asker_clear(error);
    if (r)
        return r == WEFT_UNAVAILABLE ? WEFT_OK : r;
    list = raw_get(buf_str(&reply), STR("results"));
    if (raw_next(&list, &item)) {
        if (!str_eq(raw_get(item, STR("code")), STR("\"OK\"")))
            weft_worker_lost(lease->worker, lease);
        if (weft_lease_lost(lease) || str_eq(raw_get(item, STR("stop")), STR("true")))
            atomic_store(&lease->stop, true);
    }
    buf_deinit(&reply);
    return weft_lease_lost(lease) ? told_lost(lease, error) : WEFT_OK;
}

int weft_lease_progress(struct weft_lease *lease, int percent, const char *text,
                        struct weft_error *ret_error)
{
    return weft_lease_tell(lease, percent, text, (struct str){0}, ret_error);
}

void weft_lease_free(struct weft_lease *lease)
{
    if (!lease)
        return;
    if (check(lease, NULL) == WEFT_OK)
        weft_lease_release(lease, NULL);
    weft_lease_drop(lease);
}
