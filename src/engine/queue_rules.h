/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_rules: what decides about the tasks of several queues, read with one statement.
 */
#ifndef ENGINE_QUEUE_RULES_H
#define ENGINE_QUEUE_RULES_H

#include "engine/tx.h"

struct queue_rule {
    struct str name;
    bool exists, paused, fair;
    int64_t tasks_max;
    int64_t concurrency_max, key_concurrency; /* 0: no limit */
    int64_t rate_milli;                       /* claims in 1000 seconds; 0: no limit */
    int64_t rate_burst;                       /* 0: one second's worth */
    struct str retry;                         /* of tasks that bring none; empty: the default */
    int64_t task_timeout_us;                  /* likewise */
    int64_t claim_ttl_us;                     /* of a lease that no heartbeat keeps */
    int64_t bucket, bucket_at;                /* what the rate had left, and when; see there */
    int64_t open, held;                       /* tasks, with what this transaction has counted */
};

struct queue_rules {
    struct queue_rule *list; /* by name, each once */
    size_t n;
};

/* Rules of the queues of these names, which may repeat; those that do not exist say so. */
int queue_rules_read(struct tx *tx, const struct str *names, size_t n, struct queue_rules *ret);
/* The same in two steps, to be asked together with something else: what to ask, and the rules by
 * what was answered. */
struct store_ask queue_rules_ask(struct tx *tx, const struct str *names, size_t n,
                                 struct queue_rules *ret, struct rows *answer);
void queue_rules_take(struct tx *tx, struct queue_rules *rules, const struct rows *answer);
/* To be asked before them: a lock of those whose leases are limited. */
struct store_ask queue_rules_ask_lock(struct tx *tx, const struct queue_rules *rules,
                                      struct rows *answer);
/* Whether that lock holds all that are limited now: one may just have been given a limit. */
bool queue_rules_locked(const struct queue_rules *rules, const struct rows *answer);
/* Make those that do not exist. */
int queue_rules_make(struct tx *tx, struct queue_rules *rules);
/* Lock the queues whose leases are limited, all at once, and read what was counted meanwhile. */
int queue_rules_lock(struct tx *tx, struct queue_rules *rules);
/* One of them; it must be among the names. */
struct queue_rule *queue_rules_of(const struct queue_rules *rules, struct str name);

/* Claims that the rate allows now; INT64_MAX: there is no rate. */
int64_t queue_rules_tokens(const struct queue_rule *rule, int64_t now);
/* When it allows the next one, where it allows none now. */
int64_t queue_rules_next_token(const struct queue_rule *rule, int64_t now);
/* n of them were made. */
void queue_rules_spend(struct queue_rule *rule, int64_t now, int64_t n);

#endif
