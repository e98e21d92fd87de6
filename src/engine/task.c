/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/task.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "core/lease.h"
#include "engine/change.h"
#include "engine/queue.h"
#include "engine/run.h"
#include "engine/sets.h"
#include "engine/view.h"
#include "engine/why.h"

static int check_enqueue(struct tx *tx, const struct task_enqueue *req)
{
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
        if (t->delay_us < 0 || t->delay_us > DEFINITION_TIMEOUT_US_MAX || t->timeout_us < 0 ||
            t->timeout_us > DEFINITION_TIMEOUT_US_MAX)
            return tx_refuse(tx, CODE_INVALID,
                             "the delay and the timeout of task %zu lie between 0 and 366 days", i);
    }
    return 0;
}

/* Room for n more open tasks. */
static int check_room(struct tx *tx, struct str queue, size_t n)
{
    struct queue_status q;
    int64_t open = 0;
    int r = queue_get(tx, &queue, &q);

    if (r)
        return r;
    for (int s = 0; s < TASK_STATE_N; s++)
        open += task_final(s) ? 0 : q.counts[s];
    if (open + (int64_t)n > q.tasks_max)
        return tx_refuse(tx, CODE_QUEUE_FULL,
                         "queue \"%.*s\" holds %" PRId64 " open tasks of at most %" PRId64
                         "; %zu more do not fit",
                         STR_ARG(queue), open, q.tasks_max, n);
    return 0;
}

int task_enqueue(struct tx *tx, const struct task_enqueue *req, struct task_ids *reply)
{
    struct sets sets = {0};
    int r = check_enqueue(tx, req);

    if (!r)
        r = check_room(tx, req->queue, req->n);
    if (r)
        return r == ENGINE_E_REFUSED ? r : fault(r);
    reply->n = req->n;
    reply->list = ARENA_ARRAY(tx->arena, int64_t, req->n);
    r = store_ids(tx->store, req->n, reply->list);
    if (r)
        return fault(r);
    for (size_t i = 0; i < req->n; i++) {
        const struct task_new *n = &req->list[i];
        struct task t = {.state = TASK_BLOCKED, .due_at = n->delay_us ? tx->now + n->delay_us : 0};
        char text[RETRY_TEXT_BYTES];
        struct str retry = n->retry ? str_copy(tx->arena, retry_format(n->retry, text)) : STR("");

        task_move(&t, TASK_MET, tx->now, NULL, tx->prng, NULL);
        tx_count(tx, 0, req->queue, t.state, 1);
        SETS_ADD(&sets, tx->arena, INT(reply->list[i]), INT(0), TEXT(req->queue), TEXT(STR("")),
                 TEXT(task_state_text(t.state)), TEXT(task_reason_text(t.reason)), INT(n->priority),
                 TEXT(retry), INT(t.due_at), INT(0), INT(n->timeout_us),
                 INT(t.state == TASK_READY ? tx->now : 0), INT(tx->now), TEXT(n->payload));
    }
    r = sets_run(&sets, tx, STMT_task_add, 14, NULL);
    return r ? fault(r) : 0;
}

/* How many of a run's tasks may still be taken, at most `max`. */
static int room_of_run(struct tx *tx, int64_t id, int64_t max, int64_t *ret)
{
    struct rows rows;
    struct run_row run;
    int r = STORE_DO(tx->store, STMT_run_lock, tx->arena, &rows, INT(id));

    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_RUN_NOT_FOUND, "run %" PRId64 " does not exist", id);
    r = row_run(tx, &rows, 0, &run);
    if (r)
        return fault(r);
    *ret = max;
    if (run.max_parallel > 0 && run.max_parallel - run.held < max)
        *ret = run.max_parallel - run.held;
    return 0;
}

static int room_of_queue(struct tx *tx, const struct task_claim *req, int64_t *ret,
                         int64_t *ret_ttl_us)
{
    struct queue_status q;
    int r = queue_settings(tx, &req->queue, &q);

    *ret = q.paused ? 0 : req->max;
    *ret_ttl_us = req->ttl_us ? req->ttl_us : q.claim_ttl_us;
    return r;
}

