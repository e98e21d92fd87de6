/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at tasks of blocks as they are. */
#include <stdlib.h>

#include "base/fault.h"
#include "engine/block.h"
#include "engine/change.h"
#include "engine/queue.h"

static struct task_view view_of(const struct tx *tx, int64_t id, struct str queue,
                                enum task_state state, int64_t priority, int64_t created_at,
                                struct str payload)
{
    const struct task t = block_task(tx, state);

    return (struct task_view){
        .id = id,
        .queue = queue,
        .reason = task_reason_text(t.reason),
        .state = state,
        .priority = priority,
        .created_at = created_at,
        .payload = payload,
    };
}

static int view_block(struct tx *tx, int64_t id, struct task_view *ret, bool *ret_found)
{
    struct rows rows;
    struct block b;
    int r = STORE_DO(tx->store, STMT_block_view, tx->arena, &rows, INT(id));

    if (!r && rows.n)
        r = block_read(tx, &rows, 0, &b);
    if (r)
        return fault(r);
    if (rows.n == 0 || id < b.id + b.taken || id >= b.id + b.n)
        return 0;
    *ret = view_of(tx, id, b.queue, TASK_READY, b.priority, b.created_at, b.payloads[id - b.id]);
    *ret_found = true;
    return 0;
}

static int view_piece(struct tx *tx, int64_t id, struct task_view *ret,
                      struct task_attempt *ret_attempt, bool *ret_found)
{
    struct str payloads[BLOCK_TASKS_MAX];
    struct rows rows;
    struct piece p;
    int r = STORE_DO(tx->store, STMT_piece_view, tx->arena, &rows, INT(id));

    if (!r && rows.n)
        r = block_read_piece(tx, &rows, 0, &p);
    if (r)
        return fault(r);
    if (rows.n == 0 || id >= p.task + p.n)
        return 0;
    r = block_unpack(tx, p.task, p.packed, (size_t)p.n, payloads);
    if (r)
        return fault(r);
    *ret = view_of(tx, id, p.queue, TASK_RUNNING, p.priority, p.created_at, payloads[id - p.task]);
    ret->holder = row_text(&rows, 0, 11);
    ret->held_until = p.expires_at ? p.expires_at : row_int(&rows, 0, 12);
    *ret_attempt = (struct task_attempt){
        .number = 1,
        .token = p.token + (id - p.task),
        .worker = p.worker,
        .running = true,
        .percent = -1,
        .started_at = p.leased_at,
    };
    *ret_found = true;
    return 0;
}

void block_attempt(const struct block_ended *e, int64_t i, struct task_attempt *ret)
{
    const struct task_result *t = &e->told[i];
    int64_t waited = e->leased_at > e->created_at ? e->leased_at - e->created_at : 0;

    *ret = (struct task_attempt){
        .number = 1,
        .token = e->token + i,
        .worker = e->worker,
        .outcome = OUTCOME_SUCCEEDED,
        .percent = -1,
        .reason = task_reason_text(t->reason),
        .message = t->message,
        .stderr_tail = t->stderr_tail,
        .has_exit_code = t->exit_code >= 0,
        .exit_code = t->exit_code < 0 ? 0 : t->exit_code,
        .signal = t->signal,
        .started_at = e->leased_at + t->start_wait_us,
        .ended_at = change_end_at(e->leased_at + t->start_wait_us, t->run_us, e->ended_at),
        .queue_wait_us = waited + t->start_wait_us,
        .run_us = t->run_us,
        .cpu_us = t->cpu_us,
        .max_rss_bytes = t->max_rss_bytes,
    };
}

static int view_ended(struct tx *tx, int64_t id, struct task_view *ret,
                      struct task_attempt *ret_attempt, bool *ret_found)
{
    struct block_ended e;
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_ended_of_task, tx->arena, &rows, INT(id));

    if (!r && rows.n)
        r = block_read_ended(tx, &rows, 0, &e);
    if (r)
        return fault(r);
    if (rows.n == 0 || id >= e.task + e.n)
        return 0;
    block_attempt(&e, id - e.task, ret_attempt);
    *ret = (struct task_view){
        .id = id,
        .queue = e.queue,
        .state = TASK_SUCCEEDED,
        .ended_at = ret_attempt->ended_at,
        .output = e.told[id - e.task].output,
    };
    *ret_found = true;
    return 0;
}

