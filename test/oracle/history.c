/* SPDX-License-Identifier: Apache-2.0 */
/* Histories made up from a seed, with the oracle beside to know what there is. */
#include "history.h"

#include <inttypes.h>

#include "base/clock.h"

#define START_AT        (1900000000LL * CLOCK_S)
#define REQUESTS_MAX    6 /* in a transaction */
#define PLANS_MAX       5
#define PLAN_TASKS_MAX  10
#define TEXT_BYTES_MAX  100000u
#define HOSTILE_MESSAGE "'; DROP TABLE task; -- \"$(rm -rf /)\" \\ ü✓\n\tsecond line"

struct making {
    struct history *h;
    struct prng prng;
    struct subject oracle;
    uint32_t number;
    const struct plan *plans[PLANS_MAX];
    size_t plans_n;
    struct result told[64]; /* completions, to be said again */
    size_t told_n;
    int64_t now;
};

/* 0 … n-1 */
static int64_t draw(struct making *m, int64_t n)
{
    return (int64_t)prng_below(&m->prng, (uint64_t)n);
}

static bool chance(struct making *m, int percent)
{
    return draw(m, 100) < percent;
}

#define TEXT_OF(literal)                                                                           \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
#define PICK(m, list) ((list)[draw((m), (int64_t)(sizeof(list) / sizeof((list)[0])))])

static const struct str queues[] = {
    TEXT_OF("mail"),
    TEXT_OF("ünï ✓"),
    TEXT_OF("'; DROP TABLE queue; --"),
};

static struct retry_policy make_policy(struct making *m)
{
    static const int64_t bases[] = {0, 0, 100000, 1000000, 5000000};
    static const double factors[] = {1, 2, 1.5}, jitters[] = {0, 0.5, 1};
    struct retry_policy p = {
        .max_attempts = 1 + draw(m, 4),
        .base_us = PICK(m, bases),
        .factor = PICK(m, factors),
        .jitter = PICK(m, jitters),
        .outcomes = (uint32_t)(1 + draw(m, 7)) << OUTCOME_FAILED,
    };

    p.cap_us = p.base_us * (1 + draw(m, 5)) + (chance(m, 50) ? CLOCK_S : 0);
    if (p.outcomes >> OUTCOME_FAILED & 1 && chance(m, 30)) {
        p.exit_codes[p.exit_codes_n++] = 75;
        p.exit_codes[p.exit_codes_n++] = 2;
    }
    return p;
}

/* Some of the tasks that come before `last` in `order`, each once. */
static void make_group(struct making *m, struct plan_group *g, const uint32_t *order, size_t last)
{
    size_t n = 1 + (size_t)draw(m, PLAN_FROM_MAX);

    for (size_t i = 0; i < n; i++) {
        uint32_t from = order[draw(m, (int64_t)last)];
        bool named = false;

        for (size_t j = 0; j < g->from_n; j++)
            named |= g->from[j] == from;
        if (!named)
            g->from[g->from_n++] = from;
    }
    g->rule = (enum group_rule)draw(m, GROUP_RULE_N);
    g->need = g->rule == GROUP_AT_LEAST ? 1 + draw(m, (int64_t)g->from_n) : 0;
}

static void make_plan_task(struct making *m, struct plan *p, const uint32_t *order, size_t place)
{
    static const char *const stems[] = {"t", "ü ✓ ", "'; DROP TABLE run; -- ", "a b "};
    struct plan_task *t = &p->tasks[order[place]];

    t->name = str_printf(&m->h->arena, "%s%u", PICK(m, stems), order[place]);
    t->priority = chance(m, 30) ? draw(m, 5) - 2 : 0;
    t->timeout_us = chance(m, 20) ? (1 + draw(m, 20)) * CLOCK_S : 0;
    t->not_before_us = chance(m, 10) ? (1 + draw(m, 20)) * 500000 : 0;
    t->retry_said = chance(m, 50);
    t->retry = make_policy(m);
    if (place == 0 || chance(m, 20))
        return;
    t->groups_n = 1 + (size_t)(chance(m, 35) ? draw(m, PLAN_GROUPS_MAX) : 0);
    for (size_t i = 0; i < t->groups_n; i++)
        make_group(m, &t->groups[i], order, place);
}

