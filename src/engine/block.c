/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/block.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/fault.h"
#include "engine/sets.h"

struct task block_task(const struct tx *tx, enum task_state state)
{
    struct task t = {.state = TASK_BLOCKED};

    task_move(&t, TASK_MET, tx->now, NULL, tx->prng, NULL);
    assert(t.state == TASK_READY);
    if (state == TASK_READY)
        return t;
    task_move(&t, TASK_CLAIM, tx->now, NULL, tx->prng, NULL);
    task_move(&t, TASK_START, tx->now, NULL, tx->prng, NULL);
    assert(t.state == state);
    return t;
}

struct str block_pack(struct arena *a, const struct str *list, size_t n)
{
    size_t bytes = 0;
    struct str ret;
    struct buf b;

    for (size_t i = 0; i < n; i++)
        bytes += list[i].n + 12;
    buf_init(&b, bytes);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&b, "%zu:", list[i].n);
        buf_add(&b, list[i]);
    }
    ret = str_copy(a, buf_str(&b));
    buf_deinit(&b);
    return ret;
}

int block_unpack(struct tx *tx, int64_t id, struct str packed, size_t n, struct str *ret)
{
    for (size_t i = 0, at; i < n; i++) {
        int64_t bytes;

        if (!str_find(str_sub(packed, 0, 12), ':', &at) ||
            !str_int64(str_sub(packed, 0, at), &bytes) || bytes < 0 ||
            (uint64_t)bytes > packed.n - at - 1)
            return tx_damaged(tx, "the block of task %" PRId64 " has no payload %zu", id, i);
        ret[i] = str_sub(packed, at + 1, (size_t)bytes);
        packed = str_sub(packed, at + 1 + (size_t)bytes, packed.n);
    }
    return 0;
}

bool block_takes(const struct queue_rule *rule, const struct task_new *t)
{
    return !rule->fair && !rule->task_timeout_us && !t->timeout_us && !t->key.n &&
           !t->unique_key.n && !t->delay_us && !t->not_before &&
           t->payload.n <= BLOCK_BYTES_MAX / BLOCK_TASKS_MIN;
}

/* A task as the statement that adds tasks takes it. */
static void add_row(struct sets *sets, struct arena *a, int64_t id, struct str queue,
                    const struct task *t, int64_t priority, struct str retry, int64_t created_at,
                    struct str payload)
{
    SETS_ADD(sets, a, INT(id), INT(0), TEXT(queue), TEXT(STR("")), TEXT(task_state_text(t->state)),
             TEXT(task_reason_text(t->reason)), INT(priority), TEXT(retry), INT(0), INT(0), INT(0),
             INT(created_at), INT(created_at), INT(0), INT(0), TEXT(STR("")), TEXT(STR("")),
             TEXT(payload));
}

/* What has grown becomes a block, or tasks where it is too small. */
static void block_close(struct block_new *b)
{
    struct arena *a = b->tx->arena;
    const struct block *k = &b->block;
    const struct task t = block_task(b->tx, TASK_READY);

    if (k->n >= BLOCK_TASKS_MIN)
        SETS_ADD(&b->blocks, a, INT(k->id), TEXT(k->queue), INT(k->priority), TEXT(k->retry),
                 INT(k->n), INT(b->tx->now), TEXT(block_pack(a, b->payloads, (size_t)k->n)));
    else
        for (int64_t i = 0; i < k->n; i++)
            add_row(&b->tasks, a, k->id + i, k->queue, &t, k->priority, k->retry, b->tx->now,
                    b->payloads[i]);
    if (k->n)
        tx_count(b->tx, 0, k->queue, TASK_READY, k->n);
    b->block.n = 0;
}

void block_add(struct block_new *b, int64_t id, struct str queue, struct str retry,
               const struct task_new *t)
{
    struct block *k = &b->block;

    if (k->n == BLOCK_TASKS_MAX || id != k->id + k->n || t->priority != k->priority ||
        k->packed.n + t->payload.n > BLOCK_BYTES_MAX || !str_eq(queue, k->queue) ||
        !str_eq(retry, k->retry))
        block_close(b);
    if (k->n == 0)
        *k = (struct block){.id = id, .priority = t->priority, .queue = queue, .retry = retry};
    k->packed.n += t->payload.n;
    b->payloads[k->n++] = t->payload;
}

