/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asker: calls to one server by many threads: a connection for each that asks at the same time, new
 * tries with growing pauses, and a breaker before all.
 */
#ifndef CLIENT_ASKER_H
#define CLIENT_ASKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "client/weft.h"

#define ASKER_TRIES_MAX        1000
#define ASKER_CONNECTIONS_KEPT 16 /* that nobody uses just now */

#define ASKER_KEY_BYTES 40

struct asker;

/* `url` and the options are copied. Returns WEFT_OK or WEFT_INVALID. */
int asker_new(const char *url, const struct weft_options *options, struct asker **ret,
              struct weft_error *ret_error);
/* Nobody asks any more. */
struct asker *asker_free(struct asker *k);

struct asker_call {
    const char *verb;
    const char *path;
    const char *body;   /* NULL: none */
    bool once;          /* with a key: must not be done twice */
    const char *key;    /* with this one: an earlier call once more; NULL: a new one */
    bool probe;         /* even while the breaker is open, which its success then closes */
    unsigned tries;     /* 0: as the client was opened */
    int64_t timeout_ms; /* 0: as the client was opened */
    int64_t wait_ms;    /* the server may take so long beside */
    unsigned *sent;     /* grows by how often it went to the server; NULL: of no interest */
};

/* A new key, for a call that may have to be made again later. */
void asker_key(struct asker *k, char out[static ASKER_KEY_BYTES]);

/* Any thread. Returns WEFT_OK and a reply for buf_deinit(); or WEFT_REFUSED or WEFT_UNAVAILABLE
 * with an error. */
int asker_ask(struct asker *k, const struct asker_call *call, struct buf *ret_reply,
              struct weft_error *ret_error);

/* How long to wait after so many failures in a row; the server's wish is the least. */
int64_t asker_pause_ms(struct asker *k, unsigned failures, int64_t retry_after_ms);

/* Fill in an error (NULL allowed) and return `result`. */
int asker_refuse(struct weft_error *e, int result, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void asker_clear(struct weft_error *e);

#endif
