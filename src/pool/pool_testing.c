/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/pool_testing.h"

#include "pool/frame.h"

static struct world *world_of(void *context)
{
    return context;
}

static void wire_start(void *context, uint64_t id)
{
    struct world *w = world_of(context);

    assert_true(id < PROCESSES_MAX);
    w->processes[id].asked = true;
    w->newest = id;
}

static bool holds(struct str s, const char *word)
{
    return memmem(s.p, s.n, word, strlen(word)) != NULL;
}

static void note(struct process *p, struct str text)
{
    int64_t id;
    char copy[400];
    const char *session;

    if (!str_starts(text, STR("{\"id\":")))
        return;
    assert_true(text.n < sizeof(copy));
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    assert_int_equal(sscanf(copy, "{\"id\":%" SCNd64, &id), 1);
    assert_true(p->asked_n < ROWS_N(p->asked_ids));
    p->pings[p->asked_n] = holds(text, "\"weft.");
    session = strstr(copy, "\"session\":\"");
    snprintf(p->sessions[p->asked_n], sizeof(p->sessions[0]), "%s", "");
    if (session)
        sscanf(session, "\"session\":\"%15[^\"]", p->sessions[p->asked_n]);
    p->asked_ids[p->asked_n++] = id;
}

static void wire_send(void *context, uint64_t id, struct str bytes)
{
    struct process *p = &world_of(context)->processes[id];

    assert_true(p->asked && !p->over);
    while (bytes.n) {
        uint32_t n = (uint32_t)(unsigned char)bytes.p[2] << 8 | (unsigned char)bytes.p[3];

        note(p, str_sub(bytes, FRAME_HEAD_BYTES, n));
        bytes = str_sub(bytes, FRAME_HEAD_BYTES + n, bytes.n);
    }
}

static void wire_stop(void *context, uint64_t id, enum pool_stop how)
{
    (void)how;
    world_of(context)->processes[id].killed = true;
}

static void wire_read(void *context, uint64_t id, bool wanted)
{
    struct process *p = &world_of(context)->processes[id];

    p->reading = wanted ? 0 : 1;
}

static void wire_session(void *context, struct str session, enum code code, const char *reason)
{
    struct world *w = world_of(context);
    size_t n = strlen(w->ended);

    (void)code;
    snprintf(w->ended + n, sizeof(w->ended) - n, STR_FMT " %s;", STR_ARG(session), reason);
}

/* What the processes do. */

void play_say(struct world *w, uint64_t id, struct str bytes)
{
    size_t n;
    char *room = pool_room(w->pool, id, &n);

    if (!room)
        return;
    assert_true(n >= bytes.n);
    memcpy(room, bytes.p, bytes.n);
    pool_bytes(w->pool, id, bytes.n, w->now);
}

void play_say_text(struct world *w, uint64_t id, const char *text)
{
    struct buf b;
    size_t begun;

    buf_init(&b, 2000);
    begun = frame_begin(&b);
    buf_add(&b, str_of(text));
    frame_end(&b, begun);
    play_say(w, id, buf_str(&b));
    buf_deinit(&b);
}

/* Take the k-th thing that it owes off its list. */
static int64_t take(struct process *p, unsigned k)
{
    int64_t id = p->asked_ids[k];

    assert_true(k < p->asked_n);
    p->asked_n--;
    memmove(&p->asked_ids[k], &p->asked_ids[k + 1], (p->asked_n - k) * sizeof(p->asked_ids[0]));
    memmove(&p->pings[k], &p->pings[k + 1], (p->asked_n - k) * sizeof(p->pings[0]));
    memmove(&p->sessions[k], &p->sessions[k + 1], (p->asked_n - k) * sizeof(p->sessions[0]));
    return id;
}

void play_answer(struct world *w, uint64_t id, unsigned k, const char *rest)
{
    char text[300];

    snprintf(text, sizeof(text), "{\"id\":%" PRId64 ",%s}", take(&w->processes[id], k), rest);
    play_say_text(w, id, text);
}

void play_succeed(struct world *w, uint64_t id)
{
    char rest[100];

    snprintf(rest, sizeof(rest), "\"success\":true,\"result\":%" PRId64,
             w->processes[id].asked_ids[0]);
    play_answer(w, id, 0, rest);
}

