/* SPDX-License-Identifier: Apache-2.0 */
/* What store.h promises of values and transactions, on both backends. */
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "store/store_testing.h"

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
    store_testing_begin(s);
    STORE_OK(s, store_run(s, STMT_event_add, &t->a, params, ROWS_N(odd_texts), &rows));
    assert_int_equal(rows.n, ROWS_N(odd_texts));
    store_testing_commit(s);

    store_testing_begin(s);
    STORE_OK(s, STORE_DO(s, STMT_event_list, &t->a, &rows, INT(7), INT(0), INT(100)));
    assert_int_equal(rows.n, ROWS_N(odd_texts));
    for (size_t i = 0; i < rows.n; i++) {
        CHECK_ROW(odd_texts[i], row_int(&rows, i, 1) == (int64_t)i);
        CHECK_ROW(odd_texts[i], str_eq(row_text(&rows, i, 5), str_of(odd_texts[i])));
        CHECK_ROW(odd_texts[i], str_eq(row_text(&rows, i, 6), str_of(odd_texts[i])));
    }
    /* The same through a statement that takes one set, where the text is a key. */
    for (size_t i = 0; i < ROWS_N(odd_texts); i++) {
        store_testing_set(s, odd_texts[i], (int64_t)i);
        CHECK_ROW(odd_texts[i], store_testing_get(s, odd_texts[i]) == (int64_t)i);
    }
    store_testing_commit(s);
    store_free(s);
}

