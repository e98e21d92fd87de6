/* SPDX-License-Identifier: Apache-2.0 */
/* Queues as an operator sees them: settings, lists, dead letters, purging, retention. */
#include "engine/block.h"
#include "engine/engine_testing.h"

#define GIVEN(setting) (1u << QUEUE_SET_##setting)
#define DAY_US         (86400 * CLOCK_S)

static const struct str mail = {"mail", 4};

static struct queue_status put(struct world *w, uint32_t given, struct queue_status set)
{
    struct queue_status q;

    DO(w, queue_put(&w->tx, &(struct queue_put){.name = mail, .given = given, .set = set}, &q));
    return q;
}

static struct queue_status get(struct world *w)
{
    struct queue_status q;

    DO(w, queue_get(&w->tx, &mail, &q));
    return q;
}

/* Tasks that are tried only once. */
static const struct retry_policy once = {.max_attempts = 1, .factor = 1};

static struct task_ids add(struct world *w, size_t n, int64_t delay_us)
{
    struct task_new *list = arena_alloc(&w->arena, n * sizeof(*list));
    struct task_ids ids;

    for (size_t i = 0; i < n; i++)
        list[i] = (struct task_new){.payload = str_printf(&w->arena, "{\"n\":%zu}", i),
                                    .priority = (int64_t)(i % 3),
                                    .delay_us = delay_us,
                                    .retry = &once};
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){mail, list, n}, &ids));
    return ids;
}

/* n dead letters. */
static void bury(struct world *w, size_t n)
{
    struct task_leases l;

    add(w, n, 0);
    l = world_claim_queue(w, "mail", (int64_t)n);
    assert_int_equal(l.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(world_complete(w, &l.list[i], OUTCOME_FAILED), CODE_OK);
}

static void settings_change_one_by_one(void **state)
{
    struct world *w = world(state);
    const struct retry_policy policy = retry_asked();
    char text[RETRY_TEXT_BYTES];
    struct queue_status set = {
        .tasks_max = 7,
        .concurrency_max = 3,
        .key_concurrency = 1,
        .rate_milli = 2500,
        .rate_burst = 9,
        .fair = true,
        .claim_ttl_us = 5 * CLOCK_S,
        .retention_us = DAY_US,
        .retry = retry_format(&policy, text),
        .task_timeout_us = CLOCK_S,
        .paused = true,
    };
    struct queue_status q = put(w, 0, set);

    assert_int_equal(q.version, 1);
    assert_int_equal(q.tasks_max, QUEUE_TASKS_DEFAULT);
    assert_int_equal(q.claim_ttl_us, QUEUE_CLAIM_TTL_US);
    assert_int_equal(q.retention_us, QUEUE_RETENTION_US);
    for (int bit = 0; bit < QUEUE_SET_N; bit++)
        assert_int_equal(put(w, 1u << bit, set).version, bit + 2);
    q = get(w);
    assert_true(q.paused && q.fair);
    assert_int_equal(q.tasks_max, 7);
    assert_int_equal(q.concurrency_max, 3);
    assert_int_equal(q.key_concurrency, 1);
    assert_int_equal(q.rate_milli, 2500);
    assert_int_equal(q.rate_burst, 9);
    assert_int_equal(q.claim_ttl_us, 5 * CLOCK_S);
    assert_int_equal(q.retention_us, DAY_US);
    assert_int_equal(q.task_timeout_us, CLOCK_S);
    assert_true(str_eq(q.retry, set.retry));
    /* What changes nothing is no change. */
    assert_int_equal(put(w, (1u << QUEUE_SET_N) - 1, set).version, q.version);
    world_healthy(w);
}

static void an_old_version_is_refused(void **state)
{
    struct world *w = world(state);
    struct queue_put req = {
        .name = mail, .given = GIVEN(RATE), .set = {.rate_milli = 1000}, .version = 1};
    struct queue_status q;

    put(w, 0, (struct queue_status){0});
    DO(w, queue_put(&w->tx, &req, &q));
    assert_int_equal(q.version, 2);
    REFUSED(w, queue_put(&w->tx, &req, &q), CODE_QUEUE_CHANGED);
    DO(w, queue_pause(&w->tx, &mail, &q));
    assert_int_equal(q.version, 3);
    req.version = 3;
    req.set.rate_milli = 0;
    DO(w, queue_put(&w->tx, &req, &q));
    assert_true(q.paused);
}

static void bad_settings_are_refused(void **state)
{
    struct world *w = world(state);
    static const struct {
        const char *name;
        uint32_t given;
        struct queue_status set;
    } rows[] = {
        {"concurrency below zero",     GIVEN(CONCURRENCY_MAX), {.concurrency_max = -1}                  },
        {"key concurrency below zero", GIVEN(KEY_CONCURRENCY), {.key_concurrency = -1}                  },
        {"rate below zero",            GIVEN(RATE),            {.rate_milli = -1}                       },
        {"rate too high",              GIVEN(RATE),            {.rate_milli = QUEUE_RATE_MILLI_MAX + 1} },
        {"burst below zero",           GIVEN(RATE_BURST),      {.rate_burst = -1}                       },
        {"no claim ttl",               GIVEN(CLAIM_TTL),       {.claim_ttl_us = 0}                      },
        {"long claim ttl",             GIVEN(CLAIM_TTL),       {.claim_ttl_us = LEASE_TTL_US_MAX + 1}   },
        {"retention below zero",       GIVEN(RETENTION),       {.retention_us = -1}                     },
        {"long retention",             GIVEN(RETENTION),       {.retention_us = QUEUE_RETENTION_MAX + 1}},
        {"timeout below zero",         GIVEN(TASK_TIMEOUT),    {.task_timeout_us = -1}                  },
        {"made-up retry",              GIVEN(RETRY),           {.retry = {"often", 5}}                  },
    };
    struct queue_statuses list;
    struct queue_status q;

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        const struct queue_put req = {.name = mail, .given = rows[i].given, .set = rows[i].set};

        w->row = rows[i].name;
        REFUSED(w, queue_put(&w->tx, &req, &q), CODE_INVALID);
    }
    w->row = NULL;
    REFUSED(w, queue_pause(&w->tx, &mail, &q), CODE_QUEUE_NOT_FOUND);
    REFUSED(w, queue_resume(&w->tx, &mail, &q), CODE_QUEUE_NOT_FOUND);
    REFUSED(w, queue_list(&w->tx, &(struct queue_page){.max = 0}, &list), CODE_INVALID);
    REFUSED(w, queue_list(&w->tx, &(struct queue_page){.max = QUEUE_PAGE_MAX + 1}, &list),
            CODE_INVALID);
}

