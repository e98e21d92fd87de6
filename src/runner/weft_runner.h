/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft_runner: a runner in C. The server calls it (weft.v1.Runner, over gRPC) when a stage of a
 * plan is ready; it has a function for each type of stage.
 *
 *     static int build(void *context, struct weft_stage *stage)
 *     {
 *         weft_stage_progress(stage, 10, "compiling", NULL, 0, NULL);
 *         if (make(weft_stage_args(stage, NULL)))
 *             return weft_stage_fail(stage, "compiler", "it does not compile");
 *         weft_stage_check(stage, &(struct weft_check_result){.check = "builds"}, NULL);
 *         return weft_stage_result(stage, "{\"binary\":\"out/weft\"}", 21, NULL);
 *     }
 *
 *     static const struct weft_stage_type types[] = {{.type = "build", .work = build}};
 *
 *     if (weft_open(NULL, NULL, &w, &error) ||
 *         weft_runner_serve(w, NULL, types, 1, &error))
 *         errx(1, "%s", error.text);
 *     weft_close(w);
 *
 * It is part of libweft, and what weft.h says of JSON, texts, times, ownership, threads and results
 * holds here too. Include weft.h before.
 *
 * Each type is registered as a worker of its own, with its own slots. The same function serves both
 * modes: a sync stage is answered with its end, an async one is accepted at once and its end told
 * as a worker tells one, later where the server is away. An end that no call waits for any more is
 * told in that way, too. A stage that cannot begin because all threads are busy waits, and is
 * accepted when it begins: one whose call is over by then is not begun. A token that comes again is
 * not run again: the second call hears of the same end (of the last 1000, as far as their reports
 * have no more than 32 MiB).
 */
#ifndef WEFT_RUNNER_H
#define WEFT_RUNNER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft;
struct weft_error;
struct weft_stage;
struct weft_runner;

/* Do a stage, in a thread of the runner's; several at once, as many as there are slots. Returns 0:
 * it has succeeded, with the result that was given (default: none); anything else: it has failed,
 * as weft_stage_fail() said. The stage is over with the return. */
typedef int weft_stage_work(void *context, struct weft_stage *stage);

enum weft_stage_modes { WEFT_STAGE_BOTH, WEFT_STAGE_SYNC, WEFT_STAGE_ASYNC };

#define WEFT_SLOTS_UNLIMITED (-1)

/* What is done. */
#define WEFT_STAGE_TYPES_MAX 100
struct weft_stage_type {
    const char *type; /* not empty, and once */
    weft_stage_work *work;
    void *context; /* for `work` */
    enum weft_stage_modes modes;
    int slots; /* at once; 0: as the runner's options say; or WEFT_SLOTS_UNLIMITED */
};

/* Zero, or NULL instead of the whole, is the default of each. */
struct weft_runner_options {
    const char *name;   /* default: HOST-8hex. Where there are several types, of NAME/TYPE */
    int slots;          /* of each type, at most 100 000; default 10; or WEFT_SLOTS_UNLIMITED */
    const char *listen; /* "0.0.0.0:7500", port 0: any that is free; default "127.0.0.1:0" */
    /* Where the server finds it: "HOST:PORT", with "https://" before it where it speaks TLS;
     * default: where it listens, with this machine's name where that is everywhere. */
    const char *address;
    unsigned threads; /* that do stages, at most; begun as they are needed; default 1000 */
    int64_t ttl_ms; /* after so long a silence it is given up, 1000 to 86 400 000; default 60000 */
    const char *labels; /* JSON object of texts; default none */
    size_t labels_n;
    const char *metadata; /* likewise */
    size_t metadata_n;
    const char *version;   /* of the program */
    int takeover;          /* 1: end another runner of that name that still lives */
    const char *cert_file; /* TLS: its certificate, PEM, with the chain behind it; default: none */
    const char *key_file;  /* and its key */
    const char *ca_file;   /* who calls it needs a certificate of these authorities, PEM */
    int64_t patience_ms;   /* of weft_runner_serve(), for what goes on at its end; default 60000 */
    /* As of struct weft_worker_options. */
    void (*log)(void *context, const char *text);
    void *log_context;
};

/*
 * Start, work until SIGTERM or SIGINT comes, and close: the whole of a program that is nothing but
 * a runner. A second signal does what it did before the call. One at a time in a process. Returns
 * WEFT_OK, or as weft_runner_start().
 */
int weft_runner_serve(struct weft *w, const struct weft_runner_options *options,
                      const struct weft_stage_type *types, size_t types_n,
                      struct weft_error *ret_error);

/* Listen, register and begin. Functions have the signal mask of this thread. Returns WEFT_OK and a
 * runner to close; or WEFT_REFUSED ("worker_alive": one of that name lives), WEFT_UNAVAILABLE,
 * WEFT_INVALID ("listen": nobody can listen there; "tls": the files cannot be used). */
int weft_runner_start(struct weft *w, const struct weft_runner_options *options,
                      const struct weft_stage_type *types, size_t types_n, struct weft_runner **ret,
                      struct weft_error *ret_error);

