/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claiming, for many callers at once. Queues whose leases are limited are locked, then the workers,
 * and then the first tasks of each queue are taken for all of its callers together and dealt out in
 * their order. A claim passes over tasks that somebody else has locked; it waits for a block only
 * where it would get nothing of its queue.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/fault.h"
#include "engine/block.h"
#include "engine/change.h"
#include "engine/lease.h"
#include "engine/queue.h"
#include "engine/queue_rules.h"
#include "engine/sets.h"
#include "engine/task.h"

/* A worker of some of the claims, or a guest. */
struct taker {
    int64_t incarnation;
    struct str guest;          /* empty: a registered worker */
    bool wanted;               /* by a claim that was not refused */
    struct tx_problem problem; /* why it may take nothing */
    int64_t room;              /* slots that are free */
};

/* A place where some of the claims look: a run or a queue. */
struct scope {
    int64_t run;
    struct str queue;
    struct queue_rule *rule;   /* of a queue */
    struct tx_problem problem; /* why there is none */
    int64_t room;              /* leases that it may still give */
    int64_t wanted;
    const struct rows *answer;
    size_t *rows; /* the tasks that were found, by their place in the answer */
    size_t rows_n, rows_dealt;
    struct block *blocks;               /* and those in blocks, in order */
    size_t blocks_n, blocks_cap, block; /* the first of them that has tasks left */
    int64_t found, dealt;
    bool looked; /* for what is due next */
    int64_t next_due_at;
};

struct deal {
    struct tx *tx;
    struct queue_rules rules;
    struct taker *takers;
    size_t takers_n;
    struct scope *scopes; /* runs by id, then queues by name */
    size_t scopes_n;
    struct change change;
    struct block_claim blocks;
    int64_t *tokens;
    size_t tokens_n;
    bool waited; /* for a block */
};

static int by_taker(const void *a, const void *b)
{
    const struct taker *x = a, *y = b;

    if (x->guest.n || y->guest.n)
        return str_cmp(x->guest, y->guest);
    return (x->incarnation > y->incarnation) - (x->incarnation < y->incarnation);
}

static int by_scope(const void *a, const void *b)
{
    const struct scope *x = a, *y = b;

    if (!x->run != !y->run)
        return x->run ? -1 : 1;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return x->run ? 0 : str_cmp(x->queue, y->queue);
}

static struct taker *find_taker(const struct deal *d, int64_t incarnation, struct str guest)
{
    const struct taker key = {.incarnation = guest.n ? 0 : incarnation, .guest = guest};
    struct taker *t = NULL;

    if (d->takers_n)
        t = bsearch(&key, d->takers, d->takers_n, sizeof(*t), by_taker);
    assert(t);
    return t;
}

static struct str guest_of(const struct task_claim *req)
{
    return req->worker ? STR("") : req->guest;
}

static struct taker *taker_of(const struct deal *d, const struct task_claim *req)
{
    return find_taker(d, req->worker, guest_of(req));
}

static struct scope *scope_of(const struct deal *d, int64_t run, struct str queue)
{
    struct scope *s = bsearch(&(struct scope){.run = run, .queue = queue}, d->scopes, d->scopes_n,
                              sizeof(*s), by_scope);

    assert(s);
    return s;
}

#define DISTINCT(list, n, compare)                                                                 \
    do {                                                                                           \
        size_t kept_ = 0;                                                                          \
        if (n)                                                                                     \
            qsort((list), (n), sizeof(*(list)), (compare));                                        \
        for (size_t i_ = 0; i_ < (n); i_++)                                                        \
            if (kept_ == 0 || (compare)(&(list)[kept_ - 1], &(list)[i_]) != 0)                     \
                (list)[kept_++] = (list)[i_];                                                      \
        (n) = kept_;                                                                               \
    } while (0)

