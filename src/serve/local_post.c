/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "serve/local_state.h"
#include "serve/logs.h"

/* Requests. */

/* The reaper's scan, where it is ours; else only who is there, since who died on this machine can
 * be proven dead here alone. */
static int run_scan(struct tx *tx, const void *request, void *reply)
{
    const bool *scans = request;
    struct local_scan *s = reply;

    s->now = tx->now;
    s->store = store_backend(tx->store);
    return *scans ? reaper_scan(tx, NULL, &s->reaper)
                  : worker_list(tx, NULL, &s->reaper.silent_local);
}

static int run_take(struct tx *tx, const void *request, void *reply)
{
    const struct local_claim *q = request;
    struct local_claimed *c = reply;
    struct task_claim one = {.worker = q->any.worker, .run = q->run, .max = q->any.max};
    struct task_leases leases;
    int r;

    c->now = tx->now;
    if (!q->run)
        return run_claim(tx, &q->any, &c->shares);
    r = task_claim(tx, &one, &leases);
    if (r)
        return r;
    c->shares = (struct run_shares){
        .list = ARENA_NEW(tx->arena, struct run_share), .n = 1, .leases = leases.n};
    c->shares.list[0] = (struct run_share){.run = q->run, .leases = leases};
    c->next_due_at = leases.next_due_at;
    return 0;
}

BATCHER_FUNCTION(run_join, worker_register)
BATCHER_FUNCTION(run_cancel_call, run_cancel)
BATCHER_FUNCTION(run_complete, task_complete)
BATCHER_FUNCTION(run_beat, worker_beat)
BATCHER_FUNCTION(run_look, run_get)
BATCHER_FUNCTION(run_drain, worker_drain)
BATCHER_FUNCTION(run_leave, worker_leave)

static void join_done(struct local *l, const struct batcher_answer *answer);
static void cancel_done(struct local *l, const struct batcher_answer *answer);
static void complete_done(struct local *l, const struct batcher_answer *answer);
static void beat_done(struct local *l, const struct batcher_answer *answer);
static void scan_done(struct local *l, const struct batcher_answer *answer);
static void claim_done(struct local *l, const struct batcher_answer *answer);
static void look_done(struct local *l, const struct batcher_answer *answer);
static void drain_done(struct local *l, const struct batcher_answer *answer);
static void leave_done(struct local *l, const struct batcher_answer *answer);

#define OP_FIELDS(request_, reply_)                                                                \
    .request = offsetof(struct local, request_), .reply = offsetof(struct local, reply_),          \
    .reply_size = sizeof(((struct local *)NULL)->reply_)

static const struct op_row {
    batcher_function *function;
    void (*done)(struct local *l, const struct batcher_answer *answer);
    size_t request, reply, reply_size;
} op_rows[OP_N] = {
    [OP_JOIN] = {run_join,        join_done,     OP_FIELDS(join,        joined)   },
    [OP_CANCEL] = {run_cancel_call, cancel_done,   OP_FIELDS(o.run,       cancelled)},
    [OP_COMPLETE] = {run_complete,    complete_done, OP_FIELDS(complete,    completed)},
    [OP_BEAT] = {run_beat,        beat_done,     OP_FIELDS(incarnation, beat)     },
    [OP_SCAN] = {run_scan,        scan_done,     OP_FIELDS(o.scans,     scan)     },
    [OP_CLAIM] = {run_take,        claim_done,    OP_FIELDS(claim,       claimed)  },
    [OP_LOOK] = {run_look,        look_done,     OP_FIELDS(look,        seen)     },
    [OP_DRAIN] = {run_drain,       drain_done,    OP_FIELDS(incarnation, drained)  },
    [OP_LEAVE] = {run_leave,       leave_done,    OP_FIELDS(incarnation, left)     },
};

static void op_answered(struct batcher_request *q)
{
    struct local *l = q->context;
    enum local_op op = (enum local_op)(q - l->requests);

    l->busy[op] = false;
    op_rows[op].done(l, &q->answer);
}