static void queues_come_in_pages_with_counts(void **state)
{
    struct world *w = world(state);
    struct queue_statuses list;
    struct queue_status q;
    const char *seen = "";
    struct str after = {0};

    DO(w, queue_put(&w->tx, &(struct queue_put){.name = STR("b")}, &q));
    DO(w, queue_put(&w->tx, &(struct queue_put){.name = STR("a")}, &q));
    DO(w, queue_put(&w->tx, &(struct queue_put){.name = STR("z")}, &q));
    put(w, 0, (struct queue_status){0});
    add(w, 3, 0);
    add(w, 2, DAY_US);
    do {
        DO(w, queue_list(&w->tx, &(struct queue_page){after, 3}, &list));
        for (size_t i = 0; i < list.n; i++)
            seen = str_printf(&w->arena, "%s " STR_FMT "=%" PRId64 "+%" PRId64, seen,
                              STR_ARG(list.list[i].name), list.list[i].counts[TASK_READY],
                              list.list[i].counts[TASK_DELAYED])
                       .p;
        after = list.list[list.n - 1].name;
    } while (list.more);
    assert_string_equal(seen, " a=0+0 b=0+0 mail=3+2 z=0+0");
}

static void the_oldest_is_told(void **state)
{
    struct world *w = world(state);

    w->now = 1000 * CLOCK_S;
    put(w, 0, (struct queue_status){0});
    assert_int_equal(get(w).oldest_ready_at, 0);
    add(w, 1, 0);
    w->now += CLOCK_S;
    add(w, 1, 0);
    assert_int_equal(get(w).oldest_ready_at, 1000 * CLOCK_S);
}

/* All pages of a state, as the numbers in the payloads. */
static const char *pages(struct world *w, enum task_state s, int64_t max)
{
    struct queue_tasks req = {.queue = mail, .state = s, .max = max};
    struct queue_task_list list;
    const char *seen = "";

    do {
        DO(w, queue_tasks(&w->tx, &req, &list));
        assert_true(list.n <= (size_t)max && (list.n == (size_t)max || !list.next.n));
        for (size_t i = 0; i < list.n; i++) {
            assert_true(list.list[i].state == s);
            seen = str_printf(&w->arena, "%s " STR_FMT, seen,
                              STR_ARG(str_sub(list.list[i].payload, 5, 1)))
                       .p;
        }
        req.after = list.next;
    } while (list.next.n);
    return seen;
}

