/* SPDX-License-Identifier: Apache-2.0 */
/* What store.h promises, on both backends. */
#include "store/store.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "store/backend.h"
#include "store/store_testing.h"

static void begin(struct store *s)
{
    STORE_OK(s, store_begin(s, NULL));
}

static void commit(struct store *s)
{
    STORE_OK(s, store_commit(s));
}

static void put(struct store *s, const char *name, int64_t value)
{
    STORE_OK(s, store_testing_put(s, name, value));
}

/* The value of a queue's row as the store sees it, -1 where there is none. */
static int64_t get(struct store *s, const char *name)
{
    struct arena a = {0};
    struct rows rows;
    int64_t value;

    STORE_OK(s, STORE_DO(s, STMT_queue_get, &a, &rows, TEXT(str_of(name))));
    value = rows.n ? row_int(&rows, 0, 2) : -1;
    arena_deinit(&a);
    return value;
}

static int workflow_add(struct store *s, const char *name, int64_t version)
{
    struct str none = STR("-");

    return STORE_DO(s, STMT_workflow_add, NULL, NULL, TEXT(str_of(name)), INT(version), TEXT(none),
                    TEXT(none), TEXT(none), TEXT(none), TEXT(none), INT(0), INT(0));
}

/* --- values --- */

static const char *const odd_texts[] = {
    "",
    "a",
    " a ",
    "NULL",
    "null",
    "'",
    "\"",
    "\\",
    "\\\\\"'",
    "'; DROP TABLE event; --",
    "{}",
    "{1,2,\"3\"}",
    "{\"a\":[null,{\"b\":\"\\u00e9\"}]}",
    "a,b;c|d",
    "$1 ?1 :name @name %s %n",
    "one\ntwo\r\n\tthree\x01\x7f",
    "größe ☃ 𝄞 \xef\xbf\xbd",
    "e\xcc\x81 and \xc3\xa9", /* the same letter in two forms stays two texts */
};
static const int64_t odd_numbers[] = {INT64_MIN, INT64_MIN + 1,   -1,       0, 1,
                                      1LL << 53, (1LL << 53) + 1, INT64_MAX};

static void texts_come_back(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);
    struct cell params[ROWS_N(odd_texts) * 5];
    struct rows rows;

    for (size_t i = 0; i < ROWS_N(odd_texts); i++) {
        const struct cell set[] = {INT(i), INT(7), INT(0), TEXT(str_of(odd_texts[i])),
                                   TEXT(str_of(odd_texts[i]))};

        memcpy(&params[i * 5], set, sizeof(set));
    }
    begin(s);
    STORE_OK(s, store_run(s, STMT_event_add, &t->a, params, ROWS_N(odd_texts), &rows));
    assert_int_equal(rows.n, ROWS_N(odd_texts));
    commit(s);

    begin(s);
    STORE_OK(s, STORE_DO(s, STMT_event_list, &t->a, &rows, INT(7), INT(0), INT(100)));
    assert_int_equal(rows.n, ROWS_N(odd_texts));
    for (size_t i = 0; i < rows.n; i++) {
        CHECK_ROW(odd_texts[i], row_int(&rows, i, 1) == (int64_t)i);
        CHECK_ROW(odd_texts[i], str_eq(row_text(&rows, i, 5), str_of(odd_texts[i])));
        CHECK_ROW(odd_texts[i], str_eq(row_text(&rows, i, 6), str_of(odd_texts[i])));
    }
    /* The same through a statement that takes one set, where the text is a key. */
    for (size_t i = 0; i < ROWS_N(odd_texts); i++) {
        put(s, odd_texts[i], (int64_t)i);
        CHECK_ROW(odd_texts[i], get(s, odd_texts[i]) == (int64_t)i);
    }
    commit(s);
    store_free(s);
}

