/* SPDX-License-Identifier: Apache-2.0 */
/* Where a stage went and why, and why nobody has it now. */
#include <inttypes.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "engine/grant.h"
#include "engine/grant_runner.h"

static int64_t number(const struct doc *map, struct str key)
{
    const struct doc *v = doc_get(map, key);

    return v && v->kind == DOC_INT ? v->integer : 0;
}

static struct str text(const struct doc *map, struct str key)
{
    const struct doc *v = doc_get(map, key);

    return v && v->kind == DOC_TEXT ? v->text : STR("");
}

static int read_candidates(struct tx *tx, struct str json, struct grant_trace *ret)
{
    struct doc_error error;
    struct doc *d;

    if (doc_json(tx->arena, json, &d, &error) || d->kind != DOC_LIST)
        return tx_damaged(tx, "the trace of lease %" PRId64 " is no JSON list", ret->token);
    ret->list = ARENA_ARRAY(tx->arena, struct grant_candidate, d->n);
    for (const struct doc *v = d->first; v; v = v->next) {
        struct grant_candidate *c = &ret->list[ret->n++];

        *c = (struct grant_candidate){0};
        if (v->kind != DOC_MAP || !placement_verdict_parse(text(v, STR("verdict")), &c->verdict))
            return tx_damaged(tx, "the trace of lease %" PRId64 " has a verdict that there is not",
                              ret->token);
        c->runner = text(v, STR("runner"));
        c->load = number(v, STR("load"));
        c->slots = number(v, STR("slots"));
        c->more = number(v, STR("more"));
    }
    return 0;
}

static int read_trace(struct tx *tx, const struct rows *rows, size_t i, struct grant_trace *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;

    *ret = (struct grant_trace){.token = c[0].i,
                                .worker = c[1].i,
                                .runner = c[2].s,
                                .at = c[3].i,
                                .ended = c[5].kind != CELL_NULL};
    if (ret->ended) {
        if (!retry_outcome_parse(c[5].s, &ret->outcome))
            return tx_damaged(tx, "the attempt of lease %" PRId64 " ended as \"%.*s\"", ret->token,
                              ROW_SHOWN(c[5].s));
        ret->reason = c[6].s;
        ret->message = c[7].s;
        ret->ended_at = c[8].i;
    }
    return read_candidates(tx, c[4].s, ret);
}

static int read_traces(struct tx *tx, int64_t task, struct grant_why *reply)
{
    struct rows rows;
    int r =
        STORE_DO(tx->store, STMT_grant_traces, tx->arena, &rows, INT(task), INT(GRANT_TRACES_MAX));

    if (r)
        return fault(r);
    reply->traces = ARENA_ARRAY(tx->arena, struct grant_trace, rows.n);
    for (size_t i = 0; !r && i < rows.n; i++)
        r = read_trace(tx, &rows, i, &reply->traces[reply->traces_n++]);
    return r ? fault(r) : 0;
}

/* Those of the type by id, as far as there is room, and then how many more there are by verdict. */
static void list_now(struct tx *tx, const struct grant_runners *runners,
                     const enum placement_verdict *verdicts, struct grant_why *reply)
{
    int64_t more[PLACEMENT_VERDICT_N] = {0};

    reply->now = ARENA_ARRAY(tx->arena, struct grant_candidate,
                             GRANT_CANDIDATES_MAX + (size_t)PLACEMENT_VERDICT_N);
    for (size_t i = 0; i < runners->n; i++) {
        if (reply->now_n == GRANT_CANDIDATES_MAX) {
            more[verdicts[i]]++;
            continue;
        }
        reply->now[reply->now_n++] = (struct grant_candidate){
            .runner = runners->info[i].name,
            .load = runners->place[i].load,
            .slots = runners->place[i].slots,
            .verdict = verdicts[i],
        };
    }
    for (int v = 0; v < PLACEMENT_VERDICT_N; v++)
        if (more[v])
            reply->now[reply->now_n++] =
                (struct grant_candidate){.more = more[v], .verdict = (enum placement_verdict)v};
}

