/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/table.h"

#include <assert.h>
#include <string.h>

#include "serve/api_admin.h"
#include "serve/api_lease.h"
#include "serve/api_log.h"
#include "serve/api_log_watch.h"
#include "serve/api_plan.h"
#include "serve/api_pool.h"
#include "serve/api_queue.h"
#include "serve/api_run.h"
#include "serve/api_run_watch.h"
#include "serve/api_task.h"
#include "serve/api_worker.h"
#include "serve/api_workflow.h"

#define OTHER(path) .method.other_path = (path)
#define STREAM      .method.replies = METHOD_STREAM

/* name, rpc; request and reply; what it is; verb and path; what it does; help; and what few have */
#define ROW(name_, rpc_, request_, reply_, kind_, permission_, verb_, path_, action_, help_, ...)  \
    {                                                                                              \
        .method = {.name = (name_),                                                                \
                   .rpc = "weft.v1." rpc_,                                                         \
                   .request = &weft__v1__##request_##__descriptor,                                 \
                   .reply = &weft__v1__##reply_##__descriptor,                                     \
                   .kind = METHOD_##kind_,                                                         \
                   .permission = METHOD_##permission_,                                             \
                   .verb = METHOD_##verb_,                                                         \
                   .path = "/v1/" path_,                                                           \
                   .help = (help_)},                                                               \
        .action = &api_##action_, __VA_ARGS__                                                      \
    }

static const struct table_row rows[] = {
#include "api/method_rows.h"
};
#define ROWS_N (sizeof(rows) / sizeof(rows[0]))

const struct method *const *table_methods(size_t *ret_n)
{
    static const struct method *list[ROWS_N];

    for (size_t i = 0; i < ROWS_N; i++)
        list[i] = &rows[i].method;
    *ret_n = ROWS_N;
    return list;
}

const struct method *table_find(const char *name)
{
    for (size_t i = 0; i < ROWS_N; i++) {
        if (strcmp(rows[i].method.name, name) == 0)
            return &rows[i].method;
    }
    return NULL;
}

const struct table_row *table_row(const struct method *m)
{
    const struct table_row *row = (const struct table_row *)m;

    assert(row >= rows && row < rows + ROWS_N);
    return row;
}

size_t table_index(const struct method *m)
{
    return (size_t)(table_row(m) - rows);
}
