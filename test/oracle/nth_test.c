/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fault at every n: a history runs while the n-th call of a kind fails, for n = 1, 2, … until it
 * passes untouched. Whatever fails: the request is told a fault of store.h with a sentence, the
 * tables are those of the oracle before it, the same request then goes well, and at the end
 * everything is as if nothing had been.
 *
 * Below SQLite it is its disk and its memory that fail, between us and Postgres the connection, and
 * on both the store's own functions. docs/testing.md has the kinds. WEFT_HISTORIES runs so many
 * histories with every n, WEFT_SEED says with which to begin:
 *
 *     WEFT_HISTORIES=10 test/with-postgres build/test/oracle/nth_test
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "dump.h"
#include "expected.h"
#include "store/disk_testing.h"
#include "store/proxy_testing.h"

#define STEPS          24
#define STEPS_POSTGRES 12
#define TRIES          3 /* of a step, while the fault stays */
#define N_MAX          200000
#define SEED           11
#define FILE_BYTES     (64u << 20)

struct trial {
    struct store_testing *place;
    const char *row; /* of the table, and n, for failures */
    const char *url; /* what is opened; NULL: the place's own */
    const struct store_faults *faults_made;
    struct expected expected;
    struct subject store;
    struct arena of_run;
    void (*mend)(struct trial *t);            /* end the fault */
    bool came;                                /* the fault has come */
    bool stays;                               /* the fault does not pass by itself */
    enum then { GOES_ON, CLOSES, DIES } then; /* the program after a fault */
    int64_t runs, faults, kept;
};

/* --- one run --- */

/* What a caller may hear when the store is in trouble; anything else is a bug. */
static void check_fault(struct trial *t, int r)
{
    static const int stable[] = {-EAGAIN, -ECONNRESET, -EHOSTUNREACH, -EBUSY,
                                 -ENOSPC, -EIO,        -ENOMEM,       -EACCES};
    struct str said = store_error(t->store.store);
    bool known = false;

    for (size_t i = 0; i < ROWS_N(stable); i++)
        known |= r == stable[i];
    if (!known || said.n == 0)
        fail_msg("%s: fault %d, \"" STR_FMT "\"", t->row, r, STR_ARG(said));
    t->faults++;
}

static int try_open(struct trial *t)
{
    const struct store_options o = {.url = str_of(t->url ? t->url : t->place->url),
                                    .mode = STORE_WRITE,
                                    .faults = t->faults_made};
    int r = store_open(&o, &t->store.store);

    t->store.tx.store = t->store.store;
    return r;
}

static void open_sound(struct trial *t)
{
    t->store.store = store_free(t->store.store);
    if (try_open(t))
        fail_msg("%s: opening: " STR_FMT, t->row, STR_ARG(store_error(t->store.store)));
}

static bool dumps_as(struct trial *t, size_t step)
{
    return str_eq(subject_dump(&t->store, &t->of_run), t->expected.steps[step].dump);
}

static void check_dump(struct trial *t, size_t step, const char *when)
{
    struct str have = subject_dump(&t->store, &t->of_run), want_line, have_line;

    if (dump_differ(t->expected.steps[step].dump, have, &want_line, &have_line))
        fail_msg("%s: step %zu, %s:\n  expected " STR_FMT "\n  given    " STR_FMT, t->row, step,
                 when, STR_ARG(want_line), STR_ARG(have_line));
}

static bool do_step(struct trial *t, size_t i)
{
    const struct step *step = &t->expected.h.steps[i];
    struct str *replies = ARENA_ARRAY(&t->of_run, struct str, step->n), fault;

    if (!subject_step(&t->store, step, &t->of_run, replies, &fault)) {
        check_fault(t, t->store.fault);
        return false;
    }
    for (size_t j = 0; j < step->n; j++)
        if (!str_eq(replies[j], t->expected.steps[i + 1].replies[j]))
            fail_msg("%s: step %zu, request %zu:\n  expected " STR_FMT "\n  given    " STR_FMT,
                     t->row, i + 1, j, STR_ARG(t->expected.steps[i + 1].replies[j]),
                     STR_ARG(replies[j]));
    return true;
}

static const char *const file_ends[] = {"", "-wal", "-shm", "-journal"};

static void remove_files(struct store_testing *t)
{
    for (size_t i = 0; i < ROWS_N(file_ends); i++)
        unlink(str_printf(&t->a, "%s%s", t->path, file_ends[i]).p);
}

