/* SPDX-License-Identifier: Apache-2.0 */
/*
 * definition: a workflow as its author wrote it, checked.
 *
 * definition_read() takes the document and either gives a definition in which everything holds
 * (names unique, dependencies exist, no cycle, references lie upstream, limits kept) or all the
 * errors at once, each with its place.
 */
#ifndef CORE_DEFINITION_H
#define CORE_DEFINITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/doc.h"
#include "base/str.h"
#include "core/group.h"
#include "core/retry.h"

#define DEFINITION_TASKS_MAX      200000u
#define DEFINITION_EDGES_MAX      2000000u
#define DEFINITION_NAME_BYTES_MAX 200u
#define DEFINITION_TEXT_BYTES_MAX (1u << 20) /* one argument, script or value */
#define DEFINITION_ARGS_MAX       10000u
#define DEFINITION_PARAMS_MAX     1000u
#define DEFINITION_ERRORS_MAX     100u
#define DEFINITION_PARALLEL_MAX   10000
#define DEFINITION_ENV_MAX        2000000u /* variables of all tasks, with those that they share */
#define DEFINITION_TIMEOUT_US_MAX (366LL * 86400 * 1000000)
#define DEFINITION_GRACE_US       (10LL * 1000000) /* where nothing is said */

enum param_type { PARAM_STRING, PARAM_INTEGER, PARAM_NUMBER, PARAM_BOOLEAN, PARAM_ENUM };

struct param {
    struct str name;
    struct str description;
    enum param_type type;
    bool has_default, has_minimum, has_maximum;
    struct str fallback;     /* the default, as text */
    double minimum, maximum; /* of a number's value; of a string's length in characters */
    struct str pattern;      /* POSIX extended regular expression, whole value; empty: any */
    struct str *choices;     /* of an enum */
    size_t choices_n;
};

/* NAME=VALUE; the value is a template. */
struct env_entry {
    struct str name;
    struct str value;
};

struct definition_group {
    enum group_rule rule;
    int64_t need;
    uint32_t *from; /* indices of tasks */
    size_t from_n;
};

struct definition_task {
    struct str name;
    struct str description;
    struct str *argv; /* templates; `run`, or {"/bin/sh", "-euc", script} for `sh` */
    size_t argv_n;
    struct str cwd;        /* a template; empty: the folder of the workflow */
    struct env_entry *env; /* the workflow's, over it that of `defaults`, over it its own */
    size_t env_n;
    struct definition_group *groups;
    size_t groups_n;
    int64_t timeout_us;    /* of one attempt; 0: none */
    int64_t grace_us;      /* between SIGTERM and SIGKILL */
    int64_t priority;      /* -1000 … 1000, the higher first */
    int64_t not_before;    /* a time; 0: none */
    int64_t not_before_us; /* or a wait after the run's start; 0: none */
    struct retry_policy retry;
    bool refers; /* argv, cwd or env hold a ${tasks.…} or ${task.…} reference, so that they are
                    resolved for each attempt */
    unsigned line, column;
};

struct definition {
    struct str name;
    struct str description;
    struct param *params;
    size_t params_n;
    struct env_entry *env;
    size_t env_n;
    int64_t max_parallel; /* 0: no limit but the workers' slots */
    struct definition_task *tasks;
    size_t tasks_n;
    size_t edges_n;
};

struct definition_errors {
    struct doc_error *list;
    size_t n;       /* at most DEFINITION_ERRORS_MAX are kept … */
    size_t n_total; /* … of so many */
};

enum { DEFINITION_E_BAD = 1 };

/* `fallback_name` names a workflow that has no `name` (the file's stem). 0 or DEFINITION_E_BAD with
 * at least one error, in the order of their places. The definition borrows its texts from the
 * document and the name, which must live as long as it does. */
int definition_read(struct arena *a, const struct doc *doc, struct str fallback_name,
                    struct definition **ret, struct definition_errors *ret_errors);

/* The value `given` as the param's type, normalised: an integer in decimal, `true` or `false`, any
 * other as it is. 0 or DEFINITION_E_BAD with a sentence that says what is allowed. */
int definition_param(struct arena *a, const struct param *p, struct str given,
                     struct str *ret_value, struct str *ret_error);
const struct param *definition_param_find(const struct definition *d, struct str name);

#endif
