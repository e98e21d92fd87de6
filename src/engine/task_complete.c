/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending attempts, for many callers at once: the tasks are locked, what is live ends, and what is
 * not is held against the attempt that ended under its token.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/fault.h"
#include "core/definition.h"
#include "core/lease.h"
#include "engine/block.h"
#include "engine/change.h"
#include "engine/grant.h"
#include "engine/sets.h"
#include "engine/task.h"

static struct str digest_of(struct tx *tx, const struct task_result *res)
{
    char text[LEASE_DIGEST_BYTES];
    const struct str head[] = {retry_outcome_text(res->outcome), task_reason_text(res->reason),
                               res->message, res->output};
    size_t n = sizeof(head) / sizeof(*head);
    struct str *parts = ARENA_ARRAY(tx->arena, struct str, n + 1 + 5 * res->checks_n);

    memcpy(parts, head, sizeof(head));
    if (res->final)
        parts[n++] = STR("final");
    for (size_t i = 0; i < res->checks_n; i++) {
        const struct check_update *u = &res->checks[i];

        parts[n++] = u->check;
        parts[n++] = u->data;
        parts[n++] = u->code;
        parts[n++] = u->message;
        parts[n++] = u->failed ? (u->finalize ? STR("no") : STR("so far no"))
                               : (u->finalize ? STR("yes") : STR("so far yes"));
    }
    return str_copy(tx->arena, lease_digest(parts, n, text));
}

static bool bad_duration(int64_t us)
{
    return us < 0 || us > DEFINITION_TIMEOUT_US_MAX;
}

/* Texts as the store takes them: no longer than that, UTF-8, and without NUL. */
static int check_texts(struct tx *tx, const struct task_result *res)
{
    const struct {
        const char *name;
        struct str text;
        size_t bytes_max;
    } texts[] = {
        {"result",        res->output,      TASK_RESULT_BYTES_MAX },
        {"message",       res->message,     TASK_MESSAGE_BYTES_MAX},
        {"end of stderr", res->stderr_tail, TASK_STDERR_BYTES_MAX },
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct str s = texts[i].text;

        if (s.n > texts[i].bytes_max)
            return tx_refuse(tx, CODE_TOO_LARGE,
                             "the %s of task %" PRId64 " has %zu bytes; %zu are allowed",
                             texts[i].name, res->lease.task, s.n, texts[i].bytes_max);
        if (!str_utf8(s, NULL) || str_find(s, '\0', NULL))
            return tx_refuse(tx, CODE_INVALID,
                             "the %s of task %" PRId64 " is not UTF-8 without NUL", texts[i].name,
                             res->lease.task);
    }
    return 0;
}

static int check_result(struct tx *tx, const struct task_result *res)
{
    if (res->outcome == OUTCOME_NONE)
        return tx_refuse(tx, CODE_INVALID,
                         "a completion's outcome is succeeded, failed, timed_out, lost, cancelled "
                         "or rejected");
    if (bad_duration(res->start_wait_us) || bad_duration(res->run_us) ||
        bad_duration(res->cpu_us) || res->max_rss_bytes < 0)
        return tx_refuse(tx, CODE_INVALID,
                         "the durations of task %" PRId64
                         " lie between 0 and 366 days, and its memory is not negative",
                         res->lease.task);
    if (res->checks_n > CHECK_UPDATES_MAX)
        return tx_refuse(tx, CODE_INVALID, "a completion has at most %u check updates, not %zu",
                         CHECK_UPDATES_MAX, res->checks_n);
    return check_texts(tx, res);
}

/* Rows to be found by their first column: on Postgres they come as they like, on SQLite as they
 * were asked for. */
struct found {
    struct rows rows;
    struct found_row {
        int64_t key;
        size_t place;
    } * list;
};

static int by_key(const void *a, const void *b)
{
    const struct found_row *x = a, *y = b;

    return (x->key > y->key) - (x->key < y->key);
}

/* Run a statement over keys. */
static int find(struct tx *tx, struct sets *keys, enum statement_id id, struct found *ret)
{
    int r = sets_run(keys, tx, id, 1, &ret->rows);

    if (r)
        return fault(r);
    ret->list = ARENA_ARRAY(tx->arena, struct found_row, ret->rows.n);
    for (size_t i = 0; i < ret->rows.n; i++)
        ret->list[i] = (struct found_row){row_int(&ret->rows, i, 0), i};
    if (ret->rows.n)
        qsort(ret->list, ret->rows.n, sizeof(*ret->list), by_key);
    return 0;
}