static void tasks_come_in_pages(void **state)
{
    struct world *w = world(state);

    put(w, 0, (struct queue_status){0});
    world_join(w, 10);
    add(w, 7, 0);
    for (int64_t max = 1; max < 10; max++)
        assert_string_equal(pages(w, TASK_READY, max), " 2 5 1 4 0 3 6");
    assert_int_equal(world_claim_queue(w, "mail", 3).n, 3);
    assert_string_equal(pages(w, TASK_READY, 2), " 4 0 3 6");
    assert_string_equal(pages(w, TASK_RUNNING, 2), " 1 2 5");
    assert_string_equal(pages(w, TASK_FAILED, 2), "");
    add(w, 3, DAY_US);
    add(w, 2, CLOCK_S);
    for (int64_t max = 1; max < 7; max++)
        assert_string_equal(pages(w, TASK_DELAYED, max), " 0 1 0 1 2");
}

/* Of one key, those that wait for a place come last. */
static void those_behind_their_key_come_last(void **state)
{
    struct world *w = world(state);
    const struct task_new list[] = {
        {.payload = STR("{\"n\":0}"), .key = STR("k")},
        {.payload = STR("{\"n\":1}"),                           .key = STR("k")},
        {.payload = STR("{\"n\":2}"),.key = STR("k"), .priority = 5},
        {.payload = STR("{\"n\":3}"), .key = STR("l")},
        {.payload = STR("{\"n\":4}")             },
    };
    struct task_ids ids;

    put(w, GIVEN(KEY_CONCURRENCY), (struct queue_status){.key_concurrency = 1});
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){mail, list, 5}, &ids));
    for (int64_t max = 1; max < 7; max++) {
        const char *seen = pages(w, TASK_READY, max);

        assert_int_equal(strlen(seen), 10);
        for (const char *n = "01234"; *n; n++)
            assert_non_null(strchr(seen, *n));
    }
}

static void lists_show_short_payloads_only(void **state)
{
    struct world *w = world(state);
    char *text = arena_alloc(&w->arena, QUEUE_PAYLOAD_SHOWN_MAX + 1);
    struct task_new list[2];
    struct queue_task_list tasks;
    struct task_ids ids;

    memset(text, 'x', QUEUE_PAYLOAD_SHOWN_MAX + 1);
    text[0] = '"';
    for (size_t i = 0; i < 2; i++)
        list[i] = (struct task_new){
            .payload = {text, QUEUE_PAYLOAD_SHOWN_MAX + i}
        };
    put(w, 0, (struct queue_status){0});
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){mail, list, 2}, &ids));
    DO(w, queue_tasks(&w->tx, &(struct queue_tasks){.queue = mail, .state = TASK_READY, .max = 5},
                      &tasks));
    assert_int_equal(tasks.list[0].payload.n, QUEUE_PAYLOAD_SHOWN_MAX);
    assert_int_equal(tasks.list[1].payload.n, 0);
}

static void bad_lists_are_refused(void **state)
{
    struct world *w = world(state);
    static const char *const tokens[] = {"x",        "0.1.2",    "9.1.1.1.",     "-1.1.1.1.",
                                         "4.0.0.7.", "0.a.1.1.", "0.1.1.1.\xff", "...."};
    struct queue_task_list list;
    struct queue_tasks req = {.queue = mail, .state = TASK_READY, .max = 1};

    REFUSED(w, queue_tasks(&w->tx, &req, &list), CODE_QUEUE_NOT_FOUND);
    put(w, 0, (struct queue_status){0});
    for (size_t i = 0; i < ROWS_N(tokens); i++) {
        w->row = tokens[i];
        req.after = str_of(tokens[i]);
        REFUSED(w, queue_tasks(&w->tx, &req, &list), CODE_INVALID);
    }
    w->row = NULL;
    req.after = STR("");
    req.max = QUEUE_PAGE_MAX + 1;
    REFUSED(w, queue_tasks(&w->tx, &req, &list), CODE_INVALID);
    req.max = 0;
    REFUSED(w, queue_tasks(&w->tx, &req, &list), CODE_INVALID);
    req.max = 1;
    req.state = TASK_SUCCEEDED;
    REFUSED(w, queue_tasks(&w->tx, &req, &list), CODE_INVALID);
}

