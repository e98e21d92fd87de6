/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator does with the tasks of a queue: look, give back, throw away. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "engine/block.h"
#include "engine/change.h"
#include "engine/queue.h"
#include "engine/sets.h"
#include "engine/task.h"

/*
 * Where a page of tasks ends, as text: "<which list>.<rank>.<turn>.<id>.<key>". Those of a queue
 * that are READY come as two lists: first what can be claimed, then what waits for a place of its
 * key.
 */
enum list { LIST_READY, LIST_GATED, LIST_DELAYED, LIST_HELD, LIST_DEAD, LIST_N };

struct place {
    enum list list;
    int64_t rank; /* READY and GATED: the priority; DELAYED: due_at */
    int64_t turn; /* READY */
    int64_t id;
    struct str key; /* GATED */
};

/* Before the first task. */
static struct place beginning(enum list list)
{
    return (struct place){
        .list = list,
        .rank = list == LIST_DELAYED ? INT64_MIN : TASK_PRIORITY_MAX + 1,
        .turn = INT64_MIN,
    };
}

static struct str place_text(struct tx *tx, const struct place *p)
{
    return str_printf(tx->arena, "%d.%" PRId64 ".%" PRId64 ".%" PRId64 "." STR_FMT, p->list,
                      p->rank, p->turn, p->id, STR_ARG(p->key));
}

static bool place_parse(struct str s, struct place *ret)
{
    int64_t numbers[4];
    size_t at;

    for (int i = 0; i < 4; i++) {
        if (!str_find(s, '.', &at) || !str_int64(str_sub(s, 0, at), &numbers[i]))
            return false;
        s = str_sub(s, at + 1, s.n);
    }
    if (numbers[0] < 0 || numbers[0] >= LIST_N || s.n > TASK_KEY_BYTES_MAX || !str_utf8(s, NULL) ||
        str_find(s, '\0', NULL))
        return false;
    *ret = (struct place){(enum list)numbers[0], numbers[1], numbers[2], numbers[3], s};
    return true;
}

/* The list that a state's first page begins with. */
static bool list_of(enum task_state s, enum list *ret)
{
    static const struct {
        enum task_state state;
        enum list list;
    } rows[] = {
        {TASK_READY,   LIST_READY  },
        {TASK_DELAYED, LIST_DELAYED},
        {TASK_RUNNING, LIST_HELD   },
        {TASK_FAILED,  LIST_DEAD   },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].state != s)
            continue;
        *ret = rows[i].list;
        return true;
    }
    return false;
}

static int read_list(struct tx *tx, const struct queue_tasks *req, const struct place *p, int64_t n,
                     struct rows *ret)
{
    int r = 0;

    switch (p->list) {
    case LIST_READY:
        r = STORE_DO(tx->store, STMT_queue_ready, tx->arena, ret, TEXT(req->queue), INT(p->rank),
                     INT(p->turn), INT(p->id), INT(n));
        break;
    case LIST_GATED:
        r = STORE_DO(tx->store, STMT_queue_gated, tx->arena, ret, TEXT(req->queue), TEXT(p->key),
                     INT(p->rank), INT(p->id), INT(n));
        break;
    case LIST_DELAYED:
        r = STORE_DO(tx->store, STMT_queue_delayed, tx->arena, ret, TEXT(req->queue), INT(p->rank),
                     INT(p->id), INT(n));
        break;
    case LIST_HELD:
        r = STORE_DO(tx->store, STMT_queue_held, tx->arena, ret, TEXT(req->queue), INT(p->id),
                     INT(n));
        break;
    case LIST_DEAD:
    case LIST_N:
        r = STORE_DO(tx->store, STMT_queue_dead, tx->arena, ret, TEXT(req->queue), INT(p->id),
                     INT(n));
        break;
    }
    return r ? fault(r) : 0;
}

/* A task of a list, and its turn. */
struct listed {
    struct queue_task task;
    int64_t turn;
};

static int read_task(struct tx *tx, const struct rows *rows, size_t i, struct queue_task *ret,
                     int64_t *ret_turn)
{
    const struct cell *c = rows->cells + i * rows->columns;

    *ret = (struct queue_task){
        .id = c[0].i,
        .payload = c[2].kind == CELL_TEXT ? c[2].s : STR(""),
        .key = c[3].s,
        .reason = c[4].s,
        .message = c[5].s,
        .priority = c[6].i,
        .attempts = c[7].i,
        .created_at = c[8].i,
        .due_at = c[9].i,
        .ended_at = c[10].i,
    };
    if (!task_state_parse(c[1].s, &ret->state))
        return tx_damaged(tx, "task %" PRId64 " has the state \"%.*s\", which there is not",
                          ret->id, ROW_SHOWN(c[1].s));
    *ret_turn = c[11].i;
    return 0;
}

