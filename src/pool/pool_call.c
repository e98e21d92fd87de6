/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "pool/pool_state.h"

#define CALL_OF_LENT(c) LIST_OF(c, struct pool_call, lent)

static struct pool_session_state *session_of(const struct pool_call *c)
{
    struct lend_session *s = c->lent.session;

    return s ? LIST_OF(s, struct pool_session_state, lent) : NULL;
}

static struct pool_process *process_of(const struct pool_call *c)
{
    struct lend_process *w = c->lent.process;

    return w ? LIST_OF(w, struct pool_process, lent) : NULL;
}

/* Its way out of the lists; its session and its process may rest. */
static void leave(struct pool *p, struct pool_call *c)
{
    heap_del(&p->calls_due, &c->due);
    if (c->state == POOL_CALL_SENT) {
        list_del(&c->flight.link);
        p->counts.calls--;
        lend_return(&c->lent);
    } else {
        lend_leave(&p->lend, &c->lent);
    }
}

static void refuse(struct pool_answer *ret, enum code code, const char *text)
{
    *ret = (struct pool_answer){.code = code, .text = str_of(text)};
}

/* Asking. */

static bool sizes_are_good(const struct pool *p, const struct pool_call *c, struct pool_answer *ret)
{
    size_t overhead = 128 + 6 * (c->command.n + c->session.n); /* as JSON, each byte escaped */

    if (c->command.n == 0 || c->command.n > POOL_COMMAND_BYTES_MAX)
        refuse(ret, CODE_INVALID, "a command has 1 to 256 bytes");
    else if (str_starts(c->command, STR("weft.")))
        refuse(ret, CODE_INVALID, "commands that begin with weft. are the pool's own");
    else if (c->session.n > POOL_SESSION_BYTES_MAX)
        refuse(ret, CODE_INVALID, "the id of a session has 1 to 256 bytes");
    else if (c->args.n + overhead > p->settings.message_bytes_max)
        refuse(ret, CODE_TOO_LARGE, "the arguments are larger than a message of this pool may be");
    else
        return true;
    return false;
}

