/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft_pool_worker: a process of a pool in C, spoken to over stdin and stdout (docs/pools.md, "The
 * protocol").
 *
 *     static int add(struct weft_pool_call *call)
 *     {
 *         long *sum = *weft_pool_worker_state(call);
 *         char text[32];
 *
 *         if (!sum && !(sum = *weft_pool_worker_state(call) = calloc(1, sizeof(*sum))))
 *             return weft_pool_worker_fail(call, "memory", "there is none left", NULL);
 *         *sum += strtol(weft_pool_worker_args(call, NULL), NULL, 10);
 *         snprintf(text, sizeof(text), "%ld", *sum);
 *         return weft_pool_worker_result(call, text, strlen(text));
 *     }
 *
 *     static void forget(const char *session, void *state)
 *     {
 *         free(state);
 *     }
 *
 *     int main(void)
 *     {
 *         static const struct weft_pool_command commands[] = {{"add", add}};
 *
 *         return weft_pool_worker_serve(&(struct weft_pool_worker){
 *             .commands = commands, .commands_n = 1, .end_session = forget});
 *     }
 *
 * It is part of libweft. One call at a time is done, in the thread that serves: what else a machine
 * can do is for other processes of the pool. JSON goes in and out as text, UTF-8. What is borrowed
 * holds until the function of the call returns.
 */
#ifndef WEFT_POOL_WORKER_H
#define WEFT_POOL_WORKER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_pool_call;

struct weft_pool_command {
    const char *name; /* not empty, and does not begin with "weft." */
    /* Answer it: once with a result or a failure; else its result is null. What it returns is
     * ignored, so that an answer can be returned. */
    int (*work)(struct weft_pool_call *call);
};

/* Zero is the default of each. */
struct weft_pool_worker {
    const struct weft_pool_command *commands;
    size_t commands_n;
    /* A session has ended; it frees its state, which may be NULL. `session` is NULL: it was the
     * state of a call without one. */
    void (*end_session)(const char *session, void *state);
    /* Both or none: answer with what a session is made of, and make one of it (the arguments of the
     * call) in a process where it has no state. */
    int (*snapshot)(struct weft_pool_call *call);
    int (*restore)(struct weft_pool_call *call);
    int64_t sessions;   /* how many it may keep, where weft is to know */
    size_t message_max; /* bytes, as the pool's; default 1 MiB. A larger reply becomes an error */
};

/* Answer calls until weft says that it is over, or goes away. From here on the process's stdout is
 * its stderr, and its stdin empty. Returns 0, or 1 after a line on stderr: the status of the
 * process. */
int weft_pool_worker_serve(const struct weft_pool_worker *w);

/* The arguments, "null" where there are none. *ret_n (NULL allowed): how many bytes; a NUL stands
 * behind them. */
const char *weft_pool_worker_args(const struct weft_pool_call *call, size_t *ret_n);
const char *weft_pool_worker_command(const struct weft_pool_call *call);
/* NULL: none. */
const char *weft_pool_worker_session(const struct weft_pool_call *call);
/* Where the session keeps its state; NULL before its first call, and at once for a call without a
 * session, whose state ends with it. */
void **weft_pool_worker_state(struct weft_pool_call *call);

/* Sleep for `ms` (0: only look), but no longer than somebody waits for the call. Whether nobody
 * does: it was cancelled, or its time is over. */
int weft_pool_worker_left(struct weft_pool_call *call, int64_t ms);

/* Each takes JSON and returns 0, or -1 where it cannot be sent: it is no JSON, too large, nested
 * more than 64 deep, or the call was answered. The call then fails where nothing else is said. */
int weft_pool_worker_chunk(struct weft_pool_call *call, const char *json, size_t n);
int weft_pool_worker_result(struct weft_pool_call *call, const char *json, size_t n);
/* `details`: JSON; NULL: none. */
int weft_pool_worker_fail(struct weft_pool_call *call, const char *kind, const char *message,
                          const char *details);

#ifdef __cplusplus
}
#endif

#endif
