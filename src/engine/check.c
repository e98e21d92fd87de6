/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/fault.h"
#include "engine/change.h"
#include "engine/lane.h"
#include "engine/sets.h"

/* A check that updates are asked about, and what was noted for it. */
struct check_known {
    struct task_row row;
    int64_t results; /* those that are noted included */
    bool final;      /* it takes no more */
    bool touched;
};

static int by_name(const void *a, const void *b)
{
    const struct check_known *x = a, *y = b;

    if (x->row.run != y->row.run)
        return x->row.run < y->row.run ? -1 : 1;
    return str_cmp(x->row.name, y->row.name);
}

static int by_wanted(const void *a, const void *b)
{
    const struct check_wanted *x = a, *y = b;

    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return str_cmp(x->name, y->name);
}

int check_find(struct tx *tx, const struct check_wanted *wanted, size_t n, struct check_names *ret)
{
    struct check_wanted *order = ARENA_ARRAY(tx->arena, struct check_wanted, n);
    struct sets sets = {0};
    struct rows rows;
    int r;

    *ret = (struct check_names){0};
    if (n == 0)
        return 0;
    memcpy(order, wanted, n * sizeof(*order));
    qsort(order, n, sizeof(*order), by_wanted);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || by_wanted(&order[i], &order[i - 1]))
            SETS_ADD(&sets, tx->arena, INT(order[i].run), TEXT(order[i].name), TEXT(STR("")));
    r = sets_run(&sets, tx, STMT_plan_named, 3, &rows);
    if (r)
        return fault(r);
    ret->list = ARENA_ARRAY(tx->arena, struct check_known, rows.n);
    for (size_t i = 0; !r && i < rows.n; i++) {
        struct check_known *k = &ret->list[ret->n];

        r = row_task(tx, &rows, i, &k->row);
        k->results = row_int(&rows, i, ROW_TASK_COLUMNS + 3);
        k->final = row_int(&rows, i, ROW_TASK_COLUMNS + 5) || task_final(k->row.task.state);
        ret->n += k->row.gate == GATE_CHECK;
    }
    if (ret->n)
        qsort(ret->list, ret->n, sizeof(*ret->list), by_name);
    return r ? fault(r) : 0;
}

static struct check_known *known(const struct check_names *names, int64_t run, struct str name)
{
    const struct check_known key = {
        .row = {.run = run, .name = name}
    };

    return names->n ? bsearch(&key, names->list, names->n, sizeof(key), by_name) : NULL;
}

static bool bad_text(struct str s)
{
    return !str_utf8(s, NULL) || str_find(s, '\0', NULL);
}

static int check_texts(struct tx *tx, const struct check_update *u)
{
    if (u->data.n > CHECK_DATA_BYTES_MAX || u->message.n > CHECK_TEXT_BYTES_MAX ||
        u->code.n > CHECK_CODE_BYTES_MAX)
        return tx_refuse(tx, CODE_TOO_LARGE,
                         "a result has at most %u bytes of data, and its failure a code of %u and "
                         "a message of %u",
                         CHECK_DATA_BYTES_MAX, CHECK_CODE_BYTES_MAX, CHECK_TEXT_BYTES_MAX);
    if (bad_text(u->data) || bad_text(u->message) || bad_text(u->code))
        return tx_refuse(tx, CODE_INVALID, "a result of check \"%.*s\" is not UTF-8 without NUL",
                         ROW_SHOWN(u->check));
    return 0;
}

int check_ask(struct tx *tx, struct check_names *names, int64_t run,
              const struct check_update *updates, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct check_update *u = &updates[i];
        const struct check_known *k = known(names, run, u->check);
        int64_t before = 0;
        bool final = k && k->final;
        int r = check_texts(tx, u);

        if (r)
            return r;
        for (size_t j = 0; j < i; j++) {
            before += str_eq(updates[j].check, u->check);
            final |= updates[j].finalize && str_eq(updates[j].check, u->check);
        }
        if (!k)
            return tx_refuse(tx, CODE_TASK_NOT_FOUND, "run %" PRId64 " has no check \"%.*s\"", run,
                             ROW_SHOWN(u->check));
        if (final && !BROKEN(REOPENED))
            return tx_refuse(tx, CODE_CHECK_FINAL, "check \"%.*s\" is %s and takes no more results",
                             STR_ARG(u->check),
                             task_final(k->row.task.state) ? task_state_text(k->row.task.state).p
                                                           : "finalized");
        if (k->results + before >= CHECK_RESULTS_MAX)
            return tx_refuse(tx, CODE_TOO_LARGE, "check \"%.*s\" has %d results, no more fit",
                             STR_ARG(u->check), CHECK_RESULTS_MAX);
    }
    return 0;
}

