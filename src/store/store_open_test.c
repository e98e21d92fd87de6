/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a store: its schema, and what is refused. */
#include <errno.h>

#include "store/backend.h"
#include "store/store_testing.h"

static void opening_again_changes_nothing(void **state)
{
    struct store_testing *t = store_testing(state);
    struct store *s = store_testing_open(t, STORE_WRITE);

    assert_int_equal(store_backend(s), t->backend);
    assert_int_equal(store_schema_version(s), store_schema_newest(t->backend));
    store_testing_begin(s);
    store_testing_set(s, "q", 1);
    store_testing_commit(s);
    store_free(s);
    s = store_testing_open(t, STORE_WRITE);
    assert_int_equal(store_schema_version(s), store_schema_newest(t->backend));
    store_testing_begin(s);
    assert_int_equal(store_testing_get(s, "q"), 1);
    store_testing_commit(s);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
