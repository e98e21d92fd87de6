/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/queue.h"

#include <inttypes.h>

#include "base/fault.h"

static int check_name(struct tx *tx, struct str name)
{
    if (name.n < 1 || name.n > QUEUE_NAME_BYTES_MAX || !str_utf8(name, NULL) ||
        str_find(name, '\0', NULL))
        return tx_refuse(tx, CODE_INVALID, "a queue's name has 1 to %u bytes of UTF-8 without NUL",
                         QUEUE_NAME_BYTES_MAX);
    return 0;
}

int queue_put(struct tx *tx, const struct queue_put *req, struct queue_status *reply)
{
    int64_t max = req->tasks_max ? req->tasks_max : QUEUE_TASKS_DEFAULT;
    int r = check_name(tx, req->name);

    if (r)
        return r;
    if (max < 1 || max > QUEUE_TASKS_MAX)
        return tx_refuse(tx, CODE_INVALID, "tasks_max lies between 1 and %lld", QUEUE_TASKS_MAX);
    r = STORE_DO(tx->store, STMT_queue_put, tx->arena, NULL, TEXT(req->name), INT(req->paused),
                 INT(max), INT(tx->now));
    if (r)
        return fault(r);
    return queue_get(tx, &req->name, reply);
}

int queue_settings(struct tx *tx, const struct str *name, struct queue_status *reply)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_queue_get, tx->arena, &rows, TEXT(*name));

    *reply = (struct queue_status){0};
    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_QUEUE_NOT_FOUND, "queue \"%.*s\" does not exist", STR_ARG(*name));
    reply->name = row_text(&rows, 0, 0);
    reply->paused = row_int(&rows, 0, 1);
    reply->tasks_max = row_int(&rows, 0, 2);
    return 0;
}

int queue_get(struct tx *tx, const struct str *name, struct queue_status *reply)
{
    struct rows rows;
    int r = queue_settings(tx, name, reply);

    if (r)
        return r;
    r = STORE_DO(tx->store, STMT_tally_of, tx->arena, &rows, INT(0), TEXT(*name));
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++) {
        enum task_state s;

        if (task_state_parse(row_text(&rows, i, 2), &s))
            reply->counts[s] = row_int(&rows, i, 3);
    }
    tx_counted(tx, 0, *name, reply->counts);
    return 0;
}
