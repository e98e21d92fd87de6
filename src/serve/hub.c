/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/hub.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/prng.h"
#include "serve/loop.h"

enum wait_state {
    WAIT_IDLE,
    WAIT_LOOKING, /* linked in the place's `looking` */
    WAIT_ASLEEP,  /* in its `asleep` */
    WAIT_WOKEN,   /* in its seat's `woken`, or woken() was called and no new look has begun */
};

/* What can be waited for, while somebody does. */
struct hub_place {
    struct list link; /* of the hub's */
    struct list asleep, looking;
    size_t waits;   /* that name it, woken ones too */
    struct str key; /* in `memory` */
    struct arena memory;
    enum hub_topic topic;
    bool held;
    int64_t due_us;   /* one is woken then; 0: nobody knows of anything */
    int64_t net_us;   /* likewise */
    int64_t until_us; /* somebody wants to be woken then; 0: nobody does */
    /* Of events: */
    int64_t crowd_us; /* all were last woken */
    int64_t all_us;   /* there are news, and all are to be woken then; 0: none */
};

struct hub {
    pthread_mutex_t lock;
    struct map *places; /* by key, to struct hub_place * */
    struct list list;   /* all of them */
    struct prng prng;
    int64_t net_us;
    hub_outlet *outlet;
    void *outlet_context;
    struct hub_stats stats;
};

struct hub_seat {
    struct hub *hub;
    struct loop_handle wake, timer;
    int open_handles;
    int64_t armed_us; /* the loop's thread's: the timer's time; 0: it stands still */
    /* Under the hub's lock. */
    struct list woken;
    bool rearm; /* another seat may have had the only timer */
};

static struct hub_wait *wait_of(struct list *link)
{
    return LIST_OF(link, struct hub_wait, link);
}

static struct hub_place *place_of(struct list *link)
{
    return LIST_OF(link, struct hub_place, link);
}

/* Places. What follows runs under the lock. */

#define KEY_BYTES_MAX 300u

/* The topic's letter, and the queue's name or the run's number. */
static void key_of(struct buf *out, enum hub_topic topic, struct str queue, int64_t run)
{
    buf_printf(out, "%d ", (int)topic);
    if (topic == HUB_QUEUE)
        buf_add(out, queue);
    else if (topic == HUB_RUN_EVENTS)
        buf_printf(out, "%lld", (long long)run);
}

static struct hub_place *place_find(struct hub *h, enum hub_topic topic, struct str queue,
                                    int64_t run)
{
    char room[KEY_BYTES_MAX];
    struct buf key;
    uint64_t found;

    buf_fixed(&key, room, sizeof(room));
    key_of(&key, topic, queue, run);
    if (key.full || !map_get(h->places, buf_str(&key), &found))
        return NULL;
    return (struct hub_place *)(uintptr_t)found;
}

static struct hub_place *place_need(struct hub *h, const struct hub_wait *w)
{
    struct hub_place *p = place_find(h, w->topic, w->queue, w->run);
    char room[KEY_BYTES_MAX];
    struct buf key;

    if (p) {
        p->waits++;
        return p;
    }
    buf_fixed(&key, room, sizeof(room));
    key_of(&key, w->topic, w->queue, w->run);
    assert(!key.full); /* names of queues are shorter */
    p = memory_new(sizeof(*p));
    p->key = str_copy(&p->memory, buf_str(&key));
    p->topic = w->topic;
    p->waits = 1;
    list_init(&p->asleep);
    list_init(&p->looking);
    list_add(&h->list, &p->link);
    map_add(h->places, p->key, (uintptr_t)p);
    return p;
}

static void place_leave(struct hub *h, struct hub_place *p)
{
    if (--p->waits)
        return;
    map_del(h->places, p->key);
    list_del(&p->link);
    arena_deinit(&p->memory);
    free(p);
}

static int64_t want_of(const struct hub_wait *w)
{
    return w->want > 0 ? w->want : 1;
}