static void gather_scopes(struct deal *d, const struct task_claim *const *reqs,
                          const struct tx_problem *problems, size_t n)
{
    d->scopes = ARENA_ARRAY(d->tx->arena, struct scope, n);
    for (size_t i = 0; i < n; i++)
        if (problems[i].code == CODE_OK)
            d->scopes[d->scopes_n++] = (struct scope){.run = reqs[i]->run, .queue = reqs[i]->queue};
    DISTINCT(d->scopes, d->scopes_n, by_scope);
}

static void gather_takers(struct deal *d, const struct task_claim *const *reqs,
                          const struct tx_problem *problems, size_t n)
{
    d->takers = ARENA_ARRAY(d->tx->arena, struct taker, n);
    for (size_t i = 0; i < n; i++)
        if (problems[i].code == CODE_OK)
            d->takers[d->takers_n++] =
                (struct taker){.incarnation = reqs[i]->worker, .guest = guest_of(reqs[i])};
    DISTINCT(d->takers, d->takers_n, by_taker);
}

/* How many of a run's tasks may still be taken. */
static int look_at_run(struct tx *tx, struct scope *s)
{
    struct rows rows;
    struct run_row run;
    int r = STORE_DO(tx->store, STMT_run_lock, tx->arena, &rows, INT(s->run));

    if (r)
        return fault(r);
    s->queue = STR("");
    if (rows.n == 0)
        return tx_refuse_one(
            tx, tx_refuse(tx, CODE_RUN_NOT_FOUND, "run %" PRId64 " does not exist", s->run),
            &s->problem);
    r = row_run(tx, &rows, 0, &run);
    if (r)
        return fault(r);
    s->room = INT64_MAX;
    if (run.max_parallel > 0)
        s->room = run.max_parallel > run.held ? run.max_parallel - run.held : 0;
    return 0;
}

static int look_at_queue(struct deal *d, struct scope *s)
{
    const struct queue_rule *rule = s->rule = queue_rules_of(&d->rules, s->queue);

    if (!rule->exists)
        return tx_refuse_one(d->tx,
                             tx_refuse(d->tx, CODE_QUEUE_NOT_FOUND, "queue \"%.*s\" does not exist",
                                       STR_ARG(s->queue)),
                             &s->problem);
    s->room = rule->paused ? 0 : queue_rules_tokens(rule, d->tx->now);
    if (BROKEN(KEPT) && rule->key_concurrency && rule->held)
        s->room = 0;
    if (rule->concurrency_max && rule->concurrency_max - rule->held < s->room)
        s->room = rule->concurrency_max - rule->held + BROKEN(LIMIT);
    s->room = s->room < 0 ? 0 : s->room;
    return 0;
}

/* Whether a worker may take tasks at all. */
static int judge_taker(struct tx *tx, struct taker *t, const struct worker_row *w)
{
    int r = 0;

    t->room = 0;
    if (w->incarnation == 0)
        r = tx_refuse(tx, CODE_WORKER_NOT_FOUND, "worker %" PRId64 " is not registered",
                      t->incarnation);
    else if (worker_over(w->state))
        r = tx_refuse(tx, CODE_WORKER_LOST,
                      "worker %" PRId64 " is %s and may take no tasks; register again",
                      w->incarnation, worker_state_text(w->state).p);
    else if (worker_claims(w->state))
        t->room = w->slots ? w->slots : INT64_MAX;
    return tx_refuse_one(tx, r, &t->problem);
}

static int look_at_guests(struct deal *d)
{
    struct str *names = ARENA_ARRAY(d->tx->arena, struct str, d->takers_n);
    int64_t *incarnations = ARENA_ARRAY(d->tx->arena, int64_t, d->takers_n);
    struct tx_problem *problems = ARENA_ARRAY(d->tx->arena, struct tx_problem, d->takers_n);
    size_t n = 0;
    int r;

    for (size_t i = 0; i < d->takers_n; i++)
        if (d->takers[i].guest.n && d->takers[i].wanted)
            names[n++] = d->takers[i].guest;
    r = n ? worker_guest_many(d->tx, names, incarnations, problems, n) : 0;
    if (r)
        return fault(r);
    for (size_t i = 0; i < n; i++) {
        struct taker *t = find_taker(d, 0, names[i]);

        t->incarnation = incarnations[i];
        t->problem = problems[i];
        t->room = INT64_MAX;
    }
    return 0;
}

