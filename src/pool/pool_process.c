/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "pool/pool_state.h"

struct pool_process *pool_process_find(const struct pool *p, uint64_t id)
{
    uint64_t found;

    return map_get(p->by_id, map_key(&id), &found) ? (struct pool_process *)(uintptr_t)found : NULL;
}

static void move(struct pool *p, struct pool_process *w, enum worker_event event, const char *why)
{
    enum worker_state from = w->state;
    const char *rule;

    if (worker_move(&w->state, event, &rule))
        return;
    p->states[from]--;
    p->states[w->state]++;
    w->why = why;
    if (from != w->state)
        log_say(LOG_DEBUG, "pool_process_moved", LOG_TEXT("pool", p->settings.name),
                LOG_NUMBER("process", (int64_t)w->id), LOG_TEXT("from", worker_state_text(from)),
                LOG_TEXT("to", worker_state_text(w->state)), LOG_TEXT("why", str_of(why)));
}

struct pool_process *pool_process_start(struct pool *p, int64_t now)
{
    struct pool_process *w = memory_new(sizeof(*w));

    w->id = ++p->last_process;
    w->lent = (struct lend_process){.places = 1, .sessions_max = p->settings.sessions};
    w->asked_us = now;
    w->due_us = now + p->settings.start_us;
    w->share = recycle_share(&p->prng);
    w->why = "it was asked for";
    list_init(&w->flights);
    frame_reader_init(&w->reader, p->settings.message_bytes_max);
    list_add(&p->processes, &w->link);
    lend_add(&p->lend, &w->lent);
    map_add(p->by_id, map_key(&w->id), (uintptr_t)w);
    p->states[WORKER_JOINING]++;
    p->counts.started++;
    pool_process_wake(p, w, now);
    p->wire.start(p->wire.context, w->id);
    return w;
}

void pool_process_send(struct pool *p, struct pool_process *w)
{
    if (!w->deaf)
        p->wire.send(p->wire.context, w->id, buf_str(&p->out));
    buf_clear(&p->out);
}

static void ask(struct pool *p, struct pool_process *w, enum pool_flight_kind kind,
                struct str command, struct str session)
{
    struct pool_flight *f = memory_new(sizeof(*f));

    *f = (struct pool_flight){.kind = kind, .id = ++w->last_id};
    list_add(&w->flights, &f->link);
    message_call(&p->out,
                 &(struct message_call){.id = f->id, .command = command, .session = session});
    pool_process_send(p, w);
}

static void ping(struct pool *p, struct pool_process *w, int64_t now)
{
    w->pinged = true;
    w->due_us = now + p->settings.ping_us;
    ask(p, w, POOL_FLIGHT_PING, STR(MESSAGE_PING), STR(""));
}

void pool_started(struct pool *p, uint64_t id, int64_t now)
{
    struct pool_process *w = pool_process_find(p, id);

    if (!w || w->state != WORKER_JOINING || w->pinged)
        return;
    ping(p, w, now);
    w->due_us = w->asked_us + p->settings.start_us;
    pool_process_wake(p, w, now);
}

void pool_process_end_session(struct pool *p, struct pool_process *w, struct str session,
                              int64_t now)
{
    if (w->deaf)
        return;
    if (w->ends == POOL_IN_FLIGHT_MAX) {
        pool_process_lose(p, w, STR("it does not answer to the ends of sessions"), now);
        return;
    }
    w->ends++;
    ask(p, w, POOL_FLIGHT_END, STR(MESSAGE_END_SESSION), session);
}

/* When it is looked at. */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Where it is superfluous, it ends when it was idle for long enough; where it is old, at once. */
static int64_t rest_due(const struct pool *p, const struct pool_process *w)
{
    const struct pool_settings *s = &p->settings;
    int64_t due = w->due_us;

    if (p->states[WORKER_READY] > s->size && w->lent.used == 0 && w->lent.sessions_n == 0)
        due = earlier(due, w->idle_us + s->overflow_idle_us);
    if (s->recycle.age_us && !w->recycle)
        due = earlier(due, w->asked_us + (int64_t)((double)s->recycle.age_us * w->share) + 1);
    return due;
}

void pool_process_wake(struct pool *p, struct pool_process *w, int64_t now)
{
    (void)now;
    if (w->state == WORKER_LOST || w->stopping)
        heap_del(&p->processes_due, &w->due);
    else
        heap_set(&p->processes_due, &w->due, w->state == WORKER_READY ? rest_due(p, w) : w->due_us);
}

/* States. */