/* C-10, C-22: ten dead letters go back, oldest first, and only those of the queue. */
static void dead_letters_go_back(void **state)
{
    struct world *w = world(state);
    const struct task_new one = {.payload = STR("1"), .retry = &once};
    const struct str other = STR("other");
    struct queue_status q;
    struct task_details d;
    struct task_ids ids;
    struct queue_requeued back;
    struct queue_task_list dead;
    struct task_leases l;

    put(w, 0, (struct queue_status){0});
    world_join(w, 20);
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("other"), &one, 1}, &ids));
    l = world_claim_queue(w, "other", 1);
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_FAILED), CODE_OK);
    bury(w, 10);
    DO(w, queue_tasks(&w->tx, &(struct queue_tasks){.queue = mail, .state = TASK_FAILED, .max = 20},
                      &dead));
    assert_int_equal(dead.n, 10);
    assert_int_equal(dead.list[0].attempts, 1);
    DO(w, queue_requeue(&w->tx, &(struct queue_requeue){.queue = mail, .max = 4}, &back));
    assert_int_equal(back.requeued, 4);
    assert_int_equal(back.n, 0);
    assert_int_equal(get(w).counts[TASK_FAILED], 6);
    for (size_t i = 0; i < 10; i++) {
        DO(w, task_get(&w->tx, &(struct task_which){.id = dead.list[i].id}, &d));
        assert_int_equal(d.task.state, i < 4 ? TASK_READY : TASK_FAILED);
        assert_int_equal(d.task.ended_at != 0, i >= 4);
    }
    DO(w, queue_requeue(&w->tx, &(struct queue_requeue){.queue = mail}, &back));
    assert_int_equal(back.requeued, 6);
    DO(w, queue_get(&w->tx, &other, &q));
    assert_int_equal(q.counts[TASK_FAILED], 1);
    assert_int_equal(get(w).counts[TASK_READY], 10);
    DO(w, queue_requeue(&w->tx, &(struct queue_requeue){.queue = mail}, &back));
    assert_int_equal(back.requeued, 0);
    /* The numbers of attempts go on, the budget is new. */
    l = world_claim_queue(w, "mail", 1);
    assert_int_equal(l.list[0].attempt, 2);
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_FAILED), CODE_OK);
    assert_int_equal(get(w).counts[TASK_FAILED], 1);
    world_healthy(w);
}

static void named_ones_go_back_edited(void **state)
{
    struct world *w = world(state);
    struct queue_requeue_item items[5];
    struct queue_requeued back;
    struct queue_task_list dead;
    struct task_leases l;
    int64_t run;

    put(w, 0, (struct queue_status){0});
    world_join(w, 20);
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n");
    bury(w, 2);
    DO(w, queue_tasks(&w->tx, &(struct queue_tasks){.queue = mail, .state = TASK_FAILED, .max = 20},
                      &dead));
    items[0] = (struct queue_requeue_item){4711, false, STR("")};
    items[1] = (struct queue_requeue_item){dead.list[1].id, true, STR("{\"edited\":true}")};
    items[2] = (struct queue_requeue_item){add(w, 1, DAY_US).list[0], false, STR("")};
    items[3] = items[1];
    items[4] = (struct queue_requeue_item){world_task(w, run, "a").task.id, false, STR("")};
    DO(w, queue_requeue(&w->tx, &(struct queue_requeue){mail, items, 5, 0}, &back));
    assert_int_equal(back.requeued, 1);
    assert_int_equal(back.n, 5);
    assert_int_equal(back.results[0].code, CODE_TASK_NOT_FOUND);
    assert_int_equal(back.results[1].code, CODE_OK);
    assert_int_equal(back.results[2].code, CODE_TASK_STATE);
    assert_int_equal(back.results[3].code, CODE_TASK_STATE);
    assert_int_equal(back.results[4].code, CODE_TASK_NOT_FOUND);
    l = world_claim_queue(w, "mail", 1);
    CHECK_TEXT(l.list[0].payload, "{\"edited\":true}");
    world_healthy(w);
}