/* How many more tasks the workers may hold, by their rows and what they hold. */
static int look_at_workers(struct deal *d, const struct rows *found, const struct rows *busy)
{
    struct worker_row *workers = ARENA_ARRAY(d->tx->arena, struct worker_row, d->takers_n);
    int r = 0;

    memset(workers, 0, d->takers_n * sizeof(*workers));
    for (size_t i = 0; !r && i < found->n; i++)
        r = row_worker(d->tx, found, i,
                       &workers[find_taker(d, row_int(found, i, 0), STR("")) - d->takers]);
    for (size_t i = 0; !r && i < d->takers_n; i++)
        if (d->takers[i].guest.n == 0)
            r = judge_taker(d->tx, &d->takers[i], &workers[i]);
    if (r)
        return fault(r);
    for (size_t i = 0; i < busy->n; i++) {
        struct taker *t = find_taker(d, row_int(busy, i, 0), STR(""));

        if (BROKEN(SLOTS))
            continue;
        t->room -= row_int(busy, i, 1);
        t->room = t->room < 0 ? 0 : t->room;
    }
    return 0;
}

struct looked {
    struct rows locked, rules, workers, busy;
};

/* Limited queues are locked before they are read, and workers before it is counted what they hold:
 * two claims of one worker, or its end and a claim, come one after the other. */
static int ask_all(struct deal *d, struct looked *ret)
{
    struct str *names = ARENA_ARRAY(d->tx->arena, struct str, d->scopes_n);
    struct sets workers = {0};
    struct store_ask asks[4];
    size_t names_n = 0;
    int r;

    for (size_t i = 0; i < d->scopes_n; i++)
        if (d->scopes[i].run == 0)
            names[names_n++] = d->scopes[i].queue;
    for (size_t i = 0; i < d->takers_n; i++)
        if (d->takers[i].guest.n == 0)
            SETS_ADD(&workers, d->tx->arena, INT(d->takers[i].incarnation));
    asks[1] = queue_rules_ask(d->tx, names, names_n, &d->rules, &ret->rules);
    asks[0] = queue_rules_ask_lock(d->tx, &d->rules, &ret->locked);
    asks[2] = sets_ask(&workers, STMT_worker_lock_many, 1, &ret->workers);
    asks[3] = asks[2];
    asks[3].id = STMT_worker_busy;
    asks[3].ret = &ret->busy;
    r = store_ask(d->tx->store, d->tx->arena, asks, 4);
    return r ? fault(r) : 0;
}

static int look_at_scopes(struct deal *d, const struct looked *looked)
{
    int r = 0;

    queue_rules_take(d->tx, &d->rules, &looked->rules);
    if (!queue_rules_locked(&d->rules, &looked->locked))
        r = queue_rules_lock(d->tx, &d->rules);
    for (size_t i = 0; !r && i < d->scopes_n; i++)
        if (!d->scopes[i].run)
            r = look_at_queue(d, &d->scopes[i]);
    return r ? fault(r) : 0;
}

/* All that the claims are about. Guests are made, if they are new, only for claims that are not
 * refused. */
