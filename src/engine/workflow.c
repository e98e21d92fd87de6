/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/workflow.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/fault.h"
#include "core/lease.h"

/* Read a definition from its text; errors become the problem's details. */
static int parse(struct tx *tx, struct str source, struct str format, struct str fallback_name,
                 struct definition **ret)
{
    struct definition_errors errors = {0};
    struct doc_error error = {0};
    struct doc *doc = NULL;
    int r;

    if (source.n > DOC_BYTES_MAX)
        return tx_refuse(tx, CODE_TOO_LARGE, "the workflow has %zu bytes; %u are allowed", source.n,
                         DOC_BYTES_MAX);
    r = str_eq(format, STR("json")) ? doc_json(tx->arena, source, &doc, &error)
                                    : doc_yaml(tx->arena, source, &doc, &error);
    if (r == DOC_E_BAD) {
        errors.list = ARENA_NEW(tx->arena, struct doc_error);
        errors.list[0] = error;
        errors.n = errors.n_total = 1;
    } else {
        r = definition_read(tx->arena, doc, fallback_name, ret, &errors);
    }
    if (!r)
        return 0;
    tx_refuse(tx, CODE_WORKFLOW_INVALID, "line %u, column %u: %.*s", errors.list[0].line,
              errors.list[0].column, STR_ARG(errors.list[0].text));
    if (errors.n_total > 1)
        tx_refuse(tx, CODE_WORKFLOW_INVALID, "%.*s (and %zu more)", STR_ARG(tx->problem.text),
                  errors.n_total - 1);
    tx->problem.details = errors.list;
    tx->problem.details_n = errors.n;
    return ENGINE_E_REFUSED;
}

static void read_row(const struct rows *rows, size_t i, struct workflow_row *ret)
{
    *ret = (struct workflow_row){
        .name = row_text(rows, i, 0),
        .version = row_int(rows, i, 1),
        .kind = row_text(rows, i, 2),
        .tasks = row_int(rows, i, 3),
        .path = row_text(rows, i, 4),
        .format = row_text(rows, i, 5),
        .created_at = row_int(rows, i, 6),
    };
}

/* The stored version, without its definition; `ret_n` is 0 where there is none. */
static int find(struct tx *tx, struct str name, int64_t version, struct workflow_row *ret,
                size_t *ret_n)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_workflow_get, tx->arena, &rows, TEXT(name), INT(version));

    if (r)
        return fault(r);
    *ret_n = rows.n;
    if (rows.n) {
        read_row(&rows, 0, ret);
        ret->source = row_text(&rows, 0, 7);
    }
    return 0;
}

static int add(struct tx *tx, const struct workflow_put *req, struct workflow_row *row)
{
    char text[LEASE_DIGEST_BYTES];
    struct str digest = lease_digest(&req->source, 1, text);
    int r = STORE_DO(tx->store, STMT_workflow_add, tx->arena, NULL, TEXT(row->name),
                     INT(row->version), TEXT(digest), TEXT(row->kind), TEXT(row->source),
                     TEXT(row->format), TEXT(row->path), INT(row->tasks), INT(tx->now));

    /* Somebody else put a version at the same moment: run the transaction again over theirs. */
    if (r == STORE_E_DUPLICATE)
        return fault(-EAGAIN);
    return r ? fault(r) : 0;
}

int workflow_put(struct tx *tx, const struct workflow_put *req, struct workflow_row *reply)
{
    struct workflow_row old = {0};
    struct definition *d = NULL;
    size_t n = 0;
    int r = parse(tx, req->source, req->format, req->fallback_name, &d);

    if (r)
        return r;
    assert(d);
    r = find(tx, d->name, 0, &old, &n);
    if (r)
        return fault(r);
    if (n && str_eq(old.source, req->source) && str_eq(old.format, req->format)) {
        *reply = old;
        reply->definition = d;
        return 0;
    }
    *reply = (struct workflow_row){
        .name = d->name,
        .version = n ? old.version + 1 : 1,
        .kind = d->tasks_n == 1 ? STR("single") : STR("graph"),
        .tasks = (int64_t)d->tasks_n,
        .path = req->path,
        .format = req->format,
        .source = req->source,
        .created_at = tx->now,
        .created = true,
        .definition = d,
    };
    r = add(tx, req, reply);
    return r ? fault(r) : 0;
}

int workflow_get(struct tx *tx, const struct workflow_which *req, struct workflow_row *reply)
{
    size_t n = 0;
    int r = find(tx, req->name, req->version, reply, &n);

    if (r)
        return fault(r);
    if (n == 0 && req->version)
        return tx_refuse(tx, CODE_WORKFLOW_NOT_FOUND, "workflow \"%.*s\" has no version %" PRId64,
                         STR_ARG(req->name), req->version);
    if (n == 0)
        return tx_refuse(tx, CODE_WORKFLOW_NOT_FOUND, "workflow \"%.*s\" does not exist",
                         STR_ARG(req->name));
    return parse(tx, reply->source, reply->format, reply->name, &reply->definition);
}

int workflow_list(struct tx *tx, const struct workflow_list *req, struct workflow_rows *reply)
{
    struct rows rows;
    int r =
        STORE_DO(tx->store, STMT_workflow_list, tx->arena, &rows, TEXT(req->after), INT(req->max));

    if (r)
        return fault(r);
    reply->list = ARENA_ARRAY(tx->arena, struct workflow_row, rows.n);
    for (reply->n = 0; reply->n < rows.n; reply->n++)
        read_row(&rows, reply->n, &reply->list[reply->n]);
    return 0;
}
