/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/event.h"

#include "base/fault.h"

int event_list(struct tx *tx, const struct event_list *req, struct event_rows *reply)
{
    struct rows rows;
    int r;

    if (req->max < 1 || req->max > EVENT_LIST_MAX)
        return tx_refuse(tx, CODE_INVALID, "a request lists 1 to %d events", EVENT_LIST_MAX);
    r = STORE_DO(tx->store, STMT_event_list, tx->arena, &rows, INT(req->run), INT(req->after),
                 INT(req->max));
    if (r)
        return fault(r);
    reply->list = ARENA_ARRAY(tx->arena, struct event, rows.n);
    for (reply->n = 0; reply->n < rows.n; reply->n++) {
        size_t i = reply->n;

        reply->list[i] = (struct event){
            .seq = row_int(&rows, i, 0),
            .at = row_int(&rows, i, 1),
            .run = row_int(&rows, i, 2),
            .task = row_int(&rows, i, 3),
            .name = row_text(&rows, i, 4),
            .kind = row_text(&rows, i, 5),
            .data = row_text(&rows, i, 6),
        };
    }
    return 0;
}

int event_newest(struct tx *tx, const int64_t *run, int64_t *reply)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_event_newest, tx->arena, &rows, INT(*run));

    if (r)
        return fault(r);
    *reply = row_int(&rows, 0, 0);
    return 0;
}