/* Whoever claims without a heartbeat: its leases have an end of their own, and no slots are
 * counted. */
static int check_guest(struct tx *tx, const struct task_claim *req)
{
    if (req->run)
        return tx_refuse(tx, CODE_INVALID, "tasks of a run are given to registered workers only");
    if (req->ttl_us && (req->ttl_us < LEASE_TTL_US_MIN || req->ttl_us > LEASE_TTL_US_MAX))
        return tx_refuse(tx, CODE_INVALID, "the ttl of a lease lies between 1 s and 7 days");
    return 0;
}

/* How many more tasks a worker may hold. Its row is locked before they are counted: two claims of
 * one worker, or its end and a claim, come one after the other. */
static int room_of_worker(struct tx *tx, int64_t incarnation, int64_t *ret)
{
    struct rows rows;
    struct worker_row w;
    int r = STORE_DO(tx->store, STMT_worker_lock, tx->arena, &rows, INT(incarnation));

    *ret = 0;
    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_WORKER_NOT_FOUND, "worker %" PRId64 " is not registered",
                         incarnation);
    r = row_worker(tx, &rows, 0, &w);
    if (r)
        return fault(r);
    if (worker_over(w.state))
        return tx_refuse(tx, CODE_WORKER_LOST,
                         "worker %" PRId64 " is %s and may take no tasks; register again",
                         incarnation, worker_state_text(w.state).p);
    if (!worker_claims(w.state))
        return 0;
    r = STORE_DO(tx->store, STMT_worker_busy, tx->arena, &rows, INT(incarnation));
    if (r)
        return fault(r);
    *ret = w.slots - row_int(&rows, 0, 0);
    return 0;
}

static int next_due(struct tx *tx, const struct task_claim *req, int64_t *ret)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_task_next_due, tx->arena, &rows, INT(req->run),
                     TEXT(req->run ? STR("") : req->queue));

    *ret = !r && rows.n ? row_int(&rows, 0, 0) : 0;
    return r ? fault(r) : 0;
}

static int take(struct tx *tx, int64_t worker, int64_t expires_at, const struct rows *rows,
                struct task_leases *reply)
{
    int64_t *tokens = ARENA_ARRAY(tx->arena, int64_t, rows->n);
    struct change c;
    int r = store_ids(tx->store, rows->n, tokens);

    if (r)
        return fault(r);
    change_init(&c, tx);
    reply->list = ARENA_ARRAY(tx->arena, struct task_lease, rows->n);
    for (size_t i = 0; i < rows->n; i++) {
        struct task_row row;

        r = row_task(tx, rows, i, &row);
        if (r)
            return fault(r);
        if (change_take(&c, &row, tokens[i], worker, expires_at))
            continue;
        reply->list[reply->n++] = (struct task_lease){
            .task = row.id,
            .run = row.run,
            .token = row.token,
            .attempt = row.task.attempts,
            .timeout_us = row.timeout_us,
            .deadline_at = row.timeout_us ? tx->now + row.timeout_us : 0,
            .expires_at = expires_at,
            .started_at = tx->now,
            .queue_wait_us = tx->now > row.ready_at ? tx->now - row.ready_at : 0,
            .name = row.name,
            .payload = row_text(rows, i, ROW_TASK_COLUMNS),
        };
    }
    r = change_write(&c);
    return r ? fault(r) : 0;
}

int task_claim(struct tx *tx, const struct task_claim *req, struct task_leases *reply)
{
    int64_t room = 0, slots = 0, ttl_us = 0, worker = req->worker;
    struct rows rows = {0};
    int r = 0;

    *reply = (struct task_leases){0};
    if (req->max < 1 || req->max > TASK_BATCH_MAX)
        return tx_refuse(tx, CODE_INVALID, "a claim takes 1 to %u tasks, not %" PRId64,
                         TASK_BATCH_MAX, req->max);
    if (!worker)
        r = check_guest(tx, req);
    if (!r)
        r = req->run ? room_of_run(tx, req->run, req->max, &room)
                     : room_of_queue(tx, req, &room, &ttl_us);
    if (!r && room > 0)
        r = STORE_DO(tx->store, STMT_task_ready, tx->arena, &rows, INT(req->run),
                     TEXT(req->run ? STR("") : req->queue), INT(room));
    if (!r && !worker)
        r = worker_guest(tx, &req->guest, &worker);
    else if (!r)
        r = room_of_worker(tx, worker, &slots);
    if (req->worker && (int64_t)rows.n > slots)
        rows.n = slots > 0 ? (size_t)slots : 0;
    if (!r)
        r = rows.n ? take(tx, worker, req->worker ? 0 : tx->now + ttl_us, &rows, reply)
                   : next_due(tx, req, &reply->next_due_at);
    return r == ENGINE_E_REFUSED ? r : r ? fault(r) : 0;
}

