/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labels: what a worker says of itself, as pairs of texts and as the JSON object that is stored.
 */
#ifndef ENGINE_LABELS_H
#define ENGINE_LABELS_H

#include "engine/worker.h"

/* Refused with INVALID: too many, too long, no name, a name twice, no UTF-8. */
int labels_check(struct tx *tx, const struct worker_labels *labels, const char *what);
struct str labels_json(struct arena *a, const struct worker_labels *labels);
/* False where the text is no object of texts. */
bool labels_parse(struct arena *a, struct str json, struct worker_labels *ret);

#endif
