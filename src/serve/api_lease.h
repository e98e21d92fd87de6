/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_lease: what the methods of weft.v1.Leases do.
 */
#ifndef SERVE_API_LEASE_H
#define SERVE_API_LEASE_H

#include "serve/api.h"

extern const struct api_action api_lease_renew, api_lease_complete, api_lease_release;

#endif