static struct str digest_of(struct tx *tx, const struct task_result *res)
{
    char text[LEASE_DIGEST_BYTES];
    const struct str parts[] = {retry_outcome_text(res->outcome), task_reason_text(res->reason),
                                res->message, res->output};

    return str_copy(tx->arena, lease_digest(parts, sizeof(parts) / sizeof(*parts), text));
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

static int lock_tasks(struct tx *tx, const struct task_result *list, size_t n, struct found *ret)
{
    struct sets sets = {0};

    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, tx->arena, INT(list[i].lease.task));
    return find(tx, &sets, STMT_task_lock, ret);
}

/* The lease is not live: was this said before? */
static enum code judge_ended(struct tx *tx, const struct found *attempts,
                             const struct task_result *res)
{
    const struct rows *rows = &attempts->rows;
    struct str known = {0};
    bool ended = false;
    size_t at;

    /* One that the engine ended itself has no digest: nobody has told how it came out. */
    if (find_place(attempts, res->lease.token, &at) && row_int(rows, at, 1) == res->lease.task) {
        known = row_text(rows, at, 2);
        ended = known.n;
    }
    switch (lease_judge(res->lease.token, 0, ended, known, digest_of(tx, res))) {
    case LEASE_REPEATED:
        return CODE_OK;
    case LEASE_CONFLICT:
        return CODE_COMPLETION_CONFLICT;
    default:
        return CODE_LEASE_LOST;
    }
}

/* The results whose leases are not live, as `stale` says. */
static int judge_stale(struct tx *tx, const struct task_result *list, size_t n, const bool *stale,
                       struct task_codes *reply)
{
    struct sets sets = {0};
    struct found attempts;
    int r;

    for (size_t i = 0; i < n; i++)
        if (stale[i])
            SETS_ADD(&sets, tx->arena, INT(list[i].lease.token));
    r = find(tx, &sets, STMT_attempt_by_token, &attempts);
    for (size_t i = 0; !r && i < n; i++)
        if (stale[i])
            reply->list[i] = judge_ended(tx, &attempts, &list[i]);
    return r ? fault(r) : 0;
}

static int complete_all(struct tx *tx, const struct task_result *list, size_t n,
                        struct task_codes *reply)
{
    bool *stale = ARENA_ARRAY(tx->arena, bool, n);
    struct found locked;
    struct change c;
    int r = lock_tasks(tx, list, n, &locked);

    if (r)
        return fault(r);
    change_init(&c, tx);
    for (size_t i = 0; i < n; i++) {
        const struct task_result *res = &list[i];
        struct task_row row = {0};
        size_t at;

        reply->list[i] = CODE_OK;
        if (find_place(&locked, res->lease.task, &at))
            r = row_task(tx, &locked.rows, at, &row);
        if (r)
            return fault(r);
        stale[i] = row.token == 0 || row.token != res->lease.token;
        if (!stale[i] &&
            change_end_attempt(&c, &row, task_event_of(res->outcome), res, digest_of(tx, res)))
            reply->list[i] = CODE_TASK_STATE;
    }
    r = judge_stale(tx, list, n, stale, reply);
    if (!r)
        r = change_write(&c);
    return r ? fault(r) : 0;
}

/* One lease twice in a request would end it twice. */
static int by_lease(const void *a, const void *b)
{
    const struct lease_ref *x = a, *y = b;

    return (x->token > y->token) - (x->token < y->token);
}

