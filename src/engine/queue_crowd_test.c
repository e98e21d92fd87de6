/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many processors at once on one queue, each with a thread and a connection of its own: no record
 * is given out twice, none is left over, and the counts are right.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/fault.h"
#include "engine/engine_testing.h"
#include "engine/lease.h"

#define MEMBERS_MAX 20
#define CLAIMED_MAX 200
#define KEYS        4
#define KEYED_TASKS 60
#define CLAIMS_MAX  100000

struct member;
typedef void job(struct member *m);

struct crowd {
    job *job;
    pthread_barrier_t start;
    atomic_int failed;       /* requests that failed or were refused */
    struct task_leases work; /* for those who complete: theirs is each n-th */
    size_t n;
    atomic_int busy[KEYS];     /* tasks of a key that somebody holds */
    atomic_llong newest[KEYS]; /* the last task of a key that was given out */
    atomic_int added, ended;
};

struct member {
    struct crowd *crowd;
    pthread_t thread;
    size_t number;
    struct store *store;
    struct arena arena;
    struct prng prng;
    struct tx tx;
    int64_t worker;
    struct task_lease claimed[CLAIMED_MAX];
    size_t claimed_n;
};

typedef int request(struct tx *tx, const void *req, void *reply);
#define REQUEST(name)                                                                              \
    static int do_##name(struct tx *tx, const void *req, void *reply)                              \
    {                                                                                              \
        return name(tx, req, reply);                                                               \
    }
REQUEST(task_enqueue)
REQUEST(task_claim)
REQUEST(task_complete)
REQUEST(queue_get)
REQUEST(queue_put)
REQUEST(worker_join)
REQUEST(lease_renew)

/* One transaction; what lost a deadlock or a lock is done again. */
static bool run(struct member *m, request *call, const void *req, void *reply)
{
    int r;

    do {
        r = tx_begin(&m->tx);
        if (!r)
            r = call(&m->tx, req, reply);
        if (!r)
            r = tx_commit(&m->tx);
        else
            tx_rollback(&m->tx);
    } while (r == -EAGAIN || r == -EBUSY);
    if (r)
        atomic_fetch_add(&m->crowd->failed, 1);
    return r == 0;
}

static void claim(struct member *m, int64_t max)
{
    const struct task_claim req = {.worker = m->worker, .queue = STR("mail"), .max = max};
    struct task_leases reply;

    if (!run(m, do_task_claim, &req, &reply))
        return;
    for (size_t i = 0; i < reply.n && m->claimed_n < CLAIMED_MAX; i++)
        m->claimed[m->claimed_n++] = reply.list[i];
}

static void end(struct member *m, const struct task_lease *l, enum outcome outcome)
{
    const struct task_result result = {
        .lease = {l->task, l->token},
        .outcome = outcome,
        .exit_code = -1,
        .message =
            outcome == OUTCOME_FAILED ? str_printf(&m->arena, "record %" PRId64, l->task) : STR(""),
    };
    struct task_codes codes;

    if (run(m, do_task_complete, &(struct task_complete){&result, 1}, &codes) &&
        codes.list[0] != CODE_OK)
        atomic_fetch_add(&m->crowd->failed, 1);
}

static void add(struct member *m, struct str queue, size_t n)
{
    struct task_new list[100];
    struct task_ids ids;

    for (size_t i = 0; i < n; i++)
        list[i] = (struct task_new){.payload = STR("{}")};
    if (run(m, do_task_enqueue, &(struct task_enqueue){queue, list, n}, &ids) && ids.n != n)
        atomic_fetch_add(&m->crowd->failed, 1);
}

static void *work(void *context)
{
    struct member *m = context;

    pthread_barrier_wait(&m->crowd->start);
    m->crowd->job(m);
    return NULL;
}

/* Run the job in n threads at once. */
static void together(struct world *w, struct crowd *c, struct member *members, size_t n, job *what)
{
    c->job = what;
    c->n = n;
    pthread_barrier_init(&c->start, NULL, (unsigned)n);
    for (size_t i = 0; i < n; i++) {
        struct member *m = &members[i];

        *m = (struct member){.crowd = c, .number = i, .worker = world_join(w, CLAIMED_MAX)};
        m->store = store_testing_open(w->place, STORE_WRITE);
        prng_seed(&m->prng, i + 1);
        m->tx = (struct tx){.store = m->store, .arena = &m->arena, .prng = &m->prng};
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_create(&members[i].thread, NULL, work, &members[i]), 0);
    for (size_t i = 0; i < n; i++)
        pthread_join(members[i].thread, NULL);
    for (size_t i = 0; i < n; i++)
        store_free(members[i].store);
    pthread_barrier_destroy(&c->start);
    assert_int_equal(atomic_load(&c->failed), 0);
}

