/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "pool/pool_state.h"

#define LENT_OF(c) LIST_OF(c, struct pool_call, lent)

struct pool_session_state *pool_session_find(const struct pool *p, struct str id)
{
    uint64_t found;

    return map_get(p->sessions, id, &found) ? (struct pool_session_state *)(uintptr_t)found : NULL;
}

struct pool_session_state *pool_session_begin(struct pool *p, struct str id, int64_t now)
{
    struct pool_session_state *s;
    char *copy;

    if (p->sessions_n == POOL_SESSIONS_MAX)
        return NULL;
    s = memory_new(sizeof(*s) + id.n);
    copy = (char *)(s + 1);
    memcpy(copy, id.p, id.n);
    s->id = (struct str){copy, id.n};
    s->opened_us = s->used_us = now;
    lend_session_init(&s->lent);
    list_add(&p->session_list, &s->link);
    map_add(p->sessions, s->id, (uintptr_t)s);
    p->sessions_n++;
    return s;
}

static void forget(struct pool *p, struct pool_session_state *s)
{
    heap_del(&p->sessions_due, &s->due);
    lend_session_deinit(&s->lent);
    map_del(p->sessions, s->id);
    list_del(&s->link);
    p->sessions_n--;
    free(s);
}

/* Until when it may be left alone; INT64_MAX: for ever. */
static int64_t due_us(const struct pool *p, const struct pool_session_state *s)
{
    const struct pool_settings *set = &p->settings;
    int64_t due = INT64_MAX;

    if (set->session_idle_us && s->lent.calls == 0)
        due = s->used_us + set->session_idle_us;
    if (set->checkout_us && !s->ending && s->opened_us + set->checkout_us < due)
        due = s->opened_us + set->checkout_us;
    return due;
}

static void wake(struct pool *p, struct pool_session_state *s)
{
    int64_t due = due_us(p, s);

    if (due == INT64_MAX)
        heap_del(&p->sessions_due, &s->due);
    else
        heap_set(&p->sessions_due, &s->due, due);
}

void pool_session_use(struct pool *p, struct pool_session_state *s, int64_t now)
{
    s->used_us = now;
    s->calls++;
    wake(p, s);
}

void pool_session_rest(struct pool *p, struct pool_session_state *s, int64_t now)
{
    if (s->lent.calls)
        return;
    s->used_us = now;
    if (s->ending)
        pool_session_finish(p, s, s->ending, now);
    else
        wake(p, s);
}

/* Those who wait in its line. */
static void refuse_line(struct pool *p, struct pool_session_state *s, const char *text)
{
    while (!list_empty(&s->lent.line))
        pool_call_end(p, LENT_OF(LIST_OF(s->lent.line.next, struct lend_call, link)),
                      CODE_SESSION_LOST, "%s", text);
}

/* It has no calls any more, or none but those that it began with. */
void pool_session_finish(struct pool *p, struct pool_session_state *s, const char *why, int64_t now)
{
    struct lend_process *lent = s->lent.process;
    struct pool_process *w = lent ? LIST_OF(lent, struct pool_process, lent) : NULL;

    if (w) {
        lend_unbind(&p->lend, &s->lent);
        pool_process_end_session(p, w, s->id, now);
    }
    p->wire.session(p->wire.context, s->id, CODE_OK, why);
    forget(p, s);
    if (w)
        pool_process_rest(p, w, now);
}

static void begin_end(struct pool *p, struct pool_session_state *s, const char *why, int64_t now)
{
    s->ending = why;
    refuse_line(p, s, "the session was ended");
    pool_session_rest(p, s, now);
}

void pool_session_lose(struct pool *p, struct pool_process *w, int64_t now)
{
    LIST_EACH_SAFE(it, &w->lent.sessions)
    {
        struct pool_session_state *s =
            LIST_OF(LIST_OF(it, struct lend_session, link), struct pool_session_state, lent);

        refuse_line(p, s, "the process that kept the session has ended");
        lend_unbind(&p->lend, &s->lent);
        s->lost = true;
        p->wire.session(p->wire.context, s->id, CODE_SESSION_LOST, "process_ended");
        pool_session_rest(p, s, now);
    }
}

void pool_session_due(struct pool *p, struct pool_session_state *s, int64_t now)
{
    bool idle = s->lent.calls == 0;

    heap_del(&p->sessions_due, &s->due);
    begin_end(p, s,
              idle && p->settings.session_idle_us && now - s->used_us >= p->settings.session_idle_us
                  ? "idle"
                  : "checkout",
              now);
}

enum code pool_open(struct pool *p, struct str session, int64_t now)
{
    struct pool_session_state *s = pool_session_find(p, session);

    if (s && !s->lost)
        return CODE_SESSION_MISMATCH;
    if (s && s->lent.calls == 0)
        forget(p, s);
    s = pool_session_begin(p, session, now);
    if (!s)
        return CODE_POOL_FULL;
    wake(p, s);
    return CODE_OK;
}

enum code pool_end(struct pool *p, struct str session, int64_t now)
{
    struct pool_session_state *s = pool_session_find(p, session);

    if (!s || s->ending)
        return CODE_SESSION_NOT_FOUND;
    begin_end(p, s, "ended", now);
    pool_keep(p, now);
    return CODE_OK;
}

void pool_session_free_all(struct pool *p)
{
    LIST_EACH_SAFE(it, &p->session_list)
    forget(p, LIST_OF(it, struct pool_session_state, link));
}

static struct pool_session_look look_at(const struct pool_session_state *s, int64_t now)
{
    struct lend_process *w = s->lent.process;

    return (struct pool_session_look){
        .id = s->id,
        .lost = s->lost,
        .process = w ? LIST_OF(w, struct pool_process, lent)->id : 0,
        .age_us = now - s->opened_us,
        .idle_us = s->lent.calls ? 0 : now - s->used_us,
        .calls = s->calls,
    };
}

bool pool_session(const struct pool *p, struct str session, int64_t now,
                  struct pool_session_look *ret)
{
    struct pool_session_state *s = pool_session_find(p, session);

    if (!s)
        return false;
    *ret = look_at(s, now);
    return true;
}

void pool_each_session(const struct pool *p, int64_t now,
                       void (*look)(void *context, const struct pool_session_look *l),
                       void *context)
{
    LIST_EACH(it, &p->session_list)
    {
        struct pool_session_look l = look_at(LIST_OF(it, struct pool_session_state, link), now);

        look(context, &l);
    }
}