static bool repeated(struct tx *tx, const struct task_result *list, size_t n)
{
    struct lease_ref *refs = ARENA_ARRAY(tx->arena, struct lease_ref, n);

    for (size_t i = 0; i < n; i++)
        refs[i] = list[i].lease;
    qsort(refs, n, sizeof(*refs), by_lease);
    for (size_t i = 1; i < n; i++)
        if (refs[i].token == refs[i - 1].token)
            return true;
    return false;
}

static int check_count(struct tx *tx, size_t n)
{
    if (n < 1 || n > TASK_BATCH_MAX)
        return tx_refuse(tx, CODE_INVALID, "a request completes 1 to %u tasks, not %zu",
                         TASK_BATCH_MAX, n);
    return 0;
}

int task_complete(struct tx *tx, const struct task_complete *req, struct task_codes *reply)
{
    int r = check_count(tx, req->n);

    if (r)
        return r;
    for (size_t i = 0; i < req->n; i++) {
        r = check_result(tx, &req->list[i]);
        if (r)
            return r;
    }
    reply->n = req->n;
    reply->list = ARENA_ARRAY(tx->arena, enum code, req->n);
    if (!repeated(tx, req->list, req->n)) {
        r = complete_all(tx, req->list, req->n, reply);
        return r ? fault(r) : 0;
    }
    for (size_t i = 0; i < req->n; i++) {
        struct task_codes one = {&reply->list[i], 1};

        r = complete_all(tx, &req->list[i], 1, &one);
        if (r)
            return fault(r);
    }
    return 0;
}

int task_release(struct tx *tx, const struct task_release *req, struct task_codes *reply)
{
    struct task_result *list;
    int r = check_count(tx, req->n);

    if (r)
        return r;
    list = ARENA_ARRAY(tx->arena, struct task_result, req->n);
    for (size_t i = 0; i < req->n; i++)
        list[i] = (struct task_result){
            .lease = req->list[i],
            .outcome = OUTCOME_REJECTED,
            .exit_code = -1,
        };
    return task_complete(tx, &(struct task_complete){list, req->n}, reply);
}

/* Whether the request is done, refused or failed with all the others. */
static int note_refusal(struct tx *tx, int r, struct tx_problem *problem)
{
    *problem = (struct tx_problem){0};
    if (r == ENGINE_E_REFUSED)
        *problem = tx->problem;
    tx->problem = (struct tx_problem){0};
    return r == ENGINE_E_REFUSED ? 0 : r ? fault(r) : 0;
}

int task_enqueue_many(struct tx *tx, const struct task_enqueue *const *reqs,
                      struct task_ids *const *replies, struct tx_problem *problems, size_t n)
{
    int r = 0;

    for (size_t i = 0; !r && i < n; i++)
        r = note_refusal(tx, task_enqueue(tx, reqs[i], replies[i]), &problems[i]);
    return r ? fault(r) : 0;
}

int task_claim_many(struct tx *tx, const struct task_claim *const *reqs,
                    struct task_leases *const *replies, struct tx_problem *problems, size_t n)
{
    int r = 0;

    for (size_t i = 0; !r && i < n; i++)
        r = note_refusal(tx, task_claim(tx, reqs[i], replies[i]), &problems[i]);
    return r ? fault(r) : 0;
}

int task_complete_many(struct tx *tx, const struct task_complete *const *reqs,
                       struct task_codes *const *replies, struct tx_problem *problems, size_t n)
{
    int r = 0;

    for (size_t i = 0; !r && i < n; i++)
        r = note_refusal(tx, task_complete(tx, reqs[i], replies[i]), &problems[i]);
    return r ? fault(r) : 0;
}

int task_release_many(struct tx *tx, const struct task_release *const *reqs,
                      struct task_codes *const *replies, struct tx_problem *problems, size_t n)
{
    int r = 0;

    for (size_t i = 0; !r && i < n; i++)
        r = note_refusal(tx, task_release(tx, reqs[i], replies[i]), &problems[i]);
    return r ? fault(r) : 0;
}