/* What it has given out it has lost, and so has the session of a call. */
static void lose_flights(struct pool *p, struct pool_process *w, struct str why)
{
    LIST_EACH_SAFE(it, &w->flights)
    {
        struct pool_flight *f = LIST_OF(it, struct pool_flight, link);
        struct pool_call *c = LIST_OF(f, struct pool_call, flight);

        if (f->kind != POOL_FLIGHT_CALL) {
            list_del(&f->link);
            free(f);
        } else if (c->lent.session && c->lent.session->process == &w->lent) {
            pool_call_end(p, c, CODE_SESSION_LOST,
                          "the process that kept the session ended: " STR_FMT, STR_ARG(why));
        } else {
            pool_call_end(p, c, CODE_WORKER_LOST, "the process that did the call ended: " STR_FMT,
                          STR_ARG(why));
        }
    }
    w->late = w->ends = 0;
    w->pinged = false;
}

static void part(struct pool *p, struct pool_process *w, struct str why, int64_t now)
{
    lend_close(&w->lent);
    w->deaf = true;
    lose_flights(p, w, why);
    pool_session_lose(p, w, now);
}

void pool_process_lose(struct pool *p, struct pool_process *w, struct str why, int64_t now)
{
    bool joining = w->state == WORKER_JOINING;

    if (w->state == WORKER_LOST || w->stopping)
        return;
    log_say(LOG_WARNING, "pool_process_lost", LOG_TEXT("pool", p->settings.name),
            LOG_NUMBER("process", (int64_t)w->id), LOG_TEXT("why", why));
    move(p, w, WORKER_EVENT_EXPIRE, "it was given up");
    p->counts.lost++;
    part(p, w, why, now);
    p->wire.stop(p->wire.context, w->id, POOL_KILL);
    pool_process_wake(p, w, now);
    if (joining)
        pool_keep_failed(p, why, now);
}

void pool_process_gone(struct pool *p, struct pool_process *w, int64_t now)
{
    part(p, w, STR("it is gone"), now);
    p->states[w->state]--;
    heap_del(&p->processes_due, &w->due);
    map_del(p->by_id, map_key(&w->id));
    list_del(&w->link);
    lend_remove(&p->lend, &w->lent);
    frame_reader_deinit(&w->reader);
    free(w);
}

void pool_ended(struct pool *p, uint64_t id, struct str how, int64_t now)
{
    struct pool_process *w = pool_process_find(p, id);

    if (!w)
        return;
    if (!w->stopping)
        pool_process_lose(p, w, how, now);
    pool_process_gone(p, w, now);
    pool_keep(p, now);
    pool_call_tell(p);
}

void pool_process_suspect(struct pool *p, struct pool_process *w, const char *why, int64_t now)
{
    if (w->held) {
        w->held = false;
        p->wire.read(p->wire.context, w->id, true);
    }
    if (w->state != WORKER_READY)
        return;
    move(p, w, WORKER_EVENT_QUIET, why);
    lend_close(&w->lent);
    if (!w->pinged)
        ping(p, w, now);
    w->due_us = now + p->settings.suspect_us;
    pool_process_wake(p, w, now);
}

static void become_ready(struct pool *p, struct pool_process *w, const char *why, int64_t now)
{
    move(p, w, WORKER_EVENT_BEAT, why);
    w->due_us = now + p->settings.health_us;
    w->idle_us = now;
    lend_open(&w->lent);
    pool_call_serve(p, w, now);
    pool_process_wake(p, w, now);
}

static void join(struct pool *p, struct pool_process *w, const struct message_reply *reply,
                 int64_t now)
{
    const struct pool_settings *s = &p->settings;
    struct message_able able;

    if (reply->kind == MESSAGE_ERROR) {
        char text[POOL_TEXT_BYTES];
        struct buf b;

        buf_fixed(&b, text, sizeof(text));
        buf_add(&b, STR("its first ping was answered with an error: "));
        message_error_text(reply->value, 100, &b);
        pool_process_lose(p, w, buf_str(&b), now);
        return;
    }
    message_able(reply->value, &able);
    if (able.in_flight > 1)
        w->lent.places = able.in_flight < s->in_flight ? (unsigned)able.in_flight : s->in_flight;
    if (able.sessions > 0 && able.sessions < s->sessions)
        w->lent.sessions_max = (unsigned)able.sessions;
    pool_keep_joined(p);
    become_ready(p, w, "its first ping was answered", now);
    pool_keep(p, now); /* the one that it replaces may go */
}

/* It owes nothing any more but what it does for others. */
static void recover(struct pool *p, struct pool_process *w, int64_t now)
{
    if (w->state == WORKER_SUSPECT && w->late == 0 && !w->pinged)
        become_ready(p, w, "it answered all that it owed", now);
}

