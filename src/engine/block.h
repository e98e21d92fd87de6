/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block: plain tasks of a queue, many in one row.
 *
 * Tasks that were added together and differ in their payloads only wait as one *block*. A claim
 * takes neighbours from its front, all or some, as a *piece* that one worker holds under
 * neighbouring tokens; a piece all of whose tasks succeed at once is written down as one row, too.
 *
 *     block --claim--> piece --all succeed--> ended
 *       |                |
 *       +-----open-------+--> a row of `task` for each
 *
 * Whoever wants to do anything else with one of the tasks opens it first: then it is a task like
 * any other. Nothing goes the other way, so that a task which is in no block is found in no later
 * statement of the transaction either. Invariants: a task stands in one place; numbers of
 * neighbours have no gaps; a task of a block has never been held, and one of a piece was held once.
 * Blocks and pieces are locked before tasks.
 */
#ifndef ENGINE_BLOCK_H
#define ENGINE_BLOCK_H

#include "engine/queue.h"
#include "engine/queue_rules.h"
#include "engine/row.h"
#include "engine/sets.h"
#include "engine/task.h"

/* What numbers are drawn in, at least as many at once (store_ids). The statements have it, too. */
#define BLOCK_TASKS_MAX 128
/* Fewer are not worth a block. */
#define BLOCK_TASKS_MIN 4
/* A block is read and written whole, also for one of its tasks. */
#define BLOCK_BYTES_MAX (32u << 10)

struct block {
    int64_t id, priority, n, taken, created_at;
    int64_t was_taken; /* when it was read */
    struct str queue, retry;
    struct str packed, *payloads; /* n */
};

struct piece {
    int64_t task, n, token, worker, priority, created_at, leased_at, expires_at;
    struct str queue, retry, packed;
};

/* A piece that has ended, and what was told of each of its tasks. */
struct block_ended {
    int64_t token, task, n, worker, created_at, leased_at, ended_at;
    struct str queue;
    struct task_result *told;
};

/* What the core says of a task that waits in a block, or is held in a piece. */
struct task block_task(const struct tx *tx, enum task_state state);

/* Fresh tasks on their way into blocks. */
struct block_new {
    struct tx *tx;
    struct block block; /* that grows */
    struct str payloads[BLOCK_TASKS_MAX];
    struct sets blocks, tasks;
};
/* Whether the task may wait in a block. */
bool block_takes(const struct queue_rule *rule, const struct task_new *t);
/* Add a task, READY at once, with the id that follows those before; then write all of them. */
void block_add(struct block_new *b, int64_t id, struct str queue, struct str retry,
               const struct task_new *t);
int block_add_write(struct block_new *b);

/* As many as have so many tasks, if they are large. */
#define BLOCKS_WANTED(tasks) (1 + (size_t)(tasks) / BLOCK_TASKS_MAX)
/* The first blocks of a queue, locked, to have `wanted` tasks. */
struct store_ask block_ask_ready(struct sets *queues, struct rows *answer);
void block_want(struct tx *tx, struct sets *queues, struct str queue, int64_t wanted);
int block_read(struct tx *tx, const struct rows *rows, size_t i, struct block *ret);
/* More of them after the n of the list, which did not suffice: `wanted` tasks are missing.
 * *ret_more: there may be others still. */
int block_more(struct tx *tx, const struct block *list, size_t n, int64_t wanted, struct rows *ret,
               bool *ret_more);

/* Tasks taken from the front of blocks. */
struct block_claim {
    struct tx *tx;
    struct sets pieces;
    struct piece piece; /* that grows */
    const struct block *block;
};
/* The next task of the block goes to the worker. */
void block_take(struct block_claim *c, struct block *b, int64_t token, int64_t worker,
                int64_t expires_at);
/* Write the pieces, and what is left of these blocks. */
int block_take_write(struct block_claim *c, const struct block *blocks, size_t n);

/* A row of the statements that say "a piece row". */
int block_read_piece(struct tx *tx, const struct rows *rows, size_t i, struct piece *ret);

/* Give tasks rows of their own: those of these ids with all others of their blocks or pieces, … */
int block_open(struct tx *tx, const int64_t *ids, size_t n);
/* … what a worker holds, … */
int block_open_held(struct tx *tx, int64_t incarnation);
/* … of what these workers (in order) hold, as much as one step takes: from *ret_whole on they may
 * hold pieces still, … */
int block_open_held_many(struct tx *tx, const int64_t *incarnations, size_t n, size_t tasks_max,
                         int64_t *ret_whole);
/* … what was not renewed in time, of at most n pieces (sets *ret_more where there may be others), …
 */
int block_open_expired(struct tx *tx, int64_t now, int64_t n, bool *ret_more);
/* … and pieces that are locked. */
int block_open_pieces(struct tx *tx, const struct piece *list, size_t n);

/* Cancel the tasks of the first blocks of a queue, at most `max` (sets *ret_more where there may be
 * others). */
int block_cancel(struct tx *tx, struct str queue, int64_t max, int64_t *ret_tasks, bool *ret_more);

/*
 * End the pieces all of whose tasks succeed by `results`, which name each lease once, and open
 * those of which less is told, or too much for one row. done[i] is set where the result has been
 * written.
 */
int block_end(struct tx *tx, const struct task_result *const *results, size_t n, bool *done);

/* What was told of the lease, which has succeeded in a piece; a task of 0: none was. */
int block_told(struct tx *tx, const struct lease_ref *list, size_t n, struct task_result *ret);

/* A row of the statements that say "an ended row", and one of its attempts. */
int block_read_ended(struct tx *tx, const struct rows *rows, size_t i, struct block_ended *ret);
void block_attempt(const struct block_ended *e, int64_t i, struct task_attempt *ret);

/* Look at a task that has no row: *ret_found says whether it waits in a block, or is or was in a
 * piece. */
int block_view(struct tx *tx, int64_t id, struct task_view *ret, struct task_attempt *ret_attempt,
               bool *ret_found);

/* Tasks of a queue after a place, as queue_tasks() has them: READY after (priority, id), or RUNNING
 * after id. */
int block_page_ready(struct tx *tx, struct str queue, int64_t priority, int64_t id, size_t max,
                     struct queue_task_list *ret);
int block_page_held(struct tx *tx, struct str queue, int64_t id, size_t max,
                    struct queue_task_list *ret);

/* Forget ended pieces that were kept for as long as their queues ask, n of them at most. */
int block_forget(struct tx *tx, int64_t n, int64_t *ret_tasks, bool *ret_more);

/* Payloads as they are stored. -EUCLEAN with the problem where they are not `n`. */
struct str block_pack(struct arena *a, const struct str *list, size_t n);
int block_unpack(struct tx *tx, int64_t id, struct str packed, size_t n, struct str *ret);

#endif