static bool find_place(const struct found *f, int64_t key, size_t *ret)
{
    const struct found_row *row = NULL;

    if (f->rows.n)
        row = bsearch(&(struct found_row){.key = key}, f->list, f->rows.n, sizeof(*row), by_key);
    if (row)
        *ret = row->place;
    return row;
}

/* What one of the requests tells of one lease, and the answer to it. */
struct told {
    const struct task_result *result;
    enum code *code;
    bool done;     /* it ended with its piece of a block */
    bool stale;    /* the lease is not live */
    size_t before; /* the place after that where the lease was named before; 0: nowhere */
};

static int lock_tasks(struct tx *tx, const struct told *list, size_t n, struct found *ret)
{
    struct sets sets = {0};

    for (size_t i = 0; i < n; i++)
        if (!list[i].done)
            SETS_ADD(&sets, tx->arena, INT(list[i].result->lease.task));
    return find(tx, &sets, STMT_task_lock, ret);
}

/* The lease is not live: was this said before? `told` is what was, where it ended in a piece of a
 * block. */
static enum code judge_ended(struct tx *tx, const struct found *attempts,
                             const struct task_result *told, const struct task_result *res)
{
    const struct rows *rows = &attempts->rows;
    struct str known = {0};
    bool ended = false;
    size_t at;

    /* One that the engine ended itself has no digest: nobody has told how it came out. */
    if (find_place(attempts, res->lease.token, &at) && row_int(rows, at, 1) == res->lease.task)
        known = row_text(rows, at, 2);
    else if (told->lease.task)
        known = digest_of(tx, told);
    ended = known.n;
    switch (lease_judge(res->lease.token, 0, ended, known, digest_of(tx, res))) {
    case LEASE_REPEATED:
        return CODE_OK;
    case LEASE_CONFLICT:
        return BROKEN(CONFLICT) ? CODE_OK : CODE_COMPLETION_CONFLICT;
    default:
        return BROKEN(CALLBACK) && find_place(attempts, res->lease.token, &at) ? CODE_OK
                                                                               : CODE_LEASE_LOST;
    }
}

static int judge_stale(struct tx *tx, const struct told *list, size_t n)
{
    struct lease_ref *leases = ARENA_ARRAY(tx->arena, struct lease_ref, n);
    struct task_result *told = ARENA_ARRAY(tx->arena, struct task_result, n);
    struct sets sets = {0};
    struct found attempts;
    size_t stale = 0;
    int r;

    for (size_t i = 0; i < n; i++)
        if (list[i].stale) {
            leases[stale++] = list[i].result->lease;
            SETS_ADD(&sets, tx->arena, INT(list[i].result->lease.token));
        }
    if (stale == 0)
        return 0;
    r = find(tx, &sets, STMT_attempt_by_token, &attempts);
    if (!r)
        r = block_told(tx, leases, stale, told);
    stale = 0;
    for (size_t i = 0; !r && i < n; i++)
        if (list[i].stale)
            *list[i].code = judge_ended(tx, &attempts, &told[stale++], list[i].result);
    return r ? fault(r) : 0;
}

/* Whoever tells how it came out has begun it: a runner may be done before the news of its accepting
 * the stage is written. */
static void begin(struct change *c, struct task_row *row, enum outcome o)
{
    if (row->task.state == TASK_LEASED && o != OUTCOME_REJECTED && o != OUTCOME_CANCELLED)
        change_start(c, row, 0);
}

static int find_checks(struct tx *tx, const struct found *locked, const struct told *list, size_t n,
                       struct check_names *ret)
{
    size_t wanted_n = 0, at;
    struct check_wanted *wanted;

    for (size_t i = 0; i < n; i++)
        wanted_n += list[i].result->checks_n;
    wanted = ARENA_ARRAY(tx->arena, struct check_wanted, wanted_n);
    wanted_n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct task_result *res = list[i].result;

        if (res->checks_n == 0 || list[i].done || !find_place(locked, res->lease.task, &at))
            continue;
        for (size_t j = 0; j < res->checks_n; j++)
            wanted[wanted_n++] =
                (struct check_wanted){row_int(&locked->rows, at, 1), res->checks[j].check};
    }
    return check_find(tx, wanted, wanted_n, ret);
}