static int look(struct deal *d, const struct task_claim *const *reqs, struct tx_problem *problems,
                size_t n)
{
    struct looked looked;
    int r = 0;

    for (size_t i = 0; !r && i < d->scopes_n; i++)
        if (d->scopes[i].run)
            r = look_at_run(d->tx, &d->scopes[i]);
    if (!r)
        r = ask_all(d, &looked);
    if (!r)
        r = look_at_scopes(d, &looked);
    if (r)
        return fault(r);
    for (size_t i = 0; i < n; i++) {
        if (problems[i].code != CODE_OK)
            continue;
        problems[i] = scope_of(d, reqs[i]->run, reqs[i]->queue)->problem;
        if (problems[i].code == CODE_OK)
            taker_of(d, reqs[i])->wanted = true;
    }
    r = look_at_workers(d, &looked.workers, &looked.busy);
    if (!r)
        r = look_at_guests(d);
    return r ? fault(r) : 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How many of its tasks are likely to be found, by the counts. */
static int64_t likely(const struct scope *s)
{
    if (!s->rule)
        return s->wanted;
    return s->rule->open > s->rule->held ? least(s->wanted, s->rule->open - s->rule->held) : 0;
}

static int add_blocks(struct deal *d, const struct rows *rows)
{
    int r = 0;

    for (size_t i = 0; !r && i < rows->n; i++) {
        struct scope *s = scope_of(d, 0, row_text(rows, i, 1));

        ARENA_ROOM(d->tx->arena, s->blocks, s->blocks_n, s->blocks_cap, 8);
        r = block_read(d->tx, rows, i, &s->blocks[s->blocks_n]);
        s->found += s->blocks[s->blocks_n].n - s->blocks[s->blocks_n].taken;
        s->blocks_n++;
    }
    return r ? fault(r) : 0;
}

static void add_rows(struct deal *d, const struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        struct scope *s = scope_of(d, row_int(rows, i, 1), row_text(rows, i, 2));

        s->answer = rows;
        s->rows[s->rows_n++] = i;
    }
}

/* A block that another program has locked may have more tasks than that one takes: who would get
 * nothing waits for it. Claims wait in the order of their scopes and hold nothing of later ones, so
 * that no two of them wait for each other. */
static bool waits(const struct deal *d, const struct scope *s)
{
    if (!s->rule || likely(s) == 0)
        return false;
    for (; s < d->scopes + d->scopes_n; s++)
        if (s->blocks_n + s->rows_n)
            return false;
    return true;
}

/* Wait for the first block. Where it was opened meanwhile, its tasks have rows now. */
static int wait_for_block(struct deal *d, struct scope *s)
{
    struct store_ask asks[2];
    struct rows *rows = ARENA_NEW(d->tx->arena, struct rows), blocks;
    struct sets queue = {0}, tasks = {0};
    int r;

    SETS_ADD(&queue, d->tx->arena, TEXT(s->queue));
    SETS_ADD(&tasks, d->tx->arena, INT(0), TEXT(s->queue), INT(s->wanted));
    asks[0] = sets_ask(&queue, STMT_block_wait, 1, &blocks);
    asks[1] = sets_ask(&tasks, STMT_task_ready, 3, rows);
    r = store_ask(d->tx->store, d->tx->arena, asks, 2);
    if (!r)
        r = add_blocks(d, &blocks);
    if (!r)
        add_rows(d, rows);
    d->waited = true;
    return r ? fault(r) : 0;
}

/* Blocks until there are as many tasks as are wanted, or no blocks. */
static int more_blocks(struct deal *d, struct scope *s)
{
    bool more = s->blocks_n == BLOCKS_WANTED(s->wanted);
    struct rows rows;
    int r = 0;

    if (waits(d, s)) {
        r = wait_for_block(d, s);
        more = s->blocks_n;
    }
    while (!r && more && s->found < s->wanted) {
        r = block_more(d->tx, s->blocks, s->blocks_n, s->wanted - s->found, &rows, &more);
        if (!r)
            r = add_blocks(d, &rows);
    }
    return r ? fault(r) : 0;
}

/* What has been found in each scope. */
static int note_found(struct deal *d, const struct rows *blocks, const struct rows *rows,
                      int64_t *ret)
{
    int r = add_blocks(d, blocks);

    add_rows(d, rows);
    *ret = 0;
    for (size_t i = 0; !r && i < d->scopes_n; i++) {
        struct scope *s = &d->scopes[i];

        r = more_blocks(d, s);
        s->found = least(s->found + (int64_t)s->rows_n, s->wanted);
        *ret += s->found;
    }
    return r ? fault(r) : 0;
}

/* The first tasks of every scope, as many as its claims can take together. Their tokens are drawn
 * once they are locked, so that the tokens of a task grow: for as many as are likely in the same
 * round trip, and then for the others. */
