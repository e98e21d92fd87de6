/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_worker: what the methods of weft.v1.Workers do.
 */
#ifndef SERVE_API_WORKER_H
#define SERVE_API_WORKER_H

#include "serve/api.h"

Weft__V1__Worker *api_worker_show(struct arena *a, const struct worker_row *w);

#endif
