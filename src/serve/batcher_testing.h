/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batcher_testing: a batcher on a store of a test's own, and requests that end as they are told.
 *
 * For tests only.
 */
#ifndef SERVE_BATCHER_TESTING_H
#define SERVE_BATCHER_TESTING_H

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "serve/batcher.h"

#define ROWS_N(rows) (sizeof(rows) / sizeof((rows)[0]))

/* A request of these tests: put a queue named `name`, and then end as it says. */
enum ending {
    END_WELL,
    END_REFUSED_FIRST, /* before anything is written */
    END_REFUSED,
    END_DUPLICATE, /* a unique key, which breaks a transaction of Postgres */
    END_FORGOTTEN, /* an outcome that nobody handled */
    END_BUG,
    END_DEADLOCK,
    END_FULL,
    END_LOST,
    END_READ_ONLY,
    END_CORRUPT,
    END_DISK,
};

struct put {
    const char *name;
    enum ending ending;
    int times;      /* the ending comes so often; 0: always */
    sem_t *started; /* posted when it runs … */
    sem_t *go_on;   /* … and waited for then */
    int calls;
    size_t group; /* ran with so many, where they were gathered */
};

struct put_reply {
    int64_t written; /* before it, in its transaction */
    struct str text;
};

/* Functions for requests: of a put; the same for many, where each notes how many it ran with; one
 * that counts a task, too. And of a look: `const char *` to whether there is such a queue. */
int batcher_testing_put(struct tx *tx, const void *request, void *reply);
int batcher_testing_put_many(struct tx *tx, const void *const *requests, void *const *replies,
                             struct tx_problem *problems, size_t n);
int batcher_testing_put_counted(struct tx *tx, const void *request, void *reply);
int batcher_testing_get(struct tx *tx, const void *request, void *reply);

/* A store in a folder of its own, and a batcher that writes to it. */
struct fixture {
    char folder[64];
    char url[128];
    struct batcher *writer;
};

/* For cmocka. */
int batcher_testing_setup(void **state);
int batcher_testing_teardown(void **state);
/* Another batcher on a store, and whether the queue is there. */
struct batcher *batcher_testing_at(const char *url, enum store_mode mode);
bool batcher_testing_has(struct batcher *b, const char *name);

/* Requests that are posted together, and what came back. */
#define GROUP_MAX 2000
struct group_test {
    struct put *puts[GROUP_MAX];
    struct put_reply replies[GROUP_MAX];
    struct batcher_request requests[GROUP_MAX];
    size_t n;
    size_t answered; /* in this order */
    size_t order[GROUP_MAX];
    sem_t all;
};

/* Made; made and posted as one caller would; posted as different callers would. */
struct group_test *batcher_testing_make(struct put *puts, size_t n, int64_t patience_us,
                                        struct batcher_home *home);
struct group_test *batcher_testing_post(struct batcher *b, struct put *puts, size_t n,
                                        int64_t patience_us, struct batcher_home *home);
void batcher_testing_post_each(struct batcher *b, struct group_test *g);
void batcher_testing_free(struct group_test *g);

/* Hold the store thread within a transaction, so that what is posted meanwhile waits together. */
struct hold {
    sem_t started, go_on;
    struct put put;
    struct group_test *group;
};

void batcher_testing_hold(struct batcher *b, struct hold *h);
void batcher_testing_let_go(struct hold *h);

#define BATCHER_TEST(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, batcher_testing_setup, batcher_testing_teardown)

#endif
