/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enqueueing, for many callers at once: look at the queues and at the unique keys that are taken,
 * decide in memory what is new, refused or there already, then write all of it.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "core/definition.h"
#include "engine/block.h"
#include "engine/lane.h"
#include "engine/queue.h"
#include "engine/queue_rules.h"
#include "engine/sets.h"
#include "engine/task.h"

static bool key_sound(struct str key)
{
    return key.n <= TASK_KEY_BYTES_MAX && str_utf8(key, NULL) && !str_find(key, '\0', NULL);
}

static int check(struct tx *tx, const struct task_enqueue *req)
{
    int r = queue_check_name(tx, req->queue);

    if (r)
        return r;
    if (req->n < 1 || req->n > TASK_BATCH_MAX)
        return tx_refuse(tx, CODE_INVALID, "a request enqueues 1 to %u tasks, not %zu",
                         TASK_BATCH_MAX, req->n);
    for (size_t i = 0; i < req->n; i++) {
        const struct task_new *t = &req->list[i];

        if (t->payload.n > TASK_PAYLOAD_BYTES_MAX)
            return tx_refuse(tx, CODE_TOO_LARGE,
                             "the payload of task %zu has %zu bytes; %u are allowed", i,
                             t->payload.n, TASK_PAYLOAD_BYTES_MAX);
        if (t->priority < -TASK_PRIORITY_MAX || t->priority > TASK_PRIORITY_MAX)
            return tx_refuse(tx, CODE_INVALID,
                             "the priority of task %zu is %" PRId64 "; it lies between -%d and %d",
                             i, t->priority, TASK_PRIORITY_MAX, TASK_PRIORITY_MAX);
        if (!key_sound(t->key) || !key_sound(t->unique_key))
            return tx_refuse(tx, CODE_INVALID,
                             "the keys of task %zu have at most %u bytes of UTF-8 without NUL", i,
                             TASK_KEY_BYTES_MAX);
        if (t->unique_us < 0 || t->unique_us > DEFINITION_TIMEOUT_US_MAX || t->not_before < 0 ||
            t->not_before > tx->now + DEFINITION_TIMEOUT_US_MAX)
            return tx_refuse(tx, CODE_INVALID,
                             "task %zu starts, and keeps its unique key, for at most 366 days from "
                             "now",
                             i);
        if (t->delay_us < 0 || t->delay_us > DEFINITION_TIMEOUT_US_MAX || t->timeout_us < 0 ||
            t->timeout_us > DEFINITION_TIMEOUT_US_MAX)
            return tx_refuse(tx, CODE_INVALID,
                             "the delay and the timeout of task %zu lie between 0 and 366 days", i);
    }
    return 0;
}

/* A unique key of a queue, and who has it. */
struct unique {
    struct str queue, key;
    int64_t task; /* in the store already, 0: none */
    const struct fresh *owner;
};

/* A task that is asked for. */
struct fresh {
    const struct task_new *new;
    struct queue_rule *rule;
    struct unique *unique; /* NULL: none is asked for */
    bool duplicate;
    int64_t id;
};

struct batch {
    struct tx *tx;
    struct queue_rules rules;
    struct unique *uniques; /* by queue and key, each once */
    size_t uniques_n;
    struct fresh *list; /* of all requests that were not refused, in their order */
    size_t n;
    int64_t *ids; /* one for each task that is asked for, so that some may be left over */
};

static int by_unique(const void *a, const void *b)
{
    const struct unique *x = a, *y = b;
    int c = str_cmp(x->queue, y->queue);

    return c ? c : str_cmp(x->key, y->key);
}

static struct unique *unique_of(const struct batch *b, struct str queue, struct str key)
{
    const struct unique k = {.queue = queue, .key = key};

    return b->uniques_n ? bsearch(&k, b->uniques, b->uniques_n, sizeof(k), by_unique) : NULL;
}

/* The unique keys of all requests, and the question which of them somebody has. */
static struct store_ask ask_uniques(struct batch *b, const struct task_enqueue *const *reqs,
                                    const struct tx_problem *problems, size_t n,
                                    struct rows *answer)
{
    struct sets sets = {0};
    size_t cap = 0, kept = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; problems[i].code == CODE_OK && j < reqs[i]->n; j++) {
            struct str key = reqs[i]->list[j].unique_key;

            if (key.n == 0)
                continue;
            ARENA_ROOM(b->tx->arena, b->uniques, b->uniques_n, cap, 64);
            b->uniques[b->uniques_n++] = (struct unique){.queue = reqs[i]->queue, .key = key};
        }
    if (b->uniques_n)
        qsort(b->uniques, b->uniques_n, sizeof(*b->uniques), by_unique);
    for (size_t i = 0; i < b->uniques_n; i++)
        if (kept == 0 || by_unique(&b->uniques[kept - 1], &b->uniques[i]) != 0)
            b->uniques[kept++] = b->uniques[i];
    b->uniques_n = kept;
    for (size_t i = 0; i < kept; i++)
        SETS_ADD(&sets, b->tx->arena, TEXT(b->uniques[i].queue), TEXT(b->uniques[i].key),
                 INT(b->tx->now));
    return sets_ask(&sets, STMT_unique_find, 3, answer);
}

