/* SPDX-License-Identifier: Apache-2.0 */
/* Queues: their settings, their order, their limits. */
#include "engine/engine_testing.h"

#define GIVEN(setting) (1u << QUEUE_SET_##setting)

static struct queue_status put(struct world *w, const char *name, int64_t max)
{
    struct queue_status q;

    DO(w, queue_put(&w->tx,
                    &(struct queue_put){
                        .name = str_of(name), .given = GIVEN(TASKS_MAX), .set = {.tasks_max = max}},
                    &q));
    return q;
}

static struct queue_status get(struct world *w, const char *name)
{
    struct str text = str_of(name);
    struct queue_status q;

    DO(w, queue_get(&w->tx, &text, &q));
    return q;
}

static struct task_ids enqueue(struct world *w, const char *queue, const struct task_new *list,
                               size_t n)
{
    struct task_ids ids;

    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){str_of(queue), list, n}, &ids));
    assert_int_equal(ids.n, n);
    return ids;
}

static void settings_are_kept_and_changed(void **state)
{
    struct world *w = world(state);
    struct queue_status q = put(w, "mail", 0);

    assert_int_equal(q.tasks_max, QUEUE_TASKS_DEFAULT);
    assert_false(q.paused);
    DO(w, queue_put(&w->tx,
                    &(struct queue_put){
                        .name = STR("mail"),
                        .given = GIVEN(TASKS_MAX) | GIVEN(PAUSED),
                        .set = {.tasks_max = 5, .paused = true}
    },
                    &q));
    q = get(w, "mail");
    assert_true(q.paused);
    assert_int_equal(q.tasks_max, 5);
    world_healthy(w);
}

static void bad_settings_are_refused(void **state)
{
    struct world *w = world(state);
    char long_name[QUEUE_NAME_BYTES_MAX + 1];
    struct queue_status q;
    struct str nowhere = STR("nowhere");
    const struct {
        const char *name;
        struct queue_put put;
    } rows[] = {
        {"no name",        {.name = STR("")}                                                      },
        {"long name",      {.name = {long_name, sizeof(long_name)}}                               },
        {"NUL in a name",  {.name = {"a\0b", 3}}                                                  },
        {"no UTF-8",       {.name = STR("\xff")}                                                  },
        {"less than none", {.name = STR("a"), .given = GIVEN(TASKS_MAX), .set = {.tasks_max = -1}}},
        {"too many",
         {.name = STR("a"), .given = GIVEN(TASKS_MAX), .set = {.tasks_max = QUEUE_TASKS_MAX + 1}} },
    };

    memset(long_name, 'x', sizeof(long_name));
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        w->row = rows[i].name;
        REFUSED(w, queue_put(&w->tx, &rows[i].put, &q), CODE_INVALID);
    }
    w->row = NULL;
    REFUSED(w, queue_get(&w->tx, &nowhere, &q), CODE_QUEUE_NOT_FOUND);
}

/* C-03: the higher priority first, and within one priority the older task; nobody else has it. */
static void fifo_within_priority(void **state)
{
    struct world *w = world(state);
    const struct task_new list[] = {
        {.payload = STR("1")},
        {                   .payload = STR("2"),      .priority = 5},
        {                   .payload = STR("3")                  },
        { .payload = STR("4"),                   .priority = 5}
    };
    static const char *const order[] = {"2", "4", "1", "3"};
    struct task_details d;
    struct task_leases l;

    w->now = 1000 * CLOCK_S;
    put(w, "mail", 0);
    world_join(w, 10);
    enqueue(w, "mail", list, 4);
    w->now += CLOCK_S;
    for (size_t i = 0; i < 4; i += 2) {
        l = world_claim_queue(w, "mail", 2);
        assert_int_equal(l.n, 2);
        for (size_t k = 0; k < 2; k++)
            CHECK_TEXT(l.list[k].payload, order[i + k]);
    }
    /* They are somebody's, since then. */
    DO(w, task_get(&w->tx, &(struct task_which){.id = l.list[0].task}, &d));
    assert_int_equal(d.task.state, TASK_RUNNING);
    assert_int_equal(d.task.attempts[0].worker, w->worker);
    assert_int_equal(d.task.attempts[0].started_at, w->now);
    assert_int_equal(d.task.attempts[0].token, l.list[0].token);
    assert_int_equal(l.list[0].started_at, w->now);
    assert_int_equal(world_claim_queue(w, "mail", 2).n, 0);
    world_healthy(w);
}