static void forget(struct member *members, size_t n)
{
    for (size_t i = 0; i < n; i++)
        arena_deinit(&members[i].arena);
}

static void fill(struct world *w, size_t n)
{
    struct task_new list[100];
    struct task_ids ids;

    for (size_t i = 0; i < n; i++)
        list[i] = (struct task_new){.payload = STR("{}")};
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), list, n}, &ids));
}

static struct queue_status look(struct world *w, const char *name)
{
    struct str queue = str_of(name);
    struct queue_status q;

    DO(w, queue_get(&w->tx, &queue, &q));
    return q;
}

static int by_number(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* How many were claimed in all; none twice, neither task nor token. */
static size_t claimed(const struct member *members, size_t n)
{
    static int64_t tasks[MEMBERS_MAX * CLAIMED_MAX], tokens[MEMBERS_MAX * CLAIMED_MAX];
    size_t all = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < members[i].claimed_n; j++) {
            tasks[all] = members[i].claimed[j].task;
            tokens[all++] = members[i].claimed[j].token;
        }
    qsort(tasks, all, sizeof(*tasks), by_number);
    qsort(tokens, all, sizeof(*tokens), by_number);
    for (size_t i = 1; i < all; i++) {
        assert_true(tasks[i] != tasks[i - 1]);
        assert_true(tokens[i] != tokens[i - 1]);
    }
    return all;
}

static void claim_two_ten_times(struct member *m)
{
    for (int i = 0; i < 10; i++)
        claim(m, 2);
}

static void claim_sizes(struct member *m)
{
    static const int64_t sizes[] = {1, 3, 5, 7, 10};

    for (int i = 0; i < 5; i++)
        claim(m, sizes[m->number % ROWS_N(sizes)]);
}

static void claim_ten(struct member *m)
{
    claim(m, 10);
}

static void claim_one(struct member *m)
{
    claim(m, 1);
}

/* C-24, C-27, C-37, C-38, C-39: nothing twice, nothing left over, and nobody is told that there is
 * nothing while there is something. */
static void no_record_is_claimed_twice(void **state)
{
    static const struct {
        const char *name;
        job *job;
        size_t members, records, claimed, each_max;
    } rows[] = {
        {"C-24: three take ten each of thirty", claim_ten,           3,  30,  30,  10},
        {"C-27: three want one of two",         claim_one,           3,  2,   2,   1 },
        {"C-37: five take two, ten times",      claim_two_ten_times, 5,  100, 100, 20},
        {"C-38: five with sizes of their own",  claim_sizes,         5,  50,  50,  50},
        {"C-39: twenty want one of twenty",     claim_one,           20, 20,  20,  1 },
    };
    static struct member members[MEMBERS_MAX];
    struct world *w = world(state);

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct crowd c = {0};
        int64_t running = i ? look(w, "mail").counts[TASK_RUNNING] : 0;

        w->row = rows[i].name;
        fill(w, rows[i].records);
        together(w, &c, members, rows[i].members, rows[i].job);
        CHECK_ROW(rows[i].name, claimed(members, rows[i].members) == rows[i].claimed);
        for (size_t k = 0; k < rows[i].members; k++)
            CHECK_ROW(rows[i].name, members[k].claimed_n <= rows[i].each_max);
        CHECK_ROW(rows[i].name,
                  look(w, "mail").counts[TASK_RUNNING] - running == (int64_t)rows[i].claimed);
        forget(members, rows[i].members);
    }
    w->row = NULL;
    world_healthy(w);
}

static void complete_mine(struct member *m)
{
    for (size_t i = m->number; i < m->crowd->work.n; i += m->crowd->n)
        end(m, &m->crowd->work.list[i], OUTCOME_SUCCEEDED);
}

static void fail_mine(struct member *m)
{
    for (size_t i = m->number; i < m->crowd->work.n; i += m->crowd->n)
        end(m, &m->crowd->work.list[i], OUTCOME_FAILED);
}