/* What is new of a request, which is refused where that does not fit. */
static int admit(struct batch *b, const struct task_enqueue *req)
{
    struct queue_rule *rule = queue_rules_of(&b->rules, req->queue);
    struct fresh *first = b->list + b->n;
    int64_t new = 0;

    for (size_t i = 0; i < req->n; i++) {
        struct fresh *f = &first[i];
        struct unique *u = NULL;

        if (req->list[i].unique_key.n)
            u = unique_of(b, req->queue, req->list[i].unique_key);
        *f = (struct fresh){.new = &req->list[i], .rule = rule, .unique = u};
        f->duplicate = u && (u->task || u->owner);
        if (u && !f->duplicate)
            u->owner = f;
        new += !f->duplicate;
    }
    if (rule->open + new > rule->tasks_max) {
        for (size_t i = 0; i < req->n; i++)
            if (first[i].unique && first[i].unique->owner == &first[i])
                first[i].unique->owner = NULL;
        return tx_refuse(b->tx, CODE_QUEUE_FULL,
                         "queue \"%.*s\" holds %" PRId64 " open tasks of at most %" PRId64
                         "; %" PRId64 " more do not fit",
                         STR_ARG(req->queue), rule->open, rule->tasks_max, new);
    }
    rule->open += new;
    b->n += req->n;
    return 0;
}

static void give_ids(struct batch *b)
{
    size_t new = 0;

    for (size_t i = 0; i < b->n; i++)
        if (!b->list[i].duplicate)
            b->list[i].id = b->ids[new ++];
    for (size_t i = 0; i < b->n; i++)
        if (b->list[i].duplicate) {
            const struct unique *u = b->list[i].unique;

            b->list[i].id = u->task ? u->task : u->owner->id;
        }
}

static int take_uniques(struct batch *b)
{
    struct sets sets = {0};
    struct rows rows;
    size_t n = 0;
    int r;

    for (size_t i = 0; i < b->uniques_n; i++) {
        const struct unique *u = &b->uniques[i];

        if (!u->owner)
            continue;
        SETS_ADD(&sets, b->tx->arena, TEXT(u->queue), TEXT(u->key), INT(u->owner->id),
                 INT(b->tx->now + u->owner->new->unique_us), INT(b->tx->now));
        n++;
    }
    r = sets_run(&sets, b->tx, STMT_unique_take, 5, &rows);
    if (r)
        return fault(r);
    /* Another program took one since we looked: look again, in another transaction. */
    return rows.n == n ? 0 : fault(-EAGAIN);
}

static int64_t due_at(const struct tx *tx, const struct task_new *new)
{
    int64_t due = new->delay_us ? tx->now + new->delay_us : 0;

    due = new->not_before > due ? new->not_before : due;
    return due > tx->now ? due : 0;
}

/* Turns and places of those that can be claimed at once, in a queue that has such. */
static int assign(struct batch *b, struct lane_entry *entries)
{
    struct lane_entry *list = ARENA_ARRAY(b->tx->arena, struct lane_entry, b->n);
    size_t n = 0, at = 0;
    int r;

    for (size_t i = 0; i < b->n; i++) {
        const struct fresh *f = &b->list[i];
        bool ruled = f->rule->fair || (f->rule->key_concurrency && f->new->key.n);

        entries[i] = (struct lane_entry){f->id, f->rule->name, f->new->key, f->new->priority, 0, 0};
        if (ruled && !f->duplicate && due_at(b->tx, f->new) == 0)
            list[n++] = entries[i];
    }
    r = n ? lane_assign(b->tx, &b->rules, list, n) : 0;
    for (size_t i = 0; !r && i < b->n && at < n; i++)
        if (!b->list[i].duplicate && entries[i].task == list[at].task)
            entries[i] = list[at++];
    return r ? fault(r) : 0;
}

static struct str retry_of(const struct batch *b, const struct fresh *f)
{
    char text[RETRY_TEXT_BYTES];

    if (!f->new->retry)
        return f->rule->retry;
    return str_copy(b->tx->arena, retry_format(f->new->retry, text));
}

static void add_task(struct batch *b, const struct fresh *f, const struct lane_entry *e,
                     struct sets *sets)
{
    const struct task_new *new = f->new;
    struct tx *tx = b->tx;
    struct task t = {.state = TASK_BLOCKED, .due_at = due_at(tx, new)};

