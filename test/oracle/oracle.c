/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "oracle_rows.h"

struct oracle *oracle_new(void)
{
    return memory_new(sizeof(struct oracle));
}

static void clear(struct o_state *s)
{
#define O_CLEAR(name) free(s->name);
    O_TABLES(O_CLEAR)
    O_CLEAR(event)
#undef O_CLEAR
    *s = (struct o_state){0};
}

static void copy(struct o_state *to, const struct o_state *from)
{
    clear(to);
    *to = *from;
#define O_COPY(name)                                                                               \
    to->name = memory_grow(NULL, (from->name##_cap + 1) * sizeof(*from->name));                    \
    if (from->name##_n)                                                                            \
        memcpy(to->name, from->name, from->name##_n * sizeof(*from->name));
    O_TABLES(O_COPY)
    O_COPY(event)
#undef O_COPY
}

struct oracle *oracle_free(struct oracle *o)
{
    if (!o)
        return NULL;
    clear(&o->s);
    clear(&o->begun);
    clear(&o->marked);
    arena_deinit(&o->arena);
    free(o);
    return NULL;
}

void oracle_begin(struct oracle *o, int64_t now, uint64_t seed)
{
    o->now = now;
    prng_seed(&o->prng, seed);
    copy(&o->begun, &o->s);
}

void oracle_commit(struct oracle *o)
{
    (void)o; /* what was done is done */
}

void oracle_rollback(struct oracle *o)
{
    copy(&o->s, &o->begun);
}

void oracle_mark(struct oracle *o)
{
    copy(&o->marked, &o->s);
}

void oracle_undo(struct oracle *o)
{
    copy(&o->s, &o->marked);
}

enum code oracle_code(const struct oracle *o)
{
    return o->code;
}

int oracle_refuse(struct oracle *o, enum code code)
{
    o->code = code;
    return ENGINE_E_REFUSED;
}

#define ROOM(s, name)                                                                              \
    do {                                                                                           \
        if ((s)->name##_n == (s)->name##_cap) {                                                    \
            (s)->name##_cap = (s)->name##_cap ? 2 * (s)->name##_cap : 16;                          \
            (s)->name = memory_grow((s)->name, ((s)->name##_cap + 1) * sizeof(*(s)->name));        \
        }                                                                                          \
        memset(&(s)->name[(s)->name##_n], 0, sizeof(*(s)->name));                                  \
    } while (0)

void *oracle_room(struct oracle *o, const char *table)
{
    struct o_state *s = &o->s;

#define O_ROOM(name)                                                                               \
    if (strcmp(table, #name) == 0) {                                                               \
        ROOM(s, name);                                                                             \
        return &s->name[s->name##_n++];                                                            \
    }
    O_TABLES(O_ROOM)
#undef O_ROOM
    abort();
}

int64_t oracle_id(struct oracle *o)
{
    return ++o->s.last_id;
}

void oracle_event(struct oracle *o, int64_t run, const struct o_task *t, struct str kind,
                  struct str data)
{
    struct o_state *s = &o->s;

    ROOM(s, event);
    s->event[s->event_n] = (struct event){
        .seq = (int64_t)s->event_n + 1,
        .at = o->now,
        .run = run,
        .task = t ? t->id : 0,
        .name = t ? t->name : STR(""),
        .kind = kind,
        .data = data,
    };
    s->event_n++;
}

void oracle_add_id(struct oracle *o, struct o_ids *ids, int64_t id)
{
    if (ids->n == ids->cap) {
        size_t cap = ids->cap ? 2 * ids->cap : 16;

        ids->list = arena_grow(&o->arena, ids->list, ids->cap * sizeof(id), cap * sizeof(id));
        ids->cap = cap;
    }
    ids->list[ids->n++] = id;
}

struct o_worker *oracle_worker(const struct oracle *o, int64_t id)
{
    for (size_t i = 0; i < o->s.worker_n; i++)
        if (o->s.worker[i].row.incarnation == id)
            return &o->s.worker[i];
    return NULL;
}

struct o_run *oracle_run(const struct oracle *o, int64_t id)
{
    for (size_t i = 0; i < o->s.run_n; i++)
        if (o->s.run[i].id == id)
            return &o->s.run[i];
    return NULL;
}

struct o_queue *oracle_queue(const struct oracle *o, struct str name)
{
    for (size_t i = 0; i < o->s.queue_n; i++)
        if (str_eq(o->s.queue[i].name, name))
            return &o->s.queue[i];
    return NULL;
}

struct o_task *oracle_task(const struct oracle *o, int64_t id)
{
    for (size_t i = 0; i < o->s.task_n; i++)
        if (o->s.task[i].id == id && !o->s.task[i].gone)
            return &o->s.task[i];
    return NULL;
}

bool oracle_is_final(enum task_state s)
{
    return s == TASK_SUCCEEDED || s == TASK_FAILED || s == TASK_CANCELLED || s == TASK_SKIPPED;
}

int64_t oracle_count(const struct oracle *o, int64_t run, struct str queue, enum task_state state)
{
    int64_t n = 0;

    for (size_t i = 0; i < o->s.task_n; i++) {
        const struct o_task *t = &o->s.task[i];

        n += t->run == run && str_eq(t->queue, queue) && t->state == state;
    }
    return n;
}

int64_t oracle_open(const struct oracle *o, int64_t run, struct str queue)
{
    int64_t n = 0;

    for (int s = 0; s < TASK_STATE_N; s++)
        n += oracle_is_final((enum task_state)s) ? 0
                                                 : oracle_count(o, run, queue, (enum task_state)s);
    return n;
}

int64_t oracle_held(const struct oracle *o, int64_t run, int64_t worker)
{
    int64_t n = 0;

    for (size_t i = 0; i < o->s.task_n; i++) {
        const struct o_task *t = &o->s.task[i];

        n += t->state == TASK_RUNNING && (run ? t->run == run : t->worker == worker);
    }
    return n;
}

struct group oracle_group_now(const struct oracle *o, const struct o_group *g)
{
    struct group now = {.rule = g->rule, .need = g->need, .total = (int64_t)g->from_n};

    for (size_t i = 0; i < g->from_n; i++) {
        const struct o_task *t = oracle_task(o, g->from[i]);

        now.done += oracle_is_final(t->state);
        now.succeeded += t->state == TASK_SUCCEEDED;
    }
    return now;
}

/* The trigger rules, as a person would say them. */
static enum group_verdict judge(const struct group *g)
{
    int64_t failed = g->done - g->succeeded, open = g->total - g->done;

    switch (g->rule) {
    case GROUP_ALL_SUCCESS:
        return failed > 0 ? GROUP_IMPOSSIBLE : open > 0 ? GROUP_WAITING : GROUP_MET;
    case GROUP_ALL_DONE:
        return open > 0 ? GROUP_WAITING : GROUP_MET;
    case GROUP_ONE_SUCCESS:
        return g->succeeded > 0 ? GROUP_MET : open > 0 ? GROUP_WAITING : GROUP_IMPOSSIBLE;
    case GROUP_ONE_DONE:
        return g->done > 0 ? GROUP_MET : GROUP_WAITING;
    case GROUP_AT_LEAST:
        return g->succeeded >= g->need         ? GROUP_MET
               : g->succeeded + open < g->need ? GROUP_IMPOSSIBLE
                                               : GROUP_WAITING;
    case GROUP_RULE_N:
        break;
    }
    abort();
}

/* `more` goes into the event, from its comma on. */
static void put(struct oracle *o, struct o_task *t, enum task_state to, struct str reason,
                struct str detail, struct str more, struct o_ids *ends)
{
    enum task_state from = t->state;

    t->state = to;
    t->reason = reason;
    t->detail = detail;
    t->token = t->worker = 0;
    t->cancel = false;
    if (to == TASK_READY)
        t->ready_at = o->now;
    t->ended_at = oracle_is_final(to) ? o->now : 0;
    if (t->run == 0) {
        t->gone = to == TASK_SUCCEEDED || to == TASK_CANCELLED;
        return;
    }
    if (to == TASK_DELAYED)
        more = str_printf(&o->arena, STR_FMT ",\"due_at\":%" PRId64, STR_ARG(more), t->due_at);
    oracle_event(o, t->run, t, str_printf(&o->arena, "task_" STR_FMT, STR_ARG(task_state_text(to))),
                 str_printf(&o->arena, "{\"from\":\"%s\",\"reason\":\"" STR_FMT "\"" STR_FMT "}",
                            task_state_text(from).p, STR_ARG(reason), STR_ARG(more)));
    if (ends && oracle_is_final(to))
        oracle_add_id(o, ends, t->id);
}

void oracle_put(struct oracle *o, struct o_task *t, enum task_state to, struct str reason,
                struct str detail, struct o_ids *ends)
{
    /* The end of a backoff is no start time. */
    if (t->state == TASK_DELAYED && str_eq(t->reason, STR("waiting_for_backoff")))
        t->due_at = 0;
    put(o, t, to, reason, detail, STR(""), ends);
}

void oracle_met(struct oracle *o, struct o_task *t)
{
    if (t->due_at > o->now)
        oracle_put(o, t, TASK_DELAYED, STR("waiting_for_start_time"), STR(""), NULL);
    else
        oracle_put(o, t, TASK_READY, STR("waiting_for_worker"), STR(""), NULL);
}

/* Whether there is another attempt after this end, and how long it waits. */
static bool tries_again(struct oracle *o, const struct o_task *t, const struct task_result *res,
                        int64_t *ret_wait_us)
{
    struct retry_policy p = t->retry_said ? t->retry : retry_default();
    int64_t used = t->attempts - t->budget_from;
    double wait;
    bool listed = p.exit_codes_n == 0 || res->outcome != OUTCOME_FAILED;

    for (unsigned i = 0; i < p.exit_codes_n; i++)
        listed |= p.exit_codes[i] == res->exit_code;
    if (used >= p.max_attempts || !listed || !(p.outcomes >> res->outcome & 1))
        return false;
    wait = (double)p.base_us * pow(p.factor, (double)(used - 1));
    *ret_wait_us = wait < (double)p.cap_us ? (int64_t)wait : p.cap_us;
    if (p.base_us == 0 || p.cap_us == 0)
        *ret_wait_us = 0;
    else if (p.jitter > 0)
        *ret_wait_us -= (int64_t)((double)*ret_wait_us * p.jitter * prng_unit(&o->prng));
    return true;
}

static struct str failure(const struct task_result *res)
{
    enum task_reason r = res->reason;

    if ((r >= TASK_REASON_COMMAND_FAILED && r <= TASK_REASON_LOST) || r == TASK_REASON_WORKER_ERROR)
        return task_reason_text(r);
    return res->outcome == OUTCOME_TIMED_OUT ? STR("timed_out")
           : res->outcome == OUTCOME_LOST    ? STR("worker_lost")
                                             : STR("worker_reported_error");
}

/* Its holder knows best when it began and ended; it cannot have ended later than now. */
static void note_attempt(struct oracle *o, const struct o_task *t, const struct task_result *res,
                         bool told)
{
    struct o_attempt *a = O_ADD(o, attempt);

    *a = (struct o_attempt){
        .token = t->token,
        .task = t->id,
        .run = t->run,
        .queue = t->queue,
        .number = t->attempts,
        .worker = t->worker,
        .leased_at = t->leased_at,
        .started_at = t->leased_at + res->start_wait_us,
        .queue_wait_us = t->leased_at > t->ready_at ? t->leased_at - t->ready_at : 0,
        .result = *res,
        .told = told,
    };
    a->queue_wait_us += res->start_wait_us;
    a->ended_at = a->started_at + res->run_us;
    if (res->run_us == 0 || a->ended_at > o->now)
        a->ended_at = o->now > a->started_at ? o->now : a->started_at;
}

void oracle_end(struct oracle *o, struct o_task *t, const struct task_result *res, bool told,
                struct o_ids *ends)
{
    struct str cancelled = STR("cancelled"), more;
    int64_t wait_us = 0;
    bool fails = res->outcome == OUTCOME_FAILED || res->outcome == OUTCOME_TIMED_OUT ||
                 res->outcome == OUTCOME_LOST;

    more = str_printf(&o->arena,
                      ",\"attempt\":%" PRId64 ",\"token\":\"%" PRId64 "\",\"outcome\":\"%s\"",
                      t->attempts, t->token, retry_outcome_text(res->outcome).p);
    if (res->exit_code >= 0)
        more = str_printf(&o->arena, STR_FMT ",\"exit_code\":%d", STR_ARG(more), res->exit_code);
    if (res->signal)
        more = str_printf(&o->arena, STR_FMT ",\"signal\":%d", STR_ARG(more), res->signal);
    if (res->run_us)
        more = str_printf(&o->arena, STR_FMT ",\"run_s\":%.6f", STR_ARG(more),
                          (double)res->run_us / 1e6);
    note_attempt(o, t, res, told);
    t->last_token = t->token;
    if (res->outcome == OUTCOME_SUCCEEDED)
        put(o, t, TASK_SUCCEEDED, STR(""), res->message, more, ends);
    else if (t->cancel || res->outcome == OUTCOME_CANCELLED)
        put(o, t, TASK_CANCELLED, cancelled, res->message, more, ends);
    else if (res->outcome == OUTCOME_REJECTED) {
        t->budget_from++;
        put(o, t, TASK_READY, STR("waiting_for_worker"), res->message, more, ends);
    } else if (fails && tries_again(o, t, res, &wait_us) && wait_us == 0)
        put(o, t, TASK_READY, STR("retrying"), res->message, more, ends);
    else if (wait_us > 0) {
        t->due_at = o->now + wait_us;
        put(o, t, TASK_DELAYED, STR("waiting_for_backoff"), res->message, more, ends);
    } else
        put(o, t, TASK_FAILED, failure(res), res->message, more, ends);
}

static int by_number(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static bool holds(const struct o_ids *ids, int64_t id)
{
    for (size_t i = 0; i < ids->n; i++)
        if (ids->list[i] == id)
            return true;
    return false;
}

/* The ended task of the highest id that the group waits for; 0: none. */
static int64_t newest_end(const struct o_group *g, const struct o_ids *ends)
{
    int64_t newest = 0;

    for (size_t i = 0; i < g->from_n; i++)
        if (g->from[i] > newest && holds(ends, g->from[i]))
            newest = g->from[i];
    return newest;
}

/* Judge the groups that wait for what ended (or all groups of tasks that wait in the run). */
void oracle_judge(struct oracle *o, const struct o_ids *ends, int64_t run, struct o_ids *next)
{
    struct o_ids met = {0}, dead = {0}, dead_from = {0};
    struct o_state *s = &o->s;

    for (size_t i = 0; i < s->group_n; i++) {
        struct o_group *g = &s->group[i];
        int64_t from = ends ? newest_end(g, ends) : 0;
        struct group now;

        if (g->verdict != GROUP_WAITING || (ends ? from == 0 : g->run != run))
            continue;
        now = oracle_group_now(o, g);
        g->verdict = judge(&now);
        if (g->verdict == GROUP_MET)
            oracle_add_id(o, &met, g->task);
        if (g->verdict == GROUP_IMPOSSIBLE && !holds(&dead, g->task)) {
            oracle_add_id(o, &dead, g->task);
            oracle_add_id(o, &dead_from, from);
        }
    }
    for (size_t i = 0; i < s->task_n; i++) {
        struct o_task *t = &s->task[i];
        bool all = true;

        for (size_t j = 0; j < s->group_n; j++)
            all &= s->group[j].task != t->id || s->group[j].verdict == GROUP_MET;
        if (t->state == TASK_BLOCKED && all && holds(&met, t->id))
            oracle_met(o, t);
    }
    for (size_t i = 0; i < s->task_n; i++) {
        struct o_task *t = &s->task[i];
        const struct o_task *from = NULL;

        if (t->state != TASK_BLOCKED || !holds(&dead, t->id))
            continue;
        for (size_t j = 0; j < dead.n; j++)
            if (dead.list[j] == t->id && dead_from.list[j])
                from = oracle_task(o, dead_from.list[j]);
        oracle_put(o, t, TASK_SKIPPED, STR("upstream_not_satisfied"),
                   from ? str_printf(&o->arena, STR_FMT " is %s", STR_ARG(from->name),
                                     task_state_text(from->state).p)
                        : STR(""),
                   next);
    }
}

void oracle_run_event(struct oracle *o, const struct o_run *run, enum run_state from)
{
    oracle_event(o, run->id, NULL,
                 str_printf(&o->arena, "run_" STR_FMT, STR_ARG(run_state_text(run->state))),
                 str_printf(&o->arena, "{\"from\":\"%s\",\"reason\":\"" STR_FMT "\"}",
                            run_state_text(from).p, STR_ARG(run->reason)));
}

static void end_run(struct oracle *o, struct o_run *run)
{
    int64_t failed = oracle_count(o, run->id, STR(""), TASK_FAILED), tasks = 0;
    bool cancelled = oracle_count(o, run->id, STR(""), TASK_CANCELLED) > 0;
    enum run_state from = run->state;

    if (from != RUN_RUNNING && from != RUN_CANCELLING)
        return;
    for (int s = 0; s < TASK_STATE_N; s++)
        tasks += oracle_count(o, run->id, STR(""), (enum task_state)s);
    run->state = from == RUN_CANCELLING ? RUN_CANCELLED
                 : failed               ? RUN_FAILED
                 : cancelled            ? RUN_CANCELLED
                                        : RUN_SUCCEEDED;
    run->reason = run->state == RUN_CANCELLED ? STR("cancelled")
                  : run->state == RUN_FAILED  ? STR("tasks_failed")
                                              : STR("");
    run->detail =
        run->state == RUN_FAILED
            ? str_printf(&o->arena, "%" PRId64 " of %" PRId64 " tasks failed", failed, tasks)
            : STR("");
    run->ended_at = o->now;
    oracle_run_event(o, run, from);
}

void oracle_settle(struct oracle *o, struct o_ids *ends)
{
    struct o_ids now = *ends, next = {0};

    for (; now.n; now = next, next = (struct o_ids){0}) {
        qsort(now.list, now.n, sizeof(*now.list), by_number);
        oracle_judge(o, &now, 0, &next);
    }
    *ends = (struct o_ids){0};
    for (size_t i = 0; i < o->s.run_n; i++)
        if (oracle_open(o, o->s.run[i].id, STR("")) == 0)
            end_run(o, &o->s.run[i]);
}
