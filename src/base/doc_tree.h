/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc_tree: what the readers of YAML and JSON share: growing the tree under its limits, and the
 * place of an error. Only doc*.c include it.
 */
#ifndef BASE_DOC_TREE_H
#define BASE_DOC_TREE_H

#include "base/doc.h"

struct doc_place {
    unsigned line;
    unsigned column;
};

struct doc_tree {
    struct arena *arena;
    struct doc_error *error;
    struct doc *root;
    struct {
        struct doc *node;
        struct doc *last; /* its newest child */
    } open[DOC_DEPTH_MAX];
    unsigned depth;
    unsigned nodes;
    struct str key; /* of the next value, where p is set */
    struct doc_place key_at;
};

/* Says what is wrong, and returns DOC_E_BAD. */
int doc_tree_bad(struct doc_tree *t, struct doc_place at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Bytes that no document may hold. What is bad only in YAML is looked for where `yaml` is set. A
 * byte order mark is taken off *text. */
enum doc_tree_syntax { DOC_TREE_JSON, DOC_TREE_YAML };
int doc_tree_check(struct doc_tree *t, enum doc_tree_syntax syntax, struct str *text);

/* The key of the value that comes next; its text is the arena's. */
void doc_tree_key(struct doc_tree *t, struct doc_place at, struct str key);

/* Whether a key must come next. */
bool doc_tree_wants_key(const struct doc_tree *t);

/* Put a value where it belongs. NULL, with the error said, where the document has too many. */
struct doc *doc_tree_add(struct doc_tree *t, struct doc_place at, enum doc_kind kind);

/* Begin a list or map, whose values follow; and end the newest one. */
int doc_tree_open(struct doc_tree *t, struct doc_place at, enum doc_kind kind);
void doc_tree_close(struct doc_tree *t);

/* The place of the byte `to`, counted on from *at, which was the place of the byte `from`. A
 * character is a column; LF, CR LF and CR end a line. */
void doc_tree_walk(struct str text, size_t from, size_t to, struct doc_place *at);

#endif
