/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/progress.h"

#include "base/fault.h"

void progress_tell(struct progress_told *told, struct tx *tx, int64_t token,
                   const struct progress *p)
{
    SETS_ADD(&told->rows, tx->arena, INT(token), INT(p->at), INT(p->percent), TEXT(p->message),
             TEXT(p->details));
    SETS_ADD(&told->trims, tx->arena, INT(token), INT(PROGRESS_KEPT - 1));
}

int progress_write(struct progress_told *told, struct tx *tx)
{
    int r = sets_run(&told->rows, tx, STMT_progress_add, 5, NULL);

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
