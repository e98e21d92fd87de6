/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/loop.h"

#include <assert.h>

#include "base/clock.h"
#include "base/fault.h"

static _Thread_local struct loop_hand *in_use;

static struct loop_handle *handle_of(struct list *link)
{
    return LIST_OF(link, struct loop_handle, link);
}

void loop_hand_init(struct loop_hand *h)
{
    list_init(&h->soon);
    list_init(&h->timers);
}

void loop_use(struct loop_hand *h)
{
    in_use = h;
}

int64_t loop_due(const struct loop_hand *h)
{
    if (!list_empty(&h->soon))
        return clock_monotonic();
    return list_empty(&h->timers) ? INT64_MAX : handle_of(h->timers.next)->at_us;
}

static void call(struct loop_handle *h)
{
    if (h->over)
        h->over(h);
    else
        h->called(h);
}

/* Each is unlinked before it is called, and any of them may stop or close the others. */
bool loop_turn(struct loop_hand *h)
{
    int64_t now = clock_monotonic();
    struct list mine;
    bool any;

    list_init(&mine);
    list_move(&mine, &h->soon);
    while (!list_empty(&h->timers) && handle_of(h->timers.next)->at_us <= now) {
        struct list *link = h->timers.next;

        list_del(link);
        list_add(&mine, link);
    }
    any = !list_empty(&mine);
    while (!list_empty(&mine)) {
        struct list *link = mine.next;

        list_del(link);
        call(handle_of(link));
    }
    return any;
}

/* The union is the handle's first member, so that libuv's pointer is ours. */
static struct loop_handle *of_uv(void *uv)
{
    return uv;
}

static void uv_woken(uv_async_t *uv)
{
    call(of_uv(uv));
}

static void uv_due(uv_timer_t *uv)
{
    call(of_uv(uv));
}

static void uv_over(uv_handle_t *uv)
{
    call(of_uv(uv));
}

static void init(uv_loop_t *loop, struct loop_handle *h, void (*called)(struct loop_handle *h))
{
    assert(loop || in_use);
    h->called = called;
    h->over = NULL;
    h->hand = loop ? NULL : in_use;
    list_init(&h->link);
}

int loop_wake_init(uv_loop_t *loop, struct loop_handle *h, void (*called)(struct loop_handle *h))
{
    int r = loop ? uv_async_init(loop, &h->uv.wake, uv_woken) : 0;

    init(loop, h, called);
    return r ? fault(r) : 0;
}

void loop_wake(struct loop_handle *h)
{
    if (!h->hand)
        uv_async_send(&h->uv.wake);
    else if (list_empty(&h->link))
        list_add(&h->hand->soon, &h->link);
}

void loop_timer_init(uv_loop_t *loop, struct loop_handle *h, void (*called)(struct loop_handle *h))
{
    if (loop)
        uv_timer_init(loop, &h->uv.timer);
    init(loop, h, called);
}

void loop_timer_unref(struct loop_handle *h)
{
    if (!h->hand)
        uv_unref(&h->uv.any);
}

static void hand_start(struct loop_handle *h, uint64_t ms)
{
    struct list *before;

    list_del(&h->link);
    h->at_us = clock_monotonic() + (int64_t)ms * CLOCK_MS;
    before = h->hand->timers.prev;
    while (before != &h->hand->timers && handle_of(before)->at_us > h->at_us)
        before = before->prev;
    list_add(before->next, &h->link);
}

void loop_timer_start(struct loop_handle *h, uint64_t ms)
{
    if (h->hand)
        hand_start(h, ms);
    else
        uv_timer_start(&h->uv.timer, uv_due, ms, 0);
}

void loop_timer_stop(struct loop_handle *h)
{
    if (h->hand)
        list_del(&h->link);
    else
        uv_timer_stop(&h->uv.timer);
}

void loop_close(struct loop_handle *h, void (*over)(struct loop_handle *h))
{
    assert(!h->over);
    h->over = over;
    if (!h->hand) {
        uv_close(&h->uv.any, uv_over);
        return;
    }
    list_del(&h->link);
    list_add(&h->hand->soon, &h->link);
}
