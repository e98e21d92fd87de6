/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover: take back what dead programs of this machine held.
 *
 * A worker of this machine is dead when its process is: the same boot, pid and start time live no
 * more. Then everything that it left running is ended first, and only with that proof are its tasks
 * given out again. Where the store is a file, one of this machine's earlier boot is dead as well. A
 * program of another machine, or of another container, is judged by its heartbeat alone: where the
 * store is Postgres after its TTL, since one that lives has killed its own processes before
 * (LOCAL_FENCE_US in serve/local.h); where it is a file after twice that.
 */
#ifndef SERVE_RECOVER_H
#define SERVE_RECOVER_H

#include "engine/worker.h"
#include "serve/batcher.h"
#include "work/guardian.h"

#define RECOVER_CLEAN_MS 5000

/* What a worker's row and the machine say of it. */
enum recover_verdict {
    RECOVER_ALIVE,  /* or it may be */
    RECOVER_REBOOT, /* dead, and the machine started anew: nothing of it can be left */
    RECOVER_DEAD,   /* dead: clean up, then lose it */
    RECOVER_SILENT, /* of another machine, as far as one can tell, and silent for too long */
};
enum recover_verdict recover_judge(const struct worker_row *w, const struct guardian_self *self,
                                   enum store_backend store, int64_t now);

/* End what it left, and its scratch files. Blocks up to RECOVER_CLEAN_MS. 0 is the proof of death.
 */
int recover_clean(const struct worker_row *w, enum recover_verdict verdict, const char *data);

/* What to ask the store for then. */
struct worker_lose recover_lose(const struct worker_row *w, enum recover_verdict verdict);

struct recover {
    struct batcher *batcher; /* the writer: what it sees is the newest */
    const char *data;
    struct guardian_self self;
};

struct recover_task {
    int64_t task;
    struct str name;
};

struct recover_reply {
    struct recover_task *tasks; /* taken back */
    size_t n;
};

enum { RECOVER_E_REFUSED = 1 };

/*
 * All dead workers. `run` is about to be carried (0: none): RUN_HELD where a worker that lives
 * carries it. Returns 0, or RECOVER_E_REFUSED with *ret_problem; what they point to lives in the
 * arena. Blocks.
 */
int recover_all(const struct recover *r, struct arena *a, int64_t run, struct recover_reply *ret,
                struct batcher_answer *ret_problem);

#endif
