/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/queue.h"

#include <inttypes.h>

#include "base/broken.h"
#include "base/fault.h"
#include "core/definition.h"
#include "core/retry.h"
#include "engine/lane.h"
#include "engine/sets.h"

int queue_check_name(struct tx *tx, struct str name)
{
    if (name.n < 1 || name.n > QUEUE_NAME_BYTES_MAX || !str_utf8(name, NULL) ||
        str_find(name, '\0', NULL))
        return tx_refuse(tx, CODE_INVALID, "a queue's name has 1 to %u bytes of UTF-8 without NUL",
                         QUEUE_NAME_BYTES_MAX);
    return 0;
}

#define GIVEN(put, setting) ((put)->given >> QUEUE_SET_##setting & 1)

/* The settings that are numbers, with their bounds. */
static const struct {
    enum queue_set bit;
    const char *name;
    size_t offset;
    int64_t min, max, unit;
    const char *unit_text;
} numbers[] = {
#define NUMBER(set, field, min, max)                                                               \
    {                                                                                              \
        set, #field, offsetof(struct queue_status, field), min, max, 1, ""                         \
    }
#define SPAN(set, field, min, max)                                                                 \
    {                                                                                              \
        set, #field, offsetof(struct queue_status, field##_us), min, max, 1000000, "s"             \
    }
    NUMBER(QUEUE_SET_TASKS_MAX, tasks_max, 0, QUEUE_TASKS_MAX),
    NUMBER(QUEUE_SET_CONCURRENCY_MAX, concurrency_max, 0, QUEUE_LEASES_MAX),
    NUMBER(QUEUE_SET_KEY_CONCURRENCY, key_concurrency, 0, QUEUE_LEASES_MAX),
    NUMBER(QUEUE_SET_RATE, rate_milli, 0, QUEUE_RATE_MILLI_MAX),
    NUMBER(QUEUE_SET_RATE_BURST, rate_burst, 0, QUEUE_LEASES_MAX),
    SPAN(QUEUE_SET_CLAIM_TTL, claim_ttl, LEASE_TTL_US_MIN, LEASE_TTL_US_MAX),
    SPAN(QUEUE_SET_RETENTION, retention, 0, QUEUE_RETENTION_MAX),
    SPAN(QUEUE_SET_TASK_TIMEOUT, task_timeout, 0, DEFINITION_TIMEOUT_US_MAX),
#undef NUMBER
#undef SPAN
};
#define NUMBERS_N (sizeof(numbers) / sizeof(*numbers))

static int64_t *number_of(struct queue_status *q, size_t i)
{
    return (int64_t *)((char *)q + numbers[i].offset);
}

static int64_t number(const struct queue_status *q, size_t i)
{
    return *(const int64_t *)((const char *)q + numbers[i].offset);
}

static int check_put(struct tx *tx, const struct queue_put *req)
{
    struct retry_policy policy;
    int r = queue_check_name(tx, req->name);

    if (r)
        return r;
    for (size_t i = 0; i < NUMBERS_N; i++) {
        int64_t v = number(&req->set, i);

        if (req->given >> numbers[i].bit & 1 && (v < numbers[i].min || v > numbers[i].max))
            return tx_refuse(
                tx, CODE_INVALID, "%s: %.15g%s is not within %" PRId64 "%s … %" PRId64 "%s",
                numbers[i].name, (double)v / (double)numbers[i].unit, numbers[i].unit_text,
                numbers[i].min / numbers[i].unit, numbers[i].unit_text,
                numbers[i].max / numbers[i].unit, numbers[i].unit_text);
    }
    if (GIVEN(req, RETRY) && req->set.retry.n && !retry_parse(req->set.retry, &policy))
        return tx_refuse(tx, CODE_INVALID, "the retry policy is none that there is");
    return 0;
}

static void apply(struct queue_status *q, const struct queue_put *req)
{
    for (size_t i = 0; i < NUMBERS_N; i++)
        if (req->given >> numbers[i].bit & 1)
            *number_of(q, i) = number(&req->set, i);
    if (q->tasks_max == 0)
        q->tasks_max = QUEUE_TASKS_DEFAULT;
    if (GIVEN(req, PAUSED))
        q->paused = req->set.paused;
    if (GIVEN(req, FAIR))
        q->fair = req->set.fair;
    if (GIVEN(req, RETRY))
        q->retry = req->set.retry;
}

static bool same_settings(const struct queue_status *a, const struct queue_status *b)
{
    for (size_t i = 0; i < NUMBERS_N; i++)
        if (number(a, i) != number(b, i))
            return false;
    return a->paused == b->paused && a->fair == b->fair && str_eq(a->retry, b->retry);
}

/* The rows of queue_get and its kin. */
static void read_settings(const struct rows *rows, size_t i, struct queue_status *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;

    *ret = (struct queue_status){
        .name = c[0].s,
        .paused = c[1].i,
        .tasks_max = c[2].i,
        .concurrency_max = c[3].i,
        .key_concurrency = c[4].i,
        .rate_milli = c[5].i,
        .rate_burst = c[6].i,
        .fair = c[7].i,
        .claim_ttl_us = c[8].i,
        .retention_us = c[9].i,
        .retry = c[10].s,
        .task_timeout_us = c[11].i,
        .created_at = c[12].i,
        .version = c[13].i,
    };
}

