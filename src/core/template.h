/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template: text with references such as ${params.day}, ${tasks.extract.output.rows}, ${run.id},
 * ${task.attempt}.
 *
 * References are replaced as plain text, never evaluated: one argument stays one argument, whatever
 * the value holds. `$${` is a plain `${` and `${$}` a plain `$`, wherever it stands; a `$` before
 * anything else is itself.
 *
 * Filling may take two passes: what is known at the start of a run, and what only an attempt knows.
 * The first one gives a template again, in which the values that it put in are escaped, so that the
 * last one cannot take them for references. A text is ready to be used only after a last pass
 * (which may be the only one).
 */
#ifndef CORE_TEMPLATE_H
#define CORE_TEMPLATE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

enum template_kind {
    TEMPLATE_PARAM,        /* params.NAME */
    TEMPLATE_TASK_OUTPUT,  /* tasks.NAME.output, tasks.NAME.output.field.field */
    TEMPLATE_RUN_ID,       /* run.id */
    TEMPLATE_TASK_ATTEMPT, /* task.attempt */
};

struct template_ref {
    enum template_kind kind;
    struct str name; /* of the param or task */
    struct str path; /* "rows.total", empty for all of the output */
};

enum { TEMPLATE_E_BAD = 1, TEMPLATE_E_UNRESOLVED };

/* Called once per reference in order. A task's name may hold dots: it ends at the last `.output`.
 */
typedef void template_seen(void *context, const struct template_ref *ref);

/* Check the text and show its references. TEMPLATE_E_BAD with a sentence in *ret_error (which
 * quotes the reference). */
int template_scan(struct arena *a, struct str text, template_seen *seen, void *context,
                  struct str *ret_error);

/* Gives a reference's text, or false with a sentence in *ret_error; references of a kind that it
 * leaves for later are kept as they were by giving `*ret_keep = true`. */
typedef bool template_value(void *context, struct arena *a, const struct template_ref *ref,
                            struct str *ret_text, bool *ret_keep, struct str *ret_error);

/* The text with its references replaced, at most `max` bytes; it may be `text` itself. Escapes stay
 * as they are in the first pass and become what they stand for in the last. Returns 0 or
 * TEMPLATE_E_UNRESOLVED with a sentence; a value that holds a NUL byte is unresolved. */
enum template_pass { TEMPLATE_FIRST, TEMPLATE_LAST };
int template_fill(struct arena *a, struct str text, size_t max, enum template_pass pass,
                  template_value *value, void *context, struct str *ret, struct str *ret_error);

/* A template that stands for this text. */
struct str template_quote(struct arena *a, struct str text);

#endif
