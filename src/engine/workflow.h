/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow: named definitions, whose versions never change.
 */
#ifndef ENGINE_WORKFLOW_H
#define ENGINE_WORKFLOW_H

#include "core/definition.h"
#include "engine/tx.h"

struct workflow_put {
    struct str source;
    struct str format; /* "yaml" or "json" */
    struct str path;
    struct str fallback_name; /* for a file without `name` */
};

struct workflow_row {
    struct str name;
    int64_t version;
    struct str kind; /* "single" or "graph" */
    int64_t tasks;
    struct str path, format, source; /* source: not in lists */
    int64_t created_at;
    bool created;                  /* by this put */
    struct definition *definition; /* not in lists */
};

struct workflow_which {
    struct str name;
    int64_t version; /* 0: the newest */
};

struct workflow_list {
    struct str after; /* names after this one */
    int64_t max;
};

struct workflow_rows {
    struct workflow_row *list;
    size_t n;
};

/* WORKFLOW_INVALID with all errors in tx->problem.details. */
int workflow_put(struct tx *tx, const struct workflow_put *req, struct workflow_row *reply);
int workflow_get(struct tx *tx, const struct workflow_which *req, struct workflow_row *reply);
/* The newest version of each, by name. */
int workflow_list(struct tx *tx, const struct workflow_list *req, struct workflow_rows *reply);

#endif
