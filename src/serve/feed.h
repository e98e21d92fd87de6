/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed: the events of a run, or of all, read once for all that watch them.
 *
 * Watchers that look behind the same event take part in one read of the store, and its page is kept
 * for those that come to it later: the last FEED_PAGES_MAX of them, until everybody has all. Who is
 * further behind reads for itself. A page holds all events, so that watchers with different filters
 * share it; each makes of it what it sends, and an event becomes a message, and its bytes, once.
 */
#ifndef SERVE_FEED_H
#define SERVE_FEED_H

#include "api/call.h"
#include "api/weft.pb-c.h"
#include "base/list.h"
#include "engine/event.h"

#define FEED_EVENTS_MAX 500 /* of a page */
#define FEED_PAGES_MAX  8u

struct feeds;

/* What one read of the store found. */
struct feed_read {
    struct event_rows events;
    bool more; /* there may be more behind it */
    bool over; /* the run has ended, and these are its last events */
};

struct feed_page {
    struct feed_read read;
    int64_t after, seen; /* it holds the events behind `after`, up to `seen` */
    unsigned refs;
    struct arena arena;
    Weft__V1__Event **messages; /* NULL: nobody was sent it */
    struct call_bytes *bytes;
    struct list link; /* of the feed's */
};

struct feed {
    int64_t run;
    struct feeds *feeds;
    struct list reads; /* of the watchers', struct feed_reader */
    struct list pages; /* the newest last */
    size_t pages_n;
    size_t watchers; /* that have entered … */
    size_t idle;     /* … and have nothing to send and nothing to read */
};

/* A read that is under way, in the memory of the watcher that began it. */
struct feed_reader {
    int64_t after;
    struct list link;
    struct list joined; /* those that take part, by links of their own */
};

struct feeds *feed_all_new(void);
/* Nobody watches. */
struct feeds *feed_all_free(struct feeds *f);

/* A watcher comes and goes. */
struct feed *feed_enter(struct feeds *f, int64_t run);
void feed_leave(struct feed *f);
/* It has all there is, and has not any more. */
void feed_idle(struct feed *f);
void feed_busy(struct feed *f);

/* A page with events behind `after`, with a reference for the caller; NULL: none is kept. */
struct feed_page *feed_find(struct feed *f, int64_t after);
/* A read of the same events that is under way; NULL: none is. */
struct feed_reader *feed_reading(const struct feed *f, int64_t after);
void feed_reading_begins(struct feed *f, struct feed_reader *r, int64_t after);

/* What a read found, whose memory is taken over; with a reference for the caller. Others find it
 * where it holds events. */
struct feed_page *feed_found(struct feed *f, int64_t after, const struct feed_read *read,
                             struct arena *memory);
struct feed_page *feed_page_unref(struct feed_page *p);
/* The message of an event of the page, which lives as long as the page. */
Weft__V1__Event *feed_page_message(struct feed_page *p, size_t i);

#endif
