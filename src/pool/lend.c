/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/lend.h"

#include <assert.h>

#define PROCESS_OF(it) LIST_OF(it, struct lend_process, link)
#define CALL_OF(it)    LIST_OF(it, struct lend_call, link)
#define WAITING_OF(it) LIST_OF(it, struct lend_session, waits)

void lend_init(struct lend *l, unsigned waiting_max)
{
    *l = (struct lend){.waiting_max = waiting_max};
    list_init(&l->processes);
    list_init(&l->line);
}

void lend_deinit(struct lend *l)
{
    assert(list_empty(&l->processes) && l->waiting == 0);
    heap_deinit(&l->unbound);
}

void lend_add(struct lend *l, struct lend_process *p)
{
    assert(!p->open && p->places > 0 && p->used == 0 && p->sessions_n == 0);
    list_init(&p->sessions);
    list_add(&l->processes, &p->link);
}

void lend_remove(struct lend *l, struct lend_process *p)
{
    (void)l;
    assert(p->used == 0 && p->sessions_n == 0);
    list_del(&p->link);
    heap_deinit(&p->hungry);
}

void lend_open(struct lend_process *p)
{
    p->open = true;
}

void lend_close(struct lend_process *p)
{
    p->open = false;
}

static bool has_place(const struct lend_process *p)
{
    return p->open && p->used < p->places;
}

static bool takes_session(const struct lend_process *p)
{
    return p->sessions_n < p->sessions_max;
}

/* Sessions. */

void lend_session_init(struct lend_session *s)
{
    *s = (struct lend_session){0};
    list_init(&s->line);
    list_init(&s->link);
}

void lend_session_deinit(struct lend_session *s)
{
    assert(s->calls == 0 && !s->process && list_empty(&s->line));
}

static struct lend_call *first_of(const struct lend_session *s)
{
    return CALL_OF(s->line.next);
}

/* Its place among those that wait, after its line or its process has changed. */
static void settle(struct lend *l, struct lend_session *s)
{
    struct heap *h = s->process ? &s->process->hungry : &l->unbound;

    if (list_empty(&s->line))
        heap_del(h, &s->waits);
    else
        heap_set(h, &s->waits, first_of(s)->number);
}

void lend_bind(struct lend *l, struct lend_session *s, struct lend_process *p)
{
    assert(!s->process && takes_session(p));
    heap_del(&l->unbound, &s->waits);
    s->process = p;
    p->sessions_n++;
    list_add(&p->sessions, &s->link);
    settle(l, s);
}

void lend_unbind(struct lend *l, struct lend_session *s)
{
    struct lend_process *p = s->process;

    if (!p)
        return;
    heap_del(&p->hungry, &s->waits);
    list_del(&s->link);
    p->sessions_n--;
    s->process = NULL;
    settle(l, s);
}

/* Places. */

static void give(struct lend_call *c, struct lend_process *p)
{
    assert(has_place(p) && !c->process);
    p->used++;
    c->process = p;
}

void lend_return(struct lend_call *c)
{
    assert(c->process && c->process->used > 0);
    c->process->used--;
    c->process = NULL;
    if (c->session)
        c->session->calls--;
}

/* Fewer sessions first, so that a call without one disturbs none; then fewer calls, then the
 * oldest: the youngest are left idle, and are the first that nobody needs. */
static bool better(const struct lend_process *p, const struct lend_process *than)
{
    if (!than)
        return true;
    if (p->sessions_n != than->sessions_n)
        return p->sessions_n < than->sessions_n;
    return p->used < than->used;
}

static struct lend_process *choose(const struct lend *l, bool for_session)
{
    struct lend_process *best = NULL;

    LIST_EACH(it, &l->processes)
    {
        struct lend_process *p = PROCESS_OF(it);

        if (has_place(p) && (!for_session || takes_session(p)) && better(p, best))
            best = p;
    }
    return best;
}

/* Where the call goes now; NULL: nowhere. A session that finds its process is bound to it. */
static struct lend_process *find(struct lend *l, const struct lend_call *c)
{
    struct lend_session *s = c->session;
    struct lend_process *p = NULL;

    if (!s || c->affinity == LEND_NONE)
        return choose(l, false);
    if (s->process)
        p = has_place(s->process) ? s->process : NULL;
    else if (list_empty(&s->line)) {
        p = choose(l, true);
        if (p)
            lend_bind(l, s, p);
    }
    return p || c->affinity == LEND_STRICT ? p : choose(l, false);
}

