/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <assert.h>
#include <inttypes.h>

#include "cli/text.h"

#define GAP            2
#define CELL_BYTES_MAX (64u << 10)

void table_init(struct table *t, struct arena *a, const char *const *titles, size_t columns)
{
    assert(columns > 0 && columns <= TABLE_COLUMNS_MAX);
    *t = (struct table){.arena = a, .titles = titles, .columns = columns};
}

void table_color(struct table *t, struct str text, const char *color)
{
    struct buf safe;

    if (t->cells_n == t->cells_max) {
        size_t max = t->cells_max ? 2 * t->cells_max : 16 * t->columns;

        t->cells = arena_grow(t->arena, t->cells, t->cells_max * sizeof(*t->cells),
                              max * sizeof(*t->cells));
        t->cells_max = max;
    }
    buf_init(&safe, CELL_BYTES_MAX);
    text_safe(&safe, text);
    t->cells[t->cells_n++] = (struct table_cell){
        .text = str_copy(t->arena, buf_str(&safe)),
        .width = text_width(buf_str(&safe)),
        .color = color,
    };
    buf_deinit(&safe);
}

void table_add(struct table *t, struct str text)
{
    table_color(t, text, NULL);
}

void table_number(struct table *t, int64_t number)
{
    table_color(t, str_printf(t->arena, "%" PRId64, number), NULL);
    t->right |= 1u << ((t->cells_n - 1) % t->columns);
}

static void pad(struct buf *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_byte(out, ' ');
}

struct layout {
    size_t widths[TABLE_COLUMNS_MAX];
    size_t last; /* columns left for the last one; SIZE_MAX: no limit */
    bool color, utf8;
};

static void render_row(const struct table *t, const struct table_cell *row, const struct layout *l,
                       struct buf *out)
{
    size_t owed = 0; /* spaces that are due as soon as something follows */

    for (size_t i = 0; i < t->columns; i++) {
        bool last = i + 1 == t->columns;
        size_t width = last && row[i].width > l->last ? l->last : row[i].width;
        size_t spare = l->widths[i] > width ? l->widths[i] - width : 0;
        bool right = t->right & 1u << i;

        if (right)
            owed += spare;
        if (width) {
            pad(out, owed);
            owed = 0;
            if (l->color && row[i].color)
                buf_add(out, str_of(row[i].color));
            text_cut(out, row[i].text, width, l->utf8);
            if (l->color && row[i].color)
                buf_add(out, STR("\x1b[0m"));
        }
        owed += (right ? 0 : spare) + GAP;
    }
    buf_byte(out, '\n');
}

void table_render(const struct table *t, struct buf *out, size_t width, bool color, bool utf8)
{
    struct table_cell titles[TABLE_COLUMNS_MAX] = {
        {{NULL, 0}, 0, NULL}
    };
    struct layout l = {.last = SIZE_MAX, .color = color, .utf8 = utf8};
    size_t before = 0;

    assert(t->cells_n % t->columns == 0);
    for (size_t i = 0; i < t->columns && t->titles; i++) {
        titles[i] = (struct table_cell){str_of(t->titles[i]), 0, "\x1b[1m"};
        titles[i].width = l.widths[i] = text_width(titles[i].text);
    }
    for (size_t i = 0; i < t->cells_n; i++)
        if (t->cells[i].width > l.widths[i % t->columns])
            l.widths[i % t->columns] = t->cells[i].width;
    for (size_t i = 0; i + 1 < t->columns; i++)
        before += l.widths[i] + GAP;
    if (width)
        l.last = width > before + 8 ? width - before : 8;
    if (t->titles)
        render_row(t, titles, &l, out);
    for (size_t i = 0; i < t->cells_n; i += t->columns)
        render_row(t, t->cells + i, &l, out);
}