static void end_mine(struct member *m)
{
    for (size_t i = m->number; i < m->crowd->work.n; i += m->crowd->n)
        end(m, &m->crowd->work.list[i], i % 2 ? OUTCOME_FAILED : OUTCOME_SUCCEEDED);
}

/* It has one end, and a failure its own message. */
static void check_end(struct world *w, const struct task_lease *l)
{
    const struct task_attempt *a;
    struct task_details d;

    DO(w, task_get(&w->tx, &(struct task_which){.id = l->task}, &d));
    assert_int_equal(d.task.attempts_n, 1);
    a = &d.task.attempts[0];
    assert_int_equal(a->token, l->token);
    if (a->outcome == OUTCOME_FAILED)
        assert_string_equal(str_cstr(&w->arena, a->message),
                            str_printf(&w->arena, "record %" PRId64, l->task).p);
    else
        assert_int_equal(a->message.n, 0);
}

/* C-25, C-28, C-40, C-41, C-42: each end is counted once, and its message kept. */
static void many_end_at_once(void **state)
{
    static const struct {
        const char *name;
        job *job;
        size_t members, records;
        int64_t succeeded, failed;
    } rows[] = {
        {"C-25: ten by five",                end_mine,      5,  10,  5,   5 },
        {"C-40: a hundred successes by ten", complete_mine, 10, 100, 100, 0 },
        {"C-41: fifty failures by eight",    fail_mine,     8,  50,  0,   50},
        {"C-42: a hundred by twelve",        end_mine,      12, 100, 50,  50},
    };
    static struct member members[MEMBERS_MAX];
    struct world *w = world(state);
    int64_t succeeded = 0, failed = 0;

    world_join(w, 1000);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct crowd c = {0};
        int64_t worker = w->worker;
        struct queue_status q;

        fill(w, rows[i].records);
        c.work = world_claim_queue(w, "mail", (int64_t)rows[i].records);
        CHECK_ROW(rows[i].name, c.work.n == rows[i].records);
        together(w, &c, members, rows[i].members, rows[i].job);
        w->worker = worker;
        q = look(w, "mail");
        CHECK_ROW(rows[i].name, q.counts[TASK_SUCCEEDED] == (succeeded += rows[i].succeeded));
        CHECK_ROW(rows[i].name, q.counts[TASK_FAILED] == (failed += rows[i].failed));
        CHECK_ROW(rows[i].name, q.counts[TASK_RUNNING] == 0);
        for (size_t k = 0; k < c.work.n; k++)
            check_end(w, &c.work.list[k]);
        forget(members, rows[i].members);
    }
    world_healthy(w);
}

static void add_to_my_queue(struct member *m)
{
    add(m, str_printf(&m->arena, "flow-%zu", m->number), 10);
}

/* C-43: queues are made by whoever comes first. */
static void many_add_at_once(void **state)
{
    static struct member members[MEMBERS_MAX];
    struct world *w = world(state);
    struct crowd c = {0};

    together(w, &c, members, 8, add_to_my_queue);
    for (int i = 0; i < 8; i++)
        assert_int_equal(look(w, str_printf(&w->arena, "flow-%d", i).p).counts[TASK_READY], 10);
    forget(members, 8);
    world_healthy(w);
}

static void add_the_same(struct member *m)
{
    const struct task_new list[] = {
        {.payload = STR("1"), .unique_key = STR("a")},
        {.payload = STR("1"), .unique_key = STR("b")},
    };
    struct task_ids ids;

    if (!run(m, do_task_enqueue, &(struct task_enqueue){STR("mail"), list, 2}, &ids))
        return;
    for (size_t i = 0; i < 2; i++)
        m->claimed[i].task = ids.list[i];
}

/* Whoever comes first adds the task, and all are told its id. */
static void a_unique_key_is_taken_once(void **state)
{
    static struct member members[MEMBERS_MAX];
    struct world *w = world(state);
    struct crowd c = {0};

    together(w, &c, members, 8, add_the_same);
    for (size_t i = 1; i < 8; i++)
        for (size_t k = 0; k < 2; k++)
            assert_int_equal(members[i].claimed[k].task, members[0].claimed[k].task);
    assert_int_equal(look(w, "mail").counts[TASK_READY], 2);
    forget(members, 8);
    world_healthy(w);
}

/* Nobody else holds a task of that key, and those before it have been given out. */
static void check_key(struct member *m, const struct task_lease *l)
{
    struct crowd *c = m->crowd;
    size_t k = (size_t)(l->key.p[0] - 'a');

    if (atomic_fetch_add(&c->busy[k], 1) != 0 || atomic_exchange(&c->newest[k], l->task) >= l->task)
        atomic_fetch_add(&c->failed, 1);
}

