/* SPDX-License-Identifier: Apache-2.0 */
#include "client/weft_held.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "client/raw.h"

/* A signal handler cannot wake a thread that waits for a condition: so often it looks by itself. */
#define LOOK_MS 100
#define FULL_MS 1000 /* at most, for a slot */

#define NO_QUEUE "queue_not_found"

/* Slots for at most `max` leases, which are taken. The lock is held. */
static size_t take_slots(struct weft_worker *k, size_t max)
{
    size_t taken = k->leases_n + k->claiming;
    size_t n = taken < k->slots ? k->slots - taken : 0;

    if (atomic_load(&k->stopping) || outbox_count(k->outbox) >= WEFT_OUTBOX_MAX)
        n = 0;
    n = n < max ? n : max;
    k->claiming += n;
    return n;
}

static void hold(struct weft_worker *k, struct weft_lease **leases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        weft_held_take(k, leases[i]);
}

/* Claims that are made again. */

void weft_asked_free(struct weft_asked *asked)
{
    list_del(&asked->link);
    free(asked->queue);
    free(asked);
}

/* Locked. */
static struct weft_asked *ask_anew(struct weft_worker *k, const char *queue, size_t max,
                                   int64_t wait_ms)
{
    struct weft_asked *asked = memory_new(sizeof(*asked));

    list_init(&asked->link);
    asked->queue = memory_text(queue);
    asked->worker = k->id;
    asked->max = max;
    asked->wait_ms = wait_ms;
    asker_key(k->client->asker, asked->key);
    return asked;
}

/* The unanswered claim of this queue by this incarnation, or NULL. Locked. */
static struct weft_asked *asked_before(struct weft_worker *k, const char *queue)
{
    LIST_EACH_SAFE(it, &k->asked)
    {
        struct weft_asked *asked = LIST_OF(it, struct weft_asked, link);

        if (strcmp(asked->worker.text, k->id.text) != 0) {
            weft_asked_free(asked);
        } else if (strcmp(asked->queue, queue) == 0) {
            list_del(it);
            return asked;
        }
    }
    return NULL;
}

/* Of more leases than there is room for, the last go back. */
static size_t fit(struct weft_lease **given, size_t n, struct weft_lease **leases, size_t max)
{
    for (size_t i = 0; i < n; i++) {
        if (i < max)
            leases[i] = given[i];
        else
            weft_lease_free(given[i]);
    }
    return n < max ? n : max;
}

/* Slots for a claim, and the claim; NULL: there are none. *ret_slots are taken. */
static struct weft_asked *begin(struct weft_worker *k, const char *queue, size_t max,
                                int64_t wait_ms, size_t *ret_slots)
{
    struct weft_asked *asked = NULL;

    pthread_mutex_lock(&k->joining);
    weft_held_lock(k);
    *ret_slots = take_slots(k, max);
    if (*ret_slots) {
        asked = asked_before(k, queue);
        if (!asked)
            asked = ask_anew(k, queue, *ret_slots, wait_ms);
        asked->joins = k->joins;
    }
    weft_held_unlock(k);
    pthread_mutex_unlock(&k->joining);
    return asked;
}

/* The claim was answered with r and n leases. What brought nothing and was sent more than once may
 * still be granted: not to the next incarnation. Where there is none yet, the next claim of the
 * queue is this one. */
static void answered(struct weft_worker *k, struct weft_asked *asked, int r, size_t n,
                     const struct weft_error *error)
{
    bool over = r == WEFT_REFUSED && weft_join_is_over(error);
    bool again = r == WEFT_UNAVAILABLE;

    if (!again && (over || (asked->sent > 1 && n == 0))) {
        weft_join_again(k, asked->worker);
        again = true;
    }
    weft_held_lock(k);
    if (again && strcmp(k->id.text, asked->worker.text) == 0) {
        list_add(&k->asked, &asked->link);
    } else {
        weft_asked_free(asked);
    }
    weft_held_unlock(k);
}

/* `slots` of the worker were taken for it. *ret_named: no incarnation began meanwhile, which has
 * not asked for these leases. */
static int ask(struct weft_worker *k, struct weft_asked *asked, size_t slots,
               struct weft_lease **given, size_t *ret_n, bool *ret_named, struct weft_error *error)
{
    int r = weft_claim_as(k->client,
                          &(struct weft_claiming){.queue = asked->queue,
                                                  .worker = asked->worker.text,
                                                  .max = asked->max,
                                                  .wait_ms = asked->wait_ms,
                                                  .key = asked->key,
                                                  .sent = &asked->sent},
                          given, ret_n, error);

    if (r)
        *ret_n = 0;
    weft_held_lock(k);
    k->claiming -= slots;
    hold(k, given, *ret_n);
    *ret_named = asked->joins == k->joins;
    pthread_cond_broadcast(&k->changed);
    weft_held_unlock(k);
    answered(k, asked, r, *ret_n, error);
    return r;
}

