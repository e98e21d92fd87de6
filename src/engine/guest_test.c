/* SPDX-License-Identifier: Apache-2.0 */
/* Guests: leases that live by themselves, are renewed and expire. */
#include "engine/engine_testing.h"

#define HOUR_US (3600 * CLOCK_S)

static void fill(struct world *w, size_t n, const struct retry_policy *retry)
{
    struct task_new *list = arena_alloc(&w->arena, n * sizeof(*list));
    struct queue_status q;
    struct task_ids ids;

    for (size_t i = 0; i < n; i++)
        list[i] = (struct task_new){.payload = STR("{}"), .retry = retry};
    DO(w, queue_put(&w->tx, &(struct queue_put){.name = STR("mail")}, &q));
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), list, n}, &ids));
}

static struct task_leases claim(struct world *w, const char *guest, int64_t max, int64_t ttl_us)
{
    const struct task_claim req = {
        .guest = str_of(guest), .queue = STR("mail"), .max = max, .ttl_us = ttl_us};
    struct task_leases l;

    DO(w, task_claim(&w->tx, &req, &l));
    return l;
}

static int64_t count(struct world *w, enum task_state s)
{
    const struct str mail = STR("mail");
    struct queue_status q;

    DO(w, queue_get(&w->tx, &mail, &q));
    return q.counts[s];
}

static struct lease_ref ref_of(const struct task_lease *l)
{
    return (struct lease_ref){l->task, l->token};
}

static struct lease_renewed renew(struct world *w, const struct task_lease *l, int percent,
                                  const char *message, int64_t ttl_us)
{
    const struct lease_progress p = {
        .lease = ref_of(l), .percent = percent, .message = str_of(message)};
    struct lease_renewals reply;

    DO(w, lease_renew(&w->tx, &(struct lease_renew){&p, 1, ttl_us}, &reply));
    assert_int_equal(reply.n, 1);
    return reply.list[0];
}

static void a_name_is_one_guest(void **state)
{
    struct world *w = world(state);
    struct worker_views v;

    w->now = 1000 * CLOCK_S;
    fill(w, 3, NULL);
    assert_int_equal(claim(w, "script", 1, 0).n, 1);
    assert_int_equal(claim(w, "script", 1, 0).n, 1);
    assert_int_equal(claim(w, "other", 1, 0).n, 1);
    DO(w, worker_page(&w->tx, &(struct worker_page){.max = 10}, &v));
    assert_int_equal(v.n, 2);
    CHECK_TEXT(v.list[0].worker.name, "script");
    CHECK_TEXT(v.list[0].worker.kind, "guest");
    assert_int_equal(v.list[0].worker.busy, 2);
    /* It has no heartbeat, and is never silent. */
    w->now += 24 * HOUR_US;
    assert_int_equal(world_reap(w).lost, 0);
    DO(w, worker_page(&w->tx, &(struct worker_page){.max = 10}, &v));
    assert_int_equal(v.n, 2);
}

static void bad_claims_are_refused(void **state)
{
    struct world *w = world(state);
    const struct {
        const char *name;
        struct task_claim req;
        enum code code;
    } rows[] = {
        {"no name",          {.queue = STR("mail"), .max = 1},                                CODE_INVALID         },
        {"a number",         {.guest = STR("17"), .queue = STR("mail"), .max = 1},            CODE_WORKER_NOT_FOUND},
        {"a short ttl",
         {.guest = STR("g"), .ttl_us = 1, .queue = STR("mail"), .max = 1},
         CODE_INVALID                                                                                              },
        {"a ttl below zero",
         {.guest = STR("g"), .ttl_us = -CLOCK_S, .queue = STR("mail"), .max = 1},
         CODE_INVALID                                                                                              },
        {"a long ttl",
         {.guest = STR("g"), .ttl_us = LEASE_TTL_US_MAX + 1, .queue = STR("mail"), .max = 1},
         CODE_INVALID                                                                                              },
        {"of a run",         {.guest = STR("g"), .run = 1, .max = 1},                         CODE_INVALID         },
        {"no queue",         {.guest = STR("g"), .queue = STR("nowhere"), .max = 1},          CODE_QUEUE_NOT_FOUND },
    };
    struct task_leases l;

    fill(w, 1, NULL);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        w->row = rows[i].name;
        REFUSED(w, task_claim(&w->tx, &rows[i].req, &l), rows[i].code);
    }
}