static int find_id(struct tx *tx, const struct task_which *req, int64_t *ret)
{
    struct rows rows;
    int r;

    *ret = req->id;
    if (req->id)
        return 0;
    r = STORE_DO(tx->store, STMT_task_find, tx->arena, &rows, INT(req->run), TEXT(req->name));
    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_TASK_NOT_FOUND, "run %" PRId64 " has no task \"%.*s\"", req->run,
                         STR_ARG(req->name));
    *ret = row_int(&rows, 0, 0);
    return 0;
}

/* A task of a queue that has ended and left: what its newest attempt tells. */
static int read_gone(struct tx *tx, int64_t id, struct task_view *ret)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_attempt_task, tx->arena, &rows, INT(id));
    enum outcome o;

    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_TASK_NOT_FOUND, "task %" PRId64 " does not exist", id);
    *ret = (struct task_view){
        .id = id,
        .run = row_int(&rows, 0, 0),
        .queue = row_text(&rows, 0, 1),
        .ended_at = row_int(&rows, 0, 4),
        .state = TASK_CANCELLED,
    };
    if (retry_outcome_parse(row_text(&rows, 0, 2), &o) && o == OUTCOME_SUCCEEDED) {
        ret->state = TASK_SUCCEEDED;
        ret->output = row_text(&rows, 0, 5);
    }
    return 0;
}

static int read_attempts(struct tx *tx, struct task_view *v, const struct task_attempt *running)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_attempt_of_task, tx->arena, &rows, INT(v->id));

    if (r)
        return fault(r);
    v->attempts = ARENA_ARRAY(tx->arena, struct task_attempt, rows.n + 1);
    for (size_t i = 0; !r && i < rows.n; i++)
        r = view_attempt(tx, &rows, i, &v->attempts[v->attempts_n++]);
    if (r)
        return fault(r);
    if (task_held(v->state))
        v->attempts[v->attempts_n++] = *running;
    return 0;
}

int task_get(struct tx *tx, const struct task_which *req, struct task_details *reply)
{
    struct task_attempt running = {0};
    struct rows rows;
    int64_t id;
    int r = find_id(tx, req, &id);

    *reply = (struct task_details){0};
    if (r)
        return r;
    r = STORE_DO(tx->store, STMT_task_view, tx->arena, &rows, INT(id));
    if (r)
        return fault(r);
    if (rows.n)
        r = view_task(tx, &rows, 0, &reply->task, &running);
    else
        r = read_gone(tx, id, &reply->task);
    if (r)
        return r;
    r = read_attempts(tx, &reply->task, &running);
    if (!r)
        r = why_groups(tx, reply);
    if (!r)
        r = why_task(tx, reply);
    return r ? fault(r) : 0;
}

/* A dead letter of a queue goes back to its queue, where there is room. */
static int requeue_one(struct tx *tx, struct task_row *row)
{
    struct task moved = row->task;
    struct change c;
    int r;

    if (task_move(&moved, TASK_REQUEUE, tx->now, NULL, tx->prng, NULL))
        return tx_refuse(tx, CODE_TASK_STATE,
                         "task %" PRId64 " is %s; only a task that is FAILED, CANCELLED or SKIPPED "
                         "can be given back",
                         row->id, task_state_text(row->task.state).p);
    r = check_room(tx, row->queue, 1);
    if (r)
        return r == ENGINE_E_REFUSED ? r : fault(r);
    change_init(&c, tx);
    change_move(&c, row, TASK_REQUEUE, STR(""));
    r = change_write(&c);
    return r ? fault(r) : 0;
}

int task_requeue(struct tx *tx, const struct task_which *req, struct task_details *reply)
{
    struct task_row row;
    struct rows rows;
    int64_t id;
    int r = find_id(tx, req, &id);

    if (r)
        return r;
    r = STORE_DO(tx->store, STMT_task_lock, tx->arena, &rows, INT(id));
    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_TASK_NOT_FOUND, "task %" PRId64 " does not exist, or has ended",
                         id);
    r = row_task(tx, &rows, 0, &row);
    if (r)
        return fault(r);
    r = row.run ? run_rewind(tx, row.run, id, NULL) : requeue_one(tx, &row);
    if (r)
        return r;
    return task_get(tx, &(struct task_which){.id = id}, reply);
}