/* As after a kill: the files are left as they are, and what the kernel was told is in them. */
static void die(struct trial *t)
{
    struct str files[ROWS_N(file_ends)];

    for (size_t i = 0; i < ROWS_N(file_ends); i++)
        if (file_read(&t->of_run, str_printf(&t->of_run, "%s%s", t->place->path, file_ends[i]).p,
                      FILE_BYTES, &files[i]))
            files[i] = (struct str){0};
    t->store.store = store_free(t->store.store);
    remove_files(t->place);
    for (size_t i = 0; i < ROWS_N(file_ends); i++)
        if (files[i].p)
            file_write(str_printf(&t->of_run, "%s%s", t->place->path, file_ends[i]).p, files[i]);
}

enum after { DONE, KEPT };

/* A step has failed: nothing of it is there, and then it goes well. KEPT: it is there all the same,
 * which is possible where nobody knew of its commit, or that failed and the program ended. */
static enum after after_fault(struct trial *t, size_t i)
{
    int doubted = -ECONNRESET;

    t->mend(t);
    if (t->then == DIES)
        die(t);
    if (t->then != GOES_ON)
        open_sound(t);
    if (store_in_doubt(t->store.store))
        doubted = store_settle(t->store.store);
    if (doubted == 0 || (t->then != GOES_ON && !dumps_as(t, i) && dumps_as(t, i + 1))) {
        check_dump(t, i + 1, "kept");
        t->kept++;
        return KEPT;
    }
    check_dump(t, i, "after a fault");
    if (!do_step(t, i))
        fail_msg("%s: step %zu fails again: " STR_FMT, t->row, i + 1,
                 STR_ARG(store_error(t->store.store)));
    return DONE;
}

static void check_healthy(struct trial *t)
{
    struct str have =
        subject_doctor(&t->store, t->expected.h.steps[t->expected.h.n - 1].now, &t->of_run);

    if (!str_eq(t->expected.doctor, have))
        fail_msg("%s: the doctor finds" STR_FMT, t->row, STR_ARG(have));
}

static void run_steps(struct trial *t)
{
    for (size_t i = 0; i < t->expected.h.n; i++) {
        bool done = do_step(t, i);

        for (int try = 1; try < TRIES && t->stays && !done; try++)
            done = do_step(t, i);
        if (!done && after_fault(t, i) == KEPT)
            return; /* what it told is not known to us, and later steps need it */
    }
    t->mend(t);
    check_dump(t, t->expected.h.n, "at the end");
    check_healthy(t);
}

/* An empty place, from the opening on. */
static void run_all(struct trial *t)
{
    int r;

    subject_clear(&t->store);
    arena_reset(&t->of_run);
    r = try_open(t);
    if (r) {
        check_fault(t, r);
        t->mend(t);
        open_sound(t);
    }
    run_steps(t);
    t->store.store = store_free(t->store.store);
    t->runs++;
}

/* --- all n --- */

/* Where there are many, most of them are left out, and all come in the long form. */
static int next_n(int n)
{
    return expected_asked("WEFT_HISTORIES") || n < 32 ? n + 1 : n + n / 10;
}

static void end(struct trial *t)
{
    expected_deinit(&t->expected);
    subject_deinit(&t->store);
    arena_deinit(&t->of_run);
}

static void begin(struct trial *t, struct store_testing *place)
{
    *t = (struct trial){.place = place};
    t->store.place = place;
    t->store.tx = (struct tx){.arena = &t->store.arena, .prng = &t->store.prng};
}

/* Each history that was asked for; the next seed. */
static uint64_t seed_at(int64_t i)
{
    int64_t first = expected_asked("WEFT_SEED");

    return (uint64_t)((first ? first : SEED) + i);
}

static int64_t histories(void)
{
    int64_t n = expected_asked("WEFT_HISTORIES");

    return n ? n : 1;
}

/* --- below SQLite --- */

static void mend_disk(struct trial *t)
{
    t->came |= disk_testing_mend();
}

#define CALL(name) (1u << DISK_##name)
#define ALL_CALLS  (CALL(READ) | CALL(WRITE) | CALL(SYNC) | CALL(TRUNCATE))

static const struct disk_row {
    const char *name;
    struct disk_fault fault;
    enum then then;
} disk_rows[] = {
    {"a write fails",                     {.calls = CALL(WRITE)},                                GOES_ON},
    {"a write fails, and a new start",    {.calls = CALL(WRITE)},                                CLOSES },
    {"a write fails, and a crash",        {.calls = CALL(WRITE)},                                DIES   },
    {"no room once",                      {.calls = CALL(WRITE), .full = true},                  GOES_ON},
    {"no room for a while",               {.calls = CALL(WRITE), .full = true, .stays = true},   GOES_ON},
    {"no room, and a crash",              {.calls = CALL(WRITE), .full = true},                  DIES   },
    {"a sync fails",                      {.calls = CALL(SYNC)},                                 GOES_ON},
    {"a sync fails, and a new start",     {.calls = CALL(SYNC)},                                 CLOSES },
    {"a sync fails, and a crash",         {.calls = CALL(SYNC)},                                 DIES   },
    {"no sync for a while",               {.calls = CALL(SYNC), .stays = true},                  GOES_ON},
    {"the disk is dead for a while",      {.calls = ALL_CALLS, .stays = true},                   GOES_ON},
    {"the disk is dead, and a new start", {.calls = ALL_CALLS, .stays = true},                   CLOSES },
    {"a read fails",                      {.calls = CALL(READ)},                                 GOES_ON},
    {"an opening fails",                  {.calls = CALL(OPEN) | CALL(DELETE) | CALL(TRUNCATE)}, GOES_ON},
    {"a lock fails",                      {.calls = CALL(LOCK) | CALL(INDEX)},                   GOES_ON},
};

