/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks: where tasks stand, that nobody can tell it from what they do, and when they are opened.
 */
#include "engine/block.h"
#include "engine/engine_testing.h"

enum { N = 6 };

static const struct str mail = {"mail", 4};

static void payloads(struct world *w, struct task_new *list, size_t n)
{
    memset(list, 0, n * sizeof(*list));
    for (size_t i = 0; i < n; i++)
        list[i].payload = str_printf(&w->arena, "{\"n\":\"%zu:ü\"}", i);
}

static int64_t enqueue(struct world *w, const struct task_new *list, size_t n)
{
    struct task_ids ids;

    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){mail, list, n}, &ids));
    return ids.list[0];
}

/* A block of N tasks, and a worker. */
static int64_t fill(struct world *w)
{
    struct task_new list[N];

    world_join(w, 100);
    payloads(w, list, N);
    return enqueue(w, list, N);
}

/* Whether a table of blocks has a row that the task may be in. */
static bool stands(struct world *w, enum statement_id id, int64_t task)
{
    struct rows rows;

    DO(w, STORE_DO(w->store, id, &w->arena, &rows, INT(task)));
    return rows.n;
}

static struct queue_status status(struct world *w)
{
    struct queue_status q;

    DO(w, queue_get(&w->tx, &mail, &q));
    return q;
}

static struct task_details look(struct world *w, int64_t id)
{
    struct task_details d;

    DO(w, task_get(&w->tx, &(struct task_which){.id = id}, &d));
    return d;
}

static struct queue_task_list list(struct world *w, enum task_state s, struct str after,
                                   int64_t max)
{
    struct queue_task_list l;

    DO(w, queue_tasks(&w->tx, &(struct queue_tasks){mail, s, after, max}, &l));
    return l;
}

/* End the first n leases in one request. */
static struct task_codes end(struct world *w, const struct task_leases *l, size_t n, enum outcome o,
                             const char *output)
{
    struct task_result results[N] = {0};
    struct task_codes codes;

    for (size_t i = 0; i < n; i++)
        results[i] = (struct task_result){
            .lease = {l->list[i].task, l->list[i].token},
            .outcome = o,
            .reason = o == OUTCOME_SUCCEEDED ? TASK_REASON_NONE : TASK_REASON_WORKER_ERROR,
            .run_us = 1000 + (int64_t)i,
            .output = str_of(output),
        };
    DO(w, task_complete(&w->tx, &(struct task_complete){results, n}, &codes));
    return codes;
}

static void neighbours_travel_together(void **state)
{
    struct world *w = world(state);
    int64_t first = fill(w);
    struct task_leases l;
    struct task_codes codes;

    assert_true(stands(w, STMT_block_view, first));
    l = world_claim_queue(w, "mail", 2);
    assert_int_equal(l.n, 2);
    assert_int_equal(l.list[0].task, first);
    assert_int_equal(l.list[1].task, first + 1);
    assert_true(l.list[1].token > l.list[0].token);
    assert_string_equal(str_cstr(&w->arena, l.list[1].payload), "{\"n\":\"1:ü\"}");
    assert_true(stands(w, STMT_block_view, first) && stands(w, STMT_piece_view, first));
    world_healthy(w);
    codes = end(w, &l, 2, OUTCOME_SUCCEEDED, "{\"x\":1}");
    assert_true(codes.list[0] == CODE_OK && codes.list[1] == CODE_OK);
    assert_false(stands(w, STMT_piece_view, first));
    assert_true(stands(w, STMT_ended_of_task, first));
    assert_int_equal(status(w).counts[TASK_SUCCEEDED], 2);
    assert_int_equal(status(w).counts[TASK_READY], N - 2);
    l = world_claim_queue(w, "mail", N);
    assert_int_equal(l.n, N - 2);
    assert_false(stands(w, STMT_block_view, first));
    world_healthy(w);
}