/* Hand a sleeper to its loop. */
static void rouse(struct hub *h, struct hub_wait *w, int64_t promised)
{
    struct hub_seat *seat = w->seat;
    bool first = list_empty(&seat->woken);

    list_del(&w->link);
    list_add(&seat->woken, &w->link);
    w->state = WAIT_WOKEN;
    w->promised = promised;
    h->stats.woken++;
    /* Under the lock, so that the seat cannot have been freed meanwhile. */
    if (first)
        loop_wake(&seat->wake);
}

/* `n` tasks for those that wait: the longest asleep first, then those that look. What is left is
 * found by whoever looks next. */
static void place_give(struct hub *h, struct hub_place *p, int64_t n)
{
    while (n > 0 && !list_empty(&p->asleep)) {
        struct hub_wait *w = wait_of(p->asleep.next);
        int64_t part = n < want_of(w) ? n : want_of(w);

        rouse(h, w, part);
        n -= part;
    }
    LIST_EACH(link, &p->looking)
    {
        struct hub_wait *w = wait_of(link);
        int64_t room = want_of(w) - w->later, part = n < room ? n : room;

        if (n <= 0)
            break;
        w->later += part;
        n -= part;
    }
}

static void place_all(struct hub *h, struct hub_place *p)
{
    while (!list_empty(&p->asleep))
        rouse(h, wait_of(p->asleep.next), 0);
    LIST_EACH(link, &p->looking) wait_of(link)->news = true;
}

static bool watched(const struct hub_place *p)
{
    return p->topic == HUB_RUN_EVENTS || p->topic == HUB_EVENTS;
}

/* Have a timer look at the places: a commit is told of on a store's thread. */
static void rearm(struct hub_place *p)
{
    struct hub_seat *seat = wait_of(p->asleep.next)->seat;

    seat->rearm = true;
    loop_wake(&seat->wake);
}

static void place_crowd(struct hub *h, struct hub_place *p, int64_t now)
{
    p->crowd_us = now;
    p->all_us = 0;
    place_all(h, p);
}

/* News of events are for all who watch: a crowd of them rests in between, so that what is watched
 * has the machine. */
static void place_events(struct hub *h, struct hub_place *p)
{
    int64_t now = clock_monotonic();
    int64_t free_at = p->crowd_us + (int64_t)p->waits * HUB_WATCHER_US;

    if (p->waits < HUB_CROWD || free_at <= now) {
        place_crowd(h, p, now);
    } else if (!p->all_us) {
        p->all_us = free_at;
        if (!list_empty(&p->asleep))
            rearm(p);
    }
}

static void tell(struct hub *h, const struct hub_news *news)
{
    struct hub_place *p = place_find(h, news->topic, news->queue, news->run);

    if (!p || (news->freed && !p->held))
        return;
    if (news->topic == HUB_QUEUE && news->n != HUB_ALL)
        place_give(h, p, news->n);
    else if (watched(p))
        place_events(h, p);
    else
        place_all(h, p);
}

/* Time. */

static int64_t jitter(struct hub *h, int64_t us)
{
    return us / 2 + (int64_t)prng_below(&h->prng, (uint64_t)us / 2 + 1);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return !a || (b && b < a) ? b : a;
}

static int64_t place_next(const struct hub_place *p)
{
    return sooner(sooner(p->due_us, p->net_us), sooner(p->until_us, p->all_us));
}

/* When the first place wants to be looked at; 0: none. */
static int64_t next_time(const struct hub *h)
{
    int64_t next = 0;

    LIST_EACH(link, &h->list)
    {
        const struct hub_place *p = place_of(link);

        if (!list_empty(&p->asleep))
            next = sooner(next, place_next(p));
    }
    return next;
}

/* Whoever has slept as long as it wanted. */
static void place_until(struct hub *h, struct hub_place *p, int64_t now)
{
    p->until_us = 0;
    LIST_EACH_SAFE(link, &p->asleep)
    {
        struct hub_wait *w = wait_of(link);

        if (w->until_us && w->until_us <= now)
            rouse(h, w, 0);
        else
            p->until_us = sooner(p->until_us, w->until_us);
    }
}

