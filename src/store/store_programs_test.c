/* SPDX-License-Identifier: Apache-2.0 */
/* Several programs on one store, some of which die. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/prng.h"
#include "store/store_testing.h"

enum { DRAWS = 40, DRAWN = 5 };

/* Draw ids and keep each under a unique key. */
static int draw(struct store_testing *t, int number)
{
    struct store *s;
    int64_t ids[DRAWN], last = 0;
    int r = store_testing_try(t, STORE_WRITE, &s);

    (void)number;
    for (int i = 0; i < DRAWS && !r; i++) {
        r = store_begin(s, NULL);
        if (!r)
            r = store_ids(s, DRAWN, ids);
        for (int k = 0; k < DRAWN && !r; k++) {
            r = ids[k] > last ? store_testing_workflow(s, "id", ids[k]) : 100;
            last = ids[k];
        }
        if (!r)
            r = store_commit(s);
    }
    store_free(s);
    return r != 0;
}

static void ids_grow_and_never_repeat(void **state)
{
    struct store_testing *t = store_testing(state);
    pid_t pids[3];
    struct store *s;
    int64_t id, found = 0;

    store_free(store_testing_open(t, STORE_WRITE));
    for (int i = 0; i < 3; i++)
        pids[i] = store_testing_fork(draw, t, i);
    for (int i = 0; i < 3; i++)
        assert_int_equal(store_testing_wait(pids[i]), 0);
    assert_int_equal(store_testing_count(t, "workflow"), 3 * DRAWS * DRAWN);
    assert_true(
        str_int64(str_of(store_testing_sql(t, "SELECT max(version) FROM workflow")), &found));

    /* Nor does one come twice that was drawn in vain. */
    s = store_testing_open(t, STORE_WRITE);
    store_testing_begin(s);
    STORE_OK(s, store_ids(s, 1, &id));
    assert_true(id > found);
    found = id;
    store_rollback(s);
    store_testing_begin(s);
    STORE_OK(s, store_mark(s));
    STORE_OK(s, store_ids(s, 1, &id));
    assert_true(id > found);
    found = id;
    STORE_OK(s, store_undo(s));
    STORE_OK(s, store_ids(s, 1, &id));
    assert_true(id > found);
    store_testing_commit(s);
    store_free(s);
}

static void now_never_runs_backwards(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *two[2] = {store_testing_open(t, STORE_WRITE), store_testing_open(t, STORE_WRITE)};
    int64_t now, last = 0;

    for (int i = 0; i < 40; i++) {
        struct store *s = two[i % 2];

        STORE_OK(s, store_begin(s, &now));
        assert_true(now >= last);
        last = now;
        store_testing_set(s, "q", i);
        store_testing_commit(s);
        if (i % 10 == 9) {
            store_free(two[0]);
            two[0] = store_testing_open(t, STORE_WRITE);
        }
    }
    store_free(two[0]);
    store_free(two[1]);
}

enum { ADDS = 50 };

/* Add one, again and again; whoever is in the way is waited for. */
static int add(struct store_testing *t, int number)
{
    struct store *s;
    int done = 0, tries = 0, r = store_testing_try(t, STORE_WRITE, &s);

    (void)number;
    while (!r && done < ADDS && tries++ < 20 * ADDS) {
        r = store_begin(s, NULL);
        if (!r)
            r = STORE_DO(s, STMT_tally_add, NULL, NULL, INT(1), TEXT(STR("")), TEXT(STR("READY")),
                         INT(1));
        if (!r)
            r = STORE_DO(s, STMT_tally_add, NULL, NULL, INT(2), TEXT(STR("")), TEXT(STR("READY")),
                         INT(-1));
        if (!r)
            r = store_commit(s);
        done += !r;
        if (r == -EAGAIN || r == -EBUSY) {
            store_rollback(s);
            r = 0;
        }
    }
    store_free(s);
    return r || done < ADDS;
}

