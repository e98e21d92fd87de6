/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/recover.h"

#include <errno.h>
#include <inttypes.h>

#include "base/fault.h"
#include "base/log.h"
#include "serve/logs.h"

enum recover_verdict recover_judge(const struct worker_row *w, const struct guardian_self *self,
                                   enum store_backend store, int64_t now)
{
    bool here = str_eq(w->host, self->host);

    if (!str_eq(w->kind, STR("local")))
        return RECOVER_ALIVE;
    if (here && w->boot.n && str_eq(w->boot, self->boot))
        return guardian_alive(w->boot, w->pid, w->pid_start) ? RECOVER_ALIVE : RECOVER_DEAD;
    /* Names of machines are not unique, and containers of one machine share its boot: only a file
     * is on this machine for sure. */
    if (here && store == STORE_SQLITE && guardian_rebooted(w->boot))
        return RECOVER_REBOOT;
    /* On a store that machines share it has killed its processes at LOCAL_FENCE_US; on a file it
     * does not, and may be held up alone. */
    return now - w->beat_at > (store == STORE_POSTGRES ? 1 : 2) * w->ttl_us ? RECOVER_SILENT
                                                                            : RECOVER_ALIVE;
}

struct worker_lose recover_lose(const struct worker_row *w, enum recover_verdict verdict)
{
    struct worker_lose lose = {.incarnation = w->incarnation, .reason = STR("its program died")};

    if (verdict == RECOVER_SILENT) {
        lose.reason = STR("its heartbeat stopped");
        lose.beat_at = w->beat_at;
    }
    return lose;
}

int recover_clean(const struct worker_row *w, enum recover_verdict verdict, const char *data)
{
    int r = verdict == RECOVER_DEAD ? guardian_clean(w->site, RECOVER_CLEAN_MS) : 0;

    if (r)
        return fault(r);
    if (verdict != RECOVER_SILENT)
        logs_scratch_remove(data, w->incarnation);
    return 0;
}

/* The workers, and the store's kind and clock. */
struct look {
    struct worker_rows workers;
    enum store_backend store;
    int64_t now;
};

static int look(struct tx *tx, const void *request, void *reply)
{
    struct look *l = reply;

    l->now = tx->now;
    l->store = store_backend(tx->store);
    return worker_list(tx, request, &l->workers);
}

BATCHER_FUNCTION(lose, worker_lose)

static void answer_keep(struct arena *a, const struct batcher_answer *from,
                        struct batcher_answer *ret)
{
    *ret = (struct batcher_answer){.code = from->code, .text = str_copy(a, from->text)};
}

/* Take back what a dead worker held, and add it to the reply. */
static int lose_one(const struct recover *r, struct arena *a, const struct worker_row *w,
                    enum recover_verdict verdict, struct recover_reply *ret,
                    struct batcher_answer *ret_problem)
{
    struct worker_lose request = recover_lose(w, verdict);
    struct worker_lose_reply reply;
    struct batcher_request q = {
        .function = lose,
        .request = &request,
        .reply = &reply,
        .reply_size = sizeof(reply),
        .patience_us = BATCHER_CALL_US,
    };
    size_t before = ret->n;

    batcher_call(r->batcher, &q);
    /* Another program may have done so meanwhile, or it was silent and is back. */
    if (q.answer.code == CODE_WORKER_LOST || q.answer.code == CODE_WORKER_NOT_FOUND ||
        q.answer.code == CODE_WORKER_ALIVE) {
        arena_deinit(&q.arena);
        return 0;
    }
    if (q.answer.code != CODE_OK) {
        answer_keep(a, &q.answer, ret_problem);
        arena_deinit(&q.arena);
        return RECOVER_E_REFUSED;
    }
    ret->n += reply.n;
    ret->tasks =
        arena_grow(a, ret->tasks, before * sizeof(*ret->tasks), ret->n * sizeof(*ret->tasks));
    for (size_t i = 0; i < reply.n; i++)
        ret->tasks[before + i] =
            (struct recover_task){.task = reply.tasks[i], .name = str_copy(a, reply.names[i])};
    arena_deinit(&q.arena);
    return 0;
}

static int recover_one(const struct recover *r, struct arena *a, const struct worker_row *w,
                       int64_t run, const struct look *seen, struct recover_reply *ret,
                       struct batcher_answer *ret_problem)
{
    enum recover_verdict verdict = recover_judge(w, &r->self, seen->store, seen->now);

    if (verdict == RECOVER_ALIVE && run && w->run == run) {
        *ret_problem = (struct batcher_answer){
            .code = CODE_RUN_HELD,
            .text = str_printf(a,
                               "run %" PRId64 " is carried by the weft with process id %" PRId64
                               " on " STR_FMT "; watch it, or cancel it",
                               run, w->pid, STR_ARG(w->host)),
        };
        return RECOVER_E_REFUSED;
    }
    if (verdict == RECOVER_ALIVE)
        return 0;
    if (recover_clean(w, verdict, r->data)) {
        log_say(LOG_ERROR, "recovery_failed", LOG_NUMBER("worker", w->incarnation),
                LOG_TEXT("way", str_of(fault_take())));
        *ret_problem = (struct batcher_answer){
            .code = CODE_TIMEOUT,
            .text =
                str_printf(a,
                           "processes that a dead weft (process id %" PRId64
                           ") left behind cannot be ended (" STR_FMT "); end them and try again",
                           w->pid, STR_ARG(w->site)),
        };
        return RECOVER_E_REFUSED;
    }
    return lose_one(r, a, w, verdict, ret, ret_problem);
}

int recover_all(const struct recover *r, struct arena *a, int64_t run, struct recover_reply *ret,
                struct batcher_answer *ret_problem)
{
    struct look seen = {0};
    struct batcher_request q = {
        .function = look,
        .reply = &seen,
        .reply_size = sizeof(seen),
        .patience_us = BATCHER_CALL_US,
    };
    int result = 0;

    *ret = (struct recover_reply){0};
    batcher_call(r->batcher, &q);
    if (q.answer.code != CODE_OK) {
        answer_keep(a, &q.answer, ret_problem);
        result = RECOVER_E_REFUSED;
    }
    for (size_t i = 0; !result && i < seen.workers.n; i++)
        result = recover_one(r, a, &seen.workers.list[i], run, &seen, ret, ret_problem);
    arena_deinit(&q.arena);
    return result;
}