int block_view(struct tx *tx, int64_t id, struct task_view *ret, struct task_attempt *ret_attempt,
               bool *ret_found)
{
    int r;

    *ret_found = false;
    *ret_attempt = (struct task_attempt){0};
    r = view_block(tx, id, ret, ret_found);
    if (!r && !*ret_found)
        r = view_piece(tx, id, ret, ret_attempt, ret_found);
    if (!r && !*ret_found)
        r = view_ended(tx, id, ret, ret_attempt, ret_found);
    return r ? fault(r) : 0;
}

/* Blocks that are looked at together. */
#define SOME 16

/* Places come from requests; the statements add to them. */
static int64_t place(int64_t id)
{
    return id < 0 ? 0 : id > INT64_MAX - BLOCK_TASKS_MAX ? INT64_MAX - BLOCK_TASKS_MAX : id;
}

static void add(struct tx *tx, struct queue_task_list *list, enum task_state state, int64_t id,
                int64_t priority, int64_t created_at, struct str payload)
{
    const struct task t = block_task(tx, state);

    list->list[list->n++] = (struct queue_task){
        .id = id,
        .state = state,
        .payload = payload.n > QUEUE_PAYLOAD_SHOWN_MAX ? STR("") : payload,
        .reason = task_reason_text(t.reason),
        .priority = priority,
        .attempts = t.attempts,
        .created_at = created_at,
    };
}

int block_page_ready(struct tx *tx, struct str queue, int64_t priority, int64_t id, size_t max,
                     struct queue_task_list *ret)
{
    struct rows rows = {.n = SOME};
    int r = 0;

    *ret = (struct queue_task_list){.list = ARENA_ARRAY(tx->arena, struct queue_task, max)};
    id = place(id);
    while (!r && ret->n < max && rows.n == SOME) {
        struct block b;

        r = STORE_DO(tx->store, STMT_block_page, tx->arena, &rows, TEXT(queue), INT(priority),
                     INT(id), INT(SOME));
        for (size_t i = 0; !r && i < rows.n; i++) {
            r = block_read(tx, &rows, i, &b);
            for (int64_t k = b.taken; !r && k < b.n && ret->n < max; k++)
                if (b.priority < priority || b.id + k > id)
                    add(tx, ret, TASK_READY, b.id + k, b.priority, b.created_at, b.payloads[k]);
            if (!r && i + 1 == rows.n) {
                priority = b.priority;
                id = b.id + b.n - 1;
            }
        }
    }
    return r ? fault(r) : 0;
}

int block_page_held(struct tx *tx, struct str queue, int64_t id, size_t max,
                    struct queue_task_list *ret)
{
    struct rows rows = {.n = SOME};
    int r = 0;

    *ret = (struct queue_task_list){.list = ARENA_ARRAY(tx->arena, struct queue_task, max)};
    id = place(id);
    while (!r && ret->n < max && rows.n == SOME) {
        struct str payloads[BLOCK_TASKS_MAX];
        struct piece p;

        r = STORE_DO(tx->store, STMT_piece_page, tx->arena, &rows, TEXT(queue), INT(id), INT(SOME));
        for (size_t i = 0; !r && i < rows.n; i++) {
            r = block_read_piece(tx, &rows, i, &p);
            if (!r)
                r = block_unpack(tx, p.task, p.packed, (size_t)p.n, payloads);
            for (int64_t k = 0; !r && k < p.n && ret->n < max; k++)
                if (p.task + k > id)
                    add(tx, ret, TASK_RUNNING, p.task + k, p.priority, p.created_at, payloads[k]);
            if (!r && i + 1 == rows.n)
                id = p.task + p.n - 1;
        }
    }
    return r ? fault(r) : 0;
}