/* A graph whose file names its tasks in any order. */
static const struct plan *make_plan(struct making *m)
{
    static const struct str names[] = {TEXT_OF("build"), TEXT_OF("ünï"), TEXT_OF("a;b'c")};
    struct plan *p = ARENA_NEW(&m->h->arena, struct plan);
    uint32_t order[PLAN_TASKS_MAX];

    p->name = PICK(m, names);
    p->max_parallel = chance(m, 30) ? 1 + draw(m, 3) : 0;
    p->tasks_n = chance(m, 15) ? 1 : 2 + (size_t)draw(m, PLAN_TASKS_MAX - 1);
    p->tasks = ARENA_ARRAY(&m->h->arena, struct plan_task, p->tasks_n);
    for (uint32_t i = 0; i < p->tasks_n; i++) {
        int64_t j = draw(m, i + 1);

        order[i] = order[j];
        order[j] = i;
    }
    for (size_t i = 0; i < p->tasks_n; i++)
        make_plan_task(m, p, order, i);
    m->plans[m->plans_n < PLANS_MAX ? m->plans_n++ : (size_t)draw(m, PLANS_MAX)] = p;
    return p;
}

static struct ref worker_ref(struct making *m)
{
    if (chance(m, 2))
        return (struct ref){0, 1};
    return subject_ref(&m->oracle, SPACE_ID, oracle_any_worker(m->oracle.oracle, &m->prng));
}

static struct ref run_ref(struct making *m)
{
    if (chance(m, 2))
        return (struct ref){0, 1};
    return subject_ref(&m->oracle, SPACE_RUN, oracle_any_run(m->oracle.oracle, &m->prng));
}

static struct ref task_ref(struct making *m, bool undone)
{
    if (chance(m, 2))
        return (struct ref){0, 1};
    return subject_ref(&m->oracle, SPACE_ID, oracle_any_task(m->oracle.oracle, &m->prng, undone));
}

static struct str queue_name(struct making *m)
{
    return chance(m, 2) ? STR("nowhere") : PICK(m, queues);
}

static void make_queue_put(struct making *m, struct request *q)
{
    q->name = chance(m, 3) ? STR("") : queue_name(m);
    q->max = chance(m, 5) ? -1 : chance(m, 50) ? 0 : 3 + draw(m, 20);
    q->paused = chance(m, 15);
}

/* Tasks that are alike, which a block may have. */
static void make_block(struct making *m, struct request *q)
{
    q->tasks_n = 3 + (size_t)draw(m, 8);
    q->tasks = ARENA_ARRAY(&m->h->arena, struct task_new, q->tasks_n);
    for (size_t i = 0; i < q->tasks_n; i++)
        q->tasks[i].payload = i % 3 ? STR("[]") : STR("{\"to\":\"ü\"}");
}

static void make_task_enqueue(struct making *m, struct request *q)
{
    q->name = queue_name(m);
    if (chance(m, 40)) {
        make_block(m, q);
        return;
    }
    q->tasks_n = chance(m, 2) ? 0 : 1 + (size_t)draw(m, 5);
    q->tasks = ARENA_ARRAY(&m->h->arena, struct task_new, q->tasks_n);
    for (size_t i = 0; i < q->tasks_n; i++) {
        struct retry_policy *p = ARENA_NEW(&m->h->arena, struct retry_policy);

        *p = make_policy(m);
        q->tasks[i] = (struct task_new){
            .payload = chance(m, 50) ? STR("{\"to\":\"ü\"}") : STR("[1,\"'; DROP TABLE task\"]"),
            .priority = chance(m, 1)    ? 2000
                        : chance(m, 40) ? draw(m, 5) - 2
                                        : 0,
            .delay_us = chance(m, 1)    ? -1
                        : chance(m, 20) ? draw(m, 5 * CLOCK_S)
                                        : 0,
            .timeout_us = chance(m, 20) ? (1 + draw(m, 20)) * CLOCK_S : 0,
            .retry = chance(m, 50) ? p : NULL,
        };
    }
}

static void make_task_claim(struct making *m, struct request *q)
{
    q->id = worker_ref(m);
    q->max = chance(m, 2) ? 0 : 1 + draw(m, 4);
    if (chance(m, 60))
        q->run = run_ref(m);
    if (!q->run.request || chance(m, 10))
        q->name = queue_name(m);
}

static enum outcome make_outcome(struct making *m)
{
    int64_t n = draw(m, 100);

