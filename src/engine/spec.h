/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec: what a run's tasks are to do, as their payloads say it.
 *
 * A payload is a JSON object {"argv", "cwd", "env": [[name, value], …], "grace_us"}. References to
 * params and to the run are replaced when the run starts. A task that refers to what is known only
 * later (outputs, the attempt) has "refers": true, and its worker replaces the rest
 * (TEMPLATE_LAST).
 */
#ifndef ENGINE_SPEC_H
#define ENGINE_SPEC_H

#include "core/definition.h"
#include "engine/tx.h"

struct spec {
    const struct definition *definition;
    int64_t run;
    struct env_entry *params; /* one for each of the definition, in its order */
    struct str params_json;   /* {name: text} */
};

/* Check what was given against the definition's params, and add the defaults. Refused with
 * PARAM_INVALID. */
int spec_init(struct tx *tx, struct spec *ret, const struct definition *d, int64_t run,
              const struct env_entry *given, size_t given_n);

int spec_payload(struct tx *tx, const struct spec *spec, const struct definition_task *t,
                 struct str *ret);

#endif