static void set_place(struct place *place, const struct listed *l)
{
    place->rank = place->list == LIST_DELAYED ? l->task.due_at : l->task.priority;
    place->turn = l->turn;
    place->id = l->task.id;
    place->key = l->task.key;
}

static int by_claim(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;

    if (x->task.priority != y->task.priority)
        return x->task.priority > y->task.priority ? -1 : 1;
    if (x->turn != y->turn)
        return x->turn < y->turn ? -1 : 1;
    return (x->task.id > y->task.id) - (x->task.id < y->task.id);
}

static int by_task(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;

    return (x->task.id > y->task.id) - (x->task.id < y->task.id);
}

/* Those of the list that stand in blocks, of which all have the turn 0. */
static int read_blocks(struct tx *tx, const struct queue_tasks *req, const struct place *p,
                       size_t n, struct queue_task_list *ret)
{
    int r = 0;

    *ret = (struct queue_task_list){0};
    if (p->list == LIST_READY)
        r = block_page_ready(tx, req->queue, p->rank, p->turn > 0 ? INT64_MAX : p->id, n, ret);
    else if (p->list == LIST_HELD)
        r = block_page_held(tx, req->queue, p->id, n, ret);
    return r ? fault(r) : 0;
}

/* Add a list to the page; `place` goes along. One more than fits is asked for, which tells whether
 * there is more. */
static int add_list(struct tx *tx, const struct queue_tasks *req, struct place *place,
                    struct queue_task_list *reply)
{
    size_t room = (size_t)req->max - reply->n, n = 0;
    struct queue_task_list blocks;
    struct listed *all;
    struct rows rows;
    int r = read_list(tx, req, place, (int64_t)room + 1, &rows);

    if (!r)
        r = read_blocks(tx, req, place, room + 1, &blocks);
    if (r)
        return fault(r);
    all = ARENA_ARRAY(tx->arena, struct listed, rows.n + blocks.n);
    for (; !r && n < rows.n; n++) {
        r = read_task(tx, &rows, n, &all[n].task, &all[n].turn);
    }
    if (r)
        return fault(r);
    for (size_t i = 0; i < blocks.n; i++)
        all[n++] = (struct listed){blocks.list[i], 0};
    if (blocks.n)
        qsort(all, n, sizeof(*all), place->list == LIST_READY ? by_claim : by_task);
    for (size_t i = 0; i < n && i < room; i++) {
        reply->list[reply->n++] = all[i].task;
        set_place(place, &all[i]);
    }
    if (n > room)
        reply->next = place_text(tx, place);
    return 0;
}

int queue_tasks(struct tx *tx, const struct queue_tasks *req, struct queue_task_list *reply)
{
    struct queue_status queue;
    struct place place;
    enum list list;
    int r = queue_settings(tx, &req->queue, &queue);

    *reply = (struct queue_task_list){0};
    if (r)
        return r;
    if (req->max < 1 || req->max > QUEUE_PAGE_MAX)
        return tx_refuse(tx, CODE_INVALID, "a page has 1 to %d tasks", QUEUE_PAGE_MAX);
    if (!list_of(req->state, &list))
        return tx_refuse(tx, CODE_INVALID,
                         "the tasks of a queue are listed by READY, DELAYED, RUNNING or FAILED");
    place = beginning(list);
    if (req->after.n && !place_parse(req->after, &place))
        return tx_refuse(tx, CODE_INVALID, "the page token is none that a page ended with");
    if (place.list != list && !(list == LIST_READY && place.list == LIST_GATED))
        return tx_refuse(tx, CODE_INVALID, "the page token belongs to another state");
    reply->list = ARENA_ARRAY(tx->arena, struct queue_task, req->max);
    r = add_list(tx, req, &place, reply);
    if (!r && !reply->next.n && place.list == LIST_READY) {
        place = beginning(LIST_GATED);
        r = add_list(tx, req, &place, reply);
    }
    return r ? fault(r) : 0;
}

