/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask: a request of a worker or client, on its way through the simulated network.
 *
 *     PLANNED --net--> at a server --net--> answered (once, however often it was asked)
 *         ^               |lost, dead, no time left
 *         +--asked again--+--too often--> answered, and nobody knows what became of it
 *
 * What is asked becomes a message of the API as a client sends it, and the answer is read from one.
 */
#ifndef SIM_ASK_H
#define SIM_ASK_H

#include "api/call.h"
#include "api/codec.h"
#include "engine/worker.h"
#include "sim/world.h"

#define ASK_KINDS(X)                                                                               \
    X(PUT_QUEUE, "queues.put")                                                                     \
    X(ENQUEUE, "queues.enqueue")                                                                   \
    X(CLAIM, "queues.claim")                                                                       \
    X(PAUSE, "queues.pause")                                                                       \
    X(RESUME, "queues.resume")                                                                     \
    X(REQUEUE, "queues.requeue")                                                                   \
    X(CANCEL, "tasks.cancel")                                                                      \
    X(RENEW, "leases.renew")                                                                       \
    X(COMPLETE, "leases.complete")                                                                 \
    X(RELEASE, "leases.release")                                                                   \
    X(REGISTER, "workers.register")                                                                \
    X(BEAT, "workers.heartbeat")                                                                   \
    X(DRAIN, "workers.drain")                                                                      \
    X(LEAVE, "workers.deregister")                                                                 \
    X(WORKFLOW, "workflows.put")                                                                   \
    X(RUN, "runs.start")                                                                           \
    X(RUN_CANCEL, "runs.cancel")                                                                   \
    X(RUN_RETRY, "runs.retry")                                                                     \
    X(PLAN_CREATE, "runs.create")                                                                  \
    X(PLAN_WRITE, "runs.write")                                                                    \
    X(PLAN_SEAL, "runs.seal")
#define ASK_ENUM(name, method) ASK_##name,
enum ask_kind { ASK_KINDS(ASK_ENUM) ASK_N };

const char *ask_method(enum ask_kind k);

struct ask_task {
    int64_t priority, delay_us, attempts, backoff_us, timeout_us;
    const char *key, *unique; /* NULL: none */
};

/* Settings of a queue; 0: no limit. */
struct ask_queue {
    int64_t concurrency, key_concurrency, rate_milli, burst;
    bool fair;
};

/* Checks and stages that are written; texts that are NULL are left out. */
#define ASK_NEEDS_MAX 3
struct ask_needs {
    const char *rule; /* NULL: there are none */
    const char *from[ASK_NEEDS_MAX];
    size_t n;
    int64_t need; /* of at_least */
    bool cancel_rest;
};
struct ask_check {
    const char *name, *state;
    struct ask_needs needs;
    bool result, final, failed; /* `result`: one is told with it, which is … */
};
struct ask_stage {
    const char *name, *type, *zone; /* zone: a label that the runner must have */
    bool async;
    struct ask_needs needs;
    const char *check; /* that it answers, … */
    bool planned;      /* … or plans */
    int64_t timeout_us, accept_us, progress_us, attempts, backoff_us;
};
struct ask_version {
    const char *name;
    int64_t version;
};
struct ask_write {
    struct ask_check *checks;
    struct ask_stage *stages;
    struct ask_version *expect;
    size_t checks_n, stages_n, expect_n;
    struct lease_ref writer; /* token 0: none */
};

/* What is told of a check with a completion. */
struct ask_update {
    const char *check;
    bool final, failed;
};

/* What a lease was given for. */
struct given {
    struct lease_ref lease;
    int64_t attempt;
    int64_t expires_at, deadline_at; /* by the store's clock; 0: none */
    struct str payload;
};

struct answer {
    enum code code;
    bool draining; /* of a worker */
    bool unknown;  /* nobody knows what became of it */
    struct given *given;
    enum code *codes; /* of each item */
    bool *stops;
    int64_t *ids;
    size_t n;
    int64_t id; /* of a worker's incarnation, of a run */
    struct lease_ref *kept, *lost, *stop;
    struct ask_version *written; /* checks and stages as they are now */
    size_t kept_n, lost_n, stop_n, written_n;
};

struct ask {
    struct sim *sim;
    enum ask_kind kind;
    int64_t number;
    const char *who;
    size_t place; /* in the network */
    struct stream *chance;
    int64_t timeout_us; /* of one try */
    unsigned tries, tries_max;
    unsigned
        sent; /* how often it went out: a transport may send it once more by itself, and says so */
    int server; /* that was asked last */
    bool keyed; /* with an idempotency key */
    bool over;
    bool took_effect; /* some try of it … */
    uint64_t effect;  /* … and its answer, as a number, where there is a key */
    void (*answered)(struct ask *a, const struct answer *answer);
    void *context;
    int64_t life; /* the context's, when it asked */

    const char *queue;
    const char *name; /* of a worker or workflow */
    int64_t id;       /* of an incarnation, task or run */
    int64_t max, wait_us, ttl_us;
    struct lease_ref *leases;
    size_t leases_n;
    const char *outcome, *content;
    bool takeover;
    int64_t slots;
    struct ask_task *tasks;
    size_t tasks_n;
    struct ask_queue put; /* of a queue that is put */
    const char *source;   /* of a workflow */
    /* Of a runner that registers: how it is called. */
    const char *type, *zone, *address;
    bool sync, async;
    int64_t percent;           /* with a renewal; 0: nothing is told */
    struct ask_update *update; /* with a completion; NULL: nothing is told of checks */
    struct ask_write *write;
};

/* A new one, to be filled in; it lives as long as the world. */
struct ask *ask_new(struct sim *s, enum ask_kind kind);
/* Ask any server, and again until there is an answer. */
void ask_send(struct ask *a);
/* The asker goes in so many microseconds, if there is no answer before, and hears nothing more. */
void ask_abandon(struct ask *a, int64_t in_us);
/* The answer of a server, before the network has it. */
void ask_reply(struct ask *a, int server, const struct answer *answer);

/* The message, in the arena. */
const ProtobufCMessage *ask_message(const struct ask *a, struct arena *memory);
/* What a reply says, in the world's memory. */
struct answer ask_read(const struct ask *a, const struct call *c);
/* Of the task with that number: each has one of its own, so that it is seen whose a lease brings.
 */
#define ASK_PAYLOAD_BYTES 64
struct str ask_payload(const struct ask *a, size_t task, char out[static ASK_PAYLOAD_BYTES]);
/* What is told of a check, in the arena. */
Weft__V1__CheckUpdate *ask_update_message(const struct ask_update *u, struct arena *a);
/* In a few words. */
void ask_describe(const struct ask *a, struct buf *out);

#endif