/* How far n had to go. */
static int every_n(struct trial *t, const char *name, struct disk_fault *fault)
{
    for (int n = 1; n < N_MAX; n = next_n(n)) {
        t->row = str_printf(&t->expected.arena, "seed %" PRIu64 ", %s at %d", t->expected.h.seed,
                            name, n)
                     .p;
        fault->n = n;
        t->came = false;
        t->stays = fault->stays;
        remove_files(t->place);
        disk_testing_fail(fault);
        run_all(t);
        if (!t->came)
            return n;
    }
    fail_msg("%s: there is no end", name);
    return 0;
}

static void every_disk_row(struct trial *t)
{
    for (size_t i = 0; i < ROWS_N(disk_rows); i++) {
        const struct disk_row *row = &disk_rows[i];
        struct disk_fault fault = row->fault;
        int n;

        t->runs = t->faults = t->kept = 0;
        t->then = row->then;
        n = every_n(t, row->name, &fault);
        print_message("%s: up to %d, %" PRId64 " runs, %" PRId64 " faults, %" PRId64 " kept\n",
                      row->name, n, t->runs, t->faults, t->kept);
        assert_true(n > 1);
    }
}

static void the_disk_fails_at_every_n(void **state)
{
    struct trial t;

    begin(&t, store_testing(state));
    t.mend = mend_disk;
    for (int64_t i = 0; i < histories(); i++) {
        expected_make(&t.expected, seed_at(i), STEPS);
        every_disk_row(&t);
    }
    end(&t);
}

static void the_memory_fails_at_every_n(void **state)
{
    struct disk_fault fault = {.calls = CALL(MEMORY)};
    struct trial t;
    int n;

    begin(&t, store_testing(state));
    t.mend = mend_disk;
    for (int64_t i = 0; i < histories(); i++) {
        expected_make(&t.expected, seed_at(i), STEPS);
        n = every_n(&t, "an allocation fails", &fault);
        print_message("up to %d, %" PRId64 " runs, %" PRId64 " faults\n", n, t.runs, t.faults);
        assert_true(n > 1000);
    }
    end(&t);
}

/* The first tables of a new store take so many; in the long form all of the first migration. */
#define OPENING_N      400
#define OPENING_N_LONG 6000

/* Every one: what a migration has made is noted down with it, or nothing of both is there. */
static void the_memory_fails_at_every_n_of_an_opening(void **state)
{
    struct disk_fault fault = {.calls = CALL(MEMORY)};
    const int end_n = expected_asked("WEFT_HISTORIES") ? OPENING_N_LONG : OPENING_N;
    struct trial t;

    begin(&t, store_testing(state));
    for (fault.n = 1; fault.n < end_n; fault.n++) {
        int r;

        t.row = str_printf(&t.expected.arena, "an allocation fails at %d", fault.n).p;
        remove_files(t.place);
        disk_testing_fail(&fault);
        r = try_open(&t);
        if (r)
            check_fault(&t, r);
        disk_testing_mend();
        open_sound(&t);
        t.store.store = store_free(t.store.store);
    }
    print_message("%" PRId64 " faults\n", t.faults);
    end(&t);
}

/* --- the store's functions --- */

/* The n-th begin, statement or commit returns the fault without being done. */
static struct {
    int n, seen;
    int fault;
    bool commits, done; /* commits alone are counted; what fails took place */
    bool came;
} calls;

static int strike(void)
{
    if (++calls.seen != calls.n)
        return 0;
    calls.came = true;
    return calls.fault;
}

static int strike_call(void *context)
{
    (void)context;
    return calls.commits ? 0 : strike();
}

static int strike_commit(void *context, bool *ret_done)
{
    (void)context;
    *ret_done = calls.done;
    return strike();
}

static int no_strike(void *context)
{
    (void)context;
    return 0;
}

static const struct store_faults call_faults = {
    .begin = strike_call,
    .statement = strike_call,
    .commit = strike_commit,
    .settle = no_strike,
};

static void mend_calls(struct trial *t)
{
    t->came |= calls.came;
    calls.n = 0;
}