static void place_time(struct hub *h, struct hub_place *p, int64_t now)
{
    if (p->until_us && p->until_us <= now)
        place_until(h, p, now);
    if (p->all_us && p->all_us <= now)
        place_crowd(h, p, now); /* however many have come since it was said when */
    if (p->due_us && p->due_us <= now) {
        p->due_us = 0;
        place_give(h, p, 1);
    }
    if (p->net_us && p->net_us <= now && !list_empty(&p->asleep)) {
        p->net_us = now + jitter(h, h->net_us);
        h->stats.late++;
        /* One is enough for a queue: where it finds something, it wakes the next. */
        if (p->topic == HUB_QUEUE)
            place_give(h, p, 1);
        else
            place_all(h, p);
    }
}

/* Each seat's timer may be the one that finds a place due: whoever is first gives it away. */
static void seat_arm(struct hub_seat *seat, int64_t next)
{
    int64_t left = next - clock_monotonic();

    seat->armed_us = next;
    if (!next)
        loop_timer_stop(&seat->timer);
    else
        loop_timer_start(&seat->timer, left > 0 ? (uint64_t)((left + CLOCK_MS - 1) / CLOCK_MS) : 1);
}

static void time_comes(struct loop_handle *timer)
{
    struct hub_seat *seat = LIST_OF(timer, struct hub_seat, timer);
    struct hub *h = seat->hub;
    int64_t now = clock_monotonic(), next;

    pthread_mutex_lock(&h->lock);
    LIST_EACH(link, &h->list) place_time(h, place_of(link), now);
    next = next_time(h);
    pthread_mutex_unlock(&h->lock);
    seat_arm(seat, next);
}

/* Seats. */

static void seat_turn(struct loop_handle *wake)
{
    struct hub_seat *seat = LIST_OF(wake, struct hub_seat, wake);
    struct hub *h = seat->hub;
    int64_t next = -1;

    pthread_mutex_lock(&h->lock);
    /* One by one, since woken() may forget others that are linked here; and no more than there are
     * now, so that the loop comes to its other work. */
    for (size_t n = h->stats.waiting; n && !list_empty(&seat->woken); n--) {
        struct hub_wait *w = wait_of(seat->woken.next);

        list_del(&w->link);
        pthread_mutex_unlock(&h->lock);
        w->woken(w);
        pthread_mutex_lock(&h->lock);
    }
    if (!list_empty(&seat->woken))
        loop_wake(wake);
    if (seat->rearm)
        next = next_time(h);
    seat->rearm = false;
    pthread_mutex_unlock(&h->lock);
    if (next >= 0)
        seat_arm(seat, next);
}

int hub_seat_new(struct hub *h, uv_loop_t *loop, struct hub_seat **ret)
{
    struct hub_seat *seat = memory_new(sizeof(*seat));
    int r = loop_wake_init(loop, &seat->wake, seat_turn);

    if (r) {
        free(seat);
        return fault(r);
    }
    loop_timer_init(loop, &seat->timer, time_comes);
    /* Waiting keeps no loop alive; what is waited for does. */
    loop_timer_unref(&seat->timer);
    seat->open_handles = 2;
    seat->hub = h;
    list_init(&seat->woken);
    *ret = seat;
    return 0;
}

static void seat_close(struct hub_seat *seat)
{
    if (--seat->open_handles == 0)
        free(seat);
}

static void wake_closed(struct loop_handle *h)
{
    seat_close(LIST_OF(h, struct hub_seat, wake));
}

static void timer_closed(struct loop_handle *h)
{
    seat_close(LIST_OF(h, struct hub_seat, timer));
}

struct hub_seat *hub_seat_free(struct hub_seat *seat)
{
    if (seat) {
        assert(list_empty(&seat->woken));
        loop_close(&seat->wake, wake_closed);
        loop_close(&seat->timer, timer_closed);
    }
    return NULL;
}