/* As weft_worker_claim(); *ret_full: there was no slot, or the worker stops, or what was given went
 * back at once. */
static int claim(struct weft_worker *k, const char *queue, size_t max, int64_t wait_ms,
                 struct weft_lease **leases, size_t *ret_n, bool *ret_full,
                 struct weft_error *error)
{
    struct weft_asked *asked;
    struct weft_lease **given;
    bool named;
    size_t n;
    int r;

    *ret_n = 0;
    asked = begin(k, queue, max, wait_ms, &n);
    *ret_full = !asked;
    if (!asked)
        return WEFT_OK;
    given = memory_new(asked->max * sizeof(struct weft_lease *));
    r = ask(k, asked, n, given, ret_n, &named, error);
    *ret_full = *ret_n && !named;
    *ret_n = fit(given, *ret_n, leases, named ? max : 0);
    free(given);
    if (r != WEFT_REFUSED || !weft_join_is_over(error))
        return r;
    asker_clear(error);
    return WEFT_OK;
}

static int check_claim(const char *queue, size_t max, int64_t wait_ms, struct weft_error *ret_error)
{
    asker_clear(ret_error);
    if (weft_queue_check(queue, ret_error))
        return WEFT_INVALID;
    if (max < 1 || max > WEFT_BATCH_MAX)
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "leases to claim: 1 to %d, not %zu", WEFT_BATCH_MAX, max);
    if (wait_ms < 0 || wait_ms > WEFT_WAIT_MS_MAX)
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "wait_ms: 0 to %d, not %" PRId64, WEFT_WAIT_MS_MAX, wait_ms);
    return WEFT_OK;
}

int weft_worker_claim(struct weft_worker *worker, const char *queue, size_t max, int64_t wait_ms,
                      struct weft_lease **leases, size_t *ret_n, struct weft_error *ret_error)
{
    struct weft_error own;
    bool full;
    int r = check_claim(queue, max, wait_ms, ret_error);

    return r ? r
             : claim(worker, queue, max, wait_ms, leases, ret_n, &full,
                     ret_error ? ret_error : &own);
}

/* Pause, or until a slot may be free, or until the worker stops. */
static void rest(struct weft_worker *k, int64_t ms, bool for_slots)
{
    int64_t at = weft_held_in_ms(ms);

    weft_held_lock(k);
    while (!atomic_load(&k->stopping) && clock_monotonic() < at) {
        int64_t look = weft_held_in_ms(LOOK_MS);

        if (for_slots && k->leases_n + k->claiming < k->slots &&
            outbox_count(k->outbox) < WEFT_OUTBOX_MAX)
            break;
        weft_held_wait(k, at < look ? at : look);
    }
    weft_held_unlock(k);
}

/* Call the handler, and end what it left. */
static void handle_one(struct weft_worker *k, struct weft_lease *lease, weft_handler *handle,
                       void *context)
{
    int r = handle(context, lease);
    struct weft_error error;
    char text[64];

    if (atomic_load(&lease->ended))
        return;
    snprintf(text, sizeof(text), "the handler returned %d", r);
    if (r == 0)
        r = weft_lease_complete(lease, NULL, 0, &error);
    else if (weft_lease_stop_asked(lease))
        r = weft_lease_cancelled(lease, NULL, &error);
    else
        r = weft_lease_fail(lease, "error", text, &error);
    if (r)
        weft_held_say(k, "%s", error.text);
}

/* One round of a run: *ret_idle says that there was nothing. */
static int run_batch(struct weft_worker *k, const char *queue, const struct weft_run_options *o,
                     struct weft_lease **leases, weft_handler *handle, void *context,
                     bool *ret_idle, struct weft_error *error)
{
    struct weft_id was = weft_join_id(k);
    size_t n;
    bool full;
    int r = claim(k, queue, o->batch, o->wait_ms, leases, &n, &full, error);

    *ret_idle = false;
    if (r)
        return r;
    if (full)
        rest(k, FULL_MS, true);
    *ret_idle = !full && n == 0 && strcmp(weft_join_id(k).text, was.text) == 0;
    for (size_t i = 0; i < n; i++) {
        if (!atomic_load(&k->stopping))
            handle_one(k, leases[i], handle, context);
        weft_lease_free(leases[i]);
    }
    return WEFT_OK;
}

/* Tries that failed in a row, by why. */
struct failures {
    unsigned away, missing;
};

/* True: the claim is made again, after a pause. A queue that is not there may be made later; who
 * goes on until there is nothing hears of it instead. */
static bool rest_after(struct weft_worker *k, const struct weft_run_options *o, int r,
                       struct failures *failures, const struct weft_error *error)
{
    unsigned times;

