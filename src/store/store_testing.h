/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_testing: a store of a test's own, on either backend, gone with the test.
 *
 * For tests only. A test that is to run on both backends is listed by STORE_TESTS(name) and begins
 * with store_testing(state).
 */
#ifndef STORE_STORE_TESTING_H
#define STORE_STORE_TESTING_H

#include <sys/types.h>

#include "base/test.h"
#include "store/store.h"

struct store_testing {
    enum store_backend backend;
    const char *folder;   /* a temporary one, for SQLite and for anything else */
    const char *url;      /* of the store that no one has opened yet */
    const char *path;     /* of the file (SQLite) */
    const char *database; /* its name (Postgres) */
    bool missing;         /* there is no Postgres server to test with */
    struct arena a;
};

/* For cmocka: make the store's place, and remove it. */
int store_testing_setup(void **state);
int store_testing_teardown(void **state);

/* The test's place. Where there is no server it is skipped, with a sentence. */
struct store_testing *store_testing(void **state);

#define STORE_TEST(name, kind)                                                                     \
    {                                                                                              \
#name "_" #kind, name, store_testing_setup, store_testing_teardown, store_testing_##kind   \
    }
#define STORE_TESTS(name) STORE_TEST(name, sqlite), STORE_TEST(name, postgres)
extern void *const store_testing_sqlite, *const store_testing_postgres;

/* Open with short limits. A failure that is not expected ends the test with the store's sentence.
 */
int store_testing_try(struct store_testing *t, enum store_mode mode, struct store **ret);
struct store *store_testing_open(struct store_testing *t, enum store_mode mode);

/* Run SQL past the store, as an administrator would; the first value of the last row comes back as
 * a text, or NULL. */
const char *store_testing_sql(struct store_testing *t, const char *sql);

/* The call must return 0. */
#define STORE_OK(s, call)                                                                          \
    do {                                                                                           \
        int r_ = (call);                                                                           \
        if (r_)                                                                                    \
            fail_msg("%s: %d, " STR_FMT, #call, r_, STR_ARG(store_error(s)));                      \
    } while (0)

/* The store's sentence must hold a piece of text. */
#define STORE_SAYS(s, piece)                                                                       \
    do {                                                                                           \
        struct str said_ = store_error(s);                                                         \
        if (!memmem(said_.p ? said_.p : "", said_.n, (piece), strlen(piece)))                      \
            fail_msg("\"%s\" is not said in \"" STR_FMT "\"", (piece), STR_ARG(said_));            \
    } while (0)

/* Another process of this program, which ends with what `run` returns; it must not use cmocka. */
pid_t store_testing_fork(int (*run)(struct store_testing *t, int number), struct store_testing *t,
                         int number);
/* Wait for it; the status of its exit, or minus the signal that ended it. */
int store_testing_wait(pid_t pid);

/* Put a queue, the test's row; and how many there are. */
int store_testing_put(struct store *s, const char *name, int64_t value);
int64_t store_testing_count(struct store_testing *t, const char *from);

/* Each must go well, or the test has failed. */
void store_testing_begin(struct store *s);
void store_testing_commit(struct store *s);
void store_testing_set(struct store *s, const char *name, int64_t value); /* put */
/* The value of a queue's row as the store sees it, -1 where there is none. */
int64_t store_testing_get(struct store *s, const char *name);

/* A row under a unique key. Returns as store_run(). */
int store_testing_workflow(struct store *s, const char *name, int64_t version);

#endif
