/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces of blocks that end. What was told of each task stands in one text:
 *
 *     START_WAIT RUN CPU RSS EXIT_CODE SIGNAL MESSAGE_BYTES STDERR_BYTES OUTPUT_BYTES:texts
 *
 * and what an attempt's row has beside it follows from that and the piece.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "engine/block.h"
#include "engine/change.h"
#include "engine/sets.h"

#include "base/buf.h"

#define NUMBERS 9
/* Of one task, without its texts. */
#define NUMBERS_BYTES (NUMBERS * 21u)
/* Of all texts of a piece, which are read together, also for one of its tasks. */
#define TEXTS_BYTES_MAX (256u << 10)

static void add_details(struct buf *b, const struct task_result *t)
{
    buf_printf(b, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %d %d %zu %zu %zu:",
               t->start_wait_us, t->run_us, t->cpu_us, t->max_rss_bytes, t->exit_code, t->signal,
               t->message.n, t->stderr_tail.n, t->output.n);
    buf_add(b, t->message);
    buf_add(b, t->stderr_tail);
    buf_add(b, t->output);
}

/* One task's; *s is what follows. */
static bool take_details(struct str *s, struct task_result *ret)
{
    int64_t n[NUMBERS];
    struct str *texts[] = {&ret->message, &ret->stderr_tail, &ret->output};
    size_t at;

    for (size_t i = 0; i < NUMBERS; i++) {
        if (!str_find(str_sub(*s, 0, 21), i + 1 < NUMBERS ? ' ' : ':', &at) ||
            !str_int64(str_sub(*s, 0, at), &n[i]))
            return false;
        *s = str_sub(*s, at + 1, s->n);
    }
    *ret = (struct task_result){
        .outcome = OUTCOME_SUCCEEDED,
        .start_wait_us = n[0],
        .run_us = n[1],
        .cpu_us = n[2],
        .max_rss_bytes = n[3],
        .exit_code = (int)n[4],
        .signal = (int)n[5],
    };
    for (size_t i = 0; i < 3; i++) {
        int64_t bytes = n[6 + i];

        if (bytes < 0 || (uint64_t)bytes > s->n)
            return false;
        *texts[i] = str_sub(*s, 0, (size_t)bytes);
        *s = str_sub(*s, (size_t)bytes, s->n);
    }
    return true;
}

int block_read_ended(struct tx *tx, const struct rows *rows, size_t i, struct block_ended *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;
    struct str rest = c[8].s;

    *ret = (struct block_ended){
        .token = c[0].i,
        .task = c[1].i,
        .n = c[2].i,
        .queue = c[3].s,
        .worker = c[4].i,
        .created_at = c[5].i,
        .leased_at = c[6].i,
        .ended_at = c[7].i,
    };
    if (ret->n < 1 || ret->n > BLOCK_TASKS_MAX)
        return tx_damaged(tx, "%" PRId64 " tasks ended with task %" PRId64 ", which cannot be",
                          ret->n, ret->task);
    ret->told = ARENA_ARRAY(tx->arena, struct task_result, ret->n);
    for (int64_t k = 0; k < ret->n; k++) {
        if (!take_details(&rest, &ret->told[k]))
            return tx_damaged(tx, "what was told of task %" PRId64 " cannot be read",
                              ret->task + k);
        ret->told[k].lease = (struct lease_ref){ret->task + k, ret->token + k};
    }
    return 0;
}

/* A result of the request, by task and token. */
struct told {
    const struct task_result *result;
    bool *done;
};