/* A runner stops what it is told to stop, and that is told, too, by who waits for it no more: the
 * accept deadline passed, or the attempt's, or the call broke. Where nobody asked for the stage to
 * end, it ends as it would have without the runner's word; so that it does not matter who is first.
 */
static struct task_result stopped(const struct change *c, const struct task_row *row,
                                  const struct task_result *told)
{
    struct task_result r = *told;

    if (row->gate != GRANT_GATE || told->outcome != OUTCOME_CANCELLED || row->task.cancel)
        return r;
    r.checks_n = 0; /* another attempt answers */
    if (row->task.state == TASK_LEASED) {
        r.outcome = OUTCOME_REJECTED;
        r.reason = TASK_REASON_NOT_ACCEPTED;
    } else if (row->timeout_us && c->tx->now >= row->started_at + row->timeout_us) {
        r.outcome = OUTCOME_TIMED_OUT;
        r.reason = TASK_REASON_TIMED_OUT;
    } else {
        r.outcome = OUTCOME_LOST;
        r.reason = TASK_REASON_LOST;
    }
    return r;
}

/* Where what it tells of checks cannot be taken, the attempt goes on. */
static int end_live(struct change *c, struct check_names *names, struct task_row *row,
                    struct told *t)
{
    const struct task_result ended = stopped(c, row, t->result), *res = &ended;
    struct check_teller teller = {.run = row->run, .token = row->token};
    struct tx_problem problem;
    int r = tx_refuse_one(c->tx, check_ask(c->tx, names, row->run, res->checks, res->checks_n),
                          &problem);

    if (r)
        return fault(r);
    *t->code = problem.code;
    if (problem.code != CODE_OK)
        return 0;
    begin(c, row, res->outcome);
    if (res->checks_n)
        teller.owner =
            str_printf(c->tx->arena, STR_FMT ":%" PRId64, STR_ARG(row->name), row->task.attempts);
    if (change_end_attempt(c, row, task_event_of(res->outcome), res, digest_of(c->tx, t->result)))
        *t->code = CODE_TASK_STATE;
    else
        check_note(c, names, &teller, res->checks, res->checks_n);
    return 0;
}

static int end_one(struct change *c, const struct found *locked, struct check_names *names,
                   struct told *t)
{
    const struct task_result *res = t->result;
    struct task_row row = {0};
    size_t at;
    int r = 0;

    if (find_place(locked, res->lease.task, &at))
        r = row_task(c->tx, &locked->rows, at, &row);
    if (r)
        return fault(r);
    t->stale = row.token == 0 || (row.token != res->lease.token && !BROKEN(TOKEN));
    *t->code = CODE_OK;
    if (!t->stale)
        r = end_live(c, names, &row, t);
    return r ? fault(r) : 0;
}

/* Those that end with their pieces of blocks; the others have rows of their own afterwards. */
static int end_pieces(struct tx *tx, struct told *list, size_t n)
{
    const struct task_result **results = ARENA_ARRAY(tx->arena, const struct task_result *, n);
    bool *done = ARENA_ARRAY(tx->arena, bool, n);
    int r;

    for (size_t i = 0; i < n; i++)
        results[i] = list[i].result;
    r = block_end(tx, results, n, done);
    for (size_t i = 0; !r && i < n; i++) {
        list[i].done = done[i];
        *list[i].code = CODE_OK;
    }
    return r ? fault(r) : 0;
}

/* Each lease once. */
static int end_all(struct tx *tx, struct told *list, size_t n)
{
    struct check_names names;
    struct found locked;
    struct change c;
    int r = end_pieces(tx, list, n);

    if (!r)
        r = lock_tasks(tx, list, n, &locked);
    if (!r)
        r = find_checks(tx, &locked, list, n, &names);
    change_init(&c, tx);
    for (size_t i = 0; !r && i < n; i++)
        if (!list[i].done)
            r = end_one(&c, &locked, &names, &list[i]);
    if (!r)
        r = judge_stale(tx, list, n);
    if (!r)
        r = check_write(&c, &names);
    if (!r)
        r = change_write(&c);
    return r ? fault(r) : 0;
}