/* Lock the queue's row; it is made where there is none. */
static int lock_or_make(struct tx *tx, struct str name, struct queue_status *ret)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_queue_lock, tx->arena, &rows, TEXT(name));

    if (!r && rows.n == 0) {
        r = STORE_DO(tx->store, STMT_queue_add, tx->arena, NULL, TEXT(name),
                     INT(QUEUE_TASKS_DEFAULT), INT(tx->now));
        if (!r)
            r = STORE_DO(tx->store, STMT_queue_lock, tx->arena, &rows, TEXT(name));
    }
    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_damaged(tx, "queue \"" STR_FMT "\" cannot be made", STR_ARG(name));
    read_settings(&rows, 0, ret);
    return 0;
}

static int write_settings(struct tx *tx, const struct queue_status *q)
{
    int r = STORE_DO(tx->store, STMT_queue_put, tx->arena, NULL, TEXT(q->name), INT(q->paused),
                     INT(q->tasks_max), INT(q->created_at));

    if (!r)
        r = STORE_DO(tx->store, STMT_queue_set, tx->arena, NULL, TEXT(q->name),
                     INT(q->concurrency_max), INT(q->key_concurrency), INT(q->rate_milli),
                     INT(q->rate_burst), INT(q->fair), INT(q->claim_ttl_us), INT(q->retention_us),
                     TEXT(q->retry), INT(q->task_timeout_us));
    if (r)
        return fault(r);
    tx_touch(tx, q->name);
    return 0;
}

int queue_put(struct tx *tx, const struct queue_put *req, struct queue_status *reply)
{
    struct queue_status was = {0}, q;
    int r = check_put(tx, req);

    if (r)
        return r;
    r = lock_or_make(tx, req->name, &was);
    if (r)
        return fault(r);
    if (req->version && req->version != was.version)
        return tx_refuse(tx, CODE_QUEUE_CHANGED,
                         "the settings of queue \"" STR_FMT "\" have been changed meanwhile; read "
                         "them again",
                         STR_ARG(req->name));
    q = was;
    apply(&q, req);
    if (!same_settings(&was, &q))
        r = write_settings(tx, &q);
    if (!r && !BROKEN(JUDGE) && (was.key_concurrency != q.key_concurrency || was.fair != q.fair))
        r = lane_rebuild(tx, q.name, q.key_concurrency, q.fair);
    return r ? fault(r) : queue_get(tx, &req->name, reply);
}

int queue_settings(struct tx *tx, const struct str *name, struct queue_status *reply)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_queue_get, tx->arena, &rows, TEXT(*name));

    *reply = (struct queue_status){0};
    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_QUEUE_NOT_FOUND, "queue \"%.*s\" does not exist", STR_ARG(*name));
    read_settings(&rows, 0, reply);
    return 0;
}

/* The counts of queues that stand in the order of their names. */
static int read_counts(struct tx *tx, struct queue_status *list, size_t n)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, tx->arena, INT(0), TEXT(list[i].name));
    r = sets_run(&sets, tx, STMT_tally_of, 2, &rows);
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++) {
        struct str name = row_text(&rows, i, 1);
        size_t low = 0, high = n;
        enum task_state s;

        while (low < high) {
            size_t middle = low + (high - low) / 2;

            if (str_cmp(list[middle].name, name) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < n && task_state_parse(row_text(&rows, i, 2), &s))
            list[low].counts[s] = row_int(&rows, i, 3);
    }
    for (size_t i = 0; i < n; i++)
        tx_counted(tx, 0, list[i].name, list[i].counts);
    return 0;
}

int queue_get(struct tx *tx, const struct str *name, struct queue_status *reply)
{
    struct rows rows;
    int r = queue_settings(tx, name, reply);

    if (r)
        return r;
    r = read_counts(tx, reply, 1);
    if (!r)
        r = STORE_DO(tx->store, STMT_queue_oldest, tx->arena, &rows, TEXT(*name));
    if (r)
        return fault(r);
    reply->oldest_ready_at = rows.n ? row_int(&rows, 0, 0) : 0;
    return 0;
}

static int set_paused(struct tx *tx, const struct str *name, bool paused,
                      struct queue_status *reply)
{
    const struct queue_put put = {
        .name = *name,
        .given = 1u << QUEUE_SET_PAUSED,
        .set = {.paused = paused},
    };
    int r = queue_settings(tx, name, reply);

    return r ? r : queue_put(tx, &put, reply);
}

int queue_pause(struct tx *tx, const struct str *name, struct queue_status *reply)
{
    return set_paused(tx, name, true, reply);
}

int queue_resume(struct tx *tx, const struct str *name, struct queue_status *reply)
{
    return set_paused(tx, name, false, reply);
}

int queue_list(struct tx *tx, const struct queue_page *req, struct queue_statuses *reply)
{
    struct rows rows;
    int r;

    *reply = (struct queue_statuses){0};
    if (req->max < 1 || req->max > QUEUE_PAGE_MAX)
        return tx_refuse(tx, CODE_INVALID, "a page has 1 to %d queues", QUEUE_PAGE_MAX);
    r = STORE_DO(tx->store, STMT_queue_page, tx->arena, &rows, TEXT(req->after), INT(req->max + 1));
    if (r)
        return fault(r);
    reply->more = rows.n > (size_t)req->max;
    reply->n = reply->more ? (size_t)req->max : rows.n;
    reply->list = ARENA_ARRAY(tx->arena, struct queue_status, reply->n);
    for (size_t i = 0; i < reply->n; i++)
        read_settings(&rows, i, &reply->list[i]);
    r = read_counts(tx, reply->list, reply->n);
    return r ? fault(r) : 0;
}
