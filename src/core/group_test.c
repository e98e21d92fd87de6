/* SPDX-License-Identifier: Apache-2.0 */
#include "core/group.h"

#include "base/test.h"

static void verdicts(void **state)
{
    static const struct {
        const char *name;
        struct group g;
        enum group_verdict verdict;
    } rows[] = {
  /* clang-format off */
        {"all succeeded",                       {GROUP_ALL_SUCCESS, 0, 3, 3, 3, 0},           GROUP_MET},
        {"all so far",                          {GROUP_ALL_SUCCESS, 0, 3, 2, 2, 0},           GROUP_WAITING},
        {"one did not",                         {GROUP_ALL_SUCCESS, 0, 3, 1, 0, 0},           GROUP_IMPOSSIBLE},
        {"one of all did not",                  {GROUP_ALL_SUCCESS, 0, 3, 3, 2, 0},           GROUP_IMPOSSIBLE},
        {"all ended, none well",                {GROUP_ALL_DONE, 0, 3, 3, 0, 0},              GROUP_MET},
        {"one is open",                         {GROUP_ALL_DONE, 0, 3, 2, 2, 0},              GROUP_WAITING},
        {"one success is enough",               {GROUP_ONE_SUCCESS, 0, 3, 1, 1, 0},           GROUP_MET},
        {"failures wait for it",                {GROUP_ONE_SUCCESS, 0, 3, 2, 0, 0},           GROUP_WAITING},
        {"no success is left",                  {GROUP_ONE_SUCCESS, 0, 3, 3, 0, 0},           GROUP_IMPOSSIBLE},
        {"one end is enough",                   {GROUP_ONE_DONE, 0, 3, 1, 0, 0},              GROUP_MET},
        {"none has ended",                      {GROUP_ONE_DONE, 0, 3, 0, 0, 0},              GROUP_WAITING},
        {"two of three",                        {GROUP_AT_LEAST, 2, 3, 2, 2, 0},              GROUP_MET},
        {"two of three, one failed",            {GROUP_AT_LEAST, 2, 3, 2, 1, 0},              GROUP_WAITING},
        {"two of three, two failed",            {GROUP_AT_LEAST, 2, 3, 2, 0, 0},              GROUP_IMPOSSIBLE},
        {"as many as there can be",             {GROUP_AT_LEAST, INT64_MAX, INT64_MAX, 0, 0, 0},GROUP_WAITING},
        {"as many as there can be, one failed", {GROUP_AT_LEAST, INT64_MAX, INT64_MAX, 1, 0, 0},GROUP_IMPOSSIBLE},
        {"nobody to wait for is known",         {GROUP_ALL_DONE, 0, 0, 0, 0, 0},              GROUP_WAITING},
        {"all, one of them never",              {GROUP_ALL_SUCCESS, 0, 3, 0, 0, 1},           GROUP_IMPOSSIBLE},
        {"all ends, one of them never",         {GROUP_ALL_DONE, 0, 3, 0, 0, 1},              GROUP_IMPOSSIBLE},
        {"one success, one of them never",      {GROUP_ONE_SUCCESS, 0, 3, 1, 0, 1},           GROUP_WAITING},
        {"one success, the others never",       {GROUP_ONE_SUCCESS, 0, 3, 1, 0, 2},           GROUP_IMPOSSIBLE},
        {"one end, one of them never",          {GROUP_ONE_DONE, 0, 3, 0, 0, 2},              GROUP_WAITING},
        {"one end, none of them ever",          {GROUP_ONE_DONE, 0, 3, 0, 0, 3},              GROUP_IMPOSSIBLE},
        {"two of three, one of them never",     {GROUP_AT_LEAST, 2, 3, 1, 1, 1},              GROUP_WAITING},
        {"two of three, two of them never",     {GROUP_AT_LEAST, 2, 3, 0, 0, 2},              GROUP_IMPOSSIBLE},
  /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        CHECK_ROW(rows[i].name, group_judge(&rows[i].g) == rows[i].verdict);
}

/* What the rule says, in its own words, of tasks that have all ended. */
static bool holds(const struct group *g)
{
    switch (g->rule) {
    case GROUP_ALL_SUCCESS:
        return g->succeeded == g->total;
    case GROUP_ONE_SUCCESS:
        return g->succeeded > 0;
    case GROUP_AT_LEAST:
        return g->succeeded >= g->need;
    default:
        return true;
    }
}

/*
 * Go on from a group in every way, one end at a time. A verdict other than WAITING stays to the end
 * and is the rule's; WAITING means that the ends to come still decide, by themselves or, with
 * ALL_DONE and ONE_DONE, by their coming.
 */
static void go_on(const struct group *g, enum group_verdict before, bool *ret_met,
                  bool *ret_impossible)
{
    enum group_verdict v = group_judge(g);
    bool met = v == GROUP_MET, impossible = v == GROUP_IMPOSSIBLE;

    assert_true(before == GROUP_WAITING || v == before);
    if (g->done == g->total) {
        assert_int_equal(v, holds(g) ? GROUP_MET : GROUP_IMPOSSIBLE);
    } else {
        struct group well = *g, badly = *g;

        well.done++;
        well.succeeded++;
        badly.done++;
        go_on(&well, v, &met, &impossible);
        go_on(&badly, v, &met, &impossible);
        if (v == GROUP_WAITING && g->rule != GROUP_ALL_DONE && g->rule != GROUP_ONE_DONE)
            assert_true(met && impossible);
    }
    *ret_met = *ret_met || met;
    *ret_impossible = *ret_impossible || impossible;
}

static void every_course_of_every_group(void **state)
{
    (void)state;
    for (int rule = 0; rule < GROUP_RULE_N; rule++) {
        for (int64_t total = 1; total <= 5; total++) {
            for (int64_t need = 1; need <= (rule == GROUP_AT_LEAST ? total : 1); need++) {
                struct group g = {(enum group_rule)rule, need, total, 0, 0, 0};
                bool met = false, impossible = false;

                assert_int_equal(group_judge(&g), GROUP_WAITING);
                go_on(&g, GROUP_WAITING, &met, &impossible);
                assert_true(met);
                assert_int_equal(impossible, rule != GROUP_ALL_DONE && rule != GROUP_ONE_DONE);
            }
        }
    }
}

/* The rules that are special cases of AT_LEAST say what it says. */
static void all_and_one_are_at_least(void **state)
{
    (void)state;
    for (int64_t total = 1; total <= 5; total++) {
        for (int64_t done = 0; done <= total; done++) {
            for (int64_t ok = 0; ok <= done; ok++) {
                struct group all = {GROUP_ALL_SUCCESS, 0, total, done, ok, 0};
                struct group one = {GROUP_ONE_SUCCESS, 0, total, done, ok, 0};
                struct group n_of_n = {GROUP_AT_LEAST, total, total, done, ok, 0};
                struct group one_of_n = {GROUP_AT_LEAST, 1, total, done, ok, 0};

                assert_int_equal(group_judge(&all), group_judge(&n_of_n));
                assert_int_equal(group_judge(&one), group_judge(&one_of_n));
            }
        }
    }
}

static void texts(void **state)
{
    static const struct {
        const char *expected;
        struct group g;
    } rows[] = {
        {"2 of 3 ended, 1 succeeded; needs every one to succeed",
         {GROUP_ALL_SUCCESS, 0, 3, 2, 1, 0}                                                         },
        {"0 of 1 ended, 0 succeeded; needs every one to end",        {GROUP_ALL_DONE, 0, 1, 0, 0, 0}},
        {"2 of 3 ended, 0 succeeded; needs at least one to succeed",
         {GROUP_ONE_SUCCESS, 0, 3, 2, 0, 0}                                                         },
        {"0 of 3 ended, 0 succeeded; needs at least one to end",     {GROUP_ONE_DONE, 0, 3, 0, 0, 0}},
        {"2 of 3 ended, 1 succeeded; needs at least 2 to succeed",   {GROUP_AT_LEAST, 2, 3, 2, 1, 0}},
    };
    struct group largest = {GROUP_AT_LEAST, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, 0};
    char out[GROUP_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        CHECK_TEXT(group_explain(&rows[i].g, out), rows[i].expected);
    assert_true(str_ends(group_explain(&largest, out), STR("to succeed")));
    for (int i = 0; i < GROUP_RULE_N; i++) {
        enum group_rule r = GROUP_RULE_N;

        assert_true(group_rule_parse(group_rule_text((enum group_rule)i), &r));
        assert_int_equal(r, i);
    }
    assert_false(group_rule_parse(STR("ALL_DONE"), &(enum group_rule){0}));
    assert_false(group_rule_parse(STR(""), &(enum group_rule){0}));
    for (int i = 0; i < GROUP_ROLE_N; i++) {
        enum group_role r = GROUP_ROLE_N;

        assert_true(group_role_parse(group_role_text((enum group_role)i), &r));
        assert_int_equal(r, i);
    }
    assert_false(group_role_parse(STR("end"), &(enum group_role){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(every_course_of_every_group),
        cmocka_unit_test(all_and_one_are_at_least),
        cmocka_unit_test(texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