static void numbers_come_back(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    store_testing_begin(s);
    for (size_t i = 0; i < ROWS_N(odd_numbers); i++) {
        const struct cell set[] = {INT(odd_numbers[i]), INT(9), INT(0), TEXT(STR("k")),
                                   TEXT(STR("{}"))};
        struct rows rows;

        store_testing_set(s, "q", odd_numbers[i]);
        assert_int_equal(store_testing_get(s, "q"), odd_numbers[i]);
        STORE_OK(s, store_run(s, STMT_event_add, &t->a, set, 1, &rows));
        STORE_OK(s, STORE_DO(s, STMT_event_list, &t->a, &rows, INT(9),
                             INT(row_int(&rows, 0, 0) - 1), INT(1)));
        assert_int_equal(row_int(&rows, 0, 1), odd_numbers[i]);
    }
    store_testing_commit(s);
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
    store_testing_begin(s);
    STORE_OK(s, store_run(s, STMT_attempt_add, NULL, sets, 2, NULL));
    store_testing_commit(s);
    assert_string_equal(
        store_testing_sql(t, "SELECT count(*) FROM attempt WHERE token = 1 AND exit_code IS NULL"
                             " AND signal = 9 AND result IS NULL"),
        "1");
    assert_string_equal(
        store_testing_sql(t, "SELECT count(*) FROM attempt WHERE token = 2 AND exit_code = 3"
                             " AND signal IS NULL AND result = '{}'"),
        "1");
    store_testing_begin(s);
    STORE_OK(s, STORE_DO(s, STMT_attempt_of_task, &t->a, &rows, INT(5)));
    assert_int_equal(rows.n, 2);
    for (size_t c = 0, nulls = 0; c < rows.columns; c++) {
        nulls += row_null(&rows, 0, c);
        if (c + 1 == rows.columns)
            assert_true(nulls >= 1);
    }
    store_testing_commit(s);
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
    store_testing_begin(s);
    STORE_OK(s, store_run(s, STMT_event_add, NULL, params, 3, NULL));
    store_testing_commit(s);
    store_testing_begin(s);
    STORE_OK(s, STORE_DO(s, STMT_event_list, &t->a, &rows, INT(3), INT(0), INT(9)));
    assert_int_equal(rows.n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(str_eq(row_text(&rows, i, 6), (struct str){text, n - i}));
    store_testing_commit(s);
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
        store_testing_begin(s);
        store_testing_set(s, "before", 1);
        STORE_OK(s, store_mark(s));
        CHECK_ROW(rows[i].name, STORE_DO(s, STMT_queue_put, NULL, NULL, TEXT(rows[i].text), INT(0),
                                         INT(0), INT(0)) == -EBADMSG);
        STORE_SAYS(s, rows[i].said);
        STORE_OK(s, store_undo(s));
        store_testing_commit(s);
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
    store_testing_begin(s);
    STORE_OK(s, store_run(s, STMT_event_add, &t->a, params, SETS, &rows));
    assert_int_equal(rows.n, SETS);
    assert_int_equal(rows.changed, SETS);
    for (size_t i = 1; i < SETS; i++)
        assert_true(row_int(&rows, i - 1, 0) < row_int(&rows, i, 0));
    assert_int_equal(store_written(s), SETS);
    store_testing_commit(s);

    /* No set is no row, and no mistake. */
    store_testing_begin(s);
    STORE_OK(s, store_run(s, STMT_event_add, &t->a, params, 0, &rows));
    assert_int_equal(rows.n, 0);
    STORE_OK(s, store_run(s, STMT_event_add, NULL, params, 1, NULL));
    assert_int_equal(store_written(s), 1);
    /* A statement without parameters needs no array of them. */
    STORE_OK(s, store_run(s, STMT_worker_live, &t->a, NULL, 1, &rows));
    assert_int_equal(rows.n, 0);
    store_testing_commit(s);
    assert_int_equal(store_testing_count(t, "event"), SETS + 1);
    store_free(s);
}

/* --- transactions --- */

static void a_duplicate_is_told_and_undone(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    store_testing_begin(s);
    STORE_OK(s, store_testing_workflow(s, "etl", 1));
    STORE_OK(s, store_mark(s));
    store_testing_set(s, "undone", 1);
    assert_int_equal(store_testing_workflow(s, "etl", 1), STORE_E_DUPLICATE);
    /* Until it is undone nothing more runs, on either backend. */
    assert_int_equal(store_testing_workflow(s, "etl", 2), -EBADMSG);
    STORE_OK(s, store_undo(s));
    STORE_OK(s, store_testing_workflow(s, "etl", 2));
    store_testing_commit(s);
    assert_int_equal(store_testing_count(t, "workflow"), 2);
    assert_int_equal(store_testing_count(t, "queue"), 0);

    store_testing_begin(s);
    store_testing_set(s, "lost", 1);
    assert_int_equal(store_testing_workflow(s, "etl", 2), STORE_E_DUPLICATE);
    assert_int_equal(store_commit(s), -EBADMSG);
    assert_int_equal(store_testing_count(t, "queue"), 0);
    store_testing_begin(s);
    store_testing_set(s, "kept", 1);
    store_testing_commit(s);
    assert_int_equal(store_testing_count(t, "queue"), 1);
    store_free(s);
}

static void undo_goes_back_to_the_newest_mark(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    store_testing_begin(s);
    STORE_OK(s, store_mark(s));
    STORE_OK(s, store_undo(s)); /* nothing has been done yet */
    store_testing_set(s, "a", 1);
    STORE_OK(s, store_mark(s));
    store_testing_set(s, "b", 1);
    store_testing_set(s, "a", 2);
    assert_int_equal(store_written(s), 3);
    STORE_OK(s, store_undo(s));
    assert_int_equal(store_written(s), 1);
    store_testing_set(s, "c", 1);
    STORE_OK(s, store_mark(s));
    STORE_OK(s, store_mark(s));
    store_testing_set(s, "d", 1);
    STORE_OK(s, store_undo(s));
    store_testing_set(s, "e", 1);
    STORE_OK(s, store_undo(s)); /* the same mark again */
    assert_int_equal(store_testing_get(s, "a"), 1);
    assert_int_equal(store_testing_get(s, "b"), -1);
    assert_int_equal(store_testing_get(s, "c"), 1);
    assert_int_equal(store_testing_get(s, "d"), -1);
    assert_int_equal(store_testing_get(s, "e"), -1);
    store_testing_commit(s);
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

    store_testing_begin(s);
    for (int i = 0; i < 200; i++) { /* more than may be under way at once */
        STORE_OK(s, STORE_PUT(s, STMT_queue_put, TEXT(str_printf(&t->a, "q%d", i)), INT(0), INT(i),
                              INT(0)));
        if (i == 7)
            assert_int_equal(store_testing_get(s, "q7"), 7);
    }
    assert_int_equal(store_written(s), 200);
    STORE_OK(s, store_put(s, STMT_event_add, NULL, 0));
    store_testing_commit(s);
    assert_int_equal(store_testing_count(t, "queue"), 200);

    store_testing_begin(s);
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

    store_testing_begin(s);
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
    store_testing_commit(s);
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

    store_testing_begin(s);
    store_testing_set(s, "q", 7);
    STORE_OK(s, store_mark(s));
    assert_int_equal(store_ask(s, &t->a, &broken, 1), -EBADMSG);
    STORE_OK(s, store_undo(s));
    if (store_backend(s) == STORE_POSTGRES) { /* SQLite takes a number for a name */
        assert_int_equal(store_ask(s, &t->a, bad, 3), -EBADMSG);
        STORE_OK(s, store_undo(s));
    }
    STORE_OK(s, store_ask(s, &t->a, &good, 1));
    assert_int_equal(row_int(&rows[0], 0, 2), 7);
    store_testing_commit(s);
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

        store_testing_begin(s);
        store_testing_set(s, "before", after);
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
        assert_int_equal(store_testing_get(s, "before"), after);
        assert_int_equal(store_testing_get(s, "after"), -1);
        store_testing_commit(s);
        assert_int_equal(store_testing_count(t, "workflow"), 0);
    }
    store_testing_begin(s);
    STORE_OK(s, put_workflow(s, 1));
    put_workflow(s, 1);
    store_rollback(s);
    store_testing_begin(s);
    store_testing_commit(s);
    assert_int_equal(store_testing_count(t, "workflow"), 0);
    store_free(s);
}