/* C-09, C-26: five were claimed two hours ago, and the limit is an hour. */
static void what_expires_is_given_back(void **state)
{
    struct world *w = world(state);
    struct task_leases l;

    w->now = 1000 * CLOCK_S;
    fill(w, 5, NULL);
    l = claim(w, "script", 10, 0);
    assert_int_equal(l.n, 5);
    assert_int_equal(l.list[0].expires_at, w->now + HOUR_US);
    w->now += HOUR_US - 1;
    assert_int_equal(world_reap(w).expired, 0);
    w->now += HOUR_US + 1;
    assert_int_equal(world_reap(w).expired, 5);
    assert_int_equal(count(w, TASK_READY), 5);
    assert_int_equal(count(w, TASK_RUNNING), 0);
    assert_int_equal(world_reap(w).expired, 0);
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    l = claim(w, "script", 10, 2 * HOUR_US);
    assert_int_equal(l.n, 5);
    assert_int_equal(l.list[0].attempt, 2);
    assert_int_equal(l.list[0].expires_at, w->now + 2 * HOUR_US);
    world_healthy(w);
}

/* F.5 row 14: an attempt that was lost counts, and where none is left the task fails. */
static void a_lost_attempt_counts(void **state)
{
    struct world *w = world(state);

    w->now = 1000 * CLOCK_S;
    fill(w, 1, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(claim(w, "script", 1, CLOCK_S).n, 1);
        w->now += CLOCK_S;
        assert_int_equal(world_reap(w).expired, 1);
    }
    assert_int_equal(count(w, TASK_READY), 0);
    assert_int_equal(count(w, TASK_FAILED), 1);
    world_healthy(w);
}

static void renewing_lengthens(void **state)
{
    struct world *w = world(state);
    struct lease_renewed renewed;
    struct task_leases l;
    int64_t until;

    w->now = 1000 * CLOCK_S;
    fill(w, 2, NULL);
    l = claim(w, "script", 2, 10 * CLOCK_S);
    w->now += 9 * CLOCK_S;
    renewed = renew(w, &l.list[0], -1, NULL, 10 * CLOCK_S);
    assert_int_equal(renewed.code, CODE_OK);
    assert_false(renewed.stop);
    until = w->now + 10 * CLOCK_S;
    assert_int_equal(renewed.expires_at, until);
    /* Never shorter than it was. */
    assert_int_equal(renew(w, &l.list[0], 5, NULL, CLOCK_S).expires_at, until);
    w->now += CLOCK_S;
    assert_int_equal(world_reap(w).expired, 1);
    assert_int_equal(renew(w, &l.list[1], -1, NULL, CLOCK_S).code, CODE_LEASE_LOST);
    /* Without a ttl, that of the queue. */
    assert_int_equal(renew(w, &l.list[0], -1, NULL, 0).expires_at, w->now + HOUR_US);
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(renew(w, &l.list[0], -1, NULL, 0).code, CODE_LEASE_LOST);
    world_healthy(w);
}

/* A heartbeat keeps the leases of who has registered; renewing tells of progress only. */
static void a_registered_worker_is_kept_by_its_heartbeat(void **state)
{
    struct world *w = world(state);
    struct task_leases l;

    w->now = 1000 * CLOCK_S;
    fill(w, 1, NULL);
    world_join(w, 1);
    l = world_claim_queue(w, "mail", 1);
    assert_int_equal(l.list[0].expires_at, 0);
    assert_int_equal(renew(w, &l.list[0], 10, NULL, HOUR_US).expires_at, w->now + 60 * CLOCK_S);
    w->now += 30 * CLOCK_S;
    assert_int_equal(world_reap(w).expired, 0);
    world_healthy(w);
}