static void pinged(struct pool *p, struct pool_process *w, const struct message_reply *reply,
                   int64_t now)
{
    w->pinged = false;
    if (w->state == WORKER_JOINING) {
        join(p, w, reply, now);
    } else if (w->state == WORKER_READY) {
        w->due_us = now + p->settings.health_us;
        pool_process_wake(p, w, now);
    }
}

static void heard_own(struct pool *p, struct pool_process *w, struct pool_flight *f,
                      const struct message_reply *reply, int64_t now)
{
    enum pool_flight_kind kind = f->kind;

    if (reply->kind == MESSAGE_CHUNK)
        return; /* of a call that nobody waits for */
    list_del(&f->link);
    free(f);
    if (kind == POOL_FLIGHT_PING) {
        pinged(p, w, reply, now);
    } else if (kind == POOL_FLIGHT_LATE) {
        w->late--;
        p->counts.late++;
    } else {
        w->ends--;
    }
    recover(p, w, now);
    pool_process_rest(p, w, now);
}

void pool_process_heard(struct pool *p, struct pool_process *w, const struct message_reply *reply,
                        int64_t now)
{
    char text[POOL_TEXT_BYTES];

    LIST_EACH(it, &w->flights)
    {
        struct pool_flight *f = LIST_OF(it, struct pool_flight, link);

        if (f->id != reply->id)
            continue;
        if (f->kind == POOL_FLIGHT_CALL)
            pool_call_reply(p, w, LIST_OF(f, struct pool_call, flight), reply, now);
        else
            heard_own(p, w, f, reply, now);
        return;
    }
    snprintf(text, sizeof(text), "it answered %" PRId64 ", which %s", reply->id,
             reply->id > 0 && reply->id <= w->last_id ? "it had answered before"
                                                      : "it was never asked");
    pool_process_lose(p, w, str_of(text), now);
}

/* Ending. */

static void stop(struct pool *p, struct pool_process *w, int64_t now)
{
    message_shutdown(&p->out);
    pool_process_send(p, w);
    w->stopping = true;
    w->deaf = true;
    pool_process_wake(p, w, now);
    p->wire.stop(p->wire.context, w->id, POOL_TERM);
}

void pool_process_drain(struct pool *p, struct pool_process *w, const char *why, int64_t now)
{
    int64_t due = now + p->settings.drain_us;

    if (w->stopping || w->state == WORKER_LOST || w->state == WORKER_DRAINING)
        return;
    if (w->state != WORKER_READY) {
        /* There is nothing that it could end in peace. */
        pool_process_lose(p, w, str_of(why), now);
        return;
    }
    move(p, w, WORKER_EVENT_DRAIN, why);
    lend_close(&w->lent);
    w->due_us = p->draining ? earlier(due, p->drain_us) : due;
    pool_process_rest(p, w, now);
    pool_process_wake(p, w, now);
}

void pool_process_rest(struct pool *p, struct pool_process *w, int64_t now)
{
    if (w->deaf)
        return;
    if (w->held && w->lent.used == 0) {
        w->held = false;
        p->wire.read(p->wire.context, w->id, true);
    }
    if (w->state == WORKER_READY)
        pool_call_serve(p, w, now);
    if (w->lent.used)
        return;
    w->idle_us = now;
    if (w->state == WORKER_DRAINING && (w->lent.sessions_n == 0 || p->draining))
        stop(p, w, now);
    else if (w->state == WORKER_READY &&
             (p->settings.recycle.calls || p->states[WORKER_READY] > p->settings.size))
        pool_keep(p, now);
}

static void look(struct pool *p, struct pool_process *w, int64_t now)
{
    if (now < w->due_us)
        pool_keep(p, now); /* it is old, or superfluous */
    else if (w->pinged)
        pool_process_suspect(p, w, "it did not answer a ping in time", now);
    else if (w->lent.used == 0)
        ping(p, w, now);
    else
        w->due_us = now + p->settings.health_us; /* whoever called it will see */
}

void pool_process_due(struct pool *p, struct pool_process *w, int64_t now)
{
    switch (w->state) {
    case WORKER_JOINING:
        pool_process_lose(p, w, STR("it was not ready in time"), now);
        break;
    case WORKER_READY:
        look(p, w, now);
        break;
    case WORKER_SUSPECT:
        pool_process_lose(p, w, STR("it did not answer what it owed"), now);
        break;
    case WORKER_DRAINING:
        part(p, w, STR("it is replaced, and did not end in time"), now);
        w->stopping = true;
        p->wire.stop(p->wire.context, w->id, POOL_TERM);
        break;
    default:
        assert(false);
    }
}
