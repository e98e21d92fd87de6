/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/rescue.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"

struct job_of_rescue {
    struct list link;
    uv_work_t work;
    struct rescue *rescue;
    struct arena arena;
    struct worker_row worker;
    enum recover_verdict verdict;
    int cleaned;
    struct worker_lose lose;
    struct worker_lose_reply reply;
    struct batcher_request request;
};

void rescue_init(struct rescue *r)
{
    list_init(&r->jobs);
    r->jobs_n = 0;
    r->stopped = false;
}

BATCHER_FUNCTION(lose, worker_lose)

static void end(struct job_of_rescue *j)
{
    j->rescue->jobs_n--;
    list_del(&j->link);
    arena_deinit(&j->request.arena);
    arena_deinit(&j->arena);
    free(j);
}

static void lost(struct batcher_request *q)
{
    struct job_of_rescue *j = q->context;
    struct rescue *r = j->rescue;

    end(j);
    r->done(r->context);
}

/* On a thread of the pool. */
static void clean(uv_work_t *work)
{
    struct job_of_rescue *j = work->data;

    j->cleaned = recover_clean(&j->worker, j->verdict, j->rescue->data);
    if (j->cleaned)
        log_say(LOG_ERROR, "recovery_failed", LOG_NUMBER("worker", j->worker.incarnation),
                LOG_NUMBER("pid", j->worker.pid), LOG_TEXT("way", str_of(fault_take())));
}

static void cleaned(uv_work_t *work, int status)
{
    struct job_of_rescue *j = work->data;
    struct rescue *r = j->rescue;
    struct batcher_request *q = &j->request;

    if (status || j->cleaned || r->stopped) {
        end(j);
        return;
    }
    j->lose = recover_lose(&j->worker, j->verdict);
    q->function = lose;
    q->request = &j->lose;
    q->reply = &j->reply;
    q->reply_size = sizeof(j->reply);
    q->lane = BATCHER_OWN;
    q->patience_us = BATCHER_FOR_EVER;
    q->home = r->home;
    q->done = lost;
    q->context = j;
    batcher_post(r->writer, &q, 1);
}

void rescue_begin(struct rescue *r, const struct worker_row *w, enum recover_verdict verdict)
{
    struct job_of_rescue *j;

    LIST_EACH(link, &r->jobs)
    {
        if (LIST_OF(link, struct job_of_rescue, link)->worker.incarnation == w->incarnation)
            return;
    }
    if (r->jobs_n == RESCUE_MAX)
        return;
    j = memory_new(sizeof(*j));
    j->rescue = r;
    j->verdict = verdict;
    j->worker = *w;
    j->worker.site = str_copy(&j->arena, w->site);
    j->work.data = j;
    list_add(&r->jobs, &j->link);
    r->jobs_n++;
    uv_queue_work(r->loop, &j->work, clean, cleaned);
}
