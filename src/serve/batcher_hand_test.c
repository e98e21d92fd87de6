/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/queue.h"
#include "serve/batcher.h"

BATCHER_FUNCTION(call_put, queue_put)

#define URL STR("sqlite::memory:batcher_hand_test")

/* What the store is made to do; each once. */
struct made {
    int begin, statement, commit, settle;
    bool done;
    size_t ran; /* transactions that the batcher told of */
};

static int take(int *what)
{
    int r = *what;

    *what = 0;
    return r;
}

static int begin(void *context)
{
    return take(&((struct made *)context)->begin);
}

static int statement(void *context)
{
    return take(&((struct made *)context)->statement);
}

static int commit(void *context, bool *ret_done)
{
    struct made *m = context;

    *ret_done = m->done;
    return take(&m->commit);
}

static int settle(void *context)
{
    return take(&((struct made *)context)->settle);
}

static void ran(void *context, struct batcher_request *const *list, size_t n, int64_t now, int r)
{
    (void)list;
    assert_int_equal(n, 1);
    assert_true(now > 0 && (r == 0 || r == -EHOSTUNREACH));
    ((struct made *)context)->ran++;
}

struct fixture {
    struct clock_simulated clock;
    struct made made;
    struct store_faults faults;
    struct batcher *b;
    bool answered;
    struct queue_put request;
    struct queue_status reply;
    struct batcher_request q;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct batcher_options o = {
        .store = {.url = URL, .mode = STORE_WRITE, .faults = &f.faults},
        .name = "hand",
        .by_hand = true,
        .seed = 1,
        .ran = ran,
        .ran_context = &f.made,
    };

    f = (struct fixture){
        .clock = {CLOCK_S, CLOCK_S},
          .faults = { &f.made, begin, statement, commit, settle}
    };
    clock_simulate(&f.clock);
    assert_int_equal(batcher_new(&o, &f.b), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    batcher_free(f->b);
    batcher_release(&f->q);
    clock_simulate(NULL);
    return 0;
}

static void done(struct batcher_request *q)
{
    *(bool *)q->context = true;
}

static void post(struct fixture *f)
{
    f->answered = false;
    f->request = (struct queue_put){.name = STR("q")};
    f->q = (struct batcher_request){.function = call_put,
                                    .request = &f->request,
                                    .reply = &f->reply,
                                    .reply_size = sizeof(f->reply),
                                    .patience_us = 10 * CLOCK_S,
                                    .done = done,
                                    .context = &f->answered};
    batcher_post(f->b, (struct batcher_request *[]){&f->q}, 1);
}

/* Another connection to the same memory. */
static bool is_there(void)
{
    struct queue_status status;
    struct str name = STR("q");
    struct arena a = {0};
    struct tx tx = {.arena = &a};
    int r;

    assert_int_equal(
        store_open(&(struct store_options){.url = URL, .mode = STORE_WRITE}, &tx.store), 0);
    assert_int_equal(tx_begin(&tx), 0);
    r = queue_get(&tx, &name, &status);
    assert_true(r == 0 || tx.problem.code == CODE_QUEUE_NOT_FOUND);
    tx_rollback(&tx);
    store_free(tx.store);
    arena_deinit(&a);
    return r == 0;
}

static void nothing_happens_by_itself(void **state)
{
    struct fixture *f = *state;
    int64_t wait_us;

    post(f);
    assert_false(f->answered);
    assert_true(batcher_turn(f->b, &wait_us));
    assert_true(f->answered && wait_us == 0 && f->q.answer.code == CODE_OK);
    assert_false(batcher_turn(f->b, &wait_us));
    assert_true(is_there());
    assert_int_equal(f->made.ran, 1);
}

static void a_fault_is_waited_for(void **state)
{
    struct fixture *f = *state;
    int64_t wait_us;

    f->made.begin = -ECONNRESET;
    post(f);
    assert_true(batcher_turn(f->b, &wait_us));
    assert_true(!f->answered && wait_us > 0);
    assert_true(batcher_turn(f->b, &wait_us));
    assert_true(f->answered && f->q.answer.code == CODE_OK);
}

static void a_commit_in_doubt_is_asked_about(void **state)
{
    for (int done_ = 0; done_ < 2; done_++) {
        struct fixture *f = *state;
        int64_t wait_us;

        f->made = (struct made){.commit = -EHOSTUNREACH, .settle = -EHOSTUNREACH, .done = done_};
        post(f);
        assert_true(batcher_turn(f->b, &wait_us) && wait_us > 0); /* in doubt … */
        assert_true(is_there() == done_);
        assert_true(batcher_turn(f->b, &wait_us) && wait_us > 0); /* … and still */
        assert_true(!f->answered && f->made.ran == 1);
        while (!f->answered)
            assert_true(batcher_turn(f->b, &wait_us));
        assert_int_equal(f->q.answer.code, CODE_OK);
        assert_int_equal(f->made.ran, done_ ? 1 : 2);
        assert_true(is_there());
        tear_down(state);
        set_up(state);
    }
}

static void a_store_that_is_away_is_not_waited_for_in_the_end(void **state)
{
    struct fixture *f = *state;
    int64_t wait_us;

    f->made.begin = -ECONNRESET;
    post(f);
    assert_true(batcher_turn(f->b, &wait_us) && wait_us > 0);
    f->made.begin = -ECONNRESET;
    f->b = batcher_free(f->b);
    assert_true(f->answered && f->q.answer.code == CODE_STORE_UNAVAILABLE);
}

/* A machine or a server that has nothing left is no mistake of weft's, and is told as what it is.
 */
static void what_is_used_up_is_told(void **state)
{
    static const int faults[] = {-ENOMEM, -EMFILE};
    struct fixture *f = *state;
    int64_t wait_us;

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        for (int at_begin = 0; at_begin <= 1; at_begin++) {
            *(at_begin ? &f->made.begin : &f->made.statement) = faults[i];
            post(f);
            while (!f->answered)
                batcher_turn(f->b, &wait_us);
            assert_int_equal(f->q.answer.code, CODE_STORE_UNAVAILABLE);
            assert_non_null(memmem(f->q.answer.text.p, f->q.answer.text.n, strerror(-faults[i]),
                                   strlen(strerror(-faults[i]))));
            batcher_release(&f->q);
            assert_false(is_there());
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_happens_by_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fault_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_commit_in_doubt_is_asked_about, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_used_up_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_that_is_away_is_not_waited_for_in_the_end, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