/* Rows of an earlier run must not be there for the next; numbers go on. */
static void forget_rows(struct trial *t)
{
    static const char *const tables[] = {"worker",  "queue", "workflow", "run",       "task",
                                         "block",   "piece", "ended",    "dep_group", "dep_edge",
                                         "attempt", "event", "tally"};
    struct str sql = STR("");

    for (size_t i = 0; i < ROWS_N(tables); i++)
        sql = str_printf(&t->of_run, STR_FMT "DELETE FROM %s;", STR_ARG(sql), tables[i]);
    store_testing_sql(t->place, sql.p);
    subject_clear(&t->store);
    arena_reset(&t->of_run);
}

/* How far n had to go. */
static int every_call(struct trial *t, const char *name)
{
    for (int n = 1; n < N_MAX; n = next_n(n)) {
        t->row = str_printf(&t->expected.arena, "seed %" PRIu64 ", %s at %d", t->expected.h.seed,
                            name, n)
                     .p;
        t->came = false;
        forget_rows(t);
        calls.n = n;
        calls.seen = 0;
        calls.came = false;
        run_steps(t);
        t->runs++;
        if (!t->came)
            return n;
    }
    fail_msg("%s: there is no end", name);
    return 0;
}

static void a_statement_fails_at_every_n(void **state)
{
    static const struct {
        const char *name;
        int fault;
        bool commits, done;
    } rows[] = {
        {"a deadlock",                          -EAGAIN,       false, false},
        {"no room",                             -ENOSPC,       false, false},
        {"a commit in doubt that was done",     -EHOSTUNREACH, true,  true },
        {"a commit in doubt that was not done", -EHOSTUNREACH, true,  false},
    };
    struct store_testing *place = store_testing(state);
    struct trial t;

    begin(&t, place);
    t.mend = mend_calls;
    t.faults_made = &call_faults;
    t.row = "sound";
    open_sound(&t);
    for (int64_t i = 0; i < histories(); i++) {
        expected_make(&t.expected, seed_at(i),
                      place->backend == STORE_SQLITE ? STEPS : STEPS_POSTGRES);
        for (size_t j = 0; j < ROWS_N(rows); j++) {
            int n;

            calls.fault = rows[j].fault;
            calls.commits = rows[j].commits;
            calls.done = rows[j].done;
            n = every_call(&t, rows[j].name);

            print_message("%s: up to %d, %" PRId64 " runs\n", rows[j].name, n, t.runs);
            assert_true(n > (rows[j].commits ? 5 : 50));
        }
    }
    t.store.store = store_free(t.store.store);
    end(&t);
}

/* --- between us and Postgres --- */

static struct proxy *way;

static void mend_way(struct trial *t)
{
    t->came |= atomic_exchange(&way->trouble, PASS) == PASS;
}

/* How far n had to go. From the opening on: a start logs in and prepares. */
static int every_message(struct trial *t, const char *name, int trouble)
{
    for (int n = 1; n < N_MAX; n = next_n(n)) {
        t->row = str_printf(&t->expected.arena, "seed %" PRIu64 ", %s at %d", t->expected.h.seed,
                            name, n)
                     .p;
        t->came = false;
        forget_rows(t);
        atomic_store(&way->countdown, n);
        atomic_store(&way->trouble, trouble);
        run_all(t);
        if (!t->came)
            return n;
    }
    fail_msg("%s: there is no end", name);
    return 0;
}

static void the_connection_is_cut_at_every_n(void **state)
{
    struct trial t;

    begin(&t, store_testing(state));
    t.mend = mend_way;
    store_free(store_testing_open(t.place, STORE_WRITE));
    way = proxy_new(t.place);
    t.url = way->url;
    for (int64_t i = 0; i < histories(); i++) {
        expected_make(&t.expected, seed_at(i), STEPS_POSTGRES);
        for (int trouble = CUT_BEFORE; trouble <= CUT_AFTER; trouble++) {
            const char *name = trouble == CUT_BEFORE ? "cut before" : "cut after";
            int n = every_message(&t, name, trouble);

            print_message("%s: up to %d, %" PRId64 " runs, %" PRId64 " faults\n", name, n, t.runs,
                          t.faults);
            assert_true(n > 50);
        }
    }
    proxy_end(way);
    end(&t);
}

int main(void)
{
    /* No disk is waited for; what fails fails by itself. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);

    const struct CMUnitTest tests[] = {
        STORE_TEST(the_disk_fails_at_every_n, sqlite),
        STORE_TEST(the_memory_fails_at_every_n, sqlite),
        STORE_TEST(the_memory_fails_at_every_n_of_an_opening, sqlite),
        STORE_TESTS(a_statement_fails_at_every_n),
        STORE_TEST(the_connection_is_cut_at_every_n, postgres),
    };

    disk_testing_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