static struct str say(struct tx *tx, const struct grant_why *w, const struct grant_runners *runners,
                      const enum placement_verdict *verdicts, size_t chosen)
{
    static const char *const texts[] = {
        [PLACEMENT_MODE_UNSUPPORTED] = "do not take stages of this mode",
        [PLACEMENT_LABEL_MISSING] = "lack a label that it demands",
        [PLACEMENT_DRAINING] = "are draining",
        [PLACEMENT_SUSPECT] = "are late with their heartbeat",
        [PLACEMENT_BREAKER_OPEN] = "are left alone for a while, since calls to them failed",
        [PLACEMENT_FULL] = "have all of their slots taken",
    };
    int64_t counts[PLACEMENT_VERDICT_N] = {0};
    struct str ret, type = w->demand.type;
    struct buf b;

    buf_init(&b, 4000);
    if (runners->n == 0)
        buf_printf(&b, "no runner of type \"%.*s\" is registered", STR_ARG(type));
    else if (chosen != PLACEMENT_NOBODY)
        buf_printf(&b, "runner \"%.*s\" is about to get it", STR_ARG(runners->info[chosen].name));
    else
        buf_printf(&b, "none of the %zu runners of type \"%.*s\" can take it:", runners->n,
                   STR_ARG(type));
    for (size_t i = 0; i < runners->n && chosen == PLACEMENT_NOBODY; i++)
        counts[verdicts[i]]++;
    for (size_t v = 0, said = 0; v < sizeof(texts) / sizeof(*texts); v++)
        if (texts[v] && counts[v])
            buf_printf(&b, "%s %" PRId64 " %s", said++ ? "," : "", counts[v], texts[v]);
    ret = str_copy(tx->arena, buf_str(&b));
    buf_deinit(&b);
    return ret;
}

static int look_now(struct tx *tx, const struct grant_which *req, bool ready,
                    struct grant_why *reply)
{
    struct grant_runners runners = {0};
    enum placement_verdict *verdicts;
    size_t chosen;
    int r =
        grant_runners_read(tx, &reply->demand.type, 1, req->excluded, req->excluded_n, &runners);

    if (r)
        return fault(r);
    verdicts = ARENA_ARRAY(tx->arena, enum placement_verdict, runners.n);
    chosen = placement_choose(&reply->demand, runners.place, runners.n, verdicts);
    list_now(tx, &runners, verdicts, reply);
    if (ready)
        reply->sentence = say(tx, reply, &runners, verdicts, chosen);
    return 0;
}

int grant_why(struct tx *tx, const struct grant_which *req, struct grant_why *reply)
{
    struct task_row row;
    struct rows rows;
    int r;

    *reply = (struct grant_why){0};
    if (req->excluded_n > GRANT_EXCLUDED_MAX)
        return tx_refuse(tx, CODE_INVALID, "at most %u runners are left out, not %zu",
                         GRANT_EXCLUDED_MAX, req->excluded_n);
    r = STORE_DO(tx->store, STMT_grant_task, tx->arena, &rows, INT(req->task));
    if (!r && rows.n)
        r = row_task(tx, &rows, 0, &row);
    if (r)
        return fault(r);
    if (rows.n == 0 || row.gate != GRANT_GATE ||
        !placement_demand_parse(tx->arena, row.key, &reply->demand))
        return tx_refuse(tx, CODE_TASK_NOT_FOUND,
                         "task %" PRId64 " is no stage that runners are called for", req->task);
    r = read_traces(tx, req->task, reply);
    if (!r && (row.task.state == TASK_READY || row.task.state == TASK_DELAYED))
        r = look_now(tx, req, row.task.state == TASK_READY, reply);
    return r ? fault(r) : 0;
}
