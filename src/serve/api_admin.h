/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_admin: what the methods of weft.v1.Admin do.
 */
#ifndef SERVE_API_ADMIN_H
#define SERVE_API_ADMIN_H

#include "serve/api.h"

extern const struct api_action api_admin_status, api_admin_health, api_admin_doctor;

#endif