/* Looking does not tell where a task stands, nor change it. */
static void looking_opens_nothing(void **state)
{
    struct world *w = world(state);
    int64_t first = fill(w);
    struct task_leases l = world_claim_queue(w, "mail", 2);
    struct queue_task_list page;
    struct task_details d;

    end(w, &l, 2, OUTCOME_SUCCEEDED, "{\"x\":1}");
    l = world_claim_queue(w, "mail", 1);
    d = look(w, first + 1);
    assert_int_equal(d.task.state, TASK_SUCCEEDED);
    assert_int_equal(d.task.attempts_n, 1);
    assert_int_equal(d.task.attempts[0].run_us, 1001);
    assert_string_equal(str_cstr(&w->arena, d.task.output), "{\"x\":1}");
    d = look(w, first + 2);
    assert_int_equal(d.task.state, TASK_RUNNING);
    assert_int_equal(d.task.attempts_n, 1);
    assert_int_equal(d.task.attempts[0].token, l.list[0].token);
    assert_true(d.task.holder.n > 0 && d.task.held_until > w->tx.now);
    d = look(w, first + 3);
    assert_int_equal(d.task.state, TASK_READY);
    assert_int_equal(d.task.attempts_n, 0);
    assert_string_equal(str_cstr(&w->arena, d.task.payload), "{\"n\":\"3:ü\"}");
    assert_true(d.why.n > 0);
    page = list(w, TASK_READY, STR(""), 2);
    assert_int_equal(page.n, 2);
    assert_int_equal(page.list[0].id, first + 3);
    page = list(w, TASK_READY, page.next, 2);
    assert_int_equal(page.n, 1);
    assert_int_equal(page.list[0].id, first + 5);
    assert_int_equal(page.next.n, 0);
    page = list(w, TASK_RUNNING, STR(""), 5);
    assert_int_equal(page.n, 1);
    assert_int_equal(page.list[0].id, first + 2);
    assert_true(status(w).oldest_ready_at > 0);
    assert_true(stands(w, STMT_block_view, first) && stands(w, STMT_piece_view, first + 2));
}

/* Tasks with and without blocks come in one order, and lists have the same. */
static void the_order_is_that_of_all_tasks(void **state)
{
    static const struct {
        int64_t priority;
        const char *key;
        size_t n;
    } batches[] = {
        {0, "",  4},
        {0, "k", 1},
        {3, "",  5},
        {0, "",  4},
        {3, "k", 2},
        {5, "",  1},
    };
    static const int order[] = {5, 2, 4, 0, 1, 3};
    struct world *w = world(state);
    struct queue_task_list page;
    struct task_leases l;
    int64_t firsts[ROWS_N(batches)];
    size_t at = 0;

    world_join(w, 100);
    for (size_t i = 0; i < ROWS_N(batches); i++) {
        struct task_new tasks[N];

        payloads(w, tasks, batches[i].n);
        for (size_t k = 0; k < batches[i].n; k++) {
            tasks[k].priority = batches[i].priority;
            tasks[k].key = str_of(batches[i].key);
        }
        firsts[i] = enqueue(w, tasks, batches[i].n);
    }
    page = list(w, TASK_READY, STR(""), 100);
    l = world_claim_queue(w, "mail", 100);
    assert_int_equal(l.n, 17);
    assert_int_equal(page.n, 17);
    for (size_t i = 0; i < ROWS_N(order); i++)
        for (size_t k = 0; k < batches[order[i]].n; k++, at++) {
            assert_int_equal(l.list[at].task, firsts[order[i]] + (int64_t)k);
            assert_int_equal(page.list[at].id, l.list[at].task);
        }
    world_healthy(w);
}

