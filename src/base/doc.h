/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc: a YAML or JSON document as a tree that knows where each value stood.
 *
 * YAML is read through libyaml's events under guards: no anchors and aliases, no tags, one
 * document, at most DOC_DEPTH_MAX levels and DOC_NODES_MAX values, UTF-8 without control bytes, no
 * NUL (not as "\0" either); scalars are typed by the YAML 1.2 core schema (`yes` and `on` stay
 * text). JSON (RFC 8259) is held to the same limits. Everything lives in the arena.
 *
 * A key that stands twice in a map is no error of syntax: the tree holds both values, the later one
 * marked `again`, so that whoever reads the map refuses it with all its other errors and both
 * places.
 */
#ifndef BASE_DOC_H
#define BASE_DOC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

#define DOC_BYTES_MAX (64u << 20) /* a 100 000-task workflow is about 10 MB */
#define DOC_DEPTH_MAX 48u         /* libyaml is quadratic in the depth of nested flow */
#define DOC_NODES_MAX 4000000u    /* 80 bytes each */

enum doc_kind { DOC_NULL, DOC_BOOL, DOC_INT, DOC_REAL, DOC_TEXT, DOC_LIST, DOC_MAP };

struct doc {
    enum doc_kind kind : 8;
    bool again;        /* its key stands in the map before; doc_get() gives that one */
    unsigned line;     /* from 1 */
    unsigned column;   /* from 1, in characters */
    unsigned key_line; /* where the key stands */
    unsigned key_column;
    uint32_t n; /* number of children */
    union {
        bool boolean;    /* of a DOC_BOOL */
        int64_t integer; /* of a DOC_INT */
        double real;     /* of a DOC_REAL, which an integer beyond 64 bits is too */
    };
    struct str text;   /* of a DOC_TEXT, and the spelling of every other scalar */
    struct str key;    /* its own, where it is a value of a map */
    struct doc *first; /* children of a list or map, in order */
    struct doc *next;  /* sibling */
};

struct doc_error {
    unsigned line;
    unsigned column;
    struct str text; /* one sentence without the place */
};

enum { DOC_E_BAD = 1 };

/* Read a document. Returns 0 or DOC_E_BAD with *ret_error; an empty text is DOC_E_BAD ("the file is
 * empty"). */
int doc_yaml(struct arena *a, struct str text, struct doc **ret, struct doc_error *ret_error);
int doc_json(struct arena *a, struct str text, struct doc **ret, struct doc_error *ret_error);

/* The (first) value of a key, or NULL. */
struct doc *doc_get(const struct doc *map, struct str key);

/* Fill in kind, value and text of a scalar that is spelled so, as the YAML 1.2 core schema reads
 * it. */
void doc_scalar(struct arena *a, struct str spelling, struct doc *ret);

/* The shortest decimal spelling that reads back as the same number. */
struct str doc_real_text(struct arena *a, double real);

/* "a list", "text", …: for error sentences. */
const char *doc_kind_text(enum doc_kind kind);

#endif
