/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories against a model that knows nothing of heaps and lines: all calls in a list, in
 * the order in which they came, gone through from the first.
 */
#include "pool/lend.h"

#include "base/prng.h"
#include "base/test.h"

#define PROCESSES_N 4u
#define SESSIONS_N  6u
#define CALLS_N     24u
#define STEPS_N     60000u

enum where { NOWHERE, WAITS, LENT };

struct world {
    struct lend lend;
    struct lend_process processes[PROCESSES_N];
    bool there[PROCESSES_N];
    struct lend_session sessions[SESSIONS_N];
    struct lend_call calls[CALLS_N];
    enum where where[CALLS_N];
    struct prng prng;
};

static unsigned below(struct world *w, unsigned n)
{
    return (unsigned)prng_below(&w->prng, n);
}

/* Whether the process could serve the call, by the rules as they are told and not as they are kept.
 */
static bool could_serve(const struct world *w, const struct lend_process *p,
                        const struct lend_call *c)
{
    (void)w;
    if (!p->open || p->used >= p->places)
        return false;
    if (!c->session || c->affinity != LEND_STRICT)
        return true;
    if (c->session->process)
        return c->session->process == p;
    return p->sessions_n < p->sessions_max;
}

/* The lowest number that the process could serve. */
static struct lend_call *expected(struct world *w, const struct lend_process *p)
{
    struct lend_call *best = NULL;

    for (unsigned i = 0; i < CALLS_N; i++) {
        struct lend_call *c = &w->calls[i];

        if (w->where[i] == WAITS && could_serve(w, p, c) && (!best || c->number < best->number))
            best = c;
    }
    return best;
}

static void serve(struct world *w, struct lend_process *p)
{
    for (;;) {
        struct lend_call *want = expected(w, p);
        struct lend_call *got = lend_next(&w->lend, p);

        assert_ptr_equal(got, want);
        if (!got)
            return;
        assert_ptr_equal(got->process, p);
        w->where[got - w->calls] = LENT;
    }
}

static void ask(struct world *w, unsigned i)
{
    struct lend_call *c = &w->calls[i];
    unsigned waiting = w->lend.waiting;
    bool possible = false;

    c->session = below(w, 4) ? &w->sessions[below(w, SESSIONS_N)] : NULL;
    c->affinity = (enum lend_affinity)below(w, 3);
    for (unsigned k = 0; k < PROCESSES_N; k++)
        possible = possible || (w->there[k] && could_serve(w, &w->processes[k], c));
    switch (lend_ask(&w->lend, c)) {
    case 0:
        assert_true(possible);
        assert_non_null(c->process);
        if (c->session && c->affinity == LEND_STRICT)
            assert_ptr_equal(c->session->process, c->process);
        w->where[i] = LENT;
        break;
    case LEND_E_WAITS:
        assert_false(possible);
        assert_null(c->process);
        w->where[i] = WAITS;
        break;
    default:
        assert_false(possible);
        assert_int_equal(waiting, w->lend.waiting_max);
        break;
    }
}

static void end_call(struct world *w, unsigned i)
{
    struct lend_process *p = w->calls[i].process;

    if (w->where[i] == LENT) {
        lend_return(&w->calls[i]);
        w->where[i] = NOWHERE;
        serve(w, p);
    } else {
        lend_leave(&w->lend, &w->calls[i]);
        w->where[i] = NOWHERE;
    }
}

static void bring(struct world *w, unsigned k)
{
    struct lend_process *p = &w->processes[k];

    *p = (struct lend_process){.places = 1 + below(w, 3), .sessions_max = below(w, 4)};
    lend_add(&w->lend, p);
    w->there[k] = true;
}

/* As when it dies: its calls end, its sessions are bound to nothing. */
static void kill_process(struct world *w, unsigned k)
{
    struct lend_process *p = &w->processes[k];

    lend_close(p);
    for (unsigned i = 0; i < CALLS_N; i++)
        if (w->where[i] == LENT && w->calls[i].process == p)
            end_call(w, i);
    LIST_EACH_SAFE(it, &p->sessions)
    lend_unbind(&w->lend, LIST_OF(it, struct lend_session, link));
    lend_remove(&w->lend, p);
    w->there[k] = false;
    for (unsigned other = 0; other < PROCESSES_N; other++)
        if (w->there[other])
            serve(w, &w->processes[other]);
}

static void turn(struct world *w, unsigned k)
{
    struct lend_process *p = &w->processes[k];

    if (p->open) {
        lend_close(p);
    } else {
        lend_open(p);
        serve(w, p);
    }
}