/* what does not fit is refused as a whole, and nothing that was accepted is lost. */
static void full_queue_refuses(void **state)
{
    struct world *w = world(state);
    const struct task_new list[4] = {
        {.payload = STR("1")}, {.payload = STR("2")}, {.payload = STR("3")}, {.payload = STR("4")}};
    const struct task_enqueue two = {STR("mail"), list, 2}, four = {STR("mail"), list, 4};
    struct task_ids ids;
    struct task_leases l;

    put(w, "mail", 4);
    world_join(w, 10);
    enqueue(w, "mail", list, 3);
    REFUSED(w, task_enqueue(&w->tx, &two, &ids), CODE_QUEUE_FULL);
    assert_int_equal(get(w, "mail").counts[TASK_READY], 3);
    enqueue(w, "mail", list, 1);
    REFUSED(w, task_enqueue(&w->tx, &two, &ids), CODE_QUEUE_FULL);
    l = world_claim_queue(w, "mail", 10);
    assert_int_equal(l.n, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(world_complete(w, &l.list[i], OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(get(w, "mail").counts[TASK_SUCCEEDED], 4);
    DO(w, task_enqueue(&w->tx, &four, &ids));
    world_healthy(w);
}

/* The limit also counts what earlier requests of the same transaction have put in. */
static void limit_holds_within_a_transaction(void **state)
{
    struct world *w = world(state);
    const struct task_new one = {.payload = STR("1")};
    const struct task_enqueue req = {STR("mail"), &one, 1};
    struct str mail = STR("mail");
    struct queue_status q;
    struct task_ids ids;

    put(w, "mail", 1);
    STORE_OK(w->store, world_begin(w));
    assert_int_equal(task_enqueue(&w->tx, &req, &ids), 0);
    assert_int_equal(queue_get(&w->tx, &mail, &q), 0);
    assert_int_equal(q.counts[TASK_READY], 1);
    assert_int_equal(task_enqueue(&w->tx, &req, &ids), ENGINE_E_REFUSED);
    assert_int_equal(w->tx.problem.code, CODE_QUEUE_FULL);
    STORE_OK(w->store, tx_commit(&w->tx));
    assert_int_equal(get(w, "mail").counts[TASK_READY], 1);
    world_healthy(w);
}

static void paused_queue_gives_nothing(void **state)
{
    struct world *w = world(state);
    const struct task_new one = {.payload = STR("1")};
    const struct str mail = STR("mail");
    struct queue_status q;

    put(w, "mail", 0);
    world_join(w, 1);
    enqueue(w, "mail", &one, 1);
    DO(w, queue_pause(&w->tx, &mail, &q));
    assert_true(q.paused);
    assert_int_equal(world_claim_queue(w, "mail", 1).n, 0);
    DO(w, queue_resume(&w->tx, &mail, &q));
    assert_false(q.paused);
    assert_int_equal(world_claim_queue(w, "mail", 1).n, 1);
    world_healthy(w);
}

/* A delayed task is not given out before its time, and the claimer learns when to come again. */
static void delay_is_kept(void **state)
{
    struct world *w = world(state);
    const struct task_new list[] = {
        {.payload = STR("late"), .delay_us = 5 * CLOCK_S},
        {.payload = STR("soon"), .delay_us = 2 * CLOCK_S}
    };
    struct task_leases l;

    w->now = 1900000000 * CLOCK_S;
    put(w, "mail", 0);
    world_join(w, 2);
    enqueue(w, "mail", list, 2);
    l = world_claim_queue(w, "mail", 2);
    assert_int_equal(l.n, 0);
    assert_int_equal(l.next_due_at, w->now + 2 * CLOCK_S);
    w->now += 2 * CLOCK_S - 1;
    assert_int_equal(world_reap(w).promoted, 0);
    w->now += 1;
    assert_int_equal(world_reap(w).promoted, 1);
    l = world_claim_queue(w, "mail", 2);
    assert_int_equal(l.n, 1);
    CHECK_TEXT(l.list[0].payload, "soon");
    world_healthy(w);
}

static void bad_tasks_are_refused(void **state)
{
    struct world *w = world(state);
    char *large = arena_alloc(&w->arena, TASK_PAYLOAD_BYTES_MAX + 1);
    const struct {
        const char *name;
        struct task_new task;
        enum code code;
    } rows[] = {
        {"large payload",    {.payload = {large, TASK_PAYLOAD_BYTES_MAX + 1}}, CODE_TOO_LARGE},
        {"high priority",    {.payload = STR("1"), .priority = 1001},          CODE_INVALID  },
        {"low priority",     {.payload = STR("1"), .priority = -1001},         CODE_INVALID  },
        {"negative delay",   {.payload = STR("1"), .delay_us = -1},            CODE_INVALID  },
        {"endless delay",    {.payload = STR("1"), .delay_us = INT64_MAX},     CODE_INVALID  },
        {"negative timeout", {.payload = STR("1"), .timeout_us = -1},          CODE_INVALID  },
    };
    struct task_ids ids;

    put(w, "mail", 0);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        const struct task_enqueue req = {STR("mail"), &rows[i].task, 1};

        w->row = rows[i].name;
        REFUSED(w, task_enqueue(&w->tx, &req, &ids), rows[i].code);
    }
    w->row = NULL;
    REFUSED(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), NULL, 0}, &ids),
            CODE_INVALID);
    REFUSED(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("no"), &rows[1].task, 1}, &ids),
            CODE_INVALID);
    REFUSED(w,
            task_enqueue(
                &w->tx, &(struct task_enqueue){STR(""), &(struct task_new){.payload = STR("1")}, 1},
                &ids),
            CODE_INVALID);
    assert_int_equal(get(w, "mail").counts[TASK_READY], 0);
}