/* How many more open tasks the queue takes. */
static int room_of(struct tx *tx, const struct str *queue, int64_t *ret)
{
    struct queue_status q;
    int64_t open = 0;
    int r = queue_get(tx, queue, &q);

    if (r)
        return r;
    for (int s = 0; s < TASK_STATE_N; s++)
        open += task_final(s) ? 0 : q.counts[s];
    *ret = q.tasks_max > open ? q.tasks_max - open : 0;
    return 0;
}

static int check_requeue(struct tx *tx, const struct queue_requeue *req)
{
    if (req->n > QUEUE_REQUEUE_MAX || req->max < 0 || req->max > QUEUE_REQUEUE_MAX)
        return tx_refuse(tx, CODE_INVALID, "a request gives back 1 to %d tasks", QUEUE_REQUEUE_MAX);
    for (size_t i = 0; i < req->n; i++) {
        const struct queue_requeue_item *item = &req->list[i];

        if (item->payload.n > TASK_PAYLOAD_BYTES_MAX)
            return tx_refuse(tx, CODE_TOO_LARGE,
                             "the payload of task %" PRId64 " has %zu bytes; %u are allowed",
                             item->id, item->payload.n, TASK_PAYLOAD_BYTES_MAX);
        if (item->edited && (item->payload.n == 0 || !str_utf8(item->payload, NULL) ||
                             str_find(item->payload, '\0', NULL)))
            return tx_refuse(tx, CODE_INVALID, "the payload of task %" PRId64 " is no JSON",
                             item->id);
    }
    return 0;
}

/* A row that a request has locked, found by its id. */
struct locked {
    struct task_row row;
    bool taken; /* an item of the request has moved it */
};

static int by_id(const void *a, const void *b)
{
    const int64_t *id = a;
    const struct locked *l = b;

    return (*id > l->row.id) - (*id < l->row.id);
}

/* Lock the tasks that are named, in the order of their ids. */
static int lock_named(struct tx *tx, const struct queue_requeue *req, struct locked **ret,
                      size_t *ret_n)
{
    int64_t *ids = ARENA_ARRAY(tx->arena, int64_t, req->n);
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < req->n; i++)
        ids[i] = req->list[i].id;
    qsort(ids, req->n, sizeof(*ids), sets_by_number);
    r = block_open(tx, ids, req->n);
    if (r)
        return fault(r);
    for (size_t i = 0; i < req->n; i++)
        if (i == 0 || ids[i] != ids[i - 1])
            SETS_ADD(&sets, tx->arena, INT(ids[i]));
    r = sets_run(&sets, tx, STMT_task_lock, 1, &rows);
    *ret = ARENA_ARRAY(tx->arena, struct locked, r ? 0 : rows.n);
    for (*ret_n = 0; !r && *ret_n < rows.n; (*ret_n)++) {
        (*ret)[*ret_n].taken = false;
        r = row_task(tx, &rows, *ret_n, &(*ret)[*ret_n].row);
    }
    return r ? fault(r) : 0;
}

/* Whether a task that was named can go back; else the problem says why not. */
static bool judge_named(struct tx *tx, const struct queue_requeue *req, int64_t id,
                        const struct locked *l, int64_t room, struct tx_problem *ret)
{
    *ret = (struct tx_problem){.code = CODE_OK};
    if (!l || l->row.run || !str_eq(l->row.queue, req->queue)) {
        ret->code = CODE_TASK_NOT_FOUND;
        ret->text = str_printf(tx->arena, "queue \"" STR_FMT "\" holds no task %" PRId64,
                               STR_ARG(req->queue), id);
    } else if (l->taken || l->row.task.state != TASK_FAILED) {
        ret->code = CODE_TASK_STATE;
        ret->text = str_printf(tx->arena, "task %" PRId64 " is %s and no dead letter", id,
                               task_state_text(l->row.task.state).p);
    } else if (room <= 0) {
        ret->code = CODE_QUEUE_FULL;
        ret->text = str_printf(tx->arena, "queue \"" STR_FMT "\" is full", STR_ARG(req->queue));
    }
    return ret->code == CODE_OK;
}

static int requeue_named(struct tx *tx, const struct queue_requeue *req, int64_t room,
                         struct queue_requeued *reply)
{
    struct sets payloads = {0};
    struct locked *list = NULL;
    struct change c;
    size_t n = 0;
    int r = lock_named(tx, req, &list, &n);

