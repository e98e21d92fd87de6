/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_pool: pools, and calls of them. Nothing of it touches the store.
 */
#ifndef SERVE_API_POOL_H
#define SERVE_API_POOL_H

#include "serve/api.h"

extern const struct api_action api_pool_list, api_pool_get, api_pool_recycle;
extern const struct api_action api_session_call, api_session_open, api_session_get, api_session_end;

#endif