static void a_completion_is_known_again(void **state)
{
    struct world *w = world(state);
    struct task_leases l, wrong;
    int64_t first = fill(w);

    l = world_claim_queue(w, "mail", 3);
    wrong = l;
    wrong.list = arena_alloc(&w->arena, 3 * sizeof(*l.list));
    memcpy(wrong.list, l.list, 3 * sizeof(*l.list));
    wrong.list[0].token += 1; /* its neighbour's */
    assert_int_equal(end(w, &wrong, 1, OUTCOME_SUCCEEDED, "").list[0], CODE_LEASE_LOST);
    wrong.list[0].token = INT64_MAX;
    wrong.list[0].task = INT64_MIN;
    assert_int_equal(end(w, &wrong, 1, OUTCOME_SUCCEEDED, "").list[0], CODE_LEASE_LOST);
    assert_true(stands(w, STMT_piece_view, first));
    end(w, &l, 3, OUTCOME_SUCCEEDED, "{}");
    assert_true(stands(w, STMT_ended_of_task, first));
    assert_int_equal(end(w, &l, 3, OUTCOME_SUCCEEDED, "{}").list[2], CODE_OK);
    assert_int_equal(end(w, &l, 1, OUTCOME_SUCCEEDED, "{\"y\":2}").list[0],
                     CODE_COMPLETION_CONFLICT);
    assert_int_equal(end(w, &l, 1, OUTCOME_FAILED, "").list[0], CODE_COMPLETION_CONFLICT);
    assert_int_equal(status(w).counts[TASK_SUCCEEDED], 3);
    world_healthy(w);
}

/* Complete a whole block with results of so many bytes each; twice. Memory of the second time. */
static size_t repeat(struct world *w, size_t n, size_t bytes)
{
    struct task_new *list = arena_alloc(&w->arena, n * sizeof(*list));
    struct task_result *results = arena_alloc(&w->arena, n * sizeof(*results));
    const struct str output = str_printf(&w->arena, "%0*d", (int)bytes, 0);
    struct task_codes codes;
    struct task_leases l;
    size_t before = 0;

    memset(list, 0, n * sizeof(*list));
    enqueue(w, list, n);
    l = world_claim_queue(w, "mail", (int64_t)n);
    assert_int_equal(l.n, n);
    for (size_t i = 0; i < n; i++)
        results[i] = (struct task_result){
            .lease = {l.list[i].task, l.list[i].token},
            .outcome = OUTCOME_SUCCEEDED,
            .output = output,
        };
    for (int k = 0; k < 2; k++) {
        before = w->arena.bytes;
        DO(w, task_complete(&w->tx, &(struct task_complete){results, n}, &codes));
        assert_true(codes.list[0] == CODE_OK && codes.list[n - 1] == CODE_OK);
    }
    return w->arena.bytes - before;
}

/* What was told of a whole piece is read once, not for each of its tasks. */
static void a_repetition_is_cheap(void **state)
{
    struct world *w = world(state);

    world_join(w, 1000);
    assert_in_range(repeat(w, BLOCK_TASKS_MAX, 1000), 0, 8 * BLOCK_TASKS_MAX * 1000);
}

/* A row of pieces that ended is read whole, also for one of its tasks. */
static void large_results_have_rows_of_their_own(void **state)
{
    struct world *w = world(state);

    world_join(w, 1000);
    repeat(w, BLOCK_TASKS_MAX, 4096);
    assert_false(stands(w, STMT_ended_of_task, INT64_MAX));
    assert_int_equal(status(w).counts[TASK_SUCCEEDED], BLOCK_TASKS_MAX);
    world_healthy(w);
}

static void cancel_waiting(struct world *w, int64_t first, const struct task_leases *l)
{
    struct task_now now;

    (void)l;
    DO(w, task_cancel(&w->tx, &(struct task_which){.id = first + 4}, &now));
    assert_int_equal(now.state, TASK_CANCELLED);
}

static void cancel_held(struct world *w, int64_t first, const struct task_leases *l)
{
    struct task_now now;

    (void)l;
    DO(w, task_cancel(&w->tx, &(struct task_which){.id = first}, &now));
    assert_int_equal(now.state, TASK_RUNNING);
}

static void complete_some(struct world *w, int64_t first, const struct task_leases *l)
{
    (void)first;
    assert_int_equal(end(w, l, 1, OUTCOME_SUCCEEDED, "").list[0], CODE_OK);
}

static void fail_all(struct world *w, int64_t first, const struct task_leases *l)
{
    (void)first;
    assert_int_equal(end(w, l, 3, OUTCOME_FAILED, "").list[2], CODE_OK);
}

static void give_back(struct world *w, int64_t first, const struct task_leases *l)
{
    const struct lease_ref refs[] = {
        {l->list[0].task, l->list[0].token},
        {l->list[2].task, l->list[2].token}
    };
    struct task_codes codes;

    (void)first;
    DO(w, task_release(&w->tx, &(struct task_release){refs, 2}, &codes));
    assert_int_equal(codes.list[1], CODE_OK);
}

