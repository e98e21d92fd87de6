/* SPDX-License-Identifier: Apache-2.0 */
#include "work/result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "work/tail.h"

#define MESSAGE_BYTES     2048u
#define SHOWN_BYTES       200
#define FLOOR_SLACK_BYTES (1 << 20) /* weft may grow between the start and the exec */
#define ERR_BYTES         (3 * EXECUTOR_TAIL_BYTES) /* each byte may become U+FFFD, of three */

void result_init(struct result *r)
{
    *r = (struct result){0};
    buf_init(&r->raw, MESSAGE_BYTES);
    buf_init(&r->message, 3 * MESSAGE_BYTES);
    buf_init(&r->err, ERR_BYTES);
}

void result_deinit(struct result *r)
{
    arena_deinit(&r->arena);
    buf_deinit(&r->raw);
    buf_deinit(&r->message);
    buf_deinit(&r->err);
}

/* An output of a mebibyte is rare, and its memory is not kept for the next one. */
static void clear(struct result *r)
{
    arena_deinit(&r->arena);
    r->arena = (struct arena){0};
    buf_clear(&r->raw);
    buf_clear(&r->message);
    buf_clear(&r->err);
}

static void fail(struct job_result *ret, enum task_reason reason)
{
    ret->outcome = OUTCOME_FAILED;
    ret->reason = reason;
}

void result_refused(struct result *r, const struct slot *s, struct job_result *ret)
{
    clear(r);
    *ret = (struct job_result){.exit_code = -1};
    fail(ret, s->refused);
    tail_clean(buf_str(&s->message), TAIL_LINE, &r->message);
    ret->message = buf_str(&r->message);
}

/* Why exec refused, by what it said. */
static const struct refusal {
    int error;
    enum task_reason reason;
    const char *text;
} refusals[] = {
    {ENOENT,  TASK_REASON_COMMAND_MISSING, "there is no such file"              },
    {ENOTDIR, TASK_REASON_COMMAND_MISSING, "a part of its path is no folder"    },
    {ELOOP,   TASK_REASON_COMMAND_MISSING, "its path goes round in circles"     },
    {EACCES,  TASK_REASON_COMMAND_DENIED,  "it may not be executed by this user"},
    {EPERM,   TASK_REASON_COMMAND_DENIED,  "it may not be executed by this user"},
    {ENOEXEC, TASK_REASON_COMMAND_DENIED,
     "it is neither a program nor a script that begins "
     "with #! and its interpreter"                                              },
    {ETXTBSY, TASK_REASON_SPAWN_FAILED,    "somebody is still writing it"       },
    {E2BIG,   TASK_REASON_SPAWN_FAILED,
     "its arguments and environment are longer than the "
     "system allows"                                                            },
    {0,       TASK_REASON_SPAWN_FAILED,    NULL                                 },
};