static int find_tasks(struct deal *d)
{
    struct sets sets = {0}, queues = {0};
    int64_t wanted = 0, drawn = 0, found;
    struct store_ask asks[3];
    struct rows *rows = ARENA_NEW(d->tx->arena, struct rows), blocks;
    int r;

    for (size_t i = 0; i < d->scopes_n; i++) {
        struct scope *s = &d->scopes[i];

        s->wanted = least(s->wanted, s->room);
        if (s->wanted <= 0)
            continue;
        wanted += s->wanted;
        drawn += likely(s);
        s->rows = ARENA_ARRAY(d->tx->arena, size_t, (size_t)s->wanted);
        SETS_ADD(&sets, d->tx->arena, INT(s->run), TEXT(s->queue), INT(s->wanted));
        if (s->run == 0)
            block_want(d->tx, &queues, s->queue, s->wanted);
    }
    d->tokens = ARENA_ARRAY(d->tx->arena, int64_t, (size_t)wanted);
    asks[0] = sets_ask(&sets, STMT_task_ready, 3, rows);
    asks[1] = block_ask_ready(&queues, &blocks);
    asks[2] = (struct store_ask){.sets = (size_t)drawn, .ret_ids = d->tokens};
    r = store_ask(d->tx->store, d->tx->arena, asks, 3);
    if (!r)
        r = note_found(d, &blocks, rows, &found);
    if (d->waited)
        drawn = 0; /* what was found since may have been held meanwhile */
    if (!r && found > drawn)
        r = store_ids(d->tx->store, (size_t)(found - drawn), d->tokens + drawn);
    return r ? fault(r) : 0;
}

/* The block that has the next task of the scope; NULL: that is a row. */
static struct block *next_block(struct scope *s)
{
    const size_t row = s->rows_dealt < s->rows_n ? s->rows[s->rows_dealt] : 0;
    struct block *b;

    while (s->block < s->blocks_n && s->blocks[s->block].taken == s->blocks[s->block].n)
        s->block++;
    if (s->block == s->blocks_n)
        return NULL;
    b = &s->blocks[s->block];
    if (s->rows_dealt == s->rows_n)
        return b;
    if (b->priority != row_int(s->answer, row, 18))
        return b->priority > row_int(s->answer, row, 18) ? b : NULL;
    if (row_int(s->answer, row, 21) != 0)
        return b;
    return b->id + b->taken < row_int(s->answer, row, 0) ? b : NULL;
}

static int64_t expiry(const struct deal *d, const struct taker *t, const struct scope *s,
                      const struct task_claim *req)
{
    if (t->guest.n == 0)
        return 0;
    return d->tx->now + (req->ttl_us ? req->ttl_us : s->rule->claim_ttl_us);
}

static void take_of_block(struct deal *d, const struct task_claim *req, struct block *b,
                          struct task_leases *reply)
{
    const struct taker *t = taker_of(d, req);
    const struct scope *s = scope_of(d, req->run, req->queue);
    int64_t token = d->tokens[d->tokens_n++], expires_at = expiry(d, t, s, req);
    struct tx *tx = d->tx;

    reply->list[reply->n++] = (struct task_lease){
        .task = b->id + b->taken,
        .token = token,
        .attempt = 1,
        .expires_at = expires_at,
        .started_at = tx->now,
        .queue_wait_us = tx->now > b->created_at ? tx->now - b->created_at : 0,
        .priority = b->priority,
        .queue = b->queue,
        .payload = b->payloads[BROKEN(PAYLOAD) ? b->was_taken : b->taken],
    };
    block_take(&d->blocks, b, token, t->incarnation, expires_at);
}

