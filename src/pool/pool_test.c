/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool in a world without processes: what it sends is read by the test, which answers, hangs and
 * dies as the case wants, at times that the case says.
 */
#include "pool/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"
#include "pool/frame.h"

#define PROCESSES_MAX 4000u
#define CALLS_MAX     32u
#define MS            CLOCK_MS

/* What a process was asked and has not answered: the ids, in order. */
struct process {
    bool asked, started, over, killed;
    int64_t asked_ids[256];
    bool pings[256];
    char sessions[256][16];
    unsigned asked_n;
    unsigned reading; /* refused */
};

struct call {
    struct pool_call call;
    bool taken, done;
    enum code code;
    bool failed;
    char value[200]; /* the answer's value, or its text */
    unsigned chunks;
    struct world *world;
};

struct world {
    struct pool *pool;
    struct pool_settings settings;
    int64_t now;
    struct process processes[PROCESSES_MAX];
    uint64_t newest;
    struct call calls[CALLS_MAX];
    char ended[200]; /* sessions that the pool told of: "id reason;" */
    struct prng prng;
    bool automatic; /* starts at once, and its first ping is answered */
    const char *able;
};

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

static void say(struct world *w, uint64_t id, struct str bytes)
{
    size_t n;
    char *room = pool_room(w->pool, id, &n);

    if (!room)
        return;
    assert_true(n >= bytes.n);
    memcpy(room, bytes.p, bytes.n);
    pool_bytes(w->pool, id, bytes.n, w->now);
}