static void a_full_queue_takes_none_back(void **state)
{
    struct world *w = world(state);
    struct queue_requeue_item items[2];
    struct queue_requeued back;
    struct queue_task_list dead;

    put(w, 0, (struct queue_status){0});
    world_join(w, 20);
    bury(w, 2);
    DO(w, queue_tasks(&w->tx, &(struct queue_tasks){.queue = mail, .state = TASK_FAILED, .max = 20},
                      &dead));
    put(w, GIVEN(TASKS_MAX), (struct queue_status){.tasks_max = 1});
    for (size_t i = 0; i < 2; i++)
        items[i] = (struct queue_requeue_item){.id = dead.list[i].id};
    DO(w, queue_requeue(&w->tx, &(struct queue_requeue){mail, items, 2, 0}, &back));
    assert_int_equal(back.results[0].code, CODE_OK);
    assert_int_equal(back.results[1].code, CODE_QUEUE_FULL);
    REFUSED(w, queue_requeue(&w->tx, &(struct queue_requeue){.queue = mail}, &back),
            CODE_QUEUE_FULL);
}

static void bad_requeues_are_refused(void **state)
{
    struct world *w = world(state);
    static char large[TASK_PAYLOAD_BYTES_MAX + 1];
    struct queue_requeue_item items[] = {
        {1, true, {large, sizeof(large)}},
        {1, true, STR("\xff")           },
        {1, true, STR("")               },
    };
    struct queue_requeued back;

    memset(large, '1', sizeof(large));
    REFUSED(w, queue_requeue(&w->tx, &(struct queue_requeue){.queue = mail}, &back),
            CODE_QUEUE_NOT_FOUND);
    put(w, 0, (struct queue_status){0});
    for (size_t i = 0; i < 3; i++)
        REFUSED(w, queue_requeue(&w->tx, &(struct queue_requeue){mail, &items[i], 1, 0}, &back),
                i == 0 ? CODE_TOO_LARGE : CODE_INVALID);
    REFUSED(w, queue_requeue(&w->tx, &(struct queue_requeue){.queue = mail, .max = -1}, &back),
            CODE_INVALID);
    REFUSED(w,
            queue_requeue(&w->tx,
                          &(struct queue_requeue){.queue = mail, .max = QUEUE_REQUEUE_MAX + 1},
                          &back),
            CODE_INVALID);
}

static void purging_cancels_and_forgets(void **state)
{
    const uint32_t waiting = 1u << TASK_READY | 1u << TASK_DELAYED;
    struct world *w = world(state);
    struct queue_purged gone;
    struct queue_status q;

    put(w, 0, (struct queue_status){0});
    world_join(w, 20);
    bury(w, 3);
    add(w, 4, 0);
    add(w, 5, DAY_US);
    assert_int_equal(world_claim_queue(w, "mail", 1).n, 1);
    DO(w, queue_purge(&w->tx, &(struct queue_purge){mail, waiting}, &gone));
    assert_int_equal(gone.purged, 8);
    assert_false(gone.more);
    q = get(w);
    assert_int_equal(q.counts[TASK_READY], 0);
    assert_int_equal(q.counts[TASK_DELAYED], 0);
    assert_int_equal(q.counts[TASK_RUNNING], 1);
    assert_int_equal(q.counts[TASK_CANCELLED], 8);
    assert_int_equal(q.counts[TASK_FAILED], 3);
    DO(w, queue_purge(&w->tx, &(struct queue_purge){mail, 1u << TASK_FAILED}, &gone));
    assert_int_equal(gone.purged, 3);
    assert_int_equal(get(w).counts[TASK_FAILED], 0);
    world_healthy(w);
    REFUSED(w, queue_purge(&w->tx, &(struct queue_purge){mail, 0}, &gone), CODE_INVALID);
    REFUSED(w, queue_purge(&w->tx, &(struct queue_purge){mail, 1u << TASK_RUNNING}, &gone),
            CODE_INVALID);
    REFUSED(w, queue_purge(&w->tx, &(struct queue_purge){STR("nowhere"), waiting}, &gone),
            CODE_QUEUE_NOT_FOUND);
}

