/* SPDX-License-Identifier: Apache-2.0 */
#include "client/weft_held.h"

#include <inttypes.h>
#include <unistd.h>

#include "client/raw.h"

#define SAY_MS 5000 /* for the last calls of a worker, to a server that may be away */

/* Registering. */

static void put_tokens(struct weft_worker *k, struct buf *body)
{
    bool first = true;

    buf_add(body, STR(",\"tokens\":["));
    weft_held_lock(k);
    k->joins++;
    k->registering = true;
    LIST_EACH(it, &k->held)
    {
        buf_printf(body, "%s\"%s\"", first ? "" : ",",
                   LIST_OF(it, struct weft_lease, link)->token.text);
        first = false;
    }
    for (size_t i = 0; i < outbox_count(k->outbox); i++) {
        struct str token = raw_get(outbox_at(k->outbox, i), STR("token"));

        buf_printf(body, "%s" STR_FMT, first ? "" : ",", STR_ARG(token));
        first = false;
    }
    weft_held_unlock(k);
    buf_byte(body, ']');
}

static void put_registration(struct weft_worker *k, struct buf *body)
{
    char host[256] = "";

    gethostname(host, sizeof(host) - 1);
    buf_byte(body, '{');
    weft_put_text(body, "name", str_of(k->name));
    buf_printf(body, ",\"slots\":%u", k->slots);
    weft_put_ms(body, "ttl", k->ttl_ms);
    if (k->labels)
        buf_printf(body, ",\"labels\":%s", k->labels);
    weft_put_text(body, "host", str_of(host));
    buf_printf(body, ",\"pid\":%d,\"takeover\":%s", (int)getpid(),
               k->takeover || k->id.text[0] ? "true" : "false");
    if (k->more)
        buf_add(body, str_of(k->more));
    put_tokens(k, body);
    buf_byte(body, '}');
}

static void registered(struct weft_worker *k, struct str reply)
{
    char every[64];
    int64_t us;

    weft_get_text(reply, "heartbeat_every", every, sizeof(every));
    weft_held_lock(k);
    weft_get_text(raw_get(reply, STR("worker")), "id", k->id.text, sizeof(k->id.text));
    if (clock_duration(str_of(every), &us) && us >= CLOCK_MS)
        k->every_ms = us / CLOCK_MS;
    weft_held_unlock(k);
    weft_held_forget(k, raw_get(reply, STR("lost")));
}

int weft_join(struct weft_worker *k, unsigned tries, struct weft_error *ret_error)
{
    struct buf body, reply;
    int r;

    buf_init(&body, WEFT_BODY_BYTES_MAX);
    put_registration(k, &body);
    r = weft_worker_ask(k,
                        &(struct asker_call){.verb = "POST",
                                             .path = "/v1/workers:register",
                                             .body = body.p,
                                             .once = true,
                                             .tries = tries},
                        &reply, ret_error);
    buf_deinit(&body);
    if (!r) {
        registered(k, buf_str(&reply));
        buf_deinit(&reply);
    }
    weft_held_lock(k);
    k->registering = false;
    weft_held_unlock(k);
    if (k->joined)
        k->joined(k->joined_context);
    return r;
}

bool weft_join_is_over(const struct weft_error *e)
{
    return strcmp(e->code, "worker_lost") == 0 || strcmp(e->code, "worker_not_found") == 0;
}

struct weft_id weft_join_id(struct weft_worker *k)
{
    struct weft_id id;

    weft_held_lock(k);
    id = k->id;
    weft_held_unlock(k);
    return id;
}

void weft_join_again(struct weft_worker *k, struct weft_id was)
{
    struct weft_error error;
    struct weft_id now;

    pthread_mutex_lock(&k->joining);
    now = weft_join_id(k);
    if (strcmp(now.text, was.text) == 0 && weft_join(k, 1, &error))
        weft_held_say(k, "the worker could not register again: %s", error.text);
    pthread_mutex_unlock(&k->joining);
}

/* Heartbeats. */

static void put_worker_path(struct buf *out, struct weft_id id, const char *verb)
{
    buf_init(out, sizeof(id.text) + 64);
    buf_printf(out, "/v1/workers/%s:%s", id.text, verb);
}

static void server_is_back(struct weft_worker *k)
{
    weft_held_say(k, "the server is back");
    weft_held_lock(k);
    k->news = true;
    pthread_cond_broadcast(&k->changed);
    weft_held_unlock(k);
}

static void beat(struct weft_worker *k)
{
    struct weft_id id = weft_join_id(k);
    struct weft_error error;
    struct buf path, reply;
    int r;

    put_worker_path(&path, id, "heartbeat");
    r = weft_worker_ask(
        k,
        &(struct asker_call){.verb = "POST",
                             .path = path.p,
                             .body = "{}",
                             .probe = true,
                             .tries = 1,
                             .timeout_ms = k->ttl_ms / 5 > 1000 ? k->ttl_ms / 5 : 1000},
        &reply, &error);
    buf_deinit(&path);
    if (r == WEFT_OK) {
        weft_held_stop(k, raw_get(buf_str(&reply), STR("stop")));
        buf_deinit(&reply);
    }
    if (r == WEFT_REFUSED) {
        weft_held_say(k, "the heartbeat was refused: %s", error.text);
        if (weft_join_is_over(&error))
            weft_join_again(k, id);
    }
    if (r == WEFT_UNAVAILABLE && !atomic_exchange(&k->local, true))
        weft_held_say(k, "the server is away, working on without it: %s", error.text);
    if (r != WEFT_UNAVAILABLE && atomic_exchange(&k->local, false))
        server_is_back(k);
}

void *weft_join_beat(void *context)
{
    struct weft_worker *k = context;

    weft_held_lock(k);
    for (;;) {
        int64_t at = weft_held_in_ms(k->every_ms);

        while (!k->closed && clock_monotonic() < at)
            weft_held_wait(k, at);
        if (k->closed)
            break;
        weft_held_unlock(k);
        beat(k);
        weft_held_lock(k);
    }
    weft_held_unlock(k);
    return NULL;
}

void weft_join_say(struct weft_worker *k, const char *verb)
{
    struct weft_error error;
    struct buf path, reply;

    put_worker_path(&path, weft_join_id(k), verb);
    if (weft_worker_ask(
            k,
            &(struct asker_call){
                .verb = "POST", .path = path.p, .body = "{}", .tries = 1, .timeout_ms = SAY_MS},
            &reply, &error))
        weft_held_say(k, "the worker could not %s: %s", verb, error.text);
    else
        buf_deinit(&reply);
    buf_deinit(&path);
}

void weft_join_leave(struct weft_worker *k)
{
    weft_join_say(k, "deregister");
}