/* The session of a call that has one; false where it cannot have it. */
static bool find_session(struct pool *p, struct pool_call *c, int64_t now, struct pool_answer *ret)
{
    struct pool_session_state *s;

    c->lent.session = NULL;
    c->opened = false;
    if (c->session.n == 0 || c->affinity == LEND_NONE)
        return true;
    s = pool_session_find(p, c->session);
    if (s && (s->lost || s->ending)) {
        refuse(ret, CODE_SESSION_LOST,
               s->lost ? "the process that kept the session has ended; open it anew, or end it"
                       : "the session is ending");
        return false;
    }
    if (!s && !c->create) {
        refuse(ret, CODE_SESSION_NOT_FOUND, "there is no such session");
        return false;
    }
    if (!s) {
        s = pool_session_begin(p, c->session, now);
        c->opened = s != NULL;
    }
    if (!s) {
        refuse(ret, CODE_POOL_FULL, "the pool has as many sessions as it takes");
        return false;
    }
    c->lent.session = &s->lent;
    return true;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void send(struct pool *p, struct pool_call *c, int64_t now)
{
    struct pool_process *w = process_of(c);
    int64_t due = earlier(now + p->settings.call_us, c->deadline_us);

    c->state = POOL_CALL_SENT;
    c->sent_us = now;
    c->flight = (struct pool_flight){.kind = POOL_FLIGHT_CALL, .id = ++w->last_id};
    list_add(&w->flights, &c->flight.link);
    heap_set(&p->calls_due, &c->due, due);
    p->counts.calls++;
    w->calls++;
    message_call(&p->out, &(struct message_call){
                              .id = c->flight.id,
                              .command = c->command,
                              .args = c->args,
                              .session = c->session,
                              .deadline_ms = due > now ? (due - now + CLOCK_MS - 1) / CLOCK_MS : 1,
                          });
    pool_process_send(p, w);
}

static bool wait(struct pool *p, struct pool_call *c, int64_t now, struct pool_answer *ret)
{
    if (p->settings.queue_wait_us > 0) {
        c->state = POOL_CALL_WAITING;
        heap_set(&p->calls_due, &c->due, earlier(now + p->settings.queue_wait_us, c->deadline_us));
        return true;
    }
    if (lend_crowded(&p->lend, &c->lent))
        refuse(ret, CODE_SESSION_MISMATCH, "every process is bound to other sessions");
    else
        refuse(ret, CODE_POOL_TIMEOUT, "every process is lent");
    lend_leave(&p->lend, &c->lent);
    return false;
}

/* A session that began with a call that was refused was never there. */
static void forget_session(struct pool *p, struct pool_call *c, int64_t now)
{
    struct pool_session_state *s = session_of(c);

    if (s && c->opened)
        pool_session_finish(p, s, "its first call was refused", now);
    else if (s)
        pool_session_rest(p, s, now);
}

static bool ask(struct pool *p, struct pool_call *c, int64_t now, struct pool_answer *ret)
{
    c->lent.affinity = c->affinity;
    switch (lend_ask(&p->lend, &c->lent)) {
    case 0:
        send(p, c, now);
        return true;
    case LEND_E_WAITS:
        return wait(p, c, now, ret);
    default:
        refuse(ret, CODE_POOL_FULL, "as many calls wait for the pool as may");
        return false;
    }
}

bool pool_call(struct pool *p, struct pool_call *c, int64_t now, struct pool_answer *ret)
{
    assert(c->state == POOL_CALL_NEW || c->state == POOL_CALL_ENDED);
    c->due = (struct heap_node){0};
    c->asked_us = now;
    list_init(&c->link);
    if (p->draining) {
        refuse(ret, CODE_UNAVAILABLE, "the pool is about to end");
    } else if (p->failing) {
        refuse(ret, CODE_WORKER_INIT_FAILED, p->start_text);
    } else if (sizes_are_good(p, c, ret) && find_session(p, c, now, ret)) {
        if (c->lent.session)
            pool_session_use(p, session_of(c), now);
        if (ask(p, c, now, ret)) {
            pool_keep(p, now);
            return true;
        }
        forget_session(p, c, now);
    }
    p->counts.refused[ret->code]++;
    return false;
}

/* Ending. */

void pool_call_tell(struct pool *p)
{
    while (!list_empty(&p->ended)) {
        struct pool_call *c = LIST_OF(p->ended.next, struct pool_call, link);
        struct pool_answer answer = {.code = c->code, .text = str_of(c->text)};

        list_del(&c->link);
        c->done(c, &answer);
    }
}

void pool_call_end(struct pool *p, struct pool_call *c, enum code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(c->text, sizeof(c->text), format, args);
    va_end(args);
    leave(p, c);
    c->code = code;
    c->state = POOL_CALL_ENDED;
    p->counts.refused[code]++;
    list_add(&p->ended, &c->link);
}

/* Nobody waits for the answer of one that was sent: the process still owes it. */
static void abandon(struct pool *p, struct pool_call *c, const char *why, int64_t now)
{
    struct pool_process *w = process_of(c);
    struct pool_flight *late = memory_new(sizeof(*late));

    *late = (struct pool_flight){.kind = POOL_FLIGHT_LATE, .id = c->flight.id};
    list_add(c->flight.link.next, &late->link); /* behind it, and in its place */
    w->late++;
    message_cancel(&p->out, late->id);
    pool_process_send(p, w);
    pool_process_suspect(p, w, why, now);
}

static void rest(struct pool *p, struct pool_session_state *s, struct pool_process *w, int64_t now)
{
    if (s)
        pool_session_rest(p, s, now);
    if (w)
        pool_process_rest(p, w, now);
}

void pool_call_due(struct pool *p, struct pool_call *c, int64_t now)
{
    struct pool_session_state *s = session_of(c);
    struct pool_process *w = process_of(c);

    if (c->state == POOL_CALL_SENT)
        abandon(p, c, "a call of it was not answered in time", now);
    if (now >= c->deadline_us)
        pool_call_end(p, c, CODE_DEADLINE_EXCEEDED, "the caller's deadline has passed");
    else if (c->state == POOL_CALL_SENT)
        pool_call_end(p, c, CODE_CALL_TIMEOUT, "the worker did not answer within %g s",
                      (double)(now - c->sent_us) / CLOCK_S);
    else if (lend_crowded(&p->lend, &c->lent))
        pool_call_end(p, c, CODE_SESSION_MISMATCH,
                      "for %g s every process was bound to other sessions",
                      (double)(now - c->asked_us) / CLOCK_S);
    else
        pool_call_end(p, c, CODE_POOL_TIMEOUT, "no process was free within %g s%s%s",
                      (double)(now - c->asked_us) / CLOCK_S, p->failures ? "; " : "",
                      p->failures ? p->start_text : "");
    rest(p, s, w, now);
}

void pool_cancel(struct pool *p, struct pool_call *c, int64_t now)
{
    struct pool_session_state *s = session_of(c);
    struct pool_process *w = process_of(c);

    if (c->state == POOL_CALL_ENDED) {
        list_del(&c->link);
        return;
    }
    if (c->state == POOL_CALL_NEW)
        return;
    if (c->state == POOL_CALL_SENT)
        abandon(p, c, "a call of it was left by its caller", now);
    leave(p, c);
    c->state = POOL_CALL_ENDED;
    p->counts.refused[CODE_CANCELLED]++;
    rest(p, s, w, now);
    pool_keep(p, now);
}

void pool_call_refuse_waiting(struct pool *p, enum code code, const char *text)
{
    LIST_EACH_SAFE(it, &p->lend.line)
    pool_call_end(p, CALL_OF_LENT(LIST_OF(it, struct lend_call, link)), code, "%s", text);
    while (heap_first(&p->lend.unbound)) {
        struct lend_session *s = LIST_OF(heap_first(&p->lend.unbound), struct lend_session, waits);

        pool_call_end(p, CALL_OF_LENT(LIST_OF(s->line.next, struct lend_call, link)), code, "%s",
                      text);
    }
}

/* Replies. */

void pool_call_serve(struct pool *p, struct pool_process *w, int64_t now)
{
    struct lend_call *next;

    while ((next = lend_next(&p->lend, &w->lent)))
        send(p, CALL_OF_LENT(next), now);
}

void pool_call_reply(struct pool *p, struct pool_process *w, struct pool_call *c,
                     const struct message_reply *reply, int64_t now)
{
    struct pool_session_state *s = session_of(c);
    struct pool_answer answer = {.code = CODE_OK, .value = reply->value};

    if (reply->kind == MESSAGE_CHUNK) {
        if (c->chunk)
            c->chunk(c, reply->value);
        return;
    }
    answer.failed = reply->kind == MESSAGE_ERROR;
    leave(p, c);
    c->state = POOL_CALL_ENDED;
    list_init(&c->link);
    p->counts.answered++;
    p->counts.failed += answer.failed;
    /* The process works on before anybody thinks about the answer. */
    rest(p, s, w, now);
    c->done(c, &answer);
}

void pool_hold(struct pool *p, struct pool_call *c, bool wanted)
{
    struct pool_process *w = process_of(c);

    if (c->state != POOL_CALL_SENT || w->deaf || w->held == !wanted ||
        (!wanted && w->lent.used > 1))
        return;
    w->held = !wanted;
    p->wire.read(p->wire.context, w->id, wanted);
}