/* Waiting. */

void hub_look(struct hub_wait *w)
{
    struct hub *h = w->seat->hub;

    pthread_mutex_lock(&h->lock);
    if (w->state == WAIT_IDLE) {
        list_init(&w->link);
        w->promised = w->later = 0;
        w->was_woken = false;
        w->place = place_need(h, w);
        h->stats.waiting++;
    } else {
        /* A look that follows a wake-up; or another one at once, whose turn has not come. */
        w->was_woken = true;
        w->promised += w->later;
        w->later = 0;
        list_del(&w->link);
    }
    w->news = false;
    w->state = WAIT_LOOKING;
    list_add(&w->place->looking, &w->link);
    pthread_mutex_unlock(&h->lock);
}

void hub_look_with(struct hub_wait *w, const struct hub_wait *other)
{
    struct hub *h = w->seat->hub;

    hub_look(w);
    pthread_mutex_lock(&h->lock);
    assert(other->state == WAIT_LOOKING && other->place == w->place);
    w->news = other->news;
    pthread_mutex_unlock(&h->lock);
}

/* What the newest look learned. Returns when the place wants to be looked at. */
static int64_t found_keep(struct hub *h, const struct hub_wait *w, const struct hub_found *found)
{
    struct hub_place *p = w->place;
    int64_t now = clock_monotonic(), due = found ? found->due_us : 0;

    p->held = found && found->held;
    if (due && due < now + HUB_DUE_US_MIN)
        due = now + HUB_DUE_US_MIN;
    if (due && (!p->due_us || due < p->due_us))
        p->due_us = due;
    /* Who looks about as often needs no net. */
    if (!p->net_us && (!w->looks_us || w->looks_us > 2 * h->net_us))
        p->net_us = now + jitter(h, h->net_us);
    return place_next(p);
}

void hub_sleep(struct hub_wait *w, const struct hub_found *found)
{
    struct hub_seat *seat = w->seat;
    struct hub *h = seat->hub;
    int64_t next, later;

    pthread_mutex_lock(&h->lock);
    assert(w->state == WAIT_LOOKING);
    later = w->later;
    w->promised = w->later = 0;
    list_del(&w->link);
    w->state = WAIT_ASLEEP;
    /* Who had its turn for nothing keeps its place. */
    list_add(w->was_woken ? w->place->asleep.next : &w->place->asleep, &w->link);
    w->place->until_us = sooner(w->place->until_us, w->until_us);
    next = found_keep(h, w, found);
    if (w->news || later)
        rouse(h, w, later);
    pthread_mutex_unlock(&h->lock);
    /* A place without a time leaves the timer to the others. */
    if (next && (!seat->armed_us || next < seat->armed_us))
        seat_arm(seat, next);
}

void hub_forget(struct hub_wait *w, int64_t took)
{
    struct hub *h;
    struct hub_place *p;
    int64_t rest;

    if (w->state == WAIT_IDLE)
        return;
    h = w->seat->hub;
    p = w->place;
    pthread_mutex_lock(&h->lock);
    list_del(&w->link);
    rest = w->promised + w->later - took;
    w->state = WAIT_IDLE;
    w->place = NULL;
    h->stats.waiting--;
    if (rest > 0)
        place_give(h, p, rest);
    if (!list_empty(&p->asleep) && wait_of(p->asleep.next)->seat != w->seat)
        rearm(p);
    place_leave(h, p);
    pthread_mutex_unlock(&h->lock);
}

/* News. */

#define NEWS_MAX 64u

struct news {
    struct hub *hub;
    struct hub_news list[NEWS_MAX];
    size_t n;
};

static void news_tell(struct news *news)
{
    struct hub *h = news->hub;

    if (!news->n)
        return;
    hub_told(h, news->list, news->n);
    if (h->outlet)
        h->outlet(h->outlet_context, news->list, news->n);
    news->n = 0;
}

static void news_add(struct news *news, struct hub_news one)
{
    if (news->n == NEWS_MAX)
        news_tell(news);
    news->list[news->n++] = one;
}