static void numbers_come_back(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    begin(s);
    for (size_t i = 0; i < ROWS_N(odd_numbers); i++) {
        const struct cell set[] = {INT(odd_numbers[i]), INT(9), INT(0), TEXT(STR("k")),
                                   TEXT(STR("{}"))};
        struct rows rows;

        put(s, "q", odd_numbers[i]);
        assert_int_equal(get(s, "q"), odd_numbers[i]);
        STORE_OK(s, store_run(s, STMT_event_add, &t->a, set, 1, &rows));
        STORE_OK(s, STORE_DO(s, STMT_event_list, &t->a, &rows, INT(9),
                             INT(row_int(&rows, 0, 0) - 1), INT(1)));
        assert_int_equal(row_int(&rows, 0, 1), odd_numbers[i]);
    }
    commit(s);
    store_free(s);
}

static void null_comes_back(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);
    struct cell sets[2 * 21];
    struct rows rows;

    for (size_t i = 0; i < 2; i++) {
        struct cell set[] = {INT(i + 1),
                             INT(5),
                             INT(1),
                             TEXT(STR("")),
                             INT(i + 1),
                             INT(1),
                             TEXT(STR("failed")),
                             TEXT(STR("")),
                             TEXT(STR("")),
                             NIL,
                             INT(9),
                             INT(0),
                             INT(0),
                             INT(0),
                             INT(0),
                             INT(0),
                             INT(0),
                             INT(0),
                             TEXT(STR("")),
                             TEXT(STR("d")),
                             NIL};

        if (i == 1) {
            set[9] = INT(3);
            set[10] = NIL;
            set[20] = TEXT(STR("{}"));
        }
        memcpy(&sets[i * 21], set, sizeof(set));
    }
    begin(s);
    STORE_OK(s, store_run(s, STMT_attempt_add, NULL, sets, 2, NULL));
    commit(s);
    assert_string_equal(
        store_testing_sql(t, "SELECT count(*) FROM attempt WHERE token = 1 AND exit_code IS NULL"
                             " AND signal = 9 AND result IS NULL"),
        "1");
    assert_string_equal(
        store_testing_sql(t, "SELECT count(*) FROM attempt WHERE token = 2 AND exit_code = 3"
                             " AND signal IS NULL AND result = '{}'"),
        "1");
    begin(s);
    STORE_OK(s, STORE_DO(s, STMT_attempt_of_task, &t->a, &rows, INT(5)));
    assert_int_equal(rows.n, 2);
    for (size_t c = 0, nulls = 0; c < rows.columns; c++) {
        nulls += row_null(&rows, 0, c);
        if (c + 1 == rows.columns)
            assert_true(nulls >= 1);
    }
    commit(s);
    store_free(s);
}

static void a_large_text_comes_back(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);
    size_t n = 1u << 20;
    char *text = memory_new(n + 1);
    struct cell params[3 * 5];
    struct rows rows;

    for (size_t i = 0; i < n; i++)
        text[i] = "{\"\\',\n}x"[i % 8];
    for (size_t i = 0; i < 3; i++) {
        const struct cell set[] = {INT(i), INT(3), INT(0), TEXT(STR("k")),
                                   TEXT(((struct str){text, n - i}))};

        memcpy(&params[i * 5], set, sizeof(set));
    }
    begin(s);
    STORE_OK(s, store_run(s, STMT_event_add, NULL, params, 3, NULL));
    commit(s);
    begin(s);
    STORE_OK(s, STORE_DO(s, STMT_event_list, &t->a, &rows, INT(3), INT(0), INT(9)));
    assert_int_equal(rows.n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(str_eq(row_text(&rows, i, 6), (struct str){text, n - i}));
    commit(s);
    store_free(s);
    free(text);
}

static void bad_texts_are_refused(void **state)
{
    static const struct {
        const char *name;
        struct str text;
        const char *said;
    } rows[] = {
        {"NUL",       {"a\0b", 3},         "statement queue_put: parameter 1 holds a NUL byte"      },
        {"Latin-1",   {"gr\xf6\xdf", 4},   "statement queue_put: parameter 1 is not UTF-8 at byte 2"},
        {"surrogate", {"\xed\xa0\x80", 3}, "parameter 1 is not UTF-8 at byte 0"                     },
        {"cut",       {"\xe2\x98", 2},     "parameter 1 is not UTF-8 at byte 0"                     },
    };
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        begin(s);
        put(s, "before", 1);
        STORE_OK(s, store_mark(s));
        CHECK_ROW(rows[i].name, STORE_DO(s, STMT_queue_put, NULL, NULL, TEXT(rows[i].text), INT(0),
                                         INT(0), INT(0)) == -EBADMSG);
        STORE_SAYS(s, rows[i].said);
        STORE_OK(s, store_undo(s));
        commit(s);
    }
    assert_int_equal(store_testing_count(t, "queue"), 1);
    store_free(s);
}