int block_add_write(struct block_new *b)
{
    int r;

    block_close(b);
    r = sets_run(&b->blocks, b->tx, STMT_block_add, 7, NULL);
    if (!r)
        r = sets_run(&b->tasks, b->tx, STMT_task_add, 18, NULL);
    return r ? fault(r) : 0;
}

void block_want(struct tx *tx, struct sets *queues, struct str queue, int64_t wanted)
{
    SETS_ADD(queues, tx->arena, TEXT(queue), INT(TASK_PRIORITY_MAX + 1), INT(0),
             INT(BLOCKS_WANTED(wanted)));
}

struct store_ask block_ask_ready(struct sets *queues, struct rows *answer)
{
    return sets_ask(queues, STMT_block_ready, 4, answer);
}

/* Blocks that are looked at together where it is not known how many tasks they have. */
#define SOME 16

int block_more(struct tx *tx, const struct block *list, size_t n, int64_t wanted, struct rows *ret,
               bool *ret_more)
{
    const struct block *after = &list[n - 1];
    int64_t max = n < SOME ? SOME : (int64_t)n;
    int r;

    max = wanted < max ? wanted : max;
    r = STORE_DO(tx->store, STMT_block_ready, tx->arena, ret, TEXT(after->queue),
                 INT(after->priority), INT(after->id), INT(max));
    *ret_more = !r && ret->n == (size_t)max;
    return r ? fault(r) : 0;
}

int block_read(struct tx *tx, const struct rows *rows, size_t i, struct block *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;

    *ret = (struct block){
        .id = c[0].i,
        .queue = c[1].s,
        .priority = c[2].i,
        .retry = c[3].s,
        .n = c[4].i,
        .taken = c[5].i,
        .was_taken = c[5].i,
        .created_at = c[6].i,
        .packed = c[7].s,
    };
    if (ret->n < 1 || ret->n > BLOCK_TASKS_MAX || ret->taken < 0 || ret->taken >= ret->n)
        return tx_damaged(tx,
                          "%" PRId64 " of the %" PRId64 " tasks in the block of task %" PRId64
                          " are taken, which cannot be",
                          ret->taken, ret->n, ret->id);
    ret->payloads = ARENA_ARRAY(tx->arena, struct str, ret->n);
    return block_unpack(tx, ret->id, ret->packed, (size_t)ret->n, ret->payloads);
}

int block_read_piece(struct tx *tx, const struct rows *rows, size_t i, struct piece *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;

    *ret = (struct piece){
        .task = c[0].i,
        .n = c[1].i,
        .token = c[2].i,
        .worker = c[3].i,
        .queue = c[4].s,
        .priority = c[5].i,
        .retry = c[6].s,
        .created_at = c[7].i,
        .leased_at = c[8].i,
        .expires_at = c[9].i,
        .packed = c[10].s,
    };
    if (ret->n < 1 || ret->n > BLOCK_TASKS_MAX || ret->token < 1)
        return tx_damaged(tx,
                          "worker %" PRId64 " holds %" PRId64 " tasks from task %" PRId64
                          " on under token %" PRId64 ", which cannot be",
                          ret->worker, ret->n, ret->task, ret->token);
    return 0;
}

static void close_piece(struct block_claim *c)
{
    const struct piece *p = &c->piece;

    if (p->n == 0)
        return;
    SETS_ADD(&c->pieces, c->tx->arena, INT(p->task), INT(p->n), INT(p->token), INT(p->worker),
             TEXT(p->queue), INT(p->priority), TEXT(p->retry), INT(p->created_at),
             INT(p->leased_at), INT(p->expires_at), TEXT(p->packed));
    tx_count(c->tx, 0, p->queue, TASK_READY, -p->n);
    tx_count(c->tx, 0, p->queue, TASK_RUNNING, p->n);
    c->piece.n = 0;
}

