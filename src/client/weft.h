/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft: the C library for clients and workers of a weft server. Runners, which are called by it,
 * have weft_runner.h beside.
 *
 *     struct weft *w;
 *     struct weft_worker *worker;
 *     struct weft_error error;
 *
 *     if (weft_open(NULL, NULL, &w, &error) ||
 *         weft_worker_start(w, NULL, &worker, &error))
 *         errx(1, "%s: %s", error.code, error.text);
 *     weft_worker_run(worker, "mail", NULL, send, NULL, &error);
 *     weft_worker_close(worker, 30000);
 *     weft_close(w);
 *
 * JSON is text with its length in bytes (UTF-8, RFC 8259, at most 64 levels); it is checked, and
 * goes to the server and comes from there byte for byte, so that no number is rounded. Other texts
 * are C strings. Times and durations are milliseconds. Ids and tokens are texts of digits.
 *
 * What is passed stays the caller's and is not looked at after the return; what is returned as
 * `const char *` belongs to the thing that was asked, and lives as long.
 *
 * Every thread may use a client or a worker, several at once, but for the call that closes it. A
 * lease is used by one thread at a time. A child of fork() must not use what its parent opened.
 *
 * Functions that may fail return one of `enum weft_result` and fill in the error, unless it is
 * NULL. A call is made again, with growing pauses, when the server cannot be reached; those that
 * may not happen twice have a key by which the server knows them again. After five failures in a
 * row none is made for a minute (WEFT_UNAVAILABLE, "breaker_open"); the heartbeat of a worker ends
 * that sooner. A machine without memory ends the process.
 */
#ifndef WEFT_H
#define WEFT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weft_result {
    WEFT_OK = 0,
    WEFT_REFUSED = 1,     /* the server does not do this */
    WEFT_UNAVAILABLE = 2, /* the server was not reached, or cannot now: another try may do */
    WEFT_INVALID = 3,     /* an argument is wrong; nothing was sent */
    WEFT_LOST = 4         /* the task was given to another worker, or is cancelled and gone */
};

/* Why. `code` never changes its meaning ("queue_not_found"; docs/wire.md lists those of the server,
 * docs/clients.md those of the clients), `text` is one sentence for a person, of any language that
 * the server may speak one day. Empty texts where nothing went wrong. */
#define WEFT_CODE_BYTES 64
#define WEFT_TEXT_BYTES 2048
struct weft_error {
    char code[WEFT_CODE_BYTES];
    char text[WEFT_TEXT_BYTES];
    int64_t retry_after_ms; /* of WEFT_UNAVAILABLE: when another try may do; 0: nobody said */
};

/* An id or a token, with its NUL. */
#define WEFT_ID_BYTES 24
struct weft_id {
    char text[WEFT_ID_BYTES];
};

/* "0.1.0" */
const char *weft_version(void);

/* ---- The client ---- */

struct weft;

/* Zero, or NULL instead of the whole, is the default of each. */
struct weft_options {
    const char *ca_file;   /* of https: PEM file of the authorities; default: the system's */
    const char *cert_file; /* the client's certificate, PEM; default: none */
    const char *key_file;  /* and its key */
    int64_t timeout_ms;    /* of a call, beside the wait that it asks for; default 30000 */
    unsigned tries;        /* of a call, 1 to 1000; default 4 */
};

/* A client of the server at `url`, "http://HOST:PORT" or "https://…"; NULL: the environment's
 * WEFT_SERVER, or http://127.0.0.1:7411. Nothing is sent: a server that is away is told by the
 * first call. Returns WEFT_OK and a client to close, or WEFT_INVALID. */
int weft_open(const char *url, const struct weft_options *options, struct weft **ret,
              struct weft_error *ret_error);

/* Closes the connections. Its workers are closed before. NULL is allowed. */
void weft_close(struct weft *w);

/* Call any method of docs/wire.md by its name, "runs.start", but for those that stream. `request`
 * is an object, or empty. A request is read and written anew on its way, so that a whole number
 * beyond 64 bits is refused here; not so in the functions below. Returns WEFT_OK and the reply, an
 * object with a NUL behind it, which the caller gives to weft_free(); or WEFT_REFUSED,
 * WEFT_UNAVAILABLE, WEFT_INVALID. ret_reply may be NULL, ret_n too. */
int weft_call(struct weft *w, const char *method, const char *request, size_t request_n,
              char **ret_reply, size_t *ret_n, struct weft_error *ret_error);

/* Give back what a function above says. NULL is allowed. */
void weft_free(void *p);

/* Make the queue, or change the settings that are given (PutQueueRequest: {"concurrency_max":4}).
 * Returns as weft_call(). */
int weft_put_queue(struct weft *w, const char *queue, const char *settings, size_t settings_n,
                   struct weft_error *ret_error);