    return n < 60   ? OUTCOME_SUCCEEDED
           : n < 82 ? OUTCOME_FAILED
           : n < 88 ? OUTCOME_TIMED_OUT
           : n < 94 ? OUTCOME_CANCELLED
           : n < 98 ? OUTCOME_REJECTED
           : n < 99 ? OUTCOME_LOST
                    : OUTCOME_NONE;
}

static struct task_result make_content(struct making *m)
{
    static const enum task_reason reasons[] = {TASK_REASON_NONE, TASK_REASON_COMMAND_FAILED,
                                               TASK_REASON_OUTPUT_INVALID, TASK_REASON_WORKER_ERROR,
                                               TASK_REASON_WORKER};
    static const int codes[] = {1, 2, 75, -1};
    struct task_result r = {.outcome = make_outcome(m), .exit_code = 0};

    if (r.outcome != OUTCOME_SUCCEEDED) {
        r.reason = PICK(m, reasons);
        r.exit_code = PICK(m, codes);
        r.signal = chance(m, 20) ? 9 : 0;
        r.stderr_tail = chance(m, 30) ? STR(HOSTILE_MESSAGE) : STR("");
    }
    r.message = chance(m, 70) ? STR("") : chance(m, 50) ? STR("boom") : STR(HOSTILE_MESSAGE);
    r.output = chance(m, 60) ? STR("") : STR("{\"rows\":3,\"text\":\"ü\"}");
    r.start_wait_us = chance(m, 70) ? 0 : draw(m, CLOCK_S);
    r.run_us = chance(m, 1)   ? -1
               : chance(m, 1) ? INT64_MAX
                              : draw(m, chance(m, 50) ? 10 : 10 * CLOCK_S);
    r.cpu_us = draw(m, 1000);
    r.max_rss_bytes = draw(m, 1 << 20);
    return r;
}

/* Mostly a lease that is held; else one that has ended, one said before, or none at all. */
static struct result make_result(struct making *m)
{
    struct oracle *o = m->oracle.oracle;
    struct result r = {.result = make_content(m)};
    struct lease_ref lease = {0};

    if (m->told_n && chance(m, 8)) {
        r = m->told[draw(m, (int64_t)m->told_n)];
        if (chance(m, 30))
            r.result.message = STR("another message");
        return r;
    }
    if (chance(m, 4) ? !oracle_any_ended(o, &m->prng, &lease)
                     : !oracle_any_held(o, &m->prng, &lease))
        oracle_any_ended(o, &m->prng, &lease);
    r.task = subject_ref(&m->oracle, SPACE_ID, lease.task);
    r.token = subject_ref(&m->oracle, SPACE_ID, lease.token);
    if (chance(m, 2))
        r.task = task_ref(m, false);
    if (chance(m, 2))
        r.token = (struct ref){0, (uint32_t)draw(m, 2)};
    m->told[m->told_n < 64 ? m->told_n++ : (size_t)draw(m, 64)] = r;
    return r;
}

static void make_results(struct making *m, struct request *q)
{
    q->results_n = chance(m, 1) ? 0 : 1 + (size_t)(chance(m, 40) ? draw(m, 6) : 0);
    q->results = ARENA_ARRAY(&m->h->arena, struct result, q->results_n);
    for (size_t i = 0; i < q->results_n; i++)
        q->results[i] = make_result(m);
}

static void make_worker_register(struct making *m, struct request *q)
{
    q->name = chance(m, 3) ? STR("") : chance(m, 50) ? STR("w") : STR("Zoë's \"worker\"");
    q->kind_of = chance(m, 30) ? STR("local") : STR("remote");
    q->slots = chance(m, 2) ? 0 : 1 + draw(m, 6);
    q->ttl = chance(m, 2) ? 10 : (5 + draw(m, 60)) * CLOCK_S;
    if (chance(m, 20))
        q->run = run_ref(m);
}

/* Also a heartbeat that its silence was judged from, perhaps an old one. */
static void make_worker_end(struct making *m, struct request *q)
{
    int64_t id = oracle_any_worker(m->oracle.oracle, &m->prng);

    q->id = chance(m, 2) ? (struct ref){0, 1} : subject_ref(&m->oracle, SPACE_ID, id);
    q->name = chance(m, 50) ? STR("gone") : STR(HOSTILE_MESSAGE);
    if (q->kind == KIND_worker_lose && chance(m, 50))
        q->max = oracle_beat_at(m->oracle.oracle, id) - chance(m, 50);
}

