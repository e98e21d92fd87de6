/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/queue_rules.h"

#include <assert.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/fault.h"
#include "core/bucket.h"
#include "engine/queue.h"
#include "engine/sets.h"

static int by_name(const void *a, const void *b)
{
    const struct queue_rule *x = a, *y = b;

    return str_cmp(x->name, y->name);
}

struct queue_rule *queue_rules_of(const struct queue_rules *rules, struct str name)
{
    struct queue_rule *rule = NULL;

    if (rules->n)
        rule = bsearch(&(struct queue_rule){.name = name}, rules->list, rules->n,
                       sizeof(*rules->list), by_name);
    assert(rule);
    return rule;
}

static void read_rule(struct tx *tx, const struct rows *rows, size_t i, struct queue_rule *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;
    int64_t counts[TASK_STATE_N] = {0};

    *ret = (struct queue_rule){
        .name = c[0].s,
        .exists = true,
        .paused = c[1].i,
        .tasks_max = c[2].i,
        .concurrency_max = c[3].i,
        .key_concurrency = c[4].i,
        .rate_milli = c[5].i,
        .rate_burst = c[6].i,
        .fair = c[7].i,
        .retry = c[8].s,
        .task_timeout_us = c[9].i,
        .bucket = c[10].i,
        .bucket_at = c[11].i,
        .claim_ttl_us = c[12].i,
        .open = c[13].i,
        .held = c[14].i,
    };
    tx_counted(tx, 0, ret->name, counts);
    for (int s = 0; s < TASK_STATE_N; s++) {
        ret->open += task_final(s) ? 0 : counts[s];
        ret->held += task_held(s) ? counts[s] : 0;
    }
}

void queue_rules_take(struct tx *tx, struct queue_rules *rules, const struct rows *answer)
{
    for (size_t i = 0; i < answer->n; i++)
        read_rule(tx, answer, i, queue_rules_of(rules, row_text(answer, i, 0)));
}

/* Read those of the list that `wanted` picks. */
static int read_rules(struct tx *tx, struct queue_rules *rules,
                      bool (*wanted)(const struct queue_rule *))
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < rules->n; i++)
        if (wanted(&rules->list[i]))
            SETS_ADD(&sets, tx->arena, TEXT(rules->list[i].name));
    r = sets_run(&sets, tx, STMT_queue_rules, 1, &rows);
    if (r)
        return fault(r);
    queue_rules_take(tx, rules, &rows);
    return 0;
}

static bool missing(const struct queue_rule *rule)
{
    return !rule->exists;
}

static bool limited(const struct queue_rule *rule)
{
    return rule->exists && !rule->paused && (rule->concurrency_max || rule->rate_milli);
}

static void list_names(struct tx *tx, const struct str *names, size_t n, struct queue_rules *ret)
{
    *ret = (struct queue_rules){.list = ARENA_ARRAY(tx->arena, struct queue_rule, n)};
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !str_eq(names[i], names[i - 1]))
            ret->list[ret->n++] = (struct queue_rule){.name = names[i]};
    if (ret->n > 1) {
        size_t kept = 1;

        qsort(ret->list, ret->n, sizeof(*ret->list), by_name);
        for (size_t i = 1; i < ret->n; i++)
            if (by_name(&ret->list[i], &ret->list[kept - 1]) != 0)
                ret->list[kept++] = ret->list[i];
        ret->n = kept;
    }
}

int queue_rules_read(struct tx *tx, const struct str *names, size_t n, struct queue_rules *ret)
{
    list_names(tx, names, n, ret);
    return read_rules(tx, ret, missing);
}

static struct store_ask ask_names(struct tx *tx, const struct queue_rules *rules,
                                  enum statement_id id, struct rows *answer)
{
    struct sets sets = {0};

    for (size_t i = 0; i < rules->n; i++)
        SETS_ADD(&sets, tx->arena, TEXT(rules->list[i].name));
    return sets_ask(&sets, id, 1, answer);
}

struct store_ask queue_rules_ask(struct tx *tx, const struct str *names, size_t n,
                                 struct queue_rules *ret, struct rows *answer)
{
    list_names(tx, names, n, ret);
    return ask_names(tx, ret, STMT_queue_rules, answer);
}

struct store_ask queue_rules_ask_lock(struct tx *tx, const struct queue_rules *rules,
                                      struct rows *answer)
{
    return ask_names(tx, rules, STMT_queue_lock_limited, answer);
}

bool queue_rules_locked(const struct queue_rules *rules, const struct rows *answer)
{
    for (size_t i = 0, j; i < rules->n; i++) {
        for (j = 0; j < answer->n && !str_eq(row_text(answer, j, 0), rules->list[i].name); j++)
            continue;
        if (j == answer->n && limited(&rules->list[i]))
            return false;
    }
    return true;
}

int queue_rules_make(struct tx *tx, struct queue_rules *rules)
{
    struct sets sets = {0};
    int r;

    for (size_t i = 0; i < rules->n; i++)
        if (missing(&rules->list[i]))
            SETS_ADD(&sets, tx->arena, TEXT(rules->list[i].name), INT(QUEUE_TASKS_DEFAULT),
                     INT(tx->now));
    if (sets.n == 0)
        return 0;
    r = sets_run(&sets, tx, STMT_queue_add, 3, NULL);
    /* Another program may have made it meanwhile, with other settings. */
    if (!r)
        r = read_rules(tx, rules, missing);
    return r ? fault(r) : 0;
}

int queue_rules_lock(struct tx *tx, struct queue_rules *rules)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < rules->n; i++)
        if (limited(&rules->list[i]))
            SETS_ADD(&sets, tx->arena, TEXT(rules->list[i].name));
    if (sets.n == 0)
        return 0;
    r = sets_run(&sets, tx, STMT_queue_lock, 1, &rows);
    if (!r)
        r = read_rules(tx, rules, limited);
    return r ? fault(r) : 0;
}

static struct bucket_limit limit_of(const struct queue_rule *rule)
{
    return (struct bucket_limit){rule->rate_milli / (1 + BROKEN(SLOW)), rule->rate_burst};
}

int64_t queue_rules_tokens(const struct queue_rule *rule, int64_t now)
{
    struct bucket_limit limit = limit_of(rule);
    struct bucket b = {rule->bucket, rule->bucket_at};

    return rule->rate_milli ? bucket_fill(&b, &limit, now) : INT64_MAX;
}

int64_t queue_rules_next_token(const struct queue_rule *rule, int64_t now)
{
    struct bucket_limit limit = limit_of(rule);
    struct bucket b = {rule->bucket, rule->bucket_at};

    return bucket_fill(&b, &limit, now) ? now : bucket_next_at(&b, &limit);
}

void queue_rules_spend(struct queue_rule *rule, int64_t now, int64_t n)
{
    struct bucket_limit limit = limit_of(rule);
    struct bucket b = {rule->bucket, rule->bucket_at};

    bucket_fill(&b, &limit, now);
    bucket_take(&b, n - BROKEN(RATE));
    rule->bucket = b.level;
    rule->bucket_at = b.at;
}
