/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/bridge.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "store/channel.h"

#define CONNECT_MS     5000
#define BACKOFF_US_MIN (100 * CLOCK_MS)
#define BACKOFF_US_MAX (10 * CLOCK_S)
#define FOR_EVER       (3600 * CLOCK_S)

struct bridge {
    struct hub *hub;
    struct str url;
    struct arena memory;
    int64_t gather_us;
    pthread_t thread;
    int wake; /* an eventfd: there are news to tell, or it ends */
    struct channel *channel;
    struct prng prng;
    struct store_watch watch;
    bool lost; /* the connection, which was said */

    pthread_mutex_t lock;
    /* Under the lock. */
    bool stop;
    struct hub_news pending[BRIDGE_NEWS_MAX];
    size_t pending_n;
    bool everything;
    struct arena names; /* of `pending` */
    struct bridge_stats stats;
};

/* Messages. */

static const char letters[] = {[HUB_QUEUE] = 'q',  [HUB_RUNS] = 't',    [HUB_RUN_EVENTS] = 'r',
                               [HUB_EVENTS] = 'e', [HUB_DELAYED] = 'd', [HUB_PUSH] = 'p'};

static enum hub_topic topic_of(char letter)
{
    size_t i = 0;

    while (letters[i] != letter)
        i++;
    return (enum hub_topic)i;
}

void bridge_write(struct buf *out, const struct hub_news *news)
{
    char letter = letters[news->topic];

    /* Everybody's look is a number that no commit has. */
    if (news->topic == HUB_QUEUE)
        buf_printf(out, "%c%lld %zu:" STR_FMT, news->freed ? 'f' : letter,
                   news->n == HUB_ALL ? -1LL : (long long)news->n, news->queue.n,
                   STR_ARG(news->queue));
    else if (news->topic == HUB_RUN_EVENTS)
        buf_printf(out, "%c%lld", letter, (long long)news->run);
    else
        buf_printf(out, "%c", letter);
    buf_add(out, STR("\n"));
}

/* A number that ends with `end`, which is taken too. */
static bool take_number(struct str *text, char end, int64_t *ret)
{
    size_t at;

    if (!str_find(*text, end, &at) || !str_int64(str_sub(*text, 0, at), ret))
        return false;
    *text = str_sub(*text, at + 1, text->n);
    return true;
}

static bool take_queue(struct str *text, struct hub_news *ret)
{
    int64_t bytes;

    if (!take_number(text, ' ', &ret->n) || !take_number(text, ':', &bytes) || bytes < 0 ||
        (size_t)bytes >= text->n || text->p[bytes] != '\n')
        return false;
    ret->queue = str_sub(*text, 0, (size_t)bytes);
    *text = str_sub(*text, (size_t)bytes + 1, text->n);
    ret->n = ret->n < 0 ? HUB_ALL : ret->n;
    return true;
}

bool bridge_read(struct str *text, struct hub_news *ret)
{
    char letter = text->n ? text->p[0] : '\0';

    *ret = (struct hub_news){.n = HUB_ALL};
    *text = str_sub(*text, text->n ? 1 : 0, text->n);
    switch (letter) {
    case 'f':
    case 'q':
        ret->topic = HUB_QUEUE;
        ret->freed = letter == 'f';
        return take_queue(text, ret);
    case 'r':
        ret->topic = HUB_RUN_EVENTS;
        return take_number(text, '\n', &ret->run);
    case 'd':
    case 'e':
    case 'p':
    case 't':
        ret->topic = topic_of(letter);
        if (text->n == 0 || text->p[0] != '\n')
            return false;
        *text = str_sub(*text, 1, text->n);
        return true;
    default:
        return false;
    }
}

/* What is to be told. */

static bool same(const struct hub_news *a, const struct hub_news *b)
{
    return a->topic == b->topic && a->run == b->run && a->freed == b->freed &&
           str_eq(a->queue, b->queue);
}

