/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/progress.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"

#define EVENTS_EVERY_US CLOCK_S

struct progress_event {
    struct progress_of of;
    const struct progress *progress;
};

void progress_tell(struct progress_told *told, struct tx *tx, const struct progress_of *of,
                   const struct progress *p)
{
    SETS_ADD(&told->rows, tx->arena, INT(of->token), INT(p->at), INT(p->percent), TEXT(p->message),
             TEXT(p->details));
    SETS_ADD(&told->trims, tx->arena, INT(of->token), INT(PROGRESS_KEPT - 1));
    SETS_ADD(&told->leases, tx->arena, INT(of->token));
    ARENA_ROOM(tx->arena, told->events, told->n, told->cap, 8);
    told->events[told->n++] = (struct progress_event){*of, p};
}

static void add_event(struct tx *tx, const struct progress_event *e)
{
    const struct progress *p = e->progress;
    struct buf b;

    buf_init(&b, 6 * p->message.n + 100); /* a control character takes six bytes in JSON */
    buf_printf(&b, "{\"token\":\"%" PRId64 "\"", e->of.token);
    if (p->percent >= 0)
        buf_printf(&b, ",\"percent\":%d", p->percent);
    if (p->message.n) {
        buf_add(&b, STR(",\"message\":"));
        buf_json(&b, p->message);
    }
    buf_byte(&b, '}');
    tx_event(tx, e->of.run, e->of.task, e->of.name, STR("task_PROGRESS"),
             str_copy(tx->arena, buf_str(&b)));
    buf_deinit(&b);
}

/* What was told last of an attempt, before this. */
struct newest {
    int64_t token, n, at;
};

static int by_token(const void *a, const void *b)
{
    const struct newest *x = a, *y = b;

    return (x->token > y->token) - (x->token < y->token);
}

static bool is_event(const struct progress_event *e, const struct newest *list, size_t n)
{
    const struct newest key = {.token = e->of.token}, *last = NULL;

    if (n)
        last = bsearch(&key, list, n, sizeof(*list), by_token);
    return !last || last->n < PROGRESS_KEPT ||
           last->at / EVENTS_EVERY_US != e->progress->at / EVENTS_EVERY_US;
}

static int add_events(struct progress_told *told, struct tx *tx)
{
    struct newest *list;
    struct rows rows;
    int r = sets_run(&told->leases, tx, STMT_progress_newest, 1, &rows);

    if (r)
        return fault(r);
    list = ARENA_ARRAY(tx->arena, struct newest, rows.n);
    for (size_t i = 0; i < rows.n; i++)
        list[i] = (struct newest){row_int(&rows, i, 0), row_int(&rows, i, 1), row_int(&rows, i, 2)};
    if (rows.n)
        qsort(list, rows.n, sizeof(*list), by_token);
    for (size_t i = 0; i < told->n; i++)
        if (is_event(&told->events[i], list, rows.n))
            add_event(tx, &told->events[i]);
    return 0;
}

int progress_write(struct progress_told *told, struct tx *tx)
{
    int r = add_events(told, tx);

    if (!r)
        r = sets_run(&told->rows, tx, STMT_progress_add, 5, NULL);
    if (!r)
        r = sets_run(&told->trims, tx, STMT_progress_trim, 2, NULL);
    return r ? fault(r) : 0;
}

static struct task_attempt *attempt_of(struct task_view *v, int64_t token)
{
    for (size_t i = 0; i < v->attempts_n; i++)
        if (v->attempts[i].token == token)
            return &v->attempts[i];
    return NULL;
}

/* Rows come by token, so those of an attempt stand together. */
static void fill(struct task_view *v, const struct rows *rows, struct progress *list)
{
    for (size_t i = 0; i < rows->n; i++) {
        struct task_attempt *t = attempt_of(v, row_int(rows, i, 0));

        list[i] = (struct progress){
            .at = row_int(rows, i, 1),
            .percent = (int)row_int(rows, i, 2),
            .message = row_text(rows, i, 3),
            .details = row_text(rows, i, 4),
        };
        if (!t)
            continue;
        if (t->progress_n++ == 0)
            t->progress = &list[i];
    }
}

int progress_read(struct tx *tx, struct task_view *v)
{
    const struct task_attempt *last = v->attempts_n ? &v->attempts[v->attempts_n - 1] : NULL;
    struct rows rows;
    int r;

    if (!last)
        return 0;
    r = STORE_DO(tx->store, STMT_progress_of_task, tx->arena, &rows, INT(v->id),
                 INT(last->running ? last->token : 0));
    if (r)
        return fault(r);
    fill(v, &rows, ARENA_ARRAY(tx->arena, struct progress, rows.n));
    return 0;
}