/* D-46: whose task is cancelled is told; whoever never had a lease is told so too (D-45). */
static void renewing_tells_of_a_cancel(void **state)
{
    struct world *w = world(state);
    const struct task_lease nobodys = {.task = 4711, .token = 4712};
    struct task_leases l;
    struct task_now now;

    fill(w, 1, NULL);
    l = claim(w, "script", 1, 0);
    assert_int_equal(renew(w, &nobodys, 1, NULL, 0).code, CODE_LEASE_LOST);
    DO(w, task_cancel(&w->tx, &(struct task_which){.id = l.list[0].task}, &now));
    assert_true(renew(w, &l.list[0], 99, NULL, 0).stop);
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_CANCELLED), CODE_OK);
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_CANCELLED), CODE_OK);
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_SUCCEEDED), CODE_COMPLETION_CONFLICT);
    assert_int_equal(world_complete(w, &nobodys, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    world_healthy(w);
}

/* The newest of several in one request, and what is not told stays. */
static void the_newest_progress_is_kept(void **state)
{
    struct world *w = world(state);
    struct queue_task_list list;
    struct lease_renewals reply;
    struct lease_progress p[3];
    struct task_details d;
    struct task_leases l;

    fill(w, 1, NULL);
    l = claim(w, "script", 1, 0);
    for (int i = 0; i < 3; i++)
        p[i] = (struct lease_progress){.lease = ref_of(&l.list[0]), .percent = 10 * i};
    p[1].message = STR("half of it");
    p[2].percent = -1;
    DO(w, lease_renew(&w->tx, &(struct lease_renew){p, 3, 0}, &reply));
    DO(w, queue_tasks(&w->tx,
                      &(struct queue_tasks){.queue = STR("mail"), .state = TASK_RUNNING, .max = 10},
                      &list));
    assert_int_equal(list.n, 1);
    CHECK_TEXT(list.list[0].message, "half of it");
    DO(w, task_get(&w->tx, &(struct task_which){.id = l.list[0].task}, &d));
    assert_int_equal(d.task.attempts_n, 1);
    assert_int_equal(d.task.attempts[0].percent, 10);
    CHECK_TEXT(d.task.attempts[0].message, "half of it");
    /* The next attempt begins without. */
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_REJECTED), CODE_OK);
    claim(w, "script", 1, 0);
    DO(w, task_get(&w->tx, &(struct task_which){.id = l.list[0].task}, &d));
    assert_int_equal(d.task.attempts[1].percent, -1);
    assert_int_equal(d.task.attempts[1].message.n, 0);
    world_healthy(w);
}

static void bad_renewals_are_refused(void **state)
{
    struct world *w = world(state);
    static char long_text[LEASE_MESSAGE_BYTES_MAX + 1];
    const struct lease_ref ref = {1, 2};
    const struct lease_progress list[] = {
        {ref, 101, STR(""),                        {0}},
        {ref, -2,  STR(""),                        {0}},
        {ref, 1,   STR("\xff"),                    {0}},
        {ref, 1,   {"a\0", 2},                     {0}},
        {ref, 1,   {long_text, sizeof(long_text)}, {0}},
        {ref, 1,   STR(""),                        {0}},
    };
    struct lease_renewals reply;

    memset(long_text, 'x', sizeof(long_text));
    for (size_t i = 0; i < 5; i++)
        REFUSED(w, lease_renew(&w->tx, &(struct lease_renew){&list[i], 1, 0}, &reply),
                i == 4 ? CODE_TOO_LARGE : CODE_INVALID);
    REFUSED(w, lease_renew(&w->tx, &(struct lease_renew){list, 0, 0}, &reply), CODE_INVALID);
    REFUSED(w, lease_renew(&w->tx, &(struct lease_renew){list, LEASE_RENEW_MAX + 1, 0}, &reply),
            CODE_INVALID);
    REFUSED(w, lease_renew(&w->tx, &(struct lease_renew){&list[5], 1, 1}, &reply), CODE_INVALID);
    REFUSED(w,
            lease_renew(&w->tx, &(struct lease_renew){&list[5], 1, LEASE_TTL_US_MAX + 1}, &reply),
            CODE_INVALID);
}

