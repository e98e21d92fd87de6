/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor: runs attempts as processes of this machine, and proves their death.
 *
 * A job is described as data and then started: argument vector, environment, folder, limits, files.
 * It runs in a process group and, where the machine allows, a cgroup of its own, with stdin closed
 * and no descriptor but 0, 1, 2. Its stdout and stderr are captured into files under a limit,
 * unless whoever starts it speaks with it. It ends by itself, by its timeout or because it is
 * stopped: SIGTERM, the grace time, SIGKILL to the whole tree. `done` is called once per job, only
 * after every process of the tree is proven dead. One thread: the loop's.
 */
#ifndef WORK_EXECUTOR_H
#define WORK_EXECUTOR_H

#include <uv.h>

#include "base/str.h"
#include "core/retry.h"
#include "core/task.h"

/* Of each stream of an attempt so much is kept, half of it head, half tail. */
#define EXECUTOR_LOG_BYTES    (8u << 20)
#define EXECUTOR_OUTPUT_BYTES (1u << 20) /* of $WEFT_OUTPUT */
#define EXECUTOR_TAIL_BYTES   4096u      /* of stderr, in the attempt's record */
#define EXECUTOR_SLOTS_MAX    4096u

struct executor;

/* All texts are borrowed for the call of executor_start(). Paths of one job are no other's, ever:
 * what is found there is taken for its own. */
struct job {
    /* Names the job here; not negative. Its maker puts it into `env` as WEFT_TOKEN, too. */
    int64_t token;
    const char *const *argv; /* ends with NULL; argv[0] is looked up in the PATH of `env` */
    const char *const *env;  /* ends with NULL; the whole environment, and WEFT_INSTANCE is added */
    const char *cwd;
    const char *out_path; /* made, with its folder, when the first byte comes */
    const char *err_path;
    const char *output_path;   /* what the child may write as $WEFT_OUTPUT: a JSON object */
    const char *progress_path; /* and as $WEFT_PROGRESS: lines "40 half of it"; "": nothing */
    int64_t timeout_us;        /* 0: none */
    int64_t grace_us;
    /* Its stdin and stdout, above 2, which the executor closes once it has them; 0: an empty stdin,
     * and stdout is captured. */
    int streams[2];
    const struct executor_events *events; /* borrowed until `done`; NULL: the executor's own */
};

/* Borrowed for the call of `done`. */
struct job_result {
    enum outcome outcome; /* succeeded, failed, timed_out, cancelled */
    enum task_reason reason;
    struct str message; /* one sentence with the value that was wrong; empty where it succeeded */
    int exit_code;      /* -1: none */
    int signal;         /* 0: none */
    int64_t run_us;     /* of its main process, monotonic; never negative */
    int64_t cpu_us;     /* user and system, of the main process and those it waited for */
    /* Of the largest process among those. What is smaller than weft itself is known only from looks
     * at the living tree; of a job that lived too short for one, it is weft's own. */
    int64_t max_rss_bytes;
    struct str stderr_tail; /* UTF-8; bytes that are none become U+FFFD */
    struct str output;      /* the JSON object, or empty */
};

struct executor_events {
    void *context;
    void (*done)(void *context, int64_t token, const struct job_result *result);
    void (*line)(void *context, int64_t token,
                 struct str line); /* the newest line of output, at most ten a second */
    void (*progress)(void *context, int64_t token, int percent, struct str text);
};

enum executor_rung {
    EXECUTOR_CGROUP, /* cgroup v2 with cgroup.kill: nothing escapes */
    EXECUTOR_GROUP,  /* process group, subreaper, and the instance's mark in the environment */
};

struct executor_options {
    uv_loop_t *loop;
    unsigned slots;
    struct guardian *guardian; /* borrowed */
    struct executor_events events;
};

/* One per process: it makes the process a subreaper, and every child of it in another session than
 * its own is taken for an orphan of a job, waited for, and may be killed. SIGXFSZ is ignored from
 * here on. Returns 0 or a fault. */
int executor_new(const struct executor_options *options, struct executor **ret);
/* All jobs must be done; an executor with jobs is a bug. The loop runs once more, to close what was
 * in it. */
struct executor *executor_free(struct executor *ex);
enum executor_rung executor_rung(const struct executor *ex);
unsigned executor_busy(const struct executor *ex);

/* Start a job; a slot must be free. Whatever goes wrong with it (no such command, no such folder,
 * no more processes) comes through `done`, later in the loop. */
void executor_start(struct executor *ex, const struct job *job);

/* Stop a job: TERM, grace, KILL; or KILL at once. Unknown tokens are ignored; a second call may
 * only hurry the first. `done` is never called from within. */
enum executor_stop { EXECUTOR_TERM, EXECUTOR_KILL };
void executor_stop(struct executor *ex, int64_t token, enum executor_stop how);
void executor_stop_all(struct executor *ex, enum executor_stop how);

/* What the main process of a job has in use at the moment; 0 where it has none. */
int64_t executor_resident_bytes(const struct executor *ex, int64_t token);

/* The states of a job as a Mermaid state diagram, for the documentation. */
struct buf;
void executor_diagram(struct buf *out);

#endif