static void work_by_key(struct member *m)
{
    struct crowd *c = m->crowd;

    for (int i = 0; i < CLAIMS_MAX && atomic_load(&c->ended) < KEYED_TASKS; i++) {
        m->claimed_n = 0;
        claim(m, 3);
        for (size_t j = 0; j < m->claimed_n; j++)
            check_key(m, &m->claimed[j]);
        for (size_t j = 0; j < m->claimed_n; j++) {
            atomic_fetch_sub(&c->busy[m->claimed[j].key.p[0] - 'a'], 1);
            end(m, &m->claimed[j], OUTCOME_SUCCEEDED);
            atomic_fetch_add(&c->ended, 1);
        }
    }
}

/* One lease of a key at a time, and its tasks in their order, whoever works on them. */
static void keys_keep_their_order(void **state)
{
    static const char *const names[KEYS] = {"a", "b", "c", "d"};
    static struct member members[MEMBERS_MAX];
    const struct queue_put put = {
        .name = STR("mail"),
        .given = 1u << QUEUE_SET_KEY_CONCURRENCY | 1u << QUEUE_SET_FAIR,
        .set = {.key_concurrency = 1, .fair = true},
    };
    struct world *w = world(state);
    struct task_new list[KEYED_TASKS];
    struct crowd c = {0};
    struct queue_status q;
    struct task_ids ids;

    DO(w, queue_put(&w->tx, &put, &q));
    for (size_t i = 0; i < KEYED_TASKS; i++)
        list[i] = (struct task_new){.payload = STR("1"), .key = str_of(names[i * i % 7 % KEYS])};
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), list, KEYED_TASKS}, &ids));
    together(w, &c, members, 6, work_by_key);
    assert_int_equal(look(w, "mail").counts[TASK_SUCCEEDED], KEYED_TASKS);
    forget(members, 6);
    world_healthy(w);
}

static void set_limit(struct member *m, int64_t key_concurrency)
{
    const struct queue_put put = {
        .name = STR("mail"),
        .given = 1u << QUEUE_SET_KEY_CONCURRENCY,
        .set = {.key_concurrency = key_concurrency},
    };
    struct queue_status q;

    run(m, do_queue_put, &put, &q);
}

/* The first changes the limit; the others work until all has ended, or for so many rounds. */
static void work_while_limits_change(struct member *m)
{
    struct task_new keyed[3] = {
        {.payload = STR("1"), .key = STR("a")},
        {.payload = STR("2"), .key = STR("a")},
        {.payload = STR("3"), .key = STR("b")},
    };
    struct task_ids ids;

    for (int i = 0; i < 40; i++) {
        if (m->number == 0) {
            set_limit(m, i % 3);
            continue;
        }
        run(m, do_task_enqueue, &(struct task_enqueue){STR("mail"), keyed, 3}, &ids);
        claim(m, 4);
        while (m->claimed_n)
            end(m, &m->claimed[--m->claimed_n], OUTCOME_SUCCEEDED);
    }
}

/* Tasks never wait for a place that nobody gives back, whenever the limit of their key changes. */
static void a_limit_changes_under_work(void **state)
{
    static struct member members[MEMBERS_MAX];
    struct world *w = world(state);
    struct task_leases leases;
    struct crowd c = {0};

    fill(w, 1);
    together(w, &c, members, 5, work_while_limits_change);
    forget(members, 5);
    world_join(w, CLAIMED_MAX);
    do {
        leases = world_claim_queue(w, "mail", 10);
        for (size_t i = 0; i < leases.n; i++)
            assert_int_equal(world_complete(w, &leases.list[i], OUTCOME_SUCCEEDED), CODE_OK);
    } while (leases.n);
    assert_int_equal(look(w, "mail").counts[TASK_READY], 0);
    assert_int_equal(look(w, "mail").counts[TASK_SUCCEEDED], 1 + 4 * 40 * 3);
    world_healthy(w);
}

/* The first is replaced by its next incarnations, which take its lease over; the others renew it.
 */