    if (r)
        return fault(r);
    change_init(&c, tx);
    reply->results = ARENA_ARRAY(tx->arena, struct tx_problem, req->n);
    for (reply->n = 0; reply->n < req->n; reply->n++) {
        const struct queue_requeue_item *item = &req->list[reply->n];
        struct locked *l = n ? bsearch(&item->id, list, n, sizeof(*list), by_id) : NULL;

        if (!judge_named(tx, req, item->id, l, room - reply->requeued, &reply->results[reply->n]))
            continue;
        change_move(&c, &l->row, TASK_REQUEUE, STR(""));
        l->taken = true;
        reply->requeued++;
        if (item->edited)
            SETS_ADD(&payloads, tx->arena, INT(item->id), TEXT(item->payload));
    }
    r = sets_run(&payloads, tx, STMT_task_payload, 2, NULL);
    if (!r)
        r = change_write(&c);
    return r ? fault(r) : 0;
}

/* Lock some tasks and move all of them the same way. */
static int move_some(struct tx *tx, enum statement_id lock, const struct str *queue, int64_t n,
                     enum task_event event, int64_t *ret_moved)
{
    struct rows rows;
    struct change c;
    int r = STORE_DO(tx->store, lock, tx->arena, &rows, TEXT(*queue), INT(n));

    if (r)
        return fault(r);
    change_init(&c, tx);
    for (size_t i = 0; i < rows.n; i++) {
        struct task_row row;

        r = row_task(tx, &rows, i, &row);
        if (r)
            return fault(r);
        if (!change_move(&c, &row, event, STR("")))
            (*ret_moved)++;
    }
    r = change_write(&c);
    return r ? fault(r) : 0;
}

int queue_requeue(struct tx *tx, const struct queue_requeue *req, struct queue_requeued *reply)
{
    int64_t max = req->max ? req->max : QUEUE_REQUEUE_MAX, room = 0;
    int r = check_requeue(tx, req);

    *reply = (struct queue_requeued){0};
    if (!r)
        r = room_of(tx, &req->queue, &room);
    if (r)
        return r;
    if (req->n)
        return requeue_named(tx, req, room, reply);
    if (room == 0)
        return tx_refuse(tx, CODE_QUEUE_FULL, "queue \"" STR_FMT "\" is full", STR_ARG(req->queue));
    r = move_some(tx, STMT_queue_dead_lock, &req->queue, max < room ? max : room, TASK_REQUEUE,
                  &reply->requeued);
    return r ? fault(r) : 0;
}

/* Dead letters go, with their counts; their attempts stay for the queue's retention. */
static int forget(struct tx *tx, const struct str *queue, int64_t n, int64_t *ret_gone)
{
    struct sets sets = {0};
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_queue_dead_lock, tx->arena, &rows, TEXT(*queue), INT(n));

    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++)
        SETS_ADD(&sets, tx->arena, INT(row_int(&rows, i, 0)));
    if (rows.n)
        tx_count(tx, 0, *queue, TASK_FAILED, -(int64_t)rows.n);
    *ret_gone += (int64_t)rows.n;
    r = sets_run(&sets, tx, STMT_task_drop, 1, NULL);
    return r ? fault(r) : 0;
}

int queue_purge(struct tx *tx, const struct queue_purge *req, struct queue_purged *reply)
{
    const uint32_t known = 1u << TASK_READY | 1u << TASK_DELAYED | 1u << TASK_FAILED;
    struct queue_status queue;
    int r = queue_settings(tx, &req->queue, &queue);

    *reply = (struct queue_purged){0};
    if (r)
        return r;
    if (req->states == 0 || req->states & ~known)
        return tx_refuse(tx, CODE_INVALID, "a purge is of READY, DELAYED and FAILED tasks");
    if (req->states >> TASK_READY & 1)
        r = block_cancel(tx, req->queue, QUEUE_PURGE_MAX, &reply->purged, &reply->more);
    if (!r && req->states >> TASK_READY & 1)
        r = move_some(tx, STMT_queue_ready_lock, &req->queue, QUEUE_PURGE_MAX - reply->purged,
                      TASK_CANCEL, &reply->purged);
    if (!r && req->states >> TASK_DELAYED & 1 && reply->purged < QUEUE_PURGE_MAX)
        r = move_some(tx, STMT_queue_delayed_lock, &req->queue, QUEUE_PURGE_MAX - reply->purged,
                      TASK_CANCEL, &reply->purged);
    if (!r && req->states >> TASK_FAILED & 1 && reply->purged < QUEUE_PURGE_MAX)
        r = forget(tx, &req->queue, QUEUE_PURGE_MAX - reply->purged, &reply->purged);
    reply->more |= reply->purged == QUEUE_PURGE_MAX;
    return r ? fault(r) : 0;
}
