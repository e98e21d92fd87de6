/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_worker: what the methods of weft.v1.Workers do.
 */
#ifndef SERVE_API_WORKER_H
#define SERVE_API_WORKER_H

#include "serve/api.h"

extern const struct api_action api_worker_register, api_worker_heartbeat, api_worker_drain,
    api_worker_deregister, api_worker_get, api_worker_list;

Weft__V1__Worker *api_worker_show(struct arena *a, const struct worker_row *w);

#endif