void block_take(struct block_claim *c, struct block *b, int64_t token, int64_t worker,
                int64_t expires_at)
{
    const struct str *payload = &b->payloads[b->taken];
    const char *from = b->taken ? payload[-1].p + payload[-1].n : b->packed.p;
    struct piece *p = &c->piece;

    if (c->block != b || p->worker != worker || p->expires_at != expires_at ||
        p->token + p->n != token || p->task + p->n != b->id + b->taken)
        close_piece(c);
    if (p->n == 0)
        *p = (struct piece){
            .task = b->id + b->taken,
            .token = token,
            .worker = worker,
            .priority = b->priority,
            .created_at = b->created_at,
            .leased_at = c->tx->now,
            .expires_at = expires_at,
            .queue = b->queue,
            .retry = b->retry,
            .packed = {from, 0},
        };
    c->block = b;
    p->packed.n = (size_t)(payload->p + payload->n - p->packed.p);
    p->n++;
    b->taken++;
}

int block_take_write(struct block_claim *c, const struct block *blocks, size_t n)
{
    struct sets takes = {0}, drops = {0};
    int r;

    for (size_t i = 0; i < n; i++) {
        const struct block *b = &blocks[i];

        if (b->taken == b->was_taken)
            continue;
        if (b->taken == b->n)
            SETS_ADD(&drops, c->tx->arena, INT(b->id));
        else
            SETS_ADD(&takes, c->tx->arena, INT(b->id), INT(b->taken));
    }
    close_piece(c);
    r = sets_run(&c->pieces, c->tx, STMT_piece_add, 11, NULL);
    if (!r)
        r = sets_run(&takes, c->tx, STMT_block_take, 2, NULL);
    if (!r)
        r = sets_run(&drops, c->tx, STMT_block_drop, 1, NULL);
    return r ? fault(r) : 0;
}

/* Rows for tasks that stood in blocks and pieces. */
struct opening {
    struct tx *tx;
    struct sets tasks, holds, blocks, pieces;
};

static void open_block(struct opening *o, const struct block *b)
{
    const struct task t = block_task(o->tx, TASK_READY);

    assert(b->payloads);
    for (int64_t i = b->taken; i < b->n; i++)
        add_row(&o->tasks, o->tx->arena, b->id + i, b->queue, &t, b->priority, b->retry,
                b->created_at, b->payloads[i]);
    SETS_ADD(&o->blocks, o->tx->arena, INT(b->id));
}

static int open_piece(struct opening *o, const struct piece *p)
{
    const struct task t = block_task(o->tx, TASK_RUNNING);
    struct arena *a = o->tx->arena;
    struct str payloads[BLOCK_TASKS_MAX];
    int r = block_unpack(o->tx, p->task, p->packed, (size_t)p->n, payloads);

    if (r)
        return fault(r);
    for (int64_t i = 0; i < p->n; i++) {
        add_row(&o->tasks, a, p->task + i, p->queue, &t, p->priority, p->retry, p->created_at,
                payloads[i]);
        SETS_ADD(&o->holds, a, INT(p->task + i), TEXT(task_state_text(t.state)),
                 TEXT(task_reason_text(t.reason)), INT(t.attempts), INT(p->token + i),
                 INT(p->worker), INT(p->leased_at), INT(p->leased_at), INT(0), INT(p->expires_at));
    }
    SETS_ADD(&o->pieces, a, INT(p->task));
    return 0;
}

static int write_open(struct opening *o)
{
    int r = sets_run(&o->tasks, o->tx, STMT_task_add, 18, NULL);

    if (!r)
        r = sets_run(&o->holds, o->tx, STMT_task_hold, 10, NULL);
    if (!r)
        r = sets_run(&o->blocks, o->tx, STMT_block_drop, 1, NULL);
    if (!r)
        r = sets_run(&o->pieces, o->tx, STMT_piece_drop, 1, NULL);
    return r ? fault(r) : 0;
}

/* Answers may have one of them twice; they come by their first task. */
static int open_blocks(struct opening *o, const struct rows *rows)
{
    struct block b = {0};
    int r = 0;

    for (size_t i = 0; !r && i < rows->n; i++) {
        if (i && row_int(rows, i, 0) == b.id)
            continue;
        r = block_read(o->tx, rows, i, &b);
        if (r)
            return fault(r);
        open_block(o, &b);
    }
    return r ? fault(r) : 0;
}

static int open_pieces(struct opening *o, const struct rows *rows)
{
    struct piece p = {0};
    int r = 0;

    for (size_t i = 0; !r && i < rows->n; i++) {
        if (i && row_int(rows, i, 0) == p.task)
            continue;
        r = block_read_piece(o->tx, rows, i, &p);
        if (!r)
            r = open_piece(o, &p);
    }
    return r ? fault(r) : 0;
}

