/* SPDX-License-Identifier: Apache-2.0 */
/* What calls came to is told to the store: acceptances, refusals and completions. */
#include "serve/api.h"
#include "serve/dispatch_state.h"

#define TRIES_MAX 3u /* of what the store does not take */

BATCHER_FUNCTION(run_accept, grant_accept)
BATCHER_FUNCTION(run_refuse, grant_refuse)
BATCHER_FUNCTION(run_complete, task_complete)
BATCHER_MANY(many_complete, task_complete_many)

/* ---- acceptances and refusals ---- */

/* Take the flights that wait, up to what a request may name, into a post. What was refused together
 * with others is asked for again alone: one of them may be what the store cannot take. */
static size_t take(struct list *from, struct dispatch_post *p)
{
    size_t n = 0;

    LIST_EACH_SAFE(it, from)
    {
        bool alone = dispatch_flight_queued(it)->tries > 0;

        if (n == GRANT_LEASES_MAX || (n && alone))
            break;
        list_del(it);
        list_add(&p->flights, it);
        n++;
        if (alone)
            break;
    }
    return n;
}

/* Whether the store is asked again; `code` is what it said of all of the request. */
static bool again(struct dispatch_flight *f, enum code code)
{
    if (code == CODE_OK || ++f->tries == TRIES_MAX)
        return false;
    list_del(&f->queue);
    dispatch_flight_tell(f);
    return true;
}

static void accept_done(struct batcher_request *q)
{
    struct dispatch *d = q->context;
    size_t i = 0;

    LIST_EACH_SAFE(it, &d->accept.flights)
    {
        struct dispatch_flight *f = dispatch_flight_queued(it);
        enum code code = q->answer.code;

        if (code == CODE_OK)
            code = d->accept_codes.list[i++];
        if (again(f, q->answer.code))
            continue;
        /* One whose acceptance is not known is given back at its accept deadline. */
        if (code != CODE_OK)
            dispatch_runner_cancel(f->runner, f->lease, "its lease was taken back");
        dispatch_flight_free(f);
    }
    dispatch_answered(d, &d->accept);
}

void dispatch_tell_accepted(struct dispatch *d)
{
    struct dispatch_post *p = &d->accept;
    struct lease_ref *list;
    size_t n = 0;

    if (p->busy || list_empty(&d->accepted))
        return;
    list = ARENA_ARRAY(&p->arena, struct lease_ref, take(&d->accepted, p));
    LIST_EACH(it, &p->flights)
    list[n++] = dispatch_flight_queued(it)->lease;
    d->accept_asked = (struct grant_refs){list, n};
    dispatch_ask(d, p, DISPATCH_ASK_ACCEPT, run_accept, &d->accept_asked, &d->accept_codes,
                 sizeof(d->accept_codes), accept_done);
}

static void refuse_done(struct batcher_request *q)
{
    struct dispatch *d = q->context;

    LIST_EACH_SAFE(it, &d->refuse.flights)
    {
        struct dispatch_flight *f = dispatch_flight_queued(it);

        /* What nobody could give back expires. */
        if (!again(f, q->answer.code))
            dispatch_flight_free(f);
    }
    dispatch_answered(d, &d->refuse);
}

void dispatch_tell_refused(struct dispatch *d)
{
    struct dispatch_post *p = &d->refuse;
    struct grant_refusal *list;
    size_t n = 0;

    if (p->busy || list_empty(&d->refused))
        return;
    list = ARENA_ARRAY(&p->arena, struct grant_refusal, take(&d->refused, p));
    LIST_EACH(it, &p->flights)
    {
        const struct dispatch_flight *f = dispatch_flight_queued(it);

        list[n++] = (struct grant_refusal){f->lease, f->end.reason, f->end.message};
    }
    d->refuse_asked = (struct grant_refuse){list, n};
    dispatch_ask(d, p, DISPATCH_ASK_REFUSE, run_refuse, &d->refuse_asked, &d->refuse_codes,
                 sizeof(d->refuse_codes), refuse_done);
}

/* ---- completions ---- */

static void complete(struct dispatch_flight *f)
{
    struct dispatch *d = f->dispatch;

    batcher_release(&f->request);
    f->tries++;
    f->complete = (struct task_complete){&f->end.result, 1};
    f->request = (struct batcher_request){
        .name = DISPATCH_ASK_COMPLETE,
        .function = run_complete,
        .many = many_complete,
        .turn = API_TURN_END,
        .lane = BATCHER_OWN,
        .request = &f->complete,
        .reply = &f->codes,
        .reply_size = sizeof(f->codes),
        .bytes = 200 + f->end.result.output.n,
        .patience_us = BATCHER_FOR_EVER,
        .home = d->o.home,
        .context = f,
    };
    d->completing++;
}

/* Why the store does not take the completion; OK: it did, or has another one already. */
static enum code judge_complete(const struct dispatch_flight *f, struct str *ret_text)
{
    enum code code = f->request.answer.code;

    *ret_text = f->request.answer.text;
    if (code != CODE_OK)
        return code == CODE_STORE_UNAVAILABLE ? CODE_OK : code;
    code = f->codes.list[0];
    *ret_text = code_text(code);
    return code == CODE_LEASE_LOST || code == CODE_COMPLETION_CONFLICT ? CODE_OK : code;
}

static void complete_done(struct batcher_request *q)
{
    struct dispatch_flight *f = q->context;
    struct dispatch *d = f->dispatch;
    struct str text;
    enum code code = judge_complete(f, &text);

    d->completing--;
    if (code == CODE_OK || f->tries == TRIES_MAX) {
        dispatch_flight_free(f);
    } else {
        dispatch_call_bad(&f->arena, f->lease, text, &f->end.result);
        dispatch_count(d, DISPATCH_BAD_REPORTS, 1);
        dispatch_flight_tell(f);
    }
    dispatch_close_if_over(d);
}

void dispatch_tell_ended(struct dispatch *d)
{
    struct batcher_request *list[BATCHER_REQUESTS_MAX];
    size_t n = 0;

    LIST_EACH_SAFE(it, &d->ended)
    {
        struct dispatch_flight *f = dispatch_flight_queued(it);

        if (n == BATCHER_REQUESTS_MAX) {
            dispatch_soon(d);
            break;
        }
        list_del(it);
        complete(f);
        f->request.done = complete_done;
        list[n++] = &f->request;
    }
    if (n)
        batcher_post_each(d->o.writer, list, n);
}