/* By lease, and those of one lease as they came. */
static int by_lease(const void *a, const void *b)
{
    const struct told *x = *(struct told *const *)a, *y = *(struct told *const *)b;
    int64_t s = x->result->lease.token, t = y->result->lease.token;

    return s != t ? (s > t) - (s < t) : (x > y) - (x < y);
}

static void find_repetitions(struct tx *tx, struct told *list, size_t n)
{
    struct told **order = ARENA_ARRAY(tx->arena, struct told *, n);

    for (size_t i = 0; i < n; i++)
        order[i] = &list[i];
    qsort(order, n, sizeof(struct told *), by_lease);
    for (size_t i = 1; i < n; i++)
        if (order[i]->result->lease.token == order[i - 1]->result->lease.token)
            order[i]->before = (size_t)(order[i - 1] - list) + 1;
}

/* One lease twice would end it twice: what comes from its repetition on comes afterwards. */
static int end_in_turns(struct tx *tx, struct told *list, size_t n)
{
    int r = 0;

    find_repetitions(tx, list, n);
    for (size_t i = 0, from = 0; !r && i < n; i++) {
        if (i + 1 < n && list[i + 1].before <= from)
            continue;
        r = end_all(tx, list + from, i + 1 - from);
        from = i + 1;
    }
    return r ? fault(r) : 0;
}

static int check(struct tx *tx, const struct task_complete *req)
{
    int r = 0;

    if (req->n < 1 || req->n > TASK_BATCH_MAX)
        return tx_refuse(tx, CODE_INVALID, "a request completes 1 to %u tasks, not %zu",
                         TASK_BATCH_MAX, req->n);
    assert(req->list);
    for (size_t i = 0; !r && i < req->n; i++)
        r = check_result(tx, &req->list[i]);
    return r;
}

int task_complete_many(struct tx *tx, const struct task_complete *const *reqs,
                       struct task_codes *const *replies, struct tx_problem *problems, size_t n)
{
    struct told *list;
    size_t told_n = 0, at = 0;
    int r = 0;

    for (size_t i = 0; !r && i < n; i++) {
        r = tx_refuse_one(tx, check(tx, reqs[i]), &problems[i]);
        told_n += problems[i].code == CODE_OK ? reqs[i]->n : 0;
    }
    list = ARENA_ARRAY(tx->arena, struct told, told_n);
    for (size_t i = 0; !r && i < n; i++) {
        if (problems[i].code != CODE_OK)
            continue;
        *replies[i] =
            (struct task_codes){ARENA_ARRAY(tx->arena, enum code, reqs[i]->n), reqs[i]->n};
        for (size_t j = 0; j < reqs[i]->n; j++)
            list[at++] = (struct told){.result = &reqs[i]->list[j], .code = &replies[i]->list[j]};
    }
    if (!r && at)
        r = end_in_turns(tx, list, at);
    return r ? fault(r) : 0;
}

int task_complete(struct tx *tx, const struct task_complete *req, struct task_codes *reply)
{
    struct tx_problem problem;
    int r = task_complete_many(tx, &req, &reply, &problem, 1);

    return r ? fault(r) : tx_refused(tx, &problem);
}

/* A release as the completion that it is. */
static const struct task_complete *as_completion(struct tx *tx, const struct task_release *req)
{
    struct task_complete *ret = ARENA_NEW(tx->arena, struct task_complete);
    struct task_result *list = NULL;

    if (req->n <= TASK_BATCH_MAX)
        list = ARENA_ARRAY(tx->arena, struct task_result, req->n);
    for (size_t i = 0; list && i < req->n; i++)
        list[i] = (struct task_result){
            .lease = req->list[i],
            .outcome = OUTCOME_REJECTED,
            .exit_code = -1,
        };
    *ret = (struct task_complete){list, req->n};
    return ret;
}

int task_release_many(struct tx *tx, const struct task_release *const *reqs,
                      struct task_codes *const *replies, struct tx_problem *problems, size_t n)
{
    const struct task_complete **list = ARENA_ARRAY(tx->arena, const struct task_complete *, n);

    for (size_t i = 0; i < n; i++)
        list[i] = as_completion(tx, reqs[i]);
    return task_complete_many(tx, list, replies, problems, n);
}

int task_release(struct tx *tx, const struct task_release *req, struct task_codes *reply)
{
    return task_complete(tx, as_completion(tx, req), reply);
}
