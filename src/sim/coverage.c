/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/coverage.h"

#include <inttypes.h>

#include "base/clock.h"

void coverage_add(struct sim_coverage *sum, const struct sim_coverage *one)
{
    const uint64_t *from = (const uint64_t *)(const void *)one;
    uint64_t *to = (uint64_t *)(void *)sum;

    _Static_assert(sizeof(*sum) % sizeof(*to) == 0, "it is nothing but counts");
    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
        to[i] += from[i];
}

struct printing {
    FILE *out;
    json_t *rows;
    size_t missed;
};

static void row(struct printing *p, uint64_t n, bool can_be, const char *what)
{
    if (p->out)
        fprintf(p->out, "%12" PRIu64 "  %s%s\n", n, what,
                n        ? ""
                : can_be ? "  (never)"
                         : "  (not in this simulation)");
    json_array_append_new(p->rows, json_pack("{s:s, s:o, s:b}", "row", what, "met",
                                             json_sprintf("%" PRIu64, n), "can_be", can_be));
    p->missed += !n && can_be;
}

static void print_faults(struct printing *p, const struct sim_coverage *c)
{
    static const char *const texts[] = {
#define FAULT_TEXT(name, text) [SIM_##name] = #name ": " text,
        SIM_FAULTS(FAULT_TEXT)};

    for (size_t i = 0; i < SIM_FAULT_N; i++)
        row(p, c->faults[i], true, texts[i]);
}

/* Rows of the machine: whether there is one, asked of the machine itself. */

static bool task_row_is(enum task_state from, enum task_event event, enum task_state to)
{
    static const enum outcome outcomes[TASK_EVENT_N] = {
        [TASK_FAIL] = OUTCOME_FAILED,
        [TASK_TIME_OUT] = OUTCOME_TIMED_OUT,
        [TASK_LOSE] = OUTCOME_LOST,
    };
    const struct task_end end = {.outcome = outcomes[event], .exit_code = -1};
    bool held = task_held(from);

    for (int way = 0; way < 16; way++) {
        struct prng prng;
        struct task t = {
            .state = from,
            .reason = TASK_REASON_WORKER,
            .attempts = 1,
            .cancel = held && (way & 1),
            .due_at = way & 2 ? 2 : 0,
            .retry = retry_asked(),
        };

        prng_seed(&prng, 1);
        t.retry.max_attempts = way & 4 ? 1 : 3;
        t.retry.base_us = way & 8 ? CLOCK_S : 0;
        if (task_move(&t, event, 1, &end, &prng, NULL) == 0 && t.state == to)
            return true;
    }
    return false;
}

/* The tasks of queues and workflows are counted: claims start what they lease, and none adds
 * others. Single tasks of runs are not given back here. */
static bool task_row_can_be(enum task_state from, enum task_event event)
{
    if (from == TASK_AWAITING)
        return false;
    if (from == TASK_LEASED)
        return event == TASK_START;
    return event != TASK_REQUEUE || from == TASK_FAILED;
}

static void print_tasks(struct printing *p, const struct sim_coverage *c)
{
    static const char *const events[] = {
#define EVENT_TEXT(name) [TASK_##name] = #name,
        TASK_EVENTS(EVENT_TEXT)};
    char text[100];

    for (int s = 0; s < TASK_STATE_N; s++)
        for (int e = 0; e < TASK_EVENT_N; e++)
            for (int to = 0; to < TASK_STATE_N; to++) {
                if (!task_row_is((enum task_state)s, (enum task_event)e, (enum task_state)to))
                    continue;
                snprintf(text, sizeof(text), "task %s --%s--> %s",
                         task_state_text((enum task_state)s).p, events[e],
                         task_state_text((enum task_state)to).p);
                row(p, c->tasks[s][e][to], task_row_can_be((enum task_state)s, (enum task_event)e),
                    text);
            }
}

static void print_workers(struct printing *p, const struct sim_coverage *c)
{
    static const char *const events[] = {
#define WORKER_EVENT_TEXT(name) [WORKER_EVENT_##name] = #name,
        WORKER_EVENTS(WORKER_EVENT_TEXT)};
    char text[100];

    for (int s = 0; s < WORKER_STATE_N; s++)
        for (int e = 0; e < WORKER_EVENT_N; e++) {
            enum worker_state to = (enum worker_state)s;

            if (worker_move(&to, (enum worker_event)e, NULL))
                continue;
            snprintf(text, sizeof(text), "worker %s --%s--> %s",
                     worker_state_text((enum worker_state)s).p, events[e], worker_state_text(to).p);
            /* Registering is the first heartbeat. */
            row(p, c->workers[s][e][to], s != WORKER_JOINING || e == WORKER_EVENT_BEAT, text);
        }
}

size_t coverage_tell(const struct sim_coverage *c, FILE *out, json_t *rows)
{
    struct printing p = {.out = out, .rows = rows};

    print_faults(&p, c);
    print_tasks(&p, c);
    print_workers(&p, c);
    if (out)
        fprintf(out, "%12" PRIu64 "  calls\n%12" PRIu64 "  transactions\n", c->calls, c->commits);
    return p.missed;
}