int block_open_pieces(struct tx *tx, const struct piece *list, size_t n)
{
    struct opening o = {.tx = tx};
    int r = 0;

    for (size_t i = 0; !r && i < n; i++)
        r = open_piece(&o, &list[i]);
    if (!r)
        r = write_open(&o);
    return r ? fault(r) : 0;
}

/* Ids as ranges without gaps. */
static void ranges(struct tx *tx, const int64_t *ids, size_t n, struct sets *ret)
{
    int64_t *list = ARENA_ARRAY(tx->arena, int64_t, n);

    memcpy(list, ids, n * sizeof(*list));
    qsort(list, n, sizeof(*list), sets_by_number);
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && (uint64_t)list[j] - (uint64_t)list[j - 1] <= 1; j++)
            continue;
        SETS_ADD(ret, tx->arena, INT(list[i]), INT(list[j - 1]));
    }
}

int block_open(struct tx *tx, const int64_t *ids, size_t n)
{
    struct opening o = {.tx = tx};
    struct rows blocks = {0}, pieces = {0};
    struct store_ask asks[2];
    struct sets sets = {0};
    int r;

    if (n == 0)
        return 0;
    ranges(tx, ids, n, &sets);
    asks[0] = sets_ask(&sets, STMT_block_find, 2, &blocks);
    asks[1] = asks[0];
    asks[1].id = STMT_piece_find;
    asks[1].ret = &pieces;
    r = store_ask(tx->store, tx->arena, asks, 2);
    if (!r)
        r = open_blocks(&o, &blocks);
    if (!r)
        r = open_pieces(&o, &pieces);
    if (!r)
        r = write_open(&o);
    return r ? fault(r) : 0;
}

static int open_found(struct tx *tx, const struct rows *rows)
{
    struct opening o = {.tx = tx};
    int r = open_pieces(&o, rows);

    if (!r)
        r = write_open(&o);
    return r ? fault(r) : 0;
}

int block_open_held(struct tx *tx, int64_t incarnation)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_piece_held, tx->arena, &rows, INT(incarnation));

    if (!r)
        r = open_found(tx, &rows);
    return r ? fault(r) : 0;
}

int block_open_held_many(struct tx *tx, const int64_t *incarnations, size_t n, size_t tasks_max,
                         int64_t *ret_whole)
{
    struct sets sets = {0};
    size_t opened = 0, at;
    struct rows rows;
    int64_t *ids;
    int r;

    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, tx->arena, INT(incarnations[i]));
    r = sets_run(&sets, tx, STMT_piece_of, 1, &rows);
    if (r)
        return fault(r);
    ids = ARENA_ARRAY(tx->arena, int64_t, rows.n);
    for (at = 0; at < rows.n && opened < tasks_max; at++) {
        ids[at] = row_int(&rows, at, 0);
        opened += (size_t)row_int(&rows, at, 1);
    }
    *ret_whole = at < rows.n ? row_int(&rows, at, 2) : INT64_MAX;
    return block_open(tx, ids, at);
}

int block_open_expired(struct tx *tx, int64_t now, int64_t n, bool *ret_more)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_piece_expired, tx->arena, &rows, INT(now), INT(n));

    if (!r)
        r = open_found(tx, &rows);
    if (r)
        return fault(r);
    *ret_more |= rows.n == (size_t)n;
    return 0;
}

int block_cancel(struct tx *tx, struct str queue, int64_t max, int64_t *ret_tasks, bool *ret_more)
{
    const int64_t blocks = max / BLOCK_TASKS_MAX;
    struct task t = block_task(tx, TASK_READY);
    struct rows rows;
    int64_t n = 0;
    int r = STORE_DO(tx->store, STMT_block_purge, tx->arena, &rows, TEXT(queue), INT(blocks));

    if (r)
        return fault(r);
    task_move(&t, TASK_CANCEL, tx->now, NULL, tx->prng, NULL);
    assert(t.state == TASK_CANCELLED);
    for (size_t i = 0; i < rows.n; i++)
        n += row_int(&rows, i, 0);
    if (n) {
        tx_count(tx, 0, queue, TASK_READY, -n);
        tx_count(tx, 0, queue, TASK_CANCELLED, n);
    }
    *ret_tasks += n;
    *ret_more |= rows.n == (size_t)blocks;
    return 0;
}
