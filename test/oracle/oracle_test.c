/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same random histories on the oracle and on a store: every reply, every table, every
 * transaction healthy.
 *
 * A failure prints its seed and the shortest history found that fails. By hand,
 *
 *     WEFT_SEED=7 build/test/oracle/oracle_test
 *     WEFT_HISTORIES=1000 test/with-postgres build/test/oracle/oracle_test
 *
 * run that one history, or so many in each test, however long they take.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "dump.h"
#include "expected.h"

#define STEPS            150
#define DUMP_EVERY       25
#define DOCTOR_EVERY     5 /* on Postgres, where 17 questions take longer than a transaction */
#define BUDGET_US        (6 * CLOCK_S) /* each test, where no number is asked for */
#define SHRINK_US        (60 * CLOCK_S)
#define TRANSCRIPT_BYTES (4u << 20)

struct failure {
    bool failed;
    size_t step, request;
    struct str what, expected, given;
};

struct bench {
    struct subject oracle, store;
    struct arena a; /* of one check */
};

static void set_failure(struct failure *f, size_t step, size_t request, const char *what,
                        struct str expected, struct str given)
{
    *f = (struct failure){true, step, request, str_of(what), expected, given};
}

/* Rows of an earlier history must not be there for the next; numbers go on. */
static void empty(struct bench *b)
{
    static const char *const tables[] = {"worker",  "queue", "workflow", "run",       "task",
                                         "block",   "piece", "ended",    "dep_group", "dep_edge",
                                         "attempt", "event", "tally"};
    const struct store_options memory = {.url = STR("sqlite::memory:"), .mode = STORE_WRITE};
    struct arena a = {0};
    struct str sql = STR("");

    subject_clear(&b->oracle);
    subject_clear(&b->store);
    if (!b->store.place) {
        store_free(b->store.store);
        assert_int_equal(store_open(&memory, &b->store.store), 0);
        b->store.tx.store = b->store.store;
        return;
    }
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        sql = str_printf(&a, STR_FMT "DELETE FROM %s;", STR_ARG(sql), tables[i]);
    store_testing_sql(b->store.place, sql.p);
    arena_deinit(&a);
}

static bool compare_step(struct bench *b, const struct step *step, size_t at, struct failure *f)
{
    struct str *want = ARENA_ARRAY(&b->a, struct str, step->n);
    struct str *have = ARENA_ARRAY(&b->a, struct str, step->n), fault;

    subject_step(&b->oracle, step, &b->a, want, &fault);
    if (!subject_step(&b->store, step, &b->a, have, &fault)) {
        set_failure(f, at, 0, "the store", STR("no fault"), fault);
        return false;
    }
    for (size_t i = 0; i < step->n; i++) {
        if (str_eq(want[i], have[i]))
            continue;
        set_failure(f, at, i, "the reply", want[i], have[i]);
        return false;
    }
    return true;
}

static bool compare_rest(struct bench *b, const struct step *step, size_t at, bool rows,
                         struct failure *f)
{
    bool asks = rows || at % DOCTOR_EVERY == 0 || store_backend(b->store.store) == STORE_SQLITE;
    struct str want = subject_doctor(&b->oracle, step->now, &b->a), want_line;
    struct str have = asks ? subject_doctor(&b->store, step->now, &b->a) : want, have_line;

    if (!str_eq(want, have)) {
        set_failure(f, at, step->n, "the doctor", want, have);
        return false;
    }
    if (!rows)
        return true;
    have = subject_dump(&b->store, &b->a);
    want = subject_dump(&b->oracle, &b->a);
    if (have.n == 0 || !dump_differ(want, have, &want_line, &have_line))
        return true;
    set_failure(f, at, step->n, "the rows", want_line, have_line);
    return false;
}

static struct failure check(struct bench *b, const struct history *h)
{
    struct failure f = {0};

    arena_reset(&b->a);
    empty(b);
    for (size_t i = 0; i < h->n; i++)
        if (!compare_step(b, &h->steps[i], i, &f) ||
            !compare_rest(b, &h->steps[i], i, i % DUMP_EVERY == 0 || i + 1 == h->n || h->n < 40,
                          &f))
            break;
    return f;
}

/* Leave out what the failure does not need: ever smaller pieces, transactions first, then
 * requests. */
