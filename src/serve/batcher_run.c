/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/batcher_run.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/hub.h"

/* The store's conditions, and what they are answered with. */
static const struct batcher_remedy remedies[] = {
    {-EAGAIN,       CODE_STORE_LOCKED,      REMEDY_RERUN},
    {-ENOENT,       CODE_STORE_NOT_FOUND,   REMEDY_NONE },
    {-ECONNRESET,   CODE_STORE_UNAVAILABLE, REMEDY_WAIT },
    {-EHOSTUNREACH, CODE_STORE_UNAVAILABLE, REMEDY_WAIT },
    {-EBUSY,        CODE_STORE_LOCKED,      REMEDY_ROOM },
    {-ENOSPC,       CODE_STORE_FULL,        REMEDY_ROOM },
    {-EIO,          CODE_STORE_UNAVAILABLE, REMEDY_NONE },
    {-ENOMEM,       CODE_STORE_UNAVAILABLE, REMEDY_NONE },
    {-EMFILE,       CODE_STORE_UNAVAILABLE, REMEDY_NONE },
    {-EROFS,        CODE_STORE_READ_ONLY,   REMEDY_NONE },
    {-EUCLEAN,      CODE_STORE_CORRUPT,     REMEDY_NONE },
    {-EACCES,       CODE_PERMISSION_DENIED, REMEDY_NONE },
    {-EPROTO,       CODE_STORE_NEWER,       REMEDY_NONE },
    {-EINVAL,       CODE_INVALID,           REMEDY_NONE },
};

const struct batcher_remedy *batcher_run_remedy(int fault)
{
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
        if (remedies[i].fault == fault)
            return &remedies[i];
    }
    return NULL;
}

static struct batcher_request *request_of(struct list *link)
{
    return LIST_OF(link, struct batcher_request, link);
}

/* Memory that several share. */

static void shared_drop(struct batcher_shared *s)
{
    if (s && __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        arena_deinit(&s->arena);
        free(s);
    }
}

/* One reference is the run's, until the next attempt: what was gathered in the transaction may lie
 * there. */
static struct batcher_shared *shared_new(struct batcher_run *run)
{
    struct batcher_shared *s = memory_new(sizeof(*s));

    s->refs = 1;
    s->next = run->shared;
    run->shared = s;
    return s;
}

static void shared_drop_all(struct batcher_run *run)
{
    while (run->shared) {
        struct batcher_shared *s = run->shared;

        run->shared = s->next;
        shared_drop(s);
    }
}

void batcher_release(struct batcher_request *q)
{
    shared_drop(q->shared);
    q->shared = NULL;
    arena_deinit(&q->arena);
}

/* Answers. */

enum { RUN_E_SPLIT = 1 }; /* one failed, and what it wrote has to be undone: use savepoints */

/* Damage that a row shows has its own sentence; the store knows those of its files. */
static struct str say_fault(struct tx *tx, int r)
{
    if (r == -EUCLEAN && tx->problem.code == CODE_STORE_CORRUPT)
        return tx->problem.text;
    return store_error(tx->store);
}

static void answer_problem(struct batcher_request *q, const struct tx_problem *problem)
{
    q->answer = (struct batcher_answer){.code = problem->code,
                                        .text = problem->text,
                                        .details = problem->details,
                                        .details_n = problem->details_n};
}

static void answer_refusal(struct tx *tx, struct batcher_request *q, int r)
{
    struct str text = STR("weft made a mistake; its log says where");

    if (r == ENGINE_E_REFUSED) {
        answer_problem(q, &tx->problem);
        return;
    }
    if (batcher_code(r) != CODE_INTERNAL)
        text = str_copy(&q->arena, say_fault(tx, r));
    q->answer = (struct batcher_answer){.code = batcher_code(r), .text = text};
    log_say(LOG_ERROR, "request_failed", LOG_NUMBER("errno", -r),
            LOG_TEXT("text", say_fault(tx, r)), LOG_TEXT("way", str_of(fault_take())));
}

/* The store as a whole is in the way, so that no request of the batch can go on. Damage is not:
 * other pages are sound. */
static bool ends_batch(int r)
{
    return batcher_run_remedy(r) && r != -EUCLEAN && r != -EINVAL && r != -ENOENT;
}