    if (r == WEFT_OK)
        *failures = (struct failures){0};
    if (r == WEFT_UNAVAILABLE) {
        times = ++failures->away;
    } else if (r == WEFT_REFUSED && !o->until_empty && strcmp(error->code, NO_QUEUE) == 0) {
        times = ++failures->missing;
        if (times == 1)
            weft_held_say(k, "%s; it is asked for until it is there", error->text);
    } else {
        return false;
    }
    rest(k, asker_pause_ms(k->client->asker, times, error->retry_after_ms), false);
    return true;
}

int weft_worker_run(struct weft_worker *worker, const char *queue,
                    const struct weft_run_options *options, weft_handler *handle, void *context,
                    struct weft_error *ret_error)
{
    struct weft_run_options o = options ? *options : (struct weft_run_options){0};
    struct weft_error own = {.code = ""}, *error = ret_error ? ret_error : &own;
    struct weft_lease **leases;
    struct failures failures = {0};
    int r;

    o.batch = o.batch ? o.batch : worker->slots < 10 ? worker->slots : 10;
    o.wait_ms = o.wait_ms || o.until_empty ? o.wait_ms : 5000;
    r = check_claim(queue, o.batch, o.wait_ms, error);
    if (r)
        return r;
    leases = memory_new(o.batch * sizeof(struct weft_lease *));
    while (!r && !atomic_load(&worker->stopping)) {
        bool idle;

        r = run_batch(worker, queue, &o, leases, handle, context, &idle, error);
        if (rest_after(worker, &o, r, &failures, error))
            r = WEFT_OK;
        if (idle && o.until_empty)
            break;
    }
    free(leases);
    if (!r)
        asker_clear(error);
    return r;
}

/* The flow template. */

static int look_at_health(struct weft_worker *k, struct weft_error *ret_error)
{
    struct weft_error error;
    char health[32], reason[1024];
    struct buf reply;
    int r = weft_worker_ask(
        k,
        &(struct asker_call){.verb = "GET", .path = "/v1/health", .tries = 1, .timeout_ms = 5000},
        &reply, &error);

    if (r)
        return asker_refuse(ret_error, WEFT_REFUSED, "unhealthy",
                            "the server is unhealthy: %.1000s", error.text);
    weft_get_text(buf_str(&reply), "health", health, sizeof(health));
    weft_get_text(buf_str(&reply), "reason", reason, sizeof(reason));
    buf_deinit(&reply);
    return strcmp(health, "unhealthy") != 0 ? WEFT_OK
                                            : asker_refuse(ret_error, WEFT_REFUSED, "unhealthy",
                                                           "the server is unhealthy: %s", reason);
}

static void sum_up(struct weft_summary *s, const struct weft_lease *lease)
{
    const char *why = lease->failure           ? lease->failure
                      : weft_lease_lost(lease) ? "the task was given to another worker"
                                               : "it was given back";
    struct buf b;

    s->processed++;
    if (lease->how == WEFT_ENDED_WELL) {
        s->succeeded++;
        return;
    }
    s->failed++;
    if (s->error_count++ >= WEFT_FLOW_ERRORS_MAX)
        return;
    s->errors[s->error_count - 1].id = lease->id;
    buf_fixed(&b, s->errors[s->error_count - 1].text, WEFT_FLOW_TEXT_BYTES);
    buf_add(&b, weft_cut(why, WEFT_FLOW_TEXT_BYTES - 1));
}

/* To the nearest hundredth. */
static double percent(size_t part, size_t whole)
{
    size_t hundredths = (part * 10000 + whole / 2) / whole;

    return (double)hundredths / 100;
}

int weft_worker_flow(struct weft_worker *worker, const char *queue, size_t batch,
                     weft_handler *handle, void *context, int64_t patience_ms,
                     struct weft_summary *ret, struct weft_error *ret_error)
{
    struct weft_lease **leases;
    struct weft_error own = {.code = ""}, *error = ret_error ? ret_error : &own;
    size_t n = 0;
    bool full;
    int r = check_claim(queue, batch, 0, error);

    *ret = (struct weft_summary){0};
    if (!r)
        r = look_at_health(worker, error);
    if (r)
        return r;
    leases = memory_new(batch * sizeof(struct weft_lease *));
    r = claim(worker, queue, batch, 0, leases, &n, &full, error);
    ret->claimed = n;
    for (size_t i = 0; i < n; i++) {
        handle_one(worker, leases[i], handle, context);
        sum_up(ret, leases[i]);
        weft_lease_free(leases[i]);
    }
    free(leases);
    if (n)
        ret->success_rate_percent = percent(ret->succeeded, ret->processed);
    if (n)
        weft_worker_drain(worker, patience_ms, NULL);
    return r;
}