static void say_text(struct world *w, uint64_t id, const char *text)
{
    struct buf b;
    size_t begun;

    buf_init(&b, 2000);
    begun = frame_begin(&b);
    buf_add(&b, str_of(text));
    frame_end(&b, begun);
    say(w, id, buf_str(&b));
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

static void answer(struct world *w, uint64_t id, unsigned k, const char *rest)
{
    char text[300];

    snprintf(text, sizeof(text), "{\"id\":%" PRId64 ",%s}", take(&w->processes[id], k), rest);
    say_text(w, id, text);
}

static void succeed(struct world *w, uint64_t id)
{
    char rest[100];

    snprintf(rest, sizeof(rest), "\"success\":true,\"result\":%" PRId64,
             w->processes[id].asked_ids[0]);
    answer(w, id, 0, rest);
}

static void start(struct world *w, uint64_t id)
{
    char rest[200];

    w->processes[id].started = true;
    pool_started(w->pool, id, w->now);
    snprintf(rest, sizeof(rest), "\"success\":true,\"result\":%s", w->able);
    answer(w, id, 0, rest);
}

static void die(struct world *w, uint64_t id)
{
    w->processes[id].over = true;
    pool_ended(w->pool, id, STR("it was killed by signal 9"), w->now);
}

/* Time passes, and everything that is due happens when it is. */
static void pass(struct world *w, int64_t us)
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

static struct call *ask_with(struct world *w, unsigned i, const char *session,
                             enum lend_affinity affinity, int64_t deadline_us)
{
    struct call *c = &w->calls[i];
    struct pool_answer refusal;

    *c = (struct call){.world = w};
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

static struct call *ask(struct world *w, unsigned i, const char *session)
{
    return ask_with(w, i, session, LEND_STRICT, INT64_MAX);
}

static void check_refused(const struct call *c, enum code code)
{
    assert_true(c->done || !c->taken);
    assert_string_equal(code_text(c->code).p, code_text(code).p);
}

static void begin(struct world *w, unsigned size, unsigned overflow)
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

static void begin_ready(struct world *w, unsigned size, unsigned overflow)
{
    begin(w, size, overflow);
    for (uint64_t id = 1; id <= size; id++)
        start(w, id);
}

static void end(struct world *w)
{
    pool_drain(w->pool, 0, w->now);
    pass(w, 60 * CLOCK_S);
    for (uint64_t id = 1; id <= w->newest; id++)
        if (w->processes[id].asked && !w->processes[id].over)
            die(w, id);
    pool_check(w->pool);
    assert_true(pool_over(w->pool));
    w->pool = pool_free(w->pool);
}

static unsigned in_state(struct world *w, enum worker_state state)
{
    struct pool_counts counts;

    pool_counts(w->pool, &counts);
    return counts.states[state];
}

static struct world *world_new(void)
{
    return memory_new(sizeof(struct world));
}

/* Cases. */

static void a_process_is_ready_once_its_ping_is_answered_E_06(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();
    struct call *c;

    (void)state;
    begin(w, 1, 0);
    c = ask(w, 0, NULL);
    assert_int_equal(in_state(w, WORKER_JOINING), 1);
    pool_started(w->pool, 1, w->now);
    assert_int_equal(in_state(w, WORKER_JOINING), 1);
    answer(w, 1, 0, "\"success\":true");
    assert_int_equal(in_state(w, WORKER_READY), 1);
    succeed(w, 1); /* the call that waited for it */
    assert_true(c->done && c->code == CODE_OK);
    assert_string_equal(c->value, "2");
    end(w);
}

static void what_cannot_be_started_is_told_and_tried_again_E_07(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();
    struct call *c;
    uint64_t id = 1;

    (void)state;
    begin(w, 1, 0);
    w->settings.queue_wait_us = w->settings.start_us = 3600 * CLOCK_S;
    pool_set(w->pool, &w->settings, false, w->now);
    c = ask(w, 0, NULL);
    for (; !c->done; id++) {
        assert_true(id < 10);
        pass(w, 60 * CLOCK_S);
        pool_ended(w->pool, w->newest, STR("there is no program \"nope\""), w->now);
    }
    assert_int_equal(id, 6); /* five starts */
    check_refused(c, CODE_WORKER_INIT_FAILED);
    assert_non_null(strstr(c->value, "nope"));
    check_refused(ask(w, 1, NULL), CODE_WORKER_INIT_FAILED);
    pass(w, 60 * CLOCK_S);
    start(w, w->newest);
    c = ask(w, 1, NULL);
    succeed(w, w->newest);
    assert_int_equal(c->code, CODE_OK);
    for (uint64_t i = 1; i < w->newest; i++)
        w->processes[i].over = true;
    end(w);
}

static void who_is_not_ready_in_time_is_given_up(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();

    (void)state;
    begin(w, 1, 0);
    pool_started(w->pool, 1, w->now);
    pass(w, w->settings.start_us - 1);
    assert_false(w->processes[1].killed);
    pass(w, 1);
    assert_true(w->processes[1].killed);
    pass(w, 60 * CLOCK_S);
    assert_int_equal(w->newest, 1); /* none in its place before it is dead */
    die(w, 1);
    pass(w, CLOCK_S);
    assert_int_equal(w->newest, 2);
    end(w);
}

static void another_session_is_a_mismatch_E_08_E_10(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();
    struct call *first, *second;

    (void)state;
    begin_ready(w, 1, 0);
    first = ask(w, 0, "user_123");
    second = ask(w, 1, "user_456");
    pass(w, 5 * CLOCK_S - 1);
    assert_false(second->done);
    pass(w, 1);
    check_refused(second, CODE_SESSION_MISMATCH);
    succeed(w, 1);
    assert_int_equal(first->code, CODE_OK);
    w->settings.queue_wait_us = 0;
    pool_set(w->pool, &w->settings, false, w->now);
    check_refused(ask(w, 1, "user_456"), CODE_SESSION_MISMATCH);
    end(w);
}

static void a_busy_pool_is_a_timeout_E_22(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();
    struct call *c;

    (void)state;
    begin_ready(w, 1, 0);
    w->settings.queue_wait_us = 100 * MS;
    pool_set(w->pool, &w->settings, false, w->now);
    ask(w, 0, NULL);
    c = ask(w, 1, NULL);
    pass(w, 100 * MS - 1);
    assert_false(c->done);
    pass(w, 1);
    check_refused(c, CODE_POOL_TIMEOUT);
    c = ask_with(w, 2, NULL, LEND_STRICT, w->now + 50 * MS);
    pass(w, 50 * MS);
    check_refused(c, CODE_DEADLINE_EXCEEDED);
    succeed(w, 1);
    assert_int_equal(w->calls[0].code, CODE_OK);
    end(w);
}

static void a_late_reply_is_given_to_nobody_E_12(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();
    struct pool_counts counts;
    struct call *late, *next;

    (void)state;
    begin_ready(w, 1, 0);
    w->settings.call_us = 100 * MS;
    pool_set(w->pool, &w->settings, false, w->now);
    late = ask(w, 0, NULL);
    pass(w, 100 * MS);
    check_refused(late, CODE_CALL_TIMEOUT);
    assert_int_equal(in_state(w, WORKER_SUSPECT), 1);
    next = ask(w, 1, NULL);
    assert_int_equal(w->processes[1].asked_n, 2); /* the late call, and a ping */
    answer(w, 1, 0, "\"success\":true,\"result\":\"of the first\"");
    assert_false(next->done);
    assert_int_equal(in_state(w, WORKER_SUSPECT), 1);
    succeed(w, 1);
    assert_int_equal(in_state(w, WORKER_READY), 1);
    answer(w, 1, 0, "\"success\":true,\"result\":\"of the second\"");
    assert_string_equal(next->value, "\"of the second\"");
    pool_counts(w->pool, &counts);
    assert_int_equal(counts.late, 1);
    end(w);
}

static void who_never_answers_is_replaced(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();

    (void)state;
    begin_ready(w, 1, 0);
    ask(w, 0, NULL);
    pass(w, 30 * CLOCK_S);
    check_refused(&w->calls[0], CODE_CALL_TIMEOUT);
    pass(w, 5 * CLOCK_S - 1);
    assert_false(w->processes[1].killed);
    pass(w, 1);
    assert_true(w->processes[1].killed);
    assert_int_equal(w->newest, 1);
    die(w, 1);
    assert_int_equal(w->newest, 2);
    end(w);
}

static void ten_calls_get_their_own_answers_E_11_E_13(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();
    int64_t ids[10];

    (void)state;
    w->settings = pool_default(2);
    w->settings.in_flight = 16;
    begin(w, 1, 0);
    w->able = "{\"in_flight\":10}";
    start(w, 1);
    for (unsigned i = 0; i < 11; i++)
        ask(w, i, NULL);
    assert_int_equal(w->processes[1].asked_n, 10);
    memcpy(ids, w->processes[1].asked_ids, sizeof(ids));
    for (unsigned i = 10; i-- > 0;) { /* the last one first */
        char rest[60], value[30];

        snprintf(rest, sizeof(rest), "\"success\":true,\"result\":%u", 100 + i);
        snprintf(value, sizeof(value), "%u", 100 + i);
        answer(w, 1, i, rest);
        assert_true(w->calls[i].done);
        assert_string_equal(w->calls[i].value, value);
    }
    assert_false(w->calls[10].done);
    succeed(w, 1);
    assert_true(w->calls[10].done);
    end(w);
}

static void health_is_asked_for_E_14_E_15(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();

    (void)state;
    begin_ready(w, 1, 0);
    pass(w, 30 * CLOCK_S - 1);
    assert_int_equal(w->processes[1].asked_n, 0);
    pass(w, 1);
    assert_int_equal(w->processes[1].asked_n, 1);
    succeed(w, 1);
    assert_int_equal(in_state(w, WORKER_READY), 1);
    pass(w, 30 * CLOCK_S);
    pass(w, 5 * CLOCK_S);
    assert_int_equal(in_state(w, WORKER_SUSPECT), 1);
    succeed(w, 1);
    assert_int_equal(in_state(w, WORKER_READY), 1);
    pass(w, 40 * CLOCK_S);
    assert_true(w->processes[1].killed);
    end(w);
}

static void garbage_ends_the_process_alone(void **state)
{
    static const struct {
        const char *name;
        struct str bytes;
        const char *text;
    } rows[] = {
        {"printed text",   STR("Loading the model\n"),                    "it printed text"       },
        {"4 GiB",          STR("\xff\xff\xff\xff"),                       "4294967295 bytes"      },
        {"no bytes",       STR("\0\0\0\0"),                               "0 bytes"               },
        {"no JSON",        STR("\0\0\0\2{x"),                             "is not JSON"           },
        {"no id",          STR("\0\0\0\x10{\"success\":true}"),           "has no id"             },
        {"never asked",    STR("\0\0\0\x18{\"id\":99,\"success\":true}"), "it was never asked"    },
        {"answered twice", STR("\0\0\0\x17{\"id\":1,\"success\":true}"),  "it had answered before"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        CLEANUP(memory_freep) struct world *w = world_new();
        struct call *c, *other;

        begin_ready(w, 2, 0);
        c = ask(w, 0, "s");
        other = ask(w, 1, NULL);
        say(w, 1, rows[i].bytes);
        CHECK_ROW(rows[i].name, c->done && c->code == CODE_SESSION_LOST);
        CHECK_ROW(rows[i].name, strstr(c->value, rows[i].text));
        CHECK_ROW(rows[i].name, w->processes[1].killed && !w->processes[2].killed);
        succeed(w, 2);
        CHECK_ROW(rows[i].name, other->code == CODE_OK);
        die(w, 1);
        CHECK_ROW(rows[i].name, w->newest == 3);
        end(w);
    }
}

static void half_a_frame_is_nothing(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();

    (void)state;
    begin_ready(w, 1, 0);
    ask(w, 0, NULL);
    say(w, 1, STR("\0\0\0\x17{\"id\":"));
    pass(w, 30 * CLOCK_S);
    check_refused(&w->calls[0], CODE_CALL_TIMEOUT);
    pass(w, 5 * CLOCK_S);
    assert_true(w->processes[1].killed);
    end(w);
}

static void a_lost_session_is_told_until_it_is_opened_anew(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();
    struct call *c;

    (void)state;
    begin_ready(w, 2, 0);
    ask(w, 0, "s");
    c = ask(w, 1, "s"); /* waits for its process */
    die(w, 1);
    check_refused(&w->calls[0], CODE_SESSION_LOST);
    check_refused(c, CODE_SESSION_LOST);
    assert_string_equal(w->ended, "s process_ended;");
    check_refused(ask(w, 2, "s"), CODE_SESSION_LOST);
    assert_int_equal(pool_open(w->pool, STR("s"), w->now), CODE_OK);
    assert_int_equal(pool_open(w->pool, STR("s"), w->now), CODE_SESSION_MISMATCH);
    c = ask(w, 2, "s");
    assert_true(c->taken);
    succeed(w, 2);
    assert_int_equal(c->code, CODE_OK);
    end(w);
}

static void a_call_without_a_session_is_lost_with_its_process(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();

    (void)state;
    begin_ready(w, 1, 0);
    ask(w, 0, NULL);
    ask(w, 1, NULL);
    die(w, 1);
    check_refused(&w->calls[0], CODE_WORKER_LOST);
    assert_false(w->calls[1].done);
    start(w, 2);
    succeed(w, 2);
    assert_int_equal(w->calls[1].code, CODE_OK);
    end(w);
}

static void sessions_end_E_17_E_18_E_19(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();
    struct pool_session_look look;

    (void)state;
    begin_ready(w, 2, 0);
    ask(w, 0, "a");
    ask(w, 1, "b");
    succeed(w, 1);
    succeed(w, 2);
    assert_true(pool_session(w->pool, STR("a"), w->now, &look));
    assert_int_equal(look.calls, 1);
    assert_int_equal(pool_end(w->pool, STR("a"), w->now), CODE_OK);
    assert_int_equal(w->processes[1].asked_n, 1); /* it is told */
    assert_string_equal(w->processes[1].sessions[0], "a");
    assert_false(pool_session(w->pool, STR("a"), w->now, &look));
    assert_true(pool_session(w->pool, STR("b"), w->now, &look));
    assert_int_equal(pool_end(w->pool, STR("a"), w->now), CODE_SESSION_NOT_FOUND);
    assert_string_equal(w->ended, "a ended;");
    end(w);
}

static void a_session_that_ends_lets_its_call_end(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();
    struct pool_session_look look;
    struct call *waits;

    (void)state;
    begin_ready(w, 1, 0);
    ask(w, 0, "a");
    waits = ask(w, 1, "a");
    assert_int_equal(pool_end(w->pool, STR("a"), w->now), CODE_OK);
    pool_tick(w->pool, w->now);
    check_refused(waits, CODE_SESSION_LOST);
    check_refused(ask(w, 2, "a"), CODE_SESSION_LOST);
    assert_int_equal(w->processes[1].asked_n, 1);
    succeed(w, 1);
    assert_int_equal(w->calls[0].code, CODE_OK);
    assert_false(pool_session(w->pool, STR("a"), w->now, &look));
    assert_int_equal(w->processes[1].asked_n, 1);
    end(w);
}

static void sessions_end_when_they_are_idle_or_too_old(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();

    (void)state;
    w->settings = pool_default(2);
    w->settings.session_idle_us = 60 * CLOCK_S;
    w->settings.checkout_us = 100 * CLOCK_S;
    w->settings.health_us = 10000 * CLOCK_S;
    begin_ready(w, 2, 0);
    ask(w, 0, "idle");
    ask(w, 1, "busy");
    succeed(w, 1);
    succeed(w, 2);
    pass(w, 50 * CLOCK_S);
    ask(w, 1, "busy");
    succeed(w, 2);
    pass(w, 10 * CLOCK_S - 1);
    assert_string_equal(w->ended, "");
    pass(w, 1);
    assert_string_equal(w->ended, "idle idle;");
    pass(w, 40 * CLOCK_S);
    assert_string_equal(w->ended, "idle idle;busy checkout;");
    end(w);
}

static void who_waits_is_served_by_overflow_that_ends_E_21(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();

    (void)state;
    begin_ready(w, 1, 1);
    ask(w, 0, NULL);
    assert_int_equal(w->newest, 1);
    ask(w, 1, NULL);
    ask(w, 2, NULL);
    assert_int_equal(w->newest, 2);
    start(w, 2);
    succeed(w, 2);
    assert_true(w->calls[1].done);
    succeed(w, 2);
    assert_true(w->calls[2].done);
    succeed(w, 1);
    pass(w, 29 * CLOCK_S);
    assert_int_equal(in_state(w, WORKER_READY), 2);
    pass(w, 1 * CLOCK_S);
    assert_int_equal(in_state(w, WORKER_READY), 1);
    assert_true(w->processes[2].killed);
    end(w);
}

static void a_full_line_is_told(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();

    (void)state;
    w->settings = pool_default(2);
    w->settings.waiting_max = 2;
    begin_ready(w, 1, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_true(ask(w, i, NULL)->taken);
    check_refused(ask(w, 3, NULL), CODE_POOL_FULL);
    pool_cancel(w->pool, &w->calls[1].call, w->now); /* its client went away */
    assert_true(ask(w, 3, NULL)->taken);
    succeed(w, 1);
    succeed(w, 1);
    succeed(w, 1);
    assert_true(w->calls[2].done && w->calls[3].done && !w->calls[1].done);
    end(w);
}

static void a_process_that_has_served_is_replaced_before_it_goes(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();

    (void)state;
    w->settings = pool_default(2);
    w->settings.recycle.calls = 10;
    w->settings.health_us = 10000 * CLOCK_S;
    begin_ready(w, 1, 0);
    for (unsigned i = 0; i < 8; i++) {
        ask(w, 0, NULL);
        succeed(w, 1);
    }
    assert_int_equal(w->newest, 1);
    for (unsigned i = 0; i < 4; i++) {
        ask(w, 0, NULL);
        succeed(w, 1);
    }
    assert_int_equal(w->newest, 2);
    assert_false(w->processes[1].killed);
    assert_int_equal(in_state(w, WORKER_READY), 1);
    start(w, 2);
    assert_int_equal(in_state(w, WORKER_READY), 1);
    assert_true(w->processes[1].killed);
    ask(w, 0, NULL);
    succeed(w, 2);
    assert_int_equal(w->calls[0].code, CODE_OK);
    end(w);
}

static void memory_is_limited(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();

    (void)state;
    w->settings = pool_default(2);
    w->settings.memory_limit_bytes = 1000;
    begin_ready(w, 1, 0);
    ask(w, 0, NULL);
    pool_memory(w->pool, 1, 1000, w->now);
    assert_false(w->processes[1].killed);
    pool_memory(w->pool, 1, 1001, w->now);
    assert_true(w->processes[1].killed);
    check_refused(&w->calls[0], CODE_WORKER_LOST);
    end(w);
}

static void chunks_come_before_the_end(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();
    struct call *c;
    char text[100];

    (void)state;
    begin_ready(w, 1, 0);
    c = ask(w, 0, NULL);
    snprintf(text, sizeof(text), "{\"id\":%" PRId64 ",\"chunk\":\"x\"}",
             w->processes[1].asked_ids[0]);
    say_text(w, 1, text);
    pool_hold(w->pool, &c->call, false);
    assert_int_equal(w->processes[1].reading, 1);
    say_text(w, 1, text);
    assert_int_equal(c->chunks, 1);
    pool_hold(w->pool, &c->call, true);
    say_text(w, 1, text);
    assert_int_equal(c->chunks, 2);
    succeed(w, 1);
    assert_true(c->done);
    end(w);
}

static void an_error_of_the_worker_is_an_answer(void **state)
{
    CLEANUP(memory_freep) struct world *w = world_new();

    (void)state;
    begin_ready(w, 1, 0);
    ask(w, 0, NULL);
    answer(w, 1, 0, "\"success\":false,\"error\":\"no such program\"");
    assert_true(w->calls[0].done && w->calls[0].failed && w->calls[0].code == CODE_OK);
    assert_string_equal(w->calls[0].value, "\"no such program\"");
    assert_int_equal(in_state(w, WORKER_READY), 1);
    end(w);
}

/* Random storms. Whatever happens, each call that was taken is answered once and with what its own
 * process said to its own id, no session is in two processes, and at the end all is calm. */

static void storm_step(struct world *w)
{
    unsigned i = (unsigned)prng_below(&w->prng, CALLS_MAX);
    uint64_t id =
        w->newest > 6 ? w->newest - prng_below(&w->prng, 6) : 1 + prng_below(&w->prng, w->newest);
    static const char *const sessions[] = {NULL, "a", "b", "c", "d"};
    struct process *p = &w->processes[id];
    struct call *c = &w->calls[i];

    switch (prng_below(&w->prng, 40)) {
    case 0:
        if (p->asked && !p->over)
            die(w, id);
        break;
    case 1:
        if (p->asked && !p->over)
            say(w, id, STR("garbage"));
        break;
    case 2:
        if (c->taken && !c->done) {
            pool_cancel(w->pool, &c->call, w->now);
            c->done = true;
        }
        break;
    case 3:
        pass(w, (int64_t)prng_below(&w->prng, 3 * CLOCK_S));
        break;
    case 4:
        pool_end(w->pool, str_of(sessions[1 + prng_below(&w->prng, 4)]), w->now);
        break;
    case 5:
        pool_open(w->pool, str_of(sessions[1 + prng_below(&w->prng, 4)]), w->now);
        break;
    default:
        if (p->asked && !p->over && p->killed && prng_below(&w->prng, 4) == 0)
            die(w, id);
        else if (p->asked && !p->over && !p->started && !p->killed)
            start(w, id);
        else if (p->asked && !p->over && p->asked_n && prng_below(&w->prng, 2))
            succeed(w, id);
        else if (!c->taken || c->done)
            ask_with(w, i, sessions[prng_below(&w->prng, 5)],
                     (enum lend_affinity)prng_below(&w->prng, 3),
                     prng_below(&w->prng, 4) ? INT64_MAX : w->now + 300 * MS);
        break;
    }
}

static void storms_end_in_calm(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        CLEANUP(memory_freep) struct world *w = world_new();

        prng_seed(&w->prng, seed);
        w->settings = pool_default(2);
        w->settings.in_flight = 1 + (unsigned)seed % 3;
        w->settings.sessions = 1 + (unsigned)seed % 2;
        w->settings.call_us = CLOCK_S;
        w->settings.suspect_us = CLOCK_S;
        w->settings.session_idle_us = 20 * CLOCK_S;
        w->settings.recycle.calls = seed % 4 ? 0 : 20;
        begin(w, 1 + (unsigned)seed % 4, (unsigned)seed % 3);
        w->able = "{\"in_flight\":3,\"sessions\":2}";
        for (unsigned n = 0; n < 1500 && w->newest < PROCESSES_MAX - 100; n++) {
            storm_step(w);
            w->ended[0] = '\0';
            pool_check(w->pool);
        }
        for (unsigned n = 0; n < 200; n++) { /* calm: all that lives answers, what is killed dies */
            pass(w, 500 * MS);
            for (uint64_t id = 1; id <= w->newest; id++) {
                struct process *p = &w->processes[id];

                if (p->over || !p->asked)
                    continue;
                if (p->killed)
                    die(w, id);
                else if (!p->started)
                    start(w, id);
                while (!p->over && !p->killed && p->asked_n)
                    succeed(w, id);
            }
            w->ended[0] = '\0';
        }
        for (unsigned i = 0; i < CALLS_MAX; i++)
            assert_true(!w->calls[i].taken || w->calls[i].done);
        assert_int_equal(in_state(w, WORKER_READY), 1 + (unsigned)seed % 4);
        end(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_ready_once_its_ping_is_answered_E_06),
        cmocka_unit_test(what_cannot_be_started_is_told_and_tried_again_E_07),
        cmocka_unit_test(who_is_not_ready_in_time_is_given_up),
        cmocka_unit_test(another_session_is_a_mismatch_E_08_E_10),
        cmocka_unit_test(a_busy_pool_is_a_timeout_E_22),
        cmocka_unit_test(a_late_reply_is_given_to_nobody_E_12),
        cmocka_unit_test(who_never_answers_is_replaced),
        cmocka_unit_test(ten_calls_get_their_own_answers_E_11_E_13),
        cmocka_unit_test(health_is_asked_for_E_14_E_15),
        cmocka_unit_test(garbage_ends_the_process_alone),
        cmocka_unit_test(half_a_frame_is_nothing),
        cmocka_unit_test(a_lost_session_is_told_until_it_is_opened_anew),
        cmocka_unit_test(a_call_without_a_session_is_lost_with_its_process),
        cmocka_unit_test(sessions_end_E_17_E_18_E_19),
        cmocka_unit_test(a_session_that_ends_lets_its_call_end),
        cmocka_unit_test(sessions_end_when_they_are_idle_or_too_old),
        cmocka_unit_test(who_waits_is_served_by_overflow_that_ends_E_21),
        cmocka_unit_test(a_full_line_is_told),
        cmocka_unit_test(a_process_that_has_served_is_replaced_before_it_goes),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(chunks_come_before_the_end),
        cmocka_unit_test(an_error_of_the_worker_is_an_answer),
        cmocka_unit_test(storms_end_in_calm),
    };

    log_setup(LOG_ERROR, LOG_PLAIN); /* what is lost on purpose is no news */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
