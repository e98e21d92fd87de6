/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/ask.h"

#include <inttypes.h>
#include <string.h>

#include "sim/sim_server.h"

#define LINE_BYTES 1000u

struct ask *ask_new(struct sim *s, enum ask_kind kind)
{
    struct ask *a = ARENA_NEW(&s->memory, struct ask);

    a->sim = s;
    a->kind = kind;
    a->number = ++s->asks;
    a->timeout_us = 5 * CLOCK_S;
    a->tries_max = 8;
    return a;
}

/* The network. */

static int64_t travel(struct sim *s, struct ask *a)
{
    if (stream_fault(s, a->chance, SIM_NET_DELAY))
        return stream_between(s, a->chance, 10 * CLOCK_MS, 20 * CLOCK_S);
    return stream_between(s, a->chance, 50, 2 * CLOCK_MS);
}

/* A message between the asker and a server. True: it goes twice. */
static bool carry(struct ask *a, int server, world_event *event, void *what, int64_t number)
{
    struct sim *s = a->sim;

    if (s->cut[a->place][server] || stream_fault(s, a->chance, SIM_NET_LOSS)) {
        world_say(s, "net: #%" PRId64 " is lost", a->number);
        return false;
    }
    world_plan(s, travel(s, a), event, what, number);
    if (!stream_fault(s, a->chance, SIM_NET_TWICE))
        return false;
    world_plan(s, travel(s, a), event, what, number);
    return true;
}

static void say_ask(const struct ask *a)
{
    char room[LINE_BYTES];
    struct buf line;

    if (!world_says(a->sim))
        return;
    buf_fixed(&line, room, sizeof(room));
    ask_describe(a, &line);
    world_say(a->sim, "%.*s -> s%d%s", (int)line.n, room, a->server + 1,
              a->tries > 1 ? " (again)" : "");
}

static void arrives(struct sim *s, void *what, int64_t server)
{
    sim_server_take(s->servers[server], what);
}

static void put_out(struct ask *a);

static void again(struct sim *s, void *what, int64_t number)
{
    struct ask *a = what;

    (void)s;
    if (!a->over && a->tries == (unsigned)number)
        put_out(a);
}

static void give_up(struct ask *a)
{
    const struct answer answer = {.code = CODE_UNAVAILABLE, .unknown = true};

    a->over = true;
    world_say(a->sim, "#%" PRId64 " %s does not ask any more", a->number, a->who);
    a->answered(a, &answer);
}

/* No answer has come in time. The server is told that nobody waits any more, if it can be. */
static void times_out(struct sim *s, void *what, int64_t tries)
{
    struct ask *a = what;

    if (a->over || a->tries != (unsigned)tries)
        return;
    sim_server_cancel(s->servers[a->server], a);
    if (a->tries >= a->tries_max)
        give_up(a);
    else
        put_out(a);
}

static void put_out(struct ask *a)
{
    struct sim *s = a->sim;

    a->server = (int)stream_below(s, a->chance, s->o.profile.servers);
    a->tries++;
    say_ask(a);
    a->sent += 1u + carry(a, a->server, arrives, a, a->server);
    world_plan(s, a->timeout_us + a->wait_us, times_out, a, a->tries);
}

void ask_send(struct ask *a)
{
    put_out(a);
}

static void goes(struct sim *s, void *what, int64_t number)
{
    struct ask *a = what;

    (void)number;
    if (a->over)
        return;
    sim_server_cancel(s->servers[a->server], a);
    give_up(a);
}

void ask_abandon(struct ask *a, int64_t in_us)
{
    world_plan(a->sim, in_us, goes, a, 0);
}

/* Answers. */

/* Worth asking again: it was not done, and may be later. */
static bool passes(enum code c)
{
    return c == CODE_UNAVAILABLE || c == CODE_STORE_UNAVAILABLE || c == CODE_STORE_FULL ||
           c == CODE_STORE_LOCKED || c == CODE_RESOURCE_EXHAUSTED || c == CODE_DEADLINE_EXCEEDED ||
           c == CODE_CANCELLED;
}

struct replied {
    struct ask *ask;
    struct answer answer;
};

static void reply_arrives(struct sim *s, void *what, int64_t number)
{
    const struct replied *r = what;
    struct ask *a = r->ask;

    (void)number;
    if (a->over)
        return;
    if (passes(r->answer.code) && a->tries < a->tries_max) {
        world_plan(s, stream_between(s, a->chance, 50 * CLOCK_MS, 2 * CLOCK_S), again, a, a->tries);
        return;
    }
    a->over = true;
    a->answered(a, &r->answer);
}

void ask_reply(struct ask *a, int server, const struct answer *answer)
{
    struct replied *r = ARENA_NEW(&a->sim->memory, struct replied);

    *r = (struct replied){a, *answer};
    carry(a, server, reply_arrives, r, 0);
}
