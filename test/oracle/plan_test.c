/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same random histories on the model of plans (src/sim/model_plan.h) and on the engine, on both
 * stores: every answer, and after every request all nodes, their groups and results, and the run.
 *
 * A failure prints its seed and the shortest history found that fails.
 *
 *     WEFT_SEED=7 build/test/oracle/plan_test
 *     WEFT_HISTORIES=1000 test/with-postgres build/test/oracle/plan_test
 *
 * run that one history, or so many on each store, however long they take.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "plan_bench.h"

#define HEALTHY_EVERY   20 /* histories */
#define SQLITE_BUDGET   (8 * CLOCK_S)
#define POSTGRES_BUDGET (4 * CLOCK_S)
#define SHRINK_US       (60 * CLOCK_S)

/* Leave out what the failure does not need, ever smaller pieces. */
static size_t shrink(struct bench *b, uint64_t seed, uint64_t *numbers, size_t n)
{
    uint64_t less[BENCH_STEPS];
    int64_t deadline = clock_monotonic() + SHRINK_US;

    for (size_t piece = n / 2; piece && clock_monotonic() < deadline; piece /= 2)
        for (size_t at = 0; at + piece <= n && clock_monotonic() < deadline;) {
            memcpy(less, numbers, at * sizeof(*less));
            memcpy(less + at, numbers + at + piece, (n - at - piece) * sizeof(*less));
            bench_run(b, seed, less, n - piece);
            if (!b->differs) {
                at += piece;
                continue;
            }
            n -= piece;
            memcpy(numbers, less, n * sizeof(*less));
        }
    return n;
}

static void history(struct bench *b, uint64_t seed)
{
    uint64_t numbers[BENCH_STEPS];
    size_t n;

    bench_numbers(seed, numbers);
    n = bench_run(b, seed, numbers, BENCH_STEPS);
    if (!b->differs)
        return;
    n = shrink(b, seed, numbers, n);
    b->said = true;
    bench_run(b, seed, numbers, n);
    fail_msg("WEFT_SEED=%" PRIu64 ": after the above, " STR_FMT, seed, STR_ARG(buf_str(b->text)));
}

static int64_t asked(const char *name)
{
    const char *s = getenv(name);
    int64_t n = 0;

    return s && str_int64(str_of(s), &n) ? n : 0;
}

static void histories(void **state)
{
    struct buf text;
    struct bench b = {.w = world(state), .text = &text};
    bool postgres = store_backend(b.w->store) == STORE_POSTGRES;
    int64_t wanted = asked("WEFT_HISTORIES"), seed = asked("WEFT_SEED"), n = 0;
    int64_t begun = clock_monotonic(), budget = postgres ? POSTGRES_BUDGET : SQLITE_BUDGET;

    buf_init(&text, BENCH_TEXT_BYTES);
    if (seed)
        history(&b, (uint64_t)seed);
    for (; !seed && (wanted ? n < wanted : clock_monotonic() - begun < budget); n++) {
        history(&b, (uint64_t)n + (postgres ? 100001 : 1));
        if (n % HEALTHY_EVERY == 0)
            world_healthy(b.w);
    }
    print_message("%" PRId64 " histories\n", n);
    for (int c = 0; c < CODE_N; c++)
        if (b.answers[c])
            print_message("  %" PRIu64 " %s\n", b.answers[c], code_text((enum code)c).p);
    buf_deinit(&text);
    arena_deinit(&b.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {ENGINE_TESTS(histories)};

    return ENGINE_MAIN(tests);
}
