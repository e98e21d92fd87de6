/* SPDX-License-Identifier: Apache-2.0 */
/* Workers from outside: joining again, many heartbeats at once, lists. */
#include "engine/engine_testing.h"

#define TTL_US (50 * CLOCK_S)

static struct worker_join request(const char *name, int64_t slots)
{
    return (struct worker_join){
        .worker = {.name = str_of(name), .host = STR("h"), .slots = slots, .ttl_us = TTL_US},
    };
}

static struct worker_joined join(struct world *w, const struct worker_join *req)
{
    struct worker_joined reply;

    DO(w, worker_join(&w->tx, req, &reply));
    w->worker = reply.worker.worker.incarnation;
    return reply;
}

static void fill(struct world *w, size_t n)
{
    struct task_new *list = arena_alloc(&w->arena, n * sizeof(*list));
    struct queue_status q;
    struct task_ids ids;

    DO(w, queue_put(&w->tx, &(struct queue_put){.name = STR("mail")}, &q));
    for (size_t i = 0; i < n; i++)
        list[i] = (struct task_new){.payload = STR("{}")};
    DO(w, task_enqueue(&w->tx, &(struct task_enqueue){STR("mail"), list, n}, &ids));
}

static struct worker_view get(struct world *w, int64_t incarnation)
{
    struct worker_view v;

    DO(w, worker_get(&w->tx, &incarnation, &v));
    return v;
}

static void what_it_says_is_kept(void **state)
{
    struct world *w = world(state);
    const struct worker_label labels[] = {
        {STR("zone"),      STR("a")         },
        {STR("\"quote\""), STR("\n\xc3\xa9")},
    };
    const struct worker_label meta = {STR("version"), STR("1.2")};
    struct worker_join req = request("w1", 4);
    struct worker_joined j;
    struct worker_view v;

    req.worker.labels = (struct worker_labels){labels, 2};
    req.worker.metadata = (struct worker_labels){&meta, 1};
    req.worker.pid = 17;
    j = join(w, &req);
    assert_false(j.reregistered);
    assert_int_equal(j.beat_every_us, TTL_US / 5);
    v = get(w, w->worker);
    CHECK_TEXT(v.worker.kind, "remote");
    CHECK_TEXT(v.metrics, "{}");
    assert_int_equal(v.worker.pid, 17);
    assert_int_equal(v.worker.state, WORKER_READY);
    assert_int_equal(v.labels.n, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(str_eq(v.labels.list[i].name, labels[i].name));
        assert_true(str_eq(v.labels.list[i].value, labels[i].value));
    }
    assert_int_equal(v.metadata.n, 1);
    CHECK_TEXT(v.metadata.list[0].value, "1.2");
    world_healthy(w);
}

static void bad_requests_are_refused(void **state)
{
    struct world *w = world(state);
    static char long_text[WORKER_LABEL_BYTES_MAX + 1];
    struct worker_label many[WORKER_LABELS_MAX + 1];
    const struct worker_label twice[] = {
        {STR("a"), STR("")},
        {STR("a"), STR("")},
    };
    const struct worker_label bad[] = {
        {STR(""),                        STR("x")                      },
        {{long_text, sizeof(long_text)}, STR("x")                      },
        {STR("x"),                       {long_text, sizeof(long_text)}},
        {STR("x"),                       STR("\xff")                   },
        {{"a\0b", 3},                    STR("x")                      },
    };
    struct worker_join req = request("12", 1);
    struct worker_joined reply;
    int64_t nobody = 4711;
    struct worker_view view;

    memset(long_text, 'x', sizeof(long_text));
    for (size_t i = 0; i < ROWS_N(many); i++)
        many[i] = (struct worker_label){str_printf(&w->arena, "l%zu", i), STR("")};
    w->row = "a number as name";
    REFUSED(w, worker_join(&w->tx, &req, &reply), CODE_INVALID);
    w->row = "too many leases";
    req = request("w", 1);
    req.leases_n = WORKER_LEASES_MAX + 1;
    REFUSED(w, worker_join(&w->tx, &req, &reply), CODE_INVALID);
    w->row = "no slots";
    req = request("w", 0);
    REFUSED(w, worker_join(&w->tx, &req, &reply), CODE_INVALID);
    req = request("w", 1);
    w->row = "too many labels";
    req.worker.labels = (struct worker_labels){many, ROWS_N(many)};
    REFUSED(w, worker_join(&w->tx, &req, &reply), CODE_INVALID);
    w->row = "a label twice";
    req.worker.labels = (struct worker_labels){twice, 2};
    REFUSED(w, worker_join(&w->tx, &req, &reply), CODE_INVALID);
    w->row = "bad metadata";
    req.worker.labels = (struct worker_labels){0};
    for (size_t i = 0; i < ROWS_N(bad); i++) {
        req.worker.metadata = (struct worker_labels){&bad[i], 1};
        REFUSED(w, worker_join(&w->tx, &req, &reply), CODE_INVALID);
    }
    w->row = NULL;
    REFUSED(w, worker_get(&w->tx, &nobody, &view), CODE_WORKER_NOT_FOUND);
}