static void tell_progress(struct world *w, int64_t first, const struct task_leases *l)
{
    const struct lease_ref ref = {l->list[1].task, l->list[1].token};
    const struct lease_progress p = {.lease = ref, .percent = 50, .message = STR("half")};
    struct lease_renewals reply;

    DO(w, lease_renew(&w->tx, &(struct lease_renew){&p, 1, 0}, &reply));
    assert_int_equal(reply.list[0].code, CODE_OK);
    assert_int_equal(look(w, first + 1).task.attempts[0].percent, 50);
}

static void lose(struct world *w, int64_t first, const struct task_leases *l)
{
    struct worker_lose_reply lost;

    (void)first;
    (void)l;
    DO(w, worker_lose(&w->tx, &(struct worker_lose){w->worker, STR("test"), 0}, &lost));
    assert_int_equal(lost.n, 3);
}

static void purge(struct world *w, int64_t first, const struct task_leases *l)
{
    struct queue_purged purged;

    (void)first;
    (void)l;
    DO(w, queue_purge(&w->tx, &(struct queue_purge){mail, 1u << TASK_READY}, &purged));
    assert_int_equal(purged.purged, N - 3);
}

static void requeue(struct world *w, int64_t first, const struct task_leases *l)
{
    const struct queue_requeue_item item = {.id = first};
    struct queue_requeued reply;

    (void)l;
    DO(w, queue_requeue(&w->tx, &(struct queue_requeue){.queue = mail, .list = &item, .n = 1},
                        &reply));
    assert_int_equal(reply.results[0].code, CODE_TASK_STATE);
}

/* Three of a block are held; something is done to one of its tasks. */
static void what_is_special_opens(void **state)
{
    static const struct {
        const char *name;
        void (*what)(struct world *w, int64_t first, const struct task_leases *l);
        bool block, piece; /* that is left closed */
        int ready, delayed, running, succeeded, failed, cancelled;
    } rows[] = {
        {"a task that waits is cancelled", cancel_waiting, false, true,  2, 0, 3, 0, 0, 1},
        {"a held task is cancelled",       cancel_held,    true,  false, 3, 0, 3, 0, 0, 0},
        {"one of three succeeds",          complete_some,  true,  false, 3, 0, 2, 1, 0, 0},
        {"all fail",                       fail_all,       true,  false, 3, 0, 0, 0, 3, 0},
        {"two are given back",             give_back,      true,  false, 5, 0, 1, 0, 0, 0},
        {"progress is told",               tell_progress,  true,  false, 3, 0, 3, 0, 0, 0},
        {"the worker is lost",             lose,           true,  false, 6, 0, 0, 0, 0, 0},
        {"the queue is purged",            purge,          false, true,  0, 0, 3, 0, 0, 3},
        {"a held task is to be requeued",  requeue,        true,  false, 3, 0, 3, 0, 0, 0},
    };
    struct world *w = world(state);
    int64_t before[TASK_STATE_N] = {0};

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct queue_purged purged;
        struct task_leases l;
        struct queue_status q;
        int64_t first;

        w->row = rows[i].name;
        first = fill(w);
        l = world_claim_queue(w, "mail", 3);
        memcpy(before, status(w).counts, sizeof(before));
        rows[i].what(w, first, &l);
        q = status(w);
        CHECK_ROW(rows[i].name, stands(w, STMT_block_view, first) == rows[i].block);
        CHECK_ROW(rows[i].name, stands(w, STMT_piece_view, first) == rows[i].piece);
        CHECK_ROW(rows[i].name, q.counts[TASK_READY] == rows[i].ready);
        CHECK_ROW(rows[i].name, q.counts[TASK_DELAYED] == rows[i].delayed);
        CHECK_ROW(rows[i].name, q.counts[TASK_RUNNING] == rows[i].running);
        CHECK_ROW(rows[i].name,
                  q.counts[TASK_SUCCEEDED] - before[TASK_SUCCEEDED] == rows[i].succeeded);
        CHECK_ROW(rows[i].name, q.counts[TASK_FAILED] - before[TASK_FAILED] == rows[i].failed);
        CHECK_ROW(rows[i].name,
                  q.counts[TASK_CANCELLED] - before[TASK_CANCELLED] == rows[i].cancelled);
        world_healthy(w);
        end(w, &l, 3, OUTCOME_SUCCEEDED, "");
        DO(w,
           queue_purge(&w->tx, &(struct queue_purge){mail, 1u << TASK_READY | 1u << TASK_DELAYED},
                       &purged));
    }
}

