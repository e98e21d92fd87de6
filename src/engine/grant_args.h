/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grant_args: what goes along with leases: the args of their stages, and the checks that those are
 * assigned to, with their options. Both may be large, so that no more is read than goes.
 */
#ifndef ENGINE_GRANT_ARGS_H
#define ENGINE_GRANT_ARGS_H

#include "engine/grant.h"

/* Payloads of tasks, each named once, in order, until those before one weigh more than `bytes_max`
 * together: *ret_n of them, at least one. No more than twice as many are read. */
int grant_payloads(struct tx *tx, const int64_t *ids, size_t n, size_t bytes_max, struct str *ret,
                   size_t *ret_n);

/* Fill in the checks of leases. */
int grant_checks(struct tx *tx, struct grant_leases *leases);

#endif