static void many_sets_run_at_once(void **state)
{
    enum { SETS = 10000 };
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);
    struct cell *params = ARENA_ARRAY(&t->a, struct cell, SETS * 5);
    struct rows rows;

    for (size_t i = 0; i < SETS; i++) {
        const struct cell set[] = {INT(i), INT(1), INT(i), TEXT(STR("task_READY")),
                                   TEXT(STR("{}"))};

        memcpy(&params[i * 5], set, sizeof(set));
    }
    begin(s);
    STORE_OK(s, store_run(s, STMT_event_add, &t->a, params, SETS, &rows));
    assert_int_equal(rows.n, SETS);
    assert_int_equal(rows.changed, SETS);
    for (size_t i = 1; i < SETS; i++)
        assert_true(row_int(&rows, i - 1, 0) < row_int(&rows, i, 0));
    assert_int_equal(store_written(s), SETS);
    commit(s);

    /* No set is no row, and no mistake. */
    begin(s);
    STORE_OK(s, store_run(s, STMT_event_add, &t->a, params, 0, &rows));
    assert_int_equal(rows.n, 0);
    STORE_OK(s, store_run(s, STMT_event_add, NULL, params, 1, NULL));
    assert_int_equal(store_written(s), 1);
    /* A statement without parameters needs no array of them. */
    STORE_OK(s, store_run(s, STMT_worker_live, &t->a, NULL, 1, &rows));
    assert_int_equal(rows.n, 0);
    commit(s);
    assert_int_equal(store_testing_count(t, "event"), SETS + 1);
    store_free(s);
}

/* --- transactions --- */

static void a_duplicate_is_told_and_undone(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    begin(s);
    STORE_OK(s, workflow_add(s, "etl", 1));
    STORE_OK(s, store_mark(s));
    put(s, "undone", 1);
    assert_int_equal(workflow_add(s, "etl", 1), STORE_E_DUPLICATE);
    /* Until it is undone nothing more runs, on either backend. */
    assert_int_equal(workflow_add(s, "etl", 2), -EBADMSG);
    STORE_OK(s, store_undo(s));
    STORE_OK(s, workflow_add(s, "etl", 2));
    commit(s);
    assert_int_equal(store_testing_count(t, "workflow"), 2);
    assert_int_equal(store_testing_count(t, "queue"), 0);

    begin(s);
    put(s, "lost", 1);
    assert_int_equal(workflow_add(s, "etl", 2), STORE_E_DUPLICATE);
    assert_int_equal(store_commit(s), -EBADMSG);
    assert_int_equal(store_testing_count(t, "queue"), 0);
    begin(s);
    put(s, "kept", 1);
    commit(s);
    assert_int_equal(store_testing_count(t, "queue"), 1);
    store_free(s);
}

static void undo_goes_back_to_the_newest_mark(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    begin(s);
    STORE_OK(s, store_mark(s));
    STORE_OK(s, store_undo(s)); /* nothing has been done yet */
    put(s, "a", 1);
    STORE_OK(s, store_mark(s));
    put(s, "b", 1);
    put(s, "a", 2);
    assert_int_equal(store_written(s), 3);
    STORE_OK(s, store_undo(s));
    assert_int_equal(store_written(s), 1);
    put(s, "c", 1);
    STORE_OK(s, store_mark(s));
    STORE_OK(s, store_mark(s));
    put(s, "d", 1);
    STORE_OK(s, store_undo(s));
    put(s, "e", 1);
    STORE_OK(s, store_undo(s)); /* the same mark again */
    assert_int_equal(get(s, "a"), 1);
    assert_int_equal(get(s, "b"), -1);
    assert_int_equal(get(s, "c"), 1);
    assert_int_equal(get(s, "d"), -1);
    assert_int_equal(get(s, "e"), -1);
    commit(s);
    assert_int_equal(store_testing_count(t, "queue"), 2);
    store_free(s);
}