/* One call takes no more than its share. */
static void purging_comes_in_pieces(void **state)
{
    const uint32_t waiting = 1u << TASK_READY | 1u << TASK_DELAYED;
    struct world *w = world(state);
    struct queue_purged gone;

    put(w, 0, (struct queue_status){0});
    add(w, QUEUE_PURGE_MAX - 1, 0);
    add(w, 2, DAY_US);
    DO(w, queue_purge(&w->tx, &(struct queue_purge){mail, waiting}, &gone));
    assert_int_equal(gone.purged, QUEUE_PURGE_MAX);
    assert_true(gone.more);
    DO(w, queue_purge(&w->tx, &(struct queue_purge){mail, waiting}, &gone));
    assert_int_equal(gone.purged, 1);
    assert_false(gone.more);
    world_healthy(w);
}

/* So many blocks at a time as cannot have more tasks. */
static void purging_takes_whole_blocks(void **state)
{
    const struct task_new list[5] = {{.payload = STR("1")}};
    const size_t blocks = QUEUE_PURGE_MAX / BLOCK_TASKS_MAX + 1;
    struct world *w = world(state);
    struct queue_purged gone;
    struct task_ids ids;

    put(w, 0, (struct queue_status){0});
    for (size_t i = 0; i < blocks; i++)
        DO(w, task_enqueue(&w->tx, &(struct task_enqueue){mail, list, 5}, &ids));
    DO(w, queue_purge(&w->tx, &(struct queue_purge){mail, 1u << TASK_READY}, &gone));
    assert_int_equal(gone.purged, 5 * (blocks - 1));
    assert_true(gone.more);
    world_healthy(w);
    DO(w, queue_purge(&w->tx, &(struct queue_purge){mail, 1u << TASK_READY}, &gone));
    assert_int_equal(gone.purged, 5);
    assert_false(gone.more);
    assert_int_equal(get(w).counts[TASK_CANCELLED], 5 * blocks);
    world_healthy(w);
}

static void cancelling_one(void **state)
{
    struct world *w = world(state);
    struct task_ids ids;
    struct task_now now;
    int64_t run, of_run;

    put(w, 0, (struct queue_status){0});
    world_join(w, 20);
    bury(w, 1);
    ids = add(w, 1, 0);
    DO(w, task_cancel(&w->tx, &(struct task_which){.id = ids.list[0]}, &now));
    assert_int_equal(now.state, TASK_CANCELLED);
    assert_int_equal(now.id, ids.list[0]);
    REFUSED(w, task_cancel(&w->tx, &(struct task_which){.id = ids.list[0]}, &now),
            CODE_TASK_NOT_FOUND);
    ids = add(w, 1, DAY_US);
    DO(w, task_cancel(&w->tx, &(struct task_which){.id = ids.list[0]}, &now));
    assert_int_equal(now.state, TASK_CANCELLED);
    assert_int_equal(get(w).counts[TASK_CANCELLED], 2);
    run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n");
    REFUSED(w, task_cancel(&w->tx, &(struct task_which){.run = run, .name = STR("a")}, &now),
            CODE_INVALID);
    of_run = world_task(w, run, "a").task.id;
    REFUSED(w, task_cancel(&w->tx, &(struct task_which){.id = of_run}, &now), CODE_INVALID);
    world_healthy(w);
}

/* What has ended stays for the queue's retention; a dead letter may lose its oldest attempts. */
static void old_attempts_are_forgotten(void **state)
{
    struct world *w = world(state);
    struct reaper_forgotten gone;
    struct task_details d;
    struct task_ids ids;
    struct task_leases l;

    w->now = 1000 * DAY_US;
    put(w, GIVEN(RETENTION), (struct queue_status){.retention_us = DAY_US});
    world_join(w, 20);
    ids = add(w, 1, 0);
    l = world_claim_queue(w, "mail", 1);
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    bury(w, 1);
    w->now += DAY_US - 1;
    DO(w, reaper_forget(&w->tx, NULL, &gone));
    assert_int_equal(gone.attempts, 0);
    DO(w, task_get(&w->tx, &(struct task_which){.id = ids.list[0]}, &d));
    assert_int_equal(d.task.state, TASK_SUCCEEDED);
    w->now += 1;
    DO(w, reaper_forget(&w->tx, NULL, &gone));
    assert_int_equal(gone.attempts, 2);
    assert_false(gone.more);
    REFUSED(w, task_get(&w->tx, &(struct task_which){.id = ids.list[0]}, &d), CODE_TASK_NOT_FOUND);
    assert_int_equal(get(w).counts[TASK_FAILED], 1);
    assert_int_equal(get(w).counts[TASK_SUCCEEDED], 1);
}

