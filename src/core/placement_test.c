/* SPDX-License-Identifier: Apache-2.0 */
#include "core/placement.h"

#include <string.h>

#include "base/test.h"

static const struct placement_label linux_label[] = {
    {{"os", 2}, {"linux", 5}}
};
static const struct placement_demand build = {
    {"build",     5},
    PLACEMENT_SYNC, {linux_label, 1}
};

/* What may be different about a runner, each in a few ways. */
#define WAYS(X)                                                                                    \
    X(type, 2)                                                                                     \
    X(modes, 3)                                                                                    \
    X(labels, 2)                                                                                   \
    X(health, 3)                                                                                   \
    X(breaker, 2)                                                                                  \
    X(refused, 2)                                                                                  \
    X(slots, 3)                                                                                    \
    X(load, 3)                                                                                     \
    X(granted, 2)
#define WAYS_TIMES(name, n) n *
#define RUNNERS_N           (WAYS(WAYS_TIMES) 1)

static struct placement_runner runner_of(int way, int64_t id)
{
#define WAYS_TAKE(name, n)                                                                         \
    int name = way % (n);                                                                          \
    way /= (n);
    WAYS(WAYS_TAKE)
    return (struct placement_runner){
        .id = id,
        .type = type ? STR("test") : STR("build"),
        .modes = (unsigned)modes + 1,
        .labels = {linux_label, labels ? 0 : 1},
        .health = (enum placement_health)health,
        .breaker_open = breaker,
        .refused = refused,
        .slots = slots,
        .load = load,
        .granted = granted,
    };
}

/* The first thing in the way of a runner, as a list to be read. */
static enum placement_verdict way_blocked(const struct placement_runner *r)
{
    const struct {
        bool is;
        enum placement_verdict verdict;
    } rows[] = {
        {!str_eq(r->type, STR("build")),    PLACEMENT_OTHER_TYPE},
        {r->modes == PLACEMENT_ASYNC,               PLACEMENT_MODE_UNSUPPORTED    },
        {r->labels.n == 0,               PLACEMENT_LABEL_MISSING           },
        {r->health == PLACEMENT_LEAVING,               PLACEMENT_DRAINING},
        {r->health == PLACEMENT_LATE,               PLACEMENT_SUSPECT              },
        {r->breaker_open,               PLACEMENT_BREAKER_OPEN  },
        {r->slots && r->load >= r->slots,               PLACEMENT_FULL},
        {true,               PLACEMENT_CHOSEN                             },
    };
    size_t i = 0;

    while (!rows[i].is)
        i++;
    return rows[i].verdict;
}

/* Who comes first, as one number: refusal, load, share in thousandths, age of the last grant. */
static int64_t rank(const struct placement_runner *r)
{
    int64_t share = r->slots ? r->load * 100 / r->slots : 0;

    return (((r->refused * 10 + r->load) * 1000 + share) * 10 + r->granted) * 10 + r->id;
}

static void check_pair(int i, int j)
{
    const struct placement_runner pair[] = {runner_of(i, 1), runner_of(j, 2)};
    const struct placement_runner turned[] = {pair[1], pair[0]};
    enum placement_verdict v[2], w[2];
    bool can[2] = {way_blocked(&pair[0]) == PLACEMENT_CHOSEN,
                   way_blocked(&pair[1]) == PLACEMENT_CHOSEN};
    size_t chosen = placement_choose(&build, pair, 2, v), first = PLACEMENT_NOBODY;
    size_t again = placement_choose(&build, turned, 2, w);

    if (can[0] || can[1])
        first = can[0] && (!can[1] || rank(&pair[0]) < rank(&pair[1])) ? 0 : 1;
    CHECK_ROW("the choice", chosen == first);
    CHECK_ROW("in another order",
              again == (chosen == PLACEMENT_NOBODY ? PLACEMENT_NOBODY : 1 - chosen));
    for (size_t k = 0; k < 2; k++) {
        enum placement_verdict want = way_blocked(&pair[k]);

        if (can[k] && k != first)
            want =
                pair[k].refused && !pair[first].refused ? PLACEMENT_REFUSED_LAST : PLACEMENT_BUSIER;
        CHECK_ROW("the verdict", v[k] == want && w[1 - k] == want);
        CHECK_ROW("who serves",
                  placement_serves(&pair[k], &build) ==
                      (v[k] != PLACEMENT_OTHER_TYPE && v[k] != PLACEMENT_MODE_UNSUPPORTED &&
                       v[k] != PLACEMENT_LABEL_MISSING));
    }
}

/* D-15, D-18, D-19: every pair of runners. */
static void every_pair_of_runners(void **state)
{
    (void)state;
    for (int i = 0; i < RUNNERS_N; i++)
        for (int j = 0; j < RUNNERS_N; j++)
            check_pair(i, j);
}

static void nobody_is_nobody(void **state)
{
    (void)state;
    assert_true(placement_choose(&build, NULL, 0, NULL) == PLACEMENT_NOBODY);
}

/* D-19, D-57: as many as there are slots, one after the other, and evenly. */
static void slots_are_filled_evenly(void **state)
{
    struct placement_runner list[3] = {runner_of(0, 1), runner_of(0, 2), runner_of(0, 3)};
    enum placement_verdict v[3];
    int64_t token = 0;

    (void)state;
    list[0].slots = 5;
    list[1].slots = 2;
    list[2].slots = 1;
    for (int given = 0; given < 8; given++) {
        size_t at = placement_choose(&build, list, 3, v);

        assert_true(at != PLACEMENT_NOBODY);
        for (size_t i = 0; i < 3; i++)
            assert_true(list[at].load <= list[i].load || list[i].load == list[i].slots);
        list[at].load++;
        list[at].granted = ++token;
        assert_true(list[at].load <= list[at].slots);
    }
    assert_true(placement_choose(&build, list, 3, v) == PLACEMENT_NOBODY);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(v[i], PLACEMENT_FULL);
}