static int by_lease(const void *a, const void *b)
{
    const struct lease_ref *x = &((const struct told *)a)->result->lease,
                           *y = &((const struct told *)b)->result->lease;

    if (x->task != y->task)
        return x->task < y->task ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

struct ending {
    struct tx *tx;
    struct told *list;
    size_t n;
    struct sets ended, drops;
    struct piece *opens;
    size_t opens_n;
};

/* The first result of a task with this number, or a larger one. */
static size_t first_of(const struct ending *e, int64_t task)
{
    size_t from = 0, to = e->n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;

        if (e->list[mid].result->lease.task < task)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static size_t texts_bytes(const struct task_result *t)
{
    return t->message.n + t->stderr_tail.n + t->output.n;
}

static struct str details_of(struct tx *tx, struct told *const *told, size_t n)
{
    size_t bytes = 0;
    struct str ret;
    struct buf b;

    for (size_t i = 0; i < n; i++)
        bytes += NUMBERS_BYTES + texts_bytes(told[i]->result);
    buf_init(&b, bytes);
    for (size_t i = 0; i < n; i++)
        add_details(&b, told[i]->result);
    ret = str_copy(tx->arena, buf_str(&b));
    buf_deinit(&b);
    return ret;
}

/* All of its tasks have succeeded. */
static void end_piece(struct ending *e, const struct piece *p, struct told *const *told)
{
    struct tx *tx = e->tx;
    struct task t = block_task(tx, TASK_RUNNING);
    const struct task_end end = {.outcome = OUTCOME_SUCCEEDED, .exit_code = -1};
    int64_t now = tx->now > p->leased_at ? tx->now : p->leased_at;
    int r = task_move(&t, TASK_SUCCEED, tx->now, &end, tx->prng, NULL);

    assert(!r && t.state == TASK_SUCCEEDED);
    (void)r;
    SETS_ADD(&e->ended, tx->arena, INT(p->token), INT(p->task), INT(p->n), TEXT(p->queue),
             INT(p->worker), INT(p->created_at), INT(p->leased_at), INT(now),
             TEXT(details_of(tx, told, (size_t)p->n)));
    SETS_ADD(&e->drops, tx->arena, INT(p->task));
    tx_count(tx, 0, p->queue, TASK_RUNNING, -p->n);
    tx_count(tx, 0, p->queue, TASK_SUCCEEDED, p->n);
    for (int64_t i = 0; i < p->n; i++)
        *told[i]->done = true;
}

static void judge_piece(struct ending *e, const struct piece *p)
{
    struct told *told[BLOCK_TASKS_MAX];
    int64_t named = 0;
    size_t bytes = 0;
    bool whole = true;

    for (size_t i = first_of(e, p->task); i < e->n; i++) {
        const struct task_result *res = e->list[i].result;
        int64_t at = res->lease.task - p->task;

        if (at >= p->n)
            break;
        if (res->lease.token != p->token + at)
            continue;
        whole &= res->outcome == OUTCOME_SUCCEEDED && res->reason == TASK_REASON_NONE;
        bytes += texts_bytes(res);
        told[named++] = &e->list[i];
    }
    if (named == p->n && whole && bytes <= TEXTS_BYTES_MAX)
        end_piece(e, p, told);
    else if (named)
        e->opens[e->opens_n++] = *p;
}

/* Numbers come from requests, so that their difference may be anything. */
static bool follows(int64_t number, int64_t first, size_t by)
{
    return (uint64_t)number - (uint64_t)first == by;
}

/* Neighbours with neighbouring tokens are likely to be of one piece. */
static void ask_pieces(const struct ending *e, struct sets *ret)
{
    for (size_t i = 0, j; i < e->n; i = j) {
        const struct lease_ref *first = &e->list[i].result->lease;

        for (j = i + 1; j < e->n; j++) {
            const struct lease_ref *l = &e->list[j].result->lease;

            if (!follows(l->task, first->task, j - i) || !follows(l->token, first->token, j - i))
                break;
        }
        SETS_ADD(ret, e->tx->arena, INT(first->task), INT(first->task + (int64_t)(j - i) - 1));
    }
}

int block_end(struct tx *tx, const struct task_result *const *results, size_t n, bool *done)
{
    struct ending e = {.tx = tx, .list = ARENA_ARRAY(tx->arena, struct told, n), .n = n};
    struct piece p = {0};
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < n; i++) {
        done[i] = false;
        e.list[i] = (struct told){results[i], &done[i]};
    }
    qsort(e.list, n, sizeof(*e.list), by_lease);
    ask_pieces(&e, &sets);
    r = sets_run(&sets, tx, STMT_piece_find, 2, &rows);
    if (r)
        return fault(r);
    e.opens = ARENA_ARRAY(tx->arena, struct piece, rows.n);
    for (size_t i = 0; !r && i < rows.n; i++) {
        if (i && row_int(&rows, i, 0) == p.task)
            continue;
        r = block_read_piece(tx, &rows, i, &p);
        if (!r)
            judge_piece(&e, &p);
    }
    if (!r)
        r = sets_run(&e.ended, tx, STMT_ended_add, 9, NULL);
    if (!r)
        r = sets_run(&e.drops, tx, STMT_piece_drop, 1, NULL);
    if (!r)
        r = block_open_pieces(tx, e.opens, e.opens_n);
    return r ? fault(r) : 0;
}

static int by_token(const void *a, const void *b)
{
    const struct block_ended *x = a, *y = b;

    return (x->token > y->token) - (x->token < y->token);
}

/* The ended pieces in which these tokens may have been used, by token. A piece is read once,
 * however many of its tokens are asked for. */
static int read_told(struct tx *tx, const struct lease_ref *list, size_t n,
                     struct block_ended **ret, size_t *ret_n)
{
    struct sets tokens = {0}, firsts = {0};
    struct rows rows;
    int64_t *starts;
    int r;

    for (size_t i = 0; i < n; i++)
        SETS_ADD(&tokens, tx->arena, INT(list[i].token));
    r = sets_run(&tokens, tx, STMT_ended_before, 1, &rows);
    if (r)
        return fault(r);
    starts = ARENA_ARRAY(tx->arena, int64_t, rows.n);
    for (size_t i = 0; i < rows.n; i++)
        starts[i] = row_int(&rows, i, 0);
    if (rows.n)
        qsort(starts, rows.n, sizeof(*starts), sets_by_number);
    for (size_t i = 0; i < rows.n; i++)
        if (i == 0 || starts[i] != starts[i - 1])
            SETS_ADD(&firsts, tx->arena, INT(starts[i]));
    r = sets_run(&firsts, tx, STMT_ended_by_token, 1, &rows);
    if (r)
        return fault(r);
    *ret = ARENA_ARRAY(tx->arena, struct block_ended, rows.n);
    for (size_t i = 0; !r && i < rows.n; i++)
        r = block_read_ended(tx, &rows, i, &(*ret)[i]);
    if (!r && rows.n)
        qsort(*ret, rows.n, sizeof(**ret), by_token);
    *ret_n = rows.n;
    return r ? fault(r) : 0;
}

/* What one of the pieces, in order, says of the lease; NULL: nothing. */
static const struct task_result *told_of(const struct block_ended *list, size_t n,
                                         struct lease_ref lease)
{
    size_t from = 0, to = n;
    const struct block_ended *e;
    int64_t at;

    while (from < to) {
        size_t mid = from + (to - from) / 2;

        if (list[mid].token <= lease.token)
            from = mid + 1;
        else
            to = mid;
    }
    if (from == 0)
        return NULL;
    e = &list[from - 1];
    at = lease.token - e->token;
    return at < e->n && lease.task == e->task + at ? &e->told[at] : NULL;
}

int block_told(struct tx *tx, const struct lease_ref *list, size_t n, struct task_result *ret)
{
    struct block_ended *ended = NULL;
    size_t ended_n = 0;
    int r = read_told(tx, list, n, &ended, &ended_n);

    if (r)
        return fault(r);
    for (size_t i = 0; i < n; i++) {
        const struct task_result *told = told_of(ended, ended_n, list[i]);

        ret[i] = told ? *told : (struct task_result){0};
    }
    return 0;
}

int block_forget(struct tx *tx, int64_t n, int64_t *ret_tasks, bool *ret_more)
{
    struct sets sets = {0};
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_ended_old, tx->arena, &rows, INT(tx->now), INT(n));

    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++) {
        SETS_ADD(&sets, tx->arena, INT(row_int(&rows, i, 0)));
        *ret_tasks += row_int(&rows, i, 1);
    }
    *ret_more |= rows.n == (size_t)n;
    r = sets_run(&sets, tx, STMT_ended_drop, 1, NULL);
    return r ? fault(r) : 0;
}