static int put_workflow(struct store *s, int64_t version)
{
    struct str none = STR("-");

    return STORE_PUT(s, STMT_workflow_add, TEXT(none), INT(version), TEXT(none), TEXT(none),
                     TEXT(none), TEXT(none), TEXT(none), INT(0), INT(0));
}

static void what_was_put_is_there_for_the_next_call(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    begin(s);
    for (int i = 0; i < 200; i++) { /* more than may be under way at once */
        STORE_OK(s, STORE_PUT(s, STMT_queue_put, TEXT(str_printf(&t->a, "q%d", i)), INT(0), INT(i),
                              INT(0)));
        if (i == 7)
            assert_int_equal(get(s, "q7"), 7);
    }
    assert_int_equal(store_written(s), 200);
    STORE_OK(s, store_put(s, STMT_event_add, NULL, 0));
    commit(s);
    assert_int_equal(store_testing_count(t, "queue"), 200);

    begin(s);
    STORE_OK(s, store_mark(s));
    STORE_OK(s, put_workflow(s, 1));
    STORE_OK(s, store_undo(s));
    assert_int_equal(store_written(s), 0);
    STORE_OK(s, put_workflow(s, 2));
    store_rollback(s);
    assert_int_equal(store_testing_count(t, "workflow"), 0);
    store_free(s);
}

/* After what was put, whatever there is of it; a question without sets is none. */
static void what_is_asked_together_is_answered_in_turn(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);
    const struct cell one = TEXT(STR("q1")), two = TEXT(STR("q60")), none = TEXT(STR("none"));
    struct rows rows[4];
    int64_t ids[3], later;
    const struct store_ask first = {
        .id = STMT_queue_get, .params = &one, .sets = 1, .ret = &rows[0]};
    const struct store_ask numbers = {.sets = 3, .ret_ids = ids};
    const struct store_ask missing = {
        .id = STMT_queue_get, .params = &none, .sets = 1, .ret = &rows[1]};
    const struct store_ask nothing = {.id = STMT_queue_rules, .ret = &rows[2]};
    const struct store_ask last = {
        .id = STMT_queue_get, .params = &two, .sets = 1, .ret = &rows[3]};
    const struct store_ask asks[] = {first, numbers, missing, nothing, last};

    begin(s);
    for (int i = 0; i < 61; i++) /* nearly as many as may be under way at once */
        STORE_OK(s, STORE_PUT(s, STMT_queue_put, TEXT(str_printf(&t->a, "q%d", i)), INT(0), INT(i),
                              INT(0)));
    STORE_OK(s, store_ask(s, &t->a, asks, sizeof(asks) / sizeof(*asks)));
    assert_int_equal(rows[0].n, 1);
    assert_int_equal(row_int(&rows[0], 0, 2), 1);
    assert_int_equal(rows[1].n, 0);
    assert_int_equal(rows[2].n, 0);
    assert_int_equal(row_int(&rows[3], 0, 2), 60);
    assert_true(ids[0] < ids[1] && ids[1] < ids[2]);
    STORE_OK(s, store_ids(s, 1, &later));
    assert_true(ids[2] < later);
    assert_int_equal(store_written(s), 61);
    commit(s);
    store_free(s);
}

/* Where one of them fails none is answered, and the transaction goes on after an undo. */
static void what_is_asked_in_vain_can_be_undone(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);
    const struct cell name = TEXT(STR("q")), number = INT(1);
    struct rows rows[2];
    int64_t id;
    const struct store_ask good = {
        .id = STMT_queue_get, .params = &name, .sets = 1, .ret = &rows[0]};
    const struct store_ask numbers = {.sets = 1, .ret_ids = &id};
    const struct store_ask wrong = {
        .id = STMT_queue_get, .params = &number, .sets = 1, .ret = &rows[1]};
    const struct store_ask bad[] = {good, numbers, wrong};
    const struct store_ask broken = {
        .id = STMT_queue_get, .params = &TEXT(STR("a\xff")), .sets = 1, .ret = &rows[1]};

    begin(s);
    put(s, "q", 7);
    STORE_OK(s, store_mark(s));
    assert_int_equal(store_ask(s, &t->a, &broken, 1), -EBADMSG);
    STORE_OK(s, store_undo(s));
    if (store_backend(s) == STORE_POSTGRES) { /* SQLite takes a number for a name */
        assert_int_equal(store_ask(s, &t->a, bad, 3), -EBADMSG);
        STORE_OK(s, store_undo(s));
    }
    STORE_OK(s, store_ask(s, &t->a, &good, 1));
    assert_int_equal(row_int(&rows[0], 0, 2), 7);
    commit(s);
    store_free(s);
}