static bool in_line_of_all(const struct lend_call *c)
{
    return !c->session || c->affinity != LEND_STRICT;
}

static void wait(struct lend *l, struct lend_call *c)
{
    c->number = ++l->last_number;
    l->waiting++;
    if (in_line_of_all(c)) {
        list_add(&l->line, &c->link);
        return;
    }
    list_add(&c->session->line, &c->link);
    settle(l, c->session);
}

int lend_ask(struct lend *l, struct lend_call *c)
{
    struct lend_process *p = find(l, c);

    c->process = NULL;
    if (!p && l->waiting >= l->waiting_max)
        return LEND_E_FULL;
    if (c->session)
        c->session->calls++;
    if (!p) {
        wait(l, c);
        return LEND_E_WAITS;
    }
    give(c, p);
    return 0;
}

/* Out of whichever line it stands in. */
static void step_out(struct lend *l, struct lend_call *c)
{
    list_del(&c->link);
    l->waiting--;
    if (!in_line_of_all(c))
        settle(l, c->session);
}

void lend_leave(struct lend *l, struct lend_call *c)
{
    assert(!c->process);
    step_out(l, c);
    if (c->session)
        c->session->calls--;
}

static struct lend_call *first_in(const struct heap *h)
{
    struct heap_node *node = heap_first(h);

    return node ? first_of(WAITING_OF(node)) : NULL;
}

static void prefer(struct lend_call **best, struct lend_call *c)
{
    if (c && (!*best || c->number < (*best)->number))
        *best = c;
}

struct lend_call *lend_next(struct lend *l, struct lend_process *p)
{
    struct lend_call *c = NULL;

    if (!has_place(p))
        return NULL;
    prefer(&c, first_in(&p->hungry));
    if (!list_empty(&l->line))
        prefer(&c, CALL_OF(l->line.next));
    if (takes_session(p))
        prefer(&c, first_in(&l->unbound));
    if (!c)
        return NULL;
    if (!in_line_of_all(c) && !c->session->process)
        lend_bind(l, c->session, p);
    step_out(l, c);
    give(c, p);
    return c;
}

bool lend_crowded(const struct lend *l, const struct lend_call *c)
{
    bool open = false;

    if (in_line_of_all(c) || c->session->process)
        return false;
    LIST_EACH(it, &l->processes)
    {
        const struct lend_process *p = PROCESS_OF(it);

        if (p->open && takes_session(p))
            return false;
        open = open || p->open;
    }
    return open;
}

/* Checks. */

static unsigned check_line(const struct lend_session *s)
{
    int64_t last = 0;
    unsigned n = 0;

    LIST_EACH(it, &s->line)
    {
        const struct lend_call *c = CALL_OF(it);

        assert(c->session == s && !c->process && c->number > last);
        last = c->number;
        n++;
    }
    assert(n <= s->calls);
    assert(n == 0 ? !s->waits.at : s->waits.at && s->waits.key == first_of(s)->number);
    return n;
}

static unsigned check_process(const struct lend *l, const struct lend_process *p)
{
    unsigned sessions = 0, waiting = 0;

    assert(p->used <= p->places);
    LIST_EACH(it, &p->sessions)
    {
        const struct lend_session *s = LIST_OF(it, struct lend_session, link);

        assert(s->process == p);
        sessions++;
        waiting += check_line(s);
    }
    assert(sessions == p->sessions_n && sessions <= p->sessions_max);
    if (has_place(p)) {
        assert(!heap_first(&p->hungry) && list_empty(&l->line));
        assert(!takes_session(p) || !heap_first(&l->unbound));
    }
    return waiting;
}

void lend_check(const struct lend *l)
{
    unsigned waiting = 0;

    LIST_EACH(it, &l->processes)
    waiting += check_process(l, PROCESS_OF(it));
    LIST_EACH(it, &l->line)
    waiting++;
    for (size_t i = 1; i <= l->unbound.n; i++) {
        assert(!WAITING_OF(l->unbound.nodes[i])->process);
        waiting += check_line(WAITING_OF(l->unbound.nodes[i]));
    }
    assert(waiting == l->waiting && waiting <= l->waiting_max);
}