static void step(struct world *w)
{
    unsigned i = below(w, CALLS_N), k = below(w, PROCESSES_N), s = below(w, SESSIONS_N);

    switch (below(w, 12)) {
    case 0:
        if (w->there[k])
            kill_process(w, k);
        else
            bring(w, k);
        break;
    case 1:
        if (w->there[k])
            turn(w, k);
        break;
    case 2:
        if (w->sessions[s].process && w->sessions[s].calls == 0) {
            struct lend_process *p = w->sessions[s].process;

            lend_unbind(&w->lend, &w->sessions[s]);
            serve(w, p);
        }
        break;
    default:
        if (w->where[i] == NOWHERE)
            ask(w, i);
        else
            end_call(w, i);
        break;
    }
}

static void places_go_to_who_came_first(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct world w = {0};

        prng_seed(&w.prng, seed);
        lend_init(&w.lend, 10);
        for (unsigned i = 0; i < SESSIONS_N; i++)
            lend_session_init(&w.sessions[i]);
        for (unsigned n = 0; n < STEPS_N; n++) {
            step(&w);
            lend_check(&w.lend);
        }
        for (unsigned i = 0; i < CALLS_N; i++)
            if (w.where[i] != NOWHERE)
                end_call(&w, i);
        for (unsigned k = 0; k < PROCESSES_N; k++)
            if (w.there[k])
                kill_process(&w, k);
        for (unsigned i = 0; i < SESSIONS_N; i++)
            lend_session_deinit(&w.sessions[i]);
        lend_deinit(&w.lend);
    }
}

/* A process that is open, for one call and one session. */
static void one(struct lend *l, struct lend_process *p)
{
    *p = (struct lend_process){.places = 1, .sessions_max = 1};
    lend_add(l, p);
    lend_open(p);
}

static void a_session_keeps_its_process_E_09(void **state)
{
    struct lend l;
    struct lend_process a, b;
    struct lend_session s;
    struct lend_call first = {.session = &s}, second = {.session = &s};

    (void)state;
    lend_init(&l, 10);
    one(&l, &a);
    one(&l, &b);
    lend_session_init(&s);
    assert_int_equal(lend_ask(&l, &first), 0);
    assert_ptr_equal(first.process, &a);
    assert_int_equal(lend_ask(&l, &second), LEND_E_WAITS); /* though b is free */
    lend_return(&first);
    assert_ptr_equal(lend_next(&l, &b), NULL);
    assert_ptr_equal(lend_next(&l, &a), &second);
    lend_return(&second);
    assert_ptr_equal(s.process, &a);
    lend_unbind(&l, &s);
    lend_session_deinit(&s);
    lend_remove(&l, &a);
    lend_remove(&l, &b);
    lend_deinit(&l);
}

static void another_session_finds_no_room_E_10(void **state)
{
    struct lend l;
    struct lend_process p;
    struct lend_session s, other;
    struct lend_call first = {.session = &s}, second = {.session = &other}, any = {0};

    (void)state;
    lend_init(&l, 10);
    one(&l, &p);
    lend_session_init(&s);
    lend_session_init(&other);
    assert_int_equal(lend_ask(&l, &first), 0);
    assert_int_equal(lend_ask(&l, &second), LEND_E_WAITS);
    assert_true(lend_crowded(&l, &second));
    assert_int_equal(lend_ask(&l, &any), LEND_E_WAITS);
    assert_false(lend_crowded(&l, &any));
    lend_return(&first);
    assert_ptr_equal(lend_next(&l, &p), &any); /* came later, and is not kept waiting */
    lend_return(&any);
    assert_ptr_equal(lend_next(&l, &p), NULL);
    lend_unbind(&l, &s);
    assert_false(lend_crowded(&l, &second));
    assert_ptr_equal(lend_next(&l, &p), &second);
    lend_return(&second);
    lend_unbind(&l, &other);
    lend_remove(&l, &p);
    lend_session_deinit(&s);
    lend_session_deinit(&other);
    lend_deinit(&l);
}

static void calls_without_a_session_disturb_none(void **state)
{
    struct lend l;
    struct lend_process a, b;
    struct lend_session s;
    struct lend_call bound = {.session = &s}, any = {0};

    (void)state;
    lend_init(&l, 10);
    one(&l, &a);
    one(&l, &b);
    lend_session_init(&s);
    assert_int_equal(lend_ask(&l, &bound), 0);
    lend_return(&bound);
    assert_int_equal(lend_ask(&l, &any), 0);
    assert_ptr_equal(any.process, &b);
    lend_return(&any);
    lend_unbind(&l, &s);
    lend_remove(&l, &a);
    lend_remove(&l, &b);
    lend_session_deinit(&s);
    lend_deinit(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_go_to_who_came_first),
        cmocka_unit_test(a_session_keeps_its_process_E_09),
        cmocka_unit_test(another_session_finds_no_room_E_10),
        cmocka_unit_test(calls_without_a_session_disturb_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