static void a_guest_s_piece_expires(void **state)
{
    struct world *w = world(state);
    const struct task_claim req = {
        .guest = STR("g"), .queue = mail, .max = 4, .ttl_us = 5 * CLOCK_S};
    struct reaper_reply reaped;
    struct task_leases l;
    int64_t first = fill(w);

    w->now = status(w).created_at + CLOCK_S;
    DO(w, task_claim(&w->tx, &req, &l));
    assert_int_equal(l.n, 4);
    assert_int_equal(look(w, first).task.held_until, w->now + 5 * CLOCK_S);
    w->now += 4 * CLOCK_S;
    reaped = world_reap(w);
    assert_int_equal(reaped.expired, 0);
    assert_true(stands(w, STMT_piece_view, first));
    w->now += 2 * CLOCK_S;
    reaped = world_reap(w);
    assert_int_equal(reaped.expired, 4);
    assert_int_equal(end(w, &l, 4, OUTCOME_SUCCEEDED, "").list[3], CODE_LEASE_LOST);
    world_healthy(w);
}

static void what_has_ended_is_forgotten(void **state)
{
    struct world *w = world(state);
    struct reaper_forgotten forgotten;
    struct task_leases l;
    int64_t first = fill(w);

    w->now = status(w).created_at + CLOCK_S;
    l = world_claim_queue(w, "mail", N);
    end(w, &l, N, OUTCOME_SUCCEEDED, "");
    w->now += QUEUE_RETENTION_US - CLOCK_S;
    DO(w, reaper_forget(&w->tx, NULL, &forgotten));
    assert_int_equal(forgotten.attempts, 0);
    w->now += 2 * CLOCK_S;
    DO(w, reaper_forget(&w->tx, NULL, &forgotten));
    assert_int_equal(forgotten.attempts, N);
    assert_false(stands(w, STMT_ended_of_task, first));
    assert_int_equal(status(w).counts[TASK_SUCCEEDED], N);
}

/* The payloads of a row that somebody has written over. */
static void damage_is_told(void **state)
{
    static const struct {
        const char *name, *packed;
    } rows[] = {
        {"nothing",            ""                  },
        {"no length",          "abc"               },
        {"no colon",           "3"                 },
        {"a length too large", "4:abc"             },
        {"a length below 0",   "-1:abc"            },
        {"a very large one",   "99999999999999:abc"},
        {"one too few",        "3:abc"             },
    };
    struct world *w = world(state);
    struct str list[2];

    for (size_t i = 0; i < ROWS_N(rows); i++)
        CHECK_ROW(rows[i].name, block_unpack(&w->tx, 7, str_of(rows[i].packed), 2, list) < 0);
    assert_int_equal(block_unpack(&w->tx, 7, STR("3:a:b0:"), 2, list), 0);
    assert_string_equal(str_cstr(&w->arena, list[0]), "a:b");
    assert_int_equal(list[1].n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(neighbours_travel_together),
        ENGINE_TESTS(looking_opens_nothing),
        ENGINE_TESTS(the_order_is_that_of_all_tasks),
        ENGINE_TESTS(a_completion_is_known_again),
        ENGINE_TESTS(a_repetition_is_cheap),
        ENGINE_TESTS(large_results_have_rows_of_their_own),
        ENGINE_TESTS(what_is_special_opens),
        ENGINE_TESTS(a_guest_s_piece_expires),
        ENGINE_TESTS(what_has_ended_is_forgotten),
        ENGINE_TESTS(damage_is_told),
    };

    return ENGINE_MAIN(tests);
}
