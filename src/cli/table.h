/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: rows of text in columns that line up on a terminal.
 *
 * A cell's text is made safe for display as it is added. Columns are as wide as their widest cell;
 * where the table is to fit into a width, the last column is cut.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#define TABLE_COLUMNS_MAX 12

struct table_cell {
    struct str text;
    size_t width;
    const char *color; /* an escape sequence, or NULL */
};

struct table {
    struct arena *arena;
    const char *const *titles; /* NULL: none are shown */
    size_t columns;
    uint32_t right; /* bits of the columns that are set to the right */
    struct table_cell *cells;
    size_t cells_n;
    size_t cells_max;
};

void table_init(struct table *t, struct arena *a, const char *const *titles, size_t columns);

/* Add the next cell, from left to right and row by row. */
void table_add(struct table *t, struct str text);
void table_color(struct table *t, struct str text, const char *color);
void table_number(struct table *t, int64_t number);

/* `width` 0: as wide as it comes. */
void table_render(const struct table *t, struct buf *out, size_t width, bool color, bool utf8);

#endif
