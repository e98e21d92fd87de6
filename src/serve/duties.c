/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/duties.h"

#include <stdlib.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/loop.h"

/* Between two scans that a due task or a rest of work asks for. */
#define PAUSE_US_MIN (5 * CLOCK_MS)

struct work {
    struct duty_take take;
    bool forget;
};

struct duties {
    struct duties_options o;
    struct arena memory;
    struct loop_handle timer;
    struct hub_wait wait;
    struct batcher_request request;
    struct work work;
    struct duties_turn worked;
    bool asked;   /* the store is */
    bool again;   /* tasks became DELAYED meanwhile */
    bool leaving; /* the duty is being given up */
    int64_t next_us;
    int64_t forget_us; /* when to forget next */
    struct duties_stats stats;
    void (*over)(void *context);
    void *over_context;
};

static int work(struct tx *tx, const void *request, void *reply)
{
    const struct work *w = request;
    struct duties_turn *out = reply;
    int r = duty_take(tx, &w->take, &out->duty);

    if (!r && out->duty.held)
        r = reaper_scan(tx, NULL, &out->reaper);
    if (!r && out->duty.held && w->forget)
        r = reaper_forget(tx, NULL, &out->forgotten);
    return r;
}

static int leave(struct tx *tx, const void *request, void *reply)
{
    return duty_leave(tx, &((const struct work *)request)->take, reply);
}

static void ask(struct duties *d, batcher_function *function,
                void (*done)(struct batcher_request *))
{
    d->asked = true;
    d->request = (struct batcher_request){
        .name = function == work ? DUTIES_TURN : NULL,
        .function = function,
        .lane = BATCHER_OWN,
        .request = &d->work,
        .reply = &d->worked,
        .reply_size = sizeof(d->worked),
        .patience_us = d->o.renew_us,
        .home = d->o.home,
        .done = done,
        .context = d,
    };
    batcher_post(d->o.writer, (struct batcher_request *[]){&d->request}, 1);
}

/* At that time, unless it is to be earlier. */
static void arm(struct duties *d, int64_t at_us)
{
    int64_t left = at_us - clock_monotonic();

    d->next_us = at_us;
    loop_timer_start(&d->timer, left > 0 ? (uint64_t)((left + CLOCK_MS - 1) / CLOCK_MS) : 0);
}

/* Hear of tasks that may be due before the next scan. */
static void listen_for_delayed(struct duties *d)
{
    hub_look(&d->wait);
    hub_sleep(&d->wait, NULL);
}

static void delayed(struct hub_wait *w)
{
    struct duties *d = w->context;
    int64_t soon = clock_monotonic() + PAUSE_US_MIN;

    if (d->asked)
        d->again = true;
    else if (d->stats.held && soon < d->next_us)
        arm(d, soon);
    listen_for_delayed(d);
}

static void closed(struct loop_handle *timer)
{
    struct duties *d = LIST_OF(timer, struct duties, timer);

    d->over(d->over_context);
    arena_deinit(&d->memory);
    free(d);
}

static void left(struct batcher_request *q)
{
    struct duties *d = q->context;

    batcher_release(q);
    loop_close(&d->timer, closed);
}

static void end(struct duties *d)
{
    d->leaving = true;
    loop_timer_stop(&d->timer);
    if (d->stats.held)
        ask(d, leave, left);
    else
        loop_close(&d->timer, closed);
}

static void count(struct duties *d)
{
    const struct reaper_reply *r = &d->worked.reaper;

    d->stats.scans++;
    d->stats.promoted += r->promoted;
    d->stats.lost += r->lost;
    d->stats.timed_out += r->timed_out;
    d->stats.expired += r->expired;
    d->stats.forgotten += d->worked.forgotten.attempts;
}

/* When to ask again, by what was found. */
static int64_t next_time(const struct duties *d)
{
    const struct duties_turn *w = &d->worked;
    int64_t now = clock_monotonic(), next = d->request.begun_us + d->o.renew_us;
    int64_t due = d->request.begun_us + (w->reaper.next_due_at - d->request.now);

    if (!d->stats.held)
        return next;
    if (w->reaper.next_due_at && due < next)
        next = due;
    if (w->reaper.more || w->forgotten.more || d->again)
        next = now;
    return next > now + PAUSE_US_MIN ? next : now + PAUSE_US_MIN;
}

static void answered(struct batcher_request *q)
{
    struct duties *d = q->context;
    bool held = d->stats.held;
    int64_t now = clock_monotonic();

    d->asked = false;
    if (q->answer.code == CODE_OK) {
        d->stats.held = d->worked.duty.held;
        if (d->stats.held)
            count(d);
        if (d->work.forget && d->stats.held)
            d->forget_us = d->worked.forgotten.more ? now : now + DUTIES_FORGET_US;
    }
    if (d->stats.held != held)
        log_say(LOG_INFO, d->stats.held ? "duty_taken" : "duty_lost",
                LOG_TEXT("duty", STR("reaper")), LOG_TEXT("holder", d->worked.duty.holder));
    arm(d, q->answer.code == CODE_OK ? next_time(d) : now + d->o.renew_us);
    d->again = false;
    batcher_release(q);
    if (d->over)
        end(d);
}

static void turn(struct loop_handle *timer)
{
    struct duties *d = LIST_OF(timer, struct duties, timer);

    if (d->asked || d->leaving)
        return;
    d->work.forget = clock_monotonic() >= d->forget_us;
    ask(d, work, answered);
}

void duties_new(const struct duties_options *options, struct duties **ret)
{
    struct duties *d = memory_new(sizeof(*d));

    d->o = *options;
    d->o.ttl_us = d->o.ttl_us ? d->o.ttl_us : DUTIES_TTL_US;
    d->o.renew_us = d->o.renew_us ? d->o.renew_us : DUTIES_RENEW_US;
    if (BROKEN(LATE))
        d->o.renew_us = 600 * CLOCK_S;
    d->work.take = (struct duty_take){.name = STR("reaper"),
                                      .holder = str_copy(&d->memory, options->holder),
                                      .ttl_us = d->o.ttl_us,
                                      .alone = d->o.alone};
    loop_timer_init(d->o.loop, &d->timer, turn);
    d->wait = (struct hub_wait){.seat = d->o.seat,
                                .topic = HUB_DELAYED,
                                .looks_us = d->o.renew_us,
                                .woken = delayed,
                                .context = d};
    listen_for_delayed(d);
    arm(d, clock_monotonic());
    *ret = d;
}

void duties_stop(struct duties *d, void (*over)(void *context), void *context)
{
    d->over = over;
    d->over_context = context;
    hub_forget(&d->wait, 0);
    if (!d->asked)
        end(d);
}

void duties_stats(const struct duties *d, struct duties_stats *ret)
{
    *ret = d->stats;
}