/* How many of those that wait for a queue may find something, by what one count says. */
static int64_t worth(const struct tx_tally *t, bool *ret_held)
{
    bool live = t->state == TASK_LEASED || t->state == TASK_RUNNING;

    *ret_held = live && t->n < 0;
    if (t->touched)
        return HUB_ALL;
    if (t->state == TASK_READY && t->n > 0)
        return t->n;
    /* It may be due before all that is known. */
    if (t->state == TASK_DELAYED && t->n > 0)
        return 1;
    return *ret_held ? -t->n : 0;
}

static void news_of_tallies(struct news *news, const struct tx *tx)
{
    bool runs = false, delayed = false;

    for (size_t i = 0; i < tx->tallied_n; i++) {
        const struct tx_tally *t = &tx->tallies[i];
        bool held;
        int64_t n = worth(t, &held);

        delayed |= t->state == TASK_DELAYED && t->n > 0;
        if (n && t->run)
            runs = true;
        else if (n)
            news_add(news, (struct hub_news){
                               .topic = HUB_QUEUE, .queue = t->queue, .n = n, .freed = held});
    }
    if (runs)
        news_add(news, (struct hub_news){.topic = HUB_RUNS, .n = HUB_ALL});
    if (delayed)
        news_add(news, (struct hub_news){.topic = HUB_DELAYED, .n = HUB_ALL});
}

/* Events of one run are neighbours. */
static void news_of_events(struct news *news, const struct tx *tx)
{
    int64_t newest = 0;

    for (size_t i = 0; i < tx->events_n; i++) {
        int64_t run = tx->events[i].run;

        if (run && run != newest)
            news_add(news, (struct hub_news){.topic = HUB_RUN_EVENTS, .run = run, .n = HUB_ALL});
        newest = run ? run : newest;
    }
    if (tx->events_n)
        news_add(news, (struct hub_news){.topic = HUB_EVENTS, .n = HUB_ALL});
}

void hub_committed(struct hub *h, const struct tx *tx)
{
    struct news news = {.hub = h};

    news_of_tallies(&news, tx);
    news_of_events(&news, tx);
    if (tx->pushed)
        news_add(&news, (struct hub_news){.topic = HUB_PUSH, .n = HUB_ALL});
    news_tell(&news);
}

void hub_committed_unseen(struct hub *h)
{
    hub_all(h);
    if (h->outlet)
        h->outlet(h->outlet_context, NULL, 0);
}

void hub_told(struct hub *h, const struct hub_news *list, size_t n)
{
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < n && !list_empty(&h->list); i++)
        tell(h, &list[i]);
    pthread_mutex_unlock(&h->lock);
}

void hub_all(struct hub *h)
{
    pthread_mutex_lock(&h->lock);
    LIST_EACH(link, &h->list) place_all(h, place_of(link));
    pthread_mutex_unlock(&h->lock);
}

void hub_set_outlet(struct hub *h, hub_outlet *outlet, void *context)
{
    h->outlet = outlet;
    h->outlet_context = context;
}

void hub_stats(struct hub *h, struct hub_stats *ret)
{
    pthread_mutex_lock(&h->lock);
    *ret = h->stats;
    pthread_mutex_unlock(&h->lock);
}

struct hub *hub_new(const struct hub_options *options)
{
    struct hub *h = memory_new(sizeof(*h));
    uint64_t seed = options ? options->seed : 0;
    ssize_t n = seed ? (ssize_t)sizeof(seed) : getrandom(&seed, sizeof(seed), 0);

    assert(n == sizeof(seed));
    prng_seed(&h->prng, seed);
    h->net_us = options && options->net_us ? options->net_us : HUB_NET_US;
    h->places = map_new();
    list_init(&h->list);
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

struct hub *hub_free(struct hub *h)
{
    if (h) {
        assert(list_empty(&h->list));
        map_free(h->places);
        pthread_mutex_destroy(&h->lock);
        free(h);
    }
    return NULL;
}