static enum code end(struct world *w, const struct task_lease *l, enum outcome o,
                     struct str message, struct str output)
{
    const struct task_result result = {
        .lease = {l->task, l->token},
        .outcome = o,
        .reason = o == OUTCOME_FAILED ? TASK_REASON_WORKER_ERROR : TASK_REASON_NONE,
        .message = message,
        .output = output,
        .exit_code = -1,
    };
    struct task_codes codes;

    DO(w, task_complete(&w->tx, &(struct task_complete){&result, 1}, &codes));
    return codes.list[0];
}

/* C-05: empty and nested results; whoever has no lease is told. */
static void a_completed_record_leaves_its_result(void **state)
{
    struct world *w = world(state);
    const struct str results[] = {STR("{}"), STR("{\"a\":{\"b\":[1,null,\"x\"]}}")};
    struct task_leases l;
    struct task_details d;

    w->now = 1000 * CLOCK_S;
    put(w, 0, (struct queue_status){0});
    world_join(w, 20);
    add(w, 2, 0);
    l = world_claim_queue(w, "mail", 2);
    w->now += CLOCK_S;
    for (size_t i = 0; i < 2; i++) {
        struct task_lease other = l.list[i];

        other.token += 1000;
        assert_int_equal(end(w, &other, OUTCOME_SUCCEEDED, STR(""), results[i]), CODE_LEASE_LOST);
        assert_int_equal(end(w, &l.list[i], OUTCOME_SUCCEEDED, STR(""), results[i]), CODE_OK);
        DO(w, task_get(&w->tx, &(struct task_which){.id = l.list[i].task}, &d));
        assert_int_equal(d.task.state, TASK_SUCCEEDED);
        assert_int_equal(d.task.ended_at, w->now);
        assert_true(str_eq(d.task.output, results[i]));
    }
    assert_int_equal(get(w).counts[TASK_SUCCEEDED], 2);
    world_healthy(w);
}

/* C-06: long messages and special characters survive, and the attempt counts. */
static void a_failed_record_keeps_its_message(void **state)
{
    struct world *w = world(state);
    static char long_text[TASK_MESSAGE_BYTES_MAX];
    const struct str messages[] = {
        {long_text, sizeof(long_text)},
        STR("'); DROP TABLE task; -- \"\\\n\t \xe2\x82\xac \xf0\x9f\x92\xa5"),
    };
    struct queue_task_list dead;
    struct task_leases l;

    memset(long_text, 'x', sizeof(long_text));
    put(w, 0, (struct queue_status){0});
    world_join(w, 20);
    add(w, 2, 0);
    l = world_claim_queue(w, "mail", 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(end(w, &l.list[1 - i], OUTCOME_FAILED, messages[i], STR("")), CODE_OK);
    DO(w, queue_tasks(&w->tx, &(struct queue_tasks){.queue = mail, .state = TASK_FAILED, .max = 20},
                      &dead));
    assert_int_equal(dead.n, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(dead.list[i].attempts, 1);
        assert_true(str_eq(dead.list[i].message, messages[dead.list[i].id == l.list[0].task]));
    }
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(settings_change_one_by_one),
        ENGINE_TESTS(an_old_version_is_refused),
        ENGINE_TESTS(bad_settings_are_refused),
        ENGINE_TESTS(queues_come_in_pages_with_counts),
        ENGINE_TESTS(the_oldest_is_told),
        ENGINE_TESTS(tasks_come_in_pages),
        ENGINE_TESTS(those_behind_their_key_come_last),
        ENGINE_TESTS(lists_show_short_payloads_only),
        ENGINE_TESTS(bad_lists_are_refused),
        ENGINE_TESTS(dead_letters_go_back),
        ENGINE_TESTS(named_ones_go_back_edited),
        ENGINE_TESTS(a_full_queue_takes_none_back),
        ENGINE_TESTS(bad_requeues_are_refused),
        ENGINE_TESTS(purging_cancels_and_forgets),
        ENGINE_TESTS(purging_comes_in_pieces),
        ENGINE_TESTS(purging_takes_whole_blocks),
        ENGINE_TESTS(cancelling_one),
        ENGINE_TESTS(a_completed_record_leaves_its_result),
        ENGINE_TESTS(a_failed_record_keeps_its_message),
        ENGINE_TESTS(old_attempts_are_forgotten),
    };

    return ENGINE_MAIN(tests);
}