/* A task that ends well leaves its queue; what it did can still be seen. One that fails stays. */
static void the_ended_leave_and_the_dead_stay(void **state)
{
    struct world *w = world(state);
    const struct task_new list[] = {
        {.payload = STR("1")}, {.payload = STR("2")}, {.payload = STR("3")}};
    struct task_details d;
    struct task_leases l;
    struct queue_status q;

    put(w, "mail", 0);
    world_join(w, 10);
    enqueue(w, "mail", list, 3);
    l = world_claim_queue(w, "mail", 10);
    world_complete(w, &l.list[0], OUTCOME_SUCCEEDED);
    world_complete(w, &l.list[1], OUTCOME_FAILED);
    world_complete(w, &l.list[2], OUTCOME_CANCELLED);
    q = get(w, "mail");
    assert_int_equal(q.counts[TASK_SUCCEEDED], 1);
    assert_int_equal(q.counts[TASK_FAILED], 1);
    assert_int_equal(q.counts[TASK_CANCELLED], 1);
    world_healthy(w);
    DO(w, task_get(&w->tx, &(struct task_which){.id = l.list[0].task}, &d));
    assert_int_equal(d.task.state, TASK_SUCCEEDED);
    assert_int_equal(d.task.attempts_n, 1);
    DO(w, task_get(&w->tx, &(struct task_which){.id = l.list[2].task}, &d));
    assert_int_equal(d.task.state, TASK_CANCELLED);
    REFUSED(w, task_requeue(&w->tx, &(struct task_which){.id = l.list[0].task}, &d),
            CODE_TASK_NOT_FOUND);
    DO(w, task_requeue(&w->tx, &(struct task_which){.id = l.list[1].task}, &d));
    assert_int_equal(d.task.state, TASK_READY);
    CHECK_TEXT(d.task.reason, "requeued");
    REFUSED(w, task_requeue(&w->tx, &(struct task_which){.id = l.list[1].task}, &d),
            CODE_TASK_STATE);
    world_healthy(w);
}

/* A dead letter needs room like any other task. */
static void full_queue_takes_no_dead_letter_back(void **state)
{
    struct world *w = world(state);
    const struct task_new one = {.payload = STR("1")};
    struct task_details d;
    struct task_lease l;

    put(w, "mail", 1);
    world_join(w, 10);
    enqueue(w, "mail", &one, 1);
    l = world_claim_queue(w, "mail", 1).list[0];
    world_complete(w, &l, OUTCOME_FAILED);
    enqueue(w, "mail", &one, 1);
    REFUSED(w, task_requeue(&w->tx, &(struct task_which){.id = l.task}, &d), CODE_QUEUE_FULL);
    put(w, "mail", 2);
    DO(w, task_requeue(&w->tx, &(struct task_which){.id = l.task}, &d));
    world_healthy(w);
}

/* whatever a text looks like, it comes back byte for byte. */
static void hostile_texts_stay_data(void **state)
{
    static const char *const texts[] = {"'; DROP TABLE task; --", "$(reboot) `reboot` ${x}",
                                        "\"quoted\" \\ back\tslash\nline",
                                        "Zoë ✓ 日本語 \xf0\x9f\x9a\x80"};
    struct world *w = world(state);

    world_join(w, 10);
    for (size_t i = 0; i < ROWS_N(texts); i++) {
        const struct task_new one = {.payload = str_of(texts[i])};
        struct task_result result = {.outcome = OUTCOME_FAILED,
                                     .message = str_of(texts[i]),
                                     .stderr_tail = str_of(texts[i]),
                                     .exit_code = 1};
        struct task_codes codes;
        struct task_details d;
        struct task_lease l;

        CHECK_TEXT(put(w, texts[i], 0).name, texts[i]);
        enqueue(w, texts[i], &one, 1);
        l = world_claim_queue(w, texts[i], 1).list[0];
        CHECK_TEXT(l.payload, texts[i]);
        result.lease = (struct lease_ref){l.task, l.token};
        DO(w, task_complete(&w->tx, &(struct task_complete){&result, 1}, &codes));
        DO(w, task_get(&w->tx, &(struct task_which){.id = l.task}, &d));
        CHECK_TEXT(d.task.queue, texts[i]);
        CHECK_TEXT(d.task.detail, texts[i]);
        CHECK_TEXT(d.task.attempts[0].message, texts[i]);
        CHECK_TEXT(d.task.attempts[0].stderr_tail, texts[i]);
    }
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(settings_are_kept_and_changed),
        ENGINE_TESTS(bad_settings_are_refused),
        ENGINE_TESTS(fifo_within_priority),
        ENGINE_TESTS(full_queue_refuses),
        ENGINE_TESTS(limit_holds_within_a_transaction),
        ENGINE_TESTS(paused_queue_gives_nothing),
        ENGINE_TESTS(delay_is_kept),
        ENGINE_TESTS(bad_tasks_are_refused),
        ENGINE_TESTS(the_ended_leave_and_the_dead_stay),
        ENGINE_TESTS(full_queue_takes_no_dead_letter_back),
        ENGINE_TESTS(hostile_texts_stay_data),
    };

    return ENGINE_MAIN(tests);
}
