/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lane.h"

#include <assert.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/fault.h"
#include "engine/sets.h"
#include "engine/task.h"

/* A key of a queue, or of a queue and a priority. */
struct lane {
    struct str queue, key;
    int64_t priority;
    int64_t places; /* of the key */
    int64_t turn;   /* the next one */
};

static int by_lane(const void *a, const void *b)
{
    const struct lane *x = a, *y = b;
    int c = str_cmp(x->queue, y->queue);

    if (!c)
        c = str_cmp(x->key, y->key);
    return c ? c : (x->priority > y->priority) - (x->priority < y->priority);
}

static struct lane *lane_of(struct lane *list, size_t n, const struct lane *key)
{
    struct lane *found = n ? bsearch(key, list, n, sizeof(*list), by_lane) : NULL;

    assert(found);
    return found;
}

/* Each once, in order. */
static size_t distinct(struct lane *list, size_t n)
{
    size_t kept = 0;

    if (n)
        qsort(list, n, sizeof(*list), by_lane);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || by_lane(&list[kept - 1], &list[i]) != 0)
            list[kept++] = list[i];
    return kept;
}

static bool wants_turn(const struct queue_rules *rules, const struct lane_entry *e)
{
    return e->turn == 0 && queue_rules_of(rules, e->queue)->fair;
}

static int assign_turns(struct tx *tx, const struct queue_rules *rules, struct lane_entry *list,
                        size_t n)
{
    struct lane *lanes = ARENA_ARRAY(tx->arena, struct lane, n);
    struct sets sets = {0};
    struct rows rows;
    size_t lanes_n = 0;
    int r;

    for (size_t i = 0; i < n; i++)
        if (wants_turn(rules, &list[i]))
            lanes[lanes_n++] = (struct lane){list[i].queue, list[i].key, list[i].priority, 0, 0};
    lanes_n = distinct(lanes, lanes_n);
    for (size_t i = 0; i < lanes_n; i++)
        SETS_ADD(&sets, tx->arena, TEXT(lanes[i].queue), TEXT(lanes[i].key),
                 INT(lanes[i].priority));
    r = sets_run(&sets, tx, STMT_lane_turn, 3, &rows);
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++) {
        struct lane key = {row_text(&rows, i, 0), row_text(&rows, i, 1), row_int(&rows, i, 2), 0,
                           0};
        int64_t first = row_int(&rows, i, 3), last = row_int(&rows, i, 4);

        lane_of(lanes, lanes_n, &key)->turn = first > last ? first : last + 1;
    }
    for (size_t i = 0; i < n; i++) {
        struct lane key = {list[i].queue, list[i].key, list[i].priority, 0, 0};

        if (wants_turn(rules, &list[i]))
            list[i].turn = BROKEN(TURN) ? 1 : lane_of(lanes, lanes_n, &key)->turn++;
    }
    return 0;
}

/* The places of these keys, locked. */
static int lock_lanes(struct tx *tx, struct lane *lanes, size_t n)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, tx->arena, TEXT(lanes[i].queue), TEXT(lanes[i].key));
    r = sets_run(&sets, tx, STMT_lane_lock, 2, &rows);
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++) {
        struct lane key = {row_text(&rows, i, 0), row_text(&rows, i, 1), 0, 0, 0};

        lane_of(lanes, n, &key)->places = row_int(&rows, i, 2);
    }
    return 0;
}

static int put_lanes(struct tx *tx, const struct lane *lanes, size_t n)
{
    struct sets puts = {0}, drops = {0};
    int r;

    for (size_t i = 0; i < n; i++)
        if (lanes[i].places > 0)
            SETS_ADD(&puts, tx->arena, TEXT(lanes[i].queue), TEXT(lanes[i].key),
                     INT(lanes[i].places));
        else
            SETS_ADD(&drops, tx->arena, TEXT(lanes[i].queue), TEXT(lanes[i].key));
    r = sets_run(&puts, tx, STMT_lane_put, 3, NULL);
    if (!r)
        r = sets_run(&drops, tx, STMT_lane_drop, 2, NULL);
    return r ? fault(r) : 0;
}

static bool limits(const struct queue_rules *rules, const struct lane_entry *e)
{
    return e->key.n && queue_rules_of(rules, e->queue)->key_concurrency > 0;
}

/* The higher priority first; else as the list has them. */
static int by_place(const void *a, const void *b)
{
    const struct lane_entry *x = *(struct lane_entry *const *)a,
                            *y = *(struct lane_entry *const *)b;

    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    return (x > y) - (x < y);
}