static void make_which(struct making *m, struct request *q, bool undone)
{
    if (!chance(m, 20) || m->plans_n == 0) {
        q->id = task_ref(m, undone);
        return;
    }
    q->run = run_ref(m);
    const struct plan *p = m->plans[draw(m, (int64_t)m->plans_n)];
    q->name = p->tasks[draw(m, (int64_t)p->tasks_n)].name;
}

static void make_run_start(struct making *m, struct request *q)
{
    q->name = m->plans_n == 0 || chance(m, 3) ? STR("nothing")
                                              : m->plans[draw(m, (int64_t)m->plans_n)]->name;
    q->slots = chance(m, 15) ? 1 + draw(m, 3) : 0;
    q->max = chance(m, 2) ? -1 : chance(m, 15) ? 1 + draw(m, 3) : 0;
}

static void make_run_list(struct making *m, struct request *q)
{
    static const struct str states[] = {TEXT_OF(""), TEXT_OF("RUNNING"), TEXT_OF("FAILED"),
                                        TEXT_OF("running")};

    q->name = PICK(m, states);
    q->max = draw(m, 5);
    if (chance(m, 30))
        q->id = run_ref(m);
}

/* How often each kind comes, of their sum. */
static const int weights[KIND_N] = {
    [KIND_queue_put] = 3,       [KIND_queue_get] = 3,      [KIND_task_enqueue] = 12,
    [KIND_task_claim] = 26,     [KIND_task_complete] = 26, [KIND_task_release] = 2,
    [KIND_task_get] = 4,        [KIND_task_requeue] = 5,   [KIND_worker_register] = 4,
    [KIND_worker_beat] = 9,     [KIND_worker_drain] = 1,   [KIND_worker_leave] = 1,
    [KIND_worker_lose] = 1,     [KIND_worker_list] = 1,    [KIND_workflow_put] = 3,
    [KIND_run_start] = 6,       [KIND_run_get] = 3,        [KIND_run_list] = 1,
    [KIND_run_newest_open] = 1, [KIND_run_cancel] = 2,     [KIND_run_retry] = 4,
    [KIND_reaper_scan] = 9,     [KIND_event_list] = 1,     [KIND_doctor_status] = 1,
};

static enum kind make_kind(struct making *m)
{
    int sum = 0;
    int64_t at;

    for (int i = 0; i < KIND_N; i++)
        sum += weights[i];
    at = draw(m, sum);
    for (int i = 0; i < KIND_N; i++) {
        if (at < weights[i])
            return (enum kind)i;
        at -= weights[i];
    }
    return KIND_reaper_scan;
}

static struct request make_request(struct making *m, enum kind kind)
{
    struct request q = {.number = ++m->number, .kind = kind, .undone = chance(m, 4)};

    switch (kind) {
    case KIND_queue_put:
        make_queue_put(m, &q);
        break;
    case KIND_queue_get:
        q.name = queue_name(m);
        break;
    case KIND_task_enqueue:
        make_task_enqueue(m, &q);
        break;
    case KIND_task_claim:
        make_task_claim(m, &q);
        break;
    case KIND_task_complete:
    case KIND_task_release:
        make_results(m, &q);
        break;
    case KIND_task_get:
    case KIND_task_requeue:
        make_which(m, &q, kind == KIND_task_requeue && chance(m, 85));
        break;
    case KIND_worker_register:
        make_worker_register(m, &q);
        break;
    case KIND_worker_beat:
    case KIND_worker_drain:
    case KIND_worker_leave:
    case KIND_worker_lose:
        make_worker_end(m, &q);
        break;
    case KIND_workflow_put:
        q.plan =
            m->plans_n && chance(m, 20) ? m->plans[draw(m, (int64_t)m->plans_n)] : make_plan(m);
        break;
    case KIND_run_start:
        make_run_start(m, &q);
        break;
    case KIND_run_list:
        make_run_list(m, &q);
        break;
    case KIND_run_get:
    case KIND_run_cancel:
    case KIND_run_retry:
    case KIND_event_list:
        q.id = run_ref(m);
        q.max = kind == KIND_event_list ? draw(m, 100) : draw(m, 4);
        break;
    default:
        break;
    }
    return q;
}

