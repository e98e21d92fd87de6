/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api: what the methods do, between the messages of the API and the engine's structs.
 *
 * An action is the second half of a row of the table (serve/table.c). Most are one transaction:
 *
 *     message --decode--> request --function, in a transaction--> reply --encode--> message
 *
 * `decode` checks everything that a client chose: what is absent gets its default, what is out of
 * bounds is refused with a sentence that begins with the field. What the engine's request points to
 * is borrowed from the message or lives in the call's arena, what the reply's message points to may
 * be borrowed from the reply.
 */
#ifndef SERVE_API_H
#define SERVE_API_H

#include "api/codec.h"
#include "core/task.h"
#include "engine/worker.h"
#include "serve/batcher.h"
#include "work/guardian.h"

/* Of a message as text: it is bounded by what it was made of. */
#define API_BYTES_MAX ((size_t)1 << 40)

struct hub;
struct pools;

/* What the methods work with, the same for all calls. */
struct api_house {
    struct batcher *reader;
    struct batcher *writer; /* it opens its store with the first call that writes */
    struct hub *hub;        /* tells of commits; NULL: nothing waits */
    const char *data;       /* the folder of the logs */
    struct str url;         /* of the store, as it is */
    struct guardian_self self;
    struct str instance; /* the server's own name; empty: it has none */
    int64_t begun_us;    /* monotonic: when the server started; 0: it is within a command */
    /* Runners that this server's dispatcher leaves alone, in the arena; NULL: it has none. */
    size_t (*left_alone)(void *context, struct arena *a, const int64_t **ret);
    void *left_alone_context;
    struct pools *pools; /* NULL: there are none */
    size_t long_max;     /* calls at once that are no single transaction; 0: METHODS_LONG_MAX */
};

/* The context of one call: where memory comes from, and why the call is refused. */
struct api {
    struct arena *arena;
    const struct api_house *house;
    struct batcher_answer answer;
};

enum { API_E_REFUSED = 1 };

struct rpc;

/* What is gathered from several callers goes in this order: what ends makes room for what begins.
 */
enum api_turn { API_TURN_END, API_TURN_BEAT, API_TURN_ADD, API_TURN_CLAIM };

struct api_action {
    /* 0 or API_E_REFUSED; NULL: the function takes no request. */
    int (*decode)(struct api *api, const void *message, void *request);
    size_t request_size;
    batcher_function *function;
    batcher_many
        *many; /* the same for requests of several callers; then `encode` borrows nothing */
    enum api_turn turn; /* of `many` */
    size_t reply_size;
    /* Needs no context, since a reply that is kept (Idempotency-Key) is made in the transaction. */
    ProtobufCMessage *(*encode)(struct arena *a, const void *request, const void *reply);
    /* Whether a reply is worth keeping for the key; NULL: every one is. */
    bool (*keeps)(const void *reply);
    /* Where a version of the reply can be told: it, else empty. */
    struct str (*etag)(const ProtobufCMessage *reply);
    /* Or as many transactions as it takes, and the machine beside the store; on a thread of uv's
     * pool. */
    int (*work)(struct api *api, const void *request, ProtobufCMessage **ret);
    /* Where one transaction is not the end, as the call waits or is a stream (rpc.h). False: it
     * does not, and the function is posted. */
    bool (*begin)(struct rpc *rpc);
};