void play_start(struct world *w, uint64_t id)
{
    char rest[200];

    w->processes[id].started = true;
    pool_started(w->pool, id, w->now);
    snprintf(rest, sizeof(rest), "\"success\":true,\"result\":%s", w->able);
    play_answer(w, id, 0, rest);
}

void play_die(struct world *w, uint64_t id)
{
    w->processes[id].over = true;
    pool_ended(w->pool, id, STR("it was killed by signal 9"), w->now);
}

/* Time passes, and everything that is due happens when it is. */
void play_pass(struct world *w, int64_t us)
{
    int64_t until = w->now + us;

    for (unsigned n = 0; pool_next_us(w->pool) <= until; n++) {
        assert_true(n < 100000);
        if (pool_next_us(w->pool) > w->now)
            w->now = pool_next_us(w->pool);
        pool_tick(w->pool, w->now);
        pool_check(w->pool);
    }
    w->now = until;
}

/* Calls. */

static void on_chunk(struct pool_call *c, struct str value)
{
    struct call *call = c->context;

    call->chunks++;
    snprintf(call->value, sizeof(call->value), STR_FMT, STR_ARG(value));
}

static void on_done(struct pool_call *c, const struct pool_answer *a)
{
    struct call *call = c->context;
    struct str text = a->code == CODE_OK ? a->value : a->text;

    assert_true(call->taken && !call->done);
    call->done = true;
    call->code = a->code;
    call->failed = a->failed;
    snprintf(call->value, sizeof(call->value), STR_FMT, STR_ARG(text));
}

struct call *play_ask_with(struct world *w, unsigned i, const char *session,
                           enum lend_affinity affinity, int64_t deadline_us)
{
    struct call *c = &w->calls[i];
    struct pool_answer refusal;

    *c = (struct call){0};
    c->call = (struct pool_call){
        .session = str_of(session),
        .command = STR("work"),
        .affinity = affinity,
        .create = true,
        .deadline_us = deadline_us,
        .chunk = on_chunk,
        .done = on_done,
        .context = c,
    };
    c->taken = pool_call(w->pool, &c->call, w->now, &refusal);
    if (!c->taken) {
        c->code = refusal.code;
        snprintf(c->value, sizeof(c->value), STR_FMT, STR_ARG(refusal.text));
    }
    return c;
}

struct call *play_ask(struct world *w, unsigned i, const char *session)
{
    return play_ask_with(w, i, session, LEND_STRICT, INT64_MAX);
}

void play_check_refused(const struct call *c, enum code code)
{
    assert_true(c->done || !c->taken);
    assert_string_equal(code_text(c->code).p, code_text(code).p);
}

void play_begin(struct world *w, unsigned size, unsigned overflow)
{
    const struct pool_wire wire = {
        .context = w,
        .start = wire_start,
        .send = wire_send,
        .stop = wire_stop,
        .read = wire_read,
        .session = wire_session,
    };

    w->now = 1000 * CLOCK_S;
    w->able = "null";
    if (!w->settings.size)
        w->settings = pool_default(2);
    w->settings.name = STR("p");
    w->settings.size = size;
    w->settings.overflow = overflow;
    w->settings.start_batch = size;
    w->pool = pool_new(&w->settings, &wire, 1, w->now);
}

void play_begin_ready(struct world *w, unsigned size, unsigned overflow)
{
    play_begin(w, size, overflow);
    for (uint64_t id = 1; id <= size; id++)
        play_start(w, id);
}

void play_end(struct world *w)
{
    pool_drain(w->pool, 0, w->now);
    play_pass(w, 60 * CLOCK_S);
    for (uint64_t id = 1; id <= w->newest; id++)
        if (w->processes[id].asked && !w->processes[id].over)
            play_die(w, id);
    pool_check(w->pool);
    assert_true(pool_over(w->pool));
    w->pool = pool_free(w->pool);
}

unsigned play_in_state(struct world *w, enum worker_state state)
{
    struct pool_counts counts;

    pool_counts(w->pool, &counts);
    return counts.states[state];
}

struct world *play_new(void)
{
    return memory_new(sizeof(struct world));
}
