/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc: a YAML or JSON document as a tree that knows where each value stood.
 *
 * YAML is read through libyaml's events under guards: no anchors and aliases, no tags, one document, at most DOC_DEPTH_MAX levels and
 * DOC_NODES_MAX values, UTF-8 without control bytes, no duplicate keys; scalars are typed by the YAML 1.2 core schema (`yes` and `on` stay
 * text). JSON (RFC 8259) is held to the same limits. Everything lives in the arena.
 */
#ifndef BASE_DOC_H
#define BASE_DOC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

#define DOC_BYTES_MAX (64u << 20) /* a 100 000-task workflow is about 10 MB */
#define DOC_DEPTH_MAX 48u         /* libyaml is quadratic in the depth of nested flow */
#define DOC_NODES_MAX 4000000u

enum doc_kind { DOC_NULL, DOC_BOOL, DOC_INT, DOC_REAL, DOC_TEXT, DOC_LIST, DOC_MAP };

struct doc {
    enum doc_kind kind;
    unsigned line; /* from 1 */
    unsigned column;
    bool boolean;
    int64_t integer;
    double real;
    struct str text;   /* of a DOC_TEXT, and the spelling of every other scalar */
    struct str key;    /* its own, where it is a value of a map */
    unsigned key_line; /* where the key stands */
    unsigned key_column;
    struct doc *first; /* children of a list or map, in order */
    struct doc *next;  /* sibling */
    size_t n;          /* number of children */
};

struct doc_error {
    unsigned line;
    unsigned column;
    struct str text; /* one sentence without the place */
};

enum { DOC_E_BAD = 1 };

/* Read a document. Returns 0 or DOC_E_BAD with *ret_error; an empty text is DOC_E_BAD ("the file is empty"). */
int doc_yaml(struct arena *a, struct str text, struct doc **ret, struct doc_error *ret_error);
int doc_json(struct arena *a, struct str text, struct doc **ret, struct doc_error *ret_error);

/* The value of a key, or NULL. */
struct doc *doc_get(const struct doc *map, struct str key);

/* "a list", "text", …: for error sentences. */
const char *doc_kind_text(enum doc_kind kind);

#endif