static int take(struct deal *d, const struct task_claim *req, size_t at, struct task_leases *reply)
{
    const struct taker *t = taker_of(d, req);
    const struct scope *s = scope_of(d, req->run, req->queue);
    int64_t expires_at = expiry(d, t, s, req);
    struct tx *tx = d->tx;
    struct task_row row;
    int r = row_task(tx, s->answer, at, &row);

    if (r)
        return fault(r);
    if (change_take(&d->change, &row, d->tokens[d->tokens_n], t->incarnation, expires_at))
        return 0;
    d->tokens_n++;
    reply->list[reply->n++] = (struct task_lease){
        .task = row.id,
        .run = row.run,
        .token = row.token,
        .attempt = row.task.attempts,
        .timeout_us = row.timeout_us,
        .deadline_at = row.timeout_us ? tx->now + row.timeout_us : 0,
        .expires_at = expires_at + (BROKEN(TOLD) ? CLOCK_S : 0),
        .started_at = tx->now,
        .queue_wait_us = tx->now > row.ready_at ? tx->now - row.ready_at : 0,
        .priority = row.priority,
        .name = row.name,
        .queue = row.queue,
        .key = row.key,
        .payload = row_text(s->answer, at, ROW_TASK_COLUMNS),
    };
    return 0;
}

/* When a scope that gave nothing may give something, as far as that is known. */
static int next_due(struct deal *d, struct scope *s, int64_t *ret)
{
    struct rows rows;
    int64_t token = 0;
    int r = 0;

    if (!s->looked) {
        r = STORE_DO(d->tx->store, STMT_task_next_due, d->tx->arena, &rows, INT(s->run),
                     TEXT(s->queue));
        s->next_due_at = !r && rows.n ? row_int(&rows, 0, 0) : 0;
        if (s->rule && s->rule->rate_milli && !s->rule->paused)
            token = queue_rules_next_token(s->rule, d->tx->now);
        if (token > d->tx->now && (s->next_due_at == 0 || token < s->next_due_at))
            s->next_due_at = token;
        s->looked = true;
    }
    *ret = s->next_due_at;
    return r ? fault(r) : 0;
}

/* Whether an end of leases may let the claimer have more: the queue limits them, or it has no slot.
 */
static bool limited(const struct scope *s, const struct taker *t)
{
    return t->room == 0 || (s->rule && (s->rule->concurrency_max || s->rule->key_concurrency));
}

/* What a lease weighs in a reply, beside its payload. */
#define LEASE_BYTES 256u

static size_t weight(const struct scope *s, const struct block *b)
{
    struct str payload =
        b ? b->payloads[b->taken] : row_text(s->answer, s->rows[s->rows_dealt], ROW_TASK_COLUMNS);

    return LEASE_BYTES + payload.n;
}

static int deal_out(struct deal *d, const struct task_claim *req, struct task_leases *reply)
{
    struct scope *s = scope_of(d, req->run, req->queue);
    struct taker *t = taker_of(d, req);
    size_t n = (size_t)least(least(req->max, t->room), s->found - s->dealt);
    size_t bytes = 0;
    int r = 0;

    *reply = (struct task_leases){.list = ARENA_ARRAY(d->tx->arena, struct task_lease, n),
                                  .held = limited(s, t)};
    for (size_t i = 0; !r && i < n; i++) {
        struct block *b = next_block(s);

        bytes += weight(s, b);
        if (i && bytes > TASK_CLAIM_BYTES_MAX)
            break;
        t->room--;
        s->dealt++;
        if (b)
            take_of_block(d, req, b, reply);
        else
            r = take(d, req, s->rows[BROKEN(ORDER) ? s->rows_n - ++s->rows_dealt : s->rows_dealt++],
                     reply);
    }
    return r ? fault(r) : 0;
}

/* What was taken of the rates. */
static int spend(struct deal *d)
{
    struct sets sets = {0};

    for (size_t i = 0; i < d->scopes_n; i++) {
        struct scope *s = &d->scopes[i];

        if (!s->rule || s->rule->rate_milli == 0 || s->dealt == 0)
            continue;
        queue_rules_spend(s->rule, d->tx->now, s->dealt);
        SETS_ADD(&sets, d->tx->arena, TEXT(s->queue), INT(s->rule->bucket),
                 INT(s->rule->bucket_at));
    }
    return sets_run(&sets, d->tx, STMT_queue_bucket, 3, NULL);
}