/* Those that are equal take turns. */
static void equals_take_turns(void **state)
{
    struct placement_runner list[3] = {runner_of(0, 1), runner_of(0, 2), runner_of(0, 3)};
    enum placement_verdict v[3];

    (void)state;
    for (int i = 0; i < 9; i++) {
        size_t at = placement_choose(&build, list, 3, v);

        assert_int_equal(at, i % 3);
        list[at].granted = i + 1;
    }
}

/* Loads and slots beyond all that is counted do not overflow. */
static void large_numbers(void **state)
{
    struct placement_runner list[2] = {runner_of(0, 1), runner_of(0, 2)};
    enum placement_verdict v[2];

    (void)state;
    list[0].load = list[1].load = INT64_MAX - 2;
    list[0].slots = INT64_MAX - 1;
    list[1].slots = INT64_MAX;
    assert_int_equal(placement_choose(&build, list, 2, v), 1);
}

static void texts_read_back(void **state)
{
    enum placement_verdict verdict;
    enum placement_mode mode;
    unsigned modes;

    (void)state;
    for (int i = 0; i < PLACEMENT_VERDICT_N; i++) {
        assert_true(placement_verdict_sentence((enum placement_verdict)i).n > 0);
        assert_true(
            placement_verdict_parse(placement_verdict_text((enum placement_verdict)i), &verdict) &&
            (int)verdict == i);
    }
    assert_false(placement_verdict_parse(STR("none"), &verdict));
    for (unsigned i = 1; i <= PLACEMENT_MODES_ALL; i++)
        assert_true(placement_modes_parse(placement_modes_text(i), &modes) && modes == i);
    assert_true(placement_mode_parse(STR("async"), &mode) && mode == PLACEMENT_ASYNC);
    assert_false(placement_mode_parse(STR("sync,async"), &mode));
    assert_false(placement_mode_parse(STR(""), &mode));
    assert_false(placement_modes_parse(STR("async,sync"), &modes));
}

static void demands(void **state)
{
    static const struct placement_label two[] = {
        {{"os", 2},   {"linux", 5}},
        {{"arch", 4}, {"\"x\"", 3}}
    };
    static const struct {
        const char *name;
        struct placement_demand demand;
        const char *text;
    } rows[] = {
  /* clang-format off */
        {"no labels",     {{"build", 5}, PLACEMENT_SYNC,  {NULL, 0}}, "{\"labels\":{},\"mode\":\"sync\",\"type\":\"build\"}"},
        {"sorted labels", {{"a\nb", 3},  PLACEMENT_ASYNC, {two, 2}},  "{\"labels\":{\"arch\":\"\\\"x\\\"\",\"os\":\"linux\"},\"mode\":\"async\",\"type\":\"a\\nb\"}"},
  /* clang-format on */
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct str text = placement_demand_text(&a, &rows[i].demand);
        struct placement_demand d;

        CHECK_TEXT(text, rows[i].text);
        CHECK_ROW(rows[i].name, placement_demand_parse(&a, text, &d));
        CHECK_ROW(rows[i].name, str_eq(d.type, rows[i].demand.type));
        CHECK_ROW(rows[i].name, d.mode == rows[i].demand.mode);
        CHECK_ROW(rows[i].name, str_eq(placement_demand_text(&a, &d), text));
    }
    arena_deinit(&a);
}

static const char too_many_labels[] =
    "{\"labels\":{\"0\":\"\",\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\","
    "\"7\":\"\",\"8\":\"\",\"9\":\"\",\"a\":\"\",\"b\":\"\",\"c\":\"\",\"d\":\"\",\"e\":\"\","
    "\"f\":\"\",\"g\":\"\"},\"mode\":\"sync\",\"type\":\"a\"}";

static void what_is_no_demand(void **state)
{
    static const char *const rows[] = {
        "",
        "[]",
        "{",
        "{\"labels\":{},\"mode\":\"sync\"}",
        "{\"labels\":{},\"mode\":\"sync\",\"type\":\"\"}",
        "{\"labels\":{},\"mode\":\"sync\",\"type\":7}",
        "{\"labels\":{},\"mode\":\"sync,async\",\"type\":\"a\"}",
        "{\"labels\":{},\"mode\":7,\"type\":\"a\"}",
        "{\"labels\":{\"a\":1},\"mode\":\"sync\",\"type\":\"a\"}",
        "{\"labels\":[],\"mode\":\"sync\",\"type\":\"a\"}",
        "{\"mode\":\"sync\",\"type\":\"a\"}",
        too_many_labels,
    };
    struct arena a = {0};
    struct placement_demand d;

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        CHECK_ROW(rows[i], !placement_demand_parse(&a, str_of(rows[i]), &d));
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_runners),
        cmocka_unit_test(nobody_is_nobody),
        cmocka_unit_test(slots_are_filled_evenly),
        cmocka_unit_test(equals_take_turns),
        cmocka_unit_test(large_numbers),
        cmocka_unit_test(texts_read_back),
        cmocka_unit_test(demands),
        cmocka_unit_test(what_is_no_demand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