static void note(struct change *c, struct check_names *names, const struct check_teller *teller,
                 const struct check_update *u, struct check_known *k)
{
    struct arena *a = c->tx->arena;
    struct str data = u->data.n ? u->data : STR("null");

    k->results++;
    k->final |= u->finalize;
    k->touched = true;
    SETS_ADD(&names->results, a, INT(0), INT(teller->run), INT(k->row.id), TEXT(teller->owner),
             INT(teller->token), TEXT(data), TEXT(u->failed ? u->code : STR("")),
             TEXT(!u->failed                  ? STR("")
                  : u->message.n || u->code.n ? u->message
                                              : STR("failed")),
             INT(c->tx->now), INT(u->finalize));
    SETS_ADD(&names->told, a, INT(k->row.id), INT(1), INT(u->failed), INT(u->finalize));
    tx_event(c->tx, teller->run, k->row.id, str_copy(a, k->row.name), STR("check_result"),
             str_printf(a, "{\"token\":\"%" PRId64 "\",\"failed\":%s,\"final\":%s}", teller->token,
                        u->failed ? "true" : "false", u->finalize ? "true" : "false"));
}

void check_note(struct change *c, struct check_names *names, const struct check_teller *teller,
                const struct check_update *updates, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct check_known *k = known(names, teller->run, updates[i].check);

        assert(k);
        note(c, names, teller, &updates[i], k);
    }
}

int check_write(struct change *c, struct check_names *names)
{
    struct arena *a = c->tx->arena;
    size_t n = names->results.n / 10;
    int64_t *ids = ARENA_ARRAY(a, int64_t, n);
    struct sets touched = {0};
    int r;

    if (n == 0)
        return 0;
    r = store_ids(c->tx->store, n, ids);
    for (size_t i = 0; i < n; i++)
        names->results.cells[10 * i].i = ids[i];
    if (!r)
        r = sets_run(&names->results, c->tx, STMT_check_result_add, 10, NULL);
    /* One set a check: where an update joins rows, a second one would be lost. */
    for (size_t i = 0; !r && i < n; i++) {
        struct cell *cells = names->told.cells + 4 * i;

        r = STORE_PUT(c->tx->store, STMT_check_tell, cells[0], cells[1], cells[2], cells[3]);
    }
    names->told.n = 0;
    for (size_t i = 0; i < names->n; i++)
        if (names->list[i].touched) {
            SETS_ADD(&touched, a, INT(names->list[i].row.id));
            change_look(c, names->list[i].row.id);
            names->list[i].touched = false;
        }
    if (!r)
        r = sets_run(&touched, c->tx, STMT_task_touch, 1, NULL);
    return r ? fault(r) : 0;
}

/* How a check comes out by its results, once nothing more will come. */
struct facts {
    int64_t results, failed, stages, ended, succeeded;
    bool final, growing;
};

static bool concluded(const struct facts *f)
{
    if (f->final)
        return true;
    if (f->ended < f->stages)
        return BROKEN(HASTY) && f->succeeded;
    return !f->growing || (f->stages > 0 && (f->succeeded == f->stages || BROKEN(CONTENT)));
}

static int conclude_one(struct change *c, const struct facts *f, int64_t id)
{
    struct task_row row;
    struct rows rows;
    int r = STORE_DO(c->tx->store, STMT_task_lock, c->tx->arena, &rows, INT(id));

    if (!r)
        r = row_task(c->tx, &rows, 0, &row);
    if (r)
        return fault(r);
    if (f->failed)
        change_conclude(c, &row, OUTCOME_FAILED, TASK_REASON_CHECK_FAILED);
    else if (f->results)
        change_conclude(c, &row, OUTCOME_SUCCEEDED, TASK_REASON_NONE);
    else
        change_conclude(c, &row, OUTCOME_FAILED, TASK_REASON_NO_RESULT);
    return 0;
}

int check_conclude(struct change *c)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    if (c->checks_n)
        qsort(c->checks, c->checks_n, sizeof(*c->checks), sets_by_number);
    for (size_t i = 0; i < c->checks_n; i++)
        if (i == 0 || c->checks[i] != c->checks[i - 1])
            SETS_ADD(&sets, c->tx->arena, INT(c->checks[i]));
    c->checks = NULL;
    c->checks_n = c->checks_cap = 0;
    r = sets_run(&sets, c->tx, STMT_check_facts, 1, &rows);
    for (size_t i = 0; !r && i < rows.n; i++) {
        const struct facts f = {
            .results = row_int(&rows, i, 1),
            .failed = row_int(&rows, i, 2),
            .final = row_int(&rows, i, 3),
            .growing = row_int(&rows, i, 4),
            .stages = row_int(&rows, i, 5),
            .ended = row_int(&rows, i, 6),
            .succeeded = row_int(&rows, i, 7),
        };

        if (concluded(&f))
            r = conclude_one(c, &f, row_int(&rows, i, 0));
    }
    return r ? fault(r) : 0;
}