enum after { RUN, COMMIT, MARK, IDS, AFTER_N };

/* SQLite says at once what is wrong with it, Postgres with the next call; the transaction fails on
 * both, and an undo goes back to where it was right. */
static void what_was_put_in_vain_is_told_with_the_next_call(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    for (int after = RUN; after < AFTER_N; after++) {
        int64_t id;
        int r;

        begin(s);
        put(s, "before", after);
        STORE_OK(s, store_mark(s));
        STORE_OK(s, put_workflow(s, 1));
        r = put_workflow(s, 1);
        if (!r && after == RUN)
            r = store_testing_put(s, "after", 1);
        if (!r && after == MARK)
            r = store_mark(s);
        if (!r && after == IDS)
            r = store_ids(s, 1, &id);
        if (after == COMMIT) {
            r = store_commit(s);
            assert_int_equal(store_testing_count(t, "queue"), 1);
        }
        assert_int_equal(r, -EBADMSG);
        if (after == COMMIT)
            continue;
        STORE_SAYS(s, "statement workflow_add: a unique key exists already");
        STORE_OK(s, store_undo(s));
        assert_int_equal(get(s, "before"), after);
        assert_int_equal(get(s, "after"), -1);
        commit(s);
        assert_int_equal(store_testing_count(t, "workflow"), 0);
    }
    begin(s);
    STORE_OK(s, put_workflow(s, 1));
    put_workflow(s, 1);
    store_rollback(s);
    begin(s);
    commit(s);
    assert_int_equal(store_testing_count(t, "workflow"), 0);
    store_free(s);
}

static void rollback_leaves_nothing(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    begin(s);
    put(s, "a", 1);
    store_rollback(s);
    store_rollback(s); /* harmless */
    begin(s);
    assert_int_equal(store_written(s), 0);
    assert_int_equal(get(s, "a"), -1);
    put(s, "b", 1);
    store_free(s); /* in the middle of it */
    assert_int_equal(store_testing_count(t, "queue"), 0);
}

static void a_reader_sees_one_snapshot(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *w = store_testing_open(t, STORE_WRITE), *r = store_testing_open(t, STORE_READ);

    begin(w);
    put(w, "q", 1);
    commit(w);
    begin(r);
    begin(w);
    put(w, "q", 2);
    put(w, "new", 2);
    assert_int_equal(get(r, "q"), 1); /* not what is not committed */
    commit(w);
    assert_int_equal(get(r, "q"), 1); /* nor what came later */
    assert_int_equal(get(r, "new"), -1);
    commit(r);
    begin(r);
    assert_int_equal(get(r, "q"), 2);
    assert_int_equal(get(r, "new"), 2);
    commit(r);
    store_free(r);
    store_free(w);
}

static void a_reader_cannot_write(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *w = store_testing_open(t, STORE_WRITE), *r = store_testing_open(t, STORE_READ);

    begin(r);
    assert_int_equal(store_testing_put(r, "q", 1), -EROFS);
    store_rollback(r);
    begin(r);
    assert_int_equal(get(r, "q"), -1);
    commit(r);
    store_free(r);
    store_free(w);
}

/* --- several programs --- */

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
            r = ids[k] > last ? workflow_add(s, "id", ids[k]) : 100;
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
    begin(s);
    STORE_OK(s, store_ids(s, 1, &id));
    assert_true(id > found);
    found = id;
    store_rollback(s);
    begin(s);
    STORE_OK(s, store_mark(s));
    STORE_OK(s, store_ids(s, 1, &id));
    assert_true(id > found);
    found = id;
    STORE_OK(s, store_undo(s));
    STORE_OK(s, store_ids(s, 1, &id));
    assert_true(id > found);
    commit(s);
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
        put(s, "q", i);
        commit(s);
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
        begin(s);
        put(s, "c", i); /* where a transaction of the dead is still open, it has the lock */
        kept = get(s, "a");
        assert_true(kept >= told);
        assert_int_equal(get(s, "b"), kept);
        store_rollback(s);
        store_free(s);
    }
}

