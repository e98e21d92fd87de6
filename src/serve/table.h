/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: the methods of the API, one row each (DESIGN §3).
 *
 * A row is what a method is (api/method.h) and what it does (api.h). It drives gRPC, HTTP/JSON, the
 * transport within a process, permissions, idempotency, metrics and the OpenAPI document.
 */
#ifndef SERVE_TABLE_H
#define SERVE_TABLE_H

#include "api/method.h"
#include "serve/api.h"

struct table_row {
    struct method method; /* the first, so that a method of the table is its row */
    const struct api_action *action;
};

/* All methods, for transports. */
const struct method *const *table_methods(size_t *ret_n);
/* NULL: there is none of that name. */
const struct method *table_find(const char *name);
/* Of a method of the table: its row, and the number of the row. */
const struct table_row *table_row(const struct method *m);
size_t table_index(const struct method *m);

#endif
