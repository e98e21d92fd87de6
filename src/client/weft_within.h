/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft_within: what the files of the library know of each other. Only weft*.c include it; none of
 * its functions leaves the library.
 */
#ifndef CLIENT_WEFT_WITHIN_H
#define CLIENT_WEFT_WITHIN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/list.h"
#include "client/asker.h"
#include "client/weft.h"

#define WEFT_WITHIN __attribute__((visibility("hidden")))

#define WEFT_BODY_BYTES_MAX    ((size_t)256 << 20)
#define WEFT_PAYLOAD_BYTES_MAX ((size_t)1 << 20)
#define WEFT_MESSAGE_BYTES_MAX 3800 /* the server takes 4096 bytes, the code among them */
#define WEFT_CLASS_BYTES_MAX   200
#define WEFT_NAME_BYTES_MAX    200
#define WEFT_WAIT_MS_MAX       60000
#define WEFT_BATCH_MAX         10000

struct weft {
    struct asker *asker;
};

/* How the handler of a task ended it; for whoever called the handler. */
enum weft_ended { WEFT_ENDED_NOT, WEFT_ENDED_WELL, WEFT_ENDED_BADLY, WEFT_ENDED_BACK };

/*
 * One task in the hands of its holder. Of a worker's there are two references: the caller's, and
 * that of the worker, which keeps it until the server knows its end or has taken it back (`link`,
 * under the worker's lock). `worker` is looked at only while the lease is neither ended nor lost.
 */
struct weft_lease {
    struct list link;
    struct weft_worker *worker; /* NULL: of a claim without one, or the worker is closed */
    atomic_int references;
    atomic_bool stop, lost, ended;
    enum weft_ended how;
    char *failure; /* what it was failed with, for the summary of a flow */
    struct weft_id id, token;
    int64_t attempt;
    char *queue, *key;
    char *payload;
    size_t payload_n;
};

/* A lease of a claim's reply, with one reference. NULL: it is none. */
WEFT_WITHIN struct weft_lease *weft_lease_of(struct str given);
/* One of which no more is known, likewise. `token` has less than WEFT_ID_BYTES bytes. */
WEFT_WITHIN struct weft_lease *weft_lease_of_token(const char *token, const char *task);
WEFT_WITHIN void weft_lease_drop(struct weft_lease *lease);

/* As weft_lease_progress(), with details that are JSON, or empty. */
WEFT_WITHIN int weft_lease_tell(struct weft_lease *lease, int percent, const char *text,
                                struct str details, struct weft_error *ret_error);

/* The body of an end, {"token":…,"outcome":…}. WEFT_OK, or WEFT_INVALID: the result is no JSON. */
WEFT_WITHIN int weft_end_line(const struct weft_end *end, struct buf *out,
                              struct weft_error *ret_error);

struct weft_claiming {
    const char *queue, *worker;
    size_t max;
    int64_t wait_ms, ttl_ms;
    const char *key; /* of the claim, which may have been made before; NULL: a new one */
    unsigned *sent;  /* as of struct asker_call */
};

/* Make a claim; new leases go to `leases`, which has room for max. */
WEFT_WITHIN int weft_claim_as(struct weft *w, const struct weft_claiming *claim,
                              struct weft_lease **leases, size_t *ret_n,
                              struct weft_error *ret_error);

/* Whether the name of a queue can be one. */
WEFT_WITHIN int weft_queue_check(const char *queue, struct weft_error *ret_error);

/* `"key":"text"` and `"key":"1.5s"`, behind a comma where something stands before. */
WEFT_WITHIN void weft_put_text(struct buf *out, const char *key, struct str text);
WEFT_WITHIN void weft_put_ms(struct buf *out, const char *key, int64_t ms);

/* At most so many bytes, whole characters. */
WEFT_WITHIN struct str weft_cut(const char *text, size_t max);

/* A text of a reply into the caller's `size` bytes. */
WEFT_WITHIN void weft_get_text(struct str object, const char *key, char *out, size_t size);

/* A lease of this worker has ended: `line` is for its outbox. False: it was lost in this moment. */
WEFT_WITHIN bool weft_worker_ended(struct weft_worker *worker, struct weft_lease *lease,
                                   struct str line);
/* The server says that somebody else has the task. */
WEFT_WITHIN void weft_worker_lost(struct weft_worker *worker, struct weft_lease *lease);
/* One request of a lease's holder, once: a renewal. */
WEFT_WITHIN int weft_worker_ask(struct weft_worker *worker, const struct asker_call *call,
                                struct buf *ret_reply, struct weft_error *ret_error);

#endif