/* --- schema --- */

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

static void opening_again_changes_nothing(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    assert_int_equal(store_backend(s), t->backend);
    assert_int_equal(store_schema_version(s), store_schema_newest(t->backend));
    begin(s);
    put(s, "q", 1);
    commit(s);
    store_free(s);
    s = store_testing_open(t, STORE_WRITE);
    assert_int_equal(store_schema_version(s), store_schema_newest(t->backend));
    begin(s);
    assert_int_equal(get(s, "q"), 1);
    commit(s);
    store_free(s);
    assert_int_equal(store_testing_count(t, "migration"), store_schema_newest(t->backend));
}

static void refused(struct store_testing *t, enum store_mode mode, int want, const char *piece)
{
    struct store *s;

    assert_int_equal(store_testing_try(t, mode, &s), want);
    STORE_SAYS(s, piece);
    store_free(s);
}

static void a_newer_schema_is_refused(void **state)
{
    struct store_testing *t = store_testing(state);
    int newest = store_schema_newest(t->backend);
    const char *said =
        str_printf(&t->a, "has schema version %d and this program knows versions up to %d",
                   newest + 1, newest)
            .p;

    store_free(store_testing_open(t, STORE_WRITE));
    store_testing_sql(
        t, str_printf(&t->a, "INSERT INTO migration VALUES (%d, 'later', 0)", newest + 1).p);
    refused(t, STORE_WRITE, -EPROTO, said);
    refused(t, STORE_READ, -EPROTO, said);
    store_testing_sql(t, str_printf(&t->a, "DELETE FROM migration WHERE version > %d", newest).p);
    store_free(store_testing_open(t, STORE_WRITE));
}

static void a_gap_in_the_schema_is_refused(void **state)
{
    struct store_testing *t = store_testing(state);

    store_free(store_testing_open(t, STORE_WRITE));
    store_testing_sql(t, "UPDATE migration SET version = version + 5");
    refused(t, STORE_WRITE, -EPROTO, "gap");
    refused(t, STORE_READ, -EPROTO, "gap");
}

static void a_reader_wants_a_store_that_is_there(void **state)
{
    struct store_testing *t = store_testing(state);
    int newest = store_schema_newest(t->backend);

    refused(t, STORE_READ, -ENOENT,
            t->backend == STORE_SQLITE ? "there is no store" : "holds no weft store yet");
    store_free(store_testing_open(t, STORE_WRITE));
    store_testing_sql(t, str_printf(&t->a, "DELETE FROM migration WHERE version = %d", newest).p);
    refused(t, STORE_READ, newest > 1 ? -EPROTO : -ENOENT,
            newest > 1
                ? str_printf(&t->a, "has schema version %d and this program needs version %d",
                             newest - 1, newest)
                      .p
                : "holds no weft store yet");
}

static void what_is_not_ours_is_refused(void **state)
{
    struct store_testing *t = store_testing(state);

    if (t->backend == STORE_SQLITE)
        store_testing_sql(t, "CREATE TABLE migration (version INTEGER)");
    else
        store_testing_sql(t, "CREATE SCHEMA weft; CREATE TABLE weft.invoice (id BIGINT)");
    refused(t, STORE_WRITE, -EINVAL, "not weft's");
    refused(t, STORE_READ, -EINVAL, "not weft's");
    if (t->backend == STORE_SQLITE) /* and it was not made into a WAL file on the way */
        assert_string_equal(store_testing_sql(t, "PRAGMA journal_mode"), "delete");
}

/* The same statement on the two backends takes as many parameters and answers with as many columns.
 */