/* A task to enqueue; zero is the default of each field. */
struct weft_task {
    const char *payload; /* JSON; default null */
    size_t payload_n;
    int priority;           /* -1000 to 1000, the higher first */
    int64_t delay_ms;       /* not before now and so long */
    int64_t timeout_ms;     /* of an attempt; default: the queue's */
    const char *key;        /* for order, concurrency and fair shares */
    const char *unique_key; /* while a task with it lives, no other is added */
    int64_t unique_for_ms;  /* and so long beyond its enqueueing; default: until it has ended */
};

/* Add 1 to 10 000 tasks, all or none. ret_ids has room for n (NULL: not wanted) and gets their ids
 * in order; of a task whose unique key is taken, the id of the one that has it. */
#define WEFT_TASKS_MAX 10000
int weft_enqueue(struct weft *w, const char *queue, const struct weft_task *tasks, size_t n,
                 struct weft_id *ret_ids, struct weft_error *ret_error);

struct weft_lease;

/* Take up to `max` (1 to 10 000) tasks under the name of `worker`, without being one: no heartbeat
 * keeps these leases, each lives for ttl_ms (0: as the queue says) and is ended with
 * weft_complete() or weft_release(). Where there is none, waits up to wait_ms (at most 60 000).
 * `leases` has room for max, *ret_n is how many there are; each is given to weft_lease_free(). */
int weft_claim(struct weft *w, const char *queue, const char *worker, size_t max, int64_t wait_ms,
               int64_t ttl_ms, struct weft_lease **leases, size_t *ret_n,
               struct weft_error *ret_error);

/* The end of an attempt. */
struct weft_end {
    const char *token;
    const char *outcome; /* "succeeded", "failed", "timed_out" or "cancelled" */
    const char *result;  /* of a success: JSON; default null */
    size_t result_n;
    const char *error_code; /* of anything else; default "error" */
    const char *error_text; /* what is beyond 3 800 bytes is cut */
};

/* How one of several came out: code "OK", or why not. */
struct weft_item {
    char code[WEFT_CODE_BYTES];
    char text[WEFT_TEXT_BYTES];
};

/* End 1 to 10 000 attempts. WEFT_OK says that the server has answered for each: ret_items has room
 * for n (NULL: not wanted). The same end again is OK; another one is completion_conflict; a lease
 * that was taken back is lease_lost. */
int weft_complete(struct weft *w, const struct weft_end *ends, size_t n,
                  struct weft_item *ret_items, struct weft_error *ret_error);

/* Give 1 to 10 000 tasks back unworked; their attempts do not count. */
int weft_release(struct weft *w, const char *const *tokens, size_t n, struct weft_item *ret_items,
                 struct weft_error *ret_error);

/* ---- Workers ----
 *
 * A worker registers, and two threads of its own heartbeat and report what has ended. While the
 * server is away it goes on with what it holds: what ends is kept, in memory or in the file
 * `outbox`, which outlives the process, and is reported when the server is back. When the server
 * has given it up, it registers again and asks for what it held.
 */

struct weft_worker;

/* Zero, or NULL instead of the whole, is the default of each. */
struct weft_worker_options {
    const char *name; /* 1 to 200 bytes; default: HOST-8hex, a new one each time */
    unsigned slots;   /* leases at once, ended ones that are not reported among them; default 100 */
    int64_t ttl_ms; /* after so long a silence it is given up, 1000 to 86 400 000; default 60000 */
    const char *outbox; /* a file of its own; default: memory */
    const char *labels; /* JSON object of texts; default none */
    size_t labels_n;
    int takeover; /* 1: end another worker of that name that still lives */
    /* What happens in the background, one sentence at a time; called by the worker's threads and
     * by those that use it. Must not call the worker. */
    void (*log)(void *context, const char *text);
    void *log_context;
};

/* Register and begin. What is left in the outbox is reported first thing. Returns WEFT_OK and a
 * worker to close; or WEFT_REFUSED ("worker_alive": one of that name lives), WEFT_UNAVAILABLE,
 * WEFT_INVALID (an outbox that cannot be used: "outbox"). */
int weft_worker_start(struct weft *w, const struct weft_worker_options *options,
                      struct weft_worker **ret, struct weft_error *ret_error);

const char *weft_worker_name(const struct weft_worker *worker);

/* 1 while the server is away and ends are kept; else 0. */
int weft_worker_is_local(const struct weft_worker *worker);

/* Claim nothing more: weft_worker_claim() gives nothing from now on, and weft_worker_run() returns
 * when the task in hand has ended. May be called in a signal handler. */
void weft_worker_stop(struct weft_worker *worker);

/* Up to `max` leases, and not more than there are free slots; waits up to wait_ms (at most 60 000)
 * for the first. `leases` has room for max, *ret_n (0 is no failure) is how many there are; each is
 * given to weft_lease_free(). */
int weft_worker_claim(struct weft_worker *worker, const char *queue, size_t max, int64_t wait_ms,
                      struct weft_lease **leases, size_t *ret_n, struct weft_error *ret_error);

/* Work on one task. Ends it with one of the functions below; or just returns: 0 completes it with
 * null, anything else fails it with the code "error". The lease ends with the return. */