    task_move(&t, TASK_MET, tx->now, NULL, tx->prng, NULL);
    tx_count(tx, 0, f->rule->name, t.state, 1);
    SETS_ADD(sets, tx->arena, INT(f->id), INT(0), TEXT(f->rule->name), TEXT(STR("")),
             TEXT(task_state_text(t.state)), TEXT(task_reason_text(t.reason)), INT(new->priority),
             TEXT(retry_of(b, f)), INT(t.due_at), INT(0),
             INT(new->timeout_us ? new->timeout_us : f->rule->task_timeout_us),
             INT(t.state == TASK_READY ? tx->now : 0), INT(tx->now), INT(e->turn), INT(e->gate),
             TEXT(new->key), TEXT(new->unique_key), TEXT(new->payload));
}

static int write_batch(struct batch *b)
{
    struct lane_entry *entries = ARENA_ARRAY(b->tx->arena, struct lane_entry, b->n);
    struct block_new blocks = {.tx = b->tx};
    struct sets sets = {0};
    int r;

    give_ids(b);
    r = take_uniques(b);
    if (!r)
        r = assign(b, entries);
    for (size_t i = 0; !r && i < b->n; i++) {
        const struct fresh *f = &b->list[i];

        if (f->duplicate)
            continue;
        if (block_takes(f->rule, f->new))
            block_add(&blocks, f->id, f->rule->name, retry_of(b, f), f->new);
        else
            add_task(b, f, &entries[i], &sets);
    }
    if (!r)
        r = block_add_write(&blocks);
    if (!r)
        r = sets_run(&sets, b->tx, STMT_task_add, 18, NULL);
    return r ? fault(r) : 0;
}

static void answer(const struct batch *b, const struct fresh *list, size_t n,
                   struct task_ids *reply)
{
    struct arena *a = b->tx->arena;

    *reply = (struct task_ids){.list = ARENA_ARRAY(a, int64_t, n), .n = n};
    for (size_t i = 0; i < n; i++) {
        reply->list[i] = list[i].id;
        if (!list[i].duplicate)
            continue;
        if (!reply->duplicates)
            reply->duplicates = memset(ARENA_ARRAY(a, bool, n), 0, n * sizeof(bool));
        reply->duplicates[i] = true;
    }
}

/* Look at what the requests are about; requests that are wrong in themselves have been refused. */
static int look(struct batch *b, const struct task_enqueue *const *reqs,
                const struct tx_problem *problems, size_t n)
{
    struct str *names = ARENA_ARRAY(b->tx->arena, struct str, n);
    struct rows rules, uniques;
    struct store_ask asks[3];
    size_t names_n = 0, tasks = 0;
    int r;

    for (size_t i = 0; i < n; i++)
        if (problems[i].code == CODE_OK) {
            names[names_n++] = reqs[i]->queue;
            tasks += reqs[i]->n;
        }
    b->list = ARENA_ARRAY(b->tx->arena, struct fresh, tasks);
    b->ids = ARENA_ARRAY(b->tx->arena, int64_t, tasks);
    asks[0] = queue_rules_ask(b->tx, names, names_n, &b->rules, &rules);
    asks[1] = ask_uniques(b, reqs, problems, n, &uniques);
    asks[2] = (struct store_ask){.sets = tasks, .ret_ids = b->ids};
    r = store_ask(b->tx->store, b->tx->arena, asks, 3);
    if (r)
        return fault(r);
    queue_rules_take(b->tx, &b->rules, &rules);
    for (size_t i = 0; i < uniques.n; i++)
        unique_of(b, row_text(&uniques, i, 0), row_text(&uniques, i, 1))->task =
            row_int(&uniques, i, 2);
    r = queue_rules_make(b->tx, &b->rules);
    return r ? fault(r) : 0;
}

int task_enqueue_many(struct tx *tx, const struct task_enqueue *const *reqs,
                      struct task_ids *const *replies, struct tx_problem *problems, size_t n)
{
    struct batch b = {.tx = tx};
    size_t at = 0;
    int r = 0;

    for (size_t i = 0; !r && i < n; i++)
        r = tx_refuse_one(tx, check(tx, reqs[i]), &problems[i]);
    if (!r)
        r = look(&b, reqs, problems, n);
    for (size_t i = 0; !r && i < n; i++)
        if (problems[i].code == CODE_OK)
            r = tx_refuse_one(tx, admit(&b, reqs[i]), &problems[i]);
    if (!r && b.n)
        r = write_batch(&b);
    if (r)
        return fault(r);
    for (size_t i = 0; i < n; i++) {
        if (problems[i].code != CODE_OK)
            continue;
        answer(&b, b.list + at, reqs[i]->n, replies[i]);
        at += reqs[i]->n;
    }
    return 0;
}

int task_enqueue(struct tx *tx, const struct task_enqueue *req, struct task_ids *reply)
{
    struct tx_problem problem;
    int r = task_enqueue_many(tx, &req, &reply, &problem, 1);

    return r ? fault(r) : tx_refused(tx, &problem);
}
