/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/batcher_testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"

static int add_twice(struct tx *tx)
{
    struct cell row[] = {TEXT(STR("same")), INT(1),        TEXT(STR("")),
                         TEXT(STR("")),     TEXT(STR("")), TEXT(STR("")),
                         TEXT(STR("")),     INT(1),        INT(1)};
    int r = store_run(tx->store, STMT_workflow_add, tx->arena, row, 1, NULL);

    if (!r)
        r = store_run(tx->store, STMT_workflow_add, tx->arena, row, 1, NULL);
    return r == STORE_E_DUPLICATE ? tx_refuse(tx, CODE_TASK_STATE, "it is there") : r;
}

static int end(struct tx *tx, const struct put *p)
{
    static const int faults[] = {
        [END_FORGOTTEN] = 3,      [END_BUG] = -EBADMSG,     [END_DEADLOCK] = -EAGAIN,
        [END_FULL] = -ENOSPC,     [END_LOST] = -ECONNRESET, [END_READ_ONLY] = -EROFS,
        [END_CORRUPT] = -EUCLEAN, [END_DISK] = -EIO,
    };

    if (p->ending == END_WELL || (p->times && p->calls > p->times))
        return 0;
    if (p->ending == END_DUPLICATE)
        return add_twice(tx);
    if (p->ending == END_REFUSED || p->ending == END_REFUSED_FIRST)
        return tx_refuse(tx, CODE_TASK_STATE, "%s is refused", p->name);
    return faults[p->ending];
}

int batcher_testing_put(struct tx *tx, const void *request, void *reply)
{
    struct put *p = *(struct put *const *)request;
    struct put_reply *out = reply;
    struct str name = str_of(p->name);
    int r;

    p->calls++;
    if (p->started)
        sem_post(p->started);
    if (p->go_on)
        sem_wait(p->go_on);
    out->written = store_written(tx->store);
    out->text = str_printf(tx->arena, "put %s", p->name);
    if (p->ending == END_REFUSED_FIRST)
        return end(tx, p);
    r = STORE_DO(tx->store, STMT_queue_put, tx->arena, NULL, TEXT(name), INT(0), INT(1),
                 INT(tx->now));
    return r ? r : end(tx, p);
}

int batcher_testing_get(struct tx *tx, const void *request, void *reply)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_queue_get, tx->arena, &rows,
                     TEXT(str_of(*(const char *const *)request)));

    *(bool *)reply = !r && rows.n;
    return r;
}

int batcher_testing_put_many(struct tx *tx, const void *const *requests, void *const *replies,
                             struct tx_problem *problems, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct put *p = *(struct put *const *)requests[i];
        struct put_reply *out = replies[i];
        int r;

        p->calls++;
        p->group = n;
        out->text = str_printf(tx->arena, "put %s", p->name);
        if (p->ending == END_REFUSED) {
            problems[i] = (struct tx_problem){.code = CODE_TASK_STATE, .text = out->text};
            continue;
        }
        r = STORE_DO(tx->store, STMT_queue_put, tx->arena, NULL, TEXT(str_of(p->name)), INT(0),
                     INT(1), INT(tx->now));
        if (!r)
            r = end(tx, p);
        if (r)
            return r;
        tx_count(tx, 0, STR("wanted"), TASK_READY, 1);
    }
    return 0;
}

int batcher_testing_put_counted(struct tx *tx, const void *request, void *reply)
{
    tx_count(tx, 0, STR("wanted"), TASK_READY, 1);
    return batcher_testing_put(tx, request, reply);
}

struct batcher *batcher_testing_at(const char *url, enum store_mode mode)
{
    struct batcher_options o = {.name = "store"};
    struct batcher *b;

    o.store =
        (struct store_options){.url = str_of(url), .mode = mode, .connect_ms = 50, .lock_ms = 50};
    assert_int_equal(batcher_new(&o, &b), 0);
    return b;
}

int batcher_testing_setup(void **state)
{
    struct fixture *f = memory_new(sizeof(*f));

    snprintf(f->folder, sizeof(f->folder), "/tmp/weft-batcher-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->url, sizeof(f->url), "sqlite:%s/weft.db", f->folder);
    f->writer = batcher_testing_at(f->url, STORE_WRITE);
    *state = f;
    return 0;
}

int batcher_testing_teardown(void **state)
{
    static const char *const files[] = {"weft.db", "weft.db-wal", "weft.db-shm"};
    struct fixture *f = *state;
    char path[128];

    batcher_free(f->writer);
    for (size_t i = 0; i < ROWS_N(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->folder, files[i]);
        unlink(path);
    }
    rmdir(f->folder);
    free(f);
    return 0;
}

bool batcher_testing_has(struct batcher *b, const char *name)
{
    bool found = false;
    struct batcher_request q = {.function = batcher_testing_get,
                                .request = &name,
                                .reply = &found,
                                .reply_size = sizeof(found)};

    batcher_call(b, &q);
    assert_int_equal(q.answer.code, CODE_OK);
    arena_deinit(&q.arena);
    return found;
}

static void answered(struct batcher_request *q)
{
    struct group_test *g = q->context;

    g->order[g->answered++] = (size_t)(q - g->requests);
    if (g->answered == g->n)
        sem_post(&g->all);
}

struct group_test *batcher_testing_make(struct put *puts, size_t n, int64_t patience_us,
                                        struct batcher_home *home)
{
    struct group_test *g = memory_new(sizeof(*g));

    sem_init(&g->all, 0, 0);
    g->n = n;
    for (size_t i = 0; i < n; i++) {
        g->puts[i] = &puts[i];
        g->requests[i] = (struct batcher_request){
            .function = batcher_testing_put,
            .request = &g->puts[i],
            .reply = &g->replies[i],
            .reply_size = sizeof(g->replies[i]),
            .bytes = 100,
            .patience_us = patience_us,
            .home = home,
            .done = answered,
            .context = g,
        };
    }
    return g;
}

struct group_test *batcher_testing_post(struct batcher *b, struct put *puts, size_t n,
                                        int64_t patience_us, struct batcher_home *home)
{
    struct group_test *g = batcher_testing_make(puts, n, patience_us, home);
    struct batcher_request *list[GROUP_MAX];

    for (size_t i = 0; i < n; i++)
        list[i] = &g->requests[i];
    batcher_post(b, list, n);
    return g;
}

void batcher_testing_post_each(struct batcher *b, struct group_test *g)
{
    struct batcher_request *list[GROUP_MAX];

    for (size_t i = 0; i < g->n; i++) {
        list[i] = &g->requests[i];
        list[i]->many = batcher_testing_put_many;
    }
    batcher_post_each(b, list, g->n);
}

void batcher_testing_free(struct group_test *g)
{
    for (size_t i = 0; i < g->n; i++)
        batcher_release(&g->requests[i]);
    sem_destroy(&g->all);
    free(g);
}

void batcher_testing_hold(struct batcher *b, struct hold *h)
{
    sem_init(&h->started, 0, 0);
    sem_init(&h->go_on, 0, 0);
    h->put = (struct put){.name = "hold", .started = &h->started, .go_on = &h->go_on};
    h->group = batcher_testing_post(b, &h->put, 1, 0, NULL);
    sem_wait(&h->started);
}

void batcher_testing_let_go(struct hold *h)
{
    sem_post(&h->go_on);
    sem_wait(&h->group->all);
    batcher_testing_free(h->group);
    sem_destroy(&h->started);
    sem_destroy(&h->go_on);
}