/* Under the lock. */
static void pending_add(struct bridge *n, const struct hub_news *news)
{
    for (size_t i = 0; i < n->pending_n; i++) {
        struct hub_news *p = &n->pending[i];

        if (!same(p, news))
            continue;
        p->n = p->n == HUB_ALL || news->n == HUB_ALL ? HUB_ALL : p->n + news->n;
        return;
    }
    if (n->pending_n == BRIDGE_NEWS_MAX) {
        n->everything = true;
        return;
    }
    n->pending[n->pending_n] = *news;
    n->pending[n->pending_n++].queue = str_copy(&n->names, news->queue);
}

static void wake(struct bridge *n)
{
    uint64_t one = 1;

    while (write(n->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void outlet(void *context, const struct hub_news *list, size_t count)
{
    struct bridge *n = context;
    bool first;

    pthread_mutex_lock(&n->lock);
    first = !n->pending_n && !n->everything;
    n->everything |= count == 0;
    for (size_t i = 0; i < count && !n->everything; i++)
        pending_add(n, &list[i]);
    pthread_mutex_unlock(&n->lock);
    if (first)
        wake(n);
}

/* Take what is pending as a message. False: nothing is. */
static bool message_take(struct bridge *n, struct buf *out)
{
    bool any;

    pthread_mutex_lock(&n->lock);
    any = n->pending_n || n->everything;
    for (size_t i = 0; i < n->pending_n && !n->everything; i++) {
        bridge_write(out, &n->pending[i]);
        n->everything = out->full;
    }
    if (n->everything) {
        buf_clear(out);
        buf_add(out, STR("*"));
    }
    n->pending_n = 0;
    n->everything = false;
    arena_reset(&n->names);
    pthread_mutex_unlock(&n->lock);
    return any;
}

/* The thread. */

static bool stopped(struct bridge *n)
{
    bool stop;

    pthread_mutex_lock(&n->lock);
    stop = n->stop;
    pthread_mutex_unlock(&n->lock);
    return stop;
}

static void hear(struct bridge *n, struct str text)
{
    struct hub_news news[BRIDGE_NEWS_MAX];
    size_t count = 0;
    bool understood = true;

    while (text.n && understood && count < BRIDGE_NEWS_MAX) {
        understood = bridge_read(&text, &news[count]);
        count += understood;
    }
    if (understood && !text.n)
        hub_told(n->hub, news, count);
    else
        hub_all(n->hub);
}

static void count_up(struct bridge *n, uint64_t *what)
{
    pthread_mutex_lock(&n->lock);
    ++*what;
    pthread_mutex_unlock(&n->lock);
}

static void drain(int fd)
{
    uint64_t value;

    while (read(fd, &value, sizeof(value)) < 0 && errno == EINTR)
        continue;
}

/* One wait: what others told is passed on, and from `*tell_us` on what is pending is told. */
static int turn(struct bridge *n, int64_t *tell_us)
{
    char room[CHANNEL_TEXT_BYTES_MAX];
    int64_t now = clock_monotonic();
    struct str text;
    struct buf out;
    int r;

    /* The first news after a silence go at once, the next when the time is over. */
    if (now < *tell_us)
        r = channel_wait(n->channel, -1, *tell_us);
    else
        r = channel_wait(n->channel, n->wake, now + FOR_EVER);
    while (!r && channel_heard(n->channel, &text)) {
        count_up(n, &n->stats.heard);
        hear(n, text);
    }
    now = clock_monotonic();
    if (r || now < *tell_us)
        return r;
    drain(n->wake);
    buf_fixed(&out, room, sizeof(room));
    if (!message_take(n, &out))
        return 0;
    *tell_us = now + n->gather_us;
    count_up(n, &n->stats.told);
    return channel_tell(n->channel, buf_str(&out));
}

static void set_connected(struct bridge *n, bool connected)
{
    pthread_mutex_lock(&n->lock);
    n->stats.connected = connected;
    n->stats.connects += connected;
    pthread_mutex_unlock(&n->lock);
}

/* From a connection's begin to its end. Returns whether there was one. */
static bool connection(struct bridge *n)
{
    int64_t tell_us = 0;
    int r = channel_open(n->url, CONNECT_MS, &n->watch, &n->channel);
    bool connected = !r;

    if (connected) {
        if (n->lost)
            log_say(LOG_INFO, "bridge_found", LOG_TEXT("text", STR("news of others come again")));
        n->lost = false;
        set_connected(n, true);
        hub_all(n->hub);
        wake(n); /* for what was to be told meanwhile */
    }
    while (!r && !stopped(n))
        r = turn(n, &tell_us);
    if (r && !n->lost && !stopped(n))
        log_say(LOG_WARNING, "bridge_lost", LOG_TEXT("text", channel_error(n->channel)),
                LOG_TEXT("way", str_of(fault_take())));
    fault_take();
    n->lost = n->lost || r;
    n->channel = channel_free(n->channel);
    if (connected)
        set_connected(n, false);
    return connected;
}

/* News that come while nobody hears them are forgotten: the others look when they are told
 * everything. */
static void sleep_or_stop(struct bridge *n, int64_t us)
{
    int64_t until = clock_monotonic() + us, left;

    while ((left = until - clock_monotonic()) > 0 && !stopped(n)) {
        struct pollfd p = {.fd = n->wake, .events = POLLIN};

        if (poll(&p, 1, (int)(left / CLOCK_MS) + 1) > 0)
            drain(n->wake);
    }
    pthread_mutex_lock(&n->lock);
    n->everything = true;
    pthread_mutex_unlock(&n->lock);
}

static void *work(void *context)
{
    struct bridge *n = context;
    int64_t step = BACKOFF_US_MIN;

    while (!stopped(n)) {
        step = connection(n) ? BACKOFF_US_MIN : step;
        if (stopped(n))
            break;
        sleep_or_stop(n, step / 2 + (int64_t)prng_below(&n->prng, (uint64_t)step / 2 + 1));
        step = step * 2 < BACKOFF_US_MAX ? step * 2 : BACKOFF_US_MAX;
    }
    return NULL;
}

static void destroy(struct bridge *n)
{
    if (n->wake >= 0)
        close(n->wake);
    pthread_mutex_destroy(&n->lock);
    arena_deinit(&n->names);
    arena_deinit(&n->memory);
    free(n);
}

int bridge_new(const struct bridge_options *options, struct bridge **ret)
{
    struct bridge *n = memory_new(sizeof(*n));
    int r;

    n->hub = options->hub;
    n->url = str_copy(&n->memory, options->url);
    n->gather_us = options->gather_us ? options->gather_us : BRIDGE_GATHER_US;
    prng_seed(&n->prng, (uint64_t)clock_monotonic() ^ (uint64_t)getpid() << 32);
    pthread_mutex_init(&n->lock, NULL);
    n->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = n->wake < 0 ? -errno : -pthread_create(&n->thread, NULL, work, n);
    if (r) {
        destroy(n);
        return fault(r);
    }
    pthread_setname_np(n->thread, "weft-bridge");
    hub_set_outlet(n->hub, outlet, n);
    *ret = n;
    return 0;
}

struct bridge *bridge_free(struct bridge *n)
{
    if (!n)
        return NULL;
    hub_set_outlet(n->hub, NULL, NULL);
    pthread_mutex_lock(&n->lock);
    n->stop = true;
    pthread_mutex_unlock(&n->lock);
    atomic_store(&n->watch.stop_us, clock_monotonic());
    wake(n);
    pthread_join(n->thread, NULL);
    destroy(n);
    return NULL;
}

void bridge_stats(struct bridge *n, struct bridge_stats *ret)
{
    pthread_mutex_lock(&n->lock);
    *ret = n->stats;
    pthread_mutex_unlock(&n->lock);
}
