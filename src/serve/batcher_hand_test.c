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
    int64_t silent_us; /* before it says so; meanwhile somebody looks at the batcher */
    struct clock_simulated *clock;
    struct batcher *looked_at;
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
    struct made *m = context;

    if (m->silent_us) {
        m->clock->monotonic += m->silent_us;
        m->silent_us = 0;
        assert_true(batcher_silence_us(m->looked_at) >= BATCHER_SILENT_US);
    }
    return take(&m->begin);
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

static enum code trouble(struct fixture *f)
{
    char text[BATCHER_TROUBLE_BYTES];
    enum code code = batcher_trouble(f->b, text);

    assert_int_equal(code != CODE_OK, text[0] != 0);
    return code;
}

static void fail_once(struct fixture *f, int r)
{
    int64_t wait_us;

    f->made.begin = r;
    assert_true(batcher_turn(f->b, &wait_us) && wait_us > 0 && !f->answered);
    assert_int_equal(trouble(f), CODE_STORE_UNAVAILABLE);
}

static void answer_well(struct fixture *f)
{
    int64_t wait_us;

    assert_true(batcher_turn(f->b, &wait_us));
    assert_true(f->answered && wait_us == 0 && f->q.answer.code == CODE_OK);
    assert_int_equal(trouble(f), CODE_OK);
    batcher_release(&f->q);
}

/* Nobody waits for the store any more, which has not come back by that. */
static void trouble_lasts_until_the_store_answers(void **state)
{
    static const struct {
        const char *name;
        int64_t after_us, deadline_us; /* from the post */
        int fault;
        enum code withdrawn, code, trouble;
    } rows[] = {
        {.name = "its patience is over",
         .after_us = 11 * CLOCK_S,
         .fault = -ECONNRESET,
         .code = CODE_STORE_UNAVAILABLE,
         .trouble = CODE_STORE_UNAVAILABLE},
        {.name = "its time is over",
         .after_us = 2 * CLOCK_S,
         .deadline_us = CLOCK_S,
         .code = CODE_DEADLINE_EXCEEDED,
         .trouble = CODE_STORE_UNAVAILABLE},
        {.name = "its caller has gone",
         .withdrawn = CODE_CANCELLED,
         .code = CODE_CANCELLED,
         .trouble = CODE_STORE_UNAVAILABLE   },
        {.name = "it is another trouble now",
         .fault = -EROFS,
         .code = CODE_STORE_READ_ONLY,
         .trouble = CODE_STORE_READ_ONLY               },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t wait_us;

        post(f);
        if (rows[i].deadline_us)
            f->q.deadline_us = clock_monotonic() + rows[i].deadline_us;
        fail_once(f, -ECONNRESET);
        f->clock.monotonic += rows[i].after_us;
        f->made.begin = rows[i].fault;
        if (rows[i].withdrawn)
            batcher_withdraw(f->b, &f->q, rows[i].withdrawn);
        assert_true(batcher_turn(f->b, &wait_us) && wait_us == 0);
        if (!f->answered || f->q.answer.code != rows[i].code || trouble(f) != rows[i].trouble)
            fail_msg("%s: %s, trouble %s", rows[i].name, code_text(f->q.answer.code).p,
                     code_text(trouble(f)).p);
        batcher_release(&f->q);
        post(f);
        answer_well(f);
    }
}

/* Who is given up in the end has had no answer of the store's. */
static void a_store_that_is_given_up_is_not_well(void **state)
{
    struct fixture *f = *state;

    post(f);
    fail_once(f, -ECONNRESET);
    f->made.begin = -ECONNRESET;
    batcher_stop(f->b);
    assert_int_equal(f->q.answer.code, CODE_STORE_UNAVAILABLE);
    assert_int_equal(trouble(f), CODE_STORE_UNAVAILABLE);
}

/* One that says nothing until its server is given up: what comes next finds it as silent. */
static void a_silent_store_is_in_trouble_until_it_answers(void **state)
{
    struct fixture *f = *state;
    char text[BATCHER_TROUBLE_BYTES];
    int64_t wait_us;

    f->made.clock = &f->clock;
    f->made.looked_at = f->b;
    f->made.silent_us = 35 * CLOCK_S;
    f->made.begin = -ECONNRESET;
    post(f);
    assert_true(batcher_turn(f->b, &wait_us) && wait_us == 0);
    assert_int_equal(f->q.answer.code, CODE_STORE_UNAVAILABLE);
    assert_int_equal(batcher_silence_us(f->b), 0); /* nobody waits */
    f->clock.monotonic += CLOCK_S;
    assert_int_equal(batcher_trouble(f->b, text), CODE_STORE_UNAVAILABLE);
    assert_string_equal(text, "the store has not answered for 36.0 s");
    batcher_release(&f->q);
    post(f);
    fail_once(f, -ECONNRESET);
    answer_well(f);
    post(f);
    f->made.silent_us = 6 * CLOCK_S;
    answer_well(f);
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
        cmocka_unit_test_setup_teardown(trouble_lasts_until_the_store_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_that_is_given_up_is_not_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_silent_store_is_in_trouble_until_it_answers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_store_that_is_away_is_not_waited_for_in_the_end, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
