/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc_tree: what must hold of every document that doc_yaml() or doc_json() accepts, and of every
 * refusal. Both readers are held to the same.
 */
#ifndef FUZZ_DOC_TREE_H
#define FUZZ_DOC_TREE_H

#include <assert.h>
#include <string.h>

#include "base/doc.h"

static inline void doc_tree_text(struct str s)
{
    size_t at;

    assert(str_utf8(s, &at));
    assert(s.n == 0 || !memchr(s.p, '\0', s.n));
}

/* Returns the number of values in the tree. */
static inline size_t doc_tree_value(const struct doc *d, unsigned depth)
{
    size_t values = 1;
    uint32_t children = 0;

    assert(depth <= DOC_DEPTH_MAX);
    assert(d->line >= 1 && d->column >= 1);
    doc_tree_text(d->text);
    assert((d->kind == DOC_LIST || d->kind == DOC_MAP) || !d->first);
    for (const struct doc *child = d->first; child; child = child->next) {
        children++;
        if (d->kind == DOC_MAP) {
            doc_tree_text(child->key);
            assert((doc_get(d, child->key) == child) == !child->again);
        }
        values += doc_tree_value(child, depth + 1);
    }
    assert(children == d->n);
    return values;
}

static inline void doc_tree_check(int r, const struct doc *d, const struct doc_error *error)
{
    if (r == 0) {
        assert(doc_tree_value(d, 0) <= DOC_NODES_MAX);
        return;
    }
    assert(r == DOC_E_BAD && error->line >= 1 && error->column >= 1 && error->text.n > 0);
    doc_tree_text(error->text);
}

#endif