static void statements_are_alike(void **state)
{
    struct store_testing *t = store_testing(state);
    const struct store_options o = {.url = STR("sqlite::memory:"), .mode = STORE_WRITE};
    struct store *p = store_testing_open(t, STORE_WRITE), *q;

    STORE_OK(q, store_open(&o, &q));
    for (int i = 0; i < STMT_N; i++) {
        CHECK_ROW(statements_sqlite[i].name, p->shapes[i].params == q->shapes[i].params);
        CHECK_ROW(statements_sqlite[i].name, p->shapes[i].columns == q->shapes[i].columns);
        CHECK_ROW(statements_sqlite[i].name,
                  p->shapes[i].columns > 0 || statements_sqlite[i].text[0] != 'S');
    }
    store_free(p);
    store_free(q);
}

static void a_wrong_url_is_refused(void **state)
{
    static const struct {
        const char *url;
        const char *said;
    } rows[] = {
        {"",                                                 "the store is no URL"        },
        {"weft.db",                                          "the store is no URL"        },
        {"mysql://root:secret@host/db",                      "\"mysql:…\" is of no kind"},
        {"sqlite:",                                          "names no file"              },
        {"postgres://me:s%zzecret@host/db",                  "malformed"                  },
        {"postgres://me@host/db?password=secret&colour=red", "malformed"                  },
        {"postgres://host/db?colour=red",                    "\"colour\""                 },
        {"postgres://[::1/db",                               "malformed"                  },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        const struct store_options o = {.url = str_of(rows[i].url), .mode = STORE_WRITE};
        struct store *s;

        CHECK_ROW(rows[i].url, store_open(&o, &s) == -EINVAL);
        STORE_SAYS(s, rows[i].said);
        CHECK_ROW(rows[i].url,
                  !strstr(store_error(s).p, "secret") && !strstr(store_error(s).p, "s%zz"));
        store_free(s);
    }
}

/* B-06: one that is too old is rolled back as a whole, and the next one begins anew. */
static void an_old_transaction_is_rolled_back(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store_options o = {.url = str_of(t->url), .mode = STORE_WRITE, .transaction_ms = 200};
    struct store *s;

    STORE_OK(s, store_open(&o, &s));
    STORE_OK(s, store_begin(s, NULL));
    STORE_OK(s, store_testing_put(s, "early", 1));
    usleep(250000);
    assert_int_equal(store_testing_put(s, "late", 1), -EAGAIN);
    STORE_SAYS(s, "transaction_ms = 200 ms");
    store_rollback(s);
    STORE_OK(s, store_begin(s, NULL));
    STORE_OK(s, store_testing_put(s, "again", 1));
    STORE_OK(s, store_commit(s));
    assert_int_equal(store_testing_count(t, "queue"), 1);
    store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TESTS(an_old_transaction_is_rolled_back),
        STORE_TESTS(texts_come_back),
        STORE_TESTS(numbers_come_back),
        STORE_TESTS(null_comes_back),
        STORE_TESTS(a_large_text_comes_back),
        STORE_TESTS(bad_texts_are_refused),
        STORE_TESTS(many_sets_run_at_once),
        STORE_TESTS(a_duplicate_is_told_and_undone),
        STORE_TESTS(undo_goes_back_to_the_newest_mark),
        STORE_TESTS(what_was_put_is_there_for_the_next_call),
        STORE_TESTS(what_is_asked_together_is_answered_in_turn),
        STORE_TESTS(what_is_asked_in_vain_can_be_undone),
        STORE_TESTS(what_was_put_in_vain_is_told_with_the_next_call),
        STORE_TESTS(rollback_leaves_nothing),
        STORE_TESTS(a_reader_sees_one_snapshot),
        STORE_TESTS(a_reader_cannot_write),
        STORE_TESTS(ids_grow_and_never_repeat),
        STORE_TESTS(now_never_runs_backwards),
        STORE_TESTS(counts_add_up_under_load),
        STORE_TESTS(a_killed_program_leaves_whole_transactions),
        STORE_TESTS(eight_programs_start_at_once),
        STORE_TESTS(opening_again_changes_nothing),
        STORE_TESTS(a_newer_schema_is_refused),
        STORE_TESTS(a_gap_in_the_schema_is_refused),
        STORE_TESTS(a_reader_wants_a_store_that_is_there),
        STORE_TESTS(what_is_not_ours_is_refused),
        STORE_TEST(statements_are_alike, postgres),
        cmocka_unit_test(a_wrong_url_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
