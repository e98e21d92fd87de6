/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model of plans, checked: each rule of plans that the engine breaks on purpose must be found
 * within a bounded number of histories. WEFT_BROKEN=CIRCLE breaks that rule alone.
 */
#include "base/broken.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "plan_bench.h"

#define SEEDS_MAX 500

enum broken_rule broken_rule = BROKEN_N;

static const struct rule {
    enum broken_rule rule;
    const char *name, *text;
} rules[] = {
#define BROKEN_ROW(name, text) {BROKEN_##name, #name, text},
    BROKEN_PLAN_RULES(BROKEN_ROW)};

static uint64_t seeds_until_found(struct bench *b)
{
    uint64_t numbers[BENCH_STEPS];

    for (uint64_t seed = 1; seed <= SEEDS_MAX; seed++) {
        bench_numbers(seed, numbers);
        bench_run(b, seed, numbers, BENCH_STEPS);
        if (b->differs)
            return seed;
    }
    return 0;
}

static void each_broken_rule_is_found(void **state)
{
    const char *only = getenv("WEFT_BROKEN");
    struct buf text;
    struct bench b = {.w = world(state), .text = &text};
    size_t missed = 0;

    buf_init(&text, BENCH_TEXT_BYTES);
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        uint64_t seeds;

        if (only && strcmp(only, rules[i].name) != 0)
            continue;
        broken_rule = rules[i].rule;
        seeds = seeds_until_found(&b);
        missed += seeds == 0;
        if (seeds)
            print_message("%s: %s\n    found after %" PRIu64 " histories: " STR_FMT "\n",
                          rules[i].name, rules[i].text, seeds, STR_ARG(buf_str(&text)));
        else
            print_message("%s: %s\n    NOT FOUND in %d histories\n", rules[i].name, rules[i].text,
                          SEEDS_MAX);
    }
    broken_rule = BROKEN_N;
    assert_int_equal(missed, 0);
    buf_deinit(&text);
    arena_deinit(&b.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(each_broken_rule_is_found, sqlite, memory),
    };

    return ENGINE_MAIN(tests);
}
