/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/pace.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/memory.h"
#include "serve/loop.h"

struct pace {
    struct loop_handle wake, timer;
    struct list turns;
    int64_t begun_us; /* the slice that is to be paid; 0: none */
    int64_t free_us;  /* the rest is over */
    bool comes;       /* `wake` or `timer` is to come */
    int handles;
};

/* In a turn of the loop of its own, behind which all that was sent has been written. */
static void soon(struct pace *p)
{
    p->comes = true;
    loop_wake(&p->wake);
}

static void pay(struct pace *p, int64_t now)
{
    int64_t from = p->free_us > now - PACE_SAVED_US ? p->free_us : now - PACE_SAVED_US;
    /* The slice itself has passed, too. */
    int64_t until = from + (now - p->begun_us) * (PACE_REST + 1);

    p->free_us = until < now + PACE_OWED_US ? until : now + PACE_OWED_US;
    p->begun_us = 0;
}

static void slice(struct pace *p, int64_t now)
{
    struct list mine;

    /* Who asks again has another turn of the loop, so that what it sent is written. */
    list_init(&mine);
    list_move(&mine, &p->turns);
    p->begun_us = now;
    while (!list_empty(&mine) && clock_monotonic() - now < PACE_SLICE_US) {
        struct pace_turn *t = LIST_OF(mine.next, struct pace_turn, link);

        pace_forget(t);
        t->come(t);
    }
    list_move(&mine, &p->turns);
    list_move(&p->turns, &mine);
    soon(p);
}

static void go_on(struct pace *p)
{
    int64_t now = clock_monotonic();

    p->comes = false;
    if (p->begun_us)
        pay(p, now);
    if (list_empty(&p->turns))
        return;
    if (p->free_us > now) {
        p->comes = true;
        loop_timer_start(&p->timer, (uint64_t)((p->free_us - now + CLOCK_MS - 1) / CLOCK_MS));
    } else {
        slice(p, now);
    }
}

static void woken(struct loop_handle *wake)
{
    go_on(LIST_OF(wake, struct pace, wake));
}

static void rested(struct loop_handle *timer)
{
    go_on(LIST_OF(timer, struct pace, timer));
}

void pace_ask(struct pace *p, struct pace_turn *t)
{
    if (t->asked)
        return;
    t->asked = true;
    list_add(&p->turns, &t->link);
    if (!p->comes)
        soon(p);
}

void pace_forget(struct pace_turn *t)
{
    if (t->asked)
        list_del(&t->link);
    t->asked = false;
}

int pace_new(uv_loop_t *loop, struct pace **ret)
{
    struct pace *p = memory_new(sizeof(*p));
    int r = loop_wake_init(loop, &p->wake, woken);

    if (r) {
        free(p);
        return fault(r);
    }
    loop_timer_init(loop, &p->timer, rested);
    p->handles = 2;
    list_init(&p->turns);
    *ret = p;
    return 0;
}

static void closed(struct pace *p)
{
    if (--p->handles == 0)
        free(p);
}

static void wake_closed(struct loop_handle *h)
{
    closed(LIST_OF(h, struct pace, wake));
}

static void timer_closed(struct loop_handle *h)
{
    closed(LIST_OF(h, struct pace, timer));
}

struct pace *pace_free(struct pace *p)
{
    if (p) {
        assert(list_empty(&p->turns));
        loop_close(&p->wake, wake_closed);
        loop_close(&p->timer, timer_closed);
    }
    return NULL;
}