/* What is left of the blocks that were begun. */
static int write_blocks(struct deal *d)
{
    struct block *begun = NULL;
    size_t n = 0, cap = 0;
    int r;

    for (size_t i = 0; i < d->scopes_n; i++) {
        const struct scope *s = &d->scopes[i];

        for (size_t j = 0; j < s->blocks_n && j <= s->block; j++) {
            ARENA_ROOM(d->tx->arena, begun, n, cap, 8);
            begun[n++] = s->blocks[j];
        }
    }
    r = block_take_write(&d->blocks, begun, n);
    return r ? fault(r) : 0;
}

static int deal_all(struct deal *d, const struct task_claim *const *reqs,
                    struct task_leases *const *replies, struct tx_problem *problems, size_t n)
{
    int r;

    for (size_t i = 0; i < n; i++) {
        if (problems[i].code == CODE_OK)
            problems[i] = taker_of(d, reqs[i])->problem;
        if (problems[i].code == CODE_OK)
            scope_of(d, reqs[i]->run, reqs[i]->queue)->wanted +=
                least(reqs[i]->max, taker_of(d, reqs[i])->room);
    }
    r = find_tasks(d);
    change_init(&d->change, d->tx);
    d->blocks.tx = d->tx;
    for (size_t i = 0; !r && i < n; i++)
        if (problems[i].code == CODE_OK)
            r = deal_out(d, reqs[i], replies[i]);
    if (!r)
        r = change_write(&d->change);
    if (!r)
        r = write_blocks(d);
    if (!r)
        r = spend(d);
    for (size_t i = 0; !r && i < n; i++)
        if (problems[i].code == CODE_OK && replies[i]->n == 0)
            r = next_due(d, scope_of(d, reqs[i]->run, reqs[i]->queue), &replies[i]->next_due_at);
    return r ? fault(r) : 0;
}

/* Whoever claims without a heartbeat: its leases have an end of their own, and no slots are
 * counted. */
static int check_guest(struct tx *tx, const struct task_claim *req)
{
    if (req->run)
        return tx_refuse(tx, CODE_INVALID, "tasks of a run are given to registered workers only");
    if (req->ttl_us && (req->ttl_us < LEASE_TTL_US_MIN || req->ttl_us > LEASE_TTL_US_MAX))
        return tx_refuse(tx, CODE_INVALID, "the ttl of a lease lies between 1 s and 7 days");
    if (req->guest.n == 0)
        return tx_refuse(tx, CODE_INVALID, "a claim names a worker, or a guest");
    return 0;
}

static int check(struct tx *tx, const struct task_claim *req)
{
    int r;

    if (req->max < 1 || req->max > TASK_BATCH_MAX)
        return tx_refuse(tx, CODE_INVALID, "a claim takes 1 to %u tasks, not %" PRId64,
                         TASK_BATCH_MAX, req->max);
    r = req->worker ? 0 : check_guest(tx, req);
    if (!r && !req->run)
        r = queue_check_name(tx, req->queue);
    return r;
}

int task_claim_many(struct tx *tx, const struct task_claim *const *reqs,
                    struct task_leases *const *replies, struct tx_problem *problems, size_t n)
{
    struct deal d = {.tx = tx};
    int r = 0;

    for (size_t i = 0; !r && i < n; i++) {
        *replies[i] = (struct task_leases){0};
        r = tx_refuse_one(tx, check(tx, reqs[i]), &problems[i]);
    }
    gather_scopes(&d, reqs, problems, n);
    gather_takers(&d, reqs, problems, n);
    if (!r)
        r = look(&d, reqs, problems, n);
    if (!r)
        r = deal_all(&d, reqs, replies, problems, n);
    return r ? fault(r) : 0;
}

int task_claim(struct tx *tx, const struct task_claim *req, struct task_leases *reply)
{
    struct tx_problem problem;
    int r = task_claim_many(tx, &req, &reply, &problem, 1);

    return r ? fault(r) : tx_refused(tx, &problem);
}
