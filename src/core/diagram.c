/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagram.h"

static bool same_arrow(const struct diagram_move *a, const struct diagram_move *b)
{
    return str_eq(a->from, b->from) && str_eq(a->to, b->to);
}

static bool arrow_drawn(const struct diagram_move *moves, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (same_arrow(&moves[j], &moves[i]))
            return true;
    return false;
}

/* A table has one row per guard; the arrow names their event once. */
static bool event_drawn(const struct diagram_move *moves, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (same_arrow(&moves[j], &moves[i]) && str_eq(moves[j].event, moves[i].event))
            return true;
    return false;
}

static void add_lower(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_byte(out, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i]);
}

static void print_arrow(struct buf *out, const struct diagram_move *moves, size_t n, size_t first)
{
    buf_add(out, STR("    "));
    buf_add(out, moves[first].from);
    buf_add(out, STR(" --> "));
    buf_add(out, moves[first].to);
    for (size_t i = first; i < n; i++) {
        if (!same_arrow(&moves[i], &moves[first]) || event_drawn(moves, i))
            continue;
        buf_add(out, i == first ? STR(": ") : STR(", "));
        add_lower(out, moves[i].event);
    }
    buf_byte(out, '\n');
}

void diagram_print(struct buf *out, struct str initial, const struct diagram_move *moves, size_t n)
{
    buf_add(out, STR("stateDiagram-v2\n    [*] --> "));
    buf_add(out, initial);
    buf_byte(out, '\n');
    for (size_t i = 0; i < n; i++)
        if (!arrow_drawn(moves, i))
            print_arrow(out, moves, n, i);
}