/* A lease that is being renewed is not taken back, though the renewal is not durable yet. */
static void renewing_comes_before_the_reaper(void **state)
{
    struct world *w = world(state);
    struct store *other = store_testing_open(w->place, STORE_WRITE);
    struct tx tx = {.store = other, .arena = &w->arena, .prng = &w->prng};
    struct lease_renewals reply;
    struct lease_progress p;
    struct reaper_reply reaped;
    struct task_leases l;

    w->now = 1000 * CLOCK_S;
    fill(w, 2, NULL);
    l = claim(w, "script", 2, CLOCK_S);
    w->now += CLOCK_S;
    p = (struct lease_progress){.lease = ref_of(&l.list[0]), .percent = -1};
    STORE_OK(w->store, world_begin(w));
    assert_int_equal(lease_renew(&w->tx, &(struct lease_renew){&p, 1, 0}, &reply), 0);
    assert_int_equal(tx_begin(&tx), 0);
    tx.now = w->now;
    assert_int_equal(reaper_scan(&tx, NULL, &reaped), 0);
    assert_int_equal(reaped.expired, 1);
    assert_int_equal(tx_commit(&tx), 0);
    STORE_OK(w->store, tx_commit(&w->tx));
    assert_int_equal(world_reap(w).expired, 0);
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    store_free(other);
}

/* A guest that claims no more is gone after an hour, and forgotten after a week. */
static void guests_go(void **state)
{
    struct world *w = world(state);
    struct reaper_forgotten gone;
    struct worker_views v;
    struct task_leases l;

    w->now = 1000 * CLOCK_S;
    fill(w, 1, NULL);
    l = claim(w, "script", 1, 3 * HOUR_US);
    w->now += 2 * HOUR_US;
    DO(w, reaper_forget(&w->tx, NULL, &gone));
    DO(w, worker_page(&w->tx, &(struct worker_page){.max = 10}, &v));
    assert_int_equal(v.n, 1); /* it holds something */
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    DO(w, reaper_forget(&w->tx, NULL, &gone));
    DO(w, worker_page(&w->tx, &(struct worker_page){.max = 10}, &v));
    assert_int_equal(v.n, 0);
    DO(w, worker_page(&w->tx, &(struct worker_page){.all = true, .max = 10}, &v));
    assert_int_equal(v.n, 1);
    assert_int_equal(claim(w, "script", 1, 0).n, 0);
    DO(w, worker_page(&w->tx, &(struct worker_page){.all = true, .max = 10}, &v));
    assert_int_equal(v.n, 2); /* it is another one now */
    w->now += 8 * 24 * HOUR_US;
    DO(w, reaper_forget(&w->tx, NULL, &gone));
    DO(w, worker_page(&w->tx, &(struct worker_page){.all = true, .max = 10}, &v));
    assert_int_equal(v.n, 1);
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(a_name_is_one_guest),
        ENGINE_TESTS(bad_claims_are_refused),
        ENGINE_TESTS(what_expires_is_given_back),
        ENGINE_TESTS(a_lost_attempt_counts),
        ENGINE_TESTS(renewing_lengthens),
        ENGINE_TESTS(a_registered_worker_is_kept_by_its_heartbeat),
        ENGINE_TESTS(renewing_tells_of_a_cancel),
        ENGINE_TESTS(the_newest_progress_is_kept),
        ENGINE_TESTS(bad_renewals_are_refused),
        ENGINE_TEST(renewing_comes_before_the_reaper, postgres, postgres),
        ENGINE_TESTS(guests_go),
    };

    return ENGINE_MAIN(tests);
}