/* Time mostly goes on a little, sometimes not at all, rarely back. */
static int64_t make_time(struct making *m)
{
    int64_t n = draw(m, 100);

    m->now += n < 20   ? 0
              : n < 40 ? draw(m, 1000)
              : n < 80 ? draw(m, 2 * CLOCK_S)
              : n < 94 ? draw(m, 15 * CLOCK_S)
              : n < 96 ? draw(m, 600 * CLOCK_S)
              : n < 98 ? -draw(m, CLOCK_S)
                       : CLOCK_S;
    return m->now;
}

static void make_step(struct making *m, struct step *step, size_t place)
{
    static const enum kind first[] = {KIND_worker_register, KIND_worker_register, KIND_queue_put,
                                      KIND_workflow_put,    KIND_workflow_put,    KIND_queue_put};
    size_t n = chance(m, 50) ? 1 : 1 + (size_t)draw(m, REQUESTS_MAX);
    struct arena a = {0};
    struct str fault;

    *step = (struct step){
        .now = make_time(m), .seed = prng_next(&m->prng), .rolled_back = chance(m, 5)};
    step->list = ARENA_ARRAY(&m->h->arena, struct request, n);
    /* The requests of one step are made up before any of them is done. */
    for (step->n = 0; step->n < n; step->n++)
        step->list[step->n] =
            make_request(m, place < sizeof(first) / sizeof(first[0]) ? first[place] : make_kind(m));
    subject_step(&m->oracle, step, &a, ARENA_ARRAY(&a, struct str, n), &fault);
    arena_deinit(&a);
}

void history_make(struct history *h, uint64_t seed, size_t steps)
{
    struct making m = {.h = h, .now = START_AT};

    *h = (struct history){.seed = seed, .n = steps};
    prng_seed(&m.prng, seed);
    m.oracle.oracle = oracle_new();
    h->steps = ARENA_ARRAY(&h->arena, struct step, steps);
    for (size_t i = 0; i < steps; i++)
        make_step(&m, &h->steps[i], i);
    subject_deinit(&m.oracle);
}

void history_deinit(struct history *h)
{
    arena_deinit(&h->arena);
}

static void print_ref(struct buf *out, const char *what, struct ref ref)
{
    if (ref.request || ref.place)
        buf_printf(out, " %s#%u.%u", what, ref.request, ref.place);
}

static void print_plan(struct buf *out, const struct plan *p)
{
    buf_printf(out, " " STR_FMT " parallel %" PRId64, STR_ARG(p->name), p->max_parallel);
    for (size_t i = 0; i < p->tasks_n; i++) {
        const struct plan_task *t = &p->tasks[i];

        buf_printf(out, "\n    " STR_FMT, STR_ARG(t->name));
        for (size_t g = 0; g < t->groups_n; g++) {
            buf_printf(out, " %s %" PRId64 " (", group_rule_text(t->groups[g].rule).p,
                       t->groups[g].need);
            for (size_t e = 0; e < t->groups[g].from_n; e++)
                buf_printf(out, "%s" STR_FMT, e ? ", " : "",
                           STR_ARG(p->tasks[t->groups[g].from[e]].name));
            buf_byte(out, ')');
        }
    }
}

void history_print(struct buf *out, const struct request *q)
{
    static const char *const names[] = {
#define HISTORY_NAME(name) [KIND_##name] = #name,
        HISTORY_KINDS(HISTORY_NAME)
#undef HISTORY_NAME
    };

    buf_printf(out, "  %u. %s%s", q->number, names[q->kind], q->undone ? " (undone)" : "");
    print_ref(out, "", q->id);
    print_ref(out, "run ", q->run);
    if (q->name.n)
        buf_printf(out, " \"" STR_FMT "\"", STR_ARG(q->name));
    if (q->max || q->slots)
        buf_printf(out, " max %" PRId64 " slots %" PRId64 " ttl %" PRId64, q->max, q->slots,
                   q->ttl);
    if (q->plan)
        print_plan(out, q->plan);
    for (size_t i = 0; i < q->tasks_n; i++)
        buf_printf(out, " (priority %" PRId64 " delay %" PRId64 ")", q->tasks[i].priority,
                   q->tasks[i].delay_us);
    for (size_t i = 0; i < q->results_n; i++) {
        const struct result *r = &q->results[i];

        print_ref(out, "", r->task);
        print_ref(out, "by ", r->token);
        buf_printf(out, " %s %s exit %d", retry_outcome_text(r->result.outcome).p,
                   task_reason_text(r->result.reason).p, r->result.exit_code);
    }
}