static void renew_while_it_goes_over(struct member *m)
{
    const struct lease_ref ref = {m->crowd->work.list[0].task, m->crowd->work.list[0].token};
    const struct lease_progress progress = {.lease = ref, .percent = -1};
    struct lease_renewals renewals;
    struct worker_joined joined;
    const struct worker_join join = {
        .worker = {.name = STR("w"), .slots = 10, .ttl_us = 60 * CLOCK_S},
        .leases = &ref,
        .leases_n = 1,
        .takeover = true,
    };

    for (int i = 0; i < 40; i++)
        if (m->number == 0)
            run(m, do_worker_join, &join, &joined);
        else if (run(m, do_lease_renew, &(struct lease_renew){&progress, 1, 0}, &renewals) &&
                 renewals.list[0].code != CODE_OK)
            atomic_fetch_add(&m->crowd->failed, 1);
}

/* A lease is told to be lost only where it is. */
static void a_lease_goes_over_while_it_is_renewed(void **state)
{
    const struct worker_join join = {
        .worker = {.name = STR("w"), .slots = 10, .ttl_us = 60 * CLOCK_S}
    };
    static struct member members[MEMBERS_MAX];
    struct world *w = world(state);
    struct worker_joined joined;
    struct crowd c = {0};

    fill(w, 1);
    DO(w, worker_join(&w->tx, &join, &joined));
    w->worker = joined.worker.worker.incarnation;
    c.work = world_claim_queue(w, "mail", 1);
    assert_int_equal(c.work.n, 1);
    together(w, &c, members, 4, renew_while_it_goes_over);
    forget(members, 4);
    world_healthy(w);
}

static void anything(struct member *m)
{
    struct queue_status q = {0};

    for (int i = 0; i < 6; i++)
        switch (prng_below(&m->prng, 4)) {
        case 0:
            add(m, STR("mail"), 3);
            atomic_fetch_add(&m->crowd->added, 3);
            break;
        case 1:
            claim(m, 2);
            break;
        case 2:
            if (m->claimed_n) {
                end(m, &m->claimed[--m->claimed_n],
                    prng_below(&m->prng, 2) ? OUTCOME_SUCCEEDED : OUTCOME_FAILED);
                atomic_fetch_add(&m->crowd->ended, 1);
            }
            break;
        default:
            run(m, do_queue_get, &STR("mail"), &q);
            for (int s = 0; s < TASK_STATE_N; s++)
                if (q.counts[s] < 0)
                    atomic_fetch_add(&m->crowd->failed, 1);
        }
}

/* C-29, C-44, C-45: whatever meets, each request comes to its end, and the counts are those of the
 * members. */
static void anything_at_once(void **state)
{
    static struct member members[MEMBERS_MAX];
    struct world *w = world(state);
    struct crowd c = {0};
    struct queue_status q;
    int64_t held;

    fill(w, 20);
    together(w, &c, members, 15, anything);
    held = (int64_t)claimed(members, 15);
    forget(members, 15);
    q = look(w, "mail");
    assert_int_equal(q.counts[TASK_RUNNING], held);
    assert_int_equal(q.counts[TASK_SUCCEEDED] + q.counts[TASK_FAILED] + q.counts[TASK_DELAYED],
                     atomic_load(&c.ended));
    assert_int_equal(q.counts[TASK_READY] + held + atomic_load(&c.ended),
                     20 + atomic_load(&c.added));
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_FILE_TEST(no_record_is_claimed_twice),
        ENGINE_TEST(no_record_is_claimed_twice, postgres, postgres),
        ENGINE_FILE_TEST(many_end_at_once),
        ENGINE_TEST(many_end_at_once, postgres, postgres),
        ENGINE_FILE_TEST(many_add_at_once),
        ENGINE_TEST(many_add_at_once, postgres, postgres),
        ENGINE_FILE_TEST(a_unique_key_is_taken_once),
        ENGINE_TEST(a_unique_key_is_taken_once, postgres, postgres),
        ENGINE_FILE_TEST(keys_keep_their_order),
        ENGINE_TEST(keys_keep_their_order, postgres, postgres),
        ENGINE_FILE_TEST(a_limit_changes_under_work),
        ENGINE_TEST(a_limit_changes_under_work, postgres, postgres),
        ENGINE_FILE_TEST(a_lease_goes_over_while_it_is_renewed),
        ENGINE_TEST(a_lease_goes_over_while_it_is_renewed, postgres, postgres),
        ENGINE_FILE_TEST(anything_at_once),
        ENGINE_TEST(anything_at_once, postgres, postgres),
    };

    return ENGINE_MAIN(tests);
}