static void shrink(struct bench *b, struct history *h)
{
    int64_t deadline = clock_monotonic() + SHRINK_US;
    struct history less = *h;
    struct step *steps = ARENA_ARRAY(&h->arena, struct step, h->n);

    for (size_t piece = h->n / 2 ? h->n / 2 : 1; piece && clock_monotonic() < deadline;
         piece /= 2) {
        for (size_t at = 0; at < h->n && clock_monotonic() < deadline;) {
            less.steps = steps;
            less.n = 0;
            for (size_t i = 0; i < h->n; i++)
                if (i < at || i >= at + piece)
                    steps[less.n++] = h->steps[i];
            if (less.n == h->n || !check(b, &less).failed) {
                at += piece;
                continue;
            }
            memcpy(h->steps, steps, less.n * sizeof(*steps));
            h->n = less.n;
        }
    }
    for (size_t i = 0; i < h->n; i++) {
        for (size_t j = h->steps[i].n; j-- > 0 && clock_monotonic() < deadline;) {
            struct step *s = &h->steps[i], kept = *s;

            s->list = ARENA_ARRAY(&h->arena, struct request, s->n);
            for (size_t k = s->n = 0; k < kept.n; k++)
                if (k != j)
                    s->list[s->n++] = kept.list[k];
            if (!check(b, h).failed)
                *s = kept;
        }
    }
}

static void print_transcript(struct bench *b, const struct history *h, const struct failure *f)
{
    struct arena a = {0};
    struct buf out;

    buf_init(&out, TRANSCRIPT_BYTES);
    empty(b);
    for (size_t i = 0; i <= f->step && i < h->n; i++) {
        const struct step *s = &h->steps[i];
        struct str *replies = ARENA_ARRAY(&a, struct str, s->n), fault;

        buf_printf(&out, "[%" PRId64 "]%s\n", s->now, s->rolled_back ? " rolled back" : "");
        subject_step(&b->oracle, s, &a, replies, &fault);
        for (size_t j = 0; j < s->n; j++) {
            history_print(&out, &s->list[j]);
            buf_printf(&out, "\n      -> " STR_FMT "\n", STR_ARG(replies[j]));
        }
    }
    fprintf(stderr, STR_FMT, STR_ARG(buf_str(&out)));
    buf_deinit(&out);
    arena_deinit(&a);
}

static void run_history(struct bench *b, uint64_t seed)
{
    struct failure f;
    struct history h;

    history_make(&h, seed, STEPS);
    f = check(b, &h);
    if (f.failed) {
        h.n = f.step + 1;
        shrink(b, &h);
        f = check(b, &h);
        print_transcript(b, &h, &f);
        fail_msg("WEFT_SEED=%" PRIu64 ": after the above, " STR_FMT " differs:\n  expected " STR_FMT
                 "\n  given    " STR_FMT,
                 seed, STR_ARG(f.what), STR_ARG(f.expected), STR_ARG(f.given));
    }
    history_deinit(&h);
}

static void run_histories(struct bench *b, uint64_t first_seed)
{
    int64_t begun = clock_monotonic(), wanted = expected_asked("WEFT_HISTORIES"),
            seed = expected_asked("WEFT_SEED");
    int64_t n = 0;

    b->oracle.oracle = oracle_new();
    b->store.tx =
        (struct tx){.store = b->store.store, .arena = &b->store.arena, .prng = &b->store.prng};
    if (seed) {
        run_history(b, (uint64_t)seed);
        n = 1;
    } else
        for (; wanted ? n < wanted : clock_monotonic() - begun < BUDGET_US; n++)
            run_history(b, first_seed + (uint64_t)n);
    print_message("%" PRId64 " histories\n", n);
    subject_deinit(&b->oracle);
    subject_deinit(&b->store);
    arena_deinit(&b->a);
}

static void histories_in_memory(void **state)
{
    struct bench b = {0};

    (void)state;
    run_histories(&b, 1);
}

static void histories(void **state)
{
    struct bench b = {.store.place = store_testing(state)};

    b.store.store = store_testing_open(b.store.place, STORE_WRITE);
    run_histories(&b, b.store.place->backend == STORE_SQLITE ? 100001 : 200001);
}

int main(void)
{
    /* What a disk is for is tested elsewhere. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histories_in_memory),
        STORE_TESTS(histories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
