/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/idempotency.h"

#include <errno.h>

#include "engine/engine_testing.h"
#include "engine/reaper.h"

static struct idempotency key(const char *key, const char *method, const char *digest)
{
    return (struct idempotency){str_of(key), str_of(method), str_of(digest)};
}

static struct str find(struct world *w, const struct idempotency *i)
{
    struct str reply;

    DO(w, idempotency_find(&w->tx, i, &reply));
    return reply;
}

static void a_reply_is_kept_under_key_and_method(void **state)
{
    struct world *w = world(state);
    struct idempotency one = key("k", "a", "1"), other = key("k", "b", "1"),
                       changed = key("k", "a", "2");
    struct str reply;

    assert_int_equal(find(w, &one).n, 0);
    DO(w, idempotency_keep(&w->tx, &one, STR("{\"n\":1}")));
    CHECK_TEXT(find(w, &one), "{\"n\":1}");
    assert_int_equal(find(w, &other).n, 0);
    REFUSED(w, idempotency_find(&w->tx, &changed, &reply), CODE_IDEMPOTENCY_CONFLICT);
}

/* Two that keep one at the same moment: the second is run again, and finds it. */
static void who_comes_second_is_run_again(void **state)
{
    struct world *w = world(state);
    struct idempotency one = key("twice", "a", "1");

    DO(w, idempotency_keep(&w->tx, &one, STR("1")));
    STORE_OK(w->store, world_begin(w));
    assert_int_equal(idempotency_keep(&w->tx, &one, STR("2")), -EAGAIN);
    tx_rollback(&w->tx);
    CHECK_TEXT(find(w, &one), "1");
}

static void it_is_forgotten_after_a_day(void **state)
{
    struct world *w = world(state);
    struct idempotency_swept swept;
    struct reaper_forgotten forgotten;

    w->now = 1000000;
    for (int i = 0; i < IDEMPOTENCY_SWEEP + 2; i++) {
        struct idempotency one = key(str_printf(&w->arena, "%d", i).p, "a", "1");

        DO(w, idempotency_keep(&w->tx, &one, STR("1")));
    }
    w->now += IDEMPOTENCY_KEPT_US;
    DO(w, idempotency_sweep(&w->tx, NULL, &swept));
    assert_int_equal(swept.n, 0);
    w->now++;
    DO(w, idempotency_sweep(&w->tx, NULL, &swept));
    assert_int_equal(swept.n, IDEMPOTENCY_SWEEP);
    assert_true(swept.more);
    /* The slow scan does it. */
    DO(w, reaper_forget(&w->tx, NULL, &forgotten));
    DO(w, idempotency_sweep(&w->tx, NULL, &swept));
    assert_int_equal(swept.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(a_reply_is_kept_under_key_and_method),
        ENGINE_TESTS(who_comes_second_is_run_again),
        ENGINE_TESTS(it_is_forgotten_after_a_day),
    };

    return ENGINE_MAIN(tests);
}