bool local_post_busy(const struct local *l)
{
    bool busy = false;

    for (size_t i = 0; i < OP_N; i++)
        busy = busy || l->busy[i];
    return busy;
}

void local_post_add(struct local *l, struct local_post *post, enum local_op op)
{
    const struct op_row *row = &op_rows[op];
    struct batcher_request *q = &l->requests[op];

    assert(!l->busy[op]);
    l->busy[op] = true;
    q->function = row->function;
    q->request = (char *)l + row->request;
    q->reply = (char *)l + row->reply;
    q->reply_size = row->reply_size;
    q->lane = BATCHER_OWN;
    q->patience_us = BATCHER_FOR_EVER;
    q->home = l->o.home;
    q->done = op_answered;
    q->context = l;
    post->list[post->n++] = q;
}

void local_post_send(struct local *l, struct local_post *post)
{
    if (post->n)
        batcher_post(l->o.writer, post->list, post->n);
}

/* Answers. Whatever waiting could cure has been waited for, so that a refusal is for good. */

static void refused(struct local *l, const struct batcher_answer *answer)
{
    if (answer->code == CODE_WORKER_LOST)
        local_lost(l);
    else
        local_fail(l, answer->code, answer->text);
}

static void join_done(struct local *l, const struct batcher_answer *answer)
{
    int r;

    if (l->phase != PHASE_JOINING)
        return;
    if (answer->code != CODE_OK) {
        local_fail(l, answer->code, answer->text);
        return;
    }
    l->incarnation = l->joined.incarnation;
    l->beat_good = clock_monotonic();
    r = launch_base_folders(&l->base, l->incarnation);
    if (r) {
        fault_take();
        local_fail(l, batcher_code(r),
                   str_printf(&l->requests[OP_JOIN].arena,
                              "the folders for logs below %s cannot be made: %s", l->o.data,
                              strerror(-r)));
        return;
    }
    l->phase = PHASE_WORKING;
    l->want_claim = l->want_scan = true;
}

static void cancel_done(struct local *l, const struct batcher_answer *answer)
{
    if (answer->code != CODE_OK && answer->code != CODE_RUN_ENDED) {
        refused(l, answer);
        return;
    }
    l->want_beat = l->want_look = true; /* which tasks to stop; and perhaps none was left */
}

static void complete_done(struct local *l, const struct batcher_answer *answer)
{
    if (answer->code != CODE_OK)
        refused(l, answer);
    else if (l->killed && local_held_n(l) == 0)
        l->want_look = true;
    for (size_t i = 0; answer->code == CODE_OK && i < l->completed.n; i++) {
        /* It may be tried again, and the scan tells when: a claim that finds enough does not. */
        if (l->o.scans && l->sent.list[i].outcome != OUTCOME_SUCCEEDED)
            l->want_scan = true;
        if (l->completed.list[i] != CODE_OK)
            log_say(LOG_WARNING, "completion_refused",
                    LOG_NUMBER("task", l->sent.list[i].lease.task),
                    LOG_NUMBER("token", l->sent.list[i].lease.token),
                    LOG_TEXT("code", code_text(l->completed.list[i])));
    }
    local_results_clear(&l->sent);
}

static void beat_done(struct local *l, const struct batcher_answer *answer)
{
    if (answer->code == CODE_WORKER_LOST) {
        local_lost(l);
        return;
    }
    if (answer->code != CODE_OK)
        return; /* the fence is what counts the silence */
    l->beat_good = l->beat_posted;
    for (size_t i = 0; i < l->beat.stop_n; i++) {
        struct local_held *h = local_held_find(l, l->beat.stop[i].token);

        if (h)
            local_held_stop(h);
    }
}

static void due_now(uv_timer_t *timer)
{
    struct local *l = timer->data;

    l->want_scan = l->want_claim = true;
}