static void rollback_leaves_nothing(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    store_testing_begin(s);
    store_testing_set(s, "a", 1);
    store_rollback(s);
    store_rollback(s); /* harmless */
    store_testing_begin(s);
    assert_int_equal(store_written(s), 0);
    assert_int_equal(store_testing_get(s, "a"), -1);
    store_testing_set(s, "b", 1);
    store_free(s); /* in the middle of it */
    assert_int_equal(store_testing_count(t, "queue"), 0);
}

static void a_reader_sees_one_snapshot(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *w = store_testing_open(t, STORE_WRITE), *r = store_testing_open(t, STORE_READ);

    store_testing_begin(w);
    store_testing_set(w, "q", 1);
    store_testing_commit(w);
    store_testing_begin(r);
    store_testing_begin(w);
    store_testing_set(w, "q", 2);
    store_testing_set(w, "new", 2);
    assert_int_equal(store_testing_get(r, "q"), 1); /* not what is not committed */
    store_testing_commit(w);
    assert_int_equal(store_testing_get(r, "q"), 1); /* nor what came later */
    assert_int_equal(store_testing_get(r, "new"), -1);
    store_testing_commit(r);
    store_testing_begin(r);
    assert_int_equal(store_testing_get(r, "q"), 2);
    assert_int_equal(store_testing_get(r, "new"), 2);
    store_testing_commit(r);
    store_free(r);
    store_free(w);
}

static void a_reader_cannot_write(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *w = store_testing_open(t, STORE_WRITE), *r = store_testing_open(t, STORE_READ);

    store_testing_begin(r);
    assert_int_equal(store_testing_put(r, "q", 1), -EROFS);
    store_rollback(r);
    store_testing_begin(r);
    assert_int_equal(store_testing_get(r, "q"), -1);
    store_testing_commit(r);
    store_free(r);
    store_free(w);
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