/* While an incarnation lives, another one is refused, unless it takes over. */
static void of_two_that_live_the_second_is_refused(void **state)
{
    struct world *w = world(state);
    struct worker_join req = request("w1", 4);
    struct worker_joined first, second;

    w->now = 1000 * CLOCK_S;
    first = join(w, &req);
    w->now += TTL_US / 5 * 2 - 1;
    REFUSED(w, worker_join(&w->tx, &req, &second), CODE_WORKER_ALIVE);
    assert_int_equal(get(w, first.worker.worker.incarnation).worker.state, WORKER_READY);
    req.takeover = true;
    second = join(w, &req);
    assert_true(second.reregistered);
    assert_true(second.worker.worker.incarnation > first.worker.worker.incarnation);
    assert_int_equal(get(w, first.worker.worker.incarnation).worker.state, WORKER_LOST);
    CHECK_TEXT(get(w, first.worker.worker.incarnation).reason,
               "another incarnation took its place");
    /* Its heartbeat is late: it is taken for gone. */
    req.takeover = false;
    w->now += TTL_US / 5 * 2;
    assert_true(join(w, &req).reregistered);
    world_healthy(w);
}

/* F.2: leases that are named go on under the new incarnation, the others are given back at once. */
static void named_leases_are_kept(void **state)
{
    struct world *w = world(state);
    struct worker_join req = request("w1", 10);
    struct lease_ref named[4];
    struct worker_joined j;
    struct task_leases l;
    struct queue_status q;
    const struct str mail = STR("mail");

    fill(w, 4);
    join(w, &req);
    l = world_claim_queue(w, "mail", 4);
    assert_int_equal(l.n, 4);
    named[0] = (struct lease_ref){l.list[2].task, l.list[2].token};
    named[1] = (struct lease_ref){l.list[0].task, l.list[0].token};
    named[2] = (struct lease_ref){l.list[1].task, l.list[0].token + 100}; /* never given */
    named[3] = (struct lease_ref){l.list[0].task, l.list[3].token};       /* of another task */
    req.leases = named;
    req.leases_n = 4;
    req.takeover = true;
    j = join(w, &req);
    assert_int_equal(j.kept_n, 2);
    assert_int_equal(j.kept[0].token, l.list[0].token);
    assert_int_equal(j.kept[1].token, l.list[2].token);
    assert_int_equal(j.lost_n, 2);
    assert_int_equal(j.worker.worker.busy, 2);
    /* What was kept is completed under its old token, what was not is lost, and given out again. */
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(world_complete(w, &l.list[2], OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(world_complete(w, &l.list[1], OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    assert_int_equal(world_complete(w, &l.list[3], OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    DO(w, queue_get(&w->tx, &mail, &q));
    assert_int_equal(q.counts[TASK_READY], 2);
    l = world_claim_queue(w, "mail", 4);
    assert_int_equal(l.n, 2);
    assert_int_equal(l.list[0].attempt, 2);
    world_healthy(w);
}

/* No more than it has slots; none from one that is over, since its leases were taken back. */
static void slots_bound_what_is_kept(void **state)
{
    struct world *w = world(state);
    struct worker_join req = request("w1", 3);
    struct lease_ref named[3];
    struct worker_joined j;
    struct task_leases l;
    struct worker_row left;

    fill(w, 3);
    join(w, &req);
    l = world_claim_queue(w, "mail", 3);
    for (size_t i = 0; i < 3; i++)
        named[i] = (struct lease_ref){l.list[i].task, l.list[i].token};
    req = request("w1", 2);
    req.leases = named;
    req.leases_n = 3;
    req.takeover = true;
    j = join(w, &req);
    assert_int_equal(j.kept_n, 2);
    assert_int_equal(j.lost_n, 1);
    DO(w, worker_leave(&w->tx, &w->worker, &left));
    req.takeover = false;
    j = join(w, &req);
    assert_true(j.reregistered);
    assert_int_equal(j.kept_n, 0);
    assert_int_equal(j.lost_n, 3);
    world_healthy(w);
}

/* Each is answered for itself, in the order of the request, an incarnation that comes twice too. */
static void heartbeats_of_many(void **state)
{
    struct world *w = world(state);
    static char large[WORKER_METRICS_BYTES_MAX + 1];
    struct worker_join one = request("w1", 2), two = request("w2", 2), three = request("w3", 2);
    int64_t a = join(w, &one).worker.worker.incarnation;
    int64_t b = join(w, &two).worker.worker.incarnation;
    int64_t c = join(w, &three).worker.worker.incarnation;
    struct worker_beat beats[] = {
        {c,    STR("")               },
        {a,    STR("{\"cpu\":1}")    },
        {4711, STR("")               },
        {b,    STR("")               },
        {a,    STR("{\"cpu\":2}")    },
        {b,    {large, sizeof(large)}},
        {b,    STR("[1]")            },
    };
    const enum code codes[] = {CODE_WORKER_LOST, CODE_OK,      CODE_WORKER_NOT_FOUND, CODE_OK,
                               CODE_OK,          CODE_INVALID, CODE_INVALID};
    struct worker_beat_answers answers;
    struct worker_row row;

    memset(large, '{', sizeof(large));
    DO(w, worker_leave(&w->tx, &c, &row));
    DO(w, worker_drain(&w->tx, &b, &row));
    DO(w, worker_beat_many(&w->tx, &(struct worker_beats){beats, ROWS_N(beats)}, &answers));
    assert_int_equal(answers.n, ROWS_N(beats));
    for (size_t i = 0; i < ROWS_N(beats); i++) {
        assert_int_equal(answers.list[i].code, codes[i]);
        assert_true((answers.list[i].text.n == 0) == (codes[i] == CODE_OK));
    }
    assert_int_equal(answers.list[1].reply.state, WORKER_READY);
    assert_int_equal(answers.list[3].reply.state, WORKER_DRAINING);
    CHECK_TEXT(get(w, a).metrics, "{\"cpu\":2}");
    REFUSED(w, worker_beat_many(&w->tx, &(struct worker_beats){beats, 0}, &answers), CODE_INVALID);
    REFUSED(w,
            worker_beat_many(&w->tx, &(struct worker_beats){beats, WORKER_BEATS_MAX + 1}, &answers),
            CODE_INVALID);
    world_healthy(w);
}

/* A task of a queue that is cancelled while it is held: each holder is told of its own. */
static void heartbeats_bring_what_to_stop(void **state)
{
    struct world *w = world(state);
    struct worker_join one = request("w1", 2), two = request("w2", 2);
    struct task_leases of_a, of_b;
    struct worker_beat_answers answers;
    struct task_now now;
    int64_t a, b;

    fill(w, 3);
    a = join(w, &one).worker.worker.incarnation;
    of_a = world_claim_queue(w, "mail", 2);
    b = join(w, &two).worker.worker.incarnation;
    of_b = world_claim_queue(w, "mail", 2);
    assert_int_equal(of_b.n, 1);
    DO(w, task_cancel(&w->tx, &(struct task_which){.id = of_a.list[1].task}, &now));
    assert_int_equal(now.state, TASK_RUNNING);
    DO(w, task_cancel(&w->tx, &(struct task_which){.id = of_b.list[0].task}, &now));
    DO(w, worker_beat_many(&w->tx,
                           &(struct worker_beats){
                               (struct worker_beat[]){
                                                      {.incarnation = b}, {.incarnation = a}, {.incarnation = a}},
                               3
    },
                           &answers));
    assert_int_equal(answers.list[0].reply.stop_n, 1);
    assert_int_equal(answers.list[0].reply.stop[0].token, of_b.list[0].token);
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(answers.list[i].reply.stop_n, 1);
        assert_int_equal(answers.list[i].reply.stop[0].token, of_a.list[1].token);
        assert_int_equal(answers.list[i].reply.stop[0].task, of_a.list[1].task);
    }
    assert_int_equal(world_complete(w, &of_a.list[1], OUTCOME_CANCELLED), CODE_OK);
    world_healthy(w);
}

static int try_join(struct tx *tx, const void *req, void *reply)
{
    return worker_join(tx, req, reply);
}

/* Neither has seen the other when it begins: the second waits for the first. */
static void of_two_that_join_at_once_one_is_refused(void **state)
{
    struct world *w = world(state);
    const struct worker_join req = request("w1", 4);
    struct worker_joined first, second;

    STORE_OK(w->store, world_begin(w));
    assert_int_equal(worker_join(&w->tx, &req, &first), 0);
    assert_int_equal(world_meet(w, try_join, &req, &second), CODE_WORKER_ALIVE);
}

static struct worker_views page(struct world *w, struct worker_page req)
{
    struct worker_views views;

    DO(w, worker_page(&w->tx, &req, &views));
    return views;
}

static void lists_come_in_pages(void **state)
{
    struct world *w = world(state);
    struct worker_views v;
    struct worker_row row;
    int64_t after = 0;
    size_t seen = 0;

    w->now = 1000 * CLOCK_S;
    for (int i = 0; i < 7; i++) {
        struct worker_join req = request(str_printf(&w->arena, "w%d", i).p, 1);

        join(w, &req);
    }
    DO(w, worker_leave(&w->tx, &w->worker, &row));
    do {
        v = page(w, (struct worker_page){.after = after, .max = 2});
        for (size_t i = 0; i < v.n; i++)
            assert_true(v.list[i].worker.incarnation > after);
        seen += v.n;
        after = v.next;
    } while (after);
    assert_int_equal(seen, 6);
    assert_int_equal(page(w, (struct worker_page){.max = 6}).next, 0);
    assert_int_equal(page(w, (struct worker_page){.all = true, .max = 100}).n, 7);
    v = page(w, (struct worker_page){.name = STR("w3"), .max = 100});
    assert_int_equal(v.n, 1);
    CHECK_TEXT(v.list[0].worker.name, "w3");
    assert_int_equal(page(w, (struct worker_page){.name = STR("w6"), .max = 100}).n, 0);
    /* The reaper has not come by yet, and yet nobody is shown as living whose time is over. */
    w->now += TTL_US;
    assert_int_equal(page(w, (struct worker_page){.max = 100}).n, 0);
    REFUSED(w, worker_page(&w->tx, &(struct worker_page){.max = 0}, &v), CODE_INVALID);
    REFUSED(w, worker_page(&w->tx, &(struct worker_page){.max = WORKER_PAGE_MAX + 1}, &v),
            CODE_INVALID);
}

/* Silent for its TTL: what it held is there again with the next scan. */
static void silence_gives_back(void **state)
{
    struct world *w = world(state);
    struct worker_join req = request("w1", 4);
    struct task_leases l;

    w->now = 1000 * CLOCK_S;
    fill(w, 2);
    join(w, &req);
    l = world_claim_queue(w, "mail", 2);
    w->now += TTL_US;
    assert_int_equal(world_reap(w).lost, 1);
    assert_int_equal(world_complete(w, &l.list[0], OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    join(w, &req);
    assert_int_equal(world_claim_queue(w, "mail", 4).n, 2);
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(what_it_says_is_kept),
        ENGINE_TESTS(bad_requests_are_refused),
        ENGINE_TESTS(of_two_that_live_the_second_is_refused),
        ENGINE_TESTS(named_leases_are_kept),
        ENGINE_TESTS(slots_bound_what_is_kept),
        ENGINE_TEST(of_two_that_join_at_once_one_is_refused, postgres, postgres),
        ENGINE_TESTS(heartbeats_of_many),
        ENGINE_TESTS(heartbeats_bring_what_to_stop),
        ENGINE_TESTS(lists_come_in_pages),
        ENGINE_TESTS(silence_gives_back),
    };

    return ENGINE_MAIN(tests);
}