/* Look again when a task that waits for its time can go. One whose time has come and that the scan
 * left is in somebody else's hands, and the next tick finds it: looking at once would not help. */
static void wake_at(struct local *l, int64_t due_at, int64_t now)
{
    int64_t wait_us = due_at - now;

    if (!due_at || wait_us <= 0)
        return;
    if (uv_is_active((uv_handle_t *)&l->due) &&
        (int64_t)uv_timer_get_due_in(&l->due) * CLOCK_MS <= wait_us)
        return;
    uv_timer_start(&l->due, due_now, (uint64_t)(wait_us / CLOCK_MS + 1), 0);
}

static void scan_done(struct local *l, const struct batcher_answer *answer)
{
    const struct reaper_reply *s = &l->scan.reaper;

    if (answer->code != CODE_OK || l->phase != PHASE_WORKING)
        return;
    if (s->more)
        l->want_scan = true;
    if (s->promoted || s->timed_out || s->lost)
        l->want_claim = true;
    wake_at(l, s->next_due_at, l->scan.now);
    for (size_t i = 0; i < s->silent_local.n; i++) {
        const struct worker_row *w = &s->silent_local.list[i];
        enum recover_verdict verdict = recover_judge(w, &l->o.self, l->scan.store, l->scan.now);

        if (verdict != RECOVER_ALIVE && w->incarnation != l->incarnation)
            rescue_begin(&l->rescue, w, verdict);
    }
}

/* With news that came meanwhile it is woken at once. */
static void wait_for_news(struct local *l, size_t taken, bool found_all)
{
    if (!l->o.seat)
        return;
    if (taken == 0 && !l->draining) {
        hub_sleep(&l->wait, NULL);
        return;
    }
    hub_forget(&l->wait, (int64_t)taken);
    /* Only a claim that finds nothing knows that there is nothing. */
    l->want_claim = l->want_claim || !found_all;
}

static void claim_done(struct local *l, const struct batcher_answer *answer)
{
    const struct run_shares *s = &l->claimed.shares;
    bool found_all = s->leases == (size_t)l->claim.any.max;

    if (answer->code != CODE_OK || l->phase != PHASE_WORKING) {
        if (l->o.seat)
            hub_forget(&l->wait, 0);
        if (answer->code != CODE_OK)
            refused(l, answer);
        return; /* what was taken while we gave up, the next program gets */
    }
    l->after = s->after;
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < s->list[i].leases.n; j++)
            local_held_take(l, &s->list[i].leases.list[j], s->list[i].dir);
    if (l->draining)
        local_held_return(l);
    wait_for_news(l, s->leases, found_all);
    if (found_all)
        return;
    wake_at(l, l->claimed.next_due_at, l->claimed.now);
    if (l->o.run && local_held_n(l) == 0)
        l->want_look = true;
}

static void look_done(struct local *l, const struct batcher_answer *answer)
{
    if (answer->code != CODE_OK) {
        refused(l, answer);
        return;
    }
    if (l->phase == PHASE_WORKING && run_final(l->seen.run.state) && local_held_n(l) == 0 &&
        l->results.n == 0 && !l->busy[OP_COMPLETE])
        l->phase = PHASE_LEAVING;
}

/* For those who look at the workers alone: it takes nothing more in any case. */
static void drain_done(struct local *l, const struct batcher_answer *answer)
{
    if (answer->code == CODE_WORKER_LOST)
        local_lost(l);
}

static void leave_done(struct local *l, const struct batcher_answer *answer)
{
    if (l->phase != PHASE_LEAVING)
        return;
    /* One that did not get through is found dead by the next program; the run has ended all the
     * same. */
    if (answer->code != CODE_OK)
        log_say(LOG_WARNING, "worker_left_unheard", LOG_TEXT("text", answer->text));
    logs_scratch_remove(l->o.data, l->incarnation);
    local_over(l);
}
