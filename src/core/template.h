/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template: text with references such as ${params.day}, ${tasks.extract.output.rows}, ${run.id}, ${task.attempt}.
 *
 * References are replaced as plain text, never evaluated: one argument stays one argument, whatever the value holds. `$${` is a plain `${`;
 * a `$` before anything else is itself.
 */
#ifndef CORE_TEMPLATE_H
#define CORE_TEMPLATE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

enum template_kind {
    TEMPLATE_PARAM,       /* params.NAME */
    TEMPLATE_TASK_OUTPUT, /* tasks.NAME.output, tasks.NAME.output.field.field */
    TEMPLATE_RUN_ID,      /* run.id */
    TEMPLATE_TASK_ATTEMPT, /* task.attempt */
};

struct template_ref {
    enum template_kind kind;
    struct str name; /* of the param or task */
    struct str path; /* "rows.total", empty for all of the output */
};

enum { TEMPLATE_E_BAD = 1, TEMPLATE_E_UNRESOLVED };

/* Called once per reference in order. A task's name may hold dots: it ends at the last `.output`. */
typedef void template_seen(void *context, const struct template_ref *ref);

/* Check the text and show its references. TEMPLATE_E_BAD with a sentence in *ret_error (which quotes the reference). */
int template_scan(struct arena *a, struct str text, template_seen *seen, void *context,
                  struct str *ret_error);

/* Gives a reference's text, or false with a sentence in *ret_error; references of a kind that it leaves for later are kept as they were by
 * giving `*ret_keep = true`. */
typedef bool template_value(void *context, struct arena *a, const struct template_ref *ref,
                            struct str *ret_text, bool *ret_keep, struct str *ret_error);

/* The text with its references replaced, at most `max` bytes. `$${` stays as it is in the first pass and becomes
 * `${` in the last. Returns 0 or TEMPLATE_E_UNRESOLVED with a sentence. */
enum template_pass { TEMPLATE_FIRST, TEMPLATE_LAST };
int template_fill(struct arena *a, struct str text, size_t max, enum template_pass pass,
                  template_value *value, void *context, struct str *ret, struct str *ret_error);

#endif
