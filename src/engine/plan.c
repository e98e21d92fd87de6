/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan.h"

#include <errno.h>
#include <inttypes.h>

#include "base/broken.h"
#include "base/fault.h"
#include "engine/change.h"
#include "engine/plan_edit.h"

static bool bad_text(struct str s)
{
    return !str_utf8(s, NULL) || str_find(s, '\0', NULL);
}

static int check(struct tx *tx, const struct plan_create *req)
{
    if (req->request_id.n > PLAN_REQUEST_BYTES_MAX || req->name.n > CHECK_NAME_BYTES_MAX ||
        req->metadata.n > PLAN_METADATA_BYTES_MAX)
        return tx_refuse(tx, CODE_TOO_LARGE,
                         "a request id has at most %u bytes, a name %u, metadata %u",
                         PLAN_REQUEST_BYTES_MAX, CHECK_NAME_BYTES_MAX, PLAN_METADATA_BYTES_MAX);
    if (bad_text(req->request_id) || bad_text(req->name) || bad_text(req->metadata))
        return tx_refuse(tx, CODE_INVALID,
                         "the request id, name or metadata is not UTF-8 without NUL");
    return 0;
}

/* The run of an earlier request with this id; id 0: there is none. */
static int find_made(struct tx *tx, struct str request_id, struct str name, struct str metadata,
                     int64_t *ret_id)
{
    struct rows rows;
    int r;

    *ret_id = 0;
    if (request_id.n == 0)
        return 0;
    r = STORE_DO(tx->store, STMT_run_by_request, tx->arena, &rows, TEXT(request_id));
    if (r)
        return fault(r);
    if (rows.n == 0)
        return 0;
    *ret_id = row_int(&rows, 0, 0);
    if (!str_eq(row_text(&rows, 0, 1), name) || !str_eq(row_text(&rows, 0, 2), metadata))
        return tx_refuse(tx, CODE_REQUEST_CONFLICT,
                         "request \"%.*s\" made run %" PRId64 " with another name or metadata",
                         ROW_SHOWN(request_id), *ret_id);
    return 0;
}

int plan_create(struct tx *tx, const struct plan_create *req, struct run_row *reply)
{
    struct str name = req->name.n ? req->name : STR("plan");
    struct str metadata = req->metadata.n ? req->metadata : STR("{}");
    struct str request_id = req->request_id.n ? req->request_id : STR("");
    int64_t id;
    int r = check(tx, req);

    if (!r)
        r = run_draw_id(tx, reply); /* one after the other: the same request twice is seen */
    if (!r)
        r = find_made(tx, request_id, name, metadata, &id);
    if (r)
        return r;
    if (id)
        return run_read(tx, id, reply);
    id = reply->id;
    r = STORE_DO(tx->store, STMT_run_add_plan, tx->arena, NULL, INT(id), TEXT(name),
                 TEXT(run_state_text(RUN_RUNNING)), TEXT(metadata), TEXT(request_id), INT(tx->now));
    if (r == STORE_E_DUPLICATE)
        return fault(-EAGAIN);
    if (r)
        return fault(r);
    tx_event(tx, id, 0, STR(""), STR("run_RUNNING"), STR("{\"from\":\"\",\"reason\":\"\"}"));
    return run_read(tx, id, reply);
}

/* Groups that want what will never be written, and the first of its names. */
static int judge_missing(struct change *c, int64_t run)
{
    struct tx *tx = c->tx;
    struct sets sets = {0};
    struct rows wanted, groups;
    int r = STORE_DO(tx->store, STMT_wanted_of_run, tx->arena, &wanted, INT(run));

    for (size_t i = 0, j; !r && i < wanted.n; i = j) {
        for (j = i; j < wanted.n && row_int(&wanted, j, 1) == row_int(&wanted, i, 1); j++)
            ;
        SETS_ADD(&sets, tx->arena, INT(row_int(&wanted, i, 1)), INT(j - i));
    }
    if (!r)
        r = sets_run(&sets, tx, STMT_group_missing, 2, &groups);
    if (!r && wanted.n)
        r = STORE_PUT(tx->store, STMT_wanted_clear, INT(run));
    if (!r && groups.n)
        r = change_judge_missing(c, &groups, &wanted);
    return r ? fault(r) : 0;
}

/* Checks that are edited still are planned now. */
static int plan_all(struct change *c, int64_t run)
{
    struct tx *tx = c->tx;
    struct sets puts = {0}, planned = {0}, waits;
    struct rows groups;
    int64_t *met;
    int r = STORE_DO(tx->store, STMT_group_planning, tx->arena, &groups, INT(run));

    if (r)
        return fault(r);
    met = ARENA_ARRAY(tx->arena, int64_t, groups.n);
    for (size_t i = 0; i < groups.n; i++) {
        met[i] = row_int(&groups, i, 1);
        SETS_ADD(&puts, tx->arena, INT(row_int(&groups, i, 0)), INT(row_int(&groups, i, 4)),
                 TEXT(STR("MET")));
        SETS_ADD(&planned, tx->arena, INT(met[i]));
    }
    waits = planned;
    r = sets_run(&puts, tx, STMT_plan_group_put, 3, NULL);
    if (!r)
        r = plan_planned(tx, &planned);
    if (!r)
        r = change_met(c, met, groups.n);
    if (!r)
        r = change_skip_dead(c, &waits);
    if (!r)
        r = change_write_rows(c); /* what was skipped is not skipped again */
    return r ? fault(r) : 0;
}

/* Those that nobody is left to answer are concluded. */
static int look_at_all(struct change *c, int64_t run)
{
    struct rows rows;
    int r = STORE_DO(c->tx->store, STMT_check_open, c->tx->arena, &rows, INT(run));

    for (size_t i = 0; !r && i < rows.n; i++)
        change_look(c, row_int(&rows, i, 0));
    return r ? fault(r) : 0;
}

static int settle(struct tx *tx, int64_t id)
{
    struct run_row run = {0};
    int r = plan_lock(tx, id, &run);

    return r ? fault(r) : change_settle_run(tx, &run);
}

int plan_seal(struct tx *tx, const int64_t *id, struct run_row *reply)
{
    struct change c;
    int r = plan_lock(tx, *id, reply);

    if (r)
        return r;
    if (!reply->growing)
        return run_read(tx, *id, reply);
    r = STORE_PUT(tx->store, STMT_run_seal, INT(*id));
    if (r)
        return fault(r);
    tx_event(tx, *id, 0, STR(""), STR("run_sealed"), STR("{}"));
    change_init(&c, tx);
    r = plan_all(&c, *id);
    if (!r)
        r = BROKEN(MISSING) ? 0 : judge_missing(&c, *id);
    if (!r)
        r = look_at_all(&c, *id);
    if (!r)
        r = change_write(&c);
    if (!r)
        r = settle(tx, *id);
    if (r)
        return fault(r);
    return run_read(tx, *id, reply);
}