/* Make a request as it was posted, however often it was tried. */
static void prepare(struct batcher_run *run, struct batcher_request *q, int64_t begun_us)
{
    /* What is shared counts its holders. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    shared_drop(q->shared);
    q->shared = NULL;
    arena_reset(&q->arena);
    if (q->reply)
        memset(q->reply, 0, q->reply_size);
    q->answer = (struct batcher_answer){.code = CODE_OK};
    q->begun_us = begun_us;
    q->now = run->tx.now;
}

static void note_order(struct batcher_run *run, struct batcher_request *q)
{
    if (!run->ran)
        return;
    ARENA_ROOM(&run->arena, run->order, run->order_n, run->order_cap, 16);
    run->order[run->order_n++] = q;
}

/* Run one request. Returns 0 when it is answered, RUN_E_SPLIT, or a fault that ends the batch. */
static int run_one(struct batcher_run *run, struct batcher_request *q, enum tx_savepoint how,
                   bool alone)
{
    struct tx *tx = &run->tx;
    struct tx_place place;
    int64_t written;
    int r;

    note_order(run, q);
    tx->arena = &q->arena;
    tx->problem = (struct tx_problem){.code = CODE_OK};
    r = tx_mark(tx, how, &place);
    if (r)
        return fault(r);
    written = store_written(run->store);
    r = q->function(tx, q->request, q->reply);
    if (r == 0)
        return 0;
    if (r > ENGINE_E_REFUSED)
        r = fault(r); /* an outcome that somebody forgot */
    if (ends_batch(r))
        return fault(r);
    if (how == TX_SAVEPOINT) {
        int undone = tx_undo(tx, &place);

        if (undone)
            return fault(undone);
    } else if (!alone && (r < 0 || store_written(run->store) != written ||
                          tx->events_n != place.events_n || tx->tallies_n != place.tallies_n)) {
        return RUN_E_SPLIT;
    }
    answer_refusal(tx, q, r);
    return 0;
}

/* Groups: requests of the same `many`. */

struct group {
    batcher_many *many;
    int turn;
    size_t place; /* as it was met */
    struct batcher_request **list;
    const void **requests;
    void **replies;
    struct tx_problem *problems;
    size_t n;
};

static bool mergeable(const struct batcher_request *q)
{
    return q->many && !q->in_order;
}

#define GROUPS_MAX 16u

/* Sort what can be gathered; what finds no room among the kinds runs by itself. */
static size_t groups_make(struct batcher_run *run, const struct batch *batch, struct group *groups)
{
    size_t n = 0;

    LIST_EACH(link, &batch->requests)
    {
        struct batcher_request *q = request_of(link);
        size_t at = 0;

        while (at < n && groups[at].many != q->many)
            at++;
        if (!mergeable(q) || at == GROUPS_MAX)
            continue;
        if (at == n)
            groups[n++] = (struct group){
                .many = q->many,
                .turn = q->turn,
                .place = at,
                .list = ARENA_ARRAY(&run->arena, struct batcher_request *, batch->n)};
        groups[at].list[groups[at].n++] = q;
    }
    return n;
}

static int by_turn(const void *a, const void *b)
{
    const struct group *x = a, *y = b;

    if (x->turn != y->turn)
        return x->turn < y->turn ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static void group_share(struct batcher_run *run, struct group *g)
{
    struct batcher_shared *shared = shared_new(run);
    struct arena *a = &shared->arena;

    g->requests = ARENA_ARRAY(a, const void *, g->n);
    g->replies = ARENA_ARRAY(a, void *, g->n);
    g->problems = ARENA_ARRAY(a, struct tx_problem, g->n);
    for (size_t i = 0; i < g->n; i++) {
        g->requests[i] = g->list[i]->request;
        g->replies[i] = g->list[i]->reply;
        g->list[i]->shared = shared;
        shared->refs++;
    }
    run->tx.arena = a;
}

/* Run a group at once; where that fails within a savepoint, it is undone and each runs alone. */
static int run_group(struct batcher_run *run, struct group *g, enum tx_savepoint how)
{
    struct tx *tx = &run->tx;
    struct tx_place place;
    int r;

    group_share(run, g);
    r = tx_mark(tx, how, &place);
    if (!r)
        r = g->many(tx, g->requests, g->replies, g->problems, g->n);
    for (size_t i = 0; !r && i < g->n; i++) {
        note_order(run, g->list[i]);
        answer_problem(g->list[i], &g->problems[i]);
    }
    if (!r)
        return 0;
    if (r > 0)
        r = fault(r); /* an outcome that somebody forgot */
    if (ends_batch(r))
        return fault(r);
    if (how == TX_NO_SAVEPOINT)
        return RUN_E_SPLIT;
    log_say(LOG_WARNING, "group_failed", LOG_NUMBER("errno", -r), LOG_NUMBER("requests", g->n),
            LOG_TEXT("text", say_fault(tx, r)), LOG_TEXT("way", str_of(fault_take())));
    r = tx_undo(tx, &place);
    for (size_t i = 0; i < g->n && !r; i++) {
        prepare(run, g->list[i], g->list[i]->begun_us);
        r = run_one(run, g->list[i], how, false);
    }
    return r;
}

static int run_groups(struct batcher_run *run, struct group *groups, size_t n,
                      enum tx_savepoint how)
{
    int r = 0;

    if (n > 1)
        qsort(groups, n, sizeof(*groups), by_turn);
    for (size_t i = 0; i < n && !r; i++) {
        if (groups[i].n > 1)
            r = run_group(run, &groups[i], how);
        else
            r = run_one(run, groups[i].list[0], how, false);
    }
    return r;
}

/* Whether the group of `many` has this one. */
static bool in_group(const struct batcher_request *q, const struct group *groups, size_t n)
{
    for (size_t i = 0; i < n && mergeable(q); i++)
        if (groups[i].many == q->many)
            return true;
    return false;
}

static int run_each(struct batcher_run *run, struct batch *batch, enum tx_savepoint how)
{
    struct group groups[GROUPS_MAX];
    size_t n = batch->n > 1 ? groups_make(run, batch, groups) : 0;
    int64_t begun_us = clock_monotonic();
    int r;

    LIST_EACH(link, &batch->requests) prepare(run, request_of(link), begun_us);
    r = run_groups(run, groups, n, how);
    LIST_EACH(link, &batch->requests)
    {
        if (!r && !in_group(request_of(link), groups, n))
            r = run_one(run, request_of(link), how, batch->n == 1);
    }
    run->tx.arena = &run->arena;
    return r;
}

static bool any_good(const struct batch *batch)
{
    LIST_EACH(link, &batch->requests)
    if (request_of(link)->answer.code == CODE_OK)
        return true;
    return false;
}

static int run_all(struct batcher_run *run, struct batch *batch, enum tx_savepoint how)
{
    int r;

    arena_reset(&run->arena);
    run->order = NULL;
    run->order_n = run->order_cap = 0;
    run->tx.arena = &run->arena;
    r = tx_begin(&run->tx);
    if (!r)
        r = run_each(run, batch, how);
    if (r)
        return r;
    if (!any_good(batch)) {
        tx_rollback(&run->tx);
        return 0;
    }
    r = tx_commit(&run->tx);
    if (r && BROKEN(ANSWER)) {
        store_rollback(run->tx.store); /* what failed may have come before the commit */
        r = 0;
    }
    /* On Postgres a request that was refused by a unique key has broken the transaction. */
    if (r && !ends_batch(r) && how == TX_NO_SAVEPOINT && batch->n > 1)
        return RUN_E_SPLIT;
    return r ? fault(r) : 0;
}

static int run_try(struct batcher_run *run, struct batch *batch)
{
    int r;

    if (!run->open) {
        run->store = store_free(run->store);
        r = store_open(&run->options, &run->store);
        if (r)
            return fault(r);
        run->open = true;
    }
    run->tx.store = run->store;
    run->tx.prng = &run->prng;
    r = run_all(run, batch, TX_NO_SAVEPOINT);
    if (r)
        tx_rollback(&run->tx);
    if (r != RUN_E_SPLIT)
        return r;
    fault_take();
    r = run_all(run, batch, TX_SAVEPOINT);
    if (r)
        tx_rollback(&run->tx);
    return r;
}

/* A commit of which nobody knows is asked about until somebody does: run again, it might take
 * effect twice, and leases that were granted would never be heard of. */
int batcher_run(struct batcher_run *run, struct batch *batch)
{
    bool doubted = batch->in_doubt;
    int r = doubted && !BROKEN(DOUBT) ? store_settle(run->store) : run_try(run, batch);

    batch->in_doubt = r && run->open && store_in_doubt(run->store);
    if (run->ran && (!doubted || BROKEN(DOUBT)) && (!r || batch->in_doubt))
        run->ran(run->ran_context, run->order, run->order_n, run->tx.now, r);
    /* What was gathered in a transaction is dropped where its commit fails, as it seems to. */
    if (!r && run->hub && doubted)
        hub_committed_unseen(run->hub);
    else if (!r && run->hub)
        hub_committed(run->hub, &run->tx);
    if (!batch->in_doubt)
        shared_drop_all(run);
    return r;
}

void batcher_run_deinit(struct batcher_run *run)
{
    shared_drop_all(run);
    run->store = store_free(run->store);
    arena_deinit(&run->arena);
}