/* As it was given, or made. */
const char *weft_runner_name(const struct weft_runner *runner);
/* Under which it is registered: "127.0.0.1:40123". */
const char *weft_runner_address(const struct weft_runner *runner);

/* Take nothing more; what goes on goes on. May be called in a signal handler. */
void weft_runner_stop(struct weft_runner *runner);

/* Take nothing more, tell the server so, and wait up to patience_ms for what goes on. Returns
 * WEFT_OK, or WEFT_UNAVAILABLE "not_ended". */
int weft_runner_drain(struct weft_runner *runner, int64_t patience_ms,
                      struct weft_error *ret_error);

/* Drain, tell the ends (within the same patience, or a second), and take leave. What has not ended
 * by then is told to stop, its end is not told, and the server gives it to others; yet its function
 * must return before this one does. Not called by a function of a stage. NULL is allowed. */
void weft_runner_close(struct weft_runner *runner, int64_t patience_ms);

/* ---- One stage, for its function alone; other threads may ask weft_stage_cancelled() ---- */

/* Never used again: an idempotency key for whatever is done outside. */
const char *weft_stage_token(const struct weft_stage *stage);
const char *weft_stage_run(const struct weft_stage *stage);
const char *weft_stage_task(const struct weft_stage *stage); /* the stage's id */
const char *weft_stage_name(const struct weft_stage *stage);
const char *weft_stage_type(const struct weft_stage *stage);
/* The server that gave it, "HOST:PORT"; "" where it did not say. */
const char *weft_stage_callback(const struct weft_stage *stage);
/* From 1. */
int64_t weft_stage_attempt(const struct weft_stage *stage);
/* 1 where it was called async; else 0. */
int weft_stage_is_async(const struct weft_stage *stage);
/* JSON, with a NUL behind it; *ret_n (NULL allowed) is its length. "null" where there are none. */
const char *weft_stage_args(const struct weft_stage *stage, size_t *ret_n);
/* Milliseconds since 1970; 0: it has none. */
int64_t weft_stage_deadline_ms(const struct weft_stage *stage);
/* Until the deadline, 0 behind it; -1: it has none. */
int64_t weft_stage_left_ms(const struct weft_stage *stage);
/* Progress was promised so often; 0: it was not. */
int64_t weft_stage_progress_every_ms(const struct weft_stage *stage);

/* A check that the stage was assigned. */
struct weft_check {
    const char *name, *kind;
    const char *options; /* JSON with a NUL behind it, "null" where there are none */
    size_t options_n;
    const char *goal; /* "FINAL" or "PLANNED" */
};

/* All of them, *ret_n many. */
const struct weft_check *weft_stage_checks(const struct weft_stage *stage, size_t *ret_n);

/* NULL while the stage shall go on. Else why not: it is cancelled, its deadline has passed, or it
 * was given to somebody else. End it soon; a failure from now on counts as cancelled. */
const char *weft_stage_cancelled(struct weft_stage *stage);

/* As weft_stage_cancelled(), after a wait of at most so long for it. */
const char *weft_stage_wait(struct weft_stage *stage, int64_t ms);

/* Tell how far it is: 0 to 100 percent (-1: unknown), a sentence (NULL: none) and details (JSON of
 * at most 64 KiB; NULL: none). Asks the server, once. Returns WEFT_OK, also where the server is
 * away and does not hear it; WEFT_LOST; WEFT_REFUSED; or WEFT_INVALID. */
int weft_stage_progress(struct weft_stage *stage, int percent, const char *text,
                        const char *details, size_t details_n, struct weft_error *ret_error);

/* Beyond all of this together, what a stage says is refused ("too_large"), and it fails. */
#define WEFT_STAGE_SAYS_BYTES_MAX (4 << 20)
#define WEFT_STAGE_CHECKS_MAX     1000

/* What the stage found out about a check. Without a code it is answered well. */
struct weft_check_result {
    const char *check;
    const char *data; /* JSON of at most 1 MiB; default: none */
    size_t data_n;
    const char *code; /* of a failure, at most 200 bytes, the rest is cut */
    const char *text; /* of a failure, 3 800 */
    int open;         /* 1: more will be said of the check by others; default: this is final */
};

/* Told with the end, all at once, whether it is a success or not. Said twice of a check, the last
 * one counts. Returns WEFT_OK, or WEFT_INVALID, and then the stage fails whatever it returns. */
int weft_stage_check(struct weft_stage *stage, const struct weft_check_result *result,
                     struct weft_error *ret_error);

/* The result, where it succeeds: JSON of at most 1 MiB. The last one counts. Returns as
 * weft_stage_check(), so that a function may end with it. */
int weft_stage_result(struct weft_stage *stage, const char *result, size_t result_n,
                      struct weft_error *ret_error);

/* How it fails; the first failure counts. `code` names its class (at most 200 bytes), the text is
 * for people (3 800). Whether it is tried again is its retry policy's affair; _final: it would fail
 * again, and is not. Returns -1, so that a function may end with it. */
int weft_stage_fail(struct weft_stage *stage, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int weft_stage_fail_final(struct weft_stage *stage, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

#endif