typedef int weft_handler(void *context, struct weft_lease *lease);

/* Zero, or NULL instead of the whole, is the default of each. */
struct weft_run_options {
    size_t batch;    /* claimed at once, 1 to 10 000; default 10, or the slots if they are fewer */
    int64_t wait_ms; /* for the next task, at most 60 000; default 5000 */
    int until_empty; /* 1: return when there is none */
};

/* Claim and handle, one task after the other, until weft_worker_stop(). A server that is away is
 * waited for, and so is a queue that nobody has made yet, which the log hears once; with
 * `until_empty` such a queue is refused. Several threads may run at once. Returns WEFT_OK, or
 * WEFT_REFUSED or WEFT_INVALID of a claim. */
int weft_worker_run(struct weft_worker *worker, const char *queue,
                    const struct weft_run_options *options, weft_handler *handle, void *context,
                    struct weft_error *ret_error);

/* How a batch went. */
#define WEFT_FLOW_ERRORS_MAX 10
#define WEFT_FLOW_TEXT_BYTES 256
struct weft_summary {
    size_t claimed, processed, succeeded, failed;
    double success_rate_percent; /* 0 to 100, to the hundredth */
    size_t error_count;
    struct { /* the first of them */
        struct weft_id id;
        char text[WEFT_FLOW_TEXT_BYTES];
    } errors[WEFT_FLOW_ERRORS_MAX];
};

/* The flow template: look whether the server is well, claim one batch (1 to 10 000), handle each
 * record, and wait up to patience_ms until the server knows. A record that fails leaves the others
 * as they are. Returns WEFT_OK with a summary (claimed 0: no records to process); WEFT_REFUSED
 * "unhealthy"; else as weft_worker_claim(). */
int weft_worker_flow(struct weft_worker *worker, const char *queue, size_t batch,
                     weft_handler *handle, void *context, int64_t patience_ms,
                     struct weft_summary *ret, struct weft_error *ret_error);

/* Wait up to patience_ms until the server knows of every end. Returns WEFT_OK, or WEFT_UNAVAILABLE
 * "not_reported". */
int weft_worker_drain(struct weft_worker *worker, int64_t patience_ms,
                      struct weft_error *ret_error);

/* Give back what has not ended, wait up to patience_ms for the reports, take leave, and free the
 * worker. What is not reported then stays in the outbox's file. Leases that the caller still has
 * may be read and freed, no more. NULL is allowed. */
void weft_worker_close(struct weft_worker *worker, int64_t patience_ms);

/* ---- Leases ---- */

const char *weft_lease_id(const struct weft_lease *lease);    /* of the task */
const char *weft_lease_queue(const struct weft_lease *lease); /* "" of a run's task */
const char *weft_lease_key(const struct weft_lease *lease);   /* "" if it has none */

/* Never used again: an idempotency key for whatever is done outside. */
const char *weft_lease_token(const struct weft_lease *lease);

/* From 1. */
int64_t weft_lease_attempt(const struct weft_lease *lease);

/* JSON, with a NUL behind it; *ret_n (NULL allowed) is its length. */
const char *weft_lease_payload(const struct weft_lease *lease, size_t *ret_n);

/* 1 once the task is cancelled or lost: end soon. Known with the next heartbeat. */
int weft_lease_stop_asked(const struct weft_lease *lease);
/* 1 once somebody else has the task. */
int weft_lease_lost(const struct weft_lease *lease);

/*
 * The ends, of leases of a worker, each at most once. They return at once (the server hears of them
 * in the background): WEFT_OK; WEFT_LOST; WEFT_INVALID (the result is no JSON or beyond 1 MiB, and
 * then the lease has not ended; or it has ended already, or belongs to no worker).
 */

/* `result` is JSON; NULL is null. */
int weft_lease_complete(struct weft_lease *lease, const char *result, size_t result_n,
                        struct weft_error *ret_error);
/* `code` names the class of the failure (at most 200 bytes, the rest is cut), `text` is for people
 * (3 800). Whether it is tried again is the queue's or the task's policy. */
int weft_lease_fail(struct weft_lease *lease, const char *code, const char *text,
                    struct weft_error *ret_error);
/* It stopped as was asked. */
int weft_lease_cancelled(struct weft_lease *lease, const char *text, struct weft_error *ret_error);
/* Give it back unworked. */
int weft_lease_release(struct weft_lease *lease, struct weft_error *ret_error);

/* Tell how far it is: 0 to 100 percent (-1: unknown), and a sentence (NULL: none). Asks the server,
 * once. Returns WEFT_OK, also where the server is away and does not hear it; WEFT_LOST; or
 * WEFT_REFUSED. */
int weft_lease_progress(struct weft_lease *lease, int percent, const char *text,
                        struct weft_error *ret_error);

/* A lease of a worker that has not ended is given back. NULL is allowed. */
void weft_lease_free(struct weft_lease *lease);

#ifdef __cplusplus
}
#endif

#endif