/* Whether the program, whose path may begin in the working folder, is there. */
static bool look_at(const struct slot *s, const char *program, struct stat *ret)
{
    CLEANUP(memory_fd_closep)
    int folder = program[0] == '/' ? -1 : open(s->cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return (program[0] == '/' || folder >= 0) && fstatat(folder, program, ret, 0) == 0;
}

static void never_ran(struct buf *message, const struct slot *s, enum process_step step, int error,
                      struct job_result *ret)
{
    const struct refusal *row = refusals;
    const char *program = process_program(s->room);
    struct stat st = {.st_mode = 0};
    bool there = look_at(s, program, &st);

    if (step == PROCESS_CWD) {
        fail(ret, TASK_REASON_CWD_MISSING);
        buf_printf(message, "the working folder \"%.*s\" cannot be entered: %s", SHOWN_BYTES,
                   s->cwd, strerror(error));
        return;
    }
    while (row->error && row->error != error)
        row++;
    fail(ret, step == PROCESS_EXEC ? row->reason : TASK_REASON_SPAWN_FAILED);
    buf_printf(message, "the command \"%.*s\" could not be started: ", SHOWN_BYTES, s->argv[0]);
    /* A script that is there, and whose #! line names what is not. */
    if (error == ENOENT && there)
        buf_add(message, STR("the interpreter that it names does not exist"));
    else if (error == EACCES && there && S_ISDIR(st.st_mode))
        buf_add(message, STR("it is a folder"));
    else
        buf_add(message, str_of(row->text && step == PROCESS_EXEC ? row->text : strerror(error)));
}

static void succeeded_or_not(struct result *r, const struct slot *s, struct job_result *ret)
{
    struct str why;

    switch (output_take(&r->arena, s->output_path, &ret->output, &why)) {
    case 0:
        ret->outcome = OUTCOME_SUCCEEDED;
        ret->reason = TASK_REASON_NONE;
        return;
    case OUTPUT_E_LARGE:
        fail(ret, TASK_REASON_OUTPUT_LARGE);
        break;
    default:
        fail(ret, TASK_REASON_OUTPUT_INVALID);
        break;
    }
    buf_add(&r->raw, why);
}

static void say_how(struct result *r, const struct slot *s, struct job_result *ret)
{
    struct buf *message = &r->raw;
    int error;
    enum process_step step = process_failure(s->room, &error);

    if (s->stopped == OUTCOME_TIMED_OUT) {
        ret->outcome = OUTCOME_TIMED_OUT;
        ret->reason = TASK_REASON_TIMED_OUT;
        buf_printf(message, "it ran longer than its timeout of %.6g s",
                   (double)s->timeout_us / (double)CLOCK_S);
    } else if (s->stopped == OUTCOME_CANCELLED) {
        ret->outcome = OUTCOME_CANCELLED;
        ret->reason = TASK_REASON_CANCELLED;
        buf_add(message, STR("it was cancelled while it ran"));
    } else if (step != PROCESS_RAN) {
        ret->exit_code = -1;
        never_ran(message, s, step, error, ret);
    } else if (ret->signal) {
        fail(ret, TASK_REASON_COMMAND_KILLED);
        buf_printf(message, "the command was ended by signal %d", ret->signal);
        if (sigabbrev_np(ret->signal))
            buf_printf(message, " (SIG%s)", sigabbrev_np(ret->signal));
    } else if (ret->exit_code) {
        fail(ret, TASK_REASON_COMMAND_FAILED);
        buf_printf(message, "the command ended with exit code %d", ret->exit_code);
    } else {
        succeeded_or_not(r, s, ret);
    }
}

static int64_t us_of(struct timeval t)
{
    return t.tv_sec * CLOCK_S + t.tv_usec;
}

/* The kernel counts what weft itself had in use when the child left it by exec. A figure above that
 * is the tree's own; else the last look at the living tree knows better. */
static int64_t peak_of(const struct slot *s, const struct rusage *used)
{
    int64_t bytes = used->ru_maxrss * 1024;

    return s->peak_bytes && bytes < s->floor_bytes + FLOOR_SLACK_BYTES ? s->peak_bytes : bytes;
}

void result_ended(struct result *r, const struct slot *s, int status, const struct rusage *used,
                  struct job_result *ret)
{
    clear(r);
    *ret = (struct job_result){
        .exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
        .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
        .run_us = s->ended_us - s->started_us,
        .cpu_us = us_of(used->ru_utime) + us_of(used->ru_stime),
        .max_rss_bytes = peak_of(s, used),
    };
    if (s->tail)
        tail_err(s->tail, &r->err);
    ret->stderr_tail = buf_str(&r->err);
    say_how(r, s, ret);
    tail_clean(buf_str(&r->raw), TAIL_LINE, &r->message);
    ret->message = buf_str(&r->message);
    if (ret->outcome != OUTCOME_SUCCEEDED)
        unlink(s->output_path);
    if (s->progress.seen)
        unlink(s->progress_path);
}