/* Look while the others write: the two sums cancel at every moment. */
static int look(struct store_testing *t, int number)
{
    struct store *s;
    struct arena a = {0};
    int r = store_testing_try(t, STORE_READ, &s);

    (void)number;
    for (int i = 0; i < 200 && !r; i++) {
        struct rows one = {0}, two = {0};

        arena_reset(&a);
        r = store_begin(s, NULL);
        if (!r)
            r = STORE_DO(s, STMT_tally_of, &a, &one, INT(1), TEXT(STR("")));
        if (!r)
            r = STORE_DO(s, STMT_tally_of, &a, &two, INT(2), TEXT(STR("")));
        if (!r)
            r = store_commit(s);
        if (!r && (one.n != two.n || (one.n && row_int(&one, 0, 3) + row_int(&two, 0, 3) != 0)))
            r = 100;
    }
    arena_deinit(&a);
    store_free(s);
    return r != 0;
}

static void counts_add_up_under_load(void **state)
{
    struct store_testing *t = store_testing(state);
    pid_t pids[6];

    store_free(store_testing_open(t, STORE_WRITE));
    for (int i = 0; i < 6; i++)
        pids[i] = store_testing_fork(i < 4 ? add : look, t, i);
    for (int i = 0; i < 6; i++)
        assert_int_equal(store_testing_wait(pids[i]), 0);
    assert_string_equal(store_testing_sql(t, "SELECT n FROM tally WHERE run = 1"), "200");
    assert_string_equal(store_testing_sql(t, "SELECT n FROM tally WHERE run = 2"), "-200");
}

/* Two rows a transaction, the second the number of those before; each commit is told to the parent.
 */
static int write_on(struct store_testing *t, int fd)
{
    struct store *s;
    int r = store_testing_try(t, STORE_WRITE, &s);

    for (int64_t i = 1; !r; i++) {
        r = store_begin(s, NULL);
        if (!r)
            r = store_testing_put(s, "a", i);
        if (!r)
            r = store_testing_put(s, "b", i);
        if (!r)
            r = store_commit(s);
        if (!r && write(fd, &i, sizeof(i)) != sizeof(i))
            r = 1;
    }
    store_free(s);
    return 1;
}

static void a_killed_program_leaves_whole_transactions(void **state)
{
    struct store_testing *t = store_testing(state);
    struct prng prng;

    prng_seed(&prng, 7);
    store_free(store_testing_open(t, STORE_WRITE));
    for (int i = 0; i < 15; i++) {
        int64_t told = 0, kept;
        struct store *s;
        int fds[2];
        pid_t pid;

        assert_int_equal(pipe(fds), 0);
        pid = store_testing_fork(write_on, t, fds[1]);
        close(fds[1]);
        assert_int_equal(read(fds[0], &told, sizeof(told)), sizeof(told));
        usleep((useconds_t)prng_below(&prng, 5000));
        kill(pid, SIGKILL);
        assert_int_equal(store_testing_wait(pid), -SIGKILL);
        while (read(fds[0], &told, sizeof(told)) == sizeof(told))
            continue;
        close(fds[0]);
        s = store_testing_open(t, STORE_WRITE);
        store_testing_begin(s);
        store_testing_set(s, "c",
                          i); /* where a transaction of the dead is still open, it has the lock */
        kept = store_testing_get(s, "a");
        assert_true(kept >= told);
        assert_int_equal(store_testing_get(s, "b"), kept);
        store_rollback(s);
        store_free(s);
    }
}
static int open_once(struct store_testing *t, int number)
{
    struct store *s;
    int r = store_testing_try(t, STORE_WRITE, &s);

    if (r)
        fprintf(stderr, "program %d: %d, " STR_FMT "\n", number, r, STR_ARG(store_error(s)));
    if (!r)
        r = store_begin(s, NULL);
    if (!r)
        r = store_testing_put(s, "q", number);
    if (!r)
        r = store_commit(s);
    store_free(s);
    return r != 0;
}

static void eight_programs_start_at_once(void **state)
{
    struct store_testing *t = store_testing(state);
    pid_t pids[8];

    for (int i = 0; i < 8; i++)
        pids[i] = store_testing_fork(open_once, t, i);
    for (int i = 0; i < 8; i++)
        assert_int_equal(store_testing_wait(pids[i]), 0);
    assert_int_equal(store_testing_count(t, "migration"), store_schema_newest(t->backend));
    assert_int_equal(store_testing_count(t, "queue"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TESTS(ids_grow_and_never_repeat),
        STORE_TESTS(now_never_runs_backwards),
        STORE_TESTS(counts_add_up_under_load),
        STORE_TESTS(a_killed_program_leaves_whole_transactions),
        STORE_TESTS(eight_programs_start_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