static int assign_places(struct tx *tx, const struct queue_rules *rules, struct lane_entry *list,
                         size_t n)
{
    struct lane_entry **order = ARENA_ARRAY(tx->arena, struct lane_entry *, n);
    struct lane *lanes = ARENA_ARRAY(tx->arena, struct lane, n);
    size_t limited = 0, lanes_n;
    int r;

    for (size_t i = 0; i < n; i++) {
        list[i].gate = LANE_FREE;
        if (!limits(rules, &list[i]))
            continue;
        lanes[limited] = (struct lane){list[i].queue, list[i].key, 0, 0, 0};
        order[limited++] = &list[i];
    }
    if (limited == 0)
        return 0;
    lanes_n = distinct(lanes, limited);
    r = lock_lanes(tx, lanes, lanes_n);
    if (r)
        return fault(r);
    qsort(order, limited, sizeof(struct lane_entry *), by_place);
    for (size_t i = 0; i < limited; i++) {
        struct lane key = {order[i]->queue, order[i]->key, 0, 0, 0};
        struct lane *lane = lane_of(lanes, lanes_n, &key);
        int64_t limit = queue_rules_of(rules, order[i]->queue)->key_concurrency;
        bool room = lane->places < limit + BROKEN(PLACE);

        order[i]->gate = room ? LANE_PLACE : LANE_WAITS;
        lane->places += room;
    }
    return put_lanes(tx, lanes, lanes_n);
}

int lane_assign(struct tx *tx, const struct queue_rules *rules, struct lane_entry *list, size_t n)
{
    int r = assign_turns(tx, rules, list, n);

    if (!r)
        r = assign_places(tx, rules, list, n);
    return r ? fault(r) : 0;
}

static int read_rules(struct tx *tx, const struct lane_entry *list, size_t n,
                      struct queue_rules *ret)
{
    struct str *names = ARENA_ARRAY(tx->arena, struct str, n);

    for (size_t i = 0; i < n; i++)
        names[i] = list[i].queue;
    return queue_rules_read(tx, names, n, ret);
}

static int by_task(const void *a, const void *b)
{
    const struct lane_entry *x = a, *y = b;

    return (x->task > y->task) - (x->task < y->task);
}

int lane_enter(struct tx *tx, struct lane_entry *list, size_t n)
{
    struct queue_rules rules;
    struct sets sets = {0};
    int r;

    if (n == 0)
        return 0;
    qsort(list, n, sizeof(*list), by_task);
    r = read_rules(tx, list, n, &rules);
    if (!r)
        r = lane_assign(tx, &rules, list, n);
    for (size_t i = 0; !r && i < n; i++)
        if (list[i].turn || list[i].gate != LANE_FREE)
            SETS_ADD(&sets, tx->arena, INT(list[i].task), INT(list[i].turn), INT(list[i].gate));
    if (!r)
        r = sets_run(&sets, tx, STMT_lane_enter, 3, NULL);
    return r ? fault(r) : 0;
}

/* Fill the places that are free. */
static int open_next(struct tx *tx, const struct queue_rules *rules, struct lane *lanes, size_t n)
{
    struct sets sets = {0}, opens = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < n; i++) {
        int64_t limit = queue_rules_of(rules, lanes[i].queue)->key_concurrency;

        /* Whoever added tasks while the limit was lifted may have read the old one: they go now. */
        if (limit == 0)
            limit = INT64_MAX;
        if (lanes[i].places < limit)
            SETS_ADD(&sets, tx->arena, TEXT(lanes[i].queue), TEXT(lanes[i].key),
                     INT(limit - lanes[i].places));
    }
    r = sets_run(&sets, tx, STMT_lane_next, 3, &rows);
    for (size_t i = 0; !r && !BROKEN(NEXT) && i < rows.n; i++) {
        struct lane key = {row_text(&rows, i, 1), row_text(&rows, i, 2), 0, 0, 0};

        lane_of(lanes, n, &key)->places++;
        SETS_ADD(&opens, tx->arena, INT(row_int(&rows, i, 0)));
    }
    if (!r)
        r = sets_run(&opens, tx, STMT_lane_open, 1, NULL);
    return r ? fault(r) : 0;
}

int lane_leave(struct tx *tx, const struct lane_entry *list, size_t n)
{
    struct lane *lanes;
    struct queue_rules rules;
    size_t lanes_n;
    int r;

    if (n == 0)
        return 0;
    lanes = ARENA_ARRAY(tx->arena, struct lane, n);
    for (size_t i = 0; i < n; i++)
        lanes[i] = (struct lane){list[i].queue, list[i].key, 0, 0, 0};
    lanes_n = distinct(lanes, n);
    r = read_rules(tx, list, n, &rules);
    if (!r)
        r = lock_lanes(tx, lanes, lanes_n);
    if (r)
        return fault(r);
    for (size_t i = 0; i < n; i++) {
        struct lane key = {list[i].queue, list[i].key, 0, 0, 0};
        struct lane *lane = lane_of(lanes, lanes_n, &key);

        lane->places -= lane->places > 0;
    }
    r = open_next(tx, &rules, lanes, lanes_n);
    if (!r)
        r = put_lanes(tx, lanes, lanes_n);
    return r ? fault(r) : 0;
}

int lane_rebuild(struct tx *tx, struct str queue, int64_t key_concurrency, bool fair)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_lane_tasks_lock, tx->arena, &rows, TEXT(queue));

    if (!r)
        r = STORE_PUT(tx->store, STMT_lane_clear, TEXT(queue));
    if (!r)
        r = STORE_PUT(tx->store, STMT_lane_judge, TEXT(queue), INT(key_concurrency));
    if (!r)
        r = STORE_PUT(tx->store, STMT_lane_fill, TEXT(queue));
    if (!r && !fair)
        r = STORE_PUT(tx->store, STMT_lane_level, TEXT(queue));
    return r ? fault(r) : 0;
}
