/* SPDX-License-Identifier: Apache-2.0 */
/* A batcher whose Postgres loses connections: what was accepted is there once, what was refused is
 * not there. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/task.h"
#include "serve/batcher.h"
#include "store/store_testing.h"

#define CALLERS    8
#define KILLS_MAX  300
#define FAULTS     3      /* transactions that a lost connection has to hit */
#define KILL_EVERY 120000 /* microseconds */

BATCHER_FUNCTION(enqueue, task_enqueue)
BATCHER_MANY(enqueue_many, task_enqueue_many)

struct storm {
    struct batcher *batcher;
    atomic_bool over;
    atomic_int accepted, refused;
    pthread_mutex_t lock;
    char *ledger; /* one line per request: its number and whether it was accepted */
    size_t ledger_n, ledger_max;
};

static void note(struct storm *s, int number, bool accepted)
{
    pthread_mutex_lock(&s->lock);
    if (s->ledger_n + 32 < s->ledger_max)
        s->ledger_n += (size_t)snprintf(s->ledger + s->ledger_n, 32, "%s(%d,%d)",
                                        s->ledger_n ? "," : "", number, accepted);
    pthread_mutex_unlock(&s->lock);
    atomic_fetch_add(accepted ? &s->accepted : &s->refused, 1);
}

/* Every fourth caller has no patience: it hears of a lost connection. */
static void post_one(struct storm *s, int number)
{
    char payload[32];
    const struct task_new task = {
        .payload = {payload, (size_t)snprintf(payload, sizeof(payload), "%d", number)}
    };
    const struct task_enqueue request = {.queue = STR("storm"), .list = &task, .n = 1};
    struct task_ids ids;
    struct batcher_request q = {
        .function = enqueue,
        .many = enqueue_many,
        .request = &request,
        .reply = &ids,
        .reply_size = sizeof(ids),
        .patience_us = number % 4 ? BATCHER_CALL_US : 0,
    };

    batcher_call(s->batcher, &q);
    if (q.answer.code != CODE_OK && q.answer.code != CODE_STORE_UNAVAILABLE)
        note(s, -1, true); /* which the ledger then shows */
    else
        note(s, number, q.answer.code == CODE_OK);
    batcher_release(&q);
}

struct caller {
    struct storm *storm;
    int first;
};

static void *call(void *context)
{
    struct caller *c = context;

    for (int i = c->first; !atomic_load(&c->storm->over); i += CALLERS)
        post_one(c->storm, i);
    return NULL;
}

static struct batcher_stats stats_of(struct storm *s)
{
    struct batcher_stats stats;

    batcher_stats(s->batcher, &stats);
    return stats;
}

/* Until enough of them were in the middle of a transaction. */
static void kill_connections(struct store_testing *t, struct storm *s)
{
    for (int i = 0; i < KILLS_MAX && stats_of(s).faults < FAULTS; i++) {
        usleep(KILL_EVERY);
        store_testing_sql(t, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                             "datname = current_database() AND pid <> pg_backend_pid()");
    }
}

/* C-57, C-59, A-94, A-95 */
static void what_is_accepted_is_there_once(void **state)
{
    struct store_testing *t = store_testing(state);
    struct batcher_options o = {
        .name = "writer", .store = {.url = str_of(t->url), .mode = STORE_WRITE}
    };
    struct storm s = {.lock = PTHREAD_MUTEX_INITIALIZER, .ledger_max = 4u << 20};
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];

    s.ledger = arena_alloc(&t->a, s.ledger_max);
    assert_int_equal(batcher_new(&o, &s.batcher), 0);
    post_one(&s, 1000001);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){&s, i};
        pthread_create(&threads[i], NULL, call, &callers[i]);
    }
    kill_connections(t, &s);
    atomic_store(&s.over, true);
    for (int i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(stats_of(&s).faults >= FAULTS);
    batcher_free(s.batcher);
    print_message("%d accepted, %d refused\n", s.accepted, s.refused);
    assert_true(s.accepted > 10);
    assert_string_equal(
        store_testing_sql(
            t, str_printf(&t->a,
                          "WITH RECURSIVE stored AS (" /* "BYTES:PAYLOAD" again and again */
                          "SELECT payloads AS rest, NULL AS payload FROM weft.block UNION ALL "
                          "SELECT substr(rest, strpos(rest, ':') + 1 + split_part(rest, ':', "
                          "1)::int), substr(rest, strpos(rest, ':') + 1, split_part(rest, ':', "
                          "1)::int) FROM stored WHERE rest <> '') "
                          "SELECT count(*) FROM (VALUES %s) v (number, accepted) LEFT JOIN "
                          "(SELECT payload, count(*) AS n FROM (SELECT payload FROM weft.task "
                          "UNION ALL SELECT payload FROM stored) s GROUP BY payload) t "
                          "ON t.payload = v.number::text WHERE coalesce(t.n, 0) <> v.accepted",
                          s.ledger)
                   .p),
        "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(what_is_accepted_is_there_once, postgres),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
