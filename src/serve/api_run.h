/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_run: what the methods of weft.v1.Runs do, but for logs (api_log.h).
 */
#ifndef SERVE_API_RUN_H
#define SERVE_API_RUN_H

#include "engine/run.h"
#include "serve/api.h"

extern const struct api_action api_run_start, api_run_get, api_run_list, api_run_cancel,
    api_run_resume, api_run_retry, api_run_why, api_run_events;

Weft__V1__Run *api_run_show(struct arena *a, const struct run_row *run);
Weft__V1__Event *api_run_event(struct arena *a, const struct event *e);

#endif