/* Refuse the call. Returns API_E_REFUSED. */
int api_refuse(struct api *api, enum code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* From `work`: a transaction of its own, waited for. What the reply points to lives in the call's
 * arena. Returns 0 or API_E_REFUSED. */
int api_transact(struct api *api, struct batcher *b, batcher_function *function,
                 const void *request, void *reply, size_t reply_size);

/* Fields of requests, by their names. Each gives 0, or refuses. */
enum api_need { API_OPTIONAL, API_NEEDED };
/* A text of at most `max` bytes; an absent one is empty, a needed one is neither. */
int api_text(struct api *api, const char *field, enum api_need need, const char *text, size_t max,
             struct str *ret);
/* A text that is one of a list (which ends with NULL), whose first is the default. */
int api_choice(struct api *api, const char *field, const char *text, const char *const *list,
               struct str *ret);
/* A string of digits, 1 or more; 0 where it is absent. */
int api_id(struct api *api, const char *field, enum api_need need, const char *text, int64_t *ret);
/* The number of an event, which may be 0. */
int api_seq(struct api *api, const char *field, const char *text, int64_t *ret);
/* A lease's token as clients know it, "task.token". False where it is none. */
bool api_token(const char *text, struct lease_ref *ret);
int api_int(struct api *api, const char *field, int64_t value, int64_t min, int64_t max);
int api_real(struct api *api, const char *field, double value, double min, double max);
int api_count(struct api *api, const char *field, size_t n, size_t min, size_t max);
/* Microseconds from 0 on; `fallback` where it is absent. */
int api_duration(struct api *api, const char *field, const Weft__V1__Duration *d, int64_t max_us,
                 int64_t fallback, int64_t *ret);
int api_time(struct api *api, const char *field, const Weft__V1__Timestamp *t, int64_t *ret);
/* One JSON value, whose grammar was checked as the message came; of api_object an object, or null,
 * which is the same as absent. */
int api_object(struct api *api, const char *field, protobuf_c_boolean has, ProtobufCBinaryData data,
               size_t max, struct str *ret);
int api_json(struct api *api, const char *field, protobuf_c_boolean has, ProtobufCBinaryData data,
             size_t max, struct str *ret);
/* Of the field `retry`; NULL where it is absent. */
int api_retry(struct api *api, const Weft__V1__RetryPolicy *m, const struct retry_policy **ret);
/* A refusal that says in which item of a list: "tasks[3].priority: …". Returns API_E_REFUSED. */
int api_within(struct api *api, const char *list, size_t i);

/* Paging: one more than the page is asked for, so that the last page is known to be the last. */
#define API_PAGE_DEFAULT    100
#define API_PAGE_MAX        1000
#define API_TOKEN_BYTES_MAX 500u
struct api_page {
    int64_t size;
    struct str token;
};
int api_page(struct api *api, protobuf_c_boolean has_size, int64_t size, const char *token,
             struct api_page *ret);
/* The token as the id that weft gave. */
int api_page_id(struct api *api, const struct api_page *page, int64_t *ret);
int64_t api_page_ask(const struct api_page *page);
/* How many of `n` to show; *ret_more tells whether there may be another page. */
size_t api_page_cut(const struct api_page *page, size_t n, bool *ret_more);

/* Fields of replies. */
char *api_word(struct arena *a, struct str s); /* NULL for the empty text */
char *api_utf8(struct arena *a, struct str s); /* bytes that are no UTF-8 become U+FFFD */
char *api_lease_token(struct arena *a, int64_t task, int64_t token);
Weft__V1__TaskCounts *api_counts(struct arena *a, const int64_t *counts);
Weft__V1__RetryPolicy *api_retry_show(struct arena *a, const struct retry_policy *p);
/* "OK", or a code and its sentence. */
Weft__V1__ItemResult *api_item(struct arena *a, enum code code);

#define API_NEW(a, type, prefix) CODEC_NEW(a, type, weft__v1__##prefix)
/* A number, with the mark that it is there. */
#define API_SET(m, field, value) ((m)->has_##field = true, (m)->field = (value))
/* JSON, borrowed; the empty text is absent. */
#define API_SET_JSON(m, field, s)                                                                  \
    ((m)->has_##field = (s).n > 0,                                                                 \
     (m)->field = (ProtobufCBinaryData){(s).n, (uint8_t *)(uintptr_t)(s).p})
/* A list of `count_` messages, each made by an expression over `i`. */
#define API_LIST(a, m, field, count_, made)                                                        \
    do {                                                                                           \
        (m)->n_##field = (count_);                                                                 \
        (m)->field = arena_alloc((a), sizeof(*(m)->field) * (m)->n_##field);                       \
        for (size_t i = 0; i < (m)->n_##field; i++)                                                \
            (m)->field[i] = (made);                                                                \
    } while (0)

#endif
