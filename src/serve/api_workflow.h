/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_workflow: what the methods of weft.v1.Workflows do.
 */
#ifndef SERVE_API_WORKFLOW_H
#define SERVE_API_WORKFLOW_H

#include "serve/api.h"

extern const struct api_action api_workflow_put, api_workflow_get, api_workflow_list;

#endif
